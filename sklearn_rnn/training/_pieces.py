"""A padded batch, piece by piece through time."""

from itertools import pairwise

import torch


def pieces_of(x, lengths, size):
    """Cut a batch into pieces of some steps each.

    Parameters
    ----------
    x : Tensor of shape (N, T, n_features)
        Steps.
    lengths : LongTensor of shape (N,) or None
        Steps of each sequence; None when all have T.
    size : int or None
        Steps a piece; None leaves the batch whole.

    Yields
    ------
    x : Tensor of shape (N, at most size, n_features)
        A view.
    lengths : LongTensor of shape (N,) or None
        Steps of each sequence in this piece, 0 where it has ended before.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import pieces_of
    >>> x, lengths = torch.zeros(2, 5, 1), torch.tensor([5, 2])
    >>> [(piece.shape[1], n.tolist()) for piece, n in pieces_of(x, lengths, 3)]
    [(3, [3, 2]), (2, [2, 0])]
    """
    size = size or x.shape[1]
    for begin in range(0, x.shape[1], size):
        piece = x[:, begin : begin + size]
        inside = None
        if lengths is not None:
            inside = (lengths - begin).clamp(0, piece.shape[1])
        yield piece, inside


def pieces_to_the_end(x, lengths, size):
    """Cut each sequence of a batch into pieces that are counted from its end.

    Parameters
    ----------
    x : Tensor of shape (N, T, n_features)
        Steps.
    lengths : LongTensor of shape (N,) or None
        Steps of each sequence; None when all have T.
    size : int
        Steps a piece; the first piece of a sequence may have fewer.

    Yields
    ------
    x : Tensor of shape (N, at most size, n_features)
        The last pieces of all sequences come last, those before them before.
    lengths : LongTensor of shape (N,)
        Steps of each sequence in this piece; 0 where it has not begun.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import pieces_to_the_end
    >>> x = torch.arange(10).reshape(2, 5, 1)
    >>> pieces = pieces_to_the_end(x, torch.tensor([5, 2]), 3)
    >>> [[p[:k, 0].tolist() for p, k in zip(*piece)] for piece in pieces]
    [[[0, 1], []], [[2, 3, 4], [5, 6]]]
    """
    if lengths is None:
        lengths = torch.full((len(x),), x.shape[1], device=x.device)
    n_pieces = -(-int(lengths.max()) // size)
    for n_later in reversed(range(n_pieces)):
        end = lengths - n_later * size
        inside = end.clamp(0, size)
        first = (end - size).clamp(min=0)
        steps = torch.arange(int(inside.max()), device=x.device)
        steps = torch.minimum(first[:, None] + steps, lengths[:, None] - 1)
        yield x[torch.arange(len(x), device=x.device)[:, None], steps], inside


def run_to_own_ends(network, x, lengths, state=None):
    """Run a network on, and keep the state after each sequence's own last step.

    Parameters
    ----------
    network : SequenceNetwork
        Not bidirectional.
    x : Tensor of shape (N, T, n_features)
        Steps.
    lengths : LongTensor of shape (N,)
        Steps of each sequence; one with 0 keeps the state that it had.
    state : tuple, default=None
        As for the network's ``run``; None starts afresh, with new masks of
        dropout.

    Returns
    -------
    states : Tensor of shape (T, N, width)
        Hidden states; meaningless after a sequence's end.
    state : tuple
        After the last step of each.
    """
    is_new = state is None
    pieces, running = [], state
    for begin, end in pairwise([0, *lengths.unique().tolist()]):
        if end == 0:
            continue
        begin_anew = is_new and not pieces
        states, running = network.run(x[:, begin:end], None, running, begin_anew)
        pieces.append(states)
        if state is None:  # sequences that have not begun start from zero
            state = _map_parts(torch.zeros_like, running)
        ended = (lengths == end)[:, None]
        state = _map_parts(
            lambda new, old, e=ended: torch.where(e, new, old), running, state
        )
    return torch.cat(pieces), state


def _map_parts(function, *states):
    """Apply a function to the tensors of states, layer by layer."""
    return tuple(tuple(map(function, *layers)) for layers in zip(*states, strict=True))
