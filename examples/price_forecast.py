# %% [markdown]
"""Ask whether a network forecasts the oil price better than the last price does.

For market prices the answer is mostly no. A network forecasts the logarithm of the
price 1 and 5 business days ahead, from what was known then, over eight years. Printed
are its errors beside those of the last price, how often it has the direction right, and
whether either could be chance. Its intervals are of more use, as volatility changes
slowly: printed is how much they cover, before and after `ConformalCalibrator`.

    python examples/price_forecast.py

It takes about 20 seconds. Options: ``--blocks 4``, of two years, to test on (at
least 2, the first calibrates), ``--trading-days`` and ``--picture FILE``.

Holidays stay in the grid of business days as rows without a price: the network
sees the last price and a flag there. Forecasts for them count nowhere, those from
them in the intervals alone. With ``--trading-days`` they are left out, and
``freq="rows"`` takes each trading day as one step after the one before it.
Prices: U.S. Energy Information Administration, see ``examples/data/README.md``.
"""

# %%
import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest, ttest_1samp
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    ConformalCalibrator,
    ForecastDisplay,
    RNNRegressor,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    score_forecasts,
)

# A notebook runs in the folder of its file.
FOLDER = Path(globals().get("__file__", "")).parent
PRICES = FOLDER / "data" / "wti_oil_daily.csv.gz"
HORIZON = [1, 5]  # business days ahead
MONTH, YEAR = 21, 260  # business days
LIKELY_CHANCE = 0.05


# %% [markdown]
# ## The prices
#
# Daily prices of oil. The model sees logarithms, changes and their usual size.


# %%
def load_table(trading_days=False):
    """Return one row per day: log price, daily change and its usual size."""
    prices = pd.read_csv(PRICES, index_col="date", parse_dates=True)
    prices = prices.dropna() if trading_days else prices.asfreq("B")
    table = np.log(prices).rename(columns={"price": "log_price"})
    change = table["log_price"].ffill().diff()
    table["change"] = change
    table["volatility"] = np.log(change.rolling(MONTH).std())
    return table.iloc[MONTH:]


# %% [markdown]
# ## The test
#
# Past years are forecast block by block, each by a model fitted on what came before.


# %%
def forecast_the_past(table, n_blocks, freq=None):
    """Forecast block by block, each from what was known before it."""
    model = make_pipeline(
        SequenceWindower(n_steps=MONTH),
        RNNRegressor(
            hidden_size=16,
            target_feature="auto",
            loss="quantile",
            max_epochs=5,
            random_state=0,
        ),
    )
    return backtest(
        model,
        table,
        target="log_price",
        horizon=HORIZON,
        cv=TimeBlockSplit(n_blocks, test_size=2 * YEAR, gap=max(HORIZON) - 1),
        missing="mask",
        freq=freq,
        season=1,  # the naive forecast is the last price
    )


# %% [markdown]
# ## What the errors say
#
# The network against the last price, and how often such a difference would be chance.


# %%
def compare(forecasts, horizon):
    """Return errors in percent of the price, and how likely they are by chance."""
    rows = forecasts[forecasts["horizon"] == horizon].dropna(subset=["truth", "naive"])
    errors = 100 * rows[["prediction", "naive"]].rsub(rows["truth"], axis=0)
    # The errors of neighbouring days go together, those of months hardly do.
    squares = errors.pow(2).groupby(np.arange(len(rows)) // MONTH).mean()
    test = ttest_1samp(squares["naive"] - squares["prediction"], 0)

    apart = rows[::horizon]  # so that no two forecasts span the same day
    rise, forecast_rise = (apart[k] - apart["naive"] for k in ("truth", "prediction"))
    right = (np.sign(rise) == np.sign(forecast_rise))[rise != 0]
    hits = binomtest(int(right.sum()), len(right))
    low, high = hits.proportion_ci(method="wilson")
    rmse, mae = errors.pow(2).mean().pow(0.5), errors.abs().mean()
    return {
        "RMSE, last price (%)": rmse["naive"],
        "RMSE, RNNRegressor (%)": rmse["prediction"],
        "MAE, last price (%)": mae["naive"],
        "MAE, RNNRegressor (%)": mae["prediction"],
        "t of the difference": test.statistic,
        "p of the difference": test.pvalue,
        "direction right": hits.statistic,
        "at least (95 %)": low,
        "at most (95 %)": high,
        "p of the direction": hits.pvalue,
    }


def judge(result):
    """Return a sentence about the errors of one horizon."""
    if result["p of the difference"] >= LIKELY_CHANCE:
        errors = "No difference from the last price that could not be chance"
    elif result["t of the difference"] > 0:
        errors = "The network beats the last price"
    else:
        errors = "The network is worse than the last price"
    known = result["p of the direction"] < LIKELY_CHANCE
    than = "more" if result["direction right"] > 0.5 else "less"
    direction = f"{than} often right than a coin" if known else "no better than a coin"
    return f"{errors}; its direction is {direction}."


# %% [markdown]
# ## Intervals
#
# Calibrated on the first block, measured on the later ones.


# %%
def calibrate(forecasts):
    """Learn from the first block; return the later ones before and after."""
    calibrator = ConformalCalibrator().fit(forecasts[forecasts["fold"] == 0])
    later = forecasts[forecasts["fold"] > 0]
    return later, calibrator.transform(later)


def draw(before, after, table, path):
    """Save a picture of the last half year, and of a year's coverage over time."""
    import matplotlib.pyplot as plt

    furthest = HORIZON[-1]
    figure, axes = plt.subplots(2, figsize=(9, 7), layout="constrained")
    shown = after[after["time"] > after["time"].max() - pd.Timedelta(days=182)].copy()
    values = ["truth", "prediction", "q0.1", "q0.5", "q0.9"]
    shown[values] = np.exp(shown[values])
    price = np.exp(table["log_price"]).rename("price")
    ForecastDisplay.from_predictions(
        shown,
        price.loc[shown["origin"].min() :],
        at_horizon=furthest,
        ax=axes[0],
        ylabel="price ($ a barrel)",
    )
    axes[0].set(title=f"Oil, forecast {furthest} business days ahead", xlabel=None)
    for name, frame in {"as predicted": before, "calibrated": after}.items():
        rows = frame[frame["horizon"] == furthest].dropna(subset="truth")
        rows = rows.set_index("time")
        inside = rows["truth"].between(rows["q0.1"], rows["q0.9"])
        axes[1].plot(100 * inside.rolling(YEAR).mean(), label=name)
    axes[1].axhline(80, color="black", linestyle=":")
    axes[1].set(
        title="Coverage of the 80 % interval over the year before",
        xlabel="time",
        ylabel="coverage (%)",
    )
    axes[1].legend(frameon=False)
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--picture", default="price_forecast.png")
    parser.add_argument("--trading-days", action="store_true")
    options = parser.parse_args(arguments)

    table = load_table(options.trading_days)
    freq = "rows" if options.trading_days else None
    forecasts = forecast_the_past(table, options.blocks, freq)
    results = {k: compare(forecasts, k) for k in HORIZON}
    begin = forecasts["origin"].min()
    print(
        f"Oil prices of business days, forecast from {begin:%B %Y} on, by days ahead:"
    )
    columns = {f"{k} ahead": result for k, result in results.items()}
    print(pd.DataFrame(columns).round(3).to_string())
    for k, result in results.items():
        print(f"{k} ahead: {judge(result)}")
    before, after = calibrate(forecasts)
    coverage = pd.DataFrame(
        {
            "as predicted": score_forecasts(before)["coverage_80"],
            "calibrated": score_forecasts(after)["coverage_80"],
        }
    )
    print("Fraction of the truth inside the 80 % interval, from the second block on:")
    print(coverage.round(3).to_string())
    draw(before, after, table, options.picture)
    print(f"Picture of prices and coverage: {options.picture}")
    return {"results": results, "coverage": coverage}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
