"""Symbols: characters, words, notes, anything hashable, in sequences."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._vocabulary import PADDING, UNKNOWN, Missing


class SymbolRows(NamedTuple):
    """Sequences of symbols as they were given.

    Parameters
    ----------
    rows : list of str or list of list
        The sequences; of a str the symbols are its characters.
    are_text : bool
        Whether they are strings.
    """

    rows: list
    are_text: bool


def check_symbols(X, *, owner="the estimator", name="X", allow_empty=False):
    """Read `X` as sequences of symbols.

    Parameters
    ----------
    X : list, Series or array of str, or of lists, tuples or 1-D arrays
        Strings are sequences of their characters; the others are sequences of
        symbols of any hashable kind. A 2-D array is one sequence a row.
    owner : str, default="the estimator"
        Who asks, for the messages.
    name : str, default="X"
        What is read, for the messages.
    allow_empty : bool, default=False
        Whether a sequence may have no symbols.

    Returns
    -------
    SymbolRows
        The sequences, tuples and arrays as lists.

    Raises
    ------
    InvalidSequenceError
        If there is no sequence, one is empty, or is neither a string nor symbols.
    TypeError
        If a symbol cannot be hashed, or `X` is one string or a table.

    Examples
    --------
    >>> from sklearn_rnn.sequences import check_symbols
    >>> check_symbols([(60, 62), [64]])
    SymbolRows(rows=[[60, 62], [64]], are_text=False)
    """
    rows = _rows(X, owner, name)
    if len(rows) == 0:
        raise InvalidSequenceError(
            f"{name} is empty: {owner} needs at least one sequence."
        )
    are_text = isinstance(rows[0], str)
    rows = [_row(row, f"{name}[{i}]", are_text, owner) for i, row in enumerate(rows)]
    if not allow_empty:
        for i, row in enumerate(rows):
            if len(row) == 0:
                only = " Leave it out." if len(rows) > 1 else ""
                raise InvalidSequenceError(
                    f"{name}[{i}] is empty: {owner} needs at least one symbol in every "
                    f"sequence.{only}"
                )
    return SymbolRows(rows, are_text)


def _rows(X, owner, name):
    if isinstance(X, bytes):
        raise TypeError(
            f"{name} is bytes, but {owner} takes a list of strings: decode it, as in "
            f"[{name}.decode()]."
        )
    if isinstance(X, str):
        raise TypeError(
            f"{name} is a single string, but {owner} takes a list of them: pass "
            f"[{name}]."
        )
    if isinstance(X, pd.DataFrame):
        such_as = "" if X.columns.empty else f", such as {name}[{X.columns[0]!r}]"
        raise TypeError(
            f"{name} is a table, but {owner} takes sequences of symbols: pass the "
            f"column that holds them{such_as}."
        )
    if isinstance(X, SequenceArray):
        return _rows_of_ids(X, owner, name)
    if isinstance(X, pd.Series):
        return X.tolist()
    if isinstance(X, np.ndarray):
        if X.ndim not in (1, 2):
            raise InvalidSequenceError(
                f"{name} has {X.ndim} dimensions; sequences of symbols are an array of "
                "shape (n_sequences, n_timesteps), or a list of sequences."
            )
        if X.shape[1:] == (1,) and len(X) > 1 and X.dtype.kind in "biuf":
            raise InvalidSequenceError(
                f"{name} has shape {X.shape}. If x is one sequence: pass [x[:, 0]]. If "
                f"its rows are sequences of one symbol each, pass {name}.tolist()."
            )
        if X.shape[1:] == (1,) and any(isinstance(row[0], str) for row in X):
            raise InvalidSequenceError(
                f"{name} has shape {X.shape}: an array of two dimensions is lists of "
                f"symbols, and these have one each. If they are texts, pass {name}[:, "
                f"0]; if they are symbols, {name}.tolist()."
            )
        return X.tolist()
    if not hasattr(X, "__len__") or not hasattr(X, "__getitem__") or hasattr(X, "keys"):
        raise TypeError(
            f"{name} is of type {type(X).__name__}; {owner} takes a list, Series or "
            "array of strings or of lists of symbols."
        )
    return list(X)


def _rows_of_ids(X, owner, name):
    """Return the ids of sequences, or the tokens that they stand for.

    Padding is left out; what a tokenizer did not know stays unknown.
    """
    if not are_ids(X):
        raise InvalidSequenceError(
            f"{name} is {X!r}, but {owner} takes symbols: one whole number a step."
        )
    if X.tokens is None:
        return [row[:, 0].tolist() for row in X]
    tokens = X.tokens.copy()
    tokens[UNKNOWN] = Missing.SYMBOL
    ids = (row[:, 0] for row in X)
    return [tokens[row[row != PADDING]].tolist() for row in ids]


def are_ids(X):
    """Tell whether `X` is a SequenceArray of ids, one whole number a step.

    Parameters
    ----------
    X : object
        Anything given as ``X``.

    Returns
    -------
    bool
        True for what a `SequenceTokenizer` returns.
    """
    is_container = isinstance(X, SequenceArray)
    return is_container and X.n_features == 1 and X.dtype.kind in "iu"


def _row(row, place, are_text, owner):
    if isinstance(row, (str, np.str_)) == are_text and (
        are_text or isinstance(row, (list, tuple))
    ):
        return str(row) if are_text else _hashable(list(row), place)
    if isinstance(row, (np.ndarray, pd.Series)) and not are_text and row.ndim == 1:
        return _hashable(row.tolist(), place)
    if not hasattr(row, "__len__") and pd.isna(row):
        raise InvalidSequenceError(
            f"{place} is {row!r}, a missing value. Leave it out."
        )
    kind = "a string" if isinstance(row, str) else f"of type {type(row).__name__}"
    wanted = "strings, as the first one is" if are_text else "lists of symbols"
    if isinstance(row, np.ndarray):
        kind = f"an array of shape {np.shape(row)}"
    way_out = "Make all sequences of one kind: strings, or lists of hashable symbols."
    if not hasattr(row, "__len__"):
        name = place.partition("[")[0]
        wanted = "strings or lists of symbols"
        way_out = (
            f"If {name} is one sequence, pass [{name}]; if its items are values to be "
            f"read or written as text, pass [str(item) for item in {name}]."
        )
    raise InvalidSequenceError(
        f"{place} is {kind}, but {owner} takes {wanted}. {way_out}"
    )


def _hashable(row, place):
    try:
        symbols = set(row)
    except TypeError as error:
        raise TypeError(
            f"{place} holds a symbol that cannot be hashed: {error}. Make tuples of "
            "lists and arrays."
        ) from error
    if pd.NA in symbols or any(symbol != symbol for symbol in symbols):
        raise InvalidSequenceError(
            f"{place} holds NaN, which is no symbol: it does not even equal itself."
        )
    return row
