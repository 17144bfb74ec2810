"""Forecasts as tables: made, backtested, scored and calibrated."""

from sklearn_rnn.forecasting._backtest import backtest
from sklearn_rnn.forecasting._conformal import ConformalCalibrator
from sklearn_rnn.forecasting._frames import (
    quantile_columns,
    series_columns,
    symmetric_levels,
)
from sklearn_rnn.forecasting._future import forecast
from sklearn_rnn.forecasting._scores import score_forecasts

__all__ = [
    "ConformalCalibrator",
    "backtest",
    "forecast",
    "quantile_columns",
    "score_forecasts",
    "series_columns",
    "symmetric_levels",
]
