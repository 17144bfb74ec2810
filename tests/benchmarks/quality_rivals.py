"""What bench_quality.py compares with, and the file that keeps its results.

Forecasts: every function takes a `ForecastCase` and its `ForecastData` and returns
predictions of the shape of ``Y_test``. Classifications: a function takes the training
sequences, their labels and the test sequences, and returns labels; texts and sounds are
classified by functions of the same form.
"""

import json
import os
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

PENALTIES = np.logspace(-3, 4, 15)
MOST_DTW_CELLS = 3e9  # pairs of sequences times steps squared: about a minute


# Forecasts.


def flatten(windows):
    return np.asarray(windows, dtype=np.float64).reshape(len(windows), -1)


def predict_ridge(case, data):
    ridge = RidgeCV(PENALTIES, alpha_per_target=True)
    model = make_pipeline(StandardScaler(), ridge)
    model.fit(flatten(data.X_train), data.Y_train.to_numpy())
    return model.predict(flatten(data.X_test))


def predict_trees(case, data):
    trees = HistGradientBoostingRegressor(random_state=0)
    model = MultiOutputRegressor(trees)
    model.fit(flatten(data.X_train), data.Y_train.to_numpy())
    return model.predict(flatten(data.X_test))


def predict_last(case, data):
    last = data.X_test.last_step()[:, data.target_columns]
    return np.repeat(last, len(case.horizons), axis=1)


def predict_seasonal(case, data):
    windows = np.asarray(data.X_test)[:, :, data.target_columns]
    horizons = np.array(case.horizons)
    # The same time of the last season that is over when the forecast is made.
    back = horizons - case.season * -(-horizons // case.season)
    chosen = windows[:, case.n_steps - 1 + back]  # (n, horizons, targets)
    return chosen.transpose(0, 2, 1).reshape(len(chosen), -1)


def predict_ets(case, data):
    """Exponential smoothing: fitted before the test block, updated at each origin."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    def model(values, trend):
        return ETSModel(
            values,
            error=trend,
            trend="add",
            damped_trend=True,
            seasonal=trend,
            seasonal_periods=case.season,
        )

    past, future = series_of(data)
    kinds = ["add", "mul"] if min(past) > 0 else ["add"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = {kind: model(past, kind).fit(disp=False) for kind in kinds}
        kind = min(fits, key=lambda kind: fits[kind].aic)
        predictions = []
        for end in range(len(past), len(past) + len(future) + 1):
            values = np.concatenate([past, future[: end - len(past)]])
            smoothed = model(values, kind).smooth(fits[kind].params)
            ahead = np.asarray(smoothed.forecast(case.horizons[-1]))
            predictions.append(ahead[np.array(case.horizons) - 1])
    return np.array(predictions)


def series_of(data):
    """Return a single series up to the first test origin, and from there on."""
    ends = data.X_test.ends
    values = data.X_test.values[:, data.target_columns[0]]
    return values[: ends[0]], values[ends[0] : ends[-1]]


def suits_ets(case):
    single = case.group_by is None and len(case.targets) == 1
    return single and case.season in (4, 12)


FORECAST_RIVALS = {
    "ridge": (predict_ridge, "scikit-learn"),
    "trees": (predict_trees, "scikit-learn"),
    "last": (predict_last, "numpy"),
    "seasonal": (predict_seasonal, "numpy"),
    "ETS": (predict_ets, "statsmodels"),
}
# ETS is for orientation: it is not there for every case.
COMPARED = ["ridge", "trees", "last", "seasonal"]


# Classifications.


def pad(sequences, n_steps, fill=0.0):
    """Return sequences as aeon wants them, (n, features, steps), filled at the end."""
    padded = np.full((len(sequences), sequences[0].shape[1], n_steps), fill)
    for row, x in zip(padded, sequences, strict=True):
        row[:, : len(x)] = x[:n_steps].T
    return padded


def pad_all(X_train, X_test):
    # MiniRocket needs 9 steps.
    n_steps = max(9, *(len(x) for x in [*X_train, *X_test]))
    return pad(X_train, n_steps), pad(X_test, n_steps)


def classify_by_minirocket(X_train, y_train, X_test):
    from aeon.classification.convolution_based import MiniRocketClassifier

    X_train, X_test = pad_all(X_train, X_test)
    model = MiniRocketClassifier(random_state=0).fit(X_train, y_train)
    return model.predict(X_test)


def classify_by_dtw(X_train, y_train, X_test):
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    longest = max(len(x) for x in [*X_train, *X_test])
    if len(X_train) * len(X_test) * longest**2 > MOST_DTW_CELLS:
        return None
    X_train, X_test = pad_all(X_train, X_test)
    model = KNeighborsTimeSeriesClassifier(distance="dtw", n_neighbors=1)
    return model.fit(X_train, y_train).predict(X_test)


def summarize(x):
    """Return mean, spread, extremes, quantiles, change and slope of each feature."""
    quantiles = np.quantile(x, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1], axis=0)
    change = np.abs(np.diff(x, axis=0)).mean(axis=0) if len(x) > 1 else 0 * x[0]
    time = np.arange(len(x)) - (len(x) - 1) / 2
    slope = time @ x / max(1.0, time @ time)
    return np.concatenate([x.mean(0), x.std(0), *quantiles, change, slope])


def classify_by_forest(X_train, y_train, X_test):
    forest = RandomForestClassifier(random_state=0)
    forest.fit([summarize(x) for x in X_train], y_train)
    return forest.predict([summarize(x) for x in X_test])


def compile_rivals():
    """Run aeon's classifiers on next to nothing: they are compiled at first use."""
    X = list(np.random.default_rng(0).normal(size=(4, 20, 1)))
    y = np.array([0, 0, 1, 1])
    for n_features in (1, 2):
        repeated = [np.repeat(x, n_features, axis=1) for x in X]
        for classify in (classify_by_minirocket, classify_by_dtw):
            classify(repeated, y, repeated)


CLASSIFY_RIVALS = {
    "MiniRocket": (classify_by_minirocket, "aeon"),
    "DTW": (classify_by_dtw, "aeon"),
    "forest": (classify_by_forest, "scikit-learn"),
}


# Texts: what one tries first.


def make_tfidf_classifier(**options):
    """Return a function that classifies texts by TF-IDF and logistic regression."""

    def classify(X_train, y_train, X_test):
        table = TfidfVectorizer(sublinear_tf=True, **options)
        model = make_pipeline(table, LogisticRegression(C=10, max_iter=1000))
        return model.fit(X_train, y_train).predict(X_test)

    return classify


WORDS = {"token_pattern": r"\w+|[^\w\s]", "ngram_range": (1, 2)}
CHARACTERS = {"analyzer": "char_wb", "ngram_range": (2, 5)}
TEXT_RIVALS = {
    "TF-IDF of words": (make_tfidf_classifier(**WORDS), "scikit-learn"),
    "TF-IDF of characters": (make_tfidf_classifier(**CHARACTERS), "scikit-learn"),
}


# Sounds: what one tries first.


def mfcc_statistics(waveforms, rate):
    """Return mean and deviation of each coefficient, of windows as ours."""
    import librosa

    n_fft = 2 ** int(np.ceil(np.log2(0.025 * rate)))
    windows = {"n_fft": n_fft, "win_length": int(0.025 * rate)}
    windows["hop_length"] = int(0.01 * rate)
    rows = []
    for x in waveforms:
        mfcc = librosa.feature.mfcc(
            y=np.asarray(x, dtype=np.float32), sr=rate, n_mfcc=20, n_mels=40, **windows
        )
        rows.append([*mfcc.mean(axis=1), *mfcc.std(axis=1)])
    return np.array(rows)


def make_mfcc_classifier(model, rate):
    """Return a function that classifies waveforms by statistics of their MFCC."""

    def classify(X_train, y_train, X_test):
        classifier = make_pipeline(StandardScaler(), clone(model))
        classifier.fit(mfcc_statistics(X_train, rate), y_train)
        return classifier.predict(mfcc_statistics(X_test, rate))

    return classify


SOUND_RIVALS = {
    "MFCC, logistic regression": LogisticRegression(max_iter=1000),
    "MFCC, support vector machine": SVC(C=10),
}


def make_sound_rivals(rate):
    """Return classifiers of waveforms, and the package that each needs."""
    return {
        name: (make_mfcc_classifier(model, rate), "librosa")
        for name, model in SOUND_RIVALS.items()
    }


# The file of results.


def version_of(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


class Cache:
    """Results in a JSON file, by case, rival and version; without a file, in memory.

    Where a package is not installed, the results of any version of it count.
    """

    def __init__(self, path=None):
        self.path = None if path is None else Path(path)
        self.entries = {}

    def get(self, key, package):
        self._read()
        installed = version_of(package)
        if installed is not None:
            return self.entries.get(f"{key} | {package} {installed}")
        found = [k for k in self.entries if k.startswith(f"{key} | {package} ")]
        return self.entries[max(found)] if found else None

    def put(self, key, package, result):
        self._read()  # what other processes have written meanwhile
        self.entries[f"{key} | {package} {version_of(package)}"] = result
        if self.path is not None:
            new = self.path.with_suffix(f".{os.getpid()}.tmp")
            new.write_text(json.dumps(self.entries, indent=0))
            new.replace(self.path)

    def _read(self):
        if self.path is not None and self.path.exists():
            self.entries |= json.loads(self.path.read_text())
