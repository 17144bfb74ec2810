"""Which rows of `values` sequences cover, how often; their statistics and range.

A selection still holds the whole table, so nothing may look at other rows, or a fold
would see its test rows. Rows are looked at in blocks: beside short windows over a
series, an array as long as the series, or as many sequences, would weigh.
"""

from bisect import bisect_left

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError

# Sequences looked at at a time, by what looks at all of them.
SEQUENCES_PER_BLOCK = 2**17
# Rows and values read at a time by what scans a series, so that its temporary arrays
# stay small beside the series itself.
CHUNK_ROWS = 65_536
CHUNK_VALUES = 2**20

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
    first, last = 0, n_rows
    if len(starts):
        first, last = int(starts[0]), int(starts[-1]) + int(lengths[-1])
    # One sequence, or those of an array or a list, each next to the previous one, cover
    # each of their rows once: there is nothing to count.
    is_once = weights is None and lengths.sum() == last - first
    if len(starts) > 1:
        is_once = is_once and (starts[1:] == starts[:-1] + lengths[:-1]).all()
    if is_once:
        counted = ((k, None, None) for k in range(first - first % size, last, size))
    else:
        counted = _coverage_blocks(sequences, weights, size)
        first, last = 0, n_rows
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
