"""What whole networks share: scaled inputs, seeded dropout, and how they are built."""

from functools import wraps

import torch
from torch import nn

from sklearn_rnn.kernels import CounterGenerator
from sklearn_rnn.modules._core import RecurrentCore
from sklearn_rnn.modules._dropout import HeldDropout
from sklearn_rnn.modules._initialize import initialize


def in_mixed_precision(method):
    """Let a network's method train in bfloat16 where the network is `mixed`.

    Parameters
    ----------
    method : callable
        Of a `WholeNetwork`.

    Returns
    -------
    callable
        The same; a tensor that it returns is of float32 if it would be of bfloat16.
    """

    @wraps(method)
    def compute(network, *args, **kwargs):
        if not (network.mixed and network.training):
            return method(network, *args, **kwargs)
        device = network.center.device.type
        # No cache: what was cast while no gradient was asked for would be kept.
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            outputs = method(network, *args, **kwargs)
        if isinstance(outputs, torch.Tensor):
            return outputs.to(network.head.bias.dtype)
        return outputs

    return compute


class WholeNetwork(nn.Module):
    """Base of the networks that an estimator trains.

    Parameters
    ----------
    spec : NetworkSpec or Seq2SeqSpec
        Its shape.

    Attributes
    ----------
    center, factor : Tensor of shape (n_features,)
        Numbers enter as ``(x - center) * factor``.
    mixed : bool
        Whether the network computes in bfloat16 while it trains, where that is
        precise enough; its weights and outputs stay what they are. Set from outside.
    dropout_generator : CounterGenerator, torch.Generator or None
        Source of every dropout mask; None is torch's global one.
    """

    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        self.mixed = False
        self.dropout_generator = None
        self.register_buffer("center", torch.zeros(spec.n_features, dtype=torch.double))
        self.register_buffer("factor", torch.ones(spec.n_features, dtype=torch.double))

    def set_input_scaling(self, center, factor):
        """Let inputs enter as ``(x - center) * factor``.

        Parameters
        ----------
        center, factor : array-like of shape (n_features,)
            In the units of the steps.
        """
        self.center.copy_(torch.as_tensor(center))
        self.factor.copy_(torch.as_tensor(factor))

    def use_kernel(self, kernel):
        """Choose what computes the recurrence of every layer.

        Parameters
        ----------
        kernel : {"torch", "compiled"}
            As ``sklearn_rnn.kernels.recurrence`` takes it.
        """
        for module in self.modules():
            if isinstance(module, RecurrentCore):
                module.kernel = kernel

    def seed_dropout(self, generator):
        """Draw every dropout mask from `generator` from now on.

        Sites of a `CounterGenerator` are counted from 0 in the order of
        ``modules()``, over all `HeldDropout` modules, those with ``p = 0`` included.

        Parameters
        ----------
        generator : CounterGenerator or torch.Generator
            The latter on the network's device.
        """
        self.dropout_generator = generator
        dropouts = [m for m in self.modules() if isinstance(m, HeldDropout)]
        for site, dropout in enumerate(dropouts):
            dropout.generator, dropout.site = generator, site

    def advance_dropout(self, n_updates=1):
        """Let the next masks be those of a later update.

        Parameters
        ----------
        n_updates : int, default=1
            Updates from this one to that.
        """
        if isinstance(self.dropout_generator, CounterGenerator):
            self.dropout_generator.advance(n_updates)


def build(network_class, spec, dtype, generator=None):
    """Build a network without touching any global random state.

    Parameters
    ----------
    network_class : type
        A `WholeNetwork`.
    spec : NetworkSpec or Seq2SeqSpec
        Its shape.
    dtype : torch.dtype
        Of the weights.
    generator : torch.Generator, default=None
        Source of the initial weights, on the CPU; None leaves them undefined,
        for a network whose weights are about to be loaded.

    Returns
    -------
    WholeNetwork
        On the CPU.
    """
    # torch's modules draw from the global generator when built on a real device.
    with torch.device("meta"):
        network = network_class(spec)
    _allocate(network, dtype)
    network.set_input_scaling(torch.zeros(spec.n_features), torch.ones(spec.n_features))
    if generator is not None:
        initialize(network, generator)
    return network


def _allocate(network, dtype):
    """Give a network on the meta device undefined weights and buffers on the CPU.

    ``to_empty`` does that as well, and imports torch's compiler for it.
    """
    weights = {}  # modules may share one
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight not in weights:
                memory = torch.empty(weight.shape, dtype=dtype, device="cpu")
                weights[weight] = nn.Parameter(memory, weight.requires_grad)
            setattr(module, name, weights[weight])
        for name, buffer in list(module.named_buffers(recurse=False)):
            memory = torch.empty(buffer.shape, dtype=buffer.dtype, device="cpu")
            setattr(module, name, memory)
