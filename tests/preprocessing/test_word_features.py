"""Words as several categories each, and steps as dicts."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    InvalidSequenceError,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    SklearnRNNWarning,
    WordFeatures,
)
from sklearn_rnn.sequences import convert_input

SMALL = {"hidden_size": 8, "random_state": 0}


def values_of(sequences, feature):
    """Return the categories of all steps in a row."""
    categories = sequences.categories[feature]
    codes = np.concatenate([sequences[i][:, feature] for i in range(len(sequences))])
    return categories[codes.astype(int) - 1].tolist()


def test_a_word_is_described_by_its_spelling():
    X = [["McDonald", "ran"], ["2024-11"]]
    found = WordFeatures(suffixes=(3,), prefixes=(1, 4)).fit_transform(X)
    expected = {
        "word": ["mcdonald", "ran", "2024-11"],
        "suffix_3": ["ald", "ran", "-11"],
        "prefix_1": ["m", "r", "2"],
        "prefix_4": ["mcdo", "ran", "2024"],
        "shape": ["XxXx", "x", "d-d"],
    }
    assert list(found.feature_names) == list(expected)
    assert found.lengths.tolist() == [2, 1]
    for j, values in enumerate(expected.values()):
        assert values_of(found, j) == values


def test_its_options_choose_the_features():
    words = WordFeatures((), (), shape=False, lowercase=False)
    found = words.fit_transform([["The", "end"]])
    assert list(found.feature_names) == ["word"]
    assert values_of(found, 0) == ["The", "end"]
    assert words.n_features_out_ == 1
    names = ["word", "suffix_1", "suffix_2", "suffix_3", "suffix_4"]
    names += ["prefix_2", "prefix_3", "shape"]
    assert WordFeatures().get_feature_names_out().tolist() == names
    assert repr(clone(WordFeatures((2,)))) == "WordFeatures(suffixes=(2,))"


@pytest.mark.parametrize(
    ("options", "X", "error", "message"),
    [
        ({"suffixes": (0,)}, [["a"]], ValueError, "whole numbers from 1"),
        ({"prefixes": (1.5,)}, [["a"]], ValueError, "prefixes holds 1.5"),
        ({"suffixes": (2, 2)}, [["a"]], ValueError, "a length twice"),
        ({}, ["a text"], InvalidSequenceError, "split them"),
        ({}, ["one", "text"], InvalidSequenceError, r"pass \[X\]"),
        ({}, "one text", InvalidSequenceError, r"pass \[X.split\(\)\]"),
        ({}, [[{"word": "a"}]], InvalidSequenceError, "leave WordFeatures out"),
        ({}, [["a", 3]], InvalidSequenceError, r"X\[0\]\[1\] is 3"),
        ({}, [], InvalidSequenceError, "empty"),
    ],
)
def test_what_it_cannot_describe_is_refused(options, X, error, message):
    with pytest.raises(error, match=message):
        WordFeatures(**options).fit_transform(X)


def made_up(n_sentences, stems, seed):
    """Return sentences of stems with endings, whose tags the endings tell."""
    random = np.random.default_rng(seed)
    endings = {"ing": "verb", "ness": "noun", "ly": "adverb"}
    X, y = [], []
    for _ in range(n_sentences):
        chosen = random.choice(list(endings), size=4)
        X.append([random.choice(stems) + ending for ending in chosen])
        y.append([endings[ending] for ending in chosen])
    return X, y


def test_unknown_words_are_tagged_by_their_endings():
    X, y = made_up(40, ["walk", "talk", "jump", "sing", "play"], seed=0)
    new, expected = made_up(10, ["zorb", "quix", "blap"], seed=1)
    model = make_pipeline(WordFeatures(), RNNTagger(**SMALL)).fit(X, y)
    assert model.score(new, expected) > 0.95
    copied = pickle.loads(pickle.dumps(model))
    for found, tags in zip(copied.predict(new), model.predict(new), strict=True):
        assert found.tolist() == tags.tolist()


# Steps as dicts.

STEPS = [
    [{"word": "the", "is_title": True, "n": 3}, {"word": "end", "n": 3.5}],
    [{"word": "an", "is_title": False, "n": 2, "first": True}],
]


def test_a_key_is_a_feature():
    found = convert_input(STEPS)
    assert list(found.feature_names) == ["word", "is_title", "n", "first"]
    assert values_of(found, 0) == ["the", "end", "an"]
    numbers = np.concatenate([found[i][:, 1:] for i in range(2)])
    np.testing.assert_array_equal(numbers, [[1, 3, 0], [0, 3.5, 0], [0, 2, 1]])


def test_a_missing_text_is_an_unknown_category():
    found = convert_input([[{"a": "x", "b": 1.0}, {"b": 2.0}]])
    assert found[0][:, 0].tolist() == [1, 0]


def test_dicts_are_read_as_frames_are():
    frames = [pd.DataFrame(steps).fillna({"is_title": False}) for steps in STEPS]
    frames = [f.assign(first=f.get("first", 0.0)) for f in frames]
    frames = [f.astype({"is_title": float, "first": float, "n": float}) for f in frames]
    y = np.array([0.0, 1.0])
    models = [
        RNNRegressor(**SMALL, max_epochs=2, dtype="float64").fit(X, y)
        for X in (STEPS, frames)
    ]
    expected = models[1].predict(frames)
    np.testing.assert_allclose(models[0].predict(STEPS), expected, rtol=1e-9)


def test_a_text_of_digits_is_a_category_like_others():
    X = [[{"word": w} for w in ("in", "1984")], [{"word": "now"}]] * 10
    model = RNNClassifier(**SMALL, max_epochs=2).fit(X, [0, 1] * 10)
    assert model.predict_proba([[{"word": "1984"}]]).shape == (1, 2)
    tags = [["a", "b"], ["c"]] * 10
    tagger = RNNTagger(**SMALL, max_epochs=2).fit(X, tags)
    assert len(tagger.predict([[{"word": "2001"}]])[0]) == 1


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[{"a": 1}], []], r"X\[1\] is empty"),
        ([[{"a": 1}], [3]], r"X\[1\]\[0\] is 3"),
        ([[{"a": 1}], 3], r"X\[1\] is 3"),
        ([[{"a": 1}, {"a": "b"}]], r"'a' is text in X\[0\]\[1\]"),
        ([[{"a": [1]}]], "several keys"),
        ([[{"a": 1.0}, {"a": None}]], r"'a' is None, of type NoneType, in X\[0\]\[1\]"),
        ([[{"a": np.nan}]], "NaN"),
        ([[{1: 2}]], "the key 1"),
        ([[{}]], "no key"),
    ],
)
def test_dicts_that_cannot_be_read_are_named(X, message):
    with pytest.raises((TypeError, ValueError), match=message):
        RNNRegressor(max_epochs=1).fit(X, np.zeros(len(X)))


def test_of_other_keys_than_in_fit_there_is_a_warning():
    model = RNNRegressor(**SMALL, max_epochs=1).fit(STEPS, [0.0, 1.0])
    steps = [{"word": "the", "is_title": True, "n": 3}]
    with pytest.warns(SklearnRNNWarning, match="1 keys .* such as 'last'"):
        found = model.predict([[steps[0] | {"last": True}]])
    np.testing.assert_array_equal(found, model.predict([steps]))
    with pytest.raises(InvalidSequenceError, match="such as 'word'"):
        model.predict([[{"token": "the"}]])


def test_none_is_a_missing_text():
    found = convert_input([[{"a": "x", "b": None}, {"a": None, "b": "y"}]])
    np.testing.assert_array_equal(found[0], [[1, 0], [0, 1]])


def test_one_sequence_of_dicts_is_asked_for_in_a_list():
    model = RNNRegressor(**SMALL, max_epochs=1).fit(STEPS, [0.0, 1.0])
    with pytest.raises((TypeError, InvalidSequenceError), match=r"pass \[X\]"):
        model.predict(STEPS[0])


def test_words_without_features_are_told_of_them():
    with pytest.raises(InvalidSequenceError, match="WordFeatures in front"):
        RNNTagger().fit([["a", "b"], ["c"]], [["x", "y"], ["x"]])


def test_keys_that_no_step_has_are_absent_in_predictions_too():
    X = [*STEPS, [{"word": "of", "is_title": False, "n": 1, "last": "yes"}]]
    model = RNNRegressor(**SMALL, max_epochs=2).fit(X, [0.0, 1.0, 2.0])
    both = [[{"word": "the", "n": 3}], X[2]]
    alone = model.predict(both[:1])
    np.testing.assert_allclose(alone, model.predict(both)[:1], rtol=1e-6)
    assert np.isfinite(model.predict([[{"n": 2}]])).all()
