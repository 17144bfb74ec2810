"""Holidays as columns of a table, and days of an exchange."""

import sys
import warnings
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    ForecastDisplay,
    RNNRegressor,
    SequenceFlattener,
    SequenceWindower,
    SklearnRNNWarning,
    backtest,
    forecast,
    make_forecast_frame,
)
from sklearn_rnn.forecasting import _holidays
from sklearn_rnn.persistence import load_model, save_model


def table_at(index):
    return pd.DataFrame({"sales": np.arange(float(len(index)))}, index=index)


def flagged(holidays, index, column="holiday", **options):
    """Return the dates of a table that are holidays."""
    calendar = CalendarFeatures([], holidays=holidays, **options)
    found = calendar.fit_transform(table_at(index))
    return found.index[found[column] == 1].strftime("%m-%d").tolist()


NOVEMBER = pd.date_range("2024-11-01", "2024-11-30", freq="D")
MARCH = pd.date_range("2024-03-25", "2024-04-05", freq="D")


# What is a holiday.


def test_codes_name_countries_their_parts_and_exchanges():
    pytest.importorskip("holidays")
    assert flagged("US", NOVEMBER) == ["11-11", "11-28"]
    assert flagged("US-CA", NOVEMBER) == ["11-11", "11-28", "11-29"]
    assert flagged("NYSE", NOVEMBER) == ["11-28"]
    assert flagged("US", MARCH) == []
    assert flagged("US-CA", MARCH)[0] == "03-31"  # César Chávez Day
    assert flagged("DE-BY", NOVEMBER) == ["11-01"]
    assert flagged("DE-BE", NOVEMBER) == []


@pytest.mark.parametrize(
    "holidays",
    [
        ["2024-11-05", "2024-11-28"],
        [date(2024, 11, 28), date(2024, 11, 5)],
        {"2024-11-05": "Election Day", "2024-11-28": "Thanksgiving"},
        pd.DatetimeIndex(["2024-11-05", "2024-11-28"]),
        np.array(["2024-11-05", "2024-11-28"], dtype="datetime64[D]"),
        pd.Series(pd.to_datetime(["2024-11-05", "2024-11-28"])) + pd.Timedelta("10h"),
    ],
)
def test_dates_are_taken_as_they_are_listed(holidays):
    assert flagged(holidays, NOVEMBER) == ["11-05", "11-28"]


def test_objects_of_the_package_are_mappings():
    package = pytest.importorskip("holidays")
    found = package.country_holidays("US", years=2024)
    assert flagged(found, NOVEMBER) == ["11-11", "11-28"]
    with pytest.raises(ValueError, match="give its code"):
        flagged(package.country_holidays("US"), NOVEMBER)


def test_hours_are_holidays_by_the_local_date():
    hours = pd.date_range("2024-12-24 12:00", periods=36, freq="h", tz="UTC")
    calendar = CalendarFeatures([], holidays=["2024-12-25"], time_zone="Asia/Tokyo")
    found = calendar.fit_transform(table_at(hours))["holiday"]
    assert found.to_numpy().nonzero()[0].tolist() == list(range(3, 27))


def test_steps_ahead_have_columns_of_their_own():
    holidays = ["2024-11-28"]
    calendar = CalendarFeatures(["day"], ahead=[0, 2], holidays=holidays)
    found = calendar.fit_transform(table_at(NOVEMBER))
    assert list(found.columns[1:]) == [
        *("day_sin", "day_cos", "holiday", "day_sin+2", "day_cos+2", "holiday+2")
    ]
    assert list(calendar.get_feature_names_out()) == list(found.columns)
    assert found["holiday"].dtype == np.int64
    assert found.index[found["holiday+2"] == 1].strftime("%m-%d").tolist() == ["11-26"]


def test_polars_periods_and_columns_of_times_have_holidays():
    data = pl.DataFrame({"day": NOVEMBER.to_list(), "sales": 1.0})
    calendar = CalendarFeatures([], holidays=["2024-11-28"], time="day")
    assert calendar.fit_transform(data)["holiday"].to_list() == [0] * 27 + [1, 0, 0]
    assert flagged(["2024-11-28"], NOVEMBER.to_period("D")) == ["11-28"]


def test_clones_and_saved_models_have_the_same_holidays(tmp_path):
    for holidays in (["2024-11-28"], {date(2024, 11, 28): "Thanksgiving"}):
        calendar = CalendarFeatures([], holidays=holidays).fit(table_at(NOVEMBER))
        assert clone(calendar).holidays == holidays
        save_model(calendar, tmp_path / "calendar")
        restored = load_model(tmp_path / "calendar").transform(table_at(NOVEMBER))
        pd.testing.assert_frame_equal(restored, calendar.transform(table_at(NOVEMBER)))


def test_a_model_learns_what_holidays_do():
    days = pd.date_range("2019-01-01", periods=1200, freq="D")
    free = days[::17].strftime("%Y-%m-%d").tolist()
    sales = 10.0 - 6 * days.strftime("%Y-%m-%d").isin(free)
    table = pd.DataFrame({"sales": sales}, index=days)
    X, Y = make_forecast_frame(table[:1100], "sales", 1)
    errors = []
    for holidays in (None, free):
        calendar = CalendarFeatures(["dayofweek"], ahead=1, holidays=holidays)
        model = make_pipeline(
            calendar, SequenceWindower(3), SequenceFlattener(), LinearRegression()
        )
        predicted = model.fit(X, Y["sales+1"]).predict(table[1100:-1])
        errors.append(np.abs(predicted - sales[1101:]).max())
    assert errors[1] < 1e-9 < 1 < errors[0]


# Refused, or warned of.


@pytest.mark.parametrize(
    ("holidays", "match"),
    [
        ("XX", "holidays='XX' is not known: .*'US-CA'.*'NYSE'"),
        ("US-ZZ", "holidays='US-ZZ' is not known: .*subdivision ZZ"),
    ],
)
def test_unknown_codes_are_refused(holidays, match):
    pytest.importorskip("holidays")
    with pytest.raises(ValueError, match=match):
        flagged(holidays, NOVEMBER)


@pytest.mark.parametrize(
    ("holidays", "match"),
    [
        ([], "should be one or more dates"),
        ([None], "none of them missing"),
        (["24.12.2024"], "such as .'2024-12-24'"),
        (["Christmas"], "must be a code"),
        (20241224, "The 'holidays' parameter of CalendarFeatures"),
    ],
)
def test_what_is_no_date_is_refused(holidays, match):
    with pytest.raises(ValueError, match=match):
        flagged(holidays, NOVEMBER)


def test_a_column_that_is_there_already_is_refused():
    table = table_at(NOVEMBER).assign(holiday=0)
    with pytest.raises(ValueError, match="already has a column 'holiday'"):
        CalendarFeatures([], holidays=["2024-11-28"]).fit(table)


def test_years_without_a_listed_holiday_are_warned_of_once():
    days = pd.date_range("2024-12-20", periods=20, freq="D")
    calendar = CalendarFeatures([], ahead=range(3), holidays=["2024-12-25"])
    calendar.fit(table_at(days))
    with pytest.warns(SklearnRNNWarning, match="that of 2025-01-10: no day") as caught:
        calendar.transform(table_at(days))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calendar.transform(table_at(days[:5]))


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    _holidays.look_up.cache_clear()
    with pytest.raises(ImportError, match=r'"holidays": pip install -e "\.\[holidays'):
        flagged("US", NOVEMBER)
    assert flagged(["2024-11-28"], NOVEMBER) == ["11-28"]


# Trading days.


def small(freq):
    network = RNNRegressor(max_epochs=1, hidden_size=2, random_state=0)
    return make_pipeline(SequenceWindower(10, freq=freq), network)


def test_the_next_trading_days_skip_the_holidays_of_the_exchange(tmp_path):
    package = pytest.importorskip("holidays")
    closed = list(package.financial_holidays("NYSE", years=range(2023, 2026)))
    trading_day = pd.offsets.CustomBusinessDay(holidays=closed)
    days = pd.date_range("2023-06-01", "2024-12-20", freq=trading_day)
    prices = table_at(pd.DatetimeIndex(list(days))).rename(columns={"sales": "price"})
    X, Y = make_forecast_frame(prices, "price", 5, freq=trading_day)
    calendar = CalendarFeatures(["dayofweek"], ahead=[1, 2], freq=trading_day)
    model = make_pipeline(calendar, *small(trading_day)).fit(X, Y)
    expected = ["12-23", "12-24", "12-26", "12-27", "12-30", "12-31", "01-02"]
    frame = forecast(model, prices)
    assert frame.index.strftime("%m-%d").tolist() == expected[:5]
    frame = forecast(model, prices, horizon=7)
    assert frame.index.strftime("%m-%d").tolist() == expected
    display = ForecastDisplay.from_estimator(model, prices)
    assert len(display.lines_[0].get_xdata()) == 5
    past = backtest(
        small(trading_day), prices, "price", 2, freq=trading_day, cv=1, stride=50
    )
    positions = prices.index.get_indexer(past["time"])
    steps = positions - prices.index.get_indexer(past["origin"])
    assert (steps == past["horizon"]).all()
    save_model(model, tmp_path / "model")
    restored = forecast(load_model(tmp_path / "model"), prices)
    pd.testing.assert_frame_equal(restored, forecast(model, prices))
