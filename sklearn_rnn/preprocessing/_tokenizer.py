"""SequenceTokenizer: texts as sequences of ids."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._html import DescribedParameters
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.preprocessing._output import FixedOutput
from sklearn_rnn.preprocessing._subwords import N_BYTES, Subwords, check_encodable
from sklearn_rnn.sequences import (
    COUNT,
    PADDING,
    REPLACEMENT,
    SequenceArray,
    SequencesLike,
    Vocabulary,
    check_sequences,
    check_symbols,
    convert_input,
    sequences_of_ids,
)

# What the special ids are called, in their order.
SPECIALS = ("<pad>", "<unk>")
# Subwords unless max_tokens says how many: enough for the common words of a
# language whole.
N_SUBWORDS = 8000


class SequenceTokenizer(
    FixedOutput, PlainState, DescribedParameters, TransformerMixin, BaseEstimator
):
    """Turn texts into sequences of ids: of words, characters or subwords.

    Id 0 is padding, 1 an unknown token; then the tokens of the training data
    follow, the most frequent first (subwords in the order in which they were
    merged). The output is for an estimator with `embedding_dim` set. A text
    without any token becomes one step of padding, so that there is a sequence
    for every text.

    Parameters
    ----------
    level : {"char", "word", "subword"}, default="word"
        What a token of a string is: a character; a word or mark of
        punctuation; or a subword, learned from the data by byte pair encoding,
        of which none is ever unknown (needs the package tokenizers). Lists of
        tokens are taken as they are.
    lowercase : "auto" or bool, default="auto"
        Whether texts, or the strings among the tokens of lists, are made lower-case
        first. "auto" does so with texts, but takes the tokens of lists as they are, as
        case may count in names and symbols.
    token_pattern : str or None, default=r"\\w+(?:['’]\\w+)*|[^\\w\\s]"
        Regular expression of a word: its group where it has one, else all of
        it. The default finds words with their apostrophes, and every mark of
        punctuation. None cuts at white space.
    max_tokens : int, default=None
        Most tokens kept, the most frequent ones (`max_features` in
        ``CountVectorizer``). None keeps all, and 8000 subwords.
    min_count : int, default=1
        Tokens that occur less often in the training data are unknown. Subwords
        are merged only if the pair occurs so often, and at least twice.
    max_length : int, default=None
        Most tokens per sequence: longer texts are truncated.
    vocabulary : iterable of str or mapping, default=None
        Tokens that have an id even if they do not occur in the training data, such
        as the words of pretrained vectors. Not for subwords. Unlike that of
        ``CountVectorizer`` it is added to what is learned.

    Attributes
    ----------
    vocabulary_ : dict
        Id of each token, also of ``"<pad>"`` and ``"<unk>"``.
    tokens_ : ndarray of object of shape (n_tokens_,)
        Token of each id.
    n_tokens_ : int
        Number of ids.

    See Also
    --------
    SequenceScaler : Standardises sequences of numbers.

    Notes
    -----
    Characters are those of Python strings, Unicode's code points. The default
    pattern splits words of scripts that write vowels as separate marks, such as
    Devanagari; use subwords there, or another pattern.

    Examples
    --------
    >>> from sklearn_rnn import SequenceTokenizer
    >>> tokenizer = SequenceTokenizer()
    >>> X = tokenizer.fit_transform(["To be, or not to be?", "Don't ask me."])
    >>> X
    SequenceArray(2 sequences of 4 to 8 steps, 1 feature, uint8)
    >>> X[1].ravel().tolist()
    [8, 9, 10, 11]
    >>> tokenizer.inverse_transform(tokenizer.transform(["Don't be late."]))
    array(["don't be <unk> ."], dtype=object)
    """

    _parameter_constraints = {
        "level": [StrOptions({"char", "word", "subword"})],
        "lowercase": ["boolean", StrOptions({"auto"})],
        "token_pattern": [str, None],
        "max_tokens": [COUNT, None],
        "min_count": [COUNT],
        "max_length": [COUNT, None],
        "vocabulary": [HasMethods("__iter__"), None],
    }

    def __init__(
        self,
        level: Literal["char", "word", "subword"] = "word",
        *,
        lowercase: bool | Literal["auto"] = "auto",
        token_pattern: str | None = r"\w+(?:['’]\w+)*|[^\w\s]",
        max_tokens: int | None = None,
        min_count: int = 1,
        max_length: int | None = None,
        vocabulary: Iterable[str] | None = None,
    ) -> None:
        self.level = level
        self.lowercase = lowercase
        self.token_pattern = token_pattern
        self.max_tokens = max_tokens
        self.min_count = min_count
        self.max_length = max_length
        self.vocabulary = vocabulary

    def fit(self, X: Sequence | pd.Series | ArrayLike, y: Any = None) -> Self:
        """Learn the vocabulary.

        Parameters
        ----------
        X : list, Series or 1-D array of str, or of lists of tokens
            The texts. Tokens of lists may be of any hashable type.
        y : None
            Not used.

        Returns
        -------
        self : SequenceTokenizer
            The fitted tokenizer.

        Raises
        ------
        InvalidSequenceError
            If a text is missing, or there is no token at all.
        TypeError
            If `X` is a single string or a table.
        """
        self.fit_transform(X)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(
        self, X: Sequence | pd.Series | ArrayLike, y: Any = None
    ) -> SequenceArray:
        """Learn the vocabulary, and turn the same texts into ids.

        Parameters
        ----------
        X : list, Series or 1-D array of str, or of lists of tokens
            The texts.
        y : None
            Not used.

        Returns
        -------
        sequences : SequenceArray
            As from ``transform``.

        Raises
        ------
        InvalidSequenceError
            If a text is missing, or there is no token at all.
        TypeError
            If `X` is a single string or a table.
        """
        rows, are_text = self._check_texts(X)
        lowers = are_text if self.lowercase == "auto" else bool(self.lowercase)
        rows = self._split(rows, lowers)
        self._coder, self._are_text = self._fit_coder(rows), are_text
        self._lowers = lowers
        tokens = [*SPECIALS, *self._coder.symbols]
        self.tokens_ = np.fromiter(tokens, dtype=object, count=len(tokens))
        self.vocabulary_: dict[Any, int] = {token: i for i, token in enumerate(tokens)}
        self.n_tokens_ = len(tokens)
        return self._encode(rows)

    def transform(self, X: Sequence | pd.Series | ArrayLike) -> SequenceArray:
        """Turn texts into ids.

        Parameters
        ----------
        X : list, Series or 1-D array of str, or of lists of tokens
            Texts of the kind of those in ``fit``.

        Returns
        -------
        sequences : SequenceArray
            One feature, the id, of the smallest type of whole numbers that
            holds all ids.

        Raises
        ------
        InvalidSequenceError
            If a text is missing, or of another kind than those in ``fit``.
        TypeError
            If `X` is a single string or a table.
        """
        check_is_fitted(self)
        rows, are_text = self._check_texts(X)
        if are_text != self._are_text:
            kinds = ("lists of tokens", "strings")
            raise InvalidSequenceError(
                f"X holds {kinds[are_text]}, but {type(self).__name__} was fitted on "
                f"{kinds[self._are_text]}."
            )
        # Version 0.6 has no such attribute, and lowered texts alone.
        lowers = getattr(self, "_lowers", self.lowercase and are_text)
        return self._encode(self._split(rows, lowers))

    def inverse_transform(self, X: SequencesLike) -> np.ndarray:
        """Turn ids back into texts.

        Parameters
        ----------
        X : SequenceArray, ndarray or list of sequences of ids
            Ids, as ``transform`` makes them.

        Returns
        -------
        texts : ndarray of object of shape (n_sequences,)
            Strings: characters and subwords joined, words joined by blanks;
            lists of tokens where fit had such. Padding is left out; what is
            unknown is ``"<unk>"``, or as a character U+FFFD.

        Raises
        ------
        InvalidSequenceError
            If `X` holds anything but ids of the vocabulary.
        """
        check_is_fitted(self)
        X = convert_input(X, estimator_name=type(self).__name__)
        shape = tuple(getattr(X, "shape", ()))
        if len(shape) == 2 and shape[0] > 1 == shape[1]:
            raise InvalidSequenceError(
                f"X has shape {X.shape}. If x is one sequence of ids: pass [x]. If its "
                "rows are texts of one token each, pass the 3-D array X[:, :, "
                "np.newaxis]."
            )
        sequences = check_sequences(X, estimator_name=type(self).__name__)
        if sequences.n_features != 1:
            raise InvalidSequenceError(
                f"X has {sequences.n_features} features per step, but ids are one."
            )
        texts = np.empty(len(sequences), dtype=object)
        for i, ids in enumerate(sequences):
            texts[i] = self._decode(self._check_ids(ids, i))
        return texts

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the name of the one feature per step.

        Parameters
        ----------
        input_features : None
            Not used.

        Returns
        -------
        names : ndarray of object of shape (1,)
            ``["token"]``.
        """
        check_is_fitted(self)
        return np.array(["token"], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _check_texts(self, X):
        rows, are_text = check_symbols(
            X, estimator_name=type(self).__name__, allow_empty=True
        )
        if self.level == "subword":
            if not are_text:
                raise InvalidSequenceError(
                    f"{type(self).__name__}(level='subword') splits strings, but X "
                    "holds lists of tokens. Pass strings, or set level='word' to "
                    "take the tokens as they are."
                )
            check_encodable(rows)
        return rows, are_text

    def _split(self, rows, lowers):
        """Return rows of tokens; of subwords the strings, which are cut later."""
        if isinstance(rows[0], str):
            if lowers:
                rows = [row.lower() for row in rows]
            if self.level == "word":
                split = self._splitter()
                rows = [split(row) for row in rows]
        elif lowers:
            rows = [_lower_tokens(row) for row in rows]
        if self.level == "subword":
            return rows
        # Before the tokens are counted, as truncated tokens never occur.
        return [row[: self.max_length] for row in rows]

    def _splitter(self):
        if self.token_pattern is None:
            return str.split
        try:
            pattern = re.compile(self.token_pattern)
        except re.error as error:
            raise ValueError(
                f"token_pattern={self.token_pattern!r} is not a regular expression: "
                f"{error}."
            ) from error
        if pattern.groups > 1:
            raise ValueError(
                f"token_pattern={self.token_pattern!r} has {pattern.groups} groups, "
                "and only one of them can be the token. Write the others as (?:...)."
            )
        return lambda text: [token for token in pattern.findall(text) if token]

    def _fit_coder(self, rows):
        if self.level == "subword":
            if self.vocabulary is not None:
                raise ValueError(
                    "vocabulary cannot be used with level='subword', which encodes "
                    "every text. Set it to None."
                )
            n_subwords = N_SUBWORDS if self.max_tokens is None else self.max_tokens
            if n_subwords < N_BYTES:
                raise ValueError(
                    f"max_tokens={n_subwords} is too few for level='subword': each of "
                    f"the {N_BYTES} bytes is a token. Set at least {N_BYTES}."
                )
            return Subwords.train(
                rows, max_symbols=n_subwords, min_count=self.min_count
            )
        vocabulary = Vocabulary.from_sequences(
            rows,
            n_specials=len(SPECIALS),
            min_count=self.min_count,
            max_symbols=self.max_tokens,
        )
        if not vocabulary.symbols:
            raise InvalidSequenceError(
                f"X holds no token that occurs min_count={self.min_count} times: lower "
                "min_count, or give more texts."
            )
        tokens = dict.fromkeys([*vocabulary.symbols, *self._given_tokens()])
        # Special tokens in the data keep their special ids.
        symbols = [token for token in tokens if token not in SPECIALS]
        return Vocabulary(symbols, n_specials=len(SPECIALS))

    def _given_tokens(self):
        if self.vocabulary is None:
            return []
        if isinstance(self.vocabulary, str):
            raise ValueError(
                "vocabulary is a single string: give a list of tokens, or a mapping "
                "that has them as keys."
            )
        return list(self.vocabulary)

    def _encode(self, rows):
        ids = [self._encode_row(row)[: self.max_length] for row in rows]
        return sequences_of_ids(ids, self.tokens_)

    def _encode_row(self, row):
        ids = self._coder.encode(row)
        if not isinstance(row, str) and SPECIALS[PADDING] in row:
            ids[[token == SPECIALS[PADDING] for token in row]] = PADDING
        return ids

    def _check_ids(self, ids, index):
        ids = ids.ravel()
        bad = (ids < 0) | (ids >= self.n_tokens_) | (ids != np.floor(ids))
        if bad.any():
            step = int(np.argmax(bad))
            raise InvalidSequenceError(
                f"X[{index}] holds {ids[step]} at step {step}, but the ids of this "
                f"{type(self).__name__} are whole numbers from 0 to "
                f"{self.n_tokens_ - 1}."
            )
        return ids.astype(np.intp).tolist()

    def _decode(self, ids):
        if isinstance(self._coder, Subwords):
            return self._coder.decode(ids)
        if not self._are_text:
            return self._coder.decode(ids, unknown=SPECIALS[1])
        if self.level == "char":
            return "".join(self._coder.decode(ids, unknown=REPLACEMENT))
        return " ".join(self._coder.decode(ids, unknown=SPECIALS[1]))


def _lower_tokens(row):
    """Return tokens with the strings among them in lower case."""
    return [token.lower() if isinstance(token, str) else token for token in row]
