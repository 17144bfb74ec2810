"""What a regressor's network is asked to predict, and the way back."""

from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.preprocessing import parse_targets

# What a network may add to a baseline that is perfect already, as a share of the
# target's spread, or of its size if it is constant.
SCALE_OF_PERFECT = 0.01


@dataclass(frozen=True)
class TargetTransform:
    """Targets as ``intercept + slope * last value + scale * network output``.

    The last value is that of one input feature an output, the target's own
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

        Parameters
        ----------
        y : ndarray of shape (n, n_outputs)
            The training targets; NaN where there is none.
        weights : ndarray of shape (n,), default=None
            Their weights.
        last : ndarray of shape (n, n_outputs), default=None
            Last value of the feature that holds the target's past; None if
            there is none.
        slope_is_one : bool, default=False
            Whether the last value counts as it is, whatever least squares say.

        Returns
        -------
        TargetTransform
            Fitted.
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
        slope, mean_last = np.zeros_like(mean_y), 0.0
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
        """Fit outputs that were constant until now again, with more targets.

        Parameters
        ----------
        y, weights, last, slope_is_one
            As for `fit`; the new targets.

        Returns
        -------
        TargetTransform
            Itself, where no output was constant.
        """
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

    def baseline(self, last=None):
        """Compute the naive forecast.

        Parameters
        ----------
        last : ndarray of shape (n, n_outputs), default=None
            As in fit.

        Returns
        -------
        ndarray of shape (n, n_outputs) or (n_outputs,)
            In the units of the targets.
        """
        return self.intercept if last is None else self.intercept + self.slope * last

    def residual(self, y, last=None):
        """Turn targets into what the network is to predict.

        Parameters
        ----------
        y : ndarray of shape (n, n_outputs)
            The targets.
        last : ndarray of shape (n, n_outputs), default=None
            As in fit.

        Returns
        -------
        ndarray of shape (n, n_outputs)
            In standard deviations; NaN where `y` is.
        """
        return (y - self.baseline(last)) / self.scale

    def restore(self, outputs, last=None):
        """Turn the network's outputs into predictions.

        Parameters
        ----------
        outputs : ndarray of shape (n, n_outputs)
            Of the network.
        last : ndarray of shape (n, n_outputs), default=None
            As in fit.

        Returns
        -------
        ndarray of shape (n, n_outputs)
            In the units of the targets.
        """
        return self.baseline(last) + self.scale * outputs


def target_columns(target_feature, sequences, n_outputs, names=None):
    """Find the input features that hold the targets' past.

    Parameters
    ----------
    target_feature : int, str, list of these, "auto", or None
        As the user gave it.
    sequences : SequenceArray
        The training inputs.
    n_outputs : int
        Columns of the target.
    names : ndarray of str, default=None
        Theirs.

    Returns
    -------
    ndarray of int of shape (n_outputs,) or None
        Feature indices.

    Raises
    ------
    InvalidSequenceError
        If a feature does not exist, or their number is neither one nor one
        an output.
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
            "give one, or one an output."
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

    Parameters
    ----------
    samples : Samples
        Training data, a target per sequence and output.

    Returns
    -------
    ndarray of int of shape (n_outputs,), or None
        Zeros if X has a single feature, of whose values among the last 64 steps some
        come near to each target, in 20 sequences or more.
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

    Parameters
    ----------
    y, last : ndarray of shape (n, n_outputs)
        Targets, NaN where there is none, and the last values of their past.
    weights : ndarray of shape (n,), or None
        Sample weights.

    Returns
    -------
    bool
        For the geometric mean over outputs.
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
            "features a step, counted from 0."
        )
    return int(feature) % sequences.n_features
