"""scikit-learn's own checks, with no expected failure."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_rnn import RNNClassifier, RNNRegressor, RNNTagger

ESTIMATORS = [RNNClassifier, RNNRegressor]


@pytest.mark.thorough
@parametrize_with_checks([estimator() for estimator in ESTIMATORS])
def test_the_default_cell_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [estimator(cell=cell) for estimator in ESTIMATORS for cell in ("rnn", "lstm")]
)
def test_the_other_cells_pass_scikit_learns_checks(estimator, check):
    check(estimator)


def at_every_step(X, y):
    """Repeat a sequence's target at each of its steps, where that makes sense."""
    if sparse.issparse(X) or y is None:
        return y
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or y.ndim not in (1, 2) or len(X) != len(y):
        return y
    return np.repeat(y[:, np.newaxis], X.shape[1], axis=1)


class Adapter:
    """Lets checks that know one target a sequence train a target a step."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, at_every_step(X, y), sample_weight)

    def predict(self, X):
        return super().predict(X)[:, -1]


class StepRegressor(Adapter, RNNRegressor):
    def partial_fit(self, X, y, sample_weight=None):
        return super().partial_fit(X, at_every_step(X, y), sample_weight)

    score = RegressorMixin.score


class StepClassifier(Adapter, ClassifierMixin, RNNTagger):
    def fit(self, X, y, sample_weight=None):
        if getattr(y, "ndim", 1) == 2:  # one label a sequence, in a column
            y = column_or_1d(y, warn=True)
        return super().fit(X, y, sample_weight)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        return super().partial_fit(X, at_every_step(X, y), classes, sample_weight)

    def predict_proba(self, X):
        return super().predict_proba(X)[:, -1]

    def predict_log_proba(self, X):
        return super().predict_log_proba(X)[:, -1]

    score = ClassifierMixin.score


# With a squared error per step, more updates magnify rounding beyond what the check of
# sample weights allows.
@pytest.mark.thorough
@parametrize_with_checks(
    [StepRegressor(return_sequences=True, max_epochs=60), StepClassifier()]
)
def test_estimators_of_steps_pass_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.thorough
def test_checks_that_a_variable_of_the_environment_asks_for_pass():
    # It is read once, at the import of SciPy.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "-q"]
    done = subprocess.run(
        [*command, "-k", "check_array_api_input", __file__],
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert "skipped" not in done.stdout
