"""A process in which Keras trains when told, for bench_training.py.

Keras' backend is fixed when it is imported, so that each backend needs a process of
its own: ``KERAS_BACKEND=jax python tests/benchmarks/keras_worker.py wall``. It reads a
line of JSON ``[shape, n_epochs, fresh]``, trains, and answers with the seconds it took.
A fresh network is built and compiled within that time; else it is the last one.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class KerasWorker:
    """The other end: trains with a backend, "tensorflow" or "jax"."""

    def __init__(self, backend, clock):
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__), clock],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **ONE_THREAD, **quiet, "KERAS_BACKEND": backend},
        )

    def seconds(self, shape, n_epochs=1, fresh=False):
        """Return how long it trains."""
        self.process.stdin.write(json.dumps([shape, n_epochs, fresh]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("The process in which Keras trains has ended.")
        return float(answer)

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def make_data(shape):
    """Return X and y of a shape (sequences, steps, features, ...)."""
    X = np.random.default_rng(0).normal(size=shape[:3]).astype(np.float32)
    return X, X.mean(axis=(1, 2))


def build(shape):
    """Return the network that the others train, compiled as Keras does by default."""
    import keras

    _, n_timesteps, n_features, n_units, _, cell = shape
    layers = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM}
    network = keras.Sequential(
        [
            keras.Input((n_timesteps, n_features)),
            layers.get(cell, keras.layers.GRU)(n_units),
            keras.layers.Dense(1),
        ]
    )
    adam = keras.optimizers.Adam(2e-3, global_clipnorm=1.0)
    network.compile(adam, loss="mean_squared_error")
    return network


def main():
    # Whatever is printed by others must not come between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    clock, network, last = CLOCKS[sys.argv[1]], None, None
    for line in sys.stdin:
        shape, n_epochs, fresh = json.loads(line)
        X, y = make_data(shape)
        begin = clock()
        if fresh or shape != last:
            network, last = build(shape), shape
        network.fit(X, y[:, None], shape[4], n_epochs, verbose=0)
        print(clock() - begin, file=answers, flush=True)


if __name__ == "__main__":
    main()
