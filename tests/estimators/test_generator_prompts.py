"""Next symbols, rules of sampling, several prompts and the likeliest texts."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from sampling_models import (
    KINDS,
    PROMPTS,
    SHARES,
    TEXT,
    assert_drawn_from,
    assert_same,
    fit_models,
    frames,
    generator,
    logits_of,
)
from sklearn.exceptions import NotFittedError

from sklearn_rnn import RNNGenerator, Sampling, SklearnRNNWarning


@pytest.fixture(scope="module")
def models():
    return fit_models()


ABC = "abcabbca" * 6


# What may come next.


def test_next_symbols_are_the_likeliest_with_their_probabilities(models):
    found = models["text"].next_symbols("the ", k=3)
    whole = models["text"].next_symbols("the ", k=10_000)
    assert found == whole[:3]
    assert len(whole) == models["text"].n_symbols_
    chances = [chance for _, chance in whole]
    assert chances == sorted(chances, reverse=True)
    assert all(type(chance) is float for chance in chances)
    assert 0.9 < sum(chances) < 1
    written = models["text"].sample("the ", 1, n=4000, random_state=0)
    share = written.count(found[0][0]) / 4000
    assert share == pytest.approx(found[0][1] / sum(chances), abs=0.05)


def test_next_symbols_of_frames_are_features_that_may_be_1(models):
    found = models["frames"].next_symbols(frames()[0], k=2)
    whole = models["frames"].next_symbols(frames()[0], k=99)
    assert found == whole[:2]
    assert sorted(i for i, _ in whole) == [0, 1, 2, 3]
    drawn = np.stack(
        models["frames"].sample(frames()[0], 1, n=4000, random_state=0)
    ).mean(axis=(0, 1))
    for i, chance in whole:
        assert drawn[i] == pytest.approx(chance, abs=0.05)


def test_a_generator_that_is_not_fitted_says_so():
    model = RNNGenerator()
    for call in (model.sample, model.stream, model.next_symbols):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            call("the")
    for call in (model.score, model.score_samples, model.perplexity):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            call(["the"])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.bits_per_symbol("the")


# Options in a `Sampling`.


@pytest.mark.parametrize(
    "min_p, kept",
    [
        (1.0, [1]),
        (0.62, [1, 3]),
        (0.5, [1, 3, 4]),
        (0.25, [1, 2, 3, 4]),
        (0.1, range(5)),
    ],
)
def test_min_p_keeps_what_is_likely_enough_beside_the_likeliest(min_p, kept):
    expected = np.zeros(5)
    expected[list(kept)] = SHARES[list(kept)]
    # Rounding may not exclude a symbol at the edge.
    assert_drawn_from(expected / expected.sum(), min_p=min_p * (1 - 1e-12))


def test_min_p_counts_after_the_temperature():
    squares = np.array([0, 0.4, 0, 0.25, 0]) ** 2
    assert_drawn_from(squares / squares.sum(), temperature=0.5, min_p=0.3)


def test_typical_p_keeps_what_is_as_surprising_as_expected():
    shares = np.array([0.6, 0.1, 0.1, 0.1, 0.1])
    # The expected surprise is 1.23 nats: 2.3 of the unlikely ones is farther from it
    # than 0.51 of the likeliest.
    assert_drawn_from([1, 0, 0, 0, 0], shares, typical_p=0.5)
    assert_drawn_from([0.6 / 0.7, 0.1 / 0.7, 0, 0, 0], shares, typical_p=0.65)
    # Here 0.3 is the most typical one, and the likeliest is not drawn.
    shares = np.array([0.5, 0.3, 0.1, 0.05, 0.05])
    assert_drawn_from([0, 1, 0, 0, 0], shares, typical_p=0.2)
    assert_drawn_from(shares, shares, typical_p=1.0)


def test_typical_p_bears_symbols_without_probability():
    assert_drawn_from([0, 0, 1, 0], [0.5, 0.3, 0.2, 0.0], never=[0, 1], typical_p=0.9)


def test_a_repetition_penalty_subtracts_the_mean_surprise_of_the_other_symbols():
    logits, recent = logits_of([SHARES, SHARES]), np.array([[1, 1, 3], [0, 0, 0]])
    others = [[0, 2, 4], [1, 2, 3, 4]]
    for penalty in (0.5, 1.2, 3.0):
        found = Sampling(repetition_penalty=penalty).penalize(logits + 3.0, recent)
        for row, came, rest in zip(found, recent, others, strict=True):
            expected = np.log(SHARES)
            # Once, however often a symbol came.
            expected[np.unique(came)] += (penalty - 1) * np.log(SHARES[rest]).mean()
            np.testing.assert_allclose(row, expected, rtol=1e-12)


def test_a_repetition_penalty_of_1_changes_no_bit():
    logits = logits_of(SHARES) + 3.0
    assert Sampling(repetition_window=2).penalize(logits, np.array([[1]])) is logits


def test_a_repetition_penalty_lowers_a_symbol_that_is_all_but_certain():
    logits, recent = np.array([[12.0, 5.0, 5.0, 4.0]]), np.array([[0, 0]])
    found = []
    for penalty in (0.8, 1.0, 1.2, 1.5, 2.0, 5.0):
        sampling = Sampling(repetition_penalty=penalty)
        penalized = sampling.penalize(logits, recent)
        found.append(sampling.probabilities(penalized)[0, 0])
    assert np.all(np.diff(found) < 0)
    assert found[1] > 0.997
    assert found[2] < 0.992
    assert found[4] < 0.3


def test_a_repetition_penalty_ignores_symbols_that_are_not_written():
    logits, recent = np.array([[4.0, 2.0, 0.0, -50.0]]), np.array([[0]])
    sampling = Sampling(repetition_penalty=2.0)
    found = sampling.penalize(logits, recent, never=[3])
    np.testing.assert_allclose(
        found[:, :3], sampling.penalize(logits[:, :3], recent), rtol=1e-12
    )
    impossible = np.where(logits < -9, -np.inf, logits)
    np.testing.assert_allclose(
        sampling.penalize(impossible, recent)[:, :3], found[:, :3], rtol=1e-12
    )


def test_a_repetition_penalty_of_all_symbols_changes_no_probability():
    sampling = Sampling(repetition_penalty=2.0)
    penalized = sampling.penalize(logits_of(SHARES), np.arange(5)[np.newaxis])
    np.testing.assert_allclose(sampling.probabilities(penalized), [SHARES], rtol=1e-12)


def test_a_repetition_penalty_counts_prompt_and_past_within_its_window(models):
    model, prompt = models["words"], ["the", "cat"]

    def frequency(symbol, **options):
        written = model.sample(
            prompt, 1, sampling=Sampling(**options), n=1000, random_state=0
        )
        return np.mean([row == [symbol] for row in written])

    wide = frequency("the", repetition_penalty=3.0)
    # A window of one has the last symbol alone.
    narrow = frequency("the", repetition_penalty=3.0, repetition_window=1)
    assert wide < 0.2 * frequency("the")
    assert narrow >= frequency("the")
    assert frequency("cat", repetition_penalty=3.0, repetition_window=1) < 0.2 * (
        frequency("cat")
    )


@pytest.mark.thorough
def test_a_repetition_penalty_breaks_a_loop_of_all_but_certain_symbols():
    writer = generator(max_epochs=20, learning_rate=0.03)
    writer.fit([[*"abcd", *(["loop"] * 100)] * 8])
    prompt = ["loop"] * 20
    assert writer.next_symbols(prompt, k=1)[0][1] > 0.99
    assert writer.sample(prompt, 30, temperature=0) == ["loop"] * 30
    sampling = Sampling(temperature=0, repetition_penalty=2.0)
    assert set(writer.sample(prompt, 30, sampling=sampling)) != {"loop"}
    frequencies = []
    for penalty in (1.0, 1.2, 1.5, 2.0):
        sampling = Sampling(repetition_penalty=penalty)
        rows = writer.sample(prompt, 1, sampling=sampling, n=1000, random_state=0)
        frequencies.append(np.mean([row == ["loop"] for row in rows]))
    assert np.all(np.diff(frequencies) < 0)
    assert frequencies[2] < 0.95
    assert frequencies[3] < 0.3


def test_a_repetition_penalty_breaks_a_loop(models):
    loop = models["text"].sample("the ", 60, temperature=0)
    sampling = Sampling(temperature=0, repetition_penalty=1.5, repetition_window=8)
    free = models["text"].sample("the ", 60, sampling=sampling)
    assert len(set(free)) > len(set(loop))


RULES = {
    "text": Sampling(forbidden="e ", forced={2: "m", 4: "a"}),
    "texts": Sampling(forbidden="b", forced={3: "c"}, min_steps=6),
    "words": Sampling(forbidden=["cat"], forced={1: "sat", 2: "a"}),
    "frames": Sampling(forbidden=[0, 2], forced={1: [1, 1, 1, 1]}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_keeps_the_rules(models, kind):
    rules, model = RULES[kind], models[kind]
    rows = model.sample(PROMPTS[kind], 8, sampling=rules, n=20, random_state=0)
    for row in rows:
        assert len(row) >= max(rules.min_steps, 1 + max(rules.forced))
        for step, value in rules.forced.items():
            np.testing.assert_array_equal(row[step], value)
        drawn = [row[i] for i in range(len(row)) if i not in rules.forced]
        if kind == "frames":
            assert not np.array(drawn)[:, [0, 2]].any()
            assert np.array(drawn)[:, [1, 3]].any()
        else:
            assert not set(drawn) & set(rules.forbidden)
    streamed = list(model.stream(PROMPTS[kind], 8, sampling=rules, random_state=0))
    alone = model.sample(PROMPTS[kind], 8, sampling=rules, random_state=0)
    np.testing.assert_array_equal(streamed, list(alone))
    assert not np.array_equal(alone, model.sample(PROMPTS[kind], 8, random_state=0))


def test_what_is_forced_is_read_by_what_follows(models):
    # Frames at a temperature of 0 after a forced one are those after it in a prompt.
    model, first = models["frames"], frames()[0]
    forced = Sampling(temperature=0, forced={0: [1, 0, 1, 0]})
    written = model.sample(first, 3, sampling=forced)
    longer = np.vstack([first, [[1, 0, 1, 0]]])
    np.testing.assert_array_equal(written[1:], model.sample(longer, 2, temperature=0))
    text = models["text"].sample("the ", 6, sampling=Sampling(0, forced={0: "r"}))
    assert text[1:] == models["text"].sample("the r", 5, temperature=0)


@pytest.mark.thorough
def test_a_minimum_length_forbids_empty_results(models):
    model = models["texts"]
    rows = model.sample(n=300, random_state=0)
    assert "" in model.sample("abcab", n=300, random_state=0)
    assert min(map(len, rows)) < 4
    for minimum in (1, 4):
        rules = Sampling(min_steps=minimum)
        rows = model.sample("abcab", n=300, sampling=rules, random_state=0)
        assert min(map(len, rows)) == minimum


@pytest.mark.parametrize(
    "kind, sampling, error, said",
    [
        ("text", {"min_p": 0}, ValueError, r"min_p=0 must be a number in \(0, 1\]"),
        ("text", {"typical_p": 1.5}, ValueError, "typical_p=1.5 must be"),
        ("text", {"repetition_penalty": 0}, ValueError, "must be a number above 0"),
        ("text", {"repetition_window": 0}, ValueError, "repetition_window=0 must be"),
        ("text", {"min_steps": -1}, ValueError, "whole number from 0"),
        ("text", {"forced": ["a"]}, ValueError, "must be a dict from steps"),
        ("text", {"forced": {-1: "a"}}, ValueError, "step of forced=-1 must be"),
        ("text", {"forced": {0: "#"}}, ValueError, "forced holds '#', which the data"),
        ("text", {"forced": {0: "the"}}, ValueError, "symbols are single characters"),
        ("text", {"forbidden": ["the"]}, ValueError, "forbidden holds 'the'.*single"),
        ("text", {"forbidden": "t", "forced": {2: "t"}}, ValueError, "both forbidden"),
        ("text", {"forbidden": TEXT}, ValueError, "every symbol that fit has seen"),
        ("text", {"min_steps": 9}, ValueError, "n_steps=5 is less than the 9 steps"),
        ("text", {"forced": {5: "t"}}, ValueError, "n_steps=5 is less than the 6"),
        ("words", {"forbidden": "the"}, TypeError, "give a list of them"),
        ("frames", {"forbidden": [4]}, ValueError, "the features 0 to 3"),
        ("frames", {"forbidden": ["a"]}, TypeError, "indices of features"),
        ("frames", {"forced": {0: [1, 0]}}, ValueError, "frames of 2 features"),
        ("frames", {"forced": {0: [1, 0, 2, 0]}}, ValueError, "zeros and ones"),
    ],
)
def test_rules_without_a_meaning_are_refused(models, kind, sampling, error, said):
    for write in (models[kind].sample, models[kind].stream):
        with pytest.raises(error, match=said):
            write(None, 5, sampling=Sampling(**sampling))


def test_forbidding_what_was_never_learned_warns(models):
    rules = Sampling(forbidden="#e")
    with pytest.warns(SklearnRNNWarning, match="forbidden holds '#', which RNNGen"):
        assert "e" not in models["text"].sample(n_steps=50, sampling=rules)
    with pytest.warns(SklearnRNNWarning, match="'whale'"):
        models["words"].sample(n_steps=5, sampling=Sampling(forbidden=["whale"]))


def test_a_sampling_stands_for_the_options_with_a_name(models):
    model = models["text"]
    options = {"temperature": 0.5, "top_k": 4, "top_p": 0.9}
    expected = model.sample(n_steps=30, random_state=0, **options)
    sampling = Sampling(**options)
    assert model.sample(n_steps=30, random_state=0, sampling=sampling) == expected
    with pytest.raises(ValueError, match="top_k and sampling are both given"):
        model.sample(top_k=3, sampling=sampling)
    with pytest.raises(TypeError, match="must be a Sampling"):
        model.stream(sampling={"top_k": 3})


# Several prompts.

SEVERAL = {
    "text": ["the c", "", "mat, the"],
    "texts": ["ab", "c", ""],
    "words": [["the"], [], ["a", "dog"]],
    "frames": [frames()[0], frames()[1][:2], frames()[2][:1]],
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_prompts_is_continued_one_by_one(models, kind):
    model, prompts = models[kind], SEVERAL[kind]
    found = model.sample(prompts, 7, temperature=0)
    assert isinstance(found, list)
    for prompt, written in zip(prompts, found, strict=True):
        assert_same(written, model.sample(prompt, 7, temperature=0))
    several = model.sample(prompts, 7, n=2, random_state=0)
    assert [len(rows) for rows in several] == [2, 2, 2]
    again = model.sample(prompts, 7, n=2, random_state=0)
    for rows, others in zip(several, again, strict=True):
        for row, other in zip(rows, others, strict=True):
            assert_same(row, other)
    (alone,) = model.sample(prompts[:1], 7, n=2, random_state=0)
    for row, other in zip(
        alone, model.sample(prompts[0], 7, n=2, random_state=0), strict=True
    ):
        assert_same(row, other)


@pytest.mark.parametrize("kind", ["text", "texts"])
@pytest.mark.parametrize("n", [None, 2])
def test_a_list_of_no_prompts_has_no_continuations(models, kind, n):
    model = models[kind]
    for prompts in ([], (), np.array([], dtype=str), pd.Series([], dtype=object)):
        assert model.sample(prompts, 5, n=n) == []
        assert model.best_continuations(prompts, 5) == []
    with pytest.raises(ValueError, match="n_steps=0 must be"):
        model.sample([], 0)


def test_an_empty_list_of_symbols_is_one_prompt(models):
    written = models["words"].sample([], 5, random_state=0)
    assert written == models["words"].sample(None, 5, random_state=0)


def test_prompts_come_in_arrays_and_series_too(models):
    expected = models["text"].sample(["the", "mat"], 5, temperature=0)
    for kind in (tuple, np.array, pd.Series):
        assert models["text"].sample(kind(["the", "mat"]), 5, temperature=0) == expected
    rows = [["the"], ["a"]]
    expected = models["words"].sample(rows, 3, temperature=0)
    arrays = [np.array(row) for row in rows]
    assert models["words"].sample(arrays, 3, temperature=0) == expected
    stack = frames()[:2]
    for written, prompt in zip(
        models["frames"].sample(stack, 3, temperature=0), stack, strict=True
    ):
        assert_same(written, models["frames"].sample(prompt, 3, temperature=0))


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_the_prompt_is_a_part_of_the_result_on_request(models, kind):
    model, prompts = models[kind], SEVERAL[kind]
    options = {"n_steps": 6, "random_state": 0}
    for prompt in prompts:
        whole = model.sample(prompt, include_prompt=True, **options)
        assert_joined(whole, prompt, model.sample(prompt, **options))
    rows = model.sample(prompts, include_prompt=True, **options)
    for row in zip(rows, prompts, model.sample(prompts, **options), strict=True):
        assert_joined(*row)
    rows = model.sample(prompts[0], n=2, include_prompt=True, **options)
    written = model.sample(prompts[0], n=2, **options)
    for whole, end in zip(rows, written, strict=True):
        assert_joined(whole, prompts[0], end)
    assert_same(
        model.sample(None, include_prompt=True, **options),
        model.sample(None, **options),
    )


def assert_joined(whole, begin, end):
    assert type(whole) is type(end)
    assert len(whole) == len(begin) + len(end)
    np.testing.assert_array_equal(list(whole[: len(begin)]), list(begin))
    np.testing.assert_array_equal(list(whole[len(begin) :]), list(end))


# The likeliest continuations.


def all_continuations(model, prompt, n_steps):
    """Return every continuation and its log-likelihood, by the scores of whole ones."""
    symbols, ends = model.symbols_.tolist(), model._task.corpus.has_ends
    found = {}
    for n in range(0 if ends else n_steps, n_steps + 1):
        for letters in product(symbols, repeat=n):
            written = "".join(letters)
            steps = model.score_steps([prompt + written])[0][len(prompt) :]
            # Cut off at the last step, a continuation has not ended.
            found[written] = steps[: n_steps if n == n_steps else n + 1].sum()
    return sorted(found.items(), key=lambda pair: -pair[1])


@pytest.mark.thorough
@pytest.mark.parametrize("ngram_order", [None, 3])
@pytest.mark.parametrize("X, prompt", [(["ab", "abca", "cab"] * 8, "a"), (ABC, "ca")])
def test_a_wide_beam_finds_the_likeliest_continuations(X, prompt, ngram_order):
    model = generator(ngram_order=ngram_order).fit(X)
    expected = all_continuations(model, prompt, 3)[:6]
    found = model.best_continuations(prompt, 3, 6, beam_width=50)
    assert [written for written, _ in found] == [written for written, _ in expected]
    np.testing.assert_allclose(
        [score for _, score in found], [score for _, score in expected], atol=1e-4
    )
    assert all(type(score) is float for _, score in found)


def test_a_wider_beam_finds_no_worse_ones(models):
    model = models["text"]
    best = [
        model.best_continuations("the ", 12, 1, beam_width=width)[0][1]
        for width in (1, 4, 40)
    ]
    greedy = model.best_continuations("the ", 12, 1, beam_width=1)[0][0]
    assert greedy == model.sample("the ", 12, temperature=0)
    assert best[0] <= best[2] + 1e-9
    assert best[1] <= best[2] + 1e-9


@pytest.mark.parametrize("kind", ["text", "texts", "words"])
def test_a_search_keeps_the_rules(models, kind):
    model, rules = models[kind], RULES[kind]
    free = model.best_continuations(PROMPTS[kind], 7, 4)
    found = model.best_continuations(PROMPTS[kind], 7, 4, sampling=rules)
    assert found != free
    for written, score in found:
        assert np.isfinite(score)
        assert len(written) >= max(rules.min_steps, 1 + max(rules.forced))
        for step, symbol in rules.forced.items():
            assert written[step] == symbol
        drawn = [s for i, s in enumerate(written) if i not in rules.forced]
        assert not set(drawn) & set(rules.forbidden)


def test_a_search_of_several_prompts_is_that_of_each(models):
    model = models["words"]
    found = model.best_continuations([["the"], ["a", "dog"]], 4, 3)
    for prompt, best in zip([["the"], ["a", "dog"]], found, strict=True):
        alone = model.best_continuations(prompt, 4, 3)
        assert [row for row, _ in best] == [row for row, _ in alone]
        np.testing.assert_allclose(
            [s for _, s in best], [s for _, s in alone], atol=1e-5
        )


def test_a_search_draws_nothing_and_has_no_frames(models):
    with pytest.raises(ValueError, match="does not go with temperature and top_k"):
        models["text"].best_continuations(sampling=Sampling(0.5, 3))
    with pytest.raises(ValueError, match=r"sample\(temperature=0\)"):
        models["frames"].best_continuations()
    for options in ({"n": 0}, {"beam_width": 0}, {"n_steps": 0}):
        with pytest.raises(ValueError, match="must be a whole number from 1"):
            models["text"].best_continuations(**options)
