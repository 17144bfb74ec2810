"""Distributions that a network predicts: their parameters, likelihoods and quantiles.

The parameters of a distribution stand on the last axis, the mean (of Student's t the
location) first. Between a user's units and standard ones a mean moves with both
location and scale, and a parameter in `scales` with the scale alone.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from scipy import special, stats
from torch import distributions
from torch.nn import functional as F

# Of standardised targets: a scale or dispersion of 0 would have an infinite likelihood.
SMALLEST_SCALE, SMALLEST_DISPERSION = 1e-3, 1e-6
# Student's t has at least two degrees of freedom, so that it has a variance.
LARGEST_TAIL, SMALLEST_TAIL = 0.5, 1e-3
# Of counts, up and down: else a network that diverges predicts 0, or infinite ones.
LARGEST_LOG_MEAN = 40.0
# What an untrained network predicts: a tail of six degrees of freedom.
FIRST_SCALE, FIRST_TAIL = 1.0, 1 / 6
# The linear part may predict a mean below 0. Candidates of what counts then are at
# least, as fractions of their mean.
FLOORS = (1e-3, 1e-2, 0.05, 0.1, 0.2, 0.5)
# Candidates of the tail of the linear part's errors, and updates of the scale for each;
# and of the dispersion, as factors of that by moments, which outliers make large.
TAIL_GRID = np.linspace(0.01, LARGEST_TAIL, 15)
N_SCALE_UPDATES = 50
DISPERSION_FACTORS = np.geomspace(0.1, 2.0, 25)


class Likelihood(ABC):
    """A family of distributions of one target.

    Attributes
    ----------
    n_parameters : int
        Parameters, and outputs of the network, per target.
    is_count : bool
        Whether targets are whole numbers from 0, which are not standardised.
    """

    n_parameters = 1
    is_count = False
    # Positions of parameters that are measured in units of the target.
    scales: tuple[int, ...] = ()

    @abstractmethod
    def parameters(self, outputs):
        """Turn outputs of a network (..., n_parameters) into parameters."""

    @abstractmethod
    def distribution(self, parameters):
        """Return the distribution of torch with parameters (..., n_parameters)."""

    @abstractmethod
    def first_outputs(self, y, weights):
        """Return outputs that describe targets (n,) without any input."""

    @abstractmethod
    def fit_errors(self, y, predicted, weights):
        """Fit the parameters beside the mean to predictions (n,) of targets (n,).

        Returns what `around` takes.
        """

    @abstractmethod
    def around(self, mean, units, fitted):
        """Return parameters (n, n_targets, n_parameters) around predictions.

        Predictions and their units are (n, n_targets); `fitted` has what `fit_errors`
        returned, by target.
        """

    @abstractmethod
    def quantiles(self, parameters, levels):
        """Return quantiles at levels that broadcast with the axes but the last."""

    @abstractmethod
    def probabilities(self, parameters, y):
        """Return the probability of a value below y; of y itself half of it counts."""

    def nll(self, parameters, y):
        """Return the negative log-likelihood of targets, tensors both, in nats."""
        return -self.distribution(parameters).log_prob(y)


class Gaussian(Likelihood):
    """Normal: (mean, standard deviation)."""

    n_parameters = 2
    scales = (1,)

    def parameters(self, outputs):
        location, scale = outputs.unbind(-1)
        return torch.stack([location, F.softplus(scale) + SMALLEST_SCALE], dim=-1)

    def distribution(self, parameters):
        location, scale = parameters.unbind(-1)
        return distributions.Normal(location, scale, validate_args=False)

    def first_outputs(self, y, weights):
        return np.array([0.0, inverse_softplus(FIRST_SCALE)])

    def fit_errors(self, y, predicted, weights):
        square = np.average((y - predicted) ** 2, weights=weights)
        return np.array([max(np.sqrt(square), TINY_SCALE)])

    def around(self, mean, units, fitted):
        return np.stack([mean, units * fitted[:, 0]], axis=-1)

    def quantiles(self, parameters, levels):
        location, scale = np.moveaxis(parameters, -1, 0)
        return location + scale * special.ndtri(levels)

    def probabilities(self, parameters, y):
        location, scale = np.moveaxis(parameters, -1, 0)
        return special.ndtr((y - location) / scale)


class StudentT(Likelihood):
    """Student's t: (location, scale, 1 / degrees of freedom)."""

    n_parameters = 3
    scales = (1,)

    def parameters(self, outputs):
        location, scale, tail = outputs.unbind(-1)
        # Between degrees of freedom of 2 and 1000.
        tail = SMALLEST_TAIL + (LARGEST_TAIL - SMALLEST_TAIL) * torch.sigmoid(tail)
        return torch.stack([location, F.softplus(scale) + SMALLEST_SCALE, tail], -1)

    def distribution(self, parameters):
        location, scale, tail = parameters.unbind(-1)
        return distributions.StudentT(1 / tail, location, scale, validate_args=False)

    def first_outputs(self, y, weights):
        # The variance is scale² / (1 - 2 tail).
        scale = FIRST_SCALE * np.sqrt(1 - 2 * FIRST_TAIL)
        tail = (FIRST_TAIL - SMALLEST_TAIL) / (LARGEST_TAIL - SMALLEST_TAIL)
        return np.array([0.0, inverse_softplus(scale), special.logit(tail)])

    def fit_errors(self, y, predicted, weights):
        error = y - predicted
        candidates = [
            np.array([_fit_scale(error, tail, weights), tail]) for tail in TAIL_GRID
        ]
        return _likeliest(self, candidates, y, predicted, weights)

    def around(self, mean, units, fitted):
        tail = np.broadcast_to(fitted[:, 1], mean.shape)
        return np.stack([mean, units * fitted[:, 0], tail], axis=-1)

    def quantiles(self, parameters, levels):
        location, scale, tail = np.moveaxis(parameters, -1, 0)
        return location + scale * special.stdtrit(1 / tail, levels)

    def probabilities(self, parameters, y):
        location, scale, tail = np.moveaxis(parameters, -1, 0)
        return special.stdtr(1 / tail, (y - location) / scale)


class Poisson(Likelihood):
    """Poisson: (mean,)."""

    is_count = True

    def parameters(self, outputs):
        return _exp(outputs)

    def distribution(self, parameters):
        return distributions.Poisson(parameters[..., 0], validate_args=False)

    def first_outputs(self, y, weights):
        return np.array([_log_mean(y, weights)])

    def fit_errors(self, y, predicted, weights):
        candidates = [np.array([floor]) for floor in _floors(y, weights)]
        return _likeliest(self, candidates, y, predicted, weights)

    def around(self, mean, units, fitted):
        return np.maximum(mean, fitted[:, 0])[..., np.newaxis]

    def quantiles(self, parameters, levels):
        return stats.poisson.ppf(levels, parameters[..., 0])

    def probabilities(self, parameters, y):
        return _mid_probabilities(stats.poisson(parameters[..., 0]), y)


class NegativeBinomial(Likelihood):
    """Negative binomial: (mean, dispersion), of variance mean + dispersion * mean²."""

    n_parameters = 2
    is_count = True

    def parameters(self, outputs):
        mean, dispersion = outputs.unbind(-1)
        return torch.stack(
            [_exp(mean), F.softplus(dispersion) + SMALLEST_DISPERSION], -1
        )

    def distribution(self, parameters):
        mean, dispersion = parameters.unbind(-1)
        return distributions.NegativeBinomial(
            1 / dispersion, logits=(mean * dispersion).log(), validate_args=False
        )

    def first_outputs(self, y, weights):
        mean = np.average(y, weights=weights)
        dispersion = _fit_dispersion(y, np.full_like(y, mean), weights)
        # From a little more than the smallest one a network could not leave it.
        start = inverse_softplus(max(dispersion, 0.01))
        return np.array([_log_mean(y, weights), start])

    def fit_errors(self, y, predicted, weights):
        floors = _floors(y, weights)
        by_moments = [
            _fit_dispersion(y, np.maximum(predicted, floor), weights)
            for floor in floors
        ]
        candidates = list(np.column_stack([floors, by_moments]))
        floor, start = _likeliest(self, candidates, y, predicted, weights)
        dispersions = np.maximum(start * DISPERSION_FACTORS, SMALLEST_DISPERSION)
        candidates = [np.array([floor, dispersion]) for dispersion in dispersions]
        return _likeliest(self, candidates, y, predicted, weights)

    def around(self, mean, units, fitted):
        dispersion = np.broadcast_to(fitted[:, 1], mean.shape)
        return np.stack([np.maximum(mean, fitted[:, 0]), dispersion], axis=-1)

    def quantiles(self, parameters, levels):
        return self._scipy(parameters).ppf(levels)

    def probabilities(self, parameters, y):
        return _mid_probabilities(self._scipy(parameters), y)

    def _scipy(self, parameters):
        mean, dispersion = np.moveaxis(parameters, -1, 0)
        return stats.nbinom(1 / dispersion, 1 / (1 + mean * dispersion))


# By the value of the parameter `loss`.
LIKELIHOODS: dict[str, Likelihood] = {
    "gaussian": Gaussian(),
    "student_t": StudentT(),
    "poisson": Poisson(),
    "negative_binomial": NegativeBinomial(),
}
# No scale of errors is smaller, in the units of the target.
TINY_SCALE = 1e-300


def likelihood_loss(outputs, targets, likelihood, reduction="none"):
    """Compute the negative log-likelihood of targets (...), in nats.

    Of outputs (..., n_parameters). In double: logarithms of gamma functions cancel.
    """
    parameters = likelihood.parameters(outputs.double())
    losses = likelihood.nll(parameters, targets.double()).to(outputs.dtype)
    return losses.mean() if reduction == "mean" else losses


def inverse_softplus(x):
    """Return y with ``log(1 + exp(y)) == x``."""
    return x + np.log(-np.expm1(-x))


def _exp(log_mean):
    return log_mean.clamp(-LARGEST_LOG_MEAN, LARGEST_LOG_MEAN).exp()


def _fit_scale(error, tail, weights):
    """Return the scale of Student's t that errors (n,) are likeliest with."""
    square = max(np.average(error**2, weights=weights), TINY_SCALE)
    for _ in range(N_SCALE_UPDATES):
        # The EM algorithm: an error counts the less the further out it is.
        counts = (1 + tail) / (1 + tail * error**2 / square)
        square = max(np.average(counts * error**2, weights=weights), TINY_SCALE)
    return np.sqrt(square)


def _fit_dispersion(y, mean, weights):
    """Return the dispersion that counts (n,) have around their means, by moments."""
    excess = np.average((y - mean) ** 2 - mean, weights=weights)
    square = max(np.average(mean**2, weights=weights), TINY_SCALE)
    return max(excess / square, SMALLEST_DISPERSION)


def _floors(y, weights):
    """Return candidates of what predicted means of counts are at least."""
    mean = max(np.average(y, weights=weights), SMALLEST_SCALE)
    return mean * np.array(FLOORS)


def _likeliest(likelihood, candidates, y, predicted, weights):
    """Return the one of the candidates, as `around` takes them, that is likeliest."""
    losses = []
    for fitted in candidates:
        mean = predicted[:, np.newaxis]
        found = likelihood.around(mean, np.ones_like(mean), fitted[np.newaxis])
        nll = likelihood.nll(torch.tensor(found[:, 0]), torch.tensor(y)).numpy()
        losses.append(np.average(nll, weights=weights))
    return candidates[int(np.argmin(losses))]


def _log_mean(y, weights):
    return np.log(max(np.average(y, weights=weights), SMALLEST_SCALE))


def _mid_probabilities(distribution, y):
    return (distribution.cdf(y) + distribution.cdf(y - 1)) / 2
