"""Fits that the tests of data_parallel make by one process and by several.

    python parallel_work.py RANK SIZE FOLDER [NAME ...]

is one of SIZE processes that train together, and writes what each fit gave, or its
error, into FOLDER.
"""

import pickle
import sys
import warnings
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback, Checkpoint, LRScheduler, TrainEndCheckpoint
from torch import distributed

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    StopTraining,
    data_parallel,
)

RNG = np.random.RandomState(0)
X = RNG.normal(size=(45, 7, 2))
Y = X[:, :, 0].sum(axis=1) + 0.1 * RNG.normal(size=45)
CLASSES = np.where(Y > 0, "up", "down")
WEIGHTS = RNG.uniform(0.2, 2.0, size=45)
RAGGED = [RNG.normal(size=(n, 2)) for n in RNG.randint(1, 12, size=45)]
LABELS = [np.where(x[:, 0] > 0, "a", "b") for x in RAGGED]
TARGETS = Y[:, None] * [1.0, -2.0]
TARGETS[::3, 1] = TARGETS[1::4, 0] = np.nan
WORDS = ["".join(RNG.choice(list("abcd"), n)) for n in RNG.randint(2, 9, size=45)]
IDS = [RNG.randint(0, 30, size=len(word)) for word in WORDS]
TOKENS = {"bag_of_words": False, "embedding_dim": 4}
TEXT = "".join(RNG.choice(list("ab cd"), 600))
# In float64 the order of sums changes the last digits alone.
SMALL = {"hidden_size": 5, "max_epochs": 3, "batch_size": 10, "dtype": "float64"}
SMALL |= {"random_state": 0, "learning_rate": 0.01, "n_threads": 1}
DROPOUT = {"dropout": 0.3, "weight_drop": 0.2, "n_layers": 2}
NETWORK_ALONE = SMALL | {"linear_skip": False, "early_stopping": False}


def regressor(**params):
    return RNNRegressor(**NETWORK_ALONE | params)


def classifier(**params):
    return RNNClassifier(**SMALL | {"convolutions": None} | params)


def tagger(**params):
    return RNNTagger(**SMALL | params)


class StopsAlone(Callback):
    """Ends training after an epoch, in the second process alone."""

    def on_epoch_end(self, net, **kwargs):
        if rank() == 1:
            raise StopTraining


class Fails(Callback):
    """Raises an error after an epoch, in the second process alone."""

    def on_epoch_end(self, net, **kwargs):
        if rank() == 1:
            raise ZeroDivisionError


class ChangesWeights(Callback):
    """Adds to the weights, in the second process alone."""

    def on_epoch_begin(self, net, **kwargs):
        if rank() == 1:
            with torch.no_grad():
                net.module_.head.bias.add_(1.0)


def rank():
    return distributed.get_rank() if distributed.is_initialized() else 0


def partial_fits():
    model = classifier()
    for k in range(3):
        rows = slice(15 * k, 15 * k + 15)
        model.partial_fit(X[rows], CLASSES[rows], classes=["down", "up"])
    return model


def warm_start():
    model = regressor(warm_start=True).fit(X, Y)
    return model.fit(X[:30], Y[:30])


EQUAL = {
    "regressor": lambda: regressor().fit(X, Y),
    "regressor, torch": lambda: regressor(kernel="torch").fit(X, Y),
    "regressor, defaults": lambda: RNNRegressor(**SMALL).fit(X, Y),
    "regressor, weights": lambda: regressor().fit(X, Y, sample_weight=WEIGHTS),
    "regressor, clipped": lambda: regressor(clip_norm=0.05, clip_value=0.01).fit(X, Y),
    "regressor, sgd": lambda: regressor(optimizer="sgd").fit(X, Y),
    "regressor, LBFGS": lambda: regressor(optimizer=torch.optim.LBFGS).fit(X, Y),
    "regressor, missing": lambda: regressor(missing_targets="ignore").fit(X, TARGETS),
    "regressor, quantiles": lambda: regressor(
        loss="quantile", quantiles=[0.1, 0.5, 0.9]
    ).fit(X, Y),
    "regressor, short chunks": lambda: regressor(bptt_steps=3).fit(RAGGED, Y),
    "regressor, steps": lambda: regressor(return_sequences=True, bptt_steps=4).fit(
        RAGGED, [x[:, 1] for x in RAGGED]
    ),
    "regressor, one row": lambda: regressor(batch_size=1).fit(X[:5], Y[:5]),
    "regressor, last batch of one": lambda: regressor(batch_size=4).fit(X[:9], Y[:9]),
    "regressor, stopping": lambda: regressor(
        early_stopping=True, max_epochs=40, n_iter_no_change=2, learning_rate=0.1
    ).fit(X, Y),
    "classifier": lambda: classifier(class_weight="balanced").fit(X, CLASSES),
    "classifier, ragged": lambda: classifier(pooling="attention").fit(RAGGED, CLASSES),
    "classifier, X_val": lambda: classifier(early_stopping=True).fit(
        X[:30], CLASSES[:30], X_val=X[30:], y_val=CLASSES[30:]
    ),
    "classifier, tokens": lambda: classifier(**TOKENS).fit(IDS, CLASSES),
    "classifier, tokens, torch": lambda: classifier(**TOKENS, kernel="torch").fit(
        IDS, CLASSES
    ),
    "classifier, partial_fit": partial_fits,
    "tagger": lambda: tagger().fit(RAGGED, LABELS, sample_weight=WEIGHTS),
    "tagger, torch": lambda: tagger(kernel="torch", bptt_steps=4).fit(RAGGED, LABELS),
    "tagger, stopping": lambda: tagger(early_stopping=True, max_epochs=8).fit(
        RAGGED, LABELS
    ),
    "regressor, warm start": warm_start,
    "regressor, dropout": lambda: regressor(**DROPOUT).fit(X, Y),
    "regressor, dropout, torch": lambda: regressor(**DROPOUT, kernel="torch").fit(X, Y),
    "generator": lambda: RNNGenerator(
        **SMALL | {"bptt_steps": 20, "ngram_order": None}
    ).fit([TEXT]),
    "encoder-decoder": lambda: RNNSeq2Seq(**SMALL).fit(WORDS, WORDS),
    "transcriber": lambda: RNNTranscriber(**SMALL | {"upsampling": 3}).fit(
        WORDS, WORDS
    ),
}
# Fits that other processes end or refuse.
OTHERS = {
    "one process stops": lambda: regressor(callbacks=[StopsAlone()]).fit(X, Y),
    "one process fails": lambda: regressor(callbacks=[Fails()]).fit(X, Y),
    "other weights": lambda: regressor(callbacks=[ChangesWeights()]).fit(X, Y),
    "other data": lambda: regressor().fit(X + rank(), Y),
    "other parameter": lambda: regressor(hidden_size=5 + rank()).fit(X, Y),
    "no seed": lambda: regressor(random_state=None).fit(X, Y),
    "checkpoint": lambda: regressor(checkpoint="folder").fit(X, Y),
    "batches": lambda: regressor(
        lr_schedule=None,
        callbacks=[LRScheduler("StepLR", step_every="batch", step_size=2)],
    ).fit(X, Y),
    "writes files": lambda: regressor(
        callbacks=[Checkpoint(monitor=None, dirname="never")]
    ).fit(X, Y),
    "writes files at the end": lambda: regressor(
        callbacks=[TrainEndCheckpoint(dirname="never")]
    ).fit(X, Y),
    "diverges": lambda: regressor(learning_rate=1e300, clip_norm=None).fit(X, Y),
}


def state_of(model):
    """Return losses, weights and the last epoch of a fitted model."""
    weights = [p.detach().numpy() for p in model.module_.parameters()]
    losses = [
        [row[name] for row in model.history_]
        for name in ("train_loss", "gradient_norm", "valid_loss", "valid_score")
        if name in model.history_[0]
    ]
    return {"losses": losses, "weights": weights, "n_iter": model.n_iter_}


def found_by(fit, context=None):
    """Return what a fit gives, or its error as text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with context or nullcontext():
                model = fit()
            return state_of(model)
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def main(rank, size, folder, *names):
    rank, size, folder = int(rank), int(size), Path(folder)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'store'}",
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=120),
    )
    fits = EQUAL | OTHERS
    found = {name: found_by(fits[name], data_parallel()) for name in names or fits}
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
