"""Bucketing: the fraction of the computed steps that is padding.

    python tests/benchmarks/bench_bucketing.py

The recordings of JapaneseVowels (7 to 26 steps), and simulated sequences whose lengths
differ more, in batches of 64: by length, as they are in training, and in random order.
"""

import numpy as np

from sklearn_rnn.datasets import load_japanese_vowels
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import BatchIterator, SequenceDataset

BATCH_SIZE = 64


class RandomOrder(BatchIterator):
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


def data_sets():
    """Yield name and sequences of each set."""
    rng = np.random.default_rng(0)
    yield "JapaneseVowels", load_japanese_vowels(subset="train", return_X_y=True)[0]
    uniform = rng.integers(1, 201, size=2000)
    lognormal = np.clip(rng.lognormal(3.5, 0.8, size=2000), 1, 500).astype(int)
    yield "uniform, 1 to 200", [np.zeros((n, 1)) for n in uniform]
    yield "lognormal, 1 to 500", [np.zeros((n, 1)) for n in lognormal]


def main():
    print("| lengths | by length | random order |\n| --- | --- | --- |")
    for name, X in data_sets():
        data = SequenceDataset(check_sequences(X), np.zeros(len(X)))
        fractions = [
            padding_fraction(
                kind(data, BATCH_SIZE, True, np.random.RandomState(0), "cpu")
            )
            for kind in (BatchIterator, RandomOrder)
        ]
        print("|", " | ".join([name, *(f"{part:.0%}" for part in fractions)]), "|")


if __name__ == "__main__":
    main()
