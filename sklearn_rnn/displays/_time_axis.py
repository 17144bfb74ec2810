"""Times of forecasts, as matplotlib can draw them."""

from datetime import tzinfo
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn.displays._matplotlib import import_matplotlib
from sklearn_rnn.sequences import as_typed_index, to_index

DATES, ZONED_DATES, DURATIONS, NUMBERS = (
    "dates",
    "dates with a time zone",
    "durations",
    "numbers",
)
# Durations are drawn as numbers of the largest unit of which a forecast spans
# this many.
LEAST_UNITS = 2
UNITS = {"days": "1D", "hours": "1h", "minutes": "1min", "seconds": "1s"}
# Inches that one label of a date needs.
DATE_WIDTH = 0.7


class TimeAxis(NamedTuple):
    """What stands along the axis of time.

    kind : str, of the times; those of different kinds have no common axis
    time_zone : of the dates' wall clock, or None
    unit : str, in which durations are counted, or None
    name : str, for the axis of numbers
    """

    kind: str
    time_zone: tzinfo | None
    unit: str | None
    name: str

    def places(self, index, where):
        """Turn times into what matplotlib draws.

        Parameters
        ----------
        index : pandas Index
            The times.
        where : str
            Whose they are, for the error.

        Returns
        -------
        ndarray of datetime64 (in UTC), float64 or int64

        Raises
        ------
        ValueError
            If they are of another kind than those of the axis.
        """
        index = _without_periods(index)
        kind = _kind_of(index, where)
        if kind != self.kind:
            raise ValueError(
                f"the times of {where} are {kind}, those of the forecasts "
                f"{self.kind}: bring both to one kind, or name the column that holds "
                "the times in time=."
            )
        if kind == ZONED_DATES:
            return index.tz_convert(None).to_numpy()
        if kind == DURATIONS:
            return (index / pd.Timedelta(UNITS[self.unit])).to_numpy()
        return index.to_numpy()

    def label(self, ax):
        """Put labels on the axis of time.

        Parameters
        ----------
        ax : matplotlib.axes.Axes
            In which the times are drawn.
        """
        if self.kind in (NUMBERS, DURATIONS):
            ax.set_xlabel(self.unit or self.name)
            return
        dates = import_matplotlib("ForecastDisplay").dates
        # matplotlib would give a narrow picture as many labels as a wide one.
        width = ax.get_window_extent().width / ax.figure.dpi
        n_labels = int(np.clip(width / DATE_WIDTH, 3, 9))
        locator = dates.AutoDateLocator(
            tz=self.time_zone, minticks=min(3, n_labels - 1), maxticks=n_labels
        )
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(
            dates.ConciseDateFormatter(locator, tz=self.time_zone)
        )


def read_time_axis(index, longest):
    """Find out how times are to be drawn.

    Parameters
    ----------
    index : pandas Index
        Times of forecasts: dates, periods, durations or numbers.
    longest : Timedelta or None
        The longest time that one forecast covers, for durations.

    Returns
    -------
    TimeAxis

    Raises
    ------
    ValueError
        If the index holds something else, such as strings.
    """
    kind = _kind_of(_without_periods(index), "the forecasts")
    unit = None
    if kind == DURATIONS:
        fitting = (u for u in UNITS if longest >= LEAST_UNITS * pd.Timedelta(UNITS[u]))
        unit = next(fitting, "seconds")
    name = "time" if index.name is None else str(index.name)
    return TimeAxis(kind, getattr(index, "tz", None), unit, name)


def as_index(column):
    """Return a column, or an index, as a pandas Index of times.

    Parameters
    ----------
    column : Series or Index
        Of any type.

    Returns
    -------
    pandas Index
    """
    where = "the column of times"
    return as_typed_index(to_index(column, where), where)


def is_time(index):
    """Tell whether an index holds what can stand on an axis of time.

    Parameters
    ----------
    index : pandas Index
        Of any type.

    Returns
    -------
    bool
    """
    index = as_index(index)
    return is_dated(index) or index.dtype.kind in "fiu"


def is_dated(index):
    """Tell whether an index holds dates, periods or durations.

    Parameters
    ----------
    index : pandas Index
        As `as_index` gives it.

    Returns
    -------
    bool
    """
    return isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex))


def _without_periods(index):
    return index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index


def _kind_of(index, where):
    if isinstance(index, pd.DatetimeIndex):
        return DATES if index.tz is None else ZONED_DATES
    if isinstance(index, pd.TimedeltaIndex):
        return DURATIONS
    if isinstance(index.dtype, np.dtype) and index.dtype.kind in "fiu":
        return NUMBERS
    raise ValueError(
        f"the times of {where} are {index.dtype}, which has no place on an axis of "
        "time: turn them into dates with pd.to_datetime, or name the column that "
        "holds them in time=."
    )
