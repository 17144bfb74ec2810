"""The skorch net: hooks, stopping, and the weights after an exception."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_rnn import DivergenceError, StopTraining
from sklearn_rnn.modules import NetworkSpec, build_network
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import (
    Patience,
    SequenceDataset,
    SequenceNet,
    WeightedLoss,
    find_optimizer,
    network_outputs,
)

N_SEQUENCES = 12


def make_data(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_SEQUENCES, 5, 2))
    y = scale * torch.from_numpy(X[:, -1, :1])
    return SequenceDataset(check_sequences(X), y)


def score_validation(net, validation):
    outputs = network_outputs(net.module_, validation.sequences, net.device)
    loss = net.criterion_(outputs, validation.flat_targets()).item()
    return loss, -outputs.mean().item()


def make_net(*callbacks, optimizer="adam", learning_rate=0.05, seed=0, **options):
    spec = NetworkSpec("gru", n_features=2, hidden_size=4, n_outputs=1)
    network = build_network(spec, torch.float64, torch.Generator().manual_seed(seed))
    kind, optimizer_options = find_optimizer(optimizer, 0.0)
    return SequenceNet(
        network,
        criterion=WeightedLoss("squared_error"),
        optimizer=kind,
        lr=learning_rate,
        batch_size=4,
        callbacks=list(callbacks),
        random_state=np.random.RandomState(0),
        score_validation=score_validation,
        **optimizer_options,
        **options,
    ).initialize()


def weights(net):
    return torch.cat([p.detach().ravel() for p in net.module_.parameters()])


def losses(net):
    return [row["train_loss"] for row in net.history if "dur" in row]


class Recorder(Callback):
    """Calls `do` at one hook of one epoch, and keeps the weights of each."""

    def __init__(self, hook=None, epoch=None, do=None):
        self.hook, self.epoch, self.do = hook, epoch, do
        self.weights_ = []

    def initialize(self):
        self.weights_ = []
        return self

    def _at(self, hook, net):
        if hook == self.hook and len(net.history) == self.epoch:
            self.do(net)

    def on_epoch_begin(self, net, **kwargs):
        self._at("on_epoch_begin", net)

    def on_batch_begin(self, net, **kwargs):
        self._at("on_batch_begin", net)

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self._at("on_grad_computed", net)

    def on_batch_end(self, net, **kwargs):
        self._at("on_batch_end", net)

    def on_epoch_end(self, net, **kwargs):
        self.weights_.append(weights(net))
        self._at("on_epoch_end", net)


def raiser(error):
    def do(net):
        raise error

    return do


class HalfTargets:
    """Targets of a kind of their own, of which a batch gets half."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def gather(self, indices, device):
        return self.values[torch.from_numpy(indices)].to(device) / 2, {}


def test_targets_of_another_kind_are_gathered_for_every_batch():
    def train(targets):
        data = SequenceDataset(make_data().sequences, targets)
        net = make_net(kernel="compiled")
        net.module_.use_kernel("compiled")
        net.train(data, None, n_epochs=2)
        return weights(net)

    values = make_data().targets
    found, expected = train(HalfTargets(values)), train(values / 2)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


# The hooks.


class HookRecorder(Callback):
    def __init__(self, calls):
        self.calls = calls

    def on_train_begin(self, net, X, y, **kwargs):
        assert (len(X), len(y)) == (N_SEQUENCES, N_SEQUENCES)
        self.calls.append("train begin")

    def on_epoch_begin(self, net, dataset_train, dataset_valid, **kwargs):
        assert len(dataset_train) == N_SEQUENCES
        self.calls.append("epoch begin")

    def on_batch_begin(self, net, batch, training, **kwargs):
        assert training
        inputs, (targets, _) = batch
        assert len(inputs["x"]) == len(targets) == 4
        self.calls.append("batch begin")

    def on_grad_computed(self, net, named_parameters, **kwargs):
        assert all(p.grad is not None for _, p in named_parameters)
        self.calls.append("grad")

    def on_batch_end(self, net, batch, training, loss, **kwargs):
        assert np.isfinite(float(loss))
        self.calls.append("batch end")

    def on_epoch_end(self, net, dataset_train, dataset_valid, **kwargs):
        assert "train_loss" in net.history[-1]
        self.calls.append("epoch end")

    def on_train_end(self, net, X, y, **kwargs):
        self.calls.append("train end")


def test_callbacks_are_notified_in_skorchs_order():
    calls = []
    make_net(HookRecorder(calls)).train(make_data(), None, n_epochs=2)
    batch = ["batch begin", "grad", "batch end"]
    epoch = ["epoch begin", *batch * 3, "epoch end"]
    assert calls == ["train begin", *epoch * 2, "train end"]


def test_train_end_is_notified_after_an_error_too():
    calls = []
    net = make_net(
        HookRecorder(calls), Recorder("on_batch_end", 1, raiser(ZeroDivisionError))
    )
    with pytest.raises(ZeroDivisionError):
        net.train(make_data(), None, n_epochs=2)
    assert calls[-1] == "train end"


def test_callbacks_of_batches_change_nothing():
    quiet, watched = make_net(), make_net(HookRecorder([]))
    for net in (quiet, watched):
        net.train(make_data(), None, n_epochs=3)
    assert torch.equal(weights(quiet), weights(watched))
    assert losses(quiet) == losses(watched)


def test_gradients_are_seen_before_clipping_and_may_be_changed():
    seen = []

    class Silence(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            gradients = [p.grad for _, p in named_parameters]
            seen.append(torch.cat([g.ravel() for g in gradients]).norm().item())
            for gradient in gradients:
                gradient.zero_()

    net = make_net(Silence(), optimizer="sgd", clip_norm=1e-6)
    before = weights(net)
    net.train(make_data(), None, n_epochs=1)
    assert min(seen) > 1e-3
    assert torch.equal(weights(net), before)


# One step, one epoch.


def test_a_step_of_sgd_is_the_gradient_of_the_mean_loss():
    net, twin = make_net(optimizer="sgd"), make_net()
    net.batch_size = N_SEQUENCES
    data = make_data()
    x = torch.from_numpy(np.asarray(data.sequences))
    torch.nn.functional.mse_loss(twin.module_(x), data.targets).backward()
    expected = torch.cat(
        [(p - 0.05 * 1.9 * p.grad).detach().ravel() for p in twin.module_.parameters()]
    )  # Nesterov's first step is 1 + momentum times the gradient
    net.train(data, None, n_epochs=1)
    torch.testing.assert_close(weights(net), expected)


def test_the_loss_of_an_epoch_is_the_mean_over_its_sequences():
    net = make_net(learning_rate=1e-12)
    net.batch_size = 7  # 12 sequences: batches of 6 and 6; then 5, 5 and 2
    data = make_data()
    x = torch.from_numpy(np.asarray(data.sequences))
    expected = torch.nn.functional.mse_loss(net.module_(x), data.targets).item()
    net.train(data, None, n_epochs=1)
    assert losses(net)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("clip", [{"clip_norm": 1e-3}, {"clip_value": 1e-4}])
def test_clipping_bounds_the_step(clip):
    moved = {}
    for options in ({}, clip):
        net = make_net(optimizer="sgd", **options)
        before = weights(net)
        net.train(make_data(scale=100.0), None, n_epochs=1)
        moved[bool(options)] = (weights(net) - before).norm().item()
    # 3 updates, with momentum 0.9, of norm at most 1e-3 (or 1e-4 a weight).
    assert moved[True] < 1e-3 < moved[False]


def test_the_schedule_sets_the_learning_rate_of_every_update():
    seen = []

    class Watch(Callback):
        def on_batch_end(self, net, **kwargs):
            seen.append(net.optimizer_.param_groups[0]["lr"])

    net = make_net(Watch(), schedule=lambda progress: 1 - progress)
    net.train(make_data(), None, n_epochs=2)
    assert seen == pytest.approx([0.05 * (1 - i / 6) for i in range(6)])


def test_every_training_restarts_the_schedule():
    net = make_net(schedule=lambda progress: float(progress == 0))
    before = weights(net)
    net.train(make_data(), None, n_epochs=1)
    between = weights(net)
    net.train(make_data(), None, n_epochs=1)
    assert not torch.equal(before, between)
    assert not torch.equal(between, weights(net))


def test_shuffle_false_trains_in_the_given_order():
    def last_loss(shuffle, seed):
        net = make_net(shuffle=shuffle)
        net.random_state = np.random.RandomState(seed)
        net.train(make_data(), None, n_epochs=2)
        return losses(net)[-1]

    assert last_loss(False, 0) == last_loss(False, 1)
    assert last_loss(True, 0) == last_loss(True, 0)
    assert last_loss(True, 0) != last_loss(True, 1)


def test_the_data_are_forgotten_after_training():
    net, validation = make_net(), make_data(seed=1)
    net.train(make_data(), validation, n_epochs=1, patience=Patience(1, 0.0))
    assert net.validation is None
    assert net.patience is None
    assert not net.module_.training


# Validation and early stopping.


def test_validation_is_scored_after_every_epoch():
    net, validation = make_net(), make_data(seed=1)
    net.train(make_data(), validation, n_epochs=3)
    row = net.history[-1]
    x = torch.from_numpy(np.asarray(validation.sequences))
    outputs = net.module_(x)
    loss = torch.nn.functional.mse_loss(outputs, validation.targets).item()
    assert row["valid_loss"] == pytest.approx(loss)
    assert row["valid_score"] == pytest.approx(-outputs.mean().item())
    assert len(net.history) == 3


def test_early_stopping_restores_the_best_weights():
    recorder = Recorder()
    net = make_net(recorder, learning_rate=0.3)
    # Training pulls away from what validation wants: the loss rises.
    validation = make_data(scale=-0.05)
    net.train(make_data(), validation, 50, Patience(n_iter_no_change=3, tol=0.0))
    curve = [row["valid_loss"] for row in net.history]
    best = int(np.argmin(curve))
    assert best < len(curve) - 1
    assert len(curve) == best + 4
    assert torch.equal(weights(net), recorder.weights_[best])


def test_best_weights_are_restored_when_the_epochs_run_out_first():
    recorder = Recorder()
    net = make_net(recorder, learning_rate=0.3)
    net.train(make_data(), make_data(scale=-0.05), 6, Patience(100, 0.0))
    curve = [row["valid_loss"] for row in net.history]
    assert len(curve) == 6
    assert np.argmin(curve) < 5
    assert torch.equal(weights(net), recorder.weights_[int(np.argmin(curve))])


def test_without_patience_validation_does_not_change_the_weights():
    alone, watched = make_net(), make_net()
    alone.train(make_data(), None, 3)
    watched.train(make_data(), make_data(seed=1), 3)
    assert torch.equal(weights(alone), weights(watched))


# Stopping by callbacks, and exceptions.


@pytest.mark.parametrize(
    "hook",
    [
        "on_epoch_begin",
        "on_batch_begin",
        "on_grad_computed",
        "on_batch_end",
        "on_epoch_end",
    ],
)
def test_stop_training_ends_training_normally(hook):
    recorder = Recorder(hook, 2, raiser(StopTraining))
    net = make_net(recorder)
    net.train(make_data(), None, n_epochs=9)
    n_finished = len(losses(net))
    assert n_finished == (2 if hook == "on_epoch_end" else 1)
    assert torch.equal(weights(net), recorder.weights_[n_finished - 1])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize(
    "hook", ["on_epoch_begin", "on_batch_begin", "on_grad_computed", "on_batch_end"]
)
def test_an_exception_leaves_the_weights_of_the_last_finished_epoch(hook, error):
    recorder = Recorder(hook, 3, raiser(error))
    net = make_net(recorder)
    with pytest.raises(error):
        net.train(make_data(), None, n_epochs=9)
    assert len(losses(net)) == 2
    assert torch.equal(weights(net), recorder.weights_[1])
    assert not net.module_.training


def test_ctrl_c_in_the_last_hook_of_an_epoch_reaches_the_caller_too():
    recorder = Recorder("on_epoch_end", 2, raiser(KeyboardInterrupt))
    net = make_net(recorder)
    with pytest.raises(KeyboardInterrupt):
        net.train(make_data(), None, n_epochs=9)
    assert torch.equal(weights(net), recorder.weights_[1])


def test_an_exception_in_the_first_epoch_leaves_the_initial_weights():
    net = make_net(Recorder("on_batch_end", 1, raiser(KeyboardInterrupt)))
    before = weights(net)
    with pytest.raises(KeyboardInterrupt):
        net.train(make_data(), None, n_epochs=9)
    assert torch.equal(weights(net), before)


def test_an_exception_while_early_stopping_leaves_the_best_weights():
    recorder = Recorder("on_batch_end", 6, raiser(KeyboardInterrupt))
    net = make_net(recorder, learning_rate=0.3)
    with pytest.raises(KeyboardInterrupt):
        net.train(make_data(), make_data(scale=-0.05), 9, Patience(100, 0.0))
    curve = [row["valid_loss"] for row in net.history if "valid_loss" in row]
    assert np.argmin(curve) < len(curve) - 1
    assert torch.equal(weights(net), recorder.weights_[int(np.argmin(curve))])


def test_training_can_continue_after_an_exception():
    recorder = Recorder("on_batch_end", 2, raiser(KeyboardInterrupt))
    net = make_net(recorder)
    with pytest.raises(KeyboardInterrupt):
        net.train(make_data(), None, n_epochs=9)
    net.train(make_data(), None, n_epochs=9)
    assert losses(net)[-1] < losses(net)[0]


def poison(net):
    with torch.no_grad():
        next(net.module_.parameters()).fill_(float("nan"))


def test_a_loss_that_is_nan_names_the_epoch_and_keeps_finite_weights():
    recorder = Recorder("on_batch_begin", 3, poison)
    net = make_net(recorder)
    with pytest.raises(DivergenceError, match=r"nan\b.*Try a lower") as caught:
        net.train(make_data(), None, n_epochs=9)
    assert "epoch 3" in str(caught.value)
    assert torch.equal(weights(net), recorder.weights_[1])
    assert len(losses(net)) == 2


def test_weights_that_become_nan_in_the_last_update_are_not_kept():
    """No later loss would show it."""
    recorder = Recorder("on_epoch_end", 1, lambda net: None)
    net = make_net(recorder, Recorder("on_batch_end", 3, poison))
    with pytest.raises(DivergenceError, match="epoch 3"):
        net.train(make_data(), None, n_epochs=3)
    assert torch.equal(weights(net), recorder.weights_[1])


def test_the_optimizer_resets_momentum_that_holds_nan():
    net = make_net(Recorder("on_batch_begin", 2, poison))
    with pytest.raises(DivergenceError):
        net.train(make_data(), None, n_epochs=9)
    net.train(make_data(), None, n_epochs=3)
    assert torch.isfinite(weights(net)).all()


def test_smaller_batches_of_long_sequences_count_as_progress():
    rng = np.random.default_rng(0)
    X = check_sequences([rng.normal(size=(n, 2)) for n in [5] * 12 + [1100] * 5])
    data = SequenceDataset(X, torch.from_numpy(rng.normal(size=(17, 1))))
    progress, factors = [], []

    def schedule(fraction):
        factors.append(1 - fraction)
        return factors[-1]

    net = make_net(on_progress=progress.append, schedule=schedule)
    net.train(data, None, 2)
    n_batches = 2 * (3 + 3)  # of 4 short ones, and of 2 long ones
    np.testing.assert_allclose(progress, np.arange(n_batches) / n_batches)
    assert factors[-1] == min(factors) > 0
