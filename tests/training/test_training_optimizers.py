"""Optimizers are made and used without importing torch's compiler."""

import subprocess
import sys

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from sklearn_rnn import RNNRegressor
from sklearn_rnn.training import (
    OPTIMIZERS,
    get_optimizer_state,
    load_optimizer_state,
    make_optimizer,
)

SCRIPT = """
import pickle, sys
import numpy as np
from sklearn_rnn import RNNClassifier, RNNGenerator, RNNRegressor, RNNSeq2Seq, RNNTagger

X, y = np.random.default_rng(0).normal(size=(20, 4, 2)), np.arange(20.0)
texts = ["abab", "baba"] * 10
options = {"max_epochs": 2, "hidden_size": 4, "kernel": "torch"}
for fit in sys.argv[1:]:
    eval(fit)
    imported = [name for name in ("torch._dynamo", "sympy") if name in sys.modules]
    assert not imported, (fit, imported)
"""
FITS = [
    "RNNRegressor(**options).fit(X, y).partial_fit(X, y).predict(X)",
    'RNNRegressor(optimizer="sgd", **options).fit(X, y)',
    'RNNRegressor(optimizer="rmsprop", **options).fit(X, y)',
    'RNNRegressor(optimizer="adamw", weight_decay=0.1, **options).fit(X, y)',
    "RNNRegressor(early_stopping=True, **options).fit(X, y)",
    "RNNClassifier(n_layers=2, layer_norm=True, **options).fit(X, y > 3)",
    'RNNTagger(bidirectional=True, **options).fit(X, [list("abab")] * 20)',
    "RNNGenerator(**options).fit(texts).score(texts)",
    "RNNSeq2Seq(**options).fit(texts, texts).predict(texts)",
    "pickle.loads(pickle.dumps(RNNRegressor(**options).fit(X, y)))",
]


@pytest.mark.thorough
def test_fits_do_not_import_torchs_compiler():
    # One after the other in one process, which imports torch once.
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *FITS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def trained(optimizer, n_steps, step):
    """Return the weights after some steps along the same gradients."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(n_steps):
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = torch.randn(weight.shape, generator=generator)
        step(optimizer)
    return [w.detach().clone() for g in optimizer.param_groups for w in g["params"]]


def groups():
    first, second = (torch.nn.Parameter(torch.ones(size)) for size in (3, 5))
    return [{"params": [first]}, {"params": [second], "weight_decay": 0.1}]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_the_one_that_its_class_makes(name):
    optimizer_class, options = OPTIMIZERS[name]
    found = make_optimizer(optimizer_class, groups(), lr=0.1, **options)
    expected = optimizer_class(groups(), lr=0.1, **options)
    assert type(found) is optimizer_class
    assert vars(found).keys() == vars(expected).keys()
    assert found.defaults == expected.defaults
    for one, other in zip(found.param_groups, expected.param_groups, strict=True):
        assert one.keys() == other.keys()
    moved = [trained(optimizer, 3, type(found).step) for optimizer in (found, expected)]
    torch.testing.assert_close(*moved, rtol=0, atol=0)
    torch.testing.assert_close(
        get_optimizer_state(found)["state"], expected.state_dict()["state"]
    )
    loaded = make_optimizer(optimizer_class, groups(), lr=0.5, **options)
    load_optimizer_state(loaded, expected.state_dict())
    assert loaded.param_groups[0]["lr"] == 0.1
    torch.testing.assert_close(
        loaded.state_dict()["state"], expected.state_dict()["state"]
    )
    found.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))]})
    assert len(found.param_groups) == 3
    scheduler = torch.optim.lr_scheduler.StepLR(found, 1)
    trained(found, 1, lambda optimizer: optimizer.step())
    scheduler.step()
    assert found.param_groups[0]["lr"] == pytest.approx(0.01)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_fit_changes_weights_as_the_optimizers_own_step_does(name):
    X, y = torch.randn(20, 4, 2).numpy(), torch.arange(20.0).numpy()
    model = RNNRegressor(
        "rnn", 4, optimizer=name, max_epochs=3, random_state=0, kernel="torch"
    )
    model.fit(X, y)
    calls = []
    # A hook asks for the optimizer's own step.
    hook = register_optimizer_step_post_hook(lambda *_: calls.append(1))
    try:
        expected = model.predict(X)
        found = model.fit(X, y).predict(X)
    finally:
        hook.remove()
    assert calls
    assert (found == expected).all()


def test_a_class_that_is_not_torchs_is_made_by_its_own_methods():
    class Counting(torch.optim.SGD):
        added = 0

        def add_param_group(self, group):
            self.added += 1
            super().add_param_group(group)

    optimizer = make_optimizer(Counting, groups(), lr=0.1)
    assert (type(optimizer), optimizer.added) == (Counting, 2)


def test_a_hook_of_the_state_dict_is_called():
    optimizer = make_optimizer(torch.optim.Adam, groups(), lr=0.1)
    calls = []
    optimizer.register_state_dict_post_hook(lambda *_: calls.append("saved"))
    optimizer.register_load_state_dict_pre_hook(lambda *_: calls.append("loaded"))
    load_optimizer_state(optimizer, get_optimizer_state(optimizer))
    assert calls == ["saved", "loaded"]
