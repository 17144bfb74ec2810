"""One-hot vectors, which users pass where labels are expected."""

import numpy as np


def is_one_hot(values):
    """Return whether an array holds one-hot vectors along its last axis.

    Some vectors may be all zeros, as padding is.

    Examples
    --------
    >>> from sklearn_rnn.sequences import is_one_hot
    >>> is_one_hot([[0, 1], [1, 0]]), is_one_hot([[1, 1], [1, 0]])
    (True, False)
    """
    try:
        values = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # ragged; a tensor that trains
        return False
    if values.ndim < 2 or values.shape[-1] < 2 or values.dtype.kind not in "biuf":
        return False
    if values.size == 0 or not ((values == 0) | (values == 1)).all():
        return False
    sums = values.sum(axis=-1)
    return bool((sums <= 1).all() and sums.any())
