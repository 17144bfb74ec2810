"""The linear part beside a regressor's network, and the weight of each."""

import warnings
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import (
    DivergenceError,
    InvalidSequenceError,
    SklearnRNNWarning,
    user_stacklevel,
)
from sklearn_rnn.estimators._blend import (
    TINY,
    elementwise_loss,
    network_weights,
    weighted_losses,
)
from sklearn_rnn.estimators._linear_fit import (
    FEW,
    FEWEST_SEQUENCES,
    MOST_VALUES,
    LinearStream,
    choose_scaled_layout,
    evenly,
    fit_linear,
)
from sklearn_rnn.estimators._quantiles import marginal_quantiles
from sklearn_rnn.estimators._target_names import steps_ahead
from sklearn_rnn.estimators._windows import weights_of_long
from sklearn_rnn.training import find_copies, validation_folds

# Sequences below which held-out ones would say nothing about the network.
FEWEST_TO_COMPARE = 40
# Networks that are trained without a fold each to compare them with the linear part.
N_FOLDS = 3
# Sequences from which on only the network itself is trained, without one of so many
# folds.
TRAINED_ONCE, N_FOLDS_OF_MANY = 10_000, 10
# Held-out sequences that the two are compared on, at most.
MOST_COMPARED = 20_000
# Units of hidden_size="auto", and of the plain RNN that cell="auto" may choose: below
# FEW sequences two networks are compared in folds, a GRU that reads values as they are,
# and a plain RNN that reads windows in their own units, which needs less data. Chosen
# on the development half of the quality benchmark.
UNITS, RNN_UNITS = 64, 128
# Calls of partial_fit that the network's weight depends on, at most.
MOST_CALLS = 200
# A smaller fraction of the linear part's error is not worth a network.
SMALL_GAIN = 0.01
# Sequences from which the quantiles of the linear part's errors are read, at most.
MOST_RESIDUALS = 20_000


class LinearSkip:
    """Part of a regressor: a linear forecast on the window, averaged with the network.

    The estimator that it is part of says what its network predicts
    (``_network_forecasts``).
    """

    # A linear part that was fitted before the network, to be used with it, and what
    # networks like it predicted for held-out folds.
    _cross_fit = _fold_predictions = None
    _has_validation = False

    def _has_linear(self, samples):
        """Return whether there is a linear part, by `linear_skip` and the data."""
        if self.linear_skip is False or self._per_step or self._reads_tokens:
            return False
        if self.linear_skip is True:
            return True
        n_distinct = _count(samples)
        is_wide = samples.sequences.n_features > MOST_VALUES
        if n_distinct < FEWEST_SEQUENCES or is_wide:
            return False
        return n_distinct >= FEWEST_TO_COMPARE or self._target_columns is not None

    def _check_linear(self):
        """Check that `linear_skip` goes with what the network reads and predicts."""
        if self.linear_skip is not True:
            return
        if self.return_sequences:
            raise ValueError(
                "linear_skip=True predicts from the steps before the end of a "
                "sequence, and return_sequences=True at every step. Set linear_skip "
                "to 'auto' or False."
            )
        if self._embeds():
            raise ValueError(
                "linear_skip=True needs numbers, but embedding_dim is set: X holds "
                "tokens. Set linear_skip to 'auto' or False."
            )

    def _network(self, samples, random_state, continuing, is_stream=False):
        if continuing:
            self._check_unchanged()
        self._is_stream = is_stream
        # Of its own, so that the network is the one that there is without it.
        self._linear_random_state = deepcopy(random_state)
        if self.linear_skip is True and not (continuing and is_stream):
            n_distinct = _count(samples)
            if n_distinct < FEWEST_SEQUENCES:
                raise ValueError(
                    f"linear_skip=True needs at least {FEWEST_SEQUENCES} sequences to "
                    f"choose penalties by cross-validation, got {n_distinct}. Give "
                    "more, or set linear_skip to 'auto' or False."
                )
        return super()._network(samples, random_state, continuing, is_stream)

    def _check_unchanged(self):
        """Check that a network that is trained on has its linear part and units."""
        part = getattr(self, "linear_", None)
        changed = []
        if self.linear_skip is True and part is None:
            changed.append(f"linear_skip={self.linear_skip}")
        if self.scale_windows != "auto":
            is_scaled = self._unit_layout is not None
            if self.scale_windows != is_scaled:
                changed.append(f"scale_windows={self.scale_windows}")
        if changed:
            raise ValueError(
                f"{' and '.join(changed)} is not what the last fit had, whose network "
                "continues to be trained. Restore it, or set warm_start=False."
            )

    def _leave_out_linear(self):
        self.linear_ = self.validation_errors_ = self.advice_ = self._stream = None
        self.network_weight_ = np.ones(self._n_targets)

    def _fit_beside(self, samples):
        self.linear_ = self._cross_fit = self._unit_layout = None
        self._fold_predictions = None
        self._use_cell("gru" if self.cell == "auto" else self.cell)
        is_stream = self._is_stream and self.linear_skip is not True
        layout, may_choose = None, False
        if self._has_linear(samples) and not is_stream:
            self._cross_fit = self._fit_linear(samples, self.scale_windows)
            part = self._cross_fit.part
            layout = part.layout
            self._target_spread = _target_spread(samples, part)
            # With validation data no network is trained but the one that predicts.
            may_choose = not (self._is_stream or self._has_validation)
            may_choose = may_choose and FEWEST_TO_COMPARE <= _count(samples) < FEW
        elif self.scale_windows is True:
            layout = self._scaled_layout(samples)
        if layout is not None and layout.is_scaled and self.subtract_last is not False:
            self._unit_layout = layout
        if may_choose:
            self._choose_network(samples)

    def _use_cell(self, cell):
        """Set the cell, and the units of a layer with it."""
        self.cell_, self.hidden_size_ = cell, self.hidden_size
        if self.hidden_size == "auto":
            is_chosen = self.cell == "auto" and cell == "rnn"
            self.hidden_size_ = RNN_UNITS if is_chosen else UNITS

    def _scaled_layout(self, samples):
        return choose_scaled_layout(
            samples.sequences, samples.weights, self._target_columns
        )

    def _candidates(self, samples):
        """Return cells and layouts of window units of the networks to choose from."""
        cell, layout = self.cell_, self._unit_layout
        candidates, is_auto = [(cell, layout)], self.cell == "auto"
        if self._target_columns is None:
            return candidates
        if layout is not None:
            return candidates + [("rnn", layout)] * is_auto
        if self.scale_windows == "auto" and self.subtract_last is not False:
            scaled = self._scaled_layout(samples)
            candidates.append(("rnn" if is_auto else cell, scaled))
        return candidates

    def _choose_network(self, samples):
        """Choose cell and window units by networks that have not seen a fold each."""
        folds, trials = self._draw_folds(samples), []
        for cell, layout in self._candidates(samples):
            self._use_cell(cell)
            self._unit_layout = layout
            self._decide_subtraction(samples)
            predicted = self._predict_folds(samples, *folds)
            error = self._fold_error(samples, predicted)
            trials.append((error, cell, layout, predicted))
        _, cell, layout, predicted = min(trials, key=lambda trial: trial[0])
        self._use_cell(cell)
        self._unit_layout, self._fold_predictions = layout, predicted

    def _fold_error(self, samples, predicted):
        """Return the mean logarithm of the outputs' losses in held-out folds."""
        if predicted is None:
            return np.inf
        part = self._cross_fit.part
        losses = self._loss_function(samples, part)(predicted)
        mean = _mean_error(losses, _comparison_weights(samples, part), None)
        # Below a hundredth of the targets' spread an error is no reason to choose.
        least = self._target_spread / 100
        if self._fitted_loss == "squared_error":
            least = least**2
        return np.log(np.maximum(mean, least)).mean()

    def _check_scaling(self, samples):
        """Check that there is a past to be scaled."""
        if self.scale_windows is not True:
            return
        if self._target_columns is None:
            raise ValueError(
                "scale_windows=True measures the past of the targets by its spread, "
                "and there is none: name the input feature that holds it, "
                "target_feature=, or set scale_windows to 'auto' or False."
            )
        if self.return_sequences or self.subtract_last is False:
            raise ValueError(
                "scale_windows=True reads the past of the targets relative to its last "
                "value, in units of the window, which return_sequences=True and "
                "subtract_last=False do not allow. Set scale_windows to 'auto' or "
                "False."
            )

    @contextmanager
    def _beside_network(self, samples, validation, continuing):
        predicted, self._fold_predictions = self._fold_predictions, None
        has_part = getattr(self, "linear_", None) is not None
        if continuing and has_part and self.linear_skip is not False:
            # Its data are those that the network has seen: nothing to compare on.
            if self._has_linear(samples) and _count(samples) >= FEWEST_SEQUENCES:
                cross_fit = self._fit_linear(samples, self.linear_.layout.is_scaled)
                self._use_linear(samples, cross_fit, self.network_weight_)
            yield samples
            return
        self._leave_out_linear()
        if continuing or not self._has_linear(samples):
            yield samples
            return
        cross_fit, self._cross_fit = self._cross_fit, None
        self._use_linear(samples, cross_fit, np.zeros(self._n_targets))
        n_distinct = _count(samples)
        if validation is not None:
            yield samples
            unseen = validation.select(evenly(len(validation.y), MOST_COMPARED))
            linear = self.linear_.predict(unseen.sequences)
            self._compare(unseen, linear, self._try_forecast(unseen))
        elif n_distinct < FEWEST_TO_COMPARE:
            yield samples
        elif n_distinct >= TRAINED_ONCE:
            train, held_out = self._last_fold(samples.sequences)
            yield samples.select(train)
            unseen = samples.select(held_out)
            linear = cross_fit.predict(samples.sequences, held_out)
            self._compare(unseen, linear, self._try_forecast(unseen))
        else:
            linear = cross_fit.predict(samples.sequences, np.arange(len(samples.y)))
            if n_distinct >= FEW:
                predicted = self._predict_folds(samples, *self._draw_folds(samples))
            self._compare(samples, linear, predicted)
            yield samples

    def _last_fold(self, sequences):
        """Return which sequences to train on, and which to compare on."""
        folds, near = validation_folds(
            sequences, N_FOLDS_OF_MANY, self._horizon(), self._linear_random_state
        )
        last, rows = folds.max(), np.arange(len(folds))
        held_out = np.flatnonzero(folds == last)
        held_out = held_out[evenly(len(held_out), MOST_COMPARED)]
        return np.flatnonzero((folds != last) & ~near(last, rows)), held_out

    def _learn_beside_network(self, samples, continuing):
        if not continuing:
            self._leave_out_linear()
            if self.linear_skip is not True:
                return
            self._use_linear(samples, self._cross_fit, np.zeros(self._n_targets))
            self._cross_fit = None
            self._stream = LinearStream(self.linear_)
            self._stream_losses = []
        elif getattr(self, "_stream", None) is None:
            if self.linear_ is not None and not self.network_weight_.any():
                warnings.warn(
                    "partial_fit trains the network, which has no weight in the "
                    "predictions (network_weight_ is 0): they stay those of the linear "
                    "part that fit made. Fit with linear_skip=False, or begin with "
                    "partial_fit and linear_skip=True.",
                    SklearnRNNWarning,
                    stacklevel=user_stacklevel(),
                )
            return
        else:
            self._compare_stream(samples)
        weights = samples.weights
        self.linear_ = self._stream.add(samples.sequences, samples.y, weights)

    def _compare_stream(self, samples):
        """Weigh the network by data of a call that neither part has seen yet."""
        linear = self.linear_.predict(samples.sequences)
        linear = self._linear_forecasts(samples.sequences, linear)
        network = self._try_forecast(samples)
        if network is None:
            return
        loss = self._loss_function(samples, self.linear_)
        weights = _sample_weights(samples)
        losses = weighted_losses(loss, linear, network, weights)
        self._stream_losses.append((*losses, _count_targets(samples, weights)))
        del self._stream_losses[:-MOST_CALLS]
        losses, weights, counts = map(sum, zip(*self._stream_losses, strict=True))
        found = network_weights(losses, weights, counts)
        self.network_weight_ = np.where(counts >= FEWEST_TO_COMPARE, found, 0.0)

    def _loss_function(self, samples, part):
        """Return the loss of predictions for some samples, as a function."""
        # Windows of different size count alike.
        unit = part.units(samples.sequences, of_errors=True)
        y, levels, name = samples.y / unit, self._levels, self._fitted_loss
        scale = self._target_spread  # from which on "huber" is linear

        def loss(predicted):
            wide = unit if levels is None else unit[:, :, np.newaxis]
            return elementwise_loss(name, y, predicted / wide, scale, levels)

        return loss

    def _fit_linear(self, samples, is_scaled):
        """Fit the linear part: to all sequences, and without each fold."""
        return fit_linear(
            samples.sequences,
            samples.y,
            samples.weights,
            self._target_columns,
            self._horizon(),
            is_scaled,
            np.random.RandomState(self._linear_random_state.randint(2**31 - 1)),
            steps_ahead(getattr(self, "target_names_", None)),
            is_mean=self._fitted_loss == "squared_error",
        )

    def _use_linear(self, samples, cross_fit, network_weight):
        """Set ``linear_``, and the network's weight until it is compared."""
        self.linear_ = cross_fit.part.without_folds()
        self.network_weight_ = network_weight
        self._learn_residuals(samples, cross_fit)

    def _forecast_alone(self, samples):
        """Return what the network alone predicts."""
        # A network without a fold has learned the categories of fewer sequences.
        outputs = self._outputs_of(self._recode(samples.sequences))
        return self._network_forecasts(samples.sequences, outputs)

    def _try_forecast(self, samples):
        """Return what the network alone predicts, None if it overflows."""
        try:
            return self._forecast_alone(samples)
        except InvalidSequenceError:
            return None

    def _draw_folds(self, samples):
        """Return the fold of each sequence, which are near to one, and seeds."""
        folds, near = validation_folds(
            samples.sequences, N_FOLDS, self._horizon(), self._linear_random_state
        )
        return folds, near, self._linear_random_state.randint(2**31 - 1, size=N_FOLDS)

    def _predict_folds(self, samples, folds, near, seeds):
        """Predict each sequence by a network that has not seen its fold.

        Returns
        -------
        ndarray of shape (n_sequences, n_outputs, ...), or None
            NaN where there is no target to learn from outside of a fold. None if
            training diverges.
        """
        rows = np.arange(len(folds))
        depth = () if self._levels is None else (len(self._levels),)
        predicted = np.full((*samples.y.shape, *depth), np.nan)
        for fold in range(folds.max() + 1):
            seen = samples.select(np.flatnonzero((folds != fold) & ~near(fold, rows)))
            known = np.flatnonzero(~np.isnan(seen.y).all(axis=0))
            if len(known) == 0:
                continue
            unseen = np.flatnonzero(folds == fold)
            try:
                network = self._fit_alone(seen, known, int(seeds[fold]))
                found = network._forecast_alone(samples.select(unseen))
            except (DivergenceError, InvalidSequenceError):
                return None
            predicted[unseen[:, np.newaxis], known] = found
        return predicted

    def _fit_alone(self, samples, outputs, seed):
        """Train the network alone on some of the data, in an estimator of its own."""
        columns = self._target_columns
        # Not a clone: that would copy callbacks, and copies may not be called.
        options = self.get_params(deep=False) | {
            "linear_skip": False,
            "target_feature": None if columns is None else columns[outputs].tolist(),
            "cell": self.cell_,
            "hidden_size": self.hidden_size_,
            "subtract_last": bool(self._subtracts_last),
            "scale_windows": self._unit_layout is not None,
            "early_stopping": False,
            "warm_start": False,
            "callbacks": None,
            "kernel": "compiled" if self.kernel == "numba" else self.kernel,
            "verbose": 0,
            "random_state": seed,
        }
        network = type(self)(**options)
        network._warns_of_labels = False  # the one that predicts does
        return network.fit(samples.sequences, samples.y[:, outputs], samples.weights)

    def _compare(self, unseen, linear, network):
        """Choose the network's weight by predictions for what was not seen."""
        if network is None:
            return
        linear = self._linear_forecasts(unseen.sequences, linear)
        network = np.where(np.isnan(network), linear, network)
        loss = self._loss_function(unseen, self.linear_)
        weights = _comparison_weights(unseen, self.linear_)
        losses = weighted_losses(loss, linear, network, weights)
        counts = _count_targets(unseen, weights)
        self.network_weight_ = network_weights(*losses, counts)
        naive = self.linear_.predict_naive(unseen.sequences)
        if naive is None:
            naive = np.broadcast_to(self._targets.intercept, unseen.y.shape)
        compared = {
            "naive": self._linear_forecasts(unseen.sequences, naive),
            "linear": linear,
            "network": network,
            "combined": self._combine(linear, network),
        }
        self.validation_errors_ = pd.DataFrame(
            {
                name: _mean_error(loss(predicted), weights, self._fitted_loss)
                for name, predicted in compared.items()
            },
            index=getattr(self, "target_names_", None),
        )
        self.advice_ = give_advice(self)
        if self.advice_ is not None and self.verbose:
            print(f"{type(self).__name__}: {self.advice_}")

    def _learn_residuals(self, samples, cross_fit):
        """Keep the quantiles of the linear part's errors, in units of the windows."""
        self._linear_quantiles = None
        if self._levels is None:
            return
        rows = evenly(len(samples.y), MOST_RESIDUALS)
        error = samples.y[rows] - cross_fit.predict(samples.sequences, rows)
        error /= self.linear_.units(samples.sequences[rows], of_errors=True)
        weights = None if samples.weights is None else samples.weights[rows]
        self._linear_quantiles = marginal_quantiles(error, self._levels, weights)

    def _linear_forecasts(self, sequences, linear):
        """Return what the linear part predicts: numbers, or quantiles of each."""
        if self._levels is None:
            return linear
        units = self.linear_.units(sequences)[:, :, np.newaxis]
        return linear[:, :, np.newaxis] + units * self._linear_quantiles

    def _combine(self, linear, network):
        weight = self.network_weight_
        if self._levels is not None:
            weight = weight[:, np.newaxis]
        return linear + weight * (network - linear)

    def _add_linear(self, sequences, network):
        """Return the average of network and linear part."""
        part = getattr(self, "linear_", None)  # none in pickles of version 0.6
        if part is None:
            return network
        linear = self._linear_forecasts(sequences, part.predict(sequences))
        return self._combine(linear, network)


def _count(samples):
    """Return the number of sequences. Copies, like a weight, count once."""
    return len(find_copies(samples.sequences)[0])


def _sample_weights(samples):
    return np.ones(len(samples.y)) if samples.weights is None else samples.weights


def _count_targets(samples, weights):
    """Return the number of sequences of positive weight that have each target."""
    first = find_copies(samples.sequences)[0]
    is_there = ~np.isnan(samples.y[first]) & (weights[first] > 0)[:, np.newaxis]
    return is_there.sum(axis=0)


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


def give_advice(estimator):
    """Return what to look at where a fit does not improve on simpler forecasts.

    Parameters
    ----------
    estimator : RNNRegressor
        With `validation_errors_`.

    Returns
    -------
    str or None
        None if the network helps for most outputs.
    """
    errors = estimator.validation_errors_
    n_worse = int((errors["combined"] >= errors["naive"]).sum())
    if n_worse > len(errors) / 2:
        if estimator._target_columns is None:
            remedy = "name the input with the target's own past: target_feature="
        else:
            remedy = (
                "more steps per window, other columns, CalendarFeatures, or a "
                "shorter horizon may tell more"
            )
        return (
            f"for {n_worse} of {len(errors)} outputs the forecast is no better than "
            f"the naive one on unseen data (validation_errors_); {remedy}."
        )
    is_silent = errors["combined"] > (1 - SMALL_GAIN) * errors["linear"]
    n_silent = int(is_silent.sum())
    if n_silent > len(errors) / 2:
        return (
            f"for {n_silent} of {len(errors)} outputs the network improves the error "
            "of the linear part on unseen data by less than 1 % (validation_errors_); "
            "more data, other columns, dropout= or a smaller hidden_size= may change "
            "that."
        )
    return None


def _mean_error(losses, weights, name):
    """Return the mean loss of each output, the root of a mean square."""
    known = ~np.isnan(losses)
    weights = np.where(known, weights[:, np.newaxis], 0.0)
    mean = np.where(known, losses, 0.0) * weights
    mean = mean.sum(axis=0) / np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    return np.sqrt(mean) if name == "squared_error" else mean
