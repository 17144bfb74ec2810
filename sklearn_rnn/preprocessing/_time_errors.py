"""What can be wrong with the times of a table, and how its user is told."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    WindowHistoryWarning,
    user_stacklevel,
)
from sklearn_rnn.sequences import (
    MaxGap,
    describe_step,
    fill_call,
    freq_of,
    infer_rule,
    is_rows,
)

# Least fraction of windows shortened by gaps that is worth a warning: more than folds
# of a table with a few gaps have.
NOTICEABLE = 0.2

# How many gaps or rows an error lists.
SHOWN = 3

# Tables of fewer rows are demonstrations: nothing is learned from them.
FEWEST_ROWS = 20

# Most rows of a grid per row of the table: more is a mistyped date.
MAX_FILLED = 1000

NO_STEP = (
    "the times of X follow no step: no more than half of the rows are the same step "
    "after the previous row, so rows are taken as neighbours up to the largest "
    "difference in fit, {largest}. If each row is one step, whatever the time "
    "between, set freq='rows'; if there is a step, give it in freq=; else resample "
    "the rows to a grid, for example with df.resample('h').mean()."
)
IRREGULAR = (
    "the rows of the table are not a regular step apart, so a number of rows ahead is "
    "not a time ahead. Resample them to a grid, for example with "
    "df.resample('h').mean().interpolate(), or give the step in freq=; or set "
    "freq='rows' if each row is one step."
)
NO_TIME = (
    "X has no times, so SequenceWindower cannot check whether its rows follow the "
    "training data, and their windows start without history. Give X a time index or "
    "name a column of times in time=; or set history='train' if X always follows the "
    "training data; or history=None for windows without history and no warning."
)


class UnknownTimesWarning(WindowHistoryWarning):
    """A table has no times; forecasts ignore it where no history is needed."""


def check_labels(codes: np.ndarray, table: str = "the table") -> None:
    """Check that each row of a table has a label of its series."""
    if (codes < 0).any():
        raise InvalidSequenceError(
            f"the group_by column of {table} has no label in row "
            f"{int(np.argmax(codes < 0))}: fill it in, or drop such rows with their "
            "targets."
        )


def check_freq_has_times(freq: Any) -> None:
    """Check that no step of time is given for a table without times."""
    if freq is not None and not is_rows(freq):
        raise InvalidSequenceError(
            f"freq={freq!r} is given, but X has no times: give it a time index, or "
            "name a column of times in time=."
        )


def check_index_of_times(name: Any, caller: str) -> None:
    """Check that no column has dates beside an index of numbers; `name` is it."""
    if name is not None:
        raise InvalidSequenceError(
            "the index of the table only numbers its rows, and its column "
            f"{name!r} has dates: {caller} needs time={name!r}. If the index "
            "is the time, drop that column."
        )


def check_stated_step(table: Any) -> None:
    """Check that the step in ``attrs`` is not that of a table before a resampling.

    Rows that a filter leaves keep no other step, or too few of them.
    """
    n_pairs = table.n_rows - (len(table.series_bounds) - 1)
    if 2 * len(table.gaps) <= n_pairs:
        return
    own = infer_rule(table.times, table.timestamps, table.is_series_start)
    if isinstance(own, MaxGap):
        return
    step = describe_step(freq_of(own, table.times))
    raise InvalidSequenceError(
        f"the table states freq={table.keys.freq!r} in table.attrs['sklearn_rnn'], but "
        f"most of its rows are {step} apart: pandas keeps attrs "
        "when rows are resampled or left out. Remove what is stated with "
        "table.attrs.pop('sklearn_rnn'), or pass the step in freq=."
    )


def raise_irregular() -> None:
    """Raise the error of a table without one step of time."""
    raise InvalidSequenceError(IRREGULAR)


def raise_other_kind(kind: str, kind_in_fit: str, estimator_name: str) -> None:
    """Raise the error of times that are of another kind than in fit."""
    raise InvalidSequenceError(
        f"the times of X are {kind}, but {estimator_name} was fitted on "
        f"{kind_in_fit}: give both tables the same."
    )


def check_on_grid(table: Any, rows: np.ndarray, positions: np.ndarray) -> None:
    """Check that all `rows` of a series have a position on its grid, none is -1."""
    if (positions >= 0).all():
        return
    off = int(np.argmax(positions < 0))
    labels = table.times.labels[rows]
    raise InvalidSequenceError(
        f"row {rows[off]} at {labels[off]} is not on the grid of the table, "
        f"steps of {table.freq} from {labels[0]}: move it, or drop it."
    )


def raise_gaps(table: Any, gaps: np.ndarray) -> None:
    """Raise the error of a table that lacks rows before some positions."""
    labels = table.times.labels
    shown = []
    for position in gaps[:SHOWN]:
        before, row = table.rows(np.array([position - 1, position]))
        place = f"row {before} at {labels[before]} to row {row} at {labels[row]}"
        shown.append(place + _describe_series(table, position))
    more = ", ..." if len(gaps) > SHOWN else ""
    remedy = f"Fill the grid, for example with {_fill_call(table)}.interpolate()"
    if table.labels is not None:
        remedy = (
            f"Add the missing rows with {_fill_call(table)}, with known= for columns "
            "that are known in them; steps without values are masked then"
        )
    raise InvalidSequenceError(
        f"the table has {len(gaps)} gap(s) in time, steps other than "
        f"{describe_step(table.freq)}: {', '.join(shown)}{more}. {remedy}, or pass "
        "missing='mask' to learn from the rows that exist; or set freq='rows' if each "
        "row is one step."
    )


def _describe_series(table, position):
    """Return " of shop 'east'" for the series at a position; nothing for only one."""
    if table.labels is None:
        return ""
    label = table.labels[table.series_of(np.array([position]))[0]]
    return table.describe_series(label)


def _fill_call(table):
    """Return the call that adds missing rows; of a panel series by series."""
    keys, call = table.keys, fill_call(table.rule, table.times)
    if table.labels is None or not isinstance(table.data, pd.DataFrame):
        return call
    given = {"time": keys.time, "group_by": keys.group_by}
    arguments = [f"{name}={key!r}" for name, key in given.items() if key is not None]
    if keys.freq is not None:
        has_alias = call.startswith("df.asfreq")
        step = repr(describe_step(table.freq)) if has_alias else "..."
        arguments = [f"freq={step}", *arguments]
    return f"fill_gaps(df, {', '.join(arguments)})"


def check_no_missing(table: Any, names: list[str]) -> None:
    """Check that no value of some columns is missing."""
    for name in names:
        rows = table.missing_values(name)
        if len(rows) == 0:
            continue
        labels = None if table.times is None else table.times.labels
        positions = np.argsort(table.rows(np.arange(table.n_rows)))
        where = ", ".join(
            f"row {row}"
            + ("" if labels is None else f" at {labels[row]}")
            + _describe_series(table, positions[row])
            for row in rows[:SHOWN]
        )
        more = ", ..." if len(rows) > SHOWN else ""
        raise InvalidSequenceError(
            f"column {name!r} has no value in {len(rows)} of {table.n_rows} rows: "
            f"{where}{more}. Fill in the NaN, for example with df.interpolate(), "
            "series by series; or pass missing='mask' to learn from the values that "
            "exist."
        )


def check_grid_size(labels: pd.Index) -> None:
    """Check for a mistyped date, before millions of rows are added."""
    is_periods = isinstance(labels, pd.PeriodIndex)
    timestamps = labels.asi8 if is_periods else labels.to_numpy()
    steps = np.diff(timestamps)
    if len(steps) == 0:
        return
    n_steps = (timestamps[-1] - timestamps[0]) / np.median(steps)
    if n_steps > MAX_FILLED * len(labels):
        jump = int(np.argmax(steps))
        raise InvalidSequenceError(
            f"the grid of times would have {n_steps:.0f} rows for {len(labels)} of the "
            f"table, because {labels[jump + 1]} comes after {labels[jump]}. Is that "
            "time right? If so, fill the table yourself."
        )


def check_gaps(table: Any, n_steps: int, found_in: str, prefixes: Any = ()) -> None:
    """Check that gaps leave windows of several rows, and warn if they shorten many.

    `found_in` says where the step comes from; `prefixes` is the history of segments.
    """
    gaps = _WindowGaps(table, found_in, prefixes)
    gaps.check_neighbours(n_steps)
    gaps.warn_if_short(n_steps)


class _WindowGaps:
    """The gaps of a table, and how they shorten its windows."""

    def __init__(self, table, found_in, prefixes=()):
        self._table = table
        self._found_in = found_in
        self._gaps = table.gaps
        # Rows of history in front of a segment, by the position of its start.
        self._n_history = {p.position: p.end - p.begin for p in prefixes}

    def check_neighbours(self, n_steps: int) -> None:
        """Check that some rows of a table are neighbours.

        Rows of a random fold may all stand alone; their predecessors are then among the
        rows of fit. Nor do a few series with a gap say that the step is wrong, where
        most have a single row.
        """
        n_gaps = len(self._gaps)
        n_rows, n_series = self._table.n_rows, len(self._table.series_bounds) - 1
        if n_steps == 1 or n_gaps < max(n_rows - n_series, n_rows / 2):
            return
        n_alone = sum(position not in self._n_history for position in self._gaps)
        if n_alone < n_gaps and n_alone <= max(1, NOTICEABLE * n_gaps):
            return
        raise InvalidSequenceError(
            f"no two rows of X are neighbours, so each window would hold one row: "
            f"{self._describe_rule()}, but {self._describe_own()}. Give rows "
            "with that step; or fit again, with the right freq=, or with freq='rows' "
            "if each row is one step whatever the time between."
        )

    def warn_if_short(self, n_steps: int) -> None:
        """Warn if gaps shorten a noticeable fraction of the windows."""
        n_short = self._count_short(n_steps)
        n_windows = self._table.n_rows
        if n_short == 0 or n_short < NOTICEABLE * n_windows:
            return
        warnings.warn(
            f"{n_short} of {n_windows} windows are shorter than n_steps={n_steps} "
            f"because of {len(self._gaps)} gap(s) in X: {self._describe_rule()}"
            f", and windows are cut wherever rows do not keep it. {self._remedy()}",
            WindowHistoryWarning,
            stacklevel=user_stacklevel(),
        )

    def _count_short(self, n_steps):
        """Count the windows that would be longer without gaps."""
        begins = self._table.segments
        ends = begins[np.searchsorted(begins, self._gaps) + 1]
        n_history = np.array([self._n_history.get(gap, 0) for gap in self._gaps])
        lacking = np.maximum(n_steps - 1 - n_history, 0)
        return int(np.minimum(ends - self._gaps, lacking).sum())

    def _describe_rule(self):
        if isinstance(self._table.rule, MaxGap):
            largest = _describe_span(self._table.rule.largest)
            return f"rows are neighbours up to {largest} apart, {self._found_in}"
        step = describe_step(self._table.freq)
        return f"the step is {step}, {self._found_in}"

    def _describe_own(self):
        table = self._table
        rule = infer_rule(table.times, table.timestamps, table.is_series_start)
        if not isinstance(rule, MaxGap):
            step = describe_step(freq_of(rule, table.times))
            return f"the rows of X are mostly {step} apart"
        passed = np.diff(table.timestamps)[~table.is_series_start[1:]]
        smallest, largest = _describe_span(passed.min()), _describe_span(passed.max())
        return f"the rows of X are {smallest} to {largest} apart"

    def _remedy(self):
        return (
            f"Fill in the missing rows, for example with {_fill_call(self._table)}, "
            "and set missing='mask' or interpolate, series by series; or set "
            "freq='rows' if each row is one step whatever the time between; or give "
            "the step in freq= if it is another."
        )


def warn_of_short_series(table: Any, n_steps: int) -> None:
    """Warn of series that are all shorter than a window, unless X is small."""
    if table.n_rows < FEWEST_ROWS:
        return
    lengths = np.diff(table.series_bounds)
    longest = int(np.argmax(lengths))
    series = "X"
    if table.labels is not None:
        series = f"the longest series{table.describe_series(table.labels[longest])}"
    warnings.warn(
        f"n_steps={n_steps}, but {series} has {lengths[longest]} rows: no window is "
        "whole. Lower n_steps, so that most windows are; if windows of all rows so far "
        "are meant, silence this WindowHistoryWarning by its class.",
        WindowHistoryWarning,
        stacklevel=user_stacklevel(),
    )


def warn_of_scattered_rows(table: Any, history: Any, prefixes: list) -> None:
    """Warn of new rows that begin at gaps between rows of `fit`, if they are many.

    They begin where a segment of the training table ended and a later one of its series
    follows. A block of rows between others is no such case: it begins at one gap.
    """
    fewest = max(NOTICEABLE * table.n_rows, 1)
    if table.n_rows < FEWEST_ROWS or len(prefixes) < fewest:
        return
    is_last_of_series = np.append(history.series[1:] != history.series[:-1], True)
    inner_ends = set(history.ends[~is_last_of_series].tolist())
    positions = [prefix.position for prefix in prefixes if prefix.end in inner_ends]
    if len(positions) < fewest:
        return
    row = int(table.rows(np.array(positions[:1]))[0])
    warnings.warn(
        f"the rows of X are scattered between rows of fit: {len(positions)} of "
        f"{table.n_rows} directly follow one and come before others, such as row "
        f"{row}, {table.times.labels[row]}. The model was trained on their "
        "neighbours, so scores of such rows are too good. Do not shuffle: split by "
        "time, with TimeSeriesSplit(5, gap=horizon - 1), or TimeBlockSplit for several "
        "series. To estimate values that are missing in between, silence this "
        "WindowHistoryWarning by its class.",
        WindowHistoryWarning,
        stacklevel=user_stacklevel(),
    )


def warn_without_times() -> None:
    """Warn of rows without times, before which no history is found."""
    warnings.warn(NO_TIME, UnknownTimesWarning, stacklevel=user_stacklevel())


def warn_without_step(rule):
    """Warn of times without a step."""
    message = NO_STEP.format(largest=_describe_span(rule.largest))
    warnings.warn(message, WindowHistoryWarning, stacklevel=user_stacklevel())


def _describe_span(span):
    return str(pd.Timedelta(span) if isinstance(span, np.timedelta64) else span)
