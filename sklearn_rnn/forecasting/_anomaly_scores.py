"""Scores of anomalies: forecast errors in units of calibrated quantiles."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from sklearn_rnn._plain_state import plain_type

# Level of the held-out errors, and of the held-out scores, that count as 1.
ERROR_LEVEL, SCORE_LEVEL = 0.9, 0.99
# Least half-width of an interval, as a fraction of the usual one of its output: a
# model that is sure of itself in a few windows would otherwise raise alarms there.
LEAST_WIDTH = 0.1
# Largest error that counts, in units of its quantile: scores stay finite.
LARGEST = 1e9
# What an error is at least measured by, as a fraction of the values.
ROUNDING = 1e-6
# A value is clipped before it is read as history where it is further outside of the
# values of fit than this many times their range: networks would overflow.
CLIP_RANGES = 10


def align(
    forecasts: np.ndarray,
    scale: "ErrorScale",
    begins: np.ndarray,
    positions: np.ndarray,
) -> np.ndarray:
    """Return what was forecast for each of some positions, NaN where nothing was.

    Forecasts from too few rows do not count: their errors are larger than those that
    calibrate the scale.

    forecasts : (n, n_outputs, 3), by the position they were made at
    begins : (n,), where the segment of each position begins
    """
    origins = positions[:, np.newaxis] - scale.steps
    first = begins[positions] + scale.history - 1
    is_known = origins >= first[:, np.newaxis]
    outputs = np.arange(len(scale.steps))
    found = forecasts[np.where(is_known, origins, 0), outputs]
    found[~is_known] = np.nan
    return found


@plain_type
class ErrorScale(NamedTuple):
    """What forecast errors are measured by, from data not trained on.

    columns : (n_outputs,), which column each output forecasts
    steps : (n_outputs,), how many steps ahead
    floors : (n_outputs,), least half-widths of the model's intervals
    factors : (n_outputs,), what calibrates the half-widths
    units : (n_columns,), the score before division that counts as 1
    centers, spreads : (n_columns,), median of fit, and how far 1 % of the values are
        from it; for rows that nothing was forecast for
    lows, highs : (n_columns,), where values are clipped before they are history
    history : rows that a forecast must know to count
    """

    columns: np.ndarray
    steps: np.ndarray
    floors: np.ndarray
    factors: np.ndarray
    units: np.ndarray
    centers: np.ndarray
    spreads: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    history: int

    @classmethod
    def start(
        cls, outputs: Sequence[tuple[int, int]], values: np.ndarray, history: int
    ) -> Self:
        """Return a scale that knows the values of the training rows alone."""
        columns, steps = (np.array(part) for part in zip(*outputs, strict=True))
        centers = np.nanmedian(values, axis=0)
        spreads = np.nanquantile(np.abs(values - centers), SCORE_LEVEL, axis=0)
        lows, highs = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        beyond = CLIP_RANGES * (highs - lows)
        ones = np.ones(len(outputs))
        return cls(
            columns=columns,
            steps=steps,
            floors=np.zeros(len(outputs)),
            factors=ones,
            units=np.ones(values.shape[1]),
            centers=centers,
            spreads=_positive(spreads, centers),
            lows=lows - beyond,
            highs=highs + beyond,
            history=history,
        )

    def calibrate(self, values: np.ndarray, forecasts: np.ndarray) -> Self:
        """Return the scale that held-out values, and their forecasts, calibrate.

        values : (n, n_columns); forecasts : (n, n_outputs, 3), as `align` returns them
        """
        widths = (forecasts[..., 2] - forecasts[..., 0]) / 2
        usual = np.nanmedian(widths, axis=0)
        floors = _positive(LEAST_WIDTH * usual, self.spreads[self.columns])
        scale = self._replace(floors=floors)
        errors = scale._errors(values, forecasts)
        factors = np.nanquantile(errors, ERROR_LEVEL, axis=0)
        # Of a constant column errors are rounding.
        rounding = ROUNDING * np.maximum(np.abs(self.centers), self.spreads)
        factors = np.maximum(
            factors, rounding[self.columns] / np.maximum(usual, floors)
        )
        scale = scale._replace(factors=factors)
        units = np.nanquantile(scale.score(values, forecasts), SCORE_LEVEL, axis=0)
        return scale._replace(units=np.maximum(units, 1.0))

    def score(self, values: np.ndarray, forecasts: np.ndarray) -> np.ndarray:
        """Return how unusual each value is, (n, n_columns); NaN for missing values.

        That is its largest error: forecasts of the next step show what is sudden, those
        from further back what lasts.
        """
        errors = self._errors(values, forecasts)
        with np.errstate(over="ignore"):
            scores = np.abs(values - self.centers) / self.spreads
        for c in range(values.shape[1]):
            largest = worst(errors[:, self.columns == c]) / self.units[c]
            scores[:, c] = np.where(np.isnan(largest), scores[:, c], largest)
        return scores

    def fill_unknown(self, middle: np.ndarray) -> np.ndarray:
        """Return forecasts (n_columns,), medians of fit where there are none."""
        return np.where(np.isnan(middle), self.centers, middle)

    def _errors(self, values, forecasts):
        """Return absolute errors in units of calibrated half-widths, (n, n_outputs)."""
        low, middle, high = np.moveaxis(forecasts, -1, 0)
        with np.errstate(over="ignore"):
            errors = values[:, self.columns] - middle
            widths = np.where(errors > 0, high - middle, middle - low)
            widths = np.maximum(widths, self.floors) * self.factors
            return np.minimum(np.abs(errors) / widths, LARGEST)

    def clip(self, values: np.ndarray) -> np.ndarray:
        """Return values as they are read as history."""
        return np.clip(values, self.lows, self.highs)


def worst(scores: np.ndarray) -> np.ndarray:
    """Return the largest score of each row, (n,); NaN if all are."""
    known = ~np.isnan(scores)
    largest = np.where(known, scores, -np.inf).max(axis=1)
    return np.where(known.any(axis=1), largest, np.nan)


def _positive(values, sizes):
    """Return values, with something tiny against `sizes` in place of 0."""
    tiny = np.maximum(1e-9 * np.abs(sizes), 1e-12)
    return np.maximum(values, tiny)
