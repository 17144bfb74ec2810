"""Times of the rows of a table, and the step between neighbouring rows."""

import re
import warnings
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BaseOffset, Tick

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type

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

# A calendar's step ("MS", "B") is inferred from the longest segment without a
# difference above these multiples of the median, so that gaps do not hide it.
GAP_FACTORS = (4, 2, 1.5)

# The `freq` by which each row is one step.
ROWS = "rows"

# Where rows themselves are the steps, future rows are dated by a step that holds for
# at least this fraction of pairs of rows: exchanges have holidays.
DATING_FRACTION = 0.9

# How often a day of the week must occur to count as a day of opening.
LEAST_WEEKS = 3
MONTHLY = (
    pd.offsets.MonthBegin,
    pd.offsets.MonthEnd,
    pd.offsets.BMonthBegin,
    pd.offsets.BMonthEnd,
)
SEMIMONTHLY = (pd.offsets.SemiMonthBegin, pd.offsets.SemiMonthEnd)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


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


def to_times(values, name=None, *, caller=None):
    """Return an index, or the column `name`, as Times.

    Dates, periods, durations and numbers are times, as objects and categories too. For
    a `caller` that takes an index with or without times, None is one of names.
    """
    if isinstance(values, pd.MultiIndex):
        names = list(values.names)
        raise InvalidSequenceError(
            f"X has an index of {values.nlevels} levels, {names}, so {caller} "
            "cannot distinguish its times from its groups: name one level in time= and "
            "the other in group_by=."
        )
    index = values
    if not isinstance(index, DATED):
        where = "the index of X" if name is None else f"time={name!r}"
        index = as_typed_index(to_index(values, where), where)
        is_number = isinstance(index.dtype, np.dtype) and index.dtype.kind in "fiu"
        if not (is_number or isinstance(index, DATED)):
            if caller is None:
                raise InvalidSequenceError(
                    f"time={name!r} names a column of {index.dtype}, which are not "
                    "times: turn it into dates with pd.to_datetime, or into numbers."
                )
            _check_names(index)
            return None
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


def _check_names(index):
    """Check that an index that holds no times holds names."""
    if index.dtype.kind in "bc" or isinstance(index, pd.IntervalIndex):
        raise InvalidSequenceError(
            f"the index of X holds {index.dtype}, which are not times: give X an index "
            "of dates or numbers, or number its rows with df.reset_index(drop=True)."
        )
    check_no_written_dates(index)


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


# Steps: which rows are neighbours


@plain_type
class FixedStep(NamedTuple):
    """Neighbours are one span of time, or one number, apart.

    With a time zone, in its local time: days of 23 hours are days.
    """

    step: Any
    time_zone: tzinfo | None = None

    def adjacent(self, earlier, later):
        """Return whether each pair of times are neighbours."""
        if self.time_zone is not None:
            earlier = local_time(earlier, self.time_zone)
            later = local_time(later, self.time_zone)
        passed = later - earlier
        if passed.dtype.kind != "f":
            return passed == self.step
        # Times such as 0.1 * k have rounding errors relative to their size, which are
        # large in float32.
        rounding = np.maximum(np.spacing(np.abs(later)), np.spacing(np.abs(earlier)))
        slack = 1e-6 * self.step + 4 * rounding
        return np.abs(passed - self.step) <= slack


@plain_type
class CalendarStep(NamedTuple):
    """Neighbours are one calendar offset, such as a month, apart."""

    offset: BaseOffset
    time_zone: tzinfo | None = None

    def adjacent(self, earlier, later):
        """Return whether each pair of times are neighbours."""
        dates = pd.DatetimeIndex(local_time(earlier, self.time_zone))
        expected = add_offset(dates, self.offset)
        return expected.to_numpy() == local_time(later, self.time_zone)


@plain_type
class MaxGap(NamedTuple):
    """Neighbours are at most so far apart: irregular times."""

    largest: Any

    def adjacent(self, earlier, later):
        """Return whether each pair of times are neighbours."""
        return later - earlier <= self.largest


# The name in pickles of windowers up to version 0.6.
Reach = MaxGap


@plain_type
class RowStep(NamedTuple):
    """Each row is one step after the previous row, whatever their times.

    largest : largest difference of neighbours in the table; None if not known
    spacing : FixedStep or CalendarStep that nearly all of them keep, or None
    """

    largest: Any
    spacing: FixedStep | CalendarStep | None

    def adjacent(self, earlier, later):
        """Return whether pairs of rows, of two tables, may be neighbours."""
        if self.largest is None and self.spacing is not None:
            return self.spacing.adjacent(earlier, later)
        if self.largest is None:
            return np.zeros(len(later), dtype=bool)
        return later - earlier <= self.largest


def add_offset(dates, offset):
    """Return dates moved by an offset: NaT past the last date that exists."""
    with warnings.catch_warnings():
        # Some offsets pandas can only add to one date at a time.
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        try:
            return dates + offset
        except (OverflowError, ValueError):
            has_next = np.array([_has_next(date, offset) for date in dates])
            moved = dates[has_next] + offset
    indices = np.where(has_next, np.cumsum(has_next) - 1, -1)
    return moved.take(indices, fill_value=pd.NaT)


def _has_next(date, offset):
    try:
        date + offset
    except (OverflowError, ValueError):
        return False
    return True


def is_rows(freq):
    """Return whether a `freq` says that each row is one step."""
    return isinstance(freq, str) and freq == ROWS


def _is_daily(rule, times):
    """Return whether a step is one of days, or of what is made of days."""
    if isinstance(rule, CalendarStep):
        return not isinstance(rule.offset, pd.offsets.BusinessHour)
    if isinstance(times.labels, pd.PeriodIndex):
        unit = times.labels.freq.base
        return isinstance(unit, pd.offsets.Day) or not isinstance(unit, Tick)
    is_span = isinstance(rule.step, np.timedelta64)
    return is_span and rule.step >= np.timedelta64(1, "D")


def parse_rule(freq, times):
    """Return the FixedStep or CalendarStep of a `freq`, a user's or an index's own."""
    numeric = times.kind == "numbers"
    # np.timedelta64 is registered as an Integral number.
    is_number = isinstance(freq, Real) and not isinstance(freq, np.timedelta64)
    if numeric != is_number or (is_number and not abs(freq) < np.inf):
        wanted = "a number" if numeric else "an offset such as 'h', or a Timedelta"
        raise InvalidSequenceError(
            f"freq={freq!r} does not fit the times of X, which are {times.kind}: give "
            f"{wanted}."
        )
    step = freq
    if numeric:
        step = float(freq) if times.timestamps.dtype.kind == "f" else freq
    elif times.kind.startswith("periods"):
        step = _periods_in(freq, times)
    elif isinstance(freq, Tick) or not isinstance(freq, (BaseOffset, pd.Timedelta)):
        step = _offset_or_span(freq)
    # Days and weeks are fixed in local time.
    if isinstance(step, (pd.offsets.Day, pd.offsets.Week)):
        days = step.n * (7 if isinstance(step, pd.offsets.Week) else 1)
        rule: Any = FixedStep(np.timedelta64(days, "D"), times.time_zone)
    elif not isinstance(step, BaseOffset):
        is_span = isinstance(step, pd.Timedelta)
        rule = FixedStep(step.to_timedelta64() if is_span else step)
    elif times.kind == "durations":
        raise InvalidSequenceError(
            f"freq={step.freqstr!r} is a calendar's step, but the times of X are "
            "durations: give a fixed span such as '1h'."
        )
    else:
        rule = CalendarStep(step, times.time_zone)
    n_steps = rule.offset.n if isinstance(rule, CalendarStep) else rule.step
    if n_steps <= 0 * n_steps:  # in the unit of the step
        raise InvalidSequenceError(f"freq={freq!r} is not a step forward in time.")
    return rule


def _offset_or_span(freq):
    """Return a `freq` as an offset of whole days or of a calendar, or as a span."""
    try:
        step = freq
        if isinstance(freq, (str, BaseOffset)):
            step = to_offset(freq)
            # pandas 2 calls a Day a Tick.
            if isinstance(step, pd.offsets.Day) or not isinstance(step, Tick):
                return step
        step = pd.Timedelta(step)
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidSequenceError(
            f"freq={freq!r} is no time between rows: {error}. Give an offset such as "
            "'h' or 'MS', or a Timedelta."
        ) from error
    if pd.isna(step):
        raise InvalidSequenceError(
            f"freq={freq!r} is no time between rows: give an offset such as 'h', or a "
            "Timedelta."
        )
    return step


def _periods_in(freq, times):
    """Return the base units of the periods that make up a `freq`."""
    start = pd.Period(ordinal=0, freq=times.labels.freq)
    try:
        return (start + to_offset(freq)).ordinal
    except (NotImplementedError, OverflowError, TypeError, ValueError) as error:
        raise InvalidSequenceError(
            f"freq={freq!r} does not fit the times of X, which are {times.kind}: "
            f"{error}"
        ) from error


def infer_rule(times, timestamps, series_starts, *, as_rows=False):
    """Return the step of times, or a MaxGap if they have none.

    `timestamps` are those of `times`, series by series and each increasing;
    `series_starts` marks those that begin a series. With `as_rows`, each row is one
    step: a RowStep, dated by the step that the index declares or nearly all rows keep.
    """
    inside = ~series_starts[1:]
    is_alone, are_periods = not inside.any(), isinstance(times.labels, pd.PeriodIndex)
    declared = times.declared_step
    if not (inside.all() or (is_alone and are_periods)):
        declared = None
    elif are_periods:
        # Periods declare what they span, which need not be the step between them.
        declared = FixedStep(declared)
        if not (is_alone or declared.adjacent(timestamps[:-1], timestamps[1:]).any()):
            declared = None
    elif declared is not None:
        declared = parse_rule(declared, times)
    if is_alone and as_rows:
        return RowStep(None, declared)
    if is_alone and declared is None:
        example = 1 if times.kind == "numbers" else "'h'"
        raise InvalidSequenceError(
            "X has one row, or one row per series, and its times declare no step: give "
            f"the time between rows in freq=, for example freq={example}."
        )
    rule, fraction = declared, 1.0
    if declared is None or (as_rows and are_periods):
        rule, fraction = _most_likely_rule(times, timestamps, series_starts)
    if fraction > 0.5 and not as_rows:
        return rule
    largest = (timestamps[1:] - timestamps[:-1])[inside].max()
    if not as_rows:
        return MaxGap(largest)
    # Hours end with the session though nearly all rows keep them; days continue after
    # holidays.
    is_kept = fraction >= DATING_FRACTION and _is_daily(rule, times)
    return RowStep(largest, rule if is_kept or fraction == 1 else None)


def _most_likely_rule(times, timestamps, series_starts):
    """Return the step that most pairs of rows keep, and the fraction of these."""
    earlier, later = timestamps[:-1], timestamps[1:]
    inside = ~series_starts[1:]
    if not inside.all():
        earlier, later = earlier[inside], later[inside]
    found, most, seen = None, 0.0, set()
    for rule in _candidates(times, timestamps, series_starts):
        if rule in seen:
            continue
        seen.add(rule)
        fraction = np.count_nonzero(rule.adjacent(earlier, later)) / len(later)
        if fraction > most:
            found, most = rule, fraction
        if most == 1:
            break
    return found, most


def freq_of(rule, times):
    """Return the step of a rule as a user would give it, or None without one."""
    if isinstance(rule, RowStep):
        return ROWS
    if isinstance(rule, CalendarStep):
        return rule.offset
    if not isinstance(rule, FixedStep):
        return None
    step = rule.step
    if isinstance(times.labels, pd.PeriodIndex):
        # Ordinals count the base unit, of which a period may span several.
        return times.labels.freq.base * step
    if not isinstance(step, np.timedelta64):
        return step
    if rule.time_zone is not None:
        return pd.offsets.Day(step // np.timedelta64(1, "D"))
    return pd.Timedelta(step)


def describe_step(step):
    """Return a step, as `freq_of` returns it, as text for ``freq=``."""
    if isinstance(step, (timedelta, np.timedelta64)):
        days = pd.Timedelta(step).total_seconds() / 86400
        if days % 1 == 0:  # pandas would write "24h"
            return "D" if days == 1 else f"{days:.0f}D"
        step = to_offset(pd.Timedelta(step))
    if isinstance(step, pd.offsets.CustomBusinessDay):
        return f"C ({step.weekmask})"
    if type(step) is pd.DateOffset:
        parts = ", ".join(f"{part}={n}" for part, n in step.kwds.items())
        return f"pd.DateOffset({parts})"
    return str(getattr(step, "freqstr", step))


def fill_call(rule, times):
    """Return the call that adds the rows that a table lacks, for messages."""
    step = freq_of(rule, times)
    if not isinstance(times.labels, pd.DatetimeIndex) or step is None:
        return "df.reindex(...)"
    if isinstance(step, BaseOffset):
        try:
            known = to_offset(step.freqstr) == step
        except ValueError:
            known = False
        if not known:  # a custom week, which has no alias
            return "df.reindex(...)"
    return f"df.asfreq({describe_step(step)!r})"


def _candidates(times, timestamps, series_starts):
    """Yield rules that the times might follow, the most likely first."""
    inside = ~series_starts[1:]
    if times.timestamps.dtype.kind != "M":
        yield from _most_frequent_steps(times, timestamps, timestamps, inside)
        return
    local = local_time(timestamps, times.time_zone)
    offset = _calendar_offset(local, series_starts, np.inf)
    if offset is not None:
        yield parse_rule(offset, times)
    yield from _most_frequent_steps(times, timestamps, local, inside)
    usual = np.median(np.diff(local)[inside])
    if usual < np.timedelta64(1, "D"):
        # The only calendar of hours that pandas infers, where none is missing.
        if usual == np.timedelta64(1, "h") and _in_business_hours(local):
            yield CalendarStep(pd.offsets.BusinessHour(), times.time_zone)
        return
    for factor in GAP_FACTORS:
        offset = _calendar_offset(local, series_starts, factor)
        if offset is not None:
            yield parse_rule(offset, times)
    yield from _steps_of_open_days(local, times.time_zone)
    if usual >= np.timedelta64(13, "D"):
        for kind in SEMIMONTHLY:
            yield CalendarStep(kind(), times.time_zone)
    if usual >= np.timedelta64(28, "D"):
        yield from _steps_of_months(local, inside, times.time_zone)


def _in_business_hours(local):
    """Return whether all times are hours from 9 to 16 o'clock of Monday to Friday."""
    dates = pd.DatetimeIndex(local)
    hours = dates.hour
    return hours.min() >= 9 and hours.max() <= 16 and dates.day_of_week.max() < 5


def _steps_of_open_days(local, time_zone):
    """Yield the step between days of opening, if some days of the week are missing.

    A missing day is shorter than a weekend: no factor separates it from a gap.
    """
    days = pd.DatetimeIndex(local).day_of_week
    open_days, counts = np.unique(days, return_counts=True)
    if len(open_days) == 7:
        return
    if open_days.max() < 5:
        yield CalendarStep(pd.offsets.BDay(), time_zone)
    if counts.min() < LEAST_WEEKS or open_days.tolist() == [0, 1, 2, 3, 4]:
        return
    mask = " ".join(DAYS[day] for day in open_days)
    yield CalendarStep(pd.offsets.CustomBusinessDay(weekmask=mask), time_zone)


def _steps_of_months(local, inside, time_zone):
    """Yield steps of whole months, on the same day of each or at its ends.

    Most months have the length of the previous one, which is no step all the same;
    and gaps may leave no segment long enough to infer the calendar.
    """
    dates = pd.DatetimeIndex(local)
    months = dates.year.to_numpy() * 12 + dates.month.to_numpy()
    step = _most_frequent(np.diff(months)[inside])
    if step <= 0:
        return
    for kind in MONTHLY:
        yield CalendarStep(kind(step), time_zone)
    yield CalendarStep(pd.DateOffset(months=step), time_zone)


def _most_frequent_steps(times, timestamps, local, inside):
    """Yield the most frequent difference, in local time and in UTC."""
    day = np.timedelta64(1, "D")
    if times.time_zone is not None:
        step = _most_frequent(np.diff(local)[inside])
        if step % day == np.timedelta64(0, "D"):
            yield FixedStep(step, times.time_zone)
    yield FixedStep(_most_frequent(np.diff(timestamps)[inside]))


def _most_frequent(passed):
    if passed.dtype.kind == "f":
        # Rounding of times such as 0.1 * k makes equal steps differ. A step that more
        # than half of the pairs keep is near their median; the mean of those near it
        # rounds less.
        step = np.median(passed)
        near = np.abs(passed - step) <= 1e-3 * step
        return float(np.mean(passed[near], dtype=np.float64) if near.any() else step)
    steps, counts = np.unique(passed, return_counts=True)
    step = steps[counts.argmax()]
    return int(step) if passed.dtype.kind == "i" else step


def _calendar_offset(local, series_starts, factor):
    """Return the offset of the longest segment without a gap, or None."""
    passed = np.diff(local)
    inside = ~series_starts[1:]
    cut = series_starts.copy()
    if np.isfinite(factor):
        cut[1:] |= passed > factor * np.median(passed[inside])
    bounds = np.append(np.flatnonzero(cut), len(local))
    longest = int(np.argmax(np.diff(bounds)))
    segment = local[bounds[longest] : bounds[longest + 1]]
    offset = pd.DatetimeIndex(segment, freq="infer").freq
    return None if isinstance(offset, Tick) else offset
