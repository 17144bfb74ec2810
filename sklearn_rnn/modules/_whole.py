"""What whole networks share: scaled inputs, seeded dropout, and how they are built."""

import torch
from torch import nn

from sklearn_rnn.modules._core import RecurrentCore
from sklearn_rnn.modules._dropout import HeldDropout
from sklearn_rnn.modules._initialize import initialize


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
    """

    def __init__(self, spec):
        super().__init__()
        self.spec = spec
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
        kernel : {"torch", "numba"}
            As ``sklearn_rnn.kernels.recurrence`` takes it.
        """
        for module in self.modules():
            if isinstance(module, RecurrentCore):
                module.kernel = kernel

    def seed_dropout(self, generator):
        """Draw every dropout mask from `generator` from now on.

        Parameters
        ----------
        generator : torch.Generator
            On the network's device.
        """
        for module in self.modules():
            if isinstance(module, HeldDropout):
                module.generator = generator


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
    for parameter in network.parameters():
        parameter.data = parameter.data.to(dtype)
    network.to_empty(device="cpu")
    network.set_input_scaling(torch.zeros(spec.n_features), torch.ones(spec.n_features))
    if generator is not None:
        initialize(network, generator)
    return network
