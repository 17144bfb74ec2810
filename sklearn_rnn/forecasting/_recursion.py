"""Forecasts beyond the horizon of a model, made from its own forecasts."""

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from sklearn_rnn._exceptions import InvalidSequenceError, WindowHistoryWarning
from sklearn_rnn.estimators import (
    inspect_model,
    new_random_state,
    quantile_column,
    summarize_samples,
)
from sklearn_rnn.forecasting._forecast_frame import get_column_names
from sklearn_rnn.forecasting._future_rows import FutureRows, add_known
from sklearn_rnn.forecasting._paths import Blocks, sample_paths
from sklearn_rnn.forecasting._windows_seen import ignore_unknown_times
from sklearn_rnn.preprocessing import TimeTable, as_frame, is_polars


def forecast_beyond(
    model: Any,
    table: TimeTable,
    columns: Mapping[str, np.ndarray],
    *,
    blocks: Blocks,
    steps: Sequence[int],
    times: list[pd.Index],
    future: Any,
    static: Any,
    n_paths: int,
    random_state: Any,
) -> dict[str, np.ndarray]:
    """Return forecasts at `steps`, some of which a model does not forecast itself.

    `columns` are the predictions and quantiles at the steps that it does, `times` the
    times of all steps of each series, `future` and the rest as in `forecast`.
    """
    check_scalar(n_paths, "n_paths", Integral, min_val=1)
    random_state = new_random_state(random_state)
    has_quantiles = len(columns) > 1
    n_fed = blocks.anchors[-1]
    extended = _extend(model, table, times, n_fed, blocks, future, static)
    later = [of_series[n_fed:] for of_series in times]
    X = extended.data
    if blocks.ahead:
        X = add_known(extended, future, blocks.ahead, later)
    with ignore_unknown_times(), warnings.catch_warnings():
        # The first block has warned of them.
        warnings.simplefilter("ignore", WindowHistoryWarning)
        paths = sample_paths(
            model,
            X.assign(**{name: X[name].astype(float) for name in blocks.targets}),
            extended.series_bounds,
            blocks=blocks,
            n_paths=n_paths if has_quantiles else 1,
            random_state=random_state,
        )
    paths = paths[:, :, blocks.n_steps : blocks.horizon]
    beyond = {"prediction": paths[..., 0]}
    if has_quantiles:
        found = summarize_samples(model, paths)
        beyond["prediction"] = found.predictions
        for i, level in enumerate(found.levels):
            beyond[quantile_column(level)] = found.quantiles[..., i]
    chosen = np.array(steps) - 1
    result = {}
    for name, values in columns.items():
        whole = [blocks.by_step(values)[..., 0], beyond[name]]
        result[name] = np.concatenate(whole, axis=-1)[:, :, chosen].ravel()
    return result


def _extend(model, table, times, n_rows, blocks, future, static):
    """Return the newest rows and `n_rows` after them, series by series.

    The targets of the latter are missing; the other columns are those of `future`, or
    stay as they are.
    """
    if is_polars(table.data):
        raise InvalidSequenceError(
            f"horizon={blocks.horizon} is longer than the {blocks.n_steps} steps of "
            "the model, and forecasts are fed back to a pandas table, not to one of "
            "polars: pass newest.to_pandas(), and future too."
        )
    times = [of_series[:n_rows] for of_series in times]
    given = _check_inputs(model, table, blocks, future, static)
    parts = inspect_model(model)
    lookback, missing = parts.lookback, parts.keys.missing
    positions, rows = table.window_positions(table.latest, lookback, missing)
    to_come = table.data.iloc[table.rows(table.latest).repeat(n_rows)].copy()
    to_come[blocks.targets] = np.nan
    if given:
        plan = FutureRows.read(future, table, given)
        planned = np.concatenate(plan.rows_at(times, given))
        for name in given:
            to_come[name] = plan.data[name].iloc[planned].set_axis(to_come.index)
    series = np.repeat(np.arange(len(times)), n_rows)
    series = np.concatenate([table.series_of(positions), series])
    order = np.argsort(series, kind="stable")
    whole = {
        name: pd.concat([table.data[name].iloc[rows], to_come[name]]).iloc[order]
        for name in table.data.columns
    }
    index = table.data.index[rows].append(to_come.index)[order]
    labels = table.index[rows]
    for of_series in times:
        labels = labels.append(of_series)
    whole = pd.DataFrame({n: c.set_axis(index) for n, c in whole.items()}, index=index)
    return _set_times(whole, labels[order], table)


def _set_times(data, labels, table):
    """Return the table of rows whose times are `labels`, like those of `table`."""
    keys = table.keys
    if keys.time in list(data.columns):
        data[keys.time] = labels
    elif isinstance(data.index, pd.MultiIndex):
        names = data.index.names
        levels = [
            labels if name == keys.time else data.index.get_level_values(name)
            for name in names
        ]
        data.index = pd.MultiIndex.from_arrays(levels, names=names)
    elif table.times is None:
        data.index = pd.RangeIndex(len(data))
    else:
        data.index = labels.rename(data.index.name)
    rule = table.rule
    return TimeTable.read(data, keys, "forecast", rule=rule, must_be_regular=True)


def _check_inputs(model, table, blocks, future, static):
    """Return the columns to take from `future`; raise for columns that nothing knows.

    Calendar columns that the pipeline makes are no columns of the table.
    """
    known = {*blocks.targets, table.keys.time, *table.keys.groups}
    if static is not None:
        static = get_column_names(table.data, static, "static")
        _check_static(table, static)
        known.update(static)
    read = getattr(model, "feature_names_in_", table.data.columns)
    others = [name for name in table.data.columns if name in read and name not in known]
    in_future = [] if future is None else list(as_frame(future, "future=").columns)
    unknown = [name for name in others if name not in in_future]
    if unknown:
        raise InvalidSequenceError(
            f"horizon={blocks.horizon} is longer than the {blocks.n_steps} steps of "
            "the model. Its forecasts are fed back to it, with the other columns that "
            f"it reads, and of these {unknown} are not known then. Pass their values "
            "in future=, one row per step (and series); name in static= those that "
            "never change in a series; or fit the model with "
            f"horizon={blocks.horizon}, or without these columns. CalendarFeatures in "
            "the pipeline continue by themselves."
        )
    return others


def _check_static(table, static):
    """Check that columns are the same in all rows of each series that have a value."""
    for name in static:
        codes = pd.factorize(table.data[name])[0]
        for k, rows in enumerate(table.rows_of_series()):
            known = codes[rows][codes[rows] >= 0]
            if (known != codes[rows[-1]]).any():
                label = None if table.labels is None else table.labels[k]
                raise InvalidSequenceError(
                    f"static={static!r}, but {name!r} changes in the newest rows"
                    f"{table.describe_series(label)}: pass its values in future=."
                )
