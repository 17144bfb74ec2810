"""Examples about sound run, and show what they say."""

import numpy as np
import pandas as pd
import pytest
from example_scripts import assert_is_picture, load

# Sound.


@pytest.mark.slow
def test_drums_of_unknown_kits_are_told_apart(monkeypatch, capsys):
    example = load("drum_sounds")
    make, models = example.make_network, example.make_models
    monkeypatch.setattr(
        example, "make_network", lambda *args: make(*args).set_params(max_epochs=8)
    )
    two = ["1 networks", "logistic, log-mel"]
    monkeypatch.setattr(
        example, "make_models", lambda *args: {k: models(*args)[k] for k in two}
    )
    table = example.main(["--networks", "1"])
    assert table.loc["1 networks", "all hits"] > 0.4  # cymbals alone are 0.27
    assert list(table.index) == two
    assert "BJA_Pacific (86)" in capsys.readouterr().out
    assert_is_picture("drum_sounds.png")


@pytest.mark.slow
def test_drums_are_told_better_by_networks_than_by_their_mean_spectra():
    hits = load("drum_sounds").main([])["all hits"]
    others = hits[[name for name in hits.index if "network" not in name]]
    assert hits["5 networks"] > others.max() + 0.04


@pytest.mark.slow
def test_drums_are_told_better_with_settings_that_other_kits_chose():
    # Of one seed, processors differ by 0.1.
    seeds = [["--choose", "--seed", str(seed)] for seed in range(3)]
    hits = pd.concat([load("drum_sounds").main(o)["all hits"] for o in seeds], axis=1)
    hits = hits.mean(axis=1)
    others = hits[[name for name in hits.index if "network" not in name]]
    assert hits["one network"] > others.max() + 0.03


@pytest.mark.slow
def test_spoken_words_are_found_in_a_recording(monkeypatch, capsys):
    example = load("spoken_words")
    voice, rate = example.load_voice()
    assert len(voice) == 36
    few = {word: voice[word] for word in [*"0123", "kilo", "zulu"]}
    monkeypatch.setattr(example, "load_voice", lambda: (few, rate))
    results = example.main(["--renditions", "4", "--epochs", "1"])
    assert results["RNNClassifier"] > 0.4  # one of six by chance
    assert results["found"]["words"] == 6
    assert "windows of a recording of" in capsys.readouterr().out
    assert_is_picture("spoken_words.png")


def test_runs_and_finds_are_counted():
    example = load("spoken_words")
    true = np.array(list("--aa-bb--cc"))
    labels = np.array(list("--a--cc--cc"))
    expected = [("-", 0, 2), ("a", 2, 3), ("-", 3, 5), ("c", 5, 7), ("-", 7, 9)]
    assert list(example.runs(labels))[:5] == expected
    found = example.count_found(true, labels)
    assert found == {"words": 3, "found": 2, "false alarms": 1}


@pytest.mark.slow
def test_most_spoken_words_are_found_where_they_are():
    results = load("spoken_words").main([])
    assert results["RNNClassifier"] > results["logistic regression"] + 0.1
    assert results["found"]["found"] > 27
    assert results["found"]["false alarms"] < 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["digits", "letters"])
def test_spoken_strings_are_transcribed(kind, monkeypatch, capsys):
    example = load("spoken_digits")
    monkeypatch.setattr(example, "N_WORDS", 300)
    arguments = ["--clips", "40", "--test-clips", "10", "--epochs", "2"]
    results = example.main([*arguments, "--units", "16", "--kind", kind])
    errors = [result["symbol error"] for result in results.values()]
    assert len(errors) == (2 if kind == "digits" else 4)
    assert all(error >= 0 for error in errors)
    assert "strings that were not trained on" in capsys.readouterr().out
    assert_is_picture("spoken_digits.png")


@pytest.mark.thorough
def test_strings_to_test_on_are_not_trained_on_and_no_recording_comes_twice():
    example = load("spoken_digits")
    train, test, _ = example.digit_strings(300, 100, np.random.default_rng(0))
    assert not set(train) & set(test)
    train, test, known = example.spelled_words(50, 20, np.random.default_rng(0))
    assert not set(train) & set(test)
    assert set(test) <= set(known)
    voice, rate = example.load_voice("digits")
    rng = np.random.default_rng(0)
    clips = [example.say("7", voice, rate, rng) for _ in range(4)]
    assert len({len(clip) for clip in clips}) == 4
    assert all(np.isfinite(clip).all() for clip in clips)


@pytest.mark.slow
def test_unseen_strings_of_digits_have_few_errors():
    results = load("spoken_digits").main([])
    assert results["most probable symbol of each frame"]["symbol error"] < 0.03


@pytest.mark.slow
def test_speakers_are_told_apart_with_settings_found_in_training():
    scores = load("speaker_classification").main(["--search"])["search"]
    assert min(scores) >= 0.975
