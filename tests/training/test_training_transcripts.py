"""CTC: its loss, and the clips that it is computed of."""

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import (
    CTCLoss,
    SequenceDataset,
    Transcripts,
    TranscriptTargets,
    min_frames,
)


def make_batch(n_frames, rows, seed=0, n_classes=4):
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(
        len(rows), max(n_frames), n_classes, generator=generator, dtype=torch.double
    )
    sources = check_sequences([np.zeros((n, 1)) for n in n_frames])
    rows = [np.array(row, dtype=np.int64) for row in rows]
    data = SequenceDataset(sources, TranscriptTargets(rows, sources.lengths))
    _, (transcripts, _) = data.batch(np.arange(len(rows)), "cpu")
    return outputs, transcripts


def collapsed(path):
    """Return what a path of classes says: repeats are one, blanks are none."""
    before = (0, *path)
    return [c for b, c in zip(before, path, strict=False) if c not in (b, 0)]


@pytest.mark.parametrize("row", [[], [1], [1, 1], [2, 1], [3, 3, 2]])
def test_the_loss_is_that_of_all_paths_together(row):
    outputs, transcripts = make_batch([5], [row])
    probabilities = outputs[0].softmax(dim=1).numpy()
    likelihood = sum(
        np.prod(probabilities[np.arange(5), path])
        for path in product(range(4), repeat=5)
        if collapsed(path) == row
    )
    loss = CTCLoss()(outputs, (transcripts, None)).item()
    assert loss == pytest.approx(-np.log(likelihood) / (len(row) + 1), rel=1e-12)


def test_the_loss_is_torchs_own_and_so_are_its_gradients():
    rows = [[1, 2, 2], [], [3]]
    outputs, transcripts = make_batch([9, 4, 6], rows)
    outputs.requires_grad_()
    CTCLoss()(outputs, (transcripts, None)).backward()
    own, outputs.grad = outputs.grad, None
    F.ctc_loss(
        outputs.log_softmax(2).transpose(0, 1),
        torch.tensor([1, 2, 2, 3]),
        torch.tensor([9, 4, 6]),
        torch.tensor([3, 0, 1]),
        reduction="sum",
    ).backward()
    torch.testing.assert_close(own * 7, outputs.grad, rtol=1e-12, atol=1e-15)
    assert own[1, 4:].abs().max() == 0  # padding


def test_weights_count_clips():
    outputs, transcripts = make_batch([5, 5], [[1], [2, 3]])
    weights = torch.tensor([0.5, 1.5], dtype=torch.double)
    each = CTCLoss().of_sequences(outputs, transcripts)
    weighted = CTCLoss()(outputs, (transcripts, weights))
    assert weighted.item() == pytest.approx((each @ weights).item() / 5)


def test_a_transcript_that_cannot_be_said_is_infinitely_unlikely():
    outputs, transcripts = make_batch([2], [[1, 1]])
    assert CTCLoss()(outputs, (transcripts, None)).item() == np.inf


def test_gradients_of_long_clips_are_those_of_double_precision():
    outputs, transcripts = make_batch([3000], [[1, 2, 3] * 100])
    gradients = []
    for dtype in (torch.double, torch.float):
        logits = outputs.detach().clone().to(dtype).requires_grad_()
        CTCLoss()(logits, (transcripts, None)).backward()
        gradients.append(logits.grad.double())
    error = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    assert error < 1e-5


@pytest.mark.parametrize(
    ("row", "n"), [([], 1), ([1], 1), ([1, 2], 2), ([1, 1], 3), ([2, 2, 2, 1], 6)]
)
def test_fewest_frames_are_enough_and_one_less_is_not(row, n):
    row = np.array(row, dtype=np.int64)
    assert min_frames(row) == n
    for n_frames in range(1, n + 1):
        paths = product(range(3), repeat=n_frames)
        assert any(collapsed(p) == row.tolist() for p in paths) == (n_frames == n)


def test_frames_are_those_of_the_outputs():
    sources = check_sequences([np.zeros((n, 2)) for n in (7, 6, 1)])
    rows = [np.array([1]), np.array([2, 1]), np.array([], dtype=np.int64)]
    data = SequenceDataset(sources, TranscriptTargets(rows, np.array([3, 2, 1])))
    inputs, (transcripts, weights) = data.batch(np.array([2, 0, 1]), "cpu")
    assert isinstance(transcripts, Transcripts)
    assert inputs["lengths"].tolist() == [1, 7, 6]
    assert transcripts.n_frames.tolist() == [1, 3, 2]
    assert transcripts.classes.tolist() == [[-1, -1], [1, -1], [2, 1]]
    assert transcripts.n_symbols.tolist() == [0, 1, 2]
    assert weights is None
    assert data.n_targets.tolist() == [2, 3, 1]


def test_some_clips_keep_their_transcripts_and_weights():
    sources = check_sequences([np.full((n, 1), n) for n in (3, 4, 5)])
    rows = [np.array([k]) for k in (1, 2, 3)]
    weights, n_frames = np.array([1.0, 2.0, 3.0]), np.array([2, 2, 3])
    data = SequenceDataset(sources, TranscriptTargets(rows, n_frames), weights)
    some = data.select(np.array([2, 0]))
    assert [row.tolist() for row in some.targets.rows] == [[3], [1]]
    assert some.lengths.tolist() == [5, 3]
    assert some.weights.tolist() == [3.0, 1.0]
    assert some.with_weights(torch.ones(2)).targets.n_frames.tolist() == [3, 2]
