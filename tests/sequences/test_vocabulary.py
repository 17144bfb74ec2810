"""Symbols become ids, and ids symbols."""

import pickle

import numpy as np
import pytest

from sklearn_rnn.sequences import BEGIN, END, PADDING, UNKNOWN, Vocabulary


def plain_encode(vocabulary, row):
    return [vocabulary.id_of(symbol) for symbol in row]


def test_symbols_are_ordered_by_frequency_then_by_when_they_came():
    vocabulary = Vocabulary.from_sequences(["cab", "bab"])
    assert vocabulary.symbols == ["b", "a", "c"]
    assert [vocabulary.id_of(s) for s in "bac"] == [4, 5, 6]
    assert len(vocabulary) == 7


def test_special_ids_come_first():
    assert (PADDING, UNKNOWN, BEGIN, END) == (0, 1, 2, 3)
    assert Vocabulary.from_sequences(["a"], n_specials=2).id_of("a") == 2


def test_rare_symbols_stay_unknown():
    vocabulary = Vocabulary.from_sequences(["aaab", "bc"], min_count=2)
    assert vocabulary.symbols == ["a", "b"]
    assert "c" not in vocabulary
    assert vocabulary.id_of("c") == UNKNOWN


def test_the_most_frequent_symbols_are_kept():
    vocabulary = Vocabulary.from_sequences(["aaabbc"], max_symbols=2)
    assert vocabulary.symbols == ["a", "b"]
    assert Vocabulary.from_sequences(
        ["aaabbc"], min_count=3, max_symbols=2
    ).symbols == ["a"]


@pytest.mark.parametrize(
    "row", ["", "abcabc", "xyz", "aäあ👨‍👩‍👧\x00\ud800", "zebra" * 1000]
)
@pytest.mark.parametrize("known", ["abc", "az\x00\ud800👨", "", "ÿあ"])
def test_a_string_is_encoded_like_its_characters_one_by_one(known, row):
    vocabulary = Vocabulary(list(known), n_specials=2)
    ids = vocabulary.encode(row)
    assert ids.tolist() == plain_encode(vocabulary, row)
    assert ids.tolist() == vocabulary.encode(list(row)).tolist()
    assert ids.dtype == vocabulary.encode(list(row)).dtype


def test_a_string_is_encoded_by_characters_among_longer_symbols_too():
    vocabulary = Vocabulary(["ab", "a"], n_specials=2)
    assert vocabulary.encode("aba").tolist() == [3, 1, 3]
    assert vocabulary.encode(["ab", "a"]).tolist() == [2, 3]


@pytest.mark.parametrize(
    "n_ids, dtype",
    [(256, np.uint8), (257, np.int16), (2**15, np.int16), (2**15 + 1, np.int32)],
)
def test_ids_have_the_smallest_type_that_holds_them(n_ids, dtype):
    vocabulary = Vocabulary(range(n_ids - 2), n_specials=2)
    ids = vocabulary.encode([n_ids - 3, -1])
    assert ids.dtype == dtype
    assert ids.tolist() == [n_ids - 1, UNKNOWN]
    characters = Vocabulary([chr(0xE000 + i) for i in range(n_ids - 2)], n_specials=2)
    ids = characters.encode(chr(0xE000 + n_ids - 3) + "a")
    assert ids.dtype == dtype
    assert ids.tolist() == [n_ids - 1, UNKNOWN]


def test_decode_undoes_encode():
    vocabulary = Vocabulary.from_sequences(["abc"])
    assert vocabulary.decode(vocabulary.encode("cab")) == ["c", "a", "b"]
    notes = Vocabulary([60, (60, 64)], n_specials=2)
    assert notes.decode(notes.encode([(60, 64), 60])) == [(60, 64), 60]


def test_decode_names_the_unknown_and_leaves_other_special_ids_out():
    vocabulary = Vocabulary(["a"])
    ids = [BEGIN, 4, UNKNOWN, END, PADDING, PADDING]
    assert vocabulary.decode(ids) == ["a", None]
    assert vocabulary.decode(ids, unknown="?") == ["a", "?"]


def test_all_rows_become_one_container():
    vocabulary = Vocabulary(["a", "b"])
    X = vocabulary.encode_all(["ab", "b"])
    assert [x.ravel().tolist() for x in X] == [[4, 5], [5]]
    assert X.dtype == np.uint8
    bounded = vocabulary.encode_all(["ab", ""], bounded=True)
    assert [x.ravel().tolist() for x in bounded] == [[BEGIN, 4, 5, END], [BEGIN, END]]


def test_a_vocabulary_pickles_as_its_symbols():
    vocabulary = Vocabulary.from_sequences(["abc" * 10, "é"], n_specials=2)
    text = pickle.dumps(vocabulary)
    assert len(text) < 300
    again = pickle.loads(text)
    assert again.encode("éxa").tolist() == vocabulary.encode("éxa").tolist()
    assert len(again) == len(vocabulary)
