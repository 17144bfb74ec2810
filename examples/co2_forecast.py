# %% [markdown]
"""Forecast the carbon dioxide at Mauna Loa for each of the next 52 weeks.

A series with trend and season. A week is known roughly a year ahead: from the values
of the same week in five past years, each plus the growth since. The network forecasts
the difference from their mean, which hardly grows and has no seasons. Forecasts from
every other week of ten years, made with what was known then, are compared with last
year's value, with and without growth; a last fit is on all weeks, for a picture of the
year that follows.

    python examples/co2_forecast.py

It takes about 15 seconds. Options: ``--blocks 5``, of two years, to test on, and
``--picture FILE``.

All settings were chosen on 1977 to 1990; the test is on the years from 1992 on. Up to
half a year ahead the network is the best. At 52 weeks it is closer than last year's
value with either growth in most blocks of two years; but in 1992 and 1993, after the
eruption of Pinatubo, growth fell to half of what it had been, and that one block makes
it worse on the whole than last year's value plus the mean growth. The mean of the two
forecasts ("mean of both") is closer than last year's value with either growth, at all
horizons. The network's intervals are too narrow in these years.
"""

# %%
import argparse
import sys

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    ForecastDisplay,
    RNNRegressor,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
    score_forecasts,
)
from sklearn_rnn.datasets import load_co2_weekly

YEAR = 52  # weeks
PAST_YEARS = [1, 2, 3, 4, 5]
COLUMNS = ["departure", "of_a_year", "growth"]  # what the network reads
SHOWN = [1, 13, 26, 52]  # weeks ahead


# %% [markdown]
# ## The table
#
# Each week, and what the years before it predict. The network learns the difference
# from that.


# %%
def make_table():
    """Return each week with what earlier years predict of it, and a year to come."""
    # All missing weeks lie before 1985, so filling them tells no test its future.
    air = load_co2_weekly().interpolate()
    air = air.reindex(air.index.union(air.index[-YEAR:].shift(YEAR))).asfreq("W-SAT")
    air["growth"] = air["co2"].diff(YEAR)
    mean_growth = air["growth"].rolling(10 * YEAR, min_periods=3 * YEAR).mean()
    # All of it is a year old or more, so it is known for each of the next 52 weeks.
    growth = mean_growth.shift(YEAR)
    past = [air["co2"].shift(years * YEAR) + years * growth for years in PAST_YEARS]
    air["expected"] = sum(past) / len(past)
    air["departure"] = air["co2"] - air["expected"]
    air["of_a_year"] = air["departure"].rolling(YEAR, min_periods=1).mean()
    return air.dropna(subset="expected")


# %% [markdown]
# ## The model
#
# Half a year of history, the time of year, and a small network.


# %%
def make_model():
    """Make a small network of the last half year and of the time of year."""
    network = RNNRegressor(
        hidden_size=16,
        input_dropout=0.0,
        target_feature="auto",
        loss="quantile",
        max_epochs=5,
        random_state=0,
    )
    calendar = CalendarFeatures(["dayofyear"])
    return make_pipeline(calendar, SequenceWindower(n_steps=26), network)


# %% [markdown]
# ## The test
#
# Forecasts of past years, each from what was known before it, beside last year's
# values with their growth.


# %%
def forecast_the_past(air, n_blocks):
    """Forecast the last years block by block, each from what was known before it."""
    return backtest(
        make_model(),
        air[COLUMNS].dropna(),
        target="departure",
        horizon=YEAR,
        cv=TimeBlockSplit(n_blocks, test_size=2 * YEAR, gap=YEAR - 1),
        stride=2,
    )


def compute_errors(forecasts, air):
    """Compute the errors of all forecasts, in ppm, one row per forecast."""
    week = air.loc[forecasts["time"]].set_axis(forecasts.index)
    last_year = week["co2"] - week["growth"]
    growth = pd.DataFrame(
        {"last": air["growth"], "mean": air["growth"].expanding().mean()}
    )
    growth = growth.loc[forecasts["origin"]].set_axis(forecasts.index)
    methods = {
        "last year": last_year,
        "last year + its growth": last_year + growth["last"],
        "last year + mean growth": last_year + growth["mean"],
        "mean of five years": week["expected"],
        "RNNRegressor": week["expected"] + forecasts["prediction"],
    }
    pair = methods["last year + mean growth"], methods["RNNRegressor"]
    methods["mean of both"] = sum(pair) / 2
    return pd.DataFrame(methods).rsub(week["co2"], axis=0)


def summarise(errors, by):
    """Return the root mean squared error of each forecast, one column per group."""
    return np.sqrt(errors.pow(2).groupby(by).mean()).T


# %% [markdown]
# ## A picture of the next year


# %%
def draw(air, path):
    """Save a picture of the last two years and a forecast of the next."""
    import matplotlib.pyplot as plt

    past = air[COLUMNS].dropna()
    pairs = make_forecast_frame(past, target="departure", horizon=YEAR)
    coming = forecast(make_model().fit(*pairs), past)
    values = ["prediction", "q0.1", "q0.5", "q0.9"]
    coming[values] = coming[values].add(air["expected"].loc[coming.index], axis=0)

    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    ForecastDisplay.from_predictions(
        coming,
        air["co2"].loc[: past.index[-1]],
        n_history=2 * YEAR,
        ylabel="CO2 (ppm)",
        ax=axes,
    )
    axes.set_title("Carbon dioxide at Mauna Loa, and its forecast for 52 weeks")
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--picture", default="co2_forecast.png")
    options = parser.parse_args(arguments)

    air = make_table()
    forecasts = forecast_the_past(air, options.blocks)
    errors = compute_errors(forecasts, air)
    by_horizon = summarise(errors, forecasts["horizon"])[SHOWN]
    print("Error of the forecast (RMSE, ppm), by weeks ahead:")
    print(by_horizon.round(2).to_string())
    furthest = forecasts[forecasts["horizon"] == YEAR]
    begins = furthest.groupby("fold")["time"].transform("min").dt.strftime("%b %Y")
    by_block = summarise(errors.loc[furthest.index], begins.rename("from"))
    by_block = by_block[begins.unique()]
    print(f"The same {YEAR} weeks ahead, in blocks of two years:")
    print(by_block.round(2).to_string())
    coverage = score_forecasts(forecasts)["coverage_80"].loc[SHOWN]
    shares = ", ".join(f"{share:.0%}" for share in coverage)
    print(f"The network's 80 % intervals cover {shares} of the weeks.")
    draw(air, options.picture)
    print(f"Picture of the year to come: {options.picture}")
    return {"errors": by_horizon, "blocks": by_block, "coverage": coverage}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
