"""Searches and backtests on a Dask cluster of worker processes."""

import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from cluster_work import (
    GRID,
    SMALL,
    TABLE,
    Counted,
    Fatal,
    X,
    Y,
    forecaster,
    sequences,
)
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_rnn import RNNRegressor, SequenceWindower, backtest

HERE = Path(__file__).parent

pytestmark = pytest.mark.slow  # processes of their own import everything


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Start a cluster of two processes that can import what this folder has."""
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    environment = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    folder = str(tmp_path_factory.mktemp("dask"))
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=folder,
            env=environment,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def search(model=None, grid=GRID, data=(X, Y), **options):
    model = RNNRegressor(**SMALL) if model is None else model
    return GridSearchCV(model, grid, cv=2, **options).fit(*data)


def assert_same_search(found, expected):
    assert found.best_params_ == expected.best_params_
    for name, values in expected.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(found.cv_results_[name], values, name)


def test_a_search_has_the_scores_that_it_has_here(client):
    with joblib.parallel_config(backend="dask"):
        found = search(n_jobs=-1)
    expected = search()
    assert_same_search(found, expected)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))


def test_a_backtest_has_the_forecasts_that_it_has_here(client):
    options = {"cv": 4, "season": 4}
    with joblib.parallel_config(backend="dask"):
        found = backtest(forecaster(), TABLE, "temp", 2, n_jobs=-1, **options)
    expected = backtest(forecaster(), TABLE, "temp", 2, **options)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("scatter", [False, True])
def test_data_are_sent_to_a_worker_once(scatter, client):
    data, Counted.n_sent = sequences(), 0
    options = {"scatter": [data]} if scatter else {}
    with joblib.parallel_config(backend="dask", **options):
        found = search(data=(data, Y), n_jobs=-1, refit=False)
    assert Counted.n_sent <= 3  # to name it, and to two workers; 24 for every fit
    assert_same_search(found, search(data=(data, Y), refit=False))


def test_a_backtest_ends_though_a_worker_is_killed(client, tmp_path):
    def fatal():
        return make_pipeline(SequenceWindower(4), Fatal(str(tmp_path / "killed")))

    client.wait_for_workers(2)  # with one alone joblib would fit in this process
    options = {"cv": 4, "season": 4}
    with joblib.parallel_config(backend="dask", scatter=[TABLE]):
        found = backtest(fatal(), TABLE, "temp", 2, n_jobs=-1, **options)
    assert (tmp_path / "killed").exists()
    expected = backtest(fatal(), TABLE, "temp", 2, **options)
    pd.testing.assert_frame_equal(found, expected)


def test_a_search_ends_though_a_worker_is_killed(client, tmp_path):
    marker, grid = tmp_path / "killed", {"alpha": [0.001, 0.1]}
    client.wait_for_workers(2)  # with one alone joblib would fit in this process
    # Every worker has the data, so none are lost with one.
    with joblib.parallel_config(backend="dask", scatter=[X, Y]):
        found = search(Fatal(str(marker)), grid, n_jobs=-1)
    assert marker.exists()
    # Now the marker exists, so that this process lives.
    assert_same_search(found, search(Fatal(str(marker)), grid))
