"""Which kernel computes a recurrence: by a table, never by timing."""

import warnings

import torch

from sklearn_rnn._exceptions import user_stacklevel
from sklearn_rnn.kernels._library import instruction_set, library, library_error

KERNELS = ("compiled", "torch")
# Most units of a layer and direction for which the compiled kernels win, in training
# and in predicting, with batches of 1 to 256, AVX-512 and AVX2
# (tests/benchmarks/bench_kernels.py). torch hands an LSTM in float32, and no other
# cell, to oneDNN as a whole, which is ahead sooner where recurrences stand alone.
MAX_UNITS = {
    "rnn": {"float32": 512, "float64": 512},
    "rnn_relu": {"float32": 512, "float64": 512},
    "gru": {"float32": 512, "float64": 256},
    "lstm": {"float32": 256, "float64": 384},
}
# With registers of 64 bytes they win on more units in float64.
MAX_UNITS_IN_FLOAT64_WITH_AVX512 = 512
MAX_UNITS_OF_RECURRENCES = {**MAX_UNITS, "lstm": {"float32": 64, "float64": 384}}


def compiled_kernels_available():
    """Return whether the compiled kernels can compute.

    Returns
    -------
    bool
        Whether there is a library of them; `library_error` says why not.

    Examples
    --------
    >>> from sklearn_rnn.kernels import compiled_kernels_available, library
    >>> compiled_kernels_available() == (library() is not None)
    True
    """
    return library() is not None


def rename_kernel(kernel):
    """Return the current name of a kernel, and warn if it is a previous one.

    Parameters
    ----------
    kernel : str
        The parameter of an estimator.

    Returns
    -------
    str
        "compiled" for "numba".

    Warns
    -----
    FutureWarning
        If it is a previous name.

    Examples
    --------
    >>> from sklearn_rnn.kernels import rename_kernel
    >>> rename_kernel("torch")
    'torch'
    """
    if kernel != "numba":
        return kernel
    warnings.warn(
        'kernel="numba" was renamed to kernel="compiled" in version 0.7, and will be '
        "removed in version 0.8.",
        FutureWarning,
        stacklevel=user_stacklevel(),
    )
    return "compiled"


def choose_kernel(kernel, cell, n_units, dtype, device, fused=True):
    """Choose what computes the recurrence.

    Parameters
    ----------
    kernel : {"auto", "compiled", "torch"}
        What was asked for.
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The cell.
    n_units : int
        Units of a layer and direction.
    dtype : {"float32", "float64", "mixed"}
        Precision that the network trains in.
    device : torch.device or str
        Where the network is.
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
        If "compiled" was asked for and is not available.
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
        table = MAX_UNITS if fused else MAX_UNITS_OF_RECURRENCES
        at_most = table[cell].get(dtype, 0)
        if dtype == "float64" and fused and instruction_set() == "avx512":
            at_most = MAX_UNITS_IN_FLOAT64_WITH_AVX512
        wins = on_cpu and n_units <= at_most and compiled_kernels_available()
        return "compiled" if wins else "torch"
    if kernel == "compiled":
        if dtype == "mixed":
            raise ValueError(
                'kernel="compiled" computes in one precision, and dtype="mixed" asks '
                'for two. Set kernel="auto" or dtype="float32".'
            )
        if not on_cpu:
            raise ValueError(
                f'kernel="compiled" computes on the CPU, and device={str(device)!r} is '
                'another. Set kernel="auto" or device="cpu".'
            )
        if library() is None:
            raise ImportError(
                'kernel="compiled" was asked for, but there are no compiled kernels. '
                'Set kernel="auto" or kernel="torch". The reason: '
                f"{library_error()}"
            )
    return kernel


def usable_kernel(kernel):
    """Return the kernel that was chosen on another machine, or "auto".

    Parameters
    ----------
    kernel : {"auto", "compiled", "torch"}
        What was asked for.

    Returns
    -------
    {"auto", "compiled", "torch"}
        "auto" instead of compiled kernels that are not available.

    Examples
    --------
    >>> from sklearn_rnn.kernels import usable_kernel
    >>> usable_kernel("torch")
    'torch'
    """
    if kernel == "compiled" and not compiled_kernels_available():
        return "auto"
    return kernel
