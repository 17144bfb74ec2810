"""Vector registers, for code that LLVM is to compile: what a line does to all lanes."""

import numpy as np
from llvmlite import binding, ir
from numba.core import types

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
