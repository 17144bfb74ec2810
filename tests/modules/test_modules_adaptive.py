"""The adaptive softmax: exact probabilities, and losses without all outputs."""

import numpy as np
import pytest
import torch

from sklearn_rnn.modules import (
    AdaptiveSoftmax,
    NetworkSpec,
    build_network,
    choose_cutoffs,
    initialize,
)
from sklearn_rnn.training import WeightedLoss, batch_gradients

WIDTH = 12
SIZES = [(5, (1,)), (9, (2, 8)), (40, (10, 39)), (300, (20, 80, 290))]


def make_layer(n_classes, cutoffs):
    layer = AdaptiveSoftmax(WIDTH, n_classes, cutoffs).double()
    initialize(layer, torch.Generator().manual_seed(0))
    return layer


def draw(*shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.double)


@pytest.mark.parametrize("n_classes, cutoffs", SIZES)
def test_probabilities_of_all_classes_sum_to_one(n_classes, cutoffs):
    layer = make_layer(n_classes, cutoffs)
    found = layer(draw(2, 7, WIDTH))
    assert found.shape == (2, 7, n_classes)
    torch.testing.assert_close(found.exp().sum(dim=2), torch.ones(2, 7).double())


@pytest.mark.parametrize("n_classes, cutoffs", SIZES)
def test_a_loss_and_its_gradients_are_those_of_the_probabilities(n_classes, cutoffs):
    layer, states = make_layer(n_classes, cutoffs), draw(64, WIDTH).requires_grad_()
    classes = torch.arange(64) * 7 % n_classes
    found = []
    for loss in (
        layer.loss(states, classes),
        -layer(states).gather(1, classes[:, None]).mean(),
    ):
        parameters = [states, *layer.parameters()]
        found.append((loss, *torch.autograd.grad(loss, parameters, allow_unused=True)))
    torch.testing.assert_close(*found)


def test_losses_of_single_steps_have_their_mean():
    layer, states = make_layer(40, (10, 30)), draw(9, WIDTH)
    classes = torch.tensor([0, 39, 10, 9, 29, 30, 5, 5, 35])
    losses = layer.loss(states, classes, reduction="none")
    torch.testing.assert_close(losses.mean(), layer.loss(states, classes))
    for state, class_, loss in zip(states, classes, losses, strict=True):
        torch.testing.assert_close(layer.loss(state[None], class_[None]), loss)


def test_states_of_zero_predict_the_priors():
    layer, logits = make_layer(300, (20, 80, 290)), draw(300)
    layer.set_log_priors(logits)
    torch.testing.assert_close(
        layer(torch.zeros(1, WIDTH).double())[0], logits.log_softmax(dim=0)
    )


@pytest.mark.parametrize("n_classes", [2, 5, 30, 999, 1000, 4001, 8000, 50_004, 10**6])
def test_clusters_are_neither_large_nor_small(n_classes):
    cutoffs = choose_cutoffs(n_classes)
    assert 1 <= cutoffs[0] <= 1000
    sizes = np.diff([*cutoffs, n_classes])
    assert all(sizes >= np.minimum(4000, np.array(cutoffs) // 3))
    assert all(sizes <= np.minimum(12_000, 5 * np.array(cutoffs)))


def test_rarer_classes_have_narrower_vectors_down_to_a_least_width():
    layer = AdaptiveSoftmax(128, 30_000, choose_cutoffs(30_000))
    widths = [projection[1].in_features for projection in layer.softmax.tail]
    assert widths == [32, 8, 8, 8]
    narrow = AdaptiveSoftmax(4, 30, (7,))
    assert narrow.softmax.tail[0][1].in_features == 4


def make_network(cutoffs=(5, 20)):
    spec = NetworkSpec(
        "gru",
        n_features=1,
        hidden_size=6,
        n_outputs=40,
        n_layers=2,
        dropout=0.3,
        pooling=None,
        n_tokens=40,
        embedding_dim=3,
        cutoffs=cutoffs,
    )
    network = build_network(spec, torch.double, torch.Generator().manual_seed(0))
    network.seed_dropout(torch.Generator().manual_seed(1))
    return network.train()


def make_batch(n_steps=10):
    x = torch.randint(40, (4, n_steps, 1), generator=torch.Generator().manual_seed(2))
    lengths = torch.tensor([n_steps, 2, 7, 4])
    targets = (3 * x[:, :, 0] + 1) % 40
    targets[torch.arange(n_steps) >= lengths[:, None]] = -1
    weights = torch.tensor([0.5, 1.0, 2.0, 0.5], dtype=torch.double)
    return {"x": x, "lengths": lengths}, (targets, weights)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("bptt_steps", [None, 4])
def test_a_network_learns_as_if_all_outputs_were_computed(bptt_steps, weighted):
    inputs, (targets, weights) = make_batch()
    batch = inputs, (targets, weights if weighted else None)
    criterion = WeightedLoss("log_loss", may_miss=True)
    found = []
    for computes_all in (False, True):
        network = make_network()
        if computes_all:
            network.loss_inputs = lambda *args, n=network: (n.read(*args), None)
            network.forward_for_loss = lambda n=network, **kwargs: (n(**kwargs), None)
        results = [
            compute()
            for _, compute in batch_gradients(network, criterion, batch, bptt_steps)
        ]
        gradients = [parameter.grad for parameter in network.parameters()]
        found.append((results, gradients))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("cutoffs", [(), (5, 20)])
@pytest.mark.parametrize("bptt_steps", [None, 4])
def test_outputs_are_kept_only_where_they_are_asked_for(cutoffs, bptt_steps):
    criterion = WeightedLoss("log_loss", may_miss=True)
    found = {}
    for keeps_outputs in (True, False):
        gradients = batch_gradients(
            make_network(cutoffs),
            criterion,
            make_batch(),
            bptt_steps,
            keeps_outputs=keeps_outputs,
        )
        found[keeps_outputs] = [compute() for _, compute in gradients]
    assert all(result.outputs.shape[2] == 40 for result in found[True])
    assert [r._replace(outputs=None) for r in found[True]] == found[False]
