import dataclasses

import pytest
import torch

from sklearn_rnn.kernels import CELLS
from sklearn_rnn.modules import (
    POOLINGS,
    NetworkSpec,
    SequenceNetwork,
    build_network,
    join_steps,
    n_joined,
    valid_steps,
    weight_shapes,
)

LENGTHS = torch.tensor([3, 1, 5])


def make_spec(cell="gru", **changes):
    spec = NetworkSpec(cell, n_features=2, hidden_size=3, n_outputs=2)
    return dataclasses.replace(spec, **changes)


def make_network(cell="gru", dtype=torch.double, seed=0, **changes):
    spec = make_spec(cell, **changes)
    return build_network(spec, dtype, torch.Generator().manual_seed(seed))


def make_batch(n_timesteps=5, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, n_timesteps, 2, generator=generator, dtype=torch.double)


def test_a_spec_says_which_network_is_built():
    class OwnNetwork(SequenceNetwork):
        pass

    class OwnSpec(NetworkSpec):
        network_class = OwnNetwork

    spec = OwnSpec("gru", n_features=2, hidden_size=3, n_outputs=2)
    generator = torch.Generator().manual_seed(0)
    network = build_network(spec, torch.double, generator)
    assert type(network) is OwnNetwork
    assert torch.equal(network(make_batch()), make_network()(make_batch()))
    assert weight_shapes(spec) == weight_shapes(make_spec())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_of_a_network_on_unequal_lengths(pooling, bidirectional):
    network = make_network(
        pooling=pooling, bidirectional=bidirectional, n_layers=2, residual=True
    )
    x = make_batch().requires_grad_()
    parameters = dict(network.named_parameters())

    def outputs(x, *values):
        values = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(network, values, (x, LENGTHS))

    values = [p.detach().clone().requires_grad_() for p in parameters.values()]
    assert torch.autograd.gradcheck(outputs, (x, *values), fast_mode=True)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_every_cell(cell):
    network = make_network(cell, bidirectional=True)
    x = make_batch().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: network(x, LENGTHS), x)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_and_gradients_ignore_padding(cell, pooling, bidirectional):
    network = make_network(cell, pooling=pooling, bidirectional=bidirectional)
    x = make_batch()
    valid = valid_steps(5, LENGTHS).transpose(0, 1)

    def outputs_and_gradient(x):
        network.zero_grad()
        outputs = network(x, LENGTHS)
        outputs.square().sum().backward()
        return outputs, [p.grad for p in network.parameters()]

    outputs, gradient = outputs_and_gradient(x)
    padded, padded_gradient = outputs_and_gradient(torch.where(valid, x, 1e3))
    # Not bit for bit: some processors take another path for a whole vector of
    # numbers when one of them is large.
    torch.testing.assert_close(outputs, padded, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(gradient, padded_gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_batch_of_unequal_lengths_is_its_sequences_one_by_one(pooling):
    network = make_network(pooling=pooling, bidirectional=True, n_layers=2)
    x = make_batch()
    alone = [network(x[i : i + 1, :n]) for i, n in enumerate(LENGTHS)]
    torch.testing.assert_close(
        network(x, LENGTHS), torch.cat(alone), rtol=1e-13, atol=1e-15
    )


def test_hidden_states_come_time_first_from_the_core():
    network, x = make_network(), make_batch()
    states = network.run(x)[0]
    assert torch.equal(states, network.core(x.transpose(0, 1)))
    assert states.shape == (5, 3, 3)


def test_inputs_enter_centred_and_scaled():
    network, x = make_network(), make_batch()
    expected = network((x - torch.tensor([1.0, -2.0])) * torch.tensor([0.5, 4.0]))
    network.set_input_scaling([1.0, -2.0], [0.5, 4.0])
    torch.testing.assert_close(network(x), expected, rtol=1e-14, atol=1e-15)


def test_centring_in_double_keeps_small_variation_on_a_large_offset():
    network = make_network(dtype=torch.float32)
    x = make_batch()
    plain = network(x)
    network.set_input_scaling([1e9, 1e9], [1.0, 1.0])
    # In float32, 1e9 + x would be a multiple of 64.
    torch.testing.assert_close(network(x + 1e9), plain, rtol=0, atol=1e-5)


def test_scaling_is_part_of_the_state_dict():
    network, twin, x = make_network(), make_network(seed=1), make_batch()
    network.set_input_scaling([3.0, 1.0], [2.0, 0.1])
    twin.load_state_dict(network.state_dict())
    assert torch.equal(network(x), twin(x))


def test_tokens_are_embedded():
    network = make_network(n_features=1, n_tokens=4, embedding_dim=2)
    tokens = torch.tensor([[0, 3, 1], [2, 2, 0]])
    expected = network.core(network.embedding(tokens).transpose(0, 1))
    assert torch.equal(network.run(tokens[:, :, None])[0], expected)
    as_floats = tokens[:, :, None].double()
    assert torch.equal(network(as_floats), network(tokens[:, :, None]))


def test_all_unknown_tokens_share_the_last_embedding():
    network = make_network(n_features=1, n_tokens=4, embedding_dim=2)
    known, first, second = (
        network(torch.tensor([[[0], [token]]])) for token in (3, 4, 1000)
    )
    assert torch.equal(first, second)
    assert not torch.allclose(first, known)
    assert network.embedding.num_embeddings == 5


def test_dropout_acts_before_the_head_and_on_the_inputs_in_training_only():
    plain, x = make_network(), make_batch()
    for option in ("dropout", "input_dropout"):
        network = make_network(**{option: 0.5})
        network.seed_dropout(torch.Generator().manual_seed(0))
        assert not torch.allclose(network(x), network(x))
        assert torch.equal(network.eval()(x), plain(x))


def test_seed_dropout_reaches_every_dropout():
    x = make_batch()

    def outputs(seed):
        network = make_network(n_layers=2, dropout=0.5, input_dropout=0.3)
        network.seed_dropout(torch.Generator().manual_seed(seed))
        return network(x)

    before = torch.get_rng_state()
    assert torch.equal(outputs(0), outputs(0))
    assert not torch.equal(outputs(0), outputs(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_building_touches_no_global_random_state():
    before = torch.get_rng_state()
    for spec in (
        make_spec(pooling="attention", n_layers=2, bidirectional=True),
        make_spec(n_features=1, n_tokens=7, embedding_dim=3),
    ):
        build_network(spec, torch.float32, torch.Generator().manual_seed(0))
        build_network(spec, torch.float32)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_weights_have_the_asked_dtype_and_scaling_is_double(dtype, default):
    torch.set_default_dtype(default)
    try:
        network = make_network(dtype=dtype, pooling="attention")
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in network.parameters()} == {dtype}
    assert {b.dtype for b in network.buffers()} == {torch.float64}
    assert network(make_batch()).dtype == dtype
    usual = make_network(dtype=dtype, pooling="attention")
    assert torch.equal(network(make_batch()), usual(make_batch()))


def test_a_built_network_holds_no_leftover_memory():
    """Every parameter and buffer is set: two builds from one seed are equal."""
    first, second = make_network(pooling="attention"), make_network(pooling="attention")
    for name, value in first.state_dict().items():
        assert torch.isfinite(value).all(), name
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_network_built_for_loading_runs_once_loaded():
    network, x = make_network(), make_batch()
    empty = build_network(network.spec, torch.double)
    empty.load_state_dict(network.state_dict())
    assert torch.equal(empty(x), network(x))


def test_a_network_is_a_plain_torch_module():
    torch.manual_seed(0)
    network = SequenceNetwork(make_spec()).double()
    assert network(make_batch()).shape == (3, 2)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_steps_are_joined_in_their_order(size):
    x = torch.arange(10.0).reshape(5, 1, 2)
    joined = join_steps(x, size)
    assert joined.shape == (n_joined(5, size), 1, 2 * size)
    assert torch.equal(joined[:, 0].ravel()[:10], x.ravel())
    # What is missing at the end repeats the last step.
    repeats = joined[:, 0].ravel()[10:].reshape(-1, 2)
    assert (repeats == x[-1]).all()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_joined_steps_do_not_see_padding(bidirectional):
    network = make_network(
        pooling=None, subsampling=2, bidirectional=bidirectional
    ).eval()
    x = make_batch()
    for i, length in enumerate(LENGTHS):
        x[i, length:] = x[i, length - 1]  # as batches are gathered
    together = network(x, LENGTHS)
    assert together.shape[1] == 3
    for i, length in enumerate(LENGTHS):
        alone = network(x[i : i + 1, :length])
        torch.testing.assert_close(together[i, : n_joined(length, 2)], alone[0])
