"""The windows that a fitted model cuts at some rows of a table."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline

from sklearn_rnn.estimators import FITTED_INSIDE, SKIPPED, parts_of
from sklearn_rnn.preprocessing import SequenceWindower, UnknownTimesWarning

# Meta-estimators whose parts get X as it is.
SEE_THE_WHOLE = (MultiOutputRegressor, StackingRegressor, VotingRegressor)


class WindowsSeen(NamedTuple):
    """The windows of some rows, as one of an estimator's networks reads them.

    windower : SequenceWindower, that cuts the table
    n_steps : int, those of a whole window
    lengths : ndarray of int of shape (n,), those that there are
    """

    windower: SequenceWindower
    n_steps: int
    lengths: np.ndarray


def windows_seen(estimator, X, rows):
    """Measure the windows that an estimator cuts at some rows of a table.

    Parameters
    ----------
    estimator : estimator instance
        Fitted, of any kind.
    X : DataFrame
        The table.
    rows : ndarray of int of shape (n,)
        Rows of it.

    Returns
    -------
    list of WindowsSeen
        One per windower that cuts the table.
    """
    if not isinstance(estimator, Pipeline):
        whole = isinstance(estimator, (FrozenEstimator, *SEE_THE_WHOLE))
        if not whole and not any(hasattr(estimator, name) for name in FITTED_INSIDE):
            return []
        parts = parts_of(estimator)
        return [seen for part in parts for seen in windows_seen(part, X, rows)]
    steps = [step for _, step in estimator.steps if step not in SKIPPED]
    cutting = [isinstance(step, SequenceWindower) for step in steps]
    if not any(cutting):
        return windows_seen(steps[-1], _transform(steps[:-1], X), rows)
    place = cutting.index(True)
    windower = steps[place]
    lengths = window_lengths(windower, _transform(steps[:place], X), rows)
    # What comes behind it can only cut windows shorter.
    n_steps = min(step.n_steps for step in steps if isinstance(step, SequenceWindower))
    return [WindowsSeen(windower, n_steps, np.minimum(lengths, n_steps))]


def _transform(steps, X):
    for step in steps:
        X = step.transform(X)
    return X


def window_lengths(windower: Any, X: Any, rows: np.ndarray) -> np.ndarray:
    """Return the lengths of the windows of some rows, as far as they have no gap.

    Training rows that ``history="train"`` puts in front count only if they precede
    the rows of `X` without a gap, or if no times are known.
    """
    if windower.history == "train" and windower._rule is not None:
        windower = copy.copy(windower)
        windower.history = "auto"
    return windower.transform(X).lengths[rows]


@contextmanager
def ignore_unknown_times() -> Iterator[None]:
    """Ignore UnknownTimesWarning, for tables with all available rows of a window."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownTimesWarning)
        yield


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
