"""How a fitted generator writes: prompts are read, symbols chosen, states kept."""

from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch

from sklearn_rnn.estimators._base import lock_of
from sklearn_rnn.estimators._network import overflow_error
from sklearn_rnn.estimators.closed_form import log_softmax
from sklearn_rnn.modules import Memory, beam_search
from sklearn_rnn.sequences import BEGIN, END, PADDING
from sklearn_rnn.training import computing, split_chunks

# Steps of a prompt that are read at a time.
PROMPT_CHUNK = 1024
# Options that choose among symbols, and those that a search has as well.
OF_SYMBOLS = {
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "repetition_penalty",
    "repetition_window",
}
OF_SEARCHES = {"min_steps"}


class Past(NamedTuple):
    """What N continuations have read and written so far."""

    logits: np.ndarray  # (N, n_outputs), of network and n-grams together
    state: tuple  # of the network: of each layer tensors (1, N, H)
    contexts: np.ndarray | None  # (N, order - 1), of the n-grams
    recent: np.ndarray | None  # (N, n), the last ids; None of frames

    def select(self, rows):
        """Return the past of some rows, which may repeat."""
        return Past(
            self.logits[rows],
            tuple(tuple(part[:, rows] for part in layer) for layer in self.state),
            None if self.contexts is None else self.contexts[rows],
            None if self.recent is None else self.recent[rows],
        )


class Rules(NamedTuple):
    """What a continuation must and must not have, in ids or frames."""

    never: list[int]
    forced: dict[int, np.ndarray]
    min_steps: int


class Writer:
    """Writes with what a generator has learned, whatever it learns later.

    Parameters
    ----------
    estimator : RNNGenerator
        Fitted.
    sampling : Sampling
        How symbols or frames are drawn.
    n_steps : int or None
        Most symbols, or frames, to write.
    """

    def __init__(self, estimator, sampling, n_steps):
        self.estimator, self.sampling, self.n_steps = estimator, sampling, n_steps
        self.network, self.task = estimator.module_, estimator._task
        self.corpus = self.task.corpus
        self._check_frames()
        self.rules = self._make_rules()

    def _check_frames(self):
        refused = [name for name in self.sampling.changed() if name in OF_SYMBOLS]
        if self.corpus.of_frames and refused:
            raise ValueError(
                f"frames do not go with {' and '.join(refused)}, which choose among "
                "symbols: the features of a frame are drawn each by itself. Use "
                "temperature, forbidden or forced."
            )

    def _make_rules(self):
        """Return the rules of the sampling as ids, after checking them."""
        sampling, corpus, n_steps = self.sampling, self.corpus, self.n_steps
        forbidden = corpus.encode_forbidden(sampling.forbidden)
        forced = {
            int(step): corpus.encode_forced(value)
            for step, value in (sampling.forced or {}).items()
        }
        for step, value in forced.items():
            if value.ndim == 0 and int(value) in forbidden:
                raise ValueError(
                    f"the symbol {sampling.forced[step]!r} is both forbidden and "
                    f"forced at step {step}. Leave it out of one of them."
                )
        min_steps = max([int(sampling.min_steps), *(step + 1 for step in forced)])
        if n_steps is not None and min_steps > n_steps:
            raise ValueError(
                f"n_steps={n_steps} is less than the {min_steps} steps that min_steps "
                "or forced ask for. Raise n_steps."
            )
        return Rules([*corpus.never_written, *forbidden], forced, min_steps)

    # The past

    def read(self, prompts):
        """Return the past after each prompt."""
        pasts = [self._read(prompt) for prompt in prompts]
        logits, states, contexts, recent = zip(*pasts, strict=True)
        state = tuple(
            tuple(torch.cat(parts, dim=1) for parts in zip(*layers, strict=True))
            for layers in zip(*states, strict=True)
        )
        return Past(
            np.concatenate(logits),
            state,
            None if contexts[0] is None else np.concatenate(contexts),
            None if recent[0] is None else np.concatenate(recent),
        )

    def _read(self, prompt):
        task = self.task
        state: Any = None
        ids = self.corpus.encode_prompt(prompt)
        for x, _ in split_chunks(torch.from_numpy(ids)[None], None, PROMPT_CHUNK):
            logits, state = self._run(x, state)
        contexts = None if task.ngrams is None else task.ngrams.read(ids[:, 0])
        recent = None
        if not self.corpus.of_frames:
            # Padding is never drawn, so that its penalty has no effect.
            recent = np.full((1, self.sampling.repetition_window), PADDING)
            recent = self._forget(np.hstack([recent, ids[ids != BEGIN][np.newaxis]]))
        return Past(task.mean_logits(logits, contexts), state, contexts, recent)

    def advance(self, past, drawn):
        """Return the past after a further symbol or frame of each row."""
        task, contexts, recent = self.task, past.contexts, past.recent
        x = torch.from_numpy(drawn.reshape(len(drawn), 1, -1))
        logits, state = self._run(x, past.state)
        if contexts is not None:
            contexts = task.ngrams.advance(contexts, drawn)
        if recent is not None:
            recent = self._forget(np.hstack([recent, drawn[:, np.newaxis]]))
        return Past(task.mean_logits(logits, contexts), state, contexts, recent)

    def _forget(self, recent):
        return recent[:, -self.sampling.repetition_window :]

    @torch.inference_mode()
    def _run(self, x, state):
        """Return the logits (N, n_outputs) after some more steps, and the state."""
        network = self.network
        with computing(self.estimator.n_threads, self.estimator.net_):
            states, state = network.run(x.to(network.center.device), None, state)
            logits = network.read(states[-1:])[:, 0].cpu()
        if not torch.isfinite(logits).all():
            raise overflow_error(self.estimator, "what it has read and written so far")
        return logits.numpy(), state

    # Draws

    def draw(self, past, random_state):
        """Yield what is drawn at each step, and which sequences are still going."""
        is_live = np.ones(len(past.logits), dtype=bool)
        steps = count() if self.n_steps is None else range(self.n_steps)
        for step in steps:
            drawn = self._draw_step(past, step, random_state)
            if not self.corpus.of_frames:
                is_live = is_live & (drawn != END)
            if not is_live.any():
                return
            yield drawn, is_live
            if step + 1 != self.n_steps:
                # Not around the yield: who stops reading would keep training out.
                with lock_of(self.estimator).shared():
                    past = self.advance(past, drawn)

    def _draw_step(self, past, step, random_state):
        never, forced, min_steps = self.rules
        if step in forced:
            return np.repeat(forced[step][np.newaxis], len(past.logits), axis=0)
        if self.corpus.of_frames:
            return self.sampling.draw_frames(past.logits, random_state, never)
        if step < min_steps:
            never = [*never, END]
        logits = self.sampling.penalize(past.logits, past.recent, never)
        return self.sampling.draw(logits, random_state, never)

    # Beam search

    def search(self, past, n, beam_width):
        """Return of each row the `n` likeliest continuations, as hypotheses."""
        n_rows, steps = len(past.logits), count()

        def step(ids, memory, state):
            nonlocal past
            i = next(steps)
            if i > 0:  # of the prompt all is known
                past = self.advance(_from_state(state), ids.numpy())
            scores = self._score_step(past, i)
            return scores, _to_state(past), torch.ones(len(scores), 1)

        # What it is read from is in the state: there is nothing to attend to.
        nothing = torch.ones(1, n_rows, 1)
        return beam_search(
            step,
            Memory(nothing, nothing, nothing[0]),
            _to_state(past),
            begin=BEGIN,
            end=END,
            forbidden=self.rules.never,
            beam_width=max(beam_width, n),
            max_steps=torch.full((n_rows,), self.n_steps),
            length_penalty=0.0,
            n_best=n,
        )

    def check_search(self):
        """Check that all options are those that a search has."""
        if self.corpus.of_frames:
            raise ValueError(
                "best_continuations searches among symbols; the likeliest frames are "
                "those of sample(temperature=0)."
            )
        refused = [name for name in self.sampling.changed() if name not in OF_SEARCHES]
        if refused:
            raise ValueError(
                f"best_continuations does not go with {' and '.join(refused)}: it "
                "draws nothing. Use forbidden, forced and min_steps, or sample."
            )

    def _score_step(self, past, step):
        """Return the log-probabilities of all symbols, -inf where a rule excludes."""
        scores = torch.from_numpy(log_softmax(past.logits.astype(np.float64)))
        _, forced, min_steps = self.rules
        if step in forced:
            ruled_out = torch.ones(scores.shape[1], dtype=torch.bool)
            ruled_out[int(forced[step])] = False
            scores = scores.masked_fill(ruled_out, -torch.inf)
        elif step < min_steps:
            scores[:, END] = -torch.inf
        return scores


def _to_state(past):
    """Return a past as a state of a beam search: n-grams' contexts as a layer."""
    contexts = past.contexts
    layer = () if contexts is None else (torch.from_numpy(contexts)[np.newaxis],)
    return (*past.state, layer)


def _from_state(state):
    *layers, contexts = state
    contexts = contexts[0][0].numpy() if contexts else None
    nothing: Any = None  # logits are what is to be computed
    return Past(nothing, tuple(layers), contexts, None)
