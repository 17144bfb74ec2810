"""The rows of a table that the windows of a model contain."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from sklearn_rnn.estimators import SKIPPED, parts_of, windowers
from sklearn_rnn.forecasting._calendar import CalendarFeatures
from sklearn_rnn.preprocessing import (
    SequenceWindower,
    TimeTable,
    UnknownTimesWarning,
)


def lookback_of(estimator):
    """Return how many rows before a row its prediction depends on.

    Parameters
    ----------
    estimator : estimator instance
        Fitted or not.

    Returns
    -------
    int or None
        None where it is not known: without a windower, or behind steps that may
        look at earlier rows themselves.
    """
    if isinstance(estimator, SequenceWindower):
        return estimator.n_steps - 1
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in SKIPPED]
        steps = [step for step in steps if not isinstance(step, CalendarFeatures)]
        return lookback_of(steps[0]) if steps else None
    inside = parts_of(estimator)
    if isinstance(estimator, TransformedTargetRegressor):
        # Before fit its transformer is a part, too.
        inside = [getattr(estimator, "regressor_", estimator.regressor)]
    return lookback_of(inside[0]) if len(inside) == 1 else None


def required_positions(table: Any, positions: np.ndarray, model: Any) -> np.ndarray:
    """Return the positions that a fitted model needs to predict at some of them.

    With a windower in front a model needs those of its windows, and if that fills
    missing values the last value before; otherwise the whole series.
    """
    first = table.is_series_start
    begins = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    starts = begins[positions]
    lookback = lookback_of(model)
    if lookback is not None:
        starts = np.maximum(positions - lookback, starts)
        if any(getattr(w, "_fill", None) is not None for w in windowers(model)):
            starts = _last_seen(table, begins)[starts]
    # +1 at the start of an interval and -1 after its end: the cumulative sum is
    # positive inside of any.
    change = np.zeros(len(first) + 1, dtype=int)
    np.add.at(change, starts, 1)
    np.add.at(change, positions + 1, -1)
    return np.flatnonzero(np.cumsum(change)[:-1] > 0)


def _last_seen(table, begins):
    """Return by position that of the oldest among the columns' last values."""
    positions = np.arange(len(begins))
    oldest, is_missing = positions, np.zeros(len(begins), dtype=bool)
    for name in table.data.columns:
        is_missing[:] = False
        is_missing[table.missing_values(name)] = True
        missing = is_missing[table.rows(positions)]
        seen = np.maximum.accumulate(np.where(missing, -1, positions))
        oldest = np.minimum(oldest, np.maximum(seen, begins))
    return oldest


@contextmanager
def ignore_unknown_times() -> Iterator[None]:
    """Ignore UnknownTimesWarning, for tables with all available rows of a window."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownTimesWarning)
        yield


def add_earlier(newest: TimeTable, earlier: Any, caller: str) -> TimeTable:
    """Prepend the rows of an earlier frame to a table, where no row is between them.

    Returns `newest` itself if there are none.
    """
    if newest.rule is None:
        return newest
    old = TimeTable.read(earlier, newest.keys, caller)
    times_of_old: Any = old.timestamps
    times_of_new: Any = newest.timestamps
    both = old.times, newest.times
    kinds = [times and (times.kind, times.time_zone) for times in both]
    if kinds[0] != kinds[1]:
        return newest
    found = []
    for label, position in enumerate(newest.series_bounds[:-1]):
        k = label
        if old.labels is not None and newest.labels is not None:
            k = old.labels.get_indexer(newest.labels[[label]])[0]
        if k < 0:
            continue
        begin, end = old.series_bounds[k : k + 2]
        begin_of_new = times_of_new[position : position + 1]
        end = begin + np.searchsorted(times_of_old[begin:end], begin_of_new[0])
        last_of_old = times_of_old[end - 1 : end]
        if end > begin and newest.rule.adjacent(last_of_old, begin_of_new)[0]:
            found.append(old.rows(np.arange(begin, end)))
    if not found:
        return newest
    earlier = earlier.iloc[np.concatenate(found)]
    whole = pd.concat([earlier.rename_axis(newest.data.index.names), newest.data])
    # The index of the whole does not declare a step; that of the newest may.
    return TimeTable.read(whole, newest.keys, caller).with_step(newest.rule)
