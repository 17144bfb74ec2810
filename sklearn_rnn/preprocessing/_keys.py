"""What names and attrs of tables say: keys, values ahead, rows without targets."""

import hashlib
import re
from collections.abc import Hashable, Iterable, Mapping
from numbers import Integral, Number
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.sequences import DATED, as_typed_index

# Where ``attrs`` of a pandas object hold them.
ATTRS_KEY = "sklearn_rnn"

# Most names in `time` or `group_by` that are taken for columns: more are labels.
MAX_KEYS = 6

# The value of a column some steps ahead, such as "temp+6".
AHEAD = re.compile(r"(?P<name>.+)\+(?P<step>[1-9][0-9]*)", re.DOTALL)

# Most steps ahead in a list: more would take gigabytes.
MAX_STEPS = 1_000_000

# Characters of a wrong parameter that an error shows.
MAX_SHOWN = 60


@plain_type
class TableKeys(NamedTuple):
    """What is known of a table besides its values.

    time : column of the times, or level of the index; None for the whole index
    group_by : column of the series, or a list of several; None for one series
    freq : the time between rows; None if it is to be inferred
    missing : "mask" for a table whose missing rows and values are masked, or None
    is_freq_stated : whether `freq` is from ``attrs``, which outlive a change of step
    """

    time: Any = None
    group_by: Any = None
    freq: Any = None
    missing: str | None = None
    is_freq_stated: bool = False

    @property
    def groups(self) -> list:
        """The columns of the series, a list of any length."""
        if self.group_by is None or isinstance(self.group_by, list):
            return self.group_by or []
        return [self.group_by]

    def to_attrs(self) -> dict[str, Any]:
        """Return what JSON can hold of them, as Parquet files store ``attrs``."""
        is_plain = isinstance(self.freq, str | Number)
        is_plain = is_plain and not isinstance(self.freq, np.timedelta64)
        known = {
            "time": self.time,
            "group_by": self.group_by,
            "freq": self.freq if is_plain else None,
            "missing": self.missing,
        }
        return {name: value for name, value in known.items() if value is not None}


NO_KEYS = TableKeys()


def list_keys(group_by: Any) -> list:
    """Return one column or several as a list."""
    if group_by is None:
        return []
    return list(group_by) if isinstance(group_by, (list, tuple)) else [group_by]


def find_keys(
    data: Any,
    time: Any = None,
    group_by: Any = None,
    freq: Any = None,
    otherwise: TableKeys = NO_KEYS,
) -> TableKeys:
    """Return the keys of a table: as given, as in `otherwise`, or as the table says.

    A table says so in ``attrs["sklearn_rnn"]``, or by an index of several levels of
    which exactly one holds dates: the others then identify its series.
    """
    time = otherwise.time if time is None else time
    group_by = otherwise.group_by if group_by is None else group_by
    freq = otherwise.freq if freq is None else freq
    if time is not None:
        check_column_key(time, "time", data)
    if group_by is not None:
        check_column_key(group_by, "group_by", data)
    index = data.index if isinstance(data, pd.DataFrame) else None
    stated = getattr(data, "attrs", {}).get(ATTRS_KEY)
    stated = stated if isinstance(stated, Mapping) else {}
    if isinstance(group_by, tuple):  # which may be a label of columns of levels
        is_label = group_by in list(getattr(data, "columns", ()))
        group_by = [group_by] if is_label else list(group_by)
    keys = TableKeys(time, group_by, freq)
    if time is not None and time in keys.groups:
        raise InvalidSequenceError(
            f"time={time!r} is in group_by={group_by!r}, too, so each series would "
            "have one time: leave it out of group_by=."
        )
    if not stated and not isinstance(index, pd.MultiIndex):
        return keys
    if time is None and group_by is None:
        time, group_by = _keys_of_levels(index)
    known = {None} if index is None else {None, *data.columns, *index.names}
    stated_groups = list_keys(stated.get("group_by"))
    if time is None and stated.get("time") in known:
        time = stated.get("time")
    if group_by is None and known.issuperset(stated_groups):
        group_by = stated.get("group_by")
    is_freq_stated = freq is None and stated.get("freq") is not None
    freq = stated["freq"] if is_freq_stated else freq
    return TableKeys(time, group_by, freq, stated.get("missing"), is_freq_stated)


def _keys_of_levels(index):
    """Return the level of dates and the others, if exactly one holds dates."""
    if not isinstance(index, pd.MultiIndex):
        return None, None
    names = list(index.names)
    levels = zip(names, index.levels, strict=True)
    dated = [name for name, level in levels if _is_dated(level)]
    if len(dated) != 1 or None in names or len(set(names)) < len(names):
        return None, None
    groups = [name for name in names if name not in dated]
    return dated[0], groups[0] if len(groups) == 1 else groups


def _is_dated(level):
    try:
        return isinstance(as_typed_index(level, "the index of X"), DATED)
    except InvalidSequenceError:
        return False


def check_column_key(key: Any, parameter: str, X: Any = None) -> None:
    """Check that `time` names one column, or `group_by` one or several."""
    if key is None or isinstance(key, (str, Integral)):
        return
    is_label = isinstance(key, Hashable) and not isinstance(key, (pd.Series, pd.Index))
    if is_label and (key in list(getattr(X, "columns", ())) or np.ndim(key) == 0):
        return
    names = _column_names_in(key, parameter)
    if not names:
        several = ", or a list of such," if parameter == "group_by" else ","
        raise InvalidSequenceError(
            f"{parameter} takes the name of a column, or for an array its position"
            f"{several} but got {_abridged(key)}. If these are the values, make them a "
            f"column: df.assign(key=values) and {parameter}='key'."
        )
    if parameter == "group_by" and isinstance(key, (list, tuple)):
        return
    if len(names) == 1:
        raise InvalidSequenceError(
            f"{parameter}={names!r} should be the name itself: "
            f"{parameter}={names[0]!r}."
        )
    if parameter == "group_by":
        raise InvalidSequenceError(
            f"group_by takes several columns as a list, but got a "
            f"{type(key).__name__}: group_by={names!r}."
        )
    parts = " + ' ' + ".join(f"df[{name!r}].astype(str)" for name in names)
    raise InvalidSequenceError(
        f"time takes one column, but got {len(names)}: {_abridged(names)}. Combine "
        f"them into one, for example df.assign(when=pd.to_datetime({parts})) and "
        "time='when'."
    )


def _column_names_in(key, parameter):
    """Return what seem to be the names of several columns; none if it is values."""
    if not isinstance(key, (list, tuple, set, pd.Index, np.ndarray)):
        return []
    names = list(key)
    # Integers may be positions of columns of labels; as times they are values.
    kinds = (str, Integral) if parameter == "group_by" else str
    if len(names) > MAX_KEYS or not all(isinstance(name, kinds) for name in names):
        return []
    names = [str(name) if isinstance(name, str) else int(name) for name in names]
    return names if len(set(names)) == len(names) else []


def _abridged(key):
    text = " ".join(repr(key).split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def list_steps(steps: Any) -> list:
    """List the steps ahead that a user gave, at most MAX_STEPS + 1 of a range."""
    if isinstance(steps, range):
        return list(steps[: MAX_STEPS + 1])
    if isinstance(steps, (list, tuple, set, frozenset)) or np.ndim(steps) == 1:
        return list(steps)
    return [steps]


def name_ahead(name: Any, step: int) -> Any:
    """Name the value of a column some steps ahead, such as "temp+6"."""
    return f"{name}+{step}" if step else name


def parse_ahead(name: Any) -> tuple[str, int] | None:
    """Return (column, steps ahead) of a name such as "temp+6"; None for any other."""
    found = parse_targets([name])
    return found[0] if found else None


def parse_targets(names: Iterable[Any] | None) -> list[tuple[str, int]]:
    """Return (column, steps ahead) of each name; empty if not all have both."""
    parsed = []
    for name in [] if names is None else names:
        match = AHEAD.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            return []
        parsed.append((match["name"], int(match["step"])))
    return parsed


def get_target_names(y: Any) -> np.ndarray | None:
    """Return the names of y's columns, an object array; None if not all are strings."""
    names = getattr(y, "columns", None)
    if names is None:
        names = [getattr(y, "name", None)]
    if len(names) == 0 or not all(isinstance(name, str) for name in names):
        return None
    return np.array(list(names), dtype=object)


def check_names(data: Any, estimator_name: str) -> None:
    """Check that the columns of a frame have strings for names.

    Names such as "temp+1" are made of them, and scikit-learn keeps no others.
    """
    for name in data.columns:
        if type(name) is str:  # scikit-learn does not accept np.str_
            continue
        rename = "df.columns.astype(str)"
        if isinstance(data.columns, pd.MultiIndex):
            rename = "['_'.join(map(str, name)) for name in df.columns]"
        raise InvalidSequenceError(
            f"{estimator_name} needs strings as column names, because it makes names "
            f"such as 'temp+1' of them, and got {name!r} of type "
            f"{type(name).__name__}. Rename the columns of all your tables, for "
            f"example with df.columns = {rename}."
        )


# Rows without targets


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
    """Return a checksum of the values of a column or index."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biufmM":
        contents = np.ascontiguousarray(values.to_numpy())  # 5 times as fast as hashes
    else:
        contents = pd.util.hash_pandas_object(values, index=False).to_numpy()
    return hashlib.blake2b(contents.view(np.uint8).data, digest_size=16).hexdigest()
