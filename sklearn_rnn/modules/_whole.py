"""Base of whole networks: input scaling and seeded dropout."""

from functools import wraps

import torch
from torch import nn

from sklearn_rnn.kernels import CounterGenerator
from sklearn_rnn.modules._core import RecurrentCore
from sklearn_rnn.modules._dropout import HeldDropout


def in_mixed_precision(method):
    """Let a method of a `WholeNetwork` train in bfloat16 where the network is `mixed`.

    A tensor that it returns is cast back to float32.
    """

    @wraps(method)
    def compute(network, *args, **kwargs):
        if not (network.mixed and network.training):
            return method(network, *args, **kwargs)
        device = network.center.device.type
        # No cache: it would keep casts that were made without a gradient.
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            outputs = method(network, *args, **kwargs)
        if isinstance(outputs, torch.Tensor):
            return outputs.to(network.head.bias.dtype)
        return outputs

    return compute


class WholeNetwork(nn.Module):
    """Base of the networks that an estimator trains.

    Attributes
    ----------
    spec : NetworkSpec or Seq2SeqSpec
        Architecture.
    center, factor : Tensor of shape (n_features,)
        Numeric inputs enter as ``(x - center) * factor``.
    mixed : bool
        Whether the network computes in bfloat16 while it trains, where that is
        precise enough; its weights and outputs keep their type. Set from outside.
    dropout_generator : CounterGenerator, torch.Generator or None
        Source of every dropout mask; None is torch's global one.
    """

    center: torch.Tensor
    factor: torch.Tensor

    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        self.mixed = False
        self.dropout_generator = None
        self.register_buffer("center", torch.zeros(spec.n_features, dtype=torch.double))
        self.register_buffer("factor", torch.ones(spec.n_features, dtype=torch.double))

    def forward_for_loss(self, **inputs):
        """Return what a loss reads of a batch: its outputs, computed by no head."""
        return self(**inputs), None

    def set_input_scaling(self, center, factor):
        """Let inputs enter as ``(x - center) * factor``, of shape (n_features,)."""
        self.center.copy_(torch.as_tensor(center))
        self.factor.copy_(torch.as_tensor(factor))

    def use_kernel(self, kernel):
        """Compute the recurrence of every layer by a kernel of `kernels.recurrence`."""
        for module in self.modules():
            if isinstance(module, RecurrentCore):
                module.kernel = kernel

    def seed_dropout(self, generator):
        """Draw every dropout mask from `generator` from now on.

        Sites of a `CounterGenerator` are counted from 0 in the order of ``modules()``,
        over all `HeldDropout` modules, those with ``p = 0`` included; a
        ``torch.Generator`` is on the network's device.
        """
        self.dropout_generator = generator
        dropouts = [m for m in self.modules() if isinstance(m, HeldDropout)]
        for site, dropout in enumerate(dropouts):
            dropout.generator, dropout.site = generator, site

    def advance_dropout(self, n_updates=1):
        """Move on to the masks of a later update."""
        if isinstance(self.dropout_generator, CounterGenerator):
            self.dropout_generator.advance(n_updates)
