"""Random masks that depend on their use, not on previous draws."""

import math
from dataclasses import dataclass, field

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio, odd
FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
MASK = 2**64 - 1
# Elements computed at once: few calls of NumPy, intermediates stay in the cache.
BLOCK = 8192
COUNTERS = np.arange(1, BLOCK + 1, dtype=np.uint64) * np.uint64(GOLDEN)
# Distance between the site numbers of successive draws of one site within an update.
SITES = 2**32


@dataclass(eq=False)
class CounterGenerator:
    """Draw dropout masks from a counter-based random number generator.

    Each bit is a hash of the seed, the update, the site and the position in the mask,
    so masks do not depend on the order or the thread in which they are drawn, and
    compiled kernels can compute any part of one. With unsigned integers of 64
    bits that wrap around, ``mix`` the finalizer of SplitMix64, and ``GOLDEN =
    0x9E3779B97F4A7C15``::

        stream = mix(mix(seed + GOLDEN * (update + 1)) + GOLDEN * (site + 1))
        bits = mix(stream + GOLDEN * (i + 1)) >> 40
        dropped = bits < floor(p * 2**24 + 0.5)

    for element ``i`` in row-major order. The second mask of the same site within one
    update, for example of a second pass, has ``site + 2**32`` in place of ``site``, and
    so on.

    Parameters
    ----------
    seed : int
        In [0, 2**64).
    first_row, row_step : int, default=0, 1
        Row of the first sequence in masks that have a row per sequence, and distance
        between the rows of two that follow one another: 0 and 1, but for a part of a
        batch whose masks are to be those of the whole batch.

    Attributes
    ----------
    update : int
        Number of updates so far, which selects the masks.

    References
    ----------
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Steele,
    Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Examples
    --------
    >>> from sklearn_rnn.kernels import CounterGenerator
    >>> generator = CounterGenerator(seed=0)
    >>> generator.draw_mask((2, 4), site=0, p=0.5)
    array([[ True, False,  True, False],
           [False,  True, False,  True]])
    """

    seed: int
    first_row: int = 0
    row_step: int = 1
    update: int = field(default=0, init=False)
    # By site, within the update in which masks were drawn last.
    _n_draws: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    _update_of_draws: int = field(default=0, init=False, repr=False)

    def stream(self, site: int, draw: int = 0) -> int:
        """Return the start of a mask's counter, in [0, 2**64).

        Parameters
        ----------
        site : int
            Index of the dropout in the network, from 0.
        draw : int, default=0
            Index of the mask of that site within this update, from 0.
        """
        of_update = _mix(self.seed + GOLDEN * (self.update + 1))
        return _mix(of_update + GOLDEN * (site + SITES * draw + 1))

    def draw_mask(
        self,
        shape: tuple[int, ...],
        site: int,
        p: float | np.ndarray,
        per_sequence: bool = False,
    ) -> np.ndarray:
        """Draw the next mask of a site within this update.

        Parameters
        ----------
        shape : tuple of int
            Shape of the mask. One with more rows begins with the same rows.
        site : int
            Index of the dropout in the network, from 0.
        p : float or ndarray of shape `shape`
            Probability that an element is dropped, in [0, 1].
        per_sequence : bool, default=False
            Whether the mask has a row per sequence of the batch; then `p` is a float.

        Returns
        -------
        ndarray of bool of shape `shape`
            True where an element is dropped.
        """
        if per_sequence and (self.first_row, self.row_step) != (0, 1):
            n_rows = self.first_row + self.row_step * shape[0]
            mask = self._draw((n_rows, *shape[1:]), site, p)
            return mask[self.first_row :: self.row_step]
        return self._draw(shape, site, p)

    def _draw(self, shape, site, p):
        if self._update_of_draws != self.update:
            self._n_draws, self._update_of_draws = {}, self.update
        draw = self._n_draws.get(site, 0)
        self._n_draws[site] = draw + 1
        stream = self.stream(site, draw)
        thresholds = np.floor(np.asarray(p) * 2**24 + 0.5).astype(np.uint64)
        thresholds = np.broadcast_to(thresholds.reshape(-1), math.prod(shape))
        mask = np.empty(shape, dtype=bool)
        flat = mask.reshape(-1)
        bits = np.empty((2, min(BLOCK, flat.size)), dtype=np.uint64)
        for begin in range(0, flat.size, BLOCK):
            part = flat[begin : begin + BLOCK]
            z, shifted = bits[:, : part.size]
            start = (stream + GOLDEN * begin) & MASK
            _fill(part, z, shifted, start, thresholds[begin : begin + BLOCK])
        return mask


def _mix(z: int) -> int:
    """Return the SplitMix64 finalizer of a Python integer."""
    z &= MASK
    z = (z ^ z >> 30) * FACTORS[0] & MASK
    z = (z ^ z >> 27) * FACTORS[1] & MASK
    return z ^ z >> 31


def _fill(mask, z, shifted, start, thresholds):
    """Fill a block of a mask; `z` and `shifted` are workspace of its size."""
    np.add(COUNTERS[: z.size], np.uint64(start), out=z)
    for shift, factor in zip((30, 27), FACTORS, strict=True):
        z ^= np.right_shift(z, np.uint64(shift), out=shifted)
        z *= np.uint64(factor)
    z ^= np.right_shift(z, np.uint64(31), out=shifted)
    z >>= np.uint64(40)
    np.less(z, thresholds, out=mask)
