"""Peak memory of windowing a long series and training on some of its windows.

    python tests/benchmarks/bench_memory.py
    python tests/benchmarks/bench_memory.py --case mapped-series

Ten million rows of 8 columns, as an array or as a table with times, are windowed to
168 steps, and one epoch is trained on 50,000 of the windows, each case in a process
of its own. Printed is the peak of the process's memory above what it held before
there was a series, in multiples of the series, which is one of them.

The cases "mapped-..." read a file, several times as large as the memory that the
process may still ask for (RLIMIT_DATA): what it maps and only reads is not counted,
as the system can drop it at any time; everything else is. They end with an error if
that does not suffice. Linux only.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_rnn import RNNRegressor, SequenceScaler, SequenceWindower

MB = 1e6
CASES = (
    "array-float32",
    "array-float64",
    "table-float32",
    "table-float64",
    "mapped-series",
    "mapped-sequences",
)


def memory(kind):
    """Return memory of this process in bytes: VmRSS now, VmHWM at most, VmData."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{kind}:"))
    return int(line.split()[1]) * 1024


def forget_peak():
    """Reset VmHWM, so that making the data does not count."""
    Path("/proc/self/clear_refs").write_text("5")


def fill(values):
    """Fill an array with noise, a block at a time."""
    rng = np.random.default_rng(0)
    for begin in range(0, len(values), 100_000):
        block = values[begin : begin + 100_000]
        block[...] = rng.standard_normal(block.shape, dtype=np.float32)
    return values


def warm_up(options):
    """Fit once: what torch and the kernels allocate then is not the data's cost."""
    X = np.random.default_rng(0).normal(size=(128, options.steps, options.columns))
    RNNRegressor(max_epochs=1).fit(X, X[:, -1, 0]).predict(X)


def in_memory(options):
    kind, dtype = options.case.split("-")
    base = memory("VmRSS")
    series = fill(np.empty((options.rows, options.columns), dtype))
    size = series.nbytes
    if kind == "table":
        # Without a freq, as times come from a file.
        times = pd.DatetimeIndex(
            pd.date_range("2000", periods=options.rows, freq="min").to_numpy()
        )
        names = [f"x{i}" for i in range(options.columns)]
        series = pd.DataFrame(series, index=times, columns=names)
    print(f"{options.case}: {size / MB:.0f} MB, above a base of {base / MB:.0f} MB")
    forget_peak()

    def report(stage):
        above = memory("VmHWM") - base
        print(f"  {stage:40} peak {above / MB:6.0f} MB = {above / size:.2f} x")

    report("series made")
    windows = SequenceWindower(n_steps=options.steps).fit_transform(series)
    report("windowed")
    windows = SequenceScaler().fit_transform(windows)
    report("scaled")
    chosen, y = choose(len(windows), options.windows)
    model = RNNRegressor(max_epochs=1).fit(windows[chosen], y)
    report(f"one epoch on {options.windows} windows")
    model.predict(windows[chosen])
    report("predicted")


def choose(n_windows, n_chosen):
    """Return indices of some windows, and a target for each."""
    rng = np.random.default_rng(1)
    return np.sort(rng.choice(n_windows, n_chosen, False)), rng.normal(size=n_chosen)


def mapped(options):
    shape = (options.rows, options.columns)
    if options.case == "mapped-sequences":
        shape = (options.rows // options.steps, options.steps, options.columns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series.npy"
        fill(np.lib.format.open_memmap(path, "w+", np.float32, shape)).flush()
        limit = int(options.limit * path.stat().st_size)
        resource.setrlimit(resource.RLIMIT_DATA, (memory("VmData") + limit,) * 2)
        X = np.load(path, mmap_mode="r")
        if X.ndim == 2:
            X = SequenceWindower(n_steps=options.steps).fit_transform(X)
            chosen, y = choose(len(X), options.windows)
            X = X[chosen]
        else:
            y = np.random.default_rng(1).normal(size=len(X))
        RNNRegressor(max_epochs=1).fit(X, y).predict(X)
        print(
            f"{options.case}: {path.stat().st_size / MB:.0f} MB, trained and predicted "
            f"{len(X)} sequences with {limit / MB:.0f} MB"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, help="this one; else all")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--steps", type=int, default=168)
    parser.add_argument("--windows", type=int, default=50_000)
    parser.add_argument(
        "--limit", type=float, default=0.5, help="of mapped cases, fraction of the file"
    )
    options = parser.parse_args()
    if options.case is None:
        # Each in a process of its own: memory that is freed stays with a process.
        for case in CASES:
            subprocess.run([sys.executable, *sys.argv, "--case", case], check=True)
        return
    warm_up(options)
    (mapped if options.case.startswith("mapped") else in_memory)(options)


if __name__ == "__main__":
    main()
