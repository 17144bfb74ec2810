"""`save_model` and `load_model`: what comes back, and what cannot be saved."""

import os
import pickle
import random
import stat
import threading
import warnings

import numpy as np
import pytest
import safetensors.numpy
import torch
from scipy.special import expit, logit
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from skorch.callbacks import PrintLog
from zoo import ZOO, flat, make

from sklearn_rnn import (
    InvalidModelError,
    RNNRegressor,
    SequenceFlattener,
    SequenceWindower,
)
from sklearn_rnn.persistence import load_model, save_model

SEARCHES = ("search", "search in blocks")
X = np.random.RandomState(0).normal(size=(40, 3, 2))
Y = X[:, 0, 0]


def small(**options):
    return RNNRegressor(
        **{"hidden_size": 2, "max_epochs": 1, "random_state": 0} | options
    )


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in ZOO if name not in SEARCHES])
def test_a_model_predicts_the_same_after_loading(name, tmp_path):
    fitted = make(name)
    save_model(fitted.model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    model = load_model(tmp_path / "model") if name == "live" else fitted.model
    expected = flat(fitted.predict(model))
    np.testing.assert_array_equal(flat(fitted.predict(loaded)), expected)


def test_a_loaded_model_is_trained_on_as_the_saved_one(tmp_path):
    model = small(dropout=0.2, linear_skip=False).fit(X, Y)
    save_model(model, tmp_path / "model")
    twin = load_model(tmp_path / "model")
    expected = model.partial_fit(X, Y).predict(X)
    np.testing.assert_array_equal(twin.partial_fit(X, Y).predict(X), expected)
    assert twin.loss_curve_ == model.loss_curve_


@pytest.mark.thorough
def test_the_best_of_a_search_can_be_saved(tmp_path):
    for name in SEARCHES:
        model = make(name).model
        with pytest.raises(InvalidModelError, match="Save its best_estimator_ instead"):
            save_model(model, tmp_path / "model")
        save_model(model.best_estimator_, tmp_path / "model")


def half(progress):
    return 0.5


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (small(lr_schedule=half), r"RNNRegressor\.lr_schedule .*Functions are code"),
        (small(callbacks=[PrintLog()]), r"callbacks\[0\] .*Set callbacks=None"),
        (small(optimizer=type("Own", (torch.optim.SGD,), {})), r"optimizer is of type"),
        (small(random_state=np.random.default_rng()), r"random_state is of type numpy"),
        (
            make_pipeline(SequenceFlattener(), RandomForestRegressor()),
            r"Pipeline\.steps\[1\]\[1\] is of type sklearn\.ensemble.*with skops",
        ),
        (
            TransformedTargetRegressor(Ridge(), func=logit, inverse_func=expit),
            r"TransformedTargetRegressor\.func .*Functions are code",
        ),
        (np.zeros(3, dtype=complex), "complex128, which cannot be saved"),
    ],
)
def test_what_cannot_be_saved_is_named(model, match, tmp_path):
    with pytest.raises(InvalidModelError, match=match):
        save_model(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_functions_and_types_of_numpy_can_be_saved(tmp_path):
    values = [np.log1p, np.abs, np.float32, np.bool_, np.str_]
    save_model(values, tmp_path / "model")
    assert load_model(tmp_path / "model") == values


def test_a_subclass_is_not_saved_as_its_base(tmp_path):
    class Own(RNNRegressor):
        pass

    with pytest.raises(InvalidModelError, match=r"Own, which save_model cannot save"):
        save_model(Own(), tmp_path / "model")


def test_a_model_that_holds_itself_is_refused(tmp_path):
    loop = []
    loop.append(loop)
    with pytest.raises(InvalidModelError, match="holds itself"):
        save_model(loop, tmp_path / "model")


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model"
    save_model(SequenceWindower(3), path)
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_model(SequenceWindower(4), path)
    assert load_model(path).n_steps == 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("below", "named"),
    [("none/model", "none"), ("file/model", "file"), ("folder", "folder")],
)
def test_an_error_names_the_folder_that_was_given(below, named, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as error:
        save_model(SequenceWindower(3), tmp_path / below)
    assert str(error.value).endswith(f": '{tmp_path / named}'")


def full_disk(descriptor):
    raise OSError(28, "No space left on device")


def test_a_file_has_the_permissions_of_other_new_files(tmp_path):
    save_model(SequenceWindower(3), tmp_path / "model")
    (tmp_path / "other").touch()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()]
    assert len(modes) == 2
    assert modes[0] == modes[1]


def state_of_the_process():
    return (
        os.getcwd(),
        dict(os.environ),
        list(warnings.filters),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate(),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        threading.active_count(),
    )


def test_the_process_is_left_as_it_was(tmp_path):
    model = small(n_threads=1).fit(X, Y)
    before = state_of_the_process()
    save_model(model, tmp_path / "model")
    load_model(tmp_path / "model").predict(X)
    (tmp_path / "damaged").write_bytes(b"none of ours")
    with pytest.raises(InvalidModelError):
        load_model(tmp_path / "damaged")
    assert state_of_the_process() == before


def test_the_file_is_one_of_safetensors(tmp_path):
    model = small().fit(X, Y)
    save_model(model, tmp_path / "model")
    tensors = safetensors.numpy.load_file(tmp_path / "model")
    weight = model.module_.head.weight.detach().numpy()
    assert any(np.array_equal(tensor, weight) for tensor in tensors.values())


def test_nothing_in_a_file_is_a_pickle(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle, "loads", forbidden)
    monkeypatch.setattr(pickle, "dumps", forbidden)
    monkeypatch.setattr(pickle, "load", forbidden)
    save_model(small().fit(X, Y), tmp_path / "model")
    load_model(tmp_path / "model")


def forbidden(*args, **kwargs):
    raise AssertionError("pickle was used")
