"""Transformers that make, scale and prepare sequences."""

from sklearn_rnn._moved import find_moved, register_old_modules
from sklearn_rnn.preprocessing._flattener import SequenceFlattener
from sklearn_rnn.preprocessing._keys import (
    ATTRS_KEY,
    MAX_STEPS,
    TableKeys,
    check_column_key,
    check_names,
    find_keys,
    get_target_names,
    keep_untargeted,
    list_keys,
    list_steps,
    name_ahead,
    parse_ahead,
    parse_targets,
    remember_untargeted,
)
from sklearn_rnn.preprocessing._output import FixedOutput
from sklearn_rnn.preprocessing._regular import fill_rows
from sklearn_rnn.preprocessing._scaler import SequenceScaler
from sklearn_rnn.preprocessing._time_errors import (
    UnknownTimesWarning,
    check_labels,
    check_no_missing,
    raise_other_kind,
)
from sklearn_rnn.preprocessing._time_table import (
    TimeTable,
    array_column,
    as_frame,
    check_regular,
    column_at,
    encode_groups,
    first_date_column,
    frame_column,
    has_categories,
    is_frame,
    is_polars,
    select_rows,
    shift_times,
    times_of_frame,
)
from sklearn_rnn.preprocessing._tokenizer import SequenceTokenizer
from sklearn_rnn.preprocessing._windower import (
    SequenceWindower,
    categories_of_windower,
    fill_of_windower,
    row_step_of,
)
from sklearn_rnn.preprocessing._word_features import WordFeatures
from sklearn_rnn.sequences import RowStep, describe_step

__all__ = [
    "ATTRS_KEY",
    "FixedOutput",
    "MAX_STEPS",
    "RowStep",
    "SequenceFlattener",
    "SequenceScaler",
    "SequenceTokenizer",
    "SequenceWindower",
    "TableKeys",
    "TimeTable",
    "UnknownTimesWarning",
    "WordFeatures",
    "array_column",
    "as_frame",
    "categories_of_windower",
    "check_column_key",
    "check_labels",
    "check_names",
    "check_no_missing",
    "check_regular",
    "column_at",
    "describe_step",
    "encode_groups",
    "fill_of_windower",
    "fill_rows",
    "find_keys",
    "first_date_column",
    "frame_column",
    "get_target_names",
    "has_categories",
    "is_frame",
    "is_polars",
    "keep_untargeted",
    "list_keys",
    "list_steps",
    "name_ahead",
    "parse_ahead",
    "parse_targets",
    "raise_other_kind",
    "remember_untargeted",
    "row_step_of",
    "select_rows",
    "shift_times",
    "times_of_frame",
]

__getattr__ = find_moved(
    __name__, {"CalendarFeatures", "LogMelSpectrogram", "make_forecast_frame"}
)
register_old_modules(
    {
        "preprocessing._history": "preprocessing._time_table",
        "preprocessing._untargeted": "preprocessing._keys",
    }
)
