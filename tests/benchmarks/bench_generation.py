"""Bits per symbol of a generator with default parameters, beside n-gram models.

    python tests/benchmarks/bench_generation.py --data FOLDER --half development
    python tests/benchmarks/bench_generation.py --data FOLDER --half held-out
    python tests/benchmarks/bench_generation.py --units words --set max_epochs=8

Each half of Moby Dick is a text of its own: the first 90 % are learned, the last 10 %
are scored. Defaults are chosen on the development half, the first one; without
``--data`` the book that ships is read. ``--units words`` learns words, the `--words`
most frequent ones (the others are one unknown symbol, as for the rivals). Rivals are
n-gram models in plain Python: of characters a five-gram, of words a trigram, with
Witten-Bell and with modified Kneser-Ney smoothing. Printed are bits per symbol,
perplexity, and seconds of the fit; of the generator also what network and n-grams reach
alone, and how many symbols a second `sample` writes.
"""

import argparse
import re
from collections import Counter, defaultdict
from math import log2
from pathlib import Path
from time import perf_counter

import numpy as np
from bench_quality import parse_changes
from machine import add_instruction_set_option, print_machine, use_instruction_set

from sklearn_rnn import RNNGenerator
from sklearn_rnn.datasets import load_moby_dick

TRAINING_FRACTION = 0.9
ORDERS = {"characters": 5, "words": 3}
UNKNOWN = "<unknown>"
N_WRITTEN = 1000


def read_half(folder, half):
    """Return half of the book."""
    if folder is None:
        book = load_moby_dick(subset="train") + load_moby_dick(subset="test")
    else:
        book = Path(folder, "moby_dick.txt").read_text(encoding="utf-8")
    middle = len(book) // 2
    return book[:middle] if half == "development" else book[middle:]


def split(text, units, n_words):
    """Return training and test symbols; words beyond the most frequent are unknown."""
    symbols = list(text) if units == "characters" else re.findall(r"\w+|[^\w\s]", text)
    cut = int(TRAINING_FRACTION * len(symbols))
    train, test = symbols[:cut], symbols[cut:]
    known = set(train)
    if units == "words":
        known = {word for word, _ in Counter(train).most_common(n_words)}
    return [
        [s if s in known else UNKNOWN for s in part] for part in (train, test)
    ], known


class PlainNGrams:
    """An n-gram model in dictionaries, which shares nothing with the package."""

    def __init__(self, train, order, symbols):
        self.order, self.n_symbols = order, len(set(symbols) | {UNKNOWN})
        # counts[context][symbol]; the length of a context tells the n-gram's.
        self.counts = defaultdict(Counter)
        for i, symbol in enumerate(train):
            for n in range(min(order, i + 1)):
                self.counts[tuple(train[i - n : i])][symbol] += 1
        self.finish()

    def finish(self):
        """Compute what is needed besides counts."""

    def bits(self, train, test):
        """Return the mean bits of a test symbol, which follows on the training text."""
        text = train[-self.order :] + test
        total = 0.0
        for i in range(len(text) - len(test), len(text)):
            context = tuple(text[i - self.order + 1 : i])
            total -= log2(self.probability(context, text[i]))
        return total / len(test)


class WittenBell(PlainNGrams):
    """Interpolated; new symbols of a context are as likely as it has different ones."""

    def probability(self, context, symbol):
        p = 1 / self.n_symbols
        for n in range(len(context) + 1):
            counts = self.counts.get(context[len(context) - n :])
            if counts is None:
                break
            p = (counts[symbol] + len(counts) * p) / (counts.total() + len(counts))
        return p


class KneserNey(PlainNGrams):
    """Interpolated, with three discounts for each length."""

    def finish(self):
        before = defaultdict(Counter)  # different symbols in front of an n-gram
        for context, counts in self.counts.items():
            for symbol in counts if context else ():
                before[context[1:]][symbol] += 1
        self.counts.update(before)
        times = [Counter() for _ in range(self.order)]
        for context, counts in self.counts.items():
            times[len(context)].update(counts.values())
        self.discounts = []
        for n in times:
            y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
            ratios = [n[k + 1] / n[k] if n[k] else 0.0 for k in (1, 2, 3)]
            self.discounts.append(
                [max(0.05, k - (k + 1) * y * r) for k, r in enumerate(ratios, 1)]
            )
        self.lost = {
            context: sum(self.discounts[len(context)][min(c, 3) - 1] for c in row)
            for context, row in ((c, list(v.values())) for c, v in self.counts.items())
        }

    def probability(self, context, symbol):
        p = 1 / self.n_symbols
        for n in range(len(context) + 1):
            key = context[len(context) - n :]
            counts = self.counts.get(key)
            if counts is None:
                break
            count, total = counts[symbol], counts.total()
            own = count - self.discounts[n][min(count, 3) - 1] if count else 0.0
            p = (own + self.lost[key] * p) / total
        return p


def run_rival(kind, train, test, order, symbols):
    begin = perf_counter()
    model = kind(train, order, symbols)
    seconds = perf_counter() - begin
    name = {WittenBell: "Witten-Bell", KneserNey: "Kneser-Ney"}[kind]
    return f"{name}, {order} symbols", model.bits(train, test), seconds


def run_ours(train, test, options, seed):
    """Yield name, bits and seconds of the generator, and of its parts."""
    is_text = options.units == "characters"
    as_input = "".join if is_text else lambda symbols: [symbols]
    params = options.params
    if not is_text:
        params = {"max_symbols": options.words, **params}
    model = RNNGenerator(random_state=seed, n_threads=1, **params)
    begin = perf_counter()
    model.fit(as_input(train))
    seconds = perf_counter() - begin
    X = as_input(test)
    yield f"RNNGenerator, seed {seed}", model.bits_per_symbol(X), seconds
    weight, order = model.ngram_weight_, model.ngram_order_
    epochs = sum(epoch["dur"] for epoch in model.history_)
    model.ngram_weight_ = 0.0
    yield f"  its network, {model.n_iter_} epochs", model.bits_per_symbol(X), epochs
    if order is not None:
        model.ngram_weight_ = 1.0
        name = f"  its n-grams of {order}, weight {weight:.2f}"
        yield name, model.bits_per_symbol(X), seconds - epochs
    model.ngram_weight_ = weight
    begin = perf_counter()
    model.sample(n_steps=N_WRITTEN, random_state=0)
    print(f"{N_WRITTEN / (perf_counter() - begin):.0f} symbols a second are written")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", metavar="FOLDER", help="has the whole moby_dick.txt")
    halves = ["development", "held-out"]
    parser.add_argument("--half", choices=halves, default="development")
    parser.add_argument("--units", choices=list(ORDERS), default="characters")
    parser.add_argument("--words", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--no-rivals", dest="rivals", action="store_false")
    add_instruction_set_option(parser)
    options = parser.parse_args()
    options.params = parse_changes(options.set)
    return options


def main():
    options = parse_options()
    use_instruction_set(options.instruction_set)
    print_machine()
    text = read_half(options.data, options.half)
    (train, test), known = split(text, options.units, options.words)
    print(f"{options.half}: {len(train)} and {len(test)} {options.units}")
    rows = []
    if options.rivals:
        order = ORDERS[options.units]
        for kind in (WittenBell, KneserNey):
            rows.append(run_rival(kind, train, test, order, known))
    for seed in range(options.seeds):
        rows += run_ours(train, test, options, seed)
    print(
        "| model | bits per symbol | perplexity | seconds |\n| --- | --- | --- | --- |"
    )
    for name, bits, seconds in rows:
        print(f"| {name} | {bits:.4f} | {np.exp2(bits):.2f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
