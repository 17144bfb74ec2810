"""Files of to_onnx predict what the model predicts, without this package."""

import json
import subprocess
import sys
from itertools import product

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNTagger,
    SequenceScaler,
    SequenceTokenizer,
    SequenceWindower,
    StatefulPredictor,
    make_forecast_frame,
)
from sklearn_rnn.estimators.tasks import RegressionTask
from sklearn_rnn.persistence import to_onnx

SMALL = {"hidden_size": 5, "max_epochs": 1, "random_state": 0, "n_threads": 1}
NETWORK = {**SMALL, "linear_skip": False, "target_feature": None}
CELLS = ["rnn", "rnn_relu", "lstm", "gru"]
POOLINGS = ["last", "mean", "max", "attention"]
# Of the scale of the targets, or of probabilities.
TOLERANCE = 1e-5


def ragged(n=60, longest=12, offset=0.0):
    """Return sequences of two features, of unequal length, in float32."""
    rng = np.random.default_rng(0)
    lengths = [1, longest, *rng.integers(1, longest + 1, n - 2)]
    return [(rng.normal(size=(k, 2)) + offset).astype(np.float32) for k in lengths]


def means(X):
    return np.array([x[:, 0].mean() for x in X])


def forecast_windows(n=120, offset=20.0, horizon=3):
    rng = np.random.default_rng(1)
    series = np.sin(np.arange(n) / 4) + rng.normal(size=n).cumsum() / 10 + offset
    X = np.lib.stride_tricks.sliding_window_view(series, 16)[:-horizon]
    y = np.stack([series[16 + k :][: len(X)] for k in range(horizon)], axis=1)
    return X[:, :, np.newaxis].astype(np.float32), y


def pad(X, filling):
    """Return padded sequences, and their lengths."""
    lengths = np.array([len(x) for x in X])
    shape = (len(X), lengths.max(), *np.shape(X[0])[1:])
    padded = np.full(shape, filling, dtype=np.asarray(X[0]).dtype)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = x
    return {"X": padded, "lengths": lengths}


class File:
    """A model's file, run by ONNX Runtime."""

    def __init__(self, model, folder, **options):
        self.path = folder / "model.onnx"
        to_onnx(model, self.path, **options)
        self.session = onnxruntime.InferenceSession(self.path)
        self.inputs = {i.name: i for i in self.session.get_inputs()}
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.metadata = self.session.get_modelmeta().custom_metadata_map

    def run(self, **inputs):
        return dict(zip(self.outputs, self.session.run(None, inputs), strict=True))

    def predict(self, X, filling=np.nan):
        return self.run(**pad(X, filling))


def assert_near(found, expected, scale=None):
    """Check that values, of sequences or of their steps, agree to the tolerance."""
    if isinstance(expected[0], np.ndarray) and expected.dtype == object:  # of steps
        found = np.concatenate(
            [f[: len(e)] for f, e in zip(found, expected, strict=True)]
        )
        expected = np.concatenate(list(expected))
    if expected.dtype.kind not in "fi":
        assert (found == expected).all()
        return
    scale = np.std(expected) if scale is None else scale
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale)


def assert_same(model, X, folder, filling=np.nan):
    """Check all outputs of a model's file; return the file."""
    file = File(model, folder)
    found = file.predict(X, filling)
    if hasattr(model, "predict_proba"):
        assert_near(found["label"], model.predict(X))
        assert_near(found["probabilities"], model.predict_proba(X), 1.0)
    else:
        scale = np.std(np.concatenate([np.ravel(p) for p in model.predict(X)]))
        assert_near(found["prediction"], model.predict(X), scale)
        if "quantiles" in found:
            assert_near(found["quantiles"], model.predict_quantiles(X), scale)
    return file


# Networks


@pytest.mark.thorough
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_networks_of_every_kind_predict_the_same(cell, bidirectional, tmp_path):
    X = ragged()
    options = {**NETWORK, "cell": cell, "bidirectional": bidirectional}
    for pooling, n_layers in product(POOLINGS, [1, 2]):
        model = RNNRegressor(**options, pooling=pooling, n_layers=n_layers)
        assert_same(model.fit(X, means(X)), X, tmp_path)
    model = RNNRegressor(**options, return_sequences=True)
    assert_same(model.fit(X, [x.cumsum(axis=0) for x in X]), X, tmp_path)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("options", [{"residual": True}, {"layer_norm": True}])
def test_deep_networks_predict_the_same(options, bidirectional, tmp_path):
    X, shape = ragged(), {"n_layers": 3, "bidirectional": bidirectional}
    model = RNNRegressor(**NETWORK, **shape, **options)
    assert_same(model.fit(X, means(X)), X, tmp_path)


@pytest.mark.parametrize("filling", [0.0, 1e30, np.nan])
def test_padding_does_not_change_predictions(filling, tmp_path):
    X = ragged()
    model = RNNClassifier(**SMALL, bidirectional=True, pooling="attention")
    assert_same(model.fit(X, means(X) > 0), X, tmp_path, filling)


def test_a_prediction_does_not_depend_on_the_batch(tmp_path):
    X = ragged()
    file = File(RNNRegressor(**SMALL).fit(X, means(X)), tmp_path)
    together = file.predict(X)["prediction"]
    alone = [file.predict([x])["prediction"] for x in X]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)


def test_long_sequences_of_the_default_network_predict_the_same(tmp_path):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)).astype(np.float32) for n in [400] * 20 + [399, 7]]
    options = {"max_epochs": 2, "random_state": 0, "convolutions": None}
    model = RNNClassifier(**options, pooling="mean").fit(X, means(X) > 0)
    assert_same(model, X, tmp_path)


def test_inputs_far_from_zero_keep_their_digits(tmp_path):
    X = ragged(offset=1000.0)
    assert_same(RNNRegressor(**SMALL).fit(X, means(X)), X, tmp_path)


def test_weights_of_double_are_rounded(tmp_path):
    X = ragged(20)
    model = RNNRegressor(**NETWORK, dtype="float64").fit(X, means(X))
    file = assert_same(model, X, tmp_path)
    assert file.metadata["trained_in"] == "float64"


def test_a_length_that_there_is_not_is_an_error(tmp_path):
    X = ragged()
    file = File(RNNRegressor(**SMALL).fit(X, means(X)), tmp_path)
    inputs = pad(X, 0.0)
    for wrong in (0, -1, inputs["X"].shape[1] + 1):
        inputs["lengths"][3] = wrong
        with pytest.raises(Exception, match="invalid ind"):
            file.run(**inputs)


# Regressors


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "gru", "season": 7},
        {"cell": "gru", "subtract_last": True},
        {"cell": "gru", "scale_windows": True},
        {"linear_skip": False, "scale_windows": True},
        {"target_feature": None, "subtract_last": "auto"},
        {"loss": "absolute_error", "bounds": (17.0, 20.0)},
        {"loss": "quantile", "quantiles": (0.2, 0.3, 0.9)},
        {"loss": "quantile", "scale_windows": True},
        {"loss": "gaussian"},
        {"loss": "student_t", "scale_windows": True},
    ],
    ids=str,
)
def test_forecasts_are_the_same(options, tmp_path):
    X, y = forecast_windows()
    bounded = np.clip(y, *options.get("bounds", (None, None)))
    model = RNNRegressor(**{**SMALL, "target_feature": 0, **options}).fit(X, bounded)
    model._task.linear.weight[:] = 0.5  # both parts count
    shorter = [x[-k:] for x, k in zip(X, range(1, 16), strict=False)]
    assert_same(model, [*X, *shorter], tmp_path)


def test_the_linear_part_sees_logarithms_as_in_predict(tmp_path):
    X, y = forecast_windows(offset=4.0)
    model = RNNRegressor(**SMALL, target_feature=0).fit(X, y)
    assert any(name.startswith("log_") for name in model.linear_.member_weights_)
    beyond = [x * factor for x, factor in zip(X, [100, 0.01, -1, 0], strict=False)]
    assert_same(model, [*X, *beyond], tmp_path)


def test_several_pasts_and_other_features_are_read_as_in_predict(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 10, 3)).cumsum(axis=1).astype(np.float32)
    y = X[:, -1, [2, 0, 2]] + 0.1 * X[:, -2, [1, 1, 1]]
    for options in ({}, {"scale_windows": True}):
        model = RNNRegressor(**SMALL, target_feature=[2, 0, 2], **options)
        assert_same(model.fit(X, y), list(X), tmp_path)


@pytest.mark.parametrize("loss", ["poisson", "negative_binomial"])
def test_counts_are_the_same(loss, tmp_path):
    X = ragged()
    y = np.random.default_rng(0).poisson(np.exp(means(X)))
    model = RNNRegressor(**SMALL, loss=loss).fit(X, y)
    model._task.linear.weight[:] = 0.5
    assert_same(model, X, tmp_path)


def test_parameters_of_the_distribution_give_the_quantiles(tmp_path):
    X, y = forecast_windows()
    model = RNNRegressor(**SMALL, loss="gaussian").fit(X, y)
    mean, deviation = np.moveaxis(File(model, tmp_path).predict(X)["parameters"], -1, 0)
    expected = model.predict_quantiles(X, [0.5, 0.8413447461])
    assert_near(np.stack([mean, mean + deviation], axis=-1), expected)


def test_targets_of_every_step_are_relative_to_its_own_value(tmp_path):
    X = ragged()
    model = RNNRegressor(
        **SMALL, return_sequences=True, target_feature=0, loss="quantile"
    )
    assert_same(model.fit(X, [x[:, 0] * 2 for x in X]), X, tmp_path)


def test_distributions_of_every_step_are_the_same(tmp_path):
    X = np.stack([x for x in ragged(400) if len(x) == 12])
    options = {**SMALL, "return_sequences": True, "loss": "student_t"}
    model = RNNRegressor(**options).fit(X, X.cumsum(axis=1))
    assert_same(model, X, tmp_path)
    assert_same_steps(model, X, tmp_path)


def test_streams_of_partial_fit_predict_the_same(tmp_path):
    X = ragged()
    model = RNNRegressor(**SMALL, linear_skip=True)
    model.partial_fit(X, means(X)).partial_fit(X, means(X) + 1)
    model._task.linear.weight[:] = 0.5
    assert_same(model, X, tmp_path)


def test_steps_of_padding_have_no_prediction(tmp_path):
    X = [x[:7] for x in ragged()]
    model = RNNRegressor(**SMALL, return_sequences=True).fit(X, X)
    tagger = RNNTagger(**SMALL).fit(X, [x[:, 0] > 0 for x in X])
    for fitted, name in ((model, "prediction"), (tagger, "probabilities")):
        found = File(fitted, tmp_path).predict(X)[name]
        lengths = np.isfinite(found).all(axis=2).sum(axis=1)
        assert lengths.tolist() == [len(x) for x in X]


# Classes


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["down", "up"]),
        np.array([3, 8, 12], dtype=np.int16),
        np.array([False, True]),
        np.array([1.0, 2.0]),
        np.array(["down", "up"], dtype=object),
    ],
    ids=["strings", "integers", "bools", "floats", "objects"],
)
def test_labels_are_those_of_the_classes(classes, tmp_path):
    X = ragged()
    y = classes[np.digitize(means(X), [0.0, 0.3][: len(classes) - 1])]
    file = assert_same(RNNClassifier(**SMALL).fit(X, y), X, tmp_path)
    assert json.loads(file.metadata["classes"]) == classes.tolist()
    assert type(file.predict(X)["label"].tolist()[0]) is type(classes.tolist()[0])


@pytest.mark.parametrize("n_channels", [1, 12])
def test_convolutions_predict_the_same(n_channels, tmp_path):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, n_channels)) for n in rng.integers(2, 90, 40)]
    X = [x.astype(np.float32) for x in X]
    model = RNNClassifier(**SMALL).fit(X, np.arange(40) % 3)
    assert model.convolutions_ is not None
    assert_same(model, X, tmp_path)


def test_taggers_predict_the_same(tmp_path):
    X = ragged()
    model = RNNTagger(**SMALL, bidirectional=True, n_layers=2)
    model.fit(X, [np.where(x[:, 0] > 0, "up", "down") for x in X])
    assert_same(model, X, tmp_path)


# Tokens and categories


def ids(n=90):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 15, k) for k in [1, 12, *rng.integers(1, 13, n - 2)]]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_words_and_pairs_are_counted_as_in_predict(n_classes, tmp_path):
    X = ids()
    y = [min(x.min(), n_classes - 1) for x in X]
    model = RNNClassifier(**SMALL, embedding_dim=4, bag_of_words=True).fit(X, y)
    unknown = [np.array([99, 3, 99, 3, 4]), np.array([50])]
    assert_same(model, [*X, *unknown], tmp_path, filling=3)


def test_tokens_that_stand_for_words_are_in_the_metadata(tmp_path):
    texts = ["good film", "bad film", "a bad bad film", "so good"] * 12
    tokenizer, y = SequenceTokenizer(), ["bad" in text for text in texts]
    X = tokenizer.fit_transform(texts)
    model = RNNClassifier(**SMALL, embedding_dim=4).fit(X, y)
    file = File(model, tmp_path)
    expected = model.predict_proba(tokenizer.transform(["a good movie", "film"]))
    words = json.loads(file.metadata["tokens"])
    unknown = 1  # what is no known word
    X = [
        np.array([words.index(w) if w in words else unknown for w in text.split()])
        for text in ("a good movie", "film")
    ]
    assert_near(file.predict(X, filling=0)["probabilities"], expected, 1.0)


def test_tokens_are_read_by_regressors_and_taggers(tmp_path):
    X = ids()
    options = {**SMALL, "embedding_dim": 4}
    model = RNNRegressor(**options).fit(X, [x.mean() for x in X])
    assert_same(model, X, tmp_path, filling=3)
    model = RNNTagger(**options).fit(X, [x % 3 for x in X])
    assert_same(model, X, tmp_path, filling=3)


def test_categories_are_read_by_their_numbers(tmp_path):
    X = [x.copy() for x in ragged()]
    for i, x in enumerate(X):
        x[:, 1] = (i + np.arange(len(x))) % 4 * 2
    model = RNNRegressor(**SMALL, categorical_features=[1]).fit(X, means(X))
    assert model.linear_.layout.n_indicators == 4
    model._task.linear.weight[:] = 0.5
    changed = [x.copy() for x in X[:3]]
    for x, code in zip(changed, (-1, 3, 100), strict=True):  # missing and unknown
        x[:, 1] = code
    file = assert_same(model, [*X, *changed], tmp_path)
    assert json.loads(file.metadata["categories"]) == {"1": [0, 2, 4, 6]}
    model = RNNClassifier(**SMALL, categorical_features=[1]).fit(X, means(X) > 0)
    assert_same(model, [*X, *changed], tmp_path)


def test_categories_that_float32_cannot_tell_apart_are_refused(tmp_path):
    X = [x.astype(np.float64) for x in ragged()]
    for i, x in enumerate(X):
        x[:, 1] = 20240103 + (i + np.arange(len(x))) % 2  # both are 20240104
    model = RNNRegressor(**SMALL, categorical_features=[1]).fit(X, means(X))
    with pytest.raises(ValueError, match=r"20240103.* and 20240104.* of feature 1"):
        to_onnx(model, tmp_path / "model.onnx")


def test_categories_with_names_are_read_by_their_positions(tmp_path):
    rng = np.random.default_rng(0)
    time = pd.date_range("2024-01-01", periods=80, freq="D")
    table = pd.DataFrame({"load": rng.normal(size=80).cumsum()}, index=time)
    table["sky"] = np.array(["rain", "snow", "sun"])[np.arange(80) % 3]
    X, y = make_forecast_frame(table, "load", horizon=2)
    windows = SequenceWindower(5).fit(X, y).transform(X)
    model = RNNRegressor(**SMALL).fit(windows, y)
    model._task.linear.weight[:] = 0.5
    file = File(model, tmp_path)
    names = json.loads(file.metadata["feature_names"])
    sky = json.loads(file.metadata["categories"])["sky"]
    numbers = X.assign(sky=[sky.index(value) + 1 for value in X["sky"]])[names]
    rows = [numbers.to_numpy(np.float32)[max(0, i - 4) : i + 1] for i in range(len(X))]
    assert_near(file.predict(rows)["prediction"], model.predict(windows))
    assert json.loads(file.metadata["target_names"]) == ["load+1", "load+2"]


# Step by step


def assert_same_steps(model, X, folder):
    """Check a model of one step against `StatefulPredictor`; return its file."""
    file, live = File(model, folder, stateful=True), StatefulPredictor(model)
    state = np.zeros((len(X), int(file.metadata["state_size"])), np.float32)
    for t in range(X.shape[1]):
        found = file.run(X=X[:, t], state=state)
        state = found["next_state"]
        is_classifier = hasattr(model, "predict_proba")
        name, predict = "prediction", live.predict
        if is_classifier:
            name, predict = "probabilities", live.predict_proba
        expected = np.stack(list(predict(list(X[:, t, np.newaxis]))))
        expected = expected.reshape(found[name].shape)
        assert_near(found[name], expected, 1.0)
        if is_classifier:
            labels = model.classes_[expected.argmax(axis=1)]
            assert (found["label"] == labels).all()
    return file


@pytest.mark.parametrize("cell", CELLS)
def test_steps_predict_the_same_with_every_network(cell, tmp_path):
    X = np.stack([x for x in ragged(400) if len(x) == 12])
    deep = {"n_layers": 2, "residual": True, "layer_norm": True}
    for pooling in POOLINGS:
        model = RNNRegressor(**NETWORK, cell=cell, pooling=pooling, **deep)
        assert_same_steps(model.fit(X, means(X)), X, tmp_path)
    model = RNNRegressor(**NETWORK, cell=cell, return_sequences=True)
    assert_same_steps(model.fit(X, X.cumsum(axis=1)), X, tmp_path)


def test_steps_are_read_by_the_linear_part(tmp_path):
    X, y = forecast_windows()
    options = {**SMALL, "target_feature": 0, "subtract_last": False}
    for others in ({}, {"loss": "quantile"}):
        model = RNNRegressor(**options, **others).fit(X, y)
        model._task.linear.weight[:] = 0.5
        assert_same_steps(model, X[:5], tmp_path)


def test_steps_of_classifiers_and_taggers_predict_the_same(tmp_path):
    X = np.stack([x for x in ragged(400) if len(x) == 12])
    model = RNNClassifier(**SMALL, convolutions=None).fit(X, means(X) > 0)
    assert_same_steps(model, X, tmp_path)
    model = RNNTagger(**SMALL).fit(X, np.where(X[:, :, 0] > 0, "up", "down"))
    assert_same_steps(model, X, tmp_path)
    tokens = np.random.default_rng(0).integers(0, 9, (50, 6))
    options = {**SMALL, "embedding_dim": 4}
    model = RNNClassifier(**options, bag_of_words=False)
    assert_same_steps(model.fit(list(tokens), tokens[:, 0] > 4), tokens, tmp_path)


def test_a_stream_begins_again_where_its_state_is_zero(tmp_path):
    X, y = forecast_windows()
    model = RNNRegressor(**SMALL, target_feature=0, subtract_last=False).fit(X, y)
    file = File(model, tmp_path, stateful=True)
    size = int(file.metadata["state_size"])
    first = file.run(X=X[:2, 0], state=np.zeros((2, size), np.float32))
    state = first["next_state"].copy()
    state[1] = 0
    second = file.run(X=X[[0, 1], [1, 0]], state=state)
    np.testing.assert_allclose(second["prediction"][1], first["prediction"][1])
    assert not np.allclose(second["prediction"][0], first["prediction"][0])


@pytest.mark.parametrize(
    "estimator, word",
    [
        (RNNRegressor(**SMALL, bidirectional=True), "bidirectional"),
        (RNNRegressor(**SMALL, target_feature=0, season=4), "season"),
        (RNNRegressor(**SMALL, target_feature=0, subtract_last=True), "subtract_last"),
        (RNNClassifier(**SMALL), "convolutions"),
    ],
    ids=["bidirectional", "season", "subtract_last", "convolutions"],
)
def test_steps_are_refused_where_predictions_need_later_ones(estimator, word, tmp_path):
    X = ragged()
    model = estimator.fit(X, (means(X) > 0).astype(int))
    with pytest.raises(ValueError, match=word):
        to_onnx(model, tmp_path / "model.onnx", stateful=True)
    assert not list(tmp_path.iterdir())


# The file itself

ALONE = """
import sys
for name in ("sklearn_rnn", "torch", "sklearn", "skorch", "pandas", "scipy", "onnx"):
    sys.modules[name] = None  # an import of it raises
import numpy as np
import onnxruntime
arrays = np.load("arrays.npz")
session = onnxruntime.InferenceSession("model.onnx")
inputs = {"X": arrays["X"], "lengths": arrays["lengths"]}
found = session.run([str(arrays["output"])], inputs)[0]
print(float(np.abs(found - arrays["expected"]).max()))
"""


@pytest.mark.parametrize("kind", [RNNRegressor, RNNClassifier])
def test_a_program_without_this_package_predicts_the_same(kind, tmp_path):
    X = ragged()
    model = kind(max_epochs=2, random_state=0)
    if kind is RNNRegressor:
        output, expected = "prediction", model.fit(X, means(X)).predict(X)
    else:
        model.fit(X, np.where(means(X) > 0, "up", "down"))
        output, expected = "probabilities", model.predict_proba(X)
    to_onnx(model, tmp_path / "model.onnx")
    arrays = {"output": output, "expected": expected, **pad(X, np.nan)}
    np.savez(tmp_path / "arrays.npz", **arrays)
    command = [sys.executable, "-I", "-c", ALONE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < TOLERANCE


def test_the_file_describes_itself(tmp_path):
    X, y = forecast_windows()
    frames = [pd.DataFrame({"load": x[:, 0]}) for x in X]
    model = RNNRegressor(**SMALL, loss="quantile").fit(frames, y)
    file = File(model, tmp_path, metadata={"step": "1 h"})
    import sklearn_rnn

    found = file.metadata
    assert found["sklearn_rnn"] == sklearn_rnn.__version__
    assert found["estimator"] == "RNNRegressor"
    assert found["step"] == "1 h"
    assert json.loads(found["feature_names"]) == ["load"]
    assert json.loads(found["quantiles"]) == [0.1, 0.5, 0.9]
    described = json.loads(found["inputs_and_outputs"])
    assert set(described) == {*file.inputs, *file.outputs}
    assert file.inputs["X"].shape == ["N", "T", 1]
    assert file.inputs["lengths"].type == "tensor(int64)"


def test_metadata_are_strings_that_the_file_does_not_have_anyway(tmp_path):
    X = ragged()
    model = RNNRegressor(**SMALL).fit(X, means(X))
    with pytest.raises(ValueError, match="'estimator', which the file has"):
        to_onnx(model, tmp_path / "model.onnx", metadata={"estimator": "mine"})
    with pytest.raises(TypeError, match="'step': 3"):
        to_onnx(model, tmp_path / "model.onnx", metadata={"step": 3})


def test_other_models_are_refused_with_what_to_do(tmp_path):
    path, X = tmp_path / "model.onnx", ragged()
    pipeline = make_pipeline(SequenceScaler(), RNNRegressor(**SMALL))
    with pytest.raises(TypeError, match=r"to_onnx\(pipeline\[-1\], path\)"):
        to_onnx(pipeline.fit(X, means(X)), path)
    search = GridSearchCV(RNNRegressor(**SMALL), {"tol": [0.0]}, cv=2)
    with pytest.raises(TypeError, match="best_estimator_"):
        to_onnx(search.fit(X, means(X)), path)
    with pytest.raises(TypeError, match="got RNNGenerator"):
        to_onnx(RNNGenerator(), path)
    with pytest.raises(NotFittedError):
        to_onnx(RNNRegressor(), path)


def test_a_model_whose_outputs_mean_something_else_is_refused(tmp_path):
    class OwnTask(RegressionTask):
        pass

    class Own(RNNRegressor):
        _task_type = OwnTask

    X = ragged()
    with pytest.raises(TypeError, match="Own has a task of its own"):
        to_onnx(Own(**SMALL).fit(X, means(X)), tmp_path / "model.onnx")


def test_without_onnx_the_error_names_the_extra(tmp_path, monkeypatch):
    X = ragged()
    model = RNNRegressor(**SMALL).fit(X, means(X))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'(?s)extra "onnx".*pip install onnx'):
        to_onnx(model, tmp_path / "model.onnx")
