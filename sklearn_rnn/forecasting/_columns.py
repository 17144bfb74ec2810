"""Forecast frames: forecasts as rows of a long table."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn.preprocessing import TableKeys

QUANTILE = re.compile(r"q(0\.[0-9]+|[0-9.]+e-[0-9]+)")

# Columns of a forecast frame besides those of series and quantiles.
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


def quantile_columns(columns: Iterable[Any]) -> dict[float, str]:
    """Return the columns of quantiles by level, in increasing order.

    Examples
    --------
    >>> from sklearn_rnn.forecasting import quantile_columns
    >>> quantile_columns(["prediction", "q0.9", "q0.1", "quality"])
    {0.1: 'q0.1', 0.9: 'q0.9'}
    """
    found = {}
    for column in columns:
        if isinstance(column, str) and QUANTILE.fullmatch(column):
            found[float(column[1:])] = column
    return dict(sorted(found.items()))


def symmetric_levels(levels: Iterable[float]) -> list[tuple[float, float]]:
    """Return the pairs of increasing levels that sum to 1, the widest interval first.

    Examples
    --------
    >>> from sklearn_rnn.forecasting import symmetric_levels
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


def check_reserved(keys: TableKeys) -> None:
    """Check that no column of the series has a name that a forecast frame uses."""
    for name in keys.groups:
        if name in COLUMNS or quantile_columns([name]):
            raise ValueError(
                f"group_by={keys.group_by!r} has the name of another column in a table "
                f"of forecasts, {name!r}: rename it in the data."
            )


def check_forecasts(
    forecasts: Any, required: Sequence[str], caller_name: str
) -> pd.DataFrame:
    """Check a forecast frame; move times from the index to the column "time"."""
    if not isinstance(forecasts, pd.DataFrame):
        raise TypeError(
            f"{caller_name} needs a DataFrame of forecasts, as forecast and backtest "
            f"return, got {type(forecasts).__name__}."
        )
    _check_columns(forecasts, required, caller_name)
    if len(forecasts) == 0:
        raise ValueError(f"{caller_name} got forecasts without a row.")
    _check_finite(forecasts, caller_name)
    if "time" not in forecasts.columns:
        counted = isinstance(forecasts.index, pd.RangeIndex) and "origin" in forecasts
        if counted and not pd.api.types.is_numeric_dtype(forecasts["origin"]):
            raise ValueError(
                f"{caller_name} needs the times of the forecasts, in a column 'time' "
                "or as the index, and the index only numbers the rows."
            )
        times = forecasts.index
        forecasts = forecasts.reset_index(drop=True).assign(time=times)
    return forecasts


def check_comparable(origin: pd.Index, time: pd.Index, caller_name: str) -> None:
    """Check that origins and times are of one kind that can be sorted."""
    kinds = [_kind_of_times(times) for times in (origin, time)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"the column 'origin' of the forecasts holds {kinds[0]}, and their times "
            f"are {kinds[1]}: {caller_name} compares them, convert both to one kind."
        )
    if kinds[0] == "text":
        raise ValueError(
            f"the times of the forecasts are text, which {caller_name} cannot sort: "
            "convert 'origin' and 'time' to dates with pd.to_datetime."
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


def _check_columns(forecasts, required, caller_name):
    missing = [name for name in required if name not in forecasts.columns]
    if missing:
        raise ValueError(
            f"{caller_name} needs a column {missing[0]!r}, and the forecasts have "
            f"{list(forecasts.columns)}. The frames of forecast and backtest have "
            "all columns; only those of backtest have a truth."
        )


def _check_finite(forecasts, caller_name):
    """Raise for NaN and infinity, except for NaN in the truth."""
    for name in ["prediction", *quantile_columns(forecasts.columns).values(), "truth"]:
        if name not in forecasts.columns:
            continue
        values = forecasts[name].to_numpy(dtype=float, na_value=np.nan)
        bad = np.isinf(values) if name == "truth" else ~np.isfinite(values)
        if bad.any():
            raise ValueError(
                f"column {name!r} of the forecasts is not finite in {bad.sum()} of "
                f"{len(bad)} rows, the first {int(bad.argmax())}: {caller_name} cannot "
                "use such rows, leave them out."
            )


def check_keys(by: Any, forecasts: pd.DataFrame, caller_name: str) -> list[str]:
    """Return the columns to group by, which include that of several targets."""
    keys = list(by) if isinstance(by, (list, tuple)) else [by]
    keys = [] if by is None else keys
    if "target" in forecasts.columns and "target" not in keys:
        keys = ["target", *keys]
    if len(set(keys)) < len(keys):
        raise ValueError(f"by={by!r} names a column twice.")
    _check_columns(forecasts, keys, caller_name)
    for name in keys:
        if forecasts[name].isna().any():
            raise ValueError(f"column {name!r} of the forecasts has missing values.")
    return keys


def series_columns(forecasts: pd.DataFrame) -> list[str]:
    """Return the columns that identify series: all others have reserved names."""
    known = COLUMNS | set(quantile_columns(forecasts.columns).values())
    return [name for name in forecasts.columns if name not in known]
