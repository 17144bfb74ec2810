"""The threads and processes that compute; and where values are."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import joblib
import torch
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

from sklearn_rnn.kernels import N_GATES

# Multiply-adds of one recurrent step of one batch for every thread. Below twice
# this, handing work to a second thread cost up to twice what it saved; above, two
# were 1.2 to 1.9 times as fast as one (tests/benchmarks/bench_threads.py).
MIN_WORK_PER_THREAD = 10_000_000
MAX_THREADS = 4  # more were not measured

_SETTING = threading.Lock()
_STARTED: set[int] = set()  # numbers of threads that have computed together
_BLAS: list[ThreadpoolController] = []  # of NumPy and SciPy, when first used


class _Processes(threading.local):
    """Those with which the calling thread trains, where `data_parallel` sets them.

    Of the type `Processes`; None for one process alone.
    """

    processes: Any = None


class _KernelThreads(threading.local):
    """How many threads may compute a batch that the calling thread hands to a kernel.

    One, but in the context `computing`.
    """

    count = 1


current_processes = _Processes()
kernel_threads = _KernelThreads()


def is_on_cpu(tensor):
    """Return whether a tensor's values can be read without waiting for a GPU."""
    return tensor.device.type == "cpu"


def choose_n_threads(batch_size, spec):
    """Choose a number of threads from the size of one step's matrix product.

    In a worker of joblib, be it a process or a thread, the choice is one: the other
    workers have the other processors. More threads add up a matrix product in
    another order, so a network for which the choice is one anyway is the same to
    the last bit wherever it is fitted, and a larger one to rounding. Otherwise it is at
    most 4 and the number of processors.
    """
    work = batch_size * N_GATES[spec.cell] * spec.hidden_size**2
    return int(min(max(1, work // MIN_WORK_PER_THREAD), max_threads()))


def max_threads():
    """Return the maximum number of threads: 1 in a worker of joblib, else at most 4.

    Processes that train one model together divide the processors.
    """
    if get_active_backend()[0].nesting_level > 0:  # joblib runs this beside other work
        return 1
    processes = current_processes.processes
    n_processors = joblib.cpu_count() // (1 if processes is None else processes.n_local)
    return min(max(1, n_processors), MAX_THREADS)


@contextmanager
def computing(n_threads, n_kernel_threads=1):
    """Compute with `n_threads` threads and without denormal numbers.

    Gradients that vanish through many steps end as values below 1e-38, for which
    processors take a hundred times as long as for others; here they are zero.

    Parameters
    ----------
    n_threads : int
        Threads inside one operation of torch, as for `limit_threads`.
    n_kernel_threads : int, default=1
        Threads per batch of the compiled kernels, whose results do not depend on it;
        small batches are computed by one.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import computing
    >>> tiny = torch.tensor(1e-38)
    >>> with computing(1):
    ...     bool(tiny * 0.1 == 0)
    True
    >>> bool(tiny * 0.1 == 0)
    False
    """
    before = kernel_threads.count
    flushes_already = sys.float_info.min / 2 == 0
    with limit_threads(n_threads):
        if n_threads > 1 and n_threads not in _STARTED:
            # torch's other threads take over this one's settings: started with these.
            _STARTED.add(n_threads)
            torch.zeros(1 << 20).add_(1.0)
        flushes = not flushes_already and torch.set_flush_denormal(True)
        kernel_threads.count = n_kernel_threads
        try:
            yield
        finally:
            kernel_threads.count = before
            if flushes:
                torch.set_flush_denormal(False)


@contextmanager
def limit_threads(n_threads):
    """Run torch with `n_threads` threads, and restore the count afterwards.

    Only in the main thread and in workers of joblib. In other threads nothing is
    changed: a count that is set also applies to threads that start meanwhile. In the
    main thread of a process NumPy's linear algebra runs with one thread, so that
    results do not depend on the number of processors: more add up in another order.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import limit_threads
    >>> before = torch.get_num_threads()
    >>> with limit_threads(1):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    set_count = torch.set_num_threads
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and not _BLAS:  # takes 30 ms, once all libraries are loaded
        _BLAS.append(ThreadpoolController().select(user_api="blas"))
    if not is_main:
        if get_active_backend()[0].nesting_level == 0:  # no worker of joblib
            yield
            return
        set_count = _set_count_of_this_thread
    with _SETTING:  # a new thread takes over what another one may be setting now
        before = torch.get_num_threads()
    if before != n_threads:
        set_count(n_threads)
    try:
        with _BLAS[0].limit(limits=1) if is_main else nullcontext():
            yield
    finally:
        if torch.get_num_threads() != before:
            set_count(before)


def _set_count_of_this_thread(n_threads):
    """Set torch's number of threads for the calling thread.

    torch sets the calling thread's number, and the default that a thread takes over
    when it first computes. The latter is restored at once, by a thread that has not
    computed yet.
    """
    with _SETTING, ThreadPoolExecutor(1) as new_thread:
        usual = new_thread.submit(torch.get_num_threads).result()
        torch.set_num_threads(n_threads)
        new_thread.submit(torch.set_num_threads, usual).result()
