"""Transformers that make, scale and prepare sequences."""

from sklearn_rnn.preprocessing._ahead import times_ahead
from sklearn_rnn.preprocessing._calendar import CalendarFeatures
from sklearn_rnn.preprocessing._flattener import SequenceFlattener
from sklearn_rnn.preprocessing._forecast import (
    add_columns,
    as_frame,
    check_horizon,
    get_column_names,
    make_forecast_frame,
    pair_with_future,
    select_rows,
)
from sklearn_rnn.preprocessing._grid import check_no_gaps, fill_grid, find_grid
from sklearn_rnn.preprocessing._log_mel import LogMelSpectrogram
from sklearn_rnn.preprocessing._names import (
    get_target_names,
    name_ahead,
    parse_ahead,
    parse_targets,
)
from sklearn_rnn.preprocessing._scaler import SequenceScaler
from sklearn_rnn.preprocessing._seen import cover_series_start, window_lengths
from sklearn_rnn.preprocessing._series import group_rows
from sklearn_rnn.preprocessing._tables import (
    check_column_key,
    column_at,
    first_date_column,
    frame_column,
    has_categories,
    is_polars,
    times_of_frame,
)
from sklearn_rnn.preprocessing._tokenizer import SequenceTokenizer
from sklearn_rnn.preprocessing._windower import (
    SequenceWindower,
    UnknownTimesWarning,
    row_step_of,
)
from sklearn_rnn.preprocessing._word_features import WordFeatures
from sklearn_rnn.sequences import RowStep, describe_step, freq_of

__all__ = [
    "CalendarFeatures",
    "LogMelSpectrogram",
    "RowStep",
    "SequenceFlattener",
    "SequenceScaler",
    "SequenceTokenizer",
    "SequenceWindower",
    "UnknownTimesWarning",
    "WordFeatures",
    "add_columns",
    "as_frame",
    "check_column_key",
    "check_horizon",
    "check_no_gaps",
    "column_at",
    "cover_series_start",
    "describe_step",
    "fill_grid",
    "find_grid",
    "first_date_column",
    "frame_column",
    "freq_of",
    "get_column_names",
    "get_target_names",
    "group_rows",
    "has_categories",
    "is_polars",
    "make_forecast_frame",
    "name_ahead",
    "pair_with_future",
    "parse_ahead",
    "parse_targets",
    "row_step_of",
    "select_rows",
    "times_ahead",
    "times_of_frame",
    "window_lengths",
]
