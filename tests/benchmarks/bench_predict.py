"""Time of predict: one sequence, and 100,000 windows, beside a bare torch network.

    python tests/benchmarks/bench_predict.py

All run on one core, and take CPU time. The bare network, torch's own layer and a linear
one, is called in inference mode on a tensor that exists already, on the windows with
the best of some batch sizes. With the compiled kernels predict should take at most 3
times its time for one sequence, and at most 1.2 times for the windows; "!" marks what
takes more.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from bench_training import BareNetwork
from machine import (
    add_instruction_set_option,
    print_machine,
    use_instruction_set,
    use_one_core,
)

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import compiled_kernels_available

# time steps, features, units
SHAPES = [(24, 4, 32), (168, 4, 64), (24, 4, 256)]
BATCH_SIZES = [64, 256, 1024, 4096]
CELL = "gru"
# Limits of the time of predict over that of the bare network.
AT_MOST_ONE, AT_MOST_MANY = 3, 1.2


def fitted(shape, kernel):
    n_timesteps, n_features, n_units = shape
    X = np.random.default_rng(0).normal(size=(64, n_timesteps, n_features))
    model = RNNRegressor(
        CELL, n_units, max_epochs=1, dtype="float32", n_threads=1, kernel=kernel
    )
    return model.fit(X.astype(np.float32), X.mean(axis=(1, 2)))


def median_milliseconds(runs, n_rounds):
    """Run all in turn; return the median of each. The first round is not timed."""
    times = {name: [] for name in runs}
    for turn in range(n_rounds + 1):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            if turn:
                times[name].append((time.process_time() - begin) * 1e3)
    return {name: statistics.median(kept) for name, kept in times.items()}


def bare_runs(network, X, batch_sizes):
    x = torch.from_numpy(X)

    @torch.inference_mode()
    def run(batch_size):
        torch.cat([network(part) for part in x.split(batch_size)]).numpy()

    return {size: lambda size=size: run(size) for size in batch_sizes}


def compare(shape, n_sequences, n_rounds):
    """Return milliseconds by run, the best of the bare network and its batch size."""
    n_timesteps, n_features, n_units = shape
    X = np.random.default_rng(1).normal(size=(n_sequences, n_timesteps, n_features))
    X = X.astype(np.float32)
    network = BareNetwork(CELL, n_features, n_units)
    runs = bare_runs(network, X, [1] if n_sequences == 1 else BATCH_SIZES)
    for kernel in ["compiled", "torch"] if compiled_kernels_available() else ["torch"]:
        model = fitted(shape, kernel)
        runs[kernel] = lambda model=model: model.predict(X)
    times = median_milliseconds(runs, n_rounds)
    bare, batch_size = min((times[n], n) for n in times if isinstance(n, int))
    return times, bare, batch_size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=300, help="of one sequence")
    parser.add_argument("--rounds-many", type=int, default=3, help="of the windows")
    add_instruction_set_option(parser)
    options = parser.parse_args()
    use_one_core()
    use_instruction_set(options.instruction_set)
    print_machine()
    print("Milliseconds of predict, and its time over that of the bare network")
    print("sequences  steps, features, units  compiled     torch      bare", end="")
    print("  in batches of  compiled/bare  torch/bare  limit")
    for n_sequences, shape, n_rounds in [
        *((1, shape, options.rounds) for shape in SHAPES),
        (options.windows, SHAPES[0], options.rounds_many),
    ]:
        times, bare, batch_size = compare(shape, n_sequences, n_rounds)
        limit = AT_MOST_ONE if n_sequences == 1 else AT_MOST_MANY
        print(f"{n_sequences:9,}  {', '.join(map(str, shape)):22}", end="")
        ours = [times.get(kernel) for kernel in ("compiled", "torch")]
        for value in (*ours, bare):
            print(f"{'-':>10}" if value is None else f"{value:10.3f}", end="")
        print(f"{batch_size:15,}", end="")
        for value in ours:
            print(f"{'-':>12}" if value is None else f"{value / bare:12.2f}", end="")
        first = next(value for value in ours if value is not None)
        print(f"{limit:7g}{'!' if first / bare > limit else ''}", flush=True)


if __name__ == "__main__":
    main()
