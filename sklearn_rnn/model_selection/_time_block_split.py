"""TimeBlockSplit: train on the past and test on the next block of time."""

import re
from collections.abc import Iterator
from datetime import timedelta
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils.validation import _num_samples, check_consistent_length

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.preprocessing._tables import column_at, is_polars, times_of_frame
from sklearn_rnn.preprocessing._times import read_times
from sklearn_rnn.sequences import SequenceArray

OWNER = "TimeBlockSplit"

# Spans that count days on the wall clock: "7D", "1 day", "2W", "D".
WHOLE_DAYS = re.compile(r"\s*(\d*)\s*(D|days?|(W|weeks?))\s*", re.IGNORECASE)

WAYS_OUT = (
    "give a pandas frame with a time index; or name the column of times in time=; or "
    "give windows of SequenceWindower, which know theirs; or give one time a row as "
    "groups, as in cross_val_score(..., groups=times). If every row has a time of its "
    "own and they stand in order, use sklearn.model_selection.TimeSeriesSplit."
)


class TimeBlockSplit(BaseCrossValidator):
    """Split rows by time: train on the past, test on the block that follows.

    Like scikit-learn's `TimeSeriesSplit`, in units of time instead of rows.
    In a table of several series many rows share a time; all rows of one time
    land on the same side, so all series are cut at the same moment and none
    of them tells another's future. Rows may stand in any order.

    The last `n_splits` blocks of time are the test sets, one after the other
    and the latest last; each is tested with all rows from before it for
    training. With one row a time the splits are those of `TimeSeriesSplit`.

    Parameters
    ----------
    n_splits : int, default=5
        How many splits, at least 1.
    test_size : int, str, Timedelta or float, default=None
        Length of a test block: an int counts distinct times, of all series
        together; anything else is a span of time (see Notes). A block that
        ends at the time e holds the times in (e - `test_size`, e]; the last
        ends at the last time. None gives ``n_times // (n_splits + 1)`` times.
    gap : int, str, Timedelta or float, default=0
        What is left out between training and test, so that targets of the
        training rows do not reach into the test block: ``horizon - 1`` for
        those of `make_forecast_frame`. An int leaves out so many distinct
        times; a span leaves out the times in [t - `gap`, t), where t is the
        first time of the test block.
    max_train_size : int, str, Timedelta or float, default=None
        Length of the training data, the latest: so many distinct times, or
        the times in (e - `max_train_size`, e], where e is the last time that
        `gap` leaves. None takes all.
    time : str or int, default=None
        Column that holds the times, or level of a MultiIndex; for an array,
        the column's position. None uses the index of a pandas frame.

    Raises
    ------
    ValueError
        If a parameter is of another type or out of range.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : The same for one series in order.
    make_forecast_frame : Targets that lie ahead, which need a `gap`.

    Notes
    -----
    A span is a string such as "7D" or "12h", a Timedelta, a
    ``datetime.timedelta`` or a ``numpy.timedelta64`` for dates, durations and
    periods (which are counted from their starts); for numeric times it is a
    float, in their unit. On an hourly table without missing hours ``gap="5h"``
    does what ``gap=5`` does, and so for the other two. A string of whole days
    or weeks counts days on the wall clock of the dates' time zone, where some
    have 23 or 25 hours; all other spans are time elapsed.

    If the series are observed at different times, such as every hour on the
    hour and at half past, an int counts the times of both: give a span.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn import TimeBlockSplit
    >>> days = pd.date_range("2024-01-01", periods=6, freq="D")
    >>> table = pd.DataFrame({"day": days.repeat(2), "shop": ["A", "B"] * 6})
    >>> splitter = TimeBlockSplit(n_splits=2, test_size="2D", gap=1, time="day")
    >>> for train, test in splitter.split(table):
    ...     print(train, test)
    [0 1] [4 5 6 7]
    [0 1 2 3 4 5] [ 8  9 10 11]
    """

    # Metadata routing: the times, where they are given as groups, come through.
    __metadata_request__split = {"groups": True}

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_size: Any = None,
        gap: Any = 0,
        max_train_size: Any = None,
        time: str | int | None = None,
    ) -> None:
        self.n_splits = n_splits
        self.test_size = test_size
        self.gap = gap
        self.max_train_size = max_train_size
        self.time = time
        self._read_parameters()

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X : object, default=None
            Not used.
        y : object, default=None
            Not used.
        groups : object, default=None
            Not used.

        Returns
        -------
        n_splits : int
            As given.
        """
        return int(self.n_splits)

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows to train on and the rows to test on.

        Parameters
        ----------
        X : DataFrame, Series, SequenceArray or array-like of n_rows rows
            A pandas or polars table with its times, or windows that know the
            moment of their last row.
        y : object, default=None
            Not used.
        groups : array-like of shape (n_rows,), default=None
            The time of each row, where `X` does not know it or knows another.

        Yields
        ------
        train : ndarray of int
            Rows to train on, ascending.
        test : ndarray of int
            Rows to test on, ascending, all later than those of `train`.

        Raises
        ------
        InvalidSequenceError
            If `X` is empty, its times are not known, or one is missing.
        ValueError
            If there are too few times for the splits, or a test block has
            none; or a span does not fit times of their kind.
        """
        sizes = self._read_parameters()
        timeline = self._read_times(X, groups)
        for name, size in sizes.items():
            _check_fit(size, name, timeline.kind)
        for train, test in self._blocks(timeline.distinct, sizes):
            yield (
                _rows_between(timeline.places, *train),
                _rows_between(timeline.places, *test),
            )

    def _read_parameters(self):
        """Check all parameters, and return the three lengths, counts or spans."""
        if not _is_int(self.n_splits) or self.n_splits < 1:
            raise ValueError(
                f"n_splits={self.n_splits!r} should be an int of at least 1."
            )
        if self.time is not None and not (
            isinstance(self.time, str) or _is_int(self.time)
        ):
            raise ValueError(
                f"time={self.time!r} should be the name of a column or its position. "
                "Times themselves are given to split, as groups."
            )
        return {
            "test_size": _read_size(self.test_size, "test_size", least=1),
            "gap": _read_size(self.gap, "gap", least=0),
            "max_train_size": _read_size(
                self.max_train_size, "max_train_size", least=1
            ),
        }

    def _read_times(self, X, groups):
        if _num_samples(X) == 0:
            raise InvalidSequenceError(
                f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum "
                f"of 1 is required by {OWNER}."
            )
        if groups is not None:
            return self._from_groups(X, groups)
        if isinstance(X, pd.Series):
            X = X.to_frame()
        if isinstance(X, pd.DataFrame) or is_polars(X):
            if self.time is None:
                _refuse_unnamed_times(X)
            times = times_of_frame(X, self.time, OWNER)
            if times is not None:
                return Timeline.of(times)
        if isinstance(X, SequenceArray):
            return self._from_windows(X)
        if self.time is not None:
            return self._from_array(X)
        raise InvalidSequenceError(
            f"{OWNER} knows no times for the rows of X, a {type(X).__name__}: "
            f"{WAYS_OUT}"
        )

    def _from_groups(self, X, groups):
        if self.time is not None:
            raise ValueError(
                f"times are given twice, as groups and by time={self.time!r}: leave "
                "one of them out."
            )
        check_consistent_length(X, groups)
        if is_polars(groups):
            groups = column_at(groups.to_frame(), 0)
        index = pd.Index(groups)
        try:
            return Timeline.of(read_times(index))
        except InvalidSequenceError as error:
            if index.hasnans:
                raise
            raise InvalidSequenceError(
                f"{OWNER} takes groups as the times of the rows, and they hold "
                f"{index.dtype}: give dates, periods, durations or numbers. A column "
                "that tells series apart is not needed: all are cut at one time."
            ) from error

    def _from_windows(self, X):
        if self.time is not None:
            raise ValueError(
                f"time={self.time!r} names a column, but X is sequences, which have "
                "none: leave it out, and give the times as groups where they know none."
            )
        if X.moments is None:
            raise InvalidSequenceError(
                f"{OWNER} knows no times for the sequences of X: {WAYS_OUT}"
            )
        moments, places = np.unique(X.moments[X.ends - 1], return_inverse=True)
        return Timeline(pd.Index(moments), places, "moments")

    def _from_array(self, X):
        X = np.asarray(X)
        if X.ndim != 2 or isinstance(self.time, str):
            raise InvalidSequenceError(
                f"time={self.time!r} names a column, but X is an array of shape "
                f"{X.shape}: give a DataFrame, or the position of a column of a 2-D "
                "array."
            )
        if not -X.shape[1] <= self.time < X.shape[1]:
            raise InvalidSequenceError(
                f"time={self.time} names no column of X, an array of {X.shape[1]}."
            )
        index = pd.Index(X[:, self.time]).infer_objects()
        return Timeline.of(read_times(index, name=self.time))

    def _blocks(self, distinct, sizes):
        """Yield (begin, end) of training and test, as places in the times."""
        gap, longest = sizes["gap"], sizes["max_train_size"]
        bounds = self._test_bounds(distinct, sizes["test_size"])
        for begin, end in zip(bounds[:-1], bounds[1:], strict=True):
            train_end = (
                begin - gap if _is_int(gap) else gap.place_before(distinct, begin)
            )
            if train_end <= 0:
                raise ValueError(
                    f"no time is left to train on before the test block from "
                    f"{distinct[begin]}, with {self!r} and {len(distinct)} distinct "
                    f"times from {distinct[0]} to {distinct[-1]}: have fewer or "
                    "shorter test blocks, or a smaller gap."
                )
            train_begin = 0
            if longest is not None:
                train_begin = _begin_of(longest, distinct, train_end)
            yield (train_begin, train_end), (begin, end)

    def _test_bounds(self, distinct, test_size):
        """Return the n_splits + 1 bounds of the test blocks, the last the end."""
        n_times = len(distinct)
        if test_size is None:
            test_size = n_times // (self.n_splits + 1)
        bounds = [
            _begin_of(test_size, distinct, n_times, times)
            for times in range(self.n_splits, 0, -1)
        ]
        bounds.append(n_times)
        empty = np.flatnonzero(np.diff(bounds) <= 0)
        if len(empty) and bounds[empty[0]] > 0:
            raise ValueError(
                f"a test block of {self.test_size!r} before {distinct[bounds[empty[0]]]}"
                " has no rows: the times have a gap there. Have longer test blocks, or "
                "count distinct times by an int."
            )
        if len(empty):
            raise ValueError(
                f"X has {n_times} distinct time(s) from {distinct[0]} to "
                f"{distinct[-1]}, too few for {self!r}: have fewer or shorter test "
                "blocks."
            )
        return bounds


class Timeline(NamedTuple):
    """The distinct times of some rows.

    distinct : pandas Index, increasing
    places : ndarray of int of shape (n_rows,), where in it each row's time is
    kind : str, what they are
    """

    distinct: pd.Index
    places: np.ndarray
    kind: str

    @classmethod
    def of(cls, times):
        """Find the distinct among the times of a table."""
        ticks, rows, places = np.unique(
            times.ticks, return_index=True, return_inverse=True
        )
        if times.kind == "numbers":
            return cls(pd.Index(ticks), places, times.kind)
        distinct = times.labels[rows]
        if isinstance(distinct, pd.PeriodIndex):
            distinct = distinct.to_timestamp()
        return cls(distinct, places, times.kind)


class Span(NamedTuple):
    """A span of time, or of numeric times.

    length : Timedelta, int or float
    in_days : bool, whether the wall clock counts it
    """

    length: Any
    in_days: bool = False

    def place_after(self, distinct, last, times):
        """Find the first time later than `times` spans before place `last`."""
        bound = self._earlier(distinct[last], times)
        return distinct.searchsorted(self._shift(bound, times), side="right")

    def place_before(self, distinct, first):
        """Count the times that are earlier than one span before place `first`."""
        bound = self._earlier(distinct[first], 1)
        return distinct.searchsorted(self._shift(bound, -1), side="left")

    def _earlier(self, moment, times):
        if not self.in_days or getattr(moment, "tzinfo", None) is None:
            return moment - times * self.length
        wall = moment.tz_localize(None) - times * self.length
        return wall.tz_localize(
            moment.tzinfo, ambiguous=True, nonexistent="shift_forward"
        )

    def _shift(self, bound, times):
        """Move a bound by what times such as 0.1 * k are off by rounding."""
        if not isinstance(bound, (float, np.floating)):
            return bound
        return (
            bound
            + times * 1e-9 * self.length
            + np.sign(times) * 4 * np.spacing(abs(bound))
        )


def _begin_of(size, distinct, end, times=1):
    """Find where a stretch of `times` sizes begins that ends before place `end`."""
    if _is_int(size):
        return max(0, end - times * size)
    return size.place_after(distinct, end - 1, times)


def _rows_between(places, begin, end):
    return np.flatnonzero((places >= begin) & (places < end))


def _is_int(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _read_size(value, name, least):
    """Read a parameter as a count (an int), a Span or None."""
    if value is None and name != "gap":
        return None
    if _is_int(value):
        size, too_small = int(value), value < least
    elif isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
        length = int(value) if float(value).is_integer() else float(value)
        size, too_small = Span(length), not np.isfinite(value) or value < 0
    elif isinstance(value, (str, timedelta, np.timedelta64)):
        size = _read_span(value, name)
        too_small = pd.isna(size.length) or size.length < pd.Timedelta(0)
    else:
        raise ValueError(
            f"{name}={value!r} should be an int, which counts distinct times, or a "
            "span: a string such as '7D', a Timedelta, or for numeric times a float."
        )
    if too_small or (least and isinstance(size, Span) and not size.length):
        at_least = "0 or more" if least == 0 else "above 0"
        raise ValueError(f"{name}={value!r} should be {at_least}, and finite.")
    return size


def _read_span(value, name):
    if not isinstance(value, str):
        text, number = None, value
    elif days := WHOLE_DAYS.fullmatch(value):
        length = pd.Timedelta(days=int(days[1] or 1) * (7 if days[3] else 1))
        return Span(length, in_days=True)
    else:
        text, number = value, value
    try:
        if text is not None and text.strip().lstrip("-").isdigit():
            raise ValueError("it has no unit")
        return Span(pd.Timedelta(number))
    except ValueError as error:
        raise ValueError(
            f"{name}={value!r} is no span of time ({error}): give a number and a unit "
            "of fixed length, such as '7D', '12h' or '30min'. An int counts times."
        ) from error


def _check_fit(size, name, kind):
    """Refuse a span that cannot be taken from times of this kind."""
    if not isinstance(size, Span):
        return
    in_time = isinstance(size.length, pd.Timedelta)
    if kind == "moments":
        raise ValueError(
            f"{name} is a span, but the windows in X know only the order of their "
            "moments: count them by an int, or give their times as groups."
        )
    if in_time == (kind == "numbers"):
        wanted = "a string such as '7D' or a Timedelta" if not in_time else "a float"
        raise ValueError(
            f"{name} is a span of {'time' if in_time else 'numbers'}, but the times of "
            f"X are {kind}: give {wanted}, or an int that counts distinct times."
        )


def _refuse_unnamed_times(X):
    """Refuse to take row numbers, or one level of many, for the times of a table."""
    if is_polars(X):
        raise InvalidSequenceError(
            f"X is a polars frame, which has no index, so {OWNER} knows no times: name "
            f"their column in time=; its columns are {X.columns}."
        )
    if isinstance(X.index, pd.MultiIndex):
        raise InvalidSequenceError(
            f"X has an index of {X.index.nlevels} levels, {list(X.index.names)}: name "
            f"that of the times in {OWNER}(time=...)."
        )
    kinds = [getattr(dtype, "kind", "O") for dtype in X.dtypes]
    if "M" in kinds and X.index.dtype.kind in "iu":
        name = X.columns[kinds.index("M")]
        raise InvalidSequenceError(
            f"the index of X counts rows, and its column {name!r} holds dates: name it "
            f"in {OWNER}(time={name!r}), or drop it if the index is the time."
        )
