"""The core against torch's own modules and a NumPy loop."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sklearn_rnn.kernels import CELLS, COMPILED_CELLS, reverse_steps
from sklearn_rnn.modules import RecurrentCore, initialize

LENGTHS = torch.tensor([5, 1, 7, 3])


def make_core(cell="gru", n_units=4, **options):
    core = RecurrentCore(cell, 2, n_units, **options).double()
    generator = torch.Generator().manual_seed(0)
    initialize(core, generator)
    for parameter in core.parameters():  # biases that are not zero
        parameter.data += 0.1 * torch.randn(
            parameter.shape, generator=generator, dtype=torch.double
        )
    return core


def make_batch(n_timesteps=7, n_sequences=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (n_timesteps, n_sequences, 2)
    return torch.randn(shape, generator=generator, dtype=torch.double)


def torch_twin(core):
    """torch's own class, with the core's state dict."""
    twin = CELLS[core.cell](
        core.rnn.input_size,
        core.rnn.hidden_size,
        core.n_layers,
        bidirectional=core.rnn.bidirectional,
    ).double()
    twin.load_state_dict(core.rnn.state_dict())
    return twin


def own_steps(states, lengths):
    """The states of every sequence's own steps, padding left out."""
    return [states[:length, i] for i, length in enumerate(lengths)]


@pytest.mark.parametrize("cell", COMPILED_CELLS)
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_core_is_torch_with_the_same_state_dict(cell, n_layers, bidirectional):
    core = make_core(cell, n_layers=n_layers, bidirectional=bidirectional)
    x = make_batch()
    expected = torch_twin(core)(x)[0]
    torch.testing.assert_close(core(x), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("cell", COMPILED_CELLS)
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_unequal_lengths_are_as_packed_sequences(cell, n_layers, bidirectional):
    core = make_core(cell, n_layers=n_layers, bidirectional=bidirectional)
    x = make_batch()
    packed = pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    expected, _ = pad_packed_sequence(torch_twin(core)(packed)[0])
    for ours, torchs in zip(
        own_steps(core(x, LENGTHS), LENGTHS),
        own_steps(expected, LENGTHS),
        strict=True,
    ):
        torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_tanh_core_is_a_numpy_loop(n_layers, bidirectional):
    core = make_core("rnn", n_layers=n_layers, bidirectional=bidirectional)
    weights = {name: p.detach().numpy() for name, p in core.rnn.named_parameters()}

    def loop(x, suffix):
        W_xh, W_hh = weights[f"weight_ih_{suffix}"], weights[f"weight_hh_{suffix}"]
        b = weights[f"bias_ih_{suffix}"] + weights[f"bias_hh_{suffix}"]
        h, states = np.zeros(4), []
        for x_t in x:
            h = np.tanh(W_xh @ x_t + W_hh @ h + b)
            states.append(h)
        return np.array(states)

    x = make_batch()
    for i, length in enumerate(LENGTHS):
        expected = x[:length, i].numpy()
        for layer in range(n_layers):
            states = [loop(expected, f"l{layer}")]
            if bidirectional:
                states.append(loop(expected[::-1], f"l{layer}_reverse")[::-1])
            expected = np.concatenate(states, axis=1)
        states = core(x, LENGTHS)[:length, i].detach().numpy()
        np.testing.assert_allclose(states, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", COMPILED_CELLS)
def test_gradients_are_those_of_torch(cell):
    core = make_core(cell, n_layers=2, bidirectional=True)
    twin, x = torch_twin(core), make_batch()
    core(x).square().sum().backward()
    twin(x)[0].square().sum().backward()
    for ours, torchs in zip(core.rnn.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, torchs.grad, rtol=1e-10, atol=1e-12)


def test_residual_adds_each_layers_input_from_the_second_on():
    core = make_core(n_layers=3, residual=True)
    x = make_batch()
    expected = x
    for layer in range(3):
        single = torch.nn.GRU(expected.shape[2], 4).double()
        single.load_state_dict(
            {
                name.replace(f"_l{layer}", "_l0"): weight
                for name, weight in core.rnn.state_dict().items()
                if name.endswith(f"_l{layer}")
            }
        )
        states = single(expected)[0]
        expected = states if layer == 0 else states + expected
    torch.testing.assert_close(core(x), expected, rtol=0, atol=1e-14)


def test_residual_changes_nothing_in_one_layer():
    x = make_batch()
    plain, residual = make_core(), make_core(residual=True)
    assert torch.equal(plain(x), residual(x))


def test_dropout_falls_between_layers_and_never_after_the_last():
    x = make_batch()
    single = make_core(dropout=0.5)
    double = make_core(n_layers=2, dropout=0.5)
    assert len(single.dropout) == 0
    double.dropout[0].generator = torch.Generator().manual_seed(0)
    plain = make_core(n_layers=2)
    assert not torch.allclose(double(x), plain(x))
    assert not (double(x) == 0).any()
    assert torch.equal(double.eval()(x), plain(x))


def test_reversing_twice_gives_the_steps_back():
    x = make_batch()
    twice = reverse_steps(reverse_steps(x, LENGTHS), LENGTHS)
    assert torch.equal(twice, x)


def test_reversed_steps_stay_within_their_own_sequence():
    x = torch.arange(8.0).reshape(4, 2, 1)  # sequences 0 2 4 6 and 1 3 5 7
    mirrored = reverse_steps(x, torch.tensor([4, 2]))[:, :, 0]
    assert mirrored.T.tolist() == [[6, 4, 2, 0], [3, 1, 5, 7]]
    assert reverse_steps(x)[:, 1, 0].tolist() == [7, 5, 3, 1]
