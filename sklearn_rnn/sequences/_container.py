"""SequenceArray: every shape of sequence data in one container, and its statistics."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._arrays import is_beyond_int64, unmask
from sklearn_rnn.sequences._renamed import RENAMED, get_renamed, parse_renamed
from sklearn_rnn.sequences._transforms import (
    NO_TRANSFORMS,
    Differencing,
    Scaling,
    Transforms,
)

# np.asarray on a container writes every step out; above this many bytes that
# is more often a mistake than intended.
MAX_DENSE_BYTES = 1_000_000_000

# Above this many rows their numbers do not fit into int32.
MAX_INT32_ROWS = 2**31 - 1
# Types of lengths that are added to starts of int32, and so do not overflow.
LENGTH_TYPES = (np.uint8, np.int16, np.int32)

# Sequences looked at at a time, by what looks at all of them.
SEQUENCES_PER_BLOCK = 2**17
# Rows and values read at a time by what scans a series, so that its temporary arrays
# stay small beside the series itself.
CHUNK_ROWS = 65_536
CHUNK_VALUES = 2**20

# Sequences read at a time to compare them by value, and bytes that tell the order.
SEQUENCES_PER_COMPARISON, N_SORTED_BYTES = 64, 256

# Standard deviations below the first are computed from deviations in another unit;
# below the second, 1 / scale is infinite, and a feature counts as constant.
SMALL_SCALE, SMALLEST_SCALE = 1e-140, 1e-300
UNIT_OF_SMALL = 2.0**600

# Relative error of a sum of at most a million squares in float32, with a margin.
# Squares that underflow are of values far below any limit.
ROUNDING_OF_SQUARES = 0.1

# Largest size of what enters a network, after standardisation: products with
# weights, and their sums over many features, stay finite, and so do squares. What
# mixed precision computes with has the range of float32.
LARGEST_INPUT = {"float32": 1e18, "mixed": 1e18, "float64": 1e150}

# Maximum number of pairs of successive arrays that are compared, and of steps between.
MAX_PAIRS, MAX_STRIDE = 64, 16
# Fraction of the pairs that must overlap, for the arrays to be windows.
OVERLAPPING = 0.9


class SequenceArray:
    """Sequences that share one table of steps.

    All steps of all sequences are in one flat table, `values`; sequence *i*
    is its rows ``starts[i] : starts[i] + lengths[i]``. A 3-D array, a ragged
    list and overlapping windows over one series are all the same thing in
    it, and memory is that of the table, never windows times length.

    Indexing selects sequences and copies no steps, so cross-validation
    splits are cheap. An integer gives one sequence as an array.

    Parameters
    ----------
    values : array-like of shape (n_rows, n_features)
        The steps. Read-only from here on. Integers above 2**53 are computed with as
        the nearest float64: subtract a first value where small differences of large
        ones matter.
    starts : array-like of int of shape (n_sequences,)
        First row of each sequence.
    lengths : array-like of int of shape (n_sequences,)
        Number of steps of each sequence, at least 1.
    feature_names : sequence of str, default=None
        One name per feature.
    *stored : tuple
        Further fields of pickles of version 0.6.
    transforms : Transforms, default=None
        What is done to steps when they are read, and what ids and codes among them
        stand for. A `SequenceScaler`, `SequenceTokenizer`, `LogMelSpectrogram` and
        `SequenceWindower` set it.
    time_index : ndarray of int of shape (n_rows,), or range, default=None
        Time of each row of time series: the same integer for rows of the same time, a
        larger one for later rows. ``range(n_rows)`` says that rows are in the order
        of time, and takes no memory. None if there is no such order.
    **renamed : dict
        Parameters of version 0.6, which raise a FutureWarning.

    Attributes
    ----------
    shape : tuple
        ``(n_sequences, longest, n_features)``.
    ndim : int
        Always 3.
    n_features : int
        Number of features per step.
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
    values: np.ndarray
    # Of few bits if they are given so, for windows over millions of rows; `starts`,
    # `lengths` and `ends` are int64, which no arithmetic overflows.
    _starts: np.ndarray
    _lengths: np.ndarray
    feature_names: tuple[str, ...] | None
    n_features: int
    transforms: Transforms
    time_index: np.ndarray | range | None
    # Known of sequences that were just checked; selections compute their own.
    _range: tuple[float, float] | None

    def __init__(
        self,
        values: ArrayLike,
        starts: ArrayLike,
        lengths: ArrayLike,
        feature_names: Iterable[str] | None = None,
        *stored: Any,
        transforms: Transforms | None = None,
        time_index: np.ndarray | range | None = None,
        **renamed: Any,
    ) -> None:
        if stored or renamed:
            transforms, time_index = parse_renamed(
                stored, renamed, transforms, time_index
            )
        table = check_values(values)
        n_rows, n_features = table.shape
        first = row_numbers(starts, "starts", n_rows)
        n_steps = row_numbers(lengths, "lengths", n_rows, LENGTH_TYPES)
        if first.ndim != 1 or first.shape != n_steps.shape:
            raise InvalidSequenceError(
                "starts and lengths must be 1-D and of one length, got shapes "
                f"{first.shape} and {n_steps.shape}."
            )
        for begin in range(0, len(first), SEQUENCES_PER_BLOCK):
            block = slice(begin, begin + SEQUENCES_PER_BLOCK)
            outside = (n_steps[block] < 1) | (first[block] < 0)
            outside |= n_steps[block] > n_rows - first[block]
            if outside.any():
                _raise_outside(begin, first[block], n_steps[block], n_rows)
        names = None if feature_names is None else tuple(feature_names)
        if names is not None and len(names) != n_features:
            raise InvalidSequenceError(
                f"{len(names)} feature names for {n_features} features."
            )
        transforms = transforms or NO_TRANSFORMS
        for feature in transforms.categories or ():
            if not 0 <= feature < n_features:
                raise InvalidSequenceError(
                    f"categories are given for feature {feature}, and there are "
                    f"{n_features} features, which count from 0."
                )
        fields = trusted_sequences(
            table, first, n_steps, names, transforms=transforms, time_index=time_index
        )
        vars(self).update(vars(fields))

    def __getstate__(self) -> dict[str, Any]:
        return {
            "values": self.values,
            "starts": self._starts,
            "lengths": self._lengths,
            "feature_names": self.feature_names,
            "transforms": self.transforms,
            "time_index": self.time_index,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Through __init__, which makes the arrays read-only again.
        SequenceArray.__init__(self, **state)

    def __copy__(self) -> Self:
        # Nothing to check again, and no array to copy.
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def _replace(self, **changes):
        """Return a container with some fields changed and the rest shared."""
        return SequenceArray(**(self.__getstate__() | changes))

    if not TYPE_CHECKING:  # or mypy would allow every attribute

        def __getattr__(self, name):
            if name in RENAMED:
                return get_renamed(self, name)
            raise AttributeError(f"'SequenceArray' object has no attribute {name!r}")

    @property
    def starts(self) -> np.ndarray:
        """First row of each sequence, int64 of shape (n_sequences,)."""
        starts = self._starts.astype(np.int64, copy=False)
        starts.flags.writeable = False
        return starts

    @property
    def lengths(self) -> np.ndarray:
        """Number of steps of each sequence, int64 of shape (n_sequences,)."""
        lengths = self._lengths.astype(np.int64, copy=False)
        lengths.flags.writeable = False
        return lengths

    @property
    def ends(self) -> np.ndarray:
        """One past the last row of each sequence, int64 of shape (n_sequences,)."""
        ends = (self._starts + self._lengths).astype(np.int64, copy=False)
        ends.flags.writeable = False
        return ends

    def lengths_of(self, indices: Any) -> np.ndarray:
        """Return ``lengths[indices]``, in time that grows with these alone.

        Parameters
        ----------
        indices : int array, bool array or slice
            The sequences.

        Returns
        -------
        ndarray of int64
            Their numbers of steps.
        """
        return self._lengths[indices].astype(np.int64, copy=False)

    def times_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the `time_index` of some rows.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers.

        Returns
        -------
        ndarray of int
            Their times; the rows themselves if there is no order of time.
        """
        if self.time_index is None or isinstance(self.time_index, range):
            return rows
        return self.time_index[rows]

    @property
    def shape(self) -> tuple[int, int, int]:
        longest = int(self._lengths.max()) if len(self) else 0
        return (len(self), longest, self.n_features)

    @property
    def dtype(self) -> np.dtype:
        scaling = self.transforms.scaling
        if scaling is None:
            return self.values.dtype
        return np.result_type(self.values.dtype, scaling.center.dtype)

    @cached_property
    def common_length(self) -> int | None:
        """Number of steps of every sequence, or None where they differ."""
        if len(self) == 0 or self._lengths.min() < self._lengths.max():
            return None
        return int(self._lengths[0])

    @property
    def augmentation(self) -> Any:
        """What samples steps again while a network trains, or None."""
        return self.transforms.augmentation

    @property
    def differenced(self) -> np.ndarray | None:
        """Positions of features gathered as differences from the last step, or None."""
        differencing = self.transforms.differencing
        return None if differencing is None else differencing.features

    @property
    def tokens(self) -> np.ndarray | None:
        """What each id stands for, ndarray of object, or None."""
        return self.transforms.tokens

    @property
    def categories(self) -> dict[int, np.ndarray] | None:
        """What codes stand for, by the position of the feature, or None."""
        return self.transforms.categories or None

    def __len__(self) -> int:
        return len(self._starts)

    def __sizeof__(self) -> int:
        # Dask sends what is large to a worker once, and what is small with every task.
        arrays = (self.values, self._starts, self._lengths)
        return object.__sizeof__(self) + sum(array.nbytes for array in arrays)

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
            return self.scale_steps(self.values[start : start + length])
        if not isinstance(key, slice):
            key = np.asarray(key)
            if key.size == 0:
                key = key.astype(np.intp)
        starts, lengths = self._starts[key], self._lengths[key]
        if starts.ndim != 1:
            return self.over(starts, lengths)  # which raises the error
        # What is selected needs no check.
        starts.flags.writeable = lengths.flags.writeable = False
        chosen = object.__new__(type(self))
        vars(chosen).update(vars(self), _starts=starts, _lengths=lengths, _range=None)
        vars(chosen).pop("common_length", None)
        if self.transforms.differencing is not None:  # whose units are of sequences
            chosen.transforms = self.transforms.select(key)
        return chosen

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
        transforms = self.transforms
        is_ragged = False
        if longest is None:
            lengths = self._lengths[indices]
            longest = int(lengths.max())
            is_ragged = lengths.min() < longest
        rows = starts + np.arange(longest)[:, None]
        if is_ragged:
            np.minimum(rows, starts + lengths - 1, out=rows)
        batch = self.values.take(rows, axis=0)
        if transforms.scaling is not None:
            batch = transforms.scaling.apply(batch)
        if transforms.differencing is not None:
            batch = transforms.differencing.apply(batch, indices)
        return batch if dtype is None else batch.astype(dtype, copy=False)

    def scale_steps(self, steps: np.ndarray) -> np.ndarray:
        """Scale steps of `values`, as they are scaled wherever they are read.

        Parameters
        ----------
        steps : ndarray of shape (..., n_features)
            Of `values`.

        Returns
        -------
        ndarray of shape (..., n_features)
            The steps themselves where there is no scaling.
        """
        scaling = self.transforms.scaling
        return steps if scaling is None else scaling.apply(steps)

    def read_rows(self, rows: np.ndarray) -> np.ndarray:
        """Read rows of `values`, scaled.

        Parameters
        ----------
        rows : int array
            Row numbers; only rows that some sequence covers.

        Returns
        -------
        ndarray of shape (len(rows), n_features)
            The steps.
        """
        return self.scale_steps(self.values[rows])

    def last_step(self) -> np.ndarray:
        """Read each sequence's last step, scaled.

        Returns
        -------
        ndarray of shape (n_sequences, n_features)
            The steps.
        """
        return self.scale_steps(self.values[self.ends - 1])

    def last_steps(
        self, n_steps: int, features: np.ndarray | None = None
    ) -> np.ndarray:
        """Read each sequence's last steps, scaled.

        Parameters
        ----------
        n_steps : int
            Number of steps; a shorter sequence repeats its first step in front.
        features : ndarray of int, default=None
            Features to read; None reads all.

        Returns
        -------
        ndarray of shape (n_sequences, n_steps, n_features)
            The steps.
        """
        starts, scaling = self.starts, self.transforms.scaling
        rows = (starts + self._lengths)[:, np.newaxis] + np.arange(-n_steps, 0)
        rows = np.maximum(rows, starts[:, np.newaxis])
        if features is not None and scaling is None:
            return self.values[rows[:, :, np.newaxis], features]
        steps = self.values[rows]
        if scaling is not None:
            steps = scaling.apply(steps)
        return steps if features is None else steps[:, :, features]

    def with_transforms(self, **changes: Any) -> Self:
        """Return the same sequences with some `transforms` changed.

        Parameters
        ----------
        **changes : dict
            Fields of `Transforms`.

        Returns
        -------
        SequenceArray
            Over the same `values`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import SequenceArray
        >>> tokens = np.array(["<pad>", "<unk>", "yes", "no"], dtype=object)
        >>> X = SequenceArray([[3], [2]], [0, 1], [1, 1])
        >>> X.with_transforms(tokens=tokens).tokens[3]
        'no'
        """
        return self._replace(transforms=replace(self.transforms, **changes))

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
        scaling = self.transforms.scaling
        if scaling is None:
            scaling = Scaling(center, factor)
        else:
            scaling = scaling.then(center, factor)
        return self.with_transforms(scaling=scaling.check_finite())

    def difference(self, features: np.ndarray, units: np.ndarray | None = None) -> Self:
        """Return the same sequences, some features gathered relative to the end.

        Parameters
        ----------
        features : ndarray of int
            Features that `gather` reads as differences from each sequence's
            last step; anything else reads them as they are.
        units : ndarray of shape (n_sequences, n_differenced), default=None
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
        >>> X.difference(np.array([0])).gather([0]).ravel()
        array([-1.,  1.,  0.])
        """
        different = self[:]
        differencing = Differencing(features, units)
        different.transforms = replace(self.transforms, differencing=differencing)
        different._range = self._range
        return different

    def over(self, starts: np.ndarray, lengths: np.ndarray) -> Self:
        """Return other sequences over the same rows, with the same transforms.

        Parameters
        ----------
        starts, lengths : ndarray of int of shape (n_sequences,)
            First row and number of steps of each.

        Returns
        -------
        SequenceArray
            Over the same `values`.
        """
        return self._replace(starts=starts, lengths=lengths)

    def augment(self, indices: np.ndarray, random_state: np.random.RandomState) -> Self:
        """Return some sequences as they are read in training: augmented at random.

        Parameters
        ----------
        indices : ndarray of int
            The sequences.
        random_state : numpy.random.RandomState
            Source of randomness.

        Returns
        -------
        SequenceArray
            In the order of `indices`. Without an `augmentation`, the sequences as
            they are.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import SequenceArray
        >>> class Louder:
        ...     def draw(self, starts, lengths, random_state):
        ...         return np.full((lengths.sum(), 1), 9.0)
        >>> X = SequenceArray(np.ones((3, 1)), [0], [3])
        >>> X = X.with_transforms(augmentation=Louder())
        >>> X.augment(np.array([0]), np.random.RandomState(0))[0].ravel()
        array([9., 9., 9.])
        >>> X[0].ravel()
        array([1., 1., 1.])
        """
        chosen = self[indices]
        augmentation = self.transforms.augmentation
        if augmentation is None:
            return chosen
        lengths = chosen.lengths
        return chosen._replace(
            values=augmentation.draw(chosen.starts, lengths, random_state),
            starts=np.cumsum(lengths) - lengths,
            time_index=None,
            transforms=replace(chosen.transforms, augmentation=None),
        )


def trusted_sequences(
    values, starts, lengths, feature_names=None, *, transforms=None, time_index=None
):
    """Return a SequenceArray of arrays that were made here, or checked.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        Real numbers of any type.
    starts, lengths : ndarray of shape (n_sequences,)
        Within the rows of `values`: int64, or of few bits where `SequenceArray` would
        keep those.
    feature_names : sequence of str, default=None
        One name per feature.
    transforms, time_index : object, default=None
        As of `SequenceArray`.
    """
    dtype = values.dtype
    if dtype.kind not in "if" or dtype.itemsize > 8 or not dtype.isnative:
        values = check_values(values)
    names = None if feature_names is None else tuple(feature_names)
    made = object.__new__(SequenceArray)
    made.feature_names, made.n_features = names, values.shape[1]
    made.transforms, made.time_index = transforms or NO_TRANSFORMS, time_index
    made._range = None
    arrays = np.ascontiguousarray(values), starts, lengths
    for name, array in zip(("values", "_starts", "_lengths"), arrays, strict=True):
        # A read-only view, or the array itself if it is one: selections then hold the
        # same object, which joblib gives to its workers once.
        if array.flags.writeable:
            array = array.view()
            array.flags.writeable = False
        setattr(made, name, array)
    return made


def _raise_outside(begin, starts, lengths, n_rows):
    """Raise for the first bad one of a block of sequences that begins at `begin`."""
    if (lengths < 1).any():
        i = int(np.argmax(lengths < 1))
        raise InvalidSequenceError(
            f"X[{begin + i}] is an empty sequence; every sequence needs at "
            "least one step. Leave it out, and its target with it."
        )
    i = int(np.argmax((starts < 0) | (lengths > n_rows - starts)))
    raise InvalidSequenceError(
        f"sequence {begin + i} covers rows {starts[i]} to "
        f"{int(starts[i]) + int(lengths[i])}, but values has {n_rows} rows."
    )


def check_values(values):
    """Return `values` as a C-contiguous 2-D array of a type that torch reads."""
    if np.ma.isMaskedArray(values):
        values = unmask(values)
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise InvalidSequenceError(
            f"the steps must be real numbers, got values of type {values.dtype}. "
            "Complex data not supported; encode dates and strings as numbers first."
        )
    if values.ndim != 2 or values.shape[1] == 0:
        raise InvalidSequenceError(
            "values must be 2-D (n_rows, n_features), with at least one feature, got "
            f"shape {values.shape}."
        )
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        values = values.astype(np.uint8)
    elif kind == "u" and size == 8 and is_beyond_int64(values):
        values = values.astype(np.float64)
    elif kind == "u" and size > 1:
        values = values.astype(np.int64)
    elif kind == "f" and size > 8:
        with np.errstate(over="ignore"):  # infinity is refused where X is read
            values = values.astype(np.float64)
    elif not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return np.ascontiguousarray(values)


def row_numbers(given, name, n_rows, kept=(np.int32,)):
    """Return row numbers as int64, or as one of the types `kept` if they are.

    Other small types would overflow in the first sum. `name` is for the message.
    """
    if np.ma.isMaskedArray(given):
        given = unmask(given)
    given = np.asarray(given)
    if given.dtype.kind not in "iu" and given.size:
        raise InvalidSequenceError(
            f"{name} must be whole numbers, got values of type {given.dtype}."
        )
    if n_rows <= MAX_INT32_ROWS and given.dtype in kept:
        return given
    return given.astype(np.int64, copy=False)


# Which rows of `values` sequences cover, how often; their statistics and range.
#
# A selection still holds the whole table, so nothing may look at other rows, or a fold
# would see its test rows. Rows are looked at in blocks: beside short windows over a
# series, an array as long as the series, or as many sequences, would weigh.


def blocks(n, size):
    """Yield the bounds (begin, end) of blocks of at most `size` of `n` items.

    Examples
    --------
    >>> from sklearn_rnn.sequences import blocks
    >>> list(blocks(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    for begin in range(0, n, size):
        yield begin, min(begin + size, n)


def coverage(sequences, weights=None):
    """Return the summed weights of the sequences over each row of `values`.

    Parameters
    ----------
    sequences : SequenceArray
        The sequences.
    weights : ndarray of shape (n_sequences,), default=None
        One weight per sequence; None counts each as 1.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        Zero where no sequence reads.
    """
    sums = np.empty(len(sequences.values))
    for begin, _, block_sums in _coverage_blocks(sequences, weights, CHUNK_ROWS):
        sums[begin : begin + len(block_sums)] = block_sums
    return sums


def covered_chunks(sequences):
    """Yield ``(rows, values[rows])`` for covered rows, unscaled and in order.

    At most 65,536 rows at a time, and fewer of a wide table.
    """
    for rows, steps, _ in weighted_chunks(sequences):
        yield rows, steps


def weighted_chunks(sequences, weights=None, *, scaled=False):
    """Yield covered rows, their steps, and the summed weights of the sequences.

    With `scaled` steps are as the sequences' scaling makes them.
    """
    n_rows, n_features = sequences.values.shape
    size = max(1, min(CHUNK_ROWS, CHUNK_VALUES // n_features))
    scaling = sequences.transforms.scaling if scaled else None
    starts, lengths = sequences._starts, sequences._lengths
    first, last, is_once = 0, n_rows, False
    if weights is None and 0 < len(starts) and lengths.sum() <= n_rows:
        if (starts[1:] < starts[:-1]).any():
            order = np.argsort(starts)
            starts, lengths = starts[order], lengths[order]
        # One sequence, or those of an array or a list, each next to another one, cover
        # each of their rows once: there is nothing to count.
        is_once = (starts[1:] == starts[:-1] + lengths[:-1]).all()
    if is_once:
        first, last = int(starts[0]), int(starts[-1]) + int(lengths[-1])
        counted = ((k, None, None) for k in range(first - first % size, last, size))
    else:
        counted = _coverage_blocks(sequences, weights, size)
    for begin, counts, sums in counted:
        begin, end = max(begin, first), min(begin + size, last)
        rows, steps = np.arange(begin, end), sequences.values[begin:end]
        if counts is None:
            sums = np.ones(end - begin)
        elif not counts.all():  # else there is nothing to copy
            covered = np.flatnonzero(counts)
            rows, steps, sums = rows[covered], steps[covered], sums[covered]
        if len(rows) == 0:
            continue
        yield rows, steps if scaling is None else scaling.apply(steps), sums


def _coverage_blocks(sequences, weights, size):
    """Yield the first row of each block, and counts and summed weights of its rows."""
    n_rows, starts = len(sequences.values), sequences._starts
    block_ends = [min(begin + size, n_rows) for begin in range(0, n_rows, size)]
    starting = _boundaries(starts, None, weights, block_ends)
    ending = _boundaries(starts, sequences._lengths, weights, block_ends)
    begin, count, total = 0, 0, 0.0
    for end, started, ended in zip(block_ends, starting, ending, strict=True):
        counts = np.bincount(started[0] - begin, minlength=end - begin)
        counts -= np.bincount(ended[0] - begin, minlength=end - begin)
        counts[0] += count
        np.cumsum(counts, out=counts)
        count = counts[-1]
        if weights is None:
            sums = counts.astype(np.float64)
        else:
            sums = np.zeros(end - begin)
            np.add.at(sums, started[0] - begin, started[1])
            np.subtract.at(sums, ended[0] - begin, ended[1])
            sums[0] += total
            np.cumsum(sums, out=sums)
            total = sums[-1]
        yield begin, counts, sums
        begin = end


def _boundaries(starts, lengths, weights, block_ends):
    """Yield, for each block of rows, the boundaries in it and their weights.

    Boundaries are first rows of sequences, or with `lengths` the rows after their last.
    """
    n_sequences, size = len(starts), SEQUENCES_PER_BLOCK
    nothing = np.broadcast_to(np.uint8(0), n_sequences)
    lengths = nothing if lengths is None else lengths
    # Sums of starts and lengths are not stored, unless they must be sorted.
    blocks_of_rows = (
        starts[begin : begin + size + 1] + lengths[begin : begin + size + 1]
        for begin in range(0, n_sequences - 1, size)
    )
    if not all((np.diff(rows) >= 0).all() for rows in blocks_of_rows):
        starts, lengths = starts + lengths, nothing
        if weights is None:
            starts.sort()
        else:
            order = np.argsort(starts, kind="stable")
            starts, weights = starts[order], weights[order]
    stop = 0
    for end in block_ends:
        begin, indices = stop, range(n_sequences)
        stop = bisect_left(indices, end, lo=begin, key=lambda i: starts[i] + lengths[i])
        rows = starts[begin:stop] + lengths[begin:stop]
        yield rows, None if weights is None else weights[begin:stop]


def mean_and_scale(sequences, weights=None):
    """Return the mean and standard deviation of each feature over covered rows.

    A row counts once for every sequence that covers it, times that sequence's
    weight. A constant feature gets a scale of 1; a categorical one, whose codes are
    no quantities, a mean of 0 and a scale of 1.

    Parameters
    ----------
    sequences : SequenceArray
        Read through its scaling, not its differencing.
    weights : ndarray of shape (n_sequences,), default=None
        One weight per sequence.

    Returns
    -------
    mean, scale : ndarray of shape (n_features,), float64

    Raises
    ------
    InvalidSequenceError
        If a variance overflows; names the position of the largest value.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import SequenceArray, mean_and_scale
    >>> mean_and_scale(SequenceArray(np.array([[1.0], [3.0], [9.0]]), [0], [2]))
    (array([2.]), array([1.]))
    """
    # Not int64 lengths: beside short windows over a series those would weigh.
    lengths = sequences._lengths
    total = lengths.sum() if weights is None else weights @ lengths
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        mean = np.zeros(sequences.values.shape[1])
        for _, steps, sums in weighted_chunks(sequences, weights, scaled=True):
            mean += sums @ steps.astype(np.float64) / total
        scale = np.empty_like(mean)
        # Squares of small deviations underflow, of a multiple they do not.
        for unit in (1.0, UNIT_OF_SMALL):
            features = slice(None) if unit == 1 else np.flatnonzero(scale < SMALL_SCALE)
            variance = np.zeros_like(mean[features])
            for _, steps, sums in weighted_chunks(sequences, weights, scaled=True):
                squares = steps[:, features] - mean[features]
                squares *= unit
                squares *= squares
                variance += sums @ squares / total
            scale[features] = np.sqrt(variance) / unit
            if not (scale < SMALL_SCALE).any():
                break
    if not np.isfinite(scale).all():
        _raise_too_large(sequences, int(np.argmin(np.isfinite(scale))))
    # Rounding leaves a constant feature a spread of a few ulps of its mean.
    resolution = np.finfo(steps.dtype).eps if steps.dtype.kind == "f" else 0.0
    is_constant = scale <= 10 * resolution * np.abs(mean)
    scale[is_constant | (scale < SMALLEST_SCALE)] = 1.0
    codes = list(sequences.transforms.categories or ())
    mean[codes], scale[codes] = 0.0, 1.0
    return mean, scale


def _raise_too_large(sequences, feature):
    size, row = max(
        (abs(float(steps[at, feature])), rows[at])
        for rows, steps in covered_chunks(sequences)
        for at in [np.abs(steps[:, feature].astype(np.float64)).argmax()]
    )
    raise InvalidSequenceError(
        f"feature {feature} of X is too large to standardise: its variance "
        f"overflows. X holds {size:.6g}, of either sign, at "
        f"{describe_position(sequences, row, feature)}. Convert it to another unit."
    )


def finite_range(sequences):
    """Return bounds of the values, or None if some are not finite.

    A sum of squares is finite only if every value is, and no value is larger than its
    root: one pass that BLAS does, without a temporary array.
    """
    low = high = 0.0
    for _, steps, _ in weighted_chunks(sequences):
        if steps.itemsize >= 4 and np.isfinite(squares := np.vdot(steps, steps)):
            size = float(np.sqrt(squares)) * (1 + ROUNDING_OF_SQUARES)
            smallest, largest = -size, size
        else:
            with np.errstate(invalid="ignore"):
                smallest, largest = float(steps.min()), float(steps.max())
            if not (np.isfinite(smallest) and np.isfinite(largest)):
                return None
        low, high = min(low, smallest), max(high, largest)
    return low, high


def value_range(sequences):
    """Return bounds of the unscaled values that sequences cover; they may be wide."""
    if sequences._range is not None:
        return sequences._range
    dtype = sequences.values.dtype
    if dtype.kind in "iu" and dtype.itemsize <= 4:
        limits = np.iinfo(dtype)
        return float(limits.min), float(limits.max)
    extremes = [(steps.min(), steps.max()) for _, steps in covered_chunks(sequences)]
    smallest, largest = np.array(extremes, dtype=np.float64).T
    return float(smallest.min()), float(largest.max())


def check_range(sequences, *, estimator_name, center=0.0, factor=1.0, dtype=None):
    """Check that values stay finite through transforms, and in a network.

    Parameters
    ----------
    sequences : SequenceArray
        Finite. Its own scaling and differencing are checked too.
    estimator_name : str
        Named in messages.
    center, factor : ndarray of shape (n_features,) or float, default=0.0, 1.0
        How a network scales its input: ``(steps - center) * factor``.
    dtype : {"float32", "mixed", "float64"}, default=None
        What the network then computes with; None without a network.
    """
    if len(sequences) == 0:
        return
    n_features, transforms = sequences.n_features, sequences.transforms
    scaling, differencing = transforms.scaling, transforms.differencing
    # The smallest and largest value of each feature before scaling.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        own = np.full(n_features, np.inf)
        if scaling is not None:
            own[:] = np.finfo(sequences.dtype).max / 2
        elif differencing is not None:
            of_differences = np.promote_types(sequences.values.dtype, np.float32)
            own[:] = np.finfo(of_differences).max / 2
        limit = np.full(n_features, np.inf if dtype is None else LARGEST_INPUT[dtype])
        center = np.broadcast_to(np.asarray(center, np.float64), n_features)
        factor = np.broadcast_to(np.asarray(factor, np.float64), n_features)
        largest = limit / np.abs(factor)
        low, high = center - largest, center + largest
        if differencing is not None:
            differenced = differencing.features
            # A difference is up to twice as large as the values.
            high[differenced] = largest[differenced] / 2
            low[differenced] = -high[differenced]
            own[differenced] /= 2
        low, high = np.maximum(low, -own), np.minimum(high, own)
        if scaling is not None:
            own_center, own_factor = scaling.center, scaling.factor.astype(np.float64)
            own_center = own_center.astype(np.float64)
            ends = own_center + np.stack([low, high]) / own_factor
            low = np.maximum(ends.min(axis=0), own_center - own)
            high = np.minimum(ends.max(axis=0), own_center + own)
    found_low, found_high = sequences._range or value_range(sequences)
    if not (low.max() <= found_low and found_high <= high.min()):
        _raise_out_of_range(sequences, low, high, estimator_name, dtype)


def _raise_out_of_range(sequences, low, high, estimator_name, dtype):
    """Raise for the first value, if any, outside of the range of its feature."""
    for rows, steps in covered_chunks(sequences):
        outside = (steps < low) | (steps > high)
        if outside.any():
            at, feature = np.argwhere(outside)[0]
            position = describe_position(sequences, rows[at], int(feature))
            raise InvalidSequenceError(
                f"X holds {steps[at, feature]:.6g} at {position}, which is too large "
                f"for {estimator_name}{_describe_dtype(dtype)}: it reads "
                f"{low[feature]:.4g} to {high[feature]:.4g} there. {_remedy(dtype)}"
            )


def _describe_dtype(dtype):
    return "" if dtype is None else f" with dtype={dtype!r}"


def _remedy(dtype):
    if dtype in ("float32", "mixed"):
        return 'Correct it, bring X to another unit, or set dtype="float64" and refit.'
    return "Correct it, or bring X to another unit."


def are_apart(sequences):
    """Return whether each sequence begins after the previous one ends.

    True, as for arrays and lists, proves that no two sequences share a row and none
    occurs twice; False leaves that open.
    """
    starts, lengths = sequences._starts, sequences._lengths
    first, following, lengths = starts[:-1], starts[1:], lengths[:-1]
    for begin in range(0, len(first), SEQUENCES_PER_BLOCK):
        block = slice(begin, begin + SEQUENCES_PER_BLOCK)
        if (following[block] < first[block] + lengths[block]).any():
            return False
    return True


def shares_rows(sequences):
    """Return whether different sequences read the same rows, as windows do.

    Copies of one sequence do not count: those are the same sequence.
    """
    starts = sequences._starts
    ends = starts + sequences._lengths
    if (ends[:-1] <= starts[1:]).all():  # as of arrays and lists
        return False
    distinct = np.unique(np.column_stack([starts, ends]), axis=0)
    return bool((distinct[1:, 0] < np.maximum.accumulate(distinct[:-1, 1])).any())


def find_distinct(sequences):
    """Find sequences of equal values.

    Returns
    -------
    first : ndarray of int of shape (n_distinct,)
        Index of the first copy of each, in an order that depends on the values alone.
    copy_of : ndarray of int of shape (n_sequences,)
        Position in `first` for each sequence.

    Examples
    --------
    >>> from sklearn_rnn.sequences import check_sequences, find_distinct
    >>> find_distinct(check_sequences([[2.0, 1.0], [1.0], [2.0, 1.0]]))
    (array([1, 0]), array([1, 0, 1]))
    """
    lengths = sequences.lengths
    first: dict[tuple, int] = {}
    keys: list[Any] = [None] * len(sequences)
    order = np.argsort(lengths, kind="stable")  # for blocks with little padding
    for begin in range(0, len(order), SEQUENCES_PER_COMPARISON):
        rows = order[begin : begin + SEQUENCES_PER_COMPARISON]
        steps = sequences.gather(rows) + 0.0  # -0 is 0
        for k, row in enumerate(rows):
            values = steps[: lengths[row], k].astype(">f8").tobytes()
            # The high bytes come first, so that rounding hardly changes the order.
            key = values[:N_SORTED_BYTES], hashlib.sha1(values).digest(), len(values)
            keys[row] = key
            first.setdefault(key, row)
    positions = {key: k for k, key in enumerate(sorted(first))}
    copy_of = np.array([positions[key] for key in keys])
    return np.array([first[key] for key in positions]), copy_of


def has_overlaps(sequences):
    """Return whether sequences share steps with others, as rows, arrays or by times.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences, has_overlaps
    >>> X = np.lib.stride_tricks.sliding_window_view(np.sin(np.arange(12.0)), 3)
    >>> has_overlaps(check_sequences(X)), has_overlaps(check_sequences(X[::3]))
    (True, False)
    """
    if sequences.time_index is not None and len(sequences) > 1:
        # Spectra of windows of a recording share no rows: most begin before the
        # previous one ends. Series of one time begin together.
        begin = sequences.times_of(sequences.starts)
        end = sequences.times_of(sequences.ends - 1)
        overlaps = (begin[:-1] < begin[1:]) & (begin[1:] <= end[:-1])
        if overlaps.mean() >= OVERLAPPING:
            return True
    return stride_of_arrays(sequences) is not None or shares_rows(sequences)


def stride_of_arrays(sequences):
    """Return the number of steps between successive arrays, None if not windows."""
    n_steps = sequences.common_length
    if n_steps is None or n_steps < 2 or len(sequences) < 2:
        return None
    rows = np.linspace(0, len(sequences) - 2, MAX_PAIRS).astype(int)
    rows = np.unique(rows)
    before, after = sequences.gather(rows), sequences.gather(rows + 1)  # (T, n, F)
    varies = (before != before[:1]).any(axis=(0, 2))  # a constant matches any
    before, after = before[:, varies], after[:, varies]
    if not varies.any():
        return None
    for stride in range(1, min(n_steps, MAX_STRIDE + 1)):
        overlaps = (before[stride:] == after[:-stride]).all(axis=(0, 2))
        if overlaps.mean() >= OVERLAPPING:
            return stride
    return None


def locate(sequences, row):
    """Return the first sequence that covers a row, and the row's step in it."""
    starts, ends = sequences.starts, sequences.ends
    sequence = int(np.argmax((starts <= row) & (row < ends)))
    return sequence, int(row - starts[sequence])


def describe_position(sequences, row, feature):
    """Describe where a value is, as ``"sequence 0, step 3, feature 1 ('temp')"``."""
    sequence, step = locate(sequences, row)
    names = sequences.feature_names
    name = f" ({names[feature]!r})" if names else ""
    return f"sequence {sequence}, step {step}, feature {feature}{name}"
