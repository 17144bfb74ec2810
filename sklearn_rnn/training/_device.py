"""Which device a network trains on."""

import torch

from sklearn_rnn._logging import LOGGER


def check_device(device):
    """Return a device's name, such as "cuda:0"; raise ValueError if it cannot be used.

    "auto" is a GPU if there is one.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("tensors on 'meta' have no values")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={str(device)!r} cannot be used here: {error}. Use device='cpu', "
            "or device='auto' for a GPU where there is one."
        ) from error
    return str(device)


def usable_device(device):
    """Return a device's name, or ``"cpu"`` where it cannot be used."""
    try:
        return check_device(device)
    except ValueError as error:
        LOGGER.warning("a loaded model computes on the CPU: %s", error)
        return "cpu"


def is_on_cpu(tensor):
    """Return whether a tensor's values can be read without waiting for a GPU."""
    return tensor.device.type == "cpu"
