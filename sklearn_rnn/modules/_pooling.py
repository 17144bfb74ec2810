"""Pooling: the hidden states of all steps become one vector a sequence."""

import torch
from torch import nn


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
    """What the poolings share: their arguments.

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
        raise NotImplementedError


class LastPooling(Pooling):
    """Take each direction's state when it has read the whole sequence."""

    def __init__(self, width, bidirectional):
        super().__init__(width, bidirectional)
        # A backward direction has read everything at the first step.
        self.n_forward = width // 2 if bidirectional else width

    def forward(self, states, lengths=None):
        if lengths is None:
            last = states[-1]
        else:
            last = states[lengths - 1, torch.arange(len(lengths), device=states.device)]
        if self.n_forward == states.shape[2]:
            return last
        return torch.cat([last[:, : self.n_forward], states[0, :, self.n_forward :]], 1)


class MeanPooling(Pooling):
    """Average the states of a sequence's own steps."""

    def forward(self, states, lengths=None):
        if lengths is None:
            return states.mean(0)
        valid = valid_steps(len(states), lengths)
        return (states * valid).sum(0) / lengths[:, None]


class MaxPooling(Pooling):
    """Take each unit's largest state over a sequence's own steps."""

    def forward(self, states, lengths=None):
        if lengths is not None:
            valid = valid_steps(len(states), lengths)
            states = states.masked_fill(~valid, -torch.inf)
        return states.amax(0)


class AttentionPooling(Pooling):
    """Average the states with weights that the network learns.

    The weight of step *t* is the softmax over the sequence's own steps of
    ``v · tanh(W h_t + b)``.
    """

    def __init__(self, width, bidirectional):
        super().__init__(width, bidirectional)
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def weights(self, states, lengths=None):
        """Compute the attention weights of every step.

        Parameters
        ----------
        states : Tensor of shape (T, N, width)
            Hidden states, time first.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.

        Returns
        -------
        Tensor of shape (T, N, 1)
            They sum to 1 over a sequence's steps and are 0 at padding.
        """
        scores = self.score(torch.tanh(self.hidden(states)))  # (T, N, 1)
        if lengths is not None:
            scores = scores.masked_fill(~valid_steps(len(states), lengths), -torch.inf)
        return torch.softmax(scores, dim=0)

    def forward(self, states, lengths=None):
        return (self.weights(states, lengths) * states).sum(0)


POOLINGS = {
    "last": LastPooling,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
}
