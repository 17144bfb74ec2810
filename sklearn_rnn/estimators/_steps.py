"""Values of steps: given back a sequence at a time, and scored."""

import numpy as np

from sklearn_rnn.sequences import is_list_of_sequences, is_missing


def split_steps(values, lengths, *, as_array):
    """Give the values of all steps in a row back to their sequences.

    Parameters
    ----------
    values : ndarray of shape (n_steps, ...)
        All steps of the first sequence, then those of the second, ...
    lengths : ndarray of int of shape (n_sequences,)
        Steps of each sequence.
    as_array : bool
        Whether one array is wanted where all sequences have one length.

    Returns
    -------
    ndarray of shape (n_sequences, n_timesteps, ...), or of object
        Else a 1-D object array of arrays (length_i, ...).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.estimators._steps import split_steps
    >>> split_steps(np.arange(3), np.array([1, 2]), as_array=True)
    array([array([0]), array([1, 2])], dtype=object)
    """
    if as_array and (lengths == lengths[0]).all():
        return values.reshape(len(lengths), lengths[0], *values.shape[1:])
    return object_array(np.split(values, np.cumsum(lengths)[:-1]))


def object_array(items):
    """Put objects into a 1-D array, whatever they are.

    Parameters
    ----------
    items : list
        Also of lists, tuples or arrays of one length, of which NumPy would make
        more dimensions.

    Returns
    -------
    ndarray of object, of shape (n_items,)
        One item a place.
    """
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def score_steps(metric, y_true, y_pred, weights=None):
    """Score every output over the steps that have a target, and average.

    Parameters
    ----------
    metric : callable
        From scikit-learn.
    y_true, y_pred : ndarray of shape (n_steps, n_outputs)
        What was and what was predicted; NaN in `y_true` is left out.
    weights : ndarray of shape (n_steps,), default=None
        Of each step.

    Returns
    -------
    float
        The mean over outputs that have at least two targets; NaN if none has.
    """
    scores = []
    for true, predicted in zip(y_true.T, y_pred.T, strict=True):
        here = ~is_missing(true)
        if here.sum() < 2:
            continue
        sample_weight = None if weights is None else weights[here]
        scores.append(metric(true[here], predicted[here], sample_weight=sample_weight))
    return float(np.mean(scores)) if scores else np.nan


def _length(one):
    try:
        return len(one)
    except TypeError:  # a scalar, of whatever library
        return None


def refuse_ragged(y, way_out):
    """Refuse targets of steps where one target a sequence is wanted.

    Parameters
    ----------
    y : object
        As the user gave it.
    way_out : str
        What to do about it, for the message.

    Raises
    ------
    ValueError
        If `y` is a list of values for each sequence, of unequal lengths.
    """
    if not is_list_of_sequences(y):
        return
    if len({_length(one) for one in y}) > 1:
        raise ValueError(
            "y has several values for each sequence, and here each has one target. For "
            f"a target at every step, {way_out}."
        )
