"""Columns of an array or a frame: features, times and groups."""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.preprocessing._keys import TableKeys, check_column_key, check_names
from sklearn_rnn.sequences import (
    DATED,
    SequenceArray,
    Times,
    check_table,
    check_unique_names,
    convert_input,
    encode_categories,
    holds_dates,
    is_categorical,
    is_foreign_frame,
    is_list_of_sequences,
    is_text,
    times_from_index,
    to_index,
    to_numbers,
    to_times,
)

# Rows copied at a time.
ROWS_PER_BLOCK = 8192


class Features(NamedTuple):
    """The columns of a table that are features, not copied.

    columns : list of ndarray of shape (n_rows,)
    positions : list of int, position of each feature among the input's columns
    n_columns : int, columns of the input, those of times and groups included
    names : list of str or None
    block : C-contiguous ndarray of the same features, or None
    categories : dict of int to ndarray of object, of the features that are codes
    """

    columns: list
    positions: list
    n_columns: int
    names: list | None
    block: np.ndarray | None
    categories: dict

    def copy(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Copy some rows, or all, into one array of shape (n_rows, n_features)."""
        n_rows = len(self.columns[0]) if rows is None else len(rows)
        dtype = np.result_type(*self.columns)
        values = np.empty((n_rows, len(self.columns)), dtype=dtype)
        # In blocks, so that a row is still in the cache for its next column.
        for begin in range(0, n_rows, ROWS_PER_BLOCK):
            block = slice(begin, begin + ROWS_PER_BLOCK)
            chosen = block if rows is None else rows[block]
            for j, column in enumerate(self.columns):
                values[block, j] = column[chosen]
        return values


def is_table(X: Any) -> bool:
    """Return whether `X`, no frame, is one table of rows rather than many sequences.

    A list is sequences only if its elements are 2-D or of unequal length.
    """
    if isinstance(X, SequenceArray) or getattr(X, "ndim", 2) == 3:
        return False
    if not is_list_of_sequences(X):
        return True
    if any(_holds_arrays(x) for x in X):
        return False
    return len({len(x) for x in X}) == 1


def is_frame(X: Any) -> bool:
    """Return whether `X` is a frame of pandas or polars."""
    return isinstance(X, pd.DataFrame) or (is_polars(X) and len(X.shape) == 2)


def is_polars(X: Any) -> bool:
    """Return whether `X` is a polars frame or series, without importing polars."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(X, (polars.DataFrame, polars.Series))


def as_frame(data: Any, estimator_name: str, *, any_names: bool = False) -> Any:
    """Return a frame or Series of pandas or polars as a frame, its names checked.

    Tables of other libraries become frames of pandas. With `any_names`, columns may
    have names other than strings.
    """
    if isinstance(data, pd.DataFrame) or (is_polars(data) and len(data.shape) == 2):
        names = data.columns
        if isinstance(names, pd.Index) and not names.is_unique:
            check_unique_names(data)
        # scikit-learn does not accept np.str_
        if not (any_names or all(type(name) is str for name in names)):
            check_names(data, estimator_name)
        return data
    if isinstance(data, pd.Series) or is_polars(data):
        name = "value" if data.name in (None, "") else data.name
        return as_frame(data.to_frame(name), estimator_name, any_names=any_names)
    is_lazy = type(data).__module__.partition(".")[0] == "polars"  # an error
    if is_foreign_frame(data) or is_lazy:
        converted = convert_input(data, estimator_name=estimator_name, name="data")
        return as_frame(converted, estimator_name, any_names=any_names)
    raise TypeError(
        f"{estimator_name} needs a pandas or polars DataFrame or Series, got "
        f"{type(data).__name__}. For arrays there is make_windows."
    )


def select_rows(data: Any, rows: np.ndarray) -> Any:
    """Return some rows of a frame of pandas or polars."""
    if not isinstance(data, pd.DataFrame):
        return data[rows]
    is_slice = len(rows) > 0 and len(rows) == rows[-1] - rows[0] + 1
    # A slice keeps the step that an index declares.
    return data.iloc[slice(rows[0], rows[-1] + 1) if is_slice else rows]


def parse_features(
    X: Any,
    keys: TableKeys,
    estimator_name: str,
    categories: Mapping[Any, np.ndarray] | None = None,
) -> Features:
    """Return the features of a 2-D array, list of rows, pandas or polars frame.

    The columns of `keys` (of an array: positions) are no features. `categories`, by
    name of the column, are those of fit, whose codes stay.
    """
    if not hasattr(X, "columns"):
        return _features_of_array(X, keys, estimator_name)
    if X.shape[0] == 0:
        raise InvalidSequenceError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is "
            f"required by {estimator_name}."
        )
    names = list(X.columns)
    taken = [keys.time, *keys.groups]
    positions = [j for j, name in enumerate(names) if name is None or name not in taken]
    if not positions:
        _raise_no_features(X.shape, estimator_name)
    all_strings = all(isinstance(name, str) for name in names)
    is_pandas, of_fit = isinstance(X, pd.DataFrame), categories or {}
    columns, found = [], {}
    for feature, j in enumerate(positions):
        column = X.iloc[:, j] if is_pandas else column_at(X, j)
        known, dtype = of_fit.get(names[j]), column.dtype
        if known is None and isinstance(dtype, np.dtype) and dtype.kind in "fiu":
            columns.append(column.to_numpy())  # not copied
        elif known is None and not is_categorical(column):
            columns.append(_numeric_column(column, names[j], estimator_name))
        else:
            if known is not None:
                _check_same_kind(column, known, names[j])
            codes, found[feature] = encode_categories(column, known)
            columns.append(codes)
    return Features(
        columns=columns,
        positions=positions,
        n_columns=len(names),
        names=[names[j] for j in positions] if all_strings else None,
        block=None,
        categories=found,
    )


def _check_same_kind(column, categories, name):
    """Check for numbers in place of strings: all would be unknown categories."""
    are_numbers = pd.api.types.is_numeric_dtype(column.dtype) and column.notna().any()
    if are_numbers and len(categories) and isinstance(categories[0], str):
        raise InvalidSequenceError(
            f"column {name!r} of X holds {column.dtype}, and in fit it held categories "
            f"such as {categories[0]!r}: give it the same type."
        )


def times_and_groups_of_array(X: Any, keys: TableKeys) -> tuple[Times | None, list]:
    """Return the Times of an array, or None, and the columns of its series."""
    if not _named_keys(keys):
        return None, []
    X, times = np.asarray(X), None
    if keys.time is not None:
        column = array_column(X, keys.time, "time")
        times = to_times(to_index(column, f"time={keys.time!r}"), name=keys.time)
    return times, [array_column(X, key, "group_by") for key in keys.groups]


def times_of_frame(X: Any, time: Any, estimator_name: str) -> Times | None:
    """Return the Times in a frame's column `time` or its index; None if it has none."""
    if time is not None:
        times = to_index(frame_column(X, time, "time"), f"time={time!r}")
        return to_times(times, name=time)
    index = getattr(X, "index", None)  # polars has none
    if isinstance(index, DATED):
        return to_times(index)
    return None if index is None else times_from_index(index, estimator_name)


def column_at(X: Any, j: int) -> pd.Series:
    """Return column j of a pandas or polars frame as a pandas Series."""
    if not is_polars(X):
        return X.iloc[:, j]
    column = X.to_series(j)
    values = pd.Series(column.to_numpy(), copy=False)
    time_zone = getattr(column.dtype, "time_zone", None)
    if time_zone is None:
        return values
    return values.dt.tz_localize("UTC").dt.tz_convert(time_zone)


def frame_column(X: Any, key: str | int, parameter: str) -> pd.Series | pd.Index:
    """Return the column, or level of the index, that a parameter names."""
    check_column_key(key, parameter, X)
    names = list(X.columns)
    if key in names:
        return column_at(X, names.index(key))
    if isinstance(X, pd.DataFrame) and key in X.index.names:
        return X.index.get_level_values(key)
    raise InvalidSequenceError(
        f"{parameter}={key!r} names no column of X; its columns are {names}."
    )


def has_categories(X: Any, name: str) -> bool:
    """Return whether a column of a frame holds categories."""
    return is_categorical(column_at(X, list(X.columns).index(name)))


def _holds_arrays(x):
    if hasattr(x, "ndim"):
        return x.ndim > 1
    return len(x) > 0 and hasattr(x[0], "__len__") and not isinstance(x[0], str)


def _features_of_array(X, keys, estimator_name):
    positions = None
    if _named_keys(keys):
        X = np.asarray(X)
        dropped = {_array_position(X, *key) for key in _named_keys(keys)}
        n_columns = X.shape[1]
        positions = [j for j in range(n_columns) if j not in dropped]
        if not positions:
            _raise_no_features(X.shape, estimator_name)
        X = X[:, positions]
    X = check_table(X, estimator_name=estimator_name)
    return Features(
        columns=list(X.T),
        positions=positions or list(range(X.shape[1])),
        n_columns=X.shape[1] if positions is None else n_columns,
        names=None,
        block=X,
        categories={},
    )


def _named_keys(keys):
    """Return the columns of `keys`, each with the parameter that names it."""
    times = [] if keys.time is None else [(keys.time, "time")]
    return times + [(key, "group_by") for key in keys.groups]


def array_column(X: np.ndarray, key: Any, parameter: str) -> np.ndarray:
    """Return the column of a 2-D array at the position that a parameter names."""
    return X[:, _array_position(X, key, parameter)]


def _array_position(X, key, parameter):
    if X.ndim != 2:
        raise InvalidSequenceError(
            f"{parameter}={key!r} names a column, but X has shape {X.shape}: give a "
            "2-D array or a DataFrame."
        )
    if isinstance(key, str) or not -X.shape[1] <= key < X.shape[1]:
        raise InvalidSequenceError(
            f"{parameter}={key!r} names no column of X, an array of {X.shape[1]} "
            "columns without names: give a position, or a DataFrame."
        )
    return key % X.shape[1]


def first_date_column(X: pd.DataFrame) -> Any:
    """Return the name of the first column of dates or periods, or None."""
    for j, (name, dtype) in enumerate(X.dtypes.items()):
        kind = getattr(dtype, "kind", "O")
        is_plain = isinstance(dtype, np.dtype) and kind != "O"
        if kind == "M" or (not is_plain and kind != "m" and holds_dates(X.iloc[:, j])):
            return name
    return None


def first_value(column: pd.Series) -> Any:
    """Return the first value of a Series that is not missing, or None."""
    return next(iter(column.dropna()), None)


def _raise_no_features(shape, estimator_name):
    raise InvalidSequenceError(
        f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is "
        f"required by {estimator_name}, not counting the columns of time and "
        "group_by."
    )


def _numeric_column(column, name, estimator_name):
    """Return a numeric Series as an array."""
    dtype = column.dtype
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} of X.")
    if pd.api.types.is_numeric_dtype(dtype) or dtype.kind == "b":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if isinstance(dtype, np.dtype) and dtype.kind == "O" and not is_text(column):
        try:
            return to_numbers(
                column.to_numpy(),
                estimator_name=estimator_name,
                describe=lambda row: (
                    f"column {name!r} at row {row[0]}" if row else name
                ),
            )
        except (ValueError, TypeError) as error:
            kind = TypeError if isinstance(error, TypeError) else InvalidSequenceError
            raise kind(_not_numeric(name, column, estimator_name, error)) from error
    raise InvalidSequenceError(_not_numeric(name, column, estimator_name))


def _not_numeric(name, column, estimator_name, reason=""):
    dtype = column.dtype
    remedy = "encode it as numbers, or name it in group_by= if it labels series"
    if isinstance(first_value(column), str):
        remedy = (
            "convert numbers written as strings with pd.to_numeric, or names with "
            "astype('category')"
        )
    if holds_dates(column):
        remedy = "name it in time=, or make it the index"
        if isinstance(first_value(column), str):
            remedy = f"turn it into dates with pd.to_datetime, and {remedy}"
    because = f" ({reason})" if reason else ""
    return (
        f"column {name!r} of X holds {dtype}, not numbers{because}. {estimator_name} "
        f"needs numeric features: {remedy}, or drop it."
    )
