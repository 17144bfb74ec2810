"""The gradient of a plain network by compiled loops alone.

torch's bookkeeping of a gradient costs more than a small network's arithmetic. Where
a network is nothing but recurrent layers, the last state or every state, and a linear
head, each step back is known beforehand.
"""

import torch
from torch import nn

from sklearn_rnn.kernels import PlainLoops
from sklearn_rnn.modules import LastPooling, SequenceNetwork
from sklearn_rnn.training._losses import WeightedLoss


def plain_gradient(network, criterion):
    """Return what computes the gradient of a plain network, if it is one.

    Parameters
    ----------
    network : torch.nn.Module
        Any.
    criterion : torch.nn.Module
        Any.

    Returns
    -------
    PlainGradient or None
        For one direction and the compiled kernel, layers without dropout between
        them, norms, residual connections or dropped weights, and nobody who listens
        to torch's bookkeeping.
    """
    if not isinstance(network, SequenceNetwork) or network.core.kernel != "numba":
        return None
    spec = network.spec
    has_plain_layers = not (
        spec.bidirectional or spec.residual or spec.layer_norm or spec.weight_drop
    )
    pools_plainly = type(network.pooling) in (LastPooling, type(None))
    has_plain_head = type(network.head) is nn.Linear and not spec.dropout
    weights = [*network.core.rnn.all_weights, list(network.head.parameters())]
    is_plain = (
        has_plain_layers
        and pools_plainly
        and has_plain_head
        and all(
            type(w) is nn.Parameter and w.requires_grad for ws in weights for w in ws
        )
        and not any(_is_listened_to(module) for module in network.modules())
    )
    return PlainGradient(network, criterion) if is_plain else None


def _is_listened_to(module):
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


class PlainGradient:
    """The gradient of a plain network, batch by batch.

    Parameters
    ----------
    network : SequenceNetwork
        A plain one. Its weights have gradients, contiguous, which are added to.
    criterion : WeightedLoss
        The loss; torch differentiates it where it is not a simple one.
    """

    def __init__(self, network, criterion):
        self.network = network
        self.criterion = criterion
        core, head = network.core, network.head
        self._loops = PlainLoops(
            core.cell,
            core.rnn.all_weights,
            head.weight,
            head.bias,
            network.pooling is None,
        )
        spec = network.spec
        self._reads_numbers = spec.n_tokens is None and spec.subsampling == 1
        self._reads_numbers &= not spec.input_dropout
        self._scaling = network.center.numpy(), network.factor.numpy()
        self._simple = type(criterion) is WeightedLoss and criterion.simple

    def __call__(self, x, lengths, targets_and_weights, share):
        """Add a batch's gradient to the weights'.

        Parameters
        ----------
        x : Tensor of shape (N, T, n_features)
            A batch.
        lengths : LongTensor of shape (N,) or None
            Steps of each sequence.
        targets_and_weights : tuple of Tensor
            As the loss takes them.
        share : float
            What the gradient is multiplied with.

        Returns
        -------
        loss : float
            Before it is multiplied.
        outputs : Tensor
            Of the network, without history.
        """
        loops, steps = self._loops, None
        if self._reads_numbers:
            loops.scale(x.transpose(0, 1), *self._scaling)
        else:
            steps = self.network.steps(x)
            loops.take(steps.detach())
        outputs = loops.forward(self.network.n_read(lengths))
        if self._simple and self.network.pooling is not None:
            loss = loops.simple_loss(self._simple, *targets_and_weights, share)
        else:
            loss = self._loss_by_torch(outputs, targets_and_weights, share)
        by_steps = steps is not None and steps.requires_grad
        d_steps = loops.backward(with_x=by_steps)
        if by_steps:
            steps.backward(d_steps)
        return loss, self._batch_first(outputs).clone()

    def _batch_first(self, outputs):
        return outputs if self.network.pooling is not None else outputs.transpose(0, 1)

    def _loss_by_torch(self, outputs, targets_and_weights, share):
        outputs = outputs.detach().requires_grad_()
        loss = self.criterion(self._batch_first(outputs), targets_and_weights)
        (d_outputs,) = torch.autograd.grad(
            loss if share == 1 else loss * share, outputs
        )
        self._loops.take_slopes(d_outputs)
        return loss.item()
