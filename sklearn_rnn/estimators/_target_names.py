"""Names of targets: the columns of a y that is a frame."""

import numpy as np

from sklearn_rnn.preprocessing import parse_targets


def read_target_names(y):
    """Read the names of the columns of y.

    Parameters
    ----------
    y : object
        As the user gave it.

    Returns
    -------
    ndarray of str, of dtype object, or None
        Of a frame, or a Series with a name; None if y has no names, or not all
        are strings.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn.estimators._target_names import read_target_names
    >>> read_target_names(pd.DataFrame({"temp+1": [3.0], "temp+2": [4.0]}))
    array(['temp+1', 'temp+2'], dtype=object)
    """
    names = getattr(y, "columns", None)
    if names is None:
        names = [getattr(y, "name", None)]
    if len(names) == 0 or not all(isinstance(name, str) for name in names):
        return None
    return np.array(list(names), dtype=object)


def furthest_step(names):
    """Tell how many steps ahead the furthest target lies, by its name.

    Parameters
    ----------
    names : ndarray of str or None
        Of the targets.

    Returns
    -------
    int or None
        None if the names do not all say it.

    Examples
    --------
    >>> from sklearn_rnn.estimators._target_names import furthest_step
    >>> furthest_step(["temp+1", "temp+24"])
    24
    """
    return max((step for _, step in parse_targets(names)), default=None)
