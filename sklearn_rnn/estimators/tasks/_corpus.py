"""What a generator learns from: symbols with their ids, or frames."""

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

import numpy as np

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    SklearnRNNWarning,
    user_stacklevel,
)
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.sequences import (
    BEGIN,
    END,
    PADDING,
    REPLACEMENT,
    UNKNOWN,
    SequenceArray,
    Vocabulary,
    are_ids,
    check_learnable,
    check_sequences,
    check_symbols,
    covered_chunks,
    locate,
)

# Unknown symbols that a message names.
MOST_NAMED = 5


def make_corpus(X, *, estimator_name, min_count, max_symbols, weights=None):
    """Return a corpus that reads and writes sequences such as those of X."""
    if are_frames(X):
        frames = _check_frames(X, estimator_name, "X")
        return FrameCorpus(estimator_name, frames.n_features)
    _check_not_one_table_of_bits(X, estimator_name)
    rows, are_text = _check_symbols(X, estimator_name, "X")
    if not are_text:
        check_learnable(rows, estimator_name=estimator_name, name="X")
    elif len(rows) > 1:
        _check_not_single_characters(rows, estimator_name)
    vocabulary = Vocabulary.from_sequences(
        rows, min_count=min_count, max_symbols=max_symbols, weights=weights
    )
    if not vocabulary.symbols:
        raise ValueError(
            f"no symbol comes {min_count} times, which is the min_count of "
            f"{estimator_name}: nothing is left to learn. Lower it."
        )
    return SymbolCorpus(
        estimator_name,
        vocabulary,
        are_text,
        has_ends=len(rows) > 1,
        has_unknown=False,
    )


def _name_some(symbols):
    """Return the first symbols as text, and how many others there are."""
    n_others = len(symbols) - MOST_NAMED
    others = f" and {n_others} others" if n_others > 0 else ""
    return ", ".join(map(repr, symbols[:MOST_NAMED])) + others


def are_frames(X):
    """Return whether X is sequences of frames, 3-D or a list of 2-D arrays."""
    if isinstance(X, str) or are_ids(X):
        return False
    if hasattr(X, "ndim"):
        return X.ndim == 3 or (X.ndim == 1 and _first_is_table(X))
    return isinstance(X, (list, tuple)) and _first_is_table(X)


def _first_is_table(X):
    return len(X) > 0 and getattr(next(iter(X)), "ndim", 0) == 2


def _check_symbols(X, estimator_name, name):
    if isinstance(X, str):
        X = [X]
    return check_symbols(X, estimator_name=estimator_name, name=name)


def _check_not_one_table_of_bits(X, estimator_name):
    """Check that a 2-D array, a sequence of symbols per row, is not one of frames."""
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind not in "buif":
        return
    if ((X == 0) | (X == 1)).all():
        raise InvalidSequenceError(
            f"X is a 2-D array of zeros and ones. If its {X.shape[0]} rows are the "
            f"frames of one sequence, give {estimator_name} X[np.newaxis]; if each row "
            "is a sequence of the symbols 0 and 1, give X.tolist()."
        )


def _check_not_single_characters(rows, estimator_name):
    """Check that X is not one text that was split like a list, by cross-validation."""
    if all(len(row) == 1 for row in rows):
        raise InvalidSequenceError(
            f"X is {len(rows)} texts of one character each: there is nothing to learn "
            f"about how they continue. {estimator_name} takes one text as a single "
            "str; to cross-validate, cut it into a list of longer parts."
        )


def _check_frames(X, estimator_name, name):
    try:
        frames = check_sequences(X, estimator_name=estimator_name)
    except InvalidSequenceError as error:
        if name == "X":
            raise
        raise InvalidSequenceError(f"{name} cannot be read: {error}") from error
    for rows, _ in covered_chunks(frames):
        values = frames.read_rows(rows)
        bad = (values != 0) & (values != 1)
        if bad.any():
            row, feature = np.argwhere(bad)[0]
            place, step = locate(frames, rows[row])
            raise InvalidSequenceError(
                f"sequence {place} of {name} holds {values[row, feature]} at step "
                f"{step}, feature {feature}, but frames are made of zeros and ones. "
                "For sequences of numbers use RNNRegressor(return_sequences=True), "
                "for symbols pass lists of them."
            )
    return frames


def check_same_kind(are_text, fitted, name):
    """Check that strings are given where fit had strings, lists where it had lists."""
    if are_text != fitted.are_text:
        kinds = ["lists of symbols", "strings"]
        raise TypeError(
            f"{name} holds {kinds[are_text]}, but {fitted.estimator_name} was fitted "
            f"on {kinds[fitted.are_text]}."
        )


def _is_empty(prompt):
    """Return whether there is nothing to continue."""
    try:
        return prompt is None or len(prompt) == 0
    except TypeError:  # a number, say, which is refused later
        return False


def _is_list(prompt):
    return isinstance(prompt, (list, tuple)) or getattr(prompt, "ndim", 0) == 1


def _are_all(rows, is_one):
    """Return whether rows is a non-empty list whose elements are all of a kind."""
    return _is_list(rows) and len(rows) > 0 and all(map(is_one, rows))


def _is_row(value):
    """Return whether a value is a sequence of symbols, and cannot be a symbol."""
    return isinstance(value, list) or getattr(value, "ndim", 0) == 1


def _as_table(rows):
    """Make an array of a list of frames, if they are of one width."""
    try:
        return np.asarray(rows)
    except ValueError:  # ragged, which is refused later
        return rows


def _describe(prompt):
    """Say what a prompt is, for the messages."""
    if hasattr(prompt, "ndim"):
        return f"{prompt.ndim}-D, of type {type(prompt).__name__}"
    return f"of type {type(prompt).__name__}"


@plain_type
@dataclass(frozen=True)
class SymbolCorpus:
    """Sequences of symbols, as ids.

    Parameters
    ----------
    estimator_name : str
        For messages.
    vocabulary : Vocabulary
        The symbols.
    are_text : bool
        Whether sequences are strings.
    has_ends : bool
        Whether sequences end with an end symbol: several do, a single text that
        was cut somewhere does not.
    has_unknown : bool, default=True
        Whether an unknown symbol was learned, as rare ones were: always in models of
        before this was known.
    """

    estimator_name: str
    vocabulary: Vocabulary
    are_text: bool
    has_ends: bool
    has_unknown: bool = True

    n_features: ClassVar[int] = 1
    of_frames: ClassVar[bool] = False

    @property
    def n_outputs(self):
        """Scores that a network gives for the next step."""
        return len(self.vocabulary)

    @property
    def never_written(self):
        """Ids that no sequence is continued with."""
        return [PADDING, UNKNOWN, BEGIN] + [END] * (not self.has_ends)

    def encode_all(self, X, name="X"):
        """Read sequences, each with a begin in front; see the class for the end."""
        if are_frames(X):
            raise TypeError(
                f"{name} holds frames, but {self.estimator_name} was fitted on symbols."
            )
        rows, are_text = _check_symbols(X, self.estimator_name, name)
        check_same_kind(are_text, self, name)
        sequences = self.vocabulary.encode_all(rows, bounded=True)
        if self.has_ends:
            return sequences
        return sequences.over(sequences.starts, sequences.lengths - 1)

    def without_begin(self, sequences):
        """Leave out the begin of a single text, to train on it.

        It comes once, and what follows would be learned by heart. Not read in
        training, it says next to nothing: a place anywhere in such a text.
        """
        return sequences.over(sequences.starts + 1, sequences.lengths - 1)

    def encode_prompt(self, prompt):
        """Read what is to be continued as steps of shape (n_steps, 1)."""
        if _is_empty(prompt):
            return np.array([[BEGIN]])
        fits = isinstance(prompt, str) if self.are_text else _is_list(prompt)
        if not fits:
            kind, wanted = "lists of symbols", "a list of symbols"
            if self.are_text:
                kind, wanted = "strings", "a string"
            raise TypeError(
                f"the prompt is {_describe(prompt)}, but {self.estimator_name} was "
                f"fitted on {kind}: give {wanted}."
            )
        rows, _ = check_symbols(
            [prompt], estimator_name=self.estimator_name, name="prompt"
        )
        if not self.has_unknown:
            self._check_known(rows[0], "the prompt")
        ids = self.vocabulary.encode(rows[0]).astype(np.int64)
        return np.concatenate([[BEGIN], ids])[:, np.newaxis]

    def are_prompts(self, prompt):
        """Return whether this is a list of prompts, and not one."""
        if not self.are_text:  # an empty list is a prompt without symbols
            return _are_all(prompt, _is_row)
        is_empty = _is_list(prompt) and len(prompt) == 0
        return is_empty or _are_all(prompt, lambda p: isinstance(p, str))

    def encode_forbidden(self, symbols):
        """Return the ids of symbols that are not to be written."""
        if isinstance(symbols, str) and not self.are_text:
            raise TypeError(
                f"forbidden={symbols!r} is a string, but {self.estimator_name} was "
                "fitted on lists of symbols: give a list of them."
            )
        symbols = list(symbols)
        if self.are_text:
            self._check_characters(symbols, "forbidden")
        self._warn_of_unlearned(symbols)
        ids = [self.vocabulary.id_of(s) for s in symbols if s in self.vocabulary]
        if len(set(ids)) == len(self.vocabulary.symbols):
            raise ValueError(
                "forbidden holds every symbol that fit has seen: none is left to "
                "write. Leave some out."
            )
        return ids

    def _warn_of_unlearned(self, symbols):
        """Warn of forbidden symbols that are never written anyway: likely mistyped."""
        unlearned = [s for s in symbols if s not in self.vocabulary]
        if unlearned:
            warnings.warn(
                f"forbidden holds {_name_some(unlearned)}, which {self.estimator_name} "
                "has not learned, and thus never writes. Are they what you meant? If "
                "so, leave them out.",
                SklearnRNNWarning,
                stacklevel=user_stacklevel(),
            )

    def encode_forced(self, symbol):
        """Return the id of a symbol that is to be written."""
        if self.are_text:
            self._check_characters([symbol], "forced")
        self._check_known([symbol], "forced")
        return np.array(self.vocabulary.id_of(symbol))

    def _check_characters(self, symbols, name):
        for symbol in symbols:
            if not isinstance(symbol, str) or len(symbol) != 1:
                raise ValueError(
                    f"{name} holds {symbol!r}, but {self.estimator_name} was fitted on "
                    "strings: symbols are single characters."
                )

    def _check_known(self, symbols, name):
        unknown = list(dict.fromkeys(s for s in symbols if s not in self.vocabulary))
        if unknown:
            raise InvalidSequenceError(
                f"{name} holds {_name_some(unknown)}, "
                f"which the data that {self.estimator_name} was fitted on do not have. "
                "Leave them out of what is written and continued, or fit with "
                "min_count=2 or max_symbols: rare symbols are then learned as one "
                "unknown symbol, as which a prompt may have others."
            )

    def decode(self, ids):
        """Write ids as what was given to fit, one sequence."""
        symbols = self.vocabulary.decode(ids, REPLACEMENT if self.are_text else None)
        return "".join(symbols) if self.are_text else symbols

    def join(self, prompt, continuation):
        """Return a prompt and what was written after it as one sequence."""
        if _is_empty(prompt):
            return continuation
        return prompt + continuation if self.are_text else [*prompt, *continuation]


@plain_type
@dataclass(frozen=True)
class FrameCorpus:
    """Sequences of frames, vectors of zeros and ones.

    Parameters
    ----------
    estimator_name : str
        For messages.
    n_features : int
        Width of a frame.
    """

    estimator_name: str
    n_features: int

    of_frames: ClassVar[bool] = True
    has_ends: ClassVar[bool] = False

    @property
    def n_outputs(self):
        """Scores that a network gives for the next step."""
        return self.n_features

    @property
    def never_written(self):
        """Features that are never 1: all may be."""
        return []

    def encode_all(self, X, name="X"):
        """Read sequences, each with an empty frame in front."""
        if not are_frames(X):
            raise TypeError(
                f"{name} holds no frames, but {self.estimator_name} was fitted on "
                f"sequences of them: give a list of 2-D arrays (n_steps, "
                f"{self.n_features})."
            )
        frames = _check_frames(X, self.estimator_name, name)
        self._check_width(frames.n_features, name)
        empty = np.zeros((1, self.n_features), np.uint8)
        parts = [part for i in range(len(frames)) for part in (empty, frames[i])]
        lengths = frames.lengths + 1
        values = np.concatenate(parts).astype(np.uint8)
        return SequenceArray(values, np.cumsum(lengths) - lengths, lengths)

    def without_begin(self, sequences):
        """Return the same sequences: an empty frame is a frame like others."""
        return sequences

    def encode_prompt(self, prompt):
        """Read what is to be continued as steps of shape (n_steps, n_features)."""
        empty = np.zeros((1, self.n_features), np.uint8)
        if _is_empty(prompt):
            return empty
        if isinstance(prompt, (list, tuple)):
            prompt = _as_table(prompt)
        if getattr(prompt, "ndim", 0) != 2:
            raise TypeError(
                f"the prompt is {_describe(prompt)}, but {self.estimator_name} was "
                "fitted on frames: give an array of shape (n_steps, "
                f"{self.n_features})."
            )
        frames = _check_frames([np.asarray(prompt)], self.estimator_name, "the prompt")
        self._check_width(frames.n_features, "the prompt")
        return np.concatenate([empty, frames[0].astype(np.uint8)])

    def are_prompts(self, prompt):
        """Return whether this is a list of prompts, and not one."""
        return are_frames(prompt) or _are_all(prompt, lambda p: np.ndim(p) == 2)

    def encode_forbidden(self, features):
        """Return the indices of features that stay 0."""
        features = list(features)
        for i in features:
            if isinstance(i, bool) or not isinstance(i, Integral):
                raise TypeError(
                    f"forbidden holds {i!r}, but of frames it has indices of features, "
                    "whole numbers."
                )
            if not 0 <= int(i) < self.n_features:
                raise ValueError(
                    f"forbidden holds {i}, but frames have the features 0 to "
                    f"{self.n_features - 1}."
                )
        return features

    def encode_forced(self, frame):
        """Return a frame that is to be written."""
        frames = _check_frames([np.atleast_2d(frame)], self.estimator_name, "forced")
        self._check_width(frames.n_features, "forced")
        return frames[0][0].astype(np.uint8)

    def _check_width(self, n_features, name):
        if n_features != self.n_features:
            raise InvalidSequenceError(
                f"{name} has frames of {n_features} features, but "
                f"{self.estimator_name} was fitted with {self.n_features}."
            )

    def decode(self, frames):
        """Return frames as an array."""
        return np.array(frames, dtype=np.uint8).reshape(-1, self.n_features)

    def join(self, prompt, continuation):
        """Return a prompt and what was written after it as one sequence."""
        if _is_empty(prompt):
            return continuation
        return np.concatenate([np.asarray(prompt).astype(np.uint8), continuation])
