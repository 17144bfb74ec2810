"""Sequences with what belongs to each of them."""

from typing import NamedTuple

import numpy as np

from sklearn_rnn.sequences import (
    CONVERSION_ERRORS,
    SequenceArray,
    check_weights,
    flat_rows,
    raise_conversion_error,
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
        """Return the samples of these indices, in their order."""
        weights = None if self.weights is None else self.weights[indices]
        return Samples(self.sequences[indices], self.y[indices], weights)

    def that_count(self, targets_may_be_missing):
        """Leave out what nothing is learned from, not even the scaling.

        That is a sequence whose weight is 0, as that of its class may be, and one
        without any target.
        """
        weights = self.weights
        counts = np.ones(len(self.y), bool) if weights is None else weights > 0
        if targets_may_be_missing:
            counts &= self._count_targets() > 0  # at any step, of any output
            if not counts.any():
                raise ValueError(
                    "no sequence whose weight is not zero has a target: there is "
                    "nothing to learn or to score."
                )
        return self if counts.all() else self.select(np.flatnonzero(counts))

    def all_targets(self):
        """Return all targets (n, n_outputs): of steps, one sequence after the other."""
        if not isinstance(self.y, SequenceArray):
            return self.y
        return self.y.read_rows(flat_rows(self.y.starts, self.y.lengths))

    def target_weights(self):
        """Return the weight of each of `all_targets`, that of its sequence, or None."""
        if self.weights is None or not isinstance(self.y, SequenceArray):
            return self.weights
        return np.repeat(self.weights, self.sequences.lengths)

    def with_mean_weight_one(self, targets_may_be_missing=False):
        """Return the samples with weights of mean 1; without, if they are all equal.

        Where targets may be missing the mean is over those that are not.
        """
        if self.weights is None or (self.weights == self.weights[0]).all():
            return self._replace(weights=None)
        counts = self._count_targets() if targets_may_be_missing else None
        mean = np.average(self.weights, weights=counts)
        return self._replace(weights=self.weights / mean)

    def _count_targets(self):
        """Return how many targets each sequence has."""
        targets = self.all_targets()
        there = ~np.isnan(targets) if targets.dtype.kind == "f" else targets >= 0
        there = there.sum(axis=1)
        if not isinstance(self.y, SequenceArray):
            return there
        lengths = self.sequences.lengths
        return np.add.reduceat(there, np.cumsum(lengths) - lengths)


def parse_weights(sample_weight, X):
    """Return the weights of the sequences X, as float64, not all zero."""
    try:
        weights = check_weights(sample_weight, X)
    except CONVERSION_ERRORS as error:
        raise_conversion_error(error, "one number per sequence", "sample_weight")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def flat_weights(data):
    """Return the weight of each target of a dataset, as metrics take them, or None."""
    weights = data.flat_targets()[1]
    return None if weights is None else weights.double().cpu().numpy()
