"""Forecasts from the windows of a pipeline, whose steps can be replaced."""

from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.pipeline import Pipeline, make_pipeline

from sklearn_rnn.estimators import inspect_model, predict_rows, split_at_windower
from sklearn_rnn.forecasting._anomaly_scores import ErrorScale
from sklearn_rnn.forecasting._calendar import CalendarFeatures
from sklearn_rnn.preprocessing import SequenceWindower
from sklearn_rnn.sequences import SequenceArray


def forecast_rows(model: Any, X: Any) -> np.ndarray:
    """Return low, middle and high forecasts of all rows, (n, n_outputs, 3).

    A model without quantiles has intervals of the half-width 1.
    """
    found = predict_rows(model, X, np.arange(len(X)))
    middle = found.predictions
    if len(found.levels) > 1:
        low, high = found.quantiles[..., 0], found.quantiles[..., -1]
        return np.stack([low, middle, high], axis=-1)
    return np.stack([middle - 1, middle, middle + 1], axis=-1)


class WindowPipeline(NamedTuple):
    """A fitted pipeline, taken apart at its windower.

    before : steps that add features of the calendar; None if there are none
    windower : SequenceWindower
    after : what predicts from windows
    """

    before: Pipeline | None
    windower: SequenceWindower
    after: Any

    @classmethod
    def of(cls, model: Any) -> Self | None:
        """Take a fitted model apart; None if it has no windower that can be reached.

        Other steps before the windower could change the units of the targets.
        """
        before, windower, after = split_at_windower(model, deep=True)
        is_calendar = all(isinstance(step, CalendarFeatures) for step in before)
        if windower is None or inspect_model(after).windowers or not is_calendar:
            return None
        return cls(make_pipeline(*before) if before else None, windower, after)

    def windows(self, X: Any) -> SequenceArray:
        """Cut a table into windows."""
        X = X if self.before is None else self.before.transform(X)
        return self.windower.transform(X)

    def features_of(self, columns: list[str]) -> np.ndarray:
        """Return which feature of a step holds each of some columns."""
        names = list(self.windower.get_feature_names_out())
        return np.array([names.index(name) for name in columns])


def clip_steps(
    windows: SequenceArray, features: np.ndarray, scale: ErrorScale
) -> SequenceArray:
    """Return the windows with the values of some features clipped, and as floats."""
    # Floats, as forecasts may take the place of integers.
    values = windows.values.astype(np.result_type(windows.values.dtype, np.float32))
    values[:, features] = scale.clip(values[:, features])
    return SequenceArray(
        values,
        windows.starts,
        windows.lengths,
        windows.feature_names,
        transforms=windows.transforms,
        time_index=windows.time_index,
    )
