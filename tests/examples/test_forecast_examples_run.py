import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image
from threadpoolctl import threadpool_limits

EXAMPLES = Path(__file__).parents[2] / "examples"


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


def test_co2_of_the_last_two_years_is_forecast_better_than_by_last_year(capsys):
    results = load("co2_forecast").main(["--blocks", "1"])
    errors = results["errors"]
    assert list(errors.columns) == [1, 13, 26, 52]
    rivals = errors[errors.index.str.startswith("last year")]
    assert len(rivals) == 3
    assert (errors.loc["RNNRegressor"] < rivals.min()).all()
    assert results["blocks"].shape == (len(errors), 1)
    assert results["coverage"].between(0.5, 1).all()
    assert "80 % intervals held" in capsys.readouterr().out
    assert_is_picture("co2_forecast.png")


def test_what_is_expected_of_co2_was_known_a_year_before():
    example = load("co2_forecast")
    whole = example.make_table()
    air = example.load_co2_weekly()
    example.load_co2_weekly = lambda: air.loc[:"1999"]
    part = example.make_table()
    assert part.index[-1] - air.loc[:"1999"].index[-1] == pd.Timedelta(weeks=52)
    pd.testing.assert_series_equal(
        part["expected"], whole["expected"].loc[: part.index[-1]], check_freq=False
    )


@pytest.mark.slow
def test_co2_is_forecast_best_for_half_a_year_and_in_most_blocks_for_a_year():
    results = load("co2_forecast").main([])
    errors, blocks = results["errors"], results["blocks"]
    alone = errors.drop(index="mean of both")
    assert (alone.loc["RNNRegressor"] <= alone.min())[[1, 13, 26]].all()
    drifts = errors[errors.index.str.startswith("last year")]
    assert (errors.loc["mean of both"] < drifts.min()).all()
    assert errors.loc["RNNRegressor", 52] < errors.loc["last year + its growth", 52]
    rivals = blocks[blocks.index.str.startswith("last year")]
    assert (blocks.loc["RNNRegressor"] < rivals.min()).sum() == 4


def test_the_oil_prices_are_what_their_readme_says():
    prices = pd.read_csv(
        EXAMPLES / "data" / "wti_oil_daily.csv.gz", index_col="date", parse_dates=True
    )["price"]
    assert (len(prices), prices.isna().sum()) == (3916, 145)
    assert prices.index.equals(
        pd.bdate_range("2004-01-01", "2019-01-03", name="date", unit=prices.index.unit)
    )
    assert prices.max() == 145.31  # 3 July 2008


def test_nothing_is_claimed_for_oil_prices_that_the_numbers_do_not_say(capsys):
    example = load("price_forecast")
    results = example.main(["--blocks", "2"])
    printed = capsys.readouterr().out
    for result in results["results"].values():
        ratio = result["RMSE, RNNRegressor (%)"] / result["RMSE, last price (%)"]
        assert 0.95 < ratio < 1.1
        low, high = result["at least (95 %)"], result["at most (95 %)"]
        assert low < result["direction right"] < high
        assert example.judge(result) in printed
    assert list(results["coverage"].index) == [1, 5]
    assert_is_picture("price_forecast.png")


@pytest.mark.slow
def test_calibrated_intervals_of_oil_prices_cover_what_they_say():
    coverage = load("price_forecast").main([])["coverage"]
    off = (coverage - 0.8).abs()
    assert (off["calibrated"] < 0.02).all()
    assert (off["calibrated"] < off["as predicted"]).all()


@pytest.mark.parametrize(
    ("t", "p", "right", "p_direction", "words"),
    [
        (3.0, 0.01, 0.56, 0.01, "beats the last price; its direction is more often"),
        (-3.0, 0.01, 0.44, 0.01, "worse than the last price; its direction is less"),
        (3.0, 0.06, 0.56, 0.06, "could not be chance; its direction is no better"),
    ],
)
def test_the_verdict_follows_from_the_numbers(t, p, right, p_direction, words):
    sentence = load("price_forecast").judge(
        {
            "t of the difference": t,
            "p of the difference": p,
            "direction right": right,
            "p of the direction": p_direction,
        }
    )
    assert words in sentence


def test_forecasts_that_know_the_future_beat_the_last_price():
    rng = np.random.default_rng(0)
    naive = np.cumsum(rng.normal(0, 0.02, size=400))
    truth = naive + rng.normal(0, 0.02, size=400)
    forecasts = pd.DataFrame(
        {"horizon": 1, "truth": truth, "naive": naive, "prediction": truth}
    )
    forecasts["prediction"] += rng.normal(0, 0.01, size=400)
    example = load("price_forecast")
    result = example.compare(forecasts, horizon=1)
    assert result["RMSE, RNNRegressor (%)"] == pytest.approx(1, rel=0.1)
    assert result["direction right"] > 0.8
    assert "beats" in example.judge(result)
    forecasts["prediction"] = naive + rng.normal(0, 0.02, size=400)
    assert "worse" in example.judge(example.compare(forecasts, horizon=1))


def test_tomorrows_temperature_is_forecast_better_without_the_season():
    errors = load("tomorrows_temperature").main(["--seeds", "1"])
    network = {name: of_table["RNNRegressor"] for name, of_table in errors.items()}
    assert network["hour, no season"] < network["as observed"] - 0.2
    assert network["hour, no season"] < 6.34  # ridge on 48 hours of lags
