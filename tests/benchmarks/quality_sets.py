"""The sequences that bench_quality.py classifies; quality_cases.py has the halves."""

import csv
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from quality_cases import DEV, HELD_OUT
from sklearn.datasets import load_digits
from sklearn.model_selection import (
    GroupKFold,
    LeaveOneGroupOut,
    StratifiedKFold,
    train_test_split,
)

from sklearn_rnn import LogMelSpectrogram
from sklearn_rnn.datasets import (
    load_drum_hits,
    load_japanese_vowels,
    load_movie_sentences,
    load_spoken_words,
)

N_FOLDS = 5
WORDS_RATE, DRUMS_RATE = 8_000, 16_000  # samples per second


@dataclass(frozen=True)
class ClassifyCase:
    """Labelled sequences, and how they are split.

    ``read(folder)`` returns the sequences, a list of (steps, features) arrays, their
    labels, and pairs of training and test positions.
    """

    name: str
    half: str
    read: Callable
    ships: bool = False


def join(X_train, y_train, X_test, y_test):
    """Return sequences and labels, and the published split of them."""
    train = np.arange(len(X_train))
    test = len(X_train) + np.arange(len(X_test))
    return [*X_train, *X_test], np.concatenate([y_train, y_test]), [(train, test)]


def read_published(file):
    """Return a reader of a file with a training and a test set."""

    def read(folder):
        with np.load(Path(folder, "classification", file + ".npz")) as stored:
            return join(*(stored[f"{k}_{s}"] for s in ("train", "test") for k in "Xy"))

    return read


def read_watch(folder):
    with np.load(Path(folder, "classification", "watch.npz")) as stored:
        X = np.split(stored["values"], np.cumsum(stored["lengths"])[:-1])
        y, subject = stored["y"], stored["subject"]
    return X, y, list(GroupKFold(N_FOLDS).split(X, y, subject))


def read_vowels(folder):
    halves = [
        load_japanese_vowels(subset=s, return_X_y=True) for s in ("train", "test")
    ]
    return join(*halves[0], *halves[1])


def read_digits(n_steps):
    """Return a reader of images of digits, cut into so many steps."""

    def read(folder):
        images, y = load_digits(return_X_y=True)
        X = list(images.reshape(len(images), n_steps, -1))
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
        return X, y, list(folds.split(images, y))

    return read


def spectra(waveforms, rate):
    """Return log-mel spectra, a frame per step, for all methods alike."""
    mel = LogMelSpectrogram(sample_rate=rate, n_mfcc=20)
    return list(mel.fit_transform(waveforms))


def read_drums(folder):
    drums = load_drum_hits()
    X = spectra(drums.data, drums.sample_rate)
    return X, drums.target, list(LeaveOneGroupOut().split(X, drums.target, drums.kit))


def vary(waveform, rng):
    """Return a word at another speed and loudness, with noise."""
    times = np.arange(0, len(waveform) - 1, np.exp(rng.uniform(*np.log([0.8, 1.25]))))
    word = np.interp(times, np.arange(len(waveform)), waveform)
    word *= 10 ** (rng.uniform(-6, 6) / 20)
    noise = np.std(word) * 10 ** (-rng.uniform(0, 30) / 20)
    return (word + rng.normal(0, noise, len(word))).astype(np.float32)


def read_recordings(*kinds):
    """Return spoken words, each recorded once, and what they are."""
    parts = [load_spoken_words(kind=kind) for kind in kinds]
    waveforms = [w / 32768 for words in parts for w in words.data]
    return waveforms, np.concatenate([words.target for words in parts]).astype(str)


def vary_words(*kinds, n_variants=8):
    """Return variants of spoken words to train on, and others to test on."""
    rng = np.random.default_rng(0)
    waveforms, names = read_recordings(*kinds)
    sets = [
        [vary(w, rng) for w in waveforms for _ in range(n_variants)]
        for _ in ("train", "test")
    ]
    y = np.repeat(names, n_variants)
    return join(sets[0], y, sets[1], y)


def read_words(folder):
    """Read spectra of the digits and the radio alphabet."""
    waveforms, y, folds = vary_words("digits", "phonetic")
    return spectra(waveforms, WORDS_RATE), y, folds


CLASSIFY_CASES = [
    ClassifyCase("vowels", DEV, read_vowels, ships=True),
    ClassifyCase("arrowhead", DEV, read_published("arrowhead")),
    ClassifyCase("basicmotions", DEV, read_published("basicmotions")),
    ClassifyCase("watch", DEV, read_watch),
    ClassifyCase("digits_rows", DEV, read_digits(8), ships=True),
    ClassifyCase("drums", DEV, read_drums, ships=True),
    ClassifyCase("coffee", HELD_OUT, read_published("coffee")),
    ClassifyCase("trace", HELD_OUT, read_published("trace")),
    ClassifyCase("osuleaf", HELD_OUT, read_published("osuleaf")),
    ClassifyCase("unittest", HELD_OUT, read_published("unittest")),
    ClassifyCase("digits_pixels", HELD_OUT, read_digits(64), ships=True),
    ClassifyCase("spoken_words", HELD_OUT, read_words, ships=True),
]


# Sounds: waveforms, of which each method makes its own features.


@dataclass(frozen=True)
class SoundCase(ClassifyCase):
    """Labelled waveforms; `rate` is their samples per second."""

    rate: int = WORDS_RATE


def read_drum_waveforms(folder):
    drums = load_drum_hits()
    waveforms = [w / 32768 for w in drums.data]
    folds = LeaveOneGroupOut().split(waveforms, drums.target, drums.kit)
    return waveforms, drums.target, list(folds)


def record(waveform, response):
    """Return a sound as a device records it that has such a frequency response (dB)."""
    spectrum = np.fft.rfft(waveform)
    positions = np.linspace(0, len(response) - 1, len(spectrum))
    spectrum *= 10 ** (np.interp(positions, np.arange(len(response)), response) / 20)
    return np.fft.irfft(spectrum, len(waveform)).astype(np.float32)


def read_devices(*kinds, n_devices=3):
    """Return a reader of varied words; the devices that are tested on are unknown."""

    def read(folder):
        X, y, folds = vary_words(*kinds)
        rng = np.random.default_rng(1)
        responses = rng.normal(0, 6, size=(2, n_devices, 9))
        for part, rows in zip(responses, folds[0], strict=True):
            for k, i in enumerate(rows):
                X[i] = record(X[i], part[k % n_devices])
        return X, y, folds

    return read


SOUND_CASES = [
    SoundCase("drums_kits", DEV, read_drum_waveforms, ships=True, rate=DRUMS_RATE),
    SoundCase("letters", DEV, lambda folder: vary_words("letters"), ships=True),
    SoundCase("letters_devices", DEV, read_devices("letters"), ships=True),
    SoundCase("digits", HELD_OUT, lambda folder: vary_words("digits"), ships=True),
    SoundCase(
        "words", HELD_OUT, lambda folder: vary_words("digits", "phonetic"), ships=True
    ),
    SoundCase(
        "words_devices", HELD_OUT, read_devices("digits", "phonetic"), ships=True
    ),
]


# Texts: a fifth is the test part; half of the others is the development half, in folds.


def load_movies(folder):
    return load_movie_sentences(return_X_y=True)


def load_topics(folder):
    path = Path(folder, "topics", "ag_news_7600.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    texts = np.array([f"{title} {text}" for _, title, text in rows], dtype=object)
    return texts, np.array([topic for topic, _, _ in rows])


def read_texts(load, half):
    """Return a reader of texts, their labels, and the splits of a half."""

    def split(rows, y, size):
        return train_test_split(rows, test_size=size, random_state=0, stratify=y[rows])

    def read(folder):
        texts, y = load(folder)
        train, test = split(np.arange(len(y)), y, 0.2)
        if half == HELD_OUT:
            return texts, y, [(train, test)]
        rows, _ = split(train, y, 0.5)
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
        return texts[rows], y[rows], list(folds.split(rows, y[rows]))

    return read


TEXT_CASES = [
    ClassifyCase("movies_half", DEV, read_texts(load_movies, DEV), ships=True),
    ClassifyCase("topics_half", DEV, read_texts(load_topics, DEV)),
    ClassifyCase("movies", HELD_OUT, read_texts(load_movies, HELD_OUT), ships=True),
    ClassifyCase("topics", HELD_OUT, read_texts(load_topics, HELD_OUT)),
]
