"""Which kernel computes a recurrence: by a table, never by timing."""

import torch

from sklearn_rnn.kernels._optional import loops, numba_is_installed

KERNELS = ("numba", "torch")
# Most units of a layer and direction for which the compiled loops win, with batches
# of 32 and 64 (tests/benchmarks/bench_kernels.py).
MOST_UNITS = {"rnn": 256, "rnn_relu": 256, "gru": 256, "lstm": 256}


def choose_kernel(kernel, cell, n_units, device, mixed=False):
    """Choose what computes the recurrence.

    Parameters
    ----------
    kernel : {"auto", "numba", "torch"}
        What was asked for.
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The cell.
    n_units : int
        Units of a layer and direction.
    device : torch.device or str
        Where the network is.
    mixed : bool, default=False
        Whether it trains in mixed precision.

    Returns
    -------
    {"numba", "torch"}
        For "auto" the compiled loops where Numba is installed, the network is on
        the CPU, the precision is not mixed, and the table says that they are faster.

    Raises
    ------
    ImportError
        If "numba" was asked for and is not installed.
    ValueError
        If it was asked for and the network is not on the CPU, or the precision is
        mixed.

    Examples
    --------
    >>> from sklearn_rnn.kernels import choose_kernel
    >>> choose_kernel("auto", "gru", 4096, "cpu")
    'torch'
    """
    on_cpu = torch.device(device).type == "cpu"
    if kernel == "auto":
        can = on_cpu and not mixed
        wins = can and n_units <= MOST_UNITS[cell] and numba_is_installed()
        return "numba" if wins else "torch"
    if kernel == "numba":
        if mixed:
            raise ValueError(
                'kernel="numba" computes in one precision, and dtype="mixed" asks for '
                'two. Set kernel="auto" or dtype="float32".'
            )
        if not on_cpu:
            raise ValueError(
                f'kernel="numba" computes on the CPU, and device={str(device)!r} is '
                'another. Set kernel="auto" or device="cpu".'
            )
        loops("_compiled")
    return kernel


def usable_kernel(kernel):
    """Return what was asked for on another machine, or what can be had here.

    Parameters
    ----------
    kernel : {"auto", "numba", "torch"}
        What was asked for.

    Returns
    -------
    {"auto", "numba", "torch"}
        "auto" instead of compiled loops that are not here.

    Examples
    --------
    >>> from sklearn_rnn.kernels import usable_kernel
    >>> usable_kernel("torch")
    'torch'
    """
    if kernel == "numba" and not numba_is_installed():
        return "auto"
    return kernel
