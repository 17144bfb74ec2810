# %% [markdown]
"""Forecast the sales of twelve shops, under one plan of promotions and another.

The shops are simulated: 300 days of sales with a weekly season and a slow drift, and
promotions of five kinds, which do much in a mall and little in the city. Kind of
promotion, kind of shop and its name are columns of strings, which the network reads
as categories: it learns a vector for each. Promotions are planned, so that those of
the week to come are known when it is forecast.

Compared are, on the last ten weeks, forecasts with and without these columns and the
seasonal naive forecast. Then the week after the last one is forecast twice: without
any promotion, and with half the price in every shop.

    python examples/shop_promotions.py

It takes about half a minute. Options: ``--epochs 5`` instead of "auto".
"""

# %%
import argparse
import sys

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNRegressor,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
    score_forecasts,
)

# What a promotion adds to the sales of a village's shop, and how much more or less
# it does elsewhere.
EFFECTS = {"half price": 2.0, "gift": -0.5, "coupon": 0.8, "flyer": 0.3, "bundle": 1.4}
SENSITIVITIES = {"city": 0.3, "village": 1.0, "mall": 2.0}
N_SHOPS, N_DAYS = 12, 300
N_STEPS, HORIZON, N_TEST = 21, 7, 70  # days
NAMES = {"time": "date", "group_by": "shop"}
TASK = {"target": "sales", "horizon": HORIZON, **NAMES}


# %% [markdown]
# ## The shops
#
# Sales are made here: a weekly pattern, and promotions whose effect depends on the
# kind of shop.


# %%
def draw_promotions(rng):
    """Return the promotion of each day, which lasts some days, or None."""
    promotions = []
    while len(promotions) < N_DAYS:
        kind = rng.choice(list(EFFECTS)) if rng.random() < 0.4 else None
        promotions += [kind] * rng.integers(1, 5)
    return promotions[:N_DAYS]


def draw_shop(name, rng):
    """Return a table of one shop, a row per day."""
    kind, promotions = rng.choice(list(SENSITIVITIES)), draw_promotions(rng)
    season = 1.5 * np.sin(2 * np.pi * (np.arange(N_DAYS) + rng.integers(7)) / 7)
    drift = np.zeros(N_DAYS)
    for day in range(1, N_DAYS):
        drift[day] = 0.8 * drift[day - 1] + 0.4 * rng.normal()
    effect = np.array([EFFECTS.get(promotion, 0.0) for promotion in promotions])
    noise = 0.3 * rng.normal(size=N_DAYS)
    level = rng.normal(10, 2) + season + drift + noise
    return pd.DataFrame(
        {
            "date": pd.date_range("2023-01-01", periods=N_DAYS),
            "shop": name,
            "sales": level + SENSITIVITIES[kind] * effect,
            "promotion": promotions,
            "kind": kind,
            "name": name,  # group_by takes the column of the series out
        }
    )


def draw_shops(seed=0):
    """Return the table of all shops, day by day."""
    rng = np.random.default_rng(seed)
    shops = [draw_shop(f"shop {i}", rng) for i in range(N_SHOPS)]
    return pd.concat(shops).sort_values(["date", "shop"], ignore_index=True)


# %% [markdown]
# ## The model and the test
#
# Three weeks of history. Categories are columns like others, and promotions of the
# coming week are known.


# %%
def make_model(max_epochs):
    """Return a pipeline that reads three weeks, categories and all."""
    return make_pipeline(
        SequenceWindower(N_STEPS),
        RNNRegressor(target_feature="auto", max_epochs=max_epochs, random_state=0),
    )


def compare(model, table):
    """Return mean absolute errors by days ahead, a column per model."""
    cv = TimeBlockSplit(1, test_size=N_TEST, gap=HORIZON - 1)
    numbers = table.drop(columns=["promotion", "kind", "name"])
    without = score_forecasts(backtest(model, numbers, cv=cv, season=7, **TASK))
    frame = backtest(model, table, known="promotion", cv=cv, season=7, **TASK)
    scores = score_forecasts(frame)
    return pd.DataFrame(
        {
            "seasonal naive": scores["naive_mae"],
            "without categories": without["mae"],
            "with categories": scores["mae"],
        }
    )


# %% [markdown]
# ## Two plans for the coming week


# %%
def plan(table, promotion):
    """Return the promotion of each shop in the week to come."""
    days = pd.date_range(table["date"].max(), periods=HORIZON + 1)[1:]
    future = pd.MultiIndex.from_product([days, table["shop"].unique()])
    future = future.to_frame(index=False, name=["date", "shop"])
    return future.assign(promotion=promotion)


def forecast_plans(model, table):
    """Return the mean daily sales of the week to come, by kind of shop and plan."""
    X, Y = make_forecast_frame(table, known="promotion", **TASK)
    model.fit(X, Y)
    kinds = table.drop_duplicates("shop").set_index("shop")["kind"]
    plans = {}
    for name, promotion in {"none": None, "half price": "half price"}.items():
        frame = forecast(model, table, future=plan(table, promotion))
        plans[name] = frame.groupby(frame["shop"].map(kinds))["prediction"].mean()
    sales = pd.DataFrame(plans).rename_axis("kind")
    return sales.assign(difference=sales["half price"] - sales["none"])


def read_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, help="instead of 'auto'")
    return parser.parse_args(argv)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(argv=None):
    """Print errors and the two forecasts, and return both tables."""
    arguments = read_arguments(argv)
    table, model = draw_shops(), make_model(arguments.epochs or "auto")
    errors = compare(model, table)
    print("Mean absolute error by days ahead, in the last ten weeks:\n")
    print(errors.round(2).to_string())
    plans = forecast_plans(model, table)
    print("\nSales per day in the week to come, by plan of promotions:\n")
    print(plans.round(1).to_string())
    return {"errors": errors, "plans": plans}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
