"""Likelihoods are those of scipy's distributions, and start and fit as they should."""

import numpy as np
import pytest
import torch
from scipy import stats

from sklearn_rnn.training import LIKELIHOODS, WeightedLoss

# By family the distribution of scipy with parameters (mean or location first).
SCIPY = {
    "gaussian": lambda p: stats.norm(p[..., 0], p[..., 1]),
    "student_t": lambda p: stats.t(1 / p[..., 2], p[..., 0], p[..., 1]),
    "poisson": lambda p: stats.poisson(p[..., 0]),
    "negative_binomial": lambda p: stats.nbinom(
        1 / p[..., 1], 1 / (1 + p[..., 0] * p[..., 1])
    ),
}
COUNTS = ["poisson", "negative_binomial"]


def draw(name, n=30):
    rng = np.random.default_rng(0)
    likelihood = LIKELIHOODS[name]
    outputs = torch.from_numpy(rng.normal(size=(n, likelihood.n_parameters)))
    y = rng.poisson(2.0, n).astype(float) if name in COUNTS else rng.normal(size=n)
    return likelihood, outputs, y


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_loss_is_the_log_likelihood_of_scipy(name):
    likelihood, outputs, y = draw(name)
    distribution = SCIPY[name](likelihood.parameters(outputs).numpy())
    of_scipy = distribution.logpmf if name in COUNTS else distribution.logpdf
    criterion = WeightedLoss(name)
    loss = criterion(outputs, (torch.from_numpy(y)[:, None], None)).item()
    assert loss == pytest.approx(-of_scipy(y).mean(), rel=1e-10)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_quantiles_and_means_are_those_of_scipy(name):
    likelihood, outputs, _ = draw(name)
    parameters = likelihood.parameters(outputs).numpy()
    distribution, levels = SCIPY[name](parameters), np.array([0.025, 0.5, 0.99])
    found = likelihood.quantiles(parameters[:, np.newaxis], levels)
    expected = np.stack([distribution.ppf(level) for level in levels], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    np.testing.assert_allclose(parameters[:, 0], distribution.mean(), rtol=1e-10)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_probabilities_are_between_those_below_and_up_to_a_value(name):
    likelihood, outputs, y = draw(name)
    parameters = likelihood.parameters(outputs).numpy()
    distribution = SCIPY[name](parameters)
    step = 1 if name in COUNTS else 0
    expected = (distribution.cdf(y) + distribution.cdf(y - step)) / 2
    np.testing.assert_allclose(likelihood.probabilities(parameters, y), expected)


def test_a_network_starts_with_the_moments_of_counts():
    rng = np.random.default_rng(0)
    y = rng.negative_binomial(2, 2 / (2 + 6.0), size=4000).astype(float)
    for name in COUNTS:
        likelihood = LIKELIHOODS[name]
        outputs = torch.from_numpy(likelihood.first_outputs(y, None))
        parameters = likelihood.parameters(outputs).numpy()
        assert parameters[0] == pytest.approx(y.mean())
    excess = (y.var() - y.mean()) / y.mean() ** 2
    assert parameters[1] == pytest.approx(excess, rel=1e-3)
    assert parameters[1] == pytest.approx(0.5, rel=0.1)


def test_errors_of_students_t_tell_scale_and_tail():
    rng = np.random.default_rng(0)
    error = 2 * rng.standard_t(4, size=4000)
    scale, tail = LIKELIHOODS["student_t"].fit_errors(
        error + 5, np.full(4000, 5.0), None
    )
    assert scale == pytest.approx(2, rel=0.1)
    assert 1 / tail == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_weight_of_two_is_an_error_that_comes_twice(name):
    _, _, y = draw(name)
    predicted, weights = np.full_like(y, y.mean()), np.arange(len(y)) % 3 + 1.0
    again = np.repeat(np.arange(len(y)), weights.astype(int))
    likelihood = LIKELIHOODS[name]
    np.testing.assert_allclose(
        likelihood.fit_errors(y, predicted, weights),
        likelihood.fit_errors(y[again], predicted[again], None),
        rtol=1e-8,
    )


def test_means_of_counts_below_zero_become_what_such_counts_are_like():
    y = np.array([0.0, 0, 0, 1, 0, 0, 8, 9, 10, 11] * 20)
    predicted = np.array([-3.0, -2, -1, -2, -3, -1, 8, 9, 10, 11] * 20)
    floor, *_ = LIKELIHOODS["poisson"].fit_errors(y, predicted, None)
    assert 0.05 < floor < 0.5


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_huge_outputs_have_finite_losses(name):
    likelihood = LIKELIHOODS[name]
    outputs = torch.full((2, likelihood.n_parameters), 1000.0)
    outputs[1] = -1000.0
    outputs.requires_grad_()
    loss = WeightedLoss(name)(outputs, (torch.tensor([[3.0], [3.0]]), None))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(outputs.grad).all()
