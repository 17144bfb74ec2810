"""Memory that does not suffice: what the error says."""

import copy

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    StatefulPredictor,
)

X = np.random.default_rng(0).normal(size=(20, 4, 2))
Y = X[:, :, 0].sum(axis=1)
TEXTS = ["abc", "bca"] * 10
SMALL = {"hidden_size": 4, "max_epochs": 1, "random_state": 0, "batch_size": 10}
CASES = {
    "regressor": (RNNRegressor(), (X, Y), "predict"),
    "classifier": (RNNClassifier(), (X, Y > 0), "predict_proba"),
    "tagger": (RNNTagger(), (X, X[:, :, 0] > 0), "predict"),
    "generator": (RNNGenerator(), (TEXTS,), "score_steps"),
    "encoder-decoder": (RNNSeq2Seq(), (TEXTS, TEXTS), "predict"),
    "transcriber": (RNNTranscriber(), (X, ["ab"] * 20), "posteriors"),
}
ON_CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate "
    "memory: you tried to allocate 8000000 bytes. Error code 12 (Cannot allocate)"
)
ERRORS = {
    "torch, CPU": ON_CPU,
    "torch, GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    "NumPy": MemoryError("Unable to allocate 8.00 TiB for an array"),
    "Python": MemoryError(),
}


class Fail(Callback):
    def __init__(self, error):
        self.error = error

    def on_batch_begin(self, net, **kwargs):
        raise self.error


def prepared(case, **options):
    model, data, method = case
    return copy.deepcopy(model).set_params(**SMALL, **options), data, method


@pytest.mark.thorough
@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_fit_says_how_large_the_batch_was_and_what_to_lower(case, error):
    model, data, _ = prepared(case, callbacks=[Fail(copy.copy(error))])
    with pytest.raises(MemoryError, match="fit ran out of memory with") as caught:
        model.fit(*data)
    message = str(caught.value)
    assert type(caught.value) is MemoryError
    assert type(caught.value.__cause__) is type(error)
    for words in ("hidden_size=4", "batch_size=10", "Lower hidden_size or n_layers"):
        assert words in message
    # Only what the estimator has can be lowered.
    has = model.get_params()
    assert (" or bptt_steps" in message) == ("bptt_steps" in has)
    assert ("embedding_dim" in message) == (has.get("embedding_dim") is not None)
    assert f"{type(model).__name__}.fit" in message
    assert " sequences of " in message


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_predictions_say_what_to_do(case):
    model, data, method = prepared(case, kernel="torch")
    model.fit(*data)

    def fail(*args):
        raise copy.copy(ON_CPU)

    for module in model.module_.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(fail)
            break
    with pytest.raises(MemoryError, match=f"{method} ran out of memory with") as caught:
        getattr(model, method)(data[0])
    assert "fewer or shorter sequences" in str(caught.value)
    assert "you tried to allocate 8000000 bytes" in str(caught.value)


def test_a_network_that_is_too_large_is_such_an_error_too():
    with pytest.raises(MemoryError, match="hidden_size=10000000") as caught:
        RNNRegressor(hidden_size=10**7, kernel="torch").fit(X, Y)
    assert "RNNRegressor.fit" in str(caught.value)


@pytest.mark.parametrize("size", [10**9, 2**31 - 1])
def test_sizes_that_no_integer_holds_are_such_errors_too(size):
    with pytest.raises(MemoryError, match=f"hidden_size={size}"):
        RNNRegressor(hidden_size=size).fit(X, Y)
    tokens = [[1, 2], [3, 1, 2]]
    with pytest.raises(MemoryError, match=f"embedding_dim={size}.*or embedding_dim or"):
        RNNClassifier(embedding_dim=size).fit(tokens, [0, 1])


def test_a_live_predictor_says_what_to_do():
    model = RNNTagger(kernel="torch", **SMALL).fit(X, X[:, :, 0] > 0)

    def fail(*args):
        raise copy.copy(ON_CPU)

    model.module_.head.register_forward_pre_hook(fail)
    with pytest.raises(MemoryError, match="Give fewer or shorter sequences"):
        StatefulPredictor(model).predict(X)


def test_partial_fit_and_nested_calls_explain_once():
    model = RNNRegressor(kernel="torch", **SMALL).fit(X, Y)

    class Score(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.module_.head.register_forward_pre_hook(self.fail)
            model.predict(X)

        def fail(self, *args):
            raise copy.copy(ON_CPU)

    model.net_.callbacks_.append(("score", Score()))
    with pytest.raises(MemoryError) as caught:
        model.partial_fit(X, Y)
    assert str(caught.value).startswith("RNNRegressor.predict ran out of memory")
    assert str(caught.value).count("ran out of memory") == 1


def test_other_errors_stay_what_they_are():
    for error in (RuntimeError("shapes"), KeyError("key"), ArithmeticError()):
        model = RNNRegressor(callbacks=[Fail(error)], **SMALL)
        with pytest.raises(type(error)) as caught:
            model.fit(X, Y)
        assert caught.value is error


def test_a_model_predicts_after_a_partial_fit_without_enough_memory():
    model = RNNRegressor(**SMALL).fit(X, Y)
    expected = model.predict(X)
    model.net_.callbacks_.append(("fail", Fail(copy.copy(ON_CPU))))
    with pytest.raises(MemoryError, match="partial_fit"):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), expected)
