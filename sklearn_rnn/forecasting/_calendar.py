"""CalendarFeatures: hour, day of the week, season and holidays as columns."""

from collections.abc import Collection, Sequence
from datetime import timedelta, tzinfo
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
)

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._html import DescribedParameters
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.forecasting._holidays import flag_holidays, warn_of_other_years
from sklearn_rnn.preprocessing import (
    MAX_STEPS,
    FixedOutput,
    check_column_key,
    check_names,
    check_regular,
    find_keys,
    is_polars,
    keep_untargeted,
    list_steps,
    name_ahead,
    raise_other_kind,
    shift_times,
    times_of_frame,
)
from sklearn_rnn.sequences import (
    check_columns,
    convert_input,
    freq_of,
    infer_rule,
    is_foreign_frame,
    is_rows,
    parse_rule,
)

# Ordinal encoding of each feature.
NUMBERS = {
    "minute": lambda dates: dates.minute,
    "hour": lambda dates: dates.hour,
    "dayofweek": lambda dates: dates.day_of_week,
    "day": lambda dates: dates.day,
    "week": lambda dates: _iso(dates, "week"),
    "month": lambda dates: dates.month,
    "quarter": lambda dates: dates.quarter,
    "dayofyear": lambda dates: dates.day_of_year,
    "weekend": lambda dates: dates.day_of_week >= 5,
}

# Fraction of the cycle of a feature that has passed: 0 at its start, below 1.
CYCLES = {
    "minute": lambda dates: (dates.minute + dates.second / 60) / 60,
    "hour": lambda dates: (dates.hour + dates.minute / 60) / 24,
    "dayofweek": lambda dates: dates.day_of_week / 7,
    "day": lambda dates: (dates.day - 1) / dates.days_in_month,
    "week": lambda dates: (_iso(dates, "week") - 1) / _weeks_in_year(dates),
    "month": lambda dates: (dates.month - 1) / 12,
    "quarter": lambda dates: (dates.quarter - 1) / 4,
    "dayofyear": lambda dates: (dates.day_of_year - 1) / (365 + dates.is_leap_year),
}


# Name of the column of holidays.
HOLIDAY = "holiday"


class CalendarFeatures(
    FixedOutput, PlainState, DescribedParameters, TransformerMixin, BaseEstimator
):
    """Add columns made from the calendar to a table.

    The hour, the day of the week and the season of each row's time, and on
    request of future times, which are known in advance. The rows, their
    index and the other columns stay as they are; the new columns come last.

    Parameters
    ----------
    features : sequence of str, default=("hour", "dayofweek", "dayofyear")
        What to add, any of "minute", "hour", "dayofweek" (Monday is 0),
        "day" (of the month), "week" (of the ISO year), "month", "quarter",
        "dayofyear", and "weekend": 1 on Saturday and Sunday, else 0.
    encoding : {"cyclic", "ordinal"}, default="cyclic"
        "cyclic" makes two columns of a feature, "hour_sin" and "hour_cos", in
        which 23 h is next to 0 h: the sine and cosine of 2π times the fraction of
        the cycle that has passed. "ordinal" makes one column, the number as
        pandas gives it. "weekend" is one column of 0 and 1 in both.
    ahead : int or sequence of int, default=0
        For which times: k makes columns "hour_sin+k" for the time k steps
        after that of the row; 0 is the row's own time, "hour_sin". A list
        makes all of these.
    freq : str, offset, Timedelta or number, default=None
        The time between rows, as for `SequenceWindower` but for "rows"; None
        finds it in `fit`. Used only for steps ahead.
    time : str or int, default=None
        Column that holds the times: dates or periods, which count from their
        start. It stays in the table. None takes what the table says of itself, as
        for `SequenceWindower`, or else the index of a pandas frame.
    time_zone : str or tzinfo, default=None
        Whose clock and calendar to read, such as "America/New_York". None
        takes the times as they are written.
    holidays : str, sequence of dates or mapping, default=None
        Adds a column "holiday", 1 on holidays, else 0, and "holiday+k" for steps
        ahead. A country, such as "US", a part of it, "US-CA" or "DE-BY", or an
        exchange, "NYSE": any code of the package holidays, which the extra "holidays"
        installs. Or the dates themselves, such as ``["2024-12-24", "2024-12-31"]``, of
        all years of the table and of those to come; of a mapping the keys.

    Attributes
    ----------
    freq_ : offset, Timedelta or None
        Time between neighbouring rows. None without steps ahead.
    time_ : str, int or None
        Column or level of the index that holds the times; None for the index.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names, where they have names.

    See Also
    --------
    SequenceWindower : Makes windows of the table, a next step of a pipeline.
    make_forecast_frame : Pairs the table with its targets; it shifts columns that
        are known in advance, too.

    Notes
    -----
    A cycle has its true length: a year 365 or 366 days, an ISO year 52 or 53
    weeks, a month its own days. It starts at sine 0 and cosine 1. The hour
    counts its minutes, and the minute its seconds; the other features are whole
    numbers.

    Steps ahead follow the local time of the table's own time zone, whatever
    `time_zone` is, as future rows will. Each row's steps are counted
    from its own time, so gaps do not matter, and the last rows have their
    columns too. Several series in one table do not either, if they share a
    clock; where some are observed on the hour and others at half past, give
    `freq`.

    The days around a holiday have no column of their own: a window holds those before
    a row, and `ahead` gives those after it. Where series have different holidays, put
    the column into the table and name it in ``make_forecast_frame(known=...)``. With
    steps longer than a day, "holiday" is that of the first day.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn import CalendarFeatures
    >>> hours = pd.date_range("2024-01-05 21:00", periods=3, freq="3h")
    >>> table = pd.DataFrame({"temp": [3.0, 1.0, 0.0]}, index=hours)
    >>> calendar = CalendarFeatures(("hour", "weekend"), encoding="ordinal")
    >>> calendar.fit_transform(table)
                         temp  hour  weekend
    2024-01-05 21:00:00   3.0    21        0
    2024-01-06 00:00:00   1.0     0        1
    2024-01-06 03:00:00   0.0     3        1

    As points on a circle, of the row and of the next step:

    >>> calendar = CalendarFeatures(["hour"], ahead=[0, 1]).fit(table)
    >>> calendar.get_feature_names_out()[1:]
    array(['hour_sin', 'hour_cos', 'hour_sin+1', 'hour_cos+1'], dtype=object)
    >>> calendar.transform(table).iloc[0, 1:].round(3).tolist()
    [-0.707, 0.707, 0.0, 1.0]

    Holidays of a list, of the row and of the next one, alone:

    >>> calendar = CalendarFeatures([], ahead=[0, 1], holidays=["2024-01-06"])
    >>> calendar.fit_transform(table)
                         temp  holiday  holiday+1
    2024-01-05 21:00:00   3.0        0          1
    2024-01-06 00:00:00   1.0        1          1
    2024-01-06 03:00:00   0.0        1          1
    """

    _parameter_constraints = {
        "features": ["array-like"],
        "encoding": [StrOptions({"cyclic", "ordinal"})],
        "ahead": [Interval(Integral, 0, None, closed="left"), "array-like"],
        "freq": [str, Real, timedelta, np.timedelta64, pd.offsets.BaseOffset, None],
        "time": [str, Integral, None],
        "time_zone": [str, tzinfo, None],
        "holidays": [str, Collection, None],
    }

    # For transformers pickled by version 0.6.
    holidays: Any = None

    def __init__(
        self,
        features: Sequence[str] = ("hour", "dayofweek", "dayofyear"),
        *,
        encoding: Literal["cyclic", "ordinal"] = "cyclic",
        ahead: int | Sequence[int] = 0,
        freq: Any = None,
        time: str | int | None = None,
        time_zone: str | tzinfo | None = None,
        holidays: str | Collection[Any] | None = None,
    ) -> None:
        self.features = features
        self.encoding = encoding
        self.ahead = ahead
        self.freq = freq
        self.time = time
        self.time_zone = time_zone
        self.holidays = holidays

    # What is added to a row depends on this row alone.
    _is_rowwise = True

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the time step, where steps ahead are asked for.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns)
            The table, of pandas, polars or a library that hands it over by Arrow.
        y : None
            Not used.

        Returns
        -------
        self : CalendarFeatures
            The fitted transformer.

        Raises
        ------
        InvalidSequenceError
            If the rows have no times, one is missing, or their step is asked
            for and there is none; or a column's name is not a string.
        TypeError
            If X is not a frame.
        ValueError
            If a feature, the time zone or a code of holidays is unknown, or a column
            is asked for twice or in X already.
        ImportError
            If `holidays` is a code, and the package holidays is not installed.
        """
        features, steps = self._check_parameters()
        X = _to_frame(X)
        self._check_new_names(X, features, steps)
        self.time_ = find_keys(X, self.time).time
        times = self._get_times(X, self.time_)
        dates = self._to_dates(times.labels[:1])  # raises for an unknown time zone
        if self.holidays is not None:
            flag_holidays(self.holidays, dates)  # raises for unknown ones
        check_columns(self, X, reset=True)
        self._kind = times.kind
        self._rule = None
        if any(steps):
            self._rule = _find_rule(self.freq, times)
        self.freq_ = freq_of(self._rule, times)
        return self

    def transform(self, X: Any) -> Any:
        """Add the columns.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns)
            A table with the columns of that in `fit`.

        Returns
        -------
        table : DataFrame
            Of pandas, or of polars if `X` is: its columns, then int64 columns of an
            ordinal feature or flag, float64 columns of a cyclic one.

        Raises
        ------
        InvalidSequenceError
            If the rows have no times, or of another kind than in `fit`.
        TypeError
            If X is not a frame.
        ValueError
            If the columns are not those of `fit`, or `ahead` was changed
            since from 0.

        Warns
        -----
        SklearnRNNWarning
            If `holidays` lists dates of other years than those of the table.
        """
        check_is_fitted(self)
        features, steps = self._check_parameters()
        X = _to_frame(X)
        self._check_new_names(X, features, steps)
        check_columns(self, X, reset=False)
        # Models of version 0.6 have no time_.
        times = self._get_times(X, getattr(self, "time_", self.time))
        if times.kind != self._kind:
            raise_other_kind(times.kind, self._kind, "CalendarFeatures")
        if any(steps) and self._rule is None:
            raise ValueError(
                f"ahead is {self.ahead!r} now and was 0 in fit, which did not look "
                "for the time step: fit again."
            )
        times, codes = _distinct(times)
        columns, moved = {}, []
        for k in steps:
            dates = self._to_dates(shift_times(self._rule, times, k))
            moved.append(dates)
            for feature in features:
                for name, values in _encode(feature, dates, self.encoding).items():
                    columns[name_ahead(name, k)] = values[codes]
            if self.holidays is not None:
                flags = flag_holidays(self.holidays, dates)
                columns[name_ahead(HOLIDAY, k)] = flags[codes]
        if not isinstance(self.holidays, str | None):
            warn_of_other_years(self.holidays, moved[0].append(moved[1:]))
        return _append(X, columns)

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> np.ndarray:
        """Name the columns of the output.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input's columns; None uses those seen in `fit`.

        Returns
        -------
        names : ndarray of str
            The input's names, then those of the new columns.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        added = self._names(*self._check_parameters())
        return np.array([*names, *added], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Only frames: an array has no times.
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        return tags

    def _validate_params(self):
        # First, as scikit-learn's error would only list the allowed types.
        check_column_key(self.time, "time")
        super()._validate_params()

    def _check_parameters(self):
        """Return features and steps, checked one by one, as scikit-learn does not."""
        if self.encoding not in ("cyclic", "ordinal"):
            raise ValueError(
                f"encoding must be 'cyclic' or 'ordinal', got {self.encoding!r}."
            )
        features = list(self.features)
        for feature in features:
            if not isinstance(feature, str) or feature not in NUMBERS:
                raise ValueError(
                    f"features contains {feature!r}, but must be any of "
                    f"{', '.join(NUMBERS)}."
                )
        ahead = self.ahead
        steps = [ahead] if isinstance(ahead, Integral) else list_steps(ahead)
        whole = [isinstance(k, Integral) and not isinstance(k, bool) for k in steps]
        if not all(whole) or min(steps, default=0) < 0 or len(steps) > MAX_STEPS:
            raise ValueError(
                "ahead must be an int of at least 0, or a list of such steps, got "
                f"{ahead!r}."
            )
        for name, values in {"features": features, "ahead": steps}.items():
            if len(set(values)) < len(values):
                raise ValueError(f"{name} has duplicates: {values}.")
        return features, [int(k) for k in steps]

    def _names(self, features, steps):
        return [
            name_ahead(name, k) for k in steps for name in self._names_of_step(features)
        ]

    def _names_of_step(self, features):
        names = [n for f in features for n in _column_names(f, self.encoding)]
        return names if self.holidays is None else [*names, HOLIDAY]

    def _check_new_names(self, X, features, steps):
        present = list(X.columns)
        taken = [name for name in self._names(features, steps) if name in present]
        if taken:
            raise ValueError(
                f"X already has a column {taken[0]!r}, which CalendarFeatures adds: "
                "rename or drop it, or leave it out of features=."
            )

    def _get_times(self, X, time):
        """Return the times of a table, which must be dates."""
        times = times_of_frame(X, time, "CalendarFeatures")
        if times is None:
            raise InvalidSequenceError(
                "the rows of X have no times, so CalendarFeatures cannot date them: "
                "give X an index of dates, or name a column of dates in time=."
            )
        if times.kind in ("numbers", "durations"):
            raise InvalidSequenceError(
                f"the times of X are {times.kind}, which have no calendar: give X an "
                "index of dates, or name a column of dates in time=."
            )
        if self.time_zone is not None and times.time_zone is None:
            raise InvalidSequenceError(
                f"time_zone={self.time_zone!r} is given, but the times of X have no "
                "time zone to convert from: set it with df.tz_localize('UTC'), or "
                "leave time_zone out if they are local."
            )
        return times

    def _to_dates(self, labels):
        """Return dates whose calendar fields are the features."""
        if isinstance(labels, pd.PeriodIndex):
            return labels.start_time
        if self.time_zone is None:
            return labels
        try:
            return labels.tz_convert(self.time_zone)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"time_zone={self.time_zone!r} is not a time zone: {error}"
            ) from error


def _to_frame(X):
    """Return a frame of pandas or polars, of pandas for those of other libraries."""
    is_known = isinstance(X, pd.DataFrame | pd.Series) or is_polars(X)
    if is_foreign_frame(X) and not is_known:
        X = convert_input(X, estimator_name="CalendarFeatures")
    if isinstance(X, pd.DataFrame) or (is_polars(X) and len(X.shape) == 2):
        check_names(X, "CalendarFeatures")
        return X
    raise TypeError(
        "CalendarFeatures needs a pandas or polars DataFrame, because an array has no "
        f"dates, got {type(X).__name__}. Put it first in a pipeline, or make a "
        "frame with pd.DataFrame(array, index=dates)."
    )


def _find_rule(freq, times):
    """Find the step between the times of a table, which several series may share."""
    if is_rows(freq):
        raise InvalidSequenceError(
            "freq='rows' does not determine the times of future steps, which "
            "CalendarFeatures(ahead=...) needs: give the time between rows, for "
            "example freq='B'; or let make_forecast_frame(freq='rows', known=...) "
            "shift the columns of the calendar."
        )
    if freq is not None:
        return parse_rule(freq, times)
    if not times.labels.is_monotonic_increasing:
        # An index that runs backwards declares a step backwards.
        times = times._replace(declared_step=None)
    timestamps = np.unique(times.timestamps)
    is_start = np.zeros(len(timestamps), dtype=bool)
    is_start[:1] = True
    rule = infer_rule(times, timestamps, is_start)
    check_regular(rule)
    return rule


def _column_names(feature, encoding):
    if encoding == "cyclic" and feature in CYCLES:
        return [f"{feature}_sin", f"{feature}_cos"]
    return [feature]


def _distinct(times):
    """Return times without duplicates, and the position of each row's among them.

    The series of a panel share their times, whose calendar is computed once.
    """
    codes, distinct = pd.factorize(times.timestamps)
    first_rows = np.empty(len(distinct), dtype=np.int64)
    first_rows[codes[::-1]] = np.arange(len(codes))[::-1]
    labels, timestamps = times.labels[first_rows], times.timestamps[first_rows]
    return times._replace(labels=labels, timestamps=timestamps), codes


def _encode(feature, dates, encoding):
    """Return the columns of one feature, by name."""
    names = _column_names(feature, encoding)
    if len(names) == 1:
        return {feature: np.asarray(NUMBERS[feature](dates), dtype=np.int64)}
    angle = 2 * np.pi * np.asarray(CYCLES[feature](dates), dtype=np.float64)
    return dict(zip(names, [np.sin(angle), np.cos(angle)], strict=True))


def _iso(dates, unit):
    return dates.isocalendar()[unit].to_numpy(np.int64)


def _weeks_in_year(dates):
    """Count the weeks, 52 or 53, of the ISO year of each date."""
    years, indices = np.unique(_iso(dates, "year"), return_inverse=True)
    # 28 December is always in the last week.
    ends = np.array([f"{year:04d}-12-28" for year in years], dtype="datetime64[s]")
    return _iso(pd.DatetimeIndex(ends), "week")[indices]


def _append(X, columns):
    """Append columns to a frame."""
    if is_polars(X):
        return X.hstack(type(X)(columns)) if columns else X.clone()
    result = pd.concat([X, pd.DataFrame(columns, index=X.index)], axis=1)
    keep_untargeted(X, result)
    return result
