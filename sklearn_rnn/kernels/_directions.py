"""Sequences of unequal length, read backwards."""

import torch


def reverse_steps(x, lengths=None):
    """Reverse each sequence within its own length; padding stays behind.

    Parameters
    ----------
    x : Tensor of shape (T, N, F)
        A batch, time first.
    lengths : LongTensor of shape (N,), default=None
        Steps of each sequence; None when all have T.

    Returns
    -------
    Tensor of shape (T, N, F)
        Its own inverse on valid steps.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.kernels import reverse_steps
    >>> x = torch.arange(3.0).reshape(3, 1, 1)
    >>> reverse_steps(x, torch.tensor([2])).ravel()
    tensor([1., 0., 2.])
    """
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    mirrored = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(0, mirrored[:, :, None].expand(-1, -1, x.shape[2]))
