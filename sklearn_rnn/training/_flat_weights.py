"""All weights and all gradients as parts of one tensor each.

On small networks a call costs more than its arithmetic: with six weights, clipping,
zeroing and the optimizer are six times as many calls.
"""

import math

import torch
from torch.optim import optimizer as torch_optimizer

from sklearn_rnn.kernels import loops
from sklearn_rnn.training._clipping import clip_gradients

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
    is_flat : bool
        Whether they lie in one tensor.
    """

    is_flat = False

    def __init__(self, parameters):
        self.parameters = parameters

    @property
    def values(self):
        """The weights, a list of tensors."""
        return [parameter.detach() for parameter in self.parameters]

    def is_tied(self):
        """Tell whether these are still the weights that training may change.

        Returns
        -------
        bool
            False if somebody gave them other memory, or froze or thawed some.
        """
        return True

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

    def clip(self, max_norm=None, max_value=None):
        """Bound the gradient.

        Parameters
        ----------
        max_norm, max_value : float, default=None
            As `clip_gradients` takes them.

        Returns
        -------
        norm : float
            Before.
        clipped : bool
            Whether a bound changed it.
        """
        return clip_gradients(self.gradients(), max_norm, max_value)


class FlatWeights(SeparateWeights):
    """The weights of a network as parts of one tensor, and so the gradients.

    Parameters
    ----------
    groups : list of list of Parameter
        All weights, by the optimizer's options. Data and gradients of those that are
        not frozen become views of this object's.

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
        self._are_trained = [(p, p.requires_grad) for group in groups for p in group]
        groups = [[p for p in group if p.requires_grad] for group in groups]
        super().__init__([parameter for group in groups for parameter in group])
        first = self.parameters[0]
        sizes = [[_aligned(p.numel()) for p in group] for group in groups]
        n_values = sum(map(sum, sizes))
        flat = torch.zeros(n_values, dtype=first.dtype, device=first.device)
        self._flat = flat
        self._gradient = torch.zeros_like(flat)
        self._views, self._addresses = [], []
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
        value = self._flat[inside].view(parameter.shape)
        value.copy_(parameter)
        parameter.data = value
        parameter.grad = self._gradient[inside].view(parameter.shape)
        self._views.append(parameter.grad)
        self._addresses.append((value.data_ptr(), value.dtype))

    @property
    def values(self):
        """The weights, a list of one tensor."""
        return [self._flat]

    def is_tied(self):
        """Tell whether these are still the weights that training may change.

        Returns
        -------
        bool
            False if somebody gave them other memory, or froze or thawed some.
        """
        where = [(p.data_ptr(), p.dtype) for p in self.parameters]
        return where == self._addresses and all(
            parameter.requires_grad == is_trained
            for parameter, is_trained in self._are_trained
        )

    def clear_gradients(self):
        """Begin a new gradient."""
        self._gradient.zero_()

    def update(self, optimizer):
        """Let an optimizer change the weights.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Of the leaves.
        """
        optimizer.step()

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


class CompiledWeights(FlatWeights):
    """Flat weights on the CPU, whose clipping and Adam are compiled loops.

    Parameters
    ----------
    groups : list of list of Parameter
        As for `FlatWeights`.
    """

    def clip(self, max_norm=None, max_value=None):
        """Bound the gradient.

        Parameters
        ----------
        max_norm, max_value : float, default=None
            As `clip_gradients` takes them.

        Returns
        -------
        norm : float
            Before.
        clipped : bool
            Whether a bound changed it.
        """
        self.gradients()  # takes in what a callback put elsewhere
        bounds = (math.inf if b is None else float(b) for b in (max_norm, max_value))
        return loops("_flat_loops").clip(self._gradient.numpy(), *bounds)

    def update(self, optimizer):
        """Let an optimizer change the weights.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Of the leaves. Adam's own step is made here, on its own state, unless
            somebody listens to it.
        """
        if not _is_quiet_adam(optimizer):
            optimizer.step()
            return
        for leaf, group in zip(self.leaves, optimizer.param_groups, strict=True):
            state, decay = optimizer.state[leaf], group["weight_decay"]
            state["step"] += 1
            decays = (0.0, decay) if group["decoupled_weight_decay"] else (decay, 0.0)
            loops("_flat_loops").adam(
                leaf.detach().numpy(),
                leaf.grad.numpy(),
                state["exp_avg"].numpy(),
                state["exp_avg_sq"].numpy(),
                (
                    state["step"].item(),
                    float(group["lr"]),
                    *group["betas"],
                    group["eps"],
                    *map(float, decays),
                ),
            )


def _is_quiet_adam(optimizer):
    """Tell whether a step of an optimizer is Adam's formula and nothing else."""
    if type(optimizer) not in (torch.optim.Adam, torch.optim.AdamW):
        return False
    return (
        # The first step makes the state; a scheduler counts steps in its own way.
        len(optimizer.state) > 0
        and "step" not in vars(optimizer)
        and not optimizer._optimizer_step_pre_hooks
        and not optimizer._optimizer_step_post_hooks
        and not torch_optimizer._global_optimizer_pre_hooks
        and not torch_optimizer._global_optimizer_post_hooks
        and not any(g["amsgrad"] or g["maximize"] for g in optimizer.param_groups)
    )


def _aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT
