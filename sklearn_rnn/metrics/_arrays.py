"""Arrays and weights that metrics read."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight


def read_array(values, name):
    """Return finite numbers of any shape as float64; what is masked is missing."""
    return check_array(
        _without_mask(values),
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        input_name=name,
    )


def read_weights(sample_weight, n_samples):
    """Return one weight per sample, float64, which are not all 0."""
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
    return values.astype(np.float64).filled(np.nan)
