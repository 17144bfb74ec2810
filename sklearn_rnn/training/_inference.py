"""Outputs of a network, the same whatever they are computed with."""

from contextlib import contextmanager
from functools import reduce

import numpy as np
import torch

from sklearn_rnn.training._fused import FusedNetwork, supports_fused
from sklearn_rnn.training._memory import computing_batch
from sklearn_rnn.training._row_blocks import BLOCK_SIZE, block_rows
from sklearn_rnn.training._steps import steps_for

# Longer sequences are read in blocks of always this many, and in pieces, so that memory
# does not grow with length.
LONG, LONG_BLOCK_SIZE = 1024, 8
# States of a larger block of others, padding included, fit into a processor's caches.
MOST_STATES = 1 << 21
# What is left of a long sequence is filled up to so many steps: few rows are
# multiplied by another kernel than many.
FEWEST_STEPS = 16


@torch.inference_mode()
def network_outputs(network, sequences, device):
    """Run a network over all sequences.

    Sequences are read in blocks, longest together, that are filled up so that a
    sequence's outputs depend neither on its place nor on its company.

    Parameters
    ----------
    network : SequenceNetwork
        Is put into evaluation mode, and left as it was.
    sequences : SequenceArray
        At least one.
    device : torch.device or str
        Where the network is.

    Returns
    -------
    Tensor of shape (n_sequences, n_outputs) or (n_steps, n_outputs)
        On the device. Where every step has its outputs: those of all steps of
        the first sequence, then of the second, ...
    """
    each = network.pooling is None
    if supports_fused(network):
        longest = sequences.common_length or int(sequences.lengths.max())
        if longest <= LONG:
            with _computing_block(sequences):
                return FusedNetwork(network).predict(sequences)
        is_long = sequences.lengths > LONG
        if not is_long.all():
            return _join(network, sequences, is_long, device)
    if each:
        return step_outputs(network, sequences, device, network.read)
    outputs = None
    with _computing_block(sequences):
        for rows, pieces in _blocks(network, sequences, device):
            values = network.head(_pooled(network, pieces))
            if outputs is None:
                outputs = values.new_empty(len(sequences), values.shape[1])
            outputs[torch.from_numpy(rows).to(outputs.device)] = values
    return outputs


def _computing_block(sequences):
    """Note the sizes of the largest block on an error for lack of memory."""
    return computing_batch(BLOCK_SIZE, int(sequences.lengths.max()))


def _join(network, sequences, is_long, device):
    """Run long sequences and others in turn, each as it would be without the others."""
    parts = [
        network_outputs(network, sequences[np.flatnonzero(chosen)], device)
        for chosen in (is_long, ~is_long)
    ]
    if network.pooling is None:
        is_long = np.repeat(is_long, sequences.lengths)
    outputs = parts[0].new_empty(len(is_long), parts[0].shape[1])
    outputs[torch.from_numpy(is_long)], outputs[torch.from_numpy(~is_long)] = parts
    return outputs


@contextmanager
def _evaluating(network):
    """Put a network into evaluation mode for a while."""
    if not network.training:  # to say so again would walk through all modules
        yield
        return
    network.eval()
    try:
        yield
    finally:
        network.train()


@torch.inference_mode()
def step_outputs(network, sequences, device, read):
    """Read something off the states of every step of all sequences.

    Parameters
    ----------
    network : SequenceNetwork
        Is put into evaluation mode, and left as it was.
    sequences : SequenceArray
        At least one.
    device : torch.device or str
        Where the network is.
    read : callable
        From states (T, N, width) to a tensor (N, T, n_values).

    Returns
    -------
    Tensor of shape (n_steps, n_values)
        On the device; all steps of the first sequence, then of the second, ...
    """
    with _computing_block(sequences):
        return _step_outputs(network, sequences, device, read)


def _step_outputs(network, sequences, device, read):
    first = torch.from_numpy(np.cumsum(sequences.lengths) - sequences.lengths)
    lengths = torch.tensor(sequences.lengths)
    outputs = None
    for rows, pieces in _blocks(network, sequences, device):
        begin = 0
        for states, _ in pieces:
            values = read(states)
            steps = begin + torch.arange(len(states))
            inside = steps < lengths[rows, None]
            places = (first[rows, None] + steps)[inside]
            if outputs is None:
                outputs = values.new_empty(int(lengths.sum()), values.shape[2])
            outputs[places.to(outputs.device)] = values[inside.to(outputs.device)]
            begin += len(states)
    return outputs


def _blocks(network, sequences, device):
    """Yield (rows, their states piece by piece) for blocks of sequences."""
    steps = steps_for(sequences, device, n_passes=1)
    lengths = sequences.lengths
    order = np.argsort(lengths, kind="stable")
    n_short = int(np.searchsorted(lengths, LONG, side="right", sorter=order))
    with _evaluating(network):
        if n_short:
            sizes = *block_rows(network, device), network.core.output_size
            for rows in _blocks_of_short(lengths, order[:n_short], *sizes):
                x, lengths_of_rows = steps.gather(sequences, rows)
                x = x.transpose(0, 1)
                yield rows, [(network.run(x, lengths_of_rows)[0], lengths_of_rows)]
        for begin in range(n_short, len(order), LONG_BLOCK_SIZE):
            rows = _fill_up(order[begin : begin + LONG_BLOCK_SIZE], LONG_BLOCK_SIZE)
            yield rows, _states(network, sequences[rows], steps)


def _blocks_of_short(lengths, order, multiple, at_most, n_units):
    """Yield rows of blocks of so many or fewer sequences, in whole multiples."""
    begin = 0
    while begin < len(order):
        rows = order[begin : begin + at_most]
        size = MOST_STATES // int(lengths[rows[-1]] * n_units)
        rows = rows[: max(BLOCK_SIZE, size // multiple * multiple)]
        begin += len(rows)
        yield _fill_up(rows, multiple)


def _fill_up(rows, multiple):
    """Repeat the last row until there are a multiple of some number."""
    return np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % multiple)])


def _states(network, block, steps):
    longest, everyone = int(block.lengths.max()), np.arange(len(block))
    # A backward direction begins at the end: it needs the sequence whole.
    size = longest if network.core.rnn.bidirectional else LONG
    state = None
    for begin in range(0, longest, size):
        inside = np.clip(block.lengths - begin, 0, size)
        # What has ended is read at its last step, as padding.
        first = block.starts + np.minimum(begin, block.lengths - 1)
        piece = block.over(first, np.maximum(inside, 1))
        x = steps.gather(piece, everyone)[0].transpose(0, 1)
        if begin > 0 and x.shape[1] < FEWEST_STEPS:
            x = torch.cat([x, x[:, -1:].expand(-1, FEWEST_STEPS - x.shape[1], -1)], 1)
        lengths = None
        if (inside < x.shape[1]).any():
            lengths = torch.from_numpy(inside).to(steps.device)
        states, state = network.run(x, lengths, state)
        yield states, lengths


def _pooled(network, pieces):
    pooling = network.pooling
    pieces = iter(pieces)
    if network.core.rnn.bidirectional:
        return pooling(*next(pieces))
    return pooling.finish(
        reduce(pooling.join, (pooling.summarize(*piece) for piece in pieces))
    )
