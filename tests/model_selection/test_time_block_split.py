"""Blocks of time, over tables of several series."""

import copy
import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    TimeSeriesSplit,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    InvalidSequenceError,
    RNNRegressor,
    SequenceArray,
    SequenceWindower,
    TimeBlockSplit,
    make_forecast_frame,
    make_windows,
)
from sklearn_rnn.datasets import load_nyc_weather


def hourly(n_rows=60, **kwargs):
    index = pd.date_range("2024-01-01", periods=n_rows, freq="h", **kwargs)
    return pd.DataFrame({"temp": np.arange(float(n_rows))}, index=index)


def stations(n_hours=None):
    weather = load_nyc_weather()[["station", "time", "temp", "dewp"]]
    if n_hours is not None:
        end = weather["time"].min() + pd.Timedelta(hours=n_hours)
        weather = weather[weather["time"] < end]
    return weather.reset_index(drop=True)


def on_a_grid(table):
    """Fill the hours that a station missed, as make_forecast_frame wants it."""
    hours = pd.date_range(table["time"].min(), table["time"].max(), freq="h")
    parts = [
        part.set_index("time").reindex(hours, method="nearest").assign(station=name)
        for name, part in table.groupby("station")
    ]
    return pd.concat(parts).rename_axis("time").reset_index()


def splits(splitter, X, groups=None):
    return [
        (train.tolist(), test.tolist())
        for train, test in splitter.split(X, groups=groups)
    ]


# Several series.


@pytest.mark.parametrize("sizes", [{}, {"test_size": 100, "gap": 5}, {"gap": "2D"}])
def test_no_time_is_cut_and_all_stations_are_cut_at_once(sizes):
    table = stations(1000)
    for train, test in TimeBlockSplit(4, time="time", **sizes).split(table):
        earlier, later = table["time"].iloc[train], table["time"].iloc[test]
        assert earlier.max() < later.min()
        assert set(table["station"].iloc[test]) == {"EWR", "JFK", "LGA"}
        # Every row of a time is there, or none.
        assert table["time"].isin(set(later)).sum() == len(test)
        assert table["time"].isin(set(earlier)).sum() == len(train)


def test_a_plain_split_of_rows_would_cut_times():
    # Why the splitter exists: stations stand below one another.
    table = stations(1000)
    train, test = next(TimeSeriesSplit(4).split(table))
    assert table["time"].iloc[train].max() > table["time"].iloc[test].min()


@pytest.mark.parametrize("gap", [5, "5h", pd.Timedelta("5h")])
def test_targets_in_training_end_before_those_of_the_test_begin(gap):
    horizon = 6
    table = on_a_grid(stations(500))
    table["when"] = table["time"].astype("int64")
    options = {"time": "time", "group_by": "station"}
    X, _ = make_forecast_frame(table, "temp", horizon, **options)
    _, when = make_forecast_frame(table, "when", horizon, **options)
    when = when.to_numpy()
    for train, test in TimeBlockSplit(3, gap=gap, time="time").split(X):
        first = X["time"].iloc[test].astype("int64").min()
        assert when[train].max() == first
        assert when[train].max() < when[test].min()
    for train, test in TimeBlockSplit(3, time="time").split(X):
        assert when[train].max() >= when[test].min()


def test_blocks_follow_one_another_to_the_last_time():
    table = stations(1000)
    parts = list(TimeBlockSplit(3, test_size="5D", time="time").split(table))
    last = table["time"].max()
    for k, (train, test) in enumerate(parts):
        end = last - (2 - k) * pd.Timedelta("5D")
        inside = (table["time"] > end - pd.Timedelta("5D")) & (table["time"] <= end)
        np.testing.assert_array_equal(test, np.flatnonzero(inside))
        np.testing.assert_array_equal(
            train, np.flatnonzero(table["time"] <= end - pd.Timedelta("5D"))
        )


def test_the_order_of_the_rows_does_not_matter():
    table = stations(300)
    shuffled = table.sample(frac=1, random_state=0)
    splitter = TimeBlockSplit(3, gap="7h", max_train_size="4D", time="time")
    parts = zip(splitter.split(table), splitter.split(shuffled), strict=True)
    for expected, got in parts:
        for rows, rows_of_shuffled in zip(expected, got, strict=True):
            assert (np.diff(rows_of_shuffled) > 0).all()
            same = np.sort(shuffled.index[rows_of_shuffled])
            np.testing.assert_array_equal(same, table.index[rows])


def test_counts_are_of_times_not_of_rows():
    table = pd.DataFrame({"day": np.repeat(np.arange(6), [1, 2, 3, 1, 2, 3])})
    splitter = TimeBlockSplit(2, test_size=1, gap=1, max_train_size=2, time="day")
    assert splits(splitter, table) == [
        ([1, 2, 3, 4, 5], [7, 8]),
        ([3, 4, 5, 6], [9, 10, 11]),
    ]


# One series: scikit-learn's own splits.


@pytest.mark.thorough
@pytest.mark.parametrize("n_rows", [12, 23, 60])
@pytest.mark.parametrize("n_splits", [2, 3, 5])
@pytest.mark.parametrize("gap", [0, 1, 3])
@pytest.mark.parametrize("test_size", [None, 1, 3, 7])
@pytest.mark.parametrize("max_train_size", [None, 1, 4, 100])
def test_one_series_is_split_as_by_time_series_split(
    n_rows, n_splits, gap, test_size, max_train_size
):
    sizes = {"gap": gap, "test_size": test_size, "max_train_size": max_train_size}
    table = hourly(n_rows)
    try:
        expected = splits(TimeSeriesSplit(n_splits, **sizes), table)
    except ValueError:
        with pytest.raises(ValueError, match="too few"):
            splits(TimeBlockSplit(n_splits, **sizes), table)
        return
    assert splits(TimeBlockSplit(n_splits, **sizes), table) == expected


@pytest.mark.parametrize("n_rows", [1, 3, 5])
def test_too_few_times_for_the_splits(n_rows):
    with pytest.raises(ValueError, match=f"X has {n_rows} distinct time.*too few"):
        splits(TimeBlockSplit(5), hourly(n_rows))


def test_one_split_holds_out_the_end():
    assert splits(TimeBlockSplit(1, test_size=2), hourly(5)) == [([0, 1, 2], [3, 4])]


# Spans.


@pytest.mark.parametrize("count, span", [(1, "1h"), (5, "5h"), (12, "0.5D")])
@pytest.mark.parametrize("name", ["test_size", "gap", "max_train_size"])
def test_a_span_on_a_grid_is_the_count_of_its_times(name, count, span):
    expected = splits(TimeBlockSplit(3, **{name: count}), hourly())
    length = pd.Timedelta(span)
    for given in (span, length, length.to_pytimedelta(), length.to_timedelta64()):
        assert splits(TimeBlockSplit(3, **{name: given}), hourly()) == expected
    sizes = {"test_size": 4, "gap": 2, "max_train_size": 6}
    expected = splits(TimeBlockSplit(3, **(sizes | {name: count})), hourly())
    spans = {"test_size": "4h", "gap": "2h", "max_train_size": "6h"}
    assert splits(TimeBlockSplit(3, **(spans | {name: span})), hourly()) == expected


def test_a_span_of_gap_counts_hours_without_observations():
    table = hourly(30).drop(hourly(30).index[18:24])
    # Test from hour 24 on; hours 18 to 23 are missing.
    assert splits(TimeBlockSplit(1, test_size="6h", gap="6h"), table)[0][0][-1] == 17
    assert splits(TimeBlockSplit(1, test_size="6h", gap="8h"), table)[0][0][-1] == 15
    assert splits(TimeBlockSplit(1, test_size="6h", gap=6), table)[0][0][-1] == 11


def test_a_span_of_training_ends_where_the_gap_begins():
    splitter = TimeBlockSplit(1, test_size="6h", gap="3h", max_train_size="4h")
    assert splits(splitter, hourly(30))[0][0] == [17, 18, 19, 20]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("start", ["2024-03-02", "2024-10-12"])
@pytest.mark.parametrize("name", ["test_size", "gap", "max_train_size"])
def test_days_in_a_string_are_days_of_the_calendar(zone, start, name):
    # Daily times at local midnight, over a change of the clocks.
    days = pd.date_range(start, periods=36, freq="D", tz=zone)
    table = pd.DataFrame({"temp": 0.0}, index=days)
    expected = splits(TimeBlockSplit(4, **{name: 7}), table)
    for week in ("7D", "7 days", "1W", "1 week"):
        assert splits(TimeBlockSplit(4, **{name: week}), table) == expected
    if name == "gap":
        assert splits(TimeBlockSplit(4, gap="D"), table) == splits(
            TimeBlockSplit(4, gap=1), table
        )


def test_other_spans_are_time_elapsed():
    # From the 31st on Berlin is an hour ahead: seven days of the clock, but an
    # hour less, lie between the 28th and the 4th.
    days = pd.date_range("2024-03-20", "2024-04-04", tz="Europe/Berlin")
    table = pd.DataFrame({"temp": 0.0}, index=days)
    assert len(splits(TimeBlockSplit(1, test_size="7D"), table)[0][1]) == 7
    for elapsed in ("168h", pd.Timedelta("7D"), np.timedelta64(7, "D")):
        assert len(splits(TimeBlockSplit(1, test_size=elapsed), table)[0][1]) == 8


@pytest.mark.parametrize("start", ["2024-03-30", "2024-10-26"])
def test_no_hour_is_lost_or_doubled_when_clocks_change(start):
    index = pd.date_range(start, periods=72, freq="h", tz="Europe/Berlin")
    table = pd.DataFrame({"temp": 0.0}, index=index)
    expected = splits(TimeBlockSplit(3, test_size=10, gap=2), table)
    assert splits(TimeBlockSplit(3, test_size="10h", gap="2h"), table) == expected
    # The bound of a day before may be an hour that is not there, or there twice.
    for hour in range(40, 72):
        ((train, test),) = splits(TimeBlockSplit(1, test_size="1D"), table[:hour])
        assert train + test == list(range(hour))
        assert 23 <= len(test) <= 25


def test_equal_moments_of_two_time_zones_are_one_time():
    utc = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC")
    table = pd.DataFrame({"time": utc.repeat(2), "x": 0})
    there = table.assign(time=table["time"].dt.tz_convert("Asia/Tokyo"))
    splitter = TimeBlockSplit(3, time="time")
    assert splits(splitter, table) == splits(splitter, there)


# Kinds of times.


def test_periods_are_times():
    months = pd.period_range("2023-01", periods=12, freq="M")
    table = pd.DataFrame({"sales": 0.0}, index=months)
    expected = splits(TimeSeriesSplit(3, gap=1), table)
    assert splits(TimeBlockSplit(3, gap=1), table) == expected
    # 61 days before the start of December is that of October, which is outside.
    for span, months in [("61D", [10, 11]), ("62D", [9, 10, 11])]:
        assert splits(TimeBlockSplit(1, test_size=span), table)[0][1] == months


def test_durations_are_times():
    table = hourly(20)
    table.index = table.index - table.index[0]
    expected = splits(TimeBlockSplit(3, test_size=3, gap=2), table)
    assert splits(TimeBlockSplit(3, test_size="3h", gap="2h"), table) == expected


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float32", "Int64"])
def test_numbers_are_times_and_floats_their_spans(dtype):
    table = hourly(24)
    table.index = pd.Index(np.arange(24) * 5 % 120, dtype=dtype)
    expected = splits(TimeBlockSplit(3, test_size=4, gap=2, max_train_size=5), table)
    splitter = TimeBlockSplit(3, test_size=20.0, gap=10.0, max_train_size=25.0)
    assert splits(splitter, table) == expected
    # A span need not be a multiple of the step.
    splitter = TimeBlockSplit(3, test_size=20.0, gap=7.5, max_train_size=22.5)
    assert splits(splitter, table) == splits(
        TimeBlockSplit(3, test_size=4, gap=1, max_train_size=5), table
    )


@pytest.mark.parametrize("step", [0.1, 1e-3, 1 / 3])
@pytest.mark.parametrize("begin", [0.0, 1e6])
def test_the_rounding_of_times_moves_no_bound(step, begin):
    table = hourly(50)
    table.index = begin + np.arange(50) * step
    expected = splits(TimeBlockSplit(4, test_size=7, gap=3, max_train_size=9), table)
    splitter = TimeBlockSplit(
        4, test_size=7 * step, gap=3 * step, max_train_size=9 * step
    )
    assert splits(splitter, table) == expected


def test_integer_times_stay_exact_however_large():
    table = hourly(20)
    table.index = table.index.astype("datetime64[ns]").astype("int64")
    hour = 3_600_000_000_000.0
    splitter = TimeBlockSplit(3, test_size=3 * hour, gap=2 * hour)
    expected = splits(TimeBlockSplit(3, test_size=3, gap=2), table)
    assert splits(splitter, table) == expected


def test_dates_before_nanoseconds_take_spans():
    days = np.arange("1500-01-01", "1500-02-01", dtype="datetime64[D]")
    table = pd.DataFrame({"x": 0}, index=days.astype("datetime64[s]"))
    assert splits(TimeBlockSplit(3, test_size="5D", gap="1D"), table) == splits(
        TimeBlockSplit(3, test_size=5, gap=1), table
    )


# What X may be.


def test_polars_pandas_levels_series_and_arrays_are_split_alike():
    table = stations(100)
    splitter = TimeBlockSplit(3, gap="3h", time="time")
    expected = splits(splitter, table)
    assert splits(splitter, pl.from_pandas(table)) == expected
    assert splits(splitter, table.set_index(["station", "time"])) == expected
    by_index = TimeBlockSplit(3, gap="3h")
    assert splits(by_index, table.set_index("time")) == expected
    assert splits(by_index, table.set_index("time")["temp"]) == expected
    hours = (table["time"] - table["time"].min()) // pd.Timedelta("1h")
    array = np.column_stack([table["temp"], hours])
    assert splits(TimeBlockSplit(3, gap=3.0, time=1), array) == expected
    assert splits(TimeBlockSplit(3, gap=3.0, time=-1), array) == expected


def test_groups_are_times_wherever_x_knows_none():
    table = stations(100)
    times = table["time"]
    splitter = TimeBlockSplit(3, gap="3h")
    expected = splits(TimeBlockSplit(3, gap="3h", time="time"), table)
    array = table["temp"].to_numpy()[:, None]
    for groups in (times, pd.Index(times), list(times), pl.Series(times)):
        assert splits(splitter, array, groups) == expected
    without_zone = times.dt.tz_localize(None).to_numpy()
    assert splits(splitter, array, without_zone) == expected
    # They come before an index that counts rows.
    assert splits(splitter, table[["temp"]], times) == expected


def test_windows_are_split_by_the_moment_of_their_last_row():
    table = stations(100)
    windows = SequenceWindower(5, time="time", group_by="station").fit_transform(table)
    sizes = {"test_size": 20, "gap": 4, "max_train_size": 30}
    expected = splits(TimeBlockSplit(2, time="time", **sizes), table)
    assert splits(TimeBlockSplit(2, **sizes), windows) == expected
    # A selection of windows knows its own moments only.
    rows = np.arange(0, len(table), 2)
    assert splits(TimeBlockSplit(2, time="time"), table.iloc[rows]) == splits(
        TimeBlockSplit(2), windows[rows]
    )


def test_windows_of_arrays_are_split_in_order():
    windows = make_windows(np.arange(40.0), n_steps=4)
    assert splits(TimeBlockSplit(3, gap=2), windows) == splits(
        TimeSeriesSplit(3, gap=2), windows
    )


# Inside scikit-learn.


@pytest.mark.thorough
def test_a_pipeline_of_windows_is_cross_validated():
    table = stations(120).ffill()
    X, Y = make_forecast_frame(
        on_a_grid(table), "temp", 3, time="time", group_by="station"
    )
    model = make_pipeline(
        SequenceWindower(6, time="time", group_by="station"),
        RNNRegressor(max_epochs=1, hidden_size=4, random_state=0),
    )
    splitter = TimeBlockSplit(2, test_size="1D", gap=2, time="time")
    scores = cross_val_score(model, X, Y, cv=splitter)
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()
    by_hand = []
    for train, test in splitter.split(X):
        fitted = model.fit(X.iloc[train], Y.iloc[train])
        by_hand.append(fitted.score(X.iloc[test], Y.iloc[test]))
    np.testing.assert_allclose(scores, by_hand, rtol=1e-6)


def test_searches_and_cross_validate_pass_times_as_groups():
    table = stations(100).fillna(0)
    X, y, times = table[["dewp"]].to_numpy(), table["temp"], table["time"]
    splitter = TimeBlockSplit(3, test_size="12h")
    named = TimeBlockSplit(3, test_size="12h", time="time")
    search = GridSearchCV(Ridge(), {"alpha": [1.0, 10.0]}, cv=splitter)
    search.fit(X, y, groups=times)
    assert search.n_splits_ == 3
    results = cross_validate(
        DummyRegressor(), X, y, groups=times, cv=splitter, return_indices=True
    )
    for got, (_, test) in zip(
        results["indices"]["test"], named.split(table), strict=True
    ):
        np.testing.assert_array_equal(got, test)


def test_metadata_routing_brings_the_times():
    table = stations(100).fillna(0)
    X, y, times = table[["dewp"]].to_numpy(), table["temp"], table["time"]
    splitter = TimeBlockSplit(3)
    expected = cross_val_score(Ridge(), X, y, cv=splitter, groups=times)
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(Ridge(), X, y, cv=splitter, params={"groups": times})
        indexed = table.set_index("time")[["dewp"]]
        by_index = cross_val_score(Ridge(), indexed, y, cv=splitter)
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_allclose(by_index, expected)


def test_the_splitter_shows_copies_and_pickles_its_parameters():
    splitter = TimeBlockSplit(3, test_size="7D", gap=2, time="time")
    assert repr(splitter) == (
        "TimeBlockSplit(gap=2, max_train_size=None, n_splits=3, test_size='7D',\n"
        "        time='time')"
    )
    assert splitter.get_n_splits() == splitter.get_n_splits(hourly()) == 3
    for other in (copy.deepcopy(splitter), pickle.loads(pickle.dumps(splitter))):
        assert repr(other) == repr(splitter)
    search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=splitter)
    assert repr(sklearn.clone(search).cv) == repr(splitter)


# Mistakes.


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_splits": 0}, "n_splits=0 should be an int of at least 1"),
        ({"n_splits": 2.0}, "n_splits=2.0 should be an int"),
        ({"n_splits": True}, "n_splits=True should be an int"),
        ({"test_size": 0}, "test_size=0 should be above 0"),
        ({"test_size": 0.0}, "test_size=0.0 should be above 0"),
        ({"test_size": "0h"}, "test_size='0h' should be above 0"),
        ({"test_size": "-1D"}, "test_size='-1D' should be above 0"),
        ({"max_train_size": 0}, "max_train_size=0 should be above 0"),
        ({"gap": -1}, "gap=-1 should be 0 or more"),
        ({"gap": -0.5}, "gap=-0.5 should be 0 or more"),
        ({"gap": np.nan}, "gap=nan should be 0 or more, and finite"),
        ({"gap": np.inf}, "gap=inf should be 0 or more, and finite"),
        ({"gap": datetime.timedelta(-1)}, "should be 0 or more"),
        ({"gap": None}, "gap=None should be an int, which counts distinct times"),
        ({"gap": True}, "gap=True should be an int"),
        ({"gap": [1]}, r"gap=\[1\] should be an int"),
        ({"gap": pd.NaT}, "gap=NaT should be an int"),
        ({"gap": np.timedelta64("NaT", "D")}, "is no span of time .it is missing"),
        ({"test_size": pd.Timestamp("2024-01-01")}, "should be an int"),
        ({"test_size": "7"}, "test_size='7' is no span of time.*'7D'"),
        ({"test_size": ""}, "is no span of time"),
        ({"test_size": "nan"}, "is no span of time .it is missing"),
        ({"test_size": "1M"}, "is no span of time.*unit of fixed length"),
        ({"test_size": np.timedelta64(1, "M")}, "is no span of time"),
        ({"test_size": "soon"}, "is no span of time"),
        ({"time": hourly().index}, "name of a column.*given to split, as groups"),
    ],
)
def test_parameters_out_of_range_are_refused_at_once(params, message):
    with pytest.raises(ValueError, match=message):
        TimeBlockSplit(**params)


def test_parameters_set_later_are_checked_in_split():
    splitter = TimeBlockSplit()
    splitter.gap = "never"
    with pytest.raises(ValueError, match="is no span of time"):
        splits(splitter, hourly())


@pytest.mark.parametrize("name", ["test_size", "gap", "max_train_size"])
def test_spans_must_fit_the_times(name):
    numbered = hourly().reset_index(drop=True)
    with pytest.raises(ValueError, match=f"{name} is a span of time.*give a float"):
        splits(TimeBlockSplit(3, **{name: "5h"}), numbered)
    with pytest.raises(ValueError, match=f"{name} is a float.*dates.*'7D'"):
        splits(TimeBlockSplit(3, **{name: 5.0}), hourly())
    with pytest.raises(ValueError, match="dates with a time zone"):
        splits(TimeBlockSplit(3, **{name: 5.0}), hourly(tz="UTC"))
    windows = SequenceWindower(3).fit_transform(hourly())
    with pytest.raises(ValueError, match=f"{name} is a span, but the windows"):
        splits(TimeBlockSplit(3, **{name: "5h"}), windows)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((9, 2)),
        [[1.0], [2.0], [3.0]],
        SequenceArray(np.zeros((9, 1)), starts=range(9), lengths=[1] * 9),
        pd.DataFrame({"x": [1, 2, 3]}, index=["a", "b", "c"]),
    ],
)
def test_rows_without_times_name_the_ways_out(X):
    with pytest.raises(InvalidSequenceError) as caught:
        splits(TimeBlockSplit(2), X)
    for way in (
        "time index",
        "time=",
        "SequenceWindower",
        "groups=",
        "TimeSeriesSplit",
    ):
        assert way in str(caught.value)


def test_a_table_whose_index_counts_rows_must_name_its_dates():
    with pytest.raises(InvalidSequenceError, match=r"time='time'\)"):
        splits(TimeBlockSplit(), stations(100))
    months = pd.period_range("2023-01", periods=12, freq="M")
    with pytest.raises(InvalidSequenceError, match=r"time='month'\)"):
        splits(TimeBlockSplit(), pd.DataFrame({"month": months, "x": 0}))
    # Where no column holds dates the index is the time.
    numbered = hourly(12).reset_index(drop=True)
    assert splits(TimeBlockSplit(3), numbered) == splits(TimeSeriesSplit(3), numbered)


def test_levels_and_polars_frames_must_name_their_times():
    table = stations(100)
    with pytest.raises(
        InvalidSequenceError, match=r"2 levels.*'station', 'time'.*time="
    ):
        numbered = table.assign(time=table["time"].dt.day_of_year)
        splits(TimeBlockSplit(), numbered.set_index(["station", "time"]))
    with pytest.raises(InvalidSequenceError, match="polars.*time=.*'station', 'time'"):
        splits(TimeBlockSplit(), pl.from_pandas(table))


def test_a_column_that_is_not_there_or_holds_no_times():
    table = stations(100)
    with pytest.raises(InvalidSequenceError, match="time='when' names no column"):
        splits(TimeBlockSplit(time="when"), table)
    with pytest.raises(InvalidSequenceError, match=r"'station'.*not times"):
        splits(TimeBlockSplit(time="station"), table)
    with pytest.raises(InvalidSequenceError, match="position"):
        splits(TimeBlockSplit(time="when"), np.zeros((9, 2)))
    with pytest.raises(InvalidSequenceError, match="time=2 names no column"):
        splits(TimeBlockSplit(time=2), np.zeros((9, 2)))
    with pytest.raises(ValueError, match="X is sequences"):
        splits(TimeBlockSplit(time="time"), make_windows(np.arange(9.0), n_steps=2))
    written = hourly()
    written.index = written.index.astype(str)
    with pytest.raises(
        InvalidSequenceError, match=r"dates as strings.*pd\.to_datetime"
    ):
        splits(TimeBlockSplit(), written)


def test_a_missing_time_is_refused():
    table = stations(100)
    table.loc[7, "time"] = pd.NaT
    with pytest.raises(InvalidSequenceError, match="no time in row 7"):
        splits(TimeBlockSplit(time="time"), table)
    with pytest.raises(InvalidSequenceError, match="no time in row 7"):
        splits(TimeBlockSplit(), np.zeros((len(table), 1)), table["time"])


def test_groups_that_are_not_times_are_refused():
    table = stations(100)
    X = table[["temp"]].to_numpy()
    with pytest.raises(
        InvalidSequenceError, match="groups as the times.*identifies series"
    ):
        splits(TimeBlockSplit(), X, table["station"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        splits(TimeBlockSplit(), X, table["time"][:-1])
    with pytest.raises(ValueError, match="times are given twice"):
        splits(TimeBlockSplit(time="time"), table, table["time"])


def test_empty_tables_are_refused():
    empty = [
        hourly().iloc[:0],
        np.zeros((0, 2)),
        [],
        make_windows([1, 2], n_steps=1)[:0],
    ]
    for X in empty:
        with pytest.raises(InvalidSequenceError, match=r"0 sample\(s\)"):
            splits(TimeBlockSplit(), X)


def test_a_test_block_inside_a_gap_of_the_data_is_refused():
    table = hourly(60).drop(hourly(60).index[20:50])
    with pytest.raises(ValueError, match=r"test block 1 of 2.*'10h', holds no time"):
        splits(TimeBlockSplit(2, test_size="10h"), table)
    assert len(splits(TimeBlockSplit(2, test_size=10), table)) == 2


def test_a_gap_that_leaves_nothing_to_train_on_is_refused():
    for gap in (10, "10h"):
        with pytest.raises(ValueError, match=r"no time is left.*2024-01-01 10:00"):
            splits(TimeBlockSplit(5, gap=gap), hourly())
