"""How many sequences are computed together, so that no bit depends on the others.

Where many rows are multiplied by a matrix, MKL and oneDNN compute them in groups, and
the remaining rows by other kernels, which add up in another order. A block of sequences
is therefore padded to whole groups. How large these are depends on the processor, so it
is tested once per process and size of a layer.
"""

from functools import lru_cache
from math import gcd

import torch
from torch import nn

from sklearn_rnn.kernels import N_GATES, recurrence
from sklearn_rnn.modules import AttentionPooling, MeanPooling, RecurrentCore, linear

# Whole groups on every processor seen so far.
BLOCK_SIZE = 64
# Sizes to test. With AVX-512 (Zen 4, torch 2.13) 4 rows were enough, for all of 1700
# sizes of a matrix in both precisions; 1 to 3 rows were not.
CANDIDATES = (4, 8, 16, 32)
# Maximum number of rows of a block: enough to make calls cheap beside arithmetic.
MAX_ROWS = 512
# Sums over steps add up this many bytes of adjacent columns together.
SUMMED_BYTES = 256


def block_rows(network, device):
    """Return the factor of the number of rows of a block, and its maximum."""
    # Several threads divide larger blocks among them, in ways of their own.
    if torch.device(device).type != "cpu" or torch.get_num_threads() > 1:
        return BLOCK_SIZE, BLOCK_SIZE
    return _row_multiple(network), MAX_ROWS


def _row_multiple(network):
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
                    rows = _layer_rows(module.cell, *sizes, dtype, module.kernel)
                    found = max(found, rows)
        elif isinstance(module, nn.Linear):
            n_outputs, n_inputs = module.weight.shape
            found = max(found, _layer_rows(None, n_inputs, n_outputs, dtype))
    return found


@lru_cache(maxsize=256)
def _layer_rows(cell, n_inputs, n_outputs, dtype, kernel="torch"):
    """Return the fewest rows that a layer computes like many; no cell: linear."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator) / shape[-1] ** 0.5

    x = draw(2, 2 * BLOCK_SIZE, n_inputs)  # steps, rows, features
    if cell is None:
        weights = [draw(n_outputs, n_inputs), draw(n_outputs)]

        def compute(rows):
            return linear(rows, *weights)

    else:
        n_gates = N_GATES[cell] * n_outputs
        sizes = [(n_gates, n_inputs), (n_gates, n_outputs), (n_gates,), (n_gates,)]
        weights = [draw(*size) for size in sizes]

        def compute(rows):
            return recurrence(cell, rows, weights, kernel=kernel)[0]

    blocks = [block.contiguous() for block in x.split(BLOCK_SIZE, dim=1)]
    expected = torch.cat([compute(block) for block in blocks], dim=1)
    return next(
        (n for n in CANDIDATES if _gives_equal(compute, x, expected, n)), BLOCK_SIZE
    )


def _gives_equal(compute, x, expected, n_rows):
    """Return whether blocks of multiples of `n_rows` give what is expected."""
    few = range(n_rows, BLOCK_SIZE // 2 + 1, n_rows)
    many = [size - n_rows for size in range(BLOCK_SIZE, x.shape[1] + 1, BLOCK_SIZE)]
    return all(
        torch.equal(compute(x[:, :size].contiguous()), expected[:, :size])
        for size in [*few, *many, x.shape[1]]
    )
