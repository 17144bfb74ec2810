import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import accuracy_score

from sklearn_rnn import RNNClassifier


def make_data(n_sequences=60, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_sequences, 6, 2))
    ranks = X[:, :, 0].mean(axis=1).argsort().argsort()
    return X, ranks * n_classes // n_sequences


def make_classifier(**options):
    small = {"hidden_size": 8, "max_epochs": 5, "random_state": 0}
    return RNNClassifier(**{**small, **options})


def untrained(**options):
    return make_classifier(max_epochs=1, learning_rate=1e-15, **options)


@pytest.mark.thorough
@pytest.mark.parametrize("n_classes, accuracy", [(2, 0.8), (4, 0.6)])
def test_classifier_learns(n_classes, accuracy):
    X, y = make_data(300, n_classes)
    model = make_classifier(max_epochs=40, learning_rate=0.02, input_dropout=0.0)
    model.fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > accuracy


def test_score_is_accuracy():
    X, y = make_data()
    model = make_classifier().fit(X, y)
    assert model.score(X, y) == accuracy_score(y, model.predict(X))


NAMES = np.array(["down", "flat", "up"])


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name_labels",
    [
        lambda codes: NAMES[codes],
        lambda codes: NAMES[codes].astype(object),
        lambda codes: NAMES[codes].tolist(),
        lambda codes: pd.Series(NAMES[codes]),
        lambda codes: pd.Series(NAMES[codes]).astype("category"),
        lambda codes: np.array([-1.0, 0.0, 7.0])[codes],
        lambda codes: codes * 10 - 5,
    ],
)
def test_labels_may_be_of_any_type(name_labels):
    X, codes = make_data(n_classes=3)
    labels = name_labels(codes)
    by_code = make_classifier().fit(X, codes)
    by_label = make_classifier().fit(X, labels)
    assert by_label.classes_.tolist() == sorted(set(np.asarray(labels).tolist()))
    np.testing.assert_array_equal(by_label.predict_proba(X), by_code.predict_proba(X))
    expected = by_label.classes_[by_code.predict(X)]
    assert by_label.predict(X).tolist() == expected.tolist()


def test_boolean_labels_come_back_as_booleans():
    X, y = make_data()
    model = make_classifier().fit(X, y == 1)
    assert model.classes_.tolist() == [False, True]
    assert model.predict(X).dtype == bool


def test_a_column_of_labels_is_taken_with_scikit_learns_warning():
    X, y = make_data()
    expected = make_classifier().fit(X, y).predict(X)
    with pytest.warns(DataConversionWarning):
        model = make_classifier().fit(X, y[:, None])
    np.testing.assert_array_equal(model.predict(X), expected)


def test_probabilities_sum_to_one_and_agree_with_predictions():
    X, y = make_data(n_classes=3)
    model = make_classifier().fit(X, NAMES[y])
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert (probabilities > 0).all()
    likeliest = model.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(model.predict(X), likeliest)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(probabilities))


def test_log_probabilities_stay_finite_where_probabilities_vanish():
    X, y = make_data()
    model = make_classifier(dtype="float64").fit(X, y)
    model.module_.head.bias.data[0] += 20000
    assert np.isfinite(model.predict_log_proba(X)).all()
    assert (model.predict_proba(X)[:, 1] == 0).all()


@pytest.mark.thorough
@pytest.mark.parametrize("class_weight", [None, {0: 1, 1: 2, 2: 6}])
def test_the_output_bias_starts_at_the_log_of_the_shares_of_the_classes(class_weight):
    X, _ = make_data(200)
    y = np.repeat([0, 1, 2], [120, 60, 20])
    bias = untrained(class_weight=class_weight).fit(X, y).module_.head.bias
    shares = [1 / 3] * 3 if class_weight else [0.6, 0.3, 0.1]
    np.testing.assert_allclose(bias.detach(), np.log(shares), rtol=1e-6)


# class_weight


def imbalanced():
    X, _ = make_data(100)
    return X, np.repeat([0, 1], [90, 10])


def test_balanced_weights_are_inverse_frequencies():
    X, y = imbalanced()
    balanced = make_classifier(class_weight="balanced").fit(X, y)
    by_hand = make_classifier(class_weight={0: 100 / 180, 1: 100 / 20}).fit(X, y)
    np.testing.assert_allclose(balanced.predict_proba(X), by_hand.predict_proba(X))


def test_balanced_weights_raise_the_rare_class():
    X, y = imbalanced()
    plain = make_classifier(max_epochs=10).fit(X, y).predict_proba(X)[:, 1]
    balanced = make_classifier(max_epochs=10, class_weight="balanced")
    balanced = balanced.fit(X, y).predict_proba(X)[:, 1]
    assert plain.mean() == pytest.approx(0.1, abs=0.05)
    assert balanced.mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.thorough
def test_class_weights_are_sample_weights():
    X, y = make_data(n_classes=3)
    weighted = make_classifier(class_weight={"up": 5.0}).fit(X, NAMES[y])
    by_sample = make_classifier().fit(X, NAMES[y], sample_weight=1 + 4 * (y == 2))
    plain = make_classifier().fit(X, NAMES[y])
    np.testing.assert_array_equal(weighted.predict_proba(X), by_sample.predict_proba(X))
    assert not np.allclose(weighted.predict_proba(X), plain.predict_proba(X))


def test_class_weights_multiply_sample_weights():
    X, y = make_data()
    sample_weight = np.random.default_rng(0).uniform(1, 2, size=60)
    both = make_classifier(class_weight={0: 1.0, 1: 3.0})
    both.fit(X, y, sample_weight=sample_weight)
    product = make_classifier().fit(X, y, sample_weight=sample_weight * (1 + 2 * y))
    np.testing.assert_allclose(both.predict_proba(X), product.predict_proba(X))


@pytest.mark.thorough
@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 3.0}])
def test_validation_data_may_lack_a_class_that_has_a_weight(class_weight):
    X, y = make_data(n_classes=3)
    model = make_classifier(class_weight=class_weight)
    some = y != 1
    model.fit(X, y, X_val=X[some], y_val=y[some])
    assert len(model.validation_scores_) == 5


def test_a_stream_may_lack_a_class_that_has_a_weight():
    X, y = make_data(n_classes=3)
    model = make_classifier(class_weight={0: 1.0, 1: 3.0})
    model.partial_fit(X, y)
    some = y != 1
    assert model.partial_fit(X[some], y[some]).n_iter_ == 2
