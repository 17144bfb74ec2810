"""Windows of every kind of table, in scikit-learn's tools, and errors."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from windower_tables import assert_same_windows, hourly, lengths, two_series

from sklearn_rnn import (
    InvalidSequenceError,
    SequenceArray,
    SequenceWindower,
    make_forecast_frame,
)

TRUE_FAILURES = {
    "check_methods_subset_invariance": "a window looks at earlier rows",
    "check_methods_sample_order_invariance": "a window looks at earlier rows",
}


# Kinds of input.


@pytest.mark.parametrize("time_zone", [None, "Europe/Berlin"])
def test_polars_gives_the_windows_of_pandas(time_zone):
    table = two_series(12)
    table["time"] = table["time"].dt.tz_localize(time_zone)
    table["wet"] = table["temp"] > 5
    table["count"] = np.arange(24)
    frame = pl.from_pandas(table)
    windower = SequenceWindower(5, time="time", group_by="station")
    assert_same_windows(windower.fit_transform(frame), windower.fit_transform(table))
    windower.fit(frame[:10])
    assert_same_windows(windower.transform(frame[10:]), windower.transform(table[10:]))


def test_missing_numbers_of_any_library_become_nan():
    expected = [[1.0, 1.0], [np.nan, np.nan]]
    frames = [
        pl.DataFrame({"a": [1, None], "b": [True, None]}),
        pd.DataFrame(
            {
                "a": pd.array([1, None], dtype="Int64"),
                "b": pd.array([True, None], dtype="boolean"),
            }
        ),
        pd.DataFrame({"a": [1, None], "b": [True, None]}, dtype=object),
        pd.DataFrame({"a": [1, None], "b": [1, None]}, dtype="double[pyarrow]"),
    ]
    for frame in frames:
        windows = SequenceWindower(2, history=None).fit_transform(frame)
        np.testing.assert_array_equal(windows.values, expected)


def test_a_list_of_equal_rows_is_a_table():
    windows = SequenceWindower(2).fit_transform([[1, 2], [3, 4], [5, 6]])
    assert lengths(windows) == [1, 2, 2]
    assert windows[2].tolist() == [[3, 4], [5, 6]]


@pytest.mark.parametrize(
    "X",
    [
        np.arange(24.0).reshape(2, 4, 3),
        [np.zeros((5, 3)), np.ones((2, 3))],
        SequenceArray(np.arange(24.0).reshape(8, 3), [0, 2], [6, 5]),
    ],
)
def test_of_sequences_the_last_steps_are_kept(X):
    windower = SequenceWindower(3)
    trimmed = windower.fit_transform(X)
    assert_same_windows(trimmed, [sequence[-3:] for sequence in X])
    assert_same_windows(windower.transform(X), trimmed)
    assert windower.n_features_in_ == 3


def test_lists_of_unequal_length_are_univariate_sequences():
    trimmed = SequenceWindower(2).fit_transform([[1, 2, 3], [4, 5]])
    assert [x.ravel().tolist() for x in trimmed] == [[2, 3], [4, 5]]


def test_trimming_keeps_names_and_scaling():
    X = SequenceArray(np.arange(6.0)[:, None], [0], [6], feature_names=["a"])
    X = X.scale(np.array([1.0]), np.array([2.0]))
    trimmed = SequenceWindower(2).fit_transform(X)
    assert trimmed.feature_names == ("a",)
    assert trimmed[0].ravel().tolist() == [6, 8]


def test_windows_cut_beforehand_may_follow_a_fit_on_the_table():
    table = hourly(20)
    windows = SequenceWindower(8).fit_transform(table)
    windower = SequenceWindower(3).fit(table)
    assert_same_windows(windower.transform(windows), windower.fit_transform(table))


def test_a_table_after_a_fit_on_sequences_is_refused():
    windower = SequenceWindower(3).fit(np.zeros((2, 4, 3)))
    with pytest.raises(InvalidSequenceError, match="was fitted on sequences"):
        windower.transform(np.zeros((5, 3)))


# Life among scikit-learn's tools.


@pytest.mark.filterwarnings("ignore::sklearn_rnn._exceptions.WindowHistoryWarning")
def test_check_estimator_fails_only_where_a_window_must():
    results = check_estimator(
        SequenceWindower(),
        expected_failed_checks=TRUE_FAILURES,
        on_skip=None,
    )
    failed = {r["check_name"] for r in results if r["status"] == "xfail"}
    assert failed == set(TRUE_FAILURES)


def test_n_steps_can_be_searched():
    table = hourly(80)
    y = table["a"].shift(5).bfill()
    first_step = FunctionTransformer(lambda windows: np.array([w[0] for w in windows]))
    model = make_pipeline(SequenceWindower(), first_step, Ridge(alpha=1e-6))
    search = GridSearchCV(
        model, {"sequencewindower__n_steps": [2, 6, 12]}, cv=TimeSeriesSplit(3)
    )
    search.fit(table, y)
    assert search.best_params_ == {"sequencewindower__n_steps": 6}
    assert search.best_score_ > 0.999


def test_a_pipeline_can_set_output_to_pandas():
    table = hourly(20)
    model = make_pipeline(StandardScaler(), SequenceWindower(4))
    model.set_output(transform="pandas").fit(table.iloc[:10])
    windows = model.transform(table.iloc[10:])
    assert isinstance(windows, SequenceArray)
    assert windows.feature_names == ("a", "b")
    assert lengths(windows) == [4] * 10


def test_clone_keeps_parameters_and_forgets_the_data():
    windower = SequenceWindower(7, history="train", freq="h", time="t", group_by="g")
    assert clone(windower).get_params() == windower.get_params()
    fitted = SequenceWindower().fit(hourly(5))
    assert not hasattr(clone(fitted), "n_features_in_")


def test_refitting_on_sequences_forgets_the_table():
    windower = SequenceWindower(3).fit(hourly(10))
    windower.fit(np.zeros((2, 4, 2)))
    assert windower.freq_ is None
    with pytest.raises(InvalidSequenceError, match="fitted on sequences"):
        windower.transform(hourly(3))


# Errors.


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"n_steps": 0}, "n_steps"),
        ({"n_steps": -3}, "n_steps"),
        ({"n_steps": 2.5}, "n_steps"),
        ({"history": "always"}, "history"),
        ({"freq": []}, "freq"),
    ],
)
def test_bad_parameters_are_refused_by_name(parameters, name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        SequenceWindower(**parameters).fit(np.zeros((4, 1)))


def test_unsorted_rows_are_refused_by_place():
    table = hourly(6).iloc[[0, 1, 3, 2, 4, 5]]
    with pytest.raises(
        InvalidSequenceError,
        match=r"row 3 is at 2024-01-01 02:00:00, after row 2 at 2024-01-01 03:00:00"
        r".*sort_index.*group_by",
    ):
        SequenceWindower(3).fit(table)


def test_duplicate_times_are_refused_by_place():
    table = hourly(6).iloc[[0, 1, 2, 2, 3]]
    with pytest.raises(
        InvalidSequenceError,
        match=r"2024-01-01 02:00:00 twice, in rows 2 and 3.*duplicated",
    ):
        SequenceWindower(3).fit(table)


def test_order_is_checked_inside_each_series():
    table = two_series().iloc[[0, 1, 2, 5, 4, 3]]
    with pytest.raises(InvalidSequenceError, match=r"row 5 is at .*, after row 3 at"):
        SequenceWindower(3, time="time", group_by="station").fit(table)


def test_shuffled_rows_are_refused_in_transform_too():
    table = hourly(6).reset_index(drop=True)
    windower = SequenceWindower(3).fit(table)
    with pytest.raises(InvalidSequenceError, match=r"reset_index\(drop=True\)"):
        windower.transform(table.iloc[[2, 0, 1]])


def test_missing_times_are_refused_by_place():
    table = hourly(4).reset_index(names="when")
    table.loc[2, "when"] = pd.NaT
    with pytest.raises(InvalidSequenceError, match="no time in row 2"):
        SequenceWindower(3, time="when").fit(table)


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03"], "column 'bad' .*to_datetime"),
        (["1.5", "2.5", "3.5"], "column 'bad' .*to_numeric"),
        (np.array(["2024", "2025", "2026"], "M8[ms]"), "column 'bad' .*time="),
    ],
)
def test_columns_that_are_not_numeric_are_refused_by_name(library, column, message):
    table = library.DataFrame({"a": [1.0, 2.0, 3.0], "bad": column})
    with pytest.raises(InvalidSequenceError, match=message):
        SequenceWindower(3).fit(table)


def test_objects_that_are_no_numbers_are_refused_by_name():
    table = pd.DataFrame({"a": [1.0, 2.0], "bad": [1.0, {}]})
    with pytest.raises(TypeError, match="column 'bad'"):
        SequenceWindower(3).fit(table)


def test_a_column_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InvalidSequenceError, match=r"time='when'.*\['a', 'b'\]"):
        SequenceWindower(3, time="when").fit(hourly(4))
    with pytest.raises(InvalidSequenceError, match="group_by=5 names no column"):
        SequenceWindower(3, group_by=5).fit(np.zeros((4, 2)))
    with pytest.raises(InvalidSequenceError, match="without names"):
        SequenceWindower(3, group_by="a").fit(np.zeros((4, 2)))


def test_a_time_column_of_strings_is_refused():
    table = pd.DataFrame({"a": [1.0, 2.0], "when": ["2024", "2025"]})
    with pytest.raises(InvalidSequenceError, match=r"pd\.to_datetime"):
        SequenceWindower(3, time="when").fit(table)


def test_complex_and_sparse_tables_are_refused():
    with pytest.raises(ValueError, match="Complex data not supported"):
        SequenceWindower().fit(np.zeros((3, 1), dtype=complex))
    with pytest.raises(ValueError, match="Complex data not supported"):
        SequenceWindower().fit(pd.DataFrame({"a": [1j, 2j]}))
    with pytest.raises(TypeError, match="Sparse"):
        SequenceWindower().fit(sparse.csr_array(np.eye(3)))


def test_no_rows_and_no_features_are_refused():
    with pytest.raises(InvalidSequenceError, match="0 sample"):
        SequenceWindower().fit(hourly(4).iloc[:0])
    with pytest.raises(InvalidSequenceError, match="0 feature"):
        SequenceWindower(time="a").fit(hourly(4, 1))


def test_other_features_than_in_fit_are_refused():
    X = np.zeros((5, 4))
    windower = SequenceWindower(history=None).fit(X)
    expected = "X has 3 features, but SequenceWindower is expecting 4 features as input"
    for other in (X[:, :3], np.zeros((2, 5, 3))):
        with pytest.raises(ValueError, match=expected):
            windower.transform(other)
    windower = SequenceWindower().fit(hourly(4))
    with pytest.raises(ValueError, match="feature names should match"):
        windower.transform(hourly(4).rename(columns={"a": "z"}))


def test_times_of_another_kind_than_in_fit_are_refused():
    windower = SequenceWindower(3).fit(hourly(5))
    with pytest.raises(InvalidSequenceError, match=r"are numbers, but .* on dates"):
        windower.transform(hourly(5).reset_index(drop=True))
    with pytest.raises(InvalidSequenceError, match="dates with a time zone"):
        windower.transform(hourly(5).tz_localize("UTC"))


@pytest.mark.parametrize("freq", [1, "every hour", "-1h", pd.Timedelta(0)])
def test_a_freq_that_fits_no_dates_is_refused(freq):
    with pytest.raises(ValueError, match="freq"):
        SequenceWindower(3, freq=freq).fit(hourly(5))


def test_a_freq_that_fits_no_numbers_is_refused():
    with pytest.raises(InvalidSequenceError, match="give a number"):
        SequenceWindower(3, freq="h").fit(hourly(5).reset_index(drop=True))


def test_a_freq_without_times_is_refused():
    with pytest.raises(InvalidSequenceError, match="X has no times"):
        SequenceWindower(3, freq="h").fit(np.zeros((4, 1)))


def test_one_row_without_a_declared_step_needs_a_freq():
    row = hourly(1)
    row.index.freq = None
    with pytest.raises(InvalidSequenceError, match="freq="):
        SequenceWindower(3).fit(row)
    windower = SequenceWindower(3, freq="h").fit(row)
    assert lengths(windower.transform(hourly(3).iloc[1:])) == [2, 3]


def scatter(table):
    return table.iloc[::-1]


def add_a_complex_column(table):
    return table.assign(other=1j)


def add_an_empty_column(table):
    return table.assign(other=np.nan)


@pytest.mark.parametrize("spoil", [scatter, add_a_complex_column, add_an_empty_column])
def test_a_fit_that_fails_leaves_the_last_one(spoil):
    table = hourly(60, 2)
    X, y = make_forecast_frame(table, "a", horizon=2)
    windower = SequenceWindower(4, missing="mask").fit(X, y)
    before, names = windower.transform(X.iloc[-3:]), windower.feature_names_in_
    state = pickle.dumps(windower)
    with pytest.raises(ValueError, match="not sorted|Complex|no value"):
        windower.fit(spoil(table.rename(columns={"b": "c"})), y.iloc[:, :1])
    assert pickle.dumps(windower) == state
    assert windower.n_features_in_ == 2
    np.testing.assert_array_equal(windower.feature_names_in_, names)
    assert_same_windows(windower.transform(X.iloc[-3:]), before)


def test_fit_cuts_no_windows():
    table = hourly(100_000, 8)
    tracemalloc.start()
    SequenceWindower(24, freq="h").fit(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * table.to_numpy().nbytes
