"""make_forecast_frame: a table, and the values of its targets in later rows."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.preprocessing._ahead import MAX_STEPS, list_steps
from sklearn_rnn.preprocessing._grid import (
    Grid,
    fill_grid,
    read_grid,
    refuse_breaks,
    refuse_missing,
)
from sklearn_rnn.preprocessing._names import (
    check_names,
    name_ahead,
)
from sklearn_rnn.preprocessing._tables import (
    check_column_key,
    has_categories,
    is_polars,
)
from sklearn_rnn.preprocessing._untargeted import remember_untargeted
from sklearn_rnn.sequences import check_unique_names, convert_input


def make_forecast_frame(
    data: Any,
    target: str | Sequence[str] | None = None,
    horizon: int | Sequence[int] = 1,
    *,
    known: str | Sequence[str] | None = None,
    missing: Literal["raise", "mask"] = "raise",
    freq: Any = None,
    time: str | None = None,
    group_by: str | None = None,
) -> tuple[Any, Any]:
    """Pair each row of a table with its targets in the rows to come.

    Row i of the targets holds the target 1, 2, ... `horizon` rows after row i
    of the table, so a model of them forecasts all steps directly. The last
    `horizon` rows of each series have no complete target and are left out.

    Parameters
    ----------
    data : DataFrame or Series
        A pandas or polars table, one row per time step and no step missing.
        Column names are strings.
    target : str or list of str, default=None
        The column or columns to forecast. Needed unless `data` is a Series or
        has a single column.
    horizon : int or list of int, default=1
        How many rows ahead, at least 1: all steps up to it, or those of a list.
    known : str or list of str, default=None
        Columns that are known in advance, such as a plan or a calendar. What
        they are at each step to come goes into `X`, in columns "plan+1",
        "plan+2" and so on; the columns themselves stay. They may hold
        categories, such as a kind of promotion, of which some may be missing.
    missing : {"raise", "mask"}, default="raise"
        What to do about rows that the grid of times lacks, and about numbers
        that targets or known columns lack. "raise" refuses them and names the
        places. "mask" puts rows of NaN where there are none, and leaves NaN in
        `X` and `Y`, for ``SequenceWindower(missing="mask")`` and
        ``RNNRegressor(missing_targets="ignore")``.
    freq : str, offset, Timedelta or number, default=None
        The time between rows, as for `SequenceWindower`; None finds it. With
        "rows" no row is missing, whatever the time between two.
    time : str, default=None
        Column that holds the times; None uses the index of a pandas frame,
        unless that holds names, when nothing is checked.
    group_by : str, default=None
        Column that tells several series in one table apart.

    Returns
    -------
    X : DataFrame of n rows
        The rows of `data` that have all their targets, with all columns, and
        those of `known` ahead. Where ``missing="mask"`` put rows in, they are
        numbered anew if `time` names a column.
    Y : DataFrame of shape (n, n_targets * n_steps)
        The targets, with the index of `X`. Columns "temp+1", "temp+2" and so
        on for a target "temp"; of several targets, one after the other.

    Raises
    ------
    InvalidSequenceError
        If times are missing, out of order or twice the same, a target has no
        value, or the table has no more rows than `horizon`.
    ValueError
        If there is no such column, a column's name is no string or stands there
        twice, or `horizon` is less than 1.
    TypeError
        If `data` is neither a frame nor a Series.

    See Also
    --------
    SequenceWindower : Gives each row of `X` the rows before it.
    forecast : From a fitted model to the times to come.
    backtest : How good such forecasts would have been.
    make_windows : The same for arrays, in one go.

    Notes
    -----
    A pandas `X` remembers the rows that are left out, in ``X.attrs``. They have
    no targets to learn from, but `forecast` needs them: a pipeline fitted on
    `X` as it is puts them between its training data and newer rows.

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
        owner="make_forecast_frame",
    )
    has_targets = np.zeros(len(pairs.data), dtype=bool)
    has_targets[pairs.grid.series.rows(pairs.places)] = True
    remember_untargeted(pairs.X, pairs.data, np.flatnonzero(~has_targets))
    return pairs.X, pairs.Y


class FuturePairs(NamedTuple):
    """Rows of a table and their targets, and where both come from.

    Parameters
    ----------
    X, Y : DataFrame
        As `make_forecast_frame` returns them.
    data : DataFrame
        The table, with the rows that were put in.
    grid : Grid
        How its rows stand in time.
    places : ndarray of int of shape (n,)
        Of the rows of `X`, in the order of the series.
    outputs : list of tuple (str, int)
        Target and steps ahead of each column of `Y`.
    """

    X: Any
    Y: Any
    data: Any
    grid: Grid
    places: np.ndarray
    outputs: list


def pair_with_future(
    data, target, horizon, *, known, missing, freq, time, group_by, owner
):
    """Pair each row of a table with its targets in the rows to come.

    Parameters
    ----------
    data, target, horizon, known, missing, freq, time, group_by
        As for `make_forecast_frame`.
    owner : str
        Who asks, for the messages.

    Returns
    -------
    FuturePairs
    """
    data = as_frame(data, owner)
    check_column_key(time, "time", data)
    check_column_key(group_by, "group_by", data)
    targets = read_columns(data, target, "target")
    if known is None or (isinstance(known, (list, tuple)) and not known):
        known = []
    else:
        known = read_columns(data, known, "known")
    _refuse_mixing(targets, known, time, group_by)
    steps = read_steps(horizon)
    columns = {"freq": freq, "time": time, "group_by": group_by, "owner": owner}
    if missing == "mask":
        data = fill_grid(data, **columns)
    elif missing != "raise":
        raise ValueError(f"missing must be 'raise' or 'mask', got {missing!r}.")
    _refuse_few_rows(len(data), steps)
    grid = read_grid(data, **columns)
    refuse_breaks(grid)
    if missing == "raise":
        # A missing category is a category of its own.
        numbers = [name for name in known if not has_categories(data, name)]
        refuse_missing(data, [*targets, *numbers], grid)
    places = _places_with_targets(grid.series, steps[-1])
    # In the table's order, as X has it.
    places = places[np.argsort(grid.series.rows(places))]
    ahead = {k: grid.series.rows(places + k) for k in steps}
    X = take_rows(data, grid.series.rows(places))
    X = add_columns(X, columns_ahead(data, known, ahead))
    Y = frame_like(X, columns_ahead(data, targets, ahead))
    outputs = [(name, k) for name in targets for k in steps]
    return FuturePairs(X, Y, data, grid, places, outputs)


def as_frame(data, owner, *, any_names=False):
    """Return a frame for a frame or a Series.

    Parameters
    ----------
    data : object
        As the user gave it.
    owner : str
        Who asks, for the message.
    any_names : bool, default=False
        Whether columns may have names that are no strings.

    Returns
    -------
    DataFrame
        Of pandas or polars.

    Raises
    ------
    InvalidSequenceError
        If two columns have one name, or a name is no string.
    TypeError
        If it is something else.
    """
    if isinstance(data, pd.Series) or (is_polars(data) and len(data.shape) == 1):
        name = "value" if data.name in (None, "") else data.name
        return as_frame(data.to_frame(name), owner, any_names=any_names)
    if isinstance(data, pd.DataFrame) or is_polars(data):
        check_unique_names(data)
        if not any_names:
            check_names(data, owner)
        return data
    if type(data).__module__.partition(".")[0] in ("pyarrow", "polars"):
        converted = convert_input(data, estimator_name=owner, name="data")
        return as_frame(converted, owner, any_names=any_names)
    raise TypeError(
        f"{owner} needs a pandas or polars DataFrame or Series, got "
        f"{type(data).__name__}. For arrays there is make_windows."
    )


def read_columns(data, wanted, parameter):
    """Read the names of some columns of a frame.

    Parameters
    ----------
    data : DataFrame
        The table.
    wanted : str, list of str or None
        As the user gave it; None is the only column.
    parameter : str
        Whose value it is, for the message.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If there is no such column.
    """
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


def read_steps(horizon):
    """Read which steps ahead are wanted.

    Parameters
    ----------
    horizon : int or list of int
        As the user gave it.

    Returns
    -------
    list of int
        Increasing.

    Raises
    ------
    ValueError
        If they are not whole numbers from 1, each once and in order, or one is
        above a million.
    """
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
            f"horizon={horizon!r} reaches more than {MAX_STEPS} steps ahead, which is "
            "the most: make the steps longer, for example with df.resample()."
        )
    return [int(k) for k in steps]


def _refuse_mixing(targets, known, time, group_by):
    """Refuse a column in two roles that exclude one another."""
    for name in targets:
        if name in known:
            raise ValueError(
                f"{name!r} is a target and in known=: what is to be forecast is not "
                "known in advance."
            )
    for parameter, key in (("time", time), ("group_by", group_by)):
        if key is not None and key in [*targets, *known]:
            raise ValueError(
                f"{key!r} is given as {parameter}= and as a target or known column: "
                "it can be one of them."
            )


def _refuse_few_rows(n_rows, steps):
    if n_rows <= steps[-1]:
        raise InvalidSequenceError(
            f"the table has {n_rows} rows, too few for horizon={steps[-1]}: no row has "
            f"{steps[-1]} rows after it."
        )


def _places_with_targets(series, horizon):
    bounds = series.bounds
    sizes = np.diff(bounds)
    if sizes.max() <= horizon:
        raise InvalidSequenceError(
            f"the longest series has {sizes.max()} rows, too few for "
            f"horizon={horizon}: no row has {horizon} rows after it."
        )
    end_of_series = np.repeat(bounds[1:], sizes)
    places = np.arange(len(series.first))
    return places[places + horizon < end_of_series]


def take_rows(data, rows):
    """Return some rows of a frame.

    Parameters
    ----------
    data : DataFrame
        Of pandas or polars.
    rows : ndarray of int
        Which.

    Returns
    -------
    DataFrame
        Of the same kind.
    """
    if is_polars(data):
        return data[rows]
    unbroken = len(rows) > 0 and len(rows) == rows[-1] - rows[0] + 1
    # A slice keeps the step that an index declares.
    return data.iloc[slice(rows[0], rows[-1] + 1) if unbroken else rows]


def columns_ahead(data, names, ahead):
    """Read columns in other rows, under the names of the steps ahead.

    Parameters
    ----------
    data : DataFrame
        Of pandas or polars.
    names : list of str
        The columns.
    ahead : dict of int to ndarray of int
        Of each step, the rows to read.

    Returns
    -------
    dict of str to Series
    """
    take = "gather" if is_polars(data) else "take"
    return {
        name_ahead(name, k): getattr(data[name], take)(rows)
        for name in names
        for k, rows in ahead.items()
    }


def frame_like(X, columns):
    """Make a frame of the kind of another, and with its index.

    Parameters
    ----------
    X : DataFrame
        Of pandas or polars.
    columns : dict of str to Series
        One value a row of `X`.

    Returns
    -------
    DataFrame
    """
    if is_polars(X):
        return type(X)(columns)
    columns = {name: column.set_axis(X.index) for name, column in columns.items()}
    return pd.DataFrame(columns, index=X.index)


def add_columns(X, columns):
    """Put columns behind those of a frame.

    Parameters
    ----------
    X : DataFrame
        Of pandas or polars.
    columns : dict of str to Series
        One value a row of `X`.

    Returns
    -------
    DataFrame
        A new one.

    Raises
    ------
    ValueError
        If a column has such a name already.
    """
    taken = [name for name in columns if name in list(X.columns)]
    if taken:
        raise ValueError(
            f"the table already has a column {taken[0]!r}, which known= is to make: "
            "rename it."
        )
    if not columns:
        return X
    more = frame_like(X, columns)
    return X.hstack(more) if is_polars(X) else pd.concat([X, more], axis=1)
