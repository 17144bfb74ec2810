"""Which rows of a table the windows at some of its rows look back on."""

import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import (
    SklearnRNNWarning,
    WindowHistoryWarning,
    user_stacklevel,
)
from sklearn_rnn.estimators import lookback_of, windowers, windows_seen
from sklearn_rnn.preprocessing import (
    UnknownTimesWarning,
    cover_series_start,
    describe_step,
    frame_column,
    freq_of,
    group_rows,
    is_polars,
    times_of_frame,
)

# How many series a warning names.
SHOWN = 3


def places_needed(data, series, places, model):
    """Find the places that a model looks at to predict at some of them.

    Parameters
    ----------
    data : DataFrame
        Of pandas or polars.
    series : SeriesRows
        Its rows, series by series.
    places : ndarray of int
        Where predictions are wanted.
    model : estimator instance
        Fitted. With a windower in front it looks back as far as that does, and
        with ``missing="mask"`` to the last value seen before; without, nobody
        knows how far.

    Returns
    -------
    ndarray of int
        Places, increasing.
    """
    first = series.is_start
    begins = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    from_here = begins[places]
    lookback = lookback_of(model)
    if lookback is not None:
        from_here = np.maximum(places - lookback, from_here)
        if any(windower.missing == "mask" for windower in windowers(model)):
            from_here = _last_seen(data, series, begins)[from_here]
    # One up where a stretch begins, one down after its end: above 0 inside of any.
    change = np.zeros(len(first) + 1, dtype=int)
    np.add.at(change, from_here, 1)
    np.add.at(change, places + 1, -1)
    return np.flatnonzero(np.cumsum(change)[:-1] > 0)


def _last_seen(data, series, begins):
    """Find the place from which on every column has had a value."""
    everyone = np.arange(len(begins))
    rows = series.rows(everyone)
    seen_all = everyone
    for name in data.columns:
        missing = np.asarray(pd.isna(np.asarray(data[name])))[rows]
        seen = np.maximum.accumulate(np.where(missing, -1, everyone))
        seen_all = np.minimum(seen_all, np.maximum(seen, begins))
    return seen_all


@contextmanager
def ignore_unknown_times():
    """Ignore the warning of a windower that knows no times.

    For tables with all the rows that a window needs, wherever there are such.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownTimesWarning)
        yield


def add_untargeted(newest, grid, model, task):
    """Put the rows that had no targets in fit in front of newer ones.

    Parameters
    ----------
    newest : DataFrame
        The newest rows.
    grid : Grid
        Theirs.
    model : estimator instance
        Fitted.
    task : Task
        How tables are read.

    Returns
    -------
    DataFrame
        `newest` itself, unless the model remembers rows that lead up to it, series
        by series, without a break.
    """
    remembered = _untargeted_rows(model, newest)
    if remembered is None or grid.rule is None:
        return newest
    times = times_of_frame(remembered, task.time, "forecast")
    if times is None or (times.kind, times.time_zone) != (
        grid.times.kind,
        grid.times.time_zone,
    ):
        return newest
    groups = None
    if task.group_by is not None:
        groups = frame_column(remembered, task.group_by, "group_by")
    series = group_rows(len(remembered), times, groups)
    found = []
    for label, place in enumerate(grid.series.bounds[:-1]):
        old = label
        if series.labels is not None:
            old = series.labels.get_indexer(grid.series.labels[[label]])[0]
        if old < 0:
            continue
        begin, end = series.bounds[old : old + 2]
        tick = grid.series.timestamps[place : place + 1]
        end = begin + np.searchsorted(series.timestamps[begin:end], tick[0])
        if (
            end > begin
            and grid.rule.adjacent(series.timestamps[end - 1 : end], tick)[0]
        ):
            found.append(series.rows(np.arange(begin, end)))
    if not found:
        return newest
    earlier = remembered.iloc[np.concatenate(found)]
    return pd.concat([earlier.rename_axis(newest.index.names), newest])


def _untargeted_rows(model, newest):
    """Return what a model remembers of a table like the newest one, or None."""
    if is_polars(newest):
        return None
    for windower in windowers(model):
        rows = getattr(windower, "_untargeted_rows", None)
        if rows is None or windower.history is None:
            continue
        one_level = rows.index.nlevels == newest.index.nlevels == 1
        if not one_level and rows.index.names != newest.index.names:
            continue
        if set(newest.columns) <= set(rows.columns):
            return rows[list(newest.columns)]
    return None


def warn_of_short_windows(model, X, rows, grid, needed, group_by):
    """Warn if forecasts go by fewer steps than a window holds.

    Parameters
    ----------
    model : estimator instance
        Fitted.
    X : DataFrame
        The rows that it forecasts from.
    rows : ndarray of int of shape (n_series,)
        The newest row of each series in it.
    grid : Grid
        Of the table that `X` is part of.
    needed : ndarray of int
        Places of the grid that `X` has.
    group_by : str or None
        Column of the series.
    """
    series = grid.series
    # Of each series, its rows in X, and the time of the first.
    places = np.searchsorted(needed, series.bounds[:-1])
    own = np.diff(np.append(places, len(needed)))
    begins = None if series.timestamps is None else series.timestamps[needed[places]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SklearnRNNWarning)  # predict says the same
        found = windows_seen(model, X, rows)
    for windower, n_steps, seen in found:
        short = seen < n_steps
        short &= ~cover_series_start(windower, series.labels, seen, own, begins)
        if short.any():
            labels = series.labels
            forecasts = _short_forecasts(seen, short, labels)
            of_each = "" if labels is None else f" of each {group_by}"
            reason = _missing_rows(windower, n_steps, of_each)
            if (seen < own)[short].all():
                reason = _cut_by_steps(windower, grid)
            warnings.warn(
                f"{forecasts} the {n_steps} steps that a window of the model holds: "
                f"{reason}",
                WindowHistoryWarning,
                stacklevel=user_stacklevel(),
            )
            return


def _short_forecasts(seen, short, labels):
    """Say how many steps forecasts saw."""
    if labels is None:
        return f"the forecast goes by {seen[0]} of"
    places = np.flatnonzero(short)
    shown = ", ".join(f"{labels[i]!r} by {seen[i]}" for i in places[:SHOWN])
    more = ", ..." if len(places) > SHOWN else ""
    return (
        f"the forecasts of {len(places)} of {len(seen)} series go by fewer "
        f"({shown}{more}) than"
    )


def _missing_rows(windower, n_steps, of_each):
    """Say that rows are missing, and how many to pass."""
    forced = ""
    if windower.history == "train" and windower._rule is not None:
        forced = " history='train' fills windows up with training rows all the same."
    return (
        "newest has no more, and no rows that the model keeps from fit lead up to them "
        f"without a gap.{forced} Pass the last {n_steps} rows{of_each}. (Rows without "
        "a target are remembered if the X of make_forecast_frame is fitted unaltered.)"
    )


def _cut_by_steps(windower, grid):
    """Say that the windower takes fewer rows as neighbours than forecast does."""
    step = "at most as far apart as in fit"
    if windower.freq_ is not None:
        step = f"{describe_step(windower.freq_)} apart"
    freq = describe_step(freq_of(grid.rule, grid.times))
    return (
        f"its SequenceWindower cuts windows where rows are not {step}, and forecast "
        f"goes by freq={freq!r}. Fit the model with that freq=, or give forecast none."
    )
