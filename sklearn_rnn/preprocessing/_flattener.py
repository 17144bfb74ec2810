"""SequenceFlattener: sequences as rows of lags, for estimators of tables."""

from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_rnn._html import DescribedParameters
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.sequences import (
    COUNT,
    SequencesLike,
    check_features,
    check_input,
)

# Values gathered at a time, so that temporary arrays stay small beside the result.
BLOCK_VALUES = 2**17


class SequenceFlattener(
    PlainState, DescribedParameters, TransformerMixin, BaseEstimator
):
    """Flatten each sequence into one row of lags, with a column per step and feature.

    Puts any regressor or classifier of tables behind a `SequenceWindower`:
    ridge regression or boosted trees on the same windows that a recurrent network
    reads. Lags are counted from the end of a sequence, so that a column means the
    same in sequences of different length.

    Parameters
    ----------
    n_steps : int, default=None
        Steps kept of the end of each sequence. None takes the length of the longest
        sequence in `fit`.
    fill : {"first", "nan"} or float, default="first"
        Value of the lags that a shorter sequence does not have: its first step
        repeated, NaN (for estimators that accept missing values, such as
        ``HistGradientBoostingRegressor``), or a number.

    Attributes
    ----------
    n_steps_ : int
        Steps of a row.
    n_features_in_ : int
        Features per step; for a 2-D array, its columns, each a step of one feature.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names, where they have names.

    See Also
    --------
    SequenceWindower : Makes windows of a table.
    backtest : Compares a pipeline's forecasts with the true values.

    Notes
    -----
    Columns are ordered from the oldest step to the last, all features of a step
    together, like ``np.asarray(windows).reshape(len(windows), -1)``. The value of
    "temp" 3 steps before the last one is named "temp-3", and the last one "temp-0",
    just as `make_forecast_frame` names the value 3 steps ahead "temp+3". Features
    without names are "x0", "x1" and so on, and the steps of a 2-D array "x-3".

    The result is a dense array: windows of 48 steps are 48 times as large as the table
    that they are cut from. The recurrent estimators read windows without it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_rnn import SequenceFlattener, SequenceWindower
    >>> hours = pd.date_range("2024-01-01", periods=4, freq="h")
    >>> table = pd.DataFrame({"temp": [1.0, 2.0, 3.0, 4.0]}, index=hours)
    >>> lags = make_pipeline(SequenceWindower(3), SequenceFlattener())
    >>> lags.set_output(transform="pandas").fit_transform(table)
       temp-2  temp-1  temp-0
    0     1.0     1.0     1.0
    1     1.0     1.0     2.0
    2     1.0     2.0     3.0
    3     2.0     3.0     4.0

    Ridge regression on the same windows:

    >>> model = make_pipeline(SequenceWindower(3), SequenceFlattener(), Ridge())
    >>> model.fit(table, [2.0, 3.0, 4.0, 5.0]).predict(table).shape
    (4,)
    """

    _parameter_constraints = {
        "n_steps": [COUNT, None],
        "fill": [StrOptions({"first", "nan"}), Real],
    }

    _fitted_on_columns = False  # set by check_features: fitted on a 2-D array

    def __init__(
        self,
        n_steps: int | None = None,
        *,
        fill: Literal["first", "nan"] | float = "first",
    ) -> None:
        self.n_steps = n_steps
        self.fill = fill

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: SequencesLike, y: Any = None) -> Self:
        """Learn the features, and the number of steps if `n_steps` is None.

        Parameters
        ----------
        X : SequenceArray, ndarray, list or DataFrame
            Sequences, in any form that `RNNRegressor` accepts.
        y : None
            Not used.

        Returns
        -------
        self : SequenceFlattener
            The fitted flattener.

        Raises
        ------
        InvalidSequenceError
            If the data cannot be read as sequences.

        Warns
        -----
        SequenceLayoutWarning
            If steps and features of an array or a list of arrays look exchanged,
            as in the order (n_sequences, n_channels, n_timesteps). Or if X is a table
            or an array of one column whose rows look like the steps of one series.
        """
        sequences = self._check_input(X, reset=True)
        longest = int(sequences.lengths.max())
        self.n_steps_ = longest if self.n_steps is None else self.n_steps
        return self

    def transform(self, X: SequencesLike) -> np.ndarray:
        """Flatten sequences.

        Parameters
        ----------
        X : SequenceArray, ndarray, list or DataFrame
            Sequences with the features of those in `fit`. Of longer ones than then,
            the last steps are kept.

        Returns
        -------
        rows : ndarray of shape (n_sequences, n_steps_ * n_features)
            float32 if the sequences are, else float64. A DataFrame where
            ``set_output`` asks for one.

        Raises
        ------
        InvalidSequenceError
            If the data cannot be read as sequences, or have other features.
        """
        check_is_fitted(self)
        sequences = self._check_input(X, reset=False)
        lengths = np.minimum(sequences.lengths, self.n_steps_)
        sequences = sequences.over(sequences.ends - lengths, lengths)
        dtype = np.float32 if sequences.dtype == np.float32 else np.float64
        n_values = self.n_steps_ * sequences.n_features
        rows = np.empty((len(sequences), n_values), dtype=dtype)
        n_rows = max(1, BLOCK_VALUES // n_values)
        for begin in range(0, len(rows), n_rows):
            chosen = slice(begin, min(begin + n_rows, len(rows)))
            block = self._gather_lags(sequences, chosen)
            rows[chosen] = block.reshape(len(block), -1)
        return rows

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> np.ndarray:
        """Name the columns by feature and lag.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features of a step; None uses those seen in `fit`.

        Returns
        -------
        names : ndarray of str
            Such as "temp-3" for the feature "temp" 3 steps before the last one.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        if self._fitted_on_columns:
            names = ["x"]  # the columns are the steps
        lags = range(self.n_steps_ - 1, -1, -1)
        return np.array([f"{name}-{lag}" for lag in lags for name in names], object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_input(self, X, reset):
        checked = check_input(X, estimator_name=type(self).__name__)
        check_features(self, checked, reset=reset)
        return checked.sequences

    def _gather_lags(self, sequences, chosen):
        """Return some sequences aligned at their end, (N, n_steps_, n_features)."""
        steps = sequences.gather(chosen)  # (longest, N, n_features), padded at the end
        missing = self.n_steps_ - sequences.lengths_of(chosen)
        if not missing.any():
            return steps.transpose(1, 0, 2)
        positions = np.arange(self.n_steps_) - missing[:, np.newaxis]  # (N, n_steps_)
        columns = np.arange(steps.shape[1])[:, np.newaxis]
        block = steps[np.maximum(positions, 0), columns]  # (N, n_steps_, n_features)
        if self.fill != "first":
            block = block.astype(np.result_type(block, np.float32), copy=False)
            block[positions < 0] = np.nan if self.fill == "nan" else self.fill
        return block
