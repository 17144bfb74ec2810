"""Regular tables: rows of missing values wherever a table has none."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn.preprocessing._time_errors import (
    check_grid_size,
    check_on_grid,
)
from sklearn_rnn.preprocessing._time_table import (
    TimeTable,
    check_time_range,
    is_polars,
    times_ahead,
)
from sklearn_rnn.sequences import CalendarStep, RowStep


def fill_rows(table: TimeTable, known: Sequence[Any] = ()) -> Any:
    """Return the frame of a table with rows of NaN wherever its grid has none.

    The result is sorted by time if the frame was, else it holds series after series.
    Bools become floats where rows are added. The columns `known` have values in added
    rows, too: that of their series where it is the same in all its rows, else that of
    all other series at the same time where they agree.
    """
    data, keys = table.data, table.keys
    if table.times is None or table.rule is None or isinstance(table.rule, RowStep):
        return data
    rows = table.rows_of_series()
    whole = [_grid_of_series(table, of_series) for of_series in rows]
    if sum(map(len, whole)) == table.n_rows:
        return data
    if is_polars(data):
        raise TypeError(
            "missing='mask' adds rows to the table, which needs pandas: pass "
            "df.to_pandas()."
        )
    attrs, levels = data.attrs, None
    if isinstance(data.index, pd.MultiIndex):
        levels = list(data.index.names)
        data = data.reset_index()
    flags = data.select_dtypes("bool").columns
    data = data.astype(dict.fromkeys(flags, float))
    parts = []
    for of_series, all_times in zip(rows, whole, strict=True):
        part = data.iloc[of_series].set_axis(table.times.labels[of_series])
        part = part.reindex(all_times)
        for name in keys.groups:
            part[name] = data[name].iloc[of_series[0]]
        if keys.time is not None:
            part[keys.time] = all_times
        parts.append(part)
    filled = pd.concat(parts)
    added = [
        ~times.isin(table.times.labels[of_series])
        for of_series, times in zip(rows, whole, strict=True)
    ]
    series = np.repeat(np.arange(len(whole)), [len(times) for times in whole])
    for name in known:
        values = _known_values(filled[name], np.concatenate(added), series)
        filled[name] = values if values.hasnans else values.astype(data[name].dtype)
    if (table.times.timestamps[1:] >= table.times.timestamps[:-1]).all():
        filled = filled.sort_index(kind="stable")  # by time, as the table was
    if keys.time is not None:
        filled = filled.reset_index(drop=True)
    for name in keys.groups:
        filled[name] = filled[name].astype(data[name].dtype)
    filled.attrs = attrs
    return filled if levels is None else filled.set_index(levels)


def _known_values(column, is_added, series):
    """Return a column with what is known of it in added rows."""
    values = column.copy()
    present, times = column[~is_added], column.index
    for labels in (series, times):
        grouped = present.groupby(labels[~is_added], dropna=False)
        same = grouped.first().where(grouped.nunique(dropna=False) == 1)
        found = same.reindex(labels).set_axis(values.index)
        values = values.where(~is_added | values.notna().to_numpy(), found)
    return values


def _grid_of_series(table, rows):
    """Return all times from the first row of a series to its last, on its grid."""
    labels, rule = table.times.labels[rows], table.rule
    check_grid_size(labels)
    if isinstance(rule, CalendarStep):
        check_time_range(rule, table.times, labels[0].tz_localize(None), 1)
    if labels.dtype.kind == "f":
        whole = _grid_of_floats(labels, float(rule.step))
    elif isinstance(rule, CalendarStep) and rule.offset.is_on_offset(labels[0]):
        whole = pd.date_range(labels[0], labels[-1], freq=rule.offset, name=labels.name)
    else:
        whole, n_steps = labels[:1], len(labels)
        while whole[-1] < labels[-1]:
            to_come = times_ahead(rule, table.times, labels[0], n_steps)
            whole, n_steps = labels[:1].append(to_come), 2 * n_steps
        whole = whole[whole <= labels[-1]].rename(labels.name)
    check_on_grid(table, rows, whole.get_indexer(labels))
    return whole


def _grid_of_floats(labels, step):
    """Return the grid of times such as 0.1 * k, with their rounding errors."""
    positions = np.rint((labels.to_numpy() - labels[0]) / step).astype(int)
    whole = labels[0] + step * np.arange(positions[-1] + 1)
    rounding = 1e-9 if labels.dtype == np.float64 else 4 * np.finfo(np.float32).eps
    near = np.isclose(whole[positions], labels, rtol=rounding, atol=1e-6 * step)
    whole[positions[near]] = labels[near]
    return pd.Index(whole.astype(labels.dtype), name=labels.name)
