"""History: the rows kept in fit, and where they go in front of new ones."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class History(NamedTuple):
    """The last rows of every run of the training table, run by run.

    values : ndarray of shape (n_kept, n_features)
    ticks : ndarray of shape (n_kept,), or None without times
    kind : str, that of the times, or None
    begins, ends : ndarrays of int, the kept rows of each run
    series : ndarray of int, which series each run belongs to
    labels : Index of one group label a series, or None without groups
    """

    values: np.ndarray
    ticks: np.ndarray | None
    kind: str | None
    begins: np.ndarray
    ends: np.ndarray
    series: np.ndarray
    labels: pd.Index | None


class LeadIn(NamedTuple):
    """Kept rows ``begin`` to ``end`` go in front of the row at ``place``."""

    place: int
    begin: int
    end: int


def keep_tails(table, series, first, n_kept):
    """Keep the last rows of every run of a table.

    Parameters
    ----------
    table : Table
        The training table.
    series : SeriesRows
        Its rows, series by series.
    first : ndarray of bool
        Which of them begin a run.
    n_kept : int
        Rows to keep of each run, at most.

    Returns
    -------
    History
    """
    run_begins = np.flatnonzero(first)
    run_ends = np.append(run_begins[1:], len(first))
    lengths = np.minimum(run_ends - run_begins, n_kept)
    ends = np.cumsum(lengths)
    begins = ends - lengths
    places = np.repeat(run_ends - ends, lengths) + np.arange(lengths.sum())
    return History(
        values=table.read_rows(series.rows(places)),
        ticks=None if series.ticks is None else series.ticks[places],
        kind=None if table.times is None else table.times.kind,
        begins=begins,
        ends=ends,
        series=np.searchsorted(np.flatnonzero(series.first), run_begins, "right") - 1,
        labels=series.labels,
    )


def lead_ins_by_time(history, series, first, rule):
    """Find the kept rows that lead up to runs of new rows without a break.

    Parameters
    ----------
    history : History
        Of the training table.
    series : SeriesRows
        The new rows, series by series.
    first : ndarray of bool
        Which of them begin a run.
    rule : FixedStep, CalendarStep or MaxGap
        Which times are neighbours.

    Returns
    -------
    list of LeadIn
    """
    found = []
    for (begin, end), runs in _matching_series(history, series):
        kept = slice(history.begins[runs[0]], history.ends[runs[-1]])
        ticks = history.ticks[kept]
        places = begin + np.flatnonzero(first[begin:end])
        before = np.searchsorted(ticks, series.ticks[places]) - 1
        places, before = places[before >= 0], before[before >= 0]
        near = rule.adjacent(ticks[before], series.ticks[places])
        for place, last in zip(places[near], kept.start + before[near], strict=True):
            run = runs[np.searchsorted(history.ends[runs], last, side="right")]
            found.append(LeadIn(place, history.begins[run], last + 1))
    return found


def lead_ins_by_force(history, series):
    """Put the end of each training series in front of its new rows.

    Parameters
    ----------
    history : History
        Of the training table.
    series : SeriesRows
        The new rows, series by series.

    Returns
    -------
    list of LeadIn
    """
    return [
        LeadIn(begin, history.begins[runs[-1]], history.ends[runs[-1]])
        for (begin, _), runs in _matching_series(history, series)
    ]


def _matching_series(history, series):
    """Yield places of each new series that was in training, and its kept runs."""
    bounds = series.bounds
    known = np.zeros(1, dtype=int)
    if series.labels is not None:
        known = history.labels.get_indexer(series.labels)
    run_bounds = np.searchsorted(history.series, np.arange(history.series[-1] + 2))
    for k, old in enumerate(known):
        if old >= 0:
            runs = np.arange(run_bounds[old], run_bounds[old + 1])
            yield (bounds[k], bounds[k + 1]), runs


def join(table, series, first, history, lead_ins):
    """Write history and new rows into one table of steps.

    Parameters
    ----------
    table : Table
        The new rows.
    series : SeriesRows
        Their order.
    first : ndarray of bool
        Which of them begin a run.
    history : History or None
        The kept rows; None only without lead-ins.
    lead_ins : list of LeadIn
        Which of the kept rows go where.

    Returns
    -------
    values : ndarray of shape (n_kept + n_rows, n_features)
        C-contiguous; the input itself where nothing has to move.
    first : ndarray of bool of shape (n_kept + n_rows,)
        Which rows of `values` begin a run.
    places : ndarray of int of shape (n_rows,), or None
        Row of `values` that holds each row of the table; None if they are the same.
    """
    if not lead_ins and series.order is None:
        values = table.block if table.block is not None else table.read_all()
        return values, first, None
    shift = np.zeros(table.n_rows, dtype=np.int64)
    for lead_in in lead_ins:
        shift[lead_in.place] = lead_in.end - lead_in.begin
    np.cumsum(shift, out=shift)
    shift += np.arange(table.n_rows)  # place after all that is put in front
    places = shift
    if series.order is not None:
        places = np.empty_like(shift)
        places[series.order] = shift
    if not lead_ins:
        return _write(table, places), first, places
    n_kept = sum(end - begin for _, begin, end in lead_ins)
    values = _write(table, places, n_kept, history.values.dtype)
    joined_first = np.zeros(len(values), dtype=bool)
    joined_first[shift] = first
    for place, begin, end in lead_ins:
        rows = slice(shift[place] - (end - begin), shift[place])
        values[rows] = history.values[begin:end]
        joined_first[shift[place]] = False
        joined_first[rows.start] = True
    return values, joined_first, places


def _write(table, places, n_kept=0, dtype=np.bool_):
    """Copy a table's rows to their places, and leave `n_kept` rows open."""
    shape = (table.n_rows + n_kept, len(table.columns))
    values = np.empty(shape, dtype=np.result_type(table.dtype, dtype))
    for j, column in enumerate(table.columns):
        values[places, j] = column
    return values
