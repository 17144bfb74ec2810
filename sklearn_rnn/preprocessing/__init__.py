"""Transformers that make, scale and prepare sequences."""

from sklearn_rnn.preprocessing._forecast import make_forecast_frame
from sklearn_rnn.preprocessing._names import name_ahead, parse_ahead
from sklearn_rnn.preprocessing._scaler import SequenceScaler
from sklearn_rnn.preprocessing._windower import SequenceWindower

__all__ = [
    "SequenceScaler",
    "SequenceWindower",
    "make_forecast_frame",
    "name_ahead",
    "parse_ahead",
]
