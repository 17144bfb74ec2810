"""Quantiles: their levels, and what a network that predicts them starts from."""

from numbers import Real

import numpy as np

from sklearn_rnn.sequences import plain_arrays

# What a point forecast is, among quantiles: the median.
MEDIAN = 0.5


def check_levels(quantiles):
    """Read the levels of quantiles.

    Parameters
    ----------
    quantiles : sequence of float
        As the user gave it.

    Returns
    -------
    ndarray of shape (n_quantiles,)
        Increasing.

    Raises
    ------
    ValueError
        If there is none, or they do not increase between 0 and 1.

    Examples
    --------
    >>> from sklearn_rnn.estimators.tasks._quantiles import check_levels
    >>> check_levels((0.1, 0.5, 0.9))
    array([0.1, 0.5, 0.9])
    """
    levels = plain_arrays(quantiles, estimator_name="RNNRegressor", name="quantiles")
    levels = np.atleast_1d(np.asarray(levels, dtype=object)).tolist()
    if not levels or not all(isinstance(level, Real) for level in levels):
        raise ValueError(
            f"quantiles={quantiles!r} should be one or more numbers between 0 and 1, "
            "such as (0.1, 0.5, 0.9)."
        )
    levels = np.array(levels, dtype=np.float64)
    inside = (levels > 0) & (levels < 1)
    if not inside.all() or (np.diff(levels) <= 0).any():
        raise ValueError(
            f"quantiles={quantiles!r} should increase, between 0 and 1 and without "
            "either, such as (0.1, 0.5, 0.9): 0.1 is exceeded nine times in ten."
        )
    return levels


def point_forecast(quantiles, levels):
    """Return the median, or what comes closest to it.

    Parameters
    ----------
    quantiles : ndarray of shape (..., n_quantiles)
        Increasing along the last axis.
    levels : ndarray of shape (n_quantiles,)
        Which quantiles they are.

    Returns
    -------
    ndarray of shape (...)
        On the line between the two quantiles around the median; the outermost
        one where all are on one side.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.estimators.tasks._quantiles import point_forecast
    >>> point_forecast(np.array([[1.0, 3.0]]), np.array([0.25, 0.75]))
    array([2.])
    """
    place = np.interp(MEDIAN, levels, np.arange(len(levels)))
    lower, fraction = int(place), place % 1
    upper = min(lower + 1, len(levels) - 1)
    return (1 - fraction) * quantiles[..., lower] + fraction * quantiles[..., upper]


def marginal_quantiles(values, levels, weights=None):
    """Compute the quantiles of each column, by the inverse of its distribution.

    Parameters
    ----------
    values : ndarray of shape (n, n_outputs)
        NaN is left out.
    levels : ndarray of shape (n_quantiles,)
        Which quantiles.
    weights : ndarray of shape (n,), default=None
        A weight of 2 is a value that stands there twice.

    Returns
    -------
    ndarray of shape (n_outputs, n_quantiles)
        Values that occur.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.estimators.tasks._quantiles import marginal_quantiles
    >>> marginal_quantiles(np.array([[3.0], [1.0], [2.0]]), np.array([0.5]))
    array([[2.]])
    """
    weights = np.ones(len(values)) if weights is None else weights
    result = []
    for column in values.T:
        order = np.argsort(column)[: np.count_nonzero(~np.isnan(column))]
        total = np.cumsum(weights[order])
        # Half an ulp of slack, or rounding decides where a total meets a level.
        positions = np.searchsorted(total, levels * total[-1] * (1 - 1e-12))
        result.append(column[order][np.minimum(positions, len(order) - 1)])
    return np.array(result)
