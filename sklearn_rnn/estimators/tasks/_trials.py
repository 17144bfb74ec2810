"""Networks that are trained without a fold each, to choose and to weigh one."""

from typing import Any, NamedTuple

import numpy as np

from sklearn_rnn._exceptions import DivergenceError, InvalidSequenceError
from sklearn_rnn.estimators.closed_form import (
    UNSEEN_PROBABILITY,
    choose_scaled_layout,
    evenly,
    log_softmax,
)
from sklearn_rnn.training import validation_folds

N_FOLDS = 3
# Folds of so many sequences that only the network itself is trained, without the last.
N_FOLDS_OF_MANY = 10
# Held-out sequences that a network is compared on, at most.
MOST_COMPARED = 20_000


class Folds(NamedTuple):
    """Sequences that networks are trained without.

    fold : ndarray of int of shape (n_sequences,)
    near : callable, (fold, rows) to whether rows are near to sequences of a fold
    seeds : ndarray of int, of each fold's network
    """

    fold: np.ndarray
    near: Any
    seeds: np.ndarray


def draw_folds(sequences, horizon, random_state):
    """Divide sequences into folds, in blocks of time where these are windows."""
    fold, near = validation_folds(sequences, N_FOLDS, horizon, random_state)
    return Folds(fold, near, random_state.randint(2**31 - 1, size=N_FOLDS))


def last_fold(sequences, horizon, random_state):
    """Return which of many sequences to train on, and which to compare on."""
    folds, near = validation_folds(sequences, N_FOLDS_OF_MANY, horizon, random_state)
    last, rows = folds.max(), np.arange(len(folds))
    held_out = np.flatnonzero(folds == last)
    held_out = held_out[evenly(len(held_out), MOST_COMPARED)]
    return np.flatnonzero((folds != last) & ~near(last, rows)), held_out


def predict_folds(task, samples, folds, context):
    """Predict each sequence by a network that has not seen its fold.

    NaN where there is no target to learn from outside of a fold; None if training
    diverges.
    """
    rows, n_epochs = np.arange(len(folds.fold)), task.params.max_epochs
    if n_epochs == "auto":
        # As many as of all data, not as many updates: a third less work.
        n_epochs = task.choose_n_epochs(samples)
    predicted = np.full((*samples.y.shape, *task.output.depth), np.nan)
    for k in range(folds.fold.max() + 1):
        is_seen = (folds.fold != k) & ~folds.near(k, rows)
        seen = samples.select(np.flatnonzero(is_seen))
        known = np.flatnonzero(~np.isnan(seen.y).all(axis=0))
        if len(known) == 0:
            continue
        unseen = np.flatnonzero(folds.fold == k)
        params = _trial_params(task, known)
        params |= {"max_epochs": n_epochs, "random_state": int(folds.seeds[k])}
        seen = seen._replace(y=seen.y[:, known])
        try:
            trial = context.train_trial(params, seen)
            found = trial.task.forecast_alone(
                samples.sequences[unseen], trial.compute_outputs
            )
        except (DivergenceError, InvalidSequenceError):
            return None
        predicted[unseen[:, np.newaxis], known] = found
    return predicted


def _trial_params(task, outputs):
    """Return parameters for a network that learns some outputs alone."""
    columns, size = task.baseline.columns, task.params.hidden_size
    weights = task.output.target_weights(task.n_targets)
    if weights is not None:
        weights = weights[outputs] if weights[outputs].any() else None
    return {
        "linear_skip": False,
        "target_feature": None if columns is None else columns[outputs].tolist(),
        "cell": task.chosen_cell,
        "hidden_size": task.chosen_size if size == "auto" else size,
        "subtract_last": bool(task.baseline.subtracts_last),
        "scale_windows": task.baseline.unit_layout is not None,
        "season": None if task.baseline.lags is None else task.baseline.lags[outputs],
        "missing_targets": "ignore" if task.targets_may_be_missing else "raise",
        "target_weight": weights,
    }


def classify_held_out(task, samples, splits, context):
    """Return the held-out rows of splits, and logits of networks without them.

    The logits are None if training diverges.
    """
    n_epochs = task.params.max_epochs
    if n_epochs == "auto":
        n_epochs = task.choose_n_epochs(samples)
    rows = np.concatenate([split.held_out for split in splits])
    found = []
    for split in splits:
        seen = samples.select(split.train)
        params = {
            "bag_of_words": False,
            "class_weight": None,  # it is in the samples' weights
            "max_epochs": n_epochs,
            "random_state": split.seed,
        }
        try:
            trial = context.train_trial(params, seen)
            outputs = trial.compute_outputs(samples.sequences[split.held_out])
        except (DivergenceError, InvalidSequenceError):
            return rows, None
        logits = np.full((len(outputs), task.n_outputs), np.log(UNSEEN_PROBABILITY))
        logits[:, trial.task.labels.classes] = log_softmax(outputs)
        found.append(logits)
    return rows, np.concatenate(found)


def candidate_networks(task, samples):
    """Return cells and layouts of window units of the networks to choose from."""
    cell, layout = task.chosen_cell, task.baseline.unit_layout
    params, is_auto = task.params, task.params.cell == "auto"
    candidates = [(cell, layout)]
    if task.baseline.columns is None:
        return candidates
    if task.output.is_count:  # which are read as they are
        return candidates + [("rnn", None)] * is_auto
    if layout is not None:
        return candidates + [("rnn", layout)] * is_auto
    if params.scale_windows == "auto" and params.subtract_last is not False:
        columns = task.baseline.columns
        scaled = choose_scaled_layout(samples.sequences, samples.weights, columns)
        candidates.append(("rnn" if is_auto else cell, scaled))
    return candidates


def compare_networks(task, samples, context, linear_part):
    """Choose cell and window units of a task; return what folds were predicted."""
    folds = draw_folds(samples.sequences, task.horizon, task.random_state)
    trials, weights = [], task.output.target_weights(task.n_targets)
    for cell, layout in candidate_networks(task, samples):
        task.use_network(cell, layout, samples)
        predicted = predict_folds(task, samples, folds, context)
        error = task.linear.fold_error(samples, linear_part, predicted, weights)
        trials.append((error, cell, layout, predicted))
    _, cell, layout, predicted = min(trials, key=lambda trial: trial[0])
    task.use_network(cell, layout, samples)
    return predicted
