"""partial_fit and warm_start."""

import numpy as np
import pytest

from sklearn_rnn import DivergenceError, RNNClassifier, RNNRegressor


def make_data(n_sequences=60, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_sequences, 5, 2))
    return X, X[:, -1, 0]


def make_regressor(**options):
    return RNNRegressor(**{"hidden_size": 8, "random_state": 0, **options})


def make_classifier(**options):
    return RNNClassifier(**{"hidden_size": 8, "random_state": 0, **options})


# partial_fit


@pytest.mark.thorough
def test_a_stream_is_learned():
    model = make_regressor(learning_rate=0.01, input_dropout=0.0)
    X_test, y_test = make_data(seed=99)
    scores = []
    for seed in range(40):
        model.partial_fit(*make_data(seed=seed))
        scores.append(model.score(X_test, y_test))
    assert scores[-1] > 0.8 > scores[0]
    assert np.mean(model.loss_curve_[-5:]) < 0.3 * np.mean(model.loss_curve_[:5])


def test_a_classifiers_stream_is_learned_though_its_beginning_lacks_a_class():
    X, y = make_data(200)
    labels = np.array(["low", "mid", "high"])[np.digitize(y, [-0.5, 0.5])]
    options = {"learning_rate": 0.02, "input_dropout": 0.0, "pooling": "last"}
    model = make_classifier(**options)
    begin = labels != "mid"
    model.partial_fit(X[begin], labels[begin], classes=["low", "mid", "high"])
    assert model.classes_.tolist() == ["high", "low", "mid"]
    assert "mid" not in model.predict(X)
    for _ in range(20):
        model.partial_fit(X, labels)
    assert model.score(X, labels) > 0.8
    assert "mid" in model.predict(X)


def test_every_call_is_one_pass():
    X, y = make_data()
    model = make_regressor(max_epochs=50)
    for n_calls in (1, 2, 3):
        model.partial_fit(X, y)
        assert model.n_iter_ == len(model.loss_curve_) == n_calls
        assert [row["epoch"] for row in model.history_] == list(range(1, n_calls + 1))


def test_the_first_call_fixes_the_scaling():
    X, y = make_data()
    model = make_regressor(learning_rate=1e-15).partial_fit(X, y)
    center, factor = model.module_.center.clone(), model.module_.factor.clone()
    before = model.predict(X)
    model.partial_fit(100 * X + 7, 100 * y + 7)
    assert (model.module_.center == center).all()
    assert (model.module_.factor == factor).all()
    np.testing.assert_allclose(model.predict(X), before, atol=1e-6)


def test_partial_fit_goes_on_after_fit():
    X, y = make_data()
    model = make_regressor(max_epochs=4, linear_skip=False).fit(X, y)
    before = model.predict(X)
    model.partial_fit(X, y)
    assert model.n_iter_ == 5
    assert 0 < np.abs(model.predict(X) - before).max() < y.std()


def test_fit_starts_anew_after_partial_fit():
    X, y = make_data()
    model = make_regressor(max_epochs=4).partial_fit(100 * X, y).fit(X, y)
    fresh = make_regressor(max_epochs=4).fit(X, y)
    assert model.n_iter_ == 4
    np.testing.assert_array_equal(model.predict(X), fresh.predict(X))


def test_a_first_partial_fit_that_failed_leaves_no_trace():
    X, y = make_data()
    model = make_classifier(max_epochs=1)
    with pytest.raises(ValueError, match="infinity"):
        model.partial_fit(np.full((3, 5, 2), np.inf), [0, 1, 2], classes=[0, 1, 2])
    assert model.fit(X, y > 0).classes_.tolist() == [False, True]


def test_labels_that_were_not_announced_are_an_error():
    X, y = make_data()
    model = make_classifier().partial_fit(X, y > 0)
    before = model.predict_proba(X)
    labels = np.resize([0, 1, 2], 60)
    with pytest.raises(ValueError, match=r"labels.*\[2\]"):
        make_classifier().partial_fit(X, labels, classes=[0, 1])
    with pytest.raises(ValueError, match=r"labels.*\[2\]"):
        model.partial_fit(X, labels)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_classes_that_change_are_an_error():
    X, y = make_data()
    labels = (y > 0).astype(int)
    model = make_classifier().partial_fit(X, labels, classes=[0, 1, 2])
    model.partial_fit(X, labels, classes=[2, 1, 0])
    with pytest.raises(ValueError, match=r"classes=\[0, 1\].*first call"):
        model.partial_fit(X, labels, classes=[0, 1])


@pytest.mark.parametrize("classes", [None, [1]])
def test_one_class_is_an_error_in_a_first_call(classes):
    X, _ = make_data()
    with pytest.raises(ValueError, match="at least two classes"):
        make_classifier().partial_fit(X, np.ones(60, dtype=int), classes=classes)


def test_announced_classes_may_come_later():
    X, _ = make_data()
    model = make_classifier()
    model.partial_fit(X, np.zeros(60, dtype=int), classes=[0, 1])
    model.partial_fit(X, np.ones(60, dtype=int))
    assert model.predict_proba(X).shape == (60, 2)


@pytest.mark.parametrize("make_model", [make_regressor, make_classifier])
def test_early_stopping_has_nothing_to_do_in_partial_fit(make_model):
    X, y = make_data()
    with pytest.raises(ValueError, match="does not support early_stopping=True"):
        make_model(early_stopping=True).partial_fit(X, y > 0)


def test_balanced_weights_cannot_be_known_in_a_stream():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"balanced.*give a dict"):
        make_classifier(class_weight="balanced").partial_fit(X, y > 0)


def test_features_and_outputs_must_stay_those_of_the_first_call():
    X, y = make_data()
    model = make_regressor().partial_fit(X, y)
    with pytest.raises(ValueError, match="1 features.*expecting 2"):
        model.partial_fit(X[:, :, :1], y)
    with pytest.raises(ValueError, match="2 outputs.*fitted with 1"):
        model.partial_fit(X, np.column_stack([y, y]))
    assert model.partial_fit(X[:, :3], y).n_iter_ == 2  # other lengths are fine


# warm_start


def test_warm_start_goes_on_where_fit_ended():
    X, y = make_data()
    options = {"max_epochs": 15, "batch_size": 10, "learning_rate": 0.01}
    model = make_regressor(warm_start=True, input_dropout=0.0, **options)
    model.fit(X, y)
    first = list(model.loss_curve_)
    model.fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 30
    assert model.loss_curve_[:15] == first
    # The loss takes up where it was left, far from where it began.
    assert model.loss_curve_[15] < 1.5 * first[-1] < 0.5 * first[0]
    assert model.loss_curve_[-1] < first[-1]


def test_without_warm_start_fit_forgets():
    X, y = make_data()
    model = make_regressor(max_epochs=5).fit(X, y)
    first = model.loss_curve_
    assert model.fit(X, y).loss_curve_ == first


def test_warm_start_keeps_the_scaling_and_the_classes():
    X, y = make_data()
    model = make_classifier(warm_start=True, max_epochs=2).fit(X, y > 0)
    center = model.module_.center.clone()
    model.fit(X + 5, y > 0)
    assert (model.module_.center == center).all()
    with pytest.raises(ValueError, match=r"labels.*\['a', 'b'\]"):
        model.fit(X, np.resize(["a", "b"], 60))


def test_warm_start_takes_new_training_options():
    X, y = make_data()
    model = make_regressor(warm_start=True, max_epochs=2).fit(X, y)
    before = model.predict(X)
    model.set_params(learning_rate=1e-15, max_epochs=3).fit(X, y)
    assert model.n_iter_ == 5
    np.testing.assert_allclose(model.predict(X), before, atol=1e-6)


def test_another_network_is_an_error_before_targets_are_checked():
    X, y = make_data()
    model = make_regressor(warm_start=True, max_epochs=1, dtype="float32").fit(X, y)
    y = np.where(np.arange(60) == 7, 1e30, y)
    with pytest.raises(DivergenceError, match="at sequence 7"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="another hidden_size"):
        model.set_params(hidden_size=9).fit(X, y)


def test_the_first_fit_of_a_warm_start_is_a_usual_one():
    X, y = make_data()
    warm, cold = (
        make_regressor(warm_start=w, max_epochs=2).fit(X, y).predict(X)
        for w in (True, False)
    )
    np.testing.assert_array_equal(warm, cold)
