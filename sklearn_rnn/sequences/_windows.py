"""Windows: many short sequences that share the rows of one series."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._container import SequenceArray


def trailing_windows(first, n_steps):
    """Find the window that ends at each row, cut at the start of its run.

    Parameters
    ----------
    first : ndarray of bool of shape (n_rows,)
        True for rows that begin a run, the first row included.
    n_steps : int
        Steps of a whole window.

    Returns
    -------
    starts, lengths : ndarray of int64 of shape (n_rows,)
        Of the window that ends at each row, at least one step long.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import trailing_windows
    >>> starts, lengths = trailing_windows(
    ...     np.array([True, False, False, True, False]), n_steps=2
    ... )
    >>> starts, lengths
    (array([0, 0, 1, 3, 3]), array([1, 2, 2, 1, 2]))
    """
    rows = np.arange(len(first), dtype=np.int64)
    starts = np.maximum.accumulate(np.where(first, rows, 0))
    np.maximum(starts, rows - (n_steps - 1), out=starts)
    return starts, rows - starts + 1


def make_windows(
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    n_steps: int,
    horizon: int = 1,
    stride: int = 1,
) -> Any:
    """Cut a series into windows of equal length, with their targets.

    The classic cut: rows are taken as one step apart, and rows without a
    whole window or without a target are dropped. Inside a pipeline use
    `SequenceWindower`, which keeps every row and minds gaps in time.

    A window that ends at row i holds rows ``i - n_steps + 1`` to ``i``, both
    included. Its target is ``y[i + horizon]``: with ``horizon=1`` the row
    right after the window, which the window does not hold.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features) or (n_rows,)
        The series, in time's order. A frame's column names are kept.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
        What to predict, row by row; for a forecast of a column of `X`, that
        column itself.
    n_steps : int
        Rows in a window, at least 1.
    horizon : int, default=1
        Rows ahead. With 1 the targets are the next row's; with h > 1 those of
        the next h rows, a vector; with 0 those of the window's own last row,
        as for a label that describes the present. Not used without `y`.
    stride : int, default=1
        Rows from one window to the next.

    Returns
    -------
    windows : SequenceArray of n_windows sequences of n_steps steps
        A view: no row is copied, however much the windows overlap.
    targets : ndarray of shape (n_windows,), (n_windows, horizon), \
(n_windows, n_targets) or (n_windows, n_targets * horizon)
        Only if `y` is given; one-dimensional for a one-dimensional `y` and a
        horizon of 0 or 1. Several targets over several rows stand target by
        target, as in `make_forecast_frame`: all rows ahead of the first
        target, then those of the second.

    Raises
    ------
    InvalidSequenceError
        If `X` has too few rows for one window and its target, or `y` another
        number of rows.
    ValueError
        If `n_steps` or `stride` is less than 1, or `horizon` less than 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import make_windows
    >>> series = np.array([10.0, 11.0, 12.0, 13.0, 14.0])
    >>> windows, targets = make_windows(series, series, n_steps=3)
    >>> windows[0].ravel(), targets[0]
    (array([10., 11., 12.]), np.float64(13.0))
    >>> windows[1].ravel(), targets[1]
    (array([11., 12., 13.]), np.float64(14.0))

    Two rows ahead, and the label of the window's own last row:

    >>> make_windows(series, series, n_steps=3, horizon=2)[1]
    array([[13., 14.]])
    >>> make_windows(series, series, n_steps=3, horizon=0)[1]
    array([12., 13., 14.])
    """
    _check_at_least("n_steps", n_steps, 1)
    _check_at_least("horizon", horizon, 0)
    _check_at_least("stride", stride, 1)
    values, names = _read_series(X)
    ahead = 0 if y is None else horizon
    if len(values) < n_steps + ahead:
        raise InvalidSequenceError(
            f"X has {len(values)} rows, too few for one window: n_steps={n_steps} and "
            f"horizon={ahead} take {n_steps + ahead}."
        )
    starts = np.arange(0, len(values) - n_steps - ahead + 1, stride)
    lengths = np.full(len(starts), n_steps)
    windows = SequenceArray(
        values, starts, lengths, names, moments=np.arange(len(values))
    )
    if y is None:
        return windows
    return windows, _targets(y, len(values), windows.ends - 1, horizon)


def _targets(y, n_rows, last_rows, horizon):
    y = np.asarray(y)
    if y.ndim not in (1, 2) or len(y) != n_rows:
        raise InvalidSequenceError(
            f"y has shape {y.shape}; it needs one target, or one row of targets, for "
            f"each of the {n_rows} rows of X."
        )
    if horizon <= 1:
        return y[last_rows + horizon]
    ahead = y[last_rows[:, None] + np.arange(1, horizon + 1)]
    if y.ndim == 2:
        ahead = ahead.transpose(0, 2, 1)  # (n_windows, n_targets, horizon)
    return ahead.reshape(len(last_rows), -1)


def _read_series(X):
    names = list(X.columns) if hasattr(X, "columns") else [getattr(X, "name", None)]
    if getattr(X, "ndim", None) == 1 or isinstance(X, pd.Series):
        X = np.asarray(X).reshape(-1, 1)
    elif np.ndim(X) == 1:
        X = np.reshape(X, (-1, 1))
    X = check_array(X, ensure_all_finite=False, order="C", input_name="X")
    named = len(names) == X.shape[1] and all(isinstance(name, str) for name in names)
    return X, names if named else None


def _check_at_least(parameter, value, least):
    if not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(
            f"{parameter} must be an int of at least {least}, got {value!r}."
        )
