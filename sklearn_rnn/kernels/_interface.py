"""Calls of the compiled kernels: structs of named fields, checked arrays.

The fields are parsed from ``src/interface.hpp``, so that both sides always agree.
"""

import ctypes
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sklearn_rnn.kernels._library import library

HEADER = Path(__file__).parent / "src" / "interface.hpp"
C_TYPES = {
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "uint8_t": ctypes.c_uint8,
    "double": ctypes.c_double,
}
# Valid dtypes of an array of such elements. Those of ``void`` are not listed:
# `check_array` checks them.
DTYPES = {
    "int32_t": ("int32",),
    "int64_t": ("int64",),
    "uint8_t": ("uint8", "bool"),
    "double": ("float64",),
}
# In the order of the enums of the C++ side. What is not here is left to torch.
COMPILED_CELLS = ("rnn", "rnn_relu", "gru", "lstm")
POOLING_CODES = ("last", "mean", "max", None)
COMPILED_LOSSES = (
    *("squared_error", "absolute_error", "huber", "quantile"),
    *("log_loss", "bernoulli"),
    *("gaussian", "student_t", "poisson", "negative_binomial"),
)
VALUES_TYPES = (
    *(np.float32, np.float64, np.int8, np.int16, np.int32, np.int64),
    *(np.uint8, np.uint16, np.uint32),
)


@cache
def _struct(name: str) -> type[ctypes.Structure]:
    """Return the ctypes class of a struct of the C interface."""
    text = re.sub(r"//.*", "", HEADER.read_text())
    [body] = re.findall(rf"struct {name} \{{(.*?)\}};", text, re.S)
    fields: list[tuple[str, type]] = []
    elements: dict[str, str] = {}
    for declaration in filter(str.strip, body.split(";")):
        base = declaration.replace("const", "").split()[0]
        for part in declaration.split(","):
            c_type: type = ctypes.c_void_p if "*" in part else C_TYPES[base]
            fields.append((re.findall(r"\w+", part)[-1], c_type))
            elements[fields[-1][0]] = base
    return type(name, (ctypes.Structure,), {"_fields_": fields, "elements": elements})


def make_struct(name: str, **fields: Any) -> ctypes.Structure:
    """Return a struct of the C interface, an argument of `run_kernel`.

    Parameters
    ----------
    name : str
        Name of the struct in ``src/interface.hpp``.
    **fields : int, float, Tensor, ndarray, ctypes.Structure, list or None
        Arrays and structs are passed by address, and kept alive by the struct; a list
        becomes an array of addresses. Missing fields are 0.
    """
    struct: Any = _struct(name)()
    struct.kept = [fields]
    for field, value in fields.items():
        if value is None:
            continue
        if isinstance(value, (int, float, np.integer)):  # bool, too
            setattr(struct, field, value)
            if getattr(struct, field) != value and value == value:
                # ctypes cuts off what a C integer does not hold.
                raise OverflowError(
                    f"{field}={value} is outside of the range of its C integer."
                )
            continue
        expected = DTYPES.get(struct.elements[field])
        addresses: list[int | None] = []
        for item in value if isinstance(value, list) else [value]:
            if item is None or isinstance(item, (ctypes.Structure, ctypes.Array)):
                addresses.append(None if item is None else ctypes.addressof(item))
                continue
            is_tensor = isinstance(item, torch.Tensor)
            dtype = str(item.dtype).removeprefix("torch.")
            if expected is not None and dtype not in expected:
                raise ValueError(f"{field} must be of {expected[0]}, got {dtype}.")
            if is_tensor and item.device.type != "cpu":
                raise ValueError(f"{field} must be on the CPU, got {item.device}.")
            if not (item.is_contiguous() if is_tensor else item.flags.c_contiguous):
                strides = item.stride() if is_tensor else item.strides
                raise ValueError(
                    f"compiled kernels need contiguous arrays, got {field} with "
                    f"strides {strides}."
                )
            addresses.append(item.data_ptr() if is_tensor else item.ctypes.data)
        if isinstance(value, list):
            struct.kept.append((ctypes.c_void_p * len(value))(*addresses))
            addresses = [ctypes.addressof(struct.kept[-1])]
        setattr(struct, field, addresses[0])
    return struct


def make_structs(name: str, items: Sequence[dict[str, Any]]) -> ctypes.Array:
    """Return an array of structs, with the fields of each as in `make_struct`."""
    structs = [make_struct(name, **fields) for fields in items]
    array: Any = (_struct(name) * len(structs))(*structs)
    array.kept = structs
    return array


def check_array(
    array: torch.Tensor | np.ndarray, name: str, dtype: Any, shape: Sequence[int]
) -> None:
    """Check dtype and shape of an array: a kernel would read or write past its end."""
    if array.dtype != dtype or tuple(array.shape) != tuple(shape):
        raise ValueError(
            f"{name} must be of shape {tuple(shape)} and {dtype}, got "
            f"{tuple(array.shape)} and {array.dtype}."
        )


def run_kernel(name: str, struct: ctypes.Structure) -> None:
    """Call a kernel with a struct of `make_struct`, without the GIL.

    Until it returns, no other thread may write to the arrays of the struct.

    Raises
    ------
    MemoryError
        If there is not enough memory for its buffers.
    RuntimeError
        If it failed otherwise, for example after `set_instruction_set`.
    """
    status = getattr(library(), name)(ctypes.byref(struct))
    if status == 1:
        raise MemoryError(f"out of memory in the compiled kernel {name!r}")
    if status:
        raise RuntimeError(
            f"the compiled kernel {name!r} rejected its arguments or failed: they were "
            "made for another instruction set, or no thread could be started."
        )
