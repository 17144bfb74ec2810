"""What is around a plain network's layers, as compiled loops: inputs, head, loss."""

import numba
import numpy as np

from sklearn_rnn.kernels._compiled import (
    add_product,
    add_weights,
    address_of,
    panel_of_columns,
    panel_of_rows,
    pointer_to,
    write_product,
)
from sklearn_rnn.kernels._compiler import compiled
from sklearn_rnn.kernels._tiles import keep


@compiled
def scale(x, center, factor, out):
    """Write ``(x - center) * factor``, computed in double, of steps (T, N, F)."""
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            for f in range(x.shape[2]):
                out[t, n, f] = (np.float64(x[t, n, f]) - center[f]) * factor[f]


@compiled
def head_forward(one, states, weight, bias, outputs, sizes):
    """Compute what a linear head makes of states.

    Parameters
    ----------
    one : float32 or float64
        Tells the type of all numbers.
    states : int
        Address of the states (n_rows, width).
    weight, bias : int
        Addresses of the head's weights.
    outputs : int
        Address of room (n_rows, wide).
    sizes : tuple of int
        Rows, units, units and outputs with those that fill registers up, outputs,
        and numbers of a register.
    """
    n_rows, n_units, width, wide, n_outputs, n_lanes = sizes
    weights = numba.carray(pointer_to(weight, one), (1, n_outputs, n_units))
    start = np.zeros(wide, dtype=weights.dtype)
    given = numba.carray(pointer_to(bias, one), n_outputs)
    for k in range(n_outputs):
        start[k] = given[k]
    panel = panel_of_rows(weights, width, wide, n_lanes, np.int64(1))
    add_product(
        one, states, width, width, address_of(panel), address_of(start), np.int64(0),
        outputs, wide, n_rows, (wide, n_lanes),
    )  # fmt: skip
    keep(start)
    keep(panel)


@compiled
def head_backward(one, states, weight, slopes, d_weight, d_bias, d_states, sizes):
    """Compute derivatives by states, and add those by a linear head's weights.

    Parameters
    ----------
    one, states, weight, sizes
        As `head_forward` had them.
    slopes : int
        Address of derivatives by the outputs (n_rows, wide), and a register more:
        the last tile reads that far.
    d_weight, d_bias : int
        Addresses of what derivatives are added to.
    d_states : int
        Address of room (n_rows, width).
    """
    n_rows, n_units, width, wide, n_outputs, n_lanes = sizes
    shape = n_rows, wide, np.int64(1), n_outputs, wide, n_lanes
    add_weights(one, states, width, slopes, wide, d_weight, np.int64(0), n_units, shape)
    given = numba.carray(pointer_to(slopes, one), (n_rows, wide))
    to_bias = numba.carray(pointer_to(d_bias, one), n_outputs)
    for row in range(n_rows):
        for k in range(n_outputs):
            to_bias[k] += given[row, k]
    weights = numba.carray(pointer_to(weight, one), (1, n_outputs, n_units))
    panel = panel_of_columns(weights, wide, width, n_lanes)
    write_product(one, slopes, wide, wide, panel, d_states, width, n_rows, n_lanes)


@compiled
def squared_error(outputs, targets, weights, slopes, share):
    """Return the weighted mean squared error; write its slopes, times a share.

    Parameters
    ----------
    outputs, slopes : ndarray of shape (N, wide)
        Outputs, and room for derivatives by them.
    targets : ndarray of shape (N, n_outputs)
        The targets.
    weights : ndarray of shape (N,) or (0,)
        What each row counts; 1 if there are none.
    share : float
        What slopes are multiplied with.
    """
    n_rows, n_outputs = targets.shape
    loss = 0.0
    for row in range(n_rows):
        weight = 1.0 if len(weights) == 0 else np.float64(weights[row])
        for k in range(slopes.shape[1]):
            slopes[row, k] = 0.0
        for k in range(n_outputs):
            error = np.float64(outputs[row, k] - targets[row, k])
            loss += weight * error * error
            slopes[row, k] = 2.0 * weight * error / (n_rows * n_outputs) * share
    return loss / (n_rows * n_outputs)


@compiled
def log_loss(outputs, codes, weights, slopes, share, n_classes):
    """Return the weighted mean cross-entropy; write its slopes, times a share.

    Parameters
    ----------
    outputs, weights, slopes, share
        As for `squared_error`.
    codes : ndarray of int64 of shape (N,)
        Of the classes.
    n_classes : int
        Outputs that count.
    """
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
        for k in range(slopes.shape[1]):
            slopes[row, k] = 0.0
        for k in range(n_classes):
            slope = np.exp(outputs[row, k] - largest) / total
            if k == codes[row]:
                slope -= 1.0
            slopes[row, k] = weight * slope / n_rows * share
    return loss / n_rows
