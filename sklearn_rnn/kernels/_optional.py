"""Numba, if it is there."""

from functools import cache
from importlib.util import find_spec

from sklearn_rnn._exceptions import missing_package
from sklearn_rnn.kernels._interrupts import deferred_interrupts, import_whole


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
            'kernel="compiled"', "numba", "fast", ' Or set kernel="torch".'
        )
    with deferred_interrupts():
        [module, numba_targets] = import_whole(
            f"{__package__}.{name}", "numba.core.registry"
        )
        # Numba imports the rest of itself when it looks up the first function.
        numba_targets.cpu_target.typing_context.refresh()
        numba_targets.cpu_target.target_context.refresh()
    return module
