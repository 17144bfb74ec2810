import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    InvalidSequenceError,
    RNNRegressor,
    SequenceWindower,
    backtest,
    forecast,
    make_forecast_frame,
)
from sklearn_rnn.datasets import load_nyc_weather


def hourly(n_rows=6):
    index = pd.date_range("2024-01-01", periods=n_rows, freq="h", name="when")
    temp = np.arange(float(n_rows))
    return pd.DataFrame({"temp": temp, "wind": temp * 10}, index=index)


def long_table(n_rows=4):
    return pd.DataFrame(
        {
            "station": ["north", "south"] * n_rows,
            "time": pd.date_range("2024-01-01", periods=n_rows, freq="h").repeat(2),
            "temp": np.arange(2.0 * n_rows),
        }
    )


def test_column_k_is_the_target_k_rows_ahead():
    table = hourly()
    X, Y = make_forecast_frame(table, target="temp", horizon=3)
    pd.testing.assert_frame_equal(X, table.iloc[:3])
    assert list(Y.columns) == ["temp+1", "temp+2", "temp+3"]
    assert Y.index.equals(X.index)
    assert Y.to_numpy().tolist() == [[1, 2, 3], [2, 3, 4], [3, 4, 5]]


def test_the_declared_step_is_kept():
    assert make_forecast_frame(hourly(), target="temp")[0].index.freq == "h"


def test_several_targets_stand_one_after_the_other():
    Y = make_forecast_frame(hourly(), target=["temp", "wind"], horizon=2)[1]
    assert list(Y.columns) == ["temp+1", "temp+2", "wind+1", "wind+2"]
    assert Y.iloc[0].tolist() == [1, 2, 10, 20]


def test_the_tail_of_every_series_is_trimmed():
    X, Y = make_forecast_frame(
        long_table(), target="temp", horizon=2, time="time", group_by="station"
    )
    pd.testing.assert_frame_equal(X, long_table().iloc[:4])
    assert Y.to_numpy().tolist() == [[2, 4], [3, 5], [4, 6], [5, 7]]


def test_series_below_one_another_keep_their_order():
    table = long_table().sort_values(["station", "time"], ascending=[False, True])
    X, Y = make_forecast_frame(
        table, target="temp", horizon=3, time="time", group_by="station"
    )
    assert X["station"].tolist() == ["south", "north"]
    assert Y.to_numpy().tolist() == [[3, 5, 7], [2, 4, 6]]


@pytest.mark.parametrize("group_by", [None, "station"])
def test_polars_gives_the_numbers_of_pandas(group_by):
    table = long_table()
    if group_by is None:
        table = table.iloc[::2]
    options = {"target": ["temp"], "horizon": 2, "time": "time", "group_by": group_by}
    X, Y = make_forecast_frame(pl.from_pandas(table), **options)
    expected_X, expected_Y = make_forecast_frame(table, **options)
    assert isinstance(X, pl.DataFrame)
    assert isinstance(Y, pl.DataFrame)
    assert X["temp"].to_list() == expected_X["temp"].tolist()
    assert Y.columns == list(expected_Y.columns)
    np.testing.assert_array_equal(Y.to_numpy(), expected_Y.to_numpy())


def test_a_series_needs_no_target():
    X, Y = make_forecast_frame(hourly()["temp"], horizon=2)
    assert list(X.columns) == ["temp"]
    assert Y["temp+2"].tolist() == [2, 3, 4, 5]
    X, Y = make_forecast_frame(pl.Series("temp", [1, 2, 3]))
    assert Y["temp+1"].to_list() == [2, 3]


def test_an_unnamed_series_becomes_a_value():
    X, Y = make_forecast_frame(pd.Series([1, 2, 3]))
    assert list(X.columns) == ["value"]
    assert list(Y.columns) == ["value+1"]


def test_textual_targets_pass_through():
    table = hourly(4).assign(sky=list("abcd"))
    Y = make_forecast_frame(table, target=["temp", "sky"])[1]
    assert Y["sky+1"].tolist() == ["b", "c", "d"]


def test_missing_targets_are_refused_with_their_places_or_passed_on():
    table = hourly(4).assign(temp=[1.0, np.nan, 3.0, 4.0])
    where = "'temp' has no value in 1 of 4 rows: row 1 at 2024-01-01 01:00:00"
    with pytest.raises(InvalidSequenceError, match=where):
        make_forecast_frame(table, target="temp")
    Y = make_forecast_frame(table, target="temp", missing="mask")[1]
    np.testing.assert_array_equal(Y["temp+1"], [np.nan, 3, 4])


def test_string_labels_are_not_checked():
    X, _ = make_forecast_frame(hourly(3).set_axis(list("zxy")), target="temp")
    assert X.index.tolist() == ["z", "x"]


def test_gaps_are_refused_with_their_places():
    with pytest.raises(
        InvalidSequenceError,
        match=r"14 gap\(s\).* other than h: row 10 at 2013-01-01 16:00:00\+00:00 to "
        r"row 11 at 2013-01-01 18:00:00.*, \.\.\..*df.asfreq\('h'\)\.interpolate",
    ):
        make_forecast_frame(load_nyc_weather("JFK"), target="temp")


def test_gaps_of_a_panel_name_their_series_and_fill_gaps():
    table = pd.concat([hourly(5).assign(shop=s) for s in "ab"]).reset_index(names="t")
    options = {"target": "temp", "time": "t", "group_by": "shop"}
    with pytest.raises(
        InvalidSequenceError,
        match=r"row 6 at 2024-01-01 01:00:00 to row 7 at 2024-01-01 03:00:00 of shop "
        r"'b'\. Add the missing rows with fill_gaps\(df, time='t', group_by='shop'\), "
        "with known= for columns that are known",
    ):
        make_forecast_frame(table.drop(7).reset_index(drop=True), **options)
    with pytest.raises(InvalidSequenceError, match=r"fill_gaps\(df, freq='h', time="):
        make_forecast_frame(table.drop(7), freq="h", **options)
    table.loc[8, "temp"] = np.nan
    with pytest.raises(
        InvalidSequenceError, match="row 8 at .* of shop 'b'. Fill in the NaN"
    ):
        make_forecast_frame(table, **options)


def test_a_filled_grid_is_accepted():
    weather = load_nyc_weather("JFK").asfreq("h").interpolate()
    X, Y = make_forecast_frame(weather, target="temp", horizon=24)
    assert len(X) == len(Y) == len(weather) - 24


def test_a_given_freq_is_the_step():
    table = hourly().iloc[::2]
    assert len(make_forecast_frame(table, target="temp")[0]) == 2
    with pytest.raises(InvalidSequenceError, match="gap"):
        make_forecast_frame(table, target="temp", freq="h")


def test_irregular_times_are_refused():
    days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-14"])
    with pytest.raises(InvalidSequenceError, match="not a regular step apart"):
        make_forecast_frame(hourly(4).set_axis(days), target="temp")


@pytest.mark.parametrize(
    ("rows", "message"),
    [([0, 1, 1, 2], "twice, in rows 1 and 2"), ([0, 2, 1, 3], "not sorted by time")],
)
def test_duplicate_and_unsorted_times_are_refused(rows, message):
    with pytest.raises(InvalidSequenceError, match=message):
        make_forecast_frame(hourly().iloc[rows], target="temp")


@pytest.mark.parametrize("horizon", [4, 5])
def test_a_horizon_beyond_the_table_is_refused(horizon):
    with pytest.raises(InvalidSequenceError, match=rf"4 rows.*horizon={horizon}"):
        make_forecast_frame(hourly(4), target="temp", horizon=horizon)
    with pytest.raises(InvalidSequenceError, match="longest series has 4 rows"):
        make_forecast_frame(
            long_table(),
            target="temp",
            horizon=horizon,
            time="time",
            group_by="station",
        )


@pytest.mark.parametrize("horizon", [0, -1, 1.5])
def test_a_horizon_below_one_is_refused(horizon):
    with pytest.raises(ValueError, match="horizon must be an int of at least 1"):
        make_forecast_frame(hourly(), target="temp", horizon=horizon)


@pytest.mark.parametrize("target", ["rain", ["temp", "rain"], None, []])
def test_an_unknown_target_is_refused_with_the_columns(target):
    with pytest.raises(ValueError, match=r"\['temp', 'wind'\]"):
        make_forecast_frame(hourly(), target=target)


def test_arrays_are_sent_to_make_windows():
    with pytest.raises(TypeError, match="make_windows"):
        make_forecast_frame(np.zeros((5, 2)), target=0)


# Names of columns.

TWO_LEVELS = pd.MultiIndex.from_tuples([("temp", "mean"), ("temp", 3)])
OTHER_NAMES = {
    "ints": [0, 1],
    "range": pd.RangeIndex(2),
    "mixed": ["temp", 1],
    "levels": TWO_LEVELS,
    "dates": pd.to_datetime(["2024-01-01", "2024-01-02"]),
    "none": [None, "wind"],
    "floats": [0.5, 1.5],
    "bools": [True, False],
    "bytes": [b"temp", b"wind"],
    "np.str_": pd.Index([np.str_("temp"), np.str_("wind")], dtype=object),
}


@pytest.mark.parametrize("names", OTHER_NAMES.values(), ids=OTHER_NAMES)
def test_names_that_are_no_strings_are_refused_with_the_way_out(names):
    table = hourly(30).set_axis(names, axis=1)
    target = table.columns[0]
    remedy = r"needs strings as column names.*df\.columns = "
    for refused in (
        lambda: make_forecast_frame(table, target, 2),
        lambda: backtest(Ridge(), table, target, 2, cv=2),
        lambda: CalendarFeatures(["hour"]).fit(table),
    ):
        with pytest.raises(InvalidSequenceError, match=remedy):
            refused()
    model = Ridge().fit(*make_forecast_frame(hourly(30), "temp", 2))
    with pytest.raises(InvalidSequenceError, match=remedy):
        forecast(model, table, target="temp", horizon=2)


@pytest.mark.parametrize("names", [[0, 1], TWO_LEVELS])
def test_names_made_strings_work_throughout(names):
    table = hourly(30).set_axis(names, axis=1)
    if isinstance(table.columns, pd.MultiIndex):
        table.columns = ["_".join(map(str, name)) for name in table.columns]
    else:
        table.columns = table.columns.astype(str)
    target = table.columns[0]
    network = RNNRegressor(hidden_size=2, max_epochs=1, target_feature="auto")
    model = make_pipeline(CalendarFeatures(["hour"]), SequenceWindower(3), network)
    X, Y = make_forecast_frame(table, target, 2, known=table.columns[1])
    future = table.set_axis(table.index + pd.Timedelta("30h"))
    assert len(forecast(model.fit(X, Y), table, future=future)) == 2


@pytest.mark.parametrize("name", [0, ("a", "b"), 1.5])
def test_a_series_with_such_a_name_is_refused(name):
    with pytest.raises(InvalidSequenceError, match="needs strings as column names"):
        make_forecast_frame(hourly()["temp"].rename(name))


@pytest.mark.parametrize(
    "target", [0, True, ["temp", 0], {"temp"}, slice(None), [["temp"]], b"temp"]
)
@pytest.mark.parametrize("parameter", ["target", "known"])
def test_what_names_no_column_is_refused(parameter, target):
    options = {"target": "wind", parameter: target}
    with pytest.raises(ValueError, match=f"{parameter}=.* names no column"):
        make_forecast_frame(hourly(), **options)


@pytest.mark.parametrize("several", [np.array, pd.Index, list, tuple])
def test_targets_may_be_listed_in_any_way(several):
    Y = make_forecast_frame(hourly(), several(["temp", "wind"]))[1]
    assert list(Y.columns) == ["temp+1", "wind+1"]


def test_a_column_named_like_a_step_ahead_stays_a_column():
    table = hourly(30).assign(**{"temp+1": 1.0})
    network = RNNRegressor(hidden_size=2, max_epochs=1, target_feature="auto")
    model = make_pipeline(SequenceWindower(3), network)
    model.fit(*make_forecast_frame(table, "temp", 2))
    assert len(forecast(model, table)) == 2
    with pytest.raises(ValueError, match=r"yet now missing:\n- temp\+1"):
        forecast(model, hourly(30))


# Horizons and steps beyond all bounds.


@pytest.mark.thorough
@pytest.mark.parametrize(
    "horizon", [10**7, 10**12, 10**30, [1, 10**12], range(1, 10**12), np.int64(2**62)]
)
def test_a_huge_horizon_is_refused_at_once(horizon):
    with pytest.raises(ValueError, match="more than the maximum of 1000000 steps"):
        make_forecast_frame(hourly(), "temp", horizon)
    model = Ridge().fit(*make_forecast_frame(hourly(30), "temp", 2))
    with pytest.raises(ValueError, match="more than the maximum of 1000000 steps"):
        forecast(model, hourly(30), target="temp", horizon=horizon)


@pytest.mark.parametrize("horizon", [[[1], [2, 3]], np.array(3), {1, 3.5}, [1, "2"]])
def test_lists_that_are_no_steps_are_refused(horizon):
    with pytest.raises(ValueError, match="horizon must be an int of at least 1"):
        make_forecast_frame(hourly(), "temp", horizon)


def test_small_types_do_not_overflow():
    Y = make_forecast_frame(hourly(300), "temp", np.uint8(255))[1]
    assert Y.shape == (45, 255)


@pytest.mark.parametrize(
    "index, freq",
    [
        (pd.date_range("2024-01-01", periods=9, freq="D"), pd.NaT),
        (pd.date_range("2024-01-01", periods=9, freq="D"), "nonsense"),
        (pd.date_range("2024-01-01", periods=9, freq="D"), "10000000MS"),
        (pd.date_range("2024-01-01", periods=9, freq="D"), pd.DateOffset(years=10**6)),
        (pd.date_range("2024-01-01", periods=9, freq="D"), pd.DateOffset(months=1)),
        (pd.date_range("2024-01-01", periods=9, freq="D").as_unit("ns"), "9999999MS"),
        (pd.period_range("2024-01", periods=9, freq="M"), "h"),
        (pd.period_range("2024-01", periods=9, freq="M"), pd.DateOffset(months=1)),
        (pd.RangeIndex(9), np.timedelta64(1, "D")),
        (pd.Index(np.arange(9) / 2), float("nan")),
        (pd.Index(np.arange(9) / 2), float("inf")),
        (pd.Index(np.arange(9) / 2), 10**30),
        (pd.RangeIndex(9), 10**30),
    ],
    ids=str,
)
@pytest.mark.parametrize("missing", ["raise", "mask"])
def test_a_freq_that_fits_no_row_is_refused(index, freq, missing):
    table = pd.DataFrame({"temp": np.arange(9.0)}, index=index)
    with pytest.raises(InvalidSequenceError):
        make_forecast_frame(table, "temp", 2, freq=freq, missing=missing)


@pytest.mark.parametrize(
    "index",
    [
        pd.Index(np.arange(9) + (2**63 - 10)),
        pd.Index(np.arange(9) * 2e307),
        pd.period_range("9999-04", periods=9, freq="M"),
        pd.date_range("2262-04-03", periods=9, freq="D").as_unit("ns"),
        pd.date_range("9999-12-23", periods=9, freq="D", unit="s"),
    ],
    ids=["numbers", "floats", "periods", "nanoseconds", "seconds"],
)
def test_a_forecast_past_the_last_time_is_refused(index):
    table = pd.DataFrame({"temp": np.arange(9.0)}, index=index)
    model = Ridge().fit(table, table["temp"])
    with pytest.raises(InvalidSequenceError, match="the last possible time"):
        forecast(model, table, target="temp", horizon=[1000])
