"""Which networks compiled loops compute as a whole."""

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from sklearn_rnn.kernels import PlainLoops
from sklearn_rnn.modules import LastPooling, Linear, SequenceNetwork


def is_plain(network):
    """Tell whether compiled loops compute a network as a whole.

    Parameters
    ----------
    network : torch.nn.Module
        Any.

    Returns
    -------
    bool
        True for the compiled kernel, one direction, layers without norms and residual
        connections, the last state or all of them, a linear head, and nobody who
        listens to torch's modules. In training, dropout is to be looked at as well.
    """
    if not isinstance(network, SequenceNetwork) or network.core.kernel != "compiled":
        return False
    spec = network.spec
    return (
        not (spec.bidirectional or spec.residual or spec.layer_norm)
        and type(network.pooling) in (LastPooling, type(None))
        and type(network.head) is Linear
        and _has_plain_weights(network)
        and _has_plain_scaling(network)
        and not any(_is_listened_to(module) for module in network.modules())
        and not any(_module_hooks_of_all())
    )


def _has_plain_weights(network):
    """Tell whether weights are as the network was built with: nobody changed them."""
    core, head = network.core.rnn, network.head
    n_units = core.hidden_size
    n_sums = len(core.weight_hh_l0)
    expected, found = [], []
    for k, layer in enumerate(core.all_weights):
        n_inputs = core.input_size if k == 0 else n_units
        expected += [(n_sums, n_inputs), (n_sums, n_units), (n_sums,), (n_sums,)]
        found += layer
    n_outputs = network.spec.n_outputs
    expected += [(n_outputs, n_units), (n_outputs,)]
    found += [head.weight, head.bias]
    dtype = head.weight.dtype
    return dtype in (torch.float32, torch.float64) and all(
        type(weight) is nn.Parameter
        and tuple(weight.shape) == shape
        and weight.dtype == dtype
        and weight.device.type == "cpu"
        and weight.is_contiguous()
        and not weight._backward_hooks
        and not weight._post_accumulate_grad_hooks
        for weight, shape in zip(found, expected, strict=True)
    )


def _has_plain_scaling(network):
    """Return whether inputs are scaled by what the network was built with."""
    shape, dtype = (network.spec.n_features,), torch.float64
    return all(
        tuple(buffer.shape) == shape
        and buffer.dtype == dtype
        and buffer.device.type == "cpu"
        for buffer in (network.center, network.factor)
    )


def _is_listened_to(module):
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _module_hooks_of_all():
    """Return torch's hooks that hear every module."""
    return (
        torch_module._global_forward_hooks,
        torch_module._global_forward_pre_hooks,
        torch_module._global_backward_hooks,
        torch_module._global_backward_pre_hooks,
    )


def hides_states(network):
    """Tell whether dropout hides states or weights of a network in training.

    Parameters
    ----------
    network : SequenceNetwork
        Any.

    Returns
    -------
    bool
        Dropout of inputs does not count.
    """
    core = network.core
    dropouts = (network.dropout, *core.dropout, *core.weight_drop.values())
    return any(dropout.p > 0 for dropout in dropouts)


def loops_of(network, *, learns):
    """Return the compiled loops of a plain network.

    Parameters
    ----------
    network : SequenceNetwork
        A plain one.
    learns : bool
        Whether its weights have gradients that are to be added to.

    Returns
    -------
    PlainLoops
        For the weights where they lie now.
    """
    core, head = network.core, network.head
    return PlainLoops(
        core.cell,
        core.rnn.all_weights,
        head.weight,
        head.bias,
        each=network.pooling is None,
        learns=learns,
        with_x=learns and network.spec.n_tokens is not None,
    )


def take_batch(loops, network, x):
    """Hand a batch to the loops as the network's core reads it.

    Parameters
    ----------
    loops : PlainLoops
        Those of `network`.
    network : SequenceNetwork
        A plain one.
    x : Tensor of shape (N, T, n_features)
        A batch.

    Returns
    -------
    Tensor of shape (T, N, F) or None
        What the core reads, where the loops did not make it themselves.
    """
    spec = network.spec
    if spec.n_tokens is None and spec.subsampling == 1:
        scaling = network.center.numpy(), network.factor.numpy()
        scaled = loops.scale(x.transpose(0, 1), *scaling)
        hidden = network.input_dropout(scaled)
        if hidden is not scaled:
            loops.take(hidden)
        return None
    steps = network.steps(x)
    loops.take(steps.detach())
    return steps
