"""Mixed precision: what is computed in bfloat16, and what is not."""

import pickle

import numpy as np
import pytest
import torch

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
)
from sklearn_rnn.modules import NetworkSpec, build_network

SMALL = {"hidden_size": 16, "max_epochs": 6, "batch_size": 16, "random_state": 0}


def make_data(n_sequences=64, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_sequences, 6, 2))
    return X, X[:, -2:, 0].sum(axis=1)


def make_network(**options):
    spec = NetworkSpec("gru", n_features=2, hidden_size=8, n_outputs=3, **options)
    return build_network(spec, torch.float32, torch.Generator().manual_seed(0))


def make_mixed(**options):
    network = make_network(**options)
    network.mixed = True
    return network


def fitted(kind, dtype, **options):
    """One small model of each estimator, on data that it can learn."""
    X, y = make_data()
    ragged = [x[: 3 + i % 4] for i, x in enumerate(X)]
    options = {**SMALL, "dtype": dtype, **options}
    if kind is RNNClassifier:
        return kind(**options).fit(X, y > 0)
    if kind is RNNRegressor:
        return kind(**options).fit(X, y)
    if kind is RNNTagger:
        return kind(**options).fit(ragged, [x[:, 0] > 0 for x in ragged])
    if kind is RNNGenerator:
        return kind(**options).fit(["abcab" * 4] * 20)
    texts = ["ab", "ba", "aab", "b"] * 16
    if kind is RNNSeq2Seq:
        return kind(**options).fit(texts, [text[::-1] for text in texts])
    return kind(**options).fit(list(X), ["a" if value > 0 else "b" for value in y])


KINDS = [
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_mixed_training_differs_from_float32_is_close_and_learns(kind):
    mixed, single = (fitted(kind, dtype) for dtype in ("mixed", "float32"))
    assert {p.dtype for p in mixed.module_.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in mixed.module_.parameters()} == {torch.float32}
    assert mixed.kernel_ == "torch"
    assert mixed.loss_curve_ != single.loss_curve_
    np.testing.assert_allclose(mixed.loss_curve_, single.loss_curve_, rtol=0.05)
    assert mixed.loss_curve_[-1] < 0.95 * mixed.loss_curve_[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixed_model_comes_back_from_its_pickle(kind):
    model = fitted(kind, "mixed", max_epochs=1)
    model.set_params(kernel="compiled")  # which a new fit would refuse
    again = pickle.loads(pickle.dumps(model))
    assert again.kernel_ == "torch"
    assert again.module_.mixed
    for mine, theirs in zip(
        model.module_.parameters(), again.module_.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)


@pytest.mark.thorough
@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "lstm", "gru"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_layers": 2, "bidirectional": True, "dropout": 0.2, "weight_drop": 0.2},
        {"n_layers": 2, "residual": True, "layer_norm": True, "pooling": "attention"},
        {"pooling": "mean", "bptt_steps": 2},
        {"pooling": "max"},
    ],
)
def test_every_network_trains_in_mixed_precision(cell, options):
    X, y = make_data(32)
    ragged = [x[: 3 + i % 4] for i, x in enumerate(X)]
    single, mixed = (
        RNNRegressor(cell, **{**SMALL, "max_epochs": 2, **options}, dtype=dtype)
        for dtype in ("float32", "mixed")
    )
    single.set_params(kernel="torch").fit(ragged, y)
    mixed.fit(ragged, y)
    assert mixed.loss_curve_ != single.loss_curve_
    np.testing.assert_allclose(mixed.loss_curve_, single.loss_curve_, rtol=0.1)


@pytest.mark.thorough
@pytest.mark.parametrize("attention", ["additive", "location", "multiplicative", None])
def test_every_attention_trains_in_mixed_precision(attention):
    options = {"attention_type": attention, "scheduled_sampling": 0.5}
    mixed, single = (
        fitted(RNNSeq2Seq, dtype, **options) for dtype in ("mixed", "float32")
    )
    assert mixed.loss_curve_ != single.loss_curve_
    np.testing.assert_allclose(mixed.loss_curve_, single.loss_curve_, rtol=0.1)


@pytest.mark.parametrize("options", [{}, {"pooling": None}])
def test_outputs_are_float32_and_only_training_is_in_bfloat16(options):
    x = torch.randn(4, 5, 2, generator=torch.Generator().manual_seed(1))
    single, mixed = make_network(**options), make_mixed(**options)
    in_training = mixed(x)
    assert in_training.dtype == torch.float32
    assert not torch.equal(in_training, single(x))
    torch.testing.assert_close(in_training, single(x), rtol=0.05, atol=0.02)
    assert torch.equal(mixed.eval()(x), single.eval()(x))


def test_the_recurrence_and_the_head_are_computed_in_bfloat16():
    """Their results have eight bits, which float32 would not give."""
    mixed = make_mixed(pooling=None)
    x = torch.randn(4, 5, 2, generator=torch.Generator().manual_seed(1))
    states, (last,) = mixed.run(x)
    for values in (states, *last, mixed.read(states)):
        assert torch.equal(values, values.bfloat16().float())


def test_compiled_loops_are_refused_in_mixed_precision():
    X, y = make_data()
    with pytest.raises(ValueError, match='kernel="compiled" computes in one precision'):
        RNNRegressor(**SMALL, dtype="mixed", kernel="compiled").fit(X, y)


@pytest.mark.thorough
def test_training_goes_on_in_the_same_precision_only():
    X, y = make_data()
    model = RNNRegressor(
        **SMALL, dtype="mixed", warm_start=True, linear_skip=False
    ).fit(X, y)
    before = model.loss_curve_[-1]
    model.fit(X, y).partial_fit(X, y)
    assert model.loss_curve_[-1] < before
    with pytest.raises(ValueError, match="another dtype"):
        model.set_params(dtype="float32").fit(X, y)
    assert model.set_params(dtype="auto").fit(X, y).module_.mixed
