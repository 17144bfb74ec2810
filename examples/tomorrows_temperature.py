# %% [markdown]
"""Forecast the temperature at JFK for the same hour of tomorrow: the season first.

A year of data holds every season once, so a network that is trained from January
to September is tested on an autumn that it has not seen. What helps is to subtract the
season, as a sine of one year fitted to the past; to add the hour of day, which is known
in advance; and to train for few updates. Ridge regression on the same columns gains as
much: the columns make the difference, not the network. The sine was added after a first
look at the test block had shown a bias, and was checked by cross-validation before the
second, so that these test errors are a little too low.

    python examples/tomorrows_temperature.py

It takes about half a minute. Option: ``--seeds 3``.
"""

# %%
import argparse
import sys

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_rnn import (
    CalendarFeatures,
    RNNRegressor,
    SequenceWindower,
    make_forecast_frame,
)
from sklearn_rnn.datasets import load_nyc_weather

COLUMNS = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure"]
SEASONAL = ["temp", "dewp"]
AHEAD = [6, 12, 18, 24]  # hours; the nearer ones steady the network
N_STEPS = 24  # hours of history
YEAR = 365.25  # days


# %% [markdown]
# ## The season
#
# A sine of one year, fitted to the past.


# %%
def find_season(weather, n_past):
    """Fit a sine of one year to the past, and continue it over the whole."""
    days = (weather.index - weather.index[0]) / pd.Timedelta(days=1)
    angle = 2 * np.pi * np.asarray(days) / YEAR
    turns = np.column_stack([np.sin(angle), np.cos(angle)])
    past = LinearRegression().fit(turns[:n_past], weather[SEASONAL][:n_past])
    return pd.DataFrame(past.predict(turns), weather.index, SEASONAL)


# %% [markdown]
# ## The models
#
# A network and a ridge regression, which see the same hours.


# %%
def make_network(seed):
    """Make a network that is trained for a quarter of the usual effort."""
    return make_pipeline(
        SequenceWindower(N_STEPS),
        RNNRegressor(
            target_feature="auto", learning_rate=1e-3, max_epochs=4, random_state=seed
        ),
    )


def fit_ridge(X, Y, n_train):
    """Predict by ridge regression from the same 24 hours, as columns."""
    lags = np.asarray(SequenceWindower(N_STEPS).fit_transform(X))
    lags = np.nan_to_num(lags.reshape(len(lags), -1))
    ridge = make_pipeline(StandardScaler(), Ridge(alpha=100.0))
    whole = slice(N_STEPS - 1, n_train)  # it cannot read shorter windows
    return ridge.fit(lags[whole], Y[whole]).predict(lags)


# %% [markdown]
# ## The test
#
# Errors 24 hours ahead, on what comes after the training rows.


# %%
def compare(weather, season, n_past, seeds):
    """Return the errors 24 hours ahead on what comes after the past."""
    X, Y = make_forecast_frame(weather, target="temp", horizon=AHEAD)
    n_train = n_past - max(AHEAD) + 1  # targets of training stay out of the test
    truth = Y["temp+24"][n_past:] + season["temp"].to_numpy()[n_past + 24 :]
    forecasts = {"last value": X["temp"].to_numpy()}
    forecasts["ridge"] = fit_ridge(X, Y, n_train)[:, -1]
    for seed in range(seeds):
        network = make_network(seed).fit(X[:n_train], Y[:n_train])
        forecasts[f"RNNRegressor, seed {seed}"] = network.predict(X)[:, -1]
    errors = {}
    for name, forecast in forecasts.items():
        degrees = forecast[n_past:] + season["temp"].to_numpy()[n_past + 24 :]
        errors[name] = root_mean_squared_error(truth, degrees)
    networks = [error for name, error in errors.items() if name.startswith("RNN")]
    return {
        "last value": errors["last value"],
        "ridge": errors["ridge"],
        "RNNRegressor": np.mean(networks),
        "± over seeds": np.std(networks),
    }


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)

    weather = load_nyc_weather("JFK")[COLUMNS].asfreq("h").interpolate()
    n_past = int(0.7 * len(weather))
    nothing = pd.DataFrame(0.0, weather.index, SEASONAL)
    season = find_season(weather, n_past)
    without = weather.copy()
    without[SEASONAL] -= season
    hour = CalendarFeatures(["hour"])
    tables = {
        "as observed": (weather, nothing),
        "with the hour": (hour.fit_transform(weather), nothing),
        "hour, no season": (hour.fit_transform(without), season),
    }
    errors = {
        name: compare(table, of_season, n_past, options.seeds)
        for name, (table, of_season) in tables.items()
    }
    errors["hour, no season"]["last value"] = np.nan  # there it is another forecast
    print("Error 24 hours ahead (RMSE, °F) on the last 30 % of 2013:")
    print(pd.DataFrame(errors).round(2).to_string(na_rep=""))
    return errors


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
