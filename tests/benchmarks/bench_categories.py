"""What categorical columns bring: embedded, as numbers, one-hot, or left out.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_categories.py
    ... --data FOLDER       # and the weather in seattle_weather.csv

Shops: daily sales of twelve made-up shops, 300 days, a week ahead; promotions of
five kinds are known in advance, and work as the kind of shop lets them. Mean
absolute error over the last 70 days. The rival is HistGradientBoostingRegressor with
its own categorical support, a model per day ahead, on the last three weeks of sales
and the same categories of today and the days to come.

Seattle: the highest temperature of the next three days (mean absolute error, °C, from
28 days) and tomorrow's weather of five kinds (accuracy, from 14 days), of the last
year, from the years before; its categorical column is today's weather.

Defaults, means over three seeds, and seconds per fit.
"""

import argparse
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNClassifier,
    RNNRegressor,
    SequenceWindower,
    make_forecast_frame,
)

KINDS = np.array(["none", "half price", "gift", "coupon", "flyer", "bundle"])
EFFECTS = np.array([0.0, 2.0, -0.5, 0.8, 0.3, 1.4])
TYPES, SENSITIVITIES = np.array(["city", "village", "mall"]), np.array([0.3, 1.0, 2.0])
N_SHOPS, N_DAYS, N_TEST, HORIZON, N_STEPS = 12, 300, 70, 7, 21
CATEGORIES = ["promotion", "type", "shop_id"]
SEEDS = range(3)


def draw_promotions(rng):
    promotion, day = np.zeros(N_DAYS, dtype=int), 0
    while day < N_DAYS:
        n_days = rng.integers(1, 5)
        if rng.random() < 0.4:
            promotion[day : day + n_days] = rng.integers(1, len(KINDS))
        day += n_days
    return promotion


def draw_shop(name, rng):
    kind, promotion = rng.integers(len(TYPES)), draw_promotions(rng)
    season = 1.5 * np.sin(2 * np.pi * (np.arange(N_DAYS) + rng.integers(7)) / 7)
    drift = np.zeros(N_DAYS)
    for day in range(1, N_DAYS):
        drift[day] = 0.8 * drift[day - 1] + 0.4 * rng.normal()
    effect = SENSITIVITIES[kind] * EFFECTS[promotion]
    noise = 0.3 * rng.normal(size=N_DAYS)
    return pd.DataFrame(
        {
            "date": pd.date_range("2023-01-01", periods=N_DAYS),
            "shop": name,
            "sales": rng.normal(10, 2) + season + effect + drift + noise,
            "promotion": KINDS[promotion],
            "type": TYPES[kind],
            "shop_id": name,
        }
    )


def draw_shops(seed):
    rng = np.random.default_rng(seed)
    shops = [draw_shop(f"shop {i}", rng) for i in range(N_SHOPS)]
    return pd.concat(shops).sort_values(["date", "shop"], ignore_index=True)


def as_codes(table, columns):
    codes = {name: table[name].astype("category").cat.codes for name in columns}
    return table.assign(**codes)


def variants(table, columns):
    return {
        "left out": table.drop(columns=columns),
        "codes as numbers": as_codes(table, columns),
        "one-hot": pd.get_dummies(table, columns=columns, dtype=float),
        "embedded": table,
    }


def score_shops(table, seed):
    known = [name for name in table if name.startswith("promotion")]
    X, Y = make_forecast_frame(
        table, "sales", HORIZON, known=known, time="date", group_by="shop"
    )
    is_test, is_train = split_shops(X)
    model = make_pipeline(
        SequenceWindower(N_STEPS, time="date", group_by="shop"),
        RNNRegressor(target_feature="sales", random_state=seed),
    )
    begin = perf_counter()
    model.fit(X[is_train], Y[is_train])
    seconds = perf_counter() - begin
    return np.abs(model.predict(X[is_test]) - Y[is_test]).to_numpy().mean(), seconds


def split_shops(X):
    cut = X["date"].min() + pd.Timedelta(days=N_DAYS - N_TEST)
    return X["date"] >= cut, X["date"] < cut - pd.Timedelta(days=HORIZON)


def score_trees(table, seed):
    X, Y = make_forecast_frame(
        table, "sales", HORIZON, known="promotion", time="date", group_by="shop"
    )
    is_test, is_train = split_shops(X)
    by_shop = X.groupby("shop")["sales"]
    lags = {f"lag {k}": by_shop.shift(k) for k in range(1, N_STEPS)}
    names = [name for name in X if name.startswith("promotion")]
    types = dict.fromkeys([*names, *CATEGORIES[1:]], "category")
    features = X.drop(columns=["date", "shop"]).astype(types).assign(**lags)
    errors, begin = [], perf_counter()
    for name in Y:
        trees = HistGradientBoostingRegressor(random_state=seed)
        trees.fit(features[is_train], Y.loc[is_train, name])
        errors.append(np.abs(trees.predict(features[is_test]) - Y.loc[is_test, name]))
    return np.mean(errors), perf_counter() - begin


def score_temperature(table, seed):
    X, Y = make_forecast_frame(table, "temp_max", 3)
    model = make_pipeline(
        SequenceWindower(28), RNNRegressor(target_feature="temp_max", random_state=seed)
    )
    begin = perf_counter()
    model.fit(X[:-365], Y[:-365])
    seconds = perf_counter() - begin
    return np.abs(model.predict(X[-365:]) - Y[-365:]).to_numpy().mean(), seconds


def score_weather(table, tomorrow, seed):
    model = make_pipeline(SequenceWindower(14), RNNClassifier(random_state=seed))
    begin = perf_counter()
    model.fit(table[:-365], tomorrow[:-365])
    seconds = perf_counter() - begin
    return model.score(table[-365:], tomorrow[-365:]), seconds


def report(title, outcomes):
    print(f"\n{title}")
    for name, scores in outcomes.items():
        values, seconds = np.transpose(scores)
        each = " ".join(f"{value:.3f}" for value in values)
        print(f"{name:18}{values.mean():8.3f}  ({each}) {seconds.mean():6.1f} s")


def compare_shops():
    outcomes = {}
    for seed in SEEDS:
        shops = draw_shops(seed)
        for name, table in variants(shops, CATEGORIES).items():
            outcomes.setdefault(name, []).append(score_shops(table, seed))
        outcomes.setdefault("boosted trees", []).append(score_trees(shops, seed))
    report("Shops: mean absolute error", outcomes)


def compare_seattle(folder):
    table = pd.read_csv(folder / "seattle_weather.csv", index_col="date")
    table.index = pd.to_datetime(table.index)
    tables = variants(table, ["weather"])
    report(
        "Seattle: mean absolute error of the temperature, °C",
        {n: [score_temperature(t, seed) for seed in SEEDS] for n, t in tables.items()},
    )
    tomorrow = table["weather"].shift(-1)[:-1]
    report(
        "Seattle: accuracy of tomorrow's weather",
        {
            name: [score_weather(table[:-1], tomorrow, seed) for seed in SEEDS]
            for name, table in tables.items()
        },
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of seattle_weather.csv")
    folder = parser.parse_args().data
    warnings.simplefilter("ignore")
    compare_shops()
    if folder is not None:
        compare_seattle(folder)


if __name__ == "__main__":
    main()
