import numpy as np
import pytest

from sklearn_rnn.sequences import SequenceArray, check_sequences
from sklearn_rnn.training import validation_split


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
    # The target of a window lies up to `horizon` rows after its last one.
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
