"""Windows of tables."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from windower_tables import assert_same_windows, hourly, lengths, two_series

from sklearn_rnn import (
    InvalidSequenceError,
    SequenceWindower,
    WindowHistoryWarning,
)
from sklearn_rnn.datasets import load_nyc_weather

# Folds from the middle of a table leave a hole in the training rows.
CUT_BY_A_FOLD = pytest.mark.filterwarnings("ignore:.*windows are shorter than n_steps")


# What a window is.


def test_window_i_ends_at_row_i_and_holds_the_rows_before_it():
    X = np.arange(10.0).reshape(5, 2)
    windows = SequenceWindower(3).fit_transform(X)
    assert_same_windows(windows, [X[max(0, i - 2) : i + 1] for i in range(5)])


def test_windows_of_an_array_share_its_memory():
    X = np.random.RandomState(0).randn(100, 3)
    assert np.shares_memory(SequenceWindower(24).fit_transform(X).values, X)


def test_windowing_a_frame_takes_one_copy_of_its_values():
    n_rows = 100_000
    table = hourly(n_rows, 8)
    size = table.to_numpy().nbytes
    tracemalloc.start()
    windows = SequenceWindower(168).fit_transform(table)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(windows) == n_rows
    assert kept < 1.4 * size
    assert peak < 2 * size


@pytest.mark.parametrize(("n_steps", "cost"), [(168, 6), (300, 7)])
def test_windows_of_an_array_cost_few_bytes_a_row(n_steps, cost):
    X = np.zeros((2_000_000, 1), np.float32)
    tracemalloc.start()
    windows = SequenceWindower(n_steps).fit_transform(X)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < cost * len(windows)
    assert peak < 12 * len(windows)


def test_n_steps_beyond_the_data_gives_all_rows_so_far():
    windows = SequenceWindower(100).fit_transform(np.zeros((4, 1)))
    assert lengths(windows) == [1, 2, 3, 4]


def test_a_warning_says_if_no_window_is_whole():
    X = hourly(60)
    with pytest.warns(WindowHistoryWarning, match="n_steps=61, but X has 60 rows"):
        windower = SequenceWindower(61).fit(X)
    assert max(lengths(windower.fit_transform(X[:19]))) == 19  # a demonstration
    SequenceWindower(60).fit(X)
    shops = X.assign(shop=["a"] * 20 + ["b"] * 25 + ["c"] * 15)
    said = "the longest series of shop 'b' has 25 rows"
    with pytest.warns(WindowHistoryWarning, match=said):
        SequenceWindower(26, group_by="shop").fit(shops)
    SequenceWindower(25, group_by="shop").fit(shops)


def test_nan_passes_through():
    X = np.array([[1.0], [np.nan], [3.0]])
    windows = SequenceWindower(2).fit_transform(X)
    np.testing.assert_array_equal(windows[2], [[np.nan], [3.0]])


def test_float32_stays_float32():
    table = hourly(10).astype(np.float32)
    windower = SequenceWindower(3).fit(table.iloc[:5])
    assert windower.transform(table.iloc[5:]).dtype == np.float32


def test_feature_names_travel_with_the_windows():
    windower = SequenceWindower(3, time="time", group_by="station")
    windows = windower.fit_transform(two_series())
    assert windows.feature_names == ("temp",)
    assert windower.get_feature_names_out().tolist() == ["temp"]
    assert windower.feature_names_in_.tolist() == ["station", "time", "temp"]
    assert windower.n_features_in_ == 3


def test_features_of_an_array_are_named_by_position():
    X = np.column_stack([np.zeros(4), np.arange(4), np.ones(4)])
    windower = SequenceWindower(3, time=1).fit(X)
    assert windower.get_feature_names_out().tolist() == ["x0", "x2"]


# History: what transform puts in front of new rows.


@pytest.mark.filterwarnings("ignore:n_steps=50, but X has")
@pytest.mark.parametrize("n_steps", [1, 2, 5, 50])
def test_a_fold_after_its_training_fold_has_its_true_history(n_steps):
    table = hourly(60)
    whole = SequenceWindower(n_steps).fit_transform(table)
    for train, test in TimeSeriesSplit(4).split(table):
        windower = SequenceWindower(n_steps).fit(table.iloc[train])
        assert_same_windows(windower.transform(table.iloc[test]), whole[test])


def test_predictions_of_a_fold_equal_those_from_windows_of_the_whole_table():
    table = hourly(60)
    y = table["a"].to_numpy()
    flatten = FunctionTransformer(
        lambda windows: np.array([w.mean(0) for w in windows])
    )
    for train, test in TimeSeriesSplit(3).split(table):
        model = make_pipeline(SequenceWindower(6), flatten, Ridge())
        model.fit(table.iloc[train], y[train])
        whole = flatten.transform(SequenceWindower(6).fit_transform(table))
        by_hand = Ridge().fit(whole[train], y[train]).predict(whole[test])
        np.testing.assert_allclose(model.predict(table.iloc[test]), by_hand)


def test_windows_start_afresh_after_a_gap():
    table = hourly(40)
    for train, test in TimeSeriesSplit(3, gap=2).split(table):
        windower = SequenceWindower(4).fit(table.iloc[train])
        windows = windower.transform(table.iloc[test])
        assert lengths(windows) == np.minimum(np.arange(len(test)) + 1, 4).tolist()


@CUT_BY_A_FOLD
def test_middle_folds_get_the_rows_before_them_and_none_after():
    table = hourly(50)
    whole = SequenceWindower(7).fit_transform(table)
    for train, test in KFold(5).split(table):
        windower = SequenceWindower(7).fit(table.iloc[train])
        assert_same_windows(windower.transform(table.iloc[test]), whole[test])


@CUT_BY_A_FOLD
@pytest.mark.parametrize("freq", ["MS", "B", "D", "15min"])
def test_middle_folds_of_any_calendar_are_cut_out(freq):
    table = hourly(50)
    table.index = pd.date_range("2024-01-01", periods=50, freq=freq)
    whole = SequenceWindower(7).fit_transform(table)
    for train, test in KFold(5).split(table):
        windower = SequenceWindower(7)
        windows = windower.fit_transform(table.iloc[train])
        begins = np.flatnonzero(np.diff(train, prepend=-2) > 1)
        assert (windows.lengths[begins] == 1).all()
        assert_same_windows(windower.transform(table.iloc[test]), whole[test])


def test_transform_of_the_training_table_equals_fit_transform():
    weather = load_nyc_weather("JFK").iloc[:3000]
    windower = SequenceWindower(48)
    windows = windower.fit_transform(weather)
    assert (np.diff(weather.index) > pd.Timedelta("1h")).sum() > 2
    assert_same_windows(windower.transform(weather), windows)


def test_fit_transform_never_uses_history():
    table = hourly(20)
    windower = SequenceWindower(5).fit(table.iloc[:10])
    assert_same_windows(
        windower.fit_transform(table.iloc[10:]),
        SequenceWindower(5).fit_transform(table.iloc[10:]),
    )


def test_history_reaches_a_row_inside_the_kept_rows():
    table = hourly(20)
    windower = SequenceWindower(5).fit(table)
    windows = windower.transform(table.iloc[18:])
    np.testing.assert_array_equal(windows[0], table.iloc[16:19])


@CUT_BY_A_FOLD
def test_changing_the_future_changes_no_earlier_window():
    table = hourly(30)
    changed = table.copy()
    changed.iloc[20:] = 1e9
    for make in (
        lambda t: SequenceWindower(6).fit_transform(t),
        lambda t: SequenceWindower(6).fit(t.iloc[:10]).transform(t.iloc[10:])[:10],
        lambda t: (
            SequenceWindower(6)
            .fit(t.drop(t.index[10:20]))  # a middle fold, the future in training
            .transform(t.iloc[10:20])
        ),
    ):
        assert_same_windows(make(changed)[:10], make(table)[:10])


def test_default_row_numbers_tell_the_time():
    table = hourly(20).reset_index(drop=True)
    windower = SequenceWindower(5).fit(table.iloc[:12])
    whole = SequenceWindower(5).fit_transform(table)
    assert_same_windows(windower.transform(table.iloc[12:]), whole[12:])
    assert lengths(windower.transform(table.iloc[14:])) == [1, 2, 3, 4, 5, 5]


def test_without_times_transform_warns_and_stands_alone():
    X = np.arange(10.0)[:, None]
    windower = SequenceWindower(3).fit(X[:5])
    with pytest.warns(WindowHistoryWarning, match="history='train'.*history=None"):
        windows = windower.transform(X[5:])
    assert lengths(windows) == [1, 2, 3, 3, 3]


def test_the_warning_points_at_the_caller():
    X = np.zeros((5, 1))
    windower = SequenceWindower(3).fit(X)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        windower.transform(X)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "windower", [SequenceWindower(1), SequenceWindower(history=None)]
)
def test_no_warning_where_no_history_is_wanted(windower):
    X = np.zeros((5, 1))
    assert windower.fit(X).transform(X).lengths[0] == 1


def test_string_labels_are_no_times():
    table = hourly(6).set_axis(list("uvwxyz"))
    windower = SequenceWindower(3).fit(table)
    with pytest.warns(WindowHistoryWarning):
        assert lengths(windower.transform(table.iloc[:2])) == [1, 2]


def test_history_train_forces_continuation():
    X = np.arange(10.0)[:, None]
    windower = SequenceWindower(3, history="train").fit(X[:5])
    assert windower.transform(X[7:])[0].ravel().tolist() == [3, 4, 7]
    table = hourly(20)
    windower = SequenceWindower(3, history="train").fit(table.iloc[:5])
    np.testing.assert_array_equal(
        windower.transform(table.iloc[9:])[0], table.iloc[[3, 4, 9]]
    )


def test_history_train_still_cuts_at_gaps_in_the_new_rows():
    table = hourly(20)
    windower = SequenceWindower(4, history="train").fit(table.iloc[:5])
    with pytest.warns(WindowHistoryWarning, match="2 of 4 windows are shorter"):
        windows = windower.transform(table.iloc[[5, 6, 9, 10]])
    assert lengths(windows) == [4, 4, 1, 2]


def test_history_none_leaves_the_training_rows_out():
    table = hourly(20)
    windower = SequenceWindower(4, history=None).fit(table.iloc[:5])
    assert lengths(windower.transform(table.iloc[5:8])) == [1, 2, 3]


def test_a_fitted_windower_pickles_small_and_works_the_same():
    table = hourly(50_000)
    windower = SequenceWindower(24).fit(table.iloc[:40_000])
    stored = pickle.dumps(windower)
    assert len(stored) < 10_000
    assert_same_windows(
        pickle.loads(stored).transform(table.iloc[40_000:40_010]),
        windower.transform(table.iloc[40_000:40_010]),
    )


# Neighbours: what counts as a gap.


def test_windows_are_cut_at_gaps():
    table = hourly(30).drop(hourly(30).index[[10, 11, 20]])
    windower = SequenceWindower(4)
    with pytest.warns(WindowHistoryWarning, match=r"6 of 27 .* 2 gap.* step is h,"):
        windows = windower.fit_transform(table)
    assert windower.freq_ == pd.Timedelta("1h")
    assert lengths(windows)[10:15] == [1, 2, 3, 4, 4]
    assert lengths(windows)[18:20] == [1, 2]


def test_a_given_freq_is_the_step():
    table = hourly(10).iloc[::2]
    assert lengths(SequenceWindower(3).fit_transform(table)) == [1, 2, 3, 3, 3]
    table = hourly(10).iloc[[0, 2, 4, 5, 6]]
    windower = SequenceWindower(3, freq="h")
    with pytest.warns(WindowHistoryWarning, match="step is h, as freq='h' says"):
        assert lengths(windower.fit_transform(table)) == [1, 1, 1, 2, 3]
    assert windower.freq_ == pd.Timedelta("1h")


def test_irregular_times_reach_as_far_as_in_fit():
    minutes = np.cumsum([3, 1, 4, 1, 5, 9, 2, 6, 5, 3])
    table = hourly(10).set_axis(
        pd.Timestamp("2024") + pd.to_timedelta(minutes, unit="min")
    )
    with pytest.warns(WindowHistoryWarning, match="no step.*00:09:00.*freq='rows'"):
        windower = SequenceWindower(3).fit(table)
    assert windower.freq_ is None
    later = hourly(3).set_axis(
        table.index[-1] + pd.to_timedelta([9, 18, 28], unit="min")
    )
    with pytest.warns(WindowHistoryWarning, match="1 of 3 windows are shorter"):
        assert lengths(windower.transform(later)) == [3, 3, 1]


def test_days_of_23_hours_are_days():
    index = pd.date_range("2024-03-20", periods=30, freq="D", tz="Europe/Berlin")
    table = hourly(30).set_axis(index)
    table.index.freq = None
    windower = SequenceWindower(4).fit(table.iloc[:8])
    assert windower.freq_ == pd.offsets.Day(1)
    whole = SequenceWindower(4, freq="D").fit_transform(table)
    assert lengths(whole) == [1, 2, 3] + [4] * 27
    assert_same_windows(windower.transform(table.iloc[8:]), whole[8:])


def test_hours_go_on_when_the_clocks_change():
    index = pd.date_range("2024-10-26", periods=72, freq="h", tz="Europe/Berlin")
    table = hourly(72).set_axis(index)
    table.index.freq = None
    windower = SequenceWindower(4).fit(table.iloc[:24])
    assert lengths(windower.transform(table.iloc[24:])) == [4] * 48


def test_a_timedelta_is_elapsed_time_and_a_day_is_not():
    index = pd.date_range("2024-03-30", periods=3, freq="D", tz="Europe/Berlin")
    table = hourly(3).set_axis(index)
    assert lengths(SequenceWindower(3, freq="D").fit_transform(table)) == [1, 2, 3]
    windower = SequenceWindower(3, freq=pd.Timedelta("24h"))
    with pytest.warns(WindowHistoryWarning, match="1 gap"):
        assert lengths(windower.fit_transform(table)) == [1, 2, 1]


@pytest.mark.parametrize(
    "index",
    [
        pd.period_range("2024-01", periods=12, freq="M"),
        pd.period_range("2024-01", periods=12, freq="2h"),
        pd.timedelta_range("0h", periods=12, freq="30min"),
        pd.Index(np.arange(12) * 0.1),
        pd.Index(np.arange(0, 36, 3), dtype=np.uint8),
        pd.date_range("2024-01-01", periods=12, freq="D", unit="s"),
    ],
)
def test_any_kind_of_time_has_neighbours_and_gaps(index):
    table = hourly(12).set_axis(index)
    windower = SequenceWindower(3).fit(table.iloc[:8])
    assert lengths(windower.transform(table.iloc[8:])) == [3, 3, 3, 3]
    assert lengths(windower.transform(table.iloc[[9, 10]])) == [1, 2]


@pytest.mark.parametrize(
    "index",
    [
        pd.Series(pd.date_range("2024-01-01", periods=12, freq="h")).astype(
            "timestamp[us][pyarrow]"
        ),
        pd.Series(pd.date_range("2024-01-01", periods=12, freq="h", tz="UTC")).astype(
            "timestamp[us, UTC][pyarrow]"
        ),
        pd.array(np.arange(12), dtype="Int64"),
        pd.array(np.arange(12) / 4, dtype="float64[pyarrow]"),
    ],
)
def test_nullable_and_arrow_times_are_times(index):
    table = hourly(12).set_axis(pd.Index(index))
    windower = SequenceWindower(3).fit(table.iloc[:8])
    assert lengths(windower.transform(table.iloc[8:])) == [3, 3, 3, 3]
    table = table.reset_index(names="when")
    windower = SequenceWindower(3, time="when").fit(table.iloc[:8])
    assert lengths(windower.transform(table.iloc[8:])) == [3, 3, 3, 3]


def test_times_in_a_column_are_times():
    table = hourly(12).reset_index(names="when")
    windower = SequenceWindower(3, time="when").fit(table.iloc[:8])
    assert lengths(windower.transform(table.iloc[8:])) == [3, 3, 3, 3]
    assert windower.transform(table.iloc[8:]).n_features == 2


def test_times_in_an_array_are_named_by_position():
    X = np.column_stack([np.arange(10.0), np.arange(10) * 60])
    windower = SequenceWindower(3, time=-1).fit(X[:6])
    windows = windower.transform(X[6:])
    assert windows[0].ravel().tolist() == [4, 5, 6]


# Several series in one table.


def test_windows_stay_inside_their_series():
    table = two_series()
    windower = SequenceWindower(3, time="time", group_by="station")
    windows = windower.fit_transform(table)
    for station in ("north", "south"):
        rows = np.flatnonzero(table["station"] == station)
        alone = SequenceWindower(3, time="time").fit_transform(
            table.loc[rows, ["time", "temp"]]
        )
        assert_same_windows(windows[rows], alone)


def test_each_series_has_its_own_history():
    table = two_series()
    windower = SequenceWindower(3, time="time", group_by="station")
    whole = windower.fit_transform(table)
    windower.fit(table.iloc[:6])
    assert_same_windows(windower.transform(table.iloc[6:]), whole[6:])
    south = table.iloc[6:][table.iloc[6:]["station"] == "south"]
    assert_same_windows(windower.transform(south), whole[south.index])


def test_history_train_goes_by_series():
    table = two_series()[["station", "temp"]]
    windower = SequenceWindower(3, history="train", group_by="station")
    windower.fit(table.iloc[:6])
    windows = windower.transform(table.iloc[8:])
    assert windows[0].ravel().tolist() == [2, 4, 8]
    assert windows[1].ravel().tolist() == [3, 5, 9]


def test_an_unknown_series_stands_alone():
    table = two_series()
    windower = SequenceWindower(3, time="time", group_by="station").fit(table.iloc[:8])
    new = table.iloc[8:].replace({"station": {"south": "west"}})
    assert lengths(windower.transform(new)) == [3, 1, 3, 2]


def test_levels_of_the_index_name_times_and_series():
    table = two_series()
    by_level = SequenceWindower(3, time="time", group_by="station")
    assert_same_windows(
        by_level.fit_transform(table.set_index(["station", "time"])),
        by_level.fit_transform(table),
    )


def test_an_index_of_several_levels_is_refused_where_none_is_named():
    table = two_series().set_index(["station", "time"])
    hours = table.index.get_level_values("time").hour
    for unclear in (
        table.set_index(pd.MultiIndex.from_arrays([table.index.codes[0], hours])),
        table.rename_axis(["station", None]),
    ):
        with pytest.raises(InvalidSequenceError, match="name one level in time="):
            SequenceWindower(3).fit(unclear)


def test_series_in_an_object_array_are_named_by_position():
    table = two_series()[["station", "temp"]]
    windows = SequenceWindower(3, group_by=0).fit_transform(table.to_numpy(object))
    expected = SequenceWindower(3, group_by="station").fit_transform(table)
    assert_same_windows(windows, expected)


def test_labels_match_whatever_the_type_of_their_column():
    table = two_series()
    windower = SequenceWindower(3, time="time", group_by="station")
    whole = windower.fit_transform(table)
    windower.fit(table.iloc[:6].astype({"station": "category"}))
    for kind in ("category", object, "string"):
        new = table.iloc[6:].astype({"station": kind})
        assert_same_windows(windower.transform(new), whole[6:])


def test_a_missing_series_label_is_refused():
    table = two_series().replace({"station": {"south": None}})
    with pytest.raises(InvalidSequenceError, match="no label in row 1"):
        SequenceWindower(3, time="time", group_by="station").fit(table)
