"""Time of training: ours against a bare torch loop, skorch's defaults, and Keras.

    python tests/benchmarks/bench_training.py
    python tests/benchmarks/bench_training.py --rows 1 3 --epochs 3 --without keras

All run on one core, in turn, on the same data with the same network, Adam and
clipping of the gradient's norm, in float32. Printed are median milliseconds a batch
and the rivals' time over ours, with what is asked for in brackets: a figure above 1
means that ours is faster. What is not installed stays "-". ``--clock cpu`` counts the
processor's time, of which other programs on the core take no part.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from importlib.util import find_spec

import skorch
import torch
from keras_worker import CLOCKS, KerasWorker, make_data

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import compiled_kernels_available

# sequences, steps, features, units, batch, cell
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
# What each rival's time over ours should at least be: RIVALS, then a whole fit of
# Keras on JAX over our whole fit.
ASKED = {
    SHAPES[0]: (1.5, 3, 4, 1, 2),
    SHAPES[1]: (2, 3, 5, 1, 2),
    SHAPES[3]: (2.5, 3.5, 6, 1.2, 2),
    SHAPES[4]: (1.3, 2, 4, 1, 2),
    SHAPES[5]: (1.7, 1.8, 3.5, 2, 2),
    SHAPES[6]: (1.3, 1.3, 1.4, 1.4, 1.4),
}
N_FIT_EPOCHS = 10
FIRST_FIT = """
import time
import numpy as np
from sklearn_rnn import RNNRegressor
X = np.zeros((64, 10, 1), dtype=np.float32)
seconds = []
for _ in range(2):
    begin = time.process_time()
    RNNRegressor("{cell}", 32, batch_size=32, max_epochs=1, dtype="float32",
                 kernel="compiled").fit(X, X[:, 0, 0])
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
    """Take turns, and return everyone's median."""
    rounds = [[timer() for timer in timers.values()] for _ in range(n_rounds)]
    medians = map(statistics.median, zip(*rounds, strict=True))
    return dict(zip(timers, medians, strict=True))


def time_epochs(shape, kernels, workers, options):
    """Return seconds an epoch of all, and those of a large matrix product."""
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
    median_seconds(timers, 1)  # warms up, and compiles
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


def arithmetic(shape):
    """Return operations of a batch's matrix products, forwards and back."""
    _, n_timesteps, n_features, n_units, batch_size, cell = shape
    by_step = 2 * batch_size * N_GATES[cell] * n_units * (n_units + n_features)
    return 3 * n_timesteps * by_step


def one_core():
    """Stay on one core, and so do the processes that are started from here."""
    torch.set_num_threads(1)
    # The gradients of 168 steps become so small that processors compute with them
    # slowly: torch's own network took five times as long. Keras leaves them out.
    torch.set_flush_denormal(True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def start_workers(without, clock):
    backends = {"Keras+TF": "tensorflow", "Keras+JAX": "jax"}
    return {
        name: KerasWorker(backend, clock)
        for name, backend in backends.items()
        if find_spec("keras") and find_spec(backend)
        if not any(word in name.lower() for word in without)
    }


def report_compiling(cells):
    """Print what compiled loops cost: once, and once more in each new process."""
    compiled = loops("_compiled")
    versions = [loop.stats for loop in (compiled.forward, compiled.backward)]
    read = sum(sum(stats.cache_hits.values()) for stats in versions)
    compiled = sum(sum(stats.cache_misses.values()) for stats in versions)
    print(f"\nOur loops were compiled before these times were taken, {read} of", end="")
    print(
        f" {read + compiled} in an earlier run.\nThe first fit of a process takes",
        end="",
    )
    print(" longer than its second by")
    for cell in cells:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", FIRST_FIT.format(cell=cell)]
            environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
            once, later = (
                float(subprocess.check_output(command, env=environment))
                for _ in range(2)
            )
        print(f"{cell:>5}: {once:5.1f} s where they are compiled,", end="")
        print(f" {later:4.2f} s where they are read from the disk", flush=True)


def number(value, digits=2, width=10):
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"


def ratio(times, name, ours, asked):
    if name not in times:
        return f"{'-':>13}"
    floor = "" if asked is None else f"({asked:g})"
    return f"{times[name] / times[ours]:7.2f} {floor:>5}"


def label(shape):
    return f"{', '.join(map(str, shape[:5])):22}{shape[5]:>5}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=7, help="timed epochs of each")
    parser.add_argument("--fits", type=int, default=3, help="timed whole fits, or 0")
    parser.add_argument("--rows", type=int, nargs="+", default=range(len(SHAPES)))
    parser.add_argument(
        "--without", nargs="+", default=[], help="skorch, keras, keras+tf, keras+jax"
    )
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    options = parser.parse_args()
    one_core()
    shapes = [SHAPES[row] for row in options.rows]
    kernels = ["compiled", "torch"] if compiled_kernels_available() else ["torch"]
    ours = kernels[0]
    workers = start_workers(options.without, options.clock)

    print("Milliseconds a training batch; product: FLOP/s of a matrix product")
    print("sequences, steps, features, units, batch", end="")
    print("".join(f"{name:>11}" for name in ("compiled", "torch", *RIVALS)), "GFLOP/s")
    epochs, fits = {}, {}
    for shape in shapes:
        times = time_epochs(shape, kernels, workers, options)
        epochs[shape] = times
        batches = shape[0] / shape[4]
        print(f"{label(shape):40}", end="")
        for name in ("compiled", "torch", *RIVALS):
            value = times[name] / batches * 1e3 if name in times else None
            print(number(value, 3, 11), end="")
        print(f"{2 * 1024**3 / times['product'] / 1e9:8.1f}", flush=True)

    print(f"\nTheir time over ours (kernel={ours!r}), in brackets what is asked for")
    print(" " * 40 + "".join(f"{name:>14}" for name in RIVALS))
    for shape, times in epochs.items():
        asked = ASKED.get(shape, [None] * 5)
        cells = [ratio(times, n, ours, a) for n, a in zip(RIVALS, asked, strict=False)]
        print(f"{label(shape):40}" + " ".join(f"{cell:>13}" for cell in cells))

    print("\nThe products' arithmetic at the speed of a large product, ms a batch, and")
    print("the share of that speed which ours reaches")
    for shape, times in epochs.items():
        least = arithmetic(shape) * times["product"] / (2 * 1024**3)
        share = least / (times[ours] * shape[4] / shape[0])
        print(f"{label(shape):40}{least * 1e3:10.3f}{share:10.0%}")

    if options.fits:
        print(f"\nWhole fit of {N_FIT_EPOCHS} epochs, s; Keras' includes compiling")
        print(f"{'':40}{'ours':>10}{'Keras+TF':>10}{'Keras+JAX':>10}", end="")
        print(f"{'JAX over ours':>16}")
        for shape in shapes:
            times = time_fits(shape, ours, workers, options)
            fits[shape] = times
            print(f"{label(shape):40}", end="")
            for name in ("ours", "Keras+TF", "Keras+JAX"):
                print(number(times.get(name)), end="")
            asked = ASKED.get(shape, [None] * 5)[-1]
            print(f"{ratio(times, 'Keras+JAX', 'ours', asked):>16}", flush=True)
    for worker in workers.values():
        worker.close()
    if options.fits and "compiled" in kernels:
        report_compiling(dict.fromkeys(shape[5] for shape in shapes))


if __name__ == "__main__":
    main()
