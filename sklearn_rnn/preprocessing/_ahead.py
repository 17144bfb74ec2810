"""Ahead: the times that come some steps after those of a table."""

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences import (
    CalendarStep,
    MaxGap,
    RowStep,
    add_offset,
    describe_step,
    freq_of,
    local_time,
    to_times,
)

# Steps ahead in a list, at most: more would take gigabytes.
MAX_STEPS = 1_000_000

# A calendar is walked step by step: these take seconds.
MAX_CALENDAR_STEPS = 10_000

# Python's dates, by which pandas reads calendars and time zones, end here.
LAST_DATE = pd.Timestamp("9999-12-31 23:59:59").as_unit("s")


def list_steps(steps):
    """List steps ahead, one more than there may be if they are too many.

    Parameters
    ----------
    steps : object
        As the user gave them.

    Returns
    -------
    list
        Of whatever they are; of `steps` itself if that is no list.
    """
    if isinstance(steps, range):
        return list(steps[: MAX_STEPS + 1])
    if isinstance(steps, (list, tuple, set, frozenset)) or np.ndim(steps) == 1:
        return list(steps)
    return [steps]


def times_ahead(rule, times, last, n_steps):
    """Continue the times of a table after one of them.

    Parameters
    ----------
    rule : FixedStep, CalendarStep, MaxGap or RowStep
        What a step is. Days and coarser steps go along the wall clock of a
        time zone, shorter ones are elapsed time.
    times : Times
        Of the table.
    last : Timestamp, Period, Timedelta or number
        The time to continue after, one of ``times.labels``.
    n_steps : int
        How many times to give.

    Returns
    -------
    labels : Index of n_steps times
        Of the kind, time zone and name of ``times.labels``; whole numbers are
        int64, others float64.

    Raises
    ------
    InvalidSequenceError
        If the rule knows no regular step.
    """
    newest = to_times(pd.Index([last], dtype=times.labels.dtype))
    steps = np.arange(1, n_steps + 1)
    return _move(rule, times, np.repeat(newest.timestamps, n_steps), steps)


def shift_times(rule, times, k):
    """Move every time of a table some steps ahead.

    Parameters
    ----------
    rule : FixedStep, CalendarStep, MaxGap or RowStep
        What a step is, as for `times_ahead`.
    times : Times
        Of the table.
    k : int
        How many steps, at least 0.

    Returns
    -------
    labels : Index of len(times.labels) times
        As `times_ahead` gives them; ``times.labels`` for 0 steps.

    Raises
    ------
    InvalidSequenceError
        If the rule knows no regular step, and `k` is not 0.
    """
    if k == 0:
        return times.labels
    return _move(rule, times, times.timestamps, np.full(len(times.timestamps), k))


def refuse_irregular(rule):
    """Refuse times without a step that could be continued.

    Parameters
    ----------
    rule : FixedStep, CalendarStep, MaxGap or RowStep
        Theirs.

    Raises
    ------
    InvalidSequenceError
        If it is a MaxGap, or a RowStep of rows that keep no step of days.
    """
    if isinstance(rule, RowStep) and rule.spacing is None:
        raise InvalidSequenceError(
            "each row is one step (freq='rows'), and the times between rows differ too "
            "much to tell when the steps to come will be: give their times in future=, "
            "in a table with a row per step."
        )
    if isinstance(rule, MaxGap):
        raise InvalidSequenceError(
            "the rows of X are not a regular step apart, so the times of the steps to "
            "come are not known: give the time between rows in freq=, for example "
            "freq='h'."
        )


def _move(rule, times, ticks, steps):
    """Move each tick by its number of steps, and label it."""
    refuse_irregular(rule)
    if isinstance(rule, RowStep):
        rule = rule.spacing
    clock = local_time(ticks, rule.time_zone)
    if len(clock) == 0 or len(steps) == 0:
        return times.labels[:0]
    check_reach(rule, times, clock.max(), int(max(steps)))
    if isinstance(rule, CalendarStep):
        moved = _move_dates(clock, rule.offset, steps)
    else:
        moved = clock + steps * rule.step
    return _label(moved, rule, times).rename(times.labels.name)


def check_reach(rule, times, last, n_steps):
    """Check that times some steps ahead are times that there are.

    Parameters
    ----------
    rule : FixedStep or CalendarStep
        What a step is.
    times : Times
        Of the table.
    last : scalar
        The latest tick, on the rule's wall clock.
    n_steps : int
        Steps ahead of it.

    Raises
    ------
    InvalidSequenceError
        That names the last time that there is.
    """
    bound = None
    if isinstance(rule, CalendarStep):
        bound = _bound_of_calendar(rule.offset, last, n_steps)
    elif isinstance(times.labels, pd.PeriodIndex):
        end = pd.Period(LAST_DATE, freq=times.labels.freq)
        bound = end if int(last) + n_steps * int(rule.step) > end.ordinal else None
    elif isinstance(rule.step, np.timedelta64):
        bound = _bound_of_span(rule.step, last, n_steps)
    else:
        bound = _bound_of_numbers(rule.step, last, n_steps)
    if bound is not None:
        step = describe_step(freq_of(rule, times))
        if isinstance(times.labels, pd.PeriodIndex):
            last = pd.Period(ordinal=int(last), freq=times.labels.freq)
        raise InvalidSequenceError(
            f"{n_steps} steps of {step} after {last} reach past {bound}, the last time "
            "that there is: ask for fewer steps ahead, or check freq=."
        )


def _bound_of_numbers(step, last, n_steps):
    if isinstance(last, np.floating) or isinstance(step, float):
        largest = np.finfo(np.float64).max
        # As Python numbers, which overflow with an error or to infinity, not round.
        return None if abs(float(last) + n_steps * float(step)) <= largest else largest
    largest = np.iinfo(np.int64).max
    return None if int(last) + n_steps * int(step) <= largest else largest


def _bound_of_span(step, last, n_steps):
    """Return the last date or duration, if a span leads past it."""
    kind = pd.Timestamp if last.dtype.kind == "M" else pd.Timedelta
    last, step = kind(last), pd.Timedelta(step)
    # As numpy does, pandas adds in the finer of two units, but overflows with an error.
    unit = (pd.Timedelta(0).as_unit(last.unit) + step).unit
    end = kind(0).as_unit(unit).max
    if kind is pd.Timestamp:
        end = min(LAST_DATE, end)
    try:
        return end if last + n_steps * step > end else None
    except (OverflowError, ValueError):
        return end


def _bound_of_calendar(offset, last, n_steps):
    """Return the last date, if steps of a calendar are sure to lead past it."""
    last = pd.Timestamp(last)
    end = min(LAST_DATE, pd.Timestamp.max) if last.unit == "ns" else LAST_DATE
    try:
        first = last + offset
        days = (first + offset - first).days
    except (OverflowError, ValueError):
        return end
    # In seconds: 600 years are too long for a Timedelta in nanoseconds.
    if n_steps * days > 1.1 * (end.as_unit("s") - last.as_unit("s")).days:
        return end
    if n_steps > MAX_CALENDAR_STEPS:
        return f"{MAX_CALENDAR_STEPS} steps of a calendar"
    return None


def _move_dates(clock, offset, steps):
    dates, places = np.unique(clock, return_inverse=True)
    most = max(steps, default=0)
    dates, following = _chain(pd.DatetimeIndex(dates), offset, most)
    # Step by step: two months after 31 January may not be one month twice.
    for step in range(most):
        moving = steps > step
        places[moving] = following[places[moving]]
    return dates.to_numpy()[places]


def _chain(dates, offset, n_steps):
    """List the dates up to some steps after those given, and what follows each.

    On a grid nearly every date follows another one, so few are added.
    """
    following = np.empty(0, dtype=np.int64)
    for _ in range(n_steps):
        later = _add(dates[len(following) :], offset)
        dates = dates.append(later.difference(dates))
        following = np.append(following, dates.get_indexer(later))
    return dates, following


def _add(dates, offset):
    later = add_offset(dates, offset)
    if later.hasnans or later.max() > LAST_DATE:
        raise InvalidSequenceError(
            f"{offset.freqstr} after {dates.max()} is past {LAST_DATE}, the last time "
            "that there is: ask for fewer steps ahead, or check freq=."
        )
    return later


def _label(moved, rule, times):
    """Turn moved ticks, on the rule's wall clock, into labels of the times' kind."""
    if isinstance(times.labels, pd.PeriodIndex):
        return pd.PeriodIndex.from_ordinals(moved, freq=times.labels.freq)
    if moved.dtype.kind not in "mM":
        return pd.Index(moved)
    labels = pd.Index(moved)
    if times.time_zone is not None:
        labels = _localize(labels, rule.time_zone).tz_convert(times.time_zone)
    # A span such as half a second does not fit into times of whole seconds.
    in_unit = labels.as_unit(times.labels.unit)
    return in_unit if (in_unit == labels).all() else labels


def _localize(dates, time_zone):
    if time_zone is None:
        return dates.tz_localize("UTC")
    first_of_two = np.ones(len(dates), dtype=bool)
    return dates.tz_localize(
        time_zone, ambiguous=first_of_two, nonexistent="shift_forward"
    )
