"""Categories among the features of a step, as small learned vectors."""

import math

import torch
from torch import nn

# Standard deviation of initial vectors.
SCALE = 0.1
# Largest size of a vector.
MAX_SIZE = 50


def embedding_size(n_categories):
    """Return the size of a category's vector: sqrt(n) + 1, rounded up, at most 50.

    Examples
    --------
    >>> from sklearn_rnn.modules import embedding_size
    >>> [embedding_size(n) for n in (2, 10, 100, 100_000)]
    [3, 5, 11, 50]
    """
    return min(MAX_SIZE, math.ceil(math.sqrt(n_categories)) + 1)


class _Vectors(nn.Embedding):
    """The vectors of one feature's categories, that of code 0 first."""

    def reset_parameters(self):
        """Initialize as torch does; on the meta device, draw nothing."""
        if not self.weight.is_meta:
            super().reset_parameters()


def is_plain_embedding(module):
    """Return whether a module of `CategoryEmbedding.vectors` only looks up vectors."""
    return (
        type(module) is _Vectors
        and module.max_norm is module.padding_idx is None
        and not module.sparse
        and not module.scale_grad_by_freq
    )


class CategoryEmbedding(nn.Module):
    """Replace codes of categories by learned vectors; numeric features stay.

    Parameters
    ----------
    n_features : int
        Features per step.
    n_categories : sequence of int
        Number of categories of each embedding.
    category_features : sequence of (int, int)
        Position of each categorical feature, in order, and the index of its embedding;
        several features may share one.

    Attributes
    ----------
    vectors : torch.nn.ModuleList
        The embeddings. Row 0 stands for a missing or unknown category, row k is the
        vector of category k - 1.
    output_size : int
        Features per step after the replacement.
    """

    def __init__(self, n_features, n_categories, category_features):
        super().__init__()
        self.features = tuple(category_features)
        self.vectors = nn.ModuleList(
            _Vectors(n + 1, embedding_size(n)) for n in n_categories
        )
        sizes = [self.vectors[which].embedding_dim for _, which in self.features]
        self.output_size = n_features - len(sizes) + sum(sizes)

    def forward(self, x):
        """Return steps (..., output_size) for (..., n_features) with codes from 0."""
        parts, begin = [], 0
        for position, which in self.features:
            parts.append(x[..., begin:position])
            parts.append(self.vectors[which](x[..., position].long()).to(x.dtype))
            begin = position + 1
        parts.append(x[..., begin:])
        return torch.cat(parts, dim=-1)

    @torch.no_grad()
    def initialize(self, generator):
        """Draw the vectors; that of an unknown category is zero."""
        for vectors in self.vectors:
            weight = vectors.get_parameter("weight")
            weight.normal_(std=SCALE, generator=generator)
            weight[0] = 0.0
