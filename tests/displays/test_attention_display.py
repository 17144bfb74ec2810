import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_rnn import (
    AttentionDisplay,
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNTagger,
    SequenceScaler,
    SequenceTokenizer,
    SequenceWindower,
)
from sklearn_rnn.estimators._base import RNNEstimator

WEIGHTS = [[0.1, 0.2, 0.7], [0.4, 0.6]]
SYMBOLS = [["the", "old", "cat"], ["a", "dog"]]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(3, 9, size=30)]
    return X, np.array([x.mean() for x in X])


def regressor(**options):
    defaults = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}
    return RNNRegressor(**{**defaults, "pooling": "attention", **options})


def rows(display):
    """Return what each row shows, and how many cells after it are blank."""
    table = display.image_.get_array()
    return [row.compressed() for row in table], table.mask.sum(axis=1).tolist()


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def assert_apart(labels):
    boxes = [label.get_window_extent() for label in labels]
    for box, following in pairwise(boxes):
        assert not box.overlaps(following)


def test_the_cells_are_the_weights_and_blank_after_a_sequence():
    display = AttentionDisplay.from_weights(WEIGHTS)
    table = display.image_.get_array()
    assert table.shape == (2, 3)
    assert table.compressed().tolist() == [0.1, 0.2, 0.7, 0.4, 0.6]
    assert table.mask.tolist() == [[False, False, False], [False, False, True]]
    # A masked cell has no colour of its own.
    assert display.image_.to_rgba(table)[1, 2, 3] == 0


def test_every_sequence_has_a_frame():
    display = AttentionDisplay.from_weights(WEIGHTS)
    frames = [patch.get_bbox().bounds for patch in display.ax_.patches]
    assert frames == [(-0.5, -0.5, 3, 1), (-0.5, 0.5, 2, 1)]


def test_the_colour_bar_says_what_the_colours_are_and_begins_at_zero():
    display = AttentionDisplay.from_weights(WEIGHTS)
    assert display.colorbar_.ax.get_ylabel() == "attention weight"
    assert display.image_.get_clim() == (0, 0.7)
    assert display.ax_.get_xlabel() == "step"
    assert display.ax_.get_ylabel() == "sequence"


def test_it_draws_the_weights_of_the_estimator(data):
    X, y = data
    model = regressor().fit(X, y)
    shown, n_blank = rows(AttentionDisplay.from_estimator(model, X[:5]))
    expected = model.attention_weights(X[:5])
    longest = max(len(x) for x in X[:5])
    assert n_blank == [longest - len(x) for x in X[:5]]
    for row, weights in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(row, weights)
    assert len({round(row.max(), 3) for row in shown}) > 1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: make_pipeline(SequenceScaler(), model),
        lambda model: GridSearchCV(model, {"hidden_size": [3]}, cv=2),
        lambda model: GridSearchCV(
            make_pipeline(SequenceScaler(), model),
            {"rnnregressor__hidden_size": [3]},
            cv=2,
        ),
    ],
    ids=["pipeline", "search", "search over pipeline"],
)
def test_the_sequences_go_through_the_steps_before_the_network(data, wrap):
    X, y = data
    X = [5 + 3 * x for x in X]  # so that a step left out shows
    # Without standardising of its own, unscaled inputs give other weights.
    fitted = wrap(regressor(standardize=False)).fit(X, y)
    shown, _ = rows(AttentionDisplay.from_estimator(fitted, X[:3]))
    best = getattr(fitted, "best_estimator_", fitted)
    if hasattr(best, "steps"):
        best, X = best[-1], best[0].transform(X)
    for row, weights in zip(shown, best.attention_weights(X[:3]), strict=True):
        np.testing.assert_array_equal(row, weights)


def test_a_table_is_drawn_window_by_window():
    table = np.random.default_rng(0).normal(size=(20, 2))
    model = make_pipeline(SequenceWindower(4, history=None), regressor())
    display = AttentionDisplay.from_estimator(model.fit(table, table[:, 0]), table[:6])
    assert rows(display)[1] == [3, 2, 1, 0, 0, 0]


def test_symbols_of_several_sequences_stand_in_their_cells():
    display = AttentionDisplay.from_weights(WEIGHTS, symbols=SYMBOLS)
    texts = [[text.get_text() for text in row] for row in display.texts_]
    assert texts == SYMBOLS
    positions = [[text.get_position() for text in row] for row in display.texts_]
    assert positions == [[(0, 0), (1, 0), (2, 0)], [(0, 1), (1, 1)]]


def test_symbols_of_a_single_sequence_stand_under_its_steps():
    display = AttentionDisplay.from_weights(WEIGHTS[:1], symbols=SYMBOLS[:1])
    assert tick_labels(display.ax_.xaxis) == SYMBOLS[0]
    assert display.ax_.get_xticks().tolist() == [0, 1, 2]
    assert display.texts_ is None
    assert display.ax_.get_yticks().tolist() == []


@pytest.mark.parametrize("symbols", [SYMBOLS[0], [SYMBOLS[0]], tuple(SYMBOLS[0])])
def test_a_single_sequence_takes_its_symbols_alone(symbols):
    display = AttentionDisplay.from_weights(WEIGHTS[0], symbols=symbols)
    assert display.symbols == [SYMBOLS[0]]
    np.testing.assert_array_equal(display.image_.get_array(), [WEIGHTS[0]])


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("weights", "symbols", "read"),
    [
        ([0.5, 0.5], "ab", [["a", "b"]]),
        ([0.5, 0.5], ["ab"], [["a", "b"]]),
        ([1.0], ["ab"], [["ab"]]),
        ([0.5, 0.5], [3, 12], [["3", "12"]]),
        ([0.5, 0.5], np.array(["$x$", "\n"]), [["$x$", "\\n"]]),
        (WEIGHTS, ["cat", "ox"], [["c", "a", "t"], ["o", "x"]]),
    ],
)
def test_symbols_are_read_in_every_form(weights, symbols, read):
    display = AttentionDisplay.from_weights(weights, symbols=symbols)
    assert display.symbols == read
    display.figure_.draw_without_rendering()


def test_a_dollar_is_a_symbol_not_a_formula():
    display = AttentionDisplay.from_weights([0.5, 0.5], symbols=[r"$\frac$", "$"])
    assert not display.ax_.get_xticklabels()[0].get_parse_math()
    display.figure_.draw_without_rendering()
    display = AttentionDisplay.from_weights([[1.0]] * 2, symbols=[[r"$\frac$"], ["a"]])
    display.figure_.draw_without_rendering()


def test_symbols_can_be_read_on_dark_and_on_light_cells():
    display = AttentionDisplay.from_weights([[0, 1], [0, 1]], symbols=["ab", "cd"])
    for row in display.texts_:
        assert [text.get_color() for text in row] == ["black", "white"]


@pytest.mark.thorough
@pytest.mark.parametrize("n_timesteps", [5, 20, 60])
def test_symbols_stay_inside_their_cells(n_timesteps):
    words = ["everybody" if i % 3 else "a" for i in range(n_timesteps)]
    weights = np.full((3, n_timesteps), 1 / n_timesteps)
    display = AttentionDisplay.from_weights(weights, symbols=[words] * 3)
    display.figure_.draw_without_rendering()
    to_data = display.ax_.transData.inverted()
    for row, texts in enumerate(display.texts_):
        for step, text in enumerate(texts):
            box = text.get_window_extent().transformed(to_data)
            assert abs(box.intervalx - step).max() <= 0.51
            assert abs(box.intervaly - row).max() <= 0.51


@pytest.mark.slow
@pytest.mark.parametrize("n_timesteps", [5, 40, 400])
@pytest.mark.parametrize("word", ["a", "everybody"])
def test_symbols_under_the_steps_do_not_run_into_each_other(n_timesteps, word):
    weights = np.full(n_timesteps, 1 / n_timesteps)
    display = AttentionDisplay.from_weights(weights, symbols=[word] * n_timesteps)
    display.figure_.draw_without_rendering()
    labels = display.ax_.get_xticklabels()
    assert_apart(labels)
    assert min(label.get_fontsize() for label in labels) >= 6


def test_long_symbols_are_rotated_rather_than_shrunk():
    for word, rotation in [("a", 0), ("everybody", 90)]:
        display = AttentionDisplay.from_weights([0.1] * 20, symbols=[word] * 20)
        label = display.ax_.get_xticklabels()[0]
        assert label.get_rotation() == rotation
        assert label.get_fontsize() == plt.rcParams["font.size"]


def test_names_stand_beside_their_rows():
    display = AttentionDisplay.from_weights(WEIGHTS, names=["good", 7])
    assert tick_labels(display.ax_.yaxis) == ["good", "7"]
    assert display.ax_.get_yticks().tolist() == [0, 1]
    display = AttentionDisplay.from_weights(WEIGHTS[0], names=["good"])
    assert tick_labels(display.ax_.yaxis) == ["good"]


@pytest.mark.slow
def test_many_names_do_not_run_into_each_other():
    names = [f"patient {i}" for i in range(300)]
    display = AttentionDisplay.from_weights([[0.5, 0.5]] * 300, names=names)
    display.figure_.draw_without_rendering()
    assert_apart(display.ax_.get_yticklabels())
    shown = tick_labels(display.ax_.yaxis)
    assert shown == [names[int(place)] for place in display.ax_.get_yticks()]


def test_it_draws_in_given_axes_with_given_colours():
    _, (ax, other) = plt.subplots(1, 2)
    display = AttentionDisplay.from_weights(WEIGHTS, ax=ax, cmap="Greens", vmax=1)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.image_.get_cmap().name == "Greens"
    assert display.image_.get_clim() == (0, 1)
    assert not other.images


def test_it_draws_in_axes_of_a_subfigure():
    subfigure, _ = plt.figure().subfigures(1, 2)
    ax = subfigure.subplots()
    display = AttentionDisplay.from_weights(WEIGHTS, symbols=SYMBOLS, ax=ax)
    assert display.figure_ is subfigure


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"symbols": [["a", "b", "c"], ["d"]]}, r"symbols\[1\] has 1 symbols.*2 steps"),
        ({"symbols": SYMBOLS[:1]}, "symbols has 1 lists for 2 sequences"),
        ({"names": ["a"]}, "names has 1 names for 2 sequences"),
        ({"weights": []}, "no sequence to draw"),
        ({"weights": [[[0.5, 0.5]]]}, r"weights\[0\] has shape \(1, 2\)"),
        ({"weights": [[1.0], []]}, r"weights\[1\] has shape \(0,\)"),
        (
            {"weights": [0.5, 0.5], "symbols": ["a", "b", "c"]},
            r"symbols\[0\] has 3 symbols, but the network reads 2 steps",
        ),
    ],
)
def test_what_does_not_fit_together_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        AttentionDisplay.from_weights(**{"weights": WEIGHTS, **arguments})


def test_a_network_without_attention_is_an_error(data):
    X, y = data
    with pytest.raises(ValueError, match="has no attention"):
        AttentionDisplay.from_estimator(regressor(pooling="last").fit(X, y), X)
    tagger = RNNTagger(max_epochs=1).fit(X, [x[:, 0] > 0 for x in X])
    with pytest.raises(ValueError, match="attention"):
        AttentionDisplay.from_estimator(tagger, X)


@pytest.mark.parametrize("wrap", [lambda m: m, make_pipeline], ids=["bare", "pipeline"])
def test_an_unfitted_estimator_is_an_error(data, wrap):
    with pytest.raises(NotFittedError):
        AttentionDisplay.from_estimator(wrap(regressor()), data[0])


def test_an_estimator_without_a_network_is_an_error():
    X = np.zeros((4, 2))
    with pytest.raises(TypeError, match="Ridge holds no recurrent network"):
        AttentionDisplay.from_estimator(Ridge().fit(X, X[:, 0]), X)


@pytest.mark.slow
def test_a_classifier_looks_at_the_step_that_matters():
    rng = np.random.default_rng(0)
    X = rng.choice(3, size=(200, 8))  # tokens 0 to 2 are noise
    y = rng.choice(2, size=200)
    positions = rng.integers(0, 8, size=200)
    X[np.arange(200), positions] = 3 + y
    model = RNNClassifier(
        hidden_size=8,
        pooling="attention",
        embedding_dim=4,
        input_dropout=0.0,
        learning_rate=0.02,
        max_epochs=20,
        random_state=0,
    )
    display = AttentionDisplay.from_estimator(model.fit(X, y), X)
    looked_at = display.image_.get_array().argmax(axis=1)
    assert (np.abs(looked_at - positions) <= 1).mean() > 0.7


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[plot\]"'):
        AttentionDisplay.from_weights(WEIGHTS)


# Alignments.


def alignment(n_outputs, n_inputs):
    weights = np.random.default_rng(0).random((n_outputs, n_inputs))
    return weights / weights.sum(axis=1, keepdims=True)


class Seq2Seq(RNNEstimator):
    """Predicts its input backwards, and looks at it in that order."""

    def __init__(self, by_words=False, has_end=True):
        self.by_words = by_words
        self.has_end = has_end

    def fit(self, X, y):
        self.module_ = None
        return self

    def _read(self, X):
        return [x.split() if self.by_words else list(x) for x in X]

    def attention(self, X):
        alignments = []
        for x in self._read(X):
            weights = np.eye(len(x))[::-1]
            last = np.full((int(self.has_end), len(x)), 1 / len(x))
            alignments.append(np.concatenate([weights, last]))
        return alignments

    def predict(self, X):
        predictions = np.empty(len(X), dtype=object)
        for i, x in enumerate(self._read(X)):
            predictions[i] = " ".join(x[::-1]) if self.by_words else x[::-1]
        return predictions


def test_an_alignment_has_outputs_as_rows_and_inputs_as_columns():
    weights = alignment(2, 3)
    display = AttentionDisplay.from_alignment(weights, "abc", ["x", "yz"])
    np.testing.assert_array_equal(display.image_.get_array(), weights)
    assert not np.ma.is_masked(display.image_.get_array())
    assert tick_labels(display.ax_.xaxis) == ["a", "b", "c"]
    assert display.ax_.get_xticks().tolist() == [0, 1, 2]
    assert tick_labels(display.ax_.yaxis) == ["x", "yz"]
    assert display.ax_.get_yticks().tolist() == [0, 1]
    top, bottom = sorted(display.ax_.get_ylim())
    assert display.ax_.get_ylim() == (bottom, top)  # the first row is on top
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("input", "output")
    assert display.colorbar_.ax.get_ylabel() == "attention weight"
    assert display.image_.get_clim() == (0, 1)
    assert display.texts_ is None


def test_a_row_more_than_the_symbols_is_the_end():
    display = AttentionDisplay.from_alignment(alignment(3, 2), "ab", "xy")
    assert tick_labels(display.ax_.yaxis) == ["x", "y", "<end>"]
    display = AttentionDisplay.from_alignment(alignment(1, 2), "ab", [])
    assert tick_labels(display.ax_.yaxis) == ["<end>"]


def test_numbers_as_input_have_their_steps_numbered():
    for n_inputs, some in [(3, {"0", "1", "2"}), (30, {"0", "10", "20"})]:
        weights = alignment(2, n_inputs)
        display = AttentionDisplay.from_alignment(weights, None, "xy")
        assert display.ax_.get_xlabel() == "input step"
        display.figure_.draw_without_rendering()
        assert some <= set(tick_labels(display.ax_.xaxis))
        assert all(tick == int(tick) for tick in display.ax_.get_xticks())


def test_the_attributes_of_an_alignment_draw_it_again():
    display = AttentionDisplay.from_alignment(alignment(3, 2), "ab", "xy")
    again = AttentionDisplay(
        weights=display.weights, source=display.source, target=display.target
    ).plot(cmap="Greens", vmax=1)
    assert tick_labels(again.ax_.yaxis) == ["x", "y", "<end>"]
    assert again.image_.get_cmap().name == "Greens"
    assert again.image_.get_clim() == (0, 1)


def test_an_alignment_goes_into_given_axes():
    _, (ax, other) = plt.subplots(1, 2)
    display = AttentionDisplay.from_alignment(alignment(2, 2), "ab", "xy", ax=ax)
    assert display.ax_ is ax
    assert not other.images


def texts_of(display):
    ax = display.ax_
    return ax.get_xticklabels(), ax.get_yticklabels()


@pytest.mark.slow
@pytest.mark.parametrize("word", ["a", "everybody"])
@pytest.mark.parametrize("shape", [(5, 7), (30, 30), (3, 60), (60, 3), (1, 1)])
def test_labels_of_an_alignment_can_be_read(shape, word):
    n_outputs, n_inputs = shape
    display = AttentionDisplay.from_alignment(
        alignment(*shape), [word] * n_inputs, [word] * n_outputs
    )
    display.figure_.draw_without_rendering()
    for labels, count in zip(texts_of(display), (n_inputs, n_outputs), strict=True):
        assert len(labels) == count
        assert_apart(labels)
        assert min(label.get_fontsize() for label in labels) >= 6
    box = display.ax_.get_window_extent()
    # Long labels beside them must not eat up the cells.
    assert min(box.width, box.height) > 100


@pytest.mark.slow
def test_an_alignment_of_many_steps_labels_some():
    symbols = [str(i) for i in range(150)]
    display = AttentionDisplay.from_alignment(alignment(150, 150), symbols, symbols)
    display.figure_.draw_without_rendering()
    for labels in texts_of(display):
        assert_apart(labels)
        assert 30 < len(labels) < 150


def test_a_space_is_seen():
    display = AttentionDisplay.from_alignment(alignment(2, 3), "a b", [" ", "c"])
    assert tick_labels(display.ax_.xaxis) == ["a", "␣", "b"]
    assert tick_labels(display.ax_.yaxis) == ["␣", "c"]


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize(
    "symbols",
    [
        list("שלום"),
        ["مرحبا", "يا"],
        ["👨\u200d👩", "😀", "🇨🇭"],
        ["你", "好"],
        ["\n", "\t", "\u200f", "\ud800", "\x00"],
        [("C", 4), ("C", "E", "G"), 3],
        ["$x", "$\\frac$", "^", "_{", "%", "\\"],
        ["", ""],
    ],
    ids=["Hebrew", "Arabic", "emoji", "Chinese", "control", "tuples", "TeX", "empty"],
)
def test_any_symbol_can_be_a_label(symbols):
    n = len(symbols)
    display = AttentionDisplay.from_alignment(alignment(n, n), symbols, symbols)
    display.figure_.canvas.draw()
    for labels in texts_of(display):
        assert len({label.get_text() for label in labels}) == len(set(symbols))
        assert not any("\n" in label.get_text() for label in labels)


@pytest.mark.thorough
def test_cells_of_an_alignment_have_sharp_edges_while_they_are_seen():
    display = AttentionDisplay.from_alignment(alignment(2, 300), None, "xy")
    assert display.image_.get_interpolation() == "nearest"
    # A cell narrower than a pixel would be lost without averaging.
    display = AttentionDisplay.from_alignment(alignment(2, 3000), None, "xy")
    assert display.image_.get_interpolation() == "auto"
    display = AttentionDisplay.from_alignment(
        alignment(2, 3), "abc", "xy", interpolation="bilinear"
    )
    assert display.image_.get_interpolation() == "bilinear"


@pytest.mark.parametrize(
    ("weights", "source", "target", "message"),
    [
        ([0.5, 0.5], "ab", "x", r"weights has shape \(2,\)"),
        (np.ones((0, 2)), "ab", "", r"weights has shape \(0, 2\)"),
        (np.ones((1, 1, 2)), "ab", "x", r"weights has shape \(1, 1, 2\)"),
        (np.ones((2, 2)), "abc", "xy", "source has 3 symbols for 2 columns"),
        (np.ones((2, 2)), "ab", "xyz", "target has 3 symbols for 2 rows"),
        (np.ones((3, 2)), "ab", "x", "target has 1 symbols for 3 rows"),
    ],
)
def test_an_alignment_that_does_not_fit_is_an_error(weights, source, target, message):
    with pytest.raises(ValueError, match=message):
        AttentionDisplay.from_alignment(weights, source, target)


@pytest.mark.thorough
@pytest.mark.parametrize("has_end", [True, False])
@pytest.mark.parametrize(
    ("by_words", "text", "source", "target"),
    [
        (False, "an ox", ["a", "n", "␣", "o", "x"], ["x", "o", "␣", "n", "a"]),
        (True, "an old ox", ["an", "old", "ox"], ["ox", "old", "an"]),
    ],
)
def test_an_encoder_decoder_has_its_alignment_drawn(
    by_words, text, source, target, has_end
):
    model = Seq2Seq(by_words=by_words, has_end=has_end).fit([text], [text])
    display = AttentionDisplay.from_estimator(model, [text])
    np.testing.assert_array_equal(
        display.image_.get_array(), model.attention([text])[0]
    )
    assert tick_labels(display.ax_.xaxis) == source
    assert tick_labels(display.ax_.yaxis) == target + ["<end>"] * has_end


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("symbols", "labels"),
    [
        (["IY", "N"], ["IY", "N"]),
        (np.array(["IY", "N"]), ["IY", "N"]),
        ((60, 64, 67), ["60", "64", "67"]),
        ([("C", "E"), "rest"], ["('C', 'E')", "rest"]),  # no array can be made of it
    ],
)
def test_an_alignment_reads_lists_of_symbols(symbols, labels):
    model = Seq2Seq().fit(None, None)
    display = AttentionDisplay.from_estimator(model, [symbols])
    assert tick_labels(display.ax_.xaxis) == labels
    assert tick_labels(display.ax_.yaxis) == [*labels[::-1], "<end>"]


@pytest.mark.thorough
@pytest.mark.parametrize("x", [[0.5, 1.5], np.zeros((2, 3)), [[0.5, 1], [1, 2]]])
def test_measurements_as_input_have_their_steps_numbered(x):
    display = AttentionDisplay.from_estimator(Seq2Seq().fit(None, None), [x])
    assert display.source is None
    assert display.ax_.get_xlabel() == "input step"


def test_text_that_is_parted_otherwise_has_its_symbols_numbered():
    class Subwords(Seq2Seq):
        def attention(self, X):
            return [alignment(4, 3)]

    display = AttentionDisplay.from_estimator(Subwords().fit(None, None), ["abcdefg h"])
    assert display.source is None
    assert tick_labels(display.ax_.yaxis) == ["0", "1", "2", "3"]


def test_given_symbols_and_names_label_an_alignment():
    model = Seq2Seq().fit(None, None)
    for symbols in [["A", "B"], [["A", "B"]], "AB"]:
        display = AttentionDisplay.from_estimator(
            model, ["ab"], symbols=symbols, names=["first", "second"]
        )
        assert tick_labels(display.ax_.xaxis) == ["A", "B"]
        assert tick_labels(display.ax_.yaxis) == ["first", "second", "<end>"]
    with pytest.raises(ValueError, match="3 symbols, but the network reads 2 steps"):
        AttentionDisplay.from_estimator(model, ["ab"], symbols="ABC")


@pytest.mark.thorough
@pytest.mark.parametrize("search", [False, True])
def test_an_alignment_goes_through_pipelines_and_searches(search):
    def first_two(X):
        return [x[:2] for x in X]

    model = make_pipeline(FunctionTransformer(first_two), Seq2Seq())
    if search:
        grid = {"seq2seq__has_end": [False]}
        model = GridSearchCV(model, grid, scoring=lambda *_: 0.0, cv=2)
    X = ["abc", "de", "fg", "hi"]
    display = AttentionDisplay.from_estimator(model.fit(X, X), X[:1])
    assert tick_labels(display.ax_.yaxis) == ["b", "a", "<end>"][: 3 - search]
    # What was cut off has no column, so that the steps have no symbols.
    assert display.source is None
    display = AttentionDisplay.from_estimator(model, X[1:2])
    assert display.source == ["d", "e"]


@pytest.mark.parametrize("n", [0, 13])
def test_a_figure_shows_1_to_12_alignments(n):
    with pytest.raises(ValueError, match=rf"X holds {n} sequences.*1 to 12"):
        AttentionDisplay.from_estimator(Seq2Seq().fit(None, None), ["ab"] * n)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "shape"), [(2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3))]
)
def test_several_pairs_have_a_panel_each(n, shape):
    texts = ["an ox", "cat", "ab", "a dog", "owl"][:n]
    model = Seq2Seq().fit(None, None)
    display = AttentionDisplay.from_estimator(model, texts)
    assert len(display.axes_) == len(display.images_) == n
    assert len(display.figure_.axes) == n + 1  # and a colour bar for all
    assert display.ax_ is display.axes_[0]
    assert display.ax_.get_gridspec().get_geometry() == shape
    for text, ax, image, weights in zip(
        texts, display.axes_, display.images_, model.attention(texts), strict=True
    ):
        np.testing.assert_array_equal(image.get_array(), weights)
        assert image.get_clim() == (0, 1)
        letters = list(text.replace(" ", "␣"))
        assert tick_labels(ax.xaxis) == letters
        assert tick_labels(ax.yaxis) == [*letters[::-1], "<end>"]
    display.figure_.canvas.draw()
    for ax in display.axes_:
        assert_apart(ax.xaxis.get_ticklabels())


def test_several_pairs_go_into_given_axes_and_are_labelled_as_said():
    model = Seq2Seq().fit(None, None)
    _, axes = plt.subplots(2, 1)
    display = AttentionDisplay.from_estimator(
        model, ["ab", "c"], symbols=["AB", "C"], names=["xy", "z"], ax=axes
    )
    assert display.axes_.tolist() == axes.tolist()
    assert tick_labels(axes[0].xaxis) == ["A", "B"]
    assert tick_labels(axes[1].yaxis) == ["z", "<end>"]
    with pytest.raises(ValueError, match="1 axes for 2 panels"):
        AttentionDisplay.from_estimator(model, ["ab", "c"], ax=axes[0])


def test_several_alignments_that_do_not_fit_are_an_error():
    pairs = [alignment(3, 2), alignment(2, 4)]
    display = AttentionDisplay.from_alignment(pairs, None, ["xy", "x"])
    assert tick_labels(display.axes_[1].yaxis) == ["x", "<end>"]
    again = AttentionDisplay(weights=display.weights, target=display.target).plot()
    assert tick_labels(again.axes_[1].yaxis) == ["x", "<end>"]
    with pytest.raises(ValueError, match="weights has 2 alignments, source 1"):
        AttentionDisplay.from_alignment(pairs, ["ab"], ["xy", "x"])


def test_an_unfitted_encoder_decoder_is_an_error():
    with pytest.raises(NotFittedError):
        AttentionDisplay.from_estimator(Seq2Seq(), ["ab"])


def test_words_of_a_tokenizer_are_written_by_themselves():
    texts = ["good film", "so bad a film"]
    network = RNNClassifier(embedding_dim=4, pooling="attention", max_epochs=1)
    model = make_pipeline(SequenceTokenizer(), network).fit(texts, [1, 0])
    display = AttentionDisplay.from_estimator(model, texts)
    assert display.symbols == [text.split() for text in texts]


def test_what_has_no_attention_is_refused_by_name():
    writer = RNNGenerator(hidden_size=2, max_epochs=1).fit("abab")
    with pytest.raises(TypeError, match="RNNGenerator has no attention"):
        AttentionDisplay.from_estimator(writer, ["ab"])


def test_alignments_have_one_scale_whatever_their_largest_weight():
    display = AttentionDisplay.from_alignment([[0.5, 0.5], [0.6, 0.4]], "ab", "cd")
    assert display.image_.get_clim() == (0, 1)
    pooled = AttentionDisplay.from_weights([0.5, 0.5])
    assert pooled.image_.get_clim() == (0, 0.5)
