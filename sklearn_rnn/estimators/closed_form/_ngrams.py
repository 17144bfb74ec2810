"""n-gram models of long texts and large vocabularies: sorted arrays, no tables."""

from typing import NamedTuple, Self

import numpy as np

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.sequences import flat_rows

# Discounts of n-grams seen once, twice and more often, where counts cannot tell them.
USUAL_DISCOUNTS = (0.5, 0.75, 0.9)
# Of what is taken from the counts without a context: the fraction for symbols that were
# not seen at all, which are one id. The rest goes to all symbols alike.
UNSEEN_FRACTION = 0.5


@plain_type
class NGrams:
    """An n-gram model with interpolated modified Kneser-Ney smoothing.

    An n-gram's count is lowered by a discount that depends on it (once, twice or more
    often seen). What the n-grams of a context lose in this way goes to the context
    without its first symbol, whose counts are those of different symbols in front of
    an n-gram; and so on, down to the empty context and a uniform distribution.

    The n-grams are the nodes of a trie. Those of one symbol have its id as a number;
    then come longer ones, in the order of their length, context and symbol, so that
    the continuations of a context stand side by side.

    Parameters
    ----------
    unigrams : ndarray of shape (n_symbols,)
        Probability of each id without a context.
    levels : list of Level
        The n-grams of 2, 3, ... symbols.

    References
    ----------
    Kneser and Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995;
    modified as in Chen and Goodman, "An empirical study of smoothing techniques for
    language modeling", 1998.
    """

    def __init__(self, unigrams, levels) -> None:
        self.unigrams, self.order = unigrams, 1 + len(levels)
        n_symbols = len(unigrams)
        # Node n_symbols + i is that of keys[i], context * n_symbols + symbol.
        keys, starts = [], []
        first_context, first = 0, 0
        for level in levels:
            keys.append(level.keys + first_context * n_symbols)
            starts.append(level.starts + first)
            first_context = n_symbols + first
            first += len(level.keys)
        none = np.zeros(0, dtype=np.int64)
        self.keys = np.concatenate([none, *keys])
        # Of each context: its first n-gram, and what scales shorter contexts.
        self.starts = np.concatenate([none, *starts, [len(self.keys)]])
        self.backoff = np.concatenate([none, *(level.backoff for level in levels)])
        self.own = np.concatenate([none, *(level.own for level in levels)])
        self.backoff = self.backoff.astype(np.float32)
        self.own = self.own.astype(np.float32)

    @classmethod
    def fit(cls, sequences, n_symbols, order, never=(), **options) -> Self:
        """Fit n-grams up to one length; see `fit_orders`."""
        return cls.fit_orders(sequences, n_symbols, order, never, **options)[-1]

    @classmethod
    def fit_orders(
        cls, sequences, n_symbols, order, never=(), *, unseen=None, weights=None
    ) -> list[Self]:
        """Count the n-grams of sequences of ids.

        Parameters
        ----------
        sequences : SequenceArray
            The first id of each is a context alone, and not counted.
        n_symbols : int
            Ids are from 0 to ``n_symbols - 1``.
        order : int
            Length of the longest n-grams, at least 1.
        never : list of int, default=()
            Ids that have probability zero.
        unseen : int, default=None
            Id that stands for all symbols that these sequences do not have. It is
            about as likely as symbols were new when they came.
        weights : ndarray of shape (n_sequences,), default=None
            How often each sequence counts.

        Returns
        -------
        list of NGrams
            Models whose longest n-grams are 1, 2, ..., `order` symbols long.
        """
        base = np.ones(n_symbols)
        base[list(never)] = 0.0
        base /= base.sum()
        if unseen is not None:
            base *= 1 - UNSEEN_FRACTION
            base[unseen] += UNSEEN_FRACTION
        stream, depth = _flatten_steps(sequences)
        if weights is not None:
            weights = np.repeat(weights, sequences.lengths)
        models: list[Self] = []
        shorter: list[Level] = []
        last, n_contexts = None, 1
        for grams in _count(stream, depth, n_symbols, order, weights):
            if last is not None:
                # Of shorter n-grams it counts how many different ones they end; but
                # nothing is in front of those at the begin of a sequence.
                n_longer = np.bincount(grams.suffixes, minlength=len(last.keys))
                counts = np.where(n_longer > 0, n_longer, last.counts)
                shorter.append(_discount(last.keys, counts, n_contexts, n_symbols))
                n_contexts = len(last.keys)
            longest = _discount(grams.keys, grams.counts, n_contexts, n_symbols)
            first, *levels = [*shorter, longest]
            models.append(cls(first.own + first.backoff[0] * base, levels))
            last = grams
        return models

    def find(self, contexts, symbols):
        """Return the nodes of contexts that a symbol follows, -1 if one was not seen.

        The context -1 has no node, nor have those that follow from it.
        """
        if len(self.keys) == 0:
            return np.full(np.broadcast(contexts, symbols).shape, -1)
        keys = contexts * len(self.unigrams) + symbols
        found = np.searchsorted(self.keys, keys)
        found[found == len(self.keys)] = 0
        is_known = (self.keys[found] == keys) & (contexts >= 0)
        return np.where(is_known, found + len(self.unigrams), -1)

    # Probabilities of all steps of sequences

    def score_steps(self, sequences):
        """Return the probability of every step but the first of each sequence.

        Parameters
        ----------
        sequences : SequenceArray
            Of ids.

        Returns
        -------
        ndarray of shape (n_steps,)
            All steps of the first sequence, then of the second, ...
        """
        n_symbols = len(self.unigrams)
        stream, depth = _flatten_steps(sequences)
        targets = np.flatnonzero(depth >= 1)
        symbols = stream[targets]
        probabilities = self.unigrams[symbols]
        contexts = stream[targets - 1]  # that end before each target
        known = np.arange(len(targets))  # targets whose context was seen
        # A longer context begins one target earlier, in the same sequence.
        is_first = depth[targets] == 1
        for _ in range(self.order - 1):
            found = self.find(contexts, symbols[known])
            own = np.where(found >= 0, self.own[found - n_symbols], 0.0)
            probabilities[known] *= self.backoff[contexts]
            probabilities[known] += own
            nodes = np.full(len(targets) + 1, -1)
            nodes[known] = found
            before = np.where(is_first, -1, nodes[np.arange(len(targets)) - 1])
            known = np.flatnonzero(before >= 0)
            contexts = before[known]
        return probabilities

    # Probabilities of all symbols

    def contexts(self, sequences):
        """Return the contexts of every step but the first of each sequence.

        Returns
        -------
        ndarray of shape (n_steps, order - 1)
            As of `advance`; all steps of the first sequence, then of the second, ...
        """
        stream, depth = _flatten_steps(sequences)
        inputs = np.flatnonzero(depth >= 1) - 1
        columns, nodes = [], stream
        for _ in range(self.order - 1):
            columns.append(nodes[inputs])
            shorter = np.concatenate([[-1], nodes[:-1]])
            nodes = self.find(np.where(depth == 0, -1, shorter), stream)
        return np.array(columns, dtype=np.int64).reshape(-1, len(inputs)).T

    def read(self, ids):
        """Return the contexts (1, order - 1) after some ids, for `distributions`."""
        contexts = np.full((1, self.order - 1), -1)
        for symbol in ids[-self.order :]:
            contexts = self.advance(contexts, np.array([symbol]))
        return contexts

    def advance(self, contexts, symbols):
        """Return the contexts (n, order - 1) after a further symbol of each (n,).

        Column i has the node of the last i + 1 symbols, -1 if they were not seen.
        """
        symbols = np.asarray(symbols, dtype=np.int64)[:, np.newaxis]
        longer = self.find(contexts[:, :-1], symbols)
        return np.hstack([symbols, longer])[:, : self.order - 1]

    def distributions(self, contexts):
        """Return the probabilities (n, n_symbols) of all symbols after contexts."""
        n, n_symbols = len(contexts), len(self.unigrams)
        if contexts.shape[1] == 0:
            return np.tile(self.unigrams, (n, 1))
        backoff = np.where(contexts >= 0, self.backoff[contexts], 1.0)
        # An n-gram's own probability is scaled by all longer contexts.
        scales = np.multiply.accumulate(backoff[:, ::-1], axis=1)[:, ::-1]
        own_scales = np.hstack([scales[:, 1:], np.ones((n, 1))])
        starts = self.starts[contexts]
        n_grams = np.where(contexts >= 0, self.starts[contexts + 1] - starts, 0)
        first = (np.arange(n)[:, np.newaxis] - contexts) * n_symbols
        grams = flat_rows(starts.ravel(), n_grams.ravel())
        first, own_scales = (
            np.repeat(values.ravel(), n_grams.ravel()) for values in (first, own_scales)
        )
        added = np.bincount(
            self.keys[grams] + first, self.own[grams] * own_scales, n * n_symbols
        )
        return scales[:, :1] * self.unigrams + added.reshape(n, n_symbols)


class Level(NamedTuple):
    """The K n-grams of one length, which follow C contexts; both numbered from 0."""

    keys: np.ndarray  # int64 (K,), sorted: context * n_symbols + symbol
    own: np.ndarray  # (K,), probability that an n-gram's own count gives it
    backoff: np.ndarray  # (C,), scales the probabilities of the shorter context
    starts: np.ndarray  # (C,), first n-gram of each context


class _Counts(NamedTuple):
    """Counts of the K n-grams of one length."""

    keys: np.ndarray  # (K,), as of a Level
    counts: np.ndarray  # (K,), float64
    suffixes: np.ndarray  # (K,), numbers of the n-grams without their first symbol


def _flatten_steps(sequences):
    """Return all ids in a row, and how many steps of its sequence are before each."""
    rows = flat_rows(sequences.starts, sequences.lengths)
    stream = sequences.values[rows, 0].astype(np.int64)
    return stream, flat_rows(np.zeros_like(sequences.lengths), sequences.lengths)


def _count(stream, depth, n_symbols, order, weights):
    """Yield the counts of the n-grams of each length."""
    targets = np.flatnonzero(depth >= 1)
    of_targets = None if weights is None else weights[targets]
    counts = np.bincount(stream[targets], of_targets, n_symbols).astype(float)
    # All symbols, so that the number of one as a context is its id.
    yield _Counts(np.arange(n_symbols), counts, np.zeros(n_symbols, dtype=np.int64))
    numbers = stream  # of the n-gram that ends at each position
    for length in range(2, order + 1):
        targets = targets[depth[targets] >= length - 1]
        keys = numbers[targets - 1] * n_symbols + stream[targets]
        keys, first, found = np.unique(keys, return_index=True, return_inverse=True)
        of_targets = None if weights is None else weights[targets]
        counts = np.bincount(found, of_targets, len(keys)).astype(float)
        yield _Counts(keys, counts, numbers[targets[first]])
        numbers = np.full(len(stream), -1)
        numbers[targets] = found


def _discount(keys, counts, n_contexts, n_symbols):
    """Turn counts into probabilities, and what is left for shorter contexts."""
    # A fraction, as of weights, is discounted like the next integer.
    times = np.ceil(counts).clip(max=3).astype(int)
    discounts = np.minimum(_choose_discounts(counts)[times], counts)
    contexts = keys // n_symbols
    n_seen = np.bincount(contexts, counts, n_contexts)
    lost = np.bincount(contexts, discounts, n_contexts)
    # The last symbols of a text may be a context that nothing came after.
    lost[n_seen == 0] = 1.0
    n_seen[n_seen == 0] = 1.0
    own = (counts - discounts) / n_seen[contexts]
    starts = np.searchsorted(contexts, np.arange(n_contexts))
    return Level(keys, own, lost / n_seen, starts)


def _choose_discounts(counts):
    """Return the discounts of counts of 0, 1, 2, and 3 or more, by how many there are.

    These are estimates of the error of a count in text that was not seen.
    """
    n = [np.count_nonzero(counts == times) for times in range(5)]
    if 0 in n[1:]:
        return np.array([0.0, *USUAL_DISCOUNTS])
    once = n[1] / (n[1] + 2 * n[2])
    found = [k - (k + 1) * once * n[k + 1] / n[k] for k in (1, 2, 3)]
    return np.array([0.0, *np.clip(found, 0.05, [1.0, 2.0, 3.0])])
