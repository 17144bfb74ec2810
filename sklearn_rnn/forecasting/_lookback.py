"""The rows of a table that the windows of a model contain."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import (
    SklearnRNNWarning,
    WindowHistoryWarning,
    user_stacklevel,
)
from sklearn_rnn.estimators import windowers
from sklearn_rnn.forecasting._windows_seen import (
    cover_series_start,
    lookback_of,
    windows_seen,
)
from sklearn_rnn.preprocessing import (
    UnknownTimesWarning,
    describe_step,
    frame_column,
    freq_of,
    group_rows,
    is_polars,
    times_of_frame,
)

# Maximum number of series that a warning names.
SHOWN = 3


def required_positions(
    data: Any, series: Any, positions: np.ndarray, model: Any
) -> np.ndarray:
    """Return the positions that a fitted model needs to predict at some of them.

    Positions count the rows of a pandas or polars table in the order of `series`
    (SeriesRows). With a windower in front a model needs those of its windows, and
    with ``missing="mask"`` the last value before; otherwise the whole series.
    """
    first = series.is_start
    begins = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    starts = begins[positions]
    lookback = lookback_of(model)
    if lookback is not None:
        starts = np.maximum(positions - lookback, starts)
        if any(windower.missing == "mask" for windower in windowers(model)):
            starts = _last_seen(data, series, begins)[starts]
    # +1 at the start of an interval and -1 after its end: the cumulative sum is
    # positive inside of any.
    change = np.zeros(len(first) + 1, dtype=int)
    np.add.at(change, starts, 1)
    np.add.at(change, positions + 1, -1)
    return np.flatnonzero(np.cumsum(change)[:-1] > 0)


def _last_seen(data, series, begins):
    """Return by position that of the oldest among the columns' last values."""
    positions = np.arange(len(begins))
    rows = series.rows(positions)
    oldest = positions
    for name in data.columns:
        missing = np.asarray(pd.isna(np.asarray(data[name])))[rows]
        seen = np.maximum.accumulate(np.where(missing, -1, positions))
        oldest = np.minimum(oldest, np.maximum(seen, begins))
    return oldest


@contextmanager
def ignore_unknown_times() -> Iterator[None]:
    """Ignore UnknownTimesWarning, for tables with all available rows of a window."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownTimesWarning)
        yield


def add_untargeted(newest: Any, grid: Any, model: Any, options: Any) -> Any:
    """Prepend the rows without targets that a fitted model keeps from fit.

    Returns `newest` itself unless these rows precede those of a series without a gap.
    """
    remembered = _untargeted_rows(model, newest)
    if remembered is None or grid.rule is None:
        return newest
    times = times_of_frame(remembered, options.time, "forecast")
    if times is None or (times.kind, times.time_zone) != (
        grid.times.kind,
        grid.times.time_zone,
    ):
        return newest
    groups = None
    if options.group_by is not None:
        groups = frame_column(remembered, options.group_by, "group_by")
    series = group_rows(len(remembered), times, groups)
    times_of_old: Any = series.timestamps
    found = []
    for label, position in enumerate(grid.series.bounds[:-1]):
        old = label
        if series.labels is not None:
            old = series.labels.get_indexer(grid.series.labels[[label]])[0]
        if old < 0:
            continue
        begin, end = series.bounds[old : old + 2]
        begin_of_new = grid.series.timestamps[position : position + 1]
        end = begin + np.searchsorted(times_of_old[begin:end], begin_of_new[0])
        last_of_old = times_of_old[end - 1 : end]
        if end > begin and grid.rule.adjacent(last_of_old, begin_of_new)[0]:
            found.append(series.rows(np.arange(begin, end)))
    if not found:
        return newest
    earlier = remembered.iloc[np.concatenate(found)]
    return pd.concat([earlier.rename_axis(newest.index.names), newest])


def _untargeted_rows(model, newest):
    """Return the rows that a model keeps of a table like the newest one, or None."""
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


def warn_of_short_windows(
    model: Any,
    X: Any,
    rows: np.ndarray,
    *,
    grid: Any,
    positions: np.ndarray,
    group_by: str | None,
) -> None:
    """Warn if forecasts use fewer steps than a window of the model has.

    `rows` are those of X with the newest row of each series, `positions` those of the
    rows of X in the grid of the whole table.
    """
    series = grid.series
    # By series, the number of its rows in X, and the time of the first.
    first_rows = np.searchsorted(positions, series.bounds[:-1])
    own = np.diff(np.append(first_rows, len(positions)))
    begins = (
        None if series.timestamps is None else series.timestamps[positions[first_rows]]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SklearnRNNWarning)  # predict repeats them
        found = windows_seen(model, X, rows)
    for windower, n_steps, seen in found:
        short = seen < n_steps
        short &= ~cover_series_start(windower, series.labels, seen, own, begins)
        if short.any():
            labels = series.labels
            forecasts = _short_forecasts(seen, short, labels)
            per_series = "" if labels is None else f" of each {group_by}"
            reason = _missing_rows(windower, n_steps, per_series)
            if (seen < own)[short].all():
                reason = _other_freq(windower, grid)
            warnings.warn(
                f"{forecasts} the {n_steps} steps of a window of the model: {reason}",
                WindowHistoryWarning,
                stacklevel=user_stacklevel(),
            )
            return


def _short_forecasts(seen, short, labels):
    """Describe how many steps forecasts used."""
    if labels is None:
        return f"the forecast uses {seen[0]} of"
    indices = np.flatnonzero(short)
    shown = ", ".join(f"{labels[i]!r}: {seen[i]}" for i in indices[:SHOWN])
    more = ", ..." if len(indices) > SHOWN else ""
    return (
        f"the forecasts of {len(indices)} of {len(seen)} series use fewer "
        f"({shown}{more}) than"
    )


def _missing_rows(windower, n_steps, per_series):
    """Explain that rows are missing, and how many to pass."""
    forced = ""
    if windower.history == "train" and windower._rule is not None:
        forced = " history='train' completes windows with training rows nevertheless."
    return (
        "newest has no more, and no rows that the model keeps from fit precede them "
        f"without a gap.{forced} Pass the last {n_steps} rows{per_series}. (Rows "
        "without a target are kept if the X of make_forecast_frame is fitted "
        "unaltered.)"
    )


def _other_freq(windower, grid):
    """Explain that the windower has a shorter step between rows than forecast."""
    step = "at most as far apart as in fit"
    if windower.freq_ is not None:
        step = f"{describe_step(windower.freq_)} apart"
    freq = describe_step(freq_of(grid.rule, grid.times))
    return (
        f"its SequenceWindower cuts windows where rows are not {step}, and forecast "
        f"uses freq={freq!r}. Fit the model with that freq=, or pass none to forecast."
    )
