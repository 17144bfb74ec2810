"""Graphs of ONNX, written as expressions with the operators of NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Union

import numpy as np

from sklearn_rnn._exceptions import missing_package

# Of the operators, and of the file: those of ONNX 1.13, so that older runtimes read
# them. Later ones have nothing that is needed.
OPSET, IR_VERSION = 18, 8
DOUBLE, FLOAT, INT = np.dtype("f8"), np.dtype("f4"), np.dtype("i8")
BOOL = np.dtype("?")

Operand = Union["Value", np.ndarray, float]


def import_onnx() -> ModuleType:
    """Return the package onnx; raise if it is not installed."""
    try:
        import onnx
    except ImportError as error:
        raise missing_package("to_onnx", "onnx", "onnx") from error
    return onnx


@dataclass(frozen=True)
class Value:
    """A tensor of a graph: arithmetic with it adds nodes to the graph.

    The other operand may be an array or a number, which takes its type.

    Parameters
    ----------
    graph : Graph
        Where it is computed.
    name : str
        Its name there.
    dtype : numpy.dtype
        Type of its values.
    """

    graph: "Graph"
    name: str
    dtype: np.dtype

    def __add__(self, other: Operand) -> "Value":
        return self._operate("Add", other)

    def __sub__(self, other: Operand) -> "Value":
        return self._operate("Sub", other)

    def __rsub__(self, other: Operand) -> "Value":
        return -self + other

    def __neg__(self) -> "Value":
        return self.apply("Neg")

    def __mul__(self, other: Operand) -> "Value":
        return self._operate("Mul", other)

    def __truediv__(self, other: Operand) -> "Value":
        return self._operate("Div", other)

    def __matmul__(self, other: Operand) -> "Value":
        return self._operate("MatMul", other)

    def __gt__(self, other: Any) -> "Value":
        return self._operate("Greater", other, BOOL)

    def __lt__(self, other: Any) -> "Value":
        return self._operate("Less", other, BOOL)

    def equals(self, other: Operand) -> "Value":
        """Return where it equals another value."""
        return self._operate("Equal", other, BOOL)

    def __or__(self, other: "Value") -> "Value":
        return self._operate("Or", other)

    def maximum(self, other: Operand) -> "Value":
        """Return the larger of each pair of values."""
        return self._operate("Max", other)

    def minimum(self, other: Operand) -> "Value":
        """Return the smaller of each pair of values."""
        return self._operate("Min", other)

    def _operate(self, op, other, dtype=None):
        if not isinstance(other, Value):
            other = np.asarray(other, dtype=self.dtype)
        return self.graph.node(op, self, other, dtype=dtype)

    def apply(self, op: str, **attributes: Any) -> "Value":
        """Return an operator of this value alone, of the same type."""
        return self.graph.node(op, self, **attributes)

    def cast(self, dtype: np.dtype) -> "Value":
        """Return the value with another type."""
        if dtype == self.dtype:
            return self
        to = self.graph.type_code(dtype)
        return self.graph.node("Cast", self, dtype=dtype, to=to)

    def clip(self, low: float, high: float) -> "Value":
        """Return the value within bounds; infinite ones do not bound."""
        value = self if low == -np.inf else self.maximum(low)
        return value if high == np.inf else value.minimum(high)

    # Shapes

    def reshape(self, *shape: int) -> "Value":
        """Return it in another shape; 0 keeps a dimension, -1 is the rest."""
        return self.graph.node("Reshape", self, np.array(shape))

    def transpose(self, *axes: int) -> "Value":
        """Return it with its axes in another order."""
        return self.apply("Transpose", perm=list(axes))

    def expand(self, *axes: int) -> "Value":
        """Return it with new axes of length 1 at these positions."""
        return self.graph.node("Unsqueeze", self, np.array(axes))

    def squeeze(self, axis: int) -> "Value":
        """Return it without an axis of length 1."""
        return self.graph.node("Squeeze", self, np.array([axis]))

    def length(self, axis: int) -> "Value":
        """Return the length of an axis, a scalar."""
        attributes = {"start": axis, "end": axis + 1}
        return self.graph.node("Shape", self, dtype=INT, **attributes).squeeze(0)

    # Parts

    def take(self, indices: Operand, axis: int) -> "Value":
        """Return slices of an axis; of a scalar index one, without the axis."""
        if not isinstance(indices, Value):
            indices = np.asarray(indices, dtype=INT)
        return self.graph.node("Gather", self, indices, axis=axis)

    def part(self, begin: int, end: int, axis: int) -> "Value":
        """Return the slice from `begin` to before `end` of an axis."""
        bounds = [np.array([place]) for place in (begin, end, axis)]
        return self.graph.node("Slice", self, *bounds)

    def rows_at(self, indices: "Value") -> "Value":
        """Return (N, K, F) steps of (N, T, F), given indices (N, K)."""
        return self.graph.node("GatherND", self, indices.expand(2), batch_dims=1)

    # Sums

    def sum(self, axis: int, *, keeps_axis: bool = False) -> "Value":
        """Sum over an axis."""
        return self._reduce("ReduceSum", axis, keeps_axis)

    def mean(self, axis: int, *, keeps_axis: bool = False) -> "Value":
        """Return the mean over an axis."""
        return self._reduce("ReduceMean", axis, keeps_axis)

    def max(self, axis: int, *, keeps_axis: bool = False) -> "Value":
        """Return the maximum over an axis."""
        return self._reduce("ReduceMax", axis, keeps_axis)

    def min(self, axis: int, *, keeps_axis: bool = False) -> "Value":
        """Return the minimum over an axis."""
        return self._reduce("ReduceMin", axis, keeps_axis)

    def _reduce(self, op, axis, keeps_axis):
        axes = np.array([axis])
        return self.graph.node(op, self, axes, keepdims=int(keeps_axis))


class Graph:
    """The nodes, constants, inputs and outputs of a model in the making."""

    def __init__(self) -> None:
        self.onnx = import_onnx()
        self._nodes: list[Any] = []
        self._constants: dict[tuple, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        # What inputs and outputs are, by name.
        self.descriptions: dict[str, str] = {}

    def type_code(self, dtype: np.dtype) -> int:
        """Return the number that ONNX has for a type; strings are objects."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(dtype)

    def input(self, name: str, dtype: np.dtype, shape: Sequence, about: str) -> Value:
        """Add an input; names in its shape stand for any length."""
        self._inputs.append(self._describe(name, dtype, shape, about))
        return Value(self, name, dtype)

    def output(self, name: str, value: Value, shape: Sequence, about: str) -> None:
        """Let a value be an output."""
        self._nodes.append(self._make_node("Identity", [value.name], [name], {}))
        self._outputs.append(self._describe(name, value.dtype, shape, about))

    def _describe(self, name, dtype, shape, about):
        self.descriptions[name] = about
        code = self.type_code(dtype)
        return self.onnx.helper.make_tensor_value_info(name, code, list(shape), about)

    def constant(self, array: np.ndarray) -> Value:
        """Return an array as a value; equal ones are kept once."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        content = array.tolist() if array.dtype == object else array.tobytes()
        key = (
            array.dtype.str,
            array.shape,
            str(content) if array.dtype == object else content,
        )
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            self._constants[key] = self.onnx.numpy_helper.from_array(array, name)
        return Value(self, self._constants[key].name, array.dtype)

    def node(
        self,
        op: str,
        *inputs: Value | np.ndarray | None,
        dtype: np.dtype | None = None,
        **attributes: Any,
    ) -> Value:
        """Add an operator; its type is that of the first input unless given."""
        return self.nodes(op, *inputs, dtypes=[dtype], **attributes)[0]

    def nodes(
        self,
        op: str,
        *inputs: Value | np.ndarray | None,
        dtypes: Sequence[np.dtype | None],
        **attributes: Any,
    ) -> list[Value]:
        """Add an operator of several outputs; an input of None is left out."""
        values = [self.constant(v) if isinstance(v, np.ndarray) else v for v in inputs]
        own = next(v.dtype for v in values if v is not None)
        outputs = [f"v{len(self._nodes)}_{k}" for k in range(len(dtypes))]
        names = ["" if v is None else v.name for v in values]
        self._nodes.append(self._make_node(op, names, outputs, attributes))
        return [
            Value(self, name, dtype or own)
            for name, dtype in zip(outputs, dtypes, strict=True)
        ]

    def _make_node(self, op, inputs, outputs, attributes):
        return self.onnx.helper.make_node(op, inputs, outputs, **attributes)

    def where(self, condition: Value, true: Operand, false: Operand) -> Value:
        """Return values of one operand where a condition holds, else of the other."""
        own = next(v.dtype for v in (true, false) if isinstance(v, Value))
        values = [
            v if isinstance(v, Value) else np.asarray(v, dtype=own)
            for v in (true, false)
        ]
        return self.node("Where", condition, *values, dtype=own)

    def concatenate(self, values: Sequence[Value], axis: int) -> Value:
        """Join values along an axis."""
        if len(values) == 1:
            return values[0]
        return self.node("Concat", *values, axis=axis)

    def stack(self, values: Sequence[Value], axis: int) -> Value:
        """Join values along a new axis."""
        return self.concatenate([value.expand(axis) for value in values], axis)

    def range(self, n: Value) -> Value:
        """Return the numbers from 0 to before `n`."""
        return self.node("Range", np.array(0), n, np.array(1), dtype=INT)

    def fill(self, n: Value, value: np.generic) -> Value:
        """Return a vector of `n` equal values."""
        return self.node("Expand", np.asarray(value), n.expand(0))

    def to_model(self, name: str, metadata: dict[str, str], producer: tuple[str, str]):
        """Return the model, after a check of its types and shapes."""
        helper = self.onnx.helper
        graph = helper.make_graph(
            self._nodes,
            name,
            self._inputs,
            self._outputs,
            list(self._constants.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name=producer[0],
            producer_version=producer[1],
        )
        helper.set_model_props(model, metadata)
        self.onnx.checker.check_model(model, full_check=True)
        return model
