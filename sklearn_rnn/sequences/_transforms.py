"""Transforms: what happens to the steps of a SequenceArray when they are read."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError


@dataclass(frozen=True, eq=False)
class Scaling:
    """An affine map of the features: ``(steps - center) * factor``.

    Parameters
    ----------
    center, factor : ndarray of shape (n_features,)
        Subtracted from the steps, and what their difference is multiplied by.
    """

    center: np.ndarray
    factor: np.ndarray

    def apply(self, steps: np.ndarray) -> np.ndarray:
        """Return steps of shape (..., n_features), scaled."""
        return (steps - self.center) * self.factor

    def then(self, center: np.ndarray, factor: np.ndarray) -> "Scaling":
        """Return this map followed by another, as one map."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return Scaling(self.center + center / self.factor, self.factor * factor)

    def check_finite(self) -> Self:
        """Return the map itself; raise if a value of it is NaN or infinite."""
        if np.isfinite(self.center).all() and np.isfinite(self.factor).all():
            return self
        raise InvalidSequenceError(
            "features cannot be scaled by center and factor that are NaN or infinite: "
            f"center={self.center}, factor={self.factor}. The scale of a feature is "
            "too large or too small; convert X to another unit."
        )


@dataclass(frozen=True, eq=False)
class Differencing:
    """Differences of some features from the last step of each sequence.

    Parameters
    ----------
    features : ndarray of int of shape (n_differenced,)
        Positions of the features.
    units : ndarray of shape (n_sequences, n_differenced), default=None
        Positive values that the differences are divided by; None leaves them.
    """

    features: np.ndarray
    units: np.ndarray | None = None

    def apply(self, batch: np.ndarray, indices: Any) -> np.ndarray:
        """Return a padded batch (T, N, n_features) of some sequences, differenced."""
        # Differences of integers fit into a float type that holds the integers.
        dtype = np.promote_types(batch.dtype, np.float32)
        batch = batch.astype(dtype, copy=False)
        # Padding repeats the last step, so the last row holds that of every sequence.
        batch[:, :, self.features] -= batch[-1:, :, self.features]
        if self.units is not None:
            batch[:, :, self.features] /= self.units[indices]
        return batch


@dataclass(frozen=True, eq=False)
class Transforms:
    """What a SequenceArray does with its `values` when they are read, in this order.

    `augmentation` is applied by ``SequenceArray.augment`` alone, `scaling` wherever
    steps are read, and `differencing` by ``SequenceArray.gather``. `tokens` and
    `categories` say what ids and codes stand for, and change no value.

    Parameters
    ----------
    augmentation : object, default=None
        Samples the steps again each time a network trains on them. It has a method
        ``draw(starts, lengths, random_state)`` that returns the steps of sequences,
        one after another, in the units of `values`.
    scaling : Scaling, default=None
        Affine map of the features.
    differencing : Differencing, default=None
        Features read as differences from the last step.
    tokens : ndarray of object of shape (n_tokens,), default=None
        What each id stands for: ``tokens[3]`` is the word, character or symbol whose
        id is 3.
    categories : dict of int to ndarray of object, default=None
        What codes stand for, by the position of the categorical feature: code k is
        ``categories[feature][k - 1]``, code 0 a missing value. Codes are never
        scaled.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import SequenceArray
    >>> from sklearn_rnn.sequences import Differencing, Transforms
    >>> transforms = Transforms(differencing=Differencing(np.array([0])))
    >>> X = SequenceArray([[3.0], [5.0], [4.0]], [0], [3], transforms=transforms)
    >>> X.gather([0]).ravel()
    array([-1.,  1.,  0.])
    """

    augmentation: Any = None
    scaling: Scaling | None = None
    differencing: Differencing | None = None
    tokens: np.ndarray | None = None
    categories: dict[int, np.ndarray] | None = None

    def select(self, key: Any) -> "Transforms":
        """Return the transforms of the sequences that a key selects."""
        differencing = self.differencing
        if differencing is None or differencing.units is None:
            return self
        units = differencing.units[key]
        return replace(self, differencing=replace(differencing, units=units))


NO_TRANSFORMS = Transforms()
