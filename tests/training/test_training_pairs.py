"""Pairs of what is read and what is written, gathered into batches."""

import numpy as np
import pytest
import torch

from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import BatchIterator, SequenceDataset, WrittenTargets

READ = [[4, 5], [6], [4, 4, 4]]
WRITTEN = [[2, 7, 3], [2, 8, 9, 3], [2, 3]]


def make_pairs(weights=None):
    written = WrittenTargets(check_sequences(WRITTEN))
    return SequenceDataset(check_sequences(READ), written, weights)


def test_the_decoder_is_given_each_symbol_before_the_one_that_it_is_to_write():
    inputs, (wanted, weights) = make_pairs().batch(np.array([1, 0, 2]), "cpu")
    assert inputs["lengths"].tolist() == [1, 2, 3]
    assert wanted.tolist() == [[8, 9, 3], [7, 3, -1], [3, -1, -1]]
    for given, after in zip(inputs["y"], wanted, strict=True):
        n = int((after >= 0).sum())
        assert given[0] == 2
        assert given[1:n].tolist() == after[: n - 1].tolist()
    assert weights is None


def test_weights_go_with_their_pairs():
    pairs = make_pairs(torch.tensor([1.0, 2.0, 3.0]))
    _, (_, weights) = pairs.batch(np.array([2, 0]), "cpu")
    assert weights.tolist() == [3.0, 1.0]


def test_pairs_of_like_length_are_batched_together():
    rng = np.random.default_rng(0)
    n_read, n_written = rng.integers(1, 9, size=(2, 400))
    pairs = SequenceDataset(
        check_sequences([np.ones(n) for n in n_read]),
        WrittenTargets(check_sequences([np.ones(n + 2) for n in n_written])),
    )
    random_state = np.random.RandomState(0)
    computed = {}
    for shuffle in (True, False):
        batches = BatchIterator(pairs, 20, shuffle, random_state, "cpu")
        sizes = [(inputs["x"].shape[1], y.shape[1]) for inputs, (y, _) in batches]
        computed[shuffle] = np.sum(sizes, axis=0) * 20
    assert (computed[True] < [0.7, 0.9] * computed[False]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_ids_of_every_type_are_read(dtype):
    written = check_sequences([np.array(row, dtype) for row in WRITTEN])
    pairs = SequenceDataset(check_sequences(READ), WrittenTargets(written))
    inputs, (wanted, _) = pairs.batch(np.arange(3), "cpu")
    assert inputs["y"].dtype == wanted.dtype == torch.int64
