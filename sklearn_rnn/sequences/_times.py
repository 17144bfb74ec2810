"""Times of the rows of a table: numbers, dates, periods or durations."""

import re
import warnings
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError

# Rows compared at a time.
ROWS_PER_BLOCK = 2**17

MONTH = (
    "(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?"
    "|sept?(ember)?|oct(ober)?|nov(ember)?|dec(ember)?)"
)
# How dates, months, quarters, weeks and times of day are written.
WRITTEN_DATE = re.compile(
    rf"""\s*(((mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?,?\s+)?(
    \d{{4}}-\d{{1,2}}-\d{{1,2}} | \d{{4}}_\d{{1,2}}_\d{{1,2}}
    | \d{{1,4}}/\d{{1,2}}/\d{{1,4}}
    | \d{{4}}[-/]\d{{1,2}}\s*$ | \d{{4}}\.\d{{1,2}}\.\d{{1,2}}\.?(\s|$)
    | \d{{1,2}}\.\d{{1,2}}\.\d{{4}}(\s|$) | \d{{1,2}}-\d{{1,2}}-\d{{4}}(\s|$)
    | \d{{4}}-?W\d{{2}} | \d{{4}}[ -]?Q[1-4]\s*$ | Q[1-4][ /-]?\d{{4}}\s*$
    | {MONTH}\.?[ ,-]+(\d{{1,2}}(st|nd|rd|th)?,?[ -]+)?\d{{2,4}}\b
    | \d{{1,2}}(st|nd|rd|th)?[ .-]+{MONTH}\b
    | \d{{1,2}}:\d{{2}}(:\d{{2}}(\.\d+)?)?\s*([ap]m)?$
    ))""",
    re.VERBOSE | re.IGNORECASE,
)
# Years, or days without a separator: dates only if all strings look like this.
COMPACT_DATE = re.compile(
    r"\s*(18|19|20)\d\d((0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(T?\d{4,6})?)?\s*"
)
# Weeks and quarters, which pandas reads as periods.
WEEK_OR_QUARTER = re.compile(
    r"\s*(\d{4}-?W(0[1-9]|[1-4]\d|5[0-3])(-?[1-7])?|\d{4}[ -]?Q[1-4]"
    r"|Q[1-4][ /-]?\d{4})\s*",
    re.IGNORECASE,
)
# Strings of an index that are inspected, to distinguish dates from names.
MAX_STRINGS = 50

DATED = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)


class Times(NamedTuple):
    """One time per row.

    timestamps : ndarray of datetime64 (in UTC), timedelta64, int64, float64 or float32
    kind : str, what the times are; those of different kinds do not compare
    time_zone : of the dates' local time, or None
    declared_step : offset or number that the index itself declares, or None
    labels : pandas Index, the times as the user knows them
    """

    timestamps: np.ndarray
    kind: str
    time_zone: tzinfo | None
    declared_step: object
    labels: pd.Index


def times_from_index(index, estimator_name):
    """Return the index of a frame as Times, or None where it holds names.

    Dates, periods, durations and numbers are times, as objects and categories too.
    """
    if isinstance(index, pd.MultiIndex):
        names = list(index.names)
        raise InvalidSequenceError(
            f"X has an index of {index.nlevels} levels, {names}, so {estimator_name} "
            "cannot distinguish its times from its groups: name one level in time= and "
            "the other in group_by=."
        )
    typed = as_typed_index(index, "the index of X")
    if _is_time(typed):
        return to_times(typed)
    if typed.dtype.kind in "bc" or isinstance(typed, pd.IntervalIndex):
        raise InvalidSequenceError(
            f"the index of X holds {typed.dtype}, which are not times: give X an index "
            "of dates or numbers, or number its rows with df.reset_index(drop=True)."
        )
    check_no_written_dates(typed)
    return None


def to_times(index, name=None):
    """Return an index, or the column `name` turned into one, as Times."""
    if not isinstance(index, DATED):
        where = "the index of X" if name is None else f"time={name!r}"
        index = as_typed_index(index, where)
    if not (isinstance(index, DATED) or _is_time(index)):
        raise InvalidSequenceError(
            f"time={name!r} names a column of {index.dtype}, which are not times: "
            "turn it into dates with pd.to_datetime, or into numbers."
        )
    if index.hasnans:
        row = int(np.argmax(index.isna()))
        raise InvalidSequenceError(
            f"X has no time in row {row}: it is {index[row]}. Drop such rows, and "
            "their targets, or fill in the time."
        )
    if isinstance(index, pd.DatetimeIndex):
        in_utc = index if index.tz is None else index.tz_convert(None)
        kind = "dates" if index.tz is None else "dates with a time zone"
        return Times(in_utc.to_numpy(), kind, index.tz, index.freq, index)
    if isinstance(index, pd.PeriodIndex):
        # Ordinals count the base unit: a period of "2h" is two of them.
        kind = f"periods of {index.freqstr}"
        return Times(index.asi8, kind, None, index.freq.n, index)
    if isinstance(index, pd.TimedeltaIndex):
        return Times(index.to_numpy(), "durations", None, index.freq, index)
    step = index.step if isinstance(index, pd.RangeIndex) else None
    return Times(_numeric_timestamps(index), "numbers", None, step, index)


def _numeric_timestamps(index):
    """Return numeric times as int64, float64 or float32.

    float32 is kept, as its precision says what is rounding and what a gap.
    """
    values = index.to_numpy()
    if values.dtype.kind == "f":
        possible = np.isfinite(values)
    else:
        possible = values <= np.iinfo(np.int64).max
    if not possible.all():
        row = int(np.argmin(possible))
        raise InvalidSequenceError(
            f"X has the time {values[row]} in row {row}, which is infinite or too "
            "large: correct it, or drop the row and its target."
        )
    # Small integers would overflow, and unsigned ones wrap, when subtracted.
    return values if values.dtype.kind == "f" else values.astype(np.int64)


SEVERAL = (
    "If several series share the times, name the column that identifies them in "
    "group_by=. If the index is no time, as after shuffling or joining tables, "
    "renew it with df.reset_index(drop=True)."
)


def check_increasing(times, order, series_starts, several=SEVERAL):
    """Check that rows stand in the order of their times.

    `order` holds the rows, series by series, or None where the table has that order;
    `series_starts` marks those that begin a series, and `several` says what to do
    about several series.
    """
    timestamps = times.timestamps if order is None else times.timestamps[order]
    n_pairs = len(timestamps) - 1
    for begin in range(0, n_pairs, ROWS_PER_BLOCK):
        end = min(begin + ROWS_PER_BLOCK, n_pairs)
        later = slice(begin + 1, end + 1)
        wrong = (timestamps[later] <= timestamps[begin:end]) & ~series_starts[later]
        if wrong.any():
            i = begin + int(np.argmax(wrong)) + 1
            _raise_order(times, order, i, several)


def _raise_order(times, order, i, remedy):
    row, before = (i, i - 1) if order is None else order[[i, i - 1]]
    label, label_before = times.labels[row], times.labels[before]
    if label == label_before:
        raise InvalidSequenceError(
            f"X has the time {label} twice, in rows {before} and {row}. Drop the "
            f"duplicates, say with df[~df.index.duplicated()]. {remedy}"
        )
    raise InvalidSequenceError(
        f"X is not sorted by time: row {row} is at {label}, after row {before} at "
        f"{label_before}. Sort it, and its targets with it, by df.sort_index() or "
        f"df.sort_values(). {remedy}"
    )


def local_time(timestamps, time_zone):
    """Return UTC datetime64 as local time in a time zone; None leaves them."""
    if time_zone is None:
        return timestamps
    aware = pd.DatetimeIndex(timestamps, tz="UTC").tz_convert(time_zone)
    return aware.tz_localize(None).to_numpy()


def to_index(values, where):
    """Return a column, array or list of times as a pandas Index."""
    dtype = getattr(values, "dtype", None)
    if dtype == np.float16:
        raise InvalidSequenceError(
            f"{where} holds float16, whose three digits cannot distinguish times: read "
            "the times as float64, or as whole numbers."
        )
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        # Wider floats than pandas' own would become objects.
        return pd.Index(values, dtype=np.float32 if dtype.itemsize < 8 else np.float64)
    return _index_of(values)


def _index_of(values):
    # pandas 2 would look for dates among objects, with a warning.
    keeps_objects = isinstance(values, (pd.Index, pd.Series)) and values.dtype == object
    return pd.Index(values, dtype=object) if keeps_objects else pd.Index(values)


def holds_dates(values, *, certain=False):
    """Return whether a column or index holds dates, however they are stored.

    Dates, periods or durations, as objects, categories or strings too; of an index of
    several levels, those of any level. If `certain`, strings count only if all are
    dates beyond doubt: not if some are names, nor if they are bare numbers, as
    identifiers are.
    """
    if isinstance(values, pd.MultiIndex):
        return any(holds_dates(level, certain=certain) for level in values.levels)
    index = _index_of(values)
    if index.isna().all():
        return isinstance(index, DATED)
    try:
        index = as_typed_index(index, "X")
    except InvalidSequenceError:  # such as dates of several zones
        return any(_is_timelike(type(value)) for value in index)
    return isinstance(index, DATED) or _written_date(index, certain) is not None


def as_typed_index(index, where):
    """Return an index of dates or numbers with the type of its values.

    Objects, categories, nullable and Arrow types are converted where that is
    unambiguous; an index of names is returned as it is, or its categories. `where`
    names it in messages.
    """
    dtype = index.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _from_categories(index, where)
    kind = getattr(dtype, "kind", "O")
    if isinstance(index, DATED) or isinstance(dtype, pd.IntervalDtype):
        return index
    if isinstance(dtype, np.dtype) and kind != "O":
        return index
    if kind in "Mm":
        return pd.DatetimeIndex(index) if kind == "M" else pd.TimedeltaIndex(index)
    if kind in "fiu":
        dtype = np.float64 if kind == "f" or index.hasnans else np.int64
        values = index.to_numpy(dtype=dtype, na_value=np.nan)
        return pd.Index(values, name=index.name)
    if kind == "b" or isinstance(dtype, pd.StringDtype):
        return index
    return _from_objects(index, where)


def _from_categories(index, where):
    categories = as_typed_index(index.categories, where)
    if not index.hasnans:
        return categories.take(index.codes).rename(index.name)
    if categories.dtype.kind in "iu":
        categories = categories.astype(np.float64)
    elif not isinstance(categories, DATED):
        categories = categories.astype(object)
    missing = pd.NaT if isinstance(categories, DATED) else np.nan
    return categories.take(index.codes, fill_value=missing).rename(index.name)


def _from_objects(index, where):
    """Return an index of Python objects as one of their type."""
    values = np.asarray(index, dtype=object)
    missing = np.asarray(pd.isna(values))
    present = values[~missing]
    types = set(map(type, present))
    if all(issubclass(t, (date, np.datetime64)) for t in types):
        return _from_dates(values, present, where).rename(index.name)
    if all(issubclass(t, pd.Period) for t in types):
        freqs = sorted({period.freqstr for period in present})
        _check_alike(freqs, where, "periods of several frequencies", "period.asfreq")
        return pd.PeriodIndex(values, freq=freqs[0], name=index.name)
    if all(issubclass(t, (timedelta, np.timedelta64)) for t in types):
        return pd.TimedeltaIndex(values, name=index.name)
    if types == {time}:
        raise InvalidSequenceError(
            f"{where} holds times of day without a date, which have no order across "
            "days: put the date in front with datetime.combine; or, for a single day, "
            "turn them into durations with pd.to_timedelta(values.astype(str))."
        )
    if any(_is_timelike(t) for t in types):
        raise InvalidSequenceError(
            f"{where} holds {_listed(types)}, and times have to be of one kind that "
            "pandas knows: turn all of them into dates with pd.to_datetime, or leave "
            "out the rows of the others."
        )
    if all(issubclass(t, (bool, np.bool_)) for t in types):
        return index.astype(bool)
    if all(_is_number(t) for t in types):
        return _from_numbers(values, missing, types, where).rename(index.name)
    return index


def _from_dates(values, present, where):
    zones = {getattr(value, "tzinfo", None) for value in present}
    names = sorted({str(zone) for zone in zones})
    remedy = "pd.to_datetime(..., utc=True)"
    if None in zones:
        remedy = "df.tz_localize, for those that have none, and then " + remedy
    _check_alike(names, where, "dates of several time zones", remedy)
    try:
        if zones <= {None}:
            # Arrays get a resolution that holds all dates; lists that of the first.
            return pd.DatetimeIndex(pd.to_datetime(pd.Series(values, dtype=object)))
        in_utc = pd.to_datetime(pd.Series(values, dtype=object), utc=True)
        return pd.DatetimeIndex(in_utc).tz_convert(next(iter(zones)))
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidSequenceError(
            f"{where} holds dates that pandas cannot read: {error}"
        ) from error


def _from_numbers(values, missing, types, where):
    whole = all(issubclass(t, Integral) for t in types) and not missing.any()
    values = np.where(missing, np.nan, values)
    try:
        return pd.Index(values.astype(np.int64 if whole else np.float64))
    except OverflowError as error:
        raise InvalidSequenceError(
            f"{where} holds numbers too large for a time: {error}."
        ) from error


def _check_alike(names, where, several, remedy):
    if len(names) > 1:
        raise InvalidSequenceError(
            f"{where} holds {several}, {', '.join(names)}, so its rows have no common "
            f"clock: bring them to one, with {remedy}."
        )


def _is_timelike(kind):
    """Return whether a type is a time: of pandas, Python, or such as cftime's."""
    known = (date, time, timedelta, np.datetime64, np.timedelta64, pd.Period)
    if issubclass(kind, known):
        return True
    return all(hasattr(kind, part) for part in ("year", "month", "day"))


def _is_number(kind):
    return issubclass(kind, (Real, Decimal)) and not issubclass(kind, (bool, np.bool_))


def _listed(types):
    return " and ".join(sorted(kind.__name__ for kind in types))


def _is_time(index):
    if isinstance(index, DATED):
        return True
    return isinstance(index.dtype, np.dtype) and index.dtype.kind in "fiu"


def check_no_written_dates(index):
    """Raise for dates that were read as text, as a CSV file's are by default."""
    written = _written_date(index)
    if written is not None:
        raise InvalidSequenceError(
            f"the index of X holds dates as strings, such as {written!r}, and strings "
            "have no neighbours in time: df.index = pd.to_datetime(df.index), with "
            "dayfirst=True or format= where they are not written year first; or "
            "pd.PeriodIndex(df.index, freq=...) for weeks, months and quarters. Bytes "
            "become strings with df.index.str.decode('utf-8')."
        )


def _written_date(index, certain=False):
    """Return the first date among the strings of an index, or None if it has names.

    Most of the strings must be dates: neither a row of totals among dates nor a name
    that reads like a date among names decides.
    """
    if isinstance(index.dtype, np.dtype) and index.dtype != object:
        return None
    present = np.flatnonzero(~index.isna())
    if len(present) == 0:
        return None
    chosen = np.linspace(0, len(present) - 1, min(len(present), MAX_STRINGS))
    # HDF5 and FITS files hold text as bytes.
    values = [
        value.decode(errors="replace") if isinstance(value, bytes) else value
        for value in np.asarray(index[present[chosen.astype(int)]], dtype=object)
    ]
    strings = [value for value in values if isinstance(value, str)]
    if strings and all(map(COMPACT_DATE.fullmatch, strings)):
        is_doubtful = any(string.strip().isdigit() for string in strings)
        return None if certain and is_doubtful else strings[0]
    dates = [string for string in strings if _is_date(string)]
    n_wanted = len(values) if certain else len(strings) / 2
    return dates[0] if dates and len(dates) >= n_wanted else None


def _is_date(string):
    """Return whether a string looks like a date, and is a date that exists."""
    if not WRITTEN_DATE.match(string):
        return False
    if WEEK_OR_QUARTER.fullmatch(string):
        return True
    # In a year that nanoseconds can hold and that has a 29 February.
    string = re.sub(r"(?<!\d)\d{4}(?!\d)", "2000", string.replace("_", "-"), count=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about day first or month first
        return not pd.isna(pd.to_datetime(string, errors="coerce"))
