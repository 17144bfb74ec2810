"""How often things come: what an untrained network predicts."""

import numpy as np

# Largest share of what never came. A count of its own, such as one half, would be
# less of repeated data than of the same data with weights.
UNSEEN_SHARE = 1e-3


def log_priors(counts):
    """Turn counts, or sums of weights, into log probabilities that are finite.

    Parameters
    ----------
    counts : ndarray of shape (n, ...)
        How often each of `n` things came, not all zero.

    Returns
    -------
    ndarray of shape (n, ...)
        Of what never came, that of half the rarest thing, or less.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.estimators._priors import log_priors
    >>> np.exp(log_priors(np.array([3.0, 1.0, 0.0]))).round(4)
    array([0.75 , 0.25 , 0.001])
    """
    shares = counts / counts.sum(axis=0)
    rarest = np.where(shares > 0, shares, 1.0).min(axis=0)
    return np.log(np.where(shares > 0, shares, np.minimum(rarest / 2, UNSEEN_SHARE)))
