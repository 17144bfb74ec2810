"""What the default parameters reach on the shipped data, and what each is worth.

    python tests/benchmarks/bench_defaults.py                    # the defaults
    python tests/benchmarks/bench_defaults.py --set cell=lstm    # one changed
    python tests/benchmarks/bench_defaults.py --table            # each in turn

Weather: RMSE (°F) of the temperature at JFK 1, 6 and 24 hours ahead on the last
30 % of 2013, from 48 hours of six columns, one model a horizon. Vowels:
accuracy on the published test split. All are means over the seeds.
"""

import argparse
import ast
from time import perf_counter

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_rnn import (
    RNNClassifier,
    RNNRegressor,
    SequenceWindower,
    make_forecast_frame,
)
from sklearn_rnn.datasets import load_japanese_vowels, load_nyc_weather

COLUMNS = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure"]
HORIZONS = (1, 6, 24)
# One change at a time; the empty one leaves everything at its default.
CHANGES = [
    {},
    {"linear_skip": False},
    {"linear_skip": False, "target_feature": None},
    {"subtract_last": False},
    {"convolutions": None},
    {"batch_size": 64},
    {"input_dropout": 0.0},
    {"pooling": "last"},
    {"pooling": "max"},
    {"pooling": "mean"},
    {"pooling": "attention"},
    {"cell": "lstm"},
    {"cell": "rnn"},
    {"hidden_size": 32},
    {"hidden_size": 128},
    {"n_layers": 2},
    {"bidirectional": True},
    {"dropout": 0.3},
    {"learning_rate": 1e-3},
    {"lr_schedule": None},
    {"clip_norm": None},
    {"standardize": False},
    {"early_stopping": True},
]


def weather_split(horizon):
    """Return windows and targets of the training and the test block."""
    weather = load_nyc_weather("JFK")[COLUMNS].asfreq("h").interpolate()
    X, Y = make_forecast_frame(weather, target="temp", horizon=horizon)
    # Windowed before the split, every window has its true history.
    windows = SequenceWindower(n_steps=48).fit_transform(X)
    y = Y[f"temp+{horizon}"]  # its name says what it is the future of
    split = int(0.7 * len(weather))
    train, test = slice(0, split - horizon + 1), slice(split, None)
    return windows[train], y.iloc[train], windows[test], y.iloc[test]


def weather_errors(horizon, seeds, params):
    X_train, y_train, X_test, y_test = weather_split(horizon)
    for seed in seeds:
        model = RNNRegressor(random_state=seed, **params)
        predictions = model.fit(X_train, y_train).predict(X_test)
        yield root_mean_squared_error(y_test, predictions)


def vowel_accuracies(seeds, params):
    X_train, y_train = load_japanese_vowels(subset="train", return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    for seed in seeds:
        model = RNNClassifier(random_state=seed, **params)
        yield model.fit(X_train, y_train).score(X_test, y_test)


def print_row(name, results, n_fits, begin):
    seconds = (perf_counter() - begin) / max(1, n_fits)
    cells = [f"{np.mean(r):.3f} ± {np.std(r):.3f}" if r else "" for r in results]
    print(f"| {name} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)


def changes_anything(estimator, params):
    """Tell whether `params` differ from the defaults of this estimator."""
    defaults = estimator().get_params()
    return not params or any(
        k in defaults and defaults[k] != v for k, v in params.items()
    )


def measure(params, seeds):
    begin = perf_counter()
    results = [[], [], [], []]
    if changes_anything(RNNRegressor, params):
        results[:3] = [list(weather_errors(h, seeds, params)) for h in HORIZONS]
    if changes_anything(RNNClassifier, params):
        results[3] = list(vowel_accuracies(seeds, params))
    name = ", ".join(f"{k}={v!r}" for k, v in params.items()) or "the defaults"
    print_row(f"`{name}`", results, sum(map(len, results)), begin)


def print_rivals():
    last, ridge = [], []
    begin = perf_counter()
    for horizon in HORIZONS:
        X_train, y_train, X_test, y_test = weather_split(horizon)
        last.append([root_mean_squared_error(y_test, X_test.last_step()[:, 0])])
        full = X_train.lengths == 48
        lags = [np.asarray(X).reshape(len(X), -1) for X in (X_train[full], X_test)]
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 4, 9)))
        model.fit(lags[0], y_train[full])
        ridge.append([root_mean_squared_error(y_test, model.predict(lags[1]))])
    print_row("last value", [*last, []], 1, begin)
    print_row("ridge on the same lags", [*ridge, []], 1, begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--table", action="store_true", help="change each in turn")
    options = parser.parse_args()
    print("| parameters | 1 h | 6 h | 24 h | vowels | seconds a fit |")
    print("| --- | --- | --- | --- | --- | --- |")
    seeds = range(options.seeds)
    if options.table:
        print_rivals()
        for params in CHANGES:
            measure(params, seeds)
        return
    params = {}
    for change in options.set:
        name, value = change.split("=", 1)
        try:
            params[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            params[name] = value
    measure(params, seeds)


if __name__ == "__main__":
    main()
