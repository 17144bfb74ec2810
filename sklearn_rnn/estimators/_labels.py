"""Labels as class codes: what classifiers of sequences and of steps share."""

import numpy as np
import pandas as pd
import torch
from sklearn.utils.class_weight import compute_class_weight

from sklearn_rnn.estimators._priors import log_priors
from sklearn_rnn.sequences import is_one_hot, plain_arrays

# Whole numbers up to this one differ as floats too.
LARGEST_EXACT = 2.0**53


class LabelCoder:
    """Part of an estimator that has ``classes_`` and a `class_weight`."""

    def _check_labels(self, labels, name="y"):
        """Return labels; refuse numbers that no array tells apart, and missing ones."""
        array = np.asarray(labels)
        missing = pd.isna(array) if array.dtype.kind in "fO" else np.array(False)
        if missing.any():
            place = int(np.argwhere(missing)[0][0])
            way_out = " Leave out sequences without a label." if name == "y" else ""
            raise ValueError(
                f"Input {name} contains NaN: {name}[{place}] is missing.{way_out}"
            )
        check_distinguishable(array, name)
        if array.dtype == object:
            for i, label in enumerate(array.ravel()):
                check_size(label, f"{name}[{i}]")
        return labels

    def _encode(self, labels, found, *, reset, classes=None):
        """Turn labels into codes; `reset` takes those found, or `classes`, as known."""
        if reset:
            classes = found if classes is None else classes
            self._check_enough_classes(classes)
            self.classes_ = classes
        unknown = np.setdiff1d(found, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has labels that fit did not see, {unknown[:5].tolist()}. Leave "
                "them out, fit again on samples of all classes, or give all classes in "
                "the first call of partial_fit."
            )
        return np.searchsorted(self.classes_, labels)

    def _check_enough_classes(self, classes):
        if len(classes) < 2:
            raise ValueError(
                "y needs at least two classes, but has only one class: "
                f"{np.asarray(classes).tolist()}."
            )

    def _check_partial(self, classes):
        """Read the `classes` of partial_fit, and refuse what it cannot do."""
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which never "
                "sees all labels: give a dict, or sample_weight."
            )
        if classes is None:
            return None
        classes = plain_arrays(
            classes, estimator_name=type(self).__name__, name="classes"
        )
        classes = np.unique(self._check_labels(classes, "classes"))
        if self.__sklearn_is_fitted__() and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"classes={classes.tolist()} are not those of the first call."
            )
        return classes

    def _weigh_classes(self, codes, sample_weight=None):
        """Compute the weight of each class from `class_weight` and the codes."""
        if isinstance(self.class_weight, dict):
            try:
                return compute_class_weight(
                    self.class_weight, classes=self.classes_, y=self.classes_[codes]
                )
            except ValueError as error:
                classes = self.classes_.tolist()
                unknown = [key for key in self.class_weight if key not in classes]
                raise ValueError(
                    f"class_weight names {unknown}, and the classes are {classes}: "
                    "correct its keys."
                ) from error
        counts = np.bincount(codes, sample_weight, len(self.classes_))
        # Classes that these samples do not show are not there to be balanced.
        there, weights = counts > 0, np.ones(len(counts))
        weights[there] = counts.sum() / (there.sum() * counts[there])
        return weights

    def _start_from_priors(self, network, codes, weights):
        """Let an untrained network predict the shares of the classes."""
        counts = np.bincount(codes, weights=weights, minlength=len(self.classes_))
        with torch.no_grad():
            network.head.bias.copy_(torch.from_numpy(log_priors(counts)))

    def _n_outputs(self):
        return len(self.classes_)

    def _loss_name(self):
        return "log_loss"


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


def log_softmax(logits):
    """Turn logits (n, n_classes) into log probabilities, without overflow."""
    return torch.from_numpy(logits).log_softmax(dim=1).numpy()
