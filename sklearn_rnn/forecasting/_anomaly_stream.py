"""AnomalyStream: anomalies in a live signal, row by row."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.forecasting._anomaly_repair import MOST_REPLACED, nearest_outputs
from sklearn_rnn.forecasting._anomaly_scores import worst
from sklearn_rnn.forecasting._anomaly_windows import WindowPipeline, forecast_rows
from sklearn_rnn.preprocessing import categories_of_windower, fill_of_windower
from sklearn_rnn.sequences import SequenceArray


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
        self.n_rows, self.feature_scores = 0, np.full(len(self._features), np.nan)

    def score(self, row: ArrayLike) -> float:
        """Hand over the next row, and return its score.

        Parameters
        ----------
        row : array-like of shape (n_columns,), dict or Series
            Its values, in the order of `columns`, or by these names. NaN is a missing
            value, if the detector was fitted with ``missing="mask"``.

        Returns
        -------
        float
            As by ``score_samples``: the lower, the more of an anomaly; NaN if all
            targets are missing. Below the detector's ``offset_`` it is one.

        Raises
        ------
        InvalidSequenceError
            If the row has other columns, or a missing value that is not masked.
        """
        scale = self._scale
        values = self._read(row)
        targets = np.array([values[self._features]])
        known = [self._align(made) for made in self._forecasts]
        scores, is_anomaly = scale.score(targets, known[0])[0], np.array([False])
        if self._repair:
            observed, scores = scores, scale.score(targets, known[1])[0]
            is_anomaly = (scores > 1) & (observed > 1)
        self._append(values, is_anomaly, known[1][0, self._nearest, 1])
        self._n_known += 1
        self.n_rows, self.feature_scores = self.n_rows + 1, scores
        return float(-worst(scores[np.newaxis])[0])

    def predict(self, row: ArrayLike) -> int:
        """Hand over the next row, and return whether it is an anomaly.

        Parameters
        ----------
        row : array-like of shape (n_columns,), dict or Series
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
            replaced[self._features[is_anomaly]] = scale.known(middle)[is_anomaly]
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
