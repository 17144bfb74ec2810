"""What a regressor predicts, in a graph: from outputs of its network to targets."""

import numpy as np

from sklearn_rnn.persistence._onnx._graph import DOUBLE
from sklearn_rnn.persistence._onnx._network import run_network
from sklearn_rnn.persistence._onnx._steps import NewestStep
from sklearn_rnn.persistence._onnx._windows import WindowValues, predict_linear
from sklearn_rnn.training import (
    LARGEST_LOG_MEAN,
    LARGEST_TAIL,
    SMALLEST_DISPERSION,
    SMALLEST_SCALE,
    SMALLEST_TAIL,
)

PARAMETERS = {
    "gaussian": ("mean", "standard deviation"),
    "student_t": ("location", "scale", "1 / degrees of freedom"),
    "poisson": ("mean",),
    "negative_binomial": ("mean", "dispersion"),
}


def write_regressor(task, network, steps):
    """Add the outputs of a regressor to the graph of its steps."""
    writer = _Writer(task, steps)
    outputs = run_network(network, steps, writer.network_input()).cast(DOUBLE)
    forecasts = writer.add_linear(writer.restore(outputs))
    writer.write(forecasts)


class _Writer:
    """Writes forecasts as the task's output describes them."""

    def __init__(self, task, steps):
        self.task, self.steps, self.graph = task, steps, steps.graph
        self.baseline, self.output = task.baseline, task.output
        self.categories = task.categories.categories or {}
        # With a target per step, axes of time and of targets; else of targets alone.
        self.axis = 2 if task.per_step else 1
        self.units = self._units()

    def _units(self):
        """Return the unit of each target (N, n_outputs), or None for all alike."""
        layout = self.baseline.unit_layout
        if layout is None:
            return None
        self.unit_windows = WindowValues.cut(layout, self.steps, self.categories)
        return self.unit_windows.units()

    def network_input(self):
        """Return the steps relative to the last one, if the network reads them so."""
        values = self.steps.values
        if not self.baseline.subtracts_last:
            return values
        features = np.unique(self.baseline.columns)
        past = values.take(features, axis=2)
        changes = past - self.steps.last_step().take(features, axis=1).expand(1)
        if self.units is not None:
            changes = changes / self.unit_windows.spread.expand(1)
        n_features = self.task.network_spec.n_features
        positions = np.arange(n_features)
        positions[features] = n_features + np.arange(len(features))
        return self.graph.concatenate([values, changes], 2).take(positions, axis=2)

    def _last_values(self):
        """Return what each target is relative to, (N, n_outputs) or of each step."""
        baseline = self.baseline
        if baseline.lags is not None:
            columns = [
                self._value_at(int(lag), int(column))
                for lag, column in zip(baseline.lags, baseline.columns, strict=True)
            ]
            return self.graph.concatenate(columns, 1)
        if self.task.per_step:
            return self.steps.values.take(baseline.columns, axis=2)
        return self.steps.last_step().take(baseline.columns, axis=1)

    def _value_at(self, lag, column):
        """Return a value (N, 1) some steps before the last one, or the last one."""
        values = self.steps.values.part(column, column + 1, 2)
        lengths = self.steps.lengths
        place = self.graph.where(lengths > lag, lengths - 1 - lag, lengths - 1)
        return values.rows_at(place.expand(1)).squeeze(1)

    def _restore_points(self, outputs):
        """Turn standardised values (..., n_targets) into those of the targets."""
        transform = self.baseline.transform
        found = outputs * transform.scale + transform.intercept
        if self.baseline.columns is None:
            return found
        last = self._last_values()
        if self.units is None:
            return found + last * transform.slope
        return self.units * (found + last / self.units * transform.slope)

    def restore(self, outputs):
        """Turn outputs of the network into forecasts."""
        output, axis = self.output, self.axis + 1
        if not output.depth:
            return self._restore_points(outputs)
        outputs = outputs.reshape(*[0] * self.axis, -1, output.size)
        columns = [outputs.take(k, axis=axis) for k in range(output.size)]
        if not output.is_distribution:
            columns = [self._restore_points(column) for column in columns]
            return self._sort(self.graph.stack(columns, axis), output.size)
        columns = _parameters(output.loss, columns)
        if not output.is_count:
            columns[0] = self._restore_points(columns[0])
            for k in output.likelihood.scales:
                columns[k] = columns[k] * self.baseline.transform.scale
                columns[k] = (
                    columns[k] if self.units is None else columns[k] * self.units
                )
        return self.graph.stack(columns, axis)

    def _sort(self, quantiles, size):
        """Put quantiles in order along the last axis."""
        return self.graph.nodes(
            "TopK",
            quantiles,
            np.array([size]),
            dtypes=[None, np.dtype("i8")],
            axis=-1,
            largest=0,
        )[0]

    def add_linear(self, network):
        """Return the average of network and linear part, if there is one."""
        linear = self.task.linear
        if linear.part is None:
            return network
        windows = WindowValues.cut(linear.part.layout, self.steps, self.categories)
        points = predict_linear(linear.part, windows)
        if self.output.depth:
            units = windows.units() if linear.part.layout.is_scaled else None
            points = self._around(points, units, linear.error_fit)
        weight = linear.weight.reshape(-1, *[1] * len(self.output.depth))
        return points + (network - points) * weight

    def _around(self, points, units, fitted):
        """Return forecasts around points with errors such as were fitted."""
        ones = points * 0.0 + 1.0
        if not self.output.is_distribution:
            errors = (ones if units is None else units).expand(2) * fitted
            return points.expand(2) + errors
        if self.output.is_count:
            columns = [points.maximum(fitted[:, 0])]
        else:
            columns = [points, (ones if units is None else units) * fitted[:, 0]]
        if self.output.size > len(columns):
            columns.append(ones * fitted[:, 1])
        return self.graph.stack(columns, 2)

    # Outputs of the graph

    def write(self, forecasts):
        """Add the outputs."""
        output, axis = self.output, self.axis + 1
        if not output.depth:
            self._write("prediction", forecasts, "What predict returns.")
            return
        columns = [forecasts.take(k, axis=axis) for k in range(output.size)]
        if output.is_distribution:
            about = "The mean of the distribution, within the bounds."
            self._write("prediction", columns[0].clip(*output.bounds), about)
            names = PARAMETERS[output.loss]
            about = f"Parameters of the {output.loss} distribution: {', '.join(names)}."
            self._write("parameters", forecasts, about, output.size)
            return
        clipped = forecasts.clip(*output.bounds)
        columns = [clipped.take(k, axis=axis) for k in range(output.size)]
        self._write("prediction", _median(columns, output.levels), "The median.")
        about = f"Quantiles at {', '.join(f'{level:g}' for level in output.levels)}."
        self._write("quantiles", clipped, about, output.size)

    def _write(self, name, values, about, *depth):
        if not (depth or self.output.depth):
            values = values.clip(*self.output.bounds)
        shape = ["N", "T"] if self.task.per_step else ["N"]
        if self.task.per_step:
            values = self._without_padding(values, len(depth))
        if self.task.numbers.is_1d:
            values = values.squeeze(self.axis)
        else:
            shape.append(self.task.n_targets)
        if self.task.per_step and isinstance(self.steps, NewestStep):
            values, shape = values.squeeze(1), [shape[0], *shape[2:]]
        self.graph.output(name, values, [*shape, *depth], about)

    def _without_padding(self, values, n_axes):
        """Return values of steps (N, T, n_targets, ...), NaN at padding."""
        if isinstance(self.steps, NewestStep):
            return values
        inside = self.steps.inside().expand(*range(2, 3 + n_axes))
        return self.graph.where(inside, values, np.nan)


def _parameters(loss, outputs):
    """Turn outputs of the network into the parameters of a distribution."""
    first, *others = outputs
    if loss in ("poisson", "negative_binomial"):
        first = first.clip(-LARGEST_LOG_MEAN, LARGEST_LOG_MEAN).apply("Exp")
    if loss == "negative_binomial":
        return [first, _softplus(others[0]) + SMALLEST_DISPERSION]
    if others:
        others[0] = _softplus(others[0]) + SMALLEST_SCALE
    if loss == "student_t":
        tail = others[1].apply("Sigmoid") * (LARGEST_TAIL - SMALLEST_TAIL)
        others[1] = tail + SMALLEST_TAIL
    return [first, *others]


def _softplus(x):
    """Return log(1 + exp(x)), without the operator, which older runtimes lack."""
    return x.maximum(0.0) + ((-x.apply("Abs")).apply("Exp") + 1.0).apply("Log")


def _median(columns, levels):
    """Return the median of quantiles, or what comes closest to it."""
    place = np.interp(0.5, levels, np.arange(len(levels)))
    lower, fraction = int(place), place % 1
    if fraction == 0:
        return columns[lower]
    return columns[lower] * (1 - fraction) + columns[lower + 1] * fraction
