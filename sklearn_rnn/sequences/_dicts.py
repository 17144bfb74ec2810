"""Sequences of dicts: one dict of features per step, as DictVectorizer takes them."""

import warnings
from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    SklearnRNNWarning,
    user_stacklevel,
)
from sklearn_rnn.sequences._arrays import to_numbers
from sklearn_rnn.sequences._categories import encode_categories
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._transforms import Transforms


def holds_dicts(X):
    """Return whether a list `X` is of sequences whose steps are dicts."""
    if len(X) == 0:
        return False
    first = X[0]
    is_sequence = isinstance(first, (list, tuple)) and len(first) > 0
    return is_sequence and isinstance(first[0], Mapping)


def sequences_of_dicts(X, *, estimator_name="the estimator", names=None, texts=()):
    """Return sequences with a feature per key, strings as categories.

    A key that a step lacks is 0, or a missing category, as in DictVectorizer. After a
    fit `names` are its features, and `texts` those among them that are categories.

    Examples
    --------
    >>> from sklearn_rnn.sequences import sequences_of_dicts
    >>> X = [[{"word": "the", "is_title": False}, {"word": "end"}]]
    >>> sequences_of_dicts(X)
    SequenceArray(1 sequences of 2 steps, 2 features: word, is_title, float64)
    """
    steps = []
    for i, sequence in enumerate(X):
        _check_sequence(sequence, i, estimator_name)
        steps.extend(sequence)
    lengths = np.array([len(sequence) for sequence in X])
    found = list(dict.fromkeys(key for step in steps for key in step))
    _check_names(found, estimator_name)
    names = found if names is None else list(names)
    _check_known(found, names, estimator_name)
    columns = {name: [step.get(name, ABSENT) for step in steps] for name in names}
    return sequences_of_columns(
        columns, lengths, estimator_name=estimator_name, texts=texts
    )


# In the place of a key that a step lacks.
ABSENT = object()
NUMBERS = (Real, np.bool_, np.number)


def sequences_of_columns(columns, lengths, *, estimator_name="the estimator", texts=()):
    """Return sequences from columns of values of all steps in a row.

    Parameters
    ----------
    columns : dict from str to list
        Numbers and bools, or strings, which are categories; `ABSENT` where a step has
        no value.
    lengths : ndarray of int of shape (n_sequences,)
        Steps of each sequence.
    texts : sequence of str, default=()
        Columns that are categories even if they have no value.
    """
    starts = np.cumsum(lengths) - lengths
    arrays, categories = [], {}
    for j, (name, values) in enumerate(columns.items()):
        # None has no type of its own: a missing text, or a number that is refused.
        present = [v for v in values if v is not ABSENT and v is not None]
        is_text = [isinstance(value, str) for value in present]
        if all(is_text) and (present or name in texts):
            strings = [None if v is ABSENT else v for v in values]
            codes, categories[j] = encode_categories(pd.Series(strings, dtype=object))
            arrays.append(codes)
            continue
        if any(is_text):
            step = next(k for k, v in enumerate(values) if isinstance(v, str))
            raise InvalidSequenceError(
                f"the feature {name!r} is text {_place(step, starts)}, and not "
                f"elsewhere: {estimator_name} needs one type per feature. Make all of "
                "them strings, or numbers."
            )
        for step, value in enumerate(values):
            if not isinstance(value, NUMBERS) and value is not ABSENT:
                raise InvalidSequenceError(
                    f"the feature {name!r} is {value!r:.40}, of type "
                    f"{type(value).__name__}, {_place(step, starts)}. Features are "
                    "numbers, bools or strings: leave the key out where there is none, "
                    "and give several values as several keys."
                )
        numbers = np.empty(len(values), dtype=object)
        numbers[:] = [0 if value is ABSENT else value for value in values]

        def describe(index, name=name):
            place = f" {_place(index[0], starts)}" if index else ""
            return f"the feature {name!r}{place}"

        arrays.append(
            to_numbers(numbers, estimator_name=estimator_name, describe=describe)
        )
    return SequenceArray(
        np.column_stack(arrays),
        starts,
        lengths,
        list(columns),
        transforms=Transforms(categories=categories),
    )


def _place(step, starts):
    i = int(np.searchsorted(starts, step, side="right")) - 1
    return f"in X[{i}][{step - starts[i]}]"


def _check_sequence(sequence, i, estimator_name):
    if not isinstance(sequence, (list, tuple)) or len(sequence) == 0:
        found = "is empty" if hasattr(sequence, "__len__") else f"is {sequence!r:.40}"
        raise InvalidSequenceError(
            f"X[{i}] {found}, and {estimator_name} needs a list of dicts with at least "
            "one step, like X[0]. Leave such a sequence out."
        )
    for k, step in enumerate(sequence):
        if not isinstance(step, Mapping):
            raise InvalidSequenceError(
                f"X[{i}][{k}] is {step!r:.40}, of type {type(step).__name__}, and "
                "X[0][0] is a dict: give a dict for every step."
            )


def _check_known(found, names, estimator_name):
    """Warn of keys that fit did not have; raise if there are no others."""
    new = [name for name in found if name not in names]
    if len(new) == len(found):
        raise InvalidSequenceError(
            f"no dict in X has a key that {estimator_name} was fitted on, such as "
            f"{names[0]!r}; they have {new[0]!r}. Give it the features of fit."
        )
    if new:
        warnings.warn(
            f"X has {len(new)} keys that {estimator_name} was not fitted on, such as "
            f"{new[0]!r}. They are left out, as nothing is known of them.",
            SklearnRNNWarning,
            stacklevel=user_stacklevel(),
        )


def _check_names(names, estimator_name):
    others = [name for name in names if not isinstance(name, str)]
    if others or not names:
        found = f"the key {others[0]!r}" if others else "no key at all"
        raise InvalidSequenceError(
            f"the dicts in X have {found}, and {estimator_name} needs the names of "
            "features, which are strings."
        )
