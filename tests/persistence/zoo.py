"""Small fitted models of every kind, and what each predicts."""

import warnings
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import EarlyStopping
from torch.optim.lr_scheduler import StepLR

from sklearn_rnn import (
    CalendarFeatures,
    ConformalCalibrator,
    ForecastAnomalyDetector,
    LogMelSpectrogram,
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceFlattener,
    SequenceScaler,
    SequenceTokenizer,
    SequenceWindower,
    SklearnRNNWarning,
    StatefulPredictor,
    TimeBlockSplit,
    WordFeatures,
    backtest,
    forecast,
    make_forecast_frame,
)

SMALL = {"hidden_size": 4, "max_epochs": 1, "random_state": 0, "n_threads": 1}
WORDS = ["ab", "ba", "aab", "abba", "bbab", "aba", "baab", "abab"] * 5


class Fitted(NamedTuple):
    """A fitted model, and a function from such a model to an array that it predicts."""

    model: Any
    predict: Any


def flat(values):
    """Return predictions of any nesting as one array."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        values = list(values)
    if isinstance(values, (list, tuple)):
        parts = [flat(v) for v in values]
        return np.concatenate(parts) if parts else np.array([])
    if isinstance(values, pd.DataFrame):
        return flat([values[c].to_numpy() for c in values])
    return np.atleast_1d(np.asarray(values)).ravel().astype(str)


def rng():
    return np.random.RandomState(0)


def numbers(n=40):
    X = rng().normal(size=(n, 6, 3))
    return X, X[:, :, 0].sum(axis=1)


def table(freq="h", n=120):
    time = pd.date_range("2024-01-01", periods=n, freq=freq)
    values = rng().normal(size=(n, 2)).cumsum(axis=0)
    return pd.DataFrame(values, index=time, columns=["temp", "wind"])


def panel(n=60):
    one = table("D", n).reset_index(names="time")
    other = one.assign(temp=one["temp"] * 2 + 1)
    both = pd.concat([one.assign(shop="north"), other.assign(shop="south")])
    promoted = np.where(rng().rand(len(both)) > 0.5, "promo", "none")
    return both.assign(promo=promoted).sort_values(["time", "shop"], ignore_index=True)


def regressor(**options):
    X, y = numbers()
    model = RNNRegressor(**SMALL, **options).fit(X, y)
    return Fitted(model, lambda m: m.predict(X))


def regressor_of_few():
    X, y = numbers(20)
    model = RNNRegressor(random_state=0, max_epochs=1, n_threads=1).fit(X, y)
    return Fitted(model, lambda m: m.predict(X))


def every_step():
    X, _ = numbers()
    model = RNNRegressor(**SMALL, return_sequences=True)
    model.fit(X, X[:, :, :2].cumsum(axis=1))
    return Fitted(model, lambda m: m.predict(X))


def quantiles():
    X, y = numbers()
    model = RNNRegressor(**SMALL, loss="quantile").fit(X, np.column_stack([y, -y]))
    return Fitted(model, lambda m: m.predict_quantiles(X))


def distributions():
    X, y = numbers()
    model = RNNRegressor(
        **SMALL, loss="student_t", bounds=(-1, None), target_weight=[2, 1]
    )
    y = np.maximum(np.column_stack([y, -y]), -1.0)
    return Fitted(model.fit(X, y), lambda m: m.sample(X, 3, random_state=0))


def streamed():
    X, y = numbers()
    model = RNNRegressor(**SMALL).partial_fit(X, y).partial_fit(X, y)
    return Fitted(model, lambda m: m.predict(X))


def scheduled():
    X, y = numbers()
    options = {**SMALL, "max_epochs": 2}
    model = RNNRegressor(
        **options,
        lr_schedule=partial(StepLR, step_size=1),
        early_stopping=True,
        optimizer="sgd",
    )
    return Fitted(model.fit(X, y), lambda m: m.predict(X))


def classifier(**options):
    X, y = numbers()
    model = RNNClassifier(**SMALL, **options).fit(X, np.where(y > 0, "up", "down"))
    return Fitted(model, lambda m: m.predict_proba(X))


def texts():
    y = [word.count("a") > word.count("b") for word in WORDS]
    model = make_pipeline(
        SequenceTokenizer("char"), RNNClassifier(**SMALL, embedding_dim=3)
    )
    return Fitted(model.fit(WORDS, y), lambda m: m.predict_proba(WORDS))


def word_vectors():
    rows = [" ".join(word) for word in WORDS]
    y = [len(word) for word in WORDS]
    vectors = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0])}
    regression = RNNRegressor(**SMALL, embedding_dim=2, embeddings=vectors)
    model = make_pipeline(SequenceTokenizer("word"), regression).fit(rows, y)
    return Fitted(model, lambda m: m.predict(rows))


def subwords():
    sentences = [" ".join([word] * 3) for word in WORDS]
    y = [word.count("a") for word in WORDS]
    model = make_pipeline(
        SequenceTokenizer("subword", max_tokens=300),
        RNNRegressor(**SMALL, embedding_dim=3),
    )
    return Fitted(model.fit(sentences, y), lambda m: m.predict(sentences))


def tagger():
    X, _ = numbers()
    y = [np.where(x[:, 0] > 0, "up", "down") for x in X]
    model = RNNTagger(**SMALL).fit(X, y)
    return Fitted(model, lambda m: m.predict_proba(X))


def word_tagger():
    rows = [["The", "cat", "sat"], ["A", "dog", "ran", "off"]] * 10
    y = [["D", "N", "V"], ["D", "N", "V", "P"]] * 10
    model = make_pipeline(WordFeatures(), RNNTagger(**SMALL)).fit(rows, y)
    return Fitted(model, lambda m: m.predict_proba(rows))


def described_tagger():
    rows = [[{"word": c, "n": float(i)} for i, c in enumerate(w)] for w in WORDS]
    model = RNNTagger(**SMALL).fit(rows, [list(word) for word in WORDS])
    return Fitted(model, lambda m: m.predict_proba(rows))


def generator(n_times=1, **options):
    model = RNNGenerator(**SMALL, embedding_dim=3, **options)
    model.fit([word * n_times for word in WORDS])
    return Fitted(
        model, lambda m: [m.score_steps(WORDS), m.sample(n_steps=5, random_state=0)]
    )


def frame_generator():
    X = (numbers()[0] > 0).astype(float)
    model = RNNGenerator(**SMALL).fit(X)
    return Fitted(model, lambda m: m.score_steps(X))


def seq2seq():
    y = [word[::-1] for word in WORDS]
    model = RNNSeq2Seq(**SMALL, embedding_dim=3).fit(WORDS, y)
    return Fitted(model, lambda m: m.predict_n_best(WORDS[:3], 2))


def seq2seq_of_numbers():
    X, _ = numbers()
    model = RNNSeq2Seq(**SMALL, embedding_dim=3).fit(X, WORDS)
    return Fitted(model, lambda m: m.predict_n_best(X[:3], 2))


def transcriber():
    frames = {"a": [3.0, 0.0], "b": [0.0, 3.0]}
    X = [np.repeat([frames[c] for c in word], 4, axis=0) for word in WORDS]
    model = RNNTranscriber(**SMALL, ngram_order=2, word_list=WORDS, beam_width=3)
    model.fit(X, WORDS)
    return Fitted(model, lambda m: [m.posteriors(X), m.predict(X)])


def sound():
    clips = [rng().normal(size=2000) * (1 + i % 2) for i in range(40)]
    y = np.arange(40) % 2
    mel = LogMelSpectrogram(8000, n_mels=8, noise_snr=(10, 20))
    model = make_pipeline(mel, SequenceScaler(), RNNClassifier(**SMALL)).fit(clips, y)
    return Fitted(model, lambda m: m.predict_proba(clips))


def forecaster(freq="h", **options):
    data = table(freq)
    X, Y = make_forecast_frame(data, "temp", horizon=2)
    model = make_pipeline(
        CalendarFeatures(["month"], ahead=1) if freq == "MS" else CalendarFeatures(),
        SequenceWindower(6),
        RNNRegressor(**SMALL, loss="quantile", **options),
    )
    return Fitted(model.fit(X, Y), lambda m: forecast(m, data))


def shops():
    data = panel()
    names = {"time": "time", "group_by": "shop"}
    X, Y = make_forecast_frame(data, "temp", horizon=2, **names)
    model = make_pipeline(SequenceWindower(4, **names), RNNRegressor(**SMALL))
    return Fitted(model.fit(X, Y), lambda m: forecast(m, data))


def gaps():
    data = table().drop(index=table().index[[30, 50]])
    data.iloc[20, 1] = np.nan
    X, Y = make_forecast_frame(data, "temp", horizon=2, missing="mask")
    rnn = RNNRegressor(**SMALL, missing_targets="ignore")
    model = make_pipeline(SequenceWindower(4, missing="mask"), rnn).fit(X, Y)
    return Fitted(model, lambda m: m.predict(X))


def irregular(**options):
    data = table()
    data.index = data.index + pd.to_timedelta(rng().randint(0, 1200, 120), "s")
    model = make_pipeline(SequenceWindower(4, **options), RNNRegressor(**SMALL))
    return Fitted(model.fit(data, data["temp"]), lambda m: m.predict(data))


def zoned():
    data = table("D").tz_localize("Europe/Berlin")
    X, Y = make_forecast_frame(data, "temp", horizon=2)
    calendar = CalendarFeatures(time_zone="UTC")
    model = make_pipeline(calendar, SequenceWindower(4), RNNRegressor(**SMALL))
    return Fitted(model.fit(X, Y), lambda m: forecast(m, data))


def periods():
    data = table("D").to_period("D")
    model = make_pipeline(SequenceWindower(4), RNNRegressor(**SMALL))
    return Fitted(model.fit(data, data["temp"]), lambda m: m.predict(data))


def trained_on():
    X, y = numbers()
    model = RNNRegressor(**SMALL, linear_skip=False).fit(X, y).partial_fit(X, y)
    return Fitted(model, lambda m: m.predict(X))


def bag_of_words():
    sentences = [" ".join(word) for word in WORDS * 3]
    y = [word.count("a") > word.count("b") for word in WORDS * 3]
    network = RNNClassifier(**SMALL, embedding_dim=3, bag_of_words=True)
    model = make_pipeline(SequenceTokenizer(), network).fit(sentences, y)
    return Fitted(model, lambda m: m.predict_proba(sentences))


def with_callbacks():
    X, y = numbers()
    callbacks = [EarlyStopping("train_loss", patience=2)]
    model = RNNRegressor(**SMALL, callbacks=callbacks, optimizer=torch.optim.SGD)
    return Fitted(model.fit(X, y), lambda m: m.predict(X))


def lags():
    data = table()
    X, Y = make_forecast_frame(data, "temp", horizon=2)
    model = make_pipeline(SequenceWindower(4), SequenceFlattener(), Ridge())
    return Fitted(model.fit(X, Y), lambda m: forecast(m, data))


def mixed_table():
    data = panel()
    y = data["temp"].to_numpy()
    columns = ColumnTransformer(
        [("n", StandardScaler(), ["wind"]), ("c", OneHotEncoder(), ["promo"])]
    )
    model = Pipeline(
        [("columns", columns), ("w", SequenceWindower(3, history="train"))]
    )
    model.steps.append(("rnn", RNNRegressor(**SMALL)))
    return Fitted(model.fit(data, y), lambda m: m.predict(data))


def transformed():
    X, y = numbers()
    model = TransformedTargetRegressor(
        RNNRegressor(**SMALL), func=np.exp, inverse_func=np.log
    )
    model.fit(X, np.tanh(y))
    return Fitted(model, lambda m: m.regressor_.predict(X))


def search():
    X, y = numbers()
    grid = {"hidden_size": [2, 3]}
    model = GridSearchCV(RNNRegressor(**SMALL), grid, cv=2).fit(X, y)
    return Fitted(model, lambda m: m.predict(X))


def blocks():
    data = table()
    X, Y = make_forecast_frame(data, "temp", horizon=2)
    pipeline = make_pipeline(SequenceWindower(4), RNNRegressor(**SMALL))
    grid = {"rnnregressor__hidden_size": [2, 3]}
    model = GridSearchCV(pipeline, grid, cv=TimeBlockSplit(2, gap=1)).fit(X, Y)
    return Fitted(model, lambda m: forecast(m, data))


def stacked():
    X, y = numbers()
    lag = make_pipeline(SequenceFlattener(), Ridge())
    model = StackingRegressor([("rnn", RNNRegressor(**SMALL)), ("lags", lag)], cv=2)
    return Fitted(model.fit(X, y), lambda m: m.predict(X))


def frozen():
    fitted = regressor()
    return Fitted(FrozenEstimator(fitted.model), fitted.predict)


def flat_classifier():
    X, y = numbers()
    model = make_pipeline(SequenceScaler(), SequenceFlattener(), LogisticRegression())
    return Fitted(model.fit(X, y > 0), lambda m: m.predict_proba(X))


@cache
def past():
    model = make_pipeline(SequenceWindower(4), RNNRegressor(**SMALL, loss="quantile"))
    return backtest(model, table(), "temp", 2, cv=2)


def calibrator(**options):
    model = ConformalCalibrator(**options).fit(past())
    return Fitted(model, lambda m: m.transform(past()))


def anomaly_detector():
    model = make_pipeline(SequenceWindower(4), RNNRegressor(**SMALL, loss="quantile"))
    model = ForecastAnomalyDetector(model, horizon=2).fit(table()[["temp"]])
    return Fitted(model, lambda m: m.score_samples(table()[["temp"]]))


def live():
    X, y = numbers()
    model = StatefulPredictor(RNNRegressor(**SMALL).fit(X, y))
    model.predict(X[0])
    return Fitted(model, lambda m: m.predict(X[1]))


def unfitted():
    model = make_pipeline(SequenceWindower(4, freq="D"), RNNRegressor(**SMALL))
    return Fitted(
        model, lambda m: clone(m).fit(*numbers()[:0] or TABLE).predict(TABLE[0])
    )


TABLE = (table("D", 40), table("D", 40)["temp"])

ZOO = {
    "anomaly detector": anomaly_detector,
    "regressor": regressor,
    "regressor of few sequences": regressor_of_few,
    "regressor without linear part": partial(regressor, linear_skip=False),
    "attention": partial(regressor, pooling="attention", cell="lstm", n_layers=2),
    "logarithms": partial(regressor, target_feature=0, scale_windows=True),
    "every step": every_step,
    "quantiles": quantiles,
    "distributions": distributions,
    "stream": streamed,
    "schedule": scheduled,
    "classifier": classifier,
    "classifier without convolutions": partial(classifier, convolutions=None),
    "text": texts,
    "word vectors": word_vectors,
    "subwords": subwords,
    "tagger": tagger,
    "tagger of words": word_tagger,
    "tagger of dicts": described_tagger,
    "generator": generator,
    "generator with n-grams": partial(generator, 9, ngram_order=3),
    "generator of frames": frame_generator,
    "sequence to sequence": seq2seq,
    "numbers to symbols": seq2seq_of_numbers,
    "transcriber": transcriber,
    "sound": sound,
    "hourly forecast": forecaster,
    "monthly forecast": partial(forecaster, "MS"),
    "business days": partial(forecaster, "B"),
    "shops": shops,
    "gaps": gaps,
    "irregular times": irregular,
    "rows as steps": partial(irregular, freq="rows"),
    "time zone": zoned,
    "periods": periods,
    "continued": trained_on,
    "bag of words": bag_of_words,
    "callbacks": with_callbacks,
    "lags": lags,
    "mixed table": mixed_table,
    "transformed target": transformed,
    "search": search,
    "search in blocks": blocks,
    "stack": stacked,
    "frozen": frozen,
    "linear classifier": flat_classifier,
    "calibrator": calibrator,
    "adaptive calibrator": partial(calibrator, method="adaptive"),
    "calibrator by horizon": partial(calibrator, by="horizon"),
    "live": live,
    "unfitted": unfitted,
}


@cache
def make(name):
    """Return a fitted model of the zoo."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SklearnRNNWarning)
        return ZOO[name]()
