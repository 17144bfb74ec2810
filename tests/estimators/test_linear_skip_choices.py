"""What "auto" finds, and how the network beside the linear part is trained."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from linear_models import QUICK, autoregression, regressor, rmse, walks, windows_over
from sklearn.base import clone
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

# What "auto" finds.


@pytest.mark.thorough
def test_auto_finds_the_past_by_the_names_of_targets():
    table = pd.DataFrame({"a": autoregression(80), "b": autoregression(80, seed=1)})
    X, Y = make_forecast_frame(table, ["b", "a"], horizon=[1])
    windows = SequenceWindower(4, history=None).fit_transform(X)
    model = regressor().fit(windows, Y)
    by_name = regressor(target_feature=["b", "a"]).fit(windows, Y)
    np.testing.assert_array_equal(model.predict(windows), by_name.predict(windows))
    assert "naive" in model.linear_.member_weights_


@pytest.mark.thorough
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


@pytest.mark.thorough
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

    def note(estimator, checkpoint, changes, samples):
        networks.append((changes["cell"], samples.sequences))
        return train(estimator, checkpoint, changes, samples)

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


@pytest.mark.thorough
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


@pytest.mark.slow
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_a_warm_start_does_not_weigh_the_network_on_what_it_has_seen():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 6, 2)), rng.normal(size=200)
    model = RNNRegressor(hidden_size=32, warm_start=True, random_state=0)
    before = model.fit(X, y).network_weight_
    after = model.fit(X, y).network_weight_
    np.testing.assert_array_equal(after, before)
    assert after.max() < 0.3


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
@pytest.mark.parametrize("loss", ELEMENTWISE_LOSSES)
def test_the_choice_of_a_network_does_not_depend_on_units(loss):
    rng, t = np.random.default_rng(0), np.arange(220)
    series = np.exp(0.004 * t) * (10 + 3 * np.sin(2 * np.pi * t / 12))
    series += rng.normal(0, 0.1, size=220)
    X = np.lib.stride_tricks.sliding_window_view(series, 24)[:-1, :, np.newaxis]
    options = {"loss": loss, "target_feature": 0, "random_state": 0}
    models = [RNNRegressor(**options).fit(X * k, series[24:] * k) for k in (1, 1e-4)]
    assert models[0].cell_ == models[1].cell_ == "rnn"
    weights = [model.network_weight_ for model in models]
    np.testing.assert_allclose(*weights, rtol=1e-3)
