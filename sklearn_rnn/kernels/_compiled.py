"""The recurrence as compiled code: gates and their products in one pass.

Numba compiles the loops here, and the innermost ones are vectors of its compiler
LLVM: what a processor's registers hold at once, the lanes. Rows of a batch do not
meet, so a few of them at a time go through all steps, while their states stay in
the nearest cache. What is not here, products with inputs and the gradients of
weights, is a single matrix product over all steps elsewhere.

All of it is in one file, as Numba's cache on disk looks at one file's date to tell
whether what it holds is still true.
"""

from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

# tanh(x) = x P(x²) / Q(x²) for |x| <= 8, by minimax over the relative error, which
# is 3.5e-7 in float32.
TANH_BOUND = 8.0
TANH_P = (
    0.9999999935733618,
    0.13444499919864114,
    0.003571600331768685,
    2.1894700248530067e-05,
    1.523047196446301e-08,
)
TANH_Q = (
    1.0,
    0.4677782724033115,
    0.02616445170437697,
    0.00034112958020661807,
    8.522468539386351e-07,
)
# exp(r) - 1 for |r| <= ln(2) / 2, by its series: the next term is below 1e-18.
EXPM1 = tuple(1 / float(np.prod(np.arange(1.0, k + 1))) for k in range(1, 15))
# ln(2) in two parts, the first of few enough bits that k times it is exact.
LN2_HIGH, LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
# Added to a number, this leaves it as an integer in the lowest bits.
ROUNDING = 1.5 * 2.0**52


def _register_bytes():
    """Return the size of the processor's vector registers, and their number."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 32
    if features.get("avx2") or features.get("avx"):
        return 32, 16
    return 16, 32 if "aarch64" in binding.get_process_triple() else 16


REGISTER_BYTES, N_REGISTERS = _register_bytes()


class Lanes:
    """One vector register of numbers, in code that is being written.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where instructions go.
    value : llvmlite.ir.Value
        Of a vector type.
    """

    def __init__(self, builder, value):
        self.builder = builder
        self.value = value

    def like(self, number):
        """Return the same number in every lane."""
        width = self.value.type.count
        return Lanes(self.builder, ir.Constant(self.value.type, [number] * width))

    def _of(self, other):
        return other.value if isinstance(other, Lanes) else self.like(other).value

    def _call(self, name, *values):
        kind = self.value.type
        scalar = "f64" if isinstance(kind.element, ir.DoubleType) else "f32"
        function = ir.FunctionType(kind, [kind] * len(values))
        name = f"llvm.{name}.v{kind.count}{scalar}"
        declared = self.builder.module.globals.get(name)
        if declared is None:
            declared = ir.Function(self.builder.module, function, name)
        return Lanes(self.builder, self.builder.call(declared, values))

    def __add__(self, other):
        return Lanes(self.builder, self.builder.fadd(self.value, self._of(other)))

    def __sub__(self, other):
        return Lanes(self.builder, self.builder.fsub(self.value, self._of(other)))

    def __rsub__(self, other):
        return Lanes(self.builder, self.builder.fsub(self._of(other), self.value))

    def __mul__(self, other):
        return Lanes(self.builder, self.builder.fmul(self.value, self._of(other)))

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other):
        return Lanes(self.builder, self.builder.fdiv(self.value, self._of(other)))

    def times_plus(self, factor, summand):
        """Return ``self * factor + summand``, in one instruction where there is one."""
        values = self.value, self._of(factor), self._of(summand)
        return self._call("fmuladd", *values)

    def above(self, bound):
        """Return ``self`` where it is larger than a number, and that elsewhere."""
        bound = self._of(bound)
        is_above = self.builder.fcmp_unordered("ugt", self.value, bound)
        return Lanes(self.builder, self.builder.select(is_above, self.value, bound))

    def below(self, bound):
        """Return ``self`` where it is smaller than a number, and that elsewhere."""
        bound = self._of(bound)
        is_below = self.builder.fcmp_unordered("ult", self.value, bound)
        return Lanes(self.builder, self.builder.select(is_below, self.value, bound))

    def where_positive(self, other):
        """Return `other` where ``self`` is above zero, and zero elsewhere."""
        zero = self.like(0.0).value
        is_positive = self.builder.fcmp_unordered("ugt", self.value, zero)
        return Lanes(self.builder, self.builder.select(is_positive, other.value, zero))

    def polynomial(self, coefficients):
        """Return the value of a polynomial, its constant first."""
        value = self.like(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            value = value.times_plus(self, coefficient)
        return value


def tanh(x):
    """Return the hyperbolic tangent: rational in float32, else to the last bits."""
    if isinstance(x.value.type.element, ir.FloatType):
        x = x.above(-TANH_BOUND).below(TANH_BOUND)
        square = x * x
        return x * square.polynomial(TANH_P) / square.polynomial(TANH_Q)
    # With e = exp(2x) - 1 it is e / (e + 2), exact near zero as well.
    x = x.above(-20.0).below(20.0)
    power = (x * (2 / np.log(2))) + ROUNDING
    k = power - ROUNDING
    r = k.times_plus(-LN2_LOW, k.times_plus(-LN2_HIGH, x * 2.0))
    less_one = r * r.polynomial(EXPM1)
    bits = ir.VectorType(ir.IntType(64), x.value.type.count)
    builder = x.builder
    # 2^k: k and the exponent's offset, moved to where the exponent is.
    exponent = builder.add(
        builder.bitcast(power.value, bits), ir.Constant(bits, [1023] * bits.count)
    )
    exponent = builder.shl(exponent, ir.Constant(bits, [52] * bits.count))
    two_to_k = Lanes(builder, builder.bitcast(exponent, x.value.type))
    e = two_to_k.times_plus(less_one, two_to_k - 1.0)
    return e / (e + 2.0)


def sigmoid(x):
    """Return the logistic function."""
    return tanh(x * 0.5).times_plus(0.5, 0.5)


# What each cell computes. Forward: from the inputs' share of each gate `x`, the
# product of the last state `h` and the recurrent weights, and the cell's other state
# `c`, come the new state, what backward needs of the gates, and the new other state.
# Backward: from these and the derivatives by both states come those by what the
# recurrent product and the inputs added to, and the share that both states before
# get without going through the product.


def rnn_forward(x, product, h, c):
    """Tanh of the sum."""
    return tanh(x[0] + product[0]), [], None


def rnn_backward(gates, h, c, new, new_c, dh, dc):
    """Through the tanh."""
    return [dh * (1.0 - new * new)], None, None


def relu_forward(x, product, h, c):
    """The sum where it is positive."""
    total = x[0] + product[0]
    return total.where_positive(total), [], None


def relu_backward(gates, h, c, new, new_c, dh, dc):
    """Where the state is positive."""
    return [new.where_positive(dh)], None, None


def gru_forward(x, product, h, c):
    """Cho et al. 2014, as torch has it: reset comes after the product."""
    reset, update = sigmoid(x[0] + product[0]), sigmoid(x[1] + product[1])
    new = tanh(reset.times_plus(product[2], x[2]))
    return update.times_plus(h - new, new), [reset, update, new], product[2]


def gru_backward(gates, h, c, new, new_c, dh, dc):
    """Derivatives in the order new (of inputs), reset, update, new (of states)."""
    reset, update, candidate = gates
    d_update = dh * (h - candidate) * update * (1.0 - update)
    d_new = (dh - dh * update) * (1.0 - candidate * candidate)
    d_reset = d_new * new_c * reset * (1.0 - reset)
    return [d_new, d_reset, d_update, d_new * reset], dh * update, None


def lstm_forward(x, product, h, c):
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000."""
    total = [a + b for a, b in zip(x, product, strict=True)]
    enter, forget, leave = (sigmoid(total[k]) for k in (0, 1, 3))
    candidate = tanh(total[2])
    new_c = forget.times_plus(c, enter * candidate)
    return leave * tanh(new_c), [enter, forget, candidate, leave], new_c


def lstm_backward(gates, h, c, new, new_c, dh, dc):
    """Derivatives in the order input, forget, cell, output."""
    enter, forget, candidate, leave = gates
    squashed = tanh(new_c)
    d_leave = dh * squashed * leave * (1.0 - leave)
    dc = (dh * leave).times_plus(1.0 - squashed * squashed, dc)
    d_enter = dc * candidate * enter * (1.0 - enter)
    d_forget = dc * c * forget * (1.0 - forget)
    d_candidate = dc * enter * (1.0 - candidate * candidate)
    return [d_enter, d_forget, d_candidate, d_leave], None, dc * forget


class Arithmetic(NamedTuple):
    """How one cell is computed.

    Parameters
    ----------
    forward, backward : callable
        As described above.
    n_gates : int
        Products with the recurrent weights.
    n_slopes : int
        Derivatives that backward has.
    """

    forward: Callable
    backward: Callable
    n_gates: int
    n_slopes: int

    @property
    def has_two_states(self):
        """Whether the cell has a state that it does not show."""
        return self.forward is lstm_forward

    @property
    def n_kept(self):
        """Gates that backward needs; the plain cell's is the state itself."""
        return 0 if self.n_gates == 1 else self.n_gates


LSTM = 4
# The loops are told their cell by the type of an argument, a tuple of so many
# numbers: Numba compiles, and keeps on disk, one version a type.
ARITHMETIC = {
    1: Arithmetic(rnn_forward, rnn_backward, 1, 1),
    2: Arithmetic(relu_forward, relu_backward, 1, 1),
    3: Arithmetic(gru_forward, gru_backward, 3, 4),
    LSTM: Arithmetic(lstm_forward, lstm_backward, 4, 4),
}


def n_lanes(itemsize):
    """Return how many numbers a register holds.

    Parameters
    ----------
    itemsize : int
        Bytes of a number.

    Returns
    -------
    int
        A power of two.
    """
    return REGISTER_BYTES // itemsize


def rows_at_once(n_gates):
    """Return how many rows go through the steps together.

    Parameters
    ----------
    n_gates : int
        Products with the recurrent weights.

    Returns
    -------
    int
        As many as there are registers for, and no more than hide the time that a
        sum takes to be ready.
    """
    return min((N_REGISTERS - n_gates - 1) // n_gates, 8)


class Memory:
    """Numbers in a row, read and written by registers."""

    def __init__(self, builder, kind, address):
        self.builder = builder
        self.element = ir.FloatType() if kind == types.float32 else ir.DoubleType()
        self.vector = ir.VectorType(self.element, n_lanes(kind.bitwidth // 8))
        self.pointer = builder.inttoptr(address, self.element.as_pointer())
        self.align = kind.bitwidth // 8

    def _at(self, offset):
        return self.builder.gep(self.pointer, [offset])

    def _place(self, offset):
        return self.builder.bitcast(self._at(offset), self.vector.as_pointer())

    def lanes(self, offset):
        """Read as many neighbours as a register holds."""
        value = self.builder.load(self._place(offset), align=self.align)
        return Lanes(self.builder, value)

    def one(self, offset):
        """Read one number, into all lanes."""
        builder, kind = self.builder, self.vector
        first = ir.Constant(ir.IntType(32), 0)
        nothing = ir.Constant(kind, ir.Undefined)
        single = builder.insert_element(nothing, builder.load(self._at(offset)), first)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None)
        return Lanes(builder, builder.shuffle_vector(single, nothing, everywhere))

    def put(self, lanes, offset):
        """Write a register."""
        self.builder.store(lanes.value, self._place(offset), align=self.align)


class Place:
    """Where something is: a sum of products of integers, in code being written."""

    def __init__(self, builder):
        self.builder = builder

    def __call__(self, *products):
        """Return the sum of numbers and of pairs to be multiplied."""
        total = None
        for product in products:
            if isinstance(product, tuple):
                product = self.builder.mul(*map(self._value, product))
            product = self._value(product)
            total = product if total is None else self.builder.add(total, product)
        return total

    def _value(self, number):
        return INT(number) if isinstance(number, int) else number


def INT(number):
    """Return an integer of 64 bits."""
    return ir.Constant(ir.IntType(64), number)


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
