import pickle

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn.preprocessing import TableKeys, TimeTable
from sklearn_rnn.sequences._times import (
    CalendarStep,
    FixedStep,
    MaxGap,
    add_offset,
)


def rule_and_runs(index, groups=None):
    keys = TableKeys() if groups is None else TableKeys(group_by="series")
    frame = pd.DataFrame({"series": 0 if groups is None else groups}, index=index)
    table = TimeTable.read(frame, keys, "a test")
    return table.rule, table.segments[:-1].tolist()


def without_freq(index):
    return pd.DatetimeIndex(list(index))


@pytest.mark.parametrize("time_zone", [None, "America/New_York"])
@pytest.mark.parametrize(
    "freq", ["5min", "h", "6h", "D", "B", "W-WED", "MS", "ME", "2MS", "QE", "YS"]
)
def test_a_regular_step_is_found_with_and_without_a_gap(freq, time_zone):
    index = without_freq(
        pd.date_range("2022-01-01", periods=60, freq=freq, tz=time_zone)
    )
    assert rule_and_runs(index)[1] == [0]
    assert rule_and_runs(index.delete(slice(30, 45)))[1] == [0, 30]
    assert rule_and_runs(index[:9].delete(slice(5, 7)))[1] == [0, 5]


def test_a_declared_step_outweighs_the_times():
    index = pd.date_range("2023-12-01", periods=3, freq="MS")
    assert rule_and_runs(index)[0] == CalendarStep(pd.offsets.MonthBegin())
    assert rule_and_runs(pd.RangeIndex(0, 20, 5))[0] == FixedStep(5)


def test_one_longer_month_is_no_gap():
    months = without_freq(pd.date_range("2022-12-01", periods=3, freq="MS"))
    assert rule_and_runs(months)[0] == CalendarStep(pd.offsets.MonthBegin())


@pytest.mark.parametrize("every", [3, 5, 25])
def test_a_step_that_more_than_half_of_the_pairs_keep_is_the_step(every):
    hours = np.arange(100)
    kept = hours[(hours % every) != 1]
    expected = MaxGap(2) if every == 3 else FixedStep(1)
    assert rule_and_runs(pd.Index(kept))[0] == expected


def test_one_smaller_step_makes_no_series_irregular():
    index = pd.Index(np.cumsum([0] + [2] * 30 + [1] + [2] * 30))
    assert rule_and_runs(index) == (FixedStep(2), [0, 31])


def test_rounding_of_float_times_is_no_gap():
    index = pd.Index(np.arange(1000) * 0.1 + 1e6)
    assert rule_and_runs(index)[1] == [0]
    assert rule_and_runs(index.delete(500))[1] == [0, 500]


def test_the_step_is_that_of_all_series_together():
    hours = pd.date_range("2024-01-01", periods=5, freq="h")
    index = pd.DatetimeIndex([*hours, *hours[1:4]])
    rule, runs = rule_and_runs(index, np.array(["a"] * 5 + ["b"] * 3))
    assert rule == FixedStep(np.timedelta64(1, "h"))
    assert runs == [0, 5]


@pytest.mark.parametrize(
    "offset",
    [
        pd.offsets.MonthBegin(),
        pd.offsets.BDay(),
        pd.offsets.YearEnd(2),
        pd.DateOffset(months=1),
        pd.offsets.CustomBusinessDay(weekmask="Mon Sat"),
    ],
    ids=str,
)
def test_the_last_date_has_none_after_it(offset):
    last = pd.Timestamp.max
    dates = pd.DatetimeIndex([pd.Timestamp("2024-01-01"), last, last]).as_unit("ns")
    moved = add_offset(dates, offset)
    assert moved[0] == dates[0] + offset
    assert moved.isna().tolist() == [False, True, True]
    assert add_offset(dates[1:], offset).isna().all()


@pytest.mark.parametrize("folder", ["sequences", "preprocessing"])
def test_the_largest_gap_that_earlier_versions_pickled_loads(folder):
    text = f"csklearn_rnn.{folder}._neighbours\nReach\n(I2\ntR."
    assert pickle.loads(text.encode()) == MaxGap(2)
