"""backtest: forecasts of the past, made as they would have been made then."""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from pandas.api.types import is_list_like
from sklearn.base import clone

from sklearn_rnn._exceptions import (
    SklearnRNNWarning,
    WindowHistoryWarning,
    user_stacklevel,
)
from sklearn_rnn.forecasting._frames import (
    check_reserved,
    predicted_columns,
    quantile_columns,
)
from sklearn_rnn.forecasting._lookback import ignore_unknown_times, places_needed
from sklearn_rnn.model_selection import TimeBlockSplit
from sklearn_rnn.preprocessing import (
    describe_step,
    freq_of,
    pair_with_future,
    select_rows,
)

OWNER = "backtest"

# Rows that a season has, by the unit of the step between rows; a step shorter than
# a day has seasons of a day. A year has none but itself.
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
# What a pd.DateOffset of one keyword is, in seasons.
OFFSETS = {"months": pd.offsets.MonthBegin, "years": pd.offsets.YearBegin}
SPANS = ("weeks", "days", "hours", "minutes", "seconds")

# How many blocks and series a warning names.
SHOWN = 3


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
    missing: Literal["raise", "mask"] = "raise",
    season: int | None = None,
    freq: Any = None,
    time: str | None = None,
    group_by: str | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Forecast the past from what was known then, beside what came.

    Block after block of time, the model is fitted on what came before and
    forecasts from every row of the block (rolling origin). No training target
    lies after the first row of a block, whatever the splitter does: rows whose
    targets reach further are left out.

    Parameters
    ----------
    model : estimator instance
        A pipeline that begins with a `SequenceWindower`, a search over one, or
        any other regressor of rows. A copy is fitted. To try out one that is
        fitted already, on rows that it has not seen, wrap it in
        ``sklearn.frozen.FrozenEstimator``.
    data : DataFrame or Series
        The table, as for `make_forecast_frame`.
    target : str or list of str, default=None
        The column or columns to forecast. Needed unless `data` is a Series or
        has a single column.
    horizon : int or list of int, default=1
        How many rows ahead, at least 1: all steps up to it, or those of a list.
    cv : int, splitter or iterable, default=5
        Where blocks begin and end. An int is that many blocks of
        `TimeBlockSplit`; a splitter, such as ``TimeSeriesSplit``, gets the rows
        of `make_forecast_frame`. An iterable gives pairs of training and test
        rows, as numbers or masks of the rows of its ``X``. Each test block
        comes after its training rows.
    refit : bool, default=True
        Whether to fit anew for every block; False fits for the first alone.
    stride : int, default=1
        Forecast from every so many times of a block: 24 is once a day in an
        hourly table.
    known : str or list of str, default=None
        Columns that are known in advance, as for `make_forecast_frame`.
    missing : {"raise", "mask"}, default="raise"
        What to do about missing rows and values, as for `make_forecast_frame`.
    season : int, default=None
        Rows a season has, for the seasonal naive forecast. None goes by the
        time between rows: a day of hours or minutes, 7 days, 5 business days,
        52 weeks, 12 months, 4 quarters, 1 year. Without dates, or with another
        step, it is 1, the last value, and a warning says so.
    freq : str, offset, Timedelta or number, default=None
        The time between rows, as for `make_forecast_frame`; None finds it.
    time : str, default=None
        Column that holds the times; None uses the index.
    group_by : str, default=None
        Column that tells several series in one table apart.
    n_jobs : int, default=None
        Blocks at a time, as in scikit-learn.

    Returns
    -------
    DataFrame
        A row a forecast. Columns: `group_by` if given, `target` if there are
        several, `fold` (which block, from 0), `origin` (the last time known),
        `time` (what the forecast is for), `horizon` (steps ahead), `truth`,
        `prediction`, `naive` (seasonal naive forecast), `scale` (mean absolute
        error of the seasonal naive forecast in the training rows, for MASE),
        and a column a quantile, such as ``q0.9``, if the model predicts them.

    Raises
    ------
    ValueError
        If a training row of a splitter comes after its test rows, no training
        row is left, or a row that a splitter names has no targets.

    Warns
    -----
    SklearnRNNWarning
        If `season` is None and not known, so that 1 is taken; or if a season is
        longer than what is known before a block, so that there is no naive
        forecast to compare with.

    See Also
    --------
    score_forecasts : Errors of such forecasts, by horizon.
    ConformalCalibrator : Quantiles that cover what they should.
    TimeBlockSplit : Blocks of time, across several series.

    Notes
    -----
    Every forecast is made with the whole history before it, of which the rows
    just before a block may lie in the gap. Predictions are those of
    ``model.predict`` for the same rows.

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
    check_reserved(group_by, data)
    _check_options(refit, stride, season)
    pairs = pair_with_future(
        data,
        target,
        horizon,
        known=known,
        missing=missing,
        freq=freq,
        time=time,
        group_by=group_by,
        estimator_name=OWNER,
    )
    if group_by is not None and pairs.grid.times is None:
        raise ValueError(
            "several series need times, or nobody knows which of their rows came "
            "first: name their column in time=, or make it the index."
        )
    season = _read_season(season, pairs.grid)
    folds = _read_folds(cv, pairs, stride)
    _warn_of_long_season(season, folds, pairs)
    season = min(season, len(pairs.data))  # beyond, nothing overflows
    models = [model] * len(folds)
    if not refit:
        models = [clone(model).fit(*_training_rows(pairs, folds[0].train))] * len(folds)
    with ignore_unknown_times():
        frames = Parallel(n_jobs=n_jobs)(
            delayed(_forecast_fold)(of_fold, pairs, fold, season, refit)
            for of_fold, fold in zip(models, folds, strict=True)
        )
    frames = pd.concat(frames, keys=range(len(folds)), names=["fold"])
    return _in_order(frames.reset_index("fold").reset_index(drop=True), group_by)


def _check_options(refit, stride, season):
    for name, value in (("stride", stride), ("season", season)):
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if (value is not None or name == "stride") and not (whole and value >= 1):
            raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")
    if not isinstance(refit, (bool, np.bool_)):
        raise ValueError(f"refit must be True or False, got {refit!r}.")


class Fold(NamedTuple):
    """A block of time.

    train : ndarray of int, rows of X to fit on
    test : ndarray of int, rows of X to forecast from
    is_known : ndarray of bool, places whose values are known to the training
    """

    train: np.ndarray
    test: np.ndarray
    is_known: np.ndarray


def season_of(grid):
    """Tell how many rows a season has, by the step between rows.

    Parameters
    ----------
    grid : Grid
        Of a table.

    Returns
    -------
    int or None
        None where no dates are known, or the step has no season that is known.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn.forecasting._backtest import season_of
    >>> from sklearn_rnn.preprocessing import find_grid
    >>> index = pd.date_range("2024-01-01", periods=5, freq="30min")
    >>> table = pd.DataFrame({"load": 1.0}, index=index)
    >>> columns = {"freq": None, "time": None, "group_by": None}
    >>> season_of(find_grid(table, **columns, estimator_name=""))
    48
    """
    step = _step_of(grid)
    if type(step) is pd.DateOffset:
        step = _named_step(step)
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


def _named_step(offset):
    """Return a pd.DateOffset as a span or offset of the same season, if it has one."""
    [(keyword, n), *others] = offset.kwds.items() or [(None, 1)]
    if others or keyword not in (*OFFSETS, *SPANS):
        return None
    n *= offset.n
    return OFFSETS[keyword](n) if keyword in OFFSETS else pd.Timedelta(**{keyword: n})


def _step_of(grid):
    """Return the step; where rows are the steps, the one that nearly all keep."""
    return freq_of(getattr(grid.rule, "spacing", grid.rule), grid.times)


def _read_season(season, grid):
    """Return the rows of a season; say so if it is a guess."""
    if season is None:
        season = season_of(grid)
    if season is not None:
        return int(season)
    because = "data has no dates, so the length of a season is not known"
    if grid.times is not None and grid.times.kind != "numbers":
        step = _step_of(grid)
        because = "the rows keep no step, so the length of a season is not known"
        if step is not None:
            step = describe_step(step)
            because = f"rows that are {step} apart have no season that is known"
    warnings.warn(
        f"{because}: 'naive' is the last value (season=1), and the mase, naive_mae, "
        "naive_rmse and skill of score_forecasts go by it. Give the number of rows "
        "that a season has, for example season=24 for hours of a day; or season=1 if "
        "you mean the last value.",
        SklearnRNNWarning,
        stacklevel=user_stacklevel(),
    )
    return 1


def _warn_of_long_season(season, folds, pairs):
    """Warn if there is no season before some blocks to compare with."""
    series = pairs.grid.series
    lacking = {}
    for i, fold in enumerate(folds):
        n_known = np.add.reduceat(fold.is_known.astype(int), series.bounds[:-1])
        which = np.unique(np.cumsum(series.is_start)[pairs.positions[fold.test]] - 1)
        short = which[n_known[which] <= season]
        if len(short):
            lacking[i] = short
    if not lacking:
        return
    where = f"block(s) {_abbreviate(lacking)} of {len(folds)}"
    if series.labels is not None:
        short = np.unique(np.concatenate(list(lacking.values())))
        where += f" in the series {_abbreviate(map(repr, series.labels[short]))}"
    warnings.warn(
        f"what is known before {where} is no longer than a season of {season} rows: "
        "'scale', and 'naive' where it looks further back, are NaN there, and "
        "score_forecasts leaves these forecasts out of mase, naive_mae, naive_rmse "
        "and skill. Give a shorter season=, more data or fewer blocks.",
        SklearnRNNWarning,
        stacklevel=user_stacklevel(),
    )


def _abbreviate(names):
    names = [str(name) for name in names]
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _read_folds(cv, pairs, stride):
    """Let a splitter choose blocks, less training rows that know too much."""
    moments = np.asarray(pairs.grid.series.time_index())
    furthest = max(k for _, k in pairs.outputs)
    now, reach = moments[pairs.positions], moments[pairs.positions + furthest]
    folds = []
    for i, (train, test) in enumerate(_splits(cv, pairs, now, furthest)):
        train = _read_rows(train, "training", i, pairs)
        test = _read_rows(test, "test", i, pairs)
        begin = now[test].min()
        if now[train].max() >= begin:
            raise ValueError(
                f"block {i} of cv has training rows that do not come before its "
                "test rows in time, so forecasts would know what came: use "
                "TimeBlockSplit (or, for one series, TimeSeriesSplit)."
            )
        train = train[reach[train] <= begin]
        if len(train) == 0:
            raise ValueError(
                f"block {i} of cv leaves no row to fit on whose targets, "
                f"{furthest} steps ahead, are known at its first row: use fewer "
                "blocks, or more data."
            )
        chosen = np.isin(now[test], np.unique(now[test])[::stride])
        folds.append(Fold(train, test[chosen], moments <= reach[train].max()))
    return folds


def _splits(cv, pairs, now, furthest):
    """Return the pairs of training and test rows that a splitter chooses."""
    splits = cv
    if isinstance(cv, Integral):
        splits = TimeBlockSplit(cv, gap=furthest - 1).split(pairs.X, groups=now)
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


def _read_rows(rows, what, block, pairs):
    """Return rows of X that a splitter chose, in order."""
    rows, n_rows = np.asarray(rows), len(pairs.X)
    where = f"the {what} rows of block {block} of cv"
    if rows.dtype == bool and rows.shape == (n_rows,):
        rows = np.flatnonzero(rows)
    if rows.ndim == 1 and len(rows) == 0:
        raise ValueError(f"{where} are none: give at least one.")
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(
            f"{where} are {rows.dtype} of shape {rows.shape}: give row numbers, or a "
            f"mask of {n_rows} bools."
        )
    rows = np.sort(rows)
    outside = rows[(rows < 0) | (rows >= n_rows)]
    if len(outside):
        raise ValueError(
            f"{where} include {len(outside)} that are none of the {n_rows} rows with a "
            f"target, which count from 0: {outside[0]} to {outside[-1]}. The table has "
            f"{len(pairs.data)} rows, and the last {pairs.outputs[-1][1]} of a series "
            "have no target yet. Pass the splitter itself as cv, or split the X of "
            "make_forecast_frame."
        )
    twice = rows[1:][rows[1:] == rows[:-1]]
    if len(twice):
        raise ValueError(f"{where} name row {twice[0]} twice: name each once.")
    return rows.astype(np.intp)


def _training_rows(pairs, rows):
    """Return rows of X, and their targets: one alone as scikit-learn wants it."""
    X, Y = select_rows(pairs.X, rows), select_rows(pairs.Y, rows)
    return X, Y if len(pairs.outputs) > 1 else Y[next(iter(Y.columns))]


def _forecast_fold(model, pairs, fold, season, refit):
    if refit:
        model = clone(model).fit(*_training_rows(pairs, fold.train))
    rows, places = _with_history(pairs, fold.test, model)
    X = select_rows(pairs.X, rows)
    with warnings.catch_warnings():
        # Between the rows that are forecast from, those that none looks at are left
        # out, which is no gap in the table.
        warnings.simplefilter("ignore", WindowHistoryWarning)
        predicted = predicted_columns(model, X, places, len(pairs.outputs))
    return pd.DataFrame({**_known_columns(pairs, fold, season), **predicted})


def _with_history(pairs, test, model):
    """Return rows of X with those that their windows need, and where they are."""
    needed = places_needed(pairs.data, pairs.grid.series, pairs.positions[test], model)
    row_at = np.full(len(pairs.data), -1)
    row_at[pairs.positions] = np.arange(len(pairs.positions))
    rows = np.sort(row_at[needed])
    return rows, np.searchsorted(rows, test)


def _known_columns(pairs, fold, season):
    """Write down what each forecast is of, what came, and the naive forecast."""
    series, n_outputs = pairs.grid.series, len(pairs.outputs)
    places = pairs.positions[fold.test]
    which = np.cumsum(series.is_start)[places] - 1
    names, steps = (np.array(part) for part in zip(*pairs.outputs, strict=True))
    columns = {}
    if series.labels is not None:
        columns["series"] = series.labels[which].repeat(n_outputs).infer_objects()
    columns["target"] = np.tile(names, len(places))
    origins = series.rows(places)
    columns["origin"] = pairs.grid.labels_of(origins).repeat(n_outputs)
    ahead = series.rows((places[:, np.newaxis] + steps).ravel())
    columns["time"] = pairs.grid.labels_of(ahead)
    columns["horizon"] = np.tile(steps, len(places))
    columns.update(_truths(pairs, fold, places, which, season))
    return columns


def _truths(pairs, fold, places, which, season):
    """Return what came, the naive forecast and its scale, output by output."""
    series = pairs.grid.series
    by_place = series.rows(np.arange(len(series.is_start)))
    values, scales = {}, {}
    for name in dict.fromkeys(name for name, _ in pairs.outputs):
        values[name] = np.asarray(pairs.data[name], dtype=np.float64)[by_place]
        known = np.where(fold.is_known, values[name], np.nan)
        scales[name] = _scales(known, series, season)[which]
    begins = series.bounds[which]
    shape = (len(places), len(pairs.outputs))
    truth, naive, scale = np.empty(shape), np.empty(shape), np.empty(shape)
    for i, (name, k) in enumerate(pairs.outputs):
        truth[:, i] = values[name][places + k]
        naive[:, i] = _seasonal_naive(values[name], places, begins, k, season)
        scale[:, i] = scales[name]
    return {"truth": truth.ravel(), "naive": naive.ravel(), "scale": scale.ravel()}


def _seasonal_naive(values, places, begins, step, season):
    """Return the value of the same place in the last season known, or NaN."""
    source = places + step - season * -(-step // season)
    return np.where(source >= begins, values[np.maximum(source, 0)], np.nan)


def _scales(values, series, season):
    """Compute the naive forecast's mean absolute error in each series, or NaN."""
    scales = []
    for begin, end in pairwise(series.bounds):
        of_series = values[begin:end]
        errors = np.abs(of_series[season:] - of_series[:-season])
        errors = errors[~np.isnan(errors)]
        scales.append(errors.mean() if len(errors) else np.nan)
    return np.array(scales)


def _in_order(frame, group_by):
    """Name the columns as the user knows them, without those that say nothing."""
    columns = ["target", "fold", "origin", "time", "horizon", "truth", "prediction"]
    columns += ["naive", "scale", *quantile_columns(frame.columns).values()]
    if frame["target"].nunique() == 1:
        columns.remove("target")
    if group_by is not None:
        columns.insert(0, "series")
    return frame[columns].rename(columns={"series": group_by})
