"""Symbols: characters, words, notes, anything hashable, in sequences."""

import math
import warnings
from decimal import Decimal
from numbers import Complex, Rational, Real
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError, TargetWarning, user_stacklevel
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._conversion import unpack
from sklearn_rnn.sequences._one_hot import is_one_hot
from sklearn_rnn.sequences._vocabulary import PADDING, UNKNOWN, Missing

# More symbols than this, most of which occur once, are measurements, not symbols.
MANY_SYMBOLS = 20
# Padding of other libraries: torch's losses ignore -100, Keras pads with 0.
FILL_VALUES = (-100, -1, 0)
# Of strings whose symbols stand between spaces, the median length of a symbol at most;
# the median length of words of English is 4. Characters of one that a message shows.
LONGEST_SYMBOL, SHOWN = 2, 30
# Decimal, as databases return it, is no Real number.
NUMBERS = (Complex, Decimal)
# Names of types of pandas and polars, and of pyarrow.
TABLES = ("DataFrame", "Table", "RecordBatch")


class SymbolRows(NamedTuple):
    """Sequences of symbols as they were given.

    rows : list of str or of list; the symbols of a str are its characters
    are_text : bool, whether they are strings
    """

    rows: list
    are_text: bool


def check_symbols(X, *, estimator_name="the estimator", name="X", allow_empty=False):
    """Return `X` as sequences of symbols.

    Parameters
    ----------
    X : list, Series or array of str, or of lists, tuples or 1-D arrays
        Strings are sequences of their characters; the others are sequences of hashable
        symbols. A 2-D array is one sequence per row.
    estimator_name, name : str, default="the estimator", "X"
        Named in messages.
    allow_empty : bool, default=False
        Whether a sequence may have no symbols.

    Returns
    -------
    SymbolRows
        The sequences, tuples and arrays as lists.

    Examples
    --------
    >>> from sklearn_rnn.sequences import check_symbols
    >>> check_symbols([(60, 62), [64]])
    SymbolRows(rows=[[60, 62], [64]], are_text=False)
    """
    rows = _rows(X, estimator_name, name)
    if len(rows) == 0:
        raise InvalidSequenceError(
            f"{name} is empty: {estimator_name} needs at least one sequence."
        )
    are_text = isinstance(rows[0], str)
    rows = [
        _row(row, f"{name}[{i}]", are_text, estimator_name)
        for i, row in enumerate(rows)
    ]
    if not are_text:
        _check_all(rows, estimator_name, name)
    if not allow_empty:
        for i, row in enumerate(rows):
            if len(row) == 0:
                only = " Leave it out." if len(rows) > 1 else ""
                raise InvalidSequenceError(
                    f"{name}[{i}] is empty: {estimator_name} needs at least one symbol "
                    f"in every sequence.{only}"
                )
    return SymbolRows(rows, are_text)


def _rows(X, estimator_name, name):
    if isinstance(X, bytes):
        raise TypeError(
            f"{name} is bytes, but {estimator_name} takes a list of strings: decode "
            f"it, as in [{name}.decode()]."
        )
    if isinstance(X, str):
        raise TypeError(
            f"{name} is a single string, but {estimator_name} takes a list of them: "
            f"pass [{name}]."
        )
    if type(X).__name__ in TABLES:
        names = list(getattr(X, "column_names", X.columns))
        such_as = f", such as {name}[{names[0]!r}]" if names else ""
        raise TypeError(
            f"{name} is a table, but {estimator_name} takes sequences of symbols: pass "
            f"the column that holds them{such_as}."
        )
    X = unpack(X, estimator_name=estimator_name, name=name)
    if isinstance(X, SequenceArray):
        return _rows_of_ids(X, estimator_name, name)
    if isinstance(X, pd.Series):
        return X.tolist()
    if is_array(X):
        if X.ndim not in (1, 2):
            raise InvalidSequenceError(
                f"{name} has {X.ndim} dimensions; sequences of symbols are an array of "
                "shape (n_sequences, n_timesteps), or a list of sequences."
                f"{_one_hot_advice(X, f'{name}.argmax(axis=-1)')}"
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
            f"{name} is of type {type(X).__name__}; {estimator_name} takes a list, "
            "Series or array of strings or of lists of symbols."
        )
    return list(X)


def _rows_of_ids(X, estimator_name, name):
    """Return the ids of sequences, or the tokens that they stand for.

    Padding is left out; what a tokenizer did not know stays unknown.
    """
    if not are_ids(X):
        raise InvalidSequenceError(
            f"{name} is {X!r}, but {estimator_name} takes symbols: one integer per "
            "step."
        )
    if X.tokens is None:
        return [row[:, 0].tolist() for row in X]
    tokens = X.tokens.copy()
    tokens[UNKNOWN] = Missing.SYMBOL
    ids = (row[:, 0] for row in X)
    return [tokens[row[row != PADDING]].tolist() for row in ids]


def are_ids(X):
    """Return whether `X` is a SequenceArray of ids, one integer per step."""
    is_container = isinstance(X, SequenceArray)
    return is_container and X.n_features == 1 and X.dtype.kind in "iu"


def is_array(X):
    """Return whether `X` is an array of NumPy, or a tensor, and not a scalar of it."""
    return isinstance(X, np.ndarray) or (
        hasattr(X, "tolist") and hasattr(X, "ndim") and not isinstance(X, np.generic)
    )


def _row(row, where, are_text, estimator_name):
    if isinstance(row, (str, np.str_)) == are_text and (
        are_text or isinstance(row, (list, tuple))
    ):
        return str(row) if are_text else list(row)
    if is_array(row) and not are_text and row.ndim == 1:
        return row.tolist()
    if not hasattr(row, "__len__") and pd.isna(row):
        raise InvalidSequenceError(
            f"{where} is {row!r}, a missing value. Leave it out."
        )
    kind = "a string" if isinstance(row, str) else f"of type {type(row).__name__}"
    wanted = "strings, as the first one is" if are_text else "lists of symbols"
    remedy = "Make all sequences of one kind: strings, or lists of hashable symbols."
    name = where.partition("[")[0]
    if is_array(row):
        kind = f"an array of shape {tuple(row.shape)}"
        remedy += _one_hot_advice(row, f"[x.argmax(axis=-1) for x in {name}]")
    elif isinstance(row, (bytes, bytearray)):
        remedy = f"Decode it, as in [x.decode() for x in {name}]."
    elif isinstance(row, NUMBERS):
        wanted = "strings or lists of symbols"
        remedy = (
            f"If {name} is one sequence, pass [{name}]; if its items are values to be "
            f"read or written as text, pass [str(item) for item in {name}]. To predict "
            "one number per sequence use RNNRegressor."
        )
    elif not hasattr(row, "__len__"):
        wanted = "strings or lists of symbols"
        remedy = (
            f"If {name} is one sequence, pass [{name}]; if its items are values to be "
            f"read or written as text, pass [str(item) for item in {name}]."
        )
    raise InvalidSequenceError(
        f"{where} is {kind}, but {estimator_name} takes {wanted}. {remedy}"
    )


def _one_hot_advice(values, advice):
    return f" Of one-hot vectors pass {advice}." if is_one_hot(values) else ""


def _check_all(rows, estimator_name, name):
    """Check the symbols of all rows, each distinct one once."""
    types = set().union(*(map(type, row) for row in rows))
    try:
        symbols = set().union(*rows)
    except TypeError:
        _check_hashable(rows, name)
        raise
    if types <= {str, int}:
        return
    for symbol in symbols:
        if symbol is pd.NA or _is_unequal_to_itself(symbol):
            raise InvalidSequenceError(
                f"{_find(rows, symbol, name)} holds NaN, which is no symbol: it does "
                "not even equal itself."
            )
        if hasattr(symbol, "__array__") and not isinstance(symbol, np.generic):
            raise TypeError(
                f"{_find(rows, symbol, name)} holds a symbol of type "
                f"{type(symbol).__name__}, which equals no other one: pass its value, "
                "as from .item() or .tolist()."
            )
    _check_numbers(rows, symbols, types, estimator_name, name)
    if any(issubclass(t, tuple) for t in types):
        _check_tuples(rows, estimator_name, name)


def _check_hashable(rows, name):
    for i, row in enumerate(rows):
        try:
            set(row)
        except TypeError as error:
            advice = f"[np.argmax(x, axis=-1) for x in {name}]"
            raise TypeError(
                f"{name}[{i}] holds a symbol that cannot be hashed: {error}. Make "
                f"tuples of lists and arrays.{_one_hot_advice(row, advice)}"
            ) from error


def _find(rows, symbol, name):
    """Return which row holds a symbol, as "X[3]"."""
    has = (any(s is symbol for s in row) for row in rows)
    return next(f"{name}[{i}]" for i, found in enumerate(has) if found)


def _is_unequal_to_itself(symbol):
    equal = symbol == symbol
    return isinstance(equal, (bool, np.bool_)) and not equal


def _is_discrete(number):
    if isinstance(number, Rational):  # exact: a note's length may be a fraction
        return True
    if isinstance(number, Complex) and not isinstance(number, Real):
        return False
    return math.isfinite(number) and number == int(number)


def _advice_for_numbers(estimator_name, name):
    if estimator_name == "RNNSeq2Seq" and name.startswith("X"):
        return "To read numbers set source='sequences'."
    if estimator_name == "SequenceTokenizer":
        return "Estimators read numbers as they are, without a tokenizer."
    return "For numbers use RNNRegressor(return_sequences=True)."


def _check_numbers(rows, symbols, types, estimator_name, name):
    """Check that numbers among symbols are symbols themselves."""
    numeric = {t for t in types if issubclass(t, NUMBERS)}
    booleans = types & {bool, np.bool_}
    if not numeric - booleans and types != {type(None)}:
        return
    only_numbers = types <= numeric | booleans | {type(None)}
    if only_numbers and None in symbols:
        raise InvalidSequenceError(
            f"{_find(rows, None, name)} holds None, and else numbers alone: a "
            "missing value, not a symbol. Leave it out."
        )
    continuous = [s for s in symbols if type(s) in numeric and not _is_discrete(s)]
    # Beside words, a few may be names, such as of versions.
    if continuous and (only_numbers or _occur_once(rows, set(continuous))):
        raise InvalidSequenceError(
            f"{_find(rows, continuous[0], name)} holds continuous numbers, such as "
            f"{continuous[0]}, which are no symbols. "
            f"{_advice_for_numbers(estimator_name, name)}"
        )
    if booleans:
        _check_not_equal(rows, booleans, numeric - booleans, estimator_name, name)


def _check_tuples(rows, estimator_name, name):
    """Check that tuples hold no measurements; a few lengths of notes are fine."""
    parts = [[part for s in row if isinstance(s, tuple) for part in s] for row in rows]
    numbers = {p for row in parts for p in row if isinstance(p, NUMBERS)}
    continuous = {number for number in numbers if not _is_discrete(number)}
    if _occur_once(parts, continuous):
        raise InvalidSequenceError(
            f"{name} holds tuples of continuous numbers, such as "
            f"{next(iter(continuous))}, which are no symbols. "
            f"{_advice_for_numbers(estimator_name, name)}"
        )


def _occur_once(rows, symbols):
    """Return whether there are many symbols of a kind, and most of them occur once."""
    n_times = sum(symbol in symbols for row in rows for symbol in row)
    return len(symbols) > MANY_SYMBOLS and 2 * len(symbols) > n_times


def _check_not_equal(rows, booleans, numeric, estimator_name, name):
    """Check that no boolean equals a number: they would be one symbol."""
    numbers = {s for row in rows for s in row if type(s) in numeric}
    for symbol in {s for row in rows for s in row if type(s) in booleans}:
        if symbol in numbers:
            raise InvalidSequenceError(
                f"{name} holds both {bool(symbol)} and {int(symbol)}, which are equal "
                f"in Python: {estimator_name} could not distinguish them. Make all "
                "symbols of one type."
            )


def check_learnable(rows, *, estimator_name, name):
    """Check that symbols to be learned are neither padding nor measurements.

    Raises an InvalidSequenceError if sequences seem to be padded to one length with -1
    or -100; gives a TargetWarning if they seem to be padded with 0, or most numbers
    occur once.
    """
    _check_not_padded(rows, estimator_name, name)
    symbols = set().union(*rows)
    if all(isinstance(s, NUMBERS) for s in symbols) and _occur_once(rows, symbols):
        warnings.warn(
            f"{name} holds {len(symbols)} different numbers, most of them once: "
            f"{estimator_name} learns symbols that recur. If they are measurements or "
            f"counts, {_lower(_advice_for_numbers(estimator_name, name))}",
            TargetWarning,
            stacklevel=user_stacklevel(),
        )


def warn_of_separated_symbols(rows, *, estimator_name, name):
    """Warn of strings such as "K S AH", whose symbols are meant to be between spaces.

    Half of what stands between their spaces is one or two characters long; words of a
    language are longer.
    """
    lengths = [len(part) for row in rows for part in row.split()]
    n_separated = sum(len(row.split()) > 1 for row in rows)
    if 2 * n_separated < len(rows) or np.median(lengths) > LONGEST_SYMBOL:
        return
    text = next(row for row in rows if len(row.split()) > 1)
    warnings.warn(
        f"{name} holds strings such as {_shorten(text)!r}, and {estimator_name} learns "
        "strings by their characters, spaces included. If what stands between the "
        f"spaces are the symbols, pass lists: [text.split() for text in {name}]. If "
        "the characters are meant, silence this TargetWarning by its class.",
        TargetWarning,
        stacklevel=user_stacklevel(),
    )


def _shorten(text):
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _lower(sentence):
    return sentence[0].lower() + sentence[1:]


def _check_not_padded(rows, estimator_name, name):
    """Check that sequences are not padded to one length with a number."""
    types = set().union(*(map(type, row) for row in rows))
    if not all(issubclass(t, NUMBERS) and t is not bool for t in types):
        return
    symbols = set().union(*rows)
    for fill in FILL_VALUES:
        others = symbols - {fill}
        if fill not in symbols or not others:
            continue
        if min(others) < 0:  # then -1 and 0 are numbers like others
            continue
        if fill == -100 and 100 not in others:
            _raise_padded(fill, estimator_name, name)
        if not _is_padded(rows, fill):
            continue
        if fill < 0:
            _raise_padded(fill, estimator_name, name)
        warnings.warn(
            f"{name} seems to be padded to one length with 0, which {estimator_name} "
            "learns as a symbol. Sequences may differ in length: leave the zeros out.",
            TargetWarning,
            stacklevel=user_stacklevel(),
        )


def _raise_padded(fill, estimator_name, name):
    raise InvalidSequenceError(
        f"{name} holds {fill}, which seems to pad sequences to one length, and "
        f"{estimator_name} would learn it as a symbol. Sequences may differ in length: "
        f"pass lists without it, as in [[s for s in row if s != {fill}] for row in "
        f"{name}]. If it is a symbol, give it another value."
    )


def _is_padded(rows, fill):
    """Return whether a value is nowhere but at ends, of sequences of one length."""
    if len({len(row) for row in rows}) > 1 or len(rows) < 2:
        return False
    table = np.array(rows) == fill
    counts = table.sum(axis=1)
    at_ends = table == (np.arange(table.shape[1]) >= table.shape[1] - counts[:, None])
    # As many everywhere may be a symbol that ends a sequence.
    return bool(at_ends.all()) and len(set(counts)) > 1 and counts.max() > 1
