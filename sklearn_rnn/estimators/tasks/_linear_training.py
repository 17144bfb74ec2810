"""Training beside a linear part, which is fitted first, and weighed afterwards."""

from contextlib import contextmanager

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.estimators.closed_form import (
    FEW,
    FEWEST_SEQUENCES,
    FEWEST_TO_COMPARE,
    MOST_VALUES,
    LinearSkip,
    evenly,
    fit_linear,
)
from sklearn_rnn.estimators.tasks._target_names import steps_ahead
from sklearn_rnn.estimators.tasks._trials import (
    MOST_COMPARED,
    draw_folds,
    last_fold,
    predict_folds,
)

# Sequences from which on only the network itself is trained, without one of many folds.
TRAINED_ONCE = 10_000


def may_have_linear(task):
    """Return whether a regression task may have a linear part, by its parameters."""
    is_of_numbers = not (task.per_step or task.tokens.is_used)
    return task.params.linear_skip is not False and is_of_numbers


def has_linear(task, n_features):
    """Return whether there is a linear part, by `linear_skip` and the data."""
    if not may_have_linear(task):
        return False
    if task.params.linear_skip is True:
        return True
    if task.n_distinct < FEWEST_SEQUENCES or n_features > MOST_VALUES:
        return False
    return task.n_distinct >= FEWEST_TO_COMPARE or task.baseline.columns is not None


def cross_fit_linear(task, samples, is_scaled):
    """Fit a linear part to all sequences, and without each fold of them."""
    return fit_linear(
        samples.sequences,
        samples.y,
        samples.weights,
        columns=task.baseline.columns,
        horizon=task.horizon,
        is_scaled=is_scaled,
        random_state=np.random.RandomState(task.random_state.randint(2**31 - 1)),
        steps_ahead=steps_ahead(task.numbers.names),
        is_mean=task.output.is_mean,
    )


@contextmanager
def beside_linear(task, samples, validation, context):
    """Set the linear part, and the network's weight beside it after training.

    Yields the data that the network is trained on.
    """
    if context.is_stream:
        _fit_stream(task, samples, context)
        yield samples
        return
    predicted, task.fold_predictions = task.fold_predictions, None
    cross_fit, task.cross_fit = task.cross_fit, None
    if context.is_continued:
        _refit_linear(task, samples)
    if cross_fit is None:
        yield samples
        return
    task.linear.use(samples, cross_fit, np.zeros(task.n_targets))
    n_distinct = task.n_distinct
    if validation is not None:
        yield samples
        unseen = validation.select(evenly(len(validation.y), MOST_COMPARED))
        linear = task.linear.part.predict(unseen.sequences)
        _compare(task, unseen, linear, _try_forecast(task, unseen, context))
    elif n_distinct < FEWEST_TO_COMPARE:
        yield samples
    elif n_distinct >= TRAINED_ONCE:
        train, held_out = last_fold(samples.sequences, task.horizon, task.random_state)
        yield samples.select(train)
        unseen = samples.select(held_out)
        linear = cross_fit.predict(samples.sequences, held_out)
        _compare(task, unseen, linear, _try_forecast(task, unseen, context))
    else:
        linear = cross_fit.predict(samples.sequences, np.arange(len(samples.y)))
        if n_distinct >= FEW:
            folds = draw_folds(samples.sequences, task.horizon, task.random_state)
            predicted = predict_folds(task, samples, folds, context)
        _compare(task, samples, linear, predicted)
        yield samples


def _refit_linear(task, samples):
    """Fit the linear part to the data that the network is trained on further."""
    enough = task.n_distinct >= FEWEST_SEQUENCES
    if task.linear.part is None or task.params.linear_skip is False:
        task.advice = None
        task.linear = LinearSkip(task.n_targets, task.output)
    elif has_linear(task, samples.sequences.n_features) and enough:
        # The network has seen its data: nothing to compare on.
        cross_fit = cross_fit_linear(task, samples, task.linear.part.layout.is_scaled)
        task.linear.use(samples, cross_fit, task.linear.weight)


def _fit_stream(task, samples, context):
    """Fit the linear part to one more call of partial_fit."""
    linear = task.linear
    if not context.is_continued:
        if task.cross_fit is None:
            return
        linear.start_stream(samples, task.cross_fit)
        task.cross_fit = None
    elif linear.stream is None:
        linear.warn_if_silent()
        return
    else:
        linear.compare_stream(samples, _try_forecast(task, samples, context))
    linear.add_to_stream(samples)


def _try_forecast(task, samples, context):
    """Return what the network alone predicts, None if it overflows."""
    try:
        return task.forecast_alone(samples.sequences, context.compute_outputs)
    except InvalidSequenceError:
        return None


def _compare(task, unseen, linear, network):
    """Choose the network's weight by predictions for what was not seen."""
    constant, names = task.baseline.transform.intercept, task.numbers.names
    task.linear.compare(unseen, linear, network, constant, names)
    task.advice = task.linear.give_advice(task.baseline.columns is not None)
    if task.advice is not None and task.params.verbose:
        print(f"{task.estimator_name}: {task.advice}")
