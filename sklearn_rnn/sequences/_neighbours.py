"""Neighbours: which rows of a table are one time step apart."""

import warnings
from datetime import timedelta, tzinfo
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.sequences._times import ROWS_PER_BLOCK, local_time

# A calendar's step ("MS", "B") is inferred from the longest segment without a
# difference above these multiples of the median, so that gaps do not hide it.
GAP_FACTORS = (4, 2, 1.5)


# The `freq` by which each row is one step.
ROWS = "rows"

# Where rows themselves are the steps, future rows are dated by a step that holds for
# at least this fraction of pairs of rows: exchanges have holidays.
DATING_FRACTION = 0.9

# How often a day of the week must occur to count as a day of opening.
LEAST_WEEKS = 3
MONTHLY = (
    pd.offsets.MonthBegin,
    pd.offsets.MonthEnd,
    pd.offsets.BMonthBegin,
    pd.offsets.BMonthEnd,
)
SEMIMONTHLY = (pd.offsets.SemiMonthBegin, pd.offsets.SemiMonthEnd)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@plain_type
class FixedStep(NamedTuple):
    """Neighbours are one span of time, or one number, apart.

    With a time zone, in its local time: days of 23 hours are days.
    """

    step: Any
    time_zone: tzinfo | None = None

    def adjacent(self, earlier, later):
        """Return whether each pair of times are neighbours."""
        if self.time_zone is not None:
            earlier = local_time(earlier, self.time_zone)
            later = local_time(later, self.time_zone)
        passed = later - earlier
        if passed.dtype.kind != "f":
            return passed == self.step
        # Times such as 0.1 * k have rounding errors relative to their size, which are
        # large in float32.
        rounding = np.maximum(np.spacing(np.abs(later)), np.spacing(np.abs(earlier)))
        slack = 1e-6 * self.step + 4 * rounding
        return np.abs(passed - self.step) <= slack


@plain_type
class CalendarStep(NamedTuple):
    """Neighbours are one calendar offset, such as a month, apart."""

    offset: pd.offsets.BaseOffset
    time_zone: tzinfo | None = None

    def adjacent(self, earlier, later):
        """Return whether each pair of times are neighbours."""
        dates = pd.DatetimeIndex(local_time(earlier, self.time_zone))
        expected = add_offset(dates, self.offset)
        return expected.to_numpy() == local_time(later, self.time_zone)


@plain_type
class MaxGap(NamedTuple):
    """Neighbours are at most so far apart: irregular times."""

    largest: Any

    def adjacent(self, earlier, later):
        """Return whether each pair of times are neighbours."""
        return later - earlier <= self.largest


# The name in pickles of windowers up to version 0.6.
Reach = MaxGap


@plain_type
class RowStep(NamedTuple):
    """Each row is one step after the previous row, whatever their times.

    largest : largest difference of neighbours in the table; None if not known
    spacing : FixedStep or CalendarStep that nearly all of them keep, or None
    """

    largest: Any
    spacing: FixedStep | CalendarStep | None

    def adjacent(self, earlier, later):
        """Return whether pairs of rows, of two tables, may be neighbours."""
        if self.largest is None and self.spacing is not None:
            return self.spacing.adjacent(earlier, later)
        if self.largest is None:
            return np.zeros(len(later), dtype=bool)
        return later - earlier <= self.largest


def add_offset(dates, offset):
    """Return dates moved by an offset: NaT past the last date that exists."""
    with warnings.catch_warnings():
        # Some offsets pandas can only add to one date at a time.
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        try:
            return dates + offset
        except (OverflowError, ValueError):
            has_next = np.array([_has_next(date, offset) for date in dates])
            moved = dates[has_next] + offset
    indices = np.where(has_next, np.cumsum(has_next) - 1, -1)
    return moved.take(indices, fill_value=pd.NaT)


def _has_next(date, offset):
    try:
        date + offset
    except (OverflowError, ValueError):
        return False
    return True


def is_rows(freq):
    """Return whether a `freq` says that each row is one step."""
    return isinstance(freq, str) and freq == ROWS


def step_of_rows(times, timestamps, series_starts):
    """Return rows as steps, dated by the step that nearly all of the times keep."""
    inside = ~series_starts[1:]
    declared = _declared_rule(times, timestamps, series_starts)
    if not inside.any():
        return RowStep(None, declared)
    largest = (timestamps[1:] - timestamps[:-1])[inside].max()
    if declared is not None and not _is_periods(times):
        return RowStep(largest, declared)
    rule, fraction = _most_likely_rule(times, timestamps, series_starts)
    # Hours end with the session though nearly all rows keep them; days continue after
    # holidays.
    is_kept = fraction >= DATING_FRACTION and _is_daily(rule, times)
    return RowStep(largest, rule if is_kept or fraction == 1 else None)


def _is_daily(rule, times):
    """Return whether a step is one of days, or of what is made of days."""
    if isinstance(rule, CalendarStep):
        return not isinstance(rule.offset, pd.offsets.BusinessHour)
    if _is_periods(times):
        unit = times.labels.freq.base
        return isinstance(unit, pd.offsets.Day) or not isinstance(unit, pd.offsets.Tick)
    is_span = isinstance(rule.step, np.timedelta64)
    return is_span and rule.step >= np.timedelta64(1, "D")


def parse_rule(freq, times):
    """Return the FixedStep or CalendarStep of a `freq` that the user gave."""
    numeric = times.timestamps.dtype.kind in "iuf" and times.kind == "numbers"
    # np.timedelta64 is registered as an Integral number.
    is_number = isinstance(freq, Real) and not isinstance(freq, np.timedelta64)
    if numeric != is_number or (is_number and not abs(freq) < np.inf):
        wanted = "a number" if numeric else "an offset such as 'h', or a Timedelta"
        raise InvalidSequenceError(
            f"freq={freq!r} does not fit the times of X, which are {times.kind}: give "
            f"{wanted}."
        )
    if times.kind.startswith("periods"):
        rule = _step_of_periods(freq, times)
    elif numeric:
        rule = FixedStep(float(freq) if times.timestamps.dtype.kind == "f" else freq)
    else:
        rule = _step_of_dates(freq, times)
    step = rule.offset.n if isinstance(rule, CalendarStep) else rule.step
    if step <= 0 * step:  # in the unit of the step
        raise InvalidSequenceError(f"freq={freq!r} is not a step forward in time.")
    return rule


def infer_rule(times, timestamps, series_starts):
    """Return the step of times, or a MaxGap if they have none.

    `timestamps` are those of `times`, series by series and each increasing;
    `series_starts` marks those that begin a series.
    """
    declared = _declared_rule(times, timestamps, series_starts)
    if declared is not None:
        return declared
    inside = ~series_starts[1:]
    if not inside.any():
        example = 1 if times.kind == "numbers" else "'h'"
        raise InvalidSequenceError(
            "X has one row, or one row per series, and its times declare no step: give "
            f"the time between rows in freq=, for example freq={example}."
        )
    rule, fraction = _most_likely_rule(times, timestamps, series_starts)
    if fraction > 0.5:
        return rule
    return MaxGap((timestamps[1:] - timestamps[:-1])[inside].max())


def _most_likely_rule(times, timestamps, series_starts):
    """Return the step that most pairs of rows keep, and the fraction of these."""
    earlier, later = timestamps[:-1], timestamps[1:]
    inside = ~series_starts[1:]
    if not inside.all():
        earlier, later = earlier[inside], later[inside]
    found, most, seen = None, 0.0, set()
    for rule in _candidates(times, timestamps, series_starts):
        if rule in seen:
            continue
        seen.add(rule)
        fraction = np.count_nonzero(rule.adjacent(earlier, later)) / len(later)
        if fraction > most:
            found, most = rule, fraction
        if most == 1:
            break
    return found, most


def _is_periods(times):
    return isinstance(times.labels, pd.PeriodIndex)


def freq_of(rule, times):
    """Return the step of a rule as a user would give it, or None without one."""
    if isinstance(rule, RowStep):
        return ROWS
    if isinstance(rule, CalendarStep):
        return rule.offset
    if not isinstance(rule, FixedStep):
        return None
    step = rule.step
    if isinstance(times.labels, pd.PeriodIndex):
        # Ordinals count the base unit, of which a period may span several.
        return times.labels.freq.base * step
    if not isinstance(step, np.timedelta64):
        return step
    if rule.time_zone is not None:
        return pd.offsets.Day(step // np.timedelta64(1, "D"))
    return pd.Timedelta(step)


def describe_step(step):
    """Return a step, as `freq_of` returns it, as text for ``freq=``."""
    if isinstance(step, (timedelta, np.timedelta64)):
        days = pd.Timedelta(step).total_seconds() / 86400
        if days % 1 == 0:  # pandas would write "24h"
            return "D" if days == 1 else f"{days:.0f}D"
        step = to_offset(pd.Timedelta(step))
    if isinstance(step, pd.offsets.CustomBusinessDay):
        return f"C ({step.weekmask})"
    if type(step) is pd.DateOffset:
        parts = ", ".join(f"{part}={n}" for part, n in step.kwds.items())
        return f"pd.DateOffset({parts})"
    return str(getattr(step, "freqstr", step))


def fill_call(rule, times):
    """Return the call that adds the rows that a table lacks, for messages."""
    step = freq_of(rule, times)
    if not isinstance(times.labels, pd.DatetimeIndex) or step is None:
        return "df.reindex(...)"
    if isinstance(step, pd.offsets.BaseOffset):
        try:
            known = to_offset(step.freqstr) == step
        except ValueError:
            known = False
        if not known:  # a custom week, which has no alias
            return "df.reindex(...)"
    return f"df.asfreq({describe_step(step)!r})"


def segment_starts(rule, timestamps, series_starts):
    """Return which rows have no neighbour before them.

    `series_starts` itself where no others are; without a rule all rows are
    neighbours.
    """
    if rule is None or timestamps is None or isinstance(rule, RowStep):
        return series_starts
    first = series_starts
    n_pairs = len(timestamps) - 1
    for begin in range(0, n_pairs, ROWS_PER_BLOCK):
        end = min(begin + ROWS_PER_BLOCK, n_pairs)
        earlier, later = slice(begin, end), slice(begin + 1, end + 1)
        has_gap = ~rule.adjacent(timestamps[earlier], timestamps[later]) & ~first[later]
        if has_gap.any():
            first = first.copy() if first is series_starts else first
            first[later] |= has_gap
    return first


def _step_of_periods(freq, times):
    start = pd.Period(ordinal=0, freq=times.labels.freq)
    try:
        return FixedStep((start + to_offset(freq)).ordinal)
    except (NotImplementedError, OverflowError, TypeError, ValueError) as error:
        raise InvalidSequenceError(
            f"freq={freq!r} does not fit the times of X, which are {times.kind}: "
            f"{error}"
        ) from error


def _step_of_dates(freq, times):
    try:
        if isinstance(freq, (str, pd.offsets.BaseOffset)):
            return _step_of_offset(to_offset(freq), times)
        step = pd.Timedelta(freq)
    except InvalidSequenceError:
        raise
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidSequenceError(
            f"freq={freq!r} is no time between rows: {error}. Give an offset such as "
            "'h' or 'MS', or a Timedelta."
        ) from error
    if pd.isna(step):
        raise InvalidSequenceError(
            f"freq={freq!r} is no time between rows: give an offset such as 'h', or a "
            "Timedelta."
        )
    return FixedStep(step.to_timedelta64())


def _step_of_offset(offset, times):
    # Days and weeks are fixed in local time; pandas 2 calls a Day a Tick.
    if isinstance(offset, (pd.offsets.Day, pd.offsets.Week)):
        days = offset.n * (7 if isinstance(offset, pd.offsets.Week) else 1)
        return FixedStep(np.timedelta64(days, "D"), times.time_zone)
    if isinstance(offset, pd.offsets.Tick):
        return FixedStep(pd.Timedelta(offset).to_timedelta64())
    if times.kind == "durations":
        raise InvalidSequenceError(
            f"freq={offset.freqstr!r} is a calendar's step, but the times of X are "
            "durations: give a fixed span such as '1h'."
        )
    return CalendarStep(offset, times.time_zone)


def _declared_rule(times, timestamps, series_starts):
    """Return the step that the index declares, or None."""
    declared, alone = times.declared_step, not (~series_starts[1:]).any()
    several = series_starts[1:].any() and not (alone and _is_periods(times))
    if declared is None or several:
        return None
    if isinstance(declared, pd.offsets.BaseOffset):
        return _step_of_offset(declared, times)
    rule = FixedStep(declared)
    # Periods declare what they span, which need not be the step between them.
    is_kept = alone or rule.adjacent(timestamps[:-1], timestamps[1:]).any()
    return rule if is_kept else None


def _candidates(times, timestamps, series_starts):
    """Yield rules that the times might follow, the most likely first."""
    inside = ~series_starts[1:]
    if times.timestamps.dtype.kind != "M":
        yield from _most_frequent_steps(times, timestamps, timestamps, inside)
        return
    local = local_time(timestamps, times.time_zone)
    offset = _calendar_offset(local, series_starts, np.inf)
    if offset is not None:
        yield _step_of_offset(offset, times)
    yield from _most_frequent_steps(times, timestamps, local, inside)
    usual = np.median(np.diff(local)[inside])
    if usual < np.timedelta64(1, "D"):
        # The only calendar of hours that pandas infers, where none is missing.
        if usual == np.timedelta64(1, "h") and _in_business_hours(local):
            yield CalendarStep(pd.offsets.BusinessHour(), times.time_zone)
        return
    for factor in GAP_FACTORS:
        offset = _calendar_offset(local, series_starts, factor)
        if offset is not None:
            yield _step_of_offset(offset, times)
    yield from _steps_of_open_days(local, times.time_zone)
    if usual >= np.timedelta64(13, "D"):
        for kind in SEMIMONTHLY:
            yield CalendarStep(kind(), times.time_zone)
    if usual >= np.timedelta64(28, "D"):
        yield from _steps_of_months(local, inside, times.time_zone)


def _in_business_hours(local):
    """Return whether all times are hours from 9 to 16 o'clock of Monday to Friday."""
    dates = pd.DatetimeIndex(local)
    hours = dates.hour
    return hours.min() >= 9 and hours.max() <= 16 and dates.day_of_week.max() < 5


def _steps_of_open_days(local, time_zone):
    """Yield the step between days of opening, if some days of the week are missing.

    A missing day is shorter than a weekend: no factor separates it from a gap.
    """
    days = pd.DatetimeIndex(local).day_of_week
    open_days, counts = np.unique(days, return_counts=True)
    if len(open_days) == 7:
        return
    if open_days.max() < 5:
        yield CalendarStep(pd.offsets.BDay(), time_zone)
    if counts.min() < LEAST_WEEKS or open_days.tolist() == [0, 1, 2, 3, 4]:
        return
    mask = " ".join(DAYS[day] for day in open_days)
    yield CalendarStep(pd.offsets.CustomBusinessDay(weekmask=mask), time_zone)


def _steps_of_months(local, inside, time_zone):
    """Yield steps of whole months, on the same day of each or at its ends.

    Most months have the length of the previous one, which is no step all the same;
    and gaps may leave no segment long enough to infer the calendar.
    """
    dates = pd.DatetimeIndex(local)
    months = dates.year.to_numpy() * 12 + dates.month.to_numpy()
    step = _most_frequent(np.diff(months)[inside])
    if step <= 0:
        return
    for kind in MONTHLY:
        yield CalendarStep(kind(step), time_zone)
    yield CalendarStep(pd.DateOffset(months=step), time_zone)


def _most_frequent_steps(times, timestamps, local, inside):
    """Yield the most frequent difference, in local time and in UTC."""
    day = np.timedelta64(1, "D")
    if times.time_zone is not None:
        step = _most_frequent(np.diff(local)[inside])
        if step % day == np.timedelta64(0, "D"):
            yield FixedStep(step, times.time_zone)
    yield FixedStep(_most_frequent(np.diff(timestamps)[inside]))


def _most_frequent(passed):
    if passed.dtype.kind == "f":
        # Rounding of times such as 0.1 * k makes equal steps differ. A step that more
        # than half of the pairs keep is near their median; the mean of those near it
        # rounds less.
        step = np.median(passed)
        near = np.abs(passed - step) <= 1e-3 * step
        return float(np.mean(passed[near], dtype=np.float64) if near.any() else step)
    steps, counts = np.unique(passed, return_counts=True)
    step = steps[counts.argmax()]
    return int(step) if passed.dtype.kind == "i" else step


def _calendar_offset(local, series_starts, factor):
    """Return the offset of the longest segment without a gap, or None."""
    passed = np.diff(local)
    inside = ~series_starts[1:]
    cut = series_starts.copy()
    if np.isfinite(factor):
        cut[1:] |= passed > factor * np.median(passed[inside])
    bounds = np.append(np.flatnonzero(cut), len(local))
    longest = int(np.argmax(np.diff(bounds)))
    segment = local[bounds[longest] : bounds[longest + 1]]
    offset = pd.DatetimeIndex(segment, freq="infer").freq
    return None if isinstance(offset, pd.offsets.Tick) else offset
