"""Recurrent networks inside scikit-learn."""

from sklearn_rnn.estimators import RNNClassifier, RNNRegressor
from sklearn_rnn.sequences import SequenceArray

__all__ = ["RNNClassifier", "RNNRegressor", "SequenceArray"]
