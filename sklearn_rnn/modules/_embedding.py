"""Embeddings of tokens, as inputs and in tied output layers."""

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_rnn.modules._layers import HeldDropout
from sklearn_rnn.modules._linear import Linear, linear

# Standard deviation of initial vectors. Far smaller than that of other inputs: a
# word's vector is learned from its few occurrences, and what remains of its random
# start is noise (accuracy on movie sentences: 0.734 with 1, 0.778 with 0.1).
EMBEDDING_SCALE = 0.1


class TokenDropout(HeldDropout):
    """Replace some tokens of the vocabulary by the unknown token, rather rare ones.

    What the unknown token means is learned from those that it replaces. Words that
    training does not show are most like those that it shows once, so a token that it
    shows n times is dropped with probability ``p / (p + n)``, at all positions of a
    batch.

    Parameters
    ----------
    p : float
        At least 0.

    Attributes
    ----------
    counts : Tensor of double of shape (n_tokens + 1,), or None
        How often training shows each token; those of 0 are never dropped. None drops
        all tokens with probability `p`.

    References
    ----------
    Kiperwasser and Goldberg, "Simple and accurate dependency parsing using
    bidirectional LSTM feature representations", TACL 2016 (by rarity). Gal and
    Ghahramani, "A theoretically grounded application of dropout in recurrent neural
    networks", NeurIPS 2016 (the same tokens in a batch).
    """

    counts: torch.Tensor | None

    def __init__(self, p):
        super().__init__(p)
        # Not in the state: a task has them as well.
        self.register_buffer("counts", None, persistent=False)

    def set_counts(self, counts):
        """Drop tokens by how often training shows them, (n_tokens + 1,)."""
        self.counts = torch.as_tensor(counts, dtype=torch.double)

    def probabilities(self):
        """Return with which probability each token is dropped."""
        if self.counts is None:
            return self.p
        p = self.p / (self.p + self.counts)
        return p.masked_fill(self.counts == 0, 0.0)

    def forward(self, tokens, unknown, new_mask=True):
        """Drop tokens in training; `unknown` is the largest id."""
        if not self.training or self.p == 0.0:
            return tokens
        if new_mask or self._mask is None:
            p = self.probabilities()
            self._mask = self.draw_dropped((unknown + 1,), tokens.device, p)
        return tokens.masked_fill(self._mask[tokens], unknown)


def has_gradient_hooks(weight):
    """Return whether hooks are called with the gradient of a weight.

    They expect a gradient of the whole weight, and may change all of it.
    """
    return bool(weight._backward_hooks or weight._post_accumulate_grad_hooks)


class _LookUpRows(torch.autograd.Function):
    """Look up rows of a weight; add to the gradient of these rows in place.

    torch's own function allocates a gradient of all rows, most of them zero.
    """

    @staticmethod
    def forward(ctx, tokens, weight):
        """Return the rows; the weight must have a dense gradient already."""
        ctx.tokens, ctx.weight = tokens, weight
        return F.embedding(tokens, weight)

    @staticmethod
    def backward(ctx, grad_output):
        """Add to the gradient of the weight."""
        rows = grad_output.flatten(0, -2).to(ctx.weight.dtype)
        if rows.device.type == "cpu":
            ctx.weight.grad.index_add_(0, ctx.tokens.reshape(-1), rows)
            return None, None
        # On a GPU index_add_ is deterministic for distinct rows only.
        distinct, positions = ctx.tokens.reshape(-1).unique(return_inverse=True)
        sums = torch.ops.aten.embedding_dense_backward(
            rows, positions, len(distinct), -1, False
        )
        ctx.weight.grad.index_add_(0, distinct, sums)
        return None, None


class TokenEmbedding(nn.Embedding):
    """A learned vector per token, and one for all unknown ones.

    Parameters
    ----------
    n_tokens : int
        Size of the vocabulary; larger ids are unknown.
    embedding_dim : int
        Size of a vector.
    token_dropout : float, default=0.0
        How often tokens are replaced by the unknown one in training: see
        `TokenDropout`.
    unknown_token : int, default=None
        Id of the unknown token, besides ids beyond the vocabulary.

    Attributes
    ----------
    reader : object or None
        Set by a training loop that updates only the rows that a batch reads:
        ``reader.add(rows)`` is called with them. The gradient is then added to the
        dense one of the weight, in place.
    """

    def __init__(self, n_tokens, embedding_dim, token_dropout=0.0, unknown_token=None):
        super().__init__(n_tokens + 1, embedding_dim)
        self.n_tokens = n_tokens
        self.unknown_token = unknown_token
        self.token_dropout = TokenDropout(token_dropout)
        self.reader = None

    def reset_parameters(self):
        """Initialize as torch does; on the meta device, draw nothing."""
        # On the meta device torch would import its compiler to draw nothing.
        if not self.weight.is_meta:
            super().reset_parameters()

    def forward(self, tokens, new_mask=True):
        """Return the vectors (*tokens.shape, embedding_dim) of ids from 0."""
        tokens = tokens.clamp(max=self.n_tokens)
        if self.unknown_token is not None:
            tokens = tokens.masked_fill(tokens == self.unknown_token, self.n_tokens)
        tokens = self.token_dropout(tokens, self.n_tokens, new_mask)
        if self.reader is None or not torch.is_grad_enabled():
            return F.embedding(tokens, self.weight)
        self.reader.add(tokens)
        if self.weight.grad is None or has_gradient_hooks(self.weight):
            return F.embedding(tokens, self.weight)
        return _LookUpRows.apply(tokens, self.weight)

    @torch.no_grad()
    def initialize(self, generator):
        """Draw the vectors; that of the unknown token is zero."""
        self.weight.normal_(std=EMBEDDING_SCALE, generator=generator)
        self.weight[-1] = 0.0


class TiedHead(nn.Module):
    """An output layer with the input embedding as its weights (weight tying).

    A linear layer comes first if the states (..., `state_size`) differ in size from the
    vectors. The embedding is shared, not copied.

    References
    ----------
    Press and Wolf, "Using the output embedding to improve language models",
    EACL 2017. Inan, Khosravi and Socher, "Tying word vectors and word
    classifiers", ICLR 2017.
    """

    def __init__(self, embedding, state_size):
        super().__init__()
        # In a list, so that the embedding's weights are not listed and saved twice.
        self._shared = [embedding]
        self.projection: nn.Module = nn.Identity()
        if state_size != embedding.embedding_dim:
            self.projection = Linear(state_size, embedding.embedding_dim, bias=False)
        self.bias = nn.Parameter(torch.empty(embedding.n_tokens))

    @torch.no_grad()
    def initialize(self, generator):
        """Set the biases to zero; the projection is a layer of its own."""
        self.bias.zero_()

    @property
    def embedding(self):
        """The embedding that is shared."""
        return self._shared[0]

    @property
    def weight(self):
        """The vectors of the known tokens, (n_tokens, embedding_dim)."""
        return self._shared[0].weight[:-1]

    def forward(self, states):
        """Return the logits (..., n_tokens) of states (..., state_size)."""
        return linear(self.projection(states), self.weight, self.bias)
