"""Targets of steps: every accepted shape, and laid beside the right steps."""

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import SequenceArray
from sklearn_rnn.sequences import check_input, check_step_targets, is_missing


def aligned(y, X):
    checked = check_input(X)
    return check_step_targets(
        y, checked.sequences, checked.padded, estimator_name="Tagger"
    )


RAGGED = [np.zeros((3, 2)), np.zeros((1, 2)), np.zeros((2, 2))]


@pytest.mark.parametrize("wrap", [list, tuple, pd.Series])
def test_lists_of_sequences_are_read(wrap):
    y = [np.array([1, 2, 3]), [4], pd.Series([5, 6])]
    steps = aligned(wrap(y), RAGGED)
    assert steps.values.tolist() == [1, 2, 3, 4, 5, 6]
    assert steps.lengths.tolist() == [3, 1, 2]
    assert steps.starts.tolist() == [0, 3, 4]
    assert not steps.from_array


def test_object_arrays_of_sequences_are_read():
    y = np.empty(3, dtype=object)
    y[:] = [["a", "b", "a"], ["c"], ["b", "b"]]
    assert aligned(y, RAGGED).values.tolist() == list("abacbb")


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_several_outputs_a_step_stay_together(n_outputs):
    y = [np.full((n, n_outputs), n) for n in (3, 1, 2)]
    assert aligned(y, RAGGED).values[:, 0].tolist() == [3, 3, 3, 1, 2, 2]
    assert aligned(y, RAGGED).values.shape == (6, n_outputs)


@pytest.mark.parametrize("wrap", [np.asarray, pd.DataFrame])
def test_arrays_are_read(wrap):
    y = np.arange(12).reshape(3, 4)
    steps = aligned(wrap(y), np.zeros((3, 4, 2)))
    assert steps.values.tolist() == list(range(12))
    assert steps.from_array


def test_a_three_dimensional_array_has_outputs_last():
    y = np.arange(24).reshape(3, 4, 2)
    steps = aligned(y, np.zeros((3, 4, 5)))
    np.testing.assert_array_equal(steps.values, y.reshape(12, 2))


def test_a_container_over_a_series_is_read_through_its_windows():
    series = np.arange(6.0)[:, None]
    windows = SequenceArray(series, starts=[0, 2], lengths=[3, 4])
    assert aligned(windows, windows).values.tolist() == [0, 1, 2, 2, 3, 4, 5]


def padded(rows):
    """Sequences of one feature in an array, NaN in front and behind."""
    return np.array(rows, dtype=float)[:, :, np.newaxis]


NAN = np.nan
PADDED = padded([[NAN, 1, 2, 3], [4, 5, NAN, NAN], [6, 7, 8, 9]])


def test_targets_at_padding_are_left_out_whatever_they_are():
    y = [[-1, 1, 2, 3], [4, 5, -1, -1], [6, 7, 8, 9]]
    for given in (np.array(y), y):
        assert aligned(given, PADDED).values.tolist() == list(range(1, 10))


def test_targets_may_be_as_short_as_the_sequences_without_padding():
    y = [[1, 2, 3], [4, 5], [6, 7, 8, 9]]
    assert aligned(y, PADDED).values.tolist() == list(range(1, 10))


def test_an_array_padded_with_nan_serves_ragged_sequences():
    y = np.array([[1, NAN, 3], [4, NAN, NAN], [5, 6, NAN]])
    np.testing.assert_array_equal(aligned(y, RAGGED).values, [1, NAN, 3, 4, 5, 6])
    words = np.array(
        [["a", "b", "c"], ["d", None, None], ["e", "f", None]], dtype=object
    )
    assert aligned(words, RAGGED).values.tolist() == list("abcdef")


def test_an_array_with_targets_beyond_the_sequence_is_refused():
    y = np.array([[1, 2, 3], [4, NAN, 9], [5, 6, NAN]])
    with pytest.raises(ValueError, match=r"y\[1\] has 3 steps, but X\[1\] has 1"):
        aligned(y, RAGGED)


@pytest.mark.parametrize(
    "y, message",
    [
        ([[1, 2, 3], [4], [5, 6, 7]], r"y\[2\] has 3 steps, but X\[2\] has 2: Tagger"),
        ([[1, 2, 3], [4]], "X has 3 sequences, y has 2"),
        ([1, 2, 3], r"y has shape \(3,\); Tagger needs a target for every step"),
        (np.zeros((3, 2, 2, 2)), r"y has shape \(3, 2, 2, 2\)"),
        (["abc", "de", "ef"], r"y\[1\] has 2 steps.*one label per character"),
        (["abc", ["d"], "ef"], r"y\[1\] is of type list, and y\[0\] is a string"),
        ([b"abc", b"d", b"ef"], r"y\[0\] is bytes: decode it"),
        ([np.zeros((3, 1)), np.zeros((1, 2)), np.zeros((2, 1))], r"y\[1\] has shape"),
        ([np.zeros((3, 1)), np.zeros(1), np.zeros((2, 1))], r"y\[1\] has shape"),
        ([["a", "b", "c"], [1], [2, 3]], "mixes sequences of text"),
    ],
)
def test_what_is_not_a_target_for_every_step_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        aligned(y, RAGGED)


def test_what_is_masked_is_missing():
    y = np.ma.masked_equal([[1, 2], [3, 4]], 3)
    assert aligned(y, np.zeros((2, 2, 1))).values.tolist() == [1, 2, None, 4]


def test_missing_is_nan_or_none():
    assert is_missing(np.array([1.0, NAN])).tolist() == [False, True]
    assert is_missing(np.array(["a", None, NAN], dtype=object)).tolist() == [0, 1, 1]
    assert is_missing(np.array([0, -1])).tolist() == [False, False]
    assert is_missing(np.array(["nan", ""])).tolist() == [False, False]
