"""A day ahead, hour by hour: ours against darts and neuralforecast.

    pip install darts neuralforecast
    OMP_NUM_THREADS=1 python tests/benchmarks/bench_forecasting.py
    ... --hidden-size 64 --updates 2000           # another budget
    ... --learning-rate 4e-3                      # the rivals at our step size

Temperature (°F) at JFK, from 48 hours of six columns, 1 to 24 hours ahead.
Trained on the first 70 % of 2013, judged from every hour of the rest. All have
one recurrent layer of the same cell and size, the same loss (squared error),
batch size and number of updates, and one core. The rest is each library's
default, which for the rivals means Adam at a constant 1e-3.

darts reads the other columns as past covariates and scales with its ``Scaler``.
Its RNNModel takes no past covariates: it sees the temperature alone, or has all
six columns as targets. neuralforecast reads them as ``hist_exog_list`` and scales
each window (`--scaler-type`); the MLP behind its recurrent layer is the default
one. Options that may suit this series have lines of their own. The direct models
of both (BlockRNNModel; not recurrent) make the forecast of hour h from the state
24 - h steps before the end of the window, which shows at the short horizons. The
way round it, in darts, is a model a horizon: one line has three (1, 6 and 24 h).

Fitting includes scaling and making windows; predicting starts from the table of
all hours and ends with an array of degrees. Errors are means over the seeds,
seconds the fewest. Rivals that are not installed are left out.
"""

import argparse
import logging
import warnings
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.pipeline import make_pipeline

from sklearn_rnn import RNNRegressor, SequenceWindower, make_forecast_frame
from sklearn_rnn.datasets import load_nyc_weather

COVARIATES = ["dewp", "humid", "wind_speed", "precip", "pressure"]
N_STEPS, HORIZON = 48, 24
SHOWN = (1, 6, 24)
OURS = "sklearn_rnn RNNRegressor"
RIVALS = ["darts", "neuralforecast"]
# Both rivals train with Lightning, which would write files and draw bars.
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Outcome(NamedTuple):
    predictions: np.ndarray  # (n_origins, HORIZON), °F
    fit_seconds: float
    predict_seconds: float


class Task(NamedTuple):
    weather: pd.DataFrame
    split: int  # rows before it train; it is the first origin
    truth: np.ndarray  # (n_origins, HORIZON), °F


def read_task():
    weather = load_nyc_weather("JFK")[["temp", *COVARIATES]]
    weather = weather.asfreq("h").interpolate()
    # The rivals want times without a zone.
    weather.index = weather.index.tz_localize(None)
    split = int(0.7 * len(weather))
    _, Y = make_forecast_frame(weather, target="temp", horizon=HORIZON)
    return Task(weather, split, Y.iloc[split:].to_numpy())


def past_temperatures(task, hours_before):
    """Return what every origin saw so many hours before its own hour."""
    temperature = task.weather["temp"].to_numpy()
    origins = np.arange(task.split, len(temperature) - HORIZON)
    return temperature[origins[:, None] - hours_before]


def last_value(task):
    return past_temperatures(task, np.zeros(HORIZON, dtype=int))


def same_hour_a_day_ago(task):
    return past_temperatures(task, 24 - np.arange(1, HORIZON + 1))


def ours(task, options, seed):
    begin = perf_counter()
    X, Y = make_forecast_frame(task.weather, target="temp", horizon=HORIZON)
    # The targets of a training row lie before the split, too.
    train = slice(0, task.split - HORIZON)
    model = make_pipeline(
        SequenceWindower(n_steps=N_STEPS),
        RNNRegressor(
            options.cell,
            options.hidden_size,
            target_feature="temp",
            batch_size=options.batch_size,
            max_epochs=options.max_epochs,
            n_threads=1,
            random_state=seed,
        ),
    )
    model.fit(X.iloc[train], Y.iloc[train])
    fitted = perf_counter()
    # The rows in front are the history of the first origins.
    n_before = N_STEPS - 1
    predictions = model.predict(X.iloc[task.split - n_before :])[n_before:]
    return Outcome(predictions, fitted - begin, perf_counter() - fitted)


def darts_params(options, seed):
    params = {
        "model": options.cell.upper(),
        "hidden_dim": options.hidden_size,
        "input_chunk_length": N_STEPS,
        "batch_size": options.batch_size,
        "n_epochs": options.updates,  # never reached: max_steps comes first
        "pl_trainer_kwargs": QUIET | {"max_steps": options.updates},
        "random_state": seed,
    }
    if options.learning_rate:
        params["optimizer_kwargs"] = {"lr": options.learning_rate}
    return params


def darts_outcome(model, task, targets, covariates, horizon=HORIZON):
    from darts import TimeSeries
    from darts.dataprocessing.transformers import Scaler

    roles = {"series": targets, "past_covariates": covariates}
    series = {
        role: TimeSeries.from_dataframe(task.weather[columns].astype(np.float32))
        for role, columns in roles.items()
        if columns
    }
    begin = perf_counter()
    train = {role: s[: task.split] for role, s in series.items()}
    scalers = {role: Scaler().fit(s) for role, s in train.items()}
    model.fit(**{role: scalers[role].transform(s) for role, s in train.items()})
    fitted = perf_counter()
    forecasts = model.historical_forecasts(
        **series,
        data_transformers=scalers,
        start=task.weather.index[task.split + 1],
        forecast_horizon=horizon,
        retrain=False,
        last_points_only=False,
    )
    predictions = np.stack([f.values(copy=False)[:, 0] for f in forecasts])
    return Outcome(predictions, fitted - begin, perf_counter() - fitted)


def darts_block(task, options, seed, **params):
    from darts.models import BlockRNNModel

    model = BlockRNNModel(
        output_chunk_length=HORIZON, **darts_params(options, seed), **params
    )
    return darts_outcome(model, task, ["temp"], COVARIATES)


def darts_single(task, options, seed):
    """Train a model for each horizon shown; the other ones stay NaN."""
    from darts.models import BlockRNNModel

    outcome = Outcome(np.full_like(task.truth, np.nan), 0.0, 0.0)
    for horizon in SHOWN:
        params = {"output_chunk_length": 1, "output_chunk_shift": horizon - 1}
        model = BlockRNNModel(**params, **darts_params(options, seed))
        one = darts_outcome(model, task, ["temp"], COVARIATES, horizon=1)
        # The nearer horizons have a few more origins at the end.
        outcome.predictions[:, horizon - 1] = one.predictions[: len(task.truth), 0]
        seconds = np.add(outcome[1:], one[1:])
        outcome = Outcome(outcome.predictions, *seconds)
    return outcome


def darts_recursive(task, options, seed, targets):
    from darts.models import RNNModel

    # Trained to run on past its window, as it does when it forecasts.
    model = RNNModel(training_length=N_STEPS + HORIZON, **darts_params(options, seed))
    return darts_outcome(model, task, targets, None)


def neuralforecast_outcome(task, options, seed, **params):
    from neuralforecast import NeuralForecast, models
    from neuralforecast.losses.pytorch import MSE

    if options.learning_rate:
        params["learning_rate"] = options.learning_rate
    model = getattr(models, options.cell.upper())(
        h=HORIZON,
        input_size=N_STEPS,
        encoder_n_layers=1,
        encoder_hidden_size=options.hidden_size,
        hist_exog_list=COVARIATES,
        scaler_type=options.scaler_type,
        loss=MSE(),
        max_steps=options.updates,
        # One series a batch, of which it draws this many windows.
        windows_batch_size=options.batch_size,
        random_seed=seed,
        **params,
        **QUIET,
    )
    table = task.weather.rename(columns={"temp": "y"})
    table = table.rename_axis("ds").reset_index().assign(unique_id="JFK")
    begin = perf_counter()
    forecaster = NeuralForecast(models=[model], freq="h")
    forecaster.fit(table.iloc[: task.split])
    fitted = perf_counter()
    forecasts = forecaster.cross_validation(
        table,
        n_windows=None,
        test_size=len(table) - task.split - 1,
        step_size=1,
        use_fitted=True,
    )
    predictions = forecasts[repr(model)].to_numpy().reshape(-1, HORIZON)
    return Outcome(predictions, fitted - begin, perf_counter() - fitted)


def contenders(cell):
    """Return what to run: its name in the table, the package it needs, a function."""
    norm = partial(darts_block, use_reversible_instance_norm=True)
    alone = partial(darts_recursive, targets=["temp"])
    together = partial(darts_recursive, targets=["temp", *COVARIATES])
    nixtla = neuralforecast_outcome
    # Trained over the whole horizon; the default is one step.
    recurrent = partial(nixtla, recurrent=True, h_train=HORIZON)
    return [
        (OURS, "sklearn_rnn", ours),
        ("darts BlockRNNModel", "darts", darts_block),
        ("darts BlockRNNModel, instance norm", "darts", norm),
        ("darts BlockRNNModel, one a horizon", "darts", darts_single),
        ("darts RNNModel, temperature alone", "darts", alone),
        ("darts RNNModel, six targets", "darts", together),
        (f"neuralforecast {cell.upper()}", "neuralforecast", nixtla),
        (f"neuralforecast {cell.upper()}, recurrent", "neuralforecast", recurrent),
    ]


def errors(predictions, truth):
    """Return the RMSE at the horizons shown, and the mean over all of them."""
    by_horizon = np.sqrt(np.mean((predictions - truth) ** 2, axis=0))
    return np.array([*by_horizon[np.array(SHOWN) - 1], by_horizon.mean()])


def print_row(name, figures, base):
    """Print errors, seconds if there are any, and both over those of `base`."""
    ratios = figures / base[: len(figures)]
    cells = [*figures[:4], ratios[3]]
    for seconds, ratio in zip(figures[4:], ratios[4:], strict=True):
        cells += [seconds, ratio]
    texts = ["" if np.isnan(cell) else f"{cell:.2f}" for cell in cells]
    texts += [""] * (9 - len(texts))
    print(f"| {name} | {' | '.join(texts)} |", flush=True)


def measure(task, options):
    """Return, by name, the mean errors and the fewest seconds of the seeds."""
    installed = {
        name: contender
        for name, package, contender in contenders(options.cell)
        if find_spec(package)
    }
    rows = {name: [] for name in installed}
    # In turn, so that other work on the machine disturbs all of them alike.
    for seed in range(options.seeds):
        for name, contender in installed.items():
            outcome = contender(task, options, seed)
            seconds = [outcome.fit_seconds, outcome.predict_seconds]
            rows[name].append([*errors(outcome.predictions, task.truth), *seconds])
    return {
        name: np.array([*np.mean(row, axis=0)[:4], *np.min(row, axis=0)[4:]])
        for name, row in rows.items()
    }


def print_table(figures, task):
    horizons = " | ".join(f"{h} h" for h in SHOWN)
    print(f"| RMSE, °F | {horizons} | mean | ÷ ours ", end="")
    print("| fit s | ÷ ours | predict s | ÷ ours |")
    print("| --- " * 10 + "|")
    base = figures[OURS]
    for name, row in figures.items():
        print_row(name, row, base)
    print_row("last value", errors(last_value(task), task.truth), base)
    day_ago = errors(same_hour_a_day_ago(task), task.truth)
    print_row("same hour a day ago", day_ago, base)


def silence():
    """Import the rivals, and stop what they and Lightning would print."""
    warnings.simplefilter("ignore")
    missing = [name for name in RIVALS if not find_spec(name)]
    if missing:
        print(f"Not installed, left out: pip install {' '.join(missing)}\n")
    for name in set(RIVALS) - set(missing):
        import_module(name)
    # After the imports, which set the levels of their loggers.
    for name in ["pytorch_lightning", "lightning", "lightning_fabric", "darts"]:
        logging.getLogger(name).setLevel(logging.ERROR)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cell", choices=["gru", "lstm", "rnn"], default="gru")
    parser.add_argument("--hidden-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument(
        "--updates", type=int, default=600, help="rounded to whole epochs of ours"
    )
    parser.add_argument("--learning-rate", type=float, help="of the rivals")
    parser.add_argument("--scaler-type", default="robust", help="of neuralforecast")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    return parser.parse_args()


def main():
    options = read_options()
    torch.set_num_threads(1)
    task = read_task()
    # Ours counts in epochs; the rivals get exactly as many updates.
    n_batches = -(-(task.split - HORIZON) // options.batch_size)
    options.max_epochs = max(1, round(options.updates / n_batches))
    options.updates = options.max_epochs * n_batches
    print(
        f"{options.cell}, {options.hidden_size} units, {options.updates} updates of "
        f"{options.batch_size} windows, {options.seeds} seeds, "
        f"{len(task.truth)} origins\n"
    )
    silence()
    print_table(measure(task, options), task)


if __name__ == "__main__":
    main()
