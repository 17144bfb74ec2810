"""Names of columns that hold the value of another one some steps ahead."""

import re

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError

AHEAD = re.compile(r"(?P<name>.+)\+(?P<step>[1-9][0-9]*)", re.DOTALL)


def name_ahead(name, step):
    """Name the value of a column some steps ahead.

    Parameters
    ----------
    name : object
        Of the column.
    step : int
        Steps ahead.

    Returns
    -------
    str or object
        The column's own name for step 0.

    Examples
    --------
    >>> from sklearn_rnn.preprocessing._names import name_ahead
    >>> name_ahead("temp", 6)
    'temp+6'
    """
    return f"{name}+{step}" if step else name


def parse_ahead(name):
    """Take the name of a value some steps ahead apart.

    Parameters
    ----------
    name : object
        As `name_ahead` makes it.

    Returns
    -------
    tuple of str and int, or None
        Column and steps ahead; None for any other name.

    Examples
    --------
    >>> from sklearn_rnn.preprocessing._names import parse_ahead
    >>> parse_ahead("temp+6"), parse_ahead("temp")
    (('temp', 6), None)
    """
    match = AHEAD.fullmatch(name) if isinstance(name, str) else None
    return match and (match["name"], int(match["step"]))


def parse_targets(names):
    """Read from the names of targets what they are of, and how far ahead.

    Parameters
    ----------
    names : sequence of str or None
        Of y's columns.

    Returns
    -------
    list of tuple (str, int)
        Column and steps ahead of each; empty if not all names say it.

    Examples
    --------
    >>> from sklearn_rnn.preprocessing._names import parse_targets
    >>> parse_targets(["temp+1", "dewp+1"]), parse_targets(["temp", "dewp+1"])
    ([('temp', 1), ('dewp', 1)], [])
    """
    parsed = [parse_ahead(name) for name in ([] if names is None else names)]
    return [] if None in parsed else parsed


def read_target_names(y):
    """Read the names of the columns of y.

    Parameters
    ----------
    y : object
        As the user gave it.

    Returns
    -------
    ndarray of str, of dtype object, or None
        Of a frame, or a Series with a name; None if y has no names, or not all
        are strings.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn.preprocessing._names import read_target_names
    >>> read_target_names(pd.DataFrame({"temp+1": [3.0], "temp+2": [4.0]}))
    array(['temp+1', 'temp+2'], dtype=object)
    """
    names = getattr(y, "columns", None)
    if names is None:
        names = [getattr(y, "name", None)]
    if len(names) == 0 or not all(isinstance(name, str) for name in names):
        return None
    return np.array(list(names), dtype=object)


def check_names(data, owner):
    """Check that the columns of a frame have strings for names.

    Names such as "temp+1" are made of them, and scikit-learn keeps no others.

    Parameters
    ----------
    data : DataFrame
        Of pandas or polars.
    owner : str
        Who asks, for the message.

    Raises
    ------
    InvalidSequenceError
        That names the first other name.
    """
    for name in data.columns:
        if type(name) is str:  # as scikit-learn asks; np.str_ is none to it
            continue
        rename = "df.columns.astype(str)"
        if isinstance(data.columns, pd.MultiIndex):
            rename = "['_'.join(map(str, name)) for name in df.columns]"
        raise InvalidSequenceError(
            f"{owner} needs strings as column names, because it makes names such as "
            f"'temp+1' of them, and got {name!r} of type {type(name).__name__}. Rename "
            f"the columns of all your tables, for example with df.columns = {rename}."
        )
