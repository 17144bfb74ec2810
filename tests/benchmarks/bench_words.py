"""Models of words with large vocabularies: time of an epoch, and perplexity.

    python tests/benchmarks/bench_words.py speed
    python tests/benchmarks/bench_words.py speed --vocabularies 10000 --tokens 50000
    python tests/benchmarks/bench_words.py quality --data FOLDER --half development
    python tests/benchmarks/bench_words.py quality --half held-out --set max_epochs=8

``speed`` prints the CPU seconds of an epoch of 100,000 words on one core, with a full
and an adaptive softmax. The words are drawn as those of a text are, the k-th most
frequent one with a probability of about 1 / k, and each one comes at least once.

``quality`` learns the first 90 % of half of Moby Dick, or of all of it, and scores the
last 10 %; see `bench_generation` for the halves. Words beyond the `--words` most
frequent ones are one unknown word, which counts as any other, also for the rival: a
trigram model with interpolated modified Kneser-Ney smoothing. Printed are the
perplexities of the generator, and of its network and its n-grams alone.
"""

import argparse
import time

import numpy as np
from bench_generation import KneserNey, read_half, run_rival, split
from bench_quality import parse_changes
from machine import (
    add_instruction_set_option,
    print_machine,
    use_instruction_set,
    use_one_core,
)
from skorch.callbacks import Callback

from sklearn_rnn import RNNGenerator

VOCABULARIES = [1000, 10_000, 50_000]
SOFTMAXES = ["adaptive", "full"]
PER_WORDS = 100_000


class EpochTimer(Callback):
    """Adds the CPU seconds of each epoch's updates to the history."""

    def on_epoch_begin(self, net, **kwargs):
        self.begin = time.process_time()

    def on_epoch_end(self, net, **kwargs):
        net.history.record("cpu", time.process_time() - self.begin)


def draw_words(n_tokens, n_words):
    """Return a text of words, which holds every one of `n_words`."""
    rng = np.random.default_rng(0)
    chances = 1 / (3.0 + np.arange(n_words))
    drawn = rng.choice(n_words, n_tokens - n_words, p=chances / chances.sum())
    words = rng.permutation(np.concatenate([drawn, np.arange(n_words)]))
    return words.astype(str).tolist()


def print_speed(options):
    print("| words | softmax | seconds per 100,000 words | loss |")
    print("| --- | --- | --- | --- |")
    for n_words in options.vocabularies:
        text = draw_words(max(options.tokens, n_words), n_words)
        for softmax in options.softmax:
            params = {"softmax": softmax, "ngram_order": None, **options.params}
            seconds, model = fit([text], {"max_epochs": 1, **params}, seed=0)
            seconds *= PER_WORDS / len(text)
            loss = model.loss_curve_[-1]
            print(f"| {n_words} | {softmax} | {seconds:.1f} | {loss:.2f} |", flush=True)


def fit(X, params, seed):
    """Return the CPU seconds of an epoch, and the model."""
    timer = EpochTimer()
    model = RNNGenerator(callbacks=timer, random_state=seed, n_threads=1, **params)
    model.fit(X)
    return float(np.mean([epoch["cpu"] for epoch in model.history_])), model


def print_quality(options):
    parts, known = split(read_text(options), "words", options.words)
    train, test = parts
    print(f"{options.half}: {len(train)} and {len(test)} words, {len(known)} known")
    print("| model | perplexity | CPU seconds an epoch |\n| --- | --- | --- |")
    if options.rivals:
        name, bits, _ = run_rival(KneserNey, train, test, 3, known)
        print(f"| {name} | {2**bits:.1f} | |", flush=True)
    for softmax in options.softmax:
        for seed in range(options.seeds):
            # Unknown words are a symbol of their own, as for the rival.
            seconds, model = fit([train], {"softmax": softmax, **options.params}, seed)
            weight = model.ngram_weight_
            about = f"{softmax}, {model.n_iter_} epochs, seed {seed}"
            print(f"| RNNGenerator, {about} | {model.perplexity([test]):.1f} | |")
            model.ngram_weight_ = 0.0
            alone = model.perplexity([test])
            print(f"| its network | {alone:.1f} | {seconds:.1f} |")
            if model.ngram_order_ is not None:
                model.ngram_weight_ = 1.0
                name = f"its n-grams of {model.ngram_order_}, weight {weight:.2f}"
                print(f"| {name} | {model.perplexity([test]):.1f} | |", flush=True)


def read_text(options):
    if options.half != "whole":
        return read_half(options.data, options.half)
    halves = ("development", "held-out")
    return "".join(read_half(options.data, half) for half in halves)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=["speed", "quality"])
    parser.add_argument("--vocabularies", nargs="*", type=int, default=VOCABULARIES)
    parser.add_argument("--tokens", type=int, default=PER_WORDS)
    parser.add_argument("--softmax", nargs="*", default=SOFTMAXES)
    parser.add_argument("--data", metavar="FOLDER", help="has the whole moby_dick.txt")
    halves = ["development", "held-out", "whole"]
    parser.add_argument("--half", choices=halves, default="development")
    parser.add_argument("--words", type=int, default=10_000)
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
    use_one_core()
    print_machine()
    {"speed": print_speed, "quality": print_quality}[options.part](options)


if __name__ == "__main__":
    main()
