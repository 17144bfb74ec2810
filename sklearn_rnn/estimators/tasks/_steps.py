"""Values of steps: given back a sequence at a time, and scored."""

import numpy as np

from sklearn_rnn.sequences import is_missing


def split_steps(values, lengths, *, as_array):
    """Split the values (n_steps, ...) of all steps by the lengths of their sequences.

    Returns an array (n_sequences, n_timesteps, ...) where `as_array` and all lengths
    are equal, else a 1-D object array of arrays (length_i, ...).
    """
    if as_array and (lengths == lengths[0]).all():
        return values.reshape(len(lengths), lengths[0], *values.shape[1:])
    return object_array(np.split(values, np.cumsum(lengths)[:-1]))


def object_array(items):
    """Return a 1-D array of objects, whatever they are."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def score_steps(metric, y_true, y_pred, weights=None):
    """Average a metric of scikit-learn over the outputs, (n_steps, n_outputs).

    NaN in `y_true` is left out, and outputs with fewer than two targets; NaN if no
    output has two.
    """
    scores = []
    for true, predicted in zip(y_true.T, y_pred.T, strict=True):
        here = ~is_missing(true)
        if here.sum() < 2:
            continue
        sample_weight = None if weights is None else weights[here]
        scores.append(metric(true[here], predicted[here], sample_weight=sample_weight))
    return float(np.mean(scores)) if scores else np.nan
