"""Texts become sequences of ids, and ids texts."""

import builtins
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from sklearn_rnn import (
    InvalidSequenceError,
    RNNClassifier,
    SequenceArray,
    SequenceTokenizer,
)
from sklearn_rnn.preprocessing import _subwords

TEXTS = ["The cat sat.", "The cat didn't sit, it ran!"]
FAMILY = "👨‍👩‍👧"
STRANGE = [
    f"a {FAMILY} family",
    "שלום עולם, مرحبا",
    "हिन्दी में",
    "null\x00byte",
    "tabs\tand\r\nlines\n",
    "  blanks  ",
    "e\u0301 is not é",
    "",
]


def words(X, **options):
    """Return the tokens of each text."""
    tokenizer = SequenceTokenizer(**options)
    sequences = tokenizer.fit_transform(X)
    return [[tokenizer.tokens_[i] for i in ids.ravel()] for ids in sequences]


def ids_of(sequences):
    return [ids.ravel().tolist() for ids in sequences]


# What a token is.


def test_words_keep_their_apostrophes_and_marks_are_tokens():
    assert words(TEXTS)[1] == [*["the", "cat", "didn't", "sit", ",", "it", "ran", "!"]]
    assert words(["rock’n’roll 'quoted' semi-final x_1 3.14"])[0] == [
        *["rock’n’roll", "'", "quoted", "'", "semi", "-", "final", "x_1"],
        *["3", ".", "14"],
    ]


def test_the_pattern_says_what_a_word_is():
    assert words(["A b-c d!"], token_pattern=r"\w\w+|\w")[0] == ["a", "b", "c", "d"]
    assert words(["A b-c  d!"], token_pattern=None)[0] == ["a", "b-c", "d!"]
    assert words(["<b>bold</b>"], token_pattern=r"<(/?\w+)>")[0] == ["b", "/b"]
    assert words(["ab c"], token_pattern=r"\w*")[0] == ["ab", "c"]


def test_characters_are_code_points():
    assert words(["Ab a"], level="char")[0] == ["a", "b", " ", "a"]
    assert len(words([FAMILY], level="char")[0]) == 5


def test_case_is_kept_if_asked_to():
    assert words(["The the"])[0] == ["the", "the"]
    assert words(["The the"], lowercase=False)[0] == ["The", "the"]
    assert words(["Aa"], level="char", lowercase=False)[0] == ["A", "a"]


def test_the_case_of_listed_tokens_counts_unless_asked_otherwise():
    for lowercase in ("auto", False):
        assert words([["The", "the"]], lowercase=lowercase)[0] == ["The", "the"]
    mixed = [["The", 7, None, "the"]]
    assert words(mixed, lowercase=True)[0] == ["the", 7, None, "the"]
    tokenizer = SequenceTokenizer(lowercase=True).fit(mixed)
    assert ids_of(tokenizer.transform([["THE", 7]])) == [[2, 3]]


def test_a_tokenizer_of_version_0_6_takes_lists_as_they_were():
    tokenizer = SequenceTokenizer(lowercase=False).fit([["The", "the"]])
    state = tokenizer.__getstate__() | {"lowercase": True}
    del state["_lowers"]
    old = SequenceTokenizer.__new__(SequenceTokenizer)
    old.__setstate__(state)
    assert ids_of(old.transform([["The", "the"]])) == [[2, 3]]


def test_lists_of_tokens_are_taken_as_they_are():
    X = [["The", "cat!"], ["The"], [(60, 64), None]]
    tokenizer = SequenceTokenizer(min_count=1)
    assert ids_of(tokenizer.fit_transform(X)) == [[2, 3], [2], [4, 5]]
    back = tokenizer.inverse_transform(tokenizer.transform(X))
    assert back.tolist() == X
    notes = np.array([[60, 62], [62, 62]])
    assert ids_of(SequenceTokenizer().fit_transform(notes)) == [[3, 2], [2, 2]]


def test_tokens_with_the_names_of_special_ids_have_those_ids():
    X = [["a", "<unk>", "b", "<pad>"], ["<pad>", "a"]]
    tokenizer = SequenceTokenizer()
    assert ids_of(tokenizer.fit_transform(X)) == [[2, 1, 3, 0], [0, 2]]
    assert tokenizer.tokens_.tolist() == ["<pad>", "<unk>", "a", "b"]
    assert len(tokenizer.vocabulary_) == tokenizer.n_tokens_


# The vocabulary.


def test_ids_go_by_frequency_after_padding_and_unknown():
    tokenizer = SequenceTokenizer().fit(["b a b", "c b a"])
    assert tokenizer.vocabulary_ == {"<pad>": 0, "<unk>": 1, "b": 2, "a": 3, "c": 4}
    assert tokenizer.tokens_.tolist() == list(tokenizer.vocabulary_)
    assert tokenizer.n_tokens_ == 5


@pytest.mark.parametrize(
    "options, kept",
    [
        ({}, ["b", "a", "c"]),
        ({"max_tokens": 2}, ["b", "a"]),
        ({"min_count": 2}, ["b", "a"]),
        ({"min_count": 3}, ["b"]),
        ({"min_count": 2, "max_tokens": 1}, ["b"]),
    ],
)
@pytest.mark.parametrize("level", ["word", "char"])
def test_rare_tokens_are_left_out(level, options, kept):
    texts = ["b a b", "c b a"]
    if level == "char":
        texts = [text.replace(" ", "") for text in texts]
    tokenizer = SequenceTokenizer(level, **options).fit(texts)
    assert tokenizer.tokens_.tolist() == ["<pad>", "<unk>", *kept]


def test_what_fit_did_not_see_is_unknown():
    tokenizer = SequenceTokenizer().fit(["the cat"])
    X = tokenizer.transform(["the dog"])
    assert ids_of(X) == [[2, 1]]
    assert tokenizer.inverse_transform(X).tolist() == ["the <unk>"]
    characters = SequenceTokenizer("char").fit(["the cat"])
    back = characters.inverse_transform(characters.transform(["the dog"]))
    assert back.tolist() == ["the \ufffd\ufffd\ufffd"]


def test_long_texts_keep_their_beginning_and_the_rest_is_never_counted():
    tokenizer = SequenceTokenizer(max_length=2)
    assert ids_of(tokenizer.fit_transform(["a b c c c", "b"])) == [[3, 2], [2]]
    assert "c" not in tokenizer.vocabulary_
    tokenizer = SequenceTokenizer("char", max_length=3).fit(["abc"])
    assert tokenizer.transform(["abcabc"]).shape == (1, 3, 1)


def test_a_text_without_tokens_is_a_step_of_padding():
    tokenizer = SequenceTokenizer()
    X = tokenizer.fit_transform(["a", "", " \n"])
    assert ids_of(X) == [[2], [0], [0]]
    assert tokenizer.inverse_transform(X).tolist() == ["a", "", ""]
    assert ids_of(SequenceTokenizer().fit_transform([["a"], []])) == [[2], [0]]


def test_ids_have_the_smallest_type_that_holds_them():
    many = [f"w{i}" for i in range(300)]
    assert SequenceTokenizer().fit_transform([many]).dtype == np.int16
    assert SequenceTokenizer(max_tokens=254).fit_transform([many]).dtype == np.uint8


def test_the_tokens_travel_with_the_sequences():
    tokenizer = SequenceTokenizer()
    X = tokenizer.fit_transform(TEXTS)
    assert isinstance(X, SequenceArray)
    assert X.tokens is tokenizer.tokens_
    assert tokenizer.transform(TEXTS)[[1]].tokens is tokenizer.tokens_
    assert X.feature_names is None


# Back to text.


@pytest.mark.parametrize("text", [*STRANGE, "lone \ud800 surrogate"])
def test_characters_round_trip(text):
    tokenizer = SequenceTokenizer("char", lowercase=False).fit(["x", text])
    back = tokenizer.inverse_transform(tokenizer.transform([text]))
    assert back.tolist() == [text]
    assert back.dtype == object


def test_words_come_back_joined_by_blanks():
    tokenizer = SequenceTokenizer()
    back = tokenizer.inverse_transform(tokenizer.fit_transform(TEXTS))
    assert back.tolist() == ["the cat sat .", "the cat didn't sit , it ran !"]


def test_ids_come_back_from_any_form_of_them():
    tokenizer = SequenceTokenizer("char").fit(["abc"])
    expected = ["ab", "a"]
    for X in ([[2, 3], [2, 0]], np.array([[2, 3], [2, 0]]), [np.array([2, 3]), [2]]):
        assert tokenizer.inverse_transform(X).tolist() == expected


@pytest.mark.parametrize(
    "X, message",
    [
        ([[2, 5]], r"X\[0\] holds 5 at step 1, but the ids .* from 0 to 4"),
        ([[2], [-1]], r"X\[1\] holds -1 at step 0"),
        ([[2.5]], r"X\[0\] holds 2.5"),
        ([2, 3], "Expected 2D array"),
        (np.zeros((1, 2, 2)), "X has 2 features per step, but ids are one"),
    ],
)
def test_what_are_no_ids_is_refused(X, message):
    with pytest.raises(InvalidSequenceError, match=message):
        SequenceTokenizer("char").fit(["abc"]).inverse_transform(X)


# Subwords.


@pytest.fixture
def subwords():
    pytest.importorskip("tokenizers")
    return SequenceTokenizer("subword", lowercase=False)


def test_subwords_round_trip_whatever_was_learned(subwords):
    subwords.fit(["the cat sat on the mat"] * 3)
    back = subwords.inverse_transform(subwords.transform(STRANGE))
    assert back.tolist() == STRANGE


def test_frequent_words_become_one_subword_and_new_ones_several(subwords):
    subwords.fit(["the cat sat on the mat"] * 9)
    X = subwords.transform(["the cat", "the rat"])
    assert X.lengths[0] == 2
    assert [subwords.tokens_[i] for i in X[0].ravel()] == ["the", " cat"]
    assert X.lengths[1] > 2
    assert X.values.min() >= 2


def test_subwords_are_named_so_that_they_can_be_read(subwords):
    subwords.fit(["é ü"])
    assert len(set(subwords.tokens_)) == subwords.n_tokens_
    assert {"<0xc3>", "<0xa9>", "a", " "} <= set(subwords.tokens_)
    subwords.fit(["naïve naïve"] * 3)
    assert "naïve" in subwords.vocabulary_


def test_max_tokens_is_the_number_of_subwords(subwords):
    texts = [" ".join(f"word{i}" for i in range(200))] * 3
    few = clone(subwords).set_params(max_tokens=300).fit(texts)
    assert few.n_tokens_ == 302
    assert subwords.fit(texts).n_tokens_ > 400
    assert few.transform(texts).lengths[0] > subwords.transform(texts).lengths[0]
    # What takes up fewer bytes is enough for an int16.
    assert few.transform(texts).dtype == np.int16
    with pytest.raises(ValueError, match="max_tokens=255 is too few"):
        subwords.set_params(max_tokens=255).fit(texts)


def test_min_count_keeps_rare_pairs_apart(subwords):
    texts = ["common common common common rare rare"]
    subwords.set_params(min_count=3).fit(texts)
    assert "common" in subwords.vocabulary_
    assert " rare" not in subwords.vocabulary_
    assert " rare" in subwords.set_params(min_count=1).fit(texts).vocabulary_


def test_a_cut_through_a_character_comes_back_with_a_sign_for_it(subwords):
    subwords.set_params(max_length=2).fit(["abc"])
    X = subwords.transform(["a€"])
    assert X.lengths.tolist() == [2]
    assert subwords.inverse_transform(X).tolist() == ["a\ufffd"]
    assert subwords.inverse_transform([[1, 0]]).tolist() == ["\ufffd"]


def test_subwords_refuse_what_has_no_bytes_and_lists(subwords):
    with pytest.raises(
        InvalidSequenceError, match=r"X\[1\] holds '\\ud800' at position 1"
    ):
        subwords.fit(["a", "b\ud800"])
    with pytest.raises(InvalidSequenceError, match="splits strings.* level='word'"):
        subwords.fit([["a"]])


LEARNED_FROM = ["the cat sat on a mat, naïve"] * 50
LEARN = f"""
import os
from sklearn_rnn import SequenceTokenizer
tokenizer = SequenceTokenizer("subword").fit({LEARNED_FROM})
print(ascii(tokenizer.tokens_.tolist()), "TOKENIZERS_PARALLELISM" in os.environ)
if hasattr(os, "fork"):
    child = os.fork()
    tokenizer.transform(["the cat"])
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.slow
def test_subwords_are_the_same_in_every_process_and_nobody_warns_of_forks(subwords):
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    environment.pop("TOKENIZERS_PARALLELISM", None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", LEARN],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    here = subwords.fit(LEARNED_FROM).tokens_.tolist()
    assert done.stdout.strip() == f"{here!a} False"


def test_learning_subwords_leaves_the_environment_as_it_was(subwords, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "maybe")
    subwords.fit(["abc"])
    assert os.environ["TOKENIZERS_PARALLELISM"] == "maybe"


def test_a_pickle_of_subwords_holds_plain_values(subwords):
    subwords.fit(["the cat sat on the mat"] * 3)
    text = pickle.dumps(subwords)
    assert b"tokenizers" not in text
    again = pickle.loads(text)
    assert ids_of(again.transform(STRANGE)) == ids_of(subwords.transform(STRANGE))
    assert again.inverse_transform([[5, 6]]) == subwords.inverse_transform([[5, 6]])


def test_without_tokenizers_the_way_to_it_is_named(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.split(".")[0] == "tokenizers":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=re.escape('pip install -e ".[text]"')):
        _subwords.import_tokenizers()
    SequenceTokenizer().fit(["words need no such thing"])


# What is refused.


@pytest.mark.parametrize(
    "X, error, message",
    [
        ("one text", TypeError, "a single string, but SequenceTokenizer"),
        (b"bytes", TypeError, "is bytes"),
        (pd.DataFrame({"text": ["a"]}), TypeError, r"such as X\['text'\]"),
        ({"text": "a"}, TypeError, "of type dict"),
        (None, TypeError, "of type NoneType"),
        ([1, 2], InvalidSequenceError, r"X\[0\] is of type int"),
        (["a", ["b"]], InvalidSequenceError, r"X\[1\] is of type list"),
        ([["a"], "b"], InvalidSequenceError, r"X\[1\] is a string"),
        ([], InvalidSequenceError, "X is empty"),
        (["a", None], InvalidSequenceError, r"X\[1\] is None, a missing value"),
        (pd.Series(["a", np.nan]), InvalidSequenceError, r"X\[1\] is nan, a missing"),
        (["", " "], InvalidSequenceError, "no token that occurs min_count=1 times"),
        ([[], []], InvalidSequenceError, "no token"),
        (np.array([["a b"], ["c"]]), InvalidSequenceError, r"pass X\[:, 0\]"),
        ([["a", ["b"]]], TypeError, "cannot be hashed"),
    ],
)
def test_what_are_no_texts_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        SequenceTokenizer().fit(X)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"token_pattern": "("}, r"token_pattern='\(' is not a regular expression"),
        ({"token_pattern": "(a)|(b)"}, r"has 2 groups, .* as \(\?:\.\.\.\)"),
        ({"level": "sentence"}, "'level' parameter"),
        ({"max_tokens": 0}, "'max_tokens' parameter"),
        ({"min_count": 0}, "'min_count' parameter"),
        ({"max_length": 0}, "'max_length' parameter"),
        ({"lowercase": "yes"}, "'lowercase' parameter"),
        ({"min_count": 3}, "no token that occurs min_count=3 times"),
    ],
)
def test_impossible_parameters_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SequenceTokenizer(**options).fit(["a b a"])


def test_transform_takes_the_kind_of_texts_that_fit_took():
    with pytest.raises(
        InvalidSequenceError, match="X holds lists .* fitted on strings"
    ):
        SequenceTokenizer().fit(["a b"]).transform([["a", "b"]])
    with pytest.raises(InvalidSequenceError, match="X holds strings, .* on lists of"):
        SequenceTokenizer().fit([["a", "b"]]).transform(["a b"])


def test_before_fit_nothing_works():
    for method in ("transform", "inverse_transform", "get_feature_names_out"):
        with pytest.raises(NotFittedError):
            getattr(SequenceTokenizer(), method)([["a"]])


def test_a_fit_that_fails_leaves_the_last_one():
    tokenizer = SequenceTokenizer().fit(["a b"])
    with pytest.raises(InvalidSequenceError):
        tokenizer.fit([[], []])
    assert ids_of(tokenizer.transform(["b"])) == [[3]]


def test_a_very_long_line_is_one_long_sequence():
    line = "word, " * 17_000
    assert SequenceTokenizer().fit_transform([line]).shape == (1, 34_000, 1)
    assert SequenceTokenizer("char").fit_transform([line]).shape == (1, 102_000, 1)


# Inside scikit-learn.


def test_what_scikit_learn_can_check_passes():
    with pytest.warns(UserWarning, match="Can't test estimator SequenceTokenizer"):
        results = check_estimator(SequenceTokenizer(), on_fail="raise")
    assert all(result["status"] == "passed" for result in results)
    tags = get_tags(SequenceTokenizer()).input_tags
    assert tags.string
    assert not tags.two_d_array


def test_clone_forgets_the_vocabulary_and_keeps_the_options():
    tokenizer = clone(SequenceTokenizer("char", max_length=3).fit(["abc"]))
    assert tokenizer.get_params()["max_length"] == 3
    assert not hasattr(tokenizer, "vocabulary_")


def test_it_pickles():
    tokenizer = SequenceTokenizer().fit(TEXTS)
    again = pickle.loads(pickle.dumps(tokenizer))
    assert ids_of(again.transform(TEXTS)) == ids_of(tokenizer.transform(TEXTS))
    assert again.vocabulary_ == tokenizer.vocabulary_


def test_fit_transform_is_fit_then_transform():
    one, other = SequenceTokenizer(min_count=2), SequenceTokenizer(min_count=2)
    assert ids_of(one.fit_transform(TEXTS)) == ids_of(other.fit(TEXTS).transform(TEXTS))


def test_output_stays_sequences_whatever_a_pipeline_is_told():
    tokenizer = SequenceTokenizer().set_output(transform="pandas")
    assert isinstance(tokenizer.fit_transform(TEXTS), SequenceArray)
    assert tokenizer.get_feature_names_out().tolist() == ["token"]
    assert tokenizer.get_feature_names_out().dtype == object


FILMS = pd.Series(["a good film", "a bad film", "so good", "so bad"] * 10)
OPINIONS = ["+", "-"] * 20


def classifier(**options):
    small = {"embedding_dim": 4, "hidden_size": 4, "max_epochs": 2, "random_state": 0}
    return RNNClassifier(**{**small, **options})


def test_texts_are_classified_in_a_pipeline():
    model = make_pipeline(
        SequenceTokenizer(), classifier(max_epochs=20, learning_rate=0.03)
    )
    model.fit(FILMS, OPINIONS)
    assert model.score(FILMS, OPINIONS) == 1.0
    assert model.predict(["bad", "good", "", "never seen"])[:2].tolist() == ["-", "+"]


class Recorder(SequenceTokenizer):
    seen = []

    def transform(self, X):
        Recorder.seen.append((self.tokens_.tolist(), list(X)))
        return super().transform(X)


def test_a_search_learns_the_vocabulary_from_training_folds_alone():
    texts = FILMS + [f" only{i}" for i in range(len(FILMS))]
    Recorder.seen = []
    model = make_pipeline(Recorder(), classifier(max_epochs=1))
    grid = {"recorder__min_count": [1, 10]}
    search = GridSearchCV(model, grid, cv=2, refit=False, error_score="raise")
    search.fit(texts, OPINIONS)
    assert len(Recorder.seen) == 4
    for tokens, test_texts in Recorder.seen:
        for text in test_texts:
            assert text.split()[-1] not in tokens
    # Words that come once are each fold's own; the others come ten times.
    assert {len(tokens) for tokens, _ in Recorder.seen} == {2 + 5 + 20, 2 + 5}


def test_words_of_a_given_vocabulary_have_ids_without_being_seen():
    vectors = {"dog": [1.0], "cat": [2.0], "bird": [3.0]}
    tokenizer = SequenceTokenizer(vocabulary=vectors).fit(["a cat"])
    assert list(tokenizer.tokens_) == ["<pad>", "<unk>", "a", "cat", "dog", "bird"]
    assert tokenizer.transform(["bird fish"])[0].ravel().tolist() == [5, 1]


def test_a_vocabulary_that_means_nothing_is_refused():
    with pytest.raises(ValueError, match="single string"):
        SequenceTokenizer(vocabulary="cat").fit(["a cat"])
    with pytest.raises(ValueError, match="subword"):
        SequenceTokenizer("subword", vocabulary=["cat"]).fit(["a cat"])
