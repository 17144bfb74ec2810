"""All weights and all gradients as parts of one tensor each.

On small networks a call costs more than its arithmetic: with six weights, clipping,
zeroing and the optimizer are six times as many calls.
"""

import math

import torch
from torch.optim import optimizer as torch_optimizer

from sklearn_rnn.kernels import loops
from sklearn_rnn.training._clipping import clip_gradients
from sklearn_rnn.training._eager import update_weights

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

    def owns_storage(self, parameters):
        """Return whether these are still the weights that training may change.

        Parameters
        ----------
        parameters : iterable of Parameter
            Those that the network has now.

        Returns
        -------
        bool
            False if some were replaced, moved, frozen or thawed.
        """
        return {id(p) for p in parameters} == {id(p) for p in self.parameters}

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
        self._views, self._layout = [], []
        self.leaves = []
        self._leaf_sizes = [sum(group_sizes) for group_sizes in sizes]
        end = 0
        for group, group_sizes in zip(groups, sizes, strict=True):
            begin = end
            for parameter, size in zip(group, group_sizes, strict=True):
                self._take_in(parameter, end)
                end += size
            self.leaves.append(torch.nn.Parameter(flat[begin:end]))
        self._leaf_gradients = list(self._gradient.split(self._leaf_sizes))
        for leaf, gradient in zip(self.leaves, self._leaf_gradients, strict=True):
            leaf.grad = gradient

    @torch.no_grad()
    def _take_in(self, parameter, begin):
        inside = slice(begin, begin + parameter.numel())
        value = self._flat[inside].view(parameter.shape)
        value.copy_(parameter)
        parameter.data = value
        parameter.grad = self._gradient[inside].view(parameter.shape)
        self._views.append(parameter.grad)
        self._layout.append(self._place(parameter))

    def _place(self, parameter):
        """Return where a weight lies, relative to the flat tensor, and its layout.

        Relative: a copy of this object in another process may be anywhere.
        """
        offset = parameter.data_ptr() - self._flat.data_ptr()
        return offset, parameter.dtype, parameter.shape, parameter.stride()

    @property
    def values(self):
        """The weights, a list of one tensor."""
        return [self._flat]

    def owns_storage(self, parameters):
        """Return whether these are still the weights that training may change.

        Parameters
        ----------
        parameters : iterable of Parameter
            Those that the network has now.

        Returns
        -------
        bool
            False if some were replaced, moved, frozen or thawed.
        """
        known = {id(p): is_trained for p, is_trained in self._are_trained}
        found = {id(p): p.requires_grad for p in parameters}
        ends = [(leaf.data_ptr(), leaf.shape) for leaf in self.leaves]
        return (
            found == known
            and [self._place(p) for p in self.parameters] == self._layout
            and ends == [(view.data_ptr(), view.shape) for view in self._leaf_views()]
        )

    def _leaf_views(self):
        """Return the parts of the flat tensor that the leaves were made of."""
        return self._flat.split(self._leaf_sizes)

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
        update_weights(optimizer)

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
        # After the optimizer's zero_grad there would be none, and no step either.
        for leaf, gradient in zip(self.leaves, self._leaf_gradients, strict=True):
            if leaf.grad is not gradient:
                leaf.grad = gradient
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
        if not _is_quiet_adam(optimizer) or not self._has_leaves_of(optimizer):
            update_weights(optimizer)
            return
        for leaf, group in zip(self.leaves, optimizer.param_groups, strict=True):
            state, decay = optimizer.state[leaf], float(group["weight_decay"])
            state["step"] += 1
            decays = (0.0, decay) if group["decoupled_weight_decay"] else (decay, 0.0)
            beta_1, beta_2 = group["betas"]
            # Any of these may be a tensor of one element, as torch allows.
            options = state["step"], group["lr"], beta_1, beta_2, group["eps"]
            loops("_flat_loops").adam(
                leaf.detach().numpy(),
                leaf.grad.numpy(),
                state["exp_avg"].numpy(),
                state["exp_avg_sq"].numpy(),
                (*map(float, options), *decays),
            )

    def _has_leaves_of(self, optimizer):
        """Return whether an optimizer changes the leaves, and has begun to.

        Its first step makes the state; a callback may have put another one there.
        """
        groups = optimizer.param_groups
        if len(groups) != len(self.leaves):
            return False
        for group, leaf in zip(groups, self.leaves, strict=True):
            [first, *others] = group["params"]
            if first is not leaf or others or leaf not in optimizer.state:
                return False
        return True


def _is_quiet_adam(optimizer):
    """Return whether a step of an optimizer is Adam's formula and nothing else."""
    if type(optimizer) not in (torch.optim.Adam, torch.optim.AdamW):
        return False
    return (
        # A scheduler counts steps in its own way.
        "step" not in vars(optimizer)
        and not optimizer._optimizer_step_pre_hooks
        and not optimizer._optimizer_step_post_hooks
        and not torch_optimizer._global_optimizer_pre_hooks
        and not torch_optimizer._global_optimizer_post_hooks
        and not any(g["amsgrad"] or g["maximize"] for g in optimizer.param_groups)
    )


def _aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT
