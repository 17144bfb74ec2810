"""What a regressor's network is to predict: residuals of a naive forecast."""

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form import window_units
from sklearn_rnn.preprocessing import parse_targets
from sklearn_rnn.sequences import flat_rows

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
        targets, last = samples.all_targets(), self.last_values(samples.sequences)
        units = self._units(samples.sequences)
        return (
            targets if units is None else targets / units,
            samples.target_weights(),
            last if units is None else last / units,
            self.subtracts_last,
        )

    def last_values(self, sequences):
        """Return the value that each target is relative to, (n, n_outputs), or None.

        A sequence that is too short for it has its newest value.
        """
        if self.columns is None:
            return None
        if self.lags is not None:
            return self._values_at_lags(sequences)
        if self.per_step:
            steps = sequences.read_rows(flat_rows(sequences.starts, sequences.lengths))
        else:
            steps = sequences.last_steps(1)[:, 0]
        return steps[:, self.columns].astype(np.float64)

    def _values_at_lags(self, sequences):
        values = np.empty((len(sequences), len(self.lags)))
        for lag in np.unique(self.lags):
            rows = sequences.ends - 1 - np.where(sequences.lengths > lag, lag, 0)
            outputs = self.lags == lag
            values[:, outputs] = sequences.read_rows(rows)[:, self.columns[outputs]]
        return values

    def _units(self, sequences):
        """Return the unit of each target, (n, n_outputs), or None for all alike."""
        if self.unit_layout is None:
            return None
        units = window_units(self.unit_layout, sequences)
        return units[:, self.unit_layout.index_in_past]

    def residual(self, sequences, targets):
        """Turn targets into what the network is to predict."""
        last = self.last_values(sequences)
        if self.unit_layout is None:
            return self.transform.residual(targets, last)
        units = self._units(sequences)
        return self.transform.residual(targets / units, last / units)

    def restore(self, sequences, outputs):
        """Turn the network's outputs into predictions."""
        transform, last = self.transform, self.last_values(sequences)
        units = 1.0 if self.unit_layout is None else self._units(sequences)
        naive = transform.intercept
        if last is not None:
            naive = naive + transform.slope * (last / units)
        return units * (naive + transform.scale * outputs)

    def scales(self, sequences):
        """Return what one unit of the outputs is in those of the targets."""
        units = self._units(sequences)
        return self.transform.scale if units is None else units * self.transform.scale


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
