"""torch's optimizers: by name, and called so that torch's compiler stays unloaded.

Some methods of torch's optimizers are wrapped in functions that import, when they are
first called, what ``torch.compile`` needs: about 800 modules, in 1 to 1.6 seconds.
Outside of compiled code the wrappers change nothing, so the wrapped methods are called
here.
"""

from functools import partial
from inspect import signature
from typing import Any

import torch
from torch.optim import optimizer as torch_optimizer

from sklearn_rnn.kernels import import_whole

# Name: class, options. The fused form is one call for all weights: on small
# networks an update costs a fifth of the loop over tensors.
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"fused": True, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (torch.optim.RMSprop, {}),
}
# They update each element by itself: weights in one tensor as they would in several.
ELEMENTWISE = frozenset(optimizer for optimizer, _ in OPTIMIZERS.values())
# What torch's wrappers import; at once, or Ctrl-C would leave half of it.
COMPILER = "torch.fx.experimental.symbolic_shapes", "torch._dynamo"
# Where torch defines the wrappers. Other wrappers are kept.
WRAPPED_BY = {"torch._compile", "torch.optim.optimizer"}

# Of torch, called by every optimizer.
GLOBAL_OPTIMIZER_HOOKS = (
    torch_optimizer._global_optimizer_pre_hooks,
    torch_optimizer._global_optimizer_post_hooks,
)


def find_optimizer(optimizer, weight_decay):
    """Return an optimizer's class, and its options for a skorch net.

    Parameters
    ----------
    optimizer : str or type
        A name out of `OPTIMIZERS`, or a class derived from ``torch.optim.Optimizer``.
    weight_decay : float
        For matrices only: biases and the scales of layer normalisation are not
        decayed.

    Returns
    -------
    optimizer : type
        The class.
    options : dict
        For skorch, prefixed with ``optimizer__``.

    Examples
    --------
    >>> from sklearn_rnn.training import find_optimizer
    >>> optimizer, options = find_optimizer("rmsprop", 0.1)
    >>> optimizer.__name__, options["optimizer__weight_decay"]
    ('RMSprop', 0.1)
    """
    options: dict[str, Any] = {}
    if isinstance(optimizer, str):
        optimizer, options = OPTIMIZERS[optimizer]
    elif not issubclass(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer={optimizer!r} is not a torch.optim.Optimizer class; give one, "
            f"or a name out of {sorted(OPTIMIZERS)}."
        )
    options = dict(options)
    takes_decay = "weight_decay" in signature(optimizer).parameters
    if weight_decay and not takes_decay:
        raise ValueError(
            f"weight_decay={weight_decay} is given, but {optimizer.__name__} has no "
            "weight decay. Set weight_decay=0, or use another optimizer."
        )
    # Passed even if zero: torch's AdamW decays by 0.01 unless told otherwise.
    if takes_decay:
        options["weight_decay"] = float(weight_decay)
    if weight_decay:
        without_decay = ("*bias*", "*norms*")
        options["param_groups"] = [
            (name, {"weight_decay": 0.0}) for name in without_decay
        ]
    return optimizer, {f"optimizer__{name}": value for name, value in options.items()}


def make_optimizer(optimizer_class, *args, **kwargs):
    """Return ``optimizer_class(*args, **kwargs)``.

    Only for a class that is not in `OPTIMIZERS` torch's compiler is imported.
    """
    if optimizer_class not in ELEMENTWISE:
        import_whole(*COMPILER)
        return optimizer_class(*args, **kwargs)
    optimizer = optimizer_class.__new__(optimizer_class)
    # The base class adds its groups by this method: for once without the wrapper.
    optimizer.add_param_group = partial(
        _unwrap(optimizer_class.add_param_group), optimizer
    )
    optimizer.__init__(*args, **kwargs)
    del optimizer.add_param_group
    return optimizer


def update_weights(optimizer):
    """Call ``optimizer.step()``."""
    if not has_plain_step(optimizer):
        import_whole(*COMPILER)
        optimizer.step()
        return
    with torch.no_grad():
        _unwrap(type(optimizer).step)(optimizer)


def get_optimizer_state(optimizer):
    """Return ``optimizer.state_dict()``."""
    return _state_method(optimizer, "state_dict")()


def load_optimizer_state(optimizer, state):
    """Call ``optimizer.load_state_dict(state)``."""
    _state_method(optimizer, "load_state_dict")(state)


def _state_method(optimizer, name):
    """Return a method of an optimizer, without torch's wrapper where it has one."""
    if type(optimizer) in ELEMENTWISE and name not in vars(optimizer):
        return partial(_unwrap(getattr(type(optimizer), name)), optimizer)
    import_whole(*COMPILER)
    return getattr(optimizer, name)


def _unwrap(method):
    """Return the method that torch wrapped, or the method itself."""
    while hasattr(method, "__wrapped__") and (
        # Where the wrapper was defined: its name is that of the method it wraps.
        method.__globals__["__name__"] in WRAPPED_BY
    ):
        method = method.__wrapped__
    return method


def has_plain_step(optimizer):
    """Return whether a known optimizer's step is its formula alone, without hooks."""
    return (
        type(optimizer) in ELEMENTWISE
        and "step" not in vars(optimizer)  # a scheduler counts steps in its own way
        and not optimizer.defaults.get("differentiable", False)
        and not optimizer._optimizer_step_pre_hooks
        and not optimizer._optimizer_step_post_hooks
        and not any(GLOBAL_OPTIMIZER_HOOKS)
    )


# State of torch's own optimizers that has one value per element of a weight.
STATE_OF_ELEMENTS = {
    *("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer"),
    *("square_avg", "grad_avg", "acc_delta", "sum", "ax", "prev", "step_size"),
}
RESET_STATE = "Call net_.initialize_optimizer() to reset the optimizer's state."


def check_optimizer_state(optimizer):
    """Check that an optimizer's state and gradients fit its weights.

    torch's fused steps and the compiled kernels read and write as many elements as a
    weight has, whatever ``load_state_dict`` or a callback put there. Optimizers that
    are not derived from torch's are not checked.

    Raises
    ------
    ValueError
        If a value's shape, dtype, device or memory layout is not that of its weight.
    """
    if not any(c.__module__.startswith("torch.optim.") for c in type(optimizer).mro()):
        return
    for group in optimizer.param_groups:
        for weight in group["params"]:
            state = {"gradient": weight.grad, **optimizer.state.get(weight, {})}
            for name, value in state.items():
                if not _fits(name, value, weight, group):
                    raise ValueError(
                        f"the optimizer's {name} is of {_describe(value)}, but its "
                        f"weight is of {_describe(weight)}: load_state_dict or a "
                        f"callback set the state of other weights. {RESET_STATE}"
                    )
            _check_complete(optimizer, optimizer.state.get(weight))


def _check_complete(optimizer, state):
    """Check that Adam's state, once begun, has everything that its step reads."""
    if not state or not isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)):
        return
    missing = {"step", "exp_avg", "exp_avg_sq"} - state.keys()
    if missing:
        raise ValueError(
            f"the optimizer's state has no {' and no '.join(sorted(missing))}: "
            f"load_state_dict or a callback removed it. {RESET_STATE}"
        )


def _fits(name, value, weight, group):
    """Return whether a value may be the gradient or state of a weight."""
    if not torch.is_tensor(value):
        is_of_elements = name in STATE_OF_ELEMENTS and name != "momentum_buffer"
        return not is_of_elements and not (name == "step" and group.get("fused"))
    if name == "step":
        return value.numel() == 1
    if value.is_sparse or name not in STATE_OF_ELEMENTS | {"gradient"}:
        return True
    size = value.numel() * value.element_size()
    if value.untyped_storage().nbytes() < size and 0 not in value.stride():
        return False  # its memory was released
    if (value.shape, value.dtype, value.device) != (
        weight.shape,
        weight.dtype,
        weight.device,
    ):
        return False
    # Fused steps read both as one run of elements, in the order of memory.
    is_contiguous = value.is_contiguous() and weight.is_contiguous()
    return not group.get("fused") or is_contiguous or value.stride() == weight.stride()


def _describe(value):
    if not torch.is_tensor(value):
        return f"type {type(value).__name__}"
    layout = "" if value.is_contiguous() else ", not contiguous"
    return f"shape {tuple(value.shape)} ({value.dtype}, {value.device}{layout})"
