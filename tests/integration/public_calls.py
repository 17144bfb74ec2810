"""Every public call once, and what of the process a call may not change.

    python tests/integration/public_calls.py

makes the calls in a new process, where they are the first of their kind, and prints as
JSON what each changed and which public calls are missing.
"""

import contextlib
import copy
import inspect
import io
import json
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from process_state import changed_by
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback
from torch import distributed

import sklearn_rnn as sr
from sklearn_rnn import datasets, metrics, persistence

SMALL = {"hidden_size": 3, "max_epochs": 1, "random_state": 0}
X = np.random.RandomState(0).normal(size=(24, 6, 2))
Y = X[:, :, 0].sum(axis=1)
UP = np.where(Y > 0, "up", "down")
STEPS = np.where(X[:, :, 0] > 0, "up", "down")
WORDS = ["ab", "ba", "aab", "abba", "bbab", "aba", "baab", "abab"] * 3
CLIPS = [np.random.RandomState(i).normal(size=2000) for i in range(24)]
TIMES = pd.date_range("2024-01-01", periods=80, freq="h")
TABLE = pd.DataFrame(
    np.random.RandomState(0).normal(size=(80, 2)), TIMES, ["temp", "wind"]
)


def make(name, **options):
    """Return an estimator, and what it is fitted on."""
    estimators = {
        "regressor": (sr.RNNRegressor, (X, Y)),
        "classifier": (sr.RNNClassifier, (X, UP)),
        "tagger": (sr.RNNTagger, (X, STEPS)),
        "generator": (sr.RNNGenerator, (WORDS,)),
        "encoder-decoder": (sr.RNNSeq2Seq, (WORDS, WORDS)),
        "transcriber": (sr.RNNTranscriber, (X, ["ab"] * len(X))),
    }
    kind, data = estimators[name]
    return kind(**SMALL, **options), data


@cache
def fitted(name, **options):
    estimator, data = make(name, **options)
    return estimator.fit(*data)


def forecaster(**options):
    return make_pipeline(sr.SequenceWindower(4), sr.RNNRegressor(**SMALL, **options))


@cache
def fitted_forecaster():
    model = forecaster(loss="quantile")
    return model.fit(*sr.make_forecast_frame(TABLE, "temp", 2))


@cache
def past():
    return sr.backtest(forecaster(loss="quantile"), TABLE, "temp", 2, cv=2, season=4)


def call_all(thing, calls):
    """Call methods by name with their arguments."""
    for method, arguments in calls.items():
        getattr(thing, method)(*arguments)


def regressor():
    model, data = make("regressor", loss="gaussian", pooling="attention")
    model.set_params(**model.get_params())
    model.fit(*data).partial_fit(*data)
    reading = ["attention_weights", "hidden_states", "input_gradients", "predict"]
    call_all(model, dict.fromkeys([*reading, "predict_quantiles"], (X,)))
    call_all(model, {"score": data, "sample": (X, 2, 0)})
    fitted("regressor", linear_skip=True).predict_linear(X)
    fitted("regressor")._repr_html_()


def classifier():
    model, data = make("classifier", pooling="attention", dropout=0.3)
    model.set_params(**model.get_params()).fit(*data)
    model.partial_fit(*data)
    call_all(model, dict.fromkeys(["predict", "predict_proba", "hidden_states"], (X,)))
    call_all(model, {"predict_log_proba": (X,), "attention_weights": (X,)})
    call_all(model, {"input_gradients": (X,), "score": data})


def tagger():
    model, data = make("tagger", kernel="torch")
    model.set_params(**model.get_params()).fit(*data)
    model.partial_fit(*data)
    fitted("tagger", early_stopping=True)
    call_all(model, dict.fromkeys(["predict", "predict_proba", "hidden_states"], (X,)))
    call_all(model, {"predict_log_proba": (X,), "score": data, "input_gradients": (X,)})
    with contextlib.suppress(ValueError):  # a tagger has no pooling
        model.attention_weights(X)


def generator():
    model, data = make("generator", ngram_order=2)
    model.set_params(max_epochs=1).fit(*data)
    reading = ["bits_per_symbol", "perplexity", "score", "score_samples", "score_steps"]
    call_all(model, dict.fromkeys([*reading, "hidden_states"], (WORDS,)))
    call_all(model, {"next_symbols": ("a",), "best_continuations": ("a", 2)})
    model.sample("a", 3, random_state=0, sampling=sr.Sampling(temperature=0.5))
    list(model.stream("a", 3, random_state=0))


def generator_of_frames():
    model = sr.RNNGenerator(**SMALL).fit((X > 0).astype(float))
    model.sample(n_steps=3, random_state=0)


def encoder_decoder():
    model, data = make("encoder-decoder")
    model.set_params(max_epochs=1).fit(*data)
    call_all(model, {"predict": (WORDS,), "score": data, "attention": data})
    call_all(model, {"predict_n_best": (WORDS, 2)})


def transcriber():
    model, data = make("transcriber", ngram_order=2, beam_width=2)
    model.set_params(max_epochs=1).fit(*data)
    call_all(model, {"predict": (X,), "posteriors": (X,), "score": data})
    call_all(model, {"predict_n_best": (X, 2)})


def live():
    stream = sr.StatefulPredictor(fitted("regressor", loss="gaussian"))
    call_all(stream, {"predict": (X,), "predict_quantiles": (X,), "sample": (X, 2, 0)})
    labels = sr.StatefulPredictor(fitted("tagger"))
    call_all(labels, {"predict_proba": (X,), "predict_log_proba": (X,), "reset": ()})
    copy.deepcopy(stream)


def checkpoints():
    with tempfile.TemporaryDirectory() as folder:
        model, data = make("regressor", checkpoint=folder, checkpoint_seconds=0)
        model.fit(*data)


def flattened():
    flattener = sr.SequenceFlattener().fit(X)
    call_all(flattener, {"transform": (X,), "get_feature_names_out": ()})


def scaled():
    scaler = sr.SequenceScaler().fit(X)
    scaler.inverse_transform(scaler.transform(X))
    scaler.set_output(transform="default")


def tokenized():
    for level in ("char", "subword"):
        sentences = [" ".join([word] * 3) for word in WORDS]
        tokenizer = sr.SequenceTokenizer(level, max_tokens=300).fit(sentences)
        tokenizer.inverse_transform(tokenizer.transform(sentences))
    tokenizer.fit_transform(sentences)
    tokenizer.set_output(transform="default").get_feature_names_out()


def words():
    rows = [["The", "cat", "sat"], ["A", "dog"]]
    features = sr.WordFeatures().fit(rows)
    features.set_output(transform="default").transform(rows)
    features.get_feature_names_out()


def windows():
    windower = sr.SequenceWindower(4).set_output(transform="default")
    windower.fit_transform(TABLE)
    found = windower.fit(TABLE).transform(TABLE)
    windower.get_feature_names_out()
    sr.make_windows(TABLE, TABLE["temp"], n_steps=4)
    sr.join_windows(found[3:], np.zeros((77, 4)), per_step=True)


def sequences():
    array = sr.SequenceArray(np.arange(12.0).reshape(6, 2), [0, 3], [3, 3])
    array.scale(np.zeros(2), np.ones(2)).scale_steps(np.ones((2, 2)))
    array.difference([0]).over([0], [2]).gather([0])
    array.with_transforms().read_rows(np.arange(3))
    array.augment(np.arange(2), np.random.RandomState(0))
    call_all(array, {"last_step": (), "last_steps": (2,), "lengths_of": ([0],)})
    for name in ("augmentation", "categories", "differenced", "dtype", "tokens"):
        getattr(array, name)
    for name in ("ends", "lengths", "n_features", "shape", "starts", "common_length"):
        getattr(array, name)
    sr.SequenceWindower(4).fit_transform(TABLE).times_of(np.arange(3))


def sampling():
    rules, logits = sr.Sampling(top_p=0.7, repetition_penalty=1.5), np.zeros((1, 4))
    rules.changed()
    rules.penalize(logits, np.array([[0]]))
    rules.probabilities(logits)
    rules.draw(logits, np.random.RandomState(0))
    rules.draw_frames(logits, np.random.RandomState(0))


def calendar():
    features = sr.CalendarFeatures(holidays="US").set_output(transform="default")
    features.fit(TABLE).transform(TABLE)
    features.get_feature_names_out()


def forecasts():
    with_gap = TABLE.drop(index=TIMES[10])
    sr.fill_gaps(with_gap)
    sr.forecast(fitted_forecaster(), TABLE)
    future = TABLE[["wind"]][:4].set_index(TIMES[-1] + (TIMES[1:5] - TIMES[0]))
    options = {"horizon": 4, "n_paths": 5, "random_state": 0}
    sr.forecast(fitted_forecaster(), TABLE, future=future, **options)
    frame = sr.backtest(forecaster(), TABLE, "temp", 2, cv=2, season=4)
    sr.score_forecasts(frame)


def calibrated():
    model = sr.ConformalCalibrator().fit(past())
    model.partial_fit(past())
    model.transform(past())


def anomalies():
    detector = sr.ForecastAnomalyDetector(n_steps=4, random_state=0).fit(TABLE[:60])
    reading = ["decision_function", "predict", "score_features", "score_samples"]
    call_all(detector, dict.fromkeys(reading, (TABLE[60:],)))
    detector.stream(TABLE[:60])


def importances():
    import matplotlib.pyplot as plt

    sr.sequence_importance(fitted("regressor"), X, Y, n_repeats=1, random_state=0)
    options = {"n_repeats": 1, "random_state": 0}
    shown = sr.ImportanceDisplay.from_estimator(fitted("regressor"), X, Y, **options)
    sr.ImportanceDisplay.from_importance(shown.importance)
    plt.close("all")


def spectrograms():
    mel = sr.LogMelSpectrogram(8000, n_mels=8, noise_snr=(10, 20))
    mel.set_output(transform="default").fit_transform(CLIPS)
    mel.fit(CLIPS).transform(CLIPS)
    mel.get_feature_names_out()
    classes = np.arange(24) % 2
    model = make_pipeline(mel, sr.RNNClassifier(**SMALL)).fit(CLIPS, classes)
    model.predict(CLIPS)


def validation():
    cv = sr.TimeBlockSplit(2)
    cv.get_n_splits(TABLE)
    cross_val_score(forecaster(), TABLE, TABLE["temp"], cv=cv)
    scorer = sr.make_step_scorer(accuracy_score)
    scorer(fitted("tagger"), X, STEPS)


def displays():
    import matplotlib.pyplot as plt

    sr.AttentionDisplay.from_estimator(fitted("regressor", pooling="attention"), X[:3])
    sr.AttentionDisplay.from_weights([[0.5, 0.5]])
    sr.AttentionDisplay.from_alignment(np.ones((2, 2)) / 2, "ab", "ab")
    model = fitted("regressor")
    sr.GradientFlowDisplay.from_estimator(model, X)
    sr.GradientFlowDisplay.from_gradients([[0.1, 1.0], [0.2, 0.3]])
    sr.HiddenStateDisplay.from_estimator(model, X[0])
    sr.LossCurveDisplay.from_estimator(model)
    sr.LossCurveDisplay.from_history([{"train_loss": 1.0}])
    plt.close("all")


def displays_of_forecasts():
    import matplotlib.pyplot as plt

    sr.ForecastDisplay.from_estimator(fitted_forecaster(), TABLE)
    one = past()["origin"].max()
    sr.ForecastDisplay.from_predictions(past()[past()["origin"] == one])
    plt.close("all")


def displays_of_sound():
    import matplotlib.pyplot as plt

    mel = sr.LogMelSpectrogram(8000, n_mels=8).fit(CLIPS)
    sr.SpectrogramDisplay.from_estimator(mel, CLIPS[:2])
    sr.SpectrogramDisplay.from_predictions([[0.0, 1.0], [2.0, 3.0]])
    sr.PosteriorDisplay.from_estimator(fitted("transcriber"), X[:2], ["ab", "ba"])
    sr.PosteriorDisplay.from_predictions([[0.1, 0.1, 0.8], [0.9, 0.0, 0.1]], "ab")
    plt.close("all")


def files():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        for name in ("regressor", "generator"):
            persistence.save_model(fitted(name), path)
            persistence.load_model(path)
        persistence.migrate_model(path, path.with_name("new"))
        persistence.to_onnx(fitted("regressor"), path)


def data_sets():
    for name in datasets.__all__:
        getattr(datasets, name)()


def scores():
    y, quantiles = np.arange(4.0), np.arange(12.0).reshape(4, 3)
    sentences = ["one two three four five"] * 2
    metrics.bleu(sentences, sentences)
    metrics.chrf(sentences, sentences)
    metrics.crps_from_quantiles(y, quantiles, [0.1, 0.5, 0.9])
    metrics.mean_quantile_loss(y, quantiles, [0.1, 0.5, 0.9])
    metrics.interval_coverage(y, y - 1, y + 1)
    metrics.mean_absolute_scaled_error(y, y + 1, scale=1.0)
    metrics.symmetric_mean_absolute_percentage_error(y + 1, y + 2)
    metrics.sequence_accuracy(WORDS, WORDS)
    metrics.symbol_error_rate(WORDS, WORDS)


def in_parallel():
    hook, store = sys.excepthook, distributed.HashStore()
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    sys.excepthook = hook  # torch sets one of its own, not the package
    with sr.data_parallel():
        make("regressor")[0].fit(X, Y)
    distributed.destroy_process_group()


def versions():
    with contextlib.redirect_stdout(io.StringIO()):
        sr.show_versions()


# Errors and interruptions.


class Interruption(Callback):
    """Raises an exception in the middle of training."""

    def __init__(self, exception):
        self.exception = exception

    def on_batch_end(self, net, **kwargs):
        raise self.exception()


def raises(expected, call, *arguments, **options):
    """Check that a call ends in an exception."""
    try:
        call(*arguments, **options)
    except expected:
        return
    raise AssertionError(f"{call} raised no {expected}")


def interrupted_fits():
    for name in ESTIMATORS:
        for exception in (KeyboardInterrupt, ValueError):
            model, data = make(name, callbacks=[Interruption(exception)])
            raises(exception, model.fit, *data)


def interrupted_forecasts():
    for exception in (KeyboardInterrupt, ValueError):
        model = forecaster(callbacks=[Interruption(exception)])
        raises(exception, sr.backtest, model, TABLE, "temp", 2, cv=2, season=4)
        raises(exception, model.fit, TABLE, TABLE["temp"])


def wrong_data():
    for name in ESTIMATORS:
        raises(ValueError, make(name)[0].set_params(hidden_size=-1).fit, X, Y)
    for name in ("regressor", "classifier", "tagger", "transcriber"):
        raises(ValueError, fitted(name).predict, X[:, :, :1])
        raises(ValueError, make(name)[0].fit, X * np.nan, make(name)[1][1])
    raises(ValueError, fitted("generator").sample, "?")
    raises(TypeError, fitted("encoder-decoder").predict, [[1]])
    raises(ValueError, sr.forecast, fitted_forecaster(), TABLE[["wind"]])
    raises(ValueError, sr.make_forecast_frame, TABLE, "rain", 2)
    raises(ValueError, sr.StatefulPredictor(fitted("regressor")).predict, X[:, :, :1])
    raises(ValueError, sr.SequenceTokenizer("letter").fit, WORDS)


def wrong_files():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(b"none of ours")
        raises(sr.InvalidModelError, persistence.load_model, path)
        model = fitted("regressor")
        raises(OSError, persistence.save_model, model, path / "below a file")


ESTIMATORS = [
    *("regressor", "classifier", "tagger"),
    *("generator", "encoder-decoder", "transcriber"),
]
CALLS = {
    call.__name__: call
    for call in (
        *(regressor, classifier, tagger, generator, generator_of_frames),
        *(encoder_decoder, transcriber, live, checkpoints, flattened, scaled),
        *(tokenized, words, windows, sequences, sampling, calendar, forecasts),
        *(
            calibrated,
            anomalies,
            importances,
            spectrograms,
            validation,
            displays,
            displays_of_forecasts,
        ),
        *(
            displays_of_sound,
            files,
            data_sets,
            scores,
            versions,
            in_parallel,
            interrupted_fits,
        ),
        *(interrupted_forecasts, wrong_data, wrong_files),
    )
}


# Whether these are all.


def code_of(thing):
    """Return the code of a function of this package, or None."""
    for wrapped in ("__func__", "fget", "func", "fn"):  # of methods and properties
        thing = getattr(thing, wrapped, thing)
    function = inspect.unwrap(thing) if callable(thing) else thing
    is_ours = getattr(function, "__module__", "").startswith("sklearn_rnn")
    return function.__code__ if is_ours and inspect.isfunction(function) else None


def public_code():
    """Return the code of every public function and method, by name."""
    found = {}
    for door in (sr, datasets, metrics, persistence):
        for name in door.__all__:
            thing = getattr(door, name)
            found[name] = code_of(thing)
            for member in dir(thing) if inspect.isclass(thing) else ():
                if not member.startswith("_"):
                    static = inspect.getattr_static(thing, member)
                    found[f"{name}.{member}"] = code_of(static)
    return {name: code for name, code in found.items() if code is not None}


def report():
    """Make every call; return what each changed, and public calls not among them."""
    called, changes = set(), {}
    sys.setprofile(lambda frame, event, _: called.add(frame.f_code))
    for name, call in CALLS.items():
        changes[name] = changed_by(call)
    sys.setprofile(None)
    missing = [name for name, code in public_code().items() if code not in called]
    return {"changes": changes, "missing": missing}


if __name__ == "__main__":
    warnings.simplefilter("ignore", sr.SklearnRNNWarning)
    print(json.dumps(report()))
