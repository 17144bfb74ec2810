"""What every estimator of this package shares: reading data, training, state."""

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import asdict
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.estimators._reading import SampleReader
from sklearn_rnn.estimators._state import DTYPES, PortableState
from sklearn_rnn.kernels import CELLS
from sklearn_rnn.modules import POOLINGS, NetworkSpec, build_network
from sklearn_rnn.sequences import check_tokens
from sklearn_rnn.training import (
    OPTIMIZERS,
    SCHEDULES,
    EpochLines,
    Patience,
    ProgressBar,
    SequenceDataset,
    SequenceNet,
    WeightedLoss,
    any_lr_scheduler,
    check_device,
    choose_n_threads,
    copy_callbacks,
    find_optimizer,
    limit_threads,
    n_epochs_for,
    network_outputs,
    new_random_state,
)


class BaseRNN(PortableState, SampleReader, BaseEstimator, ABC):
    """Base of the estimators that learn from whole sequences.

    A subclass says how targets are read, what the network is to predict, and
    how its outputs become predictions; the rest is here.
    """

    _parameter_constraints = {
        "cell": [StrOptions(set(CELLS))],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "residual": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "pooling": [StrOptions(set(POOLINGS))],
        "embedding_dim": [Interval(Integral, 1, None, closed="left"), None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions(set(SCHEDULES)), None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "clip_value": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "shuffle": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "standardize": ["boolean"],
        "warm_start": ["boolean"],
        "callbacks": [list, HasMethods("on_epoch_end"), None],
        "dtype": [StrOptions({"auto", *DTYPES})],
        "device": [str, torch.device],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        cell,
        hidden_size,
        n_layers,
        bidirectional,
        residual,
        dropout,
        input_dropout,
        pooling,
        embedding_dim,
        optimizer,
        learning_rate,
        lr_schedule,
        weight_decay,
        clip_norm,
        clip_value,
        batch_size,
        max_epochs,
        shuffle,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
        tol,
        standardize,
        warm_start,
        callbacks,
        dtype,
        device,
        n_threads,
        verbose,
        random_state,
    ):
        self.cell = cell
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.residual = residual
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.pooling = pooling
        self.embedding_dim = embedding_dim
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.standardize = standardize
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.dtype = dtype
        self.device = device
        self.n_threads = n_threads
        self.verbose = verbose
        self.random_state = random_state

    # What a subclass says.

    @abstractmethod
    def _check_y(self, y, *, reset):
        """Return `y` as the network's targets are computed from it."""

    def _check_trainable(self, samples):
        """Refuse samples that nothing can be learned from."""

    def _learn_targets(self, samples):
        """Fit what turns targets into the network's targets."""

    @abstractmethod
    def _network_targets(self, samples):
        """Return the array that the loss compares outputs with."""

    @abstractmethod
    def _initialize_head(self, network, samples):
        """Let an untrained network predict what is known without the inputs."""

    @abstractmethod
    def _n_outputs(self):
        """Return the number of outputs of the network."""

    @abstractmethod
    def _loss_name(self):
        """Return the name of the loss."""

    @abstractmethod
    def _outputs_score(self, outputs, data):
        """Return the score that ``score`` would give for these outputs."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # Training.

    @torch.inference_mode(False)
    def _fit(self, X, y, sample_weight, X_val, y_val):
        continuing = self.warm_start and self.__sklearn_is_fitted__()
        with self._all_or_nothing():
            samples = self._read_samples(X, y, sample_weight, reset=not continuing)
            self._check_trainable(samples)
            validation = self._read_validation(X_val, y_val)
            random_state = self._random_state = new_random_state(self.random_state)
            if validation is None and self.early_stopping:
                samples, validation = self._hold_out(samples, random_state)
            samples = samples.with_mean_weight_one()
            if validation is not None:
                validation = validation.with_mean_weight_one()
            network = self._network(samples, random_state, continuing)
            self._make_net(network, SCHEDULES.get(self.lr_schedule))
        n_epochs = self.max_epochs
        if n_epochs == "auto":
            n_epochs = n_epochs_for(len(samples.y), self.batch_size)
        self._train(samples, validation, n_epochs, random_state)
        return self

    @torch.inference_mode(False)
    def _partial_fit(self, X, y, sample_weight, **about_y):
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it makes one pass "
                "over what it is given. Set early_stopping=False, or call fit."
            )
        continuing = self.__sklearn_is_fitted__()
        with self._all_or_nothing():
            samples = self._read_samples(
                X, y, sample_weight, reset=not continuing, **about_y
            )
            if not continuing:
                self._random_state = new_random_state(self.random_state)
            network = self._network(samples, self._random_state, continuing, False)
            if not continuing:
                self._make_net(network, schedule=None)
            self._refresh_net()
        self._train(samples, None, 1, self._random_state)
        return self

    @contextmanager
    def _all_or_nothing(self):
        """Leave a fitted estimator as it was if its next fit fails to begin."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _network(self, samples, random_state, continuing, may_fit_one_batch=True):
        """Return the network to train: that of the last fit, or a new one."""
        if continuing:
            self._check_same_network(samples.sequences)
            return self.module_
        self.history_ = []
        one_batch = may_fit_one_batch and len(samples.y) <= self.batch_size
        return self._build(samples, random_state, one_batch)

    def _check_same_network(self, sequences):
        before, now = asdict(self._network_spec), asdict(self._spec(sequences))
        # The vocabulary is that of the first fit; later tokens are unknown.
        changed = [k for k in now if now[k] != before[k] and k != "n_tokens"]
        if self.dtype not in ("auto", self._torch_dtype):
            changed.append("dtype")
        if changed:
            raise ValueError(
                f"{type(self).__name__} goes on training the network of its last fit, "
                f"which had another {' and '.join(changed)}. Put that back, or fit "
                "anew with warm_start=False."
            )

    def _build(self, samples, random_state, one_batch):
        """Build an initialised network for these samples."""
        self._learn_targets(samples)
        self._torch_dtype = self.dtype
        if self.dtype == "auto":
            # While one batch holds all data, float64 costs next to nothing.
            self._torch_dtype = "float64" if one_batch else "float32"
        self._network_spec = self._spec(samples.sequences)
        generator = torch.Generator().manual_seed(random_state.randint(2**31 - 1))
        with limit_threads(1):
            network = build_network(
                self._network_spec, DTYPES[self._torch_dtype], generator
            )
        if self.standardize and self.embedding_dim is None:
            mean, scale = samples.sequences.mean_and_scale(samples.weights)
            network.set_input_scaling(mean, 1 / scale)
        self._initialize_head(network, samples)
        return network

    def _spec(self, sequences):
        embeds = self.embedding_dim is not None
        return NetworkSpec(
            cell=self.cell,
            n_features=sequences.n_features,
            hidden_size=int(self.hidden_size),
            n_outputs=self._n_outputs(),
            n_layers=int(self.n_layers),
            bidirectional=bool(self.bidirectional),
            dropout=float(self.dropout),
            input_dropout=float(self.input_dropout),
            residual=bool(self.residual),
            pooling=self.pooling,
            n_tokens=check_tokens(sequences) if embeds else None,
            embedding_dim=int(self.embedding_dim) if embeds else None,
        )

    def _make_net(self, network, schedule, device=None):
        """Set ``net_`` and ``module_``: a net around `network`, ready to train."""
        optimizer, options = find_optimizer(self.optimizer, self.weight_decay)
        self.net_ = SequenceNet(
            network,
            criterion=WeightedLoss(self._loss_name()),
            optimizer=optimizer,
            lr=self.learning_rate,
            batch_size=self.batch_size,
            callbacks=self._callbacks(),
            device=device or check_device(self.device),
            verbose=0,
            shuffle=self.shuffle,
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            schedule=schedule,
            scorer=self._outputs_score,
            **options,
        ).initialize()
        self.module_ = self.net_.module_
        self.n_parameters_ = sum(p.numel() for p in self.module_.parameters())

    def _refresh_net(self):
        """Let parameters set since the last call of partial_fit count."""
        self.net_.set_params(schedule=None, lr=self.learning_rate)
        for name in ("batch_size", "clip_norm", "clip_value", "shuffle"):
            setattr(self.net_, name, getattr(self, name))

    def _callbacks(self):
        given = self.callbacks
        given = [] if given is None else given
        given = copy_callbacks(given if isinstance(given, list) else [given])
        if self.lr_schedule is not None and any_lr_scheduler(given):
            raise ValueError(
                f"callbacks has an LRScheduler, and lr_schedule={self.lr_schedule!r} "
                "sets the learning rate as well. Set lr_schedule=None."
            )
        own = {0: [], 1: [ProgressBar]}.get(int(self.verbose), [EpochLines])
        return given + [callback(type(self).__name__) for callback in own]

    def _train(self, samples, validation, n_epochs, random_state):
        """Train ``net_`` and record what happened, whatever happens."""
        net = self.net_
        net.random_state = np.random.RandomState(random_state.randint(2**31 - 1))
        generator = torch.Generator(net.device)
        generator.manual_seed(random_state.randint(2**31 - 1))
        self.module_.seed_dropout(generator)
        patience = None
        if self.early_stopping:
            patience = Patience(self.n_iter_no_change, self.tol)
        data = self._dataset(samples)
        held_out = None if validation is None else self._dataset(validation)
        first = len(net.history)
        try:
            with limit_threads(self._n_threads()):
                net.train(data, held_out, n_epochs, patience)
        finally:
            self._record(net.history[first:], patience)

    def _dataset(self, samples):
        dtype, device = DTYPES[self._torch_dtype], self.net_.device
        weights = samples.weights
        if weights is not None:
            weights = torch.as_tensor(weights, dtype=dtype, device=device)
        targets = torch.from_numpy(self._network_targets(samples))
        if targets.is_floating_point():
            targets = targets.to(dtype)
        return SequenceDataset(samples.sequences, targets.to(device), weights)

    def _n_threads(self):
        if self.n_threads is not None:
            return self.n_threads
        return choose_n_threads(self.batch_size, self._network_spec)

    def _record(self, rows, patience):
        """Set the attributes that tell how training went, from finished epochs."""
        rows = [row for row in rows if "dur" in row]
        for row in rows:
            kept = {key: value for key, value in row.items() if key != "batches"}
            self.history_.append({**kept, "epoch": len(self.history_) + 1})
        self.n_iter_ = len(self.history_)
        self.loss_curve_ = [row["train_loss"] for row in self.history_]
        scores = [row["valid_score"] for row in self.history_ if "valid_score" in row]
        self.validation_scores_ = scores or None
        n_kept = len(rows) if patience is None else patience.best_epoch + 1
        self.best_epoch_ = self.n_iter_ - len(rows) + n_kept
        best_row = self.history_[self.best_epoch_ - 1] if self.best_epoch_ else {}
        self.best_validation_score_ = best_row.get("valid_score")

    # Predicting.

    def __sklearn_is_fitted__(self):
        return hasattr(self, "module_")

    def _outputs(self, X):
        """Return the sequences in `X` and the network's outputs for them."""
        check_is_fitted(self)
        sequences = self._read_sequences(X, reset=False)
        with limit_threads(self._n_threads()):
            outputs = network_outputs(self.module_, sequences, self.net_.device)
        return sequences, outputs.cpu().numpy().astype(np.float64)
