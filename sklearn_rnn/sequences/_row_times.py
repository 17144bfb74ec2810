"""Row times: checks of the dates in the indexes of X and y."""

import warnings

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    SklearnRNNWarning,
    WindowHistoryWarning,
    user_stacklevel,
)
from sklearn_rnn.sequences._times import (
    DATED,
    MaxGap,
    as_typed_index,
    check_increasing,
    check_no_written_dates,
    describe_step,
    fill_call,
    freq_of,
    infer_rule,
    to_times,
)

CUT_ALONE = (
    "If X holds several series, cut each on its own, for example in a loop over "
    "df.groupby(...). If the index is no time, leave it out with X.to_numpy()."
)


def warn_of_other_times(labels, y):
    """Warn where the index of y differs from `labels`, the times of the rows of X."""
    own = _dated_index(y)
    if own is None or not isinstance(labels, DATED) or len(own) != len(labels):
        return
    same = _are_same(labels, own)
    if same is None or same.all():
        return
    row = int(np.argmin(same))
    warnings.warn(
        f"X and y are paired row by row, but their indexes have different times in "
        f"{np.count_nonzero(~same)} of {len(same)} rows: row {row} of X is at "
        f"{labels[row]}, and row {row} of y at {own[row]}. Keep the rows that both "
        "have, with X, y = X.align(y, join='inner', axis=0); or, if the targets are "
        "meant to lie ahead, make them with make_forecast_frame, or say so with "
        "y.set_axis(X.index).",
        SklearnRNNWarning,
        stacklevel=user_stacklevel(),
    )


def check_dated_rows(X, n_rows_per_window, starts):
    """Check the order of a dated table, and warn of windows across gaps in it.

    Returns the dates of the rows, or None where there are none. A window with its
    targets takes `n_rows_per_window` rows from one of `starts`.
    """
    index = X.index if isinstance(X, (pd.DataFrame, pd.Series)) else None
    if isinstance(index, pd.MultiIndex):
        index = _dated_index(X)
    if index is None:
        return None
    index = as_typed_index(index, "the index of X")
    check_no_written_dates(index)
    if not isinstance(index, DATED):
        return None
    times = to_times(index)
    first = np.zeros(len(index), dtype=bool)
    first[:1] = True
    check_increasing(times, None, first, several=CUT_ALONE)
    if len(index) > 1 and n_rows_per_window > 1:
        _warn_of_gaps(times, first, n_rows_per_window, starts)
    return index


def _warn_of_gaps(times, first, n_rows_per_window, starts):
    rule = infer_rule(times, times.timestamps, first)
    remedy = (
        "If each row is one step whatever the time between, leave the dates out with "
        "X.to_numpy(). SequenceWindower cuts windows at gaps."
    )
    if isinstance(rule, MaxGap):
        message = f"the times of X follow no step, and windows run over all. {remedy}"
        warnings.warn(message, WindowHistoryWarning, stacklevel=user_stacklevel())
        return
    gaps = np.append(False, ~rule.adjacent(times.timestamps[:-1], times.timestamps[1:]))
    so_far = np.cumsum(gaps)
    n_across = np.count_nonzero(so_far[starts + n_rows_per_window - 1] > so_far[starts])
    if n_across == 0:
        return
    warnings.warn(
        f"{n_across} of {len(starts)} windows, with their targets, run across "
        f"{np.count_nonzero(gaps)} gap(s) in the index of X, steps other than "
        f"{describe_step(freq_of(rule, times))}, as if no row were missing. Fill the "
        f"gaps first, for example with {fill_call(rule, times)}.interpolate(). "
        f"{remedy}",
        WindowHistoryWarning,
        stacklevel=user_stacklevel(),
    )


def _dated_index(data):
    """Return the dates in the index of a frame or Series, or None."""
    index = getattr(data, "index", None)
    if not isinstance(index, pd.Index):
        return None
    levels = [index]
    if isinstance(index, pd.MultiIndex):
        levels = [index.get_level_values(i) for i in range(index.nlevels)]
    found = []
    for level in levels:
        try:
            level = as_typed_index(level, "the index")
        except InvalidSequenceError:
            continue
        if isinstance(level, DATED):
            found.append(level)
    return found[0] if len(found) == 1 else None


def _are_same(labels, other):
    """Return whether each pair of times is the same; None if that is unknown."""
    if isinstance(labels, pd.TimedeltaIndex) or isinstance(other, pd.TimedeltaIndex):
        return np.asarray(labels == other) if type(labels) is type(other) else None
    if isinstance(labels, pd.PeriodIndex) or isinstance(other, pd.PeriodIndex):
        same = np.zeros(len(labels), dtype=bool)
        if isinstance(other, pd.PeriodIndex):
            same |= _inside(labels, other)
        if isinstance(labels, pd.PeriodIndex):
            same |= _inside(other, labels)
        return same
    if labels.tz is not None and other.tz is not None:
        return np.asarray(labels.tz_convert("UTC") == other.tz_convert("UTC"))
    return np.asarray(_local_time(labels) == _local_time(other))


def _local_time(index):
    """Return dates, or the starts of periods, as local time."""
    if isinstance(index, pd.PeriodIndex):
        return index.start_time
    return index.tz_localize(None)


def _inside(index, periods):
    """Return whether each time lies in its period."""
    dates = _local_time(index)
    last = index.end_time if isinstance(index, pd.PeriodIndex) else dates
    return (periods.start_time <= dates) & (last <= periods.end_time)
