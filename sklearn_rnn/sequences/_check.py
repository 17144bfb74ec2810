"""Validation of what users give: X, its features and their names, and targets."""

from functools import partial
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import validate_data

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._arrays import to_numbers
from sklearn_rnn.sequences._categories import (
    check_no_categories,
    encode_categories,
    is_categorical,
    is_text,
)
from sklearn_rnn.sequences._container import (
    SequenceArray,
    check_range,
    covered_chunks,
    describe_position,
    finite_range,
    locate,
    trusted_sequences,
)
from sklearn_rnn.sequences._conversion import (
    check_item,
    convert_input,
    is_cell,
    table_array,
)
from sklearn_rnn.sequences._layout import (
    MANY_FEATURES_OF_ONE_STEP,
    warn_of_layout,
    warn_of_rows,
)
from sklearn_rnn.sequences._text import check_no_text
from sklearn_rnn.sequences._times import holds_dates
from sklearn_rnn.sequences._transforms import Transforms

# Ids above this are hashes or codes, not positions in a vocabulary.
MAX_TOKENS = 10_000_000
# What NumPy, pandas, torch and scikit-learn raise for values they cannot convert.
CONVERSION_ERRORS = (TypeError, ValueError, RuntimeError, ArithmeticError)


def check_sequences(
    X, *, estimator_name="the estimator", allow_empty=False, allow_categories=False
):
    """Return `X` as a SequenceArray without padding, in which every step is finite.

    Parameters
    ----------
    X : SequenceArray, ndarray, list or DataFrame
        3-D array (n_sequences, n_timesteps, n_features); 2-D array or frame
        (n_sequences, n_timesteps), one feature per step; list or 1-D object array of
        (length_i, n_features) or (length_i,) arrays. Steps that are NaN in every
        feature at either end of a sequence are padding (of a 2-D array only at the
        end).
    estimator_name : str, default="the estimator"
        Named in messages.
    allow_empty : bool, default=False
        Whether there may be no sequences.
    allow_categories : bool, default=False
        Whether features may hold codes of categories.

    Returns
    -------
    SequenceArray

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences
    >>> check_sequences([np.zeros((5, 2)), np.zeros((3, 2))])
    SequenceArray(2 sequences of 3 to 5 steps, 2 features, float64)
    """
    checked = check_input(
        X,
        estimator_name=estimator_name,
        allow_empty=allow_empty,
        allow_categories=allow_categories,
    )
    return checked.sequences


class CheckedInput(NamedTuple):
    """What was given as ``X``: as an array, list, frame or container, and as sequences.

    X : object
        As `convert_input` returns it.
    sequences, padded : SequenceArray
        As `check_sequences` returns them, and with padding.
    is_table : bool
        Whether X is a table: univariate sequences, one per row.
    form : tuple or None
        Number and names of features, which X of equal forms share; None of a table.
    """

    X: Any
    sequences: SequenceArray
    padded: SequenceArray
    is_table: bool
    form: tuple[int, tuple[str, ...] | None] | None


def check_input(
    X, *, estimator_name="the estimator", allow_empty=False, allow_categories=False
):
    """Return `X` as `convert_input` does, and as `check_sequences` does."""
    try:
        is_array = type(X) is np.ndarray and X.dtype.kind in "biuf" and X.ndim > 0
        # Sequences, and arrays of numbers, need no conversion.
        if not (is_array or isinstance(X, SequenceArray)):
            X = convert_input(X, estimator_name=estimator_name)
        is_table = False
        if isinstance(X, SequenceArray):
            padded = X
        elif isinstance(X, np.ndarray) and X.dtype != object:
            padded, is_table = _from_array(X, estimator_name), X.ndim == 2
        else:
            padded = _from_list_or_table(X, estimator_name)
            is_table = len(getattr(X, "shape", ())) == 2
    except (TypeError, ValueError):
        _check_no_text(X, estimator_name)
        raise
    sequences = padded
    if not allow_categories:
        check_no_categories(sequences, estimator_name=estimator_name)
    if len(sequences) == 0 and not allow_empty:
        raise InvalidSequenceError(
            f"Found array with 0 sample(s) (shape={sequences.shape}) while a minimum "
            f"of 1 is required: {estimator_name} needs at least one sequence."
        )
    if sequences.values.dtype.kind == "f" and len(sequences):
        found = finite_range(sequences)
        if found is None:  # what is not finite may be padding
            sequences = _without_padding(sequences)
            found = finite_range(sequences)
        if found is None:
            _raise_non_finite(sequences, estimator_name)
        if sequences is X:  # whose rows may change before it is checked again
            sequences = sequences[:]
        sequences._range = found
    if sequences.transforms.scaling is not None:
        check_range(sequences, estimator_name=estimator_name)
    form = None if is_table else (sequences.n_features, sequences.feature_names)
    return CheckedInput(X, sequences, padded, is_table, form)


def is_list_of_sequences(X):
    """Return whether `X` is a list or 1-D object array of sequences, not of numbers.

    It is where its first element has a length.
    """
    if isinstance(X, pd.Series):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        if X.dtype != object or X.ndim != 1:
            return False
    elif not isinstance(X, (list, tuple)):
        return False
    return len(X) > 0 and is_cell(X[0])


def _check_no_text(X, estimator_name):
    """Raise a clearer error for text; frames with categories are none."""
    if not (isinstance(X, (list, tuple)) and any(map(_has_categories, X))):
        check_no_text(X, estimator_name)


def _from_list_or_table(X, estimator_name):
    if isinstance(X, pd.Series):
        _raise_one_dimensional(X, estimator_name, "x.to_frame()")
    if isinstance(X, (list, tuple)) and len(X) == 0:
        raise InvalidSequenceError(
            f"X is empty: {estimator_name} needs at least one sequence."
        )
    if _is_list(X):
        return _from_list(X, estimator_name)
    is_table = hasattr(X, "columns")
    if is_table:
        _check_columns(X, estimator_name)
    return _from_array(table_array(X) if is_table else np.asarray(X), estimator_name)


def _is_list(X):
    """Return whether `X` is a list whose items are not just numbers or strings."""
    if isinstance(X, np.ndarray) and (X.dtype != object or X.ndim != 1):
        return False
    if not isinstance(X, (list, tuple, np.ndarray)) or len(X) == 0:
        return False
    return not all(map(_is_scalar, X))


def _is_scalar(value):
    if isinstance(value, (Number, str, bytes, np.generic)):
        return True
    # A missing value among numbers is one of them; alone it is no sequence.
    return getattr(value, "ndim", None) == 0


def _check_columns(X, estimator_name):
    if isinstance(X, pd.DataFrame) and _has_times(X.index):
        raise InvalidSequenceError(
            f"{estimator_name} got a table with a time index: its rows are steps of "
            "one long series, not sequences. Put a SequenceWindower in front: "
            f"make_pipeline(SequenceWindower(n_steps=24), {estimator_name}(...)). If "
            "each row really is a whole sequence, pass X.to_numpy()."
        )
    _check_no_text_columns(X, estimator_name)


def _has_times(index):
    # Names of whole sequences may be identifiers that read like dates.
    return holds_dates(index, certain=True)


def _from_array(X, estimator_name):
    """Return sequences of an array: one per row, or with their features."""
    if X.ndim < 2:
        _raise_one_dimensional(X, estimator_name, "np.reshape(x, (-1, 1))")
    if X.ndim > 3:
        raise InvalidSequenceError(
            f"X has {X.ndim} dimensions; sequences have at most three: "
            "(n_sequences, n_timesteps, n_features). Found array with dim "
            f"{X.ndim}."
        )
    if 0 in X.shape[1:]:
        raise InvalidSequenceError(
            f"X has shape {X.shape}: {estimator_name} needs at least one step and one "
            f"feature. Found array with 0 feature(s) (shape={X.shape}) while a minimum "
            "of 1 is required."
        )
    if X.dtype.kind not in "bif" or X.dtype.itemsize > 8:
        X = to_numbers(X, estimator_name=estimator_name, describe=_describe_array_index)
    if X.ndim == 2:
        _check_no_leading_nan(X, estimator_name)
        X = X[:, :, np.newaxis]
    n_sequences, n_timesteps, n_features = X.shape
    return trusted_sequences(
        X.reshape(n_sequences * n_timesteps, n_features),
        starts=np.arange(n_sequences) * n_timesteps,
        lengths=np.full(n_sequences, n_timesteps),
    )


def _describe_array_index(index):
    if not index:
        return "X"
    sequence, step, *feature = index
    return (
        f"X at sequence {sequence}, step {step}, feature {feature[0] if feature else 0}"
    )


def _raise_one_dimensional(X, estimator_name, as_table):
    """Raise the error of a row of values; `as_table` makes a table of it."""
    raise InvalidSequenceError(
        f"Expected 2D array, got 1D array instead: {len(X)} values. Reshape your "
        "data: pass [x] if x is one sequence of so many steps. If x is a series with "
        f"a target for every step, pass {as_table} to "
        f"make_pipeline(SequenceWindower(n_steps=24), {estimator_name}(...))."
    )


def _check_no_text_columns(X, estimator_name):
    for j, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        if _is_text_or_time(dtype) or (
            isinstance(X, pd.DataFrame) and is_text(X.iloc[:, j])
        ):
            raise InvalidSequenceError(
                f"column {name!r} of X holds {dtype}, not numbers. If the rows of X "
                "are steps of time, put a SequenceWindower in front, which reads names "
                "as categories, or name that column in its time= or group_by=; "
                f"{estimator_name} alone reads each row as a whole sequence."
            )


def _is_text_or_time(dtype):
    if hasattr(dtype, "is_temporal"):  # of polars
        return dtype.is_temporal() or str(dtype) in ("String", "Categorical")
    return dtype.kind in "mM"


def _check_no_leading_nan(X, estimator_name):
    """Check that no sequence of a 2-D array begins with NaN, likely a missing value."""
    if X.dtype.kind == "f" and np.isnan(X[:, 0]).any():
        i = int(np.argmax(np.isnan(X[:, 0])))
        raise InvalidSequenceError(
            f"Input X contains NaN: sequence {i} begins with it. In a 2-D array "
            f"{estimator_name} takes NaN only as padding at the end; where it is "
            "padding at the start, pass the 3-D array X[:, :, np.newaxis]."
        )


def _from_list(X, estimator_name):
    if any(map(_has_categories, X)):
        return _from_frames(X, estimator_name)
    arrays = [_check_sequence(x, i, estimator_name) for i, x in enumerate(X)]
    _check_same_features(arrays)
    lengths = np.array([len(array) for array in arrays])
    names = _common_names(X)
    return trusted_sequences(
        np.concatenate(arrays), np.cumsum(lengths) - lengths, lengths, names
    )


def _has_categories(x):
    """Return whether an item is a frame of which some column holds categories."""
    if not isinstance(x, pd.DataFrame):
        return False
    # A single column of strings is text, whose words are tokens.
    if x.shape[1] == 1 and not isinstance(x.dtypes.iloc[0], pd.CategoricalDtype):
        return False
    return any(is_categorical(x.iloc[:, j]) for j in range(x.shape[1]))


def _from_frames(X, estimator_name):
    """Return sequences of frames, of which some columns hold categories."""
    names = _common_names(X) or list(X[0].columns)
    lengths = np.array([len(x) for x in X])
    if not lengths.all():
        _check_sequence(
            X[int(np.argmin(lengths))], int(np.argmin(lengths)), estimator_name
        )
    starts = np.cumsum(lengths) - lengths
    table = pd.concat([x.set_axis(names, axis=1) for x in X], ignore_index=True)
    columns, categories = [], {}
    for j, name in enumerate(names):
        if is_categorical(table.iloc[:, j]):
            codes, categories[j] = encode_categories(table.iloc[:, j])
            columns.append(codes)
            continue

        def describe(index, name=name):
            if not index:
                return f"column {name!r} of X"
            i = int(np.searchsorted(starts, index[0], side="right")) - 1
            return f"X[{i}] at step {index[0] - starts[i]}, column {name!r}"

        column = table_array(table.iloc[:, [j]])[:, 0]
        columns.append(
            to_numbers(column, estimator_name=estimator_name, describe=describe)
        )
    names = names if all(isinstance(name, str) for name in names) else None
    return trusted_sequences(
        np.column_stack(columns),
        starts,
        lengths,
        names,
        transforms=Transforms(categories=categories),
    )


def _check_same_features(arrays):
    n_features = arrays[0].shape[1]
    for i, array in enumerate(arrays):
        if array.shape[1] == n_features:
            continue
        order = ""
        if len(arrays[0]) > 1 and all(len(array) == len(arrays[0]) for array in arrays):
            order = (
                f" All have {len(arrays[0])} rows: if those are the features or "
                "channels, and the columns the time steps, the order is that of aeon "
                "and sktime: pass [x.T for x in X]."
            )
        raise InvalidSequenceError(
            f"X[{i}] has {array.shape[1]} features per step, but X[0] has "
            f"{n_features}: all sequences need the same features.{order}"
        )


def _check_sequence(x, i, estimator_name):
    array = x
    # Fast path: for lists of many short arrays more checks would be slow.
    if type(x) is not np.ndarray or x.dtype.kind not in "if" or x.dtype.itemsize > 8:
        array = check_item(
            x, f"X[{i}]", estimator_name, partial(_describe_item_index, i)
        )
    if array.ndim == 0:
        raise InvalidSequenceError(f"X[{i}] is a single value, and no sequence.")
    if len(array) == 0:
        raise InvalidSequenceError(
            f"X[{i}] is an empty sequence; every sequence needs at least one step. "
            "Leave it out, and its target with it."
        )
    if array.ndim == 1:
        return array[:, np.newaxis]
    if array.ndim != 2 or array.shape[1] == 0:
        raise InvalidSequenceError(
            f"X[{i}] has shape {array.shape}; a sequence is an array of shape "
            f"(length, n_features) or (length,), for {estimator_name}."
        )
    return array


def _describe_item_index(i, index):
    if not index:
        return f"X[{i}]"
    return _describe_array_index((i, *index))


def _common_names(X):
    names = _names_of(X[0])
    if not names or not all(isinstance(name, str) for name in names):
        return None
    if all(_names_of(x) == names for x in X):
        return names
    raise InvalidSequenceError(
        "the frames in X have different columns, or some are not frames: give all of "
        "them the columns of X[0], in its order."
    )


def _names_of(x):
    """Return the names of a frame's columns, of pyarrow's too, or an empty list."""
    return list(getattr(x, "column_names", getattr(x, "columns", ())))


def _without_padding(sequences):
    """Shorten sequences by the whole-NaN steps at either end."""
    # In a time series a step without any value is missing, not padding.
    if sequences.time_index is not None:
        return sequences
    begins, ends = _padded_runs(sequences)
    if len(begins) == 0:
        return sequences
    starts = _replace_in_runs(begins, ends, sequences.starts, ends)
    last = _replace_in_runs(begins, ends, sequences.ends - 1, begins - 1)
    lengths = last + 1 - starts
    if (lengths < 1).any():
        i = int(np.argmax(lengths < 1))
        raise InvalidSequenceError(
            f"X[{i}] is NaN at every step: an empty sequence. Leave it out, and "
            "its target with it."
        )
    return sequences.over(starts, lengths)


def _padded_runs(sequences):
    """Return the bounds (begins, ends) of runs of rows without any value."""
    begins, ends = [], []
    for rows, steps in covered_chunks(sequences):
        # One column excludes most rows, at a fraction of the cost of all.
        candidates = np.flatnonzero(np.isnan(steps[:, 0]))
        padded = rows[candidates[np.isnan(steps[candidates]).all(axis=1)]]
        if len(padded):
            jumps = np.flatnonzero(np.diff(padded) > 1)
            begins.append(padded[np.append(0, jumps + 1)])
            ends.append(padded[np.append(jumps, -1)] + 1)
    if not begins:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    all_begins, all_ends = np.concatenate(begins), np.concatenate(ends)
    is_cut = all_begins[1:] != all_ends[:-1]  # not by the end of a chunk alone
    return all_begins[np.append(True, is_cut)], all_ends[np.append(is_cut, True)]


def _replace_in_runs(begins, ends, rows, instead):
    """Return rows, those in a run replaced by a value per run."""
    runs = np.maximum(np.searchsorted(begins, rows, side="right") - 1, 0)
    return np.where((begins[runs] <= rows) & (rows < ends[runs]), instead[runs], rows)


def _raise_non_finite(sequences, estimator_name):
    """Raise for the first value that is NaN or infinite."""
    rows, steps = next(
        chunk for chunk in covered_chunks(sequences) if not np.isfinite(chunk[1]).all()
    )
    at, feature = map(int, np.argwhere(~np.isfinite(steps))[0])
    found = "NaN" if np.isnan(steps[at, feature]) else "infinity"
    position = describe_position(sequences, rows[at], feature)
    raise InvalidSequenceError(
        f"Input X contains {found}: {position}. {estimator_name} takes NaN only as "
        "padding, steps that are NaN in every feature at either end of a sequence; "
        "fill or drop the rest first, for a table say with df.interpolate()."
    )


def check_tokens(sequences, *, estimator_name="the estimator"):
    """Check that sequences hold token ids, integers from 0; return the largest plus 1.

    Examples
    --------
    >>> from sklearn_rnn.sequences import check_sequences, check_tokens
    >>> check_tokens(check_sequences([[3, 1], [2]]))
    4
    """
    if sequences.n_features != 1:
        raise InvalidSequenceError(
            f"{estimator_name} embeds tokens (embedding_dim is set), one integer per "
            f"step, but X has {sequences.n_features} features per step. Set "
            "embedding_dim=None for numbers."
        )
    largest = -1
    for rows, _ in covered_chunks(sequences):
        tokens = sequences.read_rows(rows)
        bad = (tokens < 0) | (tokens != np.floor(tokens))
        if bad.any():
            at = int(np.argmax(bad))
            i, step = locate(sequences, rows[at])
            raise InvalidSequenceError(
                f"X[{i}] holds {tokens[at, 0]} at step {step}, but {estimator_name} "
                "embeds tokens (embedding_dim is set): whole numbers from 0. Encode "
                "symbols first, and do not scale tokens."
            )
        largest = max(largest, int(tokens.max()))
    if largest >= MAX_TOKENS:
        raise InvalidSequenceError(
            f"X holds the token {largest}, and {estimator_name} keeps a vector for "
            "every id up to the largest. Number the tokens from 0 without gaps."
        )
    return largest + 1


# Features and their names


def check_features(estimator, checked, *, reset):
    """Set or check an estimator's ``n_features_in_`` and ``feature_names_in_``.

    A 2-D array or frame is univariate sequences, one per row, and counts by its
    columns, as everywhere in scikit-learn. All else counts by features per step, so
    that lengths may differ between fit and predict. After a fit on such a table other
    forms of univariate sequences are fine. After a fit on sequences a table is refused:
    it is more likely one sequence than many.

    With `reset`, as in ``fit``, it sets these attributes and three private ones:
    ``_fitted_on_columns`` says which of the two counts they are,
    ``_n_steps_of_lists`` how long nested lists of one length were, or None, and
    ``_form_of_X`` what forms of X need no check.

    Parameters
    ----------
    estimator : estimator instance
        Gets the attributes when `reset` is True.
    checked : CheckedInput
        X, as `check_input` returns it.
    reset : bool
        Whether to set the attributes, or to check against them.
    """
    X, sequences, on_columns = checked.X, checked.sequences, checked.is_table
    names, n_features = sequences.feature_names, sequences.n_features
    if reset:
        is_list = isinstance(X, (list, tuple))
        estimator._fitted_on_columns, estimator._form_of_X = on_columns, checked.form
        estimator._n_steps_of_lists = _common_length(X) if is_list else None
        if n_features >= MANY_FEATURES_OF_ONE_STEP:
            warn_of_layout(X, sequences)
    elif on_columns and not estimator._fitted_on_columns:
        _check_not_one_sequence(estimator, X)
        return
    elif estimator._fitted_on_columns and not on_columns:
        _check_univariate(estimator, sequences)
        return
    if not (reset or on_columns):
        _check_not_steps(estimator, sequences)
        _check_not_exchanged(estimator, X, sequences)
    if on_columns:
        check_columns(estimator, X, reset=reset)
        if reset:
            warn_of_rows(X, estimator_name=type(estimator).__name__)
    elif not reset:
        table = np.empty((0, n_features))
        if names is not None:
            table = pd.DataFrame(columns=list(names), dtype=np.float64)
        check_columns(estimator, table, reset=False)
    else:
        estimator.n_features_in_ = n_features
        vars(estimator).pop("feature_names_in_", None)
        if names is not None:
            estimator.feature_names_in_ = np.array(names, dtype=object)


def check_columns(estimator, table, *, reset):
    """Set or check an estimator's counts and names of features by a table's columns."""
    if hasattr(table, "columns"):
        check_unique_names(table)
    validate_data(estimator, table, reset=reset, skip_check_array=True)


def check_unique_names(data):
    """Check that no two columns of a pandas frame have one name."""
    if isinstance(data, pd.DataFrame) and not data.columns.is_unique:
        twice = data.columns[data.columns.duplicated()][0]
        raise InvalidSequenceError(
            f"the table has two columns {twice!r}: rename or drop one."
        )


def _common_length(X):
    """Return the one length of sequences written as lists, as by ``tolist()``.

    ``check_estimator`` fits on ``X.tolist()`` and predicts for the 2-D array X, so that
    such a table must be read as fit read the lists. Not of length 1: a table of one
    column is more likely one sequence than many of one step.
    """
    are_lists = all(isinstance(x, (list, tuple)) and np.ndim(x[0]) == 0 for x in X)
    lengths = {len(x) for x in X} if are_lists else ()
    return lengths.pop() if len(lengths) == 1 and lengths != {1} else None


def _check_not_one_sequence(estimator, X):
    """Check that a table after sequences is what nested lists were in fit."""
    # scikit-learn's checks fit on X.tolist(), and predict for X.
    known = getattr(estimator, "_n_steps_of_lists", None)
    if X.shape[1] == known:
        return
    name, n_features = type(estimator).__name__, estimator.n_features_in_
    if n_features == 1:
        raise InvalidSequenceError(
            f"X is a 2-D array of shape {X.shape}, and {name} was fitted on a list or "
            "a 3-D array of sequences. If x is one sequence: pass [x]. If its rows are "
            "sequences, pass the 3-D array X[:, :, np.newaxis]."
        )
    raise InvalidSequenceError(
        "If x is one sequence: pass [x]. If its rows are steps of a table, cut it into "
        "windows, as for fit: with make_windows, or with the pipeline of the "
        f"SequenceWindower. X is a 2-D array of shape {X.shape}, whose rows are "
        f"sequences: X has 1 features, but {name} is expecting {n_features} features "
        "as input, in a list or a 3-D array as in fit."
    )


def _check_not_steps(estimator, sequences):
    """Check that a list does not hold vectors with the features of one step."""
    n_features = estimator.n_features_in_
    if sequences.n_features == 1 < n_features == sequences.common_length:
        raise InvalidSequenceError(
            f"X has 1 features per step, as {len(sequences)} sequences of {n_features} "
            f"steps, but {type(estimator).__name__} is expecting {n_features} features "
            "as input. If the items of X are the steps of one sequence: pass [X]."
        )


def _check_not_exchanged(estimator, X, sequences):
    """Check that the steps are not as many as the features should be."""
    n_features, n_timesteps = estimator.n_features_in_, sequences.common_length
    if sequences.n_features != n_features == n_timesteps:
        remedy = (
            "X.transpose(0, 2, 1)" if getattr(X, "ndim", 0) == 3 else "[x.T for x in X]"
        )
        raise InvalidSequenceError(
            f"X has {sequences.n_features} features, but {type(estimator).__name__} is "
            f"expecting {n_features} features as input; it has {n_timesteps} steps. If "
            f"its order is (n_sequences, n_features, n_timesteps), pass {remedy}."
        )


def _check_univariate(estimator, sequences):
    """Check that sequences have one feature per step, where fit counted columns."""
    if sequences.n_features != 1:
        raise InvalidSequenceError(
            f"X has {sequences.n_features} features, but "
            f"{type(estimator).__name__} is expecting 1 features as input: it was "
            "fitted on a 2-D array, univariate sequences one per row, and X "
            f"has {sequences.n_features} per step."
        )


# Targets


def raise_conversion_error(error, wanted, name="y"):
    """Raise one of `CONVERSION_ERRORS` with what was `wanted`, such as "one label"."""
    if isinstance(error, InvalidSequenceError):  # names the position already
        raise error
    kind = TypeError if isinstance(error, TypeError) else ValueError
    raise kind(f"{name} cannot be read as {wanted}: {error}") from error


def _length(one):
    try:
        return len(one)
    except TypeError:  # a scalar, of whatever library
        return None


def check_not_ragged(y, remedy):
    """Check that no sequence has several targets, as steps would."""
    if not is_list_of_sequences(y):
        return
    if len({_length(one) for one in y}) > 1:
        raise ValueError(
            "y has several values for each sequence, and here each has one target. For "
            f"a target at every step, {remedy}."
        )
