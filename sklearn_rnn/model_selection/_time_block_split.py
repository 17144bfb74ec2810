"""TimeBlockSplit: train on the past and test on the next block of time."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils.validation import _num_samples, check_consistent_length

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.model_selection._spans import check_size, check_size_fits, is_int
from sklearn_rnn.preprocessing import (
    check_column_key,
    column_at,
    find_keys,
    first_date_column,
    is_polars,
    times_of_frame,
)
from sklearn_rnn.sequences import SequenceArray, to_index, to_times

NAME = "TimeBlockSplit"

REMEDY = (
    "give a pandas frame with a time index; or name the column of times in time=; or "
    "give windows of SequenceWindower, which know theirs; or give one time per row as "
    "groups, as in cross_val_score(..., groups=times). If every row has a time of its "
    "own and they are in order, use sklearn.model_selection.TimeSeriesSplit."
)


class TimeBlockSplit(PlainState, BaseCrossValidator):
    """Split rows by time: train on the past, test on the block that follows.

    Like scikit-learn's `TimeSeriesSplit`, in units of time instead of rows.
    In a table of several series many rows share a time; all rows of one time
    fall on the same side, so that all series are cut at the same time and none
    leaks another's future. Rows may be in any order.

    The last `n_splits` blocks of time are the test sets, one after the other
    and the latest last; the rows before each are its training data. With one
    row per time the splits are those of `TimeSeriesSplit`.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 1.
    test_size : int, str, Timedelta or float, default=None
        Length of a test block: an int counts distinct times, of all series
        together; anything else is a span of time (see Notes). A block that
        ends at the time e holds the times in (e - `test_size`, e]; the last
        ends at the last time. None gives ``n_times // (n_splits + 1)`` times.
    gap : int, str, Timedelta or float, default=0
        Time between training and test that is left out, so that targets of
        the training rows do not overlap the test block: ``horizon - 1`` for
        those of `make_forecast_frame`. An int leaves out this many distinct
        times; a span leaves out the times in [t - `gap`, t), where t is the
        first time of the test block.
    max_train_size : int, str, Timedelta or float, default=None
        Length of the training data, the latest: a number of distinct times, or
        the times in (e - `max_train_size`, e], where e is the last time that
        `gap` leaves. None takes all.
    time : str or int, default=None
        Column that holds the times, or level of a MultiIndex; for an array,
        the column's position. None takes what the table says of itself, as for
        `SequenceWindower`, or else the index of a pandas frame.

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
    is the same as ``gap=5``, and likewise for the other two. A string of whole days
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

    # Metadata routing passes times that are given as groups.
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
        self._check_parameters()

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
            time of their last row.
        y : object, default=None
            Not used.
        groups : array-like of shape (n_rows,), default=None
            The time of each row, where `X` has none or another one.

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
        sizes = self._check_parameters()
        timeline = self._get_times(X, groups)
        for name, size in sizes.items():
            check_size_fits(size, name, timeline.kind)
        for block in self._blocks(timeline.distinct, sizes):
            train, test = (_rows_between(timeline.indices, *part) for part in block)
            yield train, test

    def _check_parameters(self):
        """Check all parameters; return the three sizes, counts or spans."""
        if not is_int(self.n_splits) or self.n_splits < 1:
            raise ValueError(
                f"n_splits={self.n_splits!r} should be an int of at least 1."
            )
        try:
            check_column_key(self.time, "time")
        except InvalidSequenceError as error:
            raise ValueError(
                f"{error} Times themselves are given to split, as groups."
            ) from error
        if self.time is not None and not (
            isinstance(self.time, str) or is_int(self.time)
        ):
            raise ValueError(
                f"time={self.time!r} should be the name of a column or its position. "
                "Times themselves are given to split, as groups."
            )
        sizes = {"gap": check_size(self.gap, "gap", least=0)}
        for name in ("test_size", "max_train_size"):
            size = getattr(self, name)
            sizes[name] = None if size is None else check_size(size, name, least=1)
        return sizes

    def _get_times(self, X, groups):
        if _num_samples(X) == 0:
            raise InvalidSequenceError(
                f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum "
                f"of 1 is required by {NAME}."
            )
        if groups is not None:
            return self._from_groups(X, groups)
        if isinstance(X, pd.Series):
            X = X.to_frame()
        if isinstance(X, pd.DataFrame) or is_polars(X):
            time = find_keys(X, self.time).time
            if time is None:
                _check_times_are_named(X)
            times = times_of_frame(X, time, NAME)
            if times is not None:
                return Timeline.of(times)
        if isinstance(X, SequenceArray):
            return self._from_windows(X)
        if self.time is not None:
            return self._from_array(X)
        raise InvalidSequenceError(
            f"{NAME} knows no times for the rows of X, a {type(X).__name__}: {REMEDY}"
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
        index = to_index(groups, "groups, the times of the rows,")
        try:
            return Timeline.of(to_times(index))
        except InvalidSequenceError as error:
            if index.hasnans:
                raise
            raise InvalidSequenceError(
                f"{NAME} takes groups as the times of the rows, and they hold "
                f"{index.dtype}: give dates, periods, durations or numbers. A column "
                "that identifies series is not needed: all are cut at the same time."
            ) from error

    def _from_windows(self, X):
        if self.time is not None:
            raise ValueError(
                f"time={self.time!r} names a column, but X is sequences, which have "
                "none: leave it out, and give the times as groups where they know none."
            )
        if X.time_index is None:
            raise InvalidSequenceError(
                f"{NAME} knows no times for the sequences of X: {REMEDY}"
            )
        times, indices = np.unique(X.times_of(X.ends - 1), return_inverse=True)
        return Timeline(pd.Index(times), indices, "time_index")

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
        return Timeline.of(to_times(X[:, self.time], self.time))

    def _blocks(self, distinct, sizes):
        """Yield (begin, end) of training and test, as indices of the times."""
        bounds = self._test_bounds(distinct, sizes["test_size"])
        for begin, end in pairwise(bounds):
            train_end = _end_before(sizes["gap"], distinct, begin)
            if train_end <= 0:
                raise ValueError(
                    f"no time is left to train on before the test block that begins at "
                    f"{distinct[begin]}: {_describe(distinct)}, too few for {self!r}. "
                    "Use fewer or shorter test blocks, or a smaller gap."
                )
            train_begin = _begin_of(sizes["max_train_size"], distinct, train_end)
            yield (train_begin, train_end), (begin, end)

    def _test_bounds(self, distinct, test_size):
        """Return the n_splits + 1 bounds of the test blocks, the last the end."""
        n_times, n_splits = len(distinct), self.get_n_splits()
        if n_splits > n_times:
            raise ValueError(
                f"{_describe(distinct)}, too few for {self!r}: use fewer test blocks."
            )
        if test_size is None:
            test_size = n_times // (n_splits + 1)
        bounds = [
            _begin_of(test_size, distinct, n_times, times)
            for times in range(n_splits, 0, -1)
        ]
        bounds.append(n_times)
        empty = np.flatnonzero(np.diff(bounds) == 0)
        if len(empty) and bounds[empty[0]] > 0 and not is_int(test_size):
            raise ValueError(
                f"test block {empty[0] + 1} of {n_splits}, a span of "
                f"{self.test_size!r}, holds no time of X: there is a gap. Use longer "
                "test blocks, or count distinct times by an int."
            )
        if len(empty):
            raise ValueError(
                f"{_describe(distinct)}, too few for {self!r}: use fewer or shorter "
                "test blocks."
            )
        return bounds


class Timeline(NamedTuple):
    """The distinct times of some rows."""

    distinct: pd.Index  # increasing
    indices: np.ndarray  # (n_rows,), of each row's time in `distinct`
    kind: str

    @classmethod
    def of(cls, times):
        """Return the timeline of the times of a table."""
        ticks, rows, indices = np.unique(
            times.timestamps, return_index=True, return_inverse=True
        )
        if times.kind == "numbers":
            return cls(pd.Index(ticks), indices, times.kind)
        distinct = times.labels[rows]
        if isinstance(distinct, pd.PeriodIndex):
            distinct = distinct.to_timestamp()
        return cls(distinct, indices, times.kind)


def _begin_of(size, distinct, end, times=1):
    """Return the begin of `times` sizes that end before the index `end`."""
    if size is None:
        return 0
    if is_int(size):
        return max(0, end - times * size)
    return size.index_after(distinct, end - 1, times)


def _end_before(gap, distinct, begin):
    """Return the end of training data that keep a gap to a test from index `begin`."""
    return begin - gap if is_int(gap) else gap.index_before(distinct, begin)


def _rows_between(indices, begin, end):
    return np.flatnonzero((indices >= begin) & (indices < end))


def _describe(distinct):
    return f"X has {len(distinct)} distinct time(s), {distinct[0]} to {distinct[-1]}"


def _check_times_are_named(X):
    """Check that no row numbers, or one level of many, count as times of a table."""
    if is_polars(X):
        raise InvalidSequenceError(
            f"X is a polars frame, which has no index, so {NAME} knows no times: name "
            f"their column in time=; its columns are {X.columns}."
        )
    if isinstance(X.index, pd.MultiIndex):
        raise InvalidSequenceError(
            f"X has an index of {X.index.nlevels} levels, {list(X.index.names)}: name "
            f"that of the times in {NAME}(time=...)."
        )
    dated = first_date_column(X) if X.index.dtype.kind in "iu" else None
    if dated is not None:
        raise InvalidSequenceError(
            f"the index of X counts rows, but its column {dated!r} has dates: name "
            f"it in {NAME}(time={dated!r}), or drop it if the index is the time."
        )
