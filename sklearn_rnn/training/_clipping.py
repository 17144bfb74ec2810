"""Gradient clipping in few calls.

torch's own functions take 0.1 ms a step on six small tensors, a tenth of the
whole step.
"""

import torch


@torch.no_grad()
def clip_norm(gradients, max_norm):
    """Scale all gradients such that their joint norm is at most `max_norm`.

    Parameters
    ----------
    gradients : list of Tensor
        Changed in place.
    max_norm : float
        Bound of the Euclidean norm of all of them together.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent
    neural networks", ICML 2013.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import clip_norm
    >>> gradients = [torch.tensor([3.0]), torch.tensor([4.0])]
    >>> clip_norm(gradients, 1.0)
    >>> gradients
    [tensor([0.6000]), tensor([0.8000])]
    """
    norm = torch.cat([gradient.reshape(-1) for gradient in gradients]).norm().item()
    if norm > max_norm:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)


@torch.no_grad()
def clip_value(gradients, max_value):
    """Bound every derivative to [-max_value, max_value].

    Parameters
    ----------
    gradients : list of Tensor
        Changed in place.
    max_value : float
        The bound.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import clip_value
    >>> gradients = [torch.tensor([-3.0, 0.5])]
    >>> clip_value(gradients, 1.0)
    >>> gradients
    [tensor([-1.0000,  0.5000])]
    """
    for gradient in gradients:
        gradient.clamp_(-max_value, max_value)
