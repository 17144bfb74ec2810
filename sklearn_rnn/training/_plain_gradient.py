"""The gradient of a plain network, written out.

torch's bookkeeping of a gradient costs more than a small network's arithmetic. Where
a network is nothing but recurrent layers, the last state or every state, and a linear
head, each step back is known beforehand; only the loss is left to torch.
"""

import torch
from torch import nn

from sklearn_rnn.kernels import fused_backward, fused_forward
from sklearn_rnn.modules import LastPooling, SequenceNetwork


def is_plain(network):
    """Tell whether a network's gradient is written out here.

    Parameters
    ----------
    network : torch.nn.Module
        Any.

    Returns
    -------
    bool
        True for one direction, layers without dropout between them, norms, residual
        connections or dropped weights, the compiled kernel, and nobody who listens
        to torch's bookkeeping.
    """
    if not isinstance(network, SequenceNetwork):
        return False
    core, spec = network.core, network.spec
    pooled_by = type(network.pooling)
    has_plain_layers = not (
        spec.bidirectional or spec.residual or spec.layer_norm or spec.weight_drop
    )
    has_plain_head = type(network.head) is nn.Linear and not spec.dropout
    weights = [*core.rnn.all_weights, list(network.head.parameters())]
    return (
        core.kernel == "numba"
        and pooled_by in (LastPooling, type(None))
        and has_plain_layers
        and has_plain_head
        and all(
            type(w) is nn.Parameter and w.requires_grad for ws in weights for w in ws
        )
        and not any(_is_listened_to(module) for module in network.modules())
    )


def _is_listened_to(module):
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def plain_gradient(network, x, lengths, loss_of):
    """Add the gradient of a plain network to its weights'.

    Parameters
    ----------
    network : SequenceNetwork
        For which `is_plain` is true.
    x : Tensor of shape (N, T, n_features)
        A batch.
    lengths : LongTensor of shape (N,) or None
        Steps of each sequence.
    loss_of : callable
        From outputs to the loss, which torch differentiates.

    Returns
    -------
    Tensor
        The outputs, without history.
    """
    layers, head = network.core.rnn.all_weights, network.head
    steps, lengths = network.steps(x), network.n_read(lengths)
    with torch.no_grad():
        runs, below = [], steps
        for weights in layers:
            runs.append(fused_forward(network.core.cell, below, weights, None, lengths))
            below = runs[-1].outputs
        is_pooled = network.pooling is not None
        read = runs[-1].last[0][0] if is_pooled else below
        outputs = torch.nn.functional.linear(read, head.weight, head.bias)
    outputs.requires_grad_()
    loss_of(outputs if is_pooled else outputs.transpose(0, 1)).backward()
    with torch.no_grad():
        d_outputs, width = outputs.grad, read.shape[-1]
        flat = d_outputs.reshape(-1, d_outputs.shape[-1])
        _gradient_of(head.weight).addmm_(flat.t(), read.reshape(-1, width))
        _gradient_of(head.bias).add_(flat.sum(0))
        d_read = (flat @ head.weight).view(read.shape)
        d_states, d_last = (None, d_read[None]) if is_pooled else (d_read, None)
        for k in reversed(range(len(layers))):
            with_x = k > 0 or steps.requires_grad
            into = [_gradient_of(weight) for weight in layers[k]]
            found = fused_backward(runs[k], d_states, (d_last, None), with_x, into)
            d_states, d_last = found.x, None
    if steps.requires_grad:
        steps.backward(d_states)
    outputs = outputs.detach()
    return outputs if is_pooled else outputs.transpose(0, 1)


def _gradient_of(weight):
    """Return a weight's gradient, which begins with zeros."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad
