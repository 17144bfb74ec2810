"""The recurrent core: layers, directions, and unequal lengths."""

from functools import partial

import torch
from torch import nn

from sklearn_rnn.kernels import CELLS, recurrence
from sklearn_rnn.modules._dropout import LockedDropout, WeightDrop


class RecurrentCore(nn.Module):
    """Stacked recurrent layers that are right on sequences of unequal length.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
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
        Share of the hidden states hidden between layers in training, the same
        ones at every step of a sequence.
    residual : bool, default=False
        Whether each layer from the second on adds its input to its output.
    layer_norm : bool, default=False
        Whether the states of each layer are normalised before they are read,
        by the next layer or by whoever asked.
    weight_drop : float, default=0.0
        Share of the recurrent weights set to zero in training.

    Attributes
    ----------
    kernel : {"torch", "compiled"}
        What computes the recurrence; torch unless set.
    rnn : torch.nn.RNN, torch.nn.LSTM or torch.nn.GRU
        Holds the weights; its ``state_dict()`` loads into torch's own class
        of the same sizes.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", arXiv:1607.06450, 2016.

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
        layer_norm=False,
        weight_drop=0.0,
    ):
        super().__init__()
        self.cell = cell
        self.kernel = "torch"
        self.residual = residual
        self.n_layers = n_layers
        self.output_size = hidden_size * (1 + bidirectional)
        self.rnn = CELLS[cell](
            input_size, hidden_size, n_layers, bidirectional=bidirectional
        )
        self.dropout = nn.ModuleList(LockedDropout(dropout) for _ in range(1, n_layers))
        self.norms = nn.ModuleList(
            nn.LayerNorm(self.output_size) if layer_norm else nn.Identity()
            for _ in range(n_layers)
        )
        runs = [f"l{i}{way}" for i in range(n_layers) for way in self._directions]
        self.weight_drop = nn.ModuleDict({run: WeightDrop(weight_drop) for run in runs})

    @property
    def _directions(self):
        return ("", "_reverse") if self.rnn.bidirectional else ("",)

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
        return self.run(x, lengths)[0]

    def run(self, x, lengths=None, state=None, new_masks=True):
        """Compute the hidden states, and what is needed to go on from them.

        Parameters
        ----------
        x : Tensor of shape (T, N, F)
            Inputs, time first.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.
        state : tuple, default=None
            What a former call returned, to go on where it stopped; not for a
            bidirectional core. None starts from zero.
        new_masks : bool, default=True
            Whether dropout draws anew; False for more steps of the same
            sequences.

        Returns
        -------
        states : Tensor of shape (T, N, output_size)
            As from ``forward``.
        state : tuple
            One item a layer: its state after step T.
        """
        state = state or [None] * self.n_layers
        carried = []
        for layer in range(self.n_layers):
            inputs = x if layer == 0 else self.norms[layer - 1](x)
            if layer > 0:
                inputs = self.dropout[layer - 1](inputs, new_masks)
            weights = self._weights(f"l{layer}", new_masks)
            run = partial(
                recurrence, self.cell, inputs, lengths=lengths, kernel=self.kernel
            )
            states, last = run(weights, state[layer])
            carried.append(last)
            if self.rnn.bidirectional:
                # The reverse direction starts at the last valid step, not at padding.
                weights = self._weights(f"l{layer}_reverse", new_masks)
                backward, _ = run(weights, reverse=True)
                states = torch.cat([states, backward], dim=-1)
            x = states + x if self.residual and layer > 0 else states
        return self.norms[-1](x), tuple(carried)

    def _weights(self, run, new_masks):
        w_ih, w_hh, b_ih, b_hh = (
            getattr(self.rnn, f"{kind}_{run}")
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return [w_ih, self.weight_drop[run](w_hh, new_masks), b_ih, b_hh]
