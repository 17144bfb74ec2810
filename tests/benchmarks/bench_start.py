"""Time of a new process: the import, its largest parts, and the first fits.

    python tests/benchmarks/bench_start.py

Each figure is the median of several processes on one thread, after one that fills the
caches of files. A fit is a default one on 300 sequences of 10 steps. Asked for: a first
fit at most 0.1 s slower than the second, and a second one of at most 0.25 s.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys

FITS = """
import json, sys, time
begin = time.perf_counter()
import sklearn_rnn
imported = time.perf_counter() - begin
import numpy as np, torch
torch.set_num_threads(1)
X = np.random.default_rng(0).normal(size=(300, 10, 1)).astype(np.float32)
y, times, n_modules = X.sum(axis=(1, 2)), [], len(sys.modules)
for _ in range(3):
    begin = time.perf_counter()
    model = sklearn_rnn.RNNRegressor(random_state=0, n_threads=1, kernel={kernel!r})
    model.fit(X, y)
    times.append(time.perf_counter() - begin)
n_modules = len(sys.modules) - n_modules
print(json.dumps([imported, *times, n_modules, model.kernel_]))
"""
# Packages whose own time, without what they import, is added up.
LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\w+)")


def run(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )


def seconds_by_package():
    """Return seconds of each package's own modules while ours is imported."""
    seconds = {}
    lines = run("-X", "importtime", "-c", "import sklearn_rnn").stderr
    for microseconds, package in LINE.findall(lines):
        seconds[package] = seconds.get(package, 0.0) + int(microseconds) / 1e6
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=5)
    n_processes = parser.parse_args().processes
    for kernel in ("auto", "torch"):
        script = FITS.format(kernel=kernel)
        run("-c", script)
        results = [json.loads(run("-c", script).stdout) for _ in range(n_processes)]
        medians = [statistics.median(r[i] for r in results) for i in range(4)]
        imported, first, second, third = medians
        print(f"kernel={kernel} ({results[0][-1]}): import {imported:.2f} s", end="")
        print(f", fits {first:.2f}, {second:.2f}, {third:.2f} s", end="")
        print(f"; the first loads {results[0][-2]} modules", flush=True)
    parts = [seconds_by_package() for _ in range(n_processes)]
    names = {name for part in parts for name in part}
    medians = {n: statistics.median(p.get(n, 0.0) for p in parts) for n in names}
    print("seconds of the import, by package:")
    for name in sorted(names, key=medians.get, reverse=True)[:12]:
        print(f"{name:>20}{medians[name]:8.2f}")


if __name__ == "__main__":
    main()
