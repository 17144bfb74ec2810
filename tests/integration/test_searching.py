"""Searches: workers, threads, shared data, halving, and nothing left behind."""

import gc
import random
import tracemalloc
import weakref

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceArray,
    SequenceScaler,
    SequenceWindower,
)
from sklearn_rnn.kernels import _choice, compiled_kernels_available
from sklearn_rnn.sequences import _container

QUICK = {"hidden_size": 4, "max_epochs": 2, "batch_size": 32, "random_state": 0}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5, 2)).astype(np.float32)
Y = X.mean(axis=(1, 2))
LABELS = np.where(Y > 0, "b", "a")
STEP_LABELS = np.where(X.sum(axis=2) > 0, "b", "a")
TASKS = [(RNNRegressor(**QUICK), Y), (RNNClassifier(**QUICK), LABELS)]
NAMES = ["regressor", "classifier"]


def as_container(block):
    n_sequences, n_steps, n_features = block.shape
    return SequenceArray(
        block.reshape(-1, n_features),
        np.arange(n_sequences) * n_steps,
        np.full(n_sequences, n_steps),
    )


# One thread a worker.


class CountThreads(Callback):
    seen = []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(torch.get_num_threads())


@pytest.fixture
def seen(monkeypatch):
    """Return the counts of threads, of networks that are large enough for four."""
    monkeypatch.setattr(_choice, "MIN_WORK_PER_THREAD", 1)
    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    monkeypatch.setattr(CountThreads, "seen", [])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield CountThreads.seen
    torch.set_num_threads(before)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("n_jobs", "n_threads", "used"), [(1, None, 4), (2, None, 1), (2, 3, 3)]
)
def test_fits_of_a_search_use_one_thread_unless_n_threads_is_set(
    n_jobs, n_threads, used, seen
):
    model = RNNRegressor(**QUICK, callbacks=[CountThreads()], n_threads=n_threads)
    grid = {"hidden_size": [2, 4]}
    with joblib.parallel_config("threading"):
        GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, refit=False).fit(X, Y)
    assert seen == [used] * 2 * 2 * QUICK["max_epochs"]
    assert torch.get_num_threads() == 2


@pytest.mark.thorough
@pytest.mark.parametrize(("model", "y"), TASKS, ids=NAMES)
def test_a_search_in_threads_equals_the_serial_one_and_leaves_no_trace(model, y):
    model = clone(model).set_params(dropout=0.2, n_layers=2, early_stopping=True)
    grid = {"hidden_size": [3, 4], "learning_rate": [1e-3, 1e-2]}
    serial = GridSearchCV(model, grid, cv=3).fit(X, y)
    states = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    n_threads = torch.get_num_threads()
    with joblib.parallel_config("threading"):
        threaded = GridSearchCV(model, grid, cv=3, n_jobs=3).fit(X, y)
    for k in range(3):
        split = f"split{k}_test_score"
        np.testing.assert_array_equal(
            threaded.cv_results_[split], serial.cv_results_[split]
        )
    np.testing.assert_array_equal(threaded.predict(X), serial.predict(X))
    np.testing.assert_array_equal(np.random.get_state()[1], states)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == python_state
    assert torch.get_num_threads() == n_threads


# Shared data.


def memory_map_of(array):
    """Return the file that an array is a view of, or None."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return None if array is None else array.filename


def fit_and_measure(X, y):
    """Return the file that X lies in, and the most bytes that a fit took."""
    _container.CHUNK_ROWS, chunk_rows = 1024, _container.CHUNK_ROWS
    options = {**QUICK, "max_epochs": 1, "batch_size": 500, "kernel": "torch"}
    # What it allocates depends on the values of a window: here it is more than X.
    options["linear_skip"] = False
    model = RNNRegressor(**options).fit(X[:20], y[:20])  # imports what it needs once
    tracemalloc.start()
    try:
        model.fit(X, y).score(X[:64], y[:64])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        _container.CHUNK_ROWS = chunk_rows
    return memory_map_of(X.values if isinstance(X, SequenceArray) else X), peak


@pytest.fixture(scope="module")
def wide():
    return np.random.default_rng(0).normal(size=(4000, 24, 16)).astype(np.float32)


@pytest.mark.thorough
@pytest.mark.parametrize("convert", [np.asarray, as_container])
def test_data_in_a_file_are_fitted_without_a_copy(convert, wide, tmp_path):
    joblib.dump(convert(wide), tmp_path / "data")
    X = joblib.load(tmp_path / "data", mmap_mode="r")
    file, peak = fit_and_measure(X, wide[:, -1, 0])
    assert file is not None
    assert peak < wide.nbytes / 2


@pytest.mark.slow
def test_workers_read_the_folds_of_a_container_from_one_file(wide):
    X, y = as_container(wide), wide[:, -1, 0]
    jobs = [delayed(fit_and_measure)(X[fold], y[fold]) for fold, _ in KFold(4).split(y)]
    # A fold of a container is its starts and lengths; of an array it is a copy.
    results = Parallel(n_jobs=2, max_nbytes=100_000)(jobs)
    files = {file for file, _ in results}
    assert len(files) == 1 and None not in files
    assert max(peak for _, peak in results) < wide.nbytes / 2


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "y"),
    [*TASKS, (RNNTagger(**QUICK), STEP_LABELS)],
    ids=[*NAMES, "tagger"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_read_only_data_fit_the_same_model(model, y, dtype):
    """As joblib hands them to its workers."""
    weights = np.linspace(1, 2, len(X))
    model = clone(model).set_params(dtype=dtype)
    usual = clone(model).fit(X.astype(dtype), y, weights).predict(X)
    given = [read_only(array) for array in (X.astype(dtype), y, weights)]
    np.testing.assert_array_equal(model.fit(*given).predict(read_only(X)), usual)


# Halving.


@pytest.mark.slow
@pytest.mark.parametrize(("model", "y"), TASKS, ids=NAMES)
def test_each_rung_of_a_halving_search_fits_anew_for_its_epochs(model, y):
    grid = {"hidden_size": [2, 3, 4, 5]}
    search = HalvingGridSearchCV(
        model,
        grid,
        resource="max_epochs",
        min_resources=1,
        max_resources=4,
        factor=2,
        cv=KFold(3),
        random_state=0,
    ).fit(X, y)
    assert search.n_resources_ == [1, 2, 4]
    assert search.n_candidates_ == [4, 2, 1]
    results = search.cv_results_
    for parameters, score in zip(
        results["params"], results["mean_test_score"], strict=True
    ):
        fresh = clone(model).set_params(**parameters)
        assert score == cross_val_score(fresh, X, y, cv=KFold(3)).mean()
    assert search.best_estimator_.n_iter_ == 4


@pytest.mark.thorough
def test_halving_reaches_the_epochs_inside_a_pipeline():
    times = pd.date_range("2024-01-01", periods=120, freq="h")
    steps = RNG.normal(size=(120, 2)).cumsum(axis=0)
    table = pd.DataFrame(steps, index=times, columns=["a", "b"])
    model = make_pipeline(SequenceWindower(4), SequenceScaler(), RNNRegressor(**QUICK))
    grid = {"sequencewindower__n_steps": [2, 4], "rnnregressor__hidden_size": [2, 4]}
    search = HalvingGridSearchCV(
        model,
        grid,
        resource="rnnregressor__max_epochs",
        min_resources=1,
        max_resources=4,
        factor=2,
        cv=TimeSeriesSplit(3),
        random_state=0,
    ).fit(table, table.a)
    assert search.n_resources_ == [1, 2, 4]
    assert search.best_estimator_[-1].n_iter_ == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# Nothing is left behind.

WORDS = ["ab", "cd", "ef", "gh"] * 4
FITS = {
    "regressor": lambda: RNNRegressor(**QUICK).fit(X, Y),
    "compiled": lambda: RNNRegressor(**QUICK, kernel="compiled").fit(X, Y),
    "torch": lambda: RNNRegressor(**QUICK, kernel="torch").fit(X, Y),
    "classifier": lambda: RNNClassifier(**QUICK, early_stopping=True).fit(X, LABELS),
    "plateau": lambda: RNNRegressor(**QUICK, lr_schedule="plateau").fit(X, Y),
    "dropout": lambda: RNNRegressor(**QUICK, dropout=0.1, n_layers=2).fit(X, Y),
    "partial": lambda: RNNRegressor(hidden_size=4).partial_fit(X, Y),
    "tagger": lambda: RNNTagger(**QUICK, bptt_steps=2).fit(X, STEP_LABELS),
    "generator": lambda: RNNGenerator(**QUICK).fit(["abcabc" * 5]),
    "seq2seq": lambda: RNNSeq2Seq(**QUICK).fit(WORDS, [w[::-1] for w in WORDS]),
    "transcriber": lambda: RNNTranscriber(**QUICK).fit(X[:16], WORDS),
}


@pytest.fixture
def without_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("kind", FITS)
def test_a_deleted_estimator_frees_its_network_at_once(kind, without_collection):
    if kind == "compiled" and not compiled_kernels_available():
        pytest.skip("no compiled kernels")
    model = FITS[kind]()
    weights = [weakref.ref(p) for p in model.module_.parameters()]
    kept = [model.net_, model.module_, model.net_.optimizer_, model]
    kept = [weakref.ref(thing) for thing in kept] + weights
    model.predict(X) if hasattr(model, "pooling") else None
    del model
    assert [type(ref()) for ref in kept if ref() is not None] == []


def n_tensors():
    kinds = {torch.Tensor, torch.nn.Parameter}
    return sum(type(thing) in kinds for thing in gc.get_objects())


@pytest.mark.slow
def test_fit_after_fit_takes_no_more_memory(without_collection):
    def fit():
        RNNRegressor(**QUICK).fit(X, Y).predict(X)

    fit()
    before = n_tensors()
    for _ in range(20):
        fit()
    assert n_tensors() == before


@pytest.mark.slow
def test_hundreds_of_candidates_leave_memory_as_it_was():
    grid = {"learning_rate": np.logspace(-4, -2, 50), "hidden_size": [2, 4, 8]}
    model = RNNRegressor(**{**QUICK, "max_epochs": 1})

    def search():
        GridSearchCV(model, grid, cv=2, refit=False).fit(X, Y)
        gc.collect()
        return tracemalloc.get_traced_memory()[0], n_tensors()

    tracemalloc.start()
    try:
        (_, first), (bytes_before, second), (bytes_after, third) = (
            search() for _ in range(3)
        )
    finally:
        tracemalloc.stop()
    assert first == second == third
    assert bytes_after - bytes_before < 100_000
