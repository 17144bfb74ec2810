"""What a sequence is: the container, its validation, and windows over a table."""

from sklearn_rnn._moved import register_old_modules
from sklearn_rnn.sequences._arrays import (
    to_numbers,
    unmask,
)
from sklearn_rnn.sequences._categories import (
    categories_seen,
    describe_category,
    encode_categories,
    is_categorical,
    is_text,
    one_hot_last_step,
    recode,
    with_categories,
)
from sklearn_rnn.sequences._check import (
    check_input,
    check_sequences,
    check_tokens,
    is_list_of_sequences,
)
from sklearn_rnn.sequences._container import (
    LENGTH_TYPES,
    MAX_INT32_ROWS,
    SequenceArray,
    trusted_sequences,
)
from sklearn_rnn.sequences._conversion import (
    check_item,
    check_table,
    convert_input,
    is_foreign_frame,
    nested_columns,
    plain_arrays,
    unpack,
)
from sklearn_rnn.sequences._coverage import (
    LARGEST_INPUT,
    SEQUENCES_PER_BLOCK,
    are_apart,
    blocks,
    check_range,
    coverage,
    covered_chunks,
    describe_position,
    locate,
    mean_and_scale,
    shares_rows,
    value_range,
    weighted_chunks,
)
from sklearn_rnn.sequences._dicts import (
    holds_dicts,
    sequences_of_columns,
    sequences_of_dicts,
)
from sklearn_rnn.sequences._features import (
    check_columns,
    check_features,
    check_unique_names,
)
from sklearn_rnn.sequences._one_hot import is_one_hot
from sklearn_rnn.sequences._row_times import warn_of_other_times
from sklearn_rnn.sequences._step_targets import (
    Extents,
    StepValues,
    check_no_padding,
    check_no_words,
    check_step_targets,
    flat_rows,
    is_missing,
)
from sklearn_rnn.sequences._symbols import (
    SymbolRows,
    are_ids,
    check_learnable,
    check_symbols,
    warn_of_separated_symbols,
)
from sklearn_rnn.sequences._target_arrays import check_not_ragged, explain_target_errors
from sklearn_rnn.sequences._text import is_sound_file
from sklearn_rnn.sequences._times import (
    DATED,
    ROWS,
    CalendarStep,
    FixedStep,
    MaxGap,
    RowStep,
    Times,
    add_offset,
    as_typed_index,
    check_increasing,
    describe_step,
    fill_call,
    freq_of,
    holds_dates,
    infer_rule,
    is_rows,
    local_time,
    parse_rule,
    to_index,
    to_times,
)
from sklearn_rnn.sequences._transforms import Differencing, Scaling, Transforms
from sklearn_rnn.sequences._types import COUNT, SequencesLike
from sklearn_rnn.sequences._vocabulary import (
    BEGIN,
    END,
    PADDING,
    REPLACEMENT,
    UNKNOWN,
    Vocabulary,
    sequences_of_ids,
)
from sklearn_rnn.sequences._waveforms import warn_of_waveforms
from sklearn_rnn.sequences._weights import check_weights
from sklearn_rnn.sequences._windows import (
    join_windows,
    make_windows,
)

__all__ = [
    "BEGIN",
    "COUNT",
    "CalendarStep",
    "DATED",
    "Differencing",
    "END",
    "Extents",
    "FixedStep",
    "LARGEST_INPUT",
    "LENGTH_TYPES",
    "MAX_INT32_ROWS",
    "MaxGap",
    "PADDING",
    "REPLACEMENT",
    "ROWS",
    "RowStep",
    "SEQUENCES_PER_BLOCK",
    "Scaling",
    "SequenceArray",
    "SequencesLike",
    "StepValues",
    "SymbolRows",
    "Times",
    "Transforms",
    "UNKNOWN",
    "Vocabulary",
    "add_offset",
    "are_apart",
    "are_ids",
    "as_typed_index",
    "blocks",
    "categories_seen",
    "check_columns",
    "check_features",
    "check_increasing",
    "check_input",
    "check_item",
    "check_learnable",
    "check_no_padding",
    "check_no_words",
    "check_not_ragged",
    "check_range",
    "check_sequences",
    "check_step_targets",
    "check_symbols",
    "check_table",
    "check_tokens",
    "check_unique_names",
    "check_weights",
    "convert_input",
    "coverage",
    "covered_chunks",
    "describe_category",
    "describe_position",
    "describe_step",
    "encode_categories",
    "explain_target_errors",
    "fill_call",
    "flat_rows",
    "freq_of",
    "holds_dates",
    "holds_dicts",
    "infer_rule",
    "is_categorical",
    "is_foreign_frame",
    "is_list_of_sequences",
    "is_missing",
    "is_one_hot",
    "is_rows",
    "is_sound_file",
    "is_text",
    "join_windows",
    "local_time",
    "locate",
    "make_windows",
    "mean_and_scale",
    "nested_columns",
    "one_hot_last_step",
    "parse_rule",
    "plain_arrays",
    "recode",
    "sequences_of_columns",
    "sequences_of_dicts",
    "sequences_of_ids",
    "shares_rows",
    "to_index",
    "to_numbers",
    "to_times",
    "trusted_sequences",
    "unmask",
    "unpack",
    "value_range",
    "warn_of_other_times",
    "warn_of_separated_symbols",
    "warn_of_waveforms",
    "weighted_chunks",
    "with_categories",
]

register_old_modules(
    {
        "preprocessing._neighbours": "sequences._times",
        "sequences._neighbours": "sequences._times",
    }
)
