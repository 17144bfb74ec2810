"""Transitions between neighbouring labels: a chain over what a network predicts."""

import numpy as np

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.training import NO_CODE, blocks_by_length

# Fraction of all pairs that each label has besides, followed by labels as frequent as
# they are: a fraction, so that repeated data give the same transitions.
SMOOTHING = 1e-4
# Sequences, and steps of them with their padding, that are computed at a time.
SIDE_BY_SIDE, MAX_STEPS = 256, 65_536
# Instead of zero, whose logarithm is infinite.
TINY = 1e-300


@plain_type
class Transitions:
    """How much likelier a label is after another one than at all.

    The probabilities that a network predicts for each step are multiplied by
    ``(P(label | label before) / P(label)) ** weight`` for all pairs of neighbours, and
    become the marginal probabilities of that chain.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes)
        Weighted number of pairs: of a label and the one after it.
    """

    def __init__(self, counts):
        self.counts = counts

    @classmethod
    def count(cls, codes, lengths, n_classes, weights=None):
        """Count the pairs in sequences of class codes, one after the other."""
        follows = np.ones(max(0, len(codes) - 1), dtype=bool)
        follows[np.cumsum(lengths)[:-1] - 1] = False
        follows &= (codes[:-1] != NO_CODE) & (codes[1:] != NO_CODE)
        pairs = codes[:-1][follows] * n_classes + codes[1:][follows]
        weights = None if weights is None else weights[1:][follows]
        counts = np.bincount(pairs, weights, minlength=n_classes**2)
        return cls(counts.astype(float).reshape(n_classes, n_classes))

    def ratios(self):
        """Return P(label | label before) / P(label), (n_classes, n_classes)."""
        counts = self.counts / max(self.counts.sum(), TINY)
        n_classes = len(counts)
        # Labels that follow none are as rare as the smoothing.
        after = counts.sum(axis=0) + SMOOTHING / n_classes
        after /= after.sum()
        smoothed = counts + SMOOTHING * after
        return smoothed / smoothed.sum(axis=1, keepdims=True) / after

    def log_marginals(self, log_probabilities, lengths, weight):
        """Return the log marginals of sequences, (n_steps, n_classes).

        Parameters
        ----------
        log_probabilities : ndarray of shape (n_steps, n_classes)
            Of all steps, one sequence after the other.
        lengths : ndarray of int of shape (n_sequences,)
            Steps of each sequence.
        weight : float
            Power of the ratios.
        """
        links = self.ratios() ** weight
        starts = np.cumsum(lengths) - lengths
        marginals = np.empty_like(log_probabilities)
        for rows in blocks_by_length(lengths, SIDE_BY_SIDE, MAX_STEPS):
            steps = np.arange(lengths[rows].max())
            exists = steps < lengths[rows, np.newaxis]  # (N, T)
            positions = (starts[rows, np.newaxis] + steps)[exists]
            padded = np.ones((*exists.shape, len(links)))
            padded[exists] = np.exp(log_probabilities[positions])
            found = _forward(padded, links) * _backward(padded, exists, links)
            found = found[exists]
            found /= found.sum(axis=1, keepdims=True)
            marginals[positions] = np.log(np.maximum(found, TINY))
        return marginals


def _forward(probabilities, links):
    """Return, of each step, what is likely given the steps up to it (N, T, K)."""
    found = np.empty_like(probabilities)
    found[:, 0] = probabilities[:, 0]
    for t in range(1, found.shape[1]):
        found[:, t] = _normalize((found[:, t - 1] @ links) * probabilities[:, t])
    return found


def _backward(probabilities, exists, links):
    """Return, of each step, how well each label goes with later steps (N, T, K)."""
    found = np.ones_like(probabilities)
    for t in range(found.shape[1] - 2, -1, -1):
        later = _normalize((found[:, t + 1] * probabilities[:, t + 1]) @ links.T)
        found[:, t] = np.where(exists[:, t + 1, np.newaxis], later, 1.0)
    return found


def _normalize(values):
    # Or a long sequence would underflow.
    return values / np.maximum(values.sum(axis=1, keepdims=True), TINY)
