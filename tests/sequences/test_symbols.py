"""What is read as sequences of symbols, and what is refused, with its place."""

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import InvalidSequenceError, SequenceArray
from sklearn_rnn.sequences import UNKNOWN, Transforms, Vocabulary, check_symbols


@pytest.mark.parametrize(
    "X",
    [
        ["ab", "c"],
        ("ab", "c"),
        np.array(["ab", "c"]),
        np.array(["ab", "c"], dtype=object),
        pd.Series(["ab", "c"], index=[7, 3]),
        pd.Series(["ab", "c"], dtype="string"),
        pd.Index(["ab", "c"]),
        [np.str_("ab"), "c"],
    ],
)
def test_strings_come_in_any_list_of_them(X):
    rows, are_text = check_symbols(X)
    assert rows == ["ab", "c"]
    assert are_text
    assert all(type(row) is str for row in rows)


@pytest.mark.parametrize(
    "X",
    [
        [["a", "b"], ["c"]],
        [("a", "b"), np.array(["c"])],
        pd.Series([["a", "b"], pd.Series(["c"])]),
    ],
)
def test_symbols_come_in_any_list_of_lists(X):
    assert check_symbols(X) == ([["a", "b"], ["c"]], False)


def test_a_table_of_numbers_is_one_sequence_a_row():
    rows, are_text = check_symbols(np.array([[60, 62], [64, 60]]))
    assert rows == [[60, 62], [64, 60]]
    assert not are_text


def test_symbols_may_be_of_any_hashable_kind():
    row = [60, "rest", (60, 64, 67), frozenset({1}), None, True]
    assert check_symbols([row]).rows == [row]


@pytest.mark.parametrize(
    "X, message",
    [
        ("text", r"single string, but the estimator takes a list .* pass \[X\]"),
        (pd.DataFrame({"review": ["a"]}), r"a table.* such as X\['review'\]"),
        (pd.DataFrame(), "is a table"),
        (iter(["a"]), "X is of type list_iterator"),
        ({"a": 1}, "X is of type dict"),
        ({"a", "b"}, "X is of type set"),
        (5, "X is of type int"),
        ([["a", []]], r"X\[0\] holds a symbol that cannot be hashed.*Make tuples"),
    ],
)
def test_what_is_no_list_of_sequences_is_refused(X, message):
    with pytest.raises(TypeError, match=message):
        check_symbols(X)


@pytest.mark.parametrize(
    "X, message",
    [
        ([], "X is empty"),
        (["a", ""], r"X\[1\] is empty.* Leave it out"),
        ([["a"], []], r"X\[1\] is empty"),
        (["a", None], r"X\[1\] is None, a missing value"),
        ([None, "a"], r"X\[0\] is None, a missing value"),
        (pd.Series(["a", np.nan]), r"X\[1\] is nan, a missing value"),
        (pd.Series(["a", None], dtype="string"), r"X\[1\] is .*, a missing value"),
        (["a", ["b"]], r"X\[1\] is of type list, but .* takes strings, as the first"),
        (["a", ["b", ["c"]]], r"X\[1\] is of type list"),
        ([["a"], "b"], r"X\[1\] is a string, but .* takes lists of symbols"),
        (["a", 3.0], r"X\[1\] is of type float"),
        ([1, 2], r"X\[0\] is of type int"),
        ([b"a"], r"X\[0\] is of type bytes"),
        ([{"a": 1}], r"X\[0\] is of type dict"),
        ([np.zeros((2, 3))], r"X\[0\] is an array of shape \(2, 3\)"),
        (np.zeros((2, 3, 4)), "X has 3 dimensions"),
        (np.array("a"), "X has 0 dimensions"),
        ([["a", np.nan]], r"X\[0\] holds NaN"),
        ([["a", pd.NA]], r"X\[0\] holds NaN"),
    ],
)
def test_what_is_no_sequence_of_symbols_is_refused_with_its_place(X, message):
    with pytest.raises(InvalidSequenceError, match=message):
        check_symbols(X)


def test_messages_say_who_asks_and_for_what():
    with pytest.raises(InvalidSequenceError, match="y is empty: Somebody needs"):
        check_symbols([], estimator_name="Somebody", name="y")


def test_sequences_without_symbols_pass_where_they_may():
    assert check_symbols(["a", ""], allow_empty=True).rows == ["a", ""]
    assert check_symbols([[], ["a"]], allow_empty=True).rows == [[], ["a"]]


def test_what_was_given_is_not_changed():
    row = ("a", "b")
    X = [list(row)]
    check_symbols(X).rows[0].append("c")
    assert X == [["a", "b"]]


def test_ids_with_their_tokens_are_the_tokens_and_nothing_special_is_learned():
    tokens = np.array(["<pad>", "<unk>", "cat", "dog"], dtype=object)
    ids = np.array([[2], [1], [3], [0]])
    X = SequenceArray(ids, [0, 3], [3, 1], transforms=Transforms(tokens=tokens))
    rows = check_symbols(X, allow_empty=True).rows
    assert rows[0][::2] == ["cat", "dog"]
    assert rows[1] == []
    vocabulary = Vocabulary.from_sequences(rows)
    assert set(vocabulary.symbols) == {"cat", "dog"}
    assert vocabulary.encode(rows[0])[1] == UNKNOWN
