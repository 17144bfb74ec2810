"""How many threads torch uses inside an operation."""

import threading
from contextlib import contextmanager

import torch

# Multiply-adds of one recurrent step of one batch below which a second thread
# costs more in hand-overs than it computes (tests/benchmarks/bench_threads.py).
MIN_WORK_PER_THREAD = 2_000_000


def choose_n_threads(batch_size, spec):
    """Choose a number of threads from the size of one step's matrix product.

    Parameters
    ----------
    batch_size : int
        Sequences a batch.
    spec : NetworkSpec
        The network.

    Returns
    -------
    int
        At least 1, at most what torch is set to.
    """
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[spec.cell]
    work = batch_size * gates * spec.hidden_size**2
    return int(min(max(1, work // MIN_WORK_PER_THREAD), torch.get_num_threads()))


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
