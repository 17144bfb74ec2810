"""The one place that imports matplotlib, which only pictures need."""

from sklearn_rnn._exceptions import missing_package


def import_matplotlib(owner):
    """Import matplotlib with its pyplot, or say how to get it.

    Parameters
    ----------
    owner : str
        What needs it, for the error.

    Returns
    -------
    module
        ``matplotlib``, of which ``matplotlib.pyplot`` is loaded.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise missing_package(owner, "matplotlib", "plot") from error
    return matplotlib
