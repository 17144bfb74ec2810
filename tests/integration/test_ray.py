"""Searches and backtests on Ray, as its backend of joblib runs them."""

import joblib
import numpy as np
import pandas as pd
import pytest
from cluster_work import GRID, SMALL, TABLE, X, Y, forecaster
from sklearn.model_selection import GridSearchCV

from sklearn_rnn import RNNRegressor, backtest

ray = pytest.importorskip("ray")  # not among the extras: install it to run these

pytestmark = pytest.mark.slow  # processes of their own import everything


@pytest.fixture(scope="module")
def workers():
    """Start two workers on this machine."""
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()
    yield
    ray.shutdown()


def search(**options):
    return GridSearchCV(RNNRegressor(**SMALL), GRID, cv=2, **options).fit(X, Y)


@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_a_search_has_the_scores_that_it_has_here(workers):
    with joblib.parallel_config(backend="ray"):
        found = search(n_jobs=2)
    expected = search()
    assert found.best_params_ == expected.best_params_
    for name in ("split0_test_score", "split1_test_score", "mean_test_score"):
        np.testing.assert_array_equal(
            found.cv_results_[name], expected.cv_results_[name]
        )
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))


@pytest.mark.filterwarnings("ignore")
def test_a_backtest_has_the_forecasts_that_it_has_here(workers):
    options = {"cv": 4, "season": 4}
    with joblib.parallel_config(backend="ray"):
        found = backtest(forecaster(), TABLE, "temp", 2, n_jobs=2, **options)
    expected = backtest(forecaster(), TABLE, "temp", 2, **options)
    pd.testing.assert_frame_equal(found, expected)
