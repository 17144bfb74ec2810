"""The linear part of a regressor: ridge regressions on windows, beside the network."""

import warnings
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import SklearnRNNWarning, user_stacklevel
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form._blend import (
    TINY,
    network_weights,
    weighted_losses,
)
from sklearn_rnn.sequences import one_hot_last_step
from sklearn_rnn.training import find_copies

# Values of one block of windows, so that its copies stay in the caches; but so many
# windows at least, as products of few rows are slow to add to a large matrix.
BLOCK_VALUES, BLOCK_WINDOWS = 2**17, 1024
# A window's spread counts as no less than this fraction of the typical one, or, if
# series differ in size, of the one that is typical of its size: flat windows, such as
# the short ones at the beginning of a series, would have unbounded weight.
SMALLEST_SPREAD = 0.3
# Sequences of less than this fraction of a window do not count in fits, if at least
# that fraction of all is longer.
LONG_ENOUGH, MOSTLY = 0.5, 0.7
# Names of members that see logarithms begin with it. Their forecasts are beyond all
# values of the fit, or all values of the window, by no more than a factor.
LOG, BEYOND = "log_", 4.0
# The member that repeats the value at the anchor.
NAIVE = "naive"
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
@dataclass(frozen=True)
class Layout:
    """How windows are cut from sequences, and what stands where in them.

    Parameters
    ----------
    n_lags : int
        Steps of a window; it ends with the sequence's last step.
    center : ndarray of shape (n_features,)
        Subtracted from all values, against cancellation.
    columns : ndarray of int of shape (n_outputs,), or None
        The feature that holds each target's past.
    anchors : ndarray of int of shape (n_outputs,), or None
        The lag, 0 for the last step, whose value comes closest to the target.
    typical_spread : ndarray of shape (n_past,), or None
        Mean spread of each of `past` within windows, the geometric one if they differ
        in size.
    typical_ratio : ndarray of shape (n_past,), or None
        Mean of the spread of windows divided by their size, if they differ in size.
    is_scaled : bool, default=False
        Whether windows differ in size so much that each has to be measured by its own.
    n_indicators : int, default=0
        Columns of 0 and 1 that say which categories the last step has.
    has_level : bool, default=True
        Whether values as they are tell anything: not if they never changed.
    log : Layout or None, default=None
        Of the same windows with the logarithms of the targets' past; None if some are
        not positive, or there are so many windows that it would not pay.
    bounds : ndarray of shape (2, n_outputs) or None, default=None
        In a layout of logarithms, the range of targets and their past in the fit,
        widened by the factor `BEYOND`.
    """

    n_lags: int
    center: np.ndarray
    columns: Any = None
    anchors: Any = None
    typical_spread: Any = None
    typical_ratio: Any = None
    is_scaled: bool = False
    n_indicators: int = 0
    has_level: bool = True
    log: Any = None
    bounds: Any = None

    @property
    def n_values(self):
        """Number of features of a regression, without the constant."""
        return self.n_lags * len(self.center) + self.n_indicators

    @property
    def past(self):
        """Features that hold some target's past, each once."""
        return np.unique(self.columns)

    @property
    def index_in_past(self):
        """Index of each output's feature in `past`."""
        return np.searchsorted(self.past, self.columns)

    def of_past(self):
        """Return a layout of windows that hold the features of `past` alone."""
        return replace(
            self,
            center=self.center[self.past],
            columns=self.index_in_past,
            n_indicators=0,
            log=None,
        )

    def unit_coefficients(self, member, coef):
        """Return the derivatives of a member's forecast by the values of a window.

        Parameters
        ----------
        member : str
            Its name.
        coef : ndarray of shape (n_values + 1, n_outputs)
            Of its features.

        Returns
        -------
        ndarray of shape (n_lags, n_features, n_outputs)
            At the typical spread.
        """
        if member.startswith(LOG):
            # By the chain rule, where values and forecast are the mean ones.
            found = self.log.unit_coefficients(member.removeprefix(LOG), coef)
            found[:, self.past] /= np.exp(self.log.center[self.past, np.newaxis])
            return found * np.exp(self.log.center[self.columns])
        n_steps_values = self.n_values - self.n_indicators
        found = coef[:n_steps_values].reshape(self.n_lags, len(self.center), -1).copy()
        if self.columns is None:
            return found
        if member == "level":
            found[-1, self.past] -= found[:-1, self.past].sum(axis=0)
            return found
        found *= self.typical_spread[self.index_in_past]
        found[:, self.past] /= self.typical_spread[:, np.newaxis]
        seen = found[:, self.past]
        outputs = np.arange(len(self.columns))
        if member == "change":
            found[-1, self.past] -= seen.sum(axis=0)
            found[self.n_lags - 1 - self.anchors, self.columns, outputs] += 1.0
        else:
            found[:, self.past] -= seen.mean(axis=0)
            found[:, self.columns, outputs] += 1 / self.n_lags
        return found

    def naive_coefficients(self, weight):
        """Return the derivatives of the naive forecast, times its weight."""
        if weight is None:
            return 0.0
        found = np.zeros((len(self.columns), self.n_lags, len(self.center)))
        outputs = np.arange(len(self.columns))
        found[outputs, self.n_lags - 1 - self.anchors, self.columns] = weight
        return found


class Windows:
    """Some windows, and the ways in which they can be seen.

    Parameters
    ----------
    layout : Layout
        How they were cut.
    values : ndarray of shape (n, n_lags, n_features)
        Float64, less the layout's `center`; 0 for codes of categories.
    indicators : ndarray of shape (n, n_indicators)
        The categories of the last step.

    Attributes
    ----------
    past_features, index_in_past : ndarray of int
        As in the layout.
    past : ndarray of shape (n, n_lags, n_past)
        The targets' pasts; None without them.
    level : ndarray of shape (n_outputs,), or 0.0
        What `center` took from each output's past.
    spread : ndarray of shape (n, n_past)
        The standard deviation of each past, above 0; without a typical one, not below.
    at_anchor : ndarray of shape (n, n_outputs)
        The value of each output's past at its anchor, if there are anchors.
    """

    def __init__(self, layout, values, indicators):
        self.layout, self.values, self.indicators = layout, values, indicators
        self.past: Any = None
        self.level = 0.0
        if layout.columns is not None:
            self.past_features, self.index_in_past = np.unique(
                layout.columns, return_inverse=True
            )
            # Indexing may turn the order in memory, in which means and spreads add up.
            self.past = np.take(values, self.past_features, axis=2)
            self.level = layout.center[layout.columns]
            self.spread = self.past.std(axis=1)
            if layout.is_scaled:
                smallest = SMALLEST_SPREAD * layout.typical_ratio * self.size()
                spread = np.maximum(self.spread, smallest)
                self.spread = np.where(spread > 0, spread, layout.typical_spread)
            elif layout.typical_spread is not None:
                smallest = SMALLEST_SPREAD * layout.typical_spread
                self.spread = np.maximum(self.spread, smallest)
        if layout.anchors is not None:
            rows = layout.n_lags - 1 - layout.anchors
            self.at_anchor = values[:, rows, layout.columns]

    @cached_property
    def logarithms(self):
        """The same windows with the logarithms of the targets' past."""
        layout, past = self.layout.log, self.past_features
        seen = self.past + self.layout.center[past]
        # Where a value has no logarithm: below the window's others, or all of the fit.
        least = np.where(seen > 0, seen, np.inf).min(axis=1, keepdims=True) / BEYOND
        lowest = np.full(len(past), np.inf)
        np.minimum.at(lowest, self.index_in_past, layout.bounds[0])
        least = np.where(np.isfinite(least), least, np.exp(lowest))
        values = self.values.copy()
        positive = np.where(seen > 0, seen, least)
        values[:, :, past] = np.log(positive) - layout.center[past]
        return Windows(layout, values, self.indicators)

    def transform_targets(self, y):
        """Return targets as a regression on these windows predicts them."""
        if self.layout.bounds is not None:
            y = np.log(np.maximum(y, np.exp(self.layout.bounds[0])))
        return y - self.level

    def size(self):
        """Return the mean absolute value of each past, (n, n_past)."""
        return np.abs(self.past + self.layout.center[self.past_features]).mean(axis=1)

    def units(self):
        """Return the spread of each output's past, (n, n_outputs)."""
        return self.spread[:, self.index_in_past]

    def error_units(self):
        """Return the unit of each error, (n, n_outputs) or (n, 1) ones.

        Where windows differ in size, one of zeros does not tell its own: NaN, as it
        must not count.
        """
        if not self.layout.is_scaled:
            return np.ones((len(self.values), 1))
        size = self.size()[:, self.index_in_past]
        return np.where(size > 0, self.units(), np.nan)

    def regression(self, member):
        """Return what a member's regression reads, and what its targets are in.

        Returns
        -------
        features : ndarray of shape (n, n_values + 1)
            The last column is of ones.
        offset, unit : ndarray of shape (n, n_outputs), or float
            Of the targets: what they are relative to, and divided by.
        """
        offset, unit = 0.0, 1.0
        n, n_lags, n_features = self.values.shape
        n_indicators = self.layout.n_indicators
        table = np.ones((n, n_lags * n_features + n_indicators + 1))
        # Of windows of like size a category adds the same to each; in units of their
        # own spread that would have no size.
        is_told = member == "level" or self.layout.is_scaled
        table[:, -1 - n_indicators : -1] = self.indicators if is_told else 0.0
        seen = self.values.copy()
        if self.layout.columns is not None:
            past = self.past
            if member == "level":
                # The last value as it is, the others relative to it.
                past = past - past[:, -1:] * (np.arange(n_lags) < n_lags - 1)[:, None]
            else:
                if member == "change":
                    center, offset = past[:, -1:], self.at_anchor
                else:
                    center = past.mean(1)[:, None]
                    offset = self.values.take(self.layout.columns, axis=2).mean(axis=1)
                unit = self.spread[:, self.index_in_past]
                past = (past - center) / self.spread[:, np.newaxis]
            seen[:, :, self.past_features] = past
        table[:, : n_lags * n_features] = seen.reshape(n, -1)
        return table, offset, unit


def iterate_windows(layout, sequences, rows, *, past_only=False):
    """Yield windows of some sequences, block by block.

    Parameters
    ----------
    layout : Layout
        How to cut them.
    sequences : SequenceArray
        The sequences.
    rows : ndarray of int
        Indices of the sequences.
    past_only : bool, default=False
        Whether to read only the features that hold some target's past.

    Yields
    ------
    positions : slice
        Of `rows`.
    windows : Windows
        Where a sequence is shorter, its first step is repeated before it.
    """
    features, categories = None, list(sequences.transforms.categories or ())
    if past_only:
        features, categories, layout = layout.past, [], layout.of_past()
    size = max(BLOCK_WINDOWS, BLOCK_VALUES // (layout.n_lags * len(layout.center)))
    for begin in range(0, len(rows), size):
        block = rows[begin : begin + size]
        chosen = sequences[block]
        steps = chosen.last_steps(layout.n_lags, features)
        values = steps.astype(np.float64) - layout.center
        # Codes are no quantities: what they stand for is in the indicators.
        values[:, :, categories] = 0.0
        indicators = np.empty((len(block), 0))
        if layout.n_indicators:
            indicators = one_hot_last_step(chosen)
        windows = Windows(layout, values, indicators)
        yield slice(begin, begin + len(block)), windows


def weights_of_long(layout, sequences, weights):
    """Return sample weights, 0 of sequences too short to fit and compare by.

    Most of a shorter window is its first step, repeated; its spread tells nothing.
    Where most sequences are short, all count.

    Parameters
    ----------
    layout : Layout
        How windows are cut.
    sequences : SequenceArray
        The sequences.
    weights : ndarray of shape (n_sequences,)
        Their weights.

    Returns
    -------
    ndarray of shape (n_sequences,)
    """
    is_long = sequences.lengths >= LONG_ENOUGH * layout.n_lags
    return np.where(is_long, weights, 0.0) if is_long.mean() >= MOSTLY else weights


def window_units(layout, sequences):
    """Return the spread of each past in the windows of sequences, above 0.

    Parameters
    ----------
    layout : Layout
        How windows are cut.
    sequences : SequenceArray
        The sequences.

    Returns
    -------
    ndarray of shape (n_sequences, n_past)
        Standard deviations, in the units of the steps.
    """
    units = np.empty((len(sequences), len(layout.past)))
    for positions, windows in iterate_windows(
        layout, sequences, np.arange(len(sequences)), past_only=True
    ):
        units[positions] = windows.spread
    return units


@plain_type
@dataclass(frozen=True)
class Member:
    """One ridge regression of the average, in its own view of the window.

    Parameters
    ----------
    name : {"level", "change", "deviation", "log_level", "log_change", "log_deviation"}
        The window as it is; relative to its last value, the target relative to its
        anchor; both relative to the window's mean. The last two are in units of the
        window's spread. The others see the logarithms of the targets and their past.
    coef : ndarray of shape (n_folds + 1, n_values + 1, n_outputs)
        Of the fits that leave one fold out, and of the one to all data; the last row
        is the constant.
    penalties : ndarray of shape (n_outputs,)
        The penalty that was best for each output.
    factor : ndarray of shape (n_outputs,) or 1.0, default=1.0
        Of forecasts: other than 1 where those by logarithms, medians, are to be means.
    """

    name: str
    coef: np.ndarray
    penalties: np.ndarray
    factor: np.ndarray | float = 1.0


@plain_type
@dataclass(frozen=True)
class LinearPart:
    """A forecast that is linear in the steps of the window.

    It is an average of ridge regressions that see the window in different ways, and
    of the naive forecast. Penalties and weights are chosen by cross-validation, in
    blocks of time where sequences are windows over series.

    Attributes
    ----------
    n_lags_ : int
        Steps read, counted from the end of a sequence. Where a sequence is shorter,
        its first step is repeated before it.
    coef_ : ndarray of shape (n_outputs, n_lags, n_features)
        Change of each forecast with each value of the window, oldest step first, in
        units of the target per unit of the feature, while the window's spread stays
        the same; of other features than the targets' past at the typical spread, and
        of the logarithmic members where all values are the mean ones.
    member_weights_ : dict of str to ndarray of shape (n_outputs,)
        Weight of each member of the average. "level" reads the values as they are,
        "change" and "deviation" relative to the last value and to the mean of the
        window, in units of its standard deviation; "log_level", "log_change" and
        "log_deviation" the same of logarithms, for multiplicative changes; "naive" is
        the value at the anchor.
    anchor_lags_ : ndarray of int of shape (n_outputs,) or None
        Lag (0 is the last step) whose value comes closest to each target: the last
        one, or that of a season ago. None without `target_feature`.
    """

    layout: Layout = field(repr=False)
    members: tuple = field(repr=False)
    weights: np.ndarray = field(repr=False)  # (n_members, n_outputs)

    def __repr__(self):
        return (
            f"LinearPart({len(self.weights)} members, {self.n_lags_} lags, "
            f"{self.weights.shape[1]} outputs)"
        )

    @property
    def n_lags_(self):
        return self.layout.n_lags

    @property
    def anchor_lags_(self):
        return self.layout.anchors

    @property
    def member_weights_(self):
        names = [member.name for member in self.members]
        names += [] if self.layout.columns is None else [NAIVE]
        return dict(zip(names, self.weights, strict=True))

    @property
    def coef_(self):
        return sum(
            self.layout.unit_coefficients(member.name, member.coef[-1])
            * (member.factor * weight)
            for member, weight in zip(self.members, self.weights, strict=False)
        ).transpose(2, 0, 1) + self.layout.naive_coefficients(
            self.member_weights_.get(NAIVE)
        )

    def without_folds(self):
        """Return the same part without the fits that leave a fold out."""
        members = tuple(replace(m, coef=m.coef[-1:]) for m in self.members)
        return replace(self, members=members)

    def predict(self, sequences, rows=None, fold=-1, *, averaged=True):
        """Predict the targets of sequences.

        Parameters
        ----------
        sequences : SequenceArray
            Of any lengths.
        rows : ndarray of int, default=None
            Indices of the sequences to predict for; None for all.
        fold : int, default=-1
            Predict by the fit without this fold of the training data; -1 is that to
            all data.
        averaged : bool, default=True
            Whether to average the members, the last of which is the naive forecast.

        Returns
        -------
        ndarray of shape (n_sequences, n_outputs) or (n_sequences, n_members, n_outputs)
            In the units of the targets.
        """
        rows = np.arange(len(sequences)) if rows is None else rows
        blocks = []
        for _, windows in iterate_windows(self.layout, sequences, rows):
            found = []
            for member in self.members:
                seen = windows.logarithms if member.name.startswith(LOG) else windows
                features, offset, unit = seen.regression(member.name.removeprefix(LOG))
                coef = member.coef[fold]
                if fold >= 0:  # such predictions are only compared: there speed counts
                    product = features @ coef
                else:
                    # No row may depend on the others, bitwise: a product of matrices
                    # sums in an order that depends on their sizes.
                    columns = [
                        np.einsum("nv,v->n", features, np.ascontiguousarray(one))
                        for one in coef.T
                    ]
                    product = np.stack(columns, axis=1)
                predicted = offset + unit * product + seen.level
                if seen.layout.bounds is not None:
                    low, high = seen.layout.bounds
                    own = np.take(seen.values, seen.layout.columns, axis=2) + seen.level
                    margin = np.log(BEYOND)
                    low = np.minimum(low, own.min(axis=1) - margin)
                    high = np.maximum(high, own.max(axis=1) + margin)
                    predicted = np.exp(np.clip(predicted, low, high))
                found.append(member.factor * predicted)
            if self.layout.columns is not None:
                found.append(windows.at_anchor + windows.level)
            if not averaged:
                blocks.append(np.stack(found, axis=1))
                continue
            # One by one: the order in which they add up must not depend on the windows.
            total: Any = 0.0
            for predicted, weight in zip(found, self.weights, strict=True):
                total = total + weight * predicted
            blocks.append(total)
        return np.concatenate(blocks)

    def predict_naive(self, sequences):
        """Predict the value at each target's anchor.

        Returns
        -------
        ndarray of shape (n_sequences, n_outputs), or None
            None without `target_feature`.
        """
        if self.layout.columns is None:
            return None
        rows = np.arange(len(sequences))
        blocks = iterate_windows(self.layout, sequences, rows, past_only=True)
        return np.concatenate([w.at_anchor + w.level for _, w in blocks])

    def units(self, sequences, of_errors=False):
        """Return the unit of each forecast: the window's spread, or 1.

        Parameters
        ----------
        sequences : SequenceArray
            The sequences.
        of_errors : bool, default=False
            Whether it is NaN for windows whose errors must not count.

        Returns
        -------
        ndarray of shape (n_sequences, n_outputs)
            Ones, if windows do not differ in size.
        """
        if not self.layout.is_scaled:
            return np.ones((len(sequences), self.weights.shape[1]))
        rows = np.arange(len(sequences))
        blocks = iterate_windows(self.layout, sequences, rows, past_only=True)
        return np.concatenate(
            [w.error_units() if of_errors else w.units() for _, w in blocks]
        )


def evenly(n, at_most):
    """Return numbers below n, all of them or evenly spaced ones."""
    if n <= at_most:
        return np.arange(n)
    return np.linspace(0, n - 1, at_most).astype(np.int64)


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
        counts = _count_targets(unseen, weights)
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
        self.stream, self.stream_losses = cross_fit.start_stream(), []

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
            (*losses, _count_targets(samples, weights)),
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


def _count_targets(samples, weights):
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
