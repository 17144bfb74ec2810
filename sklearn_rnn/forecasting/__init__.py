"""Forecasts as tables: made, tried out on the past, scored, calibrated."""

from sklearn_rnn.forecasting._backtest import backtest
from sklearn_rnn.forecasting._future import forecast

__all__ = ["backtest", "forecast"]
