import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from old_versions import needs_pandas_3
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from sklearn_rnn import (
    CalendarFeatures,
    InvalidSequenceError,
    RNNRegressor,
    SequenceWindower,
)
from sklearn_rnn.datasets import load_nyc_weather
from sklearn_rnn.forecasting._calendar import NUMBERS

NEW_YORK = "America/New_York"
# What pandas calls each feature of a Series of dates.
ACCESSORS = {
    "minute": "minute",
    "hour": "hour",
    "dayofweek": "day_of_week",
    "day": "day",
    "month": "month",
    "quarter": "quarter",
    "dayofyear": "day_of_year",
}


def table_at(index):
    return pd.DataFrame({"temp": np.arange(float(len(index)))}, index=index)


def three_days(**options):
    return table_at(pd.date_range("2024-01-05", periods=72, freq="h", **options))


def ordinal(*features, **options):
    return CalendarFeatures(features, encoding="ordinal", **options)


def jfk():
    weather = load_nyc_weather("JFK")[["temp", "dewp"]]
    return weather.asfreq("h").interpolate().iloc[:300]


def angles(table, feature):
    """Return the part of the cycle that each row's sine and cosine stand for."""
    sine, cosine = table[f"{feature}_sin"], table[f"{feature}_cos"]
    np.testing.assert_allclose(sine**2 + cosine**2, 1)
    return np.arctan2(sine, cosine) / (2 * np.pi) % 1


# What the columns hold.


@pytest.mark.parametrize("feature", ACCESSORS)
def test_an_ordinal_feature_is_the_number_that_pandas_gives(feature):
    table = table_at(pd.date_range("2023-12-20", periods=3000, freq="7h13min"))
    made = ordinal(feature).fit_transform(table)
    expected = getattr(table.index.to_series().dt, ACCESSORS[feature])
    assert made[feature].dtype == np.int64
    np.testing.assert_array_equal(made[feature], expected)


def test_the_week_is_that_of_the_iso_year():
    table = table_at(pd.date_range("2020-12-25", periods=20, freq="D"))
    made = ordinal("week").fit_transform(table)
    np.testing.assert_array_equal(made["week"], table.index.isocalendar()["week"])
    assert made["week"].dtype == np.int64
    assert made.loc["2021-01-03", "week"] == 53


@pytest.mark.parametrize("encoding", ["cyclic", "ordinal"])
def test_the_weekend_is_a_flag_in_both_encodings(encoding):
    table = table_at(pd.date_range("2024-01-01", periods=14, freq="D"))
    made = CalendarFeatures(["weekend"], encoding=encoding).fit_transform(table)
    assert list(made.columns) == ["temp", "weekend"]
    assert made["weekend"].tolist() == [0, 0, 0, 0, 0, 1, 1] * 2


@pytest.mark.parametrize(
    "feature, freq, n_rows",
    [
        ("minute", "min", 60),
        ("minute", "s", 3600),
        ("hour", "h", 24),
        ("hour", "min", 1440),
        ("dayofweek", "D", 7),
        ("day", "D", 31),
        ("month", "MS", 12),
        ("quarter", "QS", 4),
        ("week", "W", 52),
        ("dayofyear", "D", 366),
    ],
)
def test_a_cycle_goes_round_once_in_equal_parts(feature, freq, n_rows):
    table = table_at(pd.date_range("2024-01-01", periods=n_rows, freq=freq))
    passed = angles(CalendarFeatures([feature]).fit_transform(table), feature)
    np.testing.assert_allclose(passed, np.arange(n_rows) / n_rows, atol=1e-9)


@pytest.mark.parametrize("year, n_days", [(2023, 365), (2024, 366), (1900, 365)])
def test_a_year_has_its_own_length(year, n_days):
    table = table_at(pd.DatetimeIndex([f"{year}-12-31"]))
    passed = angles(CalendarFeatures(["dayofyear"]).fit_transform(table), "dayofyear")
    np.testing.assert_allclose(passed, (n_days - 1) / n_days)


def test_months_and_iso_years_have_their_own_length():
    table = table_at(pd.DatetimeIndex(["2023-02-15", "2024-02-15", "2021-01-03"]))
    made = CalendarFeatures(["day", "week"]).fit_transform(table)
    np.testing.assert_allclose(angles(made, "day"), [14 / 28, 14 / 29, 2 / 31])
    np.testing.assert_allclose(angles(made, "week"), [6 / 52, 6 / 52, 52 / 53])


def test_periods_count_from_their_start():
    table = table_at(pd.period_range("2024-01-01 22:00", periods=3, freq="2h"))
    made = ordinal("hour", ahead=[0, 1]).fit_transform(table)
    assert made["hour"].tolist() == [22, 0, 2]
    assert made["hour+1"].tolist() == [0, 2, 4]
    assert made.index.equals(table.index)


# Whose clock it is.


def test_times_are_read_as_written_without_a_time_zone():
    for zone in [None, "UTC", NEW_YORK]:
        made = ordinal("hour").fit_transform(three_days(tz=zone))
        assert made["hour"].tolist() == list(range(24)) * 3


def test_a_time_zone_reads_the_local_clock_over_its_changes():
    hours = pd.date_range("2024-03-10 05:00", periods=5, freq="h", tz="UTC")
    made = ordinal("hour", time_zone=NEW_YORK).fit_transform(table_at(hours))
    assert made["hour"].tolist() == [0, 1, 3, 4, 5]
    assert made.index.equals(hours)


def test_a_time_zone_moves_the_weekend():
    friday_night = pd.DatetimeIndex(["2024-01-05 23:00"], tz="UTC")
    assert ordinal("weekend").fit_transform(table_at(friday_night)).iloc[0, 1] == 0
    tokyo = ordinal("weekend", time_zone="Asia/Tokyo")
    assert tokyo.fit_transform(table_at(friday_night)).iloc[0, 1] == 1


def test_a_time_zone_for_times_without_one_is_refused():
    with pytest.raises(InvalidSequenceError, match="tz_localize"):
        CalendarFeatures(time_zone=NEW_YORK).fit(three_days())


def test_an_unknown_time_zone_is_refused():
    with pytest.raises(ValueError, match="time_zone='Mars/Base' is not a time zone"):
        CalendarFeatures(time_zone="Mars/Base").fit(three_days(tz="UTC"))


# Steps ahead.


@pytest.mark.parametrize("freq", ["h", "D", "MS", "B"])
@pytest.mark.parametrize("zone", [None, NEW_YORK])
def test_a_step_ahead_is_what_the_later_row_has_of_itself(freq, zone):
    table = table_at(pd.date_range("2024-02-01", periods=60, freq=freq, tz=zone))
    features = [name for name in NUMBERS if name != "weekend"]
    made = CalendarFeatures(features, ahead=[0, 7]).fit_transform(table)
    now = made[[f"{name}_sin" for name in features]].to_numpy()
    then = made[[f"{name}_sin+7" for name in features]].to_numpy()
    np.testing.assert_array_equal(then[:-7], now[7:])
    assert not made.isna().to_numpy().any()


def test_the_last_rows_know_their_steps_ahead():
    made = ordinal("hour", ahead=2).fit_transform(three_days())
    assert list(made.columns) == ["temp", "hour+2"]
    assert made["hour+2"].iloc[-2:].tolist() == [0, 1]


def test_steps_ahead_come_in_the_order_asked_for():
    calendar = CalendarFeatures(("hour", "weekend"), ahead=[24, 0]).fit(three_days())
    assert calendar.get_feature_names_out().tolist() == [
        "temp",
        "hour_sin+24",
        "hour_cos+24",
        "weekend+24",
        "hour_sin",
        "hour_cos",
        "weekend",
    ]


def test_a_gap_does_not_move_the_steps_ahead():
    table = three_days()
    made = ordinal("hour", ahead=3).fit_transform(table)
    holed = table.drop(table.index[10:15])
    pd.testing.assert_frame_equal(
        ordinal("hour", ahead=3).fit_transform(holed), made.loc[holed.index]
    )


def test_the_step_is_kept_and_holds_for_a_single_row():
    table = three_days()
    calendar = ordinal("hour", ahead=1).fit(table)
    assert calendar.freq_ == pd.Timedelta("1h")
    assert calendar.transform(table.iloc[[5]])["hour+1"].tolist() == [6]


def test_a_step_that_is_given_outweighs_the_rows():
    calendar = ordinal("hour", "day", ahead=1, freq="6h").fit(three_days())
    assert calendar.freq_ == pd.Timedelta("6h")
    made = calendar.transform(three_days())
    assert made["hour+1"].iloc[:2].tolist() == [6, 7]


def test_steps_ahead_follow_the_clock_of_the_table():
    days = pd.date_range("2024-03-09 12:00", periods=2, freq="D", tz=NEW_YORK)
    read_in_utc = ordinal("hour", ahead=1, freq="D", time_zone="UTC")
    made = read_in_utc.fit_transform(table_at(days))
    assert made["hour+1"].tolist() == [16, 16]
    read_in_new_york = ordinal("hour", ahead=1, freq="D", time_zone=NEW_YORK)
    made = read_in_new_york.fit_transform(table_at(days.tz_convert("UTC")))
    assert made["hour+1"].tolist() == [13, 12]


def test_rows_without_a_step_have_a_calendar_and_no_steps_ahead():
    days = pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-09", "2024-02-20"])
    calendar = ordinal("day").fit(table_at(days))
    assert calendar.freq_ is None
    assert calendar.transform(table_at(days))["day"].tolist() == [1, 2, 9, 20]
    with pytest.raises(InvalidSequenceError, match="freq="):
        ordinal("day", ahead=1).fit(table_at(days))
    given = ordinal("day", ahead=1, freq="D").fit_transform(table_at(days))
    assert given["day+1"].tolist() == [2, 3, 10, 21]


def test_one_row_needs_the_step():
    with pytest.raises(InvalidSequenceError, match="freq="):
        ordinal("hour", ahead=1).fit(table_at(pd.DatetimeIndex(["2024-01-01"])))


def test_several_series_that_share_their_times_share_the_step():
    weather = load_nyc_weather().iloc[::-1]
    calendar = ordinal("hour", ahead=[0, 24], time="time", time_zone=NEW_YORK)
    made = calendar.fit_transform(weather)
    assert calendar.freq_ == pd.Timedelta("1h")
    local = weather["time"].dt.tz_convert(NEW_YORK)
    np.testing.assert_array_equal(made["hour"], local.dt.hour)
    later = (local + pd.Timedelta("24h")).dt.hour
    np.testing.assert_array_equal(made["hour+24"], later)


def test_an_index_that_runs_backwards_looks_ahead_all_the_same():
    table = three_days().iloc[::-1]
    made = ordinal("hour", ahead=1).fit_transform(table)
    assert made["hour+1"].iloc[:2].tolist() == [0, 23]


# What it leaves alone.


def test_rows_index_and_other_columns_stay_as_they_are():
    weather = load_nyc_weather()
    before = weather.copy()
    made = CalendarFeatures(time="time").fit_transform(weather)
    pd.testing.assert_frame_equal(weather, before)
    pd.testing.assert_frame_equal(made[list(weather.columns)], weather)
    assert list(made.columns[: weather.shape[1]]) == list(weather.columns)


def test_the_index_keeps_the_step_that_it_declares_and_its_doubles():
    table = three_days()
    assert CalendarFeatures().fit_transform(table).index.freq == "h"
    twice = pd.concat([table, table])
    assert CalendarFeatures(ahead=1).fit_transform(twice).index.equals(twice.index)


def test_no_features_add_no_columns():
    pd.testing.assert_frame_equal(
        CalendarFeatures([]).fit_transform(three_days()), three_days()
    )


def test_polars_gives_polars_with_the_same_values():
    weather = load_nyc_weather("JFK").reset_index().iloc[:50]
    calendar = CalendarFeatures(time="time", ahead=[0, 1], time_zone=NEW_YORK)
    expected = calendar.fit_transform(weather)
    made = calendar.fit_transform(pl.from_pandas(weather))
    assert isinstance(made, pl.DataFrame)
    assert made.columns == list(expected.columns)
    added = list(expected.columns[weather.shape[1] :])
    np.testing.assert_array_equal(made[added].to_numpy(), expected[added].to_numpy())
    unchanged = CalendarFeatures([], time="time").fit_transform(made)
    assert unchanged.equals(made)


@pytest.mark.parametrize("library", ["default", "pandas", "polars"])
def test_the_choice_of_output_has_no_effect(library):
    calendar = CalendarFeatures().set_output(transform=library)
    with config_context(transform_output=library):
        made = calendar.fit_transform(three_days())
    pd.testing.assert_frame_equal(made, CalendarFeatures().fit_transform(three_days()))


# What is refused.


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(5),
        pd.Index([0.5, 1.5, 2.5, 3.5, 4.5]),
        pd.timedelta_range("0s", periods=5, freq="h"),
    ],
)
def test_numbers_and_durations_have_no_calendar(index):
    with pytest.raises(InvalidSequenceError, match="have no calendar.*time="):
        CalendarFeatures().fit(table_at(index))


def test_rows_without_times_are_refused():
    with pytest.raises(InvalidSequenceError, match="no times.*time="):
        CalendarFeatures().fit(table_at(pd.Index(list("abc"))))
    with pytest.raises(InvalidSequenceError, match="no times.*time="):
        CalendarFeatures().fit(pl.DataFrame({"a": [1, 2]}))


def test_a_missing_time_is_refused():
    table = table_at(pd.DatetimeIndex(["2024-01-01", None, "2024-01-03"]))
    with pytest.raises(InvalidSequenceError, match="no time in row 1"):
        CalendarFeatures().fit(table)


def test_an_array_is_refused_and_the_way_out_named():
    with pytest.raises(TypeError, match="ndarray.*pd.DataFrame"):
        CalendarFeatures().fit(np.zeros((5, 2)))
    with pytest.raises(TypeError, match="Series"):
        CalendarFeatures().fit(three_days()["temp"])


def test_a_column_of_that_name_is_refused():
    table = three_days().assign(hour_sin=0.0)
    with pytest.raises(ValueError, match="already has a column 'hour_sin'"):
        CalendarFeatures().fit(table)
    ordinal("hour").fit(table)
    with pytest.raises(ValueError, match="already has a column 'hour_sin\\+3'"):
        CalendarFeatures(ahead=3).fit(table.rename(columns={"hour_sin": "hour_sin+3"}))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"features": ["hours"]}, "'hours'.*hour, dayofweek"),
        ({"features": "hour"}, "features"),
        ({"features": ["hour", "hour"]}, "duplicates"),
        ({"ahead": -1}, "ahead"),
        ({"ahead": [0, 1.5]}, "ahead must be"),
        ({"ahead": [1, 1]}, "duplicates"),
        ({"ahead": np.array(5)}, "ahead must be"),
        ({"ahead": np.array([[1]])}, "ahead must be"),
        ({"encoding": "onehot"}, "encoding"),
        ({"freq": 3, "ahead": 1}, "does not fit"),
        ({"time": "when"}, "names no column"),
    ],
)
def test_a_wrong_parameter_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CalendarFeatures(**options).fit(three_days())


def test_other_columns_or_kinds_of_times_than_in_fit_are_refused():
    calendar = CalendarFeatures().fit(three_days())
    with pytest.raises(ValueError, match="feature names"):
        calendar.transform(three_days().rename(columns={"temp": "dewp"}))
    with pytest.raises(InvalidSequenceError, match="dates with a time zone"):
        calendar.transform(three_days(tz="UTC"))


def test_steps_ahead_set_after_fit_are_refused():
    calendar = CalendarFeatures().fit(three_days()).set_params(ahead=1)
    with pytest.raises(ValueError, match="fit again"):
        calendar.transform(three_days())


# Life among scikit-learn's tools.


def test_it_comes_before_the_windows_and_the_network_knows_the_names():
    table = jfk()
    model = make_pipeline(
        CalendarFeatures(),
        SequenceWindower(24),
        RNNRegressor(max_epochs=1, hidden_size=4),
    )
    model.fit(table, table["temp"])
    expected = model[0].get_feature_names_out()
    assert model[-1].feature_names_in_.tolist() == expected.tolist()
    assert "dayofyear_cos" in expected
    assert len(model.predict(table)) == len(table)


def test_windows_of_several_stations_hold_their_calendar():
    weather = load_nyc_weather()
    weather = weather[weather["time"] < "2013-01-08"].sort_values("time")
    windower = SequenceWindower(6, time="time", group_by="station")
    model = make_pipeline(ordinal("hour", ahead=[0, 6], time="time"), windower)
    windows = model.fit_transform(weather[["station", "time", "temp"]])
    assert windows.feature_names == ("temp", "hour", "hour+6")
    last = windows[len(windows) - 1]
    np.testing.assert_array_equal(last[:, 2], (last[:, 1] + 6) % 24)
    np.testing.assert_array_equal(np.diff(last[:, 1]) % 24, 1)


def test_the_right_features_can_be_searched():
    table = table_at(pd.date_range("2024-01-01", periods=1000, freq="h"))
    y = np.cos(2 * np.pi * (table.index.hour - 5) / 24)
    search = GridSearchCV(
        make_pipeline(CalendarFeatures(), LinearRegression()),
        {"calendarfeatures__features": [("month",), ("hour",), ("dayofweek",)]},
        cv=TimeSeriesSplit(3),
    ).fit(table, y)
    assert search.best_params_ == {"calendarfeatures__features": ("hour",)}
    assert search.best_score_ > 0.999


def test_it_works_on_some_columns_of_a_table():
    made = make_column_transformer(
        (CalendarFeatures(["hour"]), ["temp"]), verbose_feature_names_out=False
    ).fit(three_days())
    assert made.get_feature_names_out().tolist() == ["temp", "hour_sin", "hour_cos"]
    assert made.transform(three_days()).shape == (72, 3)


def test_names_of_the_output_are_its_columns():
    calendar = CalendarFeatures(ahead=[0, 3], time="time").fit(load_nyc_weather())
    made = calendar.transform(load_nyc_weather())
    assert calendar.get_feature_names_out().tolist() == list(made.columns)
    assert calendar.n_features_in_ == 10
    assert calendar.feature_names_in_[:2].tolist() == ["station", "time"]


def test_clone_keeps_parameters_and_a_pickle_the_step():
    calendar = CalendarFeatures(
        ["month"], encoding="ordinal", ahead=[1], freq="MS", time_zone=NEW_YORK
    )
    assert clone(calendar).get_params() == calendar.get_params()
    assert not hasattr(clone(calendar.fit(three_days(tz="UTC"))), "freq_")
    again = pickle.loads(pickle.dumps(calendar))
    assert again.freq_ == pd.offsets.MonthBegin()
    pd.testing.assert_frame_equal(
        again.transform(three_days(tz="UTC")), calendar.transform(three_days(tz="UTC"))
    )


def test_tags_say_frames_of_anything_and_missing_values():
    tags = get_tags(CalendarFeatures())
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.string
    assert tags.input_tags.allow_nan
    table = three_days().assign(sky="clear")
    table.loc[table.index[3], "temp"] = np.nan
    made = CalendarFeatures().fit_transform(table)
    pd.testing.assert_frame_equal(made[["temp", "sky"]], table)


# Times that there are not.

DAYS = pd.date_range("2024-01-01", periods=30, freq="D")
TABLES = {
    "days": DAYS,
    "hours of a zone": pd.date_range(
        "2024-01-01", periods=30, freq="h", tz="Europe/Berlin"
    ),
    "days of a zone": pd.date_range(
        "2024-01-01", periods=30, freq="D", tz="Europe/Berlin"
    ),
    "months": pd.date_range("2024-01-01", periods=30, freq="MS"),
    "business days": pd.date_range("2024-01-01", periods=30, freq="B"),
    "nanoseconds": DAYS.as_unit("ns"),
    "seconds": DAYS.as_unit("s"),
    "the last days": pd.date_range("9999-11-01", periods=30, freq="D", unit="s"),
    "periods": pd.period_range("2024-01", periods=30, freq="M"),
}


@pytest.mark.parametrize("ahead", [10**8, 10**12, 10**18, 2**63, 10**30, [1, 10**12]])
@pytest.mark.parametrize("index", TABLES.values(), ids=TABLES)
def test_steps_past_the_last_time_are_refused(index, ahead):
    table = pd.DataFrame({"a": 1.0}, index=index)
    zone = "America/New_York" if getattr(index, "tz", None) else None
    calendar = CalendarFeatures(["hour", "week"], ahead=ahead, time_zone=zone)
    if ahead == 10**8 and str(index.dtype).startswith("datetime64[us, E"):
        calendar.set_params(ahead=10**9)  # hours
    with pytest.raises(InvalidSequenceError, match="the last possible time"):
        calendar.fit(table).transform(table)


@needs_pandas_3
def test_the_bound_is_that_of_the_unit_of_the_times():
    table = pd.DataFrame({"a": 1.0}, index=DAYS)
    calendar = CalendarFeatures(["dayofweek"], encoding="ordinal", ahead=100_000)
    far = calendar.fit_transform(table)["dayofweek+100000"]
    assert far.iloc[0] == (DAYS[0].day_of_week + 100_000) % 7
    short = table.set_axis(DAYS.as_unit("ns"))
    with pytest.raises(InvalidSequenceError, match="are later than 2262-04-11"):
        calendar.fit(short).transform(short)


def test_periods_past_the_last_time_are_named():
    table = pd.DataFrame({"a": 1.0}, index=pd.period_range("2000", "2004", freq="Y"))
    with pytest.raises(
        InvalidSequenceError, match="steps of YE-DEC after 2004 are later"
    ):
        CalendarFeatures(ahead=9000).fit(table).transform(table)


@pytest.mark.parametrize(
    "freq",
    [
        "10000000MS",
        pd.offsets.YearEnd(10**9),
        pd.DateOffset(years=10**6),
        "1000000D",
        pd.Timedelta.max,
    ],
    ids=str,
)
def test_a_huge_freq_is_refused(freq):
    table = pd.DataFrame({"a": 1.0}, index=DAYS)
    calendar = CalendarFeatures(["hour"], ahead=[1, 100], freq=freq)
    with pytest.raises(
        InvalidSequenceError, match="last possible time|time between rows"
    ):
        calendar.fit(table).transform(table)


@pytest.mark.parametrize(
    "freq", ["nonsense", pd.NaT, np.timedelta64("NaT", "D")], ids=str
)
def test_a_freq_that_is_none_is_refused(freq):
    table = pd.DataFrame({"a": 1.0}, index=DAYS)
    with pytest.raises(ValueError, match="freq"):
        CalendarFeatures(["hour"], ahead=1, freq=freq).fit(table)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "ahead", [[[1, 2]], [[1], [2, 3]], [1.0], [True], range(10**12)], ids=str
)
def test_lists_that_are_no_steps_ahead_are_refused(ahead):
    table = pd.DataFrame({"a": 1.0}, index=DAYS)
    with pytest.raises(ValueError, match="ahead must be an int of at least 0"):
        CalendarFeatures(["hour"], ahead=ahead).fit(table)
