"""Calls of torch's optimizers that leave torch's compiler where it is.

Some methods of torch's optimizers are wrapped in functions that import, when they are
first called, what ``torch.compile`` needs: about 800 modules, in 1 to 1.6 seconds.
Outside of compiled code the wrappers change nothing, so what they wrap is called here.
"""

from functools import partial

import torch
from torch.optim import optimizer as torch_optimizer

from sklearn_rnn.kernels import import_whole
from sklearn_rnn.training._optimizers import is_elementwise

# What torch's wrappers import; in one piece, or Ctrl-C would leave half of it.
COMPILER = "torch.fx.experimental.symbolic_shapes", "torch._dynamo"
# Where torch defines the wrappers. Other wrappers are kept.
WRAPPED_BY = {"torch._compile", "torch.optim.optimizer"}


def make_optimizer(optimizer_class, *args, **kwargs):
    """Return ``optimizer_class(*args, **kwargs)``.

    Parameters
    ----------
    optimizer_class : type
        A class derived from ``torch.optim.Optimizer``; of one that is not in
        ``OPTIMIZERS`` the compiler is imported.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    torch.optim.Optimizer
        Of this class.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import make_optimizer
    >>> optimizer = make_optimizer(torch.optim.Adam, [torch.zeros(2)], lr=0.1)
    >>> type(optimizer).__name__, len(optimizer.param_groups)
    ('Adam', 1)
    """
    if not is_elementwise(optimizer_class):
        import_whole(*COMPILER)
        return optimizer_class(*args, **kwargs)
    optimizer = optimizer_class.__new__(optimizer_class)
    # The base class adds its groups by this method: for once without the wrapper.
    optimizer.add_param_group = partial(
        _unwrapped(optimizer_class.add_param_group), optimizer
    )
    optimizer.__init__(*args, **kwargs)
    del optimizer.add_param_group
    return optimizer


def update_weights(optimizer):
    """Make a step: ``optimizer.step()``.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its gradients are there.
    """
    if not has_plain_step(optimizer):
        import_whole(*COMPILER)
        optimizer.step()
        return
    with torch.no_grad():
        _unwrapped(type(optimizer).step)(optimizer)


def get_optimizer_state(optimizer):
    """Return ``optimizer.state_dict()``.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of any class.

    Returns
    -------
    dict
        Its state dict.
    """
    return _state_method(optimizer, "state_dict")()


def load_optimizer_state(optimizer, state):
    """Call ``optimizer.load_state_dict(state)``.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of any class.
    state : dict
        A state dict.
    """
    _state_method(optimizer, "load_state_dict")(state)


def _state_method(optimizer, name):
    """Return a method of an optimizer, without torch's wrapper where it has one."""
    if is_elementwise(type(optimizer)) and name not in vars(optimizer):
        return partial(_unwrapped(getattr(type(optimizer), name)), optimizer)
    import_whole(*COMPILER)
    return getattr(optimizer, name)


def _unwrapped(method):
    """Return what torch wrapped into a method, or the method itself."""
    while hasattr(method, "__wrapped__") and (
        # Where the wrapper was defined: its name is that of what it wraps.
        method.__globals__["__name__"] in WRAPPED_BY
    ):
        method = method.__wrapped__
    return method


def has_plain_step(optimizer):
    """Return whether a step is the formula alone, without hooks and gradients.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Any.

    Returns
    -------
    bool
        True for the optimizers that have a name here.
    """
    return (
        is_elementwise(type(optimizer))
        and "step" not in vars(optimizer)  # a scheduler counts steps in its own way
        and not optimizer.defaults.get("differentiable", False)
        and not optimizer._optimizer_step_pre_hooks
        and not optimizer._optimizer_step_post_hooks
        and not torch_optimizer._global_optimizer_pre_hooks
        and not torch_optimizer._global_optimizer_post_hooks
    )
