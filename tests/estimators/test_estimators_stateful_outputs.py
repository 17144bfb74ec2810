"""StatefulPredictor: quantiles, samples, plain arrays, and missing steps."""

import pickle

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import RNNClassifier, RNNRegressor, RNNTagger, StatefulPredictor
from sklearn_rnn.persistence import load_model, save_model

SMALL = {"hidden_size": 4, "max_epochs": 2, "learning_rate": 0.1, "random_state": 0}


def make_data():
    X = np.random.default_rng(1).normal(size=(45, 9, 2))
    return X, X[:, :, 0].cumsum(axis=1)


def forecaster(**options):
    """Return a fitted forecaster of feature 0, and sequences."""
    X, _ = make_data()
    options = {"target_feature": 0, "subtract_last": False, **SMALL, **options}
    y = pd.DataFrame({"a+2": X[:, -1, 1], "a+1": X[:, -1, 0]})
    return RNNRegressor(**options).fit(X[:, :-1], y), X


# Distributions.


@pytest.mark.parametrize("loss", ["quantile", "gaussian"])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_quantiles_are_those_of_all_steps_so_far(loss, return_sequences):
    X, Y = make_data()
    model = RNNRegressor(loss=loss, return_sequences=return_sequences, **SMALL)
    model.fit(X, Y if return_sequences else Y[:, -1])
    live = StatefulPredictor(model)
    live.predict(X[:3, :4])
    found = live.predict_quantiles(X[:3, 4:])
    expected = model.predict_quantiles(X[:3])
    if return_sequences:
        expected = expected[:, 4:]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    live.reset()
    np.testing.assert_allclose(
        live.predict_quantiles(X[:3], [0.5])[..., 0],
        model.predict_quantiles(X[:3], [0.5])[..., 0],
        rtol=1e-5,
        atol=1e-6,
    )


def test_samples_are_those_of_all_steps_so_far():
    X, Y = make_data()
    model = RNNRegressor(loss="gaussian", **SMALL).fit(X, Y[:, -1])
    live = StatefulPredictor(model)
    live.predict(X[:3, :4])
    found = live.sample(X[:3, 4:], 5, random_state=0)
    expected = model.sample(X[:3], 5, random_state=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_wrong_quantile_is_refused_and_costs_nothing():
    X, Y = make_data()
    live = StatefulPredictor(RNNRegressor(loss="quantile", **SMALL).fit(X, Y[:, -1]))
    with pytest.raises(ValueError, match="quantile"):
        live.predict_quantiles(X[:3], [0.3])
    with pytest.raises(ValueError, match="no distribution"):
        live.sample(X[:3])
    assert live.n_steps_ is None


def test_a_classifier_has_no_quantiles():
    X, Y = make_data()
    model = RNNClassifier(convolutions=None, **SMALL).fit(X, Y[:, -1] > 0)
    assert not hasattr(StatefulPredictor(model), "predict_quantiles")
    assert not hasattr(StatefulPredictor(model), "sample")


# Arrays.


@pytest.mark.parametrize("estimator", [RNNRegressor, RNNTagger])
def test_streams_of_equal_pace_give_a_plain_array_after_a_fit_on_lists(estimator):
    X, Y = make_data()
    options = {"return_sequences": True} if estimator is RNNRegressor else {}
    Y = Y if estimator is RNNRegressor else np.where(Y > 0, "up", "down")
    model = estimator(**SMALL, **options).fit(list(X), list(Y))
    live = StatefulPredictor(model)
    one = live.predict(X[0, 0])
    assert one.shape == (1, 1)
    assert one.dtype == Y.dtype
    several = live.reset().predict(X[:3, :4])
    assert several.shape == (3, 4)
    unequal = live.predict([X[0, :1], X[1, :2], X[2, :1]])
    assert [len(own) for own in unequal] == [1, 2, 1]


# Missing steps.


def test_missing_last_repeats_the_last_value_of_the_stream():
    X, Y = make_data()
    model = RNNRegressor(**SMALL).fit(X, Y[:, -1])
    holes, filled = X[:2].copy(), X[:2].copy()
    holes[0, 3], filled[0, 3] = np.nan, filled[0, 2]  # across calls
    holes[1, 5:7, 1], filled[1, 5:7, 1] = np.nan, filled[1, 4, 1]
    live, whole = StatefulPredictor(model, missing="last"), StatefulPredictor(model)
    for piece in (slice(0, 3), slice(3, 9)):
        np.testing.assert_array_equal(
            live.predict(holes[:, piece]), whole.predict(filled[:, piece])
        )
    assert live.n_steps_.tolist() == [9, 9]


def test_missing_forecast_continues_with_what_was_forecast():
    model, X = forecaster()
    live, whole = StatefulPredictor(model, missing="forecast"), StatefulPredictor(model)
    ahead = live.predict(X[:2, :4])
    whole.predict(X[:2, :4])
    step = X[:2, 4:5].copy()
    step[1] = np.nan  # feature 0 is forecast by the second output, feature 1 by none
    filled = step.copy()
    filled[1, 0] = [ahead[1, 1], X[1, 3, 1]]
    np.testing.assert_allclose(live.predict(step), whole.predict(filled), rtol=1e-12)


def test_missing_forecast_of_every_step_takes_the_first_output():
    X, _ = make_data()
    model = RNNRegressor(return_sequences=True, target_feature=0, **SMALL)
    model.fit(X[:, :-1], X[:, 1:, 0])
    live, whole = StatefulPredictor(model, missing="forecast"), StatefulPredictor(model)
    ahead = live.predict(X[:1, :4])[0, -1]
    whole.predict(X[:1, :4])
    found = live.predict([np.nan, 0.5])
    np.testing.assert_allclose(found, whole.predict([ahead, 0.5]), rtol=1e-12)


def test_missing_forecast_does_not_guess_how_far_ahead_an_output_is():
    X, Y = make_data()
    options = {"target_feature": 0, "subtract_last": False}
    model = RNNRegressor(**options, **SMALL).fit(X, Y[:, -1])
    with pytest.raises(ValueError, match="had no names that tell"):
        StatefulPredictor(model, missing="forecast")


def test_a_frame_of_one_stream_may_have_missing_values():
    X, Y = make_data()
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in X]
    model = RNNRegressor(**SMALL).fit(frames, Y[:, -1])
    holes = frames[0].copy()
    holes.loc[3, "a"] = np.nan
    found = StatefulPredictor(model, missing="last").predict(holes)
    np.testing.assert_allclose(found, model.predict([holes.ffill()]))


@pytest.mark.parametrize("copied", [pickle, "file"])
def test_a_copy_fills_like_its_original(copied, tmp_path):
    model, X = forecaster()
    live = StatefulPredictor(model, missing="forecast")
    live.predict(X[:1, :4])
    if copied is pickle:
        copy = pickle.loads(pickle.dumps(live))
    else:
        save_model(live, tmp_path / "live.rnn")
        copy = load_model(tmp_path / "live.rnn")
    missing = [np.nan, np.nan]
    np.testing.assert_array_equal(copy.predict(missing), live.predict(missing))


def test_reset_forgets_values_that_fill():
    model, X = forecaster()
    live = StatefulPredictor(model, missing="forecast")
    live.predict(X[:1, :4])
    with pytest.raises(ValueError, match="begin with a complete step"):
        live.reset().predict([np.nan, 1.0])


def test_what_cannot_be_filled_is_refused_with_the_remedy():
    model, X = forecaster()
    holes = X[:1].copy()
    holes[0, 3, 0] = np.nan
    with pytest.raises(ValueError, match="step 3 of stream 0 has no value of feature"):
        StatefulPredictor(model).predict(holes)
    with pytest.raises(ValueError, match="one at a time"):
        live = StatefulPredictor(model, missing="forecast")
        live.predict(X[:1])
        live.predict(holes)
    with pytest.raises(ValueError, match="missing must be 'last', 'forecast' or None"):
        StatefulPredictor(model, missing="mean")


def test_missing_forecast_needs_forecasts_one_step_ahead():
    X, Y = make_data()
    with pytest.raises(ValueError, match="forecasts none of its inputs"):
        model = RNNRegressor(target_feature=None, **SMALL).fit(X, Y[:, -1])
        StatefulPredictor(model, missing="forecast")
    with pytest.raises(ValueError, match=r"forecasts \[2\] steps ahead"):
        model = RNNRegressor(target_feature=0, subtract_last=False, **SMALL)
        model.fit(X, pd.DataFrame({"a+2": Y[:, -1]}))
        StatefulPredictor(model, missing="forecast")
