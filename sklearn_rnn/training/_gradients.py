"""Gradients of a batch: of whole sequences, or truncated after some steps."""

from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import torch

from sklearn_rnn.training._chunks import (
    chunks_from_end,
    detach_state,
    run_to_ends,
    split_chunks,
)
from sklearn_rnn.training._optimizers import is_on_cpu


class Gradient(NamedTuple):
    """The loss and the outputs for which weights have their gradients now.

    Parameters
    ----------
    loss : float or Tensor
        The mean loss; a tensor on a GPU, which is not waited for.
    n_targets : int
        Targets that the loss is the mean over.
    outputs : Tensor or None
        Of the network, detached; None if no callback needs them.
    """

    loss: float | torch.Tensor
    n_targets: int
    outputs: torch.Tensor | None


def batch_gradients(
    network,
    criterion,
    batch,
    bptt_steps,
    targets_per_update=None,
    fused=None,
    keeps_outputs=True,
    *,
    whole=None,
):
    """Yield the gradients of a batch, one per update.

    Without `bptt_steps`, and for batches that are not longer, there is one gradient,
    through all steps. Longer sequences are split into chunks; the state is carried
    from chunk to chunk, and gradients do not flow from one to the one before. Where
    every step has outputs, chunks are counted from the start, and each makes an update
    of its own. Where the sequence has one output they are counted from its end, and
    their gradients add up to one update. Either way a sequence that is not longer than
    `bptt_steps` stays whole, and backpropagation needs the memory of one chunk.

    Parameters
    ----------
    network : SequenceNetwork
        In training.
    criterion : WeightedLoss
        The loss.
    batch : tuple
        Inputs of the network; targets and weights.
    bptt_steps : int or None
        Maximum number of steps that a gradient flows back through.
    targets_per_update : float, default=None
        Average number of targets per update. A gradient is scaled by its own number
        over this, so that every target has the same weight: the last steps of the
        longest sequences make small updates of their own. None does not scale, which
        is the same where every sequence has one target.
    fused : FusedNetwork, default=None
        What computes gradients through all steps, if kernels compute the network as a
        whole.
    keeps_outputs : bool, default=True
        Whether a `Gradient` has the outputs, which take much memory, and of an adaptive
        softmax much time, where there are many classes. `fused` has its own option.
    whole : tuple, default=None
        The batch of which `batch` is one process's part, padded to the same length.
        Then there are as many gradients as of the whole batch, and those of all parts
        add up to its gradients.

    Yields
    ------
    progress : float
        Fraction of the batch that is done, in [0, 1).
    compute : callable
        Adds the gradient to the weights' and returns a `Gradient`. To be called before
        the next one is asked for.

    References
    ----------
    Williams and Peng, "An efficient gradient-based algorithm for on-line
    training of recurrent network trajectories", Neural Computation 2, 1990.
    """
    n_timesteps = batch[0]["x"].shape[1]
    model = _Model(network, criterion, fused, targets_per_update, keeps_outputs)
    is_long = bptt_steps is not None and n_timesteps > bptt_steps
    if is_long and network.pooling is None:
        yield from _chunk_gradients(model, batch, bptt_steps, whole)
        return
    if is_long:
        model = model._replace(targets_per_update=None)
    n_targets = criterion.count((whole or batch)[1][0])
    if n_targets == 0:
        return
    if whole is not None:
        model = model.with_n_targets(n_targets)
    if not criterion.count(batch[1][0]):
        yield 0.0, _no_gradient
    elif is_long:
        yield 0.0, partial(_pooled_gradient, model, batch, bptt_steps)
    else:
        yield 0.0, partial(model.gradient, *batch)


class _Model(NamedTuple):
    """A network in training, and how it is trained; see `batch_gradients`."""

    network: Any
    criterion: Any
    fused: Any
    targets_per_update: float | None
    keeps_outputs: bool

    def with_n_targets(self, n_targets):
        """Return a model for a part of a batch with this many targets in all."""
        if self.targets_per_update is not None:
            return self
        return self._replace(targets_per_update=n_targets)

    def gradient(self, inputs, targets_and_weights):
        """Add the gradient through all steps, by the kernels or by torch."""
        if self.fused is None:
            outputs, head = self.network.forward_for_loss(**inputs)
            return self.backpropagate(outputs, targets_and_weights, head)
        n_targets = self.criterion.count(targets_and_weights[0])
        loss, outputs = self.fused.gradient(
            **inputs,
            targets_and_weights=targets_and_weights,
            targets_per_update=self.targets_per_update,
        )
        return Gradient(loss, n_targets, outputs)

    def backpropagate(self, outputs, targets_and_weights, head=None):
        """Compute the loss of outputs, and let its gradient flow back.

        With a head, outputs are what it computes the loss of.
        """
        args = () if head is None else (head,)
        loss = self.criterion(outputs, targets_and_weights, *args)
        n_targets = self.criterion.count(targets_and_weights[0])
        scaled = loss
        if self.targets_per_update is not None:
            scaled = loss * (n_targets / self.targets_per_update)
        scaled.backward()
        loss = loss.item() if is_on_cpu(loss) else loss.detach().double()
        kept = None
        if self.keeps_outputs:
            with torch.no_grad():
                kept = outputs.detach() if head is None else head(outputs)
        return Gradient(loss, n_targets, kept)


def _no_gradient():
    """Return what a part of a batch without targets adds to the gradient."""
    return Gradient(0.0, 0, None)


class _Chunk:
    """Some steps of a batch, and the state before and after them."""

    def __init__(self, x, lengths, targets_and_weights, state, is_first):
        self.x = x
        self.lengths = lengths
        self.targets_and_weights = targets_and_weights
        self.state = state
        self.is_first = is_first
        self.next_state = None

    def run(self, network):
        states, state = network.run(self.x, self.lengths, self.state, self.is_first)
        self.next_state = detach_state(state)
        return network.loss_inputs(states, self.is_first)

    def skip(self, network):
        """Carry the state on where there is nothing to learn."""
        if len(self.x):
            with torch.no_grad():
                self.run(network)

    def gradient(self, model):
        if not model.criterion.count(self.targets_and_weights[0]):
            self.skip(model.network)
            return _no_gradient()
        outputs, head = self.run(model.network)
        return model.backpropagate(outputs, self.targets_and_weights, head)


def _chunk_gradients(model, batch, size, whole=None):
    inputs, (targets, weights) = batch
    of_all = targets if whole is None else whole[1][0]
    n_timesteps = targets.shape[1]
    state, begin = None, 0
    for x, lengths in split_chunks(**inputs, size=size):
        end = begin + x.shape[1]
        targets_and_weights = targets[:, begin:end], weights
        chunk = _Chunk(x, lengths, targets_and_weights, state, begin == 0)
        n_targets = model.criterion.count(of_all[:, begin:end])
        if n_targets:
            part = model if whole is None else model.with_n_targets(n_targets)
            yield begin / n_timesteps, partial(chunk.gradient, part)
        else:
            chunk.skip(model.network)
        state, begin = chunk.next_state, end


def _pooled_gradient(model, batch, size):
    """Add up the gradients of all chunks of sequences that have one output.

    The loss depends on the pooling of all chunks, so a first pass without gradients
    summarizes each; then every chunk, from the last to the first, is computed again,
    and the gradient flows back through its part of the pooled vector.
    """
    inputs, targets_and_weights = batch
    network, pooling = model.network, model.network.pooling
    chunks, states_before, summaries = [], [], []
    state: Any = None
    with torch.no_grad():
        for x, lengths in chunks_from_end(**inputs, size=size):
            chunks.append((x, lengths))
            states_before.append(state)
            states, state = run_to_ends(network, x, lengths, state)
            summaries.append(pooling.summarize(states, lengths))
        until = list(accumulate(summaries, pooling.join))
    pooled = pooling.finish(until[-1]).requires_grad_()
    outputs = network.head(network.dropout(pooled))
    gradient = model.backpropagate(outputs, targets_and_weights)
    later = None
    for i in reversed(range(len(chunks))):
        if later is not None and pooling.forgets_before(later):
            break
        x, lengths = chunks[i]
        states, _ = network.run(x, lengths, states_before[i], new_masks=False)
        summary = pooling.summarize(states, lengths)
        if i > 0:
            summary = pooling.join(until[i - 1], summary)
        if later is not None:
            summary = pooling.join(summary, later)
        pooling.finish(summary).backward(pooled.grad)
        with torch.no_grad():
            later = summaries[i] if later is None else pooling.join(summaries[i], later)
    return gradient
