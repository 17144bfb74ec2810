"""The gradient of a plain network by compiled loops alone.

torch's bookkeeping of a gradient costs more than a small network's arithmetic. Where
a network is nothing but recurrent layers, the last state or every state, and a linear
head, each step back is known beforehand.
"""

import torch

from sklearn_rnn.training._losses import WeightedLoss
from sklearn_rnn.training._plain_network import (
    hides_states,
    is_plain,
    loops_of,
    take_batch,
)


def plain_gradient(network, criterion, keeps_outputs=True):
    """Return what computes the gradient of a plain network, if it is one.

    Parameters
    ----------
    network : torch.nn.Module
        Any, in training.
    criterion : torch.nn.Module
        Any.
    keeps_outputs : bool, default=True
        Whether outputs are asked for.

    Returns
    -------
    PlainGradient or None
        None also if some weights are not trained.
    """
    if not is_plain(network) or hides_states(network):
        return None
    weights = (*network.core.rnn.parameters(), *network.head.parameters())
    if not all(weight.requires_grad for weight in weights):
        return None
    return PlainGradient(network, criterion, keeps_outputs)


class PlainGradient:
    """The gradient of a plain network, batch by batch.

    Parameters
    ----------
    network : SequenceNetwork
        A plain one. Its weights have gradients, contiguous, which are added to.
    criterion : WeightedLoss
        The loss; torch differentiates it where it is not a simple one.
    keeps_outputs : bool
        Whether outputs are asked for.
    """

    def __init__(self, network, criterion, keeps_outputs):
        self.keeps_outputs = keeps_outputs
        self.network = network
        self.criterion = criterion
        self._loops = loops_of(network, learns=True)
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
        outputs : Tensor or None
            Of the network, without history, if they are asked for.
        """
        loops = self._loops
        steps = take_batch(loops, self.network, x)
        outputs = loops.forward(self.network.n_read(lengths))
        if self._simple and self.network.pooling is not None:
            loss = loops.simple_loss(self._simple, *targets_and_weights, share)
        else:
            loss = self._loss_by_torch(outputs, targets_and_weights, share)
        d_steps = loops.backward()
        if steps is not None and steps.requires_grad:
            steps.backward(d_steps)
        outputs = self._batch_first(outputs).clone() if self.keeps_outputs else None
        return loss, outputs

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
