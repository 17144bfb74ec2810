"""Tables for tests of windows."""

import numpy as np
import pandas as pd


def hourly(n_rows, n_features=2, start="2024-01-01"):
    values = np.random.RandomState(0).randn(n_rows, n_features)
    index = pd.date_range(start, periods=n_rows, freq="h")
    return pd.DataFrame(values, columns=list("abcdefgh")[:n_features], index=index)


def two_series(n_rows=6):
    """Rows of two stations in turn, one an hour behind the other."""
    table = pd.DataFrame(
        {
            "station": ["north", "south"] * n_rows,
            "time": pd.date_range("2024-01-01", periods=n_rows, freq="h").repeat(2),
            "temp": np.arange(2.0 * n_rows),
        }
    )
    table.loc[table["station"] == "south", "time"] += pd.Timedelta("1h")
    return table


def assert_same_windows(actual, expected):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def lengths(windows):
    return windows.lengths.tolist()
