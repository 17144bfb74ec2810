"""Callbacks, stopping, and what is left when training breaks off."""

import numpy as np
import pytest
import torch
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
)

from sklearn_rnn import (
    DivergenceError,
    RNNClassifier,
    RNNRegressor,
    RNNSeq2Seq,
    SklearnRNNError,
    StopTraining,
)

OPTIONS = {"hidden_size": 4, "max_epochs": 5, "batch_size": 16, "random_state": 0}


def make_data(n_sequences=40, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_sequences, 5, 2))
    return X, X[:, -1, 0]


def make_regressor(*callbacks, **options):
    options = {**OPTIONS, "lr_schedule": None, **options}
    return RNNRegressor(callbacks=list(callbacks) or None, **options)


def weights_of(net):
    return torch.cat([p.detach().ravel() for p in net.module_.parameters()])


def at(hook, do, epoch=None):
    """A callback that calls `do(net)` at a hook, of one epoch or of all."""

    def call(self, net, *args, **kwargs):
        if epoch is None or len(net.history) == epoch:
            do(net)

    return type("At", (Callback,), {hook: call})()


def raiser(error):
    def do(net):
        raise error

    return do


# skorch's callbacks.


def test_a_single_callback_needs_no_list():
    X, y = make_data()
    calls = []
    callback = at("on_epoch_end", lambda net: calls.append(len(net.history)))
    RNNRegressor(callbacks=callback, **OPTIONS).fit(X, y)
    assert calls == [1, 2, 3, 4, 5]


def test_callbacks_come_in_the_order_given():
    X, y = make_data()
    calls = []
    first, second = (
        at("on_train_begin", lambda net, i=i: calls.append(i)) for i in range(2)
    )
    make_regressor(first, second).fit(X, y)
    assert calls == [0, 1]


def test_partial_fit_calls_callbacks_too():
    X, y = make_data()
    calls = []
    model = make_regressor(at("on_epoch_end", lambda net: calls.append(1)))
    model.partial_fit(X, y).partial_fit(X, y)
    assert calls == [1, 1]


def test_skorchs_early_stopping_ends_fit_normally():
    X, y = make_data()
    stopper = EarlyStopping(
        "train_loss", patience=2, threshold=1e9, threshold_mode="abs"
    )
    model = make_regressor(stopper, max_epochs=30).fit(X, y)
    assert model.n_iter_ == 3
    assert np.isfinite(model.predict(X)).all()


def test_skorchs_early_stopping_watches_the_validation_loss():
    X, y = make_data()
    rng = np.random.default_rng(1)
    model = make_regressor(
        EarlyStopping(patience=3, load_best=True, sink=lambda text: None),
        max_epochs=40,
        learning_rate=0.05,
        linear_skip=False,
    )
    X_val, y_val = rng.normal(size=(20, 5, 2)), rng.normal(size=20)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    losses = [row["valid_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert best < model.n_iter_ - 1 < 39
    score = model.score(X_val, y_val)
    assert score == pytest.approx(model.validation_scores_[best])


def test_ctrl_c_beside_skorchs_early_stopping_still_reaches_the_caller():
    X, y = make_data()
    patient = EarlyStopping("train_loss", patience=50)
    interrupt = at("on_epoch_end", raiser(KeyboardInterrupt), epoch=2)
    model = make_regressor(patient, interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ == 2


def learning_rates(callback, **options):
    X, y = make_data()
    seen = []
    watch = at(
        "on_batch_begin", lambda net: seen.append(net.optimizer_.param_groups[0]["lr"])
    )
    make_regressor(callback, watch, learning_rate=0.01, **options).fit(X, y)
    return seen[::3]  # three batches an epoch


def test_skorchs_scheduler_sets_the_learning_rate():
    rates = learning_rates(LRScheduler("StepLR", step_size=2, gamma=0.1))
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001])


def test_two_schedules_are_refused():
    X, y = make_data()
    scheduler = LRScheduler("StepLR", step_size=2)
    with pytest.raises(ValueError, match="lr_schedule=None"):
        make_regressor(scheduler, lr_schedule="cosine").fit(X, y)


def test_callbacks_are_checked_before_data_are_read():
    with pytest.raises(ValueError, match=r"callbacks\[1\] is 'stop'; give instances"):
        make_regressor(EpochScoring("r2"), "stop").fit([[np.nan]], ["no number"])


def test_a_callback_without_its_validation_data_is_found_before_training():
    model = RNNSeq2Seq(hidden_size=4, max_epochs=1, callbacks=[EarlyStopping()])
    assert model.early_stopping == "auto"  # and these are too few pairs
    with pytest.raises(ValueError, match="only with validation data"):
        model.fit(["ab", "ba"], ["a", "b"])
    assert not hasattr(model, "module_")


def test_fit_leaves_the_given_callbacks_as_they_were():
    X, y = make_data()
    scheduler = LRScheduler("StepLR", step_size=2)
    model = make_regressor(scheduler).fit(X, y)
    assert model.callbacks == [scheduler]
    assert not hasattr(scheduler, "lr_scheduler_")
    fitted = [callback for _, callback in model.net_.callbacks_]
    assert fitted[0].lr_scheduler_.last_epoch == 5


def test_skorchs_scheduler_sets_the_first_learning_rate_too():
    warm_up = LRScheduler("LambdaLR", lr_lambda=lambda epoch: (epoch + 1) / 10)
    rates = learning_rates(warm_up)
    assert rates == pytest.approx([0.001, 0.002, 0.003, 0.004, 0.005])


def test_skorchs_scheduler_reaches_the_biases_apart_from_weight_decay():
    X, y = make_data()
    seen = []
    model = make_regressor(
        LRScheduler("StepLR", step_size=1, gamma=0.5),
        at(
            "on_epoch_begin",
            lambda net: seen.append([g["lr"] for g in net.optimizer_.param_groups]),
            epoch=2,
        ),
        weight_decay=0.1,
        learning_rate=0.01,
    )
    model.fit(X, y)
    assert seen == [pytest.approx([0.005, 0.005])]


def test_a_plateau_scheduler_watches_the_training_loss():
    plateau = LRScheduler(
        "ReduceLROnPlateau", monitor="train_loss", patience=0, threshold=1e9,
        threshold_mode="abs", factor=0.1,
    )  # fmt: skip
    rates = learning_rates(plateau)
    assert rates[0] == pytest.approx(0.01)
    assert rates[-1] < 2e-5


def test_freezing_with_skorch_keeps_the_frozen_weights():
    X, y = make_data()
    start = make_regressor(max_epochs=1, learning_rate=1e-15).fit(X, y)
    model = make_regressor(Freezer("core*"), learning_rate=0.05).fit(X, y)
    for name, parameter in model.module_.named_parameters():
        before = start.module_.get_parameter(name)
        kept = torch.allclose(parameter, before, atol=1e-9)
        assert kept == name.startswith("core"), name


def test_clipping_with_skorch_is_clipping_with_clip_norm():
    X, y = make_data()
    options = {"optimizer": "sgd", "learning_rate": 0.1}
    ours = make_regressor(clip_norm=1e-2, **options).fit(X, y).predict(X)
    skorchs = make_regressor(GradientNormClipping(1e-2), clip_norm=None, **options)
    np.testing.assert_allclose(skorchs.fit(X, y).predict(X), ours, rtol=1e-4)


def test_skorchs_log_prints_the_losses():
    X, y = make_data()
    lines = []
    make_regressor(PrintLog(sink=lines.append)).fit(X, y, X_val=X, y_val=y)
    assert "train_loss" in lines[0]
    assert "valid_loss" in lines[0]
    assert len(lines) == 2 + 5


def test_skorchs_checkpoint_saves_the_weights(tmp_path):
    X, y = make_data()
    checkpoint = Checkpoint(monitor=None, dirname=str(tmp_path), f_params="weights.pt")
    model = make_regressor(checkpoint).fit(X, y)
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)
    for name, value in model.module_.state_dict().items():
        assert torch.equal(saved[name], value), name


def test_a_scoring_of_skorchs_that_reads_the_history_works():
    X, y = make_data()

    def loss_in_percent(net, X=None, y=None):
        return 100 * net.history[-1, "train_loss"]

    scoring = EpochScoring(
        loss_in_percent, name="percent", on_train=True, use_caching=False
    )
    model = make_regressor(scoring).fit(X, y)
    percent = [row["percent"] for row in model.history_]
    assert percent == pytest.approx([100 * loss for loss in model.loss_curve_])


# Stopping on request.


@pytest.mark.thorough
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_end", "on_epoch_end"])
def test_stop_training_ends_fit_normally(hook):
    X, y = make_data()
    model = make_regressor(at(hook, raiser(StopTraining), epoch=3)).fit(X, y)
    n_finished = 3 if hook == "on_epoch_end" else 2
    assert model.n_iter_ == len(model.loss_curve_) == n_finished
    shorter = make_regressor(max_epochs=n_finished).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), shorter.predict(X))


# Breaking off.


@pytest.mark.thorough
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_breaking_off_keeps_the_last_finished_epoch(error):
    X, y = make_data()
    model = make_regressor(at("on_batch_end", raiser(error), epoch=3))
    with pytest.raises(error):
        model.fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.history_) == 2
    shorter = make_regressor(max_epochs=2).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), shorter.predict(X))
    assert not model.module_.training


def test_ctrl_c_in_the_first_epoch_leaves_an_untrained_model_that_predicts():
    X, y = make_data()
    model = RNNClassifier(
        callbacks=at("on_batch_end", raiser(KeyboardInterrupt)), **OPTIONS
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y > 0)
    assert model.n_iter_ == 0
    assert model.loss_curve_ == []
    assert model.validation_scores_ is None
    assert set(model.predict(X)) <= {False, True}


def test_ctrl_c_while_early_stopping_leaves_the_best_weights():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5, 2)), rng.normal(size=40)
    X_val, y_val = rng.normal(size=(20, 5, 2)), rng.normal(size=20)
    interrupt = at("on_batch_end", raiser(KeyboardInterrupt), epoch=12)
    options = {"early_stopping": True, "n_iter_no_change": 50, "max_epochs": 20}
    options["linear_skip"] = False
    model = make_regressor(interrupt, learning_rate=0.05, **options)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.n_iter_ == 11
    losses = [row["valid_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert best < 10
    assert model.best_validation_score_ == model.validation_scores_[best]
    assert model.score(X_val, y_val) == pytest.approx(model.best_validation_score_)


def test_training_goes_on_after_ctrl_c():
    X, y = make_data()
    model = make_regressor(
        at("on_batch_end", raiser(KeyboardInterrupt), epoch=3), warm_start=True
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    model.set_params(callbacks=None, learning_rate=0.01).fit(X, y)
    assert model.n_iter_ == 2 + 5
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.thorough
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("learning_rate", [1e30, 1e300])
def test_divergence_is_an_error_and_leaves_a_model_that_predicts(
    learning_rate, dtype, early_stopping
):
    X, y = make_data()
    model = make_regressor(
        optimizer="sgd",
        learning_rate=learning_rate,
        clip_norm=None,
        dtype=dtype,
        early_stopping=early_stopping,
    )
    with pytest.raises(DivergenceError, match=r"epoch \d.*learning_rate") as caught:
        model.fit(X, 1e3 * y)
    assert f"epoch {model.n_iter_ + 1}" in str(caught.value)
    assert isinstance(caught.value, ArithmeticError)
    assert isinstance(caught.value, SklearnRNNError)
    assert torch.isfinite(weights_of(model)).all()
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.loss_curve_).all()


def test_divergence_of_a_classifier_too():
    X, _ = make_data()
    model = RNNClassifier(
        optimizer="sgd", learning_rate=1e300, clip_norm=None, dtype="float32", **OPTIONS
    )
    with pytest.raises(DivergenceError, match="epoch"):
        model.fit(X, np.resize([0, 1], 40))
    assert np.isfinite(model.predict_proba(X)).all()


def test_no_fit_that_ends_normally_leaves_weights_that_are_not_finite():
    """Even if only the very last update went wrong."""
    X, y = make_data()
    model = make_regressor(
        optimizer="sgd",
        learning_rate=1e300,
        clip_norm=None,
        dtype="float32",
        max_epochs=1,
        batch_size=40,
    )
    with pytest.raises(DivergenceError, match="epoch 1"):
        model.fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_partial_fit_goes_on_after_divergence():
    X, y = make_data()
    model = make_regressor().partial_fit(X, y)
    before = model.predict(X)
    with pytest.raises(DivergenceError):
        model.partial_fit(X, np.full(40, 1e200))
    np.testing.assert_array_equal(model.predict(X), before)
    model.partial_fit(X, y)
    assert model.n_iter_ == 2
    assert np.isfinite(model.predict(X)).all()
