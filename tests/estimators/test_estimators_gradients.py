"""How large gradients were, as the history of a fit tells it."""

import math
import re

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_rnn import RNNClassifier, RNNRegressor, RNNTagger

KEYS = ["gradient_norm", "largest_gradient_norm", "clipped_share"]


def make_data(n_sequences=30, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_sequences, 6, 2))
    return X, X[:, -1, 0]


def make_regressor(**options):
    small = {"hidden_size": 4, "max_epochs": 4, "batch_size": 10}
    return RNNRegressor(**{**small, "random_state": 0, **options})


class GradientWatch(Callback):
    """Keeps every update's gradient, before it is clipped, epoch by epoch."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_begin(self, net, **kwargs):
        self.epochs.append([])

    def on_grad_computed(self, net, named_parameters, **kwargs):
        flat = [p.grad.ravel() for _, p in named_parameters]
        self.epochs[-1].append(torch.cat(flat).clone())


STEPS = {"return_sequences": True}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options, n_updates",
    [
        ({}, 3),
        ({"clip_norm": None}, 3),
        ({"clip_norm": 0.05}, 3),
        ({"clip_norm": None, "clip_value": 0.02}, 3),
        ({"clip_norm": 0.05, "clip_value": 0.04}, 3),
        ({"bptt_steps": 2}, 3),
        ({"bptt_steps": 2, **STEPS}, 9),
        ({"dropout": 0.3, "weight_drop": 0.3, "pooling": "attention"}, 3),
    ],
    ids=str,
)
def test_history_tells_the_norms_that_a_callback_computes(options, n_updates):
    X, y = make_data()
    y = X[:, :, 0] if options.get("return_sequences") else y
    epochs = []
    options = {"dtype": "float64", **options}
    watched = make_regressor(callbacks=GradientWatch(epochs), **options).fit(X, y)
    assert [len(updates) for updates in epochs] == 4 * [n_updates]
    clip_norm = watched.clip_norm or math.inf
    clip_value = watched.clip_value or math.inf
    for row, gradients in zip(watched.history_, epochs, strict=True):
        norms = [float(gradient.norm()) for gradient in gradients]
        assert row["gradient_norm"] == pytest.approx(np.mean(norms))
        assert row["largest_gradient_norm"] == pytest.approx(max(norms))
        bitten = [
            bool(
                g.abs().max() > clip_value
                or g.clamp(-clip_value, clip_value).norm() > clip_norm
            )
            for g in gradients
        ]
        assert row["clipped_share"] == pytest.approx(np.mean(bitten))
    # Nobody has to be watching.
    alone = make_regressor(**options).fit(X, y)
    for row, other in zip(watched.history_, alone.history_, strict=True):
        assert [row[key] for key in KEYS] == [other[key] for key in KEYS]


@pytest.mark.parametrize(
    "bounds",
    [
        {"clip_norm": None},
        {"clip_norm": 1e6},
        {"clip_norm": None, "clip_value": 1e6},
        {"clip_norm": 1e6, "clip_value": 1e6},
    ],
    ids=str,
)
def test_bounds_that_do_not_bite_clip_nothing(bounds):
    X, y = make_data()
    history = make_regressor(**bounds).fit(X, y).history_
    assert [row["clipped_share"] for row in history] == 4 * [0.0]
    assert min(row["gradient_norm"] for row in history) > 0


@pytest.mark.parametrize(
    "bounds", [{"clip_norm": 1e-6}, {"clip_norm": None, "clip_value": 1e-7}], ids=str
)
def test_tiny_bounds_clip_every_update(bounds):
    X, y = make_data()
    model = make_regressor(**bounds).fit(X, y)
    assert [row["clipped_share"] for row in model.history_] == 4 * [1.0]
    # The norms are told as they were before.
    assert min(row["gradient_norm"] for row in model.history_) > 1e-2


def test_a_bound_between_the_gradients_clips_some():
    X, y = make_data()
    options = {"learning_rate": 1e-15, "input_dropout": 0.0, "shuffle": False}
    (row,) = make_regressor(max_epochs=1, clip_norm=None, **options).fit(X, y).history_
    between = (row["gradient_norm"] + row["largest_gradient_norm"]) / 2
    (row,) = (
        make_regressor(max_epochs=1, clip_norm=between, **options).fit(X, y).history_
    )
    assert row["clipped_share"] in (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_the_mean_is_not_above_the_largest():
    X, y = make_data()
    for row in make_regressor(batch_size=3).fit(X, y).history_:
        assert 0 < row["gradient_norm"] < row["largest_gradient_norm"]


def test_every_epoch_of_every_estimator_tells_its_gradients():
    X, y = make_data()
    options = {"hidden_size": 3, "max_epochs": 2, "random_state": 0}
    labels = X[:, :, 0] > 0
    models = [
        RNNRegressor(**options).fit(X, y),
        RNNClassifier(**options).fit(X, labels[:, 0]),
        RNNTagger(**options).fit(X, labels),
        RNNRegressor(**options, **STEPS).fit(X, X[:, :, 0]),
        RNNRegressor(**options, early_stopping=True).fit(X, y),
    ]
    for model in models:
        assert len(model.history_) == 2
        for row in model.history_:
            assert all(math.isfinite(row[key]) for key in KEYS)
            assert all(isinstance(row[key], float) for key in KEYS)


def test_passes_of_partial_fit_tell_their_gradients_too():
    X, y = make_data()
    model = make_regressor(clip_norm=None).partial_fit(X, y)
    model.set_params(clip_norm=1e-6).partial_fit(X, y)
    assert [row["clipped_share"] for row in model.history_] == [0.0, 1.0]


def test_batches_without_any_target_have_no_gradient_to_tell_of():
    X, _ = make_data()
    y = np.full(X.shape[:2], np.nan)
    y[:3] = X[:3, :, 0]
    epochs = []
    options = {"batch_size": 3, "shuffle": False, "max_epochs": 2, **STEPS}
    model = make_regressor(callbacks=GradientWatch(epochs), **options).fit(X, y)
    assert [len(updates) for updates in epochs] == [1, 1]
    for row, (gradient,) in zip(model.history_, epochs, strict=True):
        assert row["gradient_norm"] == pytest.approx(float(gradient.norm()), rel=1e-5)
        assert row["gradient_norm"] == row["largest_gradient_norm"]


def test_verbose_2_prints_them(capsys):
    X, y = make_data()
    model = make_regressor(verbose=2, clip_norm=0.3, max_epochs=3).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    told = [re.search(r"gradient (\S+), clipped (\S+)$", line) for line in lines]
    assert len(told) == 3
    for found, row in zip(told, model.history_, strict=True):
        assert float(found[1]) == pytest.approx(row["gradient_norm"], rel=1e-3)
        assert float(found[2]) == pytest.approx(row["clipped_share"], abs=1e-3)


def test_verbose_1_shows_them_beside_the_bar(capfd):
    X, y = make_data()
    make_regressor(verbose=1).fit(X, y)
    assert re.search(r"gradient=\S+, clipped=\S+", capfd.readouterr().err)
