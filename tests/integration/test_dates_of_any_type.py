"""Dates that pandas does not store as dates are times all the same, everywhere."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from old_versions import needs_pandas_3
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    InvalidSequenceError,
    RNNClassifier,
    RNNRegressor,
    SequenceScaler,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
    make_windows,
)

DAYS = pd.date_range("2024-03-01", periods=20, freq="D")
ZONE = "Europe/Berlin"


def objects(values):
    return pd.Index(list(values), dtype=object)


# What stands for DAYS, by how it is stored.
DATES = {
    "date": objects(DAYS.date),
    "datetime": objects(DAYS.to_pydatetime()),
    "Timestamp": objects(DAYS),
    "datetime64": objects(list(DAYS.to_numpy())),
    "date and Timestamp": objects([*DAYS[:9].date, *DAYS[9:]]),
    "Period": objects(DAYS.to_period("D")),
    "with zone": objects(DAYS.tz_localize(ZONE)),
    "datetime with zone": objects(DAYS.tz_localize(ZONE).to_pydatetime()),
    "categories": pd.CategoricalIndex(DAYS),
    "categories of date": pd.CategoricalIndex(objects(DAYS.date)),
    "categories of Period": pd.CategoricalIndex(DAYS.to_period("D")),
    "Arrow date": pd.Index(pd.array(DAYS.date, dtype=pd.ArrowDtype(pa.date32()))),
    "Arrow timestamp": pd.Index(DAYS.astype("timestamp[us][pyarrow]")),
    "timedelta": objects((DAYS - DAYS[0]).to_pytimedelta()),
    "numbers": objects(range(20)),
    "Decimal": objects([Decimal(k) / 4 for k in range(20)]),
    "categories of numbers": pd.CategoricalIndex(range(20)),
}
ON_A_CALENDAR = [
    name for name in DATES if not name.endswith(("delta", "numbers", "Decimal"))
]
WRITTEN = {
    "objects": objects(DAYS.strftime("%Y-%m-%d")),
    "str": pd.Index(DAYS.strftime("%Y-%m-%d"), dtype="str"),
    "string": pd.Index(DAYS.strftime("%Y-%m-%d"), dtype="string"),
    "Arrow": pd.Index(DAYS.strftime("%Y-%m-%d"), dtype=pd.ArrowDtype(pa.string())),
    "categories": pd.CategoricalIndex(DAYS.strftime("%Y-%m-%d")),
    "compact": pd.Index(DAYS.strftime("%Y%m%d")),
    "with dots": pd.Index(DAYS.strftime("%d.%m.%Y")),
    "in words": pd.Index(DAYS.strftime("%d %B %Y")),
    "with underscores": pd.Index(DAYS.strftime("%Y_%m_%d")),
    "bytes": objects([day.encode() for day in DAYS.strftime("%Y-%m-%d")]),
    "months": pd.Index([f"{year}-01" for year in range(2000, 2020)]),
    "quarters": pd.Index([f"{year}Q1" for year in range(2000, 2020)]),
    "years": pd.Index([str(year) for year in range(2000, 2020)]),
    "a missing one first": objects([None, *DAYS[1:].strftime("%Y-%m-%d")]),
}


def table(index=DAYS):
    return pd.DataFrame({"a": np.arange(20.0), "b": 1.0}, index=index)


def in_column(index):
    return table(pd.RangeIndex(20)).assign(when=index)


@pytest.mark.parametrize("name", DATES)
def test_a_windower_reads_them_from_index_and_column(name):
    for X, time in [(table(DATES[name]), None), (in_column(DATES[name]), "when")]:
        windower = SequenceWindower(3, time=time).fit(X[:10])
        assert windower.freq_ is not None
        assert windower.transform(X[10:]).lengths.tolist() == [3] * 10
        assert windower.transform(X[11:]).lengths.tolist() == [1, 2] + [3] * 7


@pytest.mark.parametrize("name", DATES)
def test_what_is_wrong_with_them_is_seen_everywhere(name):
    index = DATES[name]
    backwards, twice = table(index)[::-1], table(index).iloc[[0, 1, 1, 2, 3, 4]]
    for wrong, message in [(backwards, "not sorted"), (twice, "twice")]:
        by_column = wrong.reset_index(names="when")
        for act in (
            lambda X: SequenceWindower(3).fit(X),
            lambda X: make_forecast_frame(X, "a"),
            lambda X: make_forecast_frame(X, "a", missing="mask"),
            lambda X: backtest(RNNRegressor(), X, "a", cv=1),
        ):
            with pytest.raises(InvalidSequenceError, match=message):
                act(wrong)
        with pytest.raises(InvalidSequenceError, match=message):
            make_forecast_frame(by_column, "a", time="when")
    with pytest.raises(InvalidSequenceError, match="gap"):
        make_forecast_frame(table(index).iloc[np.arange(20) != 4], "a")


@pytest.mark.parametrize("name", ON_A_CALENDAR)
def test_calendars_and_windows_of_arrays_read_them_too(name):
    X = table(DATES[name])
    calendar = CalendarFeatures(["day"], encoding="ordinal", ahead=[0, 1])
    made = calendar.fit_transform(X)
    assert made["day"].tolist() == list(range(1, 21))
    assert made["day+1"].tolist() == list(range(2, 22))
    assert len(make_windows(X, n_steps=3)) == 18
    with pytest.raises(InvalidSequenceError, match="not sorted"):
        make_windows(X[::-1], n_steps=3)
    train, test = next(TimeBlockSplit(1, test_size="3D").split(X[::-1]))
    assert (train.tolist(), test.tolist()) == (list(range(3, 20)), [0, 1, 2])
    train, test = next(TimeBlockSplit(1, test_size="3D").split(X, groups=DATES[name]))
    assert len(test) == 3


@pytest.mark.parametrize("name", ON_A_CALENDAR)
def test_a_table_with_such_an_index_given_to_an_estimator_is_refused(name):
    for estimator in (RNNRegressor(), RNNClassifier(), SequenceScaler()):
        with pytest.raises(InvalidSequenceError, match="table with a time index"):
            estimator.fit(table(DATES[name]), np.arange(20) % 2)


def test_estimators_refuse_written_dates_durations_and_levels_of_dates_too():
    levels = pd.MultiIndex.from_product([["x"], DAYS.date])
    for index in (WRITTEN["str"], DAYS - DAYS[0], levels):
        with pytest.raises(InvalidSequenceError, match="table with a time index"):
            RNNRegressor().fit(table(index), np.arange(20))
    assert RNNRegressor(max_epochs=1).fit(table(list("abcdefghijklmnopqrst")), DAYS.day)


@pytest.mark.thorough
@pytest.mark.parametrize("name", WRITTEN)
def test_written_dates_are_refused_as_in_a_column(name):
    for act in (
        lambda X: SequenceWindower(3).fit(X),
        lambda X: make_forecast_frame(X, "a"),
        lambda X: make_windows(X, n_steps=3),
        lambda X: CalendarFeatures().fit(X),
        lambda X: next(TimeBlockSplit(2).split(X)),
    ):
        with pytest.raises(InvalidSequenceError, match="pd.to_datetime"):
            act(table(WRITTEN[name]))
    with pytest.raises(InvalidSequenceError, match="pd.to_datetime"):
        SequenceWindower(3, time="when").fit(in_column(WRITTEN[name]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [*DAYS[:19].tz_localize("UTC"), DAYS[19].tz_localize(ZONE)],
            "several time zo",
        ),
        ([*DAYS[:19], DAYS[19].tz_localize("UTC")], "several time zones.*tz_localize"),
        ([*DAYS[:19].to_period("D"), pd.Period("2024-04", "M")], "several frequencies"),
        ([*DAYS[:19].date, "total"], "date and str"),
        ([*DAYS[:19], 3], "Timestamp and int"),
        ([dt.time(hour) for hour in range(20)], "times of day without a date"),
        ([*DAYS[:3].date, None, *DAYS[4:].date], "no time in row 3"),
        (
            [*DAYS[:3].to_period("D"), pd.NaT, *DAYS[4:].to_period("D")],
            "no time in row",
        ),
        ([None] * 20, "no time in row 0"),
        pytest.param([10**400, *range(19)], "too large", marks=needs_pandas_3),
    ],
)
def test_what_is_ambiguous_is_refused_from_index_and_column(values, message):
    index = objects(values)
    with pytest.raises(InvalidSequenceError, match=message):
        SequenceWindower(3).fit(table(index))
    with pytest.raises(InvalidSequenceError, match=message):
        SequenceWindower(3, time="when").fit(in_column(index))


class LeapDay:
    """A date of a calendar that pandas does not know, as those of cftime."""

    year, month, day = 2024, 2, 30


def test_dates_of_other_calendars_are_refused():
    with pytest.raises(InvalidSequenceError, match="LeapDay"):
        SequenceWindower(3).fit(table(objects([LeapDay()] * 20)))


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([True, False] * 10),
        objects([True, False] * 10),
        pd.interval_range(0, 20),
        pd.Index(np.arange(20) * 1j),
    ],
)
def test_an_index_of_neither_times_nor_names_is_refused(index):
    with pytest.raises(InvalidSequenceError, match=r"not times.*reset_index"):
        SequenceWindower(3).fit(table(index))


@pytest.mark.parametrize("bad", [np.inf, 2**63 + 7])
def test_times_that_no_clock_shows_are_refused(bad):
    index = pd.Index([*range(19), bad], dtype=float if bad == np.inf else np.uint64)
    with pytest.raises(InvalidSequenceError, match="in row 19"):
        SequenceWindower(3).fit(table(index))


@pytest.mark.parametrize(
    "names",
    [
        [f"run {k}" for k in range(20)],
        [f"1.2.{k}" for k in range(20)],
        [f"mark {k}" for k in range(20)],
        [str(99999900 + k) for k in range(20)],
    ],
)
def test_names_stay_names(names):
    for index in (pd.Index(names), pd.CategoricalIndex(names), objects(names)):
        windower = SequenceWindower(3, history=None).fit(table(index)[::-1])
        assert windower.freq_ is None


@pytest.mark.thorough
@pytest.mark.parametrize(
    "names",
    [
        [f"34-77-{1234 + k}" for k in range(20)],
        [f"2024/{40 + k}/7" for k in range(20)],
        [*[f"ward {k}" for k in range(19)], "5 mar 2"],
        ["5 mar 2024", *[f"ward {k}" for k in range(19)]],
        [f"{k + 1} mar {k} left" for k in range(20)],
    ],
)
def test_identifiers_are_names_though_some_read_like_dates(names):
    for index in (pd.Index(names), pd.CategoricalIndex(names), objects(names)):
        SequenceWindower(3, history=None).fit(table(index))
        make_windows(table(index), n_steps=3)
        RNNClassifier(max_epochs=1).fit(table(index), np.arange(20) % 2)


@pytest.mark.parametrize(
    "names",
    [
        [str(1801 + k) for k in range(20)],
        list(DAYS.strftime("%Y%m%d")),
        [*DAYS[:19].strftime("%Y-%m-%d"), "the newest"],
    ],
)
def test_what_may_be_dates_is_refused_of_a_table_alone(names):
    with pytest.raises(InvalidSequenceError, match="pd.to_datetime"):
        SequenceWindower(3).fit(table(pd.Index(names)))
    RNNClassifier(max_epochs=1).fit(table(pd.Index(names)), np.arange(20) % 2)


@pytest.mark.parametrize(
    "written",
    [
        [f"2024-W{k + 1:02}" for k in range(20)],
        [f"{1500 + k}-02-28" for k in range(20)],
        [f"1/{k + 1}/2024" for k in range(20)],
        [f"2024-03-01T{k:02}:00+01:00" for k in range(20)],
        [f"2024-03-01 {k:02}:00:00.123456" for k in range(20)],
        [f"{k:02}:30" for k in range(20)],
        [f"Mon, {k + 1} March 2024" for k in range(20)],
    ],
)
def test_written_dates_of_many_kinds_are_refused_everywhere(written):
    with pytest.raises(InvalidSequenceError, match="pd.to_datetime"):
        SequenceWindower(3).fit(table(pd.Index(written)))
    with pytest.raises(InvalidSequenceError, match="table with a time index"):
        RNNClassifier().fit(table(pd.Index(written)), np.arange(20) % 2)


def test_a_date_far_down_a_long_index_is_seen():
    index = pd.Index([*["ward"] * 10, *["2024-01-01"] * 5000])
    with pytest.raises(InvalidSequenceError, match="pd.to_datetime"):
        SequenceWindower(3).fit(pd.DataFrame({"a": np.zeros(5010)}, index=index))


def test_a_forgotten_column_of_dates_is_found_whatever_its_type():
    for index in (DATES["date"], DATES["categories"], WRITTEN["str"]):
        with pytest.raises(InvalidSequenceError, match="time='when'"):
            make_forecast_frame(in_column(index), "a")
        with pytest.raises(InvalidSequenceError, match="time='when'"):
            next(TimeBlockSplit(2).split(in_column(index)))
        with pytest.raises((InvalidSequenceError, TypeError), match="name it in time="):
            SequenceWindower(3).fit(in_column(index))


def test_polars_dates_and_arrays_of_dates_are_times():
    frame = pl.DataFrame({"when": list(DAYS.date), "a": np.arange(20.0)})
    array = np.column_stack([objects(DAYS.date), np.arange(20.0)])
    for X, time in ((frame, "when"), (array, 0)):
        windower = SequenceWindower(3, time=time).fit(X[:10])
        assert windower.transform(X[10:]).lengths.tolist() == [3] * 10
        with pytest.raises(InvalidSequenceError, match="not sorted"):
            windower.fit(X[::-1])


def test_a_forecast_from_an_index_of_date_objects_is_dated():
    X = table(DATES["date"])
    rows, Y = make_forecast_frame(X, "a", 2)
    model = make_pipeline(
        SequenceWindower(4), RNNRegressor(hidden_size=2, max_epochs=1)
    )
    frame = forecast(model.fit(rows, Y), X)
    assert frame.index.tolist() == [DAYS[-1] + pd.Timedelta(days=k) for k in (1, 2)]
    with pytest.raises(InvalidSequenceError, match="not sorted"):
        forecast(model, X[::-1])
