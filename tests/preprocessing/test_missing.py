"""missing="mask": of values in SequenceWindower, of rows in make_forecast_frame."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from old_versions import needs_pandas_3
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    InvalidSequenceError,
    RNNRegressor,
    SequenceWindower,
    make_forecast_frame,
)

NAN = np.nan


def hourly(values, start="2024-01-01", **columns):
    index = pd.date_range(start, periods=len(values), freq="h", name="when")
    return pd.DataFrame({"temp": values, **columns}, index=index, dtype=float)


def masked(n_steps=3, **options):
    return SequenceWindower(n_steps, missing="mask", **options)


def last_steps(windows):
    return np.array([window[-1] for window in windows])


def assert_same_windows(actual, expected):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# Values: what stands in.


def test_the_last_value_seen_stands_in_and_a_flag_says_so():
    table = hourly([1, NAN, NAN, 4, NAN], wind=[5, 6, 7, 8, 9])
    windows = masked().fit_transform(table)
    expected = [[1, 5, 0], [1, 6, 1], [1, 7, 1], [4, 8, 0], [4, 9, 1]]
    assert last_steps(windows).tolist() == expected
    assert windows[3].tolist() == expected[1:4]


def test_no_value_is_taken_from_the_future():
    table = hourly([1, NAN, 3, NAN, NAN, 6])
    before = masked().fit(table).transform(table)
    table.iloc[5] = 1000
    table.iloc[2] = NAN
    after = masked().fit(hourly([1, NAN, 3, NAN, NAN, 6])).transform(table)
    assert_same_windows(after[:2], before[:2])


def test_the_mean_of_fit_stands_in_before_the_first_value():
    windows = masked().fit_transform(hourly([NAN, NAN, 2, 4, NAN]))
    assert last_steps(windows)[:, 0].tolist() == [3, 3, 2, 4, 4]
    later = hourly([NAN, 50, NAN], start="2025-01-01")
    windows = masked().fit(hourly([NAN, NAN, 2, 4, NAN])).transform(later)
    assert last_steps(windows)[:, 0].tolist() == [3, 50, 50]


def test_nothing_is_carried_over_a_break():
    table = hourly([1, NAN, 3, NAN, 5, 9] + [6.0] * 20).drop(
        pd.Timestamp("2024-01-01 02:00")
    )
    windows = masked().fit_transform(table)
    mean = table["temp"].mean()
    assert last_steps(windows)[:3].tolist() == [[1, 0], [1, 1], [mean, 1]]


def in_turn():
    """Two series in turn, with holes."""
    return pd.DataFrame(
        {
            "station": ["north", "south"] * 5,
            "time": pd.date_range("2024-01-01", periods=5, freq="h").repeat(2),
            "temp": [1, 100, NAN, NAN, 3, NAN, NAN, 104, 5, NAN],
        }
    )


def test_nothing_is_carried_from_series_to_series():
    windows = masked(time="time", group_by="station").fit_transform(in_turn())
    expected = [1, 100, 1, 100, 3, 100, 3, 104, 5, 104]
    assert last_steps(windows)[:, 0].tolist() == expected
    table = in_turn().sort_values("station", kind="stable").iloc[1:]
    table.iloc[0, 2] = 7
    table.iloc[4, 2] = NAN  # the south begins with a hole
    windows = masked(time="time", group_by="station").fit_transform(table)
    assert last_steps(windows)[4, 0] == table["temp"].mean()


def test_an_array_without_times_is_filled_from_row_to_row():
    windower = masked(2)
    windows = windower.fit_transform([[1.0, NAN], [NAN, 2.0], [3.0, 4.0]])
    expected = [[1, 3, 0, 1], [1, 2, 1, 0], [3, 4, 0, 0]]
    assert last_steps(windows).tolist() == expected
    names = ["x0", "x1", "missingindicator_x0", "missingindicator_x1"]
    assert windower.get_feature_names_out().tolist() == names


@pytest.mark.parametrize("dtype", ["Float64", "double[pyarrow]", "float32", object])
def test_missing_values_of_every_kind_of_column(dtype):
    table = hourly([1, NAN, 3, NAN])
    expected = masked().fit_transform(table)
    column = table["temp"].astype(dtype)
    if dtype is object:
        column = column.where(column.notna(), None)
    assert_same_windows(masked().fit_transform(column.to_frame()), expected)


def test_a_polars_frame_is_filled():
    table = hourly([1, NAN, 3, NAN]).reset_index()
    frame = pl.from_pandas(table)
    expected = masked(time="when").fit_transform(table)
    assert_same_windows(masked(time="when").fit_transform(frame), expected)


def test_the_table_of_the_user_stays_as_it_is():
    table = hourly([1, NAN, 3, NAN])
    before = table.copy()
    masked().fit_transform(table)
    pd.testing.assert_frame_equal(table, before)


# Flags.


def test_only_columns_with_holes_in_fit_have_a_flag():
    table = hourly([1, NAN, 3], wind=[1, 2, 3], rain=[NAN, 1, 1])
    windower = masked().fit(table)
    names = ["temp", "wind", "rain", "missingindicator_temp", "missingindicator_rain"]
    assert windower.get_feature_names_out().tolist() == names
    assert windower.transform(table).feature_names == tuple(names)


def test_a_hole_in_a_column_without_a_flag_is_filled_all_the_same():
    windower = masked().fit(hourly([1, NAN, 3], wind=[1, 2, 3]))
    later = hourly([4, 5], start="2024-01-01 03:00", wind=[NAN, 5])
    assert last_steps(windower.transform(later)).tolist() == [[4, 3, 0], [5, 5, 0]]


def test_a_flag_stays_where_transform_sees_no_hole():
    windower = masked().fit(hourly([1, NAN, 3]))
    later = hourly([4, 5], start="2025-01-01")
    assert last_steps(windower.transform(later)).tolist() == [[4, 0], [5, 0]]


def test_without_mask_holes_stay():
    table = hourly([1, NAN, 3])
    windower = SequenceWindower(2)
    windows = windower.fit_transform(table)
    assert np.isnan(windows[1][-1, 0])
    assert windower.get_feature_names_out().tolist() == ["temp"]


# History.


@pytest.mark.parametrize("n_steps", [1, 2, 3, 6])
@pytest.mark.parametrize("cut", [3, 4, 5, 8])
def test_history_is_carried_over_as_if_the_table_were_one(n_steps, cut):
    values = [NAN, 2, NAN, 4, NAN, NAN, NAN, 8, 9, NAN, 11]
    table = hourly(values, wind=np.arange(11) * 10.0)
    table.iloc[6, 1] = NAN
    windower = masked(n_steps).fit(table[:cut])
    # The same means and flags: fitted on the beginning, without its history.
    alone = masked(n_steps, history=None).fit(table[:cut])
    expected = alone.transform(table)[cut:]
    assert_same_windows(windower.transform(table[cut:]), expected)


@pytest.mark.parametrize("n_steps", [1, 3])
def test_history_of_several_series_is_carried_over(n_steps):
    options = {"time": "time", "group_by": "station"}
    table = in_turn()
    windower = masked(n_steps, **options).fit(table[:4])
    alone = masked(n_steps, history=None, **options).fit(table[:4])
    expected = alone.transform(table)[4:]
    assert_same_windows(windower.transform(table[4:]), expected)
    shuffled = [5, 4, 7, 6, 9, 8]
    found = windower.transform(table.iloc[shuffled])
    assert_same_windows(found, expected[[1, 0, 3, 2, 5, 4]])


@pytest.mark.parametrize("n_steps", [1, 3])
def test_history_by_force_carries_over_too(n_steps):
    values = np.array([[1.0], [NAN], [3.0], [NAN]])
    windower = masked(n_steps, history="train").fit(values[:3])
    assert windower.transform(values[3:])[0][-1].tolist() == [3, 1]


def test_without_history_nothing_is_carried_over():
    table = hourly([1, NAN, 3, NAN])
    windows = masked(history=None).fit(table[:3]).transform(table[3:])
    assert windows[0].tolist() == [[2, 1]]


def test_history_does_not_reach_over_a_break():
    table = hourly([1, NAN, 3])
    later = hourly([NAN, 9], start="2024-01-02")
    assert masked().fit(table).transform(later)[0].tolist() == [[2, 1]]


def test_a_pickled_windower_fills_the_same():
    table = hourly([1, NAN, 3, NAN, 5])
    windower = masked().fit(table[:3])
    copy = pickle.loads(pickle.dumps(windower))
    assert_same_windows(copy.transform(table[3:]), windower.transform(table[3:]))


def test_a_flag_tells_the_network():
    rng = np.random.default_rng(0)
    gone = rng.uniform(size=300) < 0.5
    table = hourly(np.where(gone, NAN, rng.normal(size=300)))
    options = {"hidden_size": 4, "max_epochs": 20, "random_state": 0}
    network = RNNRegressor(learning_rate=0.03, input_dropout=0.0, **options)
    model = make_pipeline(masked(2), network).fit(table, gone * 10.0)
    assert model.score(table, gone * 10.0) > 0.9


# What the windower refuses.


def test_a_column_without_any_value_is_refused():
    table = hourly([1, 2], wind=[NAN, NAN])
    with pytest.raises(InvalidSequenceError, match="column 'wind' of X has no value"):
        masked().fit(table)
    with pytest.raises(InvalidSequenceError, match="column 1 of X has no value"):
        masked().fit(table.to_numpy())


def test_a_column_may_be_empty_later():
    windower = masked().fit(hourly([1, NAN, 3]))
    later = hourly([NAN, NAN], start="2025-01-01")
    assert last_steps(windower.transform(later)).tolist() == [[2, 1], [2, 1]]


def test_sequences_are_refused():
    with pytest.raises(InvalidSequenceError, match="fills a table, and X is sequences"):
        masked().fit(np.zeros((3, 4, 2)))
    with pytest.raises(InvalidSequenceError, match="fills a table, and X is sequences"):
        masked().fit(hourly([1, NAN, 3])).transform(np.zeros((3, 4, 2)))


@pytest.mark.parametrize("missing", ["raise", True, "ffill", 0])
def test_only_mask_is_known_to_the_windower(missing):
    with pytest.raises(ValueError, match="'missing' parameter of SequenceWindower"):
        SequenceWindower(missing=missing).fit(hourly([1, 2]))


# Rows: make_forecast_frame(missing="mask").


def test_missing_hours_become_rows_of_nan():
    table = hourly(np.arange(8.0), wind=np.arange(8) * 10.0)
    gappy = table.drop(table.index[[3, 4]])
    X, Y = make_forecast_frame(gappy, "temp", horizon=2, missing="mask")
    expected_X, expected_Y = make_forecast_frame(table, "temp", horizon=2)
    expected_X = expected_X.copy()
    expected_X.iloc[[3, 4]] = NAN
    expected_Y = expected_Y.mask(expected_Y.isin([3, 4]))
    pd.testing.assert_frame_equal(X, expected_X, check_freq=False)
    pd.testing.assert_frame_equal(Y, expected_Y, check_freq=False)


def test_a_whole_table_with_holes_keeps_its_rows():
    table = hourly([1, NAN, 3, 4])
    X, Y = make_forecast_frame(table, "temp", missing="mask")
    pd.testing.assert_frame_equal(X, table[:3])
    assert Y["temp+1"].isna().tolist() == [True, False, False]


def long_table():
    """Two stations below one another; the south begins later, the north has a gap."""
    north = hourly(np.arange(6.0)).reset_index().assign(station="north", height=5)
    south = hourly(np.arange(4.0) + 100, start="2024-01-01 02:00").reset_index()
    south = south.assign(station="south", height=9)
    return pd.concat([north.drop(index=[2]), south], ignore_index=True)


def test_every_series_is_filled_from_its_first_row_to_its_last():
    options = {"time": "when", "group_by": "station", "missing": "mask"}
    X, Y = make_forecast_frame(long_table(), "temp", **options)
    assert X["station"].tolist() == ["north"] * 5 + ["south"] * 3
    hours = X["when"].dt.hour
    assert hours.tolist() == [0, 1, 2, 3, 4, 2, 3, 4]
    np.testing.assert_array_equal(X["temp"], [0, 1, NAN, 3, 4, 100, 101, 102])
    np.testing.assert_array_equal(Y["temp+1"], [1, NAN, 3, 4, 5, 101, 102, 103])
    assert Y.index.equals(X.index)


def test_interleaved_series_are_filled_the_same():
    options = {"time": "when", "group_by": "station", "missing": "mask"}
    table = long_table()
    mixed = table.sort_values("when", kind="stable")
    X, Y = make_forecast_frame(table, "temp", **options)
    mixed_X, mixed_Y = make_forecast_frame(mixed, "temp", **options)
    assert mixed_X["when"].is_monotonic_increasing  # in time's order, as it was
    in_order = mixed_X.sort_values(["station", "when"])
    X = X.reset_index(drop=True)
    pd.testing.assert_frame_equal(in_order.reset_index(drop=True), X)
    mixed_Y = mixed_Y.loc[in_order.index].reset_index(drop=True)
    pd.testing.assert_frame_equal(mixed_Y, Y.reset_index(drop=True))


def test_a_table_without_gaps_stays_as_it_is():
    table = hourly(np.arange(5.0)).reset_index()
    X, _ = make_forecast_frame(table, "temp", time="when", missing="mask")
    pd.testing.assert_frame_equal(X, table[:-1])


@needs_pandas_3
def test_a_mistyped_date_makes_no_endless_grid():
    table = hourly(np.arange(5.0))
    table.index = [*table.index[:-1], pd.Timestamp("2924-01-01")]
    with pytest.raises(InvalidSequenceError, match=r"2924-01-01.* comes after 2024"):
        make_forecast_frame(table, "temp", freq="h", missing="mask")


@pytest.mark.parametrize("labels", [[7, 8], [2.5, 3.5], ["a", "b"]])
@pytest.mark.parametrize("as_category", [False, True])
def test_the_labels_of_series_stay_what_they_are(labels, as_category):
    table = long_table()
    table["station"] = table["station"].map({"north": labels[0], "south": labels[1]})
    if as_category:
        table["station"] = table["station"].astype("category")
    options = {"time": "when", "group_by": "station", "missing": "mask"}
    X, _ = make_forecast_frame(table, "temp", **options)
    assert X["station"].dtype == table["station"].dtype
    assert X["station"].tolist() == [labels[0]] * 5 + [labels[1]] * 3


def test_bools_become_numbers():
    table = long_table().assign(rain=True)
    options = {"time": "when", "group_by": "station", "missing": "mask"}
    X, _ = make_forecast_frame(table, "temp", **options)
    assert X["rain"].dtype == float
    np.testing.assert_array_equal(X["rain"], [1, 1, NAN, 1, 1, 1, 1, 1])


@pytest.mark.parametrize("kind", ["Int64", "int64[pyarrow]"])
def test_nullable_columns_keep_their_kind(kind):
    table = hourly([0, 1, 0, 1, 0]).assign(flag=[0, 1, 0, 1, 0])
    table["flag"] = table["flag"].astype(kind)
    X, _ = make_forecast_frame(table.drop(table.index[2]), "temp", missing="mask")
    assert X["flag"].dtype == kind
    assert X["flag"].isna().tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2024-03-30", periods=30, freq="h", tz="Europe/Berlin"),
        pd.date_range("2024-03-20", periods=30, freq="D", tz="Europe/Berlin"),
        pd.date_range("2024-01-01", periods=30, freq="MS"),
        pd.date_range("2024-01-31", periods=30, freq="ME"),
        pd.period_range("2024-01", periods=30, freq="M"),
        pd.timedelta_range("1h", periods=30, freq="5min"),
        pd.RangeIndex(30),
        pd.Index(np.arange(30) * 7),
        pd.Index(np.arange(30) * 0.1),
    ],
    ids=lambda index: type(index).__name__ + str(index[1]),
)
def test_the_grid_of_every_kind_of_times_is_filled(index):
    table = pd.DataFrame({"temp": np.arange(30.0)}, index=index)
    X, _ = make_forecast_frame(table.drop(index[[12]]), "temp", missing="mask")
    if index.dtype.kind == "f":
        np.testing.assert_allclose(X.index, index[:29])
    else:
        assert X.index.equals(index[:29])
    assert np.flatnonzero(X["temp"].isna()).tolist() == [12]


def test_business_days_are_filled_with_freq():
    days = pd.date_range("2024-01-01", periods=30, freq="B")
    table = pd.DataFrame({"temp": np.arange(30.0)}, index=days)
    options = {"missing": "mask", "freq": "B"}
    X, _ = make_forecast_frame(table.drop(days[12]), "temp", **options)
    assert X.index.equals(days[:29])


def test_levels_of_an_index_stay():
    table = long_table().set_index(["station", "when"])
    options = {"time": "when", "group_by": "station", "missing": "mask"}
    X, _ = make_forecast_frame(table, "temp", **options)
    np.testing.assert_array_equal(X["temp"], [0, 1, NAN, 3, 4, 100, 101, 102])
    windows = masked(time="when", group_by="station").fit_transform(X)
    assert len(windows) == 8


def test_columns_may_have_numbers_for_names_once_they_are_strings():
    table = long_table()[["when", "station", "temp"]].set_axis([0, 1, 2], axis=1)
    with pytest.raises(InvalidSequenceError, match=r"df\.columns\.astype\(str\)"):
        make_forecast_frame(table, 2, time=0, group_by=1, missing="mask")
    table.columns = table.columns.astype(str)
    options = {"time": "0", "group_by": "1", "missing": "mask"}
    X, _ = make_forecast_frame(table, "2", **options)
    np.testing.assert_array_equal(X["2"], [0, 1, NAN, 3, 4, 100, 101, 102])


def test_rows_between_two_times_of_the_grid_are_refused():
    table = hourly(np.arange(30.0))
    times = table.index.to_list()
    times[20] += pd.Timedelta("7min")
    table = table.set_axis(pd.DatetimeIndex(times))
    message = "row 20 at 2024-01-01 20:07:00 is not on the grid of the table"
    with pytest.raises(InvalidSequenceError, match=message):
        make_forecast_frame(table, "temp", missing="mask", freq="h")


def test_irregular_times_are_refused_with_mask_too():
    minutes = np.random.default_rng(0).integers(0, 59, size=30)
    table = hourly(np.arange(30.0))
    table = table.set_axis(table.index + pd.to_timedelta(minutes, unit="min"))
    with pytest.raises(InvalidSequenceError, match="not a regular step apart"):
        make_forecast_frame(table, "temp", missing="mask")


def test_polars_is_refused_with_mask():
    frame = pl.from_pandas(hourly(np.arange(5.0)).iloc[[0, 1, 3, 4]].reset_index())
    with pytest.raises(TypeError, match=r"needs pandas: pass df.to_pandas\(\)"):
        make_forecast_frame(frame, "temp", time="when", missing="mask")


@pytest.mark.parametrize("missing", ["auto", "ignore", True])
def test_other_words_are_refused(missing):
    with pytest.raises(ValueError, match="missing must be 'raise' or 'mask'"):
        make_forecast_frame(hourly([1, 2, 3]), "temp", missing=missing)


def test_holes_and_gaps_are_refused_by_default_with_the_way_out():
    table = hourly(np.arange(30.0))
    with pytest.raises(InvalidSequenceError, match=r"1 gap.*missing='mask'"):
        make_forecast_frame(table.drop(table.index[4]), "temp")
    table.iloc[4] = NAN
    with pytest.raises(InvalidSequenceError, match=r"'temp'.*missing='mask'"):
        make_forecast_frame(table, "temp")


def test_what_is_there_is_learned():
    rng = np.random.default_rng(0)
    table = hourly(np.sin(np.arange(400) / 2))
    gappy = table[rng.uniform(size=400) > 0.15]
    X, Y = make_forecast_frame(gappy, "temp", missing="mask", freq="h")
    options = {"hidden_size": 8, "max_epochs": 25, "random_state": 0}
    network = RNNRegressor(missing_targets="ignore", learning_rate=0.03, **options)
    model = make_pipeline(masked(8), network).fit(X, Y)
    X, Y = make_forecast_frame(table, "temp")
    assert model.score(X, Y) > 0.9
