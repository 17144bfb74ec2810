"""The range of values that a network, or a map of features, computes with."""

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._arrays import difference_type
from sklearn_rnn.sequences._coverage import (
    covered_chunks,
    describe_position,
    value_range,
)

# Largest size of what enters a network, after standardisation: products with
# weights, and their sums over many features, stay finite, and so do squares. What
# mixed precision computes with has the range of float32.
LARGEST_INPUT = {"float32": 1e18, "mixed": 1e18, "float64": 1e150}


def check_range(sequences, *, estimator_name, center=0.0, factor=1.0, dtype=None):
    """Check that values stay finite through transforms, and in a network.

    Parameters
    ----------
    sequences : SequenceArray
        Finite. Its own scaling and differencing are checked too.
    estimator_name : str
        Named in messages.
    center, factor : ndarray of shape (n_features,) or float, default=0.0, 1.0
        How a network scales its input: ``(steps - center) * factor``.
    dtype : {"float32", "mixed", "float64"}, default=None
        What the network then computes with; None without a network.
    """
    if len(sequences) == 0:
        return
    n_features, transforms = sequences.n_features, sequences.transforms
    scaling, differencing = transforms.scaling, transforms.differencing
    # The smallest and largest value of each feature before scaling.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        own = np.full(n_features, np.inf)
        if scaling is not None:
            own[:] = np.finfo(sequences.dtype).max / 2
        elif differencing is not None:
            own[:] = np.finfo(difference_type(sequences.values.dtype)).max / 2
        limit = np.full(n_features, np.inf if dtype is None else LARGEST_INPUT[dtype])
        center = np.broadcast_to(np.asarray(center, np.float64), n_features)
        factor = np.broadcast_to(np.asarray(factor, np.float64), n_features)
        largest = limit / np.abs(factor)
        low, high = center - largest, center + largest
        if differencing is not None:
            differenced = differencing.features
            # A difference is up to twice as large as the values.
            high[differenced] = largest[differenced] / 2
            low[differenced] = -high[differenced]
            own[differenced] /= 2
        low, high = np.maximum(low, -own), np.minimum(high, own)
        if scaling is not None:
            own_center, own_factor = scaling.center, scaling.factor.astype(np.float64)
            own_center = own_center.astype(np.float64)
            ends = own_center + np.stack([low, high]) / own_factor
            low = np.maximum(ends.min(axis=0), own_center - own)
            high = np.minimum(ends.max(axis=0), own_center + own)
    found_low, found_high = sequences._range or value_range(sequences)
    if not (low.max() <= found_low and found_high <= high.min()):
        _raise_outside(sequences, low, high, estimator_name, dtype)


def _raise_outside(sequences, low, high, estimator_name, dtype):
    """Raise for the first value, if any, outside of the range of its feature."""
    for rows, steps in covered_chunks(sequences):
        outside = (steps < low) | (steps > high)
        if outside.any():
            at, feature = np.argwhere(outside)[0]
            position = describe_position(sequences, rows[at], int(feature))
            raise InvalidSequenceError(
                f"X holds {steps[at, feature]:.6g} at {position}, which is too large "
                f"for {estimator_name}{_describe_dtype(dtype)}: it reads "
                f"{low[feature]:.4g} to {high[feature]:.4g} there. {_remedy(dtype)}"
            )


def _describe_dtype(dtype):
    return "" if dtype is None else f" with dtype={dtype!r}"


def _remedy(dtype):
    if dtype in ("float32", "mixed"):
        return 'Correct it, bring X to another unit, or set dtype="float64" and refit.'
    return "Correct it, or bring X to another unit."
