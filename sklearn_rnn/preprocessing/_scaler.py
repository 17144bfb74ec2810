"""SequenceScaler: standardised features, with nothing copied."""

from collections.abc import Set
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._html import DescribedParameters
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.preprocessing._output import FixedOutput
from sklearn_rnn.sequences import (
    SequenceArray,
    SequencesLike,
    check_features,
    check_input,
    check_range,
    check_weights,
    mean_and_scale,
)


class SequenceScaler(
    FixedOutput,
    PlainState,
    OneToOneFeatureMixin,
    DescribedParameters,
    TransformerMixin,
    BaseEstimator,
):
    """Standardise each feature over all steps of all sequences.

    A step x becomes ``(x - mean) / scale``. The mean and standard deviation
    are those of the steps that the training sequences cover, once for every
    sequence that covers them; a feature that never changes is only centred.
    Windows stay a view of their series: the map is stored beside them and
    applied when an estimator reads a batch. Features that hold categories stay
    as they are.

    Parameters
    ----------
    with_mean : bool, default=True
        Subtract the mean.
    with_std : bool, default=True
        Divide by the standard deviation.

    Attributes
    ----------
    mean_ : ndarray of shape (n_step_features,), float64
        What is subtracted, in each feature's own unit: 0 without `with_mean`.
    scale_ : ndarray of shape (n_step_features,), float64
        What is divided by, in each feature's own unit: 1 without `with_std`.
    n_features_in_ : int
        Features per step; for a 2-D array, its columns, each a step of one
        feature.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names, where they have names.

    See Also
    --------
    SequenceWindower : Makes windows of a table.

    Notes
    -----
    The estimators of this package standardise their inputs by default; a
    scaler before them is for other steps, or to make the scaling visible.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import SequenceScaler
    >>> X = [np.array([[1.0], [3.0]]), np.array([[5.0], [7.0], [9.0]])]
    >>> scaler = SequenceScaler().fit(X)
    >>> scaler.mean_, scaler.scale_.round(3)
    (array([5.]), array([2.828]))
    >>> scaler.transform(X)[1].ravel().round(3)
    array([0.   , 0.707, 1.414])
    """

    _parameter_constraints = {
        "with_mean": ["boolean"],
        "with_std": ["boolean"],
    }

    # For scalers pickled by version 0.6.
    _categorical: Set[int] = frozenset()

    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        self.with_mean = with_mean
        self.with_std = with_std

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: SequencesLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Compute the mean and standard deviation of each feature.

        Parameters
        ----------
        X : SequenceArray, ndarray, list or DataFrame
            Sequences, in any form that `RNNRegressor` accepts.
        y : None
            Not used.
        sample_weight : array-like of shape (n_sequences,), default=None
            One weight per sequence, at least 0; None counts each as 1.

        Returns
        -------
        self : SequenceScaler
            The fitted scaler.

        Raises
        ------
        InvalidSequenceError
            If the data cannot be read as sequences, or all weights are 0.

        Warns
        -----
        SequenceLayoutWarning
            If steps and features of an array or a list of arrays look exchanged,
            as in the order (n_sequences, n_channels, n_timesteps). Or if X is a table
            or an array of one column whose rows look like the steps of one series.
        """
        sequences = self._check_input(X, reset=True)
        weights = None
        if sample_weight is not None:
            weights = check_weights(sample_weight, sequences)
            if not weights.any():
                raise InvalidSequenceError("sample_weight is 0 for every sequence.")
        mean, scale = mean_and_scale(sequences, weights)
        self.mean_ = mean if self.with_mean else np.zeros_like(mean)
        self.scale_ = scale if self.with_std else np.ones_like(scale)
        return self

    def transform(self, X: SequencesLike) -> SequenceArray:
        """Standardise sequences.

        Parameters
        ----------
        X : SequenceArray, ndarray, list or DataFrame
            Sequences with the features of those in `fit`.

        Returns
        -------
        scaled : SequenceArray
            The same sequences, of the same dtype where that is a float.

        Raises
        ------
        InvalidSequenceError
            If the data cannot be read as sequences, or have other features.
        """
        check_is_fitted(self)
        return self._map(X, self.mean_, 1 / self.scale_)

    def inverse_transform(self, X: SequencesLike) -> SequenceArray:
        """Bring standardised sequences back into their units.

        Parameters
        ----------
        X : SequenceArray, ndarray, list or DataFrame
            Sequences, standardised.

        Returns
        -------
        sequences : SequenceArray
            In the units of the sequences given to `fit`.

        Raises
        ------
        InvalidSequenceError
            If the data cannot be read as sequences, or have other features.
        """
        check_is_fitted(self)
        with np.errstate(over="ignore"):  # an infinite center raises an error later
            center = -self.mean_ / self.scale_
        return self._map(X, center, self.scale_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_input(self, X, reset):
        name = type(self).__name__
        checked = check_input(X, estimator_name=name, allow_categories=True)
        sequences = checked.sequences
        check_features(self, checked, reset=reset)
        if reset:
            self._categorical = set(sequences.categories or ())
        elif set(sequences.categories or ()) != self._categorical:
            raise InvalidSequenceError(
                "other features of X hold categories than in fit, where they were the "
                f"features {sorted(self._categorical)}: give columns the same types."
            )
        return sequences

    def _map(self, X, center, factor):
        sequences = self._check_input(X, reset=False)
        # A float64 map would make float32 steps float64, so it is cast to float32
        # unless that overflows.
        dtype = np.result_type(sequences.dtype, np.float32)
        if not _fits(center, dtype) or not _fits(factor, dtype):
            dtype = np.dtype(np.float64)
        scaled = sequences.scale(center.astype(dtype), factor.astype(dtype))
        check_range(scaled, estimator_name=type(self).__name__)
        return scaled


def _fits(values, dtype):
    """Return whether values stay finite, and nonzero, in a float type."""
    limits = np.finfo(dtype)
    sizes = np.abs(values[values != 0])
    return bool(((limits.tiny <= sizes) & (sizes <= limits.max)).all())
