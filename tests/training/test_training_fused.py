"""Gradients of networks that the kernels compute as a whole against torch's."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.kernels import (
    COMPILED_CELLS,
    CounterGenerator,
    instruction_set,
    instruction_sets,
    set_instruction_set,
)
from sklearn_rnn.modules import NetworkSpec, build_network
from sklearn_rnn.training import LIKELIHOODS, OPTIMIZERS, FlatWeights, WeightedLoss
from sklearn_rnn.training._fused import FusedNetwork, supports_fused

TOLERANCES = {torch.float64: 1e-11, torch.float32: 1e-4}
N_FEATURES, N_OUTPUTS, N_TOKENS = 3, 4, 7
LEVELS = torch.tensor([0.1, 0.7])
# What is different from a network of one layer that reads values and pools "last".
DROPPED = {"dropout": 0.4, "input_dropout": 0.3, "weight_drop": 0.3}
TOKENS = {"n_tokens": N_TOKENS, "embedding_dim": 5}
CATEGORIES = {"n_categories": (9, 4), "category_features": ((0, 0), (2, 1))}
ONE_CATEGORY = {"n_categories": (2,), "category_features": ((1, 0),)}
SHARED_CATEGORIES = {"n_categories": (5,), "category_features": ((0, 0), (1, 0))}
NETWORKS = {
    "1 unit": {"hidden_size": 1},
    "16 units": {"hidden_size": 16},
    "40 units, 3 layers": {"hidden_size": 40, "n_layers": 3},
    "2 directions": {"bidirectional": True, "n_layers": 2, "hidden_size": 17},
    "residual": {"residual": True, "n_layers": 3},
    "residual, 2 directions": {"residual": True, "n_layers": 2, "bidirectional": True},
    "norms": {"layer_norm": True, "n_layers": 2},
    "norms, 2 directions": {"layer_norm": True, "bidirectional": True, "n_layers": 2},
    "dropout": {**DROPPED, "n_layers": 3},
    "dropout, 2 directions": {**DROPPED, "n_layers": 2, "bidirectional": True},
    "dropout per step": {**DROPPED, "n_layers": 2, "pooling": None},
    "mean": {"pooling": "mean", "n_layers": 2},
    "mean, 2 directions": {"pooling": "mean", "bidirectional": True, **DROPPED},
    "max": {"pooling": "max"},
    "max, 2 directions": {"pooling": "max", "bidirectional": True, **DROPPED},
    "per step": {"pooling": None},
    "per step, 2 directions": {"pooling": None, "bidirectional": True, "n_layers": 2},
    "subsampling": {"subsampling": 2},
    "subsampling per step": {"subsampling": 3, "pooling": None, **DROPPED},
    "tokens": TOKENS,
    "fixed tokens": {**TOKENS, "train_embeddings": False, "token_dropout": 0.3},
    "rare tokens": {**TOKENS, "token_dropout": 2.5, "token_counts": True},
    "unknown token": {**TOKENS, "unknown_token": 2, "n_layers": 2},
    "tokens, dropout": {**TOKENS, **DROPPED, "token_dropout": 0.3, "unknown_token": 1},
    "tokens, all": {
        **TOKENS,
        **DROPPED,
        "subsampling": 2,
        "bidirectional": True,
        "layer_norm": True,
        "residual": True,
        "n_layers": 2,
        "pooling": "mean",
        "token_dropout": 0.2,
    },
    "categories": CATEGORIES,
    "one category": {**ONE_CATEGORY, "pooling": "mean"},
    "shared categories": {**SHARED_CATEGORIES, "n_layers": 2},
    "categories, dropout": {**CATEGORIES, **DROPPED},
    "categories, subsampling": {**CATEGORIES, **DROPPED, "subsampling": 2},
    "categories, all": {
        **CATEGORIES,
        **DROPPED,
        "bidirectional": True,
        "layer_norm": True,
        "residual": True,
        "n_layers": 2,
        "pooling": None,
    },
    "all": {
        **DROPPED,
        "subsampling": 3,
        "bidirectional": True,
        "layer_norm": True,
        "residual": True,
        "n_layers": 3,
        "pooling": None,
        "hidden_size": 9,
    },
}


def make_network(
    cell="gru", dtype=torch.float64, seed=0, token_counts=False, **options
):
    spec = NetworkSpec(
        cell,
        n_features=1 if "n_tokens" in options else N_FEATURES,
        **{"hidden_size": 5, "n_outputs": N_OUTPUTS, **options},
    )
    network = build_network(spec, dtype, torch.Generator().manual_seed(seed)).train()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in network.parameters():  # norms and biases too
            noise = torch.randn(parameter.shape, generator=generator, dtype=dtype)
            parameter += 0.1 * noise
    if spec.n_tokens is None:
        scale = np.arange(1.0, 1.0 + spec.n_features)
        codes = [feature for feature, _ in spec.category_features]
        center = np.where(np.isin(np.arange(len(scale)), codes), 0.0, scale / 10)
        scale[codes] = 1.0
        network.set_input_scaling(center, 1 / scale)
    if token_counts:
        network.embedding.token_dropout.set_counts(np.arange(spec.n_tokens + 1) % 4)
    network.use_kernel("compiled")
    network.seed_dropout(CounterGenerator(seed=7))
    network.advance_dropout(3)
    return network


def make_criterion(loss="squared_error", dtype=torch.float64, may_miss=False, **more):
    if loss == "quantile":
        more["levels"] = LEVELS.to(dtype)
    return WeightedLoss(loss, may_miss=may_miss, **more)


def draw_batch(network, criterion, n_rows=5, n_steps=6, ragged=True, seed=0):
    """Return inputs, lengths and targets of a batch."""
    spec, dtype = network.spec, network.head.weight.dtype
    rng = np.random.default_rng(seed)
    if spec.n_tokens is None:
        x = rng.normal(size=(n_rows, n_steps, spec.n_features))
        for feature, which in spec.category_features:
            n = spec.n_categories[which]
            x[:, :, feature] = rng.integers(0, n + 1, size=(n_rows, n_steps))
    else:  # some of them unknown
        x = rng.integers(0, spec.n_tokens + 3, size=(n_rows, n_steps, 1))
    lengths = None
    if ragged:
        lengths = rng.integers(1, n_steps + 1, size=n_rows)
        lengths[rng.integers(n_rows)] = n_steps
        for row, length in zip(x, lengths, strict=True):
            row[length:] = row[length - 1]  # as batches are padded
        lengths = torch.from_numpy(lengths)
    n_read = -(-n_steps // spec.subsampling)
    shape = (n_rows, n_read) if network.pooling is None else (n_rows,)
    targets = draw_targets(rng, shape, criterion, spec.n_outputs)
    if network.pooling is None and lengths is not None:
        nothing = float("nan") if targets.dtype == float else -1
        targets[np.arange(n_read) >= network.n_read(lengths).numpy()[:, None]] = nothing
    targets = torch.from_numpy(targets)
    if targets.is_floating_point():
        targets = targets.to(dtype)
    return torch.from_numpy(x), lengths, targets


def draw_targets(rng, shape, criterion, n_outputs):
    if criterion.name == "bernoulli":
        targets = rng.integers(0, 2, size=(*shape, n_outputs))
        missing = rng.random(shape) < 0.2
    elif criterion.name == "log_loss":
        targets = rng.integers(0, n_outputs, size=shape)
        missing = rng.random(shape) < 0.2
    else:
        n_targets = n_outputs // (criterion.n_per_target or 1)
        targets = rng.normal(size=(*shape, n_targets))
        if criterion.name in ("poisson", "negative_binomial"):
            targets = np.floor(np.exp(2 * targets))
        missing = rng.random(targets.shape) < 0.2
    if criterion.may_miss:
        missing.flat[0] = False
        targets[missing] = np.nan if targets.dtype == float else -1
    return targets


def compare(network, criterion, batch, sample_weights=None, per_update=None, times=1):
    """Compare the gradient of a batch with that of torch's autograd."""
    x, lengths, targets = batch
    dtype = network.head.weight.dtype
    by_torch = copy.deepcopy(network)
    by_torch.use_kernel("torch")
    assert supports_fused(network, criterion)
    trained = [p for p in network.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    fused = FusedNetwork(network, criterion, keeps_outputs=True)
    for _ in range(times):
        loss, outputs = fused.gradient(
            x, lengths, (targets, sample_weights), targets_per_update=per_update
        )
    expected = by_torch(x, lengths)
    torchs = criterion(expected, (targets, sample_weights))
    fraction = 1.0 if per_update is None else criterion.count(targets) / per_update
    (torchs * fraction * times).backward()
    tolerance = TOLERANCES[dtype]
    assert loss == pytest.approx(torchs.item(), abs=tolerance, rel=tolerance)
    expected = expected.detach()
    if network.pooling is None and lengths is not None:
        valid = torch.arange(expected.shape[1]) < network.n_read(lengths)[:, None]
        outputs, expected = outputs[valid], expected[valid]
    torch.testing.assert_close(outputs, expected, rtol=0, atol=tolerance)
    for (name, ours), theirs in zip(
        network.named_parameters(), by_torch.parameters(), strict=True
    ):
        if ours.requires_grad:
            scale = 1 + theirs.grad.abs().max().item()
            torch.testing.assert_close(
                ours.grad,
                theirs.grad,
                rtol=0,
                atol=tolerance * scale,
                msg=lambda text, name=name: f"{name}: {text}",
            )
        else:
            assert ours.grad is None


@pytest.mark.thorough
@pytest.mark.parametrize("cell", COMPILED_CELLS)
@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_gradients_are_those_of_autograd(options, cell):
    network = make_network(cell, **options)
    criterion = make_criterion(may_miss=network.pooling is None)
    compare(network, criterion, draw_batch(network, criterion))
    network.zero_grad()
    compare(network, criterion, draw_batch(network, criterion, 14, ragged=False))


@pytest.mark.thorough
@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_gradients_in_single_precision(options):
    network = make_network("lstm", torch.float32, **options)
    may_miss = network.pooling is None
    criterion = make_criterion(dtype=torch.float32, may_miss=may_miss)
    compare(network, criterion, draw_batch(network, criterion, 9))


@pytest.mark.thorough
@pytest.mark.parametrize("name", instruction_sets())
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("cell", COMPILED_CELLS)
def test_every_instruction_set_has_the_same_gradients(cell, dtype, name):
    before = instruction_set()
    set_instruction_set(name)
    try:
        for options in ("all", "tokens, all", "40 units, 3 layers", "max"):
            network = make_network(cell, dtype, **NETWORKS[options])
            may_miss = network.pooling is None
            criterion = make_criterion(dtype=dtype, may_miss=may_miss)
            compare(network, criterion, draw_batch(network, criterion, 15))
    finally:
        set_instruction_set(before)


LOSSES = {
    "squared_error": {},
    "absolute_error": {},
    "huber": {},
    "quantile": {},
    "log_loss": {},
    "log_loss, smooth": {"loss": "log_loss", "label_smoothing": 0.2},
    "log_loss, class weights": {
        "loss": "log_loss",
        "class_weights": torch.arange(1.0, 1.0 + N_OUTPUTS).double(),
        "label_smoothing": 0.1,
        "may_miss": True,
    },
    "bernoulli": {},
    **{name: {} for name in LIKELIHOODS},
    "huber, target weights": {
        "loss": "huber",
        "target_weights": torch.tensor([0.0, 1.0, 2.5, 0.5]).double(),
    },
    "negative_binomial, target weights": {
        "loss": "negative_binomial",
        "target_weights": torch.tensor([0.5, 2.0, 0.5]).double(),
    },
}


@pytest.mark.thorough
@pytest.mark.parametrize("pooling", ["last", None])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("may_miss", [False, True])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_with_weights_and_missing_targets(
    loss, may_miss, is_weighted, pooling, request
):
    name = request.node.callspec.id.split("-")[0]
    given = {"loss": name, "may_miss": may_miss or pooling is None, **loss}
    if given["loss"] == "bernoulli" and pooling and may_miss:
        pytest.skip("frames are targets of steps")
    criterion = make_criterion(**given)
    n_outputs = 6 if criterion.name in LIKELIHOODS else N_OUTPUTS
    network = make_network(pooling=pooling, n_outputs=n_outputs)
    batch = draw_batch(network, criterion, n_rows=9)
    rng = np.random.default_rng(1)
    weights = torch.from_numpy(rng.random(9)) if is_weighted else None
    compare(network, criterion, batch, weights)


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("sizes", [(1, 1), (2, 3), (33, 4), (70, 5), (200, 3)])
@pytest.mark.parametrize("ragged", [False, True])
def test_batches_of_any_size(dtype, sizes, ragged):
    n_rows, n_steps = sizes
    for cell, pooling in itertools.product(("gru", "lstm"), ("last", "max", None)):
        network = make_network(
            cell, dtype, pooling=pooling, hidden_size=13, n_layers=2, dropout=0.3
        )
        criterion = make_criterion(dtype=dtype, may_miss=pooling is None)
        batch = draw_batch(network, criterion, n_rows, n_steps, ragged)
        compare(network, criterion, batch)


@pytest.mark.parametrize("options", [{"hidden_size": 64}, {**TOKENS, **DROPPED}])
def test_batches_that_are_summed_in_groups(options):
    """They have the work of several threads."""
    network = make_network("lstm", n_layers=2, pooling="mean", **options)
    criterion = make_criterion()
    compare(network, criterion, draw_batch(network, criterion, 130, 40))


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(60))
def test_random_networks(seed):
    rng = np.random.default_rng(seed)

    def choose(*values):
        return values[rng.integers(len(values))]

    dtype = choose(torch.float64, torch.float32)
    options = {
        "hidden_size": int(rng.integers(1, 41)),
        "n_outputs": choose(2, 4, 6, 20),
        "n_layers": int(rng.integers(1, 4)),
        "bidirectional": choose(False, True),
        "residual": choose(False, True),
        "layer_norm": choose(False, True),
        "pooling": choose("last", "mean", "max", None),
        "subsampling": choose(1, 1, 2, 3),
        **{name: choose(0.0, 0.0, 0.3) for name in DROPPED},
    }
    if choose(False, True):
        options.update(
            n_tokens=N_TOKENS,
            embedding_dim=int(rng.integers(1, 20)),
            token_dropout=choose(0.0, 0.3),
            token_counts=choose(False, True),
            unknown_token=choose(None, 3),
            train_embeddings=choose(True, True, False),
        )
    network = make_network(choose(*COMPILED_CELLS), dtype, seed, **options)
    loss = choose("squared_error", "huber", "quantile", "log_loss")
    may_miss = network.pooling is None or choose(False, True)
    more = {}
    if loss == "log_loss" and may_miss and choose(False, True):
        more["class_weights"] = torch.rand(options["n_outputs"]).to(dtype) + 0.5
    criterion = make_criterion(loss, dtype, may_miss, **more)
    n_rows = int(choose(1, 2, 5, 16, 17, 40))
    batch = draw_batch(network, criterion, n_rows, choose(1, 4, 9), choose(False, True))
    weights = torch.from_numpy(rng.random(n_rows) + 0.5).to(dtype)
    compare(
        network,
        criterion,
        batch,
        weights if choose(False, True) else None,
        per_update=choose(None, 3.5),
        times=choose(1, 2),
    )


def test_a_batch_without_targets_has_no_gradient():
    network = make_network(pooling=None)
    criterion = make_criterion(may_miss=True)
    x, lengths, targets = draw_batch(network, criterion)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    fused = FusedNetwork(network, criterion)
    loss, _ = fused.gradient(x, lengths, (torch.full_like(targets, np.nan), None))
    assert loss == 0
    assert not any(p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("code", [-1, N_OUTPUTS])
def test_codes_beyond_the_outputs_are_refused(code):
    network, criterion = make_network(), make_criterion("log_loss")
    x, lengths, targets = draw_batch(network, criterion)
    targets[2] = code
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with pytest.raises(IndexError, match=f"code {code}, but the network has 4 out"):
        FusedNetwork(network, criterion).gradient(x, lengths, (targets, None))


@pytest.mark.parametrize(
    "options", [{"pooling": "attention"}, {**TOKENS, "tie_embeddings": 1}]
)
def test_other_networks_are_left_to_torch(options):
    if "tie_embeddings" in options:
        options = {**options, "n_outputs": N_TOKENS, "pooling": None}
    network = make_network("gru", **options)
    assert not supports_fused(network)


def test_networks_with_hooks_are_left_to_torch():
    network, criterion = make_network(), make_criterion()
    assert supports_fused(network, criterion)
    with_hook = copy.deepcopy(network)
    with_hook.core.register_forward_hook(lambda *call: None)
    assert not supports_fused(with_hook, criterion)
    network.head.weight.register_hook(lambda gradient: None)
    assert not supports_fused(network, criterion)


def test_frozen_weights_are_left_to_torch():
    network = make_network()
    network.core.rnn.weight_hh_l0.requires_grad_(False)
    assert not supports_fused(network, make_criterion())
    assert supports_fused(network)  # predictions need no gradient


@pytest.mark.parametrize("pooling", ["last", "mean", "max", None])
def test_nan_reaches_the_loss_through_any_pooling(pooling):
    """The backward direction alone overflows, in the steps that it reads last."""
    network = make_network("rnn_relu", bidirectional=True, pooling=pooling, n_outputs=1)
    with torch.no_grad():
        # One unit grows beyond all bounds, and the others add 0 times infinity.
        for weight in network.core.rnn.all_weights[1]:
            weight.zero_()
        network.core.rnn.weight_hh_l0_reverse.fill_diagonal_(1e150)
        network.core.rnn.bias_ih_l0_reverse[0] = 1.0
    criterion = make_criterion("absolute_error", may_miss=pooling is None)
    x, _, targets = draw_batch(network, criterion, ragged=False)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    loss, _ = FusedNetwork(network, criterion).gradient(x, None, (targets, None))
    network.use_kernel("torch")
    assert network(x)[0].isnan().any()
    assert np.isnan(loss)


@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_flat_weights_train_as_separate_ones(optimizer, weight_decay):
    """A class is given the weights one by one, a name all of them in one tensor."""
    found, options = OPTIMIZERS[optimizer]

    class Separate(found):
        def __init__(self, params, lr=1e-3, weight_decay=0.0):
            super().__init__(params, lr=lr, weight_decay=weight_decay, **options)

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4, 2)), rng.normal(size=20)
    curves = [
        RNNRegressor(
            hidden_size=4,
            optimizer=given,
            weight_decay=weight_decay,
            max_epochs=4,
            batch_size=8,
            dtype="float64",
            random_state=0,
        )
        .fit(X, y)
        .loss_curve_
        for given in (optimizer, Separate)
    ]
    np.testing.assert_allclose(*curves, rtol=1e-9)


class Stop(Callback):
    """Replace some gradients by zeros or None."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for name, parameter in named_parameters:
            if "weight_hh" in name:
                parameter.grad = None
            if "weight_ih" in name:
                parameter.grad = torch.zeros_like(parameter)


@pytest.mark.parametrize("kernel", ["compiled", "torch"])
def test_a_callback_may_replace_a_gradient(kernel):
    """Zeros or None instead of a gradient stop its weights."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4, 2)), np.arange(20) % 2
    model = RNNClassifier(
        kernel=kernel, max_epochs=3, callbacks=[Stop()], random_state=0
    )
    first = RNNClassifier(max_epochs=1, learning_rate=1e-30, random_state=0)
    before = first.fit(X, y).module_.core.rnn.state_dict()
    after = model.fit(X, y).module_.core.rnn.state_dict()
    for name in ("weight_hh_l0", "weight_ih_l0"):
        torch.testing.assert_close(before[name], after[name])
    assert not torch.equal(before["bias_hh_l0"], after["bias_hh_l0"])


class ForgetAtEpoch(Callback):
    """Take the gradients away where an epoch begins."""

    def on_epoch_begin(self, net, **kwargs):
        net.module_.zero_grad()
        net.optimizer_.zero_grad()


class ForgetAtBatch(Callback):
    """Take the gradients away where a batch begins."""

    def on_batch_begin(self, net, **kwargs):
        net.module_.zero_grad()
        net.optimizer_.zero_grad()


@pytest.mark.parametrize("callback", [ForgetAtEpoch, ForgetAtBatch])
def test_a_callback_may_take_gradients_away(callback):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4, 2)), rng.normal(size=20)
    curves = [
        RNNRegressor(
            kernel="compiled",
            max_epochs=3,
            batch_size=8,
            callbacks=given,
            random_state=0,
        )
        .fit(X, y)
        .loss_curve_
        for given in (None, [callback()])
    ]
    np.testing.assert_allclose(*curves, rtol=1e-6)


def test_a_trained_model_is_pickled_without_what_kernels_read():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4, 2)), rng.normal(size=20)
    model = RNNRegressor(kernel="compiled", max_epochs=2, random_state=0).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_flat_weights_have_the_same_gradient():
    network, criterion = make_network(n_layers=2), make_criterion()
    weights = FlatWeights([list(network.parameters())])
    x, lengths, targets = draw_batch(network, criterion)
    weights.clear_gradients()
    FusedNetwork(network, criterion).gradient(x, lengths, (targets, None))
    found = weights.gradients()[0].clone()
    weights.clear_gradients()
    network.use_kernel("torch")
    network.advance_dropout()
    criterion(network(x, lengths), (targets, None)).backward()
    torch.testing.assert_close(found, weights.gradients()[0], rtol=0, atol=1e-11)
