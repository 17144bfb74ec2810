"""Tokens in an estimator: what ids stand for, and the vectors they start with."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_array

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences import UNKNOWN, check_tokens, covered_chunks, plain_arrays


class TokenReader:
    """Part of an estimator that may read ids of tokens.

    The estimator fixes at a new start whether it does (``_reads_tokens``).
    """

    # What the ids stand for, if X says it; how many there are; width of a vector.
    _tokens = _n_tokens = _token_width = None

    def get_params(self, deep=True):
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether those of estimators among them are told as well.

        Returns
        -------
        dict
            Value of each parameter. A mapping of `embeddings` is inside an object
            that is neither written out nor copied, as a dict would be.
        """
        params = super().get_params(deep=deep)
        if _is_mapping(params["embeddings"]):
            params["embeddings"] = SharedVectors(params["embeddings"])
        return params

    def _embeds(self):
        """Tell whether X is to hold tokens, by the parameters."""
        return self.embedding_dim is not None or self.embeddings is not None

    def _check_token_options(self):
        """Refuse options that would do nothing."""
        if self.token_dropout > 0 and not self._embeds():
            raise ValueError(
                f"token_dropout={self.token_dropout} hides tokens, but without "
                "embedding_dim X holds numbers. Set embedding_dim to embed tokens, or "
                "take input_dropout."
            )
        if not self.train_embeddings and self.embeddings is None:
            raise ValueError(
                "train_embeddings=False keeps the vectors of embeddings as they are, "
                "but embeddings=None gives none."
            )

    def _check_tokens(self, sequences, *, reset):
        """Check ids, and that they mean what they meant in fit."""
        owner = type(self).__name__
        tokens = sequences.transforms.tokens if self._reads_tokens else None
        if self._reads_tokens:
            check_tokens(sequences, estimator_name=owner)
        elif sequences.transforms.tokens is not None:
            raise InvalidSequenceError(
                f"X holds ids of tokens, and {owner} would read them as numbers: set "
                "the width of their vectors, say embedding_dim=32."
            )
        if reset:
            self._tokens = tokens
        elif not _agree(tokens, self._tokens):
            raise InvalidSequenceError(
                f"the ids in X stand for other tokens than those that {owner} was "
                "fitted on. Call transform of the SequenceTokenizer that made the X of "
                "fit, and do not fit it anew; a pipeline does so."
            )

    def _learn_tokens(self, sequences):
        """Fix the vocabulary and the width; return vectors to start with, or None."""
        if not self._reads_tokens:
            return None
        n_ids = check_tokens(sequences)
        if self._tokens is not None:
            n_ids = max(n_ids, len(self._tokens))
        vectors, width = None, self.embedding_dim
        if self.embeddings is not None:
            vectors = read_vectors(self.embeddings, n_ids, self._tokens)
            n_ids, width = vectors.numbers.shape
            if self.embedding_dim not in (None, width):
                raise ValueError(
                    f"embedding_dim={self.embedding_dim}, but embeddings has vectors "
                    f"of {width} numbers. Leave embedding_dim=None."
                )
        self._n_tokens, self._token_width = n_ids, int(width)
        return vectors

    def _token_spec(self):
        """Return what a network's spec says about tokens."""
        if not self._embeds():
            return {}
        width = self.embedding_dim
        return {
            "n_tokens": self._n_tokens,
            "embedding_dim": self._token_width if width is None else int(width),
            "token_dropout": float(self.token_dropout),
            "unknown_token": None if self._tokens is None else UNKNOWN,
            "train_embeddings": bool(self.train_embeddings),
        }


def _agree(tokens, others):
    if tokens is None or others is None or tokens is others:
        return True
    return np.array_equal(tokens, others)


def _is_mapping(embeddings):
    known = (str, np.ndarray, list, tuple, torch.Tensor, pd.DataFrame, SharedVectors)
    return hasattr(embeddings, "__contains__") and not isinstance(embeddings, known)


class SharedVectors:
    """A mapping from token to vector with a short text, and only one of it.

    scikit-learn writes an estimator's parameters out to print it, and copies them
    to clone it: of a dict of 100,000 vectors that takes minutes.

    Parameters
    ----------
    vectors : mapping
        From token to vector.

    Examples
    --------
    >>> from copy import deepcopy
    >>> from sklearn_rnn.estimators._tokens import SharedVectors
    >>> shared = SharedVectors({"one": [1.0]})
    >>> shared, shared["one"], deepcopy(shared) is shared
    (<dict of 1 vectors>, [1.0], True)
    """

    def __init__(self, vectors):
        self.vectors = vectors

    def __contains__(self, token):
        return token in self.vectors

    def __getitem__(self, token):
        return self.vectors[token]

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        kind = type(self.vectors).__name__
        try:
            return f"<{kind} of {len(self.vectors)} vectors>"
        except Exception:  # none, or whatever a user's class raises
            return f"<{kind} of vectors>"


class TokenVectors(NamedTuple):
    """Vectors that some tokens start with.

    Parameters
    ----------
    numbers : ndarray of shape (n_tokens, width)
        One row an id.
    given : ndarray of bool of shape (n_tokens,)
        Which rows say anything.
    """

    numbers: np.ndarray
    given: np.ndarray


def read_vectors(embeddings, n_ids, tokens):
    """Read the parameter `embeddings`.

    Parameters
    ----------
    embeddings : array-like of shape (n_tokens, width) or mapping
        A row an id, or a vector a token.
    n_ids : int
        Ids that must have a row.
    tokens : ndarray of object or None
        What the ids stand for, if that is known.

    Returns
    -------
    TokenVectors
        For all of the ids, and those beyond that an array has.

    Raises
    ------
    ValueError
        If there are not as many rows as ids, no token has a vector, or vectors
        are no finite numbers of one width.
    TypeError
        If they are neither an array nor a mapping.
    """
    if isinstance(embeddings, (str, pd.DataFrame)):
        raise TypeError(
            "embeddings is an array with one row an id, or a mapping from token to "
            f"vector, got {type(embeddings).__name__}. Of a table with tokens as its "
            "index make dict(zip(table.index, table.to_numpy()))."
        )
    embeddings = plain_arrays(
        embeddings, estimator_name="the estimator", name="embeddings"
    )
    if isinstance(embeddings, (np.ndarray, list, tuple)):
        return _from_array(embeddings, n_ids, tokens)
    if tokens is None:
        raise ValueError(
            "embeddings maps tokens to vectors, but nothing says which token an id in "
            "X stands for. Put a SequenceTokenizer in front, or pass an array with one "
            "row an id."
        )
    return _from_mapping(embeddings, tokens)


def _from_array(embeddings, n_ids, tokens):
    try:
        vectors = check_array(
            embeddings, dtype=[np.float64, np.float32], input_name="embeddings"
        )
    except (ValueError, TypeError) as error:
        raise ValueError(
            "embeddings cannot be read as an array of finite numbers, one row an id: "
            f"{error}"
        ) from error
    if len(vectors) < n_ids or (tokens is not None and len(vectors) != n_ids):
        needed = f"at least {n_ids}" if tokens is None else f"{n_ids}"
        raise ValueError(
            f"embeddings has {len(vectors)} rows, but the ids in X need {needed}: row "
            "i is the vector of id i. A mapping from token to vector need not have "
            "all."
        )
    return TokenVectors(vectors, np.ones(len(vectors), dtype=bool))


def _from_mapping(mapping, tokens):
    found = {}
    for i, token in enumerate(tokens):
        vector = _vector_of(mapping, token)
        if vector is not None:
            found[i] = vector
    if not found:
        raise ValueError(
            f"none of the {len(tokens)} tokens of X, such as {tokens[-1]!r}, has a "
            "vector in embeddings."
        )
    first = next(iter(found.values()))
    numbers = np.zeros((len(tokens), len(first)))
    given = np.zeros(len(tokens), dtype=bool)
    for i, vector in found.items():
        if len(vector) != len(first):
            raise ValueError(
                f"embeddings[{tokens[i]!r}] has shape {vector.shape}, but a vector is "
                f"1-D, and the first one found has {len(first)} numbers."
            )
        numbers[i], given[i] = vector, True
    return TokenVectors(numbers, given)


def _vector_of(mapping, token):
    """Return the vector of a token as finite numbers, or None if it has none."""
    try:
        if token not in mapping:
            return None
        vector = mapping[token]
    except Exception as error:  # whatever a user's class raises
        raise ValueError(
            f"embeddings raised {type(error).__name__} when it was asked for the token "
            f"{token!r}: {error}. It needs `token in embeddings` to be False where it "
            "has no vector."
        ) from error
    return _as_vector(vector, token)


def _as_vector(vector, token):
    """Return a vector of a mapping as finite numbers."""
    if isinstance(vector, torch.Tensor):
        vector = vector.detach().cpu()
    try:
        vector = np.asarray(vector)
        if vector.dtype.kind not in "biufO":
            raise TypeError(f"values of type {vector.dtype}")
        vector = vector.astype(np.float64)
    except Exception as error:  # whatever a user's class raises
        raise ValueError(
            f"embeddings[{token!r}] cannot be read as numbers: {error}."
        ) from error
    if vector.ndim != 1 or len(vector) == 0:
        raise ValueError(
            f"embeddings[{token!r}] has shape {vector.shape}, but a vector is 1-D and "
            "has a number at least."
        )
    if not np.isfinite(vector).all():
        raise ValueError(f"embeddings[{token!r}] holds NaN or infinity.")
    return vector


@torch.no_grad()
def start_embedding(embedding, sequences, vectors=None):
    """Let a new embedding start from what is known.

    Tokens that the data do not show would keep a random vector: they start as
    unknown does, with 0. So do those that are to stay as they are.

    Parameters
    ----------
    embedding : TokenEmbedding
        With random vectors.
    sequences : SequenceArray
        Ids of the training data.
    vectors : TokenVectors, default=None
        What else is known.
    """
    shown = np.zeros(len(embedding.weight), dtype=bool)
    if embedding.weight.requires_grad:
        for rows, _ in covered_chunks(sequences):
            shown[sequences.read_rows(rows)[:, 0].astype(np.intp)] = True
    embedding.weight[torch.from_numpy(~shown)] = 0.0
    if vectors is None:
        return
    given = torch.from_numpy(np.flatnonzero(vectors.given))
    numbers = torch.from_numpy(vectors.numbers[vectors.given])
    embedding.weight[given] = numbers.to(embedding.weight.dtype)
    if embedding.unknown_token is not None and vectors.given[embedding.unknown_token]:
        embedding.weight[-1] = embedding.weight[embedding.unknown_token]
