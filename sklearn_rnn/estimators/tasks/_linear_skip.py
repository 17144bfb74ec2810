"""The linear part beside a regressor's network, and the weight of each."""

import warnings
from copy import copy
from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import SklearnRNNWarning, user_stacklevel
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form import (
    TINY,
    LinearStream,
    elementwise_loss,
    evenly,
    fit_linear,
    network_weights,
    weighted_losses,
    weights_of_long,
)
from sklearn_rnn.estimators.tasks._quantiles import marginal_quantiles
from sklearn_rnn.estimators.tasks._target_names import steps_ahead
from sklearn_rnn.training import find_copies

# Sequences below which held-out ones would say nothing about the network.
FEWEST_TO_COMPARE = 40
# Calls of partial_fit that the network's weight depends on, at most.
MOST_CALLS = 200
# A smaller fraction of the linear part's error is not worth a network.
SMALL_GAIN = 0.01
# Sequences from which the quantiles of the linear part's errors are read, at most.
MOST_RESIDUALS = 20_000


@plain_type
class LinearSkip:
    """A linear forecast on the window, averaged with that of the network.

    Parameters
    ----------
    n_targets : int
        Number of targets.
    loss_name : str
        The loss of the regressor.
    levels : ndarray of shape (n_quantiles,) or None
        Levels of the quantiles that are predicted.

    Attributes
    ----------
    part : LinearPart or None
        None without a linear part.
    weight : ndarray of shape (n_targets,)
        The network's weight in the average, in [0, 1].
    errors : DataFrame or None
        Errors of both on sequences that neither was fitted to.
    """

    def __init__(self, n_targets, loss_name, levels):
        self.loss_name, self.levels = loss_name, levels
        self.part: Any = None
        self.errors: pd.DataFrame | None = None
        self.stream: Any = None
        self.quantiles: Any = None
        # Of the targets, in units of the windows: from there on "huber" is linear.
        self.spread: Any = None
        self.stream_losses: list[Any] = []
        self.weight = np.ones(n_targets)

    def fit(self, samples, columns, horizon, is_scaled, names, random_state):
        """Fit a linear part to all sequences, and without each fold of them."""
        return fit_linear(
            samples.sequences,
            samples.y,
            samples.weights,
            columns=columns,
            horizon=horizon,
            is_scaled=is_scaled,
            random_state=np.random.RandomState(random_state.randint(2**31 - 1)),
            steps_ahead=steps_ahead(names),
            is_mean=self.loss_name == "squared_error",
        )

    def set_spread(self, samples, part):
        """Set the spread of the targets in units of the windows."""
        self.spread = _target_spread(samples, part)

    def use(self, samples, cross_fit, weight):
        """Set the linear part, and the network's weight until it is compared."""
        self.part, self.weight = cross_fit.part.without_folds(), weight
        self.quantiles = None
        if self.levels is not None:
            # Of the linear part's errors, in units of the windows.
            rows = evenly(len(samples.y), MOST_RESIDUALS)
            error = samples.y[rows] - cross_fit.predict(samples.sequences, rows)
            error /= self.part.units(samples.sequences[rows], of_errors=True)
            weights = None if samples.weights is None else samples.weights[rows]
            self.quantiles = marginal_quantiles(error, self.levels, weights)

    # Predictions

    def forecast(self, sequences):
        """Return what the linear part predicts: numbers, or quantiles of each."""
        return self.with_quantiles(sequences, self.part.predict(sequences))

    def with_quantiles(self, sequences, linear):
        """Return numbers that the linear part predicts, or their quantiles."""
        if self.levels is None:
            return linear
        units = self.part.units(sequences)[:, :, np.newaxis]
        return linear[:, :, np.newaxis] + units * self.quantiles

    def combine(self, linear, network):
        """Average forecasts of the linear part and the network."""
        weight = self.weight if self.levels is None else self.weight[:, np.newaxis]
        return linear + weight * (network - linear)

    def add(self, sequences, network):
        """Return the average of network and linear part, if there is one."""
        if self.part is None:
            return network
        return self.combine(self.forecast(sequences), network)

    # Comparisons

    def loss_function(self, samples, part):
        """Return the loss of predictions for some samples, as a function."""
        # Windows of different size count alike.
        unit = part.units(samples.sequences, of_errors=True)
        y, levels = samples.y / unit, self.levels

        def loss(predicted):
            shaped = unit if levels is None else unit[:, :, np.newaxis]
            return elementwise_loss(
                self.loss_name, y, predicted / shaped, self.spread, levels
            )

        return loss

    def fold_error(self, samples, part, predicted):
        """Return the mean logarithm of the outputs' losses in held-out folds."""
        if predicted is None:
            return np.inf
        losses = self.loss_function(samples, part)(predicted)
        mean = _mean_error(losses, _comparison_weights(samples, part), None)
        # Below a hundredth of the targets' spread an error is no reason to choose.
        least = self.spread / 100
        if self.loss_name == "squared_error":
            least = least**2
        return np.log(np.maximum(mean, least)).mean()

    def compare(self, unseen, linear, network, constant, names):
        """Choose the network's weight by predictions for what was not seen.

        `constant` is the naive forecast of targets without a past, `names` are those of
        the targets. Nothing changes where `network` is None.
        """
        if network is None:
            return
        linear = self.with_quantiles(unseen.sequences, linear)
        network = np.where(np.isnan(network), linear, network)
        loss = self.loss_function(unseen, self.part)
        weights = _comparison_weights(unseen, self.part)
        losses, totals = weighted_losses(loss, linear, network, weights)
        counts = count_targets(unseen, weights)
        self.weight = network_weights(losses, totals, counts)
        naive = self.part.predict_naive(unseen.sequences)
        if naive is None:
            naive = np.broadcast_to(constant, unseen.y.shape)
        compared = {
            "naive": self.with_quantiles(unseen.sequences, naive),
            "linear": linear,
            "network": network,
            "combined": self.combine(linear, network),
        }
        self.errors = pd.DataFrame(
            {
                name: _mean_error(loss(predicted), weights, self.loss_name)
                for name, predicted in compared.items()
            },
            index=names,
        )

    def give_advice(self, has_past):
        """Return what may help if the network does not, else None."""
        if self.errors is None:
            return None
        errors = self.errors
        n_worse = int((errors["combined"] >= errors["naive"]).sum())
        if n_worse > len(errors) / 2:
            remedy = "name the input with the target's own past: target_feature="
            if has_past:
                remedy = (
                    "more steps per window, other columns, CalendarFeatures, or a "
                    "shorter horizon may tell more"
                )
            return (
                f"for {n_worse} of {len(errors)} outputs the forecast is no better "
                "than the naive one on unseen data (validation_errors_); "
                f"{remedy}."
            )
        is_silent = errors["combined"] > (1 - SMALL_GAIN) * errors["linear"]
        n_silent = int(is_silent.sum())
        if n_silent > len(errors) / 2:
            return (
                f"for {n_silent} of {len(errors)} outputs the network improves the "
                "error of the linear part on unseen data by less than 1 % "
                "(validation_errors_); more data, other columns, dropout= or a smaller "
                "hidden_size= may change that."
            )
        return None

    # Streams of calls of partial_fit

    def start_stream(self, samples, cross_fit):
        """Begin with a linear part that learns from all calls."""
        self.use(samples, cross_fit, np.zeros(len(self.weight)))
        self.stream, self.stream_losses = LinearStream(self.part), []

    def compare_stream(self, samples, network):
        """Weigh the network by data of a call that neither part has seen yet."""
        if network is None:
            return
        linear = self.forecast(samples.sequences)
        weights = _sample_weights(samples)
        loss = self.loss_function(samples, self.part)
        losses = weighted_losses(loss, linear, network, weights)
        self.stream_losses = [
            *self.stream_losses,
            (*losses, count_targets(samples, weights)),
        ][-MOST_CALLS:]
        losses, weights, counts = map(sum, zip(*self.stream_losses, strict=True))
        found = network_weights(losses, weights, counts)
        self.weight = np.where(counts >= FEWEST_TO_COMPARE, found, 0.0)

    def add_to_stream(self, samples):
        """Fit the linear part to the sequences of one more call."""
        self.stream = copy(self.stream)  # copies of the estimator keep theirs
        self.part = self.stream.add(samples.sequences, samples.y, samples.weights)

    def warn_if_silent(self):
        """Warn where partial_fit trains a network that has no weight."""
        if self.part is not None and not self.weight.any():
            warnings.warn(
                "partial_fit trains the network, which has no weight in the "
                "predictions (network_weight_ is 0): they stay those of the linear "
                "part that fit made. Fit with linear_skip=False, or begin with "
                "partial_fit and linear_skip=True.",
                SklearnRNNWarning,
                stacklevel=user_stacklevel(),
            )


def count_distinct(samples):
    """Return the number of sequences. Copies, like a weight, count once."""
    return len(find_copies(samples.sequences)[0])


def count_targets(samples, weights):
    """Return the number of sequences of positive weight that have each target."""
    first = find_copies(samples.sequences)[0]
    is_there = ~np.isnan(samples.y[first]) & (weights[first] > 0)[:, np.newaxis]
    return is_there.sum(axis=0)


def _sample_weights(samples):
    return np.ones(len(samples.y)) if samples.weights is None else samples.weights


def _comparison_weights(samples, part):
    """Return weights of sequences, 0 of those that are too short to compare on."""
    return weights_of_long(part.layout, samples.sequences, _sample_weights(samples))


def _target_spread(samples, part):
    """Return the standard deviation of targets in units of the windows, above 0."""
    y = samples.y / part.units(samples.sequences, of_errors=True)
    weights = np.where(np.isnan(y), 0.0, _sample_weights(samples)[:, np.newaxis])
    total = np.maximum(weights.sum(axis=0), TINY)
    y = np.nan_to_num(y)
    deviation = y - (weights * y).sum(axis=0) / total
    spread = np.sqrt((weights * deviation**2).sum(axis=0) / total)
    return np.where(spread > 0, spread, 1.0)


def _mean_error(losses, weights, name):
    """Return the mean loss of each output, the root of a mean square."""
    known = ~np.isnan(losses)
    weights = np.where(known, weights[:, np.newaxis], 0.0)
    mean = np.where(known, losses, 0.0) * weights
    mean = mean.sum(axis=0) / np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    return np.sqrt(mean) if name == "squared_error" else mean
