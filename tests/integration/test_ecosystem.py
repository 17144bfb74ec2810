"""The estimators inside scikit-learn's own machinery, on real shapes of data."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from old_versions import needs_sklearn_1_8
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline

from sklearn_rnn import (
    RNNClassifier,
    RNNRegressor,
    SequenceScaler,
    SequenceWindower,
    make_windows,
)
from sklearn_rnn.datasets import load_nyc_weather

QUICK = {"hidden_size": 4, "max_epochs": 2, "batch_size": 32, "random_state": 0}
COLUMNS = ["temp", "humid", "pressure"]


@pytest.fixture(scope="module")
def weather():
    """Return 240 hours of three columns, and the temperature in an hour."""
    table = load_nyc_weather("JFK")[COLUMNS].asfreq("h").interpolate().iloc[:241]
    return table.iloc[:-1], table["temp"].shift(-1).iloc[:-1]


def forecaster(**params):
    return make_pipeline(
        SequenceWindower(n_steps=6),
        SequenceScaler(),
        RNNRegressor(**{**QUICK, "target_feature": "temp", **params}),
    )


def labeller(**params):
    return make_pipeline(
        SequenceWindower(n_steps=6),
        SequenceScaler(),
        RNNClassifier(**{**QUICK, "max_epochs": 10, **params}),
    )


@pytest.fixture
def warm(weather):
    X, y = weather
    return X, np.where(y > y.median(), "warm", "cold")


@pytest.mark.thorough
def test_cross_val_score_of_a_table(weather):
    scores = cross_val_score(forecaster(), *weather, cv=TimeSeriesSplit(3, gap=0))
    assert (scores > 0).all()


@pytest.mark.slow
def test_grid_search_is_the_same_in_two_processes_as_in_one(weather):
    grid = {
        "sequencewindower__n_steps": [3, 6],
        "rnnregressor__cell": ["gru", "lstm"],
    }
    splitter = TimeSeriesSplit(2, gap=2)
    searches = [
        GridSearchCV(forecaster(), grid, cv=splitter, n_jobs=n_jobs).fit(*weather)
        for n_jobs in (1, 2)
    ]
    one, two = (search.cv_results_["mean_test_score"] for search in searches)
    assert len(set(one)) == 4, "every candidate scores differently"
    np.testing.assert_array_equal(one, two)
    X, _ = weather
    np.testing.assert_array_equal(searches[0].predict(X), searches[1].predict(X))


@pytest.mark.thorough
def test_grid_search_in_threads_equals_serial(weather):
    grid = {"rnnregressor__hidden_size": [2, 3, 4]}
    with joblib.parallel_config("threading"):
        threaded = GridSearchCV(forecaster(), grid, cv=3, n_jobs=2).fit(*weather)
    serial = GridSearchCV(forecaster(), grid, cv=3).fit(*weather)
    np.testing.assert_array_equal(
        threaded.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


@pytest.mark.thorough
def test_cross_val_predict_gives_one_prediction_a_row(weather):
    X, y = weather
    predictions = cross_val_predict(forecaster(), X, y, cv=KFold(3))
    assert predictions.shape == y.shape
    assert np.corrcoef(predictions, y)[0, 1] > 0.8


def test_a_following_fold_predicts_as_from_windows_of_the_whole_table(weather):
    X, y = weather
    train, test = slice(0, 160), slice(160, None)
    from_folds = forecaster().fit(X[train], y[train]).predict(X[test])
    windows = SequenceWindower(n_steps=6).fit_transform(X)
    scaler = SequenceScaler().fit(windows[train])
    model = RNNRegressor(**QUICK, target_feature="temp")
    model.fit(scaler.transform(windows[train]), y[train])
    whole = model.predict(scaler.transform(windows[test]))
    np.testing.assert_array_equal(from_folds, whole)


@pytest.mark.thorough
def test_windows_cut_before_the_split_score_as_by_hand(weather):
    X, y = weather
    windows = SequenceWindower(n_steps=6).fit_transform(X)
    model = RNNRegressor(**QUICK, target_feature="temp")
    splitter = TimeSeriesSplit(2, gap=3)
    scores = cross_val_score(model, windows, y, cv=splitter)
    for score, (train, test) in zip(scores, splitter.split(X), strict=True):
        by_hand = clone(model).fit(windows[train], y.iloc[train])
        assert score == by_hand.score(windows[test], y.iloc[test])
        # Windows keep their true history across the gap: none of them is short.
        assert (windows[test].lengths == 6).all()


@pytest.mark.thorough
def test_the_future_is_never_read(weather):
    X, y = weather
    changed = X.copy()
    changed.iloc[160:] += 1e6
    for estimator in (
        forecaster(),
        forecaster(early_stopping=True, validation_fraction=0.2),
    ):
        honest = clone(estimator).fit(X[:160], y[:160])
        windows = SequenceWindower(n_steps=6).fit_transform(X)
        shifted = SequenceWindower(n_steps=6).fit_transform(changed)
        for table in (X, changed):
            np.testing.assert_array_equal(
                honest.predict(X[:160]), honest.predict(table[:160])
            )
        # A fold of windows still holds the whole table: its later rows must not
        # reach scaling, target or training.
        on_windows = [
            clone(estimator[1:]).fit(w[:160], y[:160]).predict(w[:160])
            for w in (windows, shifted)
        ]
        np.testing.assert_array_equal(*on_windows)


@pytest.mark.thorough
def test_ragged_lists_go_through_the_same_splitters():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(3, 9, size=60)]
    y = np.array([x.sum() for x in X])
    model = RNNRegressor(**QUICK)
    as_objects = np.empty(60, dtype=object)
    as_objects[:] = X
    scores = [cross_val_score(model, data, y, cv=KFold(3)) for data in (X, as_objects)]
    np.testing.assert_array_equal(*scores)
    search = GridSearchCV(model, {"hidden_size": [2, 4]}, cv=3, n_jobs=2).fit(X, y)
    assert search.predict(X[:5]).shape == (5,)


def test_make_windows_goes_through_a_grid_search(weather):
    X, _ = weather
    windows, targets = make_windows(X, X["temp"], n_steps=8, horizon=1)
    model = make_pipeline(SequenceWindower(), RNNRegressor(**QUICK))
    grid = {"sequencewindower__n_steps": [2, 8]}
    search = GridSearchCV(model, grid, cv=TimeSeriesSplit(2)).fit(windows, targets)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


# Stratified folds leave holes in the training rows, and short windows behind them.
CUT_BY_FOLDS = pytest.mark.filterwarnings("ignore:.*windows are shorter than n_steps")


@pytest.mark.thorough
@CUT_BY_FOLDS
def test_stacking_with_a_partitioning_splitter(weather, warm):
    X, y = weather
    stack = StackingRegressor(
        [("rnn", forecaster()), ("short", forecaster(hidden_size=2))],
        LinearRegression(),
        cv=KFold(3),
    )
    assert stack.fit(X, y).score(X, y) > 0.8
    X, labels = warm
    stack = StackingClassifier(
        [("rnn", labeller())], LogisticRegression(), cv=StratifiedKFold(2)
    )
    assert stack.fit(X, labels).score(X, labels) > 0.7


@pytest.mark.thorough
def test_transformed_target_and_voting(weather):
    X, y = weather
    logged = TransformedTargetRegressor(
        forecaster(target_feature=None, max_epochs=20), func=np.log, inverse_func=np.exp
    )
    assert logged.fit(X, y).score(X, y) > 0.3
    vote = VotingRegressor([("a", forecaster()), ("b", forecaster(random_state=1))])
    mean = vote.fit(X, y).predict(X)
    parts = [part.predict(X) for part in vote.estimators_]
    np.testing.assert_allclose(mean, np.mean(parts, axis=0))


@pytest.mark.thorough
@CUT_BY_FOLDS
def test_calibration_and_tuned_threshold(warm):
    X, y = warm
    calibrated = CalibratedClassifierCV(labeller(), cv=StratifiedKFold(2)).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    assert calibrated.score(X, y) > 0.7
    tuned = TunedThresholdClassifierCV(labeller(), cv=StratifiedKFold(2))
    assert tuned.fit(X, y).score(X, y) > 0.7


def test_permutation_importance_of_a_pipeline_finds_the_feature_that_matters(weather):
    X, y = weather
    model = forecaster().fit(X, y)
    importance = permutation_importance(model, X, y, n_repeats=2, random_state=0)
    assert importance.importances_mean.argmax() == COLUMNS.index("temp")


@pytest.mark.thorough
def test_bagging_on_two_dimensional_sequences():
    X = np.random.default_rng(0).normal(size=(80, 5))
    y = X[:, -1] > 0
    model = BaggingClassifier(
        RNNClassifier(hidden_size=16, batch_size=16, pooling="last", random_state=0),
        n_estimators=3,
        random_state=0,
    )
    assert model.fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("make", [forecaster, labeller])
def test_pickle_and_joblib_keep_predictions(make, weather, warm, tmp_path):
    X, y = weather if make is forecaster else warm
    model = make().fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    for loaded in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
    ):
        np.testing.assert_array_equal(model.predict(X), loaded.predict(X))


def test_pandas_output_passes_through_and_keeps_names(weather):
    X, y = weather
    model = forecaster().set_output(transform="pandas").fit(X, y)
    assert model[-1].feature_names_in_.tolist() == COLUMNS
    assert model[:-1].get_feature_names_out().tolist() == COLUMNS


@pytest.mark.thorough
def test_polars_predicts_as_pandas(weather):
    X, y = weather
    frame = pl.from_pandas(X.rename_axis("time").reset_index())
    model = Pipeline(
        [
            ("window", SequenceWindower(n_steps=6, time="time")),
            ("scale", SequenceScaler()),
            ("rnn", RNNRegressor(**QUICK, target_feature="temp")),
        ]
    )
    np.testing.assert_array_equal(
        model.fit(frame, y.to_numpy()).predict(frame), forecaster().fit(X, y).predict(X)
    )
    assert cross_val_score(model, frame, y.to_numpy(), cv=KFold(2)).shape == (2,)


@needs_sklearn_1_8
def test_sample_weight_is_routed(weather):
    X, y = weather
    weights = np.linspace(0, 1, 240) ** 4
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(
            SequenceWindower(n_steps=6),
            SequenceScaler().set_fit_request(sample_weight=True),
            RNNRegressor(**QUICK)
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=True),
        )
        weighted = model.fit(X, y, sample_weight=weights).predict(X)
        plain = clone(model).fit(X, y).predict(X)
        assert not np.array_equal(weighted, plain)
        result = cross_validate(model, X, y, cv=2, params={"sample_weight": weights})
        assert np.isfinite(result["test_score"]).all()


def test_validation_data_go_through_the_pipeline(weather):
    X, y = weather
    rnn = RNNRegressor(**{**QUICK, "linear_skip": False})
    with sklearn.config_context(enable_metadata_routing=True):
        model = Pipeline(
            [
                ("window", SequenceWindower(n_steps=6)),
                ("scale", SequenceScaler()),
                ("rnn", rnn.set_fit_request(X_val=True, y_val=True)),
            ],
            transform_input=["X_val"],
        )
        model.fit(X[:160], y[:160], X_val=X[160:], y_val=y[160:])
        score = model.score(X[160:], y[160:])
        assert model[-1].validation_scores_[-1] == pytest.approx(score)


def test_the_html_representation_renders(weather):
    model = forecaster()
    for fitted in (model, model.fit(*weather)):
        assert "RNNRegressor" in fitted._repr_html_()


def test_several_series_do_not_mix():
    table = load_nyc_weather()
    hours = pd.date_range("2013-02-01", periods=48, freq="h", tz="UTC")
    table = table[table["time"].isin(hours)].reset_index(drop=True)
    windows = SequenceWindower(n_steps=48, time="time", group_by="station")
    temp = windows.fit_transform(table[["station", "time", "temp"]])
    for i in (0, 60, 130):
        own = table[(table.station == table.station[i]) & (table.time <= table.time[i])]
        np.testing.assert_array_equal(temp[i].ravel(), own["temp"].to_numpy()[-48:])
