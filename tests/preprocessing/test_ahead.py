import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import InvalidSequenceError
from sklearn_rnn.preprocessing._time_table import shift_times, times_ahead
from sklearn_rnn.sequences._times import MaxGap, infer_rule, parse_rule, to_times

NEW_YORK = "America/New_York"
REGULAR = {
    "hours": pd.date_range("2024-03-09", periods=80, freq="h", name="when"),
    "days": pd.date_range("2024-03-01", periods=80, freq="D"),
    "weeks": pd.date_range("2024-01-01", periods=80, freq="W"),
    "business days": pd.date_range("2024-01-01", periods=80, freq="B"),
    "month starts": pd.date_range("2024-01-01", periods=80, freq="MS"),
    "month ends": pd.date_range("2024-01-01", periods=80, freq="ME"),
    "second quarters": pd.date_range("2024-01-01", periods=80, freq="2QS"),
    "seconds": pd.date_range("2024-01-01", periods=80, freq="s", unit="s"),
    "hours, spring": pd.date_range("2024-03-09", periods=80, freq="h", tz=NEW_YORK),
    "hours, autumn": pd.date_range("2024-11-02", periods=80, freq="h", tz=NEW_YORK),
    "days, spring": pd.date_range("2024-01-09", periods=80, freq="D", tz=NEW_YORK),
    "days, autumn": pd.date_range("2024-10-02", periods=80, freq="D", tz=NEW_YORK),
    "months, zone": pd.date_range("2024-01-01", periods=80, freq="MS", tz=NEW_YORK),
    "business, zone": pd.date_range("2024-01-01", periods=80, freq="B", tz=NEW_YORK),
    "day periods": pd.period_range("2024-01-01", periods=80, freq="D", name="day"),
    "month periods": pd.period_range("2024-01", periods=80, freq="M"),
    "2h periods": pd.period_range("2024-01-01", periods=80, freq="2h"),
    "integers": pd.Index(np.arange(80) * 3, name="step"),
    "floats": pd.Index(np.arange(80) * 0.1 + 7),
    "range": pd.RangeIndex(0, 800, 10, name="row"),
    "durations": pd.timedelta_range("0s", periods=80, freq="15min"),
}


def read(index):
    times = to_times(index)
    is_start = np.arange(len(index)) == 0
    return times, infer_rule(times, times.timestamps, is_start)


def undeclared(index):
    """Return the index without the step that it declares."""
    if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        return type(index)(index, freq=None)
    return index


def assert_same_times(actual, expected):
    assert type(actual) is type(expected)
    assert actual.dtype == expected.dtype
    assert actual.name == expected.name
    if actual.dtype.kind == "f":
        np.testing.assert_allclose(actual, expected, rtol=1e-12)
    else:
        assert actual.equals(expected)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("kind", REGULAR)
def test_the_times_ahead_are_the_rows_that_were_cut_off(kind, declared):
    index = REGULAR[kind] if declared else undeclared(REGULAR[kind])
    known, later = index[:20], index[20:]
    times, rule = read(known)
    if isinstance(later, pd.RangeIndex):
        later = pd.Index(later.to_numpy(), name=later.name)
    assert_same_times(times_ahead(rule, times, known[-1], len(later)), later)


@pytest.mark.parametrize("k", [1, 2, 30])
@pytest.mark.parametrize("kind", REGULAR)
def test_shifted_times_are_those_of_the_rows_k_further_on(kind, k):
    index = REGULAR[kind]
    times, rule = read(index[:-k])
    expected = index[k:]
    if isinstance(expected, pd.RangeIndex):
        expected = pd.Index(expected.to_numpy(), name=expected.name)
    assert_same_times(shift_times(rule, times, k), expected)


@pytest.mark.parametrize("kind", REGULAR)
def test_all_times_ahead_are_neighbours_by_the_rule(kind):
    index = REGULAR[kind]
    times, rule = read(index)
    ahead = times_ahead(rule, times, index[-1], 100)
    ticks = to_times(index[-1:].append(ahead)).timestamps
    assert rule.adjacent(ticks[:-1], ticks[1:]).all()


@pytest.mark.parametrize("kind", REGULAR)
def test_no_steps_ahead_are_the_times_themselves(kind):
    times, rule = read(REGULAR[kind])
    assert shift_times(rule, times, 0) is times.labels
    assert len(times_ahead(rule, times, times.labels[-1], 0)) == 0


def test_repeated_and_unsorted_times_keep_their_places():
    index = pd.DatetimeIndex(["2024-02-01", "2024-01-01", "2024-02-01"])
    times = to_times(index)
    moved = shift_times(parse_rule("MS", times), times, 2)
    assert moved.strftime("%m").tolist() == ["04", "03", "04"]


@pytest.mark.parametrize("freq", ["h", "MS"])
def test_the_step_that_is_given_outweighs_the_rows(freq):
    times = to_times(pd.date_range("2024-01-01", periods=3, freq="D"))
    ahead = times_ahead(parse_rule(freq, times), times, times.labels[-1], 2)
    expected = pd.date_range("2024-01-03", periods=4, freq=freq)
    assert ahead.equals(expected[expected > times.labels[-1]][:2])


def test_a_day_over_the_change_of_clocks_is_not_24_hours():
    index = pd.date_range("2024-03-08 12:00", periods=2, freq="D", tz=NEW_YORK)
    times = to_times(index)
    by_clock = times_ahead(parse_rule("D", times), times, index[-1], 1)
    elapsed = times_ahead(parse_rule(pd.Timedelta("24h"), times), times, index[-1], 1)
    assert by_clock[0] == pd.Timestamp("2024-03-10 12:00", tz=NEW_YORK)
    assert elapsed[0] == pd.Timestamp("2024-03-10 13:00", tz=NEW_YORK)


def test_a_wall_time_that_does_not_exist_moves_forward_and_the_next_does_not():
    index = pd.date_range("2024-03-07 02:30", periods=3, freq="D", tz=NEW_YORK)
    times, rule = read(index)
    ahead = times_ahead(rule, times, index[-1], 2)
    assert ahead[0] == pd.Timestamp("2024-03-10 03:00", tz=NEW_YORK)
    assert ahead[1] == pd.Timestamp("2024-03-11 02:30", tz=NEW_YORK)


def test_of_two_equal_wall_times_the_first_is_taken():
    index = pd.date_range("2024-10-31 01:30", periods=3, freq="D", tz=NEW_YORK)
    times, rule = read(index)
    ahead = times_ahead(rule, times, index[-1], 1)
    assert ahead[0] == pd.Timestamp("2024-11-03 05:30", tz="UTC")


def test_times_of_another_zone_follow_the_clock_of_the_rule():
    days = pd.date_range("2024-03-08", periods=2, freq="D", tz=NEW_YORK)
    _, rule = read(days)
    times = to_times(days.tz_convert("UTC"))
    ahead = times_ahead(rule, times, times.labels[-1], 2)
    assert str(ahead.tz) == "UTC"
    assert ahead.hour.tolist() == [5, 4]


def test_a_month_after_the_last_day_goes_step_by_step():
    times = to_times(pd.DatetimeIndex(["2024-01-31"]))
    rule = parse_rule(pd.DateOffset(months=1), times)
    ahead = times_ahead(rule, times, times.labels[-1], 2)
    assert ahead.strftime("%m-%d").tolist() == ["02-29", "03-29"]


def test_a_calendar_of_its_own_is_followed_without_a_warning():
    weekend = pd.offsets.CustomBusinessDay(weekmask="Sun Mon Tue Wed Thu")
    index = pd.date_range("2024-01-01", periods=40, freq=weekend)
    times = to_times(index[:30])
    rule = parse_rule(weekend, times)
    assert_same_times(times_ahead(rule, times, index[29], 10), index[30:])
    assert_same_times(shift_times(rule, times, 10), index[10:])


def test_a_step_finer_than_the_unit_of_the_times_is_kept():
    times = to_times(pd.date_range("2024-01-01", periods=3, freq="s", unit="s"))
    rule = parse_rule(pd.Timedelta("500ms"), times)
    ahead = times_ahead(rule, times, times.labels[-1], 2)
    assert (ahead - times.labels[-1]).total_seconds().tolist() == [0.5, 1.0]


def test_small_integers_do_not_overflow():
    times = to_times(pd.Index(np.array([126, 127], dtype=np.int8)))
    ahead = times_ahead(parse_rule(1, times), times, times.labels[-1], 2)
    assert ahead.tolist() == [128, 129]


def test_irregular_times_have_none_ahead_and_the_way_out_is_named():
    index = pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-07", "2024-01-20"])
    times, rule = read(index)
    assert isinstance(rule, MaxGap)
    with pytest.raises(InvalidSequenceError, match="regular step apart.*freq="):
        times_ahead(rule, times, index[-1], 3)
    with pytest.raises(InvalidSequenceError, match="regular step apart.*freq="):
        shift_times(rule, times, 1)
