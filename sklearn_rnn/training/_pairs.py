"""Pairs of sequences: one that is read, and one that is to be written."""

import numpy as np
import torch

from sklearn_rnn.training._batches import NO_CODE, Batched, to_batch


class PairDataset(Batched):
    """What an encoder-decoder trains on or is judged by.

    Parameters
    ----------
    sources : SequenceArray
        What is read.
    targets : SequenceArray
        Ids of what is to be written, a begin in front and an end behind.
    weights : Tensor of shape (n_sequences,), default=None
        Sample weights of mean 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import PairDataset
    >>> sources = check_sequences([[4, 5], [6]])
    >>> data = PairDataset(sources, check_sequences([[2, 7, 3], [2, 8, 9, 3]]))
    >>> inputs, (targets, _) = data.batch(np.array([0, 1]), "cpu")
    >>> inputs["y"], targets
    (tensor([[2, 7, 7],
            [2, 8, 9]]), tensor([[ 7,  3, -1],
            [ 8,  9,  3]]))
    """

    def __init__(self, sources, targets, weights=None):
        self.sources = sources
        self.written = targets
        self.weights = weights
        self.targets = None  # what skorch's callbacks are told about
        # Steps of the longer one of each pair.
        self.lengths = np.maximum(sources.lengths, targets.lengths)
        self.n_targets = targets.lengths - 1

    def __len__(self):
        return len(self.sources)

    def select(self, rows):
        """Return some of the pairs.

        Parameters
        ----------
        rows : ndarray of int
            Which.

        Returns
        -------
        PairDataset
            In the order of `rows`.
        """
        weights = None if self.weights is None else self.weights[rows]
        return PairDataset(self.sources[rows], self.written[rows], weights)

    def with_weights(self, weights):
        """Return the same pairs, weighted otherwise.

        Parameters
        ----------
        weights : Tensor of shape (n_sequences,)
            Sample weights of mean 1.

        Returns
        -------
        PairDataset
            Of the same sequences.
        """
        return PairDataset(self.sources, self.written, weights)

    def by_length(self, rows):
        """Sort some pairs by what is read, then by what is written.

        Parameters
        ----------
        rows : ndarray of int
            Which.

        Returns
        -------
        ndarray of int
            The same ones, the shortest first.
        """
        keys = self.written.lengths[rows], self.sources.lengths[rows]
        return rows[np.lexsort(keys)]

    def batch(self, indices, device, random_state=None):
        """Gather some pairs.

        Parameters
        ----------
        indices : ndarray of int
            Which.
        device : torch.device or str
            Where the batch goes.
        random_state : numpy.random.RandomState, default=None
            Source of what varies in training; None reads sequences as they are.

        Returns
        -------
        inputs : dict
            ``x``, ``lengths`` and ``y``, what the decoder is given: the targets
            without their last symbol.
        targets_and_weights : tuple of Tensor
            As the loss takes them: the targets without their first symbol, -1
            after the end; weights of shape (N,) or None.
        """
        steps = self.steps_of("sources", device)
        inputs = to_batch(self.sources, indices, device, random_state, steps)
        n_written = self.written.lengths[indices] - 1
        starts = self.written.starts[indices]
        written = self.steps_of("written", device)
        steps = range(int(n_written.max()))
        given, wanted = (
            written.take(starts + shift, n_written, steps)[:, :, 0].T.long()
            for shift in (0, 1)
        )
        steps = torch.arange(len(steps), device=device)
        ended = steps >= torch.from_numpy(n_written).to(device)[:, None]
        return {**inputs, "y": given.contiguous()}, (
            wanted.masked_fill(ended, NO_CODE),
            self.weights_of(indices),
        )
