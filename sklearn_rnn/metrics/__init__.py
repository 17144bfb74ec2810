"""Metrics that scikit-learn lacks: of forecasts and of symbol sequences."""

from sklearn_rnn.metrics._forecasts import (
    crps_from_quantiles,
    interval_coverage,
    mean_absolute_scaled_error,
    mean_quantile_loss,
    symmetric_mean_absolute_percentage_error,
)
from sklearn_rnn.metrics._sequences import (
    bleu,
    chrf,
    sequence_accuracy,
    symbol_error_rate,
)

__all__ = [
    "bleu",
    "chrf",
    "crps_from_quantiles",
    "interval_coverage",
    "mean_absolute_scaled_error",
    "mean_quantile_loss",
    "sequence_accuracy",
    "symbol_error_rate",
    "symmetric_mean_absolute_percentage_error",
]
