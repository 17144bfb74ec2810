import numpy as np
import pytest

from sklearn_rnn import SequenceArray
from sklearn_rnn.sequences import check_sequences
from sklearn_rnn.training import find_copies, validation_folds, validation_split


def windows(n_windows=100, n_steps=8, seed=None):
    starts = np.arange(n_windows)
    if seed is not None:
        np.random.default_rng(seed).shuffle(starts)
    series = np.zeros((n_windows + n_steps, 1))
    return SequenceArray(series, starts, np.full(n_windows, n_steps))


def separate(n_sequences=100):
    return check_sequences(np.zeros((n_sequences, 4, 1)))


def split(sequences, fraction=0.2, seed=0, **options):
    return validation_split(sequences, fraction, np.random.RandomState(seed), **options)


def rows_of(sequences, indices):
    return {
        row for i in indices for row in range(sequences.starts[i], sequences.ends[i])
    }


@pytest.mark.parametrize("seed", [None, 0])
def test_windows_are_validated_on_the_last_block(seed):
    X = windows(seed=seed)
    _, validation = split(X)
    assert sorted(X.starts[validation]) == list(range(80, 100))


@pytest.mark.parametrize("seed", [None, 0])
def test_no_training_window_shares_a_row_with_validation(seed):
    X = windows(seed=seed)
    train, validation = split(X)
    assert rows_of(X, train).isdisjoint(rows_of(X, validation))
    # And no more windows than those are dropped.
    assert sorted(X.starts[train]) == list(range(0, 73))


@pytest.mark.parametrize("horizon", [1, 3, 30])
def test_no_training_target_reaches_into_those_of_validation(horizon):
    X = windows()
    train, validation = split(X, horizon=horizon)
    # The target of a window is up to `horizon` rows after its last one.
    last_target_row = (X.ends[train] - 1 + horizon).max()
    first_target_row = X.ends[validation].min()
    assert last_target_row < first_target_row
    assert len(train) == min(73, 80 + 8 - horizon - 8 + 1)


def test_windows_of_unequal_length_are_ordered_by_their_end():
    n_rows = 50
    ends = np.arange(1, n_rows + 1)
    lengths = np.minimum(ends, 6)
    X = SequenceArray(np.zeros((n_rows, 1)), ends - lengths, lengths)
    train, validation = split(X)
    assert sorted(X.ends[validation]) == list(range(41, 51))
    assert rows_of(X, train).isdisjoint(rows_of(X, validation))


def test_separate_sequences_are_validated_on_a_random_share():
    X = separate()
    (train, validation), again, other = (split(X, seed=seed) for seed in (0, 0, 1))
    assert len(validation) == 20
    assert sorted([*train, *validation]) == list(range(100))
    assert validation.tolist() != list(range(80, 100))
    assert validation.tolist() == again[1].tolist()
    assert validation.tolist() != other[1].tolist()


def test_classes_are_stratified():
    labels = np.repeat([0, 1], [90, 10])
    for seed in range(5):
        _, validation = split(separate(), seed=seed, labels=labels)
        assert np.bincount(labels[validation]).tolist() == [18, 2]


def test_copies_of_a_sequence_stay_together():
    X = separate(30)[np.repeat(np.arange(30), 4)]
    train, validation = split(X)
    assert set(X.starts[train]).isdisjoint(X.starts[validation])
    assert len(train) + len(validation) == 120


def test_bootstrapped_windows_are_purged_too():
    picks = np.random.default_rng(0).integers(100, size=200)
    X = windows()[picks]
    train, validation = split(X)
    assert rows_of(X, train).isdisjoint(rows_of(X, validation))


@pytest.mark.parametrize(
    "X, fraction",
    [
        (separate(1), 0.5),
        (windows(n_windows=10, n_steps=50), 0.2),
        (windows(), 0.999),
    ],
)
def test_too_few_sequences_are_an_error_that_says_what_to_do(X, fraction):
    with pytest.raises(ValueError, match="validation_fraction=.*X_val and y_val"):
        split(X, fraction)


def test_a_tiny_fraction_still_validates_on_one():
    for X in (separate(20), windows()):
        train, validation = split(X, fraction=1e-3)
        assert len(validation) == 1
        assert len(train) > 0


def test_too_few_of_a_class_are_an_error():
    labels = np.array([0] * 20 + [1])
    with pytest.raises(ValueError, match="X_val and y_val"):
        split(separate(21), labels=labels)


# Folds.


def folds_of(sequences, n_folds=4, horizon=1, seed=0):
    """Return the fold of each sequence, and which are near to each fold."""
    random_state = np.random.RandomState(seed)
    folds, near = validation_folds(sequences, n_folds, horizon, random_state)
    rows = np.arange(len(sequences))
    return folds, [np.flatnonzero(near(k, rows)) for k in range(folds.max() + 1)]


@pytest.mark.parametrize("seed", [None, 0])
def test_folds_of_windows_are_blocks_of_time(seed):
    X = windows(seed=seed)
    folds, _ = folds_of(X)
    for k in range(4):
        own = sorted(X.starts[folds == k])
        assert own == list(range(25 * k, 25 * k + 25))


@pytest.mark.parametrize("horizon", [1, 5])
def test_windows_near_a_fold_are_those_within_the_horizon(horizon):
    X = windows()
    folds, near = folds_of(X, horizon=horizon)
    beside = [*range(25 - horizon, 25), *range(50, 50 + horizon)]
    assert near[1].tolist() == beside
    assert near[0].tolist() == list(range(25, 25 + horizon))
    assert (folds[near[1]] != 1).all()


def test_of_few_windows_the_horizon_leaves_some_to_learn_from():
    folds, near = folds_of(windows(n_windows=12), n_folds=3, horizon=50)
    for k in range(3):
        seen = np.setdiff1d(np.flatnonzero(folds != k), near[k])
        assert len(seen) >= 4


def test_where_nearly_all_windows_end_together_some_are_left_to_learn_from():
    ends = np.repeat(np.arange(11), [1] * 9 + [20, 15])
    times = np.column_stack([ends - 1, ends]).ravel()
    X = SequenceArray(
        np.zeros((88, 1)), np.arange(44) * 2, np.full(44, 2), time_index=times
    )
    folds, near = folds_of(X, n_folds=2, horizon=9)
    assert np.bincount(folds).tolist() == [29, 15]
    for k in range(2):
        assert len(np.setdiff1d(np.flatnonzero(folds != k), near[k])) > 0


def test_a_fold_is_the_same_time_in_every_series():
    n = 40
    starts = np.concatenate([np.arange(n), 100 + np.arange(n)])
    times = np.concatenate([np.arange(100), np.arange(100)])
    X = SequenceArray(np.zeros((200, 1)), starts, np.full(2 * n, 5), time_index=times)
    folds, near = folds_of(X, horizon=2)
    np.testing.assert_array_equal(folds[:n], folds[n:])
    assert near[0].tolist() == [10, 11, 50, 51]


def test_folds_of_separate_sequences_are_drawn():
    folds, near = folds_of(separate())
    assert np.bincount(folds).tolist() == [25] * 4
    assert all(len(rows) == 0 for rows in near)
    assert folds.tolist() == folds_of(separate())[0].tolist()
    assert folds.tolist() != folds_of(separate(), seed=1)[0].tolist()
    assert (np.diff(folds) != 0).any()


def test_folds_are_drawn_where_all_sequences_end_together():
    times = np.tile(np.arange(4), 100)
    X = SequenceArray(
        np.zeros((400, 1)), np.arange(100) * 4, np.full(100, 4), time_index=times
    )
    assert X.time_index is not None
    folds, near = folds_of(X)
    assert np.bincount(folds).tolist() == [25] * 4
    assert all(len(rows) == 0 for rows in near)


@pytest.mark.parametrize("make", [windows, separate])
def test_copies_are_in_one_fold_and_do_not_move_the_others(make):
    X = make()
    counts = np.random.default_rng(0).integers(1, 5, size=100)
    again = np.repeat(np.arange(100), counts)
    shuffled = np.random.default_rng(1).permutation(again)
    expected = folds_of(X)[0]
    for rows in (again, shuffled):
        np.testing.assert_array_equal(folds_of(X[rows])[0], expected[rows])


def test_copies_are_found():
    X = SequenceArray(np.zeros((10, 1)), [0, 4, 0, 0, 4, 9], [3, 2, 3, 4, 2, 1])
    first, copy_of = find_copies(X)
    assert sorted(first) == [0, 1, 3, 5]
    assert first[copy_of].tolist() == [0, 1, 0, 3, 1, 5]
    for apart in (separate(10), windows(10)):
        first, copy_of = find_copies(apart)
        assert first.tolist() == copy_of.tolist() == list(range(10))
