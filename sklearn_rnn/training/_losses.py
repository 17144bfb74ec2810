"""Losses that take sample weights."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

# The error, in standard deviations of the target, from which huber is linear.
HUBER_DELTA = 1.0


def quantile_loss(outputs, targets, levels, reduction="none"):
    """Compute the pinball loss of predicted quantiles.

    Parameters
    ----------
    outputs : Tensor of shape (..., n_quantiles)
        Predicted quantiles of each target.
    targets : Tensor of shape (...)
        The targets.
    levels : Tensor of shape (n_quantiles,)
        Which quantiles they are, in (0, 1).
    reduction : {"none", "mean"}, default="none"
        Whether to average over the targets.

    Returns
    -------
    Tensor of shape (...) or ()
        Averaged over the quantiles.

    References
    ----------
    Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978.
    """
    error = targets.unsqueeze(-1) - outputs
    losses = torch.maximum(levels * error, (levels - 1) * error).mean(dim=-1)
    return losses.mean() if reduction == "mean" else losses


def bernoulli_loss(outputs, targets, reduction="none"):
    """Compute the negative log-likelihood of frames of zeros and ones.

    Parameters
    ----------
    outputs : Tensor of shape (N, n_features)
        Logits of the ones.
    targets : Tensor of shape (N, n_features)
        The frames.
    reduction : {"none", "mean"}, default="none"
        Whether to average over the frames.

    Returns
    -------
    Tensor of shape (N,) or ()
        Summed over the features of a frame.
    """
    losses = F.binary_cross_entropy_with_logits(
        outputs, targets.to(outputs.dtype), reduction="none"
    ).sum(dim=-1)
    return losses.mean() if reduction == "mean" else losses


LOSSES = {
    "log_loss": F.cross_entropy,
    "bernoulli": bernoulli_loss,
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
    loss : {"log_loss", "squared_error", "absolute_error", "huber", "quantile", \
"bernoulli"}
        ``log_loss`` compares logits with class codes, ``bernoulli`` with frames
        of zeros and ones, the others compare numbers.
    may_miss : bool, default=False
        Whether targets may be missing: the code -1, or NaN.
    class_weights : Tensor of shape (n_classes,), default=None
        What a step counts by its class, times its sequence's weight.
    levels : Tensor of shape (n_quantiles,), default=None
        The quantiles of ``quantile``: outputs are those of the first target,
        then those of the second, ...
    label_smoothing : float, default=0.0
        Share of each class code's probability that ``log_loss`` spreads evenly
        over all classes, in training.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import WeightedLoss
    >>> loss = WeightedLoss("absolute_error")
    >>> outputs, targets = torch.zeros(2, 1), torch.tensor([[1.0], [3.0]])
    >>> loss(outputs, (targets, torch.tensor([2.0, 0.0])))
    tensor(1.)
    """

    def __init__(
        self,
        loss,
        may_miss=False,
        class_weights=None,
        levels=None,
        label_smoothing=0.0,
    ):
        super().__init__()
        self.name = loss
        self.label_smoothing = label_smoothing
        self.loss = self._quantile_loss if loss == "quantile" else LOSSES[loss]
        self.plain_loss = self.loss
        if label_smoothing:
            self.loss = partial(F.cross_entropy, label_smoothing=label_smoothing)
        self.of_frames = loss == "bernoulli"
        self.may_miss = may_miss
        self.register_buffer("class_weights", class_weights)
        self.register_buffer("levels", levels)

    def forward(self, outputs, targets_and_weights):
        """Compute the weighted mean loss.

        Parameters
        ----------
        outputs : Tensor of shape (N, n_outputs) or (N, T, n_outputs)
            Of the network: for ``quantile``, n_quantiles of every target.
        targets_and_weights : tuple of Tensor
            Targets, and weights of shape (N,) or None. Weights have mean 1
            over the training data, not over the batch.

        Returns
        -------
        Tensor
            A scalar; the mean over targets that are not missing.
        """
        targets, weights = targets_and_weights
        if self.levels is not None:
            outputs = outputs.unflatten(-1, (-1, len(self.levels)))
        if self.may_miss:
            outputs, targets, weights = self._select(outputs, targets, weights)
        if weights is None:
            return self.loss(outputs, targets, reduction="mean")
        losses = self.loss(outputs, targets, reduction="none")
        if losses.ndim > 1:
            losses = losses.mean(dim=1)
        return torch.dot(losses, weights) / len(weights)

    def of_steps(self, outputs, targets):
        """Compute the loss of every step by itself, without weights.

        Parameters
        ----------
        outputs : Tensor of shape (N, T, n_outputs)
            Of the network.
        targets : Tensor of shape (N, T) or (N, T, n_features)
            Class codes or frames; -1 where there is none.

        Returns
        -------
        Tensor of shape (N, T)
            Without label smoothing; 0 where there is no target.
        """
        exists = self.exists(targets)
        losses = outputs.new_zeros(exists.shape)
        losses[exists] = self.plain_loss(
            outputs[exists], targets[exists], reduction="none"
        )
        return losses

    def exists(self, targets):
        """Tell which targets exist: a frame does or does not as a whole.

        Parameters
        ----------
        targets : Tensor
            As for ``forward``.

        Returns
        -------
        Tensor of bool
            Of the shape of `targets`; of frames without the last dimension.
        """
        return has_target(targets[..., 0] if self.of_frames else targets)

    def count(self, targets):
        """Count the targets of a batch.

        Parameters
        ----------
        targets : Tensor
            As for ``forward``.

        Returns
        -------
        int
            Those that exist.
        """
        return int(self.exists(targets).sum()) if self.may_miss else len(targets)

    def _quantile_loss(self, outputs, targets, reduction):
        return quantile_loss(outputs, targets, self.levels, reduction)

    def _select(self, outputs, targets, weights):
        """Keep the steps, or the single numbers, that have a target."""
        exists = self.exists(targets)
        if weights is not None:
            across = weights.reshape(-1, *[1] * (exists.ndim - 1))
            weights = across.expand_as(exists)[exists]
        targets = targets[exists]
        if self.class_weights is not None:
            by_class = self.class_weights[targets]
            weights = by_class if weights is None else weights * by_class
        return outputs[exists], targets, weights
