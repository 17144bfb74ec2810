"""Beam search: the most probable sequences that a decoder can write."""

from typing import NamedTuple

import numpy as np
import torch

from sklearn_rnn.modules._seq2seq import select_state


class Hypothesis(NamedTuple):
    """A sequence that a decoder wrote.

    Attributes
    ----------
    symbols : ndarray of shape (n_symbols,), dtype=int64
        What was written, without the end symbol.
    score : float
        By which hypotheses are ranked: the log-probability after the length
        penalty.
    log_probability : float
        Of the symbols, and of the end where it was written, in nats.
    attention : ndarray of shape (n_symbols, n_steps)
        Where the decoder looked, among the steps of what it had read, when it
        wrote each symbol.
    """

    symbols: np.ndarray
    score: float
    log_probability: float
    attention: np.ndarray


class _Expansion(NamedTuple):
    """What one step of the search looked at, for its S sequences."""

    sequences: torch.Tensor  # (S,), which of the N they are
    parents: torch.Tensor  # (S, n_slots), the slot of each in the step before
    symbols: torch.Tensor  # (S, n_slots), first those that stay in the beam
    weights: torch.Tensor  # (S, n_parents, T_in)


class _Finished(NamedTuple):
    """The best hypotheses that have ended, best first: all (S, n_best)."""

    scores: torch.Tensor  # -inf where there is none yet
    log_probabilities: torch.Tensor
    lengths: torch.Tensor  # steps, the end symbol's among them; 0 for none
    slots: torch.Tensor  # of the last symbol, in the step that wrote it

    def select(self, rows):
        return _Finished(*(part[rows] for part in self))

    def merge(self, log_probabilities, length, penalty):
        """Add the slots of one step; -inf marks those that have not ended."""
        slots = torch.arange(log_probabilities.shape[1], device=self.slots.device)
        slots = slots.expand_as(log_probabilities)
        lengths = torch.full_like(slots, length)
        new = (log_probabilities / penalty, log_probabilities, lengths, slots)
        both = _Finished(*(torch.cat(pair, 1) for pair in zip(self, new, strict=True)))
        # Stable: of equals, the one that ended first stays ahead, and none ahead of
        # what has not ended.
        order = both.scores.argsort(dim=1, descending=True, stable=True)
        order = order[:, : self.scores.shape[1]]
        return _Finished(*(part.gather(1, order) for part in both))


class _Search:
    """The beams of all sequences that are not done, and what became of the rest."""

    def __init__(self, end, forbidden, width, length_penalty, n_best, max_steps):
        device = max_steps.device
        self.end, self.width, self.length_penalty = end, width, length_penalty
        self.forbidden = torch.tensor(forbidden, dtype=torch.long, device=device)
        self.max_steps = max_steps
        self.sequences = torch.arange(len(max_steps), device=device)
        # Log-probabilities of the hypotheses; before the first symbol, of one.
        self.beam = torch.zeros(len(max_steps), 1, device=device)
        nothing = torch.full((len(max_steps), n_best), -torch.inf, device=device)
        zero = torch.zeros_like(nothing, dtype=torch.long)
        self.finished = _Finished(nothing, nothing, zero, zero)
        self.expansions = []
        self.done = []

    def advance(self, log_probabilities, weights):
        """Write one symbol more; return the rows that go on, and their symbols."""
        n_sequences, n_parents = self.beam.shape
        weights = weights.unflatten(0, self.beam.shape)
        parents, symbols, totals, ranks = self._continue(log_probabilities)
        self.expansions.append(_Expansion(self.sequences, parents, symbols, weights))
        self._finish(symbols, totals, ranks)
        totals = totals.masked_fill(symbols == self.end, -torch.inf)
        self.beam = totals[:, : self.width]
        going_on = self._leave()
        first_rows = n_parents * torch.arange(n_sequences, device=parents.device)
        rows = (first_rows[:, None] + parents[:, : self.width])[going_on]
        return rows.flatten(), symbols[going_on, : self.width].flatten()

    def _continue(self, log_probabilities):
        """Find the best continuations, those that have not ended first."""
        n_symbols = log_probabilities.shape[1]
        new = log_probabilities.index_fill(1, self.forbidden, -torch.inf)
        new = new.unflatten(0, self.beam.shape)
        # Ranked as differences from the best: a beam of one adds exactly zero, and
        # no long history drowns the digits that tell two symbols apart.
        lags = self.beam - self.beam.amax(1, keepdim=True)
        # Each hypothesis ends in one way: among twice the width, enough go on.
        n_slots = min(2 * self.width, new[0].numel())
        chosen = _largest((lags[:, :, None] + new).flatten(1), n_slots)
        ranks = (chosen % n_symbols == self.end).long().argsort(dim=1, stable=True)
        chosen = chosen.gather(1, ranks)
        parents, symbols = chosen // n_symbols, chosen % n_symbols
        totals = self.beam.gather(1, parents) + new.flatten(1).gather(1, chosen)
        return parents, symbols, totals, ranks

    def _finish(self, symbols, totals, ranks):
        n = len(self.expansions)
        ended = (symbols == self.end) | (self.max_steps <= n)[:, None]
        totals = totals.masked_fill(~ended | (ranks >= self.width), -torch.inf)
        penalty = ((5 + n) / 6) ** self.length_penalty
        self.finished = self.finished.merge(totals, n, penalty)

    def _leave(self):
        """Let sequences go that are done; return which ones go on."""
        done = (self.max_steps <= len(self.expansions)) | self._is_decided()
        going_on = ~done
        self.done.append((self.sequences[done], self.finished.select(done)))
        self.sequences = self.sequences[going_on]
        self.max_steps = self.max_steps[going_on]
        self.beam = self.beam[going_on]
        self.finished = self.finished.select(going_on)
        return going_on

    def _is_decided(self):
        """Tell whether nothing in the beam can still come in among the best."""
        if self.width == 1:
            return self.finished.scores[:, 0] > -torch.inf
        # A log-probability only falls, so that the best score still possible is
        # that of today's over the largest penalty ahead: the last if penalties
        # grow with length, the next if they shrink.
        ahead = torch.full_like(self.max_steps, len(self.expansions) + 1)
        ahead = torch.stack([ahead, self.max_steps]).to(self.beam.dtype)
        penalties = ((5 + ahead) / 6) ** self.length_penalty
        return self.finished.scores[:, -1] >= self.beam.amax(1) / penalties.amax(0)


def _largest(values, k):
    """Find each row's largest values in order; of equals, the first ones."""
    largest, places = values.topk(k, dim=1)
    # topk leaves open which of several equal values it takes, and in what order.
    if ((values >= largest[:, -1:]).sum(1) > k).any():
        return values.argsort(dim=1, descending=True, stable=True)[:, :k]
    places = places.sort(dim=1).values
    order = values.gather(1, places).argsort(dim=1, descending=True, stable=True)
    return places.gather(1, order)


@torch.inference_mode()
def beam_search(
    step,
    memory,
    state,
    *,
    begin,
    end,
    forbidden,
    beam_width,
    max_steps,
    length_penalty,
    n_best,
):
    """Write the most probable sequences, several hypotheses at a time.

    At every step each of the `beam_width` best hypotheses of a sequence that
    have not ended is continued with every symbol. Continuations with the end
    symbol that are among the `beam_width` best of all are finished; the others
    stay in the beam, as many as it holds. Finished ones are ranked by

    ``score = log_probability / ((5 + length) / 6) ** length_penalty``

    where the length counts the end symbol. A sequence is done when none that
    has not ended can still be among its `n_best`, however it went on. A beam of
    one is greedy: the most probable symbol each time, until that is the end.

    Parameters
    ----------
    step : callable
        From ``(tokens, memory, state)`` of N sequences to log-probabilities
        (N, n_symbols), the next state and attention weights (N, T_in), as
        ``Seq2SeqNetwork.step``; in evaluation mode.
    memory : Memory
        Of the N sequences; all that is asked of it is ``select`` and ``lengths``.
    state : tuple
        Before the first symbol, one item a layer.
    begin, end : int
        The symbols that every sequence begins and ends with.
    forbidden : list of int
        Symbols that are never written. The others' probabilities stay as they
        are.
    beam_width : int
        Hypotheses of a sequence that are followed at a time.
    max_steps : LongTensor of shape (N,)
        Most steps of each sequence, at least 1, the end symbol's among them. A
        hypothesis that has not ended by then counts as it is.
    length_penalty : float
        0 ranks by probability alone, which favours short sequences; more favours
        longer ones, less than 0 still shorter ones.
    n_best : int
        Hypotheses wanted of each sequence, at most `beam_width`.

    Returns
    -------
    list of list of Hypothesis
        Of each sequence, best first, all different; fewer than `n_best` only
        where no more can be written. Of equal ones, that which ended first is
        ahead, then that with the better beginning, then the smaller symbol.

    References
    ----------
    Wu et al., "Google's neural machine translation system: bridging the gap
    between human and machine translation", arXiv:1609.08144, 2016 (length
    penalty).

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import Memory, beam_search
    >>> def step(tokens, memory, state):  # 0 begins, 1 ends; 2 is likely once
    ...     table = torch.tensor([[0.0, 0.4, 0.6], [0, 0, 0], [0.0, 0.9, 0.1]])
    ...     return table.log()[tokens], state, torch.ones(len(tokens), 1)
    >>> memory = Memory(torch.ones(1, 1, 1), torch.ones(1, 1, 1), torch.ones(1, 1))
    >>> (best, second), = beam_search(
    ...     step, memory, (), begin=0, end=1, forbidden=[0], beam_width=2,
    ...     max_steps=torch.tensor([4]), length_penalty=0.0, n_best=2,
    ... )
    >>> best.symbols, round(best.log_probability, 3)
    (array([2]), -0.616)
    >>> second.symbols, round(second.log_probability, 3)
    (array([], dtype=int64), -0.916)
    """
    memory_lengths = None if memory.lengths is None else memory.lengths.tolist()
    search = _Search(end, forbidden, beam_width, length_penalty, n_best, max_steps)
    tokens = torch.full_like(max_steps, begin)
    while True:
        log_probabilities, state, weights = step(tokens, memory, state)
        shape = search.beam.shape
        rows, tokens = search.advance(log_probabilities, weights)
        if len(rows) == 0:
            return _hypotheses(search, memory_lengths)
        state = select_state(state, rows)
        # All hypotheses of a sequence have the same memory.
        if search.beam.shape != shape:
            memory = memory.select(rows)


def _hypotheses(search, memory_lengths):
    """Follow the finished hypotheses back to their beginnings."""
    sequences = torch.cat([sequences for sequences, _ in search.done])
    parts = zip(*(finished for _, finished in search.done), strict=True)
    finished = _Finished(*map(torch.cat, parts)).select(sequences.argsort())
    symbols, attention = (
        part.cpu().numpy()
        for part in _trace(search.expansions, finished.slots, finished.lengths)
    )
    scores, log_probabilities = (part.tolist() for part in finished[:2])
    result = []
    for i, own_lengths in enumerate(finished.lengths.tolist()):
        n_steps = None if memory_lengths is None else memory_lengths[i]
        result.append([])
        for j, n in enumerate(n for n in own_lengths if n > 0):
            n_symbols = n - (symbols[i, j, n - 1] == search.end)
            result[i].append(
                Hypothesis(
                    symbols[i, j, :n_symbols].copy(),
                    scores[i][j],
                    log_probabilities[i][j],
                    attention[i, j, :n_symbols, :n_steps].copy(),
                )
            )
    return result


def _trace(expansions, slots, lengths):
    """Collect symbols (N, n_best, T) and weights (N, n_best, T, T_in), last first."""
    slots, place = slots.clone(), torch.zeros_like(slots[:, 0])
    shape = (*slots.shape, len(expansions))
    symbols = slots.new_zeros(shape)
    n_steps = expansions[0].weights.shape[2]
    attention = expansions[0].weights.new_zeros(*shape, n_steps)
    for t in reversed(range(len(expansions))):
        sequences, parents, written, weights = expansions[t]
        place[sequences] = torch.arange(len(sequences), device=place.device)
        i, j = (lengths > t).nonzero(as_tuple=True)
        rows, slot = place[i], slots[i, j]
        symbols[i, j, t] = written[rows, slot]
        slots[i, j] = parents[rows, slot]
        attention[i, j, t] = weights[rows, slots[i, j]]
    return symbols, attention
