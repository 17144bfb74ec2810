"""backtest beyond the horizon of a model, and the calibration of such forecasts."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    ConformalCalibrator,
    InvalidSequenceError,
    RNNRegressor,
    SequenceFlattener,
    SequenceWindower,
    backtest,
    forecast,
    make_forecast_frame,
    score_forecasts,
)

DAYS = pd.date_range("2024-01-01", periods=80, freq="D")
KEYS = {"time": "day", "group_by": "shop"}


def one_series():
    rng = np.random.default_rng(0)
    sales = 5 + np.sin(np.arange(80) / 2) + 0.2 * rng.normal(size=80)
    return pd.DataFrame({"sales": sales}, index=DAYS)


def panel():
    shops = [
        one_series()[k:].assign(
            shop=name, size=float(k), promo=(np.arange(80 - k) % 5 == 0) * 1.0
        )
        for k, name in enumerate("abc")
    ]
    table = pd.concat(shops).rename_axis("day").reset_index()
    # The newest series stands first at each time.
    return table.sort_values(["day", "shop"], ascending=[True, False]).reset_index(
        drop=True
    )


def linear(n_steps=4, **windower):
    windows = SequenceWindower(n_steps, **windower)
    return make_pipeline(windows, SequenceFlattener(), LinearRegression())


def network(**windower):
    options = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}
    windows = SequenceWindower(4, **windower)
    return make_pipeline(windows, RNNRegressor(loss="gaussian", **options))


def test_a_fitted_model_is_fed_back_from_each_origin_as_by_forecast():
    table = one_series()
    model = linear().fit(*make_forecast_frame(table[:40], "sales", 2))
    past = backtest(FrozenEstimator(model), table, "sales", [1, 5], cv=2, stride=3)
    assert past["horizon"].unique().tolist() == [1, 5]
    for origin, rows in past.groupby("origin"):
        frame = forecast(model, table[:origin], horizon=[1, 5])
        np.testing.assert_allclose(rows["prediction"], frame["prediction"])
        np.testing.assert_array_equal(rows["time"], frame.index)
        np.testing.assert_array_equal(rows["truth"], table["sales"][frame.index])


@pytest.mark.parametrize("refit", [True, False])
def test_each_block_is_fitted_to_the_fewer_steps(refit):
    table, cv = one_series(), [(np.arange(40), np.arange(50, 60))]
    past = backtest(
        linear(), table, "sales", 6, cv=cv, fit_horizon=2, stride=4, refit=refit
    )
    X, Y = make_forecast_frame(table, "sales", 2)
    model = linear().fit(X[:40], Y[:40])
    frozen = backtest(FrozenEstimator(model), table, "sales", 6, cv=cv, stride=4)
    pd.testing.assert_frame_equal(past, frozen)
    near = backtest(linear(), table, "sales", 2, cv=cv, stride=4)
    first = past[past["horizon"] <= 2]
    np.testing.assert_allclose(first["prediction"], near["prediction"])


def test_series_keep_their_forecasts_whatever_their_order():
    table, options = panel(), {"known": "promo", **KEYS}
    model = linear(**KEYS).fit(*make_forecast_frame(table, "sales", 2, **options))
    past = backtest(
        FrozenEstimator(model),
        table,
        "sales",
        5,
        cv=1,
        stride=30,
        static="size",
        **options,
    )
    for origin, rows in past.groupby("origin"):
        newest, plan = table[table["day"] <= origin], table[table["day"] > origin]
        plan = plan.drop(columns=["sales", "size"])
        frame = forecast(model, newest, horizon=5, future=plan, static="size")
        expected = frame.set_index(["shop", "horizon"])["prediction"]
        found = rows.set_index(["shop", "horizon"])["prediction"]
        np.testing.assert_allclose(found, expected[found.index])


def test_columns_that_nothing_knows_are_named():
    options = {"fit_horizon": 2, "cv": 1, "stride": 30, **KEYS}
    with pytest.raises(
        InvalidSequenceError, match=r"\['size', 'promo'\] are not known"
    ):
        backtest(linear(**KEYS), panel(), "sales", 5, **options)


@pytest.mark.thorough
def test_paths_hang_on_the_seed_and_not_on_the_jobs():
    options = {"fit_horizon": 2, "cv": 2, "stride": 10, "n_paths": 20}
    with parallel_config("threading"):
        first, same, jobs, other, more = (
            backtest(network(), one_series(), "sales", 5, **{**options, **change})
            for change in (
                {"random_state": 0},
                {"random_state": 0},
                {"random_state": 0, "n_jobs": 2},
                {"random_state": 1},
                {"random_state": 0, "n_paths": 40},
            )
        )
    pd.testing.assert_frame_equal(first, same)
    pd.testing.assert_frame_equal(first, jobs)
    for changed in (other, more):
        is_far = first["horizon"] > 2
        assert (changed["q0.9"] == first["q0.9"])[~is_far].all()
        assert (changed["q0.9"] != first["q0.9"])[is_far].all()


def test_each_step_of_a_long_horizon_is_calibrated():
    table = one_series()
    options = {"fit_horizon": 2, "cv": 1, "stride": 2, "random_state": 0, "n_paths": 20}
    past = backtest(network(), table, "sales", 5, **options)
    model = network().fit(*make_forecast_frame(table, "sales", 2))
    newest = forecast(model, table, horizon=5, n_paths=20, random_state=0)
    calibrator = ConformalCalibrator(method="split").fit(past)
    assert calibrator.offsets_.index.get_level_values(0).tolist() == [1, 2, 3, 4, 5]
    moved = calibrator.transform(newest)["q0.9"] - newest["q0.9"]
    np.testing.assert_allclose(moved, calibrator.offsets_["q0.9"])
    covered = score_forecasts(
        ConformalCalibrator(method="split").fit(past).transform(past)
    )
    assert (covered["coverage_80"] >= 0.8).all()
    near = ConformalCalibrator().fit(past[past["horizon"] <= 2])
    with pytest.raises(ValueError, match="horizon 3 was not.*fit_horizon="):
        near.transform(newest)


@pytest.mark.parametrize("fit_horizon", [0, 5, 6, 2.5, True])
def test_fit_horizon_must_be_fewer_steps(fit_horizon):
    with pytest.raises(ValueError, match="less than the horizon, 5, got"):
        backtest(linear(), one_series(), "sales", 5, fit_horizon=fit_horizon)


def test_models_without_names_of_targets_are_not_fed_back():
    with pytest.raises(ValueError, match="LinearRegression does not: begin a pipeline"):
        backtest(LinearRegression(), one_series(), "sales", 5, fit_horizon=2)
