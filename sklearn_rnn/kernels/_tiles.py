"""Tiles: what loops do to a few rows and registers at once, for LLVM to compile.

Numba's loops call them like functions; what comes in their place are vector
instructions, with all sums of a tile kept in registers.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from sklearn_rnn.kernels._cells import ARITHMETIC, rows_at_once
from sklearn_rnn.kernels._lanes import INT, Lanes, Memory, Place

# Rows of a tile of a plain product: as many sums as hide the time that one takes.
PRODUCT_ROWS = 8
# Registers of columns of a tile of weights' derivatives.
OUTER_COLUMNS = 2


def _products(builder, start, rows, columns, depth):
    """Return sums of products of rows' single numbers and columns' registers.

    ``start[r][c]`` is what a sum begins with, the result ``[r][c]`` are Lanes. A row
    is a memory, the offset of its first number, and how far the next one is; so is a
    column.
    """
    at = Place(builder)
    sums = [[cgutils.alloca_once_value(builder, s.value) for s in row] for row in start]
    with cgutils.for_range(builder, depth) as loop:
        factors = [m.lanes(at(begin, (loop.index, by))) for m, begin, by in columns]
        for (memory, begin, by), row_sums in zip(rows, sums, strict=True):
            number = memory.one(at(begin, (loop.index, by)))
            for factor, total in zip(factors, row_sums, strict=True):
                before = Lanes(builder, builder.load(total))
                builder.store(number.times_plus(factor, before).value, total)
    return [[Lanes(builder, builder.load(s)) for s in row] for row in sums]


def _rows_of_tile(builder, n_tile, n_rows):
    """Yield each row's number: the last one's instead of those that do not exist."""
    last = builder.sub(n_rows, INT(1))
    for r in range(n_tile):
        exists = builder.icmp_signed("<", INT(r), n_rows)
        yield exists, builder.select(exists, INT(r), last)


def _select(valid, lanes, otherwise):
    builder = lanes.builder
    return Lanes(builder, builder.select(valid, lanes.value, otherwise.value))


@intrinsic
def pointer_to(typing, address, one):
    """Return an address as a pointer to numbers of the type of `one`."""

    def generate(context, builder, signature, args):
        kind = context.get_value_type(signature.return_type)
        return builder.inttoptr(args[0], kind)

    return types.CPointer(one)(address, one), generate


@intrinsic
def keep(typing, array):
    """Let an array live until here: Numba would free it when it is last named.

    Whoever hands on the address of an array names the array again afterwards.
    """

    def generate(context, builder, signature, args):
        return context.get_dummy_value()

    return types.void(array), generate


@intrinsic
def forward_tile(
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
        rows = [
            (states, at(before, (row, width)), INT(1))
            for _, row in _rows_of_tile(builder, n_tile, n_rows)
        ]
        n_together = n_gates * panel.vector.count
        columns = [
            (
                panel,
                at((unit, at((n_gates, width))), g * panel.vector.count),
                n_together,
            )
            for g in range(n_gates)
        ]
        sums = _products(builder, [start] * n_tile, rows, columns, width)
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
def slopes_tile(
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
def product_tile(
    typing, one, a, panel, start, out, n_rows, depth, a_at, a_by, panel_at, start_at,
    start_by, out_at, out_by,
):  # fmt: skip
    """Write ``start + a @ panel`` for some rows and a register of columns."""

    def generate(context, builder, signature, args):
        a, panel, start, out = (Memory(builder, one, p) for p in args[1:5])
        n_rows, depth, a_at, a_by, panel_at, start_at, start_by, out_at, out_by = args[
            5:
        ]
        at = Place(builder)
        rows, begin, places = [], [], []
        for exists, row in _rows_of_tile(builder, PRODUCT_ROWS, n_rows):
            rows.append((a, at(a_at, (row, a_by)), INT(1)))
            begin.append([start.lanes(at(start_at, (row, start_by)))])
            places.append((exists, at(out_at, (row, out_by))))
        columns = [(panel, panel_at, panel.vector.count)]
        sums = _products(builder, begin, rows, columns, depth)
        for (exists, place), (total,) in zip(places, sums, strict=True):
            with builder.if_then(exists):
                out.put(total, place)
        return context.get_dummy_value()

    arguments = (
        one, a, panel, start, out, n_rows, depth, a_at, a_by, panel_at, start_at,
        start_by, out_at, out_by,
    )  # fmt: skip
    return types.void(*arguments), generate


@intrinsic
def outer_tile(
    typing, one, a, b, out, n_rows, depth, a_at, a_by, b_at, b_by, out_at, out_by
):
    """Add ``a.T @ b`` for some columns of `a` and two registers of columns of `b`."""

    def generate(context, builder, signature, args):
        a, b, out = (Memory(builder, one, p) for p in args[1:4])
        n_rows, depth, a_at, a_by, b_at, b_by, out_at, out_by = args[4:]
        at = Place(builder)
        width = b.vector.count
        rows, begin, places = [], [], []
        for exists, row in _rows_of_tile(builder, PRODUCT_ROWS, n_rows):
            rows.append((a, at(a_at, row), a_by))
            place = at(out_at, (row, out_by))
            begin.append(
                [out.lanes(at(place, c * width)) for c in range(OUTER_COLUMNS)]
            )
            places.append((exists, place))
        columns = [(b, at(b_at, c * width), b_by) for c in range(OUTER_COLUMNS)]
        sums = _products(builder, begin, rows, columns, depth)
        for (exists, place), totals in zip(places, sums, strict=True):
            with builder.if_then(exists):
                for c, total in enumerate(totals):
                    out.put(total, at(place, c * width))
        return context.get_dummy_value()

    arguments = (
        one, a, b, out, n_rows, depth, a_at, a_by, b_at, b_by, out_at, out_by
    )  # fmt: skip
    return types.void(*arguments), generate
