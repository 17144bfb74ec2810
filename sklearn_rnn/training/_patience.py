"""When early stopping stops."""

import math

# Fewest epochs of a cool-down.
SHORTEST_COOL_DOWN = 3


class Patience:
    """Watch a validation loss, and stop when it no longer improves.

    Parameters
    ----------
    n_iter_no_change : int
        Epochs without improvement after which training stops.
    tol : float
        Minimum decrease of the loss that counts as improvement.
    cool_down : float, default=None
        Length of the cool-down that then follows, as a fraction of the epochs up to
        the lowest loss; None has no cool-down.
    monitor : {"valid_loss", "valid_score"}, default="valid_loss"
        What is watched: the loss, or instead of it one minus the score.

    Attributes
    ----------
    improved : bool
        Whether the last loss was the lowest so far, by any amount.
    best_epoch : int
        Index of the epoch with the lowest loss, counted from 0; -1 before
        the first.
    n_cool_down : int
        Epochs of the cool-down that follows the last epoch; 0 if none does.

    Examples
    --------
    >>> from sklearn_rnn.training import Patience
    >>> patience = Patience(n_iter_no_change=2, tol=0.1)
    >>> [patience.exhausted(loss) for loss in [1.0, 0.5, 0.45, 0.44, 0.43]]
    [False, False, False, True, True]
    """

    def __init__(self, n_iter_no_change, tol, cool_down=None, monitor="valid_loss"):
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.cool_down = cool_down
        self.monitor = monitor
        self.n_cool_down = 0
        self.improved = False
        self.best_epoch = -1
        self._epoch = -1
        self._lowest = math.inf, math.inf
        self._to_beat = math.inf
        self._n_no_change = 0
        self._last_epoch: int | None = None  # of the cool-down

    def exhausted(self, loss, tie=0.0):
        """Record an epoch's loss; return whether to stop.

        Of epochs with the same loss the one with the lowest `tie` is the best.
        """
        self._epoch += 1
        self.n_cool_down = 0
        # The first epoch counts, whatever its loss: better than untrained weights.
        is_lower = not math.isinf(loss) and (loss, tie) < self._lowest
        self.improved = is_lower or self._epoch == 0
        if self.improved:
            self.best_epoch = self._epoch
            is_finite = math.isfinite(loss) and math.isfinite(tie)
            self._lowest = (loss, tie) if is_finite else (math.inf, math.inf)
        if loss < self._to_beat - self.tol:
            self._to_beat, self._n_no_change = loss, 0
        else:
            self._n_no_change += 1
        if self._last_epoch is not None:
            return self._epoch >= self._last_epoch
        if self._n_no_change < self.n_iter_no_change or self.cool_down is None:
            return self._n_no_change >= self.n_iter_no_change
        n_epochs = math.ceil(self.cool_down * (self.best_epoch + 1))
        self.n_cool_down = max(SHORTEST_COOL_DOWN, n_epochs)
        self._last_epoch = self._epoch + self.n_cool_down
        return False
