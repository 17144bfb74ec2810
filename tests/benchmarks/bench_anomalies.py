"""Anomalies in series with known ones: the detector beside what one tries first.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_anomalies.py
    ... --seeds 3 --contaminated    # anomalies in the rows to fit on, too

Series of 6000 hours, of which the first 3000 are fitted on and the others have 20
anomalies each, four of a kind, at random times:

spike: one hour, 4 to 10 times the noise, up or down
level shift: 12 to 48 hours, by half to all of the series' standard deviation
frozen: 12 to 48 hours repeat the value before
missing season: 12 to 48 hours have the mean of the day around them, with noise
noise: 12 to 48 hours have noise of two to four times its size

"made" has a day with two waves, which a week modulates, and autocorrelated noise. The
others are temperature and dew point of airports, into which the same is put; what is
unusual in the weather itself counts as normal. All hours of an anomaly are to be found.

AP is the average precision. F1 is at the true number of anomalous hours, for all alike.
The columns of kinds are the AP of that kind alone, other anomalies left out. Rivals: a
rolling z-score (by the mean and standard deviation of the 24, 48 or 168 hours before),
and an isolation forest on the 24 or 48 last values. Milliseconds per live row are of
the processor.
"""

import argparse
import warnings
from time import perf_counter, process_time

import numpy as np
import pandas as pd
from machine import print_machine
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, f1_score

from sklearn_rnn import ForecastAnomalyDetector
from sklearn_rnn.datasets import load_nyc_weather

N_ROWS, N_TRAIN, DAY = 6000, 3000, 24
# Rows of a live signal that are timed, after those of a day.
N_LIVE = 300
KINDS = ["spike", "level shift", "frozen", "missing season", "noise"]
SERIES = {"made": None, "temperature": ("JFK", "temp"), "dew point": ("LGA", "dewp")}


def make_series(seed):
    """Return a day of two waves, which a week modulates, and autocorrelated noise."""
    shocks = np.random.default_rng(seed).normal(0, 0.25, N_ROWS)
    noise = pd.Series(shocks).ewm(alpha=0.3, adjust=False).mean() / 0.3
    hours = np.arange(N_ROWS)
    day = np.sin(hours * 2 * np.pi / 24) + 0.5 * np.sin(hours * 2 * np.pi / 12 + 1)
    return 10 + 3 * day * (1 + 0.2 * np.sin(hours * 2 * np.pi / 168)) + noise.to_numpy()


def load_series(name, seed):
    """Return a series of hours without anomalies that are put into it."""
    if SERIES[name] is None:
        return make_series(seed)
    station, column = SERIES[name]
    weather = load_nyc_weather(station)[column].asfreq("h").interpolate()
    return weather.to_numpy()[:N_ROWS]


def add_anomalies(values, n_anomalies, seed, first=0):
    """Return values with anomalies, and the kind of each hour, "" for none."""
    rng = np.random.default_rng(seed)
    changed, kinds = values.copy(), np.full(len(values), "", dtype=object)
    changes = np.diff(values)
    changes = changes[DAY:] - changes[:-DAY]
    noise = 1.4826 * np.median(np.abs(changes)) / np.sqrt(2)
    smooth = pd.Series(values).rolling(DAY, center=True, min_periods=1).mean()
    begins = np.linspace(first + 2 * DAY, len(values) - 3 * DAY, n_anomalies + 1)
    gap = int(begins[1] - begins[0])
    for begin, k in zip(
        begins[:-1].astype(int), rng.permutation(n_anomalies) % len(KINDS), strict=True
    ):
        kind, sign = KINDS[k], rng.choice([-1, 1])
        begin += rng.integers(0, max(1, gap - 3 * DAY))
        length = 1 if kind == "spike" else rng.integers(DAY // 2, 2 * DAY)
        rows, draws = slice(begin, begin + length), rng.normal(0, noise, length)
        if kind == "spike":
            changed[rows] += sign * rng.uniform(4, 10) * noise
        elif kind == "level shift":
            changed[rows] += sign * rng.uniform(0.5, 1) * values.std()
        elif kind == "frozen":
            changed[rows] = changed[begin - 1]
        elif kind == "missing season":
            changed[rows] = smooth[rows] + draws
        else:
            changed[rows] += rng.uniform(2, 4) * draws
        kinds[rows] = kind
    return changed, kinds


def detector_scores(table, **options):
    """Return scores of all rows, the higher the more unusual, and how long it took."""
    begin = perf_counter()
    detector = ForecastAnomalyDetector(random_state=0, **options).fit(table[:N_TRAIN])
    fitted = perf_counter()
    scores = -detector.score_samples(table[N_TRAIN:])
    scored = perf_counter()
    live, rows = detector.stream(table[:N_TRAIN]), table.to_numpy()[N_TRAIN:]
    for row in rows[:DAY]:
        live.score(row)
    ready = process_time()
    for row in rows[DAY : DAY + N_LIVE]:
        live.score(row)
    per_row = 1000 * (process_time() - ready) / N_LIVE
    times = {"fit (s)": fitted - begin, "score (s)": scored - fitted}
    return scores, {**times, "live row (ms)": per_row}


def z_scores(values, n):
    """Return distances from the mean of the hours before, in standard deviations."""
    before = pd.Series(values).rolling(n)
    mean, spread = before.mean().shift(), before.std().shift()
    return np.nan_to_num((np.abs(values - mean) / (spread + 1e-9)).to_numpy())[N_TRAIN:]


def forest_scores(values, n):
    """Return scores of an isolation forest on the last values."""
    lags = np.lib.stride_tricks.sliding_window_view(values, n)
    forest = IsolationForest(random_state=0).fit(lags[: N_TRAIN - n + 1])
    return -forest.score_samples(lags[N_TRAIN - n + 1 :])


def evaluate(scores, kinds):
    """Return average precision and F1, and average precision by kind."""
    is_anomaly = kinds != ""
    threshold = np.sort(scores)[-is_anomaly.sum()]
    found = {
        "AP": average_precision_score(is_anomaly, scores),
        "F1": f1_score(is_anomaly, scores >= threshold),
    }
    for kind in KINDS:
        chosen = ~is_anomaly | (kinds == kind)
        found[kind] = average_precision_score(is_anomaly[chosen], scores[chosen])
    return found


def run(name, seed, contaminated, repair_too):
    values = load_series(name, seed)
    changed, kinds = add_anomalies(values, 20, seed, first=N_TRAIN)
    if contaminated:
        changed[:N_TRAIN] = add_anomalies(values[:N_TRAIN], 10, seed + 100)[0]
    hours = pd.date_range("2025-01-01", periods=N_ROWS, freq="h")
    table, kinds = pd.DataFrame({"value": changed}, index=hours), kinds[N_TRAIN:]
    rows = []
    for title, options in {"detector": {}, "repair=False": {"repair": False}}.items():
        if title == "detector" or repair_too:
            scores, times = detector_scores(table, **options)
            rows.append({"model": title, **evaluate(scores, kinds), **times})
    for n in (24, 48, 168):
        title = f"z-score of {n} hours"
        rows.append({"model": title, **evaluate(z_scores(changed, n), kinds)})
    for n in (24, 48):
        title = f"forest of {n} hours"
        rows.append({"model": title, **evaluate(forest_scores(changed, n), kinds)})
    return [{"series": name, **row} for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--series", nargs="+", choices=list(SERIES), default=[*SERIES])
    parser.add_argument("--contaminated", action="store_true")
    parser.add_argument("--repair-too", action="store_true", help="without it as well")
    options = parser.parse_args()
    print_machine()
    warnings.simplefilter("ignore")
    for name in options.series:
        rows = []
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            rows += run(name, seed, options.contaminated, options.repair_too)
        table = pd.DataFrame(rows).groupby(["series", "model"], sort=False)
        print(table.mean(numeric_only=True).round(2).to_string(), flush=True)


if __name__ == "__main__":
    main()
