"""Losses that take sample weights."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_rnn.training._likelihoods import LIKELIHOODS, likelihood_loss

# The error, in standard deviations of the target, from which huber is linear.
HUBER_DELTA = 1.0
# The class code of a step that has no target; among real values it is NaN.
NO_CODE = -1
# The class of the blank in CTC; symbol i of the vocabulary is class i + 1.
BLANK = 0


def quantile_loss(outputs, targets, levels, reduction="none"):
    """Compute the pinball loss of predicted quantiles (..., n_quantiles).

    Of targets (...) and levels (n_quantiles,) in (0, 1); averaged over the quantiles,
    and with "mean" over the targets.

    References
    ----------
    Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978.
    """
    error = targets.unsqueeze(-1) - outputs
    losses = torch.maximum(levels * error, (levels - 1) * error).mean(dim=-1)
    return losses.mean() if reduction == "mean" else losses


def bernoulli_loss(outputs, targets, reduction="none"):
    """Compute the negative log-likelihood of frames of zeros and ones, given logits.

    Summed over the features of a frame; "mean" averages over the frames.
    """
    losses = F.binary_cross_entropy_with_logits(
        outputs, targets.to(outputs.dtype), reduction="none"
    ).sum(dim=-1)
    return losses.mean() if reduction == "mean" else losses


# By name, the function of (outputs, targets, reduction="none"). A loss for regressors
# is in ELEMENTWISE_LOSSES of estimators/closed_form, too, in NumPy, to weigh forecasts
# by; one that compiled kernels have is in COMPILED_LOSSES of kernels. Likelihoods are
# in LIKELIHOODS.
LOSSES: dict[str, Callable] = {
    "log_loss": F.cross_entropy,
    "bernoulli": bernoulli_loss,
    "squared_error": F.mse_loss,
    "absolute_error": F.l1_loss,
    "huber": partial(F.huber_loss, delta=HUBER_DELTA),
}


def has_target(targets):
    """Return which targets exist: not the code -1, not NaN."""
    return ~targets.isnan() if targets.is_floating_point() else targets >= 0


def call_loss(outputs, targets, function, reduction="none"):
    """Compute the loss of a user's function, which returns that of each target."""
    losses = function(outputs, targets)
    shape = getattr(losses, "shape", None)
    if not isinstance(losses, torch.Tensor) or shape != targets.shape:
        found = f"a tensor of shape {tuple(shape)}" if shape is not None else losses
        raise ValueError(
            "loss=function must return a tensor with the loss of each target, of the "
            f"shape of outputs and targets, {tuple(targets.shape)}, got {found}: leave "
            "out sums and means."
        )
    return losses.mean() if reduction == "mean" else losses


class WeightedLoss(nn.Module):
    """The mean loss of a batch, with sample weights.

    Parameters
    ----------
    loss : {"log_loss", "squared_error", "absolute_error", "huber", "quantile", \
"bernoulli"}, a name in `LIKELIHOODS`, or callable
        ``log_loss`` compares logits with class codes, ``bernoulli`` with frames
        of zeros and ones, the others compare real values. A callable returns the
        loss of each target, given outputs and targets.
    may_miss : bool, default=False
        Whether targets may be missing: the code -1, or NaN.
    class_weights : Tensor of shape (n_classes,), default=None
        Weight of a step by its class, times its sequence's weight.
    levels : Tensor of shape (n_quantiles,), default=None
        The quantiles of ``quantile``: outputs are those of the first target,
        then those of the second, ...
    label_smoothing : float, default=0.0
        Fraction of each class code's probability that ``log_loss`` spreads evenly
        over all classes, in training.
    target_weights : Tensor of shape (n_targets,), default=None
        Weight of each real value of a target, times its sequence's weight.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import WeightedLoss
    >>> loss = WeightedLoss("absolute_error")
    >>> outputs, targets = torch.zeros(2, 1), torch.tensor([[1.0], [3.0]])
    >>> loss(outputs, (targets, torch.tensor([2.0, 0.0])))
    tensor(1.)
    """

    class_weights: torch.Tensor | None
    levels: torch.Tensor | None
    target_weights: torch.Tensor | None

    def __init__(
        self,
        loss,
        may_miss=False,
        class_weights=None,
        levels=None,
        label_smoothing=0.0,
        target_weights=None,
    ):
        super().__init__()
        self.name = loss if isinstance(loss, str) else "callable"
        self.label_smoothing = label_smoothing
        # Outputs per target, on an axis of their own; None for one without an axis.
        self.n_per_target = None if levels is None else len(levels)
        self.loss: Callable
        if self.name in LIKELIHOODS:
            likelihood = LIKELIHOODS[self.name]
            self.n_per_target = likelihood.n_parameters
            self.loss = partial(likelihood_loss, likelihood=likelihood)
        elif self.name == "callable":
            self.loss = partial(call_loss, function=loss)
        else:
            is_quantile = loss == "quantile"
            self.loss = self._quantile_loss if is_quantile else LOSSES[loss]
        self.unsmoothed_loss = self.loss
        if label_smoothing:
            self.loss = partial(F.cross_entropy, label_smoothing=label_smoothing)
        self.of_frames = loss == "bernoulli"
        self.may_miss = may_miss
        self.register_buffer("class_weights", class_weights)
        self.register_buffer("levels", levels)
        self.register_buffer("target_weights", target_weights)

    def forward(self, outputs, targets_and_weights, head=None):
        """Compute the weighted mean loss.

        Parameters
        ----------
        outputs : Tensor of shape (N, n_outputs) or (N, T, n_outputs)
            Of the network: for ``quantile``, n_quantiles per target, for likelihoods
            a distribution's parameters.
        targets_and_weights : tuple of Tensor
            Targets, and weights of shape (N,) or None. Weights have mean 1
            over the training data, not over the batch.
        head : AdaptiveSoftmax, default=None
            Computes ``log_loss`` of what the network has in place of outputs.

        Returns
        -------
        Tensor
            A scalar; the mean over targets that are not missing.
        """
        targets, weights = targets_and_weights
        if self.n_per_target is not None:
            outputs = outputs.unflatten(-1, (-1, self.n_per_target))
        if self.may_miss:
            outputs, targets, weights = self._drop_missing(outputs, targets, weights)
        loss = self.loss if head is None else head.loss
        is_weighted = self.target_weights is not None and targets.ndim > 1
        if weights is None and not is_weighted:
            return loss(outputs, targets, reduction="mean")
        losses = loss(outputs, targets, reduction="none")
        if is_weighted:
            losses = losses * self.target_weights
        if losses.ndim > 1:
            losses = losses.mean(dim=1)
        if weights is None:
            return losses.mean()
        return torch.dot(losses, weights) / len(weights)

    def point(self, outputs):
        """Return one value per target: of quantiles the one next to 0.5, or the mean.

        Of outputs (..., n_outputs), as targets are compared with them.
        """
        if self.n_per_target is None:
            return outputs
        outputs = outputs.unflatten(-1, (-1, self.n_per_target))
        if self.levels is not None:
            return outputs[..., int((self.levels - 0.5).abs().argmin())]
        return LIKELIHOODS[self.name].parameters(outputs)[..., 0]

    def of_steps(self, outputs, targets, head=None):
        """Compute the loss of each step (N, T), without weights and label smoothing.

        0 where the target, a class code or a frame, is missing.
        """
        exists = self.exists(targets)
        losses = outputs.new_zeros(exists.shape)
        loss = self.unsmoothed_loss if head is None else head.loss
        losses[exists] = loss(outputs[exists], targets[exists], reduction="none")
        return losses

    def exists(self, targets):
        """Return which targets exist, where a frame (the last dimension) is one."""
        return has_target(targets[..., 0] if self.of_frames else targets)

    def count(self, targets):
        """Return the number of targets of a batch that exist."""
        return int(self.exists(targets).sum()) if self.may_miss else len(targets)

    def _quantile_loss(self, outputs, targets, reduction):
        return quantile_loss(outputs, targets, self.levels, reduction)

    def _drop_missing(self, outputs, targets, weights):
        """Flatten outputs, targets and weights to the targets that exist."""
        exists = self.exists(targets)
        if weights is not None:
            weights = weights.reshape(-1, *[1] * (exists.ndim - 1))
            weights = weights.expand_as(exists)[exists]
        if self.target_weights is not None:
            by_target = self.target_weights.expand_as(exists)[exists]
            weights = by_target if weights is None else weights * by_target
        targets = targets[exists]
        if self.class_weights is not None:
            by_class = self.class_weights[targets]
            weights = by_class if weights is None else weights * by_class
        return outputs[exists], targets, weights


class CTCLoss(nn.Module):
    """The mean negative log-likelihood of transcripts (CTC), per symbol.

    The likelihood of a transcript is that of all alignments of its symbols to the
    frames, with blanks between them. The end of a transcript counts as a symbol.

    References
    ----------
    Graves et al., "Connectionist temporal classification: labelling unsegmented
    sequence data with recurrent neural networks", ICML 2006.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import CTCLoss, Transcripts
    >>> transcripts = Transcripts(*map(torch.tensor, ([[1]], [1], [1])))
    >>> CTCLoss()(torch.zeros(1, 1, 4), (transcripts, None))  # log(4) / 2
    tensor(0.6931)
    """

    def forward(self, outputs, transcripts_and_weights):
        """Compute the weighted mean loss in nats per symbol, a scalar.

        Parameters
        ----------
        outputs : Tensor of shape (N, T, 1 + n_symbols)
            Logits, the blank's first.
        transcripts_and_weights : tuple
            `Transcripts`, and weights of shape (N,) or None.

        Returns
        -------
        Tensor
            A scalar.
        """
        transcripts, weights = transcripts_and_weights
        losses = self.of_sequences(outputs, transcripts)
        if weights is not None:
            losses = losses * weights
        return losses.sum() / self.count(transcripts)

    def of_sequences(self, outputs, transcripts):
        """Compute the loss of each sequence, (N,), in nats.

        Infinite where a transcript has too many symbols for its frames.
        """
        # In float32 the gradient of 3000 frames is off by 0.6 %.
        return F.ctc_loss(
            outputs.double().log_softmax(dim=2).transpose(0, 1),
            transcripts.classes,
            transcripts.n_frames,
            transcripts.n_symbols,
            blank=BLANK,
            reduction="none",
        ).to(outputs.dtype)

    def count(self, transcripts):
        """Return the number of symbols of a batch, with the ends of transcripts."""
        return int(transcripts.n_symbols.sum()) + len(transcripts.n_symbols)
