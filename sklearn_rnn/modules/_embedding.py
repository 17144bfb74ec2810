"""Tokens as vectors, on the way in and on the way out."""

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_rnn.modules._dropout import HeldDropout
from sklearn_rnn.modules._linear import Linear, linear

# Standard deviation of initial vectors. Far smaller than that of other inputs: a
# word's vector is learned from its few occurrences, and what is left of its random
# start is noise (movie sentences: 0.734 with 1, 0.778 with 0.1).
EMBEDDING_SCALE = 0.1


class TokenDropout(HeldDropout):
    """Hide a share of the vocabulary: the same tokens all over the batch.

    A hidden token reads as unknown wherever it stands, so the network cannot
    lean on single words, and learns what to make of one that it does not know.

    Parameters
    ----------
    p : float
        Share of the tokens hidden, in [0, 1).

    References
    ----------
    Gal and Ghahramani, "A theoretically grounded application of dropout in
    recurrent neural networks", NeurIPS 2016 (dropping word types). Iyyer et
    al., "Deep unordered composition rivals syntactic methods for text
    classification", ACL 2015 (word dropout).

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import TokenDropout
    >>> dropout = TokenDropout(0.5)
    >>> dropout.generator = torch.Generator().manual_seed(0)
    >>> seen = dropout(torch.tensor([[0, 1, 2, 0]]), unknown=3)
    >>> bool(seen[0, 0] == seen[0, 3])
    True
    """

    def forward(self, tokens, unknown, new_mask=True):
        """Hide tokens in training; return them as they are otherwise.

        Parameters
        ----------
        tokens : LongTensor
            Ids, at most `unknown`.
        unknown : int
            The id that stands for unknown.
        new_mask : bool, default=True
            Whether to draw which tokens are hidden; False hides those of the
            last call.

        Returns
        -------
        LongTensor of the shape of `tokens`
            Hidden ones are `unknown`.
        """
        if not self.training or self.p == 0.0:
            return tokens
        if new_mask:
            self._mask = self._draw_dropped((unknown + 1,), tokens.device)
        return tokens.masked_fill(self._mask[tokens], unknown)


def has_gradient_hooks(weight):
    """Return whether torch calls hooks with the gradient of a weight.

    Parameters
    ----------
    weight : Parameter
        Any.

    Returns
    -------
    bool
        They expect a gradient of the whole weight, and may change all of it.
    """
    return bool(weight._backward_hooks or weight._post_accumulate_grad_hooks)


class _LookUpRows(torch.autograd.Function):
    """Look up rows of a weight, adding to the gradient of these rows in place.

    torch's own function makes a gradient of all rows, most of them zero.
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
    """A learned vector for each token, and one for all unknown ones.

    Parameters
    ----------
    n_tokens : int
        Size of the vocabulary; larger ids are unknown.
    embedding_dim : int
        Width of a vector.
    token_dropout : float, default=0.0
        Share of the tokens that read as unknown in training.
    unknown_token : int, default=None
        Id that says unknown, as ids beyond the vocabulary do; None has none.

    Attributes
    ----------
    reader : object or None
        Set by a training loop that updates only the rows that a batch reads:
        ``reader.add(rows)`` is called with them. The gradient is then added to the
        dense one of the weight, in place.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import TokenEmbedding
    >>> embedding = TokenEmbedding(n_tokens=5, embedding_dim=2)
    >>> embedding.weight.shape, embedding(torch.tensor([[0, 4, 99]])).shape
    (torch.Size([6, 2]), torch.Size([1, 3, 2]))
    """

    def __init__(self, n_tokens, embedding_dim, token_dropout=0.0, unknown_token=None):
        super().__init__(n_tokens + 1, embedding_dim)
        self.n_tokens = n_tokens
        self.unknown_token = unknown_token
        self.token_dropout = TokenDropout(token_dropout)
        self.reader = None

    def reset_parameters(self):
        """Draw the vectors as torch does, unless they have no memory yet."""
        # On the meta device torch would import its compiler to draw nothing.
        if not self.weight.is_meta:
            super().reset_parameters()

    def forward(self, tokens, new_mask=True):
        """Look up the vectors of tokens.

        Parameters
        ----------
        tokens : LongTensor
            Ids, from 0.
        new_mask : bool, default=True
            As for `TokenDropout`.

        Returns
        -------
        Tensor of shape (*tokens.shape, embedding_dim)
            Their vectors.
        """
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
        """Draw the vectors; that of unknown says nothing.

        Parameters
        ----------
        generator : torch.Generator
            On the CPU.
        """
        self.weight.normal_(std=EMBEDDING_SCALE, generator=generator)
        self.weight[-1] = 0.0


class TiedHead(nn.Module):
    """An output layer that scores a token by the vector it has as an input.

    Parameters
    ----------
    embedding : TokenEmbedding
        Whose vectors; they are shared, not copied.
    width : int
        Of the states; if it is not that of a vector, a linear layer comes first.

    References
    ----------
    Press and Wolf, "Using the output embedding to improve language models",
    EACL 2017. Inan, Khosravi and Socher, "Tying word vectors and word
    classifiers", ICLR 2017.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import TiedHead, TokenEmbedding
    >>> head = TiedHead(TokenEmbedding(5, embedding_dim=2), width=3)
    >>> head(torch.zeros(4, 3)).shape
    torch.Size([4, 5])
    """

    def __init__(self, embedding, width):
        super().__init__()
        # In a list: the embedding's weights are not this layer's to list or save.
        self._shared = [embedding]
        self.projection = nn.Identity()
        if width != embedding.embedding_dim:
            self.projection = Linear(width, embedding.embedding_dim, bias=False)
        self.bias = nn.Parameter(torch.empty(embedding.n_tokens))

    @property
    def embedding(self):
        """The embedding whose vectors it uses."""
        return self._shared[0]

    @property
    def weight(self):
        """The vectors of the known tokens, (n_tokens, embedding_dim)."""
        return self._shared[0].weight[:-1]

    def forward(self, states):
        """Score every token.

        Parameters
        ----------
        states : Tensor of shape (..., width)
            What is known.

        Returns
        -------
        Tensor of shape (..., n_tokens)
            Logits.
        """
        return linear(self.projection(states), self.weight, self.bias)
