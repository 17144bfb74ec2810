"""Mean and scale of features over the rows that sequences cover."""

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._coverage import (
    covered_chunks,
    describe_position,
    weighted_chunks,
)

# Standard deviations below the first are computed from deviations in another unit;
# below the second, 1 / scale is infinite, and a feature counts as constant.
SMALL_SCALE, SMALLEST_SCALE = 1e-140, 1e-300
UNIT_OF_SMALL = 2.0**600


def mean_and_scale(sequences, weights=None):
    """Return the mean and standard deviation of each feature over covered rows.

    A row counts once for every sequence that covers it, times that sequence's
    weight. A constant feature gets a scale of 1; a categorical one, whose codes are
    no quantities, a mean of 0 and a scale of 1.

    Parameters
    ----------
    sequences : SequenceArray
        Read through its scaling, not its differencing.
    weights : ndarray of shape (n_sequences,), default=None
        One weight per sequence.

    Returns
    -------
    mean, scale : ndarray of shape (n_features,), float64

    Raises
    ------
    InvalidSequenceError
        If a variance overflows; names the position of the largest value.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import SequenceArray, mean_and_scale
    >>> mean_and_scale(SequenceArray(np.array([[1.0], [3.0], [9.0]]), [0], [2]))
    (array([2.]), array([1.]))
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        mean = _mean(sequences, weights)
        scale = _deviation(sequences, weights, mean, slice(None))
        # Squares of small deviations underflow, of a multiple they do not.
        small = np.flatnonzero(scale < SMALL_SCALE)
        if len(small):
            scale[small] = _deviation(sequences, weights, mean, small, UNIT_OF_SMALL)
    if not np.isfinite(scale).all():
        _raise_too_large(sequences, int(np.argmin(np.isfinite(scale))))
    # Rounding leaves a constant feature a spread of a few ulps of its mean.
    dtype = sequences.dtype
    resolution = np.finfo(dtype).eps if dtype.kind == "f" else 0.0
    is_constant = scale <= 10 * resolution * np.abs(mean)
    scale[is_constant | (scale < SMALLEST_SCALE)] = 1.0
    codes = list(sequences.categories or ())
    mean[codes], scale[codes] = 0.0, 1.0
    return mean, scale


def _mean(sequences, weights):
    total, mean = _total(sequences, weights), np.zeros(sequences.n_features)
    for _, steps, row_weights in weighted_chunks(sequences, weights):
        mean += row_weights @ sequences.scale_steps(steps).astype(np.float64) / total
    return mean


def _deviation(sequences, weights, mean, features, unit=1.0):
    """Return the standard deviation of some features, computed in a unit."""
    total, variance = _total(sequences, weights), np.zeros_like(mean[features])
    for _, steps, row_weights in weighted_chunks(sequences, weights):
        deviation = sequences.scale_steps(steps).astype(np.float64) - mean
        variance += row_weights @ (deviation[:, features] * unit) ** 2 / total
    return np.sqrt(variance) / unit


def _total(sequences, weights):
    # Not int64 lengths: beside short windows over a series those would weigh.
    lengths = sequences._lengths
    return lengths.sum() if weights is None else weights @ lengths


def _raise_too_large(sequences, feature):
    size, row = max(
        (abs(float(steps[at, feature])), rows[at])
        for rows, steps in covered_chunks(sequences)
        for at in [np.abs(steps[:, feature].astype(np.float64)).argmax()]
    )
    raise InvalidSequenceError(
        f"feature {feature} of X is too large to standardise: its variance "
        f"overflows. X holds {size:.6g}, of either sign, at "
        f"{describe_position(sequences, row, feature)}. Convert it to another unit."
    )
