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


def has_target(targets):
    """Tell which targets exist.

    Parameters
    ----------
    targets : Tensor
        Class codes, or numbers.

    Returns
    -------
    Tensor of bool of the shape of `targets`
        False for the code -1 and for NaN.
    """
    return ~targets.isnan() if targets.is_floating_point() else targets >= 0


class WeightedLoss(nn.Module):
    """The mean loss of a batch, each sequence counted with its weight.

    Parameters
    ----------
    loss : {"log_loss", "squared_error", "absolute_error", "huber"}
        ``log_loss`` compares logits with class codes, the others numbers.
    per_step : bool, default=False
        Whether every step has a target, or none: the code -1, or NaN.
    class_weights : Tensor of shape (n_classes,), default=None
        What a step counts by its class, times its sequence's weight.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import WeightedLoss
    >>> loss = WeightedLoss("absolute_error")
    >>> outputs, targets = torch.zeros(2, 1), torch.tensor([[1.0], [3.0]])
    >>> loss(outputs, (targets, torch.tensor([2.0, 0.0])))
    tensor(1.)
    """

    def __init__(self, loss, per_step=False, class_weights=None):
        super().__init__()
        self.loss = LOSSES[loss]
        self.per_step = per_step
        self.register_buffer("class_weights", class_weights)

    def forward(self, outputs, targets_and_weights):
        """Compute the weighted mean loss.

        Parameters
        ----------
        outputs : Tensor of shape (N, n_outputs) or (N, T, n_outputs)
            Of the network.
        targets_and_weights : tuple of Tensor
            Targets, and weights of shape (N,) or None. Weights have mean 1
            over the training data, not over the batch.

        Returns
        -------
        Tensor
            A scalar; the mean over steps that have a target.
        """
        targets, weights = targets_and_weights
        if self.per_step:
            outputs, targets, weights = self._select(outputs, targets, weights)
        if weights is None:
            return self.loss(outputs, targets, reduction="mean")
        losses = self.loss(outputs, targets, reduction="none")
        if losses.ndim > 1:
            losses = losses.mean(dim=1)
        return torch.dot(losses, weights) / len(weights)

    def _select(self, outputs, targets, weights):
        """Keep the steps, or the numbers of a step, that have a target."""
        exists = has_target(targets)
        if weights is not None:
            across = weights.reshape(-1, *[1] * (targets.ndim - 1))
            weights = across.expand_as(targets)[exists]
        targets = targets[exists]
        if self.class_weights is not None:
            by_class = self.class_weights[targets]
            weights = by_class if weights is None else weights * by_class
        return outputs[exists], targets, weights
