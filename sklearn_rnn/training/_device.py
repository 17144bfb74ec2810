"""Which device a network trains on."""

import torch


def check_device(device):
    """Read a device's name and make sure that it can be used.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is a GPU if there is one.

    Returns
    -------
    str
        Say, ``"cpu"`` or ``"cuda:0"``.

    Raises
    ------
    ValueError
        If there is no such device here.

    Examples
    --------
    >>> from sklearn_rnn.training import check_device
    >>> check_device("cpu")
    'cpu'
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("meta tensors hold no numbers")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={str(device)!r} cannot be used here: {error}. Use device='cpu', "
            "or device='auto' for a GPU where there is one."
        ) from error
    return str(device)


def is_at_hand(tensor):
    """Tell whether to read a tensor's numbers is to wait for nobody.

    Parameters
    ----------
    tensor : Tensor
        Any.

    Returns
    -------
    bool
        False on a GPU, which has what it is told to compute still before it.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training._device import is_at_hand
    >>> is_at_hand(torch.zeros(1))
    True
    """
    return tensor.device.type == "cpu"


def usable_device(device):
    """Return a device's name, or ``"cpu"`` where it cannot be used.

    Parameters
    ----------
    device : str or torch.device
        Where a network was trained.

    Returns
    -------
    str
        Where it can be used.

    Examples
    --------
    >>> from sklearn_rnn.training import usable_device
    >>> usable_device("cuda:99")
    'cpu'
    """
    try:
        return check_device(device)
    except ValueError:
        return "cpu"
