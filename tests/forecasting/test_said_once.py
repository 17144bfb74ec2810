"""Tables that say which columns are their times and series, and fill_gaps."""

import io

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    ForecastDisplay,
    InvalidSequenceError,
    RNNRegressor,
    SequenceFlattener,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    fill_gaps,
    forecast,
    make_forecast_frame,
)

DAYS = pd.date_range("2024-01-01", periods=40, freq="D")
NAMES = {"time": "day", "group_by": "shop"}
BOTH = {"time": "day", "group_by": ["shop", "item"]}
QUICK = {"hidden_size": 2, "max_epochs": 1, "linear_skip": False, "random_state": 0}


def make_panel(series=(("x", "tea"), ("x", "jam"), ("y", "tea"))):
    rng = np.random.default_rng(0)
    tables = [
        pd.DataFrame(
            {
                "day": DAYS,
                "shop": shop,
                "item": item,
                "sales": rng.normal(10, 1, len(DAYS)),
            }
        )
        for shop, item in series
    ]
    return pd.concat(tables).sort_values(["day", "shop", "item"], ignore_index=True)


def make_shops():
    return make_panel([("x", "tea"), ("y", "tea")]).drop(columns="item")


def make_rival(**names):
    return make_pipeline(
        CalendarFeatures(["dayofweek"], time=names.get("time")),
        SequenceWindower(5, **names),
        SequenceFlattener(),
        LinearRegression(),
    )


def outcomes(table, model_names, task_names):
    """Return targets, forecasts, backtests and cross-validated predictions."""
    X, Y = make_forecast_frame(table, "sales", 3, **task_names)
    model = make_rival(**model_names).fit(X, Y)
    splitter = TimeBlockSplit(2, gap=2, time=task_names.get("time"))
    rows = [(train, test) for train, test in splitter.split(X)]
    return [
        Y.reset_index(drop=True),
        forecast(model, table),
        backtest(model, table, "sales", 3, cv=splitter, season=7, **task_names),
        rows[-1][0],
        model.predict(X),
    ]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other)
        else:
            np.testing.assert_array_equal(one, other)


def test_levels_of_an_index_need_no_names():
    table = make_shops()
    expected = outcomes(table, NAMES, NAMES)
    by_level = table.set_index(["shop", "day"])
    assert_same(outcomes(by_level, {}, {}), expected)


def test_attrs_of_a_table_need_no_names_anywhere():
    table = make_shops()
    expected = outcomes(table, NAMES, NAMES)
    table.attrs["sklearn_rnn"] = {**NAMES, "freq": "D"}
    assert_same(outcomes(table, {}, {}), expected)


def test_what_make_forecast_frame_was_told_its_X_says():
    table = make_shops()
    X, Y = make_forecast_frame(table, "sales", 3, freq="D", **NAMES)
    windower = SequenceWindower(5).fit(X)
    assert (windower.time_, windower.group_by_) == ("day", "shop")
    assert windower.freq_ == pd.Timedelta(days=1)
    assert CalendarFeatures(["dayofweek"]).fit(X).time_ == "day"
    assert_same(outcomes(table, {}, NAMES), outcomes(table, NAMES, NAMES))
    cross_val_predict(make_rival(), X, Y, cv=3)  # slices say so, too


def test_rows_as_steps_are_said_once():
    table = make_shops()
    table = table[table["day"].dt.day_of_week != 2]
    X, _ = make_forecast_frame(table, "sales", 3, freq="rows", **NAMES)
    assert SequenceWindower(5).fit(X).freq_ == "rows"


def test_what_is_passed_counts_more_than_what_a_table_says():
    table = make_shops().assign(half=lambda data: data["shop"] + "!")
    table.attrs["sklearn_rnn"] = NAMES
    assert SequenceWindower(5, group_by="half").fit(table).group_by_ == "half"


def test_a_parquet_file_keeps_what_a_table_says():
    X, _ = make_forecast_frame(make_shops(), "sales", 3, **NAMES)
    file = io.BytesIO()
    X.to_parquet(file)
    file.seek(0)
    assert SequenceWindower(5).fit(pd.read_parquet(file)).group_by_ == "shop"


# Several columns of series


def test_several_columns_of_series_are_one_of_both():
    table = make_panel()
    both = table.assign(both=table["shop"] + "/" + table["item"])
    both = both.drop(columns=["shop", "item"])
    one = {"time": "day", "group_by": "both"}
    found, expected = outcomes(table, BOTH, BOTH), outcomes(both, one, one)
    for k in (1, 2):
        assert found[k].columns[:2].tolist() == ["shop", "item"]
        joined = found[k]["shop"] + "/" + found[k]["item"]
        found[k] = found[k].drop(columns=["shop", "item"])
        found[k].insert(0, "both", joined)
    assert_same(found, expected)


def test_several_columns_of_series_in_arrays_and_polars():
    table = make_panel()
    windows = SequenceWindower(5, **BOTH).fit_transform(table)
    as_polars = SequenceWindower(5, **BOTH).fit_transform(pl.from_pandas(table))
    codes = table.assign(
        day=np.arange(len(table)) // 3,
        shop=pd.factorize(table["shop"])[0],
        item=pd.factorize(table["item"])[0],
    )
    by_position = {"time": 0, "group_by": [1, -2]}
    of_array = SequenceWindower(5, **by_position).fit_transform(codes.to_numpy(float))
    for other in (as_polars, of_array):
        np.testing.assert_array_equal(np.asarray(other), np.asarray(windows))


def test_series_of_several_columns_have_panels_of_their_own():
    table = make_panel()
    past = backtest(make_rival(**BOTH), table, "sales", 2, cv=2, **BOTH)
    table.attrs["sklearn_rnn"] = {"time": "day"}
    display = ForecastDisplay.from_predictions(past, table, target="sales")
    titles = [ax.get_title(loc="left") for ax in display.axes_]
    assert titles == ["x, jam", "x, tea", "y, tea"]
    one = ForecastDisplay.from_predictions(
        past, table.set_index(["shop", "item", "day"]), series=("y", "tea")
    )
    truth = table.query("shop == 'y'")["sales"].to_numpy()
    drawn = one.history_lines_[0].get_ydata()
    np.testing.assert_array_equal(drawn, truth[-len(drawn) :])


def test_future_rows_find_their_series_of_several_columns():
    table = make_panel().assign(plan=1.0)
    table["plan"] = np.arange(len(table)) % 5
    X, Y = make_forecast_frame(table[:-9], "sales", 2, known="plan", **BOTH)
    model = make_rival().fit(X, Y)
    future = table[-9:].sample(frac=1, random_state=0)
    found = forecast(model, table[:-9], future=future.drop(columns="sales"))
    changed = future["plan"].where(future["item"] != "jam", 9)
    other = forecast(model, table[:-9], future=future.assign(plan=changed))
    is_other = found["prediction"] != other["prediction"]
    assert found["item"][is_other].unique().tolist() == ["jam"]


def test_future_rows_without_a_label_are_refused():
    table = make_panel().assign(plan=1.0)
    X, Y = make_forecast_frame(table[:-9], "sales", 2, known="plan", **BOTH)
    model = make_rival().fit(X, Y)
    future = table[-9:].reset_index(drop=True)
    future.loc[4, "item"] = None
    with pytest.raises(InvalidSequenceError, match="of future has no label in row 4"):
        forecast(model, table[:-9], future=future)


def test_a_drawn_history_without_a_label_is_refused():
    table = make_panel()
    past = backtest(make_rival(**BOTH), table, "sales", 2, cv=2, **BOTH)
    table.loc[4, "item"] = None
    with pytest.raises(InvalidSequenceError, match="no label in row 4"):
        ForecastDisplay.from_predictions(past, table, target="sales", **BOTH)


# One switch for missing rows and values


def test_masking_is_one_switch():
    table = make_shops().drop(index=[5, 30])
    table.loc[20, "sales"] = np.nan
    X, Y = make_forecast_frame(table, "sales", 2, missing="mask", **NAMES)
    switch = make_pipeline(SequenceWindower(5), RNNRegressor(**QUICK)).fit(X, Y)
    names = make_pipeline(
        SequenceWindower(5, missing="mask", **NAMES),
        RNNRegressor(missing_targets="ignore", **QUICK),
    ).fit(X, Y)
    pd.testing.assert_frame_equal(forecast(switch, table), forecast(names, table))
    assert switch.score(X, Y) == names.score(X, Y)
    past = {"horizon": 2, "missing": "mask", "cv": 2, "season": 7, **NAMES}
    pd.testing.assert_frame_equal(
        backtest(switch, table, "sales", **past),
        backtest(names, table, "sales", **past),
    )


def test_a_single_target_and_the_linear_part_are_masked_by_the_same_switch():
    table = make_shops().drop(index=[5, 30])
    X, Y = make_forecast_frame(table, "sales", 1, missing="mask", **NAMES)
    options = {"max_epochs": 1, "hidden_size": 2, "random_state": 0}
    windows = SequenceWindower(5).fit_transform(X)
    found = RNNRegressor(**options).fit(windows, Y["sales+1"])
    expected = RNNRegressor(missing_targets="ignore", **options)
    expected.fit(windows, Y["sales+1"])
    np.testing.assert_array_equal(found.predict(windows), expected.predict(windows))


def test_missing_targets_of_other_tables_are_an_error_still():
    table = make_shops().drop(index=[5, 30])
    X, Y = make_forecast_frame(table, "sales", 2, missing="mask", **NAMES)
    Y.attrs = {}
    model = make_pipeline(SequenceWindower(5), RNNRegressor(**QUICK))
    with pytest.raises(ValueError, match="missing_targets='ignore'"):
        model.fit(X, Y)
    X.attrs = {}
    windower = SequenceWindower(5, missing="auto", **NAMES)
    assert np.isnan(windower.fit_transform(X).values).any()


# fill_gaps


def test_fill_gaps_makes_a_panel_regular_and_says_so():
    table = make_panel().drop(index=[4, 50])
    filled = fill_gaps(table, **BOTH)
    assert len(filled) == len(make_panel())
    assert filled["sales"].isna().sum() == 2
    assert filled[["day", "shop", "item"]].equals(make_panel()[["day", "shop", "item"]])
    X, Y = make_forecast_frame(filled, "sales", 2)
    found = make_pipeline(SequenceWindower(5), RNNRegressor(**QUICK)).fit(X, Y)
    expected = make_forecast_frame(table, "sales", 2, missing="mask", **BOTH)
    pd.testing.assert_frame_equal(X, expected[0])
    assert len(forecast(found, filled)) == 6
    assert table.attrs == {}


def test_fill_gaps_takes_values_of_missing_rows_from_a_table():
    table = make_panel().assign(offer="none").drop(index=[4, 50])
    missing = make_panel().loc[[4, 50]].assign(offer=["gift", "coupon"])
    filled = fill_gaps(table, known=missing.drop(columns="sales"), **BOTH)
    added = filled[filled["sales"].isna()]
    assert added["offer"].tolist() == ["gift", "coupon"]
    assert (filled["offer"] == "none").sum() == len(table)
    # Without labels of series: the same for all.
    by_day = pd.DataFrame({"day": missing["day"], "offer": ["a", "b"]})
    filled = fill_gaps(table, known=by_day, **BOTH)
    assert filled.loc[filled["sales"].isna(), "offer"].tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="two rows for"):
        fill_gaps(table, known=pd.concat([by_day, by_day]), **BOTH)
    with pytest.raises(ValueError, match="no column of data among them"):
        fill_gaps(table, known=by_day[["day"]], **BOTH)


def make_holidays(holed=(4,)):
    table = pd.DataFrame({"v": 1.0, "holiday": 0.0}, index=DAYS[:9])
    return table.drop(DAYS[list(holed)])


def test_fill_gaps_refuses_a_known_table_that_matches_nothing():
    by_column = pd.DataFrame({"date": DAYS[:9], "holiday": 1.0})
    with pytest.raises(ValueError, match=r"its index.*Timestamp.*but it has.*0"):
        fill_gaps(make_holidays(), known=by_column, freq="D")
    by_date = by_column.set_index("date")
    for moved in (
        by_date.shift(365, freq="D"),
        by_date.tz_localize("UTC"),
        by_date.set_axis(by_date.index.astype(str)),
    ):
        with pytest.raises(ValueError, match="no row at a time of data"):
            fill_gaps(make_holidays(), known=moved)
    table = make_panel().drop(index=[4])
    other = make_panel([("z", "tea")])
    with pytest.raises(ValueError, match="column 'day', and the series in"):
        fill_gaps(table, known=other, **BOTH)
    assert len(fill_gaps(make_holidays(), known=by_date[:0])) == 9


def test_fill_gaps_fills_added_rows_alone_whatever_known_is():
    table = make_holidays()
    table.loc[DAYS[6], "holiday"] = np.nan
    known = pd.DataFrame({"holiday": 1.0}, index=DAYS)
    by_table = fill_gaps(table, known=known)["holiday"]
    assert by_table[DAYS[4]] == 1
    assert by_table.isna().to_numpy().nonzero()[0].tolist() == [6]
    panel = make_panel().assign(offer=1.0).drop(index=[4, 50])
    panel.loc[7, "offer"] = np.nan
    known = make_panel().assign(offer=1.0).drop(columns="sales")
    by_table = fill_gaps(panel, known=known, **BOTH)
    by_level = panel.set_index(["shop", "item", "day"])
    by_level = fill_gaps(by_level, known=known.set_index(by_level.index.names))
    by_name = fill_gaps(panel.fillna({"offer": -1.0}), known="offer", **BOTH)
    assert by_table["offer"].isna().to_numpy().nonzero()[0].tolist() == [7]
    assert by_level["offer"].isna().to_numpy().nonzero()[0].tolist() == [7]
    assert (by_name["offer"] == -1).to_numpy().nonzero()[0].tolist() == [7]


def test_known_columns_of_added_rows_are_known_ahead():
    table = make_shops()
    table["weekend"] = (table["day"].dt.day_of_week >= 5).astype(int)
    holed = table.drop(index=[9, 31])
    whole = make_forecast_frame(table, "sales", 2, known="weekend", **NAMES)[0]
    options = {"known": "weekend", "missing": "mask", **NAMES}
    found = make_forecast_frame(holed, "sales", 2, **options)[0]
    columns = ["weekend", "weekend+1", "weekend+2"]
    pd.testing.assert_frame_equal(found[columns], whole[columns])


def test_fill_gaps_of_one_series_by_its_index():
    table = pd.DataFrame({"sales": [1.0, 2.0, 4.0, 5.0]}, index=DAYS[[0, 1, 3, 4]])
    filled = fill_gaps(table["sales"])
    expected = pd.DataFrame({"sales": [1.0, 2.0, np.nan, 4.0, 5.0]}, index=DAYS[:5])
    pd.testing.assert_frame_equal(filled, expected, check_freq=False)
    regular = fill_gaps(expected)
    assert regular is not expected
    assert regular.attrs == {"sklearn_rnn": {"missing": "mask"}}


def test_fill_gaps_refuses_what_it_cannot_fill():
    with pytest.raises(InvalidSequenceError, match="have no times"):
        fill_gaps(pd.DataFrame({"x": [1.0]}, index=["a"]))
    with pytest.raises(TypeError, match="to_pandas"):
        fill_gaps(pl.DataFrame({"x": [1.0]}))
    with pytest.raises(ValueError, match="known='size'"):
        fill_gaps(make_shops(), known="size", **NAMES)


def make_hours(n_days=20):
    hours = pd.date_range("2024-01-01", periods=24 * n_days, freq="h")
    return pd.DataFrame({"v": np.arange(24.0 * n_days)}, index=hours).drop(hours[[5]])


def test_a_filled_table_is_read_with_its_new_step_after_resampling():
    filled = fill_gaps(make_hours(), freq="h")
    for daily in (filled.resample("D").mean(), filled.iloc[::24]):
        X, Y = make_forecast_frame(daily, target="v", horizon=1)
        assert len(Y) == 19
        assert SequenceWindower(3).fit(X).freq_ == pd.Timedelta(days=1)


def test_a_stated_step_that_most_rows_contradict_is_an_error():
    table = make_hours()
    table.attrs["sklearn_rnn"] = {"freq": "h", "missing": "mask"}
    daily = table.resample("D").mean()
    for read in (
        lambda data: make_forecast_frame(data, target="v", horizon=1),
        lambda data: SequenceWindower(3).fit(data),
        fill_gaps,
    ):
        with pytest.raises(InvalidSequenceError, match=r"are D apart.*attrs\.pop"):
            read(daily)
    assert len(make_forecast_frame(daily, "v", 1, freq="D")[1]) == 19
    assert len(make_forecast_frame(daily, "v", 1, freq="h")[1]) == 19 * 24
    daily.attrs.pop("sklearn_rnn")
    assert len(make_forecast_frame(daily, "v", 1)[1]) == 19


def test_parts_of_a_table_keep_the_stated_step():
    months = pd.date_range("2024-01-01", periods=9, freq="MS")
    table = pd.concat(
        pd.DataFrame({"day": months.delete(3), "shop": shop, "sales": 1.0})
        for shop in "xy"
    )
    filled = fill_gaps(table, freq="MS", **NAMES)
    assert filled.attrs["sklearn_rnn"] == {**NAMES, "freq": "MS", "missing": "mask"}
    parts = [
        filled[filled["shop"] == "x"],
        filled[filled["day"] < months[2]],
        filled.groupby("shop").head(2),
        filled[filled["day"].dt.month % 3 != 0],
        filled.iloc[[0, 1, 2, 4, 5, 7, 8]],
    ]
    for part in parts:
        assert SequenceWindower(1).fit(part).freq_ == pd.offsets.MonthBegin()
    irregular = filled.iloc[[0, 2, 5, 6]]  # most rows keep no step at all
    assert SequenceWindower(1).fit(irregular).freq_ == pd.offsets.MonthBegin()
