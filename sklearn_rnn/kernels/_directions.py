"""Sequences of unequal length in reverse order of time."""

import torch


def reverse_steps(x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
    """Reverse each sequence within its own length; padding stays at the end.

    Parameters
    ----------
    x : Tensor of shape (T, N, F)
        A batch, time first.
    lengths : LongTensor of shape (N,), default=None
        Steps per sequence; None if all have T.

    Returns
    -------
    Tensor of shape (T, N, F)
        The reversed sequences.

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
