"""Sound becomes log-mel frames, equal to librosa's."""

import pickle
import warnings
from unittest import mock

import numba
import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.signal import savgol_filter
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_rnn import (
    InvalidSequenceError,
    LogMelSpectrogram,
    RNNClassifier,
    SequenceArray,
    SklearnRNNWarning,
    make_windows,
)
from sklearn_rnn.audio import _mel

# librosa compiles functions when it is imported, which takes longer than all of these
# tests. They call none of them.
plain = dict.fromkeys(("guvectorize", "vectorize"), lambda *_, **__: lambda f: f)
with mock.patch.multiple(numba, **plain):
    import librosa
    import librosa.core.pitch  # and all that it imports
    import librosa.util.utils

RATE = 16_000


def tone(hz, seconds=0.5):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)


def sounds(*lengths):
    """Return noises that swell, so that not all of a clip is equally loud."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=n) * np.linspace(0, 1, n) ** 3 for n in lengths]


def frames(clips, **options):
    return list(LogMelSpectrogram(**options).fit_transform(clips))


def by_librosa(clip, *, top_db=80.0, floor=1e-10, n_mfcc=None, deltas=0, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_fft=.* is too large for input signal")
        power = librosa.feature.melspectrogram(y=clip, pad_mode="constant", **options)
    features = librosa.power_to_db(power, amin=floor, top_db=top_db)
    if n_mfcc is not None:
        features = librosa.feature.mfcc(S=features, n_mfcc=n_mfcc)
    changes = [
        librosa.feature.delta(features, order=order, mode="nearest")
        for order in range(1, deltas + 1)
    ]
    return np.vstack([features, *changes]).T


# The numbers.


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options, librosas",
    [
        ({}, {"sr": RATE, "n_fft": 512, "win_length": 400, "hop_length": 160}),
        (
            {"win_length": 400, "n_fft": 1024, "hop_length": 77, "n_mels": 64},
            {"n_fft": 1024, "win_length": 400, "hop_length": 77, "n_mels": 64},
        ),
        (
            {"win_length": 301, "hop_length": 400, "fmin": 60, "fmax": 5000.0},
            {"n_fft": 512, "win_length": 301, "hop_length": 400}
            | {"fmin": 60, "fmax": 5000},
        ),
        (
            {"sample_rate": 22_050, "win_length": 0.05, "hop_length": 0.0123}
            | {"n_fft": 2048, "n_mels": 128, "top_db": None},
            {"sr": 22_050, "n_fft": 2048, "win_length": 1102, "hop_length": 271}
            | {"n_mels": 128, "top_db": None},
        ),
        (
            {"floor": 1e-3, "top_db": 20.0, "n_fft": 512},
            {"floor": 1e-3, "top_db": 20.0},
        ),
        ({"n_mfcc": 13, "deltas": 2}, {"n_mfcc": 13, "deltas": 2}),
        ({"n_mfcc": 40, "deltas": 1}, {"n_mfcc": 40, "deltas": 1}),
        ({"deltas": 2, "top_db": None}, {"deltas": 2, "top_db": None}),
    ],
)
def test_values_are_those_of_librosa(options, librosas):
    given = {"sr": RATE, "n_fft": 512, "win_length": 400, "hop_length": 160}
    librosas = {**given, "n_mels": 40, **librosas}
    clips = sounds(1, 100, 1600, 16_001, 9 * RATE)
    for clip, found in zip(clips, frames(clips, **options), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, by_librosa(clip, **librosas), atol=1e-4)


def test_differences_are_those_of_savitzky_and_golay():
    (clip,) = sounds(RATE)
    (found,) = frames([clip], deltas=2)
    for order in (1, 2):
        expected = savgol_filter(
            found[:, :40], 9, order, deriv=order, axis=0, mode="nearest"
        )
        part = found[:, 40 * order : 40 * (order + 1)]
        np.testing.assert_allclose(part, expected, atol=1e-4)


def test_bands_are_those_of_librosa():
    mel = LogMelSpectrogram(fmin=50.0, fmax=7000.0).fit(sounds(100))
    centres = librosa.mel_frequencies(42, fmin=50.0, fmax=7000.0)[1:-1]
    np.testing.assert_allclose(mel.mel_frequencies_, centres)
    filters = _mel.mel_filters(_mel.mel_edges(40, 50.0, 7000.0), 512, RATE)
    expected = librosa.filters.mel(
        sr=RATE, n_fft=512, n_mels=40, fmin=50.0, fmax=7000.0, dtype=np.float64
    )
    np.testing.assert_allclose(filters, expected.T, atol=1e-12)


def test_a_tone_is_loudest_in_its_band():
    mel = LogMelSpectrogram()
    loudest = [x.mean(axis=0).argmax() for x in mel.fit_transform([tone(440)])]
    assert abs(mel.mel_frequencies_[loudest[0]] - 440) < 40


def test_frames_are_centred_on_multiples_of_the_hop():
    click = np.zeros(RATE)
    click[32 * 160] = 1.0
    (found,) = frames([click], top_db=None)
    assert found.shape == (101, 40)
    assert found.mean(axis=1).argmax() == 32


def test_lengths_are_seconds_as_floats_and_samples_as_ints():
    clips = sounds(3000)
    (one,) = frames(clips, win_length=0.025, hop_length=0.01)
    (other,) = frames(clips, win_length=400, hop_length=160)
    np.testing.assert_array_equal(one, other)
    mel = LogMelSpectrogram(44_100, hop_length=0.0101).fit(clips)
    assert mel.hop_seconds_ == 445 / 44_100


def test_neither_other_clips_nor_the_pieces_of_work_change_a_clip(monkeypatch):
    clips = sounds(1, 5000, 300, 40_000, 8000, 1, 1, 12_345)
    alone = [frames([clip], deltas=1, normalize="standard")[0] for clip in clips]
    for chunk, group in ((2**17, 4096), (512, 1), (512 * 7, 30), (1, 2)):
        monkeypatch.setattr(_mel, "CHUNK_SAMPLES", chunk)
        monkeypatch.setattr(_mel, "GROUP_FRAMES", group)
        together = frames(clips, deltas=1, normalize="standard")
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_normalisation_is_of_each_feature_of_each_clip():
    clips = sounds(5000, 9000)
    plain = frames(clips, deltas=1)
    centred = frames(clips, deltas=1, normalize="mean")
    standard = frames(clips, deltas=1, normalize="standard")
    for raw, mean_off, scaled in zip(plain, centred, standard, strict=True):
        raw = raw.astype(float)
        np.testing.assert_allclose(mean_off, raw - raw.mean(axis=0), atol=1e-4)
        expected = (raw - raw.mean(axis=0)) / raw.std(axis=0)
        np.testing.assert_allclose(scaled, expected, atol=1e-4)


@pytest.mark.parametrize("normalize", [None, "mean", "standard"])
@pytest.mark.parametrize("n_mfcc", [None, 13])
def test_silence_is_finite(normalize, n_mfcc):
    options = {"n_mfcc": n_mfcc, "normalize": normalize, "deltas": 2}
    (found,) = frames([np.zeros(5000)], **options)
    assert np.isfinite(found).all()
    if normalize == "standard":
        assert np.abs(found).max() < 1e-4
    if normalize is n_mfcc is None:
        assert (found[:, :40] == -100).all()


def test_short_clips_have_their_frames():
    X = LogMelSpectrogram(deltas=2, normalize="standard").fit_transform(
        [np.ones(1), np.ones(159), np.ones(160), np.ones(400)]
    )
    assert X.lengths.tolist() == [1, 1, 2, 3]
    assert np.isfinite(X.values).all()


def test_top_db_and_floor_cut_what_is_quiet():
    clips = sounds(8000)
    least = {
        cut: frames(clips, top_db=cut)[0].max() - frames(clips, top_db=cut)[0].min()
        for cut in (10.0, 30.0)
    }
    assert least == pytest.approx({10.0: 10, 30.0: 30}, abs=1e-4)
    assert frames(clips, top_db=None, floor=0.01)[0].min() == pytest.approx(-20)


def test_a_long_recording_is_never_written_out_as_frames(monkeypatch):
    seen = []
    rfft = _mel.rfft
    monkeypatch.setattr(
        _mel, "rfft", lambda x, axis: seen.append(x.nbytes) or rfft(x, axis=axis)
    )
    (found,) = frames([np.ones(300 * RATE, dtype=np.float32)])
    assert len(found) == 30_001
    assert max(seen) <= 8 * _mel.CHUNK_SAMPLES


# What comes out.


def test_features_have_names():
    for options, names in [
        ({"n_mels": 2}, ["mel_0", "mel_1"]),
        ({"n_mfcc": 1, "deltas": 1}, ["mfcc_0", "mfcc_0_delta"]),
        ({"n_mels": 1, "deltas": 2}, ["mel_0", "mel_0_delta", "mel_0_delta2"]),
    ]:
        mel = LogMelSpectrogram(**options)
        X = mel.fit_transform(sounds(1000))
        assert list(X.feature_names) == names
        assert mel.get_feature_names_out().tolist() == names
        assert mel.get_feature_names_out().dtype == object
        assert X.n_features == len(names)
        assert mel.n_features_in_ == 1


def test_fit_transform_is_fit_then_transform():
    clips = sounds(1000, 3000)
    one = LogMelSpectrogram().fit_transform(clips)
    other = LogMelSpectrogram().fit(clips).transform(clips)
    np.testing.assert_array_equal(one.values, other.values)
    assert one.lengths.tolist() == other.lengths.tolist() == [7, 19]


def test_clips_of_transform_may_have_other_lengths_and_forms():
    mel = LogMelSpectrogram().fit(np.zeros((3, 500)))
    assert mel.transform(np.zeros((2, 900))).shape == (2, 6, 40)
    assert mel.transform(sounds(1, 320)).lengths.tolist() == [1, 3]
    assert mel.transform(make_windows(np.zeros(900), n_steps=300)).shape[1] == 2


def test_overlapping_windows_of_a_recording_are_clips():
    (signal,) = sounds(2000)
    windows = make_windows(signal, n_steps=800, stride=400)
    found = frames(windows)
    assert len(found) == 4
    np.testing.assert_array_equal(found[2], frames([signal[800:1600]])[0])


def test_files_are_read_once(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", tone(440), RATE)
    opened = []
    real = soundfile.SoundFile
    monkeypatch.setattr(
        soundfile, "SoundFile", lambda path: opened.append(path) or real(path)
    )
    mel = LogMelSpectrogram()
    assert mel.fit_transform([tmp_path / "a.wav"] * 2).shape == (2, 51, 40)
    assert len(opened) == 2
    # fit looks at the first alone.
    mel.fit([tmp_path / "a.wav", tmp_path / "none.wav"])
    assert len(opened) == 3


# What is refused.


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_fft": 256}, r"n_fft=256 is shorter than a window, which has 400 samples"),
        ({"hop_length": 0}, "'hop_length' parameter"),
        ({"hop_length": 1e-6}, "hop_length=1e-06 seconds is not a single sample"),
        ({"win_length": -1}, "'win_length' parameter"),
        ({"win_length": 25.0}, r"win_length=25\.0 is a float: seconds, thus 400000"),
        ({"hop_length": 160.0}, r"hop_length=160\.0 is a float"),
        ({"fmax": 9000.0}, r"fmax=9000\.0 Hz is above half .* Set fmax=8000 at most"),
        ({"fmin": 8000.0}, r"fmin=8000\.0 Hz is not below fmax=8000 Hz"),
        ({"fmin": 500, "fmax": 400}, "fmin=500 Hz is not below fmax=400 Hz"),
        ({"n_mfcc": 41}, "n_mfcc=41 is more than the n_mels=40 bands"),
        ({"n_mels": 200}, r"value every 31.25 Hz, and \d+ of the n_mels=200 bands"),
        ({"sample_rate": 16_000.5}, "'sample_rate' parameter"),
        ({"sample_rate": 0}, "'sample_rate' parameter"),
        ({"deltas": 3}, "'deltas' parameter"),
        ({"normalize": "max"}, "'normalize' parameter"),
        ({"floor": 0.0}, "'floor' parameter"),
        ({"noise_snr": (30, 5)}, r"noise_snr=\(30, 5\) is not the lowest"),
        ({"noise_snr": (1, 2, 3)}, "is not the lowest"),
        ({"noise_snr": ("a", "b")}, "is not the lowest"),
        ({"noise_snr": (0, np.nan)}, "is not the lowest"),
        ({"noise_snr": 5}, "'noise_snr' parameter"),
        ({"time_mask": 0.001}, "time_mask=0.001 seconds is not a single frame"),
        ({"shift": 1e-6}, "shift=1e-06 seconds is not a single sample"),
        ({"frequency_mask": 41}, "frequency_mask=41 is more than the n_mels=40"),
    ],
)
def test_impossible_parameters_are_refused_by_fit_and_fit_transform(options, message):
    for method in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match=message):
            getattr(LogMelSpectrogram(**options), method)([np.zeros(1000)])


def test_the_n_fft_that_is_named_is_enough():
    options = {"n_mels": 200}
    with pytest.raises(ValueError, match=r"Set n_fft=1024") as caught:
        frames([np.zeros(1000)], **options)
    assert "mel_0 goes from 0 to" in str(caught.value)
    assert frames([np.zeros(1000)], n_fft=1024, **options)[0].shape[1] == 200


def test_before_fit_nothing_works():
    with pytest.raises(NotFittedError):
        LogMelSpectrogram().transform([np.zeros(10)])
    with pytest.raises(NotFittedError):
        LogMelSpectrogram().get_feature_names_out()


def test_a_fit_that_fails_leaves_the_last_one():
    mel = LogMelSpectrogram(n_mels=20).fit(sounds(1000))
    for method in (mel.set_params(n_mels=30).fit, mel.fit_transform):
        with pytest.raises(InvalidSequenceError):
            method([np.array([np.nan])])
    assert mel.transform(sounds(1000)).n_features == 20
    assert len(mel.mel_frequencies_) == 20


# Inside scikit-learn.


with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Can't test estimator LogMelSpectrogram")
    CHECKS = parametrize_with_checks([LogMelSpectrogram()])


@CHECKS
def test_what_scikit_learn_can_check_passes(estimator, check):
    check(estimator)


def test_tags_say_what_it_takes():
    tags = get_tags(LogMelSpectrogram())
    assert tags.input_tags.string
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.two_d_array
    assert tags.requires_fit


def test_it_clones_and_pickles():
    mel = LogMelSpectrogram(n_mels=20, gain=3.0).fit(sounds(1000))
    assert clone(mel).get_params() == mel.get_params()
    assert not hasattr(clone(mel), "mel_frequencies_")
    again = pickle.loads(pickle.dumps(mel))
    np.testing.assert_array_equal(
        again.transform(sounds(1000)).values, mel.transform(sounds(1000)).values
    )


def test_output_stays_sequences_whatever_a_pipeline_is_told():
    mel = LogMelSpectrogram().set_output(transform="pandas")
    assert isinstance(mel.fit_transform(sounds(1000)), SequenceArray)


def classifier(**options):
    small = {"hidden_size": 4, "max_epochs": 1, "random_state": 0}
    return RNNClassifier(**{**small, **options})


def test_tones_are_told_apart_in_a_pipeline():
    clips = [tone(hz, seconds=0.1) for hz in (300, 3000) * 12]
    model = make_pipeline(
        LogMelSpectrogram(n_mels=8), classifier(max_epochs=20, learning_rate=0.03)
    )
    model.fit(clips, ["low", "high"] * 12)
    assert model.predict([tone(310), tone(2900)]).tolist() == ["low", "high"]


@pytest.mark.thorough
def test_speakers_stay_together_and_a_search_finds_the_number_of_bands():
    clips = [tone(hz, seconds=0.05) for hz in (300, 3000) * 12]
    kinds, speakers = ["low", "high"] * 12, np.arange(24) // 6
    model = make_pipeline(LogMelSpectrogram(gain=3.0), classifier())
    scores = cross_val_score(
        model, clips, kinds, groups=speakers, cv=GroupKFold(4), error_score="raise"
    )
    assert len(scores) == 4
    search = GridSearchCV(
        model,
        {"logmelspectrogram__n_mels": [4, 12]},
        cv=GroupKFold(2),
        error_score="raise",
    ).fit(clips, kinds, groups=speakers)
    n_mels = search.best_params_["logmelspectrogram__n_mels"]
    assert search.best_estimator_[-1].n_features_in_ == n_mels


@pytest.mark.parametrize(("first", "second"), [(1, 32768), (32768, 1)])
def test_clips_on_two_scales_are_warned_of(first, second):
    clip = tone(440)
    words = "on two scales.*by 32768"
    with pytest.warns(SklearnRNNWarning, match=words):
        LogMelSpectrogram().fit_transform([first * clip, second * clip])
    mel = LogMelSpectrogram().fit([first * clip])
    with pytest.warns(SklearnRNNWarning, match=words):
        mel.transform([second * clip])
    # Loud, soft and silent clips are no reason to warn.
    mel.transform([8 * first * clip, 0.01 * first * clip, 0 * clip])


def test_floats_in_a_file_may_be_unscaled_too(tmp_path):
    path = tmp_path / "float.wav"
    soundfile.write(path, np.full(2000, 3000.0), 16_000, subtype="FLOAT")
    with pytest.raises(InvalidSequenceError, match=r"float.wav.*floats up to 3000"):
        LogMelSpectrogram().fit_transform([np.ones(2000, np.int16), path])


def test_a_tables_column_of_paths_is_read(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(2000), 16_000)
    table = pd.DataFrame({"path": [path, str(path)], "y": [0, 1]})
    assert len(LogMelSpectrogram().fit_transform(table[["path"]].to_numpy())) == 2
    with pytest.raises(InvalidSequenceError, match=r"X\[1\] is nan, a missing value"):
        LogMelSpectrogram().fit_transform([str(path), float("nan")])


def test_channels_cut_into_windows_are_told_from_frames():
    windows = make_windows(np.zeros((100, 2)), n_steps=50)
    with pytest.raises(InvalidSequenceError, match="average them before"):
        LogMelSpectrogram().fit(windows)
