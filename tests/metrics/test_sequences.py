"""Metrics of symbol sequences, against brute force and figures worked by hand."""

import sys
from collections import Counter
from functools import cache
from itertools import product
from math import exp, log

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_rnn.metrics import bleu, chrf, sequence_accuracy, symbol_error_rate

METRICS = [symbol_error_rate, sequence_accuracy, bleu, chrf]
OF_SYMBOLS = [symbol_error_rate, sequence_accuracy, bleu]
WEIGHTED = [symbol_error_rate, sequence_accuracy]

TRUE = ["the old cat sat here", "a dog barked", "", "it rained all day long"]
PRED = ["the cat sat here", "a dog barked", "no", "it rained all night long"]


def distance_by_definition(true, pred):
    @cache
    def of_ends(i, j):
        if i == len(true) or j == len(pred):
            return len(true) - i + len(pred) - j
        replaced = of_ends(i + 1, j + 1) + (true[i] != pred[j])
        return min(replaced, 1 + of_ends(i + 1, j), 1 + of_ends(i, j + 1))

    return of_ends(0, 0)


def bleu_by_definition(y_true, y_pred, order=4):
    """Compute it of lists of symbols, each order with a match (no smoothing)."""
    shares = []
    for n in range(1, order + 1):
        n_right = n_all = 0
        for sequences in zip(y_true, y_pred, strict=True):
            true, pred = (
                Counter(tuple(s[i : i + n]) for i in range(len(s) - n + 1))
                for s in sequences
            )
            n_right += (true & pred).total()
            n_all += pred.total()
        shares.append(n_right / n_all)
    n_true, n_pred = (sum(map(len, y)) for y in (y_true, y_pred))
    penalty = min(1, exp(1 - n_true / n_pred))
    return penalty * exp(sum(map(log, shares)) / order)


# Edits.


def test_the_distance_is_the_fewest_edits_for_all_short_pairs():
    words = ["".join(w) for n in range(5) for w in product("ab", repeat=n)]
    for true, pred in product(words[1:], words):
        expected = distance_by_definition(true, pred) / len(true)
        assert symbol_error_rate([true], [pred]) == expected, (true, pred)


@pytest.mark.parametrize("lengths", [(40, 60), (70, 64), (63, 1), (65, 129), (64, 0)])
@pytest.mark.parametrize("n_letters", [2, 30])
def test_the_distance_of_long_sequences(lengths, n_letters):
    rng = np.random.default_rng(0)
    true, pred = (rng.integers(n_letters, size=n).tolist() for n in lengths)
    expected = distance_by_definition(tuple(true), tuple(pred)) / len(true)
    assert symbol_error_rate([true], [pred]) == expected


def test_edits_and_symbols_are_summed_over_sequences():
    # 3 edits of 6 symbols and 1 of 2, which is no mean of the two rates.
    y_true, y_pred = ["kitten", "ab", "moon"], ["sitting", "a", "moon"]
    assert symbol_error_rate(y_true, y_pred) == 4 / 12


def test_too_long_predictions_cost_more_than_everything():
    assert symbol_error_rate(["a"], ["xyz"]) == 3
    assert symbol_error_rate(["abc"], [""]) == 1


def test_a_rate_of_words_is_not_that_of_characters():
    words = [[text.split() for text in y] for y in (TRUE, PRED)]
    assert symbol_error_rate(*words) == 3 / 13
    assert symbol_error_rate(TRUE, PRED) == (4 + 2 + 5) / (20 + 12 + 22)


def test_symbols_may_be_anything_hashable():
    chords = [[(60, 64), (62,), None.__class__]]
    assert symbol_error_rate(chords, [[(60, 64), (60,), None.__class__]]) == 1 / 3
    assert symbol_error_rate([[1, 2, 3]], [(1.0, 2.0)]) == 1 / 3


def test_a_composed_letter_is_other_symbols_than_a_decomposed_one():
    assert symbol_error_rate(["\u00e9"], ["e\u0301"]) == 2


# Exact matches.


def test_accuracy_is_the_fraction_of_exact_matches():
    assert sequence_accuracy(TRUE, PRED) == 0.25
    assert sequence_accuracy(TRUE, TRUE) == 1
    assert sequence_accuracy(["", "a"], ["", ""]) == 0.5


# BLEU and chrF.


def test_bleu_of_symbols_follows_its_definition():
    rng = np.random.default_rng(0)
    y_true = [rng.integers(3, size=n).tolist() for n in rng.integers(8, 20, size=20)]
    y_pred = [[*row[:-2], 1] for row in y_true]
    for order in [1, 2, 4]:
        expected = bleu_by_definition(y_true, y_pred, order)
        assert bleu(y_true, y_pred, max_ngram_order=order) == pytest.approx(expected)
        assert 0.3 < expected < 0.95


def test_bleu_of_words_is_that_of_text_parted_at_spaces():
    words = [[text.split() for text in y] for y in (TRUE, PRED)]
    expected = bleu(TRUE, PRED, tokenize="none")
    assert bleu(*words) == pytest.approx(expected)
    assert 0.4 < expected < 0.8


def test_a_symbol_with_a_space_is_one_word():
    y_true = [["New York", "is", "a", "town"]]
    assert bleu(y_true, y_true) == 1
    assert bleu(
        y_true, [["New", "York", "is", "a", "town"]], max_ngram_order=1
    ) == pytest.approx(0.6)


def test_tokenize_decides_what_a_word_is():
    y_true, y_pred = ["It is a cat."], ["It is a cat ."]
    assert bleu(y_true, y_pred) == 1
    assert bleu(y_true, y_pred, tokenize="none") < 0.7
    assert bleu(["Katze"], ["Katzen"], tokenize="char") > 0.7


def test_bleu_without_any_match_is_zero():
    assert bleu(["a b c d e"], ["v w x y z"]) == 0
    assert bleu(["a b c d e"], [""]) == 0


def test_bleu_of_too_short_sequences_is_an_error():
    with pytest.raises(ValueError, match="has 2 words.*max_ngram_order=2"):
        bleu(["a b", "c d"], ["a b", "c d"])
    assert bleu(["a b", "c d"], ["a b", "c d"], max_ngram_order=2) == 1


def test_chrf_follows_its_definition():
    # Letters: 3 of 4 true, 3 of 3 found; pairs: 2 of 3 true, 2 of 2 found.
    precision, recall = (3 / 4 + 2 / 3) / 2, 1.0
    for beta in [1, 2]:
        expected = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
        score = chrf(["abc"], ["abcd"], char_order=2, beta=beta)
        assert score == pytest.approx(expected)


def test_chrf_leaves_out_spaces_and_counts_words_if_asked():
    y_true, y_pred = ["the old cats"], ["the oldcats"]
    assert chrf(y_true, y_pred) == 1
    assert chrf(y_true, y_pred, word_order=2) < 0.9
    assert chrf([text.split() for text in y_true], [["theoldcats"]]) == 1


def test_perfect_translations_score_one_at_most():
    for y in [["one two three four five", "Zürich, am See."], TRUE]:
        assert bleu(y, y) == pytest.approx(1)
        assert chrf(y, y) == pytest.approx(1)
        assert max(bleu(y, y), chrf(y, y)) <= 1


def test_sacrebleu_logs_nothing_of_text_that_is_parted(caplog):
    y = ["The cat sat on it ."] * 101
    assert bleu(y, y, tokenize="none") == pytest.approx(1)
    assert not caplog.records


@pytest.mark.parametrize(
    ("metric", "arguments", "error", "message"),
    [
        (bleu, {"tokenize": "words"}, ValueError, "tokenize='words' should be one of"),
        (bleu, {"max_ngram_order": 0}, ValueError, "max_ngram_order == 0"),
        (chrf, {"char_order": 0}, ValueError, "char_order == 0"),
        (chrf, {"word_order": -1}, ValueError, "word_order == -1"),
        (chrf, {"beta": 0}, ValueError, "beta == 0"),
        (chrf, {"beta": "2"}, TypeError, "beta must be an instance of int"),
    ],
)
def test_options_out_of_range_are_errors(metric, arguments, error, message):
    with pytest.raises(error, match=message):
        metric(TRUE, PRED, **arguments)


def test_chrf_of_symbols_that_are_no_strings_is_an_error():
    with pytest.raises(TypeError, match=r"y_true\[1\] has the symbol 3"):
        chrf([["a"], [3]], [["a"], ["b"]])


@pytest.mark.parametrize("metric", [bleu, chrf])
def test_without_sacrebleu_the_error_names_the_extra(metric, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[text\]"'):
        metric(TRUE, PRED)


@pytest.mark.parametrize("metric", WEIGHTED)
def test_the_others_need_no_sacrebleu(metric, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    assert 0 < metric(TRUE, PRED) < 1


# What all of them share.


@pytest.mark.parametrize("metric", WEIGHTED)
def test_a_weight_of_two_counts_as_twice_the_sequence(metric):
    rows, weights = [0, 0, 2, 3], [2, 0, 1, 1]
    repeated = [[y[i] for i in rows] for y in (TRUE, PRED)]
    weighted = metric(TRUE, PRED, sample_weight=weights)
    assert weighted == pytest.approx(metric(*repeated))
    assert weighted != pytest.approx(metric(TRUE, PRED))


@pytest.mark.parametrize("metric", WEIGHTED)
@pytest.mark.parametrize("weights", [[1, 2], [1, 1, 1, -1], [0, 0, 0, 0]])
def test_weights_that_mean_nothing_are_errors(metric, weights):
    with pytest.raises(ValueError, match="[Ss]ample.weight"):
        metric(TRUE, PRED, sample_weight=weights)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "give", [tuple, np.array, pd.Series, lambda y: np.array(y, dtype=object)]
)
def test_lists_of_strings_come_in_every_form(metric, give):
    expected = metric(TRUE, PRED)
    assert isinstance(expected, float)
    assert metric(give(TRUE), PRED) == metric(TRUE, give(PRED)) == expected
    index = pd.Series(PRED, index=range(4, 0, -1))  # order counts, not the index
    assert metric(TRUE, index) == expected


@pytest.mark.parametrize("metric", OF_SYMBOLS)
@pytest.mark.parametrize("give", [tuple, np.array, pd.Series])
def test_sequences_of_symbols_come_in_every_form(metric, give):
    y_true, y_pred = [[1, 2, 3, 4, 5], [7, 6]], [[1, 2, 3, 4], [7, 6]]
    expected = metric(y_true, y_pred)
    assert 0 < expected < 1
    as_objects = np.empty(2, dtype=object)
    as_objects[:] = [give(row) for row in y_pred]
    assert metric([give(row) for row in y_true], y_pred) == expected
    assert metric(y_true, as_objects) == metric(y_true, pd.Series(as_objects))
    assert metric(y_true, as_objects) == expected


@pytest.mark.parametrize("metric", OF_SYMBOLS)
def test_rows_of_an_array_are_sequences(metric):
    y_true = np.arange(12).reshape(2, 6)
    y_pred = y_true.copy()
    y_pred[0, 5] = 99
    assert metric(y_true, y_pred) == metric(y_true.tolist(), y_pred.tolist())
    assert 0 < metric(y_true, y_pred) < 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("y_true", "y_pred", "error", "message"),
    [
        (["a", "b"], ["a"], ValueError, "y_true has 2 sequences and y_pred 1"),
        ([], [], ValueError, "y_true is empty"),
        ("abc", "abc", TypeError, r"y_true is the string 'abc'.*\['abc'\]"),
        (["abc"], "abc", TypeError, "y_pred is the string 'abc'"),
        ({"a": "b"}, ["a"], TypeError, "y_true is of type dict"),
        ({"a", "b"}, ["a", "b"], TypeError, "y_true is of type set"),
        (b"ab", ["a"], TypeError, "y_true is of type bytes"),
        (3, ["a"], TypeError, "y_true is of type int"),
        (pd.DataFrame({"t": ["a"]}), ["a"], TypeError, "y_true is of type DataFrame"),
        (["a", None], ["a", "b"], ValueError, r"y_true\[1\] is None"),
        (["a"], [float("nan")], ValueError, r"y_pred\[0\] is nan"),
        (pd.Series(["a", None]), ["a", "b"], ValueError, r"y_true\[1\] is (nan|None)"),
        ([["a"]], [["a", pd.NA]], ValueError, r"y_pred\[0\]\[1\] is <NA>"),
        ([["a"], ["b", None]], [["a"]] * 2, ValueError, r"y_true\[1\]\[1\] is None"),
        ([np.array([1.0, np.nan])], [[1.0]], ValueError, r"y_true\[0\]\[1\] is nan"),
        (["a"], [3], TypeError, r"y_pred\[0\] is 3, of type int"),
        ([np.eye(2)], [["a"]], TypeError, r"y_true\[0\] is array(.|\n)* 1-D array"),
        (["a b"], [["a", "b"]], ValueError, r"y_pred\[0\] is a list.*text.split\(\)"),
        ([["a"]], ["a"], ValueError, r"y_pred\[0\] is a string, but y_true\[0\] is"),
        ([["a"], "b"], [["a"]] * 2, ValueError, r"y_true\[1\] is a string"),
        ([["a", "b"]], ["a"], ValueError, "Several true sequences"),
        ([[["a"], ["b"]]], [["a"]], TypeError, "list, which is not hashable.*several"),
        ([["a", "b"]], [[1, 2]], ValueError, "such as 'a' and y_pred such as 1"),
        ([[1, 2]], [["1", "2"]], ValueError, "such as 1 and y_pred such as '1'"),
    ],
)
def test_what_cannot_be_compared_is_an_error(metric, y_true, y_pred, error, message):
    with pytest.raises(error, match=message):
        metric(y_true, y_pred)


def test_without_a_true_symbol_there_is_no_rate():
    with pytest.raises(ValueError, match="y_true has no symbol"):
        symbol_error_rate(["", ""], ["a", ""])
    with pytest.raises(ValueError, match="no symbol in any sequence that counts"):
        symbol_error_rate(["", "b"], ["a", ""], sample_weight=[1, 0])


# As scorers.


class Echo(BaseEstimator):
    """Predicts its input without the last symbols."""

    def __init__(self, n_dropped=1):
        self.n_dropped = n_dropped

    def fit(self, X, y):
        assert all(len(a) == len(b) for a, b in zip(X, y, strict=True))
        self.is_fitted_ = True
        return self

    def predict(self, X):
        predictions = np.empty(len(X), dtype=object)
        predictions[:] = [x[: len(x) - self.n_dropped] for x in X]
        return predictions


WORDS = ["seven", "long and short", "words", "of unequal length", "to", "say back"]
TARGETS = {
    "list of strings": WORDS,
    "list of lists": [word.split() for word in WORDS],
    "object array": np.array(WORDS, dtype=object),
    "Series": pd.Series(WORDS),
}


@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_an_error_rate_scores_folds_and_chooses_models(y):
    scorer = make_scorer(symbol_error_rate, greater_is_better=False)
    scores = cross_val_score(Echo(), y, y, scoring=scorer, cv=3, error_score="raise")
    lengths = np.array([len(word) for word in y]).reshape(3, 2)
    np.testing.assert_allclose(scores, -2 / lengths.sum(axis=1))
    search = GridSearchCV(
        Echo(), {"n_dropped": [1, 0, 2]}, scoring=scorer, cv=3, error_score="raise"
    )
    assert search.fit(y, y).best_params_ == {"n_dropped": 0}
    assert search.best_score_ == 0


@pytest.mark.parametrize("metric", [sequence_accuracy, chrf])
def test_the_others_choose_models_too(metric):
    search = GridSearchCV(
        Echo(),
        {"n_dropped": [1, 0, 2]},
        scoring=make_scorer(metric),
        cv=3,
        error_score="raise",
    )
    assert search.fit(WORDS, WORDS).best_params_ == {"n_dropped": 0}
    assert search.best_score_ == 1


def test_bleu_of_characters_chooses_models_too():
    scorer = make_scorer(bleu, tokenize="char")
    search = GridSearchCV(Echo(), {"n_dropped": [1, 0]}, scoring=scorer, cv=3)
    assert search.fit(WORDS, WORDS).best_params_ == {"n_dropped": 0}
