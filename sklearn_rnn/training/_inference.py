"""Outputs of a network for all sequences, which do not depend on the batches."""

from contextlib import contextmanager
from functools import reduce

import numpy as np
import torch

from sklearn_rnn.training._fused import predict_fused
from sklearn_rnn.training._memory import note_batch, note_batch_size
from sklearn_rnn.training._row_blocks import BLOCK_SIZE, block_rows
from sklearn_rnn.training._storage import store_steps

# Longer sequences are read in blocks of exactly this many, and in chunks of LONG steps,
# so that memory does not grow with length.
LONG, LONG_BLOCK_SIZE = 1024, 8
# Values of states and inputs, with padding, of a larger block of others: they fit into
# the caches. Inputs are there twice, as they are read and scaled.
MAX_VALUES = 1 << 21
# The last chunk of a long sequence is padded to at least this many steps: few rows are
# multiplied by another kernel than many.
MIN_CHUNK = 16
# Sequences that are read together for likelihoods, and steps of them per chunk; fewer
# steps where the vocabulary is large, so that a chunk has at most MAX_OUTPUTS outputs.
SIDE_BY_SIDE, CHUNK_SIZE, MAX_OUTPUTS = 64, 512, 16_000_000


@torch.inference_mode()
def network_outputs(network, sequences, device):
    """Return a network's outputs for all sequences.

    Sequences are read in blocks of similar length that are padded with copies, so that
    a sequence's outputs depend neither on its position nor on the other sequences.

    Parameters
    ----------
    network : SequenceNetwork
        Is put into evaluation mode, and restored to the mode that it was in.
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
    starts, lengths = sequences.starts, sequences.lengths
    is_short, outputs = lengths <= LONG, None
    try:
        if is_short.all():
            outputs = predict_fused(network, sequences, starts, lengths)
        elif is_short.any():
            outputs = _split_by_length(network, sequences, is_short, device)
        if outputs is not None:
            return outputs
        if network.pooling is None:
            return step_outputs(network, sequences, device, network.read)
        for rows, chunks in _blocks(network, sequences, device):
            values = network.head(_pool(network, chunks))
            if outputs is None:
                outputs = values.new_empty(len(sequences), values.shape[1])
            outputs[torch.from_numpy(rows).to(outputs.device)] = values
    except (MemoryError, RuntimeError) as error:
        note_batch(error, BLOCK_SIZE, int(lengths.max()))
        raise
    return outputs


def _split_by_length(network, sequences, is_short, device):
    """Compute short and long sequences in turn, each as without the others.

    Long ones by torch. None where the kernels do not compute the network.
    """
    short, long = (sequences[np.flatnonzero(mask)] for mask in (is_short, ~is_short))
    of_short = predict_fused(network, short, short.starts, short.lengths)
    if of_short is None:
        return None
    of_long = network_outputs(network, long, device)
    if network.pooling is None:
        is_short = np.repeat(is_short, sequences.lengths)
    outputs = of_short.new_empty(len(is_short), of_short.shape[1])
    outputs[torch.from_numpy(is_short)] = of_short
    outputs[torch.from_numpy(~is_short)] = of_long
    return outputs


@contextmanager
def evaluating(network):
    """Put a network into evaluation mode for a while."""
    if not network.training:  # to set it again would walk through all modules
        yield
        return
    network.eval()
    try:
        yield
    finally:
        network.train()


@torch.inference_mode()
def step_outputs(network, sequences, device, read):
    """Return what `read` computes from the states of every step of all sequences.

    Parameters
    ----------
    network : SequenceNetwork
        Is put into evaluation mode, and restored to the mode that it was in.
    sequences : SequenceArray
        At least one.
    device : torch.device or str
        Where the network is.
    read : callable
        From states (T, N, state_size) to a tensor (N, T, n_values).

    Returns
    -------
    Tensor of shape (n_steps, n_values)
        On the device; all steps of the first sequence, then of the second, ...
    """
    starts = torch.from_numpy(np.cumsum(sequences.lengths) - sequences.lengths)
    lengths = torch.tensor(sequences.lengths)
    outputs = None
    with note_batch_size(BLOCK_SIZE, int(lengths.max())):
        for rows, chunks in _blocks(network, sequences, device):
            begin = 0
            for states, _ in chunks:
                values = read(states)
                steps = begin + torch.arange(len(states))
                inside = steps < lengths[rows, None]
                positions = (starts[rows, None] + steps)[inside]
                if outputs is None:
                    outputs = values.new_empty(int(lengths.sum()), values.shape[2])
                target = outputs.device
                outputs[positions.to(target)] = values[inside.to(target)]
                begin += len(states)
    return outputs


def _blocks(network, sequences, device):
    """Yield blocks of sequences: their rows, and (states, lengths) per chunk."""
    storage = store_steps(sequences, device, n_passes=1)
    lengths = sequences.lengths
    order = np.argsort(lengths, kind="stable")
    n_short = int(np.searchsorted(lengths, LONG, side="right", sorter=order))
    with evaluating(network):
        if n_short:
            n_values = network.core.output_size + 2 * sequences.n_features
            sizes = *block_rows(network, device), n_values
            for rows in _blocks_of_short(lengths, order[:n_short], *sizes):
                x, block_lengths = storage.gather(sequences, rows)
                x = x.transpose(0, 1)
                yield rows, [(network.run(x, block_lengths)[0], block_lengths)]
        for begin in range(n_short, len(order), LONG_BLOCK_SIZE):
            rows = _pad_rows(order[begin : begin + LONG_BLOCK_SIZE], LONG_BLOCK_SIZE)
            yield rows, _chunks_of_long(network, sequences[rows], storage)


def _blocks_of_short(lengths, order, multiple, at_most, n_values):
    """Yield the rows of blocks, whose number is a multiple of `multiple`."""
    begin = 0
    while begin < len(order):
        rows = order[begin : begin + at_most]
        size = MAX_VALUES // int(lengths[rows[-1]] * n_values)
        rows = rows[: max(BLOCK_SIZE, size // multiple * multiple)]
        begin += len(rows)
        yield _pad_rows(rows, multiple)


def _pad_rows(rows, multiple):
    """Repeat the last row until there are a multiple of some number."""
    return np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % multiple)])


def _chunks_of_long(network, block, storage):
    """Yield (states, lengths) of a block of long sequences, chunk by chunk."""
    longest, indices = int(block.lengths.max()), np.arange(len(block))
    # A backward direction begins at the end: it needs the sequence whole.
    size = longest if network.core.rnn.bidirectional else LONG
    state = None
    for begin in range(0, longest, size):
        inside = np.clip(block.lengths - begin, 0, size)
        # A sequence that has ended repeats its last step, as padding.
        first = block.starts + np.minimum(begin, block.lengths - 1)
        chunk = block.over(first, np.maximum(inside, 1))
        x = storage.gather(chunk, indices)[0].transpose(0, 1)
        if begin > 0 and x.shape[1] < MIN_CHUNK:
            x = torch.cat([x, x[:, -1:].expand(-1, MIN_CHUNK - x.shape[1], -1)], 1)
        lengths = None
        if (inside < x.shape[1]).any():
            lengths = torch.from_numpy(inside).to(storage.device)
        states, state = network.run(x, lengths, state)
        yield states, lengths


def _pool(network, chunks):
    pooling = network.pooling
    chunks = iter(chunks)
    if network.core.rnn.bidirectional:
        return pooling(*next(chunks))
    return pooling.finish(
        reduce(pooling.join, (pooling.summarize(*chunk) for chunk in chunks))
    )


def log_likelihoods(network, criterion, data, device):
    """Compute the log-likelihood of every step of all sequences.

    Parameters
    ----------
    network : SequenceNetwork
        Has outputs for every step; is put into evaluation mode, and restored to the
        mode that it was in.
    criterion : WeightedLoss
        Its ``of_steps`` is the negative log-likelihood of a step.
    data : NextStepDataset
        The sequences.
    device : torch.device or str
        Where the network is.

    Returns
    -------
    ndarray of shape (n_steps,)
        In nats, float64; all steps of the first sequence, then of the second, ...
    """

    def read(states, targets, positions):
        outputs, head = network.loss_inputs(states)
        return -criterion.of_steps(outputs, targets, head)

    return step_values(network, data, device, read)


@torch.inference_mode()
def step_values(network, data, device, read):
    """Compute a number for every step of all sequences, from its state and target.

    Parameters
    ----------
    network : SequenceNetwork
        Is put into evaluation mode, and restored to the mode that it was in.
    data : NextStepDataset
        The sequences.
    device : torch.device or str
        Where the network is.
    read : callable
        From states (T, N, state_size), targets (N, T) and the steps' indices among all,
        an ndarray (N, T) with -1 after a sequence's end, to a tensor (N, T).

    Returns
    -------
    ndarray of shape (n_steps,)
        Float64; all steps of the first sequence, then of the second, ...
    """
    found = np.empty(data.lengths.sum())
    starts = np.cumsum(data.lengths) - data.lengths
    order = np.argsort(data.lengths, kind="stable")
    with evaluating(network):
        for begin in range(0, len(order), SIDE_BY_SIDE):
            rows = order[begin : begin + SIDE_BY_SIDE]
            with note_batch_size(len(rows), int(data.lengths[rows].max())):
                for live, steps, states, targets in _step_states(
                    network, data, rows, device
                ):
                    inside = steps < data.lengths[live, np.newaxis]
                    positions = np.where(inside, starts[live, np.newaxis] + steps, -1)
                    values = read(states, targets, positions)
                    values = values.double().cpu().numpy()
                    found[positions[inside]] = values[inside]
    return found


def _step_states(network, data, rows, device):
    """Yield rows, steps, states and targets of sequences sorted by length, in chunks.

    Those after a sequence's end mean nothing.
    """
    lengths = data.lengths[rows]
    size = MAX_OUTPUTS // (len(rows) * network.spec.n_outputs)
    size, state, n_ended = min(max(size, 1), CHUNK_SIZE), None, 0
    for begin in range(0, lengths[-1], size):
        # One sequence may be far longer than the others: those that ended are dropped.
        n_before, n_ended = n_ended, int(np.searchsorted(lengths, begin, side="right"))
        state = _drop_finished(state, n_ended - n_before)
        x, targets = data.gather(rows[n_ended:], device)
        chunk = slice(begin, begin + size)
        states, state = network.run(x[:, chunk], None, state)
        yield rows[n_ended:], begin + np.arange(len(states)), states, targets[:, chunk]


def _drop_finished(state, n):
    """Drop the first `n` sequences of a state, tensors of shape (1, N, H)."""
    if state is None or n == 0:
        return state
    return tuple(tuple(part[:, n:].contiguous() for part in layer) for layer in state)


def blocks_by_length(lengths, n_sequences, n_steps):
    """Yield the rows of blocks of sequences of similar length, the shortest first.

    A block has at most `n_sequences`, and with padding at most `n_steps`; a longer
    sequence is alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.training import blocks_by_length
    >>> lengths = np.array([5, 1, 99, 2])
    >>> [rows.tolist() for rows in blocks_by_length(lengths, 3, n_steps=12)]
    [[1, 3], [0], [2]]
    """
    order = np.argsort(lengths, kind="stable")
    begin = 0
    while begin < len(order):
        candidates = order[begin : begin + n_sequences]
        padded = lengths[candidates] * np.arange(1, len(candidates) + 1)
        size = max(1, int((padded <= n_steps).sum()))
        yield order[begin : begin + size]
        begin += size
