"""Objects of other packages as plain values, and back."""

import datetime
import zoneinfo
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset
from scipy.sparse import csr_array
from skorch.callbacks import EarlyStopping, LRScheduler

# Longest range that is restored: code that takes it for a list would take its memory.
LONGEST_RANGE = 10**6
# Words of the state of NumPy's Mersenne twister.
N_WORDS = 624


def check_kind(kind: Any, *values: Any) -> None:
    """Check types of parts of a state: others could be written out many times over.

    Raises
    ------
    ValueError
        If one is of another kind.
    """
    for value in values:
        if not isinstance(value, kind):
            raise ValueError(f"{type(value).__name__} is not expected here")


def _describe_offset(offset):
    """Return an offset as text, or by its arguments; None if neither."""
    if type(offset) is pd.DateOffset:
        return [offset.n, dict(offset.kwds), offset.normalize]
    if type(offset) is pd.offsets.CustomBusinessDay and not offset.offset:
        holidays = [str(np.datetime64(day, "D")) for day in offset.holidays]
        return [offset.n, offset.normalize, offset.weekmask, holidays]
    try:
        restored = to_offset(offset.freqstr)
    except ValueError:
        return None
    is_same = type(restored) is type(offset) and restored == offset
    return offset.freqstr if is_same and not offset.normalize else None


def _restore_offset(state):
    if isinstance(state, str):
        return to_offset(state)
    if len(state) == 4:
        n, normalize, weekmask, holidays = state
        check_kind(str, weekmask, *holidays)
        return pd.offsets.CustomBusinessDay(
            n, normalize, weekmask=weekmask, holidays=holidays
        )
    n, arguments, normalize = state
    return pd.DateOffset(n, normalize, **arguments)


def _describe_time(time):
    return [int(time.to_datetime64().astype(np.int64)), time.unit, time.tz]


def _restore_time(state):
    value, unit, tz = state
    if tz is None:
        return pd.Timestamp(value, unit=unit).as_unit(unit)
    return pd.Timestamp(value, unit=unit, tz="UTC").as_unit(unit).tz_convert(tz)


def _describe_span(span):
    return [int(span.to_timedelta64().astype(np.int64)), span.unit]


def _restore_span(state):
    value, unit = state
    return pd.Timedelta(value, unit=unit).as_unit(unit)


def _describe_dates(index):
    return [index.asi8, index.unit, index.tz, index.freqstr, index.name]


def _restore_dates(state):
    values, unit, tz, freq, name = state
    check_kind(np.ndarray, values)
    index = pd.DatetimeIndex(values.view(f"M8[{unit}]"), name=name)
    if tz is not None:
        index = index.tz_localize("UTC").tz_convert(tz)
    index.freq = freq
    return index


def _describe_spans(index):
    return [index.asi8, index.unit, index.freqstr, index.name]


def _restore_spans(state):
    values, unit, freq, name = state
    check_kind(np.ndarray, values)
    return pd.TimedeltaIndex(values.view(f"m8[{unit}]"), freq=freq, name=name)


def _describe_periods(index):
    return [index.asi8, index.freqstr, index.name]


def _restore_periods(state):
    values, freq, name = state
    check_kind(np.ndarray, values)
    return pd.PeriodIndex.from_ordinals(values, freq=freq, name=name)


def _describe_categories(index):
    return [index.codes, index.categories, index.ordered, index.name]


def _restore_categories(state):
    codes, categories, ordered, name = state
    check_kind(np.ndarray, codes)
    values = pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)
    return pd.CategoricalIndex(values, name=name)


def _describe_levels(index):
    codes = [np.asarray(column) for column in index.codes]
    return [list(index.levels), codes, list(index.names)]


def _restore_levels(state):
    levels, codes, names = state
    check_kind(np.ndarray, *codes)
    return pd.MultiIndex(levels=levels, codes=codes, names=names)


def _describe_range(value):
    return (
        [value.start, value.stop, value.step] if len(value) <= LONGEST_RANGE else None
    )


def _restore_range(state):
    check_kind(list, state)
    value = range(*state)
    if len(value) > LONGEST_RANGE:
        raise ValueError(f"{value} has more than {LONGEST_RANGE} items")
    return value


def _restore_set(state):
    check_kind(list, state)
    return set(state)


def _restore_range_index(state):
    check_kind(list, state)
    *bounds, name = state
    return pd.RangeIndex(_restore_range(bounds), name=name)


def _describe_range_index(index):
    described = _describe_range(range(index.start, index.stop, index.step))
    return None if described is None else [*described, index.name]


def _describe_index(index):
    values = index.to_numpy()
    if values.dtype != object:
        is_extension = not isinstance(index.dtype, np.dtype)
        return [values, str(index.dtype) if is_extension else None, index.name]
    missing = pd.isna(values)
    values = np.where(missing, None, values)
    if index.dtype == object and not all(
        v is None or isinstance(v, (str, bool, int, float)) for v in index
    ):
        return [list(index), "object", index.name]
    return [values, str(index.dtype), index.name]


def _restore_index(state):
    values, dtype, name = state
    check_kind((np.ndarray, list), values)
    return pd.Index(values, dtype=dtype, name=name)


def _describe_frame(frame):
    columns = [_describe_column(frame.iloc[:, j]) for j in range(frame.shape[1])]
    return [columns, frame.columns, frame.index]


def _describe_column(column):
    # An index has no float16.
    is_number = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufc"
    return column.to_numpy() if is_number else pd.Index(column, dtype=column.dtype)


def _restore_frame(state):
    columns, names, index = state
    for column in columns:
        # Others would be repeated or written out to the length of the frame.
        is_lazy = isinstance(column, (pd.RangeIndex, pd.MultiIndex))
        is_column = isinstance(column, (np.ndarray, pd.Index)) and not is_lazy
        if not is_column or column.shape != (len(index),):
            raise ValueError(f"{type(column).__name__} is no column of a frame")
    frame = pd.DataFrame(dict(enumerate(columns)), index=range(len(index)))
    frame.index, frame.columns = index, names
    return frame


def _describe_zone(zone):
    """Return the name of a zone of zoneinfo or pytz; None of the user's classes."""
    kind = type(zone)
    if kind is not zoneinfo.ZoneInfo and kind.__module__.split(".")[0] != "pytz":
        return None
    return getattr(zone, "key", None) or getattr(zone, "zone", None)


def _restore_zone(key):
    return pd.DatetimeTZDtype("ns", key).tz


def _describe_sparse(matrix):
    return [matrix.data, matrix.indices, matrix.indptr, list(matrix.shape)]


def _restore_sparse(state):
    data, indices, indptr, shape = state
    check_kind(np.ndarray, data, indices, indptr)
    matrix = csr_array((data, indices, indptr), shape=tuple(shape))
    # Products read memory by these indices without a check.
    matrix.check_format(full_check=True)
    return matrix


def _describe_random_state(random_state):
    state = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return None
    words, position = state["state"]["key"], int(state["state"]["pos"])
    return [words, position, int(state["has_gauss"]), float(state["gauss"])]


def _restore_random_state(state):
    words, position, has_gauss, gauss = state
    # NumPy reads the word at this position without a check.
    if words.shape != (N_WORDS,) or not 0 <= position <= N_WORDS:
        raise ValueError(f"a random state of {words.shape} words at {position}")
    random_state = np.random.RandomState(0)
    random_state.set_state(("MT19937", words, position, has_gauss, gauss))
    return random_state


def _describe_scalar(scalar):
    """Return a date or span of NumPy as an integer; None of other scalars."""
    if type(scalar) not in (np.datetime64, np.timedelta64):
        return None
    return [int(scalar.astype(np.int64)), scalar.dtype.str[1:]]


def _restore_scalar(state):
    value, dtype = state
    return np.int64(value).view(dtype)


def _describe_early_stopping(callback):
    params = callback.get_params(deep=False)
    return params if params.pop("sink", print) is print else None


def _describe_scheduler(callback):
    names = "policy", "monitor", "event_name", "step_every"
    return {name: getattr(callback, name) for name in names} | callback.kwargs


# Type of each and its plain state; None leaves it as it is. A subclass is another type.
DESCRIBE: dict[str, tuple[type, Any]] = {
    "NaT": (type(pd.NaT), lambda _: []),
    "NA": (type(pd.NA), lambda _: []),
    "Timedelta": (pd.Timedelta, _describe_span),
    "Timestamp": (pd.Timestamp, _describe_time),
    "Offset": (pd.offsets.BaseOffset, _describe_offset),
    "DatetimeIndex": (pd.DatetimeIndex, _describe_dates),
    "TimedeltaIndex": (pd.TimedeltaIndex, _describe_spans),
    "PeriodIndex": (pd.PeriodIndex, _describe_periods),
    "CategoricalIndex": (pd.CategoricalIndex, _describe_categories),
    "MultiIndex": (pd.MultiIndex, _describe_levels),
    "RangeIndex": (pd.RangeIndex, _describe_range_index),
    "Index": (pd.Index, _describe_index),
    "DataFrame": (pd.DataFrame, _describe_frame),
    "timezone": (datetime.timezone, lambda zone: zone.utcoffset(None).total_seconds()),
    "tzinfo": (datetime.tzinfo, _describe_zone),
    "datetime": (datetime.datetime, lambda t: None if t.tzinfo else t.isoformat()),
    "date": (datetime.date, lambda date: date.isoformat()),
    "timedelta": (datetime.timedelta, lambda t: [t.days, t.seconds, t.microseconds]),
    "csr_array": (csr_array, _describe_sparse),
    "RandomState": (np.random.RandomState, _describe_random_state),
    "datetime64": (np.generic, _describe_scalar),
    "slice": (slice, lambda s: [s.start, s.stop, s.step]),
    "EarlyStopping": (EarlyStopping, _describe_early_stopping),
    "LRScheduler": (LRScheduler, _describe_scheduler),
    "range": (range, _describe_range),
    "set": (set, list),
    "frozenset": (frozenset, list),
    "bytes": (bytes, lambda value: np.frombuffer(value, dtype=np.uint8)),
    "Path": (type(Path()), str),
}
# Types that are not made themselves: their functions look at the type of the value.
ABSTRACT = (pd.offsets.BaseOffset, datetime.tzinfo, np.generic)
RESTORE: dict[str, Any] = {
    "NaT": lambda _: pd.NaT,
    "NA": lambda _: pd.NA,
    "Timedelta": _restore_span,
    "Timestamp": _restore_time,
    "Offset": _restore_offset,
    "DatetimeIndex": _restore_dates,
    "TimedeltaIndex": _restore_spans,
    "PeriodIndex": _restore_periods,
    "CategoricalIndex": _restore_categories,
    "MultiIndex": _restore_levels,
    "RangeIndex": _restore_range_index,
    "Index": _restore_index,
    "DataFrame": _restore_frame,
    "timezone": lambda s: datetime.timezone(datetime.timedelta(seconds=s)),
    "tzinfo": _restore_zone,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "timedelta": lambda state: datetime.timedelta(*state),
    "csr_array": _restore_sparse,
    "RandomState": _restore_random_state,
    "datetime64": _restore_scalar,
    "slice": lambda state: slice(*state),
    "EarlyStopping": lambda state: EarlyStopping(**state),
    "LRScheduler": lambda state: LRScheduler(**state),
    "range": _restore_range,
    "set": _restore_set,
    "frozenset": lambda state: frozenset(_restore_set(state)),
    "bytes": lambda value: value.tobytes(),
    "Path": Path,
}
