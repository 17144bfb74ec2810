"""Spans: lengths of time, counted in times or measured on the clock."""

import re
from datetime import timedelta
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# Spans that count days on the wall clock: "7D", "1 day", "2W", "D".
WHOLE_DAYS = re.compile(r"\s*(\d*)\s*(?:D|days?|(W|weeks?))\s*", re.IGNORECASE)

SECOND, NOTHING = pd.Timedelta(1, "s"), pd.Timedelta(0)


class Span(NamedTuple):
    """A span of time, or of numeric times.

    length : Timedelta, int or float
    in_days : bool, whether the wall clock counts it
    """

    length: Any
    in_days: bool = False

    def place_after(self, distinct, last, times=1):
        """Find the first time later than so many spans before a given one.

        Parameters
        ----------
        distinct : pandas Index
            Increasing times.
        last : int
            Place in it of the given time.
        times : int, default=1
            How many spans.

        Returns
        -------
        int
            The place of the time found.
        """
        bound = self._bound(distinct[last], times, toward=1)
        return int(distinct.searchsorted(bound, side="right"))

    def place_before(self, distinct, first):
        """Count the times earlier than one span before a given one.

        Parameters
        ----------
        distinct : pandas Index
            Increasing times.
        first : int
            Place in it of the given time.

        Returns
        -------
        int
            How many there are.
        """
        bound = self._bound(distinct[first], times=1, toward=-1)
        return int(distinct.searchsorted(bound, side="left"))

    def _bound(self, moment, times, toward):
        """Return the moment so many spans before, which no search is to find."""
        distance = times * self.length
        if self.in_days and getattr(moment, "tzinfo", None) is not None:
            wall = moment.tz_localize(None) - distance
            return wall.tz_localize(
                moment.tzinfo, ambiguous=True, nonexistent="shift_forward"
            )
        bound = moment - distance
        if not isinstance(bound, (float, np.floating)):
            return bound
        # Times such as 0.1 * k carry rounding errors of their own size.
        return bound + toward * (1e-9 * distance + 4 * np.spacing(abs(moment)))


def is_int(value):
    """Tell whether a value is an integer, of Python or NumPy, and no bool.

    Parameters
    ----------
    value : object
        Any.

    Returns
    -------
    bool
    """
    # NumPy counts its timedelta64 among the integers.
    return isinstance(value, Integral) and not isinstance(value, (bool, np.timedelta64))


def read_size(value, name, least):
    """Read a length that a user gave.

    Parameters
    ----------
    value : int, float, str, Timedelta, timedelta or timedelta64
        An int counts distinct times, anything else is a span.
    name : str
        The parameter, for the messages.
    least : {0, 1}
        The smallest count; a span of 0 is refused if it is 1.

    Returns
    -------
    int or Span

    Raises
    ------
    ValueError
        If it is none of these, or too small.
    """
    if is_int(value):
        size, length = int(value), int(value)
    else:
        size = _read_span(value, name)
        length = size.length / SECOND if _in_time(size) else size.length
    if not np.isfinite(length) or length < 0 or (least and not length):
        wanted = "above 0" if least else "0 or more"
        raise ValueError(f"{name}={value!r} should be {wanted}, and finite.")
    return size


def check_fit(size, name, kind):
    """Refuse a span that cannot be measured on times of some kind.

    Parameters
    ----------
    size : int, Span or None
        Counts fit all.
    name : str
        The parameter, for the messages.
    kind : str
        Of the times; "moments" if only their order is known.

    Raises
    ------
    ValueError
        If it is a span of time and they are numbers, or the reverse.
    """
    if not isinstance(size, Span):
        return
    if kind == "moments":
        raise ValueError(
            f"{name} is a span, but the windows in X know only the order of their "
            "moments: count them by an int, or give their times as groups."
        )
    if _in_time(size) and kind == "numbers":
        raise ValueError(
            f"{name} is a span of time, but the times of X are numbers: give a float "
            "in their unit, or an int that counts distinct times."
        )
    if not _in_time(size) and kind != "numbers":
        raise ValueError(
            f"{name} is a float, but the times of X are {kind}: give a string such as "
            "'7D', a Timedelta, or an int that counts distinct times."
        )


def _in_time(size):
    return isinstance(size.length, pd.Timedelta)


def _read_span(value, name):
    if isinstance(value, str):
        return _read_text(value, name)
    if isinstance(value, (timedelta, np.timedelta64)):
        return Span(_fixed_span(value, name, value))
    if isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
        # Whole numbers stay exact among integer times, however large.
        return Span(int(value) if float(value).is_integer() else float(value))
    raise ValueError(
        f"{name}={value!r} should be an int, which counts distinct times, or a span: a "
        "string such as '7D', a Timedelta, or for numeric times a float."
    )


def _read_text(text, name):
    days = WHOLE_DAYS.fullmatch(text)
    if days:
        n_days = int(days[1] or 1) * (7 if days[2] else 1)
        length = _fixed_span(f"{n_days}D", name, text)
        return Span(length, in_days=True)
    # pandas takes a number without unit for nanoseconds, and "" for a missing one.
    has_unit = re.search(r"[a-z:]", text, re.IGNORECASE)
    return Span(_fixed_span(text if has_unit else "no unit", name, text))


def _fixed_span(span, name, given):
    try:
        length = pd.Timedelta(span)
        if not pd.isna(length):
            # In seconds, if they suffice, it reaches beyond the years of nanoseconds.
            return length.as_unit("s") if length % SECOND == NOTHING else length
        reason = "it is missing"
    except ValueError as error:
        reason = str(error)
    raise ValueError(
        f"{name}={given!r} is no span of time ({reason}): give a number and a unit of "
        "fixed length, such as '7D', '12h' or '30min'. An int counts times."
    )
