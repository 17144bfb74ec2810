"""The rows of a table, series by series."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences import Times, check_increasing


class SeriesRows(NamedTuple):
    """The rows of a table, sorted by series and by time inside each.

    order : ndarray of int, row of the table at each position; None if the same
    is_start : ndarray of bool, positions that begin a series
    labels : Index of one group label per series, or None without groups
    timestamps : ndarray of the times at each position, or None without times
    """

    order: np.ndarray | None
    is_start: np.ndarray
    labels: pd.Index | None
    timestamps: np.ndarray | None

    @property
    def bounds(self) -> np.ndarray:
        """Position where each series begins, and one past the last."""
        return np.append(np.flatnonzero(self.is_start), len(self.is_start))

    def time_index(self) -> np.ndarray | range:
        """Return one int per position: equal for equal times, larger for later ones."""
        if self.timestamps is None or self.is_start.sum() == 1:
            return range(len(self.is_start)) if self.order is None else self.order
        return np.unique(self.timestamps, return_inverse=True)[1]

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Return the rows of the table at some positions."""
        return positions if self.order is None else self.order[positions]


def group_rows(n_rows: int, times: Times | None, groups: Any) -> SeriesRows:
    """Sort the rows of a table by series, told apart by one label per row if at all."""
    order, labels = None, None
    is_start = np.zeros(n_rows, dtype=bool)
    is_start[:1] = True
    if groups is not None:
        codes, labels = pd.factorize(groups, use_na_sentinel=True)
        # As objects, labels match whatever type a library gave their column.
        labels = pd.Index(labels, dtype=object)
        _check_labels(codes)
        if (codes[1:] < codes[:-1]).any():
            order = np.argsort(codes, kind="stable")
            codes = codes[order]
        is_start[1:] = codes[1:] != codes[:-1]
    if times is None:
        return SeriesRows(order, is_start, labels, None)
    check_increasing(times, order, is_start)
    timestamps = times.timestamps if order is None else times.timestamps[order]
    return SeriesRows(order, is_start, labels, timestamps)


def _check_labels(codes):
    if (codes < 0).any():
        raise InvalidSequenceError(
            f"the group_by column has no label in row {int(np.argmax(codes < 0))}: "
            "fill it in, or drop such rows with their targets."
        )
