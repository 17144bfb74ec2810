"""Time of a training epoch: ours against a bare torch loop and skorch's defaults.

    python tests/benchmarks/bench_training.py

All run on one core, in turn, on the same data with the same network, Adam and
gradient clipping; printed are median milliseconds a batch, and the rivals'
time over ours. A figure above 1 means that ours is faster.
"""

import argparse
import statistics
import time

import numpy as np
import skorch
import torch

from sklearn_rnn import RNNRegressor

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


def our_epoch(X, y, shape):
    _, _, _, n_units, batch_size, cell = shape
    model = RNNRegressor(
        cell, n_units, batch_size=batch_size, max_epochs=1, dtype="float32", n_threads=1
    )
    return lambda: model.partial_fit(X, y)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=7, help="timed epochs of each")
    n_epochs = parser.parse_args().epochs
    torch.set_num_threads(1)
    print(f"{'sequences, steps, features, units, batch':42}{'cell':>5}", end="")
    print(f"{'ours ms':>9}{'bare ms':>9}{'skorch ms':>10}{'bare/ours':>11}", end="")
    print(f"{'skorch/ours':>13}")
    for shape in SHAPES:
        n_sequences, n_timesteps, n_features, _, batch_size, cell = shape
        rng = np.random.default_rng(0)
        X = rng.normal(size=(n_sequences, n_timesteps, n_features)).astype(np.float32)
        y = X.mean(axis=(1, 2))
        rivals = [make(X, y, shape) for make in (our_epoch, bare_epoch, skorch_epoch)]
        times = [[], [], []]
        for epoch in range(n_epochs + 1):
            for kept, rival in zip(times, rivals, strict=True):
                begin = time.perf_counter()
                rival()
                if epoch:  # the first of each warms up
                    kept.append(time.perf_counter() - begin)
        ours, bare, defaults = (
            statistics.median(t) * 1e3 * batch_size / n_sequences for t in times
        )
        print(
            f"{shape[:5]!s:42}{cell:>5}{ours:9.2f}{bare:9.2f}{defaults:10.2f}", end=""
        )
        print(f"{bare / ours:11.2f}{defaults / ours:13.2f}", flush=True)


if __name__ == "__main__":
    main()
