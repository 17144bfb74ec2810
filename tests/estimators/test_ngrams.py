"""n-gram models in sorted arrays: equal to counting by hand, and distributions."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from sklearn_rnn import SequenceArray
from sklearn_rnn.estimators.closed_form import NGrams

N_SYMBOLS = 6
BEGIN, END = 0, 1
NEVER = [BEGIN]


def draw_rows(seed=0, n_rows=12, longest=30):
    """Return ids between begin and end: what follows depends on the symbol before."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in rng.integers(1, longest, size=n_rows):
        row = [BEGIN, 2]
        for _ in range(n):
            row.append(2 + (row[-1] - 2 + rng.choice(3, p=[0.1, 0.3, 0.6])) % 4)
        rows.append([*row, END])
    return rows


def as_sequences(rows):
    lengths = np.array([len(row) for row in rows])
    values = np.concatenate(rows).astype(np.uint8)[:, np.newaxis]
    return SequenceArray(values, np.cumsum(lengths) - lengths, lengths)


def fit(rows, order, **options):
    return NGrams.fit(as_sequences(rows), N_SYMBOLS, order, NEVER, **options)


def discounts_by_hand(counts):
    n = [sum(c == times for c in counts) for times in range(5)]
    if 0 in n[1:]:
        return [0.5, 0.75, 0.9]
    y = n[1] / (n[1] + 2 * n[2])
    found = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
    return [min(max(d, 0.05), most) for d, most in zip(found, (1, 2, 3), strict=True)]


class CountedByHand:
    """Modified Kneser-Ney smoothing in dictionaries, written from its definition."""

    def __init__(self, rows, order):
        grams = [Counter() for _ in range(order)]
        for row in rows:
            for end in range(1, len(row)):
                for n in range(1, min(order, end + 1) + 1):
                    grams[n - 1][tuple(row[end - n + 1 : end + 1])] += 1
        for shorter, longer in pairwise(grams):
            before = defaultdict(set)
            for gram in longer:
                before[gram[1:]].add(gram[0])
            shorter.update({g: len(before[g]) - shorter[g] for g in before})
        self.grams = grams
        self.discounts = [discounts_by_hand(g.values()) for g in grams]

    def probability(self, context, symbol):
        if len(context) == len(self.grams):
            context = context[1:]
        n = len(context)
        shorter = (symbol != BEGIN) / (N_SYMBOLS - 1)
        if n:
            shorter = self.probability(context[1:], symbol)
        counts = {g[-1]: c for g, c in self.grams[n].items() if g[:-1] == context}
        if not counts:
            return shorter
        cut = {s: self.discounts[n][min(c, 3) - 1] for s, c in counts.items()}
        own = counts[symbol] - cut[symbol] if symbol in counts else 0.0
        return (own + sum(cut.values()) * shorter) / sum(counts.values())

    def score(self, row):
        order = len(self.grams)
        return [
            self.probability(tuple(row[max(0, i - order + 1) : i]), row[i])
            for i in range(1, len(row))
        ]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_are_those_of_kneser_ney_counted_by_hand(order):
    rows, others = draw_rows(), [*draw_rows(seed=1, n_rows=4), [BEGIN, 5, 5, 5, 3]]
    by_hand = CountedByHand(rows, order)
    expected = np.concatenate([by_hand.score(row) for row in others])
    found = fit(rows, order).score_steps(as_sequences(others))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_discounts_come_from_counts_of_counts():
    # With enough text the discounts are estimated, and not the usual ones.
    rows = draw_rows(n_rows=60)
    by_hand = CountedByHand(rows, 4)
    assert by_hand.discounts[3] != [0.5, 0.75, 0.9]
    found = fit(rows, 4).score_steps(as_sequences(rows[:5]))
    expected = np.concatenate([by_hand.score(row) for row in rows[:5]])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_step_by_step_distribution_is_what_whole_sequences_are_scored_by(order):
    model, rows = fit(draw_rows(), order), draw_rows(seed=2, n_rows=3, longest=12)
    scores = iter(model.score_steps(as_sequences(rows)))
    for row in rows:
        contexts = model.read(np.array(row[:1]))
        for i, symbol in enumerate(row[1:], 1):
            distribution = model.distributions(contexts)
            assert distribution.shape == (1, N_SYMBOLS)
            assert distribution.sum() == pytest.approx(1, abs=1e-6)
            assert distribution[0, BEGIN] == 0
            assert distribution[0, symbol] == pytest.approx(next(scores), rel=1e-6)
            contexts = model.advance(contexts, np.array([symbol]))
            np.testing.assert_array_equal(contexts, model.read(np.array(row[: i + 1])))


def test_many_contexts_are_continued_as_each_alone():
    model = fit(draw_rows(), 4)
    rows = [[BEGIN, 2, 3], [2, 5, 4], [5, 5, 5]]
    contexts = np.concatenate([model.read(np.array(row)) for row in rows])
    symbols = np.array([2, 3, 4])
    together = model.distributions(model.advance(contexts, symbols))
    for i in range(3):
        alone = model.advance(contexts[i : i + 1], symbols[i : i + 1])
        np.testing.assert_allclose(model.distributions(alone), together[i : i + 1])


def test_weights_are_repetitions():
    rows = draw_rows()
    weights = np.arange(len(rows)) % 3 + 1
    repeated = [row for row, n in zip(rows, weights, strict=True) for _ in range(n)]
    others = as_sequences(draw_rows(seed=1))
    np.testing.assert_allclose(
        fit(rows, 3, weights=weights.astype(float)).score_steps(others),
        fit(repeated, 3).score_steps(others),
    )


def test_fits_up_to_each_length_are_those_of_that_length():
    sequences, others = as_sequences(draw_rows()), as_sequences(draw_rows(seed=1))
    models = NGrams.fit_orders(sequences, N_SYMBOLS, 4, NEVER)
    assert [model.order for model in models] == [1, 2, 3, 4]
    for model in models:
        alone = NGrams.fit(sequences, N_SYMBOLS, model.order, NEVER)
        np.testing.assert_array_equal(
            model.score_steps(others), alone.score_steps(others)
        )


def test_n_grams_longer_than_every_sequence_change_nothing():
    rows = [[BEGIN, 2, END], [BEGIN, 3, END]]
    expected = fit(rows, 3).score_steps(as_sequences(rows))
    found = fit(rows, 6)
    assert found.order == 6
    # Of 3-grams the counts are now those of what is in front: nothing is.
    np.testing.assert_allclose(found.score_steps(as_sequences(rows)), expected)
    contexts = found.read(np.array([BEGIN, 2]))
    assert found.distributions(contexts).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_contexts_of_all_steps_are_those_met_one_by_one(order):
    rows = draw_rows(seed=1)
    model = fit(draw_rows(), order)
    sequences = as_sequences(rows)
    expected = []
    for row in rows:
        contexts = np.full((1, order - 1), -1)
        for symbol in row[:-1]:
            contexts = model.advance(contexts, np.array([symbol]))
            expected.append(contexts[0])
    found = model.contexts(sequences)
    np.testing.assert_array_equal(found, expected)
    targets = np.concatenate([row[1:] for row in rows])
    chances = model.distributions(found)[np.arange(len(targets)), targets]
    np.testing.assert_allclose(chances, model.score_steps(sequences), rtol=1e-6)


def test_what_stands_for_all_unseen_symbols_is_as_likely_as_new_ones_were():
    # Every tenth symbol comes once alone: new symbols are as likely in other text.
    rng = np.random.default_rng(0)
    n_symbols, unseen = 1200, 1
    row = rng.integers(2, 20, size=4000)
    row[::10] = 100 + np.arange(400)
    sequences = as_wide_sequences([row])
    options = {"n_symbols": n_symbols, "order": 2, "never": [BEGIN]}
    alike = NGrams.fit(sequences, **options)
    model = NGrams.fit(sequences, **options, unseen=unseen)
    assert alike.unigrams[unseen] < 1e-3
    assert 0.03 < model.unigrams[unseen] < 0.2
    contexts = np.array([[2], [150], [unseen]])
    np.testing.assert_allclose(model.distributions(contexts).sum(axis=1), 1)
    assert (model.unigrams[2:20] > 0.9 * alike.unigrams[2:20]).all()


def as_wide_sequences(rows):
    values = np.concatenate(rows).astype(np.int16)[:, np.newaxis]
    lengths = np.array([len(row) for row in rows])
    return SequenceArray(values, np.cumsum(lengths) - lengths, lengths)
