"""View: which of a panel's forecasts and true values are drawn."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn.forecasting import quantile_columns

# Rows of history before the first forecast: this many times its steps, and no
# fewer than that.
HISTORY_TIMES, HISTORY_LEAST = 4, 30
# Forecasts from several origins are taken from the newest part of a backtest
# that is this many times as long as they are together: of forecasts spread
# wider, nothing but a stroke would be seen.
SPREAD = 3
# A step this many times the usual one is a gap. A weekend is three days.
GAP = 3.5


class View(NamedTuple):
    """What is drawn of a panel.

    paths : list of Path
    observed : Series of true values by time, or None
    """

    paths: list
    observed: pd.Series | None


class Path(NamedTuple):
    """One line of forecasts.

    values : DataFrame of predictions and quantiles by time
    origin : time of the last row known, or None
    start : float, true value from which a line may lead to the first forecast;
        NaN for none
    """

    values: pd.DataFrame
    origin: object
    start: float


def view_panel(panel, *, n_history, n_origins, at_horizon):
    """Choose what to draw of a panel.

    Parameters
    ----------
    panel : Panel
        All there is.
    n_history : int or None
        Rows of true values before the first forecast.
    n_origins : int
        At most so many forecasts from different origins.
    at_horizon : int or None
        Draw all forecasts so many steps ahead instead.

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If no forecast is so many steps ahead, or origins cannot be told apart.
    """
    if at_horizon is None:
        tables = _from_origins(panel.forecasts, n_origins)
    else:
        tables = [_at_horizon(panel.forecasts, at_horizon)]
    first_known = "origin" if "origin" in panel.forecasts else "time"
    first = min(table[first_known].iloc[0] for table in tables)
    last = max(table["time"].iloc[-1] for table in tables)
    if n_history is None:
        n_steps = at_horizon or max(len(table) for table in tables)
        n_history = max(HISTORY_TIMES * n_steps, HISTORY_LEAST)
    observed = _cut(panel.observed, first, last, n_history)
    has_origins = at_horizon is None and "origin" in panel.forecasts
    paths = [_path(table, observed, has_origins) for table in tables]
    return View(paths, None if observed is None else _break_at_gaps(observed))


def lone_points(values):
    """Return the places of the values that no line shows: both neighbours are NaN.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Float.

    Returns
    -------
    list of int
    """
    known = np.concatenate([[False], np.isfinite(values), [False]])
    return np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:]).tolist()


def _from_origins(forecasts, n_origins):
    if "origin" not in forecasts:
        if forecasts["time"].duplicated().any():
            raise ValueError(
                "the forecasts have a time more than once: without a column 'origin', "
                "which says when each was made, or one that names their series in "
                "group_by=, they cannot be told apart."
            )
        return [forecasts]
    lasts = forecasts.groupby("origin")["time"].max()
    origins = _spread(lasts.index.to_numpy(), lasts.to_numpy(), n_origins)
    return [
        # One origin may stand in several folds; the last had most to learn from.
        forecasts[forecasts["origin"] == origin].drop_duplicates("time", keep="last")
        for origin in origins
    ]


def _spread(origins, lasts, n_origins):
    """Choose origins that are spread evenly, and whose forecasts do not overlap."""
    longest = (lasts - origins).max()
    apart = [len(origins) - 1]
    for i in range(len(origins) - 2, -1, -1):
        if lasts[i] <= origins[apart[-1]]:
            apart.append(i)
    near = lasts[-1] - origins <= SPREAD * n_origins * longest
    apart = np.array([i for i in reversed(apart) if near[i] or i == apart[0]])
    chosen = np.linspace(0, len(apart) - 1, min(n_origins, len(apart)))
    return origins[apart[np.sort(len(apart) - 1 - chosen.round().astype(int))]]


def _at_horizon(forecasts, at_horizon):
    if "horizon" not in forecasts:
        raise ValueError(
            f"at_horizon={at_horizon} needs a column 'horizon' in the forecasts, which "
            "says how many steps ahead each is."
        )
    horizon = forecasts["horizon"]
    path = forecasts[horizon == at_horizon].sort_values("time", kind="stable")
    if len(path) == 0:
        raise ValueError(
            f"no forecast is at_horizon={at_horizon} steps ahead: they are "
            f"{horizon.min()} to {horizon.max()} steps ahead."
        )
    return path.drop_duplicates("time", keep="last")


def _cut(observed, first, last, n_history):
    """Keep some rows up to the first forecast, and those under the forecasts."""
    if observed is None:
        return None
    times = observed.index
    begin = max(times.searchsorted(first, side="right") - n_history, 0)
    return observed.iloc[begin : times.searchsorted(last, side="right")]


def _path(table, observed, has_origins):
    columns = ["prediction", *quantile_columns(table.columns).values()]
    values = _break_at_gaps(table.set_index("time")[columns].astype(float))
    if not has_origins:
        return Path(values, None, np.nan)
    origin = table["origin"].iloc[0]
    is_next = "horizon" not in table or table["horizon"].iloc[0] == 1
    if observed is None or not is_next or origin not in observed.index:
        return Path(values, origin, np.nan)
    return Path(values, origin, observed.loc[origin])


def _break_at_gaps(values):
    """Put a row of NaN into each gap of time, so that no line runs across it."""
    times = values.index.to_numpy()
    if len(times) < 3:
        return values
    steps = np.diff(times)
    gaps = np.flatnonzero(steps > GAP * np.median(steps)) + 1
    rows = np.insert(np.arange(len(times)), gaps, gaps - 1)
    is_gap = np.insert(np.zeros(len(times), dtype=bool), gaps, True)
    broken = values.iloc[rows].copy()
    broken[is_gap] = np.nan
    return broken
