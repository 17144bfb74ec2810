"""Plain values as a tree of JSON values and arrays, and back.

A value of JSON stands for itself; everything else is an object whose first key says
what it is: ``{"dict": {...}}``, ``{"tuple": [...]}``, ``{"float": "nan"}``,
``{"array": "7"}`` with the name of a tensor, or ``{"objects": [...], "shape": [...]}``.
"""

import math
from collections import Counter
from typing import Any

import numpy as np

from sklearn_rnn._exceptions import InvalidModelError

# Types of arrays that safetensors has; dates are stored as int64, strings as uint32.
STORED = {np.dtype(name) for name in ("bool", "f2", "f4", "f8")} | {
    np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)
}
# Most uses of one tensor in a file; each may become as much memory as the tensor.
MOST_USES = 8
LAST_CHARACTER = 0x10FFFF
# Longest dimension of an array without items.
LONGEST_EMPTY = 10**6


class PlainWriter:
    """Turns plain values into JSON values, and collects their arrays in `tensors`.

    A subclass may write other objects.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, np.ndarray] = {}
        self._names: dict[int, tuple[str, int]] = {}  # and uses of arrays, by id
        self._alive: list[np.ndarray] = []

    def write(self, value: Any, path: str) -> Any:
        """Return the JSON value of an object; `path` is where it is, for messages."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is list:
            return self._write_items(value, path)
        if kind is tuple:
            return {"tuple": self._write_items(value, path)}
        if kind is dict:
            items = value.items()
            return {"dict": {k: self.write(v, f"{path}[{k!r}]") for k, v in items}}
        is_scalar = isinstance(value, np.generic) and kind is value.dtype.type
        if kind is np.ndarray or is_scalar:
            return self._write_array(value, path)
        return self._write_object(value, path)

    def _write_object(self, value, path):
        """Return the JSON value of an object that is not plain, or raise."""
        kind = type(value)
        raise InvalidModelError(
            f"{path} is of type {kind.__module__}.{kind.__qualname__}, which is no "
            "plain value."
        )

    def _write_items(self, items, path):
        return [self.write(item, f"{path}[{i}]") for i, item in enumerate(items)]

    def _write_array(self, value, path):
        array = np.asarray(value)
        if array.dtype.kind == "O":
            items = self._write_items(array.ravel().tolist(), path)
            return {"objects": items, "shape": list(array.shape)}
        node: dict[str, Any] = {}
        if array.dtype.kind in "mMU":
            node["dtype"] = array.dtype.newbyteorder("<").str
        if isinstance(value, np.generic):
            node["scalar"] = True
        elif array.flags.f_contiguous and not array.flags.c_contiguous:
            node["order"] = "F"  # products round otherwise in the other one
        return {"array": self._name_array(value, array, path), **node}

    def _name_array(self, value, array, path):
        """Return the name of an array's tensor, the same for up to MOST_USES uses."""
        name, n_uses = self._names.get(id(value), ("", MOST_USES))
        if n_uses == MOST_USES:
            name, n_uses = str(len(self.tensors)), 0
            self.tensors[name] = _to_stored(array, path)
            self._alive.append(value)  # no other object gets its id
        self._names[id(value)] = name, n_uses + 1
        return name


def _to_stored(array, path):
    array = np.ascontiguousarray(array).reshape(array.shape)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind in "mM":
        return array.view(np.int64)
    if array.dtype.kind == "U":
        return array.reshape(*array.shape, 1).view(np.uint32)
    if array.dtype not in STORED:
        raise InvalidModelError(
            f"{path} is an array of type {array.dtype}, which cannot be saved. "
            "Convert it to one of real numbers, strings or dates."
        )
    return array


class PlainReader:
    """Turns JSON values back into plain values, with arrays out of `tensors`."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors = tensors
        self.unused = set(tensors)
        self._n_uses: Counter[str] = Counter()
        self._readers: dict[str, Any] = {
            "dict": self._parse_dict,
            "tuple": lambda node, path: tuple(self._parse_list(node, "tuple", path)),
            "float": lambda node, path: float(node["float"]),
            "array": self._parse_array,
            "objects": self._parse_objects,
        }

    def parse(self, node: Any, path: str) -> Any:
        """Return the object of a JSON value; `path` is where it is, for messages."""
        if isinstance(node, list):
            return [self.parse(item, f"{path}[{i}]") for i, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        kind = next(iter(node), None)
        if kind not in self._readers:
            raise InvalidModelError(
                f"{path} is described by {kind!r}, expected one out of "
                f"{[*self._readers]}."
            )
        return self._readers[kind](node, path)

    def _parse_list(self, node, key, path):
        if not isinstance(node[key], list):  # an array would become Python objects
            raise InvalidModelError(f"{path} has {key!r} of what is no list.")
        return self.parse(node[key], path)

    def _parse_dict(self, node, path):
        return {k: self.parse(v, f"{path}[{k!r}]") for k, v in node["dict"].items()}

    def _parse_objects(self, node, path):
        items = self._parse_list(node, "objects", path)
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            array[i] = item
        if max(node["shape"], default=0) > max(len(items), LONGEST_EMPTY):
            raise InvalidModelError(f"{path} has shape {node['shape']}, and no items.")
        return array.reshape(node["shape"])

    def _parse_array(self, node, path):
        name = node["array"]
        if name not in self.tensors:
            raise InvalidModelError(f"{path} is the tensor {name!r}, which is missing.")
        self.unused.discard(name)
        self._n_uses[name] += 1
        if self._n_uses[name] > MOST_USES:
            raise InvalidModelError(
                f"{path} is the tensor {name!r}, which is used more than {MOST_USES} "
                "times."
            )
        array = _from_stored(self.tensors[name], node.get("dtype"), path)
        if node.get("scalar"):
            return array[()]
        return np.asfortranarray(array) if node.get("order") == "F" else array


def _from_stored(array, dtype, path):
    if dtype is None:
        return array
    dtype = np.dtype(dtype)
    if dtype.kind in "mM" and array.dtype == np.int64:
        return array.view(dtype)
    is_text = dtype.kind == "U" and array.dtype == np.uint32 and array.ndim
    if not is_text or dtype.itemsize != 4 * array.shape[-1]:
        raise InvalidModelError(
            f"{path} is an array of {dtype}, stored as {array.dtype} of shape "
            f"{array.shape}, which it cannot be."
        )
    if array.size and array.max() > LAST_CHARACTER:
        raise InvalidModelError(f"{path} holds numbers that are no characters.")
    return array.view(dtype).reshape(array.shape[:-1])
