"""A process that fits and predicts for days: nothing piles up."""

import json
import subprocess
import sys

import pytest

MANY_CALLS = """
import gc, json, os, threading
import numpy as np
from sklearn_rnn import (
    RNNClassifier, RNNGenerator, RNNRegressor, RNNSeq2Seq, RNNTagger, RNNTranscriber
)

X = np.random.default_rng(0).normal(size=(24, 6, 2))
Y = X[:, :, 0].sum(axis=1)
WORDS = ["abc", "bcab", "ca", "abba"] * 6
CASES = [
    (RNNRegressor, (X, Y), "predict"),
    (RNNClassifier, (X, Y > 0), "predict_proba"),
    (RNNTagger, (X, X[:, :, 0] > 0), "predict"),
    (RNNGenerator, (WORDS,), "score_steps"),
    (RNNSeq2Seq, (WORDS, WORDS), "predict"),
    (RNNTranscriber, (X, ["ab"] * 24), "predict"),
]

def used():
    gc.collect()
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return {
        "MiB": memory,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }

def fits(n):
    for i in range(n):
        kind, data, method = CASES[i % 6]
        small = dict(hidden_size=4, max_epochs=1, random_state=0, n_threads=2)
        model = kind(**small).fit(*data)
        getattr(model, method)(data[0])

fits(60)
before = used()
fits(200)
after_fits = used()
model = RNNRegressor(hidden_size=4, max_epochs=1, random_state=0).fit(X, Y)
for _ in range(500):
    model.predict(X[:1])
before_predicts = used()
for _ in range(10_000):
    model.predict(X[:1])
after = used()
print(json.dumps([before, after_fits, before_predicts, after]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_200_fits_and_10000_predicts_leave_memory_descriptors_and_threads_flat():
    command = [sys.executable, "-W", "ignore", "-c", MANY_CALLS]
    found = json.loads(subprocess.check_output(command, text=True))
    for before, after in (found[:2], found[2:]):
        assert after["descriptors"] <= before["descriptors"], found
        assert after["threads"] <= before["threads"], found
        assert after["MiB"] - before["MiB"] < 8, found
