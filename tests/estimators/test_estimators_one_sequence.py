"""One sequence given alone is no list of sequences, and a list is a list."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from sklearn_rnn import (
    InvalidSequenceError,
    RNNClassifier,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceArray,
    SequenceFlattener,
    SequenceScaler,
    SequenceTokenizer,
    SequenceWindower,
    StatefulPredictor,
)

N, T = 12, 5
RNG = np.random.default_rng(0)
BLOCK = RNG.normal(size=(N, T, 2))
QUICK = {"hidden_size": 3, "max_epochs": 1, "random_state": 0}
MODELS = {
    "regressor": (
        RNNRegressor(
            loss="quantile", pooling="attention", subtract_last=False, **QUICK
        ),
        "flat",
    ),
    "steps": (RNNRegressor(return_sequences=True, **QUICK), "steps"),
    "classifier": (RNNClassifier(**QUICK), "labels"),
    "tagger": (RNNTagger(**QUICK), "tags"),
    "seq2seq": (RNNSeq2Seq(source="sequences", **QUICK), "text"),
    "transcriber": (RNNTranscriber(**QUICK), "text"),
    "scaler": (SequenceScaler(), "none"),
    "flattener": (SequenceFlattener(), "none"),
    "windower": (SequenceWindower(3), "none"),
}
METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_quantiles",
    "hidden_states",
    "attention_weights",
    "input_gradients",
    "transform",
    "inverse_transform",
)
FITTED_ON = {
    "3-D array": lambda X: X,
    "list": list,
    "object array": lambda X: pd.Series(list(X)).to_numpy(),
    "container": lambda X: SequenceArray(
        X.reshape(-1, X.shape[2]), np.arange(N) * T, np.full(N, T)
    ),
    "frames": lambda X: [pd.DataFrame(x).add_prefix("f") for x in X],
}
ALONE = {
    "array": np.asarray,
    "frame": pd.DataFrame,
    "polars frame": lambda x: pl.DataFrame(
        x, schema=[f"f{i}" for i in range(x.shape[1])]
    ),
    "tensor": torch.tensor,
    "column-major array": np.asfortranarray,
}


def targets(kind, X):
    return {
        "flat": X[:, -1, 0],
        "steps": X[:, :, 0],
        "labels": np.arange(N) % 2,
        "tags": (X[:, :, 0] > 0).astype(int),
        "text": ["ab", "b"] * (N // 2),
        "none": None,
    }[kind]


def fit(name, form, n_features):
    estimator, kind = MODELS[name]
    X = BLOCK[:, :, :n_features]
    return estimator.fit(FITTED_ON[form](X), targets(kind, X))


def methods_of(model):
    skipped = set()
    if getattr(model, "loss", None) != "quantile":
        skipped.add("predict_quantiles")
    if getattr(model, "pooling", None) != "attention":
        skipped.add("attention_weights")
    return [m for m in METHODS if hasattr(model, m) and m not in skipped]


@pytest.mark.thorough
@pytest.mark.parametrize("n_features", [1, 2])
@pytest.mark.parametrize("form", FITTED_ON)
@pytest.mark.parametrize("name", MODELS)
def test_one_sequence_alone_is_an_error_after_a_fit_on_sequences(
    name, form, n_features
):
    model = fit(name, form, n_features)
    x = BLOCK[0, :, :n_features]
    for method in methods_of(model):
        for alone in ALONE.values():
            with pytest.raises(InvalidSequenceError, match=r"pass \[x\]"):
                getattr(model, method)(alone(x))
        if form != "frames":
            assert len(getattr(model, method)([x])) == 1


@pytest.mark.parametrize("name", ["regressor", "steps", "classifier", "tagger"])
def test_one_sequence_alone_is_an_error_in_training_and_scores(name):
    model = fit(name, "list", 1)
    _, kind = MODELS[name]
    X, x = BLOCK[:, :, :1], BLOCK[0, :, :1]
    y = targets(kind, X)
    for call in (
        lambda: model.score(x, y[:T]),
        lambda: model.partial_fit(x, y[:T]),
        lambda: model.set_params(warm_start=True).fit(x, y[:T]),
        lambda: model.set_params(warm_start=False).fit(X, y, X_val=x, y_val=y[:T]),
    ):
        with pytest.raises(InvalidSequenceError, match=r"pass \[x\]"):
            call()


def test_a_table_of_univariate_sequences_is_told_how_to_be_passed():
    model = fit("regressor", "list", 1)
    X = BLOCK[:, :, 0]
    with pytest.raises(InvalidSequenceError, match=r"X\[:, :, np\.newaxis\]"):
        model.predict(X)
    assert model.predict(X[:, :, np.newaxis]).shape == (N,)


def test_after_a_fit_on_a_table_sequences_are_its_rows():
    X = BLOCK[:, :, 0]
    model = RNNRegressor(**QUICK).fit(X, X[:, 0])
    expected = model.predict(X)
    for given in (list(X), X[:, :, np.newaxis], pd.DataFrame(X), X.tolist()):
        np.testing.assert_array_equal(model.predict(given), expected)
    with pytest.raises(ValueError, match="X has 4 features.*expecting 5"):
        model.predict(X[:, 1:])


def test_nested_lists_of_one_length_allow_the_array_that_they_are():
    X = BLOCK[:, :, 0]
    model = RNNRegressor(**QUICK).fit(X.tolist(), X[:, 0])
    np.testing.assert_array_equal(model.predict(X), model.predict(X.tolist()))
    with pytest.raises(InvalidSequenceError, match=r"pass \[x\]"):
        model.predict(X[:, :1])
    with pytest.raises(InvalidSequenceError, match=r"pass \[x\]"):
        RNNRegressor(**QUICK).fit(list(X), X[:, 0]).predict(X)


def test_a_live_signal_of_one_column_is_steps_or_streams():
    live = StatefulPredictor(fit("regressor", "list", 1))
    with pytest.raises(ValueError, match=r"pass \[x\]"):
        live.predict(BLOCK[0, :, :1])
    assert live.n_steps_ is None
    live.predict([BLOCK[0, :, :1]])
    assert live.n_steps_.tolist() == [T]
    live.reset().predict(BLOCK[:, :1, :1])
    live.predict(BLOCK[:, 1, :1])  # as many rows as streams: one new step of each
    assert live.n_steps_.tolist() == [2] * N


def test_ids_of_one_text_alone_are_an_error():
    tokenizer = SequenceTokenizer()
    X = tokenizer.fit_transform(["one two", "two three one"])
    with pytest.raises(InvalidSequenceError, match=r"pass \[x\]"):
        tokenizer.inverse_transform(X[1])
    assert tokenizer.inverse_transform([X[1]]).tolist() == ["two three one"]
    writer = RNNSeq2Seq(**QUICK).fit(X, ["ab", "b"])
    with pytest.raises(InvalidSequenceError, match=r"pass \[x\[:, 0\]\]"):
        writer.predict(X[1])
    assert len(writer.predict([X[1][:, 0]])) == 1


# A list is a list.


LISTS = {
    "lists": [[1, 2], [3, 4]] * 10,
    "tuples": [(1, 2), (3, 4)] * 10,
    "tuple of arrays": tuple(map(np.array, [[1, 2], [3, 4]] * 10)),
    "Series of lists": pd.Series([[1, 2], [3, 4]] * 10),
    "frame of lists": pd.DataFrame({"ids": [[1, 2], [3, 4]] * 10}),
    "object array": pd.Series([[1, 2], [3, 4]] * 10).to_numpy(),
    "tensors": [torch.tensor(x) for x in [[1, 2], [3, 4]] * 10],
}


@pytest.mark.thorough
@pytest.mark.parametrize("form", LISTS)
def test_lists_of_one_length_are_not_frozen_to_it(form):
    X, y = LISTS[form], [0, 1] * 10
    model = RNNClassifier(embedding_dim=4, **QUICK).fit(X, y)
    assert model.n_features_in_ == 1
    named = hasattr(model, "feature_names_in_")
    assert named == (form == "frame of lists")
    if not named:
        assert model.predict([[1, 2, 3]]).shape == (1,)
        assert model.predict([[1], [2, 3, 4]]).shape == (2,)
        model.partial_fit([[1, 2, 3]], [1])
    for estimator in (
        RNNRegressor(**QUICK),
        RNNTagger(embedding_dim=2, **QUICK),
        SequenceScaler(),
    ):
        targets_of = [[0, 1]] * 20 if isinstance(estimator, RNNTagger) else y
        fitted = estimator.fit(X, targets_of)
        if not named:
            method = getattr(fitted, "predict", getattr(fitted, "transform", None))
            assert len(method([[1, 2, 3]])) == 1


def test_a_windower_of_sequences_takes_lists_of_one_length():
    windower = SequenceWindower(2).fit([[1.0, 2.0, 3.0], [4.0, 5.0]])
    assert windower.transform([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).shape == (2, 2, 1)
    with pytest.raises(InvalidSequenceError, match=r"pass \[x\]"):
        windower.transform(np.zeros((4, 1)))


@pytest.mark.parametrize(
    "X", [[], np.zeros((0, 3, 1)), np.zeros((0, 3)), pd.DataFrame()]
)
def test_no_sequences_are_an_error(X):
    model = fit("regressor", "list", 1)
    with pytest.raises(InvalidSequenceError):
        model.predict(X)


@pytest.mark.parametrize(
    "X", [np.zeros(4), 3.0, np.array(3.0), np.float32(2), "text", None]
)
def test_single_values_and_flat_arrays_are_an_error(X):
    model = fit("regressor", "list", 1)
    with pytest.raises(
        (InvalidSequenceError, TypeError), match="X is|X of|pass|got|holds"
    ):
        model.predict(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[10**400, 1.0]] * 2, "row 0, column 0 is an int"),
        (np.array([1.0, 2.0]), "Expected 2D array"),
        ({"a": [1.0]}, "of type dict"),
        (np.ma.masked_equal([[1.0, 2.0]] * 2, 2), "contains NaN"),
        ([[1.0, 2.0], [1.0]], "shape"),
    ],
)
def test_vectors_that_cannot_be_read_are_named(X, message):
    with pytest.raises((InvalidSequenceError, TypeError), match=message):
        RNNSeq2Seq(source="vectors", **QUICK).fit(X, ["a", "b"])


@pytest.mark.parametrize("name", ["steps", "tagger"])
def test_a_column_is_no_set_of_sequences_to_learn_steps_from(name):
    model, kind = MODELS[name]
    x = BLOCK[0, :, :1]
    y = targets(kind, BLOCK[:1, :, :1])
    with pytest.raises(InvalidSequenceError, match=r"pass \[x\], and \[y\]"):
        model.fit(x, y.T)
    assert len(model.fit([x] * 2, [y[0]] * 2).predict([x])) == 1
    assert len(model.fit(BLOCK[:, :1, :1], targets(kind, BLOCK)[:, :1]).predict([x]))


@pytest.mark.parametrize("name", ["classifier", "tagger", "scaler", "seq2seq"])
def test_the_steps_of_one_sequence_as_nested_lists_are_told_from_sequences(name):
    model = fit(name, "list", 2)
    predict = getattr(model, "predict", getattr(model, "transform", None))
    steps = BLOCK[0].tolist()
    with pytest.raises(
        InvalidSequenceError, match=r"steps of one sequence: pass \[X\]"
    ):
        predict(steps)
    assert len(predict([steps])) == 1


def test_sequences_that_a_windower_took_for_rows_are_told_the_way_out():
    windower = SequenceWindower(2).fit([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(InvalidSequenceError, match=r"np\.reshape\(x, \(-1, 1\)\)"):
        windower.transform([[1.0, 2.0, 3.0]])
    windower.fit([np.reshape(x, (-1, 1)) for x in [[1.0, 2.0], [3.0, 4.0]]])
    assert windower.transform([[1.0, 2.0, 3.0]])[0].ravel().tolist() == [2.0, 3.0]


def test_live_signals_of_other_libraries_are_read():
    model = fit("regressor", "3-D array", 2)
    x = BLOCK[0]
    expected = StatefulPredictor(model).predict([x])
    forms = [
        pl.DataFrame(x),
        torch.tensor(x, requires_grad=True),
        pack_sequence([torch.tensor(x)]),
        pd.DataFrame({"a": [x[:, 0]], "b": [x[:, 1]]}),
    ]
    for form in forms:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X has feature names")
            found = StatefulPredictor(model).predict(form)
        np.testing.assert_array_equal(found, expected)
    step = StatefulPredictor(model).predict([x[:1]])
    for form in (torch.tensor(x[0]), pl.Series(x[0]), pd.Series(x[0]), list(x[0])):
        np.testing.assert_array_equal(StatefulPredictor(model).predict(form), step)
    with pytest.raises(InvalidSequenceError, match="int of 1329 bits"):
        StatefulPredictor(model).predict([10**400, 1.0])


def test_an_encoder_reads_frames_and_packed_sequences_of_numbers():
    columns = {"a": list(BLOCK[:, :, 0]), "b": list(BLOCK[:, :, 1])}
    packed = pack_sequence([torch.tensor(x) for x in BLOCK])
    model, kind = RNNSeq2Seq(**QUICK), "text"
    expected = model.fit(BLOCK, targets(kind, BLOCK)).predict(BLOCK)
    for form in (pd.DataFrame(columns), pl.DataFrame(columns), packed):
        found = RNNSeq2Seq(**QUICK).fit(form, targets(kind, BLOCK)).predict(form)
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("kind", [RNNRegressor, RNNClassifier])
def test_lists_of_one_step_do_not_make_sequences_of_a_column(kind):
    X, y = [[1.0], [2.0]] * 10, [0, 1] * 10
    model = kind(hidden_size=2, max_epochs=1).fit(X, y)
    x = np.arange(7.0)[:, np.newaxis]
    with pytest.raises(InvalidSequenceError, match=r"one sequence: pass \[x\]"):
        model.predict(x)
    assert model.predict([x]).shape == (1,)
    # As scikit-learn's own checks do with longer ones.
    model.fit([[1.0, 2.0], [2.0, 1.0]] * 10, y)
    assert model.predict(np.ones((7, 2))).shape == (7,)


def test_exchanged_axes_after_a_fit_are_told_with_the_remedy():
    X = np.random.default_rng(0).normal(size=(10, 7, 2))
    model = RNNRegressor(hidden_size=2, max_epochs=1).fit(X, np.arange(10.0))
    with pytest.raises(InvalidSequenceError, match=r"pass X\.transpose\(0, 2, 1\)"):
        model.predict(X.transpose(0, 2, 1))
    with pytest.raises(InvalidSequenceError, match=r"pass \[x\.T for x in X\]"):
        model.predict([X[0].T])
