"""Where randomness comes from."""

import numpy as np
from sklearn.utils import check_random_state


def new_random_state(random_state):
    """Turn a `random_state` parameter into a generator.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None takes a seed from the operating system. scikit-learn would take
        NumPy's global generator, and so change it.

    Returns
    -------
    numpy.random.RandomState
        The instance that was given, or a new one.

    Examples
    --------
    >>> from sklearn_rnn.training import new_random_state
    >>> new_random_state(0).randint(100)
    44
    """
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)
