"""Task: what an estimator is to learn, between the data of a user and a network."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.class_weight import compute_class_weight

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.tasks._categories import CategoricalInput
from sklearn_rnn.estimators.tasks._labels import too_few_classes
from sklearn_rnn.estimators.tasks._samples import Samples, parse_weights
from sklearn_rnn.estimators.tasks._tokens import TokenInput, initialize_embedding
from sklearn_rnn.modules import NetworkSpec, build_network
from sklearn_rnn.sequences import (
    SequenceArray,
    check_features,
    check_input,
    check_no_padding,
    check_no_words,
    check_range,
    check_step_targets,
    holds_dicts,
    mean_and_scale,
    sequences_of_dicts,
    unpack,
    warn_of_waveforms,
)
from sklearn_rnn.training import (
    NO_CODE,
    UPDATE_BUDGET,
    SequenceDataset,
    StepTargets,
    n_epochs_for,
    network_outputs,
    validation_split,
)

# Of weights, gradients and outputs.
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "mixed": torch.float32,
}
# Sequences that tell the scale of differences from the last step.
SCALED_BY = 4096
# Up to this many sequences are one batch, in float64: then a weight of two equals two
# copies to rounding, as scikit-learn's checks require. Its updates cost more.
ONE_BATCH, ONE_BATCH_UPDATES = 32, 200
# Other data are split into about this many batches, within these sizes.
N_BATCHES, SMALLEST_BATCH, LARGEST_BATCH = 16, 8, 64
# Steps up to which they get the usual number of updates; longer sequences get more, by
# at most this factor.
SHORT_STEPS, MAX_FACTOR = 64, 3
# What a parameter is called where it describes the network.
SPEC_NAMES = {"attention": "attention_type", "cutoffs": "softmax"}


class FitContext(NamedTuple):
    """What a fit has besides data.

    random_state : RandomState
    is_continued : bool, whether the network of the last fit is trained further
    is_stream : bool, whether the data are those of a call of ``partial_fit``
    has_validation : bool, whether there are validation data
    stops_early : bool, whether they say when training ends
    checkpoint : TrainingCheckpoint or None, where the network is kept while it trains
    compute_outputs : callable, from sequences to outputs of the network that is trained
    train_trial : callable, trains a network like it on other data
    """

    random_state: np.random.RandomState
    is_continued: bool
    is_stream: bool
    has_validation: bool
    stops_early: bool
    checkpoint: Any
    compute_outputs: Callable
    train_trial: Callable


@dataclass(eq=False, repr=False)
class Task(ABC):
    """What is to be learned: from data to outputs of a network, and back.

    `estimators._fit` calls the methods, in the order in which they stand here. What
    a fitted estimator needs in order to predict is in its network and its task. Of the
    parameters a task has those that decide what is learned, as they were when the last
    fit began; those of the training are read from the estimator.

    Parameters
    ----------
    estimator_name : str
        For messages.
    params : SimpleNamespace
        Parameters of the estimator.
    is_trial : bool, default=False
        Whether it is learned for a comparison. Then X and y are samples of the fit that
        compares, parsed already, and warnings about them were given.
    """

    estimator_name: str
    params: SimpleNamespace
    is_trial: bool = False

    network_spec: Any = None
    dtype: Any = None  # a name in DTYPES
    batch_size: Any = None  # int where the parameter may be "auto"
    # While it trains, without validation data: what ``max_epochs="auto"`` stops by.
    held_back: Any = None

    # Attributes that a fit changes: a fit that continues has copies of them.
    parts: ClassVar[tuple[str, ...]] = ()
    # Length of the cool-down of early stopping, and what it watches, as of `Patience`.
    cool_down: ClassVar[float | None] = None
    monitor: ClassVar[str] = "valid_loss"

    def continued(self, params: SimpleNamespace) -> Self:
        """Return a copy to continue training with, which may have other parameters."""
        task = copy(self)
        for name in self.parts:
            setattr(task, name, copy(getattr(self, name)))
        task.params = params
        return task

    # Data

    def check_params(self, last: "Task | None") -> None:
        """Check that parameters go together, and with those of the last fit."""

    @abstractmethod
    def parse(
        self, estimator, X, y, sample_weight, *, reset, is_validation=False, **about_y
    ):
        """Return what was given to fit, as data that the task is learned from.

        Counts and names of features are set on the estimator, or checked.

        Parameters
        ----------
        estimator : estimator instance
            That was given the data.
        X, y, sample_weight : object
            As given to ``fit``.
        reset : bool
            Whether X and y say what there is to be read and predicted.
        is_validation : bool, default=False
            Whether they are X_val and y_val.
        **about_y : object
            What else is known of y, such as `classes`.
        """

    def parse_validation(self, estimator, X_val, y_val):
        """Return validation data, of which something was given."""
        if X_val is None or y_val is None:
            given, missing = ("X_val", "y_val")[:: 1 if y_val is None else -1]
            raise ValueError(f"{given} was given without {missing}: pass both.")
        data = X_val, y_val, None
        try:
            return self.parse(estimator, *data, reset=False, is_validation=True)
        except ValueError as error:
            names = "X_val or y_val"
            if isinstance(error, InvalidSequenceError):
                names = self.suspects_of_validation
            raise InvalidSequenceError(
                f"{names}: {error} (A pipeline passes X_val on as it is, unless it was "
                "made with Pipeline(..., transform_input=['X_val']).)"
            ) from error

    # What an error about the form of validation data is about.
    suspects_of_validation = "X_val"

    def check_trainable(self, data) -> None:
        """Check that something can be learned from data."""

    @abstractmethod
    def hold_out(self, data, random_state):
        """Return the data to train on, and some set aside to validate on."""

    @abstractmethod
    def prepare(self, data, validation, context: FitContext):
        """Return training and validation data as the network needs them.

        And fit what inputs and outputs of a new network mean; of one that is trained
        further, what data until now could not tell.
        """

    # Network: a new one, or that of the last fit

    def make_network(self, data, validation, context: FitContext, estimator):
        """Return the network to train: that of an estimator's last fit, or a new one.

        Of a new one the spec is set, and first weights fit the data.
        """
        spec = self.make_spec(data)
        if context.is_continued:
            self.check_same_network(spec, estimator._task)
            self.scale_inputs(data, validation, estimator.module_)
            return estimator.module_
        self.network_spec = spec
        scaling = self.scale_inputs(data, validation)
        seed = context.random_state.randint(2**31 - 1)
        generator = torch.Generator().manual_seed(seed)
        network = build_network(spec, DTYPES[self.dtype], generator, scaling)
        if hasattr(network, "embedding"):
            self.prepare_embedding(network.embedding, data)
        self.initialize(network, data)
        return network

    @abstractmethod
    def make_spec(self, data):
        """Return the spec of the network."""

    # Parameters that decide how data are read: they stay where a fit continues.
    fixed_params: ClassVar[tuple[str, ...]] = ()

    # Of the spec, what may be another one where training continues.
    ignored_in_spec: ClassVar[tuple[str, ...]] = ()

    def check_same_network(self, spec, last: "Task") -> None:
        """Check that the network of the last fit is the one to be trained now."""
        before, now = asdict(last.network_spec), asdict(spec)
        changed = [
            SPEC_NAMES.get(k, k)
            for k in now
            if now[k] != before[k] and k not in self.ignored_in_spec
        ]
        changed += [
            k
            for k in self.fixed_params
            if getattr(self.params, k) != getattr(last.params, k)
        ]
        if self.params.dtype not in ("auto", self.dtype):
            changed.append("dtype")
        if changed:
            raise ValueError(
                f"{self.estimator_name} continues to train the network of its last "
                f"fit, which had another {' and '.join(changed)}. Restore it, or set "
                "warm_start=False."
            )

    # Whether the network reads ids, and not numbers.
    reads_symbols = False

    def as_network_input(self, sequences):
        """Return sequences as the network reads them."""
        return sequences

    def scale_inputs(self, data, validation, network=None):
        """Return center and factor of a new network's inputs, or of the last fit's.

        None where it reads symbols. Check that inputs, and targets that are numbers,
        stay finite in its dtype.
        """
        if self.reads_symbols:
            return None
        parts = [part for part in (data, validation) if part is not None]
        read = [self.as_network_input(part.sequences) for part in parts]
        center, factor = 0.0, 1.0
        if network is not None:
            center, factor = network.center.cpu().numpy(), network.factor.cpu().numpy()
        elif self.params.standardize:
            center, scale = mean_and_scale(read[0], data.weights)
            if read[0].transforms.differencing is not None:
                _scale_differences(read[0], data.weights, center, scale)
            factor = 1 / scale
        for sequences in read:
            check_range(
                sequences,
                estimator_name=self.estimator_name,
                center=center,
                factor=factor,
                dtype=self.dtype,
            )
        return center, factor

    def prepare_embedding(self, embedding, data=None) -> None:
        """Set what an embedding knows of symbols: of a new one first vectors, by data.

        Without data weights are loaded into it.
        """

    @abstractmethod
    def initialize(self, network, data):
        """Let an untrained network predict what is known without its inputs."""

    # Training

    @abstractmethod
    def loss(self):
        """Return the criterion."""

    def fit_closed_form(self, data, context: FitContext) -> None:
        """Fit what is added to the network's outputs, at the first fit."""

    @contextmanager
    def around_training(self, net, data, validation, context: FitContext):
        """Set up and finish the training of a net, and what depends on it.

        Yields the data that the network is trained on.
        """
        yield data

    @abstractmethod
    def make_dataset(self, data, device):
        """Return data as the training loop reads them."""

    @abstractmethod
    def choose_n_epochs(self, dataset):
        """Return the number of epochs for ``max_epochs="auto"``."""

    @abstractmethod
    def score_validation(self, net, dataset):
        """Return loss and score of validation data."""

    def finish(self) -> None:
        """Drop what is needed during a fit alone."""


@plain_type
class Labels:
    """The classes that labels are of, and the weight of each."""

    classes: Any = None
    # By `class_weight`; None if all count alike.
    weights: Any = None

    def encode(self, labels, distinct, *, reset, classes=None):
        """Return the codes of labels; `reset` sets the classes to those given."""
        if reset:
            self.classes = distinct if classes is None else classes
            if len(self.classes) < 2:
                raise too_few_classes(self.classes)
        unknown = np.setdiff1d(distinct, self.classes)
        if len(unknown):
            raise ValueError(
                f"y has labels that fit did not see, {unknown[:5].tolist()}. Leave "
                "them out, fit again on samples of all classes, or give all classes in "
                "the first call of partial_fit."
            )
        return np.searchsorted(self.classes, labels)

    def set_weights(self, class_weight, codes, sample_weight=None):
        """Set the weight of each class, from `class_weight` and the codes."""
        if isinstance(class_weight, dict):
            try:
                self.weights = compute_class_weight(
                    class_weight, classes=self.classes, y=self.classes[codes]
                )
            except ValueError as error:
                classes = self.classes.tolist()
                unknown = [key for key in class_weight if key not in classes]
                raise ValueError(
                    f"class_weight names {unknown}, and the classes are {classes}: "
                    "correct its keys."
                ) from error
            return
        counts = np.bincount(codes, sample_weight, len(self.classes))
        # Classes that these samples do not have are not there to be balanced.
        there, self.weights = counts > 0, np.ones(len(counts))
        self.weights[there] = counts.sum() / (there.sum() * counts[there])


@dataclass(eq=False, repr=False)
class SequenceTask(Task):
    """Learn from sequences with one target each, or one at every step.

    A subclass parses targets, and says what the network is to predict and what its
    outputs mean.
    """

    tokens: TokenInput = field(default_factory=TokenInput)
    categories: CategoricalInput = field(default_factory=CategoricalInput)
    # What "auto" stands for.
    chosen_cell: Any = None
    chosen_size: Any = None
    # Of an embedding, between `prepare` and `make_network`.
    initial_vectors: Any = None
    # The number of outputs of the network.
    n_outputs: Any = field(init=False)

    parts: ClassVar[tuple[str, ...]] = ("tokens", "categories")
    ignored_in_spec = ("n_tokens",)
    # Whether every step has a target, and targets are labels.
    per_step = False
    has_labels = False
    labels: Any = field(init=False)  # where `has_labels`
    # Whether the y of fit was an array of steps, so that predictions are, too.
    y_was_array = False
    # Whether a sequence, or a step, may have no target.
    targets_may_be_missing = False
    # How many steps a target may lie beyond the end of its window.
    horizon = 1

    # What a subclass says

    @abstractmethod
    def parse_targets(self, y, *, reset, **about_y):
        """Return targets as an array (n, n_outputs), or (n,) of class codes.

        And set `n_outputs`.
        Of numbers, what was parsed may be parsed again: a subclass that transforms them
        returns them as they are where `is_trial`.
        """

    def network_targets(self, samples):
        """Return the array that the loss compares outputs with, steps in a row."""
        return samples.y

    @abstractmethod
    def score(self, outputs, dataset):
        """Return the score that the estimator's ``score`` would give for outputs."""

    @abstractmethod
    def decode(self, sequences, outputs):
        """Turn outputs of the network into what ``predict`` returns."""

    # Data

    def check_params(self, last):
        if self.params.bptt_steps is not None and self.params.bidirectional:
            raise ValueError(
                f"bptt_steps={self.params.bptt_steps} does not go with "
                "bidirectional=True: a chunk hands its state on to the next, and the "
                "backward direction begins in the last one. Set one of them to its "
                "default."
            )
        params = self.params
        has_vectors = params.embeddings is not None
        self.reads_symbols = has_vectors or params.embedding_dim is not None
        if last is None:
            self.tokens.is_used = self.reads_symbols
        if params.token_dropout not in ("auto", 0) and not self.reads_symbols:
            raise ValueError(
                f"token_dropout={params.token_dropout} hides tokens, but without "
                "embedding_dim X holds numbers. Set embedding_dim to embed tokens, or "
                "take input_dropout."
            )
        if not (params.train_embeddings or has_vectors):
            raise ValueError(
                "train_embeddings=False keeps the vectors of embeddings as they are, "
                "but embeddings=None gives none."
            )

    def parse_X(self, estimator, X, *, reset=False):
        """Return X without padding, and as it was given."""
        name = self.estimator_name
        if not reset and isinstance(X, (list, tuple)) and holds_dicts(X):
            X = _parse_dicts(X, estimator, self.categories.features)
        checked = check_input(X, estimator_name=name, allow_categories=True)
        sequences = checked.sequences
        if self.tokens.is_used or sequences.transforms.tokens is not None:
            self.tokens.check(sequences, name, reset=reset)
        if reset and self.per_step and checked.is_table:
            _check_not_one_column(checked.X, name)
        # Faster than scikit-learn's check, which a prediction for one sequence notices.
        form = None if reset else getattr(estimator, "_form_of_X", None)
        if form is None or checked.form != form:
            check_features(estimator, checked, reset=reset)
        if reset and sequences.n_features == 1:
            # A target for each sample is no sound to be classified.
            if not (self.per_step or self.tokens.is_used or self.is_trial):
                warn_of_waveforms(sequences)
        wanted, known = self.params.categorical_features, self.categories.features
        is_asked_for = reset and not (wanted is None or isinstance(wanted, str))
        if is_asked_for or known or sequences.transforms.categories:
            sequences = self.categories.apply(
                sequences,
                self.params,
                name,
                reset=reset,
                has_tokens=self.tokens.is_used,
            )
        return sequences, checked.padded

    def parse(
        self, estimator, X, y, sample_weight, *, reset, is_validation=False, **about_y
    ):
        if y is None:
            raise ValueError(
                f"{self.estimator_name} requires y to be passed, but the target y is "
                "None."
            )
        sequences, padded = self.parse_X(estimator, X, reset=reset)
        weights = None
        if sample_weight is not None:
            weights = parse_weights(sample_weight, sequences)
            if not weights.all():  # as if it were not there, nor its target
                y = unpack(y, estimator_name=self.estimator_name, name="y")
                check_consistent_length(sequences, y)
                rows = np.flatnonzero(weights)
                sequences, padded = sequences[rows], padded[rows]
                y, weights = _safe_indexing(y, rows), weights[rows]
        if self.per_step:
            y = self._parse_steps(y, sequences, padded, reset=reset, **about_y)
        else:
            y = self.parse_targets(y, reset=reset, **about_y)
        if len(y) != len(sequences):
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: X has "
                f"{len(sequences)} sequences, y has {len(y)} values. "
                + _remedy_for_counts(sequences, len(y), self)
            )
        is_label = self.has_labels and not self.per_step
        if is_label and self.params.class_weight is not None:
            # "balanced" counts the training data alone, so validation weighs alike.
            if not is_validation:
                self.labels.set_weights(self.params.class_weight, y, weights)
            of_classes = self.labels.weights[y]
            weights = of_classes if weights is None else weights * of_classes
        samples = Samples(sequences, y, weights)
        if weights is None and not self.targets_may_be_missing:
            return samples
        return samples.that_count(self.targets_may_be_missing)

    def _parse_steps(self, y, sequences, padded, *, reset, **about_y):
        """Return a target for every step, in a container of its own."""
        about = {
            "estimator_name": self.estimator_name,
            "missing_label": getattr(self.params, "missing_label", None),
            "are_labels": self.has_labels,
        }
        steps = check_step_targets(y, sequences, padded, **about)
        values = self.parse_targets(steps, reset=reset, **about_y)
        if reset:
            classes = about_y.get("classes")
            check_no_padding(steps, sequences, classes=classes, **about)
            if classes is None:
                check_no_words(y, estimator_name=self.estimator_name)
            # Padding makes folds of one length and of several: all are lists then.
            are_equal = (steps.lengths == padded.shape[1]).all()
            self.y_was_array = steps.from_array and bool(are_equal)
        return SequenceArray(values, steps.starts, steps.lengths)

    def check_trainable(self, samples):
        if self.has_labels:
            codes = np.unique(self.network_targets(samples))
            classes = self.labels.classes[codes[codes != NO_CODE]]
            if len(classes) < 2:
                raise too_few_classes(classes)

    def hold_out(self, samples, random_state):
        train, validation = validation_split(
            samples.sequences,
            self.params.validation_fraction,
            random_state,
            labels=samples.y if self.has_labels and not self.per_step else None,
            horizon=self.horizon,
            per_step=self.per_step,
        )
        return samples.select(train), samples.select(validation)

    def prepare(self, samples, validation, context):
        params, n_sequences = self.params, len(samples.y)
        self.batch_size = params.batch_size
        if params.batch_size == "auto":
            self.batch_size = choose_batch_size(n_sequences)
        if not context.is_continued:
            self.dtype = params.dtype
            if params.dtype == "auto":
                # A stream is longer than its first call.
                is_short = n_sequences <= ONE_BATCH and not context.is_stream
                self.dtype = "float64" if is_short else "float32"
        if context.is_continued:
            # The vocabulary is that of the first fit; later tokens are unknown.
            self.categories.check_same_choice(
                samples.sequences, params, self.estimator_name
            )
        elif self.tokens.is_used:
            self.initial_vectors = self.tokens.fit(
                samples.sequences, params, samples.weights, context.is_stream
            )
        categories, prepared = self.categories, []
        if categories.features:
            categories.fit(samples.sequences, warns=not self.is_trial)
        else:
            categories.categories = {}
        for part in (samples, validation):
            if part is not None and categories.features:
                part = part._replace(sequences=categories.recode(part.sequences))
            # Weights of one call of partial_fit are relative to those of the others.
            if part is not None and part.weights is not None and not context.is_stream:
                part = part.with_mean_weight_one(self.targets_may_be_missing)
            prepared.append(part)
        return prepared

    # Network

    def make_spec(self, samples):
        params, is_auto = self.params, self.params.hidden_size == "auto"
        about_symbols: dict[str, Any] = {}
        if self.reads_symbols:
            about_symbols |= self.tokens.spec(params)
        if self.categories.categories:
            about_symbols |= self.categories.spec()
        return NetworkSpec(
            cell=self.chosen_cell if params.cell == "auto" else params.cell,
            n_features=samples.sequences.n_features,
            hidden_size=int(self.chosen_size if is_auto else params.hidden_size),
            n_outputs=self.n_outputs,
            n_layers=int(params.n_layers),
            bidirectional=bool(params.bidirectional),
            dropout=float(params.dropout),
            input_dropout=float(params.input_dropout),
            weight_drop=float(params.weight_drop),
            residual=bool(params.residual),
            layer_norm=bool(params.layer_norm),
            pooling=None if self.per_step else params.pooling,
            **about_symbols,
        )

    def prepare_embedding(self, embedding, samples=None):
        counts = self.tokens.counts
        if counts is not None:
            embedding.token_dropout.set_counts(counts)
        if samples is not None:
            initialize_embedding(embedding, counts > 0, self.initial_vectors)

    # Training

    def make_dataset(self, samples, device):
        dtype, weights = DTYPES[self.dtype], samples.weights
        if weights is not None:
            weights = torch.as_tensor(weights, dtype=dtype, device=device)
        targets = torch.from_numpy(self.network_targets(samples))
        targets = targets.to(dtype) if targets.is_floating_point() else targets.long()
        targets = targets.to(device)
        sequences = self.as_network_input(samples.sequences)
        if not self.per_step:
            return SequenceDataset(sequences, targets, weights)
        lengths = torch.tensor(sequences.lengths, device=device)
        return SequenceDataset(sequences, StepTargets(targets, lengths), weights)

    def choose_n_epochs(self, dataset):
        sequences, updates_a_batch = dataset.sequences, 1
        if self.per_step and self.params.bptt_steps is not None:
            n_batches = -(-len(sequences) // self.batch_size)
            batches = np.array_split(np.sort(sequences.lengths), n_batches)
            chunks = [-(-batch[-1] // self.params.bptt_steps) for batch in batches]
            updates_a_batch = np.mean(chunks)
        budget = update_budget(sequences.lengths)
        return n_epochs_for(len(sequences), self.batch_size, updates_a_batch, budget)

    def score_validation(self, net, dataset):
        outputs = network_outputs(net.module_, dataset.sequences, net.device)
        loss = net.criterion_(outputs, dataset.flat_targets()).item()
        # Outputs may overflow on validation data far from those of training.
        if not torch.isfinite(outputs).all():
            return loss, math.nan
        with np.errstate(over="ignore", invalid="ignore"):
            return loss, self.score(outputs, dataset)

    def finish(self):
        self.initial_vectors = self.params.embeddings = None


def choose_batch_size(n_sequences):
    """Choose a batch size for a number of training sequences.

    All of them up to 32; else the power of two next to a sixteenth of them, at least 8
    and at most 64.

    Examples
    --------
    >>> from sklearn_rnn.estimators.tasks import choose_batch_size
    >>> [choose_batch_size(n) for n in (32, 33, 300, 5000)]
    [32, 8, 16, 64]
    """
    if n_sequences <= ONE_BATCH:
        return n_sequences
    size = 2 ** round(math.log2(n_sequences / N_BATCHES))
    return min(max(size, SMALLEST_BATCH), LARGEST_BATCH)


def update_budget(lengths):
    """Choose a number of updates for training sequences of these lengths.

    200 up to 32 sequences, else 600; above 64 steps the latter grow with the root of
    the median length, to at most three times as many.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.estimators.tasks import update_budget
    >>> [update_budget(np.full(100, n_steps)) for n_steps in (10, 256, 10_000)]
    [600, 1200, 1800]
    """
    if len(lengths) <= ONE_BATCH:
        return ONE_BATCH_UPDATES
    factor = math.sqrt(np.median(lengths) / SHORT_STEPS)
    return math.ceil(UPDATE_BUDGET * min(max(factor, 1), MAX_FACTOR))


def _remedy_for_counts(sequences, n_targets, task):
    """Return what to do where there are not as many targets as sequences."""
    if len(sequences) > 1 or sequences.lengths[0] != n_targets:
        return (
            "A y cut for the rows of a table needs windows for all of its rows: see "
            "make_forecast_frame and make_windows."
        )
    per_step = "RNNTagger" if task.has_labels else "RNNRegressor(return_sequences=True)"
    return (
        f"X is one sequence of {n_targets} steps, and y has a target for each of them. "
        f"Either pass [y] to {per_step}; or pass the table X[0], whose rows are the "
        "steps, to make_pipeline(SequenceWindower(n_steps=24), "
        f"{task.estimator_name}(...))."
    )


def _check_not_one_column(X, estimator_name):
    """Check that X is no column: of one step each, sequences would have no past."""
    if len(X) > 1 == X.shape[1]:
        raise InvalidSequenceError(
            f"X is a 2-D array of shape {X.shape}, with 1 feature(s): {len(X)} "
            f"sequences of one step, and {estimator_name} learns steps from those "
            "before. If x is one sequence: pass [x], and [y]. If its rows are "
            "sequences, pass the 3-D array X[:, :, np.newaxis]."
        )


def _parse_dicts(X, estimator, categorical):
    """Return sequences of dicts with the features of fit, whichever keys X has."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return X
    texts = [names[j] for j in categorical]
    name = type(estimator).__name__
    return sequences_of_dicts(X, estimator_name=name, names=names, texts=texts)


def _scale_differences(sequences, weights, center, scale):
    """Set center and scale of what is read relative to the last value: its spread."""
    features = sequences.transforms.differencing.features
    chosen = np.unique(np.linspace(0, len(sequences) - 1, SCALED_BY).astype(int))
    steps = sequences.gather(chosen)[:, :, features].astype(np.float64)
    counts = np.arange(len(steps))[:, np.newaxis] < sequences.lengths[chosen]
    if weights is not None:
        counts = counts * weights[chosen]
    squares = (steps**2 * counts[:, :, np.newaxis]).sum(axis=(0, 1))
    spread = np.sqrt(squares / counts.sum())
    # Rounding leaves a constant feature differences of a few ulps.
    is_constant = spread <= 1e-9 * np.abs(center[features])
    scale[features] = np.where(is_constant, 1.0, spread)
    # Not centred: the last value itself is 0.
    center[features] = 0.0
