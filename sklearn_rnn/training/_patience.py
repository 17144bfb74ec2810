"""When early stopping stops."""

import math


class Patience:
    """Watch a validation loss, and stop when it no longer improves.

    Parameters
    ----------
    n_iter_no_change : int
        Epochs without improvement after which training stops.
    tol : float
        Minimum decrease of the loss that counts as improvement.

    Attributes
    ----------
    improved : bool
        Whether the last loss was the lowest so far, by any amount.
    best_epoch : int
        Index of the epoch with the lowest loss, counted from 0; -1 before
        the first.

    Examples
    --------
    >>> from sklearn_rnn.training import Patience
    >>> patience = Patience(n_iter_no_change=2, tol=0.1)
    >>> [patience.exhausted(loss) for loss in [1.0, 0.5, 0.45, 0.44, 0.43]]
    [False, False, False, True, True]
    """

    def __init__(self, n_iter_no_change, tol):
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.improved = False
        self.best_epoch = -1
        self._epoch = -1
        self._lowest = math.inf
        self._to_beat = math.inf
        self._n_no_change = 0

    def exhausted(self, loss):
        """Record an epoch's loss; return whether to stop."""
        self._epoch += 1
        # The first epoch counts, whatever its loss: better than untrained weights.
        self.improved = loss < self._lowest or self._epoch == 0
        if self.improved:
            self.best_epoch = self._epoch
            self._lowest = loss if math.isfinite(loss) else math.inf
        if loss < self._to_beat - self.tol:
            self._to_beat, self._n_no_change = loss, 0
        else:
            self._n_no_change += 1
        return self._n_no_change >= self.n_iter_no_change
