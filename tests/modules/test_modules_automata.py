import re
from collections import Counter
from itertools import product

import numpy as np
import pytest

from sklearn_rnn.modules import Automaton, fit_ngram, word_list_automaton


def random_rows(seed, n_rows=30, n_symbols=4, longest=8):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(n_symbols, 0.4))
    lengths = rng.integers(0, longest + 1, n_rows)
    return [rng.choice(n_symbols, n, p=weights).tolist() for n in lengths]


class NaiveNgram:
    """Witten-Bell as the formula reads, with dictionaries."""

    def __init__(self, rows, n_symbols, order):
        self.n_symbols, self.order = n_symbols, order
        self.counts = {}
        for row in rows:
            events = ["begin", *row, "end"]
            for i in range(1, len(events)):
                for n in range(min(order, i + 1)):
                    context = tuple(events[i - n : i])
                    self.counts.setdefault(context, Counter())[events[i]] += 1

    def probability(self, event, context):
        shorter = 1 / (self.n_symbols + 1)
        if context:
            shorter = self.probability(event, context[1:])
        seen = self.counts.get(context)
        if seen is None:
            return shorter
        n, k = sum(seen.values()), len(seen)
        return (seen[event] + k * shorter) / (n + k)

    def follow(self, symbols):
        history = ("begin", *symbols)
        scores, ends = [], []
        for i in range(len(history)):
            context = history[max(0, i + 2 - self.order) : i + 1]
            context = () if self.order == 1 else context
            ends.append(np.log(self.probability("end", context)))
            if i + 1 < len(history):
                scores.append(np.log(self.probability(history[i + 1], context)))
        return scores, ends


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_ngrams_are_those_of_a_naive_implementation(order):
    rng = np.random.default_rng(0)
    for seed in range(4):
        rows = random_rows(seed)
        automaton = fit_ngram(rows, 5, order)  # symbol 4 is never seen
        naive = NaiveNgram(rows, 5, order)
        for row in [*rows, *rng.integers(0, 5, (40, 9)).tolist()]:
            scores, ends = naive.follow(row)
            found = automaton.follow(row)
            np.testing.assert_allclose(found[0], scores, rtol=1e-12)
            np.testing.assert_allclose(found[1], ends, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("rows", [[], [[]], [[0]], [[], [2, 2, 2]], random_rows(7)])
def test_probabilities_and_the_end_sum_to_one_in_every_state(rows, order):
    automaton = fit_ngram(rows, 4, order)
    total = np.exp(automaton.scores).sum(1) + np.exp(automaton.ends)
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    assert automaton.scores.dtype == automaton.ends.dtype == np.float64
    assert automaton.next_states.min() >= 0
    assert automaton.next_states.max() < len(automaton.ends)


def test_a_bigram_worked_by_hand():
    """Rows 01 and 0, symbols 0 and 1.

    Without context: 0 twice, 1 once, the end twice, so n = 5, k = 3, and with
    1/3 from the uniform, 3/8, 2/8 and 3/8. At the beginning 0 twice: n = 2,
    k = 1. After 0 one 1 and one end: n = 2, k = 2. After 1 one end: n = k = 1.
    """
    automaton = fit_ngram([[0, 1], [0]], 2, 2)
    scores, ends = automaton.follow([0, 1])
    np.testing.assert_allclose(np.exp(scores), [(2 + 3 / 8) / 3, (1 + 2 * 2 / 8) / 4])
    expected = [(3 / 8) / 3, (1 + 2 * 3 / 8) / 4, (1 + 3 / 8) / 2]
    np.testing.assert_allclose(np.exp(ends), expected)


def test_an_order_of_one_is_the_unigram():
    automaton = fit_ngram([[0, 1], [0]], 2, 1)
    np.testing.assert_allclose(np.exp(automaton.scores), [[3 / 8, 2 / 8]])
    np.testing.assert_allclose(np.exp(automaton.ends), [3 / 8])
    assert (automaton.next_states == 0).all()


def test_without_rows_all_is_equally_likely():
    for order in (1, 3):
        automaton = fit_ngram([], 3, order)
        np.testing.assert_allclose(np.exp(automaton.scores), [[0.25] * 3])


def test_a_first_symbol_is_told_from_a_later_one():
    automaton = fit_ngram([[0, 1, 1]] * 50, 2, 2)
    scores, _ = automaton.follow([0, 0])
    assert scores[0] > np.log(0.98)
    assert scores[1] < np.log(0.02)


def test_a_state_is_the_longest_context_seen():
    automaton = fit_ngram([[0, 1, 2], [1, 1]], 3, 3)
    # Contexts: none; ^ 0 1 2; ^0 01 12 ^1 11.
    assert len(automaton.ends) == 1 + 4 + 5
    after_2 = automaton.next_states[0, 2]  # ^2 was not seen, 2 was
    assert after_2 == automaton.next_states[after_2, 2]


def test_rows_may_be_arrays():
    rows = random_rows(3)
    arrays = [np.array(row, dtype=np.int32) for row in rows]
    for one, two in zip(fit_ngram(rows, 4, 3), fit_ngram(arrays, 4, 3), strict=True):
        np.testing.assert_array_equal(one, two)


def test_tables_that_fill_the_memory_are_refused():
    with pytest.raises(ValueError, match="order 2 has 3 contexts.*smaller order"):
        fit_ngram([[0]], 20_000_000, 2)
    with pytest.raises(ValueError, match="list of 1 words.*fewer words"):
        word_list_automaton([[0]], 60_000_000)


def accepted(automaton, symbols):
    scores, ends = automaton.follow(symbols)
    return bool(scores.sum() + ends[-1] == 0.0)


@pytest.mark.thorough
@pytest.mark.parametrize("separator", [None, 2])
@pytest.mark.parametrize(
    "words",
    [
        ["0"],
        ["0", "01", "10"],
        ["01", "010", "1"],
        ["00", "000"],
        ["0", "0", "011", "1101"],
        ["0110", "1", "1001"],
    ],
)
def test_word_lists_accept_what_falls_into_their_words(words, separator):
    ids = [[int(letter) for letter in word] for word in words]
    automaton = word_list_automaton(ids, 3, separator)
    word = f"({'|'.join(words)})"
    pattern = f"{word}*" if separator is None else f"({word}(2{word})*)?"
    n_accepted = 0
    for n in range(9):
        for symbols in product(range(3), repeat=n):
            expected = bool(re.fullmatch(pattern, "".join(map(str, symbols))))
            assert accepted(automaton, symbols) == expected, symbols
            n_accepted += expected
    assert n_accepted > 1


def test_ambiguous_words_are_all_followed():
    # 001 1 would stop at the second 1, 00 11 continues.
    automaton = word_list_automaton([[0, 0], [0, 0, 1], [1, 1]], 2)
    assert accepted(automaton, [0, 0, 1, 1])
    assert accepted(automaton, [0, 0, 1])
    assert not accepted(automaton, [0, 0, 1, 0])


def test_scores_of_word_lists_are_zero_or_forbidding():
    automaton = word_list_automaton([[0, 1], [1]], 3, 2)
    assert isinstance(automaton, Automaton)
    for table in (automaton.scores, automaton.ends):
        assert table.dtype == np.float64
        assert set(table.ravel()) == {0.0, -np.inf}
    # A separator needs a word before it, and one behind.
    assert automaton.scores[0, 2] == -np.inf
    assert not accepted(automaton, [1, 2])


@pytest.mark.parametrize("separator", [None, 1])
def test_a_list_without_words_accepts_nothing_but_nothing(separator):
    automaton = word_list_automaton([], 2, separator)
    assert automaton.ends.tolist() == [0.0]
    assert (automaton.scores == -np.inf).all()


def test_words_are_checked():
    with pytest.raises(ValueError, match=r"words\[1\] is empty"):
        word_list_automaton([[0], []], 2)
    with pytest.raises(ValueError, match=r"words\[2\], \[0, 1\], contains .* 1"):
        word_list_automaton([[0], [0, 0], np.array([0, 1])], 2, separator=1)
