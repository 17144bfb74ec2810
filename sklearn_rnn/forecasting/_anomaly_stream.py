"""AnomalyStream: anomalies in a live signal, row by row."""

from collections import deque
from datetime import datetime
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.forecasting._anomaly_repair import MOST_REPLACED, nearest_outputs
from sklearn_rnn.forecasting._anomaly_scores import worst
from sklearn_rnn.forecasting._anomaly_windows import WindowPipeline, forecast_rows
from sklearn_rnn.forecasting._forecast_frame import fill_table
from sklearn_rnn.preprocessing import (
    TimeTable,
    as_frame,
    categories_of_windower,
    column_at,
    fill_of_windower,
    is_polars,
    raise_other_kind,
)
from sklearn_rnn.sequences import CalendarStep, FixedStep, SequenceArray

# What may be the time of a row, as the name of a Series.
TIMES = (datetime, np.datetime64, pd.Period, pd.Timedelta, Number)


class AnomalyStream:
    """Score the rows of a live signal as they come.

    Made by ``ForecastAnomalyDetector.stream``. Each row is forecast from those handed
    over before; its score is that of the table of all rows so far.

    Parameters
    ----------
    detector : ForecastAnomalyDetector
        Fitted to one series, with a model that is a pipeline that begins with a
        `SequenceWindower` and reads numbers. To fit it again, or to set its parameters,
        does not change the stream.

    Attributes
    ----------
    columns : list of str
        The values of a row, in this order.
    n_rows : int
        Rows handed over so far.
    feature_scores : ndarray of shape (n_targets,)
        Of the last row, how unusual each target is, as by ``score_features``.

    Raises
    ------
    TypeError
        If the model has no windower at its beginning, reads categories, or the detector
        was fitted to several series.
    """

    def __init__(self, detector: Any) -> None:
        pipeline = _check_pipeline(detector)
        self._pipeline, windower = pipeline, pipeline.windower
        # Kept here: the detector may be fitted again, or get other parameters.
        scale = self._scale = detector._scale
        self._repair, self._offset = detector.repair, detector.offset_
        names = list(windower.get_feature_names_out())
        fill = fill_of_windower(windower)
        self.columns = names if fill is None else names[: len(fill.means)]
        self._names, self._fill = names, fill
        self._features = pipeline.features_of(detector.target_names_)
        n_steps, longest = windower.n_steps, int(scale.steps.max())
        # The newest steps as observed, and with anomalies replaced; what was forecast
        # from each.
        self._steps: list[deque] = [deque(maxlen=n_steps) for _ in range(2)]
        self._forecasts: list[deque] = [deque(maxlen=longest) for _ in range(2)]
        self._replaced: deque[bool] = deque(maxlen=n_steps)
        self._most_replaced = MOST_REPLACED * n_steps
        self._nearest = nearest_outputs(scale)
        self._n_known = 0  # rows without a gap
        # After so many missing rows the history is the same for each further one.
        self._most_filled = n_steps + longest
        self._times = _LiveTimes(detector)
        self.n_rows, self.feature_scores = 0, np.full(len(self._features), np.nan)

    def score(self, row: ArrayLike | pd.DataFrame) -> float:
        """Hand over the next row, and return its score.

        Parameters
        ----------
        row : array-like of shape (n_columns,), dict, Series or DataFrame of one row
            Its values, in the order of `columns`, or by these names. NaN is a missing
            value, if the detector was fitted with ``missing="mask"``. A row with a time
            must come after the one before: as a frame, as a Series with the time for
            its name (``table.loc[time]``), or by the name of the column of times. If
            rows are missing in between, they are filled in with ``missing="mask"``,
            and else the row begins a new history, as in a table. A row without a time
            is the next step, and its time one step after the last.

        Returns
        -------
        float
            As by ``score_samples``: the lower, the more of an anomaly; NaN if all
            targets are missing. Below the detector's ``offset_`` it is one.

        Raises
        ------
        InvalidSequenceError
            If the row has other columns, a missing value that is not masked, or a time
            that does not come after the one before; if it has a time, the one before
            had none, and the times of fit have no step; or if it is several rows.
        """
        row, time = self._times.split(row)
        values = self._read(row)
        n_missing, is_new = self._times.advance(time)
        if is_new:
            self._forget()
        n_filled = min(n_missing, self._most_filled)
        for _ in range(n_filled):
            self._score(np.full(len(self.columns), np.nan))
        self._n_known += n_missing - n_filled
        score = self._score(values)
        self.n_rows += 1
        return score

    def _follow(self, time, n_rows):
        """Note the time of the row handed over last, and how many rows there were."""
        self._times.advance(time)
        self.n_rows = n_rows

    def _forget(self):
        """Begin a new history."""
        for kept in (*self._steps, *self._forecasts, self._replaced):
            kept.clear()
        self._n_known = 0

    def _score(self, values):
        """Score the values of the next step, and add them to the history."""
        scale = self._scale
        targets = np.array([values[self._features]])
        known = [self._align(made) for made in self._forecasts]
        scores, is_anomaly = scale.score(targets, known[0])[0], np.array([False])
        if self._repair:
            observed, scores = scores, scale.score(targets, known[1])[0]
            is_anomaly = (scores > 1) & (observed > 1)
        self._append(values, is_anomaly, known[1][0, self._nearest, 1])
        self._n_known += 1
        self.feature_scores = scores
        return float(-worst(scores[np.newaxis])[0])

    def predict(self, row: ArrayLike) -> int:
        """Hand over the next row, and return whether it is an anomaly.

        Parameters
        ----------
        row : array-like of shape (n_columns,), dict, Series or DataFrame of one row
            As for `score`, instead of which it is called.

        Returns
        -------
        int
            -1 for an anomaly, else 1.
        """
        return -1 if self.score(row) < self._offset else 1

    def _read(self, row):
        """Return the values of a row, checked."""
        if hasattr(row, "keys"):
            absent = [name for name in self.columns if name not in row]
            if absent:
                raise InvalidSequenceError(
                    f"the row has no value of {absent[0]!r}; its columns are "
                    f"{self.columns}."
                )
            row = [row[name] for name in self.columns]
        values = np.asarray(row, dtype=np.float64)
        if values.shape != (len(self.columns),):
            raise InvalidSequenceError(
                f"a row has the {len(self.columns)} values {self.columns}, got an "
                f"array of shape {values.shape}."
            )
        if np.isinf(values).any() or (np.isnan(values).any() and self._fill is None):
            bad = self.columns[int(np.argmin(np.isfinite(values)))]
            raise InvalidSequenceError(
                f"column {bad!r} of row {self.n_rows} is NaN or infinite: fill it, or "
                "fit the detector with missing='mask' for NaN."
            )
        return values

    def _align(self, made):
        """Return what was forecast for the next row, (1, n_outputs, 3)."""
        steps = self._scale.steps
        found = np.full((1, len(steps), 3), np.nan)
        for output, k in enumerate(steps):
            if k <= len(made) and self._n_known - k + 1 >= self._scale.history:
                found[0, output] = made[-k][output]
        return found

    def _append(self, values, is_anomaly, middle):
        """Add a row to both histories, and forecast from it."""
        scale = self._scale
        step = values.copy()
        if self._fill is not None:
            before = self._steps[0][-1] if self._steps[0] else None
            step = self._fill.fill_step(values, before)
        step[self._features] = scale.clip(step[self._features])
        replaced = step.copy()
        may_replace = sum(self._replaced) < self._most_replaced
        is_replaced = may_replace and bool(is_anomaly.any())
        if is_replaced:
            middle = scale.fill_unknown(middle)
            replaced[self._features[is_anomaly]] = middle[is_anomaly]
        self._replaced.append(is_replaced)
        self._steps[0].append(step)
        self._steps[1].append(replaced)
        # Equal histories, as nearly always, are forecast from once.
        n_histories = 2 if any(self._replaced) else 1
        made = forecast_rows(self._pipeline.after, self._windows(n_histories))
        self._forecasts[0].append(made[0])
        self._forecasts[1].append(made[-1])

    def _windows(self, n_histories):
        """Return the newest window of each history."""
        length = len(self._steps[0])
        steps = np.concatenate([np.array(own) for own in self._steps[:n_histories]])
        return SequenceArray(
            steps,
            np.arange(n_histories) * length,
            np.full(n_histories, length),
            self._names,
        )


class _LiveTimes:
    """The times of a live signal: whether rows are missing before the next one.

    Parameters
    ----------
    detector : ForecastAnomalyDetector
        Fitted: to a table with times, or all rows follow each other.
    """

    def __init__(self, detector: Any) -> None:
        self._keys, self._rule = detector._keys, detector._rule
        self._kind = detector._kind
        self._last: Any = None  # None: not known
        self._is_lost = False  # rows came after the last time, without times or a step

    def split(self, row: Any) -> tuple[Any, Any]:
        """Return the values of a row, and its time, None if it has none."""
        key = self._keys.time
        if hasattr(row, "columns"):
            frame = _one_row(row)
            return frame.iloc[0], _time_of_frame(frame, key)
        if hasattr(row, "keys") and key is not None and key in row:
            return row, row[key]
        name = getattr(row, "name", None)
        return row, name if key is None and isinstance(name, TIMES) else None

    def advance(self, time: Any) -> tuple[int, bool]:
        """Set the time of the newest row.

        Returns the number of rows to fill in before it, and whether it begins a new
        history.
        """
        if self._kind is None:
            return 0, False
        if time is None:
            self._advance_by_step()
            return 0, False
        if self._is_lost:
            raise InvalidSequenceError(
                f"the row at {time} follows rows that came without a time, and the "
                "times of fit have no fixed step by which to tell theirs: hand over "
                "all rows with their times, or all without."
            )
        last = self._last
        table = self._read([time] if last is None else [last, time])
        self._last = time
        if table.rule is None or last is None:
            return 0, False
        if self._keys.missing:
            return fill_table(table, (), "AnomalyStream").n_rows - 2, False
        return 0, len(table.gaps) > 0

    def _advance_by_step(self):
        """Set the time of the newest row to one step after that before."""
        if self._last is None:
            return
        if isinstance(self._rule, (FixedStep, CalendarStep)):
            self._last = self._read([self._last]).next_times(1)[0][0]
        else:
            self._is_lost = True

    def _read(self, times):
        """Return the TimeTable of the last time and the newest."""
        if len(times) == 2 and not _is_earlier(*times):
            raise InvalidSequenceError(
                f"the row at {times[1]} does not come after that at {times[0]}, which "
                "was handed over before (a row without a time is one step): hand over "
                "each row once, in the order of time."
            )
        name, keys = "AnomalyStream", self._keys
        index = pd.Index(times)
        if keys.time is None:
            frame = pd.DataFrame({"x": 0.0}, index=index)
        else:
            frame = pd.DataFrame({keys.time: index, "x": 0.0})
        if self._kind is None:
            table = TimeTable.from_rows(frame, keys, name)
        else:
            rule, kind = self._rule, self._kind
            table = TimeTable.read(frame, keys, name, rule=rule, kind=kind)
        kind = None if table.times is None else table.times.kind
        if kind != self._kind:
            raise_other_kind(kind or "no times", self._kind, name)
        return table


def _is_earlier(last, time):
    """Return whether a time is after the last one, which must be of one kind."""
    try:
        return bool(last < time)
    except TypeError as error:
        raise InvalidSequenceError(
            f"the times of a live signal are of one kind, and {time!r} cannot be "
            f"compared with {last!r}, that of the row before: {error}."
        ) from error


def _time_of_frame(frame, key):
    """Return the time of a frame of one row, from a column or the index, or None."""
    times = frame.index
    if key is not None and key in list(frame.columns):
        times = frame[key]
    elif key is not None and key in times.names:
        times = times.get_level_values(key)
    elif isinstance(times, pd.RangeIndex):  # numbers of rows
        return None
    return pd.Index(times)[0]


def _one_row(row):
    """Return a table of one row as a frame of pandas."""
    frame = as_frame(row, "AnomalyStream", any_names=True)
    if len(frame) != 1:
        raise InvalidSequenceError(
            f"AnomalyStream takes one row at a time, got a table of {len(frame)} rows: "
            "hand over each row, or score the table with the detector."
        )
    if is_polars(frame):
        columns = {n: column_at(frame, j) for j, n in enumerate(frame.columns)}
        frame = pd.DataFrame(columns)
    return frame


def _check_pipeline(detector):
    """Return the pipeline of a detector that can score row by row."""
    pipeline = WindowPipeline.of(detector.estimator_)
    if pipeline is None or pipeline.before is not None:
        raise TypeError(
            "stream needs a model that begins with a SequenceWindower, whose windows "
            "continue with each row. For other models score the newest rows as a "
            "table, as many as a window and the horizon have."
        )
    if detector._keys.groups:
        raise TypeError(
            f"the detector was fitted to several series, of {detector._keys.groups}, "
            "and stream continues one: fit it to one series, or score the newest rows "
            "of all as a table."
        )
    categories = categories_of_windower(pipeline.windower)
    if categories:
        raise TypeError(
            f"the columns {sorted(map(str, categories))} hold "
            "categories, and stream reads numbers: score the newest rows as a table."
        )
    return pipeline
