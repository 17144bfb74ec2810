"""Every option, by what it does to the fitted model."""

import inspect
import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, LRScheduler
from torch.optim import lr_scheduler as torch_schedulers

from sklearn_rnn import RNNClassifier, RNNRegressor, RNNTagger, SequenceArray
from sklearn_rnn.training import OPTIMIZERS, n_epochs_for


def make_data(n_sequences=40, n_features=2, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_sequences, 6, n_features))
    return X, X[:, -2:, 0].sum(axis=1)


def make_regressor(**options):
    """A regressor whose network alone predicts, and reads X as it is."""
    small = {
        "linear_skip": False,
        "target_feature": None,
        "hidden_size": 4,
        "max_epochs": 3,
        "input_dropout": 0.0,
        "batch_size": 16,
        "random_state": 0,
    }
    return RNNRegressor(**{**small, **options})


def predictions(**options):
    X, y = make_data()
    return make_regressor(**options).fit(X, y).predict(X)


def watcher(hook, look):
    """A callback that keeps what `look(net, **kwargs)` sees at a hook."""
    seen = []

    def keep(self, net, *args, **kwargs):
        seen.append(look(net, **kwargs))

    return type("Watcher", (Callback,), {hook: keep})(), seen


def weights_of(model):
    return torch.cat([p.detach().ravel() for p in model.module_.parameters()])


# The network.


@pytest.mark.parametrize("cell, n_gates", [("rnn", 1), ("lstm", 4), ("gru", 3)])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_network_has_as_many_parameters_as_asked(
    cell, n_gates, n_layers, bidirectional
):
    X, y = make_data()
    options = {"cell": cell, "n_layers": n_layers, "bidirectional": bidirectional}
    model = make_regressor(**options, max_epochs=1).fit(X, y)
    directions = 1 + bidirectional
    core = sum(
        directions * n_gates * 4 * ((2 if layer == 0 else 4 * directions) + 4 + 2)
        for layer in range(n_layers)
    )
    assert model.n_parameters_ == core + 4 * directions + 1


def test_hidden_size_is_the_width_of_the_states():
    X, y = make_data()
    model = make_regressor(hidden_size=7).fit(X, y)
    assert model.module_.run(torch.tensor(X))[0].shape == (6, 40, 7)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_bidirectional_lets_early_states_know_late_steps(bidirectional):
    X, y = make_data()
    model = make_regressor(bidirectional=bidirectional).fit(X, y)
    changed = X.copy()
    changed[:, -1] += 1
    first, after = (model.module_.run(torch.tensor(x))[0][0] for x in (X, changed))
    assert torch.equal(first, after) != bidirectional


def test_residual_adds_the_input_of_upper_layers():
    X, y = make_data()
    model = make_regressor(n_layers=2, residual=True, max_epochs=1).fit(X, y)
    plain = make_regressor(n_layers=2, max_epochs=1).fit(X, y)
    plain.module_.load_state_dict(model.module_.state_dict())
    x = torch.tensor(X)
    lower = make_regressor(max_epochs=1).fit(X, y)
    below = {k: v for k, v in model.module_.core.rnn.state_dict().items() if "l0" in k}
    lower.module_.core.rnn.load_state_dict(below)
    torch.testing.assert_close(
        model.module_.run(x)[0],
        plain.module_.run(x)[0] + lower.module_.run(x)[0],
    )


@pytest.mark.parametrize("layer_norm", [False, True])
def test_layer_norm_brings_states_to_mean_0_and_deviation_1(layer_norm):
    X, y = make_data()
    model = make_regressor(layer_norm=layer_norm, hidden_size=16, learning_rate=1e-15)
    states = np.concatenate(model.fit(X, y).hidden_states(X))
    normalised = np.allclose(states.mean(axis=1), 0, atol=1e-4) and np.allclose(
        states.std(axis=1), 1, atol=0.01
    )
    assert normalised == layer_norm


def test_layer_norm_stands_between_layers_too():
    X, y = make_data()
    model = make_regressor(n_layers=2, layer_norm=True, dtype="float64").fit(X, y)
    weights = model.module_.core.rnn.state_dict()
    x = torch.tensor((X - X.mean((0, 1))) / X.std((0, 1))).transpose(0, 1)
    for layer, norm in enumerate(model.module_.core.norms):
        rnn = torch.nn.GRU(x.shape[2], 4, dtype=torch.float64)
        of_layer = {k: v for k, v in weights.items() if k.endswith(f"l{layer}")}
        rnn.load_state_dict({k[:-1] + "0": v for k, v in of_layer.items()})
        x = norm(rnn(x)[0])
    states = np.stack(model.hidden_states(X), axis=1)
    np.testing.assert_allclose(states, x.detach(), atol=1e-9)


def test_layer_norm_learns_a_scale_and_a_shift_for_every_unit():
    X, y = make_data()
    model, plain = (
        make_regressor(n_layers=2, bidirectional=True, layer_norm=norm).fit(X, y)
        for norm in (True, False)
    )
    assert model.n_parameters_ == plain.n_parameters_ + 2 * 2 * (2 * 4)
    for norm in model.module_.core.norms:
        assert not torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert not torch.equal(norm.bias, torch.zeros_like(norm.bias))


@pytest.mark.parametrize("option", ["dropout", "input_dropout", "weight_drop"])
def test_dropout_disturbs_training_and_not_prediction(option):
    X, y = make_data()
    plain = make_regressor(max_epochs=1, learning_rate=1e-15).fit(X, y)
    model = make_regressor(max_epochs=1, learning_rate=1e-15, **{option: 0.5})
    model.fit(X, y)
    assert model.loss_curve_ != plain.loss_curve_
    np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-6)
    again = make_regressor(max_epochs=1, learning_rate=1e-15, **{option: 0.5})
    assert again.fit(X, y).loss_curve_ == model.loss_curve_


def test_input_dropout_never_hides_a_single_feature():
    X, y = make_data(n_features=1)
    with_it, without = (
        make_regressor(input_dropout=p).fit(X, y).predict(X) for p in (0.5, 0.0)
    )
    np.testing.assert_array_equal(with_it, without)


def test_input_dropout_spreads_trust_over_features_that_say_the_same():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(200, 5, 1))
    X = signal + 0.01 * rng.normal(size=(200, 5, 4))
    y = signal[:, -1, 0]
    one_missing = X.copy()
    one_missing[:, :, 0] = 0.0
    errors = {}
    for p in (0.0, 0.4):
        model = make_regressor(input_dropout=p, max_epochs=40, learning_rate=0.02)
        model.fit(X, y)
        errors[p] = np.mean((model.predict(one_missing) - y) ** 2)
    assert errors[0.4] < 0.7 * errors[0.0]


def outputs_in_training(find, X, y, **options):
    """What the module that `find(network)` names puts out, batch by batch."""
    outputs = []

    def hook(module, inputs, output):
        if module.training:
            outputs.append(output.detach().clone())

    callback, _ = watcher(
        "on_train_begin",
        lambda net, **kwargs: find(net.module_).register_forward_hook(hook),
    )
    make_regressor(callbacks=callback, **options).fit(X, y)
    return outputs


@pytest.mark.parametrize(
    "find",
    [lambda network: network.core.dropout[0], lambda network: network.dropout],
    ids=["between_layers", "before_the_output_layer"],
)
def test_dropout_hides_the_same_units_at_every_step(find):
    X, _ = make_data()
    options = {"n_layers": 2, "hidden_size": 16, "return_sequences": True}
    outputs = outputs_in_training(find, X, X[:, :, 0], dropout=0.5, **options)
    assert len(outputs) == 9
    hidden = torch.cat(outputs, dim=1) == 0  # (T, N, H), of all batches
    assert torch.equal(hidden, hidden[:1].expand_as(hidden))
    # Drawn anew for each sequence and each batch.
    assert len(hidden[0].unique(dim=0)) > 0.9 * hidden.shape[1]
    assert hidden.double().mean() == pytest.approx(0.5, abs=0.05)


def test_dropout_hides_the_same_units_in_all_pieces_of_a_sequence():
    X, _ = make_data()
    options = {"n_layers": 2, "return_sequences": True, "bptt_steps": 2}
    first, second, third, new_batch, *_ = outputs_in_training(
        lambda network: network.core.dropout[0], X, X[:, :, 0], dropout=0.5, **options
    )
    hidden = first[0] == 0
    assert torch.equal(second[0] == 0, hidden)
    assert torch.equal(third[0] == 0, hidden)
    assert not torch.equal(new_batch[0] == 0, hidden)


@pytest.mark.thorough
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_weight_drop_hides_recurrent_weights_alone(cell):
    """A single step reads no recurrent weight, so nothing is hidden from it."""
    X, y = make_data()
    for n_timesteps, same in ((1, True), (6, False)):
        with_it, without = (
            make_regressor(cell=cell, weight_drop=p, kernel="torch")
            .fit(X[:, -n_timesteps:], y)
            .predict(X[:, -n_timesteps:])
            for p in (0.5, 0.0)
        )
        assert np.array_equal(with_it, without) == same


def test_weight_drop_draws_anew_for_every_batch_and_scales_what_it_keeps():
    X, y = make_data()
    options = {"hidden_size": 16, "learning_rate": 1e-15}
    dropped = outputs_in_training(
        lambda network: network.core.weight_drop["l0"], X, y, weight_drop=0.3, **options
    )
    assert len({(weights == 0).numpy().tobytes() for weights in dropped}) == 9
    share = torch.stack([(weights == 0).double().mean() for weights in dropped])
    assert share.mean() == pytest.approx(0.3, abs=0.03)
    model = make_regressor(weight_drop=0.3, **options).fit(X, y)
    whole = model.module_.core.rnn.weight_hh_l0.detach()
    for weights in dropped:
        kept = weights != 0
        torch.testing.assert_close(weights[kept], whole[kept] / 0.7)


def test_weight_drop_drops_in_every_layer_and_direction():
    X, y = make_data()
    for run in ("l0", "l0_reverse", "l1", "l1_reverse"):
        weights = outputs_in_training(
            lambda network, run=run: network.core.weight_drop[run],
            X,
            y,
            **{"weight_drop": 0.5, "n_layers": 2, "bidirectional": True},
        )
        assert 0 < (weights[0] == 0).sum() < weights[0].numel()


@pytest.mark.parametrize(
    "pooling, target", [("mean", np.mean), ("max", np.max), ("attention", np.max)]
)
def test_a_pooling_finds_what_the_last_state_has_forgotten(pooling, target):
    X = np.random.default_rng(0).normal(size=(100, 30))
    y = target(X, axis=1)
    options = {"cell": "rnn", "hidden_size": 8, "max_epochs": 15, "learning_rate": 0.02}
    last, pooled = (
        make_regressor(pooling=p, **options).fit(X, y).loss_curve_[-1]
        for p in ("last", pooling)
    )
    assert pooled < 0.75 * last


def test_attention_pooling_learns_weights_of_its_own():
    X, y = make_data()
    model = make_regressor(pooling="attention", dtype="float64").fit(X, y)
    weights = np.stack(model.attention_weights(X))
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert weights.std(axis=1).min() > 0


# A prediction for every step.


def test_return_sequences_predicts_at_every_step_from_what_came_before():
    X, _ = make_data()
    y = X[:, :, 0].cumsum(axis=1)
    options = {"max_epochs": 60, "learning_rate": 0.03, "hidden_size": 8}
    model = make_regressor(return_sequences=True, **options).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.9
    changed = X.copy()
    changed[:, 3] += 1
    moved = (model.predict(changed) != model.predict(X)).any(axis=0)
    assert moved.tolist() == [False] * 3 + [True] * 3


def test_return_sequences_reads_the_future_if_bidirectional():
    X, _ = make_data()
    options = {"return_sequences": True, "bidirectional": True}
    model = make_regressor(**options).fit(X, X[:, :, 0])
    changed = X.copy()
    changed[:, -1] += 1
    assert (model.predict(changed) != model.predict(X)).all()


def test_return_sequences_with_targets_at_the_end_alone_is_pooling_last():
    X, y = make_data()
    at_the_end = np.full(X.shape[:2], np.nan)
    at_the_end[:, -1] = y
    each_step = make_regressor(return_sequences=True).fit(X, at_the_end)
    last = make_regressor(pooling="last").fit(X, y)
    np.testing.assert_allclose(each_step.loss_curve_, last.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(each_step.predict(X)[:, -1], last.predict(X), atol=1e-5)


def test_return_sequences_and_a_pooling_contradict_each_other():
    X, _ = make_data()
    model = make_regressor(return_sequences=True, pooling="max")
    for train in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="pooling='max'.*return_sequences"):
            train(X, X[:, :, 0])


def test_return_sequences_set_after_fit_waits_for_the_next_fit():
    X, y = make_data()
    model = make_regressor().fit(X, y)
    before = model.predict(X)
    model.set_params(return_sequences=True)
    np.testing.assert_array_equal(model.predict(X), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), before)
    assert model.fit(X, X[:, :, 0]).predict(X).shape == (40, 6)


# Gradients through time.


def step_data():
    X, _ = make_data()
    return X, X[:, :, 0].cumsum(axis=1)


def ragged_data():
    X, y = make_data()
    return [x[i % 5 :] for i, x in enumerate(X)], y


@pytest.mark.thorough
@pytest.mark.parametrize("data", [make_data, step_data, ragged_data])
def test_bptt_steps_matter_when_sequences_are_longer(data):
    X, y = data()
    options = {"return_sequences": data is step_data}
    models = {
        steps: make_regressor(bptt_steps=steps, **options).fit(X, y)
        for steps in (None, 100, 6, 5, 2)
    }
    state = {steps: weights_of(model) for steps, model in models.items()}
    assert torch.equal(state[100], state[None])
    assert torch.equal(state[6], state[None])
    assert not torch.equal(state[5], state[None])
    assert not torch.equal(state[2], state[5])


@pytest.mark.thorough
def test_bptt_steps_cut_off_what_lies_further_back():
    """Learning to hand on the first step needs gradients from the last."""
    X = np.random.default_rng(0).normal(size=(100, 8))
    options = {"cell": "rnn", "hidden_size": 8, "max_epochs": 30}
    whole, cut = (
        make_regressor(bptt_steps=steps, learning_rate=0.02, **options)
        .fit(X, X[:, 0])
        .loss_curve_[-1]
        for steps in (None, 2)
    )
    assert whole < 0.5 * cut


def count_updates(X, y, **options):
    callback, seen = watcher("on_grad_computed", lambda net, **kwargs: 1)
    make_regressor(callbacks=callback, **options).fit(X, y)
    return len(seen)


def test_bptt_steps_make_an_update_a_piece_where_every_step_has_a_target():
    X, y = step_data()
    options = {"bptt_steps": 2, "max_epochs": 1}
    assert count_updates(X, y, return_sequences=True, **options) == 3 * 3
    assert count_updates(X, y[:, -1], **options) == 3


@pytest.mark.thorough
def test_bptt_steps_count_in_the_automatic_number_of_epochs():
    X, y = step_data()
    callback, planned = watcher("on_train_begin", lambda net, **kwargs: net.max_epochs)
    options = {"hidden_size": 1, "batch_size": 4, "max_epochs": "auto"}
    model = make_regressor(
        bptt_steps=1, return_sequences=True, callbacks=callback, **options
    )
    model.fit(X, y)
    assert planned == [10]  # 600 updates of 10 batches and 6 pieces


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bptt_steps_do_not_go_with_a_backward_direction(method):
    X, y = make_data()
    model = make_regressor(bptt_steps=2, bidirectional=True)
    with pytest.raises(ValueError, match="bptt_steps=2 .*bidirectional=True"):
        getattr(model, method)(X, y)
    assert not hasattr(model, "module_")


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


# Validation.


def hard_to_generalise(n_sequences=60):
    """Noise: any fall of the training loss is memorising."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_sequences, 4, 3)), rng.normal(size=n_sequences)


STOPPING = {"hidden_size": 16, "max_epochs": 60, "learning_rate": 0.05}


def test_early_stopping_stops_and_keeps_the_best_epoch():
    X, y = hard_to_generalise()
    model = make_regressor(**STOPPING, early_stopping=True, n_iter_no_change=4)
    model.fit(X, y)
    losses = [row["valid_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert model.n_iter_ == best + 5 < 60
    assert model.best_validation_score_ == model.validation_scores_[best]


@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_n_iter_no_change_is_what_is_put_up_with(n_iter_no_change):
    X, y = make_data()
    # No improvement is large enough: only the first epoch counts as one.
    model = make_regressor(
        max_epochs=20, early_stopping=True, n_iter_no_change=n_iter_no_change, tol=1e9
    )
    assert model.fit(X, y).n_iter_ == 1 + n_iter_no_change


def test_tol_is_the_improvement_that_counts():
    X, y = make_data()
    options = {"max_epochs": 20, "early_stopping": True, "n_iter_no_change": 2}
    patient, strict = (
        make_regressor(**options, tol=tol).fit(X, y).n_iter_ for tol in (0.0, 0.1)
    )
    assert strict < patient


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_validation_fraction_is_set_aside(fraction):
    X, y = make_data()
    callback, seen = watcher(
        "on_epoch_begin",
        lambda net, dataset_train, dataset_valid, **kwargs: (
            len(dataset_train),
            len(dataset_valid),
        ),
    )
    model = make_regressor(early_stopping=True, validation_fraction=fraction)
    model.set_params(callbacks=callback, max_epochs=1).fit(X, y)
    assert seen == [(40 - fraction * 40, fraction * 40)]


def test_windows_are_set_aside_as_the_last_block():
    series = np.arange(50.0)[:, None]
    windows = SequenceArray(series, np.arange(40), np.full(40, 5))
    callback, seen = watcher(
        "on_epoch_begin",
        lambda net, dataset_train, dataset_valid, **kwargs: (
            dataset_train.sequences.ends.max(),
            dataset_valid.sequences.starts.min(),
        ),
    )
    model = make_regressor(early_stopping=True, max_epochs=1, callbacks=callback)
    model.fit(windows, np.arange(40.0))
    ((last_training_row, first_validation_row),) = seen
    assert last_training_row <= first_validation_row == 36


def test_held_out_labels_are_stratified():
    X, _ = make_data(60)
    callback, seen = watcher(
        "on_epoch_begin",
        lambda net, dataset_valid, **kwargs: dataset_valid.targets.tolist(),
    )
    model = RNNClassifier(
        hidden_size=2, max_epochs=1, early_stopping=True, callbacks=callback
    )
    model.fit(X, np.repeat([0, 1], [50, 10]))
    assert sorted(seen[0]) == [0] * 5 + [1]


def test_validation_data_of_the_users_are_scored_every_epoch():
    X, y = make_data(60)
    model = make_regressor().fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert len(model.validation_scores_) == 3
    score = model.score(X[40:], y[40:])
    assert model.validation_scores_[-1] == pytest.approx(score)
    assert model.best_validation_score_ == model.validation_scores_[-1]
    # They are looked at, not learned from.
    alone = make_regressor().fit(X[:40], y[:40])
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))


def test_early_stopping_on_the_users_data_keeps_the_best_weights():
    X, y = hard_to_generalise()
    model = make_regressor(**STOPPING, early_stopping=True, n_iter_no_change=4)
    model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert model.n_iter_ < 60
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.score(X[40:], y[40:]) == pytest.approx(model.best_validation_score_)


def test_the_validation_score_of_a_classifier_is_accuracy():
    X, y = make_data(60)
    y = y > 0
    model = RNNClassifier(hidden_size=4, max_epochs=3, random_state=0)
    model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert model.validation_scores_[-1] == model.score(X[40:], y[40:])


def test_without_validation_there_are_no_scores():
    X, y = make_data()
    model = make_regressor().fit(X, y)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None


# Inputs.


def test_standardize_makes_the_units_of_the_inputs_irrelevant():
    X, y = make_data()
    scaled = X * [1e3, 1e-3] + [7, 0]
    for standardize in (True, False):
        model = make_regressor(standardize=standardize)
        one, other = (model.fit(x, y).predict(x) for x in (X, scaled))
        assert np.allclose(one, other, rtol=1e-6) == standardize


def test_standardize_false_takes_the_steps_as_they_are():
    X, y = make_data()
    module = make_regressor(standardize=False).fit(X, y).module_
    assert torch.equal(module.center, torch.zeros(2).double())
    assert torch.equal(module.factor, torch.ones(2).double())


def test_standardize_counts_the_steps_of_the_training_data():
    X, y = make_data()
    module = make_regressor().fit(X, y).module_
    np.testing.assert_allclose(module.center, X.mean((0, 1)))
    np.testing.assert_allclose(1 / module.factor, X.std((0, 1)))


def tokens(n_sequences=80, seed=0):
    """Ten tokens in no order: those that are even count for, the odd ones against."""
    rng = np.random.default_rng(seed)
    X = [rng.integers(10, size=rng.integers(3, 7)) for _ in range(n_sequences)]
    return X, np.array([(-1.0) ** x for x in X], dtype=object)


def test_tokens_are_learned_through_their_embedding():
    X, signs = tokens()
    y = np.array([s.sum() > 0 for s in signs])
    options = {"hidden_size": 8, "max_epochs": 40, "learning_rate": 0.03}
    options |= {"random_state": 0, "pooling": "mean", "input_dropout": 0.0}
    as_tokens = RNNClassifier(embedding_dim=4, **options).fit(X, y)
    as_numbers = RNNClassifier(convolutions=None, **options).fit(X, y)
    assert as_tokens.score(X, y) > 0.9
    assert as_numbers.score(X, y) < 0.8


def test_tokens_beyond_those_of_fit_are_unknown():
    X, _ = tokens()
    y = np.arange(80) % 2
    model = RNNClassifier(embedding_dim=4, hidden_size=4, max_epochs=1).fit(X, y)
    model.predict([[3], [9]])
    unknown = model.predict_proba([[10, 1], [11, 1], [10**6, 1]])
    np.testing.assert_array_equal(unknown[0], unknown[1])
    np.testing.assert_array_equal(unknown[0], unknown[2])


def test_embedding_dim_is_the_width_of_a_token():
    X, _ = tokens()
    model = RNNClassifier(embedding_dim=5, hidden_size=4, max_epochs=1)
    model.fit(X, np.arange(80) % 2)
    assert model.module_.embedding.weight.shape == (11, 5)
    assert model.module_.core.rnn.input_size == 5


# Precision, threads, output.


def dtypes(model):
    return {p.dtype for p in model.module_.parameters()}


def test_dtype_is_the_networks_precision():
    X, y = make_data()
    single = make_regressor(dtype="float32").fit(X, y)
    double = make_regressor(dtype="float64").fit(X, y)
    assert dtypes(single) == {torch.float32}
    assert dtypes(double) == {torch.float64}
    assert single.predict(X).dtype == double.predict(X).dtype == np.float64
    assert not np.array_equal(single.predict(X), double.predict(X))


@pytest.mark.parametrize("batch_size", [4, 64, "auto"])
def test_auto_is_double_up_to_32_sequences_whatever_the_batch(batch_size):
    X, y = make_data()
    model = make_regressor(batch_size=batch_size)
    assert dtypes(model.fit(X[:32], y[:32])) == {torch.float64}
    assert dtypes(model.fit(X[:33], y[:33])) == {torch.float32}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_n_threads_holds_in_fit_and_predict(n_threads):
    X, y = make_data()
    before = torch.get_num_threads()
    callback, seen = watcher(
        "on_epoch_end", lambda net, **kwargs: torch.get_num_threads()
    )
    model = make_regressor(n_threads=n_threads, max_epochs=1, callbacks=callback)
    model.fit(X, y)
    model.module_.head.register_forward_hook(
        lambda *args: seen.append(torch.get_num_threads())
    )
    model.predict(X)
    assert seen == [n_threads, n_threads]
    assert torch.get_num_threads() == before


def test_verbose_0_is_silent(capfd):
    predictions(verbose=0)
    assert capfd.readouterr() == ("", "")


def test_verbose_1_shows_a_bar_of_epochs(capfd):
    predictions(verbose=1)
    out, err = capfd.readouterr()
    assert out == ""
    assert "RNNRegressor: 100%" in err
    assert "3/3" in err
    assert "loss=" in err


def test_verbose_2_prints_a_line_an_epoch(capsys):
    X, y = make_data()
    make_regressor(verbose=2).fit(X, y, X_val=X, y_val=y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(
        r"RNNRegressor epoch 1/3: loss \S+, val_loss \S+, val_score \S+, "
        r"gradient \S+, clipped \S+",
        lines[0],
    )


def test_device_auto_finds_a_device_and_cpu_is_one():
    X, y = make_data()
    model = make_regressor(device="cpu").fit(X, y)
    assert next(model.module_.parameters()).device.type == "cpu"
    auto = make_regressor(device="auto").fit(X, y)
    found = "cuda" if torch.cuda.is_available() else "cpu"
    assert next(auto.module_.parameters()).device.type == found


# Seeds.


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "input_dropout": 0.3}])
def test_a_seed_fixes_the_model_and_another_changes_it(options):
    X, y = make_data()
    first, again, other = (
        make_regressor(random_state=seed, **options).fit(X, y) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
    assert first.loss_curve_ == again.loss_curve_
    assert not np.allclose(first.predict(X), other.predict(X))


def test_a_random_state_instance_is_drawn_from():
    X, y = make_data()

    def fitted_from(rng):
        return make_regressor(random_state=rng).fit(X, y).predict(X)

    rng = np.random.RandomState(0)
    first, second = fitted_from(rng), fitted_from(rng)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, fitted_from(np.random.RandomState(0)))


# Completeness.


def test_kernel_says_what_computes():
    X, y = make_data()
    by = {k: make_regressor(kernel=k).fit(X, y) for k in ("auto", "compiled", "torch")}
    assert [model.kernel_ for model in by.values()] == ["compiled", "compiled", "torch"]
    assert np.array_equal(by["auto"].predict(X), by["compiled"].predict(X))
    assert not np.array_equal(by["torch"].predict(X), by["compiled"].predict(X))
    np.testing.assert_allclose(
        by["torch"].predict(X), by["compiled"].predict(X), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor, RNNTagger])
def test_every_option_is_told_of_here_or_nearby(estimator):
    """A new option needs a test of its effect."""
    elsewhere = {"loss", "target_feature", "class_weight", "warm_start", "callbacks"}
    elsewhere |= {"missing_label", "missing_targets", "quantiles", "subtract_last"}
    elsewhere |= {"token_dropout", "embeddings", "train_embeddings"}
    elsewhere |= {"categorical_features"}
    elsewhere |= {"linear_skip", "scale_windows"}
    elsewhere |= {"bounds", "target_weight", "season"}
    elsewhere |= {"convolutions", "bag_of_words"}
    text = inspect.getsource(inspect.getmodule(test_dtype_is_the_networks_precision))
    options = set(estimator().get_params()) - elsewhere
    assert {o for o in options if not re.search(rf"\b{o}\b\W*[=:]", text)} == set()
