"""Windows: many short sequences that share the rows of one series."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_rnn._exceptions import InvalidSequenceError, user_stacklevel
from sklearn_rnn.sequences._check import is_list_of_sequences
from sklearn_rnn.sequences._container import SequenceArray, coverage
from sklearn_rnn.sequences._conversion import (
    check_item,
    check_table,
    convert_input,
    is_cell,
    plain_arrays,
)
from sklearn_rnn.sequences._row_times import check_dated_rows, warn_of_other_times
from sklearn_rnn.sequences._step_targets import flat_rows


def make_windows(
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    n_steps: int,
    horizon: int = 1,
    stride: int = 1,
) -> Any:
    """Cut a series into windows of equal length, with their targets.

    The classic cut: rows count as one step apart, and rows without a
    whole window or without a target are dropped. Inside a pipeline use
    `SequenceWindower`, which keeps every row and minds gaps in time.

    A window that ends at row i holds rows ``i - n_steps + 1`` to ``i``, both
    included. Its target is ``y[i + horizon]``: with ``horizon=1`` the row
    right after the window, which the window does not hold.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features) or (n_rows,)
        The series, in time's order. A frame's column names are kept, and dates
        in its index, if there are any, have to increase.
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
        number of rows; or `X` has an index of dates that do not increase.
    ValueError
        If `n_steps` or `stride` is less than 1, or `horizon` less than 0.

    Warns
    -----
    WindowHistoryWarning
        If windows run across gaps between the dates in the index of `X`.
    SklearnRNNWarning
        If `X` and `y` have indexes of dates that differ.

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
    values, names = _check_series(X)
    ahead = 0 if y is None else horizon
    if len(values) < n_steps + ahead:
        raise InvalidSequenceError(
            f"X has {len(values)} rows, too few for one window: n_steps={n_steps} and "
            f"horizon={ahead} take {n_steps + ahead}."
        )
    starts = np.arange(0, len(values) - n_steps - ahead + 1, stride)
    labels = check_dated_rows(X, n_steps + ahead, starts)
    warn_of_other_times(labels, y)
    lengths = np.full(len(starts), n_steps)
    windows = SequenceArray(
        values, starts, lengths, names, time_index=range(len(values))
    )
    if y is None:
        return windows
    return windows, _targets(y, len(values), windows.ends - 1, horizon)


def join_windows(
    windows: SequenceArray,
    predictions: ArrayLike,
    *,
    per_step: bool | None = None,
    each_step: bool | None = None,
) -> np.ndarray:
    """Join predictions for windows to predictions for the rows of their series.

    The inverse of `make_windows`: where windows overlap, a row gets the mean of the
    predictions for the windows that cover it, or their most frequent label. Floats are
    averaged; anything else is labels. Of several series cut into windows over one
    table, each gets its own.

    Parameters
    ----------
    windows : SequenceArray of n_windows sequences
        From `make_windows`, or any selection of them.
    predictions : array-like of shape (n_windows,), (n_windows, n_outputs), \
(n_windows, n_timesteps) or (n_windows, n_timesteps, n_outputs)
        Predictions for each window, such as ``predict`` or ``predict_proba``
        return, or for each of its steps; of steps also a list or 1-D object
        array of (length_i,) or (length_i, n_outputs) arrays.
    per_step : bool, default=None
        Whether each step of a window has a prediction of its own, which counts
        for its row alone. None infers it from the shape.
    each_step : bool, default=None
        The name of `per_step` up to version 0.6, which raises a FutureWarning.

    Returns
    -------
    ndarray of shape (n_rows,) or (n_rows, n_outputs)
        One prediction per row of ``windows.values``. Means are float64, NaN where
        no window covers a row. Labels keep their type if windows cover all
        rows; else they are in an object array, with None where none does. A
        tie goes to the label that sorts first.

    Raises
    ------
    InvalidSequenceError
        If the predictions are not as many as the windows or their steps, are
        NaN or infinite, or the shape leaves open whether they are those of steps.
    TypeError
        If `windows` is no SequenceArray, or labels of several types have no
        order.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import join_windows, make_windows
    >>> windows = make_windows(np.zeros(7), n_steps=4, stride=2)
    >>> join_windows(windows, [0.0, 1.0])
    array([0. , 0. , 0.5, 0.5, 1. , 1. , nan])
    >>> join_windows(windows, ["walk", "run"])
    array(['walk', 'walk', 'run', 'run', 'run', 'run', None], dtype=object)

    A prediction for each step:

    >>> steps = np.array([[0.0, 0.1, 0.2, 0.3], [0.6, 0.5, 0.4, 0.3]])
    >>> join_windows(windows, steps, per_step=True)
    array([0. , 0.1, 0.4, 0.4, 0.4, 0.3, nan])
    """
    if not isinstance(windows, SequenceArray):
        raise TypeError(
            f"windows is a {type(windows).__name__}, which does not hold the position "
            "of each window in the series: give the SequenceArray of make_windows."
        )
    if each_step is not None:
        warnings.warn(
            "join_windows(each_step=...) is deprecated and will be removed in version "
            "0.8: use per_step=.",
            FutureWarning,
            stacklevel=user_stacklevel(),
        )
        per_step = each_step
    values, rows = _check_predictions(windows, predictions), None
    if _are_of_steps(windows, values, per_step):
        values = _flatten_steps(windows, values)
        rows = flat_rows(windows.starts, windows.lengths)
    _check_predicted_values(values)

    def sum_over(weights=None):
        """Sum, for every row, the weights of the predictions for it."""
        if rows is None:
            return coverage(windows, weights)
        return np.bincount(rows, weights, minlength=len(windows.values))

    if values.dtype.kind == "f":
        return _means(values, sum_over)
    return _most_frequent(values, sum_over)


def _check_predictions(windows, predictions):
    if isinstance(predictions, (list, tuple)):
        ragged = len({np.shape(item)[:1] for item in predictions}) > 1
        predictions = np.asarray(predictions, dtype=object if ragged else None)
    values = np.asarray(predictions)
    if values.ndim == 0 or len(values) != len(windows):
        raise InvalidSequenceError(
            f"predictions has shape {values.shape}; it needs one prediction, or one "
            f"for each step, of each of the {len(windows)} windows."
        )
    return values


def _check_predicted_values(values):
    is_numbers = values.dtype.kind == "f"
    if values.ndim > 1 + is_numbers:
        raise InvalidSequenceError(
            f"predictions of type {values.dtype} have shape {values.shape}: floats may "
            "be several outputs, labels must be one, of each window or step."
        )
    if is_numbers and not np.isfinite(values).all():
        i = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(axis=1)))
        raise InvalidSequenceError(
            f"prediction {i} is NaN or infinite: leave such windows out, as in "
            "join_windows(windows[keep], predictions[keep])."
        )


def _are_of_steps(windows, values, per_step):
    """Return whether each step has a prediction, as was said or by the shape."""
    if per_step is not None:
        return per_step
    if values.ndim == 1:
        is_items = values.dtype == object and len(values) > 0
        return is_items and np.ndim(values[0]) > 0
    is_of_labels = values.dtype.kind != "f"
    if values.ndim > 2 or is_of_labels:
        return True
    may_be = len(windows) > 0 and (windows.lengths == values.shape[1]).all()
    if may_be:
        n_steps = values.shape[1]
        raise InvalidSequenceError(
            f"predictions has shape {values.shape}, and every window has {n_steps} "
            f"steps: pass per_step=True if these are predictions for the steps, or "
            f"per_step=False if they are {n_steps} outputs of each window."
        )
    return False


def _flatten_steps(windows, values):
    """Return the predictions of all steps, those of the first window first."""
    for i, (item, length) in enumerate(zip(values, windows.lengths, strict=True)):
        if np.shape(item)[:1] != (length,):
            raise InvalidSequenceError(
                f"predictions[{i}] has shape {np.shape(item)}, but windows[{i}] has "
                f"{length} steps: it needs one prediction for each of them."
            )
    if values.ndim > 1:
        return values.reshape(-1, *values.shape[2:])
    return np.concatenate([np.asarray(item) for item in values])


def _means(values, sum_over):
    counts = sum_over()
    covered = counts > 0
    means = np.full((len(counts), *values.shape[1:]), np.nan)
    if not covered.any():
        return means
    columns = means.reshape(len(counts), -1)
    for i, column in enumerate(values.reshape(len(values), -1).T):
        sums = sum_over(column)[covered] / counts[covered]
        # Cumulative sums round: no mean may leave the range of the predictions, and
        columns[covered, i] = sums.clip(column.min(), column.max())
    # a row with a single prediction has that one.
    alone = counts == 1
    means[alone] = values[sum_over(np.arange(len(values)))[alone].astype(np.intp)]
    return means


def _most_frequent(values, sum_over):
    try:
        labels, codes = np.unique(values, return_inverse=True)
    except TypeError as error:
        raise TypeError(
            "predictions holds labels of several types, which have no order: make all "
            "of one type."
        ) from error
    counts = sum_over()
    most, winners = np.zeros(len(counts)), np.zeros(len(counts), dtype=np.intp)
    for code in range(len(labels)):  # one label at a time, whose votes fit in memory
        votes = sum_over((codes == code).astype(np.float64))
        # Strictly more, so that a tie stays with the label that sorts first.
        ahead = votes > most
        most[ahead], winners[ahead] = votes[ahead], code
    if (counts > 0).all():
        return labels[winners]
    joined = np.full(len(counts), None, dtype=object)
    joined[counts > 0] = labels[winners[counts > 0]]
    return joined


def _targets(y, n_rows, last_rows, horizon):
    y = plain_arrays(y, estimator_name="make_windows")
    try:
        y = np.asarray(y)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidSequenceError(
            f"y cannot be read as one target, or one row of targets, for each of the "
            f"{n_rows} rows of X: {error}"
        ) from error
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


def _check_series(X):
    """Return the rows of a series, and the names of its columns or None."""
    X = convert_input(X, estimator_name="make_windows")
    _check_one_series(X)
    names = list(X.columns) if hasattr(X, "columns") else [getattr(X, "name", None)]
    if isinstance(X, (list, tuple)) and not is_list_of_sequences(X):
        X = check_item(X, "X", "make_windows")
    if getattr(X, "ndim", None) == 1:
        X = np.asarray(X).reshape(-1, 1)
    X = check_table(X, estimator_name="make_windows")
    named = len(names) == X.shape[1] and all(isinstance(name, str) for name in names)
    return X, names if named else None


def _check_one_series(X):
    several = None
    if isinstance(X, SequenceArray):
        several = f"{len(X)} sequences"
    elif getattr(X, "ndim", 2) == 3:
        several = f"an array of shape {X.shape}"
    elif is_list_of_sequences(X):
        # Cells may be ragged themselves, which has no shape.
        is_deep = any(is_list_of_sequences(x) or getattr(x, "ndim", 1) > 1 for x in X)
        if is_deep or len({len(x) if is_cell(x) else 1 for x in X}) > 1:
            several = f"a list of {len(X)} recordings"
    if several is not None:
        raise InvalidSequenceError(
            f"X is {several}, and make_windows cuts one series, an array (n_rows, "
            "n_features). Cut each by itself, and join the lists: [window for x in X "
            "for window in make_windows(x, n_steps=...)]. SequenceWindower reads a "
            "table of several series with its group_by=."
        )


def _check_at_least(parameter, value, least):
    if not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(
            f"{parameter} must be an int of at least {least}, got {value!r}."
        )
