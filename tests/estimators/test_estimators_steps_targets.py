"""Steps without a target, and padding."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import (
    KFold,
    cross_val_predict,
)
from step_models import (
    LENGTHS,
    block,
    both,
    close,
    hide,
    make_regressor,
    make_tagger,
    outputs,
    ragged,
    same,
    targets_for,
)

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
