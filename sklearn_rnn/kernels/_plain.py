"""A plain network by compiled loops: room for what is between, and the calls."""

from itertools import accumulate

import numpy as np
import torch

from sklearn_rnn.kernels._fused import CELLS, ONE, filled_up
from sklearn_rnn.kernels._optional import loops

# Parts of the room begin at multiples of so many numbers.
ALIGNMENT = 16
NOTHING = {dtype: np.empty(0, dtype=type(one)) for dtype, one in ONE.items()}


class PlainLoops:
    """Recurrent layers and a linear head, forwards and back, batch by batch.

    Nothing that a batch needs is made anew for it: the room stays, and addresses of
    weights and gradients are taken once.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The cell of all layers.
    layers : list of list of Parameter
        Each layer's ``weight_ih, weight_hh, bias_ih, bias_hh``.
    weight, bias : Parameter
        Of the head.
    each : bool
        Whether the head reads the state of every step, or the last one.
    learns : bool, default=True
        Whether there is a way back, which adds to the weights' gradients.
    with_x : bool, default=False
        Whether it goes back to the inputs.
    """

    def __init__(self, cell, layers, weight, bias, each, learns=True, with_x=False):
        self._learns, self._with_x = learns, with_x
        self._layer_loops = loops("_compiled")
        self._loops = loops("_network_loops")
        self._weights = [*layers, (weight, bias)]
        # The numbers themselves, which their owners may exchange for others.
        self._held = [w.detach() for ws in self._weights for w in ws]
        self._code, self._n_gates, self._n_slopes = CELLS[cell]
        self._each = each
        self._one = ONE[weight.dtype]
        self._like = weight.detach()
        self._n_outputs, self._n_units = weight.shape
        self._addresses = [_addresses(ws, learns) for ws in self._weights]
        self._held += [w.grad for ws in self._weights for w in ws if learns]
        self._n_features = layers[0][0].shape[1]
        self._room = self._like.new_empty(0)
        self._shape = None

    def scale(self, x, center, factor):
        """Take a batch in as ``(x - center) * factor``, computed in double.

        Parameters
        ----------
        x : Tensor of shape (T, N, F)
            Of any type of number.
        center, factor : ndarray of float64 of shape (F,)
            The scaling.

        Returns
        -------
        Tensor of shape (T, N, F)
            What is computed with, of the weights' type.
        """
        self._make_room(x.shape)
        if x.dtype not in ONE:
            x = x.double()
        self._loops.scale(x.numpy(), center, factor, self._arrays[0])
        return self._x

    def take(self, x):
        """Take a batch in as it is.

        Parameters
        ----------
        x : Tensor of shape (T, N, F)
            Of the weights' type.
        """
        self._make_room(x.shape)
        self._x.copy_(x)

    def _make_room(self, shape):
        """Find a place for all that a batch of this shape needs."""
        if shape == self._shape:
            return
        if shape[2] != self._n_features:
            raise ValueError(
                f"the batch has {shape[2]} features a step, and the weights are for "
                f"{self._n_features}."
            )
        self._shape = n_steps, n_rows, n_features = shape
        lanes = self._layer_loops.n_lanes(self._like.itemsize)
        width, filled, wide = (
            filled_up(n, self._like)
            for n in (self._n_units, n_features, self._n_outputs)
        )
        n_read = n_steps * n_rows if self._each else n_rows
        n_numbers = n_steps * n_rows * width
        n_states = n_numbers + n_rows * width
        of_layer = [self._n_gates * n_numbers, n_states, n_states]
        sizes = [n_steps * n_rows * n_features, *of_layer * (len(self._weights) - 1)]
        sizes += [n_read * wide]
        # The last tiles of derivatives read a register further than there are any.
        back = [self._n_slopes * n_numbers + lanes, n_read * wide + lanes]
        back += [
            2 * n_rows * width,
            *self._sizes_of_derivatives(n_rows * width, filled),
        ]
        sizes += back if self._learns else [0] * len(back)
        aligned = [-(-size // ALIGNMENT) * ALIGNMENT for size in sizes]
        ends = list(accumulate(aligned))
        if len(self._room) < ends[-1]:
            self._room = self._like.new_empty(ends[-1])
        parts = [
            self._room[end - taken :][:size]
            for end, taken, size in zip(ends, aligned, sizes, strict=True)
        ]
        self._x = parts[0].view(shape)
        *of_layers, outputs, slopes, d_outputs, carry, d_states, d_below = parts[1:]
        self._states = [states.view(-1, n_rows, width) for states in of_layers[1::3]]
        self._extra = [extra.view(-1, n_rows, width) for extra in of_layers[2::3]]
        self._gates = [gates.data_ptr() for gates in of_layers[::3]]
        self._slopes, self._d_states, self._d_below = slopes, d_states, d_below
        self._carry = carry.view(2, -1, width)
        # A step's rows lie together: (T, N, outputs) where every step is read.
        places = (n_steps, n_rows, wide) if self._each else (n_rows, wide)
        self._outputs = outputs.view(places)
        self._d_outputs = d_outputs[: n_read * wide].view(-1, *places[1:])
        self._whole = np.full(n_rows, n_steps)
        self._head_sizes = (
            *(n_read, self._n_units, width, wide, self._n_outputs, lanes),
        )
        at_once = self._layer_loops.rows_at_once(self._n_gates)
        self._sizes = [
            (n_steps, n_in, by, self._n_units, width, self._n_gates, at_once, lanes, 0)
            for n_in, by in [(n_features, n_features)]
            + [(self._n_units, width)] * (len(self._weights) - 2)
        ]
        self._arrays = self._x.numpy(), self._outputs.numpy(), self._d_outputs.numpy()
        self._layers, self._read = self._of_layers(), self._address_of_read()

    def _sizes_of_derivatives(self, of_step, filled):
        """Return how many derivatives by states, or by inputs, are kept: twice."""
        n_steps, n_rows, _ = self._shape
        if len(self._weights) > 2 or self._with_x:
            return [n_steps * max(of_step, n_rows * filled * self._with_x)] * 2
        # Where only the last state is read, zeros stand for all steps.
        return [n_steps * of_step if self._each else of_step, 0]

    def _of_layers(self):
        """Return of each layer: inputs, weights, gates, states, other states, sizes."""
        inputs = [self._x, *(states[1:] for states in self._states)]
        return list(
            zip(
                [x.data_ptr() for x in inputs[:-1]],
                self._addresses[:-1],
                self._gates,
                [states.data_ptr() for states in self._states],
                [extra.data_ptr() for extra in self._extra],
                self._sizes,
                strict=True,
            )
        )

    def _address_of_read(self):
        """Return the address of the states that the head reads."""
        states = self._states[-1]
        return (states[1:] if self._each else states[-1]).data_ptr()

    def forward(self, lengths=None):
        """Run the batch that was taken in forwards.

        Parameters
        ----------
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.

        Returns
        -------
        Tensor of shape (N, n_outputs) or (T, N, n_outputs)
            The next batch overwrites it.
        """
        self._lengths = self._whole if lengths is None else lengths.numpy()
        for states, extra in zip(self._states, self._extra, strict=True):
            states[0].zero_()
            extra[0].zero_()
        for x, weights, gates, states, extra, sizes in self._layers:
            self._layer_loops.forward(
                *(self._code, self._one, x, *weights[:4], gates, states, extra),
                *(self._lengths, sizes),
            )
        weight, bias, *_ = self._addresses[-1]
        outputs = self._outputs.data_ptr()
        self._loops.head_forward(
            self._one, self._read, weight, bias, outputs, self._head_sizes
        )
        return self._outputs[..., : self._n_outputs]

    def simple_loss(self, loss, targets, weights, share):
        """Compute a simple loss, and its slopes.

        Parameters
        ----------
        loss : {"squared_error", "log_loss"}
            Which.
        targets : Tensor of shape (N, n_outputs) or (N,)
            Numbers or class codes.
        weights : Tensor of shape (N,) or None
            What each sequence counts.
        share : float
            What the slopes are multiplied with.

        Returns
        -------
        float
            The loss, before it is multiplied.
        """
        weights = NOTHING[self._like.dtype] if weights is None else weights.numpy()
        _, outputs, slopes = self._arrays
        arguments = outputs, targets.numpy(), weights, slopes
        if loss == "squared_error":
            return self._loops.squared_error(*arguments, share)
        return self._loops.log_loss(*arguments, share, self._n_outputs)

    def take_slopes(self, d_outputs):
        """Take in derivatives by the outputs.

        Parameters
        ----------
        d_outputs : Tensor of the shape of the outputs
            Of the loss.
        """
        self._d_outputs.zero_()
        self._d_outputs[..., : self._n_outputs] = d_outputs

    def backward(self):
        """Run the slopes back, and add the gradient to the weights'.

        Returns
        -------
        Tensor of shape (T, N, F) or None
            Derivatives by the batch, if it goes back so far.
        """
        _, n_rows, n_features = self._shape
        self._carry.zero_()
        d_states, d_below = self._d_states, self._d_below
        if not self._each:  # zeros stand for all steps; the last state's are carried
            d_states[: self._carry[0].numel()].zero_()
        weight, _, d_weight, d_bias = self._addresses[-1]
        self._loops.head_backward(
            *(self._one, self._read, weight, self._d_outputs.data_ptr()),
            *(d_weight, d_bias, (d_states if self._each else self._carry).data_ptr()),
            self._head_sizes,
        )
        every_step = int(self._each)
        for k in reversed(range(len(self._layers))):
            x, weights, gates, states, extra, sizes = self._layers[k]
            down = d_below.data_ptr() if k or self._with_x else 0
            self._layer_loops.backward(
                *(self._code, self._one, x, *weights[:2], gates, states, extra),
                *(self._lengths, d_states.data_ptr(), every_step),
                *(self._carry[0].data_ptr(), self._carry[1].data_ptr()),
                *(self._slopes.data_ptr(), down, *weights[4:], sizes),
            )
            d_states, d_below, every_step = d_below, d_states, 1
            self._carry.zero_()
        if not self._with_x:
            return None
        n_numbers = self._x.numel() // n_features * filled_up(n_features, self._x)
        return (
            d_states[:n_numbers]
            .view(-1, n_rows, filled_up(n_features, self._x))[:, :, :n_features]
            .clone()
        )


def _addresses(weights, learns):
    """Return addresses of weights, then of their gradients, or zeros."""
    if any(not weight.is_contiguous() for weight in weights):
        raise ValueError("the weights of compiled loops have to be contiguous.")
    gradients = [_gradient_of(w).data_ptr() if learns else 0 for w in weights]
    return [weight.data_ptr() for weight in weights] + gradients


def _gradient_of(weight):
    """Return a weight's gradient, contiguous, which begins with zeros."""
    if weight.grad is not None and weight.grad.shape != weight.shape:
        raise ValueError(
            f"a gradient has shape {tuple(weight.grad.shape)}, and its weight "
            f"{tuple(weight.shape)}."
        )
    if weight.grad is None or not weight.grad.is_contiguous():
        weight.grad = torch.zeros_like(weight, memory_format=torch.contiguous_format)
    return weight.grad
