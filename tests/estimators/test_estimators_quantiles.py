"""loss="quantile": several numbers a target, in order, that cover what they say."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_rnn import RNNClassifier, RNNRegressor, SequenceScaler, StatefulPredictor
from sklearn_rnn.estimators import predict_rows
from sklearn_rnn.estimators.tasks._quantiles import (
    check_levels,
    marginal_quantiles,
    point_forecast,
)
from sklearn_rnn.training import WeightedLoss


def predict_quantiles(estimator, X):
    """Return levels and quantiles for all rows, and see that points agree."""
    found = predict_rows(estimator, X, np.arange(len(X)))
    points = np.asarray(estimator.predict(X))
    if points.dtype.kind == "f":
        np.testing.assert_array_equal(found.predictions, points.reshape(len(X), -1))
    return found.levels, found.quantiles


LEVELS = (0.1, 0.5, 0.9)


def make_data(n_sequences=40, n_timesteps=6, n_features=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_sequences, n_timesteps, n_features))
    return X, X[:, -2:, 0].sum(axis=1) + rng.normal(size=n_sequences)


def make_regressor(**options):
    """A regressor whose network alone predicts."""
    small = {"hidden_size": 6, "max_epochs": 3, "random_state": 0, "loss": "quantile"}
    return RNNRegressor(**{"linear_skip": False, **small, **options})


def untrained(**options):
    """A regressor whose one update moves nothing."""
    return make_regressor(max_epochs=1, learning_rate=1e-15, **options)


def pinball(y, quantiles, levels, weights=None):
    losses = [
        mean_pinball_loss(y, quantiles[..., i], alpha=level, sample_weight=weights)
        for i, level in enumerate(levels)
    ]
    return np.mean(losses)


# The loss.


def test_the_loss_is_scikit_learns_pinball_loss():
    rng = np.random.default_rng(0)
    y, quantiles = rng.normal(size=20), rng.normal(size=(20, 3))
    weights = rng.uniform(size=20)
    weights /= weights.mean()
    loss = WeightedLoss("quantile", levels=torch.tensor(LEVELS, dtype=torch.float64))
    outputs, targets = torch.from_numpy(quantiles), torch.from_numpy(y[:, np.newaxis])
    plain = loss(outputs, (targets, None)).item()
    assert plain == pytest.approx(pinball(y, quantiles, LEVELS))
    weighted = loss(outputs, (targets, torch.from_numpy(weights))).item()
    assert weighted == pytest.approx(pinball(y, quantiles, LEVELS, weights))


def test_the_quantiles_of_one_target_stand_side_by_side_in_the_outputs():
    levels = torch.tensor([0.2, 0.8])
    targets = torch.tensor([[1.0, 10.0]])
    loss = WeightedLoss("quantile", levels=levels)
    assert loss(torch.tensor([[1.0, 1.0, 10.0, 10.0]]), (targets, None)).item() == 0.0
    assert loss(torch.tensor([[1.0, 10.0, 1.0, 10.0]]), (targets, None)).item() > 0.5


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_loss_curve_is_the_pinball_loss_in_standard_deviations(n_outputs):
    X, y = make_data()
    y = np.column_stack([y, 100 * X[:, 0, 0] ** 2])[:, :n_outputs]
    model = untrained(input_dropout=0.0, quantiles=(0.05, 0.3, 0.7)).fit(X, y)
    quantiles = model.predict_quantiles(X) / y.std(axis=0)[:, np.newaxis]
    scaled = y / y.std(axis=0)
    losses = [
        pinball(scaled[:, j], quantiles[:, j], model.quantiles)
        for j in range(n_outputs)
    ]
    # Crossed quantiles count in training, and are in order in predict_quantiles.
    assert model.loss_curve_ == pytest.approx([np.mean(losses)], rel=1e-3)


def test_training_lowers_the_pinball_loss():
    X, y = make_data(150)
    before = untrained().fit(X, y).predict_quantiles(X)
    after = make_regressor(max_epochs=30).fit(X, y).predict_quantiles(X)
    assert pinball(y, after, LEVELS) < 0.9 * pinball(y, before, LEVELS)


# Where training starts.


@pytest.mark.parametrize("weights", [None, [1, 3, 0, 2, 1, 1, 4]])
def test_marginal_quantiles_are_values_that_occur(weights):
    values = np.array([[5.0, 1.0], [2.0, 9.0], [np.nan, 4.0], [7.0, 0.0]])
    values = np.vstack([values, [[3.0, 3.0], [2.5, np.nan], [8.0, 2.0]]])
    counts = np.ones(7, dtype=int) if weights is None else weights
    levels = np.array([0.1, 0.25, 0.5, 0.9, 0.99])
    found = marginal_quantiles(values, levels, weights and np.array(weights))
    for column, quantiles in zip(values.T, found, strict=True):
        repeated = np.repeat(column, counts)
        expected = np.nanquantile(repeated, levels, method="inverted_cdf")
        np.testing.assert_array_equal(quantiles, expected)


def test_training_starts_at_the_quantiles_of_the_targets():
    X, _ = make_data(200)
    y = np.random.default_rng(1).exponential(size=(200, 2)) * [1, 50]
    start = untrained().fit(X, y).predict_quantiles(X)
    expected = np.quantile(y, LEVELS, axis=0).T
    spread = y.std(axis=0)[:, np.newaxis]
    assert (np.abs(start.mean(axis=0) - expected) < 0.1 * spread).all()


def test_training_starts_at_the_quantiles_around_the_last_value():
    rng = np.random.default_rng(0)
    X = 50 + rng.normal(size=(200, 5, 1)).cumsum(axis=1) * 10
    y = X[:, -1, 0] + rng.normal(size=200)
    start = untrained(target_feature=0).fit(X, y).predict_quantiles(X)
    offsets = start - X[:, -1]
    expected = np.quantile(y - X[:, -1, 0], LEVELS)
    np.testing.assert_allclose(offsets.mean(axis=0), expected, atol=0.2)


def test_a_weight_of_two_starts_like_a_sequence_that_is_there_twice():
    X, y = make_data(30)
    counts = np.arange(30) % 3
    options = {"standardize": False, "input_dropout": 0.0}
    weighted = untrained(**options).fit(X, y, sample_weight=counts)
    repeated = untrained(**options).fit(X.repeat(counts, axis=0), y.repeat(counts))
    np.testing.assert_allclose(
        weighted.predict_quantiles(X), repeated.predict_quantiles(X)
    )


# Order.


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_never_cross(seed):
    rng = np.random.default_rng(seed)
    X, y = make_data(30, seed=seed)
    y = np.column_stack([y, np.round(y), rng.standard_cauchy(30), np.zeros(30)])
    levels = np.linspace(0.05, 0.95, 19)
    options = {"learning_rate": 0.1, "random_state": seed, "max_epochs": 8}
    model = make_regressor(quantiles=levels, **options).fit(X, y)
    unseen = 100 * rng.normal(size=(50, 3, 2))
    assert (np.diff(model.predict_quantiles(unseen), axis=-1) >= 0).all()


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_one_quantile_may_be_a_number(level):
    X, y = make_data()
    one = make_regressor(quantiles=level).fit(X, y)
    assert one.predict_quantiles(X).shape == (40, 1)
    np.testing.assert_array_equal(one.predict(X), one.predict_quantiles(X)[:, 0])


def test_some_of_the_fitted_quantiles_can_be_predicted():
    X, y = make_data()
    model = make_regressor(quantiles=(0.1, 0.5, 0.9)).fit(X, y)
    found = model.predict_quantiles(X)
    outer, middle = (
        model.predict_quantiles(X, [0.1, 0.9]),
        model.predict_quantiles(X, 0.5),
    )
    np.testing.assert_array_equal(outer, found[..., [0, 2]])
    np.testing.assert_array_equal(middle, found[..., [1]])
    with pytest.raises(ValueError, match=r"was fitted to \[0.1, 0.5, 0.9\]"):
        model.predict_quantiles(X, [0.1, 0.6])


def test_another_level_gives_another_quantile():
    X, y = make_data(100)
    low = make_regressor(quantiles=0.1).fit(X, y).predict(X)
    high = make_regressor(quantiles=0.9).fit(X, y).predict(X)
    assert np.mean(y < low) < 0.3 < 0.7 < np.mean(y < high)


def test_quantiles_cover_what_they_say_where_noise_grows():
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 2, size=(800, 3, 1))
    last = X[:, -1, 0]
    y = last + (0.1 + last) * rng.normal(size=800)
    model = make_regressor(hidden_size=8, max_epochs=40, learning_rate=0.02)
    quantiles = model.fit(X[:500], y[:500]).predict_quantiles(X[500:])
    shares = (y[500:, np.newaxis] < quantiles).mean(axis=0)
    np.testing.assert_allclose(shares, LEVELS, atol=0.1)
    width = quantiles[:, 2] - quantiles[:, 0]
    wide, narrow = width[last[500:] > 1.5].mean(), width[last[500:] < 0.5].mean()
    assert wide > 2 * narrow
    # 80 % lie within 1.28 standard deviations of a normal distribution.
    assert wide == pytest.approx(2 * 1.28 * 1.85, rel=0.3)


# predict.


def test_predict_is_the_median():
    X, y = make_data()
    model = make_regressor().fit(X, y)
    np.testing.assert_array_equal(model.predict(X), model.predict_quantiles(X)[:, 1])


@pytest.mark.parametrize(
    "levels, shares",
    [
        ((0.25, 0.75), [0.5, 0.5]),
        ((0.1, 0.4, 0.8), [0, 0.75, 0.25]),
        ((0.6, 0.9), [1, 0]),
        ((0.1, 0.2), [0, 1]),
    ],
)
def test_predict_lies_between_the_quantiles_around_the_median(levels, shares):
    X, y = make_data()
    model = make_regressor(quantiles=levels).fit(X, y)
    expected = model.predict_quantiles(X) @ np.array(shares)
    np.testing.assert_allclose(model.predict(X), expected)
    quantiles = np.arange(len(levels), dtype=float)
    expected = quantiles @ shares
    assert point_forecast(quantiles, np.array(levels)) == pytest.approx(expected)


def test_score_is_that_of_the_median():
    X, y = make_data()
    model = make_regressor().fit(X, y)
    residual, total = ((y - model.predict(X)) ** 2).sum(), ((y - y.mean()) ** 2).sum()
    assert model.score(X, y) == pytest.approx(1 - residual / total)


# Shapes.


@pytest.mark.parametrize(
    "y_shape, expected",
    [((40,), (40, 3)), ((40, 1), (40, 1, 3)), ((40, 2), (40, 2, 3))],
)
def test_quantiles_are_one_more_axis(y_shape, expected):
    X, _ = make_data()
    y = np.random.default_rng(0).normal(size=y_shape)
    model = make_regressor().fit(X, y)
    assert model.predict_quantiles(X).shape == expected
    assert model.predict(X).shape == y_shape


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_quantiles_of_every_step(n_outputs):
    X, _ = make_data(n_timesteps=5)
    y = X[:, :, 0] if n_outputs is None else X
    model = make_regressor(return_sequences=True).fit(X, y)
    quantiles = model.predict_quantiles(X)
    assert quantiles.shape == (*y.shape, 3)
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    np.testing.assert_array_equal(model.predict(X), quantiles[..., 1])


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_quantiles_of_every_step_of_unequal_lengths(n_outputs):
    X, _ = make_data(n_timesteps=7)
    X = [x[: 3 + i % 4] for i, x in enumerate(X)]
    y = [x[:, 0] if n_outputs is None else x for x in X]
    model = make_regressor(return_sequences=True).fit(X, y)
    quantiles, medians = model.predict_quantiles(X), model.predict(X)
    assert quantiles.dtype == object
    for one, median, target in zip(quantiles, medians, y, strict=True):
        assert one.shape == (*target.shape, 3)
        np.testing.assert_array_equal(one[..., 1], median)


def test_quantiles_of_steps_look_at_no_later_step():
    X, _ = make_data()
    model = make_regressor(return_sequences=True).fit(X, X[:, :, 0])
    whole, begin = model.predict_quantiles(X), model.predict_quantiles(X[:, :4])
    np.testing.assert_allclose(whole[:, :4], begin)


def test_a_single_sequence():
    X, y = make_data()
    model = make_regressor().fit(X, y)
    np.testing.assert_allclose(
        model.predict_quantiles(X[:1]), model.predict_quantiles(X)[:1]
    )


def test_the_last_step_is_predicted_like_a_sequence():
    X, y = make_data(100)
    steps = make_regressor(return_sequences=True, max_epochs=20)
    steps.fit(X, np.repeat(y[:, np.newaxis], 6, axis=1))
    low, _, high = steps.predict_quantiles(X)[:, -1].T
    assert 0.6 < np.mean((low <= y) & (y <= high)) <= 1


# With everything else.


@pytest.mark.parametrize("early_stopping", [False, True])
def test_fits_with_one_seed_are_alike(early_stopping):
    X, y = make_data()
    options = {"early_stopping": early_stopping}
    one, other = (make_regressor(**options).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.predict_quantiles(X), other.predict_quantiles(X))


def test_pickle_and_clone():
    X, y = make_data()
    model = make_regressor(quantiles=[0.2, 0.8]).fit(X, y)
    expected = model.predict_quantiles(X)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_quantiles(X), expected)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.predict_quantiles(X), expected)


def test_what_was_fitted_counts_and_not_what_is_set_later():
    X, y = make_data()
    model = make_regressor().fit(X, y)
    expected = model.predict_quantiles(X)
    model.set_params(quantiles=(0.3,), loss="squared_error")
    np.testing.assert_array_equal(model.predict_quantiles(X), expected)


def test_a_search_over_quantiles():
    X, y = make_data()
    grid = {"quantiles": [(0.5,), (0.25, 0.75)], "loss": ["quantile"]}
    search = GridSearchCV(make_regressor(), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    levels, quantiles = predict_quantiles(search, X)
    assert tuple(levels) == search.best_params_["quantiles"]
    assert quantiles.shape == (40, 1, len(levels))


def test_early_stopping_goes_by_the_pinball_loss():
    X, y = make_data(60)
    X_val, y_val = make_data(20, seed=9)
    options = {"early_stopping": True, "max_epochs": 6, "learning_rate": 0.05}
    model = make_regressor(**options).fit(X, y, X_val=X_val, y_val=y_val)
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmin(losses))
    found = pinball(y_val, model.predict_quantiles(X_val), LEVELS) / y.std()
    assert found == pytest.approx(min(losses), rel=1e-5)


def test_partial_fit_goes_on_from_the_quantiles():
    X, y = make_data(80)
    model = make_regressor(learning_rate=0.02)
    first = model.partial_fit(X, y).predict_quantiles(X)
    for _ in range(20):
        model.partial_fit(X, y)
    last = model.predict_quantiles(X)
    assert pinball(y, last, LEVELS) < pinball(y, first, LEVELS)


def test_warm_start_goes_on():
    X, y = make_data()
    model = make_regressor(warm_start=True).fit(X, y)
    before = model.predict_quantiles(X)
    assert model.fit(X, y).n_iter_ == 6
    assert np.abs(model.predict_quantiles(X) - before).max() > 0


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "change", [{"quantiles": (0.2, 0.5, 0.8)}, {"quantiles": 0.5}, {"loss": "huber"}]
)
def test_going_on_with_other_quantiles_is_refused(method, change):
    X, y = make_data()
    model = make_regressor(warm_start=True).fit(X, y)
    expected = model.predict_quantiles(X)
    with pytest.raises(ValueError, match="is not what the last fit had"):
        getattr(model.set_params(**change), method)(X, y)
    np.testing.assert_array_equal(model.predict_quantiles(X), expected)


def test_going_on_from_a_point_forecast_to_quantiles_is_refused():
    X, y = make_data()
    model = make_regressor(loss="squared_error", warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="loss='quantile'"):
        model.set_params(loss="quantile").fit(X, y)


def test_a_model_without_warm_start_takes_other_quantiles():
    X, y = make_data()
    model = make_regressor().fit(X, y)
    model.set_params(quantiles=(0.2, 0.8)).fit(X, y)
    assert model.predict_quantiles(X).shape == (40, 2)


@pytest.mark.parametrize("return_sequences", [False, True])
def test_gradients_cut_to_whole_length_are_the_same(return_sequences):
    X, y = make_data()
    y = X[:, :, 0] if return_sequences else y
    options = {"return_sequences": return_sequences, "dtype": "float64"}
    whole = make_regressor(**options).fit(X, y)
    cut = make_regressor(bptt_steps=6, **options).fit(X, y)
    np.testing.assert_allclose(cut.predict_quantiles(X), whole.predict_quantiles(X))


@pytest.mark.slow
@pytest.mark.parametrize("return_sequences", [False, True])
def test_truncated_gradients_learn_quantiles(return_sequences):
    X, y = make_data(100)
    if return_sequences:
        y = X[:, :, 0] + np.random.default_rng(1).normal(size=(100, 6))
    options = {"return_sequences": return_sequences, "bptt_steps": 2}
    start = untrained(**options).fit(X, y).predict_quantiles(X)
    end = make_regressor(max_epochs=20, **options).fit(X, y).predict_quantiles(X)
    flat = y.ravel()
    before, after = (pinball(flat, q.reshape(-1, 3), LEVELS) for q in (start, end))
    assert after < 0.95 * before


@pytest.mark.parametrize("return_sequences", [False, True])
def test_a_live_predictor_predicts_the_median(return_sequences):
    X, y = make_data()
    y = X[:, :, 0] if return_sequences else y
    model = make_regressor(return_sequences=return_sequences).fit(X, y)
    live = StatefulPredictor(model)
    parts = [live.predict(X[:, :4]), live.predict(X[:, 4:])]
    found = np.concatenate(parts, axis=1) if return_sequences else parts[1]
    np.testing.assert_allclose(found, model.predict(X))


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_other_networks_have_quantiles(cell, pooling):
    X, y = make_data()
    model = make_regressor(cell=cell, pooling=pooling, bidirectional=True).fit(X, y)
    quantiles = model.predict_quantiles(X)
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert len(np.unique(quantiles[:, 1])) == 40


def test_zero_weights_are_as_if_not_there():
    X, y = make_data()
    weights = np.where(np.arange(40) < 30, 1.0, 0.0)
    weighted = make_regressor().fit(X, np.where(weights, y, 1e3), weights)
    without = make_regressor().fit(X[:30], y[:30])
    np.testing.assert_allclose(
        weighted.predict_quantiles(X), without.predict_quantiles(X)
    )


# Through other estimators.


def test_quantiles_through_a_pipeline_and_a_frozen_one():
    X, y = make_data()
    model = make_pipeline(SequenceScaler(), make_regressor()).fit(X, y)
    expected = model[-1].predict_quantiles(model[0].transform(X))
    for holder in (model, FrozenEstimator(model)):
        levels, quantiles = predict_quantiles(holder, X)
        assert tuple(levels) == LEVELS
        np.testing.assert_array_equal(quantiles[:, 0], expected)


def test_quantiles_come_back_from_a_transformed_target():
    X, y = make_data()
    scaled = TransformedTargetRegressor(make_regressor(), transformer=StandardScaler())
    quantiles = predict_quantiles(scaled.fit(X, 100 * y + 7), X)[1]
    plain = make_regressor().fit(X, y).predict_quantiles(X)
    np.testing.assert_allclose(quantiles[:, 0], 100 * plain + 7, rtol=1e-6)
    np.testing.assert_allclose(scaled.predict(X), quantiles[:, 0, 1])


def test_a_falling_transformation_turns_the_quantiles_round():
    X, y = make_data()
    negative = FunctionTransformer(np.negative, inverse_func=np.negative)
    model = TransformedTargetRegressor(make_regressor(), transformer=negative)
    quantiles = predict_quantiles(model.fit(X, y), X)[1][:, 0]
    inside = model.regressor_.predict_quantiles(X)
    np.testing.assert_allclose(quantiles, -inside[:, ::-1])


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_point_models_have_no_quantiles(loss):
    X, y = make_data()
    model = make_regressor(loss=loss).fit(X, y)
    assert predict_quantiles(model, X)[0].size == 0
    with pytest.raises(ValueError, match=f"loss='{loss}', which predicts no quantiles"):
        model.predict_quantiles(X)


@pytest.mark.parametrize(
    "model", [BaggingRegressor(make_regressor(), 2), RNNClassifier(max_epochs=1)]
)
def test_estimators_of_other_kinds_have_no_quantiles(model):
    X = make_data(n_features=1)[0][:, :, 0]
    levels, _ = predict_quantiles(model.fit(X, np.arange(40) % 2), X)
    assert levels.size == 0


# What is refused.


@pytest.mark.parametrize(
    "quantiles",
    [
        (),
        [],
        (0.9, 0.1),
        (0.1, 0.1),
        (0, 1),
        (0.5, 1.0),
        0.0,
        1.5,
        -0.1,
        np.nan,
        (0.1, np.nan),
        [[0.1, 0.9]],
        ["0.1", "0.9"],
        (None,),
        True,
    ],
    ids=repr,
)
def test_senseless_quantiles_are_refused(quantiles):
    X, y = make_data(10)
    with pytest.raises(ValueError, match="quantiles="):
        make_regressor(quantiles=quantiles).fit(X, y)
    with pytest.raises(ValueError, match="quantiles="):
        check_levels(quantiles)


@pytest.mark.parametrize("quantiles", ["abc", None, len])
def test_what_is_no_sequence_of_numbers_is_refused(quantiles):
    X, y = make_data(10)
    with pytest.raises(ValueError, match="quantiles"):
        make_regressor(quantiles=quantiles).fit(X, y)


def test_senseless_quantiles_do_not_matter_to_another_loss():
    X, y = make_data(10)
    make_regressor(loss="huber", quantiles=(0.9, 0.1)).fit(X, y)


def test_quantiles_before_fit_are_refused():
    with pytest.raises(ValueError, match="not fitted"):
        make_regressor().predict_quantiles(make_data()[0])


def test_quantiles_are_taken_as_an_array_or_a_series():
    X, y = make_data()
    expected = make_regressor(quantiles=(0.2, 0.8)).fit(X, y).predict_quantiles(X)
    for levels in (np.array([0.2, 0.8]), pd.Series([0.2, 0.8], index=[5, 7])):
        model = clone(make_regressor(quantiles=levels)).fit(X, y)
        np.testing.assert_array_equal(model.predict_quantiles(X), expected)


# scikit-learn's own checks.


@pytest.mark.slow
@parametrize_with_checks([RNNRegressor(loss="quantile")])
def test_quantile_regression_passes_scikit_learns_checks(estimator, check):
    check(estimator)
