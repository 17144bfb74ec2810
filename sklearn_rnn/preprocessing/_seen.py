"""Seen: how long a fitted windower's windows are, and whether more could be had."""

import copy

import numpy as np


def window_lengths(windower, X, rows):
    """Measure the windows of some rows, as far as they have no gap.

    Parameters
    ----------
    windower : SequenceWindower
        Fitted on a table.
    X : DataFrame
        A table.
    rows : ndarray of int of shape (n,)
        Rows of it.

    Returns
    -------
    ndarray of int of shape (n,)
        Steps. Training rows that ``history="train"`` puts in front count only if
        they lead up to the rows of `X`, or if no times are known.
    """
    if windower.history == "train" and windower._rule is not None:
        windower = copy.copy(windower)
        windower.history = "auto"
    return windower.transform(X).lengths[rows]


def reach_the_start(windower, labels, seen, own, begins):
    """Return whether windows go back to the first row of their series in fit.

    Parameters
    ----------
    windower : SequenceWindower
        Fitted on a table.
    labels : Index of n labels, or None
        The series; None if there is but one.
    seen : ndarray of int of shape (n,)
        Steps of each window.
    own : ndarray of int of shape (n,)
        Rows of each series in the table.
    begins : ndarray of shape (n,), or None
        Ticks of the first of them, or None without times.

    Returns
    -------
    ndarray of bool of shape (n,)
        False for a series that was not in fit, or had whole windows there.
    """
    history = windower._history
    reach = np.zeros(len(seen), dtype=bool)
    known = np.zeros(len(seen), dtype=int)
    if history.labels is not None and labels is not None:
        known = history.labels.get_indexer(labels)
    first_runs = np.searchsorted(history.series, known)
    for i in np.flatnonzero(known >= 0):
        run = first_runs[i]
        begin, end = history.begins[run], history.ends[run]
        if end - begin >= windower.n_steps - 1:
            continue  # rows before these were not kept
        if history.ticks is None or begins is None:
            reach[i] = seen[i] >= end - begin
        else:
            reach[i] = seen[i] > own[i] or begins[i] <= history.ticks[begin]
    return reach
