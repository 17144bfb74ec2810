"""Batches of sequences of nearly equal length."""

import numpy as np

# Sequences that are longer than this and so many times the median length go into
# smaller batches: of one long line and many short ones, padding would fill memory.
LONG_STEPS, LONG_FACTOR = 1000, 8
# Sequences are sorted by length among this many batches at a time: enough to
# make padding rare, few enough that every epoch has other batches.
BATCHES_PER_BUCKET = 32


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


def blocks_by_length(lengths, n_sequences, n_steps):
    """Yield the rows of blocks of sequences of similar length, the shortest first.

    A block has at most `n_sequences`, and with padding at most `n_steps`; a longer
    sequence is alone.

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
