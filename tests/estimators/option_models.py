"""Models and data for tests of options."""

import numpy as np
import torch
from skorch.callbacks import Callback

from sklearn_rnn import RNNRegressor


def make_data(n_sequences=40, n_features=2, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_sequences, 6, n_features))
    return X, X[:, -2:, 0].sum(axis=1)


def make_regressor(**options):
    """A regressor whose network alone predicts, and reads X as it is."""
    small = {
        "linear_skip": False,
        "target_feature": None,
        "hidden_size": 4,
        "max_epochs": 3,
        "input_dropout": 0.0,
        "batch_size": 16,
        "random_state": 0,
    }
    return RNNRegressor(**{**small, **options})


def predictions(**options):
    X, y = make_data()
    return make_regressor(**options).fit(X, y).predict(X)


def watcher(hook, look):
    """A callback that keeps what `look(net, **kwargs)` sees at a hook."""
    seen = []

    def keep(self, net, *args, **kwargs):
        seen.append(look(net, **kwargs))

    return type("Watcher", (Callback,), {hook: keep})(), seen


def weights_of(model):
    return torch.cat([p.detach().ravel() for p in model.module_.parameters()])
