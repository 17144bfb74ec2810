"""Splitters and scorers for sequences."""

from sklearn_rnn.model_selection._step_scorer import make_step_scorer
from sklearn_rnn.model_selection._time_block_split import TimeBlockSplit

__all__ = ["TimeBlockSplit", "make_step_scorer"]
