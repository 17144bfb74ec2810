"""A panel from end to end: fit, forecast with intervals, backtest; minutes and memory.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_panel.py
    OMP_NUM_THREADS=1 python tests/benchmarks/bench_panel.py --series 10 --days 400

Simulated daily sales of 1,000 shops over 1,000 days (`make_panel`); the second line is
a small run. The logarithm of the mean of a shop is the sum of its size, a weekly
pattern that its type decides, a yearly one whose amplitude and phase the region
decides, a slow random walk, and the effect of holidays of the United States (closed or
busy, by type) and of the days before them. Sales are gamma distributed around the mean,
with a coefficient of variation of 0.2. Type and region are columns of text. Models know
the table and the calendar alone.

Each model is fitted on all days but the last 28, forecasts these with quantiles of 0.1,
0.5 and 0.9, and is tested in three folds before them, for each of which it is fitted
again. With a constant in the place of the network the same pipeline shows what the
table costs. Rivals: seasonal naive; boosted trees, one model per quantile, of lags, the
same weekday and the same day a year before, calendar, type, region and step ahead, with
sales divided by the shop's mean of the last 28 days; and the GRU of neuralforecast and
of darts, where these are installed. Each runs in a process of its own. Printed are
seconds by the clock, seconds of the processor, which other work on the machine does not
lengthen, the peak of memory, and errors: MASE, the mean quantile loss, twice and in the
same units, and how often the interval of 80 % holds.
"""

import argparse
import json
import resource
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from importlib.util import find_spec
from time import perf_counter, process_time

import numpy as np
import pandas as pd
from machine import add_instruction_set_option, print_machine, use_instruction_set
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    RNNRegressor,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
)

HORIZON, N_STEPS, N_FOLDS = 28, 28, 3
LEVELS = (0.1, 0.5, 0.9)
KEYS = {"time": "day", "group_by": "shop"}
TYPES = {"grocery": (0.1, -0.6), "office": (-0.8, -1.2), "leisure": (0.6, 0.5)}
TYPES["outlet"] = (0.4, 0.9)  # effect of the weekend, and of holidays
REGIONS = [f"region {i}" for i in range(8)]
# Training rows of the boosted trees: more take gigabytes, and no error away.
MAX_TREE_ROWS = 2_000_000


def make_panel(n_series, n_days, seed=0):
    """Return the table of all shops, day by day, and the holidays."""
    import holidays

    rng = np.random.default_rng(seed)
    days = pd.date_range("2022-01-01", periods=n_days, freq="D")
    free = holidays.country_holidays("US", years=days.year.unique().tolist())
    is_holiday = days.isin(pd.to_datetime(sorted(free)))
    is_eve = np.append(is_holiday[1:], False)
    year = 2 * np.pi * days.day_of_year / 365.25
    weekend, shops = days.day_of_week >= 5, []
    for i in range(n_series):
        kind, region = rng.choice(list(TYPES)), rng.integers(len(REGIONS))
        of_weekend, of_holiday = TYPES[kind] * rng.uniform(0.7, 1.3, size=2)
        mean = rng.normal(4.0, 1.0) + of_weekend * weekend + of_holiday * is_holiday
        mean = mean + 0.3 * is_eve + 0.1 * (region + 1) / 2 * np.sin(year + region)
        mean = mean + np.cumsum(rng.normal(0, 0.01, size=n_days))
        sales = np.exp(mean) * rng.gamma(25, 1 / 25, size=n_days)
        shop = {"day": days, "shop": f"shop {i}", "sales": sales}
        shops.append(pd.DataFrame({**shop, "type": kind, "region": REGIONS[region]}))
    table = pd.concat(shops, ignore_index=True)
    return table.astype({"shop": "category", "type": "category", "region": "category"})


# Ours


def our_model(options):
    network = RNNRegressor(
        loss="quantile",
        quantiles=LEVELS,
        n_threads=options.threads,
        max_epochs=options.epochs or "auto",
        random_state=0,
    )
    return after_windows(network)


def after_windows(regressor):
    """Return a pipeline from the table to a regressor of windows."""
    return make_pipeline(
        CalendarFeatures(["dayofweek", "dayofyear"], time="day"),
        # Of the weekday of a row follow those of the next four weeks; holidays do not.
        CalendarFeatures([], time="day", ahead=range(29), holidays="US"),
        SequenceWindower(N_STEPS, **KEYS),
        regressor,
    )


def ours(table, options):
    return from_end_to_end(table, our_model(options))


def constant(table, options):
    return from_end_to_end(table, after_windows(DummyRegressor()))


def from_end_to_end(table, model):
    """Return the forecast of the last days, that of the folds, and seconds of each."""
    last = table["day"].max() - pd.Timedelta(days=HORIZON)
    known = table[table["day"] <= last]
    begin = perf_counter()
    X, Y = make_forecast_frame(known, "sales", HORIZON, **KEYS)
    model = clone(model).fit(X, Y)
    seconds = [report("fit", begin)]
    begin = perf_counter()
    frame = forecast(model, known).rename_axis("time").reset_index()
    seconds.append(report("forecast", begin))
    begin = perf_counter()
    folds = TimeBlockSplit(N_FOLDS, test_size=HORIZON, gap=HORIZON - 1)
    options = {"cv": folds, "stride": HORIZON, "verbose": True}
    with redirect_stdout(sys.stderr):  # a line per fold, as soon as it is done
        past = backtest(model, known, "sales", HORIZON, **options, **KEYS)
    seconds.append(report("three folds", begin))
    return frame, past, seconds


def report(what, begin):
    """Print the seconds since `begin`, and the peak of memory; return the seconds."""
    seconds, peak = perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    used = f"{process_time():.0f} s of the processor so far"
    memory = f"{peak.ru_maxrss / 1e6:.2f} GB"
    print(f"{what}: {seconds:.0f} s, {used}, {memory}", file=sys.stderr, flush=True)
    return seconds


# Rivals


def sales_by_day(table):
    """Return sales (shops, days), codes of type and region, and the days."""
    days = np.sort(table["day"].unique())
    sales = table["sales"].to_numpy().reshape(-1, len(days))
    first = table.iloc[:: len(days)]
    codes = [first[name].cat.codes.to_numpy() for name in ("type", "region")]
    return sales, np.column_stack(codes), pd.DatetimeIndex(days)


def tree_rows(panel, shops, origins, steps, calendar):
    """Return what boosted trees read of (shop, origin, step ahead), and the unit."""
    sales, codes, _ = panel
    lags = sales[shops[:, np.newaxis], origins[:, np.newaxis] - np.arange(HORIZON)]
    unit = lags.mean(axis=1)
    # The same weekday of the last four weeks, and the same day a year ago.
    weeks = origins - 7 + (steps - 1) % 7 + 1
    same_day = [sales[shops, weeks - 7 * k] / unit for k in range(4)]
    a_year_ago = origins + steps - 364
    is_known = a_year_ago >= 0
    year = sales[shops, np.where(is_known, a_year_ago, weeks)] / unit
    columns = [*same_day, year, is_known, lags[:, :7].mean(axis=1) / unit, steps]
    X = np.column_stack([codes[shops], *columns, calendar[origins + steps]])
    return np.hstack([X, lags[:, :7] / unit[:, np.newaxis]]).astype(np.float32), unit


def tree_forecast(table, options):
    """Fit on all days but the last 28, and forecast these."""
    rng = np.random.default_rng(0)
    panel = sales_by_day(table)
    sales, _, days = panel
    flags = CalendarFeatures(
        ["dayofweek", "dayofyear", "weekend"],
        encoding="ordinal",
        holidays="US",
        ahead=[0, 1],
        freq="D",
    )
    calendar = flags.fit_transform(pd.DataFrame(index=days)).to_numpy()
    n_known = len(days) - HORIZON
    n_rows = min(MAX_TREE_ROWS, sales.shape[0] * (n_known - 3 * HORIZON) * 4)
    steps = rng.integers(1, HORIZON + 1, size=n_rows)
    origins = rng.integers(HORIZON, n_known - HORIZON, size=n_rows)
    shops = rng.integers(len(sales), size=n_rows)
    X, unit = tree_rows(panel, shops, origins, steps, calendar)
    y = sales[shops, origins + steps] / unit
    begin = perf_counter()
    models = [
        HistGradientBoostingRegressor(
            loss="quantile",
            quantile=level,
            max_iter=options.trees,
            categorical_features=[0, 1],
            random_state=0,
        ).fit(X, y)
        for level in LEVELS
    ]
    seconds = [perf_counter() - begin]
    shops = np.repeat(np.arange(len(sales)), HORIZON)
    steps = np.tile(np.arange(1, HORIZON + 1), len(sales))
    X, unit = tree_rows(panel, shops, np.full(len(shops), n_known - 1), steps, calendar)
    found = [model.predict(X) * unit for model in models]
    frame = pd.DataFrame({"time": days[n_known - 1 + steps], "prediction": found[1]})
    frame["shop"] = table["shop"].to_numpy()[:: len(days)][shops]
    for level, values in zip(LEVELS, found, strict=True):
        frame[f"q{level}"] = values
    return frame, seconds[0], perf_counter() - begin - seconds[0]


def neural_forecast(table, options):
    """Fit neuralforecast's GRU on all days but the last 28, and forecast these."""
    from neuralforecast import NeuralForecast, models
    from neuralforecast.losses.pytorch import MQLoss

    calendar = CalendarFeatures(["dayofweek", "dayofyear"], time="day", holidays="US")
    whole = calendar.fit_transform(table.drop(columns=["type", "region"]))
    whole = whole.rename(columns={"day": "ds", "shop": "unique_id", "sales": "y"})
    whole["unique_id"] = whole["unique_id"].astype(str)
    static = table.drop_duplicates("shop")[["shop", "type", "region"]]
    static = pd.get_dummies(
        static.rename(columns={"shop": "unique_id"}).astype({"unique_id": str}),
        columns=["type", "region"],
        dtype=float,
    )
    is_known = whole["ds"] <= whole["ds"].max() - pd.Timedelta(days=HORIZON)
    begin = perf_counter()
    model = models.GRU(
        h=HORIZON,
        input_size=N_STEPS,
        loss=MQLoss(quantiles=list(LEVELS)),
        futr_exog_list=[c for c in whole.columns if c not in ("ds", "unique_id", "y")],
        stat_exog_list=[c for c in static.columns if c != "unique_id"],
        scaler_type="robust",
        max_steps=options.steps,
        random_seed=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    forecaster = NeuralForecast(models=[model], freq="D")
    forecaster.fit(whole[is_known], static_df=static)
    fitted = perf_counter()
    found = forecaster.predict(futr_df=whole[~is_known].drop(columns="y"))
    quantiles = np.sort(found.filter(like="GRU").to_numpy()[:, -len(LEVELS) :], axis=1)
    frame = found[["ds", "unique_id"]].set_axis(["time", "shop"], axis=1)
    for level, values in zip(LEVELS, quantiles.T, strict=True):
        frame[f"q{level}"] = values
    frame["prediction"] = frame["q0.5"]
    return frame, fitted - begin, perf_counter() - fitted


def darts_forecast(table, options):
    """Fit darts' GRU on all days but the last 28, and forecast these by samples."""
    from darts import TimeSeries
    from darts.dataprocessing.transformers import Scaler
    from darts.models import RNNModel
    from darts.utils.likelihood_models import QuantileRegression

    calendar = CalendarFeatures(["dayofweek", "dayofyear"], time="day", holidays="US")
    whole = calendar.fit_transform(table.drop(columns=["type", "region"]))
    whole = whole.astype({"shop": str})
    last = whole["day"].max() - pd.Timedelta(days=HORIZON)
    keys = {"group_cols": "shop", "time_col": "day", "freq": "D"}
    features = [c for c in whole.columns if c not in ("day", "shop", "sales")]
    plan = TimeSeries.from_group_dataframe(whole, value_cols=features, **keys)
    known = whole[whole["day"] <= last]
    series = TimeSeries.from_group_dataframe(known, value_cols="sales", **keys)
    begin = perf_counter()
    scaler = Scaler()  # each series by its own range
    scaled = scaler.fit_transform(series)
    quiet = ("logger", "enable_progress_bar", "enable_model_summary")
    model = RNNModel(
        model="GRU",
        input_chunk_length=N_STEPS,
        training_length=N_STEPS + HORIZON,
        hidden_dim=64,
        batch_size=32,
        likelihood=QuantileRegression(list(LEVELS)),
        random_state=0,
        pl_trainer_kwargs={
            "accelerator": "cpu",
            "max_steps": options.steps,
            **dict.fromkeys(quiet, False),
        },
    )
    model.fit(scaled, future_covariates=plan)
    fitted = perf_counter()
    found = model.predict(HORIZON, scaled, future_covariates=plan, num_samples=200)
    frames = []
    for forecasts in scaler.inverse_transform(found):
        samples = forecasts.all_values()[:, 0]  # (days, samples)
        frame = pd.DataFrame({"time": forecasts.time_index})
        frame["shop"] = forecasts.static_covariates["shop"].iloc[0]
        for level in LEVELS:
            frame[f"q{level}"] = np.quantile(samples, level, axis=1)
        frames.append(frame.assign(prediction=frame["q0.5"]))
    return pd.concat(frames), fitted - begin, perf_counter() - fitted


def rival(table, options, forecast_last):
    """Forecast the last 28 days, and those after the origins of each fold."""
    days = np.sort(table["day"].unique())
    frame, *seconds = forecast_last(table, options)
    begin, past = perf_counter(), []
    for fold in range(N_FOLDS):
        origin = len(days) - HORIZON * (2 + N_FOLDS - fold)
        until = table[table["day"] <= days[origin + HORIZON]]
        past.append(forecast_last(until, options)[0])
    return frame, pd.concat(past), [*seconds, perf_counter() - begin]


def seasonal_naive(table, options):
    sales, _, days = sales_by_day(table)
    n_known = len(days) - HORIZON
    last_week = np.tile(sales[:, n_known - 7 : n_known], HORIZON // 7)
    shops = table["shop"].to_numpy()[:: len(days)].repeat(HORIZON)
    frame = {"time": np.tile(days[n_known:], len(sales)), "shop": shops}
    return pd.DataFrame({**frame, "prediction": last_week.ravel()}), 0.0, 0.0


CONTENDERS = {
    "sklearn_rnn": ours,
    "the same, a constant": constant,
    "seasonal naive": lambda *args: rival(*args, seasonal_naive),
    "boosted trees": lambda *args: rival(*args, tree_forecast),
    "neuralforecast GRU": lambda *args: rival(*args, neural_forecast),
    "darts GRU": lambda *args: rival(*args, darts_forecast),
}
# Packages of rivals that run only where they are installed.
PACKAGES = {"neuralforecast GRU": "neuralforecast", "darts GRU": "darts"}


# Figures


def errors(frame, table):
    """Return MASE, the scaled quantile loss, and the coverage of the 80 % interval."""
    before = table.groupby("shop", observed=True)["sales"]
    scale = before.apply(lambda sales: np.abs(sales.diff(7)[: -4 * HORIZON]).mean())
    truth = table.set_index(["shop", "day"])["sales"]
    index = pd.MultiIndex.from_arrays([frame["shop"].astype(str), frame["time"]])
    truth = truth.set_axis(
        truth.index.set_levels(truth.index.levels[0].astype(str), level=0)
    )
    y = truth[index].to_numpy()
    scale = scale.set_axis(scale.index.astype(str))[
        index.get_level_values(0)
    ].to_numpy()
    figures = [np.mean(np.abs(y - frame["prediction"].to_numpy()) / scale)]
    if "q0.1" not in frame:
        return [*figures, np.nan, np.nan]
    differences = [y - frame[f"q{level}"].to_numpy() for level in LEVELS]
    losses = [
        np.maximum(level * d, (level - 1) * d)
        for level, d in zip(LEVELS, differences, strict=True)
    ]
    figures.append(np.mean(2 * np.mean(losses, axis=0) / scale))
    return [*figures, np.mean((differences[0] >= 0) & (differences[2] <= 0))]


def run_one(options):
    """Run one contender, and print its figures as JSON."""
    warnings.simplefilter("ignore")
    table = make_panel(options.series, options.days)
    frame, past, seconds = CONTENDERS[options.only](table, options)
    seconds.append(process_time())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    figures = [*seconds, peak, *errors(frame, table), *errors(past, table)]
    print(json.dumps(figures))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--epochs", type=int, help="of sklearn_rnn; its default if none"
    )
    parser.add_argument("--trees", type=int, default=300, help="per quantile")
    parser.add_argument(
        "--steps", type=int, default=1000, help="of neuralforecast and darts"
    )
    parser.add_argument("--only", choices=list(CONTENDERS))
    add_instruction_set_option(parser)
    options = parser.parse_args()
    use_instruction_set(options.instruction_set)
    if options.only:
        run_one(options)
        return
    print_machine()
    print(
        "| | fit s | forecast s | three folds s | processor s | peak GB | MASE ",
        end="",
    )
    print("| quantile loss | 80 % holds | MASE, folds | quantile loss | 80 % holds |")
    print("| --- " * 12 + "|")
    for name in CONTENDERS:
        if name in PACKAGES and find_spec(PACKAGES[name]) is None:
            continue
        command = [sys.executable, *sys.argv, "--only", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        cells = [f"{f:.0f}" for f in figures[:4]] + [f"{f:.2f}" for f in figures[4:]]
        print(f"| {name} | {' | '.join(cells).replace('nan', '')} |", flush=True)


if __name__ == "__main__":
    main()
