"""The whole network: inputs, core, pooling, head."""

from dataclasses import dataclass

import torch
from torch import nn

from sklearn_rnn.modules._core import RecurrentCore
from sklearn_rnn.modules._dropout import Dropout, LockedDropout
from sklearn_rnn.modules._initialize import initialize
from sklearn_rnn.modules._pooling import POOLINGS


@dataclass(frozen=True)
class NetworkSpec:
    """Everything that fixes a network's shape, as plain Python values.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        The recurrent cell.
    n_features : int
        Features a step.
    hidden_size : int
        Units of each layer and direction.
    n_outputs : int
        Outputs of the head.
    n_layers : int, default=1
        Recurrent layers.
    bidirectional : bool, default=False
        Whether the layers read both ways.
    dropout : float, default=0.0
        Share of states dropped between layers and before the head.
    input_dropout : float, default=0.0
        Share of the input features hidden for a whole sequence.
    residual : bool, default=False
        Whether layers from the second on add their input to their output.
    pooling : {"last", "mean", "max", "attention"}, default="last"
        How the states of all steps become one vector.
    n_tokens : int, default=None
        Size of the vocabulary, for sequences of integers; None for numbers.
    embedding_dim : int, default=None
        Width of a token's embedding.

    Examples
    --------
    >>> from sklearn_rnn.modules import NetworkSpec
    >>> NetworkSpec("gru", n_features=2, hidden_size=8, n_outputs=1).pooling
    'last'
    """

    cell: str
    n_features: int
    hidden_size: int
    n_outputs: int
    n_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    input_dropout: float = 0.0
    residual: bool = False
    pooling: str = "last"
    n_tokens: int | None = None
    embedding_dim: int | None = None


class SequenceNetwork(nn.Module):
    """A recurrent network from a batch of sequences to one vector each.

    Parameters
    ----------
    spec : NetworkSpec
        Its shape.

    Attributes
    ----------
    core : RecurrentCore
        The recurrent layers.
    pooling : Pooling
        From states to one vector a sequence.
    head : torch.nn.Linear
        From that vector to the outputs.
    center, factor : Tensor of shape (n_features,)
        Inputs enter the core as ``(x - center) * factor``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import NetworkSpec, SequenceNetwork
    >>> spec = NetworkSpec("gru", n_features=3, hidden_size=5, n_outputs=2)
    >>> network = SequenceNetwork(spec)
    >>> network(torch.zeros(4, 7, 3), lengths=torch.tensor([7, 1, 2, 7])).shape
    torch.Size([4, 2])
    """

    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        width = spec.n_features
        if spec.n_tokens is not None:
            # One row more, for tokens that were not seen in training.
            self.embedding = nn.Embedding(spec.n_tokens + 1, spec.embedding_dim)
            width = spec.embedding_dim
        self.input_dropout = LockedDropout(spec.input_dropout)
        self.core = RecurrentCore(
            spec.cell,
            width,
            spec.hidden_size,
            spec.n_layers,
            spec.bidirectional,
            spec.dropout,
            spec.residual,
        )
        self.pooling = POOLINGS[spec.pooling](self.core.output_size, spec.bidirectional)
        self.dropout = Dropout(spec.dropout)
        self.head = nn.Linear(self.core.output_size, spec.n_outputs)
        self.register_buffer("center", torch.zeros(spec.n_features, dtype=torch.double))
        self.register_buffer("factor", torch.ones(spec.n_features, dtype=torch.double))

    def forward(self, x, lengths=None):
        """Compute the outputs for a padded batch.

        Parameters
        ----------
        x : Tensor of shape (N, T, n_features)
            Steps, or integers of shape (N, T, 1) where the network embeds
            tokens. What stands at padding does not matter, if it is finite.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.

        Returns
        -------
        Tensor of shape (N, n_outputs)
            Logits of a classifier, standardised targets of a regressor.
        """
        states = self.hidden_states(x, lengths)
        return self.head(self.dropout(self.pooling(states, lengths)))

    def hidden_states(self, x, lengths=None):
        """Compute the last layer's hidden state after every step.

        Parameters
        ----------
        x : Tensor of shape (N, T, n_features)
            Steps, as for ``forward``.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.

        Returns
        -------
        Tensor of shape (T, N, width)
            Time first; meaningless after a sequence's end.
        """
        x = x.transpose(0, 1)  # (T, N, F), torch's own order
        if self.spec.n_tokens is not None:
            tokens = x.squeeze(-1).long().clamp(max=self.spec.n_tokens)
            x = self.embedding(tokens)
        else:
            # Centred in double: a large offset would eat float32's digits.
            x = ((x - self.center) * self.factor).to(self.head.weight.dtype)
        return self.core(self.input_dropout(x), lengths)

    def set_input_scaling(self, center, factor):
        """Let inputs enter the core as ``(x - center) * factor``.

        Parameters
        ----------
        center, factor : array-like of shape (n_features,)
            In the units of the steps.
        """
        self.center.copy_(torch.as_tensor(center))
        self.factor.copy_(torch.as_tensor(factor))

    def seed_dropout(self, generator):
        """Draw every dropout mask from `generator` from now on.

        Parameters
        ----------
        generator : torch.Generator
            On the network's device.
        """
        for module in self.modules():
            if isinstance(module, Dropout):
                module.generator = generator


def build_network(spec, dtype, generator=None):
    """Build a network without touching any global random state.

    Parameters
    ----------
    spec : NetworkSpec
        Its shape.
    dtype : torch.dtype
        Of the weights.
    generator : torch.Generator, default=None
        Source of the initial weights, on the CPU; None leaves them undefined,
        for a network whose weights are about to be loaded.

    Returns
    -------
    SequenceNetwork
        On the CPU.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import NetworkSpec, build_network
    >>> spec = NetworkSpec("rnn", n_features=1, hidden_size=2, n_outputs=1)
    >>> network = build_network(spec, torch.float32, torch.Generator().manual_seed(0))
    >>> sum(p.numel() for p in network.parameters())
    13
    """
    # torch's modules draw from the global generator when built on a real device.
    with torch.device("meta"):
        network = SequenceNetwork(spec)
    for parameter in network.parameters():
        parameter.data = parameter.data.to(dtype)
    network.to_empty(device="cpu")
    network.set_input_scaling(torch.zeros(spec.n_features), torch.ones(spec.n_features))
    if generator is not None:
        initialize(network, generator)
    return network
