"""Numba, if it is there."""

from functools import cache
from importlib.util import find_spec


def numba_is_installed():
    """Tell whether compiled loops can be had.

    Returns
    -------
    bool
        Whether the package ``numba`` is there.
    """
    return find_spec("numba") is not None


@cache
def compiled_loops():
    """Return the module of compiled loops of one layer.

    Returns
    -------
    module
        ``sklearn_rnn.kernels._compiled``.

    Raises
    ------
    ImportError
        If numba is not installed.
    """
    try:
        from sklearn_rnn.kernels import _compiled
    except ImportError as error:
        raise ImportError(
            'kernel="numba" needs the package numba, which is not installed: '
            'pip install "sklearn-rnn[fast]". Or set kernel="torch".'
        ) from error
    return _compiled


@cache
def network_loops():
    """Return the module of compiled loops of a whole network.

    Returns
    -------
    module
        ``sklearn_rnn.kernels._network_loops``; numba has to be installed.
    """
    from sklearn_rnn.kernels import _network_loops

    return _network_loops
