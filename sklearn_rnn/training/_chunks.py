"""A padded batch cut into chunks of some time steps, and a state carried through."""

from itertools import pairwise

import torch


def split_chunks(x, lengths, size):
    """Split a batch into chunks of `size` steps; None leaves it whole.

    Yields views (N, at most size, n_features), and lengths (N,), 0 where a sequence
    has ended before the chunk; None when all have all steps.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import split_chunks
    >>> x, lengths = torch.zeros(2, 5, 1), torch.tensor([5, 2])
    >>> [(chunk.shape[1], n.tolist()) for chunk, n in split_chunks(x, lengths, 3)]
    [(3, [3, 2]), (2, [2, 0])]
    """
    size = size or x.shape[1]
    for begin in range(0, x.shape[1], size):
        chunk = x[:, begin : begin + size]
        inside = None
        if lengths is not None:
            inside = (lengths - begin).clamp(0, chunk.shape[1])
        yield chunk, inside


def chunks_from_end(x, lengths, size):
    """Split each sequence of a batch into chunks that are counted from its end.

    Yields steps (N, at most size, n_features) in order of time, the last chunks of all
    sequences together, and lengths (N,), 0 where a sequence has not begun. The first
    chunk of a sequence may have fewer steps than `size`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import chunks_from_end
    >>> x = torch.arange(10).reshape(2, 5, 1)
    >>> chunks = chunks_from_end(x, torch.tensor([5, 2]), 3)
    >>> [[p[:k, 0].tolist() for p, k in zip(*chunk)] for chunk in chunks]
    [[[0, 1], []], [[2, 3, 4], [5, 6]]]
    """
    if lengths is None:
        lengths = torch.full((len(x),), x.shape[1], device=x.device)
    n_chunks = -(-int(lengths.max()) // size)
    for n_later in reversed(range(n_chunks)):
        end = lengths - n_later * size
        inside = end.clamp(0, size)
        first = (end - size).clamp(min=0)
        steps = torch.arange(int(inside.max()), device=x.device)
        steps = torch.minimum(first[:, None] + steps, lengths[:, None] - 1)
        yield x[torch.arange(len(x), device=x.device)[:, None], steps], inside


def run_to_ends(network, x, lengths, state=None):
    """Run a network, and keep the state after each sequence's own last step.

    Parameters
    ----------
    network : SequenceNetwork
        Not bidirectional.
    x : Tensor of shape (N, T, n_features)
        Steps.
    lengths : LongTensor of shape (N,)
        Steps of each sequence; one with 0 keeps its state.
    state : tuple, default=None
        As for the network's ``run``; None starts from zero, with new dropout masks.

    Returns
    -------
    states : Tensor of shape (T, N, output_size)
        Hidden states; meaningless after a sequence's end.
    state : tuple
        After the last step of each.
    """
    is_new = state is None
    chunks: list[torch.Tensor] = []
    running = state
    for begin, end in pairwise([0, *lengths.unique().tolist()]):
        if end == 0:
            continue
        new_masks = is_new and not chunks
        states, running = network.run(x[:, begin:end], None, running, new_masks)
        chunks.append(states)
        if state is None:  # sequences that have not begun start from zero
            state = _map_state(torch.zeros_like, running)
        ended = (lengths == end)[:, None]
        state = _map_state(
            lambda new, old, e=ended: torch.where(e, new, old), running, state
        )
    return torch.cat(chunks), state


def detach_state(state):
    """Return a state through which no gradient flows back."""
    return _map_state(torch.Tensor.detach, state)


def _map_state(function, *states):
    """Apply a function to the tensors of states, layer by layer."""
    return tuple(tuple(map(function, *layers)) for layers in zip(*states, strict=True))
