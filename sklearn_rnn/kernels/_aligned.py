"""Matrix products whose rows are the same to the last bit wherever they stand.

What computes a product on a CPU takes rows together as registers hold them, and
handles what is left of a row beyond a multiple of a few elements in ways that depend
on where the row stands and on how many there are. Filled up with zeros, nothing is
left, and nothing else changes.
"""

import torch
from torch.nn.functional import pad

# Measured with MKL and oneDNN on a processor with AVX-512, in both precisions; sums of
# fewer terms were the same everywhere.
MULTIPLE = 4


def n_missing(size):
    """Return how many elements fill a size up to what products are the same for.

    Parameters
    ----------
    size : int
        Of the dimension that a product sums over.

    Returns
    -------
    int
        0 outside of inference mode: in training only speed counts.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.kernels import n_missing
    >>> with torch.inference_mode():
    ...     n_missing(13), n_missing(64)
    (3, 0)
    """
    if size < MULTIPLE or not torch.is_inference_mode_enabled():
        return 0
    return -size % MULTIPLE


def fill_units(weights, n_units):
    """Fill the weights of a layer up with units and features that stay zero.

    Parameters
    ----------
    weights : list of Tensor
        ``weight_ih, weight_hh, bias_ih, bias_hh`` in torch's layout.
    n_units : int
        Units of the layer.

    Returns
    -------
    list of Tensor
        Of units and features in whole multiples; in every cell a unit without weights
        and without bias keeps the state 0 in which it begins.
    """
    units, columns = n_missing(n_units), n_missing(weights[0].shape[1])
    if not units:
        return [pad(weights[0], (0, columns)), *weights[1:]]
    filled = []
    for weight in weights:
        by_gate = weight.unflatten(0, (-1, n_units))  # (G, H) or (G, H, F)
        if weight.ndim == 1:
            filled.append(pad(by_gate, (0, units)).flatten())
        else:
            columns = n_missing(weight.shape[1])
            filled.append(pad(by_gate, (0, columns, 0, units)).flatten(0, 1))
    return filled
