"""Examples about music run, and show what they say."""

import sys

import mido
import numpy as np
import pytest
from example_scripts import EXAMPLES, assert_is_picture, load

# Music.


def read_midi(path):
    """Return the tracks' names and, of each, pitches and lengths in quarter notes."""
    file = mido.MidiFile(path)
    _, *tracks = file.tracks  # the first has the metre
    notes = {}
    for track in tracks:
        on, now, notes[track.name] = {}, 0, []
        for message in track:
            now += message.time
            if message.type == "note_on":
                assert not on  # a voice sings one note at a time
                on[message.note] = now
            elif message.type == "note_off":
                length = (now - on.pop(message.note)) / file.ticks_per_beat
                notes[track.name].append((message.note, length))
        assert not on
    return notes


def load_chorale_generator(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)  # it imports its neighbour
    return load("chorale_generator")


def test_chorales_are_read_back_from_symbols():
    example = load("melody_generator")
    chorales = example.load_chorales("train") + example.load_chorales("test")
    metres = {chorale.metre for chorale in chorales}
    assert {"4/4, upbeat 0", "4/4, upbeat 1", "3/4, upbeat 0"} < metres
    for chorale in chorales:
        for voices in (example.VOICES, example.VOICES[:1]):
            notes = example.to_notes(example.to_symbols(chorale, voices), chorale.metre)
            assert notes == {
                name: example.notes_of(chorale, i) for i, name in enumerate(voices)
            }


def test_chorales_end_on_strong_beats_by_their_metre():
    chorales = load("melody_generator").load_chorales("train")
    last = [
        (np.flatnonzero(c.begins.all(axis=1))[-1] - c.upbeat) % c.bar for c in chorales
    ]
    bars = np.array([c.bar for c in chorales])
    strong = np.equal(last, 0) | ((bars == 16) & np.equal(last, 8))
    assert strong.mean() > 0.85


def test_longest_copy_counts_equal_notes_in_a_row():
    longest_copy = load("melody_generator").longest_copy
    assert longest_copy("abcde", ["xbcdy", "ab", "ce"]) == 3
    assert longest_copy("abc", ["xyz"]) == 0


@pytest.mark.slow
def test_melodies_are_written(capsys):
    example = load("melody_generator")
    results = example.main(["--max-epochs", "4", "--metre", "3/4, upbeat 0"])
    nats = results["nats"]
    assert nats["RNNGenerator"] < nats["single notes"]
    melody = read_midi("melody.mid")["soprano"]
    pitches = {note.pitch for note in results["written"][0]} - {0}
    assert {pitch for pitch, _ in melody} == pitches <= set(range(57, 85))
    assert min(length for _, length in melody) >= 0.25
    assert "111 melodies, 5758 notes, to learn" in capsys.readouterr().out
    assert_is_picture("melody_generator.png")


def test_an_upbeat_is_written_before_the_first_bar_line():
    example = load("melody_generator")
    notes = [example.Note(0, 4, 60), example.Note(4, 6, 0), example.Note(6, 12, 62)]
    example.write_midi("song.mid", {"voice": notes}, "3/4, upbeat 1")
    assert read_midi("song.mid") == {"voice": [(60, 1.0), (62, 1.5)]}
    head, track = mido.MidiFile("song.mid").tracks
    (metre,) = [m for m in head if m.type == "time_signature"]
    assert (metre.numerator, metre.denominator) == (3, 4)
    waits = [m.time / 480 for m in track if m.type.startswith("note")]
    assert waits == [2.0, 1.0, 0.5, 1.5]  # two quarters of rest, then the upbeat


def test_midi_without_mido_names_the_extra(monkeypatch):
    example = load("melody_generator")
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(ImportError, match=r'-e "\.\[music\]"'):
        example.write_midi("song.mid", {}, "4/4, upbeat 0")


@pytest.mark.slow
def test_melodies_are_foreseen_better_than_by_pairs_of_notes():
    nats = load("melody_generator").main([])["nats"]
    assert nats["RNNGenerator"] < nats["pairs of notes"] - 0.1
    assert nats["pairs of notes"] < nats["single notes"]


@pytest.mark.slow
def test_chorales_are_written_in_four_voices(monkeypatch, capsys):
    example = load_chorale_generator(monkeypatch)
    small = {"hidden_size": 32, "batch_size": 4, "learning_rate": 2e-2}
    task = example.TASKS[example.WRITER]._replace(parameters=small, n_epochs=2)
    monkeypatch.setitem(example.TASKS, example.WRITER, task)
    monkeypatch.setattr(example, "MOST_SYMBOLS", 200)
    results = example.main(["--models", example.WRITER])
    row = results["nats"].loc[example.WRITER]
    assert row["RNNGenerator"] < row["frequencies"]
    notes = read_midi("chorale.mid")
    assert list(notes) == ["soprano", "alto", "tenor", "bass"]
    for voice in notes.values():
        assert {pitch for pitch, _ in voice} <= set(range(30, 95))
        assert min(length for _, length in voice) >= 0.25
    assert "nats per step" in capsys.readouterr().out
    assert_is_picture("chorale_generator.png")


@pytest.mark.parametrize("every", [1, 4])
def test_plain_guesses_of_voices_are_probabilities(monkeypatch, every):
    example = load_chorale_generator(monkeypatch)
    monkeypatch.setattr(example, "VOICES", ["soprano"])
    chorale = example.load_chorales("train")[0]
    first = chorale.pitch[0, 0]

    def chances(pitch, begins):
        """Return the probability of a second step, by each guess."""
        one, two = (
            chorale._replace(
                pitch=np.repeat([[first], [pitch]], [every, n], axis=0),
                begins=np.repeat([[True], [begins]], [every, n], axis=0),
            )
            for n in (0, 1)
        )
        nats = [example.voice_nats([chorale], [part], every) for part in (one, two)]
        return {name: np.exp(nats[0][name] - nats[1][name]) for name in nats[0]}

    pitches = [0, *range(example.LOWEST, example.HIGHEST + 1)]
    begun = [chances(pitch, True) for pitch in pitches]
    going = [chances(pitch, False) for pitch in pitches] if every == 1 else []
    shares = sum(chance["frequencies"] for chance in begun + going)
    assert shares == pytest.approx(1)
    # What is repeated goes on at the pitch that it had.
    repeat = sum(chance["repeat"] for chance in begun)
    if every == 1:
        repeat += going[pitches.index(first)]["repeat"]
    assert repeat == pytest.approx(1)


def test_plain_guesses_of_keys_are_probabilities(monkeypatch):
    example = load_chorale_generator(monkeypatch)
    monkeypatch.setattr(example, "LOWEST", 72)
    monkeypatch.setattr(example, "HIGHEST", 72)
    chorale = example.load_chorales("train")[0]
    for steps in [[72], [0]]:
        pieces = [
            chorale._replace(pitch=np.array([*steps, *more])[:, np.newaxis])
            for more in ([], [0], [72])
        ]
        nats = [example.key_nats([chorale], [piece], every=1) for piece in pieces]
        for name in ("frequencies", "repeat"):
            chances = [np.exp(nats[0][name] - after[name]) for after in nats[1:]]
            assert sum(chances) == pytest.approx(1)


def test_parallel_fifths_are_counted(monkeypatch):
    example = load_chorale_generator(monkeypatch)
    Note = load("melody_generator").Note
    lines = {
        "soprano": [79, 81, 79],
        "alto": [67, 69, 69],
        "tenor": [64, 62, 60],
        "bass": [48, 50, 53],
    }
    piece = {
        voice: [Note(4 * i, 4 * i + 4, pitch) for i, pitch in enumerate(line)]
        for voice, line in lines.items()
    }
    rules = example.measure_rules([piece])
    # An octave, a fifth and a twelfth at the second beat, a twelfth at the third.
    parallel = rules["parallel fifths and octaves, of 100 beats"]
    assert parallel == pytest.approx(100 * 4 / 3)
    assert rules["voices in order"] == 1


@pytest.mark.slow
def test_chorales_are_foreseen_better_than_by_plain_guesses(monkeypatch):
    results = load_chorale_generator(monkeypatch).main([])
    nats = results["nats"]
    assert (
        nats["RNNGenerator"] < nats[["frequencies", "repeat"]].min(axis=1) - 0.3
    ).all()
    quarter = nats["the same a quarter"]
    assert quarter["keys, quarters"] < 9.1
    assert quarter["voices, quarters"] < 6.0
    assert quarter["voices, sixteenths"] < quarter["keys, sixteenths"] - 3
    rules = results["rules"].loc["chord is part of a triad"]
    assert rules["all generated"] > rules["Bach, training"] - 0.1
