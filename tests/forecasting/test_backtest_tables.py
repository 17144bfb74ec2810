"""Backtests of tables with gaps, of every kind, and what is refused."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from backtest_tables import HOURS, SHORT, make_table, two_series
from forecast_tables import GROUPED, make_model
from joblib import register_parallel_backend
from joblib.parallel import ThreadingBackend
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    TimeSeriesSplit,
)

from sklearn_rnn import (
    SklearnRNNWarning,
    TimeBlockSplit,
    backtest,
    make_forecast_frame,
    score_forecasts,
)

# What is missing.


def masked_model():
    return make_model(windower={"missing": "mask"}, missing_targets="ignore")


def with_holes():
    table = make_table()
    table.iloc[[3, 70, 71], 0] = table.iloc[80, 1] = np.nan
    return table.drop(table.index[[40, 90]])


def test_a_mask_stands_holes_and_gaps():
    table = with_holes()
    frame = backtest(masked_model(), table, "temp", 2, cv=2, missing="mask")
    whole = table["temp"].reindex(HOURS)
    np.testing.assert_array_equal(frame["truth"], whole[frame["time"]])
    assert frame["truth"].isna().sum() == 6
    assert frame["prediction"].notna().all()
    seasons_ago = whole.reindex(frame["time"] - pd.Timedelta("24h"))
    np.testing.assert_array_equal(frame["naive"], seasons_ago)
    first = whole[: frame["origin"].min()]
    scale = np.nanmean(np.abs(first.to_numpy()[24:] - first.to_numpy()[:-24]))
    np.testing.assert_allclose(frame.loc[frame["fold"] == 0, "scale"], scale)
    assert score_forecasts(frame)["n"].sum() == len(frame) - 6


def test_a_sensor_that_is_gone_for_long_is_filled_as_in_one_table():
    table = make_table()
    table.iloc[3, 1] = np.nan
    table.iloc[50:, 1] = np.nan
    model = masked_model().fit(*make_forecast_frame(table[:40], "temp", 2))
    frame = backtest(FrozenEstimator(model), table, "temp", 2, cv=1, missing="mask")
    X, _ = make_forecast_frame(table, "temp", 2)
    expected = model.predict(X)[-len(frame) // 2 :].ravel()
    np.testing.assert_allclose(frame["prediction"], expected)


def test_holes_and_gaps_are_refused_without_a_mask():
    with pytest.raises(ValueError, match="missing='mask'"):
        backtest(masked_model(), with_holes(), "temp", 2)


def test_a_series_without_any_value_has_no_score():
    table = two_series()
    table.loc[table["station"] == "south", "temp"] = np.nan
    model = make_model(
        windower={"missing": "mask", **GROUPED}, missing_targets="ignore"
    )
    options = {"missing": "mask", **SHORT, **GROUPED}
    frame = backtest(model, table, "temp", 2, cv=2, **options)
    assert frame["prediction"].notna().all()
    scores = score_forecasts(frame, by="station")
    assert scores.index.tolist() == ["north"]


# Tables and models of every kind.


@pytest.mark.thorough
def test_a_search_is_fitted_in_every_block():
    grid = {"sequencewindower__n_steps": [2, 9]}
    search = GridSearchCV(make_model(), grid, cv=TimeSeriesSplit(2))
    table = make_table()
    frame = backtest(search, table, "temp", 2, cv=1)
    X, Y = make_forecast_frame(table, "temp", 2)
    n_train = len(X) - len(frame) // 2 - 1
    fitted = clone(search).fit(X[:n_train], Y[:n_train])
    expected = fitted.predict(X)[-len(frame) // 2 :]
    np.testing.assert_allclose(frame["prediction"], expected.ravel())


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["polars", "Int64", "pyarrow"])
def test_tables_of_other_kinds(kind):
    table = make_table().mul(100).round().rename_axis("time").reset_index()
    options = {"target": "temp", "horizon": 2, "cv": 2, "time": "time"}
    model = make_model(windower={"time": "time"})
    expected = backtest(model, table, **options)
    backends = {"Int64": "numpy_nullable", "pyarrow": "pyarrow"}
    if kind == "polars":
        table = pl.from_pandas(table)
    else:
        table = table.convert_dtypes(dtype_backend=backends[kind])
    found = backtest(model, table, **options)
    np.testing.assert_allclose(found["prediction"], expected["prediction"])
    np.testing.assert_allclose(found["truth"], expected["truth"])
    assert (found["time"] == expected["time"]).all()


@pytest.mark.thorough
def test_a_series_needs_no_target():
    frame = backtest(make_model(), make_table()["temp"], horizon=2, cv=2)
    expected = backtest(make_model(), make_table()[["temp"]], "temp", 2, cv=2)
    pd.testing.assert_frame_equal(frame, expected)


@pytest.mark.thorough
@pytest.mark.parametrize("cv", [1, 2, TimeSeriesSplit(2)])
def test_without_times_rows_are_counted(cv):
    table = make_table().set_axis([f"row {i}" for i in range(120)])
    frame = backtest(make_model(), table, "temp", 2, cv=cv, season=24)
    assert (frame["time"] == frame["origin"] + frame["horizon"]).all()
    expected = table["temp"].to_numpy()[frame["time"]]
    np.testing.assert_array_equal(frame["truth"], expected)


@pytest.mark.thorough
def test_levels_of_an_index_are_read():
    table = two_series()
    model = make_model(windower=GROUPED)
    options = {"target": "temp", "horizon": 2, "cv": 2, **SHORT, **GROUPED}
    levels = backtest(model, table.set_index(["station", "time"]), **options)
    pd.testing.assert_frame_equal(levels, backtest(model, table, **options))


def test_a_constant_series_has_no_scale():
    table = make_table().assign(temp=3.0)
    frame = backtest(DummyRegressor(), table, "temp", 2, cv=2)
    assert (frame["scale"] == 0).all()
    assert (frame["prediction"] == 3).all()


@pytest.mark.thorough
def test_features_may_have_the_names_of_the_result():
    table = make_table().assign(prediction=1.0, horizon=2.0, **{"q0.5": 3.0})
    frame = backtest(Ridge(), table, "temp", 2, cv=2)
    assert "q0.5" not in frame
    assert set(frame["horizon"]) == {1, 2}


# What is refused.


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stride": 0}, "stride must be an int of at least 1, got 0"),
        ({"stride": -1}, "stride must"),
        ({"stride": 1.5}, "stride must"),
        ({"stride": "a"}, "stride must"),
        ({"stride": None}, "stride must"),
        ({"season": 0}, "season must be an int of at least 1, got 0"),
        ({"season": -3}, "season must"),
        ({"season": 1.5}, "season must"),
        ({"season": "D"}, "season must"),
        ({"season": True}, "season must"),
        ({"refit": "no"}, "refit must"),
        ({"cv": 0}, "at least 1"),
        ({"cv": True}, "at least 1"),
        ({"cv": 2.5}, "cv"),
        ({"cv": None}, "cv"),
        ({"cv": "five"}, "cv"),
        ({"horizon": 0}, "horizon must be an int of at least 1"),
        ({"horizon": True}, "horizon must"),
        ({"horizon": [3, 1]}, "horizon must"),
        ({"horizon": 120}, "too few for horizon=120"),
        ({"target": "snow"}, "target='snow' names no column"),
        ({"target": None}, "target=None names no column"),
        ({"known": "snow"}, "known='snow' names no column"),
        ({"known": "temp"}, "temp"),
        ({"missing": "x"}, "missing must be 'raise' or 'mask'"),
        ({"time": "snow"}, "time='snow' names no column"),
        ({"group_by": "snow"}, "group_by='snow' names no column"),
        ({"freq": "D"}, "gap"),
        ({"cv": 1000}, "n_splits=1000"),
    ],
    ids=str,
)
def test_senseless_options_are_refused(options, message):
    options = {"target": "temp", "horizon": 2, **options}
    with pytest.raises(ValueError, match=message):
        backtest(Ridge(), make_table(), **options)


@pytest.mark.parametrize("data", ["abc", None, np.zeros((50, 2)), [[1.0]]])
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(TypeError, match="backtest needs a pandas or polars DataFrame"):
        backtest(Ridge(), data, "temp")


@pytest.mark.parametrize("model", ["model", None, Ridge])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(TypeError):
        backtest(model, make_table(), "temp")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda table: table[:0], "the table has 0 rows"),
        (lambda table: table[::-1], "not sorted by time"),
        (lambda table: pd.concat([table, table[-1:]]), "twice"),
        (lambda table: pd.concat({"a": table}), "2 levels"),
        (lambda table: table.set_axis(["temp", "temp"], axis=1), "'temp'"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        backtest(Ridge(), change(make_table()), "temp", 2)


@pytest.mark.parametrize(
    "name", ["origin", "horizon", "prediction", "target", "fold", "scale", "q0.5"]
)
def test_a_name_of_the_result_cannot_tell_series_apart(name):
    table = two_series().rename(columns={"station": name})
    columns = {"time": "time", "group_by": name}
    with pytest.raises(ValueError, match=name):
        backtest(make_model(windower=columns), table, "temp", 2, cv=2, **columns)


def test_several_columns_of_series_are_no_bare_error():
    names = ["station", "kind"]
    with pytest.raises(ValueError, match="group_by="):
        backtest(Ridge(), make_table(), "temp", group_by=names)


# Rows that a splitter names.

ROWS = np.arange(118)  # those of make_table() with a target two steps ahead


def mask(begin, end, n_rows=118):
    rows = np.arange(n_rows)
    return (rows >= begin) & (rows < end)


@pytest.mark.parametrize(
    "cv",
    [
        [(mask(0, 60), mask(60, 90))],
        [(list(range(60)), list(range(60, 90)))],
        [(range(60), range(60, 90))],
        [[pd.Series(ROWS[:60]), pd.Index(ROWS[60:90])]],
        [(ROWS[:60][::-1], ROWS[60:90][::-1])],
        ((ROWS[:60], ROWS[60:90]) for _ in range(1)),
        [(ROWS[:60].astype(np.uint8), ROWS[60:90].astype(np.uint8))],
    ],
    ids=["masks", "lists", "ranges", "pandas", "backwards", "generator", "uint8"],
)
def test_rows_may_be_named_in_many_ways(cv):
    options = {"target": "temp", "horizon": 2, "season": 3}
    expected = backtest(Ridge(), make_table(), cv=[(ROWS[:60], ROWS[60:90])], **options)
    found = backtest(Ridge(), make_table(), cv=cv, **options)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    "splitter", [TimeSeriesSplit(3), TimeBlockSplit(3)], ids=["series", "block"]
)
def test_rows_past_the_last_target_are_named(splitter):
    cv = list(splitter.split(make_table()))
    message = (
        r"test rows of block 2 of cv include 2 .* 118 rows with a target.*: 118 to 119"
        r".* 120 rows, and the last 2 .* Pass the splitter itself"
    )
    with pytest.raises(ValueError, match=message):
        backtest(Ridge(), make_table(), "temp", 2, cv=cv)


@pytest.mark.parametrize(
    "cv, message",
    [
        (PredefinedSplit([-1] * 60 + [0] * 60), "block 0 .* include 2 .* 118 to 119"),
        ([(ROWS[:60], [-3, -2, -1])], "test rows of block 0 .* include 3 .*: -3 to -1"),
        ([([-118, -117], [40])], "training rows of block 0 .* include 2"),
        ([(ROWS[:60], [10**6])], "include 1"),
        ([(ROWS[:60], [2**63])], "include 1"),
        ([(ROWS[:60], [10**30])], "are object of shape"),
        ([(mask(0, 60, 120), mask(60, 120, 120))], "a mask of 118 bools"),
        ([(ROWS[:60], [])], "test rows of block 0 of cv are empty"),
        (
            [(ROWS[:60], ROWS[60:]), ([], ROWS[60:])],
            "training rows of block 1 .* empty",
        ),
        ([(ROWS[:60] / 1, ROWS[60:])], "are float64"),
        ([(ROWS[:60], [60, 60, 61])], "contain row 60 twice"),
        ([([1, 1, 2], [60])], "contain row 1 twice"),
        ([(ROWS[:60].reshape(2, 30), ROWS[60:])], r"shape \(2, 30\)"),
        ([(HOURS[:60], HOURS[60:90])], "are datetime64"),
        ([(slice(60), slice(60, 90))], "are object of shape"),
        ([(None, ROWS[60:])], "pass row indices"),
        ([("a", "b")], "pass row indices"),
        ([1, 2, 3], "one of them is 1"),
        ([(ROWS[:9], ROWS[9:20], ROWS[20:])], "one of them is"),
        ((ROWS[:60], ROWS[60:]), "one of them is"),
        (np.arange(4), "one of them is"),
        ([], "gives no block"),
        (TimeSeriesSplit, "cv must be an int, a splitter"),
        (10**12, "too few"),
    ],
    ids=str,
)
def test_rows_that_are_none_are_refused(cv, message):
    with pytest.raises(ValueError, match=message):
        backtest(Ridge(), make_table(), "temp", 2, cv=cv)


@pytest.mark.parametrize("season", [10**30, 2**63])
def test_a_huge_season_does_not_overflow(season):
    with pytest.warns(SklearnRNNWarning, match=f"a season of {season} rows"):
        frame = backtest(Ridge(), make_table(), "temp", cv=2, season=season)
    assert frame[["naive", "scale"]].isna().all(axis=None)


def test_a_infer_season_a_small_type_does_not_overflow():
    options = {"target": "temp", "horizon": 2, "cv": 2}
    found = backtest(Ridge(), make_table(), season=np.uint8(3), **options)
    expected = backtest(Ridge(), make_table(), season=3, **options)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.thorough
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_verbose_backtest_prints_a_line_per_block(n_jobs, capsys):
    options = {"target": "temp", "horizon": 2, "cv": 3, "season": 3}
    silent = backtest(Ridge(), make_table(), **options)
    assert capsys.readouterr().out == ""
    found = backtest(Ridge(), make_table(), n_jobs=n_jobs, verbose=True, **options)
    pd.testing.assert_frame_equal(found, silent)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for number, (_, block) in enumerate(silent.groupby("fold"), start=1):
        error = (block["prediction"] - block["truth"]).abs().mean()
        assert lines[number - 1].startswith(f"block {number} of 3: ")
        assert str(block["origin"].max()) in lines[number - 1]
        assert lines[number - 1].endswith(f"MAE {error:.4g}")


class WithoutGenerators(ThreadingBackend):
    """A backend that returns results at the end alone, as Ray's does."""

    supports_return_generator = False


def test_a_backend_that_returns_results_together_gives_the_same_forecasts():
    options = {"target": "temp", "horizon": 2, "cv": 3, "season": 3}
    expected = backtest(Ridge(), make_table(), **options)
    register_parallel_backend("without generators", WithoutGenerators)
    with joblib.parallel_config("without generators"):
        found = backtest(Ridge(), make_table(), n_jobs=2, **options)
    pd.testing.assert_frame_equal(found, expected)


def test_a_model_fitted_on_known_columns_is_tested_with_them():
    days = pd.date_range("2024-01-01", periods=60)
    table = pd.DataFrame({"sales": np.arange(60.0), "promo": np.arange(60) % 3}, days)
    X, Y = make_forecast_frame(table, "sales", horizon=2, known="promo")
    model = LinearRegression().fit(X, Y)
    with pytest.raises(ValueError, match=r"known=\['promo'\], or clone"):
        backtest(model, table, "sales", horizon=2, cv=2)
    assert len(backtest(model, table, "sales", horizon=2, cv=2, known="promo"))
    assert len(backtest(clone(model), table, "sales", horizon=2, cv=2))
