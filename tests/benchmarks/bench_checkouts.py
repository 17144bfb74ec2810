"""Time of training and predict in this checkout and in another one, in turn.

    git worktree add ../before HEAD~10
    pip install --no-deps --target ../before/built ../before
    python tests/benchmarks/bench_checkouts.py ../before/built

The other folder is one in which sklearn_rnn lies with its kernels compiled. Each has a
process of its own on the same core. They take turns, so that what else the machine does
hits both alike. Printed are the median CPU milliseconds of each and the median of the
ratios of neighbouring runs, other over this: above 1, this one is faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve()
# sequences, time steps, features, units, batch, cell: as in bench_training.py
TRAINED = [
    (3200, 10, 1, 32, 32, "rnn"),
    (3200, 10, 1, 32, 32, "gru"),
    (3200, 10, 1, 32, 32, "lstm"),
    (3200, 24, 4, 32, 32, "gru"),
    (3200, 24, 4, 32, 32, "lstm"),
    (1280, 168, 4, 64, 64, "gru"),
    (1280, 168, 4, 64, 64, "lstm"),
]
# sequences, time steps, features, units: as in bench_predict.py
PREDICTED = [
    (1, 24, 4, 32),
    (1, 168, 4, 64),
    (1, 24, 4, 256),
    (100_000, 24, 4, 32),
]
N_REPEATS_OF_ONE = 50


class Checkout:
    """A process that imports one checkout and times what it is told to."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, HERE, "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(folder)},
        )
        found = Path(self._answer()).parent.parent
        if found != folder:
            raise RuntimeError(f"The process of {folder} imports {found}.")

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("The process of a checkout has ended.")
        return json.loads(line)

    def seconds(self, *case):
        """Return the CPU seconds of a case: its kind, kernel and shape."""
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return self._answer()


def work():
    """Read cases from standard input and answer with their seconds."""
    import sklearn_rnn

    print(json.dumps(sklearn_rnn.__file__), flush=True)
    runs = {}
    for line in sys.stdin:
        if line not in runs:
            kind, kernel, shape = json.loads(line)
            runs[line] = {"train": make_epoch, "predict": make_predict}[kind](
                sklearn_rnn.RNNRegressor, kernel, shape
            )
            runs[line]()  # not timed
        begin = time.process_time()
        runs[line]()
        print(json.dumps(time.process_time() - begin), flush=True)


def make_data(n_sequences, n_timesteps, n_features):
    X = np.random.default_rng(0).normal(size=(n_sequences, n_timesteps, n_features))
    return X.astype(np.float32), X.mean(axis=(1, 2)).astype(np.float32)


def make_epoch(regressor, kernel, shape):
    """Return a function that trains one epoch more."""
    *sizes, n_units, batch_size, cell = shape
    X, y = make_data(*sizes)
    model = regressor(
        cell,
        n_units,
        batch_size=batch_size,
        max_epochs=1,
        dtype="float32",
        n_threads=1,
        linear_skip=False,
        kernel=kernel,
    )
    return lambda: model.partial_fit(X, y)


def make_predict(regressor, kernel, shape):
    """Return a function that predicts, one sequence many times."""
    n_sequences, n_timesteps, n_features, n_units = shape
    model = regressor(
        "gru",
        n_units,
        max_epochs=1,
        dtype="float32",
        n_threads=1,
        linear_skip=False,
        kernel=kernel,
    ).fit(*make_data(64, n_timesteps, n_features))
    X, _ = make_data(n_sequences, n_timesteps, n_features)
    n_repeats = N_REPEATS_OF_ONE if n_sequences == 1 else 1

    def predict():
        for _ in range(n_repeats):
            model.predict(X)

    return predict


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("other", nargs="?", type=Path, help="folder of a checkout")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--kernels", nargs="+", default=["compiled", "torch"])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work()
    if options.other is None:
        parser.error("name the folder of the other checkout")
    from machine import print_machine, use_one_core

    use_one_core()
    print_machine()
    this = Checkout(HERE.parents[2])
    other = Checkout(options.other.resolve())
    print(f"{'case':44}{'this, ms':>10}{'other, ms':>11}{'other/this':>12}")
    ratios = []
    for kernel in options.kernels:
        cases = [("train", kernel, shape) for shape in TRAINED]
        cases += [("predict", kernel, shape) for shape in PREDICTED]
        for case in cases:
            pairs = [
                (this.seconds(*case), other.seconds(*case))
                for _ in range(options.rounds)
            ]
            ratios.append(statistics.median(b / a for a, b in pairs))
            milliseconds = 1e3 * np.median(pairs, axis=0)
            label = f"{case[0]}, {kernel}: {', '.join(map(str, case[2]))}"
            print(f"{label:44}{milliseconds[0]:10.2f}{milliseconds[1]:11.2f}", end="")
            print(f"{ratios[-1]:12.3f}", flush=True)
    mean = np.exp(np.mean(np.log(ratios)))
    print(f"{'geometric mean':65}{mean:12.3f}")


if __name__ == "__main__":
    main()
