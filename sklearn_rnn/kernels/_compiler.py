"""How loops are compiled, and that what comes of it is kept."""

import numba


def compiled(function=None, **options):
    """Compile a function without Python's lock, and keep the result on disk.

    Beside the package, or where the user's caches are, or in ``NUMBA_CACHE_DIR``; where
    none can be written, each process compiles anew.

    Parameters
    ----------
    function : callable, default=None
        What to compile; None returns a decorator.
    **options : dict
        For ``numba.njit``.

    Returns
    -------
    callable
        The compiled function.
    """
    if function is None:
        return lambda function: compiled(function, **options)
    try:
        return numba.njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:
        return numba.njit(nogil=True, **options)(function)
