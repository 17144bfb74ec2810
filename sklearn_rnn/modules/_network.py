"""Networks: what all have in common, and the network of one-sequence tasks.

And how they are built from their specs: memory, and initial values.
"""

from dataclasses import dataclass
from functools import wraps
from typing import ClassVar

import torch
from torch import nn

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.kernels import (
    COMPILED_CELLS,
    POOLING_CODES,
    CounterGenerator,
    choose_kernel,
)
from sklearn_rnn.modules._adaptive import AdaptiveSoftmax
from sklearn_rnn.modules._categories import CategoryEmbedding
from sklearn_rnn.modules._embedding import TiedHead, TokenEmbedding
from sklearn_rnn.modules._layers import (
    POOLINGS,
    AttentionPooling,
    HeldDropout,
    InputDropout,
    LastPooling,
    LockedDropout,
    Pooling,
    RecurrentCore,
    initialize,
)
from sklearn_rnn.modules._linear import Linear


def in_mixed_precision(method):
    """Let a method of a `WholeNetwork` train in bfloat16 where the network is `mixed`.

    A tensor that it returns is cast back to float32.
    """

    @wraps(method)
    def compute(network, *args, **kwargs):
        if not (network.mixed and network.training):
            return method(network, *args, **kwargs)
        device = network.center.device.type
        # No cache: it would keep casts that were made without a gradient.
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            outputs = method(network, *args, **kwargs)
        if isinstance(outputs, torch.Tensor):
            return outputs.to(network.head.bias.dtype)
        return outputs

    return compute


class WholeNetwork(nn.Module):
    """Base of the networks that an estimator trains.

    Attributes
    ----------
    spec : NetworkSpec or Seq2SeqSpec
        Architecture.
    center, factor : Tensor of shape (n_features,)
        Numeric inputs enter as ``(x - center) * factor``.
    mixed : bool
        Whether the network computes in bfloat16 while it trains, where that is
        precise enough; its weights and outputs keep their type. Set from outside.
    dropout_generator : CounterGenerator, torch.Generator or None
        Source of every dropout mask; None is torch's global one.
    is_fusible : bool
        Whether it was built of parts that the compiled kernels compute as a whole.
    """

    is_fusible = False
    center: torch.Tensor
    factor: torch.Tensor

    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        self.mixed = False
        self.dropout_generator = None
        self.register_buffer("center", torch.zeros(spec.n_features, dtype=torch.double))
        self.register_buffer("factor", torch.ones(spec.n_features, dtype=torch.double))

    def forward_for_loss(self, **inputs):
        """Return what a loss reads of a batch: its outputs, computed by no head."""
        return self(**inputs), None

    def set_input_scaling(self, center, factor):
        """Let inputs enter as ``(x - center) * factor``, of shape (n_features,)."""
        self.center.copy_(torch.as_tensor(center))
        self.factor.copy_(torch.as_tensor(factor))

    def use_kernel(self, kernel, device="cpu", bptt_steps=None):
        """Let a kernel compute the recurrence of every layer; return its name.

        "auto" is what `choose_kernel` finds for this network on a device, trained on
        chunks of `bptt_steps`, or on whole sequences with None.
        """
        dtype = str(next(self.parameters()).dtype).removeprefix("torch.")
        kernel = choose_kernel(
            kernel,
            self.spec.cell,
            self.spec.hidden_size,
            "mixed" if self.mixed else dtype,
            device,
            fused=self.is_fusible and bptt_steps is None,
        )
        for module in self.modules():
            if isinstance(module, RecurrentCore):
                module.kernel = kernel
        return kernel

    def seed_dropout(self, generator):
        """Draw every dropout mask from `generator` from now on.

        Sites of a `CounterGenerator` are counted from 0 in the order of ``modules()``,
        over all `HeldDropout` modules, those with ``p = 0`` included; a
        ``torch.Generator`` is on the network's device.
        """
        self.dropout_generator = generator
        dropouts = [m for m in self.modules() if isinstance(m, HeldDropout)]
        for site, dropout in enumerate(dropouts):
            dropout.generator, dropout.site = generator, site

    def advance_dropout(self, n_updates=1):
        """Move on to the masks of a later update."""
        if isinstance(self.dropout_generator, CounterGenerator):
            self.dropout_generator.update += n_updates


class SequenceNetwork(WholeNetwork):
    """A recurrent network from a batch of sequences to outputs.

    Attributes
    ----------
    core : RecurrentCore
        The recurrent layers.
    pooling : Pooling or None
        From states to one vector per sequence; None with outputs at every step.
    head : Linear, TiedHead or AdaptiveSoftmax
        From that vector, or from the state of every step, to the outputs.
    categories : CategoryEmbedding or None
        Vectors of categorical features.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import NetworkSpec, SequenceNetwork
    >>> spec = NetworkSpec("gru", n_features=3, hidden_size=5, n_outputs=2)
    >>> network = SequenceNetwork(spec)
    >>> network(torch.zeros(4, 7, 3), lengths=torch.tensor([7, 1, 2, 7])).shape
    torch.Size([4, 2])
    """

    def __init__(self, spec):
        super().__init__(spec)
        input_size = spec.n_features
        if spec.n_tokens is not None:
            self.embedding = TokenEmbedding(
                spec.n_tokens,
                spec.embedding_dim,
                spec.token_dropout,
                spec.unknown_token,
            )
            self.embedding.weight.requires_grad_(spec.train_embeddings)
            input_size = spec.embedding_dim
        # The dimensions of an embedding are units like others; features are not.
        hide = InputDropout if spec.n_tokens is None else LockedDropout
        self.input_dropout = hide(spec.input_dropout)
        self.categories = None
        if spec.category_features:
            self.categories = CategoryEmbedding(
                spec.n_features, spec.n_categories, spec.category_features
            )
            input_size = self.categories.output_size
        self.core = RecurrentCore(
            spec.cell,
            input_size * spec.subsampling,
            spec.hidden_size,
            spec.n_layers,
            bidirectional=spec.bidirectional,
            dropout=spec.dropout,
            residual=spec.residual,
            layer_norm=spec.layer_norm,
            weight_drop=spec.weight_drop,
        )
        state_size = self.core.output_size
        self.pooling: Pooling | None = None
        if spec.pooling == "last":
            self.pooling = LastPooling(spec.hidden_size)
        elif spec.pooling == "attention":
            self.pooling = AttentionPooling(state_size)
        elif spec.pooling is not None:
            self.pooling = POOLINGS[spec.pooling]()
        self.dropout = LockedDropout(spec.dropout)
        self.head: Linear | TiedHead | AdaptiveSoftmax
        if spec.tie_embeddings:
            self.head = TiedHead(self.embedding, state_size)
        elif spec.cutoffs:
            self.head = AdaptiveSoftmax(state_size, spec.n_outputs, spec.cutoffs)
        else:
            self.head = Linear(state_size, spec.n_outputs * spec.upsampling)
        has_linear_head = type(self.head) is Linear and spec.upsampling == 1
        has_kernels = spec.cell in COMPILED_CELLS and spec.pooling in POOLING_CODES
        self.is_fusible = has_kernels and has_linear_head

    @in_mixed_precision
    def forward(self, x, lengths=None):
        """Return the outputs for a padded batch.

        Parameters
        ----------
        x : Tensor of shape (N, T, n_features)
            Steps, or integers of shape (N, T, 1) where the network embeds tokens.
            Values at padding do not matter, if they are finite.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.

        Returns
        -------
        Tensor of shape (N, n_outputs), or (N, T, n_outputs) without pooling
            Logits of a classifier, log-probabilities where the head is an adaptive
            softmax, standardised targets of a regressor. With subsampling T is
            ``ceil(T / subsampling)``, with upsampling as many times as long.
        """
        states, _ = self.run(x, lengths)
        lengths = self.n_read(lengths)
        return self._outputs(states, lengths)

    def n_read(self, lengths):
        """Return how many steps of sequences the core reads, after subsampling."""
        if lengths is None or self.spec.subsampling == 1:
            return lengths
        return n_joined(lengths, self.spec.subsampling)

    def _outputs(self, states, lengths):
        if self.pooling is None:
            return self.read(states)
        return self.head(self.dropout(self.pooling(states, lengths)))

    @in_mixed_precision
    def run(self, x, lengths=None, state=None, new_masks=True):
        """Return the last layer's states, and the state to continue from.

        States are of shape (T, N, state_size). Parameters are those of `forward` and
        of `RecurrentCore.run`.
        """
        x = self.steps(x, new_masks)
        return self.core.run(x, self.n_read(lengths), state, new_masks)

    def steps(self, x, new_masks=True):
        """Return the core's inputs (T, N, F): scaled, embedded, and joined."""
        # A dropped feature is 0: the mean of a numeric one, and the code of an unknown
        # category, whose vector so is trained.
        x = self.input_dropout(self._inputs(x, new_masks), new_masks)
        if self.categories is not None:
            x = self.categories(x)
        return join_steps(x, self.spec.subsampling)

    def _inputs(self, x, new_masks=True):
        x = x.transpose(0, 1)
        if self.spec.n_tokens is not None:
            return self.embedding(x.squeeze(-1).long(), new_masks)
        # Centred in double: a large offset would cost digits in float32.
        return ((x - self.center) * self.factor).to(self.head.weight.dtype)

    @in_mixed_precision
    def read(self, states, new_masks=True):
        """Return the outputs (N, T, n_outputs) of states (T, N, state_size)."""
        outputs = self.head(self.dropout(states, new_masks)).transpose(0, 1)
        if self.spec.upsampling == 1:
            return outputs
        # (N, T, upsampling * n_outputs) to (N, T * upsampling, n_outputs)
        return outputs.unflatten(2, (-1, self.spec.n_outputs)).flatten(1, 2)

    def forward_for_loss(self, **inputs):
        """Return what a loss reads of a batch; see `loss_inputs`."""
        if not isinstance(self.head, AdaptiveSoftmax):
            return super().forward_for_loss(**inputs)
        states, _ = self.run(**inputs)
        return self.loss_inputs(states)

    def loss_inputs(self, states, new_masks=True):
        """Return what a loss reads of states (T, N, state_size), and the head or None.

        These are the outputs (N, T, n_outputs); or, if the head computes losses without
        the outputs of all classes, what it reads, (N, T, state_size), and the head.
        """
        if not isinstance(self.head, AdaptiveSoftmax):
            return self.read(states, new_masks), None
        states = self.dropout(states, new_masks).transpose(0, 1)
        return states.to(self.head.bias.dtype), self.head

    def input_gradients(self, x, lengths=None, of_classes=False, per_output=False):
        """Return gradients with respect to the inputs of every step.

        Parameters
        ----------
        x : Tensor of shape (N, T, n_features)
            Steps, as for `forward`.
        lengths : LongTensor of shape (N,), default=None
            Steps of each sequence; None when all have T.
        of_classes : bool, default=False
            Whether outputs are logits, of which only differences mean anything.
        per_output : bool, default=False
            Whether to sum the absolute gradients of each output, in which opposite
            effects do not cancel, with one backward pass per output.

        Returns
        -------
        Tensor of shape (N, T, n_inputs)
            Gradients with respect to the core's inputs: of the sum of a sequence's
            outputs (without pooling, of its last step's), or of its largest logit less
            their mean.
        """
        inputs = self._inputs(x)
        if self.categories is not None:
            inputs = self.categories(inputs)
        inputs = inputs.detach().requires_grad_()
        states, _ = self.core.run(inputs, lengths)
        outputs = self._outputs(states, lengths)
        if self.pooling is None:
            last = states.shape[0] - 1 if lengths is None else lengths - 1
            rows = torch.arange(outputs.shape[0], device=outputs.device)
            outputs = outputs[rows, last]
        if of_classes:
            outputs = outputs.amax(dim=1, keepdim=True) - outputs.mean(1, keepdim=True)
        if not per_output:
            return torch.autograd.grad(outputs.sum(), inputs)[0].transpose(0, 1)
        sizes = sum(
            torch.autograd.grad(total, inputs, retain_graph=True)[0].abs()
            for total in outputs.sum(dim=0)
        )
        return sizes.transpose(0, 1)


@plain_type
@dataclass(frozen=True)
class NetworkSpec:
    """The architecture of a `SequenceNetwork`, as plain Python values.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}
        The recurrent cell.
    n_features : int
        Features per step.
    hidden_size : int
        Units per layer and direction.
    n_outputs : int
        Outputs of the head.
    n_layers : int, default=1
        Recurrent layers.
    bidirectional : bool, default=False
        Whether the layers read in both directions.
    dropout : float, default=0.0
        Fraction of states dropped between layers and before the head.
    input_dropout : float, default=0.0
        Fraction of the input features dropped for a whole sequence.
    weight_drop : float, default=0.0
        Fraction of the recurrent weights set to zero in training.
    residual : bool, default=False
        Whether layers from the second on add their input to their output.
    layer_norm : bool, default=False
        Whether the states of each layer are normalised.
    pooling : {"last", "mean", "max", "attention"} or None, default="last"
        How the states of all steps become one vector; None has outputs at every
        step instead.
    n_tokens : int, default=None
        Size of the vocabulary, for sequences of integers; None for numeric features.
    embedding_dim : int, default=None
        Size of a token's embedding.
    token_dropout : float, default=0.0
        How often tokens are replaced by the unknown one in training: see
        `TokenDropout`.
    tie_embeddings : bool, default=False
        Whether the head uses the weights of the token embedding (weight tying).
    unknown_token : int, default=None
        Id of the unknown token, besides ids beyond the vocabulary.
    train_embeddings : bool, default=True
        Whether training changes the embeddings.
    subsampling : int, default=1
        Neighbouring steps that the core reads as one.
    upsampling : int, default=1
        Steps of outputs per step that the core reads, of a network without pooling.
    n_categories : tuple of int, default=()
        Number of categories of each embedding of categorical features.
    category_features : tuple of (int, int), default=()
        Position of each categorical feature, in order, and the index of its embedding.
    cutoffs : tuple of int, default=()
        Where clusters of rare outputs begin, for an adaptive softmax; () for a plain
        linear head.
    """

    cell: str
    n_features: int
    hidden_size: int
    n_outputs: int
    n_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    input_dropout: float = 0.0
    weight_drop: float = 0.0
    residual: bool = False
    layer_norm: bool = False
    pooling: str | None = "last"
    n_tokens: int | None = None
    embedding_dim: int | None = None
    token_dropout: float = 0.0
    tie_embeddings: bool = False
    unknown_token: int | None = None
    train_embeddings: bool = True
    subsampling: int = 1
    upsampling: int = 1
    n_categories: tuple[int, ...] = ()
    category_features: tuple[tuple[int, int], ...] = ()
    cutoffs: tuple[int, ...] = ()

    # What `build_network` makes of it.
    network_class: ClassVar[type[WholeNetwork]] = SequenceNetwork


def n_joined(n_steps, size):
    """Return how many steps remain of `n_steps` when `size` are joined into one."""
    return (n_steps + size - 1) // size


def join_steps(x, size):
    """Join neighbouring steps of (T, N, F) to (ceil(T / size), N, size * F).

    The features are concatenated (frame stacking); the last step of the batch, which
    padding repeats, fills an incomplete group.
    """
    if size == 1:
        return x
    n_missing = -x.shape[0] % size  # not by len, which tracing takes for a constant
    x = torch.cat([x, x[-1:].expand(n_missing, -1, -1)])
    return x.unflatten(0, (-1, size)).transpose(1, 2).flatten(2)


def weight_shapes(spec):
    """Return the shape of each weight and buffer of the network of a spec, by name.

    Examples
    --------
    >>> from sklearn_rnn.modules import NetworkSpec, weight_shapes
    >>> spec = NetworkSpec("rnn", n_features=10**9, hidden_size=10**6, n_outputs=3)
    >>> weight_shapes(spec)["head.weight"]
    (3, 1000000)
    """
    with torch.device("meta"):
        network = type(spec).network_class(spec)
    return {name: tuple(weight.shape) for name, weight in network.state_dict().items()}


def build_network(spec, dtype, generator=None, scaling=None):
    """Build the network of a spec on the CPU, without any global random state.

    A generator of None leaves the weights undefined, for a network whose weights are
    loaded afterwards. `scaling` is the center and the factor of inputs, each of shape
    (n_features,) or a float; None leaves them as they are.
    """
    # torch's modules draw from the global generator when built on a real device.
    with torch.device("meta"):
        network = type(spec).network_class(spec)
    # Undefined values on the CPU. `to_empty` gives them as well, but imports torch's
    # compiler.
    weights: dict[torch.Tensor, nn.Parameter] = {}  # modules may share one
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight not in weights:
                memory = torch.empty(weight.shape, dtype=dtype, device="cpu")
                weights[weight] = nn.Parameter(memory, weight.requires_grad)
            setattr(module, name, weights[weight])
        for name, buffer in list(module.named_buffers(recurse=False)):
            memory = torch.empty(buffer.shape, dtype=buffer.dtype, device="cpu")
            setattr(module, name, memory)
    center, factor = scaling or (0.0, 1.0)
    network.center.copy_(torch.as_tensor(center))
    network.factor.copy_(torch.as_tensor(factor))
    if generator is not None:
        initialize(network, generator)
    return network
