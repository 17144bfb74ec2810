"""The linear part of RNNRegressor, and the weight of the network beside it."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklearn_rnn import (
    RNNRegressor,
    SequenceArray,
    SequenceLayoutWarning,
    SequenceWindower,
    SklearnRNNWarning,
    StatefulPredictor,
    make_forecast_frame,
)
from sklearn_rnn.estimators import _fit
from sklearn_rnn.estimators.closed_form import ELEMENTWISE_LOSSES
from sklearn_rnn.estimators.closed_form._linear_fit import fit_linear
from sklearn_rnn.estimators.closed_form._ridge import PENALTIES
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import validation_folds

QUICK = {"hidden_size": 4, "max_epochs": 1, "random_state": 0, "n_threads": 1}


def regressor(**options):
    return RNNRegressor(**{**QUICK, **options})


def walks(n=60, n_steps=6, n_features=2, seed=0):
    """Return sequences around levels of their own, and the next value of each."""
    rng = np.random.default_rng(seed)
    X = 50 + rng.normal(size=(n, n_steps + 1, n_features)).cumsum(axis=1)
    return X[:, :-1], X[:, -1]


def autoregression(n=300, seed=0):
    """Return a noisy series in which each value depends on the three before it."""
    rng = np.random.default_rng(seed)
    series = np.zeros(n)
    for t in range(3, n):
        series[t] = 0.5 * series[t - 1] + 0.3 * series[t - 3] + rng.normal()
    return series


def windows_over(series, n_steps, target=None, horizon=1):
    """Return windows over a table as they come from a windower, and their targets."""
    if not isinstance(series, pd.DataFrame):
        series = pd.DataFrame({"value": series})
    X, Y = make_forecast_frame(series, target, horizon=horizon)
    windower = SequenceWindower(n_steps, history=None)
    # The first ones are short.
    return windower.fit_transform(X)[n_steps - 1 :], Y[n_steps - 1 :]


def linear_part(
    X, Y, columns=None, weights=None, is_scaled=False, horizon=1, seed=0, **options
):
    Y = np.reshape(Y, (len(Y), -1))
    columns = None if columns is None else np.array(columns)
    return fit_linear(
        check_sequences(X),
        Y,
        weights,
        columns=columns,
        horizon=horizon,
        is_scaled=is_scaled,
        random_state=np.random.RandomState(seed),
        **options,
    )


def only(part, name):
    """Return a linear part in which one member has all the weight."""
    weights = np.zeros_like(part.weights)
    weights[list(part.member_weights_).index(name)] = 1.0
    return replace(part, weights=weights)


def rmse(predicted, y):
    return float(np.sqrt(np.mean((np.asarray(predicted) - np.asarray(y)) ** 2)))


# The regressions.


def test_without_a_past_the_linear_part_is_ridge_on_the_window():
    X, Y = walks()
    part = linear_part(X, Y).part
    assert list(part.member_weights_) == ["level"]
    flat = X.reshape(len(X), -1)
    for j, penalty in enumerate(part.members[0].penalties):
        scaled = StandardScaler().fit_transform(flat)
        ridge = Ridge(alpha=penalty * len(X)).fit(scaled, Y[:, j])
        found = part.predict(check_sequences(X))[:, j]
        np.testing.assert_allclose(found, ridge.predict(scaled), rtol=1e-6)


def test_a_fit_without_a_fold_is_that_of_the_other_sequences():
    X, Y = walks()
    sequences = check_sequences(X)
    found = linear_part(X, Y)
    flat = X.reshape(len(X), -1)
    predicted = found.predict(sequences, np.arange(len(X)))
    folds = validation_folds(sequences, 5, 1, np.random.RandomState(0))[0]
    assert found.fold_of.tolist() == folds.tolist()
    for fold in range(5):
        seen, unseen = folds != fold, folds == fold
        scaler = StandardScaler().fit(flat[seen])
        for j, penalty in enumerate(found.part.members[0].penalties):
            ridge = Ridge(alpha=penalty * seen.sum())
            ridge.fit(scaler.transform(flat[seen]), Y[seen, j])
            expected = ridge.predict(scaler.transform(flat[unseen]))
            np.testing.assert_allclose(predicted[unseen, j], expected, rtol=1e-6)


def test_the_penalty_is_the_best_one_on_the_folds():
    X, Y = walks(n_features=1)
    found = linear_part(X, Y)
    flat = X.reshape(len(X), -1)
    errors = np.zeros(len(PENALTIES))
    for fold in range(5):
        seen, unseen = found.fold_of != fold, found.fold_of == fold
        scaler = StandardScaler().fit(flat[seen])
        for k, penalty in enumerate(PENALTIES):
            ridge = Ridge(alpha=penalty * seen.sum())
            ridge.fit(scaler.transform(flat[seen]), Y[seen, 0])
            error = ridge.predict(scaler.transform(flat[unseen])) - Y[unseen, 0]
            errors[k] += (error**2).sum()
    assert found.part.members[0].penalties[0] == PENALTIES[errors.argmin()]


def test_a_feature_that_moves_in_one_fold_alone_does_no_harm_to_the_others():
    """Its rounding is nothing that the fits without this fold may learn from."""
    series = autoregression()
    table = pd.DataFrame({"value": series, "event": 0.1})
    table.loc[30:34, "event"] = 1 / 3
    X, Y = windows_over(table, 4, "value")
    plain = windows_over(series, 4)[0]
    found = linear_part(X, Y, [0])
    expected = linear_part(plain, Y, [0])
    rows = np.arange(len(Y))
    errors = [
        rmse(one.predict(windows, rows), Y)
        for one, windows in ((found, X), (expected, plain))
    ]
    assert errors[0] < 1.1 * errors[1]


@pytest.mark.parametrize("is_scaled", [False, True])
def test_members_see_the_window_each_in_its_own_way(is_scaled):
    """Written out with NumPy: level, deviation from the mean, change, and naive."""
    X, Y = walks()
    part = linear_part(X, Y, [0, 1], is_scaled=is_scaled).part
    by_name = {}
    for log in ("", "log_"):
        seen = np.log(X) if log else X
        middle = seen.mean(axis=(0, 1))
        spread, mean = seen.std(axis=1), seen.mean(axis=1)
        if is_scaled:
            size = np.abs(X).mean(axis=1)
            typical = np.exp(np.log(spread / size).mean(axis=0))
            spread = np.maximum(spread, 0.3 * typical * size)
        else:
            spread = np.maximum(spread, 0.3 * spread.mean(axis=0))
        anchors, last = seen[:, 5 - part.anchor_lags_, [0, 1]], seen[:, -1:]
        level = np.concatenate([seen[:, :-1] - last, last - middle], axis=1)
        deviation = (seen - mean[:, np.newaxis]) / spread[:, np.newaxis]
        by_name[log + "level"] = level, middle, 1.0
        by_name[log + "deviation"] = deviation, mean, spread
        by_name[log + "change"] = (seen - last) / spread[:, np.newaxis], anchors, spread
    expected = part.member_weights_["naive"] * X[:, 5 - part.anchor_lags_, [0, 1]]
    for member in part.members:
        inputs, offset, unit = by_name[member.name]
        product = inputs.reshape(len(X), -1) @ member.coef[-1][:-1]
        own = offset + unit * (product + member.coef[-1][-1])
        own = member.factor * np.exp(own) if member.name.startswith("log_") else own
        expected = expected + part.member_weights_[member.name] * own
    np.testing.assert_allclose(part.predict(check_sequences(X)), expected, rtol=1e-8)
    names = ["deviation", "change"] if is_scaled else list(by_name)
    assert [m.name for m in part.members] == names
    np.testing.assert_allclose(sum(part.member_weights_.values()), 1)


@pytest.mark.parametrize("columns", [None, [0, 0], [1, 0]])
@pytest.mark.parametrize("is_scaled", [False, True])
def test_coef_is_the_change_of_the_forecast_with_each_value(columns, is_scaled):
    X, Y = walks(n_steps=8)
    X, Y = X - 100, Y - 100  # of which there are no logarithms
    part = linear_part(X, Y, columns, is_scaled=is_scaled).part
    assert part.coef_.shape == (2, 8, 2)
    # A window that is symmetric in time keeps its spread if its values are turned
    # round: but for that, take one of the typical spread, and see small changes.
    x = X[:1].copy()
    if columns is not None:
        typical = dict(zip(part.layout.past, part.layout.typical_spread, strict=True))
        for column, spread in typical.items():
            own = x[0, :, column] - x[0, :, column].mean()
            x[0, :, column] = own / own.std() * spread - 50
    before = part.predict(check_sequences(x))[0]
    rng = np.random.default_rng(1)
    for _ in range(5):
        step = rng.normal(size=x.shape)
        # Changes along which the spread stays the same, to first order.
        for column in range(2):
            own = x[0, :, column] - x[0, :, column].mean()
            along = own / np.linalg.norm(own)
            step[0, :, column] -= along * (along @ step[0, :, column])
        after = part.predict(check_sequences(x + 1e-6 * step))[0]
        expected = (part.coef_ * step[0]).sum(axis=(1, 2))
        np.testing.assert_allclose((after - before) / 1e-6, expected, atol=1e-4)


def test_anchors_are_the_lags_that_come_closest_to_each_target():
    rng = np.random.default_rng(0)
    season = np.tile(rng.normal(size=7), 30)
    X, Y = windows_over(season, 14, horizon=[1, 3])
    assert linear_part(X, Y, [0, 0]).part.anchor_lags_.tolist() == [6, 4]
    X, Y = windows_over(rng.normal(size=200).cumsum(), 14)
    assert linear_part(X, Y, [0]).part.anchor_lags_.tolist() == [0]


# Sequences, weights and targets.


def test_a_short_sequence_repeats_its_first_step():
    X, Y = walks()
    short = [X[0, 3:], X[1, 5:]]
    model = regressor(linear_skip=True).fit(X, Y)
    filled = [np.concatenate([x[:1].repeat(6 - len(x), axis=0), x]) for x in short]
    np.testing.assert_allclose(
        model.predict_linear(short), model.predict_linear(filled), rtol=1e-12
    )
    longer = [np.concatenate([np.full((3, 2), -70.0), x]) for x in X[:2]]
    np.testing.assert_allclose(
        model.predict_linear(longer), model.predict_linear(X[:2]), rtol=1e-12
    )


@pytest.mark.parametrize("columns", [None, [0, 1]])
def test_a_weight_of_zero_is_as_if_it_were_not_there(columns):
    X, Y = walks()
    weights = np.tile([1.0, 0.0, 2.5], 20)
    X[weights == 0] *= 100
    model = regressor(linear_skip=True, target_feature=columns)
    found = model.fit(X, Y, weights).predict_linear(X)
    there = weights > 0
    expected = model.fit(X[there], Y[there], weights[there]).predict_linear(X)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("columns", [None, [0, 1]])
@pytest.mark.parametrize("over_time", [False, True])
def test_a_whole_weight_is_as_many_copies(columns, over_time):
    rng = np.random.default_rng(0)
    if over_time:
        series = rng.normal(size=(70, 2)).cumsum(axis=0)
        X = SequenceArray(series, np.arange(60), np.full(60, 6))
        Y = series[6:66]
    else:
        X, Y = walks()
        X = SequenceArray(X.reshape(-1, 2), np.arange(60) * 6, np.full(60, 6))
    counts = rng.integers(1, 4, size=60)
    options = {"batch_size": 1000, "shuffle": False, "dtype": "float64"}
    options |= {"input_dropout": 0.0, "max_epochs": 20, "target_feature": columns}
    weighted = regressor(**options).fit(X, Y, sample_weight=counts)
    again = np.repeat(np.arange(60), counts)
    repeated = regressor(**options).fit(X[again], Y[again])
    unweighted = regressor(**options).fit(X, Y)
    linear = weighted.predict_linear(X)
    np.testing.assert_allclose(linear, repeated.predict_linear(X), rtol=1e-6)
    assert not np.allclose(linear, unweighted.predict_linear(X), rtol=1e-6)
    np.testing.assert_allclose(
        weighted.network_weight_, repeated.network_weight_, rtol=1e-4, atol=1e-9
    )
    np.testing.assert_allclose(
        weighted.validation_errors_, repeated.validation_errors_, rtol=1e-5
    )


def test_only_the_proportions_of_weights_matter():
    X, Y = walks()
    weights = np.linspace(1, 3, 60)
    one, other = (
        regressor(linear_skip=True, target_feature=[0, 1]).fit(X, Y, w * weights)
        for w in (1 / 1024, 8.0)
    )
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-9)


def test_each_output_is_fitted_to_the_targets_that_it_has():
    X, Y = walks()
    Y[::3, 0] = np.nan
    sequences, known = check_sequences(X), ~np.isnan(Y[:, 0])
    found = linear_part(X, Y)
    whole = linear_part(X, Y[:, 1])
    np.testing.assert_allclose(
        found.part.predict(sequences)[:, 1], whole.part.predict(sequences)[:, 0]
    )
    flat = X.reshape(len(X), -1)
    scaler = StandardScaler().fit(flat[known])
    penalty = found.part.members[0].penalties[0]
    ridge = Ridge(alpha=penalty * known.sum())
    ridge.fit(scaler.transform(flat[known]), Y[known, 0])
    np.testing.assert_allclose(
        found.part.predict(sequences)[:, 0], ridge.predict(scaler.transform(flat))
    )


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_an_output_may_lack_all_targets_outside_of_a_block_of_time(loss):
    series = autoregression(120)
    X, Y = windows_over(series, 4, horizon=[1, 2])
    Y.iloc[:80, 1] = np.nan
    model = regressor(missing_targets="ignore", loss=loss).fit(X, Y)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.validation_errors_).all(axis=None)


@pytest.mark.parametrize("name", ["log_level", "log_deviation", "log_change"])
def test_coef_of_a_logarithmic_member_is_that_at_the_mean_values(name):
    X, Y = walks(n_steps=8)
    part = only(linear_part(X, Y, [1, 0]).part, name)
    # Apart from the constant, which moves the forecast away from the mean.
    members = [replace(m, coef=m.coef.copy(), factor=1.0) for m in part.members]
    for member in members:
        member.coef[:, -1] = 0.0
    part = replace(part, members=tuple(members))
    x = np.broadcast_to(np.exp(np.log(X).mean(axis=(0, 1))), (1, 8, 2)).copy()
    step = np.random.default_rng(1).normal(size=x.shape)
    before, after = (part.predict(check_sequences(x + 1e-6 * s)) for s in (0, step))
    expected = (part.coef_ * step[0]).sum(axis=(1, 2))
    np.testing.assert_allclose((after - before)[0] / 1e-6, expected, atol=1e-4)


def test_logarithms_forecast_a_series_whose_changes_are_multiplicative():
    X, Y = windows_over(np.exp(autoregression()), 6)
    part = linear_part(X[:200], Y[:200], [0], is_mean=False).part
    errors = {}
    for name in part.member_weights_:
        found = np.maximum(only(part, name).predict(X[200:]), 1e-3)
        errors[name] = rmse(np.log(found), np.log(Y[200:]))
    assert errors["log_level"] < 0.7 * errors["level"]
    assert errors["log_level"] < 0.9 * errors["change"]
    lower = SequenceArray(X.values - 1e5, X.starts, X.lengths)
    without = linear_part(lower, Y - 1e5, [0]).part
    assert "log_level" not in without.member_weights_


@pytest.mark.parametrize("name", ["log_level", "log_deviation", "log_change"])
def test_forecasts_by_logarithms_stay_within_bounds(name):
    X, Y = walks()
    part = only(linear_part(X, Y, [0, 1]).part, name)
    for factor in part.members[list(part.member_weights_).index(name)].factor:
        assert 0.9 < factor < 1.1
    wild = X[:1].copy()
    wild[:, ::2] *= 1e-60
    for x in (wild, 1 / wild, X[:1] * 0, -X[:1]):
        found = part.predict(check_sequences(x))
        assert (found > 0).all()
        assert (found < 5 * max(x.max(), Y.max())).all()


@pytest.mark.parametrize("name", ["log_deviation", "log_change"])
def test_forecasts_by_logarithms_follow_the_scale_of_a_series(name):
    X, Y = walks()
    part = only(linear_part(X, Y, [0, 1]).part, name)
    expected = part.predict(check_sequences(X))
    for scale in (1e-6, 1e6):
        found = part.predict(check_sequences(scale * X))
        np.testing.assert_allclose(found, scale * expected, rtol=1e-9)


def test_a_value_without_logarithm_is_read_as_a_small_one():
    X, Y = walks()
    part = only(linear_part(X, Y, [0, 1]).part, "log_change")
    x = X[:1].copy()
    x[0, 2] = x.min(axis=(0, 1)) / 4
    expected = part.predict(check_sequences(x))
    x[0, 2] = [0.0, -1.0]
    lowest = np.delete(x, 2, axis=1).min(axis=(0, 1))
    assert (lowest == X[0].min(axis=0)).all()
    np.testing.assert_allclose(part.predict(check_sequences(x)), expected, rtol=0.2)


def test_steps_before_the_windows_may_have_no_logarithm():
    rng = np.random.default_rng(0)
    X = 50 + rng.normal(size=(45, 400, 2)).cumsum(axis=1) / 10
    Y = X[:, -1] + rng.normal(size=(45, 2))
    X[:, :200] -= 1000
    part = linear_part(X, Y, [0, 1]).part
    assert "log_level" in part.member_weights_ and part.n_lags_ < 200
    assert rmse(part.predict(check_sequences(X)), Y) < 2


@pytest.mark.parametrize("is_mean", [True, False])
def test_forecasts_by_logarithms_are_means_or_medians(is_mean):
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(size=(2000, 6, 1)))
    y = np.exp(rng.normal(size=2000))
    part = linear_part(X, y, [0], is_mean=is_mean).part
    predicted = only(part, "log_level").predict(check_sequences(X)).mean()
    expected = np.exp(0.5) if is_mean else 1.0
    assert predicted == pytest.approx(expected, rel=0.08)


def test_targets_of_one_series_share_a_season():
    """Of few windows, the nearest lag of each alone would often be another."""
    rng = np.random.default_rng(1)
    season = np.tile(rng.normal(size=7), 6)
    X, Y = windows_over(season + 0.7 * rng.normal(size=42), 14, horizon=[1, 3, 9])
    alone = linear_part(X, Y, [0, 0, 0]).part.anchor_lags_.tolist()
    part = linear_part(X, Y, [0, 0, 0], steps_ahead=[1, 3, 9]).part
    assert part.anchor_lags_.tolist() == [6, 4, 5]
    assert alone != [6, 4, 5]


# What it is for.


def test_a_linear_series_is_forecast_almost_perfectly():
    t = np.arange(260)
    series = np.sin(t / 3) + 0.5 * np.cos(t / 7)
    X, Y = windows_over(series, 12)
    model = regressor(max_epochs="auto").fit(X[:200], Y[:200])
    alone = regressor(max_epochs="auto", linear_skip=False).fit(X[:200], Y[:200])
    errors = [rmse(m.predict(X[200:]), Y[200:]) for m in (model, alone)]
    assert errors[0] < 1e-3
    assert errors[0] < 0.1 * errors[1]


def test_on_noise_the_network_does_no_harm():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 8)), rng.normal(size=200)
    options = {"max_epochs": 100, "hidden_size": 32, "learning_rate": 0.02}
    errors = regressor(**options).fit(X, y).validation_errors_.iloc[0]
    assert errors["network"] > 1.2 * errors["linear"]
    assert errors["combined"] < 1.02 * errors["linear"]


def test_a_task_for_networks_gives_the_network_the_weight():
    """The product of two values, marked by a second feature."""
    rng = np.random.default_rng(0)
    X = np.zeros((400, 6, 2))
    X[:, :, 0] = rng.normal(size=(400, 6))
    X[:, 1, 1] = X[:, 4, 1] = 1.0
    y = X[:, 1, 0] * X[:, 4, 0]
    model = regressor(hidden_size=24, max_epochs=60, input_dropout=0.0)
    model.set_params(learning_rate=0.02).fit(X, y)
    assert model.network_weight_[0] > 0.8
    errors = model.validation_errors_.iloc[0]
    assert errors["network"] < 0.3 * errors["linear"]
    assert errors["combined"] < 0.3 * errors["linear"]
    assert not np.allclose(model.predict(X), model.predict_linear(X))


def test_validation_errors_are_those_of_unseen_sequences():
    """With data of the user's: what `predict` and its parts make of them."""
    X, Y = walks(100)
    X_val, Y_val = walks(50, seed=1)
    model = regressor(target_feature=[0, 1], max_epochs=10)
    model.fit(X, Y, X_val=X_val, y_val=Y_val)
    errors = model.validation_errors_
    predicted = {
        "naive": X_val[:, 5 - model.linear_.anchor_lags_, [0, 1]],
        "linear": model.predict_linear(X_val),
        "combined": model.predict(X_val),
    }
    for name, values in predicted.items():
        expected = np.sqrt(((values - Y_val) ** 2).mean(axis=0))
        np.testing.assert_allclose(errors[name], expected, rtol=1e-6)
    assert errors.columns.tolist() == ["naive", "linear", "network", "combined"]


def test_the_forecast_is_linear_plus_weight_times_what_the_network_adds():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = X[:, -1] + np.abs(X[:, -2]) * 2
    options = {"hidden_size": 12, "max_epochs": 5, "learning_rate": 0.02}
    model = regressor(**options).fit(X, y)
    weight = model.network_weight_[0]
    assert 0 < weight < 1
    model.linear_, linear = None, model.predict_linear(X)
    network = model.predict(X)
    model.linear_ = linear_part(X, y).part  # any
    model.network_weight_ = np.zeros(1)
    assert not np.allclose(model.predict(X), network)
    again = regressor(**options).fit(X, y)
    expected = linear + weight * (network - linear)
    np.testing.assert_allclose(again.predict(X), expected, rtol=1e-9)


def test_on_a_random_walk_the_forecast_is_no_worse_than_the_linear_one():
    series = np.random.default_rng(0).normal(size=500).cumsum()
    X, Y = windows_over(series, 12)
    model = regressor(hidden_size=16, max_epochs=5).fit(X[:300], Y[:300])
    errors = [
        rmse(np.ravel(f), np.ravel(Y[300:]))
        for f in (model.predict(X[300:]), model.predict_linear(X[300:]))
    ]
    assert errors[0] < 1.03 * errors[1]
    naive = rmse(np.ravel(series[300 : len(Y)]), np.ravel(Y[300:]))
    assert errors[1] < 1.1 * naive


def test_a_trend_is_followed_beyond_the_training_data():
    t = np.arange(300)
    rng = np.random.default_rng(0)
    series = 0.5 * t + 10 * np.sin(2 * np.pi * t / 12) + rng.normal(size=300)
    X, Y = windows_over(series, 24, horizon=[3])
    model = regressor(max_epochs=5).fit(X[:160], Y[:160])
    ahead = rmse(model.predict(X[200:]), Y[200:])
    assert ahead < 1.6
    alone = regressor(linear_skip=False, target_feature=None, max_epochs=5)
    assert rmse(alone.fit(X[:160], Y[:160]).predict(X[200:]), Y[200:]) > 10 * ahead


def panel_of(large, small, n_steps=8):
    """Return windows over both series, the first's in front, and their targets."""
    values = np.concatenate([large, small])[:, np.newaxis]
    n = len(large) - n_steps
    starts = np.concatenate([np.arange(n), len(large) + np.arange(n)])
    X = SequenceArray(values, starts, np.full(2 * n, n_steps))
    return X, values[starts + n_steps, 0]


def test_series_of_different_size_are_forecast_as_well_as_each_alone():
    small = 20 + autoregression(200)
    large = 1000 * (20 + autoregression(200, seed=1))
    X, y = panel_of(large, small)
    is_small = np.arange(len(y)) >= len(y) // 2
    seen = np.arange(len(y)) % (len(y) // 2) < 140
    errors = {}
    for scale_windows in ("auto", False):
        model = regressor(scale_windows=scale_windows).fit(X[seen], y[seen])
        errors[scale_windows] = [
            rmse(model.predict(X[~seen & own]), y[~seen & own])
            for own in (is_small, ~is_small)
        ]
    alone = [
        rmse(
            regressor().fit(X[seen & own], y[seen & own]).predict(X[~seen & own]),
            y[~seen & own],
        )
        for own in (is_small, ~is_small)
    ]
    assert errors["auto"][0] < 1.5 * alone[0]
    assert errors["auto"][1] < 1.5 * alone[1]
    assert errors[False][0] > 1.2 * alone[0]


def test_one_series_is_no_series_of_different_size():
    """However much its windows differ: it may be 0 for a while, or grow from 0."""
    rng = np.random.default_rng(0)
    rain = rng.exponential(size=300) * (rng.uniform(size=300) < 0.1)
    for series in (rain, np.arange(300.0) + rng.normal(size=300)):
        X, Y = windows_over(series, 6)
        assert not linear_part(X, Y, [0], is_scaled="auto").part.layout.is_scaled
    X, y = panel_of(1000 * (1 + rain), 1 + rain)
    assert linear_part(X, y, [0], is_scaled="auto").part.layout.is_scaled


def test_a_window_of_zeros_does_not_outweigh_all_others():
    small, large = 20 + autoregression(200), 1e6 * (20 + autoregression(200, seed=1))
    large[50:64] = 0.0
    X, y = panel_of(large, small)
    part = linear_part(X, y, [0], is_scaled=True).part
    expected = linear_part(
        *panel_of(1e6 * (20 + autoregression(200, seed=1)), small), [0], is_scaled=True
    ).part
    is_small = np.arange(len(y)) >= len(y) // 2
    errors = [
        rmse(p.predict(X[is_small]), y[is_small].reshape(-1, 1))
        for p in (part, expected)
    ]
    assert errors[0] < 1.3 * errors[1]


def test_forecasts_in_windows_units_do_not_depend_on_the_unit():
    X, Y = walks(40)
    part = linear_part(X, Y, [0, 1], is_scaled=True).part
    for unit in (1e-6, 1e6):
        other = linear_part(unit * X, unit * Y, [0, 1], is_scaled=True).part
        found = other.predict(check_sequences(unit * X)) / unit
        np.testing.assert_allclose(found, part.predict(check_sequences(X)), rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"scale_windows": True}, {"loss": "quantile"}])
def test_forecasts_do_not_depend_on_other_sequences_bitwise(options):
    rng = np.random.default_rng(0)
    for n_features, n_outputs in ((1, 1), (2, 1), (3, 2)):
        X, Y = walks(50, n_steps=13, n_features=n_features)
        X = [x[rng.integers(0, 12) :] for x in X]
        model = regressor(target_feature=0, **options).fit(X, Y[:, :n_outputs])
        expected = model.predict_linear(X)
        for rows in ([0], [49], [3, 2, 3], range(20, 50)):
            found = model.predict_linear([X[i] for i in rows])
            np.testing.assert_array_equal(found, expected[rows])


# Quantiles.


def test_quantiles_cover_what_they_say():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 6))
    y = X[:, -3:].sum(axis=1) + rng.normal(size=900)
    model = regressor(loss="quantile", quantiles=(0.1, 0.5, 0.9), max_epochs=3)
    model.fit(X[:400], y[:400])
    quantiles = model.predict_quantiles(X[400:])
    below = (y[400:, np.newaxis] < quantiles).mean(axis=0)
    np.testing.assert_allclose(below, (0.1, 0.5, 0.9), atol=0.06)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    np.testing.assert_array_equal(model.predict(X[400:]), quantiles[:, 1])
    assert model.linear_ is not None


def test_quantiles_are_as_wide_as_the_size_of_a_series_asks():
    small = 20 + autoregression(300)
    X, y = panel_of(1000 * (20 + autoregression(300, seed=1)), small)
    model = regressor(loss="quantile").fit(X, y)
    low, _, high = model.predict_quantiles(X).T
    is_small = np.arange(len(y)) >= len(y) // 2
    for own in (is_small, ~is_small):
        covered = (low[own] <= y[own]) & (y[own] <= high[own])
        assert 0.7 < covered.mean() < 0.9


# What "auto" finds.


def test_auto_finds_the_past_by_the_names_of_targets():
    table = pd.DataFrame({"a": autoregression(80), "b": autoregression(80, seed=1)})
    X, Y = make_forecast_frame(table, ["b", "a"], horizon=[1])
    windows = SequenceWindower(4, history=None).fit_transform(X)
    model = regressor().fit(windows, Y)
    by_name = regressor(target_feature=["b", "a"]).fit(windows, Y)
    np.testing.assert_array_equal(model.predict(windows), by_name.predict(windows))
    assert "naive" in model.linear_.member_weights_


def test_auto_finds_the_past_of_a_single_feature_without_names():
    X, Y = walks(n_features=1)
    X, y = X[:, :, 0], Y[:, 0]
    model = regressor().fit(X, y)
    np.testing.assert_array_equal(
        model.predict(X), regressor(target_feature=0).fit(X, y).predict(X)
    )
    # What does not come near to y is not its past.
    other = np.random.default_rng(1).normal(size=60)
    assert regressor().fit(X, other).linear_.anchor_lags_ is None


def test_auto_finds_no_past_where_names_do_not_fit():
    X, Y = walks()
    table = pd.DataFrame(Y, columns=["profit", "loss"])
    model = regressor().fit(X, table)
    without = regressor(target_feature=None).fit(X, table)
    np.testing.assert_array_equal(model.predict(X), without.predict(X))
    assert model.linear_.anchor_lags_ is None


@pytest.mark.parametrize("slow", [True, False])
def test_subtract_last_auto_is_for_targets_that_are_close_to_the_last_value(slow):
    rng = np.random.default_rng(0)
    series = rng.normal(size=200)
    series = series.cumsum() if slow else series
    X, Y = windows_over(series, 5)
    options = {"linear_skip": False, "target_feature": 0, "max_epochs": 3}
    auto, subtracting, other = (
        regressor(subtract_last=s, **options).fit(X, Y).predict(X)
        for s in ("auto", True, False)
    )
    assert np.array_equal(auto, subtracting) == slow
    assert np.array_equal(auto, other) != slow


# Where there is none.


def test_auto_leaves_it_out_where_it_cannot_be():
    X, Y = walks()
    ids = np.random.default_rng(0).integers(0, 5, size=(60, 6))
    cases = [
        regressor(return_sequences=True).fit(X, X[:, :, 0]),
        regressor(embedding_dim=2).fit(ids, ids[:, -1]),
        regressor(target_feature=0).fit(X[:7], Y[:7, 0]),
        regressor(target_feature=None).fit(X[:39], Y[:39]),
        regressor(linear_skip=False).fit(X, Y),
        regressor().partial_fit(X, Y),
    ]
    for model in cases:
        assert model.linear_ is None
        assert model.validation_errors_ is None
        assert model.advice_ is None
        assert (model.network_weight_ == 1).all()
        with pytest.raises(ValueError, match="has no linear part"):
            model.predict_linear(X)
    for model in (
        regressor(target_feature=0).fit(X[:8], Y[:8, 0]),
        regressor(target_feature=None).fit(X[:40], Y[:40]),
    ):
        assert model.linear_ is not None


@pytest.mark.parametrize(
    "options, n, message",
    [
        ({"return_sequences": True}, 60, "at every step"),
        ({"embedding_dim": 2}, 60, "needs numbers"),
        ({}, 7, "at least 8 sequences.*got 7"),
    ],
)
def test_true_says_where_it_cannot_be(options, n, message):
    ids = np.random.default_rng(0).integers(0, 5, size=(n, 6))
    y = ids if "return_sequences" in options else ids[:, -1]
    with pytest.raises(ValueError, match=message):
        regressor(linear_skip=True, **options).fit(ids, y)


def test_a_fit_that_is_refused_leaves_the_last_one():
    X, Y = walks()
    model = regressor(linear_skip=True).fit(X, Y)
    expected = model.predict(X)
    with pytest.raises(ValueError, match="at least 8"):
        model.fit(X[:7], Y[:7])
    np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("n_distinct", [1, 7, 8])
def test_copies_do_not_make_sequences_more(n_distinct):
    X, Y = walks(n_features=1)
    X = SequenceArray(X.reshape(-1, 1), np.arange(60) * 6, np.full(60, 6))
    rows = np.resize(np.arange(n_distinct), 60)
    model = regressor(target_feature=0).fit(X[rows], Y[rows])
    assert (model.linear_ is None) == (n_distinct < 8)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("n", [12, 60, 300])
def test_sequences_that_all_end_at_one_time_are_compared_too(n):
    """Their folds are drawn at random, as no time tells them apart."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5 * n, 1))
    times = np.tile(np.arange(5), n)
    X = SequenceArray(values, np.arange(n) * 5, np.full(n, 5), time_index=times)
    assert X.time_index is not None
    model = regressor(linear_skip=True).fit(X, values[4::5, 0] + values[2::5, 0])
    assert model.linear_.coef_[0, 2, 0] == pytest.approx(1, abs=0.2)
    assert (model.validation_errors_ is None) == (n < 40)


# Training.


def test_warm_start_goes_on_with_the_network_and_fits_the_linear_part_again():
    X, Y = walks(120)
    model = regressor(warm_start=True, target_feature=[0, 1], max_epochs=3)
    model.fit(X[:60], Y[:60])
    first = model.linear_
    model.fit(X, Y)
    assert model.n_iter_ == 6
    assert model.linear_ is not first
    np.testing.assert_allclose(
        model.predict_linear(X),
        regressor(target_feature=[0, 1]).fit(X, Y).predict_linear(X),
        rtol=0.05,
    )


def test_warm_start_goes_on_where_all_windows_overlap():
    X, Y = windows_over(autoregression(60), 12)
    model = regressor(warm_start=True).fit(X, Y)
    assert model.fit(X, Y).n_iter_ == 2
    assert np.isfinite(model.validation_errors_).all(axis=None)


def test_fit_after_partial_fit_forgets_the_stream():
    X, Y = walks(120)
    model = regressor(linear_skip=True)
    model.partial_fit(100 - 3 * X, Y)
    model.fit(X, Y)
    expected = model.predict_linear(X)
    model.network_weight_[:] = 0.5
    model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_linear(X), expected)


networks = []


@pytest.fixture
def counted(monkeypatch):
    """Return a regressor; what other networks it trains is noted, and on what."""
    networks.clear()
    train = _fit.train_trial

    def note(estimator, changes, samples):
        networks.append((changes["cell"], samples.sequences))
        return train(estimator, changes, samples)

    monkeypatch.setattr(_fit, "train_trial", note)
    return RNNRegressor(**QUICK)


@pytest.mark.parametrize("how", ["X_val", "early_stopping"])
def test_with_validation_no_more_networks_are_trained(counted, how):
    X, Y = walks(100)
    counted.set_params(target_feature=[0, 1], early_stopping=how == "early_stopping")
    validation = {"X_val": X[:50], "y_val": Y[:50]} if how == "X_val" else {}
    counted.fit(X, Y, **validation)
    assert counted.validation_errors_.shape == (2, 4)
    assert np.isfinite(counted.validation_errors_).all(axis=None)
    assert len(networks) == 0
    assert counted.cell_ == "gru"


def test_two_networks_are_compared_on_the_same_folds(counted):
    X, Y = walks(100)
    counted.set_params(target_feature=[0, 1]).fit(X, Y)
    cells, windows = zip(*networks, strict=True)
    assert cells == ("gru", "gru", "gru", "rnn", "rnn", "rnn")
    for one, other in zip(windows[:3], windows[3:], strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["gru", "rnn"]),
        ({"scale_windows": True}, ["gru", "rnn"]),
        ({"scale_windows": False}, ["gru"]),
        ({"subtract_last": False}, ["gru"]),
        ({"target_feature": None}, ["gru"]),
        ({"cell": "lstm"}, ["lstm", "lstm"]),
        ({"cell": "rnn", "scale_windows": False}, ["rnn"]),
        ({"linear_skip": False}, []),
    ],
)
def test_the_networks_to_choose_from(counted, options, expected):
    X, Y = walks(60)
    counted.set_params(**({"target_feature": [0, 1]} | options)).fit(X, Y)
    assert [cell for cell, _ in networks] == np.repeat(expected, 3).tolist()


def test_of_many_sequences_no_network_is_chosen(counted):
    X, Y = walks(3000, n_steps=3)
    counted.set_params(target_feature=[0, 1], batch_size=1000).fit(X, Y)
    assert [cell for cell, _ in networks] == ["gru"] * 3
    assert counted.cell_ == "gru"


def test_the_network_that_predicts_held_out_folds_better_is_chosen():
    rng = np.random.default_rng(0)
    t = np.arange(260)
    season = 1 + 0.5 * np.sin(2 * np.pi * t / 12)
    trend = np.exp(t / 60) * season + 0.05 * rng.normal(size=260) - 3
    logistic = np.full(260, 0.3)
    for k in range(1, 260):  # the next value depends on the level alone
        logistic[k] = 3.99 * logistic[k - 1] * (1 - logistic[k - 1])
    expected = {"rnn": (trend, 24, 128), "gru": (logistic, 2, 64)}
    for cell, (series, n_steps, hidden_size) in expected.items():
        X, Y = windows_over(series, n_steps)
        model = RNNRegressor(max_epochs=20, random_state=0, n_threads=1).fit(X, Y)
        assert (model.cell_, model.hidden_size_) == (cell, hidden_size)
        assert model.module_.core.cell == cell
        assert (model._task.baseline.unit_layout is not None) == (cell == "rnn")
        clone(model).fit(X, Y)
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        model.set_params(warm_start=True).fit(X, Y)
        model.set_params(cell=cell, hidden_size=hidden_size).fit(X, Y)
        assert model.cell_ == cell


@pytest.mark.parametrize("options", [{"return_sequences": True}, {"embedding_dim": 2}])
def test_else_the_network_is_a_gru_of_64_units(options):
    X = np.random.default_rng(0).integers(0, 4, size=(60, 5))
    y = X if "return_sequences" in options else X[:, 0]
    model = RNNRegressor(max_epochs=1, **options).fit(X, y)
    assert (model.cell_, model.hidden_size_) == ("gru", 64)
    model = RNNRegressor(**options).partial_fit(X, y)
    assert (model.cell_, model.hidden_size_) == ("gru", 64)
    assert RNNRegressor(cell="rnn", max_epochs=1).fit(X, X[:, 0]).hidden_size_ == 64


def test_ctrl_c_in_a_comparison_leaves_the_estimator_as_it_was(monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_fit, "train_trial", interrupt)
    X, Y = walks(60)
    model = RNNRegressor(**QUICK, target_feature=[0, 1])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert not hasattr(model, "module_") and not hasattr(model, "linear_")


def test_the_network_is_the_one_that_there_is_without_the_linear_part():
    X, Y = walks(60)
    options = {"target_feature": [0, 1], "dropout": 0.3, "max_epochs": 3}
    options |= {"cell": "gru", "scale_windows": False}  # which no trials choose
    one, other = (regressor(linear_skip=s, **options).fit(X, Y) for s in (True, False))
    assert one.loss_curve_ == other.loss_curve_
    for weights, others in zip(
        one.module_.parameters(), other.module_.parameters(), strict=True
    ):
        assert torch.equal(weights, others)


def test_callbacks_see_the_network_alone_that_predicts():
    X, Y = walks(60)
    sizes = []

    class Watch(Callback):
        def on_epoch_begin(self, net, dataset_train, **kwargs):
            sizes.append(len(dataset_train))

    regressor(callbacks=Watch(), max_epochs=2).fit(X, Y)
    assert sizes == [60, 60]


class Strict(Callback):
    """A callback that scikit-learn cannot clone."""

    def __init__(self, *hooks):
        for hook in hooks:
            setattr(self, hook, self._stop)

    def on_batch_end(self, net, **kwargs):
        pass

    def _stop(self, net, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_end", "on_epoch_end"])
@pytest.mark.parametrize("with_validation", [False, True])
def test_ctrl_c_leaves_a_model_that_predicts(hook, with_validation):
    X, Y = walks(60)
    model = regressor(callbacks=[Strict(hook)], target_feature=[0, 1], max_epochs=5)
    validation = {"X_val": X, "y_val": Y} if with_validation else {}
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, **validation)
    predicted = model.predict(X)
    assert rmse(predicted, Y) < 1.2 * rmse(model.predict_linear(X), Y)
    pickle.loads(pickle.dumps(model))


def test_targets_whose_squares_squared_overflow_are_compared():
    X = np.random.default_rng(0).normal(size=(200, 4))
    y = np.abs(X[:, -1])
    model = regressor(hidden_size=12, max_epochs=30, learning_rate=0.02)
    expected = model.fit(X, y).network_weight_.copy()
    found = model.fit(X, 1e150 * y).network_weight_
    assert expected[0] > 0.5
    np.testing.assert_allclose(found, expected, rtol=1e-3)


class Inflate(Callback):
    """Let the network overflow wherever it predicts."""

    def on_train_end(self, net, **kwargs):
        with torch.no_grad():
            for weight in net.module_.parameters():
                weight.fill_(1e30)


@pytest.mark.parametrize("with_validation", [False, True])
def test_a_network_that_overflows_on_unseen_data_gets_no_weight(with_validation):
    X, Y = walks(60)
    options = {"cell": "rnn_relu", "dtype": "float32", "callbacks": Inflate()}
    validation = {"X_val": X, "y_val": Y} if with_validation else {}
    model = regressor(**options, warm_start=True).fit(X, Y, **validation)
    assert (model.network_weight_ == 0).all() or not with_validation
    assert np.isfinite(model.predict_linear(X)).all()


@pytest.mark.parametrize("loss", ELEMENTWISE_LOSSES)
def test_the_networks_weight_goes_by_the_loss(loss):
    """A mean is what linear parts predict; other losses want another constant."""
    X, y = np.zeros((60, 3, 1)), np.zeros(60)
    y[::15] = 100.0
    model = regressor(loss=loss, max_epochs=60, learning_rate=0.03).fit(X, y)
    assert (model.network_weight_[0] > 0.31) == (loss != "squared_error")
    errors = model.validation_errors_.iloc[0]
    assert errors["combined"] <= 1.01 * errors["linear"]


# Seeds, copies and pickles.


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_a_seed_gives_the_same_model_with_any_number_of_threads(loss):
    X, Y = walks(60)
    first, again, other = (
        regressor(loss=loss, n_threads=n).fit(X, Y) for n in (1, 1, 2)
    )
    for model in (again, other):
        np.testing.assert_array_equal(model.predict(X), first.predict(X))
        np.testing.assert_array_equal(model.network_weight_, first.network_weight_)
    changed = regressor(loss=loss, random_state=1).fit(X, Y)
    assert not np.array_equal(changed.predict(X), first.predict(X))


def test_copies_and_pickles_predict_alike():
    X, Y = walks(60)
    model = regressor(target_feature=[0, 1], loss="quantile").fit(X, Y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_quantiles(X), model.predict_quantiles(X))
    np.testing.assert_array_equal(copy.predict_linear(X), model.predict_linear(X))
    np.testing.assert_array_equal(copy.linear_.coef_, model.linear_.coef_)
    fresh = clone(model)
    assert not hasattr(fresh, "linear_")
    np.testing.assert_array_equal(fresh.fit(X, Y).predict(X), model.predict(X))


# Live signals.


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_a_live_signal_is_predicted_as_all_of_it_at_once(loss):
    X, Y = walks(60, n_steps=9)
    model = regressor(target_feature=[0, 1], subtract_last=False, loss=loss)
    model.fit(X[:, :5], Y)
    model.network_weight_ = np.array([0.3, 0.6])
    live = StatefulPredictor(model)
    for end, begin in ((1, 0), (2, 1), (6, 2), (7, 6), (9, 7)):
        found = live.predict(X[:, begin:end])
        np.testing.assert_allclose(found, model.predict(X[:, :end]), rtol=1e-5)
        live = pickle.loads(pickle.dumps(live))
        model = live.estimator
    live.reset()
    np.testing.assert_allclose(live.predict(X), model.predict(X), rtol=1e-5)


# What it says.


def test_advice_names_the_target_where_the_forecast_is_no_better_than_the_mean(capsys):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 5, 2)), rng.normal(size=60)
    model = regressor(verbose=2, lr_schedule=None, learning_rate=0.1).fit(X, y)
    errors = model.validation_errors_.iloc[0]
    assert errors["combined"] >= errors["naive"]
    assert "no better than the naive one" in model.advice_
    assert "target_feature=" in model.advice_
    assert f"RNNRegressor: {model.advice_}" in capsys.readouterr().out


def test_advice_tells_of_a_network_that_adds_nothing(capsys):
    X, Y = windows_over(autoregression(), 6)
    model = regressor().fit(X, Y)
    assert "by less than 1 %" in model.advice_
    assert capsys.readouterr().out == ""


def test_no_advice_where_the_network_helps():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    model = regressor(hidden_size=16, max_epochs=30, learning_rate=0.02)
    assert model.fit(X, np.abs(X[:, -1])).advice_ is None


def test_the_linear_part_tells_its_size():
    X, Y = walks()
    model = regressor().fit(X, Y)
    assert repr(model.linear_) == "LinearPart(1 members, 6 lags, 2 outputs)"
    assert model.linear_.n_lags_ == 6


def test_validation_errors_have_the_names_of_targets():
    X, Y = windows_over(autoregression(100), 4, horizon=[1, 2])
    assert regressor().fit(X, Y).validation_errors_.index.tolist() == list(Y.columns)


def test_a_warm_start_does_not_weigh_the_network_on_what_it_has_seen():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 6, 2)), rng.normal(size=200)
    model = RNNRegressor(hidden_size=32, warm_start=True, random_state=0)
    before = model.fit(X, y).network_weight_
    after = model.fit(X, y).network_weight_
    np.testing.assert_array_equal(after, before)
    assert after.max() < 0.3


def test_overlapping_windows_are_compared_alike_as_arrays_and_over_a_series():
    """As arrays in random folds, a network would be tested on what it has seen."""
    walk = np.random.default_rng(0).normal(size=420).cumsum()
    X = np.lib.stride_tricks.sliding_window_view(walk[:-20], 12)
    y = walk[31:]
    series = SequenceArray(walk[:, None], np.arange(len(X)), np.full(len(X), 12))
    options = {"hidden_size": 16, "random_state": 0, "target_feature": 0}
    y = np.stack([y] * 2, axis=1)
    models = [RNNRegressor(**options).fit(windows, y) for windows in (X, series)]
    weights = [model.network_weight_ for model in models]
    np.testing.assert_allclose(weights[0], weights[1], atol=1e-6)


def test_subtracting_a_last_value_that_auto_does_not_find_is_an_error():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="target_feature='auto' found none"):
        RNNRegressor(subtract_last=True).fit(rng.normal(size=(60, 5, 2)), np.arange(60))


def test_few_sequences_of_noise_have_no_past():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        model = RNNRegressor(max_epochs=1, random_state=0)
        model.fit(rng.normal(size=(8, 64)), rng.normal(size=8))
        assert model.linear_ is None


def test_more_features_than_can_be_solved_for_have_no_linear_part():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2, 1025)), rng.normal(size=60)
    model = RNNRegressor(hidden_size=2, max_epochs=1, random_state=0)
    with warnings.catch_warnings(action="ignore", category=SequenceLayoutWarning):
        model.fit(X, y)
    assert model.linear_ is None


def test_training_a_network_without_weight_by_partial_fit_is_warned_of():
    X, Y = walks(120)
    model = RNNRegressor(max_epochs=1, random_state=0).fit(X, Y)
    model.network_weight_[:] = 0.0
    with pytest.warns(SklearnRNNWarning, match="has no weight in the predictions"):
        model.partial_fit(X, Y)


def test_a_pickle_of_before_the_linear_part_is_cloned_with_its_meaning():
    X, Y = walks(40)
    model = RNNRegressor(linear_skip=False, max_epochs=1, random_state=0).fit(X, Y)
    state = model.__getstate__()
    for name in ("linear_skip", "scale_windows", "categorical_features"):
        del state[name]
    old = RNNRegressor.__new__(RNNRegressor)
    old.__setstate__(state)
    assert clone(old).linear_skip is False
    np.testing.assert_array_equal(old.predict(X), model.predict(X))


def test_flat_windows_at_the_beginning_of_series_of_different_size_do_no_harm():
    """The first windows are short: flat, their spread tells nothing of their size."""
    t = np.arange(160)
    rng = np.random.default_rng(0)
    parts, errors = [], {}
    for size in (1.0, 1000.0):
        wave = size * (20 + 5 * np.sin(t / 3) + rng.normal(size=160))
        frame = pd.DataFrame({"value": wave})
        parts.append(frame.assign(shop=str(size), day=t))
    table = pd.concat(parts, ignore_index=True)
    names = {"time": "day", "group_by": "shop"}
    X, Y = make_forecast_frame(table, "value", horizon=1, **names)
    windows = SequenceWindower(16, **names).fit_transform(X)
    is_late = X["day"].to_numpy() > 120
    for first in (0, 15):
        seen = np.flatnonzero((X["day"].to_numpy() >= first) & ~is_late)
        model = RNNRegressor(max_epochs=3, random_state=0)
        model.fit(windows[seen], Y.iloc[seen])
        assert model.linear_.layout.is_scaled
        late = np.flatnonzero(is_late)
        error = (model.predict_linear(windows[late]) - Y.to_numpy()[late]).ravel()
        unit = np.where(X["shop"].to_numpy()[late] == "1.0", 1.0, 1000.0)
        errors[first] = np.abs(error / unit).mean()
    assert errors[0] < 1.2 * errors[15]
