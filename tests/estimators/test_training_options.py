"""Options of optimizers, step sizes and batches have the effect they promise."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from option_models import make_data, make_regressor, predictions, watcher, weights_of
from sklearn.base import clone
from skorch.callbacks import LRScheduler
from torch.optim import lr_scheduler as torch_schedulers

from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.training import OPTIMIZERS, n_epochs_for

# The optimizer.


def test_optimizers_lead_to_different_models():
    kinds = [*OPTIMIZERS, torch.optim.Adagrad]
    models = {predictions(optimizer=k, weight_decay=0.1).tobytes() for k in kinds}
    assert len(models) == 5


def test_adamw_without_decay_is_adam():
    np.testing.assert_allclose(
        predictions(optimizer="adamw"), predictions(optimizer="adam"), rtol=1e-9
    )


def test_a_small_learning_rate_moves_little():
    X, y = make_data()
    start, small, large = (
        weights_of(make_regressor(learning_rate=lr).fit(X, y))
        for lr in (1e-15, 1e-4, 1e-2)
    )
    assert 10 * (small - start).norm() < (large - start).norm()


def watch_learning_rates():
    return watcher(
        "on_batch_end", lambda net, **kwargs: net.optimizer_.param_groups[0]["lr"]
    )


def fit_and_watch(**options):
    """Fit, and return the estimator and the learning rate of each update."""
    X, y = make_data()
    callback, seen = watch_learning_rates()
    options = {"max_epochs": 20, "learning_rate": 0.01, **options}
    validation = options.pop("validation", {})
    model = make_regressor(callbacks=callback, **options).fit(X, y, **validation)
    return model, np.array(seen)


def learning_rates(**options):
    return fit_and_watch(**options)[1]


def test_cosine_climbs_to_the_learning_rate_and_falls_to_nothing():
    rates = learning_rates(lr_schedule="cosine")
    assert len(rates) == 60
    top = rates.argmax()
    assert rates[top] == pytest.approx(0.01)
    assert 0 < top <= 4
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < 1e-4


def test_no_schedule_is_a_constant_rate():
    assert set(learning_rates(lr_schedule=None)) == {0.01}


def test_one_cycle_climbs_for_a_third_and_falls_to_nothing():
    rates = learning_rates(lr_schedule="one_cycle")
    assert len(rates) == 60
    top = rates.argmax()
    assert top == 18
    assert rates[top] == pytest.approx(0.01)
    assert rates[0] == pytest.approx(0.01 / 25)
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < 1e-4


def fall_by_power(power, progress):
    return (1 - progress) ** power


@pytest.mark.parametrize(
    "schedule, power",
    [(lambda progress: 1 - progress, 1), (partial(fall_by_power, 2), 2)],
    ids=["function", "partial"],
)
def test_a_function_of_progress_sets_the_rate(schedule, power):
    share_done = np.arange(60) / 60
    expected = 0.01 * (1 - share_done) ** power
    np.testing.assert_allclose(learning_rates(lr_schedule=schedule), expected)


def test_a_torch_scheduler_is_stepped_once_an_epoch():
    halve = partial(torch_schedulers.StepLR, step_size=2, gamma=0.5)
    rates = learning_rates(lr_schedule=halve).reshape(20, 3)  # epochs, updates
    expected = 0.01 * 0.5 ** (np.arange(20) // 2)
    np.testing.assert_allclose(rates, expected[:, None].repeat(3, axis=1))


def test_a_torch_scheduler_class_needs_no_arguments_that_have_defaults():
    # A third of the rate for 5 epochs, says torch.
    rates = learning_rates(lr_schedule=torch_schedulers.ConstantLR)
    np.testing.assert_allclose(rates[:15], 0.01 / 3)
    np.testing.assert_allclose(rates[15:], 0.01)


def test_skorchs_scheduler_may_step_every_batch():
    schedule = LRScheduler(
        torch_schedulers.ExponentialLR, gamma=0.9, step_every="batch"
    )
    rates = learning_rates(lr_schedule=schedule)
    np.testing.assert_allclose(rates, 0.01 * 0.9 ** np.arange(60))


@pytest.mark.parametrize(
    "schedule",
    ["one_cycle", partial(torch_schedulers.ExponentialLR, gamma=0.5)],
    ids=["one_cycle", "torch"],
)
def test_a_schedule_rules_weights_with_and_without_decay(schedule):
    X, y = make_data()
    callback, seen = watcher(
        "on_batch_end",
        lambda net, **kwargs: {g["lr"] for g in net.optimizer_.param_groups},
    )
    options = {"weight_decay": 0.1, "layer_norm": True}
    make_regressor(lr_schedule=schedule, callbacks=callback, **options).fit(X, y)
    assert [len(rates) for rates in seen] == [1] * 9


def plateau_by_hand(losses, tol, rate=0.01):
    """The rate of each epoch, divided by 5 after 5 epochs without progress."""
    best, n_bad, rates, lowest = np.inf, 0, [], 0.008 * rate
    for loss in losses:
        rates.append(rate)
        if loss < best - tol:
            best, n_bad = loss, 0
        else:
            n_bad += 1
        if n_bad == 5:
            rate, n_bad = max(rate / 5, lowest), 0
    return rates


def test_plateau_divides_by_5_when_the_loss_stalls():
    # No fall of the loss is large enough: only the first epoch counts as one.
    model, rates = fit_and_watch(lr_schedule="plateau", tol=1e9, max_epochs=25)
    # It comes to rest at a floor.
    expected = [0.01] * 6 + [0.002] * 5 + [0.0004] * 5 + [8e-5] * 9
    np.testing.assert_allclose(rates[::3], expected)
    assert expected == pytest.approx(plateau_by_hand(model.loss_curve_, tol=1e9))


def test_plateau_keeps_the_rate_while_the_loss_falls():
    model, rates = fit_and_watch(lr_schedule="plateau", tol=0.0, learning_rate=1e-3)
    assert (np.diff(model.loss_curve_) < 0).all()
    assert set(rates) == {1e-3}


def test_plateau_counts_a_fall_by_tol():
    model, rates = fit_and_watch(lr_schedule="plateau", tol=0.2)
    by_hand = plateau_by_hand(model.loss_curve_, tol=0.2)
    assert by_hand[-1] < plateau_by_hand(model.loss_curve_, tol=0.0)[-1]
    np.testing.assert_allclose(rates[::3], by_hand)


def contrary():
    """Validation data that say the opposite: the better the fit, the worse they go."""
    X, y = make_data()
    return {"X_val": X, "y_val": -y}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options",
    [
        {"validation": contrary()},
        {"validation": contrary(), "early_stopping": True, "n_iter_no_change": 30},
        {"early_stopping": True, "validation_fraction": 0.1, "n_iter_no_change": 30},
    ],
    ids=["X_val", "X_val_and_early_stopping", "held_out"],
)
def test_plateau_watches_the_validation_loss_if_there_is_one(options):
    model, rates = fit_and_watch(lr_schedule="plateau", learning_rate=0.03, **options)
    valid = plateau_by_hand([row["valid_loss"] for row in model.history_], 1e-4, 0.03)
    train = plateau_by_hand(model.loss_curve_, 1e-4, 0.03)
    n_batches = len(rates) // model.n_iter_
    assert valid != train
    np.testing.assert_allclose(rates[::n_batches], valid)


LIKE_PLATEAU = partial(
    torch_schedulers.ReduceLROnPlateau,
    factor=0.2,
    patience=4,
    min_lr=0.008 * 0.03,
    threshold=1e-4,
    threshold_mode="abs",
)


def test_torchs_own_plateau_watches_the_same_loss():
    options = {"validation": contrary(), "learning_rate": 0.03}
    rates = learning_rates(lr_schedule=LIKE_PLATEAU, **options)
    assert rates[-1] < 0.01
    np.testing.assert_array_equal(
        rates, learning_rates(lr_schedule="plateau", **options)
    )


@pytest.mark.parametrize(
    "schedule, message",
    [
        ("cosin", "lr_schedule.*'cosine'.*'cosin'"),
        (0.1, "lr_schedule.*0.1"),
        (torch.optim.Adam, "lr_schedule=.*Adam.*is not a learning rate scheduler"),
        (LRScheduler, "lr_schedule=.*LRScheduler.*is not a learning rate scheduler"),
        (
            partial(torch_schedulers.StepLR, 2),
            "lr_schedule=.*StepLR.* has positional arguments",
        ),
        (partial(torch.optim.Adam, lr=1), "lr_schedule=.*Adam.*is not a"),
        # An instance holds an optimizer of its own: the class is asked for.
        (
            torch_schedulers.StepLR(
                torch.optim.SGD([torch.zeros(1, requires_grad=True)]), 1
            ),
            "(?s)lr_schedule.*class",
        ),
    ],
    ids=["typo", "number", "optimizer", "skorch", "positional", "partial", "instance"],
)
def test_what_is_no_schedule_is_refused_before_training(schedule, message):
    X, y = make_data()
    model = make_regressor(lr_schedule=schedule)
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X, y)
    assert not hasattr(model, "module_")


@pytest.mark.parametrize(
    "schedule",
    [
        torch_schedulers.StepLR,
        partial(torch_schedulers.StepLR, step=1),
        LRScheduler(torch_schedulers.StepLR),
    ],
    ids=["missing", "misspelt", "skorch"],
)
def test_a_scheduler_with_wrong_arguments_does_not_leave_a_fitted_estimator(schedule):
    X, y = make_data()
    model = make_regressor(lr_schedule=schedule)
    with pytest.raises(TypeError, match="StepLR"):
        model.fit(X, y)
    assert not hasattr(model, "module_")
    # And does not cost one that was fitted before.
    model.set_params(lr_schedule=None).fit(X, y)
    before = model.predict(X)
    with pytest.raises(TypeError, match="StepLR"):
        model.set_params(lr_schedule=schedule).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)


HALVE = partial(torch_schedulers.StepLR, step_size=1, gamma=0.5)


HALVE_IN_SKORCH = LRScheduler(torch_schedulers.StepLR, step_size=1, gamma=0.5)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "schedule",
    [
        HALVE,
        HALVE_IN_SKORCH,
        LRScheduler(LIKE_PLATEAU.func, **LIKE_PLATEAU.keywords),
        torch_schedulers.LinearLR,
        partial(fall_by_power, 2),
    ],
    ids=["partial", "skorch", "plateau_in_skorch", "class", "partial_of_function"],
)
def test_schedules_that_are_objects_are_cloned_pickled_and_left_alone(schedule):
    X, y = make_data()
    before = pickle.dumps(schedule)
    model = make_regressor(lr_schedule=schedule).fit(X, y)
    assert model.lr_schedule is schedule
    assert pickle.dumps(schedule) == before
    predictions = model.predict(X)
    assert not np.array_equal(predictions, make_regressor().fit(X, y).predict(X))
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), predictions)
    for copy in (clone(model), clone(loaded), model):
        np.testing.assert_array_equal(copy.fit(X, y).predict(X), predictions)


@pytest.mark.parametrize(
    "schedule",
    ["cosine", "plateau", HALVE, HALVE_IN_SKORCH],
    ids=["cosine", "plateau", "torch", "skorch"],
)
def test_partial_fit_has_a_constant_rate_after_any_schedule(schedule):
    X, y = make_data()
    callback, seen = watch_learning_rates()
    model = make_regressor(lr_schedule=schedule, learning_rate=0.01, tol=1e9)
    model.set_params(callbacks=callback, max_epochs=6).fit(X, y)
    seen.clear()
    for _ in range(5):
        model.partial_fit(X, y)
    assert set(seen) == {0.01}
    assert len(seen) == 15


def test_partial_fit_goes_on_where_a_plateau_was_watched_on_validation_data():
    X, y = make_data()
    model = make_regressor(lr_schedule="plateau").fit(X, y, X_val=X, y_val=y)
    assert model.partial_fit(X, y).n_iter_ == 4


def test_partial_fit_goes_on_after_an_interrupt_of_a_scheduled_fit():
    X, y = make_data()

    def interrupt(net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt

    callback, _ = watcher("on_epoch_end", interrupt)
    model = make_regressor(lr_schedule=HALVE, callbacks=callback)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    model.partial_fit(X, y)
    assert model.n_iter_ == 3


def test_a_pickle_loads_though_the_schedule_set_since_fits_no_callback():
    X, y = make_data()
    model = make_regressor(lr_schedule=None, callbacks=HALVE_IN_SKORCH).fit(X, y)
    model.set_params(lr_schedule="cosine")
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    # It is fit that refuses the two of them.
    with pytest.raises(ValueError, match="callbacks has an LRScheduler"):
        loaded.fit(X, y)


def test_warm_start_runs_through_the_schedule_again():
    X, y = make_data()
    callback, seen = watch_learning_rates()
    model = make_regressor(lr_schedule=HALVE, learning_rate=0.01, callbacks=callback)
    model.set_params(warm_start=True).fit(X, y).fit(X, y)
    expected = 2 * [0.01, 0.005, 0.0025]
    np.testing.assert_allclose(seen, np.repeat(expected, 3))


def test_weight_decay_shrinks_the_weights():
    X, y = make_data()
    norms = [
        weights_of(make_regressor(weight_decay=decay).fit(X, y)).norm()
        for decay in (0.0, 1.0, 10.0)
    ]
    assert norms[0] > norms[1] > norms[2]


def test_weight_decay_spares_the_biases():
    """With nothing to learn, weights decay and the forget gate's bias stays at 1."""
    X = np.zeros((40, 6, 2))
    options = {"cell": "lstm", "optimizer": "adamw", "learning_rate": 0.1}
    model = make_regressor(weight_decay=3.0, max_epochs=5, **options)
    model.fit(X, np.full(40, 3.0))
    rnn = model.module_.core.rnn
    assert rnn.weight_hh_l0.abs().max() < 0.2
    assert rnn.bias_ih_l0[4:8].min() > 0.5


def test_weight_decay_shrinks_every_matrix_and_no_bias_and_no_scale():
    """Of all parameters by name; clipping leaves nothing of the gradient."""
    X = np.zeros((40, 6), dtype=int)
    network = {"n_layers": 2, "layer_norm": True, "pooling": "attention"}
    network |= {"cell": "lstm", "embedding_dim": 3, "clip_norm": 1e-9}
    training = {"optimizer": "sgd", "learning_rate": 0.02, "max_epochs": 8}
    start, end = (
        make_regressor(weight_decay=decay, **network, **training)
        .fit(X, np.full(40, 3.0))
        .module_.state_dict()
        for decay in (0.0, 1.0)
    )
    share_left = {
        name: float(end[name].norm() / weight.norm())
        for name, weight in start.items()
        if weight.norm() > 1e-3
    }
    matrices = {name for name, weight in start.items() if weight.ndim == 2}
    assert len(matrices) == 8
    assert {name for name, share in share_left.items() if share < 0.5} == matrices
    spared = [share_left[name] for name in share_left.keys() - matrices]
    assert len(spared) >= 4  # forget gates, scales
    np.testing.assert_allclose(spared, 1, rtol=1e-6)


@pytest.mark.parametrize("clip", [{"clip_norm": 1e-4}, {"clip_value": 1e-5}])
def test_clipping_bounds_how_far_the_weights_go(clip):
    X, y = make_data()
    options = {"optimizer": "sgd", "lr_schedule": None, "learning_rate": 0.1}
    start = weights_of(make_regressor(**{**options, "learning_rate": 1e-15}).fit(X, y))
    free = make_regressor(**options, clip_norm=None).fit(X, y)
    clipped = make_regressor(**{**options, "clip_norm": None, **clip}).fit(X, y)
    # 9 updates of 0.1 times a gradient of norm 1e-4, tenfold by momentum.
    assert (weights_of(clipped) - start).norm() < 9e-4
    assert (weights_of(free) - start).norm() > 1e-2


# Batches and epochs.


def test_batch_size_bounds_the_batches():
    X, y = make_data()
    callback, sizes = watcher(
        "on_batch_begin", lambda net, batch, **kwargs: len(batch[0]["x"])
    )
    make_regressor(batch_size=15, max_epochs=1, callbacks=callback).fit(X, y)
    assert sorted(sizes) == [13, 13, 14]


@pytest.mark.parametrize("shuffle", [False, True])
def test_shuffle_draws_a_new_order_for_every_epoch(shuffle):
    X = np.arange(40.0)[:, None].repeat(3, axis=1)
    callback, firsts = watcher(
        "on_batch_begin", lambda net, batch, **kwargs: batch[0]["x"][:, 0, 0].tolist()
    )
    model = make_regressor(shuffle=shuffle, max_epochs=2, callbacks=callback)
    model.fit(X, np.arange(40.0))
    first, second = (sum(firsts[i : i + 3], []) for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(40))
    assert (first == second) != shuffle
    assert (first == list(range(40))) != shuffle


def test_max_epochs_is_the_number_of_passes():
    X, y = make_data()
    model = make_regressor(max_epochs=4).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 4


@pytest.mark.parametrize("make", [RNNRegressor, RNNClassifier])
def test_auto_batches_come_from_the_number_of_sequences(make):
    X, y = make_data(n_sequences=300)
    sizes = {}
    for n in (20, 100, 300):
        model = make(hidden_size=2, max_epochs=1).fit(X[:n], (y > 0)[:n] * 1)
        assert model.batch_size_ == model.net_.batch_size
        sizes[n] = model.batch_size_
    assert sizes == {20: 20, 100: 8, 300: 16}


def test_auto_batches_of_a_stream_come_from_each_call():
    X, y = make_data(n_sequences=300)
    model = make_regressor(batch_size="auto").partial_fit(X, y)
    assert model.batch_size_ == model.net_.batch_size == 16
    model.partial_fit(X[:20], y[:20])
    assert model.batch_size_ == model.net_.batch_size == 20


@pytest.mark.thorough
@pytest.mark.parametrize("batch_size", [4, 40])
def test_auto_epochs_come_from_the_size_of_the_data(batch_size):
    X, y = make_data()
    callback, planned = watcher("on_train_begin", lambda net, **kwargs: net.max_epochs)
    options = {"hidden_size": 1, "batch_size": batch_size, "callbacks": callback}
    model = make_regressor(max_epochs="auto", **options).fit(X, y)
    assert planned == [model.n_iter_] == [n_epochs_for(40, batch_size)]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "n, options, n_epochs",
    [
        (8192, {}, 20),
        (8191, {}, 5),
        (8192, {"target_feature": None}, 5),
        (8192, {"batch_size": 8}, 5),
    ],
)
def test_forecasts_from_many_windows_take_more_epochs(n, options, n_epochs):
    X = np.random.RandomState(0).normal(size=(n, 2, 1)).astype(np.float32)
    options = {"target_feature": 0, "batch_size": 64, "hidden_size": 1} | options
    model = make_regressor(max_epochs="auto", **options).fit(X, X[:, 0, 0])
    assert model.n_iter_ == n_epochs
