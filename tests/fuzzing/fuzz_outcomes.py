"""Outcomes of a call that are allowed: a result, or a documented error.

An error counts as documented if its type is one that the docstrings name and it was
raised by a ``raise`` statement of this package or by scikit-learn's validation. What
NumPy, pandas or torch throw from inside is a finding, whatever its type.
"""

import ast
import os
import traceback
import warnings
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sklearn
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import DataConversionWarning, UndefinedMetricWarning

import sklearn_rnn
from sklearn_rnn import DivergenceError, SklearnRNNWarning

DOCUMENTED = (ValueError, TypeError, AttributeError, DivergenceError, MemoryError)
OURS = str(Path(sklearn_rnn.__file__).parent) + os.sep
SCIKIT_LEARN = str(Path(sklearn.__file__).parent) + os.sep

# The same calls whenever tests run, in a few seconds; and thousands.
FEW_AND_MANY = pytest.mark.parametrize(
    "n_calls", [25, pytest.param(1500, marks=pytest.mark.slow)]
)


def fuzz(strategy, check, n_calls):
    """Check what a strategy draws, `n_calls` times."""
    settings(
        max_examples=n_calls,
        derandomize=n_calls < 100,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )(given(strategy)(check))()


def rarely(draw):
    """Draw True once in about five times: faults should not crowd out results."""
    return draw(st.integers(0, 4)) == 4


@contextmanager
def only_documented_warnings():
    """Turn every warning that no docstring documents into an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for category in (
            SklearnRNNWarning,
            DataConversionWarning,
            UndefinedMetricWarning,
        ):
            warnings.simplefilter("ignore", category)
        # scikit-learn's own, of a frame where there was an array or the reverse.
        warnings.filterwarnings("ignore", message="X (has|does not have valid) feature")
        yield


def outcome(call):
    """Return the result of a call and None, or None and its documented error."""
    try:
        with only_documented_warnings():
            return call(), None
    except DOCUMENTED as error:
        if not _is_documented(error):
            raise
        event(f"refused by {_place(error)}")
        return None, error


def succeed(call):
    """Return the result of a call that nothing is wrong with."""
    with only_documented_warnings():
        return call()


def is_object_array(values):
    return isinstance(values, np.ndarray) and values.dtype.kind == "O"


def assert_finite(values):
    """Check numbers, or lists and arrays of them, for NaN and infinity."""
    if isinstance(values, (list, tuple)) or is_object_array(values):
        for value in values:
            assert_finite(value)
        return
    values = np.asarray(values)
    if values.dtype.kind == "f":
        assert np.isfinite(values).all(), values


def assert_same(actual, expected):
    """Compare predictions bit for bit, ragged ones too."""
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def _is_documented(error):
    last = traceback.extract_tb(error.__traceback__)[-1]
    if last.filename.startswith(SCIKIT_LEARN):
        return True
    return last.filename.startswith(OURS) and any(
        first <= last.lineno <= end for first, end in _raise_statements(last.filename)
    )


@cache
def _raise_statements(filename):
    tree = ast.parse(Path(filename).read_text(encoding="utf-8"))
    raising = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return [(node.lineno, node.end_lineno) for node in raising]


def _place(error):
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.name}"
