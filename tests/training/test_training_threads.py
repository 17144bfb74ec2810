import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from skorch.callbacks import Callback

from sklearn_rnn import RNNRegressor
from sklearn_rnn.kernels import _choice
from sklearn_rnn.modules import NetworkSpec
from sklearn_rnn.training import computing


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def choose_threads(batch_size, spec):
    """Return the number of torch's threads that is chosen."""
    network = SimpleNamespace(spec=spec)
    with computing(None, SimpleNamespace(batch_size=batch_size, module_=network)):
        return torch.get_num_threads()


def spec(hidden_size, cell="gru"):
    return NetworkSpec(cell, n_features=1, hidden_size=hidden_size, n_outputs=1)


def test_threads_are_limited_inside_and_back_afterwards():
    with computing(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_threads_are_back_after_an_exception(error):
    with pytest.raises(error), computing(1):
        raise error
    assert torch.get_num_threads() == 2


def test_other_threads_change_nothing():
    """The count belongs to the process, where others may be computing."""
    seen = []

    def work():
        seen.append(torch.get_num_threads())
        with computing(seen[0] + 1):
            seen.append(torch.get_num_threads())

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert seen[1] == seen[0]
    assert torch.get_num_threads() == 2


def test_small_networks_get_one_thread_and_large_ones_all(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    assert choose_threads(32, spec(32)) == 1
    assert choose_threads(256, spec(1024)) == 4


def test_more_gates_are_more_work(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 1000)
    counts = [choose_threads(160, spec(256, cell)) for cell in ("rnn", "gru", "lstm")]
    assert counts == [1, 3, 4]


@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_workers_of_joblib_get_one_thread(backend, monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    choices = Parallel(n_jobs=2, backend=backend)(
        delayed(choose_threads)(256, spec(1024)) for _ in range(2)
    )
    assert choices == [1, 1]
    job = delayed(choose_threads)(256, spec(1024))
    assert Parallel(n_jobs=1)([job]) == [4]


def count_in_new_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]


def counts_in_worker():
    seen = [torch.get_num_threads()]
    with computing(1):
        time.sleep(0.01)  # so that another worker starts
        seen.append(torch.get_num_threads())
        with computing(3):
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())
        # A thread that begins while another worker sets its count may take that over.
        with _choice._SETTING:
            seen.append(count_in_new_thread())
    return [*seen, torch.get_num_threads()]


def test_a_thread_of_joblib_is_limited_and_no_other():
    jobs = [delayed(counts_in_worker)() for _ in range(8)]
    for seen in Parallel(n_jobs=4, backend="threading")(jobs):
        # A thread may start with the count that another has set.
        assert seen == [seen[0], 1, 3, 1, 2, seen[0]]
    assert torch.get_num_threads() == 2
    assert count_in_new_thread() == 2


def test_threads_do_not_depend_on_what_the_process_is_set_to():
    """A count that a worker was started with is not a wish of the user's."""
    chosen = choose_threads(256, spec(1024))
    torch.set_num_threads(1)
    assert choose_threads(256, spec(1024)) == chosen


def tiny_is_zero():
    return sys.float_info.min / 2 == 0


def test_denormals_are_zero_while_computing_alone():
    assert not tiny_is_zero()
    with pytest.raises(RuntimeError), computing(1):
        assert tiny_is_zero()
        raise RuntimeError
    assert not tiny_is_zero()


def test_who_takes_denormals_for_zero_goes_on_to():
    torch.set_flush_denormal(True)
    try:
        with computing(1):
            assert tiny_is_zero()
        assert tiny_is_zero()
    finally:
        torch.set_flush_denormal(False)


def test_estimators_compute_without_denormals():
    class ReadThreads(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(tiny_is_zero())

    seen = []
    RNNRegressor(max_epochs=1, callbacks=[ReadThreads()]).fit(np.eye(4), np.arange(4.0))
    assert seen == [True]
    assert not tiny_is_zero()
