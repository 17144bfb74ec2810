"""Row times: X and y that tell other times, and windows across gaps."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import (
    InvalidSequenceError,
    SequenceWindower,
    SklearnRNNWarning,
    WindowHistoryWarning,
    make_forecast_frame,
    make_windows,
)

DAYS = pd.date_range("2024-01-01", periods=40, freq="D")
MONTHS = pd.period_range("2020-01", periods=40, freq="M")
TABLE = pd.DataFrame({"a": np.arange(40.0)}, index=DAYS)


def relabelled(index):
    return pd.Series(np.arange(float(len(index))), index=index)


# Pairs of indexes of the same times, told in different ways.
SAME = {
    "dates": (DAYS, DAYS),
    "dates and date objects": (DAYS, pd.Index(DAYS.date, dtype=object)),
    "dates and periods": (DAYS, DAYS.to_period("D")),
    "periods and dates": (MONTHS, MONTHS.to_timestamp(how="end")),
    "periods and starts": (MONTHS, MONTHS.to_timestamp()),
    "zone and wall clock": (DAYS.tz_localize("Europe/Berlin"), DAYS),
    "two zones": (
        DAYS.tz_localize("Europe/Berlin"),
        DAYS.tz_localize("Europe/Berlin").tz_convert("UTC"),
    ),
    "durations": (DAYS - DAYS[0], DAYS - DAYS[0]),
    "categories": (DAYS, pd.CategoricalIndex(DAYS)),
}


@pytest.mark.parametrize("name", SAME)
def test_targets_at_other_times_than_their_rows_are_told_of(name):
    index, other = SAME[name]
    X, y = TABLE.set_axis(index), relabelled(other)
    for act in (
        lambda X, y: SequenceWindower(5).fit(X, y),
        lambda X, y: SequenceWindower(5).fit_transform(X, y),
        lambda X, y: make_windows(X, y, n_steps=5),
        lambda X, y: make_windows(X["a"], y.to_frame(), n_steps=5),
    ):
        act(X, y)
        act(X[:-1], y[:-1])
        message = r"different times in 39 of 39 rows: row 0 .*X\.align.*make_forecast"
        with pytest.warns(SklearnRNNWarning, match=message) as caught:
            act(X[:-1], y[1:])
        assert caught[0].filename == __file__
        with pytest.warns(SklearnRNNWarning, match="different times"):
            act(X, y[::-1])


@pytest.mark.parametrize("start", ["2024-01-01", "2024-07-01"])
def test_targets_an_hour_off_are_told_of_whatever_their_time_zones(start):
    naive = pd.date_range(start, periods=40, freq="h")
    zoned, hour = naive.tz_localize("Europe/Berlin"), pd.Timedelta("1h")
    in_utc = zoned.tz_convert("UTC")
    X = TABLE.set_axis(zoned)
    for index in (naive, zoned, in_utc, naive.to_period("h")):
        SequenceWindower(5).fit(X, relabelled(index))
        SequenceWindower(5).fit(TABLE.set_axis(index), relabelled(index))
        for shift in (-2 * hour, -hour, hour, 2 * hour):
            with pytest.warns(SklearnRNNWarning, match="in 40 of 40 rows"):
                SequenceWindower(5).fit(X, relabelled(index + shift))
            with pytest.warns(SklearnRNNWarning, match="in 40 of 40 rows"):
                SequenceWindower(5).fit(TABLE.set_axis(index + shift), X["a"])
    # A clock of another zone tells other times, for all that they are instants.
    with pytest.warns(SklearnRNNWarning, match="in 40 of 40 rows"):
        SequenceWindower(5).fit(X, relabelled(in_utc.tz_localize(None)))


def test_aligned_targets_are_fine():
    y = TABLE["a"]
    SequenceWindower(5).fit(*TABLE[:-1].align(y[1:], join="inner", axis=0))


def test_a_single_row_out_of_place_is_named():
    y = relabelled(DAYS.where(DAYS != DAYS[7]))
    with pytest.warns(SklearnRNNWarning, match="in 1 of 40 rows: row 7 of X"):
        SequenceWindower(5).fit(TABLE, y)


def test_times_in_a_column_and_in_levels_are_compared_too():
    by_column, y = TABLE.reset_index(names="day"), relabelled(DAYS)
    windower = SequenceWindower(5, time="day")
    windower.fit(by_column, y).fit(by_column, by_column["a"])
    with pytest.warns(SklearnRNNWarning, match="different times"):
        windower.fit(by_column[:-1], y[1:])
    long = pd.concat({"x": TABLE, "y": TABLE}, names=["item", "day"])
    windower = SequenceWindower(5, time="day", group_by="item")
    windower.fit(long, long["a"])
    with pytest.warns(SklearnRNNWarning, match="different times"):
        windower.fit(long[:-1], long["a"][1:])


def test_targets_without_dates_and_those_of_a_forecast_frame_are_fine():
    X, Y = make_forecast_frame(TABLE, "a", 3)
    values = Y.to_numpy()
    for y in (Y, Y["a+1"], values, values.tolist(), Y.reset_index(drop=True), None):
        SequenceWindower(5).fit(X, y)
    for index in (np.arange(1, 38), [f"row {k}" for k in range(37)]):
        SequenceWindower(5).fit(X, Y.set_axis(index))
    SequenceWindower(5).fit(X.reset_index(drop=True), Y)
    SequenceWindower(5).fit(np.zeros((37, 1)), Y)


def test_windows_across_missing_days_are_told_of():
    holed = TABLE.drop(DAYS[[20, 31]])
    message = r"10 of 33 windows, .* 2 gap\(s\).* than D, .*asfreq\('D'\).*to_numpy"
    with pytest.warns(WindowHistoryWarning, match=message) as caught:
        windows, _ = make_windows(holed, holed["a"], n_steps=5)
    assert caught[0].filename == __file__
    assert (windows.lengths == 5).all()
    with pytest.warns(WindowHistoryWarning, match="8 of 34 windows"):
        make_windows(holed["a"], n_steps=5)
    with pytest.warns(WindowHistoryWarning, match="2 of 37"):
        make_windows(holed, holed["a"], n_steps=1)
    irregular = pd.Timestamp("2024") + pd.to_timedelta(np.arange(40) ** 2, unit="h")
    with pytest.warns(WindowHistoryWarning, match="follow no step"):
        make_windows(TABLE.set_axis(irregular), n_steps=5)


@pytest.mark.parametrize(
    "index",
    [
        pd.bdate_range("2024-01-01", periods=40),
        pd.date_range("2024-01-31", periods=40, freq="ME"),
        pd.date_range("2024-03-01", periods=40, freq="D", tz="Europe/Berlin"),
        pd.RangeIndex(40),
        np.arange(40)[::-1] ** 2,
        [f"row {k}" for k in range(40)],
    ],
)
def test_windows_of_regular_rows_and_rows_without_dates_are_fine(index):
    X = TABLE.set_axis(index)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_windows(X, X["a"], n_steps=5)
        make_windows(X.iloc[[0, 1, 2, 9, 10, 11]].to_numpy(), n_steps=3)
    holed = TABLE.drop(DAYS[[20, 31]])
    make_windows(holed, n_steps=1)
    make_windows(holed, n_steps=2, stride=10)


def test_dated_rows_of_arrays_have_to_be_in_order():
    with pytest.raises(InvalidSequenceError, match="not sorted by time"):
        make_windows(TABLE[::-1], n_steps=5)
    with pytest.raises(InvalidSequenceError, match="twice.*cut each on its own"):
        make_windows(TABLE.iloc[[0, 1, 1, 2]], n_steps=2)
    with pytest.raises(InvalidSequenceError, match="cut each on its own"):
        make_windows(pd.concat({"x": TABLE, "y": TABLE}), n_steps=5)
    with pytest.raises(InvalidSequenceError, match="no time in row 2"):
        make_windows(TABLE.set_axis(DAYS.where(DAYS != DAYS[2])), n_steps=5)
    assert len(make_windows(pd.concat({"x": TABLE}), n_steps=5)) == 36
