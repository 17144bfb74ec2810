"""Random sequences, targets and parameters through fit and what follows it."""

import copy
import pickle

import numpy as np
import torch
from fuzz_outcomes import (
    FEW_AND_MANY,
    assert_finite,
    assert_same,
    fuzz,
    only_documented_warnings,
    outcome,
    rarely,
    succeed,
)
from fuzz_sequences import (
    any_sequences,
    labels_for,
    numbers_for,
    odd_targets_for,
    parameters,
    sequences,
    step_labels_for,
    step_numbers_for,
    symbols_for,
)
from hypothesis import assume, event
from hypothesis import strategies as st

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceScaler,
)
from sklearn_rnn.sequences import check_sequences

TARGETS = {
    RNNRegressor: numbers_for,
    RNNClassifier: labels_for,
    RNNTagger: step_labels_for,
    RNNTranscriber: symbols_for,
    RNNSeq2Seq: symbols_for,
}
METHODS = {
    RNNRegressor: ["predict", "hidden_states", "input_gradients", "predict_quantiles"],
    RNNClassifier: ["predict", "predict_proba", "predict_log_proba", "hidden_states"],
    RNNTagger: ["predict", "predict_proba", "attention_weights"],
    RNNTranscriber: ["predict", "posteriors", "predict_n_best"],
    RNNSeq2Seq: ["predict", "attention", "predict_n_best"],
}


@st.composite
def calls(draw):
    """Draw an estimator, training data, and a method with the data to call it on."""
    estimator = draw(st.sampled_from(sorted(TARGETS, key=lambda kind: kind.__name__)))
    data = draw(any_sequences())
    params, valid = draw(parameters(estimator))
    targets = TARGETS[estimator]
    if params.get("return_sequences") is True:
        targets = step_numbers_for
    usual = not rarely(draw)
    y = draw(targets(data) if usual else odd_targets_for(data))
    weights = None
    if rarely(draw):
        one, zero = np.ones(len(data)), np.zeros(len(data))
        weights = draw(st.sampled_from([one, 2 * one, zero, -one, [np.nan], "x"]))
    method = draw(st.sampled_from(METHODS[estimator]))
    other = draw(
        st.one_of(
            st.just(data),
            sequences(n_features=data.n_features, form=data.form),
            any_sequences(),
        )
    )
    sound = data.sound and valid and usual and weights is None
    return estimator(**params), data, y, weights, method, other, sound


def random_state_of_numpy():
    return np.random.get_state()[1].copy()  # noqa: NPY002


def assert_result_or_documented_error(call):
    estimator, data, y, weights, method, other, sound = call
    before = torch.get_rng_state(), random_state_of_numpy()
    fitted, error = outcome(
        lambda: estimator.fit(
            data.X, y, **({} if weights is None else {"sample_weight": weights})
        )
    )
    event(f"{type(estimator).__name__}: {'refused' if error else 'fitted'}")
    if sound and len(data) > 1 and type(estimator) in (RNNRegressor, RNNClassifier):
        assert error is None, error
    if fitted is None:
        return
    found, error = outcome(lambda: getattr(fitted, method)(other.X))
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(random_state_of_numpy(), before[1])
    if error is None and method not in ("predict_log_proba", "hidden_states"):
        assert_finite(found)
        if other.sound:
            assert len(found) == len(other)
    if error is None and method == "predict_proba" and type(estimator) is RNNClassifier:
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)


@FEW_AND_MANY
def test_a_call_gives_a_result_or_a_documented_error(n_calls):
    fuzz(calls(), assert_result_or_documented_error, n_calls)


@st.composite
def sound_fits(draw):
    """Draw an estimator and data that nothing is wrong with."""
    estimator = draw(st.sampled_from([RNNRegressor, RNNClassifier, RNNTagger]))
    data = draw(sequences(faulty=False))
    assume(len(data) > 1)
    params, _ = draw(parameters(estimator, options=False))
    y = draw(TARGETS[estimator](data))
    if estimator is RNNTagger:
        assume(len(np.unique(np.concatenate(y))) > 1)
        # A single column may be one sequence: it is refused.
        assume("rows" not in data.form or max(data.lengths) > 1)
    return estimator(**params), data, y


def assert_predictions_depend_on_their_sequence_alone(sound):
    estimator, data, y = sound
    with only_documented_warnings():
        estimator.fit(data.X, y)
        read = check_sequences(data.X)
        predictions = estimator.predict(data.X)
        assert_finite(predictions)
        assert_same(estimator.predict(data.X), predictions)
        assert_same(estimator.predict(read), predictions)
        order = np.arange(len(read))[::-1]
        assert_same(estimator.predict(read[order])[::-1], predictions)
        assert_same(estimator.predict(read[[0]]), predictions[:1])
        for again in (copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
            assert_same(again.predict(data.X), predictions)


@FEW_AND_MANY
def test_predictions_depend_on_their_sequence_alone(n_calls):
    fuzz(sound_fits(), assert_predictions_depend_on_their_sequence_alone, n_calls)


OPERATIONS = [
    "fit",
    "partial_fit",
    "partial_fit",
    "predict",
    "pickle",
    "deepcopy",
    "freeze core",
    "unfreeze",
    "half batch_size",
    "more units",
    "warm start",
    "learning_rate",
]


@st.composite
def operation_sequences(draw):
    """Draw an estimator, its data and operations to carry out one after another."""
    estimator = draw(st.sampled_from([RNNRegressor, RNNClassifier, RNNTagger]))
    data = draw(sequences(faulty=False))
    params, _ = draw(parameters(estimator, options=False))
    params |= {"dtype": draw(st.sampled_from(["float32", "float64"])), "cell": "gru"}
    params["kernel"] = draw(st.sampled_from(["torch", "auto"]))
    y = draw(TARGETS[estimator](data))
    operations = draw(st.lists(st.sampled_from(OPERATIONS), min_size=2, max_size=8))
    return estimator(**params), data, y, operations


def carry_out(estimator, data, y, operation):
    """Return the estimator after an operation, or the copy that replaces it."""
    if operation in ("fit", "partial_fit"):
        return getattr(estimator, operation)(data.X, y)
    if operation == "predict":
        assert_finite(estimator.predict(data.X))
    elif operation == "pickle":
        return pickle.loads(pickle.dumps(estimator))
    elif operation == "deepcopy":
        return copy.deepcopy(estimator)
    elif operation in ("freeze core", "unfreeze") and hasattr(estimator, "module_"):
        for weight in estimator.module_.core.parameters():
            weight.requires_grad_(operation == "unfreeze")
    elif operation == "half batch_size":
        size = estimator.batch_size
        size = 64 if size == "auto" else max(1, size // 2)
        estimator.set_params(batch_size=size)
    elif operation == "more units":
        size = estimator.hidden_size
        estimator.set_params(hidden_size=65 if size == "auto" else size + 1)
    elif operation == "warm start":
        estimator.set_params(warm_start=not estimator.warm_start)
    elif operation == "learning_rate":
        estimator.set_params(learning_rate=estimator.learning_rate / 2)
    return estimator


def assert_predictions_stay_finite(drawn):
    estimator, data, y, operations = drawn
    for operation in operations:
        changed, _ = outcome(lambda: carry_out(estimator, data, y, operation))  # noqa: B023
        estimator = changed if changed is not None else estimator
    if hasattr(estimator, "module_"):
        with only_documented_warnings():
            assert_finite(estimator.predict(data.X))


@FEW_AND_MANY
def test_any_order_of_operations_leaves_a_usable_estimator(n_calls):
    fuzz(operation_sequences(), assert_predictions_stay_finite, n_calls)


@st.composite
def scalings(draw):
    data, other = draw(any_sequences()), draw(any_sequences())
    params = {name: draw(st.booleans()) for name in ("with_mean", "with_std")}
    return SequenceScaler(**params), data, other


def assert_inverse_transform_restores(scaling):
    scaler, data, other = scaling
    fitted, _ = outcome(lambda: scaler.fit(data.X))
    if fitted is None:
        return
    scaled, _ = outcome(lambda: fitted.transform(other.X))
    if scaled is None:
        return
    assert_finite(list(scaled))
    back = succeed(lambda: fitted.inverse_transform(scaled))
    # Beside a large mean the digits of small values are lost.
    slack = 1e-5 * (1 + np.abs(fitted.mean_) + fitted.scale_)
    for one, sequence in zip(back, check_sequences(other.X), strict=True):
        assert (np.abs(one - sequence) <= slack + 1e-5 * np.abs(sequence)).all()


@FEW_AND_MANY
def test_inverse_transform_restores_what_a_scaler_reads(n_calls):
    fuzz(scalings(), assert_inverse_transform_restores, n_calls)


TEXTS = ["abba", ["ab", "ba", "a"], [["a", "b"], ["b"]], [[1, 2, 1], [2]], ["", "ab"]]
ODD_TEXTS = [None, "", [], [""], [[]], [0.5, 1.5], [[0.5, 1.5]], 3, [None], {"a": 1}]


@st.composite
def generator_calls(draw):
    params, _ = draw(parameters(RNNGenerator))
    text = draw(st.sampled_from(TEXTS + ODD_TEXTS))
    other = draw(st.one_of(st.just(text), st.sampled_from(TEXTS + ODD_TEXTS)))
    method = draw(
        st.sampled_from(
            ["sample", "score", "next_symbols", "score_steps", "perplexity"]
        )
    )
    return RNNGenerator(**params), text, other, method


def assert_generator_result_or_documented_error(drawn):
    generator, text, other, method = drawn
    fitted, _ = outcome(lambda: generator.fit(text))
    if fitted is None:
        return
    if method == "sample":
        outcome(lambda: fitted.sample(other, 5, random_state=0))
        return
    found, error = outcome(lambda: getattr(fitted, method)(other))
    if error is None and method != "next_symbols":
        assert_finite(found)


@FEW_AND_MANY
def test_a_generator_gives_a_result_or_a_documented_error(n_calls):
    fuzz(generator_calls(), assert_generator_result_or_documented_error, n_calls)
