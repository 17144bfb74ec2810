"""Transcription: frames are read, and symbols in their order are written."""

import math
import warnings
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    SklearnRNNWarning,
    user_stacklevel,
)
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.tasks._classification import log_priors
from sklearn_rnn.estimators.tasks._pairs import PairTask
from sklearn_rnn.estimators.tasks._sources import (
    NumberSource,
    are_words,
    fit_symbols,
)
from sklearn_rnn.metrics import symbol_error_rate
from sklearn_rnn.modules import (
    NetworkSpec,
    fit_ngram,
    greedy_paths,
    n_joined,
    word_list_automaton,
)
from sklearn_rnn.sequences import END, UNKNOWN
from sklearn_rnn.training import (
    BLANK,
    CTCLoss,
    SequenceDataset,
    TranscriptTargets,
    blocks_by_length,
    min_frames,
)

# Sequences, and steps of them with their padding, that are read at a time.
SIDE_BY_SIDE, MAX_STEPS = 64, 65_536


@plain_type
class TranscriptionTask(PairTask):
    """Learn to transcribe frames to symbols, without knowing where these are."""

    # The transcripts that n-grams are counted in, and their weights or None.
    written: Any = None
    weights_of_written: Any = None

    # Data

    def choose_source(self, X, weights):
        name = self.estimator_name
        if are_words(X):
            return fit_symbols(
                X,
                estimator_name=name,
                name="X",
                weights=weights,
                **self.symbol_limits,
            )
        return NumberSource(name, "sequences")

    def parse_sources(self, estimator, X):
        sources = super().parse_sources(estimator, X)
        if self.reads_symbols and (sources.values == UNKNOWN).any():
            _warn_of_unknown(self.source.rows(X), self.source.vocabulary)
        return sources

    def n_frames(self, n_steps):
        """Return how many frames the network's outputs have, of sequences of steps."""
        joined = n_joined(n_steps, int(self.params.subsampling))
        return joined * int(self.params.upsampling)

    def check_options(self, params, n_best=1):
        if params.ngram_text is not None and params.ngram_order is None:
            raise ValueError(
                "ngram_text is what an n-gram model learns from, but ngram_order=None "
                "asks for none. Set ngram_order=3, say."
            )
        choose = params.ngram_order, params.word_list, params.insertion_bonus or None
        if max(params.beam_width, n_best) == 1 and any(c is not None for c in choose):
            raise ValueError(
                "ngram_order, word_list and insertion_bonus choose among the "
                "hypotheses of a beam, but beam_width=1 follows a single one. Set "
                "beam_width=10, say, or those to None and 0."
            )
        separator = params.word_separator
        is_letter = isinstance(separator, str) and len(separator) == 1
        if self.target.are_text and not (separator is None or is_letter):
            raise ValueError(
                f"word_separator={separator!r} is not a single character, as the "
                "symbols of strings are, and not None."
            )

    def classes_of(self, rows):
        """Return the classes of symbols, from 1; symbols never seen are left out."""
        ids = (self.target.vocabulary.encode(row).astype(np.int64) for row in rows)
        return [row[row > END] - END for row in ids]

    def make_pairs(self, sources, rows, weights, name):
        classes = self.classes_of(rows)
        n_frames = self.n_frames(sources.lengths)
        fewest = np.array([min_frames(row) for row in classes])
        if (fewest > n_frames).any():
            raise self._too_short_error(sources, classes, fewest > n_frames, name)
        transcripts = TranscriptTargets(classes, n_frames)
        if name and not transcripts.n_symbols.any():
            raise InvalidSequenceError(
                f"y{name} has none of the symbols that y has: there is nothing to "
                "score by."
            )
        return SequenceDataset(sources, transcripts, weights)

    def check_symbols(self, rows):
        vocabulary = self.target.vocabulary
        for i, row in enumerate(rows):
            new = [symbol for symbol in row if symbol not in vocabulary]
            if new:
                raise ValueError(
                    f"y[{i}] holds the symbol {new[0]!r}, but {self.estimator_name} "
                    "continues to train the network of its last fit, which has no "
                    "output for it. Set warm_start=False."
                )

    def _too_short_error(self, sources, classes, too_short, name):
        i = int(np.argmax(too_short))
        subsampling, upsampling = self.params.subsampling, self.params.upsampling
        n = self.n_frames(sources.lengths[i])
        steps, remedy = "frames", "Take shorter hops between frames, raise upsampling"
        clips = "clips"
        if self.reads_symbols:
            steps, remedy, clips = "symbols", "Raise upsampling", "sequences"
        joined = ""
        if subsampling > 1:
            joined = f", {n} with subsampling={subsampling}"
            remedy = f"Lower subsampling, {remedy[0].lower()}{remedy[1:]}"
        elif upsampling > 1:
            joined = f", {n} frames with upsampling={upsampling}"
        n_short = int(too_short.sum())
        others = f" {n_short} {clips} are too short." if n_short > 1 else ""
        return InvalidSequenceError(
            f"X{name}[{i}] has {sources.lengths[i]} {steps}{joined}, too few for the "
            f"{len(classes[i])} symbols of y{name}[{i}]: CTC needs a frame for each "
            "symbol and one between equal neighbours, here "
            f"{min_frames(classes[i])}.{others} {remedy}, or leave such {clips} out."
        )

    # Network

    def prepare(self, pairs, validation, context):
        # N-grams are counted when a search asks for them.
        self.written, self.weights_of_written = pairs.targets.rows, pairs.weights
        return super().prepare(pairs, validation, context)

    @property
    def n_symbols(self):
        """The number of symbols, without the blank."""
        return len(self.target.vocabulary.symbols)

    def make_spec(self, pairs):
        params, vocabulary = self.params, self.source.vocabulary
        reads_symbols = vocabulary is not None
        return NetworkSpec(
            cell=params.cell,
            n_features=pairs.sequences.n_features,
            hidden_size=int(params.hidden_size),
            n_outputs=1 + self.n_symbols,
            n_layers=int(params.n_layers),
            bidirectional=bool(params.bidirectional),
            dropout=float(params.dropout),
            input_dropout=float(params.input_dropout),
            weight_drop=float(params.weight_drop),
            residual=bool(params.residual),
            layer_norm=bool(params.layer_norm),
            pooling=None,
            subsampling=int(params.subsampling),
            upsampling=int(params.upsampling),
            n_tokens=len(vocabulary) if reads_symbols else None,
            embedding_dim=int(params.embedding_dim) if reads_symbols else None,
        )

    @torch.no_grad()
    def initialize(self, network, pairs):
        # An untrained network predicts no symbol as often as there is none. Without
        # that, the first epoch unlearns to write one at every frame.
        weights = np.ones(len(pairs)) if pairs.weights is None else pairs.weights
        counts = np.bincount(
            np.concatenate(pairs.targets.rows),
            np.repeat(weights, pairs.targets.n_symbols),
            minlength=1 + self.n_symbols,
        )
        counts[BLANK] = weights @ (pairs.targets.n_frames - pairs.targets.n_symbols)
        biases = network.head.bias.view(-1, 1 + self.n_symbols)
        biases.copy_(torch.from_numpy(log_priors(counts)))

    # Training

    def loss(self):
        return CTCLoss()

    @contextmanager
    def around_training(self, net, pairs, validation, context):
        is_first = not context.is_continued
        net.shortest_first = self.params.shortest_first and is_first
        yield pairs

    @torch.inference_mode()
    def score_validation(self, net, dataset):
        """Return loss and score of clips that are not trained on."""
        network = net.module_.eval()
        sums = np.zeros(2)
        found: list[Any] = [None] * len(dataset)
        for rows in blocks_by_length(dataset.lengths, SIDE_BY_SIDE, MAX_STEPS):
            inputs, (transcripts, weights) = dataset.batch(rows, net.device)
            outputs = network(**inputs)
            losses = net.criterion_.of_sequences(outputs, transcripts).double()
            counts = (transcripts.n_symbols + 1).double()
            if weights is not None:
                losses, counts = losses * weights, counts * weights
            sums += losses.sum().item(), counts.sum().item()
            paths = greedy_paths(
                outputs.double().log_softmax(dim=2).cpu().numpy(),
                transcripts.n_frames.cpu().numpy(),
            )
            for i, ids in zip(rows, paths, strict=True):
                found[i] = (ids + 1).tolist()
        loss = sums[0] / sums[1]
        if not math.isfinite(loss) or not dataset.targets.n_symbols.any():
            return loss, math.nan
        true = [row.tolist() for row in dataset.targets.rows]
        weights = dataset.weights
        if weights is not None:
            weights = weights.cpu().numpy()
        return loss, 1.0 - symbol_error_rate(true, found, sample_weight=weights)

    # Answers

    def write(self, ids):
        """Return symbols as what was given to fit."""
        symbols = self.target.vocabulary.symbols
        written = [symbols[i] for i in ids]
        return "".join(written) if self.target.are_text else written

    def automata(self, params):
        """Return what the search is restricted to, with weights."""
        automata = []
        if params.ngram_order is not None:
            rows, weights = [row - 1 for row in self.written], self.weights_of_written
            if params.ngram_text is not None:
                texts = self.target.rows(params.ngram_text, "ngram_text")
                others = [row - 1 for row in self.classes_of(self._writable(texts))]
                rows += others
                if weights is not None:
                    weights = np.append(weights, np.ones(len(others)))
            ngram = fit_ngram(rows, self.n_symbols, params.ngram_order, weights)
            automata.append((ngram, params.ngram_weight))
        if params.word_list is not None:
            automata.append((self._word_automaton(params), 1.0))
        return automata

    def _writable(self, texts):
        """Return the texts that have no symbol without an output of the network."""
        vocabulary = self.target.vocabulary
        return [text for text in texts if all(s in vocabulary for s in text)]

    def _word_automaton(self, params):
        vocabulary, n_symbols = self.target.vocabulary, self.n_symbols
        words, separator = params.word_list, params.word_separator
        words = words if isinstance(words, str) else list(words)  # or a set
        words = self.target.rows(words, "word_list")
        known = self._writable(word for word in words if len(word))
        if not known:
            raise ValueError(
                "word_list has no word that is made of the symbols of y, and not "
                f"empty: {self.estimator_name} could write nothing."
            )
        ids = [row - 1 for row in self.classes_of(known)]
        if separator is None:
            return word_list_automaton(ids, n_symbols)
        for word in known:
            if any(symbol == separator for symbol in word):
                raise ValueError(
                    f"word_list holds {word!r}, in which word_separator={separator!r} "
                    "comes: split it into words."
                )
        if separator in vocabulary:
            place = vocabulary.id_of(separator) - END - 1
            return word_list_automaton(ids, n_symbols, place)
        # With a separator that is never written, a transcript is a single word.
        automaton = word_list_automaton(ids, n_symbols + 1, separator=n_symbols)
        return automaton._replace(
            scores=automaton.scores[:, :n_symbols],
            next_states=automaton.next_states[:, :n_symbols],
        )


def _warn_of_unknown(rows, vocabulary):
    """Warn of symbols to be read that fit did not see."""
    new = [[symbol for symbol in row if symbol not in vocabulary] for row in rows]
    where = [i for i, symbols in enumerate(new) if symbols]
    warnings.warn(
        f"{len(where)} of {len(rows)} sequences hold symbols that fit did not see, "
        f"such as {new[where[0]][0]!r} in X[{where[0]}]. They are read as unknown, "
        "of which nothing was learned. Fit on sequences that have them, "
        "or replace them, for example by lower case letters. If that is how it "
        "should be, silence this SklearnRNNWarning by its class.",
        SklearnRNNWarning,
        stacklevel=user_stacklevel(),
    )
