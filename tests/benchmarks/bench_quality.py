"""Errors of the default parameters beside what one tries first, on many data sets.

    python tests/benchmarks/bench_quality.py                     # what ships
    python tests/benchmarks/bench_quality.py --data FOLDER       # everything
    python tests/benchmarks/bench_quality.py --cases a10 gas --seeds 3
    python tests/benchmarks/bench_quality.py --task forecast --set early_stopping=True
    python tests/benchmarks/bench_quality.py --task text --seeds 3 --data FOLDER
    python tests/benchmarks/bench_quality.py --task sound --half development
    python tests/benchmarks/bench_quality.py --segment-rows 84 --data FOLDER

Forecasts: one model per table forecasts three horizons, from windows of all columns;
the last 30 % of the times are the test block. Rivals see the same windows, flattened.
Printed are the mean absolute error, and its ratio, and that of the RMSE, to the best
of ridge, boosted trees, last value and seasonal naive. Errors of several series or
targets are divided by each one's mean change from row to row in training, so that
all count alike. Classifications: accuracy, on published splits or in folds. Texts: the
README's recipe, with as many epochs as by default, beside TF-IDF and logistic
regression. Sounds: an estimator with default parameters on 20 MFCC, and the README's
recipe, as it is and with ``normalize="mean"``, beside classifiers of mean and deviation
of librosa's MFCC. The cases, and which half each is in, are listed
in quality_cases.py and quality_sets.py; ``--cache FILE`` keeps what the rivals reached.
"""

import argparse
import ast
import warnings
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from time import perf_counter

import numpy as np
from machine import add_instruction_set_option, print_machine, use_instruction_set
from quality_cases import FORECAST_CASES, cut_segments, load_forecast
from quality_rivals import (
    CLASSIFY_RIVALS,
    COMPARED,
    FORECAST_RIVALS,
    SOUND_RIVALS,
    TEXT_RIVALS,
    Cache,
    compile_rivals,
    make_sound_rivals,
    suits_ets,
    version_of,
)
from quality_sets import CLASSIFY_CASES, SOUND_CASES, TEXT_CASES
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    LogMelSpectrogram,
    RNNClassifier,
    RNNRegressor,
    SequenceScaler,
    SequenceTokenizer,
)

# What a user gets who gives nothing else, and what the README recommends.
DEFAULT = {}
README = {"target_feature": "auto", "subtract_last": True}
README_SMALL = README | {"max_epochs": 300}  # for tables of fewer than 300 rows
SMALL_TABLE = 300
README_TEXT = {"embedding_dim": 32, "bidirectional": True}
README_SOUND = {
    "bidirectional": True,
    "pooling": "attention",
    "class_weight": "balanced",
}


@dataclass
class Result:
    """What one method reached: an error per horizon, or an accuracy."""

    seconds: float
    mae: list[float] = field(default_factory=list)
    rmse: list[float] = field(default_factory=list)
    accuracy: float = np.nan


# Forecasts.


def forecast_errors(case, data, predictions, seconds):
    """Return the errors of predictions by horizon, all series and targets alike."""
    n_horizons = len(case.horizons)
    errors = (predictions - data.Y_test.to_numpy()).reshape(-1, n_horizons)
    scales = np.repeat(1.0, len(errors))
    if case.group_by is not None or len(case.targets) > 1:
        scales = row_scales(case, data).ravel()
    errors = errors / scales[:, None]
    mae, rmse = np.abs(errors).mean(axis=0), np.sqrt((errors**2).mean(axis=0))
    return Result(seconds, mae.tolist(), rmse.tolist())


def row_scales(case, data):
    """Return the mean change from row to row of each test row's series, by target."""
    last = data.X_train.last_step()[:, data.target_columns]
    scales = np.ones((len(data.X_test), len(case.targets)))
    for series in np.unique(data.series_test):
        own = last[data.series_train == series]
        change = np.abs(np.diff(own, axis=0)).mean(axis=0)
        scales[data.series_test == series] = change
    return scales


def fit_and_forecast(data, params, seeds):
    """Yield predictions, and seconds of the fit, per seed."""
    for seed in seeds:
        model = RNNRegressor(random_state=seed, **params)
        begin = perf_counter()
        model.fit(data.X_train, data.Y_train)
        seconds = perf_counter() - begin
        yield model.predict(data.X_test), seconds


def mean_result(results):
    """Return the mean over seeds or folds."""
    return Result(
        float(np.mean([r.seconds for r in results])),
        np.mean([r.mae for r in results], axis=0).tolist(),
        np.mean([r.rmse for r in results], axis=0).tolist(),
        float(np.mean([r.accuracy for r in results])),
    )


def stored_or_run(cache, key, package, compute):
    """Return a rival's result, computed if the cache lacks it; None if it cannot be."""
    stored = cache.get(key, package)
    if stored is None and version_of(package) is not None:
        stored = vars(compute())
        cache.put(key, package, stored)
    return None if stored is None else Result(**stored)


def run_forecast_rival(case, data, predict):
    begin = perf_counter()
    predictions = predict(case, data)
    return forecast_errors(case, data, predictions, perf_counter() - begin)


def run_forecast_rivals(case, data, cache):
    """Return the results of the rivals that suit a case, by name."""
    results = {}
    for name, (predict, package) in FORECAST_RIVALS.items():
        if name == "ETS" and not suits_ets(case):
            continue
        key = f"{case.name} {case.n_steps} {case.horizons} | {name}"
        compute = partial(run_forecast_rival, case, data, predict)
        results[name] = stored_or_run(cache, key, package, compute)
    return {name: result for name, result in results.items() if result is not None}


def run_our_forecasts(case, data, options):
    """Return the results of our settings by name, means over the seeds."""
    settings = {"default": DEFAULT | known_to(RNNRegressor, options.params)}
    if options.readme:
        is_small = len(data.X_train.values) < SMALL_TABLE  # all rows of the table
        settings["README"] = README_SMALL if is_small else README
    return {
        name: mean_result(
            [
                forecast_errors(case, data, *fitted)
                for fitted in fit_and_forecast(data, params, range(options.seeds))
            ]
        )
        for name, params in settings.items()
    }


def ratios(results, name, metric):
    """Return a method's errors divided by those of the best rival, by horizon."""
    rivals = [getattr(results[rival], metric) for rival in COMPARED]
    return np.array(getattr(results[name], metric)) / np.min(rivals, axis=0)


FORECAST_COLUMNS = ["default", "README", *FORECAST_RIVALS]


def print_forecast_rows(case, results, n_train):
    """Print a row per horizon, and one of seconds."""
    columns = [results.get(name) for name in FORECAST_COLUMNS]
    shown = [("default", "mae"), ("default", "rmse"), ("README", "mae")]
    has_ratio = [name in results and "last" in results for name, _ in shown]
    for i, horizon in enumerate(case.horizons):
        errors = [f"{r.mae[i]:.4g}" if r else "" for r in columns]
        last = [
            f"{ratios(results, *which)[i]:.2f}" if known else ""
            for which, known in zip(shown, has_ratio, strict=True)
        ]
        print_row([case.name, horizon, *errors, *last])
    seconds = [f"{r.seconds:.1f} s" if r else "" for r in columns]
    print_row([case.name, f"n={n_train}", *seconds, "", "", ""])


def print_row(cells):
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def print_forecast_summary(all_results):
    print("\nRatio to the best of four other methods, over all cases and horizons:\n")
    print_row(["half", "method", "metric", "geometric mean", "median", "worst"])
    print_row(["---"] * 6)
    for half, chosen in by_half(all_results):
        names = [n for n in FORECAST_COLUMNS if all(n in r for _, r in chosen)]
        for metric, name in product(("mae", "rmse"), names):
            print_row([half, name, metric.upper(), *summary(chosen, name, metric)])


def summary(chosen, name, metric):
    """Return geometric mean, median and worst of a method's ratios, as text."""
    found = [
        (ratio, f"{case.name} {horizon}")
        for case, results in chosen
        for ratio, horizon in zip(
            ratios(results, name, metric), case.horizons, strict=True
        )
    ]
    values = [ratio for ratio, _ in found]
    worst, where = max(found)
    mean = np.exp(np.mean(np.log(values)))
    return f"{mean:.3f}", f"{np.median(values):.3f}", f"{worst:.2f} ({where})"


def by_half(all_results):
    """Yield each half that has results, then both together, and its results."""
    halves = sorted({case.half for case, _ in all_results})
    for half in halves:
        yield half, [(case, r) for case, r in all_results if case.half == half]
    if len(halves) > 1:
        yield "all", all_results


def run_forecasts(options, cache):
    cases = selected(FORECAST_CASES, options)
    if options.segment_rows is not None:
        cut = [cut_segments(c, options.segment_rows, options.data) for c in cases]
        cases = [segment for of_case in cut for segment in of_case]
    if not cases:
        return
    print("\n## Forecasts: mean absolute error\n")
    last = ["ratio", "ratio RMSE", "README's ratio"]
    print_row(["case", "horizon", *FORECAST_COLUMNS, *last])
    print_row(["---"] * (len(FORECAST_COLUMNS) + 5))
    all_results = []
    for case in cases:
        data = load_forecast(case, options.data)
        results = run_forecast_rivals(case, data, cache) if options.rivals else {}
        results |= run_our_forecasts(case, data, options)
        print_forecast_rows(case, results, len(data.X_train))
        all_results.append((case, results))
    if options.rivals:
        print_forecast_summary(all_results)


# Classifications.


def run_classify_rivals(case, sequences, rivals, cache):
    """Return the results of the rivals by name."""
    results = {}
    for name, (classify, package) in rivals.items():
        compute = partial(classify_folds, classify, *sequences)
        key = f"{case.name} | {name}"
        results[name] = stored_or_run(cache, key, package, compute)
    return {name: result for name, result in results.items() if result is not None}


def make_ours(seed, params):
    params = known_to(RNNClassifier, params)

    def classify(X_train, y_train, X_test):
        model = RNNClassifier(random_state=seed, **params)
        return model.fit(X_train, y_train).predict(X_test)

    return classify


def classify_folds(classify, X, y, folds):
    """Return accuracy over all folds' test sequences, and seconds per fold."""
    right, begin = [], perf_counter()
    for train, test in folds:
        X_train, X_test = [X[i] for i in train], [X[i] for i in test]
        found = classify(X_train, y[train], X_test)
        if found is None:
            return Result(0.0)
        right.append(found == y[test])
    seconds = (perf_counter() - begin) / len(folds)
    return Result(seconds, accuracy=float(np.concatenate(right).mean()))


CLASSIFY_COLUMNS = ["default", *CLASSIFY_RIVALS]


def print_classify_row(case, results, columns, spread, n_train):
    cells = []
    for name in columns:
        r = results.get(name)
        known = r is not None and np.isfinite(r.accuracy)
        cells.append(f"{r.accuracy:.3f} ({r.seconds:.1f} s)" if known else "")
    cells[0] = f"{results[columns[0]].accuracy:.3f} ± {spread:.3f}" + cells[0][5:]
    print_row([case.name, n_train, *cells])


def print_classify_summary(all_results):
    """Print mean accuracies of the methods that all cases were given to."""
    print("\nMean accuracy, and the largest deficit beside MiniRocket:\n")
    names = [
        name
        for name in CLASSIFY_COLUMNS
        if all(name in r and np.isfinite(r[name].accuracy) for _, r in all_results)
    ]
    print_row(["half", *names, "largest deficit"])
    print_row(["---"] * (len(names) + 2))
    for half, chosen in by_half(all_results):
        means = [np.mean([r[name].accuracy for _, r in chosen]) for name in names]
        deficits = [
            (r["MiniRocket"].accuracy - r["default"].accuracy, case.name)
            for case, r in chosen
            if "MiniRocket" in r
        ]
        deficit, where = max(deficits, default=(np.nan, "MiniRocket did not run"))
        cells = [f"{mean:.3f}" for mean in means]
        print_row([half, *cells, f"{deficit:.3f} ({where})"])


def run_classifications(options, cache):
    cases = selected(CLASSIFY_CASES, options)
    if not cases:
        return
    if options.rivals and version_of("aeon"):
        compile_rivals()
    print("\n## Classifications: accuracy (seconds per fold, training and test)\n")
    print_row(["case", "n", *CLASSIFY_COLUMNS])
    print_row(["---"] * (len(CLASSIFY_COLUMNS) + 2))
    all_results = []
    for case in cases:
        sequences = case.read(options.data)
        results = {}
        if options.rivals:
            results = run_classify_rivals(case, sequences, CLASSIFY_RIVALS, cache)
        seeds = [
            classify_folds(make_ours(seed, options.params), *sequences)
            for seed in range(options.seeds)
        ]
        results["default"] = mean_result(seeds)
        spread = np.std([r.accuracy for r in seeds])
        n_train = len(sequences[-1][0][0])
        print_classify_row(case, results, CLASSIFY_COLUMNS, spread, n_train)
        all_results.append((case, results))
    if options.rivals:
        print_classify_summary(all_results)


# Texts.


def make_text_classifier(seed, params):
    params = README_TEXT | known_to(RNNClassifier, params)

    def classify(X_train, y_train, X_test):
        network = RNNClassifier(random_state=seed, **params)
        model = make_pipeline(SequenceTokenizer(), network)
        return model.fit(X_train, y_train).predict(X_test)

    return classify


TEXT_COLUMNS = ["README", *TEXT_RIVALS]


def run_texts(options, cache):
    cases = selected(TEXT_CASES, options)
    if not cases:
        return
    print("\n## Texts: accuracy (seconds per fold, training and test)\n")
    print_row(["case", "n", *TEXT_COLUMNS])
    print_row(["---"] * (len(TEXT_COLUMNS) + 2))
    for case in cases:
        texts = case.read(options.data)
        results = {}
        if options.rivals:
            results = run_classify_rivals(case, texts, TEXT_RIVALS, cache)
        seeds = [
            classify_folds(make_text_classifier(seed, options.params), *texts)
            for seed in range(options.seeds)
        ]
        results["README"] = mean_result(seeds)
        spread = np.std([r.accuracy for r in seeds])
        n_train = len(texts[-1][0][0])
        print_classify_row(case, results, TEXT_COLUMNS, spread, n_train)


# Sounds.


def make_sound_classifier(rate, seed, params, **settings):
    params = settings | known_to(RNNClassifier, params)
    spectra = {"sample_rate": rate, "n_mfcc": 20}
    spectra["normalize"] = params.pop("normalize", None)

    def classify(X_train, y_train, X_test):
        network = RNNClassifier(random_state=seed, **params)
        model = make_pipeline(LogMelSpectrogram(**spectra), SequenceScaler(), network)
        return model.fit(X_train, y_train).predict(X_test)

    return classify


SOUND_SETTINGS = {
    "default": {},
    "README": README_SOUND,
    "README, mean": README_SOUND | {"normalize": "mean"},
}
SOUND_COLUMNS = [*SOUND_SETTINGS, *SOUND_RIVALS]


def run_sounds(options, cache):
    cases = selected(SOUND_CASES, options)
    if not cases:
        return
    print("\n## Sounds: accuracy (seconds per fold, training and test)\n")
    print_row(["case", "n", *SOUND_COLUMNS])
    print_row(["---"] * (len(SOUND_COLUMNS) + 2))
    for case in cases:
        sounds = case.read(options.data)
        results = {}
        if options.rivals:
            rivals = make_sound_rivals(case.rate)
            results = run_classify_rivals(case, sounds, rivals, cache)
        for name, settings in SOUND_SETTINGS.items():
            make = partial(make_sound_classifier, case.rate, params=options.params)
            seeds = [
                classify_folds(make(seed, **settings), *sounds)
                for seed in range(options.seeds)
            ]
            results[name] = mean_result(seeds)
            if name == "default":
                spread = np.std([r.accuracy for r in seeds])
        n_train = len(sounds[-1][0][0])
        print_classify_row(case, results, SOUND_COLUMNS, spread, n_train)


# The command.


def selected(cases, options):
    """Return the cases that are asked for, and whose data are there."""
    return [
        case
        for case in cases
        if options.half in (case.half, "all")
        and (options.cases is None or case.name in options.cases)
        and (options.data is not None or case.ships)
    ]


def known_to(estimator, params):
    """Return those of some parameters that an estimator has."""
    names = estimator().get_params()
    return {name: value for name, value in params.items() if name in names}


def parse_changes(changes):
    """Return the parameters of ``name=value`` pairs."""
    params = {}
    for change in changes:
        name, value = change.split("=", 1)
        try:
            params[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            params[name] = value
    return params


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data", metavar="FOLDER", help="of the cases that do not ship"
    )
    halves = ["development", "held-out", "all"]
    parser.add_argument("--half", choices=halves, default="all")
    parser.add_argument(
        "--task",
        choices=["forecast", "classify", "text", "sound", "all"],
        default="all",
    )
    parser.add_argument("--cases", nargs="+", metavar="NAME")
    parser.add_argument(
        "--segment-rows", type=int, metavar="N", help="cut seasonal series into parts"
    )
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--no-rivals", dest="rivals", action="store_false")
    parser.add_argument("--no-readme", dest="readme", action="store_false")
    parser.add_argument("--cache", metavar="FILE", help="of the rivals' results")
    add_instruction_set_option(parser)
    options = parser.parse_args()
    options.params = parse_changes(options.set)
    for name in options.params:
        if not any(known_to(e, {name: None}) for e in (RNNRegressor, RNNClassifier)):
            parser.error(f"neither RNNRegressor nor RNNClassifier has {name!r}")
    cases = [*FORECAST_CASES, *CLASSIFY_CASES, *TEXT_CASES, *SOUND_CASES]
    known = {case.name for case in cases}
    unknown = set(options.cases or []) - known
    if unknown:
        parser.error(f"no case {sorted(unknown)}; the cases are {sorted(known)}")
    return options


def main():
    options = parse_options()
    use_instruction_set(options.instruction_set)
    # Some training sets are small enough for advice to be given; the figures tell.
    warnings.simplefilter("ignore")
    print_machine()
    shown = ", ".join(options.set) or "the defaults"
    print(f"{shown}; seeds 0 to {options.seeds - 1}")
    cache = Cache(options.cache)
    tasks = {
        "forecast": run_forecasts,
        "classify": run_classifications,
        "text": run_texts,
        "sound": run_sounds,
    }
    for name, run in tasks.items():
        if options.task in (name, "all"):
            run(options, cache)


if __name__ == "__main__":
    main()
