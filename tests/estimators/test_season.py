"""Forecasts that start from the value of a season ago."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNRegressor,
    SequenceWindower,
    StatefulPredictor,
    forecast,
    make_forecast_frame,
)

DAYS = pd.date_range("2024-01-01", periods=140, freq="D")
UNTRAINED = {
    "linear_skip": False,
    "cell": "gru",
    "hidden_size": 2,
    "learning_rate": 1e-9,
    "max_epochs": 1,
    "random_state": 0,
}


def make_table(noise=0.0):
    rng = np.random.default_rng(0)
    week = np.array([1.0, 5.0, 2.0, 8.0, 3.0, 9.0, 4.0])
    sales = np.tile(week, 20) + noise * rng.normal(size=140)
    return pd.DataFrame({"sales": sales}, index=DAYS)


def fit(table, horizon, n_steps=14, **parameters):
    X, Y = make_forecast_frame(table, "sales", horizon)
    regressor = RNNRegressor(**{**UNTRAINED, **parameters})
    return make_pipeline(SequenceWindower(n_steps), regressor).fit(X, Y)


@pytest.mark.parametrize("horizon", [[1, 6, 7, 8, 13, 14], 3, [20]])
def test_an_untrained_network_repeats_the_last_season(horizon):
    table = make_table(noise=0.5)
    model = fit(table, horizon, season=7, subtract_last=True)
    found = forecast(model, table)
    back = 7 * np.ceil(found["horizon"] / 7).astype(int) - found["horizon"]
    expected = table["sales"].to_numpy()[-1 - back]
    # A slope of 1, but for the mean change from season to season.
    np.testing.assert_allclose(found["prediction"], expected, atol=0.2)
    plain = forecast(fit(table, horizon, subtract_last=True), table)
    assert np.abs(plain["prediction"] - expected).max() > 1


def test_outputs_without_names_are_one_step_further_each():
    table = make_table()
    X, Y = make_forecast_frame(table, "sales", 3)
    windows = SequenceWindower(14).fit_transform(X)[20:]
    regressor = RNNRegressor(season=7, target_feature=0, **UNTRAINED)
    regressor.fit(windows, Y.to_numpy()[20:])
    expected = Y.to_numpy()[20:]
    np.testing.assert_allclose(regressor.predict(windows), expected, atol=0.01)


def test_short_windows_start_from_their_last_value():
    table = make_table(noise=0.5)
    model = fit(table, 1, season=7, subtract_last=True)
    short = SequenceWindower(6, history=None).fit_transform(table[-20:])[-1:]
    last = table["sales"].iloc[-1]
    assert model[-1].predict(short)[0] == pytest.approx(last, abs=0.2)


def test_a_season_helps_a_network_that_is_short_of_training():
    table = make_table(noise=0.3)
    quick = {"learning_rate": 2e-3, "max_epochs": 2, "hidden_size": 8}
    truth = np.tile(make_table()["sales"].to_numpy()[:7], 2)[:7]
    errors = [
        np.abs(
            forecast(fit(table, 7, season=season, **quick), table)["prediction"] - truth
        )
        for season in (7, None)
    ]
    assert errors[0].mean() < 0.5 * errors[1].mean()


def test_the_default_parts_take_a_season_too():
    table = make_table(noise=0.3)
    X, Y = make_forecast_frame(table, "sales", [1, 7])
    windows = SequenceWindower(10).fit_transform(X)
    regressor = RNNRegressor(season=7, max_epochs=1, random_state=0).fit(windows, Y)
    assert np.isfinite(regressor.validation_errors_.to_numpy()).all()
    again = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(again.predict(windows), regressor.predict(windows))


def test_what_has_no_season_is_refused():
    table = make_table()
    with pytest.raises(ValueError, match="longest sequence has 5 steps"):
        fit(table, 1, n_steps=5, season=7)
    with pytest.raises(ValueError, match="season=7 needs the target's own past"):
        fit(table, 1, season=7, target_feature=None)
    X = table.to_numpy().reshape(10, 14, 1)
    steps = RNNRegressor(season=7, return_sequences=True, target_feature=0)
    with pytest.raises(ValueError, match="return_sequences"):
        steps.fit(X, X[:, :, 0])
    with pytest.raises(ValueError, match="season"):
        fit(table, 1, season=0)


def test_a_season_cannot_change_while_training_goes_on():
    windows = SequenceWindower(14).fit_transform(make_table())[20:]
    y = np.arange(len(windows), dtype=float)
    regressor = RNNRegressor(season=7, target_feature=0, warm_start=True, **UNTRAINED)
    regressor.fit(windows, y)
    with pytest.raises(ValueError, match="season=3"):
        regressor.set_params(season=3).fit(windows, y)


def test_a_live_signal_has_no_season():
    model = fit(make_table(), 1, season=7)
    with pytest.raises(ValueError, match="season=None"):
        StatefulPredictor(model[-1]).predict(np.zeros((1, 1)))
