"""Torch modules: networks and their parts."""

from sklearn_rnn.modules._adaptive import AdaptiveSoftmax, choose_cutoffs
from sklearn_rnn.modules._attention import Attention
from sklearn_rnn.modules._automata import (
    Automaton,
    fit_ngram,
    word_list_automaton,
)
from sklearn_rnn.modules._beam_search import Hypothesis, beam_search
from sklearn_rnn.modules._categories import (
    CategoryEmbedding,
    embedding_size,
    is_plain_embedding,
)
from sklearn_rnn.modules._convolutions import GRID as CONVOLUTION_GRID
from sklearn_rnn.modules._convolutions import (
    KERNEL_SIZE,
    ConvolutionFeatures,
    RidgeScores,
)
from sklearn_rnn.modules._convolutions import LARGEST as LARGEST_CONVOLVED
from sklearn_rnn.modules._ctc_search import (
    Transcript,
    ctc_log_probability,
    greedy_paths,
    prefix_beam_search,
)
from sklearn_rnn.modules._embedding import (
    TiedHead,
    TokenDropout,
    TokenEmbedding,
    has_gradient_hooks,
)
from sklearn_rnn.modules._layers import (
    POOLINGS,
    AttentionPooling,
    HeldDropout,
    InputDropout,
    LastPooling,
    LockedDropout,
    MaxPooling,
    MeanPooling,
    Pooling,
    RecurrentCore,
    WeightDrop,
    initialize,
    valid_steps,
)
from sklearn_rnn.modules._linear import Linear, linear
from sklearn_rnn.modules._network import (
    NetworkSpec,
    SequenceNetwork,
    build_network,
    join_steps,
    n_joined,
    weight_shapes,
)
from sklearn_rnn.modules._seq2seq import (
    Memory,
    Seq2SeqNetwork,
    Seq2SeqSpec,
    VectorEncoder,
    select_state,
)

__all__ = [
    "AdaptiveSoftmax",
    "Attention",
    "AttentionPooling",
    "Automaton",
    "CONVOLUTION_GRID",
    "CategoryEmbedding",
    "ConvolutionFeatures",
    "HeldDropout",
    "Hypothesis",
    "InputDropout",
    "KERNEL_SIZE",
    "LARGEST_CONVOLVED",
    "LastPooling",
    "Linear",
    "LockedDropout",
    "MaxPooling",
    "MeanPooling",
    "Memory",
    "NetworkSpec",
    "POOLINGS",
    "Pooling",
    "RecurrentCore",
    "RidgeScores",
    "Seq2SeqNetwork",
    "Seq2SeqSpec",
    "SequenceNetwork",
    "TiedHead",
    "TokenDropout",
    "TokenEmbedding",
    "Transcript",
    "VectorEncoder",
    "WeightDrop",
    "beam_search",
    "build_network",
    "choose_cutoffs",
    "ctc_log_probability",
    "embedding_size",
    "fit_ngram",
    "greedy_paths",
    "has_gradient_hooks",
    "initialize",
    "is_plain_embedding",
    "join_steps",
    "linear",
    "n_joined",
    "prefix_beam_search",
    "select_state",
    "valid_steps",
    "weight_shapes",
    "word_list_automaton",
]
