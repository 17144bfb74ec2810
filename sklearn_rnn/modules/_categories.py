"""Categories among the features of a step, each as a small learned vector."""

import math

import torch
from torch import nn

# Standard deviation of initial vectors.
SCALE = 0.1
# Largest size of a vector.
MAX_SIZE = 50


def embedding_size(n_categories):
    """Return the size of the vector of a category.

    Parameters
    ----------
    n_categories : int
        How many the feature has.

    Returns
    -------
    int
        One more than their square root, rounded up, and at most 50.

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
        """Draw nothing while there is no memory, as `TokenEmbedding` does."""
        if not self.weight.is_meta:
            super().reset_parameters()


def is_plain_embedding(module):
    """Return whether a module looks up vectors and does nothing else.

    Parameters
    ----------
    module : torch.nn.Module
        One of the `vectors` of a `CategoryEmbedding`, or what stands in its place.

    Returns
    -------
    bool
    """
    return (
        type(module) is _Vectors
        and module.max_norm is module.padding_idx is None
        and not module.sparse
        and not module.scale_grad_by_freq
    )


class CategoryEmbedding(nn.Module):
    """Put learned vectors in the place of codes, and leave numbers as they are.

    Parameters
    ----------
    n_features : int
        Features of a step.
    n_categories : sequence of int
        Number of categories of each embedding.
    category_features : sequence of (int, int)
        Position of each categorical feature, in order, and the embedding that it
        reads; several may share one.

    Attributes
    ----------
    vectors : torch.nn.ModuleList
        The embeddings. Row 0 is what a missing or unknown category reads as, row k
        the vector of category k - 1.
    output_size : int
        Inputs of a step for the recurrent layers.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import CategoryEmbedding
    >>> embedding = CategoryEmbedding(3, n_categories=[9], category_features=[(1, 0)])
    >>> embedding.output_size, embedding(torch.zeros(7, 4, 3)).shape
    (6, torch.Size([7, 4, 6]))
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
        """Replace codes by vectors.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Steps; codes are whole numbers from 0.

        Returns
        -------
        Tensor of shape (..., output_size)
            Features in their order.
        """
        parts, begin = [], 0
        for position, which in self.features:
            parts.append(x[..., begin:position])
            parts.append(self.vectors[which](x[..., position].long()).to(x.dtype))
            begin = position + 1
        parts.append(x[..., begin:])
        return torch.cat(parts, dim=-1)

    @torch.no_grad()
    def initialize(self, generator):
        """Draw the vectors; that of an unknown category says nothing.

        Parameters
        ----------
        generator : torch.Generator
            On the CPU.
        """
        for vectors in self.vectors:
            vectors.weight.normal_(std=SCALE, generator=generator)
            vectors.weight[0] = 0.0
