from itertools import groupby, product

import numpy as np
import pytest
import torch

from sklearn_rnn.modules import (
    ctc_log_probability,
    fit_ngram,
    greedy_paths,
    prefix_beam_search,
    word_list_automaton,
)


def random_frames(seed, n_clips, n_frames, n_symbols, scale=1.5):
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(n_clips, n_frames, 1 + n_symbols))
    return logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)


def read(path):
    """Collapse repeats, then drop blanks."""
    return tuple(c - 1 for c, _ in groupby(int(c) for c in path) if c > 0)


def brute_force(clip, automata=(), insertion_bonus=0.0):
    """Score everything that can be read, summed over all paths; best first."""
    probabilities = {}
    for path in product(range(clip.shape[1]), repeat=len(clip)):
        probability = np.exp(clip[np.arange(len(clip)), list(path)].sum())
        symbols = read(path)
        probabilities[symbols] = probabilities.get(symbols, 0.0) + probability
    scored = []
    for symbols, probability in probabilities.items():
        log_probability = np.log(probability) if probability > 0 else -np.inf
        score = log_probability + insertion_bonus * len(symbols)
        for automaton, weight in automata:
            scores, ends = automaton.follow(symbols)
            total = scores.sum() + ends[-1]
            score += weight * total if total > -np.inf else -np.inf
        if score > -np.inf:
            scored.append((score, log_probability, symbols))
    return sorted(scored, key=lambda entry: (-entry[0], len(entry[2]), entry[2]))


def make_automata(name, n_symbols):
    rng = np.random.default_rng(5)
    rows = [rng.integers(0, n_symbols, rng.integers(0, 5)) for _ in range(12)]
    ngram = fit_ngram(rows, n_symbols, 3)
    words = [[0], [0, 0, 0], [n_symbols - 1, 0]]
    separator = 1 if n_symbols == 3 else None
    word_list = word_list_automaton(words, n_symbols, separator)
    return {
        "none": (),
        "ngram": ((ngram, 0.7),),
        "words": ((word_list, 1.0),),
        "words without weight": ((word_list, 0.0),),
        "both": ((ngram, 0.4), (word_list, -0.5)),
    }[name]


def assert_equal_transcripts(found, expected):
    assert len(found) == len(expected)
    for transcript, (score, log_probability, symbols) in zip(
        found, expected, strict=True
    ):
        assert tuple(transcript.symbols) == symbols
        assert transcript.symbols.dtype == np.int64
        assert transcript.score == pytest.approx(score, rel=1e-12, abs=1e-12)
        assert transcript.log_probability == pytest.approx(
            log_probability, rel=1e-12, abs=1e-12
        )


@pytest.mark.thorough
@pytest.mark.parametrize("insertion_bonus", [0.0, 1.5, -2.0])
@pytest.mark.parametrize(
    "automata", ["none", "ngram", "words", "words without weight", "both"]
)
@pytest.mark.parametrize("n_symbols", [1, 2, 3])
def test_a_wide_beam_is_brute_force(n_symbols, automata, insertion_bonus):
    automata = make_automata(automata, n_symbols)
    lengths = np.array([3, 5, 1, 4, 5, 2])
    frames = random_frames(n_symbols, len(lengths), 5, n_symbols)
    found = prefix_beam_search(frames, lengths, 400, automata, insertion_bonus, 400)
    for clip, n, transcripts in zip(frames, lengths, found, strict=True):
        expected = brute_force(clip[:n], automata, insertion_bonus)
        assert_equal_transcripts(transcripts, expected)


@pytest.mark.thorough
@pytest.mark.parametrize("automata", ["none", "ngram", "both"])
def test_narrow_beams_never_score_above_brute_force(automata):
    automata = make_automata(automata, 3)
    frames = random_frames(1, 20, 5, 3)
    lengths = np.full(20, 5)
    expected = [brute_force(clip, automata, 0.5) for clip in frames]
    means = []
    for beam_width in (1, 2, 3, 8):
        found = prefix_beam_search(frames, lengths, beam_width, automata, 0.5, 8)
        for transcripts, entries in zip(found, expected, strict=True):
            scores = {symbols: score for score, _, symbols in entries}
            assert len(transcripts) <= beam_width
            for transcript in transcripts:
                best = scores[tuple(transcript.symbols)]
                assert transcript.score <= best + 1e-12
        means.append(np.mean([transcripts[0].score for transcripts in found]))
    assert means[0] < means[-1] <= np.mean([entries[0][0] for entries in expected])


def test_the_best_path_need_not_read_as_the_best_symbols():
    frames = np.log([[[0.6, 0.4], [0.6, 0.4]]])
    lengths = np.array([2])
    assert greedy_paths(frames, lengths)[0].tolist() == []
    for beam_width in (2, 10):
        ((best,),) = prefix_beam_search(frames, lengths, beam_width)
        assert best.symbols.tolist() == [0]
        # 0.4 * 0.4 + 2 * 0.6 * 0.4
        assert best.score == best.log_probability == pytest.approx(np.log(0.64))


def test_greedy_paths_collapse_repeats_and_drop_blanks():
    frames = random_frames(2, 50, 12, 2)
    lengths = np.random.default_rng(0).integers(0, 13, 50)
    found = greedy_paths(frames, lengths)
    assert len(found) == 50
    for clip, n, symbols in zip(frames, lengths, found, strict=True):
        assert tuple(symbols) == read(clip[:n].argmax(1))
        assert symbols.dtype == np.int64


def sure(path, n_classes):
    """Give each class of a path all but a little of its frame."""
    frames = np.full((1, len(path), n_classes), 1e-6)
    frames[0, np.arange(len(path)), path] = 1 - 1e-6 * (n_classes - 1)
    return np.log(frames)


@pytest.mark.parametrize("beam_width", [1, 2, 20])
@pytest.mark.parametrize(
    "path", [[1, 1, 1], [1, 0, 1], [1, 2, 1], [0, 0, 0], [2, 2, 0, 0, 2, 1, 1], [3]]
)
def test_repeated_symbols_need_a_blank_between_them(path, beam_width):
    frames = sure(path, 4)
    lengths = np.array([len(path)])
    assert tuple(greedy_paths(frames, lengths)[0]) == read(path)
    ((best,),) = prefix_beam_search(frames, lengths, beam_width)
    assert tuple(best.symbols) == read(path)
    assert best.log_probability == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("beam_width", [1, 2, 50])
def test_certain_frames_give_neither_nan_nor_warning(beam_width):
    path = [0, 1, 1, 0, 1, 3]
    frames = np.full((1, 6, 4), -np.inf)
    frames[0, np.arange(6), path] = 0.0
    for automata in ((), *(make_automata(a, 3) for a in ("ngram", "both"))):
        (found,) = prefix_beam_search(frames, [6], beam_width, automata, n_best=9)
        for transcript in found:
            assert not np.isnan(transcript.score)
    (found,) = prefix_beam_search(frames, [6], beam_width, n_best=9)
    assert [(tuple(f.symbols), f.score) for f in found] == [((0, 0, 2), 0.0)]
    blank = np.full((1, 3, 4), -np.inf)
    blank[:, :, 0] = 0.0
    (found,) = prefix_beam_search(blank, [3], beam_width, n_best=9)
    assert [(tuple(f.symbols), f.score) for f in found] == [((), 0.0)]


def test_zeros_among_probabilities_are_brute_force_too():
    rng = np.random.default_rng(3)
    for _ in range(10):
        frames = rng.random((1, 4, 4)) * (rng.random((1, 4, 4)) < 0.6)
        frames[:, :, 0] += 0.1
        with np.errstate(divide="ignore"):
            frames = np.log(frames / frames.sum(2, keepdims=True))
            expected = brute_force(frames[0])
        (found,) = prefix_beam_search(frames, [4], 400, n_best=400)
        assert_equal_transcripts(found, expected)


@pytest.mark.parametrize("beam_width", [1, 3, 30])
@pytest.mark.parametrize("automata", ["none", "ngram", "both"])
def test_a_clip_depends_on_no_other_and_on_no_padding(automata, beam_width):
    automata = make_automata(automata, 3)
    lengths = np.array([7, 40, 1, 23, 40, 12, 0])
    frames = random_frames(4, 7, 40, 3)
    options = beam_width, automata, 0.3, 5
    together = prefix_beam_search(frames, lengths, *options)
    padded = frames.copy()
    for clip, n in zip(padded, lengths, strict=True):
        clip[n:] = np.nan
    order = [3, 6, 0, 1, 5, 2, 4]
    shuffled = prefix_beam_search(padded[order], lengths[order], *options)
    for place, i in enumerate(order):
        (alone,) = prefix_beam_search(frames[[i], : lengths[i]], lengths[[i]], *options)
        for other in (together[i], shuffled[place]):
            assert len(alone) == len(other)
            for one, two in zip(alone, other, strict=True):
                np.testing.assert_equal(one._asdict(), two._asdict())
    assert together[6][0].symbols.tolist() == []


def test_ties_go_to_the_shorter_and_to_the_smaller_symbol():
    frames = np.log(np.full((2, 1, 4), 0.25))
    for beam_width in (1, 2, 4, 9):
        for found in prefix_beam_search(frames, [1, 1], beam_width, n_best=9):
            written = [tuple(transcript.symbols) for transcript in found]
            assert written == [(), (0,), (1,), (2,)][:beam_width]
    # 00 has one path of three; the others, with six, come in order.
    frames = np.log(np.full((1, 3, 3), 1 / 3))
    (found,) = prefix_beam_search(frames, [3], 100, n_best=100)
    keys = [(-round(f.score, 9), len(f.symbols), tuple(f.symbols)) for f in found]
    assert len(set(keys)) == len(brute_force(frames[0]))
    assert [key[:2] for key in keys] == sorted(key[:2] for key in keys)


def test_of_many_equals_the_smaller_symbols_are_ahead():
    frames = np.log(np.full((1, 1, 41), 1 / 41))
    for beam_width in (7, 41, 60):
        (found,) = prefix_beam_search(frames, [1], beam_width, n_best=60)
        written = [tuple(transcript.symbols) for transcript in found]
        assert written == [(), *((v,) for v in range(40))][:beam_width]


@pytest.mark.parametrize("beam_width", [2, 3, 4])
def test_at_the_edge_of_the_beam_the_shorter_stays(beam_width):
    with np.errstate(divide="ignore"):
        frames = np.log([[[0.25, 0.5, 0, 0.25], [0.5, 0.25, 0.25, 0]]])
    (found,) = prefix_beam_search(frames, [2], beam_width, n_best=4)
    # 0 1 is as likely as nothing and 2, and continues what was the best.
    expected = [(0,), (), (2,), (0, 1)][:beam_width]
    assert [tuple(transcript.symbols) for transcript in found] == expected
    assert len({transcript.score for transcript in found[1:]}) == 1


def test_fewer_are_found_where_no_more_exist():
    frames = random_frames(0, 1, 2, 1)
    (found,) = prefix_beam_search(frames, [2], 3, n_best=50)
    # Two frames cannot hold 00, which takes a blank between.
    assert sorted(tuple(transcript.symbols) for transcript in found) == [(), (0,)]


def test_single_precision_is_read_as_double():
    frames = random_frames(6, 3, 9, 4).astype(np.float32)
    options = [9, 5, 7], 10, (), 0.0, 3
    found = prefix_beam_search(frames, *options)
    expected = prefix_beam_search(frames.astype(np.float64), *options)
    for one, two in zip(found, expected, strict=True):
        for left, right in zip(one, two, strict=True):
            np.testing.assert_equal(left._asdict(), right._asdict())


def test_searching_leaves_the_frames_as_they_are():
    frames = random_frames(6, 3, 9, 4)
    before = frames.copy()
    prefix_beam_search(frames, [9, 9, 9], 10)
    np.testing.assert_array_equal(frames, before)


def test_a_prefix_that_was_dropped_and_comes_back_is_merged():
    """Long clips and narrow beams: nothing may be in a beam twice."""
    for seed in range(5):
        frames = random_frames(seed, 4, 60, 2, scale=0.7)
        for found in prefix_beam_search(frames, [60] * 4, 12, n_best=12):
            written = {tuple(transcript.symbols) for transcript in found}
            assert len(written) == len(found) == 12


def test_log_probabilities_of_a_beam_near_those_of_all_paths_from_below():
    frames = random_frames(8, 6, 20, 3, scale=3.0)
    gaps = []
    for beam_width in (5, 50, 500):
        found = prefix_beam_search(frames, [20] * 6, beam_width)
        best = [transcripts[0] for transcripts in found]
        exact = [
            ctc_log_probability(clip, transcript.symbols)
            for clip, transcript in zip(frames, best, strict=True)
        ]
        lacking = np.array(exact) - [transcript.log_probability for transcript in best]
        assert (lacking > -1e-12).all()
        gaps.append(lacking.max())
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.01


def test_no_clips_give_no_transcripts():
    assert prefix_beam_search(np.zeros((0, 3, 4)), [], 10) == []
    assert greedy_paths(np.zeros((0, 3, 4)), []) == []


def test_the_bonus_makes_transcripts_longer_and_the_ngram_changes_them():
    frames = random_frames(9, 10, 20, 3)
    lengths = np.full(10, 20)

    def mean_length(**options):
        found = prefix_beam_search(frames, lengths, 20, **options)
        return np.mean([len(best.symbols) for (best,) in found])

    plain = mean_length()
    assert mean_length(insertion_bonus=2.0) > plain > mean_length(insertion_bonus=-2.0)
    only_0 = fit_ngram([[0, 0, 0, 0]] * 100, 3, 2)
    for (best,) in prefix_beam_search(frames, lengths, 50, ((only_0, 5.0),)):
        assert set(best.symbols) <= {0}


def test_what_an_automaton_forbids_is_never_written():
    frames = random_frames(10, 10, 15, 3)
    for weight in (2.0, 0.0, -1.0):
        word_list = word_list_automaton([[0, 1], [1, 1, 0]], 3, separator=2)
        found = prefix_beam_search(frames, [15] * 10, 40, ((word_list, weight),))
        for (best,) in found:
            words = "".join(map(str, best.symbols)).split("2")
            assert set(words) <= {"01", "110"} or words == [""]


def test_where_nothing_may_end_the_best_prefix_is_cut():
    # A beam of one follows 0 2 1, which is no word: 0 2 0 is.
    frames = sure([1, 3, 2], 4)
    word_list = word_list_automaton([[0], [0, 2, 1, 1]], 3)
    ((cut,),) = prefix_beam_search(frames, [3], 1, ((word_list, 1.0),), 0.5)
    assert cut.symbols.tolist() == [0]
    exact = ctc_log_probability(frames[0], np.array([0]))
    assert cut.log_probability == pytest.approx(exact, rel=1e-12)
    assert cut.score == pytest.approx(exact + 0.5, rel=1e-12)
    # Nothing but the empty beginning may end.
    word_list = word_list_automaton([[0, 2, 1, 1]], 3)
    ((cut,),) = prefix_beam_search(frames, [3], 1, ((word_list, 1.0),), 0.5)
    assert cut.symbols.tolist() == []
    blanks = frames[0, :, 0].sum()
    assert cut.score == cut.log_probability == pytest.approx(blanks, rel=1e-12)


def test_the_best_prefix_is_cut_not_the_shortest():
    frames = np.log([[[0.04, 0.5, 0.03, 0.4, 0.03], [0.03, 0.02, 0.59, 0.33, 0.03]]])
    word_list = word_list_automaton([[0], [0, 1, 1], [2, 0, 0]], 4, separator=3)
    # The beam of two holds 0 1, the better one, and 2.
    ((cut,),) = prefix_beam_search(frames, [2], 2, ((word_list, 1.0),), n_best=2)
    assert cut.symbols.tolist() == [0]


@pytest.mark.parametrize("beam_width", [1, 4])
def test_where_nothing_can_be_read_at_all_nothing_is(beam_width):
    frames = np.full((3, 2, 3), -np.inf)
    frames[:2, :, 2] = 0.0  # certainly symbol 1, which is no word
    frames[1, 0] = [-np.inf, 0.0, -np.inf]  # after a word
    frames[2] = np.log([0.2, 0.6, 0.2])
    automata = ((word_list_automaton([[0]], 2), 1.0),)
    *dead, (best,) = prefix_beam_search(frames, [2, 2, 2], beam_width, automata)
    for (nothing,) in dead:
        assert nothing.symbols.tolist() == []
        assert nothing.score == nothing.log_probability == -np.inf
    assert best.symbols.tolist() == [0]


@pytest.mark.parametrize(
    "symbols",
    [[], [0], [0, 0], [0, 1, 0], [2, 2, 2, 2], [0, 1, 1, 2, 2, 0], [3, 1, 2, 0, 3, 1]],
)
def test_ctc_log_probabilities_are_those_of_torch(symbols):
    for seed, n_frames in product(range(3), (8, 11, 30)):
        frames = random_frames(seed, 1, n_frames, 4)
        loss = torch.nn.functional.ctc_loss(
            torch.from_numpy(frames).transpose(0, 1),
            torch.tensor([symbols], dtype=torch.long) + 1,
            torch.tensor([n_frames]),
            torch.tensor([len(symbols)]),
            reduction="none",
        )
        found = ctc_log_probability(frames[0], np.array(symbols, dtype=np.int64))
        assert found == pytest.approx(-float(loss), rel=1e-10, abs=1e-10)


def test_ctc_log_probabilities_are_brute_force():
    for seed, n_frames in product(range(3), range(5)):
        clip = random_frames(seed, 1, n_frames, 2)[0]
        entries = {symbols: p for _, p, symbols in brute_force(clip)}
        for n in range(n_frames + 2):
            for symbols in product(range(2), repeat=n):
                expected = entries.get(symbols, -np.inf)
                found = ctc_log_probability(clip, symbols)
                assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
