"""Validation of what metrics take."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight


def check_values(values, name):
    """Return values of any shape as finite float64; masked ones count as missing."""
    return check_array(
        _without_mask(values),
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        input_name=name,
    )


def check_weights(sample_weight, n_samples):
    """Return one float64 weight per sample, not all of them 0."""
    weights = _check_sample_weight(
        _without_mask(sample_weight),
        np.empty(n_samples),
        dtype=np.float64,
        ensure_non_negative=True,
    )
    if not weights.any():
        raise ValueError("sample_weight is 0 for all samples: nothing counts.")
    return weights


def _without_mask(values):
    if not np.ma.isMaskedArray(values):
        return values
    return np.ma.filled(values.astype(np.float64), np.nan)
