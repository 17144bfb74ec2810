"""Fingerprints of values: equal in every process for equal parameters and data."""

import dis
import hashlib
import sys
import types
from functools import partial
from pathlib import Path
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
NUMBERS = np.bool_, np.integer, np.floating, np.complexfloating, np.str_, np.bytes_
FUNCTIONS = types.FunctionType, types.BuiltinFunctionType, np.ufunc
# What wraps a function in the body of a class.
WRAPPERS = staticmethod, classmethod
# Folders of installed packages.
PACKAGES = {"site-packages", "dist-packages"}


def fingerprint(value: Any, path: str = "it") -> str:
    """Return a hash of a value: 32 hexadecimal digits.

    Arrays count by their contents. Functions count by their code, what they enclose,
    and the plain global values that they read. Other objects count by their class and
    their state; classes outside of installed packages by the code of their functions.
    Class attributes, and functions and classes that the code uses, do not count.

    Parameters
    ----------
    value : object
        Value whose state Python can read.
    path : str, default="it"
        Name of the value, for messages.

    Raises
    ------
    InvalidModelError
        If it holds an object whose state cannot be read.

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
        elif isinstance(value, NUMBERS) and type(value.item()) is not kind:
            self.add(value.item(), path)
        elif isinstance(value, torch.device):
            self.add(str(value), path)
        elif isinstance(value, (np.generic, torch.Tensor)):
            array = value.detach().cpu() if isinstance(value, torch.Tensor) else value
            self._note(kind.__name__)
            self._add_array(np.asarray(array), path)
        elif isinstance(value, types.CodeType):
            self._add_code(value, path)
        elif isinstance(value, FUNCTIONS):
            self._add_function(value, path)
        elif isinstance(value, type):
            self._add_class("type", value, path)
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
        if array.dtype.hasobject:
            raise InvalidModelError(
                f"{path} is a structured array with fields of Python objects "
                f"({array.dtype}), whose contents cannot be hashed. Use fields of "
                "numbers or of text of a fixed length."
            )
        rows = np.atleast_1d(array)
        n_rows = max(1, BLOCK_BYTES // max(1, rows[:1].nbytes))
        for begin in range(0, len(rows), n_rows):
            block = np.ascontiguousarray(rows[begin : begin + n_rows])
            if block.dtype.char in "gG":  # long doubles have unused bytes, of any value
                block = block.astype(str)
            self.digest.update(block.tobytes() if block.size else b"")

    def _add_function(self, function, path):
        self._note("function", function.__module__, function.__qualname__)
        if not isinstance(function, types.FunctionType):
            return
        self._add_code(function.__code__, path)
        self._add_globals(function, path)
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        defaults = [function.__defaults__, function.__kwdefaults__, cells]
        self._add_guarded(function, defaults, path)

    def _add_code(self, code, path):
        self._note("code", code.co_name, code.co_names)
        self.digest.update(code.co_code)
        self.add(code.co_consts, path)

    def _add_globals(self, function, path):
        """Add the plain global values that a function reads, and does not set."""
        if _is_installed(function.__module__):
            return
        for name in sorted(_global_names(function.__code__)):
            value = function.__globals__.get(name)
            if _is_plain(value):
                self.add([name, value], f"{path}: global {name}")

    def _add_class(self, kind, value, path):
        """Add the name of a class, and the code of functions in its body and bases."""
        self._note(kind, value.__module__, value.__qualname__)
        for base in value.__mro__:
            if _is_installed(base.__module__):
                continue
            for name, function in vars(base).items():
                for part in _functions_of(function):
                    self._note("method", name)
                    self._add_code(part.__code__, path)
                    self._add_globals(part, path)

    def _add_object(self, value, path):
        kind = type(value)
        self._add_class("object", kind, path)
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


def _is_installed(module):
    """Return whether a module is of the standard library or of an installed package."""
    top = str(module).partition(".")[0]
    if top in sys.stdlib_module_names or top == "sklearn_rnn":  # whose version counts
        return True
    file = getattr(sys.modules.get(str(module)), "__file__", None)
    return file is not None and not PACKAGES.isdisjoint(Path(file).parts)


def _functions_of(attribute):
    """Return the functions that an attribute of a class consists of."""
    if isinstance(attribute, property):
        found = [attribute.fget, attribute.fset, attribute.fdel]
    else:
        found = [attribute.__func__ if isinstance(attribute, WRAPPERS) else attribute]
    return [part for part in found if isinstance(part, types.FunctionType)]


def _global_names(code):
    """Return names of the globals that code, or code in it, reads and does not set."""
    found: dict[str, set[str]] = {"LOAD": set(), "STORE": set()}
    codes = [code]
    for code in codes:
        codes += [
            const for const in code.co_consts if isinstance(const, types.CodeType)
        ]
        for step in dis.get_instructions(code):
            action, _, kind = step.opname.partition("_")
            if action in found and kind == "GLOBAL":
                found[action].add(step.argval)
    return {name for name in found["LOAD"] - found["STORE"] if name[:2] != "__"}


def _is_plain(value):
    """Return whether a value is text, numbers, arrays, or consists of these."""
    if type(value) in (list, tuple, set, frozenset):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, [*value, *value.values()]))
    if type(value) is np.ndarray:
        return not value.dtype.hasobject
    plain = *SCALARS, *REPRESENTED, torch.Tensor
    return type(value) in plain or isinstance(value, NUMBERS)


def _state_of(value, path):
    """Return what an object holds, as values that can be told from others."""
    described = describe(value)
    if type(described) is dict and described.get(TYPE) in DESCRIBE:
        return described
    if isinstance(value, (tuple, list, dict)):  # subclasses
        items = list(value.items()) if isinstance(value, dict) else list(value)
        return [items, getattr(value, "__dict__", None)]
    if isinstance(value, torch.dtype):
        return str(value)
    state = value.__getstate__()
    if state is None and not hasattr(value, "__dict__"):
        raise InvalidModelError(
            f"{path} is of type {type(value).__module__}.{type(value).__qualname__}, "
            "which cannot be told from others of its type."
        )
    return state
