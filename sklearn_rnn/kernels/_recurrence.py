"""The recurrence of one layer in one direction."""

from collections.abc import Sequence

import torch
from torch.nn.functional import pad

from sklearn_rnn.kernels._aligned import n_missing, pad_units
from sklearn_rnn.kernels._cells import TORCH_FUNCTIONS
from sklearn_rnn.kernels._compiled_recurrence import CompiledRecurrence, run_forward
from sklearn_rnn.kernels._directions import reverse_steps
from sklearn_rnn.kernels._interface import COMPILED_CELLS

COMPILED_DTYPES = torch.float32, torch.float64
# The first cuDNN whose recurrence supports bfloat16: 9.13.
CUDNN_WITH_BFLOAT16 = 91300


def recurrence(
    cell: str,
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    state: Sequence[torch.Tensor] | None = None,
    lengths: torch.Tensor | None = None,
    reverse: bool = False,
    kernel: str = "torch",
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Run one layer of a recurrent cell over a batch, in one direction.

    The Elman cell is
    ``h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)``; LSTM and GRU are
    those of ``torch.nn.LSTM`` and ``torch.nn.GRU``, with the same order of gates.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The cell.
    x : Tensor of shape (T, N, F)
        Inputs, time first.
    weights : list of Tensor
        ``weight_ih, weight_hh, bias_ih, bias_hh`` in torch's layout.
    state : tuple of Tensor of shape (1, N, H), default=None
        Initial hidden state, for the LSTM also the cell state, as a previous call
        returned it. None starts from zero.
    lengths : LongTensor of shape (N,), default=None
        Steps per sequence; None if all have T.
    reverse : bool, default=False
        Whether to process each sequence from its own last step to its first.
    kernel : {"torch", "compiled"}, default="torch"
        Implementation. The compiled kernels support first derivatives only; torch
        replaces them for precisions other than float32 and float64 and on devices
        other than the CPU.

    Returns
    -------
    states : Tensor of shape (T, N, H)
        Hidden state after each step; undefined at padding.
    state : tuple of Tensor of shape (1, N, H)
        State after the last step; undefined if `lengths` is given.

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
    # Tracing would record the results of compiled kernels as constants.
    is_compiled = kernel == "compiled" and cell in COMPILED_CELLS and not is_traced(x)
    if is_compiled and x.dtype in COMPILED_DTYPES and x.device.type == "cpu":
        return _run_compiled(cell, x, weights, state, lengths, reverse)
    if state is None:
        zero = x.new_zeros(1, x.shape[1], weights[1].shape[1])
        state = (zero, zero) if cell == "lstm" else (zero,)
    if reverse:
        x = reverse_steps(x, lengths)
    run = _run_torch
    n_units = weights[1].shape[1]
    if n_missing(n_units) or n_missing(x.shape[2]):
        run = _run_torch_padded
    states, *last = run(cell, x, weights, state)
    if reverse:
        states = reverse_steps(states, lengths)
    return states, tuple(last)


def is_traced(tensor: torch.Tensor) -> bool:
    """Return whether torch.jit.trace, torch.export or torch.compile is recording."""
    # Exports compute with a tensor subclass, which has shapes and no values.
    is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
    return torch.jit.is_tracing() or torch.compiler.is_compiling() or not is_plain


def _run_torch(
    cell: str,
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    state: Sequence[torch.Tensor],
) -> Sequence[torch.Tensor]:
    """Return the states and the last state, in the precision of the weights."""
    device, dtype = x.device.type, weights[0].dtype
    is_mixed = torch.is_autocast_enabled(device)
    if is_mixed:
        # autocast itself passes float16 to cuDNN, whatever its dtype is, and on a CPU
        # casts some cells only.
        dtype = _autocast_dtype(device)
        x, *state = (part.to(dtype) for part in (x, *state))
    if is_mixed or device == "cuda":
        weights = pack_weights(weights, dtype)
    run = TORCH_FUNCTIONS[cell]
    # has_biases, num_layers, dropout, train, bidirectional, batch_first; cuDNN
    # keeps what backward needs only if train is true.
    options = (True, 1, 0.0, torch.is_grad_enabled(), False, False)
    initial = state if cell == "lstm" else state[0]
    if not is_mixed:
        return run(x, initial, weights, *options)
    with torch.autocast(device, enabled=False):
        outputs = run(x, initial, weights, *options)
    return [part.to(torch.float32) for part in outputs]


def _run_torch_padded(
    cell: str,
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    state: Sequence[torch.Tensor],
) -> Sequence[torch.Tensor]:
    """Do the same with units and features padded to whole multiples."""
    n_units = weights[1].shape[1]
    missing = n_missing(n_units)
    x, weights = pad(x, (0, n_missing(x.shape[2]))), pad_units(list(weights), n_units)
    if not missing:
        return _run_torch(cell, x, weights, state)
    state = [pad(part, (0, missing)) for part in state]
    outputs = _run_torch(cell, x, weights, state)
    # Contiguous: the order of later sums depends on the memory layout of their terms.
    return [part[..., :n_units].contiguous() for part in outputs]


def _autocast_dtype(device: str) -> torch.dtype:
    """Return the dtype of autocast, or float32 where cuDNN does not support it."""
    dtype = torch.get_autocast_dtype(device)
    if device != "cuda" or dtype != torch.bfloat16:
        return dtype
    version = torch.backends.cudnn.version() or 0
    return dtype if version >= CUDNN_WITH_BFLOAT16 else torch.float32


def pack_weights(
    weights: Sequence[torch.Tensor], dtype: torch.dtype
) -> list[torch.Tensor]:
    """Copy the weights of one layer and direction into one contiguous tensor.

    cuDNN reads them from the beginning of their storage, in the order ``weight_ih,
    weight_hh, bias_ih, bias_hh`` and without gaps. Of weights in another layout (of
    several layers in one tensor, with dropout) torch would make copies at every call
    too, and warn. Gradients flow through the returned views to `weights`.
    """
    flat = torch.cat([weight.reshape(-1) for weight in weights]).to(dtype)
    parts = flat.split([weight.numel() for weight in weights])
    return [part.view(w.shape) for part, w in zip(parts, weights, strict=True)]


def _run_compiled(
    cell: str,
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    state: Sequence[torch.Tensor] | None,
    lengths: torch.Tensor | None,
    reverse: bool,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    if not torch.is_grad_enabled():
        forward_pass = run_forward(
            cell, x, weights, state, lengths, reverse=reverse, keep=False
        )
        return forward_pass.outputs()
    states, *last = CompiledRecurrence.apply(
        cell, lengths, reverse, x, *weights, *(state or ())
    )
    return states, tuple(last)
