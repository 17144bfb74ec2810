"""Bounds of predictions, weights of targets, and a loss of the user's own."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import EpochScoring

from sklearn_rnn import RNNRegressor


def make_regressor(**options):
    small = {"hidden_size": 6, "max_epochs": 20, "random_state": 0}
    return RNNRegressor(**{"linear_skip": False, **small, **options})


def make_data(n=200, n_outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4, 2))
    y = X[:, -2:].sum(axis=1) + 0.3 * rng.normal(size=(n, 2))
    return X, y if n_outputs == 2 else y[:, 0]


def squared_error(outputs, targets):
    return (outputs - targets) ** 2


# Bounds


@pytest.mark.thorough
@pytest.mark.parametrize("linear_skip", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "quantile", "gaussian"])
def test_predictions_stay_in_bounds(loss, linear_skip):
    X, y = make_data()
    y = np.maximum(y, 0.0)  # half of them
    options = {"loss": loss, "linear_skip": linear_skip}
    free = make_regressor(**options).fit(X, y)
    bounded = make_regressor(bounds=(0, 0.5), **options).fit(X, np.minimum(y, 0.5))
    assert free.predict(X).min() < 0
    found = [bounded.predict(X)]
    if linear_skip:
        found.append(bounded.predict_linear(X))
        assert free.predict_linear(X).min() < 0
    if loss != "squared_error":
        found.append(bounded.predict_quantiles(X))
        assert free.predict_quantiles(X).min() < 0
    if loss == "gaussian":
        found.append(bounded.sample(X, 10, random_state=0))
    for values in found:
        assert values.min() == 0.0
        assert values.max() <= 0.5


def test_bounds_without_effect_change_nothing():
    X, y = make_data()
    free = make_regressor(linear_skip=True).fit(X, y)
    for bounds in ((None, None), (-100, 100), [None, 1e9]):
        model = make_regressor(linear_skip=True, bounds=bounds).fit(X, y)
        np.testing.assert_array_equal(model.predict(X), free.predict(X))


def test_bounded_forecasts_are_weighed_as_they_are_predicted():
    X, y = make_data()
    y = np.maximum(y, 0.0)
    free, bounded = (
        make_regressor(linear_skip=True, bounds=bounds).fit(X, y).validation_errors_
        for bounds in (None, (0, None))
    )
    assert (bounded["linear"] < 0.95 * free["linear"]).all()


def test_counts_have_an_upper_bound_too():
    X, y = make_data()
    y = np.floor(np.clip(2 + y, 0, 3))
    model = make_regressor(loss="poisson", bounds=(None, 3)).fit(X, y)
    assert model.sample(X, 10, random_state=0).max() == 3
    assert model.predict_quantiles(X).max() == 3


def test_bounds_of_a_network_that_is_trained_on_may_change():
    X, y = make_data()
    model = make_regressor(warm_start=True).fit(X, y)
    model.set_params(bounds=(None, 10)).fit(X, y)
    model.set_params(bounds=(y.min(), y.max())).fit(X, y)
    assert y.min() <= model.predict(X).min()
    model.set_params(bounds=(y.min(), 99), loss="huber").fit(X, y)
    assert model.predict(X).max() <= 99


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((0,), "should be a pair of numbers"),
        ((0, "1"), "should be a pair of numbers"),
        ((1, 1), "lower bound must be below"),
        ((float("nan"), 1), "lower bound must be below"),
        ((0, None), "no target is outside of them"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(bounds, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        make_regressor(bounds=bounds).fit(X, y)


@pytest.mark.parametrize("options", [{"bounds": (0, None)}, {"loss": "poisson"}])
def test_targets_out_of_bounds_are_refused_in_training_alone(options):
    X, y = make_data()
    y = np.floor(np.abs(3 * y))
    model = make_regressor(max_epochs=1, **options)
    scores = [
        model.set_params(missing_targets=missing).fit(X, y).score(X, -y)
        for missing in ("raise", "ignore")
    ]
    assert scores[0] == pytest.approx(scores[1])
    for train in (
        lambda: model.fit(X, -y),
        lambda: model.partial_fit(X, -y),
        lambda: model.fit(X, y, X_val=X, y_val=-y),
    ):
        with pytest.raises(ValueError, match="y holds -"):
            train()


# Weights of targets


def r2_by_target(model, X, y):
    error = ((model.predict(X) - y) ** 2).sum(axis=0)
    return 1 - error / ((y - y.mean(axis=0)) ** 2).sum(axis=0)


@pytest.mark.thorough
@pytest.mark.parametrize("loss", ["squared_error", "quantile", "gaussian"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_weight_decides_which_target_fits_better(loss, missing):
    X, y = make_data(300, n_outputs=2)
    options = {"loss": loss, "hidden_size": 1, "max_epochs": 60}
    fitted = y.copy()
    if missing:
        fitted[::4, 0] = np.nan
        options["missing_targets"] = "ignore"
    for better in (0, 1):
        weights = np.where(np.arange(2) == better, 1.0, 0.02)
        model = make_regressor(target_weight=weights, **options).fit(X, fitted)
        r2 = r2_by_target(model, X, y)
        assert r2[better] > 0.6 > 0.4 > r2[1 - better]


@pytest.mark.parametrize("loss", ["huber", "quantile", "student_t"])
def test_kernels_and_torch_weigh_targets_alike(loss):
    X, y = make_data(60, n_outputs=2)
    options = {"loss": loss, "target_weight": [3, 0.5], "dtype": "float64"}
    options["max_epochs"] = 4
    sample_weight = np.arange(60) % 3 + 0.5
    compiled, by_torch = (
        make_regressor(kernel=kernel, **options).fit(X, y, sample_weight).predict(X)
        for kernel in ("auto", "torch")
    )
    np.testing.assert_allclose(compiled, by_torch, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_equal_weights_are_no_weights_whatever_their_size(kernel):
    X, y = make_data(60, n_outputs=2)
    options = {"kernel": kernel, "dtype": "float64", "max_epochs": 4}
    options["linear_skip"] = kernel == "auto"
    without, equal = (
        make_regressor(target_weight=w, **options).fit(X, y).predict(X)
        for w in (None, [7, 7])
    )
    np.testing.assert_allclose(equal, without, rtol=1e-8)


@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_a_target_of_weight_zero_is_not_learned(kernel):
    X, y = make_data(60, n_outputs=2)
    other = y.copy()
    other[:, 1] = np.random.default_rng(1).permutation(y[:, 1])  # of equal scale
    options = {"kernel": kernel, "target_weight": [1, 0], "max_epochs": 4}
    first, second = (make_regressor(**options).fit(X, t).predict(X) for t in (y, other))
    np.testing.assert_allclose(first[:, 0], second[:, 0], rtol=1e-5, atol=1e-6)


def test_weights_of_outputs_of_steps():
    X, y = make_data(100, n_outputs=2)
    steps = np.repeat(y[:, np.newaxis], 4, axis=1)
    options = {"return_sequences": True, "hidden_size": 1, "max_epochs": 60}
    model = make_regressor(target_weight=[1, 0.02], **options).fit(X, steps)
    error = ((model.predict(X)[:, -1] - y) ** 2).mean(axis=0)
    assert error[0] < error[1] / 1.5


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"shape \(1,\), but y has 2 targets"),
        ([1.0, -1.0], "not negative"),
        ([0.0, 0.0], "not all zero"),
        ([1.0, np.inf], "finite"),
    ],
)
def test_target_weights_that_make_no_sense_are_refused(weights, message):
    X, y = make_data(20, n_outputs=2)
    with pytest.raises(ValueError, match=message):
        make_regressor(target_weight=weights).fit(X, y)


# A loss of the user's own


@pytest.mark.parametrize("per_step", [False, True])
def test_a_callable_that_computes_a_built_in_loss_trains_the_same(per_step):
    X, y = make_data(60, n_outputs=2)
    options = {"return_sequences": per_step}
    if per_step:
        y = np.repeat(y[:, np.newaxis], 4, axis=1)
        y[::3, 1] = np.nan
    options |= {"dtype": "float64", "target_weight": [2, 1], "max_epochs": 5}
    weights = np.arange(60) % 3 + 0.5
    own, built_in = (
        make_regressor(loss=loss, **options).fit(X, y, weights).predict(X)
        for loss in (squared_error, "squared_error")
    )
    np.testing.assert_allclose(own, built_in, rtol=1e-6, atol=1e-9)


def test_a_callable_weighs_the_network_beside_the_linear_part():
    X, y = make_data(90)
    own, built_in = (
        make_regressor(loss=loss, linear_skip=True, max_epochs=4).fit(X, y)
        for loss in (lambda o, t: (o - t).abs(), "absolute_error")
    )
    np.testing.assert_allclose(own.predict(X), built_in.predict(X), rtol=1e-4)
    assert 0 < own.network_weight_[0] < 1
    # In standard deviations.
    spread = own.validation_errors_ * y.std()
    np.testing.assert_allclose(spread, built_in.validation_errors_, rtol=1e-4)


def test_a_loss_that_costs_more_above_predicts_lower():
    X, y = make_data(300)

    def costly_above(outputs, targets):
        error = outputs - targets
        return torch.maximum(4 * error, -error)

    lower = make_regressor(loss=costly_above, max_epochs=15).fit(X, y).predict(X)
    assert 0.08 < np.mean(y < lower) < 0.32  # the 20 % quantile


def test_a_callable_of_a_module_can_be_cloned_and_pickled():
    X, y = make_data(40)
    model = clone(make_regressor(loss=squared_error)).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    loaded.partial_fit(X, y)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(make_regressor(loss=lambda o, t: (o - t) ** 2))


def test_another_callable_does_not_train_a_network_on():
    X, y = make_data(40)
    model = make_regressor(loss=squared_error, warm_start=True).fit(X, y)
    model.fit(X, y)
    with pytest.raises(ValueError, match="not what the last fit had"):
        model.set_params(loss="squared_error").fit(X, y)


@pytest.mark.parametrize("linear_skip", [False, True])
@pytest.mark.parametrize(
    "loss", [lambda o, t: ((o - t) ** 2).mean(), lambda o, t: "nothing"]
)
def test_a_callable_must_return_the_loss_of_each_target(loss, linear_skip):
    X, y = make_data(60)
    with pytest.raises(ValueError, match="must return a tensor with the loss of each"):
        make_regressor(loss=loss, linear_skip=linear_skip).fit(X, y)


@pytest.mark.parametrize("loss", [squared_error, "gaussian", "poisson"])
def test_callbacks_score_means(loss):
    X, y = make_data(60)
    y = np.floor(np.maximum(y, 0))
    scoring = EpochScoring("neg_mean_absolute_error", on_train=True, name="own")
    model = make_regressor(loss=loss, callbacks=scoring, max_epochs=3).fit(X, y)
    scale = 1.0 if loss == "poisson" else y.std()
    expected = -np.abs(model.predict(X) - y).mean() / scale
    assert model.net_.history[-1, "own"] == pytest.approx(expected, rel=1e-4)
