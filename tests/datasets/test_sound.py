import hashlib
import re
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneGroupOut

import sklearn_rnn
from sklearn_rnn.datasets import load_drum_hits, load_spoken_words

DATA = files("sklearn_rnn.datasets").joinpath("data")


@pytest.fixture(scope="module")
def drums():
    return load_drum_hits()


@pytest.fixture(scope="module")
def words():
    return load_spoken_words()


@pytest.mark.parametrize(
    ("load", "name"),
    [(load_drum_hits, "drum_hits"), (load_spoken_words, "spoken_words")],
)
def test_samples_are_what_the_table_of_files_says(load, name):
    table = DATA.joinpath("README.md").read_text(encoding="utf-8")
    (stated,) = re.findall(rf"`{name}\.npz` \| `(\w+)`", table)
    samples = np.concatenate(load().data).astype("<i2").tobytes()
    assert hashlib.sha256(samples).hexdigest() == stated


@pytest.mark.parametrize("licence", ["CC0-1.0", "CC-BY-SA-3.0", "CC-BY-3.0"])
def test_the_package_states_the_licences_of_the_recordings(licence):
    root = Path(sklearn_rnn.__file__).parents[1]
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    stated = tomllib.loads(pyproject)["project"]["license"].split(" AND ")
    assert licence in stated
    words = licence.replace("CC-", "CC ").replace("-1", " 1").replace("-3", " 3")
    assert words in DATA.joinpath("README.md").read_text(encoding="utf-8")


def test_every_kit_has_its_licence(drums):
    table = DATA.joinpath("README.md").read_text(encoding="utf-8")
    for kit in set(drums.kit):
        assert kit in table
        assert kit in drums.DESCR


def test_drums_are_waveforms_of_five_instruments(drums):
    assert len(drums.data) == len(drums.target) == len(drums.kit) == 128
    assert {clip.dtype for clip in drums.data} == {np.dtype(np.int16)}
    assert {clip.ndim for clip in drums.data} == {1}
    assert drums.sample_rate == 16_000
    lengths = [len(clip) for clip in drums.data]
    assert (min(lengths), max(lengths)) == (274, 8000)
    counts = {"cymbal": 35, "hihat": 27, "snare": 26, "tom": 22, "kick": 18}
    assert Counter(drums.target.tolist()) == counts
    assert drums.target_names == sorted(counts)
    assert drums.target.dtype.kind == drums.kit.dtype.kind == "U"


def test_drums_are_the_samples_that_were_recorded(drums):
    assert drums.data[0][:5].tolist() == [9, -36, -13, 409, 1102]
    assert [drums.target[i] for i in (0, 1, 4)] == ["kick", "snare", "tom"]
    # Steep enough that differences of neighbours leave the range of int16.
    steps = [np.diff(clip.astype(int)) for clip in drums.data]
    assert max(abs(step).max() for step in steps) > 32_767
    assert {int(np.abs(clip.astype(int)).max()) for clip in drums.data} == {32_000}


def test_each_kit_can_be_left_out(drums):
    sizes = {"Audiophob": 13, "BJA_Pacific": 86, "circAfrique v4": 11}
    assert Counter(drums.kit.tolist()) == {**sizes, "rumpf_kit_z01_h2": 18}
    folds = LeaveOneGroupOut().split(drums.target, groups=drums.kit)
    for train, _ in folds:
        assert set(drums.target[train]) == set(drums.target_names)


def test_spoken_words_are_waveforms_with_names(words):
    assert len(words.data) == len(set(words.name)) == 182
    assert {clip.dtype for clip in words.data} == {np.dtype(np.int16)}
    assert words.sample_rate == 8000
    lengths = [len(clip) for clip in words.data]
    assert (min(lengths), max(lengths)) == (4656, 12_582)
    np.testing.assert_array_equal(words.target, words.name)
    assert "asterisk-core-sounds-en-wav" in words.DESCR
    assert words.data[0][:3].tolist() == [0, -1, 0]


@pytest.mark.parametrize(
    ("kind", "said", "names"),
    [
        ("digits", "0123456789", ["digits/0", "digits/9"]),
        ("letters", "abcdefghijklmnopqrstuvwxyz", ["letters/a", "letters/z"]),
    ],
)
def test_digits_and_letters_come_in_their_order(words, kind, said, names):
    chosen = load_spoken_words(kind=kind)
    assert chosen.target.tolist() == list(said)
    assert chosen.name[[0, -1]].tolist() == names
    by_name = dict(zip(words.name, words.data, strict=True))
    for name, clip in zip(chosen.name, chosen.data, strict=True):
        np.testing.assert_array_equal(clip, by_name[name])


def test_the_radio_alphabet_is_whole(words):
    chosen = load_spoken_words(kind="phonetic")
    assert len(chosen.target) == len(set(chosen.target)) == 27
    for name, said in zip(chosen.name, chosen.target, strict=True):
        assert name == f"phonetic/{'9' if said == 'niner' else said[0]}_p"
    all_names = [name for name in words.name if name.startswith("phonetic/")]
    assert sorted(chosen.name) == sorted(all_names)


@pytest.mark.parametrize("load", [load_drum_hits, load_spoken_words])
def test_sounds_come_as_X_and_y(load):
    X, y = load(return_X_y=True)
    both = load()
    np.testing.assert_array_equal(y, both.target)
    for one, other in zip(X, both.data, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("load", [load_drum_hits, load_spoken_words])
def test_clips_do_not_share_memory(load):
    X, _ = load(return_X_y=True)
    assert X[0].base is None
    X[0][:] = 0
    assert load().data[0].any()


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="digits, letters, phonetic, or None.*'words'"):
        load_spoken_words(kind="words")
