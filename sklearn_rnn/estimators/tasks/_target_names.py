"""Names of targets: the columns of a y that is a frame."""

from sklearn_rnn.preprocessing import parse_targets


def steps_ahead(names):
    """Return how many steps ahead each target lies, by its name.

    Parameters
    ----------
    names : ndarray of str or None
        Of the targets.

    Returns
    -------
    list of int
        Empty if the names do not all say it.

    Examples
    --------
    >>> from sklearn_rnn.estimators.tasks._target_names import steps_ahead
    >>> steps_ahead(["temp+1", "temp+24"])
    [1, 24]
    """
    return [steps for _, steps in parse_targets(names)]
