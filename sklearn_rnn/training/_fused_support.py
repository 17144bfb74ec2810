"""Which networks the compiled kernels compute as a whole.

A network may have been changed since it was built: parts replaced or patched, weights
frozen or moved, hooks registered. Whatever the kernels do not compute is left to torch.
"""

import operator
from functools import cache
from itertools import chain

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from sklearn_rnn.kernels import (
    COMPILED_CELLS,
    COMPILED_LOSSES,
    N_GATES,
    CounterGenerator,
)
from sklearn_rnn.modules import (
    CategoryEmbedding,
    InputDropout,
    LastPooling,
    Linear,
    LockedDropout,
    MaxPooling,
    MeanPooling,
    RecurrentCore,
    SequenceNetwork,
    TokenDropout,
    TokenEmbedding,
    WeightDrop,
    embedding_size,
    is_plain_embedding,
)
from sklearn_rnn.training._losses import WeightedLoss

POOLING_NAMES = {
    LastPooling: "last",
    MeanPooling: "mean",
    MaxPooling: "max",
    type(None): None,
}
# Of torch, called for every module.
GLOBAL_HOOKS = (
    torch_module._global_forward_hooks,
    torch_module._global_forward_pre_hooks,
    torch_module._global_backward_hooks,
    torch_module._global_backward_pre_hooks,
)


def supports_fused(network, criterion=None):
    """Return whether the compiled kernels compute a network as a whole.

    Parameters
    ----------
    network : torch.nn.Module
        Any.
    criterion : torch.nn.Module, default=None
        The loss of its training; None asks about predictions.

    Returns
    -------
    bool
        True for the compiled kernel; features or an embedding as inputs; layers with
        any options; the last, mean, maximum or every state; a linear head; all of
        our losses, not a user's function; and weights of the shapes that the network
        was built with, trained together, without hooks. False for attention pooling
        and tied embeddings.
    """
    return (
        is_fusible(network)
        and network.core.kernel == "compiled"
        and not network.mixed
        and _has_known_inputs(network)
        and _has_known_layers(network)
        and _has_known_dropouts(network)
        and _has_expected_weights(network, trains=criterion is not None)
        and not any(map(_has_hooks, network.modules()))
        and not any(GLOBAL_HOOKS)
        and (
            criterion is None
            or (_supports_loss(network, criterion) and _supports_dropout(network))
        )
    )


class ObservedState:
    """The attributes of objects at one time, to see cheaply whether they have changed.

    It tells attributes that were set, added or removed, also in a dict or a list that
    is an attribute itself, and tensors that were moved, frozen or hooked. Objects are
    kept and compared by identity: an id may be another one's when the first is gone.

    Parameters
    ----------
    parts : list of object
        Objects, or dicts of attributes.
    in_place : bool, default=False
        Whether tensors whose values were changed in place have changed as well.
    """

    def __init__(self, parts, in_place=False):
        self._in_place = in_place
        self._types, self._values = list(map(type, parts)), _attributes_of(parts)
        self._dicts = [value for value in self._values if isinstance(value, dict)]
        self._lists = [value for value in self._values if isinstance(value, list)]
        self._items = self._collect_items()
        tensors = {
            id(value): value
            for value in (*self._values, *self._items)
            if isinstance(value, torch.Tensor) and value.layout is torch.strided
        }
        self._tensors = list(tensors.values())
        self._memory = self._describe_memory()

    def has_changed(self, parts):
        """Return whether the same parts have other attributes now."""
        return not (
            _are_same(list(map(type, parts)), self._types)
            and _are_same(_attributes_of(parts), self._values)
            # So these dicts and lists are still those of the parts.
            and _are_same(self._collect_items(), self._items)
            and self._describe_memory() == self._memory
        )

    def _collect_items(self):
        """Return what dicts and lists among the attributes hold."""
        in_dicts = chain.from_iterable(map(dict.values, self._dicts))
        return [*in_dicts, *chain.from_iterable(self._lists)]

    def _describe_memory(self):
        """Return where tensors lie, and what else decides how they are computed."""
        return [
            (
                *(tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype),
                *(tensor.requires_grad, bool(tensor._backward_hooks)),
                bool(tensor._post_accumulate_grad_hooks),
                self._in_place and tensor._version,
            )
            for tensor in self._tensors
        ]


def _attributes_of(parts):
    tables = (part if isinstance(part, dict) else vars(part) for part in parts)
    return [*chain.from_iterable(map(dict.values, tables))]


def _are_same(values, others):
    """Return whether two lists hold the same objects."""
    return len(values) == len(others) and all(map(operator.is_, values, others))


def is_fusible(network):
    """Return whether a network has the parts that compiled kernels compute as a whole.

    A sequence network with a linear head, without attention pooling and upsampling.
    """
    return (
        type(network) is SequenceNetwork
        and network.core.cell in COMPILED_CELLS
        and type(network.pooling) in POOLING_NAMES
        and type(network.head) is Linear
        and network.spec.upsampling == 1
    )


def _has_known_layers(network):
    """Return whether the core and the pooling are as `network.spec` says."""
    core, spec, pooling = network.core, network.spec, network.pooling
    norm = nn.LayerNorm if spec.layer_norm else nn.Identity
    ways = ("", "_reverse") if core.rnn.bidirectional else ("",)
    names = [f"l{i}{way}" for i in range(spec.n_layers) for way in ways]
    return (
        type(core) is RecurrentCore
        and core.n_layers == core.rnn.num_layers == len(core.norms) == spec.n_layers
        and len(core.dropout) == spec.n_layers - 1
        and list(core.weight_drop.keys()) == names
        and core.rnn.bidirectional == spec.bidirectional
        and core.residual == spec.residual
        and all(type(part) is norm for part in core.norms)
        and (not spec.layer_norm or all(map(_is_default_norm, core.norms)))
        and (
            type(pooling) is not LastPooling
            or pooling.n_forward == core.rnn.hidden_size
        )
    )


def _is_default_norm(norm):
    return norm.eps == 1e-5 and norm.bias is not None


def _has_known_dropouts(network):
    """Return whether the dropouts are of the classes that the network was built of."""
    core = network.core
    input_dropout: type[nn.Module] = InputDropout
    if network.spec.n_tokens is not None:
        input_dropout = LockedDropout
        if not _has_known_token_dropout(network):
            return False
    locked, weight_drops = [*core.dropout, network.dropout], core.weight_drop.values()
    return (
        type(network.input_dropout) is input_dropout
        and all(type(part) is LockedDropout for part in locked)
        and all(type(part) is WeightDrop for part in weight_drops)
    )


def _has_known_token_dropout(network):
    dropout = network.embedding.token_dropout
    if type(dropout) is not TokenDropout:
        return False
    counts = dropout.counts
    return counts is None or (
        tuple(counts.shape) == (network.spec.n_tokens + 1,)
        and counts.dtype == torch.float64
        and counts.device.type == "cpu"
        and counts.is_contiguous()
    )


def _has_known_inputs(network):
    """Return whether inputs are scaled or embedded as the network was built to."""
    spec = network.spec
    if spec.n_tokens is not None:
        embedding = network.embedding
        is_known = type(embedding) is TokenEmbedding
        return is_known and embedding.n_tokens == spec.n_tokens
    if spec.category_features:
        are_known = _has_known_categories(network)
    else:
        are_known = network.categories is None
    return are_known and all(
        tuple(buffer.shape) == (spec.n_features,)
        and buffer.dtype == torch.float64
        and buffer.device.type == "cpu"
        and buffer.is_contiguous()
        for buffer in (network.center, network.factor)
    )


def _has_known_categories(network):
    """Return whether categories are embedded as the network was built to."""
    embedding, spec = network.categories, network.spec
    return (
        type(embedding) is CategoryEmbedding
        and embedding.features == spec.category_features
        and len(embedding.vectors) == len(spec.n_categories)
        and all(is_plain_embedding(vectors) for vectors in embedding.vectors)
    )


def weights_and_shapes(network):
    """Return the weights in the order of the kernels, and their expected shapes."""
    core, spec = network.core, network.spec
    n_units, n_directions = core.rnn.hidden_size, 1 + core.rnn.bidirectional
    n_gates = N_GATES[core.cell] * n_units
    output_size = n_units * n_directions
    n_inputs = spec.embedding_dim if spec.n_tokens is not None else spec.n_features
    if spec.category_features:
        n_inputs = network.categories.output_size
    n_inputs *= spec.subsampling
    weights, shapes = [], []
    for k, layer in enumerate(core.rnn.all_weights):
        weights += layer
        input_size = n_inputs if k < n_directions else output_size
        shapes += [(n_gates, input_size), (n_gates, n_units), (n_gates,), (n_gates,)]
    if spec.layer_norm:
        for norm in core.norms:
            weights += [norm.weight, norm.bias]
            shapes += [(output_size,)] * 2
    weights += [network.head.weight, network.head.bias]
    shapes += [(spec.n_outputs, output_size), (spec.n_outputs,)]
    if spec.n_tokens is not None:
        weights.append(network.embedding.weight)
        shapes.append((spec.n_tokens + 1, spec.embedding_dim))
    for k, n in enumerate(spec.n_categories):
        weights.append(network.categories.vectors[k].weight)
        shapes.append((n + 1, embedding_size(n)))
    return weights, shapes


def _has_expected_weights(network, trains):
    """Return whether no weight was replaced, frozen, hooked or moved."""
    spec = network.spec
    weights, shapes = weights_and_shapes(network)
    # An embedding may be frozen as a whole.
    is_frozen = spec.n_tokens is not None and not weights[-1].requires_grad
    trained = weights[:-1] if is_frozen else weights
    dtype = network.head.weight.dtype
    return (
        len(weights) == len(list(network.parameters()))
        and dtype in (torch.float32, torch.float64)
        and all(
            type(weight) is nn.Parameter
            and tuple(weight.shape) == shape
            and weight.dtype == dtype
            and weight.device.type == "cpu"
            and weight.is_contiguous()
            and not weight._backward_hooks
            and not weight._post_accumulate_grad_hooks
            for weight, shape in zip(weights, shapes, strict=True)
        )
        and (all(weight.requires_grad for weight in trained) or not trains)
    )


def _has_hooks(module):
    """Return whether a module has hooks, or a method that was patched."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or vars(module).keys() & _method_names(type(module))  # type: ignore[arg-type]
    )


@cache
def _method_names(module_class: type) -> set[str]:
    return {name for name in dir(module_class) if callable(getattr(module_class, name))}


def _supports_loss(network, criterion):
    """Return whether the kernels have a loss."""
    if type(criterion) is not WeightedLoss or criterion.name not in COMPILED_LOSSES:
        return False
    n_outputs, class_weights = network.spec.n_outputs, criterion.class_weights
    if class_weights is not None and (
        criterion.name != "log_loss"
        or not criterion.may_miss
        or len(class_weights) != n_outputs
    ):
        return False
    n_targets, rest = divmod(n_outputs, criterion.n_per_target or 1)
    weights = criterion.target_weights
    return (
        (criterion.may_miss or network.pooling is not None)
        and rest == 0
        and (weights is None or len(weights) == n_targets)
    )


def _supports_dropout(network):
    """Return whether the kernels draw the masks of dropout that modules would draw."""
    core, generator = network.core, network.dropout_generator
    locked, weight_drops = [*core.dropout], [*core.weight_drop.values()]
    parts = [network.input_dropout, network.dropout, *locked, *weight_drops]
    if network.spec.n_tokens is not None:
        parts.append(network.embedding.token_dropout)
    if not any(part.p > 0 for part in parts):
        return isinstance(generator, CounterGenerator | None)
    return (
        isinstance(generator, CounterGenerator)
        and all(part.generator is generator and part.training for part in parts)
        and all(part.p == network.dropout.p for part in locked)
        and all(part.p == weight_drops[0].p for part in weight_drops)
        and _are_consecutive(locked)
        and _are_consecutive(weight_drops)
    )


def _are_consecutive(dropouts):
    """Return whether the sites of dropouts follow one another."""
    sites = [part.site for part in dropouts]
    return not sites or sites == list(range(sites[0], sites[0] + len(sites)))
