"""Networks that the compiled kernels compute as a whole, and whole epochs of them.

torch's bookkeeping of a gradient costs more than a small network's arithmetic. Where a
network consists of parts that the kernels have, a batch is one call: inputs, dropout,
layers, pooling, head, loss, and the gradient of all weights.
"""

from functools import cache

import numpy as np
import torch
from torch import nn
from torch.nn.modules import module as torch_module

from sklearn_rnn.kernels import (
    CELL_CODES,
    LOSS_CODES,
    POOLING_CODES,
    VALUES_TYPES,
    CounterGenerator,
    check_array,
    make_struct,
    run_kernel,
    set_field,
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
from sklearn_rnn.training._batches import blocks_by_length, to_batch
from sklearn_rnn.training._losses import WeightedLoss
from sklearn_rnn.training._threads import n_kernel_threads

POOLING_CLASSES = {
    LastPooling: "last",
    MeanPooling: "mean",
    MaxPooling: "max",
    type(None): None,
}
# A call to the kernels lasts about this long, so that Ctrl-C is handled.
SECONDS_PER_CALL = 0.05
# Sequences and steps of a call that predicts.
ROWS_PER_CALL, STEPS_PER_CALL = 8192, 2**18


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
        any options; the last, mean, largest or every state; a linear head; all of
        our losses; and weights of the shapes that the network was built with, trained
        together, without hooks. False for attention pooling and tied embeddings.
    """
    return (
        is_fusible(network)
        and network.core.kernel == "compiled"
        and not network.mixed
        and _has_known_inputs(network)
        and _has_known_parts(network)
        and _has_expected_weights(network, trains=criterion is not None)
        and not any(map(_has_hooks, network.modules()))
        and not any(_global_hooks())
        and (
            criterion is None
            or (_supports_loss(network, criterion) and _supports_dropout(network))
        )
    )


def is_fusible(network):
    """Return whether a network is of the kind that compiled kernels compute as a whole.

    Parameters
    ----------
    network : torch.nn.Module
        Any.

    Returns
    -------
    bool
        True for sequence networks with a linear head, but for attention pooling.
    """
    return (
        type(network) is SequenceNetwork
        and type(network.pooling) in POOLING_CLASSES
        and type(network.head) is Linear
    )


def _has_known_parts(network):
    """Return whether a network consists of the parts that it was built of."""
    core, spec = network.core, network.spec
    norm = nn.LayerNorm if spec.layer_norm else nn.Identity
    runs = [f"l{i}{way}" for i in range(spec.n_layers) for way in core._directions]
    pooling = network.pooling
    return (
        type(core) is RecurrentCore
        and core.n_layers == core.rnn.num_layers == len(core.norms) == spec.n_layers
        and len(core.dropout) == spec.n_layers - 1
        and list(core.weight_drop.keys()) == runs
        and core.rnn.bidirectional == spec.bidirectional
        and core.residual == spec.residual
        and all(type(part) is norm for part in core.norms)
        and (not spec.layer_norm or all(map(_is_usual_norm, core.norms)))
        and (type(pooling) is not LastPooling or _reads_last(pooling, core))
        and _has_known_dropouts(network)
    )


def _is_usual_norm(norm):
    return norm.eps == 1e-5 and norm.bias is not None


def _reads_last(pooling, core):
    return pooling.n_forward == core.rnn.hidden_size


def _has_known_dropouts(network):
    """Return whether the parts that drop are those that the network was built of."""
    core, hide = network.core, InputDropout
    if network.spec.n_tokens is not None:
        hide = LockedDropout
        if type(network.embedding.token_dropout) is not TokenDropout:
            return False
    locked, weight_drops = [*core.dropout, network.dropout], core.weight_drop.values()
    return (
        type(network.input_dropout) is hide
        and all(type(part) is LockedDropout for part in locked)
        and all(type(part) is WeightDrop for part in weight_drops)
    )


def _has_known_inputs(network):
    """Return whether inputs are scaled or embedded as the network was built to."""
    spec = network.spec
    if spec.n_tokens is not None:
        embedding = network.embedding
        is_known = type(embedding) is TokenEmbedding
        return is_known and embedding.n_tokens == spec.n_tokens
    return _has_known_categories(network) and all(
        tuple(buffer.shape) == (spec.n_features,)
        and buffer.dtype == torch.float64
        and buffer.device.type == "cpu"
        and buffer.is_contiguous()
        for buffer in (network.center, network.factor)
    )


def _has_known_categories(network):
    """Return whether categories are embedded as the network was built to."""
    embedding, spec = network.categories, network.spec
    if not spec.category_features:
        return embedding is None
    return (
        type(embedding) is CategoryEmbedding
        and embedding.features == spec.category_features
        and len(embedding.vectors) == len(spec.n_categories)
        and all(is_plain_embedding(vectors) for vectors in embedding.vectors)
    )


def _weights_of(network):
    """Return weights in the order of the kernels, and their expected shapes."""
    core, spec = network.core, network.spec
    n_units, n_directions = core.rnn.hidden_size, 1 + core.rnn.bidirectional
    n_sums = {"gru": 3, "lstm": 4}.get(core.cell, 1) * n_units
    width = n_units * n_directions
    n_inputs = spec.embedding_dim if spec.n_tokens is not None else spec.n_features
    if spec.category_features:
        n_inputs = network.categories.output_size
    n_inputs *= spec.subsampling
    weights, shapes = [], []
    for k, layer in enumerate(core.rnn.all_weights):
        weights += layer
        n_read = n_inputs if k < n_directions else width
        shapes += [(n_sums, n_read), (n_sums, n_units), (n_sums,), (n_sums,)]
    if spec.layer_norm:
        for norm in core.norms:
            weights += [norm.weight, norm.bias]
            shapes += [(width,)] * 2
    weights += [network.head.weight, network.head.bias]
    shapes += [(spec.n_outputs, width), (spec.n_outputs,)]
    if spec.n_tokens is not None:
        weights.append(network.embedding.weight)
        shapes.append((spec.n_tokens + 1, spec.embedding_dim))
    for k, n in enumerate(spec.n_categories):
        weights.append(network.categories.vectors[k].weight)
        shapes.append((n + 1, embedding_size(n)))
    return weights, shapes


def _repeat_shared(weights, spec):
    """Return weights with an embedding per categorical feature, shared or not."""
    n_others = len(weights) - len(spec.n_categories)
    embeddings = [weights[n_others + which] for _, which in spec.category_features]
    return weights[:n_others] + embeddings


def _has_expected_weights(network, trains):
    """Return whether no weight was replaced, frozen, hooked or moved."""
    spec = network.spec
    weights, shapes = _weights_of(network)
    # An embedding may be fixed as a whole.
    fixed = spec.n_tokens is not None and not weights[-1].requires_grad
    trained = weights[:-1] if fixed else weights
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
    """Return whether a module calls hooks, or a method that was put into it."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or vars(module).keys() & _methods_of(type(module))
    )


@cache
def _methods_of(kind):
    """Return the names of what is defined in a class of modules."""
    return {name for name in dir(kind) if callable(getattr(kind, name))}


def _global_hooks():
    """Return torch's hooks on every module."""
    return (
        torch_module._global_forward_hooks,
        torch_module._global_forward_pre_hooks,
        torch_module._global_backward_hooks,
        torch_module._global_backward_pre_hooks,
    )


def _supports_loss(network, criterion):
    """Return whether the kernels have a loss."""
    if type(criterion) is not WeightedLoss:
        return False
    n_outputs, weights = network.spec.n_outputs, criterion.class_weights
    if weights is not None and (
        criterion.name != "log_loss"
        or not criterion.may_miss
        or len(weights) != n_outputs
    ):
        return False
    has_levels = criterion.levels is not None
    return (criterion.may_miss or network.pooling is not None) and (
        not has_levels or n_outputs % len(criterion.levels) == 0
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


class FusedNetwork:
    """A network as the compiled kernels read it.

    Parameters
    ----------
    network : SequenceNetwork
        One that `supports_fused`.
    criterion : WeightedLoss, default=None
        The loss of its training. The weights' gradients must exist then, and are added
        to.

    Attributes
    ----------
    keeps_outputs : bool
        Whether `gradient` returns the outputs.
    """

    def __init__(self, network, criterion=None, keeps_outputs=False):
        self.keeps_outputs = keeps_outputs
        self.network = network
        self.criterion = criterion
        self._dtype = network.head.weight.dtype
        self._struct = self._make_struct()
        self._n_outputs = network.spec.n_outputs
        self._per_step = network.pooling is None
        # What the data of a training depend on.
        self._data_format = self._dtype, self._per_step, self._n_outputs

    def _make_struct(self):
        network, spec, core = self.network, self.network.spec, self.network.core
        weights = _repeat_shared(_weights_of(network)[0], spec)
        embeds = spec.n_tokens is not None
        inputs = network.input_dropout.p
        if not embeds and spec.n_features == 1:
            inputs = 0.0  # a single feature is never hidden
        embedding = network.embedding if embeds else None
        unknown = embedding.unknown_token if embeds else None
        return make_struct(
            "Network",
            itemsize=self._dtype.itemsize,
            cell=CELL_CODES.index(core.cell),
            n_layers=core.n_layers,
            n_directions=1 + core.rnn.bidirectional,
            n_units=core.rnn.hidden_size,
            n_features=spec.n_features,
            subsampling=spec.subsampling,
            n_tokens=spec.n_tokens if embeds else -1,
            embedding_dim=spec.embedding_dim if embeds else 0,
            unknown_token=-1 if unknown is None else unknown,
            layer_norm=spec.layer_norm,
            residual=core.residual,
            pooling=POOLING_CODES.index(POOLING_CLASSES[type(network.pooling)]),
            n_outputs=spec.n_outputs,
            token_dropout=embedding.token_dropout.p if embeds else 0.0,
            input_dropout=inputs,
            dropout=network.dropout.p,
            weight_drop=next(iter(core.weight_drop.values())).p,
            token_site=embedding.token_dropout.site if embeds else 0,
            input_site=network.input_dropout.site,
            layer_site=core.dropout[0].site if len(core.dropout) else 0,
            weight_site=next(iter(core.weight_drop.values())).site,
            head_site=network.dropout.site,
            center=network.center,
            factor=network.factor,
            weights=[weight.detach() for weight in weights],
            **self._category_fields(),
            **self._training_fields(weights, embeds),
        )

    def _category_fields(self):
        """Return which features are codes, and how large their vectors are."""
        spec = self.network.spec
        if not spec.category_features:
            return {}
        n_codes = np.zeros(spec.n_features, dtype=np.int32)
        sizes = np.ones(spec.n_features, dtype=np.int32)
        for feature, which in spec.category_features:
            n = spec.n_categories[which]
            n_codes[feature], sizes[feature] = n + 1, embedding_size(n)
        return {"n_codes": n_codes, "feature_sizes": sizes}

    def _training_fields(self, weights, embeds):
        """Return what training needs beside: the loss, and the gradients."""
        criterion = self.criterion
        if criterion is None:
            return {}
        levels = criterion.levels
        return {
            "gradients": [weight.grad for weight in weights],
            "train_embedding": int(embeds and weights[-1].requires_grad),
            "loss": LOSS_CODES.index(criterion.name),
            "label_smoothing": criterion.label_smoothing,
            "n_levels": 1 if levels is None else len(levels),
            "targets_may_be_missing": int(criterion.may_miss),
            "levels": _to(levels, self._dtype),
            "class_weights": _to(criterion.class_weights, self._dtype),
        }

    def gradient(self, x, lengths, targets_and_weights, n_usual=None):
        """Add the gradient of a batch to the weights'.

        Parameters
        ----------
        x : Tensor of shape (N, T, n_features)
            A batch.
        lengths : LongTensor of shape (N,) or None
            Steps of each sequence.
        targets_and_weights : tuple of Tensor
            As the loss takes them.
        n_usual : float, default=None
            Targets per update, which the gradient is scaled by; None takes the batch
            by itself.

        Returns
        -------
        loss : float
            The mean loss, not scaled.
        outputs : Tensor or None
            Of the network, if `keeps_outputs`.
        """
        outputs, output_starts = None, None
        reader, is_read = self._embedding_reader(), None
        if reader is not None:
            is_read = torch.zeros(self.network.spec.n_tokens + 1, dtype=torch.uint8)
        if self.keeps_outputs:
            n_rows = x.shape[0]
            n_steps = n_joined(x.shape[1], self.network.spec.subsampling)
            shape = (n_rows, n_steps) if self._per_step else (n_rows,)
            outputs = torch.zeros(*shape, self._n_outputs, dtype=self._dtype)
            output_starts = np.arange(n_rows, dtype=np.int64)
            output_starts *= n_steps if self._per_step else 1
        struct = self._batch(
            make_batch_data(x, lengths),
            len(x),
            training=1,
            n_usual=n_usual or 0.0,
            outputs=outputs,
            output_starts=output_starts,
            is_read=is_read,
            **self._random(),
        )
        targets, weights = targets_and_weights
        starts = np.arange(len(x)) * (targets.shape[1] if self._per_step else 1)
        n_steps = np.full(len(x), x.shape[1]) if lengths is None else lengths.numpy()
        self._set_targets(struct.data_struct, targets, starts, weights, n_steps)
        run_kernel("run_batch", struct)
        if reader is not None:
            reader.add(is_read.nonzero())
        return struct.loss, outputs

    def _embedding_reader(self):
        """Return what asks which rows of the embedding a batch reads, or None."""
        embeds = self.network.spec.n_tokens is not None
        return self.network.embedding.reader if embeds else None

    def _batch(self, data, n_rows, **fields):
        """Return the struct of a batch, with the data in `data_struct`."""
        struct = make_struct(
            "Batch",
            network=self._struct,
            data=data,
            n_rows=n_rows,
            n_threads=n_kernel_threads(),
            **{"rows": np.arange(n_rows, dtype=np.int64), **fields},
        )
        struct.data_struct = data
        return struct

    def _random(self):
        """Return which random numbers dropout draws next."""
        generator = self.network.dropout_generator
        if generator is None:
            return {}
        return {"seed": generator.seed, "update": generator.update}

    def _set_targets(self, data, targets, starts, weights, lengths):
        """Add targets to the data: row `starts[i]` is the first one of sequence i."""
        has_codes = self.criterion.name in ("log_loss", "bernoulli")
        dtype = torch.int64 if has_codes else self._dtype
        n_outputs, n_levels = self._n_outputs, self._struct.n_levels
        width = 1 if self.criterion.name == "log_loss" else n_outputs // n_levels
        targets = targets.to(dtype).contiguous()
        if self.criterion.name == "log_loss":
            _check_codes(targets, n_outputs, self.criterion.may_miss)
        n_rows = targets.numel() // width
        check_array(targets.view(-1), "targets", dtype, (n_rows * width,))
        n_read = 1
        if self._per_step:
            n_read = n_joined(lengths, self.network.spec.subsampling)
        n_needed = int(np.max(starts + n_read))
        if n_rows < n_needed:
            raise ValueError(
                f"there are {n_rows} targets, and {len(starts)} sequences need "
                f"{n_needed} of them."
            )
        if weights is not None and len(weights) != len(starts):
            raise ValueError(
                f"there are {len(weights)} weights of {len(starts)} sequences."
            )
        set_field(data, "targets", targets)
        set_field(data, "target_starts", np.ascontiguousarray(starts, dtype=np.int64))
        set_field(data, "sample_weights", _to(weights, self._dtype))

    def training_data(self, dataset, previous=None):
        """Return a whole dataset as the kernels read it.

        Parameters
        ----------
        dataset : SequenceDataset
            Of the training.
        previous : ctypes.Structure, default=None
            What was returned before, for the same dataset.

        Returns
        -------
        ctypes.Structure or None
            None if batches have to be gathered one by one.
        """
        if previous is not None and previous.format == self._data_format:
            return previous
        data = make_data(dataset.sequences)
        if data is None:
            return None
        data.format = self._data_format
        targets, starts = dataset.targets, np.arange(len(dataset))
        if self._per_step:
            targets, starts = dataset.targets.values, dataset.targets.starts.numpy()
        self._set_targets(data, targets, starts, dataset.weights, dataset.lengths)
        return data

    def train(self, data, batches, optimizer, learning_rates, n_usual=None):
        """Update the weights for many batches.

        Parameters
        ----------
        data : ctypes.Structure
            From `training_data`.
        batches : list of ndarray of int
            The sequences of each.
        optimizer : ctypes.Structure
            Updates the weights that gradients are added to.
        learning_rates : list of float
            One per batch.
        n_usual : float, default=None
            As for `gradient`.

        Returns
        -------
        FusedRecord
            Of the batches up to the first whose loss is not finite.
        """
        record = FusedRecord(len(batches))
        struct = make_struct(
            "Training",
            network=self._struct,
            data=data,
            optimizer=optimizer,
            order=np.concatenate(batches).astype(np.int64),
            batch_ends=np.cumsum([len(batch) for batch in batches], dtype=np.int64),
            n_batches=len(batches),
            learning_rates=np.array(learning_rates, dtype=float),
            n_usual=n_usual or 0.0,
            max_seconds=SECONDS_PER_CALL,
            n_threads=n_kernel_threads(),
            **self._random(),
            **vars(record),
        )
        while struct.begin < len(batches):
            before = struct.begin
            run_kernel("train", struct)  # between two calls Python handles Ctrl-C
            if not np.isfinite(record.losses[before : struct.begin]).all():
                break
        return record.first(struct.begin)

    def predict(self, sequences):
        """Return the outputs for sequences.

        Parameters
        ----------
        sequences : SequenceArray
            At least one.

        Returns
        -------
        Tensor of shape (n_sequences, n_outputs) or (n_steps, n_outputs)
            As `network_outputs` returns them.
        """
        lengths = sequences.lengths
        n_read = n_joined(lengths, self.network.spec.subsampling)
        starts = (
            np.cumsum(n_read) - n_read if self._per_step else np.arange(len(lengths))
        )
        n_outputs = int(n_read.sum()) if self._per_step else len(lengths)
        outputs = torch.empty(n_outputs, self._n_outputs, dtype=self._dtype)
        data = make_data(sequences)
        for rows in blocks_by_length(lengths, ROWS_PER_CALL, STEPS_PER_CALL):
            of_block, indices = data, rows
            if data is None:
                batch = to_batch(sequences, rows, "cpu")
                of_block = make_batch_data(batch["x"], batch["lengths"])
                indices = np.arange(len(rows), dtype=np.int64)
            struct = self._batch(
                of_block,
                len(rows),
                rows=np.ascontiguousarray(indices, dtype=np.int64),
                outputs=outputs,
                output_starts=np.ascontiguousarray(starts[rows], dtype=np.int64),
            )
            run_kernel("run_batch", struct)
        return outputs


def _check_codes(targets, n_outputs, may_miss):
    """Check that the codes of classes are those of outputs."""
    smallest, largest = map(int, targets.aminmax())
    wrong = smallest if smallest < 0 and not may_miss else largest
    if (wrong < 0 and not may_miss) or wrong >= n_outputs:
        raise IndexError(
            f"a target has the code {wrong}, and the network has {n_outputs} outputs."
        )


class FusedRecord:
    """What training many batches in one call records of each.

    Parameters
    ----------
    n_batches : int
        Batches.

    Attributes
    ----------
    losses, norms : ndarray of float64 of shape (n_batches,)
        Mean loss; norm of the gradient before it was clipped.
    n_targets : ndarray of int64 of shape (n_batches,)
        Targets of the mean; with 0 there was no update.
    clipped : ndarray of bool of shape (n_batches,)
        Whether the gradient was clipped.
    """

    def __init__(self, n_batches):
        self.losses, self.norms = np.zeros(n_batches), np.zeros(n_batches)
        self.n_targets = np.zeros(n_batches, dtype=np.int64)
        self.clipped = np.zeros(n_batches, dtype=bool)

    def first(self, n_batches):
        """Return the record of the first batches."""
        record = FusedRecord(0)
        for name, values in vars(self).items():
            setattr(record, name, values[:n_batches])
        return record


def make_data(sequences):
    """Return sequences as the kernels read them.

    Parameters
    ----------
    sequences : SequenceArray
        Any.

    Returns
    -------
    ctypes.Structure or None
        None for augmented ones, and for types of values that kernels do not read.
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
    differenced, n_differenced, units = None, 0, None
    if differencing is not None:
        n_differenced, units = len(differencing.features), differencing.units
        differenced = np.zeros(n_features, dtype=np.int32)
        differenced[differencing.features] = np.arange(1, n_differenced + 1)
    return make_struct(
        "Data",
        values=values,
        values_type=VALUES_TYPES.index(values.dtype),
        step_stride=n_features,
        starts=np.ascontiguousarray(sequences.starts * n_features, dtype=np.int64),
        lengths=np.ascontiguousarray(sequences.lengths, dtype=np.int64),
        n_differenced=n_differenced,
        differenced=differenced,
        units=None if units is None else np.ascontiguousarray(units, dtype=float),
        center=_doubles(scaling and scaling.center, n_features),
        factor=_doubles(scaling and scaling.factor, n_features),
    )


def make_batch_data(x, lengths):
    """Return a padded batch as the kernels read it.

    Parameters
    ----------
    x : Tensor of shape (N, T, n_features)
        The batch.
    lengths : LongTensor of shape (N,) or None
        Steps of each sequence; None when all have T.

    Returns
    -------
    ctypes.Structure
    """
    n_rows, n_steps, n_features = x.shape
    steps = x.detach().transpose(0, 1).contiguous()  # usually gathered so
    if steps.numpy().dtype not in VALUES_TYPES:
        steps = steps.double()
    if lengths is None:
        lengths = torch.full((n_rows,), n_steps)
    return make_struct(
        "Data",
        values=steps,
        values_type=VALUES_TYPES.index(steps.numpy().dtype),
        step_stride=n_rows * n_features,
        starts=np.arange(n_rows, dtype=np.int64) * n_features,
        lengths=lengths,
    )


def _doubles(values, n_features):
    if values is None:
        return None
    return np.ascontiguousarray(np.broadcast_to(values, n_features), dtype=float)


def _to(values, dtype):
    return None if values is None else values.detach().to(dtype).contiguous()
