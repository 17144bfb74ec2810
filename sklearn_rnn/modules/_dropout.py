"""Dropout that draws from a generator of its own."""

import torch
from torch import nn


class Dropout(nn.Module):
    """Set a share of the values to zero in training and scale up the rest.

    ``torch.nn.Dropout`` draws from torch's global generator, which threads
    share and the caller may be using; this one draws from `generator`.

    Parameters
    ----------
    p : float
        Share of values set to zero, in [0, 1).

    Attributes
    ----------
    generator : torch.Generator or None
        Source of the masks; None is torch's global one.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import Dropout
    >>> dropout = Dropout(0.5)
    >>> dropout.generator = torch.Generator().manual_seed(0)
    >>> sorted(set(dropout(torch.ones(100)).tolist()))
    [0.0, 2.0]
    """

    def __init__(self, p):
        super().__init__()
        self.p = p
        self.generator = None

    def forward(self, x):
        """Apply a fresh mask to `x` in training; return `x` otherwise.

        Parameters
        ----------
        x : Tensor
            Of any shape.

        Returns
        -------
        Tensor
            Of the shape of `x`.
        """
        if not self.training or self.p == 0.0:
            return x
        mask = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * mask.div_(1 - self.p)
