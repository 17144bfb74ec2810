"""Numbers as targets: read, and brought to what a network predicts."""

import numpy as np
import torch
from sklearn.metrics import r2_score
from sklearn.utils import check_array

from sklearn_rnn.estimators._steps import refuse_ragged, score_steps
from sklearn_rnn.estimators._targets import TargetTransform, target_columns
from sklearn_rnn.sequences import flat_rows, is_missing

# Of the initial weights of the output layer.
HEAD_SCALE = 0.1


class NumberCoder:
    """Part of an estimator that predicts numbers: a sequence's, or a step's."""

    def _check_y(self, y, *, reset):
        refuse_ragged(y, "set return_sequences=True")
        self._refuse_strings(y)
        y = check_array(
            y,
            ensure_2d=False,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            input_name="y",
        )
        missing = np.isnan(y).reshape(len(y), -1).any(axis=1)
        if missing.any():
            raise ValueError(
                f"Input y contains NaN: {missing.sum()} of {len(y)} targets, the first "
                f"at {int(missing.argmax())}. The last rows of a shifted table have no "
                "target: drop them from X and y, or use make_forecast_frame."
            )
        self._check_n_outputs(y, reset=reset)
        return y.reshape(len(y), -1)

    def _check_step_values(self, steps, *, reset):
        self._refuse_strings(steps.values)
        values = np.where(is_missing(steps.values), np.nan, steps.values)
        values = values.astype(np.float64)
        infinite = np.isinf(values)
        if infinite.any():
            step = int(np.argwhere(infinite)[0][0])
            place = int(np.searchsorted(steps.starts, step, side="right")) - 1
            raise ValueError(
                f"y[{place}] is infinite at step {step - steps.starts[place]}. A step "
                "without a target is NaN."
            )
        empty = np.isnan(values).reshape(len(values), -1).all(axis=0)
        if empty.all() or (reset and empty.any()):
            raise ValueError(
                f"output {int(empty.argmax())} of y is NaN at every step: there is "
                "nothing to learn or to score."
            )
        self._check_n_outputs(values, reset=reset)
        return values.reshape(len(values), -1)

    def _refuse_strings(self, y):
        y = np.asarray(y)
        text = y.dtype == object and any(isinstance(value, str) for value in y.flat)
        if y.dtype.kind in "US" or text:
            other = "RNNTagger" if self._per_step else "RNNClassifier"
            raise ValueError(
                f"y holds strings; a regressor needs numbers. Convert them, or use "
                f"{other} for labels."
            )

    def _check_n_outputs(self, y, *, reset):
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
            self.target_feature, samples.sequences, self._n_outputs()
        )
        if self._target_columns is not None and self.embedding_dim is not None:
            raise ValueError(
                "target_feature needs numbers, but embedding_dim is set: X holds "
                "tokens."
            )
        weights = samples.step_weights() if self._per_step else samples.weights
        self._targets = TargetTransform.fit(
            self._values_of(samples), weights, self._last_values(samples.sequences)
        )

    def _values_of(self, samples):
        return samples.step_targets() if self._per_step else samples.y

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
        last = self._last_values(samples.sequences)
        return self._targets.residual(self._values_of(samples), last)

    def _initialize_head(self, network, samples):
        # Targets have mean 0: a nearly silent network predicts nearly just that.
        # Not quite 0, or the first gradient of the bias is pure rounding, which
        # Adam blows up to 1e-12.
        with torch.no_grad():
            network.head.weight.mul_(HEAD_SCALE)

    def _n_outputs(self):
        return self._y_shape[0]

    def _loss_name(self):
        return self.loss

    def _outputs_score(self, outputs, data):
        last = self._last_values(data.sequences)
        targets, _ = data.flat_targets()
        y_true, y_pred = (
            self._targets.restore(x.cpu().numpy().astype(np.float64), last)
            for x in (targets, outputs)
        )
        if self._per_step:
            return score_steps(r2_score, y_true, y_pred)
        return r2_score(y_true, y_pred) if len(y_true) > 1 else np.nan
