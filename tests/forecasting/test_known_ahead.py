"""known=: what will be at the steps to come stands beside what is."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from sklearn_rnn import (
    InvalidSequenceError,
    SklearnRNNWarning,
    fill_gaps,
    make_forecast_frame,
)


def hourly(n_rows=6):
    index = pd.date_range("2024-01-01", periods=n_rows, freq="h", name="when")
    rows = np.arange(float(n_rows))
    return pd.DataFrame({"temp": rows, "plan": rows * 10, "wind": -rows}, index=index)


def two_series():
    rows = np.arange(5.0)
    series = {"a": rows, "b": rows + 100}
    frames = [
        pd.DataFrame({"s": name, "temp": values, "plan": values * 10})
        for name, values in series.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_known_columns_stand_ahead_and_stay():
    X, Y = make_forecast_frame(hourly(), "temp", horizon=2, known="plan")
    assert list(X.columns) == ["temp", "plan", "wind", "plan+1", "plan+2"]
    assert X["plan"].tolist() == [0, 10, 20, 30]
    assert X["plan+1"].tolist() == [10, 20, 30, 40]
    assert X["plan+2"].tolist() == [20, 30, 40, 50]
    pd.testing.assert_frame_equal(Y, make_forecast_frame(hourly(), "temp", 2)[1])


def test_known_columns_stand_at_the_steps_that_are_forecast():
    X, Y = make_forecast_frame(hourly(), "temp", horizon=[1, 4], known=["plan", "wind"])
    assert list(X.columns)[3:] == ["plan+1", "plan+4", "wind+1", "wind+4"]
    assert list(Y.columns) == ["temp+1", "temp+4"]
    assert X["plan+4"].tolist() == [40, 50]
    assert X["wind+1"].tolist() == [-1, -2]


@pytest.mark.parametrize("order", [None, [0, 5, 1, 6, 2, 7, 3, 8, 4, 9]])
def test_known_columns_are_those_of_the_same_series(order):
    table = two_series() if order is None else two_series().iloc[order]
    table = table.reset_index(drop=True).assign(t=lambda df: df["temp"] % 100)
    options = {"known": "plan", "group_by": "s", "time": "t"}
    X, Y = make_forecast_frame(table, "temp", horizon=2, **options)
    for k in (1, 2):
        np.testing.assert_array_equal(X[f"plan+{k}"], (X["temp"] + k) * 10)
        np.testing.assert_array_equal(Y[f"temp+{k}"], X["temp"] + k)


@pytest.mark.parametrize("dtype", ["int64", "bool", "Int64", "int64[pyarrow]"])
def test_known_columns_keep_their_dtype(dtype):
    table = hourly()
    table["plan"] = (table["plan"] > 20).astype(dtype)
    X, _ = make_forecast_frame(table, "temp", horizon=2, known="plan")
    assert (X.dtypes[["plan", "plan+1", "plan+2"]] == dtype).all()


def test_polars_gives_the_numbers_of_pandas():
    table = hourly().reset_index()
    options = {"horizon": [1, 3], "known": ["plan", "wind"], "time": "when"}
    X, _ = make_forecast_frame(pl.from_pandas(table), "temp", **options)
    expected, _ = make_forecast_frame(table, "temp", **options)
    assert isinstance(X, pl.DataFrame)
    assert X.columns == list(expected.columns)
    names = ["plan+1", "plan+3", "wind+1", "wind+3"]
    np.testing.assert_array_equal(X[names].to_numpy(), expected[names])


def test_with_mask_what_is_not_known_ahead_is_nan():
    table = hourly(8)
    table.iloc[5, 1] = np.nan
    gappy = table.drop(table.index[2])
    X, _ = make_forecast_frame(gappy, "temp", known="plan", missing="mask")
    np.testing.assert_array_equal(X["plan+1"], [10, np.nan, 30, 40, np.nan, 60, 70])


def shops(**columns):
    """Two shops of six days, of which the first lacks the third."""
    days = pd.date_range("2024-01-01", periods=6)
    table = pd.DataFrame({"day": [*days, *days], "shop": ["a"] * 6 + ["b"] * 6})
    table["sales"] = np.arange(12.0)
    return table.assign(**columns)


def test_a_plan_that_is_guessed_in_added_rows_is_warned_of():
    plan = [0, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0]
    options = {"time": "day", "group_by": "shop"}
    table = shops(plan=plan).drop(2)
    with pytest.warns(SklearnRNNWarning, match="'plan'.*1 got.*fill_gaps") as caught:
        make_forecast_frame(table, "sales", known="plan", missing="mask", **options)
    assert [warning.filename for warning in caught] == [__file__]
    filled = fill_gaps(
        table, known=shops(plan=plan)[["day", "shop", "plan"]], **options
    )
    X, _ = make_forecast_frame(filled, "sales", known="plan")
    assert X["plan+1"].tolist() == [1, 1, 0, 0, 1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("fact", [[5.0] * 6 + [9.0] * 6, [0.0, 1, 1, 0, 0, 1] * 2])
def test_facts_of_series_and_of_times_are_no_guesses(fact):
    options = {"time": "day", "group_by": "shop", "missing": "mask"}
    table = shops(fact=fact).drop(2)
    X, _ = make_forecast_frame(table, "sales", known="fact", **options)
    assert X["fact+1"].tolist() == [*fact[1:6], *fact[7:]]


def test_a_plan_that_decides_the_target_is_learned():
    plan = np.random.default_rng(0).integers(0, 2, size=200)
    table = hourly(200).assign(plan=plan, temp=plan * 10.0)
    X, Y = make_forecast_frame(table, "temp", horizon=2, known="plan")
    assert LinearRegression().fit(X, Y).score(X, Y) > 0.999
    X, Y = make_forecast_frame(table, "temp", horizon=2)
    assert LinearRegression().fit(X, Y).score(X, Y) < 0.2


def test_no_known_column_is_as_without():
    X, _ = make_forecast_frame(hourly(), "temp", known=[])
    pd.testing.assert_frame_equal(X, make_forecast_frame(hourly(), "temp")[0])


# What is refused.


@pytest.mark.parametrize("known", ["snow", ["plan", "snow"], 3, ""])
def test_a_known_column_that_is_not_there_is_refused(known):
    with pytest.raises(ValueError, match="known=.* names no column of the table"):
        make_forecast_frame(hourly(), "temp", known=known)


@pytest.mark.parametrize("known", ["temp", ["plan", "temp"]])
def test_a_target_that_is_known_in_advance_is_refused(known):
    with pytest.raises(ValueError, match="temp"):
        make_forecast_frame(hourly(), "temp", known=known)


@pytest.mark.parametrize(
    "target, known", [(["temp"] * 2, None), ("temp", ["plan"] * 2)]
)
def test_a_column_named_twice_is_refused(target, known):
    with pytest.raises(ValueError, match="twice"):
        make_forecast_frame(hourly(), target, known=known)


@pytest.mark.parametrize("name", ["temp", "plan"])
def test_a_column_that_stands_twice_is_refused(name):
    table = hourly().rename(columns={"wind": name})
    with pytest.raises(ValueError, match=f"{name!r}.*twice|two columns.*{name!r}"):
        make_forecast_frame(table, "temp", known="plan")


def test_a_name_that_is_taken_is_refused():
    table = hourly().rename(columns={"wind": "plan+1"})
    with pytest.raises(ValueError, match=r"already has a column 'plan\+1'"):
        make_forecast_frame(table, "temp", known="plan")


def test_a_plan_with_holes_is_refused_with_its_places():
    table = hourly()
    table.iloc[4, 1] = np.nan
    message = "column 'plan' has no value in 1 of 6 rows: row 4 at 2024-01-01 04:00:00"
    with pytest.raises(InvalidSequenceError, match=message):
        make_forecast_frame(table, "temp", known="plan")


@pytest.mark.parametrize(
    "horizon", [0, -1, True, [True], 1.5, "2", [], [3, 1], [1, 1], [0, 1], None, [1.0]]
)
def test_senseless_horizons_are_refused(horizon):
    with pytest.raises(ValueError, match="horizon must be an int of at least 1"):
        make_forecast_frame(hourly(), "temp", horizon)


@pytest.mark.parametrize("horizon", [(2, 3), np.array([2, 3]), range(2, 4)])
def test_a_list_of_steps_may_be_any_sequence(horizon):
    _, Y = make_forecast_frame(hourly(), "temp", horizon)
    assert list(Y.columns) == ["temp+2", "temp+3"]
    assert Y.iloc[0].tolist() == [2, 3]


def test_an_empty_table_is_refused():
    with pytest.raises(InvalidSequenceError, match="the table has 0 rows, too few"):
        make_forecast_frame(hourly()[:0], "temp", known="plan")
