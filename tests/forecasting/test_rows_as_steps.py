"""Trading calendars: rows as steps from the table to the forecast."""

import numpy as np
import pandas as pd
import pytest
from pandas.tseries.holiday import USFederalHolidayCalendar
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    InvalidSequenceError,
    RNNRegressor,
    SequenceWindower,
    SklearnRNNWarning,
    WindowHistoryWarning,
    backtest,
    forecast,
    make_forecast_frame,
)

HOLIDAYS = USFederalHolidayCalendar().holidays("2024-01-01", "2024-12-31")
DAYS = pd.DatetimeIndex(list(pd.bdate_range("2024-01-02", periods=120)))
DAYS = DAYS.difference(HOLIDAYS)
# Half-hours of an exchange, thirteen a day.
SESSIONS = pd.DatetimeIndex(
    [day + pd.Timedelta(minutes=570 + 30 * k) for day in DAYS[:12] for k in range(13)]
)


def prices(index, name="price"):
    return pd.DataFrame({name: np.arange(float(len(index)))}, index=index)


def model(freq="rows", **windower):
    network = RNNRegressor(max_epochs=1, hidden_size=2, random_state=0)
    return make_pipeline(SequenceWindower(10, freq=freq, **windower), network)


def fitted(data, horizon=3, **options):
    X, Y = make_forecast_frame(data, "price", horizon, freq="rows", **options)
    return model().fit(X, Y)


def test_trading_days_are_forecast_and_dated_by_business_days():
    data = prices(DAYS)
    # After the Friday of the last week; the newest rows alone would look like days.
    newest = data[: int(np.flatnonzero(DAYS.day_of_week == 4)[-1]) + 1]
    network = fitted(data)
    for rows in (newest, newest[-12:], newest[-5:]):
        frame = forecast(network, rows)
        expected = newest.index[-1] + pd.offsets.BDay() * np.arange(1, 4)
        assert frame.index.tolist() == expected.tolist()
        assert frame["origin"].tolist() == [newest.index[-1]] * 3


def test_a_windower_that_knows_business_days_dates_rows_as_steps():
    data = prices(DAYS[:9])  # a week and a half, without a holiday but the first
    X, Y = make_forecast_frame(data[4:], "price", 1)
    windower = SequenceWindower(3, freq="B")
    network = make_pipeline(windower, RNNRegressor(max_epochs=1, hidden_size=2))
    friday = data[: int(np.flatnonzero(data.index.day_of_week == 4)[-1]) + 1]
    frame = forecast(network.fit(X, Y), friday[-3:], freq="rows")
    assert frame.index.tolist() == [friday.index[-1] + pd.Timedelta("3D")]


def test_what_is_to_come_is_dated_by_future():
    data = prices(DAYS)
    network = fitted(data[:-6])
    future = pd.DataFrame(index=DAYS[-9:])
    frame = forecast(network, data[:-6], future=future)
    assert frame.equals(forecast(network, data[:-6], future=future.index))
    assert frame.index.tolist() == DAYS[-6:-3].tolist()
    plain = forecast(network, data[:-6])
    np.testing.assert_array_equal(frame["prediction"], plain["prediction"])
    with pytest.raises(InvalidSequenceError, match="future has 2 rows after"):
        forecast(network, data[:-6], future=future[:5])
    with pytest.raises(InvalidSequenceError, match="are not sorted"):
        forecast(network, data[:-6], future=future[::-1])
    with pytest.raises(InvalidSequenceError, match="times of future are numbers"):
        forecast(network, data[:-6], future=future.reset_index(drop=True))


def test_sessions_are_not_dated_by_guess():
    data = prices(SESSIONS)
    network = fitted(data, horizon=2)
    with pytest.raises(InvalidSequenceError, match="freq='rows'.*in future="):
        forecast(network, data)
    to_come = SESSIONS[-1] + pd.to_timedelta(["18h", "18h 30min"])
    frame = forecast(network, data, future=pd.DataFrame(index=to_come))
    assert frame.index.tolist() == to_come.tolist()


def test_several_series_and_what_is_known_ahead_are_forecast():
    data = pd.concat([prices(DAYS).assign(item=item) for item in "ab"])
    data = data.assign(open=1.0).reset_index(names="day").sort_values("day")
    names = {"time": "day", "group_by": "item"}
    X, Y = make_forecast_frame(data, "price", 2, known="open", freq="rows", **names)
    network = model(**names).fit(X, Y)
    days = [pd.Timestamp("2024-07-08"), pd.Timestamp("2024-07-15")]
    future = pd.DataFrame({"day": days * 2, "item": ["a", "a", "b", "b"], "open": 0.0})
    frame = forecast(network, data, future=future)
    assert frame.index.tolist() == days * 2
    assert frame["item"].tolist() == ["a", "a", "b", "b"]
    with pytest.raises(InvalidSequenceError, match="2 steps: pass one row"):
        forecast(network, data, future=future[:3])


@pytest.mark.thorough
def test_backtests_go_by_rows_with_seasons_of_a_week():
    frame = backtest(model(), prices(DAYS), "price", 3, freq="rows", cv=2, stride=4)
    assert (frame["truth"] - frame["naive"] == 5).all()
    places = DAYS.get_indexer(frame["time"]) - DAYS.get_indexer(frame["origin"])
    assert (places == frame["horizon"]).all()
    with pytest.warns(SklearnRNNWarning, match="have no fixed step.*is the last value"):
        frame = backtest(model(), prices(SESSIONS), "price", 2, freq="rows", cv=2)
    assert (frame["truth"] - frame["naive"] == frame["horizon"]).all()


def test_a_backtest_tells_of_windows_that_its_model_cuts_short():
    options = {"freq": "rows", "cv": 1, "season": 13}
    with pytest.warns(WindowHistoryWarning, match="windows are shorter"):
        backtest(model(freq="30min"), prices(SESSIONS), "price", **options)


def test_a_model_without_a_step_takes_that_of_the_backtest():
    options = {"freq": "rows", "cv": 1, "season": 13}
    frame = backtest(model(freq=None), prices(SESSIONS), "price", **options)
    expected = backtest(model(), prices(SESSIONS), "price", **options)
    pd.testing.assert_frame_equal(frame, expected)


def test_months_of_any_day_have_seasons_of_a_year():
    months = [pd.Timestamp("2000-01-15") + pd.DateOffset(months=k) for k in range(60)]
    for freq, season in [(None, 12), (pd.DateOffset(months=1), 12)]:
        data = prices(pd.DatetimeIndex(months))
        frame = backtest(model(freq=freq), data, "price", freq=freq, cv=1)
        assert (frame["truth"] - frame["naive"] == season).all()


# A second week: the rows without targets are remembered, whatever rows are steps.


@pytest.mark.thorough
@pytest.mark.parametrize("dates", ["timestamps", "dates", "with a time zone"])
@pytest.mark.parametrize("calendar", [False, True])
def test_a_second_week_of_trading_days_follows_the_rows_without_targets(
    dates, calendar
):
    index = {
        "timestamps": DAYS,
        "dates": pd.Index([day.date() for day in DAYS], dtype=object),
        "with a time zone": DAYS.tz_localize("America/New_York"),
    }[dates]
    data = prices(index)
    X, Y = make_forecast_frame(data[:-13], "price", 5, freq="rows")
    network = model()
    if calendar:
        network = make_pipeline(CalendarFeatures(["dayofweek"]), network)
    network.fit(X, Y)
    future = data[-10:].drop(columns="price")
    for options in ({}, {"future": future}):
        whole = forecast(network, data[:-8], **options)
        week = forecast(network, data[-13:-8], **options)
        pd.testing.assert_frame_equal(week, whole)


@pytest.mark.thorough
@pytest.mark.parametrize("freq", [None, "rows"])
@pytest.mark.parametrize("missing", ["raise", "mask"])
def test_a_second_week_of_several_series_follows(freq, missing):
    index = pd.period_range("2024-01", periods=60, freq="M")
    data = pd.concat([prices(index).assign(item=item) for item in "ab"])
    known, to_come = data[data.index < index[50]], data[data.index >= index[50]]
    options = {"freq": freq, "group_by": "item"}
    X, Y = make_forecast_frame(known, "price", 4, missing=missing, **options)
    mask = "mask" if missing == "mask" else None
    network = model(freq, group_by="item", missing=mask).fit(X, Y)
    expected = forecast(network, data)
    pd.testing.assert_frame_equal(forecast(network, to_come), expected)
    of_one = to_come[to_come["item"] == "b"]
    expected = expected[expected["item"] == "b"]
    pd.testing.assert_frame_equal(forecast(network, of_one), expected)


def test_rows_further_apart_than_any_in_fit_do_not_follow():
    data = prices(DAYS)
    network = fitted(data[:-5])
    late = data[-3:].set_axis(DAYS[-3:] + pd.Timedelta("40D"))
    with pytest.warns(WindowHistoryWarning, match="uses 3 of the 10 steps.*last 10"):
        forecast(network, late)


@pytest.mark.parametrize("n_rows", [10, 3])
def test_rows_follow_by_the_step_of_a_windower_without_rows_as_steps(n_rows):
    index = pd.bdate_range("2024-01-01", periods=60)
    data = prices(index)
    X, Y = make_forecast_frame(data[:40], "price", 3)
    network = model("B").fit(X, Y)
    expected = forecast(network, data[: 40 + n_rows])
    found = forecast(network, data[40 : 40 + n_rows], freq="rows")
    pd.testing.assert_frame_equal(found, expected)


def test_a_windower_that_cuts_what_forecast_takes_as_steps_is_told_of():
    data = prices(pd.date_range("2024-01-01", periods=60, freq="D"))
    X, Y = make_forecast_frame(data[:40], "price", 3)
    network = model(None).fit(X, Y)
    newest = data[40:].drop(data.index[55])
    with pytest.warns(WindowHistoryWarning) as caught:
        forecast(network, newest, freq="rows")
    cut, short = (str(one.message) for one in caught)
    assert "windows are shorter than n_steps=10 because of 1 gap(s)" in cut
    assert "uses 4 of the 10 steps" in short
    assert "cuts windows where rows are not D apart" in short
    assert "freq='rows'. Fit the model with that freq=" in short


@pytest.mark.parametrize("history", ["auto", "train"])
def test_rows_as_steps_without_times_are_as_long_as_they_are(history):
    data = prices([f"row {i}" for i in range(60)])
    X, Y = make_forecast_frame(data[:40], "price", 3, freq="rows")
    network = model(history=history).fit(X, Y)
    if history == "train":
        forecast(network, data[40:43])
        return
    with pytest.warns(WindowHistoryWarning, match="uses 3 of the 10 steps"):
        forecast(network, data[40:43])
