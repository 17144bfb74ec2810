"""Truncated backpropagation against the same network with its states cut by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from sklearn_rnn.kernels import CELLS
from sklearn_rnn.modules import POOLINGS, NetworkSpec, build_network
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import (
    SequenceDataset,
    SequenceNet,
    StepTargets,
    WeightedLoss,
    batch_gradients,
    chunks_from_end,
    find_optimizer,
    run_to_ends,
    split_chunks,
)

LENGTHS = torch.tensor([9, 2, 10, 4])
OPTIONS = [
    {"cell": "rnn"},
    {"cell": "lstm"},
    {"cell": "gru", "n_layers": 2, "residual": True, "layer_norm": True},
    {"cell": "gru", "n_layers": 2, "dropout": 0.4, "input_dropout": 0.4},
    {"cell": "lstm", "weight_drop": 0.4},
]


def make_network(pooling=None, cell="gru", **options):
    spec = NetworkSpec(
        cell, n_features=2, hidden_size=4, n_outputs=2, pooling=pooling, **options
    )
    network = build_network(spec, torch.double, torch.Generator().manual_seed(0))
    network.seed_dropout(torch.Generator().manual_seed(1))
    for name, parameter in network.named_parameters():
        if "bias" in name:  # or hidden inputs would leave states of 0, all alike
            parameter.data += 0.1 + torch.arange(len(parameter)) / 50
    return network.train()


def make_batch(n_timesteps=10, lengths=LENGTHS, per_step=True):
    generator = torch.Generator().manual_seed(2)
    shape = (len(LENGTHS), n_timesteps, 2)
    x = torch.randn(shape, generator=generator, dtype=torch.double)
    targets = torch.randn(shape, generator=generator, dtype=torch.double)
    weights = torch.tensor([0.5, 1.0, 2.0, 0.5], dtype=torch.double)
    if not per_step:
        return {"x": x, "lengths": lengths}, (targets[:, 0], weights)
    if lengths is not None:
        targets[torch.arange(n_timesteps) >= lengths[:, None]] = torch.nan
    return {"x": x, "lengths": lengths}, (targets, weights)


def gradients(network):
    return [parameter.grad.clone() for parameter in network.parameters()]


def states_cut_by_hand(network, inputs, size):
    """All states with their graph, which has no path from chunk to chunk."""
    state, chunks = None, []
    for x, lengths in split_chunks(**inputs, size=size):
        states, after = network.run(x, lengths, state, new_masks=not chunks)
        state = [[part.detach() for part in layer] for layer in after]
        chunks.append(states)
    return chunks


def states_cut_from_the_end(network, x, length, size):
    """States of one sequence, cut into chunks that are counted from its end."""
    first = length % size or size
    cuts = [0, *range(first, length + 1, size)]
    state, chunks = None, []
    for begin, end in pairwise(cuts):
        states, after = network.run(x[:, begin:end], None, state)
        state = [[part.detach() for part in layer] for layer in after]
        chunks.append(states)
    return torch.cat(chunks)


def test_chunks_from_end_are_full_but_for_the_first_of_each_sequence():
    x = torch.arange(40).reshape(4, 10, 1)
    seen = [[] for _ in range(4)]
    for chunk, lengths in chunks_from_end(x, LENGTHS, 4):
        for own, steps, n in zip(seen, chunk, lengths, strict=True):
            own.append(steps[:n, 0].tolist())
    for i, (own, length) in enumerate(zip(seen, LENGTHS, strict=True)):
        assert sum(own, []) == list(range(10 * i, 10 * i + length))
        sizes = [len(chunk) for chunk in own if chunk]
        assert sizes[1:] == [4] * (len(sizes) - 1)


@pytest.mark.parametrize("cell", CELLS)
def test_a_run_to_own_ends_leaves_each_sequence_after_its_own_last_step(cell):
    network = make_network("last", cell, n_layers=2).eval()
    inputs, _ = make_batch(per_step=False)
    lengths = torch.tensor([9, 0, 10, 4])
    _, state = run_to_ends(network, inputs["x"], lengths)
    for i, length in enumerate(lengths):
        if length == 0:
            expected = [
                [torch.zeros_like(part[:, [i]]) for part in layer] for layer in state
            ]
        else:
            _, expected = network.run(inputs["x"][[i], :length])
        for ours, alone in zip(state, expected, strict=True):
            for part, its in zip(ours, alone, strict=True):
                torch.testing.assert_close(part[:, [i]], its, rtol=1e-12, atol=1e-14)


@pytest.mark.thorough
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("options", OPTIONS[:3])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_one_output_learns_from_every_chunk(pooling, options, lengths):
    network = make_network(pooling, **options)
    inputs, targets = batch = make_batch(lengths=lengths, per_step=False)
    criterion = WeightedLoss("squared_error")
    [(progress, compute)] = batch_gradients(network, criterion, batch, bptt_steps=4)
    result = compute()
    ours = gradients(network)

    by_hand = make_network(pooling, **options)
    pooled = []
    for i in range(4):
        length = 10 if lengths is None else int(lengths[i])
        states = states_cut_from_the_end(by_hand, inputs["x"][[i]], length, 4)
        pooled.append(by_hand.pooling(states))
    outputs = by_hand.head(torch.cat(pooled))
    loss = criterion(outputs, targets)
    loss.backward()
    assert (progress, result.n_targets) == (0.0, 4)
    assert result.loss == pytest.approx(loss.item(), rel=1e-12)
    torch.testing.assert_close(result.outputs, outputs.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(ours, gradients(by_hand), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("options", OPTIONS[3:])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_masks_are_the_same_in_every_chunk_and_in_both_passes(pooling, options):
    network, by_hand = (
        make_network(pooling, **options),
        make_network(pooling, **options),
    )
    inputs, targets = batch = make_batch(8, lengths=None, per_step=False)
    criterion = WeightedLoss("squared_error")
    [(_, compute)] = batch_gradients(network, criterion, batch, bptt_steps=4)
    result = compute()
    states = torch.cat(states_cut_by_hand(by_hand, inputs, size=4))
    outputs = by_hand.head(by_hand.dropout(by_hand.pooling(states)))
    criterion(outputs, targets).backward()
    torch.testing.assert_close(result.outputs, outputs.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(
        gradients(network), gradients(by_hand), rtol=1e-10, atol=1e-13
    )


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_short_sequence_stays_whole_beside_longer_ones(pooling):
    criterion = WeightedLoss("squared_error")
    inputs, (targets, _) = make_batch(per_step=False)
    weights = torch.tensor([0.0, 0.0, 0.0, 4.0], dtype=torch.double)  # of 4 steps
    found = []
    for bptt_steps in (None, 5):
        network = make_network(pooling)
        batch = inputs, (targets, weights)
        [(_, compute)] = batch_gradients(network, criterion, batch, bptt_steps)
        compute()
        found.append(gradients(network))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("options", OPTIONS)
def test_outputs_of_steps_make_an_update_per_chunk(options, lengths):
    network, by_hand = make_network(**options), make_network(**options)
    inputs, (targets, weights) = batch = make_batch(lengths=lengths)
    criterion = WeightedLoss("squared_error", may_miss=True)
    begin = 0
    expected = states_cut_by_hand(by_hand, inputs, size=4)
    steps = batch_gradients(network, criterion, batch, bptt_steps=4)
    for (progress, compute), states in zip(steps, expected, strict=True):
        network.zero_grad()
        by_hand.zero_grad()
        result = compute()
        outputs = by_hand.read(states, new_masks=begin == 0)
        chunk = targets[:, begin : begin + len(states)]
        criterion(outputs, (chunk, weights)).backward()
        assert progress == begin / 10
        assert result.n_targets == (~chunk.isnan()).sum()
        torch.testing.assert_close(
            gradients(network), gradients(by_hand), rtol=1e-10, atol=1e-13
        )
        begin += len(states)
    assert begin == 10


@pytest.mark.parametrize("pooling", [None, *POOLINGS])
def test_a_piece_that_covers_the_sequence_is_full_backpropagation(pooling):
    batch = make_batch(per_step=pooling is None)
    found = []
    for bptt_steps in (None, 10, 1000):
        network = make_network(pooling, dropout=0.3)
        criterion = WeightedLoss("squared_error", may_miss=pooling is None)
        [(_, compute)] = batch_gradients(network, criterion, batch, bptt_steps)
        compute()
        found.append(gradients(network))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_is_carried_and_the_gradient_is_not(cell):
    network = make_network(cell=cell)
    inputs, targets_and_weights = make_batch(lengths=None)
    x = inputs["x"].clone().requires_grad_()
    changed = torch.cat([x[:, :1] + 1, x[:, 1:]], dim=1)
    criterion = WeightedLoss("squared_error", may_miss=True)
    outputs = []
    for steps in (x, changed):
        batch = {"x": steps, "lengths": None}, targets_and_weights
        chunks = batch_gradients(network, criterion, batch, bptt_steps=5)
        outputs.append([compute().outputs for _, compute in chunks])
    assert not torch.allclose(outputs[0][1], outputs[1][1])

    x.grad = None
    chunks = batch_gradients(
        network, criterion, ({"x": x, "lengths": None}, targets_and_weights), 5
    )
    next(chunks)[1]()
    x.grad = None
    next(chunks)[1]()  # the loss of the last five steps
    assert (x.grad[:, :5] == 0).all()
    # A rectifier lets nothing through where it is zero.
    assert (x.grad[:, 5:] != 0).any(dim=(0, 2)).all()


def test_pieces_without_any_target_carry_the_state_and_make_no_update():
    inputs, (targets, weights) = make_batch(lengths=None)
    targets[:, 4:8] = torch.nan
    criterion = WeightedLoss("squared_error", may_miss=True)
    network, whole = make_network(cell="lstm"), make_network(cell="lstm")
    batch = inputs, (targets, weights)
    results = [
        (progress, compute())
        for progress, compute in batch_gradients(network, criterion, batch, 4)
    ]
    assert [progress for progress, _ in results] == [0.0, 0.8]
    torch.testing.assert_close(
        results[-1][1].outputs, whole(**inputs)[:, 8:].detach(), rtol=1e-12, atol=0
    )


class Held:
    """A tensor kept for backward, while it is kept."""

    now = peak = 0

    def __init__(self, tensor):
        self.tensor, self.size = tensor, tensor.nelement()
        Held.now += self.size
        Held.peak = max(Held.peak, Held.now)

    def __del__(self):
        Held.now -= self.size


def peak_of_activations(pooling, n_timesteps, bptt_steps):
    network = make_network(pooling)
    batch = make_batch(n_timesteps, lengths=None, per_step=pooling is None)
    criterion = WeightedLoss("squared_error", may_miss=pooling is None)
    Held.now = Held.peak = 0
    with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.tensor):
        for _, compute in batch_gradients(network, criterion, batch, bptt_steps):
            compute()
    return Held.peak


@pytest.mark.thorough
@pytest.mark.parametrize("pooling", [None, *POOLINGS])
def test_activations_grow_with_the_piece_and_not_with_the_sequence(pooling):
    short = peak_of_activations(pooling, 40, bptt_steps=10)
    assert peak_of_activations(pooling, 400, bptt_steps=10) <= 1.05 * short
    assert peak_of_activations(pooling, 400, bptt_steps=None) > 8 * short


# In the net.


def make_net(**options):
    kind, optimizer_options = find_optimizer("sgd", 0.0)
    return SequenceNet(
        make_network(),
        criterion=WeightedLoss("squared_error", may_miss=True),
        optimizer=kind,
        lr=0.1,
        batch_size=4,
        random_state=np.random.RandomState(0),
        **optimizer_options,
        **options,
    ).initialize()


def make_data(n_timesteps=10):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, n_timesteps, 2))
    lengths = torch.full((4,), n_timesteps)
    y = StepTargets(torch.tensor(X.reshape(-1, 2)), lengths)
    return SequenceDataset(check_sequences(X), y)


def test_the_schedule_goes_on_from_piece_to_piece():
    seen = []
    net = make_net(bptt_steps=5, schedule=lambda progress: seen.append(progress) or 1.0)
    net.train(make_data(), None, n_epochs=3)
    np.testing.assert_allclose(seen, [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])


def test_the_loss_of_a_batch_is_the_mean_over_its_targets():
    data = make_data()
    data.targets.values[3:30] = torch.nan
    losses = []
    for bptt_steps in (None, 3):
        net = make_net(bptt_steps=bptt_steps, schedule=lambda progress: 0.0)
        net.train(data, None, n_epochs=1)
        losses.append(net.history[-1]["train_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_batches_without_any_target_are_passed_over():
    data = make_data()
    data.targets.values[:] = torch.nan
    data.targets.values[:10] = 0.0  # the first sequence alone has targets
    net = make_net()
    net.set_params(batch_size=1)
    net.train(data, None, n_epochs=1)
    assert np.isfinite(net.history[-1]["train_loss"])
    assert torch.isfinite(net.module_.head.weight).all()
