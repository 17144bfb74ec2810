"""How a generator is trained: corpus, streams, network."""

import math

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from sklearn_rnn.estimators._corpus import read_corpus
from sklearn_rnn.estimators._priors import log_priors
from sklearn_rnn.estimators._samples import read_weights
from sklearn_rnn.estimators._state import DTYPES
from sklearn_rnn.estimators._steps import object_array
from sklearn_rnn.estimators._trainer import Trainer
from sklearn_rnn.modules import NetworkSpec, build_network
from sklearn_rnn.sequences import flat_rows
from sklearn_rnn.training import (
    NextStepDataset,
    WeightedLoss,
    cut_into_streams,
    limit_threads,
    log_likelihoods,
    n_epochs_for,
    new_random_state,
    validation_split,
)

# "auto" trains for this many updates, but few epochs: a network that has seen a small
# text often enough knows it by heart. Very little of it needs more epochs all the same.
UPDATE_BUDGET, MAX_EPOCHS, MIN_UPDATES = 2000, 20, 300


class GeneratorFit(Trainer):
    """Part of a generator that turns sequences into a trained network."""

    @torch.inference_mode(False)
    def _fit(self, X, sample_weight, X_val):
        continuing = self.warm_start and self.__sklearn_is_fitted__()
        self._check_callbacks()
        with self._all_or_nothing():
            sequences, weights = self._read_sequences(X, sample_weight, continuing)
            random_state = new_random_state(self.random_state)
            held_out, held_out_weights = None, None
            if X_val is not None:
                held_out = self._corpus.encode_all(X_val, name="X_val")
            elif self.early_stopping:
                sequences, weights, held_out, held_out_weights = self._hold_out(
                    sequences, weights, random_state
                )
            network = self._network(sequences, weights, random_state, continuing)
            self._make_net(network, self._find_schedule(held_out))
        if not self._corpus.learns_ends and sequences.lengths.min() > 2:
            sequences = self._corpus.without_begin(sequences)
        data = self._streams(sequences, weights)
        if held_out is not None:
            held_out = self._streams(held_out, held_out_weights)
        n_epochs = self.max_epochs
        if n_epochs == "auto":
            n_epochs = self._choose_n_epochs(data)
        self._train(data, held_out, n_epochs, random_state)
        return self

    def _read_sequences(self, X, sample_weight, continuing):
        """Read sequences and their weights; at a new start learn the symbols."""
        weights = None
        if sample_weight is not None:
            n_sequences = 1 if isinstance(X, str) else _num_samples(X)
            weights = read_weights(sample_weight, np.empty(n_sequences))
            if not weights.all():
                # Without weight is as if absent: not even its symbols are known.
                kept = np.flatnonzero(weights)
                X, weights = _safe_indexing(X, kept), weights[kept]
        if not continuing:
            self._corpus = read_corpus(
                X,
                owner=type(self).__name__,
                min_count=self.min_count,
                max_symbols=self.max_symbols,
                weights=weights,
            )
            self._set_symbols()
        if weights is not None and (weights == weights[0]).all():
            weights = None
        return self._corpus.encode_all(X), weights

    def _set_symbols(self):
        self._remember()
        self.__dict__.pop("n_features_in_", None)  # of a former fit
        if self._corpus.of_frames:
            self.symbols_, self.n_symbols_ = None, None
            self.n_features_in_ = self._corpus.n_features
            return
        self._remember("min_count", "max_symbols")
        symbols = self._corpus.vocabulary.symbols
        self.symbols_ = object_array(symbols)
        self.n_symbols_ = len(symbols)

    def _hold_out(self, sequences, weights, random_state):
        """Set sequences aside to validate on; of a single one its last part."""
        if len(sequences) > 1:
            train, validation = validation_split(
                sequences, self.validation_fraction, random_state
            )
            return (
                sequences[train],
                None if weights is None else weights[train],
                sequences[validation],
                None if weights is None else weights[validation],
            )
        n_steps = int(sequences.lengths[0]) - 1
        n_held_out = max(1, round(self.validation_fraction * n_steps))
        if n_held_out >= n_steps:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of a sequence of "
                f"{n_steps} steps leaves none to train on. Give more data, or X_val."
            )
        start, n_kept = sequences.starts, n_steps - n_held_out
        training = sequences.over(start, np.array([n_kept + 1]))
        validation = sequences.over(start + n_kept, np.array([n_held_out + 1]))
        return training, None, validation, None

    def _streams(self, sequences, weights):
        """Cut long sequences into parts that are read side by side."""
        shortest = self.bptt_steps or int(sequences.lengths.max())
        n_steps = sequences.lengths - 1
        n_parts = cut_into_streams(n_steps, self.batch_size, shortest)
        whole = np.repeat(np.arange(len(sequences)), n_parts)
        part = flat_rows(np.zeros(len(n_parts), int), n_parts)
        begin = part * n_steps[whole] // n_parts[whole]
        end = (part + 1) * n_steps[whole] // n_parts[whole]
        # A part's last step is predicted, and the next part's first input.
        parts = sequences.over(sequences.starts[whole] + begin, end - begin + 1)
        if weights is not None:
            mean = np.average(weights, weights=n_steps)
            weights = torch.as_tensor(
                weights[whole] / mean,
                dtype=DTYPES[self._torch_dtype],
                device=self.net_.device,
            )
        of_frames = self._corpus.of_frames
        return NextStepDataset(parts, weights, self.bptt_steps, of_frames)

    def _network(self, sequences, weights, random_state, continuing):
        spec = self._spec()
        if continuing:
            self._refuse_another_network(spec)
            return self.module_
        self.history_ = []
        self._torch_dtype = self.dtype
        self._network_spec = spec
        generator = torch.Generator().manual_seed(random_state.randint(2**31 - 1))
        with limit_threads(1):
            network = build_network(spec, DTYPES[self.dtype], generator)
        self._start_from_shares(network, sequences, weights)
        return network

    def _spec(self):
        corpus = self._corpus
        return NetworkSpec(
            cell=self.cell,
            n_features=corpus.n_features,
            hidden_size=int(self.hidden_size),
            n_outputs=corpus.n_outputs,
            n_layers=int(self.n_layers),
            dropout=float(self.dropout),
            input_dropout=float(self.input_dropout),
            weight_drop=float(self.weight_drop),
            residual=bool(self.residual),
            layer_norm=bool(self.layer_norm),
            pooling=None,
            n_tokens=None if corpus.of_frames else corpus.n_outputs,
            embedding_dim=None if corpus.of_frames else int(self.embedding_dim),
            tied=bool(self.tie_embeddings) and not corpus.of_frames,
        )

    @torch.no_grad()
    def _start_from_shares(self, network, sequences, weights):
        """Let an untrained network predict how often each symbol comes."""
        targets = sequences.over(sequences.starts + 1, sequences.lengths - 1)
        values = targets.values[flat_rows(targets.starts, targets.lengths)]
        if weights is not None:
            weights = weights / np.average(weights, weights=targets.lengths)
            weights = np.repeat(weights, targets.lengths)
        if self._corpus.of_frames:
            weights = np.ones(len(values)) if weights is None else weights
            chances = log_priors(np.stack([weights @ values, weights @ (1 - values)]))
            logits = chances[0] - chances[1]
        else:
            counts = np.bincount(values[:, 0], weights, self._corpus.n_outputs)
            logits = log_priors(counts)
            # Ids that never come are never learned about: they say nothing.
            network.embedding.weight[:-1][counts == 0] = 0.0
        network.head.bias.copy_(torch.from_numpy(logits))

    def _choose_n_epochs(self, data):
        n_batches = -(-len(data) // self.batch_size)
        batches = np.array_split(np.sort(data.lengths), n_batches)
        size = self.bptt_steps or int(data.lengths.max())
        pieces = np.mean([-(-batch[-1] // size) for batch in batches])
        n_epochs = n_epochs_for(
            len(data), self.batch_size, pieces, UPDATE_BUDGET, MAX_EPOCHS
        )
        return max(n_epochs, math.ceil(MIN_UPDATES / (n_batches * pieces)))

    def _criterion(self):
        loss = "bernoulli" if self._corpus.of_frames else "log_loss"
        return WeightedLoss(loss, may_miss=True)

    def _judge(self, net, validation):
        """Return loss and score of validation data: nats a step."""
        steps = log_likelihoods(net.module_, net.criterion_, validation, net.device)
        weights = None
        if validation.weights is not None:
            weights = validation.weights.double().cpu().numpy()
            weights = np.repeat(weights, validation.lengths)
        score = float(np.average(steps, weights=weights))
        return -score, score
