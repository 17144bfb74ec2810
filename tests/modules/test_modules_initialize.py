import math

import pytest
import torch
from torch import nn

from sklearn_rnn.kernels import CELLS
from sklearn_rnn.modules import RecurrentCore, TokenEmbedding, initialize


def initialised(module, seed=0):
    initialize(module, torch.Generator().manual_seed(seed))
    return module


def make_core(cell="lstm", n_units=8, **options):
    return initialised(RecurrentCore(cell, 3, n_units, **options).double())


def weights_named(core, kind):
    return [p.detach() for name, p in core.rnn.named_parameters() if kind in name]


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_weights_are_orthogonal_gate_by_gate(cell):
    core = make_core(cell, n_layers=2, bidirectional=True)
    matrices = weights_named(core, "weight_hh")
    assert len(matrices) == 4
    for weight in matrices:
        for gate in weight.split(8):
            torch.testing.assert_close(gate @ gate.T, torch.eye(8).double())


@pytest.mark.parametrize("cell", CELLS)
def test_input_weights_are_glorot_gate_by_gate(cell):
    core = make_core(cell, n_units=40)
    (weight,) = weights_named(core, "weight_ih")
    bound = math.sqrt(6 / (3 + 40))
    for gate in weight.split(40):
        assert 0.9 * bound < gate.abs().max() <= bound
        assert abs(gate.mean()) < 0.25 * bound


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_biases_start_at_zero(cell):
    assert all((bias == 0).all() for bias in weights_named(make_core(cell), "bias"))


def test_forget_bias_is_one_in_total_and_the_others_zero():
    core = make_core("lstm", n_layers=2, bidirectional=True)
    inputs, recurrent = (weights_named(core, f"bias_{k}") for k in ("ih", "hh"))
    assert len(inputs) == 4
    for bias_ih, bias_hh in zip(inputs, recurrent, strict=True):
        input_gate, forget, cell, output = (bias_ih + bias_hh).split(8)
        assert (forget == 1).all()
        assert (torch.cat([input_gate, cell, output]) == 0).all()


def test_linear_layers_are_glorot_with_zero_bias():
    linear = initialised(nn.Linear(30, 20))
    bound = math.sqrt(6 / 50)
    assert 0.9 * bound < linear.weight.abs().max() <= bound
    assert (linear.bias == 0).all()


def test_embeddings_are_small_and_unknown_tokens_say_nothing():
    embedding = initialised(TokenEmbedding(100, 50))
    seen = embedding.weight[:-1]
    assert abs(seen.mean()) < 0.01
    assert abs(seen.std() - 0.1) < 0.01
    assert (embedding.weight[-1] == 0).all()


def test_a_seed_fixes_the_weights_and_another_changes_them():
    draw = [
        weights_named(initialised(RecurrentCore("gru", 3, 8), seed), "weight_hh")[0]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])
