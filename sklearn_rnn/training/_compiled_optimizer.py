"""Updates of torch's optimizers by the compiled kernels, in the optimizers' state."""

import math

import torch

from sklearn_rnn.kernels import make_struct, make_structs
from sklearn_rnn.training._optimizers import has_plain_step

ADAM_OPTIONS = ("betas", "eps", "decoupled_weight_decay")
# By class: its code in the kernels, the options that are equal in all groups, and the
# names of its state per element.
COMPILED = {
    torch.optim.Adam: (0, ADAM_OPTIONS, ("exp_avg", "exp_avg_sq")),
    torch.optim.AdamW: (0, ADAM_OPTIONS, ("exp_avg", "exp_avg_sq")),
    torch.optim.SGD: (1, ("momentum", "nesterov"), ("momentum_buffer",)),
}


def has_compiled_step(optimizer):
    """Return whether the kernels can make an optimizer's updates.

    Not with hooks, for a scheduler that counts steps, or for options that they lack.
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
    """Return the struct with which the kernels update weights and state in place.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        One that `has_compiled_step`. Missing state is made as its first step would.
    row_wise : list of Parameter, default=()
        Embeddings of which only the rows that a batch reads are updated.

    Returns
    -------
    ctypes.Structure or None
        None if the weights have different step counts, or incomplete state.
    """
    code, _, names = COMPILED[type(optimizer)]
    begin_state(optimizer)
    segments, counts = [], set()
    for group in optimizer.param_groups:
        for weight in group["params"]:
            state = optimizer.state[weight]
            counts.add(float(state.get("step", 0)))
            arrays = [state.get(name) for name in names]
            if group.get("momentum") != 0 and any(array is None for array in arrays):
                return None  # torch has its own rules for these
            segments.append(
                _make_segment(weight, group, arrays, any(weight is w for w in row_wise))
            )
    if len(counts) > 1:
        return None
    first = optimizer.param_groups[0]
    beta_1, beta_2 = map(float, first.get("betas", (0, 0)))
    return make_struct(
        "Optimizer",
        itemsize=weight.itemsize,
        kind=code,
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
    """Add updates that the kernels made to the step counts in an optimizer's state."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if "step" in optimizer.state[weight]:
                optimizer.state[weight]["step"] += n_updates


def decouples_decay(optimizer, group):
    """Return whether weight decay bypasses the gradient, as in AdamW.

    From torch 2.7 this is an option of Adam; before, AdamW was a class of its own.
    """
    is_adamw = isinstance(optimizer, torch.optim.AdamW)
    return is_adamw or bool(group.get("decoupled_weight_decay"))


def begin_state(optimizer):
    """Create missing state as the first step of Adam, AdamW or SGD would."""
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


def _make_segment(weight, group, arrays, is_row_wise):
    """Return the fields of a segment: a weight, its gradient and its state."""
    return {
        "weights": weight.detach(),
        "gradients": weight.grad,
        **dict(zip(("first", "second"), arrays, strict=False)),
        "size": weight.numel(),
        "row_size": weight.shape[1] if is_row_wise else 0,
        "weight_decay": float(group["weight_decay"]),
    }
