"""Training: the skorch net and what it is made of."""

from sklearn_rnn.training._batches import BatchIterator, SequenceDataset, to_batch
from sklearn_rnn.training._callbacks import any_lr_scheduler, copy_callbacks
from sklearn_rnn.training._clipping import clip_norm, clip_value
from sklearn_rnn.training._device import check_device, usable_device
from sklearn_rnn.training._inference import network_outputs
from sklearn_rnn.training._losses import WeightedLoss
from sklearn_rnn.training._net import SequenceNet
from sklearn_rnn.training._optimizers import OPTIMIZERS, find_optimizer
from sklearn_rnn.training._patience import Patience
from sklearn_rnn.training._progress import EpochLines, ProgressBar
from sklearn_rnn.training._random import new_random_state
from sklearn_rnn.training._schedule import SCHEDULES, n_epochs_for, warm_up_cosine
from sklearn_rnn.training._snapshot import WeightSnapshot
from sklearn_rnn.training._split import validation_split
from sklearn_rnn.training._threads import choose_n_threads, limit_threads

__all__ = [
    "BatchIterator",
    "EpochLines",
    "OPTIMIZERS",
    "Patience",
    "ProgressBar",
    "SCHEDULES",
    "SequenceDataset",
    "SequenceNet",
    "WeightSnapshot",
    "WeightedLoss",
    "any_lr_scheduler",
    "check_device",
    "choose_n_threads",
    "clip_norm",
    "clip_value",
    "copy_callbacks",
    "find_optimizer",
    "limit_threads",
    "n_epochs_for",
    "network_outputs",
    "new_random_state",
    "to_batch",
    "usable_device",
    "validation_split",
    "warm_up_cosine",
]
