"""Names of targets: the columns of a y that is a frame."""

from sklearn_rnn.preprocessing import parse_targets


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
