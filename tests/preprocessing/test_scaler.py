import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklearn_rnn import (
    InvalidSequenceError,
    SequenceArray,
    SequenceScaler,
    SequenceWindower,
)

RAGGED = [
    np.array([[1.0, 10.0], [3.0, 10.0]]),
    np.array([[5.0, 10.0], [7.0, 10.0], [9.0, 10.0]]),
]


def test_check_estimator_passes_without_exception():
    check_estimator(SequenceScaler(), on_skip=None)


def test_statistics_are_those_of_all_steps():
    scaler = SequenceScaler().fit(RAGGED)
    reference = StandardScaler().fit(np.concatenate(RAGGED))
    np.testing.assert_allclose(scaler.mean_, reference.mean_)
    np.testing.assert_allclose(scaler.scale_, reference.scale_)
    np.testing.assert_allclose(
        np.concatenate(list(scaler.transform(RAGGED))),
        reference.transform(np.concatenate(RAGGED)),
    )


def test_a_step_counts_once_for_every_window_over_it():
    windows = SequenceWindower(2).fit_transform(np.array([[1.0], [2.0], [6.0]]))
    assert SequenceScaler().fit(windows).mean_ == pytest.approx((1 + 1 + 2 + 2 + 6) / 5)


def test_a_fold_never_sees_the_rows_of_its_test_windows():
    X = np.random.RandomState(0).randn(30, 2)
    changed = X.copy()
    changed[20:] = 1e6
    one, other = (
        SequenceScaler().fit(SequenceWindower(5).fit_transform(table)[:20])
        for table in (X, changed)
    )
    np.testing.assert_array_equal(one.mean_, other.mean_)
    np.testing.assert_array_equal(one.scale_, other.scale_)


def test_weights_repeat_sequences_and_zero_leaves_them_out():
    weighted = SequenceScaler().fit(RAGGED, sample_weight=[2, 1])
    repeated = SequenceScaler().fit([RAGGED[0], *RAGGED])
    np.testing.assert_allclose(weighted.mean_, repeated.mean_)
    np.testing.assert_allclose(weighted.scale_, repeated.scale_)
    np.testing.assert_allclose(
        SequenceScaler().fit(RAGGED, sample_weight=[0, 3]).mean_, [7, 10]
    )


def test_windows_are_not_copied():
    windows = SequenceWindower(5).fit_transform(np.random.RandomState(0).randn(30, 2))
    scaled = SequenceScaler().fit_transform(windows)
    assert np.shares_memory(scaled.values, windows.values)


def test_inverse_transform_undoes_transform():
    scaler = SequenceScaler().fit(RAGGED)
    back = scaler.inverse_transform(scaler.transform(RAGGED))
    for one, other in zip(back, RAGGED, strict=True):
        np.testing.assert_allclose(one, other)


def test_either_half_can_be_left_out():
    without_mean = SequenceScaler(with_mean=False).fit(RAGGED)
    assert without_mean.mean_.tolist() == [0, 0]
    without_std = SequenceScaler(with_std=False).fit(RAGGED)
    assert without_std.scale_.tolist() == [1, 1]
    assert without_std.transform(RAGGED)[0].tolist() == [[-4, 0], [-2, 0]]


def test_a_scaler_of_scaled_sequences_sees_them_scaled():
    once = SequenceScaler().fit_transform(RAGGED)
    again = SequenceScaler().fit(once)
    np.testing.assert_allclose(again.mean_, 0, atol=1e-12)
    np.testing.assert_allclose(again.scale_, 1)


def test_float32_stays_float32():
    X = np.random.RandomState(0).randn(4, 5, 2).astype(np.float32)
    assert SequenceScaler().fit_transform(X).dtype == np.float32


def test_features_are_counted_a_step_or_by_columns():
    assert SequenceScaler().fit(np.zeros((4, 5, 2))).n_features_in_ == 2
    scaler = SequenceScaler().fit(np.random.RandomState(0).randn(6, 5))
    assert scaler.n_features_in_ == 5
    assert scaler.mean_.shape == (1,)


def test_names_come_from_the_table():
    table = pd.DataFrame({"temp": [1.0, 2.0], "wind": [3.0, 5.0]})
    model = make_pipeline(SequenceWindower(2), SequenceScaler())
    model.set_output(transform="pandas").fit(table)
    assert model[-1].feature_names_in_.tolist() == ["temp", "wind"]
    assert model.get_feature_names_out().tolist() == ["temp", "wind"]
    assert isinstance(model.transform(table), SequenceArray)


def test_nan_inside_a_sequence_is_refused_by_place():
    X = np.zeros((2, 4, 1))
    X[1, 2] = np.nan
    with pytest.raises(InvalidSequenceError, match="sequence 1, step 2"):
        SequenceScaler().fit(X)


@pytest.mark.parametrize("weights", [[0, 0], [1, -1], [1, 1, 1]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weight"):
        SequenceScaler().fit(RAGGED, sample_weight=weights)


def test_other_features_than_in_fit_are_refused():
    scaler = SequenceScaler().fit(RAGGED)
    with pytest.raises(ValueError, match="X has 3 features, but SequenceScaler is"):
        scaler.transform(np.zeros((2, 4, 3)))


def test_clone_forgets_the_data():
    scaler = clone(SequenceScaler(with_mean=False).fit(RAGGED))
    assert not scaler.with_mean
    assert not hasattr(scaler, "mean_")
