"""Sequence to sequence: what is read is encoded, and an answer decoded."""

import math
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.tasks._classification import log_priors
from sklearn_rnn.estimators.tasks._pairs import PairTask
from sklearn_rnn.estimators.tasks._sources import (
    NumberSource,
    fit_symbols,
    kind_of_source,
)
from sklearn_rnn.modules import Seq2SeqSpec
from sklearn_rnn.sequences import UNKNOWN, flat_rows
from sklearn_rnn.training import (
    SequenceDataset,
    WeightedLoss,
    WrittenTargets,
    blocks_by_length,
    has_target,
)

# How much longer than what the training pairs suggest a written sequence may get.
LENGTH_FACTOR, LENGTH_MARGIN = 2, 10
# And how much longer than the longest of them, whatever is read.
LONGEST_FACTOR = 10
# "auto" stops by validation where it would make more epochs than this, of so many pairs
# or more.
BLIND_EPOCHS, FEWEST_PAIRS = 20, 200
# Weights that attention may keep for one training pair: 0.8 GB in float32.
MAX_WEIGHTS = 200_000_000
# Steps of validation pairs that are scored at a time, with their padding.
MAX_STEPS = 32_768


@plain_type
class Seq2SeqTask(PairTask):
    """Learn to write a sequence of symbols for whatever is read."""

    # Of few pairs the loss soon rises, as some symbols are foretold wrongly and surely,
    # while what is written still gets better for many epochs.
    cool_down, monitor = 0.5, "valid_score"

    fixed_params = "source", "min_count", "max_symbols"

    @property
    def symbol_limits(self):
        return {
            "min_count": self.params.min_count,
            "max_symbols": self.params.max_symbols,
        }

    # Data

    def choose_source(self, X, weights):
        kind, name = self.params.source, self.estimator_name
        if kind == "auto":
            kind = kind_of_source(X)
        if kind != "symbols":
            return NumberSource(name, kind)
        return fit_symbols(
            X, estimator_name=name, name="X", weights=weights, **self.symbol_limits
        )

    def check_options(self, params, n_best=1):
        of_one_kind = self.source.are_text == self.target.are_text
        attention = params.attention_type
        if self.network_spec is not None:
            attention = self.network_spec.attention
        is_symbols = self.source.kind == "symbols"
        if params.copy_unknown and not (is_symbols and of_one_kind and attention):
            raise ValueError(
                "copy_unknown=True copies symbols of X into what is written, but X "
                "and y are not made of symbols of one kind, or there is no attention "
                "to tell which: set it to False."
            )
        if params.copy_unknown and params.min_count == 1 and params.max_symbols is None:
            raise ValueError(
                "copy_unknown=True copies in place of unknown symbols, but with "
                "min_count=1 and max_symbols=None training shows none: set "
                "min_count=2, so that symbols that come once are unknown."
            )

    def make_pairs(self, sources, rows, weights, name):
        targets = self.target.vocabulary.encode_all(rows, bounded=True)
        n_weights = sources.lengths * targets.lengths
        if self.params.attention_type is not None and n_weights.max() > MAX_WEIGHTS:
            i = int(n_weights.argmax())
            raise InvalidSequenceError(
                f"X{name}[{i}] has {sources.lengths[i]} steps and y{name}[{i}] "
                f"{len(rows[i])} symbols: attention would keep a weight for each pair "
                f"of them, {4e-9 * n_weights[i]:.0f} GB. Cut them into shorter ones, "
                "or set attention_type=None."
            )
        return SequenceDataset(sources, WrittenTargets(targets), weights)

    def stops_early(self, estimator, pairs):
        """Return whether validation ends the training by early_stopping="auto"."""
        has_many_epochs = (
            estimator.max_epochs == "auto"
            and self.choose_n_epochs(pairs) > BLIND_EPOCHS
        )
        return has_many_epochs and len(pairs) >= FEWEST_PAIRS

    # Network

    def make_spec(self, pairs):
        params, source = self.params, self.source.vocabulary
        return Seq2SeqSpec(
            cell=params.cell,
            n_features=pairs.sequences.n_features,
            hidden_size=int(params.hidden_size),
            n_outputs=len(self.target.vocabulary),
            embedding_dim=int(params.embedding_dim),
            source=self.source.kind,
            n_source_tokens=None if source is None else len(source),
            n_layers=int(params.n_layers),
            bidirectional=bool(params.bidirectional),
            attention=params.attention_type,
            dropout=float(params.dropout),
            input_dropout=float(params.input_dropout),
            weight_drop=float(params.weight_drop),
            residual=bool(params.residual),
            layer_norm=bool(params.layer_norm),
            tie_embeddings=bool(params.tie_embeddings),
        )

    @torch.no_grad()
    def initialize(self, network, pairs):
        # How long sequences are written, to know when to stop.
        lengths = pairs.targets.sequences.lengths - 2
        weights = np.ones(len(pairs)) if pairs.weights is None else pairs.weights
        self.longest_written = int(lengths.max())
        self.written_per_read = float(
            weights @ lengths / (weights @ pairs.sequences.lengths)
        )
        # An untrained network predicts how often each symbol comes.
        written, weights = pairs.targets.sequences, pairs.weights
        rows = flat_rows(written.starts + 1, pairs.n_targets)
        if weights is not None:
            weights = np.repeat(weights, pairs.n_targets)
        n_outputs = len(self.target.vocabulary)
        counts = np.bincount(written.values[rows, 0], weights, n_outputs)
        network.head.bias.copy_(torch.from_numpy(log_priors(counts)))

    def max_steps(self, lengths, max_length):
        """Return how many symbols may be written for sequences of some lengths."""
        if max_length is not None:
            return np.full(len(lengths), max_length)
        usual = np.ceil(LENGTH_FACTOR * self.written_per_read * lengths)
        longest = self.longest_written
        most = np.clip(usual, longest, LONGEST_FACTOR * longest).astype(int)
        return most + LENGTH_MARGIN

    # Training

    def loss(self):
        smoothing = float(self.params.label_smoothing)
        return WeightedLoss("log_loss", may_miss=True, label_smoothing=smoothing)

    @contextmanager
    def around_training(self, net, pairs, validation, context):
        network, most = net.module_, float(self.params.scheduled_sampling)
        net.on_progress = partial(_set_probability, network, most)
        try:
            yield pairs
        finally:
            net.on_progress, network.sampling_probability = None, 0.0

    @torch.inference_mode()
    def score_validation(self, net, dataset):
        """Return loss and score of pairs, each symbol predicted from the true ones."""
        sums = np.zeros(3)  # of losses, of symbols predicted right, of symbols
        network, size = net.module_.eval(), self.params.batch_size
        for rows in blocks_by_length(dataset.lengths, size, MAX_STEPS):
            inputs, (targets, weights) = dataset.batch(rows, net.device)
            outputs = network(**inputs)
            losses = net.criterion_.of_steps(outputs, targets)
            is_right = (outputs.argmax(dim=2) == targets) & has_target(targets)
            for i, steps in enumerate([losses, is_right, has_target(targets)]):
                summed = steps.double().sum(dim=1)
                summed = summed if weights is None else summed * weights
                sums[i] += summed.sum().item()
        loss, score = sums[:2] / sums[2]
        return float(loss), float(score) if math.isfinite(loss) else math.nan

    # Answers

    def write(self, hypothesis, row, copy_unknown):
        """Return a hypothesis as what was given to fit; `row` is what was read."""
        ids = hypothesis.symbols
        symbols = self.target.vocabulary.decode(ids)
        if copy_unknown and row:
            looked_at = hypothesis.attention.argmax(axis=1)
            for place in np.flatnonzero(ids == UNKNOWN):
                symbols[place] = row[looked_at[place]]
        elif copy_unknown:  # of an empty sequence nothing can be copied
            symbols = self.target.vocabulary.decode(ids[ids != UNKNOWN])
        return "".join(symbols) if self.target.are_text else symbols

    def source_rows(self, X, n_sequences):
        """Return the symbols of X, or None for each sequence of numbers."""
        if self.source.kind != "symbols":
            return [None] * n_sequences
        return self.source.rows(X)


def _set_probability(network, most, progress):
    network.sampling_probability = most * progress
