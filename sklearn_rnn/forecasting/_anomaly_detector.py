"""ForecastAnomalyDetector: rows of a table that were not to be expected."""

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OutlierMixin, _fit_context, clone
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn._exceptions import InvalidSequenceError, WindowHistoryWarning
from sklearn_rnn._html import DescribedParameters
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.estimators import RNNRegressor, inspect_model
from sklearn_rnn.forecasting._anomaly_repair import Histories, repaired_scores
from sklearn_rnn.forecasting._anomaly_scores import ErrorScale, align, worst
from sklearn_rnn.forecasting._anomaly_stream import AnomalyStream
from sklearn_rnn.forecasting._anomaly_windows import (
    WindowPipeline,
    clip_steps,
    forecast_rows,
)
from sklearn_rnn.forecasting._forecast_frame import (
    fill_table,
    get_column_names,
    pair_with_future,
)
from sklearn_rnn.forecasting._windows_seen import ignore_unknown_times
from sklearn_rnn.preprocessing import (
    SequenceWindower,
    TimeTable,
    as_frame,
    column_at,
    find_keys,
    has_categories,
    is_polars,
    select_rows,
)
from sklearn_rnn.sequences import COUNT, check_columns, convert_input

# Quantiles that the default model forecasts.
QUANTILES = (0.05, 0.5, 0.95)
# Fewest held-out rows that say how large errors are.
FEWEST_HELD_OUT = 10
# Windows of rows that are kept from fit: what was repaired in them counts, too.
WINDOWS_KEPT = 4
# The default horizon is at most this fraction of the times in fit.
LARGEST_HORIZON = 0.1


class ForecastAnomalyDetector(
    DescribedParameters, OutlierMixin, PlainState, BaseEstimator
):
    """Detect anomalies in time series by errors of forecasts.

    Each row is forecast from rows before it, one step ahead and several, and its
    errors are measured by those of rows that the model was not fitted to. Found are
    single wrong values, levels that change, a sensor that freezes, or a season that
    is missing; for several columns, which of them it was (`score_features`).

    Parameters
    ----------
    estimator : estimator instance, default=None
        Regressor to forecast with: a pipeline with a `SequenceWindower`, a search over
        one, or any other regressor of rows. Its intervals count, if it predicts
        quantiles. None is a windower of `n_steps` and an `RNNRegressor` with
        ``loss="quantile"``. A clone is fitted.
    target : str or list of str, default=None
        Columns in which to look for anomalies. The others are only read. None: all
        columns of numbers.
    horizon : int or list of int, default=None
        How many steps ahead each value is forecast. None: 1, 2, 4, ... and half a
        window, or 1 without a window. Forecasts from further back do not know yet that
        a level changed or a sensor froze.
    n_steps : int, default=48
        Rows in a window of the default model. At least two seasons, such as 48 hours of
        a day. Not used with an `estimator`.
    contamination : float, default=0.01
        Fraction of the rows of the calibration block that `predict` calls anomalies, in
        (0, 0.5]. If that block is free of anomalies, the rate of false alarms. Unlike
        that of `IsolationForest`, it is no fraction of the whole table in fit.
    calibration_fraction : float, default=0.2
        Fraction of the times at the end of the table that the model is not fitted to,
        and whose errors calibrate the scores.
    repair : bool, default=True
        Whether anomalies are replaced by their forecasts in the history of the rows
        after them, so that these are not anomalies, too. At most half of the rows of a
        window are, and none that forecasts from the history as observed expect, so that
        a change for good is soon accepted. Models without a windower have no such
        history; one that cannot be reached, as in an ensemble, is an error.
    missing : {"raise", "mask"}, default=None
        What to do about missing rows and values, as for `make_forecast_frame`. A
        missing value has no score. Rows of `X` that are missing are filled in to
        forecast later ones, and get no score either.
    freq : str, offset, Timedelta or number, default=None
        The time between rows, as for `SequenceWindower`; None finds it.
    time : str, default=None
        Column of the times; None takes what the table says of itself, as for
        `make_forecast_frame`, or else the index.
    group_by : str or list of str, default=None
        Column or columns that identify the series, if the table has several.
    random_state : int, RandomState instance or None, default=None
        Seed of the default model.

    Attributes
    ----------
    estimator_ : estimator instance
        The fitted model.
    target_names_ : list of str
        The columns that are scored.
    horizon_ : list of int
        Steps ahead that values are forecast.
    offset_ : float
        Score below which a row is an anomaly.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names, where they have names.

    See Also
    --------
    backtest : Errors of forecasts of the past, without scores.
    ConformalCalibrator : Calibrated intervals of forecasts.
    sklearn.ensemble.IsolationForest : Anomalies in rows without an order.

    Notes
    -----
    An error is divided by the half-width of the model's interval on its side, and
    by the 90 % quantile of such ratios in the calibration block. The score of a value
    is the largest of its horizons, divided by the 99 % quantile of these in the
    calibration block: 1 is what 1 % of its values exceed. A row has the score of its
    worst column.

    Forecasts from less than a window of rows (or half of the longest series, if that is
    less) do not count, as their errors are larger than those that calibrate the scores.
    The first rows of a series, and those after a gap, are compared with the median of
    their column in fit instead: 1 is what 1 % of its values are further from. Rows that
    follow those of `fit`
    without a gap continue their history; those of an array, which has no times, never
    do: hand over the rows before them, too. Rows of `fit` that were trained on have
    smaller errors than others; anomalies among them are learned from, so that it is
    better to fit on rows with few.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_rnn import ForecastAnomalyDetector
    >>> rng = np.random.default_rng(0)
    >>> hours = pd.date_range("2025-01-01", periods=600, freq="h")
    >>> level = 10 + np.sin(np.arange(600) * 2 * np.pi / 24)
    >>> table = pd.DataFrame({"level": level + rng.normal(0, 0.1, 600)}, index=hours)
    >>> table.iloc[550] += 2  # a spike
    >>> detector = ForecastAnomalyDetector(random_state=0).fit(table[:500])
    >>> scores = detector.score_samples(table[500:])
    >>> int(scores.argmin())
    50
    >>> int(detector.predict(table[500:])[50])
    -1
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "target": [str, list, tuple, None],
        "horizon": [Integral, list, tuple, None],
        "n_steps": [COUNT],
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "repair": ["boolean"],
        "missing": [StrOptions({"raise", "mask"}), None],
        "freq": "no_validation",  # by SequenceWindower
        "time": [str, Integral, None],
        "group_by": [str, Integral, list, tuple, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        horizon: int | Sequence[int] | None = None,
        n_steps: int = 48,
        contamination: float = 0.01,
        calibration_fraction: float = 0.2,
        repair: bool = True,
        missing: Literal["raise", "mask"] | None = None,
        freq: Any = None,
        time: str | None = None,
        group_by: str | Sequence[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.target = target
        self.horizon = horizon
        self.n_steps = n_steps
        self.contamination = contamination
        self.calibration_fraction = calibration_fraction
        self.repair = repair
        self.missing = missing
        self.freq = freq
        self.time = time
        self.group_by = group_by
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the model to the beginning of a table, and calibrate on its end.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_rows, n_columns)
            The table, as for `make_forecast_frame`; rows of an array follow each other,
            but have no times, so that none later on continue this history.
        y : None
            Not used.

        Returns
        -------
        ForecastAnomalyDetector
            The fitted detector.

        Raises
        ------
        InvalidSequenceError
            As `make_forecast_frame` does.
        ValueError
            If the table is too short to fit and to calibrate, or `repair` is True and
            the model's windower cannot be reached.
        """
        frame = self._to_frame(X, reset=True)
        if len(frame) < 2:
            raise InvalidSequenceError(
                f"Found a table with n_samples = {len(frame)}: each row is forecast "
                f"from rows before it, so {type(self).__name__} needs many."
            )
        keys = find_keys(frame, self.time, self.group_by, self.freq)
        model = self._make_model()
        targets = self._choose_targets(frame, keys)
        pairs = pair_with_future(
            frame,
            targets,
            self._choose_horizon(model, frame, keys),
            known=None,
            missing=self.missing,
            freq=self.freq,
            time=self.time,
            group_by=self.group_by,
            estimator_name=type(self).__name__,
        )
        table = pairs.table
        self._keys, self._rule = table.keys, table.rule
        self._kind = None if table.times is None else table.times.kind
        self.target_names_ = targets
        self.horizon_ = [k for name, k in pairs.outputs if name == targets[0]]
        is_held_out = self._fit_model(model, pairs)
        self._calibrate(pairs, is_held_out)
        self._keep_recent(table)
        return self

    def score_features(self, X: Any) -> pd.DataFrame:
        """Return how unusual each value is.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_rows, n_columns)
            A table with the columns of that in `fit`. Rows of an array start without
            history.

        Returns
        -------
        DataFrame of shape (n_rows, n_targets)
            Of each of `target_names_`, with the index of `X`. From 0; 1 is what 1 % of
            the values of the calibration block exceed, up to repairs. NaN where the
            value is missing.

        Raises
        ------
        InvalidSequenceError
            As `SequenceWindower` does, or if a value is infinite.
        """
        check_is_fitted(self)
        frame = self._to_frame(X, reset=False)
        table = self._read(frame)
        whole = self._complete(table)
        scores = self._score(whole, *self._forecast(whole))
        result = np.empty((len(frame), len(self.target_names_)))
        result[table.rows(np.arange(table.n_rows))] = scores[_positions(table, whole)]
        return pd.DataFrame(result, index=frame.index, columns=self.target_names_)

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the score of each row: the lower, the more of an anomaly.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_rows, n_columns)
            A table with the columns of that in `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            The negative of its largest value in `score_features`; NaN for rows
            whose targets are all missing.
        """
        return -worst(self.score_features(X).to_numpy())

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the score of each row above the threshold.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_rows, n_columns)
            A table with the columns of that in `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            ``score_samples(X) - offset_``: negative for anomalies.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return which rows are anomalies.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_rows, n_columns)
            A table with the columns of that in `fit`.

        Returns
        -------
        ndarray of int of shape (n_rows,)
            -1 for anomalies, 1 for other rows, those without a score included.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def stream(self, X: Any = None) -> AnomalyStream:
        """Return an object that scores the rows of a live signal as they come.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_rows, n_columns), default=None
            The newest rows of one series, in the order of time, which the signal
            follows; the last rows of four windows are enough. Rows before a gap are
            left out, unless ``missing="mask"`` fills it. None: the signal has no
            history.

        Returns
        -------
        AnomalyStream
            Its scores are those of the table of all rows so far.

        Raises
        ------
        InvalidSequenceError
            As `score_samples` does.
        TypeError
            If the model is not a pipeline that begins with a windower, reads
            categories, or the detector was fitted to several series.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import ForecastAnomalyDetector
        >>> rng = np.random.default_rng(0)
        >>> x = np.sin(np.arange(400) / 4) + rng.normal(0, 0.1, 400)
        >>> detector = ForecastAnomalyDetector(random_state=0).fit(x[:300, np.newaxis])
        >>> live = detector.stream(x[:300, np.newaxis])
        >>> bool(live.score([x[300]]) > live.score([x[301] + 3]))
        True
        """
        check_is_fitted(self)
        stream = AnomalyStream(self)
        if X is not None:
            frame = self._to_frame(X, reset=False)
            table = self._complete(self._read(frame))
            # As in the table, rows before a gap are no history of those after it.
            newest = np.arange(table.segments[-2], table.n_rows)
            for row in table.data[stream.columns].to_numpy()[table.rows(newest)]:
                stream.score(row)
            stream._follow(table.index[table.rows(newest[-1:])][0], len(frame))
        return stream

    def _to_frame(self, X, reset):
        """Return the table as a frame of pandas, its columns checked against fit."""
        name = type(self).__name__
        if isinstance(X, pd.Series) or hasattr(X, "columns"):
            frame = as_frame(X, name)
        else:
            X = convert_input(X, estimator_name=name)
            frame = X if hasattr(X, "columns") else _frame_of_array(X, name)
        if is_polars(frame):
            columns = {n: column_at(frame, j) for j, n in enumerate(frame.columns)}
            frame = pd.DataFrame(columns)
        given_names = hasattr(X, "columns") or isinstance(X, pd.Series)
        check_columns(self, frame if given_names else frame.to_numpy(), reset=reset)
        _check_finite(frame)
        return frame

    def _make_model(self):
        if self.estimator is not None:
            return clone(self.estimator)
        network = RNNRegressor(
            loss="quantile", quantiles=QUANTILES, random_state=self.random_state
        )
        return make_pipeline(SequenceWindower(self.n_steps), network)

    def _choose_targets(self, frame, keys):
        """Return the columns to score."""
        if self.target is not None:
            return get_column_names(frame, self.target, "target")
        found = [
            name
            for name in frame.columns
            if name not in [keys.time, *keys.groups]
            and pd.api.types.is_numeric_dtype(frame[name])
            and not has_categories(frame, name)
        ]
        if not found:
            raise InvalidSequenceError(
                f"X has no column of numbers besides those of times and series, and "
                f"{type(self).__name__} forecasts numbers; its columns are "
                f"{list(frame.columns)}."
            )
        return found

    def _choose_horizon(self, model, frame, keys):
        """Return the steps ahead: as given, or powers of two up to half a window."""
        if self.horizon is not None:
            return self.horizon
        lookback = inspect_model(model).lookback
        if lookback is None:
            return [1]
        table = TimeTable.from_rows(frame, keys, type(self).__name__)
        n_times = table.n_rows // (len(table.series_bounds) - 1)
        most = min((lookback + 1) // 2, int(LARGEST_HORIZON * n_times))
        powers = [2**i for i in range(20) if 2**i < most]
        return [*powers, max(1, most)]

    def _fit_model(self, model, pairs):
        """Fit the model to the beginning; return the positions of the end."""
        table = pairs.table
        time_index = np.asarray(table.time_index())
        times = np.unique(time_index)
        n_held_out = int(np.ceil(self.calibration_fraction * len(times)))
        begin = times[len(times) - n_held_out]
        target_time = time_index[pairs.positions + max(k for _, k in pairs.outputs)]
        train = np.flatnonzero(target_time < begin)
        is_held_out = time_index >= begin
        if is_held_out.sum() < FEWEST_HELD_OUT or len(train) < 1:
            raise ValueError(
                f"X has {table.n_rows} rows, of which {is_held_out.sum()} are held out "
                f"by calibration_fraction={self.calibration_fraction} (at least "
                f"{FEWEST_HELD_OUT} are needed) and {len(train)} are left to fit on: "
                "use a longer table, a shorter horizon, or another fraction."
            )
        X, Y = select_rows(pairs.X, train), select_rows(pairs.Y, train)
        values = self._values(table)[~is_held_out]
        self._check_values_known(values)
        self.estimator_ = model.fit(X, Y if Y.shape[1] > 1 else Y.iloc[:, 0])
        outputs = [(self.target_names_.index(name), k) for name, k in pairs.outputs]
        self._scale = ErrorScale.start(outputs, values, self._least_history(table))
        return is_held_out

    def _least_history(self, table):
        """Return how many rows a forecast must know to count: mostly a window."""
        begins = _segment_begins(table)
        longest = int((np.arange(len(begins)) - begins).max()) + 1
        n_steps = (inspect_model(self.estimator_).lookback or 0) + 1
        return max(1, min(n_steps, longest // 2))

    def _check_values_known(self, values):
        for name, column in zip(self.target_names_, values.T, strict=True):
            if np.isnan(column).all():
                raise InvalidSequenceError(
                    f"column {name!r} has no value in the rows to fit on: drop it."
                )

    def _calibrate(self, pairs, is_held_out):
        """Set the scale of errors and the threshold, from rows not trained on."""
        table = pairs.table
        forecasts, histories = self._forecast(table)
        values, positions = self._values(table), np.flatnonzero(is_held_out)
        begins = _segment_begins(table)
        known = align(forecasts, self._scale, begins, positions)
        with warnings.catch_warnings():
            # A column without a value, or an output without a forecast, of which
            # NaN remains, is an error below.
            warnings.simplefilter("ignore", RuntimeWarning)
            scale = self._scale.calibrate(values[positions], known)
        if not np.isfinite([*scale.factors, *scale.units]).all():
            raise ValueError(
                f"the {len(positions)} rows held out have columns without a value, or "
                "no row with all forecasts: use a longer table, a shorter horizon, or "
                "a larger calibration_fraction."
            )
        self._scale = scale
        scores = worst(self._score(table, forecasts, histories)[positions])
        scores = scores[~np.isnan(scores)]
        self.offset_ = -float(np.quantile(scores, 1 - self.contamination))

    def _keep_recent(self, table):
        """Keep the last rows of each series, which new rows may follow."""
        lookback = inspect_model(self.estimator_).lookback or 0
        n_kept = WINDOWS_KEPT * (lookback + 1) + max(self.horizon_)
        kept = [rows[-n_kept:] for rows in table.rows_of_series()]
        recent = table.data.iloc[np.sort(np.concatenate(kept))].copy()
        recent.attrs = {}
        self._recent = recent

    def _read(self, frame):
        """Return the TimeTable of a frame, with the step of fit."""
        name, keys, kind = type(self).__name__, self._keys, self._kind
        if kind is None:
            return TimeTable.from_rows(frame, keys, name).without_times()
        return TimeTable.read(frame, keys, name, rule=self._rule, kind=kind)

    def _complete(self, table):
        """Return a table after the rows of fit that it follows, on a whole grid."""
        name = type(self).__name__
        whole = table.with_earlier(self._recent, name)
        return fill_table(whole, (), name) if self._keys.missing else whole

    def _values(self, table):
        """Return the values to score by position, (n, n_targets)."""
        rows = table.rows(np.arange(table.n_rows))
        return table.data[self.target_names_].to_numpy(dtype=np.float64)[rows]

    def _forecast(self, table):
        """Return forecasts by the position they are made at, and what repairs need.

        The second is None without a windower, and without `repair`.
        """
        rows = table.rows(np.arange(table.n_rows))
        pipeline = self._split_model()
        with ignore_unknown_times(), warnings.catch_warnings():
            # Gaps are the user's, and are cut at.
            warnings.simplefilter("ignore", WindowHistoryWarning)
            if pipeline is None:
                return forecast_rows(self.estimator_, table.data)[rows], None
            windows = pipeline.windows(table.data)[rows]
        features = pipeline.features_of(self.target_names_)
        windows = clip_steps(windows, features, self._scale)
        histories = Histories(
            model=pipeline.after,
            windows=windows,
            features=features,
            n_steps=pipeline.windower.n_steps,
            begins=_segment_begins(table),
        )
        found = forecast_rows(pipeline.after, windows)
        return found, histories if self.repair else None

    def _split_model(self):
        """Return the model's WindowPipeline; None without a windower to repair by."""
        pipeline = WindowPipeline.of(self.estimator_)
        windowers = inspect_model(self.estimator_).windowers
        if pipeline is None and self.repair and windowers:
            raise ValueError(
                "repair=True replaces values in the windows of the model, but the "
                f"SequenceWindower of {type(self.estimator_).__name__} is inside of a "
                "meta-estimator, is not the only one, or follows steps other than "
                "CalendarFeatures. Set repair=False, or use a pipeline with one "
                "SequenceWindower."
            )
        return pipeline

    def _score(self, table, forecasts, histories):
        """Return the scores by position, (n, n_targets)."""
        values, scale = self._values(table), self._scale
        if histories is not None:
            return repaired_scores(values, forecasts, histories, scale)
        positions = np.arange(table.n_rows)
        known = align(forecasts, scale, _segment_begins(table), positions)
        return scale.score(values, known)


def _frame_of_array(X, name):
    """Return the frame of an array of rows."""
    X = np.asarray(X)
    if X.ndim != 2:
        raise InvalidSequenceError(
            f"Expected 2D array, got {X.ndim}D array instead: {name} takes a table of "
            "rows. Reshape your data either using array.reshape(-1, 1) if it has a "
            "single column or array.reshape(1, -1) if it is a single row."
        )
    if X.shape[1] == 0:
        raise InvalidSequenceError(
            f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is "
            f"required by {name}."
        )
    if np.iscomplexobj(X):
        raise ValueError(f"Complex data not supported: {name} reads real numbers.")
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    return frame.infer_objects()


def _check_finite(frame):
    """Check that no column of floats has an infinity, which clipping would hide."""
    for name in frame.columns:
        if not pd.api.types.is_float_dtype(frame[name]):
            continue
        values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        infinite = np.flatnonzero(np.isinf(values))
        if len(infinite):
            raise InvalidSequenceError(
                f"column {name!r} of row {infinite[0]} is infinite: replace it by a "
                "value, or by NaN with missing='mask'."
            )


def _segment_begins(table):
    """Return where the segment of each position begins."""
    positions = np.arange(table.n_rows)
    return np.maximum.accumulate(np.where(table.is_segment_start, positions, 0))


def _positions(table, whole):
    """Return where the rows of a table are in a larger one, by position."""
    if whole is table:
        return np.arange(table.n_rows)
    series = np.zeros(len(table.series_bounds) - 1, dtype=int)
    if table.labels is not None:
        series = whole.labels.get_indexer(table.labels)
    found = []
    for k, own in enumerate(series):
        begin, end = table.series_bounds[k : k + 2]
        first, last = whole.series_bounds[own : own + 2]
        times = whole.timestamps[first:last]
        found.append(first + np.searchsorted(times, table.timestamps[begin:end]))
    return np.concatenate(found)
