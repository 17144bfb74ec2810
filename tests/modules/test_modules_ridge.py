import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklearn_rnn.modules import RidgeScores


def make_data(n_rows, n_columns, noise=0.5):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_columns)) * rng.uniform(0.1, 9, n_columns)
    codes = (X[:, 0] / X[:, 0].std() + noise * rng.normal(size=n_rows) > 0).astype(int)
    return X, np.eye(2)[codes], rng.uniform(0.5, 2, n_rows)


def scale_of(X, fractions):
    variance = fractions @ (X - fractions @ X) ** 2
    return np.sqrt((variance + 0.01**2) * X.shape[1])


@pytest.mark.parametrize("shape", [(30, 8), (12, 40)])
def test_left_out_scores_are_those_of_fits_without_a_row(shape):
    X, Y, weights = make_data(*shape)
    ridge = RidgeScores().fit(X, Y, weights)
    fractions = weights / weights.sum()
    Z = X / scale_of(X, fractions)
    for row in range(4):
        kept = np.arange(len(X)) != row
        other = Ridge(alpha=ridge.penalty_)
        other.fit(Z[kept], Y[kept], sample_weight=fractions[kept])
        expected = other.predict(Z[[row]])[0]
        np.testing.assert_allclose(ridge.left_out_scores_[row], expected, atol=1e-8)


@pytest.mark.parametrize("shape", [(30, 8), (12, 40)])
def test_scores_are_those_of_ridge_regression(shape):
    X, Y, weights = make_data(*shape)
    ridge = RidgeScores().fit(X, Y, weights)
    fractions = weights / weights.sum()
    scale = scale_of(X, fractions)
    other = Ridge(alpha=ridge.penalty_).fit(X / scale, Y, sample_weight=fractions)
    np.testing.assert_allclose(ridge.scores(X), other.predict(X / scale), atol=1e-8)


def test_noise_gets_the_larger_penalty():
    penalties = [
        RidgeScores().fit(*make_data(40, 20, noise)).penalty_ for noise in (0.0, 100.0)
    ]
    assert penalties[0] < penalties[1]


def test_constant_features_do_not_count():
    X, Y, weights = make_data(20, 3)
    wider = np.column_stack([X, np.full(20, 7.0)])
    ridge = RidgeScores().fit(wider, Y, weights)
    assert not ridge.coef_[3].any()
    assert np.isfinite(ridge.left_out_scores_).all()


def test_without_any_varying_feature_the_scores_are_the_fractions():
    Y = np.eye(2)[[0, 0, 0, 1]]
    ridge = RidgeScores().fit(np.ones((4, 2)), Y, np.ones(4))
    np.testing.assert_allclose(ridge.scores(np.zeros((1, 2))), [[0.75, 0.25]])


def test_scores_of_a_row_do_not_depend_on_other_rows():
    X, Y, weights = make_data(150, 30)
    ridge = RidgeScores().fit(X, Y, weights)
    alone = np.concatenate([ridge.scores(X[[i]]) for i in range(len(X))])
    np.testing.assert_array_equal(ridge.scores(X), alone)


def test_what_rows_of_hardly_any_weight_differ_in_hardly_counts():
    X = np.zeros((20, 2))
    X[10:, 0], X[:, 1] = 1, np.random.default_rng(0).normal(size=20)
    Y, weights = np.eye(2)[np.repeat([0, 1], 10)], np.repeat([1.0, 1e-10], 10)
    scores = RidgeScores().fit(X, Y, weights).scores(X)
    assert (scores.argmax(axis=1) == 0).all()
