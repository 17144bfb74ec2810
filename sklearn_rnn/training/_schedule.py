"""The course of training: its batches, its learning rates and its length."""

import copy
import math
from functools import partial

import numpy as np
from skorch.callbacks import LRScheduler
from torch.optim import lr_scheduler as torch_schedulers

# Sequences that are longer than this and so many times the median length go into
# smaller batches: of one long line and many short ones, padding would fill memory.
LONG_STEPS, LONG_FACTOR = 1000, 8
# Sequences are sorted by length among this many batches at a time: enough to
# make padding rare, few enough that every epoch has other batches.
BATCHES_PER_BUCKET = 32


class BatchIterator:
    """Iterate over a dataset in batches of nearly equal size.

    Parameters
    ----------
    dataset : SequenceDataset
        What to iterate over.
    batch_size : int
        Maximum number of sequences per batch.
    shuffle : bool
        Whether each pass has a new order. Sequences of unequal length are
        then batched with others of about their length.
    random_state : numpy.random.RandomState
        Source of the order.
    device : torch.device or str
        Where batches go.
    shortest_first : bool, default=False
        Whether the first shuffled pass goes from the shortest sequences to the
        longest instead (SortaGrad).

    References
    ----------
    Amodei et al., "Deep Speech 2: end-to-end speech recognition in English and
    Mandarin", ICML 2016 (shortest first).

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import BatchIterator, SequenceDataset
    >>> X = check_sequences(np.zeros((7, 3)))
    >>> data = SequenceDataset(X, torch.zeros(7))
    >>> batches = BatchIterator(data, 4, True, np.random.RandomState(0), "cpu")
    >>> [len(y) for x, (y, weights) in batches]
    [4, 3]
    """

    def __init__(
        self,
        dataset,
        batch_size,
        shuffle,
        random_state,
        device,
        shortest_first=False,
    ):
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.random_state = random_state
        self.device = device
        self.shortest_first = shortest_first
        lengths = dataset.lengths
        self._is_of_one_length = lengths.min() == lengths.max()
        # Pairs of rows and batch size: usual sequences, then twice as long ones, ...
        self._groups = [(np.arange(len(lengths)), batch_size)]
        usual = max(LONG_STEPS, LONG_FACTOR * np.median(lengths))
        if shuffle and lengths.max() > usual:
            octave = np.ceil(np.log2(np.maximum(lengths / usual, 1))).astype(int)
            self._groups = [
                (np.flatnonzero(octave == k), max(1, batch_size >> k))
                for k in np.unique(octave)
            ]

    def __len__(self):
        return sum(-(-len(rows) // size) for rows, size in self._groups)

    def __iter__(self):
        for indices in self.index_batches():
            yield self.dataset.batch(indices, self.device, self.random_state)

    def index_batches(self):
        """Return the rows of each batch of the next pass, a list of int arrays.

        Draws an order where it shuffles.
        """
        if not self.shuffle:
            return np.array_split(np.arange(len(self.dataset)), len(self))
        if self.shortest_first:
            self.shortest_first = False
            return self._sorted_batches()
        batches = []
        for rows, size in self._groups:
            order = rows.copy()
            self.random_state.shuffle(order)
            if not self._is_of_one_length:  # batches each of nearly one length
                bucket = size * BATCHES_PER_BUCKET
                buckets = np.split(order, range(bucket, len(order), bucket))
                order = np.concatenate(
                    [self.dataset.sort_by_length(b) for b in buckets]
                )
            batches += np.array_split(order, -(-len(order) // size))
        if self._is_of_one_length:
            return batches
        return [batches[i] for i in self.random_state.permutation(len(batches))]

    def _sorted_batches(self):
        return [
            batch
            for rows, size in self._groups
            for batch in np.array_split(
                self.dataset.sort_by_length(rows), -(-len(rows) // size)
            )
        ]


# Fraction of the updates in which the learning rate rises to its full value.
WARM_UP = 0.05


def warm_up_cosine(progress):
    """Rise to 1 in the first 5 % of training, then fall to 0 along a cosine.

    Returns the factor of the learning rate at `progress`, the fraction of the updates
    already made.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm
    restarts", ICLR 2017.

    Examples
    --------
    >>> from sklearn_rnn.training import warm_up_cosine
    >>> [round(warm_up_cosine(p), 3) for p in (0.05, 0.525, 1.0)]
    [1.0, 0.5, 0.0]
    """
    if progress < WARM_UP:
        return (progress + 0.01) / (WARM_UP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


# One cycle: the fraction of the updates that rise, and the factors at both ends.
ONE_CYCLE_RISE, ONE_CYCLE_START, ONE_CYCLE_END = 0.3, 1 / 25, 1e-5


def one_cycle(progress):
    """Rise from 1/25 to 1 in 30 % of training, then fall to nearly 0.

    Both along a cosine. The long time at a high rate regularises. Returns the factor
    of the learning rate at `progress`, the fraction of the updates already made.

    References
    ----------
    Smith and Topin, "Super-convergence: very fast training of neural networks
    using large learning rates", 2018.

    Examples
    --------
    >>> from sklearn_rnn.training import one_cycle
    >>> [round(one_cycle(p), 3) for p in (0.0, 0.3, 0.65, 1.0)]
    [0.04, 1.0, 0.5, 0.0]
    """
    if progress < ONE_CYCLE_RISE:
        begin, end, phase = ONE_CYCLE_START, 1.0, progress / ONE_CYCLE_RISE
    else:
        phase = (progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE)
        begin, end = 1.0, ONE_CYCLE_END
    return end + (begin - end) * 0.5 * (1 + math.cos(math.pi * phase))


# Factors of the learning rate by the fraction of the updates that are made.
SCHEDULES = {"cosine": warm_up_cosine, "one_cycle": one_cycle}
# On a plateau the rate is divided by 5, as MLPClassifier's "adaptive" does, after
# more than this many epochs in a row that have not lowered the loss by `tol`, and
# down to this fraction of the first rate. With a patience of 2, as there, humps in the
# validation loss of small data ended training early.
PLATEAU_FACTOR, PLATEAU_PATIENCE, PLATEAU_FLOOR = 0.2, 4, 0.008


def find_schedule(lr_schedule, *, learning_rate, monitor, tol):
    """Turn an `lr_schedule` into a function of progress, or a skorch callback.

    Parameters
    ----------
    lr_schedule : str, callable, LRScheduler or None
        "cosine", "one_cycle" or "plateau"; a function from the fraction of the
        updates made, in [0, 1], to a factor; a torch scheduler class, or a
        ``functools.partial`` of one; skorch's callback; None for a constant.
    learning_rate : float
        The highest rate.
    monitor : {"train_loss", "valid_loss"}
        The loss whose plateau lowers the rate.
    tol : float
        Minimum decrease of it that counts.

    Returns
    -------
    function : callable or None
        From progress to a factor of the learning rate.
    callback : skorch.callbacks.LRScheduler or None
        Sets the learning rate instead.

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> from functools import partial
    >>> from torch.optim.lr_scheduler import StepLR
    >>> from sklearn_rnn.training import find_schedule
    >>> halve = partial(StepLR, step_size=1, gamma=0.5)
    >>> function, callback = find_schedule(
    ...     halve, learning_rate=0.1, monitor="train_loss", tol=0.0
    ... )
    >>> function, callback.policy.__name__, callback.kwargs
    (None, 'StepLR', {'step_size': 1, 'gamma': 0.5})
    """
    if lr_schedule == "plateau":
        lr_schedule = partial(
            torch_schedulers.ReduceLROnPlateau,
            factor=PLATEAU_FACTOR,
            patience=PLATEAU_PATIENCE,
            min_lr=PLATEAU_FLOOR * learning_rate,
            threshold=tol,
            threshold_mode="abs",
        )
    if lr_schedule is None:
        return None, None
    if isinstance(lr_schedule, str):
        return SCHEDULES[lr_schedule], None
    if isinstance(lr_schedule, LRScheduler):
        return None, lr_schedule
    scheduler, options = lr_schedule, {}
    if isinstance(lr_schedule, partial):
        scheduler, options = lr_schedule.func, lr_schedule.keywords
        if lr_schedule.args and isinstance(scheduler, type):
            raise TypeError(
                f"lr_schedule={lr_schedule!r} has positional arguments, but the first "
                "one is the optimizer, which fit fills in. Pass them by name."
            )
    if isinstance(scheduler, type):
        if not issubclass(scheduler, torch_schedulers.LRScheduler):
            raise TypeError(
                f"lr_schedule={lr_schedule!r} is not a learning rate scheduler of "
                "torch; give such a class, a functools.partial of one, or a name out "
                f"of {[*SCHEDULES, 'plateau']}."
            )
        return None, LRScheduler(scheduler, monitor=monitor, **options)
    if not callable(lr_schedule):
        raise TypeError(
            f"lr_schedule={lr_schedule!r} is a scheduler that has an optimizer "
            "already, or no scheduler: give torch's class, or a functools.partial of "
            "it, and fit makes the scheduler."
        )
    return lr_schedule, None


def check_scheduler(callback, optimizer):
    """Check that skorch's callback can make its scheduler, on a copy of the optimizer.

    Otherwise training would fail after it began.

    Raises
    ------
    TypeError, ValueError
        If it cannot be made.
    """
    policy = copy.copy(callback).initialize().policy_
    try:
        policy(copy.deepcopy(optimizer), **callback.kwargs)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"lr_schedule asks for {policy.__name__}, which cannot be made: {error}. "
            "Give its arguments by name, as in functools.partial(StepLR, step_size=10)."
        ) from error


# "auto" trains for this many updates, and at least this many epochs: small data are
# trained on long enough, and large data often enough.
UPDATE_BUDGET, MIN_EPOCHS = 600, 5


def n_epochs_for(
    n_sequences, batch_size, updates_per_batch=1, budget=UPDATE_BUDGET, at_most=None
):
    """Choose the number of epochs, at least 5, that makes `budget` updates.

    A batch of at most `batch_size` sequences makes `updates_per_batch` on average.

    Examples
    --------
    >>> from sklearn_rnn.training import n_epochs_for
    >>> n_epochs_for(100, 10), n_epochs_for(1_000_000, 64)
    (60, 5)
    """
    n_updates = -(-n_sequences // batch_size) * updates_per_batch
    n_epochs = max(math.ceil(budget / n_updates), MIN_EPOCHS)
    return n_epochs if at_most is None else min(n_epochs, at_most)
