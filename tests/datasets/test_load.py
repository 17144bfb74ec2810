import numpy as np
import pandas as pd
import pytest

from sklearn_rnn.datasets import (
    load_co2_weekly,
    load_japanese_vowels,
    load_nyc_weather,
)


def test_weather_of_all_stations_is_one_long_table():
    weather = load_nyc_weather()
    assert weather.shape == (26_115, 10)
    assert list(weather.columns[:3]) == ["station", "time", "temp"]
    assert set(weather["station"]) == {"EWR", "JFK", "LGA"}
    assert str(weather["time"].dt.tz) == "UTC"


def test_weather_of_one_station_is_indexed_by_time():
    weather = load_nyc_weather("JFK")
    long = load_nyc_weather()
    assert weather.index.name == "time"
    assert weather.index.is_monotonic_increasing
    assert weather.index.is_unique
    assert (weather.dtypes == np.float64).all()
    pd.testing.assert_frame_equal(
        weather.reset_index(),
        long[long["station"] == "JFK"].drop(columns="station").reset_index(drop=True),
    )


def test_weather_is_as_observed():
    weather = load_nyc_weather()
    assert weather["temp"].isna().sum() == 1
    assert weather["pressure"].isna().sum() == 2729
    assert weather["wind_speed"].max() > 1000
    hours = load_nyc_weather("JFK").index
    assert (np.diff(hours) > pd.Timedelta("1h")).sum() == 14


def test_an_unknown_station_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="EWR, JFK, LGA"):
        load_nyc_weather("SFO")


def test_co2_has_every_week_and_declares_its_step():
    air = load_co2_weekly()
    assert air.shape == (2284, 1)
    assert list(air.columns) == ["co2"]
    assert air["co2"].dtype == np.float64
    assert air.index.name == "time"
    assert air.index.freq == pd.offsets.Week(weekday=5)
    assert air.index[0] == pd.Timestamp("1958-03-29")
    assert air.index[-1] == pd.Timestamp("2001-12-29")


def test_co2_is_as_published():
    air = load_co2_weekly()["co2"]
    assert air.isna().sum() == 59
    assert air.iloc[[0, -1]].tolist() == [316.1, 371.5]
    assert air.between(310, 375).sum() == 2284 - 59


def test_co2_rises_over_the_years_and_falls_in_summer():
    air = load_co2_weekly()["co2"]
    yearly = air.resample("YS").mean().loc["1965":]
    assert (yearly.diff().dropna() > 0).all()
    seasons = air - air.rolling(53, center=True, min_periods=40).mean()
    monthly = seasons.groupby(air.index.month).mean()
    assert monthly.idxmax() == 5
    assert monthly.idxmin() in (9, 10)


def test_vowels_have_the_published_split():
    vowels = load_japanese_vowels()
    assert len(vowels.data) == len(vowels.target) == 640
    assert len(vowels.feature_names) == 12
    assert "Kudo" in vowels.DESCR
    train, test = vowels.train_index, vowels.test_index
    assert len(train) == 270
    assert len(test) == 370
    assert np.bincount(vowels.target[train]).tolist() == [0] + [30] * 9
    counts = np.bincount(vowels.target[test])[1:]
    assert counts.tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]


@pytest.mark.parametrize("subset", ["train", "test"])
def test_a_subset_is_that_part_of_all(subset):
    vowels = load_japanese_vowels()
    X, y = load_japanese_vowels(subset=subset, return_X_y=True)
    index = vowels[f"{subset}_index"]
    np.testing.assert_array_equal(y, vowels.target[index])
    for one, i in zip(X, index, strict=True):
        np.testing.assert_array_equal(one, vowels.data[i])


def test_vowels_keep_the_published_decimals():
    X, y = load_japanese_vowels(return_X_y=True)
    assert {x.shape[1] for x in X} == {12}
    assert min(map(len, X)) == 7
    assert max(map(len, X)) == 29
    assert X[0].dtype == np.float64
    assert X[0][:2, 0].tolist() == [1.860936, 1.891651]
    assert y[0] == 1


def test_utterances_do_not_share_memory():
    X, _ = load_japanese_vowels(return_X_y=True)
    assert X[0].base is None


def test_an_unknown_subset_is_refused():
    with pytest.raises(ValueError, match="all, train, test"):
        load_japanese_vowels(subset="validation")
