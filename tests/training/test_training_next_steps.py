"""Sequences whose steps are predicted from the previous ones."""

import numpy as np
import pytest
import torch

from sklearn_rnn import SequenceArray
from sklearn_rnn.modules import NetworkSpec, build_network
from sklearn_rnn.training import (
    NextStepDataset,
    WeightedLoss,
    count_segments,
    log_likelihoods,
)
from sklearn_rnn.training import _inference as inference

LENGTHS = [7, 2, 12, 2, 40]


def sequences_of(values, lengths):
    lengths = np.asarray(lengths)
    return SequenceArray(values, np.cumsum(lengths) - lengths, lengths)


def ids(lengths=LENGTHS, n_symbols=6, dtype=np.uint8):
    values = np.random.default_rng(0).integers(2, n_symbols, size=(sum(lengths), 1))
    return sequences_of(values.astype(dtype), lengths)


def frames(lengths=LENGTHS, n_features=3):
    values = np.random.default_rng(0).integers(0, 2, size=(sum(lengths), n_features))
    return sequences_of(values.astype(np.uint8), lengths)


def make_network(of_frames=False, n_outputs=6, cell="gru", n_layers=1):
    spec = NetworkSpec(
        cell,
        n_features=n_outputs if of_frames else 1,
        hidden_size=5,
        n_outputs=n_outputs,
        n_layers=n_layers,
        pooling=None,
        dropout=0.3,
        n_tokens=None if of_frames else n_outputs,
        embedding_dim=None if of_frames else 3,
    )
    network = build_network(spec, torch.double, torch.Generator().manual_seed(0))
    for parameter in network.parameters():
        parameter.data += 0.1  # or what comes first would be all alike
    return network


# Inputs and targets.


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_targets_are_the_inputs_one_step_later(dtype):
    sequences = ids(dtype=dtype)
    data = NextStepDataset(sequences)
    assert len(data) == len(LENGTHS)
    assert data.lengths.tolist() == [n - 1 for n in LENGTHS]
    chosen = np.array([2, 0, 1])
    inputs, (targets, weights) = data.batch(chosen, "cpu")
    assert weights is None
    assert inputs["lengths"].tolist() == [11, 6, 1]
    assert inputs["x"].shape == (3, 11, 1)
    assert targets.shape == (3, 11)
    for row, index in enumerate(chosen):
        whole, n = sequences[index].ravel(), LENGTHS[index] - 1
        assert inputs["x"][row, :n, 0].tolist() == whole[:-1].tolist()
        assert targets[row, :n].tolist() == whole[1:].tolist()
        assert (targets[row, n:] == -1).all()


@pytest.mark.parametrize("n_features", [1, 3])
def test_frames_keep_their_features_even_a_single_one(n_features):
    sequences = frames(n_features=n_features)
    data = NextStepDataset(sequences, of_frames=True)
    inputs, (targets, _) = data.batch(np.array([0, 1]), "cpu")
    assert inputs["x"].shape == targets.shape == (2, 6, n_features)
    np.testing.assert_array_equal(inputs["x"][0], sequences[0][:-1])
    np.testing.assert_array_equal(targets[0], sequences[0][1:])
    assert (targets[1, 1:] == -1).all()


def test_sequences_of_one_length_have_no_lengths():
    inputs, _ = NextStepDataset(ids()).batch(np.array([1, 3]), "cpu")
    assert inputs["lengths"] is None


def test_weights_are_those_of_the_chosen_sequences():
    data = NextStepDataset(ids(), weights=torch.arange(5.0))
    _, (_, weights) = data.batch(np.array([3, 1]), "cpu")
    assert weights.tolist() == [3.0, 1.0]


def test_some_sequences_are_still_predicted_step_by_step():
    data = NextStepDataset(frames(), torch.arange(5.0), chunk_size=11, of_frames=True)
    some = data.select(np.array([4, 1, 3]))
    assert some.lengths.tolist() == some.n_targets.tolist() == [39, 1, 1]
    inputs, (targets, weights) = some.batch(np.array([0, 2]), "cpu")
    expected, (expected_targets, _) = data.batch(np.array([4, 3]), "cpu")
    assert torch.equal(inputs["x"][:, :11], expected["x"][:, :11])
    assert torch.equal(targets[:, :11], expected_targets[:, :11])
    assert weights.tolist() == [4.0, 3.0]
    reweighted = data.with_weights(None)
    assert reweighted.lengths.tolist() == data.lengths.tolist()
    assert reweighted.batch(np.array([0]), "cpu")[1][1] is None


def test_batches_do_not_write_into_the_sequences():
    sequences = ids(dtype=np.int64)
    before = sequences.values.copy()
    inputs, (targets, _) = NextStepDataset(sequences).batch(np.arange(5), "cpu")
    inputs["x"].zero_()
    targets.zero_()
    np.testing.assert_array_equal(sequences.values, before)


@pytest.mark.parametrize("make, of_frames", [(ids, False), (frames, True)])
@pytest.mark.parametrize("chunk_size", [1, 5, 38])
def test_a_long_batch_is_gathered_when_it_is_read(make, of_frames, chunk_size):
    chosen = np.array([4, 2])
    whole = NextStepDataset(make(), of_frames=of_frames).batch(chosen, "cpu")
    data = NextStepDataset(make(), chunk_size=chunk_size, of_frames=of_frames)
    inputs, (targets, _) = data.batch(chosen, "cpu")
    assert not isinstance(inputs["x"], torch.Tensor)
    assert inputs["x"].shape[:2] == targets.shape[:2] == (2, 39)
    parts = [slice(begin, begin + chunk_size) for begin in range(0, 39, chunk_size)]
    for lazy, expected in [(inputs["x"], whole[0]["x"]), (targets, whole[1][0])]:
        joined = torch.cat([lazy[:, part] for part in parts], dim=1)
        assert torch.equal(joined, expected)


def test_a_batch_that_is_not_longer_than_a_chunk_is_gathered_at_once():
    inputs, (targets, _) = NextStepDataset(ids(), chunk_size=11).batch(
        np.array([0, 2]), "cpu"
    )
    assert isinstance(inputs["x"], torch.Tensor)
    assert isinstance(targets, torch.Tensor)


# Likelihoods.


def alone(network, sequence, of_frames):
    """Return the log-likelihood of one sequence, computed at once."""
    x = torch.from_numpy(sequence.copy())[None]
    with torch.no_grad():
        outputs = network.eval()(x[:, :-1])[0]
    following = x[0, 1:].long()
    if of_frames:
        ones = torch.distributions.Bernoulli(logits=outputs)
        return ones.log_prob(following.double()).sum().item()
    return outputs.log_softmax(1).gather(1, following).sum().item()


def summed(network, loss, data):
    """Return the log-likelihood of each sequence."""
    steps = log_likelihoods(network, loss, data, "cpu")
    assert steps.shape == (data.lengths.sum(),)
    ends = np.cumsum(data.lengths)
    return np.array([part.sum() for part in np.split(steps, ends[:-1])])


@pytest.mark.thorough
@pytest.mark.parametrize("cell, n_layers", [("gru", 1), ("lstm", 2), ("rnn", 1)])
@pytest.mark.parametrize("make, of_frames", [(ids, False), (frames, True)])
@pytest.mark.parametrize("side_by_side, size", [(64, 512), (2, 3), (5, 1), (1, 7)])
def test_a_likelihood_depends_neither_on_other_sequences_nor_on_chunks(
    monkeypatch, cell, n_layers, make, of_frames, side_by_side, size
):
    monkeypatch.setattr(inference, "SIDE_BY_SIDE", side_by_side)
    monkeypatch.setattr(inference, "CHUNK_SIZE", size)
    network = make_network(of_frames, 3 if of_frames else 6, cell, n_layers)
    loss = WeightedLoss("bernoulli" if of_frames else "log_loss", may_miss=True)
    data = NextStepDataset(make(), of_frames=of_frames)
    found = summed(network, loss, data)
    assert found.dtype == np.float64
    expected = [alone(network, sequence, of_frames) for sequence in make()]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_likelihoods_of_frames_of_one_feature():
    network = make_network(of_frames=True, n_outputs=1)
    data = NextStepDataset(frames(n_features=1), of_frames=True)
    loss = WeightedLoss("bernoulli", may_miss=True)
    found = summed(network, loss, data)
    expected = [alone(network, one, True) for one in frames(n_features=1)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_large_vocabulary_is_read_in_shorter_chunks(monkeypatch):
    monkeypatch.setattr(inference, "MAX_OUTPUTS", 5 * 6 * 4)
    network, largest = make_network(), []
    network.head.register_forward_hook(
        lambda module, inputs, output: largest.append(output.numel())
    )
    loss = WeightedLoss("log_loss", may_miss=True)
    found = summed(network, loss, NextStepDataset(ids()))
    assert max(largest) <= 5 * 6 * 4
    expected = [alone(network, sequence, False) for sequence in ids()]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_sequences_that_have_ended_are_not_read_on(monkeypatch):
    monkeypatch.setattr(inference, "CHUNK_SIZE", 10)
    network, n_steps = make_network(), []
    network.head.register_forward_hook(
        lambda module, inputs, output: n_steps.append(output[..., 0].numel())
    )
    loss = WeightedLoss("log_loss", may_miss=True)
    data = NextStepDataset(ids([3] * 30 + [1001]))
    log_likelihoods(network, loss, data, "cpu")
    assert sum(n_steps) <= 30 * 10 + 1000


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(training):
    network = make_network().train(training)
    loss = WeightedLoss("log_loss", may_miss=True)
    first, second = (
        log_likelihoods(network, loss, NextStepDataset(ids()), "cpu") for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)  # without dropout
    assert network.training == training


# Streams.


@pytest.mark.parametrize("seed", range(20))
def test_streams_are_cut_where_sequences_are_long_enough(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 10 ** rng.integers(1, 6), size=rng.integers(1, 30))
    n_streams, shortest = rng.integers(1, 100, size=2)
    n_parts = count_segments(lengths, n_streams, shortest)
    assert n_parts.shape == lengths.shape
    assert (n_parts >= 1).all()
    cut = n_parts > 1
    assert (lengths[cut] // n_parts[cut] >= shortest).all()
    assert n_parts[cut].sum() <= n_streams
    # No more parts than its fraction of the steps.
    assert (n_parts[cut] <= n_streams * lengths[cut] / lengths.sum()).all()


def test_one_text_is_cut_into_as_many_streams_as_fit():
    for n_steps, expected in [(6400, 64), (6399, 63), (100, 1), (199, 1), (10**9, 64)]:
        assert count_segments(np.array([n_steps]), 64, 100).tolist() == [expected]
