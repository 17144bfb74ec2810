"""Losses that take sample weights."""

import torch
from torch import nn
from torch.nn import functional as F

# The error, in standard deviations of the target, from which huber is linear.
HUBER_DELTA = 1.0

LOSSES = {
    "log_loss": F.cross_entropy,
    "squared_error": F.mse_loss,
    "absolute_error": F.l1_loss,
    "huber": lambda outputs, targets, reduction: F.huber_loss(
        outputs, targets, reduction=reduction, delta=HUBER_DELTA
    ),
}


class WeightedLoss(nn.Module):
    """The mean loss of a batch, each sequence counted with its weight.

    Parameters
    ----------
    loss : {"log_loss", "squared_error", "absolute_error", "huber"}
        ``log_loss`` compares logits with class codes, the others numbers.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import WeightedLoss
    >>> loss = WeightedLoss("absolute_error")
    >>> outputs, targets = torch.zeros(2, 1), torch.tensor([[1.0], [3.0]])
    >>> loss(outputs, (targets, torch.tensor([2.0, 0.0])))
    tensor(1.)
    """

    def __init__(self, loss):
        super().__init__()
        self.loss = LOSSES[loss]

    def forward(self, outputs, targets_and_weights):
        """Compute the weighted mean loss.

        Parameters
        ----------
        outputs : Tensor of shape (N, n_outputs)
            Of the network.
        targets_and_weights : tuple of Tensor
            Targets, and weights of shape (N,) or None. Weights have mean 1
            over the training data, not over the batch.

        Returns
        -------
        Tensor
            A scalar.
        """
        targets, weights = targets_and_weights
        if weights is None:
            return self.loss(outputs, targets, reduction="mean")
        losses = self.loss(outputs, targets, reduction="none")
        if losses.ndim > 1:
            losses = losses.mean(dim=1)
        return torch.dot(losses, weights) / len(weights)
