"""The recurrence as compiled loops: gates and their products in one pass.

Rows of a batch do not meet, so a few of them at a time go through all steps, while
their states stay in the nearest cache. Products with inputs, and derivatives by
weights, are single products over all steps.

Numba keeps what it compiled on disk, and looks at the date of this file alone to tell
whether it is still true: who changes tiles, cells or lanes has to touch this one.
"""

import numba
import numpy as np

from sklearn_rnn.kernels._cells import LSTM, rows_at_once
from sklearn_rnn.kernels._compiler import compiled
from sklearn_rnn.kernels._lanes import n_lanes
from sklearn_rnn.kernels._tiles import (
    OUTER_COLUMNS,
    PRODUCT_ROWS,
    forward_tile,
    keep,
    outer_tile,
    pointer_to,
    product_tile,
    slopes_tile,
)

__all__ = [
    "address_of",
    "add_product",
    "add_weights",
    "backward",
    "forward",
    "n_lanes",
    "panel_of_columns",
    "panel_of_rows",
    "pointer_to",
    "rows_at_once",
    "write_product",
]

# Rows that go into weights' derivatives at a time: what a processor's cache holds.
OUTER_DEPTH = 256


@compiled
def address_of(array):
    """Return where an array's numbers are; whoever asks has to `keep` it."""
    return np.int64(array.ctypes.data)


@compiled
def panel_of_rows(weights, depth, width, n_lanes, n_together):
    """Return weights (n_gates, n_units, any) as a tile reads its columns.

    Units come `n_lanes` at a time, those of `n_together` gates side by side; zeros
    stand for the units up to `width`, and for columns up to `depth`.
    """
    n_gates, n_units, n_given = weights.shape
    panel = np.zeros(n_gates * width * depth, dtype=weights.dtype)
    by = n_together * n_lanes
    for g in range(n_gates):
        first = (g // n_together) * width * depth * n_together
        first += (g % n_together) * n_lanes
        for unit in range(n_units):
            place = first + (unit // n_lanes) * depth * by + unit % n_lanes
            for k in range(n_given):
                panel[place + k * by] = weights[g, unit, k]
    return panel


@compiled
def panel_of_columns(weights, width, n_columns, n_lanes):
    """Return weights (n_gates, n_units, any) as a tile reads them on the way back.

    Columns come `n_lanes` at a time, for all units of all gates; zeros stand for the
    units up to `width` and columns up to `n_columns`.
    """
    n_gates, n_units, n_given = weights.shape
    depth = n_gates * width
    panel = np.zeros(depth * n_columns, dtype=weights.dtype)
    for g in range(n_gates):
        for unit in range(n_units):
            place = (g * width + unit) * n_lanes
            for column in range(n_given):
                block = (column // n_lanes) * depth * n_lanes
                panel[place + block + column % n_lanes] = weights[g, unit, column]
    return panel


@compiled
def _padded_bias(one, address, n_gates, n_units, width):
    """Return a bias (n_gates * n_units) with zeros for the units up to `width`."""
    given = numba.carray(pointer_to(address, one), n_gates * n_units)
    padded = np.zeros(n_gates * width, dtype=given.dtype)
    for g in range(n_gates):
        for unit in range(n_units):
            padded[g * width + unit] = given[g * n_units + unit]
    return padded


@compiled
def add_product(one, a, depth, a_by, panel, start, start_by, out, out_by, n_rows, n):
    """Write ``start + a @ panel`` for all rows and the `n` columns of a panel."""
    n_lanes = n[1]
    for row in range(0, n_rows, PRODUCT_ROWS):
        n_here = min(PRODUCT_ROWS, n_rows - row)
        for column in range(0, n[0], n_lanes):
            product_tile(
                one, a, panel, start, out, n_here, depth, row * a_by, a_by,
                column * depth, row * start_by + column, start_by,
                row * out_by + column, out_by,
            )  # fmt: skip


@compiled
def write_product(one, a, depth, a_by, panel, out, n_columns, n_rows, n_lanes):
    """Write ``a @ panel`` for all rows."""
    nothing = np.zeros(n_columns, dtype=panel.dtype)
    add_product(
        one, a, depth, a_by, address_of(panel), address_of(nothing), np.int64(0), out,
        n_columns, n_rows, (n_columns, n_lanes),
    )  # fmt: skip
    keep(panel)
    keep(nothing)


@compiled
def forward(cell, one, x, w_ih, w_hh, b_ih, b_hh, gates, states, extra, lengths, sizes):
    """Run all rows through all steps.

    Parameters
    ----------
    cell : tuple
        Its length is the key in `ARITHMETIC`.
    one : float32 or float64
        Tells the type of all numbers.
    x : int
        Address of the inputs (T, N, F).
    w_ih, w_hh, b_ih, b_hh : int
        Addresses of the weights, in torch's layout.
    gates : int
        Address of room (T, N, G * width) for what the way back needs of the gates.
    states, extra : int
        Addresses of (T + 1, N, width), before and after each step: the states, and
        the LSTM's other states or the products of the GRU's new gate. The first ones
        are there already.
    lengths : ndarray of int64 of shape (N,)
        Steps of each row.
    sizes : tuple of int
        T, F, how far the inputs of two rows are apart, units, units with those that
        fill registers up, G, rows and numbers at once, and whether to run backwards.
    """
    n_steps, n_features, x_by, n_units, width, n_gates, n_tile, n_lanes, backwards = (
        sizes
    )
    n_all = len(lengths)
    by_inputs = numba.carray(pointer_to(w_ih, one), (n_gates, n_units, n_features))
    by_states = numba.carray(pointer_to(w_hh, one), (n_gates, n_units, n_units))
    start = _padded_bias(one, b_ih, n_gates, n_units, width)
    bias = _padded_bias(one, b_hh, n_gates, n_units, width)
    panel = panel_of_rows(by_inputs, n_features, width, n_lanes, np.int64(1))
    add_product(
        one, x, n_features, x_by, address_of(panel), address_of(start), np.int64(0),
        gates, n_gates * width, n_steps * n_all, (n_gates * width, n_lanes),
    )  # fmt: skip
    keep(panel)
    keep(start)
    panel = panel_of_rows(by_states, width, width, n_lanes, n_gates)
    rest = np.empty(n_tile, dtype=np.int64)
    whole = (n_steps + 1) * n_all * width
    all_states = numba.carray(pointer_to(states, one), whole)
    all_extra = numba.carray(pointer_to(extra, one), whole)
    for row in range(0, n_all, n_tile):
        n_rows = min(n_tile, n_all - row)
        longest = lengths[row]
        for r in range(1, n_rows):
            longest = max(longest, lengths[row + r])
        for s in range(n_steps):
            step = n_steps - 1 - s if backwards else s
            before = ((step + backwards) * n_all + row) * width
            after = ((step + 1 - backwards) * n_all + row) * width
            if step >= longest:
                for k in range(n_rows * width):
                    all_states[after + k] = all_states[before + k]
                    if len(cell) == LSTM:
                        all_extra[after + k] = all_extra[before + k]
                continue
            for r in range(n_rows):
                rest[r] = lengths[row + r] - step
            gates_at = (step * n_all + row) * n_gates * width
            for unit in range(0, width, n_lanes):
                forward_tile(
                    cell, one, gates, states, extra, address_of(panel),
                    address_of(bias), n_rows, width, unit, address_of(rest), gates_at,
                    before, after,
                )  # fmt: skip
    keep(panel)
    keep(bias)
    keep(rest)


@compiled
def backward(
    cell, one, x, w_ih, w_hh, gates, states, extra, lengths, d_states, every_step,
    carry, carry_c, slopes, d_x, d_w_ih, d_w_hh, d_b_ih, d_b_hh, sizes,
):  # fmt: skip
    """Run derivatives of all rows back through all steps.

    Parameters
    ----------
    cell, one, x, w_ih, w_hh, gates, states, extra, lengths, sizes
        As `forward` had and left them.
    d_states : int
        Address of derivatives by the states after each step (T, N, width), or of
        zeros (N, width) that stand for all steps.
    every_step : int
        1 if there are derivatives by the states after each step, else 0.
    carry, carry_c : int
        Addresses of derivatives by the last states (N, width), where those by the
        first ones are left.
    slopes : int
        Address of room for derivatives by what the gates add up, (T, N, width) of
        plain cells, (T, N, 4 * width) of others, and a register more: the last tile
        reads that far.
    d_x : int
        Address of room for derivatives by the inputs (T, N, F), F filled up to whole
        registers; 0 if they are not asked for.
    d_w_ih, d_w_hh, d_b_ih, d_b_hh : int
        Addresses of what derivatives by the weights are added to.
    """
    n_steps, n_features, x_by, n_units, width, n_gates, n_tile, n_lanes, backwards = (
        sizes
    )
    n_all = len(lengths)
    n_sums = n_gates * width
    by = n_sums if n_gates == 1 else 4 * width
    by_inputs = numba.carray(pointer_to(w_ih, one), (n_gates, n_units, n_features))
    by_states = numba.carray(pointer_to(w_hh, one), (n_gates, n_units, n_units))
    panel = panel_of_columns(by_states, width, width, n_lanes)
    through_product = (by - n_sums) * panel.itemsize
    for row in range(0, n_all, n_tile):
        n_rows = min(n_tile, n_all - row)
        for s in range(n_steps):
            step = s if backwards else n_steps - 1 - s
            before = ((step + backwards) * n_all + row) * width
            after = ((step + 1 - backwards) * n_all + row) * width
            first = step * n_all + row
            d_at = (step * n_all * every_step + row) * width
            for r in range(n_rows):
                valid = step < lengths[row + r]
                for unit in range(0, width, n_lanes):
                    at = r * width + unit
                    slopes_tile(
                        cell, one, gates, states, extra, d_states, carry, carry_c,
                        slopes, width, valid, (first + r) * n_sums + unit,
                        before + at, after + at, d_at + at, row * width + at,
                        (first + r) * by + unit,
                    )  # fmt: skip
            here = slopes + through_product + first * by * panel.itemsize
            there = carry + row * width * panel.itemsize
            add_product(
                one, here, n_sums, by, address_of(panel), there, width, there, width,
                n_rows, (width, n_lanes),
            )  # fmt: skip
    keep(panel)
    # By inputs, the GRU's new gate comes first and not last.
    turned = np.int64(1 if n_gates == 3 else 0)
    before = states + (n_all * width * panel.itemsize if backwards else 0)
    shape = n_steps * n_all, n_sums, n_gates, n_units, width, n_lanes
    add_weights(one, x, x_by, slopes, by, d_w_ih, turned, n_features, shape)
    add_weights(
        one,
        before,
        width,
        slopes + through_product,
        by,
        d_w_hh,
        np.int64(0),
        n_units,
        shape,
    )
    _add_biases(one, slopes, by, d_b_ih, d_b_hh, turned, shape)
    if d_x:
        _write_by_inputs(one, slopes, by, by_inputs, turned, d_x, shape)


@compiled
def _add_biases(one, slopes, by, d_b_ih, d_b_hh, turned, shape):
    """Add sums over all rows to derivatives by both biases (n_gates, n_units)."""
    n_rows, n_sums, n_gates, n_units, width, _ = shape
    given = numba.carray(pointer_to(slopes, one), n_rows * by)
    sums = np.zeros(by, dtype=given.dtype)
    for row in range(n_rows):
        for k in range(by):
            sums[k] += given[row * by + k]
    to_b_ih = numba.carray(pointer_to(d_b_ih, one), (n_gates, n_units))
    to_b_hh = numba.carray(pointer_to(d_b_hh, one), (n_gates, n_units))
    for g in range(n_gates):
        of_inputs = (g + turned) % n_gates * width
        of_product = by - n_sums + g * width
        for unit in range(n_units):
            to_b_ih[g, unit] += sums[of_inputs + unit]
            to_b_hh[g, unit] += sums[of_product + unit]


@compiled
def _write_by_inputs(one, slopes, by, weights, turned, d_x, shape):
    """Write derivatives by the inputs, whose features are filled up."""
    n_rows, n_sums, n_gates, n_units, width, n_lanes = shape
    ordered = np.empty(weights.shape, dtype=weights.dtype)
    for g in range(n_gates):
        for unit in range(n_units):
            for k in range(weights.shape[2]):
                ordered[(g + turned) % n_gates, unit, k] = weights[g, unit, k]
    n_columns = -(-weights.shape[2] // n_lanes) * n_lanes
    panel = panel_of_columns(ordered, width, n_columns, n_lanes)
    write_product(one, slopes, n_sums, by, panel, d_x, n_columns, n_rows, n_lanes)


@compiled
def add_weights(one, a, a_by, slopes, by, d_weights, turned, n_columns, sizes):
    """Add ``slopes.T @ a`` to derivatives by weights (n_gates, n_units, n_columns)."""
    n_rows, n_sums, n_gates, n_units, width, n_lanes = sizes
    together = OUTER_COLUMNS * n_lanes
    out_by = -(-n_sums // together) * together
    out = np.zeros((n_columns, out_by), dtype=type(one))
    for row in range(0, n_rows, OUTER_DEPTH):
        depth = min(OUTER_DEPTH, n_rows - row)
        for k in range(0, n_columns, PRODUCT_ROWS):
            n_here = min(PRODUCT_ROWS, n_columns - k)
            for column in range(0, n_sums, together):
                outer_tile(
                    one, a, slopes, address_of(out), n_here, depth, row * a_by + k,
                    a_by, row * by + column, by, k * out_by + column, out_by,
                )  # fmt: skip
    given = numba.carray(pointer_to(d_weights, one), (n_gates, n_units, n_columns))
    for g in range(n_gates):
        first = (g + turned) % n_gates * width
        for unit in range(n_units):
            for k in range(n_columns):
                given[g, unit, k] += out[k, first + unit]
