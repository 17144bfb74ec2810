"""What a sequence is: the container, its validation, and windows over a table."""

from sklearn_rnn.sequences._check import check_sequences, is_list_of_sequences
from sklearn_rnn.sequences._container import SequenceArray

__all__ = ["SequenceArray", "check_sequences", "is_list_of_sequences"]
