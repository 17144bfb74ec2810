"""What computes a network: a kernel, chosen by a table, with threads and processes."""

import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import joblib
import torch
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

from sklearn_rnn._exceptions import user_stacklevel
from sklearn_rnn._logging import LOGGER
from sklearn_rnn.kernels._cells import N_GATES
from sklearn_rnn.kernels._interface import COMPILED_CELLS
from sklearn_rnn.kernels._library import instruction_set, library, library_error

# The kernel: by a table, never by timing.

KERNELS = ("compiled", "torch")
# Largest number of units per layer and direction for which the compiled kernels are
# faster, in training and in prediction, with batches of 1 to 256, AVX-512 and AVX2
# (tests/benchmarks/bench_kernels.py). A cell without a row is left to torch. An LSTM in
# float32, and no other cell, is handed to oneDNN by torch as a whole, which is faster
# from fewer units on where recurrences are not part of a fused network.
MAX_UNITS = {
    "rnn": {"float32": 512, "float64": 512},
    "rnn_relu": {"float32": 512, "float64": 512},
    "gru": {"float32": 512, "float64": 256},
    "lstm": {"float32": 256, "float64": 384},
}
# With registers of 64 bytes they are faster up to more units in float64.
MAX_UNITS_IN_FLOAT64_WITH_AVX512 = 512
MAX_UNITS_OF_RECURRENCES = {**MAX_UNITS, "lstm": {"float32": 64, "float64": 384}}


def compiled_kernels_available() -> bool:
    """Return whether there is a compiled library; `library_error` says why not."""
    return library() is not None


def rename_kernel(kernel: str) -> str:
    """Return "compiled" for "numba", its previous name, with a FutureWarning."""
    if kernel != "numba":
        return kernel
    warnings.warn(
        'kernel="numba" was renamed to kernel="compiled" in version 0.7, and will be '
        "removed in version 0.8.",
        FutureWarning,
        stacklevel=user_stacklevel(),
    )
    return "compiled"


def choose_kernel(
    kernel: str,
    cell: str,
    n_units: int,
    dtype: str,
    device: torch.device | str,
    fused: bool = True,
) -> str:
    """Choose what computes the recurrence.

    Parameters
    ----------
    kernel : {"auto", "compiled", "torch"}
        The parameter of the estimator; or "numba", the previous name of "compiled".
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The cell.
    n_units : int
        Units per layer and direction.
    dtype : {"float32", "float64", "mixed"}
        Precision of the training.
    device : torch.device or str
        Device of the network.
    fused : bool, default=True
        Whether the kernels can compute the network as a whole.

    Returns
    -------
    {"compiled", "torch"}
        For "auto" the compiled kernels where they are available, the network is on
        the CPU, the precision is not mixed, and the table says that they are faster.

    Raises
    ------
    ImportError
        If `kernel` is "compiled" and there are no compiled kernels.
    ValueError
        If `kernel` is "compiled" and the network is not on the CPU, or the precision
        is mixed.

    Examples
    --------
    >>> from sklearn_rnn.kernels import choose_kernel
    >>> choose_kernel("auto", "gru", 4096, "float32", "cpu")
    'torch'
    """
    on_cpu = torch.device(device).type == "cpu"
    if kernel == "numba":
        kernel = rename_kernel(kernel)
    if kernel == "auto":
        table = MAX_UNITS if fused else MAX_UNITS_OF_RECURRENCES
        if cell not in table:
            return "torch"
        max_units = table[cell].get(dtype, 0)
        if dtype == "float64" and fused and instruction_set() == "avx512":
            max_units = MAX_UNITS_IN_FLOAT64_WITH_AVX512
        is_faster = on_cpu and n_units <= max_units and library() is not None
        return "compiled" if is_faster else "torch"
    if kernel == "compiled":
        if cell not in COMPILED_CELLS:
            raise ValueError(
                f'kernel="compiled" has no cell={cell!r}, only {COMPILED_CELLS}. Set '
                'kernel="auto".'
            )
        if dtype == "mixed":
            raise ValueError(
                'kernel="compiled" computes in one precision, and dtype="mixed" needs '
                'two. Set kernel="auto" or dtype="float32".'
            )
        if not on_cpu:
            raise ValueError(
                'kernel="compiled" computes on the CPU only, got '
                f'device={str(device)!r}. Set kernel="auto" or device="cpu".'
            )
        if library() is None:
            raise ImportError(
                'kernel="compiled" was set, but there are no compiled kernels. '
                'Set kernel="auto" or kernel="torch". The reason: '
                f"{library_error()}"
            )
    return kernel


def usable_kernel(kernel: str) -> str:
    """Return a kernel chosen on another machine, or "auto" if it is not available."""
    if kernel == "compiled" and not compiled_kernels_available():
        LOGGER.warning(
            'a model of kernel="compiled" computes by torch, without kernels'
        )
        return "auto"
    return kernel


# Threads and processes.

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


@contextmanager
def computing(
    n_threads: int | None = None, net: Any = None, *, flush_denormals: bool = True
) -> Iterator[None]:
    """Compute with a number of threads, and restore all that it sets afterwards.

    It is that of threads inside one operation of torch, and of threads per batch of the
    compiled kernels, whose results do not depend on it; small batches are computed by
    one.

    By default it is at most 4 and the number of processors, which processes that train
    one model together divide, and one in a worker of joblib, be it a process or a
    thread: the other workers have the other processors. In torch more threads add up a
    matrix product in another order, so there the number follows from the size of one
    step's product: a network for which it is one anyway is the same to the last bit
    wherever it is fitted, and a larger one to rounding.

    Only the main thread and workers of joblib set torch's number: it also applies to
    threads that start meanwhile. In the main thread of a process NumPy's linear algebra
    runs with one thread, so that results do not depend on the number of processors.

    Gradients that vanish through many steps end as values below 1e-38, for which
    processors take a hundred times as long as for others; here they are zero.

    Parameters
    ----------
    n_threads : int, default=None
        The number; None chooses it.
    net : SequenceNet, default=None
        What computes; None where it is no network.
    flush_denormals : bool, default=True
        Whether denormal numbers are zero.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import computing
    >>> tiny = torch.tensor(1e-38)
    >>> with computing(1):
    ...     torch.get_num_threads(), bool(tiny * 0.1 == 0)
    (1, True)
    >>> bool(tiny * 0.1 == 0)
    False
    """
    in_worker = get_active_backend()[0].nesting_level > 0
    if n_threads is not None:
        n_kernel_threads = n_threads
    else:
        processes = current_processes.processes
        n_local = 1 if processes is None else processes.n_local
        most = min(max(1, joblib.cpu_count() // n_local), MAX_THREADS)
        most = 1 if in_worker else most
        work = 0
        if net is not None:
            spec = net.module_.spec
            work = net.batch_size * N_GATES[spec.cell] * spec.hidden_size**2
        n_threads = min(max(1, work // MIN_WORK_PER_THREAD), most)
        n_kernel_threads = min(most, torch.get_num_threads())
    is_main = threading.current_thread() is threading.main_thread()
    sets_count = is_main or in_worker
    set_count = torch.set_num_threads if is_main else _set_count_of_this_thread
    if is_main and not _BLAS:  # takes 30 ms, once all libraries are loaded
        _BLAS.append(ThreadpoolController().select(user_api="blas"))
    with _SETTING:  # a new thread takes over what another one may be setting now
        before = torch.get_num_threads(), kernel_threads.count
    if sets_count and before[0] != n_threads:
        set_count(n_threads)
    kernel_threads.count = n_kernel_threads
    flushes = flush_denormals and sys.float_info.min / 2 != 0
    try:
        if n_threads > 1 and n_threads not in _STARTED:
            # torch's other threads take over this one's settings: started with these.
            _STARTED.add(n_threads)
            torch.zeros(1 << 20).add_(1.0)
        flushes = flushes and torch.set_flush_denormal(True)
        with _BLAS[0].limit(limits=1) if is_main else nullcontext():
            yield
    finally:
        if flushes:
            torch.set_flush_denormal(False)
        kernel_threads.count = before[1]
        if sets_count and torch.get_num_threads() != before[0]:
            set_count(before[0])


def _set_count_of_this_thread(n_threads: int) -> None:
    """Set torch's number of threads for the calling thread.

    torch sets the calling thread's number, and the default that a thread takes over
    when it first computes. The latter is restored at once, by a thread that has not
    computed yet.
    """
    with _SETTING, ThreadPoolExecutor(1) as new_thread:
        usual = new_thread.submit(torch.get_num_threads).result()
        torch.set_num_threads(n_threads)
        new_thread.submit(torch.set_num_threads, usual).result()
