"""Feature counts and names: set in fit, and checked later."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import validate_data

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._layout import (
    MANY_FEATURES_OF_ONE_STEP,
    warn_of_layout,
    warn_of_rows,
)


def check_features(estimator, checked, *, reset):
    """Set or check an estimator's ``n_features_in_`` and ``feature_names_in_``.

    A 2-D array or frame is univariate sequences, one per row, and counts by its
    columns, as everywhere in scikit-learn. All else counts by features per step, so
    that lengths may differ between fit and predict. After a fit on such a table other
    forms of univariate sequences are fine. After a fit on sequences a table is refused:
    it is more likely one sequence than many.

    With `reset`, as in ``fit``, it sets these attributes and two private ones:
    ``_fitted_on_columns`` says which of the two counts they are, and
    ``_n_steps_of_lists`` how long nested lists of one length were, or None.

    Parameters
    ----------
    estimator : estimator instance
        Gets the attributes when `reset` is True.
    checked : CheckedInput
        X, as `check_input` returns it.
    reset : bool
        Whether to set the attributes, or to check against them.
    """
    X, sequences, _, on_columns = checked
    names, n_features = sequences.feature_names, sequences.n_features
    if reset:
        is_list = isinstance(X, (list, tuple))
        estimator._fitted_on_columns = on_columns
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
        # Faster than scikit-learn's check, which a prediction for one sequence notices.
        known = getattr(estimator, "feature_names_in_", None)
        same_names = names == (None if known is None else tuple(known))
        if same_names and n_features == estimator.n_features_in_:
            return
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
