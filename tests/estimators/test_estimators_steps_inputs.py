"""A target for every step: what may be given, and what is said when it is wrong."""

import numpy as np
import pandas as pd
import pytest
from old_versions import needs_sklearn_1_8
from sklearn.metrics import accuracy_score, r2_score
from step_models import (
    LENGTHS,
    SMALL,
    block,
    both,
    make_regressor,
    make_tagger,
    objects,
    outputs,
    ragged,
    same,
    targets_for,
)

from sklearn_rnn import (
    RNNClassifier,
    RNNRegressor,
    SequenceArray,
)

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


@needs_sklearn_1_8
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
