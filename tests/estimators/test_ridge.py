"""Ridge regression from sums of products, and averages of members."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sklearn_rnn.estimators.closed_form._ridge import Products, average_weights


def make_data(n=40, n_features=3, n_outputs=2, seed=0):
    rng = np.random.default_rng(seed)
    X = 5 + rng.normal(size=(n, n_features)) * [1, 100, 1e-3]
    Y = X @ rng.normal(size=(n_features, n_outputs)) + rng.normal(size=(n, n_outputs))
    return X, Y, rng.uniform(0, 2, size=n)


def products(X, Y, weights=None):
    return Products.of(np.column_stack([X, np.ones(len(X))]), Y, weights)


def average(members, y, weights, shrinkage, prior=None):
    """Return the weights of an average, shrunk to equal ones by default."""
    n_members = members.shape[1]
    prior = np.full(n_members, 1 / n_members) if prior is None else prior
    return average_weights(members, y, weights, shrinkage, prior)


def predict(coef, X):
    return X @ coef[:-1] + coef[-1]


@pytest.mark.parametrize("penalty", [1e-6, 0.1, 30.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_path_is_scikit_learns_ridge_on_standardised_features(penalty, weighted):
    X, Y, weights = make_data()
    weights = weights if weighted else np.ones(len(X))
    coef = products(X, Y, weights).solve([1e3, penalty])[1]
    scaler = StandardScaler().fit(X, sample_weight=weights)
    ridge = Ridge(alpha=penalty * weights.sum())
    ridge.fit(scaler.transform(X), Y, sample_weight=weights)
    expected = ridge.predict(scaler.transform(X))
    np.testing.assert_allclose(predict(coef, X), expected, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(
        coef[:-1], (ridge.coef_ / scaler.scale_).T, rtol=1e-6, atol=1e-9
    )


def test_each_output_may_have_a_penalty_of_its_own():
    X, Y, weights = make_data()
    sums = products(X, Y, weights)
    path = sums.solve([0.1, 10.0])
    found = sums.solve_at(np.array([10.0, 0.1]))
    np.testing.assert_allclose(found[:, 0], path[1][:, 0])
    np.testing.assert_allclose(found[:, 1], path[0][:, 1])


def test_squared_errors_are_those_of_the_rows():
    X, Y, weights = make_data()
    other, other_y, other_weights = make_data(n=15, seed=1)
    path = products(X, Y, weights).solve([0.1, 10.0])
    found = products(other, other_y, other_weights).squared_errors(path)
    errors = np.stack([(predict(coef, other) - other_y) ** 2 for coef in path])
    expected = np.einsum("anj,n->aj", errors, other_weights)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_sums_of_parts_are_those_of_the_whole():
    X, Y, weights = make_data()
    parts = [products(X[s], Y[s], weights[s]) for s in (slice(25), slice(25, None))]
    whole, added = products(X, Y, weights), parts[0] + parts[1]
    np.testing.assert_allclose(added.zz, whole.zz)
    np.testing.assert_allclose(added.zt, whole.zt)
    np.testing.assert_allclose(added.tt, whole.tt)
    assert whole.total == pytest.approx(weights.sum())


@pytest.mark.parametrize("value", [0.0, 1.0, 1 / 3, -1e6 / 7])
def test_a_constant_feature_has_no_coefficient(value):
    X, Y, weights = make_data()
    X[:, 1] = value
    coef = products(X, Y, weights).solve([1e-8])[0]
    assert (coef[1] == 0).all()
    without = products(X[:, [0, 2]], Y, weights).solve([1e-8])[0]
    np.testing.assert_allclose(coef[[0, 2, 3]], without, rtol=1e-6)


def test_a_member_that_is_right_takes_all_the_weight():
    rng = np.random.default_rng(0)
    y = rng.normal(size=100)
    members = np.column_stack([y + rng.normal(size=100), y, np.zeros(100)])
    weights = average(members, y, np.ones(100), 0.1)
    np.testing.assert_allclose(weights, [0, 1, 0], atol=1e-3)


def test_members_that_are_as_good_share_the_weight():
    rng = np.random.default_rng(0)
    y = rng.normal(size=4000)
    members = y[:, np.newaxis] + rng.normal(size=(4000, 2))
    np.testing.assert_allclose(
        average(members, y, np.ones(4000), 0.1), [0.5, 0.5], atol=0.03
    )
    same = np.repeat(members[:, :1], 3, axis=1)
    np.testing.assert_allclose(
        average(same, y, np.ones(4000), 0.1), np.full(3, 1 / 3), atol=1e-6
    )


def test_weights_are_those_of_least_squares_where_nothing_shrinks_them():
    rng = np.random.default_rng(0)
    y, noise = rng.normal(size=500), rng.normal(size=(500, 2))
    members = y[:, np.newaxis] + noise * [1, 2]
    weights = average(members, y, np.ones(500), 0.0)
    by = np.linspace(0, 1, 1001)
    errors = [
        np.mean((y - w * members[:, 0] - (1 - w) * members[:, 1]) ** 2) for w in by
    ]
    assert weights[0] == pytest.approx(by[np.argmin(errors)], abs=2e-3)
    shrunk = average(members, y, np.ones(500), 100.0)
    assert abs(shrunk[0] - 0.5) < 0.1 * abs(weights[0] - 0.5)


def test_weights_are_shrunk_to_those_wanted_beforehand():
    rng = np.random.default_rng(0)
    y = rng.normal(size=500)
    members = y[:, np.newaxis] + rng.normal(size=(500, 3)) * [1, 2, 3]
    prior = np.array([0.2, 0.5, 0.3])
    found = average(members, y, np.ones(500), 1e4, prior)
    np.testing.assert_allclose(found, prior, atol=1e-2)
    free = average(members, y, np.ones(500), 0.0, prior)
    np.testing.assert_allclose(free, average(members, y, np.ones(500), 0.0), atol=1e-6)


def test_weights_of_the_average_are_not_negative_and_sum_to_1():
    rng = np.random.default_rng(0)
    y = rng.normal(size=50)
    # Least squares would take 2 and -1.
    error = rng.normal(size=50)
    members = np.column_stack([y + error, y + 2 * error])
    weights = average(members, y, np.ones(50), 0.0)
    np.testing.assert_allclose(weights, [1, 0], atol=1e-4)
    assert weights.sum() == pytest.approx(1)


def test_rows_count_in_the_average_as_often_as_their_weight_says():
    rng = np.random.default_rng(0)
    y, counts = rng.normal(size=60), rng.integers(0, 4, size=60)
    members = y[:, np.newaxis] + rng.normal(size=(60, 3))
    weighted = average(members, y, counts.astype(float), 0.1)
    again = np.repeat(np.arange(60), counts)
    repeated = average(members[again], y[again], np.ones(len(again)), 0.1)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)
    assert not np.allclose(weighted, average(members, y, np.ones(60), 0.1))


def test_the_unit_of_the_target_does_not_change_the_average():
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    members = y[:, np.newaxis] + rng.normal(size=(60, 3))
    expected = average(members, y, np.ones(60), 0.1)
    for unit in (1e-12, 1e9):
        found = average(unit * members, unit * y, np.ones(60), 0.1)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_perfect_members_share_the_weight():
    y = np.arange(10.0)
    members = np.column_stack([y, y])
    np.testing.assert_array_equal(average(members, y, np.ones(10), 0.1), [0.5, 0.5])
