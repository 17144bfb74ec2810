"""Weights, names and ways to train with targets per step."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LeaveOneOut,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from step_models import (
    LENGTHS,
    block,
    both,
    close,
    hide,
    make_regressor,
    make_tagger,
    objects,
    outputs,
    ragged,
    same,
    targets_for,
)

from sklearn_rnn import (
    SequenceScaler,
)

# Weights.


@both
def test_sample_weights_must_be_one_a_sequence(make):
    X, y = targets_for(make(), ragged())
    for wrong in (np.ones(7), np.ones(9), np.ones(sum(LENGTHS)), np.ones((8, 6))):
        with pytest.raises(ValueError, match="(?i)sample.?weight"):
            make().fit(X, y, sample_weight=wrong)
        with pytest.raises(ValueError, match="(?i)sample.?weight"):
            make().fit(X, y).score(X, y, sample_weight=wrong)
    for wrong in (-np.ones(8), np.zeros(8)):
        with pytest.raises(ValueError, match="(?i)sample weights|negative"):
            make().fit(X, y, sample_weight=wrong)


@both
def test_a_weight_of_zero_is_as_if_the_sequence_were_not_there(make):
    X, y = targets_for(make(), ragged())
    weights = np.ones(8)
    weights[[1, 5]] = 0
    kept = [i for i in range(8) if weights[i]]
    fewer = make().fit([X[i] for i in kept], [y[i] for i in kept])
    weighted = make().fit(X, y, sample_weight=weights)
    assert same(outputs(weighted, X), outputs(fewer, X))
    assert weighted.score(X, y, weights) == pytest.approx(
        fewer.score([X[i] for i in kept], [y[i] for i in kept])
    )


@both
def test_equal_weights_are_none(make):
    X, y = targets_for(make(), ragged())
    weighted = make().fit(X, y, sample_weight=np.full(8, 3.0))
    assert same(outputs(weighted, X), outputs(make().fit(X, y), X))


@both
def test_a_weight_of_two_is_the_sequence_twice(make):
    X, y = targets_for(make(), ragged())
    weights = np.ones(8)
    weights[3] = 2
    options = {"standardize": False, "dtype": "float64", "shuffle": False}
    if make is make_regressor:
        # Standardising y would see different data; differences, then, of the loss.
        y = [one - np.average(np.concatenate(y)) for one in y]
    weighted = make(**options).fit(X, y, sample_weight=weights)
    twice = make(**options).fit([*X, X[3]], [*y, y[3]])
    alone = make(**options).fit(X, y)

    def distance(model):
        return max(
            np.abs(a - b).max()
            for a, b in zip(outputs(model, X), outputs(twice, X), strict=True)
        )

    assert distance(weighted) < 0.2 * distance(alone)


@both
def test_weights_that_leave_no_target_are_told(make):
    X, y = targets_for(make(), ragged())
    nothing = None if make is make_tagger else np.nan
    some = [np.full(n, nothing) for n in LENGTHS]
    some[0] = y[0]
    weights = np.ones(8)
    weights[0] = 0
    with pytest.raises(ValueError, match="(?i)weight|target|label|NaN at every"):
        make().fit(X, some, sample_weight=weights)


def rare():
    """A class that holds at one step in eight, and shows only faintly."""
    rng = np.random.default_rng(0)
    y = rng.random((40, 8)) < 0.125
    return y[:, :, None] + rng.normal(size=(40, 8, 2)), np.where(y, "rare", "usual")


def test_class_weights_move_what_is_predicted():
    X, y = rare()
    options = {"max_epochs": 30, "learning_rate": 0.02}
    share = {
        name: (make_tagger(class_weight=w, **options).fit(X, y).predict(X) == "rare")
        .mean()
        .item()
        for name, w in {
            "none": None,
            "balanced": "balanced",
            "up": {"rare": 7.0, "usual": 1.0},
            "down": {"rare": 0.01, "usual": 1.0},
        }.items()
    }
    assert share["balanced"] > 2 * share["none"]
    assert share["up"] > 2 * share["none"]
    assert share["down"] == 0


def test_balanced_is_the_inverse_of_the_shares_of_labelled_steps():
    X, y = rare()
    y = y.astype(object)
    y[:20] = None
    labels, counts = np.unique(y[20:].astype(str), return_counts=True)
    weights = dict(zip(labels, counts.sum() / (2 * counts), strict=True))
    balanced = make_tagger(class_weight="balanced").fit(X, y)
    by_hand = make_tagger(class_weight=weights).fit(X, y)
    np.testing.assert_allclose(balanced.predict_proba(X), by_hand.predict_proba(X))
    # Only their proportion matters.
    twice = make_tagger(class_weight={k: 2 * w for k, w in weights.items()}).fit(X, y)
    close(twice.predict_proba(X), by_hand.predict_proba(X), rtol=1e-5)
    np.testing.assert_allclose(twice.loss_curve_, by_hand.loss_curve_)


@pytest.mark.parametrize("class_weight", [None, {"rare": 5.0, "usual": 1.0}])
@pytest.mark.parametrize("with_weights", [False, True])
def test_class_weights_and_sample_weights_multiply(class_weight, with_weights):
    """The loss by hand, of a network that does not learn."""
    X, y = rare()
    y = y.astype(object)
    y[::3, 2:4] = None
    weights = np.random.default_rng(0).integers(1, 4, size=40)
    weights = weights if with_weights else np.ones(40)
    model = make_tagger(class_weight=class_weight, learning_rate=1e-15, max_epochs=1)
    model.fit(X, y, sample_weight=weights)
    known = y != None  # noqa: E711
    of_class = {"rare": 1.0, "usual": 1.0} if class_weight is None else class_weight
    of_step = np.array([of_class[label] for label in y[known]])
    of_step = of_step * np.repeat(weights, known.sum(axis=1))
    of_step = of_step / of_step.mean()  # over the steps that have a label
    codes = (y[known] == "usual").astype(int)
    losses = -np.log(model.predict_proba(X)[known][np.arange(len(codes)), codes])
    assert model.loss_curve_[0] == pytest.approx((of_step * losses).mean(), rel=1e-6)


def test_a_class_weight_of_one_is_none():
    X, y = rare()
    weighted = make_tagger(class_weight={"rare": 1.0, "usual": 1.0}).fit(X, y)
    close(weighted.predict_proba(X), make_tagger().fit(X, y).predict_proba(X))


# Tokens and names.


@pytest.mark.parametrize(
    "form",
    [list, objects, lambda X: [x.tolist() for x in X]],
    ids=["arrays", "objects", "lists"],
)
def test_tokens_are_tagged(form):
    rng = np.random.default_rng(0)
    X = [rng.integers(6, size=n) for n in rng.integers(1, 8, size=60)]
    # A token's tag hangs on the one before, as an article's on nothing.
    tags = [np.where(np.diff(x, prepend=0) > 0, "rises", "else") for x in X]
    options = {"embedding_dim": 4, "hidden_size": 8, "learning_rate": 0.03}
    tagger = make_tagger(**options, batch_size=8, max_epochs=25).fit(
        form(X), form(tags)
    )
    assert tagger.score(form(X), form(tags)) > 0.95
    unknown = tagger.predict([[3, 99], [3, 10**5]])
    assert [len(p) for p in unknown] == [2, 2]
    assert unknown[0].tolist() == unknown[1].tolist()


def test_target_feature_may_be_a_name():
    X, _, _ = ragged()
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in X]
    y = [frame["b"] + 100 for frame in frames]
    model = make_regressor(target_feature="b", learning_rate=1e-15).fit(frames, y)
    # Without the network, that is the value of the feature at the step.
    model.module_.head.weight.data.zero_()
    for predicted, target in zip(model.predict(frames), y, strict=True):
        np.testing.assert_allclose(predicted, target, atol=1e-6)


# Few data.


@both
def test_a_single_sequence_is_enough(make):
    X, y = targets_for(make(), ragged())
    model = make().fit(X[:1], y[:1])
    assert [len(p) for p in model.predict(X)] == LENGTHS
    X, y = targets_for(make(), block())
    assert make().fit(X[:1], y[:1]).predict(X[:1]).shape == (1, 5)


@both
def test_a_single_sequence_cannot_be_split(make):
    X, y = targets_for(make(), ragged())
    model = make(early_stopping=True)
    with pytest.raises(ValueError, match="validation_fraction"):
        model.fit(X[:1], y[:1])
    assert not hasattr(model, "module_")


@both
def test_sequences_of_one_step(make):
    X, y = targets_for(make(), block(20))
    model = make().fit(X[:, :1], y[:, :1])
    assert model.predict(X[:, :1]).shape == (20, 1)


def test_a_constant_target_is_predicted():
    X, _, _ = ragged()
    model = make_regressor().fit(X, [np.full(n, 7.0) for n in LENGTHS])
    for predicted in model.predict(X):
        np.testing.assert_allclose(predicted, 7, atol=0.5)


# Training in other ways.


def test_partial_fit_takes_the_classes_that_will_come():
    X, labels, _ = ragged()
    first = [np.full(n, "up") for n in LENGTHS]
    tagger = make_tagger().partial_fit(X, first, classes=["up", "down", "flat"])
    assert tagger.classes_.tolist() == ["down", "flat", "up"]
    tagger.partial_fit(X, labels)
    assert {p.shape[1] for p in tagger.predict_proba(X)} == {3}
    assert tagger.n_iter_ == 2
    with pytest.raises(ValueError, match="labels that fit did not see.*'sideways'"):
        tagger.partial_fit(X, [np.full(n, "sideways") for n in LENGTHS])
    with pytest.raises(ValueError, match="not those of the first call"):
        tagger.partial_fit(X, labels, classes=["up", "down"])


def test_partial_fit_without_classes_takes_those_that_it_sees():
    X, labels, _ = ragged()
    assert make_tagger().partial_fit(X, labels).classes_.tolist() == ["down", "up"]
    with pytest.raises(ValueError, match="two classes"):
        make_tagger().partial_fit(X, [np.full(n, "up") for n in LENGTHS])
    with pytest.raises(ValueError, match="balanced"):
        make_tagger(class_weight="balanced").partial_fit(X, labels)


@pytest.mark.thorough
@both
def test_partial_fit_is_a_pass_over_new_data(make):
    model = make(learning_rate=0.02)
    for seed in range(30):
        model.partial_fit(*targets_for(model, ragged(seed)))
    assert model.n_iter_ == 30
    assert model.score(*targets_for(model, ragged(99))) > 0.7
    assert np.mean(model.loss_curve_[-5:]) < 0.7 * np.mean(model.loss_curve_[:5])


@both
def test_warm_start_goes_on(make):
    X, y = targets_for(make(), ragged())
    model = make(warm_start=True).fit(X, y)
    first = outputs(model, X)
    model.fit(X, y)
    assert model.n_iter_ == 6
    assert model.loss_curve_[3] < model.loss_curve_[0]
    assert not same(outputs(model, X), first)


def test_warm_start_keeps_to_its_classes_and_outputs():
    X, labels, numbers = ragged()
    tagger = make_tagger(warm_start=True).fit(X, labels)
    with pytest.raises(ValueError, match="labels that fit did not see"):
        tagger.fit(X, [np.full(n, "sideways") for n in LENGTHS])
    regressor = make_regressor(warm_start=True).fit(X, numbers)
    with pytest.raises(ValueError, match="y has 2 outputs"):
        regressor.fit(X, [np.column_stack([n, n]) for n in numbers])


@both
def test_warm_start_does_not_turn_into_another_kind_of_network(make):
    X, y = targets_for(make(), ragged())
    model = make(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="another hidden_size"):
        model.set_params(hidden_size=5).fit(X, y)
    if make is make_regressor:
        model.set_params(hidden_size=4, return_sequences=False)
        with pytest.raises(ValueError, match="pooling|return_sequences"):
            model.fit(X, [one[-1] for one in y])


@both
def test_early_stopping_goes_back_to_the_best_epoch(make):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)) for n in rng.integers(2, 7, size=60)]
    # Noise: any fall of the training loss is memorising.
    y = [rng.normal(size=len(x)) for x in X]
    y = [one > 0 for one in y] if make is make_tagger else y
    options = {"hidden_size": 16, "max_epochs": 60, "learning_rate": 0.05}
    model = make(early_stopping=True, n_iter_no_change=4, **options)
    model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    losses = [row["valid_loss"] for row in model.history_]
    assert model.n_iter_ < 60
    assert model.best_epoch_ == int(np.argmin(losses)) + 1
    assert model.score(X[40:], y[40:]) == pytest.approx(model.best_validation_score_)
    alone = make(early_stopping=True, n_iter_no_change=4, **options).fit(X, y)
    assert alone.n_iter_ == alone.best_epoch_ + 4 < 60


@both
def test_validation_targets_are_checked_like_those_of_training(make):
    X, y = targets_for(make(), ragged())
    with pytest.raises(ValueError, match=r"y\[0\] has 4 steps, but X\[0\] has 5"):
        make().fit(X, y, X_val=X[:1], y_val=[y[0][:-1]])
    with pytest.raises(ValueError, match="X_val was given without y_val"):
        make().fit(X, y, X_val=X)


def test_validation_labels_must_be_those_of_training():
    X, labels, _ = ragged()
    with pytest.raises(ValueError, match="labels that fit did not see.*'sideways'"):
        make_tagger().fit(X, labels, X_val=X[:1], y_val=[np.full(5, "sideways")])


def test_validation_scores_are_those_of_score_where_targets_are_missing():
    X, labels, numbers = ragged()
    hidden = hide([one.astype(object) for one in labels], None)
    for model, y in (
        (make_tagger(), hidden),
        (make_regressor(), hide(numbers, np.nan)),
    ):
        model.fit(X, y, X_val=X, y_val=y)
        assert model.validation_scores_[-1] == pytest.approx(model.score(X, y))


# scikit-learn.


@both
def test_pickles_predict_score_and_go_on_alike(make):
    X, y = targets_for(make(), ragged())
    weights = {"class_weight": "balanced"} if make is make_tagger else {}
    model = make(**weights).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    assert same(outputs(loaded, X), outputs(model, X))
    assert loaded.score(X, y) == model.score(X, y)
    weights and [m.set_params(class_weight=None) for m in (model, loaded)]
    assert same(
        outputs(loaded.partial_fit(X, y), X), outputs(model.partial_fit(X, y), X)
    )


@both
def test_clones_fit_the_same_model(make):
    X, y = targets_for(make(), ragged())
    model = make(cell="lstm", n_layers=2).fit(X, y)
    twin = clone(model)
    with pytest.raises(NotFittedError):
        twin.predict(X)
    assert twin.get_params() == model.get_params()
    assert same(outputs(twin.fit(X, y), X), outputs(model, X))


def test_parameters_set_are_those_of_the_next_fit():
    X, labels, _ = ragged()
    y = hide([np.where(one == "up", 1, 0) for one in labels], -1)
    tagger = make_tagger().fit(X, y)
    tagger.set_params(missing_label=-1, cell="rnn", bidirectional=True)
    assert {p.shape[1] for p in tagger.predict_proba(X)} == {3}
    assert {p.shape[1] for p in tagger.fit(X, y).predict_proba(X)} == {2}


@pytest.mark.thorough
@both
@pytest.mark.parametrize("form", [list, objects], ids=["list", "objects"])
def test_ragged_targets_are_cross_validated(make, form):
    X, y = targets_for(make(), ragged())
    scores = cross_val_score(make(), form(X), form(y), cv=3)
    assert scores.shape == (3,)
    for fold, (train, test) in enumerate(KFold(3).split(X)):
        parts = [[part[i] for i in rows] for rows in (train, test) for part in (X, y)]
        model = make().fit(*parts[:2])
        assert scores[fold] == pytest.approx(model.score(*parts[2:]))


@pytest.mark.thorough
@both
def test_each_sequence_is_left_out_once(make):
    X, y = targets_for(make(), ragged())
    predicted = cross_val_predict(make(), X, y, cv=LeaveOneOut())
    assert [len(p) for p in predicted] == LENGTHS
    model = make().fit([*X[:3], *X[4:]], [*y[:3], *y[4:]])
    assert same(predicted[3:4], model.predict(X[3:4]))
    # Sequences of one length stay a table.
    X, y = targets_for(make(), block())
    assert cross_val_predict(make(), X, y, cv=LeaveOneOut()).shape == y.shape


def test_predictions_of_several_outputs_are_cross_validated():
    X, _, y = ragged()
    Y = [np.column_stack([one, -one]) for one in y]
    predicted = cross_val_predict(make_regressor(), X, Y, cv=LeaveOneOut())
    assert [p.shape for p in predicted] == [(n, 2) for n in LENGTHS]


@pytest.mark.thorough
@both
def test_grid_search_over_ragged_targets(make):
    X, y = targets_for(make(), ragged())
    search = GridSearchCV(make(), {"cell": ["rnn", "gru"], "hidden_size": [2, 4]}, cv=2)
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = make(**search.best_params_).fit(X, y)
    assert same(search.predict(X), best.predict(X))
    assert search.score(X, y) == best.score(X, y)


def test_a_grid_may_try_what_the_estimator_must_know_of_its_targets():
    X, labels, _ = ragged()
    y = hide([one.astype(object) for one in labels], "?")
    grid = {"missing_label": ["?", None], "class_weight": [None, "balanced"]}
    search = GridSearchCV(make_tagger(), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@both
def test_pipelines_hand_ragged_targets_on(make):
    X, y = targets_for(make(), ragged())
    pipeline = make_pipeline(SequenceScaler(), make()).fit(X, y)
    assert [len(p) for p in pipeline.predict(X)] == LENGTHS
    assert np.isfinite(cross_val_score(pipeline, X, y, cv=2)).all()
    # The estimator standardises too: a scaler in front changes next to nothing.
    close(outputs(pipeline[-1], pipeline[0].transform(X)), outputs(make().fit(X, y), X))


def test_targets_can_be_transformed_where_they_are_a_table():
    X, _, y = block(30)
    options = {"max_epochs": 30, "learning_rate": 0.02}
    plain = make_regressor(**options)
    by_log = TransformedTargetRegressor(plain, func=np.log, inverse_func=np.exp)
    by_log.fit(X, np.exp(y))
    np.testing.assert_allclose(
        by_log.predict(X), np.exp(plain.fit(X, y).predict(X)), rtol=1e-6
    )
    scaled = TransformedTargetRegressor(plain, transformer=StandardScaler())
    assert scaled.fit(X, y).predict(X).shape == y.shape
    assert scaled.score(X, y) > 0.5


class Shapes(Callback):
    """Keeps the shapes of inputs and targets that a network is given."""

    def __init__(self, seen):
        self.seen = seen

    def on_batch_begin(self, net, batch, **kwargs):
        self.seen.append((tuple(batch[0]["x"].shape[:2]), tuple(batch[1][0].shape)))


@pytest.mark.thorough
@both
def test_targets_stay_beside_their_steps_in_every_batch(make):
    """Batches mix and sort sequences by length; targets must come along."""
    X, y = targets_for(make(), ragged())
    # The target is the input itself: only a network that sees both aligned learns it.
    X = [np.where(one == "up", 1.0, 0.0) if make is make_tagger else one for one in y]
    seen = []
    options = {"batch_size": 3, "max_epochs": 60, "learning_rate": 0.05}
    model = make(callbacks=Shapes(seen), **options).fit(X, y)
    assert model.score(X, y) > 0.95
    assert all(x == target[:2] for x, target in seen)
    assert len(seen) == 60 * 3
