"""The layers of networks: dropout, recurrent layers, pooling; their first weights."""

from functools import partial

import torch
from torch import nn

from sklearn_rnn.kernels import CELLS, CounterGenerator, recurrence
from sklearn_rnn.modules._linear import Linear

# Dropout: the same mask at every step, from a generator of its own.


class HeldDropout(nn.Module):
    """Base of all dropouts: a mask that is drawn once and then reused.

    ``torch.nn.Dropout`` draws from torch's global generator, which threads share and
    the caller may be using; this one draws from `generator`.

    Parameters
    ----------
    p : float
        Fraction of values set to zero, in [0, 1).

    Attributes
    ----------
    generator : CounterGenerator, torch.Generator or None
        Source of the masks; None is torch's global one.
    site : int
        Position of this module among the dropouts of its network, which selects the
        stream of a `CounterGenerator`. `WholeNetwork.seed_dropout` sets it.
    """

    def __init__(self, p):
        super().__init__()
        self.p = p
        self.generator: CounterGenerator | torch.Generator | None = None
        self.site = 0
        self._mask: torch.Tensor | None = None

    def _drop(self, x, shape, new_mask, per_sequence=True):
        """Return `x` with some of it set to zero."""
        if new_mask or self._mask is None:
            self._mask = self._draw_kept(shape, x, per_sequence)
        return x * self._mask

    def _draw_kept(self, shape, x, per_sequence):
        """Return a mask that is 1 where values are kept, of the type of `x`."""
        if isinstance(self.generator, CounterGenerator):
            dropped = self.draw_dropped(shape, x.device, per_sequence=per_sequence)
            return dropped.logical_not_().to(x.dtype)
        mask = torch.empty(shape, dtype=x.dtype, device=x.device)
        return mask.bernoulli_(1 - self.p, generator=self.generator)

    def draw_dropped(self, shape, device, p=None, per_sequence=False):
        """Return a boolean mask that is True where values are dropped.

        The probability is `p`, a number or a tensor of the shape, or the module's own.
        `per_sequence` is that of `CounterGenerator.draw_mask`.
        """
        p = self.p if p is None else p
        if isinstance(self.generator, CounterGenerator):
            p = p.numpy() if isinstance(p, torch.Tensor) else p
            dropped = self.generator.draw_mask(tuple(shape), self.site, p, per_sequence)
            return torch.from_numpy(dropped).to(device)
        mask = torch.empty(shape, device=device)
        return mask.bernoulli_(p, generator=self.generator).bool()


class LockedDropout(HeldDropout):
    """Drop units of each sequence, the same ones at every step (variational dropout).

    A unit is dropped for the whole sequence, so that the network cannot recover it
    from the previous step. With ``new_mask=False`` the last mask is used again, for
    more steps of the same sequences.

    References
    ----------
    Gal and Ghahramani, "A theoretically grounded application of dropout in
    recurrent neural networks", NeurIPS 2016.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import LockedDropout
    >>> dropout = LockedDropout(0.5)
    >>> dropout.generator = torch.Generator().manual_seed(2)
    >>> dropout(torch.ones(3, 1, 2)).squeeze()
    tensor([[0., 2.],
            [0., 2.],
            [0., 2.]])
    """

    def forward(self, x, new_mask=True):
        """Drop units of `x` (T, N, F) or (N, F) in training; scale up the others."""
        if not self.training or self.p == 0.0:
            return x
        return self._drop(x, x.shape[-2:], new_mask) / (1 - self.p)


class InputDropout(HeldDropout):
    """Drop input features of each sequence, the same ones at every step.

    A dropped feature has its mean, which is zero; the others keep their values, without
    the usual factor ``1 / (1 - p)``. An input is a quantity and not one of many
    interchangeable units: a network that was trained on enlarged inputs would misread
    those that it predicts from. A single feature is never dropped.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import InputDropout
    >>> dropout = InputDropout(0.5)
    >>> dropout.generator = torch.Generator().manual_seed(2)
    >>> dropout(torch.ones(3, 1, 2)).squeeze()
    tensor([[0., 1.],
            [0., 1.],
            [0., 1.]])
    """

    def forward(self, x, new_mask=True):
        """Drop features of `x` (T, N, F), each with mean 0, in training."""
        if not self.training or self.p == 0.0 or x.shape[-1] == 1:
            return x
        return self._drop(x, x.shape[-2:], new_mask)


class WeightDrop(HeldDropout):
    """Set entries of a weight matrix to zero in training, the same at every step.

    It regularizes the recurrent weights and leaves the states themselves whole.

    References
    ----------
    Merity, Keskar and Socher, "Regularizing and optimizing LSTM language
    models", ICLR 2018.
    """

    def forward(self, weight, new_mask=True):
        """Drop entries of `weight` in training, and scale up the others."""
        if not self.training or self.p == 0.0:
            return weight
        dropped = self._drop(weight, weight.shape, new_mask, per_sequence=False)
        return dropped / (1 - self.p)


# Recurrent layers, directions, and unequal lengths.


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


# Pooling: the hidden states of all steps become one vector per sequence.
#
# Sizes are taken from ``shape``, never by ``len``: a network that is traced or exported
# would keep that as a constant, and be wrong for batches of another size.


def valid_steps(n_timesteps, lengths):
    """Return a mask (n_timesteps, N, 1) that is False at padding."""
    steps = torch.arange(n_timesteps, device=lengths.device)[:, None]
    return (steps < lengths).unsqueeze(-1)


class Pooling(nn.Module):
    """Base of poolings, which can also process a sequence in chunks.

    `summarize` reduces each chunk to a summary, `join` merges those of two consecutive
    chunks, and `finish` turns the summary of the whole into the vector. A summary is a
    tuple of tensors (N, ...); that of no steps is neutral in `join`.
    """

    def forward(self, states, lengths=None):
        """Return one vector (N, state_size) per sequence.

        Parameters
        ----------
        states : Tensor of shape (T, N, state_size)
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
        """Return one vector (N, state_size) per sequence, of the whole's summary."""
        return summary[0]


class LastPooling(Pooling):
    """The state of each direction when it has read the whole sequence.

    Parameters
    ----------
    n_forward : int
        Units of the forward direction; states may have as many of a backward one.
    """

    def __init__(self, n_forward):
        super().__init__()
        self.n_forward = n_forward

    def forward(self, states, lengths=None):
        last = super().forward(states, lengths)
        if self.n_forward == states.shape[2]:
            return last
        # A backward direction has read everything at the first step.
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

    Parameters
    ----------
    state_size : int
        Size of the states, both directions together.
    """

    def __init__(self, state_size):
        super().__init__()
        self.hidden = Linear(state_size, state_size)
        self.score = Linear(state_size, 1, bias=False)

    def scores(self, states):
        """Return one score (..., 1) per state (..., state_size), before the softmax."""
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


# First weights.


@torch.no_grad()
def initialize(network, generator):
    """Initialize the weights of a whole network in place, from a CPU generator alone.

    Recurrent weights are orthogonal and input weights Glorot-uniform, gate by
    gate; biases are zero, but an LSTM's forget gate starts at 1; layer
    normalisation starts as plain normalisation; other layers are Glorot-uniform
    and embeddings normal with standard deviation 0.1.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014 (orthogonal). Glorot
    and Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS 2010. Jozefowicz, Zaremba and Sutskever, "An
    empirical exploration of recurrent network architectures", ICML 2015
    (forget bias).
    """
    for module in network.modules():
        if isinstance(module, RecurrentCore):
            n_units = module.rnn.hidden_size
            for name, parameter in module.rnn.named_parameters():
                if "bias" in name:
                    parameter.zero_()
                    # torch adds two biases per gate: one of them gets the whole 1.
                    if module.cell == "lstm" and "bias_ih" in name:
                        parameter[n_units : 2 * n_units] = 1.0
                    continue
                is_recurrent = "weight_hh" in name
                draw = nn.init.orthogonal_ if is_recurrent else nn.init.xavier_uniform_
                for gate in parameter.split(n_units):
                    draw(gate, generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif hasattr(module, "initialize"):  # embeddings, and heads that share one
            module.initialize(generator)
