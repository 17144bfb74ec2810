"""Weights that were frozen after fit, copies, and optimizers that kept other ones."""

import copy
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Freezer

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
)

X = np.random.default_rng(0).normal(size=(40, 6, 2)).astype(np.float32)
Y = X[:, :, 0].sum(axis=1)
TOKENS = np.random.default_rng(1).integers(0, 9, (40, 6))
TEXTS = ["".join("abcd"[i % 4] for i in row) for row in TOKENS]
# Large enough that reading past the end of an optimizer's state crashes.
SMALL = {"hidden_size": 64, "max_epochs": 1, "batch_size": 20, "random_state": 0}
KERNELS = ("compiled", "torch")

CASES = {
    "regressor": (RNNRegressor(dtype="float32", linear_skip=False), (X, Y)),
    "regressor, float64": (
        RNNRegressor(dtype="float64", weight_decay=0.1, linear_skip=False),
        (X, Y),
    ),
    "tokens": (RNNRegressor(embedding_dim=16), (TOKENS, Y)),
    "classifier": (RNNClassifier(optimizer="sgd"), (X, Y > 0)),
    "tagger": (RNNTagger(optimizer="adamw"), (X, X[:, :, 0] > 0)),
    "generator": (RNNGenerator(), (TEXTS,)),
    "encoder-decoder": (RNNSeq2Seq(optimizer="rmsprop"), (TEXTS, TEXTS)),
    "transcriber": (RNNTranscriber(), (X, ["ab"] * 40)),
}


@pytest.fixture(params=KERNELS)
def kernel(request):
    return request.param


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request, kernel):
    model, data = request.param
    return copy.deepcopy(model).set_params(kernel=kernel, **SMALL), data


def train_on(model, data):
    if hasattr(model, "partial_fit"):
        return model.partial_fit(*data)
    return model.set_params(warm_start=True).fit(*data)


def freeze_all_but_the_head(model):
    for name, parameter in model.module_.named_parameters():
        parameter.requires_grad_("head" in name)


def flags(model):
    return [parameter.requires_grad for parameter in model.module_.parameters()]


def weights(model):
    return {n: p.detach().clone() for n, p in model.module_.named_parameters()}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_frozen_weights_are_frozen_in_a_copy_and_others_train_on(case, copied):
    model, data = case
    model.fit(*data)
    freeze_all_but_the_head(model)
    train_on(model, data)
    model = copied(model)
    assert True in flags(model)
    assert False in flags(model)
    before = weights(model)
    for _ in range(3):
        train_on(model, data)
    for name, weight in weights(model).items():
        assert torch.equal(weight, before[name]) == ("head" not in name), name


@pytest.mark.thorough
def test_a_copy_made_right_after_freezing_or_thawing_trains_on(case):
    model, data = case
    model.fit(*data)
    freeze_all_but_the_head(model)
    model = copy.deepcopy(model)
    assert False in flags(model)
    train_on(model, data)
    model.module_.requires_grad_(True)
    model = copy.deepcopy(model)
    assert all(flags(model))
    before = weights(model)
    train_on(model, data)
    assert not torch.equal(weights(model)["head.bias"], before["head.bias"])


def test_a_copy_of_a_model_with_frozen_weights_keeps_their_number(case):
    model, data = case
    model.fit(*data)
    freeze_all_but_the_head(model)
    assert copy.deepcopy(model).n_parameters_ == model.n_parameters_


def test_an_early_stopped_model_with_frozen_weights_can_be_copied_and_refitted(kernel):
    model = RNNRegressor(
        kernel=kernel, early_stopping=True, warm_start=True, **SMALL
    ).fit(X, Y)
    freeze_all_but_the_head(model)
    model = copy.deepcopy(model.fit(X, Y)).fit(X, Y)
    assert flags(model)[-2:] == [True, True]
    assert not any(flags(model)[:-2])


def test_frozen_embeddings_survive_a_copy(kernel):
    model = RNNRegressor(embedding_dim=16, kernel=kernel, **SMALL).fit(TOKENS, Y)
    model.module_.embedding.requires_grad_(False)
    model = copy.deepcopy(model)
    before = weights(model)
    model.partial_fit(TOKENS, Y).partial_fit(TOKENS, Y)
    after = weights(model)
    assert torch.equal(before["embedding.weight"], after["embedding.weight"])
    assert not torch.equal(before["head.weight"], after["head.weight"])


def test_weights_frozen_by_a_callback_are_frozen_in_a_copy(kernel):
    model = RNNRegressor(
        linear_skip=False, kernel=kernel, callbacks=[Freezer("core*")], **SMALL
    ).fit(X, Y)
    model = copy.deepcopy(model.set_params(callbacks=None))
    assert flags(model) == [False] * 4 + [True] * 2
    assert np.isfinite(model.partial_fit(X, Y).partial_fit(X, Y).loss_curve_).all()


@pytest.mark.thorough
def test_nothing_to_train_is_an_error_and_leaves_the_model_as_it_was(case):
    model, data = case
    model.fit(*data)
    model.module_.requires_grad_(False)
    before, n_iter = weights(model), model.n_iter_
    with pytest.raises(ValueError, match="all weights of the network are frozen"):
        train_on(model, data)
    assert all(torch.equal(w, before[n]) for n, w in weights(model).items())
    assert model.n_iter_ == n_iter
    model = copy.deepcopy(model)
    assert not any(flags(model))
    model.module_.requires_grad_(True)
    assert train_on(model, data).n_iter_ == n_iter + 1


def swap(optimizer, make):
    """Put other values in the place of those that belong to weights."""
    for values in optimizer.state.values():
        for name, value in values.items():
            if name != "step" and value is not None:
                values[name] = make(value)


OTHERS = {
    "shorter": lambda v: torch.zeros(3, dtype=v.dtype),
    "longer": lambda v: torch.zeros(2 * v.numel(), dtype=v.dtype),
    "of no dimension": lambda v: torch.zeros((), dtype=v.dtype),
    "of two dimensions": lambda v: v[:, None],
    "of another precision": lambda v: v.half(),
}
SPREAD = {
    "with gaps": lambda v: torch.zeros(2 * len(v), dtype=v.dtype)[::2],
    "one element for all": lambda v: torch.zeros(1, dtype=v.dtype).expand(v.shape),
}


@pytest.mark.thorough
@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize(
    "optimizer", ["adam", "adamw", "sgd", "rmsprop", torch.optim.Adam]
)
def test_a_state_that_is_of_other_weights_is_refused(kernel, optimizer, make):
    model = RNNRegressor(
        linear_skip=False, kernel=kernel, optimizer=optimizer, **SMALL
    ).fit(X, Y)
    swap(model.net_.optimizer_, make)
    with pytest.raises(ValueError, match="of other weights. Call net_.initialize_opt"):
        model.partial_fit(X, Y)
    assert np.isfinite(model.partial_fit(X, Y).loss_curve_).all()


@pytest.mark.parametrize("make", SPREAD.values(), ids=SPREAD)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_state_that_lies_otherwise_is_refused_by_fused_steps(kernel, optimizer, make):
    model = RNNRegressor(
        linear_skip=False, kernel=kernel, optimizer=optimizer, **SMALL
    ).fit(X, Y)
    swap(model.net_.optimizer_, make)
    with pytest.raises(ValueError, match="not contiguous"):
        model.partial_fit(X, Y)


def test_a_copy_starts_the_optimizer_again_if_its_state_is_of_other_weights(kernel):
    model = RNNRegressor(linear_skip=False, kernel=kernel, **SMALL).fit(X, Y)
    swap(model.net_.optimizer_, OTHERS["shorter"])
    model = copy.deepcopy(model)
    assert len(model.net_.optimizer_.state) == 0
    assert np.isfinite(model.partial_fit(X, Y).loss_curve_).all()


@pytest.mark.thorough
def test_the_state_of_a_larger_models_optimizer_is_refused_or_not_used(case):
    model, data = case
    larger = copy.deepcopy(model).set_params(hidden_size=80).fit(*data)
    state = larger.net_.optimizer_.state_dict()
    model.fit(*data).net_.optimizer_.load_state_dict(state)
    if hasattr(model, "partial_fit"):
        with pytest.raises(ValueError, match="of other weights"):
            train_on(model, data)
    # A fit always begins with an optimizer of its own.
    model.net_.optimizer_.load_state_dict(state)
    assert np.isfinite(model.set_params(warm_start=True).fit(*data).loss_curve_).all()


HOOKS = ("on_epoch_begin", "on_batch_begin", "on_grad_computed", "on_batch_end")


class Swap(Callback):
    """Put a short array into the optimizer's state, in a hook of a second call."""

    def __init__(self, hook):
        setattr(self, hook, self._swap)

    def on_batch_begin(self, net, **kwargs):
        """Take part in batches."""

    def _swap(self, net, **kwargs):
        swap(net.optimizer_, OTHERS["shorter"])


@pytest.mark.thorough
@pytest.mark.parametrize("hook", HOOKS)
def test_a_callback_that_swaps_the_state_is_an_error(case, hook):
    model, data = case
    model.set_params(callbacks=[Swap(hook)], max_epochs=3, batch_size=10)
    with pytest.raises(ValueError, match="of other weights"):
        model.fit(*data)
    model.set_params(callbacks=None, warm_start=True).fit(*data)
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.thorough
@pytest.mark.parametrize("fused", [False, True])
def test_a_callback_may_bring_an_optimizer_of_its_own(case, fused):
    model, data = case

    class Bring(Callback):
        def on_epoch_begin(self, net, **kwargs):
            net.optimizer_ = torch.optim.Adam(net.module_.parameters(), fused=fused)

    model.set_params(callbacks=[Bring()], max_epochs=3).fit(*data)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(train_on(model, data).loss_curve_).all()


@pytest.mark.thorough
def test_weights_that_were_replaced_are_trained(case):
    model, data = case
    model.fit(*data)
    state = {name: v.clone() for name, v in model.module_.state_dict().items()}
    model.module_.load_state_dict(state, assign=True)
    before = weights(model)
    train_on(model, data)
    after = weights(model)
    assert not torch.equal(before["head.bias"], after["head.bias"])
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert any("weight_hh" in name for name in changed)


def test_gradients_that_a_callback_removed_come_back(kernel):
    class Clear(Callback):
        def on_batch_begin(self, net, **kwargs):
            net.optimizer_.zero_grad()

    model = RNNRegressor(linear_skip=False, kernel=kernel, **SMALL).fit(X, Y)
    expected = copy.deepcopy(model).partial_fit(X, Y)
    model.net_.callbacks_.append(("clear", Clear()))
    model.partial_fit(X, Y)
    for one, other in zip(
        model.module_.parameters(), expected.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_weights_of_another_shape_are_not_mixed_with_kept_ones(kernel):
    class Replace(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.module_.head.weight.data = torch.zeros(1, 1, dtype=torch.float64)

    model = RNNRegressor(
        linear_skip=False, kernel=kernel, callbacks=[Replace()], **SMALL
    )
    with pytest.raises(ValueError, match=r"the weights \['head.weight'\] no longer"):
        model.set_params(max_epochs=2).fit(X, Y)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_options_of_an_optimizer_may_be_tensors(kernel, optimizer):
    model = RNNRegressor(
        linear_skip=False, kernel=kernel, optimizer=optimizer, **SMALL
    ).fit(X, Y)
    expected = copy.deepcopy(model).partial_fit(X, Y).predict(X)
    for group in model.net_.optimizer_.param_groups:
        group["betas"] = tuple(
            torch.tensor(beta, dtype=torch.float64) for beta in group["betas"]
        )
        group["eps"] = torch.tensor(group["eps"], dtype=torch.float64)
    np.testing.assert_allclose(model.partial_fit(X, Y).predict(X), expected, rtol=1e-5)


def test_an_optimizer_class_may_have_betas_that_are_tensors(kernel):
    class Tensors(torch.optim.Adam):
        def __init__(self, params, **options):
            betas = torch.tensor(0.9), torch.tensor(0.999)
            super().__init__(params, betas=betas, **options)

    model = RNNRegressor(
        linear_skip=False, kernel=kernel, optimizer=Tensors, **SMALL
    ).fit(X, Y)
    assert np.isfinite(model.loss_curve_).all()


def emptied(value):
    value = torch.zeros_like(value)
    value.untyped_storage().resize_(0)
    return value


INCOMPLETE = {
    "nothing": lambda values: values.pop("exp_avg"),
    "None": lambda values: values.update(exp_avg=None),
    "an array": lambda values: values.update(exp_avg=values["exp_avg"].numpy()),
    "no memory": lambda values: values.update(exp_avg=emptied(values["exp_avg"])),
}


@pytest.mark.parametrize("change", INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_state_that_lacks_a_value_is_refused(kernel, change):
    model = RNNRegressor(linear_skip=False, kernel=kernel, **SMALL).fit(X, Y)
    for values in model.net_.optimizer_.state.values():
        change(values)
    with pytest.raises(ValueError, match=r"exp_avg.*Call net_.initialize_optimizer"):
        model.partial_fit(X, Y)
    model.net_.initialize_optimizer()
    assert np.isfinite(model.partial_fit(X, Y).loss_curve_).all()


def test_an_optimizer_may_keep_none_where_it_has_no_momentum(kernel):
    class Plain(torch.optim.SGD):
        def __init__(self, params, lr):
            super().__init__(params, lr)

    model = RNNRegressor(
        linear_skip=False, kernel=kernel, optimizer=Plain, **SMALL
    ).fit(X, Y)
    assert np.isfinite(model.partial_fit(X, Y).loss_curve_).all()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, pickle.dumps], ids=["deepcopy", "pickle"]
)
def test_a_network_that_no_copy_could_load_is_not_pickled(case, copied):
    model, data = case
    model.fit(*data)
    head = model.module_.head
    model.module_.head = torch.nn.Linear(head.weight.shape[1] + 1, 1)
    with pytest.raises(ValueError, match=r"cannot be copied or pickled.*'head\."):
        copied(model)
    model.module_.head = head
    copied(model)
