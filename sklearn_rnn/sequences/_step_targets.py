"""Targets of every step: read, and laid beside the steps that they belong to."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn.sequences._check import is_list_of_sequences
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._conversion import plain_arrays


class StepValues(NamedTuple):
    """One value, or several, for every step of every sequence.

    Parameters
    ----------
    values : ndarray of shape (n_steps,) or (n_steps, n_outputs)
        All steps of the first sequence, then those of the second, ...
    lengths : ndarray of int of shape (n_sequences,)
        Steps of each sequence.
    from_array : bool
        Whether they came as one array, not as a list of sequences.
    """

    values: np.ndarray
    lengths: np.ndarray
    from_array: bool

    @property
    def starts(self):
        """First step of each sequence, ndarray of shape (n_sequences,)."""
        return np.cumsum(self.lengths) - self.lengths

    def locate(self, row):
        """Return the sequence that a row of `values` belongs to, and its step."""
        sequence = int(np.searchsorted(self.starts, row, side="right")) - 1
        return sequence, int(row - self.starts[sequence])


def check_step_targets(
    y, sequences, padded, *, owner="the estimator", missing_label=None
):
    """Read `y` as a target for every step of sequences.

    Parameters
    ----------
    y : ndarray, list, DataFrame or SequenceArray
        Array (n_sequences, n_timesteps) or (n_sequences, n_timesteps,
        n_outputs); list or 1-D object array of (length_i,) or (length_i,
        n_outputs) arrays. Where X had padding, `y` has any value there or is
        as short as the sequence is without it.
    sequences : SequenceArray
        The inputs, without padding.
    padded : SequenceArray
        The inputs as they were given.
    owner : str, default="the estimator"
        Who asks, for the messages.
    missing_label : object, default=None
        What stands where there is no target, besides NaN and None.

    Returns
    -------
    StepValues
        As many steps as `sequences` has.

    Raises
    ------
    ValueError
        If `y` is not a target for every step of every sequence.

    Examples
    --------
    >>> from sklearn_rnn.sequences import check_sequences, check_step_targets
    >>> X = check_sequences([[0.1, 0.2, 0.3], [0.4]])
    >>> check_step_targets([["a", "b", "b"], ["a"]], X, X).values
    array(['a', 'b', 'b', 'a'], dtype='<U1')
    """
    given = _read(y, owner)
    if len(given.lengths) != len(sequences):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: X has "
            f"{len(sequences)} sequences, y has {len(given.lengths)}."
        )
    lengths = sequences.lengths
    as_padded = given.lengths == padded.lengths
    first = np.where(as_padded, sequences.starts - padded.starts, 0)
    fits = (
        as_padded
        | (given.lengths == lengths)
        | _is_padded_array(given, lengths, missing_label)
    )
    if not fits.all():
        place = int(np.argmin(fits))
        raise ValueError(
            f"y[{place}] has {given.lengths[place]} steps, but X[{place}] has "
            f"{padded.lengths[place]}: {owner} needs a target for every step. A step "
            "without one is NaN, or has a missing label."
        )
    rows = flat_rows(given.starts + first, lengths)
    return StepValues(given.values[rows], lengths, given.from_array)


def flat_rows(starts, lengths):
    """List the rows of ranges, one range after the other.

    Parameters
    ----------
    starts, lengths : ndarray of int of shape (n,)
        First row and number of rows of each range.

    Returns
    -------
    ndarray of int of shape (sum of lengths,)
        Row numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import flat_rows
    >>> flat_rows(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def is_missing(values, missing_label=None):
    """Tell where there is no value: NaN, None, or what is said to mean it.

    Parameters
    ----------
    values : ndarray
        Of any type.
    missing_label : object, default=None
        What means it besides.

    Returns
    -------
    ndarray of bool of the shape of `values`
        True where there is none.
    """
    missing = np.zeros(values.shape, dtype=bool)
    if values.dtype.kind in "fO":
        missing |= pd.isna(values)
    if missing_label is not None:
        missing |= values == missing_label
    return missing


def _is_padded_array(given, lengths, missing_label):
    """Tell which sequences of an array have nothing behind those of X."""
    longer = given.lengths > lengths
    if not given.from_array or not longer.any():
        return np.zeros(len(lengths), bool)
    missing = is_missing(given.values, missing_label)
    present = ~missing.reshape(len(missing), -1).all(axis=1)
    places = np.arange(len(present)).reshape(len(lengths), -1)
    step = places - places[:, :1]
    last = np.where(present.reshape(step.shape), step, -1).max(axis=1)
    return longer & (last < lengths)


def _read(y, owner):
    if isinstance(y, SequenceArray):
        values = y.read_rows(flat_rows(y.starts, y.lengths))
        values = values[:, 0] if y.n_features == 1 else values
        return StepValues(values, y.lengths, from_array=False)
    if isinstance(y, pd.Series):
        y = y.to_numpy()
    if np.ma.isMaskedArray(y):
        y = np.where(np.ma.getmaskarray(y), None, y.data.astype(object))
    if is_list_of_sequences(y):
        return _read_list(y)
    y = np.asarray(y)
    if y.ndim not in (2, 3):
        raise ValueError(
            f"y has shape {y.shape}; {owner} needs a target for every step: an array "
            "(n_sequences, n_timesteps), for several numbers a step (n_sequences, "
            "n_timesteps, n_outputs), or a list of one array a sequence. One target a "
            "sequence is for RNNClassifier, or RNNRegressor(return_sequences=False)."
        )
    lengths = np.full(len(y), y.shape[1])
    return StepValues(y.reshape(-1, *y.shape[2:]), lengths, from_array=True)


def _read_list(y):
    arrays = [_as_array(one) for one in y]
    shape = arrays[0].shape[1:]
    for i, array in enumerate(arrays):
        if array.ndim not in (1, 2) or array.shape[1:] != shape:
            raise ValueError(
                f"y[{i}] has shape {array.shape}, and y[0] {arrays[0].shape}: each "
                "must be (length,), or (length, n_outputs) with as many outputs."
            )
    if any(array.dtype.kind in "US" for array in arrays):
        # Nothing but NaN is missing labels, not numbers.
        arrays = [a.astype(object) if is_missing(a).all() else a for a in arrays]
    kinds = {array.dtype.kind in "US" for array in arrays if array.dtype != object}
    if len(kinds) > 1:
        raise ValueError(
            "y mixes sequences of text with sequences of numbers; make all targets of "
            "one type."
        )
    lengths = np.array([len(array) for array in arrays])
    return StepValues(np.concatenate(arrays), lengths, from_array=False)


def _as_array(one):
    one = plain_arrays(one, owner="y")
    array = np.asarray(one)
    if array.dtype.kind in "US" and not hasattr(one, "dtype"):
        # NumPy writes numbers among text as text: a missing label would be "nan".
        as_given = np.asarray(one, dtype=object)
        if not all(isinstance(value, (str, bytes)) for value in as_given.flat):
            return as_given
    return array
