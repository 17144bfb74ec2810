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
        self._module = module
        self._kept = {
            name: parameter.detach().clone()
            for name, parameter in module.named_parameters()
        }
        self._shapes = {name: kept.shape for name, kept in self._kept.items()}

    @torch.no_grad()
    def take(self):
        """Keep the weights as they are now."""
        for kept, live in self._pairs():
            kept.copy_(live)

    @torch.no_grad()
    def restore(self):
        """Put the kept weights back into the module."""
        for kept, live in self._pairs():
            live.copy_(kept)

    def _pairs(self):
        """Return kept and live weights; copies between other shapes would broadcast."""
        live = dict(self._module.named_parameters())
        shapes = {name: weight.shape for name, weight in live.items()}
        if shapes != self._shapes:
            changed = sorted(dict(shapes.items() ^ self._shapes.items()))
            raise ValueError(
                f"the weights {changed} are not of the shape that they had when "
                "training began: a callback replaced them. Build the network with the "
                "parameters of the estimator, and change values alone."
            )
        return [(kept, live[name]) for name, kept in self._kept.items()]
