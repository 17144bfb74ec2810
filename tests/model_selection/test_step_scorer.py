"""Metrics of steps, inside scikit-learn's searches."""

import pickle

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, mean_absolute_error
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_rnn import RNNRegressor, RNNTagger, SequenceScaler, make_step_scorer

SMALL = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}


def make_data():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(3, 9, size=30)]
    return X, [x[:, 0].cumsum() for x in X]


def tags(y):
    return [np.where(one > 0, "up", "down").astype(object) for one in y]


def test_a_score_is_that_of_all_steps_in_a_row():
    X, y = make_data()
    y[3][1] = np.nan
    model = RNNRegressor(return_sequences=True, **SMALL).fit(X, y)
    true, predicted = np.concatenate(y), np.concatenate(model.predict(X))
    there = ~np.isnan(true)
    error = mean_absolute_error(true[there], predicted[there])
    scorer = make_step_scorer(mean_absolute_error, greater_is_better=False)
    assert scorer(model, X, y) == pytest.approx(-error)
    assert make_step_scorer(mean_absolute_error)(model, X, y) == pytest.approx(error)


def test_missing_labels_do_not_count_and_keywords_arrive():
    X, y = make_data()
    labels = tags(y)
    labels[0][0], labels[1][1] = "?", None
    model = RNNTagger(missing_label="?", **SMALL).fit(X, labels)
    true, predicted = np.concatenate(labels), np.concatenate(model.predict(X))
    there = [label in ("up", "down") for label in true]
    expected = f1_score(list(true[there]), predicted[there], pos_label="up")
    scorer = make_step_scorer(f1_score, missing_label="?", pos_label="up")
    assert scorer(model, X, labels) == pytest.approx(expected)
    assert pickle.loads(pickle.dumps(scorer))(model, X, labels) == scorer(
        model, X, labels
    )


def test_probabilities_are_scored():
    X, y = make_data()
    model = RNNTagger(**SMALL).fit(X, tags(y))
    scorer = make_step_scorer(
        log_loss, response_method="predict_proba", greater_is_better=False
    )
    expected = log_loss(
        list(np.concatenate(tags(y))), np.concatenate(list(model.predict_proba(X)))
    )
    assert scorer(model, X, tags(y)) == pytest.approx(-expected)


def test_searches_and_pipelines_take_it():
    X, y = make_data()
    model = make_pipeline(
        SequenceScaler(), RNNRegressor(return_sequences=True, **SMALL)
    )
    scorer = make_step_scorer(mean_absolute_error, greater_is_better=False)
    search = GridSearchCV(
        model,
        {"rnnregressor__max_epochs": [1, 30]},
        scoring=scorer,
        cv=2,
        error_score="raise",
    )
    assert search.fit(X, y).best_params_ == {"rnnregressor__max_epochs": 30}
    scores = cross_validate(model, X, y, scoring={"error": scorer}, cv=2)
    assert (scores["test_error"] < 0).all()


def test_nothing_to_score_is_an_error():
    X, y = make_data()
    model = RNNRegressor(return_sequences=True, **SMALL).fit(X, y)
    nothing = [np.full(len(one), np.nan) for one in y]
    with pytest.raises(ValueError, match="nothing to score"):
        make_step_scorer(mean_absolute_error)(model, X, nothing)
    with pytest.raises(ValueError, match=r"y\[0\] has 1 steps"):
        make_step_scorer(mean_absolute_error)(model, X, [one[:1] for one in y])
