"""Transformers that make, scale and prepare sequences."""

from sklearn_rnn._moved import find_moved
from sklearn_rnn.preprocessing._ahead import (
    MAX_STEPS,
    check_regular,
    list_steps,
    shift_times,
    times_ahead,
)
from sklearn_rnn.preprocessing._flattener import SequenceFlattener
from sklearn_rnn.preprocessing._grid import (
    Grid,
    check_no_gaps,
    check_no_missing,
    fill_grid,
    find_grid,
)
from sklearn_rnn.preprocessing._names import (
    check_names,
    get_target_names,
    name_ahead,
    parse_ahead,
    parse_targets,
)
from sklearn_rnn.preprocessing._output import FixedOutput
from sklearn_rnn.preprocessing._scaler import SequenceScaler
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
from sklearn_rnn.preprocessing._untargeted import keep_untargeted, remember_untargeted
from sklearn_rnn.preprocessing._windower import (
    SequenceWindower,
    UnknownTimesWarning,
    row_step_of,
)
from sklearn_rnn.preprocessing._word_features import WordFeatures
from sklearn_rnn.sequences import RowStep, describe_step, freq_of

__all__ = [
    "FixedOutput",
    "Grid",
    "MAX_STEPS",
    "RowStep",
    "SequenceFlattener",
    "SequenceScaler",
    "SequenceTokenizer",
    "SequenceWindower",
    "UnknownTimesWarning",
    "WordFeatures",
    "check_column_key",
    "check_names",
    "check_no_gaps",
    "check_no_missing",
    "check_regular",
    "column_at",
    "describe_step",
    "fill_grid",
    "find_grid",
    "first_date_column",
    "frame_column",
    "freq_of",
    "get_target_names",
    "group_rows",
    "has_categories",
    "is_polars",
    "keep_untargeted",
    "list_steps",
    "name_ahead",
    "parse_ahead",
    "parse_targets",
    "remember_untargeted",
    "row_step_of",
    "shift_times",
    "times_ahead",
    "times_of_frame",
]

__getattr__ = find_moved(
    __name__, {"CalendarFeatures", "LogMelSpectrogram", "make_forecast_frame"}
)
