"""Between the outputs of a regressor's network and forecasts of its targets.

A network predicts residuals of a naive forecast, and per target a point, quantiles, or
a distribution. Forecasts are in the units of the targets: points (n, n_targets), else
(n, n_targets, k) of quantiles or of the parameters of a distribution. Averages of two
forecasts are again forecasts of the same kind.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form import elementwise_loss, window_units
from sklearn_rnn.estimators.tasks._quantiles import (
    check_levels,
    marginal_quantiles,
    point_forecast,
)
from sklearn_rnn.preprocessing import parse_targets
from sklearn_rnn.sequences import flat_rows, plain_arrays
from sklearn_rnn.training import LIKELIHOODS, call_loss

# Probabilities of 0 or 1, of targets far out, would be infinite normal scores.
SMALLEST_PROBABILITY = 1e-6
# What a network may add to a baseline that is perfect already, as a fraction of the
# target's spread, or of its size if it is constant.
SCALE_OF_PERFECT = 0.01


@plain_type
@dataclass(frozen=True)
class TargetTransform:
    """Targets as ``intercept + slope * last value + scale * network output``.

    The last value is that of one input feature per output, the target's own
    past; without one the slope is 0 and the intercept the mean. The network
    sees residuals of mean 0 and standard deviation 1, so that an untrained
    one that outputs 0 is already the naive forecast.

    Parameters
    ----------
    intercept, slope, scale : ndarray of shape (n_outputs,)
        In the units of the targets.
    constant : ndarray of bool of shape (n_outputs,), default=None
        Which outputs had a single value, which tells no scale. None in
        transforms that were pickled by release 0.6.
    """

    intercept: np.ndarray
    slope: np.ndarray
    scale: np.ndarray
    constant: np.ndarray | None = None

    @classmethod
    def fit(cls, y, weights=None, last=None, slope_is_one=False):
        """Fit intercept and slope by weighted least squares, output by output.

        Targets `y` and last values `last` (None if there is no past) are of shape
        (n, n_outputs), a missing target is NaN. With `slope_is_one` the last value
        counts as it is, whatever least squares say.
        """
        missing = np.isnan(y)
        if missing.any():
            weights = np.ones(len(y)) if weights is None else weights
            weights = np.where(missing, 0.0, weights[:, np.newaxis])
            y = np.where(missing, 0.0, y)
            if not weights.any(axis=0).all():
                raise ValueError(
                    f"output {int(np.argmin(weights.any(axis=0)))} of y has no target "
                    "in the sequences to train on. Give more of it, or leave it out."
                )
        with np.errstate(over="ignore", invalid="ignore"):
            return cls._fit(y, weights, last, slope_is_one)

    @classmethod
    def _fit(cls, y, weights, last, slope_is_one):
        mean_y = np.average(y, axis=0, weights=weights)
        slope, mean_last = np.zeros_like(mean_y), np.zeros(1)
        if last is not None:
            mean_last = np.average(last, axis=0, weights=weights)
            spread = np.average((last - mean_last) ** 2, axis=0, weights=weights)
            joint = np.average(
                (last - mean_last) * (y - mean_y), axis=0, weights=weights
            )
            # A last value that never moved tells no slope: follow it one to one.
            moved = spread > (10 * np.finfo(float).eps * np.abs(mean_last)) ** 2
            moved &= not slope_is_one
            slope = np.where(moved, joint / np.where(moved, spread, 1.0), 1.0)
        unscaled = cls(mean_y - slope * mean_last, slope, np.ones_like(mean_y))
        residual = unscaled.residual(y, last)
        scale = np.sqrt(np.average(residual**2, axis=0, weights=weights))
        if not np.isfinite(scale).all():
            raise ValueError(
                "y is too large to standardise: its variance overflows. Bring it to "
                "another unit."
            )
        # Rounding leaves a perfect baseline residuals of a few ulps, and a constant
        # target such a spread.
        rounding = 100 * np.finfo(float).eps * np.abs(y).max(axis=0)
        perfect = scale <= rounding
        spread = np.sqrt(np.average((y - mean_y) ** 2, axis=0, weights=weights))
        constant = spread <= rounding
        size = SCALE_OF_PERFECT * np.where(constant, np.abs(mean_y), spread)
        scale = np.where(perfect, np.where(size > 0, size, 1.0), scale)
        return cls(unscaled.intercept, slope, scale, constant)

    def update(self, y, weights=None, last=None, slope_is_one=False):
        """Fit outputs that were constant until now again, with more targets."""
        if self.constant is None or not self.constant.any():
            return self
        if last is None:  # what was seen before counts as one target
            y = np.vstack([y, self.intercept])
            if weights is not None:
                weights = np.append(weights, weights.mean())
        new = self.fit(y, weights, last, slope_is_one)
        chosen = {
            name: np.where(self.constant, getattr(new, name), getattr(self, name))
            for name in ("intercept", "slope", "scale", "constant")
        }
        return replace(self, **chosen)

    def residual(self, y, last=None):
        """Turn targets into what the network predicts, in standard deviations."""
        naive = self.intercept if last is None else self.intercept + self.slope * last
        return (y - naive) / self.scale


@plain_type
@dataclass
class Baseline:
    """What targets are relative to: the last value of their past, and its unit.

    Parameters
    ----------
    per_step : bool
        Whether every step has a target.
    subtracts_last : bool
        Whether the network reads the targets' past relative to its last value.
    columns : ndarray of int of shape (n_outputs,) or None
        The input feature that holds the past of each target.
    unit_layout : Layout or None
        How windows are cut whose spread is the unit of targets and their past; None
        for one unit for all.
    transform : TargetTransform
        Fitted.
    lags : ndarray of int of shape (n_outputs,) or None
        How many steps before the last one the value stands that counts as the last,
        such as that of a season ago; None for the last one itself.
    """

    per_step: bool
    subtracts_last: bool
    columns: Any = None
    unit_layout: Any = None
    transform: Any = None
    lags: Any = None

    def fit(self, samples):
        """Fit intercept, slope and scale."""
        self.transform = TargetTransform.fit(*self._targets(samples))

    def update(self, samples):
        """Fit outputs that were constant until now again."""
        self.transform = self.transform.update(*self._targets(samples))

    def _targets(self, samples):
        last, units = self.reference(samples.sequences)
        targets, weights = samples.all_targets() / units, samples.target_weights()
        return targets, weights, last, self.subtracts_last

    def reference(self, sequences):
        """Return what each target is relative to, in its unit, and the unit.

        Both (n, n_outputs), or None and 1.0 where there is none. A sequence that is too
        short for the value has its newest one.
        """
        if self.columns is None:
            return None, 1.0
        if self.lags is not None:
            last = self._values_at_lags(sequences)
        else:
            if self.per_step:
                rows = flat_rows(sequences.starts, sequences.lengths)
                steps = sequences.read_rows(rows)
            else:
                steps = sequences.last_steps(1)[:, 0]
            last = steps[:, self.columns].astype(np.float64)
        if self.unit_layout is None:
            return last, 1.0
        units = window_units(self.unit_layout, sequences)
        units = units[:, self.unit_layout.index_in_past]
        return last / units, units

    def _values_at_lags(self, sequences):
        values = np.empty((len(sequences), len(self.lags)))
        for lag in np.unique(self.lags):
            rows = sequences.ends - 1 - np.where(sequences.lengths > lag, lag, 0)
            outputs = self.lags == lag
            values[:, outputs] = sequences.read_rows(rows)[:, self.columns[outputs]]
        return values


class Output(ABC):
    """Between the outputs of a network and forecasts.

    Those that are more than points have `points`, within the bounds, and `quantiles`,
    and `fit_errors` and `around` for a linear part that predicts points.

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
        last, units = baseline.reference(sequences)
        return baseline.transform.residual(y / units, last)

    def decode(self, baseline, sequences, targets):
        """Turn what outputs are compared with into targets (..., n, n_targets)."""
        (last, units), transform = baseline.reference(sequences), baseline.transform
        naive = transform.intercept
        if last is not None:
            naive = naive + transform.slope * last
        return units * (naive + transform.scale * targets)

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

    restore = Output.decode  # outputs are compared with targets as they are

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
        quantiles = self.decode(baseline, sequences, np.moveaxis(outputs, 2, 0))
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
        """Return what ``predict`` does, (n, n_targets)."""
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
        parameters[..., 0] = self.decode(baseline, sequences, parameters[..., 0])
        _, units = baseline.reference(sequences)
        for k in self.likelihood.scales:
            parameters[..., k] *= units * baseline.transform.scale
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
        """Return what ``predict`` does, (n, n_targets)."""
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


def target_columns(target_feature, sequences, n_outputs, names=None):
    """Return the input feature that holds each target's past, or None.

    `names` are those of the targets.
    """
    if target_feature is None:
        return None
    wanted = target_feature
    if isinstance(wanted, str) and wanted == "auto":
        wanted = [feature for feature, _ in parse_targets(names)]
        if not wanted or not set(wanted) <= set(sequences.feature_names or ()):
            return None
    if isinstance(wanted, (str, Integral)):
        wanted = [wanted]
    if len(wanted) not in (1, n_outputs):
        raise InvalidSequenceError(
            f"target_feature names {len(wanted)} features for {n_outputs} outputs: "
            "give one, or one per output."
        )
    for feature in wanted:
        if isinstance(feature, bool) or not isinstance(feature, (str, Integral)):
            raise InvalidSequenceError(
                f"target_feature names {feature!r}; give the name of an input "
                "column, or its index."
            )
    columns = np.array([_column(feature, sequences) for feature in wanted])
    return np.broadcast_to(columns, (n_outputs,)).copy()


# Without names, X counts as the past of y if some lag is so near to each target: the
# mean squared difference as a fraction of the target's variance.
NEAR_PAST = 0.5
# Of fewer sequences some lag comes near by chance.
FEWEST_WITH_PAST = 20
# Sequences and lags that are compared, at most.
MOST_COMPARED, MOST_LAGS = 4096, 64
# The network reads differences from the last value if targets differ from it by less
# than this fraction of their spread: levels, standardised, would hide such changes.
SMALL_CHANGE = 0.3


def find_past(samples):
    """Return the features that hold the targets' past, as far as the data tell.

    Zeros if X has a single feature, of whose values among the last 64 steps some come
    near to each target, in 20 sequences or more; else None.
    """
    sequences, y = samples.sequences, samples.y
    if sequences.n_features > 1 or sequences.categories or len(y) < FEWEST_WITH_PAST:
        return None
    rows = np.unique(np.linspace(0, len(y) - 1, MOST_COMPARED).astype(int))
    lags = sequences[rows].last_steps(MOST_LAGS)[:, :, 0]  # (n, lags)
    y = y[rows]
    weights = np.ones(len(rows)) if samples.weights is None else samples.weights[rows]
    weights = np.where(np.isnan(y), 0.0, weights[:, np.newaxis])
    y = np.where(np.isnan(y), 0.0, y)
    if not weights.any(axis=0).all():
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.average(
            (y - np.average(y, axis=0, weights=weights)) ** 2, axis=0, weights=weights
        )
        errors = [
            ((lags - y[:, [j]]) ** 2 * weights[:, [j]]).sum(axis=0)
            / weights[:, j].sum()
            for j in range(y.shape[1])
        ]
        is_near = np.min(errors, axis=1) < NEAR_PAST * spread
    return np.zeros(y.shape[1], dtype=int) if is_near.all() else None


def are_changes_small(y, last, weights):
    """Return whether targets are close to their last values, beside their spread.

    In the geometric mean over outputs, (n, n_outputs) both.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        weights = np.where(
            np.isnan(y), np.nan, 1.0 if weights is None else weights[:, np.newaxis]
        )
        total = np.nansum(weights, axis=0)
        mean = np.nansum(weights * y, axis=0) / total
        spread = np.nansum(weights * (y - mean) ** 2, axis=0)
        change = np.nansum(weights * (y - last) ** 2, axis=0)
        ratio = np.exp(np.mean(np.log(change / spread)) / 2)
    return bool(ratio < SMALL_CHANGE)


def _column(feature, sequences):
    names = sequences.feature_names
    if isinstance(feature, str):
        if names is None or feature not in names:
            known = f"X has {names and list(names)}"
            if names is None:
                known = (
                    "X has no feature names (a table needs a SequenceWindower in "
                    "front and names that are all strings, and StandardScaler drops "
                    "them)"
                )
            raise InvalidSequenceError(
                f"target_feature={feature!r} is not a feature of X: {known}. Give the "
                "name of the input column that holds the target's own past, or its "
                "index."
            )
        return names.index(feature)
    if not -sequences.n_features <= feature < sequences.n_features:
        raise InvalidSequenceError(
            f"target_feature={feature} is out of range: X has {sequences.n_features} "
            "features per step, counted from 0."
        )
    return int(feature) % sequences.n_features
