"""What an encoder reads: symbols, sequences of numbers, or plain vectors."""

from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.estimators._corpus import are_frames, refuse_another_kind
from sklearn_rnn.sequences import (
    SequenceArray,
    Vocabulary,
    are_ids,
    check_columns,
    check_features,
    check_learnable,
    check_sequences,
    check_symbols,
    check_table,
    convert_input,
    nested_columns,
    sequences_of_ids,
    unpack,
)

# Values that tell numbers from symbols: a float among them is a number.
N_LOOKED_AT = 100_000
SOURCES = ("auto", "symbols", "sequences", "vectors")


def kind_of_source(X):
    """Tell what `X` is made of, where the user has not said it.

    Parameters
    ----------
    X : object
        As given to fit.

    Returns
    -------
    {"symbols", "sequences", "vectors"}
        A 2-D array or frame of numbers is vectors; a 3-D array, a list of 2-D
        arrays or of lists of floats is sequences; all else is symbols.
    """
    X = unpack(X)
    if isinstance(X, SequenceArray):
        return "symbols" if are_ids(X) else "sequences"
    if isinstance(X, pd.DataFrame) and any(nested_columns(X)):
        return "sequences"
    if isinstance(X, str) or not hasattr(X, "__len__") or len(X) == 0:
        return "symbols"
    if are_frames(X):
        return "sequences"
    if getattr(X, "ndim", 1) == 2:
        numeric = np.asarray(X).dtype.kind in "biuf"
        return "vectors" if numeric else "symbols"
    if isinstance(next(iter(X)), str):
        return "symbols"
    rows = (row for row in X if isinstance(row, (list, tuple, np.ndarray)))
    numbers = (value for row in rows for value in row)
    if any(
        isinstance(value, (float, np.floating))
        for value in islice(numbers, N_LOOKED_AT)
    ):
        return "sequences"
    return "symbols"


class SymbolSource(NamedTuple):
    """Sequences of symbols, read as ids.

    Parameters
    ----------
    owner : str
        Who reads, for the messages.
    vocabulary : Vocabulary
        The symbols.
    are_text : bool
        Whether sequences are strings.
    """

    owner: str
    vocabulary: Vocabulary
    are_text: bool

    reads = "symbols"

    def rows(self, X, name="X"):
        """Return the sequences as strings or lists of symbols."""
        rows, are_text = _symbols(X, self.owner, name)
        refuse_another_kind(are_text, self, name)
        return rows

    def read(self, X, estimator, *, name="X", reset=False):
        """Return the sequences as ids; an empty one is one step of padding."""
        rows = self.rows(X, name)
        return sequences_of_ids([self.vocabulary.encode(row) for row in rows])


def _symbols(X, owner, name):
    return check_symbols(X, estimator_name=owner, name=name, allow_empty=True)


def learn_symbols(X, *, owner, name, min_count, max_symbols, weights=None):
    """Learn the vocabulary of what is read or written.

    Parameters
    ----------
    X : list of str or list of list
        The sequences; they may be empty.
    owner, name : str
        Who asks and what for, for the messages.
    min_count : int
        Symbols that are rarer stay unknown.
    max_symbols : int or None
        Most symbols to keep.
    weights : ndarray of shape (n_sequences,), default=None
        How often each sequence counts.

    Returns
    -------
    SymbolSource
        That reads such sequences.
    """
    rows, are_text = _symbols(X, owner, name)
    if not are_text:
        check_learnable(rows, estimator_name=owner, name=name)
    vocabulary = Vocabulary.from_sequences(
        rows, min_count=min_count, max_symbols=max_symbols, weights=weights
    )
    if not vocabulary.symbols:
        often = f" that comes min_count={min_count} times" if min_count > 1 else ""
        raise ValueError(f"{name} has no symbol{often}: there is nothing to learn.")
    return SymbolSource(owner, vocabulary, are_text)


class NumberSource(NamedTuple):
    """Sequences of numbers, or one vector each.

    Parameters
    ----------
    owner : str
        Who reads, for the messages.
    reads : {"sequences", "vectors"}
        Which of the two.
    """

    owner: str
    reads: str

    vocabulary = None
    are_text = False

    def read(self, X, estimator, *, name="X", reset=False):
        """Return the sequences; a vector is a sequence of one step.

        Number and names of features are set on `estimator`, or checked.
        """
        X = convert_input(X, estimator_name=self.owner, name=name)
        if self.reads == "sequences":
            sequences = check_sequences(X, estimator_name=self.owner)
            check_features(estimator, X, sequences, reset=reset)
            return sequences
        rows = check_table(X, estimator_name=self.owner, name=name)
        named = X if hasattr(X, "columns") else rows
        check_columns(estimator, named, reset=reset)
        one_step = SequenceArray(rows, np.arange(len(rows)), np.ones(len(rows), int))
        return check_sequences(one_step, estimator_name=self.owner)


def refuse_unequal(n_read, n_written):
    """Refuse X and y of different numbers of sequences."""
    if n_read != n_written:
        raise InvalidSequenceError(
            "Found input variables with inconsistent numbers of samples: X has "
            f"{n_read} sequences, y has {n_written}. Give one y for each."
        )
