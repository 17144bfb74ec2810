"""Recurrent networks inside scikit-learn."""

from sklearn_rnn import datasets
from sklearn_rnn.displays import LossCurveDisplay
from sklearn_rnn.estimators import RNNClassifier, RNNRegressor
from sklearn_rnn.preprocessing import (
    SequenceScaler,
    SequenceWindower,
    make_forecast_frame,
)
from sklearn_rnn.sequences import SequenceArray, make_windows

__all__ = [
    "LossCurveDisplay",
    "RNNClassifier",
    "RNNRegressor",
    "SequenceArray",
    "SequenceScaler",
    "SequenceWindower",
    "datasets",
    "make_forecast_frame",
    "make_windows",
]
