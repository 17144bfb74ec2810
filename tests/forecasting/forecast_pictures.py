"""Forecasts for tests of their pictures."""

import numpy as np
import pandas as pd

HOURS = pd.date_range("2024-03-01", periods=200, freq="h", name="when")


def series_of(index=HOURS, name="temp"):
    wave = np.sin(np.arange(len(index)) / 4) * 5 + 20
    return pd.Series(wave, index=index, name=name)


def forecast_from(history, origin, n_steps=6, quantiles=(), shift=1.0):
    """Forecast the values of a series themselves, but `shift` too high."""
    rows = np.arange(origin + 1, origin + 1 + n_steps)
    frame = pd.DataFrame(
        {
            "origin": history.index[origin],
            "horizon": np.arange(1, n_steps + 1),
            "prediction": history.to_numpy()[rows] + shift,
        },
        index=history.index[rows],
    )
    for column in quantiles:
        frame[column] = frame["prediction"] + 10 * (float(column[1:]) - 0.5)
    return frame


def backtest_of(history, origins, **options):
    frames = [forecast_from(history, origin, **options) for origin in origins]
    frame = pd.concat(frames).rename_axis("time").reset_index()
    truth = history[frame["time"]].to_numpy()
    frame.insert(0, "fold", 0)
    return frame.assign(truth=truth)


def stations(n=3, **options):
    """Return forecasts and history of some stations, each 10 degrees warmer."""
    history = series_of()
    table = [
        pd.DataFrame({"temp": history + 10 * i, "station": f"s{i}"}) for i in range(n)
    ]
    forecasts = [forecast_from(part["temp"], 150, **options) for part in table]
    for i, frame in enumerate(forecasts):
        frame.insert(0, "station", f"s{i}")
    return pd.concat(forecasts), pd.concat(table)


def labels(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def x_of(line):
    return pd.Index(line.get_xdata())


def two_targets():
    table = pd.DataFrame({"temp": series_of(), "humid": 3 * series_of()})
    frames = [
        forecast_from(table[name], 150).assign(target=name)
        for name in ["temp", "humid"]
    ]
    return pd.concat(frames), table
