"""Holidays of a country, a part of it or an exchange, or as a user lists them."""

import warnings
from collections.abc import Collection
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import (
    SklearnRNNWarning,
    missing_package,
    user_stacklevel,
)


def import_holidays() -> ModuleType:
    """Import holidays, or raise an error that says how to install it."""
    try:
        import holidays
    except ImportError as error:
        raise missing_package(
            "CalendarFeatures, to look up the holidays of a country,",
            "holidays",
            "holidays",
            " A list of dates needs no package.",
        ) from error
    return holidays


def flag_holidays(holidays: Any, dates: pd.DatetimeIndex) -> np.ndarray:
    """Return 1 for dates that are holidays, else 0, as int64.

    `holidays` is a code, such as "US" or "DE-BY", or the dates themselves.
    """
    days = _days_of(dates)
    if isinstance(holidays, str):
        known = look_up(holidays, tuple(np.unique(dates.year).tolist()))
    else:
        known = parse_dates(holidays)
    # Integers are looked up in a table, without sorting.
    return np.isin(days.astype(np.int64), known.astype(np.int64)).astype(np.int64)


@lru_cache(maxsize=100)
def look_up(code: str, years: tuple[int, ...]) -> np.ndarray:
    """Return the holidays of some years by the package holidays, as datetime64[D]."""
    package = import_holidays()
    place, _, subdivision = code.partition("-")
    find = package.country_holidays
    if place in package.list_supported_financial():
        find = package.financial_holidays
    try:
        found = find(place, subdiv=subdivision or None, years=years)
    except NotImplementedError as error:
        raise ValueError(
            f"holidays={code!r} is not known: {error}. Give a code of the package "
            "holidays for a country, such as 'US', or a part of it, 'US-CA', or an "
            "exchange, 'NYSE'; or a list of dates."
        ) from error
    return np.array(sorted(found), dtype="datetime64[D]")


def parse_dates(holidays: Collection[Any]) -> np.ndarray:
    """Return dates that are listed, or the keys of a mapping, as datetime64[D]."""
    dates = list(holidays)
    try:
        # Of strings only dates written year first: others have two readings.
        has_strings = any(isinstance(date, str) for date in dates)
        options = {"format": "ISO8601"} if has_strings else {}
        found = pd.DatetimeIndex(pd.to_datetime(dates, **options))
    except (TypeError, ValueError) as error:
        raise ValueError(
            "holidays must be a code, such as 'US', or dates, such as "
            f"['2024-12-24', '2024-12-31'], got {holidays!r}: {error}"
        ) from error
    if len(found) == 0 or found.hasnans:
        raise ValueError(
            f"holidays={holidays!r} should be one or more dates, none of them missing; "
            "None adds no column. An object of the package holidays has only the years "
            "that it was asked for: give its code, such as 'US'."
        )
    return np.sort(_days_of(found))


def warn_of_other_years(holidays: Collection[Any], dates: pd.DatetimeIndex) -> None:
    """Warn of dates in years before the first or after the last listed holiday."""
    known, days = parse_dates(holidays), _days_of(dates)
    years, listed = days.astype("datetime64[Y]"), known.astype("datetime64[Y]")
    outside = (years < listed[0]) | (years > listed[-1])
    if outside.any():
        warnings.warn(
            f"holidays= lists dates from {known[0]} to {known[-1]}, and other years "
            f"are needed, such as that of {days[outside][-1]}: no day of these is a "
            "holiday, list theirs too.",
            SklearnRNNWarning,
            stacklevel=user_stacklevel(),
        )


def _days_of(dates):
    return dates.tz_localize(None).to_numpy().astype("datetime64[D]")
