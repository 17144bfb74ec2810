"""What a generator writes: how a symbol is drawn, and how a continuation runs."""

from itertools import islice, product

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

from sklearn_rnn import InvalidSequenceError, RNNGenerator, Sampling

SHARES = np.array([0.05, 0.4, 0.1, 0.25, 0.2])
TEXT = "the cat sat on the mat, the rat sat on the hat. " * 6
ABC = "abcabbca" * 6
TEXTS = ["abcab", "bcabca", "cab", "abcabcab", "bca"] * 4
WORDS = [["the", "cat", "sat"], ["a", "dog", "sat", "down"]] * 6
SMALL = {
    "hidden_size": 8,
    "embedding_dim": 4,
    "max_epochs": 3,
    "bptt_steps": 20,
    "batch_size": 8,
    "random_state": 0,
}


def generator(**options):
    return RNNGenerator(**{**SMALL, **options})


def frames(seed=0):
    return np.random.default_rng(seed).integers(0, 2, size=(6, 9, 4))


@pytest.fixture(scope="module")
def models():
    return {
        "text": generator().fit(TEXT),
        "texts": generator().fit(TEXTS),
        "words": generator().fit(WORDS),
        "frames": generator().fit(frames()),
    }


KINDS = ["text", "texts", "words", "frames"]
PROMPTS = {"text": "the c", "texts": "ab", "words": ["the"], "frames": frames()[0]}


def logits_of(shares):
    with np.errstate(divide="ignore"):
        return np.log(np.atleast_2d(shares))


def assert_drawn_from(expected, shares=SHARES, never=(), **options):
    found = Sampling(**options).probabilities(logits_of(shares), never)
    np.testing.assert_allclose(found, [expected], rtol=1e-12, atol=1e-15)


# Which probabilities are drawn from.


def test_a_temperature_of_1_draws_from_what_was_learned():
    assert_drawn_from(SHARES)
    # Logits are not normalised.
    found = Sampling().probabilities(logits_of(SHARES) + 3.0)
    np.testing.assert_allclose(found, [SHARES], rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.25, 0.5, 2.0, 10.0])
def test_a_temperature_is_a_power_of_the_probabilities(temperature):
    powers = SHARES ** (1 / temperature)
    assert_drawn_from(powers / powers.sum(), temperature=temperature)


@pytest.mark.parametrize("temperature", [0, 0.0, 1e-12, 1e-320])
def test_a_temperature_of_or_near_0_takes_the_likeliest(temperature):
    assert_drawn_from([0, 1, 0, 0, 0], temperature=temperature)


def test_at_a_temperature_of_0_the_first_of_the_likeliest_is_taken():
    assert_drawn_from([0, 1, 0, 0], [0.2, 0.3, 0.3, 0.2], temperature=0)


def test_a_huge_temperature_draws_from_all_alike():
    assert_drawn_from(np.full(5, 0.2), temperature=1e300)


@pytest.mark.parametrize(
    "top_k, kept",
    [(1, [1]), (2, [1, 3]), (3, [1, 3, 4]), (5, range(5)), (10**6, range(5))],
)
def test_top_k_keeps_the_k_likeliest(top_k, kept):
    expected = np.zeros(5)
    expected[list(kept)] = SHARES[list(kept)]
    assert_drawn_from(expected / expected.sum(), top_k=top_k)


def test_top_k_keeps_exactly_k_where_probabilities_are_equal():
    assert_drawn_from([0.5, 0.5, 0, 0], [0.25] * 4, top_k=2)
    assert_drawn_from([0.2, 0.6, 0.2, 0], [0.1, 0.3, 0.1, 0.1], top_k=3)


@pytest.mark.parametrize(
    "top_p, kept",
    [
        (1e-300, [1]),
        (0.39, [1]),
        (0.4, [1]),
        (0.41, [1, 3]),
        (0.65, [1, 3]),
        (0.66, [1, 3, 4]),
        (0.95, [1, 2, 3, 4]),
        (0.96, range(5)),
        (1, range(5)),
        (1.0, range(5)),
    ],
)
def test_top_p_keeps_the_fewest_that_reach_p_together(top_p, kept):
    expected = np.zeros(5)
    expected[list(kept)] = SHARES[list(kept)]
    assert_drawn_from(expected / expected.sum(), top_p=top_p)


def test_top_p_of_1_keeps_even_what_is_next_to_impossible():
    shares = np.array([1 - 1e-14, 1e-14])
    assert_drawn_from(shares, shares, top_p=1.0)


def test_top_p_takes_the_first_of_equals():
    assert_drawn_from([0.5, 0.5, 0, 0], [0.25] * 4, top_p=0.5)
    assert_drawn_from([1, 0, 0, 0], [0.25] * 4, top_p=0.2)


def test_top_p_counts_after_top_k_and_after_the_temperature():
    # Of the three likeliest 0.4, 0.25, 0.2 the first two are 0.76.
    assert_drawn_from([0, 0.4 / 0.65, 0, 0.25 / 0.65, 0], top_k=3, top_p=0.7)
    assert_drawn_from([0, 0.4 / 0.85, 0, 0.25 / 0.85, 0.2 / 0.85], top_k=3, top_p=0.77)
    # Squared and renormalised, the likeliest alone has more than half.
    assert_drawn_from([0, 1, 0, 0, 0], temperature=0.5, top_p=0.5)


def test_what_is_never_drawn_has_no_probability_and_the_others_share_its():
    expected = np.array([0.05, 0, 0.1, 0.25, 0.2]) / 0.6
    assert_drawn_from(expected, never=[1])
    assert_drawn_from([0, 0, 0, 1, 0], never=[1], temperature=0)
    assert_drawn_from([0, 0, 0, 1, 0], never=[1], top_k=1)
    assert_drawn_from([0, 0, 0, 1, 0], never=[1], top_p=0.1)


def test_each_row_is_drawn_by_itself():
    rows = np.array([SHARES, SHARES[::-1]])
    found = Sampling(top_k=2).probabilities(logits_of(rows))
    np.testing.assert_allclose(found[1], found[0][::-1])


# Draws.


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.6, "top_k": 4}]
)
def test_frequencies_are_the_probabilities(options):
    sampling, n = Sampling(**options), 100_000
    logits = np.broadcast_to(logits_of(SHARES), (n, 5))
    drawn = sampling.draw(logits, np.random.RandomState(0), never=[2])
    expected = sampling.probabilities(logits[:1], never=[2])[0]
    frequencies = np.bincount(drawn, minlength=5) / n
    # Six standard deviations of a frequency.
    spread = 6 * np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(frequencies - expected) <= spread).all()
    assert frequencies[2] == 0


@pytest.mark.parametrize("drawn", [0.0, 0.5, 1 - 2**-53])
def test_draws_at_the_edge_never_hit_what_has_no_probability(drawn):
    class Edge:
        def random_sample(self, n):
            return np.full(n, drawn)

    shares = [0, 0.1, 0, 0.7, 0.2, 0]
    assert np.take(shares, Sampling().draw(logits_of(shares), Edge()))[0] > 0
    never = np.take(
        shares, Sampling().draw(logits_of([1] * 6), Edge(), never=[0, 2, 5])
    )
    assert never[0] > 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_features_of_frames_are_drawn_each_by_itself(temperature):
    chances, n = np.array([0.1, 0.5, 0.9]), 100_000
    logits = np.broadcast_to(np.log(chances / (1 - chances)), (n, 3))
    sampling = Sampling(temperature=temperature)
    drawn = sampling.draw_frames(logits, np.random.RandomState(0))
    assert drawn.dtype == np.uint8
    assert set(np.unique(drawn)) == {0, 1}
    ones, zeros = chances ** (1 / temperature), (1 - chances) ** (1 / temperature)
    expected = ones / (ones + zeros)
    spread = 6 * np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(drawn.mean(axis=0) - expected) <= spread).all()
    together = (drawn[:, 0] * drawn[:, 1]).mean()
    assert together == pytest.approx(expected[0] * expected[1], abs=0.01)


@pytest.mark.parametrize("temperature", [0, 1e-320])
def test_frames_at_a_temperature_of_or_near_0_have_what_is_likelier(temperature):
    logits = np.array([[-1e-3, 1e-3, -50.0, 50.0]])
    drawn = Sampling(temperature=temperature).draw_frames(
        logits, np.random.RandomState(0)
    )
    np.testing.assert_array_equal(drawn, [[0, 1, 0, 1]])


BAD = {
    "temperature": [-1, -1e-9, True, np.nan, np.inf, "1", None, [1.0], np.array(1.0)],
    "top_k": [0, -1, 1.0, True, "3", np.nan, [3]],
    "top_p": [0, 0.0, -0.1, 1.01, True, np.nan, "0.9", [0.9]],
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("kind", ["text", "frames"])
def test_options_outside_their_range_are_refused(models, kind, name):
    for value in BAD[name]:
        with pytest.raises(ValueError, match=f"{name}=.* must be a"):
            models[kind].sample(**{name: value})
        with pytest.raises(ValueError, match=f"{name}=.* must be a"):
            models[kind].stream(**{name: value})


@pytest.mark.parametrize("value", [0, -1, 1.5, 2.0, True, "3"])
def test_counts_that_are_no_whole_numbers_from_1_are_refused(models, value):
    model = models["text"]
    for call, name in [
        (lambda: model.sample(n_steps=value), "n_steps"),
        (lambda: model.sample(n=value), "n"),
        (lambda: model.stream(n_steps=value), "n_steps"),
        (lambda: model.next_symbols(k=value), "k"),
    ]:
        with pytest.raises(ValueError, match=f"^{name}=.* must be a whole number"):
            call()
    with pytest.raises(ValueError, match="n_steps=None"):
        model.sample(n_steps=None)


def test_numpys_numbers_are_numbers(models):
    found = models["text"].sample(
        n_steps=np.int64(5),
        temperature=np.float32(0.5),
        top_k=np.int32(3),
        top_p=np.float64(0.9),
        n=np.int8(2),
    )
    assert [len(text) for text in found] == [5, 5]


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 1},
        {"top_p": 1.0},
        {"min_p": 0.1},
        {"typical_p": 0.9},
        {"repetition_penalty": 1.2},
        {"repetition_window": 3},
    ],
)
def test_options_that_choose_among_symbols_are_refused_for_frames(models, options):
    name, model = next(iter(options)), models["frames"]
    for write in (model.sample, model.stream):
        with pytest.raises(ValueError, match=f"frames do not go with {name}, which"):
            write(sampling=Sampling(**options))
    both = Sampling(top_k=2, min_p=0.1)
    with pytest.raises(ValueError, match="go with top_k and min_p, which choose"):
        model.sample(sampling=both)


# What is written.


def assert_same(first, second):
    assert type(first) is type(second)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_writes_the_same_again_and_another_writes_something_else(models, kind):
    model = models[kind]
    first, again, other = (
        model.sample(PROMPTS[kind], 30, random_state=seed) for seed in (3, 3, 4)
    )
    assert_same(first, again)
    assert not np.array_equal(first, other)


def test_without_a_seed_every_call_writes_something_else(models):
    assert models["text"].sample(n_steps=50) != models["text"].sample(n_steps=50)


def test_an_instance_of_random_state_goes_on_from_call_to_call(models):
    model, source = models["text"], np.random.RandomState(0)
    first, second = (model.sample(n_steps=30, random_state=source) for _ in range(2))
    assert first == model.sample(n_steps=30, random_state=0)
    assert first != second


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"temperature": 0.3}, {"temperature": 0}])
def test_stream_writes_what_sample_writes(models, kind, options):
    model, prompt = models[kind], PROMPTS[kind]
    whole = model.sample(prompt, 25, random_state=1, **options)
    parts = list(model.stream(prompt, 25, random_state=1, **options))
    if kind in ("text", "texts"):
        assert all(len(character) == 1 for character in parts)
        assert "".join(parts) == whole
    else:
        np.testing.assert_array_equal(np.array(parts), np.array(whole))


def test_stream_passes_top_k_and_top_p_on(models):
    model = models["text"]
    for options in ({"top_k": 2}, {"top_p": 0.3}):
        whole = model.sample(n_steps=25, random_state=1, **options)
        assert "".join(model.stream(None, 25, random_state=1, **options)) == whole
        assert whole != model.sample(n_steps=25, random_state=1)


def test_two_streams_do_not_disturb_each_other(models):
    model = models["text"]
    streams = [model.stream(prompt, 20, random_state=7) for prompt in ("the", "mat")]
    pairs = zip(*streams, strict=True)
    together = ["".join(texts) for texts in zip(*pairs, strict=True)]
    expected = [model.sample(p, 20, random_state=7) for p in ("the", "mat")]
    assert together == expected


@pytest.mark.parametrize("kind", ["text", "texts", "words"])
def test_a_temperature_of_0_follows_the_likeliest_symbol_step_by_step(models, kind):
    model, prompt = models[kind], PROMPTS[kind]
    written = model.sample(prompt, 12, temperature=0)
    so_far = prompt
    for symbol in written:
        (likeliest, _), *_ = model.next_symbols(so_far, k=1)
        assert likeliest == symbol
        so_far = so_far + ([symbol] if kind == "words" else symbol)
    again = model.sample(prompt, 12, temperature=0, random_state=5)
    assert_same(written, again)


def test_frames_at_a_temperature_of_0_have_what_is_likelier_than_not(models):
    model, so_far = models["frames"], frames()[0]
    for frame in model.sample(so_far, 6, temperature=0):
        chances = dict(model.next_symbols(so_far, k=4))
        assert [int(chances[i] > 0.5) for i in range(4)] == frame.tolist()
        so_far = np.vstack([so_far, frame])


@pytest.mark.parametrize("kind", KINDS)
def test_several_continuations_are_a_list_and_not_all_the_same(models, kind):
    found = models[kind].sample(PROMPTS[kind], 20, n=3, random_state=0)
    assert isinstance(found, list)
    assert len(found) == 3
    assert type(found[0]) is type(models[kind].sample(PROMPTS[kind], 20))
    assert not all(np.array_equal(found[0], other) for other in found[1:])
    (alone,) = models[kind].sample(PROMPTS[kind], 20, n=1, random_state=0)
    assert_same(alone, models[kind].sample(PROMPTS[kind], 20, random_state=0))


@pytest.mark.parametrize("cell, n_layers", [("lstm", 2), ("rnn", 1), ("gru", 3)])
def test_each_of_several_continuations_follows_from_its_own_past(cell, n_layers):
    model = generator(cell=cell, n_layers=n_layers, residual=True).fit(TEXT)
    for text in model.sample("the", 10, n=4, top_k=2, random_state=0):
        for i in range(len(text)):
            likeliest = [s for s, _ in model.next_symbols("the" + text[:i], k=2)]
            assert text[i] in likeliest


def test_what_comes_back_is_of_the_kind_given_in_fit(models):
    assert isinstance(models["text"].sample(n_steps=5), str)
    assert len(models["text"].sample(n_steps=5)) == 5
    assert isinstance(models["texts"].sample(n_steps=5), str)
    written = models["words"].sample(n_steps=5, random_state=0)
    assert isinstance(written, list)
    assert {type(word) for word in written} == {str}
    written = models["frames"].sample(n_steps=5)
    assert written.shape == (5, 4)
    assert written.dtype == np.uint8
    frame = next(models["frames"].stream())
    assert frame.shape == (4,)


def test_symbols_come_back_as_they_were_given():
    chords = [[(60, 64, 67), (62,)], [(62,), (60, 64, 67), None, True]] * 4
    model = generator().fit(chords)
    assert model.symbols_.shape == (4,)
    assert set(model.symbols_) == {(60, 64, 67), (62,), None, True}
    assert set(model.sample(n_steps=200, random_state=0)) <= set(model.symbols_)


def test_symbols_are_those_of_the_data_the_most_frequent_first(models):
    for kind, X in [("text", [TEXT]), ("texts", TEXTS), ("words", WORDS)]:
        symbols = models[kind].symbols_
        assert symbols.dtype == object
        assert models[kind].n_symbols_ == len(symbols)
        counts = [sum(list(row).count(symbol) for row in X) for symbol in symbols]
        assert counts == sorted(counts, reverse=True)
        assert set(symbols) == {symbol for row in X for symbol in row}
    assert models["frames"].symbols_ is None
    assert models["frames"].n_symbols_ is None


def test_several_sequences_end_by_themselves_and_a_single_one_never_does(models):
    written = models["texts"].sample(n_steps=500, n=10, random_state=0)
    assert all(len(text) < 500 for text in written)
    assert sum(1 for _ in models["texts"].stream(random_state=0)) < 500
    assert len(models["text"].sample(n_steps=500, random_state=0)) == 500
    assert len(list(islice(models["text"].stream(random_state=0), 500))) == 500
    one_in_a_list = generator().fit([TEXT])
    assert len(one_in_a_list.sample(n_steps=300, random_state=0)) == 300
    assert len(models["frames"].sample(n_steps=300)) == 300


def test_ends_come_where_they_came_in_the_data():
    model = generator(max_epochs=80, learning_rate=0.02).fit(["abc", "de", "fghi"] * 5)
    assert model.sample("a", temperature=0) == "bc"
    assert model.sample("d", temperature=0) == "e"
    assert model.sample("fghi", temperature=0) == ""
    assert list(model.stream("de", temperature=0)) == []
    written = model.sample(temperature=0.2, n=30, random_state=0)
    assert set(written) == {"abc", "de", "fghi"}


def test_only_symbols_are_written_even_where_all_is_likely():
    model = generator(min_count=3, max_epochs=1).fit("aaabbbcccxyzabc")
    written = model.sample(n_steps=300, temperature=1e9, random_state=0)
    assert set(written) == set("abc")


def test_unknown_symbols_in_a_prompt_are_read_as_the_unknown_one_that_was_learned():
    model = generator(min_count=2).fit(TEXT + "!?")
    assert model.sample("#", 9, random_state=0) == model.sample("@", 9, random_state=0)
    model = generator(max_symbols=4).fit(WORDS)
    found = model.next_symbols(["a", 17.5, ("cat",)], k=3)
    assert found == model.next_symbols(["a", "whale", "song"], k=3)


def test_a_prompt_with_symbols_never_seen_is_refused_and_they_are_named(models):
    for kind, prompt, said in [
        ("text", "the #cat@#", "the prompt holds '#', '@', which the data that RNNGen"),
        (
            "words",
            ["the", 17.5, ("cat",)],
            r"holds 17.5, \('cat',\), which .* not",
        ),
        ("text", "0123456789", "holds '0', '1', '2', '3', '4' and 5 others, which"),
        ("texts", "ab#", "fit with min_count=2 or max_symbols"),
    ]:
        model = models[kind]
        for read in (model.sample, model.stream, model.next_symbols):
            with pytest.raises(InvalidSequenceError, match=said):
                read(prompt)
        with pytest.raises(InvalidSequenceError, match=said):
            model.best_continuations(prompt)
    # min_count alone teaches nothing about unknown symbols where all are frequent.
    with pytest.raises(InvalidSequenceError, match="'#'"):
        generator(min_count=2).fit(TEXT).sample("#")


def test_a_later_fit_on_new_symbols_teaches_what_is_unknown():
    model = generator(warm_start=True).fit(TEXT)
    with pytest.raises(InvalidSequenceError, match="'#'"):
        model.sample("#")
    assert len(model.fit("## " + TEXT).sample("#", 5)) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_prompt_begins_anew(models, kind):
    model = models[kind]
    expected = model.sample(n_steps=10, random_state=0)
    empties = ["", np.zeros((0, 4))]
    if kind not in ("text", "texts"):  # where lists are lists of prompts
        empties += [[], (), np.array([])]
    for empty in empties:
        assert_same(model.sample(empty, 10, random_state=0), expected)


def test_prompts_are_read_from_every_kind_of_list(models):
    expected = models["words"].next_symbols(["the", "cat"])
    for kind in (tuple, np.array, pd.Series):
        assert models["words"].next_symbols(kind(["the", "cat"])) == expected
    frame = frames()[0]
    expected = models["frames"].next_symbols(frame)
    for prompt in (frame.tolist(), frame.astype(bool), pd.DataFrame(frame)):
        assert models["frames"].next_symbols(prompt) == expected


def test_a_prompt_longer_than_a_piece_is_read_whole(models):
    model = models["text"]
    prompt = (TEXT * 20)[:3000]
    encoded = torch.from_numpy(model._task.corpus.encode_prompt(prompt))[None]
    with torch.inference_mode():
        states, _ = model.module_.run(encoded)
        expected = model.module_.read(states[-1:])[0, 0].double().softmax(dim=0)
    for symbol, chance in model.next_symbols(prompt, k=3):
        place = 4 + model.symbols_.tolist().index(symbol)
        assert chance == pytest.approx(expected[place].item(), rel=1e-4)


class Thing:
    pass


@pytest.mark.parametrize(
    "prompt", [5, 1.5, True, b"the", {"the": 1}, iter("the"), Thing(), np.array("the")]
)
@pytest.mark.parametrize("kind", KINDS)
def test_prompts_of_the_wrong_kind_are_refused(models, kind, prompt):
    with pytest.raises(TypeError, match=r"the prompt is .*, but RNNGenerator was"):
        models[kind].sample(prompt)
    with pytest.raises(TypeError, match="the prompt is"):
        models[kind].stream(prompt)  # when it is called, not at the first symbol
    with pytest.raises(TypeError, match="the prompt is"):
        models[kind].next_symbols(prompt)


@pytest.mark.parametrize(
    "kind, prompt, wanted",
    [
        ("text", ["t", 5], "give a string"),
        ("text", frames()[0], "give a string"),
        ("words", "the cat", "give a list of symbols"),
        ("words", frames()[0], "give a list of symbols"),
        ("frames", "the", r"give an array of shape \(n_steps, 4\)"),
        ("frames", [0, 1, 1, 0], r"shape \(n_steps, 4\)"),
        ("frames", [[0, 1], [1]], r"shape \(n_steps, 4\)"),
        ("frames", frames()[np.newaxis], r"4-D.*shape \(n_steps, 4\)"),
    ],
)
def test_a_prompt_of_another_kind_is_told_the_right_one(models, kind, prompt, wanted):
    with pytest.raises(TypeError, match=wanted):
        models[kind].sample(prompt)


def test_prompts_that_cannot_be_read_are_told_why(models):
    for prompt, said in [
        (np.ones((3, 5)), "the prompt has frames of 5 features.* fitted with 4"),
        (np.full((2, 4), 0.5), "the prompt holds 0.5 at step 0, feature 0"),
        ([[0, 0, 1, np.nan]], "the prompt cannot be read: .*NaN"),
    ]:
        with pytest.raises(ValueError, match=said):
            models["frames"].sample(prompt)
    with pytest.raises(ValueError, match="NaN, which is no symbol"):
        models["words"].sample(["the", np.nan])
    with pytest.raises(TypeError, match="cannot be hashed"):
        models["words"].sample([["the"], "cat"])


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


def test_what_was_never_learned_may_be_forbidden(models):
    rules = Sampling(forbidden="#e")
    assert "e" not in models["text"].sample(n_steps=50, sampling=rules)


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
