"""Whole batches, gathered at once and bucketed by length."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from sklearn_rnn.sequences import SequenceArray
from sklearn_rnn.training._losses import has_target
from sklearn_rnn.training._steps import StepsOnHost, steps_for

# Sequences that are longer than this and so many times the median length go into
# smaller batches: of one long line and many short ones, padding would fill memory.
LONG_STEPS, LONG_FACTOR = 1000, 8
# Sequences are sorted by length among this many batches at a time: enough to
# make padding rare, few enough that every epoch mixes anew.
BATCHES_PER_BUCKET = 32


class Batched:
    """Part of a dataset that knows its `lengths` and `weights`."""

    @cached_property
    def _steps(self):
        return {}

    def steps_of(self, name, device):
        """Return what gathers the steps of some of the dataset's sequences.

        Parameters
        ----------
        name : str
            The attribute that holds the sequences.
        device : torch.device or str
            Where batches go.

        Returns
        -------
        StepsOnHost or StepsOnDevice
            Made once, as long as the dataset lives.
        """
        key = name, device
        if key not in self._steps:
            self._steps[key] = steps_for(getattr(self, name), device)
        return self._steps[key]

    def by_length(self, rows):
        """Sort some sequences by length; of equals, the first one stays first.

        Parameters
        ----------
        rows : ndarray of int
            Which.

        Returns
        -------
        ndarray of int
            The same ones, the shortest first.
        """
        return rows[np.argsort(self.lengths[rows], kind="stable")]

    def weights_of(self, indices):
        """Return the weights of some sequences.

        Parameters
        ----------
        indices : ndarray of int
            Which.

        Returns
        -------
        Tensor of shape (n_indices,) or None
            None without weights.
        """
        if self.weights is None:
            return None
        return self.weights[torch.from_numpy(indices).to(self.weights.device)]


@dataclass(frozen=True)
class SequenceDataset(Batched):
    """What a network trains on or is judged by.

    Parameters
    ----------
    sequences : SequenceArray
        The inputs.
    targets : Tensor of shape (n_sequences,) or (n_sequences, n_outputs), \
or StepTargets
        Class codes or standardised numbers.
    weights : Tensor of shape (n_sequences,), default=None
        Sample weights of mean 1.
    """

    sequences: SequenceArray
    targets: "torch.Tensor | StepTargets"
    weights: torch.Tensor | None = None

    def __len__(self):
        return len(self.sequences)

    @property
    def lengths(self):
        """Steps of each sequence, ndarray of shape (n_sequences,)."""
        return self.sequences.lengths

    @property
    def n_targets(self):
        """Targets of each sequence's steps, (n_sequences,); None where it has one."""
        if not isinstance(self.targets, StepTargets):
            return None
        exists = has_target(self.targets.values).cpu().numpy()
        exists = exists.reshape(len(exists), -1).sum(axis=1)
        return np.add.reduceat(exists, np.cumsum(self.lengths) - self.lengths)

    def batch(self, indices, device, random_state=None):
        """Gather some sequences and their targets.

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
            Arguments of a network's ``forward``.
        targets_and_weights : tuple of Tensor
            As the loss takes them.
        """
        targets = self.targets[torch.from_numpy(indices)]
        steps = self.steps_of("sequences", device)
        inputs = to_batch(self.sequences, indices, device, random_state, steps)
        return inputs, (targets, self.weights_of(indices))

    def flat_targets(self):
        """Return all targets and weights, as `network_outputs` orders outputs.

        Returns
        -------
        targets : Tensor of shape (n_sequences, ...) or (n_steps, ...)
            Class codes or numbers.
        weights : Tensor of shape (n_sequences,) or (n_steps,), or None
            One for each of them.
        """
        if not isinstance(self.targets, StepTargets):
            return self.targets, self.weights
        weights = self.weights
        if weights is not None:
            weights = weights.repeat_interleave(self.targets.lengths)
        return self.targets.values, weights


# How class codes say that a step has no target; numbers say it with NaN.
NO_CODE = -1


class StepTargets:
    """A target for every step of every sequence.

    Parameters
    ----------
    values : Tensor of shape (n_steps,) or (n_steps, n_outputs)
        Class codes, -1 where a step has none, or numbers, NaN where there is
        none; all steps of the first sequence, then those of the second, ...
    lengths : Tensor of int64 of shape (n_sequences,)
        Steps of each sequence, on the device of `values`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import StepTargets
    >>> targets = StepTargets(torch.tensor([4, 5, 6]), torch.tensor([2, 1]))
    >>> targets[torch.tensor([1, 0])]
    tensor([[ 6, -1],
            [ 4,  5]])
    """

    def __init__(self, values, lengths):
        self.values = values
        self.lengths = lengths
        self.starts = lengths.cumsum(0) - lengths
        self.nothing = float("nan") if values.is_floating_point() else NO_CODE
        # To ask a GPU how long a batch is would be to wait for it.
        self._host_lengths = lengths.cpu()

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, indices):
        """Gather some sequences' targets, padded with "no target".

        Parameters
        ----------
        indices : Tensor of int64 of shape (N,)
            Which sequences.

        Returns
        -------
        Tensor of shape (N, T) or (N, T, n_outputs)
            T is the length of the longest of them.
        """
        longest = int(self._host_lengths[indices.cpu()].max())
        indices = indices.to(self.values.device)
        starts, lengths = self.starts[indices, None], self.lengths[indices, None]
        steps = torch.arange(longest, device=self.values.device)
        inside = steps < lengths
        targets = self.values[torch.where(inside, starts + steps, 0)]
        outside = ~inside.reshape(*inside.shape, *[1] * (targets.ndim - 2))
        return targets.masked_fill_(outside, self.nothing)


def to_batch(sequences, indices, device, random_state=None, steps=None):
    """Gather sequences into the arguments of a network's ``forward``.

    Parameters
    ----------
    sequences : SequenceArray
        Where to read.
    indices : ndarray of int
        What to read.
    device : torch.device or str
        Where the batch goes.
    random_state : numpy.random.RandomState, default=None
        Source of what varies in training; None reads sequences as they are.
    steps : StepsOnHost or StepsOnDevice, default=None
        What gathers them, if it was made before.

    Returns
    -------
    dict
        ``x`` of shape (N, T, n_features) and ``lengths``, None where all are
        of one length.

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
    if steps is None:
        steps = StepsOnHost(sequences, device)
    x, lengths = steps.gather(sequences, indices)
    # Gathered time first, as torch's recurrences read it: the transpose is a view.
    return {"x": x.transpose(0, 1), "lengths": lengths}


class BatchIterator:
    """Iterate over a dataset in batches of nearly equal size.

    Parameters
    ----------
    dataset : SequenceDataset, NextStepDataset or PairDataset
        What to iterate over: knows its `lengths`, and makes a ``batch``.
    batch_size : int
        Sequences a batch, at most.
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
        self._groups = self._group_by_length()

    def _group_by_length(self):
        """Return (sequences, batch size): usual ones, then twice as long ones, ..."""
        lengths = self.dataset.lengths
        usual = max(LONG_STEPS, LONG_FACTOR * np.median(lengths))
        if not self.shuffle or lengths.max() <= usual:
            return [(np.arange(len(lengths)), self.batch_size)]
        octave = np.ceil(np.log2(np.maximum(lengths / usual, 1))).astype(int)
        return [
            (np.flatnonzero(octave == k), max(1, self.batch_size >> k))
            for k in np.unique(octave)
        ]

    def __len__(self):
        return sum(-(-len(rows) // size) for rows, size in self._groups)

    def share_of_padding(self):
        """Compute which share of the steps of one pass is padding.

        Returns
        -------
        float
            Steps that are computed and thrown away, over all that are computed.
            Draws an order: call it on an iterator of its own.
        """
        lengths = self.dataset.lengths
        computed = sum(len(rows) * lengths[rows].max() for rows in self.index_batches())
        return 1 - lengths.sum() / computed

    def __iter__(self):
        for indices in self.index_batches():
            yield self.dataset.batch(indices, self.device, self.random_state)

    def index_batches(self):
        """Return which sequences are in each batch of the next pass.

        Returns
        -------
        list of ndarray of int
            In the order of the pass. Draws an order where it shuffles.
        """
        if not self.shuffle:
            return np.array_split(np.arange(len(self.dataset)), len(self))
        if self.shortest_first:
            self.shortest_first = False
            return self._sorted_batches()
        batches = [b for group in self._groups for b in self._shuffled(*group)]
        if self._is_of_one_length:
            return batches
        return [batches[i] for i in self.random_state.permutation(len(batches))]

    def _sorted_batches(self):
        return [
            batch
            for rows, size in self._groups
            for batch in np.array_split(
                self.dataset.by_length(rows), -(-len(rows) // size)
            )
        ]

    def _shuffled(self, rows, size):
        """Return batches of some sequences, each of nearly one length."""
        order = rows.copy()
        self.random_state.shuffle(order)
        n_batches = -(-len(order) // size)
        if self._is_of_one_length:
            return np.array_split(order, n_batches)
        bucket = size * BATCHES_PER_BUCKET
        order = np.concatenate(
            [
                self.dataset.by_length(part)
                for part in np.split(order, range(bucket, len(order), bucket))
            ]
        )
        return np.array_split(order, n_batches)


def blocks_by_length(lengths, n_sequences, n_steps):
    """Yield sequences of like length, a block at a time.

    Parameters
    ----------
    lengths : ndarray of int
        Of the sequences.
    n_sequences : int
        Sequences a block, at most.
    n_steps : int
        Steps a block, padding included, at most; a longer sequence is alone.

    Yields
    ------
    ndarray of int
        Which sequences, the shortest first.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.training import blocks_by_length
    >>> lengths = np.array([5, 1, 99, 2])
    >>> [rows.tolist() for rows in blocks_by_length(lengths, 3, n_steps=12)]
    [[1, 3], [0], [2]]
    """
    order = np.argsort(lengths, kind="stable")
    begin = 0
    while begin < len(order):
        candidates = order[begin : begin + n_sequences]
        padded = lengths[candidates] * np.arange(1, len(candidates) + 1)
        size = max(1, int((padded <= n_steps).sum()))
        yield order[begin : begin + size]
        begin += size
