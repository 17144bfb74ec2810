"""sample_weight, in both estimators."""

import numpy as np
import pytest

from sklearn_rnn import RNNClassifier, RNNRegressor

# One full batch of univariate sequences in float64: nothing is random but the
# first weights, so two trainings can be compared.
OPTIONS = {
    "hidden_size": 4,
    "max_epochs": 8,
    "batch_size": 1000,
    "dtype": "float64",
    "random_state": 0,
}
MODELS = [RNNRegressor(**OPTIONS, linear_skip=False), RNNClassifier(**OPTIONS)]


def make_data(model, n_sequences=30, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_sequences, 5))
    y = X[:, -2:].sum(axis=1)
    return X, y if isinstance(model, RNNRegressor) else (y > 0).astype(int)


def outputs(model, X):
    if isinstance(model, RNNRegressor):
        return model.predict(X)
    return model.predict_proba(X)


def random_weights(seed=0):
    return np.random.default_rng(seed).integers(0, 4, size=30)


@pytest.mark.parametrize("model", MODELS)
def test_a_weight_of_zero_is_as_if_it_were_not_there(model):
    X, y = make_data(model)
    weights = random_weights()
    X[weights == 0] *= 1e3  # would change the scaling, were it there
    kept = weights > 0
    with_zeros = outputs(model.fit(X, y, sample_weight=weights), X)
    without = outputs(model.fit(X[kept], y[kept], sample_weight=weights[kept]), X)
    np.testing.assert_array_equal(with_zeros, without)


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_weight_is_a_repetition(model):
    X, y = make_data(model)
    weights = random_weights()
    weighted = outputs(model.fit(X, y, sample_weight=weights), X)
    repeated = model.fit(X.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(weighted, outputs(repeated, X), rtol=1e-7)


@pytest.mark.thorough
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_only_the_proportions_of_weights_matter(model, early_stopping):
    X, y = make_data(model)
    weights = 1.0 + random_weights()
    model.set_params(early_stopping=early_stopping)
    try:
        small = model.fit(X, y, sample_weight=weights / 1024)
        losses = small.history_
        expected = outputs(small, X)
        large = model.fit(X, y, sample_weight=weights * 1024)
    finally:
        model.set_params(early_stopping=False)
    np.testing.assert_array_equal(outputs(large, X), expected)
    key = "valid_loss" if early_stopping else "train_loss"
    assert [r[key] for r in large.history_] == [r[key] for r in losses]


@pytest.mark.parametrize("model", MODELS)
def test_equal_weights_are_no_weights(model):
    X, y = make_data(model)
    expected = outputs(model.fit(X, y), X)
    weighted = model.fit(X, y, sample_weight=np.full(30, 7.0))
    np.testing.assert_array_equal(outputs(weighted, X), expected)


@pytest.mark.parametrize("model", MODELS)
def test_weights_pull_towards_what_they_weigh(model):
    X, _ = make_data(model)
    contested = X[:2].repeat(2, axis=0), np.array([0, 1, 0, 1])
    low, high = (
        outputs(model.fit(*contested, sample_weight=w), X[:2])
        for w in ([9, 1, 9, 1], [1, 9, 1, 9])
    )
    if isinstance(model, RNNClassifier):
        low, high = low[:, 1], high[:, 1]
    assert (low < high).all()
    assert low.mean() < 0.4
    assert high.mean() > 0.6


@pytest.mark.parametrize("model", MODELS)
def test_weights_have_an_effect_in_partial_fit(model):
    X, y = make_data(model)
    fresh = type(model)(**OPTIONS).partial_fit(X, y)
    weighted = type(model)(**OPTIONS).partial_fit(
        X, y, sample_weight=1.0 + random_weights()
    )
    kept = random_weights() > 0
    zeros = type(model)(**OPTIONS).partial_fit(X, y, sample_weight=kept)
    absent = type(model)(**OPTIONS).partial_fit(X[kept], y[kept])
    assert not np.allclose(outputs(weighted, X), outputs(fresh, X), rtol=1e-9)
    np.testing.assert_array_equal(outputs(zeros, X), outputs(absent, X))
