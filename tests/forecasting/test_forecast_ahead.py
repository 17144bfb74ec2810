"""Forecasts by name, with what is known ahead, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from forecast_tables import (
    GROUPED,
    HOURS,
    fit,
    make_model,
    make_network,
    make_table,
    two_series,
)
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_rnn import (
    InvalidSequenceError,
    RNNRegressor,
    SequenceWindower,
    SklearnRNNWarning,
    forecast,
    make_forecast_frame,
)

# What is forecast: by name, or given.


def test_target_and_horizon_may_be_given_for_targets_without_names():
    table = make_table()
    X, Y = make_forecast_frame(table, "temp", [2, 4])
    model = make_model().fit(X, Y.to_numpy())
    frame = forecast(model, table, target="temp", horizon=[2, 4])
    assert frame["horizon"].tolist() == [2, 4]
    with pytest.raises(ValueError, match="has no names: pass target= and horizon="):
        forecast(model, table)


def test_names_that_tell_no_horizon_are_refused():
    table = make_table()
    X, Y = make_forecast_frame(table, "temp", 2)
    model = make_model().fit(X, Y.set_axis(["a", "b"], axis=1))
    with pytest.raises(ValueError, match=r"is \['a', 'b'\]: pass target= and horizon="):
        forecast(model, table)


@pytest.mark.parametrize("options", [{"target": "temp"}, {"horizon": 2}])
def test_target_or_horizon_alone_are_completed_by_the_names_of_y(options):
    model = fit(make_model(), make_table())
    frame = forecast(model, make_table(), **options)
    pd.testing.assert_frame_equal(frame, forecast(model, make_table()))
    with pytest.raises(ValueError, match="pass target= and horizon="):
        forecast(fit(Ridge(), make_table()), make_table(), **options)


@pytest.mark.parametrize("target", ["nope", ["temp", "wind"]])
def test_other_targets_than_those_of_the_model_are_refused(target):
    model = fit(make_model(), make_table())
    with pytest.raises(ValueError, match=r"\['temp\+1', 'temp\+2'\], not target="):
        forecast(model, make_table(), target=target)


def test_more_or_fewer_outputs_than_named_are_refused():
    model = fit(Ridge(), make_table())
    with pytest.raises(ValueError, match="predicts 2 values per row"):
        forecast(model, make_table(), target="temp", horizon=3)


@pytest.mark.parametrize("horizon", [0, True, [2, 1], [], "2", 1.5])
def test_senseless_horizons_are_refused(horizon):
    model = fit(Ridge(), make_table())
    with pytest.raises(ValueError, match="horizon must be an int of at least 1"):
        forecast(model, make_table(), target="temp", horizon=horizon)


# What is known in advance.


def fit_with_plan(table, **options):
    return fit(make_model(**options), table, known="plan")


def test_known_columns_of_the_steps_to_come_are_used():
    table = make_table()
    model = fit_with_plan(table[:50])
    future = table[["plan"]][50:52]
    frame = forecast(model, table[:50], future=future)
    X, _ = make_forecast_frame(table, "temp", 2, known="plan")
    np.testing.assert_allclose(frame["prediction"], model.predict(X[:50])[-1])
    other = forecast(model, table[:50], future=1 - future)
    assert np.abs(other["prediction"] - frame["prediction"]).min() > 0


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change",
    [
        lambda future: future[::-1],
        lambda future: future["plan"],
        lambda future: future.astype(bool),
        lambda future: future.astype("Int64"),
        lambda future: future.astype("int64[pyarrow]"),
        lambda future: make_table(),
    ],
    ids=["backwards", "Series", "bool", "Int64", "Arrow", "whole table"],
)
def test_future_may_come_in_many_forms(change):
    table = make_table()
    model = fit_with_plan(table[:50])
    future = table[["plan"]][50:52]
    found = forecast(model, table[:50], future=change(future))
    pd.testing.assert_frame_equal(found, forecast(model, table[:50], future=future))


@pytest.mark.parametrize("order", [None, 0])
def test_every_series_has_a_future_of_its_own(order):
    table = two_series()
    model = make_model(windower=GROUPED)
    now = table[table["time"] <= HOURS[49]]
    model = fit(model, now, known="plan", **GROUPED)
    future = table.loc[table["time"] > HOURS[49], ["time", "station", "plan"]]
    if order is not None:
        future = future.sample(frac=1, random_state=order)
    frame = forecast(model, now, future=future)
    X, _ = make_forecast_frame(table, "temp", 2, known="plan", **GROUPED)
    expected = model.predict(X)[X["time"] == HOURS[49]].ravel()
    np.testing.assert_allclose(frame["prediction"], expected)
    with pytest.raises(InvalidSequenceError, match="of station 'south'"):
        forecast(model, now, future=future[future["station"] == "north"])


def test_steps_between_those_of_the_horizon():
    table = make_table()
    model = fit(make_model(), table[:50], horizon=[1, 4], known="plan")
    frame = forecast(model, table[:50], future=table[50:])
    X, _ = make_forecast_frame(table, "temp", [1, 4], known="plan")
    np.testing.assert_allclose(frame["prediction"], model.predict(X[:50])[-1])


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda future: None, "known in advance: pass .* in future="),
        (lambda future: future[:1], "no row for 2024-01-03 03:00:00"),
        (lambda future: future[:0], "no row for 2024-01-03 02:00:00"),
        (lambda future: future * np.nan, "no value of 'plan' at 2024-01-03 02:00:00"),
        (
            lambda future: future[:1].reindex(future.index),
            "'plan' at 2024-01-03 03",
        ),
        (lambda future: pd.concat([future, future]), "2024-01-03 02:00:00 twice"),
        (lambda future: future.tz_localize("UTC"), "dates with a time zone"),
        (lambda future: future.reset_index(drop=True), "are numbers"),
        (lambda future: future.rename(columns={"plan": "p"}), "'plan'"),
    ],
)
def test_a_future_that_does_not_tell_is_refused(change, message):
    table = make_table()
    model = fit_with_plan(table[:50])
    with pytest.raises(ValueError, match=message):
        forecast(model, table[:50], future=change(table[["plan"]][50:52]))


def test_a_future_without_times_has_just_the_steps_to_come():
    table = make_table().set_axis([f"row {i}" for i in range(60)])
    model = fit_with_plan(table[:50])
    forecast(model, table[:50], future=table[50:52])
    forecast(model, table[:50], future=table[50:52].reset_index(drop=True))
    for future in (table, table[50:53]):
        with pytest.raises(InvalidSequenceError, match="pass 2 rows"):
            forecast(model, table[:50], future=future)
    with pytest.raises(InvalidSequenceError, match="future are dates, .* no times"):
        forecast(model, table[:50], future=make_table()[50:52])


@pytest.mark.parametrize("future", ["abc", 3, np.zeros((2, 1))])
def test_a_future_that_is_no_frame_is_refused(future):
    table = make_table()
    with pytest.raises(TypeError, match="future= needs a pandas or polars"):
        forecast(fit_with_plan(table), table, future=future)


@pytest.mark.thorough
def test_a_plan_that_decides_the_target_is_learned():
    table = make_table(pd.date_range("2024-01-01", periods=400, freq="h"))
    table["temp"] = 10 * table["plan"]
    options = {"hidden_size": 8, "max_epochs": 30, "learning_rate": 0.05}
    past, truth = table[:390], table["temp"][390:393]
    informed = fit(make_model(2, **options), past, horizon=3, known="plan")
    blind = fit(make_model(2, **options), past, horizon=3)
    frames = forecast(informed, past, future=table), forecast(blind, past)
    errors = [np.abs(frame["prediction"] - truth).mean() for frame in frames]
    assert errors[0] < 0.3 * errors[1]


# Series that are hard.


@pytest.mark.thorough
@pytest.mark.parametrize("slope", [1.0, -3.0])
def test_a_trend_is_followed(slope):
    days = pd.date_range("2024-01-01", periods=80, freq="D")
    table = pd.DataFrame({"sales": 1 + slope * np.arange(80)}, index=days)
    model = make_model(7, target_feature="auto", max_epochs=5)
    frame = forecast(fit(model, table, "sales", 3), table)
    expected = 1 + slope * np.array([80, 81, 82])
    np.testing.assert_allclose(frame["prediction"], expected, rtol=0.03)


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
@pytest.mark.parametrize("value", [0.0, 7.0, 1e6, 1e-6])
def test_a_constant_series_goes_on(value, loss):
    table = pd.DataFrame({"sales": np.full(40, value)}, index=HOURS[:40])
    model = make_model(target_feature="auto", loss=loss, max_epochs=5)
    frame = forecast(fit(model, table, "sales"), table)
    tolerance = 0.1 * abs(value) if value else 0.1
    np.testing.assert_allclose(frame["prediction"], value, atol=tolerance)


def test_a_nearly_constant_series_goes_on():
    table = make_table()[["temp"]] * 1e-9 + 1e3
    frame = forecast(fit(make_model(target_feature="auto"), table), table)
    np.testing.assert_allclose(frame["prediction"], 1e3, rtol=1e-6)


def test_a_series_shorter_than_the_window():
    table = make_table()[:6]
    model = fit(make_model(24), table)
    np.testing.assert_allclose(
        forecast(model, table)["prediction"], model.predict(table)[-1]
    )


# What is missing.


def masked_model(n_steps=5, **options):
    windower = {"missing": "mask"}
    return make_model(n_steps, windower, missing_targets="ignore", **options)


def with_holes(table):
    table = table.copy()
    table.iloc[3, 1] = table.iloc[12, 0] = np.nan
    return table


def test_a_mask_stands_gaps_in_the_newest_rows():
    table = with_holes(make_table())
    model = fit(masked_model(), table, missing="mask")
    gappy = table.drop(table.index[[30, 57]])
    frame = forecast(model, gappy)
    expected = model.predict(table.drop(table.index[57]).asfreq("h"))[-1]
    np.testing.assert_allclose(frame["prediction"], expected)
    assert frame.index[0] == HOURS[-1] + pd.Timedelta("1h")


@pytest.mark.thorough
@pytest.mark.parametrize("n_steps", [1, 5])
@pytest.mark.parametrize("n_fitted", [30, 50])
def test_a_sensor_that_is_gone_for_longer_than_the_window(n_steps, n_fitted):
    table = with_holes(make_table())
    table.iloc[40:, 1] = np.nan
    model = fit(masked_model(n_steps), table[:n_fitted], missing="mask")
    frame = forecast(model, table)
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])


def test_breaks_in_the_newest_rows_are_refused_without_a_mask():
    table = make_table()
    model = fit(make_model(), table)
    with pytest.raises(InvalidSequenceError, match=r"1 gap\(s\) in time"):
        forecast(model, table.drop(table.index[57]))


def test_holes_in_the_newest_rows_are_refused_without_a_mask():
    table = make_table()
    model = fit(make_model(), table)
    table.iloc[-1, 1] = np.nan
    with pytest.raises(InvalidSequenceError, match="NaN"):
        forecast(model, table)


# What else is refused.


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda table: table[::-1], "not sorted by time"),
        (lambda table: pd.concat([table, table[-1:]]), "twice"),
        (lambda table: table[["temp"]], "wind"),
        (lambda table: table[:0], r"0 (rows|sample)"),
        (lambda table: table.tz_localize("UTC"), "dates with a time zone"),
        (lambda table: table.set_axis(table.index.to_period("h")), "periods"),
        (lambda table: table.assign(wind="windy"), "'wind'"),
        (lambda table: pd.concat({"a": table}, names=["s", "t"]), "2 levels"),
    ],
)
def test_newest_rows_of_another_kind_are_refused(change, message):
    table = make_table()
    model = fit(make_model(), table)
    with pytest.raises(ValueError, match=message):
        forecast(model, change(table))


@pytest.mark.thorough
@pytest.mark.parametrize("newest", ["abc", None, 3, np.zeros((5, 3)), [[1.0]]])
def test_what_is_no_frame_is_refused(newest):
    model = fit(make_model(), make_table())
    with pytest.raises(TypeError, match="forecast needs a pandas or polars DataFrame"):
        forecast(model, newest)


def test_a_model_that_is_not_fitted_is_refused():
    with pytest.raises(ValueError, match="not fitted"):
        forecast(make_model(), make_table())
    with pytest.raises(TypeError, match="not an estimator"):
        forecast("model", make_table())


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["origin", "horizon", "prediction", "target", "q0.5"])
def test_a_name_of_the_result_cannot_tell_series_apart(name):
    table = two_series().rename(columns={"station": name})
    columns = {"time": "time", "group_by": name}
    model = fit(make_model(windower=columns), table, **columns)
    with pytest.raises(ValueError, match=name):
        forecast(model, table)


def test_features_may_have_the_names_of_the_result():
    table = make_table().assign(**{"q0.5": 1.0, "horizon": 2.0, "origin": 3.0})
    table = table.rename(columns={"temp": "prediction"})
    model = fit(make_model(), table, "prediction")
    frame = forecast(model, table)
    assert list(frame.columns) == ["origin", "horizon", "prediction"]
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])


def test_one_row_whose_step_is_not_known_is_refused():
    model = fit(LinearRegression(), make_table())
    newest = make_table()[-1:].set_axis(HOURS[-1:]._with_freq(None))
    with pytest.raises(InvalidSequenceError, match="freq="):
        forecast(model, newest, target="temp", horizon=2)


def test_the_callers_tables_stay_as_they_are():
    table = make_table()
    model = fit_with_plan(table)
    newest, future = table[:50].copy(), table[50:].copy()
    forecast(model, newest, future=future)
    pd.testing.assert_frame_equal(newest, table[:50])
    pd.testing.assert_frame_equal(future, table[50:])


def test_a_function_of_rows_in_front_of_the_windower():
    table = make_table()
    double = FunctionTransformer(lambda table: table * 2)
    model = make_pipeline(double, SequenceWindower(5), make_network())
    model = fit(model, table)
    frame = forecast(model, table)
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])


def test_a_newest_row_without_a_value_is_told_of():
    table = pd.DataFrame(
        {"temp": np.sin(np.arange(60.0))},
        index=pd.date_range("2024-01-01", periods=60, freq="h"),
    )
    X, Y = make_forecast_frame(table, "temp", missing="mask")
    network = RNNRegressor(hidden_size=4, max_epochs=1, missing_targets="ignore")
    model = make_pipeline(SequenceWindower(5, missing="mask"), network).fit(X, Y)
    table.iloc[-1] = np.nan
    with pytest.warns(SklearnRNNWarning, match="'temp' has no value in the newest row"):
        forecast(model, table)


def test_times_that_were_forgotten_are_named():
    table = pd.DataFrame({"temp": np.arange(9.0)})
    table["when"] = pd.date_range("2024-01-01", periods=9, freq="h")
    with pytest.raises(InvalidSequenceError, match="needs time='when'"):
        make_forecast_frame(table, "temp")


def test_a_shop_that_is_closed_on_sundays_has_a_step():
    days = pd.date_range("2024-01-01", periods=120, freq="D")
    days = days[days.day_of_week != 6]
    table = pd.DataFrame({"sales": np.arange(float(len(days)))}, index=days)
    X, Y = make_forecast_frame(table, "sales")
    network = RNNRegressor(hidden_size=4, max_epochs=1, target_feature="auto")
    model = make_pipeline(SequenceWindower(6), network).fit(X, Y)
    assert not (forecast(model, table).index.day_of_week == 6).any()
    with pytest.raises(InvalidSequenceError, match="gap"):
        make_forecast_frame(table.drop(index=days[50]), "sales")
