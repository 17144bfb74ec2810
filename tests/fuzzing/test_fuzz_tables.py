"""Random tables through windows, targets and forecasts, with the true steps known."""

import numpy as np
import pandas as pd
from fuzz_outcomes import (
    FEW_AND_MANY,
    assert_finite,
    fuzz,
    only_documented_warnings,
    outcome,
    rarely,
)
from fuzz_tables import CALENDARS, tables
from hypothesis import assume
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    RNNRegressor,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
    make_windows,
)

QUICK = {"hidden_size": 3, "max_epochs": 1, "kernel": "torch", "random_state": 0}


@st.composite
def windowings(draw):
    """Draw a table, how to window it, and where to split it."""
    table = draw(tables())
    params = {
        "n_steps": draw(st.integers(1, 8)),
        "history": draw(st.sampled_from(["auto", "train", None])),
        "missing": draw(st.sampled_from([None, None, "mask"])),
    }
    return table, params, draw(st.floats(0.5, 1.0))


def assert_windows_hold_true_neighbours(windowing):
    table, params, at = windowing
    windower = SequenceWindower(**params, **table.names)
    windows, error = outcome(lambda: windower.fit_transform(table.frame))
    if table.sound and table.regular:
        assert error is None, error
    if windows is None:
        return
    assert len(windows) == len(table)
    if params["missing"] is None:
        values = table.frame[["a", "b"]].to_numpy() if table.sound else None
        for i in range(0, len(table) if table.sound else 0, 7):
            np.testing.assert_array_equal(windows[i][-1], values[i])
    if not (table.sound and table.regular):
        return
    expected = table.window_lengths(params["n_steps"])
    np.testing.assert_array_equal(windows.lengths, expected)
    assert_history_continues(table, params, at, windower.freq_)


def assert_history_continues(table, params, at, freq):
    """A later part is windowed as it is within the whole."""
    if "group_by" in table.names or params["history"] != "auto" or params["missing"]:
        return
    n_train = int(at * len(table))
    windower = SequenceWindower(**params, **table.names)
    with only_documented_warnings():
        windower.fit(table.frame.iloc[:n_train])
    assume(n_train >= 20 and n_train < len(table))
    # A day of the week that a few rows miss by chance is taken for a day off.
    assume(windower.freq_ == freq)
    windows, error = outcome(lambda: windower.transform(table.frame.iloc[n_train:]))
    expected = table.window_lengths(params["n_steps"])[n_train:]
    if len(expected) > 1 and (np.diff(table.steps[n_train:]) > 1).all():
        return  # no two rows are neighbours, which may be refused
    assert error is None, error
    np.testing.assert_array_equal(windows.lengths, expected)


@FEW_AND_MANY
def test_windows_hold_true_neighbours(n_calls):
    fuzz(windowings(), assert_windows_hold_true_neighbours, n_calls)


@st.composite
def forecasts(draw):
    """Draw a table, what to forecast, and from which of its rows."""
    table = draw(tables())
    horizon = draw(st.sampled_from([1, 2, 3, [1, 3], [2]]))
    if rarely(draw):
        horizon = draw(st.sampled_from([0, -1, 1.5, [], 10**5, "a"]))
    missing = draw(st.sampled_from(["raise", "mask"]))
    calendar = draw(st.sampled_from([None, None, "hour", "dayofyear"]))
    n_newest = draw(st.sampled_from([1, 3, 10, 10_000]))
    n_steps = draw(st.integers(1, 6))
    return table, horizon, missing, calendar, n_newest, n_steps


def assert_targets_are_steps_ahead(table, horizon, X, Y):
    """Look each target up among the true steps."""
    keys = zip(table.groups, table.steps, strict=True)
    values = dict(zip(keys, table.frame["a"], strict=True))
    step_of = {as_key(t): k for k, t in enumerate(CALENDARS[table.calendar](100))}
    times = X["when"] if "when" in X else X.index
    groups = (
        X["series"].map({"x": 0, "y": 1, "z": 2}) if "series" in X else [0] * len(X)
    )
    steps = range(1, horizon + 1) if isinstance(horizon, int) else horizon
    for i, (time, group) in enumerate(zip(times, groups, strict=True)):
        for ahead in steps:
            expected = values.get((group, step_of[as_key(time)] + ahead), np.nan)
            np.testing.assert_equal(Y[f"a+{ahead}"].iloc[i], expected)


def assert_a_forecast_is_dated_and_finite(drawn):
    table, horizon, missing, calendar, n_newest, n_steps = drawn
    made, _ = outcome(
        lambda: make_forecast_frame(
            table.frame, "a", horizon, missing=missing, **table.names
        )
    )
    if made is None:
        return
    X, Y = made
    if table.sound and table.regular and missing == "mask":
        assert_targets_are_steps_ahead(table, horizon, X, Y)
    steps = [SequenceWindower(n_steps, missing="mask", **table.names)]
    if calendar is not None:
        steps.insert(0, CalendarFeatures([calendar], time=table.names.get("time")))
    model = make_pipeline(
        *steps,
        RNNRegressor(**QUICK, target_feature="auto", missing_targets="ignore"),
    )
    fitted, _ = outcome(lambda: model.fit(X, Y))
    if fitted is None:
        return
    newest = table.frame.iloc[-n_newest:]
    found, _ = outcome(lambda: forecast(fitted, newest))
    if found is None:
        return
    assert_finite(found["prediction"].to_numpy())
    if table.sound and table.regular:
        assert_dates_are_those_of_the_calendar(table, newest, found)


def assert_dates_are_those_of_the_calendar(table, newest, found):
    calendar = CALENDARS[table.calendar](len(table.steps) + 100)
    last = dict(zip(table.groups, table.steps, strict=True))
    names = np.array(["x", "y", "z"])
    for time, row in found.iterrows():
        group = 0
        if "group_by" in table.names:
            group = int(np.flatnonzero(names == row["series"])[0])
        due = calendar[last[group] + int(row["horizon"])]
        assert as_key(time) == as_key(due)


def as_key(time):
    """Return a time in a form that compares and hashes alike for all its types."""
    if isinstance(time, (pd.Period, pd.Timedelta, int, np.integer)):
        return time
    return round(time, 6) if isinstance(time, float) else pd.Timestamp(time)


@FEW_AND_MANY
def test_a_forecast_is_dated_and_finite(n_calls):
    fuzz(forecasts(), assert_a_forecast_is_dated_and_finite, n_calls)


@st.composite
def splittings(draw):
    table = draw(tables())
    params = {
        "n_splits": draw(st.sampled_from([1, 2, 2, 3, 50, 0])),
        "gap": draw(st.sampled_from([0, 0, 1, 5, -1, "1D", 10**12])),
        "test_size": draw(st.sampled_from([None, None, 2, 0, "2D", 10**6])),
        "max_train_size": draw(st.sampled_from([None, 3, "5D"])),
    }
    return table, params


def assert_no_test_row_comes_before_training(splitting):
    table, params = splitting
    params["time"] = table.names.get("time")
    folds, _ = outcome(lambda: list(TimeBlockSplit(**params).split(table.frame)))
    for train, test in folds or ():
        assert len(train) and len(test)
        if table.sound:
            assert table.steps[train].max() < table.steps[test].min()


@FEW_AND_MANY
def test_no_test_row_comes_before_training(n_calls):
    fuzz(splittings(), assert_no_test_row_comes_before_training, n_calls)


@st.composite
def cuttings(draw):
    table = draw(tables())
    params = {
        "n_steps": draw(st.sampled_from([1, 3, 8])),
        "horizon": draw(st.sampled_from([0, 1, 2])),
        "stride": draw(st.sampled_from([1, 2])),
    }
    if rarely(draw):
        name = draw(st.sampled_from(sorted(params)))
        params[name] = draw(st.sampled_from([0, -1, 1.5, 10**6, None]))
    return (
        table,
        params,
        draw(st.sampled_from(["frame", "array", "array", "short", None])),
    )


def assert_cut_windows_meet_their_targets(cutting):
    table, params, target = cutting
    columns = [c for c in table.frame.columns if c not in table.names.values()]
    X = table.frame[columns]
    y = {
        "frame": X.iloc[:, 0],
        "array": np.arange(float(len(X))),
        "short": np.zeros(len(X) + 1),
        None: None,
    }[target]
    found, _ = outcome(lambda: make_windows(X, y, **params))
    if found is None or y is None:
        return
    windows, targets = found
    assert len(windows) == len(targets)
    if target == "array" and table.sound:
        firsts = X.to_numpy()[:, 0]
        ends = np.array([np.flatnonzero(firsts == w[-1, 0])[0] for w in windows])
        ahead = np.reshape(targets, (len(windows), -1))[:, 0]
        np.testing.assert_array_equal(ahead, ends + (params["horizon"] > 0))


@FEW_AND_MANY
def test_cut_windows_meet_their_targets(n_calls):
    fuzz(cuttings(), assert_cut_windows_meet_their_targets, n_calls)


@st.composite
def backtests(draw):
    table = draw(tables())
    cv = draw(
        st.sampled_from([2, 2, 3, 100, 0, TimeBlockSplit(2), [([0, 1], [10**6])]])
    )
    return table, draw(st.integers(1, 3)), cv, draw(st.sampled_from([None, 1, 7, 500]))


def assert_a_backtest_knows_the_truth(drawn):
    table, horizon, cv, season = drawn
    if isinstance(cv, TimeBlockSplit):
        cv = TimeBlockSplit(2, time=table.names.get("time"))
    model = make_pipeline(
        SequenceWindower(3, **table.names),
        RNNRegressor(**QUICK, target_feature="auto"),
    )
    found, _ = outcome(
        lambda: backtest(
            model, table.frame, "a", horizon, cv=cv, season=season, **table.names
        )
    )
    if found is not None:
        assert_finite(found["prediction"].to_numpy())
        assert len(found)


@FEW_AND_MANY
def test_a_backtest_knows_the_truth(n_calls):
    fuzz(backtests(), assert_a_backtest_knows_the_truth, n_calls)
