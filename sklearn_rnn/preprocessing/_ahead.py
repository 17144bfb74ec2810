"""Times some steps after those of a table."""

from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences import (
    CalendarStep,
    FixedStep,
    MaxGap,
    RowStep,
    Times,
    add_offset,
    describe_step,
    freq_of,
    local_time,
    to_times,
)

# What a step of time is.
Rule = FixedStep | CalendarStep | MaxGap | RowStep

# Most steps ahead in a list: more would take gigabytes.
MAX_STEPS = 1_000_000

# Calendar offsets are added one by one: so many take seconds.
MAX_CALENDAR_STEPS = 10_000

# Calendars and time zones of pandas are computed with Python's dates, which end here.
LAST_DATE = pd.Timestamp("9999-12-31 23:59:59").as_unit("s")


def list_steps(steps: Any) -> list:
    """List the steps ahead that a user gave, at most MAX_STEPS + 1 of a range."""
    if isinstance(steps, range):
        return list(steps[: MAX_STEPS + 1])
    if isinstance(steps, (list, tuple, set, frozenset)) or np.ndim(steps) == 1:
        return list(steps)
    return [steps]


def times_ahead(rule: Rule, times: Times, last: Any, n_steps: int) -> pd.Index:
    """Return the n_steps times that follow `last`, one of the labels of `times`.

    The index has the type, time zone and name of ``times.labels``. Days and longer
    steps keep the local time of a time zone; shorter ones are elapsed time.
    """
    newest = to_times(pd.Index([last], dtype=times.labels.dtype))
    steps = np.arange(1, n_steps + 1)
    return move_times(rule, times, np.repeat(newest.timestamps, n_steps), steps)


def shift_times(rule: Rule | None, times: Times, k: int) -> pd.Index:
    """Return the labels of all times, moved `k` steps ahead."""
    if k == 0:
        return times.labels
    steps = np.full(len(times.timestamps), k)
    return move_times(rule, times, times.timestamps, steps)


def check_regular(rule: Any) -> Any:
    """Check that times have a step by which they can be continued, and return it."""
    if isinstance(rule, RowStep) and rule.spacing is None:
        raise InvalidSequenceError(
            "each row is one step (freq='rows'), and the times between rows differ too "
            "much to infer the times of future steps: give these times in future=, in "
            "a table with one row per step."
        )
    if isinstance(rule, MaxGap):
        raise InvalidSequenceError(
            "the rows of X are not a regular step apart, so the times of future steps "
            "are not known: give the time between rows in freq=, for example freq='h'."
        )
    return rule


def next_times(table: Any, n_steps: int) -> list[pd.Index]:
    """Return the times of the next steps of a TimeTable, one Index per series."""
    times, timestamps, latest = table.times, table.timestamps, table.latest
    if times is None or timestamps is None:
        last_rows = table.rows(latest)
        return [pd.RangeIndex(row + 1, row + 1 + n_steps) for row in last_rows]
    if table.rule is None:
        raise InvalidSequenceError(
            "newest has one row per series, and its times declare no step: pass the "
            "time between rows in freq=, or more rows."
        )
    steps, found = np.arange(1, n_steps + 1), {}
    for last in timestamps[latest]:
        if last not in found:  # most series of a panel end at the same time
            newest = np.repeat(last, n_steps)
            found[last] = move_times(table.rule, times, newest, steps)
    return [found[last] for last in timestamps[latest]]


def move_times(
    rule: Any, times: Times, timestamps: np.ndarray, steps: np.ndarray
) -> pd.Index:
    """Move each timestamp by its number of steps, and label it like `times`."""
    if isinstance(rule, (RowStep, MaxGap)):
        rule = check_regular(rule).spacing
    local = timestamps
    if rule.time_zone is not None:
        local = local_time(timestamps, rule.time_zone)
    if len(local) == 0 or len(steps) == 0:
        return times.labels[:0]
    check_time_range(rule, times, local.max(), int(steps.max()))
    if isinstance(rule, CalendarStep):
        moved = _move_dates(local, rule.offset, steps)
    else:
        moved = local + steps * rule.step
    if isinstance(times.labels, pd.PeriodIndex):
        labels = pd.PeriodIndex.from_ordinals(moved, freq=times.labels.freq)
        return labels.rename(times.labels.name)
    labels = pd.Index(moved, name=times.labels.name)
    if moved.dtype.kind not in "mM":
        return labels
    if times.time_zone is not None:
        labels = _localize(labels, rule.time_zone).tz_convert(times.time_zone)
    # A span such as half a second does not fit into times of whole seconds.
    in_unit = labels.as_unit(times.labels.unit)
    return in_unit if (in_unit == labels).all() else labels


def check_time_range(
    rule: FixedStep | CalendarStep, times: Times, last: Any, n_steps: int
) -> None:
    """Check that pandas can represent the time `n_steps` after `last`, local time."""
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
            f"{n_steps} steps of {step} after {last} are later than {bound}, the last "
            "possible time: ask for fewer steps ahead, or check freq=."
        )


def _bound_of_numbers(step, last, n_steps):
    if isinstance(last, np.floating) or isinstance(step, float):
        maximum = float(np.finfo(np.float64).max)
        # Python numbers overflow with an error or to infinity; NumPy's wrap around.
        return None if abs(float(last) + n_steps * float(step)) <= maximum else maximum
    largest = np.iinfo(np.int64).max
    return None if int(last) + n_steps * int(step) <= largest else largest


def _bound_of_span(step, last, n_steps):
    """Return the last date or duration if the steps pass it, else None."""
    kind = pd.Timestamp if last.dtype.kind == "M" else pd.Timedelta
    last = kind(last)
    end = kind(0).as_unit(last.unit).max
    try:
        step = pd.Timedelta(step)
        # pandas adds in the finer of two units, as NumPy does, but overflows with an
        # error.
        unit = (pd.Timedelta(0).as_unit(last.unit) + step).unit
        end = kind(0).as_unit(unit).max
        if kind is pd.Timestamp:
            end = min(LAST_DATE, end)
        return end if last + n_steps * step > end else None
    except (OverflowError, ValueError):
        return end


def _bound_of_calendar(offset, last, n_steps):
    """Return the last date if calendar steps are sure to pass it, else None."""
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


def _move_dates(local, offset, steps):
    dates, indices = np.unique(local, return_inverse=True)
    most = int(steps.max())
    dates, successors = _chain(pd.DatetimeIndex(dates), offset, most)
    # Step by step: two months after 31 January may not be one month twice.
    for step in range(most):
        moving = steps > step
        indices[moving] = successors[indices[moving]]
    return dates.to_numpy()[indices]


def _chain(dates, offset, n_steps):
    """List the dates up to `n_steps` after those given, and the successor of each.

    On a regular grid nearly every date succeeds another one, so few are added.
    """
    successors = np.empty(0, dtype=np.int64)
    for _ in range(n_steps):
        later = _add(dates[len(successors) :], offset)
        dates = dates.append(later.difference(dates))
        successors = np.append(successors, dates.get_indexer(later))
    return dates, successors


def _add(dates, offset):
    later = add_offset(dates, offset)
    if later.hasnans or later.max() > LAST_DATE:
        raise InvalidSequenceError(
            f"{offset.freqstr} after {dates.max()} is later than {LAST_DATE}, the last "
            "possible time: ask for fewer steps ahead, or check freq=."
        )
    return later


def _localize(dates, time_zone):
    if time_zone is None:
        return dates.tz_localize("UTC")
    # Of an hour that occurs twice in autumn, the first.
    first_of_two = np.ones(len(dates), dtype=bool)
    return dates.tz_localize(
        time_zone, ambiguous=first_of_two, nonexistent="shift_forward"
    )
