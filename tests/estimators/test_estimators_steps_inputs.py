"""A target for every step: what may be given, and what is said when it is wrong."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
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

from sklearn_rnn import (
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    SequenceArray,
    SequenceScaler,
)

SMALL = {"hidden_size": 4, "max_epochs": 3, "input_dropout": 0.0, "random_state": 0}
LENGTHS = [5, 3, 4, 6, 1, 4, 5, 2]


def make_tagger(**options):
    return RNNTagger(**{**SMALL, **options})


def make_regressor(**options):
    return RNNRegressor(return_sequences=True, **{**SMALL, **options})


def ragged(seed=0):
    """Sequences of unequal length, labels and numbers for their steps."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(n, 2)) for n in LENGTHS]
    labels = [np.where(x[:, 0] > 0, "up", "down") for x in X]
    return X, labels, [x.cumsum(axis=0)[:, 0] for x in X]


def block(n_sequences=8, seed=0):
    """The same of equal length, as arrays."""
    X = np.random.default_rng(seed).normal(size=(n_sequences, 5, 2))
    return X, np.where(X[:, :, 0] > 0, "up", "down"), X.cumsum(axis=1)[:, :, 0]


def targets_for(estimator, data):
    X, labels, numbers = data
    return X, labels if isinstance(estimator, RNNTagger) else numbers


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def same(one, other):
    """Whether two predictions are the same to the last bit."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def close(one, other, rtol=1e-7):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-9)


def outputs(model, X):
    """What tells two models apart most finely."""
    return model.predict_proba(X) if isinstance(model, RNNTagger) else model.predict(X)


both = pytest.mark.parametrize("make", [make_tagger, make_regressor])
# Names of the parametrised estimators, for messages.
NAMES = {make_tagger: "RNNTagger", make_regressor: "RNNRegressor"}


# The containers of y.


def as_sequence_array(values):
    flat = np.concatenate(values)[:, np.newaxis]
    lengths = np.array([len(v) for v in values])
    return SequenceArray(flat, np.cumsum(lengths) - lengths, lengths)


RAGGED_FORMS = {
    "list of lists": lambda y: [one.tolist() for one in y],
    "tuple": tuple,
    "object array": objects,
    "Series of arrays": lambda y: pd.Series(list(y), index=range(10, 10 + len(y))),
    "list of Series": lambda y: [pd.Series(one)[::-1][::-1] for one in y],
    "list of columns": lambda y: [one[:, np.newaxis] for one in y],
    "list of frames": lambda y: [pd.DataFrame({"y": one}) for one in y],
    "objects in arrays": lambda y: [one.astype(object) for one in y],
}


@pytest.mark.thorough
@both
@pytest.mark.parametrize("form", RAGGED_FORMS)
def test_ragged_targets_may_be_of_any_container(make, form):
    X, y = targets_for(make(), ragged())
    expected = outputs(make().fit(X, y), X)
    given = RAGGED_FORMS[form](y)
    model = make().fit(X, given)
    for one, other in zip(outputs(model, X), expected, strict=True):
        np.testing.assert_array_equal(one.reshape(other.shape), other)
    assert model.score(X, given) == make().fit(X, y).score(X, y)


def test_ragged_numbers_may_be_a_sequence_array():
    X, _, y = ragged()
    for targets, make in ((y, make_regressor), ([v > 0 for v in y], make_tagger)):
        numbers = [1.0 * v for v in targets]
        model = make().fit(X, as_sequence_array(numbers))
        assert same(outputs(model, X), outputs(make().fit(X, numbers), X))
        assert model.score(X, as_sequence_array(numbers)) == model.score(X, numbers)


@both
@pytest.mark.parametrize(
    "form",
    [
        lambda y: pd.DataFrame(y, index=range(5, 13), columns=[*"abcde"]),
        lambda y: y.astype(object),
        lambda y: y[:, :, np.newaxis],
    ],
    ids=["DataFrame", "objects", "3-D"],
)
def test_targets_of_equal_length_may_be_a_table(make, form):
    X, y = targets_for(make(), block())
    expected = make().fit(X, y)
    model = make().fit(X, form(y))
    a, b = outputs(model, X), outputs(expected, X)
    np.testing.assert_array_equal(a.reshape(b.shape), b)
    assert model.score(X, form(y)) == expected.score(X, y)


@both
def test_a_table_of_one_feature_takes_a_table_of_targets(make):
    X, y = targets_for(make(), block())
    X = X[:, :, 0]
    frames = make().fit(pd.DataFrame(X).add_prefix("t"), pd.DataFrame(y))
    arrays = make().fit(X, y)
    assert same(outputs(frames, pd.DataFrame(X).add_prefix("t")), outputs(arrays, X))


def test_predictions_are_an_array_where_the_targets_were_one():
    X, labels, numbers = block()
    tagger = make_tagger().fit(X, labels)
    assert tagger.predict(X).shape == labels.shape
    assert tagger.predict(X).dtype == labels.dtype
    assert tagger.predict_proba(X).shape == (*labels.shape, 2)
    assert tagger.predict_log_proba(X).shape == (*labels.shape, 2)
    assert tagger.predict(X[:, :3]).shape == (8, 3)
    regressor = make_regressor().fit(X, numbers)
    assert regressor.predict(X).shape == numbers.shape
    two = np.stack([numbers, -numbers], axis=2)
    assert make_regressor().fit(X, two).predict(X).shape == two.shape
    assert make_regressor().fit(X, two[:, :, :1]).predict(X).shape == (8, 5, 1)
    # Of other sequences, they are whatever those allow.
    shorter = [X[0], X[1, :2]]
    assert [len(p) for p in tagger.predict(shorter)] == [5, 2]
    assert [len(p) for p in regressor.predict(shorter)] == [5, 2]


def test_predictions_are_a_list_of_arrays_where_the_targets_were_one():
    X, labels, numbers = ragged()
    tagger, regressor = (
        make_tagger().fit(X, labels),
        make_regressor().fit(X, numbers),
    )
    both = make_regressor().fit(X, [np.column_stack([n, -n]) for n in numbers])
    for predictions, inner in (
        (tagger.predict(X), ()),
        (tagger.predict_proba(X), (2,)),
        (tagger.predict_log_proba(X), (2,)),
        (regressor.predict(X), ()),
        (both.predict(X), (2,)),
    ):
        assert predictions.shape == (8,)
        assert predictions.dtype == object
        assert [p.shape for p in predictions] == [(n, *inner) for n in LENGTHS]
    # Also where those asked for happen to be equally long, or only one.
    for some in (X[2:3], [X[2], X[5]]):
        assert tagger.predict(some).dtype == object
        assert regressor.predict(some).shape == (len(some),)


def test_probabilities_belong_to_the_labels_predicted():
    X, labels, _ = ragged()
    labels = [one.astype("U9") for one in labels]
    labels[0][0] = "a third"
    tagger = make_tagger().fit(X, labels)
    assert tagger.classes_.tolist() == ["a third", "down", "up"]
    for predicted, shares, logs in zip(
        tagger.predict(X),
        tagger.predict_proba(X),
        tagger.predict_log_proba(X),
        strict=True,
    ):
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        np.testing.assert_allclose(np.log(shares), logs)
        np.testing.assert_array_equal(tagger.classes_[shares.argmax(axis=1)], predicted)


# Scores.


def test_the_score_of_a_tagger_is_accuracy_over_steps():
    X, labels, _ = ragged()
    tagger = make_tagger().fit(X, labels)
    flat = np.concatenate(labels), np.concatenate(list(tagger.predict(X)))
    assert tagger.score(X, labels) == accuracy_score(*flat)
    weights = np.arange(1.0, 9.0)
    expected = accuracy_score(*flat, sample_weight=np.repeat(weights, LENGTHS))
    assert tagger.score(X, labels, weights) == pytest.approx(expected)


def test_the_score_of_a_regressor_of_steps_is_r2_over_steps():
    X, _, y = ragged()
    Y = [np.column_stack([one, np.exp(one)]) for one in y]
    weights = np.arange(1.0, 9.0)
    for targets in (y, Y):
        model = make_regressor().fit(X, targets)
        flat = np.concatenate(targets), np.concatenate(list(model.predict(X)))
        assert model.score(X, targets) == pytest.approx(r2_score(*flat))
        expected = r2_score(*flat, sample_weight=np.repeat(weights, LENGTHS))
        assert model.score(X, targets, weights) == pytest.approx(expected)


def test_steps_without_a_target_do_not_count_in_the_score():
    X, labels, numbers = ragged()
    tagger, regressor = make_tagger().fit(X, labels), make_regressor().fit(X, numbers)
    known = [np.arange(n) % 2 == 0 for n in LENGTHS]
    some_labels = [np.where(k, one, None) for k, one in zip(known, labels, strict=True)]
    some_numbers = [
        np.where(k, one, np.nan) for k, one in zip(known, numbers, strict=True)
    ]
    known = np.concatenate(known)
    for model, given, all_of_them, metric in (
        (tagger, some_labels, labels, accuracy_score),
        (regressor, some_numbers, numbers, r2_score),
    ):
        predicted = np.concatenate(list(model.predict(X)))
        expected = metric(np.concatenate(all_of_them)[known], predicted[known])
        assert model.score(X, given) == pytest.approx(expected)
        assert model.score(X, given) != model.score(X, all_of_them)


def test_labels_that_fit_did_not_see_are_wrong_at_score():
    X, labels, _ = ragged()
    tagger = make_tagger().fit(X, labels)
    assert tagger.score(X, [np.full(n, "sideways") for n in LENGTHS]) == 0
    one_more = [*labels[:-1], np.full(LENGTHS[-1], "sideways")]
    without = tagger.score(X[:-1], labels[:-1])
    n_steps = sum(LENGTHS)
    assert tagger.score(X, one_more) == pytest.approx(
        without * (n_steps - LENGTHS[-1]) / n_steps
    )


@pytest.mark.parametrize("classes", [(0, 1), (False, True)])
def test_labels_of_another_type_than_those_of_fit_are_refused_at_score(classes):
    """As by accuracy_score: else a text "1" would be a wrong 1, silently."""
    X, labels, _ = ragged()
    tagger = make_tagger().fit(X, labels)
    other = [np.where(one == "up", *classes[::-1]) for one in labels]
    with pytest.raises((ValueError, TypeError), match=r"(?i)label|type"):
        tagger.score(X, other)


# Wrong targets, told of with their place.


@both
def test_a_target_of_another_length_is_named(make):
    X, y = targets_for(make(), ragged())
    for wrong in (y[2][:-1], np.append(y[2], y[2][:1]), y[2][:0]):
        message = rf"y\[2\] has {len(wrong)} steps, but X\[2\] has 4: {NAMES[make]}"
        with pytest.raises(ValueError, match=message):
            make().fit(X, [*y[:2], wrong, *y[3:]])
    # Swapped, so that only their sum is right.
    with pytest.raises(ValueError, match=r"y\[0\] has 3 steps, but X\[0\] has 5"):
        make().fit(X, [y[1], y[0], *y[2:]])
    fitted = make().fit(X, y)
    with pytest.raises(ValueError, match=r"y\[7\] has 1 steps, but X\[7\] has 2"):
        fitted.score(X, [*y[:-1], y[-1][:1]])


@both
def test_another_number_of_sequences_is_told(make):
    X, y = targets_for(make(), ragged())
    for wrong in (y[:-1], [*y, y[0]]):
        with pytest.raises(ValueError, match=f"8 sequences, y has {len(wrong)}"):
            make().fit(X, wrong)


@both
def test_a_table_of_another_width_is_told(make):
    X, y = targets_for(make(), block())
    with pytest.raises(ValueError, match=r"y\[0\] has 4 steps, but X\[0\] has 5"):
        make().fit(X, y[:, :-1])
    with pytest.raises(ValueError, match="8 sequences, y has 5"):
        make().fit(X, y.T)


@both
@pytest.mark.parametrize("data", [ragged, block])
def test_a_target_a_sequence_is_not_one_a_step(make, data):
    X, y = targets_for(make(), data())
    last = np.array([one[-1] for one in y])
    flat = np.concatenate(list(y))
    for wrong in (last, last.tolist(), pd.Series(last), flat, 3, "abc", np.array(1)):
        message = f"{NAMES[make]} needs a target for every step"
        with pytest.raises(ValueError, match=message):
            make().fit(X, wrong)


@both
def test_a_missing_y_is_told(make):
    X, _ = targets_for(make(), ragged())
    with pytest.raises(ValueError, match="requires y to be passed"):
        make().fit(X, None)


@pytest.mark.parametrize(
    "model, way_out",
    [
        (RNNRegressor(**SMALL), "return_sequences"),
        (RNNClassifier(**SMALL), "RNNTagger"),
    ],
    ids=["regressor", "classifier"],
)
@pytest.mark.parametrize("form", [list, objects], ids=["list", "objects"])
def test_a_target_a_step_given_for_sequences_is_told_the_way_out(model, way_out, form):
    X, labels, numbers = ragged()
    y = numbers if isinstance(model, RNNRegressor) else labels
    with pytest.raises(ValueError, match=way_out):
        model.fit(X, form(y))


def test_strings_are_no_numbers():
    X, labels, _ = ragged()
    mixed = [*ragged()[2][:-1], labels[-1]]
    for y in (labels, objects(labels), block()[1]):
        X_of_y = X if len(y[0]) == LENGTHS[0] != len(y[1]) else block()[0]
        with pytest.raises(ValueError, match=r"(?s)strings.*RNNTagger"):
            make_regressor().fit(X_of_y, y)
    with pytest.raises(ValueError, match="text"):
        make_regressor().fit(X, mixed)
    with pytest.raises(ValueError, match="(?i)text|string"):
        make_regressor().fit(X, [one.astype(object) for one in labels])


def test_several_labels_a_step_are_refused():
    X, labels, _ = ragged()
    y = [np.column_stack([one, one]) for one in labels]
    with pytest.raises(ValueError, match="y has 2 labels per step, and RNNTagger"):
        make_tagger().fit(X, y)


def test_another_number_of_outputs_is_told():
    X, _, y = ragged()
    Y = [np.column_stack([one, -one]) for one in y]
    with pytest.raises(ValueError, match=r"y\[3\] has shape \(6,\), and y\[0\] \(5, 2"):
        make_regressor().fit(X, [*Y[:3], y[3], *Y[4:]])
    model = make_regressor().fit(X, Y)
    with pytest.raises(ValueError, match="y has 1 outputs.*fitted with 2"):
        model.score(X, y)
    with pytest.raises(ValueError, match="y has 3 outputs.*fitted with 2"):
        model.partial_fit(X, [np.column_stack([one, one, one]) for one in y])


def test_an_infinite_target_is_named():
    X, _, y = ragged()
    for value in (np.inf, -np.inf):
        y[3][4] = value
        with pytest.raises(ValueError, match=r"y\[3\] is infinite at step 4"):
            make_regressor().fit(X, y)


def test_numbers_that_are_no_classes_are_told():
    X, _, y = ragged()
    with pytest.raises(ValueError, match="(?i)continuous"):
        make_tagger().fit(X, y)


@both
def test_a_hole_in_x_is_named(make):
    X, y = targets_for(make(), ragged())
    X[3] = X[3].copy()
    X[3][2] = np.nan
    with pytest.raises(ValueError, match="NaN: sequence 3, step 2"):
        make().fit(X, y)


@both
def test_a_fit_that_cannot_begin_leaves_the_last_one(make):
    X, y = targets_for(make(), ragged())
    model = make().fit(X, y)
    before = outputs(model, X)
    wrong = [
        (X, y[:-1]),
        (X, [one[:-1] for one in y]),
        ([x[:, :1] for x in X], [np.full(n, None) for n in LENGTHS]),
        (X, [x[0, 0] for x in X]),
    ]
    for X_wrong, y_wrong in wrong:
        with pytest.raises(ValueError):
            model.fit(X_wrong, y_wrong)
        assert same(outputs(model, X), before)
        assert model.n_features_in_ == 2


# Steps without a target.


def test_all_labels_missing_is_told():
    X, _, _ = ragged()
    for value, missing_label in ((None, None), (np.nan, None), (-1, -1), ("", "")):
        y = [np.full(n, value) for n in LENGTHS]
        with pytest.raises(ValueError, match="no step of y has a label"):
            make_tagger(missing_label=missing_label).fit(X, y)


def test_all_numbers_missing_is_told():
    X, _, y = ragged()
    nothing = [np.full(n, np.nan) for n in LENGTHS]
    with pytest.raises(ValueError, match="NaN at every step"):
        make_regressor().fit(X, nothing)
    Y = [np.column_stack(pair) for pair in zip(y, nothing, strict=True)]
    with pytest.raises(ValueError, match="output 1 of y is NaN at every step"):
        make_regressor().fit(X, Y)


def test_one_class_is_too_few():
    X, _, _ = ragged()
    for y in ([np.full(n, "up") for n in LENGTHS], [[1] + [None] * 4, *[[None] * 3]]):
        with pytest.raises(ValueError, match="only one class: ..?'?(up|1)'?"):
            make_tagger().fit(X[: len(y)], y)


def hide(labels, value):
    """Some labels replaced, those of the sequence 3 all."""
    hidden = [one.copy() for one in labels]
    hidden[0][1] = hidden[2][0] = value
    hidden[3][:] = value
    return hidden


def ways_to_miss():
    """The same labels given in many ways, and the name of a missing one."""
    _, labels, _ = ragged()
    codes = [np.where(one == "up", 1, 0) for one in labels]
    texts = [one.astype(object) for one in labels]
    return {
        "NaN among numbers": (hide([1.0 * c for c in codes], np.nan), None),
        "None among numbers": (hide([c.astype(object) for c in codes], None), None),
        "NaN among objects": (hide([c.astype(object) for c in codes], np.nan), None),
        "a number": (hide(codes, -1), -1),
        "NaN by name": (hide([1.0 * c for c in codes], np.nan), np.nan),
        "None among texts": (hide(texts, None), None),
        "NaN among texts": (hide(texts, np.nan), None),
        "pandas' NA": (hide(texts, pd.NA), None),
        "a text": (hide(texts, "?"), "?"),
        "a text in arrays": (hide([t.astype("U9") for t in texts], "?"), "?"),
        "lists of texts": ([t.tolist() for t in hide(texts, None)], None),
        "lists of texts and NaN": ([t.tolist() for t in hide(texts, np.nan)], None),
        "lists of numbers": (
            [c.tolist() for c in hide([c.astype(object) for c in codes], None)],
            None,
        ),
        "lists of numbers and NaN": (
            [c.tolist() for c in hide([1.0 * c for c in codes], np.nan)],
            None,
        ),
        "Series": ([pd.Series(t) for t in hide(texts, None)], None),
        "nullable Series": (
            [
                pd.Series(c.tolist(), dtype="Int64")
                for c in hide([c.astype(object) for c in codes], pd.NA)
            ],
            None,
        ),
        "a missing label here and None there": (
            hide(texts, "?")[:3] + hide(texts, None)[3:],
            "?",
        ),
        "a sequence of NaN among texts": (
            [*hide(texts, None)[:3], np.full(6, np.nan), *labels[4:]],
            None,
        ),
    }


@pytest.mark.thorough
@pytest.mark.parametrize("way", ways_to_miss())
def test_every_way_to_say_that_a_label_is_missing_is_the_same(way):
    X, labels, _ = ragged()
    numbers = [np.where(one == "up", 1.0, 0.0) for one in labels]
    expected = make_tagger().fit(X, hide(numbers, np.nan)).predict_proba(X)
    assert not same(expected, make_tagger().fit(X, numbers).predict_proba(X))
    y, missing_label = ways_to_miss()[way]
    model = make_tagger(missing_label=missing_label).fit(X, y)
    assert len(model.classes_) == 2
    assert same(model.predict_proba(X), expected)
    predicted = np.concatenate(list(model.predict(X))) == model.classes_[1]
    known = ~np.isnan(np.concatenate(hide(numbers, np.nan)))
    right = (predicted == np.concatenate(numbers))[known]
    assert model.score(X, y) == pytest.approx(right.mean())


def test_a_missing_label_is_a_label_like_others_unless_it_is_named():
    X, labels, _ = ragged()
    y = hide([np.where(one == "up", 1, 0) for one in labels], -1)
    assert make_tagger().fit(X, y).classes_.tolist() == [-1, 0, 1]
    assert make_tagger(missing_label=-1).fit(X, y).classes_.tolist() == [0, 1]
    assert make_tagger(missing_label=0).fit(X, y).classes_.tolist() == [-1, 1]
    # One of another type is never met, and does no harm.
    assert make_tagger(missing_label="?").fit(X, y).classes_.tolist() == [-1, 0, 1]


def test_labels_keep_their_type():
    X, labels, _ = ragged()
    up = [one == "up" for one in labels]
    for values, kind in (
        ([np.where(u, 1, -1) for u in up], "i"),
        (up, "b"),
        ([np.where(u, 2.0, 1.0) for u in up], "f"),
        (labels, "U"),
    ):
        predicted = make_tagger().fit(X, values).predict(X)
        assert {p.dtype.kind for p in predicted} == {kind}
        found = np.unique(np.concatenate(list(predicted)))
        assert set(found) <= set(np.unique(np.concatenate(values)))


def test_numbers_that_are_missing_do_not_count():
    """As if the network were asked at the other steps alone."""
    X, _, y = ragged()
    some = [one.copy() for one in y]
    for one in some:
        one[1::2] = np.nan
    model = make_regressor().fit(X, some)
    assert np.isfinite(model.loss_curve_).all()
    assert not same(model.predict(X), make_regressor().fit(X, y).predict(X))
    # Standardised by what is there: an untrained network predicts its mean.
    start = make_regressor(learning_rate=1e-15, max_epochs=1).fit(X, some)
    start.module_.head.weight.data.zero_()
    known = np.concatenate([one[::2] for one in some])
    np.testing.assert_allclose(np.concatenate(list(start.predict(X))), known.mean())
    # None is NaN.
    none = [np.where(np.isnan(one), None, one) for one in some]
    assert same(make_regressor().fit(X, none).predict(X), model.predict(X))
    lists = [one.tolist() for one in none]
    assert same(make_regressor().fit(X, lists).predict(X), model.predict(X))


def test_one_output_may_be_missing_where_another_is_there():
    X, _, y = ragged()
    Y = [np.column_stack([one, -one]) for one in y]
    some = [one.copy() for one in Y]
    for one in some:
        one[::2, 0] = np.nan
    model = make_regressor(max_epochs=30, learning_rate=0.02).fit(X, some)
    whole = make_regressor(max_epochs=30, learning_rate=0.02).fit(X, Y)
    assert not same(model.predict(X), whole.predict(X))
    assert model.score(X, some) > 0.5


@both
def test_a_sequence_without_any_target_is_read_and_teaches_nothing(make):
    """Its steps count in the scaling of X alone, so that is off here."""
    X, y = targets_for(make(), ragged())
    nothing = None if make is make_tagger else np.nan
    more_y = [*y, np.full(6, nothing)]
    model = make(standardize=False).fit([*X, X[0][[0] * 6]], more_y)
    without = make(standardize=False).fit(X, y)
    close(outputs(model, X), outputs(without, X), rtol=1e-6)


@both
def test_early_stopping_with_few_labelled_sequences_works_or_says_why(make):
    X, y = targets_for(make(), block(20))
    nothing = None if make is make_tagger else np.nan
    for labelled in (range(1), range(19, 20), range(2), range(10), range(0, 20, 7)):
        some = np.full(y.shape, nothing, dtype=object if make is make_tagger else float)
        some[list(labelled)] = y[list(labelled)]
        model = make(early_stopping=True)
        try:
            model.fit(X, some)
        except ValueError as error:
            assert re.search("early_stopping|validation|X_val", str(error))
            assert not hasattr(model, "module_")
        else:
            assert np.isfinite([row["valid_loss"] for row in model.history_]).all()
            assert np.isfinite(model.validation_scores_).all()


# Padding.


def padded(X, front, behind):
    """The sequences in one block of NaN, `front` steps after its beginning."""
    block = np.full((len(X), front + max(LENGTHS) + behind, 2), np.nan)
    for row, x in zip(block, X, strict=True):
        row[front : front + len(x)] = x
    return block


PADDINGS = [(0, 0), (0, 2), (3, 0), (2, 2)]


@pytest.mark.thorough
@both
@pytest.mark.parametrize("front, behind", PADDINGS)
@pytest.mark.parametrize("filled", [False, True])
def test_targets_of_padding_do_not_matter(make, front, behind, filled):
    X, y = targets_for(make(), ragged())
    X_padded = padded(X, front, behind)
    nothing = ("PAD" if filled else None) if make is make_tagger else np.nan
    nothing = 1e6 if make is make_regressor and filled else nothing
    y_padded = np.full(
        X_padded.shape[:2], nothing, dtype=object if make is make_tagger else float
    )
    for row, one in zip(y_padded, y, strict=True):
        row[front : front + len(one)] = one
    expected = make().fit(X, y)
    model = make().fit(X_padded, y_padded)
    assert same(outputs(model, X), outputs(expected, X))
    # A padded X is predicted without its padding.
    assert same(outputs(model, X_padded), outputs(expected, X))
    assert model.score(X_padded, y_padded) == expected.score(X, y)
    # Targets may be as short as the sequences really are.
    short = make().fit(X_padded, y)
    assert same(outputs(short, X), outputs(expected, X))
    assert short.score(X_padded, y) == expected.score(X, y)


@pytest.mark.thorough
@both
@pytest.mark.parametrize("front, behind", PADDINGS)
def test_a_list_of_padded_sequences_takes_targets_of_either_length(make, front, behind):
    X, y = targets_for(make(), ragged())
    nothing = None if make is make_tagger else np.nan
    X_padded = [np.pad(x, ((front, behind), (0, 0)), constant_values=np.nan) for x in X]
    y_padded = [
        np.concatenate([np.full(front, nothing), one, np.full(behind, nothing)])
        for one in y
    ]
    expected = outputs(make().fit(X, y), X)
    assert same(outputs(make().fit(X_padded, y_padded), X), expected)
    # Some of them cut, some not.
    mixed = [one if i % 2 else y_padded[i] for i, one in enumerate(y)]
    assert same(outputs(make().fit(X_padded, mixed), X), expected)


@both
def test_a_padded_table_of_targets_goes_with_a_list_of_sequences(make):
    X, y = targets_for(make(), ragged())
    nothing = None if make is make_tagger else np.nan
    table = np.full((8, 9), nothing, dtype=object if make is make_tagger else float)
    for row, one in zip(table, y, strict=True):
        row[: len(one)] = one
    expected = outputs(make().fit(X, y), X)
    assert same(outputs(make().fit(X, table), X), expected)
    # But not where a target stands behind the end.
    table[2, 7] = y[0][0]
    with pytest.raises(ValueError, match=r"y\[2\] has 9 steps, but X\[2\] has 4"):
        make().fit(X, table)


@pytest.mark.thorough
@both
@pytest.mark.parametrize("n_splits", [2, 8])
def test_padded_blocks_are_cross_validated(make, n_splits):
    """Some folds hold sequences of equal length, some do not."""
    X, y = targets_for(make(), ragged())
    X_padded = padded(X, 0, 0)
    nothing = None if make is make_tagger else np.nan
    table = np.full(
        X_padded.shape[:2], nothing, dtype=object if make is make_tagger else float
    )
    for row, one in zip(table, y, strict=True):
        row[: len(one)] = one
    predicted = cross_val_predict(make(), X_padded, table, cv=KFold(n_splits))
    assert [len(p) for p in predicted] == LENGTHS
    expected = cross_val_predict(make(), X, y, cv=KFold(n_splits))
    assert same(predicted, expected)


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
