"""Files that are damaged, or made to harm, end in one clear error and do nothing."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from mutations import mutate_safetensors, nest, run_many, watched

from sklearn_rnn import InvalidModelError, RNNRegressor, SequenceWindower
from sklearn_rnn.persistence import load_model, save_model
from sklearn_rnn.persistence._files import _digest

X = np.random.RandomState(0).normal(size=(40, 3, 2))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "model"
    save_model(RNNRegressor(hidden_size=2, max_epochs=1).fit(X, X[:, 0, 0]), path)
    return path


def rewrite(source, path, change):
    """Write a changed file with a digest that matches."""
    data = source.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata, tensors = header["__metadata__"], dict(safetensors.numpy.load(data))
    tree = json.loads(metadata["model"])
    tree = change(tree, tensors) or tree
    metadata["model"] = tree if isinstance(tree, str) else json.dumps(tree)
    metadata["digest"] = _digest(metadata, tensors)
    path.write_bytes(safetensors.numpy.save(tensors, metadata))
    return path


def weights_of(tree):
    saved = tree["state"]["_saved_net"]["dict"]["weights"]["dict"]
    return {name: node["array"] for name, node in saved.items()}


def spec_of(tree):
    task = tree["state"]["_task"]["dict"]["state"]["dict"]
    return task["network_spec"]["dict"]["state"]["dict"]


def test_a_file_truncated_at_every_byte_is_refused(tmp_path):
    save_model(SequenceWindower(3), tmp_path / "model")
    data = (tmp_path / "model").read_bytes()
    path = tmp_path / "part"
    for n_bytes in range(len(data)):
        path.write_bytes(data[:n_bytes])
        with pytest.raises(InvalidModelError, match="part: "):
            load_model(path)


@pytest.mark.slow
def test_a_fitted_model_truncated_at_every_byte_is_refused(sample, tmp_path):
    data = sample.read_bytes()
    path = tmp_path / "part"
    for n_bytes in range(len(data)):
        path.write_bytes(data[:n_bytes])
        with pytest.raises(InvalidModelError, match="part: "):
            load_model(path)


@pytest.mark.thorough
@pytest.mark.parametrize("first", [0, 11])
def test_a_changed_byte_is_noticed_anywhere(first, sample, tmp_path):
    data = sample.read_bytes()
    path = tmp_path / "changed"
    for i in range(first, len(data), 58):
        changed = bytearray(data)
        changed[i] ^= 4
        path.write_bytes(changed)
        with pytest.raises(InvalidModelError, match="changed: "):
            load_model(path)


class Payload:
    def __reduce__(self):
        return (os.system, ("echo payload > payload",))


def zip_bomb():
    """Return a zip file of 10 kB that unpacks to 10 MB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 10**7)
        archive.writestr("../../traversal", b"x")
    return out.getvalue()


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"{}",
        pickle.dumps(Payload()),
        pickle.dumps({"a": 1}),
        zip_bomb(),
        (2**63).to_bytes(8, "little"),
        (2).to_bytes(8, "little") + b"{}",
        safetensors.numpy.save({"0": np.zeros(3)}),
        safetensors.numpy.save({"0": np.zeros(3)}, {"format": "pt"}),
    ],
    ids=range(9),
)
def test_other_files_are_refused_and_do_nothing(contents, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("other").write_bytes(contents)
    found = []
    with watched(found), pytest.raises(InvalidModelError, match=r"other: .* skops"):
        load_model("other")
    assert found == []
    assert os.listdir() == ["other"]


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        load_model(tmp_path)


def set_weight(tree, tensors, value):
    tensors[weights_of(tree)["head.weight"]][0] = value


def set_shape(tree, tensors):
    name = weights_of(tree)["head.weight"]
    tensors[name] = np.ones((3, 5), np.float32)


def add_tensor(tree, tensors):
    tensors["more"] = np.zeros(2)


def remove_tensor(tree, tensors):
    del tensors[weights_of(tree)["head.weight"]]


def grow(name, value):
    def change(tree, tensors):
        spec_of(tree)[name] = value

    return change


def other_type(tree, tensors):
    tree["estimator"] = "sklearn.ensemble.RandomForestRegressor"


def inner_type(tree, tensors):
    tree["state"]["_task"]["dict"]["sklearn_rnn.type"] = "os.system"


def random_words(tree, tensors):
    state = {"tuple": [[], 0, 0, 0.0]}
    for position in (10**6, -1):
        state = [{"array": "0"}, position, 0, 0.0]
    tree["state"]["random_state"] = {
        "dict": {"sklearn_rnn.type": "RandomState", "state": state}
    }


def sparse_indices(tree, tensors):
    tensors.update(d=np.ones(1), i=np.array([10**9]), p=np.array([0, 1]))
    state = [{"array": name} for name in "dip"] + [[1, 3]]
    tree["state"]["verbose"] = {
        "dict": {"sklearn_rnn.type": "csr_array", "state": state}
    }


def time_zone(tree, tensors):
    tree["state"]["verbose"] = {
        "dict": {"sklearn_rnn.type": "tzinfo", "state": "../../../etc/passwd"}
    }


def in_verbose(node):
    def change(tree, tensors):
        tree["state"]["verbose"] = node
        if "zeros" in json.dumps(node):
            tensors["zeros"] = np.zeros((1000, 1000))

    return change


def described(name, state):
    return {"dict": {"sklearn_rnn.type": name, "state": state}}


RANGE = described("range", [0, 10**6, 1])
ZEROS = {"array": "zeros"}


@pytest.mark.parametrize(
    ("node", "match"),
    [
        ([ZEROS | {"order": "F"}] * 9, "'zeros', which is used more than 8 times"),
        ({"tuple": ZEROS}, "'tuple' of what is no list"),
        ({"objects": ZEROS, "shape": [1000]}, "'objects' of what is no list"),
        (described("set", RANGE), "'set' .*range is not expected"),
        (described("frozenset", RANGE), "'frozenset' .*range is not expected"),
        (described("dict", ZEROS), "'dict' .*ndarray is not expected"),
        (described("objects", {"dict": {"items": RANGE, "shape": [1]}}), "'objects'"),
        (described("Index", [RANGE, "f8", None]), "'Index' .*range is not expected"),
        (described("DatetimeIndex", [RANGE, "ns", None, None, None]), "not expected"),
        (described("TimedeltaIndex", [RANGE, "ns", None, None]), "not expected"),
        (described("PeriodIndex", [RANGE, "D", None]), "not expected"),
        (described("CategoricalIndex", [RANGE, RANGE, False, None]), "not expected"),
        (described("MultiIndex", [[RANGE], [RANGE], [None]]), "not expected"),
        (described("csr_array", [RANGE, RANGE, RANGE, [1, 1]]), "not expected"),
        (described("range", RANGE), "'range' .*range is not expected"),
        (described("RangeIndex", RANGE), "'RangeIndex' .*range is not expected"),
        ({"numpy": "__loader__"}, "no ufunc or type"),
        ({"numpy": "testing"}, "no ufunc or type"),
    ],
    ids=range(18),
)
def test_a_small_file_takes_no_large_memory(node, match, sample, tmp_path):
    path = rewrite(sample, tmp_path / "bad", in_verbose(node))
    with pytest.raises(InvalidModelError, match=f"(?s)bad: .*{match}"):
        load_model(path)


def test_an_array_used_often_is_stored_again(tmp_path):
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    save_model([array] * 20, tmp_path / "model")
    assert len(safetensors.numpy.load_file(tmp_path / "model")) == 3
    for loaded in load_model(tmp_path / "model"):
        np.testing.assert_array_equal(loaded, array)
        assert loaded.flags.f_contiguous


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda *a: set_weight(*a, np.nan), r"'head\.weight' .*finite real numbers"),
        (lambda *a: set_weight(*a, np.inf), r"'head\.weight' .*finite real numbers"),
        (set_shape, r"'head\.weight' .* shape \(1, 2\), .* shape \(3, 5\) was saved"),
        (add_tensor, "1 tensors belong nowhere"),
        (remove_tensor, r"weights'\]\['head\.weight'\] is the tensor .* missing"),
        (grow("hidden_size", 10**6), r"of shape \(3000000,\), and one"),
        (grow("hidden_size", 10**9), "cannot be made of the state"),
        (grow("n_features", 10**12), r"'center' .* \(1000000000000,\)"),
        (grow("n_layers", 10**9), "a network of 1000000000 layers was saved with"),
        (grow("n_outputs", -3), "cannot be made of the state"),
        (grow("cell", "other"), "cannot be made of the state"),
        (other_type, "RandomForestRegressor', which is not on the list"),
        (inner_type, r"type 'os\.system', which version"),
        (random_words, "random state"),
        (sparse_indices, "csr_array"),
        (time_zone, "'tzinfo'"),
        (lambda *a: nest(10**5), "recursion"),
        (lambda *a: "no JSON", "Expecting value"),
    ],
    ids=range(18),
)
def test_a_file_made_to_harm_is_refused(change, match, sample, tmp_path):
    path = rewrite(sample, tmp_path / "bad", change)
    found = []
    with watched(found), pytest.raises(InvalidModelError, match=f"(?s)bad: .*{match}"):
        load_model(path)
    assert found == []


def test_a_rewritten_file_loads_where_nothing_is_changed(sample, tmp_path):
    path = rewrite(sample, tmp_path / "same", lambda tree, tensors: None)
    expected = load_model(sample).predict(X)
    np.testing.assert_array_equal(load_model(path).predict(X), expected)


def test_a_later_format_is_named(sample, tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_rnn.persistence._files.FORMAT", "2")
    save_model(SequenceWindower(3), tmp_path / "later")
    monkeypatch.undo()
    with pytest.raises(InvalidModelError, match="format '2', and version .* reads"):
        load_model(tmp_path / "later")


@pytest.mark.thorough
def test_mutated_files_run_no_code_and_end_in_one_error():
    counts, executed = run_many(200)
    assert executed == []
    assert sum(counts.values()) == 200
    assert counts["ours", "refused"] > 60
    assert counts["ours", "loaded, predicts"] > 0  # some changes do no harm


def test_mutations_reach_the_insides_of_a_file(sample):
    data, rng = sample.read_bytes(), np.random.RandomState(0)
    changed = {mutate_safetensors(data, rng) for _ in range(20)}
    assert len(changed) == 20


@pytest.mark.slow
def test_10000_mutated_files_within_limits():
    script = Path(__file__).with_name("mutations.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), "10000"]
    subprocess.run(command, check=True, env=environment)
