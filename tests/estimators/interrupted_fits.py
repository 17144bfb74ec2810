"""Fits that are interrupted and made again, for the tests of checkpoints."""

import numpy as np
import torch
from skorch.callbacks import Callback

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
)
from sklearn_rnn._fingerprint import fingerprint
from sklearn_rnn.estimators._state import to_numpy


class Interruption(Exception):
    """What ends a fit in the middle."""


class Interrupt(Callback):
    """Raise at the end of an epoch of the class's `epoch`, counted over networks."""

    epoch = None
    n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        Interrupt.n_epochs += 1
        if len(net.history) == Interrupt.epoch:
            raise Interruption


def make_data(n_sequences=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_sequences, 6, 2))
    rows = [x[: 4 + i % 3] for i, x in enumerate(X)]
    texts = ["".join(rng.choice(list("abcd "), 12)) for _ in range(n_sequences)]
    labels = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    signs = [np.where(row[:, 0] > 0, "p", "n") for row in rows]
    words = ["ab"[i % 2] + "c" for i in range(n_sequences)]
    clips = [np.repeat(row, 2, axis=0) for row in rows]
    return {
        "regressor": (X, X[:, -1, 0]),
        "classifier": (rows, labels),
        "tagger": (rows, signs),
        "generator": (texts,),
        "seq2seq": (texts, [text[::-1] for text in texts]),
        "transcriber": (clips, words),
    }


ESTIMATORS = {
    "regressor": RNNRegressor,
    "classifier": RNNClassifier,
    "tagger": RNNTagger,
    "generator": RNNGenerator,
    "seq2seq": RNNSeq2Seq,
    "transcriber": RNNTranscriber,
}
OPTIONS = {"max_epochs": 5, "hidden_size": 8, "random_state": 0, "dropout": 0.2}


def make(name, folder=None, **options):
    """Return an estimator that writes its checkpoint after every epoch."""
    options = {**OPTIONS, "checkpoint": folder, "checkpoint_seconds": 0, **options}
    return ESTIMATORS[name](**options)


def fit_interrupted(model, data, epoch, again=None):
    """Fit until the end of an epoch, and then once more; return epochs of the second.

    The model has the callback `Interrupt`; `again` is what is fitted then.
    """
    again = model if again is None else again
    Interrupt.epoch = epoch
    try:
        model.fit(*data)
    except Interruption:
        pass
    else:
        raise AssertionError(f"epoch {epoch} was never reached")
    finally:
        Interrupt.epoch = None
    Interrupt.n_epochs = 0
    again.set_params(checkpoint_seconds=1e6).fit(*data)
    return Interrupt.n_epochs


def without_times(history):
    return [{k: v for k, v in row.items() if k != "dur"} for row in history]


def state_of(model):
    """Return what a fit has set, with hashes of what is not in the history."""
    task = {k: v for k, v in vars(model._task).items() if k != "params"}
    # Settings may be compared by their own parameters, such as folders.
    return {
        "history": without_times(model.history_),
        "weights": fingerprint(to_numpy(dict(model.module_.state_dict()))),
        "optimizer": fingerprint(to_numpy(model.net_.optimizer_.state_dict())),
        "task": {name: fingerprint(value) for name, value in task.items()},
        "best": (model.best_epoch_, model.n_iter_, model.best_validation_score_),
        "net": without_times(model.net_.history),
        "random": fingerprint(model._random_state),
    }


def assert_same(one, other):
    found, expected = state_of(one), state_of(other)
    for name, value in expected.items():
        assert found[name] == value, name
    for a, b in zip(one.module_.parameters(), other.module_.parameters(), strict=True):
        assert torch.equal(a, b)
