"""fit: from data to a trained network, the same for every estimator."""

from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch

from sklearn_rnn.estimators._checkpoint import (
    follow_stream,
    open_checkpoint,
    save_stream,
)
from sklearn_rnn.estimators._network import (
    compute_outputs,
    make_net,
    thread_context,
    update_net,
)
from sklearn_rnn.estimators._parallel import check_parallel
from sklearn_rnn.estimators.tasks import FitContext
from sklearn_rnn.kernels import CounterGenerator
from sklearn_rnn.training import (
    Patience,
    computing,
    copy_callbacks,
    current_processes,
    new_random_state,
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
    is_continued = hasattr(estimator, "module_") and (is_stream or estimator.warm_start)
    last = estimator._task if is_continued else None
    names = estimator._parameter_constraints.keys() - TRAINING_PARAMS
    params = SimpleNamespace(**{name: getattr(estimator, name) for name in names})
    check_training(estimator, is_stream)
    with unchanged_on_error(estimator), computing(1, flush_denormals=False):
        has_validation = X_val is not None or bool(estimator.early_stopping)
        schedule = estimator.lr_schedule
        callbacks = copy_callbacks(estimator.callbacks, schedule, has_validation)
        if not (is_continued and is_stream):  # calls of partial_fit share theirs
            estimator._random_state = new_random_state(estimator.random_state)
        name = type(estimator).__name__
        task = last.continued(params) if last else estimator._task_type(name, params)
        task.is_trial = is_trial
        task.check_params(last)
        data = X, y, sample_weight
        samples = task.parse(estimator, *data, reset=last is None, **about_y)
        held_out = None
        if X_val is not None or y_val is not None:
            held_out = task.parse_validation(estimator, X_val, y_val)
        stops_early = estimator.early_stopping
        if stops_early == "auto":
            stops_early = task.stops_early(estimator, samples)
            has_validation = stops_early or held_out is not None
            callbacks = copy_callbacks(callbacks, None, has_validation)
        if current_processes.processes is not None and not is_trial:
            check_parallel(estimator, (samples, held_out), last)
        if estimator.checkpoint is None:
            vars(estimator).pop("_stream", None)
        elif not is_stream:
            checkpoint = open_checkpoint(estimator, task, (samples, held_out), last)
        elif follow_stream(estimator, task, samples, last):
            return estimator
        if stops_early and held_out is None:
            samples, held_out = task.hold_out(samples, estimator._random_state)
        context = FitContext(
            random_state=estimator._random_state,
            is_continued=is_continued,
            is_stream=is_stream,
            has_validation=has_validation,
            stops_early=stops_early,
            callbacks=callbacks,
            compute_outputs=partial(compute_outputs, estimator),
            train_trial=partial(train_trial, estimator, checkpoint),
        )
        samples, held_out = task.prepare(samples, held_out, context)
        network = task.make_network(samples, held_out, context, estimator)
        estimator._task = task
        if is_continued and is_stream:
            update_net(estimator)
        else:
            make_net(estimator, network, task.loss(), context)
        if not is_continued:
            estimator.history_ = []
            with thread_context(estimator):
                task.fit_closed_form(samples, context)
    try:
        net = estimator.net_
        with task.around_training(net, samples, held_out, context) as samples:
            train(estimator, samples, held_out, context, checkpoint)
    finally:
        task.finish()
    if estimator.checkpoint is not None:
        save_stream(estimator) if is_stream else checkpoint.remove()
    return estimator


def train(estimator, samples, held_out, context, checkpoint=None):
    """Train ``net_`` and record what happened, whatever happens."""
    net, task = estimator.net_, estimator._task
    dataset = task.make_dataset(samples, net.device)
    n_epochs = 1 if context.is_stream else estimator.max_epochs
    patience = None
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
    net.random_state = np.random.RandomState(context.random_state.randint(2**31 - 1))
    # Dropout masks depend on a seed: on the CPU on nothing else.
    seed, device = context.random_state.randint(2**31 - 1), torch.device(net.device)
    generator: Any = CounterGenerator(seed)
    processes = current_processes.processes
    if processes is not None:  # each has its rows of the masks
        generator.first_row, generator.row_step = processes.rank, processes.size
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(seed)
    net.module_.seed_dropout(generator)
    first = len(net.history)
    # Only while it trains: what keeps the net, or pickles it, need not keep the task.
    net.score_validation, net.checkpoint = task.score_validation, checkpoint
    net.processes = processes
    try:
        with thread_context(estimator):
            net.train(dataset, held_out, n_epochs, patience)
    finally:
        net.score_validation = net.checkpoint = net.processes = None
        _record(estimator, net.history[first:], patience, context.is_stream)
        net.n_streamed = _bound_stream(
            net.history,
            net.n_streamed + len(net.history) - first,
            context.is_stream,
        )


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
    try:
        yield
    except BaseException:
        # Parameters are never missing: other threads may clone the estimator.
        for name in estimator.__dict__.keys() - before.keys():
            del estimator.__dict__[name]
        estimator.__dict__.update(before)
        raise


def check_training(estimator, is_stream):
    """Check that parameters of the training go together."""
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


def _record(estimator, rows, patience, is_stream):
    """Set the attributes that tell how training went, from finished epochs."""
    rows = [row for row in rows if "dur" in row]
    history = estimator.history_
    n_before = history[-1]["epoch"] if history else 0
    for epoch, row in enumerate(rows, n_before + 1):
        kept = {key: value for key, value in row.items() if key != "batches"}
        history.append({**kept, "epoch": epoch})
    estimator._n_streamed = _bound_stream(
        history, estimator._n_streamed + len(rows), is_stream
    )
    estimator.n_iter_ = n_before + len(rows)
    estimator.loss_curve_ = [row["train_loss"] for row in history]
    scores = [row["valid_score"] for row in history if "valid_score" in row]
    estimator.validation_scores_ = scores or None
    if n_before and not rows:
        return  # stopped at once: the weights are those from before
    n_kept = len(rows) if patience is None else patience.best_epoch + 1
    estimator.best_epoch_ = n_before + n_kept
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
