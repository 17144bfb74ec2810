"""The network's weight in the average with the linear part, from summed losses."""

import numpy as np
import pytest
import torch

from sklearn_rnn.estimators.closed_form._blend import (
    ELEMENTWISE_LOSSES,
    GRID,
    elementwise_loss,
    network_weights,
    weighted_losses,
)
from sklearn_rnn.training._losses import LOSSES

MANY = 10**9  # sequences, of which no prior is left


def squared_losses(errors_linear, errors_network):
    """Return the summed losses of averages, by squared errors."""
    y = np.zeros((len(errors_linear), 1))
    return weighted_losses(
        lambda predicted: (predicted - y) ** 2,
        errors_linear[:, np.newaxis],
        errors_network[:, np.newaxis],
        np.ones(len(y)),
    )


def errors(scale, seed):
    return scale * np.random.default_rng(seed).normal(size=500)


def test_many_targets_give_the_weight_of_least_squares():
    linear, network = errors(1.0, 0), errors(0.7, 1)
    difference = network - linear
    expected = -(linear @ difference) / (difference @ difference)
    losses, weights = squared_losses(linear, network)
    found = network_weights(losses, weights, np.array([MANY]))
    assert 0 < expected < 1
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("scale", "expected"), [(100.0, 0.0), (0.01, 1.0)])
def test_a_part_that_is_much_better_gets_all_the_weight(scale, expected):
    losses, weights = squared_losses(errors(1.0, 0), errors(scale, 1))
    found = network_weights(losses, weights, np.array([MANY]))
    assert found == pytest.approx(expected, abs=1e-3)


def test_the_fewer_the_targets_the_nearer_to_the_prior():
    losses, weights = squared_losses(errors(1.0, 0), errors(0.3, 1))
    found = [
        network_weights(losses, weights, np.array([n]))[0] for n in (5, 100, 1000, MANY)
    ]
    assert found == sorted(found)
    assert found[0] < 0.5
    assert found[-1] > 0.85


def test_weights_do_not_jump_with_rounding():
    losses, weights = squared_losses(errors(1.0, 0), errors(0.7, 1))
    counts = np.array([300])
    found = network_weights(losses, weights, counts)
    rng = np.random.default_rng(0)
    for _ in range(20):
        noisy = losses * (1 + 1e-12 * rng.normal(size=losses.shape))
        np.testing.assert_allclose(
            network_weights(noisy, weights, counts), found, atol=1e-9
        )


def test_overflow_and_perfect_parts_have_a_weight():
    rising = np.where(GRID > 0, np.inf, 1.0)[:, np.newaxis]
    nothing = np.zeros((len(GRID), 1))
    perfect = (GRID**2)[:, np.newaxis]
    for losses, expected in ((rising, 0.0), (nothing, 0.3), (perfect, 0.0)):
        found = network_weights(losses, np.ones(1), np.array([50]))
        assert found == pytest.approx(expected, abs=1e-9)
    assert network_weights(nothing, np.zeros(1), np.array([0])) == 0.0


@pytest.mark.parametrize("name", ELEMENTWISE_LOSSES)
def test_a_loss_is_that_of_the_training(name):
    y, predicted = np.random.default_rng(0).normal(0, 2, size=(2, 50, 3))
    expected = LOSSES[name](
        torch.from_numpy(predicted), torch.from_numpy(y), reduction="none"
    )
    found = elementwise_loss(name, y, predicted, scale=np.ones(3))
    # Up to a factor, which weighs nothing.
    ratio = found / expected.numpy()
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-12)
    with pytest.raises(KeyError):
        elementwise_loss("hinge", y, predicted)
