import sys

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_rnn import LossCurveDisplay, RNNRegressor, SequenceScaler

HISTORY = [
    {"epoch": 1, "train_loss": 1.0, "valid_loss": 0.9},
    {"epoch": 2, "train_loss": 0.5, "valid_loss": 0.4},
    {"epoch": 3, "train_loss": 0.3, "valid_loss": 0.6},
]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def regressor(**options):
    defaults = {"hidden_size": 4, "max_epochs": 4, "random_state": 0}
    return RNNRegressor(**{**defaults, **options})


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(0).normal(size=(60, 5))
    return X, X.mean(axis=1)


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_the_curve_is_the_training_loss_of_every_epoch(data):
    model = regressor().fit(*data)
    display = LossCurveDisplay.from_estimator(model)
    [line] = display.lines_
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert line.get_ydata().tolist() == model.loss_curve_
    assert display.mark_ is None
    assert labels(display) == ["training"]


def test_validation_has_a_second_curve_of_the_same_colour(data):
    X, y = data
    model = regressor().fit(X, y, X_val=X[:20], y_val=y[:20])
    display = LossCurveDisplay.from_estimator(model)
    training, validation = display.lines_
    assert validation.get_ydata().tolist() == [r["valid_loss"] for r in model.history_]
    assert validation.get_ydata().tolist() != training.get_ydata().tolist()
    assert validation.get_color() == training.get_color()
    assert validation.get_linestyle() != training.get_linestyle()
    assert display.mark_ is None  # without early stopping the last weights stay


def test_the_mark_is_at_the_epoch_whose_weights_early_stopping_kept(data):
    X, y = data
    # The target turns round in validation, so the first epochs are the best.
    model = regressor(
        early_stopping=True, max_epochs=12, n_iter_no_change=5, learning_rate=0.1
    ).fit(X, y, X_val=X, y_val=0.1 * y[::-1])
    losses = [row["valid_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    assert model.validation_scores_[best] == model.best_validation_score_
    display = LossCurveDisplay.from_estimator(model)
    assert display.mark_.get_xdata().tolist() == [best + 1]
    assert display.mark_.get_ydata().tolist() == [losses[best]]
    assert f"kept: epoch {best + 1}" in labels(display)


def test_from_history_marks_the_epoch_that_it_is_told():
    display = LossCurveDisplay.from_history(HISTORY, kept_epoch=2)
    assert display.mark_.get_xdata().tolist() == [2]
    assert display.mark_.get_ydata().tolist() == [0.4]
    assert LossCurveDisplay.from_history(HISTORY).mark_ is None


def test_without_validation_the_mark_is_on_the_training_curve():
    history = [{"train_loss": 1.0}, {"train_loss": 0.5}]
    display = LossCurveDisplay.from_history(history, kept_epoch=2)
    assert display.mark_.get_ydata().tolist() == [0.5]


def test_a_kept_epoch_that_is_none_of_them_is_an_error():
    with pytest.raises(ValueError, match=r"kept_epoch=7 is not one of the epochs.*3"):
        LossCurveDisplay.from_history(HISTORY, kept_epoch=7)


def test_epochs_without_validation_leave_a_gap_in_its_curve():
    display = LossCurveDisplay.from_history([*HISTORY, {"epoch": 4, "train_loss": 0.2}])
    assert np.isnan(display.lines_[1].get_ydata()).tolist() == [False] * 3 + [True]
    assert display.lines_[0].get_ydata().tolist() == [1.0, 0.5, 0.3, 0.2]


def test_a_single_epoch_shows_as_a_point():
    [line] = LossCurveDisplay.from_history([{"train_loss": 1.0}]).lines_
    assert line.get_marker() == "."


def test_it_draws_in_given_axes_with_given_lines():
    _, ax = plt.subplots()
    display = LossCurveDisplay.from_history(HISTORY, ax=ax, c="red", lw=3)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert [line.get_color() for line in display.lines_] == ["red", "red"]
    assert [line.get_linewidth() for line in display.lines_] == [3, 3]


def test_models_in_one_picture_are_told_apart():
    first = LossCurveDisplay.from_history(HISTORY, name="small")
    second = LossCurveDisplay.from_history(HISTORY, name="large", ax=first.ax_)
    assert labels(second) == [
        "small, training",
        "small, validation",
        "large, training",
        "large, validation",
    ]
    assert first.lines_[0].get_color() != second.lines_[0].get_color()


def test_plot_draws_again_under_another_name():
    display = LossCurveDisplay.from_history(HISTORY, name="small")
    first = display.ax_
    display.plot(name="again")
    assert display.ax_ is not first
    assert labels(display) == ["again, training", "again, validation"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: make_pipeline(SequenceScaler(), model),
        lambda model: GridSearchCV(model, {"hidden_size": [3]}, cv=2),
        lambda model: TransformedTargetRegressor(model),
        lambda model: GridSearchCV(
            make_pipeline(SequenceScaler(), model),
            {"rnnregressor__hidden_size": [3]},
            cv=2,
        ),
    ],
    ids=["pipeline", "search", "target", "search over pipeline"],
)
def test_the_network_is_found_inside_what_holds_it(data, wrap):
    display = LossCurveDisplay.from_estimator(wrap(regressor()).fit(*data))
    assert len(display.lines_[0].get_ydata()) == 4


@pytest.mark.parametrize("wrap", [lambda m: m, make_pipeline], ids=["bare", "pipeline"])
def test_an_unfitted_estimator_is_an_error(wrap):
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(wrap(regressor()))


def test_an_estimator_without_losses_is_an_error(data):
    with pytest.raises(
        TypeError, match=r"Ridge holds no recurrent network\. Give a fitted RNN"
    ):
        LossCurveDisplay.from_estimator(make_pipeline(Ridge()).fit(*data))


def test_a_history_without_epochs_is_an_error():
    with pytest.raises(ValueError, match="no finished epoch"):
        LossCurveDisplay.from_history([])


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[plot\]"'):
        LossCurveDisplay.from_history(HISTORY)


def test_the_package_imports_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("sklearn_rnn.disp")]:
        monkeypatch.delitem(sys.modules, name)
    import sklearn_rnn.displays  # noqa: F401
