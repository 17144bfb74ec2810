"""One layer in one direction by the compiled kernels, forward and backward."""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import pad

from sklearn_rnn.kernels._cells import N_GATES
from sklearn_rnn.kernels._interface import (
    COMPILED_CELLS,
    check_array,
    make_struct,
    run_kernel,
)
from sklearn_rnn.kernels._library import round_up

# Sums kept per unit for the backward pass: the candidate of the GRU has two.
N_KEPT = {"rnn": 1, "rnn_relu": 1, "gru": 4, "lstm": 4}
# Multiply-adds of a pass from which several threads compute its blocks of rows.
MIN_WORK_FOR_THREADS = 2e7
GRADIENTS = ("grad_w_ih", "grad_w_hh", "grad_b_ih", "grad_b_hh")


class ForwardPass(NamedTuple):
    """A forward pass with what the backward pass needs, padded to whole vectors."""

    cell: str
    reverse: bool
    order: torch.Tensor | None  # rows by length, longest first; None: equal lengths
    lengths: torch.Tensor | None  # in that order
    x: torch.Tensor  # (T, N, F)
    w_ih: torch.Tensor
    w_hh: torch.Tensor
    b_ih: torch.Tensor
    b_hh: torch.Tensor
    h: torch.Tensor  # (T + 1, N, padded)
    c: torch.Tensor | None
    gates: torch.Tensor

    def struct(self, inference: bool, **fields: Any) -> ctypes.Structure:
        """Return the argument of the kernels for this pass."""
        n_steps, n_rows, n_inputs = self.x.shape
        n_units, active = self.w_hh.shape[1], None
        if self.lengths is not None:
            longer = self.lengths.numpy() > np.arange(n_steps)[:, np.newaxis]
            active = longer.sum(axis=1, dtype=np.int32)
        work = n_steps * n_rows * n_units * N_GATES[self.cell] * (n_inputs + n_units)
        return make_struct(
            "Recurrence",
            itemsize=self.x.itemsize,
            cell=COMPILED_CELLS.index(self.cell),
            n_steps=n_steps,
            n_rows=n_rows,
            n_inputs=n_inputs,
            n_units=n_units,
            padded=self.h.shape[2],
            reverse=self.reverse,
            n_threads=torch.get_num_threads() if work >= MIN_WORK_FOR_THREADS else 1,
            inference=inference,
            active=active,
            **{name: getattr(self, name) for name in ("x", "h", "c", "gates")},
            **{name: getattr(self, name) for name in ("w_ih", "w_hh", "b_ih", "b_hh")},
            **fields,
        )

    def outputs(self) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return the states after each step (T, N, H), and the last state per row."""
        n_units = self.w_hh.shape[1]
        outputs = (self.h[:-1] if self.reverse else self.h[1:])[:, :, :n_units]
        end: int | torch.Tensor = 0 if self.reverse else len(self.x)
        if self.lengths is not None and not self.reverse:
            end = self.lengths
        parts = [self.h] if self.c is None else [self.h, self.c]
        rows = torch.arange(self.h.shape[1])
        last = [part[end, rows][None, :, :n_units] for part in parts]
        if self.order is not None:
            inverse = torch.argsort(self.order)
            outputs, last = outputs[:, inverse], [part[:, inverse] for part in last]
        return outputs, tuple(last)


def run_forward(
    cell: str,
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    state: Sequence[torch.Tensor] | None,
    lengths: torch.Tensor | None,
    *,
    reverse: bool,
    keep: bool,
) -> ForwardPass:
    """Run one layer in one direction; `keep` what the backward pass needs.

    The other parameters are those of `recurrence`.
    """
    n_steps, n_rows, n_inputs = x.shape
    n_sums, n_units = weights[1].shape
    dtype = x.dtype
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih": (n_sums, n_inputs),
        "weight_hh": (N_GATES[cell] * n_units, n_units),
        "bias_ih": (n_sums,),
        "bias_hh": (n_sums,),
    }
    for weight, (name, shape) in zip(weights, shapes.items(), strict=True):
        check_array(weight, name, dtype, shape)
    for part in state or ():
        check_array(part, "the state", dtype, (1, n_rows, n_units))
    order = None
    if lengths is not None:
        check_array(lengths, "lengths", torch.int64, (n_rows,))
        order = torch.argsort(lengths, descending=True, stable=True)
        x, lengths = x[:, order], lengths[order]
    padded = round_up(n_units, x.itemsize)
    # Values after the end of a sequence are undefined, but have to be finite.
    allocate = x.new_empty if lengths is None else x.new_zeros
    parts = [allocate(n_steps + 1, n_rows, padded) for _ in range(1 + (cell == "lstm"))]
    begin: int | torch.Tensor = 0
    if reverse:
        begin = torch.full((n_rows,), n_steps) if lengths is None else lengths
    rows = torch.arange(n_rows)
    if not state:
        for part in parts:
            part[begin, rows] = 0
    else:
        for part, initial in zip(parts, state, strict=True):
            initial = pad(initial[0], (0, padded - n_units))
            part[begin, rows] = initial if order is None else initial[order]
    n_kept_steps = n_steps if keep else 1
    w_ih, w_hh, b_ih, b_hh = (weight.detach().contiguous() for weight in weights)
    forward_pass = ForwardPass(
        cell=cell,
        reverse=reverse,
        order=order,
        lengths=lengths,
        x=x.contiguous(),
        w_ih=w_ih,
        w_hh=w_hh,
        b_ih=b_ih,
        b_hh=b_hh,
        h=parts[0],
        c=parts[1] if cell == "lstm" else None,
        gates=x.new_empty(n_kept_steps, n_rows, N_KEPT[cell] * padded),
    )
    run_kernel("recurrence_forward", forward_pass.struct(not keep))
    return forward_pass


class CompiledRecurrence(torch.autograd.Function):
    """The compiled kernels as a differentiable function of torch.

    ``apply(cell, lengths, reverse, x, w_ih, w_hh, b_ih, b_hh, *state)`` returns the
    states after each step, and the last state.
    """

    @staticmethod
    def forward(ctx, cell, lengths, reverse, x, *weights_and_state):
        """Run the forward pass."""
        weights, state = weights_and_state[:4], weights_and_state[4:]
        run = run_forward(
            cell, x, weights, state or None, lengths, reverse=reverse, keep=True
        )
        is_kept = [isinstance(part, torch.Tensor) for part in run]
        ctx.save_for_backward(
            *(p for p, kept in zip(run, is_kept, strict=True) if kept)
        )
        ctx.rest = [None if kept else p for p, kept in zip(run, is_kept, strict=True)]
        ctx.is_kept, ctx.gates_are_used = is_kept, False
        ctx.set_materialize_grads(False)
        outputs, last = run.outputs()
        return (outputs, *(part.clone() for part in last))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_outputs, *grad_last):
        """Run the backward pass."""
        saved = iter(ctx.saved_tensors)
        parts = zip(ctx.rest, ctx.is_kept, strict=True)
        run = ForwardPass(*(next(saved) if kept else part for part, kept in parts))
        n_steps, n_rows, n_inputs = run.x.shape
        n_units, missing = run.w_hh.shape[1], run.h.shape[2] - run.w_hh.shape[1]

        def padded(gradient):
            if run.order is not None:
                gradient = gradient[:, run.order]
            return pad(gradient, (0, missing)).contiguous()

        carries = [run.h.new_zeros(1, n_rows, run.h.shape[2]) for _ in range(2)]
        for carry, given in zip(carries, grad_last, strict=False):
            if given is not None:
                carry.copy_(padded(given))
        grad_x = None
        if ctx.needs_input_grad[3]:
            size = n_steps, n_rows, round_up(n_inputs, run.x.itemsize)
            grad_x = (run.x.new_empty if run.lengths is None else run.x.new_zeros)(size)
        weights = run.w_ih, run.w_hh, run.b_ih, run.b_hh
        gradients = [torch.zeros_like(weight) for weight in weights]
        # Gradients of sums overwrite the gates: a second backward pass, with
        # retain_graph=True, has to compute the gates again.
        if ctx.gates_are_used:
            run_kernel("recurrence_forward", run.struct(False))
        ctx.gates_are_used = True
        struct = run.struct(
            False,
            grad_h=None if grad_outputs is None else padded(grad_outputs),
            carry=carries[0],
            carry_c=carries[1],
            grad_x=grad_x,
            **dict(zip(GRADIENTS, gradients, strict=True)),
        )
        run_kernel("recurrence_backward", struct)
        inverse = slice(None) if run.order is None else torch.argsort(run.order)
        if grad_x is not None:
            grad_x = grad_x[:, inverse, :n_inputs]
        n_state = len(ctx.needs_input_grad) - 8
        grad_state = [carry[:, inverse, :n_units] for carry in carries[:n_state]]
        return None, None, None, grad_x, *gradients, *grad_state
