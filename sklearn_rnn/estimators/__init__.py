"""What a user fits."""

from sklearn_rnn.estimators._classifier import RNNClassifier
from sklearn_rnn.estimators._regressor import RNNRegressor
from sklearn_rnn.estimators._stateful import StatefulPredictor
from sklearn_rnn.estimators._tagger import RNNTagger

__all__ = ["RNNClassifier", "RNNRegressor", "RNNTagger", "StatefulPredictor"]
