"""Feature counts and names: what an estimator saw in fit, and what it sees now."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import validate_data

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._check import is_list_of_sequences
from sklearn_rnn.sequences._container import SequenceArray


def check_features(estimator, X, sequences, *, reset):
    """Set or check an estimator's ``n_features_in_`` and ``feature_names_in_``.

    A 2-D array or frame is univariate sequences, one a row, and counts by its
    columns, as everywhere in scikit-learn. All else counts by features a step,
    so that lengths may differ between fit and predict. An estimator of
    univariate sequences takes them in either form, whichever it was fitted on.

    Parameters
    ----------
    estimator : estimator instance
        Gets the attributes when `reset` is True, and a private one,
        ``_fitted_on_columns``, that tells which of the two counts they are.
    X : SequenceArray, ndarray, list or DataFrame
        What the user gave.
    sequences : SequenceArray
        The same, as read by `check_sequences`.
    reset : bool
        True in ``fit`` and the first ``partial_fit``: set the attributes.
        False anywhere else: check against them.

    Raises
    ------
    InvalidSequenceError
        If the number of features a step is not that of fit.
    ValueError
        If the number of columns, or the feature names, are not those of fit.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn_rnn.sequences import check_features, check_sequences
    >>> estimator, X = BaseEstimator(), [np.zeros((5, 2)), np.zeros((3, 2))]
    >>> check_features(estimator, X, check_sequences(X), reset=True)
    >>> estimator.n_features_in_
    2
    """
    on_columns = _counts_by_columns(X)
    if reset:
        estimator._fitted_on_columns = on_columns
    elif on_columns != estimator._fitted_on_columns:
        _check_univariate(estimator, sequences)
        return
    seen = X if on_columns else _stand_in(sequences)
    if isinstance(seen, (list, tuple)):
        seen = np.empty((0, len(seen[0])))
    validate_data(estimator, seen, reset=reset, skip_check_array=True)


def _counts_by_columns(X):
    if isinstance(X, SequenceArray):
        return False
    if isinstance(X, pd.Series):
        X = X.to_numpy()
    if is_list_of_sequences(X):
        return _is_nested_list(X)
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    return len(shape) == 2


def _is_nested_list(X):
    """Tell whether `X` is a table written as lists, as ``array.tolist()`` is."""
    return (
        all(isinstance(x, (list, tuple)) and len(x) == len(X[0]) for x in X)
        and np.ndim(X[0][0]) == 0
    )


def _check_univariate(estimator, sequences):
    """One of fit and now counted columns, so both must have one feature a step."""
    if estimator._fitted_on_columns:
        expected, fitted_on = 1, "a 2-D array, univariate sequences one a row"
    else:
        expected = estimator.n_features_in_
        fitted_on = f"sequences of {expected} features a step"
    if sequences.n_features != expected:
        raise InvalidSequenceError(
            f"X has {sequences.n_features} features, but "
            f"{type(estimator).__name__} is expecting {expected} features as input: "
            f"it was fitted on {fitted_on}, and X has {sequences.n_features} a step."
        )


def _stand_in(sequences):
    """Return a table of no rows that has the sequences' features as columns."""
    if sequences.feature_names is None:
        return np.empty((0, sequences.n_features))
    return pd.DataFrame(columns=list(sequences.feature_names), dtype=np.float64)
