# %% [markdown]
"""Find the bass of Bach's chorales from the soprano, step by step.

Every sixteenth of a chorale gets a label: the pitch of the bass. One network
reads the tune up to the step, another reads it in both directions. Prints the
accuracy of each on new chorales, whose tunes are not in the training data,
beside the most frequent pitches and scikit-learn's classifiers on a window of
the soprano around the step, and saves a picture of one chorale.

A tune has more than one good bass, and only the very pitch that Bach wrote
counts as right. Keys differ: every chorale is moved to the key signature
without sharps and flats, by its own signature, which a singer sees in advance.

    python examples/chorale_harmonisation.py

Options: ``--models before "both ways"``, ``--max-epochs N``, ``--seed N``,
``--picture FILE``.
"""

# %%
import argparse
import sys
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import Bunch

from sklearn_rnn import RNNTagger

# A notebook runs in the folder of its file.
FOLDER = Path(globals().get("__file__", "")).parent
# Chosen by cross-validation of the training chorales, as were the baselines' options.
PARAMETERS = {
    "cell": "lstm",
    "input_dropout": 0.0,  # would hide one pitch throughout a chorale
    "dropout": 0.4,
    "weight_drop": 0.3,
    "learning_rate": 1e-2,
    "batch_size": 8,
}
MODELS = {"before": False, "both ways": True}  # bidirectional
LOWEST, HIGHEST = 52, 87  # that the soprano may reach in the common key
STEPS_A_QUARTER = 4
WINDOW = 16  # steps of the soprano before, and after, that the baselines see
NOTES = {0: "C", 4: "E", 7: "G", 9: "A"}  # that the picture names


# %% [markdown]
# ## The chorales
#
# Soprano and bass, a pitch per sixteenth, moved to a common key.


# %%
def load_bach_chorales(subset):
    """Load the training or the test chorales; data/README.md says more of them.

    `data` and `target` have an array a chorale, the soprano's and the bass's pitch at
    every sixteenth as a MIDI number (60: middle C; 0: rest); `onsets` tells whether a
    note of the soprano begins there; `fifths` is the key signature: sharps, or if
    negative flats; `bwv` the number in the catalogue of Bach's works.
    """
    path = FOLDER / "data" / "bach_chorales.npz"
    with np.load(path) as stored:
        n_train, cuts = int(stored["n_train"]), np.cumsum(stored["lengths"])[:-1]
        chosen = slice(n_train) if subset == "train" else slice(n_train, None)
        pitch = np.split(stored["pitch"].astype(np.int64), cuts)[chosen]
        onset = np.split(stored["onset"], cuts)[chosen]
        return Bunch(
            data=[voices[:, 0] for voices in pitch],
            target=[voices[:, 3] for voices in pitch],
            onsets=[voices[:, 0] for voices in onset],
            fifths=stored["fifths"].astype(np.int64)[chosen],
            bwv=stored["bwv"][chosen],
        )


def semitones(chorales):
    """Return how far up each chorale goes to reach the common key, -5 to 6."""
    # A sharp more is a tonic 7 semitones higher, octaves aside.
    return (-7 * chorales.fifths + 5) % 12 - 5


def transpose(parts, shifts):
    """Move every part by its own number of semitones; rests stay 0."""
    return [
        np.where(part > 0, part + shift, 0)
        for part, shift in zip(parts, shifts, strict=True)
    ]


def features(soprano, onsets):
    """Return 0 or 1 for each pitch, rest, onset and place within the quarter."""
    steps = np.arange(len(soprano))
    quarter = np.eye(STEPS_A_QUARTER)[steps % STEPS_A_QUARTER]
    codes = [0, *range(LOWEST, HIGHEST + 1)]
    return np.column_stack([soprano[:, None] == codes, onsets, quarter])


def windows(soprano, onsets, both_ways):
    """Return the pitches at every second step around each, -1 beyond the ends."""
    padded = np.pad(soprano, WINDOW, constant_values=-1)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * WINDOW + 1)
    around = around[:, : None if both_ways else WINDOW + 1 : 2]
    quarter = np.arange(len(soprano)) % STEPS_A_QUARTER
    return np.column_stack([around, onsets, quarter])


class Part(NamedTuple):
    """The training or the test chorales; pitches are in the common key."""

    chorales: Bunch  # as they were loaded, in their own keys
    soprano: list
    onsets: list
    bass: list

    @classmethod
    def load(cls, subset):
        chorales = load_bach_chorales(subset=subset)
        shifts = semitones(chorales)
        soprano = transpose(chorales.data, shifts)
        bass = transpose(chorales.target, shifts)
        return cls(chorales, soprano, chorales.onsets, bass)

    def map(self, function, *arguments):
        """Return `function` of each chorale's soprano and its onsets."""
        pairs = zip(self.soprano, self.onsets, strict=True)
        return [function(*pair, *arguments) for pair in pairs]


# %% [markdown]
# ## Baselines
#
# The most frequent bass pitches, and classifiers that see a window of the soprano.


# %%
def most_frequent(train, test):
    """Predict the commonest bass pitch of all, and of each soprano pitch."""
    # Chorales in their own keys have more of one pitch than in the common key.
    commonest = pd.Series(np.concatenate(train.chorales.target)).mode()[0]
    always = [np.full(len(bass), commonest) for bass in test.bass]
    steps = pd.DataFrame({"soprano": np.concatenate(train.soprano)})
    steps["bass"] = np.concatenate(train.bass)
    given = steps.groupby("soprano")["bass"].agg(lambda pitches: pitches.mode()[0])
    by_pitch = pd.Series(np.concatenate(test.soprano)).map(given)
    return {
        "most frequent pitch": np.concatenate(
            transpose(always, semitones(test.chorales))
        ),
        "the same for each soprano pitch": by_pitch.to_numpy(),  # NaN is never right
    }


def predict_by_baselines(train, test, both_ways, seed):
    """Predict with classifiers that see a window of the soprano."""
    X, X_test = (np.concatenate(p.map(windows, both_ways)) for p in (train, test))
    classifiers = {
        "logistic regression, window": LogisticRegression(C=0.1, max_iter=500),
        "random forest, window": RandomForestClassifier(
            min_samples_leaf=2, random_state=seed
        ),
    }
    predictions = {}
    for name, classifier in classifiers.items():
        model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), classifier)
        predictions[name] = model.fit(X, np.concatenate(train.bass)).predict(X_test)
    return predictions


# %% [markdown]
# ## A picture of one chorale


# %%
def draw(soprano, bass, predicted, title, path):
    """Save a picture of one chorale: soprano, Bach's bass and the predicted one."""
    import matplotlib.pyplot as plt

    def bars(pitches, **style):
        """Draw a bar from every change of pitch to the next."""
        starts = np.flatnonzero(np.diff(pitches, prepend=-1))
        ends = np.append(starts[1:], len(pitches))
        heights = np.where(pitches > 0, pitches, np.nan)[starts]  # no bar for 0
        axes.hlines(
            heights, 1 + starts / STEPS_A_QUARTER, 1 + ends / STEPS_A_QUARTER, **style
        )

    figure, axes = plt.subplots(figsize=(11, 5), layout="constrained")
    right, wrong = predicted * (predicted == bass), predicted * (predicted != bass)
    bars(soprano, color="black", linewidth=3, label="soprano (given)")
    bars(bass, color="0.8", linewidth=9, label="Bach's bass")
    bars(right, color="tab:blue", linewidth=3, label="predicted, right")
    bars(wrong, color="tab:red", linewidth=3, label="predicted, wrong")
    ticks = [p for p in range(min(bass[bass > 0]), max(soprano)) if p % 12 in NOTES]
    axes.set_yticks(ticks, [f"{NOTES[p % 12]}{p // 12 - 1}" for p in ticks])
    axes.set(title=title, xlabel="quarter note", ylabel="pitch (C4: middle C)")
    axes.grid(axis="y", color="0.93")
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--max-epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", default="chorale_harmonisation.png")
    options = parser.parse_args(arguments)

    train, test = Part.load("train"), Part.load("test")
    X, X_test = train.map(features), test.map(features)
    truth = np.concatenate(test.bass)
    print(
        f"{len(X)} chorales, {sum(map(len, X))} steps, to train on; "
        f"{len(X_test)} chorales, {len(truth)} steps, to test on"
    )

    results = {}
    for name in options.models:
        both_ways = MODELS[name]
        predictions = most_frequent(train, test)
        predictions |= predict_by_baselines(train, test, both_ways, options.seed)
        model = RNNTagger(
            bidirectional=both_ways,
            max_epochs=options.max_epochs,
            random_state=options.seed,
            **PARAMETERS,
        )
        begin = perf_counter()
        model.fit(X, train.bass)
        seconds = perf_counter() - begin
        basses = model.predict(X_test)
        predictions["RNNTagger"] = np.concatenate(basses)
        results[name] = {row: np.mean(p == truth) for row, p in predictions.items()}
        results[name]["seconds to fit it"] = seconds
    print("Fraction of the steps of the test chorales with the bass that Bach wrote:")
    print(pd.DataFrame(results).round(3).to_string())

    # A chorale that the last network gets about as right as most, in its own key.
    rates = [np.mean(a == b) for a, b in zip(basses, test.bass, strict=True)]
    i = np.argsort(rates)[len(rates) // 2]
    chorales = test.chorales
    predicted = transpose(basses, -semitones(chorales))[i]
    title = f"BWV {chorales.bwv[i]}: {rates[i]:.0%} of the bass found ({name})"
    draw(chorales.data[i], chorales.target[i], predicted, title, options.picture)
    print(f"Picture of one chorale: {options.picture}")
    return results


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
