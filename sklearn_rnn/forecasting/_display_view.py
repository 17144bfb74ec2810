"""View: the forecasts and observed values of a panel that are drawn."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn.forecasting._columns import quantile_columns

# Rows of history before the first forecast: a multiple of its steps, and the minimum.
HISTORY_TIMES, HISTORY_LEAST = 4, 30
# Forecasts from several origins are taken from the newest part of a backtest, which
# is this many times as long as they are together: spread wider, they would be too
# narrow to see.
SPREAD = 3
# A step this many times the usual one is a gap. A weekend is three days.
GAP = 3.5


class View(NamedTuple):
    """Everything drawn in a panel."""

    paths: list["Path"]
    observed: pd.Series | None  # by time


class Path(NamedTuple):
    """One line of forecasts.

    `start` is the observed value at the origin, from which a line leads to the first
    forecast; NaN for none.
    """

    values: pd.DataFrame  # predictions and quantiles by time
    origin: Any  # time of the last known row, or None
    start: float


def view_panel(panel, *, n_history, n_origins, at_horizon):
    """Select what to draw of a panel.

    That is `n_history` rows of observed values before the first forecast (None:
    automatic), and forecasts from at most `n_origins` origins, or all that are
    `at_horizon` steps ahead.
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
    return View(paths, None if observed is None else _insert_gaps(observed))


def lone_points(values):
    """Return the indices of values that no line shows: both neighbours are NaN."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    return np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:]).tolist()


def _from_origins(forecasts, n_origins):
    if "origin" not in forecasts:
        if forecasts["time"].duplicated().any():
            raise ValueError(
                "the forecasts have a time more than once: they need a column 'origin' "
                "with the time when each was made, or group_by= with the column of "
                "their series."
            )
        return [forecasts]
    lasts = forecasts.groupby("origin")["time"].max()
    origins = _spread(lasts.index.to_numpy(), lasts.to_numpy(), n_origins)
    return [
        # An origin may occur in several folds; the last had the most training data.
        forecasts[forecasts["origin"] == origin].drop_duplicates("time", keep="last")
        for origin in origins
    ]


def _spread(origins, lasts, n_origins):
    """Return origins that are evenly spread, and whose forecasts do not overlap."""
    longest = (lasts - origins).max()
    disjoint = [len(origins) - 1]
    for i in range(len(origins) - 2, -1, -1):
        if lasts[i] <= origins[disjoint[-1]]:
            disjoint.append(i)
    near = lasts[-1] - origins <= SPREAD * n_origins * longest
    kept = np.array([i for i in reversed(disjoint) if near[i] or i == disjoint[0]])
    chosen = np.linspace(0, len(kept) - 1, min(n_origins, len(kept)))
    return origins[kept[np.sort(len(kept) - 1 - chosen.round().astype(int))]]


def _at_horizon(forecasts, at_horizon):
    if "horizon" not in forecasts:
        raise ValueError(
            f"at_horizon={at_horizon} needs a column 'horizon' in the forecasts with "
            "the number of steps ahead."
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
    """Return some rows up to the first forecast, and those during the forecasts."""
    if observed is None:
        return None
    times = observed.index
    begin = max(times.searchsorted(first, side="right") - n_history, 0)
    return observed.iloc[begin : times.searchsorted(last, side="right")]


def _path(table, observed, has_origins):
    columns = ["prediction", *quantile_columns(table.columns).values()]
    values = _insert_gaps(table.set_index("time")[columns].astype(float))
    if not has_origins:
        return Path(values, None, np.nan)
    origin = table["origin"].iloc[0]
    is_next = "horizon" not in table or table["horizon"].iloc[0] == 1
    if observed is None or not is_next or origin not in observed.index:
        return Path(values, origin, np.nan)
    return Path(values, origin, observed.loc[origin])


def _insert_gaps(values):
    """Insert a row of NaN into each gap of time, so that no line crosses it."""
    times = values.index.to_numpy()
    if len(times) < 3:
        return values
    steps = np.diff(times)
    gaps = np.flatnonzero(steps > GAP * np.median(steps)) + 1
    rows = np.insert(np.arange(len(times)), gaps, gaps - 1)
    is_gap = np.insert(np.zeros(len(times), dtype=bool), gaps, True)
    result = values.iloc[rows].copy()
    result[is_gap] = np.nan
    return result
