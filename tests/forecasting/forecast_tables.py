"""Tables and models for tests of forecasts."""

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNRegressor,
    SequenceWindower,
    make_forecast_frame,
)

HOURS = pd.date_range("2024-01-01", periods=60, freq="h")


def make_table(index=HOURS, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(index), 2))
    values[:, 0] += np.sin(np.arange(len(index)) / 3)
    plan = rng.integers(0, 2, size=len(index)).astype(float)
    table = pd.DataFrame(values, columns=["temp", "wind"], index=index)
    return table.assign(plan=plan)


def two_series(n_rows=60):
    """Two stations in turn, with a column of times."""
    hours = pd.date_range(HOURS[0], periods=n_rows, freq="h")
    tables = [
        make_table(hours, seed).assign(station=name)
        for seed, name in enumerate(["north", "south"])
    ]
    table = pd.concat(tables).rename_axis("time").reset_index()
    return table.sort_values("time", kind="stable", ignore_index=True)


GROUPED = {"time": "time", "group_by": "station"}


def make_network(**options):
    small = {"hidden_size": 4, "max_epochs": 1, "random_state": 0}
    return RNNRegressor(**{**small, **options})


def make_model(n_steps=5, windower=None, **options):
    windower = SequenceWindower(n_steps, **(windower or {}))
    return make_pipeline(windower, make_network(**options))


def fit(model, table, target="temp", horizon=2, **options):
    return model.fit(*make_forecast_frame(table, target, horizon, **options))
