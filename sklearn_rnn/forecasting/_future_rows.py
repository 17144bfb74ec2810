"""Rows of future steps that a user passes to forecast."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.forecasting._forecast_frame import add_columns
from sklearn_rnn.preprocessing import (
    TimeTable,
    as_frame,
    check_labels,
    encode_groups,
    frame_column,
    has_categories,
    times_of_frame,
)
from sklearn_rnn.sequences import Times


class FutureRows(NamedTuple):
    """The table that is passed as `future`, beside that of the newest rows.

    data : the frame
    newest : TimeTable of the newest rows
    times : Times of the rows; None if they only count, as those of newest
    series : ndarray of int, which series of newest each row belongs to; -1 for none
    """

    data: Any
    newest: TimeTable
    times: Times | None
    series: np.ndarray

    @classmethod
    def read(cls, future: Any, newest: TimeTable, names: Sequence[str] = ()) -> Self:
        """Return the rows of `future`, which needs the columns `names`."""
        if future is None:
            raise InvalidSequenceError(
                f"the model was fitted with {names[0]!r} known in advance: pass its "
                "future values in future=, one row per step."
            )
        future = as_frame(future, "future=")
        for name in names:
            if name not in list(future.columns):
                raise InvalidSequenceError(
                    f"future has no column {name!r}, which was known in advance in "
                    f"fit; its columns are {list(future.columns)}."
                )
        times = _times_like(future, newest)
        series = np.zeros(len(future), dtype=int)
        if newest.labels is not None:
            groups = [
                frame_column(future, key, "group_by") for key in newest.keys.groups
            ]
            codes, labels = encode_groups(groups)
            check_labels(codes, "future")
            series = newest.labels.get_indexer(labels)[codes]
        return cls(future, newest, times, series)

    def next_times(self, n_steps: int) -> list[pd.Index]:
        """Return the times of the next steps, one Index per series of newest."""
        if self.times is None:
            return self.newest.next_times(n_steps)
        found = []
        origins = self.newest.index[self.newest.rows(self.newest.latest)]
        for k, origin in enumerate(origins):
            times = self.times.labels[self.series == k]
            later = times[times > origin][:n_steps]
            if len(later) < n_steps:
                raise InvalidSequenceError(
                    f"future has {len(later)} rows{self._of(k)} after "
                    f"{origin}, but the model forecasts {n_steps} steps: pass one row "
                    "per step."
                )
            if not (later.is_monotonic_increasing and later.is_unique):
                raise InvalidSequenceError(
                    f"the times of future{self._of(k)} are not sorted, or "
                    "one is repeated: sort the rows by time, and drop duplicates."
                )
            found.append(later)
        return found

    def rows_at(self, times: list[pd.Index], names: Sequence[str]) -> list[np.ndarray]:
        """Return the rows at some times of each series, where `names` have values."""
        # A missing category is a category of its own.
        needed = [n for n in names if not has_categories(self.newest.data, n)]
        missing = {n: np.asarray(pd.isna(np.asarray(self.data[n]))) for n in needed}
        found = []
        for k, wanted in enumerate(times):
            rows = self._rows_of_series(k, wanted)
            found.append(rows)
            for name in needed:
                if missing[name][rows].any():
                    first = wanted[int(missing[name][rows].argmax())]
                    raise InvalidSequenceError(
                        f"future has no value of {name!r} at {first}{self._of(k)}, and "
                        "the model needs it."
                    )
        return found

    def _rows_of_series(self, k, wanted):
        rows = np.flatnonzero(self.series == k)
        if self.times is None:
            if len(rows) > len(wanted):
                raise InvalidSequenceError(
                    f"future has {len(rows)} rows{self._of(k)}, the model "
                    f"needs those of the next {len(wanted)} steps, which cannot be "
                    f"identified without times: pass {len(wanted)} rows."
                )
            indices = np.arange(len(wanted))
            indices[len(rows) :] = -1
        else:
            labels = self.times.labels[rows]
            if not labels.is_unique:
                raise InvalidSequenceError(
                    f"future has the time {labels[labels.duplicated()][0]} twice"
                    f"{self._of(k)}: drop one."
                )
            indices = labels.get_indexer(wanted)
        if (indices < 0).any():
            raise InvalidSequenceError(
                f"future has no row for {wanted[int(np.argmax(indices < 0))]}"
                f"{self._of(k)}: the model needs the {len(wanted)} steps "
                f"from {wanted[0]} to {wanted[-1]}, which follow the last row"
                f"{self._of(k)} in the newest rows. Add them to future; or, where that "
                "last row is too early, add those that follow it to the newest rows, "
                "with NaN for what is not known."
            )
        return rows[indices]

    def _of(self, k):
        labels = self.newest.labels
        return self.newest.describe_series(None if labels is None else labels[k])


def _times_like(future, newest):
    """Return the Times of `future`, of the kind that those of newest are."""
    time = newest.keys.time
    times = times_of_frame(future, time, "future")
    kind = "no times" if times is None else times.kind
    # Numbers only count the rows, as in newest without times.
    of_newest = "no times" if newest.times is None else newest.times.kind
    allowed = ("no times", "numbers") if newest.times is None else (of_newest,)
    if kind not in allowed:
        raise InvalidSequenceError(
            f"the times of future are {kind}, and those of newest {of_newest}: use "
            "the same kind in both tables."
        )
    return None if newest.times is None else times


def add_known(
    table: TimeTable, future: Any, ahead: Mapping, times: list[pd.Index]
) -> Any:
    """Return the frame of a table with the columns of the values known in advance.

    `ahead` has column and step by the name of the feature, `times` the next times of
    each series.
    """
    newest = table.data
    names = list(dict.fromkeys(name for name, _ in ahead.values()))
    n_ahead = max(step for _, step in ahead.values())
    times = [of_series[:n_ahead] for of_series in times]
    plan = FutureRows.read(future, table, names)
    # Row indices per series in newest and future, one after the other.
    indices = [
        np.append(rows, len(newest) + future_rows)
        for rows, future_rows in zip(
            table.rows_of_series(), plan.rows_at(times, names), strict=True
        )
    ]
    whole = {
        name: pd.concat(
            [pd.Series(frame[name]) for frame in (newest, plan.data)], ignore_index=True
        )
        for name in names
    }
    columns = {}
    for name, (source, step) in ahead.items():
        moved = np.empty(len(newest), dtype=int)
        for of_series in indices:
            here = of_series[:-n_ahead]
            moved[here] = of_series[step : step + len(here)]
        columns[name] = whole[source].take(moved)
    return add_columns(newest, columns)
