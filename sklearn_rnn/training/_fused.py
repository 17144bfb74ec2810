"""Training and prediction by kernels that compute a network as a whole.

torch's bookkeeping of a gradient costs more than a small network's arithmetic. Where a
network consists of parts that the kernels have (`supports_fused`), a batch is one call:
inputs, dropout, layers, pooling, head, loss, and the gradient of all weights; and so
are the updates of many batches.

A network may have been changed since it was built: parts replaced or patched, weights
frozen or moved, hooks registered. Whatever the kernels do not compute is left to torch.
"""

from functools import cache
from itertools import chain
from operator import is_
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn
from torch.nn.modules import module as torch_module

from sklearn_rnn.kernels import (
    COMPILED_CELLS,
    COMPILED_LOSSES,
    N_GATES,
    POOLING_CODES,
    VALUES_TYPES,
    CounterGenerator,
    check_array,
    kernel_threads,
    make_struct,
    run_kernel,
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
    n_joined,
)
from sklearn_rnn.training._datasets import to_batch
from sklearn_rnn.training._losses import WeightedLoss

# A call to the kernels lasts about this long, so that Ctrl-C is handled.
SECONDS_PER_CALL = 0.05
# Maximum number of sequences and steps per call that predicts.
ROWS_PER_CALL, STEPS_PER_CALL = 8192, 2**18
POOLING_NAMES = {
    LastPooling: "last",
    MeanPooling: "mean",
    MaxPooling: "max",
    type(None): None,
}
# Attributes of a module, and what torch calls for every module.
HOOKS = (
    *("_forward_hooks", "_forward_pre_hooks"),
    *("_backward_hooks", "_backward_pre_hooks"),
)
GLOBAL_HOOKS = (
    torch_module._global_forward_hooks,
    torch_module._global_forward_pre_hooks,
    torch_module._global_backward_hooks,
    torch_module._global_backward_pre_hooks,
)


# Which networks the kernels compute.


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
    if (
        type(network) is not SequenceNetwork
        or type(network.core) is not RecurrentCore
        or network.core.kernel != "compiled"
        or network.mixed
    ):
        return False
    core, spec, pooling = network.core, network.spec, network.pooling
    n_units = core.rnn.hidden_size
    has_known_inputs = network.categories is None
    input_dropout: type = InputDropout
    if spec.n_tokens is not None:
        has_known_inputs, input_dropout = _has_known_tokens(network), LockedDropout
    elif spec.category_features:
        has_known_inputs = _has_known_categories(network)
    expected_classes: list[tuple[type, Any]] = [
        (input_dropout, [network.input_dropout]),
        (nn.LayerNorm if spec.layer_norm else nn.Identity, core.norms),
        (LockedDropout, [*core.dropout, network.dropout]),
        (WeightDrop, core.weight_drop.values()),
        (Linear, [network.head]),
    ]
    suffixes = ("", "_reverse") if core.rnn.bidirectional else ("",)
    names = [f"l{i}{suffix}" for i in range(spec.n_layers) for suffix in suffixes]
    return (
        core.cell in COMPILED_CELLS
        and type(pooling) in POOLING_NAMES
        and (type(pooling) is not LastPooling or pooling.n_forward == n_units)
        and spec.upsampling == 1
        and has_known_inputs
        and core.n_layers == core.rnn.num_layers == len(core.norms) == spec.n_layers
        and len(core.dropout) == spec.n_layers - 1
        and list(core.weight_drop.keys()) == names
        and core.rnn.bidirectional == spec.bidirectional
        and core.residual == spec.residual
        and all(type(p) is known for known, parts in expected_classes for p in parts)
        and all(_is_default_norm(norm) for norm in core.norms if spec.layer_norm)
        and _ordered_weights(network, trains=criterion is not None) is not None
        and not any(getattr(m, hooks) for m in network.modules() for hooks in HOOKS)
        and not any(
            # mypy takes classes for values that have no hash.
            vars(module).keys() & _method_names(type(module))  # type: ignore[arg-type]
            for module in network.modules()
        )
        and not any(GLOBAL_HOOKS)
        and (
            criterion is None
            or (_supports_loss(network, criterion) and _supports_dropout(network))
        )
    )


def _is_default_norm(norm):
    return norm.eps == 1e-5 and norm.bias is not None


def _has_known_tokens(network):
    """Return whether tokens are embedded and dropped as the network was built to."""
    embedding, n_tokens = network.embedding, network.spec.n_tokens
    if (
        type(embedding) is not TokenEmbedding
        or embedding.n_tokens != n_tokens
        or type(embedding.token_dropout) is not TokenDropout
    ):
        return False
    counts = embedding.token_dropout.counts
    return counts is None or (
        tuple(counts.shape) == (n_tokens + 1,)
        and counts.dtype == torch.float64
        and counts.device.type == "cpu"
        and counts.is_contiguous()
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


def _ordered_weights(network, trains):
    """Return the weights in the order of the kernels.

    None if they, or what scales the inputs, are not of the expected shapes: one was
    replaced, hooked or moved; or frozen, if the network is to be trained.
    """
    core, spec = network.core, network.spec
    n_units, n_directions = core.rnn.hidden_size, 1 + core.rnn.bidirectional
    n_gates, output_size = N_GATES[core.cell] * n_units, n_units * n_directions
    n_inputs = spec.embedding_dim if spec.n_tokens is not None else spec.n_features
    if spec.category_features:
        n_inputs = network.categories.output_size
    weights, shapes = [], []
    for k, layer in enumerate(core.rnn.all_weights):
        weights += layer
        input_size = n_inputs * spec.subsampling if k < n_directions else output_size
        shapes += [(n_gates, input_size), (n_gates, n_units), (n_gates,), (n_gates,)]
    for norm in core.norms if spec.layer_norm else ():
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
    # An embedding may be frozen as a whole.
    is_frozen = spec.n_tokens is not None and not weights[-1].requires_grad
    trained = weights[:-1] if is_frozen else weights
    dtype = network.head.weight.dtype
    arrays = [*zip(weights, shapes, [dtype] * len(shapes), strict=False)]
    for scaling in (network.center, network.factor):
        arrays.append((scaling, (spec.n_features,), torch.float64))
    are_expected = (
        len(weights) == len(shapes) == len(list(network.parameters()))
        and dtype in (torch.float32, torch.float64)
        and all(
            type(weight) is nn.Parameter
            and not weight._backward_hooks
            and not weight._post_accumulate_grad_hooks
            for weight in weights
        )
        and all(
            tuple(array.shape) == shape
            and array.dtype == expected_dtype
            and array.device.type == "cpu"
            and array.is_contiguous()
            for array, shape, expected_dtype in arrays
        )
        and (all(weight.requires_grad for weight in trained) or not trains)
    )
    return weights if are_expected else None


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


# Whether that may be decided otherwise since it was decided last.


class Observed(NamedTuple):
    """The attributes of objects at one time: what `observe` found."""

    # Kept themselves: an id may be another object's when the first is gone.
    objects: list
    memory: list[tuple]
    dicts: list[dict]
    lists: list[list]
    tensors: list[torch.Tensor]


def observe(parts, before=None, in_place=False):
    """Return the attributes of objects, to see cheaply whether they have changed.

    Changed are attributes that were set, added or removed, also in a dict or a list
    that is an attribute itself, and tensors that were moved, frozen or hooked.

    Parameters
    ----------
    parts : list of object
        Objects, or dicts of attributes.
    before : Observed, default=None
        Of the same parts.
    in_place : bool, default=False
        Whether tensors whose values were changed in place have changed as well.

    Returns
    -------
    Observed or None
        `before` itself if nothing has changed since, None if anything has.
    """
    tables = [part if isinstance(part, dict) else vars(part) for part in parts]
    if before is not None:
        # Still those of the parts if the attributes are the same.
        _, _, dicts, lists, tensors = before
    else:
        attributes = [*chain.from_iterable(map(dict.values, tables))]
        dicts = [value for value in attributes if isinstance(value, dict)]
        lists = [value for value in attributes if isinstance(value, list)]
    tables += dicts
    objects = [
        *map(type, parts),
        *chain.from_iterable(tables),  # names
        *chain.from_iterable(map(dict.values, tables)),
        *chain.from_iterable(lists),
    ]
    if before is None:
        found = {id(value): value for value in objects if torch.is_tensor(value)}
        tensors = [x for x in found.values() if x.layout is torch.strided]
    memory = [
        (
            *(tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype),
            *(tensor.requires_grad, bool(tensor._backward_hooks)),
            bool(tensor._post_accumulate_grad_hooks),
            in_place and tensor._version,
        )
        for tensor in tensors
    ]
    if before is None:
        return Observed(objects, memory, dicts, lists, tensors)
    is_same = len(objects) == len(before.objects) and memory == before.memory
    return before if is_same and all(map(is_, objects, before.objects)) else None


# The struct of a network, and the calls that compute with it.


class FusedNetwork:
    """A network as the compiled kernels read it, in the memory of its weights.

    Parameters
    ----------
    network : SequenceNetwork
        One that `supports_fused`.
    criterion : WeightedLoss, default=None
        The loss of its training. The weights' gradients must exist then, and are added
        to.
    keeps_outputs : bool, default=False
        Whether `gradient` returns the outputs.
    """

    def __init__(self, network, criterion=None, keeps_outputs=False):
        self.keeps_outputs = keeps_outputs
        self.criterion = criterion
        # No reference to the network: `predict_fused` keeps this for as long as the
        # network exists.
        self.spec, self.generator = network.spec, network.dropout_generator
        self.per_step = network.pooling is None
        self.dtype = network.head.weight.dtype
        self._embedding: Any = None
        spec, core = network.spec, network.core
        weights = _ordered_weights(network, trains=criterion is not None)
        fields = {"n_tokens": -1, "unknown_token": -1}
        if spec.n_tokens is not None:
            self._embedding = network.embedding
            fields = self._token_fields()
        if spec.category_features:
            fields |= self._category_fields()
            # An embedding per categorical feature, even if shared.
            n_others = len(weights) - len(spec.n_categories)
            chosen = [weights[n_others + which] for _, which in spec.category_features]
            weights = weights[:n_others] + chosen
        if self.criterion is not None:
            fields |= self._training_fields(weights)
        is_single_feature = spec.n_tokens is None and spec.n_features == 1
        weight_drop = next(iter(core.weight_drop.values()))
        self.struct = make_struct(
            "Network",
            itemsize=self.dtype.itemsize,
            cell=COMPILED_CELLS.index(core.cell),
            n_layers=core.n_layers,
            n_directions=1 + core.rnn.bidirectional,
            n_units=core.rnn.hidden_size,
            n_features=spec.n_features,
            subsampling=spec.subsampling,
            layer_norm=spec.layer_norm,
            residual=core.residual,
            pooling=POOLING_CODES.index(POOLING_NAMES[type(network.pooling)]),
            n_outputs=spec.n_outputs,
            # A single feature is never dropped.
            input_dropout=0.0 if is_single_feature else network.input_dropout.p,
            dropout=network.dropout.p,
            weight_drop=weight_drop.p,
            input_site=network.input_dropout.site,
            layer_site=core.dropout[0].site if len(core.dropout) else 0,
            weight_site=weight_drop.site,
            head_site=network.dropout.site,
            center=network.center,
            factor=network.factor,
            weights=[weight.detach() for weight in weights],
            **fields,
        )

    def _token_fields(self):
        spec, embedding = self.spec, self._embedding
        unknown = embedding.unknown_token
        return {
            "n_tokens": spec.n_tokens,
            "embedding_dim": spec.embedding_dim,
            "unknown_token": -1 if unknown is None else unknown,
            "token_dropout": embedding.token_dropout.p,
            "token_counts": embedding.token_dropout.counts,
            "token_site": embedding.token_dropout.site,
        }

    def _category_fields(self):
        """Return which features are categories, and the sizes of their vectors."""
        spec = self.spec
        n_codes = np.zeros(spec.n_features, dtype=np.int32)
        sizes = np.ones(spec.n_features, dtype=np.int32)
        for feature, which in spec.category_features:
            n = spec.n_categories[which]
            n_codes[feature], sizes[feature] = n + 1, embedding_size(n)
        return {"n_codes": n_codes, "feature_sizes": sizes}

    def _training_fields(self, weights):
        """Return the loss and the gradients, which predictions do not need."""
        criterion = self.criterion
        has_tokens = self.spec.n_tokens is not None
        return {
            "gradients": [weight.grad for weight in weights],
            "train_embedding": int(has_tokens and weights[-1].requires_grad),
            "loss": COMPILED_LOSSES.index(criterion.name),
            "label_smoothing": criterion.label_smoothing,
            "n_per_target": criterion.n_per_target or 1,
            "targets_may_be_missing": int(criterion.may_miss),
            "levels": _to_dtype(criterion.levels, self.dtype),
            "target_weights": _to_dtype(criterion.target_weights, self.dtype),
            "class_weights": _to_dtype(criterion.class_weights, self.dtype),
        }

    def gradient(self, x, lengths, targets_and_weights, targets_per_update=None):
        """Add the gradient of a batch to the weights'.

        Parameters
        ----------
        x : Tensor of shape (N, T, n_features)
            A batch.
        lengths : LongTensor of shape (N,) or None
            Steps of each sequence.
        targets_and_weights : tuple of Tensor
            As the loss takes them.
        targets_per_update : float, default=None
            The gradient is scaled by the batch's number of targets over this; None
            does not scale.

        Returns
        -------
        loss : float
            The mean loss, not scaled.
        outputs : Tensor or None
            Of the network, if `keeps_outputs`.
        """
        outputs, output_starts, is_read = None, None, None
        n_rows, n_timesteps = x.shape[:2]
        spec = self.spec
        # Row-wise updates need to know which rows of the embedding a batch reads.
        reader = None if self._embedding is None else self._embedding.reader
        if reader is not None:
            is_read = torch.zeros(spec.n_tokens + 1, dtype=torch.uint8)
        if self.keeps_outputs:
            n_steps = n_joined(n_timesteps, spec.subsampling) if self.per_step else 1
            shape = (n_rows, n_steps) if self.per_step else (n_rows,)
            outputs = torch.zeros(*shape, self.spec.n_outputs, dtype=self.dtype)
            output_starts = np.arange(n_rows, dtype=np.int64) * n_steps
        targets, weights = targets_and_weights
        starts = np.arange(n_rows) * (targets.shape[1] if self.per_step else 1)
        n_read = np.full(n_rows, n_timesteps) if lengths is None else lengths.numpy()
        fields = self._target_fields(targets, starts, weights, n_read)
        struct = make_struct(
            "Batch",
            network=self.struct,
            data=make_batch_data(x, lengths, **fields),
            rows=np.arange(n_rows, dtype=np.int64),
            n_rows=n_rows,
            n_threads=kernel_threads.count,
            training=1,
            n_usual=targets_per_update or 0.0,
            outputs=outputs,
            output_starts=output_starts,
            is_read=is_read,
            **self._mask_fields(),
        )
        run_kernel("run_batch", struct)
        if reader is not None and is_read is not None:
            reader.add(is_read.nonzero())
        return struct.loss, outputs

    def _mask_fields(self):
        """Return the state of dropout's random numbers, and the rows of its masks."""
        generator = self.generator
        if generator is None:
            return {"row_step": 1}
        return {
            "seed": generator.seed,
            "update": generator.update,
            "first_row": generator.first_row,
            "row_step": generator.row_step,
        }

    def _target_fields(self, targets, starts, weights, lengths):
        """Return the fields of targets; row `starts[i]` is the first of sequence i."""
        loss, n_outputs = self.criterion.name, self.spec.n_outputs
        dtype = torch.int64 if loss in ("log_loss", "bernoulli") else self.dtype
        target_size = n_outputs // self.struct.n_per_target
        if loss == "log_loss":
            target_size = 1
        targets = targets.to(dtype).contiguous()
        if loss == "log_loss":
            _check_codes(targets, n_outputs, self.criterion.may_miss)
        n_rows = targets.numel() // target_size
        check_array(targets.view(-1), "targets", dtype, (n_rows * target_size,))
        n_read = 1
        if self.per_step:
            n_read = n_joined(lengths, self.spec.subsampling)
        n_needed = int(np.max(starts + n_read))
        # The kernels would read beyond the end of the memory.
        if n_rows < n_needed:
            raise ValueError(
                f"there are {n_rows} targets, but {len(starts)} sequences need "
                f"{n_needed} of them."
            )
        if weights is not None and len(weights) != len(starts):
            raise ValueError(
                f"there are {len(weights)} weights for {len(starts)} sequences."
            )
        return {
            "targets": targets,
            "target_starts": np.ascontiguousarray(starts, dtype=np.int64),
            "sample_weights": _to_dtype(weights, self.dtype),
        }

    def make_epochs(self, dataset, optimizer, struct, n_batches, targets_per_update):
        """Return what trains on all batches of a dataset by few calls.

        Parameters
        ----------
        dataset : SequenceDataset
            The training data.
        optimizer : torch.optim.Optimizer
            Holds the state of the updates.
        struct : ctypes.Structure
            With which the kernels update the weights and that state.
        n_batches : int
            Batches per epoch.
        targets_per_update : float or None
            As for `gradient`.

        Returns
        -------
        FusedEpochs or None
            None where the kernels read the data batch by batch only.
        """
        targets, starts = dataset.targets, np.arange(len(dataset))
        if self.per_step:
            targets, starts = dataset.targets.values, dataset.targets.starts.numpy()
        of_targets = self._target_fields(
            targets, starts, dataset.weights, dataset.lengths
        )
        sequences = dataset.sequences
        of_data = data_fields(sequences, sequences.starts, sequences.lengths)
        if of_data is None:
            return None
        fields = {
            "network": self.struct,
            "data": make_struct("Data", **of_data, **of_targets),
            "n_usual": targets_per_update or 0.0,
        }
        return FusedEpochs(self, dataset, fields, optimizer, struct, n_batches)


def _check_codes(targets, n_outputs, may_miss):
    """Check that class codes are those of outputs, which the kernels index by them."""
    smallest, largest = map(int, targets.aminmax())
    wrong = smallest if smallest < 0 and not may_miss else largest
    if (wrong < 0 and not may_miss) or wrong >= n_outputs:
        raise IndexError(
            f"a target has the class code {wrong}, but the network has {n_outputs} "
            "outputs."
        )


class FusedEpochs:
    """Trains a network on all batches of its data by few calls, in each epoch again.

    What stays the same is handed to the kernels once; they read the rest from arrays
    that each epoch fills in again, and write results to others.

    Parameters
    ----------
    fused : FusedNetwork
        The network.
    dataset : SequenceDataset
        The data.
    fields : dict
        What the kernels read of both.
    optimizer : torch.optim.Optimizer
        Holds the state of the updates.
    struct : ctypes.Structure
        With which the kernels update the weights and that state.
    n_batches : int
        Batches per epoch.

    Attributes
    ----------
    losses, norms : ndarray of float64 of shape (n_batches,)
        Results of the last epoch by batch: mean loss; norm of the gradient before it
        was clipped.
    n_targets : ndarray of int64 of shape (n_batches,)
        Targets of the mean; with 0 there was no update.
    clipped : ndarray of bool of shape (n_batches,)
        Whether the gradient was clipped.
    """

    def __init__(self, fused, dataset, fields, optimizer, struct, n_batches):
        self.dataset = dataset
        self.optimizer_struct = struct
        weights = [w for group in optimizer.param_groups for w in group["params"]]
        self._states = [optimizer.state[weight] for weight in weights]
        self._fused, self._criterion = fused, fused.criterion
        self._order = np.zeros(len(dataset), dtype=np.int64)
        self._batch_ends = np.zeros(n_batches, dtype=np.int64)
        self._learning_rates = np.zeros(n_batches)
        self.losses, self.norms = np.zeros(n_batches), np.zeros(n_batches)
        self.n_targets = np.zeros(n_batches, dtype=np.int64)
        self.clipped = np.zeros(n_batches, dtype=bool)
        self._struct = make_struct(
            "Training",
            **fields,
            optimizer=struct,
            order=self._order,
            batch_ends=self._batch_ends,
            n_batches=n_batches,
            learning_rates=self._learning_rates,
            max_seconds=SECONDS_PER_CALL,
            n_threads=kernel_threads.count,
            losses=self.losses,
            norms=self.norms,
            n_targets=self.n_targets,
            clipped=self.clipped,
        )

    def train(self, batches, learning_rates):
        """Update the weights for each batch; return how many batches are done.

        Those up to the first whose loss is not finite. `batches` are the rows of each,
        with every sequence in one of them; there is a learning rate for each.
        """
        if self._criterion.name == "log_loss":
            targets = self.dataset.targets
            if self._fused.per_step:
                targets = targets.values
            n_outputs = self._fused.spec.n_outputs
            _check_codes(targets, n_outputs, self._criterion.may_miss)
        np.concatenate(batches, out=self._order)
        np.cumsum([len(batch) for batch in batches], out=self._batch_ends)
        self._learning_rates[:] = learning_rates
        for results in (self.losses, self.norms, self.n_targets, self.clipped):
            results[:] = 0
        struct, generator = self._struct, self._fused.generator
        struct.begin = 0
        if generator is not None:
            struct.seed, struct.update = generator.seed, generator.update
        n_before = self.optimizer_struct.n_updates
        try:
            while struct.begin < len(batches):
                begin = struct.begin
                run_kernel("train", struct)  # between two calls Python handles Ctrl-C
                if not np.isfinite(self.losses[begin : struct.begin]).all():
                    break
        finally:  # torch's optimizer has counts of its own
            for state in self._states:
                if "step" in state:
                    state["step"] += self.optimizer_struct.n_updates - n_before
        if generator is not None:
            generator.update += struct.begin
        return struct.begin


# The network of each that predicted, and what it was made of: it is decided when it
# first predicts whether the kernels compute it, and again if it has changed.
_FUSED: WeakKeyDictionary[nn.Module, tuple[FusedNetwork | None, Observed | None]]
_FUSED = WeakKeyDictionary()


def predict_fused(network, sequences, starts, lengths):
    """Return the outputs for sequences, at least one, as `network_outputs` does.

    None where the kernels do not compute the network. `starts` and `lengths` are those
    of the sequences.
    """
    fields = data_fields(sequences, starts, lengths)
    _, *inner = network.modules()
    # Not the network itself: what is kept must not keep it.
    parts = [{"class": type(network)}, vars(network), *inner, *GLOBAL_HOOKS]
    fused, before = _FUSED.get(network, (None, None))
    if before is None or observe(parts, before) is None:
        before = observe(parts) if supports_fused(network) else None
        fused = None if before is None else FusedNetwork(network)
        _FUSED[network] = fused, before
    if fused is None:
        return None
    n_rows = np.ones(len(lengths), dtype=np.int64)
    if fused.per_step:
        n_rows = n_joined(lengths, fused.spec.subsampling)
    first_rows = np.cumsum(n_rows) - n_rows
    outputs = torch.empty(int(n_rows.sum()), fused.spec.n_outputs, dtype=fused.dtype)
    data = None if fields is None else make_struct("Data", **fields)
    order = np.argsort(lengths, kind="stable")  # for calls with little padding
    size = min(ROWS_PER_CALL, max(1, STEPS_PER_CALL // int(lengths.max())))
    for begin in range(0, len(order), size):
        rows = order[begin : begin + size]
        block_data, block_rows = data, rows
        if data is None:
            block_data = make_batch_data(**to_batch(sequences, rows, "cpu"))
            block_rows = np.arange(len(rows))
        struct = make_struct(
            "Batch",
            network=fused.struct,
            data=block_data,
            rows=np.ascontiguousarray(block_rows, dtype=np.int64),
            n_rows=len(rows),
            n_threads=kernel_threads.count,
            outputs=outputs,
            output_starts=np.ascontiguousarray(first_rows[rows], dtype=np.int64),
        )
        run_kernel("run_batch", struct)
    return outputs


def data_fields(sequences, starts, lengths):
    """Return the fields of the struct with which the kernels read sequences in place.

    `starts` and `lengths` are those of the sequences. None for augmented sequences, and
    for types of values that kernels do not read.
    """
    values, transforms = sequences.values, sequences.transforms
    if (
        transforms.augmentation is not None
        or values.dtype not in VALUES_TYPES
        or not values.flags.c_contiguous
        or not values.flags.aligned
    ):
        return None
    n_features = values.shape[1]
    scaling, differencing = transforms.scaling, transforms.differencing
    differenced, n_differenced, units, center, factor = None, 0, None, None, None
    if scaling is not None:
        center, factor = (
            np.ascontiguousarray(np.broadcast_to(values, n_features), dtype=float)
            for values in (scaling.center, scaling.factor)
        )
    if differencing is not None:
        n_differenced, units = len(differencing.features), differencing.units
        differenced = np.zeros(n_features, dtype=np.int32)
        differenced[differencing.features] = np.arange(1, n_differenced + 1)
    return {
        "values": values,
        "values_type": VALUES_TYPES.index(values.dtype),
        "step_stride": n_features,
        "starts": np.ascontiguousarray(starts * n_features, dtype=np.int64),
        "lengths": np.ascontiguousarray(lengths, dtype=np.int64),
        "n_differenced": n_differenced,
        "differenced": differenced,
        "units": None if units is None else np.ascontiguousarray(units, dtype=float),
        "center": center,
        "factor": factor,
    }


def make_batch_data(x, lengths, **fields):
    """Return the struct of a batch (N, T, n_features), of lengths (N,) or None.

    `fields` are those of targets.
    """
    n_rows, n_timesteps, n_features = x.shape
    steps = x.detach().transpose(0, 1).contiguous()  # usually gathered so
    if steps.numpy().dtype not in VALUES_TYPES:
        steps = steps.double()
    if lengths is None:
        lengths = torch.full((n_rows,), n_timesteps)
    return make_struct(
        "Data",
        values=steps,
        values_type=VALUES_TYPES.index(steps.numpy().dtype),
        step_stride=n_rows * n_features,
        starts=np.arange(n_rows, dtype=np.int64) * n_features,
        lengths=lengths,
        **fields,
    )


def _to_dtype(values, dtype):
    return None if values is None else values.detach().to(dtype).contiguous()
