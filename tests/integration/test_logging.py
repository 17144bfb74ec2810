"""The package logs to the logger "sklearn_rnn", and is quiet without a handler."""

import logging
import pickle

import numpy as np
import pytest

from sklearn_rnn import RNNClassifier, RNNGenerator, RNNRegressor
from sklearn_rnn.kernels import _library, library, library_error

X = np.random.RandomState(0).normal(size=(40, 3, 1))
Y = X[:, 0, 0]
SMALL = {"hidden_size": 2, "max_epochs": 2, "random_state": 0, "n_threads": 1}


def messages(caplog, level):
    return [r.getMessage() for r in caplog.records if r.levelno == level]


def test_every_epoch_is_logged_at_info(caplog):
    caplog.set_level(logging.INFO, logger="sklearn_rnn")
    model = RNNRegressor(**SMALL).fit(X, Y, X_val=X, y_val=Y)
    found = messages(caplog, logging.INFO)
    assert {record.name for record in caplog.records} == {"sklearn_rnn"}
    # Networks that are trained for a comparison alone are not among them.
    starts = [text.split(":")[0] for text in found]
    assert starts == ["RNNRegressor epoch 1", "RNNRegressor epoch 2"]
    last = model.history_[-1]
    assert (
        f"loss {last['train_loss']:.4g}, val_loss {last['valid_loss']:.4g}" in found[1]
    )


def test_calls_of_partial_fit_are_logged(caplog):
    caplog.set_level(logging.INFO, logger="sklearn_rnn")
    model = RNNClassifier(**SMALL)
    for _ in range(2):
        model.partial_fit(X, Y > 0, classes=[False, True])
    starts = [text.split(":")[0] for text in messages(caplog, logging.INFO)]
    assert starts == ["RNNClassifier epoch 1", "RNNClassifier epoch 2"]


def test_nothing_is_logged_or_printed_by_default(capfd):
    assert logging.getLogger("sklearn_rnn").level == logging.NOTSET
    RNNGenerator(**SMALL, embedding_dim=2).fit(["abab", "ba"] * 20)
    logging.getLogger("sklearn_rnn").warning("no handler prints this")
    assert capfd.readouterr() == ("", "")


def test_a_handler_changes_no_result(caplog):
    quiet = RNNRegressor(**SMALL).fit(X, Y)
    caplog.set_level(logging.DEBUG, logger="sklearn_rnn")
    logged = RNNRegressor(**SMALL).fit(X, Y)
    np.testing.assert_array_equal(logged.predict(X), quiet.predict(X))
    assert logged.loss_curve_ == quiet.loss_curve_


@pytest.fixture
def no_library(monkeypatch):
    """Let the kernels be loaded again, from a file that does not exist."""
    cached = library, library_error
    with monkeypatch.context() as patch:
        patch.setattr(_library, "_loaded", None)
        patch.setenv("SKLEARN_RNN_LIBRARY", "/no/such/library")
        for function in cached:
            function.cache_clear()
        yield
    for function in cached:
        function.cache_clear()


def test_missing_kernels_are_logged_once_at_warning(caplog, no_library):
    with pytest.warns(RuntimeWarning, match="does not exist"):
        RNNRegressor(**SMALL).fit(X, Y)
    RNNRegressor(**SMALL).fit(X, Y)
    (text,) = messages(caplog, logging.WARNING)
    assert text.startswith("no compiled kernels, torch computes: SKLEARN_RNN_LIBRARY")


def test_a_loaded_model_logs_what_it_cannot_use(caplog):
    model = RNNRegressor(**SMALL).fit(X, Y).set_params(device="cuda:99")
    pickle.loads(pickle.dumps(model))
    (text,) = messages(caplog, logging.WARNING)
    assert text.startswith("a loaded model computes on the CPU: device='cuda:99'")
    caplog.clear()
    pickle.loads(pickle.dumps(model.set_params(device="cpu", optimizer="sgd")))
    (text,) = messages(caplog, logging.WARNING)
    assert text.startswith("RNNRegressor was loaded without the state of its optimizer")
