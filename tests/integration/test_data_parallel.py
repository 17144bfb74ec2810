"""One model that several processes train is the model that one process trains."""

import importlib.util
import os
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from parallel_work import EQUAL, OTHERS, found_by
from torch import distributed

from sklearn_rnn import RNNRegressor, data_parallel

EXAMPLE = Path(__file__).parents[2] / "examples" / "data_parallel.py"
SCRIPT = Path(__file__).with_name("parallel_work.py")
FEW = ["regressor, defaults", "classifier, ragged", "tagger", "regressor, stopping"]
REST = [name for name in EQUAL if name not in FEW]
ERRORS = {
    "other weights": "RuntimeError: the processes of data_parallel have different",
    "other data": "process 1 has other values than process 0 of: X and y. Give",
    "other parameter": "process 1 has other values than process 0 of: hidden_size.",
    "no seed": "ValueError: data_parallel needs a random_state",
    "checkpoint": "ValueError: data_parallel does not support checkpoint",
    "batches": "ValueError: data_parallel divides batches over processes, and LRSched",
    "writes files": "ValueError: data_parallel trains in every process, and Checkpoint",
    "writes files at the end": "process, and TrainEndCheckpoint in callbacks would",
    "diverges": "DivergenceError: training diverged in epoch 1",
}

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return what makes fits by some processes, and returns what each of them found."""

    @cache
    def run(names, n_processes=2):
        folder = tmp_path_factory.mktemp("processes")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen(
                [sys.executable, SCRIPT, str(rank), str(n_processes), folder, *names],
                env=environment,
            )
            for rank in range(n_processes)
        ]
        try:
            assert [process.wait(500) for process in processes] == [0] * n_processes
        finally:
            for process in processes:
                process.kill()
        files = [folder / f"{rank}.pickle" for rank in range(n_processes)]
        return [pickle.loads(file.read_bytes()) for file in files]

    return run


def assert_equal_to_one_process(found, name):
    expected, first = found_by(EQUAL[name]), found[0][name]
    for other in found[1:]:  # to the last bit
        assert other[name]["losses"] == first["losses"]
        for own, weights in zip(first["weights"], other[name]["weights"], strict=True):
            np.testing.assert_array_equal(own, weights)
    assert first["n_iter"] == expected["n_iter"]
    for part in ("losses", "weights"):
        for own, one in zip(first[part], expected[part], strict=True):
            np.testing.assert_allclose(own, one, rtol=1e-9, atol=1e-12)


def run_example(options):
    """Run the example in this process."""
    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(options)


@pytest.mark.parametrize("name", FEW)
def test_two_processes_train_the_model_of_one(name, run):
    assert_equal_to_one_process(run((*FEW, *OTHERS)), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", REST)
def test_every_way_to_train_is_divided_over_two_processes(name, run):
    assert_equal_to_one_process(run(tuple(REST)), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["regressor, defaults", "regressor, steps", "tagger"])
def test_three_processes_train_the_model_of_one(name, run):
    names = ("regressor, defaults", "regressor, steps", "tagger")
    assert_equal_to_one_process(run(names, 3), name)


def test_early_stopping_ends_before_the_last_epoch(run):
    assert run((*FEW, *OTHERS))[0]["regressor, stopping"]["n_iter"] < 40


def test_all_processes_stop_when_a_callback_stops_one(run):
    found = run((*FEW, *OTHERS))
    assert [one["one process stops"]["n_iter"] for one in found] == [1, 1]


def test_an_error_in_one_process_ends_the_others(run):
    first, second = (one["one process fails"] for one in run((*FEW, *OTHERS)))
    assert second == "ZeroDivisionError: "
    assert first.startswith("RuntimeError: process 0 of 2 cannot reach the others")


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_divided_is_refused_by_all_processes(name, run):
    for found in run((*FEW, *OTHERS)):
        assert ERRORS[name] in found[name]


@pytest.mark.slow
def test_the_example_gives_the_loss_of_one_process_under_torchrun(capfd):
    options = ["--epochs", "2", "--units", "8"]
    one, _ = run_example(options), capfd.readouterr()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*torchrun, "--nproc-per-node", "2", str(EXAMPLE), *options],
        env=environment,
        check=True,
        timeout=500,
    )
    printed = capfd.readouterr().out
    assert printed.count("loss") == 1  # by the first process alone
    assert f"loss {one['loss']:.9f}, accuracy {one['accuracy']:.4f}" in printed


def test_a_context_without_processes_is_refused():
    with (
        pytest.raises(RuntimeError, match=r"init_process_group\('gloo'\) first"),
        data_parallel(),
    ):
        pass


def test_a_build_of_torch_without_processes_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="Install one that has it"), data_parallel():
        pass


def test_one_process_trains_as_without_the_context(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 5, 2))
    model = RNNRegressor(max_epochs=2, random_state=0)
    expected = model.fit(X, X[:, -1, 0]).predict(X)
    store = f"file://{tmp_path / 'store'}"
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        with data_parallel():
            found = model.fit(X, X[:, -1, 0]).predict(X)
    finally:
        distributed.destroy_process_group()
    np.testing.assert_array_equal(found, expected)
