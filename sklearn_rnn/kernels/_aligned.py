"""Matrix products whose rows are the same to the last bit wherever they stand.

The libraries that compute products on a CPU process as many rows at once as registers
hold, and handle the elements of a row beyond a multiple of a few in ways that depend on
the position of the row and on the number of rows. Padding with zeros avoids such
remainders and changes no result otherwise.
"""

import torch
from torch.nn.functional import pad

# Measured with MKL and oneDNN on a processor with AVX-512, in both precisions; sums of
# fewer terms were the same everywhere.
MULTIPLE = 4


def n_missing(size: int) -> int:
    """Return by how many elements to pad the dimension that a product sums over.

    It is 0 outside of inference mode: in training only speed counts.

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


def pad_units(weights: list[torch.Tensor], n_units: int) -> list[torch.Tensor]:
    """Pad ``weight_ih, weight_hh, bias_ih, bias_hh`` with zero units and features.

    In every cell a unit with zero weights and biases keeps its initial state of zero.
    """
    units, columns = n_missing(n_units), n_missing(weights[0].shape[1])
    if not units:
        return [pad(weights[0], (0, columns)), *weights[1:]]
    padded = []
    for weight in weights:
        by_gate = weight.unflatten(0, (-1, n_units))  # (G, H) or (G, H, F)
        if weight.ndim == 1:
            padded.append(pad(by_gate, (0, units)).flatten())
        else:
            columns = n_missing(weight.shape[1])
            padded.append(pad(by_gate, (0, columns, 0, units)).flatten(0, 1))
    return padded
