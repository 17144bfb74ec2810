"""What the estimators remember over many steps: adding, copying, digits by rows.

    python tests/benchmarks/bench_long_memory.py --epochs 10    # adding, T = 200
    python tests/benchmarks/bench_long_memory.py --epochs 10 --steps 600 --cell gru
    python tests/benchmarks/bench_long_memory.py --task copy --steps 10 30 --epochs 20 \
        --cell lstm --set hidden_size=128 input_dropout=0.0
    python tests/benchmarks/bench_long_memory.py --task digits --seeds 3

adding: each of T steps has a number, uniform in [0, 1], and a mark, which is 1 at
one step of the first half and one of the second; the target is the sum of the two
marked numbers (Hochreiter and Schmidhuber, "Long short-term memory", 1997, in the
form of Bai, Kolter and Koltun, "An empirical evaluation of generic convolutional
and recurrent networks for sequence modeling", 2018). MSE on 1,000 sequences that
training did not see; always answering 1 gives 1/6.

copy: 10 symbols out of 8, T - 1 blanks, a go signal, 10 blanks, in which the
symbols are to be repeated (Hochreiter and Schmidhuber 1997; Arjovsky, Shah and
Bengio, "Unitary evolution recurrent neural networks", 2016; lengths as in Bai et
al.), as token ids. Accuracy and cross entropy (nats) on the 10 steps of the answer
alone; guessing gives 1/8 and ln 8 = 2.079. In training every step has a label, the
blanks too, unless --answer-only leaves the others' labels out, which is easier.

digits: scikit-learn's `load_digits` (Alpaydin and Kaynak, UCI, 1998), an image as
8 steps, its rows, of 8 features. Mean accuracy of 5 folds, stratified by class and
shuffled with the seed, and that of the worst one; seconds are those of all 5 fits.

All parameters are the defaults but `max_epochs` where --epochs is given, those of
--set, `random_state`, and `embedding_dim=8` to copy. The same seed makes the data
and the model. Seconds are those of fit, on one thread.
"""

import argparse
import ast
from itertools import product
from time import perf_counter
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_validate

from sklearn_rnn import RNNClassifier, RNNRegressor, RNNTagger

N_TEST = 1000
# Copying: tokens 1 to 8 are the symbols.
BLANK, N_SYMBOLS, GO, N_REMEMBERED = 0, 8, 9, 10
NO_LABEL = -1


class Outcome(NamedTuple):
    """One fit: what was measured, and what it took."""

    figures: list
    n_epochs: int
    n_parameters: int
    seconds: float


def make_adding(n_sequences, n_timesteps, rng):
    """Return X (n_sequences, n_timesteps, 2) and y (n_sequences,)."""
    values = rng.random((n_sequences, n_timesteps), dtype=np.float32)
    half, each = n_timesteps // 2, np.arange(n_sequences)
    first = rng.integers(half, size=n_sequences)
    second = rng.integers(half, n_timesteps, size=n_sequences)
    marks = np.zeros_like(values)
    marks[each, first] = marks[each, second] = 1
    return np.stack([values, marks], axis=2), values[each, first] + values[each, second]


def make_copy(n_sequences, n_timesteps, rng):
    """Return tokens X and y, both (n_sequences, n_timesteps + 20)."""
    symbols = rng.integers(1, N_SYMBOLS + 1, size=(n_sequences, N_REMEMBERED))
    X = np.full((n_sequences, n_timesteps + 2 * N_REMEMBERED), BLANK)
    y = X.copy()
    X[:, :N_REMEMBERED] = y[:, -N_REMEMBERED:] = symbols
    X[:, -N_REMEMBERED - 1] = GO
    return X, y


def seconds_of_fit(model, X, y):
    begin = perf_counter()
    model.fit(X, y)
    return perf_counter() - begin


def measure_adding(options, n_timesteps, params, seed):
    rng = np.random.default_rng(seed)
    X, y = make_adding(options.sequences, n_timesteps, rng)
    X_test, y_test = make_adding(N_TEST, n_timesteps, rng)
    model = RNNRegressor(**params)
    seconds = seconds_of_fit(model, X, y)
    error = np.mean((model.predict(X_test) - y_test) ** 2)
    return Outcome([error], model.n_iter_, model.n_parameters_, seconds)


def measure_copy(options, n_timesteps, params, seed):
    rng = np.random.default_rng(seed)
    X, y = make_copy(options.sequences, n_timesteps, rng)
    X_test, y_test = make_copy(N_TEST, n_timesteps, rng)
    if options.answer_only:
        y[:, :-N_REMEMBERED] = NO_LABEL
    fixed = {"embedding_dim": N_SYMBOLS, "missing_label": NO_LABEL}
    model = RNNTagger(**fixed | params)
    seconds = seconds_of_fit(model, list(X), list(y))
    chances = np.stack(model.predict_proba(list(X_test)))[:, -N_REMEMBERED:]
    answer = y_test[:, -N_REMEMBERED:]
    right = model.classes_[chances.argmax(axis=-1)] == answer
    columns = np.searchsorted(model.classes_, answer)[:, :, None]
    told = np.take_along_axis(chances, columns, axis=2)
    entropy = -np.log(np.maximum(told, np.finfo(np.float32).tiny)).mean()
    figures = [right.mean(), entropy]
    return Outcome(figures, model.n_iter_, model.n_parameters_, seconds)


def measure_digits(options, n_timesteps, params, seed):
    digits = load_digits()
    folds = cross_validate(
        RNNClassifier(**params),
        digits.images,
        digits.target,
        cv=StratifiedKFold(5, shuffle=True, random_state=seed),
        return_estimator=True,
    )
    scores, model = folds["test_score"], folds["estimator"][0]
    figures = [scores.mean(), scores.min()]
    seconds = folds["fit_time"].sum()
    return Outcome(figures, model.n_iter_, model.n_parameters_, seconds)


MEASURES = {"adding": measure_adding, "copy": measure_copy, "digits": measure_digits}
STEPS = {"adding": [200], "copy": [30], "digits": [8]}
FIGURES = {
    "adding": ["MSE"],
    "copy": ["accuracy", "cross entropy"],
    "digits": ["accuracy", "worst fold"],
}


def read_params(options):
    """Return the parameters that differ from the defaults, by name."""
    params = {} if options.epochs is None else {"max_epochs": options.epochs}
    for change in options.set:
        name, value = change.split("=", 1)
        try:
            params[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            params[name] = value
    return params


def print_row(cells):
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", choices=MEASURES, default="adding")
    parser.add_argument("--steps", type=int, nargs="+", metavar="T")
    cells = ["gru", "lstm", "rnn"]
    parser.add_argument("--cell", nargs="+", choices=cells, default=cells)
    parser.add_argument("--sequences", type=int, default=10_000, help="to train on")
    parser.add_argument("--epochs", type=int, help="max_epochs, else its default")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--answer-only", action="store_true", help="see copy, above")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


def main():
    options = read_options()
    params, measure = read_params(options), MEASURES[options.task]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    fit = ["epochs", "weights", "seconds"]
    columns = ["task", "T", "cell", "seed", *FIGURES[options.task], *fit]
    print_row(columns)
    print_row(["---"] * len(columns))
    steps = options.steps or STEPS[options.task]
    for n_timesteps, cell, seed in product(steps, options.cell, seeds):
        fixed = {"cell": cell, "random_state": seed, "n_threads": 1}
        outcome = measure(options, n_timesteps, fixed | params, seed)
        figures = [f"{value:.3g}" for value in outcome.figures]
        took = [outcome.n_epochs, outcome.n_parameters, f"{outcome.seconds:.0f}"]
        print_row([options.task, n_timesteps, cell, seed, *figures, *took])


if __name__ == "__main__":
    main()
