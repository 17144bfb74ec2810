"""The one place that imports matplotlib, which only displays need."""

from sklearn_rnn._exceptions import missing_package


def import_matplotlib(display):
    """Return matplotlib with pyplot loaded; `display` is named in the error."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise missing_package(display, "matplotlib", "plot") from error
    return matplotlib
