"""The recurrence by compiled loops, forwards and back."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import pad

from sklearn_rnn.kernels._optional import compiled_loops


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
    x : Tensor of shape (T * N, F)
        Inputs of all steps.
    w_ih, w_hh : Tensor
        Weights in torch's layout, with units added until they fill registers.
    gates : Tensor of shape (T, N, n_gates * width)
        What was kept of them; `width` counts the added units.
    states : Tensor of shape (T + 1, N, width)
        Before and after each step.
    extra : Tensor of shape (T + 1, N, width) or (0,)
        The LSTM's other states, or products of the GRU's new gate.
    n_units : int
        Without those that were added.
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
    n_units: int

    @property
    def outputs(self):
        """The state after each step was read, (T, N, H)."""
        states = self.states[:-1] if self.reverse else self.states[1:]
        return states[:, :, : self.n_units] if self._n_added else states

    @property
    def last(self):
        """The states after the last step, a tuple of (1, N, H).

        A state that has reached its sequence's end stays as it is.
        """
        end = 0 if self.reverse else len(self.states) - 1
        parts = (self.states, self.extra) if self.cell == "lstm" else (self.states,)
        return tuple(part[end : end + 1, :, : self.n_units] for part in parts)

    @property
    def _n_added(self):
        return self.states.shape[2] - self.n_units


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
    loops = compiled_loops()
    code, n_gates, _ = CELLS[cell]
    n_steps, n_rows, n_features = x.shape
    n_units = weights[1].shape[1]
    n_lanes = loops.n_lanes(x.dtype.itemsize)
    n_added = -n_units % n_lanes
    if n_added:
        weights = _add_units(weights, n_gates, n_added)
    w_ih, w_hh, b_ih, b_hh = (weight.contiguous() for weight in weights)
    width = n_units + n_added
    x = x.reshape(-1, n_features)
    gates = torch.addmm(b_ih, x, w_ih.t())
    states = x.new_empty(n_steps + 1, n_rows, width)
    extra = x.new_empty((n_steps + 1, n_rows, width) if n_gates > 1 else 0)
    begin = n_steps if reverse else 0
    parts = (states, extra) if cell == "lstm" else (states,)
    for part, given in zip(parts, state or [None] * len(parts), strict=True):
        part[begin] = 0.0 if given is None else pad(given[0], (0, n_added))
    lengths = np.full(n_rows, n_steps) if lengths is None else lengths.numpy()
    loops.forward(
        code,
        ONE[x.dtype],
        *map(torch.Tensor.data_ptr, (gates, states, extra, w_hh, b_hh)),
        lengths,
        (n_steps, width, n_gates, loops.rows_at_once(n_gates), n_lanes, int(reverse)),
    )
    return FusedPass(
        cell, reverse, lengths, x, w_ih, w_hh, gates, states, extra, n_units
    )


def _add_units(weights, n_gates, n_added):
    """Add units whose weights and states are zero, and stay so."""

    def more_units(weight):
        by_gate = weight.unflatten(0, (n_gates, -1))
        missing = (0, 0) * (weight.dim() - 1) + (0, n_added)
        return pad(by_gate, missing).flatten(0, 1)

    w_ih, w_hh, b_ih, b_hh = (more_units(weight) for weight in weights)
    return [w_ih, pad(w_hh, (0, n_added)), b_ih, b_hh]


class FusedDerivatives(NamedTuple):
    """Derivatives of a pass.

    Parameters
    ----------
    x : Tensor of shape (T, N, F) or None
        By the inputs; None if not asked for.
    weights : tuple of Tensor
        By ``weight_ih, weight_hh, bias_ih, bias_hh``.
    state : tuple of Tensor of shape (1, N, H)
        By the first state.
    """

    x: torch.Tensor | None
    weights: tuple
    state: tuple


def fused_backward(run, d_states=None, d_last=(None, None), with_x=True):
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

    Returns
    -------
    FusedDerivatives
    """
    loops = compiled_loops()
    code, n_gates, n_slopes = CELLS[run.cell]
    n_states, n_rows, width = run.states.shape
    n_added = width - run.n_units
    d_h, d_c = (_last_derivatives(run, given, n_added) for given in d_last)
    every_step = d_states is not None
    if not every_step:
        d_states = torch.zeros_like(d_h)
    elif n_added:
        d_states = pad(d_states, (0, n_added))
    d_states = d_states.contiguous()
    slopes = d_h.new_empty((n_states - 1) * n_rows, n_slopes * width)
    n_lanes = loops.n_lanes(d_h.dtype.itemsize)
    kept = (run.gates, run.states, run.extra, run.w_hh)
    loops.backward(
        code,
        ONE[slopes.dtype],
        *map(torch.Tensor.data_ptr, kept),
        run.lengths,
        *map(torch.Tensor.data_ptr, (d_states, d_h, d_c, slopes)),
        (
            n_states - 1,
            width,
            n_gates,
            loops.rows_at_once(n_gates),
            n_lanes,
            int(run.reverse),
        ),
        int(every_step),
    )
    d_x, d_weights = _products_of_all_steps(run, slopes, n_gates * width, with_x)
    d_state = (d_h, d_c) if run.cell == "lstm" else (d_h,)
    if n_added:
        d_state = tuple(part[:, :, : run.n_units] for part in d_state)
        d_weights = _without_added(d_weights, n_gates, run.n_units)
    return FusedDerivatives(d_x, d_weights, d_state)


def _last_derivatives(run, given, n_added):
    """Return derivatives by a last state, which the loops are to change."""
    if given is None:
        return run.states.new_zeros(1, *run.states.shape[1:])
    return (
        pad(given, (0, n_added))
        if n_added
        else given.clone(memory_format=torch.contiguous_format)
    )


def _products_of_all_steps(run, slopes, n_sums, with_x):
    """Return derivatives by inputs and weights: one product each."""
    before = run.states[1:] if run.reverse else run.states[:-1]
    by_inputs, by_product = slopes[:, :n_sums], slopes[:, -n_sums:]
    d_bias = slopes.sum(0)
    d_b_ih, d_b_hh = d_bias[:n_sums], d_bias[-n_sums:]
    d_w_ih = by_inputs.t() @ run.x
    d_w_hh = by_product.t() @ before.reshape(len(slopes), -1)
    w_ih = run.w_ih
    if run.cell == "gru":  # by inputs, the new gate comes first and not last
        shift = before.shape[2]
        d_w_ih, d_b_ih = d_w_ih.roll(-shift, 0), d_b_ih.roll(-shift)
        w_ih = w_ih.roll(shift, 0) if with_x else w_ih
    d_x = (by_inputs @ w_ih).view(*before.shape[:2], -1) if with_x else None
    return d_x, (d_w_ih, d_w_hh, d_b_ih, d_b_hh)


def _without_added(d_weights, n_gates, n_units):
    d_w_ih, d_w_hh, d_b_ih, d_b_hh = (
        part.unflatten(0, (n_gates, -1))[:, :n_units].flatten(0, 1)
        for part in d_weights
    )
    return d_w_ih, d_w_hh[:, :n_units], d_b_ih, d_b_hh


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
