"""A whole plain network as compiled loops: layers, a linear head, simple losses.

Everything between is kept in one room, of which the loops know the plan.
"""

import numba
import numpy as np

from sklearn_rnn.kernels._compiled import (
    add_product,
    add_weights,
    backward,
    forward,
    panel_of_columns,
    panel_of_rows,
    pointer_to,
    rows_at_once,
)
from sklearn_rnn.kernels._lanes import n_lanes
from sklearn_rnn.kernels._tiles import keep

__all__ = [
    "log_loss",
    "n_lanes",
    "network_backward",
    "network_forward",
    "room_for",
    "rows_at_once",
    "scale",
    "squared_error",
]


@numba.njit(cache=True, nogil=True)
def scale(x, center, factor, out):
    """Write ``(x - center) * factor``, computed in double, of steps (T, N, F)."""
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            for f in range(x.shape[2]):
                out[t, n, f] = (np.float64(x[t, n, f]) - center[f]) * factor[f]


@numba.njit(cache=True, nogil=True)
def _plan(n_layers, n_steps, n_rows, n_read, sizes):
    """Return where in the room each part begins, in numbers.

    Gates, states and other states of each layer; derivatives by states, twice, and
    those carried back; outputs and derivatives by them; the end; derivatives by what
    gates add up.
    """
    n_features, width, n_gates, n_outputs = sizes
    n_units = n_steps * n_rows * width
    n_states = n_units + n_rows * width
    of_layer = n_gates * n_units + 2 * n_states
    layers = np.arange(n_layers + 1) * of_layer
    slopes = layers[-1]
    # Tiles of derivatives read a register further than there are any.
    d_states = slopes + (n_units if n_gates == 1 else 4 * n_units) + 64
    d_below = d_states + max(n_units, n_steps * n_rows * n_features)
    carry = d_below + max(n_units, n_steps * n_rows * n_features)
    outputs = carry + 2 * n_rows * width
    d_outputs = outputs + n_read * n_outputs
    end = d_outputs + n_read * n_outputs + 64
    return layers, d_states, d_below, carry, outputs, d_outputs, end, slopes


@numba.njit(cache=True, nogil=True)
def room_for(n_layers, n_steps, n_rows, n_read, sizes):
    """Return how many numbers the room holds, and where outputs and theirs begin."""
    plan = _plan(n_layers, n_steps, n_rows, n_read, sizes)
    return plan[6], plan[4], plan[5]


@numba.njit(cache=True, nogil=True)
def network_forward(cell, one, x, layers, head, lengths, room, sizes):
    """Run all layers and the head.

    Parameters
    ----------
    cell : tuple
        Its length is the key in `ARITHMETIC`.
    one : float32 or float64
        Tells the type of all numbers.
    x : int
        Address of scaled inputs (T, N, F).
    layers : ndarray of int64 of shape (n_layers, 9)
        Addresses of each layer's four weights and four gradients, and its features.
    head : ndarray of int64 of shape (4,)
        Addresses of the head's weight and bias, and of their gradients.
    lengths : ndarray of int64 of shape (N,)
        Steps of each row.
    room : int
        Address of room for what is between.
    sizes : tuple of int
        T, whether every step is read, units, units and features and outputs with
        those that fill registers up, outputs, G, rows and numbers at once.
    """
    n_steps, each, n_units, width, filled, wide, n_outputs, n_gates, n_tile, lanes = (
        sizes
    )
    n_rows, n_layers = len(lengths), len(layers)
    n_read = n_steps * n_rows if each else n_rows
    plan = _plan(n_layers, n_steps, n_rows, n_read, (filled, width, n_gates, wide))
    n_units_of_steps = n_steps * n_rows * width
    n_states = n_units_of_steps + n_rows * width
    whole = numba.carray(pointer_to(room, one), plan[6])
    itemsize = whole.itemsize
    by, above = layers[0, 8], x
    for k in range(n_layers):
        gates = plan[0][k]
        states = gates + n_gates * n_units_of_steps
        extra = states + n_states
        whole[states : states + n_rows * width] = 0
        whole[extra : extra + n_rows * width] = 0
        w = layers[k]
        forward(
            cell, one, above, w[0], w[1], w[2], w[3], room + gates * itemsize,
            room + states * itemsize, room + extra * itemsize, lengths,
            (n_steps, w[8], by, n_units, width, n_gates, n_tile, lanes, 0),
        )  # fmt: skip
        above, by = room + (states + n_rows * width) * itemsize, width
    read = above if each else above + (n_steps - 1) * n_rows * width * itemsize
    weights = numba.carray(pointer_to(head[0], one), (1, n_outputs, n_units))
    bias = np.zeros(wide, dtype=whole.dtype)
    bias[:n_outputs] = numba.carray(pointer_to(head[1], one), n_outputs)
    panel = panel_of_rows(weights, wide, lanes, 1)
    add_product(
        one, read, n_units, width, panel.ctypes.data, bias.ctypes.data, 0,
        room + plan[4] * itemsize, wide, n_read, (wide, lanes),
    )  # fmt: skip
    keep(bias)
    keep(panel)


@numba.njit(cache=True, nogil=True)
def network_backward(cell, one, x, layers, head, lengths, room, sizes, d_x):
    """Run derivatives by the outputs back, and add the gradient to the weights'.

    Parameters
    ----------
    cell, one, x, layers, head, lengths, room, sizes
        As `network_forward` had and left them; derivatives by outputs are in the room.
    d_x : int
        Address of room for derivatives by the inputs, as `backward` has it, or 0.
    """
    n_steps, each, n_units, width, filled, wide, n_outputs, n_gates, n_tile, lanes = (
        sizes
    )
    n_rows, n_layers = len(lengths), len(layers)
    n_read = n_steps * n_rows if each else n_rows
    plan = _plan(n_layers, n_steps, n_rows, n_read, (filled, width, n_gates, wide))
    n_units_of_steps = n_steps * n_rows * width
    n_states = n_units_of_steps + n_rows * width
    whole = numba.carray(pointer_to(room, one), plan[6])
    itemsize = whole.itemsize
    slopes = room + plan[5] * itemsize
    carry, n_carried = plan[3], n_rows * width
    whole[carry : carry + 2 * n_carried] = 0
    last = plan[0][n_layers - 1] + n_gates * n_units_of_steps + n_carried
    read = last if each else last + (n_steps - 1) * n_carried
    weights = numba.carray(pointer_to(head[0], one), (1, n_outputs, n_units))
    add_weights(
        one, room + read * itemsize, width, slopes, wide, head[2], 0, n_units,
        (n_read, wide, 1, n_outputs, wide, lanes),
    )  # fmt: skip
    d_bias = numba.carray(pointer_to(head[3], one), n_outputs)
    for row in range(n_read):
        for k in range(n_outputs):
            d_bias[k] += whole[plan[5] + row * wide + k]
    panel = panel_of_columns(weights, wide, width, lanes)
    nothing = np.zeros(max(width, filled), dtype=whole.dtype)
    d_read = plan[1] if each else carry
    add_product(
        one, slopes, wide, wide, panel.ctypes.data, nothing.ctypes.data, 0,
        room + d_read * itemsize, width, n_read, (width, lanes),
    )  # fmt: skip
    keep(nothing)
    keep(panel)
    # Where only the last state is read, zeros stand for all steps.
    d_states, d_below, every_step = plan[1], plan[2], each
    if not each:
        whole[d_states : d_states + n_carried] = 0
    for k in range(n_layers - 1, -1, -1):
        gates = plan[0][k]
        states = gates + n_gates * n_units_of_steps
        extra = states + n_states
        w = layers[k]
        above, by, down = x, w[8], d_x
        if k:
            below = plan[0][k - 1] + n_gates * n_units_of_steps + n_carried
            above, by = room + below * itemsize, width
            down = room + d_below * itemsize
        backward(
            cell, one, above, w[0], w[1], room + gates * itemsize,
            room + states * itemsize, room + extra * itemsize, lengths,
            room + d_states * itemsize, every_step, room + carry * itemsize,
            room + (carry + n_carried) * itemsize, room + plan[7] * itemsize, down,
            w[4], w[5], w[6], w[7],
            (n_steps, w[8], by, n_units, width, n_gates, n_tile, lanes, 0),
        )  # fmt: skip
        d_states, d_below, every_step = d_below, d_states, 1
        whole[carry : carry + 2 * n_carried] = 0


@numba.njit(cache=True, nogil=True)
def squared_error(outputs, targets, weights, slopes, share):
    """Return the weighted mean squared error; write its slopes, times a share."""
    n_rows, n_outputs = targets.shape
    loss = 0.0
    for row in range(n_rows):
        weight = 1.0 if len(weights) == 0 else np.float64(weights[row])
        for k in range(n_outputs):
            error = outputs[row, k] - targets[row, k]
            loss += weight * np.float64(error) * error
            slopes[row, k] = 2.0 * weight * error / (n_rows * n_outputs) * share
        slopes[row, n_outputs:] = 0
    return loss / (n_rows * n_outputs)


@numba.njit(cache=True, nogil=True)
def log_loss(outputs, codes, weights, slopes, share, n_classes):
    """Return the weighted mean cross-entropy; write its slopes, times a share."""
    n_rows = len(codes)
    loss = 0.0
    for row in range(n_rows):
        weight = 1.0 if len(weights) == 0 else np.float64(weights[row])
        largest = np.float64(outputs[row, 0])
        for k in range(1, n_classes):
            # NaN has to stay: a comparison with it is false.
            if not outputs[row, k] <= largest:
                largest = np.float64(outputs[row, k])
        total = 0.0
        for k in range(n_classes):
            total += np.exp(outputs[row, k] - largest)
        loss += weight * (np.log(total) + largest - outputs[row, codes[row]])
        for k in range(n_classes):
            slope = np.exp(outputs[row, k] - largest) / total
            if k == codes[row]:
                slope -= 1.0
            slopes[row, k] = weight * slope / n_rows * share
        slopes[row, n_classes:] = 0
    return loss / n_rows
