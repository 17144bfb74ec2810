"""Sizes from which a second thread is faster, for the table in kernels/_choice.py.

    python tests/benchmarks/bench_threads.py

Printed is the time of a training batch with one thread over that with two: above 1,
two are faster. Two idle cores are needed.
"""

import statistics
import time

import numpy as np
from machine import print_machine

from sklearn_rnn import RNNRegressor

N_TIMESTEPS = 24
SIZES = [(32, 32), (64, 64), (64, 128), (128, 128), (64, 256), (256, 256), (128, 512)]


def batch_milliseconds(cell, batch_size, n_units, n_threads, n_batches=4):
    X = np.random.default_rng(0).normal(size=(batch_size * n_batches, N_TIMESTEPS, 4))
    X = X.astype(np.float32)
    y = X.mean(axis=(1, 2))
    model = RNNRegressor(
        cell, n_units, batch_size=batch_size, dtype="float32", n_threads=n_threads
    ).partial_fit(X, y)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        model.partial_fit(X, y)
        times.append((time.perf_counter() - begin) / n_batches * 1e3)
    return statistics.median(times)


def main():
    print_machine()
    print(
        f"{'cell':>5}{'batch':>7}{'units':>7}{'1 thread ms':>13}{'2 threads ms':>14}",
        end="",
    )
    print(f"{'ratio':>7}")
    for cell in ("gru", "lstm"):
        for batch_size, n_units in SIZES:
            one, two = (
                batch_milliseconds(cell, batch_size, n_units, n) for n in (1, 2)
            )
            print(f"{cell:>5}{batch_size:7}{n_units:7}{one:13.2f}{two:14.2f}", end="")
            print(f"{one / two:7.2f}", flush=True)


if __name__ == "__main__":
    main()
