"""forecast: the times after the newest rows, by a fitted model."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn._exceptions import (
    SklearnRNNWarning,
    WindowHistoryWarning,
    user_stacklevel,
)
from sklearn_rnn.estimators import inspect_model, predicted_columns
from sklearn_rnn.forecasting._columns import check_reserved
from sklearn_rnn.forecasting._forecast_frame import check_horizon, fill_table
from sklearn_rnn.forecasting._future_rows import FutureRows, add_known
from sklearn_rnn.forecasting._recursion import Blocks, forecast_beyond
from sklearn_rnn.forecasting._windows_seen import cover_series_start, windows_seen
from sklearn_rnn.preprocessing import (
    RowStep,
    TimeTable,
    as_frame,
    describe_step,
    find_keys,
    parse_ahead,
    parse_targets,
    row_step_of,
    select_rows,
)

# Maximum number of series that a warning names.
SHOWN = 3


def forecast(
    model: Any,
    newest: Any,
    *,
    future: Any = None,
    target: str | Sequence[str] | None = None,
    horizon: int | Sequence[int] | None = None,
    freq: Any = None,
    time: str | None = None,
    group_by: str | Sequence[str] | None = None,
    static: str | Sequence[str] | None = None,
    n_paths: int = 100,
    random_state: int | np.random.RandomState | None = None,
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
        as the next days of an exchange. Beyond the horizon of the model it also has
        the other columns that the model reads (see Notes).
    target : str or list of str, default=None
        Targets of the model. None takes them from the names of y's columns in
        fit.
    horizon : int or list of int, default=None
        Steps ahead, as in `make_forecast_frame`. None takes those that the model was
        fitted to forecast, from the names of y's columns in fit. With these names it
        may also be shorter, or longer: then forecasts are fed back (see Notes).
        Without them it is that of the fit.
    freq : str, offset, Timedelta or number, default=None
        The time between rows; None takes that of the windower in the model,
        or infers it from `newest`. With "rows" the times of future steps are
        those of `future`; without `future`, they follow the step of days that at
        least nine tenths of the rows have, regardless of holidays.
    time : str, default=None
        Column of the times; None takes that of the windower in the model, or
        what the table says of itself, or the index.
    group_by : str or list of str, default=None
        Column or columns that identify the series; None takes those of the windower
        in the model, or what the table says of itself.
    static : str or list of str, default=None
        Columns that stay as they are in the newest row of each series, such as its
        region. Used only beyond the horizon of the model.
    n_paths : int, default=100
        Number of sampled paths per series, for quantiles beyond the horizon of the
        model.
    random_state : int, RandomState instance or None, default=None
        Seed of the paths; None samples others each time.

    Returns
    -------
    DataFrame
        One row per series, target and step, indexed by the future times. Columns:
        `group_by` if there are several series, `target` if there are several,
        `origin` (the last known time), `horizon` (steps ahead), `prediction`,
        and one column per quantile, such as ``q0.9``, if the model predicts
        them. Without times, the index counts rows. `backtest` has the times in a
        column: ``frame.rename_axis("time").reset_index()`` makes one of the index.

    Raises
    ------
    InvalidSequenceError
        If the newest rows have gaps, future steps are missing in `future`,
        ``freq="rows"`` and the times of future steps cannot be inferred, or a column
        is not known beyond the horizon of the model.
    ValueError
        If target or horizon are needed, `target` differs from that of the model, or
        `horizon` has steps that the model lacks, and it does not forecast every step
        from 1 on.

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

    Notes
    -----
    A horizon longer than that of the model is forecast in blocks of the model's
    horizon. Each block begins where the one before it ends, and takes its forecasts for
    observed values; if the model has columns known in advance, the last block ends
    at the horizon, so that `future` needs no more rows. The first block is what the
    model forecasts anyway.

    If the model predicts quantiles, `n_paths` paths are sampled: by a likelihood
    each block of a path is drawn from the predicted distribution; with
    ``loss="quantile"`` at a level that is drawn for each block, the same for all of
    its steps, on the line between the predicted quantiles (in normal scores, as also
    beyond the outermost quantiles). Quantiles beyond the first block are those of the
    paths, and `prediction` is their mean or median, as in the model. Series are
    sampled independently.

    Inputs other than targets have to be known at each step that is fed back: columns of
    the calendar that the pipeline makes are, columns in `static` stay as they are, and
    all others must be in `future`.

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

    Beyond the two days of the model, from its forecasts:

    >>> forecast(model, table, horizon=4)["prediction"].round(1).tolist()
    [60.0, 61.0, 62.0, 63.0]
    """
    parts = inspect_model(model)
    if parts.network is None:  # else it is fitted
        check_is_fitted(model)
    trained = parse_targets(parts.target_names)
    keys = find_keys(newest, time, group_by, freq, parts.keys)
    keys = keys._replace(missing=parts.keys.missing)
    if isinstance(future, pd.Index):  # times only
        future = pd.DataFrame(index=future)
    if keys.group_by is not None:
        check_reserved(keys)
    outputs = wanted = trained
    if target is not None or horizon is not None or not trained:
        outputs, wanted = resolve_outputs(parts.target_names, trained, target, horizon)
    table, positions, needed, ahead, times = _prepare_rows(
        model, parts, newest, future, keys=keys, outputs=outputs, wanted=wanted
    )
    X = add_known(table, future, ahead, times) if ahead else table.data
    rows, latest = np.sort(needed), needed[np.searchsorted(positions, table.latest)]
    X, last_rows = select_rows(X, rows), np.searchsorted(rows, latest)
    origins = table.index[latest]
    names, steps = zip(*wanted, strict=True)
    is_beyond = max(steps) > max(k for _, k in outputs)
    chosen = outputs if is_beyond else wanted
    columns = predicted_columns(model, X, last_rows, outputs, chosen)
    lookback, rule = parts.lookback, table.rule
    is_whole = lookback is not None and np.diff(table.series_bounds).min() > lookback
    # Between rows with the step of fit there is no gap.
    same_step = is_whole and all(w._rule == rule for w in parts.windowers)
    if not same_step or isinstance(rule, RowStep):
        _warn_of_short_windows(model, X, last_rows, table, positions)
    if is_beyond:
        columns = forecast_beyond(
            model,
            table,
            columns,
            blocks=Blocks.of(outputs, max(steps), ahead),
            steps=list(dict.fromkeys(steps)),
            times=times,
            future=future,
            static=static,
            n_paths=n_paths,
            random_state=random_state,
        )
    labels = {} if table.labels is None else table.label_columns()
    frame = {name: column.repeat(len(wanted)) for name, column in labels.items()}
    if len(set(names)) > 1:
        frame["target"] = np.tile(names, len(times))
    frame["origin"] = origins.repeat(len(wanted))
    frame["horizon"] = np.tile(steps, len(times))
    index = times[0][:0].append([later[np.array(steps) - 1] for later in times])
    index = index.rename(index.name or keys.time)
    return pd.DataFrame({**frame, **columns}).set_axis(index)


def resolve_outputs(
    names: Any, outputs: list[tuple[str, int]], target: Any, horizon: Any
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return target and steps ahead per output of a model, and those asked for.

    `names` are those of the targets of fit, and `outputs` what they say.
    """
    targets = list(target) if isinstance(target, (list, tuple)) else [target]
    steps = None if horizon is None else check_horizon(horizon)
    if not outputs:
        if target is None or steps is None:
            known = "has no names" if names is None else f"is {list(names)}"
            raise ValueError(
                "target and horizon cannot be inferred from the y that the model was "
                f"fitted on, which {known}: pass target= and horizon= if y holds the "
                "values to come, or else fit it on the X and Y of "
                f"make_forecast_frame(table, target={_placeholder(target)}, "
                f"horizon={_placeholder(horizon)})."
            )
        outputs = [(name, k) for name in targets for k in steps]
        return outputs, outputs
    fitted = list(dict.fromkeys(name for name, _ in outputs))
    if target is not None and targets != fitted:
        raise ValueError(
            f"the model was fitted to forecast {list(names)}, not target={target!r}."
        )
    if steps is None:
        return outputs, outputs
    wanted = [(name, k) for name in fitted for k in steps]
    missing = [k for name, k in wanted if (name, k) not in outputs]
    trained = max(k for _, k in outputs)
    is_complete = sorted(outputs) == sorted(product(fitted, range(1, trained + 1)))
    if missing and not is_complete:
        raise ValueError(
            f"the model was fitted to forecast {list(names)}, and horizon={horizon!r} "
            f"asks for step {missing[0]}, too. Other steps can be forecast if it "
            f"forecasts every step from 1 on: fit it with horizon={trained}."
        )
    return outputs, wanted


def _placeholder(value):
    return "..." if value is None else repr(value)


class ForecastRows(NamedTuple):
    """The rows that a forecast starts from, and what is known of those to come.

    table : TimeTable of the newest rows, after rows of fit that they follow
    positions : ndarray of int, those that the model reads
    rows : ndarray of int, the row at each of them
    ahead : column and step by the name of each feature that is known in advance
    times : list of Index, the times to come of each series
    """

    table: TimeTable
    positions: np.ndarray
    rows: np.ndarray
    ahead: dict[str, tuple[str, int]]
    times: list[pd.Index]


def _prepare_rows(model, parts, newest, future, *, keys, outputs, wanted):
    """Return the ForecastRows of a model and the tables that `forecast` gets."""
    data = as_frame(newest, "forecast")
    table = TimeTable.read(data, keys, "forecast", must_be_regular=True)
    if isinstance(table.rule, RowStep) and parts.windowers:
        # Dated by the calendar in fit.
        rule = row_step_of(parts.windowers[0], table.times)
        table = replace(table, rule=rule or table.rule)
    columns, lookback = list(data.columns), parts.lookback
    is_whole = lookback is not None and (np.diff(table.series_bounds) > lookback).all()
    # Filled, a value may be older than the window.
    needs_earlier = isinstance(data, pd.DataFrame) and (keys.missing or not is_whole)
    for windower in parts.windowers if needs_earlier else ():
        earlier = getattr(windower, "_untargeted_rows", None)
        if earlier is None or windower.history is None:
            continue
        one_level = earlier.index.nlevels == data.index.nlevels == 1
        same_index = one_level or earlier.index.names == data.index.names
        if same_index and set(columns) <= set(earlier.columns):
            table = table.with_earlier(earlier[columns], "forecast")
            break
    if keys.missing:
        table = fill_table(table, (), "forecast")
        _warn_of_missing(table, outputs)
    positions, rows = table.window_positions(table.latest, lookback, keys.missing)
    if not keys.missing and len(table.gaps):
        table.check_no_gaps(positions)
    # Targets are not known in advance: "temp+1" is then another column, which is
    # missing in newest.
    sources = set(columns) - {name for name, _ in outputs}
    features = getattr(model, "feature_names_in_", [])
    parsed = {name: parse_ahead(name) for name in features if name not in columns}
    ahead = {name: of for name, of in parsed.items() if of and of[0] in sources}
    n_steps = max(step for _, step in [*outputs, *wanted, *ahead.values()])
    if future is not None and isinstance(table.rule, RowStep):
        times = FutureRows.read(future, table).next_times(n_steps)
    else:
        times = table.next_times(n_steps)
        is_beyond = max(k for _, k in wanted) > max(k for _, k in outputs)
        if future is not None and not (ahead or is_beyond):
            raise ValueError(
                "future is given, but the model was fitted without columns known in "
                "advance: name them in known= of make_forecast_frame."
            )
    return ForecastRows(table, positions, rows, ahead, times)


def _warn_of_missing(table, outputs):
    """Warn if a forecast starts from an older value than that of its origin."""
    last = table.rows(table.latest)
    for name in dict.fromkeys(name for name, _ in outputs):
        if name not in list(table.data.columns):
            continue
        missing = np.isin(last, table.missing_values(name))
        if missing.any():
            labels = [None] if table.labels is None else table.labels[missing]
            warnings.warn(
                f"{name!r} has no value in the newest row"
                f"{table.describe_series(labels[0])}: the forecast "
                "continues from the last known value. Leave out the last rows without "
                "a value to forecast from the time of that value.",
                SklearnRNNWarning,
                stacklevel=user_stacklevel(),
            )


def _warn_of_short_windows(model, X, rows, table, positions):
    """Warn if forecasts use fewer steps than a window of the model has.

    `rows` are those of X with the newest row of each series, `positions` those of the
    rows of X in the whole table.
    """
    # By series, the number of its rows in X, and the time of the first.
    first_rows = np.searchsorted(positions, table.series_bounds[:-1])
    own = np.diff(np.append(first_rows, len(positions)))
    begins = None
    if table.timestamps is not None:
        begins = table.timestamps[positions[first_rows]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SklearnRNNWarning)  # predict repeats them
        found = windows_seen(model, X, rows)
    for windower, n_steps, seen in found:
        short = seen < n_steps
        short &= ~cover_series_start(windower, table.labels, seen, own, begins)
        if short.any():
            forecasts = _short_forecasts(seen, short, table.labels)
            names = " and ".join(map(str, table.keys.groups))
            per_series = "" if table.labels is None else f" of each {names}"
            reason = _missing_rows(windower, n_steps, per_series)
            if (seen < own)[short].all():
                reason = _other_freq(windower, table.freq)
            warnings.warn(
                f"{forecasts} the {n_steps} steps of a window of the model: {reason}",
                WindowHistoryWarning,
                stacklevel=user_stacklevel(),
            )
            return


def _short_forecasts(seen, short, labels):
    """Describe how many steps forecasts used."""
    if labels is None:
        return f"the forecast uses {seen[0]} of"
    indices = np.flatnonzero(short)
    shown = ", ".join(f"{labels[i]!r}: {seen[i]}" for i in indices[:SHOWN])
    more = ", ..." if len(indices) > SHOWN else ""
    return (
        f"the forecasts of {len(indices)} of {len(seen)} series use fewer "
        f"({shown}{more}) than"
    )


def _missing_rows(windower, n_steps, per_series):
    """Explain that rows are missing, and how many to pass."""
    forced = ""
    if windower.history == "train" and windower._rule is not None:
        forced = " history='train' completes windows with training rows nevertheless."
    return (
        "newest has no more, and no rows that the model keeps from fit precede them "
        f"without a gap.{forced} Pass the last {n_steps} rows{per_series}. (Rows "
        "without a target are kept if the X of make_forecast_frame is fitted "
        "unaltered.)"
    )


def _other_freq(windower, freq):
    """Explain that the windower has a shorter step between rows than forecast."""
    step = "at most as far apart as in fit"
    if windower.freq_ is not None:
        step = f"{describe_step(windower.freq_)} apart"
    return (
        f"its SequenceWindower cuts windows where rows are not {step}, and forecast "
        f"uses freq={describe_step(freq)!r}. Fit the model with that freq=, or pass "
        "none to forecast."
    )
