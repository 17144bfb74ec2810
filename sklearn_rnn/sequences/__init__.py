"""What a sequence is: the container, its validation, and windows over a table."""

from sklearn_rnn.sequences._arrays import difference_type, to_numbers, unmask
from sklearn_rnn.sequences._categories import (
    categories_seen,
    describe_category,
    encode_categories,
    is_categorical,
    one_hot_last_step,
    recode,
    with_categories,
)
from sklearn_rnn.sequences._check import (
    check_sequences,
    check_tokens,
    check_with_padding,
    is_list_of_sequences,
)
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._conversion import (
    convert_input,
    nested_columns,
    plain_arrays,
    read_item,
    read_rows,
    unpack,
)
from sklearn_rnn.sequences._coverage import blocks
from sklearn_rnn.sequences._features import (
    check_columns,
    check_features,
    check_unique_names,
    counts_by_columns,
)
from sklearn_rnn.sequences._neighbours import (
    ROWS,
    CalendarStep,
    FixedStep,
    Reach,
    RowStep,
    add_offset,
    describe_step,
    fill_call,
    find_rule,
    freq_of,
    infer_rule,
    is_rows,
    parse_rule,
    run_starts,
)
from sklearn_rnn.sequences._one_hot import is_one_hot
from sklearn_rnn.sequences._range import LARGEST_INPUT, check_range
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
)
from sklearn_rnn.sequences._target_arrays import explain_target_errors
from sklearn_rnn.sequences._times import (
    Times,
    as_typed_index,
    check_increasing,
    holds_dates,
    read_times,
    times_of_index,
    to_index,
    wall_clock,
)
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
from sklearn_rnn.sequences._weights import check_weights
from sklearn_rnn.sequences._windows import (
    join_windows,
    make_windows,
    trailing_windows,
)

__all__ = [
    "BEGIN",
    "COUNT",
    "CalendarStep",
    "END",
    "Extents",
    "FixedStep",
    "LARGEST_INPUT",
    "PADDING",
    "REPLACEMENT",
    "ROWS",
    "Reach",
    "RowStep",
    "SequenceArray",
    "SequencesLike",
    "StepValues",
    "SymbolRows",
    "Times",
    "UNKNOWN",
    "Vocabulary",
    "add_offset",
    "are_ids",
    "as_typed_index",
    "blocks",
    "categories_seen",
    "check_columns",
    "check_features",
    "check_increasing",
    "check_learnable",
    "check_no_padding",
    "check_no_words",
    "check_range",
    "check_sequences",
    "check_step_targets",
    "check_symbols",
    "check_tokens",
    "check_unique_names",
    "check_weights",
    "check_with_padding",
    "convert_input",
    "counts_by_columns",
    "describe_category",
    "describe_step",
    "difference_type",
    "encode_categories",
    "explain_target_errors",
    "fill_call",
    "find_rule",
    "flat_rows",
    "freq_of",
    "holds_dates",
    "infer_rule",
    "is_categorical",
    "is_list_of_sequences",
    "is_missing",
    "is_one_hot",
    "is_rows",
    "join_windows",
    "make_windows",
    "nested_columns",
    "one_hot_last_step",
    "parse_rule",
    "plain_arrays",
    "read_item",
    "read_rows",
    "read_times",
    "recode",
    "run_starts",
    "sequences_of_ids",
    "times_of_index",
    "to_index",
    "to_numbers",
    "trailing_windows",
    "unmask",
    "unpack",
    "wall_clock",
    "warn_of_other_times",
]
