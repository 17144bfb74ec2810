"""Regression: a sequence, or each of its steps, has numbers as targets."""

from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.metrics import r2_score

from sklearn_rnn._exceptions import DivergenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form import (
    FEW,
    FEWEST_SEQUENCES,
    FEWEST_TO_COMPARE,
    LinearSkip,
    choose_scaled_layout,
    evenly,
    window_units,
)
from sklearn_rnn.estimators.tasks._linear_training import (
    beside_linear,
    cross_fit_linear,
    has_linear,
    may_have_linear,
)
from sklearn_rnn.estimators.tasks._numbers import NumberTargets
from sklearn_rnn.estimators.tasks._samples import flat_weights
from sklearn_rnn.estimators.tasks._steps import score_steps, split_steps
from sklearn_rnn.estimators.tasks._target_names import steps_ahead
from sklearn_rnn.estimators.tasks._targets import (
    Baseline,
    Dependence,
    are_changes_small,
    find_past,
    make_output,
    target_columns,
    update_output,
)
from sklearn_rnn.estimators.tasks._task import DTYPES, SequenceTask
from sklearn_rnn.estimators.tasks._trials import (
    MOST_COMPARED,
    compare_networks,
)
from sklearn_rnn.preprocessing import find_keys
from sklearn_rnn.sequences import LARGEST_INPUT, locate
from sklearn_rnn.training import WeightedLoss, find_copies, n_epochs_for

# Of the initial weights of the output layer.
HEAD_SCALE = 0.1
# Forecasts from so many windows take more updates, in up to so many epochs. Five epochs
# of a panel of shops left a network short of training.
MANY_WINDOWS, MANY_UPDATES, MOST_EPOCHS = 8192, 5000, 20
# Units of hidden_size="auto", and of the plain RNN that cell="auto" may choose: below
# FEW sequences two networks are compared in folds, a GRU that reads values as they are,
# and a plain RNN that reads windows in their own units, which needs less data. Chosen
# on the development half of the quality benchmark.
UNITS, RNN_UNITS = 64, 128


@plain_type
class RegressionTask(SequenceTask):
    """Learn numbers: residuals of a naive forecast, beside a linear one."""

    parts = (*SequenceTask.parts, "baseline", "numbers", "linear", "dependence")
    # During a fit alone: the linear part with its folds, what networks without a fold
    # predict for it, and random numbers for both.
    cross_fit: Any = None
    fold_predictions: Any = None
    random_state: Any = None
    # Whether the y of fit says that its missing targets are masked.
    y_is_masked = False

    def __init__(self, estimator_name, params):
        super().__init__(estimator_name, params)
        params = self.params
        # As at the first fit, whatever parameters are later.
        self.per_step = params.return_sequences
        self.output = make_output(params)
        self.baseline = Baseline(self.per_step, params.subtract_last is True)
        self.numbers = NumberTargets(estimator_name, self.per_step)
        self.linear = LinearSkip(1, self.output)
        self.dependence: Any = None
        self.n_distinct, self.advice = 0, None
        self.chosen_cell = "gru" if params.cell == "auto" else params.cell
        self.chosen_size = UNITS

    # An attribute of other tasks.
    @property
    def targets_may_be_missing(self):  # type: ignore[override]
        chosen = self.params.missing_targets
        ignored = self.y_is_masked if chosen == "auto" else chosen == "ignore"
        return self.per_step or ignored

    @property
    def n_targets(self):
        """The number of numbers that are predicted."""
        return self.numbers.shape[0]

    @property
    def n_outputs(self):
        return self.n_targets * self.output.size

    # Parameters

    def check_params(self, last):
        super().check_params(last)
        params, is_continued = self.params, last is not None
        _check_linear(params, self.tokens.is_used)
        _check_subtraction(params)
        if self.output.is_count:
            _check_counts(params)
        if is_continued and params.return_sequences != self.per_step:
            raise ValueError(
                f"return_sequences={params.return_sequences}, and the last fit, whose "
                "network continues to be trained, had it the other way. Restore it, or "
                "set warm_start=False."
            )
        subtracts = self.baseline.subtracts_last
        if is_continued and params.subtract_last not in ("auto", bool(subtracts)):
            raise ValueError(
                f"subtract_last={params.subtract_last} is not what the last fit had, "
                "whose network continues to be trained. Restore it, or set "
                "warm_start=False."
            )
        if is_continued:
            self.output = self.linear.output = update_output(self.output, params)
        if params.return_sequences and params.pooling != "last":
            raise ValueError(
                f"pooling={params.pooling!r} makes one vector of all steps, and "
                "return_sequences=True predicts at every step: leave pooling at its "
                "default."
            )

    # Data

    def parse_targets(self, y, *, reset, is_scored=False, **about_y):
        if self.per_step:
            y = self.numbers.parse_steps(y, reset=reset)
        else:
            if reset:
                self.y_is_masked = find_keys(y).missing == "mask"
            may_be_missing = self.targets_may_be_missing
            y = self.numbers.parse(y, reset=reset, may_be_missing=may_be_missing)
        # As far as names tell.
        self.horizon = max(steps_ahead(self.numbers.names) or [self.n_targets])
        if not is_scored:  # what is scored may be anything, as r2_score takes it
            self.output.check_targets(y)
            self.output.target_weights(self.n_targets)
        return y

    def as_network_input(self, sequences):
        baseline = self.baseline
        if not baseline.subtracts_last:
            return sequences
        units = None
        if baseline.unit_layout is not None:
            units = window_units(baseline.unit_layout, sequences)
        return sequences.difference(np.unique(baseline.columns), units)

    def network_targets(self, samples):
        targets = samples.all_targets()
        return self.output.encode(self.baseline, samples.sequences, targets)

    # What the network is, and what it predicts

    def prepare(self, samples, validation, context):
        prepared = super().prepare(samples, validation, context)
        samples, baseline = prepared[0], self.baseline
        if context.is_continued:
            _check_same_parts(self)
        # Of its own, so that the network is the one that there is without it.
        self.random_state = deepcopy(context.random_state)
        is_later_call = context.is_stream and context.is_continued
        if may_have_linear(self) and not is_later_call:
            # Copies, like a weight, count once.
            self.n_distinct = len(find_copies(samples.sequences)[0])
            _check_enough(self)
        if context.is_continued:
            baseline.update(samples)
            return prepared
        if self.output.is_distribution:  # until training, which may stop, is over
            self.dependence = Dependence(self.n_targets)
        baseline.columns = _find_past(self, samples)
        baseline.lags = _check_season(self, samples)
        _check_scaling(self.params, baseline.columns is not None)
        baseline.fit(samples)  # of a size that fits, before time is spent on folds
        self._choose_network(samples, context)
        baseline.subtracts_last = self._subtracts_last(samples)
        baseline.fit(samples)
        _check_not_categorical(self, samples.sequences.feature_names)
        return prepared

    def _subtracts_last(self, samples):
        """Return whether the network reads differences from the last value."""
        baseline = self.baseline
        if self.params.subtract_last != "auto":
            return baseline.subtracts_last
        if baseline.columns is None or self.per_step or self.output.is_count:
            return False
        if baseline.unit_layout is not None:
            return True  # in units of the window nothing but changes has a meaning
        last, _ = baseline.reference(samples.sequences)
        return are_changes_small(samples.y, last, samples.weights)

    def _choose_network(self, samples, context):
        """Fit the linear part; set cell, units, and the units of windows."""
        self.linear = LinearSkip(self.n_targets, self.output)
        self.cross_fit = self.fold_predictions = self.advice = None
        params = self.params
        is_stream = context.is_stream and params.linear_skip is not True
        layout, may_choose = None, False
        if has_linear(self, samples.sequences.n_features) and not is_stream:
            is_scaled = False if self.output.is_count else params.scale_windows
            self.cross_fit = cross_fit_linear(self, samples, is_scaled)
            layout = self.cross_fit.part.layout
            self.linear.set_spread(samples, self.cross_fit.part)
            # With validation data no network is trained but the one that predicts.
            may_choose = not (context.is_stream or context.has_validation)
            may_choose = may_choose and FEWEST_TO_COMPARE <= self.n_distinct < FEW
        elif params.scale_windows is True:
            columns = self.baseline.columns
            layout = choose_scaled_layout(samples.sequences, samples.weights, columns)
        if (
            layout is not None
            and layout.is_scaled
            and params.subtract_last is not False
        ):
            self.baseline.unit_layout = layout
        if may_choose:
            part = self.cross_fit.part
            self.fold_predictions = compare_networks(self, samples, context, part)

    def use_network(self, cell, layout, samples):
        """Choose cell, units, the units of windows, and whether changes are read."""
        is_plain = self.params.cell == "auto" and cell == "rnn"
        self.chosen_cell, self.chosen_size = cell, RNN_UNITS if is_plain else UNITS
        self.baseline.unit_layout = layout
        self.baseline.subtracts_last = self._subtracts_last(samples)

    def scale_inputs(self, samples, validation, network=None):
        scaling = super().scale_inputs(samples, validation, network)
        # Here, as it is known now that the network of a last fit can be trained on.
        _check_targets(self, samples)
        return scaling

    @torch.no_grad()
    def initialize(self, network, samples):
        # Targets have mean 0: a nearly silent network predicts nearly just that.
        # Not quite 0, or the first gradient of the bias is pure rounding, which
        # Adam blows up to 1e-12.
        network.head.weight.mul_(HEAD_SCALE)
        targets, weights = self.network_targets(samples), samples.target_weights()
        bias = self.output.first_outputs(targets, weights)
        if bias is not None:
            network.head.bias.copy_(torch.from_numpy(bias.ravel()))

    # Training

    def loss(self):
        output = self.output
        levels, weights = (
            None if v is None else torch.as_tensor(v, dtype=DTYPES[self.dtype])
            for v in (output.trained_levels, output.target_weights(self.n_targets))
        )
        return WeightedLoss(
            output.loss,
            self.targets_may_be_missing,
            levels=levels,
            target_weights=weights,
        )

    def choose_n_epochs(self, dataset):
        n_epochs, n_windows = super().choose_n_epochs(dataset), len(dataset.sequences)
        has_past = self.baseline.columns is not None and not self.per_step
        if not has_past or n_windows < MANY_WINDOWS:
            return n_epochs
        size = self.batch_size
        many = n_epochs_for(n_windows, size, budget=MANY_UPDATES, at_most=MOST_EPOCHS)
        return max(n_epochs, many)

    @contextmanager
    def around_training(self, net, samples, validation, context):
        with beside_linear(self, samples, validation, context) as train:
            yield train
        if self.output.is_distribution and not self.is_trial:
            _add_dependence(self, samples, context)

    def score(self, outputs, dataset):
        targets, outputs = (
            numbers.cpu().numpy().astype(np.float64)
            for numbers in (dataset.flat_targets()[0], outputs)
        )
        sequences = dataset.sequences
        y_true = self.output.decode(self.baseline, sequences, targets)
        # Of the network alone: its weight beside the linear part comes afterwards.
        y_pred = self.decode(sequences, outputs, like_y=False, alone=True)
        weights = flat_weights(dataset)
        if self.targets_may_be_missing:
            return score_steps(r2_score, y_true, y_pred, weights)
        if len(y_true) < 2:
            return np.nan
        return r2_score(y_true, y_pred, sample_weight=weights)

    # Predictions

    def forecast_alone(self, sequences, compute_outputs):
        """Return what the network alone predicts."""
        # A network without a fold has learned the categories of fewer sequences.
        outputs = compute_outputs(self.categories.recode(sequences))
        return self.output.restore(self.baseline, sequences, outputs)

    def decode(self, sequences, outputs, describe=None, *, like_y=True, alone=False):
        """Turn outputs of the network into predictions.

        `describe` makes them of forecasts, by default points (n, n_targets); a subclass
        that predicts something else changes it. `like_y` brings them into the form of
        the y of fit, of steps maybe as an array of objects; without it they are as
        `parse_targets` returns targets, with which they are compared. `alone` leaves
        the linear part out.
        Without outputs, None, forecasts are those of the linear part alone.
        """
        forecasts: Any = None
        if outputs is not None:
            forecasts = self.output.restore(self.baseline, sequences, outputs)
        if self.linear.part is not None and not alone:
            forecasts = self.linear.forecast(sequences, forecasts)
        if describe is None and not self.output.depth:  # points already
            found = np.clip(forecasts, *self.output.bounds)
        else:
            found = (describe or self.output.points)(forecasts)
        if not like_y:
            return found
        if self.numbers.is_1d:
            found = found[:, 0]
        if not self.per_step:
            return found
        return split_steps(found, sequences.lengths, as_array=self.y_was_array)

    def finish(self):
        super().finish()
        self.cross_fit = self.fold_predictions = self.random_state = None


def _find_past(task, samples):
    """Return the features that hold the targets' past, or None."""
    wanted, names = task.params.target_feature, task.numbers.names
    columns = target_columns(wanted, samples.sequences, task.n_targets, names)
    is_auto = isinstance(wanted, str) and wanted == "auto" and names is None
    if columns is None and is_auto and not (task.per_step or task.tokens.is_used):
        columns = find_past(samples)
    if columns is not None and task.tokens.is_used:
        raise ValueError(
            "target_feature needs numbers, but embedding_dim is set: X holds tokens."
        )
    if task.baseline.subtracts_last and columns is None:
        raise ValueError(
            "subtract_last=True needs target_feature, whose last value it is that "
            "is subtracted, and target_feature='auto' found none: name the input "
            "that holds the target's own past."
        )
    return columns


def _check_targets(task, samples):
    """Check that targets stay finite in the network's dtype."""
    targets = task.network_targets(samples)
    limit = LARGEST_INPUT[task.dtype]
    with np.errstate(invalid="ignore"):
        outside = np.abs(targets) > limit
    if not outside.any():
        return
    at, output = map(int, np.argwhere(outside)[0])
    place = f"sequence {at}"
    if task.per_step:
        place = "sequence {}, step {}".format(*locate(samples.y, at))
    raise DivergenceError(
        f"y holds {samples.all_targets()[at, output]:.6g} at {place}, output "
        f"{output}, more than {limit:.0e} standard deviations from the targets "
        f"that {task.estimator_name} with dtype={task.dtype!r} was fitted on: the "
        "loss would be infinite. Correct it, or leave it out."
    )


def _check_enough(task):
    """Check that there are sequences enough for a linear part that is asked for."""
    if task.params.linear_skip is True and task.n_distinct < FEWEST_SEQUENCES:
        raise ValueError(
            f"linear_skip=True needs at least {FEWEST_SEQUENCES} sequences to "
            f"choose penalties by cross-validation, got {task.n_distinct}. Give "
            "more, or set linear_skip to 'auto' or False."
        )


def _add_dependence(task, samples, context):
    """Learn how targets vary together, from what the network was trained on."""
    if not context.is_stream:
        task.dependence = Dependence(task.n_targets)
    chosen = samples.select(evenly(len(samples.y), MOST_COMPARED))
    outputs = context.compute_outputs(chosen.sequences)
    normal_scores = partial(task.output.normal_scores, chosen.all_targets())
    scores = task.decode(chosen.sequences, outputs, normal_scores, like_y=False)
    task.dependence.add(scores, chosen.target_weights())


def _check_not_categorical(task, feature_names):
    """Check that no category is a target's own past."""
    if task.baseline.columns is None:
        return
    both = np.intersect1d(task.baseline.columns, task.categories.features)
    if len(both):
        name = int(both[0])
        name = name if feature_names is None else feature_names[name]
        raise ValueError(
            f"target_feature={task.params.target_feature!r} is feature {name!r}, "
            "which holds categories, and the target's own past is numbers: name "
            "another one."
        )


def _check_same_parts(task):
    """Check that a network that is trained on has its linear part and units."""
    params, changed = task.params, []
    if params.linear_skip is True and task.linear.part is None:
        changed.append(f"linear_skip={params.linear_skip}")
    if params.scale_windows != "auto":
        is_scaled = task.baseline.unit_layout is not None
        if params.scale_windows != is_scaled:
            changed.append(f"scale_windows={params.scale_windows}")
    if not np.array_equal(_season_lags(task), task.baseline.lags):
        changed.append(f"season={params.season}")
    if changed:
        raise ValueError(
            f"{' and '.join(changed)} is not what the last fit had, whose network "
            "continues to be trained. Restore it, or set warm_start=False."
        )


def _check_linear(params, has_tokens):
    """Check that `linear_skip` goes with what the network reads and predicts."""
    if params.linear_skip is not True:
        return
    if params.return_sequences:
        raise ValueError(
            "linear_skip=True predicts from the steps before the end of a "
            "sequence, and return_sequences=True at every step. Set linear_skip "
            "to 'auto' or False."
        )
    if has_tokens:
        raise ValueError(
            "linear_skip=True needs numbers, but embedding_dim is set: X holds "
            "tokens. Set linear_skip to 'auto' or False."
        )


def _check_subtraction(params):
    """Check that `subtract_last` goes with what is predicted, and from what."""
    if params.subtract_last is not True:
        return
    if params.target_feature is None:
        raise ValueError(
            "subtract_last=True needs target_feature, whose last value it is that "
            "is subtracted: name the input that holds the target's own past."
        )
    if params.return_sequences:
        raise ValueError(
            "subtract_last=True would tell every step what the last one is, and "
            "return_sequences=True predicts from the steps up to each: set one of "
            "them to its default."
        )


def _season_lags(task):
    """Return how many steps back a season before each target is, or None."""
    season = task.params.season
    if season is None or isinstance(season, np.ndarray):  # lags of some of the outputs
        return season
    ahead = steps_ahead(task.numbers.names) or range(1, task.n_targets + 1)
    return -np.array(ahead) % season


def _check_season(task, samples):
    """Return the lags of a season, checked against the data."""
    season, lags = task.params.season, _season_lags(task)
    if season is None:
        return None
    if task.baseline.columns is None or task.per_step:
        raise ValueError(
            f"season={season} needs the target's own past, one target per "
            "sequence: name the input feature that holds it, target_feature=, and "
            "leave return_sequences at False."
        )
    n_steps = samples.sequences.lengths.max()
    if n_steps <= lags.max() and not isinstance(season, np.ndarray):
        raise ValueError(
            f"season={season}: the value of a season before the target stands "
            f"{lags.max()} steps before the last one, and the longest sequence has "
            f"{n_steps} steps. Use longer windows, or set season=None."
        )
    return lags


def _check_counts(params):
    """Check that counts are not to be learned relative to other values."""
    for name in ("subtract_last", "scale_windows"):
        if getattr(params, name) is True:
            raise ValueError(
                f"loss={params.loss!r} needs counts, and {name}=True makes targets "
                f"relative to the past: set {name} to 'auto' or False."
            )


def _check_scaling(params, has_past):
    """Check that there is a past to be scaled."""
    if params.scale_windows is not True:
        return
    if not has_past:
        raise ValueError(
            "scale_windows=True measures the past of the targets by its spread, "
            "and there is none: name the input feature that holds it, "
            "target_feature=, or set scale_windows to 'auto' or False."
        )
    if params.return_sequences or params.subtract_last is False:
        raise ValueError(
            "scale_windows=True reads the past of the targets relative to its last "
            "value, in units of the window, which return_sequences=True and "
            "subtract_last=False do not allow. Set scale_windows to 'auto' or "
            "False."
        )
