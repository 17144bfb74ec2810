"""Ids of tokens as X: what they stand for, and their initial vectors."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_array

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.sequences import UNKNOWN, check_tokens, plain_arrays, weighted_chunks

# For token_dropout="auto". Of 0, 0.25, 1, 3, 5, 10 and 30 the networks of the movie
# sentences and of topics were best with 3 and 10, tags of Swedish words with 3 and 5.
TOKEN_DROPOUT = 5.0


@plain_type
class TokenInput:
    """The ids of tokens in X: what they stand for, and the size of their vectors."""

    # Whether X holds ids.
    is_used = False
    # What the ids stand for, if X says it; how many there are; size of a vector.
    symbols: Any = None
    n_tokens: Any = None
    embedding_dim: Any = None
    # How strongly tokens are hidden, and how often the first fit shows each.
    dropout = 0.0
    counts: Any = None

    def __setstate__(self, state):
        # Files and pickles from before 0.7.0 may call the size of vectors so.
        names = {"width": "embedding_dim"}
        vars(self).update({names.get(name, name): v for name, v in state.items()})

    def check(self, sequences, name, *, reset):
        """Check ids, and that they mean what they meant in fit of estimator `name`."""
        symbols = sequences.transforms.tokens if self.is_used else None
        if self.is_used:
            check_tokens(sequences, estimator_name=name)
        elif sequences.transforms.tokens is not None:
            raise InvalidSequenceError(
                f"X holds ids of tokens, and {name} would read them as numbers. Give "
                f"the size of the tokens' vectors: {name}(embedding_dim=32)."
            )
        if reset:
            self.symbols = symbols
        elif not _are_equal(symbols, self.symbols):
            raise InvalidSequenceError(
                f"the ids in X stand for other tokens than those that {name} was "
                "fitted on. Call transform of the SequenceTokenizer that made the X of "
                "fit, and do not fit it again; a pipeline does so."
            )

    def fit(self, sequences, params, weights=None, is_stream=False):
        """Set sizes and dropout; return initial vectors, or None."""
        n_ids = check_tokens(sequences)
        if self.symbols is not None:
            n_ids = max(n_ids, len(self.symbols))
        vectors, embedding_dim = None, params.embedding_dim
        if params.embeddings is not None:
            vectors = parse_vectors(params.embeddings, n_ids, self.symbols)
            n_ids, embedding_dim = vectors.numbers.shape
            if params.embedding_dim not in (None, embedding_dim):
                raise ValueError(
                    f"embedding_dim={params.embedding_dim}, but embeddings has vectors "
                    f"of {embedding_dim} numbers. Leave embedding_dim=None."
                )
        self.n_tokens, self.embedding_dim = n_ids, int(embedding_dim)
        self.counts = count_tokens(sequences, n_ids, weights)
        # The first call of a stream does not tell which tokens are rare.
        self.dropout = 0.0 if is_stream else TOKEN_DROPOUT
        return vectors

    def spec(self, params):
        """Return what the network's spec says about tokens."""
        embedding_dim, dropout = params.embedding_dim, params.token_dropout
        if embedding_dim is None:
            embedding_dim = self.embedding_dim
        return {
            "n_tokens": self.n_tokens,
            "embedding_dim": int(embedding_dim),
            "token_dropout": float(self.dropout if dropout == "auto" else dropout),
            "unknown_token": None if self.symbols is None else UNKNOWN,
            "train_embeddings": bool(params.train_embeddings),
        }


def count_tokens(sequences, n_tokens, weights=None):
    """Return how often each id occurs, the last entry for all larger ones.

    A sequence counts as often as its weight says, a step of several windows in each.
    """
    counts = np.zeros(n_tokens + 1)
    for rows, _, weight in weighted_chunks(sequences, weights):
        ids = sequences.read_rows(rows)[:, 0].astype(np.int64)
        counts += np.bincount(np.minimum(ids, n_tokens), weight, n_tokens + 1)
    return counts


def wrap_vectors(embeddings):
    """Return a mapping inside `SharedVectors`, all else as it is."""
    known = (str, np.ndarray, list, tuple, torch.Tensor, pd.DataFrame, SharedVectors)
    is_mapping = hasattr(embeddings, "__contains__")
    if is_mapping and not isinstance(embeddings, known):
        return SharedVectors(embeddings)
    return embeddings


def _are_equal(tokens, others):
    if tokens is None or others is None or tokens is others:
        return True
    return np.array_equal(tokens, others)


@plain_type
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
    >>> from sklearn_rnn.estimators.tasks._tokens import SharedVectors
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
    numbers : ndarray of shape (n_tokens, embedding_dim)
        One row per id.
    given : ndarray of bool of shape (n_tokens,)
        Which rows say anything.
    """

    numbers: np.ndarray
    given: np.ndarray


def parse_vectors(embeddings, n_ids, tokens):
    """Read the parameter `embeddings`, for ids that stand for `tokens` (or None)."""
    if isinstance(embeddings, (str, pd.DataFrame)):
        raise TypeError(
            "embeddings is an array with one row per id, or a mapping from token to "
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
            "row per id."
        )
    return _from_mapping(embeddings, tokens)


def _from_array(embeddings, n_ids, tokens):
    try:
        vectors = check_array(
            embeddings, dtype=[np.float64, np.float32], input_name="embeddings"
        )
    except (ValueError, TypeError) as error:
        raise ValueError(
            "embeddings cannot be read as an array of finite numbers, one row per id: "
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
        vector = _find_vector(mapping, token)
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


def _find_vector(mapping, token):
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
def initialize_embedding(embedding, shown, vectors=None):
    """Set the initial vectors of an embedding.

    Tokens that the data do not contain, those that are not `shown`, would keep a random
    vector: theirs is 0, as that of unknown ones. So is that of those that are not
    trained.
    """
    if not embedding.weight.requires_grad:
        shown = np.zeros_like(shown)
    embedding.weight[torch.from_numpy(~shown)] = 0.0
    if vectors is None:
        return
    given = torch.from_numpy(np.flatnonzero(vectors.given))
    numbers = torch.from_numpy(vectors.numbers[vectors.given])
    embedding.weight[given] = numbers.to(embedding.weight.dtype)
    if embedding.unknown_token is not None and vectors.given[embedding.unknown_token]:
        embedding.weight[-1] = embedding.weight[embedding.unknown_token]
