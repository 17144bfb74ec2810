"""SHAP values of windows: they add up to predictions, and find what counts."""

import numpy as np
import pytest

from sklearn_rnn import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore:The set_:PendingDeprecationWarning"  # of the import of shap
)


def explain(predict, X):
    """Return SHAP values of two sequences, with the base value and the background."""
    shap = pytest.importorskip("shap")
    rows = X.reshape(len(X), -1)

    def predict_rows(rows):
        return predict(rows.reshape(-1, *X.shape[1:]))

    explainer = shap.PermutationExplainer(predict_rows, rows[:10], seed=0)
    return explainer(rows[-2:], silent=True)


@pytest.mark.thorough
def test_shap_values_of_a_regressor_add_up_to_its_prediction():
    X = np.random.default_rng(0).normal(size=(200, 4, 2))
    model = RNNRegressor(random_state=0).fit(X, X[:, -2, 1])
    found = explain(model.predict, X)
    np.testing.assert_allclose(
        found.base_values + found.values.sum(axis=1), model.predict(X[-2:]), atol=1e-5
    )
    np.testing.assert_allclose(
        found.base_values, model.predict(X[:10]).mean(), atol=1e-5
    )
    by_step = np.abs(found.values).reshape(2, 4, 2)
    assert np.unravel_index(by_step.sum(axis=0).argmax(), (4, 2)) == (2, 1)


@pytest.mark.thorough
def test_shap_values_of_a_classifier_add_up_to_its_probabilities():
    X = np.random.default_rng(0).normal(size=(100, 4, 2))
    model = RNNClassifier(max_epochs=5, random_state=0).fit(X, X[:, -2, 1] > 0)
    found = explain(model.predict_proba, X)
    np.testing.assert_allclose(
        found.base_values + found.values.sum(axis=1),
        model.predict_proba(X[-2:]),
        atol=1e-5,
    )
