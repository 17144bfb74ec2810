"""Numba, if it is there."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from sklearn_rnn._exceptions import missing_package


def numba_is_installed():
    """Tell whether compiled loops can be had.

    Returns
    -------
    bool
        Whether the package ``numba`` is there.
    """
    return find_spec("numba") is not None


@cache
def loops(name):
    """Return a module of compiled loops, which needs Numba from its first line.

    Parameters
    ----------
    name : {"_compiled", "_network_loops", "_flat_loops"}
        Loops of one layer, of a whole network, or over all weights.

    Returns
    -------
    module
        Of this package.

    Raises
    ------
    ImportError
        If Numba is not installed.
    """
    if not numba_is_installed():
        raise missing_package(
            'kernel="numba"', "numba", "fast", ' Or set kernel="torch".'
        )
    return import_module(f"{__package__}.{name}")
