"""Warnings point at the user's line, however deep in the package they arise."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    LogMelSpectrogram,
    RNNClassifier,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    SequenceLayoutWarning,
    SequenceScaler,
    SequenceWindower,
    SklearnRNNWarning,
    TargetWarning,
    WindowHistoryWarning,
    backtest,
    forecast,
    make_forecast_frame,
    make_windows,
)

FAST = {"hidden_size": 2, "max_epochs": 1}
DAYS = pd.bdate_range("2024-01-01", periods=80).delete(np.arange(9, 80, 10))
HOLED = pd.DataFrame({"a": np.arange(float(len(DAYS)))}, index=DAYS)
DAILY = HOLED.set_axis(pd.date_range("2024-01-01", periods=len(HOLED), freq="D"))
UNDATED = HOLED.set_axis([f"row {k}" for k in range(len(HOLED))])


def windowed(n_steps=20, **options):
    return make_pipeline(SequenceWindower(n_steps, **options), RNNRegressor(**FAST))


def fit_on_gaps():
    windowed().fit(HOLED, HOLED["a"])


def fit_nested_on_gaps():
    scaled = make_pipeline(SequenceWindower(20), SequenceScaler())
    model = make_pipeline(scaled, RNNRegressor(**FAST))
    TransformedTargetRegressor(model).fit(HOLED, HOLED["a"])


def predict_without_times():
    plain = np.arange(40.0).reshape(-1, 1)
    windowed(3).fit(plain, plain[:, 0]).predict(plain)


def fit_on_other_times():
    windowed(3).fit(DAILY[:-1], DAILY["a"][1:])


def cut_across_gaps():
    make_windows(HOLED, n_steps=5)


def cut_with_other_times():
    make_windows(DAILY[:-1], DAILY["a"][1:], n_steps=5)


def forecast_from_few_rows():
    X, Y = make_forecast_frame(DAILY, "a", 2)
    model = windowed(history=None).fit(X, Y)
    forecast(model, DAILY[-3:])


def backtest_without_dates():
    backtest(windowed(3, history=None), UNDATED, "a", 1, cv=1)


def backtest_with_a_long_season():
    backtest(windowed(3), DAILY, "a", 1, cv=1, season=1000)


def fit_exchanged():
    X = np.cumsum(np.random.default_rng(0).normal(size=(9, 3, 200)), axis=2)
    make_pipeline(SequenceScaler(), RNNClassifier(**FAST)).fit(X, np.arange(9) % 2)


def fit_on_filled_symbols():
    X = [[1, 2, 3, 4], [2, 3, 1, 2], [3, 1, 2, 3]]
    RNNSeq2Seq(**FAST).fit(X, [[1, 2, 0, 0], [2, 1, 3, 0], [3, 2, 1, 1]])


def fit_on_measured_symbols():
    X = np.random.default_rng(0).integers(1000, 10**6, size=(20, 4)).tolist()
    RNNSeq2Seq(**FAST).fit(X, [[1, 2]] * 20)


def fit_on_filled_step_labels():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, (6, 9))
    for row, n_filled in zip(y, [1, 4, 2, 3, 2, 1], strict=True):
        row[-n_filled:] = -1
    RNNTagger(**FAST).fit(rng.normal(size=(6, 9, 2)), y)


def transform_clips_of_two_scales():
    noise = np.random.default_rng(0).normal(size=(3, 4000)).clip(-1, 1)
    LogMelSpectrogram(8000).fit(list(noise)).transform(list(30_000 * noise))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("act", "category"),
    [
        (fit_on_gaps, WindowHistoryWarning),
        (fit_nested_on_gaps, WindowHistoryWarning),
        (predict_without_times, WindowHistoryWarning),
        (fit_on_other_times, SklearnRNNWarning),
        (cut_across_gaps, WindowHistoryWarning),
        (cut_with_other_times, SklearnRNNWarning),
        (forecast_from_few_rows, WindowHistoryWarning),
        (backtest_without_dates, SklearnRNNWarning),
        (backtest_with_a_long_season, SklearnRNNWarning),
        (fit_exchanged, SequenceLayoutWarning),
        (fit_on_filled_symbols, TargetWarning),
        (fit_on_measured_symbols, TargetWarning),
        (fit_on_filled_step_labels, TargetWarning),
        (transform_clips_of_two_scales, SklearnRNNWarning),
    ],
)
def test_a_warning_points_at_the_line_of_the_user(act, category):
    with pytest.warns(category) as caught:
        act()
    first = act.__code__.co_firstlineno
    for warning in caught:
        assert issubclass(warning.category, category)
        assert warning.filename == __file__
        assert first < warning.lineno <= first + 6
