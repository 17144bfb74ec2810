"""Callbacks that a user passes in."""

import copy

from skorch.callbacks import Callback, LRScheduler


def copy_callbacks(callbacks):
    """Check callbacks, and copy them: fit must not change a parameter.

    Parameters
    ----------
    callbacks : list
        skorch callbacks, or tuples of a name and one.

    Returns
    -------
    list
        Shallow copies.

    Raises
    ------
    ValueError
        If one is not a skorch callback.

    Examples
    --------
    >>> from skorch.callbacks import EpochTimer
    >>> from sklearn_rnn.training import copy_callbacks
    >>> given = EpochTimer()
    >>> copy_callbacks([given])[0] is given
    False
    """
    for place, item in enumerate(callbacks):
        if not isinstance(_callback(item), Callback):
            raise ValueError(
                f"callbacks[{place}] is {item!r}; give instances of skorch callbacks, "
                "such as skorch.callbacks.EarlyStopping()."
            )
    return [
        (item[0], copy.copy(item[1])) if isinstance(item, tuple) else copy.copy(item)
        for item in callbacks
    ]


def any_lr_scheduler(callbacks):
    """Tell whether a callback sets the learning rate.

    Parameters
    ----------
    callbacks : list
        skorch callbacks, or tuples of a name and one.

    Returns
    -------
    bool
        True if there is an ``LRScheduler`` among them.

    Examples
    --------
    >>> from skorch.callbacks import LRScheduler
    >>> from sklearn_rnn.training import any_lr_scheduler
    >>> any_lr_scheduler([("rate", LRScheduler())])
    True
    """
    return any(isinstance(_callback(item), LRScheduler) for item in callbacks)


def _callback(item):
    named = isinstance(item, tuple) and len(item) == 2
    return item[1] if named else item
