"""forecast: from a fitted model and the newest rows to the times to come."""

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
from sklearn_rnn.forecasting._frames import check_reserved, predicted_columns
from sklearn_rnn.forecasting._lookback import (
    add_untargeted,
    ignore_unknown_times,
    places_needed,
    warn_of_short_windows,
)
from sklearn_rnn.preprocessing import (
    RowStep,
    add_columns,
    as_frame,
    check_column_key,
    check_horizon,
    check_no_gaps,
    fill_grid,
    find_grid,
    frame_column,
    freq_of,
    has_categories,
    parse_ahead,
    parse_targets,
    row_step_of,
    select_rows,
    times_ahead,
    times_of_frame,
)

OWNER = "forecast"
FEATURES = "feature_names_in_"


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
        The newest rows, those of every series down to the last one known. As
        many as a window holds give the model its whole history; fewer do if
        they follow the table without a break that `make_forecast_frame` was
        given, and the model was fitted on the `X` that it made.
    future : DataFrame or Index of times, default=None
        What is known in advance of the steps to come: a row a step (and
        series), with the times, the columns named ``known=`` in
        `make_forecast_frame`, and `group_by`. With ``freq="rows"`` it may
        tell the times alone, such as the next days of an exchange.
    target : str or list of str, default=None
        What the model forecasts. None takes it from the names of y's columns
        in fit.
    horizon : int or list of int, default=None
        Which steps ahead the model forecasts, as in `make_forecast_frame`.
        None takes them from the names of y's columns in fit.
    freq : str, offset, Timedelta or number, default=None
        The time between rows; None takes that of the windower in the model,
        or finds it in `newest`. With "rows" the steps to come are dated by
        `future`; without, by the step of days that at least nine tenths of
        the rows keep, whatever holidays lie ahead.
    time : str, default=None
        Column that holds the times; None takes that of the windower in the
        model, or the index.
    group_by : str, default=None
        Column that tells series apart; None takes that of the windower.

    Returns
    -------
    DataFrame
        A row a series, target and step, indexed by the times to come. Columns:
        `group_by` if there are several series, `target` if there are several,
        `origin` (the last time known), `horizon` (steps ahead), `prediction`,
        and a column a quantile, such as ``q0.9``, if the model predicts them.
        Where no times are known, they are row numbers.

    Raises
    ------
    InvalidSequenceError
        If the newest rows have breaks, steps to come are missing in `future`,
        or rows are steps and nothing tells when those to come will be.
    ValueError
        If target or horizon are needed, or are not those of the model.

    Warns
    -----
    SklearnRNNWarning
        If values are masked, and a target has none in the newest row.
    WindowHistoryWarning
        If a forecast goes by fewer steps than a window holds, though there are
        earlier rows: it says how many rows to pass.

    See Also
    --------
    make_forecast_frame : The rows and targets to fit a model on.
    backtest : Forecasts of times that are known.
    ForecastDisplay : Their picture.

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
    if isinstance(future, pd.Index):  # dates alone
        future = pd.DataFrame(index=future)
    check_column_key(time, "time", newest)
    check_reserved(group_by, newest)
    task = Task(time, group_by, freq, read_outputs(model, target, horizon))
    masks = any(windower.missing == "mask" for windower in found)
    newest, grid = _read_newest(as_frame(newest, OWNER), model, task, masks)
    last = grid.series.bounds[1:] - 1
    needed = places_needed(newest, grid.series, last, model)
    if masks:
        _warn_of_missing(newest, grid, task)
    else:
        check_no_gaps(grid, needed)
    ahead = _known_ahead(model, newest, task)
    n_steps = max(step for _, step in [*task.outputs, *ahead.values()])
    origins = grid.labels_of(grid.series.rows(last))
    if isinstance(grid.rule, RowStep) and future is not None:
        times = _times_of_future(future, task, grid, origins, n_steps)
        future = future if ahead else None
    else:
        times = _times_to_come(grid, origins, n_steps)
    X = _with_known(newest, future, ahead, task, grid, times)
    rows = np.sort(grid.series.rows(needed))
    wanted = np.searchsorted(rows, grid.series.rows(last))
    X = select_rows(X, rows)
    with ignore_unknown_times():
        columns = predicted_columns(model, X, wanted, len(task.outputs))
    warn_of_short_windows(model, X, wanted, grid, needed, task.group_by)
    return _frame(grid, origins, times, task, columns)


def _read_newest(newest, model, task, masks):
    """Read the newest rows, behind those that the model was fitted just before."""
    reading = task.reading()
    grid = _read_grid(newest, model, reading)
    whole = add_untargeted(newest, grid, model, task)
    if whole is not newest and task.freq is None:
        reading["freq"] = freq_of(grid.rule, grid.times)  # the index declared it
    if masks:
        whole = fill_grid(whole, **reading)
    return whole, grid if whole is newest else _read_grid(whole, model, reading)


def _read_grid(newest, model, reading):
    grid = find_grid(newest, **reading)
    found = windowers(model)
    if isinstance(grid.rule, RowStep) and found:
        # A few new rows tell less of the calendar than those of fit.
        grid = grid._replace(rule=row_step_of(found[0], grid.times) or grid.rule)
    return grid


class Task(NamedTuple):
    """What is to be forecast, and how the table is read.

    Parameters
    ----------
    time, group_by : str or None
        Columns.
    freq : str, offset, Timedelta, number or None
        The time between rows.
    outputs : list of tuple (str, int)
        Target and steps ahead of each output.
    """

    time: str | None
    group_by: str | None
    freq: Any
    outputs: list

    def reading(self):
        """Return how the rows of a table stand in time, for `find_grid`."""
        return {
            "freq": self.freq,
            "time": self.time,
            "group_by": self.group_by,
            "estimator_name": OWNER,
        }


def read_outputs(model, target, horizon):
    """Find out which targets a fitted model forecasts, how many steps ahead.

    Parameters
    ----------
    model : estimator instance
        Fitted.
    target, horizon
        As given to `forecast`.

    Returns
    -------
    list of tuple (str, int)
        Of each output.

    Raises
    ------
    ValueError
        If neither the parameters nor the model say it.
    """
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
            f"target={target!r} and horizon={horizon!r} go together: give both, or "
            "neither to take them from the names of y's columns in fit."
        )
    if not outputs:
        known = "has no names" if names is None else f"is {list(names)}"
        raise ValueError(
            "what the model forecasts cannot be told from the y that it was fitted on, "
            f"which {known}: give target= and horizon=, as in make_forecast_frame, or "
            "fit it on the Y that comes from there."
        )
    return outputs


def _warn_of_missing(newest, grid, task):
    """Tell that a forecast starts from an older value than its origin says."""
    last = grid.series.rows(grid.series.bounds[1:] - 1)
    for name in dict.fromkeys(name for name, _ in task.outputs):
        if name not in list(newest.columns):
            continue
        missing = np.asarray(pd.isna(np.asarray(newest[name])))[last]
        if missing.any():
            of_series = ""
            if task.group_by is not None:
                of_series = _of_series(grid.series.labels[missing][0], task)
            warnings.warn(
                f"{name!r} has no value in the newest row{of_series}: the forecast "
                "goes on from the last one seen. Leave out the rows at the end that "
                "have none, and it starts where that was.",
                SklearnRNNWarning,
                stacklevel=user_stacklevel(),
            )


def _times_to_come(grid, origins, n_steps):
    """Return the times of the next steps, an Index a series."""
    if grid.times is None:
        return [pd.RangeIndex(row + 1, row + 1 + n_steps) for row in origins]
    if grid.rule is None:
        raise InvalidSequenceError(
            "newest has one row a series, and its times declare no step: give the time "
            "between rows in freq=, or more rows."
        )
    return [times_ahead(grid.rule, grid.times, label, n_steps) for label in origins]


def _times_of_future(future, task, grid, origins, n_steps):
    """Return the times of the next steps where rows are steps, as future has them."""
    future = as_frame(future, "future=")
    known, groups, labels = _read_keys(future, task, grid)
    found = []
    for label, origin in zip(labels, origins, strict=True):
        times = known.labels[groups == label]
        to_come = times[times > origin][:n_steps]
        if len(to_come) < n_steps:
            raise InvalidSequenceError(
                f"future has {len(to_come)} rows{_of_series(label, task)} after "
                f"{origin}, and the model forecasts {n_steps} steps, a row each."
            )
        if not (to_come.is_monotonic_increasing and to_come.is_unique):
            raise InvalidSequenceError(
                f"the rows of future{_of_series(label, task)} are not sorted by time, "
                "or have one twice: sort them, and drop duplicates."
            )
        found.append(to_come)
    return found


def _read_keys(future, task, grid):
    """Read the times and series of future's rows, and the labels of all series."""
    known_times = times_of_frame(future, task.time, "future")
    kind = "no times" if known_times is None else known_times.kind
    if grid.times is None:
        # Numbers only count the rows, as those of newest do.
        same = kind in ("no times", "numbers")
        known_times = None
    else:
        same = kind == grid.times.kind
    if not same:
        of_newest = "no times" if grid.times is None else grid.times.kind
        raise InvalidSequenceError(
            f"the times of future are {kind}, and those of newest {of_newest}: give "
            "both tables the same."
        )
    groups = np.zeros(len(future), dtype=int)
    labels = [0]
    if task.group_by is not None:
        groups = np.asarray(frame_column(future, task.group_by, "group_by"), object)
        labels = grid.series.labels
    return known_times, groups, labels


def _known_ahead(model, newest, task):
    """Find the features that hold what is known in advance: column and step."""
    have = set(newest.columns)
    # What is forecast is not known: "temp+1" is a column of its own, that newest lacks.
    sources = have - {name for name, _ in task.outputs}
    parsed = {name: parse_ahead(name) for name in getattr(model, FEATURES, [])}
    return {
        name: found
        for name, found in parsed.items()
        if name not in have and found is not None and found[0] in sources
    }


def _with_known(newest, future, ahead, task, grid, times):
    """Add the columns that tell what is known of the steps to come."""
    if not ahead:
        if future is not None:
            raise ValueError(
                "future is given, and the model was fitted with nothing known in "
                "advance: name the columns in known= of make_forecast_frame."
            )
        return newest
    names = list(dict.fromkeys(name for name, _ in ahead.values()))
    n_ahead = max(step for _, step in ahead.values())
    # A missing category is a category of its own.
    needed = [name for name in names if not has_categories(newest, name)]
    future, rows_to_come = _read_future(
        future, names, needed, task, grid, [t[:n_ahead] for t in times]
    )
    # Of each series, its rows and then those to come, which are numbered on.
    bounds = pairwise(grid.series.bounds)
    numbers = [
        np.append(grid.series.rows(np.arange(*ends)), len(newest) + to_come)
        for ends, to_come in zip(bounds, rows_to_come, strict=True)
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
        for of_series in numbers:
            here = of_series[:-n_ahead]
            moved[here] = of_series[step : step + len(here)]
        columns[name] = whole[source].take(moved)
    return add_columns(newest, columns)


def _read_future(future, names, needed, task, grid, times):
    """Read what is known of the steps to come: the table, and rows of each series.

    Of the columns, those `needed` must have a value in each of these rows.
    """
    if future is None:
        raise InvalidSequenceError(
            f"the model was fitted with {names[0]!r} known in advance: pass what it "
            "will be at the steps to come in future=, a row a step."
        )
    future = as_frame(future, "future=")
    for name in names:
        if name not in list(future.columns):
            raise InvalidSequenceError(
                f"future has no column {name!r}, which the model was fitted to know in "
                f"advance; its columns are {list(future.columns)}."
            )
    known_times, groups, labels = _read_keys(future, task, grid)
    found = []
    for label, of_series in zip(labels, times, strict=True):
        rows = np.flatnonzero(groups == label)
        rows = rows[_find_times(known_times, rows, of_series, label, task)]
        found.append(rows)
        for name in needed:
            missing = np.asarray(pd.isna(np.asarray(future[name])))[rows]
            if missing.any():
                raise InvalidSequenceError(
                    f"future has no value of {name!r} at "
                    f"{of_series[int(missing.argmax())]}{_of_series(label, task)}, "
                    "and the model needs it."
                )
    return future, found


def _find_times(known_times, rows, wanted, label, task):
    """Find the rows of some times; without times, rows stand in their order."""
    if known_times is None:
        if len(rows) > len(wanted):
            raise InvalidSequenceError(
                f"future has {len(rows)} rows{_of_series(label, task)}, the model "
                f"needs those of the {len(wanted)} steps to come, and without times "
                f"it cannot tell which these are: pass {len(wanted)} rows."
            )
        places = np.arange(len(wanted))
        places[len(rows) :] = -1
    else:
        labels = known_times.labels[rows]
        if not labels.is_unique:
            raise InvalidSequenceError(
                f"future has the time {labels[labels.duplicated()][0]} twice"
                f"{_of_series(label, task)}: drop one."
            )
        places = labels.get_indexer(wanted)
    if (places < 0).any():
        raise InvalidSequenceError(
            f"future has no row for {wanted[int(np.argmax(places < 0))]}"
            f"{_of_series(label, task)}: the model needs the {len(wanted)} steps from "
            f"{wanted[0]} to {wanted[-1]}."
        )
    return places


def _of_series(label, task):
    return "" if task.group_by is None else f" of {task.group_by} {label!r}"


def _frame(grid, origins, times, task, predicted):
    """Write forecasts into rows: series by series, target by target."""
    n_series, n_outputs = len(times), len(task.outputs)
    names, steps = zip(*task.outputs, strict=True)
    columns = {}
    if task.group_by is not None:
        labels = grid.series.labels.infer_objects()
        columns[task.group_by] = labels.repeat(n_outputs)
    if len(set(names)) > 1:
        columns["target"] = np.tile(names, n_series)
    columns["origin"] = origins.repeat(n_outputs)
    columns["horizon"] = np.tile(steps, n_series)
    index = times[0][:0]
    for of_series in times:
        index = index.append(of_series[np.array(steps) - 1])
    index = index.rename(index.name or task.time)
    return pd.DataFrame({**columns, **predicted}).set_axis(index)
