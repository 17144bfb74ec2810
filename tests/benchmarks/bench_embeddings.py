"""Time of training on texts by the size of the vocabulary, against a bare torch loop.

    python tests/benchmarks/bench_embeddings.py
    python tests/benchmarks/bench_embeddings.py --sizes 1000 20000 --kernel torch

A GRU classifies 2,000 texts of 30 words, drawn as words are: the k-th most frequent
one with a probability of about 1 / k. Both run on one core, in turn, with the
same network, Adam and clipping, in float32. Printed are milliseconds per epoch, the
median of several, and what they are of those of the smallest vocabulary, with what is
asked for in brackets. The bare loop has dense gradients, and an optimizer that changes
all rows.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from sklearn_rnn import RNNClassifier

N_TEXTS, N_WORDS, BATCH_SIZE = 2000, 30, 32
EMBEDDING_DIM, HIDDEN_SIZE, N_CLASSES = 64, 64, 2
SIZES = [1000, 5000, 20_000, 100_000]
ASKED = {20_000: 1.1}  # of the smallest vocabulary's time, at most


def make_texts(n_tokens):
    """Return texts as ids, which hold every word, and their classes."""
    rng = np.random.default_rng(0)
    probabilities = 1 / (10.0 + np.arange(n_tokens))
    probabilities /= probabilities.sum()
    X = rng.choice(n_tokens, size=(N_TEXTS, N_WORDS, 1), p=probabilities)
    X[-1, -1] = n_tokens - 1  # which tells the size of the vocabulary
    return X, rng.integers(N_CLASSES, size=N_TEXTS)


def time_ours(X, y, n_epochs, kernel):
    """Return the seconds of each epoch but the first."""
    model = RNNClassifier(
        hidden_size=HIDDEN_SIZE,
        embedding_dim=EMBEDDING_DIM,
        batch_size=BATCH_SIZE,
        max_epochs=n_epochs + 1,
        kernel=kernel,
        n_threads=1,
        random_state=0,
    )
    model.fit(X, y)
    return [record["dur"] for record in model.history_[1:]]


class Bare(torch.nn.Module):
    """The same network of torch's modules."""

    def __init__(self, n_tokens):
        super().__init__()
        self.embedding = torch.nn.Embedding(n_tokens + 1, EMBEDDING_DIM)
        self.rnn = torch.nn.GRU(EMBEDDING_DIM, HIDDEN_SIZE, batch_first=True)
        self.head = torch.nn.Linear(HIDDEN_SIZE, N_CLASSES)

    def forward(self, tokens):
        """Return logits."""
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])


def time_bare(X, y, n_epochs):
    """Return the seconds of each epoch but the first."""
    torch.manual_seed(0)
    X, y = torch.from_numpy(X[:, :, 0]), torch.from_numpy(y)
    network = Bare(int(X.max()) + 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001, fused=True)
    seconds = []
    for _ in range(n_epochs + 1):
        begin = time.perf_counter()
        for rows in torch.randperm(len(X)).split(BATCH_SIZE):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(X[rows]), y[rows]).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        seconds.append(time.perf_counter() - begin)
    return seconds[1:]


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--kernel", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(1)
    first = None
    print("   words   ours (ms)   of the first    bare torch (ms)   of the first")
    for size in options.sizes:
        X, y = make_texts(size)
        ours = 1000 * statistics.median(time_ours(X, y, options.epochs, options.kernel))
        bare = 1000 * statistics.median(time_bare(X, y, options.epochs))
        first = first or (ours, bare)
        asked = f"({ASKED[size]})" if size in ASKED else ""
        ratios = ours / first[0], bare / first[1]
        print(
            f"{size:8,} {ours:11.0f} {ratios[0]:8.2f} {asked:8} "
            f"{bare:14.0f} {ratios[1]:12.2f}"
        )


if __name__ == "__main__":
    main()
