# %% [markdown]
"""Generate new melodies in the manner of those of Bach's chorales.

RNNGenerator learns the sopranos of 111 chorales. Printed is how well it predicts 37
others, beside counts of single notes and of pairs of notes. Then it generates melodies:
a MIDI file, which any notation program or player opens, and a picture of a training
melody above generated ones.

    pip install -e ".[plot,music]"
    python examples/melody_generator.py

It takes about 20 seconds. Options: ``--metre "3/4, upbeat 1"``,
``--temperature 0.8``, ``--max-epochs N``, ``--seed N``, ``--midi FILE``,
``--picture FILE``.

A melody is written as symbols: its metre, and then in turns the position in the bar, in
sixteenths, and the note that begins there. A note lasts until the next. A prompt
chooses the metre. On training melodies that were set aside this was better than one
symbol for every sixteenth, and than one symbol for the pitch and duration of each note:
then the network has to add up durations to know where a bar ends, and melodies soon
lose the beat. All melodies are transposed to one key; each of them in five keys was
worse.
"""

# %%
import argparse
import sys
from collections import Counter, defaultdict
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn import RNNGenerator

# A notebook runs in the folder of its file.
FOLDER = Path(globals().get("__file__", "")).parent
PARAMETERS = {
    "hidden_size": 128,
    "dropout": 0.4,
    "input_dropout": 0.1,
    "batch_size": 8,
    "bptt_steps": None,  # melodies are short enough to be learned whole
}
STEPS_A_QUARTER = 4
VOICES = ["soprano", "alto", "tenor", "bass"]
BARS = range(8, 17)  # what is long enough, and not too long
VOICE = VOICES[:1]
REST = 0
N_WRITTEN = 20
MOST_SYMBOLS = 300  # no melody of 16 bars has as many
NAMES = {0: "C", 7: "G"}  # that pictures name
BEGIN, END = "begin", "end"
INSTRUMENT = 52  # choir, in the General MIDI list that counts from 0


# %% [markdown]
# ## The chorales
#
# Notes of the voices, and the pieces they belong to.


# %%
class Note(NamedTuple):
    """A note of one voice; times are sixteenths from the start."""

    begin: int
    end: int
    pitch: int


class Chorale(NamedTuple):
    """A chorale of Bach's, moved to the key signature without sharps and flats."""

    bwv: str
    pitch: np.ndarray  # (n_steps, 4), MIDI numbers of soprano, alto, tenor, bass
    begins: np.ndarray  # (n_steps, 4), whether a note, or a rest, begins there
    bar: int  # sixteenths a bar
    upbeat: int  # sixteenths before the first bar line

    @property
    def metre(self):
        """Describe the bars, such as "4/4, upbeat 1"; both count quarters."""
        upbeat = self.upbeat // STEPS_A_QUARTER
        return f"{self.bar // STEPS_A_QUARTER}/4, upbeat {upbeat}"


def load_chorales(subset):
    """Load the training or the test chorales; data/README.md says more of them."""
    with np.load(FOLDER / "data" / "bach_chorales.npz") as stored:
        stored = dict(stored)
    n_train, cuts = int(stored["n_train"]), np.cumsum(stored["lengths"])[:-1]
    pitch = np.split(stored["pitch"].astype(np.int64), cuts)
    onset = np.split(stored["onset"], cuts)
    # A sharp more is a tonic 7 semitones higher, octaves aside.
    shifts = (-7 * stored["fifths"].astype(np.int64) + 5) % 12 - 5
    chorales = []
    for i in range(len(pitch))[
        slice(n_train) if subset == "train" else slice(n_train, None)
    ]:
        changes = np.diff(pitch[i], axis=0, prepend=-1) != 0
        chorales.append(
            Chorale(
                bwv=str(stored["bwv"][i]),
                pitch=np.where(pitch[i] > 0, pitch[i] + shifts[i], 0),
                begins=onset[i] | changes,
                bar=int(stored["bar"][i]),
                upbeat=int(stored["upbeat"][i]),
            )
        )
    return chorales


def notes_of(chorale, voice):
    """List the notes of a voice, rests (pitch 0) among them."""
    begins = np.flatnonzero(chorale.begins[:, voice])
    ends = np.append(begins[1:], len(chorale.pitch))
    pitches = chorale.pitch[begins, voice]
    return [Note(*map(int, note)) for note in zip(begins, ends, pitches, strict=True)]


def read_metre(metre):
    """Return sixteenths a bar, and before the first bar line."""
    quarters, upbeat = metre.split("/4, upbeat ")
    return int(quarters) * STEPS_A_QUARTER, int(upbeat) * STEPS_A_QUARTER


# %% [markdown]
# ## Melodies as symbols
#
# The metre, and then in turns a place in the bar and the note that begins there.


# %%
def to_symbols(chorale, voices):
    """Write some voices, the first of VOICES, as symbols.

    The metre comes first. Then, for each sixteenth at which a note or a bar
    begins: its place in the bar, and (voice, pitch) of the notes that begin. The last
    symbol is the place at which the piece ends. Nothing is lost.
    """
    symbols = [chorale.metre]
    begins = chorale.begins[:, : len(voices)]
    places = (np.arange(len(begins) + 1) - chorale.upbeat) % chorale.bar
    for step in np.flatnonzero(begins.any(axis=1) | (places[:-1] == 0)):
        symbols.append(int(places[step]))
        for voice in np.flatnonzero(begins[step]):
            symbols.append((voices[voice], int(chorale.pitch[step, voice])))
    return [*symbols, int(places[-1])]


def to_notes(symbols, metre):
    """Read the notes of each voice from symbols, whatever their order."""
    bar, upbeat = read_metre(metre)
    now, begun = -upbeat, []
    for symbol in symbols:
        if isinstance(symbol, tuple):
            begun.append((now + upbeat, *symbol))
        elif not isinstance(symbol, str):
            # The same place twice is a whole bar, except at the start.
            now += (symbol - now) % bar or (bar if begun else 0)
    voices = defaultdict(list)
    for begin, voice, pitch in begun:
        if voices[voice]:  # lasts until the next
            voices[voice][-1] = voices[voice][-1]._replace(end=begin)
        voices[voice].append(Note(begin, now + upbeat, pitch))
    return {
        voice: [note for note in notes if note.end > note.begin]
        for voice, notes in voices.items()
    }


# How well notes are predicted.


# %% [markdown]
# ## Baselines
#
# Single notes and pairs of notes, counted.


# %%
class Pairs:
    """How often a note comes, and comes after another one.

    What came after a note is mixed with all notes, the less the more often the note
    came with the same ones (Witten and Bell 1991).
    """

    def __init__(self, melodies):
        self.after = defaultdict(Counter)
        self.single = Counter()
        for melody in melodies:
            for one, other in pairwise([BEGIN, *melody, END]):
                self.after[one][other] += 1
                self.single[other] += 1

    def share(self, note):
        """Return the share of a note; half a time for what never came."""
        n_known = len(self.single)
        total = self.single.total() + 0.5 * (n_known + 1)
        return (self.single[note] + 0.5) / total

    def share_after(self, one, other):
        """Return the probability of the other note after the one."""
        seen = self.after.get(one, Counter())
        n_kinds, n_times = len(seen), seen.total()
        if not n_times:
            return self.share(other)
        mixed = seen[other] + n_kinds * self.share(other)
        return mixed / (n_times + n_kinds)


def count_nats(pairs, melodies):
    """Return the negative log-likelihood of melodies by single notes and by pairs."""
    steps = [pair for melody in melodies for pair in pairwise([BEGIN, *melody, END])]
    return {
        "single notes": -sum(np.log(pairs.share(other)) for _, other in steps),
        "pairs of notes": -sum(np.log(pairs.share_after(*pair)) for pair in steps),
    }


# Generated melodies.


# %% [markdown]
# ## What makes a melody new
#
# Whether it ends by itself, and how much of it stands in another one.


# %%
def is_whole(symbols, metre, most):
    """Tell whether a piece came to an end by itself, after 8 to 16 bars."""
    bar, _ = read_metre(metre)
    notes = chain.from_iterable(to_notes(symbols, metre).values())
    n_steps = max((note.end for note in notes), default=0)
    return len(symbols) < most and round(n_steps / bar) in BARS


def longest_copy(melody, others):
    """Return the most notes in a row that another melody has, too."""
    best = 0
    for other in others:
        same = [[one == theirs for theirs in other] for one in melody]
        run = np.zeros(len(other) + 1, dtype=int)  # of equal notes up to here
        for row in same:
            run[1:] = np.where(row, run[:-1] + 1, 0)
            best = max(best, int(run.max()))
    return best


def with_durations(notes):
    """Return (pitch, sixteenths) of each note."""
    return [(note.pitch, note.end - note.begin) for note in notes]


# %% [markdown]
# ## MIDI files and pictures


# %%
def write_midi(path, voices, metre, quarters_a_minute=72):
    """Write a MIDI file with a track for each voice.

    Parameters
    ----------
    path : str
        Where.
    voices : dict of str to list of Note
        Names and notes, in the order of time.
    metre : str
        As of ``Chorale.metre``. Rests fill the bar before an upbeat.
    quarters_a_minute : int, default=72
        Tempo.
    """
    try:
        import mido
    except ImportError as error:
        raise ImportError(
            'Writing MIDI needs mido: pip install -e ".[music]" in a clone.'
        ) from error
    bar, upbeat = read_metre(metre)
    beats = bar // STEPS_A_QUARTER
    file = mido.MidiFile(ticks_per_beat=480)
    head = file.add_track("metre and tempo")
    head.append(mido.MetaMessage("time_signature", numerator=beats, denominator=4))
    head.append(mido.MetaMessage("key_signature", key="C"))
    head.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(quarters_a_minute)))
    for channel, (name, notes) in enumerate(voices.items()):
        track, now = file.add_track(name), -(-upbeat % bar)
        track.append(
            mido.Message("program_change", channel=channel, program=INSTRUMENT)
        )
        for note in notes:
            if note.pitch == REST:
                continue
            for time, kind in (note.begin, "note_on"), (note.end, "note_off"):
                wait = (time - now) * file.ticks_per_beat // STEPS_A_QUARTER
                track.append(
                    mido.Message(kind, channel=channel, note=note.pitch, time=wait)
                )
                now = time
    file.save(path)


def draw_notes(axes, notes, metre, **style):
    """Draw the notes of one voice as bars, over the bars of the metre."""
    bar, upbeat = read_metre(metre)
    for note in notes:
        if note.pitch != REST:
            begin = 1 + (note.begin - upbeat) / bar  # bar 1 follows the upbeat
            # Short of its end, so that a note struck twice is seen twice.
            width = (note.end - note.begin - 0.4) / bar
            axes.broken_barh([(begin, width)], (note.pitch - 0.4, 0.8), **style)


def label_axes(axes, notes, metre):
    """Name bars and pitches that some notes reach."""
    bar, upbeat = read_metre(metre)
    n_bars = -(-(max(note.end for note in notes) - upbeat) // bar)
    pitches = {note.pitch for note in notes} - {REST}
    low, high = min(pitches) - 1, max(pitches) + 1
    ticks = [pitch for pitch in range(low, high + 1) if pitch % 12 in NAMES]
    axes.set_yticks(ticks, [f"{NAMES[p % 12]}{p // 12 - 1}" for p in ticks])
    axes.set(xlim=(1 - upbeat / bar - 0.1, n_bars + 1.1), ylim=(low - 1, high + 1))
    axes.set_xticks(range(1, n_bars + 2))
    axes.grid(color="0.88")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draw(rows, metre, path):
    """Save a picture with a melody a row; `rows` holds titles and notes."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(
        len(rows), figsize=(11, 1.9 * len(rows)), squeeze=False, layout="constrained"
    )
    every = [note for notes in rows.values() for note in notes]
    colours = ["0.3"] + ["tab:blue"] * len(rows)
    for axes, (title, notes), colour in zip(
        grid[:, 0], rows.items(), colours, strict=False
    ):
        draw_notes(axes, notes, metre, color=colour)
        label_axes(axes, every, metre)
        axes.set_title(title, loc="left", fontsize="medium")
    axes.set_xlabel("bar (a number stands at its beginning)")
    figure.supylabel("pitch (C4: middle C)")
    figure.suptitle("Each stroke is a note: when it sounds, and how high")
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## Melodies, predicted and generated
#
# How well the network predicts melodies that it was not trained on, and some of its
# own.


# %%
def find_alike(chorales, soprano, metre):
    """Return the chorale of like metre and length whose soprano is as high."""

    def height(notes):
        return np.mean([note.pitch for note in notes if note.pitch != REST])

    return min(
        (
            chorale
            for chorale in chorales
            if chorale.metre == metre
            and round(len(chorale.pitch) / chorale.bar) in BARS
        ),
        key=lambda chorale: abs(height(notes_of(chorale, 0)) - height(soprano)),
    )


def foresee(model, test, guesses):
    """Return the nats a quarter note of unseen melodies, and print them."""
    nats = {**guesses}
    nats["RNNGenerator"] = -model.score_samples(
        [to_symbols(chorale, VOICE) for chorale in test]
    ).sum()
    n_quarters = sum(len(chorale.pitch) for chorale in test) / STEPS_A_QUARTER
    nats = {name: float(total / n_quarters) for name, total in nats.items()}
    print("Negative log-likelihood of the test melodies, nats per quarter note:")
    print(pd.Series(nats).round(2).to_string())
    return nats


def compose(model, options):
    """Write melodies, those that are whole if there are any."""
    drawn = model.sample(
        [options.metre],
        MOST_SYMBOLS,
        temperature=options.temperature,
        n=N_WRITTEN,
        random_state=options.seed,
    )
    whole = [d for d in drawn if is_whole(d, options.metre, MOST_SYMBOLS)]
    print(
        f"{len(whole)} of {N_WRITTEN} generated melodies ended by themselves after "
        f"{BARS[0]} to {BARS[-1]} bars."
    )
    melodies = [to_notes(d, options.metre).get("soprano") for d in whole or drawn]
    return list(filter(None, melodies))


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--metre", default="4/4, upbeat 1")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--max-epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--midi", default="melody.mid")
    parser.add_argument("--picture", default="melody_generator.png")
    options = parser.parse_args(arguments)

    train, test = load_chorales("train"), load_chorales("test")
    melodies, unseen = (
        [with_durations(notes_of(chorale, voice=0)) for chorale in part]
        for part in (train, test)
    )
    print(
        f"{len(melodies)} melodies, {sum(map(len, melodies))} notes, to learn; "
        f"{len(unseen)} melodies, {sum(map(len, unseen))} notes, to test"
    )
    model = RNNGenerator(
        max_epochs=options.max_epochs, random_state=options.seed, **PARAMETERS
    ).fit([to_symbols(chorale, VOICE) for chorale in train])
    nats = foresee(model, test, count_nats(Pairs(melodies), unseen))

    written = compose(model, options)
    copies = [longest_copy(with_durations(notes), melodies) for notes in written]
    usual = [longest_copy(melody, melodies) for melody in unseen]
    print(
        "Longest run of notes that is also in a training melody (median): "
        f"{np.median(copies):.0f} in generated melodies, {np.median(usual):.0f} in the "
        "test melodies."
    )
    write_midi(options.midi, {"soprano": written[0]}, options.metre)
    print(f"The first of them as MIDI: {options.midi}")
    learned = find_alike(train, written[0], options.metre)
    rows = {
        f"Training data: the soprano of Bach's BWV {learned.bwv}": notes_of(learned, 0)
    }
    for number, notes in enumerate(written[:2], start=1):
        rows[f"Generated by the network: melody {number}"] = notes
    draw(rows, options.metre, options.picture)
    print(f"Picture of a training melody and of generated ones: {options.picture}")
    return {"nats": nats, "copies": copies, "usual copies": usual, "written": written}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
