"""scikit-learn's own checks, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_rnn import RNNClassifier, RNNRegressor

ESTIMATORS = [RNNClassifier, RNNRegressor]


@parametrize_with_checks([estimator() for estimator in ESTIMATORS])
def test_the_default_cell_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [estimator(cell=cell) for estimator in ESTIMATORS for cell in ("rnn", "lstm")]
)
def test_the_other_cells_pass_scikit_learns_checks(estimator, check):
    check(estimator)
