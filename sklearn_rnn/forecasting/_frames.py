"""Forecast frames: forecasts as rows of a long table."""

import re

import numpy as np
import pandas as pd

from sklearn_rnn.estimators import predict_rows
from sklearn_rnn.preprocessing import check_column_key

QUANTILE = re.compile(r"q(0\.[0-9]+|[0-9.]+e-[0-9]+)")

# What a forecast frame has besides the names of series and quantiles.
COLUMNS = {
    "target",
    "fold",
    "origin",
    "time",
    "horizon",
    "truth",
    "prediction",
    "naive",
    "scale",
}


def quantile_column(level):
    """Name the column of a quantile.

    Parameters
    ----------
    level : float
        Between 0 and 1.

    Returns
    -------
    str

    Examples
    --------
    >>> from sklearn_rnn.forecasting._frames import quantile_column
    >>> quantile_column(0.975)
    'q0.975'
    """
    return f"q{level:.10g}"


def quantile_columns(columns):
    """Find the columns of quantiles.

    Parameters
    ----------
    columns : iterable of object
        The columns of a forecast frame.

    Returns
    -------
    dict of float to str
        Columns by level, increasing.

    Examples
    --------
    >>> from sklearn_rnn.forecasting._frames import quantile_columns
    >>> quantile_columns(["prediction", "q0.9", "q0.1", "quality"])
    {0.1: 'q0.1', 0.9: 'q0.9'}
    """
    found = {}
    for column in columns:
        if isinstance(column, str) and QUANTILE.fullmatch(column):
            found[float(column[1:])] = column
    return dict(sorted(found.items()))


def symmetric_levels(levels):
    """Pair the levels that are as far from the median as one another.

    Parameters
    ----------
    levels : iterable of float
        Increasing.

    Returns
    -------
    list of tuple (float, float)
        The widest interval first.

    Examples
    --------
    >>> from sklearn_rnn.forecasting._frames import symmetric_levels
    >>> symmetric_levels([0.1, 0.5, 0.9, 0.99])
    [(0.1, 0.9)]
    """
    levels = list(levels)
    # 1 - 0.1 and 0.9 differ in their last bits.
    return [
        (low, high)
        for low in levels
        for high in levels
        if low < high and abs(1 - low - high) < 1e-9
    ]


def check_reserved(group_by, data):
    """Refuse a column of series that has the name of another column here.

    Parameters
    ----------
    group_by : object
        As the user gave it.
    data : object
        The table that has the column.

    Raises
    ------
    ValueError
        If it names several columns, or a forecast frame would have two of that
        name.
    """
    check_column_key(group_by, "group_by", data)
    if group_by in COLUMNS or quantile_columns([group_by]):
        raise ValueError(
            f"group_by={group_by!r} is a column of its own in a table of forecasts: "
            "rename it in the data."
        )


def check_frame(forecasts, wanted, owner):
    """Refuse what is no forecast frame, or lacks columns.

    Parameters
    ----------
    forecasts : object
        As the user gave it.
    wanted : sequence of str
        Columns that are needed.
    owner : str
        Who needs them, for the message.

    Returns
    -------
    DataFrame
        With the times in a column; those of an index are put there.

    Raises
    ------
    TypeError
        If it is no frame.
    ValueError
        If it is empty or lacks a column.
    """
    if not isinstance(forecasts, pd.DataFrame):
        raise TypeError(
            f"{owner} needs a DataFrame of forecasts, as forecast and backtest "
            f"return, got {type(forecasts).__name__}."
        )
    _require_columns(forecasts, wanted, owner)
    if len(forecasts) == 0:
        raise ValueError(f"{owner} got forecasts without a row.")
    _refuse_what_is_not_finite(forecasts, owner)
    if "time" not in forecasts.columns:
        counted = isinstance(forecasts.index, pd.RangeIndex) and "origin" in forecasts
        if counted and not pd.api.types.is_numeric_dtype(forecasts["origin"]):
            raise ValueError(
                f"{owner} needs the times of the forecasts, in a column 'time' or as "
                "the index, and the index only numbers the rows."
            )
        times = forecasts.index
        forecasts = forecasts.reset_index(drop=True).assign(time=times)
    return forecasts


def check_order(origin, time, owner):
    """Check that origins and times can be put in one order.

    Parameters
    ----------
    origin, time : Index
        Of a forecast frame.
    owner : str
        Who compares them, for the message.

    Raises
    ------
    ValueError
        If they are of two kinds, or text.
    """
    kinds = [_kind_of_times(times) for times in (origin, time)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"the column 'origin' of the forecasts holds {kinds[0]}, and their times "
            f"are {kinds[1]}: {owner} compares them, bring both to one kind."
        )
    if kinds[0] == "text":
        raise ValueError(
            f"the times of the forecasts are text, which {owner} cannot put in order: "
            "turn 'origin' and 'time' into dates with pd.to_datetime."
        )


def _kind_of_times(index):
    if isinstance(index, pd.PeriodIndex):
        return f"periods of {index.freqstr}"
    if getattr(index.dtype, "tz", None) is not None:
        return "dates with a time zone"
    if isinstance(index.dtype, np.dtype) and index.dtype.kind == "O":
        return "text" if index.inferred_type == "string" else "objects"
    kinds = {"M": "dates", "m": "durations", "i": "numbers", "u": "numbers"}
    return {**kinds, "f": "numbers"}.get(getattr(index.dtype, "kind", "O"), "text")


def _require_columns(forecasts, wanted, owner):
    lacking = [name for name in wanted if name not in forecasts.columns]
    if lacking:
        raise ValueError(
            f"{owner} needs a column {lacking[0]!r}, and the forecasts have "
            f"{list(forecasts.columns)}. The frames of forecast and backtest have "
            "what is needed; only those of backtest have a truth."
        )


def _refuse_what_is_not_finite(forecasts, owner):
    """Refuse NaN and infinity, but for truths that are not known."""
    for name in ["prediction", *quantile_columns(forecasts.columns).values(), "truth"]:
        if name not in forecasts.columns:
            continue
        values = forecasts[name].to_numpy(dtype=float, na_value=np.nan)
        bad = np.isinf(values) if name == "truth" else ~np.isfinite(values)
        if bad.any():
            raise ValueError(
                f"column {name!r} of the forecasts is not finite in {bad.sum()} of "
                f"{len(bad)} rows, the first {int(bad.argmax())}: {owner} cannot use "
                "such rows, leave them out."
            )


def read_keys(by, forecasts, owner):
    """Read which columns tell forecasts apart; several targets always do.

    Parameters
    ----------
    by : str, list of str or None
        As the user gave it.
    forecasts : DataFrame
        A forecast frame.
    owner : str
        Who asks, for the messages.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If there is no such column, it is named twice or has missing values.
    """
    keys = list(by) if isinstance(by, (list, tuple)) else [by]
    keys = [] if by is None else keys
    if "target" in forecasts.columns and "target" not in keys:
        keys = ["target", *keys]
    if len(set(keys)) < len(keys):
        raise ValueError(f"by={by!r} names a column twice.")
    _require_columns(forecasts, keys, owner)
    for name in keys:
        if forecasts[name].isna().any():
            raise ValueError(f"column {name!r} of the forecasts has missing values.")
    return keys


def series_columns(forecasts):
    """Return the columns that tell the series of a forecast frame apart.

    Parameters
    ----------
    forecasts : DataFrame
        A forecast frame.

    Returns
    -------
    list of str
        Those that are neither known names nor quantiles.
    """
    known = COLUMNS | set(quantile_columns(forecasts.columns).values())
    return [name for name in forecasts.columns if name not in known]


def predicted_columns(model, X, rows, n_outputs):
    """Predict, and write predictions and quantiles as columns.

    Parameters
    ----------
    model : estimator instance
        Fitted.
    X : DataFrame
        What it predicts from.
    rows : ndarray of int of shape (n,)
        Rows of `X` whose predictions are wanted.
    n_outputs : int
        Numbers that it should predict a row.

    Returns
    -------
    dict of str to ndarray of shape (n * n_outputs,)
        All outputs of the first row, then those of the second, ...

    Raises
    ------
    ValueError
        If it predicts more or fewer.
    """
    found = predict_rows(model, X, rows)
    n_predicted = found.predictions.shape[1]
    if n_predicted != n_outputs:
        raise ValueError(
            f"the model predicts {n_predicted} numbers a row, and target and horizon "
            f"name {n_outputs}: give those that it was fitted on."
        )
    columns = {"prediction": found.predictions.ravel()}
    for i, level in enumerate(found.levels):
        columns[quantile_column(level)] = found.quantiles[:, :, i].ravel()
    return columns
