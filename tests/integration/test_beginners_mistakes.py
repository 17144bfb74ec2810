"""What a beginner does wrong gets an answer that says what to do."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_rnn import (
    InvalidSequenceError,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    SequenceWindower,
    WindowHistoryWarning,
    forecast,
    make_forecast_frame,
    make_windows,
)

QUICK = {"hidden_size": 2, "max_epochs": 1}
HOURS = pd.date_range("2024-01-01", periods=60, freq="h")


def table():
    values = np.random.default_rng(0).normal(size=(60, 2))
    return pd.DataFrame(values, columns=["temp", "dewp"], index=HOURS)


def forecaster(**params):
    return make_pipeline(SequenceWindower(4), RNNRegressor(**QUICK, **params))


def test_a_missing_newest_row_is_not_padding():
    frame = table()
    model = forecaster().fit(frame, frame["temp"])
    frame.iloc[-1] = np.nan
    for give in (model.predict, lambda X: model.fit(X, frame["temp"].ffill())):
        with pytest.raises(InvalidSequenceError, match=r"sequence 59, step 3.*'temp'"):
            give(frame)
    windows = make_windows(frame, n_steps=4)
    with pytest.raises(InvalidSequenceError, match="step 3"):
        RNNRegressor(**QUICK).fit(windows, np.zeros(len(windows)))


def test_one_sequence_alone_says_how_to_pass_it():
    model = RNNRegressor(**QUICK).fit([np.ones(5), np.zeros(3)], [1, 0])
    for alone in (np.ones(5), [1.0, 2.0, 3.0], pd.Series([1.0, 2.0])):
        with pytest.raises(InvalidSequenceError, match=r"pass \[x\]"):
            model.predict(alone)
    assert model.predict([np.ones(5)]).shape == (1,)


@pytest.mark.parametrize("x", [table()["temp"], table()["temp"].to_numpy()])
def test_a_single_series_with_a_target_per_step_is_sent_to_the_windower(x):
    as_table = r"x\.to_frame" if isinstance(x, pd.Series) else r"np\.reshape\(x"
    with pytest.raises(InvalidSequenceError, match=rf"pass {as_table}.*Windower"):
        RNNRegressor(**QUICK).fit(x, np.zeros(60))
    as_table = r"x\.to_frame" if isinstance(x, pd.Series) else r"x\.reshape"
    with pytest.raises(InvalidSequenceError, match=rf"with {as_table}"):
        forecaster().fit(x, np.zeros(60))


def test_targets_per_step_of_one_sequence_say_where_they_belong():
    X, y = table().to_numpy()[np.newaxis], [0, 1] * 30
    said = r"one sequence of 60 steps.*pass \[y\] to RNNTagger.*SequenceWindower"
    with pytest.raises(ValueError, match=said):
        RNNClassifier(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match=r"\[y\] to RNNRegressor\(return_sequences"):
        RNNRegressor(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match=r"pass \[x\], and \[y\]"):
        RNNTagger(**QUICK).fit(X, y)
    assert len(RNNTagger(**QUICK).fit(X, [y]).predict(X)[0]) == 60


@pytest.mark.parametrize("X", [table().reset_index(drop=True), table().to_numpy()])
def test_a_table_after_a_fit_on_windows_is_to_be_cut_as_well(X):
    windows = make_windows(X, n_steps=4)
    model = RNNRegressor(**QUICK).fit(windows, np.zeros(len(windows)))
    with pytest.raises(InvalidSequenceError, match="windows, as for fit"):
        model.predict(X)
    assert model.predict(make_windows(X, n_steps=4)).shape == (57,)


def test_a_horizon_that_was_not_learned_says_how_to_learn_it():
    frame = table()
    model = forecaster().fit(frame, frame["temp"])
    said = r"make_forecast_frame\(table, target=\.\.\., horizon=14\)"
    with pytest.raises(ValueError, match=said):
        forecast(model, frame, horizon=14)
    with pytest.raises(ValueError, match="predicts 1 values.*make_forecast_frame"):
        forecast(model, frame, target="temp", horizon=14)


def test_windows_longer_than_the_table_are_warned_of():
    model = make_pipeline(SequenceWindower(100), RNNRegressor(**QUICK))
    with pytest.warns(WindowHistoryWarning, match="X has 60 rows.*Lower n_steps"):
        model.fit(table(), table()["temp"])


def test_a_series_of_arrays_is_a_list_of_sequences():
    X = [np.ones(3), np.zeros(5), np.ones(2), np.zeros(4)]
    as_series = pd.Series(X, index=[7, 8, 9, 10])
    y = ["a", "b", "a", "b"]
    first = RNNClassifier(**QUICK, random_state=0).fit(X, y).predict_proba(X)
    second = RNNClassifier(**QUICK, random_state=0).fit(as_series, y)
    np.testing.assert_array_equal(first, second.predict_proba(as_series))


@pytest.mark.parametrize("dates", [HOURS, HOURS.astype(str)])
def test_a_column_of_dates_points_to_the_windower(dates):
    frame = table().reset_index(drop=True).assign(time=dates)
    with pytest.raises(InvalidSequenceError, match=r"'time' of X.*SequenceWindower"):
        RNNRegressor(**QUICK).fit(frame, np.zeros(60))


def test_an_index_of_dates_left_as_text_is_refused():
    frame = table().set_index(HOURS.astype(str))
    for give in (
        lambda: SequenceWindower(3).fit(frame),
        lambda: make_forecast_frame(frame, target="temp"),
    ):
        with pytest.raises(InvalidSequenceError, match="pd.to_datetime"):
            give()


def test_a_shifted_target_says_what_to_drop():
    frame = table()
    with pytest.raises(ValueError, match=r"6 of 60 targets, the first at 54"):
        forecaster().fit(frame, frame["temp"].shift(-6))


def test_a_table_as_validation_data_names_x_val():
    frame = table()
    with pytest.raises(InvalidSequenceError, match=r"X_val: .*transform_input"):
        forecaster().fit(
            frame,
            frame["temp"],
            rnnregressor__X_val=frame,
            rnnregressor__y_val=frame["temp"],
        )


@pytest.mark.filterwarnings("ignore::sklearn_rnn.WindowHistoryWarning")
def test_names_lost_on_the_way_are_explained():
    model = make_pipeline(StandardScaler(), forecaster(target_feature="temp"))
    with pytest.raises(InvalidSequenceError, match="StandardScaler drops them"):
        model.fit(table(), np.zeros(60))
