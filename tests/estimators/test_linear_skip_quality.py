"""What the linear part is worth."""

import numpy as np
import pytest
from linear_models import (
    autoregression,
    linear_part,
    regressor,
    rmse,
    walks,
    windows_over,
)

from sklearn_rnn import (
    SequenceArray,
)
from sklearn_rnn.sequences import check_sequences

# What it is for.


@pytest.mark.thorough
def test_a_linear_series_is_forecast_almost_perfectly():
    t = np.arange(260)
    series = np.sin(t / 3) + 0.5 * np.cos(t / 7)
    X, Y = windows_over(series, 12)
    model = regressor(max_epochs="auto").fit(X[:200], Y[:200])
    alone = regressor(max_epochs="auto", linear_skip=False).fit(X[:200], Y[:200])
    errors = [rmse(m.predict(X[200:]), Y[200:]) for m in (model, alone)]
    assert errors[0] < 1e-3
    assert errors[0] < 0.1 * errors[1]


@pytest.mark.thorough
def test_on_noise_the_network_does_no_harm():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 8)), rng.normal(size=200)
    options = {"max_epochs": 100, "hidden_size": 32, "learning_rate": 0.02}
    errors = regressor(**options).fit(X, y).validation_errors_.iloc[0]
    assert errors["network"] > 1.2 * errors["linear"]
    assert errors["combined"] < 1.02 * errors["linear"]


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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
