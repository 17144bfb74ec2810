from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from sklearn_rnn import (
    InvalidSequenceError,
    SequenceArray,
    SequenceWindower,
    make_forecast_frame,
    make_windows,
)


def series(n_rows=8):
    return np.column_stack([np.arange(n_rows), 10 * np.arange(n_rows)]).astype(float)


def test_a_window_ends_one_row_before_its_target():
    X = series()
    windows, targets = make_windows(X, X[:, 0], n_steps=3)
    assert len(windows) == len(targets) == 5
    for window, target in zip(windows, targets, strict=True):
        assert window.shape == (3, 2)
        assert target == window[-1, 0] + 1


@pytest.mark.parametrize("horizon", [0, 1, 2, 4])
@pytest.mark.parametrize("stride", [1, 3])
def test_targets_are_those_of_a_plain_loop(horizon, stride):
    X, y = series(20), np.arange(20) ** 2
    windows, targets = make_windows(X, y, n_steps=4, horizon=horizon, stride=stride)
    last = [i for i in range(3, 20 - horizon) if (i - 3) % stride == 0]
    assert [window[-1, 0] for window in windows] == last
    ahead = {0: lambda i: y[i], 1: lambda i: y[i + 1]}
    expected = [
        ahead.get(horizon, lambda i: y[i + 1 : i + horizon + 1])(i) for i in last
    ]
    np.testing.assert_array_equal(targets, expected)


def test_several_targets_stand_one_after_the_other():
    X = series()
    assert make_windows(X, X, n_steps=2)[1][0].tolist() == [2, 20]
    targets = make_windows(X, X, n_steps=2, horizon=3)[1]
    assert targets.shape == (4, 6)
    assert targets[0].tolist() == [2, 3, 4, 20, 30, 40]


def test_without_targets_the_last_window_ends_at_the_last_row():
    windows = make_windows(series(), n_steps=3, horizon=5)
    assert len(windows) == 6
    assert windows[-1][:, 0].tolist() == [5, 6, 7]


def test_windows_share_the_memory_of_the_series():
    X = series(100)
    assert np.shares_memory(make_windows(X, n_steps=30).values, X)


def test_names_of_columns_are_kept():
    table = pd.DataFrame(series(), columns=["temp", "wind"])
    assert make_windows(table, n_steps=2).feature_names == ("temp", "wind")
    assert make_windows(table["temp"], n_steps=2).feature_names == ("temp",)
    assert make_windows(table.set_axis([0, 1], axis=1), n_steps=2).feature_names is None


@pytest.mark.parametrize("X", [[1, 2, 3, 4], np.arange(4), pd.Series([1, 2, 3, 4])])
def test_one_dimension_is_one_feature(X):
    assert make_windows(X, n_steps=2).shape == (3, 2, 1)


def test_labels_of_any_kind_are_targets():
    _, targets = make_windows(series(4), list("abcd"), n_steps=2, horizon=0)
    assert targets.tolist() == ["b", "c", "d"]


@pytest.mark.parametrize(("n_steps", "horizon"), [(9, 0), (8, 1), (4, 5)])
def test_too_few_rows_are_refused_with_the_number_needed(n_steps, horizon):
    with pytest.raises(
        InvalidSequenceError, match=f"8 rows.* take {n_steps + horizon}"
    ):
        make_windows(series(), np.zeros(8), n_steps=n_steps, horizon=horizon)


@pytest.mark.parametrize("y", [np.zeros(7), np.zeros((8, 1, 1)), 3.0])
def test_targets_of_another_shape_are_refused(y):
    with pytest.raises(InvalidSequenceError, match=r"y has shape .* 8 rows"):
        make_windows(series(), y, n_steps=2)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("n_steps", 0), ("n_steps", 2.0), ("horizon", -1), ("stride", 0)],
)
def test_sizes_out_of_range_are_refused_by_name(parameter, value):
    options = {"n_steps": 2, parameter: value}
    with pytest.raises(ValueError, match=f"{parameter} must be an int of at least"):
        make_windows(series(), np.zeros(8), **options)


LISTS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    "X",
    [
        pa.table({"a": [1.0, 3.0, 5.0], "b": [2.0, 4.0, 6.0]}),
        pl.DataFrame(LISTS, schema=["a", "b"], orient="row"),
        pd.DataFrame(LISTS, columns=["a", "b"], dtype="Float64"),
        torch.tensor(LISTS, requires_grad=True),
        [[Decimal(value) for value in row] for row in LISTS],
        np.array(LISTS, dtype=object),
        [np.array(row) for row in LISTS],
    ],
)
def test_tables_of_other_libraries_are_cut(X):
    windows = make_windows(X, n_steps=2)
    assert windows[1].tolist() == LISTS[1:]
    assert windows.feature_names == (("a", "b") if hasattr(X, "columns") else None)
    windower = SequenceWindower(2, history=None)
    assert windower.fit_transform(X)[2].tolist() == LISTS[1:]


@pytest.mark.parametrize(
    "X",
    [
        [np.zeros((5, 2)), np.zeros((7, 2))],
        [np.zeros(5), np.zeros(7)],
        np.zeros((3, 5, 2)),
        pd.DataFrame({"a": [pd.Series([1.0, 2.0]), pd.Series([1.0])]}),
        pack_sequence([torch.zeros(3), torch.zeros(2)]),
        SequenceArray(np.zeros((4, 1)), [0, 2], [2, 2]),
        [[[1.0, 2.0], [3.0]], [[4.0]]],
    ],
)
def test_several_recordings_are_cut_one_by_one(X):
    with pytest.raises(InvalidSequenceError, match="for window in make_windows"):
        make_windows(X, n_steps=2)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ({"a": [1.0, 2.0]}, TypeError, r"dict.*pandas\.DataFrame\(X\)"),
        (pl.DataFrame({"a": [1.0]}).lazy(), TypeError, r"X\.collect\(\)"),
        (pl.DataFrame({"a": [{"b": 1}] * 3}), TypeError, "unnest"),
        ((x for x in LISTS), TypeError, r"generator.*list\(X\)"),
        (None, TypeError, "X is None"),
        ([1.0, 10**400, 3.0], InvalidSequenceError, "X at step 1 is an int of"),
        ([[1.0], [10**400], [3.0]], InvalidSequenceError, "row 1, column 0 is an int"),
        ([1.0, [2.0], 3.0], InvalidSequenceError, "cannot be read"),
        (["a", "b", "c"], InvalidSequenceError, "cannot be read as .* numbers"),
        (pd.date_range("2024", periods=4), InvalidSequenceError, "datetime64"),
    ],
)
def test_what_is_no_series_is_named(X, error, message):
    with pytest.raises(error, match=message):
        make_windows(X, n_steps=2)


def test_targets_are_read_like_series():
    y = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    assert make_windows(LISTS, y, n_steps=2)[1].tolist() == [3.0]
    masked = np.ma.masked_equal([1, 2, 3], 3)
    assert np.isnan(make_windows(LISTS, masked, n_steps=2)[1]).all()
    with pytest.raises(InvalidSequenceError, match="y cannot be read"):
        make_windows(LISTS, [[1.0], [1.0, 2.0], [3.0]], n_steps=2)


def test_a_masked_value_of_a_table_is_missing():
    X = np.ma.masked_equal(LISTS, 4.0)
    assert np.isnan(make_windows(X, n_steps=2)[1][0, 1])
    assert np.isnan(SequenceWindower(2, history=None).fit_transform(X)[1][1, 1])


def test_arrow_tables_are_forecast_frames():
    table = pa.table({"sales": [3, 5, 4, 6]})
    X, Y = make_forecast_frame(table, target="sales")
    assert Y["sales+1"].tolist() == [5, 4, 6]
    assert X["sales"].tolist() == [3, 5, 4]
    with pytest.raises(TypeError, match=r"data\.collect\(\)"):
        make_forecast_frame(pl.DataFrame({"sales": [1, 2]}).lazy())


@pytest.mark.parametrize("value", [np.inf, 1e308])
def test_a_mean_that_is_not_finite_fills_nothing(value):
    table = pd.DataFrame({"temp": [1.0, value, value, np.nan]})
    with pytest.raises(InvalidSequenceError, match="'temp' of X holds .* in row 1"):
        SequenceWindower(2, history=None, missing="mask").fit(table)
