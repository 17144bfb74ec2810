"""Targets that are all one value, which tells no scale, before others come."""

import numpy as np
import pytest

from sklearn_rnn import RNNRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 5, 2))
Y = 3 * X[:, -1, 0]
QUICK = {"hidden_size": 8, "input_dropout": 0.0, "random_state": 0}


def stream(model, y=Y, size=16, n_passes=6):
    for begin in list(range(0, len(X), size)) * n_passes:
        model.partial_fit(X[begin : begin + size], y[begin : begin + size])
    return model


@pytest.mark.slow
def test_a_first_batch_of_one_sequence_does_not_spoil_a_stream():
    usual = stream(RNNRegressor(**QUICK)).score(X, Y)
    model = RNNRegressor(**QUICK).partial_fit(X[:1] + 1, Y[:1] + 1)
    assert stream(model).score(X, Y) > usual - 0.2 > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, 1e-3, 5.0, -100.0])
def test_constant_targets_first_do_not_spoil_a_stream(value):
    model = RNNRegressor(**QUICK).partial_fit(X[:16], np.full(16, value))
    np.testing.assert_allclose(model.predict(X[:3]), value, atol=0.1 * (1 + abs(value)))
    usual = stream(RNNRegressor(**QUICK)).score(X, Y)
    assert stream(model).score(X, Y) > usual - 0.1


@pytest.mark.thorough
def test_a_warm_start_after_constant_targets_learns():
    model = RNNRegressor(warm_start=True, **QUICK).fit(X[:50], np.full(50, 7.0))
    assert model.fit(X, Y).score(X, Y) > 0.9


@pytest.mark.thorough
def test_one_of_two_outputs_may_be_constant_at_first():
    both = np.column_stack([Y, Y])
    model = RNNRegressor(**QUICK).partial_fit(X[:16], np.column_stack([Y, 0 * Y])[:16])
    found = np.corrcoef(stream(model, both).predict(X).T, Y)
    assert (found[2, :2] > 0.8).all()


@pytest.mark.slow
def test_a_stream_of_single_sequences_learns():
    model = RNNRegressor(**QUICK)
    for x, y in zip(X, Y, strict=True):
        model.partial_fit([x], [y])
    assert np.corrcoef(model.predict(X), Y)[0, 1] > 0.7
