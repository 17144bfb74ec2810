"""What a GPU gains from data that lie on it, and from mixed precision.

    python tests/benchmarks/bench_device.py

Prints milliseconds a training batch on the GPU: steps gathered there and on the
host, in float32 and in mixed precision. The data are overlapping windows over one
series. Without a GPU it says so.
"""

import statistics
from unittest.mock import patch

import numpy as np
import torch

from sklearn_rnn import RNNRegressor, SequenceArray
from sklearn_rnn.training import StepStorage, _datasets

# Cell, units, steps of a window, windows a batch.
SIZES = [
    ("gru", 64, 24, 64),
    ("gru", 256, 168, 256),
    ("lstm", 256, 168, 256),
    ("lstm", 1024, 168, 256),
]
N_BATCHES, N_FEATURES = 20, 8
DEVICE = "cuda"
# Where steps are gathered: what is asked instead of the choice.
PLACES = {
    "GPU": _datasets.store_steps,
    "host": StepStorage,
}


def batch_milliseconds(size, place, dtype, n_epochs=6):
    cell, n_units, n_steps, batch_size = size
    n_windows = N_BATCHES * batch_size
    series = np.random.default_rng(0).normal(size=(n_windows + n_steps, N_FEATURES))
    X = SequenceArray(series, np.arange(n_windows), np.full(n_windows, n_steps))
    model = RNNRegressor(
        cell,
        n_units,
        batch_size=batch_size,
        max_epochs=n_epochs,
        dtype=dtype,
        device=DEVICE,
        random_state=0,
    )
    with patch.object(_datasets, "store_steps", PLACES[place]):
        model.fit(X, series[n_steps:, 0])
    # The first epoch puts the steps onto the device. Each ends by waiting for it.
    seconds = statistics.median(row["dur"] for row in model.history_[1:])
    return seconds / N_BATCHES * 1e3


def main():
    if not torch.cuda.is_available():
        print("There is no GPU here: nothing to compare.")
        return
    print(torch.cuda.get_device_name())
    print(f"{'cell':>5}{'units':>7}{'steps':>7}{'batch':>7}", end="")
    cases = [(place, dtype) for place in PLACES for dtype in ("float32", "mixed")]
    print("".join(f"{f'{place} {dtype}':>16}" for place, dtype in cases), " ms a batch")
    for size in SIZES:
        cell, n_units, n_steps, batch_size = size
        print(f"{cell:>5}{n_units:7}{n_steps:7}{batch_size:7}", end="")
        for place, dtype in cases:
            print(f"{batch_milliseconds(size, place, dtype):16.2f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
