import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_rnn import (
    HiddenStateDisplay,
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    SequenceScaler,
    SequenceWindower,
)
from sklearn_rnn.sequences import check_sequences

# Unit 0 is off, 1 saturates last, 2 is on from the start, 3 likewise but negative.
STATES = np.array(
    [
        [0.0, 0.1, 0.85, -0.5],
        [0.0, -0.2, 0.9, -0.4],
        [0.0, 0.6, 0.8, -0.5],
    ]
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(3, 9, size=30)]
    return X, np.array([x.mean() for x in X])


@pytest.fixture(scope="module")
def fitted(data):
    return regressor().fit(*data)


def regressor(**options):
    defaults = {"hidden_size": 5, "max_epochs": 2, "random_state": 0}
    return RNNRegressor(**{**defaults, **options})


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def assert_shows(display, states):
    """Units in their rows, whatever the order, steps to the right."""
    image = display.image_.get_array()
    np.testing.assert_array_equal(image, np.asarray(states).T[display.units_])


def test_units_are_rows_and_steps_run_to_the_right(data, fitted):
    x = data[0][0]
    display = HiddenStateDisplay.from_estimator(fitted, x)
    assert display.image_.get_array().shape == (5, len(x))
    assert sorted(display.units_) == list(range(5))
    assert_shows(display, fitted.hidden_states([x])[0])
    assert display.ax_.get_xlabel() == "step"
    assert display.ax_.get_ylabel() == "unit"
    assert display.colorbar_.ax.get_ylabel() == "hidden state"


def test_the_colours_are_centred_on_zero():
    display = HiddenStateDisplay(states=STATES - 0.3).plot()
    assert display.image_.get_clim() == (-0.8, 0.8)
    red, green, blue, _ = display.image_.to_rgba(np.array([[0.0]]))[0, 0]
    assert min(red, green, blue) > 0.95  # white
    positive, negative = display.image_.to_rgba(np.array([[0.8, -0.8]]))[0]
    assert positive[0] > positive[2]
    assert negative[0] < negative[2]


def test_states_that_are_all_zero_can_be_drawn():
    display = HiddenStateDisplay(states=np.zeros((3, 2))).plot()
    assert display.image_.get_clim() == (-1, 1)


def test_by_activity_the_units_that_come_on_first_are_on_top():
    display = HiddenStateDisplay(states=STATES).plot()
    # 0 has its largest state, zero, from the start as well.
    assert display.units_.tolist() == [0, 2, 3, 1]
    assert tick_labels(display.ax_.yaxis) == ["0", "2", "3", "1"]
    assert_shows(display, STATES)


def test_a_plateau_counts_from_its_beginning():
    states = np.array([[0.0, 0.2], [0.95, 0.3], [0.96, 0.97], [0.99, 0.97]])
    assert HiddenStateDisplay(states=states).plot().units_.tolist() == [0, 1]


def test_without_order_units_are_as_they_are_numbered():
    display = HiddenStateDisplay(states=STATES).plot(order=None)
    assert display.units_.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(display.image_.get_array(), STATES.T)


def test_units_can_be_chosen_by_number():
    display = HiddenStateDisplay(states=STATES).plot(order=[3, 1])
    np.testing.assert_array_equal(display.image_.get_array(), STATES.T[[3, 1]])
    assert tick_labels(display.ax_.yaxis) == ["3", "1"]
    again = HiddenStateDisplay(states=-STATES).plot(order=display.units_)
    assert again.units_.tolist() == [3, 1]


@pytest.mark.parametrize("order", ["size", [0, 4], [-1], [0.5], [], 2, [[0, 1]]])
def test_an_unknown_order_is_an_error(order):
    with pytest.raises(ValueError, match='order must be "activity", None, or indices'):
        HiddenStateDisplay(states=STATES).plot(order=order)


def test_symbols_stand_under_the_steps(data, fitted):
    x = data[0][0]
    symbols = [f"s{i}" for i in range(len(x))]
    display = HiddenStateDisplay.from_estimator(fitted, x, symbols=symbols)
    assert tick_labels(display.ax_.xaxis) == symbols
    assert display.ax_.get_xticks().tolist() == list(range(len(x)))
    assert display.symbols == symbols


@pytest.mark.parametrize("n_symbols", [2, 50])
def test_a_wrong_number_of_symbols_is_an_error(data, fitted, n_symbols):
    x = data[0][0]
    message = f"has {n_symbols} symbols, but the network reads {len(x)} steps"
    with pytest.raises(ValueError, match=message):
        HiddenStateDisplay.from_estimator(fitted, x, symbols="a" * n_symbols)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "hold",
    [
        lambda x: x,
        lambda x: [x],
        lambda x: x[np.newaxis],
        lambda x: check_sequences([x]),
        lambda x: pd.DataFrame(x),
    ],
    ids=["array", "list of one", "3-D", "SequenceArray", "frame"],
)
def test_one_sequence_is_read_in_every_form(data, fitted, hold):
    x = data[0][0]
    display = HiddenStateDisplay.from_estimator(fitted, hold(x))
    assert_shows(display, fitted.hidden_states([x])[0])


@pytest.mark.thorough
@pytest.mark.parametrize("hold", [np.array, list, pd.Series])
def test_one_feature_a_step_needs_no_second_dimension(hold):
    X = np.random.default_rng(0).normal(size=(20, 6))
    model = regressor().fit(X, X[:, 0])
    display = HiddenStateDisplay.from_estimator(model, hold(X[0]))
    assert_shows(display, model.hidden_states(X[:1])[0])


@pytest.mark.thorough
def test_tokens_are_read():
    X = [[0, 1, 2], [2, 1]] * 5
    model = RNNClassifier(hidden_size=4, embedding_dim=2, max_epochs=1, random_state=0)
    model.fit(X, [0, 1] * 5)
    for x in (X[0], [X[0]]):
        display = HiddenStateDisplay.from_estimator(model, x, symbols="abc")
        assert_shows(display, model.hidden_states(X[:1])[0])


def test_both_directions_are_drawn(data):
    X, y = data
    model = regressor(bidirectional=True).fit(X, y)
    display = HiddenStateDisplay.from_estimator(model, X[0], order=None)
    assert display.image_.get_array().shape == (10, len(X[0]))


def test_more_than_one_sequence_is_an_error(data, fitted):
    with pytest.raises(ValueError, match=r"x holds 2 sequences.*pass x\[0\]"):
        HiddenStateDisplay.from_estimator(fitted, data[0][:2])
    with pytest.raises(ValueError, match="x holds 3 sequences"):
        HiddenStateDisplay.from_estimator(fitted, np.zeros((3, 4, 2)))
    with pytest.raises(ValueError, match="x holds 2 sequences"):  # a list of lists is
        HiddenStateDisplay.from_estimator(fitted, [[0.1, 0.2], [0.3, 0.4]])


@pytest.mark.parametrize("search", [False, True], ids=["pipeline", "search"])
def test_the_sequence_goes_through_the_steps_before_the_network(data, search):
    X, y = data
    X = [5 + 3 * x for x in X]  # so that a step left out shows
    model = make_pipeline(SequenceScaler(), regressor(standardize=False))
    if search:
        model = GridSearchCV(model, {"rnnregressor__hidden_size": [3]}, cv=2)
    model.fit(X, y)
    display = HiddenStateDisplay.from_estimator(model, X[0])
    scaler, network = getattr(model, "best_estimator_", model)
    assert_shows(display, network.hidden_states(scaler.transform(X[:1]))[0])


def test_of_a_table_the_window_of_the_last_prediction_is_drawn():
    hours = pd.date_range("2024-01-01", periods=60, freq="h")
    values = np.random.default_rng(0).normal(3, 2, size=(60, 2))
    table = pd.DataFrame(values, index=hours, columns=["a", "b"])
    model = make_pipeline(
        StandardScaler().set_output(transform="pandas"),
        SequenceWindower(8),
        regressor(standardize=False),
    )
    model.fit(table[:40], table["a"][:40])
    # Five new rows follow the training data, whose last rows lead up to them.
    display = HiddenStateDisplay.from_estimator(model, table[40:45])
    windows = model[:-1].transform(table[40:45])
    assert_shows(display, model[-1].hidden_states(windows[-1:])[0])
    assert display.image_.get_array().shape == (5, 8)


def test_a_sequence_in_a_list_is_no_table():
    table = np.random.default_rng(0).normal(size=(30, 2))
    model = make_pipeline(SequenceWindower(8), regressor()).fit(table, table[:, 0])
    display = HiddenStateDisplay.from_estimator(model, [table[:12]])
    assert_shows(display, model[-1].hidden_states([table[4:12]])[0])


@pytest.mark.thorough
def test_many_units_have_labels_that_do_not_run_into_each_other():
    states = np.random.default_rng(0).normal(size=(30, 200))
    display = HiddenStateDisplay(states=states).plot()
    display.figure_.draw_without_rendering()
    labels = display.ax_.get_yticklabels()
    boxes = [label.get_window_extent() for label in labels]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    shown = [int(label.get_text()) for label in labels]
    rows = display.ax_.get_yticks().astype(int)
    assert shown == display.units_[rows].tolist()
    assert 1 < len(shown) < 200


def test_it_draws_in_given_axes_with_given_colours():
    _, (ax, other) = plt.subplots(2)
    display = HiddenStateDisplay(states=STATES).plot(ax=ax, vmin=-1, vmax=1, cmap="bwr")
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.image_.get_clim() == (-1, 1)
    assert display.image_.get_cmap().name == "bwr"
    assert not other.images


def test_a_memory_can_be_seen():
    # The label of a step is whether the mark, 1 among noise, has come by.
    rng = np.random.default_rng(0)
    X = np.zeros((150, 12, 2))
    X[:, :, 0] = rng.normal(size=(150, 12))
    marks = rng.integers(2, 10, size=150)
    X[np.arange(150), marks, 1] = 1
    y = (np.arange(12) >= marks[:, None]).astype(int)
    model = RNNTagger(
        "lstm",
        hidden_size=6,
        input_dropout=0.0,
        learning_rate=0.02,
        max_epochs=20,
        random_state=0,
    )
    model.fit(X, y)
    x = X[0]
    image = HiddenStateDisplay.from_estimator(model, x).image_.get_array()
    before, after = image[:, 1 : marks[0]], image[:, marks[0] :]
    # The states of some unit before the mark and from it on lie apart.
    rise = after.min(axis=1) - before.max(axis=1)
    fall = before.min(axis=1) - after.max(axis=1)
    assert max(rise.max(), fall.max()) > 0.3


@pytest.mark.parametrize("wrap", [lambda m: m, make_pipeline], ids=["bare", "pipeline"])
def test_an_unfitted_estimator_is_an_error(data, wrap):
    with pytest.raises(NotFittedError):
        HiddenStateDisplay.from_estimator(wrap(regressor()), data[0][0])


def test_an_estimator_without_a_network_is_an_error():
    X = np.zeros((4, 2))
    with pytest.raises(TypeError, match="Ridge holds no recurrent network"):
        HiddenStateDisplay.from_estimator(Ridge().fit(X, X[:, 0]), X)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[plot\]"'):
        HiddenStateDisplay(states=STATES).plot()


def test_states_of_a_generator_are_those_after_each_symbol():
    writer = RNNGenerator(hidden_size=3, max_epochs=1, random_state=0).fit(["ab", "b"])
    display = HiddenStateDisplay.from_estimator(writer, "ab", symbols="ab")
    assert display.image_.get_array().shape == (3, 2)
    longer = writer.hidden_states(["abb"])[0]
    np.testing.assert_allclose(writer.hidden_states(["ab"])[0], longer[:2], atol=1e-6)


def test_what_has_no_states_to_show_is_refused_by_name():
    model = RNNSeq2Seq(hidden_size=2, max_epochs=1).fit(["a", "b"], ["b", "a"])
    with pytest.raises(TypeError, match=r"RNNSeq2Seq has no hidden_states\(\)"):
        HiddenStateDisplay.from_estimator(model, "ab")
