"""Dropout of a fit depends on its seed alone, not on how it is computed."""

import numpy as np
import pytest

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
)
from sklearn_rnn.kernels import CounterGenerator

X = np.random.default_rng(0).normal(size=(24, 6, 2))
Y = X[:, :, 0].sum(axis=1)
TEXTS = ["abc", "bcab", "ca", "abba"] * 6
TOKENS = np.random.default_rng(0).integers(0, 7, size=(24, 6, 1))
SMALL = {
    "hidden_size": 8,
    "max_epochs": 3,
    "batch_size": 10,
    "random_state": 0,
    "dtype": "float64",
}
MODELS = {
    "regressor": (RNNRegressor(dropout=0.5, n_layers=2), (X, Y)),
    "inputs": (RNNRegressor(input_dropout=0.5), (X, Y)),
    "recurrent weights": (RNNRegressor(weight_drop=0.5), (X, Y)),
    "tokens": (
        RNNClassifier(embedding_dim=4, token_dropout=0.5, input_dropout=0.2),
        (TOKENS, Y > 0),
    ),
    "tagger": (RNNTagger(dropout=0.5), (X, X[:, :, 0] > 0)),
    "generator": (RNNGenerator(dropout=0.5), (TEXTS,)),
    "encoder-decoder": (RNNSeq2Seq(dropout=0.5, input_dropout=0.2), (TEXTS, TEXTS)),
    "transcriber": (RNNTranscriber(dropout=0.5), (X, ["ab"] * 24)),
}


@pytest.fixture(params=MODELS)
def task(request):
    return MODELS[request.param]


def fitted(task, **options):
    model, data = task
    return type(model)(**{**model.get_params(), **SMALL, **options}).fit(*data)


@pytest.mark.thorough
def test_both_kernels_draw_the_same_masks(task):
    curves = [
        fitted(task, kernel=kernel).loss_curve_ for kernel in ("compiled", "torch")
    ]
    np.testing.assert_allclose(*curves, rtol=1e-6)
    other = fitted(task, random_state=1).loss_curve_
    assert not np.allclose(curves[0], other, rtol=1e-6)


@pytest.mark.thorough
def test_threads_do_not_change_the_masks(task):
    curves = [fitted(task, n_threads=n).loss_curve_ for n in (1, 2)]
    np.testing.assert_allclose(*curves, rtol=1e-6)


@pytest.mark.thorough
def test_a_generator_counts_the_batches_of_a_training(task):
    model = fitted(task)
    generator = model.module_.dropout_generator
    assert isinstance(generator, CounterGenerator)
    assert generator.update == sum(
        record["train_batch_count"] for record in model.history_
    )


def test_pieces_of_a_batch_share_its_masks():
    task = RNNTagger(dropout=0.5), (X, X[:, :, 0] > 0)
    for bptt_steps in (2, 3):
        model = fitted(task, bptt_steps=bptt_steps)
        assert model.module_.dropout_generator.update == 9  # 3 batches, 3 epochs


@pytest.mark.thorough
@pytest.mark.parametrize("bptt_steps", [2, 4, 6, None])
def test_truncation_does_not_change_the_masks(bptt_steps):
    """Where nothing is learned, the loss of an epoch is that of its masks alone."""
    task = RNNTagger(dropout=0.5), (X, X[:, :, 0] > 0)
    idle = {"learning_rate": 1e-30, "lr_schedule": None}
    whole, pieces = (
        fitted(task, bptt_steps=size, **idle).loss_curve_ for size in (None, bptt_steps)
    )
    np.testing.assert_allclose(pieces, whole, rtol=1e-9)
    assert len(set(whole)) == 3  # new masks in each epoch


def test_each_training_has_a_seed_of_its_own():
    rng = np.random.RandomState(0)
    model = RNNRegressor(**{**SMALL, "random_state": rng}, dropout=0.5)
    seeds = []
    for _ in range(3):
        model.partial_fit(X, Y)
        generator = model.module_.dropout_generator
        seeds.append(generator.seed)
        assert generator.update == 3
    assert len(set(seeds)) == 3
