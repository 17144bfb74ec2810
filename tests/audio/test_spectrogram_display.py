import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import SymLogNorm
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    LogMelSpectrogram,
    RNNClassifier,
    SequenceScaler,
    SpectrogramDisplay,
)

RATE = 8000
BANDS = np.linspace(100, 3900, 20)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def tone(hz, seconds=0.5):
    times = np.arange(int(RATE * seconds)) / RATE
    return 0.5 * np.sin(2 * np.pi * hz * times)


def spectrogram(**options):
    return LogMelSpectrogram(RATE, **{"n_mels": 32, **options})


def frames_of(n_frames=30, n_features=20, seed=0):
    return np.random.default_rng(seed).uniform(-60, 0, size=(n_frames, n_features))


def titles(display):
    return [ax.get_title(loc="left") for ax in display.axes_]


def shown_ticks(axis):
    """Return the texts of labels, and the labels, inside the limits of an axis."""
    axis.get_figure().draw_without_rendering()
    labels = [label for label in axis.get_ticklabels() if label.get_text()]
    return [label.get_text() for label in labels], labels


def test_time_runs_to_the_right_and_frequency_upwards():
    low, high = tone(300), tone(3000)
    clip = np.concatenate([low, high])
    mel = spectrogram().fit([clip])
    display = SpectrogramDisplay.from_estimator(mel, [clip])
    [image] = display.images_
    np.testing.assert_array_equal(image.get_array(), mel.transform([clip])[0].T)
    assert image.origin == "lower"
    left, right, bottom, top = image.get_extent()
    assert bottom < top
    assert left == -0.005  # half a hop: frame 0 is centred on second 0
    assert right == pytest.approx(1.005)
    # The loudest band of the first half has its place near its frequency.
    for half, hz in ((slice(10, 40), 300), (slice(60, 90), 3000)):
        band = image.get_array()[:, half].mean(axis=1).argmax()
        assert abs(mel.mel_frequencies_[band] / hz - 1) < 0.1


def test_the_axes_are_in_seconds_and_hz():
    mel = spectrogram().fit([tone(500)])
    display = SpectrogramDisplay.from_estimator(mel, [tone(500)])
    [ax] = display.axes_
    assert ax.get_xlabel() == "time (s)"
    assert ax.get_ylabel() == "frequency (Hz)"
    assert display.colorbar_.ax.get_ylabel() == "level (dB)"
    texts, _ = shown_ticks(ax.yaxis)
    assert {"500", "1000", "2000"} <= set(texts)
    positions = ax.get_yticks()
    bands = np.interp([float(t) for t in texts], mel.mel_frequencies_, np.arange(32))
    np.testing.assert_allclose(positions, bands)


@pytest.mark.slow
@pytest.mark.parametrize("n_clips", [1, 3, 12])
def test_labels_of_frequencies_do_not_run_into_each_other(n_clips):
    hz = LogMelSpectrogram().fit([tone(100)]).mel_frequencies_
    display = SpectrogramDisplay.from_predictions(
        [frames_of(n_features=40)] * n_clips, frequencies=hz
    )
    _, labels = shown_ticks(display.axes_[0].yaxis)
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) >= 4
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_all_clips_have_the_same_colours():
    quiet, loud = frames_of() - 20, frames_of(seed=1)
    display = SpectrogramDisplay.from_predictions([quiet, loud], frequencies=BANDS)
    limits = [image.get_clim() for image in display.images_]
    assert limits[0] == limits[1] == (quiet.min(), loud.max())
    assert display.colorbar_.mappable is display.images_[0]


def test_what_is_far_below_the_loudest_value_is_silence():
    frames = frames_of()
    frames[:5] = -300
    display = SpectrogramDisplay.from_predictions(frames, frequencies=BANDS)
    most = frames.max()
    assert display.images_[0].get_clim() == (most - 80, most)
    # Values that are no levels have no known silence.
    for options in ({}, {"frequencies": BANDS, "unit": "deviations"}):
        display = SpectrogramDisplay.from_predictions(frames, **options)
        assert display.images_[0].get_clim() == (-300, most)


def test_each_clip_has_a_panel_with_its_title():
    clips = [tone(300), tone(900, 0.2)]
    mel = spectrogram().fit(clips)
    display = SpectrogramDisplay.from_estimator(mel, clips, titles=["low", "$a"])
    assert titles(display) == ["low", "$a"]
    display.figure_.draw_without_rendering()
    # The short one leaves the rest of its panel blank: one axis of time for all.
    assert len({ax.get_xlim() for ax in display.axes_}) == 1
    ends = [image.get_extent()[1] for image in display.images_]
    np.testing.assert_allclose(ends, [0.505, 0.205])
    assert [ax.xaxis.get_label().get_visible() for ax in display.axes_] == [False, True]


@pytest.mark.thorough
@pytest.mark.parametrize("search", [False, True], ids=["pipeline", "search"])
def test_of_a_pipeline_the_steps_up_to_the_spectrogram_are_drawn(search):
    clips = [tone(hz, 0.2) for hz in (300, 400, 2000, 2500) * 2]
    network = RNNClassifier(hidden_size=2, max_epochs=1, random_state=0)
    model = make_pipeline(spectrogram(), SequenceScaler(), network)
    if search:
        model = GridSearchCV(model, {"rnnclassifier__hidden_size": [2]}, cv=2)
    model.fit(clips, [0, 0, 1, 1] * 2)
    display = SpectrogramDisplay.from_estimator(model, clips[:2])
    expected = spectrogram().fit(clips).transform(clips[:2])
    for image, frames in zip(display.images_, expected, strict=True):
        np.testing.assert_array_equal(image.get_array(), frames.T)
    assert display.hop_seconds == 0.01


def test_a_single_waveform_needs_no_list():
    clip = tone(300)
    mel = spectrogram().fit([clip])
    one = SpectrogramDisplay.from_estimator(mel, clip)
    several = SpectrogramDisplay.from_estimator(mel, [clip])
    np.testing.assert_array_equal(one.frames[0], several.frames[0])
    assert len(one.axes_) == 1


def test_differences_over_time_are_left_out():
    clip = tone(300)
    with_deltas = spectrogram(deltas=2).fit([clip])
    display = SpectrogramDisplay.from_estimator(with_deltas, clip)
    plain = SpectrogramDisplay.from_estimator(spectrogram().fit([clip]), clip)
    np.testing.assert_allclose(display.frames[0], plain.frames[0], rtol=1e-5)


def test_cepstral_coefficients_have_numbers_and_colours_without_the_first():
    clip = tone(300) + np.random.default_rng(0).normal(0, 0.01, RATE // 2)
    mel = spectrogram(n_mfcc=13, deltas=1).fit([clip])
    display = SpectrogramDisplay.from_estimator(mel, clip)
    [frames] = display.frames
    assert frames.shape[1] == 13
    assert display.axes_[0].get_ylabel() == "feature"
    assert display.colorbar_.ax.get_ylabel() == "cepstral coefficient"
    others = frames[:, 1:]
    assert display.images_[0].get_clim() == (others.min(), others.max())
    assert frames[:, 0].min() < others.min()


@pytest.mark.parametrize(
    ("normalize", "unit"),
    [("mean", "level above the band's mean (dB)"), ("standard", "standard deviations")],
)
def test_normalised_levels_are_named_as_such(normalize, unit):
    clip = np.concatenate([tone(300), tone(900)])
    mel = spectrogram(normalize=normalize).fit([clip])
    display = SpectrogramDisplay.from_estimator(mel, clip)
    assert unit in display.colorbar_.ax.get_ylabel()
    assert display.axes_[0].get_ylabel() == "frequency (Hz)"


def test_without_a_hop_frames_are_numbered():
    display = SpectrogramDisplay.from_predictions(frames_of(4))
    assert display.axes_[0].get_xlabel() == "frame"
    assert display.axes_[0].get_ylabel() == "feature"
    assert display.colorbar_.ax.get_ylabel() == "value"
    display.figure_.draw_without_rendering()
    for ticks in (display.axes_[0].get_xticks(), display.axes_[0].get_yticks()):
        assert (ticks == ticks.round()).all()


@pytest.mark.parametrize("n_clips", [1, 2, 5, 12])
def test_every_clip_up_to_twelve_has_a_panel(n_clips):
    display = SpectrogramDisplay.from_predictions([frames_of()] * n_clips)
    assert len(display.axes_) == len(display.images_) == n_clips
    assert len(display.figure_.axes) == n_clips + 1  # and the colour bar


def test_it_draws_in_given_axes_with_given_colours():
    _, axes = plt.subplots(1, 3)
    display = SpectrogramDisplay.from_predictions(
        [frames_of()] * 2, ax=axes[:2], cmap="gray", vmin=-30, vmax=0
    )
    assert list(display.axes_) == list(axes[:2])
    assert display.images_[1].get_cmap().name == "gray"
    assert display.images_[1].get_clim() == (-30, 0)
    assert not axes[2].images
    norm = SymLogNorm(1, vmin=-60, vmax=0)
    display = SpectrogramDisplay.from_predictions(frames_of(), norm=norm)
    assert display.images_[0].norm is norm


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "holds 0 clips"),
        ([frames_of()] * 13, {}, r"holds 13 clips.* X\[:12\]"),
        (
            [frames_of(), frames_of(n_features=3)],
            {},
            r"frames\[1\] has shape \(30, 3\)",
        ),
        ([np.empty((0, 3))], {}, r"frames\[0\] has shape \(0, 3\)"),
        ([frames_of()], {"titles": ["a", "b"]}, "titles has 2 entries for 1 clips"),
        ([frames_of()], {"frequencies": [1.0, 2.0]}, "frames have 20 features"),
    ],
)
def test_frames_that_do_not_fit_are_an_error(frames, options, message):
    with pytest.raises(ValueError, match=message):
        SpectrogramDisplay.from_predictions(frames, **options)


def test_axes_of_another_number_are_an_error():
    _, axes = plt.subplots(3)
    with pytest.raises(ValueError, match=r"ax holds 3 axes for 2 clips"):
        SpectrogramDisplay.from_predictions([frames_of()] * 2, ax=axes)


@pytest.mark.parametrize("wrap", [lambda m: m, make_pipeline], ids=["bare", "pipeline"])
def test_an_unfitted_estimator_is_an_error(wrap):
    with pytest.raises(NotFittedError):
        SpectrogramDisplay.from_estimator(wrap(spectrogram()), [tone(300)])


def test_an_estimator_without_a_spectrogram_is_an_error():
    X = np.zeros((4, 2))
    with pytest.raises(TypeError, match="Ridge holds no fitted LogMelSpectrogram"):
        SpectrogramDisplay.from_estimator(Ridge().fit(X, X[:, 0]), X)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[plot\]"'):
        SpectrogramDisplay(frames=[frames_of()]).plot()
