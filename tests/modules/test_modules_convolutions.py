import numpy as np
import pytest

from sklearn_rnn.modules import ConvolutionFeatures, _convolutions
from sklearn_rnn.sequences import check_sequences


def make_sequences(n_features=2, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 40, size=12)
    X = [rng.normal(size=(n, n_features)).cumsum(axis=0) for n in lengths]
    return check_sequences(X)


def fit_features(sequences, n_features=168):
    return ConvolutionFeatures(n_features).fit(sequences, np.random.RandomState(0))


@pytest.mark.parametrize("n_features", [1, 2])
def test_features_are_mean_signs_of_convolutions(n_features):
    X = make_sequences(n_features)
    features = fit_features(X)
    found = features.transform(X)
    kernels = features.weights_.reshape(2, 9, n_features, 84)
    for row in range(3):
        x = np.asarray(X[row])
        x = np.rint((x - features.center_) / features.scale_ * 2**12)
        for group, dilation in enumerate(features.dilations_):
            padded = np.pad(x, ((4 * dilation, 4 * dilation), (0, 0)))
            sums = sum(
                padded[k * dilation : k * dilation + len(x)] @ kernels[group, k]
                for k in range(9)
            )
            signs = np.sign(sums - features.thresholds_[group]).mean(axis=0)
            np.testing.assert_allclose(found[row, group * 84 :][:84], signs)


def test_there_are_84_kernels_that_sum_to_zero():
    kernels = _convolutions.KERNELS
    assert kernels.shape == (9, 84)
    assert not kernels.sum(axis=0).any()
    assert len(np.unique(kernels, axis=1).T) == 84


def test_dilations_grow_to_the_longest_sequence():
    X = check_sequences(np.random.default_rng(0).normal(size=(4, 257, 1)))
    dilations = fit_features(X, 84 * 6).dilations_
    assert dilations.tolist() == [1, 2, 4, 8, 16, 32]
    assert fit_features(X, 85).thresholds_.shape == (2, 84)


def test_features_do_not_depend_on_other_sequences():
    X = make_sequences()
    features = fit_features(X)
    together = features.transform(X)
    alone = np.concatenate([features.transform(X[[i]]) for i in range(len(X))])
    np.testing.assert_array_equal(together, alone)


def test_long_sequences_are_convolved_in_blocks(monkeypatch):
    X = make_sequences()
    features = fit_features(X)
    whole = features.transform(X)
    monkeypatch.setattr(_convolutions, "BLOCK_STEPS", 7)
    np.testing.assert_array_equal(features.transform(X), whole)


def test_features_do_not_depend_on_the_unit():
    X = make_sequences()
    scaled = check_sequences([np.asarray(x) * 8 for x in X])
    found = fit_features(X).transform(X)
    np.testing.assert_array_equal(found, fit_features(scaled).transform(scaled))


def test_kernels_read_some_of_many_channels():
    X = check_sequences(np.random.default_rng(0).normal(size=(4, 20, 30)))
    kernels = fit_features(X).weights_.reshape(2, 9, 30, 84)
    n_read = (kernels != 0).any(axis=1).sum(axis=1)
    assert n_read.min() == 1
    assert 4 < n_read.max() <= 9
