"""Time of a grid search: ours against skorch nets and Keras models.

    python tests/benchmarks/bench_grid_search.py

Twelve GRU candidates (three sizes, two learning rates, two batch sizes), five folds
of 2,000 sequences of 24 steps and 4 features, two workers with one thread each, the
same epochs, Adam and clipping of the gradient's norm for all. Printed are seconds for
the sixty fits and scores, by the wall clock and of CPU time (fairer where other
programs use the machine too), each also as a ratio to our first line (above 1: slower),
and R2 of the best candidate and the median of all. Imports and compilation of Keras'
graphs are not in it: every worker has fitted once before. Nor is a last fit with the
best parameters.

The skorch nets have its defaults but for ``train_split=None``: with its own split they
would train on a fifth less. Keras models stand in a thin scikit-learn wrapper, if keras
and tensorflow or jax are installed (``KERAS_BACKEND`` says which), with one thread per
worker too. Ours run with the compiled kernels, if they are available, and with torch's,
in processes and in threads.

Options: ``--epochs 5``, ``--jobs 2``, ``--instruction-set avx2``, and ``--only ours
skorch keras``: the lines that begin so.
"""

import argparse
import os
import time
from importlib.util import find_spec

import joblib
import numpy as np
import skorch
import torch
from joblib.externals.loky import get_reusable_executor
from machine import add_instruction_set_option, print_machine, use_instruction_set
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import compiled_kernels_available

SIZES, RATES, BATCHES = [16, 32, 64], [2e-3, 5e-3], [32, 64]


class PlainGRU(torch.nn.Module):
    def __init__(self, n_units=32):
        super().__init__()
        self.rnn = torch.nn.GRU(4, n_units, batch_first=True)
        self.head = torch.nn.Linear(n_units, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class KerasGRU(RegressorMixin, BaseEstimator):
    def __init__(self, n_units=32, learning_rate=1e-3, batch_size=32, epochs=1):
        self.n_units = n_units
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs

    def fit(self, X, y):
        import keras

        keras.backend.clear_session()  # or graphs of previous fits stay in memory
        self.model_ = keras.Sequential(
            [keras.Input(X.shape[1:]), keras.layers.GRU(self.n_units)]
        )
        self.model_.add(keras.layers.Dense(1))
        adam = keras.optimizers.Adam(self.learning_rate, global_clipnorm=1.0)
        self.model_.compile(adam, "mse")
        self.model_.fit(X, y, batch_size=self.batch_size, epochs=self.epochs, verbose=0)
        return self

    def predict(self, X):
        return self.model_.predict(X, verbose=0)[:, 0]


def keras_backend():
    """Return the installed backend of Keras, or None."""
    if find_spec("keras") is None:
        return None
    usable = [name for name in ("tensorflow", "jax") if find_spec(name)]
    return os.environ.get("KERAS_BACKEND", *usable[:1] or [None])


def contenders(epochs):
    """Yield name, joblib's backend, estimator and grid."""
    kernels = ["compiled", "torch"] if compiled_kernels_available() else ["torch"]
    grid = {"hidden_size": SIZES, "learning_rate": RATES, "batch_size": BATCHES}
    for kernel in kernels:
        ours = RNNRegressor(
            "gru",
            max_epochs=epochs,
            lr_schedule=None,
            input_dropout=0.0,
            kernel=kernel,
            random_state=0,
        )
        for backend in ("loky", "threading"):
            yield f"ours {kernel}", backend, ours, grid
    net = skorch.NeuralNetRegressor(
        PlainGRU,
        optimizer=torch.optim.Adam,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        callbacks=[skorch.callbacks.GradientNormClipping(1.0)],
        verbose=0,
    )
    grid = {"module__n_units": SIZES, "lr": RATES, "batch_size": BATCHES}
    yield "skorch", "loky", net, grid
    if keras_backend() is not None:
        grid = {"n_units": SIZES, "learning_rate": RATES, "batch_size": BATCHES}
        yield f"keras {keras_backend()}", "loky", KerasGRU(epochs=epochs), grid


def make_data():
    """Return sequences, and a decaying sum of one feature plus others' last values.

    A tenth of the target's variance is noise.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 24, 4)).astype(np.float32)
    memory = X[:, :, 0] @ 0.8 ** np.arange(24)[::-1]
    y = memory / memory.std() + np.tanh(X[:, -1, 1]) * X[:, -1, 2]
    y = y / y.std() + rng.normal(scale=1 / 3, size=len(y))
    return X, y.astype(np.float32)[:, np.newaxis]


def warm_up(estimator, X, y):
    clone(estimator).fit(X, y).predict(X)


def worker_seconds():
    time.sleep(0.1)  # so that the next job goes to another worker
    return os.getpid(), time.process_time()


def in_every_worker(job, n_jobs):
    """Run a job in every worker, in some repeatedly; return the results."""
    return joblib.Parallel(n_jobs, batch_size=1)([job] * (4 * n_jobs))


def processor_seconds(n_jobs):
    """Return the CPU seconds of every worker so far, by process."""
    return dict(in_every_worker(joblib.delayed(worker_seconds)(), n_jobs))


def search(backend, estimator, grid, n_jobs):
    """Return wall-clock and CPU seconds, and the scores of the candidates."""
    X, y = make_data()
    if isinstance(estimator, RNNRegressor):
        y = y[:, 0]
    with joblib.parallel_config(backend):
        # More than a batch, so that ours computes in float32 as in the search.
        in_every_worker(joblib.delayed(warm_up)(estimator, X[:200], y[:200]), n_jobs)
        before, begin = processor_seconds(n_jobs), time.perf_counter()
        fitted = GridSearchCV(
            estimator, grid, cv=KFold(5), scoring="r2", n_jobs=n_jobs, refit=False
        ).fit(X, y)
        seconds = time.perf_counter() - begin
        after = processor_seconds(n_jobs)
    get_reusable_executor().shutdown()  # the next one has workers of its own
    computed = sum(after[worker] - before[worker] for worker in after)
    return seconds, computed, fitted.cv_results_["mean_test_score"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=["ours", "skorch", "keras"])
    add_instruction_set_option(parser)
    options = parser.parse_args()
    # Workers inherit these: one thread each, for all.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    use_instruction_set(options.instruction_set)
    if keras_backend() is not None:
        os.environ["KERAS_BACKEND"] = keras_backend()
    torch.set_num_threads(1)
    print_machine()
    print(f"{'':18}{'workers':>10}{'seconds':>9}{'ratio':>7}{'CPU s':>8}", end="")
    print(f"{'ratio':>7}{'best R2':>9}{'median R2':>11}", flush=True)
    first = None
    for name, backend, estimator, grid in contenders(options.epochs):
        if not name.startswith(tuple(options.only)):
            continue
        clock, computed, scores = search(backend, estimator, grid, options.jobs)
        first = first or (clock, computed)
        workers = "threads" if backend == "threading" else "processes"
        print(f"{name:18}{workers:>10}{clock:9.1f}{clock / first[0]:7.2f}", end="")
        print(f"{computed:8.1f}{computed / first[1]:7.2f}", end="")
        print(f"{scores.max():9.3f}{np.median(scores):11.3f}", flush=True)


if __name__ == "__main__":
    main()
