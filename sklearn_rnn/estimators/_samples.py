"""Sequences with what belongs to each of them."""

from typing import NamedTuple

import numpy as np

from sklearn_rnn.sequences import SequenceArray


class Samples(NamedTuple):
    """Sequences with their targets and weights, all of one length.

    Parameters
    ----------
    sequences : SequenceArray
        The inputs.
    y : ndarray of shape (n_sequences,) or (n_sequences, n_outputs)
        Class codes, or numbers in the user's units.
    weights : ndarray of shape (n_sequences,), default=None
        Sample weights.
    """

    sequences: SequenceArray
    y: np.ndarray
    weights: np.ndarray | None = None

    def select(self, indices):
        """Return some of the samples.

        Parameters
        ----------
        indices : ndarray of int
            Which.

        Returns
        -------
        Samples
            In the order of `indices`.
        """
        weights = None if self.weights is None else self.weights[indices]
        return Samples(self.sequences[indices], self.y[indices], weights)

    def with_mean_weight_one(self):
        """Return the same samples, weighted relative to one another.

        Returns
        -------
        Samples
            Without weights if they were all equal.
        """
        if self.weights is None or (self.weights == self.weights[0]).all():
            return self._replace(weights=None)
        return self._replace(weights=self.weights / self.weights.mean())
