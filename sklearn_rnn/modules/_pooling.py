"""Pooling: the hidden states of all steps become one vector a sequence.

Sizes are taken from ``shape``, never by ``len``: a network that is traced or exported
would keep that as a constant, and be wrong for batches of another size.
"""

import torch
from torch import nn

from sklearn_rnn.modules._linear import Linear


def valid_steps(n_timesteps, lengths):
    """Mark the steps that belong to their sequence.

    Parameters
    ----------
    n_timesteps : int
        Steps of the padded batch.
    lengths : LongTensor of shape (N,)
        Steps of each sequence.

    Returns
    -------
    BoolTensor of shape (n_timesteps, N, 1)
        False at padding.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import valid_steps
    >>> valid_steps(2, torch.tensor([1, 2]))[:, :, 0]
    tensor([[ True,  True],
            [False,  True]])
    """
    steps = torch.arange(n_timesteps, device=lengths.device)[:, None]
    return (steps < lengths).unsqueeze(-1)


class Pooling(nn.Module):
    """How states become one vector: what is kept of them, piece by piece.

    A sequence may come in pieces. Each is summed up by ``summarize``, two
    neighbours are joined by ``join``, and ``finish`` turns the summary of the
    whole into the vector. A summary is a tuple of tensors (N, ...), and that of
    no steps changes nothing when it is joined.

    Parameters
    ----------
    width : int
        Width of the states, both directions together.
    bidirectional : bool
        Whether the second half of the width is a backward direction.
    """

    def __init__(self, width, bidirectional):
        super().__init__()

    def forward(self, states, lengths=None):
        """Pool the states of each sequence's own steps to one vector.

        Parameters
        ----------
        states : Tensor of shape (T, N, width)
            Hidden states, time first.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.

        Returns
        -------
        Tensor of shape (N, width)
            One vector a sequence.
        """
        return self.finish(self.summarize(states, lengths))

    def summarize(self, states, lengths=None):
        """Sum up a piece of each sequence.

        Parameters
        ----------
        states : Tensor of shape (T, N, width)
            Hidden states, time first.
        lengths : LongTensor of shape (N,), default=None
            Steps of each piece, which may be 0; None when all have T.

        Returns
        -------
        tuple of Tensor
            The summary.
        """
        raise NotImplementedError

    def join(self, earlier, later):
        """Join the summaries of two pieces that follow one another.

        Parameters
        ----------
        earlier, later : tuple of Tensor
            Summaries.

        Returns
        -------
        tuple of Tensor
            That of both.
        """
        raise NotImplementedError

    def forgets_before(self, summary):
        """Tell whether joining an earlier piece to this one changes nothing.

        Parameters
        ----------
        summary : tuple of Tensor
            Of the later piece.

        Returns
        -------
        bool
            True only if nothing that came before can matter.
        """
        return False

    def finish(self, summary):
        """Turn the summary of whole sequences into one vector each.

        Parameters
        ----------
        summary : tuple of Tensor
            Of at least one step.

        Returns
        -------
        Tensor of shape (N, width)
            One vector a sequence.
        """
        return summary[0]


class LastPooling(Pooling):
    """Take each direction's state when it has read the whole sequence."""

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
    """Average the states of a sequence's own steps."""

    def summarize(self, states, lengths=None):
        if lengths is None:
            # Contiguous, as the product below is: sums are added up in an order that
            # depends on how their terms lie.
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
    """Take each unit's largest state over a sequence's own steps."""

    def summarize(self, states, lengths=None):
        if lengths is not None:
            valid = valid_steps(states.shape[0], lengths)
            states = states.masked_fill(~valid, -torch.inf)
        return (states.amax(0),)

    def join(self, earlier, later):
        return (torch.maximum(earlier[0], later[0]),)


class AttentionPooling(Pooling):
    """Average the states with weights that the network learns.

    The weight of step *t* is the softmax over the sequence's own steps of
    ``v · tanh(W h_t + b)``.
    """

    def __init__(self, width, bidirectional):
        super().__init__(width, bidirectional)
        self.hidden = Linear(width, width)
        self.score = Linear(width, 1, bias=False)

    def scores(self, states):
        """Compute what the softmax over a sequence's steps makes weights of.

        Parameters
        ----------
        states : Tensor of shape (..., width)
            Hidden states.

        Returns
        -------
        Tensor of shape (..., 1)
            One score a step.
        """
        return self.score(torch.tanh(self.hidden(states)))

    def summarize(self, states, lengths=None):
        scores = self.scores(states)  # (T, N, 1)
        if lengths is not None:
            valid = valid_steps(states.shape[0], lengths)
            scores = scores.masked_fill(~valid, -torch.inf)
        # The largest score is taken out, or the exponential could overflow; a piece
        # of no steps has none, and must not bring in -inf.
        largest = scores.detach().amax(0).clamp(min=torch.finfo(scores.dtype).min)
        shares = torch.exp(scores - largest)
        return (shares * states).sum(0), shares.sum(0), largest

    def join(self, earlier, later):
        largest = torch.maximum(earlier[2], later[2])
        before, after = (torch.exp(part[2] - largest) for part in (earlier, later))
        return (
            before * earlier[0] + after * later[0],
            before * earlier[1] + after * later[1],
            largest,
        )

    def finish(self, summary):
        total, shares, _ = summary
        return total / shares


POOLINGS = {
    "last": LastPooling,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
}
