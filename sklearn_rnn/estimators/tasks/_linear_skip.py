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
    evenly,
    network_weights,
    weighted_losses,
    weights_of_long,
)
from sklearn_rnn.training import find_copies

# Sequences below which held-out ones would say nothing about the network.
FEWEST_TO_COMPARE = 40
# Calls of partial_fit that the network's weight depends on, at most.
MOST_CALLS = 200
# A smaller fraction of the linear part's error is not worth a network.
SMALL_GAIN = 0.01
# Sequences from which the distribution of the linear part's errors is read, at most.
MOST_RESIDUALS = 20_000
# Losses in squared units of the target.
SQUARED_LOSSES = ("squared_error", "huber")


@plain_type
class LinearSkip:
    """A linear forecast on the window, averaged with that of the network.

    Parameters
    ----------
    n_targets : int
        Number of targets.
    output : Output
        What is predicted per target, and the loss.

    Attributes
    ----------
    part : LinearPart or None
        None without a linear part.
    weight : ndarray of shape (n_targets,)
        The network's weight in the average, in [0, 1].
    errors : DataFrame or None
        Errors of both on sequences that neither was fitted to.
    """

    def __init__(self, n_targets, output):
        self.output = output
        self.part: Any = None
        self.errors: pd.DataFrame | None = None
        self.stream: Any = None
        # What its errors are like, as the output describes them.
        self.error_fit: Any = None
        # Of the targets, in units of the windows: from there on "huber" is linear.
        self.spread: Any = None
        self.stream_losses: list[Any] = []
        self.weight = np.ones(n_targets)

    def set_spread(self, samples, part):
        """Set the spread of the targets in units of the windows."""
        self.spread = _target_spread(samples, part)

    def use(self, samples, cross_fit, weight):
        """Set the linear part, and the network's weight until it is compared."""
        self.part, self.weight = cross_fit.part.without_folds(), weight
        self.error_fit = None
        if not self.output.depth:  # points alone
            return
        rows = evenly(len(samples.y), MOST_RESIDUALS)
        sequences = samples.sequences[rows]
        self.error_fit = self.output.fit_errors(
            samples.y[rows],
            cross_fit.predict(samples.sequences, rows),
            self.part.units(sequences, of_errors=True),
            None if samples.weights is None else samples.weights[rows],
        )

    # Predictions

    def forecast(self, sequences, network=None, points=None):
        """Return forecasts of the linear part, averaged with those of the network.

        Without the latter they are those of the linear part alone. `points` are what
        that predicts, or another model, if they are known already.
        """
        points = self.part.predict(sequences) if points is None else points
        linear = points
        if self.output.depth:  # more than points
            units = self.part.units(sequences)
            linear = self.output.around(points, units, self.error_fit)
        if network is None:
            return linear
        weight = self.weight.reshape(-1, *[1] * (linear.ndim - 2))
        return linear + weight * (network - linear)

    # Comparisons

    def loss_function(self, samples, part):
        """Return the loss of predictions for some samples, as a function."""
        # Windows of different size count alike.
        units = part.units(samples.sequences, of_errors=True)

        def loss(forecasts):
            return self.output.losses(samples.y, forecasts, units, self.spread)

        return loss

    def fold_error(self, samples, part, predicted, target_weights):
        """Return the mean logarithm of the outputs' losses in held-out folds."""
        if predicted is None:
            return np.inf
        losses = self.loss_function(samples, part)(predicted)
        mean = _mean_loss(losses, _comparison_weights(samples, part))
        if not self.output.is_distribution:
            # Below a hundredth of the targets' spread an error is no reason to choose.
            least = self.spread / 100
            if self.output.loss in SQUARED_LOSSES:
                least = least**2
            mean = np.log(np.maximum(mean, least))
        return np.average(mean, weights=target_weights)

    def compare(self, unseen, points, network, constant, names):
        """Choose the network's weight by predictions for what was not seen.

        `points` are those of the linear part, `constant` is the naive forecast of
        targets without a past, `names` are those of the targets. Nothing changes where
        `network` is None.
        """
        if network is None:
            return
        linear = self.forecast(unseen.sequences, points=points)
        network = np.where(np.isnan(network), linear, network)
        loss = self.loss_function(unseen, self.part)
        weights = _comparison_weights(unseen, self.part)
        losses, totals = weighted_losses(loss, linear, network, weights)
        counts = count_targets(unseen, weights)
        self.weight = self._choose_weight(losses, totals, counts)
        naive = self.part.predict_naive(unseen.sequences)
        if naive is None:
            naive = np.broadcast_to(constant, unseen.y.shape)
        compared = {
            "naive": self.forecast(unseen.sequences, points=naive),
            "linear": linear,
            "network": network,
            "combined": self.forecast(unseen.sequences, network, points),
        }
        errors = {
            name: _mean_loss(loss(predicted), weights)
            for name, predicted in compared.items()
        }
        self.errors = pd.DataFrame(errors, index=names)
        if self.output.loss == "squared_error":
            self.errors = np.sqrt(self.errors)

    def _choose_weight(self, losses, totals, counts):
        """Return the network's weight, given losses of averages on `GRID`."""
        if self.output.is_distribution:
            # As ratios of scales: a nat is a factor of e.
            means = (losses - losses.min(axis=0)) / np.maximum(totals, TINY)
            losses = np.exp(means)
        return network_weights(losses, totals, counts)

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
        if self.output.is_distribution:  # a nat is a factor of e, which may overflow
            most = errors["linear"] + np.log(1 - SMALL_GAIN)
        else:
            most = (1 - SMALL_GAIN) * errors["linear"]
        is_silent = errors["combined"] > most
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
        found = self._choose_weight(losses, weights, counts)
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


def _mean_loss(losses, weights):
    """Return the mean loss of each output."""
    known = ~np.isnan(losses)
    weights = np.where(known, weights[:, np.newaxis], 0.0)
    mean = np.where(known, losses, 0.0) * weights
    return mean.sum(axis=0) / np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
