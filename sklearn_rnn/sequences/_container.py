"""SequenceArray: every shape of sequence data in one container."""

from collections.abc import Iterable, Iterator
from copy import copy
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._arrays import (
    LENGTH_TYPES,
    difference_type,
    numbers,
    read_only,
    row_numbers,
    wide,
)
from sklearn_rnn.sequences._coverage import (
    SEQUENCES_A_BLOCK,
    are_apart,
    blocks,
    coverage_blocks,
)

# np.asarray on a container writes every step out; above this many bytes that
# is a mistake more often than a wish.
MAX_DENSE_BYTES = 1_000_000_000

# Rows and numbers read at a time by anything that scans a series, so that its
# temporary arrays stay small beside the series itself.
CHUNK_ROWS = 65_536
CHUNK_NUMBERS = 2**20

# Standard deviations below the first are computed from deviations in another unit;
# below the second, 1 / scale is infinite, and a feature counts as constant.
SMALL_SCALE, SMALLEST_SCALE = 1e-140, 1e-300
UNIT_OF_SMALL = 2.0**600

# What a SequenceArray is made from.
FIELDS = (
    "values",
    "starts",
    "lengths",
    "feature_names",
    "center",
    "factor",
    "moments",
    "anchored",
    "units",
    "tokens",
    "variation",
    "categories",
)


class SequenceArray:
    """Sequences that share one table of steps.

    All steps of all sequences stand in one flat table, `values`; sequence *i*
    is its rows ``starts[i] : starts[i] + lengths[i]``. A 3-D array, a ragged
    list and overlapping windows over one series are all the same thing in
    it, and memory is that of the table, never windows times length.

    Indexing selects sequences and copies no steps, so cross-validation
    splits are cheap. An integer gives one sequence as an array.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        The steps. Read-only from here on. Integers above 2**53 are computed with as
        the nearest float64: take the difference from a first value where small
        differences of large ones matter.
    starts : array-like of int of shape (n_sequences,)
        First row of each sequence.
    lengths : array-like of int of shape (n_sequences,)
        Number of steps of each sequence, at least 1.
    feature_names : sequence of str, default=None
        One name a feature.
    center, factor : ndarray of shape (n_features,), default=None
        An affine map, ``(values - center) * factor``, applied whenever steps
        are read.
    moments : ndarray of int of shape (n_rows,), or range, default=None
        When each row was, for the rows of time series: rows of one moment
        have one number, later ones a higher. ``range(n_rows)`` says that rows
        stand in the order of time, and takes no memory; it is read as an
        array. None if there is no such order.
    anchored : ndarray of int, default=None
        Features that `gather` reads as differences from each sequence's last
        step.
    units : ndarray of shape (n_sequences, n_anchored), default=None
        What `gather` divides these differences by, for each sequence.
    tokens : ndarray of object of shape (n_tokens,), default=None
        What each id stands for, where the steps are ids of tokens: ``tokens[3]``
        is the word, character or symbol whose id is 3. A `SequenceTokenizer`
        sets it.
    variation : object, default=None
        What draws the steps anew while a network trains on them (see ``vary``);
        everything else reads the steps as they are. Has a method
        ``draw(starts, lengths, random_state)`` that returns the steps of
        sequences, one after another, in the units of `values`. A
        `LogMelSpectrogram` with augmentation sets it.
    categories : dict of int to ndarray of object, default=None
        What codes stand for, for features that hold categories, by their position:
        code k is ``categories[feature][k - 1]``, and code 0 a missing value. Codes
        are never scaled. A `SequenceWindower` sets it.

    Attributes
    ----------
    shape : tuple
        ``(n_sequences, longest, n_features)``.
    ndim : int
        Always 3.
    dtype : dtype
        Of the steps as they are read.

    Raises
    ------
    InvalidSequenceError
        If a sequence is empty or reaches outside of `values`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import SequenceArray
    >>> series = np.arange(6.0).reshape(-1, 1)
    >>> X = SequenceArray(series, starts=[0, 1, 2], lengths=[4, 4, 4])
    >>> X
    SequenceArray(3 sequences of 4 steps, 1 feature, float64)
    >>> X[1].ravel()
    array([1., 2., 3., 4.])
    >>> X[[0, 2]].shape
    (2, 4, 1)
    """

    ndim = 3

    def __init__(
        self,
        values: ArrayLike,
        starts: ArrayLike,
        lengths: ArrayLike,
        feature_names: Iterable[str] | None = None,
        center: np.ndarray | None = None,
        factor: np.ndarray | None = None,
        moments: np.ndarray | None = None,
        anchored: np.ndarray | None = None,
        units: np.ndarray | None = None,
        tokens: np.ndarray | None = None,
        variation: Any = None,
        categories: dict[int, np.ndarray] | None = None,
    ) -> None:
        self.values = read_only(numbers(values))
        # Windows over millions of rows bring them in few bits; all others see 64.
        self._starts = read_only(row_numbers(starts, "starts", len(self.values)))
        lengths = row_numbers(lengths, "lengths", len(self.values), LENGTH_TYPES)
        self._lengths = read_only(lengths)
        self.feature_names = None if feature_names is None else tuple(feature_names)
        self.center = center
        self.factor = factor
        self._moments = moments
        self.anchored = anchored
        self.units = units
        self.tokens = tokens
        self.variation = variation
        self.categories = categories or None
        # Known of sequences that were just read; selections compute their own.
        self._range = None
        self._check()

    def _check(self):
        if self._starts.ndim != 1 or self._starts.shape != self._lengths.shape:
            raise InvalidSequenceError(
                "starts and lengths must be 1-D and of one length, got shapes "
                f"{self._starts.shape} and {self._lengths.shape}."
            )
        for begin, end in blocks(len(self), SEQUENCES_A_BLOCK):
            self._check_rows(
                begin,
                self._starts[begin:end],
                self._lengths[begin:end],
                len(self.values),
            )
        names = self.feature_names
        if names is not None and len(names) != self.n_features:
            raise InvalidSequenceError(
                f"{len(names)} feature names for {self.n_features} features."
            )
        for feature in self.categories or ():
            if not 0 <= feature < self.n_features:
                raise InvalidSequenceError(
                    f"categories are given of feature {feature}, and there are "
                    f"{self.n_features} features, which count from 0."
                )

    @staticmethod
    def _check_rows(first, starts, lengths, n_rows):
        if (lengths < 1).any():
            place = int(np.argmax(lengths < 1))
            raise InvalidSequenceError(
                f"X[{first + place}] is an empty sequence; every sequence needs at "
                "least one step. Leave it out, and its target with it."
            )
        outside = (starts < 0) | (lengths > n_rows - starts)
        if outside.any():
            place = int(np.argmax(outside))
            raise InvalidSequenceError(
                f"sequence {first + place} covers rows {starts[place]} to "
                f"{int(starts[place]) + int(lengths[place])}, but values has "
                f"{n_rows} rows."
            )

    def _fields(self):
        """Return what the container is made from, as it is stored."""
        stored = vars(self)
        return {f: stored[f if f in stored else f"_{f}"] for f in FIELDS}

    def _replace(self, **changes):
        """Return a container with some fields changed and the rest shared."""
        return SequenceArray(**(self._fields() | changes))

    def __reduce__(self):
        # Through __init__, which makes the arrays read-only again.
        return SequenceArray, tuple(self._fields().values())

    @property
    def starts(self) -> np.ndarray:
        """First row of each sequence, int64 of shape (n_sequences,)."""
        return wide(self._starts)

    @property
    def lengths(self) -> np.ndarray:
        """Number of steps of each sequence, int64 of shape (n_sequences,)."""
        return wide(self._lengths)

    @property
    def moments(self) -> np.ndarray | None:
        """When each row was, int of shape (n_rows,), or None."""
        if not isinstance(self._moments, range):
            return self._moments
        return np.arange(len(self._moments))

    @property
    def knows_time(self) -> bool:
        """Whether the rows have `moments`."""
        return self._moments is not None

    def lengths_of(self, indices: Any) -> np.ndarray:
        """Return the number of steps of some sequences.

        Parameters
        ----------
        indices : int array, bool array or slice
            Which.

        Returns
        -------
        ndarray of int64
            The same as ``lengths[indices]``, in time that grows with these alone.
        """
        return self._lengths[indices].astype(np.int64, copy=False)

    def moments_of(self, rows: np.ndarray) -> np.ndarray:
        """Tell when some rows were.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers.

        Returns
        -------
        ndarray of int
            Their `moments`; the rows themselves if there is no such order.
        """
        if self._moments is None or isinstance(self._moments, range):
            return rows
        return self._moments[rows]

    # What scikit-learn and NumPy look at.

    @property
    def shape(self) -> tuple[int, int, int]:
        longest = int(self._lengths.max()) if len(self) else 0
        return (len(self), longest, self.n_features)

    @property
    def dtype(self) -> np.dtype:
        if self.center is None:
            return self.values.dtype
        return np.result_type(self.values.dtype, self.center.dtype)

    @cached_property
    def common_length(self) -> int | None:
        """Number of steps of every sequence, or None where they differ."""
        if len(self) == 0 or self._lengths.min() < self._lengths.max():
            return None
        return int(self._lengths[0])

    @property
    def n_features(self) -> int:
        """Features a step."""
        return self.values.shape[1]

    @property
    def ends(self) -> np.ndarray:
        """One past the last row of each sequence, shape (n_sequences,)."""
        return wide(self._starts + self._lengths)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, key: Any) -> Any:
        # scikit-learn's _safe_indexing asks anything with a shape for [key, ...]
        if isinstance(key, tuple) and key:
            key, *rest = key
            if any(item is not Ellipsis and item != slice(None) for item in rest):
                raise IndexError(
                    "a SequenceArray is indexed by sequence only; use "
                    "np.asarray(X) to index steps and features."
                )
        if isinstance(key, (int, np.integer)):
            start, length = self._starts[key], self._lengths[key]
            return self._scaled(self.values[start : start + length])
        if not isinstance(key, slice):
            key = np.asarray(key)
            if key.size == 0:
                key = key.astype(np.intp)
        chosen = {"starts": self._starts[key], "lengths": self._lengths[key]}
        if self.units is not None:
            chosen["units"] = self.units[key]
        return self._replace(**chosen)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("a SequenceArray cannot become an array without a copy.")
        n_bytes = int(np.prod(self.shape)) * self.dtype.itemsize
        if n_bytes > MAX_DENSE_BYTES:
            raise MemoryError(
                f"np.asarray would write out {n_bytes / 1e9:.1f} GB: "
                f"{self!r}. Select sequences first, or give the SequenceArray "
                "itself to the estimator, which reads it batch by batch."
            )
        if len(self) == 0:
            return np.empty(self.shape, dtype=dtype or self.dtype)
        dense = self.gather(slice(None)).transpose(1, 0, 2)
        ragged = np.arange(self.shape[1]) >= self.lengths[:, None]
        if ragged.any():
            if dtype is not None and np.dtype(dtype).kind != "f":
                raise ValueError(
                    "sequences of unequal length are padded with NaN, which "
                    f"{np.dtype(dtype)} cannot hold: ask for a float dtype."
                )
            dense = dense.astype(np.result_type(dense.dtype, np.float32), copy=False)
            dense[ragged] = np.nan
        return np.ascontiguousarray(dense, dtype=dtype)

    def __repr__(self) -> str:
        if not len(self):
            steps = "no steps"
        elif self._lengths.min() == self._lengths.max():
            steps = f"{self._lengths[0]} steps"
        else:
            steps = f"{self._lengths.min()} to {self._lengths.max()} steps"
        features = f"{self.n_features} feature" + "s" * (self.n_features != 1)
        if self.feature_names:
            shown = ", ".join(self.feature_names[:4])
            features += f": {shown}" + ", …" * (self.n_features > 4)
        return (
            f"SequenceArray({len(self)} sequences of {steps}, {features}, {self.dtype})"
        )

    # Reading steps.

    def _scaled(self, rows):
        if self.center is None:
            return rows
        return (rows - self.center) * self.factor

    def gather(self, indices: Any, dtype: DTypeLike | None = None) -> np.ndarray:
        """Copy sequences into one padded batch, time first.

        Parameters
        ----------
        indices : int array, bool array or slice
            The sequences to read.
        dtype : dtype, default=None
            Of the result; None keeps that of the steps.

        Returns
        -------
        batch : ndarray of shape (longest, n_selected, n_features)
            Steps after a sequence's end repeat its last step, which keeps
            padding finite: readers mask by length.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import SequenceArray
        >>> X = SequenceArray(np.arange(3.0)[:, None], starts=[0, 2], lengths=[2, 1])
        >>> X.gather(slice(None))[:, :, 0]
        array([[0., 2.],
               [1., 2.]])
        """
        starts, longest = self._starts[indices], self.common_length
        is_ragged = False
        if longest is None:
            lengths = self._lengths[indices]
            longest = int(lengths.max())
            is_ragged = lengths.min() < longest
        rows = starts + np.arange(longest)[:, None]
        if is_ragged:
            np.minimum(rows, starts + lengths - 1, out=rows)
        batch = self._scaled(self.values.take(rows, axis=0))
        if self.anchored is not None:
            batch = batch.astype(difference_type(batch.dtype), copy=False)
            # Padding repeats the last step, so that stands in the last row.
            batch[:, :, self.anchored] -= batch[-1:, :, self.anchored]
            if self.units is not None:
                batch[:, :, self.anchored] /= self.units[indices]
        return batch if dtype is None else batch.astype(dtype, copy=False)

    def read_rows(self, rows: np.ndarray) -> np.ndarray:
        """Read rows of `values` through the affine map.

        Parameters
        ----------
        rows : int array
            Row numbers; only rows that some sequence covers.

        Returns
        -------
        ndarray of shape (len(rows), n_features)
            The steps.
        """
        return self._scaled(self.values[rows])

    def locate(self, row: int) -> tuple[int, int]:
        """Find a sequence that covers a row, and the row's step in it.

        Parameters
        ----------
        row : int
            Row of `values`.

        Returns
        -------
        sequence, step : int
            The first such sequence; the step counts from 0.
        """
        ends = self._starts + self._lengths
        sequence = int(np.argmax((self._starts <= row) & (row < ends)))
        return sequence, int(row - self._starts[sequence])

    def describe_place(self, row: int, feature: int) -> str:
        """Say where a value is, for messages.

        Parameters
        ----------
        row : int
            Row of `values`, covered by some sequence.
        feature : int
            Its column.

        Returns
        -------
        str
            Such as ``"sequence 0, step 3, feature 1 ('temp')"``.
        """
        sequence, step = self.locate(row)
        name = f" ({self.feature_names[feature]!r})" if self.feature_names else ""
        return f"sequence {sequence}, step {step}, feature {feature}{name}"

    def with_range(self, smallest: float, largest: float) -> Self:
        """Return the same sequences, which know bounds of their values.

        Parameters
        ----------
        smallest, largest : float
            No value in the covered rows of `values` is outside of them.

        Returns
        -------
        SequenceArray
            Another object: the rows of this one may change before it is read again.
        """
        known = copy(self)
        known._range = smallest, largest
        return known

    def value_range(self) -> tuple[float, float]:
        """Return bounds of the values that sequences cover.

        Returns
        -------
        smallest, largest : float
            No value, before the affine map, is outside of them; they may be wider.
        """
        if self._range is not None:
            return self._range
        dtype = self.values.dtype
        if dtype.kind in "iu" and dtype.itemsize <= 4:
            limits = np.iinfo(dtype)
            return float(limits.min), float(limits.max)
        extremes = [(steps.min(), steps.max()) for _, steps in self.covered_chunks()]
        smallest, largest = np.array(extremes, dtype=np.float64).T
        return float(smallest.min()), float(largest.max())

    def __copy__(self):
        # Nothing to check again, and no array to copy.
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def last_step(self) -> np.ndarray:
        """Read each sequence's last step.

        Returns
        -------
        ndarray of shape (n_sequences, n_features)
            Through the affine map.
        """
        return self.read_rows(self.ends - 1)

    def last_steps(self, n_steps: int) -> np.ndarray:
        """Read each sequence's last steps; before a shorter one its first step.

        Parameters
        ----------
        n_steps : int
            How many.

        Returns
        -------
        ndarray of shape (n_sequences, n_steps, n_features)
            Through the affine map.
        """
        rows = self.ends[:, np.newaxis] + np.arange(-n_steps, 0)
        rows = np.maximum(rows, self.starts[:, np.newaxis])
        return self.read_rows(rows.ravel()).reshape(len(self), n_steps, -1)

    def scale(self, center: np.ndarray, factor: np.ndarray) -> Self:
        """Return the same sequences, read as ``(steps - center) * factor``.

        Parameters
        ----------
        center, factor : ndarray of shape (n_features,)
            In the units of the steps as they are read now.

        Returns
        -------
        SequenceArray
            Over the same `values`.
        """
        if self.center is not None:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                center = self.center + center / self.factor
                factor = self.factor * factor
        if not (np.isfinite(center).all() and np.isfinite(factor).all()):
            raise InvalidSequenceError(
                "features cannot be scaled by a map whose numbers are NaN or infinite: "
                f"center={center}, factor={factor}. Their scale is too large or too "
                "small; bring X to another unit."
            )
        return self._replace(center=center, factor=factor)

    def relative_to_last(
        self, features: np.ndarray, units: np.ndarray | None = None
    ) -> Self:
        """Return the same sequences, some features gathered relative to the end.

        Parameters
        ----------
        features : ndarray of int
            Features that `gather` reads as differences from each sequence's
            last step; anything else reads them as they are.
        units : ndarray of shape (n_sequences, n_chosen), default=None
            What it divides the differences by, positive; None leaves them.

        Returns
        -------
        SequenceArray
            Over the same `values`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import SequenceArray
        >>> X = SequenceArray(np.array([[3.0], [5.0], [4.0]]), [0], [3])
        >>> X.relative_to_last(np.array([0])).gather([0]).ravel()
        array([-1.,  1.,  0.])
        """
        return self._replace(anchored=features, units=units)

    def over(self, starts: np.ndarray, lengths: np.ndarray) -> Self:
        """Return other sequences over the same rows.

        Parameters
        ----------
        starts, lengths : ndarray of int of shape (n_sequences,)
            First row and number of steps of each.

        Returns
        -------
        SequenceArray
            Read through the same affine map.
        """
        return self._replace(starts=starts, lengths=lengths)

    def vary(self, indices: np.ndarray, random_state: np.random.RandomState) -> Self:
        """Return some sequences as they are read in training: varied at random.

        Parameters
        ----------
        indices : ndarray of int
            Which.
        random_state : numpy.random.RandomState
            Source of the variation.

        Returns
        -------
        SequenceArray
            In the order of `indices`. Without a `variation`, the sequences as
            they are.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import SequenceArray
        >>> class Louder:
        ...     def draw(self, starts, lengths, random_state):
        ...         return np.full((lengths.sum(), 1), 9.0)
        >>> X = SequenceArray(np.ones((3, 1)), [0], [3], variation=Louder())
        >>> X.vary(np.array([0]), np.random.RandomState(0))[0].ravel()
        array([9., 9., 9.])
        >>> X[0].ravel()
        array([1., 1., 1.])
        """
        chosen = self[indices]
        if self.variation is None:
            return chosen
        lengths = chosen.lengths
        return chosen._replace(
            values=self.variation.draw(chosen.starts, lengths, random_state),
            starts=np.cumsum(lengths) - lengths,
            moments=None,
            variation=None,
        )

    # Which rows the selected sequences cover: a selection still holds the whole
    # table, so nothing may look at other rows, or a fold would see its test rows.

    def coverage(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Sum, for every row of `values`, the weights of the sequences over it.

        Parameters
        ----------
        weights : ndarray of shape (n_sequences,), default=None
            One weight a sequence; None counts each as 1.

        Returns
        -------
        coverage : ndarray of shape (n_rows,)
            Zero where no sequence reads.
        """
        coverage = np.empty(len(self.values))
        for begin, _, sums in self._coverage_blocks(weights):
            coverage[begin : begin + len(sums)] = sums
        return coverage

    def _coverage_blocks(self, weights):
        # A block of a wide table has fewer rows.
        size = max(1, min(CHUNK_ROWS, CHUNK_NUMBERS // self.n_features))
        return coverage_blocks(
            self._starts, self._lengths, len(self.values), size, weights
        )

    def covered_chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ``(rows, values[rows])`` for runs of covered rows, in order.

        Yields
        ------
        rows : ndarray of int
            At most 65,536 row numbers.
        values : ndarray of shape (len(rows), n_features)
            Their steps, before the affine map.
        """
        for rows, steps, _ in self._weighted_chunks():
            yield rows, steps

    def _weighted_chunks(self, weights=None):
        """Yield runs of covered rows, their steps, and their weights."""
        for begin, counts, sums in self._coverage_blocks(weights):
            covered = counts > 0
            if covered.all():  # nothing to leave out, so nothing to copy
                end = begin + len(counts)
                yield np.arange(begin, end), self.values[begin:end], sums
            elif covered.any():
                rows = begin + np.flatnonzero(covered)
                yield rows, self.values[rows], sums[covered]

    def mean_and_scale(
        self, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute each feature's mean and standard deviation over covered rows.

        A row counts once for every sequence that covers it, times that
        sequence's weight. A constant feature gets a scale of 1. Codes of categories
        are no quantities: they get a mean of 0 and a scale of 1.

        Parameters
        ----------
        weights : ndarray of shape (n_sequences,), default=None
            One weight a sequence.

        Returns
        -------
        mean, scale : ndarray of shape (n_features,), float64
            In the units of the steps as they are read.

        Raises
        ------
        InvalidSequenceError
            If a variance overflows; names the place of the largest value.
        """
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            mean = self._mean(weights)
            scale = self._deviation(weights, mean, slice(None))
            # Squares of small deviations underflow, of a multiple they do not.
            small = np.flatnonzero(scale < SMALL_SCALE)
            if len(small):
                scale[small] = self._deviation(weights, mean, small, UNIT_OF_SMALL)
        if not np.isfinite(scale).all():
            self._raise_too_large(int(np.argmin(np.isfinite(scale))))
        # Rounding leaves a constant feature a spread of a few ulps of its mean.
        resolution = np.finfo(self.dtype).eps if self.dtype.kind == "f" else 0.0
        is_constant = scale <= 10 * resolution * np.abs(mean)
        scale[is_constant | (scale < SMALLEST_SCALE)] = 1.0
        codes = list(self.categories or ())
        mean[codes], scale[codes] = 0.0, 1.0
        return mean, scale

    def _mean(self, weights):
        total, mean = self._total(weights), np.zeros(self.n_features)
        for _, steps, row_weights in self._weighted_chunks(weights):
            mean += row_weights @ self._scaled(steps).astype(np.float64) / total
        return mean

    def _deviation(self, weights, mean, features, unit=1.0):
        """Return the standard deviation of some features, computed in a unit."""
        total, variance = self._total(weights), np.zeros_like(mean[features])
        for _, steps, row_weights in self._weighted_chunks(weights):
            deviation = self._scaled(steps).astype(np.float64) - mean
            variance += row_weights @ (deviation[:, features] * unit) ** 2 / total
        return np.sqrt(variance) / unit

    def _total(self, weights):
        return self._lengths.sum() if weights is None else weights @ self._lengths

    def _raise_too_large(self, feature):
        largest = max(
            (abs(float(steps[at, feature])), rows[at])
            for rows, steps in self.covered_chunks()
            for at in [np.abs(steps[:, feature].astype(np.float64)).argmax()]
        )
        raise InvalidSequenceError(
            f"feature {feature} of X is too large to standardise: its variance "
            f"overflows. X holds {largest[0]:.6g}, of either sign, at "
            f"{self.describe_place(largest[1], feature)}. Bring it to another unit."
        )

    def are_apart(self) -> bool:
        """Tell whether each sequence begins after the one in front of it ends.

        Returns
        -------
        bool
            True for sequences as read from arrays and lists: none share rows, and
            none are copies. False leaves that open.
        """
        return are_apart(self._starts, self._lengths)

    def shares_rows(self) -> bool:
        """Tell whether different sequences read the same rows, as windows do.

        Returns
        -------
        bool
            False for copies of one sequence: those are the same sequence.
        """
        if self.are_apart():
            return False
        distinct = np.unique(np.column_stack([self.starts, self.ends]), axis=0)
        return bool((distinct[1:, 0] < np.maximum.accumulate(distinct[:-1, 1])).any())
