"""Recurrent networks inside scikit-learn."""

from sklearn_rnn.sequences import SequenceArray

__all__ = ["SequenceArray"]
