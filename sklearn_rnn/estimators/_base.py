"""What every estimator of this package shares: reading data, training, state."""

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import asdict
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from skorch.callbacks import LRScheduler

from sklearn_rnn.estimators._inspection import Inspector
from sklearn_rnn.estimators._net_maker import NetMaker
from sklearn_rnn.estimators._reading import SampleReader
from sklearn_rnn.estimators._state import DTYPES, PortableState
from sklearn_rnn.kernels import CELLS
from sklearn_rnn.training import (
    OPTIMIZERS,
    SCHEDULES,
    Patience,
    any_lr_scheduler,
    find_schedule,
    limit_threads,
    n_epochs_for,
    network_outputs,
    new_random_state,
)


class BaseRNN(Inspector, NetMaker, PortableState, SampleReader, BaseEstimator, ABC):
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
        "layer_norm": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_drop": [Interval(Real, 0, 1, closed="left")],
        "embedding_dim": [Interval(Integral, 1, None, closed="left"), None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [
            StrOptions({*SCHEDULES, "plateau"}),
            callable,
            LRScheduler,
            torch.optim.lr_scheduler.LRScheduler,  # refused, with what to do
            None,
        ],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "clip_value": [Interval(Real, 0, None, closed="neither"), None],
        "bptt_steps": [Interval(Integral, 1, None, closed="left"), None],
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
        layer_norm,
        dropout,
        input_dropout,
        weight_drop,
        embedding_dim,
        optimizer,
        learning_rate,
        lr_schedule,
        weight_decay,
        clip_norm,
        clip_value,
        bptt_steps,
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
        self.layer_norm = layer_norm
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.weight_drop = weight_drop
        self.embedding_dim = embedding_dim
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.bptt_steps = bptt_steps
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

    @property
    def _pooling(self):
        """How states become one vector; None has outputs for every step."""
        return self.pooling

    def _decide(self):
        """Fix what parameters decide about how X and y are read, at a new start."""
        self._reads_tokens = self.embedding_dim is not None

    def _check_together(self, continuing):
        """Refuse parameters that do not go together, or not with a former fit."""
        if self.bptt_steps is not None and self.bidirectional:
            raise ValueError(
                f"bptt_steps={self.bptt_steps} does not go with bidirectional=True: a "
                "piece hands its state on to the next, and the backward direction "
                "begins in the last one. Set one of them to its default."
            )
        if self.lr_schedule is not None and any_lr_scheduler(self._given_callbacks()):
            raise ValueError(
                f"callbacks has an LRScheduler, and lr_schedule={self.lr_schedule!r} "
                "sets the learning rate as well. Set lr_schedule=None."
            )

    def _learn_class_weights(self, samples):
        """Fit what `class_weight` makes of the labels of steps."""

    def _class_weights_of_steps(self):
        """Return what a step counts by its class, or None."""
        return None

    def _check_trainable(self, samples):
        """Refuse samples that nothing can be learned from."""

    def _learn_targets(self, samples):
        """Fit what turns targets into the network's targets."""

    @abstractmethod
    def _network_targets(self, samples):
        """Return the array that the loss compares outputs with.

        Where every step has a target: those of all steps in a row.
        """

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
        self._check_together(continuing)
        with self._all_or_nothing():
            if not continuing:
                self._decide()
            samples = self._read_samples(X, y, sample_weight, reset=not continuing)
            self._check_trainable(samples)
            validation = self._read_validation(X_val, y_val)
            random_state = self._random_state = new_random_state(self.random_state)
            if validation is None and self.early_stopping:
                samples, validation = self._hold_out(samples, random_state)
            samples = samples.with_mean_weight_one(self._may_miss)
            if validation is not None:
                validation = validation.with_mean_weight_one(self._may_miss)
            network = self._network(samples, random_state, continuing)
            monitor = "train_loss" if validation is None else "valid_loss"
            schedule = find_schedule(
                self.lr_schedule,
                learning_rate=self.learning_rate,
                monitor=monitor,
                tol=self.tol,
            )
            self._make_net(network, schedule)
        n_epochs = self.max_epochs
        if n_epochs == "auto":
            n_epochs = self._choose_n_epochs(samples.sequences)
        self._train(samples, validation, n_epochs, random_state)
        return self

    def _choose_n_epochs(self, sequences):
        updates_a_batch = 1
        if self._per_step and self.bptt_steps is not None:
            n_batches = -(-len(sequences) // self.batch_size)
            batches = np.array_split(np.sort(sequences.lengths), n_batches)
            pieces = [-(-batch[-1] // self.bptt_steps) for batch in batches]
            updates_a_batch = np.mean(pieces)
        return n_epochs_for(len(sequences), self.batch_size, updates_a_batch)

    @torch.inference_mode(False)
    def _partial_fit(self, X, y, sample_weight, **about_y):
        self._check_together(self.__sklearn_is_fitted__())
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it makes one pass "
                "over what it is given. Set early_stopping=False, or call fit."
            )
        continuing = self.__sklearn_is_fitted__()
        with self._all_or_nothing():
            if not continuing:
                self._decide()
            samples = self._read_samples(
                X, y, sample_weight, reset=not continuing, **about_y
            )
            if not continuing:
                self._random_state = new_random_state(self.random_state)
            network = self._network(samples, self._random_state, continuing, False)
            if not continuing:
                self._make_net(network)
            self._refresh_net(samples)
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

    def _outputs_of(self, sequences):
        """Return the network's outputs for sequences, or for all their steps."""
        with limit_threads(self._n_threads()):
            outputs = network_outputs(
                self.module_, self._as_seen(sequences), self.net_.device
            )
        return outputs.cpu().numpy().astype(np.float64)
