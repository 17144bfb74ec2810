# %% [markdown]
"""Forecast the temperature at New York's JFK airport 1, 6 and 24 hours ahead.

Trains one model per horizon on the hourly weather of 2013 up to mid-September,
prints its error on the rest of the year beside those of the last value and of
gradient-boosted trees, and saves a picture of one week of forecasts.

    python examples/temperature_forecast.py

Options: ``--horizons 1 6 24`` (hours ahead), ``--picture FILE``.
"""

# %%
import argparse
import sys
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline

from sklearn_rnn import RNNRegressor, SequenceWindower, make_forecast_frame
from sklearn_rnn.datasets import load_nyc_weather

COLUMNS = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure"]
N_STEPS = 48  # hours of history that every forecast is made from


# %% [markdown]
# ## Fit and compare
#
# The first 70 % of the year are for training. Trees get the same hours as columns.


# %%
def compare(weather, horizon):
    """Fit on the first 70 % of the year; return forecasts for the rest."""
    X, Y = make_forecast_frame(weather, target="temp", horizon=horizon)
    y = Y[f"temp+{horizon}"]
    split = int(0.7 * len(weather))
    # The last targets of training must not reach into the test block.
    train, test = slice(0, split - horizon + 1), slice(split, None)

    network = make_pipeline(
        SequenceWindower(n_steps=N_STEPS),
        RNNRegressor(random_state=0),
    )
    begin = perf_counter()
    network.fit(X[train], y[train])
    seconds = perf_counter() - begin

    # Trees get the same hours as columns, and predict the change as well.
    lags = np.asarray(SequenceWindower(n_steps=N_STEPS).fit_transform(X))
    lags = lags.reshape(len(lags), -1)
    trees = HistGradientBoostingRegressor(random_state=0)
    trees.fit(lags[train], (y - X["temp"])[train])

    forecasts = pd.DataFrame(
        {
            "truth": y[test],
            "last value": X["temp"][test],
            "trees": X["temp"][test] + trees.predict(lags[test]),
            "RNNRegressor": network.predict(X[test]),
        }
    )
    forecasts.index += pd.Timedelta(hours=horizon)  # when the forecast is for
    return forecasts, seconds


# %% [markdown]
# ## A picture of one week


# %%
def draw(forecasts, horizon, path):
    """Save a picture of one week of forecasts."""
    import matplotlib.pyplot as plt
    from matplotlib.dates import DateFormatter, DayLocator

    week = forecasts.loc["2013-11-10":"2013-11-16"]
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    axes.plot(week["truth"], color="black", linewidth=2, label="measured")
    axes.plot(week["RNNRegressor"], color="tab:blue", label="RNNRegressor")
    axes.plot(week["last value"], color="tab:gray", linestyle=":", label="last value")
    axes.set(
        title=f"Temperature at JFK, forecast {horizon} h ahead, one week of the test",
        xlabel="time (UTC)",
        ylabel="temperature (°F)",
    )
    axes.legend(frameon=False)
    axes.xaxis.set_major_locator(DayLocator())
    axes.xaxis.set_major_formatter(DateFormatter("%d %b"))
    axes.margins(x=0.02)
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--horizons", type=int, nargs="+", default=[1, 6, 24])
    parser.add_argument("--picture", default="temperature_forecast.png")
    options = parser.parse_args(arguments)

    weather = load_nyc_weather("JFK")[COLUMNS].asfreq("h").interpolate()
    errors = {}
    for horizon in options.horizons:
        forecasts, seconds = compare(weather, horizon)
        truth = forecasts.pop("truth")
        errors[f"{horizon} h"] = {
            name: root_mean_squared_error(truth, forecast)
            for name, forecast in forecasts.items()
        } | {"seconds to fit": seconds}
    print("Error of the forecast (RMSE, °F) on the last 30 % of 2013:")
    print(pd.DataFrame(errors).round(2).to_string())
    draw(forecasts.assign(truth=truth), horizon, options.picture)
    print(f"Picture of one week: {options.picture}")
    return errors


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
