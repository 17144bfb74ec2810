"""skorch's scoring callbacks: scores are those of the predictions and the targets."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, r2_score, roc_auc_score
from skorch.callbacks import BatchScoring, EarlyStopping, EpochScoring

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
)

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(2, 9, size=40)
X = [RNG.normal(size=(n, 2)) for n in LENGTHS]
Y = np.array([x[:, 0].sum() for x in X])
TAGS = [np.where(x[:, 0] > 0, "up", "down") for x in X]
TEXTS = ["abc", "bcab"] * 20
SMALL = {"hidden_size": 4, "max_epochs": 3, "batch_size": 16, "random_state": 0}
VALIDATION = slice(25, None)


def fit(kind, y, *callbacks, **options):
    model = kind(**{**SMALL, **options}, callbacks=list(callbacks))
    return model.fit(X[:25], y[:25], X_val=X[VALIDATION], y_val=y[VALIDATION])


def scores(model, name):
    return [row[name] for row in model.history_]


@pytest.mark.parametrize("kernel", ["torch", "compiled"])
def test_an_epoch_of_a_classifier_is_scored_on_validation_and_training(kernel):
    y = np.where(Y > 0, "yes", "no")
    model = fit(
        RNNClassifier,
        y,
        EpochScoring("accuracy", lower_is_better=False),
        EpochScoring("accuracy", lower_is_better=False, on_train=True, name="own"),
        EpochScoring(f1_score, lower_is_better=False),
        EpochScoring("roc_auc", lower_is_better=False),
        kernel=kernel,
        convolutions=None,
    )
    last, X_val, y_val = model.history_[-1], X[VALIDATION], y[VALIDATION]
    assert last["accuracy"] == pytest.approx(model.score(X_val, y_val))
    assert last["own"] == pytest.approx(model.score(X[:25], y[:25]))
    expected = f1_score(y_val, model.predict(X_val), pos_label="yes")
    assert last["f1_score"] == pytest.approx(expected)
    probabilities = model.predict_proba(X_val)[:, 1]
    expected = roc_auc_score(y_val == "yes", probabilities)
    assert last["roc_auc"] == pytest.approx(expected)
    assert scores(model, "accuracy") == pytest.approx(model.validation_scores_)


def test_an_epoch_of_a_regressor_is_scored():
    model = fit(
        RNNRegressor,
        Y,
        EpochScoring("r2", lower_is_better=False),
        EpochScoring(lambda net, X, y: r2_score(y, net.predict(X)), name="own"),
        linear_skip=False,
    )
    assert scores(model, "r2") == pytest.approx(model.validation_scores_, rel=1e-5)
    assert scores(model, "own") == scores(model, "r2")


def test_several_targets_are_scored_where_none_is_missing():
    y = np.stack([Y, -Y], axis=1)
    y[::5, 1] = np.nan
    scored = []
    scoring = EpochScoring(lambda net, X, y: scored.append(y.shape) or 0.0, name="n")
    fit(RNNRegressor, y, scoring, missing_targets="ignore")
    assert scored == [(12, 2)] * SMALL["max_epochs"]


@pytest.mark.parametrize("bptt_steps", [None, 3])
def test_steps_are_scored_without_padding(bptt_steps):
    model = fit(
        RNNTagger,
        TAGS,
        EpochScoring("accuracy", lower_is_better=False),
        bptt_steps=bptt_steps,
    )
    assert scores(model, "accuracy") == pytest.approx(model.validation_scores_)
    expected = model.score(X[VALIDATION], TAGS[VALIDATION])
    assert model.history_[-1]["accuracy"] == pytest.approx(expected)


def test_the_middle_quantile_is_scored():
    scoring = EpochScoring("r2", lower_is_better=False)
    options = {"loss": "quantile", "quantiles": [0.1, 0.5, 0.8], "linear_skip": False}
    model = fit(RNNRegressor, Y, scoring, **options)
    medians = [quantiles[1] for quantiles in model.predict_quantiles(X[VALIDATION])]
    expected = r2_score(Y[VALIDATION], medians)
    assert model.history_[-1]["r2"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kernel", ["torch", "compiled"])
def test_batches_are_scored_and_averaged(kernel):
    model = fit(
        RNNClassifier,
        Y > 0,
        BatchScoring("accuracy", lower_is_better=False),
        BatchScoring("accuracy", lower_is_better=False, on_train=True, name="own"),
        kernel=kernel,
        convolutions=None,
    )
    assert scores(model, "accuracy") == pytest.approx(model.validation_scores_)
    for row in model.net_.history:
        batches = [batch for batch in row["batches"] if "own" in batch]
        assert len(batches) == 2
        sizes = [batch["train_batch_size"] for batch in batches]
        own = np.average([batch["own"] for batch in batches], weights=sizes)
        assert row["own"] == pytest.approx(own)


@pytest.mark.parametrize("kernel", ["torch", "compiled"])
@pytest.mark.parametrize("scoring", [EpochScoring, BatchScoring])
def test_scoring_of_validation_changes_no_bit_of_the_training(scoring, kernel):
    options = {"dropout": 0.3, "kernel": kernel}
    plain = fit(RNNRegressor, Y, **options)
    scored = fit(RNNRegressor, Y, scoring("r2", lower_is_better=False), **options)
    assert scored.loss_curve_ == plain.loss_curve_
    np.testing.assert_array_equal(scored.predict(X), plain.predict(X))


def test_batches_in_which_steps_lack_targets_are_scored():
    y = [np.full(len(x), np.nan) for x in X]
    for i in range(0, 40, 2):
        y[i][:] = X[i][:, 0]
    y[0][2:] = np.nan
    scoring = BatchScoring("r2", lower_is_better=False, on_train=True)
    options = {"return_sequences": True, "bptt_steps": 2, "batch_size": 2}
    model = fit(RNNRegressor, y, scoring, **options)
    assert np.isfinite(scores(model, "r2")).all()


def test_early_stopping_monitors_a_score():
    model = fit(
        RNNClassifier,
        Y > 0,
        EpochScoring("accuracy", lower_is_better=False),
        EarlyStopping("accuracy", lower_is_better=False, patience=2),
        learning_rate=1e-30,
        max_epochs=20,
    )
    assert model.n_iter_ == 3


def test_without_validation_nothing_is_scored():
    callbacks = [EpochScoring("r2"), BatchScoring("r2", name="by_batch")]
    model = RNNRegressor(**SMALL, callbacks=callbacks).fit(X, Y)
    assert not {"r2", "by_batch"} & model.history_[-1].keys()


@pytest.mark.thorough
def test_scores_of_symbols_count_every_symbol():
    scoring = EpochScoring("accuracy", lower_is_better=False, on_train=True)
    options = {**SMALL, "max_epochs": 30, "learning_rate": 0.05, "callbacks": [scoring]}
    for model in (
        RNNGenerator(**options).fit(TEXTS),
        RNNGenerator(**options, bptt_steps=2).fit(TEXTS),
        RNNSeq2Seq(**options).fit(TEXTS, TEXTS),
    ):
        assert 0.4 < model.history_[-1]["accuracy"] <= 1.0


def test_transcripts_cannot_be_scored_this_way():
    model = RNNTranscriber(**SMALL, callbacks=[EpochScoring("accuracy", on_train=True)])
    with pytest.raises(ValueError, match="valid_score in history_"):
        model.fit(X, ["a"] * 40)
