"""A search and a backtest whose workers can be killed, for the tests of clusters."""

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import make_pipeline

from sklearn_rnn import RNNRegressor, SequenceArray, SequenceWindower

SMALL = {"hidden_size": 4, "max_epochs": 1, "random_state": 0, "n_threads": 1}
X = np.random.RandomState(0).normal(size=(60, 6, 2))
Y = X[:, :, 0].sum(axis=1)
GRID = {"hidden_size": [2, 4], "cell": ["gru", "lstm"]}
TIMES = pd.date_range("2024-01-01", periods=120, freq="h")
TABLE = pd.DataFrame(
    np.random.RandomState(0).normal(size=(120, 2)), TIMES, ["temp", "wind"]
)


def forecaster():
    return make_pipeline(SequenceWindower(4), RNNRegressor(**SMALL))


class Fatal(RegressorMixin, BaseEstimator):
    """Kills the process of its first fit, as a machine that fails would.

    Parameters
    ----------
    marker : str
        A file that does not exist yet.
    alpha : float
        Without effect; there to be searched.
    """

    def __init__(self, marker, alpha=1.0):
        self.marker, self.alpha = marker, alpha

    def fit(self, X, y):
        try:
            Path(self.marker).touch(exist_ok=False)
        except FileExistsError:
            self.model_ = RNNRegressor(**SMALL, learning_rate=self.alpha).fit(X, y)
            return self
        os.kill(os.getpid(), signal.SIGKILL)

    def predict(self, X):
        return self.model_.predict(X)


class Counted(SequenceArray):
    """Sequences that count how often this process has sent them to another."""

    n_sent = 0

    def __getstate__(self):
        Counted.n_sent += 1
        return super().__getstate__()


def sequences():
    """Return `X` as a container that is counted."""
    return Counted(X.reshape(-1, 2), 6 * np.arange(60), np.full(60, 6))
