"""TimeTable: a table of time steps, read once."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pandas as pd

from sklearn_rnn.preprocessing._ahead import Rule, move_times
from sklearn_rnn.preprocessing._keys import TableKeys
from sklearn_rnn.preprocessing._tables import (
    frame_column,
    times_and_groups_of_array,
    times_of_frame,
)
from sklearn_rnn.preprocessing._time_errors import (
    check_freq_has_times,
    check_index_of_times,
    check_labels,
    check_stated_step,
    no_step,
    raise_gaps,
    raise_irregular,
)
from sklearn_rnn.sequences import (
    LENGTH_TYPES,
    MAX_INT32_ROWS,
    ROWS,
    SEQUENCES_PER_BLOCK,
    FixedStep,
    MaxGap,
    Times,
    check_increasing,
    freq_of,
    infer_rule,
    parse_rule,
    segment_starts,
    step_of_rows,
)


@dataclass(frozen=True, eq=False)
class TimeTable:
    """A table of time steps: its series, times, step and gaps.

    *Rows* count as the table has them, *positions* count the same rows series by
    series, in the order of time inside each.

    data : the frame or array
    keys : which columns hold the times and name the series
    times : Times of the rows, or None if they are not known
    order : ndarray of int, row at each position; None if the same
    is_series_start : ndarray of bool, positions that begin a series
    labels : Index of one label per series, a tuple of several columns; None for one
    timestamps : ndarray of the time at each position, or None
    series_bounds : ndarray of int, where each series begins, and one past the last
    latest : ndarray of int, position of the newest row of each series
    is_segment_start : ndarray of bool, positions whose row has no neighbour before it
    gaps : ndarray of int, positions that begin a segment and no series
    rule : what makes rows neighbours; None if unknown, or not asked for
    """

    data: Any
    keys: TableKeys
    times: Times | None
    order: np.ndarray | None
    is_series_start: np.ndarray
    labels: pd.Index | None
    timestamps: np.ndarray | None
    series_bounds: np.ndarray
    latest: np.ndarray
    is_segment_start: np.ndarray
    gaps: np.ndarray
    rule: Rule | None = None

    @classmethod
    def read(cls, data: Any, keys: TableKeys, caller: str) -> Self:
        """Return the table of an array, or of a pandas or polars frame."""
        if hasattr(data, "columns"):
            groups = [frame_column(data, name, "group_by") for name in keys.groups]
            times = times_of_frame(data, keys.time, caller)
        else:
            times, groups = times_and_groups_of_array(data, keys)
        n_rows = len(data)
        order, labels = None, None
        is_start = np.zeros(n_rows, dtype=bool)
        is_start[:1] = True
        if groups:
            codes, labels = encode_groups(groups)
            check_labels(codes)
            if (codes[1:] < codes[:-1]).any():
                order = np.argsort(codes, kind="stable")
                codes = codes[order]
            is_start[1:] = codes[1:] != codes[:-1]
        timestamps = None
        if times is not None:
            # pandas knows it of an index, as of one series.
            is_one = order is None and np.count_nonzero(is_start) == 1
            rows = times.labels
            if not (is_one and rows.is_monotonic_increasing and rows.is_unique):
                check_increasing(times, order, is_start)
            timestamps = times.timestamps if order is None else times.timestamps[order]
        bounds = np.append(np.flatnonzero(is_start), n_rows)
        return cls(
            data=data,
            keys=keys,
            times=times,
            order=order,
            is_series_start=is_start,
            labels=labels,
            timestamps=timestamps,
            series_bounds=bounds,
            latest=bounds[1:] - 1,
            is_segment_start=is_start,
            gaps=np.empty(0, dtype=int),
        )

    # Steps

    def with_step(self, freq: Any) -> Self:
        """Return the table with the step `freq`, or inferred; a MaxGap without one."""
        if self.times is None:
            check_freq_has_times(freq)
            return self
        known = self.times, self.timestamps, self.is_series_start
        if freq is None:
            rule = infer_rule(*known)
        elif isinstance(freq, str) and freq == ROWS:
            rule = step_of_rows(*known)
        else:
            rule = parse_rule(freq, self.times)
        table = self.with_rule(rule)
        if freq is not None and self.keys.is_freq_stated:
            check_stated_step(table)
        return table

    @property
    def freq(self) -> Any:
        """The step of the rule as a user would give it, or None."""
        return freq_of(self.rule, self.times)

    def needs_freq(self) -> bool:
        """Return whether a table needs its `freq` to be read with the same step.

        A fixed step that the rows show is that of any part of the table, while a
        calendar's step takes enough rows.
        """
        if not isinstance(self.rule, FixedStep) or self.is_series_start.all():
            return True
        return self.with_step(None).rule != self.rule

    def on_grid(self, caller: str) -> Self:
        """Return the table with the step of its keys, or inferred, which it must have.

        None is the rule of a table with one row per series.
        """
        if self.times is None:
            return self
        times = self.times
        counts = times.kind == "numbers" and times.timestamps.dtype.kind == "i"
        if self.keys.time is None and counts:
            check_index_of_times(self.data, caller)
        start = self.is_series_start
        is_declared = times.declared_step is not None and len(start) == 1
        if self.keys.freq is None and start.all() and not is_declared:
            return self
        table = self.with_step(self.keys.freq)
        if isinstance(table.rule, MaxGap):
            raise_irregular()
        return table

    def with_rule(self, rule: Rule | None) -> Self:
        """Return the table with a rule for neighbours that is known."""
        start = segment_starts(rule, self.timestamps, self.is_series_start)
        gaps = np.flatnonzero(start & ~self.is_series_start)
        return replace(self, rule=rule, is_segment_start=start, gaps=gaps)

    def without_times(self) -> Self:
        """Return the table with neighbours told by their order alone."""
        return replace(self, timestamps=None).with_rule(None)

    # Rows and positions

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return len(self.is_series_start)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Return the rows at some positions."""
        return positions if self.order is None else self.order[positions]

    def labels_of(self, rows: np.ndarray) -> pd.Index:
        """Return the times of rows, or the row numbers where no times are known."""
        return pd.Index(rows) if self.times is None else self.times.labels[rows]

    def series_of(self, positions: np.ndarray) -> np.ndarray:
        """Return the number of the series at some positions."""
        return np.searchsorted(self.series_bounds, positions, side="right") - 1

    def rows_of_series(self) -> list[np.ndarray]:
        """Return the rows of each series, in the order of time."""
        bounds = pairwise(self.series_bounds)
        return [self.rows(np.arange(*ends)) for ends in bounds]

    def time_index(self) -> np.ndarray | range:
        """Return one int per position: equal for equal times, larger for later ones."""
        if self.timestamps is None or len(self.series_bounds) == 2:
            n_rows = len(self.is_series_start)
            return range(n_rows) if self.order is None else self.order
        return np.unique(self.timestamps, return_inverse=True)[1]

    # Segments: rows that are neighbours, one step apart

    @property
    def segments(self) -> np.ndarray:
        """Position where each segment begins, and one past the last."""
        begins = np.flatnonzero(self.is_segment_start)
        return np.append(begins, len(self.is_segment_start))

    def history(self, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the last rows of every segment, and their numbers."""
        begins = np.flatnonzero(self.is_segment_start)
        ends = np.append(begins[1:], len(self.is_segment_start))
        lengths = np.minimum(ends - begins, n_rows)
        so_far = np.cumsum(lengths)
        positions = np.repeat(ends - so_far, lengths) + np.arange(lengths.sum())
        return positions, lengths

    def windows(self, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return start and length of the window that ends at each position."""
        return trailing_windows(self.is_segment_start, n_steps)

    def next_times(self, n_steps: int) -> list[pd.Index]:
        """Return the times of the next steps, one Index per series."""
        times, timestamps, latest = self.times, self.timestamps, self.latest
        if times is None or timestamps is None:
            last_rows = self.rows(latest)
            return [pd.RangeIndex(row + 1, row + 1 + n_steps) for row in last_rows]
        if self.rule is None:
            raise no_step()
        steps, found = np.arange(1, n_steps + 1), {}
        for last in timestamps[latest]:
            if last not in found:  # most series of a panel end at the same time
                newest = np.repeat(last, n_steps)
                found[last] = move_times(self.rule, times, newest, steps)
        return [found[last] for last in timestamps[latest]]

    def check_no_gaps(self, needed: np.ndarray | None = None) -> None:
        """Check that no row is missing, or none between `needed` positions."""
        if self.rule is None or self.times is None:
            return
        gaps = self.gaps
        if needed is not None:
            gaps = gaps[np.isin(gaps, needed) & np.isin(gaps - 1, needed)]
        if len(gaps):
            raise_gaps(self, gaps)

    # Values

    def missing_values(self, name: Any) -> np.ndarray:
        """Return the rows in which a column has no value."""
        return np.flatnonzero(np.asarray(pd.isna(np.asarray(self.data[name]))))

    def describe_series(self, label: Any) -> str:
        """Return " of shop 'east'" for messages; nothing for a single series."""
        names = self.keys.groups
        if not names:
            return ""
        labels = label if len(names) > 1 else [label]
        parts = [f"{name} {part!r}" for name, part in zip(names, labels, strict=True)]
        return f" of {', '.join(parts)}"

    def label_columns(self) -> dict[Any, pd.Index]:
        """Return the labels of the series as columns, one row per series."""
        names = self.keys.groups
        if self.labels is None:
            return {}
        if len(names) == 1:
            return {names[0]: self.labels.infer_objects()}
        parts = zip(*self.labels, strict=True)
        return {
            name: pd.Index(list(part), dtype=object).infer_objects()
            for name, part in zip(names, parts, strict=True)
        }


def trailing_windows(first, n_steps):
    """Return the window that ends at each row, cut at the start of its segment.

    `first` marks the rows that begin a segment, the first row included. Starts and
    lengths are of as few bits as hold them: beside a series of few columns 64 would
    weigh.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.preprocessing._time_table import trailing_windows
    >>> starts, lengths = trailing_windows(
    ...     np.array([True, False, False, True, False]), n_steps=2
    ... )
    >>> starts.tolist(), lengths.tolist()
    ([0, 0, 1, 3, 3], [1, 2, 2, 1, 2])
    """
    n_rows = len(first)
    starts_type: type = np.int64
    lengths_type: type = np.int64
    if n_rows <= MAX_INT32_ROWS:
        longest = min(n_steps, n_rows)
        fits = [longest <= np.iinfo(dtype).max for dtype in LENGTH_TYPES]
        starts_type, lengths_type = np.int32, LENGTH_TYPES[fits.index(True)]
    starts: np.ndarray = np.empty(n_rows, starts_type)
    lengths: np.ndarray = np.empty(n_rows, lengths_type)
    run = 0
    for begin in range(0, n_rows, SEQUENCES_PER_BLOCK):
        end = min(begin + SEQUENCES_PER_BLOCK, n_rows)
        rows = np.arange(begin, end)
        runs = np.maximum.accumulate(np.where(first[begin:end], rows, run))
        run = runs[-1]
        starts[begin:end] = np.maximum(runs, rows - (n_steps - 1))
        lengths[begin:end] = rows - starts[begin:end] + 1
    return starts, lengths


def encode_groups(groups: list) -> tuple[np.ndarray, pd.Index]:
    """Return one code per row, and the labels by code: of several columns tuples.

    Codes count labels in the order of their first rows; -1 is a missing label.
    """
    if len(groups) == 1:
        codes, labels = pd.factorize(groups[0], use_na_sentinel=True)
        # As objects, labels match whatever type a library gave their column.
        return codes, pd.Index(labels, dtype=object)
    coded = [encode_groups([column]) for column in groups]
    combined = np.zeros(len(groups[0]), dtype=np.int64)
    is_complete = np.ones(len(combined), dtype=bool)
    for column_codes, labels in coded:
        # 0 is a missing label; factorized again, products of many columns fit int64.
        combined = combined * (len(labels) + 1) + column_codes + 1
        combined = pd.factorize(combined)[0]
        is_complete &= column_codes >= 0
    rows = np.flatnonzero(is_complete)
    codes = np.full(len(combined), -1, dtype=np.int64)
    codes[rows] = pd.factorize(combined[rows])[0]
    first_rows = rows[np.unique(codes[rows], return_index=True)[1]]
    parts = [labels.take(column_codes[first_rows]) for column_codes, labels in coded]
    tuples = list(zip(*parts, strict=True))
    return codes, pd.Index(tuples, dtype=object, tupleize_cols=False)
