"""What an encoder reads: symbols, sequences of numbers, or plain vectors."""

from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.tasks._corpus import are_frames, check_same_kind
from sklearn_rnn.sequences import (
    SequenceArray,
    Vocabulary,
    are_ids,
    check_columns,
    check_features,
    check_input,
    check_learnable,
    check_sequences,
    check_symbols,
    check_table,
    convert_input,
    is_sound_file,
    nested_columns,
    sequences_of_ids,
    unpack,
    warn_of_separated_symbols,
    warn_of_waveforms,
)

# Values that tell numbers from symbols: a float among them is a number.
N_LOOKED_AT = 100_000
SOURCES = ("auto", "symbols", "sequences", "vectors")


def kind_of_source(X):
    """Return the kind of source that X is: "symbols", "sequences" or "vectors".

    A 2-D array or frame of numbers is vectors; a 3-D array, a list of 2-D arrays or of
    lists of floats is sequences; all else is symbols.
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


def are_words(X):
    """Return whether X is made of strings: of characters, or lists of words.

    Neither whole numbers, which samples of sound are, nor names of sound files count.
    """
    X = unpack(X)
    if isinstance(X, (str, SequenceArray)) or not np.iterable(X):
        return False
    if kind_of_source(X) != "symbols":
        return False
    rows = (row for row in X if isinstance(row, (str, list, tuple, np.ndarray)))
    first = next((row for row in rows if len(row)), "")
    symbol = next(iter(first), None)
    name = first if isinstance(first, str) else symbol
    return isinstance(symbol, str) and not is_sound_file(name)


@plain_type
@dataclass(frozen=True)
class SymbolSource:
    """Sequences of symbols, read as ids.

    Parameters
    ----------
    estimator_name : str
        For messages.
    vocabulary : Vocabulary
        The symbols.
    are_text : bool
        Whether sequences are strings.
    """

    estimator_name: str
    vocabulary: Vocabulary
    are_text: bool

    kind: ClassVar[str] = "symbols"

    def rows(self, X, name="X"):
        """Return the sequences as strings or lists of symbols."""
        rows, are_text = _symbols(X, self.estimator_name, name)
        check_same_kind(are_text, self, name)
        return rows

    def parse(self, X, estimator, *, name="X", reset=False):
        """Return the sequences as ids; an empty one is one step of padding."""
        rows = self.rows(X, name)
        return sequences_of_ids([self.vocabulary.encode(row) for row in rows])


def _symbols(X, estimator_name, name):
    return check_symbols(X, estimator_name=estimator_name, name=name, allow_empty=True)


def fit_symbols(X, *, estimator_name, name, min_count, max_symbols, weights=None):
    """Return a source with the vocabulary of sequences, weighted or not."""
    rows, are_text = _symbols(X, estimator_name, name)
    check = warn_of_separated_symbols if are_text else check_learnable
    check(rows, estimator_name=estimator_name, name=name)
    vocabulary = Vocabulary.from_sequences(
        rows, min_count=min_count, max_symbols=max_symbols, weights=weights
    )
    if not vocabulary.symbols:
        often = f" that comes min_count={min_count} times" if min_count > 1 else ""
        raise ValueError(f"{name} has no symbol{often}: there is nothing to learn.")
    return SymbolSource(estimator_name, vocabulary, are_text)


@plain_type
@dataclass(frozen=True)
class NumberSource:
    """Sequences of numbers, or one vector each.

    Parameters
    ----------
    estimator_name : str
        For messages.
    kind : {"sequences", "vectors"}
        Which of the two.
    """

    estimator_name: str
    kind: str

    vocabulary: ClassVar[None] = None
    are_text: ClassVar[bool] = False

    def parse(self, X, estimator, *, name="X", reset=False):
        """Return the sequences; a vector is a sequence of one step.

        Number and names of features are set on `estimator`, or checked.
        """
        X = convert_input(X, estimator_name=self.estimator_name, name=name)
        if self.kind == "sequences":
            checked = check_input(X, estimator_name=self.estimator_name)
            sequences = checked.sequences
            check_features(estimator, checked, reset=reset)
            if reset and sequences.n_features == 1:
                warn_of_waveforms(sequences)
            return sequences
        rows = check_table(X, estimator_name=self.estimator_name, name=name)
        named = X if hasattr(X, "columns") else rows
        check_columns(estimator, named, reset=reset)
        one_step = SequenceArray(rows, np.arange(len(rows)), np.ones(len(rows), int))
        return check_sequences(one_step, estimator_name=self.estimator_name)


def check_same_number(n_read, n_written):
    """Check that X and y have the same number of sequences."""
    if n_read != n_written:
        raise InvalidSequenceError(
            "Found input variables with inconsistent numbers of samples: X has "
            f"{n_read} sequences, y has {n_written}. Give one y for each."
        )
