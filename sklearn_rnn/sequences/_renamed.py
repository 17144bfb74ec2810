"""Names of SequenceArray that were public in version 0.6; they go in version 0.8."""

import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from sklearn_rnn._exceptions import user_stacklevel
from sklearn_rnn.sequences._transforms import (
    NO_TRANSFORMS,
    Differencing,
    Scaling,
)

# Arguments of version 0.6 behind `feature_names`, in their order.
PARAMETERS = {
    "center": "X.scale(center, factor)",
    "factor": "X.scale(center, factor)",
    "moments": "time_index=",
    "anchored": "X.difference(features, units)",
    "units": "X.difference(features, units)",
    "tokens": "X.with_transforms(tokens=...)",
    "variation": "X.with_transforms(augmentation=...)",
    "categories": "X.with_transforms(categories=...)",
}
# Those that are fields of `Transforms` as they are, and their names there.
SAME_OBJECTS = {
    "tokens": "tokens",
    "variation": "augmentation",
    "categories": "categories",
}


def parse_renamed(stored, renamed, transforms, time_index):
    """Return transforms and time index from arguments of version 0.6.

    By position only pickles give them, without a warning.
    """
    unknown = set(renamed) - set(PARAMETERS)
    if unknown or len(stored) > len(PARAMETERS):
        what = f"argument {min(unknown)!r}" if unknown else "positional arguments"
        raise TypeError(f"SequenceArray() got unexpected {what}.")
    for name in renamed:
        _warn(f"SequenceArray({name}=...)", PARAMETERS[name])
    given = dict(zip(PARAMETERS, stored, strict=False)) | renamed
    transforms = transforms or NO_TRANSFORMS
    if given.get("center") is not None:
        scaling = Scaling(given["center"], given["factor"])
        transforms = replace(transforms, scaling=scaling)
    if given.get("anchored") is not None:
        differencing = Differencing(given["anchored"], given.get("units"))
        transforms = replace(transforms, differencing=differencing)
    for old, new in SAME_OBJECTS.items():
        if given.get(old) is not None:
            transforms = replace(transforms, **{new: given[old]})
    return transforms, given.get("moments", time_index)


def get_renamed(sequences, name):
    """Return one of `RENAMED` of a SequenceArray, with a FutureWarning."""
    new, get = RENAMED[name]
    _warn(f"X.{name}", new)
    return get(sequences)


def _time_index(sequences):
    times = sequences.time_index
    return np.arange(len(times)) if isinstance(times, range) else times


def _with_range(sequences):
    def with_range(smallest, largest):
        known = copy(sequences)
        known._range = smallest, largest
        return known

    return with_range


# New words, and how to get what the old name gave.
RENAMED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "moments": ("X.time_index", _time_index),
    "knows_time": ("X.time_index is not None", lambda X: X.time_index is not None),
    "moments_of": ("X.times_of", lambda X: X.times_of),
    "center": (
        "X.transforms.scaling.center",
        lambda X: getattr(X.transforms.scaling, "center", None),
    ),
    "factor": (
        "X.transforms.scaling.factor",
        lambda X: getattr(X.transforms.scaling, "factor", None),
    ),
    "anchored": ("X.differenced", lambda X: X.differenced),
    "units": (
        "X.transforms.differencing.units",
        lambda X: getattr(X.transforms.differencing, "units", None),
    ),
    "relative_to_last": ("X.difference", lambda X: X.difference),
    "variation": ("X.augmentation", lambda X: X.augmentation),
    "with_range": ("sklearn_rnn.sequences.check_sequences", _with_range),
    "vary": ("X.augment", lambda X: X.augment),
}
# Methods that became functions, most of them under the same name.
FUNCTIONS = {"describe_place": "describe_position"} | {
    name: name
    for name in (
        "are_apart",
        "coverage",
        "covered_chunks",
        "locate",
        "mean_and_scale",
        "shares_rows",
        "value_range",
    )
}


def _as_method(function):
    """Return the words for a function of sequences, and how to get it as a method."""

    def get(sequences):
        # Imported when used: the functions are of the file that imports this one.
        functions = import_module("sklearn_rnn.sequences")
        return partial(getattr(functions, function), sequences)

    return f"sklearn_rnn.sequences.{function}(X, ...)", get


RENAMED |= {old: _as_method(function) for old, function in FUNCTIONS.items()}


def _warn(old, new):
    warnings.warn(
        f"{old} is deprecated and will be removed in version 0.8: use {new}.",
        FutureWarning,
        stacklevel=user_stacklevel(),
    )
