"""Outputs are bit for bit the same whatever they are computed with."""

import gc
import weakref

import numpy as np
import pytest
import torch
from torch_products import PRODUCTS_DEPEND_ON_ROWS

from sklearn_rnn import SequenceArray
from sklearn_rnn.kernels import CELLS
from sklearn_rnn.modules import POOLINGS, NetworkSpec, build_network
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import network_outputs


def make_network(cell="gru", dtype=torch.float32, **options):
    spec = NetworkSpec(cell, n_features=3, hidden_size=24, n_outputs=2, **options)
    return build_network(spec, dtype, torch.Generator().manual_seed(0))


def ragged(n_sequences=70, longest=30):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, longest + 1, size=n_sequences)
    return check_sequences([rng.normal(size=(n, 3)) for n in lengths])


def outputs(network, sequences):
    return network_outputs(network, sequences, torch.device("cpu"))


NETWORKS = [
    *({"cell": cell} for cell in CELLS),
    *({"pooling": pooling} for pooling in POOLINGS),
    *({"cell": cell, "bidirectional": True, "n_layers": 2} for cell in CELLS),
]


@pytest.mark.parametrize("options", NETWORKS)
def test_a_sequences_outputs_are_bit_identical_alone_and_in_company(options):
    network, X = make_network(**options), ragged()
    together = outputs(network, X)
    tolerance = {"rtol": 1e-4, "atol": 1e-6} if PRODUCTS_DEPEND_ON_ROWS else {}
    for rows in ([0], [13], [69], [5, 60, 3, 44]):
        torch.testing.assert_close(
            outputs(network, X[rows]),
            together[rows],
            **(tolerance or {"rtol": 0.0, "atol": 0.0}),
        )


@pytest.mark.parametrize("options", NETWORKS)
def test_outputs_do_not_depend_on_the_order(options):
    network, X = make_network(**options), ragged()
    order = np.random.default_rng(1).permutation(len(X))
    assert torch.equal(outputs(network, X[order]), outputs(network, X)[order])


@pytest.mark.parametrize("options", NETWORKS)
def test_outputs_do_not_depend_on_extra_padding(options):
    """A very long companion pads all others in its block."""
    network, X = make_network(**options), ragged(n_sequences=10)
    longer = check_sequences([*X, np.ones((400, 3))])
    assert torch.equal(outputs(network, longer)[:10], outputs(network, X))


def test_outputs_are_those_of_the_network():
    network, X = make_network(dtype=torch.float64), ragged()
    network.eval()
    expected = [network(torch.tensor(x)[None]) for x in X]
    torch.testing.assert_close(outputs(network, X), torch.cat(expected))


def test_windows_and_their_copies_have_the_same_outputs():
    series = np.random.default_rng(0).normal(size=(60, 3))
    windows = SequenceArray(series, starts=np.arange(50), lengths=np.full(50, 10))
    copies = check_sequences(list(windows))
    network = make_network()
    assert torch.equal(outputs(network, windows), outputs(network, copies))


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_left_as_it_was(training):
    network, X = make_network(dropout=0.5, input_dropout=0.5), ragged()
    network.train(training)
    assert torch.equal(outputs(network, X), outputs(network, X))
    assert network.training == training
    assert torch.equal(outputs(network, X), outputs(make_network(), X))


def test_outputs_carry_no_gradient_and_leave_the_grad_mode():
    assert not outputs(make_network(), ragged()).requires_grad
    assert torch.is_grad_enabled()


STEP_NETWORKS = [{"cell": cell, "pooling": None} for cell in CELLS]


@pytest.mark.parametrize(
    "options", [*STEP_NETWORKS, {"pooling": None, "bidirectional": True}]
)
def test_outputs_of_steps_are_bit_identical_alone_and_in_company(options):
    network, X = make_network(**options), ragged()
    together = outputs(network, X)
    assert together.shape == (X.lengths.sum(), 2)
    ends = np.cumsum(X.lengths)
    for i in (0, 13, 69):
        own = together[ends[i] - X.lengths[i] : ends[i]]
        assert torch.equal(outputs(network, X[[i]]), own)


def long_and_short():
    rng = np.random.default_rng(0)
    lengths = [2500, 3, 1024, 1025, 2048, 2049, 700]
    return check_sequences([rng.normal(size=(n, 3)) for n in lengths])


LONG_NETWORKS = [
    *STEP_NETWORKS,
    *({"pooling": pooling} for pooling in POOLINGS),
    {"pooling": "mean", "bidirectional": True},
]


@pytest.mark.thorough
@pytest.mark.parametrize("options", LONG_NETWORKS)
def test_long_sequences_read_in_pieces_have_the_outputs_of_the_whole(options):
    network, X = make_network(dtype=torch.float64, **options), long_and_short()
    found = outputs(network, X)
    whole = [
        network(torch.tensor(X[i]).unsqueeze(0))[0].detach() for i in range(len(X))
    ]
    expected = torch.cat(whole) if network.pooling is None else torch.stack(whole)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.thorough
@pytest.mark.parametrize("options", [{"pooling": None}, {"pooling": "attention"}])
def test_long_sequences_are_bit_identical_alone_and_in_company(options):
    network, X = make_network(**options), long_and_short()
    together = outputs(network, X)
    ends = np.cumsum(X.lengths)
    for i, length in enumerate(X.lengths):
        own = together[[i]]
        if network.pooling is None:
            own = together[ends[i] - length : ends[i]]
        assert torch.equal(outputs(network, X[[i]]), own)


def test_hooks_count_from_the_next_prediction_on_until_they_are_removed():
    network, X = make_network(), ragged(5)
    before = outputs(network, X)
    hook = network.head.register_forward_hook(lambda module, args, result: 2 * result)
    torch.testing.assert_close(outputs(network, X), 2 * before)
    hook.remove()
    assert torch.equal(outputs(network, X), before)


def test_weights_that_change_between_predictions_count():
    network, X = make_network(), ragged(5)
    before = outputs(network, X)
    with torch.no_grad():
        network.head.weight.mul_(2), network.head.bias.mul_(2)
    torch.testing.assert_close(outputs(network, X), 2 * before)
    network.head.weight.data = network.head.weight.data / 2
    network.head.bias = torch.nn.Parameter(network.head.bias.data / 2)
    torch.testing.assert_close(outputs(network, X), before)


def test_a_network_that_has_predicted_is_freed():
    network = make_network()
    outputs(network, ragged(5))
    last = weakref.ref(network)
    del network
    gc.collect()
    assert last() is None
