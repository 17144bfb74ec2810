"""The recurrence by compiled loops, forwards and back."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import pad

from sklearn_rnn.kernels._optional import loops


class _Cell(NamedTuple):
    """What tells the loops which cell to compute."""

    code: tuple
    n_gates: int
    n_slopes: int  # derivatives of each unit; the GRU has two of its new state


CELLS = {
    "rnn": _Cell((0,), 1, 1),
    "rnn_relu": _Cell((0, 0), 1, 1),
    "gru": _Cell((0, 0, 0), 3, 4),
    "lstm": _Cell((0, 0, 0, 0), 4, 4),
}
# A number of each type that the loops know.
ONE = {torch.float32: np.float32(1), torch.float64: np.float64(1)}


class FusedPass(NamedTuple):
    """A pass of one layer in one direction, and what the pass back needs.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The cell.
    reverse : bool
        Whether sequences were read backwards.
    lengths : ndarray of int64 of shape (N,)
        Steps of each.
    x : Tensor of shape (T, N, F)
        Inputs of all steps.
    w_ih, w_hh : Tensor
        Weights in torch's layout.
    gates : Tensor of shape (T, N, n_gates * width)
        What was kept of them; `width` is the number of units, filled up to whole
        registers with units whose weights and states are zero.
    states : Tensor of shape (T + 1, N, width)
        Before and after each step.
    extra : Tensor of shape (T + 1, N, width) or (0,)
        The LSTM's other states, or products of the GRU's new gate.
    """

    cell: str
    reverse: bool
    lengths: np.ndarray
    x: torch.Tensor
    w_ih: torch.Tensor
    w_hh: torch.Tensor
    gates: torch.Tensor
    states: torch.Tensor
    extra: torch.Tensor

    @property
    def n_units(self):
        """Units without those that fill registers up."""
        return self.w_hh.shape[1]

    @property
    def outputs(self):
        """The state after each step was read, (T, N, H)."""
        states = self.states[:-1] if self.reverse else self.states[1:]
        return states[:, :, : self.n_units]

    @property
    def last(self):
        """The states after the last step, a tuple of (1, N, H).

        A state that has reached its sequence's end stays as it is.
        """
        end = 0 if self.reverse else len(self.states) - 1
        parts = (self.states, self.extra) if self.cell == "lstm" else (self.states,)
        return tuple(part[end : end + 1, :, : self.n_units] for part in parts)

    @property
    def sizes(self):
        """What the loops run to."""
        compiled = loops("_compiled")
        n_gates = CELLS[self.cell].n_gates
        return (
            len(self.x),
            self.x.shape[2],
            self.x.shape[2],
            self.n_units,
            self.states.shape[2],
            n_gates,
            compiled.rows_at_once(n_gates),
            compiled.n_lanes(self.x.dtype.itemsize),
            int(self.reverse),
        )


def fused_forward(cell, x, weights, state=None, lengths=None, reverse=False):
    """Run one layer in one direction by compiled loops.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The cell.
    x : Tensor of shape (T, N, F)
        Inputs, time first, on the CPU.
    weights : sequence of Tensor
        ``weight_ih, weight_hh, bias_ih, bias_hh`` in torch's layout.
    state : sequence of Tensor of shape (1, N, H), default=None
        Where to begin; None begins with zeros.
    lengths : Tensor of int64 of shape (N,), default=None
        Steps of each sequence; None when all have T.
    reverse : bool, default=False
        Whether to begin at each sequence's last step.

    Returns
    -------
    FusedPass
        Outside of torch's differentiation.
    """
    compiled = loops("_compiled")
    code, n_gates, _ = CELLS[cell]
    n_steps, n_rows, _ = x.shape
    weights = [weight.contiguous() for weight in weights]
    _check_shapes(cell, x, weights, state, lengths)
    x = x.contiguous()
    width = filled_up(weights[1].shape[1], x)
    gates = x.new_empty(n_steps, n_rows, n_gates * width)
    states = x.new_empty(n_steps + 1, n_rows, width)
    extra = x.new_empty((n_steps + 1, n_rows, width) if n_gates > 1 else 0)
    begin = n_steps if reverse else 0
    parts = (states, extra) if cell == "lstm" else (states,)
    for part, given in zip(parts, state or [None] * len(parts), strict=True):
        if given is None:
            part[begin].zero_()
        else:
            part[begin] = pad(given[0], (0, width - given.shape[2]))
    lengths = np.full(n_rows, n_steps) if lengths is None else lengths.numpy()
    run = FusedPass(cell, reverse, lengths, x, *weights[:2], gates, states, extra)
    tensors = (x, *weights, gates, states, extra)
    addresses = map(torch.Tensor.data_ptr, tensors)
    compiled.forward(code, ONE[x.dtype], *addresses, lengths, run.sizes)
    return run


def _check_shapes(cell, x, weights, state, lengths):
    """Refuse what loops would read past the end of."""
    n_sums, n_units = weights[1].shape
    n_rows = x.shape[1]
    expected = [(n_sums, x.shape[2]), (n_sums, n_units), (n_sums,), (n_sums,)]
    found = [tuple(weight.shape) for weight in weights]
    is_right = found == expected and n_sums == CELLS[cell].n_gates * n_units
    for part in state or ():
        is_right = is_right and part.shape == (1, n_rows, n_units)
    if lengths is not None:
        is_right = is_right and lengths.shape == (n_rows,)
        is_right = is_right and lengths.dtype == torch.int64
    if not is_right:
        raise ValueError(
            f"shapes do not fit together: steps of {tuple(x.shape)}, weights of "
            f"{found} for cell {cell!r}, states of "
            f"{[tuple(part.shape) for part in state or ()]}, lengths of "
            f"{None if lengths is None else (tuple(lengths.shape), lengths.dtype)}."
        )
    if any(part.dtype != x.dtype for part in (*weights, *(state or ()))):
        raise ValueError(
            f"steps are {x.dtype}, and weights or states another: "
            f"{[part.dtype for part in (*weights, *(state or ()))]}."
        )


def filled_up(n_numbers, like):
    """Fill a number up to whole registers.

    Parameters
    ----------
    n_numbers : int
        How many there are.
    like : Tensor
        Of their type.

    Returns
    -------
    int
        At least as many.
    """
    n_lanes = loops("_compiled").n_lanes(like.dtype.itemsize)
    return -(-n_numbers // n_lanes) * n_lanes


class FusedDerivatives(NamedTuple):
    """Derivatives of a pass.

    Parameters
    ----------
    x : Tensor of shape (T, N, F) or None
        By the inputs; None if not asked for.
    weights : sequence of Tensor
        By ``weight_ih, weight_hh, bias_ih, bias_hh``.
    state : tuple of Tensor of shape (1, N, H)
        By the first state.
    """

    x: torch.Tensor | None
    weights: list
    state: tuple


def fused_backward(run, d_states=None, d_last=(None, None), with_x=True, into=None):
    """Run derivatives back through a pass.

    Parameters
    ----------
    run : FusedPass
        What `fused_forward` returned.
    d_states : Tensor of shape (T, N, H), default=None
        Derivatives by the state after each step; None is zero.
    d_last : tuple of Tensor of shape (1, N, H) or None
        Derivatives by the last state, and by the LSTM's other one.
    with_x : bool, default=True
        Whether derivatives by the inputs are asked for.
    into : sequence of Tensor, default=None
        What derivatives by the weights are added to, contiguous; None begins with
        zeros.

    Returns
    -------
    FusedDerivatives
    """
    code, n_gates, _ = CELLS[run.cell]
    n_states, n_rows, width = run.states.shape
    n_units, n_features = run.n_units, run.x.shape[2]
    d_h, d_c = (_last_derivatives(run, given) for given in d_last)
    every_step = d_states is not None
    if not every_step:
        d_states = torch.zeros_like(d_h)
    elif width > n_units:
        d_states = pad(d_states, (0, width - n_units))
    d_states = d_states.contiguous()
    n_slopes = (n_states - 1) * n_rows * width * CELLS[run.cell].n_slopes
    slopes = d_h.new_empty(n_slopes + filled_up(1, d_h))
    d_x = None
    if with_x:
        d_x = d_h.new_empty(n_states - 1, n_rows, filled_up(n_features, d_h))
    if into is None:
        n_sums = n_gates * n_units
        shapes = ((n_sums, n_features), (n_sums, n_units), (n_sums,), (n_sums,))
        into = [d_h.new_zeros(shape) for shape in shapes]
    kept = (run.x, run.w_ih, run.w_hh, run.gates, run.states, run.extra)
    loops("_compiled").backward(
        code,
        ONE[d_h.dtype],
        *map(torch.Tensor.data_ptr, kept),
        run.lengths,
        d_states.data_ptr(),
        int(every_step),
        d_h.data_ptr(),
        d_c.data_ptr(),
        slopes.data_ptr(),
        d_x.data_ptr() if with_x else 0,
        *map(torch.Tensor.data_ptr, into),
        run.sizes,
    )
    d_state = (d_h, d_c) if run.cell == "lstm" else (d_h,)
    d_state = tuple(part[:, :, :n_units] for part in d_state)
    return FusedDerivatives(d_x[:, :, :n_features] if with_x else None, into, d_state)


def _last_derivatives(run, given):
    """Return derivatives by a last state, which the loops are to change."""
    found = run.states.new_zeros(1, *run.states.shape[1:])
    if given is not None:
        found[:, :, : run.n_units] = given
    return found


class Fused(torch.autograd.Function):
    """One layer in one direction as a step of torch's differentiation.

    ``apply(cell, lengths, reverse, x, w_ih, w_hh, b_ih, b_hh, *state)`` returns the
    states and, of an LSTM, the other state after the last step.
    """

    @staticmethod
    def forward(ctx, cell, lengths, reverse, x, *weights_and_state):
        """Run forwards."""
        weights, state = weights_and_state[:4], weights_and_state[4:]
        run = fused_forward(cell, x, weights, state or None, lengths, reverse)
        is_kept = [isinstance(part, torch.Tensor) for part in run]
        ctx.save_for_backward(
            *(p for p, kept in zip(run, is_kept, strict=True) if kept)
        )
        ctx.rest = [None if kept else p for p, kept in zip(run, is_kept, strict=True)]
        ctx.set_materialize_grads(False)
        return (run.outputs, *(part.clone() for part in run.last[1:]))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_states, d_c=None):
        """Run back."""
        saved = iter(ctx.saved_tensors)
        run = FusedPass(*(next(saved) if p is None else p for p in ctx.rest))
        found = fused_backward(run, d_states, (None, d_c), ctx.needs_input_grad[3])
        n_state = len(ctx.needs_input_grad) - 8
        return None, None, None, found.x, *found.weights, *found.state[:n_state]
