"""The linear part beside a regressor's network, and the weight of each."""

import os
from contextlib import contextmanager

import numpy as np
import pandas as pd
from sklearn.base import clone

from sklearn_rnn._exceptions import DivergenceError
from sklearn_rnn.estimators._blend import elementwise_loss, network_weights
from sklearn_rnn.estimators._linear_fit import FEWEST_SEQUENCES, evenly, fit_linear
from sklearn_rnn.estimators._quantiles import marginal_quantiles
from sklearn_rnn.training import validation_split

# Sequences below which a held-out fifth would say nothing about the network.
FEWEST_TO_COMPARE = 40
# Held out to compare network and linear part: fraction and number.
COMPARED, MOST_COMPARED = 0.2, 5000
# Sequences from which on the network is trained once, without the held-out ones,
# instead of twice.
TRAINED_ONCE = 10_000


class LinearSkip:
    """Part of a regressor: a linear forecast on the window, averaged with the network.

    The estimator that it is part of says what it predicts (``_network_forecasts``).
    """

    def _has_linear(self, samples, *, is_stream=False):
        """Whether there is a linear part, by `linear_skip` and the data."""
        if self.linear_skip is False or self._per_step or self._reads_tokens:
            return False
        if len(samples.y) < FEWEST_SEQUENCES:
            return False
        if self.linear_skip is True:
            return True
        enough = len(samples.y) >= FEWEST_TO_COMPARE
        return not is_stream and (enough or self._target_columns is not None)

    @contextmanager
    def _beside_network(self, samples, validation, continuing):
        self.linear_ = self.validation_errors_ = None
        self.network_weight_ = np.ones(self._n_targets)
        if not self._has_linear(samples):
            yield samples
            return
        cross_fit = fit_linear(
            samples.sequences,
            samples.y,
            samples.weights,
            self._target_columns,
            self._horizon(),
            self.scale_windows,
            np.random.RandomState(self._random_state.randint(2**31 - 1)),
        )
        self.linear_ = cross_fit.part
        # Until the network is known to help.
        self.network_weight_ = np.zeros(self._n_targets)
        self._learn_residuals(samples, cross_fit)
        if validation is not None:
            yield samples
            self._compare(validation, self.linear_.predict(validation.sequences))
        elif len(samples.y) < FEWEST_TO_COMPARE:
            yield samples
        else:
            train, held_out = self._split_to_compare(samples)
            unseen = samples.select(held_out)
            linear = cross_fit.predict(samples.sequences, held_out)
            if continuing or len(samples.y) >= TRAINED_ONCE:
                yield samples.select(train)
                self._compare(unseen, linear)
            else:
                trial = self._try_network(samples.select(train))
                if trial is not None:
                    self._compare(unseen, linear, trial)
                yield samples

    def _split_to_compare(self, samples):
        fraction = min(COMPARED, MOST_COMPARED / len(samples.y))
        return validation_split(
            samples.sequences, fraction, self._random_state, horizon=self._horizon()
        )

    def _try_network(self, samples):
        """Train the network alone on some of the data; None if it diverges."""
        trial = clone(self).set_params(
            linear_skip=False,
            target_feature=None if self._target_columns is None else self._target_columns.tolist(),
            subtract_last=bool(self._subtracts_last),
            callbacks=None,
            verbose=0,
            early_stopping=False,
            warm_start=False,
            random_state=int(self._random_state.randint(2**31 - 1)),
        )
        trial._warns_of_labels = False  # the network itself does
        try:
            return trial.fit(samples.sequences, samples.y, samples.weights)
        except DivergenceError:
            return None  # and so will the network itself, which says so

    def _compare(self, unseen, linear, trained=None):
        """Choose the network's weight by sequences that it has not seen."""
        trained = self if trained is None else trained
        # It has learned the categories of fewer sequences.
        outputs = trained._outputs_of(trained._recode(unseen.sequences))
        network = trained._network_forecasts(unseen.sequences, outputs)
        linear = self._linear_forecasts(unseen.sequences, linear)

        def loss(predicted):
            return elementwise_loss(
                self._fitted_loss, unseen.y, predicted, self._targets.scale, self._levels
            )

        self.network_weight_ = network_weights(
            loss, linear, network, unseen.weights, self._blocks(unseen.sequences)
        )

    def _blocks(self, sequences):
        """Return for each output blocks of sequences with overlapping forecasts."""
        rows = np.arange(len(sequences))
        if not (sequences.knows_time or sequences.shares_rows()):
            return [rows] * self._n_targets
        time = sequences.moments_of(sequences.ends - 1)
        return [(time - time.min()) // steps for steps in self._horizons()]

    def _learn_residuals(self, samples, cross_fit):
        """Keep the quantiles of the linear part's errors, in units of the windows."""
        self._linear_quantiles = None
        if self._levels is None:
            return
        rows = evenly(len(samples.y), MOST_COMPARED)
        error = samples.y[rows] - cross_fit.predict(samples.sequences, rows)
        error /= self.linear_.units(samples.sequences[rows])
        weights = None if samples.weights is None else samples.weights[rows]
        self._linear_quantiles = marginal_quantiles(error, self._levels, weights)

    def _linear_forecasts(self, sequences, linear):
        """Return what the linear part predicts: numbers, or quantiles of each."""
        if self._levels is None:
            return linear
        units = self.linear_.units(sequences)[:, :, np.newaxis]
        return linear[:, :, np.newaxis] + units * self._linear_quantiles

    def _add_linear(self, sequences, network):
        """Return the average of network and linear part."""
        part = getattr(self, "linear_", None)  # none in pickles of version 0.6
        if part is None:
            return network
        linear = self._linear_forecasts(sequences, part.predict(sequences))
        weight = self.network_weight_
        if self._levels is not None:
            weight = weight[:, np.newaxis]
        return linear + weight * (network - linear)
