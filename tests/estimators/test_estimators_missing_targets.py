"""missing_targets="ignore", and target_feature="auto" by the names of targets."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_rnn import (
    RNNRegressor,
    SequenceArray,
    SequenceWindower,
    make_forecast_frame,
)

LOSSES = ["squared_error", "absolute_error", "huber", "quantile"]


def make_data(n_sequences=40, n_timesteps=6, n_features=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_sequences, n_timesteps, n_features))
    return X, X[:, -2:, 0].sum(axis=1) + 0.3 * rng.normal(size=n_sequences)


def make_regressor(**options):
    small = {"hidden_size": 6, "max_epochs": 3, "random_state": 0}
    return RNNRegressor(**{**small, **options})


def ignoring(**options):
    return make_regressor(missing_targets="ignore", **options)


def holes(y, every=4):
    y = y.copy()
    y[::every] = np.nan
    return y


# What is missing is as if it were not there.


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch_size", [64, 8])
def test_sequences_without_a_target_are_as_if_not_there(loss, batch_size):
    X, y = make_data()
    gone = np.isnan(holes(y))
    options = {"loss": loss, "batch_size": batch_size}
    with_holes = ignoring(**options).fit(X, holes(y))
    without = make_regressor(**options).fit(X[~gone], y[~gone])
    np.testing.assert_allclose(with_holes.predict(X), without.predict(X))


def test_rows_without_any_target_are_as_if_not_there():
    X, y = make_data()
    Y = holes(np.column_stack([y, y**2]))
    gone = np.isnan(Y[:, 0])
    weights = np.linspace(1, 2, 40)
    with_holes = ignoring().fit(X, Y, weights)
    without = make_regressor().fit(X[~gone], Y[~gone], weights[~gone])
    np.testing.assert_allclose(with_holes.predict(X), without.predict(X), rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("loss", LOSSES)
def test_targets_without_a_hole_are_learned_as_ever(loss):
    X, y = make_data()
    Y = np.column_stack([y, X[:, 0, 1]])
    ignored = ignoring(loss=loss, max_epochs=1).fit(X, Y)
    raised = make_regressor(loss=loss, max_epochs=1).fit(X, Y)
    np.testing.assert_allclose(ignored.predict(X), raised.predict(X), rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("loss", LOSSES)
def test_the_number_behind_a_hole_does_not_matter_but_others_of_its_row_do(loss):
    X, y = make_data()
    Y = np.column_stack([y, X[:, 0, 1], y])
    Y[3, 1] = np.nan
    model = ignoring(loss=loss, learning_rate=0.05).fit(X, Y)
    other = Y.copy()
    other[3, 0] += 5  # what else is known of that row counts
    changed = ignoring(loss=loss, learning_rate=0.05).fit(X, other)
    assert np.abs(model.predict(X) - changed.predict(X)).max() > 1e-3


def test_the_loss_is_the_mean_over_the_targets_that_are_there():
    X, y = make_data()
    Y = np.column_stack([y, X[:, 0, 1] * 10 + 3])
    Y[::3, 0] = Y[1::2, 1] = np.nan
    still = {"max_epochs": 1, "learning_rate": 1e-15, "input_dropout": 0.0}
    model = ignoring(**still).fit(X, Y)
    errors = (Y - model.predict(X)) / np.nanstd(Y, axis=0)
    assert model.loss_curve_ == pytest.approx([np.nanmean(errors**2)], rel=1e-6)


def test_training_starts_at_the_mean_of_the_targets_that_are_there():
    X, y = make_data()
    Y = np.column_stack([y, 1000 + y])
    Y[20:, 1] = np.nan
    still = {"max_epochs": 1, "learning_rate": 1e-15}
    predictions = ignoring(**still).fit(X, Y).predict(X)
    means = predictions.mean(axis=0)
    np.testing.assert_allclose(means, np.nanmean(Y, axis=0), atol=0.1)


def test_quantiles_start_at_those_of_the_targets_that_are_there():
    X, _ = make_data(200)
    y = np.random.default_rng(1).exponential(size=200)
    y[y > 2] = np.nan
    still = {"max_epochs": 1, "learning_rate": 1e-15, "loss": "quantile"}
    start = ignoring(**still).fit(X, y).predict_quantiles(X).mean(axis=0)
    expected = np.nanquantile(y, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(start, expected, atol=0.15)


@pytest.mark.thorough
def test_an_output_learns_from_its_own_targets():
    X, _ = make_data(300)
    Y = np.column_stack([X[:, -1, 0], -X[:, -1, 1]])
    full = Y.copy()
    Y[:150, 0] = Y[150:, 1] = np.nan
    model = ignoring(max_epochs=40, learning_rate=0.02, input_dropout=0.0).fit(X, Y)
    scores = r2_score(full, model.predict(X), multioutput="raw_values")
    assert (scores > 0.8).all()


def test_a_weight_counts_the_targets_of_its_row():
    X, y = make_data(30)
    counts = 1 + np.arange(30) % 3
    Y = np.column_stack([y, X[:, 0, 1]])
    Y[::4, 0] = np.nan
    # Steps of momentum and of Adam depend on nothing but the gradient's mean.
    options = {"standardize": False, "input_dropout": 0.0, "batch_size": 100}
    # The folds of the linear part count a sequence once.
    options |= {"dtype": "float64", "linear_skip": False}
    weighted = ignoring(**options).fit(X, Y, sample_weight=counts)
    again = X.repeat(counts, axis=0), Y.repeat(counts, axis=0)
    repeated = ignoring(**options).fit(*again)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-5)


def test_the_last_values_stand_beside_targets_with_holes():
    rng = np.random.default_rng(0)
    X = 50 + rng.normal(size=(60, 6, 2)).cumsum(axis=1)
    Y = X[:, -1] * [2, 3] + 1
    Y[::5, 0] = Y[::7, 1] = np.nan
    still = {"max_epochs": 1, "learning_rate": 1e-15}
    model = ignoring(target_feature=[0, 1], **still).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), X[:, -1] * [2, 3] + 1, rtol=0.01)


# Scores.


def test_the_score_leaves_holes_out():
    X, y = make_data()
    model = ignoring().fit(X, y)
    gone = np.isnan(holes(y))
    expected = r2_score(y[~gone], model.predict(X)[~gone])
    assert model.score(X, holes(y)) == pytest.approx(expected)


def test_the_score_leaves_holes_out_of_each_output():
    X, y = make_data()
    Y = np.column_stack([y, X[:, 0, 1], y**2])
    Y[::3, 0] = Y[1::2, 1] = Y[5] = np.nan
    weights = np.linspace(1, 3, 40)
    model = ignoring().fit(X, Y)
    predicted, scores = model.predict(X), []
    for j in range(3):
        there = ~np.isnan(Y[:, j])
        pair = Y[there, j], predicted[there, j]
        scores.append(r2_score(*pair, sample_weight=weights[there]))
    assert model.score(X, Y, weights) == pytest.approx(np.mean(scores))


def test_the_validation_score_leaves_holes_out():
    X, y = make_data()
    X_val, y_val = make_data(30, seed=4)
    model = ignoring(max_epochs=1, linear_skip=False)
    model.fit(X, y, X_val=X_val, y_val=holes(y_val))
    expected = model.score(X_val, holes(y_val))
    assert model.validation_scores_ == pytest.approx([expected], rel=1e-5)


def test_a_search_goes_over_holes():
    X, y = make_data()
    search = GridSearchCV(ignoring(), {"hidden_size": [3, 5]}, cv=KFold(2))
    search.fit(X, holes(y))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# With everything else.


@pytest.mark.parametrize("loss", LOSSES)
def test_early_stopping_and_small_batches_stand_holes(loss):
    X, y = make_data(60)
    Y = np.column_stack([y, y])
    Y[::2, 0] = Y[1::2, 1] = np.nan
    options = {"loss": loss, "early_stopping": True, "batch_size": 1}
    model = ignoring(**options).fit(X, Y)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.predict(X)).all()


def test_partial_fit_takes_a_batch_in_which_an_output_is_empty():
    X, y = make_data()
    Y = np.column_stack([y, y])
    model = ignoring().partial_fit(X, Y)
    before = model.predict(X)
    Y[:, 1] = np.nan
    after = model.partial_fit(X, Y).predict(X)
    assert np.isfinite(after).all()
    assert np.abs(after - before).max() > 0


def test_truncated_gradients_stand_holes():
    X, y = make_data()
    gone = np.isnan(holes(y))
    with_holes = ignoring(bptt_steps=2).fit(X, holes(y))
    without = make_regressor(bptt_steps=2).fit(X[~gone], y[~gone])
    np.testing.assert_allclose(with_holes.predict(X), without.predict(X))


def test_targets_of_steps_may_be_missing_either_way():
    X, _ = make_data()
    y = X[:, :, 0].copy()
    y[::2, 3:] = np.nan
    options = {"return_sequences": True}
    ignored = ignoring(**options).fit(X, y).predict(X)
    np.testing.assert_array_equal(
        make_regressor(**options).fit(X, y).predict(X), ignored
    )


@pytest.mark.parametrize("dtype", ["Float64", "double[pyarrow]", object])
def test_missing_values_of_every_kind_of_column(dtype):
    X, y = make_data()
    expected = ignoring().fit(X, holes(y)).predict(X)
    column = pd.Series(holes(y)).astype(dtype)
    if dtype is object:
        column = column.where(column.notna(), None)
    np.testing.assert_array_equal(ignoring().fit(X, column).predict(X), expected)
    assert make_regressor(missing_targets="ignore").fit(X, column).score(X, column) < 1


# What is refused.


@pytest.mark.parametrize("loss", LOSSES)
def test_holes_are_refused_with_their_number_and_place(loss):
    X, y = make_data()
    y[[7, 9, 30]] = np.nan
    message = "NaN: 3 of 40 targets, the first at 7.*missing_targets='ignore'"
    with pytest.raises(ValueError, match=message):
        make_regressor(loss=loss).fit(X, y)
    Y = np.column_stack([np.zeros(40), y])
    with pytest.raises(ValueError, match="3 of 40 targets, the first at 7"):
        make_regressor(loss=loss).fit(X, Y)


def test_an_output_without_any_target_is_refused():
    X, y = make_data()
    Y = np.column_stack([y, np.full(40, np.nan)])
    with pytest.raises(ValueError, match="output 1 of y is NaN for every sequence"):
        ignoring().fit(X, Y)
    with pytest.raises(ValueError, match="output 0 of y is NaN for every sequence"):
        ignoring().fit(X, np.full(40, np.nan))


def test_an_output_whose_only_targets_weigh_nothing_is_refused():
    X, y = make_data()
    Y = np.column_stack([y, y])
    Y[:20, 1] = np.nan
    with pytest.raises(ValueError, match="output 1 of y is NaN for every sequence"):
        ignoring().fit(X, Y, sample_weight=np.arange(40) < 20)


def test_targets_that_weigh_nothing_are_none():
    X, y = make_data()
    y[:20] = np.nan
    with pytest.raises(ValueError, match="output 0 of y is NaN for every sequence"):
        ignoring().fit(X, y, sample_weight=np.arange(40) < 20)


def test_a_score_of_nothing_is_refused():
    X, y = make_data()
    model = ignoring().fit(X, y)
    with pytest.raises(ValueError, match="nothing to learn or to score"):
        model.score(X, np.full(40, np.nan))


def test_infinite_targets_are_no_missing_ones():
    X, y = make_data()
    y[3] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        ignoring().fit(X, y)


@pytest.mark.parametrize("missing_targets", [None, True, "drop", np.nan])
def test_only_the_two_words_are_known(missing_targets):
    X, y = make_data(10)
    with pytest.raises(ValueError, match="missing_targets"):
        make_regressor(missing_targets=missing_targets).fit(X, y)


# Names of targets.


def test_the_names_of_targets_are_kept():
    X, y = make_data()
    Y = pd.DataFrame({"temp+1": y, "temp+2": y})
    model = make_regressor().fit(X, Y)
    assert model.target_names_.tolist() == ["temp+1", "temp+2"]
    assert make_regressor().fit(X, Y["temp+2"]).target_names_.tolist() == ["temp+2"]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["array", "unnamed series", "whole numbers"])
def test_targets_without_names_leave_none(kind):
    X, y = make_data()
    named, plain = (
        pd.Series(y, name="temp+1"),
        {
            "array": y,
            "unnamed series": pd.Series(y),
            "whole numbers": pd.DataFrame({0: y, 1: y}),
        },
    )
    model = make_regressor().fit(X, named)
    assert hasattr(model, "target_names_")
    assert not hasattr(model.fit(X, plain[kind]), "target_names_")
    assert not hasattr(clone(model), "target_names_")


def windows_and_targets():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"wind": rng.normal(size=60), "temp": np.arange(60.0) * 3})
    table["rain"] = np.arange(60.0) * -1000
    X, Y = make_forecast_frame(table, ["temp", "rain"], horizon=2)
    return SequenceWindower(4).fit_transform(X), Y


def test_auto_finds_the_past_of_each_target():
    windows, Y = windows_and_targets()
    still = {"max_epochs": 1, "learning_rate": 1e-15}
    auto = make_regressor(target_feature="auto", **still).fit(windows, Y)
    named = ["temp", "temp", "rain", "rain"]
    by_name = make_regressor(target_feature=named, **still).fit(windows, Y)
    np.testing.assert_array_equal(auto.predict(windows), by_name.predict(windows))
    # Its own past tells the future of a line, whatever its slope and unit.
    # But for the first window: a single step, at 0.
    np.testing.assert_allclose(auto.predict(windows)[1:], Y[1:], rtol=0.01, atol=0.2)


def test_auto_finds_the_past_of_a_single_target():
    windows, Y = windows_and_targets()
    still = {"max_epochs": 1, "learning_rate": 1e-15}
    model = make_regressor(target_feature="auto", **still).fit(windows, Y["rain+2"])
    # Not of the first three windows, short ones that the network knows little of.
    predicted = model.predict(windows)[3:]
    np.testing.assert_allclose(predicted, Y["rain+2"][3:], rtol=0.01)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change",
    [
        lambda Y: Y.to_numpy(),
        lambda Y: Y.set_axis(list("abcd"), axis=1),
        lambda Y: Y.rename(columns={"temp+1": "snow+1"}),
    ],
)
def test_auto_goes_without_a_past_that_names_do_not_tell(change):
    windows, Y = windows_and_targets()
    Y = change(Y)
    auto = make_regressor(target_feature="auto").fit(windows, Y)
    without = make_regressor(target_feature=None).fit(windows, Y)
    np.testing.assert_array_equal(auto.predict(windows), without.predict(windows))
    assert auto.linear_.anchor_lags_ is None


@pytest.mark.thorough
def test_auto_goes_without_a_past_where_features_have_no_names():
    windows, Y = windows_and_targets()
    plain = SequenceArray(windows.values, windows.starts, windows.lengths)
    assert make_regressor().fit(plain, Y).linear_.anchor_lags_ is None
    assert make_regressor().fit(windows, Y).linear_.anchor_lags_.tolist() == [0] * 4


@pytest.mark.parametrize("step, is_seen", [(1, True), (30, False)])
def test_the_held_out_block_keeps_clear_of_the_furthest_target(step, is_seen):
    table = pd.DataFrame({"temp": np.random.default_rng(0).normal(size=200)})
    X, Y = make_forecast_frame(table, horizon=[step])
    windows, Y = SequenceWindower(4).fit_transform(X[:160]), Y[:160]
    options = {"early_stopping": True, "validation_fraction": 0.2}
    model = make_regressor(**options).fit(windows, Y)
    # The block begins at row 128: 30 steps ahead of row 105 lie in it.
    other = Y.copy()
    other.iloc[105] += 100
    changed = make_regressor(**options).fit(windows, other)
    difference = np.abs(changed.predict(windows) - model.predict(windows)).max()
    assert (difference > 0) == is_seen
