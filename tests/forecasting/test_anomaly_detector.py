"""ForecastAnomalyDetector: errors of forecasts as scores of anomalies."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklearn_rnn import (
    CalendarFeatures,
    ForecastAnomalyDetector,
    RNNRegressor,
    SequenceFlattener,
    SequenceWindower,
    TimeBlockSplit,
    make_forecast_frame,
)
from sklearn_rnn.persistence import load_model, save_model


def make_table(n=400, n_columns=1, seed=0):
    """Return hours of noisy seasons."""
    rng = np.random.default_rng(seed)
    hours = pd.date_range("2025-01-01", periods=n, freq="h")
    phases = np.arange(n)[:, np.newaxis] * 2 * np.pi / 24 + np.arange(n_columns)
    values = 10 + np.sin(phases) + rng.normal(0, 0.1, (n, n_columns))
    return pd.DataFrame(values, index=hours, columns=[*"abcdef"][:n_columns])


def linear(n_steps=48):
    """Return a model that is fitted at once."""
    return make_pipeline(SequenceWindower(n_steps), SequenceFlattener(), Ridge(1e-3))


def detector(**options):
    return ForecastAnomalyDetector(**{"estimator": linear(), **options})


# What is found.


@pytest.mark.slow
def test_the_default_finds_a_spike_and_no_other_row():
    table = make_table(600)
    table.iloc[550] += 2
    model = ForecastAnomalyDetector(contamination=0.001, random_state=0)
    labels = model.fit(table[:500]).predict(table[500:])
    assert np.flatnonzero(labels == -1).tolist() == [50]
    assert model.horizon_ == [1, 2, 4, 8, 16, 24]


def test_a_level_that_changes_is_found_as_a_whole():
    table = make_table(800)
    table.iloc[700:712] += 2
    labels = detector().fit(table[:600]).predict(table[600:])
    assert (labels[100:112] == -1).all()
    assert (labels[112:] == 1).mean() > 0.9


def test_a_frozen_sensor_is_found():
    table = make_table(800)
    table.iloc[706:720] = table.iloc[706]
    scores = detector().fit(table[:600]).score_samples(table[600:])
    assert (scores[111:120] < np.delete(scores, np.arange(106, 132)).min()).all()


def test_repair_keeps_an_anomaly_out_of_the_history_of_later_rows():
    table = make_table(800)
    table.iloc[700:706] += 5
    after = {}
    for repair in (False, True):
        model = detector(repair=repair).fit(table[:600])
        scores = model.score_samples(table[600:])
        assert (scores[100:106] < -3).all()
        after[repair] = (scores[106:130] < model.offset_).sum()
    assert after[True] <= 2 < 12 < after[False]


def test_scores_are_low_for_short_after_a_level_has_changed_for_good():
    table = make_table(900)
    table["a"] += np.random.default_rng(1).normal(0, 0.1, 900).cumsum()
    table.iloc[700:] += 3
    labels = detector().fit(table[:600]).predict(table[600:])
    assert (labels[100:110] == -1).all()
    assert (labels[-100:] == 1).mean() > 0.9


def test_score_features_says_which_column_it_was():
    table = make_table(800, n_columns=3)
    table.iloc[700, 1] += 2
    model = detector().fit(table[:600])
    scores = model.score_features(table[600:])
    assert list(scores.columns) == ["a", "b", "c"]
    assert scores.index.equals(table.index[600:])
    assert scores.iloc[100].idxmax() == "b"
    assert scores["b"].iloc[100] > 3 > scores[["a", "c"]].iloc[100].max()
    np.testing.assert_array_equal(
        model.score_samples(table[600:]), -scores.max(axis=1).to_numpy()
    )


def test_target_limits_what_is_scored_and_other_columns_are_read():
    table = make_table(800, n_columns=2)
    rng = np.random.default_rng(1)
    table["b"] = rng.normal(size=800)
    table["a"] = table["b"].shift(1, fill_value=0) + rng.normal(0, 0.01, 800)
    changed = table.copy()
    changed.iloc[700, 0] += 0.5
    changed.iloc[650, 1] += 50
    model = detector(target="a", horizon=1).fit(table[:600])
    scores = model.score_features(changed[600:])
    assert list(scores.columns) == ["a"]
    assert scores["a"].iloc[100] > 10  # by the other column a little is much
    assert scores["a"].iloc[51] > 10  # forecast from a wrong value


def test_intervals_of_the_model_count():
    """Where noise is large by a column that the model knows, errors may be."""
    rng = np.random.default_rng(0)
    noisy = rng.integers(2, size=1000).astype(float)
    y = rng.normal(size=1000) * np.where(np.roll(noisy, 1), 3, 0.1)
    table = pd.DataFrame({"y": y, "noisy": noisy})
    network = RNNRegressor(
        loss="gaussian", hidden_size=8, max_epochs=20, linear_skip=False, random_state=0
    )
    model = ForecastAnomalyDetector(
        make_pipeline(SequenceWindower(2), network), target="y", horizon=1, repair=False
    ).fit(table)
    changed = table.copy()
    changed.loc[[801, 901], "y"] = 2.0
    changed.loc[[800, 900], "noisy"] = [0.0, 1.0]
    scores = model.score_features(changed)["y"]
    assert scores[801] > 3 * scores[901]


# The threshold.


@pytest.mark.parametrize("contamination", [0.01, 0.1])
def test_contamination_is_the_fraction_of_held_out_rows_that_are_flagged(contamination):
    table = make_table(1000)
    model = detector(contamination=contamination).fit(table)
    labels = model.predict(table)
    assert (labels[800:] == -1).sum() == 200 * contamination
    decision = model.decision_function(table)
    np.testing.assert_array_equal(labels, np.where(decision < 0, -1, 1))
    np.testing.assert_allclose(
        decision, model.score_samples(table) - model.offset_, rtol=1e-12
    )


def test_scores_are_those_of_fit_predict():
    table = make_table()
    np.testing.assert_array_equal(
        detector().fit_predict(table), detector().fit(table).predict(table)
    )


def test_a_larger_calibration_fraction_leaves_fewer_rows_to_fit_on():
    table = make_table()
    windows = {}
    for fraction in (0.2, 0.5):
        model = detector(calibration_fraction=fraction).fit(table)
        times = model.estimator_[0]._history.timestamps
        windows[fraction] = pd.Timestamp(times.max())
    assert windows[0.5] < windows[0.2] < table.index[320]


# Tables.


def test_rows_that_follow_fit_have_its_history():
    table = make_table(700)
    table.iloc[600] += 1
    model = detector(repair=False).fit(table[:600])
    alone = detector().fit(table[:600].set_axis(range(600)))
    whole = model.score_samples(table)
    np.testing.assert_allclose(model.score_samples(table[600:]), whole[600:])
    model = detector().fit(table[:600])
    whole = model.score_samples(table)
    np.testing.assert_allclose(model.score_samples(table[600:]), whole[600:], atol=0.1)
    unknown = alone.score_samples(table[600:].set_axis(range(100)))
    assert unknown[0] > -1  # no forecast: a value like others
    assert whole[600] < -3


def test_the_first_row_is_compared_with_the_values_of_fit():
    table = make_table()
    model = detector().fit(table)
    rows = table[:30].copy()
    scores = {}
    for value in (10.0, 20.0):
        rows.iloc[0] = value
        scores[value] = model.score_samples(rows)[0]
    assert scores[10.0] == pytest.approx(0, abs=0.1)
    assert scores[20.0] < -5


def test_rows_after_a_gap_start_without_history():
    table = make_table(700)
    model = detector().fit(table[:500])
    with_gap = pd.concat([table[500:550], table[560:]])
    scores = model.score_samples(with_gap)
    alone = model.score_samples(table[560:])
    np.testing.assert_allclose(scores[50:], alone)


def test_a_missing_value_has_no_score_and_is_no_anomaly():
    table = make_table(700, n_columns=2)
    table.iloc[100, 0] = np.nan
    table = table.drop(table.index[[200, 640]])
    table.iloc[650] = np.nan
    table.iloc[660, 0] = np.nan
    masking = make_pipeline(
        SequenceWindower(8), RNNRegressor(max_epochs=2, hidden_size=4, random_state=0)
    )
    model = ForecastAnomalyDetector(masking, missing="mask").fit(table[:600])
    scores = model.score_features(table[600:])
    assert np.argwhere(scores.isna().to_numpy()).tolist() == [[50, 0], [50, 1], [60, 0]]
    assert np.isnan(model.score_samples(table[600:])).sum() == 1
    assert model.predict(table[600:])[50] == 1
    with pytest.raises(ValueError, match="missing"):
        detector().fit(table)


def make_panel():
    east, west = make_table(300, seed=0), make_table(300, seed=1)
    west.iloc[270] += 3
    panel = pd.concat({"east": east, "west": west}, names=["site", "hour"])
    return panel.reset_index().sort_values(["hour", "site"], ignore_index=True)


def test_series_of_a_panel_are_scored_each_by_its_own_rows():
    panel = make_panel()
    names = {"time": "hour", "group_by": "site"}
    model = detector(**names).fit(panel[: 2 * 250])
    newest = panel[2 * 250 :]
    scores = model.score_samples(newest)
    assert newest.iloc[scores.argmin()]["site"] == "west"
    for site in ("east", "west"):
        is_own = (newest["site"] == site).to_numpy()
        alone = model.score_samples(newest[is_own])
        np.testing.assert_allclose(alone, scores[is_own])
    shuffled = newest.sort_values(["site", "hour"])
    order = [newest.index.get_loc(i) for i in shuffled.index]
    np.testing.assert_allclose(model.score_samples(shuffled), scores[order])
    said_once = panel.set_index(["site", "hour"])
    again = detector().fit(said_once[: 2 * 250])
    np.testing.assert_allclose(again.score_samples(said_once[2 * 250 :]), scores)


def test_an_array_is_scored_as_a_frame_without_times():
    values = make_table(500).to_numpy()
    frame = pd.DataFrame(values, columns=["x0"])
    scores = detector().fit(values[:400]).score_samples(values[400:])
    expected = detector().fit(frame[:400])
    expected = expected.score_samples(frame[400:].reset_index(drop=True))
    np.testing.assert_array_equal(scores, expected)
    series = pd.Series(values[:, 0])
    assert len(detector().fit(series).score_samples(series[:50])) == 50


def test_polars_tables_are_read():
    polars = pytest.importorskip("polars")
    table = make_table(500).rename_axis("hour").reset_index()
    scores = detector(time="hour").fit(table[:400]).score_samples(table[400:])
    frame = polars.DataFrame({"hour": table["hour"].to_numpy(), "a": table["a"]})
    found = detector(time="hour").fit(frame[:400]).score_samples(frame[400:])
    np.testing.assert_allclose(found, scores)


# Models.


def test_models_of_any_kind_forecast():
    table = make_table(500, n_columns=2)
    table.iloc[450, 0] += 3
    rows = ForecastAnomalyDetector(LinearRegression()).fit(table[:400])
    assert rows.horizon_ == [1]
    assert rows.score_samples(table[400:]).argmin() == 50
    search = GridSearchCV(linear(), {"ridge__alpha": [0.1, 1.0]}, cv=TimeBlockSplit(2))
    found = ForecastAnomalyDetector(search, horizon=[1, 3]).fit(table[:400])
    assert found.score_samples(table[400:]).argmin() == 50
    calendar = make_pipeline(CalendarFeatures(["hour"]), *linear())
    found = ForecastAnomalyDetector(calendar).fit(table[:400])
    assert found.score_samples(table[400:]).argmin() == 50


def repaired_as_by_the_flat_pipeline(wrapped):
    table = make_table(500)
    table.iloc[440:446] += 5
    flat = detector().fit(table[:400]).score_samples(table[400:])
    model = detector(estimator=wrapped).fit(table[:400])
    np.testing.assert_allclose(model.score_samples(table[400:]), flat, rtol=1e-6)
    unrepaired = detector(repair=False).fit(table[:400])
    assert not np.allclose(unrepaired.score_samples(table[400:]), flat, rtol=0.1)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: make_pipeline(make_pipeline(model[0]), make_pipeline(*model[1:])),
        lambda model: make_pipeline("passthrough", make_pipeline(*model)),
        lambda model: TransformedTargetRegressor(model, transformer=StandardScaler()),
        lambda model: make_pipeline(
            model[0], TransformedTargetRegressor(make_pipeline(*model[1:]))
        ),
    ],
    ids=["nested", "inside", "target_transformed", "target_transformed_at_the_end"],
)
def test_repair_reaches_a_windower_inside_of_other_estimators(wrap):
    repaired_as_by_the_flat_pipeline(wrap(linear()))


def test_repair_reaches_a_windower_of_a_frozen_model():
    table = make_table(400)
    pairs = make_forecast_frame(table[:320], "a", horizon=[1, 2, 4, 8, 16, 24])
    fitted = linear().fit(*pairs)
    repaired_as_by_the_flat_pipeline(FrozenEstimator(fitted))


def test_repair_of_windows_that_cannot_be_reached_is_refused_with_the_remedy():
    table = make_table()
    voting = VotingRegressor([("a", linear(24)), ("b", linear(48))])
    scaled = make_pipeline(StandardScaler().set_output(transform="pandas"), *linear())
    for model in (voting, scaled):
        with pytest.raises(ValueError, match=r"Set repair=False"):
            detector(estimator=model, horizon=1).fit(table)
        unrepaired = detector(estimator=model, horizon=1, repair=False).fit(table)
        assert np.isfinite(unrepaired.score_samples(table)).all()


def test_the_given_estimator_is_left_alone():
    model = linear()
    detector(estimator=model).fit(make_table())
    assert not hasattr(model[0], "n_features_in_")


def test_an_impossible_value_is_scored_and_forgotten():
    table = make_table(600)
    table.iloc[450] = 1e300
    network = RNNRegressor(max_epochs=1, hidden_size=4, random_state=0)
    network = make_pipeline(SequenceWindower(8), network)
    model = ForecastAnomalyDetector(network).fit(table[:400])
    scores = model.score_samples(table[400:])
    assert np.isfinite(scores).all()
    assert scores.argmin() == 50
    assert (scores[51:80] > -5).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("missing", [None, "mask"])
def test_infinities_are_refused_by_column_and_row(value, missing):
    table = make_table(n_columns=2)
    model = detector(estimator=masked(), missing=missing).fit(table)
    table.iloc[7, 1] = value
    for method in (model.fit, model.score_samples, model.stream):
        with pytest.raises(ValueError, match="column 'b' of row 7 is infinite"):
            method(table)


def masked():
    network = RNNRegressor(max_epochs=1, hidden_size=4, random_state=0)
    return make_pipeline(SequenceWindower(4), network)


def test_an_array_of_number_objects_is_an_array_of_numbers():
    values = make_table().to_numpy()
    objects = values.astype(object)
    np.testing.assert_array_equal(
        detector().fit(objects).score_samples(objects),
        detector().fit(values).score_samples(values),
    )


def test_constant_columns_have_scores():
    table = make_table(500, n_columns=2)
    table["b"] = 7.0
    model = detector().fit(table[:400])
    scores = model.score_features(table[400:])
    assert (scores["b"] < 1).all()
    changed = table[400:].copy()
    changed.iloc[50, 1] = 7.1
    assert model.score_features(changed)["b"].iloc[50] > 10


@pytest.mark.parametrize("copied", [pickle, "file"])
def test_a_copy_scores_like_its_original(copied, tmp_path):
    table = make_table(500)
    network = RNNRegressor(max_epochs=1, hidden_size=4, random_state=0)
    pipeline = make_pipeline(SequenceWindower(8), network)
    model = ForecastAnomalyDetector(pipeline).fit(table[:400])
    if copied is pickle:
        copy = pickle.loads(pickle.dumps(model))
    else:
        save_model(model, tmp_path / "detector.rnn")
        copy = load_model(tmp_path / "detector.rnn")
    np.testing.assert_array_equal(
        copy.score_samples(table[400:]), model.score_samples(table[400:])
    )


# Bad input.


def test_what_cannot_be_scored_is_refused():
    table = make_table()
    with pytest.raises(ValueError, match="no column of numbers"):
        detector().fit(table.assign(a="x"))
    with pytest.raises(ValueError, match="longer table"):
        detector().fit(table[:12])
    with pytest.raises(ValueError, match="Expected 2D array, got 1D"):
        detector().fit(np.arange(9.0))
    with pytest.raises(ValueError, match="names no column"):
        detector(target="other").fit(table)
    with pytest.raises(ValueError, match="contamination"):
        detector(contamination=0.6).fit(table)
    fitted = detector().fit(table)
    with pytest.raises(ValueError, match="feature names"):
        fitted.score_samples(table.rename(columns={"a": "b"}))
    with pytest.raises(ValueError, match="numbers"):
        fitted.score_samples(table.reset_index(drop=True))
    with pytest.raises(ValueError, match="no value in the rows to fit on"):
        blank = table.assign(b=np.where(np.arange(400) < 399, np.nan, 1.0))
        detector(missing="mask", horizon=1).fit(blank)


@pytest.mark.thorough
def test_rows_with_little_history_are_no_anomalies_for_that():
    rng = np.random.default_rng(0)
    times = pd.date_range("2025-01-01", periods=900, freq="h")
    level = 10 + 3 * np.sin(np.arange(900) * 2 * np.pi / 24)
    table = pd.DataFrame({"level": level + rng.normal(0, 0.1, 900)}, index=times)
    detector = ForecastAnomalyDetector(n_steps=24, random_state=0).fit(table[:700])
    apart = table[730:].copy()  # no row of fit leads up to it
    assert (detector.predict(apart)[:24] == -1).sum() <= 2
    live = detector.stream()
    assert sum(live.predict(row) == -1 for row in apart.to_numpy()[:24]) <= 2
    apart.iloc[5] += 20  # far outside of all values
    assert detector.predict(apart)[5] == -1


# Life among scikit-learn's tools.

FEW_ROWS = "10 to 15 rows, of which 10 are to calibrate and others to fit on"
ROWS_ARE_STEPS = "rows are steps of time: their order and what precedes them count"
CALIBRATED = "contamination is the fraction of the calibration block, not of X"
TRUE_FAILURES = {
    "check_n_features_in_after_fitting": FEW_ROWS,
    "check_estimators_nan_inf": FEW_ROWS,
    "check_classifier_data_not_an_array": FEW_ROWS,
    "check_fit2d_1feature": FEW_ROWS,
    "check_outliers_fit_predict": CALIBRATED,
    "check_outliers_train": CALIBRATED,
    "check_methods_sample_order_invariance": ROWS_ARE_STEPS,
    "check_methods_subset_invariance": ROWS_ARE_STEPS,
}


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::sklearn_rnn._exceptions.WindowHistoryWarning")
def test_check_estimator_fails_only_where_rows_are_steps_or_too_few():
    results = check_estimator(
        detector(estimator=linear(2), horizon=1, calibration_fraction=0.5),
        expected_failed_checks=TRUE_FAILURES,
        on_skip=None,
    )
    failed = {r["check_name"] for r in results if r["status"] == "xfail"}
    assert failed == set(TRUE_FAILURES)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((60, 2), np.nan), "'x0' has no value.*Fill in the NaN"),
        (np.full((60, 2), np.inf), "'x0' of row 0 is infinite"),
        (np.ones((60, 2)) * 1j, "Complex data not supported"),
        (np.ones((60, 0)), r"0 feature\(s\) .* minimum of 1"),
        (np.ones((1, 2)), "n_samples = 1"),
    ],
)
def test_arrays_that_cannot_be_read_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        detector().fit(X)
