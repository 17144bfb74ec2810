"""Decoding the frames of connectionist temporal classification (CTC)."""

from typing import NamedTuple

import numpy as np

# Hashes of the empty prefix, of a dead slot, and of no parent; those of all other
# prefixes are as good as 64 random bits.
_EMPTY, _DEAD, _NO_PARENT = np.arange(3, dtype=np.uint64)


class Transcript(NamedTuple):
    """The symbols of a clip.

    Attributes
    ----------
    symbols : ndarray of shape (n_symbols,), dtype=int64
        From 0, without blanks.
    score : float
        Log-probability, plus the terms of automata and the insertion bonus; transcripts
        are ranked by it.
    log_probability : float
        Of the symbols by the frames alone, in nats.
    """

    symbols: np.ndarray
    score: float
    log_probability: float


class _Beams(NamedTuple):
    """The B prefixes that each of N clips follows, best first: all (N, B)."""

    blank: np.ndarray  # log-probability of the paths that end in a blank
    symbol: np.ndarray  # log-probability of those that end in the last symbol
    prior: np.ndarray  # from automata and insertion bonus
    last: np.ndarray  # class of the last symbol; 0 for none
    n_symbols: np.ndarray
    hashes: np.ndarray  # of the whole prefix
    parents: np.ndarray  # hash of the prefix without its last symbol
    states: np.ndarray  # (N, B, n_automata)

    def select(self, rows):
        return _Beams(*(part[rows] for part in self))


class _Choice(NamedTuple):
    """The continuations that form the next beams, best first: all (N, B)."""

    slots: np.ndarray  # slots of the prefixes that are continued
    classes: np.ndarray  # classes that continue them; 0 for none
    alive: np.ndarray  # False where fewer than B continuations exist


def greedy_paths(log_probabilities, lengths):
    """Return the symbols of the most probable path of each clip.

    Repeats are collapsed and then blanks dropped. The most probable path need not
    belong to the most probable symbols, whose probability is a sum over many paths.

    Parameters
    ----------
    log_probabilities : ndarray of shape (N, T, 1 + n_symbols), dtype=float
        Of the classes in every frame, in nats. Class 0 is the blank, class v + 1
        the symbol v.
    lengths : ndarray of shape (N,), dtype=int64
        Frames of each clip; the rest is padding.

    Returns
    -------
    list of ndarray of shape (n_symbols,), dtype=int64

    References
    ----------
    Graves et al., "Connectionist temporal classification: labelling unsegmented
    sequence data with recurrent neural networks", ICML 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.modules import greedy_paths
    >>> frames = np.log([[[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]]])
    >>> greedy_paths(frames, np.array([4]))
    [array([0, 0])]
    """
    classes = log_probabilities.argmax(2)  # (N, T)
    kept = classes > 0
    kept[:, 1:] &= classes[:, 1:] != classes[:, :-1]
    kept &= np.arange(classes.shape[1]) < np.asarray(lengths)[:, None]
    ends = kept.sum(1).cumsum()
    return np.split(classes[kept].astype(np.int64) - 1, ends)[:-1]


def ctc_log_probability(log_probabilities, symbols):
    """Return the log-probability of symbols, summed over all their paths.

    Parameters
    ----------
    log_probabilities : ndarray of shape (T, 1 + n_symbols), dtype=float
        Of the classes in every frame of one clip, in nats, as for `greedy_paths`.
    symbols : ndarray of shape (n,), dtype=int64
        May be empty.

    Returns
    -------
    float
        In nats; -inf if no path has these symbols.

    References
    ----------
    Graves et al., "Connectionist temporal classification: labelling unsegmented
    sequence data with recurrent neural networks", ICML 2006 (equation 6).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.modules import ctc_log_probability
    >>> frames = np.log([[0.6, 0.4], [0.6, 0.4]])
    >>> f"{np.exp(ctc_log_probability(frames, np.array([0]))):.2f}"
    '0.64'
    """
    classes = np.zeros(2 * len(symbols) + 1, dtype=np.int64)  # blanks all around
    classes[1::2] = np.asarray(symbols) + 1
    # A path may leave out the blank between two symbols that differ.
    may_skip = np.zeros(len(classes), dtype=bool)
    may_skip[1::2] = True
    may_skip[3::2] = classes[3::2] != classes[1:-2:2]
    barrier = np.where(may_skip, 0.0, -np.inf)
    # Two positions ahead of the first blank; all paths start from the second.
    alpha = np.full(len(classes) + 2, -np.inf)
    alpha[1] = 0.0
    for frame in np.asarray(log_probabilities, dtype=np.float64)[:, classes]:
        reached = np.logaddexp(alpha[2:], alpha[1:-1])
        alpha[2:] = np.logaddexp(reached, alpha[:-2] + barrier) + frame
        alpha[1] = -np.inf
    return float(np.logaddexp(alpha[-1], alpha[-2]))


def prefix_beam_search(
    log_probabilities, lengths, beam_width, automata=(), insertion_bonus=0.0, n_best=1
):
    """Return the most probable symbols, following several prefixes at a time.

    Frame by frame, the `beam_width` best prefixes of each clip are kept unchanged or
    continued by a symbol; the probabilities of all paths of one prefix are summed.
    Transcripts are ranked by

    ``score = log_probability + weight * automaton score + insertion_bonus * n``

    with n symbols and a term for each automaton, prefixes by the same without the
    score of ending there.

    Parameters
    ----------
    log_probabilities : ndarray of shape (N, T, 1 + n_symbols), dtype=float
        Of the classes in every frame, in nats, as for `greedy_paths`.
    lengths : ndarray of shape (N,), dtype=int64
        Frames of each clip; the rest is padding.
    beam_width : int
        Prefixes per clip that are followed at a time.
    automata : sequence of (Automaton, float), default=()
        Automata and their weights. What one forbids is never written, whatever
        its weight.
    insertion_bonus : float, default=0.0
        Added to the score for each symbol, in nats.
    n_best : int, default=1
        Transcripts returned per clip.

    Returns
    -------
    list of list of Transcript
        Of each clip, best first, all different; fewer than `n_best` where the search
        found no more. Of equal ones the shorter is ahead, then the one with the better
        beginning, then the smaller symbol. Where nothing in the beam may end, the
        best prefix is cut to where it may, in the worst case to nothing, and its
        log-probability sums over all paths.

    References
    ----------
    Graves and Jaitly, "Towards end-to-end speech recognition with recurrent
    neural networks", ICML 2014; Hannun et al., "First-pass large vocabulary
    continuous speech recognition using bi-directional recurrent DNNs",
    arXiv:1408.2873, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.modules import greedy_paths, prefix_beam_search
    >>> frames = np.log([[[0.6, 0.4], [0.6, 0.4]]])  # 0.36 for two blanks
    >>> ((best,),) = prefix_beam_search(frames, np.array([2]), beam_width=2)
    >>> best.symbols, f"{np.exp(best.log_probability):.2f}"
    (array([0]), '0.64')
    >>> greedy_paths(frames, np.array([2]))
    [array([], dtype=int64)]
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    # Longest first: the clips that still have frames are those at the front.
    order = np.argsort(-lengths, kind="stable")
    frames = np.asarray(log_probabilities, dtype=np.float64)[order]
    beams = _start(len(order), beam_width, len(automata))
    done, history = [], []
    for t in range(lengths.max(initial=0)):
        n_unfinished = np.count_nonzero(lengths > t)
        done.append(beams.select(slice(n_unfinished, None)))
        beams = beams.select(slice(n_unfinished))
        frame = frames[:n_unfinished, t]
        beams, choice = _advance(beams, frame, automata, insertion_bonus)
        history.append(choice)
    done.append(beams)
    beams = _Beams(*map(np.concatenate, zip(*reversed(done), strict=True)))
    clips = [frames[i, :n] for i, n in enumerate(lengths[order])]
    sorted_ = _transcripts(clips, beams, history, automata, insertion_bonus, n_best)
    return [sorted_[i] for i in np.argsort(order)]


def _start(n_clips, width, n_automata):
    """Return beams with the empty prefix alone; the other slots are dead."""
    shape = n_clips, width
    zero = np.zeros(shape, dtype=np.int64)
    blank = np.full(shape, -np.inf)
    hashes = np.full(shape, _DEAD)
    blank[:, 0], hashes[:, 0] = 0.0, _EMPTY
    return _Beams(
        blank=blank,
        symbol=np.full(shape, -np.inf),
        prior=np.zeros(shape),
        last=zero,
        n_symbols=zero,
        hashes=hashes,
        parents=np.full(shape, _NO_PARENT),
        states=np.zeros((*shape, n_automata), dtype=np.int64),
    )


def _advance(beams, frame, automata, insertion_bonus):
    """Process one frame (N, C); return the new beams and their parents."""
    totals = np.logaddexp(beams.blank, beams.symbol)
    again = np.take_along_axis(frame, beams.last, 1)
    stayed = beams._replace(blank=totals + frame[:, :1], symbol=beams.symbol + again)
    masses = totals[:, :, None] + frame[:, None]  # (N, B, C)
    # Directly after itself a symbol is a repeat; a new one needs a blank between.
    last = beams.last[:, :, None]
    np.put_along_axis(masses, last, (beams.blank + again)[:, :, None], 2)
    _merge(stayed, masses)
    masses[:, :, 0] = np.logaddexp(stayed.blank, stayed.symbol)
    priors = _priors(beams, masses.shape, automata, insertion_bonus)
    choice = _choose(masses + priors, beams.n_symbols)
    return _select(stayed, masses, priors, choice, automata), choice


def _merge(stayed, masses):
    """Move the mass of a continuation to the slot of an equal prefix."""
    same = stayed.parents[:, :, None] == stayed.hashes[:, None]  # (N, B, B)
    # In one dimension, nonzero is several times as fast.
    clips, slots, parents = np.unravel_index(np.flatnonzero(same), same.shape)
    continuations = clips, parents, stayed.last[clips, slots]
    own = stayed.symbol[clips, slots]
    stayed.symbol[clips, slots] = np.logaddexp(own, masses[continuations])
    masses[continuations] = -np.inf


def _priors(beams, shape, automata, insertion_bonus):
    """Return the scores of all continuations by automata and insertion bonus."""
    priors = np.empty(shape)
    priors[:] = beams.prior[:, :, None]
    priors[:, :, 1:] += insertion_bonus
    for i, (automaton, weight) in enumerate(automata):
        priors[:, :, 1:] += _weigh(automaton.scores[beams.states[:, :, i]], weight)
    return priors


def _weigh(scores, weight):
    """Multiply log scores by a weight; -inf stays -inf."""
    if weight > 0:
        return weight * scores
    forbidden = np.isneginf(scores)
    return np.where(forbidden, -np.inf, weight * np.where(forbidden, 0.0, scores))


def _choose(ranks, n_symbols):
    """Return the best continuations of each clip in order."""
    n_clips, width, n_classes = ranks.shape
    ranks = ranks.reshape(n_clips, -1)
    chosen = np.argpartition(ranks, -width, axis=1)[:, -width:]
    worst = np.take_along_axis(ranks, chosen, 1).min(1)
    n_good = np.count_nonzero(ranks >= worst[:, None], axis=1)
    # argpartition does not specify which of several equal ones it takes.
    tied = np.flatnonzero((n_good > width) & (worst > -np.inf))
    if len(tied):
        indices = np.broadcast_to(np.arange(ranks.shape[1]), ranks[tied].shape)
        lengths = n_symbols[tied].repeat(n_classes, axis=1) + (indices % n_classes > 0)
        chosen[tied] = np.lexsort((lengths, -ranks[tied]))[:, :width]
    chosen.sort(axis=1)
    best = np.take_along_axis(ranks, chosen, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    slots, classes = np.divmod(np.take_along_axis(chosen, order, 1), n_classes)
    return _Choice(slots, classes, np.take_along_axis(best, order, 1) > -np.inf)


def _select(stayed, masses, priors, choice, automata):
    """Return the beams of the chosen continuations."""
    slots, classes, alive = choice
    clips = np.arange(len(slots))[:, None]
    kept, grown = stayed.select((clips, slots)), classes > 0
    hashes = np.where(grown, _hash(kept.hashes, classes), kept.hashes)
    parents = np.where(grown, kept.hashes, kept.parents)
    states = kept.states
    for i, (automaton, _) in enumerate(automata):
        ahead = automaton.next_states[states[:, :, i], classes - 1]
        states[:, :, i] = np.where(grown, ahead, states[:, :, i])
    return _Beams(
        blank=np.where(grown, -np.inf, kept.blank),
        symbol=np.where(grown, masses[clips, slots, classes], kept.symbol),
        prior=priors[clips, slots, classes],
        last=np.where(grown, classes, kept.last),
        n_symbols=kept.n_symbols + grown,
        # Dead slots may duplicate a prefix, and must not be merged.
        hashes=np.where(alive, hashes, _DEAD),
        parents=np.where(alive, parents, _NO_PARENT),
        states=states,
    )


def _hash(hashes, classes):
    """Return the hashes of prefixes with one more symbol (a step of SplitMix64)."""
    mixed = hashes + classes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _transcripts(clips, beams, history, automata, insertion_bonus, n_best):
    """Return the transcripts of the final beams, best first."""
    totals = np.logaddexp(beams.blank, beams.symbol)
    unended = totals + beams.prior
    scores = unended.copy()
    for i, (automaton, weight) in enumerate(automata):
        scores += _weigh(automaton.ends[beams.states[:, :, i]], weight)
    complete = scores > -np.inf
    # Where no prefix may end, the best one is cut.
    ranks = np.where(complete.any(1, keepdims=True), scores, unended)
    best = np.lexsort((beams.n_symbols, -ranks))[:, :n_best]
    classes = _trace(history, best)
    result = []
    for i, clip in enumerate(clips):
        prefixes = [row[row > 0] - 1 for row in classes[i]]
        own = [
            Transcript(prefix, float(scores[i, b]), float(totals[i, b]))
            for prefix, b in zip(prefixes, best[i], strict=True)
            if complete[i, b]
        ]
        alive = unended[i, best[i, 0]] > -np.inf
        prefix = prefixes[0] if alive else prefixes[0][:0]
        result.append(own or [_cut(clip, prefix, automata, insertion_bonus)])
    return result


def _trace(history, slots):
    """Return the classes (N, n_best, T) that led to slots (N, n_best)."""
    slots = slots.copy()
    clips = np.arange(len(slots))[:, None]
    written = np.zeros((*slots.shape, len(history)), dtype=np.int64)
    for t, choice in reversed(list(enumerate(history))):
        n_unfinished = len(choice.slots)
        here = clips[:n_unfinished], slots[:n_unfinished]
        written[:n_unfinished, :, t] = choice.classes[here]
        slots[:n_unfinished] = choice.slots[here]
    return written


def _cut(clip, symbols, automata, insertion_bonus):
    """Shorten symbols to the longest prefix that may end."""
    scores = insertion_bonus * np.arange(len(symbols) + 1)
    for automaton, weight in automata:
        written, ends = automaton.follow(symbols)
        scores[1:] += _weigh(written, weight).cumsum()
        scores += _weigh(ends, weight)
    n = np.flatnonzero(scores > -np.inf).max(initial=0)
    log_probability = ctc_log_probability(clip, symbols[:n])
    return Transcript(symbols[:n], float(scores[n] + log_probability), log_probability)
