"""The linear part of RNNRegressor, and the weight of the network beside it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from linear_models import (
    autoregression,
    linear_part,
    regressor,
    rmse,
    walks,
    windows_over,
)
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sklearn_rnn import (
    SequenceArray,
)
from sklearn_rnn.estimators.closed_form._ridge import PENALTIES
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import validation_folds


def only(part, name):
    """Return a linear part in which one member has all the weight."""
    weights = np.zeros_like(part.weights)
    weights[list(part.member_weights_).index(name)] = 1.0
    return replace(part, weights=weights)


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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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
