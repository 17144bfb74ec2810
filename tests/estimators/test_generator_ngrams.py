"""The n-grams beside a generator's network: everything is by the average of both."""

import pickle
from functools import partial
from itertools import islice

import numpy as np
import pytest

from sklearn_rnn import RNNGenerator, SequenceArray
from sklearn_rnn.datasets import load_moby_dick
from sklearn_rnn.estimators.closed_form import log_softmax
from sklearn_rnn.estimators.tasks._ngrams import (
    average_logs,
    fit_geometric_weight,
    fit_weight,
    geometric_mean,
    hold_out_steps,
)

SMALL = {
    "hidden_size": 8,
    "embedding_dim": 4,
    "max_epochs": 2,
    "bptt_steps": 50,
    "batch_size": 8,
    "random_state": 0,
}


def generator(**options):
    return RNNGenerator(**{**SMALL, **options})


@pytest.fixture(scope="module")
def book():
    return load_moby_dick(subset="train")[:12_000]


@pytest.fixture(scope="module")
def kinds(book):
    lines = [line for line in book.split("\n") if line]
    return {
        "text": (book[:9000], book[9000:]),
        "texts": (lines[:120], lines[120:]),
        "words": [
            [line.split() for line in part] for part in (lines[:120], lines[120:])
        ],
    }


@pytest.fixture(scope="module")
def models(kinds):
    return {kind: generator().fit(X) for kind, (X, _) in kinds.items()}


KINDS = ["text", "texts", "words"]


def parts_of(model, score):
    """Return a score by the network alone, the n-grams alone, and both."""
    weight, found = model.ngram_weight_, []
    for w in (0.0, 1.0, weight):
        model.ngram_weight_ = w
        found.append(score(model))
    return found


# What it is for.


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["text", "texts"])
def test_the_average_predicts_better_than_either_part(models, kinds, kind):
    network, ngrams, both = parts_of(models[kind], lambda m: m.score(kinds[kind][1]))
    # The held-out text is small: the best weight of other text is a little another.
    assert both > max(network, ngrams) - 0.03
    assert both > min(network, ngrams) + 0.1


def test_without_n_grams_nothing_is_held_out(book):
    alone = generator(ngram_order=None).fit(book[:3000])
    assert alone.ngram_order_ is None
    assert alone.ngram_weight_ == 0
    beside = generator(ngram_order=3).fit(book[:3000])
    assert beside.ngram_order_ == 3
    assert 0 < beside.ngram_weight_ < 1
    # The network has not read the last 300 characters.
    shorter = generator(ngram_order=None).fit(book[:2700])
    assert beside.loss_curve_ != alone.loss_curve_
    assert len(shorter.symbols_) < len(beside.symbols_) or (
        beside.loss_curve_ == pytest.approx(shorter.loss_curve_, rel=0.05)
    )


@pytest.mark.parametrize(("n_steps", "has"), [(900, False), (1100, True)])
def test_auto_leaves_small_texts_alone(book, n_steps, has):
    model = generator(max_epochs=1).fit(book[:n_steps])
    assert (model.ngram_order_ is not None) == has
    assert (model.ngram_weight_ > 0) == has


@pytest.mark.thorough
@pytest.mark.parametrize("lag", [2, 4])
def test_auto_chooses_the_length_by_held_out_text(lag):
    # A symbol depends on the one `lag` before it, and on no other.
    rng = np.random.default_rng(0)
    row = rng.integers(4, size=6000)
    for i in range(lag, len(row)):
        row[i] = (row[i - lag] + rng.choice(3, p=[0.1, 0.2, 0.7])) % 4
    model = generator(learning_rate=1e-30).fit([row.tolist()])
    assert model.ngram_order_ == lag + 1


def test_frames_have_none():
    frames = np.random.default_rng(0).integers(0, 2, size=(20, 80, 3))
    model = generator(ngram_order=3).fit(frames)
    assert model.ngram_order_ is None
    assert model.sample(n_steps=3).shape == (3, 3)


# All methods agree.


@pytest.mark.parametrize("kind", KINDS)
def test_scores_agree_with_next_symbols(models, kinds, kind):
    model, row = models[kind], kinds[kind][0][0 if kind != "text" else slice(0, 9)]
    steps = model.score_steps([row] if kind != "text" else row)[0]
    known = set(model.symbols_)
    for i, symbol in enumerate(row[:12]):
        chances = dict(model.next_symbols(row[:i], k=10_000))
        assert symbol in known
        assert np.log(chances[symbol]) == pytest.approx(steps[i], abs=1e-5)
        assert sum(chances.values()) < 1 + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_all_scores_are_of_the_same_steps(models, kinds, kind):
    model, X = models[kind], kinds[kind][1]
    steps = model.score_steps(X)
    np.testing.assert_allclose(model.score_samples(X), [s.sum() for s in steps])
    mean = np.concatenate(steps).mean()
    assert model.score(X) == pytest.approx(mean)
    assert model.perplexity(X) == pytest.approx(np.exp(-mean))
    assert model.bits_per_symbol(X) == pytest.approx(-mean / np.log(2))


def test_several_texts_are_scored_as_each_alone(models, kinds):
    X = kinds["texts"][1][:5]
    together = models["texts"].score_steps(X)
    for text, steps in zip(X, together, strict=True):
        alone = models["texts"].score_steps([text])[0]
        np.testing.assert_allclose(alone, steps, rtol=1e-4)


def test_symbols_never_seen_share_one_probability_and_are_never_written(models):
    model = models["words"]
    scores = model.score_steps([["the", "never-seen-word", "sea"]])[0]
    assert np.isfinite(scores).all()
    other = model.score_steps([["the", "another one", "sea"]])[0]
    np.testing.assert_array_equal(scores, other)
    # It is what next_symbols lacks, beside the end and what is never written.
    ends = np.exp(model.score_steps([["the"]])[0][-1])
    chances = model.next_symbols(["the"], k=10_000)
    left = 1 - sum(p for _, p in chances) - ends
    assert np.exp(scores[1]) == pytest.approx(left, abs=1e-3)
    written = model.sample(["the"], 50, n=10, random_state=0)
    assert set().union(*written) <= set(model.symbols_)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", [True, False])
def test_a_stream_writes_what_sample_writes(models, kinds, kind, prompt):
    model, row = models[kind], kinds[kind][0][0]
    prompt = row if prompt else None
    written = model.sample(prompt, 30, random_state=3)
    streamed = list(islice(model.stream(prompt, 30, random_state=3), 30))
    assert list(written) == streamed


@pytest.mark.thorough
def test_what_is_written_follows_the_average(book):
    # Greedily, each symbol is the likeliest after all before it.
    model = generator(ngram_order=3).fit(book[:3000])
    text = model.sample("The ", 20, temperature=0)
    for i in range(len(text)):
        assert text[i] == model.next_symbols("The " + text[:i], k=1)[0][0]
    n_grams = parts_of(model, lambda m: m.sample("The ", 20, temperature=0))[1]
    network = parts_of(model, lambda m: m.sample("The ", 20, temperature=0))[0]
    assert n_grams != network


def test_rows_of_a_sample_are_drawn_from_their_own_contexts(models):
    rows = models["texts"].sample("I", 40, n=4, random_state=1, temperature=1e-9)
    assert len(set(rows)) == 1
    rows = models["texts"].sample("I", 40, n=4, random_state=1)
    assert len(set(rows)) == 4


def test_new_words_are_expected_where_many_words_were_new(kinds):
    # Most words come once: of the words of other lines, too, many are new.
    lines, others = kinds["words"]
    model = generator(ngram_order=2).fit(lines)
    known = {word for line in lines for word in line}
    is_new = np.array([w not in known for line in others for w in line])
    steps = np.concatenate([steps[:-1] for steps in model.score_steps(others)])
    expected = np.exp(steps[is_new]).mean()
    assert expected > 0.01 > 3 / model.n_symbols_
    assert expected < is_new.mean()
    # A symbol that was learned as unknown has a count of its own.
    frequent = generator(ngram_order=2, min_count=2).fit(lines)
    steps = np.concatenate([steps[:-1] for steps in frequent.score_steps(others)])
    assert np.exp(steps[is_new]).mean() > expected


@pytest.mark.thorough
def test_perplexity_is_that_of_a_distribution(models):
    model = models["text"]
    # All symbols, one of them for those never seen, have less than 1 together.
    for context in ("", "the ", "wh"):
        rows = [context + symbol for symbol in [*model.symbols_, "\N{SNOWMAN}"]]
        chances = [np.exp(model.score_steps(row)[0][-1]) for row in rows]
        assert 0.99 < sum(chances) < 1 + 1e-6


# The weight.


def test_the_weight_is_the_likeliest_one():
    rng = np.random.default_rng(0)
    network, ngrams = np.log(rng.uniform(0.01, 1, size=(2, 4000)))
    weight, likelihood = fit_weight(network, ngrams)
    grid = np.linspace(0.01, 0.99, 99)
    means = [average_logs(network, ngrams, w).mean() for w in grid]
    assert weight == pytest.approx(grid[int(np.argmax(means))], abs=0.011)
    assert likelihood == pytest.approx(max(means), abs=1e-4)


def test_the_weight_of_a_geometric_mean_is_the_likeliest_one():
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.ones(6), size=3000)
    targets = np.array([rng.choice(6, p=p) for p in truth])
    # Two readings of the truth with independent errors.
    network, ngrams = np.log(truth) + rng.normal(size=(2, 3000, 6)) * [[[0.5]], [[1]]]
    network, ngrams = log_softmax(network), log_softmax(ngrams)

    def likelihood(weight, rows=slice(None)):
        mean = log_softmax(geometric_mean(network, ngrams, weight)[rows])
        return mean[np.arange(len(mean)), targets[rows]].mean()

    weight = fit_geometric_weight(network, ngrams, targets)
    grid = np.linspace(0.01, 0.99, 99)
    scores = [likelihood(w) for w in grid]
    assert weight == pytest.approx(grid[int(np.argmax(scores))], abs=0.015)
    assert likelihood(weight) > max(likelihood(0), likelihood(1)) + 0.01
    # A step of weight zero is as if it were not there, and of few steps it stays near
    # a half.
    half = np.repeat([2.0, 0.0], 1500)
    parts = network[:1500], ngrams[:1500], targets[:1500]
    alone = fit_geometric_weight(*parts)
    assert fit_geometric_weight(network, ngrams, targets, half) == pytest.approx(
        alone, abs=0.01
    )
    assert 0.4 < fit_geometric_weight(*(p[:3] for p in parts)) < 0.6


def test_a_geometric_mean_leaves_out_what_one_part_excludes():
    network = np.log([[0.5, 0.4, 0.1]])
    with np.errstate(divide="ignore"):
        ngrams = np.log([[0.0, 0.5, 0.5]])
    mean = np.exp(log_softmax(geometric_mean(network, ngrams, 0.5)))
    np.testing.assert_allclose(mean, [[0, 2 / 3, 1 / 3]])
    assert geometric_mean(network, ngrams, 0.0) is network
    assert geometric_mean(network, ngrams, 1.0) is ngrams
    weight = fit_geometric_weight(network, ngrams, np.array([1]))
    assert 0 < weight < 1


def score_first(model, X):
    return model.score_steps(X)[0]


@pytest.mark.thorough
def test_few_symbols_are_averaged_by_a_geometric_mean_and_many_are_not(book):
    words = [f"w{i}" for i in np.random.default_rng(0).zipf(1.3, size=4000) % 700]
    for model, X in [
        (generator(ngram_order=2).fit(book[:4000]), book[4000:4200]),
        (generator(ngram_order=2).fit([words]), [words[:200]]),
    ]:
        network, ngrams, both = parts_of(model, partial(score_first, X=X))
        arithmetic = average_logs(network, ngrams, model.ngram_weight_)
        is_arithmetic = np.allclose(both, arithmetic, atol=1e-4)
        assert is_arithmetic == (model.n_symbols_ > 500)
        if not is_arithmetic:
            # Before it is normalised, which only adds.
            w = model.ngram_weight_
            assert (both >= (1 - w) * network + w * ngrams - 1e-6).all()


def test_the_weight_goes_to_the_part_that_predicts():
    good, bad = np.full(5000, -0.1), np.full(5000, -3.0)
    assert fit_weight(good, bad)[0] < 0.01
    assert fit_weight(bad, good)[0] > 0.99
    # Of few steps not all of it.
    assert 0.2 < fit_weight(good[:5], bad[:5])[0] < 0.5


def test_steps_count_by_their_weights():
    network, ngrams = np.log([[0.9, 0.1] * 500, [0.1, 0.9] * 500])
    assert fit_weight(network, ngrams)[0] == pytest.approx(0.5, abs=1e-6)
    assert fit_weight(network, ngrams, np.array([3.0, 1.0] * 500))[0] < 0.3


def lengths_to_sequences(lengths):
    lengths = np.array(lengths)
    values = np.arange(lengths.sum(), dtype=np.int64)[:, np.newaxis]
    return SequenceArray(values, np.cumsum(lengths) - lengths, lengths)


def steps_of(sequences):
    """Return the ids of all steps that are predicted."""
    return np.concatenate([row[1:, 0] for row in sequences])


@pytest.mark.parametrize(
    "lengths", [[5001], [3000, 2000], [51] * 200, [11] * 100 + [30_000], [10_000] * 60]
)
def test_held_out_steps_are_not_learned_from(lengths):
    sequences = lengths_to_sequences(lengths)
    (indices, seen), (held_out, unseen) = hold_out_steps(sequences)
    both = np.concatenate([steps_of(seen), steps_of(unseen)])
    np.testing.assert_array_equal(np.sort(both), np.sort(steps_of(sequences)))
    fraction = len(steps_of(unseen)) / len(both)
    assert 0.02 < fraction < 0.11
    assert len(indices) == len(seen)
    assert len(held_out) == len(unseen)
    # Where each came from, for weights.
    for i, row in zip(held_out, unseen, strict=True):
        assert sequences.starts[i] <= row[0, 0] < sequences.ends[i]


def test_too_few_steps_are_not_held_out(book):
    assert hold_out_steps(lengths_to_sequences([200])) is None
    model = generator(ngram_order=3).fit(book[:250])
    assert model.ngram_weight_ == 0.5
    alone = generator(ngram_order=None).fit(book[:250])
    assert model.loss_curve_ == alone.loss_curve_


@pytest.mark.thorough
def test_validation_data_tell_the_weight_and_nothing_else_is_held_out(book):
    text, other = book[:5000], book[5000:7000]
    model = generator(ngram_order=3).fit(text, X_val=other)
    alone = generator(ngram_order=None).fit(text, X_val=other)
    assert model.loss_curve_ == alone.loss_curve_
    # During training validation is of the network alone.
    assert model.validation_scores_ == alone.validation_scores_
    # The prior moves it a little towards a half.
    assert model.ngram_weight_ == pytest.approx(
        best_weight(model, other[:500]), abs=0.1
    )


def best_weight(model, X):
    """Return the weight by which X is the likeliest."""
    weight, grid = model.ngram_weight_, np.linspace(0.02, 0.98, 49)
    scores = []
    for model.ngram_weight_ in grid:
        scores.append(model.score(X))
    model.ngram_weight_ = weight
    return grid[int(np.argmax(scores))]


@pytest.mark.thorough
def test_early_stopping_holds_out_once(book):
    options = {"early_stopping": True, "ngram_order": 3}
    model = generator(**options).fit(book[:5000])
    alone = generator(**{**options, "ngram_order": None}).fit(book[:5000])
    assert model.loss_curve_ == alone.loss_curve_
    assert 0 < model.ngram_weight_ < 1


# Around it.


@pytest.mark.parametrize("kind", KINDS)
def test_pickles_keep_them(models, kinds, kind):
    model = models[kind]
    copy = pickle.loads(pickle.dumps(model))
    assert copy.ngram_order_ == model.ngram_order_
    assert copy.ngram_weight_ == model.ngram_weight_
    assert copy.score(kinds[kind][1]) == model.score(kinds[kind][1])


@pytest.mark.slow
def test_warm_start_counts_the_new_text_and_fits_the_weight_again(book):
    model = generator(warm_start=True, ngram_order=4, max_epochs=1).fit(book[:4000])
    first = model.ngram_weight_
    stream = model.stream("The ", 20, random_state=0)
    before = model.sample("The ", 20, random_state=0)
    for _ in range(3):
        model.set_params(max_epochs=10).fit(book[:4000])
    # The network has become better, and has still not seen the held-out part.
    assert model.ngram_weight_ < first
    n_grams = parts_of(model, lambda m: m.score(book[4000:]))[1]
    assert len(before) == 20
    assert len("".join(stream)) == 20
    model.fit(book[4000:])
    assert parts_of(model, lambda m: m.score(book[4000:]))[1] > n_grams
    model.set_params(ngram_order=None).fit(book[:4000])
    assert model.ngram_order_ is None
    assert model.ngram_weight_ == 0


def test_sample_weights_count(book):
    halves = [book[:2000], book[2000:4000]] * 30
    texts = [text[i * 30 : i * 30 + 60] for i, text in enumerate(halves)]
    is_first = np.arange(60) % 2 == 0
    scores = []
    for weights in (np.where(is_first, 9.0, 1.0), np.where(is_first, 1.0, 9.0)):
        model = generator(ngram_order=4, max_epochs=1).fit(texts, None, weights)
        model.ngram_weight_ = 1.0
        scores.append(model.score(texts[:10:2]))
    assert scores[0] > scores[1]


@pytest.mark.thorough
def test_rare_symbols_are_unknown_to_them_too(book):
    model = generator(max_symbols=10).fit(book[:3000])
    assert model.n_symbols_ == 10
    chances = model.next_symbols("The whale", k=20)
    assert len(chances) == 10
    unknown = 1 - sum(p for _, p in chances)
    assert 0.1 < unknown < 1
    assert set(model.sample("The", 50, random_state=0)) <= set(model.symbols_)


@pytest.mark.parametrize("order", [0, -1, 2.5, "long"])
def test_an_order_that_is_none_is_refused(book, order):
    with pytest.raises(ValueError, match="ngram_order"):
        generator(ngram_order=order).fit(book[:100])
