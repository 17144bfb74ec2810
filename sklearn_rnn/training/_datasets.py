"""Sequences with targets and weights, in batches: for training and evaluation."""

from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from sklearn_rnn.sequences import SequenceArray, flat_rows
from sklearn_rnn.training._losses import NO_CODE, has_target
from sklearn_rnn.training._storage import StepStorage, store_steps

# Sequences that are longer than this and so many times the median length go into
# smaller batches: of one long line and many short ones, padding would fill memory.
LONG_STEPS, LONG_FACTOR = 1000, 8
# Sequences are sorted by length among this many batches at a time: enough to
# make padding rare, few enough that every epoch has other batches.
BATCHES_PER_BUCKET = 32


@dataclass(eq=False, repr=False)
class SequenceDataset:
    """Sequences with targets and weights, gathered into batches.

    Parameters
    ----------
    sequences : SequenceArray
        The inputs.
    targets : Tensor of shape (n_sequences,) or (n_sequences, n_outputs), \
StepTargets, WrittenTargets or TranscriptTargets
        Class codes or standardised values, one target per sequence; or an object that
        gathers targets of another kind.
    weights : Tensor of shape (n_sequences,), default=None
        Sample weights of mean 1.

    Attributes
    ----------
    lengths : ndarray of int of shape (n_sequences,)
        Steps of each sequence with its targets, by which batches are formed.
    n_targets : ndarray of int of shape (n_sequences,) or None
        Targets of each sequence; None where each has one.
    """

    sequences: SequenceArray
    targets: Any  # passed to callbacks as y
    weights: Any = None
    _storages: dict[Any, Any] = field(default_factory=dict, init=False)

    # Both are kept, as batches are formed of them in every epoch.

    @cached_property
    def lengths(self) -> np.ndarray:
        if isinstance(self.targets, WrittenTargets):
            written = self.targets.sequences.lengths
            return np.maximum(self.sequences.lengths, written)
        return self.sequences.lengths

    @cached_property
    def n_targets(self) -> np.ndarray | None:
        return getattr(self.targets, "n_targets", None)

    def __len__(self):
        return len(self.sequences)

    def select(self, rows):
        """Return some of the sequences, in the order of `rows`."""
        selected = self.with_weights(
            None if self.weights is None else self.weights[rows]
        )
        selected.sequences, selected.lengths = self.sequences[rows], self.lengths[rows]
        if isinstance(self.targets, torch.Tensor):
            selected.targets = self.targets[torch.from_numpy(rows)]
        elif self.targets is not None:
            selected.targets = self.targets.select(rows)
        if self.n_targets is not None:
            selected.n_targets = self.n_targets[rows]
        return selected

    def with_weights(self, weights):
        """Return the same sequences and targets with other weights."""
        other = copy(self)
        other.weights, other._storages = weights, {}
        return other

    def sort_by_length(self, rows):
        """Return the rows of some sequences, the shortest first.

        Those of one length are sorted by what is written for them, if anything is.
        """
        keys = [self.sequences.lengths[rows]]
        if isinstance(self.targets, WrittenTargets):
            keys.insert(0, self.targets.sequences.lengths[rows])
        return rows[np.lexsort(keys)]

    def batch(self, indices, device, random_state=None):
        """Gather some sequences and their targets.

        Parameters
        ----------
        indices : ndarray of int
            Those of the batch.
        device : torch.device or str
            Where the batch goes.
        random_state : numpy.random.RandomState, default=None
            Source of augmentation in training; None reads sequences as they are.

        Returns
        -------
        inputs : dict
            Arguments of a network's ``forward``.
        targets_and_weights : tuple
            As the loss takes them.
        """
        storage = _stored(self._storages, self.sequences, device)
        inputs = to_batch(self.sequences, indices, device, random_state, storage)
        if isinstance(self.targets, torch.Tensor):
            targets = self.targets[torch.from_numpy(indices)]
        else:
            targets, of_decoder = self.targets.gather(indices, device)
            inputs |= of_decoder
        return inputs, (targets, self._weights_at(indices))

    def _weights_at(self, indices):
        if self.weights is None:
            return None
        return self.weights[torch.from_numpy(indices).to(self.weights.device)]

    def flat_targets(self):
        """Return all targets and weights, in the order of `network_outputs`.

        Returns
        -------
        targets : Tensor of shape (n_sequences, ...) or (n_steps, ...)
            Class codes or values.
        weights : Tensor of shape (n_sequences,) or (n_steps,), or None
            One for each of them.
        """
        if not isinstance(self.targets, StepTargets):
            return self.targets, self.weights
        weights = self.weights
        if weights is not None:
            weights = weights.repeat_interleave(self.targets.lengths)
        return self.targets.values, weights


def _stored(storages, sequences, device):
    """Return what gathers the steps of sequences; kept by device in a dict."""
    if device not in storages:
        storages[device] = store_steps(sequences, device)
    return storages[device]


class StepTargets:
    """A target for every step of every sequence.

    Parameters
    ----------
    values : Tensor of shape (n_steps,) or (n_steps, n_outputs)
        Class codes, -1 where a step has none, or real values, NaN where there is
        none; all steps of the first sequence, then those of the second, ...
    lengths : Tensor of int64 of shape (n_sequences,)
        Steps of each sequence, on the device of `values`.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sklearn_rnn.training import StepTargets
    >>> targets = StepTargets(torch.tensor([4, 5, 6]), torch.tensor([2, 1]))
    >>> targets.gather(np.array([1, 0]))[0]
    tensor([[ 6, -1],
            [ 4,  5]])
    """

    def __init__(self, values, lengths):
        self.values = values
        self.lengths = lengths
        self.starts = lengths.cumsum(0) - lengths
        self._missing = float("nan") if values.is_floating_point() else NO_CODE
        # To ask a GPU for the length of a batch would wait for it.
        self._host_lengths = lengths.cpu().numpy()
        exists = has_target(values).cpu().numpy()
        exists = exists.reshape(len(exists), -1).sum(axis=1)
        starts = np.cumsum(self._host_lengths) - self._host_lengths
        self.n_targets = np.add.reduceat(exists, starts)

    def __len__(self):
        return len(self.lengths)

    def select(self, rows):
        """Return the targets of some sequences, in the order of `rows`."""
        lengths = self._host_lengths
        steps = flat_rows((lengths.cumsum() - lengths)[rows], lengths[rows])
        steps, rows = (
            torch.from_numpy(indices).to(self.values.device)
            for indices in (steps, rows)
        )
        return StepTargets(self.values[steps], self.lengths[rows])

    def gather(self, indices, device=None):
        """Gather the targets of sequences as (N, T, ...), padded with "none".

        They are on the device of all targets. The decoder's inputs are none.
        """
        longest = int(self._host_lengths[indices].max())
        indices = torch.from_numpy(indices).to(self.values.device)
        starts, lengths = self.starts[indices, None], self.lengths[indices, None]
        steps = torch.arange(longest, device=self.values.device)
        inside = steps < lengths
        targets = self.values[torch.where(inside, starts + steps, 0)]
        outside = ~inside.reshape(*inside.shape, *[1] * (targets.ndim - 2))
        return targets.masked_fill_(outside, self._missing), {}


class WrittenTargets:
    """Sequences of symbols that a decoder is to write.

    Parameters
    ----------
    sequences : SequenceArray
        Ids of the symbols to write, with a begin and an end symbol.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import SequenceDataset, WrittenTargets
    >>> targets = WrittenTargets(check_sequences([[2, 7, 3], [2, 8, 9, 3]]))
    >>> data = SequenceDataset(check_sequences([[4, 5], [6]]), targets)
    >>> inputs, (targets, _) = data.batch(np.array([0, 1]), "cpu")
    >>> inputs["y"], targets
    (tensor([[2, 7, 7],
            [2, 8, 9]]), tensor([[ 7,  3, -1],
            [ 8,  9,  3]]))
    """

    def __init__(self, sequences):
        self.sequences = sequences
        self.n_targets = sequences.lengths - 1
        self._storages: dict = {}

    def __len__(self):
        return len(self.sequences)

    def select(self, rows):
        """Return some of the targets, in the order of `rows`."""
        return WrittenTargets(self.sequences[rows])

    def gather(self, indices, device):
        """Gather targets, and as the decoder's inputs ``y`` the symbols before them."""
        n_written = self.n_targets[indices]
        starts = self.sequences.starts[indices]
        storage = _stored(self._storages, self.sequences, device)
        steps = range(int(n_written.max()))
        previous, following = (
            storage.load(starts + shift, n_written, steps)[:, :, 0].T.long()
            for shift in (0, 1)
        )
        targets = following.masked_fill(_after_end(n_written, steps, device), NO_CODE)
        return targets, {"y": previous.contiguous()}


class Transcripts(NamedTuple):
    """The targets of a batch of frames.

    Attributes
    ----------
    classes : LongTensor of shape (N, S)
        Classes of the symbols, from 1; padded with -1.
    n_symbols : LongTensor of shape (N,)
        Symbols of each transcript; there may be none.
    n_frames : LongTensor of shape (N,)
        Frames of each sequence in the network's outputs.
    """

    classes: torch.Tensor
    n_symbols: torch.Tensor
    n_frames: torch.Tensor


class TranscriptTargets:
    """Transcripts of sequences of frames, not aligned.

    Parameters
    ----------
    rows : list of ndarray of int
        Classes of each transcript's symbols, from 1.
    n_frames : ndarray of int of shape (n_sequences,)
        Frames of outputs that the network has for each sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.training import TranscriptTargets
    >>> rows = [np.array([2, 1]), np.array([3])]
    >>> targets = TranscriptTargets(rows, n_frames=np.array([5, 3]))
    >>> targets.gather(np.array([0, 1]), "cpu")[0].classes
    tensor([[ 2,  1],
            [ 3, -1]])
    """

    def __init__(self, rows, n_frames):
        self.rows = rows
        self.n_frames = n_frames
        self.n_symbols = np.array([len(row) for row in rows])
        # The end of a transcript counts as one: that no other symbol follows.
        self.n_targets = self.n_symbols + 1

    def __len__(self):
        return len(self.rows)

    def select(self, rows):
        """Return some of the transcripts, in the order of `rows`."""
        return TranscriptTargets([self.rows[i] for i in rows], self.n_frames[rows])

    def gather(self, indices, device):
        """Gather `Transcripts`; the decoder's inputs are none."""
        n_symbols = self.n_symbols[indices]
        n_frames = self.n_frames[indices]
        classes = np.full((len(indices), n_symbols.max()), NO_CODE)
        for row, i in zip(classes, indices, strict=True):
            row[: self.n_symbols[i]] = self.rows[i]
        arrays = (torch.from_numpy(a) for a in (classes, n_symbols, n_frames))
        return Transcripts(*(array.to(device) for array in arrays)), {}


@dataclass(eq=False, repr=False)
class NextStepDataset(SequenceDataset):
    """Sequences as inputs, and shifted by one step as targets.

    A batch of sequences that are longer than `chunk_size` is gathered chunk by chunk
    while it is used, so that memory does not grow with their length.

    Parameters
    ----------
    sequences : SequenceArray
        At least two steps each: all but the last are inputs, all but the first
        are targets. Ids of symbols, or frames of zeros and ones.
    weights : Tensor of shape (n_sequences,), default=None
        Sample weights of mean 1.
    chunk_size : int, default=None
        Maximum number of steps of a batch that is gathered at once; None gathers all.
    of_frames : bool, default=False
        Whether steps are frames, and not ids.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import NextStepDataset
    >>> data = NextStepDataset(check_sequences([[7, 5, 6], [7, 8]]))
    >>> inputs, (targets, _) = data.batch(np.array([0, 1]), "cpu")
    >>> inputs["x"][:, :, 0], targets
    (tensor([[7, 5],
            [7, 7]]), tensor([[ 5,  6],
            [ 8, -1]]))
    """

    targets: None = field(default=None, init=False)
    chunk_size: int | None = None
    of_frames: bool = False

    @cached_property
    def lengths(self) -> np.ndarray:
        return self.sequences.lengths - 1

    @cached_property
    def n_targets(self) -> np.ndarray:
        return self.lengths

    def batch(self, indices, device, random_state=None):
        """Gather some sequences and their targets; symbols are not augmented."""
        x, targets = self.gather(indices, device)
        if self.chunk_size is None or x.shape[1] <= self.chunk_size:
            x, targets = x[:, :], targets[:, :]
        lengths = self.lengths[indices]
        is_ragged = lengths.min() < x.shape[1]
        lengths = torch.from_numpy(lengths).to(device) if is_ragged else None
        return {"x": x, "lengths": lengths}, (targets, self._weights_at(indices))

    def gather(self, indices, device):
        """Return the inputs and targets of some sequences as `LazyBatch` each."""
        storage = _stored(self._storages, self.sequences, device)
        x = LazyBatch(self.sequences, indices, storage)
        kind = "frames" if self.of_frames else "ids"
        return x, LazyBatch(self.sequences, indices, storage, targets=kind)


class LazyBatch:
    """A padded batch of shape (N, T, ...) whose steps are gathered when sliced.

    Parameters
    ----------
    sequences : SequenceArray
        What is read.
    indices : ndarray of int
        The sequences of the batch.
    storage : StepStorage
        What gathers them.
    targets : {"ids", "frames"} or None, default=None
        What targets are, of which step t is the sequence's step t + 1, and -1
        after its end. None reads the steps as they are.
    """

    def __init__(self, sequences, indices, storage, targets=None):
        self.storage = storage
        self.starts = sequences.starts[indices] + (targets is not None)
        self.lengths = sequences.lengths[indices] - 1
        self.targets = targets
        self.shape = (len(indices), int(self.lengths.max()))

    def select(self, rows):
        """Return some sequences of the batch, padded as it is."""
        selected = copy(self)
        selected.starts, selected.lengths = self.starts[rows], self.lengths[rows]
        selected.shape = (len(selected.starts), *self.shape[1:])
        return selected

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        """Gather ``[:, begin:end]`` as (N, steps, n_features); ids as (N, steps)."""
        steps = range(self.shape[1])[key[1]]
        # Gathered time first, as torch's recurrences read it: the transpose is a view.
        gathered = self.storage.load(self.starts, self.lengths, steps).transpose(0, 1)
        if self.targets is None:
            return gathered
        ended = _after_end(self.lengths, steps, self.storage.device)
        targets = gathered.long().masked_fill(ended[:, :, None], NO_CODE)
        return targets.squeeze(2) if self.targets == "ids" else targets


class BatchIterator:
    """Iterate over a dataset in batches of nearly equal size.

    Parameters
    ----------
    dataset : SequenceDataset
        What to iterate over.
    batch_size : int
        Maximum number of sequences per batch.
    shuffle : bool
        Whether each pass has a new order. Sequences of unequal length are
        then batched with others of about their length.
    random_state : numpy.random.RandomState
        Source of the order.
    device : torch.device or str
        Where batches go.
    shortest_first : bool, default=False
        Whether the first shuffled pass goes from the shortest sequences to the
        longest instead (SortaGrad).

    References
    ----------
    Amodei et al., "Deep Speech 2: end-to-end speech recognition in English and
    Mandarin", ICML 2016 (shortest first).

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import BatchIterator, SequenceDataset
    >>> X = check_sequences(np.zeros((7, 3)))
    >>> data = SequenceDataset(X, torch.zeros(7))
    >>> batches = BatchIterator(data, 4, True, np.random.RandomState(0), "cpu")
    >>> [len(y) for x, (y, weights) in batches]
    [4, 3]
    """

    def __init__(
        self,
        dataset,
        batch_size,
        shuffle,
        random_state,
        device,
        shortest_first=False,
    ):
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.random_state = random_state
        self.device = device
        self.shortest_first = shortest_first
        lengths = dataset.lengths
        self._is_of_one_length = lengths.min() == lengths.max()
        # Pairs of rows and batch size: usual sequences, then twice as long ones, ...
        self._groups = [(np.arange(len(lengths)), batch_size)]
        usual = max(LONG_STEPS, LONG_FACTOR * np.median(lengths))
        if shuffle and lengths.max() > usual:
            octave = np.ceil(np.log2(np.maximum(lengths / usual, 1))).astype(int)
            self._groups = [
                (np.flatnonzero(octave == k), max(1, batch_size >> k))
                for k in np.unique(octave)
            ]

    def __len__(self):
        return sum(-(-len(rows) // size) for rows, size in self._groups)

    def __iter__(self):
        for indices in self.index_batches():
            yield self.dataset.batch(indices, self.device, self.random_state)

    def index_batches(self):
        """Return the rows of each batch of the next pass, a list of int arrays.

        Draws an order where it shuffles.
        """
        if not self.shuffle:
            return np.array_split(np.arange(len(self.dataset)), len(self))
        if self.shortest_first:
            self.shortest_first = False
            return self._sorted_batches()
        batches = []
        for rows, size in self._groups:
            order = rows.copy()
            self.random_state.shuffle(order)
            if not self._is_of_one_length:  # batches each of nearly one length
                bucket = size * BATCHES_PER_BUCKET
                buckets = np.split(order, range(bucket, len(order), bucket))
                order = np.concatenate(
                    [self.dataset.sort_by_length(b) for b in buckets]
                )
            batches += np.array_split(order, -(-len(order) // size))
        if self._is_of_one_length:
            return batches
        return [batches[i] for i in self.random_state.permutation(len(batches))]

    def _sorted_batches(self):
        return [
            batch
            for rows, size in self._groups
            for batch in np.array_split(
                self.dataset.sort_by_length(rows), -(-len(rows) // size)
            )
        ]


def _after_end(lengths, steps, device):
    """Return which of the steps are after the ends of sequences, (N, steps)."""
    steps = torch.arange(steps.start, steps.stop, device=device)
    return steps >= torch.from_numpy(lengths).to(device)[:, None]


def min_frames(classes):
    """Return how many frames a transcript needs at least.

    One per symbol, one more per blank between equal neighbours, and at least one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.training import min_frames
    >>> min_frames(np.array([5, 5, 2]))
    4
    """
    return max(1, len(classes) + int((classes[1:] == classes[:-1]).sum()))


def to_batch(sequences, indices, device, random_state=None, storage=None):
    """Gather sequences into the arguments of a network's ``forward``.

    That is ``x`` of shape (N, T, n_features) and ``lengths``, None where all are of one
    length. With `random_state` sequences are augmented, as in training.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import to_batch
    >>> X = check_sequences([np.zeros((5, 2)), np.zeros((3, 2))])
    >>> batch = to_batch(X, np.array([0, 1]), "cpu")
    >>> batch["x"].shape, batch["lengths"]
    (torch.Size([2, 5, 2]), tensor([5, 3]))
    """
    if random_state is not None and sequences.transforms.augmentation is not None:
        sequences = sequences.augment(indices, random_state)
        indices = np.arange(len(indices))
    if storage is None:
        storage = StepStorage(sequences, device)
    x, lengths = storage.gather(sequences, indices)
    # Gathered time first, as torch's recurrences read it: the transpose is a view.
    return {"x": x.transpose(0, 1), "lengths": lengths}


def count_segments(lengths, n_streams, shortest):
    """Choose how many segments each sequence is cut into, to be read side by side.

    One long text is learned from many positions at once; within each segment the
    state is carried from chunk to chunk. There are at most `n_streams` segments of
    sequences that are long enough to be cut, of at least `shortest` steps.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.training import count_segments
    >>> count_segments(np.array([900, 90, 10]), n_streams=10, shortest=50)
    array([9, 1, 1])
    """
    n_steps = max(1, int(lengths.sum()))
    # Multiplied by at most n_steps, so that no product overflows.
    n_segments = min(n_streams, n_steps) * lengths // n_steps
    return np.maximum(1, np.minimum(n_segments, lengths // shortest))
