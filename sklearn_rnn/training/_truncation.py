"""Gradients through time: of whole sequences, or cut into pieces."""

from functools import partial
from itertools import accumulate
from typing import NamedTuple

import torch

from sklearn_rnn.training._device import is_at_hand
from sklearn_rnn.training._pieces import (
    pieces_of,
    pieces_to_the_end,
    run_to_own_ends,
)


class Gradient(NamedTuple):
    """What came of computing a gradient, which itself is in the weights.

    Parameters
    ----------
    loss : float or Tensor
        The mean loss; on a GPU a tensor, which nobody waits for.
    n_targets : int
        Targets that the loss is the mean over.
    outputs : Tensor or None
        Of the network, without history; None if nobody asks for them.
    """

    loss: float | torch.Tensor
    n_targets: int
    outputs: torch.Tensor | None


def gradient_steps(network, criterion, batch, bptt_steps, n_usual=None, fused=None):
    """Yield the gradients that a batch asks for, one an update.

    Without `bptt_steps`, and for batches that are not longer, there is one
    gradient, through all steps. Longer sequences are cut into pieces; the state
    is carried from piece to piece, and gradients stop where pieces meet. Where
    every step has outputs, pieces are counted from the start, and each makes an
    update of its own. Where the sequence has one output they are counted from
    its end, and the pieces' gradients add up to one update. Either way a
    sequence that is not longer than `bptt_steps` stays whole, and what
    backpropagation keeps in memory is that of one piece.

    Parameters
    ----------
    network : SequenceNetwork
        In training.
    criterion : WeightedLoss
        The loss.
    batch : tuple
        Inputs of the network; targets and weights.
    bptt_steps : int or None
        Most steps that a gradient flows back through.
    n_usual : float, default=None
        Targets that an update has on average. A gradient is scaled by its share of
        them, so that every target counts alike: the last steps of the longest
        sequences make small updates of their own. None takes each gradient for
        itself, which is the same where every sequence has one target.
    fused : FusedNetwork, default=None
        What computes gradients through all steps, if kernels compute the network as a
        whole.

    Yields
    ------
    progress : float
        Share of the batch already done, in [0, 1).
    compute : callable
        Adds the gradient to the weights' and returns a `Gradient`. To be
        called before going on.

    References
    ----------
    Williams and Peng, "An efficient gradient-based algorithm for on-line
    training of recurrent network trajectories", Neural Computation 2, 1990.
    """
    n_timesteps = batch[0]["x"].shape[1]
    if bptt_steps is None or n_timesteps <= bptt_steps:
        if criterion.count(batch[1][0]):
            yield (
                0.0,
                partial(_full_gradient, network, criterion, batch, n_usual, fused),
            )
        return
    if network.pooling is not None:
        yield 0.0, partial(_pooled_gradient, network, criterion, batch, bptt_steps)
        return
    yield from _gradient_of_each_piece(network, criterion, batch, bptt_steps, n_usual)


def _full_gradient(network, criterion, batch, n_usual, fused):
    inputs, targets_and_weights = batch
    n_targets = criterion.count(targets_and_weights[0])
    if fused is not None:
        loss, outputs = fused.gradient(
            **inputs, targets_and_weights=targets_and_weights, n_usual=n_usual
        )
        return Gradient(loss, n_targets, outputs)
    outputs = network(**inputs)
    loss = criterion(outputs, targets_and_weights)
    _scaled(loss, n_targets, n_usual).backward()
    return Gradient(_number(loss), n_targets, outputs.detach())


def _number(loss):
    """Return a loss without history: as a number, where it is at hand."""
    return loss.item() if is_at_hand(loss) else loss.detach().double()


def _scaled(loss, n_targets, n_usual):
    """Return a mean loss such that every target of all updates counts alike."""
    return loss if n_usual is None else loss * (n_targets / n_usual)


class _Piece(NamedTuple):
    """Some steps of a batch, and what is to be learned from them."""

    x: torch.Tensor
    lengths: torch.Tensor | None
    targets: torch.Tensor
    weights: torch.Tensor | None
    is_first: bool

    def run(self, network, state):
        """Return the outputs of the piece, and the state after it."""
        states, after = network.run(self.x, self.lengths, state, self.is_first)
        return network.read(states, self.is_first), _cut(after)


def _gradient_of_each_piece(network, criterion, batch, size, n_usual):
    inputs, (targets, weights) = batch
    n_timesteps = targets.shape[1]
    state, begin = None, 0
    for x, lengths in pieces_of(**inputs, size=size):
        end = begin + x.shape[1]
        piece = _Piece(x, lengths, targets[:, begin:end], weights, begin == 0)
        after = []
        if criterion.count(piece.targets):
            compute = partial(_piece_gradient, network, criterion, piece, state, after)
            yield begin / n_timesteps, partial(compute, n_usual)
        else:  # nothing to learn here, but the state goes on
            with torch.no_grad():
                after.append(piece.run(network, state)[1])
        state, begin = after[-1], end


def _piece_gradient(network, criterion, piece, state, after, n_usual):
    outputs, carried = piece.run(network, state)
    after.append(carried)
    loss = criterion(outputs, (piece.targets, piece.weights))
    n_targets = criterion.count(piece.targets)
    _scaled(loss, n_targets, n_usual).backward()
    return Gradient(_number(loss), n_targets, outputs.detach())


def _cut(state):
    """Return a state that gradients do not flow back from."""
    return tuple(tuple(part.detach() for part in layer) for layer in state)


def _pooled_gradient(network, criterion, batch, size):
    """Add up the gradients of all pieces of sequences that have one output.

    What the loss sees is pooled from all pieces, so a first pass without
    gradients sums each up; then piece after piece, from the last back, is
    computed once more, and the loss flows back through its share of the
    pooled vector.
    """
    inputs, targets_and_weights = batch
    pooling = network.pooling
    pieces, before, summaries, state = [], [], [], None
    with torch.no_grad():
        for x, lengths in pieces_to_the_end(**inputs, size=size):
            pieces.append((x, lengths))
            before.append(state)
            states, state = run_to_own_ends(network, x, lengths, state)
            summaries.append(pooling.summarize(states, lengths))
        until = list(accumulate(summaries, pooling.join))
    pooled = pooling.finish(until[-1]).requires_grad_()
    outputs = network.head(network.dropout(pooled))
    loss = criterion(outputs, targets_and_weights)
    loss.backward()
    later = None
    for i in reversed(range(len(pieces))):
        if later is not None and pooling.forgets_before(later):
            break
        x, lengths = pieces[i]
        states, _ = network.run(x, lengths, before[i], new_masks=False)
        summary = pooling.summarize(states, lengths)
        if i > 0:
            summary = pooling.join(until[i - 1], summary)
        if later is not None:
            summary = pooling.join(summary, later)
        pooling.finish(summary).backward(pooled.grad)
        with torch.no_grad():
            later = summaries[i] if later is None else pooling.join(summaries[i], later)
    n_targets = criterion.count(targets_and_weights[0])
    return Gradient(_number(loss), n_targets, outputs.detach())
