"""The grid of times that a table's rows stand on, and what is missing on it."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.preprocessing._ahead import check_reach, times_ahead
from sklearn_rnn.preprocessing._series import SeriesRows, read_series
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

# How many places an error lists.
SHOWN = 3

# Rows of a grid for every row that is there, at most: more is a mistyped date.
MAX_FILLED = 1000

IRREGULAR = (
    "the rows of the table are not a regular step apart, so 'rows ahead' is no time "
    "ahead. Bring them on a grid, for example with df.resample('h').mean()"
    ".interpolate(), or give the step in freq=; or, if a row is the step that you "
    "mean, set freq='rows'."
)


class Grid(NamedTuple):
    """How the rows of a table stand in time.

    Parameters
    ----------
    times : Times or None
        One a row; None where none are known.
    series : SeriesRows
        The rows, series by series.
    rule : FixedStep, CalendarStep, RowStep or None
        One step of time; None where no times are known.
    """

    times: Times | None
    series: SeriesRows
    rule: FixedStep | CalendarStep | RowStep | None

    def labels_of(self, rows):
        """Return the times of rows, or their numbers where no times are known."""
        return pd.Index(rows) if self.times is None else self.times.labels[rows]


def read_grid(data, *, freq, time, group_by, owner):
    """Read the times of a table, and the step between them.

    Parameters
    ----------
    data : DataFrame
        Of pandas or polars.
    freq : str, offset, Timedelta, number or None
        The step; None finds it, "rows" makes each row one.
    time, group_by : str, int or None
        Columns that hold the times, and tell series apart.
    owner : str
        Who asks, for the messages.

    Returns
    -------
    Grid

    Raises
    ------
    InvalidSequenceError
        If times are missing, out of order, twice the same or not a regular
        step apart.
    """
    if time is None:
        _refuse_forgotten_times(data, owner)
    groups = None if group_by is None else frame_column(data, group_by, "group_by")
    times = times_of_frame(data, time, owner)
    series = read_series(len(data), times, groups)
    if times is None:
        return Grid(None, series, None)
    declared = times.declared_step is not None and len(series.first) == 1
    if freq is None and series.first.all() and not declared:
        return Grid(times, series, None)  # nothing but first rows: no step to see
    rule = find_rule(freq, times, series.ticks, series.first)
    if isinstance(rule, MaxGap):
        raise InvalidSequenceError(IRREGULAR)
    return Grid(times, series, rule)


def _refuse_forgotten_times(data, owner):
    """Refuse an index that only numbers the rows of a table that has dates."""
    if is_polars(data) or data.index.dtype.kind not in "iu":
        return
    name = first_date_column(data)
    if name is not None:
        raise InvalidSequenceError(
            "the index of the table only numbers its rows, and its column "
            f"{name!r} has dates: {owner} needs time={name!r}. If the index is the "
            "time, drop that column."
        )


def refuse_breaks(grid, needed=None):
    """Refuse a table on whose grid rows are missing.

    Parameters
    ----------
    grid : Grid
        Of the table.
    needed : ndarray of int, default=None
        Places between which a break matters; None minds them all.

    Raises
    ------
    InvalidSequenceError
        That names the first breaks.
    """
    if grid.rule is None:
        return
    series, rule = grid.series, grid.rule
    breaks = np.flatnonzero(
        segment_starts(rule, series.ticks, series.first) & ~series.first
    )
    if needed is not None:
        breaks = breaks[np.isin(breaks, needed) & np.isin(breaks - 1, needed)]
    if len(breaks) == 0:
        return
    shown = ", ".join(_describe_break(grid, place) for place in breaks[:SHOWN])
    more = ", ..." if len(breaks) > SHOWN else ""
    raise InvalidSequenceError(
        f"the table has {len(breaks)} break(s) in time, steps other than "
        f"{describe_step(freq_of(rule, grid.times))}: {shown}{more}. Fill the grid, "
        f"series by series, for example with {fill_call(rule, grid.times)}"
        ".interpolate(), or pass missing='mask' to learn from what is there; or, if a "
        "row is the step that you mean, set freq='rows'."
    )


def _describe_break(grid, place):
    before, row = grid.series.rows(np.array([place - 1, place]))
    labels = grid.times.labels
    return f"row {before} at {labels[before]} to row {row} at {labels[row]}"


def fill_grid(data, *, freq, time, group_by, owner):
    """Put rows of NaN into a table wherever its grid has none.

    Parameters
    ----------
    data : DataFrame
        Of pandas.
    freq, time, group_by, owner
        As for `read_grid`.

    Returns
    -------
    DataFrame
        With the columns of `data`, sorted by time if that was, else series below
        one another. Bools become floats where rows are put in.

    Raises
    ------
    InvalidSequenceError
        As `read_grid` does, and if a row stands between two times of the grid.
    TypeError
        If rows have to be put in and `data` is not of pandas.
    """
    grid = read_grid(data, freq=freq, time=time, group_by=group_by, owner=owner)
    if grid.rule is None or isinstance(grid.rule, RowStep):
        return data
    rows = [grid.series.rows(np.arange(*ends)) for ends in pairwise(grid.series.bounds)]
    whole = [_grid_of_series(grid, of_series) for of_series in rows]
    if sum(map(len, whole)) == len(data):
        return data
    if is_polars(data):
        raise TypeError(
            "missing='mask' puts rows into the table, which needs pandas: pass "
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
    _refuse_endless(grid, labels)
    rule = grid.rule
    if isinstance(rule, CalendarStep):
        check_reach(rule, grid.times, labels[0].tz_localize(None), 1)
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
    places = whole.get_indexer(labels)
    if (places < 0).any():
        off = int(np.argmax(places < 0))
        step = freq_of(grid.rule, grid.times)
        raise InvalidSequenceError(
            f"row {rows[off]} at {labels[off]} does not stand on the table's grid, "
            f"steps of {step} from {labels[0]}: move it, or drop it."
        )
    return whole


def _refuse_endless(grid, labels):
    """Refuse a date that was mistyped, before millions of rows are put in."""
    ticks = labels.asi8 if isinstance(labels, pd.PeriodIndex) else labels.to_numpy()
    steps = np.diff(ticks)
    if len(steps) == 0:
        return
    n_steps = (ticks[-1] - ticks[0]) / np.median(steps)
    if n_steps > MAX_FILLED * len(labels):
        jump = int(np.argmax(steps))
        raise InvalidSequenceError(
            f"the grid of times would have {n_steps:.0f} rows for {len(labels)} of the "
            f"table, because {labels[jump + 1]} comes after {labels[jump]}. Is that "
            "time right? If so, fill the table yourself."
        )


def _grid_of_floats(labels, step):
    """Return the grid of times such as 0.1 * k, with the rounding that they have."""
    places = np.rint((labels.to_numpy() - labels[0]) / step).astype(int)
    whole = labels[0] + step * np.arange(places[-1] + 1)
    rounding = 1e-9 if labels.dtype == np.float64 else 4 * np.finfo(np.float32).eps
    near = np.isclose(whole[places], labels, rtol=rounding, atol=1e-6 * step)
    whole[places[near]] = labels[near]
    return pd.Index(whole.astype(labels.dtype), name=labels.name)


def refuse_missing(data, names, grid):
    """Refuse columns in which values are missing.

    Parameters
    ----------
    data : DataFrame
        Of pandas or polars.
    names : list
        The columns.
    grid : Grid
        Of the table.

    Raises
    ------
    InvalidSequenceError
        That names the column and its first rows without a value.
    """
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
            "series; or pass missing='mask' to learn from what is there."
        )


def _describe_row(grid, row):
    return f"row {row}" + (
        "" if grid.times is None else f" at {grid.times.labels[row]}"
    )
