"""The recurrent core: layers, directions, and unequal lengths."""

import torch
from torch import nn

from sklearn_rnn.kernels import CELLS, recurrence
from sklearn_rnn.modules._dropout import Dropout


class RecurrentCore(nn.Module):
    """Stacked recurrent layers that are right on sequences of unequal length.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        The recurrent cell.
    input_size : int
        Features a step.
    hidden_size : int
        Units of each layer and direction.
    n_layers : int, default=1
        Layers, each reading the hidden states of the one below.
    bidirectional : bool, default=False
        Whether each layer also reads the sequence backwards, from its own
        last step; the states of both directions are joined.
    dropout : float, default=0.0
        Share of the hidden states set to zero between layers in training.
    residual : bool, default=False
        Whether each layer from the second on adds its input to its output.

    Attributes
    ----------
    rnn : torch.nn.RNN, torch.nn.LSTM or torch.nn.GRU
        Holds the weights; its ``state_dict()`` loads into torch's own class
        of the same sizes.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import RecurrentCore
    >>> core = RecurrentCore("gru", input_size=3, hidden_size=5)
    >>> core(torch.zeros(7, 2, 3)).shape
    torch.Size([7, 2, 5])
    """

    def __init__(
        self,
        cell,
        input_size,
        hidden_size,
        n_layers=1,
        bidirectional=False,
        dropout=0.0,
        residual=False,
    ):
        super().__init__()
        self.cell = cell
        self.residual = residual
        self.n_layers = n_layers
        self.output_size = hidden_size * (1 + bidirectional)
        self.rnn = CELLS[cell](
            input_size, hidden_size, n_layers, bidirectional=bidirectional
        )
        self.dropout = Dropout(dropout)

    def forward(self, x, lengths=None):
        """Compute the hidden state of the last layer after every step.

        Parameters
        ----------
        x : Tensor of shape (T, N, F)
            Inputs, time first.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T. States after a
            sequence's end are meaningless.

        Returns
        -------
        Tensor of shape (T, N, output_size)
            Forward states, then (if bidirectional) backward states.
        """
        for layer in range(self.n_layers):
            states = recurrence(self.cell, x, self._weights(layer, ""))
            if self.rnn.bidirectional:
                # The reverse direction starts at the last valid step, not at padding.
                mirrored = reverse_steps(x, lengths)
                backward = recurrence(
                    self.cell, mirrored, self._weights(layer, "_reverse")
                )
                states = torch.cat([states, reverse_steps(backward, lengths)], dim=-1)
            if self.residual and layer > 0:
                states = states + x
            x = states if layer == self.n_layers - 1 else self.dropout(states)
        return x

    def _weights(self, layer, direction):
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self.rnn, f"{kind}_l{layer}{direction}") for kind in kinds]


def reverse_steps(x, lengths=None):
    """Reverse each sequence within its own length; padding stays behind.

    Parameters
    ----------
    x : Tensor of shape (T, N, F)
        A batch, time first.
    lengths : LongTensor of shape (N,), default=None
        Steps of each sequence; None when all have T.

    Returns
    -------
    Tensor of shape (T, N, F)
        Its own inverse on valid steps.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import reverse_steps
    >>> x = torch.arange(3.0).reshape(3, 1, 1)
    >>> reverse_steps(x, torch.tensor([2])).ravel()
    tensor([1., 0., 2.])
    """
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(len(x), device=x.device)[:, None]
    mirrored = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(0, mirrored[:, :, None].expand(-1, -1, x.shape[2]))
