"""How many threads torch uses inside an operation."""

import os
import threading
from contextlib import contextmanager

import torch

# Multiply-adds of one recurrent step of one batch for every thread. Below twice
# this, handing work to a second thread cost up to twice what it saved; above, two
# were 1.2 to 1.9 times as fast as one (tests/benchmarks/bench_threads.py).
MIN_WORK_PER_THREAD = 10_000_000
MAX_THREADS = 4  # more were not measured


def choose_n_threads(batch_size, spec):
    """Choose a number of threads from the size of one step's matrix product.

    The choice looks at the machine, not at what the process is set to: worker
    processes of a grid search choose the same, and so fit the same model.

    Parameters
    ----------
    batch_size : int
        Sequences a batch.
    spec : NetworkSpec
        The network.

    Returns
    -------
    int
        At least 1, at most 4 and the machine's processors.
    """
    gates = {"rnn": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}[spec.cell]
    work = batch_size * gates * spec.hidden_size**2
    at_most = min(os.cpu_count() or 1, MAX_THREADS)
    return int(min(max(1, work // MIN_WORK_PER_THREAD), at_most))


@contextmanager
def limit_threads(n_threads):
    """Run torch with `n_threads` threads, and put the count back afterwards.

    The count belongs to the whole process, so outside the main thread
    nothing is changed: others may be computing.

    Parameters
    ----------
    n_threads : int
        Threads inside one operation.

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
    before = torch.get_num_threads()
    if before == n_threads or threading.current_thread() is not threading.main_thread():
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
