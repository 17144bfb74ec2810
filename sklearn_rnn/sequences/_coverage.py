"""Which rows sequences cover, and how often: a block of rows at a time."""

from bisect import bisect_left

import numpy as np

# Sequences looked at a time, by what looks at all of them.
SEQUENCES_A_BLOCK = 2**17


def coverage_blocks(starts, lengths, n_rows, size, weights=None):
    """Yield how often rows are covered, in blocks, in order.

    No array as long as the series is made, nor, where sequences stand in the order
    of their rows, one for all sequences: beside short windows over a series either
    would be as large as the series.

    Parameters
    ----------
    starts, lengths : ndarray of int of shape (n_sequences,)
        First row and number of steps of each sequence.
    n_rows : int
        Rows of the series.
    size : int
        Rows a block, at most.
    weights : ndarray of shape (n_sequences,), default=None
        One weight a sequence; None counts each as 1.

    Yields
    ------
    begin : int
        First row of the block.
    counts : ndarray of int of shape (n_block_rows,)
        Sequences over each row.
    sums : ndarray of float64 of shape (n_block_rows,)
        Their weights, summed.
    """
    starting = _Places(starts, None, weights)
    ending = _Places(starts, lengths, weights)
    count, total = 0, 0.0
    for begin in range(0, n_rows, size):
        n_block_rows = min(size, n_rows - begin)
        started, begun_weights = starting.until(begin + n_block_rows)
        ended, ended_weights = ending.until(begin + n_block_rows)
        counts = np.bincount(started - begin, minlength=n_block_rows)
        counts -= np.bincount(ended - begin, minlength=n_block_rows)
        counts[0] += count
        np.cumsum(counts, out=counts)
        count = counts[-1]
        if weights is None:
            yield begin, counts, counts.astype(np.float64)
            continue
        sums = np.zeros(n_block_rows)
        np.add.at(sums, started - begin, begun_weights)
        np.subtract.at(sums, ended - begin, ended_weights)
        sums[0] += total
        np.cumsum(sums, out=sums)
        total = sums[-1]
        yield begin, counts, sums


def are_apart(starts, lengths):
    """Tell whether each sequence begins after the one in front of it ends.

    Parameters
    ----------
    starts, lengths : ndarray of int of shape (n_sequences,)
        First row and number of steps of each sequence.

    Returns
    -------
    bool
        True proves that no two sequences share a row, and none comes twice.
    """
    return all(
        (starts[b + 1 : e + 1] >= starts[b:e] + lengths[b:e]).all()
        for b, e in blocks(len(starts) - 1, SEQUENCES_A_BLOCK)
    )


def blocks(n, size):
    """Yield the bounds of blocks of at most `size` of `n` things.

    Parameters
    ----------
    n, size : int
        How many there are, and how many a block has.

    Yields
    ------
    begin, end : int
        Of each block.

    Examples
    --------
    >>> from sklearn_rnn.sequences import blocks
    >>> list(blocks(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    for begin in range(0, n, size):
        yield begin, min(begin + size, n)


class _Places:
    """First rows of sequences, or the rows after their last, from low to high."""

    def __init__(self, starts, lengths, weights):
        self.starts, self.lengths, self.weights = starts, lengths, weights
        self.done = 0
        if self._in_order():
            return
        places = starts if lengths is None else starts + lengths
        self.lengths = None
        if weights is None:
            self.starts = np.sort(places)
            return
        order = np.argsort(places, kind="stable")
        self.starts, self.weights = places[order], weights[order]

    def _in_order(self):
        return all(
            (np.diff(self._read(b, e + 1)) >= 0).all()
            for b, e in blocks(len(self.starts) - 1, SEQUENCES_A_BLOCK)
        )

    def _read(self, begin, end):
        places = self.starts[begin:end]
        return places if self.lengths is None else places + self.lengths[begin:end]

    def _at(self, i):
        return self.starts[i] + (0 if self.lengths is None else self.lengths[i])

    def until(self, row):
        """Return the next places, those before `row`, and their weights."""
        begin, n = self.done, len(self.starts)
        end = self.done = bisect_left(range(n), row, lo=begin, key=self._at)
        weights = None if self.weights is None else self.weights[begin:end]
        return self._read(begin, end), weights
