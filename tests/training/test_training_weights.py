"""Training while callbacks or users change the weights."""

import copy
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Freezer

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import CELLS, recurrence

X = np.random.default_rng(0).normal(size=(40, 5, 2))
Y = X[:, :, 0].sum(axis=1)
KERNELS = ("compiled", "torch")


def regressor(kernel, **options):
    small = {"hidden_size": 8, "max_epochs": 3, "batch_size": 16, "random_state": 0}
    small["linear_skip"] = False
    return RNNRegressor(kernel=kernel, **{**small, **options})


def recurrent(model):
    return model.module_.core.rnn.weight_hh_l0.detach().clone()


class EachBatch(Callback):
    def __init__(self, act, when="on_batch_begin"):
        self.act = act
        setattr(self, when, self._run)

    def on_batch_begin(self, net, **kwargs):
        """Overridden, so that batches are reported."""

    def on_epoch_begin(self, net, **kwargs):
        """Overridden, so that batches are reported."""

    def _run(self, net, **kwargs):
        self.act(net)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_callback_may_make_a_new_optimizer(kernel):
    act = EachBatch(lambda net: net.initialize_optimizer())
    model = regressor(kernel, hidden_size=64, callbacks=[act]).fit(X, Y)
    assert np.isfinite(model.loss_curve_).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.parametrize("kernel", KERNELS)
def test_weights_in_other_memory_are_trained_on(kernel):
    model = regressor(kernel).fit(X, Y)
    model.module_.double().float()
    before = recurrent(model)
    model.partial_fit(X, Y)
    assert not torch.equal(recurrent(model), before)
    for parameter in model.module_.parameters():
        parameter.data = parameter.data.clone()
    before = recurrent(model)
    model.partial_fit(X, Y)
    assert not torch.equal(recurrent(model), before)


@pytest.mark.parametrize("kernel", KERNELS)
def test_frozen_weights_stay_and_thawed_ones_move(kernel):
    model = regressor(kernel, weight_decay=0.1).fit(X, Y)
    model.module_.core.requires_grad_(False)
    before, head = recurrent(model), model.module_.head.weight.detach().clone()
    model.partial_fit(X, Y)
    assert torch.equal(recurrent(model), before)
    assert not torch.equal(model.module_.head.weight, head)
    model.module_.core.requires_grad_(True)
    model.partial_fit(X, Y)
    assert not torch.equal(recurrent(model), before)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_callback_may_freeze_weights(kernel):
    freeze = EachBatch(lambda net: net.module_.core.requires_grad_(False))
    model = regressor(kernel, callbacks=[freeze]).fit(X, Y)
    start = regressor(kernel, learning_rate=1e-30, max_epochs=1).fit(X, Y)
    torch.testing.assert_close(recurrent(model), recurrent(start))


@pytest.mark.parametrize("kernel", KERNELS)
def test_hooks_on_weights_are_called(kernel):
    model = regressor(kernel).fit(X, Y)
    model.module_.core.rnn.weight_hh_l0.register_hook(torch.zeros_like)
    model.net_.initialize_optimizer()  # without momentum
    before = recurrent(model)
    model.partial_fit(X, Y)
    assert torch.equal(recurrent(model), before)


@pytest.mark.parametrize("kernel", KERNELS)
def test_dropout_that_is_enabled_later_is_applied(kernel):
    losses = []
    for p in (0.0, 0.9):
        model = regressor(kernel).fit(X, Y)
        model.module_.dropout.p = p
        losses.append(model.partial_fit(X, Y).loss_curve_[-1])
    assert losses[1] > 1.05 * losses[0]


@pytest.mark.parametrize("kernel", KERNELS)
def test_nets_can_be_copied_and_pickled_and_train_on(kernel):
    model = regressor(kernel).fit(X, Y)
    for net in (
        pickle.loads(pickle.dumps(model.net_)),
        copy.deepcopy(model.net_),
    ):
        for ours, copied in zip(
            model.module_.parameters(), net.module_.parameters(), strict=True
        ):
            assert torch.equal(ours, copied)
    before = model.predict(X)
    model.net_ = pickle.loads(pickle.dumps(model.net_))
    model.module_ = model.net_.module_
    model.partial_fit(X, Y)
    assert not np.array_equal(model.predict(X), before)


@pytest.mark.parametrize("kernel", KERNELS)
def test_pickles_load_after_a_freezer_comes_or_goes(kernel):
    model = regressor(kernel).fit(X, Y).set_params(callbacks=[Freezer("core*")])
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    model = regressor(kernel, callbacks=[Freezer("core*")]).fit(X, Y)
    loaded = pickle.loads(pickle.dumps(model.set_params(callbacks=None)))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_the_kernel_can_be_changed_between_calls():
    model = regressor("compiled").partial_fit(X, Y)
    assert model.set_params(kernel="torch").partial_fit(X, Y).kernel_ == "torch"
    assert model.module_.core.kernel == model.net_.kernel == "torch"
    model.set_params(kernel="compiled", warm_start=True).fit(X, Y)
    assert model.kernel_ == model.module_.core.kernel == "compiled"


@pytest.mark.parametrize("kernel", KERNELS)
def test_weight_decay_can_be_changed_between_calls(kernel):
    model = regressor(kernel).partial_fit(X, Y)
    for decay in (0.5, 0.0):
        model.set_params(weight_decay=decay).partial_fit(X, Y)
        decays = [g["weight_decay"] for g in model.net_.optimizer_.param_groups]
        assert max(decays) == decay


def test_nothing_of_a_fit_is_kept_but_the_weights():
    assert regressor("compiled").fit(X, Y).net_._fused is None


def test_a_changed_network_is_left_to_torch():
    model = regressor("compiled").fit(X, Y)
    model.module_.head = torch.nn.Linear(32, 1)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        model.predict(X)
    model = regressor("compiled").fit(X, Y)
    expected = model.predict(X)
    model.module_.double()
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-5)
    model.module_.head.float()
    with pytest.raises((RuntimeError, ValueError), match="dtype|must be of"):
        model.predict(X)


def arguments(cell="gru", dtype=torch.float64):
    module = CELLS[cell](2, 3).to(dtype)
    return torch.zeros(5, 4, 2, dtype=dtype), [w.detach() for w in module.parameters()]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_kernels_refuse_what_does_not_fit_together(cell):
    x, weights = arguments(cell)
    state = [torch.zeros(1, 4, 3, dtype=x.dtype)] * (1 + (cell == "lstm"))
    wrong = [
        (x[:, :, :1], weights, state, None),
        (x.float(), weights, state, None),
        (x, [*weights[:3], weights[3][:1]], state, None),
        (x, weights, [part[:, :2] for part in state], None),
        (x, weights, state, torch.tensor([5, 5])),
        (x, weights, state, torch.ones(4)),
        (x, [weights[0][:3], *weights[1:]], state, None),
    ]
    for steps, given, begin, lengths in wrong:
        with pytest.raises(ValueError, match="must be of shape"):
            recurrence(cell, steps, given, begin, lengths, kernel="compiled")


def test_other_precisions_are_computed_by_torch():
    x, weights = arguments(dtype=torch.bfloat16)
    states, _ = recurrence("gru", x, weights, kernel="compiled")
    assert states.dtype == torch.bfloat16
