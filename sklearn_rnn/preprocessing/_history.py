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


def find_prefixes(history, table, *, by_time=True):
    """Return the kept rows that go in front of new rows of their series.

    By time, in front of each segment that follows them without a gap; else the last of
    each series in front of all of its new rows.
    """
    in_fit = np.zeros(1, dtype=int)
    if table.labels is not None:
        in_fit = history.labels.get_indexer(table.labels)
    segment_bounds = np.searchsorted(history.series, np.arange(history.series[-1] + 2))
    found = []
    for k in np.flatnonzero(in_fit >= 0):
        segments = np.arange(*segment_bounds[in_fit[k] : in_fit[k] + 2])
        begin, end = table.series_bounds[k : k + 2]
        if not by_time:
            last = segments[-1]
            found.append(HistoryPrefix(begin, history.begins[last], history.ends[last]))
            continue
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
