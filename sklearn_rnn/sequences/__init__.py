"""What a sequence is: the container, its validation, and windows over a table."""

from sklearn_rnn.sequences._arrays import difference_type, to_numbers, unmask
from sklearn_rnn.sequences._check import (
    check_sequences,
    check_tokens,
    check_with_padding,
    is_list_of_sequences,
)
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._conversion import (
    convert_input,
    plain_arrays,
    read_item,
    read_rows,
)
from sklearn_rnn.sequences._coverage import blocks
from sklearn_rnn.sequences._features import (
    check_columns,
    check_features,
    check_unique_names,
    counts_by_columns,
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
from sklearn_rnn.sequences._times import as_typed_index, holds_dates, to_index
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
    "END",
    "Extents",
    "LARGEST_INPUT",
    "PADDING",
    "REPLACEMENT",
    "SequenceArray",
    "SequencesLike",
    "StepValues",
    "SymbolRows",
    "UNKNOWN",
    "Vocabulary",
    "are_ids",
    "as_typed_index",
    "blocks",
    "check_columns",
    "check_features",
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
    "difference_type",
    "explain_target_errors",
    "flat_rows",
    "holds_dates",
    "is_list_of_sequences",
    "is_missing",
    "is_one_hot",
    "join_windows",
    "make_windows",
    "plain_arrays",
    "read_item",
    "read_rows",
    "sequences_of_ids",
    "to_index",
    "to_numbers",
    "trailing_windows",
    "unmask",
    "warn_of_other_times",
]
