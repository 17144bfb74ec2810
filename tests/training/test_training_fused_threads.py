"""Compiled training and predictions in several Python threads, again and again."""

import copy
import os
import shlex
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sklearn_rnn import RNNClassifier, RNNRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8, 2))
Y = X[:, :, 0].sum(axis=1)
TOKENS = RNG.integers(0, 20, size=(60, 8, 1))
SMALL = {"hidden_size": 8, "max_epochs": 5, "kernel": "compiled", "dropout": 0.2}


@pytest.mark.thorough
def test_estimators_are_trained_side_by_side():
    """Each is what it would be alone."""
    jobs = [(RNNRegressor(**SMALL, random_state=seed), X, Y) for seed in range(4)] + [
        (RNNClassifier(**SMALL, embedding_dim=3, random_state=seed), TOKENS, Y > 0)
        for seed in range(4)
    ]
    barrier = threading.Barrier(len(jobs))

    def fit(job, waits):
        model, inputs, targets = job
        if waits:
            barrier.wait()
        return copy.deepcopy(model).fit(inputs, targets).predict(inputs)

    expected = [fit(job, False) for job in jobs]
    with ThreadPoolExecutor(len(jobs)) as pool:
        found = list(pool.map(lambda job: fit(job, True), jobs))
    for ours, alone in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, alone)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_one_estimator_predicts_in_several_threads(n_threads):
    X = RNG.normal(size=(400, 40, 2))
    model = RNNRegressor(**{**SMALL, "hidden_size": 32}, n_threads=n_threads)
    model.set_params(max_epochs=1, random_state=0).fit(X[:50], X[:50, 0, 0])
    expected = model.predict(X)
    barrier = threading.Barrier(6)

    def predict(_):
        barrier.wait()
        return model.predict(X)

    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(predict, range(6)):
            np.testing.assert_array_equal(found, expected)


WITHOUT_THREADS = """
from types import SimpleNamespace
import numpy as np
from sklearn_rnn import RNNRegressor
from sklearn_rnn.training import _fused
X = np.random.default_rng(0).normal(size=(300, 40, 2))
found = []
for n_threads in (1, 4):
    # torch itself needs the others
    _fused.kernel_threads = SimpleNamespace(count=n_threads)
    model = RNNRegressor(hidden_size=48, batch_size=150, max_epochs=1,
                         kernel="compiled", n_threads=1, random_state=0)
    found.append(model.fit(X, X[:, 0, 0]).predict(X))
assert (found[0] == found[1]).all()
print("trained")
"""


@pytest.mark.slow  # a process of its own imports everything again
@pytest.mark.skipif(sys.platform != "linux", reason="a limit of Linux")
def test_where_no_thread_can_be_started_one_does_the_work():
    """Stacks of new threads are larger than the address space."""
    limit = "ulimit -s 200000000000 && exec " + shlex.join(
        [sys.executable, "-c", WITHOUT_THREADS]
    )
    alone = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    environment = {**os.environ, **alone}
    done = subprocess.run(
        ["sh", "-c", limit], capture_output=True, text=True, env=environment
    )
    if "ulimit" in done.stderr:
        pytest.skip("the limit cannot be raised here")
    assert done.stdout == "trained\n", done.stderr


MANY_FITS = """
import gc, sys
import numpy as np
from sklearn_rnn import RNNClassifier, RNNRegressor

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

X = np.random.default_rng(0).normal(size=(60, 20, 2))
tokens = np.random.default_rng(0).integers(0, 500, size=(60, 20, 1))
small = dict(hidden_size=16, max_epochs=3, kernel="compiled", dropout=0.2)

def fit():
    RNNRegressor(**small, n_layers=2).fit(X, X[:, 0, 0]).predict(X)
    RNNClassifier(**small, embedding_dim=16).fit(tokens, X[:, 0, 0] > 0).predict(tokens)

for _ in range(40):
    fit()
gc.collect()
before = resident()
for _ in range(int(sys.argv[1])):
    fit()
gc.collect()
print((resident() - before) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_from_fit_to_fit():
    command = [sys.executable, "-c", MANY_FITS, "200"]
    grown = float(subprocess.check_output(command, text=True))
    assert grown < 4  # MiB: the weights of a fit alone are 50 kB
