"""ImportanceDisplay: bars and images of importance."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_rnn import ImportanceDisplay, RNNRegressor, sequence_importance


@pytest.fixture(scope="module")
def measured():
    X = np.random.default_rng(0).normal(size=(60, 5, 2))
    model = RNNRegressor(max_epochs=2, random_state=0).fit(X, X[:, -2, 1])
    return model, X, X[:, -2, 1]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_features_are_bars_in_the_order_of_importance(measured):
    display = ImportanceDisplay.from_estimator(*measured, random_state=0)
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == ["0", "1"]
    widths = [bar.get_width() for bar in display.ax_.patches]
    expected = sequence_importance(*measured, random_state=0)["mean"]
    np.testing.assert_allclose(widths, expected)


def test_steps_are_bars_from_the_first_to_the_last(measured):
    display = ImportanceDisplay.from_estimator(*measured, by="step", random_state=0)
    centers = [bar.get_x() + bar.get_width() / 2 for bar in display.ax_.patches]
    np.testing.assert_allclose(centers, [0, -1, -2, -3, -4], atol=1e-9)
    assert display.ax_.get_xlabel() == "steps from the last one"


def test_both_are_an_image(measured):
    _, ax = plt.subplots()
    importance = sequence_importance(*measured, by="both", random_state=0)
    display = ImportanceDisplay.from_importance(importance, ax=ax)
    assert display.ax_ is ax
    [image] = ax.images
    found = np.asarray(image.get_array())
    assert found.shape == (2, 5)
    assert found[1, 3] == importance["mean"][-1, 1] == importance["mean"].max()
    assert image.get_extent()[:2] == [-4.5, 0.5]
