"""Neighbours: which rows of a table are one time step apart."""

from datetime import tzinfo
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.preprocessing._times import ROWS_A_BLOCK, wall_clock
from sklearn_rnn.sequences import blocks

# The share of pairs of rows that must be one step apart for the rest to count as
# gaps in a regular series rather than as a series of irregular times.
REGULAR_SHARE = 0.9

# A calendar's step ("MS", "B") is looked for in the longest stretch of rows without
# a difference of more than so many times the median, so that gaps do not hide it.
STRETCH_FACTORS = (np.inf, 4, 2, 1.5)


# How often a day of the week must come before a shop counts as open on it.
LEAST_WEEKS = 3
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class FixedStep(NamedTuple):
    """Neighbours are one span of time, or one number, apart.

    With a time zone, as its wall clock shows them: days of 23 hours are days.
    """

    step: object
    time_zone: tzinfo | None = None

    def adjacent(self, earlier, later):
        """Tell for each pair of times whether they are neighbours."""
        passed = wall_clock(later, self.time_zone) - wall_clock(earlier, self.time_zone)
        if passed.dtype.kind != "f":
            return passed == self.step
        # Times such as 0.1 * k carry rounding errors of their own size.
        slack = 1e-6 * self.step + 4 * np.spacing(np.abs(later))
        return np.abs(passed - self.step) <= slack

    @property
    def freq(self):
        """The step as a user would give it."""
        if not isinstance(self.step, np.timedelta64):
            return self.step
        if self.time_zone is not None:
            return pd.offsets.Day(self.step // np.timedelta64(1, "D"))
        return pd.Timedelta(self.step)


class CalendarStep(NamedTuple):
    """Neighbours are one calendar offset, such as a month, apart."""

    offset: pd.offsets.BaseOffset
    time_zone: tzinfo | None = None

    def adjacent(self, earlier, later):
        """Tell for each pair of times whether they are neighbours."""
        # One by one: pandas warns when it cannot add an offset to a whole index.
        dates = pd.DatetimeIndex(wall_clock(earlier, self.time_zone))
        expected = pd.DatetimeIndex([_following(date, self.offset) for date in dates])
        return expected.to_numpy() == wall_clock(later, self.time_zone)

    @property
    def freq(self):
        """The step as a user would give it."""
        return self.offset


class Reach(NamedTuple):
    """Neighbours are at most so far apart: irregular times."""

    largest: object

    def adjacent(self, earlier, later):
        """Tell for each pair of times whether they are neighbours."""
        return later - earlier <= self.largest

    freq = None


def parse_rule(freq, times):
    """Turn a `freq` given by the user into a rule for times of one kind.

    Parameters
    ----------
    freq : str, offset, Timedelta or number
        One step.
    times : Times
        The times that it is to hold for.

    Returns
    -------
    FixedStep or CalendarStep

    Raises
    ------
    InvalidSequenceError
        If such a step does not fit such times, or is not positive.
    """
    numeric = times.ticks.dtype.kind in "iuf" and times.kind == "numbers"
    # np.timedelta64 counts as a number to Python.
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
        rule = FixedStep(float(freq) if times.ticks.dtype.kind == "f" else freq)
    else:
        rule = _step_of_dates(freq, times)
    step = rule.offset.n if isinstance(rule, CalendarStep) else rule.step
    if step <= type(step)(0):
        raise InvalidSequenceError(f"freq={freq!r} is not a step forward in time.")
    return rule


def infer_rule(times, ticks, first_of_series):
    """Find the step of times, and whether they have one.

    Parameters
    ----------
    times : Times
        Of the table's rows.
    ticks : ndarray
        Its ticks, series by series and each increasing.
    first_of_series : ndarray of bool
        Which of them begin a series.

    Returns
    -------
    FixedStep, CalendarStep or Reach

    Raises
    ------
    InvalidSequenceError
        If no series has two rows and the index declares no step.
    """
    declared = times.declared_step
    if declared is not None and not first_of_series[1:].any():
        return _declared_rule(declared, times)
    inside = ~first_of_series[1:]
    if not inside.any():
        raise InvalidSequenceError(
            "X has one row, or one row a series, and its times declare no step: give "
            "the time between rows in freq=, for example freq='h'."
        )
    earlier, later = ticks[:-1], ticks[1:]
    if not inside.all():
        earlier, later = earlier[inside], later[inside]
    for rule in _candidates(times, ticks, first_of_series):
        if _nearly_all(rule.adjacent(earlier, later)):
            return rule
    return Reach((later - earlier).max())


def freq_of(rule, times):
    """Return the step between times as a user would give it.

    Parameters
    ----------
    rule : FixedStep, CalendarStep, Reach or None
        None where no times are known.
    times : Times or None
        The times that it holds for.

    Returns
    -------
    offset, Timedelta, number or None
        None without a regular step.
    """
    if rule is None:
        return None
    if isinstance(times.labels, pd.PeriodIndex):
        # Ordinals count the base unit, of which a period may span several.
        return times.labels.freq.base * rule.step
    return rule.freq


def run_starts(rule, ticks, first_of_series):
    """Mark the rows that have no neighbour before them.

    Parameters
    ----------
    rule : FixedStep, CalendarStep, Reach or None
        None, as `ticks`, where no times are known: rows are neighbours.
    ticks : ndarray or None
        Times, series by series.
    first_of_series : ndarray of bool
        Which of them begin a series.

    Returns
    -------
    first : ndarray of bool
        `first_of_series` itself where there are no others.
    """
    if rule is None or ticks is None:
        return first_of_series
    first = first_of_series
    for begin, end in blocks(len(ticks) - 1, ROWS_A_BLOCK):
        earlier, later = slice(begin, end), slice(begin + 1, end + 1)
        breaks = ~rule.adjacent(ticks[earlier], ticks[later]) & ~first[later]
        if breaks.any():
            first = first.copy() if first is first_of_series else first
            first[later] |= breaks
    return first


def _step_of_periods(freq, times):
    start = pd.Period(ordinal=0, freq=times.labels.freq)
    try:
        return FixedStep((start + to_offset(freq)).ordinal)
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidSequenceError(
            f"freq={freq!r} does not fit the times of X, which are {times.kind}: "
            f"{error}"
        ) from error


def _following(date, offset):
    """Return the date one step later, or NaT past the last that there is."""
    try:
        return date + offset
    except (OverflowError, ValueError):
        return pd.NaT


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
    # Days and weeks are fixed on the wall clock; pandas 2 calls a Day a Tick.
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


def _declared_rule(declared, times):
    if isinstance(declared, pd.offsets.BaseOffset):
        return _step_of_offset(declared, times)
    return FixedStep(declared)


def _candidates(times, ticks, first_of_series):
    """Yield rules that the times might follow, the likeliest first."""
    dates = times.ticks.dtype.kind == "M"
    wall = wall_clock(ticks, times.time_zone) if dates else ticks
    for factor in STRETCH_FACTORS:
        offset = _calendar_offset(wall, first_of_series, factor) if dates else None
        if offset is not None:
            yield _step_of_offset(offset, times)
        if factor == np.inf:
            yield from _commonest_steps(times, ticks, wall, first_of_series)
    if dates:
        yield from _steps_of_open_days(wall, times.time_zone)


def _steps_of_open_days(wall, time_zone):
    """Yield the step from one day of a shop or exchange to the next, if days miss.

    A missing day is shorter than a weekend, which no factor tells from a gap.
    """
    days = pd.DatetimeIndex(wall).day_of_week
    open_days, counts = np.unique(days, return_counts=True)
    if len(open_days) == 7:
        return
    if open_days.max() < 5:
        yield CalendarStep(pd.offsets.BDay(), time_zone)
    if counts.min() < LEAST_WEEKS:
        return
    mask = " ".join(DAYS[day] for day in open_days)
    yield CalendarStep(pd.offsets.CustomBusinessDay(weekmask=mask), time_zone)


def _commonest_steps(times, ticks, wall, first_of_series):
    """Yield the difference most often seen, if no smaller one is."""
    inside = ~first_of_series[1:]
    day = np.timedelta64(1, "D")
    if times.time_zone is not None:
        step = _commonest(np.diff(wall)[inside])
        if step is not None and step % day == np.timedelta64(0):
            yield FixedStep(step, times.time_zone)
    step = _commonest(np.diff(ticks)[inside])
    if step is not None:
        yield FixedStep(step)


def _commonest(passed):
    if passed.dtype.kind == "f":
        # The rounding of times such as 0.1 * k makes equal steps differ.
        step = np.median(passed)
        return float(step) if passed.min() >= step * (1 - 1e-6) else None
    steps, counts = np.unique(passed, return_counts=True)
    if counts.argmax() > 0:
        return None
    return int(steps[0]) if passed.dtype.kind == "i" else steps[0]


def _calendar_offset(wall, first_of_series, factor):
    """Infer the offset of the longest stretch without a gap, if it has one."""
    passed = np.diff(wall)
    inside = ~first_of_series[1:]
    cut = first_of_series.copy()
    if np.isfinite(factor):
        cut[1:] |= passed > factor * np.median(passed[inside])
    bounds = np.append(np.flatnonzero(cut), len(wall))
    longest = int(np.argmax(np.diff(bounds)))
    stretch = wall[bounds[longest] : bounds[longest + 1]]
    offset = pd.DatetimeIndex(stretch, freq="infer").freq
    return None if isinstance(offset, pd.offsets.Tick) else offset


def _nearly_all(adjacent):
    """One gap is forgiven however few the rows, if most pairs are neighbours."""
    n_gaps = len(adjacent) - np.count_nonzero(adjacent)
    allowed = max(1, (1 - REGULAR_SHARE) * len(adjacent))
    return n_gaps <= allowed and n_gaps < np.count_nonzero(adjacent)
