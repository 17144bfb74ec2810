"""Metrics of forecasts that scikit-learn lacks."""

from sklearn_rnn.metrics._forecasts import (
    crps_from_quantiles,
    interval_coverage,
    mean_absolute_scaled_error,
    mean_quantile_loss,
    symmetric_mean_absolute_percentage_error,
)

__all__ = [
    "crps_from_quantiles",
    "interval_coverage",
    "mean_absolute_scaled_error",
    "mean_quantile_loss",
    "symmetric_mean_absolute_percentage_error",
]
