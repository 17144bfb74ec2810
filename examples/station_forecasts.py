# %% [markdown]
"""Forecast the temperature at three airports, each of the next 24 hours.

The weather of 2013 at Newark, Kennedy and LaGuardia, as it was observed: hours and
values are missing, and one wind speed is impossible (1048 mph). All of that is masked.
One model for all stations, which has their positions and the local hour as features, is
compared with three, one per station, and with the seasonal naive forecast, on the last
30 % of the days. The intervals of the one model are calibrated on forecasts of the days
before, station by station and hour by hour: printed is how much they cover as
predicted, and calibrated. A last fit is on the whole year, for a picture of the day
that follows.

    python examples/station_forecasts.py

It takes about two minutes. Options: ``--days 364``, the newest, to take; ``--epochs
5`` instead of "auto"; and ``--picture FILE``.

One model is as good as three an hour ahead, and better a day ahead.
"""

# %%
import argparse
import sys

import pandas as pd
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    ConformalCalibrator,
    ForecastDisplay,
    RNNRegressor,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
    score_forecasts,
)
from sklearn_rnn.datasets import load_nyc_weather

COLUMNS = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure"]
AIRPORTS = pd.DataFrame(
    {"latitude": [40.69, 40.64, 40.78], "longitude": [-74.17, -73.78, -73.87]},
    index=["EWR", "JFK", "LGA"],
)
N_STEPS = 48  # hours of history that every forecast is made from
HORIZON = 24  # hours ahead
SHOWN = [1, 6, 24]
QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)  # the ends of 95 % and 80 %, the median
BY = ["station", "horizon"]
# What every function below takes from the table itself.
NAMES = {"time": "time", "group_by": "station", "missing": "mask"}


# %% [markdown]
# ## The table
#
# Three airports below each other, with their missing hours.


# %%
def load_table(n_days):
    """Return the last days of the year at each airport, as they were observed."""
    weather = load_nyc_weather()[["station", "time", *COLUMNS]]
    # No storm has 1048 mph; as a missing value it does no harm.
    weather["wind_speed"] = weather["wind_speed"].where(weather["wind_speed"] < 200)
    begin = weather["time"].max() - pd.Timedelta(days=n_days)
    table = weather[weather["time"] > begin].join(AIRPORTS, on="station")
    table.attrs["sklearn_rnn"] = NAMES
    return table


# %% [markdown]
# ## The model
#
# It reads missing values as they are, the local hour, and where a station is.


# %%
def make_model(max_epochs):
    """Return a pipeline that bears missing values, and knows the local hour."""
    return make_pipeline(
        CalendarFeatures(("hour",), time_zone="America/New_York"),
        SequenceWindower(N_STEPS),
        RNNRegressor(
            target_feature="auto",
            loss="quantile",
            quantiles=QUANTILES,
            max_epochs=max_epochs,
            random_state=0,
        ),
    )


# %% [markdown]
# ## The test
#
# Blocks of hours, each forecast by a model fitted on what came before: one for all
# stations, and one for each.


# %%
def forecast_the_past(model, table, n_blocks, block):
    """Forecast from each hour of some blocks of time, fitted on what came before."""
    cv = TimeBlockSplit(n_blocks, test_size=block, gap=HORIZON - 1)
    return backtest(model, table, "temp", HORIZON, cv=cv)


def forecast_each_alone(model, table, block):
    """Do the same by a model of each station, which needs no facts about it."""
    alone = [
        forecast_the_past(model, rows.drop(columns=[*AIRPORTS]), 1, block)
        for _, rows in table.groupby("station")
    ]
    return pd.concat(alone, ignore_index=True)


def compare(together, alone):
    """Return errors by station and hours ahead, one column per model."""
    scores = score_forecasts(together, by=BY)
    errors = pd.DataFrame(
        {
            "seasonal naive": scores["naive_rmse"],
            "three models": score_forecasts(alone, by=BY)["rmse"],
            "one model": scores["rmse"],
        }
    )
    return errors[errors.index.isin(SHOWN, level="horizon")]


# %% [markdown]
# ## Intervals, and tomorrow
#
# How often the truth was inside, before and after calibration; then the hours after
# the table.


# %%
def measure_coverage(before, after):
    """Return the coverage of intervals, by hours ahead."""
    frames = {"as predicted": before, "calibrated": after}
    parts = {k: score_forecasts(frame) for k, frame in frames.items()}
    coverage = pd.concat(parts, axis=1).swaplevel(axis=1)
    return coverage.loc[SHOWN, ["coverage_80", "coverage_95"]]


def forecast_tomorrow(model, table, calibrator):
    """Fit on the whole table, and forecast the hours that follow its last."""
    X, Y = make_forecast_frame(table, "temp", HORIZON)
    return calibrator.transform(forecast(model.fit(X, Y), table))


def draw(tomorrow, table, path):
    """Save a picture of the newest days and the forecast of the next."""
    display = ForecastDisplay.from_predictions(
        tomorrow, table, target="temp", ylabel="temperature (°F)"
    )
    display.axes_[-1].set_xlabel("time (UTC)")
    display.figure_.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--days", type=int, default=364)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--picture", default="station_forecasts.png")
    options = parser.parse_args(arguments)

    table = load_table(options.days)
    model = make_model(options.epochs or "auto")
    block = pd.Timedelta(hours=round(0.3 * 24 * options.days))
    together = forecast_the_past(model, table, 1, block)
    errors = compare(together, forecast_each_alone(model, table, block))
    print(
        "Error of the forecast (RMSE, °F) on the last 30 % of the days, by hours ahead:"
    )
    print(errors.T.round(2).to_string())

    # Calibrated on forecasts of earlier times, which no test hour is among.
    early = table[table["time"] < together["origin"].min()]
    calibrator = ConformalCalibrator(by=BY)
    calibrator.fit(forecast_the_past(model, early, 3, None))
    coverage = measure_coverage(together, calibrator.transform(together))
    print("Fraction of the same temperatures inside their intervals:")
    print(coverage.round(3).to_string())

    tomorrow = forecast_tomorrow(model, table, calibrator.partial_fit(together))
    draw(tomorrow, table, options.picture)
    print(f"Picture of the next {HORIZON} hours: {options.picture}")
    return {"errors": errors, "coverage": coverage, "tomorrow": tomorrow}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
