"""WordFeatures: several categories per word, so that new ones are known by spelling."""

import re
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._html import DescribedParameters
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.preprocessing._output import FixedOutput
from sklearn_rnn.sequences import (
    SequenceArray,
    check_symbols,
    convert_input,
    holds_dicts,
    sequences_of_columns,
)


class WordFeatures(
    FixedOutput, PlainState, DescribedParameters, TransformerMixin, BaseEstimator
):
    """Describe each word by itself, its endings, its beginnings and its shape.

    Each is a categorical feature, of which `RNNTagger`, `RNNClassifier` and
    `RNNRegressor` learn vectors. A word that was not in the training data is still
    known by its spelling.

    Parameters
    ----------
    suffixes : sequence of int, default=(1, 2, 3, 4)
        Lengths of the endings, in characters.
    prefixes : sequence of int, default=(2, 3)
        Lengths of the beginnings, in characters.
    shape : bool, default=True
        Whether the shape is a feature: "X" for upper-case letters, "x" for others, "d"
        for digits, each once for several in a row. That of "McDonald" is "XxXx".
    lowercase : bool, default=True
        Whether the word, its endings and its beginnings are made lower-case.

    Attributes
    ----------
    n_features_out_ : int
        Number of features.

    See Also
    --------
    SequenceTokenizer : Words as ids, one feature per step.
    RNNTagger : Labels each word.

    Notes
    -----
    Lists of dicts with features of one's own are read by the estimators as they are, as
    sklearn-crfsuite reads them: ``[[{"word": "the", "is_title": True}, ...], ...]``.

    References
    ----------
    Ratnaparkhi, "A maximum entropy model for part-of-speech tagging", EMNLP 1996.

    Examples
    --------
    >>> from sklearn_rnn import WordFeatures
    >>> X = WordFeatures(suffixes=(2,), prefixes=()).fit_transform([["Two", "dogs"]])
    >>> X
    SequenceArray(1 sequences of 2 steps, 3 features: word, suffix_2, shape, int16)
    >>> X.categories[1]
    array(['gs', 'wo'], dtype=object)
    """

    _parameter_constraints = {
        "suffixes": ["array-like"],
        "prefixes": ["array-like"],
        "shape": ["boolean"],
        "lowercase": ["boolean"],
    }

    def __init__(
        self,
        suffixes: Sequence[int] = (1, 2, 3, 4),
        prefixes: Sequence[int] = (2, 3),
        *,
        shape: bool = True,
        lowercase: bool = True,
    ) -> None:
        self.suffixes = suffixes
        self.prefixes = prefixes
        self.shape = shape
        self.lowercase = lowercase

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Sequence[Sequence[str]], y: Any = None) -> Self:
        """Check parameters and data; nothing is learned.

        Parameters
        ----------
        X : list of list of str
            Words of each sequence.
        y : None
            Not used.

        Returns
        -------
        WordFeatures
            Itself.

        Raises
        ------
        InvalidSequenceError
            If `X` is not lists of words.
        ValueError
            If a length is no whole number from 1.
        """
        self._check_words(X)
        self.n_features_out_ = len(self._feature_names())
        return self

    def transform(self, X: Sequence[Sequence[str]]) -> SequenceArray:
        """Describe the words.

        Parameters
        ----------
        X : list of list of str
            Words of each sequence.

        Returns
        -------
        SequenceArray
            One categorical feature per description. A word that is shorter than an
            ending is its own ending.

        Raises
        ------
        InvalidSequenceError
            If `X` is not lists of words.
        """
        rows = self._check_words(X)
        words = [word for row in rows for word in row]
        texts = [word.lower() for word in words] if self.lowercase else words
        columns = {"word": texts}
        for n in _check_lengths(self.suffixes, "suffixes"):
            columns[f"suffix_{n}"] = [text[-n:] for text in texts]
        for n in _check_lengths(self.prefixes, "prefixes"):
            columns[f"prefix_{n}"] = [text[:n] for text in texts]
        if self.shape:
            shapes = {word: _shape_of(word) for word in set(words)}
            columns["shape"] = [shapes[word] for word in words]
        lengths = np.array([len(row) for row in rows])
        name = type(self).__name__
        return sequences_of_columns(columns, lengths, estimator_name=name)

    def get_feature_names_out(self, input_features: ArrayLike | None = None):
        """Return the names of the features.

        Parameters
        ----------
        input_features : None
            Not used.

        Returns
        -------
        ndarray of object
            "word", "suffix_1", and so on.
        """
        return np.array(self._feature_names(), dtype=object)

    def _feature_names(self):
        suffixes = _check_lengths(self.suffixes, "suffixes")
        prefixes = _check_lengths(self.prefixes, "prefixes")
        return [
            "word",
            *(f"suffix_{n}" for n in suffixes),
            *(f"prefix_{n}" for n in prefixes),
            *["shape"] * self.shape,
        ]

    def _check_words(self, X):
        name = type(self).__name__
        if isinstance(X, str):
            raise InvalidSequenceError(
                f"X is a text, and {name} takes lists of words: pass [X.split()]."
            )
        if isinstance(X, (list, tuple)) and holds_dicts(X):
            raise InvalidSequenceError(
                f"X holds dicts of features already: leave {name} out."
            )
        X = convert_input(X, estimator_name=name)
        rows, are_text = check_symbols(X, estimator_name=name)
        if are_text:
            remedy = "split them, say [text.split() for text in X]"
            if not any(len(row.split()) > 1 for row in rows):
                remedy = "if they are the words of one sequence, pass [X]"
            raise InvalidSequenceError(
                f"{name} takes lists of words, and the items of X are strings: "
                f"{remedy}."
            )
        for i, row in enumerate(rows):
            for k, word in enumerate(row):
                if not isinstance(word, str):
                    raise InvalidSequenceError(
                        f"X[{i}][{k}] is {word!r:.40}, of type {type(word).__name__}, "
                        f"and {name} takes words, which are strings."
                    )
        return rows

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags


def _check_lengths(lengths, name):
    """Return lengths as a tuple; raise if one is no whole number from 1."""
    lengths = tuple(lengths)
    for n in lengths:
        is_whole = isinstance(n, Integral) and not isinstance(n, bool)
        if not is_whole or n < 1:
            raise ValueError(
                f"{name} holds {n!r}, and lengths are whole numbers from 1, such as "
                "(1, 2, 3)."
            )
    if len(set(lengths)) < len(lengths):
        raise ValueError(f"{name}={lengths} holds a length twice.")
    return lengths


def _shape_of(word):
    """Return the shape of a word, with X, x and d for letters and digits."""
    kinds = "".join(
        "X" if c.isupper() else "d" if c.isdigit() else "x" if c.isalpha() else c
        for c in word
    )
    return re.sub(r"(.)\1+", r"\1", kinds)
