import numpy as np
import pytest
import torch

from sklearn_rnn import SequenceArray
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import (
    BatchIterator,
    SequenceDataset,
    StepTargets,
    blocks_by_length,
    to_batch,
)


def ragged(n_sequences=200, longest=40, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, size=n_sequences)
    # Every step of sequence i holds i.
    return check_sequences([np.full((n, 1), i) for i, n in enumerate(lengths)])


def make_iterator(sequences, batch_size=16, shuffle=True, seed=0, weights=None):
    data = SequenceDataset(sequences, torch.arange(len(sequences)), weights)
    return BatchIterator(
        data, batch_size, shuffle, np.random.RandomState(seed), torch.device("cpu")
    )


def one_pass(batches):
    return [targets.tolist() for _, (targets, _) in batches]


def padding_share(batches):
    n_steps = n_valid = 0
    for inputs, _ in batches:
        n, t, _ = inputs["x"].shape
        n_steps += n * t
        lengths = inputs["lengths"]
        n_valid += n * t if lengths is None else int(lengths.sum())
    return 1 - n_valid / n_steps


@pytest.mark.parametrize("sequences", [ragged(), ragged(longest=1)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_sequence_comes_once_a_pass(sequences, shuffle):
    batches = make_iterator(sequences, shuffle=shuffle)
    for _ in range(2):
        assert sorted(sum(one_pass(batches), [])) == list(range(200))


@pytest.mark.parametrize("n_sequences", [1, 15, 16, 17, 33, 200])
def test_batches_are_of_nearly_equal_size_and_no_more_than_asked(n_sequences):
    batches = make_iterator(ragged(n_sequences))
    sizes = [len(batch) for batch in one_pass(batches)]
    assert len(sizes) == len(batches) == -(-n_sequences // 16)
    assert max(sizes) <= 16
    assert max(sizes) - min(sizes) <= 1


def test_each_sequence_comes_with_its_own_steps_target_and_weight():
    batches = make_iterator(ragged(), weights=torch.arange(200) / 10)
    for inputs, (targets, weights) in batches:
        assert torch.equal(inputs["x"][:, 0, 0].long(), targets)
        assert torch.equal(weights, targets / 10)


@pytest.mark.parametrize("per_step", [False, True])
def test_some_sequences_keep_their_targets_and_weights(per_step):
    X = check_sequences([np.full((n, 1), n) for n in (3, 1, 2)])
    y = torch.tensor([30, 10, 20])
    if per_step:
        y = StepTargets(torch.tensor([30, 31, -1, 10, 20, 21]), torch.tensor([3, 1, 2]))
    data, rows = SequenceDataset(X, y, torch.arange(3.0)), np.array([2, 0])
    some = data.select(rows)
    inputs, (targets, weights) = some.batch(np.array([0, 1]), "cpu")
    expected, (expected_targets, expected_weights) = data.batch(rows, "cpu")
    assert torch.equal(inputs["x"], expected["x"])
    assert torch.equal(targets, expected_targets)
    assert torch.equal(weights, expected_weights)
    assert some.lengths.tolist() == [2, 3]
    if per_step:
        assert some.n_targets.tolist() == [2, 2]
    reweighted = some.with_weights(torch.tensor([5.0, 6.0]))
    assert reweighted.batch(np.array([1]), "cpu")[1][1].tolist() == [6.0]
    assert data.weights.tolist() == [0.0, 1.0, 2.0]


def test_bucketing_by_length_saves_padding():
    sequences = ragged(600)
    bucketed = padding_share(make_iterator(sequences))
    in_order = padding_share(make_iterator(sequences, shuffle=False))
    assert in_order > 0.4
    assert bucketed < 0.1


def test_without_shuffling_the_order_is_kept():
    batches = make_iterator(ragged(), shuffle=False)
    assert sum(one_pass(batches), []) == list(range(200))


@pytest.mark.parametrize("sequences", [ragged(), ragged(longest=1)])
def test_every_pass_has_a_new_order_that_the_seed_fixes(sequences):
    first, twin, other = (make_iterator(sequences, seed=seed) for seed in (0, 0, 1))
    passes = [one_pass(first), one_pass(first)]
    assert passes[0] != passes[1]
    assert passes == [one_pass(twin), one_pass(twin)]
    assert passes[0] != one_pass(other)


def test_bucketed_batches_do_not_come_from_short_to_long():
    longest = [b["x"].shape[1] for b, _ in make_iterator(ragged())]
    assert longest != sorted(longest)


def test_ties_in_length_are_mixed_anew():
    sequences = check_sequences([np.zeros((1 + i % 2, 1)) for i in range(64)])
    batches = make_iterator(sequences)
    first, second = ({frozenset(b) for b in one_pass(batches)} for _ in range(2))
    assert first.isdisjoint(second)


def test_a_batch_is_padded_to_its_longest_sequence_with_finite_steps():
    X = check_sequences([np.full((n, 2), n, dtype=float) for n in (5, 2, 9)])
    batch = to_batch(X, np.array([1, 0]), "cpu")
    assert batch["lengths"].tolist() == [2, 5]
    assert batch["x"].shape == (2, 5, 2)
    assert (batch["x"][0, :2] == 2).all()
    assert (batch["x"][1] == 5).all()
    assert torch.isfinite(batch["x"]).all()


def test_equal_lengths_need_no_lengths():
    X = check_sequences([np.zeros((n, 2)) for n in (3, 5, 3)])
    assert to_batch(X, np.array([0, 2]), "cpu")["lengths"] is None


def test_windows_are_gathered_from_their_series():
    series = np.arange(10.0)[:, None]
    windows = SequenceArray(series, starts=[0, 4, 7], lengths=[3, 3, 3])
    batch = to_batch(windows, np.array([2, 0]), "cpu")
    assert batch["x"][:, :, 0].tolist() == [[7, 8, 9], [0, 1, 2]]


def test_a_scaled_container_is_read_scaled():
    X = check_sequences(np.arange(6.0).reshape(1, 6, 1))
    scaled = X.scale(np.array([1.0]), np.array([2.0]))
    batch = to_batch(scaled, np.array([0]), "cpu")
    assert batch["x"].ravel().tolist() == [-2, 0, 2, 4, 6, 8]


def test_one_long_sequence_does_not_fill_a_batch_with_padding():
    lengths = [20] * 500 + [100_000, 60_000, 3000]
    sequences = SequenceArray(np.zeros((100_000, 1)), np.zeros(503, int), lengths)
    data = SequenceDataset(sequences, torch.zeros(503))
    batches = BatchIterator(data, 64, True, np.random.RandomState(0), "cpu")
    rows = [batch for _ in range(3) for batch in batches.index_batches()]
    assert max(len(r) * sequences.lengths[r].max() for r in rows) == 100_000
    assert len(rows) == 3 * len(batches)
    seen = np.sort(np.concatenate(rows[: len(batches)]))
    assert (seen == np.arange(503)).all()


def test_blocks_hold_every_sequence_once_and_keep_to_both_bounds():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 200, size=300)
    blocks = list(blocks_by_length(lengths, 16, 1000))
    assert (np.sort(np.concatenate(blocks)) == np.arange(300)).all()
    assert max(map(len, blocks)) == 16
    assert all(len(b) * lengths[b].max() <= 1000 for b in blocks)


def test_the_first_pass_may_go_from_short_to_long():
    data = SequenceDataset(ragged(), torch.arange(200))
    batches = BatchIterator(
        data, 16, True, np.random.RandomState(0), "cpu", shortest_first=True
    )
    first, second = ([i for part in one_pass(batches) for i in part] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(200))
    assert (np.diff(data.lengths[first]) >= 0).all()
    assert (np.diff(data.lengths[second]) < 0).any()


class Noise:
    """Draw one random value per row."""

    def draw(self, starts, lengths, random_state):
        return starts.repeat(lengths)[:, None] + random_state.rand(lengths.sum(), 1)


def test_steps_vary_from_pass_to_pass_and_are_read_as_they_are_elsewhere():
    X = ragged(n_sequences=20).with_transforms(augmentation=Noise())
    X = X.scale(np.ones(1), np.ones(1))
    batches = make_iterator(X)
    first, second = (
        {
            int(i): x[: 1 if lengths is None else n]
            for inputs, (targets, _) in batches
            for lengths in [inputs["lengths"]]
            for x, i, n in zip(
                inputs["x"], targets, X.lengths[targets.numpy()], strict=True
            )
        }
        for _ in range(2)
    )
    for i in range(20):
        start = X.starts[i] - 1  # through the affine map
        assert ((first[i] >= start) & (first[i] < start + 1)).all()
        assert not torch.equal(first[i], second[i])
    assert (to_batch(X, np.array([3]), "cpu")["x"] == 2).all()
    assert (X[3] == 2).all()


def test_variation_is_seeded():
    X = ragged(n_sequences=20).with_transforms(augmentation=Noise())
    a, b = ([x for x, _ in make_iterator(X)] for _ in range(2))
    for one, other in zip(a, b, strict=True):
        assert torch.equal(one["x"], other["x"])
