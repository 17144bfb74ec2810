"""What attention adds: strings of digits, reversed and sorted, also longer ones.

    python tests/benchmarks/bench_attention.py
    python tests/benchmarks/bench_attention.py --task reverse --attention additive \
        --set cell=lstm dropout=0.3

reverse: "3071" -> "1703". The last digits written are the first ones read, and a
state of fixed size has to hold them all; attention may look each one up.

sort: "3071" -> "0137". Only how often each digit comes has to be remembered: ten
counts, which a state can hold. Attention has little to add.

Training strings have 1 to 15 digits, each length as often as any other. Tested is
on strings that training did not see: of the same lengths, of 16 to 20 and of 21 to
30 digits. Digits are uniform, and the same seed makes the data and the model. Given
is the share of strings that are all right, and the symbol error rate (edits a digit
of the truth), both in percent, and means over the seeds.

Reversed strings that are longer than those of training stay right for a few digits
only with most attention: a place is found again by the encoder's and the decoder's
count of steps, and counts that training never saw are told apart badly. Multiplicative
attention then mistakes the place for another one where the last written digit stands,
and goes on from there. Location attention sees where it looked last and steps back by
one, and so reverses longer strings, too.

`hidden_size` is 64, the search greedy, and every model makes the same number of
updates, by `max_epochs`; with --set any parameter can be changed. Seconds are those of
one fit, of the processor, on one thread.
"""

import argparse
import ast
from itertools import product
from time import process_time

import numpy as np

from sklearn_rnn import RNNSeq2Seq
from sklearn_rnn.metrics import sequence_accuracy, symbol_error_rate

TRAINED = (1, 15)  # digits
TESTED = [TRAINED, (16, 20), (21, 30)]
N_TEST = 500
TASKS = {"reverse": lambda x: x[::-1], "sort": lambda x: "".join(sorted(x))}
ATTENTION = {
    "multiplicative": "multiplicative",
    "additive": "additive",
    "location": "location",
    "none": None,
}


def make_strings(n_strings, shortest, longest, rng):
    """Return strings of random digits, of lengths from `shortest` to `longest`."""
    lengths = rng.integers(shortest, longest + 1, size=n_strings)
    return ["".join(map(str, rng.integers(10, size=n))) for n in lengths]


def make_new_strings(n_strings, shortest, longest, known, rng):
    """Return such strings that are not among `known`."""
    strings = make_strings(2 * n_strings, shortest, longest, rng)
    return [x for x in strings if x not in known][:n_strings]


def measure(task, attention, seed, options, params):
    """Fit one model; return its figures, its updates and the seconds they took."""
    solve, rng = TASKS[task], np.random.default_rng(seed)
    X = make_strings(options.strings, *TRAINED, rng)
    model = RNNSeq2Seq(
        attention_type=ATTENTION[attention], random_state=seed, n_threads=1, **params
    )
    begin = process_time()
    model.fit(X, [solve(x) for x in X])
    seconds = process_time() - begin
    figures = []
    for lengths in TESTED:
        X_test = make_new_strings(N_TEST, *lengths, set(X), rng)
        y_test, written = [solve(x) for x in X_test], model.predict(X_test)
        figures.append(100 * sequence_accuracy(y_test, written))
        figures.append(100 * symbol_error_rate(y_test, written))
    updates = model.n_iter_ * int(np.ceil(len(X) / model.batch_size))
    return figures, updates, seconds


def read_params(options):
    """Return the parameters that differ from the defaults, by name."""
    params = {"hidden_size": 64, "max_epochs": options.epochs, "beam_width": 1}
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
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    kinds = list(ATTENTION)
    parser.add_argument("--attention", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--strings", type=int, default=10_000, help="to train on")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


def main():
    options = read_options()
    params = read_params(options)
    columns = [
        f"{shortest} to {longest}: {figure}"
        for shortest, longest in TESTED
        for figure in ["all right (%)", "errors (%)"]
    ]
    columns = ["task", "attention", *columns, "updates", "seconds"]
    print_row(columns)
    print_row(["---"] * len(columns))
    for task, attention in product(options.task, options.attention):
        outcomes = [
            measure(task, attention, seed, options, params)
            for seed in range(options.seeds)
        ]
        figures, updates, seconds = zip(*outcomes, strict=True)
        means = [f"{value:.1f}" for value in np.mean(figures, axis=0)]
        took = [updates[0], f"{np.mean(seconds):.0f}"]
        print_row([task, attention, *means, *took])


if __name__ == "__main__":
    main()
