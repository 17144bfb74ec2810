"""What callbacks keep, in fits that are interrupted and made again."""

from collections import Counter

import numpy as np
import pytest
import torch
from interrupted_fits import (
    Interrupt,
    Interruption,
    assert_same,
    fit_interrupted,
    make,
    make_data,
)
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochScoring,
    Freezer,
    LRScheduler,
    PrintLog,
)

from sklearn_rnn import InvalidModelError
from sklearn_rnn.kernels import compiled_kernels_available

DATA = make_data()["regressor"]
KERNELS = ["torch", *["compiled"] * compiled_kernels_available()]
OPTIONS = {"linear_skip": False, "early_stopping": False}


def check_continues(folder, make_callbacks, epoch=3, **options):
    """Check that a fit with callbacks continues; return both models."""
    options = {**OPTIONS, **options}
    expected, killed, model = (
        make("regressor", place, callbacks=[Interrupt(), *make_callbacks()], **options)
        for place in (None, folder, folder)
    )
    expected.fit(*DATA)
    n_left = fit_interrupted(killed, DATA, epoch, again=model)
    assert n_left == expected.n_iter_ - (epoch - 1)
    assert_same(model, expected)
    return model, expected


def kept_by(model, kind):
    (found,) = [cb for _, cb in model.net_.callbacks_ if type(cb) is kind]
    return vars(found)


def test_early_stopping_of_skorch_counts_on(tmp_path):
    def callbacks():
        return [EarlyStopping("train_loss", patience=4, threshold=10.0)]

    model, _ = check_continues(tmp_path, callbacks, max_epochs=9)
    assert model.n_iter_ == 5
    assert kept_by(model, EarlyStopping)["misses_"] == 4


def test_schedulers_and_scores_of_skorch_continue(tmp_path):
    def callbacks():
        scheduler = LRScheduler("StepLR", step_size=2, gamma=0.5)
        return [scheduler, EpochScoring("r2", on_train=True), PrintLog(sink=len)]

    model, expected = check_continues(tmp_path, callbacks, lr_schedule=None)
    found, wanted = (kept_by(m, EpochScoring) for m in (model, expected))
    assert found["best_score_"] == wanted["best_score_"]


def test_a_scheduler_with_a_function_continues(tmp_path):
    def callbacks():
        return [LRScheduler("LambdaLR", lr_lambda=lambda epoch: 0.8**epoch)]

    check_continues(tmp_path, callbacks, lr_schedule=None)


@pytest.mark.parametrize(
    "kernel", ["torch", *["compiled"] * compiled_kernels_available()]
)
def test_frozen_weights_stay_frozen(kernel, tmp_path):
    class FreezeLate(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                net.module_.head.weight.requires_grad_(False)

    check_continues(tmp_path, lambda: [FreezeLate()], kernel=kernel)
    check_continues(tmp_path, lambda: [Freezer("head.*")], kernel=kernel)


class Keeper(Callback):
    """Keeps values of many kinds."""

    def __init__(self, losses=None):
        self.losses = [] if losses is None else losses

    def on_train_begin(self, net, **kwargs):
        self.counts_, self.names_ = Counter(), set()
        self.random_state_ = np.random.RandomState(5)

    def on_epoch_end(self, net, **kwargs):
        self.losses.append(net.history[-1]["train_loss"])
        self.counts_[len(net.history) % 2] += 1
        self.names_.add(str(len(net.history)))
        self.mean_ = torch.tensor(self.losses).mean()
        self.drawn_ = self.random_state_.normal(size=2)


def test_callbacks_have_what_they_kept(tmp_path):
    model, expected = check_continues(tmp_path, lambda: [Keeper()])
    found, wanted = (kept_by(m, Keeper) for m in (model, expected))
    assert found["losses"] == wanted["losses"] == model.loss_curve_
    assert found["counts_"] == wanted["counts_"]
    assert type(found["counts_"]) is Counter
    assert found["names_"] == wanted["names_"]
    assert (found["drawn_"] == wanted["drawn_"]).all()


def test_a_list_that_a_callback_was_given_is_filled(tmp_path):
    interrupted, losses = make("regressor", tmp_path, **OPTIONS), []
    interrupted.set_params(callbacks=[Keeper(), Interrupt()])
    Interrupt.epoch = 4
    with pytest.raises(Interruption):
        interrupted.fit(*DATA)
    Interrupt.epoch = None
    model = make("regressor", tmp_path, **OPTIONS)
    model.set_params(callbacks=[Keeper(losses), Interrupt()]).fit(*DATA)
    assert losses == model.loss_curve_


class WithStateDict(Callback):
    """Keeps what is not plain, and says how it is kept."""

    def on_train_begin(self, net, **kwargs):
        self.epochs_ = iter(range(100))
        self.last_ = -1

    def on_epoch_end(self, net, **kwargs):
        self.last_ = next(self.epochs_)

    def state_dict(self):
        return {"last": self.last_}

    def load_state_dict(self, state):
        self.last_ = state["last"]
        self.epochs_ = iter(range(self.last_ + 1, 100))


def test_callbacks_may_say_what_they_keep(tmp_path):
    model, _ = check_continues(tmp_path, lambda: [WithStateDict()])
    assert kept_by(model, WithStateDict)["last_"] == 4


def test_what_cannot_be_kept_is_refused_before_training(tmp_path):
    class Opaque(Callback):
        def on_train_begin(self, net, **kwargs):
            self.iterator_ = iter([])

    model = make("regressor", tmp_path, callbacks=[Opaque(), Interrupt()], **OPTIONS)
    Interrupt.n_epochs = 0
    message = "'Opaque' keeps what a checkpoint cannot hold: iterator_ is of type"
    with pytest.raises(InvalidModelError, match=message):
        model.fit(*DATA)
    assert Interrupt.n_epochs == 0
    model.set_params(checkpoint=None).fit(*DATA)


def test_callbacks_are_told_that_training_begins_again(tmp_path):
    class Notes(Callback):
        def __init__(self):
            self.notes = []

        def on_train_begin(self, net, **kwargs):
            self.notes.append(("begin", len(net.history)))

        def on_epoch_begin(self, net, **kwargs):
            self.notes.append(("epoch", len(net.history)))

    first, second = Notes(), Notes()
    killed, model = (
        make("regressor", tmp_path, callbacks=[Interrupt(), notes], **OPTIONS)
        for notes in (first, second)
    )
    fit_interrupted(killed, DATA, 3, again=model)
    assert first.notes[0] == ("begin", 0)
    # What it notes when training begins is replaced by what the file has.
    assert second.notes == [("begin", 0), *(("epoch", n) for n in range(1, 6))]
