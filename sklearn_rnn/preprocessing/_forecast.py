"""make_forecast_frame: a table, and the values of its targets in later rows."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.preprocessing._neighbours import (
    Reach,
    infer_rule,
    parse_rule,
    run_starts,
)
from sklearn_rnn.preprocessing._series import read_series
from sklearn_rnn.preprocessing._tables import frame_column, is_polars, times_of_frame

# How many breaks in time an error lists.
SHOWN_BREAKS = 3


def make_forecast_frame(
    data: Any,
    target: str | Sequence[str] | None = None,
    horizon: int = 1,
    *,
    freq: Any = None,
    time: str | None = None,
    group_by: str | None = None,
) -> tuple[Any, Any]:
    """Pair each row of a table with its targets in the rows to come.

    Row i of the targets holds the target 1, 2, ... `horizon` rows after row i
    of the table, so a model of them forecasts all steps directly. The last
    `horizon` rows of each series have no complete target and are left out.

    Parameters
    ----------
    data : DataFrame or Series
        A pandas or polars table, one row a time step and no step missing.
    target : str or list of str, default=None
        The column or columns to forecast. Needed unless `data` is a Series or
        has a single column.
    horizon : int, default=1
        How many rows ahead, at least 1.
    freq : str, offset, Timedelta or number, default=None
        The time between rows, as for `SequenceWindower`; None finds it.
    time : str or int, default=None
        Column that holds the times; None uses the index of a pandas frame,
        unless that holds strings or objects, when nothing is checked.
    group_by : str or int, default=None
        Column that tells several series in one table apart.

    Returns
    -------
    X : DataFrame of n rows
        The rows of `data` that have all their targets, with all columns.
    Y : DataFrame of shape (n, n_targets * horizon)
        The targets, with the index of `X`. Columns "temp+1", "temp+2" and so
        on for a target "temp"; of several targets, one after the other.

    Raises
    ------
    InvalidSequenceError
        If times are missing, out of order or twice the same, or the table has
        no more rows than `horizon`.
    ValueError
        If there is no such target, or `horizon` is less than 1.
    TypeError
        If `data` is neither a frame nor a Series.

    See Also
    --------
    SequenceWindower : Gives each row of `X` the rows before it.
    make_windows : The same for arrays, in one go.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn import make_forecast_frame
    >>> days = pd.date_range("2024-01-01", periods=4, freq="D")
    >>> table = pd.DataFrame({"temp": [3, 5, 4, 6], "wind": [1, 1, 2, 2]}, index=days)
    >>> X, Y = make_forecast_frame(table, target="temp", horizon=2)
    >>> X
                temp  wind
    2024-01-01     3     1
    2024-01-02     5     1
    >>> Y
                temp+1  temp+2
    2024-01-01       5       4
    2024-01-02       4       6
    """
    data = _as_frame(data)
    targets = _read_targets(data, target)
    _check_horizon(horizon, len(data))
    groups = None if group_by is None else frame_column(data, group_by, "group_by")
    times = times_of_frame(data, time, "make_forecast_frame")
    series = read_series(len(data), times, groups)
    if times is not None:
        _refuse_breaks(series, times, freq)
    places = _places_with_targets(series, horizon)
    rows = series.rows(places)
    # The rows ahead of a row, in the table's order as X has it.
    by_row = np.argsort(rows)
    ahead = [series.rows(places + k)[by_row] for k in range(1, horizon + 1)]
    columns = {
        f"{name}+{k}": (name, later)
        for name in targets
        for k, later in enumerate(ahead, start=1)
    }
    return _take(data, np.sort(rows), columns)


def _as_frame(data):
    if isinstance(data, pd.Series) or (is_polars(data) and len(data.shape) == 1):
        name = data.name or "value"
        return data.to_frame(name)
    if isinstance(data, pd.DataFrame) or is_polars(data):
        return data
    raise TypeError(
        "make_forecast_frame needs a pandas or polars DataFrame or Series, got "
        f"{type(data).__name__}. For arrays there is make_windows."
    )


def _read_targets(data, target):
    names = list(data.columns)
    if target is None and len(names) == 1:
        return names
    targets = target if isinstance(target, (list, tuple)) else [target]
    unknown = [name for name in targets if name not in names]
    if unknown or not targets:
        raise ValueError(
            f"target={target!r} names no column of the table; its columns are {names}."
        )
    return targets


def _check_horizon(horizon, n_rows):
    if not isinstance(horizon, (int, np.integer)) or horizon < 1:
        raise ValueError(f"horizon must be an int of at least 1, got {horizon!r}.")
    if n_rows <= horizon:
        raise InvalidSequenceError(
            f"the table has {n_rows} rows, too few for horizon={horizon}: no row has "
            f"{horizon} rows after it."
        )


def _refuse_breaks(series, times, freq):
    if series.first.all():
        return
    rule = infer_rule(times, series.ticks, series.first) if freq is None else None
    rule = rule or parse_rule(freq, times)
    if isinstance(rule, Reach):
        raise InvalidSequenceError(
            "the rows of the table are not a regular step apart, so 'rows ahead' is no "
            "time ahead. Bring them on a grid, for example with "
            "df.resample('h').mean().interpolate(); or, if a row is the step that you "
            "mean, number the rows with df.reset_index(drop=True)."
        )
    breaks = np.flatnonzero(
        run_starts(rule, series.ticks, series.first) & ~series.first
    )
    if len(breaks) == 0:
        return
    shown = ", ".join(_describe_break(series, times, b) for b in breaks[:SHOWN_BREAKS])
    more = ", ..." if len(breaks) > SHOWN_BREAKS else ""
    grid, fill = rule.freq, "df.reindex(...)"
    if isinstance(grid, (timedelta, pd.offsets.BaseOffset)):
        grid = to_offset(grid).freqstr
        fill = f"df.asfreq({grid!r})"
    raise InvalidSequenceError(
        f"the table has {len(breaks)} break(s) in time, steps other than {grid}: "
        f"{shown}{more}. Fill the grid, series by series, for example with "
        f"{fill}.interpolate(); or, if a row is the step that you mean, number the "
        "rows with df.reset_index(drop=True)."
    )


def _describe_break(series, times, place):
    before, row = series.rows(np.array([place - 1, place]))
    return f"row {before} at {times.labels[before]} to row {row} at {times.labels[row]}"


def _places_with_targets(series, horizon):
    bounds = series.bounds
    sizes = np.diff(bounds)
    if sizes.max() <= horizon:
        raise InvalidSequenceError(
            f"the longest series has {sizes.max()} rows, too few for "
            f"horizon={horizon}: no row has {horizon} rows after it."
        )
    end_of_series = np.repeat(bounds[1:], sizes)
    places = np.arange(len(series.first))
    return places[places + horizon < end_of_series]


def _take(data, rows, columns):
    """Select rows of a frame, and other rows of its columns as a new frame."""
    if is_polars(data):
        Y = {
            name: data[source].gather(later)
            for name, (source, later) in columns.items()
        }
        return data[rows], type(data)(Y)
    unbroken = len(rows) == rows[-1] - rows[0] + 1
    # A slice keeps the step that an index declares.
    X = data.iloc[slice(rows[0], rows[-1] + 1) if unbroken else rows]
    Y = {
        name: data[source].take(later).set_axis(X.index)
        for name, (source, later) in columns.items()
    }
    return X, pd.DataFrame(Y, index=X.index)
