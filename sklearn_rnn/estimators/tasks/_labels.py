"""Checks of labels, which classifiers of sequences and of steps share."""

import numpy as np
import pandas as pd

from sklearn_rnn.sequences import is_one_hot

# Whole numbers up to this one differ as floats too.
LARGEST_EXACT = 2.0**53


def check_labels(labels, name="y"):
    """Return labels; raise for missing ones and for numbers that floats cannot hold."""
    array = np.asarray(labels)
    missing = pd.isna(array) if array.dtype.kind in "fO" else np.array(False)
    if missing.any():
        place = int(np.argwhere(missing)[0][0])
        remedy = " Leave out sequences without a label." if name == "y" else ""
        raise ValueError(
            f"Input {name} contains NaN: {name}[{place}] is missing.{remedy}"
        )
    check_distinguishable(array, name)
    if array.dtype == object:
        for i, label in enumerate(array.ravel()):
            check_size(label, f"{name}[{i}]")
    return labels


def too_few_classes(classes):
    """Return the error for less than two classes."""
    return ValueError(
        "y needs at least two classes, but has only one class: "
        f"{np.asarray(classes).tolist()}."
    )


def check_size(label, place):
    """Check that an array of integers can hold a label, if it is one."""
    if isinstance(label, int) and label.bit_length() > 63:
        raise ValueError(
            f"{place} is an int of {label.bit_length()} bits, and labels that are "
            "integers have at most 64. Make strings of such labels."
        )


def check_distinguishable(labels, name="y"):
    """Check that no label is a float that stands for several integers."""
    if labels.dtype.kind != "f" or not labels.size:
        return
    largest = np.abs(labels).max()
    if LARGEST_EXACT < largest < np.inf:
        raise ValueError(
            f"{name} holds {largest:.17g}, a float, and above 2**53 a float stands for "
            "several integers. Make strings of such labels."
        )


def check_one_kind(y):
    """Check that a list has no numbers among text, which NumPy would write as text."""
    if not isinstance(y, (list, tuple)):
        return
    are_text = [isinstance(label, (str, bytes)) for label in y]
    if any(are_text) and not all(are_text):
        place = are_text.index(False)
        what = f"y[{place}] is {y[place]!r:.60}, but y[{are_text.index(True)}] is text"
        if pd.api.types.is_scalar(y[place]) and pd.isna(y[place]):
            raise ValueError(f"{what}. Leave missing labels out, and their sequences.")
        raise ValueError(f"{what}: make all labels of one type.")


def describe_one_label(y):
    """Return advice on targets that are not one label per sequence."""
    if is_one_hot(y):
        remedy = "One-hot labels are one label each: pass Y.argmax(axis=-1)"
        return remedy + (", or Y.idxmax(axis=1)." if hasattr(y, "idxmax") else ".")
    return (
        "A label per step is for RNNTagger; for several labels per sequence fit one "
        "model for each."
    )
