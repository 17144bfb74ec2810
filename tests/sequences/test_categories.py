"""Codes of categories, and what they stand for."""

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import InvalidSequenceError, SequenceArray
from sklearn_rnn.sequences import (
    Transforms,
    categories_seen,
    check_sequences,
    encode_categories,
    is_categorical,
    mean_and_scale,
    one_hot_last_step,
    recode,
    with_categories,
)

NAMES = np.array(["fog", "rain", "sun"], dtype=object)


def container(codes, lengths=None, names=NAMES, **fields):
    values = np.column_stack([np.arange(float(len(codes))), codes])
    lengths = [len(codes)] if lengths is None else lengths
    starts = np.cumsum(lengths) - lengths
    transforms = Transforms(categories={1: names})
    return SequenceArray(values, starts, lengths, transforms=transforms, **fields)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", None, "b"]),
        pd.Series(["a", None, "b"], dtype=object),
        pd.Series(["a", np.nan], dtype="category"),
        pd.Series([1, 2], dtype="category"),
        pd.Series(["1", "2"], dtype="category"),
        pd.Series(["sun", "may"], dtype="string"),
    ],
)
def test_names_and_the_type_category_are_categories(column):
    assert is_categorical(column)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1.5, 2.0]),
        pd.Series([True, False]),
        pd.Series([True, None], dtype=object),
        pd.Series([1, None], dtype=object),
        pd.Series(["a", 1.5], dtype=object),
        pd.Series(["1.5", "2"], dtype=object),
        pd.Series([None, None], dtype=object),
        pd.Series(["2024-01-01", "2024-01-02"]),
        pd.Series(pd.date_range("2024", periods=2)),
        pd.Series(pd.date_range("2024", periods=2)).astype("category"),
        pd.Series(pd.date_range("2024", periods=2)).astype(object),
        pd.Series([[1], [2]]),
    ],
)
def test_numbers_dates_and_mixtures_are_no_categories(column):
    assert not is_categorical(column)


def test_declared_categories_that_do_not_occur_have_no_code():
    column = pd.Series(["b", "a"]).astype(pd.CategoricalDtype(["c", "b", "a"]))
    codes, categories = encode_categories(column)
    assert codes.tolist() == [1, 2]
    assert categories.tolist() == ["b", "a"]


def test_known_categories_keep_their_codes_and_new_ones_follow():
    codes, categories = encode_categories(pd.Series(["hail", None, "sun"]), NAMES)
    assert codes.tolist() == [4, 0, 3]
    assert categories.tolist() == [*NAMES, "hail"]


def test_many_categories_do_not_overflow_their_codes():
    column = pd.Series([f"item {i}" for i in range(40_000)])
    codes, categories = encode_categories(column)
    assert codes.max() == len(categories) == 40_000
    assert (categories[codes - 1] == column.to_numpy(object)).all()


def test_only_categories_that_sequences_cover_are_seen():
    X = container([1, 2, 0, 3], lengths=[2, 1, 1])
    assert categories_seen(X[:2])[1].tolist() == ["fog", "rain"]
    assert categories_seen(X[2:])[1].tolist() == ["sun"]
    assert categories_seen(X[1:2])[1].tolist() == []


def test_recoding_goes_by_what_codes_stand_for():
    X = container([1, 2, 0, 3])
    other = recode(X, {1: np.array(["sun", "fog"], dtype=object)})
    assert other[0][:, 1].tolist() == [2, 0, 0, 1]
    assert other[0][:, 0].tolist() == [0, 1, 2, 3]
    assert recode(X, {1: NAMES.copy()}) is X


def test_selections_pickles_and_maps_keep_categories():
    X = container([1, 2, 0, 3], lengths=[2, 2])
    assert X[[1]].categories is X.categories
    scaled = X.scale(np.array([1.0, 0.0]), np.array([2.0, 1.0]))
    assert scaled[0].tolist() == [[-2, 1], [0, 2]]
    mean, scale = mean_and_scale(X)
    assert (mean[1], scale[1]) == (0, 1)
    assert mean[0] == 1.5


def test_whole_numbers_become_categories_behind_an_affine_map():
    X = SequenceArray(np.array([[5, 7], [5, 9], [5, -1]]), [0], [3])
    X = X.scale(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
    coded = with_categories(X, [1], estimator_name="RNNRegressor")
    assert coded.categories[1].tolist() == [5, 7]
    assert coded[0].tolist() == [[5, 1], [5, 2], [5, 0]]


def test_one_byte_holds_no_code_of_many_categories():
    values = np.arange(300, dtype=np.uint16)[:, np.newaxis] % 256
    X = SequenceArray(values.astype(np.uint8), [0], [300])
    coded = with_categories(X, [0], estimator_name="RNNRegressor")
    assert coded[0].max() == 256


@pytest.mark.parametrize("value", [0.5, 1e300, -0.25])
def test_numbers_that_are_no_codes_are_refused(value):
    X = SequenceArray(np.array([[1.0], [value]]), [0], [2])
    with pytest.raises(InvalidSequenceError, match=r"step 1, feature 0.*whole numbers"):
        with_categories(X, [0], estimator_name="RNNRegressor")


def test_the_last_step_is_encoded_feature_by_feature():
    X = container([1, 2, 0, 3], lengths=[1, 1, 1, 1])
    assert one_hot_last_step(X).tolist() == [[1, 0, 0], [0, 1, 0], [0] * 3, [0, 0, 1]]
    numbers = SequenceArray(np.zeros((4, 1)), [0, 2], [2, 2])
    assert one_hot_last_step(numbers).shape == (2, 0)


def test_categories_of_a_feature_that_is_not_there_are_refused():
    with pytest.raises(InvalidSequenceError, match="for feature 2"):
        SequenceArray(np.zeros((1, 2)), [0], [1]).with_transforms(categories={2: NAMES})


def test_frames_in_a_list_share_categories():
    frames = [
        pd.DataFrame({"x": [1, 2], "kind": ["b", None]}),
        pd.DataFrame({"x": [3], "kind": pd.Series(["a"], dtype="category")}),
    ]
    X = check_sequences(frames, allow_categories=True)
    assert X.feature_names == ("x", "kind")
    assert X.categories[1].tolist() == ["a", "b"]
    assert [x.tolist() for x in X] == [[[1, 2], [2, 0]], [[3, 1]]]
    with pytest.raises(InvalidSequenceError, match="'kind' of X holds categories"):
        check_sequences(frames, estimator_name="SequenceTokenizer")
    frames[1]["x"] = ["three"]
    frames[0]["x"] = frames[0]["x"].astype(object)
    with pytest.raises(InvalidSequenceError, match=r"X\[1\] at step 0, column 'x'"):
        check_sequences(frames, allow_categories=True)
