"""Bucketing: the fraction of padding that is computed, and the time that it saves.

    python tests/benchmarks/bench_bucketing.py

The recordings of JapaneseVowels (7 to 29 steps), and made-up sequences whose
lengths spread more. One epoch of a GRU with 64 units, with sequences batched by
length, as they are in training, and as they come; medians of some epochs, taken
in turns. Above 1, bucketing saves time.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from sklearn_rnn import RNNClassifier
from sklearn_rnn.datasets import load_japanese_vowels
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import BatchIterator, SequenceDataset


class AsTheyCome(BatchIterator):
    """Batches of a random order, whatever the lengths."""

    def index_batches(self):
        """Return the rows of each batch of the next pass."""
        order = np.arange(len(self.dataset))
        self.random_state.shuffle(order)
        return np.array_split(order, len(self))


def padding_fraction(batches):
    """Return the fraction of the computed steps of one pass that is padding."""
    lengths = batches.dataset.lengths
    computed = sum(len(rows) * lengths[rows].max() for rows in batches.index_batches())
    return 1 - lengths.sum() / computed


def lengths_of(kind, rng):
    if kind == "uniform 1 to 200":
        return rng.integers(1, 201, size=2000)
    return np.clip(rng.lognormal(3.5, 0.8, size=2000), 1, 500).astype(int)


def data_sets():
    rng = np.random.default_rng(0)
    yield "JapaneseVowels", *load_japanese_vowels(subset="train", return_X_y=True)
    for kind in ("uniform 1 to 200", "lognormal"):
        X = [rng.normal(size=(n, 12)) for n in lengths_of(kind, rng)]
        yield kind, X, rng.integers(0, 9, size=len(X))


def seconds_an_epoch(net, batches):
    begin = time.perf_counter()
    for batch in batches:
        net.train_step(batch)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = {"bucketed": BatchIterator, "as they come": AsTheyCome}
    print(f"{'':>20}{'padding':>22}{'ms an epoch':>22}")
    print(f"{'lengths':>20}" + 2 * "".join(f"{kind:>11.10}" for kind in kinds), end="")
    print(f"{'time saved':>12}")
    for name, X, y in data_sets():
        model = RNNClassifier(max_epochs=1, dtype="float32", random_state=0).fit(X, y)
        codes = torch.from_numpy(np.searchsorted(model.classes_, y))
        data = SequenceDataset(check_sequences(X), codes)
        iterators = {
            kind: cls(data, 64, True, np.random.RandomState(0), "cpu")
            for kind, cls in kinds.items()
        }
        padding = {k: padding_fraction(batches) for k, batches in iterators.items()}
        times = {kind: [] for kind in kinds}
        for _ in range(options.epochs):
            for kind, batches in iterators.items():
                model.net_._start_training(data, 1)
                times[kind].append(seconds_an_epoch(model.net_, batches))
        medians = {kind: statistics.median(values) for kind, values in times.items()}
        print(f"{name:>20}", end="")
        print("".join(f"{padding[kind]:>11.1%}" for kind in kinds), end="")
        print("".join(f"{1e3 * medians[kind]:>11.0f}" for kind in kinds), end="")
        print(f"{medians['as they come'] / medians['bucketed']:>11.2f}x", flush=True)


if __name__ == "__main__":
    main()
