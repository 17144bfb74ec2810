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
        Without the end symbol.
    score : float
        Log-probability after the length penalty; hypotheses are ranked by it.
    log_probability : float
        Of the symbols, and of the end where it was written, in nats.
    attention : ndarray of shape (n_symbols, n_steps)
        Weights of the memory's steps when each symbol was written.
    """

    symbols: np.ndarray
    score: float
    log_probability: float
    attention: np.ndarray


class _Expansion(NamedTuple):
    """One step of the search, for its S sequences."""

    sequences: torch.Tensor  # (S,), their indices among the N
    parents: torch.Tensor  # (S, n_slots), slots of the previous step
    symbols: torch.Tensor  # (S, n_slots), first those of the next beam
    weights: torch.Tensor  # (S, n_parents, T_in)


class _Finished(NamedTuple):
    """The best hypotheses that have ended, best first: all (S, n_best)."""

    scores: torch.Tensor  # -inf where there is none yet
    log_probabilities: torch.Tensor
    lengths: torch.Tensor  # steps, including the end symbol's; 0 for none
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
        # Stable: of equal ones, the one that ended first stays ahead.
        order = both.scores.argsort(dim=1, descending=True, stable=True)
        order = order[:, : self.scores.shape[1]]
        return _Finished(*(part.gather(1, order) for part in both))


class _Search:
    """Beams of all unfinished sequences, and the results of the others."""

    def __init__(self, end, forbidden, width, length_penalty, n_best, max_steps):
        device = max_steps.device
        self.end, self.width, self.length_penalty = end, width, length_penalty
        self.forbidden = torch.tensor(forbidden, dtype=torch.long, device=device)
        self.max_steps = max_steps
        self.sequences = torch.arange(len(max_steps), device=device)
        # Log-probabilities (S, n_parents); before the first symbol, n_parents is 1.
        self.beam = torch.zeros(len(max_steps), 1, device=device)
        nothing = torch.full((len(max_steps), n_best), -torch.inf, device=device)
        zero = torch.zeros_like(nothing, dtype=torch.long)
        self.finished = _Finished(nothing, nothing, zero, zero)
        self.expansions = []
        self.done = []

    def advance(self, log_probabilities, weights):
        """Write one more symbol; return the rows that continue, and their symbols."""
        n_sequences, n_parents = self.beam.shape
        weights = weights.unflatten(0, self.beam.shape)
        parents, symbols, totals, ranks = self._continue(log_probabilities)
        self.expansions.append(_Expansion(self.sequences, parents, symbols, weights))
        self._finish(symbols, totals, ranks)
        totals = totals.masked_fill(symbols == self.end, -torch.inf)
        self.beam = totals[:, : self.width]
        unfinished = self._drop_finished()
        first_rows = n_parents * torch.arange(n_sequences, device=parents.device)
        rows = (first_rows[:, None] + parents[:, : self.width])[unfinished]
        return rows.flatten(), symbols[unfinished, : self.width].flatten()

    def _continue(self, log_probabilities):
        """Return the best continuations, those that have not ended first."""
        n_symbols = log_probabilities.shape[1]
        new = log_probabilities.index_fill(1, self.forbidden, -torch.inf)
        new = new.unflatten(0, self.beam.shape)
        # Ranked by differences from the best: a beam of one adds exactly zero, and the
        # sums of long histories do not cost the digits in which two symbols differ.
        lags = self.beam - self.beam.amax(1, keepdim=True)
        # Each hypothesis ends in one way: of twice the width, enough continue.
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

    def _drop_finished(self):
        """Drop finished sequences; return which ones continue."""
        done = (self.max_steps <= len(self.expansions)) | self._is_decided()
        unfinished = ~done
        self.done.append((self.sequences[done], self.finished.select(done)))
        self.sequences = self.sequences[unfinished]
        self.max_steps = self.max_steps[unfinished]
        self.beam = self.beam[unfinished]
        self.finished = self.finished.select(unfinished)
        return unfinished

    def _is_decided(self):
        """Return whether the n best hypotheses of each sequence are final."""
        if self.width == 1:
            return self.finished.scores[:, 0] > -torch.inf
        # A log-probability only falls, so that the best score still possible is
        # the current one over the largest penalty to come: the last penalty if
        # penalties grow with length, the next one if they shrink.
        ahead = torch.full_like(self.max_steps, len(self.expansions) + 1)
        ahead = torch.stack([ahead, self.max_steps]).to(self.beam.dtype)
        penalties = ((5 + ahead) / 6) ** self.length_penalty
        return self.finished.scores[:, -1] >= self.beam.amax(1) / penalties.amax(0)


def _largest(values, k):
    """Return the indices of each row's k largest values, of equal ones the first."""
    largest, indices = values.topk(k, dim=1)
    # topk does not specify which of several equal values it takes, and in what order.
    if ((values >= largest[:, -1:]).sum(1) > k).any():
        return values.argsort(dim=1, descending=True, stable=True)[:, :k]
    indices = indices.sort(dim=1).values
    order = values.gather(1, indices).argsort(dim=1, descending=True, stable=True)
    return indices.gather(1, order)


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
    """Return the most probable sequences, several hypotheses at a time.

    At every step each of the `beam_width` best unfinished hypotheses of a sequence is
    continued with every symbol. Continuations with the end symbol that are among the
    `beam_width` best of all are finished; the best others form the next beam. Finished
    ones are ranked by

    ``score = log_probability / ((5 + length) / 6) ** length_penalty``

    where the length counts the end symbol. A sequence is finished when no unfinished
    hypothesis can still become one of its `n_best`. A beam of one is greedy search.

    Parameters
    ----------
    step : callable
        From ``(tokens, memory, state)`` of N sequences to log-probabilities
        (N, n_symbols), the next state and attention weights (N, T_in), as
        ``Seq2SeqNetwork.step``; in evaluation mode.
    memory : Memory
        Of the N sequences; only ``select`` and ``lengths`` are used.
    state : tuple
        Before the first symbol, one item per layer.
    begin, end : int
        The symbols that every sequence begins and ends with.
    forbidden : list of int
        Symbols that are never written; the others' probabilities are not rescaled.
    beam_width : int
        Hypotheses per sequence that are followed at a time.
    max_steps : LongTensor of shape (N,)
        Maximum number of steps of each sequence, at least 1, including that of the end
        symbol. A hypothesis that has not ended by then counts as it is.
    length_penalty : float
        0 ranks by probability alone, which favours short sequences; larger values
        favour longer ones, negative values still shorter ones.
    n_best : int
        Hypotheses returned per sequence, at most `beam_width`.

    Returns
    -------
    list of list of Hypothesis
        Of each sequence, best first, all different; fewer than `n_best` only where no
        more can be written. Of equal ones, the one that ended first is ahead, then the
        one with the better beginning, then the smaller symbol.

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
    """Trace the finished hypotheses back to their beginnings."""
    sequences = torch.cat([sequences for sequences, _ in search.done])
    parts = zip(*(finished for _, finished in search.done), strict=True)
    finished = _Finished(*map(torch.cat, parts)).select(sequences.argsort())
    symbols, attention = (
        part.cpu().numpy()
        for part in _trace(search.expansions, finished.slots, finished.lengths)
    )
    scores, log_probabilities = (part.tolist() for part in finished[:2])
    result: list[list[Hypothesis]] = []
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
    """Return symbols (N, n_best, T) and weights (N, n_best, T, T_in)."""
    slots, row_of = slots.clone(), torch.zeros_like(slots[:, 0])
    shape = (*slots.shape, len(expansions))
    symbols = slots.new_zeros(shape)
    n_steps = expansions[0].weights.shape[2]
    attention = expansions[0].weights.new_zeros(*shape, n_steps)
    for t in reversed(range(len(expansions))):
        sequences, parents, written, weights = expansions[t]
        row_of[sequences] = torch.arange(len(sequences), device=row_of.device)
        i, j = (lengths > t).nonzero(as_tuple=True)
        rows, slot = row_of[i], slots[i, j]
        symbols[i, j, t] = written[rows, slot]
        slots[i, j] = parents[rows, slot]
        attention[i, j, t] = weights[rows, slots[i, j]]
    return symbols, attention
