"""What the estimators of whole sequences share: reading, targets, training."""

import math
from abc import ABC, abstractmethod
from contextlib import contextmanager
from numbers import Real

import numpy as np
import torch
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sklearn_rnn.estimators._categories import FROM_DTYPE, CategoryReader
from sklearn_rnn.estimators._inspection import Inspector
from sklearn_rnn.estimators._net_maker import NetMaker
from sklearn_rnn.estimators._reading import SampleReader
from sklearn_rnn.estimators._tokens import TokenReader
from sklearn_rnn.estimators._trainer import Trainer
from sklearn_rnn.sequences import COUNT
from sklearn_rnn.training import (
    check_monitors,
    choose_batch_size,
    n_epochs_for,
    network_outputs,
    new_random_state,
    update_budget,
)


class BaseRNN(
    Inspector, NetMaker, SampleReader, CategoryReader, TokenReader, Trainer, ABC
):
    """Base of the estimators that learn from whole sequences.

    A subclass says how targets are read, what the network is to predict, and
    how its outputs become predictions; the rest is here.
    """

    _parameter_constraints = {
        **Trainer._parameter_constraints,
        "bidirectional": ["boolean"],
        "categorical_features": [StrOptions({FROM_DTYPE}), "array-like", None],
        "embedding_dim": [COUNT, None],
        "token_dropout": [Interval(Real, 0, 1, closed="left")],
        "embeddings": ["array-like", HasMethods(["__getitem__", "__contains__"]), None],
        "train_embeddings": ["boolean"],
        "batch_size": [COUNT, StrOptions({"auto"})],
        "bptt_steps": [COUNT, None],
        "standardize": ["boolean"],
    }

    # What a subclass says.

    @property
    def _pooling(self):
        """How states become one vector; None has outputs for every step."""
        return self.pooling

    def _decide(self):
        """Fix what parameters decide about how X and y are read, at a new start."""
        self._reads_tokens = self._embeds()

    def _check_together(self, continuing):
        """Refuse parameters that do not go together, or not with a former fit."""
        if self.bptt_steps is not None and self.bidirectional:
            raise ValueError(
                f"bptt_steps={self.bptt_steps} does not go with bidirectional=True: a "
                "piece hands its state on to the next, and the backward direction "
                "begins in the last one. Set one of them to its default."
            )
        self._check_token_options()
        self._check_callbacks()

    def _learn_class_weights(self, samples):
        """Fit what `class_weight` makes of the labels of steps."""

    def _class_weights_of_steps(self):
        """Return what a step counts by its class, or None."""
        return None

    def _fit_closed_form(self, samples):
        """Fit what is added to the network's outputs, at a new start."""

    def _check_trainable(self, samples):
        """Refuse samples that nothing can be learned from."""

    def _learn_targets(self, samples):
        """Fit what turns targets into the network's targets."""

    def _update_targets(self, samples):
        """Fit again what targets until now did not tell."""

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
            samples, validation = self._fit_categories(samples, validation)
            samples = samples.with_mean_weight_one(self._may_miss)
            if validation is not None:
                validation = validation.with_mean_weight_one(self._may_miss)
            self._choose_batch_size(samples)
            self._has_validation = validation is not None
            network = self._network(samples, random_state, continuing)
            self._check_samples(network, samples, validation)
            if not continuing:
                self._fit_closed_form(samples)
            self._make_net(network, self._find_schedule(validation))
        with self._beside_network(samples, validation, continuing) as samples:
            n_epochs = self.max_epochs
            if n_epochs == "auto":
                n_epochs = self._choose_n_epochs(samples.sequences)
            held_out = None if validation is None else self._dataset(validation)
            self._train(self._dataset(samples), held_out, n_epochs, random_state)
        return self

    @contextmanager
    def _beside_network(self, samples, validation, continuing):
        """Fit what predicts beside the network, around the training of the network.

        Yields
        ------
        Samples
            That the network is to be trained on.
        """
        yield samples

    def _judge(self, net, validation):
        """Return loss and score of validation data."""
        outputs = network_outputs(net.module_, validation.sequences, net.device)
        loss = net.criterion_(outputs, validation.flat_targets()).item()
        # Outputs may overflow on validation data far from those of training.
        if not torch.isfinite(outputs).all():
            return loss, math.nan
        with np.errstate(over="ignore", invalid="ignore"):
            return loss, self._outputs_score(outputs, validation)

    def _choose_n_epochs(self, sequences):
        updates_a_batch = 1
        if self._per_step and self.bptt_steps is not None:
            n_batches = -(-len(sequences) // self.batch_size_)
            batches = np.array_split(np.sort(sequences.lengths), n_batches)
            pieces = [-(-batch[-1] // self.bptt_steps) for batch in batches]
            updates_a_batch = np.mean(pieces)
        budget = update_budget(sequences.lengths)
        return n_epochs_for(len(sequences), self.batch_size_, updates_a_batch, budget)

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
            samples, _ = self._fit_categories(samples)
            if not continuing:
                self._random_state = new_random_state(self.random_state)
            self._choose_batch_size(samples)
            network = self._network(
                samples, self._random_state, continuing, is_stream=True
            )
            self._check_samples(network, samples)
            check_monitors(self._given_callbacks(), has_validation=False)
            if not continuing:
                self._make_net(network)
            self._refresh_net(samples)
        self._learn_beside_network(samples, continuing)
        self._train(self._dataset(samples), None, 1, self._random_state, streamed=True)
        return self

    def _learn_beside_network(self, samples, continuing):
        """Fit what predicts beside the network to more data, before the network."""

    def _choose_batch_size(self, samples):
        """Set ``batch_size_``, of these samples."""
        size = self.batch_size
        self.batch_size_ = choose_batch_size(len(samples.y)) if size == "auto" else size

    def _network(self, samples, random_state, continuing, is_stream=False):
        """Return the network to train: that of the last fit, or a new one."""
        if continuing:
            # The vocabulary is that of the first fit; later tokens are unknown.
            self._check_same_choice(samples.sequences)
            spec = self._spec(samples.sequences)
            self._refuse_another_network(spec, ignored=("n_tokens",))
            self._update_targets(samples)
            return self.module_
        self.history_ = []
        return self._build(samples, random_state, is_stream)

    def _check_samples(self, network, samples, validation=None):
        """Check that a network's inputs and targets stay finite in its dtype."""
        for part in (samples, validation):
            if part is not None and not self._reads_tokens:
                self._check_range(self._as_seen(part.sequences), network)
        self._check_target_range(samples)

    def _check_target_range(self, samples):
        """Check that the network's targets stay finite in its dtype."""

    # Predicting.

    def _outputs_of(self, sequences):
        """Return the network's outputs for sequences, or for all their steps."""
        sequences = self._as_seen(sequences)
        if not self._reads_tokens:
            self._check_range(sequences)
        with self._computing():
            outputs = network_outputs(self.module_, sequences, self.net_.device)
        outputs = outputs.cpu().numpy().astype(np.float64)
        self._check_outputs(outputs, sequences.lengths)
        return outputs
