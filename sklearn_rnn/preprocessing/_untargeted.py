"""Rows without targets, which `make_forecast_frame` keeps beside its X."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn.preprocessing._keys import ATTRS_KEY, TableKeys


class UntargetedRows(dict):
    """The rows that `make_forecast_frame` left out of X, kept in ``X.attrs``.

    A dict of the table's keys to everyone else: pandas writes ``attrs`` into Parquet
    files as JSON, copies it with every slice and compares it in ``pd.concat``.
    `checksums` are those of X's columns by name, and of its index under None.
    """

    def __init__(
        self, rows: pd.DataFrame, checksums: dict[Any, str], keys: Any = ()
    ) -> None:
        super().__init__(keys)
        self.rows = rows
        self.checksums = checksums

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UntargetedRows):
            return False
        same = dict(self) == dict(other) and self.checksums == other.checksums
        return same and self.rows.equals(other.rows)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __copy__(self) -> "UntargetedRows":
        return self

    def __deepcopy__(self, memo: dict) -> "UntargetedRows":
        return self

    def __reduce__(self) -> tuple:
        return UntargetedRows, (self.rows, self.checksums, dict(self))


def remember_untargeted(X: Any, data: Any, rows: np.ndarray, keys: TableKeys) -> None:
    """Keep the keys of a table, and its rows without targets, in the ``attrs`` of X.

    Nothing is kept of polars, which has no ``attrs``, and the keys alone if `X` holds
    what pandas cannot hash.
    """
    if not isinstance(X, pd.DataFrame):
        return
    X.attrs[ATTRS_KEY] = keys.to_attrs()
    try:
        checksums = {name: _checksum(X[name]) for name in data.columns}
        checksums[None] = _checksum(X.index)
    except TypeError:
        return
    left_out = data.iloc[rows].copy()
    left_out.attrs = {}
    X.attrs[ATTRS_KEY] = UntargetedRows(left_out, checksums, keys.to_attrs())


def untargeted_rows_of(X: Any) -> pd.DataFrame | None:
    """Return the untargeted rows of a frame, with its columns; None if there are none.

    None too if rows of `X` are left out or a value was changed: scaled columns, for
    example, do not continue in the rows that were left out.
    """
    kept = getattr(X, "attrs", {}).get(ATTRS_KEY)
    if not isinstance(kept, UntargetedRows):
        return None
    names = [name for name in kept.rows.columns if name in X.columns]
    if not names or not X.columns.is_unique:
        return None
    try:
        same = _checksum(X.index) == kept.checksums[None] and all(
            _checksum(X[name]) == kept.checksums[name] for name in names
        )
    except TypeError:
        return None
    return kept.rows[names] if same else None


def keep_untargeted(X: pd.DataFrame, result: pd.DataFrame) -> None:
    """Pass the untargeted rows of a frame on to one with more columns."""
    kept = getattr(X, "attrs", {}).get(ATTRS_KEY)
    if kept is not None:
        result.attrs[ATTRS_KEY] = kept


def _checksum(values):
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biufmM":
        contents = np.ascontiguousarray(values.to_numpy())  # 5 times as fast as hashes
    else:
        contents = pd.util.hash_pandas_object(values, index=False).to_numpy()
    return hashlib.blake2b(contents.view(np.uint8).data, digest_size=16).hexdigest()
