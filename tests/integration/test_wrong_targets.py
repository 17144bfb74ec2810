"""Targets and texts that are something else than what is asked for are told."""

import warnings
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold, cross_val_score
from torch.nn.utils.rnn import pack_sequence

from sklearn_rnn import (
    InvalidSequenceError,
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceScaler,
    SequenceTokenizer,
    TargetWarning,
    make_step_scorer,
)

QUICK = {"hidden_size": 2, "max_epochs": 1, "random_state": 0}
rng = np.random.default_rng(0)
N, T = 30, 6
FRAMES = rng.normal(size=(N, T, 2))
SHORT = [x for x in FRAMES[:, :3]]
NUMBERS = rng.normal(size=(N, 3))


def writers():
    return [RNNSeq2Seq(**QUICK), RNNTranscriber(**QUICK)]


# Continuous numbers as symbols.

CONTINUOUS = {
    "lists": NUMBERS.tolist(),
    "arrays": list(NUMBERS),
    "float32": [[np.float32(v) for v in row] for row in NUMBERS],
    "2-D array": NUMBERS,
    "Series of arrays": pd.Series(list(NUMBERS)),
    "tensor": torch.tensor(NUMBERS),
    "tensors": [torch.tensor(row) for row in NUMBERS],
    "ragged": [row[: 1 + i % 3] for i, row in enumerate(NUMBERS)],
    "a single one": [[1, 2, 3]] * (N - 1) + [[1.5, 2, 3]],
    "infinity": [[1.0, np.inf]] * N,
    "Decimal": [[Decimal("1.5"), Decimal("2.25")]] * N,
    "infinite Decimal": [[Decimal("Infinity"), Decimal("1E+50")]] * N,
    "complex": [[1j, 2j]] * N,
    "beside words": [["a", value] for value in NUMBERS[:, 0]],
}


@pytest.mark.parametrize("y", CONTINUOUS.values(), ids=CONTINUOUS.keys())
def test_continuous_numbers_are_no_symbols(y):
    for model in writers():
        with pytest.raises(InvalidSequenceError, match=r"y\[.*continuous numbers"):
            model.fit(FRAMES, y)
    with pytest.raises(InvalidSequenceError, match=r"use RNNRegressor\(return_seq"):
        RNNGenerator(**QUICK).fit(y)
    with pytest.raises(InvalidSequenceError, match="set source='sequences'"):
        RNNSeq2Seq(source="symbols", **QUICK).fit(y, ["ab", "c"] * (N // 2))
    with pytest.raises(InvalidSequenceError, match="without a tokenizer"):
        SequenceTokenizer().fit(y)


@pytest.mark.parametrize(
    "y",
    [NUMBERS[:, 0], NUMBERS[:, 0].tolist(), pd.Series(NUMBERS[:, 0]), list(range(N))],
)
def test_a_number_per_sequence_is_no_sequence_of_symbols(y):
    for model in writers():
        with pytest.raises(InvalidSequenceError, match="one number per sequence use R"):
            model.fit(FRAMES, y)


def test_continuous_numbers_are_refused_after_fit_too():
    digits = [[1, 2, 3], [2, 1, 3]] * (N // 2)
    for model in writers():
        model.fit(FRAMES, digits)
        with pytest.raises(InvalidSequenceError, match="continuous numbers"):
            model.score(FRAMES, NUMBERS)
        with pytest.raises(InvalidSequenceError, match="continuous numbers"):
            model.fit(FRAMES, digits, X_val=FRAMES, y_val=NUMBERS)
        with pytest.raises(InvalidSequenceError, match="continuous numbers"):
            model.set_params(warm_start=True).fit(FRAMES, NUMBERS)
    model = RNNGenerator(**QUICK).fit(digits)
    for ask in (model.sample, model.next_symbols, model.stream):
        with pytest.raises(InvalidSequenceError, match="continuous numbers"):
            ask([0.5, 1.5])
    for ask in (model.score, model.score_samples, model.hidden_states):
        with pytest.raises(InvalidSequenceError, match="continuous numbers"):
            ask(NUMBERS)


def test_tuples_of_measurements_are_no_symbols():
    y = [[(value, "mm") for value in row] for row in NUMBERS.tolist()]
    for model in writers():
        with pytest.raises(InvalidSequenceError, match="y holds tuples of continuous"):
            model.fit(FRAMES, y)
    with pytest.raises(InvalidSequenceError, match="X holds tuples of continuous"):
        RNNGenerator(**QUICK).fit(y)


def test_tuples_with_a_few_lengths_are_read_though_each_comes_once():
    notes = [(pitch, [0.25, 0.5, 1.5][pitch % 3]) for pitch in range(60, 100)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RNNGenerator(**QUICK).fit([notes[:20], notes[20:]])


def test_numbers_that_are_symbols_are_read():
    notes = [(60, 0.5), (62, 0.25)]  # pitch and length
    for y in (
        [[1.0, 2.0], [2.0, 1.0]],
        [[True, False]] * 2,
        [[Fraction(1, 3), 1]] * 2,
        [notes, notes],
    ):
        model = RNNSeq2Seq(**QUICK).fit(FRAMES[:2], y)
        assert set(model.target_symbols_) == set(y[0])
    tensors = [torch.tensor([1, 2]), torch.tensor([2])]
    assert set(RNNGenerator(**QUICK).fit(tensors).symbols_) == {1, 2}


@pytest.mark.parametrize(
    "row, error, message",
    [
        ([1, None, 2], InvalidSequenceError, "None, and else numbers alone"),
        ([None, None], InvalidSequenceError, "None, and else numbers alone"),
        ([1.0, np.nan], InvalidSequenceError, "holds NaN"),
        ([1, True], InvalidSequenceError, "both True and 1, which are equal"),
        ([0, np.False_], InvalidSequenceError, "both False and 0, which are equal"),
        ([torch.tensor(1)], TypeError, "type Tensor, which equals no other one"),
        (b"ab", InvalidSequenceError, "Decode it"),
    ],
)
def test_symbols_that_could_not_be_told_apart_are_refused(row, error, message):
    for model in writers():
        with pytest.raises(error, match=message):
            model.fit(FRAMES, [row] * N)
    with pytest.raises(error, match=message):
        RNNGenerator(**QUICK).fit([row] * N)


def test_numbers_that_come_once_are_told():
    y = rng.permutation(10**6)[: N * 3].reshape(N, 3)
    for model in writers():
        with pytest.warns(TargetWarning, match="90 different numbers, most of them on"):
            model.fit(FRAMES, y)
    with pytest.warns(TargetWarning, match="90 different numbers"):
        RNNGenerator(**QUICK).fit(y)


# Padding.

LENGTHS = rng.integers(2, T + 1, N)
INSIDE = np.arange(T) < LENGTHS[:, np.newaxis]
LABELS = rng.integers(0, 3, (N, T))
ZERO_PADDED = np.where(INSIDE[:, :, np.newaxis], FRAMES, 0.0)
RAGGED = [x[:n] for x, n in zip(FRAMES, LENGTHS, strict=True)]


def padded(value, labels=LABELS):
    return np.where(INSIDE, labels, value)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [np.asarray, list, np.float64, torch.tensor])
@pytest.mark.parametrize("X, value", [(FRAMES, -100), (ZERO_PADDED, -1)])
def test_labels_filled_up_for_torch_name_missing_label(X, value, kind):
    y = kind(padded(value))
    message = rf"RNNTagger\(missing_label={value}\)"
    for ask in (RNNTagger(**QUICK).fit, RNNTagger(**QUICK).partial_fit):
        with pytest.raises(ValueError, match=message):
            ask(X, y)
    classes = [value, 0, 1, 2]
    RNNTagger(**QUICK).partial_fit(X, y, classes=classes)  # they are labels then
    with warnings.catch_warnings():
        if X is ZERO_PADDED:
            warnings.filterwarnings("ignore", "X is constant", TargetWarning)
        model = RNNTagger(missing_label=value, **QUICK).fit(X, y)
    assert list(model.classes_) == [0, 1, 2]


def test_labels_that_torch_ignores_inside_of_sequences_are_told():
    y = np.where(rng.random((N, T)) < 0.3, -100, LABELS)
    with pytest.warns(TargetWarning, match=r"among class codes.*missing_label=-100"):
        RNNTagger(**QUICK).fit(FRAMES, y)


def test_labels_at_ends_alone_are_warned_of():
    with pytest.warns(TargetWarning, match=r"at ends .*RNNTagger\(missing_label=-1\)"):
        RNNTagger(**QUICK).fit(FRAMES, padded(-1))


@pytest.mark.parametrize("value", [-1, -100])
def test_targets_longer_than_their_sequences_say_what_is_behind(value):
    with pytest.raises(ValueError, match=rf"{value} alone.*missing_label={value}"):
        RNNTagger(**QUICK).fit(RAGGED, padded(value))
    model = RNNRegressor(return_sequences=True, **QUICK)
    with pytest.raises(ValueError, match=rf"{value}.0 alone.*put NaN there"):
        model.fit(RAGGED, padded(value, FRAMES[:, :, 0]))


@pytest.mark.parametrize("value", [-1, -100])
def test_numbers_at_padded_steps_are_told(value):
    model = RNNRegressor(return_sequences=True, **QUICK)
    y = padded(value, FRAMES[:, :, 0])
    for targets in (y, np.stack([y, y], axis=2)):
        with pytest.warns(TargetWarning, match="at ends .*put NaN there") as told:
            model.fit(ZERO_PADDED, targets)
        assert len(told) == 1


def test_numbers_to_predict_are_never_refused():
    class Regressor(RNNRegressor):
        pass

    for kind in (RNNRegressor, Regressor):
        model = kind(return_sequences=True, **QUICK)
        X = np.where(np.arange(T) < LENGTHS[:, np.newaxis], 1.0, -1.0)
        model.fit(X, np.sign(X))
        rewards = np.zeros((N, T))
        rewards[::2, -1] = -100  # a failure ends an episode
        model.fit(FRAMES, rewards)
        with pytest.warns(TargetWarning, match="put NaN there"):
            model.fit(FRAMES, padded(-100, 0))


def test_labels_that_only_some_sequences_end_in_are_labels():
    y = np.resize([[0, 1, -1, 0, 1, -1], [1, -1, 0, 1, 0, 0]], (N, T))
    model = RNNTagger(**QUICK).fit(FRAMES, y)
    assert list(model.classes_) == [-1, 0, 1]
    ends = np.array([[0, 1, 0, 0, -1, -1], [1, 0, 0, 1, 0, -1]])
    X = np.where(ends[:, :, np.newaxis] < 0, 0.0, FRAMES[:2])
    score = model.score(X, ends)
    assert make_step_scorer(accuracy_score)(model, X, ends) == score
    model.partial_fit(X, ends)
    model.set_params(warm_start=True).fit(X, ends)
    RNNTagger(**QUICK).fit(FRAMES, y, X_val=X, y_val=ends)
    RNNTagger(**QUICK).partial_fit(X, ends, classes=[-1, 0, 1])


def test_the_same_targets_are_accepted_whichever_rows_come_together():
    X, y = FRAMES.copy(), LABELS.copy()
    X[::3, -1], y[::3, -1] = 0, -1
    y[1, 2] = -1  # in a single fold
    RNNTagger(**QUICK).fit(X, y)
    scores = cross_val_score(RNNTagger(**QUICK), X, y, cv=KFold(3))
    assert np.isfinite(scores).all()


def test_labels_below_zero_are_labels():
    binary = (FRAMES[:, :, :1] > 0).astype(float)
    for X in (FRAMES, binary):
        y = np.where(X[:, :, 0] > 0, 1, -1)
        assert list(RNNTagger(**QUICK).fit(X, y).classes_) == [-1, 1]
    signs = rng.integers(-1, 2, (N, T))
    assert list(RNNTagger(**QUICK).fit(FRAMES, signs).classes_) == [-1, 0, 1]
    assert list(RNNTagger(**QUICK).fit(ZERO_PADDED, padded(-1, 1)).classes_) == [-1, 1]
    y = np.where(LABELS > 0, 100, -100)
    assert list(RNNTagger(**QUICK).fit(FRAMES, y).classes_) == [-100, 100]
    assert list(RNNClassifier(**QUICK).fit(FRAMES, signs[:, 0]).classes_) == [-1, 0, 1]
    RNNRegressor(return_sequences=True, **QUICK).fit(FRAMES, signs - 99.0)
    # What is missing is no class code.
    y = np.where(INSIDE, LABELS, -9)
    with pytest.warns(TargetWarning, match="X is constant") as told:
        RNNTagger(missing_label=-9, **QUICK).fit(ZERO_PADDED, y)
    assert len(told) == 1


@pytest.mark.parametrize("value", [-1, -100])
def test_symbols_filled_up_are_refused(value):
    for model in writers():
        with pytest.raises(InvalidSequenceError, match=f"y holds {value}, which seems"):
            model.fit(np.repeat(FRAMES, 2, axis=1), padded(value, LABELS + 1))
        model.fit(np.repeat(FRAMES, 2, axis=1), LABELS.tolist())
        assert np.isfinite(model.score(np.repeat(FRAMES, 2, axis=1), padded(value)))
    with pytest.raises(InvalidSequenceError, match=f"X holds {value}, which seems"):
        RNNGenerator(**QUICK).fit(padded(value, LABELS + 1))


def test_what_was_learned_is_read_wherever_it_stands():
    X = [[1, -1, 2], [-1, 2, 1], [0, 1, 1], [1, 0, -1]] * 5
    model = RNNSeq2Seq(source="symbols", **QUICK).fit(X, ["ab", "b", "a", "ba"] * 5)
    assert -1 in model.source_symbols_
    assert len(model.predict([[1, 0, -1], [1, -1, -1]])) == 2
    model = RNNSeq2Seq(**QUICK).fit(FRAMES[: len(X)], X)
    assert np.isfinite(model.score(FRAMES[:2], [[1, 0, -1], [1, -1, -1]]))
    zeros = [[1, 0, 2], [0, 2, 1], [1, 1, 0]] * 5
    model = RNNSeq2Seq(**QUICK).fit(zeros, zeros)
    model.predict([[1, 2, 0], [1, 0, 0]])


def test_symbols_filled_up_with_zeros_are_warned_of():
    symbols = padded(0, LABELS + 1)
    for fit in (
        lambda: RNNSeq2Seq(**QUICK).fit(FRAMES, symbols),
        lambda: RNNSeq2Seq(**QUICK).fit(symbols.tolist(), LABELS),
        lambda: RNNTranscriber(**QUICK).fit(np.repeat(FRAMES, 2, axis=1), symbols),
        lambda: RNNGenerator(**QUICK).fit(symbols),
    ):
        with pytest.warns(TargetWarning, match="padded to one length with 0") as caught:
            fit()
        assert len(caught) == 1
    rows = padded(0, LABELS + 1)
    for X, y in ((FRAMES, rows), (rows.tolist(), ["ab", "c"] * (N // 2))):
        with pytest.warns(TargetWarning, match="padded to one length with 0") as told:
            RNNSeq2Seq(**QUICK).fit(X, y)
        assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RNNSeq2Seq(**QUICK).fit(FRAMES, LABELS)
        # A sign that ends every sequence, and numbers without leading zeros.
        RNNGenerator(**QUICK).fit([[1, 2, -1], [2, 1, -1]])
        RNNGenerator(**QUICK).fit([[0, 0, 7], [0, 4, 2], [1, 2, 3]])
        RNNGenerator(**QUICK).fit([[True, False], [True, True]])


# One-hot labels, and strings of labels.


@pytest.mark.parametrize("kind", [np.asarray, list, np.bool_, np.float64])
def test_one_hot_labels_are_sent_to_argmax(kind):
    one_hot = np.eye(3, dtype=int)
    for model in (RNNTagger(**QUICK), RNNSeq2Seq(**QUICK)):
        with pytest.raises(ValueError, match=r"argmax\(axis=-1\)"):
            model.fit(FRAMES, kind(one_hot[LABELS]))
    with pytest.raises(ValueError, match=r"Y.argmax\(axis=-1\)"):
        RNNClassifier(**QUICK).fit(FRAMES, kind(one_hot[LABELS[:, 0]]))
    with pytest.raises(ValueError, match=r"Y.argmax\(axis=-1\)"):  # padded
        RNNTagger(**QUICK).fit(FRAMES, kind(one_hot[LABELS] * INSIDE[:, :, None]))


def test_several_labels_are_told_from_one_hot_ones():
    with pytest.raises(ValueError, match="Fit one model for each"):
        RNNTagger(**QUICK).fit(FRAMES, np.stack([LABELS, LABELS], axis=2))
    with pytest.raises(ValueError, match="A label per step is for RNNTagger"):
        RNNClassifier(**QUICK).fit(FRAMES, LABELS)
    with pytest.raises(ValueError, match=r"Y.idxmax\(axis=1\)"):
        RNNClassifier(**QUICK).fit(FRAMES, pd.get_dummies(LABELS[:, 0]))
    with pytest.raises(TypeError, match=r"np.argmax\(x, axis=-1\) for x in y"):
        RNNSeq2Seq(**QUICK).fit(FRAMES, np.eye(3)[LABELS].tolist())


@pytest.mark.thorough
@pytest.mark.parametrize(
    "kind",
    [list, tuple, np.array, pd.Series, lambda y: pd.Series(y, dtype="string")],
)
def test_a_string_of_labels_is_one_label_per_character(kind):
    labels = [
        list("NVA"[c] for c in y[:n]) for y, n in zip(LABELS, LENGTHS, strict=True)
    ]
    strings = kind(["".join(row) for row in labels])
    expected = RNNTagger(**QUICK).fit(RAGGED, labels)
    found = RNNTagger(**QUICK).fit(RAGGED, strings)
    assert list(found.classes_) == ["A", "N", "V"]
    for one, other in zip(found.predict(RAGGED), expected.predict(RAGGED), strict=True):
        assert list(one) == list(other)
    score = expected.score(RAGGED, labels)
    assert found.score(RAGGED, strings) == score
    assert make_step_scorer(accuracy_score)(found, RAGGED, strings) == score
    with pytest.raises(ValueError, match="y holds strings"):
        RNNRegressor(return_sequences=True, **QUICK).fit(RAGGED, strings)


def test_one_word_per_sequence_is_no_string_of_labels():
    with pytest.raises(ValueError, match="per sequence is for RNNClassifier"):
        RNNTagger(**QUICK).fit(FRAMES, ["cat", "dog"] * (N // 2))


@pytest.mark.parametrize(
    "words", [["cat", "dog", "cow"], ["up", "dn"] * 3, ["yes", "yes", "nop"]]
)
def test_one_word_per_sequence_that_fits_the_steps_is_warned_of(words):
    X = FRAMES[: len(words), : len(words[0])]
    for kind in (list, np.array, pd.Series):
        with pytest.warns(TargetWarning, match="use RNNClassifier.*lists of labels"):
            RNNTagger(**QUICK).fit(X, kind(words))
    RNNTagger(**QUICK).fit(X, [list(word) for word in words])
    classes = sorted(set("".join(words)))
    RNNTagger(**QUICK).partial_fit(X, words, classes=classes)


@pytest.mark.parametrize(
    "strings",
    [
        ["OOO", "OOO", "BIO", "OBI", "OBO"],
        ["aaa", "bbb"] * 3,
        ["NVA", "ANV", "VNA"],
        ["NVA"],
        ["NVAD", "DAVNAV", "NV"],
    ],
)
def test_strings_of_labels_are_not_warned_of(strings):
    X = [x[: len(text)] for x, text in zip(FRAMES, strings, strict=False)]
    RNNTagger(**QUICK).fit(X, strings)


# Targets that no library can read, or that one would read as something else.


@pytest.mark.parametrize(
    "y, message",
    [
        (["a", np.nan, "b"], r"y\[1\] is nan, but y\[0\] is text.*Leave missing"),
        (["a", None, "b"], r"y\[1\] is None, but y\[0\] is text.*Leave missing"),
        ([1, "a", "b"], r"y\[0\] is 1, but y\[1\] is text: make all labels of one"),
        ([1, {}, 2], "y cannot be read as one label per sequence"),
        ([[1], 2, 3], "y has several values for each sequence"),
        (pd.Series([[1, 2], [2, 1], [1, 1]]), "y cannot be read as one label per seq"),
        (list(torch.eye(3)), "y cannot be read as one label per seq.*Y.argmax"),
    ],
)
def test_labels_that_are_none_say_so(y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        RNNClassifier(**QUICK).fit(FRAMES[:3], y)


@pytest.mark.parametrize(
    "y, message",
    [
        (pd.date_range("2024", periods=3), "y holds datetime64"),
        (pd.to_timedelta([1, 2, 3], unit="D"), "y holds timedelta64.*np.timedelta64"),
        ([10**400, 1, 2], r"y\[0\] is an int of 1329 bits, .* too large"),
        ([{}, 1, 2], "y cannot be read as one number per sequence"),
        ([[1, 2], [3, [4]], [5, 6]], "y cannot be read as one number per sequence"),
    ],
)
def test_numbers_that_are_none_say_so(y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        RNNRegressor(**QUICK).fit(FRAMES[:3], y)


def test_step_targets_that_are_none_name_the_sequence():
    y = [[1] * T, [1, [2]] * (T // 2), [1] * T]
    for model in (RNNTagger(**QUICK), RNNRegressor(return_sequences=True, **QUICK)):
        with pytest.raises(ValueError, match=r"y\[1\] cannot be read as a target for"):
            model.fit(FRAMES[:3], y)
    dates = np.full((3, T), np.datetime64("2024"))
    with pytest.raises(ValueError, match="y holds datetime64"):
        RNNRegressor(return_sequences=True, **QUICK).fit(FRAMES[:3], dates)


def test_tensors_that_train_are_targets():
    y = torch.ones(N, requires_grad=True) * torch.arange(N)
    model = RNNRegressor(**QUICK).fit(FRAMES, y)
    expected = RNNRegressor(**QUICK).fit(FRAMES, np.arange(N))
    np.testing.assert_allclose(model.predict(FRAMES), expected.predict(FRAMES))
    assert model.score(FRAMES, y) == pytest.approx(expected.score(FRAMES, range(N)))
    steps = torch.ones(N, T, requires_grad=True) * torch.tensor(FRAMES[:, :, 0])
    RNNRegressor(return_sequences=True, **QUICK).fit(FRAMES, steps)


@pytest.mark.parametrize("weights", [["a"] * N, [{}] * N, [[1]] * (N - 1) + [[1, 2]]])
def test_weights_that_are_none_say_so(weights):
    targets = {RNNTagger: LABELS, RNNSeq2Seq: LABELS, RNNClassifier: LABELS[:, 0]}
    for kind, y in targets.items():
        with pytest.raises((TypeError, ValueError), match="sample_weight cannot be re"):
            kind(**QUICK).fit(FRAMES, y, sample_weight=weights)
    with pytest.raises((TypeError, ValueError), match="sample_weight cannot be read"):
        RNNGenerator(**QUICK).fit(LABELS, sample_weight=weights)


# Text and paths in place of numbers.

WORDS = [["the", "cat"], ["a", "dog", "ran"]]
TEXTS = {
    "lists of words": WORDS,
    "of one length": [["the", "cat"], ["a", "dog"]],
    "arrays of words": [np.array(words) for words in WORDS],
    "array of words": np.array([["the", "cat"], ["a", "dog"]]),
    "strings": ["the cat", "a dog"],
    "Series": pd.Series(["the cat", "a dog"]),
    "Series of lists": pd.Series(WORDS),
    "frames": [pd.DataFrame({"word": words}) for words in WORDS],
    "mixed": ["the cat", ["a", "dog"]],
    "numbers first": [[1.0, 2.0], ["a", "dog"]],
    "one string": "the cat",
    "tuples": [("the", "cat"), ("a", "dog")],
}


@pytest.mark.parametrize("X", TEXTS.values(), ids=TEXTS.keys())
def test_text_is_sent_to_the_tokenizer(X):
    for kind in (RNNTagger, RNNClassifier, RNNRegressor):
        for options in ({}, {"embedding_dim": 4}):
            message = rf"SequenceTokenizer\(\), {kind.__name__}\(embedding_dim=32\)"
            with pytest.raises(InvalidSequenceError, match=message):
                kind(**options, **QUICK).fit(X, [[0, 1], [0, 1, 1]])
    with pytest.raises(InvalidSequenceError, match="Put a SequenceTokenizer in front"):
        SequenceScaler().fit(X)


@pytest.mark.parametrize(
    "X", [["a.ogg", "b.ogg"], [Path("a.WAV"), Path("b.flac")], [["a.wav"]] * 2]
)
@pytest.mark.parametrize("kind", [RNNTranscriber, RNNClassifier, RNNSeq2Seq])
def test_sound_files_are_sent_to_the_spectrogram(kind, X):
    options = {"source": "sequences"} if kind is RNNSeq2Seq else {}
    message = rf"make_pipeline\(LogMelSpectrogram\(\), {kind.__name__}\(\)\)"
    with pytest.raises(InvalidSequenceError, match=message):
        kind(**options, **QUICK).fit(X, ["a", "b"])


def test_other_files_and_bytes_are_to_be_read_first():
    with pytest.raises(InvalidSequenceError, match="Read the files first"):
        RNNClassifier(**QUICK).fit([Path("a.csv"), Path("b.csv")], [0, 1])
    with pytest.raises(InvalidSequenceError, match="holds bytes.*Decode text"):
        RNNClassifier(**QUICK).fit([b"ab", b"cd"], [0, 1])


def test_text_after_fit_is_told_as_well():
    model = RNNClassifier(**QUICK).fit(FRAMES, LABELS[:, 0])
    with pytest.raises(InvalidSequenceError, match="Put a SequenceTokenizer in front"):
        model.predict(["the cat"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([10**400, 1, 2, 1], r"y\[1\], step 0 is an int of 1329 bits.*Make strings"),
        ([1, -(2**70), 1, 2], r"y\[1\], step 1 is an int of 71 bits.*Make strings"),
        ([None, 1, 2**70, 1], r"y\[1\], step 2 is an int of 71 bits.*Make strings"),
        ([2**63, -1, 1, 2], "a float, and above 2.*Make strings"),
        ([np.nan, 2**60, 2**60 + 1, 1], "a float, and above 2.*Make strings"),
    ],
)
def test_step_labels_that_no_array_holds_say_so(row, message):
    X, good = FRAMES[:3, :4], [1, 2, 1, 1]
    with pytest.raises(ValueError, match=message):
        RNNTagger(**QUICK).fit(X, [good, row, good])
    model = RNNTagger(**QUICK).fit(X, [good] * 3)
    with pytest.raises(ValueError, match=message):
        model.score(X, [good, row, good])


def test_a_missing_label_may_be_of_any_size():
    model = RNNTagger(missing_label=10**400, **QUICK)
    model.fit(FRAMES[:2, :4], [[10**400, 1, 2, 1], [1, 2, 1, 1]])
    assert model.classes_.tolist() == [1, 2]


@pytest.mark.parametrize("y", [[2**63, -1, 1], np.array([2.0**60, 1.0, 2.0])])
def test_labels_that_are_large_floats_say_so(y):
    with pytest.raises(ValueError, match="a float, and above 2.*Make strings"):
        RNNClassifier(**QUICK).fit(FRAMES[:3], y)
    large = [2**53, 2**53 + 1, 2**53]
    classes = RNNClassifier(**QUICK).fit(FRAMES[:3], large).classes_
    assert classes.tolist() == [2**53, 2**53 + 1]


@pytest.mark.parametrize("model", [RNNClassifier(**QUICK), RNNTagger(**QUICK)])
@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (np.ma.masked_array([0, 1, 2], [0, 0, 1]), r"classes\[2\] is missing"),
        ([0, 1, None], r"classes\[2\] is missing"),
        ([0, np.nan, 1], r"classes\[1\] is missing"),
        ([0, 1, 10**400], r"classes\[2\] is an int of 1329 bits"),
    ],
)
def test_classes_that_are_no_labels_are_named(model, classes, message):
    y = np.tile([0, 1, 1], (T, 1)).T if isinstance(model, RNNTagger) else [0, 1, 1]
    with pytest.raises(ValueError, match=message):
        clone(model).partial_fit(FRAMES[:3], y, classes=classes)


def test_masks_of_parameters_are_read_as_missing():
    y = np.arange(len(FRAMES)) % 2
    vectors = np.ma.masked_array(np.ones((3, 2)), [[1, 0], [0, 0], [0, 0]])
    with pytest.raises(ValueError, match="embeddings contains NaN"):
        RNNClassifier(embeddings=vectors, **QUICK).fit([[1, 2]] * len(y), y)
    levels = np.ma.masked_array([0.1, 0.5], [0, 1])
    with pytest.raises(ValueError, match="should increase, between 0 and 1"):
        RNNRegressor(loss="quantile", quantiles=levels, **QUICK).fit(FRAMES, y)


# Targets in containers of other libraries.

UNEQUAL = [FRAMES[0, :3], FRAMES[1, :5], FRAMES[2, :4]]
MARKS = [[0, 1, 0], [1, 0, 0, 1, 1], [0, 0, 1, 1]]
CONTAINERS = {
    "polars lists": pl.Series(MARKS),
    "pyarrow lists": pa.array(MARKS),
    "pyarrow chunks": pa.chunked_array([MARKS]),
    "frame of lists": pd.DataFrame({"tags": MARKS}),
    "polars frame of lists": pl.DataFrame({"tags": MARKS}),
    "packed": pack_sequence([torch.tensor(x) for x in MARKS], enforce_sorted=False),
    "nested tensor": torch.nested.nested_tensor(
        [torch.tensor(x) for x in MARKS], layout=torch.jagged
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("form", CONTAINERS)
def test_step_targets_of_other_libraries_are_read(form):
    for model in (RNNTagger(**QUICK), RNNRegressor(return_sequences=True, **QUICK)):
        expected = clone(model).fit(UNEQUAL, MARKS).predict(UNEQUAL)
        found = model.fit(UNEQUAL, CONTAINERS[form]).predict(UNEQUAL)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "form", ["polars lists", "pyarrow lists", "pyarrow chunks", "packed"]
)
def test_symbols_of_other_libraries_are_read(form):
    symbols = CONTAINERS[form]
    assert SequenceTokenizer().fit_transform(symbols).lengths.tolist() == [3, 5, 4]
    RNNGenerator(**QUICK).fit(symbols).score(MARKS)
    RNNSeq2Seq(**QUICK).fit(symbols, symbols).score(MARKS, MARKS)
    RNNTranscriber(**QUICK).fit([np.repeat(x, 3, 0) for x in UNEQUAL], symbols)


def test_tables_of_other_libraries_are_no_symbols():
    for table in (pl.DataFrame({"a": ["ab"]}), pa.table({"a": ["ab"]})):
        with pytest.raises(TypeError, match=r"is a table.*such as X\['a'\]"):
            RNNGenerator(**QUICK).fit(table)
    words = pa.table({"a": ["abc", "bca"]})
    RNNGenerator(**QUICK).fit(words["a"])


def test_a_missing_label_is_named_whatever_its_type():
    for missing in (None, np.nan, pd.NA, pd.NaT):
        for others in ("a", 1):
            y = np.array([others, others, missing], dtype=object)
            with pytest.raises(ValueError, match=r"y\[2\] is missing"):
                RNNClassifier(**QUICK).fit(FRAMES[:3], y)


def test_labels_that_fit_did_not_see_may_be_left_out_of_validation():
    labels = np.arange(N) % 2
    validation = np.where(np.arange(N) == 0, 2, labels)
    for known in (np.ones(N, bool), validation < 2):
        model = RNNClassifier(**QUICK)
        data = {"X_val": FRAMES[known], "y_val": validation[known]}
        if known.all():
            with pytest.raises(ValueError, match=r"did not see, \[2\]. Leave them out"):
                model.fit(FRAMES, labels, **data)
        else:
            model.fit(FRAMES, labels, **data)


def test_zeros_that_pad_the_inputs_of_padded_targets_are_told():
    model = RNNTagger(missing_label=-100, **QUICK)
    with pytest.warns(TargetWarning, match="reads these steps as data. Pass lists"):
        model.fit(ZERO_PADDED, padded(-100))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nan_padded = np.where(INSIDE[:, :, np.newaxis], FRAMES, np.nan)
        for X in (nan_padded, FRAMES, RAGGED):
            model.fit(X, padded(-100))


@pytest.mark.parametrize("model", [RNNClassifier, RNNTagger])
def test_a_wrong_key_of_class_weight_is_named(model):
    y = LABELS > 1 if model is RNNTagger else LABELS[:, 0] > 1
    with pytest.raises(ValueError, match=r"class_weight names \['evnt'\], and the cl"):
        model(class_weight={"evnt": 3}, **QUICK).fit(FRAMES, np.where(y, "event", "no"))


@pytest.mark.parametrize("model", [RNNSeq2Seq, RNNTranscriber, RNNTagger, RNNGenerator])
def test_sparse_data_are_refused_by_name(model):
    data = csr_array(np.eye(N))
    calls = [lambda: model(**QUICK).fit(data)]
    if model is not RNNGenerator:
        calls = [
            lambda: model(**QUICK).fit(data, ["ab"] * N),
            lambda: model(**QUICK).fit(FRAMES, data),
        ]
    for call in calls:
        with pytest.raises(TypeError, match="Sparse data was passed.*toarray"):
            call()


def test_sparse_tensors_are_refused_where_weights_select_from_them():
    weights = np.arange(N) % 2
    data = torch.eye(N).to_sparse()
    with pytest.raises(TypeError, match="Sparse data was passed to RNNSeq2Seq"):
        RNNSeq2Seq(**QUICK).fit(data, ["ab"] * N, sample_weight=weights)
