"""Models and sequences for tests of targets per step."""

import numpy as np
import pytest

from sklearn_rnn import (
    RNNRegressor,
    RNNTagger,
)

SMALL = {"hidden_size": 4, "max_epochs": 3, "input_dropout": 0.0, "random_state": 0}


LENGTHS = [5, 3, 4, 6, 1, 4, 5, 2]


def make_tagger(**options):
    return RNNTagger(**{**SMALL, **options})


def make_regressor(**options):
    return RNNRegressor(return_sequences=True, **{**SMALL, **options})


def ragged(seed=0):
    """Sequences of unequal length, labels and numbers for their steps."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(n, 2)) for n in LENGTHS]
    labels = [np.where(x[:, 0] > 0, "up", "down") for x in X]
    return X, labels, [x.cumsum(axis=0)[:, 0] for x in X]


def block(n_sequences=8, seed=0):
    """The same of equal length, as arrays."""
    X = np.random.default_rng(seed).normal(size=(n_sequences, 5, 2))
    return X, np.where(X[:, :, 0] > 0, "up", "down"), X.cumsum(axis=1)[:, :, 0]


def targets_for(estimator, data):
    X, labels, numbers = data
    return X, labels if isinstance(estimator, RNNTagger) else numbers


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def same(one, other):
    """Whether two predictions are the same to the last bit."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def close(one, other, rtol=1e-7):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-9)


def outputs(model, X):
    """What tells two models apart most finely."""
    return model.predict_proba(X) if isinstance(model, RNNTagger) else model.predict(X)


both = pytest.mark.parametrize("make", [make_tagger, make_regressor])


def hide(labels, value):
    """Some labels replaced, those of the sequence 3 all."""
    hidden = [one.copy() for one in labels]
    hidden[0][1] = hidden[2][0] = value
    hidden[3][:] = value
    return hidden
