"""How the learning rate runs over training, and how long training is."""

import math

# Share of the updates in which the learning rate climbs to its full value.
WARM_UP = 0.05


def warm_up_cosine(progress):
    """Climb to 1 in the first 5 % of training, then fall to 0 along a cosine.

    Parameters
    ----------
    progress : float
        Share of the updates already made, in [0, 1].

    Returns
    -------
    float
        Factor of the learning rate.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm
    restarts", ICLR 2017.

    Examples
    --------
    >>> from sklearn_rnn.training import warm_up_cosine
    >>> [round(warm_up_cosine(p), 3) for p in (0.05, 0.525, 1.0)]
    [1.0, 0.5, 0.0]
    """
    if progress < WARM_UP:
        return (progress + 0.01) / (WARM_UP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


# "auto" trains for this many updates, if that lies within these epochs: small
# data train long enough, and large data are seen often enough.
UPDATE_BUDGET = 600
MIN_EPOCHS, MAX_EPOCHS = 5, 60


def n_epochs_for(n_sequences, batch_size):
    """Choose a number of epochs that makes a fixed number of updates.

    Parameters
    ----------
    n_sequences : int
        Training sequences.
    batch_size : int
        Sequences a batch, at most.

    Returns
    -------
    int
        Epochs.

    Examples
    --------
    >>> from sklearn_rnn.training import n_epochs_for
    >>> n_epochs_for(10, 64), n_epochs_for(1_000_000, 64)
    (60, 5)
    """
    n_batches = -(-n_sequences // batch_size)
    return min(max(-(-UPDATE_BUDGET // n_batches), MIN_EPOCHS), MAX_EPOCHS)


SCHEDULES = {"cosine": warm_up_cosine}
