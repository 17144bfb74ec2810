"""Splits of the training sequences for validation."""

import numpy as np
from sklearn.model_selection import train_test_split

from sklearn_rnn.sequences import are_apart, shares_rows, stride_of_arrays


def validation_split(
    sequences, fraction, random_state, labels=None, horizon=1, per_step=False
):
    """Choose sequences to validate on, such that training does not see them.

    Where sequences are windows of time series (see `window_times`), validation is
    the last block of time, across all series, and training sequences that overlap
    its inputs in time or whose targets may reach into its targets are dropped.
    Otherwise the choice is random, stratified if `labels` are given, and copies of
    one sequence are not separated.

    Parameters
    ----------
    sequences : SequenceArray
        All of the training data.
    fraction : float
        Fraction to validate on, in (0, 1).
    random_state : numpy.random.RandomState
        Source of the random choice.
    labels : ndarray of shape (n_sequences,), default=None
        Class codes to stratify by.
    horizon : int, default=1
        Steps of time between a step and its target, if known.
    per_step : bool, default=False
        Whether every step of a window has a target, not only its last one.

    Returns
    -------
    train, validation : ndarray of int
        Indices of sequences; both non-empty.

    Raises
    ------
    ValueError
        If the data are too few to split.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import SequenceArray
    >>> from sklearn_rnn.training import validation_split
    >>> X = SequenceArray(np.zeros((10, 1)), np.arange(8), np.full(8, 3))
    >>> validation_split(X, 0.25, np.random.RandomState(0))
    (array([0, 1, 2, 3]), array([6, 7]))
    """
    times = window_times(sequences)
    if times is not None:
        begin, end = times
        train, validation = _last_block(begin, end, fraction, horizon, per_step)
    else:
        train, validation = _random_split(sequences, fraction, random_state, labels)
    if len(train) == 0 or len(validation) == 0:
        raise ValueError(
            f"validation_fraction={fraction} of {len(sequences)} sequences leaves "
            f"{len(train)} to train on and {len(validation)} to validate on. Give more "
            "data, another validation_fraction, or X_val and y_val."
        )
    return train, validation


def window_times(sequences):
    """Return when sequences begin and end, if they are windows over time series.

    Returns
    -------
    begin, end : ndarray of int of shape (n_sequences,)
        Times of the first and the last step. None instead of both where sequences have
        no timestamps, share no rows, and, as arrays, do not repeat the steps of the
        previous one, or where all end at one time.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import window_times
    >>> x = np.sin(np.arange(12.0))
    >>> X = np.lib.stride_tricks.sliding_window_view(x, 3)
    >>> window_times(check_sequences(X))[1]
    array([ 2,  3,  4,  5,  6,  7,  8,  9, 10, 11])
    """
    if sequences.time_index is not None or shares_rows(sequences):
        begin = sequences.times_of(sequences.starts)
        end = sequences.times_of(sequences.ends - 1)
    else:
        stride = stride_of_arrays(sequences)
        if stride is None:
            return None
        begin = stride * np.arange(len(sequences))
        end = begin + sequences.lengths - 1
    return None if end.min() == end.max() else (begin, end)


def _last_block(begin, end, fraction, horizon, per_step):
    n_validation = max(1, round(fraction * len(end)))
    # Windows that end at the same time are not separated, in any series.
    in_validation = end >= np.sort(end)[-n_validation]
    validation = np.flatnonzero(in_validation)
    clear_of_inputs = end < begin[validation].min()
    # A target is up to `horizon` steps after its step: those of training
    # must end before those of validation begin.
    first = begin if per_step else end
    clear_of_targets = end + horizon <= first[validation].min()
    return np.flatnonzero(clear_of_inputs & clear_of_targets), validation


def validation_folds(sequences, n_folds, horizon, random_state):
    """Split sequences into folds, each to be predicted from the others.

    Where sequences are windows of time series, a fold is a block of time, across all
    series; otherwise, or where all end at the same time, folds are random, and copies
    of one sequence are in the same fold. Copies count once.

    Parameters
    ----------
    sequences : SequenceArray
        The training data.
    n_folds : int
        At least 2.
    horizon : int
        Steps of time between the end of a sequence and its target.
    random_state : numpy.random.RandomState
        Source of the random choice.

    Returns
    -------
    folds : ndarray of int of shape (n_sequences,)
        The fold of each sequence, from 0 without gaps.
    near : callable
        ``near(k, rows)`` returns which of some sequences are not in fold k, but have
        targets so close to it in time that training without fold k must skip them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import SequenceArray
    >>> from sklearn_rnn.training import validation_folds
    >>> X = SequenceArray(np.zeros((10, 1)), np.arange(8), np.full(8, 3))
    >>> folds, near = validation_folds(X, 2, 1, np.random.RandomState(0))
    >>> folds
    array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> near(0, np.arange(8)).nonzero()[0]
    array([4])
    """
    first, copy_of = find_copies(sequences)
    folds = np.zeros(len(sequences), dtype=int)
    times = window_times(sequences)
    if times is not None:
        time = times[1]
        cuts = np.quantile(time[first], np.arange(1, n_folds) / n_folds)
        folds = np.unique(np.searchsorted(cuts, time), return_inverse=True)[1].ravel()
    if folds.max() == 0:
        order = random_state.permutation(len(first))
        folds = np.unique(order[copy_of] % n_folds, return_inverse=True)[1]
        return folds.ravel(), lambda fold, rows: np.zeros(len(rows), dtype=bool)
    # With few sequences a smaller gap, so that enough are left.
    gap = min(horizon, len(np.unique(time)) // (2 * n_folds))

    def near(fold, rows):
        own = time[folds == fold]
        begin, end = own.min() - gap, own.max() + gap
        if begin <= time.min() and time.max() <= end:  # no sequence would be left
            begin, end = own.min(), own.max()
        return (time[rows] >= begin) & (time[rows] <= end) & (folds[rows] != fold)

    return folds, near


def find_copies(sequences):
    """Find sequences that read the same rows of the same values.

    Returns
    -------
    first : ndarray of int of shape (n_distinct,)
        Index of the first copy of each distinct sequence.
    copy_of : ndarray of int of shape (n_sequences,)
        Position in `first` for each sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import SequenceArray
    >>> from sklearn_rnn.training import find_copies
    >>> find_copies(SequenceArray(np.zeros((4, 1)), [0, 2, 0], [2, 2, 2]))
    (array([0, 1]), array([0, 1, 0]))
    """
    first = copy_of = np.arange(len(sequences))
    if not (are_apart(sequences) or (np.diff(sequences.ends) > 0).all()):
        # One integer per pair of start and length sorts much faster than pairs.
        starts = sequences.starts.astype(np.int64)
        key = starts * (sequences.lengths.max() + 1) + sequences.lengths
        _, first, copy_of = np.unique(key, return_index=True, return_inverse=True)
    return first, copy_of.ravel()


def _random_split(sequences, fraction, random_state, labels):
    first, copy_of = find_copies(sequences)
    try:
        _, held_out = train_test_split(
            np.arange(len(first)),
            test_size=fraction,
            random_state=random_state,
            stratify=None if labels is None else labels[first],
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction} cannot split {len(sequences)} sequences: "
            f"{error} Give more data, another validation_fraction, or X_val and y_val."
        ) from error
    in_validation = np.isin(copy_of, held_out)
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)
