"""The linear part of a regressor in a graph: windows, members, and their average.

Like `estimators.closed_form`, in double: windows may stand at levels that cost float32
its digits.
"""

from functools import cached_property

import numpy as np

from sklearn_rnn.estimators.closed_form import BEYOND, LOG, SMALLEST_SPREAD
from sklearn_rnn.persistence._onnx._graph import DOUBLE


class WindowValues:
    """The windows at the ends of sequences, and the ways in which they can be seen.

    Parameters
    ----------
    layout : Layout
        How they are cut.
    values : Value of shape (N, n_lags, n_features)
        Less the layout's center; 0 for codes of categories.
    indicators : Value of shape (N, n_indicators), or None
        The categories of the last step.
    """

    def __init__(self, layout, values, indicators):
        self.layout, self.values, self.indicators = layout, values, indicators
        self.where = values.graph.where

    @classmethod
    def cut(cls, layout, steps, categories):
        """Cut windows; `categories` are known ones by feature."""
        last = steps.last_steps(layout.n_lags)
        kept = np.isin(np.arange(len(layout.center)), list(categories), invert=True)
        values = last - layout.center
        if categories:
            values = values * kept.astype(DOUBLE)
        indicators = None
        if layout.n_indicators:
            newest = last.take(layout.n_lags - 1, axis=1)
            columns = [
                newest.part(j, j + 1, 1).equals(np.arange(1, len(known) + 1))
                for j, known in categories.items()
            ]
            indicators = values.graph.concatenate(columns, 1).cast(DOUBLE)
        return cls(layout, values, indicators)

    @cached_property
    def logarithms(self):
        """The same windows with the logarithms of the targets' past."""
        layout, past = self.layout.log, self.layout.past
        seen = self.past + self.layout.center[past]
        is_positive = seen > 0
        least = self.where(is_positive, seen, np.inf).min(1, keeps_axis=True) / BEYOND
        lowest = np.full(len(past), np.inf)
        np.minimum.at(lowest, self.layout.index_in_past, layout.bounds[0])
        # Without any positive value the least is infinite.
        least = self.where(least < np.finfo(DOUBLE).max, least, np.exp(lowest))
        logarithms = self.where(is_positive, seen, least).apply("Log")
        values = self._with_past(logarithms - layout.center[past])
        return WindowValues(layout, values, self.indicators)

    @cached_property
    def past(self):
        """The targets' pasts, (N, n_lags, n_past)."""
        return self.values.take(self.layout.past, axis=2)

    def _with_past(self, past):
        """Return the values with others of the targets' pasts."""
        n_features = len(self.layout.center)
        both = self.values.graph.concatenate([self.values, past], 2)
        positions = np.arange(n_features)
        positions[self.layout.past] = n_features + np.arange(len(self.layout.past))
        return both.take(positions, axis=2)

    @cached_property
    def spread(self):
        """The standard deviation of each past, (N, n_past), above 0."""
        layout = self.layout
        deviation = self.past - self.past.mean(1, keeps_axis=True)
        spread = (deviation * deviation).mean(1).apply("Sqrt")
        if layout.is_scaled:
            size = (self.past + layout.center[layout.past]).apply("Abs").mean(1)
            spread = spread.maximum(size * (SMALLEST_SPREAD * layout.typical_ratio))
            return self.where(spread > 0, spread, layout.typical_spread)
        if layout.typical_spread is None:
            return spread
        return spread.maximum(SMALLEST_SPREAD * layout.typical_spread)

    def units(self):
        """Return the spread of each output's past, (N, n_outputs)."""
        return self.spread.take(self.layout.index_in_past, axis=1)

    def level(self):
        """Return what the center took from each output's past."""
        columns = self.layout.columns
        return 0.0 if columns is None else self.layout.center[columns]

    def anchor_values(self):
        """Return the value of each output's past at its anchor, (N, n_outputs)."""
        layout = self.layout
        rows = layout.n_lags - 1 - layout.anchors
        positions = rows * len(layout.center) + layout.columns
        return self.values.reshape(0, -1).take(positions, axis=1)

    def inverse_transform(self, predicted):
        """Return predictions of a regression on these windows as forecasts."""
        predicted = predicted + self.level()
        if self.layout.bounds is None:
            return predicted
        low, high = self.layout.bounds
        own = self.values.take(self.layout.columns, axis=2) + self.level()
        margin = np.log(BEYOND)
        low, high = (
            (own.min(1) - margin).minimum(low),
            (own.max(1) + margin).maximum(high),
        )
        return predicted.maximum(low).minimum(high).apply("Exp")

    def predict(self, member):
        """Return the forecasts (N, n_outputs) of a member."""
        windows, name = self, member.name
        if name.startswith(LOG):
            windows, name = self.logarithms, name.removeprefix(LOG)
        found = windows.regress(name, member.coef[-1])
        if self.layout.columns is not None and name != "level":
            offset = windows.anchor_values()
            if name == "deviation":
                offset = windows.values.take(self.layout.columns, axis=2).mean(1)
            found = offset + windows.units() * found
        found = windows.inverse_transform(found)
        return found * member.factor

    def regress(self, name, coef):
        """Return what a member's regression makes of its features."""
        layout, seen = self.layout, self.values
        if layout.columns is not None:
            seen = self._with_past(self._seen_past(name))
        n_of_steps = layout.n_lags * len(layout.center)
        found = seen.reshape(0, n_of_steps) @ coef[:n_of_steps] + coef[-1]
        # Of windows of like size a category adds nothing in units of their spread.
        if layout.n_indicators and (name == "level" or layout.is_scaled):
            found = found + self.indicators @ coef[n_of_steps:-1]
        return found

    def _seen_past(self, name):
        n_lags, past = self.layout.n_lags, self.past
        newest = past.part(n_lags - 1, n_lags, 1)
        if name == "level":
            is_older = np.arange(n_lags) < n_lags - 1
            return past - newest * is_older[:, np.newaxis].astype(DOUBLE)
        center = newest if name == "change" else past.mean(1, keeps_axis=True)
        return (past - center) / self.spread.expand(1)


def predict_linear(part, windows):
    """Return the forecasts (N, n_outputs) of a linear part."""
    members = [windows.predict(member) for member in part.members]
    if part.layout.columns is not None:
        members.append(windows.inverse_transform(windows.anchor_values()))
    total = members[0] * part.weights[0]
    for member, weight in zip(members[1:], part.weights[1:], strict=True):
        total = total + member * weight
    return total
