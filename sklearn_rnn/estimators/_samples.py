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
        return np.logical_or.reduceat(self._targets_there().any(axis=1), self._starts)

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

    def with_mean_weight_one(self, per_step=False):
        """Return the same samples, weighted relative to one another.

        Parameters
        ----------
        per_step : bool, default=False
            Whether every step has a target: the mean is then over those.

        Returns
        -------
        Samples
            Without weights if they were all equal.
        """
        if self.weights is None or (self.weights == self.weights[0]).all():
            return self._replace(weights=None)
        counts = None
        if per_step:
            counts = np.add.reduceat(self._targets_there().sum(axis=1), self._starts)
        mean = np.average(self.weights, weights=counts)
        return self._replace(weights=self.weights / mean)

    def _targets_there(self):
        return has_target(torch.from_numpy(self.step_targets())).numpy()

    @property
    def _starts(self):
        """Where each sequence begins among the steps of all in a row."""
        return np.cumsum(self.sequences.lengths) - self.sequences.lengths
