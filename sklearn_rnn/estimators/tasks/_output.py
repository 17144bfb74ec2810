"""What a regressor's network predicts per target: a point, quantiles, a distribution.

Forecasts are in the units of the targets: points (n, n_targets), else (n, n_targets, k)
of quantiles or of the parameters of a distribution. Averages of two forecasts are again
forecasts of the same kind.
"""

from abc import ABC, abstractmethod
from numbers import Real
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form import elementwise_loss
from sklearn_rnn.estimators.tasks._quantiles import (
    check_levels,
    marginal_quantiles,
    point_forecast,
)
from sklearn_rnn.sequences import plain_arrays
from sklearn_rnn.training import LIKELIHOODS, call_loss

# Probabilities of 0 or 1, of targets far out, would be infinite normal scores.
SMALLEST_PROBABILITY = 1e-6


class Output(ABC):
    """Between the outputs of a network and forecasts.

    Those that are more than points have `quantiles`, and `fit_errors` and `around` for
    a linear part that predicts points.

    Parameters
    ----------
    loss : str or callable
        The loss of the regressor.
    bounds : tuple of (float, float)
        What is predicted lies between them; infinite ones do not bound.
    target_weight : array-like of shape (n_targets,) or None
        As the user gave it.

    Attributes
    ----------
    size : int
        Outputs of the network per target.
    depth : tuple of int
        Shape of the forecast of one target.
    levels : ndarray of shape (n_quantiles,) or None
        The quantiles that are predicted by default, None if there are none.
    trained_levels : ndarray of shape (n_quantiles,) or None
        Those that the network predicts one by one.
    is_mean : bool
        Whether point forecasts are means.
    is_distribution : bool
        Whether there are samples; losses are logarithms then, and their differences
        are compared, not their ratios.
    is_count : bool
        Whether targets are counts.
    """

    size = 1
    depth: tuple[int, ...] = ()
    levels: Any = None
    trained_levels: Any = None
    is_mean = False
    is_distribution = False
    is_count = False

    def __init__(self, loss, bounds, target_weight=None):
        self.loss, self.bounds = loss, bounds
        self.target_weight = target_weight

    def encode(self, baseline, sequences, y):
        """Turn targets (n, n_targets) into what outputs are compared with."""
        return baseline.residual(sequences, y)

    def decode(self, baseline, sequences, targets):
        """Turn what outputs are compared with into targets (n, n_targets)."""
        return baseline.restore(sequences, targets)

    def first_outputs(self, targets, weights):
        """Return outputs (n_targets, size) that an untrained network begins with."""
        return None

    @abstractmethod
    def restore(self, baseline, sequences, outputs):
        """Turn outputs of the network, (n, n_targets * size), into forecasts."""

    @abstractmethod
    def losses(self, y, forecasts, units, spread):
        """Return the loss of each target (n, n_targets), NaN where there is none.

        In the units of the windows, which are NaN where errors must not count;
        `spread` is that of the targets in these units.
        """

    @abstractmethod
    def points(self, forecasts):
        """Return what ``predict`` does, (n, n_targets)."""

    def parse_levels(self, quantiles):
        """Return the levels that a user asks for; None asks for those of fit."""
        if self.levels is None:
            raise ValueError(
                f"the model was fitted with loss={self.loss!r}, which predicts no "
                "quantiles: fit it with loss='quantile' and quantiles=(0.1, 0.5, 0.9), "
                "or others, or with a likelihood, such as loss='gaussian'."
            )
        levels = self.levels if quantiles is None else check_levels(quantiles)
        if not (self.is_distribution or np.isin(levels, self.levels).all()):
            raise ValueError(
                f"quantiles={quantiles!r}, but loss='quantile' was fitted to "
                f"{self.levels.tolist()}: choose from these, fit again with other "
                "quantiles, or with a likelihood, which has all of them."
            )
        return levels

    def target_weights(self, n_targets):
        """Return the weights of targets, of mean 1, or None where all are alike."""
        given = self.target_weight
        if given is None:
            return None
        weights = plain_arrays(
            given, estimator_name="RNNRegressor", name="target_weight"
        )
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape != (n_targets,):
            raise ValueError(
                f"target_weight has shape {weights.shape}, but y has {n_targets} "
                f"targets: give a weight for each, shape ({n_targets},)."
            )
        if not (np.isfinite(weights).all() and weights.min() >= 0 < weights.max()):
            raise ValueError(
                f"target_weight={given!r} should be finite, not negative, and not all "
                "zero."
            )
        return weights / weights.mean()

    def clip(self, values):
        """Return values within the bounds."""
        return np.clip(values, *self.bounds)

    def check_targets(self, y):
        """Check that targets (n, n_targets) are what this output predicts."""
        low, high = self.bounds
        outside = (y < low) | (y > high)
        if outside.any():
            raise ValueError(
                f"y holds {y[outside][0]:.6g}, and bounds={self.bounds} says that no "
                "target is outside of them: correct y, or the bounds."
            )
        wrong = ~np.isnan(y) & ((y < 0) | (y != np.floor(y)))
        if self.is_count and wrong.any():
            raise ValueError(
                f"loss={self.loss!r} is the likelihood of counts, whole numbers from "
                f"0, and y holds {y[wrong][0]:.6g}. For other values choose "
                "loss='gaussian' or 'student_t', with bounds=(0, None) if none is "
                "below 0."
            )


@plain_type
class PointOutput(Output):
    """A number per target, by a loss of errors or of the user's own."""

    def __init__(self, loss, bounds, target_weight=None):
        super().__init__(loss, bounds, target_weight)
        self.is_mean = loss == "squared_error"

    def restore(self, baseline, sequences, outputs):
        return baseline.restore(sequences, outputs)

    def losses(self, y, forecasts, units, spread):
        y, forecasts = y / units, self.clip(forecasts) / units
        if not callable(self.loss):
            return elementwise_loss(self.loss, y, forecasts, spread)
        losses, known = np.full(y.shape, np.nan), ~np.isnan(y)
        outputs, targets = (
            torch.from_numpy((v / spread)[known]) for v in (forecasts, y)
        )
        losses[known] = call_loss(outputs, targets, self.loss).detach().numpy()
        return losses

    def points(self, forecasts):
        return np.clip(forecasts, *self.bounds)


@plain_type
class QuantileOutput(Output):
    """Quantiles of each target, by the pinball loss."""

    def __init__(self, levels, bounds, target_weight=None):
        super().__init__("quantile", bounds, target_weight)
        self.levels = self.trained_levels = levels
        self.size = len(levels)
        self.depth = (self.size,)

    def first_outputs(self, targets, weights):
        return marginal_quantiles(targets, self.levels, weights)

    def restore(self, baseline, sequences, outputs):
        outputs = outputs.reshape(len(outputs), -1, self.size)
        quantiles = [
            baseline.restore(sequences, outputs[:, :, i]) for i in range(self.size)
        ]
        # Quantiles that were learned apart may cross; put in order they are never
        # further from the truth (Chernozhukov, Fernández-Val and Galichon 2010).
        return np.sort(np.stack(quantiles, axis=-1), axis=-1)

    def fit_errors(self, y, predicted, units, weights):
        """Return what errors of point forecasts are like, which `around` takes."""
        return marginal_quantiles((y - predicted) / units, self.levels, weights)

    def around(self, points, units, fitted):
        """Return forecasts around points (n, n_targets) with such errors."""
        return points[:, :, np.newaxis] + units[:, :, np.newaxis] * fitted

    def losses(self, y, forecasts, units, spread):
        forecasts = self.clip(forecasts) / units[:, :, np.newaxis]
        return elementwise_loss("quantile", y / units, forecasts, levels=self.levels)

    def points(self, forecasts):
        return point_forecast(self.clip(forecasts), self.levels)

    def quantiles(self, forecasts, levels):
        """Return quantiles (n, n_targets, n_quantiles) at some of the levels of fit."""
        return self.clip(forecasts[..., np.searchsorted(self.levels, levels)])


@plain_type
class LikelihoodOutput(Output):
    """The parameters of a distribution of each target, by its likelihood.

    `levels` are the quantiles that are predicted by default. Two location-scale
    distributions are averaged as their quantiles are: locations and scales.
    """

    is_mean = True
    is_distribution = True

    def __init__(self, loss, levels, bounds, target_weight=None):
        super().__init__(loss, bounds, target_weight)
        self.levels = levels
        self.size = self.likelihood.n_parameters
        self.depth = (self.size,)
        self.is_count = self.likelihood.is_count

    @property
    def likelihood(self):
        return LIKELIHOODS[self.loss]

    def encode(self, baseline, sequences, y):
        # A copy: torch warns of arrays that it must not write to.
        return y.copy() if self.is_count else super().encode(baseline, sequences, y)

    def decode(self, baseline, sequences, targets):
        return (
            targets if self.is_count else super().decode(baseline, sequences, targets)
        )

    def first_outputs(self, targets, weights):
        columns = [_drop_missing(weights, column) for column in targets.T]
        return np.stack([self.likelihood.first_outputs(*known) for known in columns])

    def restore(self, baseline, sequences, outputs):
        outputs = outputs.reshape(len(outputs), -1, self.size)
        parameters = self.likelihood.parameters(torch.from_numpy(outputs)).numpy()
        if self.is_count:
            return parameters
        parameters[..., 0] = baseline.restore(sequences, parameters[..., 0])
        for k in self.likelihood.scales:
            parameters[..., k] *= baseline.scales(sequences)
        return parameters

    def fit_errors(self, y, predicted, units, weights):
        """Return what errors of point forecasts are like, which `around` takes."""
        columns = zip((y / units).T, (predicted / units).T, strict=True)
        known = [_drop_missing(weights, *column) for column in columns]
        return np.stack([self.likelihood.fit_errors(*column) for column in known])

    def around(self, points, units, fitted):
        """Return forecasts around points (n, n_targets) with such errors."""
        return self.likelihood.around(points, units, fitted)

    def losses(self, y, forecasts, units, spread):
        nll = self.likelihood.nll(torch.tensor(forecasts), torch.tensor(y))
        return nll.numpy() - np.log(units)  # of densities in the units of the windows

    def points(self, forecasts):
        return self.clip(forecasts[..., 0])

    def quantiles(self, forecasts, levels):
        """Return quantiles (n, n_targets, n_quantiles) at any levels."""
        found = self.likelihood.quantiles(forecasts[:, :, np.newaxis], levels)
        return self.clip(found)

    def normal_scores(self, y, forecasts):
        """Return the normal quantiles that targets are at, (n, n_targets)."""
        found = self.likelihood.probabilities(forecasts, y)
        return ndtri(np.clip(found, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))

    def sample(self, forecasts, scores):
        """Return targets (n, n_targets, n_samples) at normal scores."""
        return self.quantiles(forecasts, ndtr(scores))


@plain_type
class Dependence:
    """How targets of one sequence vary together, beyond what is forecast of each.

    The correlation of their normal scores, a Gaussian copula: forecasts of each target
    alone would not tell the spread of a sum over the horizon. Scores are those of
    training targets, in sample. Two targets that were never known together, and all
    before the first call of `add`, are independent.

    Parameters
    ----------
    n_targets : int
        Number of targets.

    References
    ----------
    Nelsen, "An introduction to copulas", Springer, 2006.
    """

    def __init__(self, n_targets):
        self.products = np.zeros((n_targets, n_targets))
        # Of row j and column k: squares of j where k is known, too.
        self.squares = np.zeros((n_targets, n_targets))

    def add(self, scores, weights):
        """Add the normal scores (n, n_targets) of more targets, NaN where missing."""
        known = ~np.isnan(scores)
        scores = np.where(known, scores, 0.0)
        weighted = scores if weights is None else scores * weights[:, np.newaxis]
        self.products = self.products + weighted.T @ scores
        self.squares = self.squares + (weighted * scores).T @ known

    def draw(self, n, n_samples, random_state):
        """Draw normal scores (n, n_targets, n_samples)."""
        scores = random_state.normal(size=(n, len(self.products), n_samples))
        return np.einsum("jk,nks->njs", self._square_root(), scores)

    def _square_root(self):
        """Return a square root of the correlation matrix."""
        scale = np.sqrt(self.squares) * np.sqrt(self.squares.T)
        correlation = self.products / np.where(scale > 0, scale, 1.0)
        np.fill_diagonal(correlation, 1.0)
        # Correlations of different rows may contradict each other: negative
        # eigenvalues, without which the variances are above 1.
        values, vectors = np.linalg.eigh(correlation)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        return root / np.linalg.norm(root, axis=1, keepdims=True)


def make_output(params):
    """Return the output that parameters of a regressor ask for."""
    loss, others = params.loss, (parse_bounds(params.bounds), params.target_weight)
    if loss == "quantile":
        return QuantileOutput(check_levels(params.quantiles), *others)
    if isinstance(loss, str) and loss in LIKELIHOODS:
        return LikelihoodOutput(loss, check_levels(params.quantiles), *others)
    return PointOutput(loss, *others)


def update_output(output, params):
    """Return the output of a network that is trained further with other parameters.

    A loss of points, by name, stays what it was.
    """
    new = make_output(params)
    are_points = isinstance(output, PointOutput) and isinstance(new, PointOutput)
    if are_points and not (callable(output.loss) or callable(new.loss)):
        return PointOutput(output.loss, new.bounds, new.target_weight)
    are_same = new.loss == output.loss
    if not (are_same and np.array_equal(new.trained_levels, output.trained_levels)):
        raise ValueError(
            f"loss={params.loss!r} with quantiles={params.quantiles!r} is not what "
            "the last fit had, whose network continues to be trained. Restore it, or "
            "set warm_start=False."
        )
    return new


def parse_bounds(bounds):
    """Return lower and upper bound, infinite where there is none."""
    if bounds is None:
        return -np.inf, np.inf
    low, high = _parse_pair(bounds)
    if not low < high:
        raise ValueError(
            f"bounds={bounds!r}: the lower bound must be below the upper one. None is "
            "no bound, as in (0, None)."
        )
    return low, high


def _parse_pair(bounds):
    are_two = isinstance(bounds, (list, tuple)) and len(bounds) == 2
    if not are_two or not all(b is None or isinstance(b, Real) for b in bounds):
        raise ValueError(
            f"bounds={bounds!r} should be a pair of numbers, or None for no bound, "
            "such as (0, None)."
        )
    return tuple(
        infinite if bound is None else float(bound)
        for bound, infinite in zip(bounds, (-np.inf, np.inf), strict=True)
    )


def _drop_missing(weights, *columns):
    """Return columns and weights without missing targets."""
    known = ~np.isnan(columns[0]) & ~np.isnan(columns[-1])
    weights = None if weights is None else weights[known]
    return *(column[known] for column in columns), weights
