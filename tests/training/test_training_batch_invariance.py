"""Predictions do not depend on the other sequences of a call, bitwise."""

import numpy as np
import pytest
import torch
from torch_products import PRODUCTS_DEPEND_ON_ROWS

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
)
from sklearn_rnn.modules import NetworkSpec, build_network
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import computing, network_outputs, step_outputs

KERNELS = ("compiled", "torch")
POOLINGS = ("last", "mean", "max", "attention", None)
# Stacks that torch's path computes, whatever the kernel of the recurrence.
STACKS = {
    "one layer": {},
    "both ways": {"bidirectional": True},
    "residual": {"n_layers": 2, "residual": True},
    "residual, both ways": {"n_layers": 3, "residual": True, "bidirectional": True},
    "normalised": {"n_layers": 2, "layer_norm": True},
}
# Features and units, which are no whole multiples of what processors take at once.
ODD_SIZES = [(5, 13), (7, 18), (17, 9)]


def companies(sequences):
    """Yield rows of some sequences, alone and with others, in several orders."""
    n = len(sequences)
    shortest = int(np.argmin([len(x) for x in sequences]))
    yield from ([0], [n - 1], [shortest], [1, 2], [2, 1, 2], list(range(n))[::-1])
    yield list(range(n // 2))
    yield sorted(range(n), key=lambda i: len(sequences[i]))[: n // 3]


def make_sequences(n_features, n=70, longest=40, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, n)
    return [rng.normal(size=(length, n_features)) for length in lengths]


def assert_invariant_to_other_sequences(predict, sequences, kernel="compiled"):
    expected = predict(sequences)
    is_bitwise = kernel == "compiled" or not PRODUCTS_DEPEND_ON_ROWS
    for rows in companies(sequences):
        found = predict([sequences[i] for i in rows])
        for i, one in zip(rows, found, strict=True):
            one, other = np.asarray(one), np.asarray(expected[i])
            if is_bitwise:
                np.testing.assert_array_equal(one, other)
            else:
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_networks_outputs_are_invariant_to_other_sequences(
    dtype, kernel, pooling, stack
):
    for seed, (n_features, hidden_size) in enumerate([(3, 16), *ODD_SIZES]):
        spec = NetworkSpec(
            **{"cell": ["gru", "lstm", "rnn"][seed % 3], "n_features": n_features},
            **{"hidden_size": hidden_size, "n_outputs": 3, "pooling": pooling, **stack},
        )
        network = build_network(spec, dtype, torch.Generator().manual_seed(seed)).eval()
        network.use_kernel(kernel)

        def predict(sequences, network=network):
            read = check_sequences(sequences)
            with computing(1):
                outputs = network_outputs(network, read, "cpu")
            if network.pooling is not None:
                return outputs
            return outputs.split(read.lengths.tolist())

        X = make_sequences(n_features)
        assert_invariant_to_other_sequences(predict, X, kernel)


@pytest.mark.thorough
@pytest.mark.parametrize("n_units", [16, 18, 64])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("is_ragged", [False, True])
def test_outputs_are_the_same_in_calls_of_every_size(
    dtype, pooling, cell, n_units, is_ragged
):
    spec = NetworkSpec(cell, 4, n_units, n_outputs=1, pooling=pooling)
    network = build_network(spec, dtype, torch.Generator().manual_seed(0)).eval()
    n = 600  # more than a block
    lengths = np.random.default_rng(0).integers(1, 13, n) if is_ragged else [12] * n
    steps = np.random.default_rng(1).normal(size=(n, 12, 4))
    sequences = [x[:length] for x, length in zip(steps, lengths, strict=True)]

    def outputs(sequences):
        with computing(1):
            return network_outputs(network, check_sequences(sequences), "cpu")

    expected = outputs(sequences)
    for size in (1, 2, 3, 4, 5, 8, 11, 33, 64, 65, 130, 258, 516):
        found = outputs(sequences[:size])
        torch.testing.assert_close(found, expected[: len(found)], rtol=0, atol=0)


@pytest.mark.thorough
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sizes", ODD_SIZES)
def test_states_are_invariant_to_other_sequences(kernel, sizes):
    spec = NetworkSpec("lstm", *sizes, n_outputs=1, n_layers=2, bidirectional=True)
    network = build_network(spec, torch.float32, torch.Generator().manual_seed(0))
    network.eval().use_kernel(kernel)

    def states(sequences):
        read = check_sequences(sequences)
        found = step_outputs(network, read, "cpu", lambda h: h.transpose(0, 1))
        return found.split(read.lengths.tolist())

    X = make_sequences(sizes[0], longest=100)
    assert_invariant_to_other_sequences(states, X, kernel)


@pytest.mark.thorough
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n_units", [13, 30])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_of_estimators_are_invariant_to_other_sequences(
    dtype, n_units, kernel
):
    X = make_sequences(5)
    options = {"hidden_size": n_units, "kernel": kernel, "dtype": dtype}
    options |= {"max_epochs": 1, "random_state": 0}
    means = [x.mean() for x in X]
    for pooling in ("mean", "attention"):
        model = RNNRegressor(pooling=pooling, **options).fit(X, means)
        assert_invariant_to_other_sequences(model.predict, X, kernel)
    model = RNNClassifier(bidirectional=True, **options).fit(X, np.greater(means, 0))
    assert_invariant_to_other_sequences(model.predict_proba, X, kernel)
    model = RNNTagger(n_layers=2, residual=True, **options)
    model.fit(X, [x[:, 0] > 0 for x in X])
    assert_invariant_to_other_sequences(model.predict_proba, X, kernel)
    assert_invariant_to_other_sequences(model.hidden_states, X, kernel)


def test_filled_up_units_and_features_change_nothing():
    for cell in ("gru", "lstm", "rnn", "rnn_relu"):
        spec = NetworkSpec(cell, 5, 7, 2, n_layers=2, bidirectional=True)
        network = build_network(spec, torch.float64, torch.Generator().manual_seed(0))
        x = torch.randn(3, 6, 5, dtype=torch.float64)
        with torch.inference_mode():
            found = network.eval()(x, torch.tensor([6, 2, 4]))
        expected = network(x, torch.tensor([6, 2, 4])).detach()
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


# What is written symbol by symbol, and what is read in blocks that are not filled up,
# is the same to rounding.
ROUNDING = {"float32": 1e-5, "float64": 1e-13}


def assert_close_whatever_other_sequences(predict, sequences, tolerance):
    expected = predict(sequences)
    for rows in companies(sequences):
        found = predict([sequences[i] for i in rows])
        for i, one in zip(rows, found, strict=True):
            np.testing.assert_allclose(one, expected[i], tolerance, tolerance)


@pytest.mark.thorough
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_decoders_and_generators_are_the_same_to_rounding(dtype, kernel):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abcd"), k)) for k in rng.integers(1, 9, 40)]
    X = [x for x in make_sequences(5, n=40) if len(x) > 4]
    options = {"hidden_size": 13, "kernel": kernel, "dtype": dtype}
    options |= {"max_epochs": 1, "random_state": 0}
    tolerance = ROUNDING[dtype]
    model = RNNTranscriber(**options).fit(X, ["ab"] * len(X))
    assert_close_whatever_other_sequences(model.posteriors, X, tolerance)
    model = RNNSeq2Seq(max_length=5, **options).fit(texts, texts)

    def scores(sequences):
        return [
            [score for _, score in best] for best in model.predict_n_best(sequences, 3)
        ]

    assert_close_whatever_other_sequences(scores, texts, tolerance)
    model = RNNGenerator(**options).fit(texts)
    assert_close_whatever_other_sequences(model.score_steps, texts, tolerance)
