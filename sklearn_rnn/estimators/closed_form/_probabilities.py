"""Logarithms of probabilities."""

import torch

# Largest probability of a class that does not occur. A fixed count, such as one half,
# would weigh less among repeated data than among the same data with weights.
UNSEEN_PROBABILITY = 1e-3


def log_softmax(logits):
    """Turn logits (n, n_classes) into log probabilities, without overflow."""
    return torch.from_numpy(logits).log_softmax(dim=1).numpy()
