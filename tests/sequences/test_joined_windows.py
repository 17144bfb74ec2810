from collections import Counter

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import (
    InvalidSequenceError,
    RNNTagger,
    SequenceArray,
    join_windows,
    make_windows,
)

# Overlapping, side by side, and with rows between them.
CUTS = [(4, 1), (5, 2), (3, 3), (2, 5)]


def windows_of(n_steps, stride, n_rows=31):
    return make_windows(np.zeros(n_rows), n_steps=n_steps, stride=stride)


def shuffled(n_rows=31):
    """Windows of unequal length in no order, some twice, rows left out."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, n_rows - 12, size=14)
    starts[5] = starts[4]
    lengths = rng.integers(1, 9, size=14)
    lengths[5] = lengths[4]
    return SequenceArray(np.zeros((n_rows, 1)), starts, lengths)


def by_loop(windows, of_step):
    """Collect what is predicted for each row, `of_step(window, step)` each."""
    found = [[] for _ in windows.values]
    for i, (start, length) in enumerate(
        zip(windows.starts, windows.lengths, strict=True)
    ):
        for step in range(length):
            found[start + step].append(of_step(i, step))
    return found


def means_of(found):
    missing = np.full_like(next(np.asarray(row[0]) for row in found if row), np.nan)
    return np.array([np.mean(row, axis=0) if row else missing for row in found])


def winners_of(found):
    def winner(row):
        counts = Counter(row)
        return min(label for label in counts if counts[label] == max(counts.values()))

    return [winner(row) if row else None for row in found]


@pytest.fixture(params=[*CUTS, None], ids=str)
def windows(request):
    return shuffled() if request.param is None else windows_of(*request.param)


@pytest.mark.parametrize("shape", [(), (1,), (3,)], ids=str)
def test_means_are_those_of_a_plain_loop(windows, shape):
    predictions = np.random.default_rng(1).normal(size=(len(windows), *shape))
    joined = join_windows(windows, predictions, per_step=False)
    assert joined.dtype == np.float64
    expected = means_of(by_loop(windows, lambda i, step: predictions[i]))
    np.testing.assert_allclose(joined, expected, rtol=1e-12)


def test_labels_are_those_of_a_plain_loop(windows):
    labels = np.random.default_rng(1).choice(list("abc"), size=len(windows))
    joined = join_windows(windows, labels)
    expected = winners_of(by_loop(windows, lambda i, step: labels[i]))
    assert joined.tolist() == expected


@pytest.mark.parametrize("shape", [(), (2,)], ids=str)
def test_numbers_of_steps_count_for_their_own_row(windows, shape):
    rng = np.random.default_rng(1)
    predictions = np.empty(len(windows), dtype=object)
    for i, length in enumerate(windows.lengths):
        predictions[i] = rng.normal(size=(length, *shape))
    expected = means_of(by_loop(windows, lambda i, step: predictions[i][step]))
    for form in (predictions, list(predictions)):
        joined = join_windows(windows, form, per_step=True)
        np.testing.assert_allclose(joined, expected, rtol=1e-12)


def test_labels_of_steps_count_for_their_own_row(windows):
    rng = np.random.default_rng(1)
    labels = np.empty(len(windows), dtype=object)
    for i, length in enumerate(windows.lengths):
        labels[i] = rng.choice(list("abc"), size=length)
    joined = join_windows(windows, labels)
    expected = winners_of(by_loop(windows, lambda i, step: labels[i][step]))
    assert joined.tolist() == expected


def test_arrays_of_steps_are_like_lists_of_them():
    windows, rng = windows_of(5, 2), np.random.default_rng(0)
    for predictions in (
        rng.normal(size=(len(windows), 5, 3)),
        rng.integers(3, size=(len(windows), 5)),
    ):
        joined = join_windows(windows, predictions)
        np.testing.assert_array_equal(joined, join_windows(windows, list(predictions)))
        assert len(joined) == 31


def test_a_tie_goes_to_the_label_that_sorts_first():
    windows = windows_of(2, 1, n_rows=3)
    assert join_windows(windows, ["b", "a"]).tolist() == ["b", "a", "a"]
    assert join_windows(windows, [True, False]).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [([2, 0, 1], np.int64), ([True, False, True], bool), (["a", "b", "c"], "<U1")],
)
def test_labels_keep_their_type_where_windows_cover_all_rows(labels, dtype):
    joined = join_windows(windows_of(2, 2, n_rows=6), labels)
    assert joined.dtype == dtype
    assert joined.tolist() == np.repeat(labels, 2).tolist()
    joined = join_windows(windows_of(2, 2, n_rows=7), labels)
    assert joined.dtype == object
    assert joined[-1] is None
    assert type(joined[0]) is type(labels[0])


def test_rows_between_windows_are_nan():
    joined = join_windows(windows_of(2, 5, n_rows=13), [0.1, 0.7, 0.2])
    nan = np.nan
    expected = [0.1, 0.1, nan, nan, nan, 0.7, 0.7, nan, nan, nan, 0.2, 0.2, nan]
    np.testing.assert_array_equal(joined, expected)


def test_a_row_of_one_window_has_its_very_prediction():
    # Sums that went up by 1e20 and down again have nothing left of 0.1.
    for per_step in (False, True):
        predictions = np.array([[0.1], [1e20], [0.2]]).repeat(3, axis=1)
        if not per_step:
            predictions = predictions[:, 0]
        joined = join_windows(
            windows_of(3, 3, n_rows=9), predictions, per_step=per_step
        )
        assert joined.tolist() == [0.1] * 3 + [1e20] * 3 + [0.2] * 3


def test_means_of_probabilities_are_probabilities():
    proba = np.random.default_rng(0).dirichlet([0.1] * 4, size=200)
    proba[50:150] = np.eye(4)[0]  # sure for a while
    windows = windows_of(30, 1, n_rows=229)
    joined = join_windows(windows, proba)
    assert joined.min() >= 0
    assert joined.max() <= 1
    np.testing.assert_allclose(joined.sum(axis=1), 1)


def test_a_selection_of_windows_covers_its_own_rows_alone():
    windows = windows_of(4, 2, n_rows=12)
    joined = join_windows(windows[[3, 1]], [3.0, 1.0])
    nan = np.nan
    np.testing.assert_array_equal(joined, [nan, nan, 1, 1, 1, 1, 3, 3, 3, 3, nan, nan])
    assert np.isnan(join_windows(windows[[]], [])).all()
    assert join_windows(windows[[]], np.array([], dtype=str)).tolist() == [None] * 12


def test_frames_and_series_of_predictions_are_read():
    windows = windows_of(4, 2, n_rows=12)
    numbers = np.random.default_rng(0).normal(size=(len(windows), 2))
    joined = join_windows(windows, pd.DataFrame(numbers))
    np.testing.assert_array_equal(joined, join_windows(windows, numbers))
    labels = pd.Series(list("abcab"), index=range(5, 10))
    assert join_windows(windows, labels)[0] == "a"
    joined = join_windows(windows, numbers.astype(np.float32))
    assert joined.dtype == np.float64


def test_where_outputs_may_be_steps_it_must_be_said():
    windows = windows_of(5, 5, n_rows=20)
    predictions = np.random.default_rng(0).normal(size=(4, 5))
    with pytest.raises(InvalidSequenceError, match=r"per_step=True.*5 outputs"):
        join_windows(windows, predictions)
    assert join_windows(windows, predictions, per_step=False).shape == (20, 5)
    joined = join_windows(windows, predictions, per_step=True)
    np.testing.assert_array_equal(joined, predictions.ravel())


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (np.zeros(3), r"shape \(3,\).* each of the 4 windows"),
        (0.5, "each of the 4 windows"),
        (np.zeros((4, 4, 2)), r"predictions\[0\] has shape \(4, 2\).* 5 steps"),
        (np.zeros((4, 3), dtype=int), r"predictions\[0\] .* windows\[0\] has 5"),
        ([[0.0] * 5] * 3 + [[0.0]], r"predictions\[3\] has shape \(1,\)"),
        (np.zeros((4, 5, 2), dtype=int), "labels must be one"),
        ([0.0, 0.0, np.nan, 0.0], r"prediction 2 is NaN .*windows\[keep\]"),
        ([[0.0, np.inf]] * 4, "prediction 0 is NaN or infinite"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(predictions, message):
    with pytest.raises(InvalidSequenceError, match=message):
        join_windows(windows_of(5, 5, n_rows=20), predictions)


def test_one_prediction_a_window_is_not_one_a_step():
    with pytest.raises(InvalidSequenceError, match=r"windows\[0\] has 5 steps"):
        join_windows(windows_of(5, 5, n_rows=20), np.zeros(4), per_step=True)


def test_windows_that_do_not_say_where_they_stand_are_refused():
    with pytest.raises(TypeError, match=r"is a ndarray.*make_windows"):
        join_windows(np.asarray(windows_of(5, 5)), np.zeros(6))


def test_labels_without_an_order_are_refused():
    labels = np.array(["a", None, "b", 1], dtype=object)
    with pytest.raises(TypeError, match="several types"):
        join_windows(windows_of(5, 5, n_rows=20), labels)


def test_a_tagger_reads_a_signal_in_windows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    labels = np.where(X[:, 0] > 0, "up", "down")
    windows = make_windows(X, n_steps=20, stride=10)
    steps = [labels[start : start + 20] for start in windows.starts]
    tagger = RNNTagger(
        hidden_size=4, learning_rate=0.05, max_epochs=20, random_state=0
    ).fit(windows, steps)
    joined = join_windows(windows, tagger.predict(windows))
    assert (joined == labels).mean() > 0.9
    proba = join_windows(windows, tagger.predict_proba(windows))
    assert proba.shape == (200, 2)
    assert (tagger.classes_[proba.argmax(axis=1)] == labels).mean() > 0.9


def test_the_earlier_name_of_per_step_warns_and_works():
    windows = windows_of(2, 2, n_rows=4)
    with pytest.warns(FutureWarning, match="use per_step="):
        joined = join_windows(windows, [[1.0, 2.0], [3.0, 4.0]], each_step=True)
    assert joined.tolist() == [1, 2, 3, 4]
