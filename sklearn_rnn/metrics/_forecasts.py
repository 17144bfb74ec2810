"""Metrics of forecasts: scaled errors, intervals and quantiles."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from sklearn_rnn.metrics._arrays import check_values, check_weights


def mean_absolute_scaled_error(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    scale: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean absolute error in units of a naive forecast's error (MASE).

    Each absolute error is divided by `scale`, the mean absolute error that a
    naive forecast makes in the training data: the value of one step, or of one
    season, before. Below 1, the forecast errs less than the naive one did
    there. It has no unit, so series of different units can be averaged.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Observed values.
    y_pred : array-like of the shape of `y_true`
        Forecasts.
    scale : float or array-like of shape (n_samples,) or that of `y_true`
        The naive forecast's mean absolute error in the training data, above 0,
        in the unit of `y_true`. An array has one value per sample, say for rows
        of several series, or one per value of `y_true`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples; None weighs all equally.

    Returns
    -------
    float
        At least 0; the best is 0.

    Raises
    ------
    ValueError
        If a scale is 0 or negative, shapes do not match, or a value is NaN or
        infinite.

    See Also
    --------
    sklearn.metrics.mean_absolute_error : The same in the unit of the target.
    symmetric_mean_absolute_percentage_error : In percent of the values.

    References
    ----------
    .. [1] R. J. Hyndman and A. B. Koehler (2006). Another Look at Measures of
       Forecast Accuracy. International Journal of Forecasting 22 (4), 679-688.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.metrics import mean_absolute_scaled_error
    >>> training = np.array([10.0, 12.0, 11.0, 14.0])
    >>> scale = np.abs(np.diff(training)).mean()  # of "as it is now"
    >>> mean_absolute_scaled_error([13.0, 15.0], [12.0, 14.0], scale=scale)
    0.5
    """
    true, pred = _check_pair(y_true, y_pred, "y_pred")
    return _average(np.abs(true - pred) / _check_scale(scale, true), sample_weight)


def symmetric_mean_absolute_percentage_error(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean absolute error in percent of the values (sMAPE).

    The mean of ``200 * |y_true - y_pred| / (|y_true| + |y_pred|)``, where a
    value of 0 forecast as 0 counts as no error. This is the definition of the
    M4 competition [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Observed values.
    y_pred : array-like of the shape of `y_true`
        Forecasts.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples; None weighs all equally.

    Returns
    -------
    float
        In percent, 0 to 200; the best is 0.

    Raises
    ------
    ValueError
        If shapes do not match, or a value is NaN or infinite.

    See Also
    --------
    sklearn.metrics.mean_absolute_percentage_error : Relative to `y_true` alone.
    mean_absolute_scaled_error : Fit for values around 0 too.

    Notes
    -----
    It means little for targets whose zero is arbitrary, such as temperatures
    in degrees Celsius or Fahrenheit, or that change sign: the error is 200 %
    wherever the forecast has the other sign.

    References
    ----------
    .. [1] S. Makridakis, E. Spiliotis and V. Assimakopoulos (2020). The M4
       Competition: 100,000 Time Series and 61 Forecasting Methods.
       International Journal of Forecasting 36 (1), 54-74.

    Examples
    --------
    >>> from sklearn_rnn.metrics import symmetric_mean_absolute_percentage_error
    >>> symmetric_mean_absolute_percentage_error([0.0, 3.0], [0.0, 1.0])
    50.0
    """
    true, pred = _check_pair(y_true, y_pred, "y_pred")
    error, size = np.abs(true - pred), np.abs(true) + np.abs(pred)
    percent = 200 * np.divide(error, size, out=np.zeros_like(error), where=size > 0)
    return _average(percent, sample_weight)


def interval_coverage(
    y_true: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the fraction of values inside their intervals.

    Between the quantiles 0.1 and 0.9 of a calibrated forecast lie 80 % of the
    values. Coverage alone says nothing about the width of the intervals: look at
    `mean_quantile_loss` too.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Observed values.
    lower, upper : array-like of the shape of `y_true`
        Bounds of the intervals, which belong to them. An interval whose lower
        bound exceeds its upper one is empty.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples; None weighs all equally.

    Returns
    -------
    float
        0 to 1; the best is the nominal coverage of the intervals.

    Raises
    ------
    ValueError
        If shapes do not match, or a value is NaN or infinite.

    See Also
    --------
    mean_quantile_loss : Also rewards narrow intervals.

    Examples
    --------
    >>> from sklearn_rnn.metrics import interval_coverage
    >>> interval_coverage([1.0, 2.0, 3.0, 9.0], lower=[0, 0, 0, 0], upper=[3, 3, 3, 3])
    0.75
    """
    true, low = _check_pair(y_true, lower, "lower")
    true, high = _check_pair(y_true, upper, "upper")
    return _average((low <= true) & (true <= high), sample_weight)


def mean_quantile_loss(
    y_true: ArrayLike,
    y_quantiles: ArrayLike,
    quantiles: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean quantile (pinball) loss over several levels.

    At level q, a value that exceeds its quantile by d costs q * d, and one that
    falls short by d costs (1 - q) * d [1]_. All levels weigh the same.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Observed values.
    y_quantiles : array-like of the shape of `y_true` and (..., n_quantiles)
        Forecast quantiles, along the last axis.
    quantiles : array-like of float of shape (n_quantiles,)
        Their levels, increasing, in the open interval (0, 1).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples; None weighs all equally.

    Returns
    -------
    float
        At least 0, in the unit of `y_true`; the best is 0.

    Raises
    ------
    ValueError
        If shapes do not match, the levels do not increase between 0 and 1, or
        a value is NaN or infinite.

    See Also
    --------
    sklearn.metrics.mean_pinball_loss : The same for one level.
    crps_from_quantiles : Weighs levels as the CRPS does.

    References
    ----------
    .. [1] R. Koenker and G. Bassett (1978). Regression Quantiles. Econometrica
       46 (1), 33-50.

    Examples
    --------
    >>> from sklearn_rnn.metrics import mean_quantile_loss
    >>> mean_quantile_loss([3.0, 1.0], [[1.0, 3.0], [1.0, 3.0]], [0.25, 0.75])
    0.25
    """
    loss, _ = _quantile_losses(y_true, y_quantiles, quantiles)
    return _average(loss.mean(axis=-1), sample_weight)


def crps_from_quantiles(
    y_true: ArrayLike,
    y_quantiles: ArrayLike,
    quantiles: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Estimate the continuous ranked probability score (CRPS) from quantiles.

    The CRPS of a forecast distribution is twice the integral of its quantile
    loss over all levels from 0 to 1 ([1]_, [2]_). It generalises the absolute
    error to distributions: a narrow and correct forecast scores best.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Observed values.
    y_quantiles : array-like of the shape of `y_true` and (..., n_quantiles)
        Forecast quantiles, along the last axis.
    quantiles : array-like of float of shape (n_quantiles,)
        Their levels, increasing, in the open interval (0, 1).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples; None weighs all equally.

    Returns
    -------
    float
        At least 0, in the unit of `y_true`; the best is 0.

    Raises
    ------
    ValueError
        If shapes do not match, the levels do not increase between 0 and 1, or
        a value is NaN or infinite.

    See Also
    --------
    mean_quantile_loss : All levels weigh the same, without the factor 2.

    Notes
    -----
    The integral is approximated by the midpoint rule: the weight of a level is
    the interval between the midpoints to its neighbours, of the first from 0 and
    of the last to 1. The median alone gives the absolute error. With few levels
    the estimate is rough: compare only forecasts with the same levels.

    References
    ----------
    .. [1] F. Laio and S. Tamea (2007). Verification Tools for Probabilistic
       Forecasts of Continuous Hydrological Variables. Hydrology and Earth
       System Sciences 11 (4), 1267-1277.
    .. [2] T. Gneiting and R. Ranjan (2011). Comparing Density Forecasts Using
       Threshold- and Quantile-Weighted Scoring Rules. Journal of Business and
       Economic Statistics 29 (3), 411-422.

    Examples
    --------
    >>> from sklearn_rnn.metrics import crps_from_quantiles
    >>> crps_from_quantiles([3.0, 1.0], [[1.0, 3.0], [1.0, 3.0]], [0.25, 0.75])
    0.5
    >>> crps_from_quantiles([3.0, 1.0], [[2.0], [2.0]], [0.5])
    1.0
    """
    loss, levels = _quantile_losses(y_true, y_quantiles, quantiles)
    bounds = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    return _average(2 * loss @ np.diff(bounds), sample_weight)


def _check_pair(y_true, other, name):
    """Return two arrays of one shape; (n, 1) counts as (n,)."""
    y_true, other = check_values(y_true, "y_true"), check_values(other, name)
    check_consistent_length(y_true, other)
    if _without_column(y_true.shape) != _without_column(other.shape):
        raise ValueError(
            f"y_true has shape {y_true.shape} and {name} {other.shape}: give both the "
            "same shape, (n_samples,) or (n_samples, n_outputs)."
        )
    return y_true, other.reshape(y_true.shape)


def _without_column(shape):
    return shape[:1] if shape[1:] == (1,) else shape


def _check_scale(scale, y_true):
    if np.ndim(scale) == 0:
        scale = [scale]
    scale = check_values(scale, "scale")
    per_sample = scale.shape in {(len(y_true),), (len(y_true), 1)}
    if scale.shape not in {(1,), y_true.shape} and not per_sample:
        raise ValueError(
            f"scale has shape {scale.shape}, but y_true {y_true.shape}: give a "
            "scalar, one value per sample, or one per value of y_true."
        )
    if (scale <= 0).any():
        index = tuple(int(i) for i in np.argwhere(scale <= 0)[0])
        raise ValueError(
            f"scale must be above 0, and is {scale[index]:g} at {index}. It is 0 where "
            "the naive forecast made no error, as in a constant series: leave that "
            "series out, or use mean_absolute_error."
        )
    if scale.shape in {(1,), y_true.shape}:
        return scale
    return scale.reshape(-1, *(1,) * (y_true.ndim - 1))


def _quantile_losses(y_true, y_quantiles, quantiles):
    """Return the loss of each value at each level, levels last, and the levels."""
    levels = _check_levels(quantiles)
    y_true = check_values(y_true, "y_true")
    y_quantiles = check_values(y_quantiles, "y_quantiles")
    check_consistent_length(y_true, y_quantiles)
    expected = (*_without_column(y_true.shape), len(levels))
    if (*_without_column(y_quantiles.shape[:-1]), y_quantiles.shape[-1]) != expected:
        raise ValueError(
            f"y_quantiles has shape {y_quantiles.shape}, but y_true of shape "
            f"{y_true.shape} and {len(levels)} quantiles ask for {expected}."
        )
    errors = y_true.reshape(*expected[:-1], 1) - y_quantiles.reshape(expected)
    return np.maximum(levels * errors, (levels - 1) * errors), levels


def _check_levels(quantiles):
    levels = check_values(quantiles, "quantiles") if np.ndim(quantiles) == 1 else None
    if levels is None or not _increase_inside(levels):
        raise ValueError(
            f"quantiles={quantiles!r} should be a list of values that increase, all in "
            "the open interval (0, 1), such as [0.1, 0.5, 0.9]."
        )
    return levels


def _increase_inside(levels):
    return levels[0] > 0 and levels[-1] < 1 and bool((np.diff(levels) > 0).all())


def _average(values, sample_weight):
    """Return the mean, weighted over samples and uniform over all other axes."""
    by_sample = values.reshape(len(values), -1).mean(axis=1)
    if sample_weight is None:
        return float(by_sample.mean())
    weights = check_weights(sample_weight, len(by_sample))
    return float(np.average(by_sample, weights=weights))
