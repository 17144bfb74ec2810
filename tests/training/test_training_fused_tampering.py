"""Networks, optimizers and data that were changed after they were built.

Training and predictions are those of torch, or both are errors.
"""

import copy
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sklearn_rnn import RNNClassifier, RNNRegressor, RNNTagger, SequenceArray
from sklearn_rnn.kernels import CounterGenerator
from sklearn_rnn.modules import (
    Linear,
    LockedDropout,
    MaxPooling,
    MeanPooling,
    SequenceNetwork,
)
from sklearn_rnn.training._fused import supports_fused

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 6, 3))
Y = X[:, :, 0].sum(axis=1)
TOKENS = RNG.integers(0, 12, size=(30, 6, 1))
WITH_CODES = np.concatenate([X[:, :, :2], TOKENS % 4], axis=2)
OPTIONS = {
    "hidden_size": 5,
    "n_layers": 2,
    "max_epochs": 3,
    "batch_size": 8,
    "dtype": "float64",
    "random_state": 0,
}
MODEL = RNNRegressor("gru", **OPTIONS, dropout=0.2, weight_drop=0.2, layer_norm=True)
PLAIN = RNNRegressor("rnn", **OPTIONS)
ON_TOKENS = RNNRegressor(**OPTIONS, embedding_dim=4, token_dropout=0.2)
ON_CATEGORIES = RNNRegressor(**OPTIONS, categorical_features=[2])


def set_spec(**fields):
    def tamper(network):
        network.spec = replace(network.spec, **fields)

    return tamper


def set_at(path, make):
    """Return a function that sets an attribute of a network, or of a part of it."""
    *parents, name = path.split(".")

    def tamper(network):
        parent = network
        for part in parents:
            parent = parent[int(part)] if part.isdigit() else getattr(parent, part)
        if name.isdigit():
            parent[int(name)] = make(parent[int(name)])
        else:
            setattr(parent, name, make(getattr(parent, name)))

    return tamper


def constant(value):
    return lambda before: value


def set_data(path, make):
    """Return a function that gives a weight other values, in memory of their own."""

    def change(weight):
        weight.data = make(weight.data)
        return weight

    return set_at(path, change)


def patch(path, change=lambda result: result * 0.5):
    """Return a function that patches a method of a module."""

    def make(method):
        return lambda *args, **kwargs: change(method(*args, **kwargs))

    return set_at(path, make)


def half_states(result):
    return result[0] * 0.5, *result[1:]


def share_storage(network):
    rnn = network.core.rnn
    rnn.weight_hh_l1.data = rnn.weight_hh_l0.data


def share_parameter(network):
    network.core.rnn.weight_hh_l1 = network.core.rnn.weight_hh_l0


def transposed(weight):
    return weight.t().contiguous().t()


def longer(values):
    return torch.cat([values, values])


def every_other(values):
    return torch.stack([values, values], dim=1)[:, 0]


def own_parameter(weight):
    return nn.Parameter(weight.detach() * 2)


class OwnParameter(nn.Parameter):
    """A weight of a class of its own."""


class OwnLinear(Linear):
    """A head that is not that of the package."""

    def forward(self, x):
        return super().forward(x) * 2


def own_head(head):
    made = OwnLinear(head.in_features, head.out_features, dtype=head.weight.dtype)
    made.load_state_dict(head.state_dict())
    return made


def other_pooling(kind):
    return lambda pooling: kind()


def head_without_bias(head):
    return Linear(head.in_features, head.out_features, False, dtype=torch.float64)


def larger_head(head):
    made = Linear(head.in_features, 3, dtype=torch.float64)
    nn.init.ones_(made.weight)
    nn.init.ones_(made.bias)
    return made


class OwnNetwork(SequenceNetwork):
    """A network that is not that of the package."""

    def run(self, *args, **kwargs):
        return half_states(super().run(*args, **kwargs))


def swap_buffers(network):
    """Swap names alone: the values stay in their order."""
    center, factor = network._buffers.pop("center"), network._buffers.pop("factor")
    network._buffers["factor"], network._buffers["center"] = center, factor


HH = "core.rnn.weight_hh_l0"
TAMPERINGS = {
    "own class": (PLAIN, set_at("__class__", constant(OwnNetwork))),
    "own class of the head": (PLAIN, set_at("head.__class__", constant(OwnLinear))),
    "swapped names": (PLAIN, swap_buffers),
    "cell": (PLAIN, set_at("core.cell", constant("rnn_relu"))),
    "residual": (MODEL, set_at("core.residual", constant(True))),
    "fewer layers": (PLAIN, set_at("core.n_layers", constant(1))),
    "fewer layers, norms": (MODEL, set_at("core.n_layers", constant(1))),
    "more layers": (PLAIN, set_at("core.n_layers", constant(3))),
    "fewer torch layers": (PLAIN, set_at("core.rnn.num_layers", constant(1))),
    "directions": (PLAIN, set_at("core.rnn.bidirectional", constant(True))),
    "units": (PLAIN, set_at("core.rnn.hidden_size", constant(4))),
    "mixed": (PLAIN, set_at("mixed", constant(False))),
    "spec: pooling": (PLAIN, set_spec(pooling="mean")),
    "spec: per step": (PLAIN, set_spec(pooling=None)),
    "spec: norms": (PLAIN, set_spec(layer_norm=True)),
    "spec: no norms": (MODEL, set_spec(layer_norm=False)),
    "spec: residual": (PLAIN, set_spec(residual=True)),
    "spec: layers": (PLAIN, set_spec(n_layers=1)),
    "spec: directions": (PLAIN, set_spec(bidirectional=True)),
    "spec: subsampling": (PLAIN, set_spec(subsampling=2)),
    "spec: outputs": (PLAIN, set_spec(n_outputs=2)),
    "spec: features": (PLAIN, set_spec(n_features=2)),
    "spec: units": (PLAIN, set_spec(hidden_size=3)),
    "spec: cell": (PLAIN, set_spec(cell="lstm")),
    "spec: dropout": (PLAIN, set_spec(dropout=0.5)),
    "spec: weight drop": (PLAIN, set_spec(weight_drop=0.5)),
    "longer center": (PLAIN, set_at("center", longer)),
    "center in float32": (PLAIN, set_at("center", torch.Tensor.float)),
    "center with strides": (PLAIN, set_at("center", every_other)),
    "factor of one value": (PLAIN, set_at("factor", lambda factor: factor[:1])),
    "center of a scalar": (PLAIN, set_at("center", lambda c: torch.tensor(1.5))),
    "mean": (PLAIN, set_at("pooling", other_pooling(MeanPooling))),
    "max": (PLAIN, set_at("pooling", other_pooling(MaxPooling))),
    "last of a direction": (PLAIN, set_at("pooling.n_forward", constant(2))),
    "torch's head": (PLAIN, set_at("head", own_head)),
    "head without bias": (PLAIN, set_at("head", head_without_bias)),
    "larger head": (PLAIN, set_at("head", larger_head)),
    "one dropout": (MODEL, set_at("core.dropout.0.p", constant(0.5))),
    "last dropout": (MODEL, set_at("dropout.p", constant(0.5))),
    "first dropout": (MODEL, set_at("input_dropout.p", constant(0.5))),
    "no dropout": (MODEL, set_at("core.dropout.0", constant(nn.Identity()))),
    "no dropouts": (MODEL, set_at("core.dropout", constant(nn.ModuleList()))),
    "another dropout": (MODEL, set_at("core.dropout.0", lambda d: nn.ReLU())),
    "no last dropout": (MODEL, set_at("dropout", constant(nn.Identity()))),
    "weight drop": (MODEL, set_at("core.weight_drop.l1.p", constant(0.5))),
    "no weight drop": (
        MODEL,
        set_at("core.weight_drop.l1", constant(LockedDropout(0))),
    ),
    "dropout of other masks": (MODEL, set_at("dropout.site", constant(40))),
    "dropout of another generator": (
        MODEL,
        set_at("dropout.generator", lambda g: CounterGenerator(99)),
    ),
    "forward": (PLAIN, patch("forward")),
    "run": (PLAIN, patch("run", half_states)),
    "outputs": (PLAIN, patch("_outputs")),
    "inputs": (PLAIN, patch("_inputs")),
    "core.run": (PLAIN, patch("core.run", half_states)),
    "core._weights": (PLAIN, patch("core._weights", lambda w: [p * 0.5 for p in w])),
    "head.forward": (PLAIN, patch("head.forward")),
    "pooling.forward": (PLAIN, patch("pooling.forward")),
    "pooling.summarize": (PLAIN, patch("pooling.summarize", half_states)),
    "pooling.finish": (PLAIN, patch("pooling.finish")),
    "norm.forward": (MODEL, patch("core.norms.1.forward")),
    "dropout.forward": (MODEL, patch("dropout.forward")),
    "no norm": (MODEL, set_at("core.norms.0", constant(nn.Identity()))),
    "norm": (PLAIN, set_at("core.norms.1", lambda n: nn.LayerNorm(5).double())),
    "no last norm": (MODEL, set_at("core.norms", lambda norms: norms[:1])),
    "eps": (MODEL, set_at("core.norms.1.eps", constant(0.5))),
    "norm without scale": (MODEL, set_at("core.norms.0.weight", constant(None))),
    "frozen": (PLAIN, set_at(f"{HH}.requires_grad", constant(False))),
    "replaced": (PLAIN, set_at(HH, own_parameter)),
    "of another class": (PLAIN, set_at(HH, lambda w: OwnParameter(w.detach() * 2))),
    "no bias": (PLAIN, set_at("head.bias", constant(None))),
    "other values": (PLAIN, set_data(HH, lambda w: w * 0.5)),
    "transposed": (PLAIN, set_data(HH, transposed)),
    "one value": (PLAIN, set_data(HH, lambda w: w[:1, :1].expand_as(w))),
    "fewer columns": (PLAIN, set_data(HH, lambda w: w[:, :4])),
    "fewer rows": (PLAIN, set_data("core.rnn.bias_hh_l0", lambda w: w[:4])),
    "another type": (PLAIN, set_data(HH, torch.Tensor.float)),
    "half": (PLAIN, set_data(HH, torch.Tensor.half)),
    "meta": (PLAIN, set_at(HH, lambda w: nn.Parameter(w.to("meta")))),
    "shared storage": (PLAIN, share_storage),
    "shared weight": (PLAIN, share_parameter),
    "embedding of fewer tokens": (
        ON_TOKENS,
        set_at("embedding.n_tokens", constant(3)),
    ),
    "unknown token": (ON_TOKENS, set_at("embedding.unknown_token", constant(2))),
    "fewer vectors": (ON_TOKENS, set_data("embedding.weight", lambda w: w[:4])),
    "more vectors": (ON_TOKENS, set_data("embedding.weight", longer)),
    "token dropout": (
        ON_TOKENS,
        set_at("embedding.token_dropout.p", constant(0.5)),
    ),
    "other counts": (
        ON_TOKENS,
        set_at("embedding.token_dropout.counts", lambda n: n + 1),
    ),
    "fewer counts": (
        ON_TOKENS,
        set_at("embedding.token_dropout.counts", lambda n: n[:3]),
    ),
    "embedding.forward": (ON_TOKENS, patch("embedding.forward")),
    "frozen vectors": (
        ON_TOKENS,
        set_at("embedding.weight.requires_grad", constant(False)),
    ),
    "spec: categories": (ON_CATEGORIES, set_spec(category_features=())),
    "spec: more categories": (ON_CATEGORIES, set_spec(n_categories=(9,))),
    "no categories": (ON_CATEGORIES, set_at("categories", constant(None))),
    "another position": (
        ON_CATEGORIES,
        set_at("categories.features", constant(((1, 0),))),
    ),
    "categories.forward": (ON_CATEGORIES, patch("categories.forward")),
    "vectors.forward": (ON_CATEGORIES, patch("categories.vectors.0.forward")),
    "fewer of a category": (
        ON_CATEGORIES,
        set_data("categories.vectors.0.weight", lambda w: w[:2]),
    ),
    "short vectors": (
        ON_CATEGORIES,
        set_at("categories.vectors.0.max_norm", constant(0.01)),
    ),
    "padding vector": (
        ON_CATEGORIES,
        set_at("categories.vectors.0.padding_idx", constant(1)),
    ),
    "frozen categories": (
        ON_CATEGORIES,
        set_at("categories.vectors.0.weight.requires_grad", constant(False)),
    ),
}
ids = {"argvalues": TAMPERINGS.values(), "ids": list(TAMPERINGS)}


def data_of(model):
    if isinstance(model.categorical_features, list):
        return WITH_CODES, Y
    return (X if model.embedding_dim is None else TOKENS), Y


def outcome(compute):
    """Return what is computed, or the error."""
    try:
        return np.asarray(compute(), dtype=float)
    except Exception as error:
        return error


def assert_same_outcome(ours, theirs):
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert isinstance(theirs, Exception), ours
        assert isinstance(ours, Exception), theirs
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model, tamper", **ids)
def test_predictions_of_changed_networks(model, tamper):
    inputs, targets = data_of(model)
    outcomes = []
    fitted = copy.deepcopy(model).set_params(kernel="compiled").fit(inputs, targets)
    for kernel in ("compiled", "torch"):
        changed = copy.deepcopy(fitted)
        changed.module_.use_kernel(kernel)
        changed.predict(inputs)  # what was decided for it must not stay
        tamper(changed.module_)
        outcomes.append(outcome(lambda m=changed: m.predict(inputs)))
    assert_same_outcome(*outcomes)


def test_weights_of_another_cell_are_refused():
    model = copy.deepcopy(PLAIN).set_params(kernel="compiled").fit(X, Y)
    model.module_.core.cell = "lstm"
    with pytest.raises(ValueError, match="weight_hh must be of shape"):
        model.predict(X)
    with pytest.raises(ValueError, match="weight_hh must be of shape"):
        model.partial_fit(X, Y)


class Tamper(Callback):
    """Change the network where the second epoch begins."""

    def __init__(self, tamper):
        self.tamper = tamper

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            self.tamper(net.module_)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model, tamper", **ids)
def test_training_of_changed_networks(model, tamper):
    inputs, targets = data_of(model)
    outcomes = []
    for kernel in ("compiled", "torch"):
        fitted = copy.deepcopy(model)
        fitted.set_params(kernel=kernel, callbacks=[Tamper(tamper)])
        outcomes.append(outcome(lambda m=fitted: m.fit(inputs, targets).loss_curve_))
    assert_same_outcome(*outcomes)


def momentum(net):
    net.optimizer_.param_groups[0]["momentum"] = 0.5


def other_decoupling(net):
    net.optimizer_.param_groups[0]["decoupled_weight_decay"] = True


def states(change):
    def tamper(net):
        for state in net.optimizer_.state.values():
            change(state)

    return tamper


def rows_of_half(state):
    for name, value in state.items():
        if torch.is_tensor(value) and value.ndim:
            state[name] = value[: len(value) // 2]


def set_state(name, value):
    return states(lambda state: state.__setitem__(name, value))


def every_other_state(state):
    for name, value in state.items():
        if torch.is_tensor(value) and value.ndim == 1:
            state[name] = every_other(value)


STATES = {
    "no buffers": ("sgd", set_state("momentum_buffer", None)),
    "buffers left out": ("sgd", states(lambda state: state.pop("momentum_buffer"))),
    "other buffers": ("sgd", states(lambda s: (s.clear(), s.update(own=1)))),
    "shorter buffers": ("sgd", states(rows_of_half)),
    "buffers with strides": ("sgd", states(every_other_state)),
    "other momentum": ("sgd", momentum),
    "nothing": ("adam", states(dict.clear)),
    "shorter": ("adam", states(rows_of_half)),
    "with strides": ("adam", states(every_other_state)),
    "no second moment": ("adam", states(lambda state: state.pop("exp_avg_sq"))),
    "a scalar": ("adam", set_state("exp_avg", 0.0)),
    "other steps": ("adam", states(lambda state: state["step"].fill_(7))),
    "steps of an int": ("adam", set_state("step", 7)),
    "decoupled decay": ("adam", other_decoupling),
}


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("optimizer, tamper", STATES.values(), ids=STATES)
def test_training_with_changed_optimizers(optimizer, tamper):
    class AtEpoch(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                tamper(net)

    outcomes = []
    for kernel in ("compiled", "torch"):
        fitted = copy.deepcopy(PLAIN).set_params(
            kernel=kernel,
            optimizer=optimizer,
            weight_decay=0.1,
            callbacks=[AtEpoch()],
            learning_rate=0.01,
        )
        outcomes.append(outcome(lambda m=fitted: m.fit(X, Y).loss_curve_))
    if isinstance(outcomes[0], Exception):  # torch may be able to do with less
        assert isinstance(outcomes[0], ValueError)
    else:
        assert_same_outcome(*outcomes)


def test_dropout_that_a_callback_switches_off_is_off():
    class SwitchOff(Callback):
        def on_batch_begin(self, net, **kwargs):
            net.module_.dropout.eval()

    curves = [
        copy.deepcopy(MODEL)
        .set_params(kernel=kernel, callbacks=[SwitchOff()])
        .fit(X, Y)
        .loss_curve_
        for kernel in ("compiled", "torch")
    ]
    np.testing.assert_allclose(*curves, rtol=1e-7)


def memory_mapped(values, tmp_path):
    np.save(tmp_path / "values.npy", values)
    return np.load(tmp_path / "values.npy", mmap_mode="r")


def read_only(values, tmp_path):
    values = values.copy()
    values.setflags(write=False)
    return values


def unaligned(values, tmp_path):
    memory = np.zeros(values.nbytes + 1, dtype=np.uint8)
    moved = memory[1:].view(values.dtype).reshape(values.shape)
    moved[:] = values
    return moved


WHOLE = np.random.default_rng(1).integers(0, 12, size=(30, 6, 3))
ARRAYS = {
    "read-only": (X, read_only),
    "memory-mapped": (X, memory_mapped),
    "unaligned": (X, unaligned),
    "Fortran order": (X, lambda values, path: np.asfortranarray(values)),
    "with strides": (X, lambda values, path: np.repeat(values, 2, axis=2)[:, :, ::2]),
    "backwards": (X, lambda values, path: values[:, ::-1][:, ::-1]),
    "big-endian": (X, lambda values, path: values.astype(">f8")),
    "big-endian float32": (X, lambda values, path: values.astype(">f4")),
    **{
        name: (WHOLE, lambda values, path, name=name: values.astype(name))
        for name in ("int8", "uint8", "int16", "uint32", "int32", "int64", "uint64")
    },
    "bool": (WHOLE, lambda values, path: values > 5),
    "float16": (WHOLE, lambda values, path: values.astype("float16")),
    "float32": (WHOLE, lambda values, path: values.astype("float32")),
    "longdouble": (WHOLE, lambda values, path: values.astype("longdouble")),
}


@pytest.mark.thorough
@pytest.mark.parametrize("subtract_last", [False, True])
@pytest.mark.parametrize("values, change", ARRAYS.values(), ids=ARRAYS)
def test_values_of_any_type_and_layout(values, change, subtract_last, tmp_path):
    model = copy.deepcopy(PLAIN)
    if subtract_last:
        model.set_params(subtract_last=True, target_feature=0)
    changed = change(values, tmp_path)
    found = [
        copy.deepcopy(model).set_params(kernel=kernel).fit(changed, Y)
        for kernel in ("compiled", "torch")
    ]
    np.testing.assert_allclose(*(m.loss_curve_ for m in found), rtol=1e-7)
    np.testing.assert_allclose(*(m.predict(changed) for m in found), rtol=1e-7)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", ["int8", "uint8", "int16", "int32", "int64", ">i4", "float32", "float64"]
)
def test_tokens_of_any_type(name):
    tokens = TOKENS.astype(name)
    model = RNNClassifier(**OPTIONS, embedding_dim=4)
    outcomes = []
    for kernel in ("compiled", "torch"):
        fitted = copy.deepcopy(model).set_params(kernel=kernel)
        outcomes.append(outcome(lambda m=fitted: m.fit(tokens, Y > 0).loss_curve_))
    assert_same_outcome(*outcomes)


@pytest.mark.parametrize("model", [PLAIN, ON_TOKENS, RNNTagger(**OPTIONS)])
def test_unchanged_networks_are_computed_as_a_whole(model):
    """Or the tests above would compare torch with torch."""
    inputs, targets = data_of(model)
    if isinstance(model, RNNTagger):
        targets = X[:, :, 0] > 0
    model = copy.deepcopy(model).set_params(kernel="compiled").fit(inputs, targets)
    assert supports_fused(model.module_.train(), model.net_.criterion_)
    assert isinstance(model.module_.forward, types.MethodType)


def test_tokens_that_are_read_through_an_affine_map():
    series = SequenceArray(
        np.random.default_rng(1).integers(5, 17, size=(60, 1)),
        starts=np.arange(30),
        lengths=np.full(30, 8),
    ).scale(np.array([5.0]), np.array([1.0]))
    found = [
        copy.deepcopy(ON_TOKENS).set_params(kernel=kernel).fit(series, Y)
        for kernel in ("compiled", "torch")
    ]
    np.testing.assert_allclose(*(m.loss_curve_ for m in found), rtol=1e-7)
    np.testing.assert_allclose(*(m.predict(series) for m in found), rtol=1e-7)


def code_beyond(dataset):
    dataset.targets[3] = 99


def negative_code(dataset):
    dataset.targets[3] = -1


def fewer_steps(dataset):
    dataset.targets.values = dataset.targets.values[:-9]


def fewer_targets(dataset):
    dataset.targets = dataset.targets[:-3]


def fewer_weights(dataset):
    dataset.weights = torch.ones(4, dtype=torch.float64)


DATASETS = {
    "code beyond": (RNNClassifier(**OPTIONS), Y > 0, code_beyond),
    "negative code": (RNNClassifier(**OPTIONS), Y > 0, negative_code),
    "fewer steps": (RNNTagger(**OPTIONS), X[:, :, 0] > 0, fewer_steps),
    "fewer targets": (RNNRegressor(**OPTIONS), Y, fewer_targets),
    "fewer weights": (RNNRegressor(**OPTIONS), Y, fewer_weights),
}


@pytest.mark.thorough
@pytest.mark.parametrize("model, targets, tamper", DATASETS.values(), ids=DATASETS)
def test_training_on_changed_datasets_fails(model, targets, tamper):
    class AtEpoch(Callback):
        def on_epoch_begin(self, net, dataset_train=None, **kwargs):
            if len(net.history) == 2:
                tamper(dataset_train)

    for kernel in ("compiled", "torch"):
        fitted = copy.deepcopy(model)
        fitted.set_params(kernel=kernel, callbacks=[AtEpoch()])
        with pytest.raises((ValueError, IndexError, RuntimeError)):
            fitted.fit(X, targets)


def double_targets(net, dataset):
    dataset.targets.mul_(2)


def double_targets_with_strides(net, dataset):
    if dataset.targets.is_contiguous():
        dataset.targets = every_other(dataset.targets)
    else:  # of which kernels read a copy
        dataset.targets.mul_(2)


def other_labels(net, dataset):
    dataset.targets.values.copy_(1 - dataset.targets.values)


def double_sample_weights(net, dataset):
    dataset.weights[:9] *= 2


def other_class_weights(net, dataset):
    net.criterion_.class_weights[0] *= 9


def clip(net, dataset):
    net.clip_norm = 1e-3


def truncate(net, dataset):
    net.bptt_steps = 2


TAGGER = RNNTagger(**OPTIONS, class_weight="balanced")
IN_PLACE = {
    "targets": (PLAIN, Y, double_targets),
    "targets with strides": (PLAIN, Y, double_targets_with_strides),
    "labels": (TAGGER, X[:, :, 0] > 0, other_labels),
    "sample weights": (PLAIN, Y, double_sample_weights),
    "class weights": (TAGGER, X[:, :, 0] > 0, other_class_weights),
    "clipping": (PLAIN, Y, clip),
    "truncation": (PLAIN, Y, truncate),
}


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model, targets, tamper", IN_PLACE.values(), ids=IN_PLACE)
def test_what_callbacks_change_in_place_counts(model, targets, tamper, dtype):
    class AtEpoch(Callback):
        def on_epoch_begin(self, net, dataset_train=None, **kwargs):
            if len(net.history) > 1:
                tamper(net, dataset_train)

    weights = np.linspace(0.5, 1.5, len(X))
    found = {}
    for kernel in ("compiled", "torch"):
        fitted = copy.deepcopy(model).set_params(kernel=kernel, dtype=dtype)
        before = copy.deepcopy(fitted).fit(X, targets, weights).loss_curve_
        after = fitted.set_params(callbacks=[AtEpoch()]).fit(X, targets, weights)
        assert after.loss_curve_ != before
        found[kernel] = after.loss_curve_
    rtol = 1e-7 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(found["compiled"], found["torch"], rtol=rtol)


def test_codes_that_numpy_writes_are_checked_in_every_epoch():
    class AtEpoch(Callback):
        def on_epoch_begin(self, net, dataset_train=None, **kwargs):
            if len(net.history) == 2:
                dataset_train.targets.numpy()[3] = 99  # torch does not count it

    model = RNNClassifier(**OPTIONS, kernel="compiled", callbacks=[AtEpoch()])
    with pytest.raises(IndexError, match="class code 99"):
        model.fit(X, Y > 0)
