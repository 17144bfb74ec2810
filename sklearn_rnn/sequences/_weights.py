"""Sample weights: checked, and scaled so that sums of them are finite."""

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from sklearn_rnn.sequences._arrays import to_numbers
from sklearn_rnn.sequences._conversion import plain_arrays

# Only ratios of weights count. Sums of larger ones may overflow, and products of
# smaller ones underflow.
LARGE, SMALL = 1e100, 1e-100


def check_weights(sample_weight, sequences, *, estimator_name="the estimator"):
    """Return one finite weight per sequence, float64 and not negative.

    Very large or small ones are divided by the largest: only ratios count.

    Examples
    --------
    >>> from sklearn_rnn.sequences import check_weights
    >>> check_weights([1e308, 5e307], [[1.0], [2.0]])
    array([1. , 0.5])
    """
    sample_weight = plain_arrays(
        sample_weight, estimator_name=estimator_name, name="sample_weight"
    )
    if not np.isscalar(sample_weight) and np.asarray(sample_weight).dtype == object:
        sample_weight = to_numbers(
            np.asarray(sample_weight),
            estimator_name=estimator_name,
            describe=_describe_weight_index,
        )
    weights = _check_sample_weight(
        sample_weight, sequences, dtype=np.float64, ensure_non_negative=True
    )
    largest = weights.max(initial=0.0)
    if largest > LARGE or 0 < largest < SMALL:
        weights = weights / largest
    return weights


def _describe_weight_index(index):
    return f"sample_weight[{index[0]}]" if index else "sample_weight"
