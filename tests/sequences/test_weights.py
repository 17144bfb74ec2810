import numpy as np
import pytest
import torch

from sklearn_rnn import (
    InvalidSequenceError,
    RNNClassifier,
    RNNRegressor,
    SequenceScaler,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 4, 1))
Y = X.sum(axis=(1, 2))
WEIGHTS = np.arange(1.0, 11)
QUICK = {"hidden_size": 3, "max_epochs": 2, "random_state": 0}


@pytest.mark.parametrize("factor", [1e300, 1e307, 1e-310, 1e-200])
def test_only_ratios_of_weights_count(factor):
    expected = RNNRegressor(**QUICK).fit(X, Y, WEIGHTS).predict(X)
    model = RNNRegressor(**QUICK).fit(X, Y, WEIGHTS * factor)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6)
    scaler = SequenceScaler().fit(X, sample_weight=WEIGHTS * factor)
    np.testing.assert_allclose(
        scaler.mean_, SequenceScaler().fit(X, sample_weight=WEIGHTS).mean_, rtol=1e-6
    )
    assert model.score(X, Y, WEIGHTS * factor) == pytest.approx(
        model.score(X, Y, WEIGHTS)
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.inf, "sample_weight contains infinity"),
        (np.nan, "sample_weight contains NaN"),
        (10**400, r"sample_weight\[1\] is an int of .* bits, which is too large"),
    ],
)
def test_weights_that_are_no_finite_numbers_are_refused(bad, message):
    weights = [1.0, bad, *[1.0] * 8]
    for fit in (
        lambda: RNNRegressor(**QUICK).fit(X, Y, weights),
        lambda: RNNClassifier(**QUICK).fit(X, Y > 0, weights),
        lambda: RNNRegressor(**QUICK).partial_fit(X, Y, weights),
        lambda: SequenceScaler().fit(X, sample_weight=weights),
    ):
        with pytest.raises(ValueError, match=message):
            fit()


def test_masked_weights_are_missing():
    weights = np.ma.masked_equal(WEIGHTS, 3)
    with pytest.raises(ValueError, match="sample_weight contains NaN"):
        RNNRegressor(**QUICK).fit(X, Y, weights)
    with pytest.raises(ValueError, match="sample_weight contains NaN"):
        SequenceScaler().fit(X, sample_weight=weights)


def test_targets_too_large_or_masked_are_refused_by_place():
    with pytest.raises(InvalidSequenceError, match=r"y\[1\] is an int of .* too large"):
        RNNRegressor(**QUICK).fit(X, [1.0, 10**400, *[1.0] * 8])
    with pytest.raises(InvalidSequenceError, match=r"y\[1\], step 2 is an int of"):
        RNNRegressor(return_sequences=True, **QUICK).fit(
            X, [[0.0] * 4, [0.0, 0.0, 10**400, 0.0], *[[0.0] * 4] * 8]
        )
    with pytest.raises(ValueError, match=r"y\[1\] is an int of .* strings"):
        RNNClassifier(**QUICK).fit(X, [0, 10**400, *[0] * 8])
    masked = np.ma.masked_equal(np.arange(10), 3)
    with pytest.raises(ValueError, match="y contains NaN: 1 of 10 targets.* at 3"):
        RNNRegressor(**QUICK).fit(X, masked)
    with pytest.raises(ValueError, match="NaN"):
        RNNClassifier(**QUICK).fit(X, np.ma.masked_equal(np.arange(10) % 3, 2))
    labels = np.ma.masked_equal(np.array(["a", "b"] * 4 + ["a", "c"]), "c")
    with pytest.raises(ValueError, match=r"y\[9\] is missing"):
        RNNClassifier(**QUICK).fit(X, labels)


def test_a_masked_target_is_left_out_where_missing_targets_are():
    options = {**QUICK, "missing_targets": "ignore"}
    expected = RNNRegressor(**options).fit(X, np.where(WEIGHTS == 3, np.nan, Y))
    model = RNNRegressor(**options).fit(X, np.ma.array(Y, mask=WEIGHTS == 3))
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    steps = [np.ma.array(x[:, 0], mask=[0, 1, 0, 0]) for x in X]
    holes = [np.where([0, 1, 0, 0], np.nan, x[:, 0]) for x in X]
    options = {**QUICK, "return_sequences": True}
    for found, wanted in zip(
        RNNRegressor(**options).fit(X, steps).predict(X),
        RNNRegressor(**options).fit(X, holes).predict(X),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)


def test_masked_targets_do_not_count_as_values_in_a_score():
    model = RNNRegressor(**QUICK).fit(X, Y)
    with pytest.raises(ValueError, match="NaN"):
        model.score(X, np.ma.array(Y, mask=WEIGHTS == 3))
    classifier = RNNClassifier(**QUICK).fit(X, Y > 0)
    with pytest.raises(ValueError, match="NaN"):
        classifier.score(X, np.ma.array(np.arange(10) % 2, mask=WEIGHTS == 3))


def test_tensors_are_targets_and_weights():
    model = RNNRegressor(**QUICK).fit(X, Y, WEIGHTS)
    tensors = [torch.tensor(a, requires_grad=True) for a in (X, Y, WEIGHTS)]
    same = RNNRegressor(**QUICK).fit(*tensors)
    np.testing.assert_array_equal(same.predict(tensors[0]), model.predict(X))
