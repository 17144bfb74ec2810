"""The recurrence against the equations, written out in NumPy."""

import numpy as np
import pytest
import torch
from sklearn.utils._param_validation import StrOptions
from torch import nn

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import CELLS, N_GATES, recurrence
from sklearn_rnn.kernels._cells import TORCH_FUNCTIONS
from sklearn_rnn.kernels._recurrence import _autocast_dtype, pack_weights

KERNELS = ("torch", "compiled")


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def numpy_rnn(x, W_xh, W_hh, b_xh, b_hh):
    """h_t = tanh(W_xh x_t + W_hh h_(t-1) + b)."""
    h = np.zeros((x.shape[1], W_hh.shape[1]))
    states = []
    for x_t in x:
        h = np.tanh(x_t @ W_xh.T + h @ W_hh.T + b_xh + b_hh)
        states.append(h)
    return np.stack(states)


def numpy_rnn_relu(x, W_xh, W_hh, b_xh, b_hh):
    """h_t = max(0, W_xh x_t + W_hh h_(t-1) + b)."""
    h = np.zeros((x.shape[1], W_hh.shape[1]))
    states = []
    for x_t in x:
        h = np.maximum(x_t @ W_xh.T + h @ W_hh.T + b_xh + b_hh, 0)
        states.append(h)
    return np.stack(states)


def numpy_lstm(x, W_xh, W_hh, b_xh, b_hh):
    h = c = np.zeros((x.shape[1], W_hh.shape[1]))
    states = []
    for x_t in x:
        gates = x_t @ W_xh.T + h @ W_hh.T + b_xh + b_hh
        i, f, g, o = np.split(gates, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states)


def numpy_gru(x, W_xh, W_hh, b_xh, b_hh):
    h = np.zeros((x.shape[1], W_hh.shape[1]))
    states = []
    for x_t in x:
        reset_x, update_x, new_x = np.split(x_t @ W_xh.T + b_xh, 3, axis=1)
        reset_h, update_h, new_h = np.split(h @ W_hh.T + b_hh, 3, axis=1)
        reset = sigmoid(reset_x + reset_h)
        update = sigmoid(update_x + update_h)
        new = np.tanh(new_x + reset * new_h)
        h = (1 - update) * new + update * h
        states.append(h)
    return np.stack(states)


NUMPY_CELLS = {
    "rnn": numpy_rnn,
    "rnn_relu": numpy_rnn_relu,
    "lstm": numpy_lstm,
    "gru": numpy_gru,
}


def random_weights(cell, n_features, n_units, seed=0):
    rng = np.random.default_rng(seed)
    rows = N_GATES[cell] * n_units
    shapes = [(rows, n_features), (rows, n_units), (rows,), (rows,)]
    return [torch.from_numpy(rng.normal(size=shape)) for shape in shapes]


def random_steps(n_timesteps=6, n_sequences=3, n_features=2, seed=1):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n_timesteps, n_sequences, n_features)))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_is_the_equations(cell, kernel):
    x, weights = random_steps(), random_weights(cell, 2, 4)
    expected = NUMPY_CELLS[cell](x.numpy(), *(w.numpy() for w in weights))
    np.testing.assert_allclose(
        recurrence(cell, x, weights, kernel=kernel)[0].numpy(),
        expected,
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_is_that_of_torch(cell):
    x, weights = random_steps(), random_weights(cell, 2, 4)
    module = CELLS[cell](2, 4).double()
    for parameter, weight in zip(module.parameters(), weights, strict=True):
        parameter.data = weight
    assert torch.equal(recurrence(cell, x, weights)[0], module(x)[0])


@pytest.mark.thorough
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_inputs_weights_and_state(cell, kernel, reverse):
    x = random_steps(n_timesteps=4, n_sequences=2).requires_grad_()
    weights = [w.requires_grad_() for w in random_weights(cell, 2, 3)]
    state = [
        random_steps(1, 2, 3, seed).requires_grad_()
        for seed in range(1 + (cell == "lstm"))
    ]

    def states(x, w_ih, w_hh, b_ih, b_hh, *state):
        weights = [w_ih, w_hh, b_ih, b_hh]
        states, after = recurrence(
            cell, x, weights, state, None, reverse, kernel=kernel
        )
        return (states,) if reverse else (states, *after)

    assert torch.autograd.gradcheck(states, (x, *weights, *state))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_state_depends_on_no_later_step(cell, kernel):
    x, weights = random_steps(), random_weights(cell, 2, 4)
    changed = x.clone()
    changed[4:] += 1.0
    before, after = (
        recurrence(cell, steps, weights, kernel=kernel)[0] for steps in (x, changed)
    )
    assert torch.equal(before[:4], after[:4])
    assert not torch.allclose(before[4:], after[4:])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cell", CELLS)
def test_steps_and_weights_need_not_be_contiguous(cell, kernel):
    x, weights = random_steps(), random_weights(cell, 2, 4)
    batch_first = x.transpose(0, 1).contiguous()
    turned = [w.t().contiguous().t() for w in weights]
    torch.testing.assert_close(
        recurrence(cell, batch_first.transpose(0, 1), turned, kernel=kernel)[0],
        recurrence(cell, x, weights, kernel=kernel)[0],
        rtol=0,
        atol=1e-14,
    )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cell", CELLS)
def test_going_on_from_a_state_is_running_through(cell, kernel):
    x, weights = random_steps(), random_weights(cell, 2, 4)
    whole, at_the_end = recurrence(cell, x, weights, kernel=kernel)
    first, state = recurrence(cell, x[:4], weights, kernel=kernel)
    rest, after = recurrence(cell, x[4:], weights, state, kernel=kernel)
    torch.testing.assert_close(torch.cat([first, rest]), whole, rtol=0, atol=1e-14)
    torch.testing.assert_close(after, at_the_end, rtol=0, atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_packed_weights_lie_as_cudnn_reads_them_and_learn_the_same(cell):
    layer = CELLS[cell](3, 5)
    weights = list(layer.parameters())
    packed = pack_weights(weights, torch.float32)
    begin = packed[0].untyped_storage().data_ptr()
    for mine, theirs in zip(packed, weights, strict=True):
        assert torch.equal(mine, theirs)
        assert mine.is_contiguous()
        # From the beginning of one storage, in order, without gaps.
        assert (
            mine.untyped_storage().data_ptr() == packed[0].untyped_storage().data_ptr()
        )
        assert mine.data_ptr() == begin
        begin += 4 * mine.numel()
    x = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    by_packed, by_own = (
        torch.autograd.grad(recurrence(cell, x, some)[0].sum(), weights)
        for some in (packed, weights)
    )
    for mine, theirs in zip(by_packed, by_own, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(
    "version, expected",
    [(91300, torch.bfloat16), (91002, torch.float32), (None, torch.float32)],
)
def test_a_cudnn_without_bfloat16_computes_in_float32(monkeypatch, version, expected):
    monkeypatch.setattr(torch, "get_autocast_dtype", lambda device: torch.bfloat16)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: version)
    assert _autocast_dtype("cuda") == expected
    assert _autocast_dtype("cpu") == torch.bfloat16


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_under_autocast_every_cell_computes_in_bfloat16_and_returns_float32(
    cell, reverse
):
    weights = list(CELLS[cell](3, 5).parameters())
    x = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    expected, _ = recurrence(cell, x, weights, reverse=reverse)
    with torch.autocast("cpu", torch.bfloat16):
        states, last = recurrence(cell, x, weights, reverse=reverse)
    for values in (states, *last):
        assert values.dtype == torch.float32
        assert torch.equal(values, values.bfloat16().float())
    torch.testing.assert_close(states, expected, rtol=0.05, atol=0.05)


def test_a_cell_without_compiled_kernels_is_left_to_torch(monkeypatch):
    for table, of_gru in ((CELLS, nn.GRU), (N_GATES, 3), (TORCH_FUNCTIONS, torch.gru)):
        monkeypatch.setitem(table, "twin", of_gru)
    constraint = [StrOptions({"gru", "twin"})]
    monkeypatch.setitem(RNNRegressor._parameter_constraints, "cell", constraint)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 7, 2))
    options = {"hidden_size": 5, "max_epochs": 2, "random_state": 0, "n_layers": 2}
    expected = RNNRegressor("gru", **options, kernel="torch").fit(X, X[:, 0, 0])
    model = RNNRegressor("twin", **options).fit(X, X[:, 0, 0])
    assert model.kernel_ == "torch"
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-5)
    with pytest.raises(ValueError, match="has no cell='twin'"):
        model.set_params(kernel="compiled").fit(X, X[:, 0, 0])
