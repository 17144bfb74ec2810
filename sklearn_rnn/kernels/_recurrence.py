"""The recurrence of one layer in one direction."""

from collections.abc import Callable
from functools import partial

import torch
from torch.nn.functional import pad

from sklearn_rnn.kernels._aligned import fill_units, n_missing
from sklearn_rnn.kernels._compiled_recurrence import CompiledRecurrence, run_forward
from sklearn_rnn.kernels._directions import reverse_steps

# Torch's own module of each cell; its parameters are the ones used here.
CELLS: dict[str, Callable[..., torch.nn.RNNBase]] = {
    "rnn": torch.nn.RNN,
    "rnn_relu": partial(torch.nn.RNN, nonlinearity="relu"),
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}
COMPILED_DTYPES = torch.float32, torch.float64
# The first cuDNN whose recurrence takes bfloat16: 9.13.
CUDNN_WITH_BFLOAT16 = 91300
RUNS = {
    "rnn": torch.rnn_tanh,
    "rnn_relu": torch.rnn_relu,
    "lstm": torch.lstm,
    "gru": torch.gru,
}


def recurrence(
    cell, x, weights, state=None, lengths=None, reverse=False, kernel="torch"
):
    """Run one layer of a recurrent cell over a batch, in one direction.

    For the plain cell,
    ``h_t = tanh(W_xh x_t + b_xh + W_hh h_(t-1) + b_hh)``; LSTM and GRU are
    those of ``torch.nn.LSTM`` and ``torch.nn.GRU``, gates in their order.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The cell.
    x : Tensor of shape (T, N, F)
        Inputs, time first.
    weights : list of Tensor
        ``weight_ih, weight_hh, bias_ih, bias_hh`` in torch's layout.
    state : tuple of Tensor of shape (1, N, H), default=None
        Where to go on from: the hidden state, for the LSTM also the cell's,
        as a former call returned it. None starts from zero.
    lengths : LongTensor of shape (N,), default=None
        Steps of each sequence; None when all have T.
    reverse : bool, default=False
        Whether to read each sequence from its own last step to its first.
    kernel : {"torch", "compiled"}, default="torch"
        What computes it: torch, or the compiled kernels, which have first
        derivatives alone; torch computes in other precisions than float32 and
        float64, and on other devices than the CPU.

    Returns
    -------
    states : Tensor of shape (T, N, H)
        The hidden state after each step was read; meaningless at padding.
    state : tuple of Tensor of shape (1, N, H)
        The state after the last step; meaningless with `lengths`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.kernels import recurrence
    >>> weights = [torch.ones(1, 1), torch.zeros(1, 1), torch.zeros(1), torch.zeros(1)]
    >>> x = torch.tensor([0.0, 1.0]).reshape(2, 1, 1)
    >>> states, (last,) = recurrence("rnn", x, weights)
    >>> states.ravel(), last.ravel()
    (tensor([0.0000, 0.7616]), tensor([0.7616]))
    """
    # Tracing takes the results of compiled kernels for constants.
    is_compiled = kernel == "compiled" and not is_traced(x)
    if is_compiled and x.dtype in COMPILED_DTYPES and x.device.type == "cpu":
        return _run_compiled(cell, x, weights, state, lengths, reverse)
    if state is None:
        zero = x.new_zeros(1, x.shape[1], weights[1].shape[1])
        state = (zero, zero) if cell == "lstm" else (zero,)
    if reverse:
        x = reverse_steps(x, lengths)
    run = _by_torch
    n_units = weights[1].shape[1]
    if n_missing(n_units) or n_missing(x.shape[2]):
        run = _by_torch_filled_up
    states, *state = run(cell, x, weights, state)
    if reverse:
        states = reverse_steps(states, lengths)
    return states, tuple(state)


def is_traced(tensor):
    """Return whether torch records what is done to a tensor, to export it.

    Parameters
    ----------
    tensor : Tensor
        Any.

    Returns
    -------
    bool
        True under ``torch.jit.trace``, ``torch.export`` and ``torch.compile``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.kernels import is_traced
    >>> is_traced(torch.zeros(1))
    False
    """
    # Exports compute with a class of their own, which has shapes and no values.
    is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
    return torch.jit.is_tracing() or torch.compiler.is_compiling() or not is_plain


def _by_torch(cell, x, weights, state):
    """Return the states and what follows the last step, in the weights' precision."""
    device, dtype = x.device.type, weights[0].dtype
    is_mixed = torch.is_autocast_enabled(device)
    if is_mixed:
        # Left to itself autocast gives cuDNN float16, whatever was asked for, and
        # on a CPU casts some cells only.
        dtype = _precision(device)
        x, *state = (part.to(dtype) for part in (x, *state))
    if is_mixed or device == "cuda":
        weights = pack_weights(weights, dtype)
    # has_biases, num_layers, dropout, train, bidirectional, batch_first; cuDNN
    # keeps what backward needs only when told that it trains.
    options = (True, 1, 0.0, torch.is_grad_enabled(), False, False)
    state = state if cell == "lstm" else state[0]
    if not is_mixed:
        return RUNS[cell](x, state, weights, *options)
    with torch.autocast(device, enabled=False):
        outputs = RUNS[cell](x, state, weights, *options)
    return [part.to(torch.float32) for part in outputs]


def _by_torch_filled_up(cell, x, weights, state):
    """Do the same with units and features in whole multiples."""
    n_units = weights[1].shape[1]
    missing = n_missing(n_units)
    x, weights = pad(x, (0, n_missing(x.shape[2]))), fill_units(weights, n_units)
    if not missing:
        return _by_torch(cell, x, weights, state)
    state = [pad(part, (0, missing)) for part in state]
    found = _by_torch(cell, x, weights, state)
    # Contiguous: sums are added up in an order that depends on how their terms lie.
    return [part[..., :n_units].contiguous() for part in found]


def _precision(device):
    """Return what autocast asks for, or float32 where cuDNN would refuse it."""
    asked_for = torch.get_autocast_dtype(device)
    if device != "cuda" or asked_for != torch.bfloat16:
        return asked_for
    version = torch.backends.cudnn.version() or 0
    return asked_for if version >= CUDNN_WITH_BFLOAT16 else torch.float32


def pack_weights(weights, dtype):
    """Copy the weights of one layer and direction into one piece of memory.

    cuDNN reads them from the beginning of their storage, in this order and without
    gaps. Where they lie otherwise (weights of several layers in one tensor, dropped
    ones) torch copies them at every call as well, and warns.

    Parameters
    ----------
    weights : list of Tensor
        ``weight_ih, weight_hh, bias_ih, bias_hh``.
    dtype : torch.dtype
        Of the copies.

    Returns
    -------
    list of Tensor
        Views of one new tensor; gradients flow back to `weights`.
    """
    flat = torch.cat([weight.reshape(-1) for weight in weights]).to(dtype)
    parts = flat.split([weight.numel() for weight in weights])
    return [part.view(w.shape) for part, w in zip(parts, weights, strict=True)]


def _run_compiled(cell, x, weights, state, lengths, reverse):
    if not torch.is_grad_enabled():
        run = run_forward(cell, x, weights, state, lengths, reverse, keep=False)
        return run.outputs()
    states, *last = CompiledRecurrence.apply(
        cell, lengths, reverse, x, *weights, *(state or ())
    )
    return states, tuple(last)
