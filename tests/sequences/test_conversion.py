"""Data of other libraries, and of types that hold no sequences."""

import array
from collections import deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy.sparse import csr_array
from torch.nn.utils.rnn import pack_sequence

from sklearn_rnn import InvalidSequenceError, SequenceArray
from sklearn_rnn.sequences import check_sequences

RAGGED = [np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0, 7.0, 8.0])]
LISTS = [x.tolist() for x in RAGGED]
ARROW_LISTS = pd.ArrowDtype(pa.list_(pa.float64()))
TENSORS = [torch.tensor(x) for x in RAGGED]


def read(X):
    return [x.ravel().tolist() for x in check_sequences(X)]


UNIVARIATE = {
    "frame of Series": pd.DataFrame({"a": [pd.Series(x) for x in RAGGED]}),
    "frame of lists": pd.DataFrame({"a": LISTS}),
    "object array of cells": pd.DataFrame({"a": RAGGED}).to_numpy(),
    "Series of lists": pd.Series(LISTS),
    "arrow-backed Series": pd.Series(LISTS, dtype=ARROW_LISTS),
    "polars lists": pl.DataFrame({"a": LISTS}),
    "polars Series": pl.Series(LISTS),
    "list of polars frames": [pl.DataFrame({"a": x}) for x in LISTS],
    "pyarrow table of lists": pa.table({"a": LISTS}),
    "pyarrow chunks": pa.chunked_array([LISTS]),
    "list of pyarrow tables": [pa.table({"a": x}) for x in LISTS],
    "packed": pack_sequence(TENSORS, enforce_sorted=False),
    "nested tensor": torch.nested.nested_tensor(TENSORS, layout=torch.jagged),
    "list of tensors": [x.clone().requires_grad_() for x in TENSORS],
    "deque": deque(LISTS),
    "arrays of the standard library": [array.array("d", x) for x in LISTS],
    "nullable Series": [pd.Series(x, dtype="Float64") for x in LISTS],
    "lists of tensors that train": [list(x.clone().requires_grad_()) for x in TENSORS],
    "decimals": [[Decimal(v) for v in x] for x in LISTS],
}


@pytest.mark.parametrize("form", UNIVARIATE)
def test_sequences_of_other_libraries_are_read(form):
    assert read(UNIVARIATE[form]) == LISTS


def test_cells_of_a_row_are_features_with_the_names_of_columns():
    nested = pd.DataFrame({"a": LISTS, "b": RAGGED})
    for frame in (nested, pl.DataFrame({"a": LISTS, "b": LISTS})):
        X = check_sequences(frame)
        assert X.feature_names == ("a", "b")
        assert X[0].tolist() == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]


def test_packed_sequences_keep_their_features_and_order():
    parts = [torch.arange(n * 2.0).reshape(n, 2) + n for n in (2, 5, 3)]
    X = check_sequences(pack_sequence(parts, enforce_sorted=False))
    for found, part in zip(X, parts, strict=True):
        np.testing.assert_array_equal(found, part.numpy())
    sorted_parts = [parts[1], parts[2], parts[0]]
    X = check_sequences(pack_sequence(sorted_parts))
    np.testing.assert_array_equal(X[2], parts[0].numpy())


@pytest.mark.parametrize(
    "X",
    [
        pa.table({"a": [1.0, 4.0], "b": [2.0, 5.0], "c": [3.0, None]}),
        pl.DataFrame({"a": [1.0, 4.0], "b": [2.0, 5.0], "c": [3.0, None]}),
        pd.DataFrame([[1, 2, 3], [4, 5, None]], dtype="Int64"),
        np.ma.masked_equal(np.array([[1, 2, 3], [4, 5, 6]]), 6),
        torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, torch.nan]], requires_grad=True),
        [[1, 2, 3], np.ma.masked_equal([4, 5, 6], 6)],
        np.array([[1, 2, 3], [4, 5, None]], dtype=object),
        np.array([[1, 2, 3], [4, 5, pd.NA]], dtype=object),
    ],
)
def test_missing_values_of_every_type_are_nan(X):
    assert read(X) == [[1.0, 2.0, 3.0], [4.0, 5.0]]


def test_a_mask_inside_of_a_sequence_is_a_hole_and_not_a_value():
    X = np.ma.masked_equal(np.array([[1.0, 2.0, 3.0]]), 2)
    for given in (X, X[:, :, np.newaxis], [X[0]], [X[0][:, np.newaxis]]):
        with pytest.raises(InvalidSequenceError, match="NaN: sequence 0, step 1"):
            check_sequences(given)
    values = np.ma.masked_equal(np.array([[1], [2], [3]]), 2)
    with pytest.raises(InvalidSequenceError, match="NaN: sequence 0, step 1"):
        check_sequences(SequenceArray(values, [0], [3]))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({"a": [1.0]}, r"of type dict.* list\(X.values\(\)\)"),
        ({"a": [1.0]}.values(), r"of type dict_values.* list\(X\)"),
        ((x for x in RAGGED), r"of type generator.* list\(X\)"),
        ({1.0, 2.0}, "of type set.* no order"),
        (None, "X is None"),
        (3, "of type int"),
        (len, "of type builtin_function_or_method"),
        (pl.DataFrame({"a": [1.0]}).lazy(), r"LazyFrame.*X.collect\(\)"),
        (np.zeros(2, dtype=[("a", float), ("b", float)]), r"structured.*\['a', 'b'\]"),
        (pd.DataFrame({"g": [1], "x": [2.0]}).groupby("g"), "DataFrameGroupBy"),
        (torch.eye(2).to_sparse(), "to_dense"),
        ([csr_array(np.eye(2))], "toarray"),
        ([None, RAGGED[0]], r"X\[0\] is None"),
        ([RAGGED[0], None], r"X\[1\] is None"),
        ([{"a": 1.0}], r"X\[0\] is of type dict"),
        ([RAGGED[0], 5], r"X\[1\] is of type int"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_type(X, message):
    with pytest.raises(TypeError, match=message):
        check_sequences(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("text", "holds strings"),
        (b"text", "holds bytes"),
        (Path("clip.wav"), "LogMelSpectrogram"),
        (np.array(3.0), "Expected 2D array, got scalar"),
        (np.zeros((2, 3), dtype="datetime64[ns]"), "datetime64"),
        ([np.zeros(3, dtype="timedelta64[s]")], r"X\[0\] .*timedelta64"),
        ([[1j, 2.0]], "Complex data not supported"),
        (pl.DataFrame({"a": [1.0], "b": ["x"]}), "column 'b' of X holds String"),
        (pd.DataFrame({"id": [1, 2], "a": LISTS}), r"'id'.* does not.*X\[\['a'\]\]"),
        (pd.DataFrame({"a": LISTS, "b": LISTS[::-1]}), r"row 0 of X have \[3, 5\]"),
        (pd.DataFrame({"a": [[1.0], []]}), r"X\[1\] is an empty sequence"),
        ([pd.DataFrame({"a": LISTS})], r"X\[0\] holds several sequences"),
        ([["a", "b"]], "cannot be read as a sequence of numbers"),
        ([[1.0, [2.0]]], "cannot be read as a sequence of numbers"),
        (pa.chunked_array([[1.0, 2.0]]), "Expected 2D array, got 1D"),
        (
            pd.DataFrame(
                {"a": [1.0, 2.0]},
                index=pd.MultiIndex.from_product(
                    [["s"], pd.date_range("2024", periods=2)]
                ),
            ),
            "SequenceWindower",
        ),
    ],
)
def test_values_that_are_no_sequences_are_refused(X, message):
    with pytest.raises(InvalidSequenceError, match=message):
        check_sequences(X)


@pytest.mark.parametrize("value", [10**400, Decimal("1e400"), Fraction(10**400)])
@pytest.mark.parametrize(
    "form",
    [
        lambda value: [[1.0, 2.0], [value, 1]],
        lambda value: [[1.0], [value, 1]],
        lambda value: np.array([[1.0, 2.0], [value, 1]], dtype=object),
        lambda value: pd.DataFrame([[1.0, 2.0], [value, 1]], dtype=object),
        lambda value: [[[1.0], [2.0]], [[value], [1]]],
        lambda value: np.array([[[1], [2]], [[value], [1]]], dtype=object),
    ],
)
def test_numbers_beyond_float64_are_refused_by_place(value, form):
    with pytest.raises(
        InvalidSequenceError, match="sequence 1, step 0, feature 0 is .* too large"
    ):
        check_sequences(form(value))


@pytest.mark.skipif(np.finfo(np.longdouble).maxexp <= 1024, reason="no wider type")
def test_a_long_double_beyond_float64_is_refused_by_place():
    X = np.ones((2, 3), dtype=np.longdouble)
    X[1, 2] = np.longdouble("1e4000")
    with pytest.raises(InvalidSequenceError, match="sequence 1, step 2.*too large"):
        check_sequences(X)


def test_unsigned_integers_do_not_become_negative():
    X = np.array([[2**63 + 2048, 1]], dtype=np.uint64)
    for given in (X, X[:, :, np.newaxis], [X[0]]):
        assert read(given) == [[2.0**63 + 2048, 1.0]]
    assert SequenceArray(X.T, [0], [2])[0].ravel().tolist() == [2.0**63 + 2048, 1.0]


VECTORS = [np.column_stack([x, x + 10]) for x in RAGGED]
NESTED_LISTS = [x.tolist() for x in VECTORS]


@pytest.mark.parametrize(
    "X",
    [
        pl.DataFrame({"a": NESTED_LISTS}),
        pl.Series(NESTED_LISTS),
        pa.table({"a": NESTED_LISTS}),
        pd.Series(NESTED_LISTS, dtype=pd.ArrowDtype(pa.list_(pa.list_(pa.float64())))),
        [pd.Series(list(x)).to_numpy() for x in VECTORS],
        [[torch.tensor(step, requires_grad=True) for step in x] for x in VECTORS],
    ],
)
def test_a_vector_per_step_is_read_from_nested_lists_of_other_libraries(X):
    assert [x.tolist() for x in check_sequences(X)] == NESTED_LISTS


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("place", [0, 1])
def test_a_missing_sequence_is_named_with_its_place(missing, place):
    items = [LISTS[0], LISTS[1], LISTS[0]]
    items[place] = missing
    for X in (items, pd.DataFrame({"a": items}), pd.Series(items, dtype=object)):
        with pytest.raises(TypeError, match=rf"{place}\]? is .* Leave it out, and its"):
            check_sequences(X)


@pytest.mark.parametrize(
    ("item", "way_out"),
    [
        ({"a": [1.0, 2.0]}, r"pandas\.DataFrame\(X\[1\]\)"),
        ({1.0, 2.0}, "has no order"),
        (iter([1.0]), r"pass list\(X\[1\]\)"),
        (memoryview(np.ones(2)), r"X\[1\]\.tolist\(\)"),
    ],
)
def test_an_item_of_a_wrong_type_is_told_the_way_out(item, way_out):
    with pytest.raises(TypeError, match=rf"X\[1\] is of type .*{way_out}"):
        check_sequences([LISTS[0], item])
