"""Optimizers: torch's by name, learning rates, updates by the kernels, and clipping.

Some methods of torch's optimizers are wrapped in functions that import, when they are
first called, what ``torch.compile`` needs: about 800 modules, in 1 to 1.6 seconds.
Outside of compiled code the wrappers change nothing, so the wrapped methods are called
here.
"""

import copy
import math
from functools import cache, partial
from inspect import signature
from typing import Any

import torch
from skorch.callbacks import LRScheduler
from torch.optim import lr_scheduler as torch_schedulers
from torch.optim import optimizer as torch_optimizer

from sklearn_rnn.kernels import import_whole, make_struct, make_structs, run_kernel

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


@cache
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


# Learning rates, and the length of training.

# Fraction of the updates in which the learning rate rises to its full value.
WARM_UP = 0.05


def warm_up_cosine(progress):
    """Rise to 1 in the first 5 % of training, then fall to 0 along a cosine.

    Returns the factor of the learning rate at `progress`, the fraction of the updates
    already made.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm
    restarts", ICLR 2017.

    Examples
    --------
    >>> from sklearn_rnn.training import warm_up_cosine
    >>> [round(warm_up_cosine(p), 3) for p in (0.05, 0.525, 1.0)]
    [1.0, 0.5, 0.0]
    """
    if progress < WARM_UP:
        return (progress + 0.01) / (WARM_UP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


# One cycle: the fraction of the updates that rise, and the factors at both ends.
ONE_CYCLE_RISE, ONE_CYCLE_START, ONE_CYCLE_END = 0.3, 1 / 25, 1e-5


def one_cycle(progress):
    """Rise from 1/25 to 1 in 30 % of training, then fall to nearly 0.

    Both along a cosine. The long time at a high rate regularises. Returns the factor
    of the learning rate at `progress`, the fraction of the updates already made.

    References
    ----------
    Smith and Topin, "Super-convergence: very fast training of neural networks
    using large learning rates", 2018.

    Examples
    --------
    >>> from sklearn_rnn.training import one_cycle
    >>> [round(one_cycle(p), 3) for p in (0.0, 0.3, 0.65, 1.0)]
    [0.04, 1.0, 0.5, 0.0]
    """
    if progress < ONE_CYCLE_RISE:
        begin, end, phase = ONE_CYCLE_START, 1.0, progress / ONE_CYCLE_RISE
    else:
        phase = (progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE)
        begin, end = 1.0, ONE_CYCLE_END
    return end + (begin - end) * 0.5 * (1 + math.cos(math.pi * phase))


# Factors of the learning rate by the fraction of the updates that are made.
SCHEDULES = {"cosine": warm_up_cosine, "one_cycle": one_cycle}
# On a plateau the rate is divided by 5, as MLPClassifier's "adaptive" does, after
# more than this many epochs in a row that have not lowered the loss by `tol`, and
# down to this fraction of the first rate. With a patience of 2, as there, humps in the
# validation loss of small data ended training early.
PLATEAU_FACTOR, PLATEAU_PATIENCE, PLATEAU_FLOOR = 0.2, 4, 0.008


def find_schedule(lr_schedule, *, learning_rate, monitor, tol):
    """Turn an `lr_schedule` into a function of progress, or a skorch callback.

    Parameters
    ----------
    lr_schedule : str, callable, LRScheduler or None
        "cosine", "one_cycle" or "plateau"; a function from the fraction of the
        updates made, in [0, 1], to a factor; a torch scheduler class, or a
        ``functools.partial`` of one; skorch's callback; None for a constant.
    learning_rate : float
        The highest rate.
    monitor : {"train_loss", "valid_loss"}
        The loss whose plateau lowers the rate.
    tol : float
        Minimum decrease of it that counts.

    Returns
    -------
    function : callable or None
        From progress to a factor of the learning rate.
    callback : skorch.callbacks.LRScheduler or None
        Sets the learning rate instead.

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> from functools import partial
    >>> from torch.optim.lr_scheduler import StepLR
    >>> from sklearn_rnn.training import find_schedule
    >>> halve = partial(StepLR, step_size=1, gamma=0.5)
    >>> function, callback = find_schedule(
    ...     halve, learning_rate=0.1, monitor="train_loss", tol=0.0
    ... )
    >>> function, callback.policy.__name__, callback.kwargs
    (None, 'StepLR', {'step_size': 1, 'gamma': 0.5})
    """
    if lr_schedule == "plateau":
        lr_schedule = partial(
            torch_schedulers.ReduceLROnPlateau,
            factor=PLATEAU_FACTOR,
            patience=PLATEAU_PATIENCE,
            min_lr=PLATEAU_FLOOR * learning_rate,
            threshold=tol,
            threshold_mode="abs",
        )
    if lr_schedule is None:
        return None, None
    if isinstance(lr_schedule, str):
        return SCHEDULES[lr_schedule], None
    if isinstance(lr_schedule, LRScheduler):
        return None, lr_schedule
    scheduler, options = lr_schedule, {}
    if isinstance(lr_schedule, partial):
        scheduler, options = lr_schedule.func, lr_schedule.keywords
        if lr_schedule.args and isinstance(scheduler, type):
            raise TypeError(
                f"lr_schedule={lr_schedule!r} has positional arguments, but the first "
                "one is the optimizer, which fit fills in. Pass them by name."
            )
    if isinstance(scheduler, type):
        if not issubclass(scheduler, torch_schedulers.LRScheduler):
            raise TypeError(
                f"lr_schedule={lr_schedule!r} is not a learning rate scheduler of "
                "torch; give such a class, a functools.partial of one, or a name out "
                f"of {[*SCHEDULES, 'plateau']}."
            )
        return None, LRScheduler(scheduler, monitor=monitor, **options)
    if not callable(lr_schedule):
        raise TypeError(
            f"lr_schedule={lr_schedule!r} is a scheduler that has an optimizer "
            "already, or no scheduler: give torch's class, or a functools.partial of "
            "it, and fit makes the scheduler."
        )
    return lr_schedule, None


def check_scheduler(callback, optimizer):
    """Check that skorch's callback can make its scheduler, on a copy of the optimizer.

    Otherwise training would fail after it began.

    Raises
    ------
    TypeError, ValueError
        If it cannot be made.
    """
    policy = copy.copy(callback).initialize().policy_
    try:
        policy(copy.deepcopy(optimizer), **callback.kwargs)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"lr_schedule asks for {policy.__name__}, which cannot be made: {error}. "
            "Give its arguments by name, as in functools.partial(StepLR, step_size=10)."
        ) from error


# "auto" trains for this many updates, and at least this many epochs: small data are
# trained on long enough, and large data often enough.
UPDATE_BUDGET, MIN_EPOCHS = 600, 5


def n_epochs_for(
    n_sequences, batch_size, updates_per_batch=1, budget=UPDATE_BUDGET, at_most=None
):
    """Choose the number of epochs, at least 5, that makes `budget` updates.

    A batch of at most `batch_size` sequences makes `updates_per_batch` on average.

    Examples
    --------
    >>> from sklearn_rnn.training import n_epochs_for
    >>> n_epochs_for(100, 10), n_epochs_for(1_000_000, 64)
    (60, 5)
    """
    n_updates = -(-n_sequences // batch_size) * updates_per_batch
    n_epochs = max(math.ceil(budget / n_updates), MIN_EPOCHS)
    return n_epochs if at_most is None else min(n_epochs, at_most)


# Checks of state.

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


# Updates by the compiled kernels, in the state of torch's optimizers.

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


# Clipping in few calls: torch's own functions take 0.1 ms per update on six small
# tensors, a tenth of the whole update.


@torch.no_grad()
def clip_gradients(gradients, max_norm=None, max_value=None):
    """Clip gradients by value, then by the norm of all of them, in place.

    Returns the norm before clipping, and whether they were changed; on a GPU as
    tensors, which are not waited for. None as a maximum does not clip.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent
    neural networks", ICML 2013.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import clip_gradients
    >>> gradients = [torch.tensor([3.0]), torch.tensor([-4.0])]
    >>> clip_gradients(gradients, max_norm=1.0)
    (5.0, True)
    >>> gradients
    [tensor([0.6000]), tensor([-0.8000])]
    """
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    if flat.device.type != "cpu":
        return _clip_without_sync(gradients, flat, max_norm, max_value)
    before = norm = flat.norm().item()
    clipped = False
    if max_value is not None and flat.abs().max() > max_value:
        clipped = True
        norm = flat.clamp_(-max_value, max_value).norm().item()
        for gradient in gradients:
            gradient.clamp_(-max_value, max_value)
    if max_norm is not None and norm > max_norm:
        clipped = True
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return before, clipped


def _clip_without_sync(gradients, flat, max_norm, max_value):
    """Clip without reading a value: more operations, but no waiting for a GPU."""
    before = norm = flat.norm()
    clipped = torch.zeros_like(norm, dtype=torch.bool)
    if max_value is not None:
        clipped = flat.abs().max() > max_value
        norm = flat.clamp_(-max_value, max_value).norm()
        for gradient in gradients:
            gradient.clamp_(-max_value, max_value)
    if max_norm is not None:
        clipped = clipped | (norm > max_norm)
        factor = (max_norm / norm).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
    return before, clipped


def clip_compiled(gradients, max_norm=None, max_value=None):
    """Clip contiguous gradients on the CPU as `clip_gradients` does, by the kernels."""
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
