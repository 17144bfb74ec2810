"""What is kept, what is pickled, and what is left as it was found."""

import copy
import io
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.estimators._state import to_numpy

OPTIONS = {"hidden_size": 4, "max_epochs": 3, "batch_size": 8, "random_state": 0}
VARIANTS = [
    RNNRegressor(**OPTIONS),
    RNNRegressor(
        **OPTIONS, target_feature=0, linear_skip=False, pooling="attention", dropout=0.2
    ),
    RNNClassifier(**OPTIONS, cell="lstm", n_layers=2, bidirectional=True),
    RNNClassifier(**OPTIONS, optimizer="sgd", early_stopping=True),
]


@pytest.fixture(params=range(len(VARIANTS)))
def model(request):
    return clone(VARIANTS[request.param])


def make_data(model, seed=0):
    X = np.random.default_rng(seed).normal(size=(30, 5, 2))
    y = X[:, -1, 0]
    return X, y if isinstance(model, RNNRegressor) else np.where(y > 0, "up", "down")


def outputs(model, X):
    if isinstance(model, RNNRegressor):
        return model.predict(X)
    return model.predict_proba(X)


# Copies.


def by_pickle(model):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


COPIES = [by_pickle, by_joblib, copy.deepcopy]


@pytest.mark.thorough
@pytest.mark.parametrize("make_copy", COPIES)
def test_a_copy_predicts_bit_for_bit_the_same(model, make_copy):
    X, y = make_data(model)
    model.fit(X, y)
    twin = make_copy(model)
    np.testing.assert_array_equal(outputs(twin, X), outputs(model, X))
    for name in ("loss_curve_", "history_", "n_iter_", "n_parameters_"):
        assert getattr(twin, name) == getattr(model, name)
    assert set(vars(twin)) == set(vars(model))


@pytest.mark.thorough
@pytest.mark.parametrize("make_copy", COPIES)
def test_a_copy_learns_on_exactly_as_the_original(model, make_copy):
    X, y = make_data(model)
    model.set_params(early_stopping=False).fit(X, y)
    twin = make_copy(model)
    for _ in range(2):
        model.partial_fit(X, y)
        twin.partial_fit(X, y)
    np.testing.assert_array_equal(outputs(twin, X), outputs(model, X))
    assert twin.loss_curve_ == model.loss_curve_


@pytest.mark.thorough
@pytest.mark.parametrize("make_copy", COPIES)
def test_a_warm_start_of_a_copy_is_that_of_the_original(model, make_copy):
    X, y = make_data(model)
    model.set_params(warm_start=True).fit(X, y)
    twin = make_copy(model)
    np.testing.assert_array_equal(
        outputs(twin.fit(X, y), X), outputs(model.fit(X, y), X)
    )


@pytest.mark.thorough
@pytest.mark.parametrize("make_copy", COPIES)
def test_a_copy_has_weights_of_its_own(model, make_copy):
    X, y = make_data(model)
    before = outputs(model.fit(X, y), X)
    make_copy(model).module_.head.bias.data.add_(1.0)
    np.testing.assert_array_equal(outputs(model, X), before)


@pytest.mark.thorough
def test_a_memory_mapped_copy_predicts_and_learns(model, tmp_path):
    X, y = make_data(model)
    model.set_params(early_stopping=False).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    twin = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    np.testing.assert_array_equal(
        outputs(twin.partial_fit(X, y), X), outputs(model.partial_fit(X, y), X)
    )


def test_an_unfitted_copy_is_unfitted(model):
    X, _ = make_data(model)
    for make_copy in COPIES:
        with pytest.raises(NotFittedError):
            make_copy(model).predict(X)


def tensors_in(tree, path="state"):
    if isinstance(tree, (torch.Tensor, torch.nn.Module, torch.optim.Optimizer)):
        return [path]
    if isinstance(tree, torch.Generator):
        return [path]
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, (list, tuple, set)):
        items = enumerate(tree)
    elif hasattr(tree, "__dict__") and not isinstance(tree, type):
        items = vars(tree).items()
    else:
        return []
    return [found for k, v in items for found in tensors_in(v, f"{path}[{k!r}]")]


def test_the_state_holds_no_torch_objects(model):
    X, y = make_data(model)
    assert tensors_in(model.fit(X, y).__getstate__()) == []


@pytest.mark.thorough
def test_callbacks_bring_no_torch_objects_into_the_state(model):
    X, y = make_data(model)
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.5)
    stopper = EarlyStopping("train_loss", patience=2, load_best=True)
    model.set_params(callbacks=[scheduler, stopper], lr_schedule=None)
    model.set_params(early_stopping=False)
    model.fit(X, y)
    assert tensors_in(model.__getstate__()) == []
    twin = by_pickle(model)
    np.testing.assert_array_equal(outputs(twin, X), outputs(model, X))
    np.testing.assert_array_equal(
        outputs(twin.fit(X, y), X), outputs(clone(model).fit(X, y), X)
    )


def test_a_model_trained_on_a_gpu_loads_where_there_is_none(model):
    X, y = make_data(model)
    expected = outputs(model.fit(X, y), X)
    state = model.__getstate__()
    state["device"] = "cuda:99"
    loaded = type(model).__new__(type(model))
    loaded.__setstate__(copy.deepcopy(state))
    assert next(loaded.module_.parameters()).device.type == "cpu"
    assert loaded.device == "cuda:99"
    np.testing.assert_array_equal(outputs(loaded, X), expected)


def test_getting_the_state_leaves_the_model_as_it_was(model):
    X, y = make_data(model)
    before = outputs(model.fit(X, y), X)
    model.__getstate__()
    assert model.module_ is model.net_.module_
    np.testing.assert_array_equal(outputs(model, X), before)


@pytest.mark.thorough
def test_a_clone_is_unfitted_and_fits_the_same(model):
    X, y = make_data(model)
    fitted = model.fit(X, y)
    twin = clone(fitted)
    assert not hasattr(twin, "module_")
    np.testing.assert_array_equal(outputs(twin.fit(X, y), X), outputs(fitted, X))


# What the caller finds afterwards.


def global_state():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return (
        (name, keys.tolist(), *rest),
        random.getstate(),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
    )


class Fail(Callback):
    def on_batch_end(self, net, **kwargs):
        raise ZeroDivisionError


@pytest.mark.thorough
@pytest.mark.parametrize("n_threads", [None, 1])
def test_fit_and_predict_leave_the_callers_state(model, n_threads):
    X, y = make_data(model)
    model.set_params(n_threads=n_threads)
    before = global_state()
    model.fit(X, y)
    outputs(model, X)
    if not model.early_stopping:
        model.partial_fit(X, y)
    by_pickle(model)
    assert global_state() == before


@pytest.mark.parametrize("n_threads", [None, 1])
def test_an_exception_in_fit_leaves_the_callers_state(model, n_threads):
    X, y = make_data(model)
    model.set_params(n_threads=n_threads, callbacks=[Fail()])
    before = global_state()
    with pytest.raises(ZeroDivisionError):
        model.fit(X, y)
    assert global_state() == before


def test_the_callers_data_are_not_changed(model):
    X, y = make_data(model)
    X_before, y_before = X.copy(), y.copy()
    weights = np.linspace(0, 1, 30)
    outputs(model.fit(X, y, sample_weight=weights, X_val=X, y_val=y), X)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)
    np.testing.assert_array_equal(weights, np.linspace(0, 1, 30))


@pytest.mark.thorough
def test_the_callers_random_state_does_not_matter(model):
    X, y = make_data(model)
    expected = outputs(model.fit(X, y), X)
    keep = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        np.random.seed(5)  # noqa: NPY002
        torch.manual_seed(5)
        np.testing.assert_array_equal(outputs(model.fit(X, y), X), expected)
    finally:
        np.random.set_state(keep[0])  # noqa: NPY002
        torch.set_rng_state(keep[1])


def test_the_callers_default_dtype_does_not_matter(model):
    X, y = make_data(model)
    expected = outputs(model.fit(X, y), X)
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(outputs(model.fit(X, y), X), expected)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.thorough
def test_training_works_where_the_caller_has_turned_gradients_off(model):
    X, y = make_data(model)
    expected = outputs(model.fit(X, y), X)
    with torch.no_grad():
        np.testing.assert_array_equal(outputs(model.fit(X, y), X), expected)


@pytest.mark.thorough
def test_models_trained_side_by_side_are_those_trained_one_by_one(model):
    X, y = make_data(model)

    def fit(seed):
        return outputs(clone(model).set_params(random_state=seed).fit(X, y), X)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    np.testing.assert_array_equal(together, [fit(seed) for seed in range(4)])


def test_fit_does_not_change_the_parameters(model):
    X, y = make_data(model)
    before = copy.deepcopy(model.get_params())
    model.fit(X, y)
    assert model.get_params() == before


@pytest.mark.thorough
def test_fitting_again_is_fitting_anew(model):
    X, y = make_data(model)
    fresh = outputs(clone(model).fit(X, y), X)
    model.fit(2 * X[:20], y[:20]).fit(X, y)
    np.testing.assert_array_equal(outputs(model, X), fresh)
    assert model.n_iter_ <= 3


# Attributes and representations.


def test_attributes_tell_how_training_went(model):
    X, y = make_data(model)
    model.set_params(early_stopping=False).fit(X, y, X_val=X, y_val=y)
    assert model.n_iter_ == 3
    assert len(model.history_) == len(model.loss_curve_) == 3
    assert [row["epoch"] for row in model.history_] == [1, 2, 3]
    assert [row["train_loss"] for row in model.history_] == model.loss_curve_
    assert [r["valid_score"] for r in model.history_] == model.validation_scores_
    assert all(row["dur"] >= 0 for row in model.history_)
    assert all(type(loss) is float for loss in model.loss_curve_)
    assert model.n_parameters_ == sum(p.numel() for p in model.module_.parameters())
    assert model.net_.module_ is model.module_
    assert model.n_features_in_ == 2


def test_fitted_attributes_are_set_by_fit_alone(model):
    X, y = make_data(model)
    assert not [name for name in vars(model) if name.endswith("_")]
    documented = {
        "n_iter_", "loss_curve_", "validation_scores_", "best_validation_score_",
        "n_parameters_", "history_", "net_", "module_", "n_features_in_",
    }  # fmt: skip
    model.fit(X, y)
    assert documented <= {name for name in vars(model) if name.endswith("_")}


def test_an_unfitted_model_says_so(model):
    X, _ = make_data(model)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.predict(X)


def test_repr_is_short_and_the_same_after_fit(model):
    X, y = make_data(model)
    before = repr(model)
    assert before.startswith(f"{type(model).__name__}(")
    assert "hidden_size=4" in before
    assert repr(model.fit(X, y)) == before
    assert "weight_decay" not in before


@pytest.mark.thorough
def test_the_html_representation_works_fitted_and_not(model):
    X, y = make_data(model)
    assert "Not fitted" in model._repr_html_()
    html = model.fit(X, y)._repr_html_()
    assert "Fitted" in html
    assert type(model).__name__ in html


def test_a_pickle_of_version_0_5_predicts_and_trains_on():
    """It has no kernel, and moments for each weight by itself."""
    X = np.random.default_rng(0).normal(size=(30, 5, 2))
    model = RNNRegressor(max_epochs=2, random_state=0).fit(X, X[:, 0, 0])
    expected, state = model.predict(X), model.__getstate__()
    del state["kernel"]
    saved = state["_saved_net"]
    weights = list(model.module_.parameters())
    moments = torch.optim.Adam(weights)
    sum(weight.sum() for weight in weights).backward()
    moments.step()
    saved["optimizer"] = to_numpy(moments.state_dict())
    loaded = RNNRegressor.__new__(RNNRegressor)
    loaded.__setstate__(state)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    loaded.set_params(warm_start=True).fit(X, X[:, 0, 0])
    assert loaded.n_iter_ == 4
