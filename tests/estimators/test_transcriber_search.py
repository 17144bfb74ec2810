"""RNNTranscriber: how transcripts are searched for, and careless input."""

import math
import os
from itertools import product

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import (
    InvalidSequenceError,
    RNNTranscriber,
    SequenceArray,
    TargetWarning,
)
from sklearn_rnn.modules import fit_ngram


def speak(texts, letters="abc", noise=0.4, seed=0):
    """Return frames in which each letter sounds for a while, with pauses."""
    rng = np.random.default_rng(seed)
    X = []
    for text in texts:
        sounds = [0]
        for letter in text:
            sounds += [letters.index(letter) + 1] * rng.integers(2, 4) + [0]
        frames = np.eye(len(letters) + 1)[sounds]
        X.append(frames + rng.normal(0, noise, frames.shape))
    return X


def small(**options):
    options = {"hidden_size": 16, "max_epochs": 6, "random_state": 0, **options}
    return RNNTranscriber(learning_rate=0.01, **options)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    y = ["".join(rng.choice(list("abc"), k)) for k in rng.integers(1, 4, 80)]
    return small().fit(speak(y), y)


@pytest.fixture
def model(fitted):
    """Return the fitted model, with its search as it was."""
    names = ["beam_width", "ngram_order", "ngram_text", "ngram_weight"]
    names += ["word_list", "word_separator", "insertion_bonus"]
    before = {name: getattr(fitted, name) for name in names}
    yield fitted
    fitted.set_params(**before)


def all_transcripts(model, x):
    """Return the probability of every transcript, by all paths."""
    posteriors = model.posteriors([x])[0]
    found = {}
    for path in product(range(posteriors.shape[1]), repeat=len(posteriors)):
        before = (0, *path)
        ids = [c - 1 for b, c in zip(before, path, strict=False) if c not in (b, 0)]
        text = "".join(model.symbols_[ids])
        p = math.prod(posteriors[np.arange(len(path)), path])
        found[text] = found.get(text, 0.0) + p
    return found


def test_a_wide_beam_is_brute_force_over_all_paths(model):
    x = speak(["ab"], noise=2.0, seed=3)[0][:6]
    expected = all_transcripts(model, x)
    assert sum(expected.values()) == pytest.approx(1)
    (found,) = model.set_params(beam_width=400).predict_n_best([x], n=8)
    best = sorted(expected, key=expected.get, reverse=True)[:8]
    assert [text for text, _ in found] == best
    scores = [score for _, score in found]
    assert scores == pytest.approx([math.log(expected[t]) for t in best], abs=1e-9)
    assert model.predict([x])[0] == best[0]


def test_an_ngram_model_and_a_bonus_count_as_they_say(model):
    x = speak(["ab"], noise=2.0, seed=3)[0][:6]
    expected = all_transcripts(model, x)
    texts = ["bb", "bba", "bb"]
    order = {s: i for i, s in enumerate(model.symbols_)}
    rows = [row - 1 for row in model._task.written] + [
        [order[s] for s in text] for text in texts
    ]
    ngram = fit_ngram(rows, 3, 2)
    model.set_params(beam_width=400, ngram_order=2, ngram_text=texts)
    model.set_params(ngram_weight=0.7, insertion_bonus=0.3)
    for text, score in model.predict_n_best([x], n=10)[0]:
        written, ends = ngram.follow([order[s] for s in text])
        of_text = sum(written) + ends[-1]
        total = math.log(expected[text]) + 0.7 * of_text + 0.3 * len(text)
        assert score == pytest.approx(total, abs=1e-9)


def test_text_without_sound_says_what_is_likely(model):
    X = speak(["ab"] * 30, noise=3.0, seed=5)
    plain = sum(t == "ab" for t in model.set_params(beam_width=20).predict(X))
    model.set_params(ngram_order=3, ngram_text=["ab"] * 2000, ngram_weight=2.0)
    assert sum(t == "ab" for t in model.predict(X)) > plain + 10


def test_a_bonus_makes_transcripts_longer(model):
    X = speak(["abc", "ab", "c"] * 5, noise=2.0, seed=7)
    lengths = [
        sum(map(len, model.set_params(beam_width=10, insertion_bonus=b).predict(X)))
        for b in (-3.0, 0.0, 3.0)
    ]
    assert lengths[0] < lengths[1] < lengths[2]


def test_only_words_of_the_list_are_written(model):
    X = speak(["abc", "ab", "c", "bca", "aab"] * 4, noise=1.5, seed=8)
    words = ["ab", "bca", "zebra"]  # the last one cannot be written
    model.set_params(beam_width=20, word_list=words)
    assert set(model.predict(X)) <= {"", "ab", "bca"}
    model.set_params(word_separator=None)
    written = set(model.predict(speak(["abab", "bcaab", "ab"], noise=0.1)))
    assert written == {"abab", "bcaab", "ab"}


@pytest.mark.thorough
def test_words_are_separated_by_a_symbol_of_their_own():
    rng = np.random.default_rng(0)
    words = ["ab", "ba", "aab"]
    y = [" ".join(rng.choice(words, n)) for n in rng.integers(1, 4, 120)]
    X = speak(y, "ab ", noise=0.1)
    with pytest.warns(TargetWarning, match="spaces included"):
        model = small(max_epochs=10).fit(X, y)
    model.set_params(beam_width=20, word_list=["ab", "ba"])
    X = speak(["ab ba", "aab ab", "bb"], "ab ", noise=0.1, seed=4)
    written = model.predict(X)
    assert written[0] == "ab ba"
    assert all(set(text.split()) <= {"ab", "ba"} for text in written)
    model.set_params(word_list=["ab b"])
    with pytest.raises(ValueError, match=r"word_list holds 'ab b'"):
        model.predict(X)


def test_the_best_few_are_different_and_sorted(model):
    for found in model.predict_n_best(speak(["abc", "b"], noise=1.0), n=4):
        texts, scores = zip(*found, strict=True)
        assert len(set(texts)) == 4
        assert list(scores) == sorted(scores, reverse=True)


def test_what_is_transcribed_does_not_depend_on_company(model):
    X = speak(["a", "abcabc", "bc", "cab" * 9], noise=1.0)
    together = model.predict(X).tolist()
    assert [model.predict([x])[0] for x in X] == together
    assert model.predict(X[::-1]).tolist() == together[::-1]
    a = model.posteriors(X)[0]
    np.testing.assert_allclose(a, model.posteriors(X[:1])[0], atol=1e-5)


def test_posteriors_are_probabilities_of_every_frame(model):
    X = speak(["a", "abcabc"])
    for x, frames in zip(X, model.posteriors(X), strict=True):
        assert frames.shape == (len(x), 4)
        np.testing.assert_allclose(frames.sum(axis=1), 1)


@pytest.mark.parametrize("options", [{"ngram_order": 2}, {"word_list": ["ab"]}])
def test_constraints_without_a_beam_are_refused(model, options):
    with pytest.raises(ValueError, match="Set beam_width=10"):
        model.set_params(**options).predict(speak(["a"]))
    with pytest.raises(ValueError, match="Set beam_width=10"):
        small(**options).fit(speak(["a"]), ["a"])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"beam_width": 0}, ValueError, "beam_width"),
        ({"word_list": 3}, ValueError, "word_list"),
        ({"ngram_order": 0}, ValueError, "ngram_order"),
        ({"ngram_weight": -1.0}, ValueError, "ngram_weight"),
        ({"word_list": "ab"}, TypeError, "word_list is a single string"),
        ({"word_list": []}, ValueError, "word_list"),
        ({"word_list": ["xyz"]}, ValueError, "word_list has no word"),
        ({"word_list": [["a"]]}, TypeError, "word_list holds lists of symbols"),
        ({"ngram_order": 2, "ngram_text": "ab"}, ValueError, "ngram_text"),
        ({"insertion_bonus": np.inf}, ValueError, "insertion_bonus"),
    ],
)
def test_options_of_the_search_are_checked_when_they_are_used(
    model, options, error, words
):
    model.set_params(**{"beam_width": 5, **options})
    with pytest.raises(error, match=words):
        model.predict(speak(["a"]))


def test_too_few_frames_are_refused_with_the_clip_and_the_way_out():
    X, y = speak(["abc", "ab"]), ["abc", "ab"]
    X[1] = X[1][:3]
    with pytest.raises(InvalidSequenceError, match=r"X\[1\] has 3 frames, too few"):
        small().fit(X, ["abc", "abca"])
    with pytest.raises(InvalidSequenceError, match="equal neighbours, here 5"):
        small().fit(X, ["abc", "aaa"])
    with pytest.raises(
        InvalidSequenceError,
        match=r"X\[1\] has 3 frames, 1 with subsampling=3.*Lower subsampling",
    ):
        small(subsampling=3).fit(X, y)
    with pytest.raises(InvalidSequenceError, match=r"X_val\[0\] has 3 frames"):
        small().fit(X, y, X_val=X[1:], y_val=["abca"])
    with pytest.raises(InvalidSequenceError, match="2 clips are too short"):
        small().fit([X[1]] * 3, ["abca", "a", "abca"])


@pytest.mark.parametrize(
    ("X", "y", "error", "words"),
    [
        (speak(["a"]), None, ValueError, "requires y"),
        (speak(["a"]), "a", TypeError, "single string"),
        (speak(["a", "b"]), ["a"], ValueError, "X has 2 sequences, y has 1"),
        (speak(["a", "b"]), ["a", 3], ValueError, r"y\[1\] is of type int"),
        (speak(["a", "b"]), ["a", None], ValueError, r"y\[1\] is None"),
        (speak(["a", "b"]), ["", ""], ValueError, "nothing to learn"),
        (speak(["a", "b"]), ["a", ["b"]], ValueError, "of one kind"),
        (speak(["a"]), [[[1]]], TypeError, "cannot be hashed"),
        ([np.full((9, 2), np.nan)], ["a"], ValueError, "NaN"),
        ([np.zeros((9, 2)), np.zeros((9, 3))], ["a", "b"], ValueError, "features"),
        (["path.wav"], ["a"], ValueError, "strings"),
    ],
)
def test_bad_clips_and_transcripts_are_refused(X, y, error, words):
    with pytest.raises(error, match=words):
        small(max_epochs=1).fit(X, y)


def test_other_kinds_than_in_fit_are_refused(model):
    with pytest.raises(ValueError, match="expecting 4 features"):
        model.predict([np.zeros((5, 3))])
    with pytest.raises(TypeError, match="y holds lists"):
        model.score(speak(["a"]), [["a"]])


def test_unseen_symbols_count_as_errors_when_it_is_scored(model):
    X = speak(["abc", "cab"], noise=0.1)
    assert model.predict(X).tolist() == ["abc", "cab"]
    assert model.score(X, ["abc", "cab"]) == 1
    assert model.score(X, ["abé", "cab"]) == pytest.approx(5 / 6)
    assert model.score(X, ["", "cab"]) == pytest.approx(0)  # three too many of three


def test_a_failed_fit_leaves_the_model_as_it_was(model):
    X = speak(["ab", "c"])
    before = model.predict(X).tolist()
    with pytest.raises(InvalidSequenceError):
        model.fit(X, ["ab" * 50, "c"])
    assert model.predict(X).tolist() == before


def test_series_tuples_and_containers_are_read(model):
    X = speak(["ab", "c"])
    flat = SequenceArray(
        np.concatenate(X), np.cumsum([0, len(X[0])]), [len(x) for x in X]
    )
    series = pd.Series(X)
    for given in (tuple(X), flat, series):
        assert model.predict(given).tolist() == model.predict(X).tolist()
    y = pd.Series(["ab", "c"], index=[5, 9])
    assert small(max_epochs=1).fit(series, y).symbols_.tolist() == ["a", "b", "c"]


@pytest.mark.thorough
def test_transcripts_may_hold_any_characters():
    y = ["e\u0301", "😀x", "\u05d0 ", os.linesep] * 5
    X = speak(["aa", "bc", "ca", "b"] * 5, noise=0.1)
    model = small(max_epochs=60).fit(X, y)
    assert model.score(X, y) > 0.9


def test_a_column_of_texts_is_not_taken_for_symbols():
    column = np.array([["ab"], ["c"]], dtype=object)
    with pytest.raises(InvalidSequenceError, match=r"pass y\[:, 0\]"):
        small().fit(speak(["ab", "c"]), column)


def test_a_later_fit_refuses_symbols_that_the_network_cannot_say():
    X, y = speak(["ab", "c"]), ["ab", "c"]
    model = small(max_epochs=1, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"y\[1\] holds the symbol 'é'"):
        model.fit(X, ["ab", "é"])
    assert model.fit(X, ["b", "c"]).n_iter_ == 2


def test_validation_data_that_a_pipeline_left_as_they_were_are_named():
    X, y = speak(["ab", "c"]), ["ab", "c"]
    with pytest.raises(InvalidSequenceError, match=r"X_val.*transform_input"):
        small().fit(X, y, X_val=[np.zeros((9, 2))], y_val=["a"])
    with pytest.raises(InvalidSequenceError, match="y_val has none of the symbols"):
        small().fit(X, y, X_val=X, y_val=["xyz", ""])


def test_words_are_a_list_or_a_set_that_can_be_read_again(model):
    X = speak(["ab", "c"], noise=0.1)
    model.set_params(beam_width=5, word_list={"ab", "c"})
    assert model.predict(X).tolist() == model.predict(X).tolist() == ["ab", "c"]
    with pytest.raises(ValueError, match="word_list"):
        model.set_params(word_list=(word for word in ["ab"])).predict(X)


def test_very_wide_beams_are_searched_in_parts_and_the_widest_refused(model):
    X = speak(["ab", "c", "b"], noise=1.0)
    expected = [best[0] for best in model.predict_n_best(X, 1000)]
    model.set_params(beam_width=3000)  # one clip at a time
    for (text, score), found in zip(expected, model.predict_n_best(X, 1), strict=True):
        assert found[0][0] == text
        assert found[0][1] == pytest.approx(score, abs=1e-6)
    with pytest.raises(ValueError, match="beam_width"):
        model.set_params(beam_width=10**6).predict(X)
    with pytest.raises(ValueError, match="the widest beam"):
        model.set_params(beam_width=1).predict_n_best(X, 10**6)


def test_the_score_counts_weights(model):
    X = speak(["abc", "cab"], noise=0.1)
    y = ["abc", "bbb"]
    assert model.score(X, y, sample_weight=[1, 0]) == 1
    assert model.score(X, y, sample_weight=[0, 1]) < 0.7


def test_what_was_fitted_is_heard_whatever_parameters_say_later(model):
    X = speak(["abc"])
    before = model.posteriors(X)[0]
    try:
        model.set_params(subsampling=3)
        np.testing.assert_array_equal(model.posteriors(X)[0], before)
    finally:
        model.set_params(subsampling=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"insertion_bonus": 1.0, "beam_width": 1}, "Set beam_width=10"),
        ({"ngram_text": ["ab"]}, "Set ngram_order=3"),
        ({"word_list": ["ab"], "word_separator": 5}, "word_separator=5 is not"),
        ({"word_list": ["ab"], "word_separator": "ab"}, "word_separator='ab' is not"),
        ({"beam_width": "5"}, "beam_width"),
    ],
)
def test_options_without_effect_are_refused(model, options, words):
    model.set_params(**{"beam_width": 5, **options})
    with pytest.raises(ValueError, match=words):
        model.predict(speak(["a"]))


def test_several_best_need_no_wider_beam_to_be_constrained(model):
    model.set_params(beam_width=1, word_list=["ab", "c"])
    best = model.predict_n_best(speak(["ab"], noise=0.1), n=3)[0]
    assert best[0][0] == "ab"
