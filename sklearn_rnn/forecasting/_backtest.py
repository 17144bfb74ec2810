"""backtest: forecasts of the past from a rolling origin."""

import re
import warnings
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from joblib.parallel import get_active_backend
from pandas.api.types import is_list_like
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from sklearn_rnn._exceptions import (
    SklearnRNNWarning,
    WindowHistoryWarning,
    user_stacklevel,
)
from sklearn_rnn.estimators import (
    inspect_model,
    new_random_state,
    predicted_columns,
)
from sklearn_rnn.forecasting._columns import (
    check_reserved,
    quantile_columns,
)
from sklearn_rnn.forecasting._forecast_frame import pair_with_future
from sklearn_rnn.forecasting._recursive import RecursiveForecast, find_fit_horizon
from sklearn_rnn.forecasting._windows_seen import ignore_unknown_times
from sklearn_rnn.model_selection import TimeBlockSplit
from sklearn_rnn.preprocessing import TimeTable, describe_step, find_keys, select_rows
from sklearn_rnn.sequences import freq_of

# Rows per season by the unit of the step between rows; the season of steps shorter than
# a day is a day. Years have no season.
SEASONS = {
    "D": 7,
    "B": 5,
    "W": 52,
    **dict.fromkeys(["SMS", "SME"], 24),
    **dict.fromkeys(["M", "MS", "ME", "BMS", "BME", "CBMS", "CBME"], 12),
    **dict.fromkeys(["WOM", "LWOM"], 12),
    **dict.fromkeys(["Q", "QS", "QE", "BQS", "BQE"], 4),
    **dict.fromkeys(["Y", "YS", "YE", "BYS", "BYE"], 1),
}
# Keywords of pd.DateOffset with an equivalent offset or Timedelta.
OFFSETS = {"months": pd.offsets.MonthBegin, "years": pd.offsets.YearBegin}
TIMEDELTA_UNITS = ("weeks", "days", "hours", "minutes", "seconds")

# Maximum number of blocks and series that a warning names.
SHOWN = 3
# Names of columns that are known in advance, as `make_forecast_frame` makes them.
AHEAD = re.compile(r".+\+[1-9][0-9]*")


def backtest(
    model: Any,
    data: Any,
    target: str | Sequence[str] | None = None,
    horizon: int | Sequence[int] = 1,
    *,
    cv: Any = 5,
    refit: bool = True,
    stride: int = 1,
    known: str | Sequence[str] | None = None,
    missing: Literal["raise", "mask"] | None = None,
    season: int | None = None,
    freq: Any = None,
    time: str | None = None,
    group_by: str | Sequence[str] | None = None,
    fit_horizon: int | None = None,
    static: str | Sequence[str] | None = None,
    n_paths: int = 100,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Forecast the past from data known at the time, next to the true values.

    For each block of time, the model is fitted on earlier rows and forecasts from
    every row of the block (rolling origin). No training target is later than the
    first row of a block, whatever the splitter does: rows with later targets are
    left out.

    Parameters
    ----------
    model : estimator instance
        A pipeline that begins with a `SequenceWindower`, a search over one, or
        any other regressor of rows. A clone is fitted. To evaluate a model that is
        already fitted, on rows that it was not fitted on, wrap it in
        ``sklearn.frozen.FrozenEstimator``.
    data : DataFrame or Series
        The table, as for `make_forecast_frame`.
    target : str or list of str, default=None
        The column or columns to forecast. Needed unless `data` is a Series or
        has a single column.
    horizon : int or list of int, default=1
        How many rows ahead, at least 1: all steps up to it, or those of a list.
    cv : int, splitter or iterable, default=5
        Splits the data into blocks. An int is the number of blocks of
        `TimeBlockSplit`; a splitter, such as ``TimeSeriesSplit``, splits the rows
        of `make_forecast_frame`. An iterable yields pairs of training and test
        rows, as indices or masks of the rows of its ``X``. Each test block must
        be later than its training rows.
    refit : bool, default=True
        Whether to refit the model for every block; False fits it on the first
        block only.
    stride : int, default=1
        Number of times between the origins of a block: 24 is one forecast per day
        in an hourly table.
    known : str or list of str, default=None
        Columns that are known in advance, as for `make_forecast_frame`.
    missing : {"raise", "mask"}, default=None
        How to handle missing rows and values, as for `make_forecast_frame`.
    season : int, default=None
        Rows per season, for the seasonal naive forecast. None infers it from the
        time between rows: a day of hours or minutes, 7 days, 5 business days,
        52 weeks, 12 months, 4 quarters, 1 year. Without dates, or with another
        step, it is 1 (the last value), with a warning.
    freq : str, offset, Timedelta or number, default=None
        The time between rows, as for `make_forecast_frame`; None infers it.
    time : str, default=None
        Column of the times; None takes what the table says of itself, as for
        `make_forecast_frame`, or else the index.
    group_by : str or list of str, default=None
        Column or columns that identify the series, if the table has several; None
        takes what the table says of itself.
    fit_horizon : int, default=None
        Steps ahead that the model itself learns, fewer than `horizon`: it is fitted to
        forecast 1 to `fit_horizon`, and its forecasts are fed back, as by
        ``forecast(model, newest, horizon=...)``. Each time is forecast from by itself:
        with a `stride` there are fewer. None: all steps of `horizon`, or, of a model in
        a ``FrozenEstimator``, those that it was fitted to forecast.
    static : str or list of str, default=None
        Columns that stay as they are in the newest row of each series, such as its
        region. Used only where forecasts are fed back.
    n_paths : int, default=100
        Number of sampled paths per origin and series, for quantiles where forecasts are
        fed back.
    random_state : int, RandomState instance or None, default=None
        Seed of the paths; None samples others each time.
    n_jobs : int, default=None
        Number of blocks computed in parallel by joblib, -1 for all processors, with the
        same result. None is 1 outside of a ``joblib.parallel_config``. Inside of a job
        a network uses one thread, unless it has `n_threads`.
    verbose : bool, default=False
        Whether to print a line per block, as soon as it is done: its number, its
        first and last origin, how many rows it was fitted on, and its mean absolute
        error over all targets and horizons.

    Returns
    -------
    DataFrame
        One row per forecast. Columns: those of `group_by`, `target` if there are
        several, `fold` (index of the block, from 0), `origin` (the last known
        time), `time` (time of the forecast value), `horizon` (steps ahead),
        `truth`, `prediction`, `naive` (seasonal naive forecast), `scale` (mean
        absolute error of the seasonal naive forecast in the training rows, for
        MASE), and one column per quantile, such as ``q0.9``, if the model
        predicts them. A row has its time in a column, where the frames of `forecast`
        have it as the index: there are several forecasts of one time.

    Raises
    ------
    ValueError
        If a training row of a splitter is later than its test rows, no training
        row is left, or a row of a splitter has no targets.

    Warns
    -----
    SklearnRNNWarning
        If `season` is None and cannot be inferred, so that it is 1; or if a
        season is longer than the data known before a block, so that there is no
        naive forecast to compare with.

    See Also
    --------
    score_forecasts : Errors of forecasts, by horizon.
    ConformalCalibrator : Calibrated quantiles of forecasts.
    TimeBlockSplit : Blocks of time, across several series.

    Notes
    -----
    Every forecast uses the whole history before it, including rows in the gap
    before a block. Predictions are those of ``model.predict`` for the same rows.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn_rnn import backtest
    >>> days = pd.date_range("2024-01-01", periods=30, freq="D")
    >>> table = pd.DataFrame({"sales": np.arange(30.0)}, index=days)
    >>> frame = backtest(LinearRegression(), table, "sales", horizon=2, cv=2)
    >>> frame[["origin", "time", "horizon", "truth", "prediction", "naive"]].head(2)
          origin       time  horizon  truth  prediction  naive
    0 2024-01-11 2024-01-12        1   11.0        11.0    4.0
    1 2024-01-11 2024-01-13        2   12.0        12.0    5.0
    """
    _check_options(refit, stride, season)
    check_reserved(find_keys(data, time, group_by))
    read = partial(
        pair_with_future,
        data,
        target,
        known=known,
        missing=missing,
        freq=freq,
        time=time,
        group_by=group_by,
        estimator_name="backtest",
    )
    pairs, recursive = read(horizon=horizon), None
    steps = [k for _, k in pairs.outputs]
    fit_horizon = find_fit_horizon(model, fit_horizon, steps)
    if fit_horizon is not None:
        recursive = RecursiveForecast(read(horizon=fit_horizon), static, n_paths)
    _check_known(model, pairs if recursive is None else recursive.trained)
    table = pairs.table
    if table.labels is not None and table.times is None:
        raise ValueError(
            "several series need times, which define the order of rows between "
            "series: name their column in time=, or make it the index."
        )
    season = _resolve_season(season, table)
    folds = _make_folds(cv, pairs, stride)
    _warn_of_long_season(season, folds, pairs)
    season = min(season, table.n_rows)  # so that no index overflows
    models = [model] * len(folds)
    if not refit:
        rows = _training_rows(pairs, folds[0].train, recursive)
        models = [clone(model).fit(*rows)] * len(folds)
    # Drawn first: the same for any number of jobs.
    seeds = new_random_state(random_state).randint(2**31 - 1, size=len(folds))
    frames = []
    # Some backends, such as Ray's, have results at the end alone.
    one_by_one = getattr(get_active_backend()[0], "supports_return_generator", False)
    with ignore_unknown_times():
        found = Parallel(n_jobs, return_as="generator" if one_by_one else "list")(
            delayed(_forecast_fold)(
                fold_model, pairs, fold, season, refit, recursive, seed
            )
            for fold_model, fold, seed in zip(models, folds, seeds, strict=True)
        )
        for frame, fold in zip(found, folds, strict=True):
            frames.append(frame)
            if verbose:
                print(_describe_block(len(frames), len(folds), frame, fold), flush=True)
    frames = pd.concat(frames, keys=range(len(folds)), names=["fold"])
    frames = frames.reset_index("fold").reset_index(drop=True)
    return _arrange_columns(frames, list(table.keys.groups))


def _describe_block(number, n_blocks, frame, fold):
    """Return the line that is printed for a block that is done."""
    error = (frame["prediction"] - frame["truth"]).abs().mean()
    return (
        f"block {number} of {n_blocks}: {frame['origin'].min()} to "
        f"{frame['origin'].max()}, {len(fold.train)} rows to fit on, MAE {error:.4g}"
    )


def _check_options(refit, stride, season):
    for name, value in (("stride", stride), ("season", season)):
        is_int = isinstance(value, Integral) and not isinstance(value, bool)
        if (value is not None or name == "stride") and not (is_int and value >= 1):
            raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")
    if not isinstance(refit, (bool, np.bool_)):
        raise ValueError(f"refit must be True or False, got {refit!r}.")


def _check_known(model, pairs):
    """Check that a fitted model is tested with the columns known in advance it has."""
    fitted_on = getattr(model, "feature_names_in_", ())
    absent = [name for name in fitted_on if name not in pairs.X.columns]
    known = {name.rpartition("+")[0] for name in absent if AHEAD.fullmatch(str(name))}
    if known:
        raise ValueError(
            f"model was fitted on columns known in advance, {sorted(known)}, which "
            f"backtest was not given: pass known={sorted(known)}, or clone(model) to "
            "test it without them."
        )


class Fold(NamedTuple):
    """A block of time."""

    train: np.ndarray  # rows of X to fit on
    test: np.ndarray  # rows of X to forecast from
    is_known: np.ndarray  # bool, by position: values that the training may use


def infer_season(table: TimeTable) -> int | None:
    """Return the rows per season, or None if the step of the table has none known."""
    step = _step_of(table)
    if type(step) is pd.DateOffset:
        step = _simplify_offset(step)
    if isinstance(step, pd.offsets.Day):
        step = pd.Timedelta(days=step.n)
    if isinstance(step, (pd.Timedelta, pd.offsets.Tick)):
        step, day = pd.Timedelta(step), pd.Timedelta(days=1)
        if step < day:
            return None if day % step else day // step
        if step % day:
            return None
        n, unit = step // day, "D"
    elif isinstance(step, pd.offsets.CustomBusinessDay):
        return int(np.sum(step.calendar.weekmask)) if step.n == 1 else None
    elif isinstance(step, pd.offsets.BaseOffset):
        n, unit = step.n, step.base.freqstr.split("-")[0]
    else:
        return None
    if unit == "D" and n % 7 == 0:
        n, unit = n // 7, "W"
    season = SEASONS.get(unit, 0)
    if season == 1:
        return 1
    return season // n if season and season % n == 0 else None


def _simplify_offset(offset):
    """Return a pd.DateOffset as an offset or Timedelta of the same season, or None."""
    [(keyword, n), *others] = offset.kwds.items() or [(None, 1)]
    if others or keyword not in (*OFFSETS, *TIMEDELTA_UNITS):
        return None
    n *= offset.n
    return OFFSETS[keyword](n) if keyword in OFFSETS else pd.Timedelta(**{keyword: n})


def _step_of(table):
    """Return the step between rows; with freq="rows", that of nearly all rows."""
    return freq_of(getattr(table.rule, "spacing", table.rule), table.times)


def _resolve_season(season, table):
    """Return the rows per season; warn if it cannot be inferred."""
    if season is None:
        season = infer_season(table)
    if season is not None:
        return int(season)
    reason = "data has no dates, so the length of a season is not known"
    if table.times is not None and table.times.kind != "numbers":
        step = _step_of(table)
        reason = "the rows have no fixed step, so the length of a season is not known"
        if step is not None:
            step = describe_step(step)
            reason = f"rows that are {step} apart have no known season"
    warnings.warn(
        f"{reason}: 'naive' is the last value (season=1), which the mase, naive_mae, "
        "naive_rmse and skill of score_forecasts compare with. Pass the number of "
        "rows per season, for example season=24 for hours of a day; or season=1 for "
        "the last value.",
        SklearnRNNWarning,
        stacklevel=user_stacklevel(),
    )
    return 1


def _warn_of_long_season(season, folds, pairs):
    """Warn if the data before some blocks are not longer than a season."""
    table = pairs.table
    short_series = {}
    for i, fold in enumerate(folds):
        n_known = np.add.reduceat(fold.is_known.astype(int), table.series_bounds[:-1])
        tested = np.unique(table.series_of(pairs.positions[fold.test]))
        short = tested[n_known[tested] <= season]
        if len(short):
            short_series[i] = short
    if not short_series:
        return
    where = f"block(s) {_abbreviate(short_series)} of {len(folds)}"
    if table.labels is not None:
        short = np.unique(np.concatenate(list(short_series.values())))
        where += f" in the series {_abbreviate(map(repr, table.labels[short]))}"
    warnings.warn(
        f"the data known before {where} are no longer than a season of {season} rows: "
        "'scale', and 'naive' where it needs earlier rows, are NaN there, and "
        "score_forecasts leaves these forecasts out of mase, naive_mae, naive_rmse "
        "and skill. Use a shorter season=, more data or fewer blocks.",
        SklearnRNNWarning,
        stacklevel=user_stacklevel(),
    )


def _abbreviate(names):
    names = [str(name) for name in names]
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _make_folds(cv, pairs, stride):
    """Return the blocks of a splitter, without training rows with later targets."""
    time_index = np.asarray(pairs.table.time_index())
    max_horizon = max(k for _, k in pairs.outputs)
    now, target_time = (
        time_index[pairs.positions],
        time_index[pairs.positions + max_horizon],
    )
    folds = []
    for i, (train, test) in enumerate(_split(cv, pairs, now, max_horizon)):
        train = _check_rows(train, "training", i, pairs)
        test = _check_rows(test, "test", i, pairs)
        begin = now[test].min()
        if now[train].max() >= begin:
            raise ValueError(
                f"block {i} of cv has training rows that do not come before its "
                "test rows in time, so that later values would leak into forecasts: "
                "use TimeBlockSplit (or, for one series, TimeSeriesSplit)."
            )
        train = train[target_time[train] <= begin]
        if len(train) == 0:
            raise ValueError(
                f"block {i} of cv leaves no row to fit on whose targets, "
                f"{max_horizon} steps ahead, are known at its first row: use fewer "
                "blocks, or more data."
            )
        is_origin = np.isin(now[test], np.unique(now[test])[::stride])
        is_known = time_index <= target_time[train].max()
        folds.append(Fold(train, test[is_origin], is_known))
    return folds


def _split(cv, pairs, now, max_horizon):
    """Return the pairs of training and test rows of a splitter."""
    splits, is_number = cv, isinstance(cv, Integral)
    if is_number:
        splits = TimeBlockSplit(cv, gap=max_horizon - 1).split(pairs.X, groups=now)
    elif isinstance(cv, (type, str)) or not (hasattr(cv, "split") or is_list_like(cv)):
        raise ValueError(
            f"cv must be an int, a splitter, or pairs of training and test rows, got "
            f"{cv!r}."
        )
    elif hasattr(cv, "split"):
        splits = cv.split(pairs.X, pairs.Y)
    splits = list(splits) if is_list_like(splits) else []
    if not splits:
        raise ValueError(f"cv={cv!r} gives no block to forecast.")
    for split in splits:
        if not isinstance(split, (tuple, list)) or len(split) != 2:
            raise ValueError(
                "cv must be an int, a splitter, or pairs of training and test rows, "
                f"such as [(train, test)], and one of them is {split!r}."
            )
    return splits


def _check_rows(rows, kind, block, pairs):
    """Return valid rows of X, sorted, from those of a splitter."""
    rows, n_rows = np.asarray(rows), len(pairs.X)
    where = f"the {kind} rows of block {block} of cv"
    if rows.dtype == bool and rows.shape == (n_rows,):
        rows = np.flatnonzero(rows)
    if rows.ndim == 1 and len(rows) == 0:
        raise ValueError(f"{where} are empty: pass at least one.")
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(
            f"{where} are {rows.dtype} of shape {rows.shape}: pass row indices, or a "
            f"mask of {n_rows} bools."
        )
    rows = np.sort(rows)
    outside = rows[(rows < 0) | (rows >= n_rows)]
    if len(outside):
        raise ValueError(
            f"{where} include {len(outside)} outside of the {n_rows} rows with a "
            f"target, counted from 0: {outside[0]} to {outside[-1]}. The table has "
            f"{pairs.table.n_rows} rows, and the last {pairs.outputs[-1][1]} of a "
            "series have no target yet. Pass the splitter itself as cv, or split the X "
            "of make_forecast_frame."
        )
    duplicates = rows[1:][rows[1:] == rows[:-1]]
    if len(duplicates):
        raise ValueError(f"{where} contain row {duplicates[0]} twice: drop one.")
    return rows.astype(np.intp)


def _training_rows(pairs, rows, recursive=None):
    """Return rows of X and their targets; a single target is one-dimensional."""
    if recursive is not None:
        positions, pairs = pairs.positions[rows], recursive.trained
        rows = _row_at(pairs)[positions]
    X, Y = select_rows(pairs.X, rows), select_rows(pairs.Y, rows)
    return X, Y if len(pairs.outputs) > 1 else Y[next(iter(Y.columns))]


def _forecast_fold(model, pairs, fold, season, refit, recursive, seed):
    if refit:
        model = clone(model).fit(*_training_rows(pairs, fold.train, recursive))
    with warnings.catch_warnings():
        # Rows that no window contains are left out of X, which is no gap in the table.
        warnings.simplefilter("ignore", WindowHistoryWarning)
        if recursive is None:
            rows, origins = _with_history(pairs, fold.test, model)
            X = select_rows(pairs.X, rows)
            outputs = pairs.outputs
            predicted = predicted_columns(model, X, origins, outputs, outputs)
        else:
            random_state = np.random.RandomState(seed)
            predicted = recursive.predict(model, pairs, fold.test, random_state)
    return pd.DataFrame({**_known_columns(pairs, fold, season), **predicted})


def _with_history(pairs, test, model):
    """Return the rows of X in the windows of test rows, and the test rows in them."""
    parts = inspect_model(model)
    lookback, missing = parts.lookback, parts.keys.missing
    tested = pairs.positions[test]
    positions, _ = pairs.table.window_positions(tested, lookback, missing)
    rows = np.sort(_row_at(pairs)[positions])
    return rows, np.searchsorted(rows, test)


def _row_at(pairs):
    """Return the row of X at each position of the table, -1 for none."""
    row_at = np.full(pairs.table.n_rows, -1)
    row_at[pairs.positions] = np.arange(len(pairs.positions))
    return row_at


def _known_columns(pairs, fold, season):
    """Return all columns but the predictions, one row per forecast."""
    table, n_outputs = pairs.table, len(pairs.outputs)
    positions = pairs.positions[fold.test]
    series_index = table.series_of(positions)
    names, steps = (np.array(part) for part in zip(*pairs.outputs, strict=True))
    columns = {
        name: labels[series_index].repeat(n_outputs)
        for name, labels in table.label_columns().items()
    }
    columns["target"] = np.tile(names, len(positions))
    origins = table.rows(positions)
    columns["origin"] = table.index[origins].repeat(n_outputs)
    ahead = table.rows((positions[:, np.newaxis] + steps).ravel())
    columns["time"] = table.index[ahead]
    columns["horizon"] = np.tile(steps, len(positions))
    columns.update(_true_values(pairs, fold, positions, series_index, season))
    return columns


def _true_values(pairs, fold, positions, series_index, season):
    """Return the columns of true values, naive forecasts and their scales."""
    table = pairs.table
    rows = table.rows(np.arange(table.n_rows))
    values, scales = {}, {}
    for name in dict.fromkeys(name for name, _ in pairs.outputs):
        values[name] = np.asarray(table.data[name], dtype=np.float64)[rows]
        known = np.where(fold.is_known, values[name], np.nan)
        scales[name] = _scales(known, table.series_bounds, season)[series_index]
    begins = table.series_bounds[series_index]
    shape = (len(positions), len(pairs.outputs))
    truth, naive, scale = np.empty(shape), np.empty(shape), np.empty(shape)
    for i, (name, k) in enumerate(pairs.outputs):
        truth[:, i] = values[name][positions + k]
        naive[:, i] = _seasonal_naive(values[name], positions, begins, k, season)
        scale[:, i] = scales[name]
    return {"truth": truth.ravel(), "naive": naive.ravel(), "scale": scale.ravel()}


def _seasonal_naive(values, positions, begins, step, season):
    """Return the values at the same point of the last known season, or NaN."""
    source = positions + step - season * -(-step // season)
    return np.where(source >= begins, values[np.maximum(source, 0)], np.nan)


def _scales(values, series_bounds, season):
    """Return the mean absolute error of the naive forecast per series, or NaN."""
    scales = []
    for begin, end in pairwise(series_bounds):
        series_values = values[begin:end]
        errors = np.abs(series_values[season:] - series_values[:-season])
        errors = errors[~np.isnan(errors)]
        scales.append(errors.mean() if len(errors) else np.nan)
    return np.array(scales)


def _arrange_columns(frame, groups):
    """Order the columns, those of the series first; drop a constant target."""
    columns = ["target", "fold", "origin", "time", "horizon", "truth", "prediction"]
    columns += ["naive", "scale", *quantile_columns(frame.columns).values()]
    if frame["target"].nunique() == 1:
        columns.remove("target")
    return frame[[*groups, *columns]]
