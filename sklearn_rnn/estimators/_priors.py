"""How often things come: what an untrained network predicts."""

import numpy as np

# Largest probability of a class that does not occur. A fixed count, such as one half,
# would weigh less among repeated data than among the same data with weights.
UNSEEN_PROBABILITY = 1e-3


def log_priors(counts):
    """Return finite log probabilities from counts, or sums of weights.

    Classes that do not occur get half the smallest probability, at most 0.001; the
    result is not renormalised.

    Parameters
    ----------
    counts : ndarray of shape (n, ...)
        How often each of `n` classes occurs, not all zero.

    Returns
    -------
    ndarray of shape (n, ...)
        Logarithms of the probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.estimators._priors import log_priors
    >>> np.exp(log_priors(np.array([3.0, 1.0, 0.0]))).round(4)
    array([0.75 , 0.25 , 0.001])
    """
    probabilities = counts / counts.sum(axis=0)
    smallest = np.where(probabilities > 0, probabilities, 1.0).min(axis=0)
    unseen = np.minimum(smallest / 2, UNSEEN_PROBABILITY)
    return np.log(np.where(probabilities > 0, probabilities, unseen))
