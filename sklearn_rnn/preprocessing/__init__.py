"""Transformers that make, scale and prepare sequences."""

from sklearn_rnn.preprocessing._ahead import times_ahead
from sklearn_rnn.preprocessing._calendar import CalendarFeatures
from sklearn_rnn.preprocessing._flattener import SequenceFlattener
from sklearn_rnn.preprocessing._forecast import (
    add_columns,
    as_frame,
    make_forecast_frame,
    pair_with_future,
    read_columns,
    read_steps,
    take_rows,
)
from sklearn_rnn.preprocessing._grid import fill_grid, read_grid, refuse_breaks
from sklearn_rnn.preprocessing._log_mel import LogMelSpectrogram
from sklearn_rnn.preprocessing._names import (
    name_ahead,
    parse_ahead,
    parse_targets,
    read_target_names,
)
from sklearn_rnn.preprocessing._scaler import SequenceScaler
from sklearn_rnn.preprocessing._seen import reach_the_start, window_lengths
from sklearn_rnn.preprocessing._series import read_series
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
    "add_columns",
    "as_frame",
    "check_column_key",
    "column_at",
    "describe_step",
    "fill_grid",
    "first_date_column",
    "frame_column",
    "freq_of",
    "has_categories",
    "is_polars",
    "make_forecast_frame",
    "name_ahead",
    "pair_with_future",
    "parse_ahead",
    "parse_targets",
    "reach_the_start",
    "read_columns",
    "read_grid",
    "read_series",
    "read_steps",
    "read_target_names",
    "refuse_breaks",
    "row_step_of",
    "take_rows",
    "times_ahead",
    "times_of_frame",
    "window_lengths",
]
