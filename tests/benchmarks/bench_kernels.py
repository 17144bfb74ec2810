"""The recurrence alone: torch's time over that of the compiled loops.

    python tests/benchmarks/bench_kernels.py
    python tests/benchmarks/bench_kernels.py --cells gru --units 256 384 512

Each pair of figures is forward and backward together, and forward alone without
gradients, by the processor's time on one core; above 1, the loops are faster. At the
end stands up to how many units they win with batches of 32 and 64: MOST_UNITS in
sklearn_rnn/kernels/_choice.py is made from that.
"""

import argparse
import math
import statistics
import time

import torch

from sklearn_rnn.kernels import recurrence

KERNELS = ("compiled", "torch")
N_GATES = {"rnn": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}
N_FEATURES = 4
MIN_SECONDS = 0.03  # of measuring each
MIN_ROUNDS = 3


def make_weights(cell, n_units, dtype):
    n_sums = N_GATES[cell] * n_units
    shapes = [(n_sums, N_FEATURES), (n_sums, n_units), (n_sums,), (n_sums,)]
    bound = n_units**-0.5
    return [
        torch.empty(shape, dtype=dtype).uniform_(-bound, bound).requires_grad_()
        for shape in shapes
    ]


def median_ratio(runs):
    """Let both take turns, and return the second's median time over the first's."""
    for run in runs:
        run()
    times, begin = ([], []), time.process_time()
    while len(times[0]) < MIN_ROUNDS or time.process_time() - begin < MIN_SECONDS:
        for run, kept in zip(runs, times, strict=True):
            start = time.process_time()
            run()
            kept.append(time.process_time() - start)
    first, second = map(statistics.median, times)
    return second / first


def compare(cell, n_units, batch_size, n_steps, dtype):
    """Return torch over loops, for forward and backward, and forward alone."""
    weights = make_weights(cell, n_units, dtype)
    x = torch.randn(n_steps, batch_size, N_FEATURES, dtype=dtype)
    slopes = torch.randn(n_steps, batch_size, n_units, dtype=dtype)

    def both_ways(kernel):
        states, _ = recurrence(cell, x, weights, kernel=kernel)
        torch.autograd.grad(states, weights, slopes)

    @torch.no_grad()
    def forward(kernel):
        recurrence(cell, x, weights, kernel=kernel)

    return [
        median_ratio([lambda kernel=kernel, run=run: run(kernel) for kernel in KERNELS])
        for run in (both_ways, forward)
    ]


def most_units(ratios):
    """Say up to how many units all ratios are above 1, and where they cross it.

    `ratios` holds the lowest ratio of each number of units, in order.
    """
    won = None
    for n_units, ratio in ratios.items():
        if ratio < 1 and won is None:
            return "at none of these"
        if ratio < 1:
            share = math.log(ratios[won]) / math.log(ratios[won] / ratio)
            equal = round(won * (n_units / won) ** share)
            return f"up to {won}, equal at about {equal}"
        won = n_units
    return f"at all of these, up to {won}"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", nargs="+", default=["rnn", "gru", "lstm"])
    parser.add_argument(
        "--units", type=int, nargs="+", default=[4, 16, 32, 64, 128, 256, 512]
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32, 64])
    parser.add_argument("--steps", type=int, nargs="+", default=[10])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    return parser.parse_args()


def main():
    options = parse_options()
    torch.set_num_threads(1)
    columns = [(n, t) for t in options.steps for n in options.batches]
    limits = []
    for cell in options.cells:
        for dtype in options.dtypes:
            lowest = {}
            print(f"\n{cell}, {dtype}; columns: batch x steps")
            print(" units" + "".join(f"{f'{n} x {t}':>15}" for n, t in columns))
            for n_units in options.units:
                print(f"{n_units:6}", end="", flush=True)
                for batch_size, n_steps in columns:
                    both, forward = compare(
                        cell, n_units, batch_size, n_steps, getattr(torch, dtype)
                    )
                    print(f"{both:9.2f}{forward:6.2f}", end="", flush=True)
                    if batch_size in (32, 64):
                        lowest[n_units] = min(both, lowest.get(n_units, both))
                print()
            limits.append((cell, dtype, most_units(lowest)))
    print("\nUnits with which the loops win, forward and backward, batches 32 and 64:")
    for cell, dtype, limit in limits:
        print(f"{cell:>9} {dtype}: {limit}")


if __name__ == "__main__":
    main()
