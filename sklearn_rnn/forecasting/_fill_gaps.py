"""fill_gaps: a table without missing rows, series by series."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.forecasting._forecast_frame import get_column_names
from sklearn_rnn.preprocessing import (
    ATTRS_KEY,
    TimeTable,
    as_frame,
    fill_rows,
    find_keys,
    frame_column,
)


def fill_gaps(
    data: Any,
    known: Any = None,
    *,
    freq: Any = None,
    time: str | None = None,
    group_by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Add the rows that a table lacks, series by series.

    Each series gets one row per time step from its first row to its last. Values of
    added rows are missing, except for those of columns that are known.

    Parameters
    ----------
    data : DataFrame or Series
        A pandas table, one row per time step.
    known : str, list of str or DataFrame, default=None
        What is known of added rows; rows of `data` keep their values, missing ones
        too. Columns named here get, in an added row, the value that all rows of its
        series have (a fact about the series), or else the value that all other series
        have at that time (a holiday). A DataFrame has the values themselves: one row
        per time (and series, if it has the columns of `group_by`), with columns of
        `data`; its times are where `data` has them, in the column `time` or the index.
    freq : str, offset, Timedelta or number, default=None
        The time between rows, as for `SequenceWindower`; None finds it.
    time : str, default=None
        Column that holds the times; None takes what the table says of itself, as for
        `make_forecast_frame`, or else the index.
    group_by : str or list of str, default=None
        Column or columns that identify the series; None takes what the table says of
        itself.

    Returns
    -------
    DataFrame
        Sorted by time if `data` was, else series after series; numbered if `time`
        names a column. Its ``attrs`` say which columns are times and series, and that
        missing values are to be masked, so that neither has to be said again; also
        `freq` if the rows themselves may not show it, as calendar steps.

    Raises
    ------
    InvalidSequenceError
        If the rows have no times or no regular step, times are out of order, or a row
        lies between two steps.
    ValueError
        If a known column does not exist, or no row of a known table has the time
        (and series) of a row of the result.
    TypeError
        If `data` is not of pandas.

    See Also
    --------
    make_forecast_frame : Fills gaps itself with ``missing="mask"``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn import fill_gaps
    >>> days = pd.to_datetime(["2024-01-01", "2024-01-03"] * 2)
    >>> table = pd.DataFrame(
    ...     {
    ...         "day": days,
    ...         "shop": ["A", "A", "B", "B"],
    ...         "size": [50, 50, 90, 90],
    ...         "sales": [3.0, 4.0, 7.0, 8.0],
    ...     }
    ... )
    >>> fill_gaps(table, known="size", freq="D", time="day", group_by="shop")
             day shop  size  sales
    0 2024-01-01    A    50    3.0
    1 2024-01-02    A    50    NaN
    2 2024-01-03    A    50    4.0
    3 2024-01-01    B    90    7.0
    4 2024-01-02    B    90    NaN
    5 2024-01-03    B    90    8.0
    """
    data = as_frame(data, "fill_gaps", any_names=True)
    if not isinstance(data, pd.DataFrame):
        raise TypeError("fill_gaps needs a pandas table: pass df.to_pandas().")
    keys = find_keys(data, time, group_by, freq)._replace(missing="mask")
    table = TimeTable.read(data, keys, "fill_gaps", must_be_regular=True)
    if table.times is None:
        raise InvalidSequenceError(
            "the rows of data have no times, so fill_gaps cannot find out which are "
            "missing: give it an index of dates, or name a column of dates in time=."
        )
    is_frame = isinstance(known, pd.DataFrame)
    names = [] if known is None or is_frame else get_column_names(data, known, "known")
    filled = fill_rows(table, names)
    filled = filled.copy() if filled is data else filled
    if is_frame:
        filled = _fill_from(filled, known, table)
    if keys.freq is not None:
        # Stated in attrs, a step would outlive a resampling of the result.
        whole = TimeTable.read(filled, keys, "fill_gaps", rule=table.rule)
        keys = keys if whole.needs_freq() else keys._replace(freq=None)
    filled.attrs[ATTRS_KEY] = keys.to_attrs()
    return filled


def _fill_from(filled, known, table):
    """Fill added rows of a table with values of another one, by time and series."""
    keys = table.keys
    columns = [name for name in known.columns if name in filled.columns]
    columns = [name for name in columns if name not in [keys.time, *keys.groups]]
    if not columns:
        raise ValueError(
            f"known has the columns {list(known.columns)}, and no column of data among "
            f"them besides times and series; data has {list(filled.columns)}."
        )
    if known.empty:
        return filled
    by = [key for key in keys.groups if _has(known, key)]
    own = _index_of(filled, keys.time, by)
    theirs = _index_of(known, keys.time, by)
    if theirs.has_duplicates:
        twice = theirs[theirs.duplicated()][0]
        raise ValueError(f"known has two rows for {twice}: drop one.")
    rows = theirs.get_indexer(own)
    if (rows < 0).all():
        _raise_no_match(own, theirs, keys, by)
    is_filled = _is_added(filled, table) & (rows >= 0)
    for name in columns:
        values = known[name].take(rows).set_axis(filled.index)
        filled[name] = filled[name].where(~is_filled, values)
    return filled


def _is_added(filled, table):
    """Return which rows of a filled table are not of the table itself."""
    groups = table.keys.groups
    before = table.times.labels
    if groups:
        labels = [frame_column(table.data, key, "group_by") for key in groups]
        before = pd.MultiIndex.from_arrays([*labels, before])
    return ~_index_of(filled, table.keys.time, groups).isin(before)


def _raise_no_match(own, theirs, keys, by):
    """Raise the error of a known table that has no row of the filled one."""
    where = "its index" if keys.time is None else f"its column {keys.time!r}"
    series = f", and the series in {by}" if by else ""
    raise ValueError(
        "known has no row at a time of data, so it would fill nothing: it needs the "
        f"times in {where}{series}, as data has them, such as {own[0]!r}, but it has "
        f"{theirs[0]!r}. Set the index, for example with known.set_index(...), or "
        "convert the times, with pd.to_datetime."
    )


def _has(frame, key):
    return key in frame.columns or key in frame.index.names


def _index_of(frame, time, by):
    """Return the times of rows, with the labels of their series if there are any."""
    times = frame.index
    if time is not None and time in frame.columns:
        times = pd.Index(frame[time])
    elif time is not None and isinstance(frame.index, pd.MultiIndex):
        times = frame.index.get_level_values(time)
    parts = [
        frame[key] if key in frame.columns else frame.index.get_level_values(key)
        for key in by
    ]
    return pd.MultiIndex.from_arrays([*parts, times]) if parts else times
