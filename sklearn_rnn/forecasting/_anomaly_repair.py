"""Scores by two histories: as observed, and with anomalies replaced by forecasts."""

from typing import Any, NamedTuple

import numpy as np

from sklearn_rnn.forecasting._anomaly_scores import ErrorScale, align
from sklearn_rnn.forecasting._anomaly_windows import forecast_rows
from sklearn_rnn.sequences import SequenceArray

# Of the last steps of a window this fraction may be replaced at most: a history that
# is forecasts for the most part says little of the series.
MOST_REPLACED = 0.5


class Histories(NamedTuple):
    """A table's windows, and where its values stand in their steps.

    model : what predicts from windows
    windows : SequenceArray, by position
    features : (n_columns,), which feature of a step holds each column
    n_steps : int, steps of a whole window
    begins : (n,), where the segment of each position begins
    """

    model: Any
    windows: SequenceArray
    features: np.ndarray
    n_steps: int
    begins: np.ndarray


def repaired_scores(
    values: np.ndarray, forecasts: np.ndarray, histories: Histories, scale: ErrorScale
) -> np.ndarray:
    """Return scores by forecasts from a repaired history, (n, n_columns).

    In it values are replaced by their forecast if they are anomalies by forecasts both
    from it and from the history as observed: the first are not misled by an anomaly
    that is over, the second soon know a level that a series has changed to for good.
    Segments are scored side by side.
    """
    observed = scale.score(
        values, align(forecasts, scale, histories.begins, np.arange(len(values)))
    )
    scores, run = observed.copy(), _Repair(histories, forecasts, scale)
    is_anomaly = np.asarray(scores > 1)
    is_flagged = np.asarray(is_anomaly.any(axis=1))
    ends = np.append(np.flatnonzero(np.diff(histories.begins)) + 1, len(values))
    # By the end of a segment, the position that it is scored up to.
    scored = {end: histories.begins[end - 1] for end in ends.tolist()}
    while scored:
        flagged = []
        for end, position in list(scored.items()):
            found = position + int(is_flagged[position:end].argmax())
            if not is_flagged[found]:
                del scored[end]
                continue
            scored[end] = found + 1
            if found + 1 == end:
                del scored[end]
            flagged.append((found, end))
        changed = run.replace(flagged, is_anomaly)
        if not len(changed):
            continue
        scores[changed] = scale.score(values[changed], run.align(changed))
        is_anomaly[changed] = (scores[changed] > 1) & (observed[changed] > 1)
        is_flagged[changed] = is_anomaly[changed].any(axis=1)
    return scores


class _Repair:
    """The history in which anomalies are replaced, and the forecasts from it."""

    def __init__(self, histories, forecasts, scale):
        self.histories, self.scale = histories, scale
        self.forecasts = forecasts.copy()
        self.steps = histories.windows.values.copy()
        self.step_of = histories.windows.ends - 1
        self.is_replaced = np.zeros(len(forecasts), dtype=bool)
        self.nearest = nearest_outputs(scale)

    def align(self, positions):
        """Return what was forecast for some positions."""
        begins = self.histories.begins
        return align(self.forecasts, self.scale, begins, positions)

    def replace(self, flagged, is_anomaly):
        """Replace flagged values; return the positions whose forecasts change."""
        n_steps, longest = self.histories.n_steps, int(self.scale.steps.max())
        origins, changed = [], []
        for position, end in flagged:
            begin = max(self.histories.begins[position], position - n_steps)
            earlier = self.is_replaced[begin:position]
            if earlier.sum() >= MOST_REPLACED * n_steps:
                continue
            self.is_replaced[position] = True
            middle = self.align(np.array([position]))[0, self.nearest, 1]
            middle = self.scale.fill_unknown(middle)
            own = is_anomaly[position]
            features = self.histories.features[own]
            self.steps[self.step_of[position], features] = middle[own]
            origins.append(np.arange(position, min(position + n_steps, end)))
            last = min(position + n_steps + longest, end)
            changed.append(np.arange(position + 1, last))
        if not origins:
            return np.empty(0, dtype=int)
        again = np.concatenate(origins)
        windows = self._windows(again)
        self.forecasts[again] = forecast_rows(self.histories.model, windows)
        return np.concatenate(changed)

    def _windows(self, positions):
        """Return some windows over a copy of the steps that they read alone."""
        windows = self.histories.windows
        starts, lengths = windows.starts[positions], windows.lengths_of(positions)
        rows = np.unique(np.concatenate([*map(np.arange, starts, starts + lengths)]))
        return SequenceArray(
            self.steps[rows],
            np.searchsorted(rows, starts),
            lengths,
            windows.feature_names,
            transforms=windows.transforms,
        )


def nearest_outputs(scale: ErrorScale) -> np.ndarray:
    """Return for each column its output that looks the fewest steps ahead."""
    n_columns = len(scale.units)
    order = np.argsort(scale.steps, kind="stable")
    return np.array(
        [next(j for j in order if scale.columns[j] == c) for c in range(n_columns)]
    )
