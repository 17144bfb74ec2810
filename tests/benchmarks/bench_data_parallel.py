"""Time of an epoch by one process, and by several that divide its batches.

    python tests/benchmarks/bench_data_parallel.py
    python tests/benchmarks/bench_data_parallel.py --processes 4

Each process has one thread; as many idle cores as processes are needed, 2 by default.
Above a ratio of 1, several processes are faster than one. Compared is one process with
one thread: `n_threads` is the other way to use the cores of one machine.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from machine import print_machine
from torch import distributed, multiprocessing

from sklearn_rnn import RNNRegressor, data_parallel

N_TIMESTEPS = 48
SIZES = [(64, 64), (256, 64), (64, 256), (256, 256), (1024, 256)]
N_BATCHES = 4
N_REPEATS = 3


def seconds_per_batch(batch_size, n_units):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(batch_size * N_BATCHES, N_TIMESTEPS, 4)).astype(np.float32)
    model = RNNRegressor(
        hidden_size=n_units,
        batch_size=batch_size,
        linear_skip=False,
        dtype="float32",
        n_threads=1,
        random_state=0,
    )
    times = []
    for _ in range(N_REPEATS + 1):
        begin = time.perf_counter()
        model.partial_fit(X, X[:, -1, 0])
        times.append((time.perf_counter() - begin) / N_BATCHES)
    return min(times[1:])


def measure_all():
    return [seconds_per_batch(*size) for size in SIZES]


def work(rank, n_processes, folder):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=n_processes,
    )
    with data_parallel():
        times = measure_all()
    if rank == 0:
        np.save(f"{folder}/times.npy", times)
    distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    n_processes = parser.parse_args().processes
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    print_machine()
    one = measure_all()
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(work, (n_processes, folder), n_processes)
        several = np.load(Path(folder) / "times.npy")
    title = f"{n_processes} processes ms"
    print(f"{'batch':>6}{'units':>7}{'1 process ms':>14}{title:>16}{'ratio':>7}")
    for (batch_size, n_units), a, b in zip(SIZES, one, several, strict=True):
        print(f"{batch_size:6}{n_units:7}{a * 1e3:14.2f}{b * 1e3:16.2f}{a / b:7.2f}")


if __name__ == "__main__":
    main()
