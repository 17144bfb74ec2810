"""Tables of time: their frames, and forecasts made, backtested, scored and drawn."""

from sklearn_rnn._moved import register_old_modules
from sklearn_rnn.forecasting._anomaly_detector import ForecastAnomalyDetector
from sklearn_rnn.forecasting._anomaly_stream import AnomalyStream
from sklearn_rnn.forecasting._backtest import backtest
from sklearn_rnn.forecasting._calendar import CalendarFeatures
from sklearn_rnn.forecasting._columns import (
    quantile_columns,
    series_columns,
    symmetric_levels,
)
from sklearn_rnn.forecasting._conformal import ConformalCalibrator
from sklearn_rnn.forecasting._fill_gaps import fill_gaps
from sklearn_rnn.forecasting._forecast import forecast
from sklearn_rnn.forecasting._forecast_display import ForecastDisplay
from sklearn_rnn.forecasting._forecast_frame import make_forecast_frame
from sklearn_rnn.forecasting._scores import score_forecasts

__all__ = [
    "AnomalyStream",
    "CalendarFeatures",
    "ConformalCalibrator",
    "ForecastAnomalyDetector",
    "ForecastDisplay",
    "backtest",
    "fill_gaps",
    "forecast",
    "make_forecast_frame",
    "quantile_columns",
    "score_forecasts",
    "series_columns",
    "symmetric_levels",
]

register_old_modules(
    {
        "displays._forecast": "forecasting._forecast_display",
        "preprocessing._calendar": "forecasting._calendar",
    }
)
