"""Targets of every step: checked, and aligned with the steps of the inputs."""

import warnings
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import TargetWarning, user_stacklevel
from sklearn_rnn.sequences._check import (
    CONVERSION_ERRORS,
    is_list_of_sequences,
    raise_conversion_error,
)
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._conversion import nested_columns, plain_arrays, unpack

# What other libraries put where there is no target: torch's losses ignore -100.
FILL_VALUES = (-100, -1)


class Extents(NamedTuple):
    """First step of each sequence among all steps, and its number of steps."""

    starts: np.ndarray
    lengths: np.ndarray


class StepValues(NamedTuple):
    """One value, or several, for every step of every sequence.

    values : ndarray of shape (n_steps,) or (n_steps, n_outputs), sequence after
    sequence lengths : ndarray of int of shape (n_sequences,) from_array : bool, whether
    they came as one array, not as a list of sequences
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
    y,
    sequences,
    padded,
    *,
    estimator_name="the estimator",
    missing_label=None,
    are_labels=True,
):
    """Return `y` as a target for every step of sequences, as StepValues.

    Parameters
    ----------
    y : ndarray, list, DataFrame or SequenceArray
        Array (n_sequences, n_timesteps) or (n_sequences, n_timesteps, n_outputs); list
        or 1-D object array of (length_i,) or (length_i, n_outputs) arrays, or of
        strings, one label per character. Where X had padding, `y` has any value there
        or is as short as the sequence is without it.
    sequences, padded : SequenceArray or Extents
        The inputs, without padding and as they were given.
    estimator_name : str, default="the estimator"
        Named in messages.
    missing_label : object, default=None
        Marks a step without a target, besides NaN and None.
    are_labels : bool, default=True
        Whether `estimator_name` has a `missing_label`, for the messages.

    Returns
    -------
    StepValues

    Examples
    --------
    >>> from sklearn_rnn.sequences import check_sequences, check_step_targets
    >>> X = check_sequences([[0.1, 0.2, 0.3], [0.4]])
    >>> check_step_targets([["a", "b", "b"], ["a"]], X, X).values
    array(['a', 'b', 'b', 'a'], dtype='<U1')
    """
    y = unpack(y, estimator_name=estimator_name, name="y")
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1 and any(nested_columns(y)):
        y = y.iloc[:, 0]
    texts = _texts(y)
    given = _step_values(y if texts is None else texts, estimator_name)
    lengths = sequences.lengths
    if len(given.lengths) != len(lengths):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: X has "
            f"{len(lengths)} sequences, y has {len(given.lengths)}. {estimator_name} "
            "needs a target for every step of each."
        )
    as_padded = given.lengths == padded.lengths
    first = np.where(as_padded, sequences.starts - padded.starts, 0)
    fits = (
        as_padded
        | (given.lengths == lengths)
        | _is_padded_array(given, lengths, missing_label)
    )
    if not fits.all():
        i = int(np.argmin(fits))
        remedy = "A step without one is NaN, or has a missing label."
        if texts is not None:
            remedy = (
                "A string is read as one label per character. One label per sequence "
                "is for RNNClassifier."
            )
        fill = _fill_after_end(given, lengths, i)
        if fill is not None:
            remedy = (
                f"After them it has {fill} alone. "
                f"{_describe_missing(fill, estimator_name, are_labels)}"
            )
        raise ValueError(
            f"y[{i}] has {given.lengths[i]} steps, but X[{i}] has {padded.lengths[i]}: "
            f"{estimator_name} needs a target for every step. {remedy}"
        )
    rows = flat_rows(given.starts + first, lengths)
    return StepValues(given.values[rows], lengths, given.from_array)


def check_no_padding(
    steps, sequences, *, estimator_name, are_labels, missing_label=None, classes=None
):
    """Check that -1 or -100 does not mark steps without a target in a new fit.

    Raises a ValueError where that is certain of labels, and gives a TargetWarning where
    it is likely, or where X is padded with a number at steps without a target.
    `classes` are labels that are known to be some; `missing_label` marks a step without
    one.
    """
    _warn_of_padded_inputs(steps, sequences, estimator_name, missing_label)
    values = _as_numbers(steps.values)
    if values is None:
        return
    known = [] if classes is None else np.asarray(classes).tolist()
    missing = is_missing(values, missing_label).reshape(len(values), -1).any(axis=1)
    for fill in FILL_VALUES:
        if missing_label == fill or fill in known:
            continue
        filled = (values == fill).reshape(len(values), -1).all(axis=1)
        others = values[~filled & ~missing]
        if not filled.any() or not others.size or (others == -fill).all():
            continue  # -1 and 1 are labels
        are_codes = bool((others >= 0).all() and (others % 1 == 0).all())
        if are_labels and not are_codes:
            continue
        counts = _count_trailing(filled, steps)
        at_ends = counts is not None
        like_padding = at_ends and _end_like_padding(counts)
        in_padding = like_padding and _are_padding(sequences, counts)
        if are_labels and at_ends:
            ignored = fill == -100 and not (others == 100).any()
            if ignored or in_padding:
                raise ValueError(_describe_padding(fill, estimator_name, are_labels))
        # Inside of sequences torch's losses ignore -100 as well, but not -1.
        is_likely = fill == -100 if are_labels else in_padding
        is_likely |= like_padding and (are_codes or fill == -100)
        if is_likely:
            where = "at ends of sequences alone" if at_ends else "among class codes"
            warnings.warn(
                _describe_padding(fill, estimator_name, are_labels, where),
                TargetWarning,
                stacklevel=user_stacklevel(),
            )
            return


def _warn_of_padded_inputs(steps, sequences, estimator_name, missing_label):
    """Warn if X is padded with a number at the steps that have no target."""
    missing = is_missing(steps.values, missing_label)
    counts = _count_trailing(missing.reshape(len(missing), -1).all(axis=1), steps)
    if (
        counts is None
        or not _end_like_padding(counts)
        or not _are_padding(sequences, counts)
    ):
        return
    warnings.warn(
        "X is constant at the last steps of sequences, which have no target, as in "
        f"padding, and {estimator_name} reads these steps as data. Pass lists without "
        "them, or X with NaN there.",
        TargetWarning,
        stacklevel=user_stacklevel(),
    )


def check_no_words(y, *, estimator_name):
    """Warn of strings that look like one label per sequence, read as one per step."""
    texts = _texts(y)
    if texts is None or len(texts) == 1:
        return
    words = {"".join(text) for text in texts}
    # Few characters, as labels of steps, make many sequences. Names of classes recur,
    # and have several characters.
    n_characters = len(set().union(*words))
    if len({len(text) for text in texts}) == 1 and len(words) < n_characters:
        warnings.warn(
            f"y holds strings of one length, such as {''.join(texts[0])!r}, and "
            f"{estimator_name} reads each character as the label of a step. If a "
            "string is the label of a sequence, use RNNClassifier; if its characters "
            "are labels, pass lists of labels, as in [list(text) for text in y].",
            TargetWarning,
            stacklevel=user_stacklevel(),
        )


def flat_rows(starts, lengths):
    """Return the rows of ranges, one range after the other.

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
    """Return where an array has no value: NaN, None, or the `missing_label`."""
    missing = np.zeros(values.shape, dtype=bool)
    if values.dtype.kind in "fO":
        missing |= pd.isna(values)
    if missing_label is not None:
        present = ~missing
        missing[present] = values[present] == missing_label
    return missing


def _texts(y):
    """Return the characters of each string, if `y` is strings; else None."""
    if isinstance(y, pd.Series):
        y = y.to_numpy()
    if isinstance(y, np.ndarray):
        if y.ndim != 1 or y.dtype.kind not in "SUO":
            return None
    elif not isinstance(y, (list, tuple)):
        return None
    if len(y) == 0 or not isinstance(y[0], (str, bytes)):
        return None
    if isinstance(y[0], bytes):
        raise ValueError("y[0] is bytes: decode it, as in [x.decode() for x in y].")
    for i, text in enumerate(y):
        if not isinstance(text, str):
            raise ValueError(
                f"y[{i}] is of type {type(text).__name__}, and y[0] is a string, one "
                "label per character. Give lists of labels for all sequences, or "
                "strings for all."
            )
    return [np.array(list(text), dtype=str) for text in y]


def _describe_missing(fill, estimator_name, are_labels):
    """Return how to mark a step without a target."""
    if not are_labels:
        return "If that is no target, put NaN there."
    return f"If that is no target, set {estimator_name}(missing_label={fill})."


def _describe_padding(
    fill, estimator_name, are_labels, where="at ends of sequences alone"
):
    """Return a message about targets that look like padding."""
    remedy = ""
    if are_labels:
        remedy = " If it is a label, give it another value, such as a string."
    return (
        f"y holds {fill} {where}, as padding does, and {estimator_name} reads it as a "
        f"target. {_describe_missing(fill, estimator_name, are_labels)}{remedy}"
    )


def _fill_after_end(given, lengths, i):
    """Return the one fill value behind the end of a sequence in its target, or None."""
    begin = given.starts[i]
    behind = given.values[begin + lengths[i] : begin + given.lengths[i]]
    if behind.dtype.kind not in "iuf" or not behind.size:
        return None
    fill = behind.flat[0]
    return fill if fill in FILL_VALUES and (behind == fill).all() else None


def _as_numbers(values):
    """Return targets as an array of numbers, with NaN for None; None for others."""
    if values.dtype == object:
        kinds = set(map(type, values.ravel()))
        if not all(t is type(None) or issubclass(t, Real) for t in kinds - {bool}):
            return None
        try:
            return values.astype(np.float64)
        except OverflowError:  # an int that the estimator names
            return None
    return values if values.dtype.kind in "iuf" else None


def _count_trailing(filled, steps):
    """Count the marked steps at each sequence's end; None if others are marked."""
    others = np.where(filled, -1, np.arange(len(filled)))
    last = np.maximum.reduceat(others, steps.starts)  # -1 if all are marked
    counts = np.minimum(steps.starts + steps.lengths - 1 - last, steps.lengths)
    return counts if counts.sum() == filled.sum() else None


def _end_like_padding(counts):
    """Return whether counts at ends differ as those of padding do."""
    return np.count_nonzero(counts) > 1 and counts.max() > 1 and np.ptp(counts) > 0


def _are_padding(sequences, counts):
    """Return whether so many last steps of X are padding: constant there alone."""
    lengths = sequences.lengths
    ends = sequences.starts + lengths
    inputs = sequences.read_rows(flat_rows(ends - counts, counts))
    before = sequences.read_rows((ends - counts - 1)[counts < lengths])
    return bool(
        (lengths == lengths[0]).all()
        and (inputs == inputs[0]).all()
        and (before != inputs[0]).any(axis=1).all()
    )


def _is_padded_array(given, lengths, missing_label):
    """Return which sequences of an array have no target behind those of X."""
    longer = given.lengths > lengths
    if not given.from_array or not longer.any():
        return np.zeros(len(lengths), bool)
    missing = is_missing(given.values, missing_label)
    present = ~missing.reshape(len(missing), -1).all(axis=1)
    rows = np.arange(len(present)).reshape(len(lengths), -1)
    step = rows - rows[:, :1]
    last = np.where(present.reshape(step.shape), step, -1).max(axis=1)
    return longer & (last < lengths)


def _step_values(y, estimator_name):
    if isinstance(y, SequenceArray):
        values = y.read_rows(flat_rows(y.starts, y.lengths))
        values = values[:, 0] if y.n_features == 1 else values
        return StepValues(values, y.lengths, from_array=False)
    if isinstance(y, pd.Series):
        y = y.to_numpy()
    y = _plain(y, estimator_name)
    if is_list_of_sequences(y):
        return _values_of_list(y)
    try:
        y = np.asarray(y)
    except CONVERSION_ERRORS as error:
        raise_conversion_error(error, "a target for every step")
    if y.ndim not in (2, 3):
        raise ValueError(
            f"y has shape {y.shape}; {estimator_name} needs a target for every step: "
            "an array (n_sequences, n_timesteps), for several per step (n_sequences, "
            "n_timesteps, n_outputs), or a list of one array per sequence. One target "
            "per sequence is for RNNClassifier, or "
            "RNNRegressor(return_sequences=False). Of one sequence x alone: pass [x], "
            "and [y]."
        )
    lengths = np.full(len(y), y.shape[1])
    return StepValues(y.reshape(-1, *y.shape[2:]), lengths, from_array=True)


def _values_of_list(y):
    arrays = []
    for i, item in enumerate(y):
        try:
            arrays.append(_as_array(item))
        except CONVERSION_ERRORS as error:
            raise_conversion_error(error, "a target for every step", f"y[{i}]")
    shape = arrays[0].shape[1:]
    for i, array in enumerate(arrays):
        if array.ndim not in (1, 2) or array.shape[1:] != shape:
            raise ValueError(
                f"y[{i}] has shape {array.shape}, and y[0] {arrays[0].shape}: each "
                "must be (length,), or (length, n_outputs) with as many outputs."
            )
    if any(array.dtype.kind in "US" for array in arrays):
        # Arrays of NaN alone are missing labels, not numbers.
        arrays = [a.astype(object) if is_missing(a).all() else a for a in arrays]
    kinds = {array.dtype.kind in "US" for array in arrays if array.dtype != object}
    if len(kinds) > 1:
        raise ValueError(
            "y mixes sequences of text with sequences of numbers; make all targets of "
            "one type."
        )
    lengths = np.array([len(array) for array in arrays])
    return StepValues(np.concatenate(arrays), lengths, from_array=False)


def _plain(y, estimator_name):
    # None, not NaN, where masked: integers are labels, and stay integers.
    if np.ma.isMaskedArray(y):
        values = y.data.astype(object)
        values[np.ma.getmaskarray(y)] = None
        return values
    if isinstance(y, (list, tuple)):
        return y  # its items are converted one by one
    return plain_arrays(y, estimator_name=estimator_name)


def _as_array(item):
    item = _plain(item, "y")
    array = np.asarray(item)
    if array.dtype.kind in "US" and not hasattr(item, "dtype"):
        # NumPy converts numbers among text to text: a missing label would be "nan".
        as_given = np.asarray(item, dtype=object)
        if not all(isinstance(value, (str, bytes)) for value in as_given.flat):
            return as_given
    return array
