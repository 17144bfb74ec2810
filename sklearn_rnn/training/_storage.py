"""Where the time steps of sequences are stored while batches are gathered."""

import math

import numpy as np
import torch

# Steps are stored on a GPU where they take at most this fraction of its free memory:
# what training itself needs grows with batch size, length and units.
MEMORY_FRACTION = 0.4
# Rows that are copied to a device at a time.
CHUNK_ROWS = 65_536


class StepStorage:
    """The steps of sequences, on the host or on a device, where they are gathered.

    Both give the same values. NumPy gathers on the host, where values may be
    read-only or in a memory-mapped file, and only the batch goes to the device.

    Parameters
    ----------
    sequences : SequenceArray
        What is read, or others over the same rows.
    device : torch.device or str
        Where batches go.
    on_device : bool, default=False
        Whether the steps are copied to the device.
    """

    def __init__(self, sequences, device, on_device=False):
        self.device = torch.device(device)
        self.on_device = on_device
        self._values = sequences.values
        if not on_device:
            return
        self._values = _copy_to_device(sequences.values, self.device)
        dtype, scaling = sequences.dtype, sequences.transforms.scaling
        if sequences.differenced is not None:
            dtype = np.promote_types(dtype, np.float32)
        self._dtype = torch.from_numpy(np.empty(0, dtype)).dtype
        self._center, self._factor, self._differenced = (
            None if array is None else torch.tensor(array, device=self.device)
            for array in (
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
            Over the same rows, with the same scaling.
        indices : ndarray of int
            Those of the batch.

        Returns
        -------
        x : Tensor of shape (T, N, n_features)
            As ``SequenceArray.gather`` gives it, on the device.
        lengths : LongTensor of shape (N,) or None
            Steps of each sequence; None where all have T.
        """
        if self.on_device:
            return self._gather_on_device(sequences[indices])
        x = torch.from_numpy(sequences.gather(indices)).to(self.device)
        if sequences.common_length is not None:
            return x, None
        lengths = sequences.lengths_of(indices)
        if (lengths == len(x)).all():
            return x, None
        return x, torch.from_numpy(lengths).to(self.device)

    def _gather_on_device(self, batch):
        x, lengths = self._load_on_device(
            batch.starts, batch.lengths, range(batch.shape[1])
        )
        if self._center is not None:
            x = (x.to(self._dtype) - self._center) * self._factor
        if self._differenced is not None:
            x = x.to(self._dtype)
            # Padding repeats the last step, which therefore is in the last row.
            x[:, :, self._differenced] -= x[-1:, :, self._differenced]
            units = batch.transforms.differencing.units
            if units is not None:
                x[:, :, self._differenced] /= torch.from_numpy(units).to(self.device)
        return x, lengths if batch.common_length is None else None

    def load(self, starts, lengths, steps):
        """Load a range of steps, (n_steps, N, n_features), without scaling.

        After its end a sequence repeats its last step.
        """
        if self.on_device:
            return self._load_on_device(starts, lengths, steps)[0]
        offsets = np.arange(steps.start, steps.stop)[:, None]
        rows = starts + np.minimum(offsets, lengths - 1)
        return torch.from_numpy(self._values.take(rows, axis=0)).to(self.device)

    def _load_on_device(self, starts, lengths, steps):
        # One transfer: all that a batch needs from the host.
        starts, lengths = torch.from_numpy(np.stack([starts, lengths])).to(self.device)
        offsets = torch.arange(steps.start, steps.stop, device=self.device)[:, None]
        return self._values[starts + torch.minimum(offsets, lengths - 1)], lengths


def _copy_to_device(values, device):
    """Copy an array, which may be read-only or memory-mapped, to a device."""
    like = torch.from_numpy(values[:0].copy())
    copy = torch.empty(values.shape, dtype=like.dtype, device=device)
    for begin in range(0, len(values), CHUNK_ROWS):
        rows = values[begin : begin + CHUNK_ROWS].copy()
        copy[begin : begin + len(rows)] = torch.from_numpy(rows)
    return copy


def store_steps(sequences, device, n_passes=math.inf):
    """Return the storage of the steps of sequences.

    It is on a GPU with enough free memory, unless all of `n_passes` read less than the
    values (a few windows over a long table), or steps are augmented, on the host.
    """
    device = torch.device(device)
    if device.type == "cuda" and sequences.transforms.augmentation is None:
        is_read_often = n_passes * sequences.lengths.sum() >= len(sequences.values)
        n_free, _ = torch.cuda.mem_get_info(device)
        if is_read_often and sequences.values.nbytes <= MEMORY_FRACTION * n_free:
            return StepStorage(sequences, device, on_device=True)
    return StepStorage(sequences, device)
