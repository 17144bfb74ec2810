"""Which networks compiled loops compute as a whole."""

from torch import nn

from sklearn_rnn.kernels import PlainLoops
from sklearn_rnn.modules import LastPooling, SequenceNetwork


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
    if not isinstance(network, SequenceNetwork) or network.core.kernel != "numba":
        return False
    spec = network.spec
    weights = [w for layer in network.core.rnn.all_weights for w in layer]
    return (
        not (spec.bidirectional or spec.residual or spec.layer_norm)
        and type(network.pooling) in (LastPooling, type(None))
        and type(network.head) is nn.Linear
        and all(_is_plain_weight(w) for w in (*weights, *network.head.parameters()))
        and not any(_is_listened_to(module) for module in network.modules())
    )


def _is_plain_weight(weight):
    return type(weight) is nn.Parameter and weight.is_contiguous()


def _is_listened_to(module):
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


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
    hides = spec.input_dropout and network.training
    if spec.n_tokens is None and spec.subsampling == 1 and not hides:
        scaling = network.center.numpy(), network.factor.numpy()
        loops.scale(x.transpose(0, 1), *scaling)
        return None
    steps = network.steps(x)
    loops.take(steps.detach())
    return steps
