"""A prediction for every step: what it depends on, and what counts."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

from sklearn_rnn import RNNRegressor, RNNTagger, SequenceArray

SMALL = {
    "hidden_size": 8,
    "max_epochs": 4,
    "batch_size": 16,
    "input_dropout": 0.0,
    "random_state": 0,
}


def regressor(**options):
    return RNNRegressor(return_sequences=True, **{**SMALL, **options})


def tagger(**options):
    return RNNTagger(**{**SMALL, **options})


def ragged(n_sequences=40, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(3, 12, size=n_sequences)]
    return X, [x[:, 0].cumsum() for x in X]


def labels(y):
    return [np.where(one > 0, "above", "below") for one in y]


def assert_same(first, second, **tolerance):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        if tolerance:
            np.testing.assert_allclose(a, b, **tolerance)
        else:
            np.testing.assert_array_equal(a, b)


# What is predicted.


def test_a_running_sum_is_learned_at_every_step():
    X, y = ragged(200)
    model = regressor(hidden_size=32, max_epochs=30).fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) > 0.9
    labelled = tagger(hidden_size=32, max_epochs=30).fit(X[:150], labels(y[:150]))
    assert labelled.score(X[150:], labels(y[150:])) > 0.9


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_step_is_predicted_from_the_steps_up_to_it_unless_both_ways(bidirectional):
    X, y = ragged()
    X, y = X[:20], y[:20]
    changed = [np.vstack([x[:-1], x[-1:] + 1]) for x in X]
    for make, target, method in [
        (regressor, y, "predict"),
        (tagger, labels(y), "predict_proba"),
    ]:
        model = make(bidirectional=bidirectional).fit(X, target)
        before, after = (getattr(model, method)(steps) for steps in (X, changed))
        same = [
            np.array_equal(a[:-1], b[:-1]) for a, b in zip(before, after, strict=True)
        ]
        assert all(same) != bidirectional
        assert not any(
            np.array_equal(a[-1], b[-1]) for a, b in zip(before, after, strict=True)
        )


def test_sequences_of_one_step_are_predicted_as_without_return_sequences():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 1, 3)), rng.normal(size=40)
    each_step = regressor().fit(X, y[:, None])
    once = RNNRegressor(**SMALL, linear_skip=False).fit(X, y)
    np.testing.assert_allclose(
        each_step.predict(X)[:, 0], once.predict(X), rtol=1e-5, atol=1e-6
    )


# What shape it has.


@pytest.mark.parametrize("n_outputs", [None, 1, 3])
def test_predictions_have_the_shape_of_the_targets(n_outputs):
    X = np.random.default_rng(0).normal(size=(20, 6, 2))
    y = X[:, :, 0] if n_outputs is None else np.repeat(X[:, :, :1], n_outputs, axis=2)
    assert regressor().fit(X, y).predict(X).shape == y.shape
    from_lists = regressor().fit(list(X), list(y)).predict(list(X))
    assert from_lists.shape == (20,)
    assert from_lists.dtype == object
    assert all(p.shape == one.shape for p, one in zip(from_lists, y, strict=True))


def test_an_array_in_fit_gives_object_arrays_where_lengths_differ():
    X = np.random.default_rng(0).normal(size=(20, 6, 2))
    model = regressor().fit(X, X[:, :, 0])
    assert [len(p) for p in model.predict([X[0], X[1, :2]])] == [6, 2]


def test_tags_and_probabilities_have_the_length_of_each_sequence():
    X, y = ragged()
    model = tagger().fit(X, labels(y))
    for predicted, probability, x in zip(
        model.predict(X), model.predict_proba(X), X, strict=True
    ):
        assert predicted.shape == (len(x),)
        assert probability.shape == (len(x), 2)
        np.testing.assert_allclose(probability.sum(axis=1), 1)
        np.testing.assert_array_equal(
            predicted, model.classes_[probability.argmax(axis=1)]
        )
    assert_same(
        model.predict_log_proba(X),
        [np.log(p) for p in model.predict_proba(X)],
        rtol=1e-9,
    )


def test_windows_of_a_series_take_windows_of_its_targets():
    series = np.random.default_rng(0).normal(size=(60, 2))
    starts, lengths = np.arange(50), np.full(50, 8)
    X = SequenceArray(series, starts, lengths)
    y = SequenceArray(series[:, :1].cumsum(axis=0), starts, lengths)
    from_windows = regressor().fit(X, y).predict(X)
    written_out = regressor().fit(np.asarray(X), list(np.asarray(y)[:, :, 0]))
    assert_same(from_windows, written_out.predict(np.asarray(X)), rtol=1e-5, atol=1e-6)


# What counts.


@pytest.mark.parametrize("n_timesteps", [6, 9])
def test_steps_without_a_target_count_as_if_they_were_not_there(n_timesteps):
    X = np.random.default_rng(0).normal(size=(30, n_timesteps, 2))
    y = X[:, :, 0].cumsum(axis=1)
    options = {"standardize": False, "dtype": "float64"}
    without = regressor(**options).fit(X[:, :6], y[:, :6])
    y[:, 6:] = np.nan
    with_missing = regressor(**options).fit(X, y)
    np.testing.assert_allclose(
        with_missing.predict(X[:, :6]), without.predict(X[:, :6]), rtol=1e-9
    )
    tags = np.where(X.sum(axis=2) > 0, "a", "b").astype(object)
    without = tagger(**options).fit(X[:, :6], tags[:, :6])
    tags[:, 6:] = "?"
    with_missing = tagger(missing_label="?", **options).fit(X, tags)
    np.testing.assert_allclose(
        with_missing.predict_proba(X[:, :6]), without.predict_proba(X[:, :6]), rtol=1e-9
    )
    assert with_missing.classes_.tolist() == ["a", "b"]


def test_missing_targets_in_one_output_leave_the_other_in():
    X = np.random.default_rng(0).normal(size=(60, 8, 1))
    y = np.concatenate([X, -X], axis=2)
    y[::2, :, 0] = np.nan
    model = regressor(max_epochs=40, hidden_size=16).fit(X, y)
    assert r2_score(X.ravel(), model.predict(X)[:, :, 0].ravel()) > 0.9
    assert r2_score(-X.ravel(), model.predict(X)[:, :, 1].ravel()) > 0.9


def test_scores_are_those_of_all_steps_in_a_row_that_have_a_target():
    X, y = ragged()
    y[0][1] = np.nan
    model = regressor().fit(X, y)
    true, predicted = np.concatenate(y), np.concatenate(model.predict(X))
    here = ~np.isnan(true)
    assert model.score(X, y) == pytest.approx(r2_score(true[here], predicted[here]))
    tags = labels(y)
    tags[0][1] = ""
    model = tagger(missing_label="").fit(X, tags)
    true, predicted = np.concatenate(tags), np.concatenate(model.predict(X))
    here = true != ""
    expected = accuracy_score(true[here], predicted[here])
    assert model.score(X, tags) == pytest.approx(expected)


@pytest.mark.parametrize("class_weight", [None, {"a": 3.0, "b": 1.0}])
@pytest.mark.parametrize("kind", ["regressor", "tagger"])
def test_a_weight_is_a_repetition_of_the_sequence(kind, class_weight):
    X, y = ragged(12)
    y[0][:2] = np.nan
    weights = np.arange(12) % 3
    repeated = [i for i, weight in enumerate(weights) for _ in range(weight)]
    options = {  # plain descent without clipping sees the scale of the loss
        "dtype": "float64",
        "batch_size": 64,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "clip_norm": None,
        "weight_decay": 0.1,
    }
    if kind == "regressor":
        make, method = regressor, "predict"
    else:
        make, method = tagger, "predict_proba"
        options["class_weight"] = class_weight
        y = [np.where(np.isnan(one), "?", np.where(one > 0, "a", "b")) for one in y]
        options["missing_label"] = "?"
    again_X, again_y = ([data[i] for i in repeated] for data in (X, y))
    weighted = make(**options).fit(X, y, sample_weight=weights)
    again = make(**options).fit(again_X, again_y)
    np.testing.assert_allclose(weighted.loss_curve_, again.loss_curve_, rtol=1e-9)
    assert_same(
        getattr(weighted, method)(X), getattr(again, method)(X), rtol=1e-8, atol=1e-10
    )
    score = weighted.score(X, y, sample_weight=weights)
    assert score == pytest.approx(again.score(again_X, again_y))


def test_validation_scores_are_those_of_score():
    X, y = ragged(60)
    for make, target in [(regressor, y), (tagger, labels(y))]:
        model = make().fit(X[:40], target[:40], X_val=X[40:], y_val=target[40:])
        assert len(model.validation_scores_) == 4
        assert model.validation_scores_[-1] == pytest.approx(
            model.score(X[40:], target[40:])
        )


def test_class_weight_finds_more_of_a_rare_class():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 10))
    y = np.where(X + rng.normal(size=X.shape) > 2.2, "rare", "common")
    found = {}
    for class_weight in (None, "balanced", {"rare": 10.0, "common": 1.0}):
        model = tagger(class_weight=class_weight, max_epochs=10).fit(X, y)
        found[str(class_weight)] = (model.predict(X) == "rare").sum()
    assert min(list(found.values())[1:]) > 2 * found["None"]


def test_target_feature_starts_from_the_value_of_each_step():
    series = np.random.default_rng(0).normal(size=(40, 10)).cumsum(axis=1)
    X, y = series[:, :-1, np.newaxis], series[:, 1:]
    untrained = regressor(target_feature=0, max_epochs=1, learning_rate=1e-12)
    naive = untrained.fit(X, y).predict(X)
    slope, intercept = np.polyfit(X.ravel(), y.ravel(), 1)
    # An untrained head is small, not zero.
    assert np.abs(naive - (intercept + slope * X[:, :, 0])).max() < 0.3 * y.std()
    assert r2_score(y.ravel(), naive.ravel()) > 0.8
    assert untrained.set_params(target_feature=None).fit(X, y).score(X, y) < 0.3


def test_an_untrained_tagger_predicts_the_shares_of_the_classes():
    X = np.random.default_rng(0).normal(size=(40, 10))
    y = np.where(X > 1, "high", "low")
    model = tagger(max_epochs=1, learning_rate=1e-12).fit(X, y)
    shares = [(y == label).mean() for label in model.classes_]
    np.testing.assert_allclose(
        model.predict_proba(X).mean(axis=(0, 1)), shares, atol=0.15
    )


# Inside scikit-learn.


@pytest.mark.thorough
@pytest.mark.parametrize("make, target", [(regressor, 0), (tagger, 1)])
def test_ragged_targets_go_through_a_grid_search(make, target):
    X, y = ragged()
    y = [y, labels(y)][target]
    search = GridSearchCV(make(), {"hidden_size": [2, 8]}, cv=3, error_score="raise")
    search.fit(X, y)
    folds = list(KFold(3).split(X))
    by_hand = [
        make(hidden_size=8)
        .fit([X[i] for i in train], [y[i] for i in train])
        .score([X[i] for i in test], [y[i] for i in test])
        for train, test in folds
    ]
    row = search.cv_results_["params"].index({"hidden_size": 8})
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"][row], np.mean(by_hand)
    )
    together = cross_val_predict(make(), X, y, cv=3)
    assert [len(p) for p in together] == [len(x) for x in X]


@pytest.mark.thorough
def test_truncated_backpropagation_learns_a_long_series():
    """One series; without pieces it would make one update an epoch."""
    series = np.sin(np.arange(2001) / 5)[:, np.newaxis]
    X, y = series[np.newaxis, :-1], series[np.newaxis, 1:, 0]
    options = {"max_epochs": 4, "hidden_size": 16, "learning_rate": 0.01}
    in_pieces = regressor(bptt_steps=50, **options).fit(X, y)
    whole = regressor(**options).fit(X, y)
    assert in_pieces.score(X, y) > 0.99 > whole.score(X, y)
