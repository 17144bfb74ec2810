"""One seed, the same bytes: again, with other threads, in other processes."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from fits_by_seed import (
    ESTIMATORS,
    SMALL,
    X,
    Y,
    digest_of_fit,
    digest_of_windows,
    fit,
)
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import compiled_kernels_available

HERE = Path(__file__).parent

pytestmark = pytest.mark.thorough


@cache
def expected(name):
    return digest_of_fit(name)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_same_seed_gives_the_same_bytes_again(name):
    assert digest_of_fit(name) == expected(name)
    assert digest_of_fit(name, random_state=1) != expected(name)


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("name", ["regressor", "tagger", "generator"])
def test_the_number_of_threads_changes_no_byte_of_compiled_training(name, n_threads):
    if not compiled_kernels_available():
        pytest.skip("needs compiled kernels")
    assert digest_of_fit(name, n_threads) == expected(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["classifier", "encoder-decoder", "transcriber"])
def test_the_number_of_threads_changes_rounding_alone_where_torch_computes(name):
    for one, two in zip(fit(name), fit(name, n_threads=2), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_fits_side_by_side_in_threads_change_no_byte():
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(digest_of_fit, ESTIMATORS))
    assert found == [expected(name) for name in ESTIMATORS]


def test_another_process_gives_the_same_bytes():
    command = [sys.executable, str(HERE / "fits_by_seed.py"), "1"]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    found = json.loads(subprocess.check_output(command, text=True, env=environment))
    assert found == {name: expected(name) for name in ESTIMATORS}


def test_worker_processes_of_joblib_give_the_same_bytes():
    found = Parallel(n_jobs=2)(delayed(digest_of_fit)(n) for n in ESTIMATORS)
    assert found == [expected(name) for name in ESTIMATORS]


@cache
def digest_with_one_thread():
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "fits_by_seed.py"), "windows"]
    return subprocess.check_output(command, text=True, env=environment).strip()


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_number_of_threads_of_numpy_changes_no_byte(n_threads):
    alone = digest_with_one_thread()
    with threadpool_limits(n_threads, user_api="blas"):
        assert digest_of_windows() == alone
        assert {
            d["num_threads"] for d in threadpool_info() if d["user_api"] == "blas"
        } == {n_threads}


def test_a_search_gives_the_same_scores_with_any_n_jobs():
    model = RNNRegressor(**SMALL, random_state=0, n_threads=1)
    grid = {"hidden_size": [3, 4], "early_stopping": [False, True]}
    one, two = (GridSearchCV(model, grid, cv=2, n_jobs=n).fit(X, Y) for n in (1, 2))
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(one.cv_results_[name], two.cv_results_[name])
    assert one.predict(X).tobytes() == two.predict(X).tobytes()
