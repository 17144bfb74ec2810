import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image
from threadpoolctl import threadpool_limits

EXAMPLES = Path(__file__).parents[2] / "examples"
STATIONS = ["EWR", "JFK", "LGA"]


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def calm(tmp_path, monkeypatch):
    """Run in an empty folder, without threads that fight over shared cores."""
    monkeypatch.chdir(tmp_path)
    with threadpool_limits(1):
        yield
    plt.close("all")


def assert_is_picture(path):
    pixels = np.asarray(Image.open(path).convert("L"))
    assert pixels.shape[1] >= 400
    assert pixels.std() > 10  # something is drawn on it


def test_the_stations_are_forecast_from_a_few_weeks_with_holes(capsys):
    example = load("station_forecasts")
    table = example.load_table(n_days=50)
    hours = (table["time"].max() - table["time"].min()) // pd.Timedelta(hours=1) + 1
    assert len(table) < 3 * hours
    assert table["pressure"].isna().any()
    results = example.main(["--days", "50", "--epochs", "3"])
    errors, coverage, tomorrow = results.values()
    assert list(errors.index) == [(s, k) for s in STATIONS for k in (1, 6, 24)]
    soon = errors.drop(24, level="horizon")
    for name in ("one model", "three models"):
        assert (soon[name] < soon["seasonal naive"]).all()
    assert list(coverage.index) == [1, 6, 24]
    # From so few days they are not yet as they should be.
    assert coverage["coverage_80"].stack().between(0.55, 0.95).all()
    assert (coverage["coverage_95"] > coverage["coverage_80"]).all(axis=None)
    assert list(tomorrow["station"].unique()) == STATIONS
    last = table["time"].max()
    day = pd.date_range(last, periods=25, freq="h")[1:]
    assert list(tomorrow.index) == 3 * list(day)
    quantiles = tomorrow[["q0.025", "q0.1", "q0.5", "q0.9", "q0.975"]]
    assert (quantiles.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert "Picture of the next 24 hours" in capsys.readouterr().out
    assert_is_picture("station_forecasts.png")


def test_the_impossible_wind_is_missing_and_no_other():
    example = load("station_forecasts")
    table = example.load_table(n_days=400)
    raw = example.load_nyc_weather()
    gone = raw.loc[table["wind_speed"].isna() & raw["wind_speed"].notna()]
    assert gone["wind_speed"].round().tolist() == [1048]
    assert table["wind_speed"].max() < 50
    places = table.groupby("station")[["latitude", "longitude"]].nunique()
    assert (places == 1).all(axis=None)


@pytest.mark.slow
def test_calibrated_intervals_of_the_stations_cover_what_they_say():
    results = load("station_forecasts").main([])
    coverage, errors = results["coverage"], results["errors"]
    for width, share in {"coverage_80": 0.8, "coverage_95": 0.95}.items():
        off = (coverage[width] - share).abs()
        assert (off["calibrated"] < 0.03).all()
        assert (off["calibrated"] < off["as predicted"]).all()
    assert (errors["one model"] < errors["seasonal naive"]).all()
    assert (errors["one model"] < 1.05 * errors["three models"]).all()
