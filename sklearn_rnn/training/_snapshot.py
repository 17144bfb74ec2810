"""Weights kept in memory."""

import torch


class WeightSnapshot:
    """A copy of a module's weights, to go back to.

    Parameters
    ----------
    module : torch.nn.Module
        Whose weights to keep.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import WeightSnapshot
    >>> layer = torch.nn.Linear(1, 1)
    >>> snapshot = WeightSnapshot(layer)
    >>> with torch.no_grad():
    ...     _ = layer.weight.fill_(float("nan"))
    >>> snapshot.restore()
    >>> bool(layer.weight.isnan())
    False
    """

    def __init__(self, module):
        self._live = list(module.parameters())
        self._kept = [p.detach().clone() for p in self._live]

    @torch.no_grad()
    def take(self):
        """Keep the weights as they are now."""
        for kept, live in zip(self._kept, self._live, strict=True):
            kept.copy_(live)

    @torch.no_grad()
    def restore(self):
        """Put the kept weights back into the module."""
        for kept, live in zip(self._kept, self._live, strict=True):
            live.copy_(kept)
