import sys

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_rnn import GradientFlowDisplay, RNNRegressor, RNNTagger, SequenceScaler


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
    defaults = {"hidden_size": 5, "max_epochs": 2, "random_state": 0}
    return RNNRegressor(**{**defaults, **options})


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_the_curve_is_the_mean_gradient_from_the_last_step_back():
    display = GradientFlowDisplay.from_gradients([[0.1, 1.0], [0.2, 0.3, 2.0]])
    assert display.line_.get_xdata().tolist() == [0, 1, 2]
    # Only the longer one reaches the distance 2.
    assert display.line_.get_ydata().tolist() == [1.5, 0.2, 0.2]


def test_it_draws_the_gradients_of_the_estimator(data):
    X, y = data
    model = regressor().fit(X, y)
    display = GradientFlowDisplay.from_estimator(model, X)
    gradients = model.input_gradients(X)
    longest = max(len(x) for x in X)
    padded = np.full((len(X), longest), np.nan)
    for row, gradient in zip(padded, gradients, strict=True):
        row[: len(gradient)] = gradient[::-1]
    assert display.distances.tolist() == list(range(longest))
    np.testing.assert_allclose(display.line_.get_ydata(), np.nanmean(padded, axis=0))
    # Its own last step is what an untrained network hangs on the most.
    assert display.gradients.argmax() == 0


def test_the_axes_are_logarithmic_and_labelled():
    ax = GradientFlowDisplay.from_gradients([[0.01, 1.0]]).ax_
    assert ax.get_yscale() == "log"
    assert ax.get_xscale() == "linear"
    assert ax.get_xlabel() == "steps before the last"
    assert ax.get_ylabel() == "mean size of the gradient"


def test_the_curve_ends_where_the_gradient_is_lost():
    display = GradientFlowDisplay.from_gradients([[0.0, 0.0, 1e-6, 1.0]])
    path = display.line_.get_transform().transform_path(display.line_.get_path())
    assert np.isfinite(path.vertices).all(axis=1).tolist() == [True, True, False, False]
    display.figure_.draw_without_rendering()
    low, high = display.ax_.get_ylim()
    assert 1e-8 < low < 1e-6
    assert 1 < high < 100


def test_models_in_one_picture_are_told_apart():
    first = GradientFlowDisplay.from_gradients([[0.1, 1.0]], name="rnn")
    second = GradientFlowDisplay.from_gradients([[0.5, 1]], name="gru", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert labels(second) == ["rnn", "gru"]
    assert first.line_.get_color() != second.line_.get_color()


def test_without_a_name_there_is_no_legend():
    assert GradientFlowDisplay.from_gradients([[0.1, 1.0]]).ax_.get_legend() is None


def test_plot_draws_again_under_another_name():
    display = GradientFlowDisplay(distances=[0, 1], gradients=[1, 0.1], name="small")
    first = display.plot().ax_
    display.plot(name="again", c="red", lw=3)
    assert display.ax_ is not first
    assert labels(display) == ["again"]
    assert display.line_.get_color() == "red"
    assert display.line_.get_linewidth() == 3


def test_a_single_step_shows_as_a_point():
    assert GradientFlowDisplay.from_gradients([[0.3]]).line_.get_marker() == "."


@pytest.mark.parametrize("search", [False, True], ids=["pipeline", "search"])
def test_the_sequences_go_through_the_steps_before_the_network(data, search):
    X, y = data
    X = [5 + 3 * x for x in X]  # so that a step left out shows
    model = make_pipeline(SequenceScaler(), regressor(standardize=False))
    if search:
        model = GridSearchCV(model, {"rnnregressor__hidden_size": [3]}, cv=2)
    model.fit(X, y)
    display = GradientFlowDisplay.from_estimator(model, X)
    scaler, network = getattr(model, "best_estimator_", model)
    gradients = network.input_gradients(scaler.transform(X))
    expected = np.mean([gradient[-1] for gradient in gradients])
    assert display.gradients[0] == pytest.approx(expected)


def test_a_tagger_is_drawn(data):
    X, _ = data
    model = RNNTagger(max_epochs=1).fit(X, [x[:, 0] > 0 for x in X])
    assert (GradientFlowDisplay.from_estimator(model, X).gradients > 0).all()


def test_an_elman_network_forgets_sooner_than_an_lstm():
    X = np.random.default_rng(0).normal(size=(20, 60))
    untrained = {"max_epochs": 1, "learning_rate": 1e-9, "hidden_size": 16}
    ratios = {}
    for cell in ["rnn", "lstm"]:
        model = regressor(cell=cell, **untrained).fit(X, X[:, 0])
        sizes = GradientFlowDisplay.from_estimator(model, X).gradients
        ratios[cell] = sizes[-1] / sizes[0]
    assert ratios["rnn"] < ratios["lstm"] < 1


def test_gradients_that_are_all_zero_are_an_error():
    with pytest.raises(ValueError, match="zero at every distance"):
        GradientFlowDisplay.from_gradients([[0.0, 0.0]])


def test_no_sequence_is_an_error():
    with pytest.raises(ValueError, match="gradients is empty"):
        GradientFlowDisplay.from_gradients([])


@pytest.mark.parametrize("wrap", [lambda m: m, make_pipeline], ids=["bare", "pipeline"])
def test_an_unfitted_estimator_is_an_error(data, wrap):
    with pytest.raises(NotFittedError):
        GradientFlowDisplay.from_estimator(wrap(regressor()), data[0])


def test_an_estimator_without_a_network_is_an_error():
    X = np.zeros((4, 2))
    with pytest.raises(TypeError, match="Ridge holds no recurrent network"):
        GradientFlowDisplay.from_estimator(Ridge().fit(X, X[:, 0]), X)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[plot\]"'):
        GradientFlowDisplay.from_gradients([[0.1, 1.0]])
