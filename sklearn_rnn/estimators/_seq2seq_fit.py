"""How an encoder-decoder is trained: pairs, vocabularies, network."""

import math

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.estimators._samples import has_validation, read_weights
from sklearn_rnn.estimators._sources import (
    NumberSource,
    kind_of_source,
    learn_symbols,
    refuse_unequal,
)
from sklearn_rnn.estimators._state import DTYPES
from sklearn_rnn.estimators._steps import object_array
from sklearn_rnn.estimators._tokens import start_embedding
from sklearn_rnn.estimators._trainer import Trainer
from sklearn_rnn.modules import Seq2SeqSpec, build_seq2seq
from sklearn_rnn.sequences import flat_rows
from sklearn_rnn.training import (
    PairDataset,
    WeightedLoss,
    blocks_by_length,
    has_target,
    limit_threads,
    n_epochs_for,
    new_random_state,
    validation_split,
)

# "auto" trains for this many updates, and for more epochs than other estimators:
# there are whole sequences to be learned to write.
UPDATE_BUDGET, MAX_EPOCHS = 3000, 200
# What a symbol that never came counts at the start.
PRIOR_COUNT = 0.5
# How much longer than what the training pairs suggest a written sequence may get.
LENGTH_FACTOR, LENGTH_MARGIN = 2, 10
# And how much longer than the longest of them, whatever is read.
LONGEST_FACTOR = 10
# Weights that attention may keep for one training pair: 0.8 GB in float32.
MAX_WEIGHTS = 200_000_000
# Steps of validation pairs that are judged at a time, with their padding.
MAX_STEPS = 32_768


class Seq2SeqFit(Trainer):
    """Part of an encoder-decoder that turns pairs into a trained network."""

    @torch.inference_mode(False)
    def _fit(self, X, y, sample_weight, X_val, y_val):
        continuing = self.warm_start and self.__sklearn_is_fitted__()
        self._check_callbacks()
        with self._all_or_nothing():
            X, y, weights = self._with_weight(X, y, sample_weight)
            if not continuing:
                self._learn_symbols(X, y)
            pairs = self._read_pairs(X, y, weights, reset=not continuing)
            random_state = new_random_state(self.random_state)
            held_out = self._read_validation(X_val, y_val)
            if held_out is None and self.early_stopping:
                train, validation = validation_split(
                    pairs.sources, self.validation_fraction, random_state
                )
                pairs, held_out = _select(pairs, train), _select(pairs, validation)
            network = self._network(pairs, random_state, continuing)
            self._check_copies()
            self._make_net(network, self._find_schedule(held_out))
        pairs = self._on_device(pairs)
        if held_out is not None:
            held_out = self._on_device(held_out)
        n_epochs = self.max_epochs
        if n_epochs == "auto":
            n_epochs = n_epochs_for(
                len(pairs), self.batch_size, 1, UPDATE_BUDGET, MAX_EPOCHS
            )
        try:
            self._train(pairs, held_out, n_epochs, random_state)
        finally:
            self.module_.own_share = 0.0
        return self

    def _with_weight(self, X, y, sample_weight):
        """Return the pairs that count, and their weights."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None: give what is to be written for each sequence of X."
            )
        if sample_weight is None:
            return X, y, None
        refuse_unequal(_num_samples(X), _num_samples(y))
        weights = read_weights(sample_weight, X)
        # A weight of zero means: as if it were not there, in the vocabulary, too.
        rows = np.flatnonzero(weights)
        return _safe_indexing(X, rows), _safe_indexing(y, rows), weights[rows]

    def _learn_symbols(self, X, y):
        """Find out what is read, and learn the symbols of both sides."""
        self._remember("source", "min_count", "max_symbols")
        owner = type(self).__name__
        limits = {"min_count": self.min_count, "max_symbols": self.max_symbols}
        kind = kind_of_source(X) if self.source == "auto" else self.source
        for name in ("n_features_in_", "feature_names_in_"):  # of a former fit
            self.__dict__.pop(name, None)
        if kind == "symbols":
            self._source = learn_symbols(X, owner=owner, name="X", **limits)
        else:
            self._source = NumberSource(owner, kind)
        self._target = learn_symbols(y, owner=owner, name="y", **limits)
        self.source_symbols_ = _as_objects(self._source.vocabulary)
        self.target_symbols_ = _as_objects(self._target.vocabulary)

    def _check_copies(self):
        """Refuse to copy symbols where there are none, or nobody looks at them."""
        of_one_kind = self._source.are_text == self._target.are_text
        is_symbols = self._source.reads == "symbols"
        if self.copy_unknown and not (
            is_symbols and of_one_kind and self._network_spec.attention
        ):
            raise ValueError(
                "copy_unknown=True copies symbols of X into what is written, but X "
                "and y are not made of symbols of one kind, or there is no attention "
                "to tell which: set it to False."
            )
        if self.copy_unknown and self.min_count == 1 and self.max_symbols is None:
            raise ValueError(
                "copy_unknown=True copies in place of unknown symbols, but with "
                "min_count=1 and max_symbols=None training shows none: set "
                "min_count=2, so that symbols that come once are unknown."
            )

    def _read_pairs(self, X, y, weights=None, *, reset=False, suffix=""):
        sources = self._source.read(X, self, name=f"X{suffix}", reset=reset)
        rows = self._target.rows(y, f"y{suffix}")
        refuse_unequal(len(sources), len(rows))
        targets = self._target.vocabulary.encode_all(rows, bounded=True)
        n_weights = sources.lengths * targets.lengths
        if self.attention_type is not None and n_weights.max() > MAX_WEIGHTS:
            i = int(n_weights.argmax())
            raise InvalidSequenceError(
                f"X{suffix}[{i}] has {sources.lengths[i]} steps and y{suffix}[{i}] "
                f"{len(rows[i])} symbols: attention would keep a weight for each pair "
                f"of them, {4e-9 * n_weights[i]:.0f} GB. Cut them into shorter ones, "
                "or set attention_type=None."
            )
        return PairDataset(sources, targets, weights)

    def _read_validation(self, X_val, y_val):
        if not has_validation(X_val, y_val):
            return None
        return self._read_pairs(X_val, y_val, suffix="_val")

    def _on_device(self, pairs):
        """Return the same pairs, their weights as the loss reads them."""
        if pairs.weights is None:
            return pairs
        n_symbols = pairs.written.lengths - 1
        mean = np.average(pairs.weights, weights=n_symbols)
        weights = torch.as_tensor(
            pairs.weights / mean,
            dtype=DTYPES[self._torch_dtype],
            device=self.net_.device,
        )
        return PairDataset(pairs.sources, pairs.written, weights)

    def _network(self, pairs, random_state, continuing):
        spec = self._spec(pairs)
        if continuing:
            self._refuse_another_network(spec)
            return self.module_
        self.history_ = []
        self._torch_dtype = self.dtype
        self._network_spec = spec
        self._learn_lengths(pairs)
        generator = torch.Generator().manual_seed(random_state.randint(2**31 - 1))
        with limit_threads(1):
            network = build_seq2seq(spec, DTYPES[self.dtype], generator)
        if self.standardize and spec.reads != "symbols":
            mean, scale = pairs.sources.mean_and_scale(pairs.weights)
            network.set_input_scaling(mean, 1 / scale)
        self._start_from_shares(network, pairs)
        return network

    def _empty_network(self):
        return build_seq2seq(self._network_spec, DTYPES[self._torch_dtype])

    def _spec(self, pairs):
        source = self._source.vocabulary
        return Seq2SeqSpec(
            cell=self.cell,
            n_features=pairs.sources.n_features,
            hidden_size=int(self.hidden_size),
            n_outputs=len(self._target.vocabulary),
            embedding_dim=int(self.embedding_dim),
            reads=self._source.reads,
            n_source_tokens=None if source is None else len(source),
            n_layers=int(self.n_layers),
            bidirectional=bool(self.bidirectional),
            attention=self.attention_type,
            dropout=float(self.dropout),
            input_dropout=float(self.input_dropout),
            weight_drop=float(self.weight_drop),
            residual=bool(self.residual),
            layer_norm=bool(self.layer_norm),
            tied=bool(self.tie_embeddings),
        )

    def _learn_lengths(self, pairs):
        """Remember how long sequences are written, to know when to stop."""
        written = pairs.written.lengths - 2
        self._longest_written = int(written.max())
        self._written_per_read = float(written.sum() / pairs.sources.lengths.sum())

    def _max_steps(self, lengths):
        """Return how many symbols may be written."""
        if self.max_length is not None:
            return np.full(len(lengths), self.max_length)
        usual = np.ceil(LENGTH_FACTOR * self._written_per_read * lengths)
        longest = self._longest_written
        return np.clip(usual, longest, LONGEST_FACTOR * longest).astype(int) + (
            LENGTH_MARGIN
        )

    @torch.no_grad()
    def _start_from_shares(self, network, pairs):
        """Let an untrained network predict how often each symbol comes."""
        rows = flat_rows(pairs.written.starts + 1, pairs.written.lengths - 1)
        n_outputs = len(self._target.vocabulary)
        counts = np.bincount(pairs.written.values[rows, 0], minlength=n_outputs)
        shares = np.maximum(counts, PRIOR_COUNT) / counts.sum()
        network.head.bias.copy_(torch.from_numpy(np.log(shares)))
        if network.spec.reads == "symbols":
            start_embedding(network.embedding, pairs.sources)

    def _criterion(self):
        return WeightedLoss(
            "log_loss", may_miss=True, label_smoothing=float(self.label_smoothing)
        )

    def _on_progress(self, progress):
        self.module_.own_share = float(self.scheduled_sampling) * progress

    @torch.inference_mode()
    def _judge(self, net, validation):
        """Return loss and score of pairs, each symbol told from the true ones."""
        sums = np.zeros(3)  # of losses, of symbols told right, of symbols
        network = net.module_.eval()
        for rows in blocks_by_length(validation.lengths, self.batch_size, MAX_STEPS):
            inputs, (targets, weights) = validation.batch(rows, net.device)
            outputs = network(**inputs)
            losses = net.criterion_.of_steps(outputs, targets)
            is_right = (outputs.argmax(dim=2) == targets) & has_target(targets)
            for i, steps in enumerate([losses, is_right, has_target(targets)]):
                of_each = steps.double().sum(dim=1)
                of_each = of_each if weights is None else of_each * weights
                sums[i] += of_each.sum().item()
        loss, score = sums[:2] / sums[2]
        return float(loss), float(score) if math.isfinite(loss) else math.nan


def _select(pairs, rows):
    weights = None if pairs.weights is None else pairs.weights[rows]
    return PairDataset(pairs.sources[rows], pairs.written[rows], weights)


def _as_objects(vocabulary):
    if vocabulary is None:
        return None
    return object_array(vocabulary.symbols)
