"""Traced networks: sizes of the example batch are no constants of the network."""

import numpy as np
import pytest
import torch

from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.modules import (
    NetworkSpec,
    Seq2SeqSpec,
    build_network,
    join_steps,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated
DTYPE = torch.float64
EXAMPLE, OTHERS = (4, 5), [(4, 9), (2, 5), (7, 13), (3, 2), (2, 1)]
N_TOKENS = 9


def network(kernel="torch", **options):
    spec = NetworkSpec(
        **{"cell": "gru", "hidden_size": 6, "n_outputs": 2, "n_features": 3, **options}
    )
    built = build_network(spec, DTYPE, torch.Generator().manual_seed(0))
    built.use_kernel(kernel)
    return built.eval()


def batch(n_sequences, n_steps, network, with_lengths):
    generator = torch.Generator().manual_seed(n_sequences + n_steps)
    if network.spec.n_features == 1:
        shape = n_sequences, n_steps, 1
        x = torch.randint(N_TOKENS + 2, shape, generator=generator)
    else:
        shape = n_sequences, n_steps, network.spec.n_features
        x = torch.randn(shape, dtype=DTYPE, generator=generator)
        for feature, which in getattr(network.spec, "category_features", ()):
            n = network.spec.n_categories[which]
            codes = torch.randint(n + 1, shape[:2], generator=generator)
            x[:, :, feature] = codes.to(DTYPE)
    if not with_lengths:
        return (x,)
    lengths = torch.randint(1, n_steps + 1, (n_sequences,), generator=generator)
    return x, lengths


def assert_true_at_other_sizes(built, with_lengths):
    traced = torch.jit.trace(
        built, batch(*EXAMPLE, built, with_lengths), check_trace=False
    )
    for size in OTHERS:
        inputs = batch(*size, built, with_lengths)
        found, expected = traced(*inputs), built(*inputs)
        if built.pooling is None and with_lengths:  # meaningless at padding
            n_read = built.n_read(inputs[1])
            inside = torch.arange(expected.shape[1]) < n_read[:, None]
            found, expected = found[inside], expected[inside]
        torch.testing.assert_close(found, expected)


@pytest.mark.thorough
@pytest.mark.parametrize("with_gradients", [False, True])
@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", None])
@pytest.mark.parametrize("kernel", ["compiled", "torch"])
def test_a_traced_network_is_true_at_other_sizes(
    kernel, pooling, bidirectional, with_lengths, with_gradients
):
    built = network(kernel, pooling=pooling, bidirectional=bidirectional)
    with torch.set_grad_enabled(with_gradients):
        assert_true_at_other_sizes(built, with_lengths)


OPTIONS = {
    "lstm": {"cell": "lstm", "pooling": "mean"},
    "rnn": {"cell": "rnn", "pooling": "last"},
    "stack": {"n_layers": 2, "residual": True, "layer_norm": True, "pooling": "mean"},
    "dropout": {
        **{"dropout": 0.5, "input_dropout": 0.5, "weight_drop": 0.5},
        **{"n_layers": 2, "pooling": "attention"},
    },
    "subsampled": {"subsampling": 3, "pooling": None},
    "subsampled, both ways": {"subsampling": 2, "bidirectional": True},
    "tokens": {
        **{"n_features": 1, "n_tokens": N_TOKENS, "embedding_dim": 4},
        **{"token_dropout": 0.5, "unknown_token": 3, "pooling": "mean"},
    },
    "categories": {"n_categories": (4,), "category_features": ((1, 0),)},
    "tied": {
        **{"n_features": 1, "n_tokens": N_TOKENS, "embedding_dim": 4},
        **{"tie_embeddings": True, "pooling": None, "n_outputs": N_TOKENS},
    },
}


@pytest.mark.thorough
@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kernel", ["compiled", "torch"])
def test_a_traced_network_of_any_kind_is_true_at_other_sizes(
    kernel, options, with_lengths
):
    with torch.no_grad():
        assert_true_at_other_sizes(network(kernel, **options), with_lengths)


@pytest.mark.thorough
@pytest.mark.parametrize("attention", ["multiplicative", "additive", None])
@pytest.mark.parametrize("source", ["symbols", "sequences"])
@pytest.mark.parametrize("with_lengths", [False, True])
def test_a_traced_encoder_decoder_is_true_at_other_sizes(
    attention, source, with_lengths
):
    of_symbols = {"n_features": 1, "n_source_tokens": N_TOKENS}
    spec = Seq2SeqSpec(
        **{"cell": "gru", "hidden_size": 6, "n_outputs": 7, "embedding_dim": 4},
        **(of_symbols if source == "symbols" else {"n_features": 3}),
        **{"source": source, "attention": attention, "bidirectional": True},
    )
    built = build_network(spec, DTYPE, torch.Generator().manual_seed(0)).eval()

    def inputs(n_sequences, n_steps, n_written):
        x, *lengths = batch(n_sequences, n_steps, built, with_lengths)
        y = torch.arange(n_sequences * n_written).view(n_sequences, n_written) % 7
        return (x, *(lengths or (torch.full((n_sequences,), n_steps),)), y)

    with torch.no_grad():
        traced = torch.jit.trace(built, inputs(4, 5, 3), check_trace=False)
        for size in [(4, 9, 2), (2, 5, 6), (3, 2, 3)]:
            torch.testing.assert_close(traced(*inputs(*size)), built(*inputs(*size)))


def test_a_step_of_location_attention_is_true_at_other_sizes():
    spec = Seq2SeqSpec(
        "gru", 3, 6, 7, 4, source="sequences", attention="location", bidirectional=True
    )
    built = build_network(spec, DTYPE, torch.Generator().manual_seed(0)).eval()
    x, lengths = batch(4, 5, built, with_lengths=True)
    with torch.no_grad():
        example = x, lengths, torch.zeros(4, 1, dtype=torch.long)
        traced = torch.jit.trace(built, example, check_trace=False)
        x, lengths = batch(3, 9, built, with_lengths=True)
        others = x, lengths, torch.ones(3, 1, dtype=torch.long)
        torch.testing.assert_close(traced(*others), built(*others))


def test_steps_are_joined_in_any_number_when_traced():
    traced = torch.jit.trace(
        lambda x: join_steps(x, 3), torch.zeros(7, 2, 1), check_trace=False
    )
    for n_steps in (1, 3, 8, 9):
        x = torch.arange(2.0 * n_steps).view(n_steps, 2, 1)
        assert torch.equal(traced(x), join_steps(x, 3))


@pytest.mark.parametrize("model", [RNNRegressor, RNNClassifier])
def test_the_module_of_a_fitted_model_can_be_traced_with_its_usual_kernel(model):
    X = np.random.default_rng(0).normal(size=(8, 5, 2))
    fitted = model(pooling="mean", max_epochs=1, hidden_size=4).fit(X, [0, 1] * 4)
    x = torch.from_numpy(X)
    with torch.no_grad():
        traced = torch.jit.trace(fitted.module_, (x,), check_trace=False)
        for other in (x[:3], x[:, :2], x.repeat(1, 3, 1) + 1):
            torch.testing.assert_close(traced(other), fitted.module_(other))


@pytest.mark.slow
def test_an_exported_network_is_true_or_refuses_other_sizes():
    built = network(pooling="mean")
    sizes = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    with torch.no_grad():
        exported = torch.export.export(
            built, batch(*EXAMPLE, built, False), dynamic_shapes=(sizes,)
        ).module()
        for size in OTHERS:
            inputs = batch(*size, built, False)
            try:
                found = exported(*inputs)
            except (AssertionError, RuntimeError):  # torch unrolls its recurrences
                continue
            torch.testing.assert_close(found, built(*inputs))
