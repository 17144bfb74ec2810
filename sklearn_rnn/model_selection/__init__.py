"""Splitters and scorers for sequences, and the importance of inputs."""

from sklearn_rnn.model_selection._importance import sequence_importance
from sklearn_rnn.model_selection._step_scorer import make_step_scorer
from sklearn_rnn.model_selection._time_block_split import TimeBlockSplit

__all__ = ["TimeBlockSplit", "make_step_scorer", "sequence_importance"]
