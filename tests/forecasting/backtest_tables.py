"""Tables for tests of backtests: those of forecasts, longer and without a plan."""

import forecast_tables
import pandas as pd

HOURS = pd.date_range("2024-01-01", periods=120, freq="h")

SHORT = {"season": 3}  # tables of tests are short


def make_table(index=HOURS, seed=0):
    return forecast_tables.make_table(index, seed).drop(columns="plan")


def two_series(n_rows=60):
    return forecast_tables.two_series(n_rows).drop(columns="plan")
