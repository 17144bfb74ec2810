"""Random states."""

import numpy as np
from sklearn.utils import check_random_state


def new_random_state(random_state):
    """Return a `random_state` parameter as a RandomState instance.

    None takes a seed from the operating system. scikit-learn would take NumPy's global
    generator, and so change it.

    Examples
    --------
    >>> from sklearn_rnn.training import new_random_state
    >>> new_random_state(0).randint(100)
    44
    """
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)
