"""Times of forecasts, as matplotlib can draw them."""

from datetime import tzinfo
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn.displays import import_matplotlib
from sklearn_rnn.sequences import DATED, as_typed_index, to_index

DATES, ZONED_DATES, DURATIONS, NUMBERS = (
    "dates",
    "dates with a time zone",
    "durations",
    "numbers",
)
# Durations are drawn in the largest unit of which a forecast spans this many.
LEAST_UNITS = 2
UNITS = {"days": "1D", "hours": "1h", "minutes": "1min", "seconds": "1s"}
# Width of the label of a date, in inches.
DATE_WIDTH = 0.7


class TimeAxis(NamedTuple):
    """The kind of the times on an axis, and how they are labelled."""

    kind: str
    time_zone: tzinfo | None  # of the dates' wall clock
    unit: str | None  # of durations
    name: str  # label of numeric times

    def positions(self, index, where):
        """Return times as matplotlib draws them: datetime64 (in UTC), float64 or int64.

        `where` says whose they are, for the error if they are of another kind.
        """
        index = _without_periods(index)
        kind = _kind_of(index, where)
        if kind != self.kind:
            raise ValueError(
                f"the times of {where} are {kind}, those of the forecasts "
                f"{self.kind}: convert one of them, or name the column of times in "
                "time=."
            )
        if kind == ZONED_DATES:
            return index.tz_convert(None).to_numpy()
        if kind == DURATIONS:
            return (index / pd.Timedelta(UNITS[self.unit or "seconds"])).to_numpy()
        return index.to_numpy()

    def label(self, ax):
        """Set locator, formatter and label of the time axis."""
        if self.kind in (NUMBERS, DURATIONS):
            ax.set_xlabel(self.unit or self.name)
            return
        dates = import_matplotlib("ForecastDisplay").dates
        # matplotlib would give narrow axes as many labels as wide ones.
        width = ax.get_window_extent().width / ax.figure.dpi
        n_labels = int(np.clip(width / DATE_WIDTH, 3, 9))
        locator = dates.AutoDateLocator(
            tz=self.time_zone, minticks=min(3, n_labels - 1), maxticks=n_labels
        )
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(
            dates.ConciseDateFormatter(locator, tz=self.time_zone)
        )


def find_time_axis(index, longest):
    """Return the time axis for dates, periods, durations or numeric times.

    `longest` is the longest time that one forecast covers, for durations.
    """
    kind = _kind_of(_without_periods(index), "the forecasts")
    unit = None
    if kind == DURATIONS:
        fitting = (u for u in UNITS if longest >= LEAST_UNITS * pd.Timedelta(UNITS[u]))
        unit = next(fitting, "seconds")
    name = "time" if index.name is None else str(index.name)
    return TimeAxis(kind, getattr(index, "tz", None), unit, name)


def is_time(values):
    """Return whether a column or index holds values that a time axis can show."""
    return is_dated(values) or _typed(values).dtype.kind in "fiu"


def is_dated(values):
    """Return whether a column or index holds dates, periods or durations."""
    return isinstance(_typed(values), DATED)


def _typed(values):
    where = "the column of times"
    return as_typed_index(to_index(values, where), where)


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
        f"the times of {where} are {index.dtype}, which a time axis cannot show: "
        "convert them to dates with pd.to_datetime, or name the column of times in "
        "time=."
    )
