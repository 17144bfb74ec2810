"""Panels: the forecasts of each series and target, with the observed values."""

from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn.displays import MAX_PANELS
from sklearn_rnn.forecasting._columns import quantile_columns, series_columns
from sklearn_rnn.forecasting._time_axis import (
    NUMBERS,
    TimeAxis,
    find_time_axis,
    is_dated,
    is_time,
)
from sklearn_rnn.preprocessing import (
    as_frame,
    check_column_key,
    check_labels,
    encode_groups,
    find_keys,
    frame_column,
    list_keys,
    times_of_frame,
)

# Maximum number of names in an error.
SHOWN_NAMES = 8


class Panel(NamedTuple):
    """The data of one panel.

    `forecasts` has columns time, prediction, quantiles and, if known, origin, horizon
    and truth, sorted by origin and time; `observed` are the true values by time.
    """

    series: Any  # label, None if there is one series
    target: Any  # name, None if unknown
    forecasts: pd.DataFrame
    observed: pd.Series | None


class ForecastTable(NamedTuple):
    """The validated forecasts of all panels.

    `frame` is as in `Panel`, with columns series and target if there are several;
    `groups` are the columns of the series, none if there is one.
    """

    frame: pd.DataFrame
    groups: list
    axis: TimeAxis

    def labels(self, column):
        """Return the distinct labels in a column, in order of appearance; or [None]."""
        return list(self.frame[column].unique()) if column in self.frame else [None]


def make_panels(forecasts, history, *, time, group_by, target, series):
    """Return a list of panels, and their time axis.

    `time` and `group_by` name columns of both tables, `target` and `series` what to
    draw.
    """
    check_column_key(time, "time", forecasts)
    check_column_key(group_by, "group_by", forecasts)
    if isinstance(history, pd.DataFrame):
        keys = find_keys(history, time, group_by)
        time, group_by = keys.time, keys.group_by
    if time is None:
        time = _shared_time(forecasts, history)
    groups = list_keys(group_by)
    table = _check_forecasts(forecasts, time, groups)
    target = list(target) if isinstance(target, tuple) else target
    targets = _choose(table.labels("target"), target, "target")
    if targets == [None]:
        targets = [_only_target(history, target)]
    chosen = _choose(table.labels("series"), series, "series")
    if series is not None and chosen == [None]:
        raise ValueError(
            f"series={series!r}, but the forecasts are of one series: leave it out, or "
            "name the column that identifies several in group_by=."
        )
    _check_panel_count(chosen, targets)
    observed = _find_observed(history, table, targets, time, groups)
    panels = []
    for label in chosen:
        for name in targets:
            own = _rows_of(table.frame, series=label, target=name)
            truth = observed(label, name, own)
            shown = getattr(truth, "name", None) if name is None else name
            panels.append(Panel(label, shown, own, truth))
    return panels, table.axis


def _shared_time(forecasts, history):
    """Return the column of the history that is named like the forecasts' times."""
    if not isinstance(history, pd.DataFrame) or is_dated(history.index):
        return None
    name = getattr(getattr(forecasts, "index", None), "name", None) or "time"
    return name if name in history and is_dated(history[name]) else None


def _rows_of(frame, **labels):
    for column, label in labels.items():
        if column in frame:
            frame = frame[_are(label, frame[column])]
    return frame


def _are(label, values):
    """Return which values are a label, which may be a tuple."""
    return np.array([value == label for value in values], dtype=bool)


def _check_forecasts(forecasts, time, groups):
    _check_frame(forecasts)
    times, name = _times_of_forecasts(forecasts, time)
    origins, longest = None, None
    if "origin" in forecasts:
        origins = _times_in(forecasts, "origin")
    if isinstance(times, pd.TimedeltaIndex):
        longest = (times - (times.min() if origins is None else origins)).max()
    axis = find_time_axis(times, longest)
    columns = {"time": axis.positions(times, "the forecasts")}
    if origins is not None:
        columns["origin"] = axis.positions(origins, "the column 'origin'")
    groups = _find_groups(forecasts, groups, name)
    if groups:
        columns["series"] = _labels([_column(forecasts, key) for key in groups])
    values = ["target", "horizon", "truth", "prediction"]
    for column in [*values, *quantile_columns(forecasts.columns).values()]:
        if column in forecasts:
            columns[column] = forecasts[column].to_numpy()
    frame = pd.DataFrame(columns)
    order = ["origin", "time"] if "origin" in frame else ["time"]
    return ForecastTable(frame.sort_values(order, kind="stable"), groups, axis)


def _check_frame(forecasts):
    if not isinstance(forecasts, pd.DataFrame) or "prediction" not in forecasts:
        got = getattr(forecasts, "columns", None)
        got = type(forecasts).__name__ if got is None else f"columns {list(got)}"
        raise ValueError(
            "the forecasts must be a frame with a column 'prediction', as forecast() "
            f"and backtest() return it, got {got}."
        )
    if len(forecasts) == 0:
        raise ValueError("the forecasts have no rows, so there is nothing to draw.")


def _times_of_forecasts(forecasts, time):
    """Return the times, and the name of their column."""
    first = forecasts.columns[0]
    candidates = [time, "time"]
    if first in series_columns(forecasts) and is_dated(forecasts[first]):
        candidates.append(first)  # an index that was made a column
    for name in candidates:
        if _has_column(forecasts, name):
            return _times_in(forecasts, name), name
    times = _times_in(forecasts, None)
    return forecasts.index if times is None else times, None


def _find_groups(forecasts, groups, time):
    """Return the columns of the series' labels: the first ones, unless given."""
    if groups:
        are_known = all(_has_column(forecasts, key) for key in groups)
        return groups if are_known else []
    names = [name for name in forecasts.columns if name != time]
    known = series_columns(forecasts)
    return list(takewhile(known.__contains__, names))


def _labels(columns):
    """Return one label per row: of several columns a tuple."""
    if len(columns) == 1:
        return np.asarray(columns[0], dtype=object)
    codes, labels = encode_groups(columns)
    check_labels(codes)
    return labels.to_numpy()[codes]


def _column(frame, name):
    """Return a column of a frame, or a level of its index."""
    return frame[name] if name in frame else frame.index.get_level_values(name)


def _choose(labels, wanted, what):
    """Return the wanted labels, or all if there is only [None] or nothing is wanted."""
    if wanted is None or labels == [None]:
        return labels
    # A tuple may be a label.
    is_many = isinstance(wanted, (list, np.ndarray, pd.Index, pd.Series))
    wanted = list(wanted) if is_many else [wanted]
    unknown = [label for label in wanted if label not in labels]
    if unknown or not wanted:
        raise ValueError(
            f"{what}={unknown or wanted} is not in the forecasts, which are of "
            f"{_listed(labels)}."
        )
    return wanted


def _only_target(history, target):
    if isinstance(target, list):
        if len(target) != 1:
            raise ValueError(
                f"target={target!r} names {len(target)} targets, but the forecasts are "
                "of one: they have no column 'target'."
            )
        return target[0]
    if target is None and isinstance(history, pd.Series):
        return history.name
    return target


def _check_panel_count(series, targets):
    n_panels = len(series) * len(targets)
    if n_panels <= MAX_PANELS:
        return
    what, labels = ("series", series) if len(series) > 1 else ("target", targets)
    also = f" and {len(targets)} targets" if what == "series" and targets[1:] else ""
    raise ValueError(
        f"the forecasts are of {len(labels)} {what}{'s' * (what == 'target')}{also}, "
        f"which makes {n_panels} panels, and a figure can show {MAX_PANELS}: "
        f"choose some, for example {what}={list(labels[:3])}."
    )


def _find_observed(history, table, targets, time, groups):
    """Return a function from series, target and forecasts to the observed values."""
    if history is None:
        return lambda label, target, own: _truth(own)
    frame, times = _check_history(history, table.axis, targets, time)
    groups = groups or table.groups
    labels = _labels_of_rows(frame, groups, table)

    def observed(label, target, own):
        rows = slice(None) if labels is None else _are(label, labels)
        column = _target_column(frame, target, (time, *groups, "time"))
        values = pd.Series(_history_column(frame, column, "target")).astype(float)
        values = pd.Series(values.to_numpy()[rows], index=times[rows], name=column)
        if len(values) == 0:
            raise ValueError(
                f"the history has no rows of series {label!r}; its column "
                f"{' and '.join(map(repr, groups))} holds {_listed(pd.unique(labels))}."
            )
        return _sort_by_time(values, label)

    return observed


def _labels_of_rows(history, groups, table):
    """Return the label of each row's series; None if there is one."""
    if not table.groups:
        return None
    are_known = all(_has_column(history, key) for key in groups)
    if len(table.labels("series")) == 1 and not are_known:
        return None  # it holds the rows of that series alone
    return _labels([_history_column(history, key, "group_by") for key in groups])


def _truth(forecasts):
    """Return the true values of a backtest's forecasts."""
    if "truth" not in forecasts:
        return None
    truth = forecasts.drop_duplicates("time").set_index("time")["truth"]
    return truth.astype(float).sort_index().rename(None)


def _check_history(history, axis, targets, time):
    """Return the history as a frame, and its times as the axis draws them."""
    if isinstance(history, (np.ndarray, list, tuple)):
        raise TypeError(
            "the history must be a DataFrame or Series with the time of each value, "
            f"got {type(history).__name__}."
        )
    if isinstance(history, pd.Series) and len(targets) > 1:
        raise ValueError(
            f"the history is a Series, but the forecasts are of {len(targets)} "
            f"targets: give a DataFrame with the columns {_listed(targets)}."
        )
    if isinstance(history, pd.Series) and targets[0] is not None:
        history = history.rename(targets[0])
    history = as_frame(history, "the history of a ForecastDisplay", any_names=True)
    has_index = isinstance(history, pd.DataFrame)
    has_index = has_index and not isinstance(history.index, pd.MultiIndex)
    has_times = has_index and is_time(history.index)
    is_numbered = axis.kind == NUMBERS and "time" not in history.columns
    if time is None and not (has_times or is_numbered):
        time = "time"
    # As forecast() numbers the rows of a table without times.
    times = pd.RangeIndex(len(history))
    if time is not None:
        _require_column(history, time, "time")
    if time is not None or has_times:
        times = _times_in(history, time)
    return history, axis.positions(times, "the history")


def _times_in(frame, time):
    """Return the times in a column of a frame, or its index; None if that has names."""
    times = times_of_frame(frame, time, "ForecastDisplay")
    return None if times is None else times.labels


def _history_column(history, name, parameter):
    _require_column(history, name, parameter)
    return frame_column(history, name, parameter)


def _require_column(history, name, parameter):
    if _has_column(history, name):
        return
    raise ValueError(
        f"the history has no column {name!r}; its columns are "
        f"{_listed(history.columns)}. Name the right one in {parameter}=."
    )


def _has_column(frame, name):
    """Return whether a frame has a column, or a level of its index, of a name."""
    levels = frame.index.names if isinstance(frame, pd.DataFrame) else []
    return name in list(frame.columns) or (name is not None and name in levels)


def _target_column(history, target, others):
    if target is not None:
        return target
    names = [name for name in history.columns if name not in others]
    if len(names) != 1:
        raise ValueError(
            f"the history has the columns {_listed(names)}: name the one that was "
            "forecast in target=."
        )
    return names[0]


def _sort_by_time(values, label):
    values = values.sort_index()
    twice = values.index.duplicated()
    if twice.any():
        of = "" if label is None else f" in series {label!r}"
        raise ValueError(
            f"the history has the time {values.index[twice.argmax()]} twice{of}. If it "
            "holds several series, pass the rows of the one that was forecast, or "
            "forecasts of all with group_by=; otherwise drop the duplicates."
        )
    return values


def _listed(names):
    names = list(names)
    more = ", ..." if len(names) > SHOWN_NAMES else ""
    return ", ".join(repr(name) for name in names[:SHOWN_NAMES]) + more
