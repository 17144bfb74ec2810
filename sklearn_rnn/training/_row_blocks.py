"""How many sequences are computed together, so that their company changes no bit.

Where many rows are multiplied by a matrix, MKL and oneDNN take them in groups, and what
is left of the last group by other kernels, which add up in another order. A block of
sequences is therefore filled up to whole groups. How large these are depends on the
processor, so it is tried out, once per process and size of a layer.
"""

from functools import lru_cache
from math import gcd

import torch
from torch import nn

from sklearn_rnn.kernels import recurrence
from sklearn_rnn.modules import AttentionPooling, MeanPooling, RecurrentCore, linear

# Whole groups on every processor seen so far.
BLOCK_SIZE = 64
# What may be enough. With AVX-512 (Zen 4, torch 2.13) 4 rows were, for all of 1700
# sizes of a matrix in both precisions; 1 to 3 rows were not.
CANDIDATES = (4, 8, 16, 32)
# At most so many rows are computed together: then calls cost little beside arithmetic.
MOST_ROWS = 512
# Sums over steps take so many bytes of neighbouring columns together.
SUMMED_BYTES = 256


def block_rows(network, device):
    """Return what the number of rows of a block is a multiple of, and how many it has.

    Parameters
    ----------
    network : SequenceNetwork
        What computes them.
    device : torch.device or str
        Where it is.

    Returns
    -------
    multiple, at_most : int
        Rows.
    """
    # Several threads share larger blocks out among them, in ways of their own.
    if torch.device(device).type != "cpu" or torch.get_num_threads() > 1:
        return BLOCK_SIZE, BLOCK_SIZE
    return _multiple(network), MOST_ROWS


def _multiple(network):
    if isinstance(network.pooling, AttentionPooling):  # it sums one column per row
        return BLOCK_SIZE
    dtype = network.head.bias.dtype
    found = CANDIDATES[0]
    if isinstance(network.pooling, MeanPooling):
        n_bytes = network.core.output_size * dtype.itemsize
        found = max(found, SUMMED_BYTES // gcd(SUMMED_BYTES, n_bytes))
    for module in network.modules():
        if isinstance(module, RecurrentCore):
            for name, weight in module.rnn.named_parameters():
                if name.startswith("weight_ih") and not name.endswith("reverse"):
                    sizes = weight.shape[1], module.rnn.hidden_size
                    found = max(found, _rows(module.cell, *sizes, dtype, module.kernel))
        elif isinstance(module, nn.Linear):
            found = max(found, _rows(None, *reversed(module.weight.shape), dtype))
    return found


@lru_cache(maxsize=256)
def _rows(cell, n_inputs, n_outputs, dtype, kernel="torch"):
    """Return the fewest rows that a layer computes as it does many; no cell: linear."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator) / shape[-1] ** 0.5

    x = draw(2, 2 * BLOCK_SIZE, n_inputs)  # steps, rows, features
    if cell is None:
        weights = draw(n_outputs, n_inputs), draw(n_outputs)

        def compute(rows):
            return linear(rows, *weights)

    else:
        n_gates = {"gru": 3, "lstm": 4}.get(cell, 1) * n_outputs
        sizes = [(n_gates, n_inputs), (n_gates, n_outputs), (n_gates,), (n_gates,)]
        weights = [draw(*size) for size in sizes]

        def compute(rows):
            return recurrence(cell, rows, weights, kernel=kernel)[0]

    blocks = [block.contiguous() for block in x.split(BLOCK_SIZE, dim=1)]
    expected = torch.cat([compute(block) for block in blocks], dim=1)
    return next(
        (n for n in CANDIDATES if _is_alike(compute, x, expected, n)), BLOCK_SIZE
    )


def _is_alike(compute, x, expected, n_rows):
    """Return whether blocks of multiples of `n_rows` give what is expected."""
    few = range(n_rows, BLOCK_SIZE // 2 + 1, n_rows)
    many = [size - n_rows for size in range(BLOCK_SIZE, x.shape[1] + 1, BLOCK_SIZE)]
    return all(
        torch.equal(compute(x[:, :size].contiguous()), expected[:, :size])
        for size in [*few, *many, x.shape[1]]
    )
