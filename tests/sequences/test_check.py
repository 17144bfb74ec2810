import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sklearn_rnn import InvalidSequenceError, SequenceArray
from sklearn_rnn.sequences import (
    _container,
    check_sequences,
    check_tokens,
    is_list_of_sequences,
)


def block(n_sequences=2, n_timesteps=4, n_features=2):
    size = n_sequences * n_timesteps * n_features
    return np.arange(float(size)).reshape(n_sequences, n_timesteps, n_features)


def objects(*arrays):
    X = np.empty(len(arrays), dtype=object)
    X[:] = arrays
    return X


# What is accepted.


@pytest.mark.parametrize(
    "X",
    [
        block(),
        list(block()),
        tuple(block()),
        objects(*block()),
        [x.tolist() for x in block()],
        [pd.DataFrame(x, columns=["a", "b"]) for x in block()],
        SequenceArray(block().reshape(8, 2), [0, 4], [4, 4]),
    ],
)
def test_every_form_reads_as_the_same_sequences(X):
    np.testing.assert_array_equal(np.asarray(check_sequences(X)), block())


@pytest.mark.parametrize(
    "X",
    [
        block(n_features=1)[:, :, 0],
        pd.DataFrame(block(n_features=1)[:, :, 0]),
        list(block(n_features=1)[:, :, 0]),
        block(n_features=1)[:, :, 0].tolist(),
        [pd.Series(x) for x in block(n_features=1)[:, :, 0]],
    ],
)
def test_two_dimensions_are_univariate_sequences(X):
    np.testing.assert_array_equal(np.asarray(check_sequences(X)), block(n_features=1))


def test_lengths_of_a_list_may_differ():
    X = check_sequences([np.zeros((5, 2)), np.ones((3, 2))])
    assert X.lengths.tolist() == [5, 3]
    assert X[1].tolist() == np.ones((3, 2)).tolist()


def test_a_block_is_not_copied():
    X = block()
    assert np.shares_memory(check_sequences(X).values, X)


def test_names_of_frames_are_kept():
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in block()]
    assert check_sequences(frames).feature_names == ("a", "b")
    frames[1] = frames[1].rename(columns={"b": "c"})
    with pytest.raises(InvalidSequenceError, match="different columns"):
        check_sequences(frames)


def test_a_list_of_numbers_is_no_list_of_sequences():
    assert not is_list_of_sequences([1, 2])
    assert not is_list_of_sequences([])
    assert not is_list_of_sequences(["abc"])
    assert not is_list_of_sequences(np.zeros((2, 2)))
    assert is_list_of_sequences([[1], [2, 3]])


# Padding.


def test_whole_nan_steps_at_either_end_are_padding():
    X = block(n_sequences=3)
    X[0, 3] = np.nan
    X[2, :2] = np.nan
    sequences = check_sequences(X)
    assert sequences.lengths.tolist() == [3, 4, 2]
    np.testing.assert_array_equal(sequences[2], X[2, 2:])


def test_padding_does_not_reach_into_the_next_sequence():
    X = block(n_sequences=2)
    X[0, 2:] = np.nan
    X[1, :2] = np.nan
    sequences = check_sequences(X)
    np.testing.assert_array_equal(sequences[0], X[0, :2])
    np.testing.assert_array_equal(sequences[1], X[1, 2:])


def test_padding_is_found_across_the_chunks_that_a_scan_reads(monkeypatch):
    monkeypatch.setattr(_container, "CHUNK_ROWS", 3)
    X = block(n_sequences=5)
    for i, n_kept in enumerate([1, 4, 2, 1, 3]):
        X[i, n_kept:] = np.nan
    X[2, 0] = np.nan
    sequences = check_sequences(X)
    assert sequences.lengths.tolist() == [1, 4, 1, 1, 3]
    np.testing.assert_array_equal(sequences[2], X[2, 1:2])


def test_reading_a_padded_array_gives_the_ragged_list_back():
    X = check_sequences([np.arange(5.0), np.arange(2.0), np.arange(9.0)])
    again = check_sequences(np.asarray(X))
    assert again.lengths.tolist() == X.lengths.tolist()


def test_in_two_dimensions_padding_stands_at_the_end_only():
    X = np.array([[1.0, 2.0, np.nan], [4.0, 5.0, 6.0]])
    assert check_sequences(X).lengths.tolist() == [2, 3]
    with pytest.raises(InvalidSequenceError, match="sequence 0 begins with it"):
        check_sequences(X[:, ::-1])


@pytest.mark.parametrize("width", [1, 3])
def test_a_sequence_of_padding_alone_is_refused(width):
    X = block(n_features=width)
    X[1] = np.nan
    with pytest.raises(InvalidSequenceError, match=r"X\[1\] is NaN at every step"):
        check_sequences(X)


# What is refused, and with which words.


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (-np.inf, "infinity")])
def test_values_that_are_not_finite_are_refused_by_place(value, word):
    X = block()
    X[1, 2, 1] = value
    with pytest.raises(
        InvalidSequenceError,
        match=f"contains {word}: sequence 1, step 2, feature 1.*RNNRegressor",
    ):
        check_sequences(X, estimator_name="RNNRegressor")


def test_the_place_names_the_feature_where_it_has_a_name():
    frame = pd.DataFrame({"temp": [1.0, 2.0, 3.0], "wind": [1.0, np.inf, 2.0]})
    with pytest.raises(InvalidSequenceError, match=r"feature 1 \('wind'\)"):
        check_sequences([frame])


def test_a_partly_missing_step_at_the_end_is_no_padding():
    X = block()
    X[0, -1, 0] = np.nan
    with pytest.raises(InvalidSequenceError, match="sequence 0, step 3, feature 0"):
        check_sequences(X)


def test_rows_outside_of_the_selected_sequences_may_be_anything():
    values = np.zeros((6, 1))
    values[4] = np.nan
    X = SequenceArray(values, [0, 2], [2, 4])
    assert len(check_sequences(X[:1])) == 1
    with pytest.raises(InvalidSequenceError, match="sequence 1, step 2"):
        check_sequences(X)


def test_finite_values_whose_sum_overflows_are_accepted():
    assert len(check_sequences(np.full((2, 3, 1), 1e308))) == 2


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            [np.zeros((3, 2)), np.zeros((3, 5))],
            r"X\[1\] has 5 features .* X\[0\] has 2",
        ),
        ([np.zeros((3, 2)), np.zeros((0, 2))], r"X\[1\] is an empty sequence"),
        ([[1.0, 2.0], [1.0, "a"]], r"X\[1\] cannot be read as a sequence of numbers"),
        ([np.zeros((2, 2, 2))], r"X\[0\] has shape \(2, 2, 2\)"),
        (np.zeros((2, 2, 2, 2)), "4 dimensions"),
        (np.zeros((2, 0, 3)), r"shape \(2, 0, 3\)"),
        (np.zeros((2, 3, 0)), r"0 feature\(s\)"),
        (np.zeros((0, 3, 2)), r"0 sample\(s\)"),
        (np.zeros((0, 3)), r"0 sample\(s\)"),
    ],
)
def test_data_that_are_no_sequences_are_refused(X, message):
    with pytest.raises(InvalidSequenceError, match=message):
        check_sequences(X)


@pytest.mark.parametrize(
    ("X", "error"),
    [
        (np.zeros(5), ValueError),
        ([], ValueError),
        (np.zeros((2, 3, 1), dtype=complex), ValueError),
        (np.array([["a", "b"]]), ValueError),
        (sparse.csr_array(np.eye(3)), TypeError),
    ],
)
def test_other_kinds_of_data_are_refused(X, error):
    with pytest.raises(error):
        check_sequences(X)


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2024", periods=4, freq="h"),
        pd.period_range("2024", periods=4, freq="h"),
    ],
)
def test_a_table_with_times_is_sent_to_the_windower(index):
    table = pd.DataFrame(np.zeros((4, 6)), index=index)
    with pytest.raises(InvalidSequenceError, match="Put a SequenceWindower in front"):
        check_sequences(table)


def test_no_sequences_are_acceptable_on_request():
    assert len(check_sequences(block()[:0], allow_empty=True)) == 0


# Tokens.


def test_tokens_are_counted_from_zero():
    assert check_tokens(check_sequences([[3, 1], [2]])) == 4
    assert check_tokens(check_sequences([[0.0, 7.0]])) == 8


@pytest.mark.parametrize("token", [-1.0, 0.5])
def test_what_is_no_token_is_refused_by_place(token):
    with pytest.raises(InvalidSequenceError, match=rf"X\[1\] holds {token} at step 2"):
        check_tokens(check_sequences([[1.0, 2.0], [0.0, 1.0, token]]))


def test_tokens_are_one_per_step():
    with pytest.raises(InvalidSequenceError, match="2 features per step"):
        check_tokens(check_sequences(block()))
