"""Whether torch's products on this machine depend on the other rows."""

import torch


def _products_depend_on_rows():
    """Return whether torch's products of some rows depend on how many others there are.

    On some Intel processors MKL takes other instructions for matrices of few rows.
    """
    generator = torch.Generator().manual_seed(0)
    for n_inputs, n_outputs in [(3, 3), (5, 9), (16, 3), (7, 54)]:
        rows = torch.randn(64, n_inputs, generator=generator)
        weights = torch.randn(n_outputs, n_inputs, generator=generator)
        whole = torch.nn.functional.linear(rows, weights)
        if any(
            not torch.equal(torch.nn.functional.linear(rows[:n], weights), whole[:n])
            for n in (8, 16, 24, 32)
        ):
            return True
    return False


PRODUCTS_DEPEND_ON_ROWS = _products_depend_on_rows()
