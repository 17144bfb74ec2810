"""Time of training: ours against a bare torch loop, skorch's defaults, and Keras.

    python tests/benchmarks/bench_training.py
    python tests/benchmarks/bench_training.py --rows 1 3 --epochs 3 --without keras
    python tests/benchmarks/bench_training.py --instruction-set avx2

All run on one core, in turn, on the same data with the same network, Adam and
clipping of the gradient's norm, in float32. "compiled" and "torch" are our estimator
with either kernel. Printed are median milliseconds per batch and the rivals' time over
ours: a ratio above 1 means that ours is faster. In brackets stands the floor, the least
that a figure should be; "!" marks a figure below it. What is not installed stays "-".
``--clock cpu`` counts CPU time, of which other programs on the core take no part.
"""

import argparse
import statistics
import subprocess
import sys
from functools import partial
from importlib.util import find_spec

import skorch
import torch
from keras_worker import CLOCKS, KerasWorker, make_data
from machine import (
    add_instruction_set_option,
    print_machine,
    use_instruction_set,
    use_one_core,
)

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import compiled_kernels_available, instruction_set

# sequences, time steps, features, units, batch, cell
SHAPES = [
    (3200, 10, 1, 32, 32, "rnn"),
    (3200, 10, 1, 32, 32, "gru"),
    (3200, 10, 1, 32, 32, "lstm"),
    (3200, 24, 4, 32, 32, "gru"),
    (3200, 24, 4, 32, 32, "lstm"),
    (1280, 168, 4, 64, 64, "gru"),
    (1280, 168, 4, 64, 64, "lstm"),
]
CELLS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
N_GATES = {"rnn": 1, "gru": 3, "lstm": 4}
RIVALS = ["bare torch", "skorch", "Keras+TF", "Keras+JAX"]
# Floors of the rivals' time over ours, in every row; of a whole fit of Keras on JAX
# over ours; and of the fraction of the arithmetic limit, by time steps.
FLOORS = {"bare torch": 2, "Keras+JAX": 1.2}
FIT_FLOOR = 2
LIMIT_FLOORS = {10: 0.25, 24: 0.4, 168: 0.7}
# Other floors against bare torch, by instruction set and row.
TORCH_FLOORS = {("avx2", SHAPES[5]): 4, ("avx2", SHAPES[6]): 1.8}
N_FIT_EPOCHS = 10
N_FIRST_FITS = 3
FIRST_FIT = """
import time
import numpy as np
from sklearn_rnn import RNNRegressor
X = np.zeros((64, 10, 1), dtype=np.float32)
seconds = []
for _ in range(2):
    begin = time.process_time()
    RNNRegressor("{cell}", 32, batch_size=32, max_epochs=1, dtype="float32",
                 n_threads=1, kernel="compiled").fit(X, X[:, 0, 0])
    seconds.append(time.process_time() - begin)
print(seconds[0] - seconds[1])
"""


class BareNetwork(torch.nn.Module):
    def __init__(self, cell, n_features, n_units):
        super().__init__()
        self.rnn = CELLS[cell](n_features, n_units, batch_first=True)
        self.head = torch.nn.Linear(n_units, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def bare_epoch(X, y, shape):
    *_, n_features, n_units, batch_size, cell = shape
    network = BareNetwork(cell, n_features, n_units)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
    x, target = torch.from_numpy(X), torch.from_numpy(y)[:, None]

    def epoch():
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(network(x[rows]), target[rows])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

    return epoch


def skorch_epoch(X, y, shape):
    *_, n_features, n_units, batch_size, cell = shape
    net = skorch.NeuralNetRegressor(
        BareNetwork(cell, n_features, n_units),
        optimizer=torch.optim.Adam,
        lr=2e-3,
        batch_size=batch_size,
        max_epochs=1,
        train_split=None,
        iterator_train__shuffle=True,
        callbacks=[skorch.callbacks.GradientNormClipping(1.0)],
        verbose=0,
    ).initialize()
    return lambda: net.partial_fit(X, y[:, None])


def our_model(shape, kernel, max_epochs):
    _, _, _, n_units, batch_size, cell = shape
    return RNNRegressor(
        cell,
        n_units,
        batch_size=batch_size,
        max_epochs=max_epochs,
        dtype="float32",
        n_threads=1,
        input_dropout=0.0,  # as the others have none
        kernel=kernel,
    )


def our_epoch(X, y, shape, kernel="auto"):
    model = our_model(shape, kernel, 1)
    return lambda: model.partial_fit(X, y)


def timer_of(run, clock):
    """Return a function that runs and returns seconds, by `clock`."""

    def timer():
        begin = clock()
        run()
        return clock() - begin

    return timer


def median_seconds(timers, n_rounds):
    """Run all in turn; return the median of each."""
    rounds = [[timer() for timer in timers.values()] for _ in range(n_rounds)]
    medians = map(statistics.median, zip(*rounds, strict=True))
    return dict(zip(timers, medians, strict=True))


def time_epochs(shape, kernels, workers, options):
    """Return seconds per epoch of all, and those of a large matrix product."""
    X, y = make_data(shape)
    square = torch.rand(1024, 1024)
    runs = {name: our_epoch(X, y, shape, name) for name in kernels}
    runs["bare torch"] = bare_epoch(X, y, shape)
    if "skorch" not in options.without:
        runs["skorch"] = skorch_epoch(X, y, shape)
    runs["product"] = lambda: square @ square
    timers = {name: timer_of(run, CLOCKS[options.clock]) for name, run in runs.items()}
    for name, worker in workers.items():
        timers[name] = partial(worker.seconds, shape)
    median_seconds(timers, 1)  # Keras compiles in its first epoch
    return median_seconds(timers, options.epochs)


def time_fits(shape, kernel, workers, options):
    """Return seconds of whole fits of new estimators and networks."""
    X, y = make_data(shape)
    timers = {
        "ours": timer_of(
            lambda: our_model(shape, kernel, N_FIT_EPOCHS).fit(X, y),
            CLOCKS[options.clock],
        )
    }
    for name, worker in workers.items():
        timers[name] = partial(worker.seconds, shape, N_FIT_EPOCHS, fresh=True)
    return median_seconds(timers, options.fits)


def count_operations(shape):
    """Return operations of a batch's matrix products, forward and backward."""
    _, n_timesteps, n_features, n_units, batch_size, cell = shape
    per_step = 2 * batch_size * N_GATES[cell] * n_units * (n_units + n_features)
    return 3 * n_timesteps * per_step


def start_workers(without, clock):
    backends = {"Keras+TF": "tensorflow", "Keras+JAX": "jax"}
    return {
        name: KerasWorker(backend, clock)
        for name, backend in backends.items()
        if find_spec("keras") and find_spec(backend)
        if not any(word in name.lower() for word in without)
    }


def print_first_fits(cells):
    """Print how much longer the first fit of a new process takes than its second."""
    print("\nCPU ms that the first fit of a new process takes more than its second,")
    print(f"median of {N_FIRST_FITS} processes; most of it is what torch imports")
    for cell in cells:
        command = [sys.executable, "-c", FIRST_FIT.format(cell=cell)]
        seconds = [float(subprocess.check_output(command)) for _ in range(N_FIRST_FITS)]
        print(f"{cell:>5}{statistics.median(seconds) * 1e3:10.1f}", flush=True)


def format_value(value, digits=2, width=10):
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"


def format_checked(value, floor, form=".2f", floor_form="g"):
    """Return a figure, its floor in brackets, and "!" if it is below."""
    if value is None:
        return f"{'-':>14}"
    bracket = "" if floor is None else f"({floor:{floor_form}})"
    missed = "!" if floor is not None and value < floor else ""
    return f"{value:7{form}} {bracket:>5}{missed:1}"


def torch_floor(shape):
    return TORCH_FLOORS.get((instruction_set(), shape), FLOORS["bare torch"])


def label(shape):
    return f"{', '.join(map(str, shape[:5])):22}{shape[5]:>5}"


def print_epochs(shapes, kernels, workers, options):
    """Print milliseconds per batch; return seconds per epoch by shape and name."""
    names = ["compiled", "torch", *RIVALS]
    print("\nMilliseconds per training batch; product: GFLOP/s of a matrix product")
    print("sequences, time steps, features, units, batch, cell")
    print(" " * 40 + "".join(f"{name:>11}" for name in names) + f"{'product':>9}")
    epochs = {}
    for shape in shapes:
        times = epochs[shape] = time_epochs(shape, kernels, workers, options)
        n_batches = shape[0] / shape[4]
        print(f"{label(shape):40}", end="")
        for name in names:
            value = times[name] / n_batches * 1e3 if name in times else None
            print(format_value(value, 3, 11), end="")
        print(f"{2 * 1024**3 / times['product'] / 1e9:9.1f}", flush=True)
    return epochs


def print_ratios(epochs, ours):
    print(f"\nTheir time over ours, kernel={ours!r}")
    print(" " * 40 + "".join(f"{name:>15}" for name in RIVALS))
    for shape, times in epochs.items():
        print(f"{label(shape):40}", end="")
        floors = FLOORS | {"bare torch": torch_floor(shape)}
        for name in RIVALS:
            ratio = times[name] / times[ours] if name in times else None
            print(f" {format_checked(ratio, floors.get(name))}", end="")
        print()


def print_limits(epochs, ours):
    print(
        "\nArithmetic limit: operations of the products at the speed of a large one, ms"
    )
    print("per batch; and the fraction of that speed that ours reaches")
    for shape, times in epochs.items():
        limit = count_operations(shape) * times["product"] / (2 * 1024**3)
        fraction = limit / (times[ours] * shape[4] / shape[0])
        checked = format_checked(fraction, LIMIT_FLOORS[shape[1]], ".0%", ".0%")
        print(f"{label(shape):40}{limit * 1e3:10.3f} {checked}")


def print_fits(shapes, ours, workers, options):
    names = ["ours", "Keras+TF", "Keras+JAX"]
    print(f"\nWhole fit of {N_FIT_EPOCHS} epochs, s; that of Keras includes compiling")
    print(" " * 40 + "".join(f"{name:>10}" for name in names), end="")
    print(f"{'JAX over ours':>15}")
    for shape in shapes:
        times = time_fits(shape, ours, workers, options)
        print(f"{label(shape):40}", end="")
        for name in names:
            print(format_value(times.get(name)), end="")
        jax = times.get("Keras+JAX")
        ratio = None if jax is None else jax / times["ours"]
        print(f" {format_checked(ratio, FIT_FLOOR)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=7, help="timed epochs of each")
    parser.add_argument("--fits", type=int, default=3, help="timed whole fits, or 0")
    parser.add_argument(
        "--rows", type=int, nargs="+", default=range(len(SHAPES)), help="from 0"
    )
    parser.add_argument(
        "--without", nargs="+", default=[], help="skorch, keras, keras+tf, keras+jax"
    )
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    add_instruction_set_option(parser)
    options = parser.parse_args()
    use_one_core()
    use_instruction_set(options.instruction_set)
    shapes = [SHAPES[row] for row in options.rows]
    kernels = ["compiled", "torch"] if compiled_kernels_available() else ["torch"]
    ours = kernels[0]
    workers = start_workers(options.without, options.clock)

    print_machine()
    epochs = print_epochs(shapes, kernels, workers, options)
    print_ratios(epochs, ours)
    print_limits(epochs, ours)
    if options.fits:
        print_fits(shapes, ours, workers, options)
    for worker in workers.values():
        worker.close()
    if options.fits and ours == "compiled":
        print_first_fits(dict.fromkeys(shape[5] for shape in shapes))


if __name__ == "__main__":
    main()
