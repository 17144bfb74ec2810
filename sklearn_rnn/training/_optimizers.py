"""Optimizers by name, and where they run."""

from inspect import signature

import torch

# Name: class, options. The fused form is one call for all weights: on small
# networks a step costs a fifth of the loop over tensors.
OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"fused": True, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (torch.optim.RMSprop, {}),
}


def find_optimizer(optimizer, weight_decay):
    """Turn an optimizer's name into arguments for a skorch net.

    Parameters
    ----------
    optimizer : str or type
        A name, or a class derived from ``torch.optim.Optimizer``.
    weight_decay : float
        For matrices alone: biases and the scales of layer normalisation are
        not decayed.

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
    options = {}
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
            f"weight_decay={weight_decay} is given, and {optimizer.__name__} has no "
            "weight decay. Set it to 0, or take another optimizer."
        )
    # Passed even if zero: torch's AdamW decays by 0.01 unless told otherwise.
    if takes_decay:
        options["weight_decay"] = float(weight_decay)
    if weight_decay:
        spared = ("*bias*", "*norms*")
        options["param_groups"] = [(name, {"weight_decay": 0.0}) for name in spared]
    return optimizer, {f"optimizer__{name}": value for name, value in options.items()}


def is_elementwise(optimizer):
    """Tell whether an optimizer is known to treat every number by itself.

    Parameters
    ----------
    optimizer : type
        A class derived from ``torch.optim.Optimizer``.

    Returns
    -------
    bool
        Whether weights in one tensor are changed as they would be in several.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training._optimizers import is_elementwise
    >>> is_elementwise(torch.optim.Adam), is_elementwise(torch.optim.LBFGS)
    (True, False)
    """
    return any(optimizer is known for known, _ in OPTIMIZERS.values())


# Values of torch's own optimizers that stand beside a weight, element by element.
STATE_OF_ELEMENTS = {
    *("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer"),
    *("square_avg", "grad_avg", "acc_delta", "sum", "ax", "prev", "step_size"),
}
START_AGAIN = "Call net_.initialize_optimizer() to start the optimizer's state again."


def check_optimizer_state(optimizer):
    """Check that an optimizer's state and gradients fit its weights.

    torch's fused steps and compiled loops read and write as many elements as a weight
    has, whatever ``load_state_dict`` or a callback put beside it.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of torch, or derived from such a class; of others nothing is known.

    Raises
    ------
    ValueError
        If something has another shape, type, device or memory layout than its weight.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import check_optimizer_state
    >>> weight = torch.nn.Parameter(torch.zeros(3))
    >>> check_optimizer_state(torch.optim.SGD([weight], momentum=0.9))
    """
    if not any(c.__module__.startswith("torch.optim.") for c in type(optimizer).mro()):
        return
    for group in optimizer.param_groups:
        for weight in group["params"]:
            beside = {"gradient": weight.grad, **optimizer.state.get(weight, {})}
            for name, value in beside.items():
                if not _fits(name, value, weight, group):
                    raise ValueError(
                        f"the optimizer's {name} is of {_described(value)}, but the "
                        f"weight that it belongs to is of {_described(weight)}: "
                        "load_state_dict or a callback put there what is of other "
                        f"weights. {START_AGAIN}"
                    )
            _check_complete(optimizer, optimizer.state.get(weight))


def _check_complete(optimizer, state):
    """Check that Adam's state, once begun, has all that its step reads."""
    if not state or not isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)):
        return
    missing = {"step", "exp_avg", "exp_avg_sq"} - state.keys()
    if missing:
        raise ValueError(
            f"the optimizer's state has no {' and no '.join(sorted(missing))}: "
            f"load_state_dict or a callback left it out. {START_AGAIN}"
        )


def _fits(name, value, weight, group):
    """Return whether a value is what an optimizer may keep beside a weight."""
    if not torch.is_tensor(value):
        is_of_elements = name in STATE_OF_ELEMENTS and name != "momentum_buffer"
        return not is_of_elements and not (name == "step" and group.get("fused"))
    if name == "step":
        return value.numel() == 1
    if value.is_sparse or name not in STATE_OF_ELEMENTS | {"gradient"}:
        return True
    size = value.numel() * value.element_size()
    if value.untyped_storage().nbytes() < size and 0 not in value.stride():
        return False  # its memory was given back
    if (value.shape, value.dtype, value.device) != (
        weight.shape,
        weight.dtype,
        weight.device,
    ):
        return False
    # Fused steps take both as one run of elements, in the order of memory.
    is_contiguous = value.is_contiguous() and weight.is_contiguous()
    return not group.get("fused") or is_contiguous or value.stride() == weight.stride()


def _described(tensor):
    if not torch.is_tensor(tensor):
        return f"type {type(tensor).__name__}"
    layout = "" if tensor.is_contiguous() else ", not contiguous"
    return f"shape {tuple(tensor.shape)} ({tensor.dtype}, {tensor.device}{layout})"
