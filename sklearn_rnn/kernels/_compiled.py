"""The recurrence as compiled loops: gates and their products in one pass.

Numba compiles the loops, and the innermost ones are vectors of its compiler LLVM. Rows
of a batch do not meet, so a few of them at a time go through all steps, while their
states stay in the nearest cache. What is not here, products with inputs and the
gradients of weights, is a single matrix product over all steps elsewhere.

Numba keeps what it compiled on disk, and looks at the date of this file alone to tell
whether it is still true: who changes `_lanes.py` or `_cells.py` has to touch this one.
"""

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from sklearn_rnn.kernels._cells import ARITHMETIC, LSTM, rows_at_once
from sklearn_rnn.kernels._lanes import INT, Lanes, Memory, Place, n_lanes

__all__ = ["backward", "forward", "n_lanes", "rows_at_once"]


def _products(builder, start, rows, panel, panel_at, depth):
    """Return sums over `depth` of each row's numbers times a panel's registers.

    ``start[r][g]`` is what a sum begins with, ``rows[r]`` a row's memory and
    offset; result ``[r][g]`` are Lanes.
    """
    at = Place(builder)
    sums = [[cgutils.alloca_once_value(builder, s.value) for s in row] for row in start]
    n_columns, width = len(start[0]), panel.vector.count
    with cgutils.for_range(builder, depth) as loop:
        first = at(panel_at, (loop.index, n_columns * width))
        factors = [panel.lanes(at(first, g * width)) for g in range(n_columns)]
        for (memory, begin), row_sums in zip(rows, sums, strict=True):
            number = memory.one(at(begin, loop.index))
            for factor, total in zip(factors, row_sums, strict=True):
                before = Lanes(builder, builder.load(total))
                builder.store(number.times_plus(factor, before).value, total)
    return [[Lanes(builder, builder.load(s)) for s in row] for row in sums]


def _select(valid, lanes, otherwise):
    builder = lanes.builder
    return Lanes(builder, builder.select(valid, lanes.value, otherwise.value))


@intrinsic
def _pointer(typing, address, one):
    """Return an address as a pointer to numbers of the type of `one`."""

    def generate(context, builder, signature, args):
        kind = context.get_value_type(signature.return_type)
        return builder.inttoptr(args[0], kind)

    return types.CPointer(one)(address, one), generate


@intrinsic
def _forward_tile(
    typing, cell, one, gates, states, extra, panel, bias, n_rows, width, unit, rest,
    gates_at, before, after,
):  # fmt: skip
    """Compute some units of some rows: a step from `before` to `after`.

    `rest` holds the steps that are left of each row.
    """
    arithmetic = ARITHMETIC[len(cell)]
    n_gates = arithmetic.n_gates

    def generate(context, builder, signature, args):
        gates, states, extra, panel, bias = (
            Memory(builder, one, address) for address in args[2:7]
        )
        n_rows, width, unit, rest, gates_at, before, after = args[7:]
        at = Place(builder)
        rest = builder.inttoptr(rest, ir.IntType(64).as_pointer())
        start = [bias.lanes(at((g, width), unit)) for g in range(n_gates)]
        n_tile = rows_at_once(n_gates)
        last = builder.sub(n_rows, INT(1))
        rows = []
        for r in range(n_tile):
            exists = builder.icmp_signed("<", INT(r), n_rows)
            row = builder.select(exists, INT(r), last)
            rows.append((states, at(before, (row, width))))
        panel_at = at((unit, at((n_gates, width))))
        sums = _products(builder, [start] * n_tile, rows, panel, panel_at, width)
        for r, product in enumerate(sums):
            with builder.if_then(builder.icmp_signed("<", INT(r), n_rows)):
                now, then = (at(p, (r, width), unit) for p in (before, after))
                places = [
                    at(gates_at, (r * n_gates + g, width), unit) for g in range(n_gates)
                ]
                x = [gates.lanes(place) for place in places]
                h = states.lanes(now)
                c = extra.lanes(now) if arithmetic.has_two_states else None
                new, kept, new_c = arithmetic.forward(x, product, h, c)
                left = builder.load(builder.gep(rest, [INT(r)]))
                valid = builder.icmp_signed(">", left, INT(0))
                states.put(_select(valid, new, h), then)
                for gate, place in zip(kept, places if kept else [], strict=True):
                    gates.put(gate, place)
                if new_c is not None:
                    extra.put(new_c if c is None else _select(valid, new_c, c), then)
        return context.get_dummy_value()

    arguments = (
        cell, one, gates, states, extra, panel, bias, n_rows, width, unit, rest,
        gates_at, before, after,
    )  # fmt: skip
    return types.void(*arguments), generate


@intrinsic
def _slopes_tile(
    typing, cell, one, gates, states, extra, d_states, carry, carry_c, slopes, width,
    valid, gates_at, before, after, d_at, carry_at, slopes_at,
):  # fmt: skip
    """Compute derivatives of some units of one row by what its gates add up."""
    arithmetic = ARITHMETIC[len(cell)]

    def generate(context, builder, signature, args):
        gates, states, extra, d_states, carry, carry_c, slopes = (
            Memory(builder, one, address) for address in args[2:9]
        )
        width, valid, gates_at, before, after, d_at, carry_at, slopes_at = args[9:]
        at = Place(builder)
        kept = [gates.lanes(at(gates_at, (g, width))) for g in range(arithmetic.n_kept)]
        h, new = states.lanes(before), states.lanes(after)
        c = extra.lanes(before) if arithmetic.has_two_states else None
        new_c = extra.lanes(after) if kept else None
        dh = d_states.lanes(d_at) + carry.lanes(carry_at)
        dc = carry_c.lanes(carry_at) if arithmetic.has_two_states else None
        found, direct, direct_c = arithmetic.backward(kept, h, c, new, new_c, dh, dc)
        zero = dh.like(0.0)
        for k, slope in enumerate(found):
            slopes.put(_select(valid, slope, zero), at(slopes_at, (k, width)))
        carry.put(_select(valid, direct or zero, dh), carry_at)
        if direct_c is not None:
            carry_c.put(_select(valid, direct_c, dc), carry_at)
        return context.get_dummy_value()

    arguments = (
        cell, one, gates, states, extra, d_states, carry, carry_c, slopes, width,
        valid, gates_at, before, after, d_at, carry_at, slopes_at,
    )  # fmt: skip
    return types.void(*arguments), generate


@intrinsic
def _carry_tile(
    typing, cell, one, slopes, carry, panel, n_rows, width, unit, slopes_at, carry_at
):
    """Add what some units of some rows get through the recurrent product."""
    arithmetic = ARITHMETIC[len(cell)]
    n_gates, n_slopes = arithmetic.n_gates, arithmetic.n_slopes

    def generate(context, builder, signature, args):
        slopes, carry, panel = (Memory(builder, one, p) for p in args[2:5])
        n_rows, width, unit, slopes_at, carry_at = args[5:]
        at = Place(builder)
        last = builder.sub(n_rows, INT(1))
        start, rows, places = [], [], []
        for r in range(rows_at_once(n_gates)):
            exists = builder.icmp_signed("<", INT(r), n_rows)
            row = builder.select(exists, INT(r), last)
            # Of the GRU's derivatives, the first is that of inputs alone.
            skipped = at((row, n_slopes), n_slopes - n_gates)
            rows.append((slopes, at(slopes_at, (skipped, width))))
            places.append(at(carry_at, (row, width), unit))
            start.append([carry.lanes(places[-1])])
        depth = at((n_gates, width))
        sums = _products(builder, start, rows, panel, at((unit, depth)), depth)
        for place, (total,) in zip(places, sums, strict=True):
            carry.put(total, place)
        return context.get_dummy_value()

    arguments = (
        cell, one, slopes, carry, panel, n_rows, width, unit, slopes_at, carry_at
    )  # fmt: skip
    return types.void(*arguments), generate


@numba.njit(cache=True, nogil=True)
def forward(cell, one, gates, states, extra, w_hh, b_hh, lengths, sizes):
    """Run all rows through all steps.

    Parameters
    ----------
    cell : tuple
        Its length is the key in `ARITHMETIC`.
    one : float32 or float64
        Tells the type of all numbers.
    gates : int
        Address of the inputs' share of the gates (T, N, G * H), where what
        backward needs of the gates is left.
    states, extra : int
        Addresses of (T + 1, N, H), before and after each step: the states, and the
        LSTM's other states or the products of the GRU's new gate. The first ones
        are there already.
    w_hh, b_hh : int
        Addresses of recurrent weights and biases, in torch's layout.
    lengths : ndarray of int64 of shape (N,)
        Steps of each row.
    sizes : tuple of int
        T, H, G, rows and numbers at once, and whether to run backwards.
    """
    n_steps, width, n_gates, n_tile, n_lanes, backwards = sizes
    weights = numba.carray(_pointer(w_hh, one), (n_gates, width, width))
    panel = np.empty(n_gates * width * width, dtype=weights.dtype)
    for unit in range(0, width, n_lanes):
        for g in range(n_gates):
            for lane in range(n_lanes):
                place = unit * n_gates * width + g * n_lanes + lane
                for k in range(width):
                    panel[place + k * n_gates * n_lanes] = weights[g, unit + lane, k]
    n_all = len(lengths)
    rest = np.empty(n_tile, dtype=np.int64)
    whole = (n_steps + 1) * n_all * width
    all_states = numba.carray(_pointer(states, one), whole)
    all_extra = numba.carray(_pointer(extra, one), whole)
    for row in range(0, n_all, n_tile):
        n_rows = min(n_tile, n_all - row)
        longest = lengths[row : row + n_rows].max()
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
                _forward_tile(
                    cell, one, gates, states, extra, panel.ctypes.data, b_hh, n_rows,
                    width, unit, rest.ctypes.data, gates_at, before, after,
                )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def backward(
    cell, one, gates, states, extra, w_hh, lengths, d_states, carry, carry_c, slopes,
    sizes, every_step,
):  # fmt: skip
    """Run derivatives of all rows back through all steps.

    Parameters
    ----------
    cell, one, gates, states, extra, w_hh, lengths, sizes
        As `forward` had and left them.
    d_states : int
        Address of derivatives by the states after each step (T, N, H), or of zeros
        (N, H) that stand for all steps.
    every_step : int
        1 if there are derivatives by the states after each step, else 0.
    carry, carry_c : int
        Addresses of derivatives by the last states (N, H), where those by the
        first ones are left.
    slopes : int
        Address of room for derivatives by what the gates add up, (T, N, G * H); for
        the GRU (T, N, 4 * H), as `gru_backward` orders them.
    """
    n_steps, width, n_gates, n_tile, n_lanes, backwards = sizes
    weights = numba.carray(_pointer(w_hh, one), (n_gates * width, width))
    panel = np.empty(n_gates * width * width, dtype=weights.dtype)
    for unit in range(0, width, n_lanes):
        for k in range(n_gates * width):
            place = unit * n_gates * width + k * n_lanes
            for lane in range(n_lanes):
                panel[place + lane] = weights[k, unit + lane]
    n_all = len(lengths)
    n_slopes = 1 if n_gates == 1 else 4
    for row in range(0, n_all, n_tile):
        n_rows = min(n_tile, n_all - row)
        for s in range(n_steps):
            step = s if backwards else n_steps - 1 - s
            before = ((step + backwards) * n_all + row) * width
            after = ((step + 1 - backwards) * n_all + row) * width
            first = step * n_all + row
            for r in range(n_rows):
                valid = step < lengths[row + r]
                for unit in range(0, width, n_lanes):
                    at = r * width + unit
                    _slopes_tile(
                        cell, one, gates, states, extra, d_states, carry, carry_c,
                        slopes, width, valid, (first + r) * n_gates * width + unit,
                        before + at, after + at, (step * n_all * every_step + row) * width + at,
                        row * width + at, (first + r) * n_slopes * width + unit,
                    )  # fmt: skip
            for unit in range(0, width, n_lanes):
                _carry_tile(
                    cell, one, slopes, carry, panel.ctypes.data, n_rows, width, unit,
                    first * n_slopes * width, row * width,
                )  # fmt: skip
