"""make_forecast_frame: a table paired with the later values of its targets."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    SklearnRNNWarning,
    user_stacklevel,
)
from sklearn_rnn.preprocessing import (
    ATTRS_KEY,
    MAX_STEPS,
    TimeTable,
    as_frame,
    check_no_missing,
    fill_rows,
    find_keys,
    has_categories,
    is_polars,
    list_steps,
    name_ahead,
    remember_untargeted,
    select_rows,
)


def make_forecast_frame(
    data: Any,
    target: str | Sequence[str] | None = None,
    horizon: int | Sequence[int] = 1,
    *,
    known: str | Sequence[str] | None = None,
    missing: Literal["raise", "mask"] | None = None,
    freq: Any = None,
    time: str | None = None,
    group_by: str | Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """Pair each row of a table with the targets of later rows.

    Row i of the targets holds the target 1, 2, ... `horizon` rows after row i
    of the table, so a model of them forecasts all steps directly. The last
    `horizon` rows of each series have no complete target and are left out.

    Parameters
    ----------
    data : DataFrame or Series
        A pandas or polars table, or one of a library that hands it over by Arrow, one
        row per time step and no step missing. Column names are strings.
    target : str or list of str, default=None
        The column or columns to forecast. Needed unless `data` is a Series or
        has a single column.
    horizon : int or list of int, default=1
        How many rows ahead, at least 1: all steps up to it, or those of a list.
    known : str or list of str, default=None
        Columns that are known in advance, such as a plan or a calendar. What
        they are at each future step is added to `X`, in columns "plan+1",
        "plan+2" and so on; the columns themselves stay. They may hold
        categories, such as a kind of promotion, of which some may be missing.
    missing : {"raise", "mask"}, default=None
        What to do about rows that the grid of times lacks, and about missing
        values in targets or numeric known columns. "raise" raises an error that
        lists them. "mask" adds rows of NaN where there are none, and leaves NaN
        in `X` and `Y`; a `SequenceWindower` and a `RNNRegressor` fitted on them then
        mask as well. Known columns keep their value in added rows, where all other
        rows of the series, or all other series at that time, have the same one. None
        takes what the table says of itself, or else "raise".
    freq : str, offset, Timedelta or number, default=None
        The time between rows, as for `SequenceWindower`; None finds it. With
        "rows" no row is missing, whatever the time between two.
    time : str, default=None
        Column that holds the times; None takes what the table says of itself (see
        Notes), or else the index of a pandas frame, unless that holds names, when
        nothing is checked.
    group_by : str or list of str, default=None
        Column that identifies the series in a table of several, or columns that do
        together. None takes what the table says of itself.

    Returns
    -------
    X : DataFrame of n rows
        The rows of `data` that have all their targets, with all columns, and
        those of `known` ahead. Where ``missing="mask"`` added rows, they are
        renumbered if `time` names a column.
    Y : DataFrame of shape (n, n_targets * n_steps)
        The targets, with the index of `X`. Columns "temp+1", "temp+2" and so
        on for a target "temp"; of several targets, one after the other.

    Raises
    ------
    InvalidSequenceError
        If times are missing, out of order or duplicated, a target has no value,
        or the table has no more rows than `horizon`.
    ValueError
        If there is no such column, a column's name is not a string or occurs
        twice, or `horizon` is less than 1.
    TypeError
        If `data` is neither a frame nor a Series.

    Warns
    -----
    SklearnRNNWarning
        If ``missing="mask"`` adds rows, and a known column gets values in them that are
        neither the same in all rows of each series nor in all series at each time.

    See Also
    --------
    SequenceWindower : Gives each row of `X` the rows before it.
    forecast : Forecasts of a fitted model for future times.
    backtest : How good such forecasts would have been.
    make_windows : The same for arrays, in one call.

    Notes
    -----
    A pandas `X` keeps the rows that are left out in ``X.attrs``. They have no
    targets to learn from, but `forecast` needs them: a pipeline fitted on an
    unaltered `X` puts them between its training data and newer rows. There too are
    `time`, `group_by`, `freq` and `missing`, which `SequenceWindower`,
    `CalendarFeatures` and `TimeBlockSplit` then take from `X`. Any pandas table may
    say so itself, as ``df.attrs["sklearn_rnn"] = {"time": "day", "group_by": "shop"}``
    or by an index of several levels of which one holds dates.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn import make_forecast_frame
    >>> days = pd.date_range("2024-01-01", periods=4, freq="D")
    >>> table = pd.DataFrame({"sales": [3, 5, 4, 6], "open": [1, 1, 0, 1]}, index=days)
    >>> X, Y = make_forecast_frame(table, target="sales", horizon=2, known="open")
    >>> X
                sales  open  open+1  open+2
    2024-01-01      3     1       1       0
    2024-01-02      5     1       0       1
    >>> Y
                sales+1  sales+2
    2024-01-01        5        4
    2024-01-02        4        6
    """
    pairs = pair_with_future(
        data,
        target,
        horizon,
        known=known,
        missing=missing,
        freq=freq,
        time=time,
        group_by=group_by,
        estimator_name="make_forecast_frame",
    )
    has_targets = np.zeros(len(pairs.table.data), dtype=bool)
    has_targets[pairs.table.rows(pairs.positions)] = True
    remember_untargeted(
        pairs.X, pairs.table.data, np.flatnonzero(~has_targets), pairs.table.keys
    )
    return pairs.X, pairs.Y


class FuturePairs(NamedTuple):
    """Rows of a table and their targets, and where both come from.

    X, Y : frames, as `make_forecast_frame` returns them
    table : TimeTable, with the rows that were added
    positions : ndarray of int of shape (n,), those of the rows of X in the table
    outputs : list of (target, steps ahead), one per column of Y
    known : list of str, columns that are known in advance
    """

    X: Any
    Y: Any
    table: TimeTable
    positions: np.ndarray
    outputs: list[tuple[str, int]]
    known: list[str]


def pair_with_future(
    data: Any,
    target: str | Sequence[str] | None,
    horizon: int | Sequence[int],
    *,
    known: str | Sequence[str] | None,
    missing: str | None,
    freq: Any,
    time: str | None,
    group_by: str | Sequence[str] | None,
    estimator_name: str,
) -> FuturePairs:
    """Pair each row of a table with its future targets, for `make_forecast_frame`.

    `estimator_name` is the name of the calling function, for error messages.
    """
    data = as_frame(data, estimator_name)
    keys = find_keys(data, time, group_by, freq)
    missing = keys.missing or "raise" if missing is None else missing
    if missing not in ("raise", "mask"):
        raise ValueError(f"missing must be 'raise' or 'mask', got {missing!r}.")
    keys = keys._replace(missing="mask" if missing == "mask" else None)
    targets = get_column_names(data, target, "target")
    if known is None or (isinstance(known, (list, tuple)) and not known):
        known = []
    else:
        known = get_column_names(data, known, "known")
    _check_roles(targets, known, keys)
    steps = check_horizon(horizon)
    table = TimeTable.read(data, keys, estimator_name, must_be_regular=True)
    if missing == "mask":
        before, table = table, fill_table(table, known, estimator_name)
        _warn_of_guesses(before, table, known)
    _check_enough_rows(table.n_rows, steps)
    table.check_no_gaps()
    if missing == "raise":
        # A missing category is a category of its own.
        numbers = [name for name in known if not has_categories(data, name)]
        check_no_missing(table, [*targets, *numbers])
    positions = _positions_with_targets(table, steps[-1])
    # In the table's order, as X has it.
    positions = positions[np.argsort(table.rows(positions))]
    ahead = {k: table.rows(positions + k) for k in steps}
    X = select_rows(table.data, table.rows(positions))
    X = add_columns(X, columns_ahead(table.data, known, ahead))
    Y = frame_like(X, columns_ahead(table.data, targets, ahead))
    if not is_polars(X):
        X.attrs[ATTRS_KEY], Y.attrs[ATTRS_KEY] = keys.to_attrs(), {"missing": missing}
    outputs = [(name, k) for name in targets for k in steps]
    return FuturePairs(X, Y, table, positions, outputs, known)


def fill_table(table: TimeTable, known: Sequence[Any], caller: str) -> TimeTable:
    """Return a table with rows of NaN wherever its grid has none."""
    filled = fill_rows(table, known)
    if filled is table.data:
        return table
    # The index of the filled table declares no step.
    return TimeTable.read(filled, table.keys, caller, rule=table.rule)


def _warn_of_guesses(before, table, known):
    """Warn of known columns whose values in added rows may well be others.

    Those of a column that is a fact about each series, or about each time, are not.
    """
    n_added = table.n_rows - before.n_rows
    if n_added == 0:
        return
    positions = np.arange(before.n_rows)
    rows, series = before.rows(positions), before.series_of(positions)
    for name in known:
        values = before.data[name].iloc[rows].reset_index(drop=True)
        n_found = table.data[name].notna().sum() - values.notna().sum()
        if n_found == 0 or any(
            (values.groupby(of, dropna=False).nunique(dropna=False) == 1).all()
            for of in (series, before.timestamps)
        ):
            continue
        warnings.warn(
            f"missing='mask' added {n_added} rows, and {name!r}, which is known in "
            f"advance, is not known in them: {n_found} got the value of the other rows "
            "of their series, or of all other series at that time. If theirs may be "
            "another, pass the values: fill_gaps(table, known=plan), a table of times, "
            f"series and {name!r}, makes a table without missing rows.",
            SklearnRNNWarning,
            stacklevel=user_stacklevel(),
        )


def get_column_names(data: Any, wanted: Any, parameter: str) -> list[str]:
    """Return the columns, checked, that a parameter names; of None the only one."""
    names = list(data.columns)
    if wanted is None and len(names) == 1:
        return names
    several = isinstance(wanted, (list, tuple, np.ndarray, pd.Index))
    wanted_names = list(wanted) if several else [wanted]
    unknown = [
        name for name in wanted_names if not isinstance(name, str) or name not in names
    ]
    if not unknown and len(set(wanted_names)) < len(wanted_names):
        raise ValueError(f"{parameter}={wanted!r} names a column twice.")
    if unknown or not wanted_names:
        raise ValueError(
            f"{parameter}={wanted!r} names no column of the table; its columns are "
            f"{names}."
        )
    return wanted_names


def check_horizon(horizon: int | Sequence[int]) -> list[int]:
    """Return the steps ahead of an int or a list of int, checked and increasing."""
    steps = horizon
    if isinstance(horizon, (int, np.integer)) and not isinstance(horizon, bool):
        steps = range(1, int(horizon) + 1)
    steps = list_steps(steps)
    whole = [
        isinstance(k, (int, np.integer)) and not isinstance(k, bool) and k >= 1
        for k in steps
    ]
    if not steps or not all(whole) or sorted(set(steps)) != steps:
        raise ValueError(
            "horizon must be an int of at least 1, or a list of such steps in "
            f"order, got {horizon!r}."
        )
    if steps[-1] > MAX_STEPS:
        raise ValueError(
            f"horizon={horizon!r} is more than the maximum of {MAX_STEPS} steps: make "
            "the steps longer, for example with df.resample()."
        )
    return [int(k) for k in steps]


def _check_roles(targets, known, keys):
    """Check that no column has two roles that exclude one another."""
    for name in targets:
        if name in known:
            raise ValueError(
                f"{name!r} is a target and in known=, but a target is not known in "
                "advance: remove it from one of them."
            )
    named = [("time", keys.time), *(("group_by", name) for name in keys.groups)]
    for parameter, key in named:
        if key is not None and key in [*targets, *known]:
            raise ValueError(
                f"{key!r} is given as {parameter}= and as a target or known column: "
                "it can only be one of them."
            )


def _check_enough_rows(n_rows, steps):
    if n_rows <= steps[-1]:
        raise InvalidSequenceError(
            f"the table has {n_rows} rows, too few for horizon={steps[-1]}: no row has "
            f"{steps[-1]} rows after it."
        )


def _positions_with_targets(table, horizon):
    bounds = table.series_bounds
    sizes = np.diff(bounds)
    if sizes.max() <= horizon:
        raise InvalidSequenceError(
            f"the longest series has {sizes.max()} rows, too few for "
            f"horizon={horizon}: no row has {horizon} rows after it."
        )
    end_of_series = np.repeat(bounds[1:], sizes)
    positions = np.arange(table.n_rows)
    return positions[positions + horizon < end_of_series]


def columns_ahead(
    data: Any, names: list[str], ahead: Mapping[int, np.ndarray]
) -> dict[str, Any]:
    """Return columns at other rows, `ahead` by step, under the names of the steps."""
    method = "gather" if is_polars(data) else "take"
    return {
        name_ahead(name, k): getattr(data[name], method)(rows)
        for name in names
        for k, rows in ahead.items()
    }


def frame_like(X: Any, columns: Mapping[str, Any]) -> Any:
    """Return a frame of the type and with the index of X, from columns by name."""
    if is_polars(X):
        return type(X)(columns)
    columns = {name: column.set_axis(X.index) for name, column in columns.items()}
    return pd.DataFrame(columns, index=X.index)


def add_columns(X: Any, columns: Mapping[str, Any]) -> Any:
    """Return a frame with columns appended, which must be new."""
    taken = [name for name in columns if name in list(X.columns)]
    if taken:
        raise ValueError(
            f"the table already has a column {taken[0]!r}, which known= adds: rename "
            "it."
        )
    if not columns:
        return X
    more = frame_like(X, columns)
    return X.hstack(more) if is_polars(X) else pd.concat([X, more], axis=1)
