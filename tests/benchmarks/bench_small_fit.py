"""Time of a whole default fit on small data, beside that of as many torch updates.

    python tests/benchmarks/bench_small_fit.py

300 sequences of 10 time steps and one feature; all on one thread. A ratio above 1 means
that the bare torch loop takes longer.
"""

import statistics
import time

import numpy as np
from bench_training import bare_epoch
from machine import print_machine, use_one_core

from sklearn_rnn import RNNRegressor


def seconds(run):
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def main():
    use_one_core()
    print_machine()
    X = np.random.default_rng(0).normal(size=(300, 10, 1)).astype(np.float32)
    y = X.sum(axis=(1, 2))
    print(f"{'cell':>5}{'epochs':>8}{'R2':>8}{'fit s':>8}{'bare s':>8}{'bare/fit':>10}")
    for cell in ("gru", "lstm", "rnn"):
        model = RNNRegressor(cell, random_state=0, n_threads=1)
        epoch = bare_epoch(X, y, (300, 10, 1, 64, 60, cell))
        ours, bare = [], []
        for _ in range(5):
            ours.append(seconds(lambda model=model: model.fit(X, y)))
            loop = range(model.n_iter_)
            bare.append(seconds(lambda epoch=epoch, loop=loop: [epoch() for _ in loop]))
        fit, rival = statistics.median(ours), statistics.median(bare)
        print(f"{cell:>5}{model.n_iter_:8}{model.score(X, y):8.3f}", end="")
        print(f"{fit:8.2f}{rival:8.2f}{rival / fit:10.2f}", flush=True)


if __name__ == "__main__":
    main()
