"""The written-out gradient of a plain network against torch's."""

import itertools

import numpy as np
import pytest
import torch
from sklearn_rnn.training._plain_gradient import plain_gradient

from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.kernels import CELLS
from sklearn_rnn.modules import NetworkSpec, build_network
from sklearn_rnn.training import FlatWeights, WeightedLoss

LENGTHS = torch.tensor([6, 2, 1, 6, 4])
LOSSES = ("squared_error", "log_loss", "huber", "absolute_error")


def network_of(cell, n_tokens=None, dtype=torch.float64, **options):
    spec = NetworkSpec(
        cell,
        n_features=1 if n_tokens else 3,
        n_outputs=2,
        n_tokens=n_tokens,
        embedding_dim=4 if n_tokens else None,
        **{"hidden_size": 5, **options},
    )
    network = build_network(spec, dtype, torch.Generator().manual_seed(0)).train()
    if not n_tokens:
        network.set_input_scaling(np.arange(3.0), np.arange(1.0, 4.0))
    network.use_kernel("compiled")
    return network


def compare(network, x, lengths, targets_and_weights, criterion, tolerance=1e-11):
    flat = FlatWeights([list(network.parameters())])
    plain = plain_gradient(network, criterion)
    for _ in range(2):  # the second time, what is kept is used again
        flat.clear_gradients()
        loss, outputs = plain(x, lengths, targets_and_weights, 0.7)
    found = [flat.values[0].clone(), *(g.clone() for g in flat.gradients())]
    flat.clear_gradients()
    network.use_kernel("torch")
    expected = network(x, lengths)
    torchs = criterion(expected, targets_and_weights)
    (torchs * 0.7).backward()
    assert loss == pytest.approx(torchs.item(), abs=tolerance)
    if lengths is None or network.pooling is not None:
        torch.testing.assert_close(outputs, expected.detach(), rtol=0, atol=tolerance)
    torch.testing.assert_close(found[1], flat.gradients()[0], rtol=0, atol=tolerance)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_of_one_output_a_sequence(cell, n_layers, loss):
    torch.manual_seed(0)
    x = torch.randn(5, 6, 3, dtype=torch.float64)
    y = torch.randn(5, 2, dtype=torch.float64)
    if loss == "log_loss":
        y = torch.tensor([0, 1, 1, 0, 1])
    options = itertools.product(
        (None, LENGTHS), (None, torch.rand(5, dtype=torch.float64)), (5, 16)
    )
    for lengths, weights, n_units in options:
        network = network_of(cell, hidden_size=n_units, n_layers=n_layers)
        compare(network, x, lengths, (y, weights), WeightedLoss(loss))


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_of_an_output_a_step(cell, n_layers):
    torch.manual_seed(0)
    x = torch.randn(5, 6, 3, dtype=torch.float64)
    for lengths in (None, LENGTHS):
        y = torch.randn(5, 6, 2, dtype=torch.float64)
        if lengths is not None:
            y[torch.arange(6) >= lengths[:, None]] = float("nan")
        network = network_of(cell, n_layers=n_layers, pooling=None)
        criterion = WeightedLoss("squared_error", may_miss=True)
        compare(network, x, lengths, (y, None), criterion)


@pytest.mark.parametrize("cell", CELLS)
def test_of_tokens(cell):
    torch.manual_seed(0)
    x = torch.randint(0, 7, (5, 6, 1)).double()
    y = torch.randn(5, 2, dtype=torch.float64)
    network = network_of(cell, n_tokens=7)
    compare(network, x, LENGTHS, (y, None), WeightedLoss("squared_error"))


def test_in_single_precision():
    torch.manual_seed(0)
    x, y = torch.randn(5, 6, 3), torch.randn(5, 2)
    network = network_of("gru", dtype=torch.float32, hidden_size=33)
    compare(network, x, None, (y, None), WeightedLoss("squared_error"), 1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": True},
        {"dropout": 0.5},
        {"weight_drop": 0.5},
        {"layer_norm": True},
        {"n_layers": 2, "residual": True},
        {"pooling": "mean"},
        {"pooling": "attention"},
    ],
)
def test_other_networks_are_left_to_torch(options):
    network = network_of("gru", **options)
    assert plain_gradient(network, WeightedLoss("squared_error")) is None


def test_whoever_listens_to_torch_hears_it():
    network = network_of("gru")
    assert plain_gradient(network, WeightedLoss("squared_error")) is not None
    network.core.register_forward_hook(lambda *call: None)
    assert plain_gradient(network, WeightedLoss("squared_error")) is None


def test_frozen_weights_are_left_to_torch():
    network = network_of("gru")
    network.core.rnn.weight_hh_l0.requires_grad_(False)
    assert plain_gradient(network, WeightedLoss("squared_error")) is None


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_flat_weights_train_as_separate_ones(optimizer, weight_decay):
    """A class is given the weights one by one, a name all of them in one tensor."""
    from sklearn_rnn.training import OPTIMIZERS

    found, options = OPTIMIZERS[optimizer]
    separate = type("Separate", (found,), {})
    separate.__init__ = lambda self, *given, **more: found.__init__(
        self, *given, **{**options, **more}
    )
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4, 2)), rng.normal(size=20)
    curves = [
        RNNRegressor(
            hidden_size=4,
            optimizer=given,
            weight_decay=weight_decay,
            max_epochs=4,
            batch_size=8,
            dtype="float64",
            random_state=0,
        )
        .fit(X, y)
        .loss_curve_
        for given in (optimizer, takes_decay(separate))
    ]
    np.testing.assert_allclose(*curves, rtol=1e-9)


def takes_decay(optimizer):
    """Let a class show that it has weight decay."""

    def __init__(self, params, lr=1e-3, weight_decay=0.0):
        super(kept, self).__init__(params, lr=lr, weight_decay=weight_decay)

    kept = type("Kept", (optimizer,), {"__init__": __init__})
    return kept


def test_a_callback_may_replace_a_gradient():
    """Zeros put in place of a gradient, or none, stop its weights."""
    from skorch.callbacks import Callback

    class Stop(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            for name, parameter in named_parameters:
                if "weight_hh" in name:
                    parameter.grad = None
                if "weight_ih" in name:
                    parameter.grad = torch.zeros_like(parameter)

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4, 2)), np.arange(20) % 2
    for kernel in ("compiled", "torch"):
        model = RNNClassifier(
            kernel=kernel, max_epochs=3, callbacks=[Stop()], random_state=0
        )
        first = RNNClassifier(max_epochs=1, learning_rate=1e-30, random_state=0)
        before = first.fit(X, y).module_.core.rnn.state_dict()
        after = model.fit(X, y).module_.core.rnn.state_dict()
        for name in ("weight_hh_l0", "weight_ih_l0"):
            torch.testing.assert_close(before[name], after[name])
        assert not torch.equal(before["bias_hh_l0"], after["bias_hh_l0"])
