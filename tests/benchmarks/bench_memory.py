"""Peak memory of windowing a long table and training on some of the windows.

    python tests/benchmarks/bench_memory.py

A million rows of 8 columns are windowed to 168 steps, and one epoch is
trained on 20,000 of the windows. Printed is the peak of the process's memory
above what it held before the table was made, in multiples of the table.
"""

import argparse
import resource

import numpy as np
import pandas as pd

from sklearn_rnn import RNNRegressor, SequenceScaler, SequenceWindower

MB = 1e6


def peak():
    """Return the highest resident memory so far, in bytes (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--steps", type=int, default=168)
    parser.add_argument("--windows", type=int, default=20_000)
    options = parser.parse_args()

    # What torch and its kernels need once is the base, not the data's cost.
    warm_up = np.random.default_rng(0).normal(size=(128, options.steps, 8))
    RNNRegressor(max_epochs=1).fit(warm_up, warm_up[:, -1, 0]).predict(warm_up)
    base = peak()

    times = pd.date_range("2000", periods=options.rows, freq="min")
    table = pd.DataFrame(
        np.random.default_rng(0).normal(size=(options.rows, options.columns)),
        index=times,
        columns=[f"x{i}" for i in range(options.columns)],
    )
    size = table.to_numpy().nbytes
    print(f"base {base / MB:.0f} MB, table {size / MB:.0f} MB")

    def report(stage):
        above = peak() - base
        print(f"{stage:45} peak {above / MB:6.0f} MB above base = {above / size:.2f} x")

    report("table made")
    windows = SequenceWindower(n_steps=options.steps).fit_transform(table)
    report("windowed")
    windows = SequenceScaler().fit_transform(windows)
    report("scaled")
    chosen = np.random.default_rng(1).choice(len(windows), options.windows, False)
    chosen.sort()
    y = table["x0"].to_numpy()[chosen]
    model = RNNRegressor(max_epochs=1).fit(windows[chosen], y)
    report(f"one epoch on {options.windows} windows")
    model.predict(windows[chosen])
    report("predicted")
    dense = options.windows * options.steps * options.columns * 8
    print(f"(written out, those windows alone would take {dense / size:.1f} x)")


if __name__ == "__main__":
    main()
