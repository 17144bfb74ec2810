"""Callbacks that look for something in the history that is not there."""

import copy

import numpy as np
import pytest
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    LRScheduler,
)
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
)

X = np.random.default_rng(0).normal(size=(20, 4, 2))
Y = X[:, :, 0].sum(axis=1)
TEXTS = ["abc", "bca"] * 10
SMALL = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}
CASES = {
    "regressor": (RNNRegressor(), (X, Y)),
    "classifier": (RNNClassifier(), (X, Y > 0)),
    "tagger": (RNNTagger(), (X, X[:, :, 0] > 0)),
    "generator": (RNNGenerator(), (TEXTS,)),
    "encoder-decoder": (RNNSeq2Seq(), (TEXTS, TEXTS)),
    "transcriber": (RNNTranscriber(), (X, ["ab"] * 20)),
}


def regressor(*callbacks, **options):
    return RNNRegressor(callbacks=list(callbacks), **{**SMALL, **options})


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_early_stopping_by_skorch_without_validation_names_the_remedy(case):
    model, data = copy.deepcopy(case[0]).set_params(**SMALL), case[1]
    model.set_params(callbacks=[EarlyStopping()])
    with pytest.raises(ValueError, match="early_stopping=True") as caught:
        model.fit(*data)
    for word in ("'EarlyStopping'", "'valid_loss'", "X_val", "'train_loss'"):
        assert word in str(caught.value)
    assert not hasattr(model, "module_")  # nothing has begun


def test_it_works_with_validation_or_on_the_training_loss():
    assert regressor(EarlyStopping(), early_stopping=True).fit(X, Y).n_iter_ == 2
    model = regressor(EarlyStopping()).fit(X, Y, X_val=X, y_val=Y)
    assert model.n_iter_ == 2
    assert regressor(EarlyStopping("train_loss")).fit(X, Y).n_iter_ == 2


def test_partial_fit_says_so_before_it_begins():
    model = regressor(EarlyStopping())
    with pytest.raises(ValueError, match="monitor 'train_loss'"):
        model.partial_fit(X, Y)
    assert not hasattr(model, "module_")


def test_the_name_that_a_callback_was_given_is_told():
    with pytest.raises(ValueError, match=r"the callback 'stop' \(EarlyStopping\)"):
        regressor(("stop", EarlyStopping())).fit(X, Y)


def test_checkpoints_of_the_best_epoch_need_validation(tmp_path):
    with pytest.raises(ValueError, match="monitor 'train_loss_best'"):
        regressor(Checkpoint(dirname=tmp_path)).fit(X, Y)
    regressor(Checkpoint("train_loss_best", dirname=tmp_path)).fit(X, Y)
    regressor(Checkpoint(monitor=None, dirname=tmp_path)).fit(X, Y)
    assert (tmp_path / "params.pt").exists()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_key_that_is_never_recorded_is_told_with_those_that_are(early_stopping):
    model = regressor(EarlyStopping("valid_acc"), early_stopping=early_stopping)
    with pytest.raises(ValueError, match="looks for 'valid_acc'") as caught:
        model.fit(X, Y)
    assert "gradient_norm, " in str(caught.value)
    assert ("valid_score" in str(caught.value)) == early_stopping
    assert ("early_stopping=True" in str(caught.value)) != early_stopping


class Reader(Callback):
    def __init__(self, read):
        self.read = read

    def on_epoch_end(self, net, **kwargs):
        self.read(net.history)


READS = {
    "of the last epoch": lambda history: history[-1, "valid_loss"],
    "of all epochs": lambda history: history[:, "valid_loss"],
    "of batches": lambda history: history[-1, "batches", -1, "valid_loss"],
    "in the record": lambda history: history[-1]["valid_loss"],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_own_callbacks_get_the_same_error(read):
    with pytest.raises(ValueError, match=r"'Reader' \(Reader\) looks for 'valid_loss'"):
        regressor(Reader(read)).fit(X, Y)


def test_other_errors_of_callbacks_stay_what_they_are():
    with pytest.raises(KeyError, match="mine"):
        regressor(Reader(lambda history: {}["mine"])).fit(X, Y)
    with pytest.raises(ValueError, match="^invalid literal"):
        regressor(Reader(lambda history: int("x"))).fit(X, Y)


@pytest.mark.parametrize("as_schedule", [False, True])
def test_a_plateau_of_the_validation_loss_needs_validation(as_schedule):
    scheduler = LRScheduler(ReduceLROnPlateau, monitor="valid_loss")
    callbacks, schedule = ([], scheduler) if as_schedule else ([scheduler], None)
    with pytest.raises(ValueError, match="looks for 'valid_loss'"):
        regressor(*callbacks, lr_schedule=schedule).fit(X, Y)


def test_a_scheduler_that_reads_no_loss_needs_none():
    scheduler = LRScheduler(StepLR, step_size=1, monitor="valid_loss")
    assert regressor(scheduler, lr_schedule=None).fit(X, Y).n_iter_ == 2
