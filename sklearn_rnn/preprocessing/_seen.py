"""How long the windows of a fitted windower are, and whether they could be longer."""

import copy
from typing import Any

import numpy as np
import pandas as pd


def window_lengths(windower: Any, X: Any, rows: np.ndarray) -> np.ndarray:
    """Return the lengths of the windows of some rows, as far as they have no gap.

    Training rows that ``history="train"`` puts in front count only if they precede
    the rows of `X` without a gap, or if no times are known.
    """
    if windower.history == "train" and windower._rule is not None:
        windower = copy.copy(windower)
        windower.history = "auto"
    return windower.transform(X).lengths[rows]


def cover_series_start(
    windower: Any,
    labels: pd.Index | None,
    lengths: np.ndarray,
    n_rows: np.ndarray,
    begins: np.ndarray | None,
) -> np.ndarray:
    """Return which windows begin at the first row of their series in fit.

    False for a series that was not in fit, or had whole windows there.

    Parameters
    ----------
    windower : SequenceWindower
        Fitted on a table.
    labels : Index of n labels, or None
        The series; None if there is only one.
    lengths : ndarray of int of shape (n,)
        Steps of each window.
    n_rows : ndarray of int of shape (n,)
        Rows of each series in the table.
    begins : ndarray of shape (n,), or None
        Timestamps of the first of them, or None without times.
    """
    history = windower._history
    covered = np.zeros(len(lengths), dtype=bool)
    in_fit = np.zeros(len(lengths), dtype=int)
    if history.labels is not None and labels is not None:
        in_fit = history.labels.get_indexer(labels)
    first_segments = np.searchsorted(history.series, in_fit)
    for i in np.flatnonzero(in_fit >= 0):
        segment = first_segments[i]
        begin, end = history.begins[segment], history.ends[segment]
        if end - begin >= windower.n_steps - 1:
            continue  # rows before these were not kept
        if history.timestamps is None or begins is None:
            covered[i] = lengths[i] >= end - begin
        else:
            is_longer = lengths[i] > n_rows[i]
            covered[i] = is_longer or begins[i] <= history.timestamps[begin]
    return covered
