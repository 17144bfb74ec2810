"""Dropout with the same mask at every step, from a generator of its own."""

import torch
from torch import nn

from sklearn_rnn.kernels import CounterGenerator


class HeldDropout(nn.Module):
    """Base of all dropouts: a mask that is drawn once and then reused.

    ``torch.nn.Dropout`` draws from torch's global generator, which threads share and
    the caller may be using; this one draws from `generator`.

    Parameters
    ----------
    p : float
        Fraction of values set to zero, in [0, 1).

    Attributes
    ----------
    generator : CounterGenerator, torch.Generator or None
        Source of the masks; None is torch's global one.
    site : int
        Position of this module among the dropouts of its network, which selects the
        stream of a `CounterGenerator`. `WholeNetwork.seed_dropout` sets it.
    """

    def __init__(self, p):
        super().__init__()
        self.p = p
        self.generator: CounterGenerator | torch.Generator | None = None
        self.site = 0
        self._mask: torch.Tensor | None = None

    def _drop(self, x, shape, new_mask):
        """Return `x` with some of it set to zero."""
        if new_mask or self._mask is None:
            self._mask = self._draw_kept(shape, x)
        return x * self._mask

    def _draw_kept(self, shape, x):
        """Return a mask that is 1 where values are kept, of the type of `x`."""
        if isinstance(self.generator, CounterGenerator):
            return self.draw_dropped(shape, x.device).logical_not_().to(x.dtype)
        mask = torch.empty(shape, dtype=x.dtype, device=x.device)
        return mask.bernoulli_(1 - self.p, generator=self.generator)

    def draw_dropped(self, shape, device, p=None):
        """Return a boolean mask that is True where values are dropped.

        The probability is `p`, a number or a tensor of the shape, or the module's own.
        """
        p = self.p if p is None else p
        if isinstance(self.generator, CounterGenerator):
            p = p.numpy() if isinstance(p, torch.Tensor) else p
            dropped = self.generator.draw_mask(tuple(shape), self.site, p)
            return torch.from_numpy(dropped).to(device)
        mask = torch.empty(shape, device=device)
        return mask.bernoulli_(p, generator=self.generator).bool()


class LockedDropout(HeldDropout):
    """Drop units of each sequence, the same ones at every step (variational dropout).

    A unit is dropped for the whole sequence, so that the network cannot recover it
    from the previous step. With ``new_mask=False`` the last mask is used again, for
    more steps of the same sequences.

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
        """Drop units of `x` (T, N, F) or (N, F) in training; scale up the others."""
        if not self.training or self.p == 0.0:
            return x
        return self._drop(x, x.shape[-2:], new_mask) / (1 - self.p)


class InputDropout(HeldDropout):
    """Drop input features of each sequence, the same ones at every step.

    A dropped feature has its mean, which is zero; the others keep their values, without
    the usual factor ``1 / (1 - p)``. An input is a quantity and not one of many
    interchangeable units: a network that was trained on enlarged inputs would misread
    those that it predicts from. A single feature is never dropped.

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
        """Drop features of `x` (T, N, F), each with mean 0, in training."""
        if not self.training or self.p == 0.0 or x.shape[-1] == 1:
            return x
        return self._drop(x, x.shape[-2:], new_mask)


class WeightDrop(HeldDropout):
    """Set entries of a weight matrix to zero in training, the same at every step.

    It regularizes the recurrent weights and leaves the states themselves whole.

    References
    ----------
    Merity, Keskar and Socher, "Regularizing and optimizing LSTM language
    models", ICLR 2018.
    """

    def forward(self, weight, new_mask=True):
        """Drop entries of `weight` in training, and scale up the others."""
        if not self.training or self.p == 0.0:
            return weight
        return self._drop(weight, weight.shape, new_mask) / (1 - self.p)
