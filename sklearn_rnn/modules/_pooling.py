"""Pooling: the hidden states of all steps become one vector per sequence.

Sizes are taken from ``shape``, never by ``len``: a network that is traced or exported
would keep that as a constant, and be wrong for batches of another size.
"""

import torch
from torch import nn

from sklearn_rnn.modules._linear import Linear


def valid_steps(n_timesteps, lengths):
    """Return a mask (n_timesteps, N, 1) that is False at padding."""
    steps = torch.arange(n_timesteps, device=lengths.device)[:, None]
    return (steps < lengths).unsqueeze(-1)


class Pooling(nn.Module):
    """Base of poolings, which can also process a sequence in chunks.

    `summarize` reduces each chunk to a summary, `join` merges those of two consecutive
    chunks, and `finish` turns the summary of the whole into the vector. A summary is a
    tuple of tensors (N, ...); that of no steps is neutral in `join`.

    Parameters
    ----------
    width : int
        Size of the states, both directions together.
    bidirectional : bool
        Whether the second half of the states is of a backward direction.
    """

    def __init__(self, width, bidirectional):
        super().__init__()

    def forward(self, states, lengths=None):
        """Return one vector (N, width) per sequence.

        Parameters
        ----------
        states : Tensor of shape (T, N, width)
            Hidden states, time first.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.
        """
        return self.finish(self.summarize(states, lengths))

    def summarize(self, states, lengths=None):
        """Return the summary of a chunk of each sequence.

        Parameters are those of `forward`; lengths may be 0.
        """
        raise NotImplementedError

    def join(self, earlier, later):
        """Return the summary of two consecutive chunks from their summaries."""
        raise NotImplementedError

    def forgets_before(self, summary):
        """Return whether `join` ignores all earlier chunks, given a later summary."""
        return False

    def finish(self, summary):
        """Return one vector (N, width) per sequence from the summary of the whole."""
        return summary[0]


class LastPooling(Pooling):
    """The state of each direction when it has read the whole sequence."""

    def __init__(self, width, bidirectional):
        super().__init__(width, bidirectional)
        # A backward direction has read everything at the first step.
        self.n_forward = width // 2 if bidirectional else width

    def forward(self, states, lengths=None):
        last = super().forward(states, lengths)
        if self.n_forward == states.shape[2]:
            return last
        return torch.cat([last[:, : self.n_forward], states[0, :, self.n_forward :]], 1)

    def summarize(self, states, lengths=None):
        if lengths is None:
            return states[-1], states.new_ones((), dtype=torch.bool)
        sequences = torch.arange(lengths.shape[0], device=states.device)
        last = states[(lengths - 1).clamp(min=0), sequences]
        return last, (lengths > 0).unsqueeze(1)

    def join(self, earlier, later):
        state, seen = later
        return torch.where(seen, state, earlier[0]), seen | earlier[1]

    def forgets_before(self, summary):
        return bool(summary[1].all())


class MeanPooling(Pooling):
    """The mean of the states of a sequence's own steps."""

    def summarize(self, states, lengths=None):
        if lengths is None:
            # Contiguous, as the product below is: the order of summation depends on
            # the memory layout.
            n_steps = torch.ones_like(states[:, 0, :1]).sum(0)
            return states.contiguous().sum(0), n_steps
        valid = valid_steps(states.shape[0], lengths)
        return (states * valid).sum(0), lengths[:, None].to(states.dtype)

    def join(self, earlier, later):
        return earlier[0] + later[0], earlier[1] + later[1]

    def finish(self, summary):
        total, n_steps = summary
        return total / n_steps


class MaxPooling(Pooling):
    """The maximum of each unit over a sequence's own steps."""

    def summarize(self, states, lengths=None):
        if lengths is not None:
            valid = valid_steps(states.shape[0], lengths)
            states = states.masked_fill(~valid, -torch.inf)
        return (states.amax(0),)

    def join(self, earlier, later):
        return (torch.maximum(earlier[0], later[0]),)


class AttentionPooling(Pooling):
    """A weighted mean of the states, with learned weights.

    The weight of step *t* is the softmax over the sequence's own steps of
    ``v · tanh(W h_t + b)``.
    """

    def __init__(self, width, bidirectional):
        super().__init__(width, bidirectional)
        self.hidden = Linear(width, width)
        self.score = Linear(width, 1, bias=False)

    def scores(self, states):
        """Return one score (..., 1) per state (..., width), before the softmax."""
        return self.score(torch.tanh(self.hidden(states)))

    def summarize(self, states, lengths=None):
        scores = self.scores(states)  # (T, N, 1)
        if lengths is not None:
            valid = valid_steps(states.shape[0], lengths)
            scores = scores.masked_fill(~valid, -torch.inf)
        # The largest score is subtracted, or the exponential could overflow; clamped,
        # because a chunk of no steps must not yield -inf - -inf.
        largest = scores.detach().amax(0).clamp(min=torch.finfo(scores.dtype).min)
        weights = torch.exp(scores - largest)
        return (weights * states).sum(0), weights.sum(0), largest

    def join(self, earlier, later):
        largest = torch.maximum(earlier[2], later[2])
        before, after = (torch.exp(part[2] - largest) for part in (earlier, later))
        return (
            before * earlier[0] + after * later[0],
            before * earlier[1] + after * later[1],
            largest,
        )

    def finish(self, summary):
        total, weights, _ = summary
        return total / weights


POOLINGS = {
    "last": LastPooling,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
}
