"""Recurrent networks inside scikit-learn.

Threads may share a fitted estimator. Predictions run side by side; ``fit`` and
``partial_fit`` wait until no other thread uses it, and calls made meanwhile wait for
the end of training. A callback may predict with the estimator that is being trained,
but must not wait for another thread that does. Different estimators, and clones of
one, never wait for one another.

On a CPU, what `RNNClassifier`, `RNNRegressor` and `RNNTagger` predict for a sequence is
bitwise the same whatever other sequences, order and padding it is passed with (tested
on x86-64). With ``kernel="torch"``, on Intel processors on which MKL multiplies few
rows by other instructions than many, it is the same to rounding only. For `RNNSeq2Seq`,
`RNNTranscriber` and `RNNGenerator`, which compute batches of any size, and for
``input_gradients`` it is the same to rounding: 1e-5 of a value in float32, 1e-13 in
float64.
"""

from sklearn_rnn import datasets, metrics, persistence
from sklearn_rnn._exceptions import (
    DivergenceError,
    InconsistentVersionWarning,
    InvalidModelError,
    InvalidSequenceError,
    SequenceLayoutWarning,
    SklearnRNNError,
    SklearnRNNWarning,
    StopTraining,
    TargetWarning,
    WindowHistoryWarning,
)
from sklearn_rnn._show_versions import show_versions
from sklearn_rnn._version import __version__ as __version__
from sklearn_rnn.audio import LogMelSpectrogram, PosteriorDisplay, SpectrogramDisplay
from sklearn_rnn.displays import (
    AttentionDisplay,
    GradientFlowDisplay,
    HiddenStateDisplay,
    ImportanceDisplay,
    LossCurveDisplay,
)
from sklearn_rnn.estimators import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    Sampling,
    StatefulPredictor,
)
from sklearn_rnn.forecasting import (
    CalendarFeatures,
    ConformalCalibrator,
    ForecastAnomalyDetector,
    ForecastDisplay,
    backtest,
    fill_gaps,
    forecast,
    make_forecast_frame,
    score_forecasts,
)
from sklearn_rnn.model_selection import (
    TimeBlockSplit,
    make_step_scorer,
    sequence_importance,
)
from sklearn_rnn.preprocessing import (
    SequenceFlattener,
    SequenceScaler,
    SequenceTokenizer,
    SequenceWindower,
    WordFeatures,
)
from sklearn_rnn.sequences import SequenceArray, join_windows, make_windows
from sklearn_rnn.training import data_parallel

__all__ = [
    "AttentionDisplay",
    "CalendarFeatures",
    "ConformalCalibrator",
    "DivergenceError",
    "ForecastAnomalyDetector",
    "ForecastDisplay",
    "GradientFlowDisplay",
    "HiddenStateDisplay",
    "ImportanceDisplay",
    "InconsistentVersionWarning",
    "InvalidModelError",
    "InvalidSequenceError",
    "LogMelSpectrogram",
    "LossCurveDisplay",
    "PosteriorDisplay",
    "RNNClassifier",
    "RNNGenerator",
    "RNNRegressor",
    "RNNSeq2Seq",
    "RNNTagger",
    "RNNTranscriber",
    "Sampling",
    "SequenceArray",
    "SequenceFlattener",
    "SequenceLayoutWarning",
    "SequenceScaler",
    "SequenceTokenizer",
    "SequenceWindower",
    "SklearnRNNError",
    "SklearnRNNWarning",
    "SpectrogramDisplay",
    "StatefulPredictor",
    "StopTraining",
    "TargetWarning",
    "TimeBlockSplit",
    "WindowHistoryWarning",
    "WordFeatures",
    "backtest",
    "data_parallel",
    "datasets",
    "fill_gaps",
    "forecast",
    "join_windows",
    "make_forecast_frame",
    "make_step_scorer",
    "make_windows",
    "metrics",
    "persistence",
    "score_forecasts",
    "sequence_importance",
    "show_versions",
]
