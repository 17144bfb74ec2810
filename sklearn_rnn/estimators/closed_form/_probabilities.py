"""Logarithms of probabilities: of classes before training, and of outputs."""

import numpy as np
import torch

# Largest probability of a class that does not occur. A fixed count, such as one half,
# would weigh less among repeated data than among the same data with weights.
UNSEEN_PROBABILITY = 1e-3


def log_priors(counts):
    """Return finite log probabilities from counts (n, ...), or sums of weights.

    Classes that do not occur get half the smallest probability, at most 0.001; the
    result is not normalised again.
    """
    probabilities = counts / counts.sum(axis=0)
    smallest = np.where(probabilities > 0, probabilities, 1.0).min(axis=0)
    unseen = np.minimum(smallest / 2, UNSEEN_PROBABILITY)
    return np.log(np.where(probabilities > 0, probabilities, unseen))


def log_softmax(logits):
    """Turn logits (n, n_classes) into log probabilities, without overflow."""
    return torch.from_numpy(logits).log_softmax(dim=1).numpy()
