"""Values that a network, a scaler or a difference cannot compute with."""

import numpy as np
import pytest

from sklearn_rnn import (
    DivergenceError,
    InvalidSequenceError,
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceArray,
    SequenceScaler,
    StatefulPredictor,
)

RNG = np.random.default_rng(0)
N = 12
X = RNG.normal(size=(N, 5, 2))
QUICK = {"hidden_size": 3, "max_epochs": 1, "random_state": 0}
MODELS = {
    "regressor": (RNNRegressor, {}, X.sum(axis=(1, 2))),
    "quantiles": (RNNRegressor, {"loss": "quantile"}, X.sum(axis=(1, 2))),
    "attention": (RNNRegressor, {"pooling": "attention"}, X.sum(axis=(1, 2))),
    "steps": (RNNRegressor, {"return_sequences": True}, X[:, :, 0]),
    "classifier": (RNNClassifier, {}, np.arange(N) % 2),
    "tagger": (RNNTagger, {}, (X[:, :, 0] > 0).astype(int)),
    "seq2seq": (RNNSeq2Seq, {}, ["ab", "b"] * (N // 2)),
    "transcriber": (RNNTranscriber, {}, ["a", "b"] * (N // 2)),
}
METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_quantiles",
    "hidden_states",
    "attention_weights",
    "input_gradients",
)
TOO_LARGE = r"X holds .*1e\+39 at sequence 1, step 3, feature 1.*float32.*float64"


def far(value):
    given = X[:2].copy()
    given[1, 3, 1] = value
    return given


def fit(name, data=X, **options):
    estimator, own, y = MODELS[name]
    options = {"dtype": "float32", **QUICK, **own, **options}
    return estimator(**options).fit(data, y)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("standardize", [True, False])
def test_values_beyond_float32_are_refused_by_place_in_every_method(name, standardize):
    model = fit(name, standardize=standardize)
    for method in METHODS:
        if not hasattr(model, method):
            continue
        if method == "predict_quantiles" and name != "quantiles":
            continue
        if method == "attention_weights" and name != "attention":
            continue
        with pytest.raises(InvalidSequenceError, match=TOO_LARGE):
            getattr(model, method)(far(1e39))
    with pytest.raises(InvalidSequenceError, match=TOO_LARGE):
        model.score(far(1e39), MODELS[name][2][:2])


@pytest.mark.parametrize("name", ["regressor", "classifier", "tagger", "steps"])
def test_values_beyond_float32_are_refused_in_training(name):
    y = MODELS[name][2]
    model = fit(name)
    before = model.predict(X)
    with pytest.raises(InvalidSequenceError, match=TOO_LARGE):
        model.partial_fit(far(1e39), y[:2])
    with pytest.raises(InvalidSequenceError, match=TOO_LARGE):
        model.set_params(warm_start=True).fit(far(1e39), y[:2])
    with pytest.raises(InvalidSequenceError, match=TOO_LARGE):
        model.set_params(warm_start=False).fit(X, y, X_val=far(1e39), y_val=y[:2])
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(InvalidSequenceError, match=TOO_LARGE):
        fit(name, np.concatenate([X[:1], far(1e39)[1:], X[2:]]), standardize=False)
    if name == "classifier":
        model = fit(name, convolutions=None)
    with pytest.raises(InvalidSequenceError, match=TOO_LARGE):
        StatefulPredictor(model).predict(far(1e39))


@pytest.mark.parametrize("name", ["seq2seq", "transcriber"])
def test_values_beyond_float32_are_refused_where_symbols_are_written(name):
    y = MODELS[name][2]
    with pytest.raises(ValueError, match=TOO_LARGE):
        MODELS[name][0](**QUICK).fit(X, y, X_val=far(1e39), y_val=y[:2])
    with pytest.raises(InvalidSequenceError, match=TOO_LARGE):
        fit(name, np.concatenate([X[:1], far(1e39)[1:], X[2:]]), standardize=False)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("value", [1e15, -1e15])
def test_large_values_within_the_range_give_finite_predictions(name, value):
    model = fit(name)
    for method in METHODS[1:3]:
        if hasattr(model, method):
            for part in getattr(model, method)(far(value)):
                assert not np.isnan(part).any()
    if name not in ("seq2seq", "transcriber"):
        for part in model.predict(far(value)):
            assert np.isfinite(np.asarray(part, dtype=float)).all()


def test_float64_reads_what_float32_does_not():
    model = fit("regressor", dtype="float64")
    assert np.isfinite(model.predict(far(1e39))).all()
    with pytest.raises(InvalidSequenceError, match="at sequence 1, step 3.*'float64'"):
        model.predict(far(1e300))


def test_a_small_scale_counts():
    model = fit("regressor", X * 1e-30)
    with pytest.raises(InvalidSequenceError, match="sequence 1, step 3, feature 1"):
        model.predict(far(1e30) * 1e-30)
    assert np.isfinite(model.predict(X * 1e-30)).all()


def test_the_range_is_that_of_the_rows_that_sequences_cover():
    model = fit("regressor")
    rows = np.concatenate([X[0], np.full((3, 2), 1e39), X[1]])
    windows = SequenceArray(rows, [0, 8], [5, 5])
    np.testing.assert_array_equal(model.predict(windows), model.predict(X[:2]))
    with pytest.raises(InvalidSequenceError, match="sequence 1, step 4, feature 0"):
        model.predict(SequenceArray(rows, [0, 1], [5, 5]))


def test_rows_that_change_between_two_calls_are_looked_at_again():
    model, rows = fit("regressor"), X[0].copy()
    windows = SequenceArray(rows, [0], [5])
    assert np.isfinite(model.predict(windows)).all()
    rows[2, 0] = 1e39
    with pytest.raises(InvalidSequenceError, match="sequence 0, step 2, feature 0"):
        model.predict(windows)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.float16])
def test_differences_do_not_wrap_around_or_overflow(dtype):
    limit = np.finfo(dtype).max if dtype is np.float16 else np.iinfo(dtype).max
    steps = (RNG.random((N, 5, 1)) * limit).astype(dtype)
    steps[0, 0, 0], steps[0, 1, 0] = limit, -limit if dtype is np.float16 else 0
    y = steps.astype(float).mean(axis=(1, 2))
    options = {**QUICK, "target_feature": 0, "subtract_last": True}
    expected = RNNRegressor(**options).fit(steps.astype(float), y)
    model = RNNRegressor(**options).fit(steps, y)
    np.testing.assert_allclose(
        model.predict(steps), expected.predict(steps.astype(float)), rtol=1e-5
    )


def test_targets_far_beyond_those_of_fit_are_refused_by_place():
    model = fit("regressor")
    before = model.predict(X)
    y = MODELS["regressor"][2].copy()
    y[7] = 1e60
    with pytest.raises(DivergenceError, match=r"1e\+60 at sequence 7, output 0"):
        model.partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    steps = X[:, :, 0].copy()
    steps[2, 4] = -1e60
    with pytest.raises(DivergenceError, match=r"-1e\+60 at sequence 2, step 4"):
        fit("steps").partial_fit(X, steps)


@pytest.mark.parametrize("name", ["regressor", "steps"])
def test_states_that_overflow_on_the_way_are_refused_by_place(name):
    model = fit(name, cell="rnn_relu")
    for weight in model.module_.core.rnn.parameters():
        weight.data.fill_(10.0)
    long = [X[0], np.ones((200, 2))]
    for method in (model.predict, model.hidden_states):
        with pytest.raises(InvalidSequenceError, match="infinity for sequence 1"):
            method(long)
    with pytest.raises(InvalidSequenceError, match="infinity for sequence 0"):
        StatefulPredictor(model).predict([np.ones((200, 2))] * 2)


def make_overflow(model):
    for name, weight in model.module_.named_parameters():
        if "weight_hh" in name:
            weight.data.fill_(10.0)
    return model


@pytest.mark.parametrize(
    ("name", "methods"),
    [
        ("seq2seq", ["predict", "predict_n_best", "attention"]),
        ("transcriber", ["predict", "predict_n_best", "posteriors"]),
    ],
)
def test_states_that_overflow_are_refused_where_symbols_are_written(name, methods):
    model = make_overflow(fit(name, cell="rnn_relu"))
    for method in methods:
        with pytest.raises(InvalidSequenceError, match="infinity for sequence 1"):
            getattr(model, method)([X[0], 1e6 * np.ones((200, 2))])


def test_states_that_overflow_are_refused_where_symbols_follow_each_other():
    options = {"cell": "rnn_relu", "dtype": "float32", **QUICK}
    model = make_overflow(RNNGenerator(**options).fit([[1, 2, 3]] * 4))
    long = [1, 2, 3] * 60
    for method in (model.score, model.score_samples, model.hidden_states):
        with pytest.raises(InvalidSequenceError, match="infinity for sequence 1"):
            method([[1, 2], long])
    for method in (model.sample, model.next_symbols):
        with pytest.raises(InvalidSequenceError, match="read and written so far"):
            method(prompt=long)


# Scalers.


def test_a_feature_too_large_to_standardise_is_refused_by_place():
    X_large = far(1e300)
    for estimator in (SequenceScaler(), RNNRegressor(**QUICK)):
        with pytest.raises(
            InvalidSequenceError, match="too large.*at sequence 1, step 3, feature 1"
        ):
            estimator.fit(X_large, [0.0, 1.0])


@pytest.mark.parametrize("size", [1e-100, 1e-160, 1e-250])
def test_tiny_features_are_standardised_right(size):
    scaler = SequenceScaler().fit(X * size)
    np.testing.assert_allclose(scaler.scale_ / size, X.std(axis=(0, 1)), rtol=1e-10)
    scaled = np.asarray(scaler.transform(X * size))
    np.testing.assert_allclose(scaled, np.asarray(SequenceScaler().fit_transform(X)))
    np.testing.assert_allclose(
        np.asarray(scaler.inverse_transform(scaled)), X * size, atol=1e-12 * size
    )


def test_denormal_noise_is_a_constant():
    noise = RNG.integers(3, size=(4, 3, 1)) * 5e-324
    assert SequenceScaler().fit(noise).scale_.tolist() == [1.0]


def test_a_scale_beyond_float32_does_not_make_nan():
    small = (X * 1e-40).astype(np.float32)
    scaled = np.asarray(SequenceScaler().fit(small).transform(small))
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled.std(axis=(0, 1)), 1.0, rtol=1e-3)


def test_scaled_values_that_overflow_are_refused_by_place():
    scaler = SequenceScaler().fit((X * 1e-30).astype(np.float32))
    with pytest.raises(InvalidSequenceError, match="sequence 1, step 3, feature 1"):
        scaler.transform(far(1e20).astype(np.float32))
    scaled = SequenceScaler().fit(X * 1e-10).transform(X * 1e-10)
    with pytest.raises(InvalidSequenceError, match="cannot be scaled"):
        scaled.scale(np.zeros(2), np.array([1.0, np.inf]))
