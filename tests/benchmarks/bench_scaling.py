"""Time of an epoch by sequences, time steps, units and features, with either kernel.

    python tests/benchmarks/bench_scaling.py --plot scaling.png

Each is varied alone around 1600 sequences of 24 steps and 4 features, 32 units and
batches of 32, on one core. Printed are milliseconds per epoch and the exponent of the
upper half of each curve: 1 where twice as much takes twice as long.
"""

import argparse
import statistics
import time

import numpy as np
from machine import (
    add_instruction_set_option,
    print_machine,
    use_instruction_set,
    use_one_core,
)

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import compiled_kernels_available

AROUND = {"sequences": 1600, "steps": 24, "units": 32, "features": 4}
SIZES = {
    "sequences": [100, 200, 400, 800, 1600, 3200, 6400, 12800],
    "steps": [3, 6, 12, 24, 48, 96, 192, 384],
    "units": [4, 8, 16, 32, 64, 128, 256, 512],
    "features": [1, 2, 4, 8, 16, 32, 64, 128],
}
BATCH_SIZE = 32
# Told apart by colour-blind eyes too.
COLORS = {"compiled": "#0072b2", "torch": "#d55e00"}


def make_epoch(cell, kernel, size):
    shape = size["sequences"], size["steps"], size["features"]
    X = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    y = X.mean(axis=(1, 2))
    model = RNNRegressor(
        cell,
        size["units"],
        batch_size=BATCH_SIZE,
        dtype="float32",
        n_threads=1,
        kernel=kernel,
    )
    return lambda: model.partial_fit(X, y)


def epoch_seconds(cell, kernels, size, n_rounds):
    """Return the median time per kernel; they run in turn, the first time untimed."""
    epochs = [make_epoch(cell, kernel, size) for kernel in kernels]
    times = [[] for _ in kernels]
    for turn in range(n_rounds + 1):
        for epoch, kept in zip(epochs, times, strict=True):
            begin = time.process_time()
            epoch()
            if turn:
                kept.append(time.process_time() - begin)
    return [statistics.median(kept) for kept in times]


def exponent(sizes, times):
    """Return the slope of the upper half of a curve in logarithms."""
    half = len(sizes) // 2
    return np.polyfit(np.log(sizes[half:]), np.log(times[half:]), 1)[0]


def measure(cell, kernels, quantity, n_rounds):
    """Print and return an array (sizes, kernels) of seconds per epoch."""
    print(f"\n{quantity:>10}" + "".join(f"{name + ' ms':>12}" for name in kernels))
    rows = []
    for n in SIZES[quantity]:
        rows.append(epoch_seconds(cell, kernels, {**AROUND, quantity: n}, n_rounds))
        figures = "".join(f"{seconds * 1e3:12.1f}" for seconds in rows[-1])
        print(f"{n:10}{figures}", flush=True)
    times = np.array(rows)
    exponents = [exponent(SIZES[quantity], column) for column in times.T]
    print(f"{'exponent':>10}" + "".join(f"{value:12.2f}" for value in exponents))
    return times


def print_limit(times, kernels):
    """Print at how many units the compiled kernels stop being faster."""
    if len(kernels) == 1:
        return
    lost = [
        n
        for n, (compiled, by_torch) in zip(SIZES["units"], times, strict=True)
        if compiled > by_torch
    ]
    if lost:
        print(f"\nOf these units, {lost[0]} are the first where torch is faster.")
    else:
        print("\nThe compiled kernels are faster at each of these units.")


def plot(path, cell, kernels, found):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullLocator

    figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharey=True, layout="constrained")
    for ax, (quantity, times) in zip(axes.flat, found.items(), strict=True):
        sizes = np.array(SIZES[quantity])
        for kernel, column in zip(kernels, times.T, strict=True):
            label = f"{kernel}, exponent {exponent(sizes, column):.2f}"
            ax.plot(sizes, column * 1e3, "o-", color=COLORS[kernel], label=label)
        in_proportion = times[-1].min() * 1e3 * sizes / sizes[-1]
        ax.plot(sizes, in_proportion, ":", color="0.4", label="in proportion")
        ax.set(xscale="log", yscale="log", xlabel=quantity)
        ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:,g}"))
        ax.legend(frameon=False, loc="upper left", fontsize="small")
        ax.spines[["top", "right"]].set_visible(False)
    every = np.concatenate([times.ravel() for times in found.values()]) * 1e3
    # Space for the legends above; the dotted lines are cut where they lie far below.
    axes[0, 0].set_ylim(every.min() / 2, every.max() * 8)
    for ax in axes[:, 0]:
        ax.set_ylabel("milliseconds per epoch")
    around = ", ".join(f"{n:,} {quantity}" for quantity, n in AROUND.items())
    figure.suptitle(f"{cell.upper()}, batches of {BATCH_SIZE}, around {around}")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cell", default="gru")
    parser.add_argument("--rounds", type=int, default=3, help="timed epochs of each")
    parser.add_argument("--plot", help="where the picture goes")
    add_instruction_set_option(parser)
    options = parser.parse_args()
    use_one_core()
    use_instruction_set(options.instruction_set)
    print_machine()
    kernels = ["compiled", "torch"] if compiled_kernels_available() else ["torch"]
    found = {
        quantity: measure(options.cell, kernels, quantity, options.rounds)
        for quantity in SIZES
    }
    print_limit(found["units"], kernels)
    if options.plot:
        plot(options.plot, options.cell, kernels, found)


if __name__ == "__main__":
    main()
