"""Where the steps of sequences lie while batches of them are gathered."""

import math

import numpy as np
import torch

from sklearn_rnn.sequences import difference_type

# Steps are kept on a GPU where they take at most this share of the memory that is
# free there: what training itself needs grows with batch, length and units.
SHARE_OF_MEMORY = 0.4
# Rows put onto a device at a time.
CHUNK_ROWS = 65_536


class StepsOnHost:
    """Steps that NumPy gathers, and that then go to a device.

    Parameters
    ----------
    sequences : SequenceArray
        What is read, or others over the same rows.
    device : torch.device or str
        Where batches go.
    """

    def __init__(self, sequences, device):
        self.device = torch.device(device)
        self._values = sequences.values

    def gather(self, sequences, indices):
        """Gather sequences into a padded batch, time first.

        Parameters
        ----------
        sequences : SequenceArray
            Over the same rows, read through the same affine map.
        indices : ndarray of int
            Which of them.

        Returns
        -------
        x : Tensor of shape (T, N, n_features)
            As ``SequenceArray.gather`` gives it, on the device.
        lengths : LongTensor of shape (N,) or None
            Steps of each sequence; None where all have T.
        """
        x = torch.from_numpy(sequences.gather(indices)).to(self.device)
        if sequences.common_length is not None:
            return x, None
        lengths = sequences.lengths_of(indices)
        if (lengths == len(x)).all():
            return x, None
        return x, torch.from_numpy(lengths).to(self.device)

    def take(self, starts, lengths, steps):
        """Read some steps of sequences, without the affine map.

        Parameters
        ----------
        starts, lengths : ndarray of int of shape (N,)
            First row and number of steps of each sequence.
        steps : range
            Which steps, from 0; after a sequence's end its last one is read.

        Returns
        -------
        Tensor of shape (n_steps, N, n_features)
            On the device.
        """
        steps = np.arange(steps.start, steps.stop)[:, None]
        rows = starts + np.minimum(steps, lengths - 1)
        return torch.from_numpy(self._values.take(rows, axis=0)).to(self.device)


class StepsOnDevice:
    """Steps that lie on a device and are gathered there.

    What they give is what `StepsOnHost` gives, number for number.

    Parameters
    ----------
    sequences : SequenceArray
        What is read, or others over the same rows.
    device : torch.device or str
        Where steps and batches are.
    """

    def __init__(self, sequences, device):
        self.device = torch.device(device)
        self._values = _put(sequences.values, self.device)
        dtype, scaling = sequences.dtype, sequences.transforms.scaling
        if sequences.differenced is not None:
            dtype = difference_type(dtype)
        self._type = torch.from_numpy(np.empty(0, dtype)).dtype
        self._center, self._factor, self._anchored = (
            None if numbers is None else torch.tensor(numbers, device=self.device)
            for numbers in (
                scaling and scaling.center,
                scaling and scaling.factor,
                sequences.differenced,
            )
        )

    def gather(self, sequences, indices):
        """Gather sequences into a padded batch, time first.

        Parameters
        ----------
        sequences : SequenceArray
            Over the same rows, read through the same affine map.
        indices : ndarray of int
            Which of them.

        Returns
        -------
        x : Tensor of shape (T, N, n_features)
            As ``SequenceArray.gather`` gives it, on the device.
        lengths : LongTensor of shape (N,) or None
            Steps of each sequence; None where all have T.
        """
        chosen = sequences[indices]
        x, lengths = self._take(chosen.starts, chosen.lengths, range(chosen.shape[1]))
        if self._center is not None:
            x = (x.to(self._type) - self._center) * self._factor
        if self._anchored is not None:
            x = x.to(self._type)
            # Padding repeats the last step, so that stands in the last row.
            x[:, :, self._anchored] -= x[-1:, :, self._anchored]
            units = chosen.transforms.differencing.units
            if units is not None:
                x[:, :, self._anchored] /= torch.from_numpy(units).to(self.device)
        return x, lengths if chosen.common_length is None else None

    def take(self, starts, lengths, steps):
        """Read some steps of sequences, without the affine map.

        Parameters
        ----------
        starts, lengths : ndarray of int of shape (N,)
            First row and number of steps of each sequence.
        steps : range
            Which steps, from 0; after a sequence's end its last one is read.

        Returns
        -------
        Tensor of shape (n_steps, N, n_features)
            On the device.
        """
        return self._take(starts, lengths, steps)[0]

    def _take(self, starts, lengths, steps):
        # All that a batch brings from the host.
        starts, lengths = torch.from_numpy(np.stack([starts, lengths])).to(self.device)
        steps = torch.arange(steps.start, steps.stop, device=self.device)[:, None]
        return self._values[starts + torch.minimum(steps, lengths - 1)], lengths


def _put(values, device):
    """Copy an array, which may be read-only or lie in a file, to a device."""
    like = torch.from_numpy(values[:0].copy())
    copy = torch.empty(values.shape, dtype=like.dtype, device=device)
    for begin in range(0, len(values), CHUNK_ROWS):
        rows = values[begin : begin + CHUNK_ROWS].copy()
        copy[begin : begin + len(rows)] = torch.from_numpy(rows)
    return copy


def steps_for(sequences, device, n_passes=math.inf):
    """Choose where the steps of sequences lie.

    Parameters
    ----------
    sequences : SequenceArray
        What is read.
    device : torch.device or str
        Where batches go.
    n_passes : float, default=inf
        How often each sequence is read. Few windows over a long table, read once,
        are less than the table.

    Returns
    -------
    StepsOnHost or StepsOnDevice
        The latter on a GPU with room for them, but not for steps that are drawn
        anew in training, which the host does.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import steps_for
    >>> X = check_sequences([np.zeros((5, 2)), np.zeros((3, 2))])
    >>> steps = steps_for(X, "cpu")
    >>> x, lengths = steps.gather(X, np.array([1, 0]))
    >>> x.shape, lengths
    (torch.Size([5, 2, 2]), tensor([3, 5]))
    """
    device = torch.device(device)
    if device.type == "cuda" and sequences.transforms.augmentation is None:
        is_read_often = n_passes * sequences.lengths.sum() >= len(sequences.values)
        n_free, _ = torch.cuda.mem_get_info(device)
        if is_read_often and sequences.values.nbytes <= SHARE_OF_MEMORY * n_free:
            return StepsOnDevice(sequences, device)
    return StepsOnHost(sequences, device)
