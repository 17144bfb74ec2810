"""Clipping and steps of torch's optimizers by the compiled kernels."""

import math

import torch

from sklearn_rnn.kernels import make_struct, make_structs, run_kernel
from sklearn_rnn.training._eager import has_plain_step

ADAM_OPTIONS = ("betas", "eps", "decoupled_weight_decay")
# By class: its code in the kernels, the options they have, and what it keeps beside
# each element of a weight.
COMPILED = {
    torch.optim.Adam: (0, ADAM_OPTIONS, ("exp_avg", "exp_avg_sq")),
    torch.optim.AdamW: (0, ADAM_OPTIONS, ("exp_avg", "exp_avg_sq")),
    torch.optim.SGD: (1, ("momentum", "nesterov"), ("momentum_buffer",)),
}


def has_compiled_step(optimizer):
    """Return whether a step of an optimizer is its formula alone, and compiled.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Any.

    Returns
    -------
    bool
        False with hooks, for a scheduler that counts steps, and for options that the
        kernels do not have.
    """
    if type(optimizer) not in COMPILED or not has_plain_step(optimizer):
        return False
    _, shared, _ = COMPILED[type(optimizer)]
    first = optimizer.param_groups[0]
    return all(
        not (group.get("amsgrad") or group["maximize"] or group.get("dampening"))
        and all(group.get(name) == first.get(name) for name in ("lr", *shared))
        for group in optimizer.param_groups
    )


def make_optimizer_struct(optimizer, row_wise=()):
    """Return what the kernels need to make steps of an optimizer.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        One that `has_compiled_step`. Its state is changed in place, and is made as the
        optimizer's first step would make it where there is none yet.
    row_wise : list of Parameter, default=()
        Embeddings of which only the rows that a batch reads are updated.

    Returns
    -------
    ctypes.Structure or None
        None if the weights are not at the same step, or their state is incomplete.
    """
    kind, _, names = COMPILED[type(optimizer)]
    begin_state(optimizer)
    segments, counts = [], set()
    for group in optimizer.param_groups:
        for weight in group["params"]:
            state = optimizer.state[weight]
            counts.add(float(state.get("step", 0)))
            beside = [state.get(name) for name in names]
            if group.get("momentum") != 0 and any(part is None for part in beside):
                return None  # torch knows what to make of it
            segments.append(
                _segment(weight, group, beside, any(weight is w for w in row_wise))
            )
    if len(counts) > 1:
        return None
    first = optimizer.param_groups[0]
    beta_1, beta_2 = map(float, first.get("betas", (0, 0)))
    return make_struct(
        "Optimizer",
        itemsize=weight.itemsize,
        kind=kind,
        n_segments=len(segments),
        segments=make_structs("Segment", segments),
        n_updates=int(counts.pop()),
        learning_rate=float(first["lr"]),
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=float(first.get("eps", 0)),
        momentum=float(first.get("momentum", 0)),
        nesterov=int(first.get("nesterov", False)),
        decoupled=int(decouples_decay(optimizer, first)),
        max_norm=math.inf,
        max_value=math.inf,
    )


def count_updates(optimizer, n_updates):
    """Count steps that the kernels have made in an optimizer's state.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of which `make_optimizer_struct` made a struct.
    n_updates : int
        Steps since.
    """
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if "step" in optimizer.state[weight]:
                optimizer.state[weight]["step"] += n_updates


def clip_compiled(gradients, max_norm=None, max_value=None):
    """Bound gradients by value, then by norm, as `clip_gradients` does.

    Parameters
    ----------
    gradients : list of Tensor
        Contiguous and on the CPU; changed in place.
    max_norm, max_value : float, default=None
        None has no bound.

    Returns
    -------
    norm : float
        Before.
    clipped : bool
        Whether a bound changed them.
    """
    struct = make_struct(
        "Optimizer",
        itemsize=gradients[0].itemsize,
        n_segments=len(gradients),
        segments=make_structs(
            "Segment", [{"gradients": g, "size": g.numel()} for g in gradients]
        ),
        max_norm=math.inf if max_norm is None else float(max_norm),
        max_value=math.inf if max_value is None else float(max_value),
    )
    run_kernel("clip", struct)
    return struct.norm, bool(struct.clipped)


def decouples_decay(optimizer, group):
    """Return whether weight decay shrinks weights beside the gradient (AdamW).

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Any.
    group : dict
        One of its groups of parameters.

    Returns
    -------
    bool
        Adam of torch 2.7 has an option for it; before, AdamW was a class of its own.
    """
    is_adamw = isinstance(optimizer, torch.optim.AdamW)
    return is_adamw or bool(group.get("decoupled_weight_decay"))


def begin_state(optimizer):
    """Make the state of weights that have none as the optimizer's first step does.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of others than Adam, AdamW and SGD nothing is changed.
    """
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if type(optimizer) in COMPILED and not optimizer.state[weight]:
                optimizer.state[weight] = _new_state(weight, group)


def _new_state(weight, group):
    if "betas" in group:
        return {
            "step": torch.zeros((), dtype=torch.float32),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }
    return {"momentum_buffer": torch.zeros_like(weight)} if group["momentum"] else {}


def _segment(weight, group, beside, is_row_wise):
    """Return the fields of a segment: a weight, and what is kept beside it."""
    arrays = dict(zip(("first", "second"), beside, strict=False))
    return {
        "weights": weight.detach(),
        "gradients": weight.grad,
        **arrays,
        "size": weight.numel(),
        "row_size": weight.shape[1] if is_row_wise else 0,
        "weight_decay": float(group["weight_decay"]),
    }
