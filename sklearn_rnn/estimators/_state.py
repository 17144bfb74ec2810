"""A trained net as plain NumPy, for pickles that load anywhere."""

import numpy as np
import torch


def to_numpy(tree):
    """Replace every tensor in nested dicts and lists by an array.

    Parameters
    ----------
    tree : dict, list, tuple, Tensor or object
        Say, a state dict.

    Returns
    -------
    object
        Of the same shape; arrays are copies.
    """
    if isinstance(tree, torch.Tensor):
        return tree.detach().cpu().numpy().copy()
    if isinstance(tree, dict):
        return {key: to_numpy(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(to_numpy(value) for value in tree)
    return tree


def to_torch(tree):
    """Replace every array in nested dicts and lists by a tensor.

    Parameters
    ----------
    tree : object
        As `to_numpy` made it.

    Returns
    -------
    object
        Of the same shape; tensors are on the CPU.
    """
    if isinstance(tree, np.ndarray):
        # A copy: a memory-mapped pickle is read-only, and tensors must not be.
        return torch.from_numpy(tree.copy())
    if isinstance(tree, dict):
        return {key: to_torch(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(to_torch(value) for value in tree)
    return tree
