"""Training of one model by several processes, each on a part of every batch.

Every process is given the same data and draws the same random numbers. Of a batch it
computes the gradient of some sequences; the gradients are added up over the processes
before they are clipped and the weights are updated, so that all have the same weights.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from skorch.callbacks import Checkpoint, TrainEndCheckpoint
from torch import distributed

from sklearn_rnn.kernels import current_processes
from sklearn_rnn.training._datasets import LazyBatch, Transcripts
from sklearn_rnn.training._gradients import Gradient

# Weights that differ by more than this fraction of the largest are other weights;
# processors of different kinds round differently.
TOLERANCE = 1e-3
# Callbacks of skorch that would write the same files in every process.
WRITERS = Checkpoint, TrainEndCheckpoint


@contextmanager
def data_parallel() -> Iterator[None]:
    """Train each model by all processes of torch.distributed, in the calling thread.

    Inside of this context, ``fit`` and ``partial_fit`` of every estimator divide each
    batch over the processes. All processes have to enter it, and to make the same calls
    with the same data, parameters and `random_state`; afterwards all have the same
    model. Loss and weights are those of one process, to rounding, with the same dropout
    masks; only the symbols that `RNNSeq2Seq` samples in training are others. Validation
    data are evaluated by every process, and the first one's values count.

    Networks are trained on the CPU. ``checkpoint``, callbacks that handle batches and
    those of skorch that write models are refused, as are data or parameters that differ
    between the processes. Callbacks are called in every process: let yours write files
    only where ``torch.distributed.get_rank()`` is 0. Fits that joblib runs in other
    threads or processes, such as those of a search with `n_jobs`, are not divided. If
    an error ends this context in one process, the others fail when they next wait for
    it: do not catch errors inside of it.

    Yields
    ------
    None
        What fits inside of the context is trained by all processes.

    Raises
    ------
    RuntimeError
        If ``torch.distributed.init_process_group`` was not called.

    References
    ----------
    Li et al., "PyTorch Distributed: experiences on accelerating data parallel
    training", VLDB 2020.

    Examples
    --------
    One process; ``torchrun`` starts several, and tells each its rank.

    >>> import numpy as np
    >>> from sklearn_rnn import RNNRegressor, data_parallel
    >>> from torch import distributed
    >>> store = distributed.HashStore()
    >>> distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    >>> X, y = np.zeros((8, 3, 1)), np.zeros(8)
    >>> with data_parallel():
    ...     model = RNNRegressor(max_epochs=1, random_state=0).fit(X, y)
    >>> distributed.destroy_process_group()
    """
    before, processes = current_processes.processes, Processes(_connect())
    current_processes.processes = processes if processes.size > 1 else None
    try:
        yield
        processes.wait()
    finally:
        current_processes.processes = before
        processes.disconnect()


def _connect():
    """Return a new group of all processes, which can be closed without the user's."""
    if not distributed.is_available():
        raise RuntimeError(
            "data_parallel needs torch.distributed, which this build of torch lacks. "
            "Install one that has it: torch.distributed.is_available() is True there."
        )
    if not distributed.is_initialized():
        raise RuntimeError(
            "data_parallel needs a group of processes. Call "
            "torch.distributed.init_process_group('gloo') first, and start the script "
            "by torchrun."
        )
    return distributed.new_group(backend="gloo")


class Processes:
    """The processes of a group, as one of them sees it.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup
        Those that train together.

    Attributes
    ----------
    rank, size : int
        Index of this process; number of processes.
    """

    def __init__(self, group):
        self.group = group
        self.rank = distributed.get_rank(group)
        self.size = distributed.get_world_size(group)

    @property
    def n_local(self):
        """Number of processes that share this machine's processors."""
        return int(os.environ.get("LOCAL_WORLD_SIZE", self.size))

    # Batches and gradients.

    def divide(self, batch):
        """Return this process's part of a batch, which may have no sequence.

        Every `size`-th sequence: neighbours are of similar length.
        """
        inputs, (targets, weights) = batch
        rows = slice(self.rank, None, self.size)
        part = {name: _select(value, rows) for name, value in inputs.items()}
        return part, (_select(targets, rows), _select(weights, rows))

    def sum_gradients(self, weights, gradient):
        """Add up the gradients of all processes, in place.

        Parameters
        ----------
        weights : SeparateWeights
            Those that have this process's gradient.
        gradient : Gradient
            Loss and number of targets of this process's part.

        Returns
        -------
        Gradient
            Loss and number of targets of the whole batch.
        """
        n_targets = gradient.n_targets
        sums = torch.tensor([gradient.loss * n_targets, n_targets], dtype=torch.float64)
        self.sum(sums)
        weights.sum_gradients(self)
        total, n_targets = sums.tolist()
        return Gradient(total / max(1, n_targets), int(n_targets), gradient.outputs)

    # Collective operations: every process has to call them in the same order.

    def sum(self, values):
        """Add up a contiguous tensor over the processes, in place."""
        self._call(distributed.all_reduce, values)

    def maximum(self, values):
        """Take the element-wise maximum of a tensor over the processes, in place."""
        self._call(distributed.all_reduce, values, op=distributed.ReduceOp.MAX)

    def wait(self):
        """Wait until all processes are here."""
        self.any(False)

    def disconnect(self):
        """Close the connections, so that a process that waits for this one fails."""
        distributed.destroy_process_group(self.group)
        self.group = None

    def any(self, condition):
        """Return whether a condition holds in some process."""
        holds = torch.tensor(int(condition))
        self.maximum(holds)
        return bool(holds)

    def broadcast_first(self, *values):
        """Return the floats of the first process."""
        tensor = torch.tensor(values, dtype=torch.float64)
        self._broadcast(tensor)
        return tensor.tolist()

    def gather(self, value):
        """Return a value that can be pickled, of every process, a list."""
        found = [None] * self.size
        self._call(distributed.all_gather_object, found, value)
        return found

    @torch.no_grad()
    def align(self, weights):
        """Take over the first process's weights, which are these but for rounding.

        Parameters
        ----------
        weights : list of Tensor
            Values of the weights.

        Raises
        ------
        RuntimeError
            In every process, if those of one are others.
        """
        differ = False
        for values in weights:
            first = values.clone()
            self._broadcast(first)
            if values.numel():
                error = float((values - first).abs().max())
                differ |= not error <= TOLERANCE * max(1.0, float(first.abs().max()))
            values.copy_(first)
        if self.any(differ):
            raise RuntimeError(
                "the processes of data_parallel have different weights. Let callbacks "
                "do the same in every process, and continue the same model in all."
            )

    def _broadcast(self, tensor):
        self._call(distributed.broadcast, tensor, src=0)

    def _call(self, operation, *args, **kwargs):
        try:
            operation(*args, group=self.group, **kwargs)
        except RuntimeError as error:
            raise RuntimeError(
                f"process {self.rank} of {self.size} cannot reach the others, which "
                "data_parallel needs: one of them ended, or had an error, which its "
                f"own output shows. ({error})"
            ) from error


def _select(value, rows):
    """Return some rows of what a batch consists of."""
    if value is None:
        return None
    if isinstance(value, Transcripts):
        return Transcripts(*(_select(part, rows) for part in value))
    if isinstance(value, LazyBatch):
        return value.select(rows)
    return value[rows].contiguous()


def check_dividable(callbacks, batch_callbacks):
    """Check that no callback needs whole batches, or writes what another writes."""
    for name, callback in callbacks:
        if name in batch_callbacks:
            raise ValueError(
                f"data_parallel divides batches over processes, and {name} in "
                "callbacks handles batches. Leave it out; of skorch's LRScheduler use "
                "step_every='epoch', or set lr_schedule."
            )
        if isinstance(callback, WRITERS):
            raise ValueError(
                f"data_parallel trains in every process, and {name} in callbacks would "
                "write the same files in all of them. Leave it out, and save the model "
                "after fit where torch.distributed.get_rank() is 0."
            )
