"""Files that are mapped into memory, and larger than the memory there is."""

import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNRegressor,
    SequenceArray,
    SequenceScaler,
    SequenceWindower,
)
from sklearn_rnn.sequences import check_sequences

MB = 1_000_000
QUICK = {
    "hidden_size": 4,
    "max_epochs": 1,
    "n_threads": 1,
    "random_state": 0,
    "kernel": "torch",
}

# RLIMIT_DATA counts all memory that a process can write to and nobody else, but not
# the pages of a file that it only reads: those the system drops when it likes.
LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from sklearn_rnn import RNNRegressor, SequenceScaler, SequenceWindower

limit, *paths = sys.argv[1:]
model = RNNRegressor(hidden_size=4, max_epochs=1, n_threads=1, kernel="torch")
# The matrices of the linear part depend on the window alone: here 8 MB each.
model.set_params(linear_skip=False)
warm_up = np.random.default_rng(0).normal(size=(128, 24, 50)).astype(np.float32)
model.fit(warm_up, warm_up[:, -1, 0]).predict(warm_up)

status = Path("/proc/self/status").read_text()
used = int(status.split("VmData:")[1].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + int(limit),) * 2)
for path in paths:
    X = np.load(path, mmap_mode="r")
    try:
        np.array(X)
    except MemoryError:
        print("no copy fits")
    if X.ndim == 2:
        windows = SequenceWindower(n_steps=24).fit_transform(X)
        X = SequenceScaler().fit_transform(windows)[::len(windows) // 1000]
    y = np.random.default_rng(0).normal(size=len(X))
    print(np.isfinite(model.fit(X, y).predict(X)).all())
"""


def write(path, shape):
    """Write a file of float32 numbers, in which blocks repeat themselves."""
    values = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    block = np.random.default_rng(0).normal(size=(len(values) // 100, *shape[1:]))
    for begin in range(0, len(values), len(block)):
        values[begin : begin + len(block)] = block
    values.flush()


@pytest.mark.slow  # a process of its own imports all anew
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA is Linux's")
def test_files_of_200_mb_train_and_predict_with_60(tmp_path):
    paths = [tmp_path / "series.npy", tmp_path / "sequences.npy"]
    write(paths[0], (1_000_000, 50))
    write(paths[1], (10_000, 100, 50))
    assert all(path.stat().st_size > 200 * MB for path in paths)
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIMITED, str(60 * MB), *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.stdout.split() == ["no", "copy", "fits", "True"] * 2, child.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("shape", [(250_000, 50), (10_000, 25, 50)])
def test_no_large_part_of_a_file_is_copied(shape, tmp_path):
    path = tmp_path / "series.npy"
    write(path, shape)
    X = mapped = np.load(path, mmap_mode="r")
    # What the linear part allocates depends on the values of a window, not on the file:
    # for windows of 24 x 50 values it is more than this file.
    model = RNNRegressor(**QUICK).set_params(batch_size=1000, linear_skip=False)
    model.fit(np.zeros((20, 24, 50)), np.zeros(20))  # what is needed once
    tracemalloc.start()
    if X.ndim == 2:
        X = SequenceScaler().fit_transform(SequenceWindower(24).fit_transform(X))[::100]
    y = np.zeros(len(X))
    model.fit(X, y).predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.shares_memory(check_sequences(X).values, mapped)
    # A scan reads 4 MB at a time, and squares them as float64.
    assert peak < 0.8 * mapped.nbytes


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"loss": "quantile", "target_feature": 0}, marks=pytest.mark.slow),
    ],
)
def test_the_linear_part_writes_no_windows_out(options, tmp_path):
    path = tmp_path / "series.npy"
    write(path, (3_000_000, 4))
    mapped = np.load(path, mmap_mode="r")
    starts = np.arange(0, 2_999_900, 100)
    X = SequenceArray(mapped, starts, np.full(len(starts), 50))
    model = RNNRegressor(**QUICK, **options, linear_skip=True, batch_size=1000)
    model.fit(np.zeros((20, 50, 4)), np.zeros(20))
    y = np.random.default_rng(0).normal(size=len(X))
    tracemalloc.start()
    model.fit(X, y).predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.linear_.n_lags_ == 50
    # The windows alone, as float64, take as much as the file.
    assert peak < 0.6 * mapped.nbytes


@pytest.mark.thorough
def test_predictions_are_those_from_memory(tmp_path):
    path = tmp_path / "series.npy"
    write(path, (2000, 3))
    mapped = np.load(path, mmap_mode="r")
    y = np.array(mapped[:, 0])
    model = make_pipeline(SequenceWindower(5), SequenceScaler(), RNNRegressor(**QUICK))
    model.set_params(sequencewindower__history=None)
    predicted = model.fit(mapped, y).predict(mapped)
    in_memory = np.array(mapped)
    np.testing.assert_array_equal(predicted, model.fit(in_memory, y).predict(in_memory))


@pytest.mark.thorough
def test_a_fitted_pipeline_pickles_without_its_series(tmp_path):
    path = tmp_path / "series.npy"
    write(path, (20_000, 50))
    mapped = np.load(path, mmap_mode="r")
    model = make_pipeline(SequenceWindower(n_steps=5), RNNRegressor(**QUICK))
    model.set_params(rnnregressor__batch_size=1000)
    model.fit(mapped, np.zeros(len(mapped)))
    assert len(pickle.dumps(model)) < 0.05 * mapped.nbytes
