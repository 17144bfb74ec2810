"""The recurrent core: layers, directions, and unequal lengths."""

from functools import partial

import torch
from torch import nn

from sklearn_rnn.kernels import CELLS, recurrence
from sklearn_rnn.modules._dropout import LockedDropout, WeightDrop


class RecurrentCore(nn.Module):
    """Stacked recurrent layers for sequences of unequal length.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The recurrent cell.
    input_size : int
        Features per step.
    hidden_size : int
        Units per layer and direction.
    n_layers : int, default=1
        Stacked layers.
    bidirectional : bool, default=False
        Whether each layer also reads the sequence backwards, from its own last step;
        the states of both directions are concatenated.
    dropout : float, default=0.0
        Fraction of the hidden states dropped between layers in training, the same units
        at every step of a sequence.
    residual : bool, default=False
        Whether each layer from the second on adds its input to its output.
    layer_norm : bool, default=False
        Whether the states of each layer are normalised.
    weight_drop : float, default=0.0
        Fraction of the recurrent weights set to zero in training.

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
    """

    def __init__(
        self,
        cell,
        input_size,
        hidden_size,
        n_layers=1,
        *,
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
        ways = ("", "_reverse") if bidirectional else ("",)
        names = [f"l{i}{way}" for i in range(n_layers) for way in ways]
        self.weight_drop = nn.ModuleDict({n: WeightDrop(weight_drop) for n in names})

    def forward(self, x, lengths=None):
        """Return the states (T, N, output_size) of the last layer, as `run` does."""
        return self.run(x, lengths)[0]

    def run(self, x, lengths=None, state=None, new_masks=True):
        """Return the hidden states after every step, and the state to continue from.

        Parameters
        ----------
        x : Tensor of shape (T, N, F)
            Inputs, time first.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.
        state : tuple, default=None
            Returned by the previous call, to continue the same sequences; not for a
            bidirectional core. None starts from zero.
        new_masks : bool, default=True
            Whether dropout draws new masks; False continues with the last ones.

        Returns
        -------
        states : Tensor of shape (T, N, output_size)
            Forward states, then (if bidirectional) backward states; meaningless after a
            sequence's end.
        state : tuple
            One item per layer: its state after step T.
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

    def _weights(self, name, new_masks):
        w_ih, w_hh, b_ih, b_hh = (
            getattr(self.rnn, f"{kind}_{name}")
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return [w_ih, self.weight_drop[name](w_hh, new_masks), b_ih, b_hh]
