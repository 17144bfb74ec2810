import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, StackingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from sklearn_rnn import (
    ForecastDisplay,
    InvalidSequenceError,
    RNNRegressor,
    SequenceFlattener,
    SequenceScaler,
    SequenceWindower,
    backtest,
    forecast,
    make_forecast_frame,
)

RAGGED = [
    np.array([[1.0, 10.0], [2.0, 20.0]]),
    np.array([[3.0, 30.0], [4.0, 40.0], [5.0, 50.0]]),
]
DAYS = pd.date_range("2024-01-01", periods=60, freq="D")
SALES = pd.DataFrame(
    {"sales": np.arange(60.0), "plan": np.arange(60.0) % 7}, index=DAYS
)


def ridge(n_steps=4):
    return make_pipeline(SequenceWindower(n_steps), SequenceFlattener(), Ridge(1e-6))


def test_check_estimator_passes_without_exception():
    check_estimator(SequenceFlattener(), on_skip=None)


def test_rows_run_from_the_oldest_step_to_the_last():
    X = np.random.RandomState(0).randn(7, 5, 3)
    rows = SequenceFlattener().fit_transform(X)
    np.testing.assert_array_equal(rows, X.reshape(7, 15))


def test_shorter_sequences_repeat_their_first_step():
    rows = SequenceFlattener().fit_transform(RAGGED)
    assert rows.tolist() == [[1, 10, 1, 10, 2, 20], [3, 30, 4, 40, 5, 50]]


@pytest.mark.parametrize(("fill", "value"), [("nan", np.nan), (-1, -1), (0.5, 0.5)])
def test_fill_is_the_value_of_lags_that_are_not_there(fill, value):
    rows = SequenceFlattener(fill=fill).fit_transform(RAGGED)
    expected = [[value, value, 1, 10, 2, 20], [3, 30, 4, 40, 5, 50]]
    np.testing.assert_array_equal(rows, expected)


def test_integers_are_filled_with_fractions():
    rows = SequenceFlattener(fill=0.5).fit_transform([np.array([1]), np.array([2, 3])])
    assert rows.tolist() == [[0.5, 1], [2, 3]]


def test_n_steps_keeps_the_last_steps():
    rows = SequenceFlattener(n_steps=2).fit_transform(RAGGED)
    assert rows.tolist() == [[1, 10, 2, 20], [4, 40, 5, 50]]
    assert SequenceFlattener(n_steps=4).fit_transform(RAGGED).shape == (2, 8)


def test_transform_keeps_the_number_of_steps_of_fit():
    flattener = SequenceFlattener().fit(RAGGED)
    assert flattener.n_steps_ == 3
    assert flattener.transform(RAGGED[:1]).shape == (1, 6)
    longer = [np.arange(10.0).reshape(5, 2)]
    assert flattener.transform(longer).tolist() == [[4, 5, 6, 7, 8, 9]]


def test_columns_are_named_by_feature_and_lag():
    lags = make_pipeline(SequenceWindower(3), SequenceFlattener())
    lags.set_output(transform="pandas")
    found = lags.fit_transform(SALES)
    names = ["sales-2", "plan-2", "sales-1", "plan-1", "sales-0", "plan-0"]
    assert found.columns.tolist() == names
    assert found["sales-0"].tolist() == SALES["sales"].tolist()
    shifted = SALES["plan"].shift(2).iloc[2:]
    assert found["plan-2"].iloc[2:].tolist() == shifted.tolist()


def test_sequences_without_names_are_counted():
    flattener = SequenceFlattener(n_steps=2).fit(RAGGED)
    names = ["x0-1", "x1-1", "x0-0", "x1-0"]
    assert flattener.get_feature_names_out().tolist() == names
    given = flattener.get_feature_names_out(["a", "b"]).tolist()
    assert given == ["a-1", "b-1", "a-0", "b-0"]
    flattener = SequenceFlattener().fit(np.zeros((4, 3)))
    assert flattener.get_feature_names_out().tolist() == ["x-2", "x-1", "x-0"]


def test_windows_are_flattened_alike_in_blocks(monkeypatch):
    windows = SequenceWindower(5).fit_transform(SALES)
    whole = SequenceFlattener(fill="nan").fit_transform(windows)
    monkeypatch.setattr("sklearn_rnn.preprocessing._flattener.BLOCK_VALUES", 30)
    in_blocks = SequenceFlattener(fill="nan").fit_transform(windows)
    np.testing.assert_array_equal(in_blocks, whole)


def test_memory_is_that_of_the_result():
    windows = SequenceWindower(48).fit_transform(np.zeros((40_000, 1)))
    flattener = SequenceFlattener().fit(windows)
    tracemalloc.start()
    rows = flattener.transform(windows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * rows.nbytes


def test_scaled_windows_are_read_scaled():
    windows = SequenceScaler().fit_transform(SequenceWindower(4).fit_transform(SALES))
    rows = SequenceFlattener().fit_transform(windows)
    np.testing.assert_array_equal(rows[7], windows[7].ravel())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_float32_stays_and_all_else_is_float64(dtype):
    rows = SequenceFlattener().fit_transform([x.astype(dtype) for x in RAGGED])
    assert rows.dtype == (np.float32 if dtype is np.float32 else np.float64)


def test_other_features_than_in_fit_are_refused():
    flattener = SequenceFlattener().fit(RAGGED)
    message = "X has 3 features, but SequenceFlattener is expecting 2"
    with pytest.raises(ValueError, match=message):
        flattener.transform(np.zeros((2, 4, 3)))


@pytest.mark.parametrize("params", [{"n_steps": 0}, {"fill": "last"}, {"fill": None}])
def test_impossible_parameters_are_refused(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        SequenceFlattener(**params).fit(RAGGED)


def test_nan_inside_a_sequence_is_refused_by_place():
    X = np.zeros((2, 4, 1))
    X[1, 2] = np.nan
    with pytest.raises(InvalidSequenceError, match="sequence 1, step 2"):
        SequenceFlattener().fit(X)


def test_copies_flatten_alike():
    flattener = SequenceFlattener(n_steps=2, fill=0).fit(RAGGED)
    again = pickle.loads(pickle.dumps(flattener))
    np.testing.assert_array_equal(again.transform(RAGGED), flattener.transform(RAGGED))
    unfitted = clone(flattener)
    assert unfitted.get_params() == {"n_steps": 2, "fill": 0}
    assert not hasattr(unfitted, "n_steps_")


# In pipelines without a recurrent network.


def test_ridge_on_lags_goes_through_a_backtest():
    frame = backtest(ridge(), SALES, "sales", horizon=[1, 3], cv=3)
    np.testing.assert_allclose(frame["prediction"], frame["truth"], atol=1e-3)


def test_ridge_on_lags_forecasts_what_it_was_fitted_on():
    X, Y = make_forecast_frame(SALES, "sales", horizon=[1, 3])
    frame = forecast(ridge().fit(X, Y), SALES)
    assert frame.index.tolist() == [DAYS[-1] + pd.Timedelta(days=k) for k in (1, 3)]
    np.testing.assert_allclose(frame["prediction"], [60, 62], atol=1e-3)
    explicit = forecast(ridge().fit(X, Y), SALES, target="sales", horizon=[1, 3])
    pd.testing.assert_frame_equal(frame, explicit)


def test_a_search_over_ridge_on_lags_forecasts():
    X, Y = make_forecast_frame(SALES, "sales", horizon=2)
    grid = {
        "sequencewindower__n_steps": [2, 5],
        "sequenceflattener__n_steps": [None, 1],
        "ridge__alpha": [1e-6, 1e6],
    }
    search = GridSearchCV(ridge(), grid, cv=TimeSeriesSplit(2, gap=1)).fit(X, Y)
    assert search.best_params_["ridge__alpha"] == 1e-6
    frame = forecast(search, SALES)
    np.testing.assert_allclose(frame["prediction"], [60, 61], rtol=0.1)
    display = ForecastDisplay.from_estimator(search, SALES)
    assert len(display.forecasts) == 2


def test_ridge_on_lags_stacks_with_a_network():
    X, Y = make_forecast_frame(SALES, "sales", horizon=1)
    network = make_pipeline(
        SequenceWindower(4),
        RNNRegressor(hidden_size=3, max_epochs=2, random_state=0),
    )
    parts = [("ridge", ridge()), ("network", network)]
    model = StackingRegressor(parts, LinearRegression(), cv=3)
    model.fit(X, Y["sales+1"])
    assert model.score(X, Y["sales+1"]) > 0.9


def test_boosted_trees_take_lags_that_are_missing():
    X, Y = make_forecast_frame(SALES, "sales", horizon=1)
    model = make_pipeline(
        SequenceWindower(4),
        SequenceFlattener(fill="nan"),
        HistGradientBoostingRegressor(max_iter=20),
    )
    model.fit(X, Y["sales+1"])
    assert model.score(X, Y["sales+1"]) > 0.5


def test_forecasts_need_target_and_horizon_where_y_had_no_names():
    X, Y = make_forecast_frame(SALES, "sales", horizon=2)
    model = ridge().fit(X, Y.to_numpy())
    with pytest.raises(ValueError, match="pass target= and horizon="):
        forecast(model, SALES)
    frame = forecast(model, SALES, target="sales", horizon=2)
    np.testing.assert_allclose(frame["prediction"], [60, 61], atol=1e-3)
