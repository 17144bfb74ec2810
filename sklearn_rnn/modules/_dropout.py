"""Dropout that stays the same at every step, from a generator of its own."""

import torch
from torch import nn

from sklearn_rnn.kernels import CounterGenerator


class HeldDropout(nn.Module):
    """What all dropouts share: a mask that is drawn once and then held.

    ``torch.nn.Dropout`` draws from torch's global generator, which threads
    share and the caller may be using; this one draws from `generator`.

    Parameters
    ----------
    p : float
        Share of values set to zero, in [0, 1).

    Attributes
    ----------
    generator : CounterGenerator, torch.Generator or None
        Source of the masks; None is torch's global one.
    site : int
        Position of this module among the dropouts of its network, which tells a
        `CounterGenerator` what to draw. `WholeNetwork.seed_dropout` sets it.
    """

    def __init__(self, p):
        super().__init__()
        self.p = p
        self.generator = None
        self.site = 0
        self._mask = None

    def _hide(self, x, shape, new_mask):
        """Return `x` with some of it set to zero."""
        if new_mask:
            self._mask = self._draw_kept(shape, x)
        return x * self._mask

    def _draw_kept(self, shape, x):
        """Return a mask that is 1 where values are kept, of the type of `x`."""
        if isinstance(self.generator, CounterGenerator):
            return self._draw_dropped(shape, x.device).logical_not_().to(x.dtype)
        mask = torch.empty(shape, dtype=x.dtype, device=x.device)
        return mask.bernoulli_(1 - self.p, generator=self.generator)

    def _draw_dropped(self, shape, device):
        """Return a boolean mask that is True where values are dropped."""
        if isinstance(self.generator, CounterGenerator):
            mask = self.generator.draw_mask(tuple(shape), self.site, self.p)
            return torch.from_numpy(mask).to(device)
        mask = torch.empty(shape, device=device)
        return mask.bernoulli_(self.p, generator=self.generator).bool()


class LockedDropout(HeldDropout):
    """Hide a share of each sequence's units, the same ones at every step.

    A unit is hidden for the whole sequence, so the network cannot fill it in
    from the step before, and learns not to lean on any single one. Also called
    variational dropout.

    Parameters
    ----------
    p : float
        Share of the units set to zero, in [0, 1).

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

    def forward(self, x, new_mask=True):
        """Hide units of `x` in training; return `x` otherwise.

        Parameters
        ----------
        x : Tensor of shape (T, N, F) or (N, F)
            A batch, time first.
        new_mask : bool, default=True
            Whether to draw what is hidden; False hides what the last call did,
            for more steps of the same sequences.

        Returns
        -------
        Tensor of the shape of `x`
            What is kept is scaled up by ``1 / (1 - p)``.
        """
        if not self.training or self.p == 0.0:
            return x
        return self._hide(x, x.shape[-2:], new_mask) / (1 - self.p)


class InputDropout(HeldDropout):
    """Hide a share of each sequence's input features, at every step alike.

    A hidden feature has its mean, which is zero; what is kept stays as it is,
    without the factor that makes up for hidden units elsewhere. An input is a
    quantity and not one of many interchangeable units: a network that was
    trained on enlarged inputs would misread those that it predicts from. A
    single feature is never hidden: nothing would be left.

    Parameters
    ----------
    p : float
        Share of the features hidden, in [0, 1).

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import InputDropout
    >>> dropout = InputDropout(0.5)
    >>> dropout.generator = torch.Generator().manual_seed(2)
    >>> dropout(torch.ones(3, 1, 2)).squeeze()
    tensor([[0., 1.],
            [0., 1.],
            [0., 1.]])
    """

    def forward(self, x, new_mask=True):
        """Hide features of `x` in training; return `x` otherwise.

        Parameters
        ----------
        x : Tensor of shape (T, N, F)
            A batch, time first, each feature with mean 0.
        new_mask : bool, default=True
            Whether to draw what is hidden; False hides what the last call did.

        Returns
        -------
        Tensor of shape (T, N, F)
            What is kept is as it was.
        """
        if not self.training or self.p == 0.0 or x.shape[-1] == 1:
            return x
        return self._hide(x, x.shape[-2:], new_mask)


class WeightDrop(HeldDropout):
    """Set a share of a weight matrix to zero in training, at every step alike.

    On the recurrent weights it keeps the network from leaning on single
    connections through time, and leaves the states themselves whole.

    Parameters
    ----------
    p : float
        Share of the weights set to zero, in [0, 1).

    References
    ----------
    Merity, Keskar and Socher, "Regularizing and optimizing LSTM language
    models", ICLR 2018.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import WeightDrop
    >>> drop = WeightDrop(0.5)
    >>> drop.generator = torch.Generator().manual_seed(4)
    >>> drop(torch.ones(2, 2))
    tensor([[2., 0.],
            [2., 0.]])
    """

    def forward(self, weight, new_mask=True):
        """Drop weights in training; return `weight` otherwise.

        Parameters
        ----------
        weight : Tensor
            Of any shape.
        new_mask : bool, default=True
            Whether to draw what is dropped; False drops what the last call did.

        Returns
        -------
        Tensor of the shape of `weight`
            What is kept is scaled up by ``1 / (1 - p)``.
        """
        if not self.training or self.p == 0.0:
            return weight
        return self._hide(weight, weight.shape, new_mask) / (1 - self.p)
