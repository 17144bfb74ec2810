"""Training: the skorch net and what it is made of."""

from sklearn_rnn.kernels import computing, current_processes
from sklearn_rnn.sequences import has_overlaps
from sklearn_rnn.training._checkpoint import (
    CheckpointFile,
    TrainingCheckpoint,
    environment_of,
)
from sklearn_rnn.training._chunks import (
    chunks_from_end,
    run_to_ends,
    split_chunks,
)
from sklearn_rnn.training._datasets import (
    BatchIterator,
    NextStepDataset,
    SequenceDataset,
    StepTargets,
    Transcripts,
    TranscriptTargets,
    WrittenTargets,
    count_segments,
    min_frames,
    to_batch,
)
from sklearn_rnn.training._gradients import batch_gradients
from sklearn_rnn.training._inference import (
    blocks_by_length,
    log_likelihoods,
    network_outputs,
    step_outputs,
    step_values,
)
from sklearn_rnn.training._likelihoods import (
    LARGEST_LOG_MEAN,
    LARGEST_TAIL,
    LIKELIHOODS,
    SMALLEST_DISPERSION,
    SMALLEST_SCALE,
    SMALLEST_TAIL,
)
from sklearn_rnn.training._losses import (
    BLANK,
    NO_CODE,
    CTCLoss,
    WeightedLoss,
    call_loss,
    has_target,
)
from sklearn_rnn.training._memory import (
    is_out_of_memory,
    note_batch_size,
    raise_out_of_memory,
)
from sklearn_rnn.training._net import (
    VALIDATION_KEYS,
    SequenceNet,
    WeightSnapshot,
    find_optimizer,
    find_schedule,
    not_recorded,
)
from sklearn_rnn.training._optimizers import (
    OPTIMIZERS,
    SCHEDULES,
    UPDATE_BUDGET,
    FlatWeights,
    check_optimizer_state,
    check_scheduler,
    clip_gradients,
    get_optimizer_state,
    load_optimizer_state,
    make_optimizer,
    n_epochs_for,
    one_cycle,
    warm_up_cosine,
)
from sklearn_rnn.training._parallel import data_parallel
from sklearn_rnn.training._patience import Patience
from sklearn_rnn.training._progress import EpochLines, ProgressBar
from sklearn_rnn.training._resume import pack_callbacks, unpack_callbacks
from sklearn_rnn.training._row_blocks import BLOCK_SIZE
from sklearn_rnn.training._split import (
    find_copies,
    validation_folds,
    validation_split,
    window_times,
)
from sklearn_rnn.training._storage import StepStorage, store_steps

__all__ = [
    "BLANK",
    "BLOCK_SIZE",
    "BatchIterator",
    "CTCLoss",
    "CheckpointFile",
    "EpochLines",
    "FlatWeights",
    "LARGEST_LOG_MEAN",
    "LARGEST_TAIL",
    "LIKELIHOODS",
    "NO_CODE",
    "NextStepDataset",
    "OPTIMIZERS",
    "Patience",
    "ProgressBar",
    "SCHEDULES",
    "SMALLEST_DISPERSION",
    "SMALLEST_SCALE",
    "SMALLEST_TAIL",
    "SequenceDataset",
    "SequenceNet",
    "StepStorage",
    "StepTargets",
    "TrainingCheckpoint",
    "TranscriptTargets",
    "Transcripts",
    "UPDATE_BUDGET",
    "VALIDATION_KEYS",
    "WeightSnapshot",
    "WeightedLoss",
    "WrittenTargets",
    "batch_gradients",
    "blocks_by_length",
    "call_loss",
    "check_optimizer_state",
    "check_scheduler",
    "chunks_from_end",
    "clip_gradients",
    "computing",
    "count_segments",
    "current_processes",
    "data_parallel",
    "environment_of",
    "find_copies",
    "find_optimizer",
    "find_schedule",
    "get_optimizer_state",
    "has_overlaps",
    "has_target",
    "is_out_of_memory",
    "load_optimizer_state",
    "log_likelihoods",
    "make_optimizer",
    "min_frames",
    "n_epochs_for",
    "network_outputs",
    "not_recorded",
    "note_batch_size",
    "one_cycle",
    "pack_callbacks",
    "raise_out_of_memory",
    "run_to_ends",
    "split_chunks",
    "step_outputs",
    "step_values",
    "store_steps",
    "to_batch",
    "unpack_callbacks",
    "validation_folds",
    "validation_split",
    "warm_up_cosine",
    "window_times",
]
