"""Generation: what comes next is learned, of symbols or of frames."""

import math
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form import NGrams, log_softmax
from sklearn_rnn.estimators.tasks._classification import log_priors
from sklearn_rnn.estimators.tasks._corpus import make_corpus
from sklearn_rnn.estimators.tasks._ngrams import (
    FEW_SYMBOLS,
    average_logs,
    fit_geometric_weight,
    fit_weight,
    geometric_mean,
    hold_out_steps,
    longest_order,
)
from sklearn_rnn.estimators.tasks._samples import parse_weights
from sklearn_rnn.estimators.tasks._steps import object_array
from sklearn_rnn.estimators.tasks._task import DTYPES, FitContext, Task
from sklearn_rnn.modules import AdaptiveSoftmax, NetworkSpec, choose_cutoffs
from sklearn_rnn.sequences import UNKNOWN, SequenceArray, flat_rows
from sklearn_rnn.training import (
    NextStepDataset,
    WeightedLoss,
    count_segments,
    log_likelihoods,
    n_epochs_for,
    step_outputs,
    step_values,
    validation_split,
)

# "auto" trains for this many updates, ten minutes of one core for a book of a million
# characters, but few epochs: a network that has seen a small text often enough knows it
# by heart. Very little of it needs more epochs all the same.
UPDATE_BUDGET, MAX_EPOCHS, MIN_UPDATES = 9600, 20, 300
# Units by "auto", and from how many steps on there are more.
UNITS, MORE_UNITS, MANY_STEPS = 128, 256, 300_000
# From this many symbols on the softmax is adaptive by default.
MANY_SYMBOLS = 2000


class WeightedSequences(NamedTuple):
    """Sequences whose steps are to be predicted, and their weights or None."""

    sequences: SequenceArray
    weights: np.ndarray | None = None

    def select(self, indices):
        """Return the sequences of these indices."""
        weights = None if self.weights is None else self.weights[indices]
        return WeightedSequences(self.sequences[indices], weights)


@plain_type
class GenerationTask(Task):
    """Learn the next symbol, or the next frame, of a sequence."""

    # As in models of before there were n-grams.
    ngrams: NGrams | None = None
    ngram_order: int | None = None
    ngram_weight = 0.0

    reads_symbols = True  # or frames of zeros and ones, which are as good

    # An attribute of other tasks.
    @property
    def fixed_params(self):  # type: ignore[override]
        return () if self.corpus.of_frames else ("min_count", "max_symbols")

    # Data

    def check_params(self, last):
        if self.params.softmax == "adaptive" and self.params.tie_embeddings:
            raise ValueError(
                'softmax="adaptive" has narrower vectors for rare symbols, but with '
                "tie_embeddings=True the output layer has the input vectors of all. "
                'Set softmax="full", or tie_embeddings=False.'
            )

    def parse(
        self, estimator, X, y, sample_weight, *, reset, is_validation=False, **about_y
    ):
        weights = None
        if sample_weight is not None:
            n_sequences = 1 if isinstance(X, str) else _num_samples(X)
            weights = parse_weights(sample_weight, np.empty(n_sequences))
            if not weights.all():
                # Without weight is as if absent: not even its symbols are known.
                kept = np.flatnonzero(weights)
                X, weights = _safe_indexing(X, kept), weights[kept]
        if reset:
            self.corpus = make_corpus(
                X,
                estimator_name=self.estimator_name,
                min_count=self.params.min_count,
                max_symbols=self.params.max_symbols,
                weights=weights,
            )
            self.symbols = self.n_symbols = None
            vars(estimator).pop("n_features_in_", None)  # of the last fit
            if self.corpus.of_frames:
                estimator.n_features_in_ = self.corpus.n_features
            else:
                symbols = self.corpus.vocabulary.symbols
                self.symbols, self.n_symbols = object_array(symbols), len(symbols)
        if self.corpus.of_frames and self.params.softmax == "adaptive":
            raise ValueError(
                'softmax="adaptive" needs symbols, but X holds frames of zeros and '
                'ones, whose features are predicted each by itself. Set softmax="auto".'
            )
        if weights is not None and (weights == weights[0]).all():
            weights = None
        sequences = self.corpus.encode_all(X)
        if not self.corpus.of_frames and (sequences.values == UNKNOWN).any():
            self.corpus = replace(self.corpus, has_unknown=True)
        return WeightedSequences(sequences, weights)

    def parse_validation(self, estimator, X_val, y_val):
        if X_val is None:
            return None
        return WeightedSequences(self.corpus.encode_all(X_val, name="X_val"))

    def hold_out(self, data, random_state):
        """Set sequences aside to validate on; of a single one its last part."""
        sequences, fraction = data.sequences, self.params.validation_fraction
        if len(sequences) > 1:
            train, validation = validation_split(sequences, fraction, random_state)
            return data.select(train), data.select(validation)
        n_steps = int(sequences.lengths[0]) - 1
        n_held_out = max(1, round(fraction * n_steps))
        if n_held_out >= n_steps:
            raise ValueError(
                f"validation_fraction={fraction} of a sequence of {n_steps} steps "
                "leaves none to train on. Give more data, or X_val."
            )
        start, n_kept = sequences.starts, n_steps - n_held_out
        training = sequences.over(start, np.array([n_kept + 1]))
        validation = sequences.over(start + n_kept, np.array([n_held_out + 1]))
        return WeightedSequences(training), WeightedSequences(validation)

    def prepare(self, data, validation, context: FitContext):
        if not context.is_continued:
            self.dtype = self.params.dtype
        return data, validation

    # Network

    def make_spec(self, data):
        params, corpus = self.params, self.corpus
        return NetworkSpec(
            cell=params.cell,
            n_features=corpus.n_features,
            hidden_size=_choose_size(params.hidden_size, self.network_spec, data),
            n_outputs=corpus.n_outputs,
            n_layers=int(params.n_layers),
            dropout=float(params.dropout),
            input_dropout=float(params.input_dropout),
            weight_drop=float(params.weight_drop),
            residual=bool(params.residual),
            layer_norm=bool(params.layer_norm),
            pooling=None,
            n_tokens=None if corpus.of_frames else corpus.n_outputs,
            embedding_dim=None if corpus.of_frames else int(params.embedding_dim),
            tie_embeddings=bool(params.tie_embeddings) and not corpus.of_frames,
            cutoffs=() if corpus.of_frames else _cutoffs(params, corpus.n_outputs),
        )

    @torch.no_grad()
    def initialize(self, network, data):
        # An untrained network predicts how often each symbol comes.
        sequences, weights = data
        targets = sequences.over(sequences.starts + 1, sequences.lengths - 1)
        values = targets.values[flat_rows(targets.starts, targets.lengths)]
        if weights is not None:
            weights = weights / np.average(weights, weights=targets.lengths)
            weights = np.repeat(weights, targets.lengths)
        if self.corpus.of_frames:
            weights = np.ones(len(values)) if weights is None else weights
            counts = np.stack([weights @ values, weights @ (1 - values)])
            of_one, of_zero = log_priors(counts)
            logits = of_one - of_zero
        else:
            counts = np.bincount(values[:, 0], weights, self.corpus.n_outputs)
            logits = log_priors(counts)
            # Ids that never come are never learned about: they say nothing.
            network.embedding.weight[:-1][counts == 0] = 0.0
        logits = torch.from_numpy(logits)
        if isinstance(network.head, AdaptiveSoftmax):
            network.head.set_log_priors(logits)
        else:
            network.head.bias.copy_(logits)

    # Training

    def loss(self):
        name = "bernoulli" if self.corpus.of_frames else "log_loss"
        return WeightedLoss(name, may_miss=True)

    @contextmanager
    def around_training(self, net, data, validation, context: FitContext):
        # What is not to be learned of a single text.
        if not self.corpus.has_ends and data.sequences.lengths.min() > 2:
            data = data._replace(sequences=self.corpus.without_begin(data.sequences))
        self.ngrams, self.ngram_order, self.ngram_weight = None, None, 0.0
        order = None
        if not self.corpus.of_frames:
            n_steps, n_symbols = data.sequences.lengths.sum(), self.corpus.n_outputs
            order = longest_order(self.params.ngram_order, n_steps, n_symbols)
        if order is None:
            yield data
            return
        # Validation data are not trained on, and tell the weight as well.
        seen, unseen = data, validation
        if validation is None:
            seen, unseen = _hold_out_for_weight(data)
            self.held_back = unseen
        models = self._fit_ngrams(seen, order)
        # What predicts meanwhile, or after Ctrl-C, has an average of equal parts.
        self.ngrams, self.ngram_order, self.ngram_weight = models[-1], order, 0.5
        try:
            yield seen
        finally:
            self.held_back = None
        if unseen is not None:
            self._choose_ngrams(net, models, unseen)
        if seen is not data:
            self.ngrams = self._fit_ngrams(data, self.ngram_order)[-1]

    def _fit_ngrams(self, data, order):
        """Return models of n-grams up to each length."""
        corpus = self.corpus
        # An unknown symbol is never written, but may have to be read.
        never = [i for i in corpus.never_written if i != UNKNOWN]
        sequences, weights = data
        return NGrams.fit_orders(
            sequences,
            corpus.n_outputs,
            order,
            never,
            unseen=None if corpus.has_unknown else UNKNOWN,
            weights=weights,
        )

    def _choose_ngrams(self, net, models, unseen):
        """Set the n-grams' weight, and length, by data that neither part has seen."""
        data = NextStepDataset(unseen.sequences)
        of_network = log_likelihoods(net.module_, net.criterion_, data, net.device)
        weights = unseen.weights
        if weights is not None:
            weights = np.repeat(weights / weights.mean(), data.lengths)
        if self.params.ngram_order != "auto":
            models = models[-1:]
        fits = []
        for model in models:
            of_ngrams = np.log(model.score_steps(unseen.sequences))
            fits.append(fit_weight(of_network, of_ngrams, weights))
        best = int(np.argmax([likelihood for _, likelihood in fits]))
        self.ngrams, self.ngram_weight = models[best], fits[best][0]
        self.ngram_order = models[best].order
        if _is_geometric(self.corpus):
            self.ngram_weight = _fit_by_all_symbols(net, self.ngrams, data, weights)

    # Means of network and n-grams

    def score_steps(self, network, criterion, data, device):
        """Return log-likelihoods of steps by network and n-grams together."""
        if self.ngrams is None or not _is_geometric(self.corpus):
            of_network = log_likelihoods(network, criterion, data, device)
            if self.ngrams is None:
                return of_network
            of_ngrams = np.log(self.ngrams.score_steps(data.sequences))
            return average_logs(of_network, of_ngrams, self.ngram_weight)
        contexts = self.ngrams.contexts(data.sequences)

        def read(states, targets, positions):
            logits = network.read(states).cpu()
            found = torch.empty(targets.shape, dtype=torch.float64)
            # Row by row, so that memory is that of one.
            for row, at in enumerate(positions):
                mean = self.mean_logits(logits[row].numpy(), contexts[at])
                came = targets[row].cpu().clamp(min=0)  # -1 after the end
                mean = torch.from_numpy(log_softmax(mean))
                found[row] = mean.gather(1, came[:, np.newaxis].long())[:, 0]
            return found

        return step_values(network, data, device, read)

    def mean_logits(self, logits, contexts):
        """Return the network's logits, or logits of means with the n-grams' (n, k)."""
        if self.ngrams is None:
            return logits
        of_network = log_softmax(logits.astype(np.float64))
        of_ngrams = _log_distributions(self.ngrams, contexts)
        mean = geometric_mean if _is_geometric(self.corpus) else average_logs
        return mean(of_network, of_ngrams, self.ngram_weight)

    def make_dataset(self, data, device):
        """Cut long sequences into parts that are read side by side."""
        sequences, weights = data
        bptt_steps = self.params.bptt_steps
        shortest = bptt_steps or int(sequences.lengths.max())
        n_steps = sequences.lengths - 1
        n_parts = count_segments(n_steps, self.params.batch_size, shortest)
        whole = np.repeat(np.arange(len(sequences)), n_parts)
        part = flat_rows(np.zeros(len(n_parts), int), n_parts)
        begin = part * n_steps[whole] // n_parts[whole]
        end = (part + 1) * n_steps[whole] // n_parts[whole]
        # A part's last step is predicted, and the next part's first input.
        parts = sequences.over(sequences.starts[whole] + begin, end - begin + 1)
        if weights is not None:
            mean = np.average(weights, weights=n_steps)
            weights = torch.as_tensor(
                weights[whole] / mean, dtype=DTYPES[self.dtype], device=device
            )
        return NextStepDataset(parts, weights, bptt_steps, self.corpus.of_frames)

    def choose_n_epochs(self, dataset):
        batch_size, bptt_steps = self.params.batch_size, self.params.bptt_steps
        n_batches = -(-len(dataset) // batch_size)
        batches = np.array_split(np.sort(dataset.lengths), n_batches)
        size = bptt_steps or int(dataset.lengths.max())
        n_chunks = np.mean([-(-batch[-1] // size) for batch in batches])
        n_epochs = n_epochs_for(
            len(dataset), batch_size, n_chunks, UPDATE_BUDGET, MAX_EPOCHS
        )
        return max(n_epochs, math.ceil(MIN_UPDATES / (n_batches * n_chunks)))

    def score_validation(self, net, dataset):
        """Return loss and score of validation data: nats per step."""
        steps = log_likelihoods(net.module_, net.criterion_, dataset, net.device)
        weights = None
        if dataset.weights is not None:
            weights = dataset.weights.double().cpu().numpy()
            weights = np.repeat(weights, dataset.lengths)
        score = float(np.average(steps, weights=weights))
        return -score, score


def _cutoffs(params, n_symbols):
    """Return where clusters of rare symbols begin, () for a full softmax."""
    is_adaptive = params.softmax == "adaptive"
    if params.softmax == "auto":
        is_adaptive = n_symbols >= MANY_SYMBOLS and not params.tie_embeddings
    return choose_cutoffs(n_symbols) if is_adaptive else ()


def _choose_size(hidden_size, last_spec, data):
    """Return the units of a layer; a fit that continues keeps what "auto" chose."""
    if hidden_size != "auto":
        return int(hidden_size)
    if last_spec is not None:
        return last_spec.hidden_size
    return MORE_UNITS if data.sequences.lengths.sum() >= MANY_STEPS else UNITS


def _is_geometric(corpus):
    """Return whether network and n-grams have a geometric mean."""
    return corpus.n_outputs <= FEW_SYMBOLS


def _fit_by_all_symbols(net, ngrams, data, weights):
    """Return the n-grams' weight in a geometric mean, by held-out data."""
    sequences = data.sequences
    read = sequences.over(sequences.starts, sequences.lengths - 1)
    outputs = step_outputs(net.module_, read, net.device, net.module_.read)
    of_network = log_softmax(outputs.double().cpu().numpy())
    of_ngrams = _log_distributions(ngrams, ngrams.contexts(sequences))
    rows = flat_rows(sequences.starts + 1, sequences.lengths - 1)
    targets = sequences.values[rows, 0]
    return fit_geometric_weight(of_network, of_ngrams, targets, weights)


def _log_distributions(ngrams, contexts):
    with np.errstate(divide="ignore"):  # of ids that never come
        return np.log(ngrams.distributions(contexts))


def _hold_out_for_weight(data):
    """Return data to learn from, and data to fit the n-grams' weight to, or None."""
    parts = hold_out_steps(data.sequences)
    if parts is None:
        return data, None
    return [
        WeightedSequences(
            sequences, None if data.weights is None else data.weights[indices]
        )
        for indices, sequences in parts
    ]
