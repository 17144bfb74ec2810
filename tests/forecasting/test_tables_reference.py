"""Frames, windows, forecasts and backtests of the examples' data stay what they were.

    python tests/forecasting/test_tables_reference.py

writes the reference again, after a change that is meant to change them.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
)
from sklearn_rnn.datasets import load_co2_weekly, load_nyc_weather

REFERENCE = Path(__file__).with_name("tables_reference.json")
PRICES = Path(__file__).parents[2] / "examples" / "data" / "wti_oil_daily.csv.gz"
N_SHOWN = 12


class SumOfWindow(RegressorMixin, BaseEstimator):
    """Predicts from every value of a window, and from the targets of training."""

    def fit(self, X, y):
        y = np.asarray(y, dtype=float).reshape(len(X), -1)
        self.levels_ = np.nanmean(y, axis=0)
        return self

    def predict(self, X):
        sums = [np.sum(x * np.cos(1 + np.arange(x.size).reshape(x.shape))) for x in X]
        return np.array(sums)[:, np.newaxis] / 1000 + self.levels_


def weather_at_jfk():
    columns = ["temp", "dewp", "pressure"]
    table = load_nyc_weather("JFK")[columns].asfreq("h").interpolate()[:700]
    model = make_pipeline(
        CalendarFeatures(["hour"], time_zone="America/New_York"), SequenceWindower(24)
    )
    return table, model, {"target": "temp", "horizon": [1, 6]}, None


def two_targets():
    table = load_nyc_weather("JFK")[["temp", "dewp"]].asfreq("h").interpolate()[:300]
    return table, SequenceWindower(6), {"target": ["temp", "dewp"], "horizon": 3}, None


def stations_with_gaps():
    names = {"time": "time", "group_by": "station"}
    table = load_nyc_weather()[["station", "time", "temp", "dewp"]]
    table = table[table["time"] < "2013-01-31 00:00Z"].sort_values(["time", "station"])
    table = table[np.random.default_rng(0).random(len(table)) < 0.9]
    table = table.reset_index(drop=True)
    model = SequenceWindower(12, missing="mask", **names)
    task = {"target": "temp", "horizon": 4, "missing": "mask", **names}
    return table, model, task, None


def weeks_of_co2():
    table = load_co2_weekly().interpolate()[:400]
    model = make_pipeline(
        CalendarFeatures(["dayofyear"], ahead=[0, 4]), SequenceWindower(10)
    )
    return table, model, {"horizon": 5}, None


def trading_days():
    prices = pd.read_csv(PRICES, index_col="date", parse_dates=True).dropna()[:400]
    days = prices.index[395:398]
    task = {"horizon": 3, "freq": "rows"}
    return prices[:395], SequenceWindower(15, freq="rows"), task, days


def months_as_periods():
    months = pd.period_range("2001-01", periods=90, freq="M")
    values = np.sin(np.arange(90.0)) + 5
    table = pd.DataFrame({"sales": values}, index=months)
    return table, SequenceWindower(12), {"horizon": [1, 12]}, None


def shops_with_plans():
    names = {"time": "date", "group_by": "shop"}
    days = pd.date_range("2023-01-01", periods=64)
    rng = np.random.default_rng(1)
    shops = []
    for shop in ("east", "west", "south"):
        offers = rng.choice(["gift", "coupon", "none"], size=len(days))
        sales = rng.normal(10, 2, size=len(days))
        columns = {"date": days, "shop": shop, "sales": sales, "offer": offers}
        shops.append(pd.DataFrame(columns))
    whole = pd.concat(shops).sort_values(["date", "shop"], ignore_index=True)
    is_future = whole["date"] > days[-5]
    future = whole[is_future].drop(columns="sales")
    task = {"target": "sales", "horizon": 4, "known": "offer", **names}
    return whole[~is_future], SequenceWindower(7, **names), task, future


def rows_without_times():
    table = pd.DataFrame({"x": np.cos(np.arange(60.0))}, index=list(range(60)))
    return table.reset_index(drop=True), SequenceWindower(5), {"horizon": 2}, None


CASES = [
    weather_at_jfk,
    two_targets,
    stations_with_gaps,
    weeks_of_co2,
    trading_days,
    months_as_periods,
    shops_with_plans,
    rows_without_times,
]


def summary_of(frame):
    """Return what tells two frames apart: sums of columns, and some rows."""
    frame = frame.reset_index()
    rows = np.linspace(0, len(frame) - 1, min(len(frame), N_SHOWN)).astype(int)
    found = {"rows": len(frame)}
    for name, column in frame.items():
        if pd.api.types.is_float_dtype(column):
            values = column.to_numpy(float)
            weighted = np.nansum(values * np.cos(np.arange(len(values))))
            found[str(name)] = [int(np.isnan(values).sum()), float(weighted)]
            found[str(name)] += [
                None if np.isnan(v) else float(v) for v in values[rows]
            ]
        else:
            found[str(name)] = [str(value) for value in column.iloc[rows]]
    return found


def outcomes_of(case):
    """Return summaries of all that is made of one table."""
    table, front, task, future = case()
    X, Y = make_forecast_frame(table, **task)
    model = make_pipeline(front, SumOfWindow()).fit(X, Y)
    windows = model[:-1].transform(X[-40:])
    values = pd.DataFrame(
        {"lengths": windows.lengths, "sums": [w.sum() for w in windows]}
    )
    cv = TimeBlockSplit(2, test_size=10, time=task.get("time"))
    past = backtest(model, table, cv=cv, stride=3, season=7, **task)
    return {
        "X": summary_of(X),
        "Y": summary_of(Y),
        "windows": summary_of(values),
        "forecast": summary_of(forecast(model, table, future=future)),
        "backtest": summary_of(past),
    }


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_tables_give_what_they_gave(case):
    expected = json.loads(REFERENCE.read_text(encoding="utf-8"))[case.__name__]
    found = outcomes_of(case)
    assert found.keys() == expected.keys()
    for what, frame in expected.items():
        assert found[what].keys() == frame.keys(), what
        for column, values in frame.items():
            is_of_numbers = isinstance(values, list) and not isinstance(values[-1], str)
            if is_of_numbers:
                wanted = np.array(values, dtype=float)
                got = np.array(found[what][column], dtype=float)
                np.testing.assert_allclose(got, wanted, rtol=1e-12, err_msg=column)
            else:
                assert found[what][column] == values, (what, column)


if __name__ == "__main__":
    reference = {case.__name__: outcomes_of(case) for case in CASES}
    text = json.dumps(reference, indent=0).replace(",\n", ",")
    REFERENCE.write_text(text + "\n", encoding="utf-8")
