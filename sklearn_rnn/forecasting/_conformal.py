"""ConformalCalibrator: quantiles with the stated coverage."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn._html import DescribedParameters
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.estimators import check_levels, quantile_column
from sklearn_rnn.forecasting._columns import (
    check_comparable,
    check_forecasts,
    check_keys,
    quantile_columns,
)

MEDIAN = 0.5


class ConformalCalibrator(DescribedParameters, PlainState, BaseEstimator):
    """Calibrate the quantiles of forecasts to their stated coverage.

    From forecasts of times that the model was not fitted on, it estimates how far
    the true values are from each quantile, for each horizon separately, and shifts
    the quantiles of other forecasts by that offset. For a model without quantiles
    it makes quantiles around the prediction.

    Parameters
    ----------
    quantiles : sequence of float, default=None
        Increasing levels of the quantiles to make around the prediction of a model
        that predicts no quantiles. None calibrates those of the forecasts.
    method : {"split", "adaptive"}, default="adaptive"
        "split" shifts quantiles by the constant offsets estimated in `fit`.
        "adaptive" starts from these and updates them: whenever a true value
        becomes known, each quantile increases a little if the value exceeds it,
        and decreases a little otherwise, so that coverage holds even if the
        series drifts.
    by : str or list of str, default="horizon"
        Columns that define the groups to calibrate separately; several targets
        always are. ``["station", "horizon"]`` calibrates each series.
    learning_rate : float, default=0.01
        For "adaptive": step of a quantile per true value, as a fraction of the
        spread of the errors in `fit` (between their 10 % and 90 % quantiles).

    Attributes
    ----------
    quantiles_ : ndarray of shape (n_quantiles,)
        Levels of the quantiles.
    offsets_ : DataFrame of shape (n_groups, n_quantiles)
        Offset of each quantile, in the units of the target, by group.

    See Also
    --------
    backtest : Makes the forecasts to fit on.
    score_forecasts : Coverage of intervals, among other scores.

    Notes
    -----
    "split" is one-sided conformalised quantile regression [1]_: the quantile q
    at the level a is shifted by the quantile of (truth - q) at that level, with
    the correction for a finite sample. Its coverage is exact if later errors are
    exchangeable with those in `fit`. "adaptive" is the quantile tracker [2]_,
    gradient descent on the pinball loss, which does not need that assumption. A
    forecast h steps ahead is used for updates h steps later, as in production.
    The median is not shifted, unless another quantile crosses it: then it becomes
    equal to that one.

    References
    ----------
    .. [1] Romano, Patterson and Candès, "Conformalized quantile regression",
       NeurIPS 2019.
    .. [2] Angelopoulos, Candès and Tibshirani, "Conformal PID control for time
       series prediction", NeurIPS 2023; after Gibbs and Candès, "Adaptive
       conformal inference under distribution shift", NeurIPS 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn_rnn import ConformalCalibrator, backtest, score_forecasts
    >>> rng = np.random.default_rng(0)
    >>> days = pd.date_range("2020-01-01", periods=800, freq="D")
    >>> table = pd.DataFrame({"sales": rng.normal(100, 10, size=800)}, index=days)
    >>> past = backtest(LinearRegression(), table[:500], "sales", cv=2)
    >>> calibrator = ConformalCalibrator(quantiles=[0.1, 0.9]).fit(past)
    >>> later = backtest(LinearRegression(), table[400:], "sales", cv=1)
    >>> calibrated = calibrator.transform(later)
    >>> float(score_forecasts(calibrated)["coverage_80"].iloc[0].round(2))
    0.8
    """

    _parameter_constraints = {
        "quantiles": ["array-like", None],
        "method": [StrOptions({"split", "adaptive"})],
        "by": [str, list, tuple],
        "learning_rate": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        quantiles: Sequence[float] | None = None,
        *,
        method: Literal["split", "adaptive"] = "adaptive",
        by: str | Sequence[str] = "horizon",
        learning_rate: float = 0.01,
    ) -> None:
        self.quantiles = quantiles
        self.method = method
        self.by = by
        self.learning_rate = learning_rate

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, forecasts: pd.DataFrame, y: None = None) -> Self:
        """Estimate the offsets of the quantiles.

        Parameters
        ----------
        forecasts : DataFrame
            Forecasts of `backtest`, of times that the model was not fitted
            on. Rows whose truth is NaN are left out.
        y : None
            Not used.

        Returns
        -------
        ConformalCalibrator
            The fitted calibrator.

        Raises
        ------
        ValueError
            If there are too few forecasts for the quantiles, or no quantiles.
        """
        previous = dict(self.__dict__)
        try:
            return self._fit(forecasts)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(previous)
            raise

    def partial_fit(self, forecasts: pd.DataFrame, y: None = None) -> Self:
        """Update the offsets with forecasts whose true values have become known.

        Parameters
        ----------
        forecasts : DataFrame
            Forecasts of `backtest`, not transformed; a truth counts as known
            from its `time` on.
        y : None
            Not used.

        Returns
        -------
        ConformalCalibrator
            The calibrator with updated `offsets_`.

        Raises
        ------
        ValueError
            If the method is "split", whose offsets are constant.
        """
        check_is_fitted(self)
        if self.method != "adaptive":
            raise ValueError(
                f"partial_fit needs method='adaptive', got method={self.method!r}, "
                "whose offsets are constant: fit it on all forecasts, or set "
                "method='adaptive'."
            )
        _, offsets = self._track(self._to_arrays(self._check(forecasts)))
        # Made by fit, with a type that mypy cannot infer.
        self.offsets_ = self.offsets_.copy()  # type: ignore[has-type]
        self.offsets_[:] = offsets
        return self

    def transform(self, forecasts: pd.DataFrame) -> pd.DataFrame:
        """Calibrate the quantiles of forecasts.

        With "adaptive", true values in these forecasts update the offsets of later
        origins, as soon as they were known. The updated offsets are not stored:
        `partial_fit` does that.

        Parameters
        ----------
        forecasts : DataFrame
            Forecasts of `forecast` or `backtest`.

        Returns
        -------
        DataFrame
            The forecasts with calibrated quantiles, which do not cross.

        Raises
        ------
        ValueError
            If there is a horizon, or another group, that `fit` did not see.
        """
        check_is_fitted(self)
        arrays = self._to_arrays(self._check(forecasts, needs_truth=False))
        if self.method == "adaptive" and arrays.truth is not None:
            quantiles, _ = self._track(arrays)
        else:
            quantiles = arrays.quantiles + self.offsets_.to_numpy()[self._rows(arrays)]
        columns = [quantile_column(level) for level in self.quantiles_]
        drop = list(quantile_columns(forecasts.columns).values())
        result = forecasts.drop(columns=drop)
        result[columns] = self._sort_quantiles(quantiles)
        return result

    def _sort_quantiles(self, quantiles):
        """Sort quantiles per row; clip the median to its calibrated neighbours."""
        is_median = self.quantiles_ == MEDIAN
        calibrated = np.sort(quantiles[:, ~is_median], axis=1)
        if not is_median.any():
            return calibrated
        column = int(is_median.argmax())
        infinity = np.full((len(quantiles), 1), np.inf)
        bounds = np.hstack([-infinity, calibrated, infinity])
        median = np.clip(quantiles[:, column], bounds[:, column], bounds[:, column + 1])
        return np.insert(calibrated, column, median, axis=1)

    def _fit(self, forecasts):
        forecasts = self._check(forecasts)
        self._keys = check_keys(self.by, forecasts, type(self).__name__)
        if not self._keys:
            raise ValueError("by=[] names no column: give one, such as 'horizon'.")
        self._has_targets = "target" in forecasts.columns
        self._moves_quantiles = bool(quantile_columns(forecasts.columns))
        self.quantiles_ = self._choose_levels(forecasts)
        arrays = self._to_arrays(forecasts)
        scores = arrays.truth[:, np.newaxis] - arrays.quantiles
        known = ~np.isnan(arrays.truth)
        groups = {}
        for key, rows in arrays.groups.items():
            groups[key] = scores[rows[known[rows]]]
            self._check_enough(key, len(groups[key]))
        index = pd.MultiIndex.from_tuples(groups, names=self._keys)
        offsets = [_conformal_quantiles(s, self.quantiles_) for s in groups.values()]
        spreads = [
            np.ptp(np.quantile(s, [0.1, 0.9], axis=0), axis=0) for s in groups.values()
        ]
        columns = [quantile_column(level) for level in self.quantiles_]
        self.offsets_ = pd.DataFrame(offsets, index=index, columns=columns)
        self._spreads = np.array(spreads)
        return self

    def _check(self, forecasts, needs_truth=True):
        required = ["truth"] * needs_truth + ["prediction", "origin"]
        return check_forecasts(forecasts, required, type(self).__name__)

    def _choose_levels(self, forecasts):
        given = quantile_columns(forecasts.columns)
        if self.quantiles is None and not given:
            raise ValueError(
                "the forecasts have no quantiles, and quantiles=None makes none: pass "
                "the levels to make, such as quantiles=[0.1, 0.9]."
            )
        if self.quantiles is None:
            return np.array(list(given))
        levels = np.round(check_levels(self.quantiles), 10)  # as columns name them
        if given and not set(levels) <= set(given):
            raise ValueError(
                f"quantiles={self.quantiles!r}, but the forecasts have {list(given)}: "
                "leave quantiles at None to calibrate those."
            )
        return levels

    def _to_arrays(self, forecasts):
        """Return the quantiles to shift, the groups of rows, and when truths follow."""
        given = quantile_columns(forecasts.columns)
        if not self._moves_quantiles and given:
            raise ValueError(
                "the forecasts have quantiles, and the calibrator was fitted on "
                "forecasts without: fit it on forecasts of the same model."
            )
        missing = [level for level in self.quantiles_ if level not in given]
        if self._moves_quantiles and missing:
            raise ValueError(
                f"the forecasts have no quantile {missing[0]:g}, which was calibrated; "
                f"they have {list(given)}."
            )
        columns = [given.get(level, "prediction") for level in self.quantiles_]
        if "target" in forecasts.columns and not self._has_targets:
            raise ValueError(
                "the forecasts are of several targets, and the calibrator was fitted "
                "on one: fit it on forecasts of the same model."
            )
        check_keys(self._keys, forecasts, type(self).__name__)
        groups = forecasts.groupby(self._keys, sort=True, observed=True).indices
        groups = {k if isinstance(k, tuple) else (k,): v for k, v in groups.items()}
        truth = forecasts.get("truth")
        origin, time = pd.Index(forecasts["origin"]), pd.Index(forecasts["time"])
        check_comparable(origin, time, type(self).__name__)
        return _ForecastArrays(
            quantiles=forecasts[columns].to_numpy(dtype=float),
            truth=None if truth is None else truth.to_numpy(dtype=float),
            origin=origin,
            time=time,
            groups=groups,
        )

    def _check_enough(self, key, n):
        tail = min(self.quantiles_.min(), 1 - self.quantiles_.max())
        needed = int(np.ceil(round(1 / tail, 6))) - 1
        if n < needed:
            where = ", ".join(map(str, key))
            raise ValueError(
                f"{n} forecasts at {'/'.join(self._keys)} {where} are too few for the "
                f"quantile {max(self.quantiles_.max(), 1 - self.quantiles_.min()):g}, "
                f"which needs {needed}: use a longer backtest, quantiles closer to "
                "0.5, or fewer groups in by=."
            )

    def _rows(self, arrays):
        """Return the row of `offsets_` per forecast."""
        row_of_group = {key: i for i, key in enumerate(self.offsets_.index)}
        result = np.empty(len(arrays.quantiles), dtype=int)
        for key, rows in arrays.groups.items():
            if key not in row_of_group:
                raise ValueError(
                    f"{'/'.join(self._keys)} {', '.join(map(str, key))} was not among "
                    "the forecasts that the calibrator was fitted on: fit it on a "
                    "backtest with the same series, targets and horizon (with "
                    "fit_horizon=, if the model was fitted for fewer steps)."
                )
            result[rows] = row_of_group[key]
        return result

    def _track(self, arrays):
        """Update the offsets in the order of time; return quantiles and offsets."""
        group = self._rows(arrays)
        offsets = self.offsets_.to_numpy().copy()
        step = self.learning_rate * self._spreads
        step[:, self.quantiles_ == MEDIAN] = 0.0
        # At each time the true values become known first, then forecasts are made.
        times = arrays.origin.append(arrays.time).unique().sort_values()
        known = ~np.isnan(arrays.truth)
        made = _rows_by_index(times.get_indexer(arrays.origin), len(times))
        known_from = np.where(known, times.get_indexer(arrays.time), -1)
        observed = _rows_by_index(known_from, len(times))
        quantiles = arrays.quantiles.copy()
        for new, old in zip(made, observed, strict=True):
            if len(old):
                # The series of a group have equal weights, which sum to 1.
                weight = 1 / np.bincount(group[old])[group[old], np.newaxis]
                exceeds = arrays.truth[old, np.newaxis] > quantiles[old]
                change = step[group[old]] * (exceeds - (1 - self.quantiles_))
                np.add.at(offsets, group[old], weight * change)
            quantiles[new] = arrays.quantiles[new] + offsets[group[new]]
        return quantiles, offsets


class _ForecastArrays(NamedTuple):
    """Forecasts as arrays, one row per forecast."""

    quantiles: np.ndarray  # (n, n_quantiles), not calibrated
    truth: np.ndarray | None  # (n,), NaN where not known; None if the column is missing
    origin: pd.Index
    time: pd.Index
    groups: dict[tuple[Any, ...], np.ndarray]  # rows by group


def _rows_by_index(indices, n):
    """Return the rows with each index in range(n); rows with others are left out."""
    order = np.argsort(indices, kind="stable")
    bounds = np.searchsorted(indices[order], np.arange(n + 1))
    return [order[bounds[i] : bounds[i + 1]] for i in range(n)]


def _conformal_quantiles(scores, levels):
    """Return each column's quantile at its level, corrected for the sample size."""
    n = len(scores)
    # Rounded, as 100 * 0.29 is slightly less than 29.
    ranks = np.round((n + 1) * levels, 6)
    ranks = np.where(levels < MEDIAN, np.floor(ranks), np.ceil(ranks))
    ranks = np.clip(ranks, 1, n).astype(int) - 1
    result = np.sort(scores, axis=0)[ranks, np.arange(len(levels))]
    return np.where(levels == MEDIAN, 0.0, result)
