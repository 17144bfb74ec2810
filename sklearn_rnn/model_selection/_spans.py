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
    """A span of time, or of numeric times; with `in_days` the wall clock counts it."""

    length: Any  # Timedelta, int or float
    in_days: bool = False

    def index_after(self, distinct, last, times=1):
        """Return the index of the first time in the `times` spans up to a given one."""
        bound = self._bound(distinct[last], times, toward=1)
        return int(distinct.searchsorted(bound, side="right"))

    def index_before(self, distinct, first):
        """Return how many times are earlier than one span before a given one."""
        bound = self._bound(distinct[first], times=1, toward=-1)
        return int(distinct.searchsorted(bound, side="left"))

    def _bound(self, time, times, toward):
        """Return the time `times` spans earlier, exclusive for the search."""
        distance = times * self.length
        if self.in_days and getattr(time, "tzinfo", None) is not None:
            wall = time.tz_localize(None) - distance
            return wall.tz_localize(
                time.tzinfo, ambiguous=True, nonexistent="shift_forward"
            )
        bound = time - distance
        if not isinstance(bound, (float, np.floating)):
            return bound
        # Times such as 0.1 * k carry rounding errors of their own size.
        return bound + toward * (1e-9 * distance + 4 * np.spacing(abs(time)))


def is_int(value):
    """Return whether a value is an integer, of Python or NumPy, and no bool."""
    # NumPy counts its timedelta64 among the integers.
    return isinstance(value, Integral) and not isinstance(value, (bool, np.timedelta64))


def check_size(value, name, least):
    """Return a length that a user gave: an int, which counts times, or a Span.

    `least`, 0 or 1, is the smallest count; with 1, a span of 0 is an error.
    """
    if is_int(value):
        size, length = int(value), int(value)
    else:
        size = _parse_span(value, name)
        length = size.length / SECOND if _in_time(size) else size.length
    if not np.isfinite(length) or length < 0 or (least and not length):
        wanted = "above 0" if least else "0 or more"
        raise ValueError(f"{name}={value!r} should be {wanted}, and finite.")
    return size


def check_size_fits(size, name, kind):
    """Check that a size can be measured on times of some kind.

    Counts (and None) fit all; kind is "time_index" if only the order is known.
    """
    if not isinstance(size, Span):
        return
    if kind == "time_index":
        raise ValueError(
            f"{name} is a span, but the windows in X know only the order of their "
            "time steps: count them by an int, or give their times as groups."
        )
    if _in_time(size) and kind == "numbers":
        raise ValueError(
            f"{name} is a span of time, but the times of X are numeric: give a float "
            "in their unit, or an int that counts distinct times."
        )
    if not _in_time(size) and kind != "numbers":
        raise ValueError(
            f"{name} is a float, but the times of X are {kind}: give a string such as "
            "'7D', a Timedelta, or an int that counts distinct times."
        )


def _in_time(size):
    return isinstance(size.length, pd.Timedelta)


def _parse_span(value, name):
    if isinstance(value, str):
        return _parse_text(value, name)
    if isinstance(value, (timedelta, np.timedelta64)):
        return Span(_fixed_span(value, name, value))
    if isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
        # Integers stay exact among integer times, however large.
        whole = float(value).is_integer()
        number: Any = value  # Real does not declare __int__
        return Span(int(number) if whole else float(number))
    raise ValueError(
        f"{name}={value!r} should be an int, which counts distinct times, or a span: a "
        "string such as '7D', a Timedelta, or for numeric times a float."
    )


def _parse_text(text, name):
    days = WHOLE_DAYS.fullmatch(text)
    if days:
        n_days = int(days[1] or 1) * (7 if days[2] else 1)
        length = _fixed_span(f"{n_days}D", name, text)
        return Span(length, in_days=True)
    # pandas takes a value without unit for nanoseconds, and "" for a missing one.
    has_unit = re.search(r"[a-z:]", text, re.IGNORECASE)
    return Span(_fixed_span(text if has_unit else "no unit", name, text))


def _fixed_span(span, name, given):
    try:
        length = pd.Timedelta(span)
        if not pd.isna(length):
            # In seconds, where they suffice, the range exceeds that of nanoseconds.
            return length.as_unit("s") if length % SECOND == NOTHING else length
        reason = "it is missing"
    except ValueError as error:
        reason = str(error)
    raise ValueError(
        f"{name}={given!r} is no span of time ({reason}): give a value and a unit of "
        "fixed length, such as '7D', '12h' or '30min'. An int counts times."
    )
