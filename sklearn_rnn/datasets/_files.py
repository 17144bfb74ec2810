"""Files of the data folder."""

from importlib.resources import files


def data_file(name):
    """Return the file of that name in the data folder."""
    return files("sklearn_rnn.datasets").joinpath("data", name)
