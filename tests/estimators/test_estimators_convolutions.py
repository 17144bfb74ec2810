import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss

from sklearn_rnn import (
    LogMelSpectrogram,
    RNNClassifier,
    SequenceWindower,
    StatefulPredictor,
    make_windows,
)
from sklearn_rnn.estimators.closed_form import _convolutions
from sklearn_rnn.sequences import check_sequences


def make_bumps(n_sequences, seed=0):
    """Long noisy sequences with a bump of one of two shapes, anywhere."""
    rng = np.random.default_rng(seed)
    shapes = np.array([[1, -2, 4, -2, 1, 0, 0], [0, 2, 0, -4, 0, 2, 0]])
    X = 0.5 * rng.normal(size=(n_sequences, 100, 1))
    y = np.arange(n_sequences) % 2
    for x, code in zip(X, y, strict=True):
        begin = rng.integers(90)
        x[begin : begin + 7, 0] += shapes[code]
    return X, y


def make_noise(n_sequences=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_sequences, 8, 1)), rng.integers(3, size=n_sequences)


def make_classifier(**options):
    small = {"hidden_size": 4, "max_epochs": 3, "batch_size": 16, "random_state": 0}
    return RNNClassifier(**small | options)


@pytest.mark.thorough
def test_convolutions_find_short_patterns_in_few_sequences():
    (X, y), (X_test, y_test) = make_bumps(60), make_bumps(200, seed=1)
    scores = {
        convolutions: make_classifier(convolutions=convolutions)
        .fit(X, y)
        .score(X_test, y_test)
        for convolutions in (None, "auto")
    }
    assert scores["auto"] > 0.9 > scores[None] + 0.2


def test_none_is_the_network_alone_and_the_same_network():
    X, y = make_bumps(40)
    alone = make_classifier(convolutions=None).fit(X, y)
    beside = make_classifier().fit(X, y)
    assert alone.convolutions_ is None
    for key, weight in alone.module_.state_dict().items():
        np.testing.assert_array_equal(weight, beside.module_.state_dict()[key])
    assert (alone.predict_proba(X) != beside.predict_proba(X)).any()


def test_the_number_of_features_is_a_parameter():
    X, y = make_bumps(20)
    for convolutions, n_features in ((1, 84), (84, 84), (85, 168), ("auto", 2016)):
        model = make_classifier(convolutions=convolutions).fit(X, y)
        assert len(model.convolutions_.ridge_.coef_) == n_features


def test_the_less_convolutions_tell_the_more_the_network_counts():
    told = make_classifier().fit(*make_bumps(60)).convolutions_
    untold = make_classifier().fit(*make_noise()).convolutions_
    assert told.network_weight_ < untold.network_weight_ == pytest.approx(1, abs=0.15)
    assert told.left_out_score_ > 0.9
    assert untold.left_out_score_ < 0.6


def test_probabilities_suit_left_out_sequences():
    (X, y), (X_test, y_test) = make_noise(), make_noise(seed=1)
    model = make_classifier().fit(X, y)
    assert log_loss(y_test, model.predict_proba(X_test)) < 1.1 * np.log(3)


def test_predictions_agree_with_one_another():
    X, y = make_bumps(30)
    model = make_classifier().fit(X, y)
    chances = model.predict_proba(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(chances), model.predict_log_proba(X), atol=1e-12)
    np.testing.assert_array_equal(
        model.predict(X), model.classes_[chances.argmax(axis=1)]
    )


def test_sequences_of_unequal_length_predict_the_same_alone():
    X, y = make_bumps(30)
    X = [x[: 20 + 2 * i] for i, x in enumerate(X)]
    model = make_classifier().fit(X, y)
    alone = [model.predict_proba([x])[0] for x in X]
    np.testing.assert_array_equal(model.predict_proba(X), alone)


@pytest.mark.parametrize("n_sequences", [20, 60])
def test_an_integer_weight_is_as_many_copies(n_sequences):
    X, y = make_noise(n_sequences)
    weights = np.random.default_rng(0).integers(0, 4, size=n_sequences)
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(len(X)), weights))
    weighted = make_classifier().fit(X, y, sample_weight=weights).convolutions_
    repeated = make_classifier().fit(X[rows], y[rows]).convolutions_
    sequences = check_sequences(X)
    np.testing.assert_allclose(
        weighted.log_probabilities(sequences),
        repeated.log_probabilities(sequences),
        rtol=1e-8,
    )
    assert weighted.network_weight_ == pytest.approx(repeated.network_weight_)


def test_class_weights_count_in_the_closed_form():
    X, y = make_noise(100)
    y = (np.arange(100) < 10).astype(int)
    plain, balanced = (
        make_classifier(class_weight=class_weight).fit(X, y).convolutions_
        for class_weight in (None, "balanced")
    )
    np.testing.assert_allclose(np.exp(plain.log_priors_), [0.9, 0.1])
    np.testing.assert_allclose(np.exp(balanced.log_priors_), [0.5, 0.5])


def test_validation_scores_are_those_of_score():
    (X, y), (X_val, y_val) = make_bumps(60), make_bumps(30, seed=1)
    model = make_classifier().fit(X, y, X_val=X_val, y_val=y_val)
    assert model.validation_scores_[-1] == model.score(X_val, y_val)


@pytest.mark.thorough
def test_of_many_sequences_some_are_drawn(monkeypatch):
    monkeypatch.setattr(_convolutions, "MOST_SEQUENCES", 40)
    (X, y), (X_test, y_test) = make_bumps(100), make_bumps(100, seed=1)
    one, other = (make_classifier().fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.score(X_test, y_test) > 0.85


def test_a_copy_predicts_the_same():
    X, y = make_bumps(30)
    model = make_classifier().fit(X, y)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict_proba(X), copied.predict_proba(X))
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


def test_a_warm_start_keeps_the_closed_form():
    X, y = make_bumps(30)
    model = make_classifier(warm_start=True).fit(X, y)
    before = model.convolutions_
    assert model.fit(*make_bumps(30, seed=1)).convolutions_ is before
    assert model.set_params(warm_start=False).fit(X, y).convolutions_ is not before


def test_a_stream_has_none_unless_fit_made_it():
    X, y = make_bumps(30)
    assert make_classifier().partial_fit(X, y).convolutions_ is None
    model = make_classifier(convolutions=84).fit(X, y)
    before = model.convolutions_
    assert model.partial_fit(X, y).convolutions_ is before


def test_a_stream_refuses_a_number_of_features():
    X, y = make_bumps(30)
    with pytest.raises(ValueError, match="convolutions=84 needs all training data"):
        make_classifier(convolutions=84).partial_fit(X, y)


def test_spectra_of_windows_of_a_recording_overlap_too():
    recording = np.random.default_rng(0).normal(size=4000)
    spectra = LogMelSpectrogram(8000, n_mels=10)
    for stride, is_none in (50, True), (400, False):
        windows = make_windows(recording, n_steps=400, stride=stride)
        y = np.arange(len(windows)) % 2
        model = make_classifier(convolutions="auto")
        model.fit(spectra.fit_transform(windows), y)
        assert (model.convolutions_ is None) == is_none


def test_windows_that_overlap_have_none_unless_asked_for():
    table, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    windows = SequenceWindower(4).fit_transform(table)
    assert make_classifier().fit(windows, y).convolutions_ is None
    apart = make_classifier().fit(windows[3::4], np.arange(10) % 2)
    assert apart.convolutions_ is not None
    model = make_classifier(convolutions=84).fit(windows, y)
    assert model.convolutions_ is not None


def test_tokens_have_none():
    X, y = [np.array([0, 1]), np.array([1, 0, 1])] * 10, [0, 1] * 10
    assert make_classifier(embedding_dim=2).fit(X, y).convolutions_ is None
    with pytest.raises(ValueError, match="X holds tokens"):
        make_classifier(embedding_dim=2, convolutions=84).fit(X, y)
    with pytest.raises(ValueError, match="convolutions=84 reads numbers"):
        make_classifier(embedding_dim=2, convolutions=84).fit("no sequences", y)


def test_a_live_signal_needs_a_network_alone():
    X, y = make_bumps(30)
    with pytest.raises(ValueError, match="convolutions=None"):
        StatefulPredictor(make_classifier().fit(X, y))
    live = StatefulPredictor(make_classifier(convolutions=None).fit(X, y))
    assert live.predict(X[:1]).shape == (1,)


def test_one_step_and_constant_sequences_can_be_classified():
    X, y = np.repeat([[[0.0]], [[1.0]], [[2.0]]], 8, axis=0), np.repeat([0, 1, 2], 8)
    model = make_classifier(max_epochs=200, learning_rate=0.02).fit(X, y)
    assert model.score(X, y) == 1
    constant = make_classifier().fit(np.ones((20, 5, 1)), np.repeat([0, 1], [15, 5]))
    chances = constant.predict_proba(np.ones((1, 5, 1)))
    np.testing.assert_allclose(chances, [[0.75, 0.25]], atol=0.1)


def test_extreme_values_stay_finite():
    X, y = make_bumps(30)
    X[0, 0] = 1e30
    model = make_classifier(dtype="float64").fit(X, y)
    assert np.isfinite(model.predict_log_proba(X)).all()
