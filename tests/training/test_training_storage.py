"""Steps stored on a device are those on the host. The CPU stands for the device."""

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
    SequenceArray,
)
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import (
    SequenceDataset,
    StepStorage,
    network_outputs,
    store_steps,
)
from sklearn_rnn.training import _datasets as datasets_module
from sklearn_rnn.training import _gradients as gradients_module
from sklearn_rnn.training import _inference as inference_module
from sklearn_rnn.training import _optimizers as optimizers_module
from sklearn_rnn.training import _storage as storage_module


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
    """Store steps on the device, whatever its memory."""
    made = []

    def choose(sequences, device, n_passes=None):
        made.append(StepStorage(sequences, device, on_device=True))
        return made[-1]

    for module in (datasets_module, inference_module):
        monkeypatch.setattr(module, "store_steps", choose)
    return made


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("indices", [np.arange(12), [3], [0, 0, 11], [5, 2, 10]])
def test_a_device_gathers_what_the_host_gathers(name, indices):
    sequences, indices = ALL[name], np.array(indices)
    there, here = (
        StepStorage(sequences, "cpu", on_device).gather(sequences, indices)
        for on_device in (True, False)
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
        StepStorage(sequences, "cpu", on_device).load(*arguments)
        for on_device in (True, False)
    )
    assert torch.equal(there, here)
    for i, (start, length) in enumerate(zip(*arguments[:2], strict=True)):
        rows = [start + min(step, length - 1) for step in steps]
        assert np.array_equal(here[:, i].numpy(), sequences.values[rows])


def test_a_series_is_copied_to_a_device_in_chunks(monkeypatch):
    monkeypatch.setattr(storage_module, "CHUNK_ROWS", 5)
    sequences = windows()
    here = sequences.gather(slice(None))
    storage = StepStorage(sequences, "cpu", on_device=True)
    there, _ = storage.gather(sequences, np.arange(12))
    assert np.array_equal(there.numpy(), here)


def test_steps_are_copied_to_a_device_once_per_dataset(on_device):
    data = SequenceDataset(ragged(), torch.zeros(12))
    for _ in range(3):
        data.batch(np.arange(4), torch.device("cpu"))
    assert len(on_device) == 1


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, True),
        ({"free": 12 * 3 * 4 * 2}, False),  # too little memory
        ({"n_windows": 2, "n_passes": 1}, False),  # less than the series
        ({"n_windows": 2}, True),  # but not in many passes
        ({"augmented": True}, False),
        ({"device": "cpu"}, False),
    ],
)
def test_steps_are_stored_on_a_gpu_with_memory_if_they_are_read_often(
    monkeypatch, changes, expected
):
    given = {"free": 10**6, "n_windows": 12, "device": "cuda:0", **changes}
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda device: (given["free"], 10**9)
    )
    monkeypatch.setattr(
        StepStorage,
        "__init__",
        lambda self, sequences, device, on_device=False: vars(self).update(
            on_device=on_device
        ),
    )
    sequences = windows()[: given["n_windows"]]
    if given.get("augmented"):
        sequences = sequences.with_transforms(augmentation=object())
    n_passes = {"n_passes": given["n_passes"]} if "n_passes" in given else {}
    storage = store_steps(sequences, given["device"], **n_passes)
    assert storage.on_device is expected


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
def test_long_sequences_are_predicted_in_chunks_from_the_device(options, request):
    lengths = [1500, 40, 1100, 1030]
    rng = np.random.default_rng(0)
    X = scaled(check_sequences([rng.normal(size=(n, 3)) for n in lengths]))
    options = {**SMALL, "max_epochs": 1, "kernel": "torch", **options}
    model = RNNRegressor(**options).fit(X, [1, 2, 3, 4.0])
    expected = network_outputs(model.module_, X, "cpu")
    assert request.getfixturevalue("on_device") == []
    assert torch.equal(network_outputs(model.module_, X, "cpu"), expected)


def as_on_a_gpu(monkeypatch):
    """No value is read before the epoch ends."""
    for module in (optimizers_module, gradients_module):
        monkeypatch.setattr(module, "is_on_cpu", lambda tensor: False)


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
def test_training_is_the_same_where_values_are_read_after_the_epoch(
    options, monkeypatch
):
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


def test_divergence_is_an_error_where_values_are_read_after_the_epoch(monkeypatch):
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
