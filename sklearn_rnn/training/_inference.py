"""Outputs of a network, the same whatever they are computed with."""

import numpy as np
import torch

from sklearn_rnn.training._batches import to_batch

# Sequences a block. Always this many, the last block filled up: the kernels
# behind a matrix product depend on its size, and so would the last bits.
BLOCK_SIZE = 64


@torch.inference_mode()
def network_outputs(network, sequences, device):
    """Run a network over all sequences.

    Sequences are read in blocks of a fixed number, longest together, so that
    a sequence's outputs depend neither on its place nor on its company.

    Parameters
    ----------
    network : SequenceNetwork
        Is put into evaluation mode, and left as it was.
    sequences : SequenceArray
        At least one.
    device : torch.device or str
        Where the network is.

    Returns
    -------
    Tensor of shape (n_sequences, n_outputs)
        On the device.
    """
    was_training = network.training
    network.eval()
    order = np.argsort(sequences.lengths, kind="stable")
    n_missing = -len(order) % BLOCK_SIZE
    blocks = np.concatenate([order, np.repeat(order[-1:], n_missing)])
    outputs = [
        network(**to_batch(sequences, block, device))
        for block in blocks.reshape(-1, BLOCK_SIZE)
    ]
    network.train(was_training)
    outputs = torch.cat(outputs)[: len(order)]
    return torch.empty_like(outputs).index_copy_(
        0, torch.from_numpy(order).to(outputs.device), outputs
    )
