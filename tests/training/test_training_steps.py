"""Steps on a device are those on the host. The CPU stands for the device."""

import pickle

import numpy as np
import pytest
import torch

from sklearn_rnn import (
    DivergenceError,
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
)
from sklearn_rnn.sequences import SequenceArray, check_sequences
from sklearn_rnn.training import (
    SequenceDataset,
    StepsOnDevice,
    StepsOnHost,
    network_outputs,
    steps_for,
)
from sklearn_rnn.training import _batches as batches_module
from sklearn_rnn.training import _clipping as clipping_module
from sklearn_rnn.training import _inference as inference_module
from sklearn_rnn.training import _steps as steps_module
from sklearn_rnn.training import _truncation as truncation_module


def dense(dtype="float32"):
    X = np.random.default_rng(0).normal(size=(12, 7, 3)) * 50
    return check_sequences(X.astype(dtype))


def ragged():
    rng = np.random.default_rng(1)
    return check_sequences([rng.normal(size=(1 + i % 5, 3)) for i in range(12)])


def windows():
    """Overlapping ones, the first of them shorter, over a series of float32."""
    series = np.random.default_rng(2).normal(size=(12, 3)).astype("float32")
    ends = np.arange(1, 13)
    lengths = np.minimum(ends, 4)
    return SequenceArray(series, ends - lengths, lengths)


def scaled(sequences):
    return sequences.scale(np.array([1.0, 2.0, 3e5]), np.array([0.1, 3.0, 7.0]))


ALL = {
    "dense": dense(),
    "of integers": dense("int16"),
    "ragged": ragged(),
    "windows": windows(),
    "scaled": scaled(windows()),
    "scaled integers": scaled(dense("uint8")),
    "differenced": windows().difference(np.array([0, 2])),
    "scaled and differenced": scaled(ragged()).difference(np.array([2])),
    "a selection": scaled(windows())[np.array([11, 3, 3, 0, 7, 8, 9, 5, 4, 2, 1, 6])],
}


@pytest.fixture
def on_device(monkeypatch):
    """Whatever asks where steps lie is told that they lie on the device."""
    made = []

    def choose(sequences, device, n_passes=None):
        made.append(StepsOnDevice(sequences, device))
        return made[-1]

    for module in (batches_module, inference_module):
        monkeypatch.setattr(module, "steps_for", choose)
    return made


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("indices", [np.arange(12), [3], [0, 0, 11], [5, 2, 10]])
def test_a_device_gathers_what_the_host_gathers(name, indices):
    sequences, indices = ALL[name], np.array(indices)
    there, here = (
        kind(sequences, "cpu").gather(sequences, indices)
        for kind in (StepsOnDevice, StepsOnHost)
    )
    assert there[0].dtype == here[0].dtype
    assert torch.equal(there[0], here[0])
    assert np.array_equal(here[0].numpy(), sequences.gather(indices))
    lengths = sequences.lengths[indices]
    for found in (there[1], here[1]):
        if found is None:
            assert (lengths == len(here[0])).all()
        else:
            assert found.tolist() == lengths.tolist()


@pytest.mark.parametrize("steps", [range(4), range(2, 5), range(4, 4)])
def test_a_device_takes_the_steps_that_the_host_takes(steps):
    sequences = scaled(ragged())
    arguments = sequences.starts, sequences.lengths, steps
    there, here = (
        kind(sequences, "cpu").take(*arguments) for kind in (StepsOnDevice, StepsOnHost)
    )
    assert torch.equal(there, here)
    for i, (start, length) in enumerate(zip(*arguments[:2], strict=True)):
        rows = [start + min(step, length - 1) for step in steps]
        assert np.array_equal(here[:, i].numpy(), sequences.values[rows])


def test_a_series_is_put_onto_a_device_piece_by_piece(monkeypatch):
    monkeypatch.setattr(steps_module, "CHUNK_ROWS", 5)
    sequences = windows()
    here = sequences.gather(slice(None))
    there, _ = StepsOnDevice(sequences, "cpu").gather(sequences, np.arange(12))
    assert np.array_equal(there.numpy(), here)


def test_steps_are_put_onto_a_device_once_as_long_as_a_dataset_lives(on_device):
    data = SequenceDataset(ragged(), torch.zeros(12))
    for _ in range(3):
        data.batch(np.arange(4), torch.device("cpu"))
    assert len(on_device) == 1


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, StepsOnDevice),
        ({"free": 12 * 3 * 4 * 2}, StepsOnHost),  # no room
        ({"n_windows": 2, "n_passes": 1}, StepsOnHost),  # less than the series
        ({"n_windows": 2}, StepsOnDevice),  # but not in many passes
        ({"varies": True}, StepsOnHost),
        ({"device": "cpu"}, StepsOnHost),
    ],
)
def test_steps_lie_on_a_gpu_where_there_is_room_and_it_pays(
    monkeypatch, changes, expected
):
    given = {"free": 10**6, "n_windows": 12, "device": "cuda:0", **changes}
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda device: (given["free"], 10**9)
    )
    for kind in (StepsOnDevice, StepsOnHost):
        monkeypatch.setattr(kind, "__init__", lambda self, sequences, device: None)
    sequences = windows()[: given["n_windows"]]
    if given.get("varies"):
        sequences = sequences.with_transforms(augmentation=object())
    n_passes = {"n_passes": given["n_passes"]} if "n_passes" in given else {}
    assert type(steps_for(sequences, given["device"], **n_passes)) is expected


SMALL = {"hidden_size": 4, "max_epochs": 2, "batch_size": 5, "random_state": 0}


def fit_and_predict(kind, **options):
    X = ragged()
    lists = [np.asarray(x) for x in X]
    model = kind(**{**SMALL, "kernel": "torch", **options})
    if kind is RNNRegressor:
        y = np.arange(12.0)
        model.fit(scaled(windows()), y, X_val=windows(), y_val=y)
        return model, model.predict(windows())
    if kind is RNNClassifier:
        return model, model.fit(X, np.arange(12) % 2).predict_proba(X)
    if kind is RNNTagger:
        model.fit(lists, [x[:, 0] > 0 for x in lists])
        return model, np.concatenate(model.predict_proba(lists))
    if kind is RNNGenerator:
        texts = ["abcab" * 3, "cab", "bcaab"] * 4
        return model, model.fit(texts).score(texts)
    texts = ["ab", "ba", "aab", "b"] * 3
    if kind is RNNSeq2Seq:
        return model, model.fit(texts, texts).score(texts, texts)
    frames = [np.ones((5, 2)) * len(text) for text in texts]
    return model, model.fit(frames, texts).score(frames, texts)


@pytest.mark.parametrize(
    "kind, options",
    [
        (RNNClassifier, {}),
        (RNNGenerator, {"bptt_steps": 4}),
        (RNNRegressor, {}),
        (RNNRegressor, {"target_feature": 0, "subtract_last": True}),
        (RNNSeq2Seq, {}),
        (RNNTagger, {}),
        (RNNTranscriber, {}),
    ],
)
def test_a_fit_with_steps_on_the_device_is_the_usual_fit(kind, options, request):
    usual, expected = fit_and_predict(kind, **options)
    made = request.getfixturevalue("on_device")
    model, found = fit_and_predict(kind, **options)
    assert made
    assert model.loss_curve_ == usual.loss_curve_
    assert model.validation_scores_ == usual.validation_scores_
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}])
def test_long_sequences_are_predicted_in_pieces_from_the_device(options, request):
    lengths = [1500, 40, 1100, 1030]
    rng = np.random.default_rng(0)
    X = scaled(check_sequences([rng.normal(size=(n, 3)) for n in lengths]))
    model = RNNRegressor(**SMALL, kernel="torch", **options).fit(X, [1, 2, 3, 4.0])
    expected = network_outputs(model.module_, X, "cpu")
    assert request.getfixturevalue("on_device") == []
    assert torch.equal(network_outputs(model.module_, X, "cpu"), expected)


def as_on_a_gpu(monkeypatch):
    """Nobody looks at a number before the epoch ends."""
    for module in (clipping_module, truncation_module):
        monkeypatch.setattr(module, "is_at_hand", lambda tensor: False)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clip_norm": None},
        {"clip_norm": 1e-2, "clip_value": 1e-3},
        {"bptt_steps": 2},
        {"bptt_steps": 2, "optimizer": torch.optim.LBFGS, "learning_rate": 0.1},
    ],
)
def test_training_is_the_same_where_nobody_waits_for_numbers(options, monkeypatch):
    X, y = windows(), np.arange(12.0)
    options = {**SMALL, "kernel": "torch", "dtype": "float64", **options}
    usual = RNNRegressor(**options).fit(X, y)
    as_on_a_gpu(monkeypatch)
    model = RNNRegressor(**options).fit(X, y)
    for mine, theirs in zip(model.history_, usual.history_, strict=True):
        assert mine.keys() == theirs.keys()
        for name in mine.keys() - {"dur"}:
            assert isinstance(mine[name], (float, int)), name
            assert mine[name] == pytest.approx(theirs[name], rel=1e-9), name
    np.testing.assert_allclose(model.predict(X), usual.predict(X), rtol=1e-9)


def test_divergence_is_told_of_where_nobody_waits_for_numbers(monkeypatch):
    as_on_a_gpu(monkeypatch)
    model = RNNRegressor(
        **SMALL, kernel="torch", optimizer="sgd", learning_rate=1e38, clip_norm=None
    )
    with pytest.raises(DivergenceError):
        model.fit(windows(), np.arange(12.0) ** 8)
    assert np.isfinite(model.predict(windows())).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", ["float32", "mixed"])
@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "lstm", "gru"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_layers": 2, "bidirectional": True, "dropout": 0.2, "weight_drop": 0.2},
        {"n_layers": 2, "residual": True, "layer_norm": True, "pooling": "attention"},
    ],
)
def test_a_gpu_trains_without_a_warning_and_predicts_as_a_cpu(cell, dtype, options):
    X, y = ragged(), np.arange(12.0)
    model = RNNRegressor(cell, **SMALL, dtype=dtype, device="cuda", **options)
    found = model.fit(X, y).predict(X)
    model.set_params(device="cpu")
    np.testing.assert_allclose(
        pickle.loads(pickle.dumps(model)).predict(X), found, rtol=1e-2, atol=1e-2
    )
