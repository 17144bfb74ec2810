"""Files of plain values, and the fingerprints that name them."""

import os
import subprocess
import sys
import time
import types
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import EarlyStopping

from sklearn_rnn import InvalidModelError, SequenceArray
from sklearn_rnn._fingerprint import fingerprint
from sklearn_rnn._plain_files import (
    check_writable,
    load_plain_file,
    partial_files,
    replace_file,
    save_plain_file,
)

VALUE = {
    "numbers": [1, 2.5, float("inf"), None, True],
    "arrays": (np.arange(3), np.array(["a", None], dtype=object), np.float32(0.1)),
    "by number": {0: "zero", (1, 2): "pair"},
    "time": pd.Timestamp("2026-01-01"),
    "random": np.random.RandomState(3),
}


def assert_equal(one, other):
    assert fingerprint(one) == fingerprint(other)


# Files


def test_values_are_as_they_were(tmp_path):
    save_plain_file(tmp_path / "a.npz", VALUE)
    assert_equal(load_plain_file(tmp_path / "a.npz"), VALUE)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_numpy_reads_the_arrays_without_pickles(tmp_path):
    save_plain_file(tmp_path / "a.npz", {"weights": np.arange(4.0)})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert (archive["0"] == np.arange(4.0)).all()
        assert all(archive[name].dtype != object for name in archive.files)


def test_what_is_not_plain_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(
        InvalidModelError, match=r"it\['a'\]\[1\] is of type .*function"
    ):
        save_plain_file(tmp_path / "a.npz", {"a": [0, assert_equal]})
    assert list(tmp_path.iterdir()) == []


def test_every_changed_byte_is_noticed_or_without_effect(tmp_path):
    path = tmp_path / "a.npz"
    save_plain_file(path, VALUE)
    whole = path.read_bytes()
    n_refused = 0
    for i in range(0, len(whole), 7):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 255]) + whole[i + 1 :])
        try:
            assert_equal(load_plain_file(path), VALUE)
        except InvalidModelError as error:
            n_refused += 1
            assert "a.npz is damaged" in str(error)
    assert n_refused > len(whole) / 7 / 2


def test_a_cut_file_is_damaged(tmp_path):
    path = tmp_path / "a.npz"
    save_plain_file(path, VALUE)
    whole = path.read_bytes()
    for n_bytes in range(0, len(whole), 50):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(InvalidModelError, match="is damaged"):
            load_plain_file(path)


class Marker:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickles_in_a_file_are_not_run(tmp_path):
    trap = np.array([Marker(str(tmp_path / "trap"))], dtype=object)
    np.savez(tmp_path / "a.npz", json=trap, digest=trap, allow_pickle=True)
    with pytest.raises(InvalidModelError, match="damaged"):
        load_plain_file(tmp_path / "a.npz")
    assert not (tmp_path / "trap").exists()


def test_a_write_that_fails_leaves_the_last_file(tmp_path):
    path = tmp_path / "a.npz"
    path.write_text("before")

    def fail(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(path, fail)
    assert path.read_text() == "before"
    assert partial_files(path) == []


def dead_process():
    """Return the id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not looked up")
def test_incomplete_files_of_dead_processes_are_found(tmp_path):
    path, dead = tmp_path / "a[1].npz", dead_process()
    names = [
        f".{path.name}.{dead}-0123abcd",
        f".{path.name}.{os.getpid()}-0123abcd",
        f".{path.name}.{dead}-0123abcd.npz.{dead}-0123abcd",
        f".b.npz.{dead}-0123abcd",
    ]
    for name in names:
        (tmp_path / name).touch()
    assert [found.name for found in partial_files(path)] == names[:1]


def test_incomplete_files_older_than_an_hour_are_found(tmp_path):
    path = tmp_path / "a.npz"
    found = []
    for age in (3500, 3700):
        partial = tmp_path / f".a.npz.{os.getpid()}-0123{age}"
        partial.touch()
        os.utime(partial, (time.time() - age,) * 2)
        found.append(partial)
    assert partial_files(path) == found[1:]


def test_a_file_that_is_being_written_is_not_among_the_left_ones(tmp_path):
    path = tmp_path / "a.npz"

    def write(file):
        assert len(list(tmp_path.iterdir())) == 1
        assert partial_files(path) == []

    replace_file(path, write)


def test_a_folder_is_tried_without_a_trace(tmp_path):
    check_writable(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError):
        check_writable(tmp_path / "none" / "a.npz")


# Fingerprints


def sequences(**changes):
    values = np.arange(6.0)[:, np.newaxis]
    return SequenceArray(
        **{"values": values, "starts": [0, 3], "lengths": [3, 3], **changes}
    )


class Thing:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def enclosed(value):
    return lambda x: x + value


def with_globals(**values):
    """Return a function that reads a global in a function of its own."""

    def function(x):
        return (lambda y: y * FACTOR)(x)  # noqa: F821

    return types.FunctionType(function.__code__, {"__name__": __name__, **values})


def class_with(function):
    return type("Made", (), {"apply": function, "__module__": __name__})


def counts_its_calls():
    global N_CALLS
    N_CALLS += 1
    return N_CALLS


N_CALLS = 0
PAIRS = {
    "numbers": (1, 1.0),
    "texts": ("ab", ["a", "b"]),
    "shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
    "dtypes": (np.zeros(2, "f4"), np.zeros(2, "f8")),
    "orders": (np.array([[1, 2], [3, 4]]), np.array([[1, 3], [2, 4]], order="F")),
    "objects": (np.array(["a", None], object), np.array(["a", "b"], object)),
    "frames": (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    "times": (pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02")),
    "sequences": (sequences(), sequences(starts=[0, 2])),
    "scaled": (sequences(), sequences().scale(np.zeros(1), np.full(1, 2.0))),
    "functions": (lambda x: x + 1, lambda x: x + 2),
    "names": (lambda x: np.sin(x), lambda x: np.cos(x)),
    "enclosed": (enclosed(1), enclosed(2)),
    "partials": (partial(max, 1), partial(max, 2)),
    "classes": (torch.optim.Adam, torch.optim.SGD),
    "attributes": (Thing(a=1), Thing(a=2)),
    "callbacks": (EarlyStopping(patience=2), EarlyStopping(patience=3)),
    "tensors": (torch.zeros(2), torch.ones(2)),
    "devices": (torch.device("cpu"), torch.device("cuda")),
    "generators": (np.random.RandomState(0), np.random.RandomState(1)),
    "dicts": (OrderedDict(a=1), OrderedDict(a=2)),
    "globals": (with_globals(FACTOR=2), with_globals(FACTOR=3)),
    "global arrays": (
        with_globals(FACTOR=np.ones(2)),
        with_globals(FACTOR=np.zeros(2)),
    ),
    "global settings": (with_globals(FACTOR=[{"a": 1}]), with_globals(FACTOR=[{}])),
    "bodies": (class_with(lambda self: 1), class_with(lambda self: 2)),
    "bodies of objects": (
        class_with(lambda self: 1)(),
        class_with(lambda self: 2)(),
    ),
    "properties": (
        class_with(property(lambda self: 1)),
        class_with(property(lambda self: 2)),
    ),
    "static methods": (
        class_with(staticmethod(lambda: 1)),
        class_with(staticmethod(lambda: 2)),
    ),
    "bases": (
        type("Sub", (class_with(lambda self: 1),), {}),
        type("Sub", (class_with(lambda self: 2),), {}),
    ),
    "globals of bodies": (
        class_with(with_globals(FACTOR=2)),
        class_with(with_globals(FACTOR=3)),
    ),
    "ranges": (range(10**8), range(10**9)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_different_values_have_different_fingerprints(name):
    one, other = PAIRS[name]
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(one)


EQUALS = {
    "numbers of NumPy": (np.float64(0.1), 0.1),
    "integers of NumPy": ([np.int32(3), np.bool_(True)], [3, True]),
    "text of NumPy": (np.str_("a"), "a"),
    "devices": (torch.device("cuda:1"), "cuda:1"),
    "orders": (np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3).copy(order="F")),
    "other globals": (
        with_globals(FACTOR=2, other=1),
        with_globals(FACTOR=2, other=2),
    ),
    "globals that are not plain": (
        with_globals(FACTOR=object()),
        with_globals(FACTOR=object()),
    ),
}


@pytest.mark.parametrize("name", EQUALS)
def test_equal_values_have_equal_fingerprints(name):
    one, other = EQUALS[name]
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    "value", [np.datetime64(5, "ns"), np.longdouble(1), np.timedelta64(2, "s")]
)
def test_scalars_that_python_lacks_keep_their_type(value):
    assert fingerprint(value) == fingerprint(value.copy())
    assert fingerprint(value) not in {fingerprint(1), fingerprint(5), fingerprint(2)}


def test_unused_bytes_of_long_doubles_do_not_count():
    value = np.array([1, 1 + np.finfo(np.longdouble).eps], dtype=np.longdouble)
    other = value.copy()
    other.view(np.uint8).reshape(2, -1)[:, 10:] ^= 1  # on x86 the unused ones
    is_equal = (value == other).all()
    assert (fingerprint(value) == fingerprint(other)) == is_equal
    assert fingerprint(value[:1]) != fingerprint(value[1:])


def test_globals_that_a_function_sets_do_not_count():
    before = fingerprint(counts_its_calls)
    counts_its_calls()
    assert fingerprint(counts_its_calls) == before


def test_objects_in_fields_of_arrays_are_refused():
    array = np.zeros(2, dtype=[("a", object), ("b", float)])
    with pytest.raises(
        InvalidModelError, match=r"it\['x'\] is a structured array with"
    ):
        fingerprint({"x": array})


def test_objects_may_hold_themselves():
    one, other = Thing(a=1), Thing(a=2)
    one.me, other.me = one, other
    assert fingerprint(one) != fingerprint(other)


def test_blocks_of_large_arrays_add_up(monkeypatch):
    array = np.arange(1000.0).reshape(100, 10)[:, ::2]
    whole = fingerprint(array)
    monkeypatch.setattr("sklearn_rnn._fingerprint.BLOCK_BYTES", 64)
    assert fingerprint(array) == whole


def test_a_memory_map_counts_as_its_array(tmp_path):
    array = np.arange(5.0)
    np.save(tmp_path / "a.npy", array)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert fingerprint(mapped) == fingerprint(array)


def test_what_cannot_be_told_from_others_is_refused():
    with pytest.raises(InvalidModelError, match=r"it\['a'\] is of type builtins.obj"):
        fingerprint({"a": object()})


@pytest.mark.slow
def test_fingerprints_are_the_same_in_every_process():
    code = (
        "from sklearn_rnn._fingerprint import fingerprint\n"
        "words = {f'word {i}' for i in range(50)}\n"
        "print(fingerprint([words, {'a': frozenset(words)}, lambda w: w in {1, 'y'}]))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
