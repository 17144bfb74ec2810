# %% [markdown]
"""Generate chorales in four voices in the manner of Bach's.

How well does a network predict what four voices sing next? The same 111 chorales are
given to RNNGenerator in two ways, and it is tested on 37 others, on other tunes:

* keys: a frame of zeros and ones, one for each key of a piano, says what sounds.
  Given the past, the network takes the keys to be independent of each other.
* voices: the notes that begin, one symbol after the other from soprano to bass. So the
  bass is predicted from what the other three sing at the same time.

Figures are nats per step, a sixteenth or (every fourth of them) a quarter note. There
are two baselines. "frequencies": each key, or voice, by itself, as often as in the
training chorales. "repeat": each key is as it was in the frame before, or changes, with
a probability counted for that key, its state and the position in the quarter; each
voice continues, with a probability counted for that voice and position, or else sings a
new pitch as often as that voice does. Then the network of voices writes a piece: a MIDI
file with one track per voice, and a picture.

    pip install -e ".[plot,music]"
    python examples/chorale_generator.py

It takes about a minute and a half. Options: ``--models "voices, sixteenths"``,
``--metre "3/4, upbeat 0"``, ``--temperature 0.7``, ``--epochs 1.0`` (a factor),
``--seed N``, ``--midi FILE``, ``--picture FILE``.

The picture shows a training chorale and a generated one, which resembles Bach's in
part: voices keep their order and mostly move by steps, the bass leaps, notes begin on
the quarters, the end is on the chord of the key, and most beats have a triad or a part
of one. What it lacks are phrases that answer each other. Now and then a chord stands
still for a bar, and voices move in parallel fifths and octaves, which Bach avoids,
several times as often.

"voices" say more than "keys": who sings which note, and in sixteenths whether a note is
struck again. Boulanger-Lewandowski et al. (ICML 2012) report 8.7 for the keys of an
RNN, with more chorales and another split; 6.3 and 5.6 for one with a joint model of the
keys. In trials on training chorales that were set aside, transposing all to a common
key helped.
"""

# %%
import argparse
import sys
from functools import partial
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
from melody_generator import (
    BARS,
    REST,
    STEPS_A_QUARTER,
    VOICES,
    draw_notes,
    find_alike,
    is_whole,
    label_axes,
    load_chorales,
    notes_of,
    to_notes,
    to_symbols,
    write_midi,
)

from sklearn_rnn import RNNGenerator

# Chosen on training chorales that were set aside.
KEYS = {
    "hidden_size": 200,
    "dropout": 0.2,
    "input_dropout": 0.0,  # would hide a key throughout a chorale
    "learning_rate": 1e-2,
    "batch_size": 16,
}
QUARTER_KEYS = {**KEYS, "dropout": 0.5}
NOTES = {
    "hidden_size": 192,
    "dropout": 0.4,
    "input_dropout": 0.1,
    "learning_rate": 8e-3,
    "batch_size": 8,
    "bptt_steps": None,  # chorales are short enough to be learned whole
}
LOWEST, HIGHEST = 30, 94  # that any voice reaches in the common key
N_PITCHES = HIGHEST - LOWEST + 2  # a rest among them
N_WRITTEN = 20
MOST_SYMBOLS = 1200  # hardly any chorale of 16 bars has as many
COLOURS = dict(
    zip(VOICES, ["tab:red", "tab:orange", "tab:green", "tab:blue"], strict=True)
)
TRIADS = [(0, 4, 7), (0, 3, 7), (0, 3, 6)]  # major, minor, diminished


# What the network is given.


# %% [markdown]
# ## Chorales as sequences
#
# A frame per step, with a zero or one per key, or the pitches of four voices.


# %%
def to_frames(chorale, every):
    """Return which keys sound at every so many sixteenths, as zeros and ones."""
    pitch = chorale.pitch[::every]
    codes = np.arange(LOWEST, HIGHEST + 1)
    return (pitch[:, :, np.newaxis] == codes).any(axis=1).astype(np.uint8)


def to_pitches(chorale):
    """Return (voice, pitch) at every quarter note, from soprano to bass."""
    quarters = chorale.pitch[::STEPS_A_QUARTER].tolist()
    return [pair for four in quarters for pair in zip(VOICES, four, strict=True)]


# The baselines.


def places(n_steps, every):
    """Return the place of each step in its quarter."""
    return np.arange(n_steps) * every % STEPS_A_QUARTER


# %% [markdown]
# ## Baselines
#
# Frequencies, and what was there one step before.


# %%
def key_nats(train, test, every):
    """Return the negative log-likelihood of keys by the baselines."""

    def state(frames, repeat):
        """Return what a key is predicted from: position and its state, or nothing."""
        before = np.pad(frames, ((1, 0), (0, 0)))[:-1].astype(int)
        place = places(len(frames), every)[:, np.newaxis]
        return (2 * place + before) * repeat

    totals = {}
    keys = np.arange(HIGHEST - LOWEST + 1)
    for name, repeat in {"frequencies": 0, "repeat": 1}.items():
        counts = np.full((2, 2 * STEPS_A_QUARTER, len(keys)), 0.5)  # off and on
        for frames in (to_frames(chorale, every) for chorale in train):
            np.add.at(counts, (frames, state(frames, repeat), keys), 1)
        shares = counts / counts.sum(axis=0)
        totals[name] = -sum(
            np.log(shares[frames, state(frames, repeat), keys]).sum()
            for frames in (to_frames(chorale, every) for chorale in test)
        )
    return totals


class Voice(NamedTuple):
    """One voice at some steps of all chorales of a part."""

    pitch: np.ndarray  # 0 for a rest, 1 for the lowest
    goes_on: np.ndarray  # 1 if the note of the step before does
    before: np.ndarray  # the pitch at the step before, -1 at the start
    place: np.ndarray  # in the quarter

    @classmethod
    def read(cls, chorales, voice, every):
        """Read a voice; of quarters only pitches are looked at."""
        steps = []
        for chorale in chorales:
            pitch = chorale.pitch[::every, voice]
            pitch = np.where(pitch == REST, 0, pitch - LOWEST + 1)
            before = np.concatenate([[-1], pitch[:-1]])
            goes_on = pitch == before if every > 1 else ~chorale.begins[:, voice]
            steps.append(
                (pitch, goes_on.astype(int), before, places(len(pitch), every))
            )
        return cls(*map(np.concatenate, zip(*steps, strict=True)))


def voice_nats(train, test, every):
    """Return the negative log-likelihood of voices by the baselines."""
    totals = {"frequencies": 0.0, "repeat": 0.0}
    for voice in range(len(VOICES)):
        known, new = (Voice.read(part, voice, every) for part in (train, test))
        # In quarters, what goes on is told by its pitch alone.
        counts = np.full((2, N_PITCHES), 0.5)
        np.add.at(counts, (known.goes_on * (every == 1), known.pitch), 1)
        shares = counts / counts[: 1 + (every == 1)].sum()
        totals["frequencies"] -= np.log(
            shares[new.goes_on * (every == 1), new.pitch]
        ).sum()

        goes_on = np.full((2, STEPS_A_QUARTER), 0.5)
        np.add.at(goes_on, (known.goes_on, known.place), 1)
        goes_on = (goes_on / goes_on.sum(axis=0))[1, new.place]
        begun = np.bincount(known.pitch[known.goes_on == 0], minlength=N_PITCHES) + 0.5
        begun = begun / begun.sum()
        # In quarters, a new pitch is another than before.
        left = np.where((every > 1) & (new.before >= 0), 1 - begun[new.before], 1.0)
        sung = (1 - goes_on) * begun[new.pitch] / left
        totals["repeat"] -= np.log(np.where(new.goes_on == 1, goes_on, sung)).sum()
    return totals


# %% [markdown]
# ## The two tasks
#
# How chorales are given to a network, and its parameters for each.


# %%
class Task(NamedTuple):
    """One way to give chorales to a network."""

    read: callable  # a chorale, as a sequence
    guess: callable  # its baselines
    every: int  # sixteenths a step
    parameters: dict
    n_epochs: int


TASKS = {
    "keys, sixteenths": Task(partial(to_frames, every=1), key_nats, 1, KEYS, 18),
    "voices, sixteenths": Task(
        partial(to_symbols, voices=VOICES), voice_nats, 1, NOTES, 20
    ),
    "keys, quarters": Task(
        partial(to_frames, every=STEPS_A_QUARTER),
        key_nats,
        STEPS_A_QUARTER,
        QUARTER_KEYS,
        10,
    ),
    "voices, quarters": Task(to_pitches, voice_nats, STEPS_A_QUARTER, NOTES, 12),
}
WRITER = "voices, sixteenths"


def learn(task, train, test, factor, seed):
    """Return a fitted network, and its and the baselines' likelihoods."""
    begin = perf_counter()
    model = RNNGenerator(
        max_epochs=max(1, round(factor * task.n_epochs)),
        random_state=seed,
        **task.parameters,
    ).fit([task.read(chorale) for chorale in train])
    nats = task.guess(train, test, task.every)
    nats["RNNGenerator"] = -model.score_samples([task.read(c) for c in test]).sum()
    n_steps = sum(len(range(0, len(chorale.pitch), task.every)) for chorale in test)
    nats = {name: total / n_steps for name, total in nats.items()}
    nats["the same a quarter"] = nats["RNNGenerator"] * STEPS_A_QUARTER / task.every
    return model, nats | {"seconds": perf_counter() - begin}


# Generated pieces.


# %% [markdown]
# ## The rules of four-part writing
#
# Counts that show whether a generated piece moves as Bach's do.


# %%
def on_beats(voices):
    """Return what each voice sings at the beginning of each quarter, (n_beats, 4)."""
    n_steps = min(voices[voice][-1].end for voice in VOICES)
    sung = np.zeros((n_steps, len(VOICES)), dtype=int)
    for column, voice in enumerate(VOICES):
        for note in voices[voice]:
            sung[note.begin : note.end, column] = note.pitch
    beats = sung[::STEPS_A_QUARTER]
    return beats[(beats != REST).all(axis=1)]


def measure_rules(pieces):
    """Return how pieces keep to the rules of four-part writing, on the beats."""
    triads = {
        frozenset((root + tone) % 12 for tone in tones)
        for root in range(12)
        for tones in TRIADS
    }
    in_triad, in_order, parallel = [], [], []
    for beats in map(on_beats, pieces):
        chords = [frozenset(beat % 12) for beat in beats]
        in_triad += [any(chord <= triad for triad in triads) for chord in chords]
        in_order += (np.diff(beats, axis=1) <= 0).all(axis=1).tolist()
        for low in range(1, len(VOICES)):
            for high in range(low):
                apart = (beats[:, high] - beats[:, low]) % 12
                moved = (np.diff(beats[:, [high, low]], axis=0) != 0).all(axis=1)
                same = (apart[1:] == apart[:-1]) & np.isin(apart[1:], [0, 7])
                parallel.append((moved & same).sum())
    share = 100 * sum(parallel) / len(in_order)
    return {
        "chord is part of a triad": np.mean(in_triad),
        "voices in order": np.mean(in_order),
        "parallel fifths and octaves, of 100 beats": share,
    }


# %% [markdown]
# ## A new piece
#
# Sampled symbol by symbol, drawn, and saved as a MIDI file.


# %%
def draw(rows, metre, path):
    """Save a picture with a piece a row; `rows` holds titles and voices."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(
        len(rows), figsize=(12, 3.6 * len(rows)), squeeze=False, layout="constrained"
    )
    every = [n for piece in rows.values() for notes in piece.values() for n in notes]
    for axes, (title, piece) in zip(grid[:, 0], rows.items(), strict=True):
        for voice, notes in piece.items():
            draw_notes(axes, notes, metre, color=COLOURS[voice])
        label_axes(axes, every, metre)
        axes.set_title(title, loc="left", fontsize="medium")
    axes.set_xlabel("bar (a number stands at its beginning)")
    figure.supylabel("pitch (C4: middle C)")
    figure.suptitle("Each stroke is a note: when it sounds, and how high")
    marks = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[voice]) for voice in VOICES]
    figure.legend(marks, VOICES, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=120)


def compose(model, train, options):
    """Generate pieces, save the first whole one, and measure how it keeps to rules."""
    drawn = model.sample(
        [options.metre],
        MOST_SYMBOLS,
        temperature=options.temperature,
        n=N_WRITTEN,
        random_state=options.seed,
    )
    whole = [d for d in drawn if is_whole(d, options.metre, MOST_SYMBOLS)]
    others = [symbols for symbols in drawn if symbols not in whole]
    pieces = [to_notes(symbols, options.metre) for symbols in whole + others]
    pieces = [piece for piece in pieces if set(piece) == set(VOICES)]
    print(
        f"{len(whole)} of {N_WRITTEN} generated pieces ended by themselves after "
        f"{BARS[0]} to {BARS[-1]} bars."
    )
    write_midi(options.midi, {v: pieces[0][v] for v in VOICES}, options.metre)
    print(f"The first of them as MIDI: {options.midi}")
    learned = find_alike(train, pieces[0]["soprano"], options.metre)
    bach = [{v: notes_of(c, i) for i, v in enumerate(VOICES)} for c in train]
    rows = {
        f"Training data: Bach's BWV {learned.bwv}": {
            v: notes_of(learned, i) for i, v in enumerate(VOICES)
        },
        "Generated by the network": pieces[0],
    }
    draw(rows, options.metre, options.picture)
    rules = {
        "Bach, training": measure_rules(bach),
        "all generated": measure_rules(pieces),
        "the picture": measure_rules(pieces[:1]),
    }
    return pieces[0], pd.DataFrame(rules)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--metre", default="4/4, upbeat 1")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--midi", default="chorale.mid")
    parser.add_argument("--picture", default="chorale_generator.png")
    options = parser.parse_args(arguments)

    train, test = load_chorales("train"), load_chorales("test")
    results, models = {}, {}
    for name in options.models:
        models[name], results[name] = learn(
            TASKS[name], train, test, options.epochs, options.seed
        )
    print("Negative log-likelihood of the test chorales, nats per step:")
    nats = pd.DataFrame(results).T
    print(nats.round(2).to_string())
    if WRITER not in models:
        return {"nats": nats}
    piece, rules = compose(models[WRITER], train, options)
    print("Rules kept, by beats of the pieces:")
    print(rules.round(2).to_string())
    print(f"Picture of a training chorale and a generated one: {options.picture}")
    return {"nats": nats, "rules": rules, "piece": piece}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
