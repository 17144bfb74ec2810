"""Choice of the kernel that computes a recurrence: by a table, never by timing."""

import warnings

import torch

from sklearn_rnn._exceptions import user_stacklevel
from sklearn_rnn._logging import LOGGER
from sklearn_rnn.kernels._interface import COMPILED_CELLS
from sklearn_rnn.kernels._library import instruction_set, library, library_error

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
