"""Time of torch over that of the compiled kernels, by cell, precision, units and batch.

    python tests/benchmarks/bench_kernels.py --quick
    python tests/benchmarks/bench_kernels.py --cells lstm --units 64 96 128 192
    python tests/benchmarks/bench_kernels.py --instruction-set avx2 --dtypes float32

Four ratios are printed per size, each above 1 where the compiled kernels are faster:
one recurrence forward and backward; one recurrence forward without gradients; an epoch
of an estimator, which the compiled kernels train in one call; and its predictions. All
are least CPU times on one core.

At the end stand the sizes at which ``kernel="auto"`` trains an estimator more than 5 %
slower than another kernel would, and the most units, by batch size, up to which the
compiled kernels are faster: MAX_UNITS in sklearn_rnn/kernels/_choice.py is made from
that.
"""

import argparse
import math
import time

import numpy as np
import torch
from machine import (
    add_instruction_set_option,
    print_machine,
    use_instruction_set,
    use_one_core,
)

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import choose_kernel, recurrence

KERNELS = ("compiled", "torch")
N_GATES = {"rnn": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}
N_FEATURES = 4
# An epoch has at least two batches, and about so many operations: on small networks
# what an epoch costs besides its batches must not hide what a batch costs.
EPOCH_OPERATIONS, MOST_BATCHES = 1e8, 32
MEASURES = (
    *("recurrence, training", "recurrence, predicting"),
    *("estimator, training", "estimator, predicting"),
)
TRAINING = MEASURES.index("estimator, training")
TOLERANCE = 1.05


def make_weights(cell, n_units, dtype):
    n_rows = N_GATES[cell] * n_units
    shapes = [(n_rows, N_FEATURES), (n_rows, n_units), (n_rows,), (n_rows,)]
    bound = n_units**-0.5
    return [
        torch.empty(shape, dtype=dtype).uniform_(-bound, bound).requires_grad_()
        for shape in shapes
    ]


def time_ratio(runs, options):
    """Run both in turn; return the second's least CPU time over the first's."""
    for run in runs:
        run()
    times, begin = ([], []), time.process_time()
    while (
        len(times[0]) < options.rounds
        or time.process_time() - begin < options.min_seconds
    ):
        for run, kept in zip(runs, times, strict=True):
            start = time.process_time()
            run()
            kept.append(time.process_time() - start)
    # The least: what other programs do to the caches only adds to CPU time.
    first, second = map(min, times)
    return second / first


def make_recurrences(cell, n_units, batch_size, dtype, options):
    """Return, per kernel, a recurrence that trains, and one that predicts."""
    dtype = getattr(torch, dtype)
    weights = make_weights(cell, n_units, dtype)
    x = torch.randn(options.steps, batch_size, N_FEATURES, dtype=dtype)
    grad_output = torch.randn(options.steps, batch_size, n_units, dtype=dtype)

    def train(kernel):
        states, _ = recurrence(cell, x, weights, kernel=kernel)
        torch.autograd.grad(states, weights, grad_output)

    @torch.no_grad()
    def predict(kernel):
        recurrence(cell, x, weights, kernel=kernel)

    return [
        [lambda run=run, kernel=kernel: run(kernel) for kernel in KERNELS]
        for run in (train, predict)
    ]


def make_estimators(cell, n_units, batch_size, dtype, options):
    """Return, per kernel, an epoch of an estimator, and its predictions."""
    operations = 6 * options.steps * batch_size * N_GATES[cell] * n_units**2
    n_batches = min(max(2, round(EPOCH_OPERATIONS / operations)), MOST_BATCHES)
    shape = n_batches * batch_size, options.steps, N_FEATURES
    X = np.random.default_rng(0).normal(size=shape).astype(dtype)
    y = X.mean(axis=(1, 2))
    models = [
        RNNRegressor(
            cell,
            n_units,
            batch_size=batch_size,
            dtype=dtype,
            n_threads=1,
            kernel=kernel,
        )
        for kernel in KERNELS
    ]
    return [
        [lambda model=model: model.partial_fit(X, y) for model in models],
        [lambda model=model: model.predict(X) for model in models],
    ]


def compare(*size, options):
    """Return torch's time over that of the compiled kernels, by measure."""
    pairs = make_recurrences(*size, options) + make_estimators(*size, options)
    return [time_ratio(runs, options) for runs in pairs]


def most_units(ratios):
    """Say up to how many units all ratios are above 1, and where they cross it.

    `ratios` holds one ratio per number of units, in order.
    """
    won = None
    for n_units, ratio in ratios.items():
        if ratio < 1 and won is None:
            return "none"
        if ratio < 1:
            fraction = math.log(ratios[won]) / math.log(ratios[won] / ratio)
            equal = round(won * (n_units / won) ** fraction)
            return f"{won}, equal at about {equal}"
        won = n_units
    return f"{won} and more"


def print_wrong_choices(found):
    """Print the sizes at which "auto" trains more than 5 % slower than it could."""
    print('\nEstimators that kernel="auto" trains more than 5 % slower than the other:')
    wrong = 0
    for (cell, dtype, n_units, batch_size), ratios in found.items():
        ratio = ratios[TRAINING]
        chosen = choose_kernel("auto", cell, n_units, dtype, "cpu")
        loss = 1 / ratio if chosen == "compiled" else ratio
        if loss > TOLERANCE:
            wrong += 1
            print(f"{cell:>9} {dtype}, {n_units:3} units, batches of", end="")
            print(f" {batch_size:3}: {chosen!r} takes {loss:.2f} times as long")
    print(f"{wrong} of {len(found)}")


def print_most_units(found, options):
    print("\nMost units with which the compiled kernels win, by batch size")
    for cell in options.cells:
        for dtype in options.dtypes:
            for k, measure in enumerate(MEASURES):
                print(f"{cell:>9} {dtype}, {measure}:")
                for batch_size in options.batches:
                    ratios = {
                        n: found[cell, dtype, n, batch_size][k] for n in options.units
                    }
                    print(f"{batch_size:16}: {most_units(ratios)}")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", nargs="+", default=list(N_GATES))
    parser.add_argument(
        "--units", type=int, nargs="+", default=[4, 8, 16, 32, 64, 128, 256, 512]
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 64, 256])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=5, help="at least, of each")
    parser.add_argument(
        "--min-seconds", type=float, default=0.1, help="CPU time of a pair, at least"
    )
    parser.add_argument(
        "--quick", action="store_true", help="3 rounds and 10 ms at least"
    )
    add_instruction_set_option(parser)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.min_seconds = 3, 0.01
    return options


def main():
    options = parse_options()
    use_one_core()
    use_instruction_set(options.instruction_set)
    print_machine()
    print(f"Sequences of {options.steps} steps and {N_FEATURES} features.", end="")
    print(" Time of torch over that of the compiled kernels")
    begin, found = time.perf_counter(), {}
    for cell in options.cells:
        for dtype in options.dtypes:
            heads = [f"{measure:^{8 * len(options.batches)}}" for measure in MEASURES]
            print(f"\n{f'{cell}, {dtype}':18}" + " |".join(heads))
            columns = "".join(f"{n:8}" for n in options.batches)
            print(f"{'units / batch':18}" + " |".join([columns] * len(MEASURES)))
            for n_units in options.units:
                rows = [
                    compare(cell, n_units, n, dtype, options=options)
                    for n in options.batches
                ]
                for n, ratios in zip(options.batches, rows, strict=True):
                    found[cell, dtype, n_units, n] = ratios
                cells = [
                    "".join(f"{ratio:8.2f}" for ratio in column)
                    for column in zip(*rows, strict=True)
                ]
                print(f"{n_units:18}" + " |".join(cells), flush=True)
    print_wrong_choices(found)
    print_most_units(found, options)
    print(f"\n{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
