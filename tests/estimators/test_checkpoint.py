"""Fits that were interrupted end as if they had not been."""

import errno
import logging
import os
import re
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from interrupted_fits import (
    ESTIMATORS,
    OPTIONS,
    Interrupt,
    Interruption,
    assert_same,
    fit_interrupted,
    make,
    make_data,
)
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback
from torch.optim import lr_scheduler

from sklearn_rnn import (
    InvalidModelError,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    SequenceArray,
    SequenceTokenizer,
    SklearnRNNWarning,
)
from sklearn_rnn.kernels import compiled_kernels_available
from sklearn_rnn.persistence import load_model, save_model
from sklearn_rnn.training import environment_of

DATA = make_data()
KERNELS = ["torch", *["compiled"] * compiled_kernels_available()]


def check_continues(name, folder, data=None, epoch=3, **options):
    """Check that a fit interrupted in an epoch ends as one that was not."""
    data = DATA[name] if data is None else data
    expected = make(name, callbacks=[Interrupt()], **options).fit(*data)
    model = make(name, folder, callbacks=[Interrupt()], **options)
    n_epochs = fit_interrupted(model, data, epoch)
    # The epoch that was interrupted at its end is made once more.
    assert n_epochs == expected.n_iter_ - (epoch - 1)
    assert_same(model, expected)
    assert os.listdir(folder) == []


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_continues_bit_for_bit(name, kernel, tmp_path):
    check_continues(name, tmp_path, kernel=kernel)


@pytest.mark.parametrize("epoch", [1, 2, 5])
def test_fits_continue_from_any_epoch(epoch, tmp_path):
    check_continues("classifier", tmp_path, epoch=epoch)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ESTIMATORS)
def test_early_stopping_keeps_patience_and_best_weights(name, tmp_path):
    options = {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 12}
    check_continues(name, tmp_path, learning_rate=0.05, **options)


def test_a_cool_down_continues_where_it_was(tmp_path):
    options = {"early_stopping": True, "n_iter_no_change": 1, "tol": 0.5}
    model = make("seq2seq", callbacks=[Interrupt()], max_epochs=20, **options)
    n_epochs = model.fit(*DATA["seq2seq"]).n_iter_
    rates = [row["learning_rate"] for row in model.history_]
    assert rates[-1] < rates[-2] < rates[-3]
    check_continues("seq2seq", tmp_path, epoch=n_epochs - 1, max_epochs=20, **options)


SCHEDULES = {
    "cosine": "cosine",
    "one cycle": "one_cycle",
    "plateau": "plateau",
    "constant": None,
    "function": lambda progress: 1 - progress / 2,
    "steps": partial(lr_scheduler.StepLR, step_size=2, gamma=0.5),
    "milestones": partial(lr_scheduler.MultiStepLR, milestones=[2, 4]),
    "lambda": partial(lr_scheduler.LambdaLR, lr_lambda=lambda epoch: 0.9**epoch),
    "restarts": partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=2),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_continue(name, tmp_path):
    check_continues("regressor", tmp_path, lr_schedule=SCHEDULES[name])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_optimizers_continue(optimizer, tmp_path):
    check_continues("tagger", tmp_path, optimizer=optimizer, weight_decay=0.01)


def test_dropout_of_all_kinds_continues(tmp_path):
    options = {"input_dropout": 0.3, "weight_drop": 0.3, "n_layers": 2}
    check_continues("tagger", tmp_path, **options)


def test_sampled_symbols_and_the_first_sorted_pass_continue(tmp_path):
    check_continues("seq2seq", tmp_path / "a", scheduled_sampling=0.5)
    check_continues("transcriber", tmp_path / "b", shortest_first=True, epoch=2)


def test_embeddings_updated_by_row_continue(tmp_path):
    texts = ["red wine", "white wine and bread", "bread", "red bread", "beer"] * 12
    X = SequenceTokenizer().fit_transform(texts)
    y = np.array(["wine" in text for text in texts])
    options = {"embedding_dim": 4, "token_dropout": 2.0, "bag_of_words": False}
    check_continues("classifier", tmp_path, (X, y), **options)


class Noise:
    """An augmentation: noise in place of the steps."""

    def draw(self, starts, lengths, random_state):
        return random_state.normal(size=(lengths.sum(), 2))


def test_augmentation_continues(tmp_path):
    X, y = DATA["regressor"]
    X = SequenceArray(X.reshape(-1, 2), np.arange(60) * 6, np.full(60, 6))
    X = X.with_transforms(augmentation=Noise())
    check_continues("regressor", tmp_path, (X, y), linear_skip=False)


def test_a_bag_of_words_weighed_by_validation_continues(tmp_path):
    rng = np.random.default_rng(0)
    X = SequenceTokenizer().fit_transform(
        [" ".join(rng.choice(list("abcdefgh"), 5)) for _ in range(120)]
    )
    y = np.array([x[:, 0].min() < 4 for x in X])
    options = {"embedding_dim": 4, "early_stopping": True, "bag_of_words": True}
    check_continues("classifier", tmp_path, (X, y), **options)


def test_networks_trained_for_comparison_continue(tmp_path):
    X, y = DATA["regressor"]
    frame = pd.DataFrame({"a": X[:, -1, 0] + 0.1 * y})
    data = X[:, :, :1], frame["a"].to_numpy()
    options = {"target_feature": 0, "random_state": 1, "cell": "auto"}
    options["hidden_size"] = "auto"
    expected = make("regressor", **options).fit(*data)
    model = make("regressor", tmp_path, callbacks=[Interrupt()], **options)
    Interrupt.epoch = 2
    with pytest.raises(Interruption):
        model.fit(*data)
    Interrupt.epoch = None
    kept = sorted(path.name for path in tmp_path.iterdir())
    trials = [name for name in kept if "-trial" in name]
    assert len(trials) == 6 and len(kept) == 7
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    Interrupt.epoch = 4
    with pytest.raises(Interruption):
        model.fit(*data)
    Interrupt.epoch = None
    # None of those that were finished was trained again.
    found = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {name for name in kept if found[name] != times[name]} == set(kept) - set(
        trials
    )
    assert_same(model.fit(*data), expected)
    assert list(tmp_path.iterdir()) == []


def test_epochs_chosen_by_auto_continue(tmp_path):
    text = "the cat sat on the mat. " * 4
    options = {"max_epochs": "auto", "bptt_steps": None, "hidden_size": 4}
    check_continues("generator", tmp_path, (text,), epoch=4, **options)


def test_warm_start_continues_the_network_that_it_had(tmp_path):
    X, y = DATA["regressor"]
    options = {"callbacks": [Interrupt()], "warm_start": True}
    expected = make("regressor", **options).fit(X, y).fit(X[:50], y[:50])
    model = make("regressor", tmp_path, **options).fit(X, y)
    first = [len(model.history_), model.n_iter_]
    Interrupt.epoch = 3
    with pytest.raises(Interruption):
        model.fit(X[:50], y[:50])
    assert first == [5, 5] and model.n_iter_ == 8
    again = make("regressor", tmp_path, **options)
    Interrupt.epoch = None
    again.fit(X, y)
    assert len(list(tmp_path.iterdir())) == 1
    Interrupt.n_epochs = 0
    again.fit(X[:50], y[:50])
    assert Interrupt.n_epochs == 3
    assert_same(again, expected)


def test_a_random_state_is_left_where_a_whole_fit_leaves_it(tmp_path):
    X, y = DATA["classifier"]
    states = [np.random.RandomState(7) for _ in range(3)]
    options = {"callbacks": [Interrupt()], "early_stopping": True}
    make("classifier", random_state=states[0], **options).fit(X, y)
    Interrupt.epoch = 2
    with pytest.raises(Interruption):
        make("classifier", tmp_path, random_state=states[1], **options).fit(X, y)
    Interrupt.epoch, Interrupt.n_epochs = None, 0
    make("classifier", tmp_path, random_state=states[2], **options).fit(X, y)
    assert Interrupt.n_epochs == 4
    assert states[0].randint(2**31) == states[2].randint(2**31)


# Which file it is


def interrupted_file(folder, name="tagger", data=None, epoch=2, **options):
    Interrupt.epoch = epoch
    model = make(name, folder, callbacks=[Interrupt()], **options)
    with pytest.raises(Interruption):
        model.fit(*(DATA[name] if data is None else data))
    Interrupt.epoch = None
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def test_other_data_and_parameters_have_other_files(tmp_path):
    X, y = DATA["tagger"]
    other = [X[0] + 1e-9, *X[1:]]
    cases = [{}, {"learning_rate": 0.01}, {"random_state": 1}]
    files = [interrupted_file(tmp_path, epoch=3, **options) for options in cases]
    for data in [(other, y), (X, [*y[:-1], y[-1][::-1]]), (X[::-1], y[::-1])]:
        files.append(interrupted_file(tmp_path, data=data, epoch=3))
    assert len(set(files)) == len(files)
    weighted = make("tagger", tmp_path, callbacks=[Interrupt()])
    Interrupt.epoch = 3
    with pytest.raises(Interruption):
        weighted.fit(X, y, sample_weight=np.arange(1, 61))
    Interrupt.epoch = None
    assert len(list(tmp_path.iterdir())) == len(files) + 1


def test_what_has_no_effect_does_not_name_the_file(tmp_path, capsys):
    first = interrupted_file(tmp_path, epoch=3)
    again = interrupted_file(tmp_path, epoch=4, verbose=2, checkpoint_seconds=0.0)
    assert first == again
    # The interruption was after the end of the epoch that was not kept.
    assert "epoch 3/5" in capsys.readouterr().out


@pytest.mark.slow
def test_candidates_and_folds_of_a_search_share_a_folder(tmp_path):
    X, y = DATA["classifier"]
    grid = {"learning_rate": [0.001, 0.01]}
    plain = GridSearchCV(make("classifier"), grid, cv=2).fit(X, y)
    kept = make("classifier", str(tmp_path))
    found = GridSearchCV(kept, grid, cv=2, n_jobs=2).fit(X, y)
    scores = "mean_test_score"
    assert (found.cv_results_[scores] == plain.cv_results_[scores]).all()
    assert list(tmp_path.iterdir()) == []
    assert clone(kept).checkpoint == str(tmp_path)
    one = cross_val_score(kept, X, y, cv=2)
    assert (one == cross_val_score(make("classifier"), X, y, cv=2)).all()


def test_a_file_of_another_fit_is_refused_with_the_difference(tmp_path):
    first = interrupted_file(tmp_path, epoch=3)
    second = interrupted_file(tmp_path, epoch=3, learning_rate=0.01)
    second.replace(first)
    message = (
        rf"checkpoint {re.escape(str(first))} belongs to another fit: parameters "
        r"\(learning_rate\) differ\. Restore them, or delete the file to train"
    )
    with pytest.raises(InvalidModelError, match=message):
        make("tagger", tmp_path, callbacks=[Interrupt()]).fit(*DATA["tagger"])
    assert first.exists()


def test_all_differences_of_a_file_are_named(tmp_path):
    first = interrupted_file(tmp_path, epoch=3)
    X, y = DATA["tagger"]
    other = {"data": (X[::-1], y[::-1]), "learning_rate": 0.01}
    interrupted_file(tmp_path, epoch=3, **other).replace(first)
    message = r"another fit: data and parameters \(learning_rate\) differ\. "
    with pytest.raises(InvalidModelError, match=message):
        make("tagger", tmp_path, callbacks=[Interrupt()]).fit(X, y)


def test_a_file_of_another_version_is_refused(tmp_path, monkeypatch):
    checkpoint = "sklearn_rnn.estimators._checkpoint.__version__"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "0.6.9")
        interrupted_file(tmp_path, epoch=3)
    with pytest.raises(
        InvalidModelError, match=r"sklearn_rnn \(0\.6\.9, .* differs\. "
    ):
        make("tagger", tmp_path, callbacks=[Interrupt()]).fit(*DATA["tagger"])


def test_a_damaged_file_is_refused(tmp_path):
    file = interrupted_file(tmp_path, epoch=3)
    whole = file.read_bytes()
    model = make("tagger", tmp_path, callbacks=[Interrupt()])
    for contents in [b"", whole[:-9], whole[:2000] + b"?" + whole[2001:], b"no" * 99]:
        file.write_bytes(contents)
        with pytest.raises(InvalidModelError, match=f"{file.name} is damaged: "):
            model.fit(*DATA["tagger"])
        assert not hasattr(model, "module_")
    file.write_bytes(whole)
    Interrupt.n_epochs = 0
    model.fit(*DATA["tagger"])
    assert Interrupt.n_epochs == 3


def test_another_machine_is_a_warning(tmp_path, monkeypatch):
    found = "sklearn_rnn.estimators._checkpoint.environment_of"
    with monkeypatch.context() as patch:
        patch.setattr(found, lambda device, n_threads: {"torch": "1.0"})
        interrupted_file(tmp_path, epoch=3)
    model = make("tagger", tmp_path, callbacks=[Interrupt()])
    with pytest.warns(SklearnRNNWarning, match=r"written with torch 1\.0.*rounding"):
        model.fit(*DATA["tagger"])


def test_other_threads_are_a_warning(tmp_path, monkeypatch):
    threads = "sklearn_rnn.training._checkpoint.kernel_threads"
    with monkeypatch.context() as patch:
        patch.setattr(threads, SimpleNamespace(count=0))  # of which there are none
        interrupted_file(tmp_path, epoch=3)
    model = make("tagger", tmp_path, callbacks=[Interrupt()])
    with pytest.warns(
        SklearnRNNWarning, match=r"device cpu, threads 0, .*threads [1-9]"
    ):
        model.fit(*DATA["tagger"])


def test_a_gpu_is_named_with_its_cuda_version(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    found = environment_of("cuda:1", 3)
    assert (found["device"], found["CUDA"]) == ("GPU cuda:1", "12.8")
    assert found["threads"] == "3"
    assert "CUDA" not in environment_of("cpu")


# What cannot be written or told


def test_a_folder_that_is_a_file_costs_the_checkpoint_only(tmp_path):
    place = tmp_path / "file"
    place.write_text("")
    with pytest.warns(SklearnRNNWarning, match="cannot write the checkpoint") as found:
        model = make("regressor", place).fit(*DATA["regressor"])
    assert len(found) == 1
    assert_same(model, make("regressor").fit(*DATA["regressor"]))


def test_a_full_disk_costs_the_checkpoint_only(tmp_path, monkeypatch):
    replace = os.replace

    def fail(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.warns(SklearnRNNWarning, match="No space left on device") as found:
        model = make("tagger", tmp_path).fit(*DATA["tagger"])
    monkeypatch.setattr(os, "replace", replace)
    assert len(found) == 1
    assert_same(model, make("tagger").fit(*DATA["tagger"]))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_last_file(tmp_path, monkeypatch):
    file = interrupted_file(tmp_path, epoch=3)
    whole = file.read_bytes()

    def fail(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    Interrupt.epoch = 5
    model = make("tagger", tmp_path, callbacks=[Interrupt()])
    with pytest.warns(SklearnRNNWarning, match="Input/output"):
        with pytest.raises(Interruption):
            model.fit(*DATA["tagger"])
    Interrupt.epoch = None
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == whole


class StopsInBatch(Callback):
    """Raises an error in the first batch of the third epoch."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 3:
            raise Interruption


def fit_stopped_in_batch(folder):
    """Return a tagger whose fit was stopped, with a checkpoint to write then."""
    options = {"callbacks": [StopsInBatch()], "checkpoint_seconds": 1e6}
    model = make("tagger", folder, **options)
    with pytest.raises(Interruption) as caught:
        model.fit(*DATA["tagger"])
    return model, getattr(caught.value, "__notes__", [])


@pytest.mark.parametrize("kind", [MemoryError, KeyboardInterrupt, OSError])
def test_errors_while_writing_hide_no_error_and_keep_the_model(
    kind, tmp_path, monkeypatch
):
    expected, _ = fit_stopped_in_batch(None)

    def fail(number):
        raise kind("what failed")

    monkeypatch.setattr(os, "fsync", fail)  # the warning of an OSError is an error here
    model, (note,) = fit_stopped_in_batch(tmp_path)
    assert "the checkpoint was not written" in note
    assert "what failed" in note
    assert_same(model, expected)
    X = DATA["tagger"][0]
    for found, wanted in zip(
        model.predict_proba(X), expected.predict_proba(X), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_an_ended_fit_warns_that_it_begins_again_earlier(tmp_path, monkeypatch):
    def fail(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(SklearnRNNWarning, match="begins at an earlier epoch") as found:
        fit_stopped_in_batch(tmp_path)
    assert "Training continues" not in str(found[0].message)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not looked up")
def test_what_killed_writers_left_is_removed_at_the_end(tmp_path):
    file = interrupted_file(tmp_path, epoch=3)
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    kept = [f".{file.name}.{os.getpid()}-0123abcd", f".o.npz.{killed.pid}-0123abcd"]
    for name in [f".{file.name}.{killed.pid}-0123abcd", *kept]:
        (tmp_path / name).write_bytes(b"half")
    make("tagger", tmp_path, callbacks=[Interrupt()]).fit(*DATA["tagger"])
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_a_random_state_is_required(tmp_path):
    model = make("regressor", tmp_path, random_state=None)
    with pytest.raises(ValueError, match="checkpoint needs a random_state"):
        model.fit(*DATA["regressor"])


class Opaque(Noise):
    """An augmentation whose state cannot be told."""

    def __init__(self):
        self.lock = object()


def test_data_that_cannot_be_told_from_others_are_refused(tmp_path):
    X, y = DATA["regressor"]
    X = SequenceArray(X.reshape(-1, 2), np.arange(60) * 6, np.full(60, 6))
    X = X.with_transforms(augmentation=Opaque())
    with pytest.raises(ValueError, match="lock.* is of type builtins.object, which"):
        make("regressor", tmp_path).fit(X, y)


# What is seen of it


def test_the_log_says_where_a_fit_continues(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="sklearn_rnn")
    interrupted_file(tmp_path, epoch=3)
    make("tagger", tmp_path, callbacks=[Interrupt()]).fit(*DATA["tagger"])
    lines = [r.getMessage() for r in caplog.records if str(tmp_path) in r.getMessage()]
    assert "begins: there is no" in lines[0]
    assert "continues after epoch 2 of" in lines[1]


def test_the_progress_bar_and_lines_count_all_epochs(tmp_path, capsys):
    for verbose, first, text in ((1, 3, "5/5"), (2, 4, "epoch 5/5: loss")):
        interrupted_file(tmp_path, epoch=first)
        capsys.readouterr()
        model = make("tagger", tmp_path, callbacks=[Interrupt()], verbose=verbose)
        model.fit(*DATA["tagger"])
        shown = capsys.readouterr()
        assert text in shown.out + shown.err


@pytest.mark.parametrize(("seconds", "n_files"), [(1e6, [0] * 5), (0, [0, 1, 1, 1, 1])])
def test_seconds_between_writes_are_kept(seconds, n_files, tmp_path):
    found = []

    class Look(Interrupt):
        def on_epoch_begin(self, net, **kwargs):
            found.append(len(os.listdir(tmp_path)))

    options = {"callbacks": [Look()], "checkpoint_seconds": seconds}
    make("tagger", tmp_path, **options).fit(*DATA["tagger"])
    assert found == n_files


@pytest.mark.parametrize("seconds", [0, 3600])
def test_exceptions_and_interrupts_leave_the_file(seconds, tmp_path):
    class Break(Interrupt):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    options = {"callbacks": [Break()], "checkpoint_seconds": seconds}
    model = make("tagger", tmp_path, **options)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*DATA["tagger"])
    assert len(list(tmp_path.iterdir())) == 1
    assert model.n_iter_ == 3


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_exception_writes_a_late_epoch_before_it_is_time_to(name, tmp_path):
    expected = make(name, callbacks=[Interrupt()]).fit(*DATA[name])
    options = {"callbacks": [Interrupt()], "checkpoint_seconds": 3600}
    model = make(name, tmp_path, **options)
    n_epochs = fit_interrupted(model, DATA[name], epoch=4)
    assert n_epochs < expected.n_iter_
    assert_same(model, expected)


def test_subclasses_and_their_parameters_have_files_of_their_own(tmp_path):
    class Own(RNNClassifier):
        pass

    file = interrupted_file(tmp_path, "classifier", epoch=3)
    X, y = DATA["classifier"]
    options = {"max_epochs": 5, "hidden_size": 8, "random_state": 0, "dropout": 0.2}
    Own(checkpoint=tmp_path, callbacks=[Interrupt()], **options).fit(X, y)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_changed_code_of_a_subclass_is_another_fit(tmp_path):
    files = []
    for method in (lambda self: 1, lambda self: 2):
        kind = type("Own", (RNNTagger,), {"extra": method, "__module__": __name__})
        Interrupt.epoch = 3
        model = kind(callbacks=[Interrupt()], **OPTIONS, checkpoint=tmp_path)
        with pytest.raises(Interruption):
            model.set_params(checkpoint_seconds=0).fit(*DATA["tagger"])
        Interrupt.epoch = None
        files.append(len(list(tmp_path.iterdir())))
    assert files == [1, 2]


def test_a_path_is_saved_with_a_model(tmp_path):
    model = RNNRegressor(max_epochs=1, checkpoint=tmp_path, random_state=0)
    model.fit(*DATA["regressor"])
    save_model(model, tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors").checkpoint == tmp_path
