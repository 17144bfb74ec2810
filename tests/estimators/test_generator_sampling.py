"""What a generator writes: how a symbol is drawn, and how a continuation runs."""

from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch
from sampling_models import (
    KINDS,
    PROMPTS,
    SHARES,
    TEXT,
    TEXTS,
    WORDS,
    assert_drawn_from,
    assert_same,
    fit_models,
    frames,
    generator,
    logits_of,
)

from sklearn_rnn import InvalidSequenceError, Sampling


@pytest.fixture(scope="module")
def models():
    return fit_models()


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


@pytest.mark.thorough
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


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_several_continuations_are_a_list_and_not_all_the_same(models, kind):
    found = models[kind].sample(PROMPTS[kind], 20, n=3, random_state=0)
    assert isinstance(found, list)
    assert len(found) == 3
    assert type(found[0]) is type(models[kind].sample(PROMPTS[kind], 20))
    assert not all(np.array_equal(found[0], other) for other in found[1:])
    (alone,) = models[kind].sample(PROMPTS[kind], 20, n=1, random_state=0)
    assert_same(alone, models[kind].sample(PROMPTS[kind], 20, random_state=0))


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_several_sequences_end_by_themselves_and_a_single_one_never_does(models):
    written = models["texts"].sample(n_steps=500, n=10, random_state=0)
    assert all(len(text) < 500 for text in written)
    assert sum(1 for _ in models["texts"].stream(random_state=0)) < 500
    assert len(models["text"].sample(n_steps=500, random_state=0)) == 500
    assert len(list(islice(models["text"].stream(random_state=0), 500))) == 500
    one_in_a_list = generator().fit([TEXT])
    assert len(one_in_a_list.sample(n_steps=300, random_state=0)) == 300
    assert len(models["frames"].sample(n_steps=300)) == 300


@pytest.mark.thorough
def test_ends_come_where_they_came_in_the_data():
    model = generator(max_epochs=80, learning_rate=0.02).fit(["abc", "de", "fghi"] * 5)
    assert model.sample("a", temperature=0) == "bc"
    assert model.sample("d", temperature=0) == "e"
    assert model.sample("fghi", temperature=0) == ""
    assert list(model.stream("de", temperature=0)) == []
    written = model.sample(temperature=0.2, n=30, random_state=0)
    assert set(written) == {"abc", "de", "fghi"}


@pytest.mark.thorough
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


@pytest.mark.thorough
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
