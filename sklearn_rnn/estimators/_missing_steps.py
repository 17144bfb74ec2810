"""Missing values in the new steps of a live signal."""

from typing import Any

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.estimators.tasks import RegressionTask, steps_ahead


def forecast_outputs(estimator: Any) -> dict[int, int]:
    """Return, by feature, the output that forecasts its value one step ahead."""
    name, task = type(estimator).__name__, estimator._task
    columns = task.baseline.columns if isinstance(task, RegressionTask) else None
    if columns is None:
        raise ValueError(
            f"missing='forecast' fills in what the model forecast, and this {name} "
            "forecasts none of its inputs: fit an RNNRegressor with target_feature=, "
            "or use missing='last'."
        )
    columns = np.asarray(columns).tolist()
    ahead = steps_ahead(task.numbers.names)
    if not ahead and task.per_step:
        # These have no names: outputs count the steps ahead of each feature.
        ahead = [columns[: i + 1].count(column) for i, column in enumerate(columns)]
    if not ahead:
        raise ValueError(
            f"missing='forecast' needs to know which output is one step ahead, and the "
            f"targets of this {name} had no names that tell: fit it with the Y of "
            "make_forecast_frame, or use missing='last'."
        )
    found = {
        c: i for i, (c, k) in enumerate(zip(columns, ahead, strict=True)) if k == 1
    }
    if not found:
        raise ValueError(
            f"missing='forecast' needs forecasts one step ahead, and this {name} "
            f"forecasts {sorted(set(ahead))} steps ahead: fit it with a horizon that "
            "includes 1, or use missing='last'."
        )
    return found


def fill_steps(
    X: Any, last: Any, forecasts: dict[int, np.ndarray], missing: Any
) -> Any:
    """Return new steps of each stream without missing values.

    last : list of ndarray of shape (n_features,), the step before of each stream;
        None before the first call
    forecasts : forecasts of the next step by feature, each one value per stream
    missing : "last", "forecast", or None, for which missing values are an error
    """
    steps = [np.asarray(x) for x in X]
    if not any(own.dtype.kind == "f" and np.isnan(own).any() for own in steps):
        return X
    filled = []
    for i, (given, own) in enumerate(zip(X, steps, strict=True)):
        values = own.copy().reshape(len(own), -1)
        for t, j in np.argwhere(np.isnan(values)):
            if missing is None:
                raise InvalidSequenceError(_describe(i, t, j, values))
            if j in forecasts and missing == "forecast":
                values[t, j] = _forecast_value(forecasts[j], i, t, len(values))
            elif t > 0:
                values[t, j] = values[t - 1, j]
            else:
                values[t, j] = np.nan if last is None else last[i][j]
        if np.isnan(values).any():
            raise InvalidSequenceError(
                f"the first step of stream {i} has no value of feature "
                f"{np.isnan(values).any(axis=0).argmax()}, and none came before that "
                "could be repeated: begin with a complete step."
            )
        filled.append(_like(given, values.reshape(own.shape)))
    return filled


def _describe(stream, step, feature, values):
    what = f"no value of feature {feature}"
    if np.isnan(values[step]).all():
        what = "NaN in every feature"
    return (
        f"new step {step} of stream {stream} has {what}, and a live signal has no "
        "padding: fill it, leave that step out, or let StatefulPredictor(model, "
        "missing='last') repeat the last value; missing='forecast' fills in what the "
        "model forecast."
    )


def _forecast_value(forecasts, stream, step, n_steps):
    """Return the forecast of a new step, which must be the only one of its call."""
    if n_steps > 1:
        raise InvalidSequenceError(
            f"new step {step} of stream {stream} has a missing value that the forecast "
            f"from the step before replaces, and there are {n_steps} new steps: with "
            "missing='forecast' give steps with missing values one at a time."
        )
    return forecasts[stream]


def _like(given, values):
    """Return values in the container that held them."""
    if hasattr(given, "columns"):
        return type(given)(values, columns=given.columns)
    return values
