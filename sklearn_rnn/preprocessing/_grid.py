"""The regular grid of times of a table, and the rows that it lacks."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.preprocessing._ahead import check_time_range, times_ahead
from sklearn_rnn.preprocessing._series import SeriesRows, group_rows
from sklearn_rnn.preprocessing._tables import (
    first_date_column,
    frame_column,
    is_polars,
    times_of_frame,
)
from sklearn_rnn.sequences import (
    CalendarStep,
    FixedStep,
    MaxGap,
    RowStep,
    Times,
    describe_step,
    fill_call,
    find_rule,
    freq_of,
    segment_starts,
)

# How many gaps or rows an error lists.
SHOWN = 3

# Most rows of a grid per row of the table: more is a mistyped date.
MAX_FILLED = 1000

IRREGULAR = (
    "the rows of the table are not a regular step apart, so a number of rows ahead is "
    "not a time ahead. Resample them to a grid, for example with "
    "df.resample('h').mean().interpolate(), or give the step in freq=; or set "
    "freq='rows' if each row is one step."
)


class Grid(NamedTuple):
    """How the rows of a table are ordered in time; `times` and `rule` None if unknown.

    The rule is one step of time, never a MaxGap.
    """

    times: Times | None
    series: SeriesRows
    rule: FixedStep | CalendarStep | RowStep | None

    def labels_of(self, rows: np.ndarray) -> pd.Index:
        """Return the times of rows, or the row numbers where no times are known."""
        return pd.Index(rows) if self.times is None else self.times.labels[rows]


def find_grid(
    data: Any,
    *,
    freq: Any,
    time: str | int | None,
    group_by: str | int | None,
    estimator_name: str,
) -> Grid:
    """Return the Grid of a frame, its step given by `freq` or inferred."""
    if time is None:
        _check_index_of_times(data, estimator_name)
    groups = None if group_by is None else frame_column(data, group_by, "group_by")
    times = times_of_frame(data, time, estimator_name)
    series = group_rows(len(data), times, groups)
    if times is None:
        return Grid(None, series, None)
    declared = times.declared_step is not None and len(series.is_start) == 1
    if freq is None and series.is_start.all() and not declared:
        return Grid(times, series, None)  # one row per series: no step
    rule = find_rule(freq, times, series.timestamps, series.is_start)
    if isinstance(rule, MaxGap):
        raise InvalidSequenceError(IRREGULAR)
    return Grid(times, series, rule)


def _check_index_of_times(data, estimator_name):
    """Check that a RangeIndex does not hide a column of dates."""
    if is_polars(data) or data.index.dtype.kind not in "iu":
        return
    name = first_date_column(data)
    if name is not None:
        raise InvalidSequenceError(
            "the index of the table only numbers its rows, and its column "
            f"{name!r} has dates: {estimator_name} needs time={name!r}. If the index "
            "is the time, drop that column."
        )


def check_no_gaps(grid: Grid, needed: np.ndarray | None = None) -> None:
    """Check that the grid of a table lacks no row; only between `needed` positions."""
    if grid.rule is None or grid.times is None:
        return
    series, rule = grid.series, grid.rule
    gaps = np.flatnonzero(
        segment_starts(rule, series.timestamps, series.is_start) & ~series.is_start
    )
    if needed is not None:
        gaps = gaps[np.isin(gaps, needed) & np.isin(gaps - 1, needed)]
    if len(gaps) == 0:
        return
    shown = ", ".join(_describe_gap(grid, position) for position in gaps[:SHOWN])
    more = ", ..." if len(gaps) > SHOWN else ""
    raise InvalidSequenceError(
        f"the table has {len(gaps)} gap(s) in time, steps other than "
        f"{describe_step(freq_of(rule, grid.times))}: {shown}{more}. Fill the grid, "
        f"series by series, for example with {fill_call(rule, grid.times)}"
        ".interpolate(), or pass missing='mask' to learn from the rows that exist; or "
        "set freq='rows' if each row is one step."
    )


def _describe_gap(grid, position):
    before, row = grid.series.rows(np.array([position - 1, position]))
    labels = grid.times.labels
    return f"row {before} at {labels[before]} to row {row} at {labels[row]}"


def fill_grid(
    data: Any,
    *,
    freq: Any,
    time: str | int | None,
    group_by: str | int | None,
    estimator_name: str,
) -> Any:
    """Add rows of NaN to a pandas frame wherever its grid has none.

    The result is sorted by time if the frame was, else it holds series after series.
    Bools become floats where rows are added.
    """
    grid = find_grid(
        data, freq=freq, time=time, group_by=group_by, estimator_name=estimator_name
    )
    if grid.times is None or grid.rule is None or isinstance(grid.rule, RowStep):
        return data
    rows = [grid.series.rows(np.arange(*ends)) for ends in pairwise(grid.series.bounds)]
    whole = [_grid_of_series(grid, of_series) for of_series in rows]
    if sum(map(len, whole)) == len(data):
        return data
    if is_polars(data):
        raise TypeError(
            "missing='mask' adds rows to the table, which needs pandas: pass "
            "df.to_pandas()."
        )
    levels = list(data.index.names) if isinstance(data.index, pd.MultiIndex) else None
    if levels is not None:
        data = data.reset_index()
    flags = data.select_dtypes("bool").columns
    data = data.astype(dict.fromkeys(flags, float))
    parts = []
    for of_series, all_times in zip(rows, whole, strict=True):
        part = data.iloc[of_series].set_axis(grid.times.labels[of_series])
        part = part.reindex(all_times)
        if group_by is not None:
            part[group_by] = data[group_by].iloc[of_series[0]]
        if time is not None:
            part[time] = all_times
        parts.append(part)
    filled = pd.concat(parts)
    if (grid.times.timestamps[1:] >= grid.times.timestamps[:-1]).all():
        filled = filled.sort_index(kind="stable")  # by time, as the table was
    if time is not None:
        filled = filled.reset_index(drop=True)
    if group_by is not None:
        filled[group_by] = filled[group_by].astype(data[group_by].dtype)
    return filled if levels is None else filled.set_index(levels)


def _grid_of_series(grid, rows):
    """Return all times from the first row of a series to its last, on its grid."""
    labels = grid.times.labels[rows]
    _check_grid_size(labels)
    rule = grid.rule
    if isinstance(rule, CalendarStep):
        check_time_range(rule, grid.times, labels[0].tz_localize(None), 1)
    if labels.dtype.kind == "f":
        whole = _grid_of_floats(labels, float(rule.step))
    elif isinstance(rule, CalendarStep) and rule.offset.is_on_offset(labels[0]):
        whole = pd.date_range(labels[0], labels[-1], freq=rule.offset, name=labels.name)
    else:
        whole, n_steps = labels[:1], len(labels)
        while whole[-1] < labels[-1]:
            to_come = times_ahead(grid.rule, grid.times, labels[0], n_steps)
            whole, n_steps = labels[:1].append(to_come), 2 * n_steps
        whole = whole[whole <= labels[-1]].rename(labels.name)
    positions = whole.get_indexer(labels)
    if (positions < 0).any():
        off = int(np.argmax(positions < 0))
        step = freq_of(grid.rule, grid.times)
        raise InvalidSequenceError(
            f"row {rows[off]} at {labels[off]} is not on the grid of the table, "
            f"steps of {step} from {labels[0]}: move it, or drop it."
        )
    return whole


def _check_grid_size(labels):
    """Check for a mistyped date, before millions of rows are added."""
    is_periods = isinstance(labels, pd.PeriodIndex)
    timestamps = labels.asi8 if is_periods else labels.to_numpy()
    steps = np.diff(timestamps)
    if len(steps) == 0:
        return
    n_steps = (timestamps[-1] - timestamps[0]) / np.median(steps)
    if n_steps > MAX_FILLED * len(labels):
        jump = int(np.argmax(steps))
        raise InvalidSequenceError(
            f"the grid of times would have {n_steps:.0f} rows for {len(labels)} of the "
            f"table, because {labels[jump + 1]} comes after {labels[jump]}. Is that "
            "time right? If so, fill the table yourself."
        )


def _grid_of_floats(labels, step):
    """Return the grid of times such as 0.1 * k, with their rounding errors."""
    positions = np.rint((labels.to_numpy() - labels[0]) / step).astype(int)
    whole = labels[0] + step * np.arange(positions[-1] + 1)
    rounding = 1e-9 if labels.dtype == np.float64 else 4 * np.finfo(np.float32).eps
    near = np.isclose(whole[positions], labels, rtol=rounding, atol=1e-6 * step)
    whole[positions[near]] = labels[near]
    return pd.Index(whole.astype(labels.dtype), name=labels.name)


def check_no_missing(data: Any, names: list[str], grid: Grid) -> None:
    """Check that no value of some columns is missing."""
    for name in names:
        column = data[name]
        missing = np.asarray(pd.isna(column.to_numpy()))
        if not missing.any():
            continue
        rows = np.flatnonzero(missing)
        where = ", ".join(_describe_row(grid, row) for row in rows[:SHOWN])
        more = ", ..." if len(rows) > SHOWN else ""
        raise InvalidSequenceError(
            f"column {name!r} has no value in {len(rows)} of {len(data)} rows: "
            f"{where}{more}. Fill it, for example with df.interpolate(), series by "
            "series; or pass missing='mask' to learn from the values that exist."
        )


def _describe_row(grid, row):
    return f"row {row}" + (
        "" if grid.times is None else f" at {grid.times.labels[row]}"
    )
