"""The arrays that a container is made of: numbers torch reads, and read-only."""

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError


def numbers(values):
    """Return `values` as a C-contiguous 2-D array of a type that torch reads."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise InvalidSequenceError(
            f"the steps must be real numbers, got values of type {values.dtype}. "
            "Complex data not supported; encode dates and strings as numbers first."
        )
    if values.ndim != 2 or values.shape[1] == 0:
        raise InvalidSequenceError(
            "values must be 2-D (n_rows, n_features), with at least one feature, got "
            f"shape {values.shape}."
        )
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        values = values.astype(np.uint8)
    elif kind == "u" and size > 1:
        values = values.astype(np.int64)
    elif kind == "f" and size > 8:
        values = values.astype(np.float64)
    elif not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return np.ascontiguousarray(values)


# Above this many rows their numbers do not fit into int32.
MAX_INT32_ROWS = 2**31 - 1
# Types of lengths that are added to starts of int32, and so do not overflow.
LENGTH_TYPES = (np.uint8, np.int16, np.int32)


def row_numbers(given, name, n_rows, kept=(np.int32,)):
    """Return numbers of rows as int64, or as one of the types `kept` if they are.

    Others are as small as their numbers allow, and the first sum would overflow.
    `name` is for the message.
    """
    given = np.asarray(given)
    if given.dtype.kind not in "iu" and given.size:
        raise InvalidSequenceError(
            f"{name} must be whole numbers, got values of type {given.dtype}."
        )
    if n_rows <= MAX_INT32_ROWS and given.dtype in kept:
        return given
    return given.astype(np.int64, copy=False)


def wide(rows):
    """Return row numbers as int64, which no arithmetic with them overflows."""
    return rows if rows.dtype == np.int64 else read_only(rows.astype(np.int64))


def read_only(array):
    """Return a view of `array` that cannot be written to, or itself if it is one.

    Selections then hold the same object, which joblib gives to its workers once.
    """
    if not array.flags.writeable:
        return array
    array = array.view()
    array.flags.writeable = False
    return array
