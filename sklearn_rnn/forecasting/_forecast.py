"""forecast: the times after the newest rows, by a fitted model."""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    SklearnRNNWarning,
    user_stacklevel,
)
from sklearn_rnn.estimators import target_names_of, windowers
from sklearn_rnn.forecasting._columns import check_reserved, predicted_columns
from sklearn_rnn.forecasting._forecast_frame import (
    add_columns,
    as_frame,
    check_horizon,
    select_rows,
)
from sklearn_rnn.forecasting._lookback import (
    add_untargeted,
    ignore_unknown_times,
    required_positions,
    warn_of_short_windows,
)
from sklearn_rnn.preprocessing import (
    RowStep,
    check_column_key,
    check_no_gaps,
    fill_grid,
    find_grid,
    frame_column,
    freq_of,
    has_categories,
    parse_ahead,
    parse_targets,
    row_step_of,
    times_ahead,
    times_of_frame,
)


def forecast(
    model: Any,
    newest: Any,
    *,
    future: Any = None,
    target: str | Sequence[str] | None = None,
    horizon: int | Sequence[int] | None = None,
    freq: Any = None,
    time: str | None = None,
    group_by: str | None = None,
) -> pd.DataFrame:
    """Forecast the times after the newest rows of a table.

    Parameters
    ----------
    model : estimator instance
        Fitted on what `make_forecast_frame` made of an earlier table: a
        pipeline that begins with a `SequenceWindower`, a search over one, or
        any other regressor of such rows, which needs `target` and `horizon`.
    newest : DataFrame or Series
        The newest rows of every series, up to the last known one. Pass as many
        as a window of the model has. Fewer are enough if they follow the table
        that was passed to `make_forecast_frame` without a gap, and the model was
        fitted on the `X` that it returned.
    future : DataFrame or Index of times, default=None
        Data known in advance of future steps: one row per step (and series),
        with the times, the columns named ``known=`` in `make_forecast_frame`,
        and `group_by`. With ``freq="rows"`` it may contain the times only, such
        as the next days of an exchange.
    target : str or list of str, default=None
        Targets of the model. None takes them from the names of y's columns in
        fit.
    horizon : int or list of int, default=None
        Steps ahead that the model forecasts, as in `make_forecast_frame`. None
        takes them from the names of y's columns in fit.
    freq : str, offset, Timedelta or number, default=None
        The time between rows; None takes that of the windower in the model,
        or infers it from `newest`. With "rows" the times of future steps are
        those of `future`; without `future`, they follow the step of days that at
        least nine tenths of the rows have, regardless of holidays.
    time : str, default=None
        Column of the times; None takes that of the windower in the model, or
        the index.
    group_by : str, default=None
        Column that identifies the series; None takes that of the windower.

    Returns
    -------
    DataFrame
        One row per series, target and step, indexed by the future times. Columns:
        `group_by` if there are several series, `target` if there are several,
        `origin` (the last known time), `horizon` (steps ahead), `prediction`,
        and one column per quantile, such as ``q0.9``, if the model predicts
        them. Without times, the index counts rows.

    Raises
    ------
    InvalidSequenceError
        If the newest rows have gaps, future steps are missing in `future`, or
        ``freq="rows"`` and the times of future steps cannot be inferred.
    ValueError
        If target or horizon are needed, or differ from those of the model.

    Warns
    -----
    SklearnRNNWarning
        If values are masked, and a target is missing in the newest row.
    WindowHistoryWarning
        If a forecast uses fewer steps than a window of the model has, although
        there are earlier rows; the message says how many rows to pass.

    See Also
    --------
    make_forecast_frame : The rows and targets to fit a model on.
    backtest : Forecasts of known times.
    ForecastDisplay : Plot of forecasts.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_rnn import (
    ...     RNNRegressor, SequenceWindower, forecast, make_forecast_frame
    ... )
    >>> days = pd.date_range("2024-01-01", periods=60, freq="D")
    >>> table = pd.DataFrame({"sales": np.arange(60.0)}, index=days)
    >>> X, Y = make_forecast_frame(table, target="sales", horizon=2)
    >>> model = make_pipeline(
    ...     SequenceWindower(7), RNNRegressor(target_feature="sales", random_state=0)
    ... )
    >>> frame = forecast(model.fit(X, Y), table)
    >>> frame["prediction"].round(1)
    2024-03-01    60.0
    2024-03-02    61.0
    Name: prediction, dtype: float64
    """
    check_is_fitted(model)
    found = windowers(model)
    if found:
        time = found[0].time if time is None else time
        group_by = found[0].group_by if group_by is None else group_by
        freq = getattr(found[0], "freq_", None) if freq is None else freq
    if isinstance(future, pd.Index):  # times only
        future = pd.DataFrame(index=future)
    check_column_key(time, "time", newest)
    check_reserved(group_by, newest)
    outputs = resolve_outputs(model, target, horizon)
    options = TableOptions(time, group_by, freq, outputs)
    masks = any(windower.missing == "mask" for windower in found)
    newest, grid = _complete_newest(as_frame(newest, "forecast"), model, options, masks)
    last = grid.series.bounds[1:] - 1
    positions = required_positions(newest, grid.series, last, model)
    if masks:
        _warn_of_missing(newest, grid, options)
    else:
        check_no_gaps(grid, positions)
    ahead = _known_ahead(model, newest, options)
    n_steps = max(step for _, step in [*options.outputs, *ahead.values()])
    origins = grid.labels_of(grid.series.rows(last))
    if isinstance(grid.rule, RowStep) and future is not None:
        times = _get_future_times(future, options, grid, origins, n_steps)
        future = future if ahead else None
    else:
        times = _extrapolate_times(grid, origins, n_steps)
    X = _add_known(newest, future, ahead, options=options, grid=grid, times=times)
    rows = np.sort(grid.series.rows(positions))
    last_rows = np.searchsorted(rows, grid.series.rows(last))
    X = select_rows(X, rows)
    with ignore_unknown_times():
        columns = predicted_columns(model, X, last_rows, len(options.outputs))
    warn_of_short_windows(
        model,
        X,
        last_rows,
        grid=grid,
        positions=positions,
        group_by=options.group_by,
    )
    return _make_frame(grid, origins, times, options, columns)


def _complete_newest(newest, model, options, masks):
    """Return the newest rows after those that the model keeps from fit, and the grid.

    With `masks`, missing rows are inserted.
    """
    grid_options = options.for_grid()
    grid = _make_grid(newest, model, grid_options)
    whole = add_untargeted(newest, grid, model, options)
    if whole is not newest and options.freq is None:
        # The index of the whole does not declare a step; that of newest may.
        grid_options["freq"] = freq_of(grid.rule, grid.times)
    if masks:
        whole = fill_grid(whole, **grid_options)
    return whole, grid if whole is newest else _make_grid(whole, model, grid_options)


def _make_grid(newest, model, grid_options):
    grid = find_grid(newest, **grid_options)
    found = windowers(model)
    if isinstance(grid.rule, RowStep) and found:
        # The rows of fit show more of the calendar than a few new ones.
        grid = grid._replace(rule=row_step_of(found[0], grid.times) or grid.rule)
    return grid


class TableOptions(NamedTuple):
    """Columns and step of the table, and the outputs of the model."""

    time: str | None
    group_by: str | None
    freq: Any
    outputs: list[tuple[str, int]]  # target and steps ahead

    def for_grid(self) -> dict[str, Any]:
        """Return the keywords of `find_grid`."""
        return {
            "freq": self.freq,
            "time": self.time,
            "group_by": self.group_by,
            "estimator_name": "forecast",
        }


def resolve_outputs(model: Any, target: Any, horizon: Any) -> list[tuple[str, int]]:
    """Return target and steps ahead per output, from the parameters or the model."""
    names = target_names_of(model)
    outputs = parse_targets(names)
    if target is not None and horizon is not None:
        targets = list(target) if isinstance(target, (list, tuple)) else [target]
        wanted = [(name, k) for name in targets for k in check_horizon(horizon)]
        if outputs and outputs != wanted:
            raise ValueError(
                f"the model was fitted to forecast {list(names)}, not "
                f"target={target!r} with horizon={horizon!r}."
            )
        return wanted
    if target is not None or horizon is not None:
        raise ValueError(
            f"target={target!r} and horizon={horizon!r} go together: pass both, or "
            "neither to take them from the names of y's columns in fit."
        )
    if not outputs:
        known = "has no names" if names is None else f"is {list(names)}"
        raise ValueError(
            "target and horizon cannot be inferred from the y that the model was "
            f"fitted on, which {known}: pass target= and horizon=, as in "
            "make_forecast_frame, or fit it on the Y that it returns."
        )
    return outputs


def _warn_of_missing(newest, grid, options):
    """Warn if a forecast starts from an older value than that of its origin."""
    last = grid.series.rows(grid.series.bounds[1:] - 1)
    for name in dict.fromkeys(name for name, _ in options.outputs):
        if name not in list(newest.columns):
            continue
        missing = np.asarray(pd.isna(np.asarray(newest[name])))[last]
        if missing.any():
            of_series = ""
            if options.group_by is not None:
                of_series = _of_series(grid.series.labels[missing][0], options)
            warnings.warn(
                f"{name!r} has no value in the newest row{of_series}: the forecast "
                "continues from the last known value. Leave out the last rows without "
                "a value to forecast from the time of that value.",
                SklearnRNNWarning,
                stacklevel=user_stacklevel(),
            )


def _extrapolate_times(grid, origins, n_steps):
    """Return the times of the next steps, one Index per series."""
    if grid.times is None:
        return [pd.RangeIndex(row + 1, row + 1 + n_steps) for row in origins]
    if grid.rule is None:
        raise InvalidSequenceError(
            "newest has one row per series, and its times declare no step: pass the "
            "time between rows in freq=, or more rows."
        )
    return [times_ahead(grid.rule, grid.times, label, n_steps) for label in origins]


def _get_future_times(future, options, grid, origins, n_steps):
    """Return the times of the next steps in `future`, one Index per series."""
    future = as_frame(future, "future=")
    known, groups, labels = _check_future_times(future, options, grid)
    found = []
    for label, origin in zip(labels, origins, strict=True):
        times = known.labels[groups == label]
        next_times = times[times > origin][:n_steps]
        if len(next_times) < n_steps:
            raise InvalidSequenceError(
                f"future has {len(next_times)} rows{_of_series(label, options)} after "
                f"{origin}, but the model forecasts {n_steps} steps: pass one row per "
                "step."
            )
        if not (next_times.is_monotonic_increasing and next_times.is_unique):
            raise InvalidSequenceError(
                f"the times of future{_of_series(label, options)} are not sorted, or "
                "one is repeated: sort the rows by time, and drop duplicates."
            )
        found.append(next_times)
    return found


def _check_future_times(future, options, grid):
    """Return times and series of the rows of `future`, and the labels of all series."""
    known_times = times_of_frame(future, options.time, "future")
    kind = "no times" if known_times is None else known_times.kind
    if grid.times is None:
        # Numbers only count the rows, as in newest.
        same = kind in ("no times", "numbers")
        known_times = None
    else:
        same = kind == grid.times.kind
    if not same:
        of_newest = "no times" if grid.times is None else grid.times.kind
        raise InvalidSequenceError(
            f"the times of future are {kind}, and those of newest {of_newest}: use "
            "the same kind in both tables."
        )
    groups = np.zeros(len(future), dtype=int)
    labels = [0]
    if options.group_by is not None:
        groups = np.asarray(frame_column(future, options.group_by, "group_by"), object)
        labels = grid.series.labels
    return known_times, groups, labels


def _known_ahead(model, newest, options):
    """Return column and step of the features known in advance, by feature name."""
    columns = set(newest.columns)
    # Targets are not known in advance: "temp+1" is then another column, which is
    # missing in newest.
    sources = columns - {name for name, _ in options.outputs}
    features = getattr(model, "feature_names_in_", [])
    parsed = {name: parse_ahead(name) for name in features}
    return {
        name: found
        for name, found in parsed.items()
        if name not in columns and found is not None and found[0] in sources
    }


def _add_known(newest, future, ahead, *, options, grid, times):
    """Add the columns of the values known in advance."""
    if not ahead:
        if future is not None:
            raise ValueError(
                "future is given, but the model was fitted without columns known in "
                "advance: name them in known= of make_forecast_frame."
            )
        return newest
    names = list(dict.fromkeys(name for name, _ in ahead.values()))
    n_ahead = max(step for _, step in ahead.values())
    # A missing category is a category of its own.
    needed = [name for name in names if not has_categories(newest, name)]
    times = [of_series[:n_ahead] for of_series in times]
    future, future_rows = _check_future(
        future, names, needed, options=options, grid=grid, times=times
    )
    # Row indices per series in newest and future, one after the other.
    bounds = pairwise(grid.series.bounds)
    indices = [
        np.append(grid.series.rows(np.arange(*ends)), len(newest) + rows)
        for ends, rows in zip(bounds, future_rows, strict=True)
    ]
    whole = {
        name: pd.concat(
            [pd.Series(table[name]) for table in (newest, future)], ignore_index=True
        )
        for name in names
    }
    columns = {}
    for name, (source, step) in ahead.items():
        moved = np.empty(len(newest), dtype=int)
        for of_series in indices:
            here = of_series[:-n_ahead]
            moved[here] = of_series[step : step + len(here)]
        columns[name] = whole[source].take(moved)
    return add_columns(newest, columns)


def _check_future(future, names, needed, *, options, grid, times):
    """Return `future` as a table, and its rows at the times of each series.

    The columns `needed` must have a value in each of these rows.
    """
    if future is None:
        raise InvalidSequenceError(
            f"the model was fitted with {names[0]!r} known in advance: pass its future "
            "values in future=, one row per step."
        )
    future = as_frame(future, "future=")
    for name in names:
        if name not in list(future.columns):
            raise InvalidSequenceError(
                f"future has no column {name!r}, which was known in advance in fit; "
                f"its columns are {list(future.columns)}."
            )
    known_times, groups, labels = _check_future_times(future, options, grid)
    found = []
    for label, of_series in zip(labels, times, strict=True):
        rows = np.flatnonzero(groups == label)
        rows = rows[_find_times(known_times, rows, of_series, label, options)]
        found.append(rows)
        for name in needed:
            missing = np.asarray(pd.isna(np.asarray(future[name])))[rows]
            if missing.any():
                raise InvalidSequenceError(
                    f"future has no value of {name!r} at "
                    f"{of_series[int(missing.argmax())]}{_of_series(label, options)}, "
                    "and the model needs it."
                )
    return future, found


def _find_times(known_times, rows, wanted, label, options):
    """Return the indices of some times in `rows`; without times, use their order."""
    if known_times is None:
        if len(rows) > len(wanted):
            raise InvalidSequenceError(
                f"future has {len(rows)} rows{_of_series(label, options)}, the model "
                f"needs those of the next {len(wanted)} steps, which cannot be "
                f"identified without times: pass {len(wanted)} rows."
            )
        indices = np.arange(len(wanted))
        indices[len(rows) :] = -1
    else:
        labels = known_times.labels[rows]
        if not labels.is_unique:
            raise InvalidSequenceError(
                f"future has the time {labels[labels.duplicated()][0]} twice"
                f"{_of_series(label, options)}: drop one."
            )
        indices = labels.get_indexer(wanted)
    if (indices < 0).any():
        raise InvalidSequenceError(
            f"future has no row for {wanted[int(np.argmax(indices < 0))]}"
            f"{_of_series(label, options)}: the model needs the {len(wanted)} steps "
            f"from {wanted[0]} to {wanted[-1]}."
        )
    return indices


def _of_series(label, options):
    return "" if options.group_by is None else f" of {options.group_by} {label!r}"


def _make_frame(grid, origins, times, options, predicted):
    """Return forecasts as rows, series by series and output by output."""
    n_series, n_outputs = len(times), len(options.outputs)
    names, steps = zip(*options.outputs, strict=True)
    columns = {}
    if options.group_by is not None:
        labels = grid.series.labels.infer_objects()
        columns[options.group_by] = labels.repeat(n_outputs)
    if len(set(names)) > 1:
        columns["target"] = np.tile(names, n_series)
    columns["origin"] = origins.repeat(n_outputs)
    columns["horizon"] = np.tile(steps, n_series)
    index = times[0][:0]
    for of_series in times:
        index = index.append(of_series[np.array(steps) - 1])
    index = index.rename(index.name or options.time)
    return pd.DataFrame({**columns, **predicted}).set_axis(index)
