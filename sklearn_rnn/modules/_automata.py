"""Finite automata over symbols: n-gram models and word lists."""

from typing import NamedTuple

import numpy as np

from sklearn_rnn._plain_state import plain_type

# Entries of an automaton's tables, 12 bytes each: more would fill a laptop's memory.
MAX_ENTRIES = 50_000_000


@plain_type
class Automaton(NamedTuple):
    """A deterministic automaton that scores sequences of symbols.

    It starts in state 0; writing a symbol has a score and leads to the next state;
    ending has a score, too.

    Attributes
    ----------
    scores : ndarray of shape (n_states, n_symbols), dtype=float64
        Log score of writing a symbol in a state, in nats; -inf forbids it.
    next_states : ndarray of shape (n_states, n_symbols), dtype=int32
        State after a symbol; meaningless where it is forbidden.
    ends : ndarray of shape (n_states,), dtype=float64
        Log score of ending in a state, in nats; -inf forbids it.
    """

    scores: np.ndarray
    next_states: np.ndarray
    ends: np.ndarray

    def follow(self, symbols):
        """Return the log scores of n symbols, and of ending after 0 to n of them."""
        states = [0]
        for symbol in symbols:
            states.append(self.next_states[states[-1], symbol])
        symbols = np.asarray(symbols, dtype=np.int64)
        return self.scores[states[:-1], symbols], self.ends[states]


class _Contexts(NamedTuple):
    """All K contexts of one length, and the P positions where one of them ends."""

    positions: np.ndarray  # (P,)
    ids: np.ndarray  # (P,), the context that ends there
    beginnings: np.ndarray  # (K,), the contexts without their last symbol
    last: np.ndarray  # (K,), the last symbol
    suffixes: np.ndarray  # (K,), the contexts without their first symbol


def fit_ngram(rows, n_symbols, order, weights=None):
    """Fit an n-gram model with interpolated Witten-Bell smoothing.

    A context h that was seen n times with k different continuations weighs its own
    counts c with n, and the context without its first symbol, h', with k,

    ``p(symbol | h) = (c(h symbol) + k * p(symbol | h')) / (n + k)``

    down to the empty context, which is interpolated with a uniform distribution.
    Ending is a continuation like any symbol, and the start of a row is part of a
    context, so that first symbols have probabilities of their own.

    Parameters
    ----------
    rows : list of array-like of int
        Sequences of symbols from 0 to ``n_symbols - 1``; they may be empty.
    n_symbols : int
        Size of the vocabulary.
    order : int
        Length of the longest n-gram, at least 1: a symbol depends on up to
        ``order - 1`` before it.
    weights : ndarray of shape (n_rows,), default=None
        Weights of the rows; 2 is as if a row came twice.

    Returns
    -------
    Automaton
        A state for every context seen. In each, the probabilities of all symbols
        and of the end sum to 1.

    References
    ----------
    Witten and Bell, "The zero-frequency problem", IEEE Transactions on
    Information Theory 37(4), 1991; interpolated as in Chen and Goodman, "An
    empirical study of smoothing techniques for language modeling", 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.modules import fit_ngram
    >>> automaton = fit_ngram([[0, 1], [0]], n_symbols=2, order=2)
    >>> np.exp(automaton.scores[0]).round(3)  # at the start of a row
    array([0.792, 0.083])
    >>> after = automaton.next_states[0, 0]
    >>> np.exp(automaton.scores[after]).round(3), np.exp(automaton.ends[after]).round(3)
    (array([0.188, 0.375]), np.float64(0.438))
    """
    # 0 is the border between rows: it ends one and begins the next.
    border = np.zeros(1, dtype=np.int64)
    parts = [border]
    for row in rows:
        parts += [np.asarray(row, dtype=np.int64) + 1, border]
    stream = np.concatenate(parts)
    levels = _find_contexts(stream[:-1], n_symbols, order)
    n_states = sum(len(level.last) for level in levels)
    if n_states * n_symbols > MAX_ENTRIES:
        raise ValueError(
            f"An n-gram of order {order} has {n_states} contexts here, which with "
            f"{n_symbols} symbols need tables of more than {MAX_ENTRIES} entries. "
            "Use a smaller order."
        )
    if weights is not None:  # of each continuation: the row's symbols, then its end
        weights = np.repeat(weights, [len(row) + 1 for row in rows])
    probabilities = _estimate(levels, stream[1:], n_symbols, weights)
    np.log(probabilities, out=probabilities)
    next_states = _connect(levels, n_symbols)
    return Automaton(probabilities[:, 1:], next_states, probabilities[:, 0])


def _find_contexts(stream, n_symbols, order):
    """Number the contexts of every length, from 0 to `order` - 1 symbols."""
    positions = np.arange(len(stream))
    # Symbols since the last border; none for the border itself.
    depth = positions - np.maximum.accumulate(np.where(stream == 0, positions, 0))
    none = np.zeros(1, dtype=np.int64)
    levels = [_Contexts(positions, np.zeros_like(positions), none, none, none)]
    for length in range(1, order):
        shorter = np.full(len(stream) + 1, -1)  # the last one, or -1, is no position
        shorter[levels[-1].positions] = levels[-1].ids
        if length == 1:
            shorter[-1] = 0  # before the first border, the empty context
        positions = np.flatnonzero(depth >= length - 1)
        keys = shorter[positions - 1] * (n_symbols + 1) + stream[positions]
        keys, first, ids = np.unique(keys, return_index=True, return_inverse=True)
        beginnings, last = np.divmod(keys, n_symbols + 1)
        suffixes = shorter[positions[first]]
        levels.append(_Contexts(positions, ids, beginnings, last, suffixes))
    return levels


def _first_states(levels):
    """Number the first state of each level, so that the beginning is state 0."""
    starts = np.cumsum([0, *(len(level.last) for level in levels[1:])])
    # The beginning is the first context of one symbol; the empty one comes last.
    return np.roll(starts, 1)


def _estimate(levels, continuations, n_symbols, weights):
    """Smooth the counts into probabilities (n_states, 1 + n_symbols), end first."""
    n_events = n_symbols + 1
    n_states = sum(len(level.last) for level in levels)
    table = np.empty((n_states, n_events))
    shorter = np.full((1, n_events), 1 / n_events)
    for start, level in zip(_first_states(levels), levels, strict=True):
        n_contexts = len(level.last)
        pairs = level.ids * n_events + continuations[level.positions]
        pairs, counts = _count(
            pairs, None if weights is None else weights[level.positions]
        )
        contexts = pairs // n_events
        n_seen = np.bincount(contexts, counts, n_contexts)
        # Where there are no rows, everything is new.
        n_different = np.bincount(contexts, minlength=n_contexts).clip(min=1)
        own = table[start : start + n_contexts]
        # Any mode but "raise" writes straight into `out`.
        np.take(shorter, level.suffixes, axis=0, out=own, mode="clip")
        own *= (n_different / (n_seen + n_different))[:, None]
        own.reshape(-1)[pairs] += counts / (n_seen + n_different)[contexts]
        shorter = own
    return table


def _count(values, weights):
    """Return the distinct values, and how often each occurs."""
    if weights is None:
        return np.unique(values, return_counts=True)
    values, which = np.unique(values, return_inverse=True)
    return values, np.bincount(which, weights)


def _connect(levels, n_symbols):
    """Return the longest context that each context and symbol end in."""
    starts = _first_states(levels)
    n_states = sum(len(level.last) for level in levels)
    table = np.empty((n_states, n_symbols), dtype=np.int32)
    shorter = np.full((1, n_symbols), starts[0])
    for i, level in enumerate(levels):
        own = table[starts[i] : starts[i] + len(level.last)]
        own[:] = shorter[level.suffixes]
        if i + 1 < len(levels):
            longer = levels[i + 1]
            states = starts[i + 1] + np.arange(len(longer.last))
            inner = longer.last > 0  # no symbol leads to the beginning
            own[longer.beginnings[inner], longer.last[inner] - 1] = states[inner]
        shorter = own
    return table


def word_list_automaton(words, n_symbols, separator=None):
    """Return an automaton that accepts sequences of the words of a list.

    It accepts the empty sequence and one word or more, joined by the separator or,
    where that is None, directly. Without a separator a sequence may be split into
    words in several ways, and all are followed at once (subset construction).

    Parameters
    ----------
    words : list of sequence of int
        Symbols of each word, at least one.
    n_symbols : int
        Size of the vocabulary.
    separator : int, default=None
        The symbol between two words.

    Returns
    -------
    Automaton
        Its scores are 0 where a sequence can continue, or end, and else -inf.

    References
    ----------
    Rabin and Scott, "Finite automata and their decision problems", IBM Journal
    of Research and Development 3(2), 1959 (subset construction).

    Examples
    --------
    >>> from sklearn_rnn.modules import word_list_automaton
    >>> automaton = word_list_automaton([[0, 1], [1]], n_symbols=3, separator=2)
    >>> automaton.scores[0], automaton.ends[0]
    (array([  0.,   0., -inf]), np.float64(0.0))
    >>> automaton.follow([1, 2, 0, 1])
    (array([0., 0., 0., 0.]), array([  0.,   0., -inf, -inf,   0.]))
    """
    branches, complete = _build_trie(words, separator)
    states = {frozenset([0]): 0}
    steps = []
    waiting = list(states)
    for subset in waiting:  # it grows on the way
        for symbol, reached in _step(subset, branches).items():
            if separator is None and not complete.isdisjoint(reached):
                reached.add(1)
            reached = frozenset(reached)
            if reached not in states:
                states[reached] = len(states)
                waiting.append(reached)
            steps.append((states[subset], symbol, states[reached]))
        if len(states) * n_symbols > MAX_ENTRIES:
            raise ValueError(
                f"A list of {len(words)} words and {n_symbols} symbols needs tables "
                f"of more than {MAX_ENTRIES} entries. Use fewer words."
            )
    scores = np.full((len(states), n_symbols), -np.inf)
    next_states = np.zeros((len(states), n_symbols), dtype=np.int32)
    sources, symbols, targets = np.array(steps, dtype=np.int64).reshape(-1, 3).T
    scores[sources, symbols], next_states[sources, symbols] = 0.0, targets
    may_end = [0 in subset or not complete.isdisjoint(subset) for subset in states]
    return Automaton(scores, next_states, np.where(may_end, 0.0, -np.inf))


def _build_trie(words, separator):
    """Build the trie of all words; return its branches and the nodes that end one."""
    # Words begin at node 0, which may end, and after another word at node 1.
    root: dict[int, int] = {}
    branches, complete = [root, root], set()
    for i, word in enumerate(words):
        word = [int(symbol) for symbol in word]
        if not word:
            raise ValueError(f"words[{i}] is empty: give every word a symbol.")
        if separator in word:
            raise ValueError(
                f"words[{i}], {word}, contains the separator {separator}: split it."
            )
        node = 0
        for symbol in word:
            if symbol not in branches[node]:
                branches[node][symbol] = len(branches)
                branches.append({})
            node = branches[node][symbol]
        complete.add(node)
    if separator is not None:
        for node in complete:
            branches[node][separator] = 1
    return branches, complete


def _step(subset, branches):
    """Return the nodes that each symbol reaches from a set of nodes."""
    reached: dict[int, set[int]] = {}
    for node in subset:
        for symbol, target in branches[node].items():
            reached.setdefault(symbol, set()).add(target)
    # In the order of symbols: states are numbered alike however sets are ordered.
    return dict(sorted(reached.items()))
