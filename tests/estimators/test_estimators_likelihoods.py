"""Likelihoods as losses: distributions that are right, and paths drawn from them."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_regressors_train,
    parametrize_with_checks,
)
from skorch.callbacks import Callback

from sklearn_rnn import (
    DivergenceError,
    RNNRegressor,
    SequenceWindower,
    StatefulPredictor,
    backtest,
    forecast,
    make_forecast_frame,
)
from sklearn_rnn.training import LIKELIHOODS

COUNTS = ["poisson", "negative_binomial"]
REAL = ["gaussian", "student_t"]


def make_regressor(loss, **options):
    """A regressor whose network alone predicts."""
    small = {"hidden_size": 8, "max_epochs": 30, "random_state": 0}
    return RNNRegressor(loss=loss, **{"linear_skip": False, **small, **options})


def make_data(loss, n=300, seed=0, n_outputs=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5, 2))
    mean = X[:, -2:, 0].sum(axis=1) / 2
    if n_outputs:
        mean = np.column_stack([mean * (j + 1) / n_outputs for j in range(n_outputs)])
    if loss == "poisson":
        return X, rng.poisson(np.exp(1 + mean)).astype(float)
    if loss == "negative_binomial":
        dispersion, mean = 0.5, np.exp(2 + mean)
        p = 1 / (1 + dispersion * mean)
        return X, rng.negative_binomial(1 / dispersion, p).astype(float)
    noise = rng.normal(size=mean.shape)
    if loss == "student_t":
        noise = rng.standard_t(3, size=mean.shape)
    return X, 10 + 5 * (mean + noise / 2)


def coverage(model, X, y, low=0.1, high=0.9):
    lower, upper = np.moveaxis(model.predict_quantiles(X, [low, high]), -1, 0)
    return np.mean((lower <= y) & (y <= upper))


# What is predicted


@pytest.mark.thorough
@pytest.mark.parametrize("linear_skip", [False, True])
@pytest.mark.parametrize("loss", LIKELIHOODS)
def test_intervals_cover_what_they_say(loss, linear_skip):
    X, y = make_data(loss, 900)
    model = make_regressor(loss, linear_skip=linear_skip).fit(X[:600], y[:600])
    assert 0.7 < coverage(model, X[600:], y[600:]) < 0.93
    assert coverage(model, X[600:], y[600:], 0.01, 0.99) > 0.92
    assert model.score(X[600:], y[600:]) > 0.15


@pytest.mark.thorough
@pytest.mark.parametrize("linear_skip", [False, True])
def test_the_dispersion_of_counts_is_found(linear_skip):
    X, y = make_data("negative_binomial", 1500)
    model = make_regressor("negative_binomial", linear_skip=linear_skip).fit(X, y)
    X = X[:200]
    draws, mean = model.sample(X, 200, random_state=0), model.predict(X)
    excess = np.mean(draws.var(axis=1) - mean) / np.mean(mean**2)
    assert excess == pytest.approx(0.5, abs=0.15)


def test_poisson_intervals_of_dispersed_counts_are_too_narrow():
    X, y = make_data("negative_binomial", 900)
    poisson, dispersed = (make_regressor(loss).fit(X, y) for loss in COUNTS)
    assert coverage(poisson, X, y) < 0.65 < 0.75 < coverage(dispersed, X, y)


def test_a_scale_that_depends_on_the_sequence_is_found():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 5, 2))
    scale = np.exp(X[:, -1, 1])
    y = scale * rng.normal(size=800)
    model = make_regressor("gaussian").fit(X, y)
    low, high = model.predict_quantiles(X, [0.1, 0.9]).T
    assert np.corrcoef(np.log(high - low), np.log(scale))[0, 1] > 0.9


def test_outliers_move_students_t_less_than_the_gaussian():
    X, y = make_data("gaussian", 300)
    clean = y.copy()
    y[::15] += 200
    error = [
        np.abs(make_regressor(loss).fit(X, y).predict(X) - clean).mean()
        for loss in REAL
    ]
    assert error[1] < error[0] / 2


@pytest.mark.thorough
@pytest.mark.parametrize("loss", COUNTS)
def test_counts_are_predicted_as_whole_numbers(loss):
    X, y = make_data(loss, n_outputs=2)
    model = make_regressor(loss, linear_skip=True).fit(X, y)
    draws, quantiles = model.sample(X, 20, random_state=0), model.predict_quantiles(X)
    assert draws.shape == (300, 2, 20)
    assert quantiles.shape == (300, 2, 3)
    for values in (draws, quantiles):
        assert (values == np.floor(values)).all()
        assert values.min() >= 0
    assert (model.predict(X) > 0).all()
    assert (model.predict(X) % 1 > 0).any()  # means


@pytest.mark.parametrize("loss", LIKELIHOODS)
def test_samples_have_the_quantiles_of_the_distribution(loss):
    X, y = make_data(loss, n_outputs=2)
    model = make_regressor(loss, max_epochs=5).fit(X, y)
    draws = model.sample(X[:5], 4000, random_state=0)
    below = model.predict_quantiles(X[:5], [0.25, 0.75])
    # Of counts, values at the quantile are many.
    assert np.mean(draws <= below[..., :1]) >= 0.24
    assert np.mean(draws < below[..., :1]) <= 0.26
    assert np.mean(draws <= below[..., 1:]) >= 0.74
    assert np.mean(draws < below[..., 1:]) <= 0.76


def test_seeds_make_samples_repeatable():
    X, y = make_data("gaussian")
    model = make_regressor("gaussian", max_epochs=2).fit(X, y)
    first, same = (model.sample(X, 3, random_state=1) for _ in range(2))
    np.testing.assert_array_equal(first, same)
    assert (first != model.sample(X, 3, random_state=2)).all()
    before = torch.get_rng_state()
    model.sample(X, 3, random_state=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_without_a_seed_leave_the_global_random_state_alone():
    X, y = make_data("gaussian")
    model = make_regressor("gaussian", max_epochs=1).fit(X, y)
    before = np.random.get_state()[1:3]  # noqa: NPY002
    first, second = model.sample(X, 3), model.sample(X, 3)
    after = np.random.get_state()[1:3]  # noqa: NPY002
    assert (first != second).all()
    np.testing.assert_array_equal(after[0], before[0])
    assert after[1] == before[1]


@pytest.mark.parametrize("loss", ["gaussian", "poisson"])
def test_paths_vary_together_as_targets_do(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 4, 1))
    common = rng.normal(size=(1500, 1))  # what is not known in advance moves all steps
    y = X[:, -1] + 2 * common + 0.3 * rng.normal(size=(1500, 4))
    if loss == "poisson":
        # Counts share their surprises: the sum of two is in both.
        y = rng.poisson(9.0, size=(1500, 1)) + rng.poisson(1.0, size=(1500, 4))
    model = make_regressor(loss, max_epochs=10).fit(X, y)
    draws = model.sample(X[:100], 200, random_state=0)
    sums = draws.sum(axis=1)
    surprise = y.sum(axis=1) - model.predict(X).sum(axis=1)
    assert sums.std(axis=1).mean() == pytest.approx(surprise.std(), rel=0.12)
    apart = draws.std(axis=2)
    assert np.sqrt((apart**2).sum(axis=1)).mean() < 0.7 * surprise.std()


# With other options


@pytest.mark.thorough
@pytest.mark.parametrize("loss", LIKELIHOODS)
def test_missing_targets_and_weights_count_as_they_should(loss):
    X, y = make_data(loss, n_outputs=2)
    weights = np.ones(300)
    y[::3, 0] = np.nan
    weights[::5] = 0.0
    options = {"missing_targets": "ignore", "linear_skip": True, "max_epochs": 4}
    model = make_regressor(loss, **options).fit(X, y, weights)
    kept = weights > 0
    same = make_regressor(loss, **options).fit(X[kept], y[kept])
    np.testing.assert_allclose(model.predict_quantiles(X), same.predict_quantiles(X))
    np.testing.assert_array_equal(
        model.sample(X, 3, random_state=0), same.sample(X, 3, random_state=0)
    )


@pytest.mark.parametrize("loss", ["student_t", "negative_binomial"])
def test_every_step_has_a_distribution(loss):
    X, y = make_data(loss, n_outputs=5)
    model = make_regressor(loss, return_sequences=True, max_epochs=3).fit(X, y)
    assert model.predict(X).shape == (300, 5)
    assert model.predict_quantiles(X).shape == (300, 5, 3)
    assert model.sample(X, 7, random_state=0).shape == (300, 5, 7)
    ragged = [x[: 2 + i % 3] for i, x in enumerate(X)]
    steps = [one[: 2 + i % 3] for i, one in enumerate(y)]
    draws = model.fit(ragged, steps).sample(ragged, 7, random_state=0)
    assert [len(one) for one in draws] == [len(one) for one in steps]


@pytest.mark.thorough
@pytest.mark.parametrize("loss", LIKELIHOODS)
def test_kernels_and_torch_train_the_same_network(loss):
    X, y = make_data(loss, 60)
    compiled, by_torch = (
        make_regressor(loss, kernel=kernel, dtype="float64", max_epochs=3).fit(X, y)
        for kernel in ("auto", "torch")
    )
    found, expected = (
        model.predict_quantiles(X, [0.3, 0.8]) for model in (compiled, by_torch)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("loss", LIKELIHOODS)
def test_streams_pickles_and_clones(loss):
    X, y = make_data(loss, n_outputs=2)
    model = make_regressor(loss)
    for begin in range(0, 300, 60):
        model.partial_fit(X[begin : begin + 60], y[begin : begin + 60])
    assert model.sample(X[:2], 3, random_state=0).shape == (2, 2, 3)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        loaded.sample(X, 3, random_state=0), model.sample(X, 3, random_state=0)
    )
    assert clone(model).loss == loss


def test_calls_of_partial_fit_add_up_to_one_dependence():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3, 1))
    y = rng.normal(size=(60, 1)) + 0.1 * rng.normal(size=(60, 2))
    model = make_regressor("gaussian", learning_rate=1e-3)
    for i in range(0, 60, 4):
        model.partial_fit(X[i : i + 4], y[i : i + 4])
    draws = model.sample(X[:1], 500, random_state=0)[0]
    assert np.corrcoef(draws)[0, 1] > 0.9


@pytest.mark.parametrize("is_stream", [False, True])
def test_missing_targets_do_not_weaken_the_dependence(is_stream):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 2, 1))
    common = rng.normal(size=(2000, 1))
    y = np.sqrt(0.9) * common + np.sqrt(0.1) * rng.normal(size=(2000, 3))
    y[rng.random(y.shape) < 0.5] = np.nan
    weights = rng.uniform(0.5, 1.5, size=2000)
    model = make_regressor("gaussian", missing_targets="ignore", max_epochs=3)
    if is_stream:
        for half in (slice(1000), slice(1000, None)):
            model.partial_fit(X[half], y[half], weights[half])
    else:
        model.fit(X, y, weights)
    correlation = np.corrcoef(model.sample(X[:1], 5000, random_state=0)[0])
    assert correlation[np.triu_indices(3, 1)] == pytest.approx(0.9, abs=0.04)


def test_correlations_of_different_rows_that_contradict_each_other_can_be_drawn():
    # Known in pairs: both correlations of the second are 1, that of the others is -1.
    rng = np.random.default_rng(0)
    a = rng.normal(size=30)
    y = np.full((90, 3), np.nan)
    y[:30, 0] = y[:30, 1] = y[30:60, 1] = y[30:60, 2] = y[60:, 0] = a
    y[60:, 2] = -a
    X = np.zeros((90, 3, 1))
    model = make_regressor("gaussian", missing_targets="ignore", max_epochs=1)
    draws = model.fit(X, y).sample(X[:1], 20_000, random_state=0)[0]
    means, low = model.predict(X[:1])[0], model.predict_quantiles(X[:1], [0.1587])[0]
    np.testing.assert_allclose(draws.std(axis=1), means - low[:, 0], rtol=0.03)
    correlation = np.corrcoef(draws)[np.triu_indices(3, 1)]
    assert correlation == pytest.approx([0.5, -0.5, 0.5], abs=0.05)


@pytest.mark.parametrize("error", [KeyboardInterrupt, DivergenceError])
def test_a_fit_that_ends_early_leaves_a_model_that_samples(error):
    def stop(*args, **kwargs):
        raise error("now")

    X, y = make_data("gaussian", n_outputs=2)
    callback = Callback()
    callback.on_epoch_end = stop
    model = make_regressor("gaussian", callbacks=[callback])
    with pytest.raises(error, match="now"):
        model.fit(X, y)
    draws = model.sample(X[:1], 2000, random_state=0)[0]
    assert abs(np.corrcoef(draws)[0, 1]) < 0.1


def test_early_stopping_reads_the_likelihood():
    X, y = make_data("gaussian")
    model = make_regressor("gaussian", early_stopping=True, n_iter_no_change=2)
    model.fit(X, y)
    losses = [row["valid_loss"] for row in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmin(losses))
    outputs = model.predict(X[:50]), model.predict_quantiles(X[:50], [0.1587])[:, 0]
    scale = (outputs[0] - outputs[1]) / y.std()
    assert losses[-1] == pytest.approx(np.log(scale).mean() + 1.4, abs=0.6)


def test_a_trained_likelihood_is_not_trained_on_by_another():
    X, y = make_data("poisson")
    model = make_regressor("poisson", warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="loss='gaussian'.* last fit"):
        model.set_params(loss="gaussian").fit(X, y)
    model.set_params(loss="poisson", quantiles=(0.2, 0.7)).fit(X, y)
    assert model.predict_quantiles(X).shape == (300, 2)


def test_a_live_signal_is_predicted_by_means():
    X, y = make_data("student_t")
    model = make_regressor("student_t", linear_skip=True, max_epochs=2).fit(X, y)
    live = StatefulPredictor(model)
    for step in X[0]:
        found = live.predict(step)
    np.testing.assert_allclose(found, model.predict(X[:1]), rtol=1e-5)


# Tables


def make_table(n=120):
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=n, freq="D")
    mean = 6 + 5 * np.sin(2 * np.pi * np.arange(n) / 7)
    return pd.DataFrame({"calls": rng.poisson(mean).astype(float)}, index=days)


@pytest.mark.thorough
def test_a_forecast_has_means_and_quantiles_of_counts():
    table = make_table()
    X, Y = make_forecast_frame(table, target="calls", horizon=3)
    model = make_pipeline(SequenceWindower(14), make_regressor("poisson", max_epochs=9))
    model.set_params(rnnregressor__linear_skip=True)
    found = forecast(model.fit(X, Y), table)
    np.testing.assert_allclose(found["prediction"], model.predict(table)[-1])
    # Paths from the last window of the table are of the same days, those after it.
    assert found.index[0] == table.index[-1] + pd.Timedelta("1D")
    paths = model[-1].sample(model[:-1].transform(table)[-1:], 4000, random_state=0)
    np.testing.assert_allclose(paths[0].mean(axis=1), found["prediction"], rtol=0.05)
    quantiles = found[["q0.1", "q0.5", "q0.9"]].to_numpy()
    assert (quantiles == np.floor(quantiles)).all()
    assert (np.diff(quantiles) >= 0).all()
    past = backtest(model, table, "calls", 3, cv=2)
    assert (
        0.6 < ((past["q0.1"] <= past["truth"]) & (past["truth"] <= past["q0.9"])).mean()
    )


def test_counts_are_not_read_relative_to_the_last_value():
    table = make_table().cumsum()  # small changes, large values
    X, Y = make_forecast_frame(table, target="calls", horizon=1)
    model = make_pipeline(SequenceWindower(7), make_regressor("poisson", max_epochs=1))
    assert not model.fit(X, Y)[-1]._task.baseline.subtracts_last
    model.set_params(rnnregressor__loss="gaussian").fit(X, Y)
    assert model[-1]._task.baseline.subtracts_last
    for name in ("subtract_last", "scale_windows"):
        options = {"target_feature": 0, name: True}
        with pytest.raises(ValueError, match=f"{name}=True makes targets relative"):
            make_regressor("poisson", **options).fit(*make_data("poisson"))


def test_series_of_different_size_have_scales_of_their_own():
    rng = np.random.default_rng(0)
    size = np.exp(rng.uniform(0, 6, size=200))
    paths = size[:, np.newaxis] * (10 + rng.normal(size=(200, 9)))
    X, y = paths[:, :8], paths[:, 8]
    model = make_regressor("gaussian", target_feature=0, scale_windows=True)
    low, high = model.fit(X, y).predict_quantiles(X, [0.1, 0.9]).T
    assert np.corrcoef(np.log(high - low), np.log(size))[0, 1] > 0.95


# Errors


@pytest.mark.parametrize("loss", COUNTS)
@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_targets_that_are_no_counts_are_refused(loss, value):
    X, y = make_data(loss)
    y[3] = value
    with pytest.raises(
        ValueError, match=f"whole numbers from 0, and y holds {value:g}"
    ):
        make_regressor(loss).fit(X, y)


def test_what_has_no_distribution_says_so():
    X, y = make_data("gaussian")
    model = make_regressor("quantile", max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="loss='quantile', which predicts no distrib"):
        model.sample(X)
    with pytest.raises(ValueError, match=r"was fitted to \[0.1, 0.5, 0.9\]"):
        model.predict_quantiles(X, [0.2])
    model.set_params(loss="huber").fit(X, y)
    with pytest.raises(ValueError, match="loss='huber', which predicts no quantiles"):
        model.predict_quantiles(X, [0.2])
    with pytest.raises(ValueError, match="n_samples == 0"):
        model.sample(X, 0)


@pytest.mark.slow
@parametrize_with_checks(
    [make_regressor("gaussian", max_epochs="auto")],
    # With more units, weights and copies of rows differ by more than the check allows.
    expected_failed_checks=lambda estimator: {
        "check_regressors_train": "eight units learn its data to an R2 of 0.4"
    },
)
def test_likelihoods_pass_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_likelihood_of_more_units_learns_the_data_of_that_check(dtype):
    model = make_regressor("gaussian", max_epochs="auto", hidden_size=64)
    check_regressors_train("RNNRegressor", model, X_dtype=dtype)


def test_likelihoods_that_are_hardly_possible_are_compared_without_overflow():
    X = np.random.default_rng(1).normal(size=(45, 9, 2))
    model = RNNRegressor(
        loss="gaussian", hidden_size=4, max_epochs=2, learning_rate=0.1, random_state=0
    ).fit(X, X[:, :, 0].sum(axis=1))
    assert model.validation_errors_.to_numpy().max() > 710  # exp of it overflows
