"""Fit after fit: nothing is lost, nothing leaks, nothing is ignored."""

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed
from skorch.callbacks import Checkpoint, EarlyStopping, LRScheduler

from sklearn_rnn import (
    DivergenceError,
    InvalidSequenceError,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    SequenceArray,
    SequenceWindower,
    StopTraining,
)
from sklearn_rnn.training import validation_split

QUICK = {"hidden_size": 4, "max_epochs": 3, "random_state": 0}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 6, 2))
Y = X.mean(axis=(1, 2))
LABELS = np.where(Y > 0, "b", "a")


@pytest.mark.parametrize(
    "change", [{"device": "cuda:99"}, {"hidden_size": 9, "device": "cuda:99"}]
)
def test_a_refit_that_cannot_begin_leaves_the_fitted_model(change):
    model = RNNRegressor(**QUICK).fit(X, Y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="device"):
        model.set_params(**change).fit(X[:, :, :1], 1000 * Y + 5e4)
    np.testing.assert_array_equal(model.predict(X), before)


def test_a_refit_with_other_labels_that_fails_keeps_the_labels():
    model = RNNClassifier(**QUICK).fit(X, LABELS)
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(X, np.where(Y > 0, "z", "q")[:50])
    assert set(model.predict(X)) <= {"a", "b"}


def test_validation_of_several_series_is_the_end_of_time_in_all_of_them():
    hours = pd.date_range("2024-01-01", periods=200, freq="h")
    table = pd.concat(
        [pd.DataFrame({"s": s, "time": hours, "v": np.arange(200.0)}) for s in "ABC"],
        ignore_index=True,
    )
    windows = SequenceWindower(4, time="time", group_by="s").fit_transform(table)
    train, validation = validation_split(windows, 0.2, np.random.RandomState(0))
    assert table.s[validation].value_counts().to_dict() == {"A": 40, "B": 40, "C": 40}
    gap = table.time[validation].min() - table.time[train].max()
    assert gap == pd.Timedelta(hours=4), "no training window reaches into validation"


def test_windows_of_one_step_are_still_a_series():
    table = pd.DataFrame({"v": np.arange(50.0)})
    for n_steps in (1, 5):
        windows = SequenceWindower(n_steps).fit_transform(table)
        _, validation = validation_split(windows, 0.2, np.random.RandomState(0))
        np.testing.assert_array_equal(validation, np.arange(40, 50))


def big_predictions(n_jobs):
    model = RNNRegressor(hidden_size=256, max_epochs=1, random_state=0)
    wide = np.random.default_rng(0).normal(size=(96, 4, 3))
    fit = delayed(lambda: model.fit(wide, wide.sum(axis=(1, 2))).predict(wide))
    return Parallel(n_jobs=n_jobs)([fit(), fit()])


@pytest.mark.slow
def test_a_large_model_is_the_same_in_worker_processes():
    np.testing.assert_array_equal(big_predictions(1), big_predictions(2))


def test_a_diverged_epoch_does_not_count():
    model = RNNRegressor(
        **QUICK,
        learning_rate=1e39,
        lr_schedule=None,
        batch_size=100,
        optimizer="sgd",
        dtype="float32",
    )
    for validation in ({}, {"X_val": X, "y_val": Y}):
        with pytest.raises(DivergenceError, match="epoch 1"):
            model.fit(X, Y, **validation)
        assert model.n_iter_ == 0
        assert np.isfinite(model.predict(X)).all()


def test_an_overflowing_validation_loss_does_not_bring_back_untrained_weights():
    options = {**QUICK, "linear_skip": False}
    model = RNNRegressor(**options, early_stopping=True, dtype="float32")
    model.fit(X, Y, X_val=X, y_val=Y * 1e30)
    assert model.best_epoch_ == 1
    untrained = RNNRegressor(**{**options, "max_epochs": 1}, learning_rate=1e-30)
    assert not np.allclose(model.predict(X), untrained.fit(X, Y).predict(X))


def test_without_a_seed_numpys_global_state_stays():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    models = [RNNRegressor(hidden_size=2, max_epochs=1).fit(X, Y) for _ in range(2)]
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert not np.array_equal(models[0].predict(X), models[1].predict(X))


@pytest.mark.parametrize(
    ("values", "starts", "lengths", "message"),
    [
        (np.ones((4, 1)) + 5j, [0], [4], "Complex data not supported"),
        (np.array([["a"], ["b"]]), [0], [2], "real numbers"),
        (np.ones((4, 0)), [0], [4], "at least one feature"),
        (np.ones((4, 1)), [1], [2**63 - 1], "values has 4 rows"),
        (np.ones((4, 1)), [0.7], [2], "starts must be whole numbers"),
    ],
)
def test_impossible_containers_are_refused(values, starts, lengths, message):
    with pytest.raises(InvalidSequenceError, match=message):
        SequenceArray(values, starts, lengths)


@pytest.mark.parametrize("change", [{"hidden_size": 32}, {"cell": "lstm"}])
def test_warm_start_refuses_another_network(change):
    model = RNNRegressor(**QUICK, warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=next(iter(change))):
        model.set_params(**change).fit(X, Y)


def test_fit_leaves_the_callbacks_it_was_given():
    given = EarlyStopping("train_loss", patience=2, load_best=True)
    before = dict(vars(given))
    model = RNNRegressor(**QUICK, callbacks=[given]).fit(X, Y)
    assert vars(given) == before
    assert any(isinstance(c, EarlyStopping) for _, c in model.net_.callbacks_)


def test_two_masters_of_the_learning_rate_are_refused():
    model = RNNRegressor(**QUICK, callbacks=[LRScheduler("StepLR", step_size=1)])
    with pytest.raises(ValueError, match="lr_schedule=None"):
        model.fit(X, Y)


def test_skorchs_checkpoint_follows_the_validation_loss(tmp_path):
    checkpoint = Checkpoint(dirname=tmp_path)
    RNNRegressor(**QUICK, callbacks=checkpoint).fit(X, Y, X_val=X, y_val=Y)
    assert (tmp_path / "params.pt").exists()


def test_an_error_in_a_callback_is_not_hidden_by_the_progress_bar():
    class Broken(EarlyStopping):
        def on_train_begin(self, net, **kwargs):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        RNNRegressor(**QUICK, verbose=1, callbacks=[Broken("train_loss")]).fit(X, Y)


def test_stop_training_at_the_very_end_stays_inside():
    class Late(EarlyStopping):
        def on_train_end(self, net, **kwargs):
            raise StopTraining

    model = RNNRegressor(**QUICK, callbacks=[Late("train_loss")]).fit(X, Y)
    assert model.n_iter_ == 3


def test_parameters_set_between_calls_of_partial_fit_count():
    model = RNNRegressor(hidden_size=4, random_state=0).partial_fit(X, Y)
    before = model.predict(X)
    model.set_params(learning_rate=1e-12).partial_fit(X, Y)
    np.testing.assert_allclose(model.predict(X), before, atol=1e-6)
    model.set_params(learning_rate=1e-2).partial_fit(X, Y)
    assert not np.allclose(model.predict(X), before, atol=1e-4)


def test_epochs_are_numbered_on_in_partial_fit(capsys):
    model = RNNRegressor(hidden_size=4, random_state=0, verbose=2)
    for _ in range(3):
        model.partial_fit(X, Y)
    assert "epoch 3/3" in capsys.readouterr().out


@pytest.mark.parametrize("data", [(X * 1e200, Y), (X, Y * 1e200)])
def test_numbers_too_large_to_standardise_are_refused(data):
    with pytest.raises(ValueError, match="too large to standardise"):
        RNNRegressor(**QUICK).fit(*data)


def test_strings_are_no_targets_of_a_regressor():
    with pytest.raises(ValueError, match="y holds strings"):
        RNNRegressor(**QUICK).fit(X, Y.astype(str))


def test_fit_inside_inference_mode():
    import torch

    with torch.inference_mode():
        model = RNNRegressor(**QUICK).fit(X, Y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_balanced_weights_can_be_asked_for_in_a_warm_start():
    model = RNNClassifier(**QUICK, warm_start=True).fit(X, LABELS)
    model.set_params(class_weight="balanced").fit(X, LABELS, X_val=X, y_val=LABELS)
    assert model.n_iter_ == 6


def test_a_token_that_is_a_hash_is_refused():
    with pytest.raises(InvalidSequenceError, match="without gaps"):
        RNNClassifier(**QUICK, embedding_dim=2).fit([[1, 2**40], [0]], [0, 1])


def test_a_windower_whose_n_steps_changed_asks_for_another_fit():
    table = pd.DataFrame({"v": np.arange(10.0)})
    windower = SequenceWindower(2).fit(table)
    with pytest.raises(ValueError, match="fit again"):
        windower.set_params(n_steps=5).transform(table)


def test_a_stream_continues_on_the_device_of_its_network():
    model = RNNRegressor(**QUICK).partial_fit(X, Y)
    model.set_params(device="cuda:99").partial_fit(X, Y)
    assert model.n_iter_ == 2


def test_a_call_that_fails_to_begin_leaves_the_network_as_it_was():
    model = RNNRegressor(**QUICK, kernel="torch", dropout=0.2).partial_fit(X, Y)
    generator = model.module_.dropout_generator
    with pytest.raises(TypeError, match="optimizer"):
        model.set_params(optimizer=int, kernel="auto").partial_fit(X, Y)
    assert model.kernel_ == model.module_.core.kernel == "torch"
    assert model.module_.dropout_generator is generator


def test_a_rare_label_may_be_held_out():
    y = [np.array(["a"] * 6) for _ in X]
    y[3] = np.array(["a", "a", "b", "a", "a", "a"])
    for seed in range(10):
        options = {"hidden_size": 2, "max_epochs": 1, "random_state": seed}
        model = RNNTagger(early_stopping=True, **options).fit(X, y)
        assert model.classes_.tolist() == ["a", "b"]


@pytest.mark.parametrize("callbacks", [[None], [None, 3]])
def test_none_is_no_callback(callbacks):
    with pytest.raises(ValueError, match=r"callbacks\[0\] is None; give instances"):
        RNNRegressor(**QUICK, callbacks=callbacks).fit(X, Y)


def test_a_refit_does_not_look_at_a_module_that_a_user_put_in_place():
    expected = RNNRegressor(**QUICK).fit(X, Y)
    model = RNNRegressor(**QUICK).fit(X, Y)
    model.module_ = torch.nn.Linear(1, 1)
    assert model.fit(X, Y).loss_curve_ == expected.loss_curve_
