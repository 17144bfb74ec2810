"""Records of training: how they are numbered, and how many are kept of a stream."""

import copy
import pickle

import numpy as np
import pytest

from sklearn_rnn import LossCurveDisplay, RNNClassifier, RNNRegressor, RNNTagger
from sklearn_rnn.estimators import _fit

X = np.random.default_rng(0).normal(size=(4, 3, 1))
Y = X[:, :, 0].sum(axis=1)
N_KEPT = 6
SMALL = {"hidden_size": 2, "batch_size": 4, "random_state": 0}


@pytest.fixture(autouse=True, scope="module")
def few_records():
    """Bound streams sooner than after 1000 calls, which take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_fit, "STREAM_RECORDS", N_KEPT)
        yield


def stream(model, n_calls, data=(X, Y)):
    for _ in range(n_calls):
        model.partial_fit(*data)
    return model


@pytest.fixture(scope="module")
def streamed():
    """Return a model fitted for three epochs, and then with a long stream."""
    model = RNNRegressor(max_epochs=3, **SMALL).fit(X, Y)
    return stream(model, N_KEPT + 20)


def test_a_long_stream_keeps_the_epochs_of_fit_and_its_last_records(streamed):
    epochs = [row["epoch"] for row in streamed.history_]
    assert epochs == [1, 2, 3, *range(24, N_KEPT + 24)]
    assert streamed.loss_curve_ == [row["train_loss"] for row in streamed.history_]


def test_epochs_are_counted_on(streamed):
    assert streamed.n_iter_ == streamed.best_epoch_ == N_KEPT + 23
    assert streamed.net_.history[-1]["epoch"] == N_KEPT + 23


def test_the_nets_own_history_is_bounded_too(streamed):
    assert len(streamed.net_.history) == N_KEPT + 3


def test_a_pickle_of_a_stream_does_not_grow(streamed):
    model = copy.deepcopy(streamed)
    size = len(pickle.dumps(model))
    assert abs(len(pickle.dumps(stream(model, 10))) - size) < 100


def test_a_copy_of_a_stream_goes_on_counting(streamed):
    model = stream(pickle.loads(pickle.dumps(streamed)), 2)
    assert model.n_iter_ == streamed.n_iter_ + 2
    assert [row["epoch"] for row in model.history_][2:5] == [3, 26, 27]


def test_the_losses_of_a_stream_are_drawn_by_their_epochs(streamed):
    pytest.importorskip("matplotlib").use("Agg")
    display = LossCurveDisplay.from_estimator(streamed)
    assert display.epochs[-1] == streamed.n_iter_
    assert len(display.epochs) == len(display.train_loss) == N_KEPT + 3


def test_a_later_fit_keeps_all_of_its_epochs(streamed):
    model = copy.deepcopy(streamed).set_params(warm_start=True, max_epochs=5)
    model.fit(X, Y)
    assert [row["epoch"] for row in model.history_[-6:]] == [
        *range(N_KEPT + 23, N_KEPT + 29)
    ]
    assert len(model.history_) == N_KEPT + 8
    assert model.n_iter_ == N_KEPT + 28
    assert model.set_params(warm_start=False).fit(X, Y).n_iter_ == 5
    assert len(model.history_) == 5


def test_the_best_epoch_is_that_of_its_number_after_a_stream(streamed):
    model = copy.deepcopy(streamed).set_params(
        warm_start=True, max_epochs=4, early_stopping=True
    )
    model.fit(np.tile(X, (5, 1, 1)), np.tile(Y, 5))
    best = min(model.history_[-4:], key=lambda row: row["valid_loss"])
    assert model.best_epoch_ == best["epoch"]
    assert model.best_validation_score_ == best["valid_score"]


@pytest.mark.parametrize(
    ("model", "targets"),
    [(RNNClassifier(), [0, 1, 0, 1]), (RNNTagger(), X[:, :, 0] > 0)],
)
def test_every_estimator_of_streams_bounds_its_records(model, targets):
    model.set_params(**SMALL)
    for _ in range(N_KEPT + 1):
        model.partial_fit(X, targets)
    assert len(model.history_) == len(model.loss_curve_) == N_KEPT
    assert model.n_iter_ == N_KEPT + 1
