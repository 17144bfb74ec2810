"""Numbers as targets: read, and brought to what a network predicts."""

import numpy as np
import torch
from sklearn.metrics import r2_score
from sklearn.utils import check_array

from sklearn_rnn._exceptions import DivergenceError
from sklearn_rnn.estimators._quantiles import marginal_quantiles, point_forecast
from sklearn_rnn.estimators._samples import flat_weights
from sklearn_rnn.estimators._steps import refuse_ragged, score_steps
from sklearn_rnn.estimators._targets import (
    TargetTransform,
    are_changes_small,
    find_past,
    target_columns,
)
from sklearn_rnn.estimators._windows import window_units
from sklearn_rnn.preprocessing import get_target_names
from sklearn_rnn.sequences import (
    LARGEST_INPUT,
    explain_target_errors,
    flat_rows,
    is_missing,
    locate,
    plain_arrays,
    to_numbers,
)

# Of the initial weights of the output layer.
HEAD_SCALE = 0.1


class NumberCoder:
    """Part of an estimator that predicts numbers: a sequence's, or a step's."""

    def _check_y(self, y, *, reset):
        names = get_target_names(y)
        y = plain_arrays(y, estimator_name=type(self).__name__)
        refuse_ragged(y, "set return_sequences=True")
        wanted = "one number per sequence and output"
        with explain_target_errors(wanted):
            values = np.asarray(y)
        self._check_are_numbers(values)
        with explain_target_errors(wanted):
            y = check_array(
                self._without_objects(y),
                ensure_2d=False,
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                input_name="y",
            )
        missing = np.isnan(y).reshape(len(y), -1)
        if self._ignores_missing:
            self._refuse_empty(missing, reset=reset)
        elif missing.any():
            missing = missing.any(axis=1)
            raise ValueError(
                f"Input y contains NaN: {missing.sum()} of {len(y)} targets, the first "
                f"at {int(missing.argmax())}. The last rows of a shifted table have no "
                "target: drop them from X and y, or use make_forecast_frame. To learn "
                "from what is there, set missing_targets='ignore'."
            )
        self._check_n_targets(y, reset=reset)
        self._check_target_names(names, reset=reset)
        return y.reshape(len(y), -1)

    def _without_objects(self, y):
        """Return targets as numbers, if an array of them would hold objects."""
        array = np.asarray(y)
        if array.dtype != object and array.dtype.itemsize <= 8:
            return y
        return to_numbers(
            array,
            estimator_name=type(self).__name__,
            describe=lambda index: "y" + "".join(f"[{i}]" for i in index or ()),
        )

    def _check_target_names(self, names, *, reset):
        known = getattr(self, "target_names_", None)
        if names is None:
            return
        if reset:
            self.target_names_ = names
        elif known is not None and sorted(known) == sorted(names):
            if list(known) != list(names):
                raise ValueError(
                    f"y has the columns {list(names)}, and {type(self).__name__} was "
                    f"fitted on {list(known)}: give them in that order."
                )

    def _check_step_values(self, steps, *, reset):
        self._check_are_numbers(steps.values)
        with explain_target_errors("numbers for each step"):
            values = np.where(is_missing(steps.values), np.nan, steps.values)
        if values.dtype == object:

            def name_place(index):
                place = steps.locate(index[0]) if index else None
                return "y[{}], step {}".format(*place) if place else "y"

            values = to_numbers(
                values, estimator_name=type(self).__name__, describe=name_place
            )
        with explain_target_errors("numbers for each step"):
            values = values.astype(np.float64)
        infinite = np.isinf(values)
        if infinite.any():
            step = int(np.argwhere(infinite)[0][0])
            place = int(np.searchsorted(steps.starts, step, side="right")) - 1
            raise ValueError(
                f"y[{place}] is infinite at step {step - steps.starts[place]}. A step "
                "without a target is NaN."
            )
        self._refuse_empty(np.isnan(values).reshape(len(values), -1), reset=reset)
        self._check_n_targets(values, reset=reset)
        return values.reshape(len(values), -1)

    def _refuse_empty(self, missing, *, reset):
        empty = missing.all(axis=0)
        if empty.all() or (reset and empty.any()):
            everywhere = "at every step" if self._per_step else "for every sequence"
            raise ValueError(
                f"output {int(empty.argmax())} of y is NaN {everywhere}: there is "
                "nothing to learn or to score."
            )

    def _check_are_numbers(self, y):
        text = y.dtype == object and any(isinstance(value, str) for value in y.flat)
        if y.dtype.kind in "US" or text:
            other = "RNNTagger" if self._per_step else "RNNClassifier"
            raise ValueError(
                f"y holds strings; a regressor needs numbers. Convert them, or use "
                f"{other} for labels."
            )
        if y.dtype.kind in "mM":
            raise ValueError(
                f"y holds {y.dtype}; a regressor needs numbers. Convert times to "
                "numbers in a unit of your choice, such as days: y / "
                "np.timedelta64(1, 'D') of durations."
            )

    def _check_n_targets(self, y, *, reset):
        shape = (1,) if y.ndim == 1 else y.shape[1:]
        if reset:
            self._y_is_1d, self._y_shape = y.ndim == 1, shape
        elif shape != self._y_shape:
            raise ValueError(
                f"y has {shape[0]} outputs, but {type(self).__name__} was fitted with "
                f"{self._y_shape[0]}."
            )

    def _learn_targets(self, samples):
        self._target_columns = target_columns(
            self.target_feature,
            samples.sequences,
            self._n_targets,
            getattr(self, "target_names_", None),
        )
        if self._target_columns is None and self._may_find_past():
            self._target_columns = find_past(samples)
        if self._target_columns is not None and self._reads_tokens:
            raise ValueError(
                "target_feature needs numbers, but embedding_dim is set: X holds "
                "tokens."
            )
        if self._subtracts_last and self._target_columns is None:
            raise ValueError(
                "subtract_last=True needs target_feature, whose last value it is that "
                "is subtracted, and target_feature='auto' found none: name the input "
                "that holds the target's own past."
            )
        self._check_scaling(samples)
        if self.subtract_last == "auto":
            self._subtracts_last = False
        self._unit_layout = None
        TargetTransform.fit(*self._targets_to_fit(samples))  # of a size that fits
        self._fit_beside(samples)
        self._decide_subtraction(samples)
        self._targets = TargetTransform.fit(*self._targets_to_fit(samples))

    def _fit_beside(self, samples):
        """Fit what predicts beside the network, and decide its units."""

    def _may_find_past(self):
        """Return whether the data may tell that X is the past of y."""
        auto = isinstance(self.target_feature, str) and self.target_feature == "auto"
        unnamed = getattr(self, "target_names_", None) is None
        return auto and unnamed and not (self._per_step or self._reads_tokens)

    def _decide_subtraction(self, samples):
        """Fix whether the network reads differences, where the data decide."""
        if self.subtract_last != "auto":
            return
        self._subtracts_last = False
        if self._target_columns is None or self._per_step:
            return
        # In units of the window nothing but changes has a meaning.
        self._subtracts_last = self._unit_layout is not None or are_changes_small(
            samples.y, self._last_values(samples.sequences), samples.weights
        )

    def _update_targets(self, samples):
        self._targets = self._targets.update(*self._targets_to_fit(samples))

    def _targets_to_fit(self, samples):
        targets, last = samples.all_targets(), self._last_values(samples.sequences)
        units = self._units_of(samples.sequences)
        return (
            targets if units is None else targets / units,
            samples.target_weights(),
            last if units is None else last / units,
            self._subtracts_last,
        )

    def _units_of(self, sequences):
        """Return the unit of each target, (n, n_outputs), or None for all alike."""
        if self._unit_layout is None:
            return None
        units = window_units(self._unit_layout, sequences)
        return units[:, self._unit_layout.place_in_past]

    def _residuals(self, sequences, targets):
        """Turn targets into what the network is to predict."""
        last, units = self._last_values(sequences), self._units_of(sequences)
        if units is None:
            return self._targets.residual(targets, last)
        return self._targets.residual(targets / units, last / units)

    def _restored(self, sequences, outputs):
        """Turn the network's outputs into predictions."""
        last, units = self._last_values(sequences), self._units_of(sequences)
        if units is None:
            return self._targets.restore(outputs, last)
        return units * self._targets.restore(outputs, last / units)

    def _last_values(self, sequences):
        """Return what `target_feature` shows where a target is predicted, or None."""
        if self._target_columns is None:
            return None
        if self._per_step:
            steps = sequences.read_rows(flat_rows(sequences.starts, sequences.lengths))
        else:
            steps = sequences.last_step()
        return steps[:, self._target_columns].astype(np.float64)

    def _network_targets(self, samples):
        return self._residuals(samples.sequences, samples.all_targets())

    def _check_target_range(self, samples):
        targets = self._network_targets(samples)
        limit = LARGEST_INPUT[self._torch_dtype]
        with np.errstate(invalid="ignore"):
            outside = np.abs(targets) > limit
        if not outside.any():
            return
        at, output = map(int, np.argwhere(outside)[0])
        place = f"sequence {at}"
        if self._per_step:
            place = "sequence {}, step {}".format(*locate(samples.y, at))
        raise DivergenceError(
            f"y holds {samples.all_targets()[at, output]:.6g} at {place}, output "
            f"{output}, more than {limit:.0e} standard deviations from the targets "
            f"that {type(self).__name__} with dtype={self._torch_dtype!r} was fitted "
            "on: the loss would be infinite. Correct it, or leave it out."
        )

    def _initialize_head(self, network, samples):
        # Targets have mean 0: a nearly silent network predicts nearly just that.
        # Not quite 0, or the first gradient of the bias is pure rounding, which
        # Adam blows up to 1e-12.
        with torch.no_grad():
            network.head.weight.mul_(HEAD_SCALE)
            if self._levels is not None:
                bias = marginal_quantiles(
                    self._network_targets(samples),
                    self._levels,
                    samples.target_weights(),
                )
                network.head.bias.copy_(torch.from_numpy(bias.ravel()))

    @property
    def _n_targets(self):
        return self._y_shape[0]

    def _n_outputs(self):
        return self._n_targets * (1 if self._levels is None else len(self._levels))

    def _network_quantiles(self, sequences, outputs):
        """Turn outputs into quantiles, (n, n_targets, n_quantiles), in order."""
        outputs = outputs.reshape(len(outputs), self._n_targets, len(self._levels))
        quantiles = [
            self._restored(sequences, outputs[:, :, i])
            for i in range(len(self._levels))
        ]
        # Quantiles that were learned apart may cross; put in order they are never
        # further from the truth (Chernozhukov, Fernández-Val and Galichon 2010).
        return np.sort(np.stack(quantiles, axis=-1), axis=-1)

    def _network_forecasts(self, sequences, outputs):
        """Turn outputs into numbers, (n, n_targets), or quantiles of each."""
        if self._levels is not None:
            return self._network_quantiles(sequences, outputs)
        return self._restored(sequences, outputs)

    def _quantiles_of(self, sequences, outputs):
        """Return the quantiles that are predicted, (n, n_targets, n_quantiles)."""
        return self._add_linear(sequences, self._network_quantiles(sequences, outputs))

    def _point_forecasts(self, sequences, outputs):
        """Return the numbers that are predicted, (n, n_targets)."""
        found = self._add_linear(sequences, self._network_forecasts(sequences, outputs))
        return found if self._levels is None else point_forecast(found, self._levels)

    def _loss_name(self):
        return self.loss

    def _outputs_score(self, outputs, data):
        targets, outputs = (
            numbers.cpu().numpy().astype(np.float64)
            for numbers in (data.flat_targets()[0], outputs)
        )
        y_true = self._restored(data.sequences, targets)
        # Of the network alone: its weight beside the linear part comes afterwards.
        y_pred = self._network_forecasts(data.sequences, outputs)
        if self._levels is not None:
            y_pred = point_forecast(y_pred, self._levels)
        weights = flat_weights(data)
        if self._may_miss:
            return score_steps(r2_score, y_true, y_pred, weights)
        if len(y_true) < 2:
            return np.nan
        return r2_score(y_true, y_pred, sample_weight=weights)
