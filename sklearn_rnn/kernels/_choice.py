"""Which kernel computes a recurrence: by a table, never by timing."""

import torch

from sklearn_rnn.kernels._optional import loops, numba_is_installed

KERNELS = ("numba", "torch")
# Most units of a layer and direction for which the compiled loops win, in training
# and in predicting, with batches of 32 and 64 (tests/benchmarks/bench_kernels.py).
# torch hands an LSTM in float32, and no other cell, to oneDNN as a whole.
MOST_UNITS = {
    "rnn": {"float32": 256, "float64": 256},
    "rnn_relu": {"float32": 256, "float64": 256},
    "gru": {"float32": 256, "float64": 256},
    "lstm": {"float32": 96, "float64": 128},
}


def choose_kernel(kernel, cell, n_units, dtype, device):
    """Choose what computes the recurrence.

    Parameters
    ----------
    kernel : {"auto", "numba", "torch"}
        What was asked for.
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The cell.
    n_units : int
        Units of a layer and direction.
    dtype : {"float32", "float64", "mixed"}
        Precision that the network trains in.
    device : torch.device or str
        Where the network is.

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
    >>> choose_kernel("auto", "gru", 4096, "float32", "cpu")
    'torch'
    """
    on_cpu = torch.device(device).type == "cpu"
    if kernel == "auto":
        at_most = MOST_UNITS[cell].get(dtype, 0)
        wins = on_cpu and n_units <= at_most and numba_is_installed()
        return "numba" if wins else "torch"
    if kernel == "numba":
        if dtype == "mixed":
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
