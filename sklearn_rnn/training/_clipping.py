"""Gradient clipping in few calls.

torch's own functions take 0.1 ms a step on six small tensors, a tenth of the
whole step.
"""

import torch

from sklearn_rnn.training._device import is_at_hand


@torch.no_grad()
def clip_gradients(gradients, max_norm=None, max_value=None):
    """Bound gradients by value, then by norm, and tell how large they were.

    Parameters
    ----------
    gradients : list of Tensor
        Changed in place.
    max_norm : float, default=None
        Bound of the Euclidean norm of all of them together; they keep their
        direction. None has no bound.
    max_value : float, default=None
        Bound of every single derivative; None has no bound.

    Returns
    -------
    norm : float or Tensor
        Of all gradients together, before they were clipped; on a GPU a tensor,
        which nobody waits for.
    clipped : bool or Tensor
        Whether a bound changed them.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent
    neural networks", ICML 2013.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import clip_gradients
    >>> gradients = [torch.tensor([3.0]), torch.tensor([-4.0])]
    >>> clip_gradients(gradients, max_norm=1.0)
    (5.0, True)
    >>> gradients
    [tensor([0.6000]), tensor([-0.8000])]
    """
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    if not is_at_hand(flat):
        return _clip_unseen(gradients, flat, max_norm, max_value)
    before = norm = flat.norm().item()
    clipped = False
    if max_value is not None and flat.abs().max() > max_value:
        clipped = True
        norm = flat.clamp_(-max_value, max_value).norm().item()
        for gradient in gradients:
            gradient.clamp_(-max_value, max_value)
    if max_norm is not None and norm > max_norm:
        clipped = True
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return before, clipped


def _clip_unseen(gradients, flat, max_norm, max_value):
    """Clip without looking, which takes more operations and no waiting for a GPU."""
    before = norm = flat.norm()
    clipped = torch.zeros_like(norm, dtype=torch.bool)
    if max_value is not None:
        clipped = flat.abs().max() > max_value
        norm = flat.clamp_(-max_value, max_value).norm()
        for gradient in gradients:
            gradient.clamp_(-max_value, max_value)
    if max_norm is not None:
        clipped = clipped | (norm > max_norm)
        share = (max_norm / norm).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(share)
    return before, clipped
