"""Likelihoods against quantile loss: CRPS, and how much intervals cover.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_likelihoods.py
    ... --data FOLDER       # and the series of FOLDER/series
    ... --held-out          # others, that no default was chosen on

Simulated: 1000 sequences to learn from and 2000 to predict, whose targets are drawn
from a distribution of each family, with parameters that depend on the sequence. "truth"
predicts these parameters. Series: the last 30 % of the times, at the horizons of
quality_cases.py.

CRPS is estimated from 21 quantiles, which the quantile loss learns, divided by that
of the quantile loss; of series it is the geometric mean over horizons. Coverage of 80 %
and 95 % intervals is in per cent. Of counts, which have ties, intervals that are right
cover more. Means over seeds.
"""

import argparse
import warnings
from time import process_time

import numpy as np
import pandas as pd
from machine import print_machine
from quality_cases import FORECAST_CASES, load_forecast
from scipy import stats

from sklearn_rnn import RNNRegressor
from sklearn_rnn.metrics import crps_from_quantiles

LEVELS = np.array([0.025, 0.05, *np.arange(2, 19) / 20, 0.95, 0.975])
INTERVALS = {"80 %": (0.1, 0.9), "95 %": (0.025, 0.975)}
N_TRAIN, N_TEST = 1000, 2000
REAL, COUNTS = ["gaussian", "student_t"], ["poisson", "negative_binomial"]
SERIES = {
    False: ["hyndsight", "Seatbelts", "a10"],
    True: ["wineind", "h02", "debitcards"],
}
OF_COUNTS = {"hyndsight", "Seatbelts", "wineind"}


# Simulated targets


def draw_sequences(seed):
    """Return sequences, and two numbers of each in a range of about -2 to 2."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_TRAIN + N_TEST, 10, 2))
    decay = 0.7 ** np.arange(10)[::-1]
    return X, X[:, :, 0] @ decay / 1.4, X[:, -3:, 1].mean(axis=1) * 1.7, rng


def gaussian(a, b):
    return stats.norm(a + 0.3 * a**2, np.exp(0.5 * b - 1))


def student_t(a, b):
    return stats.t(3, a + 0.3 * a**2, np.exp(0.5 * b - 1))


def poisson(a, b):
    return stats.poisson(np.exp(0.7 + 0.5 * a + 0.2 * b))


def negative_binomial(a, b):
    mean, dispersion = np.exp(2.5 + 0.5 * a), np.exp(0.5 * b - 1)
    return stats.nbinom(1 / dispersion, 1 / (1 + mean * dispersion))


FAMILIES = {f.__name__: f for f in (gaussian, student_t, poisson, negative_binomial)}


def simulate(name, seed):
    """Return sequences, targets, and the true quantiles of the last 2000."""
    X, a, b, rng = draw_sequences(seed)
    distribution = FAMILIES[name](a, b)
    y = distribution.rvs(random_state=rng)
    truth = np.stack([distribution.ppf(level) for level in LEVELS], axis=-1)
    return X, y, truth[N_TRAIN:]


# Scores


def score(y, quantiles):
    """Return CRPS, and the coverage of each interval in per cent."""
    found = {"CRPS": crps_from_quantiles(y, quantiles, LEVELS)}
    for name, (low, high) in INTERVALS.items():
        low, high = (quantiles[..., np.searchsorted(LEVELS, q)] for q in (low, high))
        found[name] = 100 * np.mean((low <= y) & (y <= high))
    return found


def fit_and_score(data, loss, seed, **options):
    X, y, X_test, y_test = data
    model = RNNRegressor(
        loss=loss, quantiles=LEVELS, random_state=seed, n_threads=1, **options
    )
    begin = process_time()
    model.fit(X, y)
    seconds = process_time() - begin
    quantiles = model.predict_quantiles(X_test)
    if y_test.ndim == 1:
        return {**score(y_test, quantiles), "seconds": seconds}
    rows = [score(y_test[:, j], quantiles[:, j]) for j in range(y_test.shape[1])]
    rows = pd.DataFrame(rows)
    geometric = np.exp(np.log(rows["CRPS"]).mean())
    return {**rows.mean(), "CRPS": geometric, "seconds": seconds}


def show(title, rows):
    """Print the means over seeds, the CRPS relative to that of the quantile loss."""
    table = pd.DataFrame(rows).groupby(["model", "linear"], sort=False)
    table = table.mean(numeric_only=True)
    table["CRPS"] /= table.loc[("quantile", "auto"), "CRPS"]
    print(f"\n{title}")
    text = {"CRPS": "{:.3f}", "80 %": "{:.1f}", "95 %": "{:.1f}", "seconds": "{:.1f}"}
    print(table.to_string(formatters={k: v.format for k, v in text.items()}))


def run_simulated(seeds, linear):
    for name in FAMILIES:
        rows = []
        for seed in seeds:
            X, y, truth = simulate(name, seed)
            data = X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:]
            rows.append({"model": "truth", "linear": "", **score(data[3], truth)})
            losses = REAL + (COUNTS if name in COUNTS else [])
            for loss in ["quantile", *losses]:
                for skip in linear:
                    found = fit_and_score(data, loss, seed, linear_skip=skip)
                    rows.append({"model": loss, "linear": str(skip), **found})
        show(f"simulated: {name}", rows)


def run_series(name, folder, seeds, linear):
    [case] = [case for case in FORECAST_CASES if case.name == name]
    found = load_forecast(case, folder)
    data = (
        *(found.X_train, found.Y_train.to_numpy()),
        *(found.X_test, found.Y_test.to_numpy()),
    )
    rows = []
    losses = REAL + (COUNTS if name in OF_COUNTS else [])
    for seed in seeds:
        for loss in ["quantile", *losses]:
            for skip in linear:
                options = {"linear_skip": skip, "target_feature": found.target_columns}
                scores = fit_and_score(data, loss, seed, **options)
                rows.append({"model": loss, "linear": str(skip), **scores})
    show(f"{name}: {len(data[0])} windows, {data[1].shape[1]} horizons", rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="FOLDER")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="and networks alone")
    options = parser.parse_args()
    print_machine()
    warnings.simplefilter("ignore")
    seeds, linear = range(options.seeds), ["auto", False][: 1 + options.alone]
    if not options.held_out:
        run_simulated(seeds, linear)
    if options.data is not None:
        for name in SERIES[options.held_out]:
            run_series(name, options.data, seeds, linear)


if __name__ == "__main__":
    main()
