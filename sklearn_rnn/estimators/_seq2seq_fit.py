"""How an encoder-decoder is trained: pairs, vocabularies, network."""

import math

import numpy as np
import torch

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.estimators._pair_fit import PairFit, as_objects
from sklearn_rnn.estimators._priors import log_priors
from sklearn_rnn.estimators._sources import (
    NumberSource,
    kind_of_source,
    learn_symbols,
)
from sklearn_rnn.estimators._tokens import start_embedding
from sklearn_rnn.modules import Seq2SeqSpec, build_seq2seq
from sklearn_rnn.sequences import flat_rows
from sklearn_rnn.training import (
    PairDataset,
    WeightedLoss,
    blocks_by_length,
    has_target,
)

# How much longer than what the training pairs suggest a written sequence may get.
LENGTH_FACTOR, LENGTH_MARGIN = 2, 10
# And how much longer than the longest of them, whatever is read.
LONGEST_FACTOR = 10
# Weights that attention may keep for one training pair: 0.8 GB in float32.
MAX_WEIGHTS = 200_000_000
# Steps of validation pairs that are judged at a time, with their padding.
MAX_STEPS = 32_768


class Seq2SeqFit(PairFit):
    """Part of an encoder-decoder that turns pairs into a trained network."""

    _build_network = staticmethod(build_seq2seq)

    def _fit(self, X, y, sample_weight, X_val, y_val):
        try:
            return super()._fit(X, y, sample_weight, X_val, y_val)
        finally:
            if self.__sklearn_is_fitted__():
                self.module_.own_share = 0.0

    @property
    def _symbol_limits(self):
        return {"min_count": self.min_count, "max_symbols": self.max_symbols}

    def _learn_symbols(self, X, y, weights):
        self._remember("source", "min_count", "max_symbols")
        super()._learn_symbols(X, y, weights)
        self.source_symbols_ = as_objects(self._source.vocabulary)
        self.target_symbols_ = as_objects(self._target.vocabulary)

    def _learn_source(self, X, weights):
        owner = type(self).__name__
        kind = kind_of_source(X) if self.source == "auto" else self.source
        if kind == "symbols":
            self._source = learn_symbols(
                X, owner=owner, name="X", weights=weights, **self._symbol_limits
            )
        else:
            self._source = NumberSource(owner, kind)

    def _check_options(self):
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

    def _pair(self, sources, rows, weights, suffix):
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
        weights = np.ones(len(pairs)) if pairs.weights is None else pairs.weights
        n_read = weights @ pairs.sources.lengths
        self._written_per_read = float(weights @ written / n_read)

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
    def _start(self, network, pairs):
        """Let an untrained network predict how often each symbol comes."""
        self._learn_lengths(pairs)
        rows = flat_rows(pairs.written.starts + 1, pairs.n_targets)
        weights = pairs.weights
        if weights is not None:
            weights = np.repeat(weights, pairs.n_targets)
        n_outputs = len(self._target.vocabulary)
        counts = np.bincount(pairs.written.values[rows, 0], weights, n_outputs)
        network.head.bias.copy_(torch.from_numpy(log_priors(counts)))
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
