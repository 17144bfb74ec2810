"""Models as a tree of JSON values and arrays, and back.

A value of JSON stands for itself; everything else is an object whose first key says
what it is: ``{"dict": {...}}``, ``{"tuple": [...]}``, ``{"float": "nan"}``,
``{"array": "7"}`` with the name of a tensor, ``{"objects": [...], "shape": [...]}``,
``{"numpy": "log1p"}``, or ``{"estimator": name, "state": {...}}``.
"""

import math
from collections import Counter
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_rnn._exceptions import InvalidModelError
from sklearn_rnn._plain_state import describe, restore
from sklearn_rnn.persistence._types import CLASSES, NAMES, OWN

# Types of arrays that safetensors has; dates are stored as int64, strings as uint32.
STORED = {np.dtype(name) for name in ("bool", "f2", "f4", "f8")} | {
    np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)
}
# Functions and scalar types that are saved by name; a look at np itself could import.
OF_NUMPY = {
    name: value
    for name, value in vars(np).items()
    if isinstance(value, np.ufunc)
    or (isinstance(value, type) and issubclass(value, np.generic))
}
# Most uses of one tensor in a file; each may become as much memory as the tensor.
MOST_USES = 8
LAST_CHARACTER = 0x10FFFF
# Longest dimension of an array without items.
LONGEST_EMPTY = 10**6


class TreeWriter:
    """Turns models into JSON values, and collects their arrays in `tensors`."""

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
        if _is_of_numpy(value):
            return {"numpy": value.__name__}
        if kind in NAMES:
            return self._write_estimator(value, path)
        is_scalar = isinstance(value, np.generic) and kind is value.dtype.type
        if kind is np.ndarray or is_scalar:
            return self._write_array(value, path)
        raise InvalidModelError(_explain(value, path))

    def _write_items(self, items, path):
        return [self.write(item, f"{path}[{i}]") for i, item in enumerate(items)]

    def _write_estimator(self, model, path):
        state = dict(model) if isinstance(model, Bunch) else model.__getstate__()
        if type(model) not in OWN:  # they describe theirs
            state = describe(state)
        items = {k: self.write(v, f"{path}.{k}") for k, v in state.items()}
        return {"estimator": NAMES[type(model)], "state": items}

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


def _is_of_numpy(value):
    name = getattr(value, "__name__", None)
    return isinstance(name, str) and OF_NUMPY.get(name) is value


def _to_stored(array, path):
    array = np.ascontiguousarray(array).reshape(array.shape)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind in "mM":
        return array.view(np.int64)
    if array.dtype.kind == "U":
        return array.reshape(*array.shape, 1).view(np.uint32)
    if array.dtype not in STORED:
        raise InvalidModelError(
            f"{path} is an array of type {array.dtype}, which save_model cannot save. "
            "Convert it to one of real numbers, strings or dates."
        )
    return array


def _explain(value, path):
    kind = type(value)
    remedy = "Save the model with skops, joblib or pickle instead."
    if hasattr(value, "best_estimator_"):
        remedy = "Save its best_estimator_ instead."
    elif ".callbacks" in path:
        remedy = "Set callbacks=None before: predictions do not need them."
    elif callable(value) and not isinstance(value, type):
        remedy = (
            "Functions are code, which a file does not hold: set the parameter to "
            "another value before, save the model with joblib or pickle, or leave that "
            "step out."
        )
    return (
        f"{path} is of type {kind.__module__}.{kind.__qualname__}, which save_model "
        f"cannot save. {remedy}"
    )


class TreeReader:
    """Turns JSON values back into models, with arrays out of `tensors`."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors = tensors
        self.unused = set(tensors)
        self._n_uses: Counter[str] = Counter()
        self._readers = {
            "dict": self._parse_dict,
            "tuple": lambda node, path: tuple(self._parse_list(node, "tuple", path)),
            "float": lambda node, path: float(node["float"]),
            "array": self._parse_array,
            "objects": self._parse_objects,
            "numpy": _parse_numpy,
            "estimator": self._parse_estimator,
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

    def _parse_estimator(self, node, path):
        name = node["estimator"]
        if name not in CLASSES:
            raise InvalidModelError(
                f"{path} is of type {name!r}, which is not on the list of those that "
                "load_model makes. If a later version of sklearn_rnn wrote the file, "
                "load it with that."
            )
        cls = CLASSES[name]
        state = {k: self.parse(v, f"{path}.{k}") for k, v in node["state"].items()}
        if cls is Bunch:
            return Bunch(**restore(state))
        model = cls.__new__(cls)
        model.__setstate__(state if cls in OWN else restore(state))
        return model

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


def _parse_numpy(node, path):
    value = OF_NUMPY.get(node["numpy"])
    if value is None:
        raise InvalidModelError(f"{path} is np.{node['numpy']}: no ufunc or type.")
    return value
