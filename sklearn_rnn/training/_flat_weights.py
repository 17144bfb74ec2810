"""All weights and all gradients as parts of one tensor each.

On small networks a call costs more than its arithmetic: with six weights, clipping,
zeroing and the optimizer are six times as many calls.
"""

import torch

# Weights begin at multiples of so many numbers, where registers are read fastest.
ALIGNMENT = 16


class SeparateWeights:
    """The weights of a network, each with a gradient of its own or none.

    Parameters
    ----------
    parameters : list of Parameter
        Those that training may change.

    Attributes
    ----------
    values : list of Tensor
        The weights.
    is_flat : bool
        Whether they lie in one tensor.
    """

    is_flat = False

    def __init__(self, parameters):
        self.parameters = parameters
        self.values = [parameter.detach() for parameter in parameters]

    def clear_gradients(self):
        """Begin a new gradient."""
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self):
        """Return the gradient.

        Returns
        -------
        list of Tensor
            To be changed in place.
        """
        return [p.grad for p in self.parameters if p.grad is not None]


class FlatWeights(SeparateWeights):
    """The weights of a network as parts of one tensor, and so the gradients.

    Parameters
    ----------
    groups : list of list of Parameter
        Those that training may change, by the optimizer's options. Their data and
        gradients become views of this object's.

    Attributes
    ----------
    leaves : list of Parameter
        One a group, its weights in a row: what an optimizer is to change. Its
        gradient is always there.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import FlatWeights
    >>> layer = torch.nn.Linear(1, 1)
    >>> weights = FlatWeights([[layer.weight], [layer.bias]])
    >>> weights.values[0].zero_()[:2]
    tensor([0., 0.])
    >>> layer(torch.ones(1)).item()
    0.0
    """

    is_flat = True

    def __init__(self, groups):
        super().__init__([parameter for group in groups for parameter in group])
        first = self.parameters[0]
        sizes = [[_aligned(p.numel()) for p in group] for group in groups]
        n_values = sum(map(sum, sizes))
        flat = torch.zeros(n_values, dtype=first.dtype, device=first.device)
        self.values = [flat]
        self._gradient = torch.zeros_like(flat)
        self._views = []
        self.leaves = []
        end = 0
        for group, group_sizes in zip(groups, sizes, strict=True):
            begin = end
            for parameter, size in zip(group, group_sizes, strict=True):
                self._take_in(parameter, end)
                end += size
            leaf = torch.nn.Parameter(flat[begin:end])
            leaf.grad = self._gradient[begin:end]
            self.leaves.append(leaf)

    @torch.no_grad()
    def _take_in(self, parameter, begin):
        inside = slice(begin, begin + parameter.numel())
        value = self.values[0][inside].view(parameter.shape)
        value.copy_(parameter)
        parameter.data = value
        parameter.grad = self._gradient[inside].view(parameter.shape)
        self._views.append(parameter.grad)

    def clear_gradients(self):
        """Begin a new gradient."""
        self._gradient.zero_()

    def gradients(self):
        """Return the gradient.

        Returns
        -------
        list of Tensor
            One, to be changed in place.
        """
        for parameter, view in zip(self.parameters, self._views, strict=True):
            if parameter.grad is not view:  # a callback put another one there
                view.zero_()
                if parameter.grad is not None:
                    view.copy_(parameter.grad)
                parameter.grad = view
        return [self._gradient]


def _aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT
