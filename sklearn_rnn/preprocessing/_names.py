"""Names of columns that hold the value of another one some steps ahead."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError

AHEAD = re.compile(r"(?P<name>.+)\+(?P<step>[1-9][0-9]*)", re.DOTALL)


def name_ahead(name: Any, step: int) -> Any:
    """Name the value of a column some steps ahead, such as "temp+6"."""
    return f"{name}+{step}" if step else name


def parse_ahead(name: Any) -> tuple[str, int] | None:
    """Return (column, steps ahead) of a name such as "temp+6"; None for any other."""
    match = AHEAD.fullmatch(name) if isinstance(name, str) else None
    return match and (match["name"], int(match["step"]))


def parse_targets(names: Iterable[Any] | None) -> list[tuple[str, int]]:
    """Return (column, steps ahead) of each name; empty if not all have both."""
    parsed = []
    for name in [] if names is None else names:
        target = parse_ahead(name)
        if target is None:
            return []
        parsed.append(target)
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
