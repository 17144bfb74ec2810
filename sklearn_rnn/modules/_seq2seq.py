"""The encoder-decoder network of sequence-to-sequence tasks."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import nn

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.kernels import CounterGenerator
from sklearn_rnn.modules._attention import Attention
from sklearn_rnn.modules._embedding import TiedHead, TokenEmbedding
from sklearn_rnn.modules._layers import (
    InputDropout,
    LastPooling,
    LockedDropout,
    RecurrentCore,
)
from sklearn_rnn.modules._linear import Linear
from sklearn_rnn.modules._network import WholeNetwork, in_mixed_precision


class Memory(NamedTuple):
    """What the encoder passes to the decoder.

    Attributes
    ----------
    states : Tensor of shape (T_in, N, state_size)
        The encoder's states, time first.
    keys : Tensor of shape (T_in, N, H), or (1, N, H) without attention
        Keys of the attention; without it, the one context.
    summary : Tensor of shape (N, state_size)
        The encoder's state after each sequence's own last step; of a backward
        direction, at its first step.
    lengths : LongTensor of shape (N,) or None
        Steps of each sequence; None when all have T_in.
    """

    states: torch.Tensor
    keys: torch.Tensor
    summary: torch.Tensor
    lengths: torch.Tensor | None = None

    def select(self, rows):
        """Return the memory of the sequences `rows` (M,), which may repeat."""
        lengths = None if self.lengths is None else self.lengths[rows]
        return Memory(
            self.states[:, rows], self.keys[:, rows], self.summary[rows], lengths
        )


def select_state(state, rows):
    """Return a decoder's state for the sequences `rows` (M,), which may repeat.

    A state has one item per layer, as ``RecurrentCore.run`` returns it, and one more of
    location attention: tuples of tensors (1, N, H).
    """
    return tuple(tuple(part[:, rows] for part in layer) for layer in state)


class VectorEncoder(nn.Module):
    """An encoder that makes a memory of one step from a vector."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.output_size = hidden_size
        self.hidden = Linear(input_size, hidden_size)

    def forward(self, x, lengths=None):
        """Return the memory (1, N, hidden_size), in (-1, 1) as states of a core are."""
        return torch.tanh(self.hidden(x))


class Seq2SeqNetwork(WholeNetwork):
    """An encoder, and a decoder with attention to the encoder's states.

    The decoder's recurrence reads the previous symbols alone; contexts join its states
    afterwards, as ``tanh(W [state; context])``. In training the symbols are known, so
    that all steps of the decoder are one call of the recurrence and all of its
    attention is one matrix product; location attention goes step by step.

    Attributes
    ----------
    encoder : RecurrentCore or VectorEncoder
        From the source to the memory.
    bridge : torch.nn.Linear
        From the encoder's last state to the initial state of the decoder's layers.
    decoder : RecurrentCore
        Over the previous symbols.
    attention : Attention or None
        From the decoder's states and the memory to contexts.
    sampling_probability : float
        Probability with which, in training, an input symbol of the decoder is sampled
        from its own predictions (scheduled sampling). Set from outside.
    generator : torch.Generator or None
        Source of these samples; None is torch's global one.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation", EMNLP 2014. Luong, Pham and Manning,
    "Effective approaches to attention-based neural machine translation", EMNLP
    2015. Duckworth et al., "Parallel scheduled sampling", arXiv:1906.04331,
    2019. Press and Wolf, "Using the output embedding to improve language
    models", EACL 2017 (tied).

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import Seq2SeqNetwork, Seq2SeqSpec
    >>> spec = Seq2SeqSpec(
    ...     "gru", n_features=3, hidden_size=8, n_outputs=5, embedding_dim=4,
    ...     source="sequences",
    ... )
    >>> network = Seq2SeqNetwork(spec)
    >>> x, y = torch.zeros(2, 7, 3), torch.tensor([[1, 2, 4, 3], [1, 4, 0, 0]])
    >>> network(x, torch.tensor([7, 5]), y).shape
    torch.Size([2, 4, 5])
    """

    def __init__(self, spec):
        super().__init__(spec)
        self.sampling_probability, self.generator = 0.0, None
        H = spec.hidden_size
        self._build_encoder()
        state_size = self.encoder.output_size
        self.pooling = LastPooling(H)
        n_states = spec.n_layers * (1 + (spec.cell == "lstm"))
        self.bridge = Linear(state_size, H * n_states)
        self.target_embedding = TokenEmbedding(spec.n_outputs, spec.embedding_dim)
        self.decoder = self._core(spec.embedding_dim, bidirectional=False)
        if spec.attention is None:
            self.attention = None
            self.context = Linear(state_size, H)
        else:
            self.attention = Attention(spec.attention, H, state_size)
        context_size = H if self.attention is None else state_size
        self.combine = Linear(H + context_size, H)
        self.dropout = LockedDropout(spec.dropout)
        self.head: Linear | TiedHead
        if spec.tie_embeddings:
            self.head = TiedHead(self.target_embedding, H)
        else:
            self.head = Linear(H, spec.n_outputs)

    def _core(self, input_size, bidirectional):
        spec = self.spec
        return RecurrentCore(
            spec.cell,
            input_size,
            spec.hidden_size,
            spec.n_layers,
            bidirectional=bidirectional,
            dropout=spec.dropout,
            residual=spec.residual,
            layer_norm=spec.layer_norm,
            weight_drop=spec.weight_drop,
        )

    def _build_encoder(self):
        spec, input_size = self.spec, self.spec.n_features
        if spec.source == "symbols":
            input_size = spec.embedding_dim
            self.embedding = TokenEmbedding(spec.n_source_tokens, input_size)
        hide = LockedDropout if spec.source == "symbols" else InputDropout
        self.input_dropout = hide(spec.input_dropout)
        if spec.source == "vectors":
            self.encoder = VectorEncoder(input_size, spec.hidden_size)
        else:
            self.encoder = self._core(input_size, spec.bidirectional)

    @in_mixed_precision
    def forward(self, x, lengths, y, y_lengths=None):
        """Return the logits of the next symbol after every symbol of `y`.

        Parameters
        ----------
        x : Tensor of shape (N, T_in, n_features)
            The source: steps, or integers of shape (N, T_in, 1), or vectors of shape
            (N, 1, n_features). Values at padding do not matter, if they are finite.
        lengths : LongTensor of shape (N,) or None
            Steps of each sequence; None when all have T_in.
        y : LongTensor of shape (N, T_out)
            The symbols given to the decoder: the begin symbol, then the target
            without its end symbol.
        y_lengths : LongTensor of shape (N,), default=None
            Unused, but part of a batch: the decoder reads forwards, so that padding
            changes no logits before it.

        Returns
        -------
        Tensor of shape (N, T_out, n_outputs)
            Meaningless at padding of `y`.
        """
        memory = self.encode(x, lengths)
        if self.training and self.sampling_probability > 0.0 and y.shape[1] > 1:
            y = self._with_own_symbols(y, memory)
        return self._decode(y, memory)[0]

    def align(self, x, lengths, y):
        """Return the attention weights (N, T_out, T_in) of every symbol of `y`.

        Parameters are those of `forward`; without attention, all weights are 0.
        """
        return self._decode(y, self.encode(x, lengths))[1]

    def encode(self, x, lengths=None):
        """Return the memory of a source, given as for `forward`."""
        states = self.encoder(self.input_dropout(self._inputs(x)), lengths)
        summary = self.pooling(states, lengths)
        if self.attention is None:
            keys = torch.tanh(self.context(summary)).unsqueeze(0)
        else:
            keys = self.attention.keys(states)
        return Memory(states, keys, summary, lengths)

    def _inputs(self, x):
        """Return the encoder's inputs, time first."""
        x = x.transpose(0, 1)
        if self.spec.source == "symbols":
            return self.embedding(x.squeeze(-1).long())
        # Centred in double: a large offset would cost digits in float32.
        return ((x - self.center) * self.factor).to(self.combine.weight.dtype)

    def initial_state(self, memory):
        """Return the decoder's state before its first symbol."""
        parts = torch.tanh(self.bridge(memory.summary))
        parts = parts.unflatten(1, (-1, self.spec.hidden_size)).transpose(0, 1)
        parts = parts.contiguous().split(1)
        n_parts = len(parts) // self.spec.n_layers
        return tuple(zip(*[iter(parts)] * n_parts, strict=True))

    def step(self, tokens, memory, state):
        """Return log-probabilities of the next symbol, in evaluation mode.

        Parameters
        ----------
        tokens : LongTensor of shape (N,)
            The last symbol of each sequence.
        memory : Memory
            From `encode`.
        state : tuple
            From `initial_state` or the previous step.

        Returns
        -------
        log_probabilities : Tensor of shape (N, n_outputs)
        state : tuple
            For the next step.
        weights : Tensor of shape (N, T_in)
            Of attention; all 0 without it.
        """
        logits, weights, state = self._decode(tokens[:, None], memory, state)
        return torch.log_softmax(logits[:, 0], dim=1), state, weights[:, 0]

    def _decode(self, y, memory, state=None):
        """Return logits and attention weights of every step, and the last state."""
        state = self.initial_state(memory) if state is None else state
        embedded = self.target_embedding(y.transpose(0, 1))
        n = self.spec.n_layers
        # After the layers' items: the last weights of location attention.
        last = state[n][0][0] if len(state) > n else None
        states, state = self.decoder.run(embedded, state=state[:n])
        contexts, weights = self._attend(states, memory, last)
        if self.spec.attention == "location":
            state = (*state, (weights[None, :, -1],))
        both = torch.cat([states, contexts], dim=2)
        hidden = self.dropout(torch.tanh(self.combine(both)))
        return self.head(hidden.transpose(0, 1)), weights, state

    def _attend(self, states, memory, last):
        if self.attention is not None:
            return self.attention(states, *memory[:2], memory.lengths, last)
        n_written, n_sequences, _ = states.shape
        weights = states.new_zeros(n_sequences, n_written, memory.states.shape[0])
        return memory.keys.expand(n_written, -1, -1), weights

    @torch.no_grad()
    def _with_own_symbols(self, y, memory):
        """Replace some given symbols, never the first, by samples from predictions."""
        logits = self._decode(y[:, :-1], memory)[0]
        own = torch.multinomial(
            logits.softmax(2).flatten(0, 1), 1, generator=self.generator
        ).view(len(y), -1)
        drawn = torch.rand(own.shape, generator=self.generator, device=own.device)
        given = torch.where(drawn < self.sampling_probability, own, y[:, 1:])
        return torch.cat([y[:, :1], given], dim=1)

    def seed_dropout(self, generator):
        """Draw every dropout mask and sampled symbol from `generator` from now on."""
        super().seed_dropout(generator)
        if isinstance(generator, CounterGenerator):  # it draws masks alone
            # Processes that share batches sample other symbols.
            seed = generator.seed + generator.first_row * 2**32
            generator = torch.Generator().manual_seed(seed)
        self.generator = generator


@plain_type
@dataclass(frozen=True)
class Seq2SeqSpec:
    """The architecture of a `Seq2SeqNetwork`, as plain Python values.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The recurrent cell.
    n_features : int
        Features per step of the source.
    hidden_size : int
        Units per layer and direction.
    n_outputs : int
        Size of the target vocabulary, with begin, end and padding symbols.
    embedding_dim : int
        Size of a symbol's embedding, on both sides.
    source : {"symbols", "sequences", "vectors"}, default="symbols"
        The source: sequences of integers, numeric sequences, or one vector per row.
    n_source_tokens : int, default=None
        Size of the source vocabulary; None for numeric features.
    n_layers : int, default=1
        Recurrent layers, of the encoder and of the decoder.
    bidirectional : bool, default=False
        Whether the encoder reads in both directions.
    attention : {"additive", "location", "multiplicative"} or None, \
default="multiplicative"
        Attention to the encoder's states; None gives the decoder the encoder's last
        state at every step.
    dropout : float, default=0.0
        Fraction of states dropped between layers and before the output layer.
    input_dropout : float, default=0.0
        Fraction of the input features dropped for a whole sequence.
    weight_drop : float, default=0.0
        Fraction of the recurrent weights set to zero in training.
    residual : bool, default=False
        Whether layers from the second on add their input to their output.
    layer_norm : bool, default=False
        Whether the states of each layer are normalised.
    tie_embeddings : bool, default=False
        Whether the output layer uses the target embedding's weights (weight tying).
    """

    cell: str
    n_features: int
    hidden_size: int
    n_outputs: int
    embedding_dim: int
    source: str = "symbols"
    n_source_tokens: int | None = None
    n_layers: int = 1
    bidirectional: bool = False
    attention: str | None = "multiplicative"
    dropout: float = 0.0
    input_dropout: float = 0.0
    weight_drop: float = 0.0
    residual: bool = False
    layer_norm: bool = False
    tie_embeddings: bool = False

    # What `build_network` makes of it.
    network_class: ClassVar[type[WholeNetwork]] = Seq2SeqNetwork
