"""fit: from data to a trained network, the same for every estimator."""

from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, LRScheduler

from sklearn_rnn.estimators._base import compute_outputs
from sklearn_rnn.estimators._checkpoint import (
    follow_stream,
    open_checkpoint,
    save_stream,
)
from sklearn_rnn.estimators._network import (
    check_device,
    make_net,
    update_net,
)
from sklearn_rnn.estimators._parallel import check_parallel
from sklearn_rnn.estimators.tasks import FitContext
from sklearn_rnn.kernels import CounterGenerator
from sklearn_rnn.training import (
    VALIDATION_KEYS,
    Patience,
    computing,
    current_processes,
    not_recorded,
)

# Parameters of the training, which tasks do not have.
TRAINING_PARAMS = {
    "callbacks",
    "checkpoint",
    "checkpoint_seconds",
    "clip_norm",
    "clip_value",
    "device",
    "early_stopping",
    "kernel",
    "learning_rate",
    "lr_schedule",
    "n_iter_no_change",
    "n_threads",
    "optimizer",
    "random_state",
    "shuffle",
    "tol",
    "warm_start",
    "weight_decay",
}
# How networks are trained for a comparison.
TRIAL_PARAMS = {
    "callbacks": None,
    "checkpoint": None,
    "early_stopping": False,
    "verbose": 0,
    "warm_start": False,
}
# Where ``max_epochs="auto"`` has data to stop by: the part of the epochs, and the least
# number, without progress.
PATIENT_FRACTION, FEWEST_PATIENT = 1 / 5, 3
# Records that are kept of a stream of calls of partial_fit; of fit all are.
STREAM_RECORDS = 1000


@torch.inference_mode(False)
def fit(
    estimator,
    X,
    y=None,
    sample_weight=None,
    X_val=None,
    y_val=None,
    *,
    is_stream=False,
    is_trial=False,
    checkpoint=None,
    **about_y,
):
    """Train an estimator's network: the whole of ``fit`` and ``partial_fit``.

    Parameters
    ----------
    estimator : estimator instance
        Of this package.
    X, y, sample_weight, X_val, y_val : object
        As given to the method.
    is_stream : bool, default=False
        Whether this is ``partial_fit``: one pass, and more may follow.
    is_trial : bool, default=False
        Whether the network is trained for a comparison, without warnings about data.
    checkpoint : TrainingCheckpoint, default=None
        Where such a network is kept, and from where it continues.
    **about_y : object
        What else is known of y, such as `classes`.

    Returns
    -------
    estimator instance
        The same, fitted.
    """
    call = Call(
        data=(X, y, sample_weight),
        validation=(X_val, y_val),
        about_y=about_y,
        is_stream=is_stream,
        is_trial=is_trial,
        checkpoint=checkpoint,
    )
    begun = begin_fit(estimator, call)
    if begun is None:  # a call that the checkpoint of a stream has
        return estimator
    samples, held_out, context = begun
    net, task, patience = estimator.net_, estimator._task, None
    try:
        with task.around_training(net, samples, held_out, context) as samples:
            dataset = task.make_dataset(samples, net.device)
            n_epochs = 1 if is_stream else estimator.max_epochs
            if context.stops_early:
                cool_down = None if net.schedule is None else task.cool_down
                patience = Patience(
                    estimator.n_iter_no_change, estimator.tol, cool_down, task.monitor
                )
            if n_epochs == "auto":
                n_epochs = task.choose_n_epochs(dataset)
                if held_out is None and task.held_back is not None:
                    held_out = task.held_back
                    n_patient = max(round(PATIENT_FRACTION * n_epochs), FEWEST_PATIENT)
                    patience = Patience(n_patient, estimator.tol)
            if held_out is not None:
                held_out = task.make_dataset(held_out, net.device)
            n_before = len(net.history)
            # Only while it trains: what keeps the net need not keep the task.
            net.score_validation = task.score_validation
            net.checkpoint = context.checkpoint
            net.processes = current_processes.processes
            try:
                with computing(estimator.n_threads, net):
                    net.train(dataset, held_out, n_epochs, patience)
            finally:
                net.score_validation = net.checkpoint = net.processes = None
                _record(estimator, n_before, patience, is_stream)
    finally:
        task.finish()
    if estimator.checkpoint is not None:
        save_stream(estimator) if is_stream else context.checkpoint.remove()
    return estimator


class Call(NamedTuple):
    """What `fit` was called with."""

    data: tuple[Any, Any, Any]
    validation: tuple[Any, Any]
    about_y: dict[str, Any]
    is_stream: bool
    is_trial: bool
    checkpoint: Any


def begin_fit(estimator, call):
    """Read data, make or continue the network, and fit what stands beside it.

    Until then an error leaves the estimator as it was. Returns training and validation
    data of the task, the latter None without, and the `FitContext`; or None if there is
    nothing to train, see `begin_task`.
    """
    with unchanged_on_error(estimator):
        begun = begin_task(estimator, call)
        if begun is None:
            return None
        task, network, samples, held_out, context = begun
        loss = task.loss()
        random_state = context.random_state
        if not context.is_continued:
            # What stands beside the network draws from a copy: it is the same without.
            context = context._replace(random_state=deepcopy(random_state))
        order, seed = (random_state.randint(2**31 - 1) for _ in range(2))
        # Dropout masks depend on a seed: on the CPU on nothing else.
        generator: Any = CounterGenerator(seed)
        processes = current_processes.processes
        if processes is not None:  # each has its rows of the masks
            generator.first_row, generator.row_step = processes.rank, processes.size
        is_later_call = context.is_continued and context.is_stream
        device = estimator.net_.device if is_later_call else estimator.device
        device = "cpu" if device == "cpu" else check_device(device)
        estimator._task = task
        if torch.device(device).type != "cpu":  # to which the net moves the network
            generator = torch.Generator(device).manual_seed(seed)
        network.seed_dropout(generator)
        network.mixed = task.dtype == "mixed"
        kernel, bptt_steps = estimator.kernel, estimator.bptt_steps
        estimator.kernel_ = network.use_kernel(kernel, device, bptt_steps)
        if is_later_call:
            update_net(estimator, loss)
        else:
            make_net(estimator, network, loss, device, context)
        estimator.net_.random_state = np.random.RandomState(order)
        if not context.is_continued:
            estimator.history_ = []
            with computing(estimator.n_threads, estimator.net_):
                task.fit_closed_form(samples, context)
    return samples, held_out, context


def begin_task(estimator, call):
    """Check parameters, read the data, and make or continue the network.

    Returns the task, the network, training and validation data, the latter None
    without, and the `FitContext`; or None if the checkpoint of a stream has this call.
    """
    X_val, y_val = call.validation
    is_stream, checkpoint = call.is_stream, call.checkpoint
    is_continued = hasattr(estimator, "module_") and (is_stream or estimator.warm_start)
    last = estimator._task if is_continued else None
    has_validation = X_val is not None or bool(estimator.early_stopping)
    check_training(estimator, is_stream, has_validation)
    if not (is_continued and is_stream):  # calls of partial_fit share theirs
        estimator._random_state = new_random_state(estimator.random_state)
    with computing(1, flush_denormals=False):
        names = estimator._parameter_constraints.keys() - TRAINING_PARAMS
        params = SimpleNamespace(**{name: getattr(estimator, name) for name in names})
        if last is None:
            task = estimator._task_type(type(estimator).__name__, params)
        else:
            task = last.continued(params)
        task.is_trial = call.is_trial
        task.check_params(last)
        samples = task.parse(estimator, *call.data, reset=last is None, **call.about_y)
        held_out, stops_early = None, estimator.early_stopping
        if X_val is not None or y_val is not None:
            held_out = task.parse_validation(estimator, X_val, y_val)
        if not is_stream:
            task.check_trainable(samples)
        if stops_early == "auto":
            stops_early = task.stops_early(estimator, samples)
            check_training(estimator, is_stream, stops_early or held_out is not None)
        if current_processes.processes is not None and not call.is_trial:
            check_parallel(estimator, (samples, held_out), last)
        if estimator.checkpoint is None:
            vars(estimator).pop("_stream", None)
        elif not is_stream:
            checkpoint = open_checkpoint(estimator, task, (samples, held_out), last)
        elif follow_stream(estimator, task, samples, last):
            return None
        if stops_early and held_out is None:
            samples, held_out = task.hold_out(samples, estimator._random_state)
        context = FitContext(
            random_state=estimator._random_state,
            is_continued=is_continued,
            is_stream=is_stream,
            has_validation=held_out is not None,
            stops_early=bool(stops_early),
            checkpoint=checkpoint,
            compute_outputs=partial(compute_outputs, estimator),
            train_trial=partial(train_trial, estimator, checkpoint),
        )
        samples, held_out = task.prepare(samples, held_out, context)
        network = task.make_network(samples, held_out, context, estimator)
    return task, network, samples, held_out, context


class Trial(NamedTuple):
    """A network that was trained for a comparison.

    task : Task
    compute_outputs : callable, from sequences to outputs
    """

    task: Any
    compute_outputs: Any


def train_trial(estimator, checkpoint, changes, samples):
    """Train a network like an estimator's, with changed parameters on other data.

    By this module's `fit` alone: what a subclass does in its own is done already.
    """
    names = estimator._parameter_constraints
    params = {k: getattr(estimator, k) for k in names if hasattr(estimator, k)}
    trial: Any = object.__new__(type(estimator))
    vars(trial).update(params | TRIAL_PARAMS | changes)
    if trial.kernel == "numba":  # which warns, and has
        trial.kernel = "compiled"
    checkpoint = None if checkpoint is None else checkpoint.next_trial()
    data = samples.sequences, samples.y, samples.weights
    fit(trial, *data, is_trial=True, checkpoint=checkpoint)
    return Trial(trial._task, partial(compute_outputs, trial))


@contextmanager
def unchanged_on_error(estimator):
    """Leave a fitted estimator as it was if its next fit fails to begin."""
    before = dict(estimator.__dict__)
    # A network that is not trained further may be any module of a user's.
    network: Any = before.get("module_")
    generator = getattr(network, "dropout_generator", None)
    mixed = getattr(network, "mixed", None)
    try:
        yield
    except BaseException:
        # Parameters are never missing: other threads may clone the estimator.
        for name in estimator.__dict__.keys() - before.keys():
            del estimator.__dict__[name]
        estimator.__dict__.update(before)
        if getattr(network, "dropout_generator", None) is not generator:
            network.mixed = mixed
            network.seed_dropout(generator)
            network.use_kernel(estimator.kernel_, estimator.net_.device)
        raise


def check_training(estimator, is_stream, has_validation):
    """Check that parameters of the training go together.

    Callbacks set no rate that `lr_schedule` sets as well, and what they monitor will be
    recorded: some of it only with validation data.
    """
    if estimator.checkpoint is not None and estimator.random_state is None:
        raise ValueError(
            "checkpoint needs a random_state, so that a fit that is started again "
            "draws the same random numbers, got None. Set random_state=0, say."
        )
    if is_stream and estimator.early_stopping:
        raise ValueError(
            "partial_fit does not support early_stopping=True: it makes one pass "
            "over what it is given. Set early_stopping=False, or call fit."
        )
    callbacks, lr_schedule = estimator.callbacks, estimator.lr_schedule
    if callbacks is None:
        return
    pairs = [
        item if isinstance(item, tuple) and len(item) == 2 else (None, item)
        for item in (callbacks if isinstance(callbacks, list) else [callbacks])
    ]
    own_names = {getattr(callback, "name", None) for _, callback in pairs}
    for i, (name, callback) in enumerate(pairs):
        if not isinstance(callback, Callback):
            item = callback if name is None else (name, callback)
            raise ValueError(
                f"callbacks[{i}] is {item!r}; give instances of skorch callbacks, "
                "such as skorch.callbacks.EarlyStopping()."
            )
        if isinstance(callback, LRScheduler) and lr_schedule is not None:
            raise ValueError(
                f"callbacks has an LRScheduler, and lr_schedule={lr_schedule!r} sets "
                "the learning rate as well. Set lr_schedule=None."
            )
        # Others may not read what they monitor, as most schedulers do not.
        if has_validation or type(callback) not in (Checkpoint, EarlyStopping):
            continue
        monitor = callback.monitor
        if isinstance(monitor, str) and monitor in VALIDATION_KEYS - own_names:
            name = type(callback).__name__ if name is None else name
            raise ValueError(not_recorded(name, callback, monitor))


def new_random_state(random_state):
    """Return a `random_state` parameter as a RandomState instance.

    None takes a seed from the operating system. scikit-learn would take NumPy's global
    generator, and so change it.

    Examples
    --------
    >>> from sklearn_rnn.estimators import new_random_state
    >>> new_random_state(0).randint(100)
    44
    """
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def _record(estimator, n_before, patience, is_stream):
    """Set the attributes that tell how training went, from finished epochs.

    Those are the records of the net's history, but for the first `n_before`.
    """
    net = estimator.net_
    n_streamed = net.n_streamed + len(net.history) - n_before
    rows = [row for row in net.history[n_before:] if "dur" in row]
    net.n_streamed = _bound_stream(net.history, n_streamed, is_stream)
    history = estimator.history_
    n_epochs_before = history[-1]["epoch"] if history else 0
    for epoch, row in enumerate(rows, n_epochs_before + 1):
        kept = {key: value for key, value in row.items() if key != "batches"}
        history.append({**kept, "epoch": epoch})
    estimator._n_streamed = _bound_stream(
        history, estimator._n_streamed + len(rows), is_stream
    )
    estimator.n_iter_ = n_epochs_before + len(rows)
    estimator.loss_curve_ = [row["train_loss"] for row in history]
    scores = [row["valid_score"] for row in history if "valid_score" in row]
    estimator.validation_scores_ = scores or None
    if n_epochs_before and not rows:
        return  # stopped at once: the weights are those from before
    n_kept = len(rows) if patience is None else patience.best_epoch + 1
    estimator.best_epoch_ = n_epochs_before + n_kept
    best = [row for row in history if row["epoch"] == estimator.best_epoch_]
    estimator.best_validation_score_ = best[0].get("valid_score") if best else None


def _bound_stream(records, n_streamed, is_stream):
    """Drop the oldest records of a stream beyond the bound; return how many are left.

    They stand at the end of `records`; after ``fit`` there are none.
    """
    if not is_stream:
        return 0
    n_dropped = max(0, n_streamed - STREAM_RECORDS)
    begin = len(records) - n_streamed
    del records[begin : begin + n_dropped]
    return n_streamed - n_dropped
