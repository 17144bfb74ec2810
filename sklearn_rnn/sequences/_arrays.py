"""Arrays of numbers that torch reads, from values of other types."""

from numbers import Number

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError

# Larger integers are converted to floats.
LARGEST_INT64 = np.iinfo(np.int64).max


def unmask(values):
    """Return a masked array as a plain one, in which masked values are missing.

    They are NaN, or None where the type has no NaN. Other arrays are returned as they
    are.
    """
    if not np.ma.isMaskedArray(values):
        return values
    mask, data = np.ma.getmaskarray(values), np.asarray(values.data)
    if data.dtype.names is not None or not mask.any():
        return data
    if data.dtype.kind in "biu":
        return np.where(mask, np.nan, data)
    if data.dtype.kind in "fc":
        return np.where(mask, data.dtype.type(np.nan), data)
    data = data.astype(object)
    data[mask] = None
    return data


def to_numbers(values, *, estimator_name, describe):
    """Return an array of real numbers that torch can hold, of at most 64 bits.

    None, NaT and NA among objects become NaN. `describe` describes an index, a tuple of
    int or None, in messages.
    """
    kind = values.dtype.kind
    if kind == "O":
        return _objects_to_floats(values, estimator_name, describe)
    if kind == "c":
        raise InvalidSequenceError(
            f"Complex data not supported: {estimator_name} reads real numbers. Pass "
            "the real and the imaginary part as two features."
        )
    if kind == "f" and values.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            floats = values.astype(np.float64)
        _check_range_of_float64(values, floats, describe)
        return floats
    if kind == "u" and values.dtype.itemsize == 8:
        # The sign bit of int64, which torch reads, would make these negative.
        return values.astype(np.float64 if is_beyond_int64(values) else np.int64)
    if kind in "biuf":
        return values
    remedy = "encode it as numbers first"
    if kind in "mM":
        remedy = (
            "give a SequenceWindower the times of a table in its time=, or pass "
            "numbers, such as hours since the first step"
        )
    elif kind in "USaT":
        remedy = (
            "convert strings of digits with X.astype(float), and encode categories or "
            "words as numbers first: SequenceTokenizer does it for texts"
        )
    raise InvalidSequenceError(
        f"{describe(None)} cannot be read as a sequence of numbers by "
        f"{estimator_name}: it holds values of type {values.dtype}. Instead, {remedy}."
    )


def is_beyond_int64(values):
    """Return whether some unsigned integers are larger than int64 holds."""
    return values.size > 0 and int(values.max()) > LARGEST_INT64


def _objects_to_floats(values, estimator_name, describe):
    try:
        floats = values.astype(np.float64)
    except (OverflowError, TypeError, ValueError):
        floats = _convert_objects(values, estimator_name, describe)
    if np.isinf(floats).any():
        _check_range_of_float64(values, floats, describe)
    return floats


def _convert_objects(values, estimator_name, describe):
    """Convert objects to floats one by one; raise for the first that is no number."""
    floats = np.empty(values.shape)
    for index, value in np.ndenumerate(values):
        try:
            is_missing = pd.api.types.is_scalar(value) and pd.isna(value)
            floats[index] = np.nan if is_missing else float(value)
        except OverflowError as error:
            raise _too_large(value, index, describe) from error
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else InvalidSequenceError
            raise kind(
                f"{describe(index)} is {_abbreviate(value)}, of type "
                f"{type(value).__name__}, and {estimator_name} reads real numbers: "
                f"{error}"
            ) from error
    return floats


def _check_range_of_float64(values, floats, describe):
    """Raise if a value became infinite that is a number of another type."""
    for index in map(tuple, np.argwhere(np.isinf(floats))):
        value = values[index]
        is_infinite = isinstance(value, (str, bytes)) or (
            isinstance(value, Number) and value in (np.inf, -np.inf)
        )
        if not is_infinite:
            raise _too_large(value, index, describe)


def _too_large(value, index, describe):
    return InvalidSequenceError(
        f"{describe(index)} is {_abbreviate(value)}, which is too large for float64, "
        "whose largest value is about 1.8e308. Convert it to another unit."
    )


def _abbreviate(value):
    """Return the text of a value, shortened; of a long int its number of bits."""
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an int of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
