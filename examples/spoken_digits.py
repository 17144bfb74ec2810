# %% [markdown]
"""Transcribe spoken strings of digits, or spelled words, without any alignment.

Each digit and each letter was recorded once. A string is put together from these
recordings, each at a speed and loudness of its own, with pauses between them, and
noise over all: no recording is used unchanged, and none twice in the same way. A
network learns to transcribe such clips by CTC from the strings alone, and is tested on
strings that are not in the training data.

    python examples/spoken_digits.py

The same with letters, which sound more alike: English words, spelled. Unseen words
are read as they come, with a model of which letters follow one another, and with a
list of 20,000 words, which holds them:

    python examples/spoken_digits.py --kind letters

Other options: ``--clips 800``, ``--test-clips 500``, ``--epochs 10``, ``--seed 0``,
``--picture FILE``.

The picture shows a clip as the network reads it, and above it the probability of each
symbol over time.
"""

# %%
import argparse
import sys
from time import perf_counter

import numpy as np
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    LogMelSpectrogram,
    PosteriorDisplay,
    RNNTranscriber,
    SequenceScaler,
    SpectrogramDisplay,
)
from sklearn_rnn.datasets import load_cmudict, load_spoken_words
from sklearn_rnn.metrics import sequence_accuracy, symbol_error_rate

SPEEDS = 0.8, 1.25  # times as fast as recorded
GAIN = 6.0  # dB, up and down, of each recording
PAUSES = 0.0, 0.25  # seconds between two recordings
NOISE = 0.0, 30.0  # dB that a clip is louder than its noise
# What begins and ends a recording is silence if so much softer than its loudest.
SILENCE = 0.02
N_WORDS = 20_000  # of the list that spelled words are held to


# %% [markdown]
# ## The recordings
#
# Single words, at other speeds and loudnesses, strung together with pauses and noise.


# %%
def load_voice(kind):
    """Return the waveform of each digit or letter, without silence around it."""
    words = load_spoken_words(kind=kind)
    voice = {}
    for said, recorded in zip(words.target, words.data, strict=True):
        waveform = recorded / 32768
        loud = np.flatnonzero(np.abs(waveform) > SILENCE * np.abs(waveform).max())
        voice[str(said)] = waveform[loud[0] : loud[-1] + 1]
    return voice, words.sample_rate


def say(text, voice, rate, rng):
    """Return a waveform of these digits or letters, said one after the other."""
    parts = [np.zeros(int(rng.uniform(*PAUSES) * rate))]
    for symbol in text:
        waveform, speed = voice[symbol], np.exp(rng.uniform(*np.log(SPEEDS)))
        times = np.arange(0, len(waveform) - 1, speed)
        faster = np.interp(times, np.arange(len(waveform)), waveform)
        parts.append(faster * 10 ** (rng.uniform(-GAIN, GAIN) / 20))
        parts.append(np.zeros(int(rng.uniform(*PAUSES) * rate)))
    clip = np.concatenate(parts)
    noise = np.std(clip) * 10 ** (-rng.uniform(*NOISE) / 20)
    return (clip + rng.normal(0, noise, len(clip))).astype(np.float32)


# %% [markdown]
# ## What is said
#
# Strings of digits, or spelled words. Those to test on are new.


# %%
def digit_strings(n_train, n_test, rng):
    """Return strings of digits; those to test on have two to seven, and are new."""
    train, test = [], set()
    while len(train) < n_train:
        train.append("".join(rng.choice(list("0123456789"), rng.integers(1, 7))))
    seen = set(train)
    while len(test) < n_test:
        text = "".join(rng.choice(list("0123456789"), rng.integers(2, 8)))
        test |= {text} - seen
    return train, sorted(test), []


def spelled_words(n_train, n_test, rng):
    """Return words to spell, others to test on, and a list that holds the latter."""
    words = load_cmudict().data
    words = [word for word in words if word.isalpha() and 2 <= len(word) <= 9]
    words = [word for word in words if word.isascii()]
    chosen = rng.choice(words, N_WORDS + n_train, replace=False).tolist()
    train, known = chosen[:n_train], chosen[n_train:]
    return train, known[:n_test], known


# %% [markdown]
# ## Scores and pictures


# %%
def judge(model, clips, texts):
    """Return the fractions of wrong symbols and of right strings."""
    written = model.predict(clips)
    return {
        "symbol error": symbol_error_rate(texts, written),
        "whole strings right": sequence_accuracy(texts, written),
    }


def draw(model, clip, text, path):
    """Save a picture of a clip, and of the probabilities of symbols over time."""
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 7), layout="constrained")
    PosteriorDisplay.from_estimator(model, [clip], [text], ax=above)
    SpectrogramDisplay.from_estimator(model, [clip], ax=below)
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kind", choices=["digits", "letters"], default="digits")
    parser.add_argument("--clips", type=int, default=800)
    parser.add_argument("--test-clips", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--units", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", default="spoken_digits.png")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(options.seed)
    voice, rate = load_voice(options.kind)
    make = digit_strings if options.kind == "digits" else spelled_words
    train, test, known = make(options.clips, options.test_clips, rng)
    clips = [say(text, voice, rate, rng) for text in train]
    test_clips = [say(text, voice, rate, rng) for text in test]
    seconds = sum(map(len, clips)) / rate
    print(f"{len(clips)} clips of {seconds / 60:.0f} minutes, such as {train[:3]}")

    model = make_pipeline(
        LogMelSpectrogram(sample_rate=rate),
        SequenceScaler(),
        RNNTranscriber(
            hidden_size=options.units,
            subsampling=3,
            max_epochs=options.epochs,
            random_state=options.seed,
        ),
    )
    begin = perf_counter()
    model.fit(clips, train)
    print(f"{options.epochs} epochs in {perf_counter() - begin:.0f} s")
    searches = {"most probable symbol of each frame": {}}
    searches["beam of 10"] = {"beam_width": 10}
    if known:
        searches["with n-grams of letters"] = {
            "ngram_order": 4,
            "ngram_text": known,
        }
        searches["and a list of words"] = {"word_list": known}
    results = {}
    print(f"On {len(test)} strings that were not trained on:")
    for name, parameters in searches.items():
        model[-1].set_params(**parameters)
        results[name] = judge(model, test_clips, test)
        told = ", ".join(f"{key} {value:.1%}" for key, value in results[name].items())
        print(f"  {name}: {told}")
    draw(model, test_clips[0], test[0], options.picture)
    print(f"Picture of a clip: {options.picture}")
    return results


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
