"""Series: the rows of a table, series by series, and where each run begins."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences import check_increasing


class SeriesRows(NamedTuple):
    """A table's rows in the order of its series, and of time inside each.

    order : ndarray of int, row of the table at each place; None if the same
    first : ndarray of bool, places that begin a series
    labels : Index of one group label a series, or None without groups
    ticks : ndarray of the times at each place, or None without times
    """

    order: np.ndarray | None
    first: np.ndarray
    labels: pd.Index | None
    ticks: np.ndarray | None

    @property
    def bounds(self):
        """Places where each series begins, and one past the last."""
        return np.append(np.flatnonzero(self.first), len(self.first))

    def moments(self):
        """Number the moments of the places: equal times alike, later ones higher."""
        if self.ticks is None or self.first.sum() == 1:
            return range(len(self.first)) if self.order is None else self.order
        return np.unique(self.ticks, return_inverse=True)[1]

    def rows(self, places):
        """Translate places into rows of the table."""
        return places if self.order is None else self.order[places]


def read_series(n_rows, times, groups):
    """Put the rows of a table in the order of its series.

    Parameters
    ----------
    n_rows : int
        Rows of the table.
    times : Times or None
        Theirs.
    groups : array-like of shape (n_rows,) or None
        One label a row.

    Returns
    -------
    SeriesRows

    Raises
    ------
    InvalidSequenceError
        If a label is missing, or the times of a series do not increase.
    """
    order, labels = None, None
    first = np.zeros(n_rows, dtype=bool)
    first[:1] = True
    if groups is not None:
        codes, labels = pd.factorize(groups, use_na_sentinel=True)
        # As objects, labels match whatever type a library gave their column.
        labels = pd.Index(labels, dtype=object)
        _refuse_missing(codes)
        if (codes[1:] < codes[:-1]).any():
            order = np.argsort(codes, kind="stable")
            codes = codes[order]
        first[1:] = codes[1:] != codes[:-1]
    if times is None:
        return SeriesRows(order, first, labels, None)
    check_increasing(times, order, first)
    ticks = times.timestamps if order is None else times.timestamps[order]
    return SeriesRows(order, first, labels, ticks)


def _refuse_missing(codes):
    if (codes < 0).any():
        raise InvalidSequenceError(
            f"the group_by column has no label in row {int(np.argmax(codes < 0))}: "
            "fill it in, or drop such rows with their targets."
        )
