"""Epochs in one call of the kernels against the same batches one by one."""

import copy
import signal

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_rnn import (
    DivergenceError,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    SequenceArray,
)
from sklearn_rnn.kernels import instruction_set as current_set
from sklearn_rnn.kernels import instruction_sets, set_instruction_set
from sklearn_rnn.training import _fused

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(1, 12, size=50)
X = [RNG.normal(2.0, 3.0, size=(n, 3)) for n in LENGTHS]
Y = np.array([series[:, 0].mean() + series[-1, 1] for series in X])
TOKENS = [RNG.integers(0, 30, size=(n, 1)) for n in LENGTHS]
SMALL = {
    "hidden_size": 7,
    "max_epochs": 3,
    "batch_size": 8,
    "kernel": "compiled",
    "random_state": 0,
}
SERIES = SequenceArray(
    np.random.default_rng(1).normal(5.0, 1.0, size=(80, 3)).cumsum(axis=0),
    starts=np.arange(50),
    lengths=np.full(50, 30),
)
CASES = {
    "regressor": (RNNRegressor(**SMALL), X, Y),
    "regressor, differences": (
        RNNRegressor(**SMALL, subtract_last=True, target_feature=0),
        SERIES,
        Y,
    ),
    "regressor of steps": (
        RNNRegressor(**SMALL, return_sequences=True),
        X,
        [np.where(RNG.random(n) < 0.3, np.nan, RNG.normal(size=n)) for n in LENGTHS],
    ),
    "regressor of quantiles": (
        RNNRegressor(**SMALL, loss="quantile", quantiles=[0.1, 0.5]),
        X,
        np.stack([Y, -Y], axis=1),
    ),
    "classifier": (RNNClassifier(**SMALL, class_weight="balanced"), X, Y > 2.5),
    "classifier of tokens": (
        RNNClassifier(**SMALL, embedding_dim=4, token_dropout=0.2, dropout=0.2),
        TOKENS,
        Y > 2,
    ),
    "tagger": (
        RNNTagger(**SMALL, class_weight="balanced", dropout=0.3, n_layers=2),
        X,
        [(series[:, 0] > 2).astype(int) for series in X],
    ),
    "tagger of tokens": (
        RNNTagger(**SMALL, embedding_dim=4, weight_drop=0.3, bidirectional=True),
        TOKENS,
        [series[:, 0] % 3 for series in TOKENS],
    ),
}
OPTIONS = {
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1, "dtype": "float64"},
    "adam, decay": {"optimizer": "adam", "weight_decay": 0.1, "clip_norm": 0.1},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.01, "clip_value": 0.02},
    "sgd, decay": {"optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "clip_norm": None},
    "cosine": {"lr_schedule": "cosine", "clip_norm": 0.2, "clip_value": 0.1},
    "plateau": {"lr_schedule": "plateau", "dtype": "float64"},
}


class BatchCallback(Callback):
    """Handle every batch, which therefore is computed by itself."""

    def on_batch_end(self, net, **kwargs):
        pass


def fit(model, X, y, **options):
    return copy.deepcopy(model).set_params(**options).fit(X, y)


def assert_same_training(ours, theirs, rtol=1e-9, atol=1e-11):
    assert len(ours.history_) == len(theirs.history_)
    for mine, other in zip(ours.history_, theirs.history_, strict=True):
        for name in ("train_loss", "gradient_norm", "largest_gradient_norm"):
            np.testing.assert_allclose(mine[name], other[name], rtol=rtol, atol=atol)
        for name in ("clipped_share", "learning_rate"):
            assert mine[name] == pytest.approx(other[name], rel=1e-12)
    weights = theirs.module_.state_dict()
    for name, weight in ours.module_.state_dict().items():
        torch.testing.assert_close(
            weight, weights[name], rtol=0, atol=atol + rtol, msg=lambda m, n=name: n + m
        )


# Three cases for each of the options, and each case with three of them.
PAIRS = [
    pytest.param(CASES[case], OPTIONS[option], id=f"{case}-{option}")
    for k, option in enumerate(OPTIONS)
    for i, case in enumerate(CASES)
    if (i - k) % 8 in (0, 3, 5)
]


@pytest.mark.thorough
@pytest.mark.parametrize("case, options", PAIRS)
def test_an_epoch_in_one_call_is_its_batches_one_by_one(case, options):
    model, X, y = case
    whole = fit(model, X, y, **options)
    by_batch = fit(model, X, y, callbacks=[BatchCallback()], **options)
    is_double = options.get("dtype") == "float64"
    # Adam magnifies rounding errors of gradients that are nearly zero.
    rtol = 1e-8 if is_double else 2e-3
    assert_same_training(whole, by_batch, rtol, 1e-9 if is_double else 2e-4)


@pytest.mark.thorough
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_an_epoch_in_one_call_is_what_torch_computes(options):
    for name in ("classifier of tokens", "tagger of tokens", "regressor"):
        model, X, y = CASES[name]
        options = {**options, "dtype": "float64"}
        whole = fit(model, X, y, **options)
        by_torch = fit(model, X, y, **{**options, "kernel": "torch"})
        assert_same_training(whole, by_torch, 1e-7, 1e-8)


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_results_do_not_depend_on_the_length_of_calls(case, monkeypatch):
    """A call may end after any batch, so that Ctrl-C is handled."""
    model, X, y = case
    whole = fit(model, X, y, weight_decay=0.1)
    monkeypatch.setattr(_fused, "SECONDS_PER_CALL", 0.0)
    assert_same_training(fit(model, X, y, weight_decay=0.1), whole, 0, 0)


@pytest.mark.thorough
@pytest.mark.parametrize("embedding_dim", [None, 8])
def test_results_do_not_depend_on_the_number_of_threads(embedding_dim):
    """Batches are large enough for their work to be shared."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 30, 3))
    if embedding_dim:
        X = rng.integers(0, 50, size=(300, 30, 1))
    y = X[:, :5, 0].sum(axis=1)
    models = [
        RNNRegressor(
            hidden_size=48,
            n_layers=2,
            dropout=0.2,
            embedding_dim=embedding_dim,
            max_epochs=2,
            batch_size=150,
            kernel="compiled",
            n_threads=n,
            random_state=0,
        ).fit(X, y)
        for n in (1, 2, 3)
    ]
    for other in models[1:]:
        assert_same_training(models[0], other, 0, 0)
        np.testing.assert_array_equal(models[0].predict(X), other.predict(X))


@pytest.fixture(params=instruction_sets())
def instruction_set(request):
    """Compute with one of the instruction sets."""
    before = current_set()
    set_instruction_set(request.param)
    yield request.param
    set_instruction_set(before)


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_instruction_set_computes_the_same(case, instruction_set):
    model, X, y = case
    ours = fit(model, X, y, dtype="float64")
    by_torch = fit(model, X, y, dtype="float64", kernel="torch")
    assert_same_training(ours, by_torch, 1e-7, 1e-8)
    np.testing.assert_allclose(
        np.hstack(ours.predict(X)).astype(float),
        np.hstack(by_torch.predict(X)).astype(float),
        rtol=1e-6,
        atol=1e-6,
    )


class Keep(Callback):
    """Keep the weights with which the second epoch begins."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            weights = net.module_.state_dict()
            KEPT.update({name: weight.clone() for name, weight in weights.items()})


KEPT = {}


def test_ctrl_c_ends_an_epoch_and_keeps_the_one_before(monkeypatch):
    """Calls of the kernels are short, and Python handles signals between them."""
    KEPT.clear()
    n_calls = []

    def run_kernel(name, struct):
        run(name, struct)
        if KEPT and name == "train":
            n_calls.append(struct.begin)
            if len(n_calls) == 3:
                signal.raise_signal(signal.SIGINT)

    run = _fused.run_kernel
    monkeypatch.setattr(_fused, "SECONDS_PER_CALL", 0.0)
    monkeypatch.setattr(_fused, "run_kernel", run_kernel)
    model = RNNRegressor(**SMALL, callbacks=[Keep()])
    # A shell starts programs in the background so that they ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y)
    finally:
        signal.signal(signal.SIGINT, before)
    assert n_calls == [1, 2, 3]
    for name, weight in model.module_.state_dict().items():
        assert torch.equal(weight, KEPT[name])
    assert len(model.loss_curve_) == 1
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("callbacks", [None, [BatchCallback()]])
def test_divergence_ends_training_in_the_middle_of_an_epoch(callbacks):
    """The weights of the last finished epoch stay."""

    class Spoil(Callback):
        def on_epoch_begin(self, net, dataset_train=None, **kwargs):
            if len(net.history) == 3:
                weights = net.module_.state_dict()
                KEPT.update({name: weight.clone() for name, weight in weights.items()})
                dataset_train.targets[17] = float("nan")

    model = RNNRegressor(**{**SMALL, "max_epochs": 9})
    model.set_params(callbacks=[Spoil(), *(callbacks or [])])
    with pytest.raises(DivergenceError, match="training diverged in epoch 3"):
        model.fit(X, Y)
    for name, weight in model.module_.state_dict().items():
        assert torch.equal(weight, KEPT[name])
    assert len(model.loss_curve_) == 2
    assert np.isfinite(model.predict(X)).all()
