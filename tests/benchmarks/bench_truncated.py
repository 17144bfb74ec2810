"""Truncated backpropagation on one long series: memory, time, and what is learned.

    python tests/benchmarks/bench_truncated.py

One series of 200,000 steps of noise, of which the network is to repeat at every
step the value of `--delay` steps ago. It learns that only if gradients flow back
so far. Each row is a process of its own, on one thread; the peak of its memory is
that above what a tiny fit needs. The score, R², is taken on a fresh series of
20,000 steps after the epochs.
"""

import argparse
import multiprocessing
import resource
import time

import numpy as np

from sklearn_rnn import RNNRegressor


def peak():
    """Return the highest resident memory so far, in bytes (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_series(n_steps, delay, seed):
    noise = np.random.default_rng(seed).normal(size=n_steps + delay)
    return noise[np.newaxis, delay:, np.newaxis], noise[np.newaxis, :-delay]


def run(bptt_steps, options, queue):
    settings = {
        "cell": options.cell,
        "return_sequences": True,
        "n_threads": 1,
        "random_state": 0,
        "dtype": "float32",
    }
    RNNRegressor(max_epochs=1, **settings).fit(*make_series(200, 1, 2))
    X, y = make_series(options.steps, options.delay, 0)
    base, begin = peak(), time.perf_counter()
    model = RNNRegressor(bptt_steps=bptt_steps, max_epochs=options.epochs, **settings)
    model.fit(X, y)
    seconds = (time.perf_counter() - begin) / options.epochs
    used = peak() - base
    score = model.score(*make_series(20_000, options.delay, 1))
    queue.put((used, seconds, model.loss_curve_[-1], score))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--delay", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--cell", default="gru")
    parser.add_argument("--bptt", type=int, nargs="*", default=[10, 50, 200, 1000])
    parser.add_argument("--skip-full", action="store_true")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    columns = ("bptt_steps", "updates an epoch", "peak MB", "s an epoch", "loss", "R²")
    print("".join(f"{name:>18}" for name in columns), flush=True)
    for bptt_steps in [*options.bptt, *([] if options.skip_full else [None])]:
        queue = spawn.Queue()
        process = spawn.Process(target=run, args=(bptt_steps, options, queue))
        process.start()
        used, seconds, loss, score = queue.get()
        process.join()
        updates = -(-options.steps // (bptt_steps or options.steps))
        print(f"{bptt_steps!s:>18}{updates:18}{used / 1e6:18.0f}", end="")
        print(f"{seconds:18.1f}{loss:18.4f}{score:18.4f}", flush=True)


if __name__ == "__main__":
    main()
