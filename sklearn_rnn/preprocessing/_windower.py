"""SequenceWindower: one window per row, as a step of a pipeline."""

from collections.abc import Mapping
from datetime import timedelta
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    validate_data,
)

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
)
from sklearn_rnn._html import DescribedParameters
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.preprocessing._keys import (
    TableKeys,
    check_column_key,
    find_keys,
    get_target_names,
    untargeted_rows_of,
)
from sklearn_rnn.preprocessing._missing import Fill, fill_features, fit_fill
from sklearn_rnn.preprocessing._output import FixedOutput
from sklearn_rnn.preprocessing._time_errors import (
    check_gaps,
    warn_of_scattered_rows,
    warn_of_short_series,
    warn_without_step,
)
from sklearn_rnn.preprocessing._time_table import (
    TimeTable,
    cut_windows,
    find_prefixes,
    is_table,
    parse_features,
)
from sklearn_rnn.sequences import (
    COUNT,
    ROWS,
    MaxGap,
    RowStep,
    SequenceArray,
    SequencesLike,
    Times,
    check_features,
    check_input,
    check_unique_names,
    convert_input,
    freq_of,
    is_rows,
    warn_of_other_times,
)


class SequenceWindower(
    FixedOutput, PlainState, DescribedParameters, TransformerMixin, BaseEstimator
):
    """Turn a table of time steps into one window per row.

    Window i ends at row i of the table and holds the `n_steps` rows up to and
    including it. There are as many windows as rows, so ``y`` stays as it is,
    and pipelines, splitters and grid searches work as with any table. Rows
    with less history behind them get shorter windows; nothing is made up, and
    no window looks ahead.

    A window is cut at the first gap: rows are neighbours only if they are
    one time step apart. `fit` keeps the last rows before every gap, so that
    `transform` can give rows that follow the training data their true
    history.

    Parameters
    ----------
    n_steps : int, default=24
        Rows in a whole window, the window's own row included.
    history : {"auto", "train"} or None, default="auto"
        What `transform` does with the rows kept in `fit`. "auto" puts them in
        front of new rows that follow them without a gap; this needs times.
        "train" puts the end of the training data in front of the new rows
        whatever their times: of the training rows themselves too, so use it
        only for rows that follow. None leaves them out. `fit_transform` never
        uses them.
    freq : str, offset, Timedelta or number, default=None
        The time between neighbouring rows: a pandas offset such as "h" or
        "MS", a span of time, or for numeric times a number. "D" and coarser
        offsets are calendar days in the local time of a time zone, a
        Timedelta is elapsed time. "rows" makes each row one step after the
        previous row of its series, whatever the time between, as for the
        days of an exchange; times still have to increase, and new rows follow
        the training data if they come within the largest difference seen in
        `fit`. None finds it in `fit`: the step that the index declares, or
        that most rows keep, if these are more than half; the rest are gaps.
        Where there is no such step, rows are neighbours up to the largest
        difference seen in `fit`, with a warning.
    time : str or int, default=None
        Column that holds the times: dates, periods, durations or numbers.
        For an array, its position. It is taken out of the features. None takes
        what the table says of itself (see Notes), or else the index of a pandas
        frame, unless that holds names. Dates as objects or categories are
        converted; dates written as strings raise an error.
    group_by : str or int, or list of these, default=None
        Column that identifies the series in a table of several, or columns that do
        together; for an array, positions. They are taken out of the features.
        Windows and history stay inside one series; the order of the rows stays as
        it is. None takes what the table says of itself. To let a model know
        which series it reads, put the same labels into a second column.
    missing : {"auto", "mask"} or None, default="auto"
        What to do about NaN in a table. "mask" puts the last value seen of
        that series there, or the mean of the column in `fit` where none was
        seen since the last gap, and adds a column of 0 and 1 for every column
        that had NaN in `fit`, as an input of the network. None leaves NaN as it
        is, for which the estimators raise an error. "auto" masks where the table
        says so, as that of ``make_forecast_frame(missing="mask")`` does.

    Attributes
    ----------
    n_features_in_ : int
        Columns of the table, those of `time` and `group_by` included; features
        per step if `fit` was given sequences.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names, where they have names.
    freq_ : offset, Timedelta, number, "rows" or None
        Time between neighbouring rows; "rows" as given in `freq`. None
        without times, or if they are irregular.
    time_ : str, int or None
        Column or level of the index that holds the times; None for the index.
    group_by_ : str, int, list of these, or None
        What identifies the series.

    See Also
    --------
    make_forecast_frame : The targets to go with such windows.
    make_windows : Windows of equal length from arrays, outside a pipeline.
    SequenceScaler : Standardises windows without copying them.

    Notes
    -----
    The windows are a view: `SequenceArray` holds each row of the table once,
    however many windows cover it.

    A pandas table may say itself which columns are its times and series: by an index
    of several levels of which one holds dates, and the others then are the series; or
    in ``df.attrs["sklearn_rnn"]``, a dict with any of the keys "time", "group_by",
    "freq" (a string or number) and "missing". The `X` of `make_forecast_frame` says
    all that was passed there. pandas keeps ``attrs`` when rows are selected.

    A column of strings, or of the type `category`, holds categories: the windows
    hold codes, whose meaning the `SequenceArray` carries (``categories``). The
    estimators learn a vector for each (see their `categorical_features`). A missing
    value is a category of its own, with ``missing="mask"`` too. Bools are numbers.

    Splitters decide what leaks. ``cross_val_score(model, X, y)`` cuts blocks by
    `KFold`, which trains on rows after those that it tests, and on targets that reach
    into them; of several series below each other it tests one on the times at which it
    has seen the others. Pass ``cv=TimeSeriesSplit(5, gap=horizon - 1)``, or
    `TimeBlockSplit`. Only rows that a shuffle has scattered are noticed here.

    With ``freq="rows"`` a series has no gaps, so `fit` keeps the last rows of each
    series alone: new rows from the middle of the training data start without history.

    Given sequences instead of a table, such as windows cut beforehand, it
    keeps the last `n_steps` steps of each. A list counts as sequences only if
    its elements are 2-D or of unequal length.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn import SequenceWindower
    >>> hours = pd.date_range("2024-01-01", periods=5, freq="h")
    >>> table = pd.DataFrame({"temp": [1.0, 2.0, 3.0, 4.0, 5.0]}, index=hours)
    >>> windower = SequenceWindower(n_steps=3)
    >>> for window in windower.fit_transform(table.iloc[:4]):
    ...     print(window.ravel())
    [1.]
    [1. 2.]
    [1. 2. 3.]
    [2. 3. 4.]

    The fifth row follows the training data and gets its true history:

    >>> windower.transform(table.iloc[4:])[0].ravel()
    array([3., 4., 5.])
    """

    _parameter_constraints = {
        "n_steps": [COUNT],
        "history": [StrOptions({"auto", "train"}), None],
        "freq": [str, Real, timedelta, np.timedelta64, pd.offsets.BaseOffset, None],
        "time": [str, Integral, None],
        "group_by": [str, Integral, list, tuple, None],
        "missing": [StrOptions({"auto", "mask"}), None],
    }

    _history: Any = None  # as after a fit on sequences

    # For windowers pickled by version 0.6.
    _categories: Mapping[str, np.ndarray] = {}

    def __init__(
        self,
        n_steps: int = 24,
        *,
        history: Literal["auto", "train"] | None = "auto",
        freq: Any = None,
        time: str | int | None = None,
        group_by: str | int | list | None = None,
        missing: Literal["auto", "mask"] | None = "auto",
    ) -> None:
        self.n_steps = n_steps
        self.history = history
        self.freq = freq
        self.time = time
        self.group_by = group_by
        self.missing = missing

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: SequencesLike, y: Any = None) -> Self:
        """Learn the time step, and keep the rows before every gap.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_rows, n_features), or sequences
            The table, of pandas, polars or NumPy. Times increase from row to
            row, inside each series. NaN passes through. Columns of a frame that
            hold strings, or have the type `category`, become codes: see Notes.
        y : object, default=None
            The targets, one per row. Not used, but for a warning if they have
            an index of dates that is not that of `X`.

        Returns
        -------
        self : SequenceWindower
            The fitted windower.

        Raises
        ------
        InvalidSequenceError
            If times are missing, out of order or duplicated, no two rows are
            as far apart as `freq` says, a column does not exist, or a feature
            holds neither numbers nor categories.

        Warns
        -----
        WindowHistoryWarning
            If the times follow no step, gaps shorten a fifth of the windows or more,
            or no series of a table of at least 20 rows has `n_steps` of them.
        SklearnRNNWarning
            If `y` has an index of other dates than `X`.
        """
        self._fit(X, y, cut=False)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: SequencesLike, y: Any = None) -> SequenceArray:
        """Fit to a table, and cut it into windows without history.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_rows, n_features), or sequences
            The table, as for `fit`.
        y : object, default=None
            The targets, as for `fit`.

        Returns
        -------
        windows : SequenceArray of n_rows sequences
            Window i ends at row i.

        Raises
        ------
        InvalidSequenceError
            As `fit` does.

        Warns
        -----
        WindowHistoryWarning, SklearnRNNWarning
            As `fit` does.
        """
        return self._fit(X, y, cut=True)

    def transform(self, X: SequencesLike) -> SequenceArray:
        """Cut a table into windows, with history from the training data.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_rows, n_features), or sequences
            A table with the columns of that in `fit`.

        Returns
        -------
        windows : SequenceArray of n_rows sequences
            Window i ends at row i.

        Raises
        ------
        InvalidSequenceError
            As `fit` does, and if the times are of another kind than in `fit`,
            or no two rows are neighbours by the step of `fit`.
        ValueError
            If the columns are not those of `fit`.

        Warns
        -----
        WindowHistoryWarning
            With ``history="auto"``, if the times of the rows are not known;
            if gaps shorten a fifth of the windows or more; and if rows are scattered
            between rows of `fit`, as by a splitter that shuffles.
        """
        if not hasattr(self, "_feature_positions"):
            check_is_fitted(self)  # which raises the error
        estimator_name = type(self).__name__
        # Of frames of pandas, columns of objects alone may hold sequences.
        if not isinstance(X, pd.DataFrame) or "O" in {d.kind for d in X.dtypes}:
            X = convert_input(X, estimator_name=estimator_name)
        is_frame, was_table = hasattr(X, "columns"), self._history is not None
        # After a fit on sequences a list is sequences, of one length too.
        is_list = isinstance(X, (list, tuple))
        if (is_list and not was_table) or not (is_frame or is_table(X)):
            return self._trim(X, reset=False)
        if not was_table:
            raise InvalidSequenceError(
                f"X is a table, but {estimator_name} was fitted on sequences: give it "
                "sequences, or fit it on a table. If x is one sequence, pass [x]."
            )
        if self.n_steps != self._fitted_n_steps:
            raise ValueError(
                f"n_steps={self.n_steps}, but it was {self._fitted_n_steps} in fit, "
                "which kept history for that many steps: fit again."
            )
        keys = TableKeys(self.time_, self.group_by_)
        names = getattr(self, "feature_names_in_", None)
        if is_frame and (names is None or list(X.columns) != list(names)):
            self._check_columns(X, reset=False)
        features = parse_features(X, keys, estimator_name, self._categories)
        if not is_frame:
            if is_list:
                self._check_rows(features.n_columns)
            self._check_columns(X, features.n_columns, reset=False)
        if features.categories:
            self._check_categories(X, features)
        rule, kind = self._rule, self._history.kind
        if rule is None:
            table = TimeTable.from_rows(X, keys, estimator_name).without_times()
        else:
            table = TimeTable.read(X, keys, estimator_name, rule=rule, kind=kind)
        needs_history = self.n_steps > 1 or self._fill is not None
        history = self.history if needs_history else None
        prefixes = find_prefixes(self._history, table, history)
        if len(table.gaps):
            by_time = prefixes if history == "auto" else []
            check_gaps(table, self.n_steps, self._found_in("as found in fit"), by_time)
            warn_of_scattered_rows(table, self._history, by_time)
        if self._fill is not None:
            features = fill_features(
                features, self._fill, table, prefixes, self._history
            )
        return cut_windows(features, table, self.n_steps, self._history, prefixes)

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> np.ndarray:
        """Name the features of a step.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input's columns, those of `time` and `group_by`
            included; None uses those seen in `fit`.

        Returns
        -------
        names : ndarray of str
            Without the columns of `time` and `group_by`; with
            ``missing="mask"``, followed by the flags of missing values, named
            "missingindicator_temp" for a column "temp".
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)[self._feature_positions]
        if self._fill is None:
            return names
        return np.array([*names, *self._fill.names(names)], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_history" in vars(self) and not hasattr(self, "time_"):  # of version 0.6
            self.time_, self.group_by_ = self.time, self.group_by

    def _validate_params(self):
        # First, as scikit-learn's error would only list the allowed types.
        if self.time is not None or self.group_by is not None:
            check_column_key(self.time, "time")
            check_column_key(self.group_by, "group_by")
        super()._validate_params()

    def _found_in(self, otherwise):
        """Return where the step comes from, for messages."""
        return otherwise if self.freq is None else f"as freq={self.freq!r} says"

    def _fit(self, X, y, *, cut):
        """Learn from a table, and return its windows if these are to be cut.

        From sequences, and return these, trimmed.
        """
        estimator_name = type(self).__name__
        # Of frames of pandas, columns of objects alone may hold sequences.
        if not isinstance(X, pd.DataFrame) or "O" in {d.kind for d in X.dtypes}:
            X = convert_input(X, estimator_name=estimator_name)
        target_names = get_target_names(y)
        if not (hasattr(X, "columns") or is_table(X)):
            sequences = self._trim(X, reset=True)
            self._target_names = target_names
            return sequences
        keys = find_keys(X, self.time, self.group_by, self.freq)
        if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
            check_unique_names(X)
        untargeted_rows = untargeted_rows_of(X)
        features = parse_features(X, keys, estimator_name)
        table = TimeTable.read(X, keys, estimator_name)
        freq = freq_of(table.rule, table.times)
        if table.times is None:
            freq = ROWS if is_rows(keys.freq) else None
        else:
            if isinstance(table.rule, MaxGap) and self.n_steps > 1:
                warn_without_step(table.rule)
            if len(table.gaps):
                check_gaps(table, self.n_steps, self._found_in("which most rows keep"))
            index = getattr(y, "index", None)
            # The frames of `make_forecast_frame` share one.
            if isinstance(index, pd.Index) and not index.is_(table.times.labels):
                warn_of_other_times(table.times.labels, y)
        if self.n_steps > np.diff(table.series_bounds).max():
            warn_of_short_series(table, self.n_steps)
        fill = None
        if keys.missing == "mask" if self.missing == "auto" else self.missing:
            fill = fit_fill(features, estimator_name)
            features = fill_features(features, fill, table)
        n_kept = self.n_steps - 1 if fill is None else max(1, self.n_steps - 1)
        history = table.history(features, n_kept)
        windows = cut_windows(features, table, self.n_steps) if cut else None
        # Nothing is set before: a fit that fails leaves the windower as it was.
        self._check_columns(X, features.n_columns, reset=True)
        names, positions = list(getattr(X, "columns", ())), features.positions
        self._feature_positions = np.array(positions)
        self._categories = {
            names[positions[j]]: c for j, c in features.categories.items()
        }
        self._target_names, self._untargeted_rows = target_names, untargeted_rows
        self.time_, self.group_by_, self.freq_ = keys.time, keys.group_by, freq
        self._rule, self._fill, self._history = table.rule, fill, history
        self._fitted_n_steps = self.n_steps
        return windows

    def _check_columns(self, X, n_columns=None, *, reset):
        """Set number and names of columns, or check that they are those of fit."""
        if not hasattr(X, "columns"):
            X = np.empty((0, n_columns))
        elif not isinstance(X, pd.DataFrame):
            # Not every version of scikit-learn reads the names of polars.
            X = pd.DataFrame(columns=list(X.columns))
        elif not X.columns.is_unique:
            check_unique_names(X)
        validate_data(self, X, reset=reset, skip_check_array=True)

    def _check_categories(self, X, features):
        """Check that no column holds categories where it held numbers in fit."""
        found = [X.columns[features.positions[j]] for j in features.categories]
        new = [name for name in found if name not in self._categories]
        if new:
            raise InvalidSequenceError(
                f"column {new[0]!r} of X holds categories, and in fit it held numbers: "
                "give it the same type."
            )

    def _check_rows(self, n_columns):
        """Check that sequences are not taken for the rows of a table."""
        if n_columns != self.n_features_in_:
            raise InvalidSequenceError(
                f"X is a list of rows of {n_columns} values, but {type(self).__name__} "
                f"is expecting {self.n_features_in_} features as input: a list of "
                "vectors of one length is read as a table. If they are sequences: pass "
                "[np.reshape(x, (-1, 1)) for x in X], in fit as well."
            )

    def _trim(self, X, reset):
        """Keep the last n_steps of sequences."""
        if self.missing == "mask":
            raise InvalidSequenceError(
                f"missing={self.missing!r} fills a table, and X is sequences: cut them "
                "from the table with SequenceWindower(missing='mask')."
            )
        name = type(self).__name__
        checked = check_input(X, estimator_name=name, allow_categories=True)
        sequences = checked.sequences
        if not reset and self._history is not None:
            self._check_n_features(sequences)
        else:
            check_features(self, checked, reset=reset)
        if reset:
            self._feature_positions = np.arange(sequences.n_features)
            self._history = self._rule = self.freq_ = self._fill = None
            self._untargeted_rows, self._categories = None, {}
            self.time_ = self.group_by_ = None
        lengths = np.minimum(sequences.lengths, self.n_steps)
        return sequences.over(sequences.ends - lengths, lengths)

    def _check_n_features(self, sequences):
        expected = len(self._feature_positions)
        if sequences.n_features != expected:
            raise InvalidSequenceError(
                f"X has {sequences.n_features} features, but {type(self).__name__} is "
                f"expecting {expected} features as input, in sequences."
            )


def fill_of_windower(windower: Any) -> Fill | None:
    """Return how a fitted windower fills missing values; None if it does not."""
    return windower._fill


def categories_of_windower(windower: Any) -> Mapping[str, np.ndarray]:
    """Return the categories by column that a fitted windower turns into codes."""
    return windower._categories


def row_step_of(windower: Any, times: Times | None) -> RowStep | None:
    """Return rows as steps, dated by the step that a windower found in `fit`.

    None if it found no step, or was fitted on times of another kind.
    """
    rule = getattr(windower, "_rule", None)
    if rule is None or times is None or windower._history.kind != times.kind:
        return None
    if isinstance(rule, MaxGap):
        return None
    return rule if isinstance(rule, RowStep) else RowStep(None, rule)
