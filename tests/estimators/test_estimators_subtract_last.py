import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNRegressor,
    SequenceArray,
    SequenceWindower,
    StatefulPredictor,
    make_forecast_frame,
)


def model(**params):
    params = {"target_feature": 0, "hidden_size": 8, "random_state": 0, **params}
    return RNNRegressor(subtract_last=True, scale_windows=False, **params)


def levels(n=60, n_steps=6):
    """Return sequences at many levels, and their next value."""
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(n, n_steps + 1)).cumsum(axis=1)
    walks += rng.normal(size=(n, 1)) * 20
    return walks[:, :-1], walks[:, -1]


def test_features_are_gathered_relative_to_each_sequences_own_end():
    values = np.array([[1.0, 5.0], [2.0, 6.0], [4.0, 8.0], [9.0, 9.0]])
    X = SequenceArray(values, starts=[0, 2], lengths=[3, 2])
    batch = X.difference(np.array([0])).gather(slice(None))
    assert batch[:, 0, 0].tolist() == [-3, -2, 0]
    assert batch[:2, 1, 0].tolist() == [-5, 0]
    np.testing.assert_array_equal(batch[:, :, 1], X.gather(slice(None))[:, :, 1])


def test_the_change_that_is_predicted_does_not_depend_on_the_level():
    X, y = levels()
    fitted = model(max_epochs=3, linear_skip=False).fit(X, y)
    for shift in (50.0, -400.0):
        np.testing.assert_allclose(
            fitted.predict(X + shift), fitted.predict(X) + shift, atol=1e-3
        )


@pytest.mark.thorough
def test_a_growing_series_is_followed_beyond_the_levels_of_training():
    steps = np.arange(400)
    series = 0.5 * steps + 10 * np.sin(2 * np.pi * steps / 12)
    table = pd.DataFrame({"sales": series})
    X, y = make_forecast_frame(table, "sales", horizon=[3])
    errors = {}
    for subtract in (False, True):
        rnn = RNNRegressor(
            hidden_size=16,
            target_feature="auto",
            subtract_last=subtract,
            linear_skip=False,
            random_state=0,
        )
        fitted = make_pipeline(SequenceWindower(24), rnn).fit(X[:200], y[:200])
        predictions = np.ravel(fitted.predict(X[200:]))
        errors[subtract] = np.abs(predictions - np.ravel(y[200:])).mean()
    assert errors[True] < 0.5 * errors[False]


def test_inputs_enter_with_the_spread_that_differences_have():
    X, y = levels()
    network = model(max_epochs=1).fit(X, y).module_
    differences = (X - X[:, -1:]).ravel()
    assert network.center.tolist() == [0.0]
    spread = np.sqrt(np.mean(differences**2))
    np.testing.assert_allclose(1 / network.factor.numpy(), [spread], rtol=1e-6)


def test_a_series_that_never_moves_is_predicted_to_stay():
    X = np.full((20, 5), 1e6)
    assert np.allclose(model(max_epochs=2).fit(X, X[:, 0]).predict(X), 1e6, rtol=1e-3)


@pytest.mark.thorough
@pytest.mark.parametrize("more", [{}, {"bptt_steps": 3}, {"early_stopping": True}])
def test_it_goes_with_truncation_early_stopping_and_pickles(more):
    X, y = levels()
    fitted = model(max_epochs=2, **more).fit(X, y)
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict(X + 7), fitted.predict(X + 7))
    assert fitted.score(X, y) > 0.9


def test_hidden_states_are_those_that_predictions_come_from():
    X, y = levels()
    fitted = model(max_epochs=1).fit(X, y)
    states = fitted.hidden_states(X[:2])
    shifted = fitted.hidden_states(X[:2] + 100.0)
    np.testing.assert_allclose(states[0], shifted[0], atol=1e-6)


def test_long_sequences_are_read_relative_to_their_own_end():
    X = np.random.default_rng(0).normal(size=(4, 1500)).cumsum(axis=1)
    fitted = model(max_epochs=1).fit(X, X[:, -1])
    np.testing.assert_allclose(
        fitted.predict(X + 30), fitted.predict(X) + 30, atol=1e-5
    )


def test_what_does_not_go_with_it_is_refused():
    X, y = levels()
    with pytest.raises(ValueError, match="needs target_feature"):
        model(target_feature=None).fit(X, y)
    with pytest.raises(ValueError, match="return_sequences=True"):
        model(return_sequences=True).fit(X, X)
    fitted = model(max_epochs=1, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="relative to their last"):
        StatefulPredictor(fitted)
    with pytest.raises(ValueError, match="subtract_last=False is not what"):
        fitted.set_params(subtract_last=False).fit(X, y)
