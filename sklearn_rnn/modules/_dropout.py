"""Dropout, elementwise and locked, that draws from a generator of its own."""

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
        return x * self._mask(x.shape, x)

    def _mask(self, shape, like):
        keep = 1 - self.p
        mask = torch.empty(shape, dtype=like.dtype, device=like.device)
        return mask.bernoulli_(keep, generator=self.generator).div_(keep)


class LockedDropout(Dropout):
    """Hide a share of each sequence's features, the same ones at every step.

    A feature is hidden for the whole sequence, so the network cannot fill it
    in from the step before, and learns not to lean on any single one. A
    single feature is never hidden: nothing would be left.

    Parameters
    ----------
    p : float
        Share of the features set to zero, in [0, 1).

    References
    ----------
    Gal and Ghahramani, "A theoretically grounded application of dropout in
    recurrent neural networks", NeurIPS 2016.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import LockedDropout
    >>> dropout = LockedDropout(0.5)
    >>> dropout.generator = torch.Generator().manual_seed(2)
    >>> dropout(torch.ones(3, 1, 2)).squeeze()
    tensor([[0., 2.],
            [0., 2.],
            [0., 2.]])
    """

    def forward(self, x):
        """Hide features of `x` in training; return `x` otherwise.

        Parameters
        ----------
        x : Tensor of shape (T, N, F)
            A batch, time first.

        Returns
        -------
        Tensor of shape (T, N, F)
            What is kept is scaled up by ``1 / (1 - p)``.
        """
        if not self.training or self.p == 0.0 or x.shape[2] == 1:
            return x
        return x * self._mask((1, *x.shape[1:]), x)
