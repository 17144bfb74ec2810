# %% [markdown]
"""Forecast the coming week of twelve shops, from a table with gaps to a saved model.

The shops are simulated: two years of daily sales with a weekly season, promotions that
are planned ahead, and holidays, on which few people come. One day in twenty is missing.
One model for all shops forecasts seven days with intervals of 80 %, which are
calibrated on older forecasts. It is compared on four blocks of four weeks with the
seasonal naive forecast, and with boosted trees on lags, which read the same plan and
calendar. Then the model is fitted on all rows, saved and loaded, and forecasts the week
to come; a week later, the next one from the newest rows alone.

    python examples/shop_week.py

It takes about half a minute. Options: ``--epochs 5`` instead of "auto"; and
``--picture FILE``.
"""

# %%
import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    ConformalCalibrator,
    ForecastDisplay,
    RNNRegressor,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
)
from sklearn_rnn.persistence import load_model, save_model

N_SHOPS, N_DAYS = 12, 730
HORIZON, N_STEPS = 7, 28  # days ahead, days of history
N_BLOCKS, BLOCK = 4, "28D"
HOLIDAYS = pd.DatetimeIndex(
    f"{year}-{day}"
    for year in (2024, 2025, 2026)
    for day in ("01-01", "05-01", "08-15", "10-03", "11-01", "12-25", "12-26")
)
# What every function takes from the table itself.
NAMES = {"time": "date", "group_by": "shop", "missing": "mask"}
TASK = {"target": "sales", "horizon": HORIZON, "known": "promo", **NAMES}


# %% [markdown]
# ## The shops, and the plan
#
# The plan has a row for every shop and day, also for days to come. Sales are joined to
# it: days without sales are then rows with NaN, and all shops end on the same day.


# %%
def draw_plan(rng):
    """Return which shop has a promotion on which day, two weeks ahead included."""
    days = pd.date_range("2024-01-01", periods=N_DAYS + 2 * HORIZON)
    shops = [f"shop {i}" for i in range(N_SHOPS)]
    grid = pd.MultiIndex.from_product([shops, days], names=["shop", "date"])
    plan = grid.to_frame(index=False)
    starts = (rng.random((N_SHOPS, len(days))) < 0.06).astype(float)
    lasts = [np.convolve(row, np.ones(3))[: len(days)] for row in starts]
    return plan.assign(promo=np.minimum(np.concatenate(lasts), 1.0))


def draw_sales(plan, rng):
    """Return the sales of the days of a plan."""
    shop = plan["shop"].astype("category").cat.codes.to_numpy()
    size, weekend = rng.lognormal(4, 0.7, N_SHOPS), rng.uniform(0.2, 0.6, N_SHOPS)
    promotion = rng.uniform(0.3, 0.9, N_SHOPS)
    year = 2 * np.pi * plan["date"].dt.day_of_year / 365.25
    mean = (
        size[shop]
        * (1 + weekend[shop] * (plan["date"].dt.day_of_week >= 5))
        * (1 + promotion[shop] * plan["promo"])
        * (1 + 0.2 * np.sin(year))
        * np.where(plan["date"].isin(HOLIDAYS), 0.3, 1.0)
    )
    return rng.negative_binomial(20, 20 / (20 + mean)).astype(float)


def draw_table(seed=0):
    """Return what is known after two years, the plan, and sales of all its days."""
    rng = np.random.default_rng(seed)
    plan = draw_plan(rng)
    truth = plan.assign(sales=draw_sales(plan, rng))
    is_known = truth["date"] < truth["date"].min() + pd.Timedelta(days=N_DAYS)
    is_seen = is_known & (rng.random(len(truth)) > 0.05)
    table = truth[is_seen].drop(columns="promo")  # as a till writes it, with gaps
    table = plan[is_known].merge(table, how="left")  # a row per shop and day
    return table, plan[~is_known], truth


# %% [markdown]
# ## The model
#
# Four weeks of history, the plan of the days to come, their weekdays and holidays.


# %%
def make_model(max_epochs):
    """Return a pipeline from the table to a distribution of each coming day."""
    ahead = range(HORIZON + 1)
    return make_pipeline(
        CalendarFeatures(["dayofweek"], time="date", ahead=ahead, holidays=HOLIDAYS),
        SequenceWindower(N_STEPS),
        RNNRegressor(
            loss="negative_binomial",  # of counts; no forecast is below 0
            quantiles=(0.1, 0.5, 0.9),
            max_epochs=max_epochs,
            random_state=0,
        ),
    )


# %% [markdown]
# ## Boosted trees on lags
#
# A row per shop, origin and day ahead: the last four weeks in units of their mean, and
# plan, weekday and holiday of the day that is forecast. Trees take NaN as they are.


# %%
def tree_rows(table, plan, rows):
    """Return what trees read of forecasts (shop, origin, horizon), and its unit."""
    wide = table.pivot(index="date", columns="shop", values="sales")
    shops = wide.columns.get_indexer(rows["shop"])
    origins = wide.index.get_indexer(rows["origin"])
    lags = wide.to_numpy()[origins[:, np.newaxis] - np.arange(N_STEPS), shops[:, None]]
    unit = np.nanmean(lags, axis=1)
    day = rows["origin"] + pd.to_timedelta(rows["horizon"], unit="D")
    promo = plan.set_index(["shop", "date"])["promo"]
    calendar = np.column_stack(
        [
            promo.loc[list(zip(rows["shop"], day, strict=True))],
            day.dt.day_of_week,
            day.isin(HOLIDAYS),
            rows["horizon"],
            shops,
        ]
    )
    return np.column_stack([lags / unit[:, np.newaxis], calendar]), unit


def forecast_by_trees(table, plan, past):
    """Return forecasts of the rows of a backtest, of trees fitted as the model was."""
    found = pd.Series(index=past.index, dtype=float)
    days = pd.Series(table["date"].unique())
    for _, block in past.groupby("fold"):
        before = days[(days >= days[N_STEPS]) & (days < block["origin"].min())]
        before = before[: -HORIZON or None]  # their targets are known by then
        rows = pd.MultiIndex.from_product(
            [table["shop"].unique(), before, range(1, HORIZON + 1)],
            names=["shop", "origin", "horizon"],
        ).to_frame(index=False)
        rows["date"] = rows["origin"] + pd.to_timedelta(rows["horizon"], unit="D")
        rows = rows.merge(table[["shop", "date", "sales"]]).dropna()
        X, unit = tree_rows(table, plan, rows)
        trees = HistGradientBoostingRegressor(loss="absolute_error", random_state=0)
        trees.fit(X, rows["sales"] / unit)
        X, unit = tree_rows(table, plan, block)
        found[block.index] = trees.predict(X) * unit
    return found


# %% [markdown]
# ## The backtest
#
# Intervals are calibrated on all blocks but the last, and tested on that one.


# %%
def compare(model, table, plan):
    """Return errors by days ahead, coverage, and the forecasts of the backtest."""
    cv = TimeBlockSplit(N_BLOCKS, test_size=BLOCK, gap=HORIZON - 1)
    past = backtest(model, table, cv=cv, season=7, **TASK)
    past = past.dropna(subset=["truth"])  # days without sales
    past["trees"] = forecast_by_trees(table, plan, past)
    names = {
        "naive": "seasonal naive",
        "trees": "boosted trees",
        "q0.5": "RNNRegressor",  # medians, as those of the trees
    }
    errors = past[list(names)].sub(past["truth"], axis=0).abs().rename(columns=names)
    errors = errors.groupby(past["horizon"]).mean()
    is_last = past["fold"] == past["fold"].max()
    calibrator = ConformalCalibrator().fit(past[~is_last])
    forecasts = {
        "as predicted": past[is_last],
        "calibrated": calibrator.transform(past[is_last]),
    }
    coverage = {
        name: frame["truth"].between(frame["q0.1"], frame["q0.9"]).mean()
        for name, frame in forecasts.items()
    }
    return errors, pd.Series(coverage), past


# %% [markdown]
# ## The week to come, and the next one


# %%
def forecast_weeks(model, past, table, plan, truth, folder):
    """Fit on all rows, save, load; return two weeks of calibrated forecasts."""
    X, Y = make_forecast_frame(table, **TASK)
    save_model(model.fit(X, Y), folder / "shops.safetensors")
    save_model(ConformalCalibrator().fit(past), folder / "intervals.safetensors")

    model = load_model(folder / "shops.safetensors")
    calibrator = load_model(folder / "intervals.safetensors")
    weeks = [calibrator.transform(forecast(model, table, future=plan))]
    # A week later there are seven days more; the newest four weeks are enough.
    first = table["date"].max() - pd.Timedelta(days=N_STEPS - HORIZON - 1)
    last = table["date"].max() + pd.Timedelta(days=HORIZON)
    newest = truth[truth["date"].between(first, last)]
    weeks.append(calibrator.transform(forecast(model, newest, future=plan)))
    return pd.concat(weeks).rename_axis("date").reset_index()


def draw(weeks, table, path):
    """Draw four weeks and the forecast of the next one, for three shops."""
    shown = ["shop 0", "shop 1", "shop 2"]
    week = weeks[weeks["shop"].isin(shown)]
    week = week[week["date"] <= week["date"].min() + pd.Timedelta(days=HORIZON - 1)]
    history = table[table["shop"].isin(shown)]
    history = history[history["date"] > history["date"].max() - pd.Timedelta(days=28)]
    display = ForecastDisplay.from_predictions(
        week.set_index("date"), history=history, target="sales", time="date"
    )
    display.figure_.savefig(path, dpi=120)
    print(f"\nPicture of three shops: {path}")


def read_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, help="instead of 'auto'")
    parser.add_argument("--picture", default="shop_week.png", help="where it goes")
    return parser.parse_args(argv)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(argv=None):
    """Print errors, coverage and the coming week, and return the tables."""
    arguments = read_arguments(argv)
    table, plan, truth = draw_table()
    print(f"{len(table)} rows, of which {table['sales'].isna().sum()} without sales")
    model = make_model(arguments.epochs or "auto")
    whole_plan = truth[["shop", "date", "promo"]]
    errors, coverage, past = compare(model, table, whole_plan)
    print("\nMean absolute error by days ahead, in four blocks of four weeks:\n")
    print(errors.round(2).to_string())
    print(f"\nall: {errors.mean().round(2).to_dict()}")
    print(f"80 % intervals hold, in the last block: {coverage.round(3).to_dict()}")
    with tempfile.TemporaryDirectory() as folder:
        weeks = forecast_weeks(model, past, table, plan, truth, Path(folder))
    print("\nThe first shop, in the week to come and the one after:\n")
    first = weeks[weeks["shop"] == "shop 0"].drop(columns=["shop", "origin"])
    print(first.to_string(index=False, float_format="%.1f"))
    draw(weeks, table, arguments.picture)
    return {"errors": errors, "coverage": coverage, "weeks": weeks, "truth": truth}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
