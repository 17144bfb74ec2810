"""Fingerprints of values: equal in every process for equal parameters and data."""

import hashlib
import types
from functools import partial
from typing import Any

import numpy as np
import torch

from sklearn_rnn._exceptions import InvalidModelError
from sklearn_rnn._plain_state import SCALARS, TYPE, describe
from sklearn_rnn._plain_values import DESCRIBE

# Rows of an array that are copied at a time, to read what is not contiguous.
BLOCK_BYTES = 2**24
# Types whose representation says all.
REPRESENTED = (complex, bytes, range, types.EllipsisType, types.NotImplementedType)
FUNCTIONS = types.FunctionType, types.BuiltinFunctionType, np.ufunc


def fingerprint(value: Any, path: str = "it") -> str:
    """Return a hash of a value: 32 hexadecimal digits.

    Arrays count by their contents, functions by their code and what they enclose,
    other objects by their class and their state.

    Parameters
    ----------
    value : object
        Anything whose state Python can tell.
    path : str, default="it"
        What it is, for messages.

    Raises
    ------
    InvalidModelError
        If it holds an object whose state cannot be told.

    Examples
    --------
    >>> from sklearn_rnn._fingerprint import fingerprint
    >>> fingerprint({"a": 1.0}) == fingerprint({"a": 1.0})
    True
    >>> fingerprint(lambda x: x + 1) == fingerprint(lambda x: x + 2)
    False
    """
    hasher = _Hasher()
    hasher.add(value, path)
    return hasher.digest.hexdigest()


class _Hasher:
    """Adds values to a digest, each behind the name of its kind."""

    def __init__(self):
        self.digest = hashlib.blake2b(digest_size=16)
        self._under_way: list[int] = []  # ids of objects, whose state may hold them

    def _note(self, *texts):
        self.digest.update("\0".join(map(str, texts)).encode() + b"\n")

    def add(self, value, path):
        kind = type(value)
        if kind in SCALARS or kind in REPRESENTED:
            self._note(kind.__name__, repr(value))
        elif kind in (list, tuple):
            self._add_items(kind.__name__, value, path)
        elif kind in (set, frozenset):
            self._add_items("set", sorted(fingerprint(v, path) for v in value), path)
        elif kind is dict:
            self._add_dict(value, path)
        elif kind is np.ndarray or isinstance(value, np.memmap):
            self._add_array(value, path)
        elif isinstance(value, (np.generic, torch.Tensor)):
            array = value.detach().cpu() if isinstance(value, torch.Tensor) else value
            self._note(kind.__name__)
            self._add_array(np.asarray(array), path)
        elif isinstance(value, types.CodeType):
            self._add_code(value, path)
        elif isinstance(value, FUNCTIONS):
            self._add_function(value, path)
        elif isinstance(value, type):
            self._note("type", value.__module__, value.__qualname__)
        else:
            self._add_object(value, path)

    def _add_items(self, kind, items, path):
        self._note(kind, len(items))
        for i, item in enumerate(items):
            self.add(item, f"{path}[{i}]")

    def _add_dict(self, value, path):
        self._note("dict", len(value))
        for key, item in value.items():
            self.add(key, f"{path}.keys()")
            self.add(item, f"{path}[{key!r}]")

    def _add_array(self, array, path):
        self._note("array", array.dtype.str, array.shape)
        if array.dtype == object:
            self._add_items("objects", array.ravel().tolist(), path)
            return
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            self._note("transposed")
            array = array.T  # of the same bytes: no copy
        rows = np.atleast_1d(array)
        n_rows = max(1, BLOCK_BYTES // max(1, rows[:1].nbytes))
        for begin in range(0, len(rows), n_rows):
            block = np.ascontiguousarray(rows[begin : begin + n_rows])
            self.digest.update(block.tobytes() if block.size else b"")

    def _add_function(self, function, path):
        self._note("function", function.__module__, function.__qualname__)
        if not isinstance(function, types.FunctionType):
            return
        self._add_code(function.__code__, path)
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        defaults = [function.__defaults__, function.__kwdefaults__, cells]
        self._add_guarded(function, defaults, path)

    def _add_code(self, code, path):
        self._note("code", code.co_name, code.co_names)
        self.digest.update(code.co_code)
        self.add(code.co_consts, path)

    def _add_object(self, value, path):
        kind = type(value)
        self._note("object", kind.__module__, kind.__qualname__)
        if isinstance(value, types.MethodType):
            state = [value.__func__, value.__self__]
        elif isinstance(value, partial):
            state = [value.func, value.args, value.keywords]
        else:
            state = _state_of(value, path)
        self._add_guarded(value, state, path)

    def _add_guarded(self, value, state, path):
        """Add the state of an object, which may hold the object itself."""
        if id(value) in self._under_way:
            self._note("again", self._under_way.index(id(value)))
            return
        self._under_way.append(id(value))
        self.add(state, path)
        self._under_way.pop()


def _state_of(value, path):
    """Return what an object holds, as values that can be told from others."""
    described = describe(value)
    if type(described) is dict and described.get(TYPE) in DESCRIBE:
        return described
    if isinstance(value, (tuple, list, dict)):  # subclasses
        items = list(value.items()) if isinstance(value, dict) else list(value)
        return [items, getattr(value, "__dict__", None)]
    if isinstance(value, (torch.device, torch.dtype)):
        return str(value)
    state = value.__getstate__()
    if state is None and not hasattr(value, "__dict__"):
        raise InvalidModelError(
            f"{path} is of type {type(value).__module__}.{type(value).__qualname__}, "
            "which cannot be told from others of its type."
        )
    return state
