"""A plain network by compiled loops: room for what is between, and the calls."""

import numpy as np
import torch

from sklearn_rnn.kernels._fused import CELLS, ONE
from sklearn_rnn.kernels._optional import loops

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
    """

    def __init__(self, cell, layers, weight, bias, each, learns=True):
        self._loops = loops("_network_loops")
        self._layers, self._head = layers, (weight, bias)
        self._cell, n_gates, _ = CELLS[cell]
        self._each = each
        self._one = ONE[weight.dtype]
        self._like = weight.detach()
        lanes = self._loops.n_lanes(weight.dtype.itemsize)
        n_outputs, self.n_units = weight.shape
        self.n_features = layers[0][0].shape[1]
        self._width, self._filled, self._wide = (
            -(-n // lanes) * lanes for n in (self.n_units, self.n_features, n_outputs)
        )
        self._n_outputs, self._n_gates = n_outputs, n_gates
        self._rest = (n_outputs, n_gates, self._loops.rows_at_once(n_gates), lanes)
        self._addresses = np.array(
            [[*_addresses(ws, learns), ws[0].shape[1]] for ws in layers]
        )
        self._head_addresses = np.array(_addresses(self._head, learns))
        self._room = self._x = self._like.new_empty(0)
        self._shape = self._whole = None

    def scale(self, x, center, factor):
        """Take a batch in as ``(x - center) * factor``, computed in double.

        Parameters
        ----------
        x : Tensor of shape (T, N, F)
            Of any type of number.
        center, factor : ndarray of float64 of shape (F,)
            The scaling.
        """
        self._make_room(x.shape)
        if x.dtype not in ONE:
            x = x.double()
        self._loops.scale(x.numpy(), center, factor, self._x_array)

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
        if shape == self._shape:
            return
        self._shape = shape
        n_steps, n_rows, n_features = shape
        n_read = n_steps * n_rows if self._each else n_rows
        n_numbers, outputs, slopes = self._loops.room_for(
            len(self._layers),
            n_steps,
            n_rows,
            n_read,
            (self._filled, self._width, self._n_gates, self._wide),
        )
        n_inputs = n_steps * n_rows * n_features
        if len(self._room) < n_numbers + n_inputs:
            self._room = self._like.new_empty(n_numbers + n_inputs)
        self._x = self._room[n_numbers : n_numbers + n_inputs].view(shape)
        self._x_array = self._x.numpy()
        self._x_address = self._x.data_ptr()
        # A step's rows lie together: (T, N, outputs) where every step is read.
        places = (n_steps, n_rows, self._wide) if self._each else (n_rows, self._wide)
        self._outputs, self._slopes = (
            self._room[begin : begin + n_read * self._wide].view(places)
            for begin in (outputs, slopes)
        )
        self._outputs_array = self._outputs.numpy()
        self._slopes_array = self._slopes.numpy()
        self._whole = np.full(n_rows, n_steps)
        self._sizes = (
            n_steps,
            int(self._each),
            self.n_units,
            self._width,
            self._filled,
            self._wide,
            *self._rest,
        )

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
        self._arguments = (
            self._cell,
            self._one,
            self._x_address,
            self._addresses,
            self._head_addresses,
            self._lengths,
            self._room.data_ptr(),
            self._sizes,
        )
        self._loops.network_forward(*self._arguments)
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
        arguments = self._outputs_array, targets.numpy(), weights, self._slopes_array
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
        self._slopes[..., : self._n_outputs] = d_outputs
        self._slopes[..., self._n_outputs :] = 0

    def backward(self, with_x=False):
        """Run the slopes back, and add the gradient to the weights'.

        Parameters
        ----------
        with_x : bool, default=False
            Whether derivatives by the batch are asked for.

        Returns
        -------
        Tensor of shape (T, N, F) or None
            Those derivatives.
        """
        d_x = None
        if with_x:
            n_steps, n_rows, n_features = self._shape
            d_x = self._like.new_empty(n_steps, n_rows, self._filled)
        self._loops.network_backward(*self._arguments, d_x.data_ptr() if with_x else 0)
        return d_x[:, :, :n_features] if with_x else None


def _addresses(weights, learns):
    """Return addresses of weights, then of their gradients, or zeros."""
    if any(not weight.is_contiguous() for weight in weights):
        raise ValueError("the weights of compiled loops have to be contiguous.")
    gradients = [_gradient_of(w).data_ptr() if learns else 0 for w in weights]
    return [weight.data_ptr() for weight in weights] + gradients


def _gradient_of(weight):
    """Return a weight's gradient, contiguous, which begins with zeros."""
    if weight.grad is None or not weight.grad.is_contiguous():
        weight.grad = torch.zeros_like(weight, memory_format=torch.contiguous_format)
    return weight.grad
