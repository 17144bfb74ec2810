import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    LogMelSpectrogram,
    PosteriorDisplay,
    RNNRegressor,
    RNNTranscriber,
)
from sklearn_rnn.estimators._base import RNNEstimator

SYMBOLS = list("abcd")
# "b" peaks first, then "a", of which "c" might be the reading; "d" is nowhere.
POSTERIORS = np.array(
    [
        [0.98, 0.00, 0.02, 0.00, 0.00],
        [0.10, 0.05, 0.85, 0.00, 0.00],
        [0.90, 0.05, 0.05, 0.00, 0.00],
        [0.08, 0.60, 0.00, 0.30, 0.02],
    ]
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def draw(posteriors=POSTERIORS, symbols=SYMBOLS, **options):
    return PosteriorDisplay.from_predictions(posteriors, symbols, **options)


def row_names(display, i=0):
    return [label.get_text() for label in display.axes_[i].get_yticklabels()]


def titles(display):
    return [ax.get_title(loc="left") for ax in display.axes_]


class StubTranscriber(RNNEstimator):
    """Reads a sequence's only column as the symbols of its frames, 0 as none."""

    def __init__(self, subsampling=1):
        self.subsampling, self.upsampling = subsampling, 1

    def fit(self, X, y=None):
        self.module_ = None
        self.symbols_ = np.array(SYMBOLS, dtype=object)
        return self

    def posteriors(self, X):
        found = np.empty(len(X), dtype=object)
        for i, x in enumerate(X):
            found[i] = np.eye(5)[x[:: self.subsampling, 0]]
        return found

    def predict(self, X):
        return ["".join(SYMBOLS[i - 1] for i in x[:, 0] if i > 0) for x in X]


def test_symbols_are_rows_in_the_order_of_their_peaks_and_the_blank_is_lowest():
    display = draw()
    assert row_names(display) == ["b", "a", "c", "<blank>"]
    assert display.rows_[0].tolist() == [2, 1, 3, 0]
    image = display.images_[0]
    np.testing.assert_array_equal(image.get_array(), POSTERIORS[:, [2, 1, 3, 0]].T)
    left, right, bottom, top = image.get_extent()
    assert (left, right) == (-0.5, 3.5)
    assert (top, bottom) == (-0.5, 3.5)  # the first row is on top
    assert display.axes_[0].get_yticks().tolist() == [0, 1, 2, 3]


def test_symbols_that_are_nowhere_probable_have_no_row():
    assert row_names(draw(min_probability=0.5)) == ["b", "a", "<blank>"]
    assert row_names(draw(min_probability=0.0)) == ["b", "a", "c", "d", "<blank>"]
    assert row_names(draw(min_probability=1.0)) == ["<blank>"]


def test_each_clip_has_its_own_rows():
    display = draw([POSTERIORS, POSTERIORS[2:]])
    assert row_names(display, 0) == ["b", "a", "c", "<blank>"]
    assert row_names(display, 1) == ["b", "a", "c", "<blank>"]
    display = draw([POSTERIORS, POSTERIORS[:3]], min_probability=0.1)
    assert row_names(display, 1) == ["b", "<blank>"]


def test_the_colours_are_probabilities_from_0_to_1():
    display = draw()
    assert display.images_[0].get_clim() == (0, 1)
    assert display.colorbar_.ax.get_ylabel() == "probability"


@pytest.mark.thorough
def test_titles_show_predicted_and_true_texts():
    pair = [POSTERIORS, POSTERIORS[2:]]
    assert titles(draw(pair)) == ["", ""]
    assert titles(draw(pair, y_pred=["ba", "a"])) == ["predicted: ba", "predicted: a"]
    display = draw(pair, y_pred=["ba", ["b", "a"]], y_true=["b$", ["a", " "]])
    assert titles(display) == ["true: b$\npredicted: ba", "true: a ␣\npredicted: b a"]
    display.figure_.draw_without_rendering()


@pytest.mark.slow
@pytest.mark.parametrize("n_clips", [1, 4, 12])
def test_a_long_text_is_cut_to_the_width_of_its_panel(n_clips):
    texts = ["a text without an end " * 20] * n_clips
    display = draw([POSTERIORS] * n_clips, y_pred=texts)
    display.figure_.draw_without_rendering()
    for ax, text in zip(display.axes_, titles(display), strict=True):
        assert text.startswith("predicted: a text")
        assert text.endswith("…")
        # The title takes no space from the picture.
        width = ax.get_window_extent().width
        assert width > 0.6 * display.figure_.bbox.width / ax.get_gridspec().ncols
        assert ax.title.get_window_extent().width < 1.1 * width


def test_time_is_in_seconds_where_the_hop_is_known():
    display = draw(hop_seconds=0.01, subsampling=2)
    assert display.axes_[0].get_xlabel() == "time (s)"
    # Step 0 stands for frames 0 and 1, which are centred on 0 and 0.01 s.
    extent = display.images_[0].get_extent()
    np.testing.assert_allclose(extent[:2], [-0.005, 0.075])
    display = draw(subsampling=3)
    assert display.axes_[0].get_xlabel() == "frame"
    assert list(display.images_[0].get_extent()[:2]) == [-0.5, 11.5]


def test_the_blank_and_the_space_are_not_taken_for_each_other():
    posteriors = np.eye(3)
    assert row_names(draw(posteriors, [" ", "blank"])) == ["␣", "blank", "<blank>"]
    assert row_names(draw(posteriors, ["$", "\n"])) == ["$", "\\n", "<blank>"]
    plt.gcf().draw_without_rendering()


@pytest.mark.slow
@pytest.mark.parametrize("n_clips", [1, 2, 12])
def test_of_many_symbols_the_most_probable_have_labels_that_can_be_read(n_clips):
    symbols = [f"word{i}" for i in range(200)]
    posteriors = np.random.default_rng(0).dirichlet([0.05] * 201, size=50)
    display = draw([posteriors] * n_clips, symbols)
    assert [len(rows) for rows in display.rows_] == [31] * n_clips
    peaks = posteriors.max(axis=0)
    left_out = np.setdiff1d(np.arange(201), display.rows_[0])
    assert peaks[left_out].max() <= peaks[display.rows_[0][:-1]].min()
    display.figure_.draw_without_rendering()
    for i, ax in enumerate(display.axes_):
        assert row_names(display, i)[-1] == "<blank>"
        boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
        assert len(boxes) == 31
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_where_labels_are_left_out_the_blank_keeps_its_own():
    symbols = [f"word{i}" for i in range(30)]
    posteriors = np.full((5, 31), 1 / 31)
    _, ax = plt.subplots(figsize=(3, 1.5))
    display = draw(posteriors, symbols, ax=ax, min_probability=0)
    display.figure_.draw_without_rendering()
    names = [["<blank>", *symbols][row] for row in display.rows_[0]]
    labels = ax.get_yticklabels()
    assert 1 < len(labels) < 20
    assert labels[-1].get_text() == "<blank>"
    for label, place in zip(labels, ax.get_yticks(), strict=True):
        assert label.get_text() == names[int(place)]


def test_short_peaks_of_a_long_clip_keep_their_colour_and_their_row():
    posteriors = np.zeros((900, 3))
    posteriors[:, 0] = 1.0
    posteriors[450] = [0, 1, 0]
    posteriors[700] = [0, 0, 1]
    display = draw(posteriors, "ab", cmap="gray")
    fig = display.figure_
    fig.canvas.draw()
    pixels = np.asarray(fig.canvas.buffer_rgba())[::-1, :, 0]
    for row, step in ((0, 450), (1, 700)):
        x, y = display.axes_[0].transData.transform((step, row))
        column = slice(int(x) - 1, int(x) + 2)
        assert pixels[int(y), column].max() == 255
        other = display.axes_[0].transData.transform((step, 1 - row))[1]
        assert pixels[int(other), column].max() == 0


def test_it_draws_what_the_estimator_reads():
    X = [np.array([[0], [2], [0], [1]]), np.array([[3], [0]])]
    model = StubTranscriber().fit(X)
    display = PosteriorDisplay.from_estimator(model, X, ["ba", "d"])
    for table, expected in zip(display.posteriors, model.posteriors(X), strict=True):
        np.testing.assert_array_equal(table, expected)
    assert titles(display) == ["true: ba\npredicted: ba", "true: d\npredicted: c"]
    assert row_names(display, 0) == ["b", "a", "<blank>"]
    assert display.axes_[1].get_xlabel() == "frame"
    display = PosteriorDisplay.from_estimator(StubTranscriber(2).fit(X), X)
    assert list(display.images_[0].get_extent()[:2]) == [-0.5, 3.5]
    assert titles(display) == ["predicted: ba", "predicted: c"]


@pytest.fixture(scope="module")
def spoken():
    rng = np.random.default_rng(0)
    times = np.arange(1600) / 8000
    pitch = {"a": 300, "b": 1500}
    texts = ["".join(rng.choice(list("ab"), n)) for n in rng.integers(1, 4, 24)]
    clips = [
        np.concatenate([np.sin(2 * np.pi * pitch[c] * times) for c in text])
        for text in texts
    ]
    return clips, texts


@pytest.mark.thorough
@pytest.mark.parametrize("search", [False, True], ids=["pipeline", "search"])
def test_of_a_pipeline_that_reads_sound_time_is_in_seconds(spoken, search):
    clips, texts = spoken
    transcriber = RNNTranscriber(
        hidden_size=4, subsampling=2, max_epochs=1, random_state=0
    )
    model = make_pipeline(LogMelSpectrogram(8000, n_mels=8), transcriber)
    if search:
        model = GridSearchCV(model, {"rnntranscriber__hidden_size": [3]}, cv=2)
    model.fit(clips, texts)
    display = PosteriorDisplay.from_estimator(model, clips[:2], texts[:2])
    mel, network = getattr(model, "best_estimator_", model)
    expected = network.posteriors(mel.transform(clips[:2]))
    for table, one in zip(display.posteriors, expected, strict=True):
        np.testing.assert_array_equal(table, one)
    assert display.axes_[0].get_xlabel() == "time (s)"
    seconds = len(clips[0]) / 8000
    assert display.images_[0].get_extent()[1] == pytest.approx(seconds, abs=0.02)
    alone = PosteriorDisplay.from_estimator(model, clips[0], texts[0])
    np.testing.assert_allclose(alone.posteriors[0], expected[0], rtol=1e-5)
    assert titles(alone) == titles(display)[:1]


@pytest.mark.thorough
def test_a_transcriber_that_has_learned_shows_its_text_from_the_left_down():
    rng = np.random.default_rng(0)

    def speak(text):
        sounds = "".join(s * rng.integers(2, 5) + "_" for s in text)
        frames = np.eye(4)[["_abc".index(sound) for sound in sounds]]
        return frames + rng.normal(0, 0.1, frames.shape)

    y = ["".join(rng.choice(list("abc"), n)) for n in rng.integers(1, 5, 200)]
    model = RNNTranscriber(hidden_size=32, max_epochs=15, random_state=0)
    model.fit([speak(text) for text in y], y)
    display = PosteriorDisplay.from_estimator(model, [speak("cab")], ["cab"])
    assert row_names(display) == ["c", "a", "b", "<blank>"]
    assert titles(display) == ["true: cab\npredicted: cab"]


def test_it_draws_in_given_axes_with_given_colours():
    _, axes = plt.subplots(1, 3)
    display = draw([POSTERIORS] * 2, ax=axes[:2], cmap="Greens", vmax=0.5)
    assert list(display.axes_) == list(axes[:2])
    assert display.images_[0].get_cmap().name == "Greens"
    assert display.images_[0].get_clim() == (0, 0.5)
    assert not axes[2].images


@pytest.mark.parametrize(
    ("posteriors", "options", "message"),
    [
        ([], {}, "holds 0 clips"),
        ([POSTERIORS] * 13, {}, "holds 13 clips"),
        (POSTERIORS[:, :4], {}, "symbols has 4 symbols for 4 columns.* give 3"),
        ([POSTERIORS] * 2, {"y_pred": ["a"]}, "y_pred has 1 entries for 2 clips"),
        (POSTERIORS, {"y_true": ["a", "b"]}, "y_true has 2 entries for 1 clips"),
    ],
)
def test_posteriors_that_do_not_fit_are_an_error(posteriors, options, message):
    with pytest.raises(ValueError, match=message):
        draw(posteriors, **options)


def test_axes_of_another_number_are_an_error():
    _, axes = plt.subplots(3)
    with pytest.raises(ValueError, match=r"ax holds 3 axes for 2 clips"):
        draw([POSTERIORS] * 2, ax=axes)


def test_an_unfitted_estimator_is_an_error():
    with pytest.raises(NotFittedError):
        PosteriorDisplay.from_estimator(RNNTranscriber(), [np.zeros((3, 1))])


def test_what_has_no_posteriors_is_an_error():
    X = np.zeros((4, 2))
    with pytest.raises(TypeError, match="Ridge holds no recurrent network"):
        PosteriorDisplay.from_estimator(Ridge().fit(X, X[:, 0]), X)
    model = RNNRegressor(hidden_size=2, max_epochs=1).fit(X, [0.0, 1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match=r"RNNRegressor has no posteriors\(\)"):
        PosteriorDisplay.from_estimator(model, X)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[plot\]"'):
        PosteriorDisplay(posteriors=[POSTERIORS], symbols=SYMBOLS).plot()
