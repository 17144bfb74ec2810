"""ConformalCalibrator: quantiles that cover what they say."""

from collections.abc import Sequence
from numbers import Real
from typing import Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.estimators import check_levels
from sklearn_rnn.forecasting._frames import (
    check_frame,
    check_order,
    quantile_column,
    quantile_columns,
    read_keys,
)


class ConformalCalibrator(BaseEstimator):
    """Move the quantiles of forecasts so that they cover what they should.

    It learns from forecasts of a past that the model did not see how far the
    truth lay from each quantile, for every horizon on its own, and moves the
    quantiles of other forecasts by as much. Around a model without quantiles it
    puts some.

    Parameters
    ----------
    quantiles : sequence of float, default=None
        The quantiles to make around the prediction of a model that has none,
        increasing. None takes those of the forecasts.
    method : {"split", "adaptive"}, default="adaptive"
        "split" moves quantiles by what was learned in `fit`, for good.
        "adaptive" goes on from there: whenever a truth becomes known, each
        quantile goes up a little if it was below and down a little if not, so
        that coverage holds however the series drifts.
    by : str or list of str, default="horizon"
        Columns that tell apart what is calibrated on its own; several targets
        always are. ``["station", "horizon"]`` calibrates each series.
    learning_rate : float, default=0.01
        For "adaptive": how far a quantile moves for one truth, as a share of
        the spread of the errors in `fit` (between their 10 % and 90 %
        quantiles).

    Attributes
    ----------
    quantiles_ : ndarray of shape (n_quantiles,)
        Their levels.
    offsets_ : DataFrame of shape (n_groups, n_quantiles)
        How far each quantile is moved, in the units of the target, by group.

    See Also
    --------
    backtest : Makes the forecasts to learn from.
    score_forecasts : Tells how much intervals cover.

    Notes
    -----
    "split" is one-sided conformalised quantile regression [1]_: the quantile q
    at the level a moves by the quantile of (truth - q) at that level, with the
    correction for a finite sample. If errors to come are like those in `fit`, it
    covers as it says. "adaptive" is the quantile tracker [2]_, gradient descent
    on the pinball loss, which needs no such thing. A forecast h steps ahead
    learns h steps late, as in life. The median stays where it is, unless
    another quantile moves past it and takes it along.

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
        """Learn how far truths lay from the quantiles.

        Parameters
        ----------
        forecasts : DataFrame
            As `backtest` returns it, of times that the model was not fitted
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
            If there are too few forecasts for such quantiles, or none to move.
        """
        before = dict(vars(self))
        try:
            return self._fit(forecasts)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def partial_fit(self, forecasts: pd.DataFrame, y: None = None) -> Self:
        """Go on learning from forecasts whose truths have become known.

        Parameters
        ----------
        forecasts : DataFrame
            As `backtest` returns it, not yet transformed; `time` tells when
            each truth was known.
        y : None
            Not used.

        Returns
        -------
        ConformalCalibrator
            Itself, with `offsets_` moved on.

        Raises
        ------
        ValueError
            If the method is "split", which does not move on.
        """
        check_is_fitted(self)
        if self.method != "adaptive":
            raise ValueError(
                f"method={self.method!r} is calibrated once and for all: fit it on all "
                "forecasts, or set method='adaptive'."
            )
        forecasts = check_frame(forecasts, ["truth", "prediction", "origin"], OWNER)
        _, offsets = self._follow(self._with_levels(forecasts))
        self.offsets_ = self.offsets_.copy()
        self.offsets_[:] = offsets
        return self

    def transform(self, forecasts: pd.DataFrame) -> pd.DataFrame:
        """Move the quantiles of forecasts.

        With "adaptive", truths in the forecasts themselves count for later
        origins, from the moment at which they were known. What is learned so
        is not kept: `partial_fit` does that.

        Parameters
        ----------
        forecasts : DataFrame
            As `forecast` or `backtest` returns it.

        Returns
        -------
        DataFrame
            The same with other quantiles, which do not cross.

        Raises
        ------
        ValueError
            If there is a horizon, or another group, that `fit` did not see.
        """
        check_is_fitted(self)
        read = check_frame(forecasts, ["prediction", "origin"], OWNER)
        moved = self._with_levels(read)
        if self.method == "adaptive" and moved.truth is not None:
            quantiles, _ = self._follow(moved)
        else:
            quantiles = moved.quantiles + self._offsets_of_rows(moved)
        columns = [quantile_column(level) for level in self.quantiles_]
        drop = list(quantile_columns(forecasts.columns).values())
        result = forecasts.drop(columns=drop)
        result[columns] = self._in_order(quantiles)
        return result

    def _in_order(self, quantiles):
        """Put quantiles in order; the median gives way to the calibrated ones."""
        is_median = self.quantiles_ == MEDIAN
        calibrated = np.sort(quantiles[:, ~is_median], axis=1)
        if not is_median.any():
            return calibrated
        place = int(is_median.argmax())
        outside = np.full((len(quantiles), 1), np.inf)
        bounds = np.hstack([-outside, calibrated, outside])
        median = np.clip(quantiles[:, place], bounds[:, place], bounds[:, place + 1])
        return np.insert(calibrated, place, median, axis=1)

    def _fit(self, forecasts):
        forecasts = check_frame(forecasts, ["truth", "prediction", "origin"], OWNER)
        self._keys = read_keys(self.by, forecasts, OWNER)
        if not self._keys:
            raise ValueError("by=[] names no column: give one, such as 'horizon'.")
        self._has_targets = "target" in forecasts.columns
        self._moves_quantiles = bool(quantile_columns(forecasts.columns))
        self.quantiles_ = self._read_levels(forecasts)
        moved = self._with_levels(forecasts)
        scores = moved.truth[:, np.newaxis] - moved.quantiles
        known = ~np.isnan(moved.truth)
        groups = {}
        for key, rows in moved.groups.items():
            groups[key] = scores[rows[known[rows]]]
            self._refuse_few(key, len(groups[key]))
        index = pd.MultiIndex.from_tuples(groups, names=self._keys)
        offsets = [_conformal_quantiles(s, self.quantiles_) for s in groups.values()]
        spreads = [
            np.ptp(np.quantile(s, [0.1, 0.9], axis=0), axis=0) for s in groups.values()
        ]
        columns = [quantile_column(level) for level in self.quantiles_]
        self.offsets_ = pd.DataFrame(offsets, index=index, columns=columns)
        self._spreads = np.array(spreads)
        return self

    # Reading forecasts.

    def _read_levels(self, forecasts):
        given = quantile_columns(forecasts.columns)
        if self.quantiles is None and not given:
            raise ValueError(
                "the forecasts have no quantiles, and quantiles=None makes none: say "
                "which to make, such as quantiles=[0.1, 0.9]."
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

    def _with_levels(self, forecasts):
        """Return the quantiles to move, and to which group each row belongs."""
        given = quantile_columns(forecasts.columns)
        if not self._moves_quantiles and given:
            raise ValueError(
                "the forecasts have quantiles, and the calibrator was fitted on some "
                "that had none: fit it on forecasts of the same model."
            )
        lacking = [level for level in self.quantiles_ if level not in given]
        if self._moves_quantiles and lacking:
            raise ValueError(
                f"the forecasts have no quantile {lacking[0]:g}, which was calibrated; "
                f"they have {list(given)}."
            )
        columns = [given.get(level, "prediction") for level in self.quantiles_]
        if "target" in forecasts.columns and not self._has_targets:
            raise ValueError(
                "the forecasts are of several targets, and the calibrator was fitted "
                "on one: fit it on forecasts of the same model."
            )
        read_keys(self._keys, forecasts, OWNER)
        groups = forecasts.groupby(self._keys, sort=True, observed=True).indices
        groups = {k if isinstance(k, tuple) else (k,): v for k, v in groups.items()}
        truth = forecasts.get("truth")
        origin, time = pd.Index(forecasts["origin"]), pd.Index(forecasts["time"])
        check_order(origin, time, OWNER)
        return _Moved(
            quantiles=forecasts[columns].to_numpy(dtype=float),
            truth=None if truth is None else truth.to_numpy(dtype=float),
            origin=origin,
            time=time,
            groups=groups,
        )

    def _refuse_few(self, key, n):
        tail = min(self.quantiles_.min(), 1 - self.quantiles_.max())
        needed = int(np.ceil(round(1 / tail, 6))) - 1
        if n < needed:
            where = ", ".join(map(str, key))
            raise ValueError(
                f"{n} forecasts at {'/'.join(self._keys)} {where} are too few for the "
                f"quantile {max(self.quantiles_.max(), 1 - self.quantiles_.min()):g}, "
                f"which needs {needed}: use a longer backtest, quantiles further "
                "inside, or fewer groups in by=."
            )

    # Moving quantiles.

    def _rows_of_offsets(self, moved):
        """Return for every row the row of `offsets_` that is its group's."""
        known = {key: i for i, key in enumerate(self.offsets_.index)}
        of_row = np.empty(len(moved.quantiles), dtype=int)
        for key, rows in moved.groups.items():
            if key not in known:
                raise ValueError(
                    f"{'/'.join(self._keys)} {', '.join(map(str, key))} was not among "
                    "the forecasts that the calibrator was fitted on."
                )
            of_row[rows] = known[key]
        return of_row

    def _offsets_of_rows(self, moved):
        return self.offsets_.to_numpy()[self._rows_of_offsets(moved)]

    def _follow(self, moved):
        """Go through origins in order, and learn from truths once they are known."""
        group = self._rows_of_offsets(moved)
        offsets = self.offsets_.to_numpy().copy()
        step = self.learning_rate * self._spreads
        step[:, self.quantiles_ == MEDIAN] = 0.0
        # What happens at each moment: truths become known, then forecasts are made.
        moments = moved.origin.append(moved.time).unique().sort_values()
        known = ~np.isnan(moved.truth)
        made_at = _rows_by(moments.get_indexer(moved.origin), len(moments))
        known_at = np.where(known, moments.get_indexer(moved.time), -1)
        quantiles = moved.quantiles.copy()
        for rows, learned in zip(
            made_at, _rows_by(known_at, len(moments)), strict=True
        ):
            if len(learned):
                # Of several series in a group, each moves it by its share.
                share = 1 / np.bincount(group[learned])[group[learned], np.newaxis]
                below = moved.truth[learned, np.newaxis] > quantiles[learned]
                change = step[group[learned]] * (below - (1 - self.quantiles_))
                np.add.at(offsets, group[learned], share * change)
            quantiles[rows] = moved.quantiles[rows] + offsets[group[rows]]
        return quantiles, offsets


OWNER = "ConformalCalibrator"
MEDIAN = 0.5


class _Moved(NamedTuple):
    """Forecasts, as arrays of a row each.

    quantiles : of shape (n, n_quantiles), as they were
    truth : of shape (n,), NaN where it is not known; None if none is
    origin, time : Index of length n
    groups : dict of tuple to ndarray of int, rows of each group
    """

    quantiles: np.ndarray
    truth: np.ndarray | None
    origin: pd.Index
    time: pd.Index
    groups: dict


def _rows_by(places, n_places):
    """Return the rows at each place; rows at other places are left out."""
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[order], np.arange(n_places + 1))
    return [order[bounds[i] : bounds[i + 1]] for i in range(n_places)]


def _conformal_quantiles(scores, levels):
    """Return the quantile of each column at its level, corrected for its number."""
    n = len(scores)
    # Rounded, or 100 * 0.29 would be just below 29.
    ranks = np.round((n + 1) * levels, 6)
    ranks = np.where(levels < MEDIAN, np.floor(ranks), np.ceil(ranks))
    ranks = np.clip(ranks, 1, n).astype(int) - 1
    result = np.sort(scores, axis=0)[ranks, np.arange(len(levels))]
    return np.where(levels == MEDIAN, 0.0, result)
