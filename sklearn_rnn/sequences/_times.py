"""Times: when each row of a table was, as plain numbers, dates or durations."""

import re
from datetime import tzinfo
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._coverage import blocks

# Times compared at a time.
ROWS_A_BLOCK = 2**17

# Four digits of a year, or days and months between slashes.
WRITTEN_DATE = re.compile(r"\s*(\d{4}-\d{1,2}-\d{1,2}|\d{1,4}/\d{1,2}/\d{1,4})")


class Times(NamedTuple):
    """One time a row.

    ticks : ndarray of datetime64 (in UTC), timedelta64, int64 or float64
    kind : str, what the ticks are; times of different kinds do not compare
    time_zone : of the dates' wall clock, or None
    declared_step : offset or number that the index itself declares, or None
    labels : pandas Index, the times as the user knows them
    """

    ticks: np.ndarray
    kind: str
    time_zone: tzinfo | None
    declared_step: object
    labels: pd.Index


def times_of_index(index, owner):
    """Read the index of a frame as times.

    Parameters
    ----------
    index : pandas Index
        Dates, periods, durations and numbers are times; anything else, such
        as strings, is not.
    owner : str
        Who asks, for the messages.

    Returns
    -------
    Times or None

    Raises
    ------
    InvalidSequenceError
        If the index has several levels, or dates written as strings, or a
        time is missing.
    """
    if isinstance(index, pd.MultiIndex):
        names = list(index.names)
        raise InvalidSequenceError(
            f"X has an index of {index.nlevels} levels, {names}, so {owner} cannot "
            "tell its times from its groups: name one level in time= and the other in "
            "group_by=."
        )
    index = _without_extension(index)
    if _is_time(index):
        return read_times(index)
    _refuse_written_dates(index)
    return None


def read_times(index, name=None):
    """Read a pandas Index, or a column turned into one, as times.

    Parameters
    ----------
    index : pandas Index
        Dates, periods, durations or numbers.
    name : object, default=None
        The column, for the message.

    Returns
    -------
    Times

    Raises
    ------
    InvalidSequenceError
        If it holds something else, or a time is missing.
    """
    index = _without_extension(index)
    if not _is_time(index):
        raise InvalidSequenceError(
            f"time={name!r} names a column of {index.dtype}, which are not times: "
            "turn it into dates with pd.to_datetime, or into numbers."
        )
    if index.hasnans:
        row = int(np.argmax(index.isna()))
        raise InvalidSequenceError(
            f"X has no time in row {row}: it is {index[row]}. Drop such rows, and "
            "their targets, or fill in the time."
        )
    if isinstance(index, pd.DatetimeIndex):
        return _read_dates(index)
    if isinstance(index, pd.PeriodIndex):
        # Ordinals count the base unit: a period of "2h" moves on by two hours.
        kind = f"periods of {index.freqstr}"
        return Times(index.asi8, kind, None, index.freq.n, index)
    if isinstance(index, pd.TimedeltaIndex):
        return Times(index.to_numpy(), "durations", None, index.freq, index)
    step = index.step if isinstance(index, pd.RangeIndex) else None
    # Small integers would overflow, and unsigned ones wrap, when subtracted.
    ticks = index.to_numpy().astype(np.float64 if index.dtype.kind == "f" else np.int64)
    return Times(ticks, "numbers", None, step, index)


def check_increasing(times, order, first_of_series):
    """Refuse rows that do not stand in the order of their times.

    Parameters
    ----------
    times : Times
        Of the table's rows.
    order : ndarray of int or None
        The rows, series by series; None where the table has that order.
    first_of_series : ndarray of bool
        Which places of `order` begin a series.

    Raises
    ------
    InvalidSequenceError
        That names the first two rows in question.
    """
    ticks = times.ticks if order is None else times.ticks[order]
    for begin, end in blocks(len(ticks) - 1, ROWS_A_BLOCK):
        later = slice(begin + 1, end + 1)
        wrong = (ticks[later] <= ticks[begin:end]) & ~first_of_series[later]
        if wrong.any():
            _refuse_order(times, order, begin + int(np.argmax(wrong)) + 1)


def _refuse_order(times, order, place):
    row, before = (place, place - 1) if order is None else order[[place, place - 1]]
    label, label_before = times.labels[row], times.labels[before]
    ways_out = (
        "If several series share the times, name the column that tells them apart in "
        "group_by=. If the index is no time, as after shuffling or joining tables, "
        "renew it with df.reset_index(drop=True)."
    )
    if label == label_before:
        raise InvalidSequenceError(
            f"X has the time {label} twice, in rows {before} and {row}. Drop the "
            f"duplicates, say with df[~df.index.duplicated()]. {ways_out}"
        )
    raise InvalidSequenceError(
        f"X is not sorted by time: row {row} is at {label}, after row {before} at "
        f"{label_before}. Sort it, and its targets with it, by df.sort_index() or "
        f"df.sort_values(). {ways_out}"
    )


def wall_clock(ticks, time_zone):
    """Return dates as a clock in their time zone shows them.

    Parameters
    ----------
    ticks : ndarray of datetime64
        In UTC.
    time_zone : tzinfo or None
        None for dates without one.

    Returns
    -------
    ndarray of datetime64
    """
    if time_zone is None:
        return ticks
    aware = pd.DatetimeIndex(ticks, tz="UTC").tz_convert(time_zone)
    return aware.tz_localize(None).to_numpy()


def _without_extension(index):
    """Turn nullable and Arrow types into those that they stand for."""
    kind = getattr(index.dtype, "kind", "O")
    if isinstance(index.dtype, np.dtype) or kind not in "fiuMm":
        return index
    if isinstance(index.dtype, pd.DatetimeTZDtype):
        return index
    if kind in "Mm":
        return pd.DatetimeIndex(index) if kind == "M" else pd.TimedeltaIndex(index)
    dtype = np.float64 if kind == "f" or index.hasnans else np.int64
    return pd.Index(index.to_numpy(dtype=dtype, na_value=np.nan))


def _is_time(index):
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)):
        return True
    return isinstance(index.dtype, np.dtype) and index.dtype.kind in "fiu"


def _read_dates(index):
    if index.tz is None:
        return Times(index.to_numpy(), "dates", None, index.freq, index)
    ticks = index.tz_convert(None).to_numpy()
    return Times(ticks, "dates with a time zone", index.tz, index.freq, index)


def _refuse_written_dates(index):
    """Refuse dates that were read as text, as a CSV file's are by default."""
    first = index[0] if len(index) else None
    if isinstance(first, str) and WRITTEN_DATE.match(first):
        raise InvalidSequenceError(
            f"the index of X holds dates as strings, such as {first!r}, and strings "
            "have no neighbours in time: df.index = pd.to_datetime(df.index)."
        )
