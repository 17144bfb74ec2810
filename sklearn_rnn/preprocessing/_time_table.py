"""TimeTable: a table of time steps, its features, and the windows over its rows."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.preprocessing._keys import TableKeys, check_column_key, check_names
from sklearn_rnn.preprocessing._time_errors import (
    check_freq_has_times,
    check_index_of_times,
    check_labels,
    check_stated_step,
    raise_gaps,
    raise_irregular,
    raise_other_kind,
    warn_without_times,
)
from sklearn_rnn.sequences import (
    LENGTH_TYPES,
    MAX_INT32_ROWS,
    ROWS,
    SEQUENCES_PER_BLOCK,
    CalendarStep,
    FixedStep,
    MaxGap,
    RowStep,
    SequenceArray,
    Times,
    Transforms,
    add_offset,
    check_increasing,
    check_table,
    check_unique_names,
    convert_input,
    describe_step,
    encode_categories,
    freq_of,
    holds_dates,
    infer_rule,
    is_categorical,
    is_foreign_frame,
    is_list_of_sequences,
    is_text,
    local_time,
    parse_rule,
    to_numbers,
    to_times,
    trusted_sequences,
)

# Rows copied at a time, and pairs of neighbouring rows compared at a time.
ROWS_PER_BLOCK = 8192
PAIRS_PER_BLOCK = 2**17

# What a step of time is.
Rule = FixedStep | CalendarStep | MaxGap | RowStep

# Calendar offsets are added one by one: so many take seconds.
MAX_CALENDAR_STEPS = 10_000

# Calendars and time zones of pandas are computed with Python's dates, which end here.
LAST_DATE = pd.Timestamp("9999-12-31 23:59:59").as_unit("s")

# No positions.
NONE: np.ndarray = np.empty(0, dtype=int)


@dataclass(frozen=True, eq=False)
class TimeTable:
    """A table of time steps: its series, times, step and gaps.

    *Rows* count as the table has them, *positions* count the same rows series by
    series, in the order of time inside each.

    data : the frame or array
    keys : which columns hold the times and name the series
    times : Times of the rows, or None if they are not known
    index : Index of the time of each row, or of row numbers if times are not known
    order : ndarray of int, row at each position; None if the same
    is_series_start : ndarray of bool, positions that begin a series
    labels : Index of one label per series, a tuple of several columns; None for one
    timestamps : ndarray of the time at each position, or None
    series_bounds : ndarray of int, where each series begins, and one past the last
    latest : ndarray of int, position of the newest row of each series
    is_segment_start : ndarray of bool, positions whose row has no neighbour before it
    gaps : ndarray of int, positions that begin a segment and no series
    rule : what makes rows neighbours; None if unknown, or not asked for
    """

    data: Any
    keys: TableKeys
    times: Times | None
    index: pd.Index
    order: np.ndarray | None
    is_series_start: np.ndarray
    labels: pd.Index | None
    timestamps: np.ndarray | None
    series_bounds: np.ndarray
    latest: np.ndarray
    is_segment_start: np.ndarray
    gaps: np.ndarray
    rule: Rule | None = None

    @classmethod
    def read(
        cls,
        data: Any,
        keys: TableKeys,
        caller: str,
        *,
        rule: Rule | None = None,
        kind: str | None = None,
        must_be_regular: bool = False,
    ) -> Self:
        """Return a table with its step of time, and the gaps that this leaves.

        The step is a `rule` found before, in times of a `kind`; or else that of the
        keys; or else inferred: a MaxGap where there is none. A table that
        `must_be_regular` has a step, or one row per series and None as its rule.
        """
        table = cls.from_rows(data, keys, caller)
        times, timestamps, start = table.times, table.timestamps, table.is_series_start
        if times is None or timestamps is None:
            if rule is None and not must_be_regular:
                check_freq_has_times(keys.freq)
            return table
        if must_be_regular and rule is None:
            counts = times.kind == "numbers" and times.timestamps.dtype.kind == "i"
            if keys.time is None and counts:
                check_index_of_times(first_date_column(data), caller)
            is_declared = times.declared_step is not None and len(start) == 1
            if keys.freq is None and start.all() and not is_declared:
                return table
        if kind is not None and times.kind != kind:
            raise_other_kind(times.kind, kind, caller)
        is_rule = rule is not None
        as_rows = isinstance(keys.freq, str) and keys.freq == ROWS
        if rule is None and (keys.freq is None or as_rows):
            rule = infer_rule(times, timestamps, start, as_rows=as_rows)
        elif rule is None:
            rule = parse_rule(keys.freq, times)
        if must_be_regular and isinstance(rule, MaxGap):
            raise_irregular()
        n_pairs = 0 if isinstance(rule, RowStep) else len(start) - 1
        for begin in range(0, n_pairs, PAIRS_PER_BLOCK):
            end = min(begin + PAIRS_PER_BLOCK, n_pairs)
            earlier, later = slice(begin, end), slice(begin + 1, end + 1)
            has_gap = ~rule.adjacent(timestamps[earlier], timestamps[later])
            has_gap &= ~table.is_series_start[later]
            if has_gap.any():
                start = start.copy() if start is table.is_series_start else start
                start[later] |= has_gap
        gaps = np.flatnonzero(start & ~table.is_series_start)
        table = replace(table, rule=rule, is_segment_start=start, gaps=gaps)
        if keys.is_freq_stated and not is_rule:
            check_stated_step(table)
        return table

    @classmethod
    def from_rows(cls, data: Any, keys: TableKeys, caller: str) -> Self:
        """Return the table of an array, or a frame of pandas or polars, of no step."""
        column_of = frame_column if hasattr(data, "columns") else array_column
        groups = []
        if keys.group_by is not None:
            groups = [column_of(data, key, "group_by") for key in keys.groups]
        times = None
        if keys.time is not None:
            times = to_times(column_of(data, keys.time, "time"), keys.time)
        elif isinstance(data, pd.DataFrame):
            times = to_times(data.index, caller=caller)
        n_rows = len(data)
        order, labels = None, None
        is_start = np.zeros(n_rows, dtype=bool)
        is_start[:1] = True
        if groups:
            codes, labels = encode_groups(groups)
            check_labels(codes)
            if (codes[1:] < codes[:-1]).any():
                order = np.argsort(codes, kind="stable")
                codes = codes[order]
            is_start[1:] = codes[1:] != codes[:-1]
        timestamps = None
        if times is not None:
            # pandas knows it of an index, as of one series.
            is_one = order is None and np.count_nonzero(is_start) == 1
            rows = times.labels
            if not (is_one and rows.is_monotonic_increasing and rows.is_unique):
                check_increasing(times, order, is_start)
            timestamps = times.timestamps if order is None else times.timestamps[order]
        bounds = np.append(np.flatnonzero(is_start), n_rows)
        return cls(
            data=data,
            keys=keys,
            times=times,
            index=pd.RangeIndex(n_rows) if times is None else times.labels,
            order=order,
            is_series_start=is_start,
            labels=labels,
            timestamps=timestamps,
            series_bounds=bounds,
            latest=bounds[1:] - 1,
            is_segment_start=is_start,
            gaps=NONE,
        )

    # Steps

    @property
    def freq(self) -> Any:
        """The step of the rule as a user would give it, or None."""
        return freq_of(self.rule, self.times)

    def needs_freq(self) -> bool:
        """Return whether a table needs its `freq` to be read with the same step.

        A fixed step that the rows show is that of any part of the table, while a
        calendar's step takes enough rows.
        """
        if not isinstance(self.rule, FixedStep) or self.is_series_start.all():
            return True
        own = infer_rule(self.times, self.timestamps, self.is_series_start)
        return own != self.rule

    def without_times(self) -> Self:
        """Return the table with neighbours told by their order alone."""
        start = self.is_series_start
        return replace(
            self, timestamps=None, rule=None, is_segment_start=start, gaps=NONE
        )

    # Rows and positions

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return len(self.is_series_start)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Return the rows at some positions."""
        return positions if self.order is None else self.order[positions]

    def series_of(self, positions: np.ndarray) -> np.ndarray:
        """Return the number of the series at some positions."""
        return np.searchsorted(self.series_bounds, positions, side="right") - 1

    def rows_of_series(self) -> list[np.ndarray]:
        """Return the rows of each series, in the order of time."""
        bounds = pairwise(self.series_bounds)
        return [self.rows(np.arange(*ends)) for ends in bounds]

    def time_index(self) -> np.ndarray | range:
        """Return one int per position: equal for equal times, larger for later ones."""
        if self.timestamps is None or len(self.series_bounds) == 2:
            n_rows = len(self.is_series_start)
            return range(n_rows) if self.order is None else self.order
        return np.unique(self.timestamps, return_inverse=True)[1]

    def window_positions(
        self, positions: np.ndarray, lookback: int | None, missing: str | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return positions that a model needs to predict at some, and their rows.

        It needs those of its windows, `lookback` before each, or of the whole series if
        that is None; and if `missing` is "mask", the last value before of each column.
        """
        first = self.is_series_start
        begins = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
        starts = begins[positions]
        if lookback is not None:
            starts = np.maximum(positions - lookback, starts)
            if missing == "mask":
                starts = self._last_seen(begins)[starts]
        # +1 at the start of an interval and -1 after its end: the cumulative sum is
        # positive inside of any.
        change = np.zeros(len(first) + 1, dtype=int)
        np.add.at(change, starts, 1)
        np.add.at(change, positions + 1, -1)
        needed = np.flatnonzero(np.cumsum(change)[:-1] > 0)
        return needed, needed if self.order is None else self.order[needed]

    def _last_seen(self, begins):
        """Return by position that of the oldest among the columns' last values.

        `begins` is where the series of each position begins.
        """
        positions = np.arange(len(begins))
        oldest, is_missing = positions, np.zeros(len(begins), dtype=bool)
        for name in self.data.columns:
            is_missing[:] = False
            is_missing[self.missing_values(name)] = True
            missing = is_missing[self.rows(positions)]
            seen = np.maximum.accumulate(np.where(missing, -1, positions))
            oldest = np.minimum(oldest, np.maximum(seen, begins))
        return oldest

    def with_earlier(self, earlier: pd.DataFrame, caller: str) -> Self:
        """Return the table after rows of an earlier one, where no row is between them.

        The table itself if there are none.
        """
        if self.rule is None:
            return self
        old = self.from_rows(earlier, self.keys, caller)
        times_of_old: Any = old.timestamps
        times_of_new: Any = self.timestamps
        both = old.times, self.times
        kinds = [times and (times.kind, times.time_zone) for times in both]
        if kinds[0] != kinds[1]:
            return self
        found = []
        for label, position in enumerate(self.series_bounds[:-1]):
            k = label
            if old.labels is not None and self.labels is not None:
                k = old.labels.get_indexer(self.labels[[label]])[0]
            if k < 0:
                continue
            begin, end = old.series_bounds[k : k + 2]
            begin_of_new = times_of_new[position : position + 1]
            end = begin + np.searchsorted(times_of_old[begin:end], begin_of_new[0])
            last_of_old = times_of_old[end - 1 : end]
            if end > begin and self.rule.adjacent(last_of_old, begin_of_new)[0]:
                found.append(old.rows(np.arange(begin, end)))
        if not found:
            return self
        earlier = earlier.iloc[np.concatenate(found)]
        whole = pd.concat([earlier.rename_axis(self.data.index.names), self.data])
        # The index of the whole does not declare a step; that of the newest may.
        return self.read(whole, self.keys, caller, rule=self.rule)

    # Segments: rows that are neighbours, one step apart

    @property
    def segments(self) -> np.ndarray:
        """Position where each segment begins, and one past the last."""
        begins = np.flatnonzero(self.is_segment_start)
        return np.append(begins, len(self.is_segment_start))

    def history(self, features: "Features", n_rows: int) -> "History":
        """Return the last rows of every segment, which may precede rows to come."""
        begins = np.flatnonzero(self.is_segment_start)
        ends = np.append(begins[1:], len(self.is_segment_start))
        lengths = np.minimum(ends - begins, n_rows)
        so_far = np.cumsum(lengths)
        positions = np.repeat(ends - so_far, lengths) + np.arange(lengths.sum())
        rows = positions if self.order is None else self.order[positions]
        times, timestamps = self.times, self.timestamps
        return History(
            values=features.copy(rows),
            timestamps=None if timestamps is None else timestamps[positions],
            kind=None if times is None else times.kind,
            begins=so_far - lengths,
            ends=so_far,
            series=np.cumsum(self.is_series_start[begins]) - 1,
            labels=self.labels,
        )

    def check_no_gaps(self, needed: np.ndarray | None = None) -> None:
        """Check that no row is missing, or none between `needed` positions."""
        if self.rule is None or self.times is None:
            return
        gaps = self.gaps
        if needed is not None:
            gaps = gaps[np.isin(gaps, needed) & np.isin(gaps - 1, needed)]
        if len(gaps):
            raise_gaps(self, gaps)

    # Times to come

    def next_times(self, n_steps: int) -> list[pd.Index]:
        """Return the times of the next steps, one Index per series."""
        if self.times is None or self.timestamps is None:
            last_rows = self.rows(self.latest)
            return [pd.RangeIndex(row + 1, row + 1 + n_steps) for row in last_rows]
        if self.rule is None:
            raise InvalidSequenceError(
                "newest has one row per series, and its times declare no step: pass "
                "the time between rows in freq=, or more rows."
            )
        steps, found = np.arange(1, n_steps + 1), {}
        for last in self.timestamps[self.latest]:
            if last not in found:  # most series of a panel end at the same time
                newest = np.repeat(last, n_steps)
                found[last] = move_times(self.rule, self.times, newest, steps)
        return [found[last] for last in self.timestamps[self.latest]]

    # Values

    def missing_values(self, name: Any) -> np.ndarray:
        """Return the rows in which a column has no value."""
        return np.flatnonzero(np.asarray(pd.isna(np.asarray(self.data[name]))))

    def describe_series(self, label: Any) -> str:
        """Return " of shop 'east'" for messages; nothing for a single series."""
        names = self.keys.groups
        if not names:
            return ""
        labels = label if len(names) > 1 else [label]
        parts = [f"{name} {part!r}" for name, part in zip(names, labels, strict=True)]
        return f" of {', '.join(parts)}"

    def label_columns(self) -> dict[Any, pd.Index]:
        """Return the labels of the series as columns, one row per series."""
        names = self.keys.groups
        if self.labels is None:
            return {}
        if len(names) == 1:
            return {names[0]: self.labels.infer_objects()}
        parts = zip(*self.labels, strict=True)
        return {
            name: pd.Index(list(part), dtype=object).infer_objects()
            for name, part in zip(names, parts, strict=True)
        }


def encode_groups(groups: list) -> tuple[np.ndarray, pd.Index]:
    """Return one code per row, and the labels by code: of several columns tuples.

    Codes count labels in the order of their first rows; -1 is a missing label.
    """
    if len(groups) == 1:
        codes, labels = pd.factorize(groups[0], use_na_sentinel=True)
        # As objects, labels match whatever type a library gave their column.
        return codes, pd.Index(labels, dtype=object)
    coded = [encode_groups([column]) for column in groups]
    combined = np.zeros(len(groups[0]), dtype=np.int64)
    is_complete = np.ones(len(combined), dtype=bool)
    for column_codes, labels in coded:
        # 0 is a missing label; factorized again, products of many columns fit int64.
        combined = combined * (len(labels) + 1) + column_codes + 1
        combined = pd.factorize(combined)[0]
        is_complete &= column_codes >= 0
    rows = np.flatnonzero(is_complete)
    codes = np.full(len(combined), -1, dtype=np.int64)
    codes[rows] = pd.factorize(combined[rows])[0]
    first_rows = rows[np.unique(codes[rows], return_index=True)[1]]
    parts = [labels.take(column_codes[first_rows]) for column_codes, labels in coded]
    tuples = list(zip(*parts, strict=True))
    return codes, pd.Index(tuples, dtype=object, tupleize_cols=False)


# Times some steps ahead


def times_ahead(rule: Rule, times: Times, last: Any, n_steps: int) -> pd.Index:
    """Return the n_steps times that follow `last`, one of the labels of `times`.

    The index has the type, time zone and name of ``times.labels``. Days and longer
    steps keep the local time of a time zone; shorter ones are elapsed time.
    """
    newest = to_times(pd.Index([last], dtype=times.labels.dtype))
    steps = np.arange(1, n_steps + 1)
    return move_times(rule, times, np.repeat(newest.timestamps, n_steps), steps)


def shift_times(rule: Rule | None, times: Times, k: int) -> pd.Index:
    """Return the labels of all times, moved `k` steps ahead."""
    if k == 0:
        return times.labels
    steps = np.full(len(times.timestamps), k)
    return move_times(rule, times, times.timestamps, steps)


def move_times(
    rule: Any, times: Times, timestamps: np.ndarray, steps: np.ndarray
) -> pd.Index:
    """Move each timestamp by its number of steps, and label it like `times`."""
    if isinstance(rule, (RowStep, MaxGap)):
        rule = check_regular(rule).spacing
    local = timestamps
    if rule.time_zone is not None:
        local = local_time(timestamps, rule.time_zone)
    if len(local) == 0 or len(steps) == 0:
        return times.labels[:0]
    check_time_range(rule, times, local.max(), int(steps.max()))
    if isinstance(rule, CalendarStep):
        moved = _move_dates(local, rule.offset, steps)
    else:
        moved = local + steps * rule.step
    if isinstance(times.labels, pd.PeriodIndex):
        labels = pd.PeriodIndex.from_ordinals(moved, freq=times.labels.freq)
        return labels.rename(times.labels.name)
    labels = pd.Index(moved, name=times.labels.name)
    if moved.dtype.kind not in "mM":
        return labels
    if times.time_zone is not None:
        labels = _localize(labels, rule.time_zone).tz_convert(times.time_zone)
    # A span such as half a second does not fit into times of whole seconds.
    in_unit = labels.as_unit(times.labels.unit)
    return in_unit if (in_unit == labels).all() else labels


def check_regular(rule: Any) -> Any:
    """Check that times have a step by which they can be continued, and return it."""
    if isinstance(rule, RowStep) and rule.spacing is None:
        raise InvalidSequenceError(
            "each row is one step (freq='rows'), and the times between rows differ too "
            "much to infer the times of future steps: give these times in future=, in "
            "a table with one row per step."
        )
    if isinstance(rule, MaxGap):
        raise InvalidSequenceError(
            "the rows of X are not a regular step apart, so the times of future steps "
            "are not known: give the time between rows in freq=, for example freq='h'."
        )
    return rule


def check_time_range(
    rule: FixedStep | CalendarStep, times: Times, last: Any, n_steps: int
) -> None:
    """Check that pandas can represent the time `n_steps` after `last`, local time."""
    is_periods = isinstance(times.labels, pd.PeriodIndex)
    bound: Any = None
    if isinstance(rule, CalendarStep):
        bound = _bound_of_calendar(rule.offset, last, n_steps)
    elif is_periods:
        end = pd.Period(LAST_DATE, freq=times.labels.freq)
        bound = end if int(last) + n_steps * int(rule.step) > end.ordinal else None
    elif isinstance(rule.step, np.timedelta64):
        kind = pd.Timestamp if last.dtype.kind == "M" else pd.Timedelta
        newest = kind(last)
        bound = kind(0).as_unit(newest.unit).max
        try:
            step = pd.Timedelta(rule.step)
            # pandas adds in the finer of two units, as NumPy does, but overflows with
            # an error.
            unit = (pd.Timedelta(0).as_unit(newest.unit) + step).unit
            bound = kind(0).as_unit(unit).max
            if kind is pd.Timestamp:
                bound = min(LAST_DATE, bound)
            bound = bound if newest + n_steps * step > bound else None
        except (OverflowError, ValueError):
            pass  # beyond the bound
    else:
        bound = _bound_of_numbers(rule.step, last, n_steps)
    if bound is not None:
        name = describe_step(freq_of(rule, times))
        if is_periods:
            last = pd.Period(ordinal=int(last), freq=times.labels.freq)
        raise InvalidSequenceError(
            f"{n_steps} steps of {name} after {last} are later than {bound}, the last "
            "possible time: ask for fewer steps ahead, or check freq=."
        )


def _bound_of_numbers(step, last, n_steps):
    if isinstance(last, np.floating) or isinstance(step, float):
        maximum = float(np.finfo(np.float64).max)
        # Python numbers overflow with an error or to infinity; NumPy's wrap around.
        return None if abs(float(last) + n_steps * float(step)) <= maximum else maximum
    largest = np.iinfo(np.int64).max
    return None if int(last) + n_steps * int(step) <= largest else largest


def _bound_of_calendar(offset, last, n_steps):
    """Return the last date if calendar steps are sure to pass it, else None."""
    last = pd.Timestamp(last)
    end = min(LAST_DATE, pd.Timestamp.max) if last.unit == "ns" else LAST_DATE
    try:
        first = last + offset
        days = (first + offset - first).days
    except (OverflowError, ValueError):
        return end
    # In seconds: 600 years are too long for a Timedelta in nanoseconds.
    if n_steps * days > 1.1 * (end.as_unit("s") - last.as_unit("s")).days:
        return end
    if n_steps > MAX_CALENDAR_STEPS:
        return f"{MAX_CALENDAR_STEPS} steps of a calendar"
    return None


def _move_dates(local, offset, steps):
    dates, indices = np.unique(local, return_inverse=True)
    most = int(steps.max())
    dates, successors = _chain(pd.DatetimeIndex(dates), offset, most)
    # Step by step: two months after 31 January may not be one month twice.
    for step in range(most):
        moving = steps > step
        indices[moving] = successors[indices[moving]]
    return dates.to_numpy()[indices]


def _chain(dates, offset, n_steps):
    """List the dates up to `n_steps` after those given, and the successor of each.

    On a regular grid nearly every date succeeds another one, so few are added.
    """
    successors = np.empty(0, dtype=np.int64)
    for _ in range(n_steps):
        later = _add(dates[len(successors) :], offset)
        dates = dates.append(later.difference(dates))
        successors = np.append(successors, dates.get_indexer(later))
    return dates, successors


def _add(dates, offset):
    later = add_offset(dates, offset)
    if later.hasnans or later.max() > LAST_DATE:
        raise InvalidSequenceError(
            f"{offset.freqstr} after {dates.max()} is later than {LAST_DATE}, the last "
            "possible time: ask for fewer steps ahead, or check freq=."
        )
    return later


def _localize(dates, time_zone):
    if time_zone is None:
        return dates.tz_localize("UTC")
    # Of an hour that occurs twice in autumn, the first.
    first_of_two = np.ones(len(dates), dtype=bool)
    return dates.tz_localize(
        time_zone, ambiguous=first_of_two, nonexistent="shift_forward"
    )


# Arrays, frames and their columns


def is_table(X: Any) -> bool:
    """Return whether `X`, no frame, is one table of rows rather than many sequences.

    A list is sequences only if its elements are 2-D or of unequal length.
    """
    if isinstance(X, SequenceArray) or getattr(X, "ndim", 2) == 3:
        return False
    if not is_list_of_sequences(X):
        return True
    if any(_holds_arrays(x) for x in X):
        return False
    return len({len(x) for x in X}) == 1


def is_frame(X: Any) -> bool:
    """Return whether `X` is a frame of pandas or polars."""
    return isinstance(X, pd.DataFrame) or (is_polars(X) and len(X.shape) == 2)


def is_polars(X: Any) -> bool:
    """Return whether `X` is a polars frame or series, without importing polars."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(X, (polars.DataFrame, polars.Series))


def as_frame(data: Any, estimator_name: str, *, any_names: bool = False) -> Any:
    """Return a frame or Series of pandas or polars as a frame, its names checked.

    Tables of other libraries become frames of pandas. With `any_names`, columns may
    have names other than strings.
    """
    if isinstance(data, pd.DataFrame) or (is_polars(data) and len(data.shape) == 2):
        names = data.columns
        if isinstance(names, pd.Index) and not names.is_unique:
            check_unique_names(data)
        # scikit-learn does not accept np.str_
        if not (any_names or all(type(name) is str for name in names)):
            check_names(data, estimator_name)
        return data
    if isinstance(data, pd.Series) or is_polars(data):
        name = "value" if data.name in (None, "") else data.name
        return as_frame(data.to_frame(name), estimator_name, any_names=any_names)
    is_lazy = type(data).__module__.partition(".")[0] == "polars"  # an error
    if is_foreign_frame(data) or is_lazy:
        converted = convert_input(data, estimator_name=estimator_name, name="data")
        return as_frame(converted, estimator_name, any_names=any_names)
    raise TypeError(
        f"{estimator_name} needs a pandas or polars DataFrame or Series, got "
        f"{type(data).__name__}. For arrays there is make_windows."
    )


def select_rows(data: Any, rows: np.ndarray) -> Any:
    """Return some rows of a frame of pandas or polars."""
    if not isinstance(data, pd.DataFrame):
        return data[rows]
    is_slice = len(rows) > 0 and len(rows) == rows[-1] - rows[0] + 1
    # A slice keeps the step that an index declares.
    return data.iloc[slice(rows[0], rows[-1] + 1) if is_slice else rows]


def _holds_arrays(x):
    if hasattr(x, "ndim"):
        return x.ndim > 1
    return len(x) > 0 and hasattr(x[0], "__len__") and not isinstance(x[0], str)


def times_of_frame(X: Any, time: Any, estimator_name: str) -> Times | None:
    """Return the Times in a frame's column `time` or its index; None if it has none."""
    if time is not None:
        return to_times(frame_column(X, time, "time"), time)
    index = getattr(X, "index", None)  # polars has none
    return None if index is None else to_times(index, caller=estimator_name)


def column_at(X: Any, j: int) -> pd.Series:
    """Return column j of a pandas or polars frame as a pandas Series."""
    if not is_polars(X):
        return X.iloc[:, j]
    column = X.to_series(j)
    values = pd.Series(column.to_numpy(), copy=False)
    time_zone = getattr(column.dtype, "time_zone", None)
    if time_zone is None:
        return values
    return values.dt.tz_localize("UTC").dt.tz_convert(time_zone)


def frame_column(X: Any, key: str | int, parameter: str) -> pd.Series | pd.Index:
    """Return the column, or level of the index, that a parameter names."""
    check_column_key(key, parameter, X)
    names = list(X.columns)
    if key in names:
        return column_at(X, names.index(key))
    if isinstance(X, pd.DataFrame) and key in X.index.names:
        return X.index.get_level_values(key)
    raise InvalidSequenceError(
        f"{parameter}={key!r} names no column of X; its columns are {names}."
    )


def has_categories(X: Any, name: str) -> bool:
    """Return whether a column of a frame holds categories."""
    return is_categorical(column_at(X, list(X.columns).index(name)))


def _named_keys(keys):
    """Return the columns of `keys`, each with the parameter that names it."""
    times = [] if keys.time is None else [(keys.time, "time")]
    return times + [(key, "group_by") for key in keys.groups]


def array_column(X: Any, key: Any, parameter: str) -> np.ndarray:
    """Return the column of an array, or of rows, at the position in a parameter."""
    X = np.asarray(X)
    return X[:, _array_position(X, key, parameter)]


def _array_position(X, key, parameter):
    if X.ndim != 2:
        raise InvalidSequenceError(
            f"{parameter}={key!r} names a column, but X has shape {X.shape}: give a "
            "2-D array or a DataFrame."
        )
    if isinstance(key, str) or not -X.shape[1] <= key < X.shape[1]:
        raise InvalidSequenceError(
            f"{parameter}={key!r} names no column of X, an array of {X.shape[1]} "
            "columns without names: give a position, or a DataFrame."
        )
    return key % X.shape[1]


def first_date_column(X: pd.DataFrame) -> Any:
    """Return the name of the first column of dates or periods, or None."""
    for j, (name, dtype) in enumerate(X.dtypes.items()):
        kind = getattr(dtype, "kind", "O")
        is_plain = isinstance(dtype, np.dtype) and kind != "O"
        if kind == "M" or (not is_plain and kind != "m" and holds_dates(X.iloc[:, j])):
            return name
    return None


# Features


class Features(NamedTuple):
    """The columns of a table that are features, not copied.

    columns : list of ndarray of shape (n_rows,)
    positions : list of int, position of each feature among the input's columns
    n_columns : int, columns of the input, those of times and groups included
    names : list of str or None
    block : C-contiguous ndarray of the same features, or None
    categories : dict of int to ndarray of object, of the features that are codes
    """

    columns: list
    positions: list
    n_columns: int
    names: list | None
    block: np.ndarray | None
    categories: dict

    def copy(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Copy some rows, or all, into one array of shape (n_rows, n_features)."""
        n_rows = len(self.columns[0]) if rows is None else len(rows)
        dtype = np.result_type(*self.columns)
        values = np.empty((n_rows, len(self.columns)), dtype=dtype)
        # In blocks, so that a row is still in the cache for its next column.
        for begin in range(0, n_rows, ROWS_PER_BLOCK):
            block = slice(begin, begin + ROWS_PER_BLOCK)
            chosen = block if rows is None else rows[block]
            for j, column in enumerate(self.columns):
                values[block, j] = column[chosen]
        return values


def parse_features(
    X: Any,
    keys: TableKeys,
    estimator_name: str,
    categories: Mapping[Any, np.ndarray] | None = None,
) -> Features:
    """Return the features of a 2-D array, list of rows, pandas or polars frame.

    The columns of `keys` (of an array: positions) are no features. `categories`, by
    name of the column, are those of fit, whose codes stay.
    """
    if not hasattr(X, "columns"):
        return _features_of_array(X, keys, estimator_name)
    if X.shape[0] == 0:
        raise InvalidSequenceError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is "
            f"required by {estimator_name}."
        )
    names = list(X.columns)
    groups = keys.group_by
    taken = [keys.time, *(groups if isinstance(groups, list) else [groups])]
    positions = [j for j, name in enumerate(names) if name is None or name not in taken]
    if not positions:
        _raise_no_features(X.shape, estimator_name)
    all_strings = all(isinstance(name, str) for name in names)
    is_pandas, of_fit = isinstance(X, pd.DataFrame), categories or {}
    columns, found = [], {}
    for feature, j in enumerate(positions):
        column = X.iloc[:, j] if is_pandas else column_at(X, j)
        known, dtype = of_fit.get(names[j]), column.dtype
        if known is None and isinstance(dtype, np.dtype) and dtype.kind in "fiu":
            columns.append(column.to_numpy())  # not copied
        elif known is None and not is_categorical(column):
            columns.append(_numeric_column(column, names[j], estimator_name))
        else:
            if known is not None:
                _check_same_kind(column, known, names[j])
            codes, found[feature] = encode_categories(column, known)
            columns.append(codes)
    return Features(
        columns=columns,
        positions=positions,
        n_columns=len(names),
        names=[names[j] for j in positions] if all_strings else None,
        block=None,
        categories=found,
    )


def _check_same_kind(column, categories, name):
    """Check for numbers in place of strings: all would be unknown categories."""
    are_numbers = pd.api.types.is_numeric_dtype(column.dtype) and column.notna().any()
    if are_numbers and len(categories) and isinstance(categories[0], str):
        raise InvalidSequenceError(
            f"column {name!r} of X holds {column.dtype}, and in fit it held categories "
            f"such as {categories[0]!r}: give it the same type."
        )


def _features_of_array(X, keys, estimator_name):
    positions = None
    if _named_keys(keys):
        X = np.asarray(X)
        dropped = {_array_position(X, *key) for key in _named_keys(keys)}
        n_columns = X.shape[1]
        positions = [j for j in range(n_columns) if j not in dropped]
        if not positions:
            _raise_no_features(X.shape, estimator_name)
        X = X[:, positions]
    X = check_table(X, estimator_name=estimator_name)
    return Features(
        columns=list(X.T),
        positions=positions or list(range(X.shape[1])),
        n_columns=X.shape[1] if positions is None else n_columns,
        names=None,
        block=X,
        categories={},
    )


def first_value(column: pd.Series) -> Any:
    """Return the first value of a Series that is not missing, or None."""
    return next(iter(column.dropna()), None)


def _raise_no_features(shape, estimator_name):
    raise InvalidSequenceError(
        f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is "
        f"required by {estimator_name}, not counting the columns of time and "
        "group_by."
    )


def _numeric_column(column, name, estimator_name):
    """Return a numeric Series as an array."""
    dtype = column.dtype
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} of X.")
    if pd.api.types.is_numeric_dtype(dtype) or dtype.kind == "b":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if isinstance(dtype, np.dtype) and dtype.kind == "O" and not is_text(column):
        try:
            return to_numbers(
                column.to_numpy(),
                estimator_name=estimator_name,
                describe=lambda row: (
                    f"column {name!r} at row {row[0]}" if row else name
                ),
            )
        except (ValueError, TypeError) as error:
            kind = TypeError if isinstance(error, TypeError) else InvalidSequenceError
            raise kind(_not_numeric(name, column, estimator_name, error)) from error
    raise InvalidSequenceError(_not_numeric(name, column, estimator_name))


def _not_numeric(name, column, estimator_name, reason=""):
    dtype = column.dtype
    remedy = "encode it as numbers, or name it in group_by= if it labels series"
    if isinstance(first_value(column), str):
        remedy = (
            "convert numbers written as strings with pd.to_numeric, or names with "
            "astype('category')"
        )
    if holds_dates(column):
        remedy = "name it in time=, or make it the index"
        if isinstance(first_value(column), str):
            remedy = f"turn it into dates with pd.to_datetime, and {remedy}"
    because = f" ({reason})" if reason else ""
    return (
        f"column {name!r} of X holds {dtype}, not numbers{because}. {estimator_name} "
        f"needs numeric features: {remedy}, or drop it."
    )


# Windows, and the rows of fit that precede them


@plain_type
class History(NamedTuple):
    """The last rows of every segment of the training table, segment by segment.

    values : ndarray of shape (n_kept, n_features)
    timestamps : ndarray of shape (n_kept,), or None without times
    kind : str, that of the times, or None
    begins, ends : ndarrays of int, the kept rows of each segment
    series : ndarray of int, which series each segment belongs to
    labels : Index of one group label per series, or None without groups
    """

    values: np.ndarray
    timestamps: np.ndarray | None
    kind: str | None
    begins: np.ndarray
    ends: np.ndarray
    series: np.ndarray
    labels: pd.Index | None


class HistoryPrefix(NamedTuple):
    """Kept rows ``begin`` to ``end`` go in front of the row at ``position``."""

    position: int
    begin: int
    end: int


def find_prefixes(history, table, how):
    """Return the kept rows that go in front of new rows of their series.

    With "auto", in front of each segment that follows them without a gap; with "train",
    the last of each series in front of all of its new rows; with None, no rows.
    """
    if how == "auto" and table.timestamps is None:
        warn_without_times()
        how = None
    if how is None:
        return []
    in_fit = np.zeros(1, dtype=int)
    if table.labels is not None:
        in_fit = history.labels.get_indexer(table.labels)
    segment_bounds = np.searchsorted(history.series, np.arange(history.series[-1] + 2))
    found = []
    for k in np.flatnonzero(in_fit >= 0):
        segments = np.arange(*segment_bounds[in_fit[k] : in_fit[k] + 2])
        begin, end = table.series_bounds[k : k + 2]
        if how == "train":
            last = segments[-1]
            found.append(HistoryPrefix(begin, history.begins[last], history.ends[last]))
            continue
        kept = slice(history.begins[segments[0]], history.ends[segments[-1]])
        timestamps = history.timestamps[kept]
        positions = begin + np.flatnonzero(table.is_segment_start[begin:end])
        before = np.searchsorted(timestamps, table.timestamps[positions]) - 1
        positions, before = positions[before >= 0], before[before >= 0]
        near = table.rule.adjacent(timestamps[before], table.timestamps[positions])
        for position, last in zip(
            positions[near], kept.start + before[near], strict=True
        ):
            segment = segments[
                np.searchsorted(history.ends[segments], last, side="right")
            ]
            found.append(HistoryPrefix(position, history.begins[segment], last + 1))
    return found


def cut_windows(
    features: Features,
    table: TimeTable,
    n_steps: int,
    history: History | None = None,
    prefixes: Sequence[HistoryPrefix] = (),
) -> SequenceArray:
    """Return the window of each row of a table, with history in front of segments.

    A window ends at its row, and begins `n_steps` rows before or with its segment.
    """
    first, positions = table.is_segment_start, slice(None)
    if prefixes or table.order is not None:
        values, first, positions = _join(features, table, history, prefixes)
    else:
        values = features.copy() if features.block is None else features.block
    # Of as few bits as hold them: beside a series of few columns 64 would weigh.
    n_rows = len(values)
    starts_type: type = np.int64
    lengths_type: type = np.int64
    if n_rows <= MAX_INT32_ROWS:
        fits = [min(n_steps, n_rows) <= np.iinfo(dtype).max for dtype in LENGTH_TYPES]
        starts_type, lengths_type = np.int32, LENGTH_TYPES[fits.index(True)]
    starts: np.ndarray = np.empty(n_rows, starts_type)
    lengths: np.ndarray = np.empty(n_rows, lengths_type)
    segment_start = 0
    for begin in range(0, n_rows, SEQUENCES_PER_BLOCK):
        end = min(begin + SEQUENCES_PER_BLOCK, n_rows)
        rows = np.arange(begin, end)
        begun = np.where(first[begin:end], rows, segment_start)
        segment_starts = np.maximum.accumulate(begun)
        segment_start = segment_starts[-1]
        starts[begin:end] = np.maximum(segment_starts, rows - (n_steps - 1))
        lengths[begin:end] = rows - starts[begin:end] + 1
    # Windows with history are only predicted on: the order of rows is enough.
    is_ordered = prefixes or (table.order is None and table.labels is None)
    return trusted_sequences(
        values,
        starts[positions],
        lengths[positions],
        features.names,
        transforms=Transforms(categories=features.categories),
        time_index=range(n_rows) if is_ordered else table.time_index(),
    )


def _join(features, table, history, prefixes):
    """Copy history and new rows into one array of steps, C-contiguous.

    Returns it, which of its rows begin a segment, and the row of it that holds each row
    of the table.
    """
    n_rows = len(table.is_segment_start)
    shift = np.zeros(n_rows, dtype=np.int64)
    for prefix in prefixes:
        shift[prefix.position] = prefix.end - prefix.begin
    np.cumsum(shift, out=shift)
    n_history = sum(end - begin for _, begin, end in prefixes)
    dtype = np.result_type(*features.columns)
    if prefixes:
        dtype = np.result_type(dtype, history.values.dtype)
    shift += np.arange(n_rows)  # position behind all history
    positions = shift
    if table.order is not None:
        positions = np.empty_like(shift)
        positions[table.order] = shift
    values = np.empty((n_rows + n_history, len(features.columns)), dtype=dtype)
    for j, column in enumerate(features.columns):
        values[positions, j] = column
    joined_starts = np.zeros(len(values), dtype=bool)
    joined_starts[shift] = table.is_segment_start
    for position, begin, end in prefixes:
        rows = slice(shift[position] - (end - begin), shift[position])
        values[rows] = history.values[begin:end]
        # The segment now starts with its history.
        joined_starts[shift[position]] = False
        joined_starts[rows.start] = True
    return values, joined_starts, positions
