"""What a sequence is: the container, its validation, and windows over a table."""

from sklearn_rnn.sequences._check import (
    check_sequences,
    check_tokens,
    is_list_of_sequences,
)
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._features import check_features
from sklearn_rnn.sequences._types import SequencesLike
from sklearn_rnn.sequences._windows import make_windows, trailing_windows

__all__ = [
    "SequenceArray",
    "SequencesLike",
    "check_features",
    "check_sequences",
    "check_tokens",
    "is_list_of_sequences",
    "make_windows",
    "trailing_windows",
]
