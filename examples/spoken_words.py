# %% [markdown]
"""Recognise spoken words, and find them in a long recording.

Thirty-six words, the ten digits and the radio alphabet ("alpha" to "zulu"), were
recorded once each. A classifier learns them from renditions at other speeds, louder and
softer, with noise; those that it is tested on are new. The baselines are logistic
regression and nearest neighbours on the mean and standard deviation of the same
spectra.

Then it searches a recording of about a minute for words at unknown times: the recording
is cut into overlapping windows, each window is classified as a word or as "nothing",
and the predictions are joined on the time axis.

    python examples/spoken_words.py

Options: ``--renditions 8``, ``--seed 0``, ``--picture FILE``.
"""

# %%
import argparse
import sys
from itertools import pairwise
from time import perf_counter

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_rnn import (
    LogMelSpectrogram,
    RNNClassifier,
    SequenceScaler,
    join_windows,
    make_windows,
)
from sklearn_rnn.datasets import load_spoken_words

SPEEDS = 0.8, 1.25  # times as fast as recorded
GAIN = 6.0  # dB, up and down
NOISE = 0.0, 30.0  # dB that a word is louder than its noise
# What begins and ends a recording is silence if so much softer than its loudest.
SILENCE = 0.02
NOTHING = "-"
WINDOW, STRIDE = 0.6, 0.1  # seconds
SURE = 0.4  # lowest probability at which a word is reported


# %% [markdown]
# ## The recordings
#
# Single words, at other speeds and loudnesses, with noise.


# %%
def load_voice():
    """Return the waveform of each word, without silence around it."""
    voice = {}
    for kind in ("digits", "phonetic"):
        words = load_spoken_words(kind=kind)
        for said, recorded in zip(words.target, words.data, strict=True):
            waveform = recorded / 32768
            loud = np.flatnonzero(np.abs(waveform) > SILENCE * np.abs(waveform).max())
            voice[str(said)] = waveform[loud[0] : loud[-1] + 1]
    voice.pop("niner")  # a second nine
    return voice, words.sample_rate


def rendition(waveform, rng):
    """Return a word at another speed and loudness."""
    times = np.arange(0, len(waveform) - 1, np.exp(rng.uniform(*np.log(SPEEDS))))
    faster = np.interp(times, np.arange(len(waveform)), waveform)
    return faster * 10 ** (rng.uniform(-GAIN, GAIN) / 20)


def with_noise(waveform, rng):
    """Return a waveform with white noise over it."""
    noise = np.std(waveform) * 10 ** (-rng.uniform(*NOISE) / 20)
    return (waveform + rng.normal(0, noise, len(waveform))).astype(np.float32)


def single_words(voice, n, rng):
    """Return n renditions of each word, and what is said in each."""
    said = np.repeat(list(voice), n)
    return [with_noise(rendition(voice[word], rng), rng) for word in said], said


def record(voice, words, rate, rng):
    """Return a recording of these words with pauses, and the word at each sample."""
    parts, labels = [], []
    for word in words:
        pause = np.zeros(int(rng.uniform(0.2, 1.0) * rate))
        waveform = rendition(voice[word], rng)
        parts += [pause, waveform]
        labels += [np.full(len(pause), NOTHING, object), np.full(len(waveform), word)]
    return with_noise(np.concatenate(parts), rng), np.concatenate(labels).astype(str)


# %% [markdown]
# ## Windows and models
#
# The network reads a window frame by frame; the baselines see mean and deviation.


# %%
def cut(recording, labels, rate):
    """Return overlapping windows, and the label in the middle of each."""
    n_steps = int(WINDOW * rate)
    windows = make_windows(recording, n_steps=n_steps, stride=int(STRIDE * rate))
    return windows, labels[windows.starts + n_steps // 2]


def mean_and_deviation(sequences):
    """Describe each sequence of frames by mean and deviation of its features."""
    return np.array([np.r_[x.mean(axis=0), x.std(axis=0)] for x in sequences])


def make_models(rate, seed):
    """Return the network, and baselines on the same spectra."""
    spectra = {"sample_rate": rate, "n_mfcc": 20}
    network = make_pipeline(
        LogMelSpectrogram(**spectra, noise_snr=NOISE),  # new noise in every epoch
        SequenceScaler(),
        RNNClassifier(
            bidirectional=True, input_dropout=0.0, batch_size=16, random_state=seed
        ),
    )
    baselines = {
        "logistic regression": LogisticRegression(max_iter=1000),
        "nearest neighbour": KNeighborsClassifier(1),
    }
    return {"RNNClassifier": network} | {
        name: make_pipeline(
            LogMelSpectrogram(**spectra),
            FunctionTransformer(mean_and_deviation),
            StandardScaler(),
            baseline,
        )
        for name, baseline in baselines.items()
    }


# %% [markdown]
# ## Words in a long recording
#
# The probabilities of overlapping windows are averaged at every sample; a word is
# reported where its probability is high.


# %%
def runs(labels):
    """Yield (label, first sample, end) of each stretch of one label."""
    edges = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1], True])
    for begin, end in pairwise(edges):
        yield labels[begin], begin, end


def count_found(true, predicted):
    """Count words that are found where they are, and false alarms."""
    found = [
        (predicted[begin:end] == word).mean() > 0.3
        for word, begin, end in runs(true)
        if word != NOTHING
    ]
    alarms = [
        word not in true[begin:end]
        for word, begin, end in runs(predicted)
        if word != NOTHING
    ]
    return {"words": len(found), "found": int(sum(found)), "false alarms": sum(alarms)}


def find_words(model, recording, rate):
    """Return the classes' probabilities at every sample of a recording."""
    windows, _ = cut(recording, np.full(len(recording), NOTHING), rate)
    everywhere = join_windows(windows, model.predict_proba(windows))
    return np.nan_to_num(everywhere)  # no window reaches the end


def decide(probabilities, classes):
    """Return the most probable word where it is sure enough, else nothing."""
    best = classes[probabilities.argmax(axis=1)]
    return np.where(probabilities.max(axis=1) > SURE, best, NOTHING)


# %% [markdown]
# ## A picture of the words found


# %%
def draw(probabilities, classes, true, recording, rate, path, seconds=15):
    """Save a picture of the beginning of a recording, and the words found in it."""
    import matplotlib.pyplot as plt

    n = min(int(seconds * rate), len(recording))
    times = np.arange(n) / rate
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(11, 5.5), sharex=True, layout="constrained"
    )
    above.plot(times, recording[:n], linewidth=0.4, color="0.4")
    for word, begin, end in runs(true[:n]):
        if word != NOTHING:
            above.axvspan(begin / rate, end / rate, color="C0", alpha=0.15)
            middle = (begin + end) / 2 / rate
            above.text(middle, 1.02, word, transform=above.get_xaxis_transform(),
                       ha="center", fontsize="small")  # fmt: skip
    found = decide(probabilities, classes)[:n]
    for i, word in enumerate(classes):
        if word != NOTHING and (found == word).any():
            below.plot(times, probabilities[:n, i], label=word)
            top = times[probabilities[:n, i].argmax()]
            below.text(top, probabilities[:n, i].max() + 0.02, word, ha="center",
                       fontsize="small")  # fmt: skip
    below.axhline(SURE, color="0.7", linewidth=0.8)
    above.set(ylabel="waveform", yticks=[])
    below.set(xlabel="time (s)", ylabel="probability", ylim=(0, 1.12))
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--renditions", type=int, default=8, help="of each word")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", default="spoken_words.png")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(options.seed)
    voice, rate = load_voice()
    X, y = single_words(voice, options.renditions, rng)
    X_test, y_test = single_words(voice, options.renditions, rng)
    models = make_models(rate, options.seed)
    results = {}
    print(f"{len(voice)} words, {options.renditions} renditions each; accuracy on new:")
    for name, model in models.items():
        results[name] = model.fit(X, y).score(X_test, y_test)
        print(f"  {name}: {results[name]:.1%}")

    words = rng.permutation(np.repeat(list(voice), options.renditions))
    recording, labels = record(voice, words, rate, rng)
    windows, targets = cut(recording, labels, rate)
    model = models["RNNClassifier"].set_params(rnnclassifier__max_epochs=options.epochs)
    begin = perf_counter()
    model.fit(windows, targets)
    print(
        f"{len(windows)} windows of a recording of {len(recording) / rate / 60:.0f} "
        f"minutes learned in {perf_counter() - begin:.0f} s"
    )
    words = rng.permutation(list(voice))
    recording, labels = record(voice, words, rate, rng)
    probabilities = find_words(model, recording, rate)
    results["found"] = count_found(labels, decide(probabilities, model.classes_))
    print(f"In another one of {len(recording) / rate:.0f} s: {results['found']}")
    draw(probabilities, model.classes_, labels, recording, rate, options.picture)
    print(f"Picture of the recording: {options.picture}")
    return results


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
