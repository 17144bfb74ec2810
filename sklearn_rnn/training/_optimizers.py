"""Optimizers: learning rates, the weights that they change, updates, and clipping.

Some methods of torch's optimizers are wrapped in functions that import, when they are
first called, what ``torch.compile`` needs: about 800 modules, in 1 to 1.6 seconds.
Outside of compiled code the wrappers change nothing, so the wrapped methods are called
here.
"""

import copy
import math
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache, partial
from typing import Any

import torch
from torch.optim import optimizer as torch_optimizer

from sklearn_rnn.kernels import import_whole, make_struct, make_structs, run_kernel
from sklearn_rnn.modules import TiedHead, TokenEmbedding
from sklearn_rnn.training._embedding_rows import EmbeddingRows, decouples_decay

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


# The weights that an optimizer changes.
#
# On small networks a call costs more than its arithmetic: with six weights, clipping,
# zeroing and the optimizer are six times as many calls. So all weights, and all
# gradients, are views of one tensor each, unless something needs them one by one.

# Each weight begins at a multiple of this many elements, where vector registers are
# loaded fastest.
ALIGNMENT = 16


class SeparateWeights:
    """The weights of a network, each with a gradient of its own or none.

    For optimizers that may treat a weight as a whole, and for callbacks that select
    weights by name.

    Parameters
    ----------
    parameters : list of Parameter
        Those that training may change.
    """

    def __init__(self, parameters):
        self.parameters = parameters

    @property
    def tensors(self):
        """The values of the weights, a list of tensors."""
        return [parameter.detach() for parameter in self.parameters]

    def owns_storage(self, parameters):
        """Return whether the network still has these weights, none frozen or moved."""
        return {id(p) for p in parameters} == {id(p) for p in self.parameters}

    def clear_gradients(self, every_row=False):
        """Clear the gradient. `every_row` is for flat weights."""
        for parameter in self.parameters:
            parameter.grad = None

    def recording_rows(self):
        """Return a context in which a gradient is computed."""
        return nullcontext()

    def gradients(self):
        """Return the gradient, a list of tensors that may be changed in place."""
        return [p.grad for p in self.parameters if p.grad is not None]

    @torch.no_grad()
    def sum_gradients(self, processes):
        """Add up the gradient over processes, of which some may have none."""
        has_gradient = torch.tensor([int(p.grad is not None) for p in self.parameters])
        processes.maximum(has_gradient)
        trained = [
            parameter
            for parameter, has in zip(self.parameters, has_gradient, strict=True)
            if has
        ]
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        _sum_together([parameter.grad for parameter in trained], processes)

    def clip(self, max_norm=None, max_value=None):
        """Clip the gradient; return its norm before, and whether it was clipped."""
        return clip_gradients(self.gradients(), max_norm, max_value)

    def step(self, optimizer, compute):
        """Let an optimizer change the weights; return the gradient that it used.

        `compute` fills in the gradient and returns a `Gradient`. An optimizer such as
        LBFGS calls it several times; the first result is returned.
        """
        results = []

        def closure():
            results.append(compute())
            return results[-1].loss

        optimizer.step(closure)
        return results[0]


class FlatWeights:
    """The weights of a network as views of one tensor, and so the gradients.

    Parameters
    ----------
    groups : list of list of Parameter
        All weights, by the optimizer's options. Data and gradients of those that are
        not frozen become views of this object's.
    network : torch.nn.Module, default=None
        Whose weights they are. An update changes only the rows that it read of an
        embedding whose weight no output layer or other module shares, which would give
        all rows a gradient; None has no such embeddings.
    compiled : bool, default=False
        Whether the compiled kernels clip and update the weights, which are on the CPU.

    Attributes
    ----------
    tensors : list of Tensor
        The values of the weights, one tensor.
    leaves : list of list of Parameter
        What an optimizer is to change, by group: first the group's weights side by
        side as one vector, then each of its row-wise embeddings, (n_rows,
        embedding_dim). Their gradients are always there.
    embeddings : list of EmbeddingRows
        One per row-wise embedding: its leaf, its gradient and the rows that were
        read. What computes a gradient without calling the embedding has to `add`
        the rows before `clip` and `update`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import FlatWeights
    >>> layer = torch.nn.Linear(1, 1)
    >>> weights = FlatWeights([[layer.weight], [layer.bias]])
    >>> weights.tensors[0].zero_()[:2]
    tensor([0., 0.])
    >>> layer(torch.ones(1)).item()
    0.0
    """

    def __init__(self, groups, network=None, compiled=False):
        self._compiled = compiled
        self._requires_grad = [(p, p.requires_grad) for group in groups for p in group]
        trained = [[p for p in group if p.requires_grad] for group in groups]
        # Embeddings whose weight no other module has, which may read all rows of it.
        modules = [] if network is None else list(network.modules())
        owned = [id(p) for m in modules for p in m.parameters(recurse=False)]
        owned += [id(m.embedding.weight) for m in modules if isinstance(m, TiedHead)]
        by_row = {
            id(m.weight): m
            for m in modules
            if type(m) is TokenEmbedding and owned.count(id(m.weight)) == 1
        }
        # Row-wise weights lie behind all others, whose gradient so is one slice.
        dense = [[p for p in group if id(p) not in by_row] for group in trained]
        rows = [(k, [p]) for k, ps in enumerate(trained) for p in ps if id(p) in by_row]
        blocks = [*enumerate(dense), *rows]
        self.parameters = [parameter for _, block in blocks for parameter in block]
        sizes = {p: -(-p.numel() // ALIGNMENT) * ALIGNMENT for p in self.parameters}
        first, n_elements = self.parameters[0], sum(sizes.values())
        self._flat = torch.zeros(n_elements, dtype=first.dtype, device=first.device)
        self._gradient = torch.zeros_like(self._flat)
        self.tensors = [self._flat]
        # Each with its gradient: views at the same offset in these two.
        self._weight_views: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._leaf_views: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.leaves: list[list[torch.nn.Parameter]] = [[] for _ in groups]
        self.embeddings: list[EmbeddingRows] = []
        end = 0
        for k, block in blocks:
            begin = end
            for parameter in block:
                inside = slice(end, end + parameter.numel())
                values = self._flat[inside].view(parameter.shape)
                gradient = self._gradient[inside].view(parameter.shape)
                parameter.data = values.copy_(parameter.detach())
                parameter.grad = gradient
                self._weight_views.append((parameter, gradient))
                end += sizes[parameter]
            embedding = by_row.get(id(block[0])) if block else None
            if embedding is None:  # with the gaps, which stay 0
                values, gradient = self._flat[begin:end], self._gradient[begin:end]
            leaf = torch.nn.Parameter(values)
            leaf.grad = gradient
            self._leaf_views.append((leaf, gradient))
            self.leaves[k].append(leaf)
            if embedding is not None:
                self.embeddings.append(EmbeddingRows(embedding, leaf, gradient))
        n_dense = sum(leaves[0].numel() for leaves in self.leaves)
        self._dense_gradient = self._gradient[:n_dense]

    def owns_storage(self, parameters):
        """Return whether the network still has these weights, none frozen or moved."""
        known = {id(p): requires_grad for p, requires_grad in self._requires_grad}
        found = {id(p): p.requires_grad for p in parameters}
        values_at, gradient_at = self._flat.data_ptr(), self._gradient.data_ptr()
        # Not their addresses: a copy of this object in another process may be anywhere.
        return found == known and all(
            values.data_ptr() - values_at == gradient.data_ptr() - gradient_at
            and values.dtype == gradient.dtype
            and values.shape == gradient.shape
            and values.stride() == gradient.stride()
            for values, gradient in (*self._weight_views, *self._leaf_views)
            if gradient.numel()
        )

    def clear_gradients(self, every_row=False):
        """Clear the gradient.

        With `every_row` also where a callback may have replaced gradients, or written
        to rows of embeddings that were not read.
        """
        if every_row:
            for parameter, gradient in (*self._weight_views, *self._leaf_views):
                parameter.grad = gradient
        self._dense_gradient.zero_()
        for embedding in self.embeddings:
            embedding.clear(every_row)

    @contextmanager
    def recording_rows(self):
        """Let row-wise embeddings record what they read in this context."""
        with ExitStack() as stack:
            for embedding in self.embeddings:
                stack.enter_context(embedding.recording())
            yield

    def gradients(self):
        """Return the gradient, a list of tensors.

        The first, of all but row-wise embeddings, may be changed in place; the others
        are copies of the rows of each of these that were read.
        """
        for parameter, gradient in self._weight_views:
            if parameter.grad is not gradient:  # a callback put another one there
                if parameter.grad is None:
                    gradient.zero_()
                else:
                    gradient.copy_(parameter.grad)
                parameter.grad = gradient
        # After the optimizer's zero_grad there would be none, and no step either.
        for leaf, gradient in self._leaf_views:
            leaf.grad = gradient
        rows = [embedding.gather_gradient() for embedding in self.embeddings]
        return [self._dense_gradient, *rows]

    @torch.no_grad()
    def sum_gradients(self, processes):
        """Add up the gradient over processes."""
        for embedding in self.embeddings:
            embedding.join_rows(processes)
        dense, *rows = self.gradients()
        if not rows:
            processes.sum(dense)
            return
        _sum_together([dense, *rows], processes)
        for embedding, gradient in zip(self.embeddings, rows, strict=True):
            embedding.store_gradient(gradient)

    def clip(self, max_norm=None, max_value=None):
        """Clip the gradient; return its norm before, and whether it was clipped."""
        gradients = self.gradients()
        clip = clip_compiled if self._compiled else clip_gradients
        norm, clipped = clip(gradients, max_norm, max_value)
        if clipped is not False:  # on a GPU a tensor: to read it would wait for the GPU
            rows = gradients[1:]
            for embedding, gradient in zip(self.embeddings, rows, strict=True):
                embedding.store_gradient(gradient)
        return norm, clipped

    def step(self, optimizer, compute):
        """Let an optimizer change the weights; return the gradient that it used."""
        gradient = compute()
        self.update(optimizer)
        return gradient

    def update(self, optimizer):
        """Let an optimizer change the weights.

        Of a row-wise embedding it changes the rows that were read, in weights and
        state, and leaves the others as they are: they have no weight decay in this
        update, and as they would miss what momentum brings later, all of a gradient's
        effect comes at once (see `steady_momentum`). Counts of steps, as for Adam's
        bias correction, are of all updates.
        """
        if not self._are_leaves_of(optimizer):  # a callback made another one
            update_weights(optimizer)
            return
        if self.embeddings:
            begin_state(optimizer)
        with ExitStack() as stack:
            for embedding in self.embeddings:
                stack.enter_context(embedding.as_only_rows(optimizer))
            self._update_leaves(optimizer)

    def _update_leaves(self, optimizer):
        struct = None
        if self._compiled and has_compiled_step(optimizer):
            struct = make_optimizer_struct(optimizer)
        if struct is None:
            update_weights(optimizer)
            return
        run_kernel("update", struct)
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if "step" in optimizer.state[weight]:
                    optimizer.state[weight]["step"] += 1

    def _are_leaves_of(self, optimizer):
        """Return whether an optimizer changes the leaves and nothing else."""
        found = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
        return found == [[id(leaf) for leaf in group] for group in self.leaves]

    def compile_optimizer(self, optimizer):
        """Return the struct with which the kernels update weights, None for torch."""
        if not (
            self._compiled
            and self._are_leaves_of(optimizer)
            and has_compiled_step(optimizer)
        ):
            return None
        self.gradients()
        return make_optimizer_struct(optimizer, [rows.leaf for rows in self.embeddings])


def _sum_together(tensors, processes):
    """Add up tensors over processes in place, in one message."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    processes.sum(flat)
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))


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


def is_on_cpu(tensor):
    """Return whether a tensor's values can be read without waiting for a GPU."""
    return tensor.device.type == "cpu"


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
    if not is_on_cpu(flat):
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
