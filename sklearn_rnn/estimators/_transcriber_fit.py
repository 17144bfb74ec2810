"""How a transcriber is trained: frames, transcripts, what they are searched with."""

import math

import numpy as np
import torch

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.estimators._pair_fit import PairFit, as_objects
from sklearn_rnn.estimators._priors import log_priors
from sklearn_rnn.estimators._sources import NumberSource
from sklearn_rnn.metrics import symbol_error_rate
from sklearn_rnn.modules import (
    NetworkSpec,
    build_network,
    greedy_paths,
    learn_ngram,
    n_joined,
    word_list_automaton,
)
from sklearn_rnn.sequences import END
from sklearn_rnn.training import (
    BLANK,
    CTCLoss,
    TranscriptDataset,
    blocks_by_length,
    computing_batch,
    fewest_frames,
    to_batch,
)

# Sequences, and steps of them with their padding, that are read at a time.
SIDE_BY_SIDE, MAX_STEPS = 64, 65_536
# Numbers that their posteriors may be, where there are many symbols.
MAX_OUTPUTS = 16_000_000
# Pairs of hypotheses that a search compares at a time, over all sequences.
MAX_PAIRS = 8_000_000


class TranscriberFit(PairFit):
    """Part of a transcriber that turns frames and transcripts into a network."""

    _build_network = staticmethod(build_network)

    def _learn_source(self, X, weights):
        self._source = NumberSource(type(self).__name__, "sequences")

    def _learn_symbols(self, X, y, weights):
        super()._learn_symbols(X, y, weights)
        self.symbols_ = as_objects(self._target.vocabulary)

    def _classes(self, rows):
        """Return the classes of symbols, from 1; symbols never seen are left out."""
        ids = (self._target.vocabulary.encode(row).astype(np.int64) for row in rows)
        return [row[row > END] - END for row in ids]

    def _read_pairs(self, X, y, weights=None, *, reset=False, suffix=""):
        pairs = super()._read_pairs(X, y, weights, reset=reset, suffix=suffix)
        if suffix and not pairs.n_symbols.any():
            raise InvalidSequenceError(
                f"y{suffix} has none of the symbols that y has: there is nothing to "
                "judge by."
            )
        return pairs

    def _refuse_new_symbols(self, rows):
        """Refuse to go on with symbols that the network has no outputs for."""
        vocabulary = self._target.vocabulary
        for i, row in enumerate(rows):
            new = [symbol for symbol in row if symbol not in vocabulary]
            if new:
                raise ValueError(
                    f"y[{i}] holds the symbol {new[0]!r}, but {type(self).__name__} "
                    "goes on training the network of its last fit, which cannot say "
                    "it. Fit anew with warm_start=False."
                )

    def _pair(self, sources, rows, weights, suffix):
        if not suffix and self.__sklearn_is_fitted__() and self.warm_start:
            self._refuse_new_symbols(rows)
        classes = self._classes(rows)
        n_frames = n_joined(sources.lengths, self.subsampling)
        fewest = np.array([fewest_frames(row) for row in classes])
        if (fewest > n_frames).any():
            self._refuse_too_short(sources, classes, fewest > n_frames, suffix)
        return TranscriptDataset(sources, classes, weights, int(self.subsampling))

    def _refuse_too_short(self, sources, classes, too_short, suffix):
        i = int(np.argmax(too_short))
        joined, way_out = "", "Take shorter hops between frames"
        if self.subsampling > 1:
            n = n_joined(sources.lengths[i], self.subsampling)
            joined = f", {n} with subsampling={self.subsampling}"
            way_out = "Lower subsampling, take shorter hops between frames"
        n_short = int(too_short.sum())
        others = f" {n_short} clips are too short." if n_short > 1 else ""
        raise InvalidSequenceError(
            f"X{suffix}[{i}] has {sources.lengths[i]} frames{joined}, too few for the "
            f"{len(classes[i])} symbols of y{suffix}[{i}]: CTC needs a frame for each "
            "symbol and one between equal neighbours, here "
            f"{fewest_frames(classes[i])}.{others} {way_out}, or leave such clips out."
        )

    def _network(self, pairs, random_state, continuing):
        self._shortest_first = self.shortest_first and not continuing
        self._written = pairs.rows
        self._written_times = pairs.weights
        return super()._network(pairs, random_state, continuing)

    @torch.no_grad()
    def _start(self, network, pairs):
        """Let an untrained network say nothing as often as nothing is said.

        Without it, the first epoch unlearns to speak at every frame.
        """
        weights = np.ones(len(pairs)) if pairs.weights is None else pairs.weights
        counts = np.bincount(
            np.concatenate(pairs.rows),
            np.repeat(weights, pairs.n_symbols),
            minlength=1 + len(self.symbols_),
        )
        n_blanks = n_joined(pairs.lengths, self.subsampling) - pairs.n_symbols
        counts[BLANK] = weights @ n_blanks
        network.head.bias.copy_(torch.from_numpy(log_priors(counts)))

    def _spec(self, pairs):
        return NetworkSpec(
            cell=self.cell,
            n_features=pairs.sources.n_features,
            hidden_size=int(self.hidden_size),
            n_outputs=1 + len(self.symbols_),
            n_layers=int(self.n_layers),
            bidirectional=bool(self.bidirectional),
            dropout=float(self.dropout),
            input_dropout=float(self.input_dropout),
            weight_drop=float(self.weight_drop),
            residual=bool(self.residual),
            layer_norm=bool(self.layer_norm),
            pooling=None,
            subsampling=int(self.subsampling),
        )

    def _make_net(self, network, schedule=(None, None), device=None, kernel=None):
        super()._make_net(network, schedule, device, kernel)
        self.net_.shortest_first = self._shortest_first

    def _criterion(self):
        return CTCLoss()

    @torch.inference_mode()
    def _judge(self, net, validation):
        """Return loss and score of clips that are not trained on."""
        network = net.module_.eval()
        sums, read = np.zeros(2), [None] * len(validation)
        for rows in blocks_by_length(validation.lengths, SIDE_BY_SIDE, MAX_STEPS):
            inputs, (transcripts, weights) = validation.batch(rows, net.device)
            outputs = network(**inputs)
            losses = net.criterion_.of_sequences(outputs, transcripts).double()
            counts = (transcripts.n_symbols + 1).double()
            if weights is not None:
                losses, counts = losses * weights, counts * weights
            sums += losses.sum().item(), counts.sum().item()
            found = greedy_paths(
                outputs.double().log_softmax(dim=2).cpu().numpy(),
                transcripts.n_frames.cpu().numpy(),
            )
            for i, ids in zip(rows, found, strict=True):
                read[i] = (ids + 1).tolist()
        loss = sums[0] / sums[1]
        if not math.isfinite(loss) or not validation.n_symbols.any():
            return loss, math.nan
        true, weights = [row.tolist() for row in validation.rows], validation.weights
        if weights is not None:
            weights = weights.cpu().numpy()
        return loss, 1.0 - symbol_error_rate(true, read, sample_weight=weights)

    # What is heard.

    def _frames(self, X, beam_width=1):
        """Yield (rows, log-probabilities (N, T, 1 + n_symbols), frames of each)."""
        sources = self._read_sources(X)
        n_frames = n_joined(sources.lengths, self._network_spec.subsampling)
        side_by_side = max(1, min(SIDE_BY_SIDE, MAX_PAIRS // beam_width**2))
        n_steps = min(MAX_STEPS, MAX_OUTPUTS // self._network_spec.n_outputs)
        for rows in blocks_by_length(sources.lengths, side_by_side, n_steps):
            # Not around the yield: who reads may fail, and the threads stay limited.
            n_padded = int(sources.lengths[rows].max())
            with (
                self._computing(),
                computing_batch(len(rows), n_padded),
                torch.inference_mode(),
            ):
                batch = to_batch(sources, rows, self.net_.device)
                outputs = self.module_(**batch).double().log_softmax(dim=2)
                outputs = outputs.cpu().numpy()
            overflowed = np.isnan(outputs).any(axis=(1, 2))
            if overflowed.any():
                raise self._overflow_at(f"sequence {rows[overflowed.argmax()]}")
            yield rows, outputs, n_frames[rows]

    def _automata(self):
        """Return what the search is held to, with weights."""
        automata, n_symbols = [], len(self.symbols_)
        if self.ngram_order is not None:
            rows, weights = [row - 1 for row in self._written], self._written_times
            if self.ngram_text is not None:
                texts = self._target.rows(self.ngram_text, "ngram_text")
                others = [row - 1 for row in self._classes(self._sayable(texts))]
                rows += others
                if weights is not None:
                    weights = np.append(weights, np.ones(len(others)))
            ngram = learn_ngram(rows, n_symbols, self.ngram_order, weights)
            automata.append((ngram, self.ngram_weight))
        if self.word_list is not None:
            automata.append((self._word_automaton(), 1.0))
        return automata

    def _sayable(self, texts):
        """Return the texts of which the network can say every symbol."""
        vocabulary = self._target.vocabulary
        return [text for text in texts if all(s in vocabulary for s in text)]

    def _word_automaton(self):
        vocabulary, n_symbols = self._target.vocabulary, len(self.symbols_)
        words = self.word_list
        words = words if isinstance(words, str) else list(words)  # or a set
        words = self._target.rows(words, "word_list")
        known = self._sayable(word for word in words if len(word))
        if not known:
            raise ValueError(
                "word_list has no word that is made of the symbols of y, and not "
                f"empty: {type(self).__name__} could write nothing."
            )
        ids = [row - 1 for row in self._classes(known)]
        if self.word_separator is None:
            return word_list_automaton(ids, n_symbols)
        for word in known:
            if any(symbol == self.word_separator for symbol in word):
                raise ValueError(
                    f"word_list holds {word!r}, in which word_separator="
                    f"{self.word_separator!r} comes: split it into words."
                )
        if self.word_separator in vocabulary:
            separator = vocabulary.id_of(self.word_separator) - END - 1
            return word_list_automaton(ids, n_symbols, separator)
        # With a separator that is never written, a transcript is a single word.
        automaton = word_list_automaton(ids, n_symbols + 1, separator=n_symbols)
        return automaton._replace(
            scores=automaton.scores[:, :n_symbols],
            next_states=automaton.next_states[:, :n_symbols],
        )
