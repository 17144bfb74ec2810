"""Gaps: how they shorten the windows of a table, and what to do about them."""

import warnings

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    WindowHistoryWarning,
    user_stacklevel,
)
from sklearn_rnn.sequences import MaxGap, describe_step, fill_call, find_rule, freq_of

# Least fraction of windows shortened by gaps that is worth a warning: more than folds
# of a table with a few gaps have.
NOTICEABLE = 0.2

NO_STEP = (
    "the times of X follow no step: no more than half of the rows are the same step "
    "after the previous row, so rows are taken as neighbours up to the largest "
    "difference in fit, {largest}. If each row is one step, whatever the time "
    "between, set freq='rows'; if there is a step, give it in freq=; else resample "
    "the rows to a grid, for example with df.resample('h').mean()."
)


class WindowGaps:
    """The gaps of a table, and how they shorten its windows."""

    def __init__(self, rule, times, series, is_segment_start, prefixes=()):
        self._rule = rule
        self._times = times
        self._series = series
        self._is_segment_start = is_segment_start
        self._gaps = np.flatnonzero(is_segment_start & ~series.is_start)
        # Rows of history in front of a segment, by the position of its start.
        self._n_history = {p.position: p.end - p.begin for p in prefixes}

    def check_neighbours(self, n_steps: int, found_in: str) -> None:
        """Check that some rows of a table are neighbours.

        Rows of a random fold may all stand alone; their predecessors are then among the
        rows of fit. Nor do a few series with a gap say that the step is wrong, where
        most have a single row. `found_in` says where the step comes from.
        """
        n_gaps = len(self._gaps)
        n_pairs = len(self._is_segment_start) - np.count_nonzero(self._series.is_start)
        if n_steps == 1 or n_gaps == 0 or n_gaps < n_pairs:
            return
        if n_gaps < len(self._is_segment_start) / 2:
            return
        n_alone = sum(position not in self._n_history for position in self._gaps)
        if n_alone < n_gaps and n_alone <= max(1, NOTICEABLE * n_gaps):
            return
        raise InvalidSequenceError(
            f"no two rows of X are neighbours, so each window would hold one row: "
            f"{self._describe_rule(found_in)}, but {self._describe_own()}. Give rows "
            "with that step; or fit again, with the right freq=, or with freq='rows' "
            "if each row is one step whatever the time between."
        )

    def warn_if_short(self, n_steps: int, found_in: str) -> None:
        """Warn if gaps shorten a noticeable fraction of the windows."""
        n_short = self._count_short(n_steps)
        n_windows = len(self._is_segment_start)
        if n_short == 0 or n_short < NOTICEABLE * n_windows:
            return
        warnings.warn(
            f"{n_short} of {n_windows} windows are shorter than n_steps={n_steps} "
            f"because of {len(self._gaps)} gap(s) in X: {self._describe_rule(found_in)}"
            f", and windows are cut wherever rows do not keep it. {self._remedy()}",
            WindowHistoryWarning,
            stacklevel=user_stacklevel(),
        )

    def _count_short(self, n_steps):
        """Count the windows that would be longer without gaps."""
        if len(self._gaps) == 0:
            return 0
        n_rows = len(self._is_segment_start)
        begins = np.append(np.flatnonzero(self._is_segment_start), n_rows)
        ends = begins[np.searchsorted(begins, self._gaps) + 1]
        n_history = np.array([self._n_history.get(gap, 0) for gap in self._gaps])
        lacking = np.maximum(n_steps - 1 - n_history, 0)
        return int(np.minimum(ends - self._gaps, lacking).sum())

    def _describe_rule(self, found_in):
        if isinstance(self._rule, MaxGap):
            largest = _describe_span(self._rule.largest)
            return f"rows are neighbours up to {largest} apart, {found_in}"
        step = describe_step(freq_of(self._rule, self._times))
        return f"the step is {step}, {found_in}"

    def _describe_own(self):
        series = self._series
        own = find_rule(None, self._times, series.timestamps, series.is_start)
        if not isinstance(own, MaxGap):
            step = describe_step(freq_of(own, self._times))
            return f"the rows of X are mostly {step} apart"
        passed = np.diff(series.timestamps)[~series.is_start[1:]]
        smallest, largest = _describe_span(passed.min()), _describe_span(passed.max())
        return f"the rows of X are {smallest} to {largest} apart"

    def _remedy(self):
        fill = fill_call(self._rule, self._times)
        return (
            f"Fill in the missing rows, series by series, for example with {fill}, and "
            "set missing='mask' or interpolate; or set freq='rows' if each row is one "
            "step whatever the time between; or give the step in freq= if it is "
            "another."
        )


def warn_without_step(rule, n_steps):
    """Warn of times without a step, where windows hold several rows."""
    if isinstance(rule, MaxGap) and n_steps > 1:
        message = NO_STEP.format(largest=_describe_span(rule.largest))
        warnings.warn(message, WindowHistoryWarning, stacklevel=user_stacklevel())


def _describe_span(span):
    return str(pd.Timedelta(span) if isinstance(span, np.timedelta64) else span)
