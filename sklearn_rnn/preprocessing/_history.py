"""History: the rows kept in fit, and which new rows they precede."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._plain_state import plain_type


@plain_type
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


def prefixes_by_time(history, table):
    """Find the kept rows that precede segments of new rows without a gap."""
    found = []
    for (begin, end), segments in _matching_series(history, table):
        kept = slice(history.begins[segments[0]], history.ends[segments[-1]])
        timestamps = history.timestamps[kept]
        positions = begin + np.flatnonzero(table.is_segment_start[begin:end])
        before = np.searchsorted(timestamps, table.timestamps[positions]) - 1
        positions, before = positions[before >= 0], before[before >= 0]
        near = table.rule.adjacent(timestamps[before], table.timestamps[positions])
        for position, last in zip(
            positions[near], kept.start + before[near], strict=True
        ):
            segment = segments[
                np.searchsorted(history.ends[segments], last, side="right")
            ]
            found.append(HistoryPrefix(position, history.begins[segment], last + 1))
    return found


def positions_between(history, prefixes):
    """Return the positions of new rows that fill a gap between training rows.

    They begin where a segment of the training table ended and a later one of its series
    follows.
    """
    is_last_of_series = np.append(history.series[1:] != history.series[:-1], True)
    inner_ends = set(history.ends[~is_last_of_series].tolist())
    return [prefix.position for prefix in prefixes if prefix.end in inner_ends]


def prefixes_by_force(history, table):
    """Put the end of each training series in front of its new rows."""
    return [
        HistoryPrefix(begin, history.begins[segments[-1]], history.ends[segments[-1]])
        for (begin, _), segments in _matching_series(history, table)
    ]


def _matching_series(history, table):
    """Yield bounds of each new series that was in fit, and its kept segments."""
    bounds = table.series_bounds
    in_fit = np.zeros(1, dtype=int)
    if table.labels is not None:
        in_fit = history.labels.get_indexer(table.labels)
    segment_bounds = np.searchsorted(history.series, np.arange(history.series[-1] + 2))
    for k, old in enumerate(in_fit):
        if old >= 0:
            segments = np.arange(segment_bounds[old], segment_bounds[old + 1])
            yield (bounds[k], bounds[k + 1]), segments


class Steps(NamedTuple):
    """History and new rows in one table of steps.

    values : ndarray of shape (n_history + n_rows, n_features)
        C-contiguous.
    is_segment_start : ndarray of bool of shape (n_history + n_rows,)
        Which rows of `values` begin a segment.
    positions : ndarray of int of shape (n_rows,)
        Row of `values` that holds each row of the table.
    """

    values: np.ndarray
    is_segment_start: np.ndarray
    positions: np.ndarray


def join(features, table, history, prefixes):
    """Copy history and new rows into one table of steps."""
    n_rows = len(table.is_segment_start)
    shift = np.zeros(n_rows, dtype=np.int64)
    for prefix in prefixes:
        shift[prefix.position] = prefix.end - prefix.begin
    np.cumsum(shift, out=shift)
    n_history = sum(end - begin for _, begin, end in prefixes)
    dtype = np.result_type(*features.columns)
    if prefixes:
        dtype = np.result_type(dtype, history.values.dtype)
    shift += np.arange(n_rows)  # position behind all history
    positions = shift
    if table.order is not None:
        positions = np.empty_like(shift)
        positions[table.order] = shift
    values = np.empty((n_rows + n_history, len(features.columns)), dtype=dtype)
    for j, column in enumerate(features.columns):
        values[positions, j] = column
    joined_starts = np.zeros(len(values), dtype=bool)
    joined_starts[shift] = table.is_segment_start
    for position, begin, end in prefixes:
        rows = slice(shift[position] - (end - begin), shift[position])
        values[rows] = history.values[begin:end]
        # The segment now starts with its history.
        joined_starts[shift[position]] = False
        joined_starts[rows.start] = True
    return Steps(values, joined_starts, positions)
