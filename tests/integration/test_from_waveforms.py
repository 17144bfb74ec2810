"""From waveforms to labels and text: the parts of a pipeline together."""

import numpy as np
import pytest
import soundfile
import torch
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    LogMelSpectrogram,
    RNNClassifier,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceLayoutWarning,
    SequenceScaler,
    SequenceWindower,
    join_windows,
    make_windows,
)
from sklearn_rnn.training import validation_split

RATE = 8000
PITCHES = {"a": 300, "b": 900, "c": 2500}


def tone(letter, seconds, rng, rate=RATE):
    times = np.arange(int(seconds * rate)) / rate
    wave = np.sin(2 * np.pi * PITCHES[letter] * times + rng.uniform(0, 6))
    return (0.3 * wave * np.hanning(len(times))).astype(np.float32)


def clips(n=24, seed=0):
    """Return tones of three pitches, and their letters."""
    rng = np.random.default_rng(seed)
    y = np.array([*"abc"] * (n // 3))
    return [tone(s, rng.uniform(0.1, 0.3), rng) for s in y], y


def sing(text, rng, rate=RATE):
    parts = [np.zeros(int(0.05 * rate), np.float32)]
    for letter in text:
        parts += [tone(letter, rng.uniform(0.08, 0.2), rng, rate), parts[0]]
    return np.concatenate(parts)


def classify(seed=0, epochs=6, **augmentation):
    return make_pipeline(
        LogMelSpectrogram(RATE, n_mels=16, **augmentation),
        SequenceScaler(),
        RNNClassifier(hidden_size=8, max_epochs=epochs, random_state=seed),
    )


AUGMENTATIONS = {
    "noise_snr": (0, 10),
    "gain": 12.0,
    "shift": 0.05,
    "time_mask": 0.1,
    "frequency_mask": 8,
}


def weights(model):
    return [p.detach().clone() for p in model[-1].module_.parameters()]


def are_equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.thorough
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_changes_what_is_learned_and_nothing_else(name):
    X, y = clips()
    plain = classify().fit(X, y)
    varied, again = (classify(**{name: AUGMENTATIONS[name]}).fit(X, y) for _ in "ab")
    assert not are_equal(weights(plain), weights(varied))
    assert are_equal(weights(varied), weights(again))  # seeded
    # What is scaled by and predicted from are the clips themselves.
    assert (varied[1].mean_ == plain[1].mean_).all()
    assert torch.equal(varied[-1].module_.factor, plain[-1].module_.factor)
    frames = varied[:-1].transform(X)
    assert frames.augmentation is None
    clean = LogMelSpectrogram(RATE, n_mels=16).fit_transform(X)
    np.testing.assert_array_equal(frames.values, plain[1].transform(clean).values)


def test_validation_inside_fit_hears_the_clips_as_they_are():
    X, y = clips(60)
    frames = LogMelSpectrogram(RATE, n_mels=16, noise_snr=(-20, -10)).fit_transform(X)
    options = {"hidden_size": 8, "max_epochs": 1, "early_stopping": True}
    model = RNNClassifier(**options, learning_rate=1e-9, random_state=0).fit(frames, y)
    clean = frames.with_transforms(augmentation=None)
    other = RNNClassifier(**options, learning_rate=1e-9, random_state=0).fit(clean, y)
    assert model.loss_curve_ != other.loss_curve_
    assert model.history_[0]["valid_loss"] == pytest.approx(
        other.history_[0]["valid_loss"], rel=1e-5
    )


def test_every_epoch_hears_something_new():
    X, y = clips()
    frames = LogMelSpectrogram(RATE, n_mels=16, gain=20.0).fit_transform(X)
    drawn = []
    draw = frames.augmentation.draw

    class Watch:
        def draw(self, *args):
            drawn.append(draw(*args))
            return drawn[-1]

    frames = frames.with_transforms(augmentation=Watch())
    options = {"max_epochs": 2, "shuffle": False, "random_state": 0}
    RNNClassifier(hidden_size=4, **options).fit(frames, y)
    first, second = drawn
    assert first.shape == second.shape == frames.values.shape
    assert np.abs(first - second).max() > 1


def test_the_end_of_a_clip_varies_with_the_clip():
    X, _ = clips()
    frames = LogMelSpectrogram(RATE, n_mels=16, gain=20.0).fit_transform(X)
    ends = SequenceWindower(n_steps=4).fit_transform(frames)
    varied = ends.augment(np.arange(len(ends)), np.random.RandomState(0))
    whole = frames.augment(np.arange(len(ends)), np.random.RandomState(0))
    for end, clip in zip(varied, whole, strict=True):
        np.testing.assert_allclose(end, clip[-4:], atol=1e-4)


def test_estimators_of_steps_and_of_pairs_hear_variation_too():
    X, y = clips()
    every_step = [[letter] * (1 + len(x) // 80) for x, letter in zip(X, y, strict=True)]
    for make, target in [
        (RNNTagger, every_step),
        (RNNSeq2Seq, list(y)),
        (RNNTranscriber, list(y)),
    ]:
        found = []
        for gain in (0.0, 20.0):
            frames = LogMelSpectrogram(RATE, n_mels=16, gain=gain).fit_transform(X)
            model = make(hidden_size=8, max_epochs=1, random_state=0)
            found.append(model.fit(frames, target).loss_curve_[0])
        assert found[0] != found[1], make


@pytest.mark.thorough
def test_unknown_sources_are_tested_on_by_groups():
    X, y = clips(36)
    groups = np.arange(36) // 3 % 4
    scores = cross_val_score(classify(epochs=20), X, y, groups=groups, cv=GroupKFold(4))
    assert scores.mean() > 0.8


def test_windows_of_a_recording_are_labelled_on_its_time_axis():
    rng = np.random.default_rng(1)
    y = np.array([*"abc"] * 12)
    X = [tone(letter, 0.5, rng)[1200:2800] for letter in y]
    model = classify(epochs=30).fit(X, y)
    recording = np.concatenate([tone(letter, 0.5, rng) for letter in "abcab"])
    truth = np.repeat([*"abcab"], RATE // 2)
    windows = make_windows(recording, n_steps=1600, stride=400)
    probabilities = join_windows(windows, model.predict_proba(windows))
    assert probabilities.shape == (len(recording), 3)
    heard = model.classes_[probabilities.argmax(axis=1)]
    assert (heard == truth).mean() > 0.8
    labels = join_windows(windows, model.predict(windows))
    assert (labels == truth).mean() > 0.8


@pytest.mark.thorough
def test_songs_are_transcribed_from_arrays_and_files_of_any_rate(tmp_path):
    rng = np.random.default_rng(0)
    y = ["".join(rng.choice([*"abc"], rng.integers(1, 5))) for _ in range(80)]
    model = make_pipeline(
        LogMelSpectrogram(RATE, n_mels=16),
        RNNTranscriber(
            hidden_size=24, learning_rate=0.01, max_epochs=40, random_state=0
        ),
    )
    model.fit([sing(text, rng) for text in y], y)
    texts = ["abca", "cab", "b"]
    assert model.predict([sing(text, rng) for text in texts]).tolist() == texts
    for rate, ending in ((16_000, "wav"), (44_100, "flac"), (RATE, "ogg")):
        paths = []
        for text in texts:
            paths.append(tmp_path / f"{text}.{ending}")
            song = sing(text, rng, rate)
            soundfile.write(paths[-1], np.column_stack([song, song]), rate)
        assert model.score(paths, texts) == 1


def test_windows_of_a_recording_are_held_out_as_a_block():
    recording = np.random.default_rng(0).normal(0, 0.1, 8000 * 6)
    windows = make_windows(recording, n_steps=4000, stride=400)
    for X in (windows, windows._replace(time_index=None)):
        frames = LogMelSpectrogram(RATE, n_mels=16, gain=6.0).fit_transform(X)
        train, held_out = validation_split(frames, 0.2, np.random.RandomState(0))
        assert windows.ends[train].max() <= windows.starts[held_out].min()
        assert len(held_out) == pytest.approx(0.2 * len(windows), abs=1)
    assert LogMelSpectrogram(RATE).fit_transform(list(windows)).time_index is None


@pytest.mark.parametrize("make", [RNNSeq2Seq, RNNTranscriber])
def test_pairs_are_validated_on_clips_as_they_are(make):
    X, y = clips(60)
    losses = []
    for noise_snr in (None, (-20, -10)):
        mel = LogMelSpectrogram(RATE, n_mels=16, noise_snr=noise_snr)
        model = make(
            hidden_size=8,
            max_epochs=1,
            learning_rate=1e-9,
            early_stopping=True,
            random_state=0,
        )
        model.fit(mel.fit_transform(X), list(y))
        losses.append((model.loss_curve_[0], model.history_[0]["valid_loss"]))
    assert losses[0][0] != pytest.approx(losses[1][0], rel=1e-4)
    assert losses[0][1] == pytest.approx(losses[1][1], rel=1e-5)


# Waveforms that no spectra were made of. Each is barely learned from: it is slow.

BARELY = {"hidden_size": 2, "max_epochs": 1, "batch_size": 4}


def raw_waveforms(n_samples, dtype):
    rng = np.random.default_rng(0)
    sounds = [0.3 * rng.normal(size=n_samples).clip(-3, 3) for _ in range(4)]
    scale = 32767 if dtype == "int16" else 1
    return [(scale * sound).astype(dtype) for sound in sounds]


@pytest.mark.parametrize("dtype, n_samples", [("int16", 1000), ("float32", 4000)])
def test_raw_waveforms_are_sent_to_the_spectrogram(dtype, n_samples):
    X = raw_waveforms(n_samples, dtype)
    for estimator, y in (
        (RNNClassifier(convolutions=None, **BARELY), [0, 1, 0, 1]),
        (RNNRegressor(linear_skip=False, **BARELY), [0, 1, 0, 1]),
        (RNNTranscriber(subsampling=9, **BARELY), ["a", "b", "a", "b"]),
    ):
        with pytest.warns(SequenceLayoutWarning, match="Put a LogMelSpectrogram in"):
            estimator.fit(X, y)
        estimator.predict(X)  # once is enough


@pytest.mark.parametrize(
    "X",
    {
        "shorter": raw_waveforms(999, "int16"),
        "shorter, floats": raw_waveforms(3999, "float32"),
        "a sensor in its own units": [4 * x for x in raw_waveforms(4000, "float32")],
        "of one sign": [np.abs(x) for x in raw_waveforms(4000, "float32")],
        "counts": [x.astype(np.int32) for x in raw_waveforms(1000, "int16")],
        "two features": [np.column_stack([x, x]) for x in raw_waveforms(1000, "int16")],
    }.values(),
)
def test_long_signals_that_are_no_sound_are_read_without_a_warning(X):
    RNNClassifier(convolutions=None, **BARELY).fit(X, [0, 1, 0, 1])


def test_a_label_for_each_sample_is_asked_for_on_purpose():
    X = raw_waveforms(1000, "int16")
    RNNTagger(**BARELY).fit(X, [x > 0 for x in X])
