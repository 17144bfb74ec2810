"""The one place that imports matplotlib, which only pictures need."""


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
        raise ImportError(
            f'{owner} needs matplotlib: pip install "sklearn-rnn[plot]"'
        ) from error
    return matplotlib
