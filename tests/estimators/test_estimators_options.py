"""Every option, by what it does to the fitted model."""

import pickle

import numpy as np
import pytest
import torch
from option_models import make_data, make_regressor, watcher, weights_of

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


@pytest.mark.thorough
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
