"""Shapes of a network's weights, without their memory."""

import torch

from sklearn_rnn.modules._network import NetworkSpec, SequenceNetwork
from sklearn_rnn.modules._seq2seq import Seq2SeqNetwork, Seq2SeqSpec

NETWORKS = {NetworkSpec: SequenceNetwork, Seq2SeqSpec: Seq2SeqNetwork}


def weight_shapes(spec):
    """Return the shape of each weight and buffer of the network of a spec, by name.

    Examples
    --------
    >>> from sklearn_rnn.modules import NetworkSpec, weight_shapes
    >>> spec = NetworkSpec("rnn", n_features=10**9, hidden_size=10**6, n_outputs=3)
    >>> weight_shapes(spec)["head.weight"]
    (3, 1000000)
    """
    with torch.device("meta"):
        network = NETWORKS[type(spec)](spec)
    return {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
