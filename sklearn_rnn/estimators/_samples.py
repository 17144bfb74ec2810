"""Sequences with what belongs to each of them."""

from typing import NamedTuple

import numpy as np

from sklearn_rnn.sequences import (
    SequenceArray,
    check_weights,
    explain_target_errors,
    flat_rows,
)


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

    def all_targets(self):
        """Return all targets: of steps, one sequence after the other.

        Returns
        -------
        ndarray of shape (n_steps, n_outputs) or (n_sequences, n_outputs)
            Class codes, or numbers in the user's units.
        """
        if not isinstance(self.y, SequenceArray):
            return self.y
        return self.y.read_rows(flat_rows(self.y.starts, self.y.lengths))

    def sequences_with_target(self):
        """Tell which sequences have a target, at any step and of any output.

        Returns
        -------
        ndarray of bool of shape (n_sequences,)
            Where targets may be missing.
        """
        return self._count_targets() > 0

    def target_weights(self):
        """Return the weight of each of `all_targets`, that of its sequence.

        Returns
        -------
        ndarray of shape (n_steps,) or (n_sequences,), or None
            None without weights.
        """
        if self.weights is None or not isinstance(self.y, SequenceArray):
            return self.weights
        return np.repeat(self.weights, self.sequences.lengths)

    def with_mean_weight_one(self, may_miss=False):
        """Return the same samples, weighted relative to one another.

        Parameters
        ----------
        may_miss : bool, default=False
            Whether targets may be missing: the mean is over those that are not.

        Returns
        -------
        Samples
            Without weights if they were all equal.
        """
        if self.weights is None or (self.weights == self.weights[0]).all():
            return self._replace(weights=None)
        counts = self._count_targets() if may_miss else None
        mean = np.average(self.weights, weights=counts)
        return self._replace(weights=self.weights / mean)

    def _count_targets(self):
        """Count the numbers or labels that each sequence has as targets."""
        targets = self.all_targets()
        there = ~np.isnan(targets) if targets.dtype.kind == "f" else targets >= 0
        there = there.sum(axis=1)
        if not isinstance(self.y, SequenceArray):
            return there
        lengths = self.sequences.lengths
        return np.add.reduceat(there, np.cumsum(lengths) - lengths)


def read_weights(sample_weight, X):
    """Read the weights of sequences.

    Parameters
    ----------
    sample_weight : array-like of shape (n_sequences,)
        As given to fit.
    X : object
        Has as many sequences.

    Returns
    -------
    ndarray of shape (n_sequences,)
        Float64, not all zero.

    Raises
    ------
    ValueError
        If one is negative or not finite, all are zero, or there are not as many as
        sequences.
    """
    with explain_target_errors("one number per sequence", "sample_weight"):
        weights = check_weights(sample_weight, X)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def flat_weights(data):
    """Return the weight of each target of a dataset, as metrics take them.

    Parameters
    ----------
    data : SequenceDataset
        With a target per sequence, or per step.

    Returns
    -------
    ndarray of shape (n_sequences,) or (n_steps,), or None
        Float64; None without weights.
    """
    weights = data.flat_targets()[1]
    return None if weights is None else weights.double().cpu().numpy()


def has_validation(X_val, y_val):
    """Tell whether validation data were given, and refuse one without the other.

    Parameters
    ----------
    X_val, y_val : object or None
        As given to fit.

    Returns
    -------
    bool
        False if both are None.

    Raises
    ------
    ValueError
        If one alone is None.
    """
    if (X_val is None) != (y_val is None):
        given, missing = ("X_val", "y_val")[:: 1 if y_val is None else -1]
        raise ValueError(f"{given} was given without {missing}: pass both.")
    return X_val is not None
