"""A padded batch, piece by piece through time."""


def even_size(n_timesteps, at_most):
    """Choose a size that cuts steps into pieces of nearly equal size.

    Parameters
    ----------
    n_timesteps : int
        Steps to cut.
    at_most : int
        Largest size of a piece.

    Returns
    -------
    int
        Steps a piece; the last one may be a little smaller.

    Examples
    --------
    >>> from sklearn_rnn.training import even_size
    >>> even_size(101, at_most=50)
    34
    """
    n_pieces = -(-n_timesteps // at_most)
    return -(-n_timesteps // n_pieces)


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
