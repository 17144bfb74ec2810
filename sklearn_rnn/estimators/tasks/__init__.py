"""What each estimator learns, between the data of a user and a network."""

from sklearn_rnn.estimators.tasks._categories import FROM_DTYPE
from sklearn_rnn.estimators.tasks._classification import ClassificationTask
from sklearn_rnn.estimators.tasks._corpus import FrameCorpus, SymbolCorpus
from sklearn_rnn.estimators.tasks._generation import GenerationTask
from sklearn_rnn.estimators.tasks._labels import check_labels
from sklearn_rnn.estimators.tasks._quantiles import (
    MEDIAN,
    check_levels,
    point_forecast,
)
from sklearn_rnn.estimators.tasks._regression import RegressionTask
from sklearn_rnn.estimators.tasks._samples import parse_weights
from sklearn_rnn.estimators.tasks._seq2seq import Seq2SeqTask
from sklearn_rnn.estimators.tasks._sources import (
    SOURCES,
    NumberSource,
    SymbolSource,
    check_same_number,
)
from sklearn_rnn.estimators.tasks._steps import object_array, score_steps, split_steps
from sklearn_rnn.estimators.tasks._tagging import TaggingTask, of_one_type
from sklearn_rnn.estimators.tasks._target_names import steps_ahead
from sklearn_rnn.estimators.tasks._targets import TargetTransform
from sklearn_rnn.estimators.tasks._task import (
    DTYPES,
    FitContext,
    SequenceTask,
    Task,
    choose_batch_size,
    update_budget,
)
from sklearn_rnn.estimators.tasks._tokens import SharedVectors, wrap_vectors
from sklearn_rnn.estimators.tasks._transcription import TranscriptionTask

__all__ = [
    "MEDIAN",
    "ClassificationTask",
    "DTYPES",
    "FROM_DTYPE",
    "FitContext",
    "FrameCorpus",
    "GenerationTask",
    "NumberSource",
    "RegressionTask",
    "SOURCES",
    "Seq2SeqTask",
    "SequenceTask",
    "SharedVectors",
    "SymbolCorpus",
    "SymbolSource",
    "TaggingTask",
    "TargetTransform",
    "Task",
    "TranscriptionTask",
    "check_labels",
    "check_levels",
    "check_same_number",
    "choose_batch_size",
    "object_array",
    "of_one_type",
    "parse_weights",
    "point_forecast",
    "score_steps",
    "split_steps",
    "steps_ahead",
    "update_budget",
    "wrap_vectors",
]
