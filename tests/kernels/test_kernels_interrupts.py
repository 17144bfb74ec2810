"""Ctrl-C while large packages are imported."""

import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import deferred_interrupts, import_whole


@pytest.fixture
def handler():
    """Have a handler of our own, which records calls and raises."""
    calls = []

    def handle(number, frame):
        calls.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    handle.calls = calls
    yield handle
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_the_end_and_then_reaches_the_caller(handler):
    finished = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        signal.raise_signal(signal.SIGINT)
        finished.append(handler.calls.copy())
        signal.raise_signal(signal.SIGINT)
    assert finished == [[]]
    assert handler.calls == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is handler


def test_without_ctrl_c_nothing_happens(handler):
    with deferred_interrupts():
        pass
    assert handler.calls == []
    assert signal.getsignal(signal.SIGINT) is handler


def test_guards_may_be_nested(handler):
    finished = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        with deferred_interrupts():
            signal.raise_signal(signal.SIGINT)
            finished.append("inner")
        finished.append("outer")
    assert finished == ["inner", "outer"]
    assert handler.calls == [signal.SIGINT]


def test_an_error_inside_leaves_the_callers_handler(handler):
    with pytest.raises(ImportError), deferred_interrupts():
        raise ImportError
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupts():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_changes_no_handlers(handler):
    found = []

    def run():
        with deferred_interrupts():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [handler]


def test_modules_come_in_the_order_of_their_names():
    assert [m.__name__ for m in import_whole("json", "math")] == ["json", "math"]


SCHEDULER = "partial(torch.optim.lr_scheduler.StepLR, step_size=1)"
SCRIPT = """
import signal, sys
from functools import partial
import numpy as np
import sklearn_rnn
import torch


class Watch:
    unguarded = []

    def find_spec(self, name, path=None, target=None):
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self.unguarded.append(name)


X, y = np.random.default_rng(0).normal(size=(20, 4, 2)), np.arange(20.0)
sys.meta_path.insert(0, Watch())
sklearn_rnn.RNNRegressor(max_epochs=2, {options}).fit(X, y).predict(X)
print(Watch.unguarded)
assert "{imported}" in sys.modules
assert len(Watch.unguarded) < 5
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "imported"),
    [
        # torch's compiler: whatever is not updated by the formulas of known classes.
        ('kernel="torch", optimizer=torch.optim.NAdam', "torch._dynamo"),
        ('kernel="torch", optimizer=torch.optim.LBFGS', "torch._dynamo"),
        (f'kernel="torch", lr_schedule={SCHEDULER}', "torch._dynamo"),
    ],
)
def test_a_first_fit_imports_large_packages_under_the_guard(options, imported):
    script = SCRIPT.format(options=options, imported=imported)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_loading_a_pickle_imports_large_packages_under_the_guard(tmp_path):
    script = SCRIPT.split("X, y =")[0] + (
        "import pickle\n"
        "sys.meta_path.insert(0, Watch())\n"
        f"pickle.load(open({str(tmp_path / 'model')!r}, 'rb'))\n"
        "assert 'torch._dynamo' in sys.modules\n"
        "assert len(Watch.unguarded) < 5, Watch.unguarded\n"
    )
    X, y = np.zeros((4, 3, 1)), np.arange(4.0)
    options = {"max_epochs": 1, "hidden_size": 4, "kernel": "torch"}
    model = RNNRegressor(optimizer=torch.optim.NAdam, **options).fit(X, y)
    (tmp_path / "model").write_bytes(pickle.dumps(model))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
