"""History: the rows kept in fit, and which new rows they precede."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class History(NamedTuple):
    """The last rows of every segment of the training table, segment by segment.

    values : ndarray of shape (n_kept, n_features)
    timestamps : ndarray of shape (n_kept,), or None without times
    kind : str, that of the times, or None
    begins, ends : ndarrays of int, the kept rows of each segment
    series : ndarray of int, which series each segment belongs to
    labels : Index of one group label per series, or None without groups
    """

    values: np.ndarray
    timestamps: np.ndarray | None
    kind: str | None
    begins: np.ndarray
    ends: np.ndarray
    series: np.ndarray
    labels: pd.Index | None


class HistoryPrefix(NamedTuple):
    """Kept rows ``begin`` to ``end`` go in front of the row at ``position``."""

    position: int
    begin: int
    end: int


def keep_segment_ends(table, series, is_segment_start, n_kept):
    """Return the last rows, at most `n_kept`, of every segment of a table."""
    segment_starts = np.flatnonzero(is_segment_start)
    segment_ends = np.append(segment_starts[1:], len(is_segment_start))
    lengths = np.minimum(segment_ends - segment_starts, n_kept)
    ends = np.cumsum(lengths)
    begins = ends - lengths
    positions = np.repeat(segment_ends - ends, lengths) + np.arange(lengths.sum())
    series_starts = np.flatnonzero(series.is_start)
    return History(
        values=table.copy_rows(series.rows(positions)),
        timestamps=None if series.timestamps is None else series.timestamps[positions],
        kind=None if table.times is None else table.times.kind,
        begins=begins,
        ends=ends,
        series=np.searchsorted(series_starts, segment_starts, "right") - 1,
        labels=series.labels,
    )


def prefixes_by_time(history, series, is_segment_start, rule):
    """Find the kept rows that precede segments of new rows without a gap."""
    found = []
    for (begin, end), segments in _matching_series(history, series):
        kept = slice(history.begins[segments[0]], history.ends[segments[-1]])
        timestamps = history.timestamps[kept]
        positions = begin + np.flatnonzero(is_segment_start[begin:end])
        before = np.searchsorted(timestamps, series.timestamps[positions]) - 1
        positions, before = positions[before >= 0], before[before >= 0]
        near = rule.adjacent(timestamps[before], series.timestamps[positions])
        for position, last in zip(
            positions[near], kept.start + before[near], strict=True
        ):
            segment = segments[
                np.searchsorted(history.ends[segments], last, side="right")
            ]
            found.append(HistoryPrefix(position, history.begins[segment], last + 1))
    return found


def prefixes_by_force(history, series):
    """Put the end of each training series in front of its new rows."""
    return [
        HistoryPrefix(begin, history.begins[segments[-1]], history.ends[segments[-1]])
        for (begin, _), segments in _matching_series(history, series)
    ]


def _matching_series(history, series):
    """Yield bounds of each new series that was in fit, and its kept segments."""
    bounds = series.bounds
    in_fit = np.zeros(1, dtype=int)
    if series.labels is not None:
        in_fit = history.labels.get_indexer(series.labels)
    segment_bounds = np.searchsorted(history.series, np.arange(history.series[-1] + 2))
    for k, old in enumerate(in_fit):
        if old >= 0:
            segments = np.arange(segment_bounds[old], segment_bounds[old + 1])
            yield (bounds[k], bounds[k + 1]), segments


def join(table, series, is_segment_start, history, prefixes):
    """Copy history and new rows into one table of steps.

    Returns
    -------
    values : ndarray of shape (n_history + n_rows, n_features)
        C-contiguous; the input itself where nothing has to move.
    is_segment_start : ndarray of bool of shape (n_history + n_rows,)
        Which rows of `values` begin a segment.
    positions : ndarray of int of shape (n_rows,), or None
        Row of `values` that holds each row of the table; None if they are the same.
    """
    if not prefixes and series.order is None:
        values = table.block if table.block is not None else table.copy_all()
        return values, is_segment_start, None
    shift = np.zeros(table.n_rows, dtype=np.int64)
    for prefix in prefixes:
        shift[prefix.position] = prefix.end - prefix.begin
    np.cumsum(shift, out=shift)
    shift += np.arange(table.n_rows)  # position behind all history
    positions = shift
    if series.order is not None:
        positions = np.empty_like(shift)
        positions[series.order] = shift
    if not prefixes:
        return _write(table, positions), is_segment_start, positions
    n_history = sum(end - begin for _, begin, end in prefixes)
    values = _write(table, positions, n_history, history.values.dtype)
    joined_starts = np.zeros(len(values), dtype=bool)
    joined_starts[shift] = is_segment_start
    for position, begin, end in prefixes:
        rows = slice(shift[position] - (end - begin), shift[position])
        values[rows] = history.values[begin:end]
        # The segment now starts with its history.
        joined_starts[shift[position]] = False
        joined_starts[rows.start] = True
    return values, joined_starts, positions


def _write(table, positions, n_history=0, dtype=np.bool_):
    """Copy the rows of a table to `positions`, and leave `n_history` rows unset."""
    shape = (table.n_rows + n_history, len(table.columns))
    values = np.empty(shape, dtype=np.result_type(table.dtype, dtype))
    for j, column in enumerate(table.columns):
        values[positions, j] = column
    return values
