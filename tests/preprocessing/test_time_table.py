"""TimeTable: series, times, step and gaps of a table, read once."""

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import InvalidSequenceError
from sklearn_rnn.preprocessing import (
    TableKeys,
    TimeTable,
    encode_groups,
    fill_rows,
    find_keys,
)
from sklearn_rnn.preprocessing._time_table import cut_windows, parse_features

DAYS = pd.date_range("2024-01-01", periods=6, freq="D")
# Two series, of which "b" begins later and lacks a day; by day.
PANEL = pd.DataFrame(
    {
        "day": DAYS[[0, 1, 1, 2, 2, 3, 4, 4]],
        "shop": ["a", "a", "b", "a", "b", "a", "a", "b"],
        "sales": np.arange(8.0),
    }
)
KEYS = TableKeys(time="day", group_by="shop")


def read(data=PANEL, keys=KEYS):
    return TimeTable.read(data, keys, "test", must_be_regular=True)


def test_positions_go_series_by_series_in_the_order_of_time():
    table = read()
    assert table.rows(np.arange(8)).tolist() == [0, 1, 3, 5, 6, 2, 4, 7]
    assert table.series_bounds.tolist() == [0, 5, 8]
    assert table.labels.tolist() == ["a", "b"]
    assert table.rows(table.latest).tolist() == [6, 7]
    assert table.series_of(np.array([0, 4, 5, 7])).tolist() == [0, 0, 1, 1]


def test_segments_end_at_gaps_and_series():
    table = read()
    assert table.segments.tolist() == [0, 5, 7, 8]
    assert table.gaps.tolist() == [7]
    with pytest.raises(InvalidSequenceError, match="row 4 at 2024-01-03.*row 7"):
        table.check_no_gaps()
    table.check_no_gaps(needed=np.arange(5))


def test_history_is_the_end_of_each_segment():
    history = read().history(parse_features(PANEL, KEYS, "test"), 2)
    assert history.values.ravel().tolist() == [5, 6, 2, 4, 7]
    assert history.begins.tolist() == [0, 2, 4]
    assert history.ends.tolist() == [2, 4, 5]
    assert history.series.tolist() == [0, 1, 1]


def test_windows_never_cross_a_segment():
    windows = cut_windows(parse_features(PANEL, KEYS, "test"), read(), 3)
    assert [window.ravel().tolist() for window in windows] == [
        *([0], [0, 1], [2], [0, 1, 3], [2, 4], [1, 3, 5], [3, 5, 6], [7])
    ]


def test_next_times_follow_the_newest_row_of_each_series():
    ends = PANEL[:-1]
    for_a, for_b = read(ends).next_times(2)
    assert for_a.tolist() == [DAYS[5], DAYS[5] + pd.Timedelta(days=1)]
    assert for_b.tolist() == DAYS[3:5].tolist()
    named = pd.DataFrame({"x": [1.0, 2.0]}, index=["p", "q"])
    rows = TimeTable.from_rows(named, TableKeys(), "test")
    assert [list(times) for times in rows.next_times(2)] == [[2, 3]]


def test_one_row_per_series_has_no_step_to_go_on_by():
    table = read(PANEL.drop_duplicates("shop"))
    assert table.rule is None
    with pytest.raises(InvalidSequenceError, match="one row per series"):
        table.next_times(1)


def test_filled_rows_have_what_is_known_of_series_and_times():
    data = PANEL.assign(size=[1, 1, 5, 1, 5, 1, 1, 5], is_open=[1, 0, 0, 1, 1, 0, 1, 1])
    filled = fill_rows(read(data), known=["size", "is_open"])
    added = filled[filled["sales"].isna()]
    assert added[["day", "shop", "size", "is_open"]].values.tolist() == [
        [DAYS[3], "b", 5, 0]
    ]
    assert filled["size"].dtype == data["size"].dtype
    assert filled["day"].is_monotonic_increasing


@pytest.mark.parametrize("is_sorted", [True, False])
def test_several_columns_identify_series_like_one_of_both(is_sorted):
    rng = np.random.default_rng(0)
    shops, items = np.meshgrid(["x", "y", "z"], ["tea", "jam"])
    series = pd.DataFrame({"shop": shops.ravel(), "item": items.ravel()})
    data = series.merge(pd.DataFrame({"day": DAYS}), how="cross")
    if not is_sorted:
        data = data.iloc[rng.permutation(len(data))]
        data = data.sort_values("day", kind="stable", ignore_index=True)
    both = data.assign(both=data["shop"] + "/" + data["item"])
    found = TimeTable.from_rows(data, TableKeys("day", ["shop", "item"]), "test")
    expected = TimeTable.from_rows(both, TableKeys("day", "both"), "test")
    assert ["/".join(label) for label in found.labels] == expected.labels.tolist()
    rows = np.arange(len(data))
    np.testing.assert_array_equal(found.rows(rows), expected.rows(rows))
    np.testing.assert_array_equal(found.is_series_start, expected.is_series_start)


def test_a_missing_label_in_one_of_several_columns_is_named():
    data = PANEL.assign(item=["t"] * 3 + [None] + ["t"] * 4)
    with pytest.raises(InvalidSequenceError, match="no label in row 3"):
        read(data, TableKeys("day", ["shop", "item"]))


# Where a table says itself what its times and series are


def test_levels_of_an_index_are_times_and_series_if_one_holds_dates():
    by_level = PANEL.set_index(["shop", "day"])
    assert find_keys(by_level)[:2] == ("day", "shop")
    items = PANEL.assign(item="tea").set_index(["shop", "day", "item"])
    assert find_keys(items)[:2] == ("day", ["shop", "item"])
    # As given, if anything is; and without a guess where several may be the time.
    assert find_keys(by_level, time="day")[:2] == ("day", None)
    two_dates = PANEL.assign(seen=PANEL["day"]).set_index(["day", "seen"])
    assert find_keys(two_dates) == TableKeys()
    unnamed = by_level.rename_axis([None, "day"])
    assert find_keys(unnamed) == TableKeys()


def test_attrs_name_columns_as_long_as_there_are_such():
    said = PANEL.copy()
    said.attrs["sklearn_rnn"] = {"time": "day", "group_by": "shop", "freq": "D"}
    stated = TableKeys("day", "shop", "D", is_freq_stated=True)
    assert find_keys(said) == stated
    assert find_keys(said, group_by="sales", freq="h") == TableKeys("day", "sales", "h")
    assert find_keys(said.drop(columns="shop")) == stated._replace(group_by=None)
    said.attrs["sklearn_rnn"] = {"missing": "mask"}
    assert find_keys(said) == TableKeys(missing="mask")
    said.attrs["sklearn_rnn"] = "day"
    assert find_keys(said) == TableKeys()


def test_keys_fit_into_json():
    assert TableKeys("day", ["a", "b"], "D", "mask").to_attrs() == {
        "time": "day",
        "group_by": ["a", "b"],
        "freq": "D",
        "missing": "mask",
    }
    for freq in (pd.Timedelta("1D"), pd.offsets.Day(), np.timedelta64(1, "D"), None):
        assert TableKeys(freq=freq).to_attrs() == {}


def test_a_history_of_no_rows_is_empty():
    history = read().history(parse_features(PANEL, KEYS, "test"), 0)
    assert history.values.shape == (0, 1)
    assert history.ends.tolist() == [0, 0, 0]


def test_rows_with_a_missing_key_are_in_no_series():
    keys = [pd.Index(["a", "b", "a", "b"]), pd.Index(["x", None, "y", "y"])]
    codes, labels = encode_groups(keys)
    assert codes.tolist() == [0, -1, 1, 2]
    assert labels.tolist() == [("a", "x"), ("a", "y"), ("b", "y")]


def test_series_of_six_columns_of_many_labels_stay_apart():
    # 4096**6 combinations are more than int64 holds.
    first = np.append(np.arange(4096), 16)
    others = np.append(np.arange(4096), 0)
    codes, labels = encode_groups([first] + [others] * 5)
    assert codes.tolist() == list(range(4097))
    assert labels[-1] == (16, 0, 0, 0, 0, 0)


def test_windows_of_one_series_never_cross_a_gap():
    days = pd.Index([0, 1, 2, 3, 5, 7, 8])
    keys = TableKeys(freq=1)
    table = read(pd.DataFrame({"sales": np.arange(7.0)}, index=days), keys)
    windows = cut_windows(parse_features(table.data, keys, "test"), table, 3)
    assert windows.starts.tolist() == [0, 0, 0, 1, 4, 5, 5]
    assert windows.lengths.tolist() == [1, 2, 3, 3, 1, 1, 2]


def test_a_step_back_that_an_index_declares_is_no_step():
    newest = pd.DataFrame({"sales": [1.0]}, index=DAYS[::-1][:1])
    with pytest.raises(InvalidSequenceError, match="is not a step forward in time"):
        read(newest, TableKeys())
