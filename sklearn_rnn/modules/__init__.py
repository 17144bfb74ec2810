"""Torch modules: one concept a file."""

from sklearn_rnn.modules._core import RecurrentCore, reverse_steps
from sklearn_rnn.modules._dropout import (
    HeldDropout,
    InputDropout,
    LockedDropout,
    WeightDrop,
)
from sklearn_rnn.modules._embedding import TiedHead, TokenDropout, TokenEmbedding
from sklearn_rnn.modules._initialize import initialize
from sklearn_rnn.modules._network import NetworkSpec, SequenceNetwork, build_network
from sklearn_rnn.modules._pooling import (
    POOLINGS,
    AttentionPooling,
    LastPooling,
    MaxPooling,
    MeanPooling,
    Pooling,
    valid_steps,
)

__all__ = [
    "AttentionPooling",
    "HeldDropout",
    "InputDropout",
    "LastPooling",
    "LockedDropout",
    "MaxPooling",
    "MeanPooling",
    "NetworkSpec",
    "POOLINGS",
    "Pooling",
    "RecurrentCore",
    "SequenceNetwork",
    "TiedHead",
    "TokenDropout",
    "TokenEmbedding",
    "WeightDrop",
    "build_network",
    "initialize",
    "reverse_steps",
    "valid_steps",
]
