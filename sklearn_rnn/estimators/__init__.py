"""What a user fits."""

from sklearn_rnn.estimators._base import input_gradients, lock_of
from sklearn_rnn.estimators._classifier import RNNClassifier
from sklearn_rnn.estimators._fit import new_random_state
from sklearn_rnn.estimators._generator import RNNGenerator
from sklearn_rnn.estimators._migrate import register_old_modules
from sklearn_rnn.estimators._regressor import RNNRegressor
from sklearn_rnn.estimators._sampling import Sampling
from sklearn_rnn.estimators._seq2seq import RNNSeq2Seq
from sklearn_rnn.estimators._stateful import StatefulPredictor, check_causal
from sklearn_rnn.estimators._tagger import RNNTagger
from sklearn_rnn.estimators._trained import (
    FITTED_INSIDE,
    SKIPPED,
    check_has_method,
    find_trained,
    find_trained_and_input,
    inspect_model,
    parts_of,
    predict_rows,
    predicted_columns,
    quantile_column,
    sample_rows,
    split_at_windower,
    summarize_samples,
)
from sklearn_rnn.estimators._transcriber import RNNTranscriber
from sklearn_rnn.estimators.tasks import check_levels

__all__ = [
    "FITTED_INSIDE",
    "RNNClassifier",
    "RNNGenerator",
    "RNNRegressor",
    "RNNSeq2Seq",
    "RNNTagger",
    "RNNTranscriber",
    "SKIPPED",
    "Sampling",
    "StatefulPredictor",
    "check_causal",
    "check_has_method",
    "check_levels",
    "find_trained",
    "find_trained_and_input",
    "input_gradients",
    "inspect_model",
    "lock_of",
    "new_random_state",
    "parts_of",
    "predict_rows",
    "predicted_columns",
    "quantile_column",
    "sample_rows",
    "split_at_windower",
    "summarize_samples",
]

register_old_modules(__name__)
