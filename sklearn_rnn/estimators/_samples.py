"""Sequences with what belongs to each of them."""

from typing import NamedTuple

import numpy as np
import torch

from sklearn_rnn.sequences import SequenceArray, flat_rows
from sklearn_rnn.training import has_target


class Samples(NamedTuple):
    """Sequences with their targets and weights, all of one length.

    Parameters
    ----------
    sequences : SequenceArray
        The inputs.
    y : ndarray of shape (n_sequences,) or (n_sequences, n_outputs), \
or SequenceArray
        Class codes, or numbers in the user's units; where every step has a
        target, sequences of them.
    weights : ndarray of shape (n_sequences,), default=None
        Sample weights.
    """

    sequences: SequenceArray
    y: np.ndarray | SequenceArray
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

    def step_targets(self):
        """Return the targets of all steps, one sequence after the other.

        Returns
        -------
        ndarray of shape (n_steps, n_outputs)
            Only for targets of steps.
        """
        return self.y.read_rows(flat_rows(self.y.starts, self.y.lengths))

    def sequences_with_target(self):
        """Tell which sequences have a target at any step.

        Returns
        -------
        ndarray of bool of shape (n_sequences,)
            Only for targets of steps.
        """
        exists = has_target(torch.from_numpy(self.step_targets())).numpy()
        return np.logical_or.reduceat(exists.any(axis=1), self.y.starts)

    def step_weights(self):
        """Return each step's weight, that of its sequence.

        Returns
        -------
        ndarray of shape (n_steps,) or None
            None without weights.
        """
        if self.weights is None:
            return None
        return np.repeat(self.weights, self.sequences.lengths)

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
