"""Gaps: windows that are cut short by them, steps that do not fit, rows as steps."""

import pickle

import numpy as np
import pandas as pd
import pytest
from pandas.tseries.holiday import USFederalHolidayCalendar
from sklearn.model_selection import KFold, TimeSeriesSplit

from sklearn_rnn import (
    CalendarFeatures,
    InvalidSequenceError,
    SequenceWindower,
    WindowHistoryWarning,
    make_forecast_frame,
)


def table(index, **columns):
    index = pd.Index(list(index)) if isinstance(index, pd.DatetimeIndex) else index
    return pd.DataFrame({"a": np.arange(float(len(index))), **columns}, index=index)


def hours(n_rows, start="2024-01-01", freq="h"):
    return table(pd.date_range(start, periods=n_rows, freq=freq))


def trading_days(n_rows=500):
    holidays = USFederalHolidayCalendar().holidays("2020-01-01", "2023-01-01")
    return pd.bdate_range("2020-01-01", "2022-12-31").difference(holidays)[:n_rows]


def holed_days(n_rows):
    """Business days of which every twentieth is missing."""
    days = pd.bdate_range("2024-01-01", periods=2 * n_rows)
    return days.delete(np.arange(19, len(days), 20))[:n_rows]


def lengths(windows):
    return windows.lengths.tolist()


# The step.


@pytest.mark.parametrize("n_rows", [40, 100, 150, 200, 250, 350])
@pytest.mark.parametrize("kept", [0.95, 0.9, 0.85, 0.75])
def test_the_step_does_not_hang_on_the_number_of_rows(n_rows, kept):
    days = pd.date_range("2024-01-01", periods=800, freq="D")
    days = days[np.random.default_rng(0).random(800) < kept][:n_rows]
    with pytest.warns(WindowHistoryWarning, match="the step is D, which most rows"):
        windower = SequenceWindower(24).fit(table(days))
    assert windower.freq_ == pd.Timedelta("1D")


@pytest.mark.parametrize(
    ("freq", "found"),
    [
        ("MS", pd.offsets.MonthBegin()),
        ("ME", pd.offsets.MonthEnd()),
        ("BMS", pd.offsets.BMonthBegin()),
        ("BME", pd.offsets.BMonthEnd()),
        ("2MS", pd.offsets.MonthBegin(2)),
        ("B", pd.offsets.BDay()),
        ("W-FRI", pd.Timedelta("7D")),
        ("30min", pd.Timedelta("30min")),
        ("bh", pd.offsets.BusinessHour()),
        ("SMS", pd.offsets.SemiMonthBegin()),
        ("SME", pd.offsets.SemiMonthEnd()),
    ],
)
@pytest.mark.parametrize("time_zone", [None, "America/New_York"])
def test_a_calendar_is_seen_through_many_gaps(freq, found, time_zone):
    dates = pd.date_range("2000-01-01", periods=120, freq=freq, tz=time_zone)
    kept = np.random.default_rng(0).random(120) > 0.2
    windower = SequenceWindower(1).fit(table(dates[kept]))
    if time_zone is not None and freq == "W-FRI":
        found = pd.offsets.Day(7)
    assert windower.freq_ == found


@pytest.mark.parametrize("freq", ["SMS", "SME"])
def test_half_months_are_seen_where_a_third_of_them_is_missing(freq):
    dates = pd.date_range("2000-01-01", periods=300, freq=freq)
    kept = np.random.default_rng(0).random(300) > 0.35
    assert SequenceWindower(1).fit(table(dates[kept])).freq_.base == dates.freq.base


@pytest.mark.parametrize("n_rows", [150, 250])
def test_one_missing_hour_does_not_end_the_day_of_an_office(n_rows):
    office = pd.date_range("2024-01-01 09:00", periods=300, freq="bh").delete(180)
    windows = SequenceWindower(40).fit_transform(table(office[:n_rows]))
    assert windows.lengths.max() == 40


def test_the_same_day_of_every_month_is_a_step():
    days = [pd.Timestamp("2000-01-15") + pd.DateOffset(months=k) for k in range(60)]
    windower = SequenceWindower(5).fit(table(pd.DatetimeIndex(days[:50])))
    assert windower.freq_ == pd.DateOffset(months=1)
    assert lengths(windower.transform(table(pd.DatetimeIndex(days[50:])))) == [5] * 10
    with pytest.raises(InvalidSequenceError, match=r"pd.DateOffset\(months=1\)"):
        make_forecast_frame(table(pd.DatetimeIndex([*days[:9], *days[10:]])), "a")


def test_one_odd_row_makes_no_series_irregular():
    odd = hours(100).index.insert(50, pd.Timestamp("2024-01-03 01:30"))
    with pytest.warns(WindowHistoryWarning, match=r"because of 2 gap\(s\)"):
        windower = SequenceWindower(24).fit(table(odd))
    assert windower.freq_ == pd.Timedelta("1h")


def test_periods_a_quarter_apart_are_neighbours_though_they_span_a_month():
    months = pd.period_range("2020-01", periods=36, freq="M")[::3]
    windower = SequenceWindower(4)
    assert lengths(windower.fit_transform(table(months)))[3:] == [4] * 9
    assert windower.freq_ == pd.offsets.MonthEnd(3)


def test_times_without_a_step_are_told_of():
    jitter = np.random.default_rng(0).normal(0, 0.01, 100)
    for times in (
        pd.Index(np.arange(100) + jitter),
        pd.Timestamp("2024") + pd.to_timedelta(np.arange(100) + jitter, unit="h"),
    ):
        with pytest.warns(WindowHistoryWarning, match="follow no step.*freq='rows'"):
            windower = SequenceWindower(5).fit(table(times))
        assert windower.freq_ is None
        SequenceWindower(1).fit(table(times))
        assert SequenceWindower(5, freq="rows").fit(table(times)).freq_ == "rows"


# Series without a common step.


@pytest.mark.parametrize(
    "times",
    [
        pd.period_range("2024-01", periods=18, freq="M"),
        pd.period_range("2024-01-01", periods=18, freq="2h"),
        pd.date_range("2024-01-01", periods=18, freq="D"),
        pd.date_range("2024-01-01", periods=18, freq="D", tz="Europe/Berlin"),
        pd.timedelta_range("1h", periods=18, freq="h"),
        pd.Index(np.arange(18)),
        pd.Index(np.arange(18) * 0.1),
    ],
)
def test_series_without_a_common_step_have_windows(times):
    a, b = table(times[:12:2], g="a"), table(times[::3], g="b")
    X = pd.concat([a, b])
    with pytest.warns(WindowHistoryWarning, match="follow no step"):
        windower = SequenceWindower(4, group_by="g").fit(X)
    assert windower.freq_ is None
    assert lengths(windower.transform(X)) == [1, 2, 3, 4, 4, 4] * 2
    assert make_forecast_frame(X, "a", group_by="g", freq="rows")[0].shape == (10, 2)


def test_series_of_one_period_each_know_their_step():
    X = pd.concat([table(pd.period_range("2024-01", periods=1, freq="M"))] * 2)
    windower = SequenceWindower(3, group_by="g").fit(X.assign(g=["a", "b"]))
    assert windower.freq_ == pd.offsets.MonthEnd()


# Windows cut short.


def test_windows_cut_short_are_told_of():
    X = table(holed_days(190))
    message = (
        r"171 of 190 windows are shorter than n_steps=60 because of 9 gap\(s\).* the "
        r"step is B, .*df\.asfreq\('B'\).*missing='mask'.*freq='rows'.*freq="
    )
    with pytest.warns(WindowHistoryWarning, match=message) as caught:
        SequenceWindower(60).fit(X)
    assert [one.filename for one in caught] == [__file__]
    with pytest.warns(WindowHistoryWarning, match=message) as caught:
        windower = SequenceWindower(60)
        windows = windower.fit_transform(X)
    assert [one.filename for one in caught] == [__file__]
    assert windows.lengths.max() == 19
    with pytest.warns(WindowHistoryWarning, match="as found in fit") as caught:
        windower.transform(X)
    assert [one.filename for one in caught] == [__file__]


def test_few_short_windows_and_the_starts_of_series_are_not_told_of():
    one_gap = hours(300).drop(hours(300).index[100])
    SequenceWindower(24).fit_transform(one_gap)
    short = pd.concat([hours(5)] * 30).assign(g=np.arange(150) // 5)
    windower = SequenceWindower(5, group_by="g").fit(short)
    windower.transform(short)
    SequenceWindower(6, freq="h", group_by="g").fit(hours(5).assign(g=range(5)))
    with pytest.warns(WindowHistoryWarning, match="23 of 99 windows"):
        SequenceWindower(24).fit(one_gap.iloc[50:149])


def test_folds_of_a_table_with_a_few_gaps_are_not_told_of():
    X = hours(1000)
    X = X.drop(X.index[[100, 400, 700]])
    for splitter in (KFold(5), TimeSeriesSplit(5)):
        for train, test in splitter.split(X):
            SequenceWindower(24).fit(X.iloc[train]).transform(X.iloc[test])


def test_rows_that_the_history_leads_up_to_are_not_short():
    X = hours(60)
    with pytest.warns(WindowHistoryWarning, match="15 of 57"):
        windower = SequenceWindower(6).fit(X.drop(X.index[[20, 30, 40]]))
    assert lengths(windower.transform(X.iloc[[20, 30, 40]])) == [6, 6, 6]


def test_a_series_with_a_longer_step_is_told_of():
    hourly, daily = hours(60).assign(g="a"), hours(20, freq="D").assign(g="b")
    with pytest.warns(WindowHistoryWarning, match="19 of 80 windows.*step is h"):
        SequenceWindower(6, group_by="g").fit(pd.concat([hourly, daily]))


# Steps that do not fit.


@pytest.mark.parametrize("history", ["auto", "train", None])
def test_rows_with_another_step_than_in_fit_are_refused(history):
    windower = SequenceWindower(6, history=history).fit(hours(60))
    for freq, own in [("2h", "2h"), ("D", "D"), ("5min", "5min")]:
        later = hours(60, "2024-01-03 12:00", freq)
        with pytest.raises(InvalidSequenceError, match=f"step is h, .*mostly {own} ap"):
            windower.transform(later)
    with pytest.raises(InvalidSequenceError, match="mostly 2h apart.*freq='rows'"):
        windower.transform(hours(60)[::2])


def test_a_given_step_that_no_two_rows_keep_is_refused():
    for freq in ("2h", "D", pd.Timedelta("7h")):
        for fit in (SequenceWindower.fit, SequenceWindower.fit_transform):
            with pytest.raises(InvalidSequenceError, match="mostly h .*right freq"):
                fit(SequenceWindower(6, freq=freq), hours(60))
    with pytest.raises(InvalidSequenceError, match="the step is 2, as freq=2 says"):
        SequenceWindower(6, freq=2).fit(table(pd.RangeIndex(30)))


def test_rows_further_apart_than_any_in_an_irregular_fit_are_refused():
    minutes = np.cumsum([3, 1, 4, 1, 5, 9, 2, 6, 5, 3])
    times = pd.Timestamp("2024") + pd.to_timedelta(minutes, unit="min")
    with pytest.warns(WindowHistoryWarning, match="follow no step"):
        windower = SequenceWindower(3).fit(table(times))
    with pytest.raises(InvalidSequenceError, match="up to 0 days 00:09:00 apart, as f"):
        windower.transform(hours(5))


def test_single_rows_and_windows_of_one_row_have_any_step():
    windower = SequenceWindower(6).fit(hours(60))
    assert lengths(windower.transform(hours(60)[5:6])) == [1]
    assert (
        lengths(SequenceWindower(1).fit(hours(60)).transform(hours(9)[::2])) == [1] * 5
    )
    by_series = SequenceWindower(6, group_by="g").fit(hours(60).assign(g="a"))
    new = hours(4, "2024-02-01", "D").assign(g=["a", "b", "c", "d"])
    assert lengths(by_series.transform(new)) == [1] * 4


def test_a_gap_in_one_of_many_series_of_single_rows_is_fine():
    stores = [hours(40).assign(store=f"{k}") for k in range(20)]
    windower = SequenceWindower(6, freq="h", group_by="store").fit(pd.concat(stores))
    newest = [hours(1, "2024-02-01").assign(store=f"{k}") for k in range(20)]
    earlier = hours(1, "2024-01-30").assign(store="7")
    windows = windower.transform(pd.concat([earlier, *newest]))
    assert lengths(windows) == [1] * 21


def test_rows_of_which_none_are_neighbours_are_refused_where_most_have_a_gap():
    windower = SequenceWindower(6, freq="h", group_by="g").fit(hours(60).assign(g="a"))
    for n_series, n_rows in [(1, 2), (1, 9), (5, 2), (3, 4)]:
        later = [hours(n_rows, "2024-02-01", "D").assign(g=k) for k in range(n_series)]
        with pytest.raises(InvalidSequenceError, match="no two rows"):
            windower.transform(pd.concat(later).astype({"g": str}))


@pytest.mark.filterwarnings("ignore:.*windows are shorter than n_steps")
@pytest.mark.filterwarnings("ignore:the rows of X are scattered")
@pytest.mark.parametrize("n_splits", [2, 10, 30])
def test_scattered_folds_get_their_history(n_splits):
    X = hours(60)
    whole = SequenceWindower(6).fit_transform(X)
    for train, test in KFold(n_splits, shuffle=True, random_state=0).split(X):
        windower = SequenceWindower(6).fit(X.iloc[train])
        windows = windower.transform(X.iloc[test])
        assert (windows.lengths <= whole.lengths[test]).all()
        for row, window in zip(test, windows, strict=True):
            assert window[-1] == X["a"].iloc[row]
            assert (np.diff(window.ravel()) == 1).all()


@pytest.mark.filterwarnings("ignore:.*windows are shorter than n_steps")
def test_rows_scattered_between_those_of_fit_are_told_of():
    X = hours(200)
    train, test = next(KFold(5, shuffle=True, random_state=0).split(X))
    windower = SequenceWindower(6).fit(X.iloc[train])
    with pytest.warns(WindowHistoryWarning, match="scattered.*of 40.*Do not shuffle"):
        windower.transform(X.iloc[test])


def test_blocks_of_rows_are_not_called_scattered():
    X = hours(200)
    for train, test in KFold(5).split(X):
        SequenceWindower(6).fit(X.iloc[train]).transform(X.iloc[test])


# Rows as steps.


def test_trading_days_have_whole_windows_with_rows_as_steps():
    X = table(trading_days(300))
    windower = SequenceWindower(60, freq="rows")
    windows = windower.fit_transform(X)
    assert windower.freq_ == "rows"
    assert lengths(windows) == np.minimum(np.arange(300) + 1, 60).tolist()
    windower.fit(X[:200])
    for fitted in (windower, pickle.loads(pickle.dumps(windower))):
        assert lengths(fitted.transform(X[200:])) == [60] * 100


def test_with_rows_as_steps_order_is_checked_and_dates_are_kept():
    X = table(trading_days(60))
    windower = SequenceWindower(5, freq="rows")
    with pytest.raises(InvalidSequenceError, match="not sorted"):
        windower.fit(X[::-1])
    with pytest.raises(InvalidSequenceError, match="twice"):
        windower.fit(X.iloc[[0, 0, 1]])
    with pytest.raises(InvalidSequenceError, match="are numbers, but"):
        windower.fit(X).transform(X.reset_index(drop=True))


def test_with_rows_as_steps_history_reaches_the_largest_difference_of_fit():
    X = table(trading_days(60))
    longest = np.diff(X.index[:40]).max()
    windower = SequenceWindower(5, freq="rows").fit(X[:40])
    new = table(X.index[39] + longest + pd.to_timedelta([0, 9, 40], unit="D"))
    assert lengths(windower.transform(new)) == [5, 5, 5]
    too_late = table(new.index + pd.Timedelta("1D"))
    assert lengths(windower.transform(too_late)) == [1, 2, 3]
    assert lengths(SequenceWindower(5, freq="rows").fit(X[:1]).transform(X[1:3])) == [
        1,
        2,
    ]


def test_rows_as_steps_go_by_series_and_need_no_times():
    X = pd.concat([table(trading_days(9), g="a"), table(trading_days(60)[::7], g="b")])
    windower = SequenceWindower(4, freq="rows", group_by="g")
    expected = [1, 2, 3, 4, 4, 4, 4, 4, 4]
    assert lengths(windower.fit_transform(X)) == [*expected, *expected]
    windower = SequenceWindower(4, freq="rows", history=None).fit(np.zeros((9, 1)))
    assert windower.freq_ == "rows"
    assert lengths(windower.transform(np.zeros((9, 1)))) == expected


def test_a_forecast_frame_has_rows_as_steps():
    X, Y = make_forecast_frame(table(trading_days(60)), "a", 2, freq="rows")
    assert (Y.to_numpy() - X.to_numpy() == [1, 2]).all()
    assert X.index.equals(trading_days(60)[:58])
    holed = table(trading_days(60))
    holed.iloc[7] = np.nan
    masked = make_forecast_frame(holed, "a", 2, freq="rows", missing="mask")
    assert len(masked[0]) == 58
    with pytest.raises(InvalidSequenceError, match=r"gap\(s\).*freq='rows'"):
        make_forecast_frame(table(trading_days(60)), "a", 2)


def test_calendar_features_of_steps_ahead_need_a_step_of_time():
    X = table(trading_days(60))
    with pytest.raises(
        InvalidSequenceError, match="freq='rows' does not determine.*'B'"
    ):
        CalendarFeatures(ahead=1, freq="rows").fit(X)
    CalendarFeatures(freq="rows").fit(X)


@pytest.mark.parametrize("freq", ["h", pd.Timedelta("1h"), "W"])
def test_a_step_that_does_not_fit_periods_is_refused(freq):
    X = table(pd.period_range("2024-01", periods=9, freq="M"))
    with pytest.raises(InvalidSequenceError, match="does not fit .* periods of M"):
        SequenceWindower(3, freq=freq).fit(X)
